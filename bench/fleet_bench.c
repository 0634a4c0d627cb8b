/*
 * fleet_bench.c - what a large fleet costs: one decision among the deployments of a route, with all that is read of them and with its record, on
 * one thread; and the time it takes until a large configuration can be served. Prints nanoseconds per decision, the best of several rounds, and
 * milliseconds of a load.
 *
 *     make benches && build/release/fleet_bench [PART-OF-A-NAME]
 */
#include "bench.h"

#include "base/buf.h"
#include "fleet/config.h"
#include "fleet/live.h"
#include "gateway/exchange.h"
#include "gateway/needs.h"

#include <time.h>

enum { ROUNDS = 15, CALLS = 400, LOADS = 3, KEYS = 100000, MODELS = 10000, WORDS_MAX = 64 };

static const size_t sizes[] = {16, 1000};
static const char *part = "";

static bool is_wanted(const char *what)
{
    return strstr(what, part) != NULL;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct snapshot *load(const struct buf *text)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct snapshot *s;
    struct catalog *c;

    if (buf_status(text) != OK || config_load("-", buf_str(text), config_env_real(), &problems, &c) != OK)
        die("the configuration is refused: %.*s", STR_ARG(problems.count ? problems.items[0].text : STR_NONE));
    if (snapshot_make(c, NULL, &s) != OK)
        die("the configuration cannot be served: %s", err_detail(E_CONFIG));
    return s;
}

/* --- decisions --- */

/* What is decided among. */
static const struct fleet {
    const char *what;
    unsigned providers, keys;
    bool has_prices;  /* each deployment one of its own                          */
    bool is_limited;  /* limits of the credentials are known, and far            */
    unsigned ejected; /* one of so many is; 0: none                             */
} fleets[] = {
    {.what = "", .providers = 1, .keys = 1},
    {.what = ", keys and prices", .providers = 10, .keys = 2, .has_prices = true, .is_limited = true},
    {.what = ", a tenth ejected", .providers = 10, .keys = 2, .has_prices = true, .is_limited = true, .ejected = 10},
};

static void add_providers(const struct fleet *f, struct buf *text)
{
    (void)buf_add_lit(text, "providers:\n");
    for (unsigned i = 0; i < f->providers; i++) {
        (void)buf_addf(text, "  p%u:\n    simulate: true\n    api_keys:\n", i);
        for (unsigned k = 0; k < f->keys; k++)
            (void)buf_addf(text, "      - {name: k%u, key: secret-%u-%u}\n", k, i, k);
    }
}

static void add_prices(const struct fleet *f, struct buf *text)
{
    (void)buf_add_lit(text, "deployments:\n");
    for (unsigned i = 0; !f->has_prices && i < f->providers; i++)
        (void)buf_addf(text, "  \"p%u/*\": {price: {input: 1, output: 2}}\n", i);
    for (size_t d = 0; f->has_prices && d < sizes[ARRAY_LEN(sizes) - 1]; d++)
        (void)buf_addf(text, "  p%zu/m%zu: {price: {input: 1.%03zu, output: 2}}\n", d % f->providers, d, d * 7 % 1000);
}

/* A model per strategy and size, named "<strategy>-<size>", all over the same deployments. */
static struct snapshot *make_fleet(const struct fleet *f)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(64 << 20);

    add_providers(f, &text);
    add_prices(f, &text);
    (void)buf_add_lit(&text, "models:\n");
    for (size_t k = 0; k < strategy_catalog_count; k++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            const char *name = strategy_catalog[k]->name;
            (void)buf_addf(&text, "  %s-%zu:\n    strategy: %s\n    targets:\n", name, sizes[i], name);
            for (size_t d = 0; d < sizes[i]; d++)
                (void)buf_addf(&text, "      - {deployment: p%zu/m%zu, weight: %zu}\n", d % f->providers, d, d % 7 + 1);
        }
    return load(&text);
}

/* Each of its credentials has been used, and the answer told of limits. */
static void learn_limits(struct snapshot *s, const struct deployment *d)
{
    const struct rate_need need = {.input_tokens = 200, .output_tokens = 100};
    ns_t now = rt_now();

    for (size_t k = 0; k < d->provider->key_count; k++) {
        struct rate_reading reading = {.count = 0};
        struct live_credential_use use;
        struct live_credential *c = s->providers[d->provider->index].credentials[k];
        if (live_credential_send(c, s->limits[d->index][k], d->model, &need, false, now, &use).answer != RATE_ALLOWED)
            die("a credential is not to be used");
        rate_reading_header(&reading, STR("x-ratelimit-limit-tokens"), STR("1000000"), now, rt_wall());
        rate_reading_header(&reading, STR("x-ratelimit-remaining-tokens"), STR("900000"), now, rt_wall());
        rate_reading_header(&reading, STR("x-ratelimit-reset-tokens"), STR("6s"), now, rt_wall());
        (void)live_credential_answered(&use, CAUSE_OK, false, &reading, now);
    }
}

/* Every deployment has answered a few times, so that there are estimates to read and to compare. */
static void answer_some(struct snapshot *s, const struct fleet *f)
{
    const struct catalog *c = s->catalog;
    const struct live_rules *rules = &c->models[0].rules.live;
    enum { ANSWERS = 8 };

    for (size_t i = 0; i < c->deployment_count; i++) {
        bool is_ill = f->ejected && i % f->ejected == 0;
        for (unsigned k = 0; k < ANSWERS; k++) {
            struct live_attempt a;
            ns_t sent = rt_now(), first = sent + (100 + (ns_t)(i % 50)) * NS_MS;
            if (live_send(s->deployments[i], rules, 200, 100, LIVE_ANYWAY, sent, &a) != EXCLUDED_NOT)
                die("a deployment is not to be used");
            live_first_token(&a, rules, 0, first);
            live_end(&a, s->routes[c->model_count - 1], rules, is_ill ? CAUSE_SERVER_ERROR : CAUSE_OK, 100,
                     first + NS_SEC, first + NS_SEC);
        }
        struct live_news news;
        live_news(s->deployments[i], &news);
        if ((news.state == OUTLIER_EJECTED) != is_ill)
            die("deployment %zu is not as ill as it should be", i);
        if (f->is_limited)
            learn_limits(s, &c->deployments[i]);
    }
}

static void ask(struct exchange *x, const struct model *m)
{
    static const struct needs nothing;

    x->model = m;
    x->rules = &m->rules;
    x->route = x->snapshot->routes[m->index];
    x->facts = (struct facts){.id = STR("req_bench"), .model_label = m->name};
    x->needs = &nothing;
    x->input_tokens = 200;
    x->output_tokens = 100;
    x->sticky = m->rules.strategy == &strategy_sticky ? rt_random() | 1 : 0;
    choose_targets(x);
    if (!choose_candidate(x))
        die("nobody is chosen");
    if (x->facts.decision_count != 1)
        die("the decision left no record");
    arena_clear(x->r->arena);
}

static void measure(struct exchange *x, const struct fleet *f, const struct strategy *strategy, size_t size)
{
    char name[WORDS_MAX], what[WORDS_MAX];
    struct str rest;
    double best = 1e18;

    (void)snprintf(name, sizeof name, "%s-%zu", strategy->name, size);
    (void)snprintf(what, sizeof what, "decision of %zu: %s%s", size, strategy->name, f->what);
    const struct model *m = catalog_match_model(x->snapshot->catalog, str_from_c(name), &rest);
    for (int round = 0; is_wanted(what) && round < ROUNDS; round++) {
        double from = now();
        for (int i = 0; i < CALLS; i++)
            ask(x, m);
        double took = (now() - from) / CALLS;
        best = took < best ? took : best;
    }
    if (is_wanted(what))
        printf("%-52s %9.1f ns\n", what, best);
}

static void measure_decisions(const struct fleet *f)
{
    struct arena arena CLEANUP(arena_release);
    struct snapshot *s = make_fleet(f);
    struct http_request r = {.arena = &arena};
    static const struct endpoint_row chat = {.operation = OP_CHAT};
    struct exchange x = {.r = &r, .snapshot = s, .endpoint = {.dialect = dialect_usual, .row = &chat, .label = "chat"}};

    arena_init(&arena, 1 << 20);
    answer_some(s, f);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < strategy_catalog_count; k++)
            measure(&x, f, strategy_catalog[k], sizes[i]);
    snapshot_unref(s);
}

/* --- loading --- */

static void measure_load(void)
{
    static const char what[] = "load of 100,000 keys, 10,000 models";
    struct buf text CLEANUP(buf_release) = BUF_INIT(64 << 20);
    double best = 1e18;

    if (!is_wanted(what))
        return;
    (void)buf_add_lit(&text, "providers: {p: {simulate: true}, q: {simulate: true}}\nmodels:\n");
    for (unsigned i = 0; i < MODELS; i++)
        (void)buf_addf(&text, "  model-%u: {targets: [p/m%u, q/m%u]}\n", i, i, i);
    (void)buf_add_lit(&text, "keys:\n");
    for (unsigned i = 0; i < KEYS; i++)
        (void)buf_addf(&text, "  - {name: key-%u, hash: \"sha256:%064x\", models: [model-%u]}\n", i, i, i % MODELS);
    for (int i = 0; i < LOADS; i++) {
        double from = now();
        struct snapshot *s = load(&text);
        double took = (now() - from) / 1e6;
        best = took < best ? took : best;
        snapshot_unref(s);
    }
    printf("%-52s %9.1f ms\n", what, best);
}

static SUSPENDS err_t run(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(fleets); i++)
        measure_decisions(&fleets[i]);
    measure_load();
    return OK;
}

int main(int argc, char **argv)
{
    part = argc > 1 ? argv[1] : "";
    return bench_run(run, NULL);
}
