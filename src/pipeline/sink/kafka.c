/*
 * kafka.c - records to Kafka, in transactions.
 *
 * A transaction holds a batch and a marker: a record in a compacted topic whose key is the transaction's owner (pipeline, sink, shard) and whose value is
 * a digest of the batch. Whether a batch was committed is then a question to Kafka itself: is the owner's newest committed marker that of this
 * batch? It is asked wherever the end of a commit was not seen: after a crash, and after any failure that does not say for certain that the transaction was
 * aborted. Before it is asked the owner's id is taken (`transactional.id`), so that whatever was under way is over, and a former process is fenced.
 *
 * The digest is of the batch's number and of the ids of its records, not the number alone: a journal that was begun anew counts from one again, and must not
 * take an old marker for its own.
 *
 * Markers are read behind all transactions that were open when the question was asked. So each sink has a topic of its own for them, unless the file names
 * one: of two sinks of one process that was killed the first would else wait for the transaction of the second, which ends it only when its turn comes.
 *
 * With `effect: at_least_once` there are no transactions: records are handed over and waited for.
 *
 * What it does not do: choosing partitions, but by the key; making topics, but the one of markers.
 */
#include "base/mem.h"
#include "codec/digest.h"
#include "pipeline/system/kafka_link.h"
#include "rt/loop.h"

#include <string.h>

struct kafka_sink {
    struct schema_text topic, key, markers, connection;
    struct kafka_text text;
};

static const struct schema_field kafka_fields[] = {
    SCHEMA_TEXT("topic", struct kafka_sink, topic, .required = true,
                .doc = "Topic; may hold expressions: `cases-{{.region}}`."),
    SCHEMA_TEXT("key", struct kafka_sink, key, .default_doc = "the message's key",
                .doc = "Text with expressions: the record's key."),
    SCHEMA_TEXT("markers", struct kafka_sink, markers, .default_doc = "`crossdock.markers.<pipeline>.<sink>`",
                .doc = "Compacted topic that says which batches are committed; made if it is not there. A topic that "
                       "others write to as well makes each wait, after a crash, for the others' open transactions."),
    CONNECTION_FIELD(struct kafka_sink), SCHEMA_END};
static const struct schema_object kafka_object = {
    .fields = kafka_fields, .size = sizeof(struct kafka_sink), .shorthand = "topic"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("kafka", &kafka_object, .doc = "A topic of Kafka."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct kafka_sink *c = n->config;

    build_connection(b, n, &c->connection);
    build_reads(b, n, STR("."));
    c->text.topic = build_template(b, n, &c->topic);
    c->text.key = build_template(b, n, &c->key);
    if (c->text.topic && c->text.topic->count == 1 && !c->text.topic->parts[0].expr)
        c->text.topic_text = c->text.topic->parts[0].text;
}

const struct kafka_text *kafka_sink_text(const struct pipeline_node *sink)
{
    const struct kafka_sink *c = sink->config;

    return &c->text;
}

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_EXACTLY,
     .how = "for readers with `read_committed`: a transaction holds the records and a marker that names the batch; "
            "after a crash the markers "
            "tell what is committed, and `transactional.id` fences the process that was"},
    {0}};

/* --- running --- */

enum { DIGEST = 16, DIGEST_TEXT = 2 * DIGEST };

/* A transaction is one batch. Brokers that were away may never answer for its records: so long does that hold up the sink, before another producer
 * finds out what came of it, and whoever reads behind what a crash has left open. */
static const ns_t transaction_time = 15 * NS_SEC, markers_time = 30 * NS_SEC, markers_pause = 200 * NS_MS;

struct kafka_writer {
    const struct pipeline_node *sink;
    struct shard *home;
    struct arena arena;
    struct kafka_config config, reading;
    struct str id;                /* transactional; empty: no transactions                */
    struct str markers;           /* topic of those                                       */
    struct kafka_producer *p;     /* NULL: to be opened, and what it left to be found out */
    size_t most_bytes;            /* of a record                                          */
    struct kafka_record *records; /* of the batch that is applied, with what follows; in its arena */
    size_t count;
    struct str marker;
};

/* Of the records that will be written. */
static void digest(const struct batch *b, char to[DIGEST_TEXT])
{
    unsigned char hash[SHA256_BYTES];
    struct sha256 *h = sha256_new();

    sha256_add(h, str_of((const char *)&b->seq, sizeof b->seq));
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].refused == OK)
            sha256_add(h, str_of((const char *)b->items[i].id.b, sizeof b->items[i].id.b));
    sha256_end(h, hash);
    hex_encode(to, hash, DIGEST);
}

static void drop_producer(struct kafka_writer *w) SUSPENDS
{
    kafka_producer_close(w->p);
    w->p = NULL;
}

/* --- markers --- */

/* The sink's own, unless the file names one. Names of pipelines and sinks are what topics may be called, and short enough. */
static struct str markers_of(const struct sink_at *at, struct arena *arena)
{
    const struct kafka_sink *c = at->sink->config;

    return c->markers.text.n
               ? c->markers.text
               : arena_printf(arena, "crossdock.markers.%.*s.%.*s", STR_ARG(at->pipeline), STR_ARG(at->sink->name));
}

static err_t make_markers(struct kafka_writer *w) SUSPENDS
{
    const struct kafka_topic topic = {.name = w->markers, .partitions = 1, .replication = -1, .is_compacted = true};
    err_t e = kafka_create_topic(w->p, &topic);

    return e == E_CONFLICT ? OK : e;
}

/* The owner's newest committed marker: a batch's digest, or absent. A topic that has just been made is not known everywhere at once. */
static err_t read_marker(struct kafka_writer *w, struct arena *arena, struct str *ret) SUSPENDS
{
    const struct kafka_partition where = {.topic = w->markers, .partition = 0};
    const ns_t until = rt_now() + markers_time;

    for (;;) {
        err_t e = kafka_find_last(w->p, &w->reading, &where, w->id, arena, ret);
        if (e != E_NOT_FOUND || rt_now() >= until)
            return e;
        TRY(make_markers(w));
        TRY(fiber_sleep_until(rt_now() + markers_pause));
    }
}

/* Take the id, which ends whatever was under way under it. Whose the shard is is asked behind that: an owner who comes later takes the id later, and shuts us out. */
static err_t take_id(struct kafka_writer *w) SUSPENDS
{
    enum kafka_class class;
    err_t e = kafka_transactions_init(w->p, &class);

    if (e == E_FENCED)
        return fail(E_UPSTREAM, "kafka: somebody else takes the transactional id \"%.*s\"", STR_ARG(w->id));
    return e == OK ? shard_is_ours(w->home) : e;
}

/* Be the only one who writes under the id, and see which batch was committed last. */
static err_t open_producer(struct kafka_writer *w, struct arena *arena, struct str *ret_marker) SUSPENDS
{
    const struct kafka_producer_options o = {.transactional_id = w->id, .transaction_timeout = transaction_time};

    *ret_marker = STR_NONE;
    TRY(kafka_producer_open(&w->config, &o, &w->p));
    if (!w->id.n)
        return OK;
    err_t e = take_id(w);
    if (e == OK)
        e = read_marker(w, arena, ret_marker);
    if (e != OK)
        drop_producer(w);
    return e;
}

/* --- a batch --- */

/* As the producer counts it. */
static size_t most_bytes(const struct kafka_config *c)
{
    enum { USUAL = 1000000 };
    uint64_t n = USUAL;

    for (size_t i = 0; i < c->property_count; i++)
        if (str_eq(c->properties[i].name, STR("message.max.bytes")) &&
            !str_to_u64(c->properties[i].value, SIZE_MAX, &n))
            n = USUAL;
    return n;
}

/* A record that the topic will never take is refused, and the others go on. */
static err_t make_record(const struct kafka_writer *w, struct batch_item *item, struct kafka_record *to)
{
    const struct kafka_sink *c = w->sink->config;
    err_t e = kafka_link_record(&c->text, w->sink, item->record, item->text, to);

    if (e == OK && to->key.n + to->value.n > w->most_bytes)
        e = fail(E_TOO_LARGE, "a record of %zu bytes; `message.max.bytes` is %zu", to->key.n + to->value.n,
                 w->most_bytes);
    item->refused = e == E_PARSE || e == E_TOO_LARGE ? e : OK;
    if (item->refused == OK)
        return e;
    item->reason = arena_str(step_arena(&(struct step){.root = item->record->root}), str_from_c(err_detail(e)));
    return OK;
}

/* The records of the batch, and its digest: what is refused is found here, so that it is no part of what is remembered as applied. */
static err_t intend(void *state, const struct batch *b, struct arena *arena, struct str *ret)
{
    struct kafka_writer *w = state;
    char text[DIGEST_TEXT];

    w->records = arena_alloc(arena, (b->count + 1) * sizeof *w->records);
    w->count = 0;
    for (size_t i = 0; i < b->count; i++) {
        TRY(make_record(w, &b->items[i], &w->records[w->count]));
        w->count += b->items[i].refused == OK;
    }
    digest(b, text);
    *ret = w->marker = arena_str(arena, str_of(text, sizeof text));
    return OK;
}

static err_t transact(struct kafka_writer *w, enum kafka_class *class) SUSPENDS
{
    const struct kafka_record r = {.topic = w->markers, .key = w->id, .value = w->marker, .partition = 0};

    *class = KAFKA_FATAL;
    TRY(kafka_begin(w->p, class));
    TRY(kafka_produce(w->p, w->records, w->count, class));
    TRY(kafka_produce(w->p, &r, 1, class));
    return kafka_commit(w->p, class);
}

/*
 * Only an abort that succeeds says that nothing of it was committed; after anything else the producer goes, and the next one finds out. That Kafka
 * has fenced us does not say that somebody else has the pipeline: it does so as well when a transaction took too long. Who owns it, the journal says.
 */
static err_t give_up(struct kafka_writer *w, err_t e, enum kafka_class class) SUSPENDS
{
    enum kafka_class ignored;
    const struct err_record why = *err_current();

    if (class != KAFKA_ABORTABLE || kafka_abort(w->p, &ignored) != OK)
        drop_producer(w);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    return fail(E_UPSTREAM, "%s", why.text);
}

static err_t apply_transaction(struct kafka_writer *w) SUSPENDS
{
    enum kafka_class class;
    struct arena arena CLEANUP(arena_release);
    struct str marker;

    arena_init(&arena, SIZE_MAX);
    if (!w->p) {
        TRY(open_producer(w, &arena, &marker));
        if (str_eq(marker, w->marker))
            return OK;
    }
    err_t e = transact(w, &class);
    return e == OK ? OK : give_up(w, e, class);
}

static err_t apply_plain(struct kafka_writer *w) SUSPENDS
{
    struct arena arena CLEANUP(arena_release);
    struct str none;

    arena_init(&arena, SIZE_MAX);
    if (!w->p)
        TRY(open_producer(w, &arena, &none));
    struct kafka_delivery *deliveries = arena_alloc(&arena, (w->count + 1) * sizeof *deliveries);
    err_t e = kafka_send(w->p, w->records, w->count, deliveries);
    if (e != OK)
        drop_producer(w); /* an idempotent one that has lost a record may be of no more use */
    return e == E_FENCED ? fail(E_UPSTREAM, "kafka: the producer has failed") : e;
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct kafka_writer *w = state;

    (void)b; /* intend() has made of it what is written */
    return w->id.n ? apply_transaction(w) : apply_plain(w);
}

/* --- life --- */

static SUSPENDS void close_writer(void *state)
{
    struct kafka_writer *w = state;

    kafka_producer_close(w->p);
    arena_release(&w->arena);
    mem_free(w);
}

static err_t open_writer(struct kafka_writer *w, const struct sink_at *at, bool *ret_applied) SUSPENDS
{
    struct str marker;

    TRY(kafka_link_make(at->sink->connection, KAFKA_PRODUCER, &w->arena, &w->config));
    TRY(kafka_link_make(at->sink->connection, KAFKA_CONSUMER, &w->arena, &w->reading));
    w->most_bytes = most_bytes(&w->config);
    switch (at->sink->effect.mode) {
    case EFFECT_AT_MOST_ONCE:
        return fail(E_UNSUPPORTED, "records to Kafka are written exactly or at least once");
    case EFFECT_AT_LEAST_ONCE:
        break;
    case EFFECT_OF_KIND:
    case EFFECT_KEYED:
        w->id = kafka_link_id(&w->arena, at->pipeline, at->sink->name, STR_NONE, at->shard);
        w->markers = markers_of(at, &w->arena);
        break;
    }
    TRY(open_producer(w, &w->arena, &marker));
    *ret_applied = at->is_open && w->id.n && str_eq(marker, at->intent);
    return OK;
}

static SUSPENDS err_t open_sink(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct kafka_writer *w = NEW(struct kafka_writer);

    *ret_applied = false;
    w->sink = at->sink;
    w->home = at->home;
    arena_init(&w->arena, SIZE_MAX);
    err_t e = open_writer(w, at, ret_applied);
    if (e == OK)
        *ret_state = w;
    else
        close_writer(w);
    return e;
}

static const struct sink_run sink_run = {.open = open_sink, .intend = intend, .apply = apply, .close = close_writer};

const struct sink_kind sink_kind_kafka = {
    .kind = {.name = "kafka",
             .fields = fields,
             .size = sizeof(struct kafka_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "kafka",
             .usual_url = "kafka://127.0.0.1:9092",
             .build = build},
    .rows = rows,
    .run = &sink_run,
};
