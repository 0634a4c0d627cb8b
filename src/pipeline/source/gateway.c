/*
 * gateway.c - messages that the gateway makes of its own traffic: every answer of a route, or a sample.
 *
 * A message is a request that was answered, with its answer and what is known of both (ears.c writes it). A client's answer does not wait for a pipeline
 * unless `wait` says so; if the process dies in between, the message is lost then. Clients are never refused because of a pipeline: what comes faster than it
 * takes waits, within limits, and what has no room there is lost and counted. What pipelines themselves ask models is not among it.
 */
#include "gateway/gateway.h"
#include "base/mem.h"
#include "fleet/catalog.h"
#include "pipeline/door/ears.h"
#include "pipeline/run/shard_int.h"
#include "pipeline/spec/build.h"
#include "rt/loop.h"

struct gateway_source {
    struct schema_text route;
    double sample;
    bool wait;
};

static const struct schema_field gateway_fields[] = {
    SCHEMA_TEXT("route", struct gateway_source, route, .required = true,
                .doc = "Model whose answers these are, as clients name it."),
    SCHEMA_FLOAT("sample", struct gateway_source, sample, .default_text = "100%", .min = "0.000001", .max = "1",
                 .doc = "Share of them; which, the request's id decides."),
    SCHEMA_BOOL("wait", struct gateway_source, wait, .default_text = "false",
                .doc = "An answer ends for the client only when its message is in the journal."),
    SCHEMA_END};
static const struct schema_object gateway_object = {
    .fields = gateway_fields, .size = sizeof(struct gateway_source), .shorthand = "route"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("gateway", &gateway_object, .doc = "Answers that the gateway gave."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    const struct gateway_source *c = n->config;

    build_route(b, n, &c->route);
}

static const struct promise_row rows[] = {
    {.when = "`wait: true`",
     .promise = PROMISE_EXACTLY,
     .how = "the answer ends for its client only when the message is in the journal; if that takes five seconds, it "
            "ends before"},
    {.when = "else",
     .promise = PROMISE_LOSES,
     .how = "the client has its answer before the message is in the journal: a crash in between loses it",
     .remedy = "`wait: true` at the source"},
    {0}};

static size_t row(const struct pipeline_node *n)
{
    const struct gateway_source *c = n->config;

    return !c->wait;
}

/* --- running --- */

enum { BATCH = 64, NAME_ROOM = 1024 };

struct gateway_reading {
    struct intake *in;
    struct ear *ear;
    uint64_t position;
    /* Those that are taken in together. */
    struct message messages[BATCH];
    struct message_header headers[BATCH];
};

static void add_message(struct gateway_reading *g, const struct knock *k, size_t n)
{
    uint64_t now = (uint64_t)rt_wall();
    struct message_header *header = &g->headers[n];

    g->position = g->position < now ? now : g->position + 1;
    *header = (struct message_header){STR("traceparent"), k->traceparent};
    g->messages[n] = (struct message){.position = g->position,
                                      .identity = k->id,
                                      .body = k->body,
                                      .at = k->at,
                                      .headers = header,
                                      .header_count = k->traceparent.n ? 1 : 0};
}

/* As many as one commit has room for. *first becomes what is left. */
static SUSPENDS err_t take_some(struct gateway_reading *g, struct knock **first)
{
    struct knock *k = *first;
    size_t n = 0, bytes = 0;

    for (; k && n < BATCH && (!n || bytes + k->body.n < JOURNAL_COMMIT_MAX / 2); k = k->next, n++) {
        add_message(g, k, n);
        bytes += k->body.n;
    }
    err_t e = intake_put(g->in, g->messages, n, STR("-"));
    for (struct knock *next; *first != k; *first = next) {
        next = (*first)->next;
        knock_answer(*first, e == OK ? 200 : 503, STR_NONE);
    }
    return e;
}

static SUSPENDS err_t take_in(struct gateway_reading *g, struct knock *first)
{
    err_t e = OK;

    while (first && e == OK)
        e = take_some(g, &first);
    for (struct knock *next; first; first = next) {
        next = first->next;
        knock_answer(first, 503, STR_NONE);
    }
    return e;
}

static SUSPENDS err_t listen_to(struct gateway_reading *g)
{
    for (;;) {
        struct knock *first;
        TRY(door_take(ear_door(g->ear), BATCH, NS_NEVER, &first));
        TRY(take_in(g, first));
    }
}

/* `name` is where its name goes, and outlives what is returned. */
static struct ear_options options_of(const struct pipeline_spec *spec, const struct pipeline_node *source,
                                     struct gateway *gateway, struct buf *name)
{
    const struct gateway_source *c = source->config;
    const struct model *m = catalog_find_model(gateway_snapshot(gateway)->catalog, c->route.text);

    (void)buf_addf(name, "answers/%.*s/%.*s", STR_ARG(spec->name), STR_ARG(source->name));
    return (struct ear_options){
        .name = buf_str(name), .model = m ? m->name : c->route.text, .sample = c->sample, .waits = c->wait};
}

static void announce(const struct pipeline_spec *spec, const struct pipeline_node *source, const struct entrances *at)
{
    struct buf name CLEANUP(buf_release) = BUF_INIT(NAME_ROOM);

    if (!at->ears || !at->gateway)
        return;
    const struct ear_options o = options_of(spec, source, at->gateway, &name);
    ear_announce(at->ears, &o);
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    struct shard *shard = in->shard;
    struct ear *ear;

    if (!shard->ears || !shard->gateway)
        return fail(E_CONFIG,
                    "no clients come here: `crossdock serve` runs pipelines that hear what they are answered");
    struct buf name CLEANUP(buf_release) = BUF_INIT(NAME_ROOM);
    const struct ear_options o = options_of(shard->spec, source, shard->gateway, &name);
    TRY(ear_open(shard->ears, &o, &ear));
    struct gateway_reading *g = NEW(struct gateway_reading);
    g->in = in;
    g->ear = in->ear = ear;
    in->missed_before = ear_missed(ear);
    err_t e = listen_to(g);
    shard->stats.missed += ear_missed(ear) - in->missed_before;
    in->ear = NULL;
    ear_close(ear);
    mem_free(g);
    return e;
}

static const struct source_run source_run = {.run = run, .announce = announce};

const struct source_kind source_kind_gateway = {
    .kind = {.name = "gateway", .fields = fields, .size = sizeof(struct gateway_source), .build = build},
    .rows = rows,
    .row = row,
    .run = &source_run,
};
