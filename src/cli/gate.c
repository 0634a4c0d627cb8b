/* gate.c - crossdock gate …: records of pipelines that wait for people, on a server that runs: who waits, and yes or no. */
#include "base/date.h"
#include "cli/admin_client.h"
#include "cli/schema_file.h"
#include "codec/json_out.h"
#include "codec/url.h"
#include "fleet/config.h"

#include <stdio.h>

enum { PATH_BYTES_MAX = 8 << 10, BODY_MAX = 32 << 20, OPERANDS_MAX = 1000 };
enum { PIPELINE, WHO, WHY, RECORD, JSON, ADMIN, KEY, KEY_FILE, OPTIONS };

struct gate_command {
    const struct verb *verb;
    char **ids;
    size_t id_count;
    const char *who, *why, *record, *pipeline;
    bool wants_json;
};

struct verb {
    const char *name;
    err_t (*run)(const struct gate_command *c, struct admin_client *client) SUSPENDS;
    bool takes_ids, decides;
};

/* --- showing --- */

static void print_line(struct json_node g, struct arena *a)
{
    char due[DATE_INSTANT_MAX];
    int64_t at = 0;

    (void)json_node_i64(json_node_get(g, STR("expires_at")), &at);
    (void)printf("%.*s  %-16.*s %-12.*s %-12.*s until %s  %.*s\n", STR_ARG(json_get_text(g, STR("id"), a)),
                 STR_ARG(json_get_text(g, STR("pipeline"), a)), STR_ARG(json_get_text(g, STR("node"), a)),
                 STR_ARG(json_get_text(g, STR("verdict"), a)), date_print_instant(at, due),
                 STR_ARG(json_node_raw(json_node_get(g, STR("show")))));
}

static void print_gate(const struct gate_command *c, struct json_node g, struct arena *a)
{
    if (c->wants_json)
        (void)printf("%.*s\n", STR_ARG(json_node_raw(g)));
    else
        print_line(g, a);
}

static SUSPENDS err_t list_page(const struct gate_command *c, struct admin_client *client, int64_t *after)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_BYTES_MAX);
    struct json_node answer;

    (void)buf_addf(&path, "/admin/gates?after=%lld&pipeline=", (long long)*after);
    TRY(url_encode(&path, str_from_c(c->pipeline)));
    TRY(admin_client_read(client, "GET", buf_str(&path), STR_NONE, &arena, &answer));
    JSON_EACH(w, json_node_get(answer, STR("gates")))
        print_gate(c, w.value, &arena);
    *after = 0;
    (void)json_node_i64(json_node_get(answer, STR("next")), after);
    return OK;
}

static SUSPENDS err_t run_list(const struct gate_command *c, struct admin_client *client)
{
    int64_t after = 0;

    do
        TRY(list_page(c, client, &after));
    while (after > 0);
    return OK;
}

static SUSPENDS err_t run_show(const struct gate_command *c, struct admin_client *client)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};

    for (size_t i = 0; i < c->id_count; i++) {
        struct json_node gate;
        TRY(admin_client_read(client, "GET", arena_printf(&arena, "/admin/gates/%s", c->ids[i]), STR_NONE, &arena,
                              &gate));
        print_gate(c, gate, &arena);
    }
    return OK;
}

/* --- deciding --- */

static err_t vote_body(const struct gate_command *c, struct arena *arena, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("who"), str_from_c(c->who));
    if (c->why)
        json_member_str(&o, STR("why"), str_from_c(c->why));
    if (c->record) {
        const struct json_tree *tree = schema_file_read(c->record, arena);
        if (!tree)
            return fail(E_PARSE, "--record %s is no JSON document", c->record);
        json_member_raw(&o, STR("record"), json_node_raw(json_tree_root(tree)));
    }
    json_close(&o, '}');
    return buf_status(to);
}

static SUSPENDS err_t run_vote(const struct gate_command *c, struct admin_client *client)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_MAX);

    TRY(vote_body(c, &arena, &body));
    for (size_t i = 0; i < c->id_count; i++) {
        struct str path = arena_printf(&arena, "/admin/gates/%s/%s", c->ids[i], c->verb->name);
        struct json_node answer = JSON_ABSENT;
        TRY(err_context(admin_client_read(client, "POST", path, buf_str(&body), &arena, &answer), "%s", c->ids[i]));
        struct str verdict = json_get_text(answer, STR("verdict"), &arena);
        (void)printf("%s  %.*s%s\n", c->ids[i], STR_ARG(verdict),
                     str_eq(verdict, STR("open")) ? ": others must agree, too" : "");
    }
    return OK;
}

/* --- the command --- */

static const struct verb verbs[] = {{"list", run_list, false, false},
                                    {"show", run_show, true, false},
                                    {"approve", run_vote, true, true},
                                    {"reject", run_vote, true, true}};

static int usage(const char *what)
{
    (void)fprintf(stderr, "crossdock gate: %s\nTry 'crossdock gate --help'.\n", what);
    return EXIT_USAGE;
}

static SUSPENDS err_t run_verb(void *ctx, struct admin_client *client)
{
    const struct gate_command *c = ctx;

    return c->verb->run(c, client);
}

static const char *wrong(const struct gate_command *c)
{
    if (c->verb->takes_ids != (c->id_count > 0))
        return c->verb->takes_ids ? "which? Name the gates' ids" : "list takes no ids";
    if (c->verb->decides && (!c->who || !*c->who))
        return "who decides? --who NAME, or USER in the environment";
    if (c->record && strcmp(c->verb->name, "approve") != 0)
        return "--record goes with approve";
    return NULL;
}

static int run(int argc, char **argv)
{
    struct option_value o[] = {
        [PIPELINE] = {"pipeline", true, NULL}, [WHO] = {"who", true, NULL},          [WHY] = {"why", true, NULL},
        [RECORD] = {"record", true, NULL},     [JSON] = {"json", false, NULL},       [ADMIN] = {"admin", true, NULL},
        [KEY] = {"key", true, NULL},           [KEY_FILE] = {"key-file", true, NULL}};
    int operands, e = cli_parse(&command_gate, argc, argv, o, OPTIONS, OPERANDS_MAX, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    struct gate_command c = {.ids = argv + 2,
                             .id_count = operands > 1 ? (size_t)operands - 1 : 0,
                             .who = o[WHO].value ? o[WHO].value : config_env_real()->getenv("USER"),
                             .why = o[WHY].value,
                             .record = o[RECORD].value,
                             .pipeline = o[PIPELINE].value ? o[PIPELINE].value : "",
                             .wants_json = o[JSON].value};
    for (size_t i = 0; i < ARRAY_LEN(verbs) && operands; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            c.verb = &verbs[i];
    if (!c.verb)
        return usage("what? list, show, approve or reject");
    const char *problem = wrong(&c);
    if (problem)
        return usage(problem);
    const struct admin_options admin = {.url = o[ADMIN].value, .key = o[KEY].value, .key_file = o[KEY_FILE].value};
    return admin_client_run(&command_gate, &admin, run_verb, &c);
}

const struct command command_gate = {
    .name = "gate",
    .summary = "records of pipelines that wait for people",
    .help = "Usage: crossdock gate list [--pipeline P] [--json]\n"
            "       crossdock gate show ID... [--json]\n"
            "       crossdock gate approve ID... [--who NAME] [--why TEXT] [--record FILE]\n"
            "       crossdock gate reject ID... [--who NAME] [--why TEXT]\n\n"
            "Asks the running server. The first decision stands; the pipeline goes on within a second.\n\n"
            "  --who NAME        who decides (default: $USER); where several must agree, each under a name of his own\n"
            "  --why TEXT        kept with the decision, up to 120 bytes\n"
            "  --record FILE     have this JSON document go on instead of the record; - is standard input\n"
            "  --json            a document a line\n" ADMIN_OPTIONS_HELP
            "\nExit codes: 0 done; 1 there is no such gate, or no server; 2 wrong command line.\n",
    .run = run,
};
