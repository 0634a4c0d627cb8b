/*
 * nats.c - messages from NATS JetStream, by a durable consumer. A message is its sequence in the stream. Core NATS keeps nothing and is no source.
 *
 * A message is acknowledged when it is in the journal. Progress is the addresses of the last batch's acknowledgements, in the commit that took the batch
 * in: whoever starts again acknowledges these first, and so none of them comes again.
 *
 * What was delivered to a process that was killed, and is not in the journal, comes again when the consumer's `ack_wait` is over, before newer messages.
 * So that messages of a key keep their order, nothing newer is asked for until then.
 */
#include "client/nats.h"
#include "base/buf.h"
#include "base/mem.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/reach.h"
#include "rt/loop.h"
#include "rt/scope.h"

struct nats_source {
    struct schema_text stream, subject, durable, connection;
};

static const struct schema_field nats_fields[] = {
    SCHEMA_TEXT("stream", struct nats_source, stream, .required = true, .doc = "Stream of JetStream."),
    SCHEMA_TEXT("subject", struct nats_source, subject, .default_doc = "all of the stream",
                .doc = "Only messages of this subject; `*` and `>` as in NATS."),
    SCHEMA_TEXT("durable", struct nats_source, durable, .default_doc = "the pipeline's name",
                .doc = "Name of the consumer: processes that share it share the messages."),
    CONNECTION_FIELD(struct nats_source), SCHEMA_END};
static const struct schema_object nats_object = {
    .fields = nats_fields, .size = sizeof(struct nats_source), .shorthand = "stream"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("nats", &nats_object, .doc = "A stream of NATS JetStream."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct nats_source *c = n->config;

    build_connection(b, n, &c->connection);
    if (!c->durable.text.n)
        c->durable.text = b->spec->name;
}

static const struct promise_row promises[] = {{.when = "JetStream",
                                               .promise = PROMISE_EXACTLY,
                                               .how =
                                                   "a message is its stream sequence; acknowledged after the journal's "
                                                   "commit, and what comes again is known there"},
                                              {0}};

/* --- running --- */

enum { BATCH = 500, BATCH_BYTES_MAX = 56 << 20 };
static const ns_t wait_time = 5 * NS_SEC, wait_margin = 20 * NS_MS, goodbye_time = 2 * NS_SEC;

struct reader {
    struct intake *in;
    const struct pipeline_node *source;
    struct nats *nats;
    struct nats_consumer consumer;
    struct arena arena;  /* of what follows */
    struct str *replies; /* in the journal, not acknowledged yet */
    size_t count;
};

static void forget_replies(struct reader *r)
{
    arena_clear(&r->arena);
    r->replies = NULL;
    r->count = 0;
}

/* Addresses have no blanks. */
static SUSPENDS err_t recall(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct str progress;

    TRY(intake_progress(r->in, 0, &a, &progress));
    struct str rest = arena_str(&r->arena, progress);
    r->replies = arena_alloc(&r->arena, (rest.n + 1) * sizeof *r->replies);
    while (rest.n)
        r->replies[r->count++] = str_cut(&rest, ' ');
    return OK;
}

static struct str pack_progress(struct reader *r, const struct nats_message *messages, size_t n)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);

    forget_replies(r);
    r->replies = arena_alloc(&r->arena, (n + 1) * sizeof *r->replies);
    for (size_t i = 0; i < n; i++) {
        r->replies[r->count++] = arena_str(&r->arena, messages[i].reply);
        (void)buf_addf(&text, "%s%.*s", i ? " " : "", STR_ARG(messages[i].reply));
    }
    return arena_str(&r->arena, buf_str(&text));
}

static SUSPENDS err_t tell_done(struct reader *r)
{
    TRY(nats_acknowledge(r->nats, r->replies, r->count));
    forget_replies(r);
    return OK;
}

/* The source is to end: what is done need not come again. */
static SUSPENDS err_t tell_done_at_last(struct reader *r)
{
    SHIELD(ns_add(rt_now(), goodbye_time));

    return tell_done(r);
}

static SUSPENDS err_t acknowledge(struct reader *r)
{
    TRY(intake_settled(r->in));
    return fiber_is_cancelled() ? tell_done_at_last(r) : tell_done(r);
}

static SUSPENDS err_t take_in(struct reader *r, const struct nats_message *from, size_t n, struct arena *a)
{
    struct message *messages = arena_alloc(a, n * sizeof *messages);

    for (size_t i = 0; i < n; i++) {
        messages[i] = (struct message){.key = from[i].subject, .body = from[i].payload};
        TRY(nats_origin(from[i].reply, &messages[i].position, &messages[i].at));
    }
    struct str progress = pack_progress(r, from, n);
    err_t e = intake_put(r->in, messages, n, progress);
    if (e != OK)
        forget_replies(r); /* they come again */
    return e;
}

/* What others, or a former run, were given and have not acknowledged comes first. */
static SUSPENDS err_t begin(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct nats_consumer_state state;

    TRY(nats_consumer_open(r->nats, &r->consumer, &a, &state));
    TRY(acknowledge(r));
    TRY(nats_consumer_open(r->nats, &r->consumer, &a, &state));
    return state.pending ? fiber_sleep_until(ns_add(rt_now(), state.ack_wait + wait_margin)) : OK;
}

static SUSPENDS err_t read_batch(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = BATCH_BYTES_MAX};
    struct nats_message *messages = arena_alloc(&a, BATCH * sizeof *messages);
    size_t n;

    TRY(nats_fetch(r->nats, &r->consumer, BATCH, wait_time, &a, messages, &n));
    if (n == 0)
        return OK;
    TRY(take_in(r, messages, n, &a));
    return acknowledge(r);
}

static SUSPENDS err_t read_for_ever(struct reader *r)
{
    ns_t pause = 0;

    TRY(recall(r));
    for (;;) {
        err_t e = begin(r);
        while (e == OK) {
            e = read_batch(r);
            pause = e == OK ? 0 : pause;
        }
        TRY(reach_wait(r->source, e, &pause));
    }
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    const struct nats_source *c = source->config;
    struct reach reach CLEANUP(reach_release) = {0};
    struct reader r = {.in = in,
                       .source = source,
                       .consumer = {.stream = c->stream.text, .durable = c->durable.text, .subject = c->subject.text},
                       .arena = {.max = SIZE_MAX}};
    struct nats_options o;

    TRY(reach_nats(source->connection, &reach, &o));
    r.nats = nats_new(&o);
    err_t e = read_for_ever(&r);
    nats_free(r.nats);
    arena_release(&r.arena);
    return e;
}

static const struct source_run source_run = {.run = run};

const struct source_kind source_kind_nats = {
    .kind = {.name = "nats",
             .fields = fields,
             .size = sizeof(struct nats_source),
             .traits = KIND_CONNECTS,
             .scheme = "nats",
             .usual_url = "nats://127.0.0.1:4222",
             .build = build},
    .rows = promises,
    .keeps = true,
    .unkept = "a batch is acknowledged when its messages are done: what is not comes again after ack_wait",
    .run = &source_run,
};
