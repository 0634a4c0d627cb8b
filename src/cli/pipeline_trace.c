/* pipeline_trace.c - crossdock pipeline trace: what became of a message, step by step, as the journal has it, or a server that runs. */
#include "base/date.h"
#include "cli/admin_client.h"
#include "cli/journal_file.h"
#include "cli/pipelines.h"
#include "codec/json_tree.h"
#include "pipeline/run/traces.h"

#include <inttypes.h>
#include <stdio.h>

enum { ANSWER_MAX = 64 << 20 };

struct question {
    const char *id;
    bool wants_json;
};

static int64_t number(struct json_node o, struct str key)
{
    int64_t n = 0;

    (void)json_node_i64(json_node_get(o, key), &n);
    return n;
}

static void print_step(struct json_node s, struct arena *a)
{
    struct str node = json_get_text(s, STR("node"), a), end = json_get_text(s, STR("end"), a);

    (void)printf("  %+10.3f ms  %-24.*s %-7.*s %10.3f ms  %.*s -> %.*s\n", (double)number(s, STR("came_us")) / 1000,
                 STR_ARG(node), STR_ARG(end), (double)number(s, STR("took_us")) / 1000,
                 STR_ARG(json_get_text(s, STR("in"), a)), STR_ARG(json_get_text(s, STR("out"), a)));
}

static err_t print_trace(const struct root_trace *t, struct arena *a)
{
    char at[DATE_INSTANT_MAX], sent[DATE_INSTANT_MAX];
    const struct json_tree *tree;

    TRY(json_tree_parse(a, t->json, &tree));
    struct json_node o = json_tree_root(tree), steps = json_node_get(o, STR("steps"));
    struct str key = json_get_text(o, STR("key"), a);
    (void)printf("message   %s\nof        %.*s, version %" PRId64 " (%.*s)\nfrom      %.*s, sent %s%s%.*s\n", t->hex,
                 STR_ARG(t->pipeline), number(o, STR("version")), STR_ARG(json_get_text(o, STR("digest"), a)),
                 STR_ARG(json_get_text(o, STR("source"), a)), date_print_instant(number(o, STR("sent_at")), sent),
                 key.n ? ", key " : "", STR_ARG(key));
    (void)printf("over      %s after %.3f ms, %" PRId64 " failed\n", date_print_instant(t->at, at),
                 (double)number(o, STR("took_us")) / 1000, number(o, STR("failed")));
    JSON_EACH(w, steps)
        print_step(w.value, a);
    if (number(o, STR("records")) > (int64_t)json_node_count(steps))
        (void)printf("  and %" PRId64 " more records\n", number(o, STR("records")) - (int64_t)json_node_count(steps));
    return OK;
}

static void print_json(const struct root_trace *t)
{
    (void)printf("{\"id\":\"%s\",\"pipeline\":\"%.*s\",\"at\":%" PRId64 ",\"trace\":%.*s}\n", t->hex,
                 STR_ARG(t->pipeline), t->at, STR_ARG(t->json));
}

static void print_in_list(const struct question *q, const struct root_trace *t)
{
    char at[DATE_INSTANT_MAX];

    if (q->wants_json)
        print_json(t);
    else
        (void)printf("%s  %s  %.*s\n", t->hex, date_print_instant(t->at, at), STR_ARG(t->pipeline));
}

static err_t print_one(const struct question *q, const struct root_trace *t, struct arena *a)
{
    if (!q->wants_json)
        return print_trace(t, a);
    print_json(t);
    return OK;
}

/* --- in a journal --- */

static SUSPENDS err_t list(const struct question *q, struct journal *j)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    uint64_t after = 0;

    do {
        struct root_trace *page;
        size_t count;
        TRY(traces_page(j, STR_NONE, &after, &a, &page, &count));
        for (size_t i = 0; i < count; i++)
            print_in_list(q, &page[i]);
        arena_clear(&a);
    } while (after);
    return OK;
}

static SUSPENDS err_t answer(void *ctx, struct journal *j)
{
    const struct question *q = ctx;
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct root_trace t;

    if (!q->id)
        return list(q, j);
    TRY(traces_find(j, str_from_c(q->id), &a, &t));
    return print_one(q, &t, &a);
}

/* --- at a server --- */

static err_t take_trace(struct json_node o, struct arena *a, struct root_trace *ret)
{
    struct str id = json_get_text(o, STR("id"), a);

    if (id.n != sizeof ret->hex - 1)
        return fail(E_PROTOCOL, "the server tells of a message without an id");
    *ret = (struct root_trace){.pipeline = json_get_text(o, STR("pipeline"), a),
                               .at = number(o, STR("at")),
                               .json = json_node_raw(json_node_get(o, STR("trace")))};
    memcpy(ret->hex, id.p, id.n);
    return OK;
}

static SUSPENDS err_t ask(struct admin_client *client, struct str path, struct arena *a, struct json_node *ret)
{
    struct buf answer CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    const struct json_tree *tree;
    int status;

    TRY(admin_client_get(client, path, &status, &answer));
    struct str text = arena_str(a, buf_str(&answer));
    if (status != 200)
        return fail(E_UPSTREAM, "%.*s", STR_ARG(admin_client_message(text, a)));
    TRY(json_tree_parse(a, text, &tree));
    *ret = json_tree_root(tree);
    return OK;
}

static SUSPENDS err_t ask_list(const struct question *q, struct admin_client *client)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    int64_t after = 0;

    do {
        struct json_node page;
        TRY(ask(client, arena_printf(&a, "/admin/trace?after=%" PRId64, after), &a, &page));
        JSON_EACH(w, json_node_get(page, STR("traces"))) {
            struct root_trace t;
            TRY(take_trace(w.value, &a, &t));
            print_in_list(q, &t);
        }
        after = number(page, STR("next"));
        arena_clear(&a);
    } while (after > 0);
    return OK;
}

static SUSPENDS err_t ask_server(void *ctx, struct admin_client *client)
{
    const struct question *q = ctx;
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct json_node o;
    struct root_trace t;

    if (!q->id)
        return ask_list(q, client);
    TRY(ask(client, arena_printf(&a, "/admin/trace/%s", q->id), &a, &o));
    TRY(take_trace(o, &a, &t));
    return print_one(q, &t, &a);
}

int pipeline_trace(const char *journal_path, const struct admin_options *server, const char *id, bool wants_json)
{
    struct question q = {id, wants_json};

    return journal_path ? journal_file_run(&command_pipeline, journal_path, answer, &q)
                        : admin_client_run(&command_pipeline, server, ask_server, &q);
}
