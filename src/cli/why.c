/* why.c - crossdock why ID: the story of one request, told by the server that served it. */
#include "cli/admin_client.h"
#include "codec/json_tree.h"
#include "codec/url.h"

#include <stdio.h>

enum { PATH_MAX_BYTES = 4096, ANSWER_MAX = 64 * 1024 * 1024, ARENA_MAX = 512 * 1024 * 1024 };

struct question {
    struct str id;
    bool wants_json;
};

static err_t print_story(struct str answer, struct arena *arena)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(arena, answer, &tree));
    JSON_EACH(w, json_node_get(json_tree_root(tree), STR("story")))
        (void)printf("%.*s\n", STR_ARG(json_node_text(w.value, arena)));
    return OK;
}

static SUSPENDS err_t ask(void *ctx, struct admin_client *client)
{
    const struct question *q = ctx;
    struct arena arena CLEANUP(arena_release);
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);
    struct buf answer CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    int status;

    arena_init(&arena, ARENA_MAX);
    (void)buf_add_lit(&path, "/admin/decisions/");
    TRY(url_encode(&path, q->id));
    TRY(admin_client_get(client, buf_str(&path), &status, &answer));
    if (status != 200)
        return fail(E_NOT_FOUND, "%.*s", STR_ARG(admin_client_message(buf_str(&answer), &arena)));
    if (!q->wants_json)
        return print_story(buf_str(&answer), &arena);
    (void)printf("%.*s\n", STR_ARG(buf_str(&answer)));
    return OK;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {
        {"admin", true, NULL}, {"key", true, NULL}, {"key-file", true, NULL}, {"json", false, NULL}};
    int operands, e = cli_parse(&command_why, argc, argv, options, ARRAY_LEN(options), 1, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (operands != 1) {
        (void)fputs("crossdock why: name a request, by its x-request-id\nTry 'crossdock why --help'.\n", stderr);
        return EXIT_USAGE;
    }
    struct admin_options o = {.url = options[0].value, .key = options[1].value, .key_file = options[2].value};
    struct question q = {.id = str_from_c(argv[1]), .wants_json = options[3].value != NULL};
    return admin_client_run(&command_why, &o, ask, &q);
}

const struct command command_why = {
    .name = "why",
    .summary = "tell the story of one request",
    .help = "Usage: crossdock why ID [--json] [--admin URL] [--key KEY | --key-file FILE]\n\n"
            "Asks the running server what became of the request whose x-request-id is ID: which route, who could be "
            "chosen and who "
            "was left\n"
            "out by which rule, every attempt with its times, tokens and price, and why it went on or ended.\n\n"
            "  --json            the facts as JSON, with the story in them\n" ADMIN_OPTIONS_HELP,
    .run = run,
};
