/*
 * registry.c - crossdock registry: the schema registry on its own, at an address for tools.
 *
 * Who may ask is decided by a name and a password (RFC 7617) where they are given; else it listens where only this machine can reach it, unless it is told
 * otherwise.
 */
#include "cli/cli.h"
#include "cli/registry_http.h"
#include "fleet/config.h"
#include "net/http_server.h"
#include "rt/loop.h"
#include "rt/worker.h"

#include <stdio.h>

enum { PASSWORD_MAX = 4096 };

struct registry_process {
    struct registry_http http;
    struct addr at;
};

static SUSPENDS err_t registry_main(void *arg)
{
    struct registry_process *p = arg;
    const struct http_server_options o = {
        .limits = http_limits_default(), .handler = registry_http_handle, .ctx = &p->http, .server_name = "crossdock"};
    struct http_server *server = http_server_new(&o);
    char text[ADDR_TEXT_MAX];
    struct addr bound;

    err_t e = http_server_listen(server, &p->at, LISTEN_ALONE, NULL, &bound);
    if (e == OK) {
        addr_format(&bound, text);
        (void)fprintf(stderr, "crossdock registry: schemas at http://%s\n", text);
        e = cli_run_until_stopped(server, "schema registry");
    }
    http_server_free(server);
    return e;
}

static int start(struct registry_process *p, const char *path)
{
    cli_begin_serving();
    err_t e = registry_open(path, &p->http.registry);
    if (e == OK) {
        workers_start(1);
        e = loop_run(&(struct loop_options){0}, registry_main, p);
        workers_stop();
        registry_close(p->http.registry);
    }
    if (e == OK || e == E_CANCELLED)
        return EXIT_OK;
    (void)fprintf(stderr, "crossdock registry: %s\n", err_detail(e));
    return EXIT_FAILED;
}

static err_t read_credentials(struct registry_process *p, const char *name, const char *path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(PASSWORD_MAX);

    TRY(config_env_real()->read_file(path, PASSWORD_MAX, &text));
    struct str password = buf_str(&text);
    password = str_trim(str_slice(password, 0, str_find_char(password, '\n')));
    if (!password.n)
        return fail(E_CONFIG, "there is no password");
    err_t e = registry_http_allow(&p->http, str_from_c(name), password);
    explicit_bzero(text.p, text.n);
    return e;
}

static int usage(const char *what)
{
    (void)fprintf(stderr, "crossdock registry: %s\nTry 'crossdock registry --help'.\n", what);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    struct option_value o[] = {
        {"listen", true, NULL}, {"data", true, NULL}, {"user", true, NULL}, {"password-file", true, NULL}};
    int operands, e = cli_parse(&command_registry, argc, argv, o, ARRAY_LEN(o), 0, &operands);
    struct registry_process p = {.at = {0}};

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (!o[1].value)
        return usage("where are the schemas kept? --data FILE");
    if (!o[2].value != !o[3].value)
        return usage("--user and --password-file go together");
    if (addr_parse(str_from_c(o[0].value ? o[0].value : "127.0.0.1:8081"), &p.at) != OK)
        return usage(err_detail(E_PARSE));
    err_t read = o[2].value ? read_credentials(&p, o[2].value, o[3].value) : OK;
    e = read == OK ? start(&p, o[1].value) : EXIT_FAILED;
    if (read != OK)
        (void)fprintf(stderr, "crossdock registry: %s: %s\n", o[3].value, err_detail(read));
    registry_http_release(&p.http);
    return e;
}

const struct command command_registry = {
    .name = "registry",
    .summary = "serve schemas by subject and version",
    .help =
        "Usage: crossdock registry --data FILE [--listen ADDR] [--user NAME --password-file FILE]\n\n"
        "Keeps versions of JSON Schemas under subjects, and refuses those that do not go with the earlier ones, as "
        "the\n"
        "level that is configured for the subject says. Speaks the REST API of Confluent's Schema Registry.\n\n"
        "  --data FILE       where they are kept: a SQLite database, which is made if it is missing\n"
        "  --listen ADDR     default 127.0.0.1:8081; port 0 takes a free one and prints it\n"
        "  --user NAME       who may ask, with the password in --password-file FILE; default: anybody who reaches it\n",
    .run = run,
};
