/*
 * matrix.c - all scenarios from all dialects to all vendors, and the table of what came of it.
 *
 * Each cell ends as one of:
 *     yes        the client got what it asked for
 *     emulated   the same, done in another way (x-crossdock-emulated)
 *     changed    nearly the same: what was changed is reported (x-crossdock-changed)
 *     dropped    the provider has no such thing, and the gateway said so (x-crossdock-dropped)
 *     unsaid     the client's dialect has no words for it
 *     own        bytes pass through unchanged, and the provider refuses them as it would without a gateway
 * Anything else fails the suite. The table in docs/dialects.md is printed from this run; that it is up to date is checked here, too
 * (CROSSDOCK_CONFORMANCE_WRITE=1 rewrites it).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conformance/conformance.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "net/dns.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "sim/sim_provider.h"
#include "store/blobs.h"
#include "unit/test.h"

const struct row rows[] = {
    {.vendor = "openai", .dialect = "openai", .base = "/v1"},
    {.vendor = "openai", .dialect = "responses", .base = "/v1"},
    {.vendor = "openai", .dialect = "completions", .base = "/v1"},
    {.vendor = "anthropic", .dialect = "anthropic", .base = "/v1"},
    {.vendor = "gemini", .dialect = "gemini", .base = "/v1beta"},
    {.vendor = "bedrock", .dialect = "bedrock", .base = ""},
    {.vendor = "cohere", .dialect = "cohere", .base = ""},
    {.vendor = "ollama", .dialect = "ollama", .base = ""},
    {.vendor = "tgi", .dialect = "tgi", .base = "", .prompts = true},
};
const size_t row_count = ARRAY_LEN(rows);

const struct column columns[] = {
    {.vendor = "openai", .path = "/v1", .model = "sim"},
    {.vendor = "mistral", .path = "/mistral/v1", .model = "mistral-sim"},
    {.vendor = "groq", .path = "/groq/v1", .model = "sim"},
    {.vendor = "deepseek", .path = "/deepseek/v1", .model = "sim"},
    {.vendor = "openrouter", .path = "/openrouter/v1", .model = "sim"},
    {.vendor = "vllm", .path = "/vllm/v1", .model = "sim"},
    {.vendor = "anthropic", .path = "/anthropic/v1", .model = "claude-sim"},
    {.vendor = "anthropic-bedrock",
     .path = "/bedrock",
     .model = "anthropic.claude-sim-v1:0",
     .faulty = "anthropic.claude-fault"},
    {.vendor = "anthropic-vertex", .path = "/vertex/v1/projects/p/locations/global", .model = "claude-sim"},
    {.vendor = "gemini", .path = "/gemini/v1beta", .model = "gemini-3-sim"},
    {.vendor = "vertex", .path = "/vertex/v1/projects/p/locations/global", .model = "gemini-3-sim"},
    {.vendor = "bedrock", .path = "/bedrock", .model = "anthropic.claude-sim-v1:0", .faulty = "anthropic.claude-fault"},
    {.vendor = "cohere", .path = "/cohere", .model = "command-sim"},
    {.vendor = "ollama", .path = "/ollama", .model = "sim"},
    {.vendor = "tgi", .path = "/tgi", .model = "tgi", .one_model = true},
};
const size_t column_count = ARRAY_LEN(columns);

static const char *const faults[][2] = {
    {"-400", "{kind: status, status: 400, weight: 100%}"},
    {"-404", "{kind: status, status: 404, weight: 100%}"},
    {"-429", "{kind: rate_limit, retry_after: 2s, weight: 100%}"},
    {"-500", "{kind: status, status: 500, weight: 100%}"},
    {"-503", "{kind: status, status: 503, weight: 100%}"},
    {"-break", "{kind: break_stream, after_tokens: 3, weight: 100%}"},
};

enum outcome { YES_, EMULATED, CHANGED, DROPPED, UNSAID, OWN, FAILED };
static const char *const signs[] = {"yes", "emulated", "changed", "dropped", "–", "own", "FAILED"};

struct matrix {
    enum outcome *outcomes; /* [scenario][row][column] */
    size_t failures;
    struct upstream *gateway;
    const char *only; /* CROSSDOCK_CONFORMANCE: part of "row > column: scenario" to run; NULL: all */
};

static size_t index_of(size_t s, size_t r, size_t k)
{
    return (s * row_count + r) * column_count + k;
}

/* --- the house --- */

static bool is_there(const struct column *k)
{
    const struct vendor *v = vendor_find(str_from_c(k->vendor));
    const struct dialect *d = v ? dialect_find(str_from_c(v->dialect)) : NULL;

    return d && d->provider.write_chat;
}

static bool is_row_there(const struct row *r)
{
    const struct dialect *d = dialect_find(str_from_c(r->dialect));

    return d && d->client.read_chat && d->provider.write_chat;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static err_t no_file(const char *path, size_t max, struct buf *ret)
{
    (void)max;
    (void)ret;
    return fail(E_NOT_FOUND, "%s: no files here", path);
}

static void add_models(struct buf *yaml, const struct column *k)
{
    buf_addf(yaml, "  %s: { targets: ['%s/%s'] }\n", k->vendor, k->vendor, k->model);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        buf_addf(yaml, "  %s%s: { targets: ['%s/%s%s'] }\n", k->vendor, faults[i][0], k->vendor,
                 k->faulty ? k->faulty : "fault", faults[i][0]);
}

static err_t make_snapshot(struct snapshot **ret)
{
    static const struct config_env env = {.getenv = no_env, .read_file = no_file};
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct buf report CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 22);
    buf_add_lit(&yaml, "listen: 127.0.0.1:80\nproviders:\n");
    for (size_t k = 0; k < column_count; k++)
        if (is_there(&columns[k]))
            buf_addf(&yaml, "  %s: { dialect: %s, base_url: 'http://127.0.0.1:%d%s', api_key: sk-test }\n",
                     columns[k].vendor, columns[k].vendor, SIMULATOR_PORT, columns[k].path);
    buf_add_lit(&yaml, "models:\n");
    for (size_t k = 0; k < column_count; k++)
        if (is_there(&columns[k]))
            add_models(&yaml, &columns[k]);
    err_t e = config_load("-", buf_str(&yaml), &env, &problems, &catalog);
    if (e != OK) {
        problems_print(&problems, &report);
        (void)fprintf(stderr, "%.*s\n", STR_ARG(buf_str(&report)));
        return e;
    }
    return snapshot_make(catalog, NULL, ret);
}

static err_t make_scenario(struct scenario **ret)
{
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};

    arena_init(&arena, 1 << 20);
    buf_add_lit(&yaml, "seed: 1\nmodels:\n  \"*\": { answer_tokens: 60 }\n");
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        buf_addf(&yaml, "  fault%s: { faults: [%s] }\n  anthropic.claude-fault%s: { faults: [%s] }\n", faults[i][0],
                 faults[i][1], faults[i][0], faults[i][1]);
    return scenario_parse(buf_str(&yaml), "conformance", &problems, ret);
}

static SUSPENDS err_t serve(void *arg)
{
    return http_server_run(arg);
}

/* --- a cell --- */

/* What was done in another way was not lost. */
static bool is_said_twice(const struct cell *c)
{
    for (struct str rest = c->emulated; rest.n;)
        if (str_list_has(c->dropped, str_cut(&rest, ',')))
            return true;
    return false;
}

static enum outcome judge(struct cell *c)
{
    const struct scenario_test *s = c->scenario;

    if (s->wanted != ERROR_BY_STATUS) {
        if (!c->failed)
            return cell_wrong(c, "no error") ? YES_ : FAILED;
        if (error_class_of(&c->error) == s->wanted)
            return YES_;
        cell_wrong(c, "class %d, not %d: status %d %.*s", (int)error_class_of(&c->error), (int)s->wanted,
                   c->error.status, STR_ARG(c->error.message));
        return FAILED;
    }
    if (is_said_twice(c)) {
        cell_wrong(c, "told as emulated and as dropped: %.*s", STR_ARG(c->emulated));
        return FAILED;
    }
    if (!c->failed && s->is_right(c))
        return c->emulated.n ? EMULATED : c->changed.n ? CHANGED : c->dropped.n ? DROPPED : YES_;
    bool same = str_eq(str_from_c(vendor_find(str_from_c(c->column->vendor))->dialect), str_from_c(c->row->dialect));
    if (c->failed && c->status == 400 && same && s->unsigned_history)
        return OWN;
    return !c->failed && c->dropped.n ? DROPPED : FAILED;
}

static SUSPENDS enum outcome run_cell(struct cell *c)
{
    err_t e;

    arena_init(&c->arena, 64 << 20);
    c->dialect = dialect_find(str_from_c(c->row->dialect)); /* the request is of no dialect: said in full */
    c->request.reasoning.budget = -1;
    c->scenario->ask(c);
    c->request.is_completion = c->row->prompts;
    if (c->scenario->model && c->column->one_model)
        return UNSAID;
    e = cell_ask(c);
    if (e == E_UNSUPPORTED)
        return UNSAID;
    enum outcome first = e == OK ? judge(c) : FAILED;
    if (e != OK)
        cell_wrong(c, "%s", err_detail(e));
    if (first == FAILED || first == DROPPED || !c->scenario->again || !c->scenario->again(c))
        return first;
    c->answer = (struct answer){.id = STR_NONE};
    e = cell_ask(c);
    if (e == E_UNSUPPORTED)
        return UNSAID;
    if (e != OK)
        cell_wrong(c, "second round: %s", err_detail(e));
    enum outcome second = e == OK ? judge(c) : FAILED;
    return second == YES_ ? first : second;
}

static bool is_wanted(const struct matrix *m, const struct cell *c)
{
    char name[200];

    (void)snprintf(name, sizeof name, "%s > %s: %s", c->row->dialect, c->column->vendor, c->scenario->name);
    return !m->only || strstr(name, m->only);
}

static SUSPENDS void run_one(struct matrix *m, size_t s, size_t r, size_t k)
{
    struct cell *c = NEW(struct cell);

    *c = (struct cell){.row = &rows[r], .column = &columns[k], .scenario = &scenarios[s], .gateway = m->gateway};
    if (is_wanted(m, c)) {
        enum outcome o = run_cell(c);
        m->outcomes[index_of(s, r, k)] = o;
        if (m->only)
            (void)fprintf(stderr, "# %s > %s: %s: %s (dropped: %.*s; emulated: %.*s; changed: %.*s) %s\n",
                          c->row->dialect, c->column->vendor, c->scenario->name, signs[o], STR_ARG(c->dropped),
                          STR_ARG(c->emulated), STR_ARG(c->changed), c->why);
        if (o == FAILED) {
            m->failures++;
            (void)fprintf(stderr, "# %s > %s: %s: %s (dropped: %.*s)\n", c->row->dialect, c->column->vendor,
                          c->scenario->name, c->why, STR_ARG(c->dropped));
        }
    }
    arena_release(&c->arena);
    mem_free(c);
}

static SUSPENDS void run_all(struct matrix *m)
{
    for (size_t r = 0; r < row_count; r++)
        for (size_t k = 0; is_row_there(&rows[r]) && k < column_count; k++)
            for (size_t s = 0; is_there(&columns[k]) && s < scenario_count; s++)
                run_one(m, s, r, k);
}

static SUSPENDS err_t run_house(void *arg)
{
    struct matrix *m = arg;
    struct snapshot *snapshot;
    struct scenario *scenario;
    struct addr gateway_at, simulator_at, bound;
    struct upstream_options to = {.host = STR("127.0.0.1"), .port = GATEWAY_PORT};

    TRY(make_snapshot(&snapshot));
    TRY(make_scenario(&scenario));
    struct blobs *kept = memory_blobs_new(64 << 20, 3600 * NS_SEC);
    struct gateway_options go = {.snapshot = snapshot, .kept = kept};
    struct gateway *g = gateway_new(&go);
    struct sim_provider *sim = sim_provider_new(scenario, 1);
    struct http_server_options so = {.limits = http_limits_default(), .handler = gateway_handle, .ctx = g};
    struct http_server_options po = {.limits = http_limits_default(), .handler = sim_provider_handle, .ctx = sim};
    struct http_server *server = http_server_new(&so), *simulator = http_server_new(&po);
    m->gateway = upstream_new(&to);
    {
        SCOPE(all, NS_NEVER);
        TRY(addr_parse(STR("127.0.0.1:80"), &gateway_at));
        TRY(addr_parse(STR("127.0.0.1:9000"), &simulator_at));
        TRY(http_server_listen(server, &gateway_at, LISTEN_ALONE, NULL, &bound));
        TRY(http_server_listen(simulator, &simulator_at, LISTEN_ALONE, NULL, &bound));
        scope_spawn(&all, "gateway", serve, server);
        scope_spawn(&all, "simulator", serve, simulator);
        TRY(fiber_sleep_until(rt_now() + NS_MS)); /* virtual: everybody listens */
        run_all(m);
    }
    upstream_free(m->gateway);
    http_server_free(server);
    http_server_free(simulator);
    gateway_free(g);
    sim_provider_free(sim);
    scenario_free(scenario);
    blobs_free(kept);
    snapshot_unref(snapshot);
    dns_drain();
    iobuf_drain();
    return OK;
}

/* --- the table --- */

static void print_row(const struct matrix *m, size_t r, struct buf *to)
{
    buf_addf(to, "\n#### From %s\n\n| |", dialect_find(str_from_c(rows[r].dialect))->title);
    for (size_t k = 0; k < column_count; k++)
        if (is_there(&columns[k]))
            buf_addf(to, " %s |", columns[k].vendor);
    buf_add_lit(to, "\n|---|");
    for (size_t k = 0; k < column_count; k++)
        if (is_there(&columns[k]))
            buf_add_lit(to, "---|");
    buf_add_char(to, '\n');
    for (size_t s = 0; s < scenario_count; s++) {
        buf_addf(to, "| %s |", scenarios[s].name);
        for (size_t k = 0; k < column_count; k++)
            if (is_there(&columns[k]))
                buf_addf(to, " %s |", signs[m->outcomes[index_of(s, r, k)]]);
        buf_add_char(to, '\n');
    }
}

static void check_document(const struct matrix *m)
{
    static const char begin[] = "<!-- begin generated: make conformance -->", end[] = "<!-- end generated -->";
    struct buf table CLEANUP(buf_release) = BUF_INIT(1 << 22);
    struct buf whole CLEANUP(buf_release) = BUF_INIT(1 << 22);
    char path[4096];

    buf_add_lit(&table, "\n");
    for (size_t r = 0; r < row_count; r++)
        if (is_row_there(&rows[r]))
            print_row(m, r, &table);
    buf_add_lit(&table, "\n");
    (void)snprintf(path, sizeof path, "%s/docs/dialects.md", test_root());
    FILE *f = fopen(path, "r");
    CHECK(f);
    char *room = buf_reserve(&whole, 1 << 21);
    whole.n = room ? fread(room, 1, 1 << 21, f) : 0;
    (void)fclose(f);
    struct str text = buf_str(&whole);
    size_t from = str_find(text, str_from_c(begin)) + strlen(begin), until = str_find(text, str_from_c(end));
    CHECK(from < until && until < text.n);
    bool same = str_eq(str_slice(text, from, until), buf_str(&table));
    if (!same && getenv("CROSSDOCK_CONFORMANCE_WRITE")) {
        f = fopen(path, "w");
        CHECK(f);
        (void)fprintf(f, "%.*s%.*s%.*s", (int)from, text.p, STR_ARG(buf_str(&table)), (int)(text.n - until),
                      text.p + until);
        (void)fclose(f);
        return;
    }
    CHECK_MSG(same, "docs/dialects.md does not hold this run's table: make conformance WRITE=1");
}

TEST(every_dialect_reaches_every_vendor)
{
    struct sim_options world = {.seed = 7, .latency_min = NS_US, .latency_max = NS_US};
    struct sim_world *w = sim_world_new(&world);
    struct loop_options o = {.seams = sim_world_seams(w)};
    struct matrix m = {.outcomes = mem_zalloc(scenario_count * row_count * column_count, sizeof *m.outcomes),
                       .only = getenv("CROSSDOCK_CONFORMANCE")};

    CHECK_OK(loop_run(&o, run_house, &m));
    sim_world_free(w);
    CHECK_EQ(m.failures, 0);
    if (!m.only)
        check_document(&m);
    mem_free(m.outcomes);
}
