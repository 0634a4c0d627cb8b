/*
 * pipe_world.h - whole pipelines in the simulated world: virtual time, a journal in memory, files on the simulated disk, and an HTTP API that a test defines.
 *
 *     PIPE_TEST(a_test, "pipeline: p\n…")
 *     {
 *         put_file("/in", "{\"n\":1}\n");
 *         run_for(w, 10 * NS_SEC);               // then it is killed, in virtual time; what the journal has stays
 *         CHECK_STR(file("/out"), "{\"n\":1}\n");
 *     }
 *
 * The API listens on 127.0.0.1:8080 when `w->answer` is set.
 */
#ifndef UNIT_PIPE_WORLD_H
#define UNIT_PIPE_WORLD_H

#include "base/mem.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "pipeline/run/letters.h"
#include "pipeline/run/shard.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "store/journal.h"
#include "unit/test.h"

#include <stdio.h>

struct pipe_world;

/* What the API says to a request. `body` is the request's; the answer's goes to *ret_body, in the request's arena or static. May suspend. Returns the status, or
 * 0: the connection is closed without an answer. */
typedef int answer_fn(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret_body) SUSPENDS;

struct pipe_world {
    struct sim_world *sim;
    struct arena arena;
    struct journal *journal;
    struct pipeline_spec *spec;
    const char *text;
    answer_fn *answer;
    struct http_header reply_header; /* of the next answer; no name: none */
    struct http_server *server;
    struct scope *scope;
    struct shard_stats stats; /* of the last run */
    bool is_failing;          /* when it ended, was a sink known as one that fails? */
    err_t result;             /* likewise        */
    unsigned asked;           /* requests        */
    unsigned kill_at;         /* the run is killed with this request: before it is worked on, or after; 0: it is not */
    struct scope *running;
};

typedef void pipe_body(struct pipe_world *w) SUSPENDS;

struct pipe_test {
    const char *text;
    pipe_body *body;
};

/* --- what a test does --- */

static UNUSED void put_file(struct pipe_world *w, const char *path, const char *text)
{
    sim_world_put_file(w->sim, path, text, strlen(text));
}

static UNUSED struct str file(struct pipe_world *w, const char *path)
{
    struct str bytes;

    return sim_world_look_file(w->sim, path, &bytes) ? arena_str(&w->arena, bytes) : STR_NONE;
}

/* How often `needle` is in the file. */
static UNUSED size_t count_in(struct pipe_world *w, const char *path, const char *needle)
{
    struct str text = file(w, path), wanted = str_from_c(needle);
    size_t count = 0;

    for (size_t at = str_find(text, wanted); at < text.n; at = str_find(text, wanted)) {
        text = str_slice(text, at + wanted.n, text.n);
        count++;
    }
    return count;
}

static err_t pipe_run_shard(void *arg) SUSPENDS;
static err_t pipe_run_shard(void *arg)
{
    return shard_run(arg);
}

/* Run the pipeline until it ends, or for so long, when it is killed: what its clerk has not written yet is lost with it. */
static UNUSED void run_for(struct pipe_world *w, ns_t span) SUSPENDS;
static UNUSED void run_for(struct pipe_world *w, ns_t span)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = w->spec, .journal = w->journal});

    {
        SCOPE(fibers, NS_NEVER);
        err_t result = OK;
        w->running = &fibers;
        scope_spawn(&fibers, "shard", pipe_run_shard, s);
        err_t e = scope_wait_any(&fibers, rt_now() + span, &result);
        w->running = NULL;
        w->result = e != OK ? e : result;
        if (w->result != OK)
            journal_memory_crash(w->journal);
    }
    shard_stats(s, &w->stats);
    w->is_failing = false;
    for (uint16_t i = 0; i < w->spec->node_count; i++) {
        struct node_numbers node;
        shard_node(s, i, &node);
        w->is_failing |= node.is_failing;
    }
    shard_free(s);
}

/* Run it until it ends, and kill it again and again, at one of the next `most` requests. Returns how often. */
static UNUSED unsigned run_and_kill(struct pipe_world *w, unsigned most) SUSPENDS;
static UNUSED unsigned run_and_kill(struct pipe_world *w, unsigned most)
{
    for (unsigned kills = 0; kills < 500; kills++) {
        w->kill_at = w->asked + 1 + (unsigned)sim_world_draw(w->sim, most);
        run_for(w, 3600 * NS_SEC);
        if (w->result == OK)
            return kills;
    }
    return 0;
}

/* The dead letters: "CAUSE NODE" and the body, in lines. */
static UNUSED struct str dead_letters(struct pipe_world *w) SUSPENDS;
static UNUSED struct str dead_letters(struct pipe_world *w)
{
    const struct letter_filter all = {.pipeline = w->spec->name};
    struct str text = STR("");
    struct dead_letter *letters;
    uint64_t after = 0;
    size_t count;

    if (letters_page(w->journal, &all, &after, &w->arena, &letters, &count) != OK)
        die("no dead letters can be read: %s", err_current()->text);
    for (size_t i = 0; i < count; i++) {
        const struct dead_letter *l = &letters[i];
        text = arena_printf(&w->arena, "%.*s%.*s %.*s: %.*s\n%.*s\n", STR_ARG(text), STR_ARG(l->cause),
                            STR_ARG(l->node), STR_ARG(l->error), STR_ARG(l->record));
    }
    return text;
}

/* --- the world --- */

static err_t pipe_answer(struct http_request *r, void *ctx) SUSPENDS;
static err_t pipe_answer(struct http_request *r, void *ctx)
{
    struct pipe_world *w = ctx;
    struct str body, said = STR("");

    TRY(http_body_all(r, 64 << 20, &body));
    w->asked++;
    bool kills = w->asked == w->kill_at && w->running, before = kills && sim_world_draw(w->sim, 2);
    if (before)
        scope_cancel(w->running);
    int status = w->answer(w, r, body, &said);
    if (kills && !before && w->running)
        scope_cancel(w->running);
    if (!status) {
        http_reply_abort(r);
        return fail(E_EOF, "the test wants it so");
    }
    const struct http_reply reply = {
        .status = status, .headers = &w->reply_header, .count = w->reply_header.name.n ? 1 : 0};
    return http_reply_whole(r, &reply, said);
}

static err_t pipe_serve(void *arg) SUSPENDS;
static err_t pipe_serve(void *arg)
{
    struct pipe_world *w = arg;

    return http_server_run(w->server);
}

static UNUSED void pipe_listen(struct pipe_world *w, struct scope *scope)
{
    const struct http_server_options o = {.limits = http_limits_default(), .handler = pipe_answer, .ctx = w};
    struct addr at;

    w->server = http_server_new(&o);
    if (addr_parse(STR("127.0.0.1:8080"), &at) != OK ||
        http_server_listen(w->server, &at, LISTEN_ALONE, NULL, &at) != OK)
        die("the API cannot listen: %s", err_current()->text);
    scope_spawn(scope, "api", pipe_serve, w);
}

static const char *pipe_text;

static err_t pipe_read_file(const char *path, size_t max, struct buf *to)
{
    (void)max;
    return strcmp(path, "p.yaml") == 0 ? buf_add(to, str_from_c(pipe_text)) : fail(E_IO, "No such file or directory");
}

static const char *pipe_variable(const char *name)
{
    (void)name;
    return NULL;
}

/* Before the loop runs: it takes stack. */
static UNUSED void pipe_load(struct pipe_world *w, const char *text)
{
    static const struct config_env env = {.getenv = pipe_variable, .read_file = pipe_read_file};
    const struct pipeline_world world = {.env = &env};
    struct problems problems = {.arena = &w->arena};
    struct buf report CLEANUP(buf_release) = BUF_INIT(1 << 20);

    pipe_text = text;
    err_t e = pipeline_load(STR("p.yaml"), NULL, &world, &problems, &w->spec);
    problems_print(&problems, &report);
    if (e != OK)
        die("the pipeline of the test cannot be loaded:\n%.*s", STR_ARG(buf_str(&report)));
}

struct pipe_main {
    struct pipe_world *w;
    pipe_body *body;
};

static err_t pipe_main(void *arg) SUSPENDS;
static err_t pipe_main(void *arg)
{
    struct pipe_main *m = arg;
    const struct journal_options o = {
        .kind = "memory", .traces_max = 100000, .trace_age = NS_NEVER, .dead_age = NS_NEVER};

    TRY(journal_open(&o, &m->w->journal));
    {
        SCOPE(scope, NS_NEVER);
        scope_discard_results(&scope);
        m->w->scope = &scope;
        pipe_listen(m->w, &scope);
        m->body(m->w);
    }
    http_server_free(m->w->server);
    journal_close(m->w->journal);
    iobuf_drain();
    return OK;
}

static UNUSED void pipe_test(const struct pipe_test *t)
{
    struct pipe_world w = {.sim = sim_world_new(&(struct sim_options){.seed = test_seed()})};
    struct pipe_main m = {&w, t->body};
    struct sim_census census;

    arena_init(&w.arena, SIZE_MAX);
    pipe_load(&w, t->text);
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(w.sim)}, pipe_main, &m);
    pipeline_unref(w.spec);
    arena_release(&w.arena);
    sim_world_census(w.sim, &census);
    sim_world_free(w.sim);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
    CHECK_EQ(census.open_files + census.open_sockets, 0);
}

#define PIPE_TEST(test_name, yaml)                                                                                     \
    static void pipe_##test_name(struct pipe_world *w) SUSPENDS;                                                       \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        pipe_test(&(struct pipe_test){yaml, pipe_##test_name});                                                        \
    }                                                                                                                  \
    static void pipe_##test_name(struct pipe_world *w)

#endif
