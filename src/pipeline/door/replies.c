/* replies.c - replies in the journal, and requests that wait for them. A row is the time, the status, and the body. */
#include "pipeline/door/replies.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/json_out.h"
#include "rt/loop.h"

#include <string.h>

enum { HEAD = 12, SWEEP_ROWS = 200, REPLY_MAX = JOURNAL_BODY_MAX };

/* Who waits for one root. */
struct awaited {
    struct list link;
    struct journal_id id; /* the map's key */
    struct knock *first;
    size_t told;     /* bytes of the answer that those who hear pieces were told */
    struct buf said; /* an answer that is made of pieces                         */
    bool is_pieces;  /* it is                                                    */
};

/* A root that came to its end without a reply of a sink, of which the journal cannot tell yet. */
struct ended {
    struct list link;
    struct journal_id id;
    uint64_t noted; /* the clerk's number of that */
    int status;     /* what who asks is told      */
    size_t body_bytes;
    char body[];
};

struct replies {
    struct shard *shard;
    const struct pipeline_node *source;
    struct map awaited; /* struct awaited *, by id */
    struct list all;    /* the same                */
    struct list ended;  /* in the clerk's order    */
};

static struct str id_key(const struct journal_id *id)
{
    return str_of((const char *)id->b, sizeof id->b);
}

struct replies *shard_replies(struct shard *s, const struct pipeline_node *source)
{
    struct replies **at = &s->intakes[source->index].replies;

    if (!*at) {
        *at = NEW(struct replies);
        **at = (struct replies){.shard = s, .source = source};
        list_init(&(*at)->all);
        list_init(&(*at)->ended);
    }
    return *at;
}

static void forget(struct replies *r, struct awaited *a)
{
    map_remove(&r->awaited, id_key(&a->id));
    list_remove(&a->link);
    buf_release(&a->said);
    mem_free(a);
}

/* Answer all who wait. */
static void answer_all(struct replies *r, struct awaited *a, int status, struct str body)
{
    for (struct knock *k = a->first, *next; k; k = next) {
        next = k->next;
        knock_answer(k, status, body);
    }
    forget(r, a);
}

void replies_answer(struct replies *r, struct journal_id id, int status, struct str body)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    if (a)
        answer_all(r, a, status, body);
}

void replies_give_back(struct replies *r, struct journal_id id)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    if (!a)
        return;
    for (struct knock *k = a->first, *next; k; k = next) {
        next = k->next;
        knock_give_back(k);
    }
    forget(r, a);
}

static void forget_first_ended(struct replies *r)
{
    mem_free(CONTAINER_OF(list_pop_front(&r->ended), struct ended, link));
}

void replies_free(struct replies *r)
{
    if (!r)
        return;
    LIST_EACH(node, next, &r->all)
        answer_all(r, CONTAINER_OF(node, struct awaited, link), 503,
                   STR("{\"error\":{\"message\":\"The pipeline stops: send the message again.\"}}"));
    while (!list_is_empty(&r->ended))
        forget_first_ended(r);
    map_release(&r->awaited);
    mem_free(r);
}

/* True: nobody waits any more. */
static bool prune(struct awaited *a)
{
    struct knock **at = &a->first;

    while (*at) {
        struct knock *k = *at;
        if (!knock_is_gone(k)) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        knock_answer(k, 0, STR_NONE); /* which nobody hears: it only goes */
    }
    return !a->first;
}

void replies_prune(struct replies *r)
{
    LIST_EACH(node, next, &r->all) {
        struct awaited *a = CONTAINER_OF(node, struct awaited, link);
        if (prune(a))
            forget(r, a);
    }
}

bool replies_are_awaited(const struct replies *r, struct journal_id id)
{
    return map_get(&r->awaited, id_key(&id)) != NULL;
}

void replies_wait(struct replies *r, struct journal_id id, struct knock *k)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    if (!a) {
        a = NEW(struct awaited);
        a->id = id;
        buf_init(&a->said, REPLY_MAX / 2);
        map_put(&r->awaited, id_key(&a->id), a);
        list_push_back(&r->all, &a->link);
    }
    k->next = a->first;
    a->first = k;
}

void replies_are_safe(struct replies *r, struct journal_id id)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    for (struct knock *k = a ? a->first : NULL; k; k = k->next)
        knock_is_safe(k);
}

/* --- in pieces --- */

static bool tell(struct awaited *a, struct str text)
{
    bool any = false;

    if (text.n <= a->told)
        return false;
    for (struct knock *k = a->first; k; k = k->next)
        any |= knock_say(k, str_slice(text, a->told, text.n));
    a->told = text.n;
    return any;
}

bool replies_tell(struct replies *r, struct journal_id id, struct str text)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    return a && tell(a, text);
}

err_t replies_add(struct replies *r, struct journal_id id, struct str between, struct str piece)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    if (!a) /* nobody waits for it any more */
        return OK;
    if (a->is_pieces)
        TRY(buf_add(&a->said, between));
    a->is_pieces = true;
    TRY(buf_add(&a->said, piece));
    (void)tell(a, buf_str(&a->said));
    return OK;
}

void replies_spent(struct replies *r, struct journal_id id, uint64_t input_tokens, uint64_t output_tokens)
{
    struct awaited *a = map_get(&r->awaited, id_key(&id));

    for (struct knock *k = a ? a->first : NULL; k; k = k->next)
        knock_spent(k, input_tokens, output_tokens);
}

/* --- the journal --- */

static struct journal_record row_of(const struct replies *r, const struct journal_id *id)
{
    return (struct journal_record){
        .pipeline = r->shard->spec->name, .node = r->source->name, .key = id ? id_key(id) : STR_NONE};
}

static err_t pack(int status, struct str body, struct buf *to)
{
    char head[HEAD];

    be64_put(head, (uint64_t)rt_wall());
    be32_put(head + 8, (uint32_t)status);
    TRY(buf_add(to, str_of(head, sizeof head)));
    return buf_add(to, body);
}

/* The row's bytes, wherever they are. */
static SUSPENDS err_t bytes_of(struct replies *r, const struct journal_record *row, struct arena *arena,
                               struct str *ret)
{
    *ret = row->body.bytes;
    if (row->body.is_blob)
        TRY(journal_blob(r->shard->journal, row->body.sha256, arena, ret));
    return ret->n >= HEAD ? OK : fail(E_IO, "a reply in the journal is cut off");
}

/* What who asks is told of a root without a reply of a sink. */
static int status_of_end(bool has_failed, struct str *ret_body)
{
    *ret_body = has_failed ? STR("{\"error\":{\"message\":\"The message could not be worked on.\"}}") : STR_NONE;
    return has_failed ? 500 : 204;
}

/* Those that the journal can tell of need not be known here any more. */
static const struct ended *find_ended(struct replies *r, struct journal_id id)
{
    while (!list_is_empty(&r->ended) &&
           clerk_has(r->shard->clerk, CONTAINER_OF(r->ended.next, struct ended, link)->noted))
        forget_first_ended(r);
    LIST_EACH(node, next, &r->ended) {
        const struct ended *e = CONTAINER_OF(node, struct ended, link);
        if (memcmp(e->id.b, id.b, sizeof id.b) == 0)
            return e;
    }
    return NULL;
}

err_t replies_find(struct replies *r, struct journal_id id, struct arena *arena, int *ret_status, struct str *ret_body)
{
    const struct journal_query q = {.kind = JOURNAL_STATES, .r = row_of(r, &id), .limit = 1};
    const struct ended *ended = find_ended(r, id);
    struct journal_page page;
    struct str bytes;

    *ret_status = 0;
    if (ended) {
        *ret_status = ended->status;
        *ret_body = arena_str(arena, str_of(ended->body, ended->body_bytes));
        return OK;
    }
    TRY(journal_read(r->shard->journal, &q, arena, &page));
    if (page.count == 0)
        return OK;
    TRY(bytes_of(r, &page.records[0], arena, &bytes));
    *ret_status = (int)be32_get(bytes.p + 8);
    *ret_body = str_slice(bytes, HEAD, bytes.n);
    return OK;
}

err_t replies_put(const struct reply *all, size_t n, struct arena *arena)
{
    struct journal_op *ops = arena_alloc(arena, n * sizeof *ops);

    if (!n)
        return OK;
    for (size_t i = 0; i < n; i++) {
        struct buf bytes CLEANUP(buf_release) = BUF_INIT(REPLY_MAX);
        TRY(pack(all[i].status, all[i].body, &bytes));
        ops[i] = (struct journal_op){.kind = JOURNAL_STATE_PUT, .r = row_of(all[i].to, &all[i].id)};
        ops[i].r.body = (struct journal_body){.form = BODY_REPLY, .bytes = arena_str(arena, buf_str(&bytes))};
    }
    TRY(journal_commit(all->to->shard->journal, ops, n, JOURNAL_SYNC));
    for (size_t i = 0; i < n; i++)
        replies_answer(all[i].to, all[i].id, all[i].status, all[i].body);
    return OK;
}

/* The pieces as one text, in JSON. False: there are none. */
static bool put_together(const struct replies *r, struct journal_id id, struct buf *to)
{
    const struct awaited *a = map_get(&r->awaited, id_key(&id));
    struct json_out o = json_out_to(to);

    if (!a || !a->is_pieces)
        return false;
    json_put_str(&o, buf_str(&a->said));
    return buf_status(to) == OK;
}

/* From here on it is known by this, until the journal has it. */
static void note_end(struct replies *r, struct journal_id id, int status, struct str body)
{
    struct ended *e = mem_alloc(sizeof *e + body.n);

    (void)find_ended(r, id);
    *e = (struct ended){.id = id, .noted = clerk_noted(r->shard->clerk), .status = status, .body_bytes = body.n};
    if (body.n)
        memcpy(e->body, body.p, body.n);
    list_push_back(&r->ended, &e->link);
}

void replies_none(struct replies *r, struct journal_id id, bool has_failed)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(REPLY_MAX - HEAD);
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(REPLY_MAX);
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = row_of(r, &id)};
    struct str words;
    int status = status_of_end(has_failed, &words);

    if (!has_failed && put_together(r, id, &text)) {
        status = 200;
        words = buf_str(&text);
    }
    if (pack(status, words, &bytes) == OK) {
        op.r.body = (struct journal_body){.form = BODY_REPLY, .bytes = buf_str(&bytes)};
        clerk_note(r->shard->clerk, &op);
        note_end(r, id, status, words);
    }
    replies_answer(r, id, status, words);
}

static SUSPENDS err_t is_expired(struct replies *r, const struct journal_record *row, struct arena *arena, ns_t keep,
                                 bool *ret)
{
    struct str bytes;

    TRY(bytes_of(r, row, arena, &bytes));
    *ret = (int64_t)be64_get(bytes.p) + keep < rt_wall();
    return OK;
}

err_t replies_expire(struct replies *r, ns_t keep, bool *ret_more)
{
    const struct journal_query q = {.kind = JOURNAL_STATES, .r = row_of(r, NULL), .limit = SWEEP_ROWS};
    struct arena arena CLEANUP(arena_release);
    struct journal_op *ops;
    struct journal_page page;
    size_t n = 0;
    bool is_old = true;

    arena_init(&arena, SIZE_MAX);
    TRY(journal_read(r->shard->journal, &q, &arena, &page));
    ops = arena_alloc(&arena, (page.count + 1) * sizeof *ops);
    for (size_t i = 0; i < page.count && is_old; i++) { /* the oldest come first */
        TRY(is_expired(r, &page.records[i], &arena, keep, &is_old));
        if (is_old)
            ops[n++] = (struct journal_op){.kind = JOURNAL_STATE_DELETE, .r = row_of(r, NULL)};
        if (is_old)
            ops[n - 1].r.key = page.records[i].key;
    }
    *ret_more = n > 0 && n == page.count && page.next;
    return n ? journal_commit(r->shard->journal, ops, n, JOURNAL_SYNC) : OK;
}
