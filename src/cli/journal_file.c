/*
 * journal_file.c - a journal that is opened where somebody says, and for one command.
 *
 * What is kept there stays as long as it would have: its ages are the pipeline's affair, so nothing is swept here.
 */
#include "cli/journal_file.h"

#include "base/map.h"
#include "codec/url.h"
#include "fleet/config.h"
#include "rt/loop.h"
#include "rt/worker.h"

#include <stdio.h>

/* The part of "user:password" before the colon, or behind it. */
static err_t user_part(struct str *rest, struct arena *a, struct str *ret)
{
    return url_decode(str_cut(rest, ':'), a, ret);
}

static err_t open_database(struct str url, const struct postgres_options *login, struct journal_options options,
                           struct journal **ret)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct secret password CLEANUP(secret_release) = {0};
    struct postgres_options database = login ? *login : (struct postgres_options){0};
    struct url parts;
    struct str user, text;

    if (url_parse(url, &parts) != OK)
        return fail(E_CONFIG, "the journal's URL is none: %s", err_detail(E_PARSE));
    TRY(user_part(&parts.userinfo, &a, &user));
    TRY(url_decode(parts.userinfo, &a, &text));
    password = secret_make(text);
    database.url = url;
    if (!database.user.n)
        database.user = user;
    if (!database.password || !secret_reveal(database.password).n)
        database.password = &password;
    options.kind = "postgres";
    options.postgres = &database;
    return journal_open(&options, ret);
}

err_t open_journal(const char *place, const struct postgres_options *login, struct journal_options options,
                   struct journal **ret)
{
    if (place && journal_is_database(str_from_c(place)))
        return open_database(str_from_c(place), login, options, ret);
    options.kind = place ? "sqlite" : "memory";
    options.path = place;
    return journal_open(&options, ret);
}

struct file_visit {
    struct journal *journal;
    journal_file_fn *fn;
    void *ctx;
};

static SUSPENDS err_t run_fiber(void *arg)
{
    struct file_visit *v = arg;

    return v->fn(v->ctx, v->journal);
}

/* Opening would make it. */
static err_t check_is_there(const char *path)
{
    struct buf first CLEANUP(buf_release) = BUF_INIT(1);

    err_t e = config_env_real()->read_file(path, 1, &first);
    return e == E_TOO_LARGE || (e == OK && first.n) ? OK : fail(E_NOT_FOUND, "there is no journal %s", path);
}

int journal_file_run(const struct command *c, const char *path, journal_file_fn *fn, void *ctx)
{
    const struct journal_options o = {.traces_max = UINT64_MAX, .trace_age = NS_NEVER, .dead_age = NS_NEVER};
    struct file_visit v = {.fn = fn, .ctx = ctx};
    unsigned char hash_key[16];

    rt_random_bytes(hash_key, sizeof hash_key);
    map_set_hash_key(hash_key);
    workers_start(1);
    err_t e = journal_is_database(str_from_c(path)) ? OK : check_is_there(path);
    if (e == OK)
        e = open_journal(path, NULL, o, &v.journal);
    if (e == OK) {
        e = loop_run(&(struct loop_options){0}, run_fiber, &v);
        journal_close(v.journal);
    }
    workers_stop();
    if (e != OK)
        (void)fprintf(stderr, "crossdock %s: %s\n", c->name, err_detail(e));
    return e == OK ? EXIT_OK : EXIT_FAILED;
}
