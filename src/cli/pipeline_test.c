/*
 * pipeline_test.c - crossdock pipeline test: the tests that a pipeline's author wrote, with a report for people and one for continuous integration.
 *
 * The report for machines is JUnit's XML in the form that CI systems read: a suite for each file, a case for each test.
 */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/own_gateway.h"
#include "cli/pipelines.h"
#include "net/tls.h"
#include "pipeline/trial/trial.h"
#include "rt/file.h"
#include "rt/loop.h"
#include "rt/worker.h"

#include <stdio.h>

enum { REPORT_MAX = 64 << 20, ROUNDS_MAX = 100000, WORKER_THREADS = 4 };

struct testing {
    const struct pipeline_spec *spec;
    const struct pipeline_test_options *given;
    struct own_gateway *gateway; /* that answers are recorded of; NULL: none */
    struct arena arena;
    struct cassette *cassette;
    struct str cassette_path;
    uint64_t seed, rounds;
    struct trial_set trials;
    size_t passed, failed;
    struct buf cases; /* of the report for machines: those of the present suite */
    struct buf junit;
    struct str suite; /* the present file */
    size_t suite_count, suite_failed;
};

/* --- the report for machines --- */

/* Text of an attribute or an element (XML 1.0, section 2.4); what XML cannot say is left out. */
static void put_xml(struct buf *to, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '<')
            buf_add_lit(to, "&lt;");
        else if (c == '&')
            buf_add_lit(to, "&amp;");
        else if (c == '"')
            buf_add_lit(to, "&quot;");
        else if (c >= 0x20 || c == '\n' || c == '\t')
            buf_add_char(to, (char)c);
    }
}

static void end_suite(struct testing *t)
{
    if (!t->suite_count)
        return;
    buf_add_lit(&t->junit, "  <testsuite name=\"");
    put_xml(&t->junit, t->suite);
    buf_addf(&t->junit, "\" tests=\"%zu\" failures=\"%zu\">\n", t->suite_count, t->suite_failed);
    buf_add(&t->junit, buf_str(&t->cases));
    buf_add_lit(&t->junit, "  </testsuite>\n");
    buf_clear(&t->cases);
    t->suite_count = t->suite_failed = 0;
}

static void put_case(struct testing *t, const struct trial *trial, struct str failure, ns_t took)
{
    struct buf *to = &t->cases;

    if (!str_eq(trial_file(trial), t->suite))
        end_suite(t);
    t->suite = trial_file(trial);
    t->suite_count++;
    t->suite_failed += failure.n > 0;
    buf_add_lit(to, "    <testcase classname=\"");
    put_xml(to, t->spec->name);
    buf_add_lit(to, "\" name=\"");
    put_xml(to, trial_name(trial));
    buf_addf(to, "\" time=\"%lld.%03d\"", (long long)(took / NS_SEC), (int)(took % NS_SEC / NS_MS));
    if (!failure.n) {
        buf_add_lit(to, "/>\n");
        return;
    }
    struct str first = str_slice(failure, 0, str_find_char(failure, '\n'));
    buf_add_lit(to, ">\n      <failure message=\"");
    put_xml(to, first);
    buf_add_lit(to, "\">");
    put_xml(to, failure);
    buf_add_lit(to, "</failure>\n    </testcase>\n");
}

static err_t write_junit(struct testing *t)
{
    struct buf all CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);

    end_suite(t);
    buf_addf(&all, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"%zu\" failures=\"%zu\">\n",
             t->passed + t->failed, t->failed);
    buf_add(&all, buf_str(&t->junit));
    buf_add_lit(&all, "</testsuites>\n");
    TRY(buf_status(&all));
    TRY(buf_status(&t->junit));
    return file_write_private(loop_seams(), t->given->junit, buf_str(&all));
}

/* --- tests --- */

/* What went wrong, a line each; nothing: it passed. */
static void put_failure(const struct trial_outcome *o, err_t e, struct buf *to)
{
    if (e != OK)
        buf_addf(to, "%s\n", err_detail(e));
    for (size_t i = 0; i < o->problem_count; i++)
        buf_addf(to, "%.*s: %.*s\n", STR_ARG(o->problems[i].where), STR_ARG(o->problems[i].text));
}

static void tell(const struct trial *trial, const struct trial_outcome *o, struct str failure, uint64_t seed)
{
    struct str file = trial_file(trial), name = trial_name(trial);

    if (!failure.n) {
        (void)printf("ok    %.*s:%u  %.*s (%zu records, %zu dead letters, %lld ms)\n", STR_ARG(file), trial_line(trial),
                     STR_ARG(name), o->records, o->letters, (long long)(o->took / NS_MS));
        return;
    }
    (void)printf("FAIL  %.*s:%u  %.*s (seed %llu)\n", STR_ARG(file), trial_line(trial), STR_ARG(name),
                 (unsigned long long)seed);
    while (failure.n) {
        struct str line = str_cut(&failure, '\n');
        (void)printf("      %.*s\n", STR_ARG(line));
    }
}

/* All rounds of one test, until one fails. */
static void run_trial(struct testing *t, const struct trial *trial)
{
    struct buf failure CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct trial_outcome outcome = {0};
    uint64_t seed = t->seed;

    for (uint64_t round = 0; round < t->rounds && !failure.n; round++) {
        seed = t->seed + round;
        arena_clear(&arena);
        const struct trial_options o = {.seed = seed,
                                        .cassette = t->cassette,
                                        .with_gateway = t->gateway ? own_gateway_with : NULL,
                                        .gateway_ctx = t->gateway};
        err_t e = trial_run(trial, &o, &arena, &outcome);
        put_failure(&outcome, e, &failure);
    }
    tell(trial, &outcome, buf_str(&failure), seed);
    put_case(t, trial, buf_str(&failure), outcome.took);
    t->passed += failure.n == 0;
    t->failed += failure.n > 0;
}

static bool is_wanted(const struct testing *t, const struct trial *trial)
{
    struct str name = trial_name(trial);

    return !t->given->only || str_find(name, str_from_c(t->given->only)) < name.n;
}

/* --- the cassette --- */

static void drop_cassette(struct cassette **c)
{
    cassette_free(*c);
}

/* There need not be one: E_NOT_FOUND, or what else keeps it from being read. */
static err_t read_cassette(const struct testing *t, struct cassette *to, bool *ret_is_there)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(CASSETTE_MAX);
    err_t e = config_env_real()->read_file(t->cassette_path.p, CASSETTE_MAX, &text);

    *ret_is_there = e == OK;
    return e == OK ? err_context(cassette_read(to, buf_str(&text)), "%s", t->cassette_path.p) : e;
}

static err_t open_cassette(struct testing *t)
{
    bool is_there;

    t->cassette_path = t->given->cassette ? str_from_c(t->given->cassette)
                                          : arena_printf(&t->arena, "%.*s.cassette", STR_ARG(t->spec->path));
    t->cassette = cassette_new(t->given->records);
    if (t->given->records)
        return OK;
    err_t e = read_cassette(t, t->cassette, &is_there);
    if (is_there)
        return e;
    return t->given->cassette ? err_context(e, "%s", t->cassette_path.p) : OK;
}

/* What the configuration and the pipeline know of secrets. */
static void hide_secrets(struct cassette *c, const struct pipeline_spec *spec, const struct catalog *catalog)
{
    for (size_t i = 0; catalog && i < catalog->provider_count; i++)
        for (size_t k = 0; k < catalog->providers[i].key_count; k++)
            cassette_hide(c, secret_reveal(&catalog->providers[i].keys[k].secret));
    for (uint16_t i = 0; i < spec->node_count; i++)
        if (spec->nodes[i]->connection)
            cassette_hide(c, spec->nodes[i]->connection->password);
}

/* Tests that were left out keep their answers. */
static err_t keep_former(const struct testing *t)
{
    struct cassette *former CLEANUP(drop_cassette) = cassette_new(false);
    bool is_there;
    err_t e = read_cassette(t, former, &is_there);

    if (is_there)
        TRY(e);
    return cassette_keep(t->cassette, former);
}

static err_t write_cassette(const struct testing *t)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(CASSETTE_MAX);

    if (t->given->only)
        TRY(keep_former(t));
    TRY(cassette_write(t->cassette, &text));
    return file_write_private(loop_seams(), t->cassette_path.p, buf_str(&text));
}

/* --- the command --- */

static int complain(err_t e)
{
    (void)fprintf(stderr, "crossdock pipeline test: %s\n", err_detail(e));
    return EXIT_FAILED;
}

static bool read_numbers(struct testing *t)
{
    const struct pipeline_test_options *o = t->given;

    t->seed = t->rounds = 1;
    return (!o->seed || str_to_u64(str_from_c(o->seed), UINT64_MAX / 2, &t->seed)) &&
           (!o->rounds || (str_to_u64(str_from_c(o->rounds), ROUNDS_MAX, &t->rounds) && t->rounds > 0));
}

static int load(struct testing *t, const struct pipeline_world *world)
{
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct problems problems = {.arena = &t->arena};

    err_t e = trials_load(t->spec, world, &t->arena, &problems, &t->trials);
    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    return e == OK ? EXIT_OK : EXIT_CONFIG;
}

static err_t begin_recording(struct testing *t, struct catalog *catalog)
{
    tls_trust_file(config_env_real()->getenv("SSL_CERT_FILE"));
    hide_secrets(t->cassette, t->spec, catalog);
    if (catalog)
        TRY(own_gateway_new(catalog, &t->gateway));
    workers_start(WORKER_THREADS);
    return OK;
}

static err_t run_all(struct testing *t, struct catalog *catalog)
{
    TRY(open_cassette(t));
    if (t->given->records)
        TRY(begin_recording(t, catalog));
    for (size_t i = 0; i < t->trials.count; i++)
        if (is_wanted(t, t->trials.items[i]))
            run_trial(t, t->trials.items[i]);
    if (t->given->records) {
        workers_stop();
        TRY(write_cassette(t));
    }
    return t->given->junit ? write_junit(t) : OK;
}

static void release(struct testing *t)
{
    own_gateway_free(t->gateway);
    cassette_free(t->cassette);
    buf_release(&t->cases);
    buf_release(&t->junit);
    arena_release(&t->arena);
}

int pipeline_test(const struct pipeline_spec *spec, struct catalog *catalog, const struct pipeline_test_options *o)
{
    struct pipeline_world world = {.env = config_env_real(), .connections = spec->connections_};
    struct testing t CLEANUP(release) = {.spec = spec,
                                         .given = o,
                                         .arena = {.max = SIZE_MAX},
                                         .cases = BUF_INIT(REPORT_MAX),
                                         .junit = BUF_INIT(REPORT_MAX)};

    if (!read_numbers(&t)) {
        (void)fprintf(stderr, "crossdock pipeline test: --seed is a number, --rounds one from 1 to %d\n", ROUNDS_MAX);
        return EXIT_USAGE;
    }
    world.texts = pipeline_texts(spec, &t.arena, &world.text_count); /* each test loads it again: the same version */
    int code = load(&t, &world);
    if (code)
        return code;
    err_t e = run_all(&t, catalog);
    if (e != OK)
        return complain(e);
    (void)printf("%zu passed, %zu failed\n", t.passed, t.failed);
    if (!(t.passed + t.failed))
        return complain(fail(E_NOT_FOUND, "there are no such tests: a pipeline names their files under \"tests\""));
    return t.failed ? EXIT_FAILED : EXIT_OK;
}
