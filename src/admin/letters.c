/*
 * letters.c - /admin/dlq: dead letters of pipelines, for operators.
 *
 *   GET   /admin/dlq?pipeline=&node=&cause=&before=&after=   a page of them; `next` is the `after` of the next one
 *   GET   /admin/dlq/groups?pipeline=                        how many died of what, and where
 *   GET   /admin/dlq/{id}                                    one, and what is kept of its message
 *   PATCH /admin/dlq/{id}      {"record": …}                 have the node given another record
 *   POST  /admin/dlq/replay    {"ids": [...], "rate": 10}, or {"ids": [...], "original": true}: in the versions that took them in
 *   POST  /admin/dlq/drop      {"ids": [...]}
 *
 * Everything is done to the journal (pipeline/run/letters.h), so it has come about when it is answered. Of a replay the loops are told then, so that whichever
 * shard has the message begins at once; were the process to end before, the next run would.
 */
#include "admin/admin_int.h"

#include "base/mem.h"
#include "codec/json_tree.h"
#include "codec/url.h"
#include "pipeline/run/letters.h"
#include "pipeline/run/runner.h"

enum { IDS_MAX = 10000, PAGE_MAX = 64 << 20, RATE_USUAL = 10, RATE_MOST = 1000000 };

/* Letters that are meant, on their way round the loops. */
struct admin_replays {
    struct arena arena;
    struct dead_letter *letters;
    size_t count;
};

static void replays_drop(void *arg)
{
    struct admin_replays *all = arg;

    arena_release(&all->arena);
    mem_free(all);
}

static void replays_drop_p(struct admin_replays **all)
{
    if (*all)
        replays_drop(*all);
}

void admin_replay(struct runner *r, void *replays)
{
    const struct admin_replays *all = replays;

    for (size_t i = 0; i < all->count; i++)
        runner_replay(r, all->letters[i].pipeline, &all->letters[i].root);
}

/* --- what is asked --- */

static SUSPENDS err_t find_all(const struct admin *a, struct json_node ids, struct admin_replays *all)
{
    size_t n = json_node_count(ids);

    if (!json_node_is(ids, JSON_ARRAY) || !n || n > IDS_MAX)
        return fail(E_PARSE, "\"ids\" is to be an array of 1 to %d ids of dead letters", IDS_MAX);
    all->letters = arena_alloc(&all->arena, n * sizeof *all->letters);
    JSON_EACH(w, ids) {
        struct str id = json_node_text(w.value, &all->arena);
        TRY(letters_find(a->journal, id, &all->arena, &all->letters[all->count]));
        all->count++;
    }
    return OK;
}

/* --- looking --- */

static SUSPENDS err_t put_page(const struct admin *a, struct http_request *r, struct buf *to)
{
    struct str query = r->head.query;
    struct letter_filter filter = {.pipeline = url_query_get(query, STR("pipeline"), r->arena),
                                   .node = url_query_get(query, STR("node"), r->arena),
                                   .cause = url_query_get(query, STR("cause"), r->arena)};
    struct str before = url_query_get(query, STR("before"), r->arena),
               from = url_query_get(query, STR("after"), r->arena);
    struct json_out o = json_out_to(to);
    struct dead_letter *page;
    uint64_t until = 0, after = 0;
    size_t count;

    if ((before.n && !str_to_u64(before, INT64_MAX, &until)) || (from.n && !str_to_u64(from, INT64_MAX, &after)))
        return fail(E_PARSE, "'before' and 'after' are numbers: nanoseconds since 1970, and what 'next' said");
    filter.before = (int64_t)until;
    TRY(letters_page(a->journal, &filter, &after, r->arena, &page, &count));
    json_open(&o, '{');
    json_member_open(&o, STR("letters"), '[');
    for (size_t i = 0; i < count; i++)
        letter_put(&page[i], &o);
    json_close(&o, ']');
    if (after)
        json_member_u64(&o, STR("next"), after);
    json_close(&o, '}');
    return OK;
}

static SUSPENDS err_t put_groups(const struct admin *a, struct http_request *r, struct buf *to)
{
    struct json_out o = json_out_to(to);
    struct letter_group *groups;
    size_t count;

    TRY(letters_groups(a->journal, url_query_get(r->head.query, STR("pipeline"), r->arena), r->arena, &groups, &count));
    json_open(&o, '{');
    json_member_open(&o, STR("groups"), '[');
    for (size_t i = 0; i < count; i++)
        letter_group_put(&groups[i], &o);
    json_close(&o, ']');
    json_close(&o, '}');
    return OK;
}

static SUSPENDS err_t put_letter(const struct admin *a, struct http_request *r, struct str id, struct buf *to)
{
    struct json_out o = json_out_to(to);
    struct letter_kept kept;
    struct dead_letter l;

    TRY(letters_find(a->journal, id, r->arena, &l));
    TRY(letters_kept(a->journal, &l, &kept));
    json_open(&o, '{');
    json_key(&o, STR("letter"));
    letter_put(&l, &o);
    json_member_open(&o, STR("kept"), '{');
    json_member_u64(&o, STR("steps"), kept.steps);
    json_member_u64(&o, STR("effects"), kept.effects);
    json_close(&o, '}');
    json_close(&o, '}');
    return OK;
}

/* --- changing --- */

static void put_count(struct buf *to, size_t count)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_u64(&o, STR("count"), count);
    json_close(&o, '}');
}

static SUSPENDS err_t edit(const struct admin *a, struct http_request *r, struct str id, struct buf *to)
{
    struct json_node body;
    struct dead_letter l;

    TRY(admin_read_object(r, &body));
    struct json_node record = json_node_get(body, STR("record"));
    if (json_is_absent(record))
        return fail(E_PARSE, "\"record\" is missing: what the node is to be given");
    TRY(letters_find(a->journal, id, r->arena, &l));
    TRY(letters_edit(a->journal, &l, json_node_raw(record)));
    put_count(to, 1);
    return OK;
}

static err_t rate_of(struct json_node body, int64_t *ret)
{
    struct json_node rate = json_node_get(body, STR("rate"));

    *ret = RATE_USUAL;
    if (!json_is_absent(rate) && json_get_true(body, STR("original")))
        return fail(E_PARSE, "\"rate\" does not go with \"original\": the version that took messages in tries them all "
                             "at once, and the present one waits meanwhile");
    if (!json_is_absent(rate) && (!json_node_i64(rate, ret) || *ret < 1 || *ret > RATE_MOST))
        return fail(E_PARSE, "\"rate\" is a number of letters a second, 1 to %d", RATE_MOST);
    return OK;
}

static SUSPENDS err_t replay(const struct admin *a, struct http_request *r, struct buf *to)
{
    struct admin_replays *all CLEANUP(replays_drop_p) = NEW(struct admin_replays);
    struct json_node body;
    size_t count;
    int64_t rate;

    arena_init(&all->arena, ADMIN_ANSWER_MAX);
    TRY(admin_read_object(r, &body));
    TRY(rate_of(body, &rate));
    TRY(find_all(a, json_node_get(body, STR("ids")), all));
    if (json_get_true(body, STR("original")))
        TRY(letters_replay_original(a->journal, all->letters, all->count, &count));
    else
        TRY(letters_replay(a->journal, all->letters, all->count, NS_SEC / rate, &count));
    struct admin_replays *visiting = all;
    all = NULL;
    TRY(loops_visit(a->loops, a->replays, visiting, replays_drop));
    replays_drop(visiting);
    put_count(to, count);
    return OK;
}

static SUSPENDS err_t drop(const struct admin *a, struct http_request *r, struct buf *to)
{
    struct admin_replays *all CLEANUP(replays_drop_p) = NEW(struct admin_replays);
    struct json_node body;

    arena_init(&all->arena, ADMIN_ANSWER_MAX);
    TRY(admin_read_object(r, &body));
    TRY(find_all(a, json_node_get(body, STR("ids")), all));
    for (size_t i = 0; i < all->count; i++)
        TRY(letters_drop(a->journal, &all->letters[i]));
    put_count(to, all->count);
    return OK;
}

/* --- the way in --- */

static SUSPENDS err_t answer(const struct admin *a, struct http_request *r, struct str rest, struct buf *to)
{
    struct str method = r->head.method;

    if (str_eq(method, STR("POST")))
        return str_eq(rest, STR("replay")) ? replay(a, r, to) : drop(a, r, to);
    if (str_eq(method, STR("PATCH")))
        return edit(a, r, rest, to);
    if (!rest.n)
        return put_page(a, r, to);
    return str_eq(rest, STR("groups")) ? put_groups(a, r, to) : put_letter(a, r, rest, to);
}

err_t serve_letters(const struct admin *a, struct http_request *r, struct str rest)
{
    bool is_action = str_eq(rest, STR("replay")) || str_eq(rest, STR("drop"));
    bool is_letter = rest.n && !is_action && !str_eq(rest, STR("groups"));
    struct buf body CLEANUP(buf_release) = BUF_INIT(PAGE_MAX);

    if (is_action ? !admin_is_method(r, STR("POST"))
                  : !admin_is_method(r, STR("GET")) && !(is_letter && admin_is_method(r, STR("PATCH"))))
        return admin_refuse(r, 405,
                            is_action   ? STR("Use POST.")
                            : is_letter ? STR("Use GET or PATCH.")
                                        : STR("Use GET."));
    err_t e = answer(a, r, rest, &body);
    return e == OK ? admin_reply_json(r, 200, &body) : admin_refuse_error(r, e);
}
