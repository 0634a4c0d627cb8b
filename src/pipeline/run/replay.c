/*
 * replay.c - roots that are to be begun again at a time of their own: those whose dead letters are replayed, so many a second.
 *
 * They lie in the journal as any that a former run left. Here is only when whose turn is; each is read when its time has come, so that ten thousand of
 * them cost their ids. They count as under way from the beginning: a shard does not end before they are done, unless it is drained: then they stay
 * in the journal, for the next one.
 *
 * Who replays a letter while the shard runs tells it the root (shard_replay()), and knows nothing of sources and partitions; so that is looked up when it is
 * read. If the root is still under way, on account of its other records, its time comes when it has ended.
 *
 * Another process that replays a letter cannot tell the shard. It leaves a note in the journal (LETTER_REPLAYS), where the shard looks every few seconds. The
 * note goes when the root has begun, so it outlives a crash in between; one of a root that nobody has is nobody's to take, and goes when it is old.
 */
#include "base/bytes.h"
#include "base/mem.h"
#include "pipeline/run/letters.h"
#include "pipeline/run/suspect.h"
#include "pipeline/run/version.h"
#include "rt/loop.h"

#include <string.h>

struct replay {
    struct journal_id id;
    struct intake *in; /* NULL: what follows, and whether it is ours, is not known yet */
    uint32_t partition;
    uint64_t epoch; /* in which the partition was ours */
    int64_t due;
    int64_t noted; /* there is a note of it, since then; 0: there is none */
};

struct replays {
    struct replay *items; /* the next to come last */
    size_t count, cap;
    bool is_beginning; /* one that is not among the items any more */
    struct fiber *sleeper;
};

static const ns_t look_again = NS_SEC, look_every = 2 * NS_SEC, note_most = 3600 * NS_SEC;

struct replays *replays_new(void)
{
    return mem_zalloc(1, sizeof(struct replays));
}

void replays_free(struct replays *q)
{
    if (q)
        mem_free(q->items);
    mem_free(q);
}

size_t replays_count(const struct replays *q)
{
    return q->count + q->is_beginning;
}

void replay_wake(struct replays *q)
{
    if (q->sleeper)
        fiber_wake(q->sleeper);
}

static void insert(struct replays *q, const struct replay *r)
{
    size_t at = q->count;

    if (q->count == q->cap) {
        q->cap = q->cap ? 2 * q->cap : 64;
        q->items = mem_realloc(q->items, q->cap * sizeof *q->items);
    }
    while (at > 0 && q->items[at - 1].due <= r->due)
        at--;
    memmove(q->items + at + 1, q->items + at, (q->count - at) * sizeof *q->items);
    q->items[at] = *r;
    q->count++;
    replay_wake(q);
}

void replay_later(const struct partition *p, const struct journal_record *root)
{
    insert(
        p->intake->shard->replays,
        &(struct replay){.id = root->id, .in = p->intake, .partition = p->number, .epoch = p->epoch, .due = root->due});
}

void shard_replay(struct shard *s, const struct journal_id *root)
{
    insert(s->replays, &(struct replay){.id = *root});
}

void replay_forget(const struct partition *p)
{
    struct replays *q = p->intake->shard->replays;
    size_t n = 0;

    for (size_t i = 0; i < q->count; i++)
        if (q->items[i].in != p->intake || q->items[i].partition != p->number)
            q->items[n++] = q->items[i];
    q->count = n;
}

/* Where the root came in, if it is this shard's to begin; else NULL. */
static struct intake *intake_of(struct shard *s, const struct replay *r, const struct journal_record *root)
{
    if (r->in)
        return intake_has(r->in, r->partition, r->epoch) ? r->in : NULL;
    const struct pipeline_node *n = str_eq(root->pipeline, s->spec->name) ? pipeline_find(s->spec, root->source) : NULL;

    return n && intake_takes(&s->intakes[n->index], root->partition) ? &s->intakes[n->index] : NULL;
}

/* A root that was parked after its letter was replayed: open it, as who replayed the letter could not. */
static SUSPENDS err_t reopen(struct journal *j, const struct journal_record *root, bool *ret_open)
{
    struct journal_op op = {.kind = JOURNAL_ROOT_REOPEN, .r = {.id = root->id, .due = rt_wall()}};

    *ret_open = root->state == ROOT_OPEN;
    if (*ret_open)
        return OK;
    TRY(letters_wait_for(j, &root->id, ret_open));
    return *ret_open ? journal_commit(j, &op, 1, JOURNAL_SYNC) : OK;
}

/* Is it to be tried again in the version that took it in, which is another one? Then that will find it (runner.h). */
static SUSPENDS err_t is_for_its_version(const struct shard *s, const struct journal_record *root, struct arena *arena,
                                         bool *ret)
{
    struct str packed = root->body.bytes;
    bool is_kept;

    *ret = false;
    if (root->body.is_blob)
        TRY(journal_blob(s->journal, root->body.sha256, arena, &packed));
    if (message_version(packed) == s->digest)
        return OK;
    return version_stands(s->journal, s->spec->name, message_version(packed), &is_kept, ret);
}

/* Does it wait for its time already? */
static bool has_queued(const struct replays *q, const struct journal_id *id, bool is_noted)
{
    for (size_t i = 0; i < q->count; i++)
        if (memcmp(q->items[i].id.b, id->b, sizeof id->b) == 0 &&
            (is_noted ? q->items[i].noted != 0 : !!q->items[i].in))
            return true;
    return false;
}

/* Its time has come. It may be gone, somebody having dropped its letters, or be another process's to begin. *ret_over: this shard will not begin it later. */
static SUSPENDS err_t begin(struct shard *s, const struct replay *r, bool *ret_over)
{
    const struct journal_query q = {.kind = JOURNAL_ROOT, .r = {.id = r->id}};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;
    bool is_open, is_for_other;

    TRY(journal_read(s->journal, &q, &arena, &page));
    struct intake *in = page.count ? intake_of(s, r, &page.records[0]) : NULL;
    *ret_over = !page.count || in;
    if (!in || (r->noted && has_queued(s->replays, &r->id, false)))
        return OK;
    TRY(is_for_its_version(s, &page.records[0], &arena, &is_for_other));
    if (is_for_other)
        return OK;
    if (shard_has_root(s, r->id)) {
        struct replay again = *r;
        again.due = rt_wall() + look_again;
        insert(s->replays, &again);
        *ret_over = false;
        return OK;
    }
    TRY(reopen(s->journal, &page.records[0], &is_open));
    return is_open ? intake_begin_again(in, &page.records[0], &arena) : OK;
}

/* And the note of it goes, if there is one. */
static SUSPENDS err_t begin_noted(struct shard *s, const struct replay *r)
{
    char key[2 * sizeof r->id.b] = "";
    struct journal_op gone = {.kind = JOURNAL_STATE_DELETE,
                              .r = {.pipeline = s->spec->name, .node = LETTER_REPLAYS, .key = str_of(key, sizeof key)}};
    bool is_over = false;

    TRY(begin(s, r, &is_over));
    if (!r->noted || (!is_over && rt_wall() - r->noted < note_most))
        return OK;
    hex_encode(key, r->id.b, sizeof r->id.b);
    return shard_commit(s, &gone, 1);
}

/* Roots that other processes want to be tried again. A journal that cannot be read is asked again later. */
static SUSPENDS err_t look_at_notes(struct shard *s)
{
    struct journal_query q = {.kind = JOURNAL_STATES, .r = {.pipeline = s->spec->name, .node = LETTER_REPLAYS}};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;

    do {
        err_t e = journal_read(s->journal, &q, &arena, &page);
        if (e != OK)
            return e == E_IO ? OK : e;
        for (size_t i = 0; i < page.count; i++) {
            const struct journal_record *note = &page.records[i];
            struct replay r = {.noted = 1};
            if (!hex_decode(r.id.b, sizeof r.id.b, note->key) || has_queued(s->replays, &r.id, true))
                continue;
            if (note->body.bytes.n == 8)
                r.noted = (int64_t)be64_get(note->body.bytes.p);
            insert(s->replays, &r);
        }
        q.after = page.next;
        arena_clear(&arena);
    } while (q.after);
    return OK;
}

static SUSPENDS err_t begin_next(struct shard *s)
{
    struct replays *q = s->replays;
    struct replay next = q->items[--q->count];

    q->is_beginning = true;
    err_t e = begin_noted(s, &next);
    q->is_beginning = false;
    if (s->finisher)
        fiber_wake(s->finisher);
    return e;
}

err_t replay_run(void *shard)
{
    struct shard *s = shard;
    struct replays *q = s->replays;
    ns_t look_at = journal_is_shared(s->journal) && !s->only_finishes ? rt_now() : NS_NEVER;
    err_t e = OK;

    while (e == OK || e == E_AGAIN) {
        if (suspect_waits(s)) {
            e = suspect_run(s);
            continue;
        }
        bool looks = s->is_resumed && !s->is_draining;
        if (looks && rt_now() >= look_at) {
            e = look_at_notes(s);
            look_at = ns_add(rt_now(), look_every);
            continue;
        }
        bool any = q->count && !s->is_draining;
        int64_t wait = any ? q->items[q->count - 1].due - rt_wall() : 0;
        if (any && wait <= 0) {
            e = begin_next(s);
            continue;
        }
        q->sleeper = fiber_current();
        ns_t until = ns_min(any ? ns_add(rt_now(), wait) : NS_NEVER, looks ? look_at : NS_NEVER);
        e = fiber_park("the time of a replay", until);
        q->sleeper = NULL;
    }
    return e;
}
