/*
 * intake.c - the way in: messages become roots, with the journal first.
 *
 * The messages of a call, and how far their source was read, are one commit: so after a crash the source goes on behind what is safe, and what is safe is
 * begun again from the journal. A message that comes again (its sender repeated it, or the acknowledgement was lost) is known by its id, while its root is
 * under way and as long as its trace is kept. What no journal takes (it is too large) becomes a dead letter in the same commit, so that it cannot stop what
 * is behind it.
 *
 * A partition is claimed before anything of it is taken in: that fences off who had it before. Its roots know it, so that all of them can be dropped when
 * it is somebody else's. What somebody has in his hands then, such as a batch that a sink is applying, goes on to its end; if the partition comes
 * back meanwhile, that end is waited for, because only then does the journal know all that has come about.
 */
#include "pipeline/run/former.h"
#include "pipeline/run/suspect.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "codec/json_out.h"
#include "pipeline/door/replies.h"
#include "rt/loop.h"

#include <stdlib.h>
#include <string.h>

enum { RESUME_PAGE = 256, RECALL_AT_ONCE = 32, LETTER_START = 32 << 10 };
static const ns_t pause_after_failure = 250 * NS_MS;

static struct journal_record place_of(const struct intake *in, uint32_t partition)
{
    return (struct journal_record){
        .pipeline = in->shard->spec->name, .source = in->source->name, .partition = partition};
}

uint32_t intake_shard(const struct intake *in)
{
    return in->shard->number;
}

uint32_t intake_shards(const struct intake *in)
{
    return in->shard->is_leased ? in->shard->spec->workers : 0;
}

err_t intake_progress(struct intake *in, uint32_t partition, struct arena *arena, struct str *ret)
{
    const struct journal_query q = {.kind = JOURNAL_PROGRESS, .r = place_of(in, partition), .limit = 1};
    struct journal_page page;

    TRY(journal_read(in->shard->journal, &q, arena, &page));
    /* Whoever was killed between claiming it and the first message has left a row that says nothing. */
    *ret = page.count && page.records[0].body.bytes.n ? page.records[0].body.bytes : STR_NONE;
    return OK;
}

/* --- partitions --- */

static struct partition *find(const struct intake *in, uint32_t number)
{
    char name[4];

    be32_put(name, number);
    return map_get(&in->partitions, str_of(name, sizeof name));
}

static struct str name_of(const struct partition *p)
{
    return str_of(p->name, sizeof p->name);
}

static struct partition *partition_new(struct intake *in, uint32_t number, uint64_t epoch)
{
    struct partition *p = NEW(struct partition);

    *p = (struct partition){.intake = in, .number = number, .epoch = epoch};
    list_init(&p->lost_link);
    be32_put(p->name, number);
    (void)map_put(&in->partitions, name_of(p), p);
    return p;
}

static void partition_free(struct partition *p)
{
    list_remove(&p->lost_link);
    mem_free(p);
}

void partition_give(struct partition *p)
{
    p->roots--;
    if (p->waiter)
        fiber_wake(p->waiter);
    else if (p->is_lost && !p->roots)
        partition_free(p);
}

void intake_free(struct intake *in)
{
    struct str name;
    void *p;

    for (size_t at = 0; map_next(&in->partitions, &at, &name, &p);)
        mem_free(p);
    map_release(&in->partitions);
}

/* --- what may be acknowledged --- */

/* Is nothing left of it to be done, nor a dead letter on its way to where the file sends them? */
static bool is_settled(const struct intake *in)
{
    return !in->roots && !letter_post_count(in->shard->post);
}

static SUSPENDS err_t wait_settled(struct intake *in, uint64_t losses)
{
    const struct shard *s = in->shard;
    err_t e = OK;

    in->settler = fiber_current();
    while (e == OK && !is_settled(in) && in->losses == losses && !s->is_cut)
        e = fiber_park("the end of what was taken in", NS_NEVER);
    in->settler = NULL;
    if (e != OK || is_settled(in))
        return e;
    return s->is_cut ? fail(E_CANCELLED, "the pipeline stops") : fail(E_FENCED, "a partition was lost");
}

/* What is under way is finished when the shard is drained: so it is waited for, until the shard is cut short. */
static SUSPENDS err_t wait_drained(struct intake *in, uint64_t losses)
{
    SHIELD(NS_NEVER);

    return wait_settled(in, losses);
}

err_t intake_settled(struct intake *in)
{
    uint64_t losses = in->losses;

    if (in->shard->spec->journal != PIPELINE_JOURNAL_NONE)
        return OK;
    err_t e = wait_settled(in, losses);
    return e == E_CANCELLED && in->shard->is_draining ? wait_drained(in, losses) : e;
}

void intake_wake(struct intake *in)
{
    if (in->settler && is_settled(in))
        fiber_wake(in->settler);
}

void intake_cut(struct shard *s)
{
    s->is_cut = true;
    for (uint16_t i = 0; i < s->spec->node_count; i++)
        if (s->intakes[i].settler)
            fiber_wake(s->intakes[i].settler);
}

/* What was claimed stays so until the shard ends, which is when a source that is not shared gives it back. */
err_t intake_own(struct intake *in, uint32_t number, struct partition **ret)
{
    struct journal_op op = {.kind = JOURNAL_PROGRESS_CLAIM, .r = place_of(in, number)};

    *ret = find(in, number);
    if (*ret)
        return OK;
    TRY(shard_commit(in->shard, &op, 1));
    TRY(intake_check_divided(in));
    *ret = partition_new(in, number, op.r.epoch);
    return OK;
}

/* --- what a former run left --- */

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct journal_id));
}

/* Add the effects of a page that stand so. */
static void add_effects(struct root *r, const struct journal_page *page, enum journal_effect_state state,
                        struct id_set *to)
{
    struct journal_id *all = arena_alloc(&r->arena, (to->count + page->count) * sizeof *all);

    if (to->count)
        memcpy(all, to->ids, to->count * sizeof *all);
    for (size_t i = 0; i < page->count; i++)
        if (page->records[i].state == (uint32_t)state)
            all[to->count++] = page->records[i].id;
    to->ids = all;
}

static void sort(struct id_set *set)
{
    if (set->count)
        qsort(set->ids, set->count, sizeof *set->ids, by_id);
}

/* Which of its effects have come about, which may have, and which were given up. */
static SUSPENDS err_t recall_effects(struct root *r)
{
    struct journal_query q = {.kind = JOURNAL_EFFECTS, .r = {.root = r->id}};
    struct journal_page page;

    do {
        TRY(journal_read(r->shard->journal, &q, &r->arena, &page));
        if (page.count == 0)
            break;
        add_effects(r, &page, EFFECT_DONE, &r->done);
        add_effects(r, &page, EFFECT_RESERVED, &r->doubtful);
        add_effects(r, &page, EFFECT_UNKNOWN, &r->given_up);
        q.after = page.next;
    } while (page.next);
    sort(&r->done);
    sort(&r->doubtful);
    sort(&r->given_up);
    return OK;
}

/* What its recorded nodes have yielded. */
static SUSPENDS err_t recall_steps(struct root *r)
{
    struct journal_query q = {.kind = JOURNAL_STEPS, .r = {.root = r->id}};
    struct journal_page page;

    do {
        TRY(journal_read(r->shard->journal, &q, &r->arena, &page));
        if (page.count == 0)
            break;
        struct recorded *all = arena_alloc(&r->arena, (r->recorded_count + page.count) * sizeof *all);
        if (r->recorded_count)
            memcpy(all, r->recorded, r->recorded_count * sizeof *all);
        for (size_t i = 0; i < page.count; i++) {
            const struct journal_record *step = &page.records[i];
            struct str outputs = step->body.bytes;
            if (step->body.is_blob)
                TRY(journal_blob(r->shard->journal, step->body.sha256, &r->arena, &outputs));
            all[r->recorded_count++] = (struct recorded){step->node, outputs};
        }
        r->recorded = all;
        q.after = page.next;
    } while (page.next);
    return OK;
}

/* It is not to be run, whoever tries: a dead letter, and its root is parked with it. */
static SUSPENDS err_t bury(struct intake *in, const struct journal_record *rec, const char *cause, const char *why)
{
    const struct shard *s = in->shard;
    struct str words = str_from_c(why);
    struct journal_op ops[] = {
        {.kind = JOURNAL_DEAD_PUT,
         .r = {.id = rec->id,
               .root = rec->id,
               .pipeline = s->spec->name,
               .node = in->source->name,
               .cause = str_from_c(cause),
               .at = rt_wall(),
               .body = {.form = BODY_DEAD_LETTER, .bytes = words}}},
        {.kind = JOURNAL_ROOT_DONE, .r = {.id = rec->id, .pipeline = s->spec->name, .at = rt_wall()}},
        {.kind = JOURNAL_STATE_PUT}};
    char key[LETTER_POST_KEY];
    size_t n = 2 + letter_post_op(s->post, &rec->id, key, &ops[2]);

    meter_buried(in->shard, in->source->index, str_from_c(cause));
    TRY(shard_commit(in->shard, ops, n));
    letter_post_noted(s->post);
    return OK;
}

/* Was its sender answered? Effects alone do not say so: they may be other sinks'. */
static SUSPENDS err_t recall_reply(struct root *r, struct arena *arena)
{
    const struct pipeline_node *n = r->shard->spec->nodes[r->source];
    struct str body;
    int status = 0;

    if (!r->done.count || n->role != PIPELINE_SOURCE || !n->source->takes_reply || !n->source->takes_reply(n))
        return OK;
    TRY(replies_find(shard_replies(r->shard, n), r->id, arena, &status, &body));
    r->is_replied = status != 0;
    return OK;
}

static SUSPENDS err_t recall_absorbed(struct root *r, struct arena *arena)
{
    const struct pipeline_node *n = r->partition->intake->source;

    return node_absorbs(n) && n->node->run->absorb->recall ? n->node->run->absorb->recall(r, arena) : OK;
}

static SUSPENDS err_t recall(struct root *r, struct arena *arena)
{
    TRY(recall_effects(r));
    TRY(recall_reply(r, arena));
    TRY(recall_steps(r));
    TRY(recall_absorbed(r, arena));
    return letter_recall(r);
}

err_t intake_take_in(struct partition *p, const struct journal_record *rec)
{
    struct root *r;

    err_t e = root_unpack(p, rec, rec->body.bytes, &r);
    if (e != OK)
        return bury(p->intake, rec, err_name(e), err_detail(e));
    p->intake->shard->stats.roots++;
    root_enter(r);
    root_start(r);
    return OK;
}

bool shard_has_root(const struct shard *s, struct journal_id id)
{
    return map_get(&s->by_id, str_of((const char *)id.b, sizeof id.b)) != NULL;
}

/* Is it for another shard to begin? A version that nobody can load any more is not; nor does one that only finishes wait for a replay's time. */
static bool is_for_other(const struct shard *s, const struct journal_record *rec, struct str packed)
{
    return s->only_finishes && (message_version(packed) != s->digest || rec->due > rt_wall());
}

/* The version that it waits for, having nothing else to do; 0: it is ours. One that is replayed is whose shard finds it. */
static uint64_t former_of(const struct intake *in, const struct journal_record *rec, struct str packed)
{
    uint64_t version = message_version(packed);

    return version != in->shard->digest && !rec->due && former_rests(in->shard, version) ? version : 0;
}

/*
 * A root that the journal has: not begun yet, nor is it known what a former run has done of it. *ret NULL: there is nothing to begin now, because it is for another
 * version's shard, or not due yet and will be begun then, or has become a dead letter.
 */
static SUSPENDS err_t unpack_root(struct intake *in, const struct journal_record *rec, struct arena *arena,
                                  struct root **ret)
{
    struct shard *s = in->shard;
    struct str packed = rec->body.bytes;
    struct partition *p;

    *ret = NULL;
    if (rec->body.is_blob)
        TRY(journal_blob(s->journal, rec->body.sha256, arena, &packed));
    if (is_for_other(s, rec, packed))
        return OK;
    TRY(intake_own(in, rec->partition, &p));
    if (rec->due > rt_wall()) {
        replay_later(p, rec);
        return OK;
    }
    uint64_t former = former_of(in, rec, packed);
    enum suspicion suspicion = former ? SUSPECT_NOT : suspect_judge(s, rec->count);
    if (suspicion == SUSPECT_GUILTY)
        return bury(in, rec, "POISON", "it was under way each time when the process died");
    struct root *r;
    err_t e = root_unpack(p, rec, packed, &r);
    if (e != OK)
        return bury(in, rec, err_name(e), err_detail(e));
    r->suspicion = suspicion;
    r->former = former;
    p->roots++; /* it stays, although the root is not entered yet */
    *ret = r;
    return OK;
}

/* Let one that was recalled run, if that is still ours to do; or let it go. */
static void begin_recalled(struct root *r, bool does_begin)
{
    struct partition *p = r->partition;

    if (!does_begin || p->is_lost) {
        root_free(r);
    } else if (r->former) {
        former_enter(r);
    } else {
        r->shard->stats.resumed++;
        root_enter(r);
        if (r->suspicion == SUSPECT_TRY)
            suspect_add(r->shard, r);
        else
            root_start(r);
    }
    partition_give(p);
}

/* Roots whose former runs are being read. */
struct recalling {
    struct root **roots;
    size_t count, next;
    struct arena *arena;
};

static SUSPENDS err_t recall_some(void *recalling)
{
    struct recalling *all = recalling;

    while (all->next < all->count) {
        struct root *r = all->roots[all->next++];
        TRY(r->former ? recall_absorbed(r, all->arena) : recall(r, all->arena));
    }
    return OK;
}

/* What former runs have done of them: several at a time, because most of a read is the way to the journal's thread and back. */
static SUSPENDS err_t recall_all(struct root **roots, size_t n, struct arena *arena)
{
    struct recalling all = {.roots = roots, .count = n, .arena = arena};
    SCOPE(readers, NS_NEVER);

    for (size_t i = 0; i < n && i < RECALL_AT_ONCE; i++)
        scope_spawn(&readers, "pipeline recall", recall_some, &all);
    return scope_wait_all(&readers);
}

/* All of the page, in its order: what is to be counted of them with one commit, because each takes as long as the disk does. */
static SUSPENDS err_t begin_page(struct intake *in, const struct journal_record *records, size_t n, struct arena *arena)
{
    struct root **roots = arena_alloc(arena, n * sizeof *roots);
    size_t count = 0;
    err_t e = OK;

    for (size_t i = 0; i < n && e == OK; i++) {
        e = unpack_root(in, &records[i], arena, &roots[count]);
        count += roots[count] != NULL;
    }
    if (e == OK)
        e = recall_all(roots, count, arena);
    if (e == OK)
        e = suspect_count(in->shard, roots, count, arena);
    for (size_t i = 0; i < count; i++)
        begin_recalled(roots[i], e == OK);
    return e;
}

err_t intake_begin_again(struct intake *in, const struct journal_record *rec, struct arena *arena)
{
    return begin_page(in, rec, 1, arena);
}

static SUSPENDS err_t resume_partition(struct intake *in, uint32_t number)
{
    struct journal_query q = {.kind = JOURNAL_ROOTS, .r = place_of(in, number), .limit = RESUME_PAGE};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, SIZE_MAX);
    do {
        struct journal_page page;
        TRY(journal_read(in->shard->journal, &q, &arena, &page));
        TRY(begin_page(in, page.records, page.count, &arena));
        q.after = page.next;
        arena_clear(&arena);
    } while (q.after);
    return OK;
}

err_t intake_resume(struct intake *in)
{
    const struct shard *s = in->shard;

    if (in->source->role == PIPELINE_NODE)
        return resume_partition(in, s->number); /* as its keeper puts them */
    if (in->source->source->run->is_shared && !(s->only_finishes && s->is_whole))
        return OK; /* each as it is claimed */
    return resume_partition(in, JOURNAL_ANY_PARTITION);
}

/* --- what is shared --- */

/* Wait until no root of the partition is left. */
static SUSPENDS err_t wait_empty(struct partition *p)
{
    err_t e = OK;

    p->waiter = fiber_current();
    while (e == OK && p->roots)
        e = fiber_park("messages of a partition", NS_NEVER);
    p->waiter = NULL;
    return e;
}

bool intake_has(const struct intake *in, uint32_t partition, uint64_t epoch)
{
    const struct partition *p = find(in, partition);

    return p && p->epoch == epoch;
}

bool intake_takes(const struct intake *in, uint32_t partition)
{
    const struct pipeline_node *n = in->source;

    if (node_absorbs(n))
        return partition == in->shard->number;
    return n->role == PIPELINE_SOURCE && (!n->source->run->is_shared || find(in, partition));
}

static struct partition *find_lost(const struct intake *in, uint32_t number)
{
    LIST_EACH(node, next, &in->lost)
        if (CONTAINER_OF(node, struct partition, lost_link)->number == number)
            return CONTAINER_OF(node, struct partition, lost_link);
    return NULL;
}

/* Wait for the end of what was in hands when the partition was lost. */
static SUSPENDS err_t wait_lost(const struct intake *in, uint32_t number)
{
    struct partition *p;

    while ((p = find_lost(in, number))) {
        err_t e = wait_empty(p);
        if (!p->roots)
            partition_free(p);
        TRY(e);
    }
    return OK;
}

err_t intake_claim(struct intake *in, uint32_t partition)
{
    struct partition *p;

    if (find(in, partition))
        return OK;
    TRY(wait_lost(in, partition));
    TRY(clerk_flush(in->shard->clerk));
    TRY(intake_own(in, partition, &p));
    return resume_partition(in, partition);
}

void intake_lose(struct intake *in, uint32_t partition)
{
    struct partition *p = find(in, partition);

    if (!p)
        return;
    (void)map_remove(&in->partitions, name_of(p));
    in->losses++;
    if (in->settler)
        fiber_wake(in->settler);
    replay_forget(p);
    formers_forget(p);
    p->is_lost = true;
    list_push_back(&in->lost, &p->lost_link);
    p->roots++; /* so that it does not go with its last root in the midst of this */
    LIST_EACH(node, next, &in->shard->roots) {
        struct root *r = CONTAINER_OF(node, struct root, link);
        if (r->partition == p)
            root_drop(r);
    }
    partition_give(p);
}

err_t intake_release(struct intake *in, uint32_t partition)
{
    struct partition *p = find(in, partition);

    if (!p)
        return OK;
    formers_forget(p);
    err_t e = wait_empty(p);
    if (e == OK)
        e = clerk_flush(in->shard->clerk);
    intake_lose(in, partition);
    return e;
}

/* --- messages --- */

struct putting {
    struct intake *in;
    const struct message *messages;
    size_t n;
    struct journal_op *ops; /* one for each message, then the progress      */
    size_t *ends;           /* of the messages in `packed`                  */
    struct buf packed;
    struct arena letters;
    struct partition *partition;
    bool is_unsure; /* a commit that failed may have come about after all */
};

/* The message cannot be kept as it is: why, and how it begins. */
static void make_letter(struct putting *p, size_t i, const char *cause, struct str why)
{
    struct journal_record *r = &p->ops[i].r;
    const struct message *m = &p->messages[i];
    struct buf text CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct json_out o = json_out_to(&text);

    json_open(&o, '{');
    json_member_str(&o, STR("error"), why);
    json_member_str(&o, STR("source"), p->in->source->name);
    json_member_i64(&o, STR("sent_at"), m->at);
    json_member_str(&o, STR("record"), utf8_prefix(m->body, LETTER_START));
    json_close(&o, '}');
    p->ops[i].kind = JOURNAL_DEAD_PUT;
    r->root = r->id;
    r->node = p->in->source->name;
    r->cause = str_from_c(cause);
    r->body = (struct journal_body){.form = BODY_DEAD_LETTER, .bytes = arena_str(&p->letters, buf_str(&text))};
}

/* The operations of a call: a root for each message, and the progress. */
static err_t pack(struct putting *p, struct str progress)
{
    const struct shard *s = p->in->shard;

    for (size_t i = 0; i < p->n; i++) {
        const struct message *m = &p->messages[i];
        p->ops[i] = (struct journal_op){.kind = JOURNAL_ROOT_PUT, .r = place_of(p->in, m->partition)};
        p->ops[i].r.id = root_id(s->spec, p->in->source, m);
        p->ops[i].r.seq = m->position;
        p->ops[i].r.at = m->at;
        err_t e = m->refused == OK ? message_check(m) : m->refused;
        if (e == OK)
            TRY(message_pack(m, s->digest, &p->packed));
        else
            make_letter(p, i, err_name(e), m->refused == OK ? str_from_c(err_detail(e)) : m->reason);
        p->ends[i] = p->packed.n;
    }
    for (size_t i = 0, from = 0; i < p->n; from = p->ends[i++])
        if (p->ops[i].kind == JOURNAL_ROOT_PUT)
            p->ops[i].r.body =
                (struct journal_body){.form = BODY_MESSAGE, .bytes = str_slice(buf_str(&p->packed), from, p->ends[i])};
    p->ops[p->n] = (struct journal_op){.kind = JOURNAL_PROGRESS_PUT, .r = place_of(p->in, p->messages[0].partition)};
    p->ops[p->n].r.epoch = p->partition->epoch;
    p->ops[p->n].r.body = (struct journal_body){.form = BODY_PROGRESS, .bytes = progress};
    return OK;
}

/* Once begun it is carried through: a message that is safe and that nobody begins would wait for the next run. */
static SUSPENDS err_t commit_once(struct putting *p)
{
    SHIELD(NS_NEVER);

    return journal_commit(p->in->shard->journal, p->ops, p->n + 1, JOURNAL_SYNC);
}

static SUSPENDS err_t commit(struct putting *p)
{
    for (;;) {
        if (fiber_is_cancelled())
            return fail(E_CANCELLED, "the pipeline stops");
        err_t e = commit_once(p);
        if (e != E_IO)
            return e;
        p->is_unsure = true;
        log_warn(STR_NONE, "the journal of pipelines cannot be written: %s", err_detail(e));
        TRY(fiber_sleep_until(rt_now() + pause_after_failure));
    }
}

/* It was there: because of a try of ours that seemed to have failed? */
static SUSPENDS err_t is_ours(const struct putting *p, const struct journal_op *op, bool *ret)
{
    const struct shard *s = p->in->shard;
    const struct journal_query q = {.kind = JOURNAL_ROOT, .r = {.id = op->r.id}, .limit = 1};
    struct arena arena CLEANUP(arena_release);
    struct journal_page page;

    arena_init(&arena, SIZE_MAX);
    *ret = false;
    if (!p->is_unsure || op->kind != JOURNAL_ROOT_PUT)
        return OK;
    TRY(journal_read(s->journal, &q, &arena, &page));
    *ret = page.count && page.records[0].state == ROOT_OPEN && !shard_has_root(s, op->r.id);
    return OK;
}

static SUSPENDS err_t begin_one(const struct putting *p, const struct journal_op *op)
{
    struct shard *s = p->in->shard;
    bool is_new = op->outcome == JOURNAL_CAME_ABOUT;

    if (!is_new)
        TRY(is_ours(p, op, &is_new));
    if (!is_new) {
        s->stats.again++;
        return OK;
    }
    if (op->kind != JOURNAL_ROOT_PUT) {
        char key[LETTER_POST_KEY];
        struct journal_op post;
        meter_buried(s, p->in->source->index, op->r.cause);
        if (letter_post_op(s->post, &op->r.id, key, &post))
            TRY(shard_commit(s, &post, 1));
        letter_post_noted(s->post);
        return OK;
    }
    return intake_take_in(p->partition, &op->r);
}

static SUSPENDS err_t put(struct putting *p, struct str progress)
{
    TRY(pack(p, progress));
    TRY(commit(p));
    for (size_t i = 0; i < p->n; i++)
        TRY(begin_one(p, &p->ops[i]));
    return OK;
}

/* The partition, which is ours: of a source that is not shared as soon as it is asked for. */
static SUSPENDS err_t have(struct intake *in, uint32_t number, struct partition **ret)
{
    if (!in->source->source->run->is_shared)
        return intake_own(in, number, ret);
    *ret = find(in, number);
    return *ret ? OK : fail(E_FENCED, "partition %u of %.*s is not ours", number, STR_ARG(in->source->name));
}

err_t intake_note(struct intake *in, uint32_t partition, struct str progress)
{
    struct journal_op op = {.kind = JOURNAL_PROGRESS_PUT, .r = place_of(in, partition)};
    struct partition *p;

    TRY(have(in, partition, &p));
    op.r.epoch = p->epoch;
    op.r.body = (struct journal_body){.form = BODY_PROGRESS, .bytes = progress};
    return shard_commit(in->shard, &op, 1);
}

err_t intake_put(struct intake *in, const struct message *messages, size_t n, struct str progress)
{
    struct putting p = {.in = in, .messages = messages, .n = n};

    if (n == 0)
        return OK;
    if (n > INTAKE_PUT_MAX)
        return fail(E_TOO_LARGE, "a source hands over more than %d messages", INTAKE_PUT_MAX);
    TRY(credit_wait(&in->shard->credit));
    TRY(have(in, messages[0].partition, &p.partition));
    p.ops = mem_zalloc(n + 1, sizeof *p.ops);
    p.ends = mem_zalloc(n, sizeof *p.ends);
    buf_init(&p.packed, JOURNAL_COMMIT_MAX);
    arena_init(&p.letters, SIZE_MAX);
    err_t e = put(&p, progress);
    arena_release(&p.letters);
    buf_release(&p.packed);
    mem_free(p.ends);
    mem_free(p.ops);
    return e;
}
