/*
 * pipeline_scenarios.c - pipelines that are killed at any wait, and begun again: what sinks have in the end is what they would have, once, in order.
 *
 * The engine is the real one, with a journal in memory that forgets what nobody waited for. A source, a node that asks somebody and sinks that count their batches
 * are the test's: what is outside of the process stands in struct outside, and outlives its lives. The graph has a join and a switch behind the node that
 * asks, so a message reaches sinks on ways of different length.
 *
 * Besides, worlds where the wall clock leaps, where any write of the journal fails, and where a model node asks a provider, by way of the real gateway, that turns
 * away, breaks off, and says what does not fit.
 *
 * The oracle: each sink has each of its messages once, those of one key in the order of the source; and what the node that asks has said of a message is the
 * same wherever it arrives, though it would say something else when asked again.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/json_out.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "net/dns.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "pipeline/run/run.h"
#include "pipeline/run/runner.h"
#include "pipeline/spec/kind.h"
#include "sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 120, KEYS = 7, SINKS = 4, LIVES_MAX = 12, CHANGES = 5 };

static const char text[] =
    "pipeline: world\n"
    "in_flight: {roots: 40, bytes: 256KiB}\n"
    "sources:\n"
    "  in: {files: /in}\n"
    "nodes:\n"
    "  ask: {from: in, http: {get: \"http://host/\"}, concurrency: 6, retry: {max: 9, base: 1ms, cap: 4ms}}\n"
    "  odd: {from: in, filter: \".n % 2 == 1\"}\n"
    "  both: {join: [ask, odd], by: root}\n"
    "  way: {from: both, switch: [{when: \".ask.n % 3 == 0\", to: one}, {else: two}]}\n"
    "sinks:\n"
    "  one: {file: /one, batch: 5}\n"
    "  two: {file: /two, batch: 5}\n"
    "  all: {from: ask, file: /all, batch: 3}\n"
    "  also: {from: ask, file: /also, batch: 4}\n";

/* Everything waits for a minute, and then at the one who is asked, all at once. */
static const ns_t patience = 60 * NS_SEC;
static const char patient_text[] = "pipeline: world\n"
                                   "deadline: 5m\n"
                                   "sources:\n"
                                   "  in: {files: /in}\n"
                                   "nodes:\n"
                                   "  late: {from: in, delay: 60s}\n"
                                   "  ask: {from: late, http: {get: \"http://host/\"}, concurrency: 1000}\n"
                                   "sinks:\n"
                                   "  all: {from: ask, file: /all}\n"
                                   "  also: {from: ask, file: /also}\n";

/* A model is asked, by way of the gateway; what it says must fit, and is put right so often as REPAIRS. */
enum { REPAIRS = 2 };
static const char verdict_schema[] =
    "{\"type\":\"object\",\"required\":[\"n\",\"said\"],\"additionalProperties\":false,"
    "\"properties\":{\"n\":{\"type\":\"integer\"},\"said\":{\"type\":\"integer\"}}}";
#define SINKS_OF(node)                                                                                                 \
    "sinks:\n"                                                                                                         \
    "  all: {from: " node ", file: /all, batch: 3}\n"                                                                  \
    "  also: {from: " node ", file: /also, batch: 4}\n"
static const char model_text[] =
    "pipeline: world\n"
    "in_flight: {roots: 40, bytes: 64KiB}\n"
    "schemas: {verdict: {file: /verdict.json}}\n"
    "sources: {in: {files: /in}}\n"
    "nodes:\n"
    "  talk: {from: in, model: {route: lone, prompt: \"question {{.n}}.\", output_schema: verdict, repair: 2},\n"
    "         concurrency: 6, retry: {max: 100, base: 10ms, cap: 2s}}\n" SINKS_OF("talk");
static const char stream_text[] =
    "pipeline: world\n"
    "in_flight: {roots: 40, bytes: 64KiB}\n"
    "sources: {in: {files: /in}}\n"
    "nodes:\n"
    "  talk: {from: in, model: {route: lone, prompt: \"question {{.n}}.\", stream: true},\n"
    "         concurrency: 6, retry: {max: 100, base: 10ms, cap: 2s}}\n"
    "  read: {from: talk, map: 'try fromjson catch null'}\n" SINKS_OF("read");

/* What goes by time: so many a second and no more, and windows of ten seconds. */
enum { PER_SECOND = 20 };
static const char clock_text[] =
    "pipeline: world\n"
    "in_flight: {roots: 500, bytes: 1MiB}\n"
    "sources: {in: {files: /in}}\n"
    "nodes:\n"
    "  paced: {from: in, rate: {limit: 20, per: 1s, burst: 1}}\n"
    "  sums: {from: in, aggregate: {every: 10s, into: '{n: (map(.n) | min), said: (map(.n) | add)}'}}\n"
    "sinks:\n"
    "  one: {from: sums, file: /one}\n"
    "  all: {from: paced, file: /all}\n";

/* Every five minutes, by the wall clock; what was missed is made up for. */
enum { EVERY = 300 };
static const char cron_text[] =
    "pipeline: world\n"
    "sources: {in: {cron: {every: 5m, missed: all, body: '{n: ($meta.timestamp / 300000), said: 1}'}}}\n"
    "sinks: {all: {from: in, file: /all, batch: 3}}\n";

/* --- what is outside of the process --- */

struct row {
    uint64_t n, said;
};

/* A sink's system: it takes a batch only behind the one before. */
struct table {
    uint64_t seq;
    struct row rows[2 * MESSAGES];
    size_t count;
    ns_t first, last; /* when rows came */
};

static struct outside {
    struct world *world;
    struct pipeline_spec *spec;
    struct table tables[SINKS];
    struct table *at_most_once; /* NULL: none of them */
    unsigned given_up;          /* of its messages    */
    unsigned asked[MESSAGES];   /* how often the node failed with it                        */
    unsigned trouble;           /* chance per thousand that the outside fails               */
    uint64_t messages;          /* that the source has; from 0                              */
    size_t body;                /* bytes that each has beside its number                    */
    ns_t down_until;            /* sinks                                                    */
    ns_t slow;                  /* the node that asks; 0: it takes a while                  */
    ns_t die_after;             /* the beginning of a life; 0: never                        */
    ns_t ahead;                 /* of us is the clock of who sends                          */
    int64_t steady;             /* instead, not 0: the sender's clock when ours began to count */
    ns_t linger;                /* the source, after its last message                       */
    ns_t sink_slow;             /* a batch takes so long                                    */
    bool filled;                /* the disk was full before all was taken in                */
    uint64_t bytes_most;        /* that were under way                                      */
    struct runner *runner;
    unsigned crash_at, parks; /* 0: never */
    struct fiber *victim;
    bool is_dead;
    bool seen[2]; /* which version has taken something in */
    struct journal *journal;
    uint64_t poison; /* number of the message that kills the process when the node is asked; UINT64_MAX: none */
    struct gateway *gateway;
    ns_t storm_until;           /* the model's provider turns everybody away                */
    unsigned misfits[MESSAGES]; /* answers that do not fit, of a conversation; NEVER_FITS: all of them */
    uint64_t turned_away, broken_off, misfitting; /* answers of the provider                */
} out;
enum { NEVER_FITS = 1000 };

static uint64_t draw(uint64_t bound)
{
    return sim_world_draw(out.world->sim, bound);
}

static bool fails(void)
{
    return out.trouble && draw(1000) < out.trouble;
}

static SUSPENDS err_t take_a_while(void)
{
    return fiber_sleep_until(rt_now() + (ns_t)draw(20) * NS_MS);
}

/* --- a source: messages 0, 1, 2, … --- */

/* Who sends has a clock of his own; it may go on as it was when ours leaps. */
static int64_t sent_at(void)
{
    return out.steady ? out.steady + rt_now() : rt_wall() + out.ahead;
}

static SUSPENDS err_t put_some(struct intake *in, uint64_t *next)
{
    enum { AT_ONCE = 9 };
    struct message messages[AT_ONCE];
    char keys[AT_ONCE][8], progress[8];
    struct arena arena CLEANUP(arena_release);
    size_t n = 1 + draw(AT_ONCE);

    arena_init(&arena, SIZE_MAX);
    n = n > out.messages - *next ? out.messages - *next : n;
    for (size_t i = 0; i < n; i++) {
        uint64_t number = *next + i;
        (void)snprintf(keys[i], sizeof keys[i], "k%d", (int)(number % KEYS));
        messages[i] = (struct message){
            .position = number,
            .key = number % KEYS ? str_from_c(keys[i]) : STR_NONE,
            .at = sent_at(),
            .body = arena_printf(&arena, "{\"n\":%d,\"more\":\"%0*d\"}", (int)number, (int)out.body, 0)};
    }
    be64_put(progress, *next + n);
    TRY(intake_put(in, messages, n, str_of(progress, sizeof progress)));
    *next += n;
    return OK;
}

static err_t read_messages(struct intake *in, const struct pipeline_node *source)
{
    struct arena arena CLEANUP(arena_release);
    struct str progress;

    (void)source;
    arena_init(&arena, SIZE_MAX);
    TRY(intake_progress(in, 0, &arena, &progress));
    for (uint64_t next = progress.n ? be64_get(progress.p) : 0; next < out.messages;) {
        TRY(put_some(in, &next));
        TRY(take_a_while());
    }
    return out.linger ? fiber_sleep_until(rt_now() + out.linger) : OK;
}

static const struct source_run source_run = {.run = read_messages};
static struct source_kind source_kind;

/* The process is no more: nothing that it does from here on comes about. */
static void die_now(void)
{
    out.is_dead = true;
    journal_memory_crash(out.journal);
    journal_memory_stop(out.journal, true);
    fiber_cancel(out.victim);
}

/* --- a node that asks --- */

/* The number behind "name": in the text. */
static uint64_t number_in(struct str s, const char *name)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(64 << 20);
    const char *at;

    (void)buf_add(&b, s);
    (void)buf_add_char(&b, '\0');
    at = strstr(b.p, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : UINT64_MAX;
}

static err_t ask(struct step *s)
{
    struct buf in CLEANUP(buf_release) = BUF_INIT(64 << 20);
    const struct json_tree *answer;

    TRY(expr_value_print(s->in->value, &in));
    uint64_t n = number_in(buf_str(&in), "\"n\":");
    if (n == out.poison)
        die_now();
    TRY(out.slow ? fiber_sleep_until(rt_now() + out.slow) : take_a_while());
    if (n < MESSAGES && out.asked[n] < 3 && fails()) {
        out.asked[n]++;
        return fail(E_UPSTREAM, "not now");
    }
    TRY(json_tree_parse(step_arena(s),
                        arena_printf(step_arena(s), "{\"n\":%d,\"said\":%d}", (int)n, (int)draw(1000000)), &answer));
    return step_send(s, expr_json(json_tree_root(answer)));
}

static const struct node_run node_run = {.call = ask};
static struct node_kind node_kind;

/* --- sinks --- */

static err_t open_table(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    static const char *const names[SINKS] = {"one", "two", "all", "also"};

    for (size_t i = 0; i < SINKS; i++)
        if (str_eq(at->sink->name, str_from_c(names[i])))
            *ret_state = &out.tables[i];
    const struct table *t = *ret_state;
    *ret_applied = at->is_open && t->seq == at->seq;
    if (at->sink->effect.mode == EFFECT_AT_MOST_ONCE)
        return OK;
    (void)EXPECT(t->seq + 1 == at->seq || *ret_applied, "a sink is opened at %d, its table is at %d", (int)at->seq,
                 (int)t->seq);
    return take_a_while();
}

static void note_bytes(void)
{
    struct shard_stats s;

    runner_totals(out.runner, &s);
    out.bytes_most = s.bytes > out.bytes_most ? s.bytes : out.bytes_most;
}

static void add_row(struct table *t, const struct batch_item *item)
{
    t->first = t->count ? t->first : rt_now();
    t->last = rt_now();
    if (t->count < ARRAY_LEN(t->rows))
        t->rows[t->count++] = (struct row){number_in(item->text, "\"n\":"), number_in(item->text, "\"said\":")};
}

/* A system that does not know batches, nor what it has done already. */
static SUSPENDS err_t apply_each(struct table *t, const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].is_applied)
            continue;
        TRY(take_a_while());
        if (fails())
            return fail(E_REFUSED, "the sink is down");
        add_row(t, &b->items[i]);
        TRY(take_a_while());
        if (fails())
            return fail(E_EOF, "the acknowledgement is lost");
        b->items[i].is_applied = true;
    }
    return OK;
}

static err_t apply_batch(void *state, const struct batch *b)
{
    struct table *t = state;

    if (t == out.at_most_once)
        return apply_each(t, b);

    note_bytes();
    TRY(take_a_while());
    TRY(fiber_sleep_until(rt_now() + out.sink_slow));
    if (rt_now() < out.down_until || fails())
        return fail(E_REFUSED, "the sink is down");
    if (t->seq == b->seq) /* the acknowledgement was lost */
        return OK;
    (void)EXPECT(t->seq + 1 == b->seq, "batch %d behind %d", (int)b->seq, (int)t->seq);
    for (size_t i = 0; i < b->count; i++)
        add_row(t, &b->items[i]);
    t->seq = b->seq;
    TRY(take_a_while());
    return fails() ? fail(E_EOF, "the acknowledgement is lost") : OK;
}

/* Some know what they have done, some days. */
static err_t look(void *state, const struct batch_item *item, bool *ret_happened)
{
    const struct table *t = state;

    TRY(take_a_while());
    if (fails())
        return fail(E_REFUSED, "the sink is down");
    if (draw(3) == 0)
        return fail(E_UNKNOWN, "the sink does not say");
    *ret_happened = false;
    for (size_t i = 0; i < t->count; i++)
        *ret_happened = *ret_happened || t->rows[i].n == number_in(item->text, "\"n\":");
    return OK;
}

static void close_table(void *state)
{
    (void)state;
}

static const struct sink_run sink_run = {
    .open = open_table, .apply = apply_batch, .reconcile = look, .close = close_table};
static struct sink_kind sink_kind;

/* --- the pipeline --- */

static struct pipeline_spec *spec, *other, *patient; /* the second is the first in another version */
static struct pipeline_spec *with_model, *with_stream, *by_time, *by_cron;

static err_t read_schema(const char *path, size_t max, struct buf *to)
{
    (void)max;
    if (strcmp(path, "/verdict.json") == 0)
        return buf_add(to, str_from_c(verdict_schema));
    return fail(E_IO, "%s is not there", path);
}

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static struct pipeline_spec *load_text(const char *yaml)
{
    struct config_env env = {.getenv = no_variable, .read_file = read_schema};
    struct pipeline_text file = {STR("world.yaml"), str_from_c(yaml)};
    struct pipeline_world world = {.env = &env, .texts = &file, .text_count = 1};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct buf words CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct pipeline_spec *s;

    if (pipeline_load(file.path, NULL, &world, &problems, &s) != OK) {
        problems_print(&problems, &words);
        die("the pipeline does not load: %.*s", STR_ARG(buf_str(&words)));
    }
    return s;
}

/* Put the test's kinds in the places of those that the text names. */
static void take_over(struct pipeline_spec *s)
{
    for (uint16_t i = 0; i < s->node_count; i++) {
        struct pipeline_node *n = s->nodes[i];
        if (n->role == PIPELINE_SOURCE && s != by_cron) {
            source_kind = *n->source;
            source_kind.run = &source_run;
            n->source = &source_kind;
        } else if (n->role == PIPELINE_SINK) {
            sink_kind = *n->sink;
            sink_kind.run = &sink_run;
            n->sink = &sink_kind;
        } else if (str_eq(n->name, STR("ask"))) {
            node_kind = *n->node;
            node_kind.run = &node_run;
            n->node = &node_kind;
        }
    }
}

/* Once for all worlds, outside of fibers: compiling takes stack. */
static void load(struct sim_options *o, struct prng *p)
{
    static char later[sizeof text + 32];

    (void)o;
    (void)p;
    if (spec)
        return;
    spec = load_text(text);
    (void)snprintf(later, sizeof later, "%sversion: 2\n", text);
    other = load_text(later);
    take_over(spec);
    take_over(other);
    patient = load_text(patient_text);
    take_over(patient);
    with_model = load_text(model_text);
    take_over(with_model);
    with_stream = load_text(stream_text);
    take_over(with_stream);
    by_time = load_text(clock_text);
    take_over(by_time);
    by_cron = load_text(cron_text);
    take_over(by_cron);
}

/* The same, where the disk is quick: for worlds that measure time. */
static void load_quick(struct sim_options *o, struct prng *p)
{
    load(o, p);
    o->job_delay_max = 5 * NS_MS;
}

/* --- lives --- */

static void count_park(struct fiber *f)
{
    (void)f;
    if (++out.parks == out.crash_at)
        die_now();
}

static SUSPENDS err_t die_in_time(void *arg)
{
    (void)arg;
    TRY(fiber_sleep_until(rt_now() + out.die_after));
    die_now();
    return OK;
}

/* One life of the process: until all is done, or it is killed at its `crash_at`-th wait (0: never), or after out.die_after. */
static SUSPENDS err_t live(unsigned crash_at, bool *ret_crashed)
{
    const struct pipeline_set set = {.items = &out.spec, .count = 1};
    struct runner *r =
        runner_new(&(struct runner_options){.journal = out.journal, .gateway = out.gateway, .loops = 1, .ends = true});
    err_t e, result = OK;

    runner_install(r, &set);
    out.runner = r;
    out.parks = 0;
    out.is_dead = false;
    out.crash_at = crash_at;
    {
        SCOPE(process, NS_NEVER);
        SCOPE(death, NS_NEVER);
        out.victim = scope_spawn(&process, "pipelines", runner_run, r);
        if (out.die_after)
            scope_spawn(&death, "death", die_in_time, NULL);
        fiber_set_park_hook(count_park);
        e = scope_wait_any(&process, NS_NEVER, &result);
    }
    fiber_set_park_hook(NULL);
    if (out.is_dead)
        journal_memory_stop(out.journal, false);
    *ret_crashed = out.is_dead;
    out.runner = NULL;
    runner_free(r);
    TRY(e);
    return *ret_crashed ? OK : result;
}

/* Lives until one is not killed. One that cannot begin, because of the disk, is tried again, as whoever runs the process would. */
static SUSPENDS err_t live_on(unsigned lives, unsigned longest)
{
    for (unsigned failed = 0;;) {
        bool crashed = false;
        err_t e = live(lives ? 1 + (unsigned)draw(longest) : 0, &crashed);
        if (e == E_IO && ++failed < LIVES_MAX) {
            TRY(fiber_sleep_until(rt_now() + NS_SEC));
            continue;
        }
        TRY(e);
        if (!crashed)
            return OK;
        lives -= lives > 0;
    }
}

/* --- the oracle --- */

static bool is_for(size_t sink, uint64_t n)
{
    bool has_ways = out.spec == spec || out.spec == other;

    if (n == out.poison || out.misfits[n] == NEVER_FITS)
        return false;
    return sink >= 2 || (has_ways && (n % 3 == 0) == (sink == 0));
}

static void check(void)
{
    uint64_t said[MESSAGES];

    memset(said, 0xff, sizeof said);
    for (size_t k = 0; k < SINKS; k++) {
        const struct table *t = &out.tables[k];
        uint64_t last[KEYS] = {0}, expected = 0;
        unsigned seen[MESSAGES] = {0};
        for (size_t i = 0; i < t->count; i++) {
            uint64_t n = t->rows[i].n;
            if (!EXPECT(n < out.messages && is_for(k, n), "sink %d has %d", (int)k, (int)n))
                return;
            (void)EXPECT(++seen[n] == 1, "sink %d has %d twice", (int)k, (int)n);
            (void)EXPECT(n % KEYS == 0 || n + 1 > last[n % KEYS], "sink %d has %d too late", (int)k, (int)n);
            last[n % KEYS] = n + 1;
            (void)EXPECT(said[n] == UINT64_MAX || said[n] == t->rows[i].said, "%d was asked again", (int)n);
            said[n] = t->rows[i].said;
        }
        for (uint64_t n = 0; n < out.messages; n++)
            expected += is_for(k, n);
        expected -= t == out.at_most_once ? out.given_up : 0;
        (void)EXPECT(t->count == expected, "sink %d has %d rows, not %d", (int)k, (int)t->count, (int)expected);
    }
}

/* Has the table every message once? */
static void check_numbers(const struct table *t)
{
    unsigned seen[MESSAGES] = {0};

    for (size_t i = 0; i < t->count; i++)
        if (EXPECT(t->rows[i].n < MESSAGES, "there is a row %d", (int)t->rows[i].n))
            (void)EXPECT(++seen[t->rows[i].n] == 1, "%d is there twice", (int)t->rows[i].n);
    (void)EXPECT(t->count == out.messages, "%d rows, not %d", (int)t->count, (int)out.messages);
}

static err_t begin(struct world *w, unsigned trouble)
{
    log_configure(&(struct log_options){.level = LOG_ERROR}); /* that a sink is down is no news here */
    const struct journal_options o = {.kind = "memory", .traces_max = 100, .trace_age = NS_NEVER, .dead_age = NS_NEVER};

    for (uint16_t i = 0; i < spec->node_count; i++)
        spec->nodes[i]->effect.mode = EFFECT_OF_KIND;
    struct pipeline_spec *const all[] = {spec, patient, with_model, with_stream, by_time, by_cron};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i]->poison_restarts = 1000; /* kills at random may meet the same message again and again */
    out = (struct outside){.world = w, .spec = spec, .trouble = trouble, .messages = MESSAGES, .poison = UINT64_MAX};
    return journal_open(&o, &out.journal);
}

static err_t end(err_t e)
{
    struct arena arena CLEANUP(arena_release);
    const struct journal_query left = {
        .kind = JOURNAL_ROOTS,
        .r = {.pipeline = STR("world"), .source = STR("in"), .partition = JOURNAL_ANY_PARTITION}};
    struct journal_page page = {.count = 0};

    arena_init(&arena, SIZE_MAX);
    if (e == OK)
        e = journal_read(out.journal, &left, &arena, &page);
    (void)EXPECT(page.count == 0, "%d messages are still in the journal", (int)page.count);
    if (e == OK)
        check();
    journal_close(out.journal);
    return e;
}

/* --- scenarios --- */

SCENARIO(pipeline_that_nothing_happens_to_delivers_everything_in_order, .weather = WEATHER_CALM, .prepare = load,
         .thin = 4)
{
    TRY(begin(w, 0));
    return end(live_on(0, 0));
}

SCENARIO(pipeline_whose_outside_fails_delivers_everything_once, .weather = WEATHER_CALM, .prepare = load, .thin = 2)
{
    TRY(begin(w, 100));
    return end(live_on(0, 0));
}

SCENARIO(pipeline_that_is_killed_at_any_wait_delivers_everything_once, .weather = WEATHER_CALM, .prepare = load)
{
    TRY(begin(w, (unsigned)prng_below(&w->prng, 2) * 100));
    return end(live_on(1 + (unsigned)prng_below(&w->prng, LIVES_MAX), 1 + (unsigned)prng_below(&w->prng, 600)));
}

SCENARIO(pipeline_whose_sinks_are_down_for_an_hour_keeps_within_its_bytes, .weather = WEATHER_CALM, .prepare = load,
         .limit = 3 * 3600 * NS_SEC, .thin = 8)
{
    TRY(begin(w, 0));
    out.body = 8000;
    out.down_until = rt_now() + 3600 * NS_SEC;
    TRY(end(live_on(0, 0)));
    enum { ONE_BATCH_MORE = 9 * 40000 };
    (void)EXPECT(out.bytes_most < (256 << 10) + ONE_BATCH_MORE, "%d bytes were under way", (int)out.bytes_most);
    (void)EXPECT(out.bytes_most > 128 << 10, "only %d bytes were under way", (int)out.bytes_most);
    return OK;
}

/* The others go on, in order, and none of them is given up for its company. */
SCENARIO(pipeline_gives_up_a_message_that_kills_the_process, .weather = WEATHER_CALM, .prepare = load, .thin = 2)
{
    struct arena arena CLEANUP(arena_release);
    const struct journal_query dead = {.kind = JOURNAL_DEADS, .r = {.pipeline = STR("world")}};
    struct journal_page page;
    unsigned lives = 0;

    arena_init(&arena, SIZE_MAX);
    TRY(begin(w, 0));
    spec->poison_restarts = 3;
    out.poison = draw(MESSAGES);
    for (bool crashed = true; crashed; lives++) {
        TRY(live(0, &crashed));
        if (!EXPECT(lives < 20, "it kills the process for ever"))
            break;
    }
    TRY(journal_read(out.journal, &dead, &arena, &page));
    (void)EXPECT(page.count == 1 && str_eq(page.records[0].cause, STR("POISON")), "%d dead letters", (int)page.count);
    enum { HALVINGS = 6 }; /* of what may be under way, until it stands alone */
    (void)EXPECT(lives >= spec->poison_restarts + 3 && lives <= spec->poison_restarts + 3 + HALVINGS, "%u lives",
                 lives);
    return end(OK);
}

/* Deaths that no message is to blame for: what was under way is so again after a few trials, however much it is, and what waits for an instant is not waited for. */
SCENARIO(pipeline_that_is_killed_often_is_soon_under_way_again_with_all_it_had, .weather = WEATHER_CALM,
         .prepare = load_quick, .thin = 4)
{
    enum { DEATHS = 20 };
    bool crashed;

    TRY(begin(w, 0));
    out.spec = patient;
    patient->poison_restarts = 3; /* nobody is accused of them so often */
    out.slow = 5 * NS_SEC;        /* longer than a trial */
    ns_t began = rt_now();
    for (unsigned i = 0; i < DEATHS; i++) {
        out.die_after = NS_MS + (ns_t)draw(2000) * NS_MS;
        TRY(live(0, &crashed));
    }
    out.die_after = began + patience + out.slow / 2 - rt_now();
    TRY(live(0, &crashed));
    (void)EXPECT(crashed, "it was not killed while it asked");
    out.die_after = 0;
    TRY(live_on(0, 0));
    ns_t late = rt_now() - began - patience - out.slow - out.slow / 2;
    (void)EXPECT(late < 4 * NS_SEC, "it is done %.1f s late", (double)late / NS_SEC);
    return end(OK);
}

/* --- clocks and disks --- */

static SUSPENDS err_t leap(void *arg)
{
    static const int64_t hour = 3600 * NS_SEC;

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        TRY(fiber_sleep_until(rt_now() + (ns_t)draw(30) * NS_SEC));
        sim_world_leap(out.world->sim, draw(2) ? hour : -hour);
    }
    return OK;
}

/* Somebody puts the clock right while messages wait: what waits already, and what has a deadline, goes by the time that passes. */
SCENARIO(pipeline_goes_by_the_time_that_passes_when_the_clock_leaps, .weather = WEATHER_CALM, .prepare = load_quick,
         .thin = 4)
{
    err_t e;

    TRY(begin(w, 0));
    out.spec = patient;
    ns_t began = rt_now();
    {
        SCOPE(clock, NS_NEVER);
        scope_spawn(&clock, "clock", leap, NULL);
        e = live_on(0, 0);
    }
    ns_t late = rt_now() - began - patience;
    (void)EXPECT(late < 8 * NS_SEC, "it is done %.1f s late", (double)late / NS_SEC);
    return end(e);
}

/* A message that says it will be sent in an hour has no more time than others. */
SCENARIO(pipeline_gives_no_more_time_to_what_is_sent_in_the_future, .weather = WEATHER_CALM, .prepare = load_quick,
         .thin = 8)
{
    const struct journal_query dead = {.kind = JOURNAL_DEADS,
                                       .r = {.pipeline = STR("world"), .cause = STR("DEADLINE")}};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;

    TRY(begin(w, 0));
    out.spec = patient;
    out.ahead = 3600 * NS_SEC;
    out.messages = 20;
    out.slow = 400 * NS_SEC; /* longer than the deadline */
    ns_t began = rt_now();
    TRY(live_on(0, 0));
    (void)EXPECT(rt_now() - began < 330 * NS_SEC, "they had %.0f s", (double)(rt_now() - began) / NS_SEC);
    TRY(journal_read(out.journal, &dead, &arena, &page));
    (void)EXPECT(page.count == out.messages, "%d dead letters", (int)page.count);
    journal_close(out.journal);
    return OK;
}

/* Everything comes within a second, and goes at its pace; and each record is in one window. */
SCENARIO(pipeline_rates_and_windows_go_by_the_time_that_passes_when_the_clock_leaps, .weather = WEATHER_CALM,
         .prepare = load_quick, .thin = 2)
{
    static const ns_t at_pace = MESSAGES * NS_SEC / PER_SECOND;
    const struct table *windows = &out.tables[0], *paced = &out.tables[2];
    uint64_t sum = 0;
    err_t e;

    TRY(begin(w, 0));
    out.spec = by_time;
    out.steady = rt_wall() - rt_now();
    out.linger = 15 * NS_SEC;
    unsigned lives = (unsigned)prng_below(&w->prng, 3);
    ns_t began = rt_now();
    {
        SCOPE(clock, NS_NEVER);
        scope_spawn(&clock, "clock", leap, NULL);
        e = live_on(lives, 200);
    }
    ns_t took = rt_now() - began;
    TRY(e);
    (void)EXPECT(took < (1 + lives) * (at_pace + 20 * NS_SEC), "it took %.1f s", (double)took / NS_SEC);
    (void)EXPECT(lives || paced->last - paced->first > at_pace - at_pace / 10, "%.1f s for what takes %.1f",
                 (double)(paced->last - paced->first) / NS_SEC, (double)at_pace / NS_SEC);
    for (size_t i = 0; i < windows->count; i++) {
        sum += windows->rows[i].said;
        (void)EXPECT(!i || windows->rows[i].n > windows->rows[i - 1].n, "a window of %d comes behind one of %d",
                     (int)windows->rows[i].n, (int)windows->rows[i - 1].n);
    }
    (void)EXPECT(sum == MESSAGES * (MESSAGES - 1) / 2, "all that was in windows is %d", (int)sum);
    check_numbers(paced);
    journal_close(out.journal);
    return OK;
}

/* The clock leaps, and the process is killed meanwhile. */
static SUSPENDS err_t leap_by_hours(void *arg)
{
    int64_t *latest = arg;

    for (unsigned i = 0; i < 3; i++) {
        TRY(fiber_sleep_until(rt_now() + (1 + (ns_t)draw(3600)) * NS_SEC));
        *latest = rt_wall() > *latest ? rt_wall() : *latest;
        sim_world_leap(out.world->sim, ((int64_t)draw(7200) - 3600) * NS_SEC);
    }
    return OK;
}

/* Whichever life that is, and those after it. */
static SUSPENDS err_t drain_in_the_end(void *arg)
{
    const ns_t *when = arg;

    TRY(fiber_sleep_until(*when));
    for (;;) {
        if (out.runner)
            runner_drain(out.runner);
        TRY(fiber_sleep_until(rt_now() + NS_SEC));
    }
}

/* Each instant is due once, in order, and none is left out, whatever the clock says. */
SCENARIO(pipeline_of_cron_has_each_instant_once_when_the_clock_leaps, .weather = WEATHER_CALM, .prepare = load_quick,
         .limit = 24 * 3600 * NS_SEC, .thin = 4)
{
    const struct table *t = &out.tables[2];
    err_t e = OK;

    TRY(begin(w, 50));
    out.spec = by_cron;
    int64_t began = rt_wall(), latest = began;
    ns_t until = rt_now() + 8 * 3600 * NS_SEC;
    {
        SCOPE(clock, NS_NEVER);
        scope_spawn(&clock, "clock", leap_by_hours, &latest);
        scope_spawn(&clock, "drain", drain_in_the_end, &until);
        for (bool crashed = true; crashed && e == OK;) {
            ns_t left = until - rt_now();
            out.die_after = left > NS_SEC ? 1 + (ns_t)draw((uint64_t)left) : 0;
            e = live(0, &crashed);
        }
    }
    TRY(e);
    latest = rt_wall() > latest ? rt_wall() : latest;
    for (size_t i = 0; i < t->count; i++)
        (void)EXPECT(t->rows[i].n == (uint64_t)(began / NS_SEC / EVERY) + 1 + i, "instant %d is in the place of %d",
                     (int)t->rows[i].n, (int)(began / NS_SEC / EVERY + 1 + (int64_t)i));
    /* Half a minute is what a source may take to notice a leap. */
    int64_t most = latest / NS_SEC / EVERY - began / NS_SEC / EVERY;
    int64_t least = (latest / NS_SEC - 31) / EVERY - began / NS_SEC / EVERY;
    (void)EXPECT((int64_t)t->count >= least && (int64_t)t->count <= most, "%d instants, not %d", (int)t->count,
                 (int)most);
    journal_close(out.journal);
    return OK;
}

static uint64_t roots_now(void)
{
    struct shard_stats s;

    runner_totals(out.runner, &s);
    return s.roots;
}

/* The disk is full for a while, from the midst of the work on. */
static SUSPENDS err_t fill_disk(void *arg)
{
    (void)arg;
    do
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    while (!out.runner || roots_now() == 0);
    TRY(fiber_sleep_until(rt_now() + (ns_t)draw(2000) * NS_MS));
    sim_world_limit_disk(out.world->sim, 0);
    TRY(fiber_sleep_until(rt_now() + 60 * NS_SEC));
    uint64_t before = roots_now();
    TRY(fiber_sleep_until(rt_now() + 540 * NS_SEC));
    (void)EXPECT(roots_now() == before, "%d messages were taken in that nothing keeps", (int)(roots_now() - before));
    out.filled = before < out.messages;
    sim_world_limit_disk(out.world->sim, UINT64_MAX);
    return OK;
}

static SUSPENDS err_t live_with_a_file(struct world *w, unsigned trouble)
{
    const struct journal_options o = {
        .kind = "sqlite", .path = "/journal.db", .traces_max = 100, .trace_age = NS_NEVER, .dead_age = NS_NEVER};

    TRY(begin(w, trouble));
    journal_close(out.journal);
    TRY(journal_open(&o, &out.journal));
    return OK;
}

/* Intake stops, nothing is lost, and it goes on by itself. */
SCENARIO(pipeline_whose_disk_is_full_for_a_while_stops_and_goes_on, .weather = WEATHER_CALM, .prepare = load_quick,
         .limit = 3600 * NS_SEC, .thin = 8)
{
    err_t e;

    TRY(live_with_a_file(w, 50));
    ns_t began = rt_now();
    {
        SCOPE(disk, NS_NEVER);
        scope_spawn(&disk, "disk", fill_disk, NULL);
        e = live_on(0, 0);
    }
    (void)EXPECT(!out.filled || rt_now() - began > 600 * NS_SEC, "the disk was full, and it went on");
    return end(e);
}

/* Calls to the disk fail now and then, at any time: writing, syncing, reading. */
SCENARIO(pipeline_whose_disk_fails_now_and_then_delivers_everything_once, .weather = WEATHER_CALM,
         .prepare = load_quick, .limit = 3600 * NS_SEC, .thin = 8)
{
    struct sim_faults faults = {.disk_error = 1 + (unsigned)prng_below(&w->prng, 30)};

    TRY(live_with_a_file(w, 50));
    sim_world_set_faults(w->sim, &faults);
    err_t e = live_on(0, 0);
    faults.disk_error = 0;
    sim_world_set_faults(w->sim, &faults);
    return end(e);
}

/* --- the n-th write or sync of the journal fails, and some behind it --- */

static struct {
    const struct seams *inner;
    struct seams seams;
    struct disk_ops disk;
    uint64_t calls, from, to; /* those from `from` on, before `to`, fail; both 0: none */
    int error;
} failing;

static bool fails_now(void)
{
    uint64_t call = ++failing.calls;

    return call >= failing.from && call < failing.to;
}

static ssize_t failing_pwrite(void *ctx, int h, const void *from, size_t n, uint64_t at)
{
    return fails_now() ? -failing.error : failing.inner->disk->pwrite(ctx, h, from, n, at);
}

static int failing_sync(void *ctx, int h)
{
    return fails_now() ? -failing.error : failing.inner->disk->sync(ctx, h);
}

static int failing_sync_data(void *ctx, int h)
{
    return fails_now() ? -failing.error : failing.inner->disk->sync_data(ctx, h);
}

static const struct seams *with_failing_disk(const struct seams *inner)
{
    failing.inner = inner;
    failing.calls = failing.from = failing.to = 0;
    failing.seams = *inner;
    failing.disk = *inner->disk;
    failing.disk.pwrite = failing_pwrite;
    failing.disk.sync = failing_sync;
    failing.disk.sync_data = failing_sync_data;
    failing.seams.disk = &failing.disk;
    return &failing.seams;
}

/* A whole run with a new journal, of which the n-th write or sync fails, and so many behind it. *ret_over: there are not so many. */
static SUSPENDS err_t live_with_failure(struct world *w, uint64_t n, uint64_t behind, int error, bool *ret_over)
{
    TRY(live_with_a_file(w, 50));
    out.messages = 10;
    failing.calls = 0;
    failing.from = n;
    failing.to = n + 1 + behind;
    failing.error = error;
    err_t e = live_on(0, 0);
    *ret_over = failing.calls < n;
    failing.from = failing.to = 0;
    e = end(e);
    (void)loop_seams()->disk->remove(loop_seams()->ctx, "/journal.db");
    (void)loop_seams()->disk->remove(loop_seams()->ctx, "/journal.db-wal");
    return e;
}

/* One after the other, each in a run of its own; what other worlds leave out follows from the seed. */
SCENARIO(pipeline_of_whose_journal_any_write_or_sync_fails_delivers_everything_once, .weather = WEATHER_CALM,
         .prepare = load_quick, .limit = 24 * 3600 * NS_SEC, .wrap = with_failing_disk, .thin = 8)
{
    static const int errors[] = {EIO, ENOSPC};
    uint64_t step = 4, error = prng_below(&w->prng, 2), runs = 0;

    for (uint64_t n = 1 + prng_below(&w->prng, step); !w->failed; n += step, runs++) {
        bool is_over;
        world_log("call %d fails", (int)n);
        TRY(live_with_failure(w, n, prng_below(&w->prng, 3), errors[error ^= 1], &is_over));
        if (is_over)
            break;
    }
    (void)EXPECT(runs > 1, "only %d calls were made to fail", (int)runs);
    return OK;
}

/* Sinks that are slow, though not down: what comes is held back, within the bytes that may be under way. */
SCENARIO(pipeline_whose_sinks_are_slow_keeps_within_its_bytes, .weather = WEATHER_CALM, .prepare = load_quick,
         .limit = 3 * 3600 * NS_SEC, .thin = 8)
{
    enum { ONE_BATCH_MORE = 9 * 40000 };

    TRY(begin(w, 0));
    out.body = 8000;
    out.sink_slow = 10 * NS_SEC;
    TRY(end(live_on(0, 0)));
    (void)EXPECT(out.bytes_most < (256 << 10) + ONE_BATCH_MORE, "%d bytes were under way", (int)out.bytes_most);
    (void)EXPECT(out.bytes_most > 128 << 10, "only %d bytes were under way", (int)out.bytes_most);
    return OK;
}

/* Of what nobody can tell of, a person is told; the rest has come about, and nothing has twice. */
SCENARIO(pipeline_effect_that_is_wanted_at_most_once_never_comes_twice, .weather = WEATHER_CALM, .prepare = load)
{
    const struct journal_query dead = {.kind = JOURNAL_DEADS,
                                       .r = {.pipeline = STR("world"), .node = STR("two"), .cause = STR("UNKNOWN")}};
    struct arena arena CLEANUP(arena_release);
    struct journal_page page;

    arena_init(&arena, SIZE_MAX);
    TRY(begin(w, 60));
    out.at_most_once = &out.tables[1];
    for (uint16_t i = 0; i < spec->node_count; i++)
        if (str_eq(spec->nodes[i]->name, STR("two")))
            spec->nodes[i]->effect.mode = EFFECT_AT_MOST_ONCE;
    TRY(live_on((unsigned)prng_below(&w->prng, 20), 1 + (unsigned)prng_below(&w->prng, 400)));
    TRY(journal_read(out.journal, &dead, &arena, &page));
    for (size_t i = 0; i < page.count; i++) { /* that of which nobody can tell may have come about */
        uint64_t n = number_in(page.records[i].body.bytes, "\"n\":");
        bool has_come = false;
        for (size_t k = 0; k < out.at_most_once->count; k++)
            has_come = has_come || out.at_most_once->rows[k].n == n;
        out.given_up += !has_come;
    }
    return end(OK);
}

/* Installed, in turn, some times: what the one has taken in it finishes before the other begins. */
static SUSPENDS err_t change_versions(void *runner)
{
    struct pipeline_spec *next = other;

    for (unsigned i = 0; i < CHANGES; i++, next = next == other ? spec : other) {
        const struct pipeline_set set = {.items = &next, .count = 1};
        while (!out.seen[i % 2])
            TRY(fiber_sleep_until(rt_now() + NS_MS));
        TRY(fiber_sleep_until(rt_now() + (ns_t)draw(100) * NS_MS));
        runner_install(runner, &set);
    }
    return OK;
}

static void count_versions(void *ctx, const struct runner_status *s)
{
    (void)ctx;
    out.seen[s->spec == other] = out.seen[s->spec == other] || s->stats.roots > 0;
}

static SUSPENDS err_t look_at_versions(void *runner)
{
    for (;;) {
        runner_each(runner, count_versions, NULL);
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    }
}

SCENARIO(pipeline_versions_follow_each_other_without_gap_or_disorder, .weather = WEATHER_CALM, .prepare = load,
         .thin = 2)
{
    const struct pipeline_set set = {.items = &spec, .count = 1};
    err_t result = OK;

    TRY(begin(w, 50));
    struct runner *r = runner_new(&(struct runner_options){.journal = out.journal, .loops = 1, .ends = true});
    runner_install(r, &set);
    out.runner = r;
    {
        SCOPE(process, NS_NEVER);
        SCOPE(others, NS_NEVER);
        scope_spawn(&process, "pipelines", runner_run, r);
        scope_spawn(&others, "versions", change_versions, r);
        scope_spawn(&others, "look", look_at_versions, r);
        result = scope_wait_all(&process);
    }
    runner_free(r);
    (void)EXPECT(result == OK, "it ended with %s", err_detail(result));
    (void)EXPECT(out.seen[0] && out.seen[1], "one version did all of it");
    return end(result);
}

/* At any moment of its beginning, too. */
SCENARIO(pipeline_that_hears_of_another_version_while_it_begins_takes_it, .weather = WEATHER_CALM, .prepare = load,
         .thin = 2)
{
    const struct pipeline_set first = {.items = &spec, .count = 1}, second = {.items = &other, .count = 1};
    err_t result = OK;

    TRY(begin(w, 0));
    struct runner *r = runner_new(&(struct runner_options){.journal = out.journal, .loops = 1});
    runner_install(r, &first);
    out.runner = r;
    {
        SCOPE(process, NS_NEVER);
        SCOPE(others, NS_NEVER);
        scope_spawn(&process, "pipelines", runner_run, r);
        scope_spawn(&others, "look", look_at_versions, r);
        TRY(fiber_sleep_until(rt_now() + (ns_t)draw(40) * NS_MS));
        runner_install(r, &second);
        while (!out.seen[true])
            TRY(fiber_sleep_until(rt_now() + NS_MS));
        runner_drain(r);
        result = scope_wait_all(&process);
    }
    runner_free(r);
    (void)EXPECT(result == OK, "it ended with %s", err_detail(result));
    journal_close(out.journal);
    return OK;
}

/* What is under way is finished, the rest is not begun. */
SCENARIO(pipeline_that_drains_leaves_nothing_under_way, .weather = WEATHER_CALM, .prepare = load, .thin = 4)
{
    const struct pipeline_set set = {.items = &spec, .count = 1};
    err_t result = OK;

    TRY(begin(w, 50));
    struct runner *r = runner_new(&(struct runner_options){.journal = out.journal, .loops = 1});
    runner_install(r, &set);
    out.runner = r;
    {
        SCOPE(process, NS_NEVER);
        scope_spawn(&process, "pipelines", runner_run, r);
        TRY(fiber_sleep_until(rt_now() + (ns_t)draw(draw(2) ? 1000 : 40) * NS_MS)); /* also while it begins */
        runner_drain(r);
        result = scope_wait_all(&process);
    }
    struct shard_stats s;
    runner_totals(r, &s);
    runner_free(r);
    (void)EXPECT(s.roots == s.completed && s.under_way == 0, "%d of %d are done", (int)s.completed, (int)s.roots);
    out.messages = s.roots;
    return end(result);
}

/* --- a model --- */

enum { PROVIDER_PORT = 9000 };

static err_t make_snapshot(struct snapshot **ret)
{
    static const char configuration[] =
        "listen: 127.0.0.1:80\n"
        "timeouts: {connect: 2s, first_byte: 5s, between_bytes: 4s, total: 20s}\n"
        "providers: {a: {dialect: openai, base_url: 'http://127.0.0.1:9000/v1', api_key: sk-a-secret}}\n"
        "models: {lone: {targets: [a/m], retries: 1}}\n";
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 20);
    TRY(config_load("-", str_from_c(configuration), config_env_real(), &problems, &catalog));
    return snapshot_make(catalog, NULL, ret);
}

/* What the provider says of a question: the right answer; or, so often as it is drawn, one that does not fit. */
static void put_words(uint64_t n, size_t repairs, struct buf *to)
{
    static const char *const wrong[] = {"I would rather not say.", "{\"n\":1}", "{\"n\":\"one\",\"said\":2}", "[1,2",
                                        "{\"n\":1,\"said\":2,\"more\":3}"};

    if (out.spec == with_stream || repairs >= out.misfits[n]) {
        bool is_fenced = out.spec == with_model && draw(2);
        (void)buf_addf(to, "%s{\"n\":%d,\"said\":%d}%s", is_fenced ? "```json\n" : "", (int)n, (int)draw(1000000),
                       is_fenced ? "\n```" : "");
        return;
    }
    out.misfitting++;
    (void)buf_add(to, str_from_c(wrong[draw(ARRAY_LEN(wrong))]));
}

static SUSPENDS err_t turn_away(struct http_request *r)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                          {STR("retry-after"), draw(2) ? STR("1") : STR("0")}};
    const struct str body = STR("{\"error\":{\"message\":\"busy\",\"type\":\"t\",\"param\":null,\"code\":null}}");
    const struct http_reply reply = {
        .status = 429, .headers = headers, .count = ARRAY_LEN(headers), .length = (int64_t)body.n};

    out.turned_away++;
    return http_reply_whole(r, &reply, body);
}

/* `words` as one answer, or as a stream, a byte or some at a time. */
static void put_answer(struct buf *to, bool is_stream, struct str words)
{
    struct json_out o = json_out_to(to);

    for (size_t at = 0, n; is_stream && at < words.n; at += n) {
        n = 1 + draw(words.n - at);
        (void)buf_add(to, STR("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":"));
        json_put_str(&o, str_slice(words, at, at + n));
        (void)buf_add(to, STR("},\"finish_reason\":null}]}\n\n"));
        o.comma = false;
    }
    if (is_stream) {
        (void)buf_add(to, STR("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                              "data: [DONE]\n\n"));
        return;
    }
    (void)buf_add(to, STR("{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"));
    json_put_str(&o, words);
    (void)buf_add(to, STR("},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"));
}

static size_t count_of(struct str where, struct str what)
{
    size_t n = 0;

    for (size_t at; (at = str_find(where, what)) < where.n; n++)
        where = str_slice(where, at + what.n, where.n);
    return n;
}

static SUSPENDS err_t reply_with(struct http_request *r, bool is_stream, struct str body)
{
    const struct http_header type = {STR("content-type"),
                                     is_stream ? STR("text/event-stream") : STR("application/json")};
    const struct http_reply reply = {.status = 200, .headers = &type, .count = 1, .length = -1};

    TRY(http_reply_begin(r, &reply));
    if (!fails()) {
        TRY(http_reply_write(r, &body, 1));
        return http_reply_finish(r, NULL, 0);
    }
    out.broken_off++;
    struct str some = str_slice(body, 0, draw(body.n)); /* never its last byte */
    if (some.n)
        TRY(http_reply_write(r, &some, 1));
    TRY(take_a_while());
    http_reply_abort(r);
    return OK;
}

static err_t provide_words(struct http_request *r, void *ctx)
{
    struct buf words CLEANUP(buf_release) = BUF_INIT(1 << 12), body CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct str question;

    (void)ctx;
    TRY(http_body_all(r, 1 << 20, &question));
    uint64_t n = number_in(question, "question ");
    size_t repairs = count_of(question, STR("This does not fit the schema"));
    if (!EXPECT(n < MESSAGES && repairs <= REPAIRS, "question %d comes after %d repairs", (int)n, (int)repairs))
        return fail(E_PARSE, "not what a pipeline of this world asks");
    TRY(take_a_while());
    if (rt_now() < out.storm_until || fails())
        return turn_away(r);
    bool is_stream = out.spec == with_stream;
    put_words(n, repairs, &words);
    put_answer(&body, is_stream, buf_str(&words));
    return reply_with(r, is_stream, buf_str(&body));
}

static err_t serve_words(void *server)
{
    return http_server_run(server);
}

/* Its conversations: so many in a hundred messages never fit, some of the others need to be put right. */
static void draw_misfits(unsigned hopeless)
{
    for (size_t i = 0; i < MESSAGES; i++)
        out.misfits[i] = draw(100) < hopeless ? NEVER_FITS : draw(3) ? 0 : 1 + (unsigned)draw(REPAIRS);
}

/* Lives on with a gateway, and a provider behind it. */
static SUSPENDS err_t live_with_gateway(struct snapshot *snapshot, unsigned lives)
{
    const struct http_server_options so = {.limits = http_limits_default(), .handler = provide_words};
    struct http_server *provider = http_server_new(&so);
    struct addr at = world_addr(PROVIDER_PORT), bound;
    err_t e;

    out.gateway = gateway_new(&(struct gateway_options){.snapshot = snapshot});
    {
        SCOPE(doors, NS_NEVER);
        e = http_server_listen(provider, &at, LISTEN_ALONE, NULL, &bound);
        scope_spawn(&doors, "provider", serve_words, provider);
        if (e == OK)
            e = live_on(lives, 2000);
    }
    http_server_free(provider);
    gateway_free(out.gateway);
    dns_drain();
    iobuf_drain();
    return e;
}

/* Those that never fit, and no others, are dead letters, once each. */
static SUSPENDS err_t check_dead(void)
{
    struct journal_query dead = {.kind = JOURNAL_DEADS, .r = {.pipeline = STR("world"), .node = STR("talk")}};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    unsigned seen[MESSAGES] = {0};

    do {
        struct journal_page page;
        TRY(journal_read(out.journal, &dead, &arena, &page));
        for (size_t i = 0; i < page.count; i++) {
            uint64_t n = number_in(page.records[i].body.bytes, "\"n\":");
            (void)EXPECT(str_eq(page.records[i].cause, STR("PARSE")), "%d is dead for %.*s", (int)n,
                         STR_ARG(page.records[i].cause));
            seen[n < MESSAGES ? n : 0]++;
        }
        dead.after = page.next;
    } while (dead.after);
    for (size_t i = 0; i < MESSAGES; i++)
        (void)EXPECT(seen[i] == (out.misfits[i] == NEVER_FITS), "%d has %u dead letters", (int)i, seen[i]);
    return OK;
}

static SUSPENDS err_t ask_a_model(struct pipeline_spec *of, unsigned lives)
{
    enum { ONE_BATCH_MORE = 9 * 40000 };
    struct snapshot *snapshot;

    TRY(make_snapshot(&snapshot));
    out.spec = of;
    out.body = 1000;
    err_t e = live_with_gateway(snapshot, lives);
    snapshot_unref(snapshot);
    if (e == OK)
        e = check_dead();
    (void)EXPECT(out.bytes_most < (64 << 10) + ONE_BATCH_MORE, "%d bytes were under way", (int)out.bytes_most);
    return end(e);
}

/* What the model says must fit, or is put right so often as the file says; and what never fits is a dead letter. */
SCENARIO(pipeline_whose_model_says_what_does_not_fit_has_it_put_right_or_gives_it_up, .weather = WEATHER_CALM,
         .prepare = load_quick, .thin = 4)
{
    TRY(begin(w, 0));
    draw_misfits(10);
    TRY(ask_a_model(with_model, 0));
    (void)EXPECT(out.misfitting > 0, "every answer fitted");
    return OK;
}

/* The same through answers that break off, and 429s now and then, killed at any wait. */
SCENARIO(pipeline_whose_model_answers_by_halves_takes_none_of_them, .weather = WEATHER_CALM, .prepare = load_quick,
         .thin = 2)
{
    TRY(begin(w, 150));
    draw_misfits(5);
    return ask_a_model(with_model, (unsigned)prng_below(&w->prng, 6));
}

SCENARIO(pipeline_whose_model_streams_break_off_takes_none_of_them, .weather = WEATHER_CALM, .prepare = load_quick,
         .thin = 2)
{
    TRY(begin(w, 150));
    return ask_a_model(with_stream, (unsigned)prng_below(&w->prng, 6));
}

/* Everybody is turned away for a while: what is under way waits, what comes is held back, and nothing is given up. */
SCENARIO(pipeline_whose_model_turns_everybody_away_for_a_while_loses_nothing, .weather = WEATHER_CALM,
         .prepare = load_quick, .thin = 2)
{
    TRY(begin(w, 0));
    out.storm_until = rt_now() + 1 + (ns_t)draw(90 * NS_SEC);
    ns_t began = rt_now();
    TRY(ask_a_model(draw(2) ? with_model : with_stream, (unsigned)prng_below(&w->prng, 3)));
    (void)EXPECT(rt_now() > out.storm_until || out.storm_until < began + NS_SEC, "it was done within the storm");
    (void)EXPECT(out.turned_away > 0 || out.storm_until < began + NS_SEC, "nobody was turned away");
    return OK;
}
