/*
 * shape.c - the shape of a pipeline file, as tables.
 *
 * What all sources, nodes and sinks have is here; what each kind has besides is in its file. The table of a source (a node, a sink) is put together
 * from the registry: the common fields, then those of every kind, each kind's struct behind the common one. So a misspelt kind is found
 * like a misspelt field, and the JSON Schema and the reference know every kind that there is. That a node has exactly one kind no table can
 * say: shape_kind() does.
 *
 * What files mean to each other is in load.c, graph.c and the kinds.
 */
#include "pipeline/spec/file.h"

#include "base/map.h"

#include <assert.h>

/* ---- outputs ---- */

static const struct schema_field word_item = SCHEMA_ITEM(TEXT);

static const struct schema_choice metrics[] = {{"cosine", METRIC_COSINE, "angle"},
                                               {"dot", METRIC_DOT, "inner product"},
                                               {"euclidean", METRIC_EUCLIDEAN, "distance"},
                                               {NULL, 0, NULL}};
static const struct schema_field embedding_fields[] = {
    SCHEMA_TEXT("model", struct file_out, embedding.model, .required = true,
                .doc = "The model that made it. Vectors of different models are never comparable, so an index must "
                       "name the same."),
    SCHEMA_UNSIGNED("dim", struct file_out, embedding.dim, .required = true, .min = "1", .max = "65536",
                    .doc = "Its dimensions."),
    SCHEMA_ENUM("metric", struct file_out, embedding.metric, metrics, .default_text = "cosine",
                .doc = "How two are compared."),
    SCHEMA_BOOL("normalised", struct file_out, embedding.is_normalised, .default_text = "false",
                .doc = "Its length is 1."),
    SCHEMA_END};
static const struct schema_object embedding_object = {.fields = embedding_fields,
                                                      .size = sizeof(struct file_out),
                                                      .node_offset = SCHEMA_NODE_AT(struct file_out, embedding.node)};

static const struct schema_field label_fields[] = {SCHEMA_LIST("set", struct file_out, label.set, label.count,
                                                               &word_item, .required = true, .min = "1", .max = "10000",
                                                               .doc = "The words that it can be."),
                                                   SCHEMA_END};
static const struct schema_object label_object = {.fields = label_fields,
                                                  .size = sizeof(struct file_out),
                                                  .shorthand = "set",
                                                  .node_offset = SCHEMA_NODE_AT(struct file_out, label.node)};

static const struct schema_field score_fields[] = {
    SCHEMA_FLOAT("min", struct file_out, score.min, .default_text = "0", .doc = "The least that it can be."),
    SCHEMA_FLOAT("max", struct file_out, score.max, .default_text = "1", .doc = "The most."),
    SCHEMA_BOOL("calibrated", struct file_out, score.is_calibrated, .default_text = "false",
                .doc = "It is a probability: of those with 0.8, eight of ten are right."),
    SCHEMA_END};
static const struct schema_object score_object = {.fields = score_fields,
                                                  .size = sizeof(struct file_out),
                                                  .node_offset = SCHEMA_NODE_AT(struct file_out, score.node)};

static const struct schema_field text_fields[] = {
    SCHEMA_TEXT("lang", struct file_out, text.lang, .default_doc = "any", .doc = "Its language, as in BCP 47: `en`."),
    SCHEMA_UNSIGNED("max_tokens", struct file_out, text.max_tokens, .default_doc = "any",
                    .doc = "Its length, at most."),
    SCHEMA_END};
static const struct schema_object text_object = {
    .fields = text_fields, .size = sizeof(struct file_out), .node_offset = SCHEMA_NODE_AT(struct file_out, text.node)};

static const struct schema_field decision_fields[] = {
    SCHEMA_LIST("options", struct file_out, decision.options, decision.count, &word_item, .required = true, .min = "2",
                .max = "1000", .doc = "What can be decided."),
    SCHEMA_END};
static const struct schema_object decision_object = {.fields = decision_fields,
                                                     .size = sizeof(struct file_out),
                                                     .shorthand = "options",
                                                     .node_offset = SCHEMA_NODE_AT(struct file_out, decision.node)};

static const struct schema_field out_fields[] = {
    SCHEMA_TEXT("schema", struct file_out, schema, .doc = "Name under `schemas`."),
    SCHEMA_OBJECT_HERE("embedding", &embedding_object, .doc = "An array of numbers that a model made."),
    SCHEMA_OBJECT_HERE("label", &label_object, .doc = "One of a set of words."),
    SCHEMA_OBJECT_HERE("score", &score_object, .doc = "A number within bounds."),
    SCHEMA_OBJECT_HERE("text", &text_object, .doc = "Text for people."),
    SCHEMA_OBJECT_HERE("decision", &decision_object,
                       .doc = "An object `{decision, confidence, reason}`; only the first must be there."),
    SCHEMA_END};
static const struct schema_object out_object = {.fields = out_fields,
                                                .size = sizeof(struct file_out),
                                                .shorthand = "schema",
                                                .node_offset = SCHEMA_NODE_AT(struct file_out, node)};
#define OUT_FIELD                                                                                                      \
    SCHEMA_OBJECT("out", struct file_node, out, &out_object,                                                           \
                  .doc = "What it yields: a schema, or one of the types that models make. One only.")

/* ---- rules ---- */

static const struct schema_choice adaptive[] = {{"adaptive", 1, "as many as the other side bears without growing slow"},
                                                {NULL, 0, NULL}};
static const struct schema_field concurrency_forms[] = {
    SCHEMA_UNSIGNED(NULL, struct file_node, rules.concurrency.count, .min = "1", .max = "100000"),
    SCHEMA_ENUM(NULL, struct file_node, rules.concurrency.adaptive, adaptive), SCHEMA_END};

static const struct schema_choice retry_classes[] = {
    {"transport", RETRY_TRANSPORT, "it could not be reached, or broke off"},
    {"timeout", RETRY_TIMEOUT, "it did not answer in time"},
    {"429", RETRY_RATE, "it is asked too often"},
    {"5xx", RETRY_SERVER, "it failed"},
    {"invalid", RETRY_INVALID, "its output does not fit the schema, and repair is used up"},
    {NULL, 0, NULL}};
static const struct schema_field retry_class = SCHEMA_ITEM(ENUM, .choices = retry_classes);
static const struct schema_field retry_fields[] = {
    SCHEMA_UNSIGNED("max", struct file_node, rules.retry.max, .default_text = "2", .max = "100",
                    .doc = "Further attempts."),
    SCHEMA_LIST("on", struct file_node, rules.retry.on, rules.retry.on_count, &retry_class, .single = true,
                .default_doc = "`transport`, `timeout`, `429`, `5xx`",
                .doc = "What is tried again: `transport`, `timeout`, `429`, `5xx`, `invalid`."),
    SCHEMA_DURATION("base", struct file_node, rules.retry.base, .default_text = "100ms", .min = "1ms", .max = "1h",
                    .doc = "Pause before the first; it doubles, with jitter. `Retry-After` is heeded."),
    SCHEMA_DURATION("cap", struct file_node, rules.retry.cap, .default_text = "10s", .min = "1ms", .max = "24h",
                    .doc = "Longest pause."),
    SCHEMA_END};
static const struct schema_object retry_object = {.fields = retry_fields,
                                                  .size = sizeof(struct file_node),
                                                  .shorthand = "max",
                                                  .node_offset = SCHEMA_NODE_AT(struct file_node, rules.retry.node)};

static const struct schema_field breaker_fields[] = {
    SCHEMA_FLOAT("errors", struct file_node, rules.breaker.errors, .default_text = "50%", .min = "0.01", .max = "1",
                 .doc = "Share of failures that opens it."),
    SCHEMA_FLOAT("slow", struct file_node, rules.breaker.slow, .default_doc = "it does not count", .min = "0.01",
                 .max = "1", .doc = "Share of items over their budget that opens it."),
    SCHEMA_DURATION("window", struct file_node, rules.breaker.window, .default_text = "30s", .min = "1s", .max = "1h",
                    .doc = "What is counted."),
    SCHEMA_UNSIGNED("volume", struct file_node, rules.breaker.volume, .default_text = "20", .min = "1", .max = "100000",
                    .doc = "Fewest items in a window that say anything."),
    SCHEMA_DURATION("pause", struct file_node, rules.breaker.pause, .default_text = "10s", .min = "100ms", .max = "1h",
                    .doc = "How long it stays open before one item is let through to see."),
    SCHEMA_END};
static const struct schema_object breaker_object = {.fields = breaker_fields,
                                                    .size = sizeof(struct file_node),
                                                    .shorthand = "errors",
                                                    .node_offset =
                                                        SCHEMA_NODE_AT(struct file_node, rules.breaker.node)};

static const struct schema_choice late_choices[] = {{"continue", LATE_CONTINUE, "try all the same"},
                                                    {"fallback", LATE_FALLBACK, "yield `fallback` at once"},
                                                    {"degrade", LATE_DEGRADE, "of a `model`: ask its `degrade` route"},
                                                    {"skip", LATE_SKIP, "yield nothing"},
                                                    {"dlq", LATE_DLQ, "a dead letter"},
                                                    {NULL, 0, NULL}};
static const struct schema_choice failure_choices[] = {{"dlq", FAILURE_DLQ, "a dead letter"},
                                                       {"skip", FAILURE_SKIP, "yield nothing"},
                                                       {"fallback", FAILURE_FALLBACK, "yield `fallback`"},
                                                       {NULL, 0, NULL}};

#define FROM_FIELD                                                                                                     \
    SCHEMA_LIST("from", struct file_node, from, from_count, &word_item, .single = true, .max = "64",                   \
                .doc = "What it reads: names of sources and nodes. What a `switch`, `fanout` or `canary` sends to "    \
                       "needs no `from`.")
#define RULE_FIELDS                                                                                                    \
    SCHEMA_DURATION("budget", struct file_node, rules.budget, .default_doc = "none", .min = "1us", .max = "30d",       \
                    .doc = "Time for one item, with everything. The longest path must fit the deadline."),             \
        SCHEMA_ONE_OF("concurrency", concurrency_forms, .default_doc = "`adaptive`",                                   \
                      .doc = "Items at a time: a number, or `adaptive`."),                                             \
        SCHEMA_OBJECT_HERE("retry", &retry_object, .doc = "What is tried again."),                                     \
        SCHEMA_OBJECT_HERE("breaker", &breaker_object, .doc = "Stops asking one that only fails, for a while.")

static const struct schema_field source_fields[] = {
    OUT_FIELD,
    SCHEMA_TEXT("key", struct file_node, key, .default_doc = "the message's own, if it has one",
                .doc = "Expression: messages with the same key are taken by sinks in their order."),
    SCHEMA_END};

static const struct schema_field node_fields[] = {
    FROM_FIELD,
    OUT_FIELD,
    RULE_FIELDS,
    SCHEMA_ENUM("on_late", struct file_node, rules.on_late, late_choices, .default_text = "continue",
                .doc =
                    "When the deadline cannot be met any more, by what the node usually takes and what is behind it."),
    SCHEMA_ENUM("on_error", struct file_node, rules.on_error, failure_choices, .default_text = "dlq",
                .doc = "When it fails for good."),
    SCHEMA_TEXT("fallback", struct file_node, rules.fallback,
                .doc = "Expression over the input that yields what is put in place of the output."),
    SCHEMA_END};

/* ---- sinks ---- */

static const struct schema_choice effect_modes[] = {
    {"auto", EFFECT_OF_KIND, "as the kind of sink can"},
    {"keyed", EFFECT_KEYED, "with an id that is the same each time, so that doing it again changes nothing"},
    {"at_least_once", EFFECT_AT_LEAST_ONCE, "rather twice than never"},
    {"at_most_once", EFFECT_AT_MOST_ONCE,
     "rather never than twice; what is not known goes to `reconcile`, then to a dead letter"},
    {NULL, 0, NULL}};
static const struct schema_field reconcile_fields[] = {
    SCHEMA_TEXT("get", struct file_node, effect.reconcile, .required = true,
                .doc = "URL, with expressions: 2xx means that it has happened, 404 and 410 that it has not."),
    SCHEMA_END};
static const struct schema_object reconcile_object = {.fields = reconcile_fields, .size = sizeof(struct file_node)};
static const struct schema_field effect_fields[] = {
    SCHEMA_ENUM("mode", struct file_node, effect.mode, effect_modes, .default_text = "auto",
                .doc = "What to do when it is not known whether something has happened."),
    SCHEMA_TEXT("key", struct file_node, effect.key, .default_doc = "the id of the record",
                .doc = "Text with expressions: what makes it the same thing."),
    SCHEMA_OBJECT_HERE("reconcile", &reconcile_object, .doc = "How to find out whether it has happened."), SCHEMA_END};
static const struct schema_object effect_object = {.fields = effect_fields,
                                                   .size = sizeof(struct file_node),
                                                   .shorthand = "mode",
                                                   .node_offset = SCHEMA_NODE_AT(struct file_node, effect.node)};

static const struct schema_field batch_fields[] = {
    SCHEMA_UNSIGNED("max", struct file_node, batch.count, .default_text = "500", .min = "1", .max = "10000",
                    .doc = "Records; at most 4095 where the pipeline needs its journal."),
    SCHEMA_SIZE("bytes", struct file_node, batch.bytes, .default_text = "1MiB", .min = "1KiB", .max = "1GiB",
                .doc = "Bytes."),
    SCHEMA_DURATION(
        "linger", struct file_node, batch.linger, .default_text = "0", .max = "1m",
        .doc = "How long the first record waits for `max`, or `bytes`, to come together. Without it: what has gathered "
               "while the one before was under way."),
    SCHEMA_END};
static const struct schema_object batch_object = {
    .fields = batch_fields, .size = sizeof(struct file_node), .shorthand = "max"};

static const struct schema_field sink_fields[] = {
    FROM_FIELD, SCHEMA_OBJECT_HERE("effect", &effect_object, .doc = "How often things happen there."),
    SCHEMA_OBJECT_HERE("batch", &batch_object, .doc = "How much goes there at once, at most."), RULE_FIELDS,
    SCHEMA_END};

/* ---- put together ---- */

enum { ALIGNMENT = 16, FIELDS_MAX = 256 };

static size_t align(size_t n)
{
    return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static size_t count_fields(const struct schema_field *f)
{
    size_t n = 0;

    while (f[n].kind != SCHEMA_KIND_NONE)
        n++;
    return n;
}

/* A copy of the fields of a struct that stands `by` bytes further on, with those of its variants. */
static struct schema_field *shift(struct arena *a, const struct schema_field *fields, size_t by)
{
    size_t n = count_fields(fields);
    struct schema_field *own = arena_alloc(a, (n + 1) * sizeof *own);

    memcpy(own, fields, (n + 1) * sizeof *own);
    for (size_t i = 0; i < n; i++) {
        if (own[i].kind == SCHEMA_KIND_ONE_OF)
            own[i].variants = shift(a, own[i].variants, by);
        own[i].offset += by;
        own[i].count_offset += by;
    }
    return own;
}

static void add_fields(struct schema_field *to, size_t *count, const struct schema_field *fields)
{
    for (; fields->kind != SCHEMA_KIND_NONE; fields++) {
        bool is_there = false;
        for (size_t i = 0; i < *count; i++)
            is_there = is_there || strcmp(to[i].name, fields->name) == 0;
        if (is_there)
            die("pipelines: two kinds have a field \"%s\"", fields->name);
        assert(*count < FIELDS_MAX);
        to[(*count)++] = *fields;
    }
}

static void make_role(struct arena *a, struct shape_role *role, const struct schema_field *common, size_t kinds,
                      const char *doc)
{
    struct schema_field *fields = arena_zalloc(a, (FIELDS_MAX + 1) * sizeof *fields);
    size_t count = 0, size = align(sizeof(struct file_node));

    add_fields(fields, &count, common);
    role->at = arena_alloc(a, kinds * sizeof *role->at);
    for (size_t i = 0; i < kinds; i++) {
        const struct pipeline_kind *k = role->kinds[i];
        role->at[i] = size;
        add_fields(fields, &count, shift(a, k->fields, size));
        size += align(k->size);
    }
    role->object =
        (struct schema_object){.fields = fields, .size = size, .node_offset = SCHEMA_NODE_AT(struct file_node, node)};
    role->item = (struct schema_field)SCHEMA_ITEM_OBJECT(&role->object, .doc = doc);
}

#define TAKE_CATALOG(a, role, catalog, count)                                                                          \
    do {                                                                                                               \
        (role)->kinds = arena_zalloc(a, ((count) + 1) * sizeof *(role)->kinds);                                        \
        (role)->rows = arena_zalloc(a, ((count) + 1) * sizeof *(role)->rows);                                          \
        for (size_t i = 0; i < (count); i++) {                                                                         \
            (role)->kinds[i] = &(catalog)[i]->kind;                                                                    \
            (role)->rows[i] = (catalog)[i];                                                                            \
        }                                                                                                              \
    } while (0)

/* ---- the file ---- */

static const struct schema_choice compat_choices[] = {
    {"none", COMPAT_NONE, "anything goes"},
    {"backward", COMPAT_BACKWARD, "readers of the new one can read what was written with the last"},
    {"backward_transitive", COMPAT_BACKWARD_TRANSITIVE, "likewise with any before"},
    {"forward", COMPAT_FORWARD, "readers of the last can read the new one"},
    {"forward_transitive", COMPAT_FORWARD_TRANSITIVE, "readers of any before can"},
    {"full", COMPAT_FULL, "both ways"},
    {"full_transitive", COMPAT_FULL_TRANSITIVE, "both ways with all before"},
    {NULL, 0, NULL}};
static const struct schema_choice newest[] = {{"latest", 1, "the newest when the pipeline is loaded"}, {NULL, 0, NULL}};
static const struct schema_field version_forms[] = {
    SCHEMA_UNSIGNED(NULL, struct file_schema, version, .min = "1", .max = "2147483647"),
    SCHEMA_ENUM(NULL, struct file_schema, is_latest, newest), SCHEMA_END};
static const struct schema_field schema_fields[] = {
    SCHEMA_TEXT("file", struct file_schema, file, .doc = "A JSON Schema; path from the folder of the pipeline file."),
    SCHEMA_TEXT("subject", struct file_schema, subject,
                .doc = "Its name in a schema registry; with `file`, that is a copy of the version, which is used "
                       "also if the registry does not answer."),
    SCHEMA_ONE_OF("version", version_forms, .default_doc = "`latest`",
                  .doc = "Which of the subject's versions: a number, or `latest`, the newest when the pipeline is "
                         "loaded."),
    SCHEMA_TEXT("connection", struct file_schema, connection,
                .default_doc = "the one called `registry`, else the configuration's `registry`, else "
                               "http://127.0.0.1:8081",
                .doc = "Name under `connections`: the registry that has the subject."),
    SCHEMA_ENUM("compat", struct file_schema, compat, compat_choices, .default_text = "backward",
                .doc = "What the next version must be to this one."),
    SCHEMA_END};
static const struct schema_object schema_object = {.fields = schema_fields,
                                                   .size = sizeof(struct file_schema),
                                                   .shorthand = "file",
                                                   .node_offset = SCHEMA_NODE_AT(struct file_schema, node)};
static const struct schema_field schema_item =
    SCHEMA_ITEM_OBJECT(&schema_object, .doc = "A schema of what edges carry.");

static const struct schema_field connection_fields[] = {
    SCHEMA_TEXT("url", struct file_connection, url, .required = true,
                .doc = "`kafka://host:9092,other:9092`, `redis://host:6379/0`, `nats://host:4222`, "
                       "`postgres://host/database`, `s3://host/bucket`, `http://host:6333`; with an `s` more "
                       "(`rediss`, `tls+kafka`, `https`) over TLS."),
    SCHEMA_TEXT("username", struct file_connection, username, .secret = true, .doc = "Whom to log in as."),
    SCHEMA_TEXT("password", struct file_connection, password, .secret = true,
                .doc = "Its secret: `\"${PASSWORD}\"` or `\"file:/run/secrets/kafka\"`."),
    SCHEMA_TEXT("ca", struct file_connection, ca, .default_doc = "the system's",
                .doc = "Certificates that the server's is checked against: path of a PEM file."),
    SCHEMA_TEXT("cert", struct file_connection, cert,
                .doc = "Our own certificate, if it wants one; path of a PEM file."),
    SCHEMA_TEXT("key", struct file_connection, key, .secret = true, .doc = "Its private key; likewise."),
    SCHEMA_END};
static const struct schema_object connection_object = {.fields = connection_fields,
                                                       .size = sizeof(struct file_connection),
                                                       .shorthand = "url",
                                                       .node_offset = SCHEMA_NODE_AT(struct file_connection, node)};
static const struct schema_field connection_item =
    SCHEMA_ITEM_OBJECT(&connection_object, .doc = "Where a system is, and who we are to it.");

#define CONNECTIONS_FIELD(type, items, count)                                                                          \
    SCHEMA_MAP("connections", type, items, count, &connection_item, struct file_connection, name, .max = "1000",       \
               .doc = "Systems that sources and sinks connect to, by name. One that a source or sink does not name "   \
                      "is called as its kind: `kafka`. The configuration's `connections` count as well.")

static const struct schema_field own_connections[] = {CONNECTIONS_FIELD(struct file_connections, items, count),
                                                      SCHEMA_END};
const struct schema_object shape_connections = {.fields = own_connections, .size = sizeof(struct file_connections)};

static const struct schema_field in_flight_fields[] = {
    SCHEMA_UNSIGNED("roots", struct pipeline_file, in_flight_roots, .default_text = "10000", .min = "1",
                    .max = "10000000", .doc = "Messages with all that comes of them."),
    SCHEMA_SIZE("bytes", struct pipeline_file, in_flight_bytes, .default_text = "256MiB", .min = "64KiB", .max = "1TiB",
                .doc = "Their bodies, those of what they became included."),
    SCHEMA_END};
static const struct schema_object in_flight_object = {.fields = in_flight_fields, .size = sizeof(struct pipeline_file)};

static const struct schema_field input_fields[] = {
    SCHEMA_OBJECT("out", struct pipeline_file, input.out, &out_object, .doc = "What it is called with."), SCHEMA_END};
static const struct schema_object input_object = {.fields = input_fields,
                                                  .size = sizeof(struct pipeline_file),
                                                  .node_offset = SCHEMA_NODE_AT(struct pipeline_file, input.node)};

static const struct schema_choice deliveries[] = {
    {"exactly_once", DELIVERY_EXACTLY_ONCE,
     "each message has its effect at each sink once; the file is refused if a source or sink cannot honour that"},
    {"at_least_once", DELIVERY_AT_LEAST_ONCE, "nothing is lost; after a crash something may happen twice"},
    {"at_most_once", DELIVERY_AT_MOST_ONCE, "nothing is promised"},
    {NULL, 0, NULL}};
static const struct schema_choice journals[] = {
    {"sync", PIPELINE_JOURNAL_SYNC, "on disk before it goes on"},
    {"async", PIPELINE_JOURNAL_ASYNC, "on disk soon: a crash forgets the last moments"},
    {"none", PIPELINE_JOURNAL_NONE,
     "never: sources acknowledge what is done, and the rest comes again; `explain` says what is lost"},
    {NULL, 0, NULL}};

static const struct schema_field file_fields[] = {
    SCHEMA_TEXT("pipeline", struct pipeline_file, name, .required = true,
                .doc = "Its name: letters, digits, `-`, `_` and `.`."),
    SCHEMA_TEXT("description", struct pipeline_file, doc, .doc = "For people."),
    SCHEMA_UNSIGNED(
        "version", struct pipeline_file, version, .default_text = "1", .min = "1",
        .doc = "Goes up with each change; messages that are under way stay with the version that took them in."),
    SCHEMA_ENUM("delivery", struct pipeline_file, delivery, deliveries, .default_text = "exactly_once",
                .doc = "What each message's effects at the sinks must be."),
    SCHEMA_DURATION("deadline", struct pipeline_file, deadline, .default_text = "none", .never = true, .min = "1ms",
                    .max = "30d", .doc = "From the source's timestamp until everything is done."),
    SCHEMA_DURATION("handover", struct pipeline_file, handover, .default_text = "1m", .min = "1s", .max = "1d",
                    .doc = "How long former versions may take to finish what they have under way before this one "
                           "takes their place. What is left then goes on later."),
    SCHEMA_ENUM("journal", struct pipeline_file, journal, journals, .default_text = "sync",
                .doc = "When what has happened is written down."),
    SCHEMA_UNSIGNED("lanes", struct pipeline_file, lanes, .default_text = "1024", .min = "1", .max = "65536",
                    .doc = "Keys are spread over so many queues; within one, sinks take messages in order."),
    SCHEMA_UNSIGNED("workers", struct pipeline_file, workers, .default_text = "1", .min = "1", .max = "256",
                    .doc = "Shards, of a pipeline whose source has partitions that can be shared out (Kafka): each is "
                           "worked on by one event loop and has partitions of its own. Where processes share a "
                           "journal it is the number over all of them, so let it be as many as there are partitions, "
                           "or at least processes. Another number holds as soon as nothing is under way."),
    SCHEMA_FLOAT("samples", struct pipeline_file, sampled, .default_text = "0%", .min = "0", .max = "1",
                 .doc = "Share of the messages that the journal keeps with all that came of them, as long as their "
                        "traces: for `crossdock compat --replay`."),
    SCHEMA_OBJECT_HERE("in_flight", &in_flight_object,
                       .doc = "How much is taken in before something is done; sources pause then."),
};

/* The rest needs what is put together. */
static const struct schema_field more_file_fields[] = {
    CONNECTIONS_FIELD(struct pipeline_file, connections, connection_count),
    SCHEMA_MAP("schemas", struct pipeline_file, schemas, schema_count, &schema_item, struct file_schema, name,
               .max = "1000", .doc = "Schemas that `out` names."),
    SCHEMA_OBJECT_HERE(
        "input", &input_object,
        .doc = "Of a pipeline that others `call`: its nodes read `input`, and it has no sources and sinks."),
    SCHEMA_TEXT("output", struct pipeline_file, output, .doc = "Likewise: the node whose records the call yields."),
    SCHEMA_LIST("tests", struct pipeline_file, tests, test_count, &word_item, .single = true, .max = "1000",
                .doc = "Files of its tests: paths from its folder, with `*`."),
    SCHEMA_END};

static struct schema_field map_field(const char *name, const struct shape_role *role, size_t at, size_t count_at,
                                     const char *doc)
{
    return (struct schema_field){.name = name,
                                 .kind = SCHEMA_KIND_MAP,
                                 .offset = at,
                                 .count_offset = count_at,
                                 .item = &role->item,
                                 .item_size = role->object.size,
                                 .key_offset = offsetof(struct file_node, name),
                                 .max = "256",
                                 .doc = doc};
}

/* `errors`, with a sink of which only its kind counts. */
static void make_errors(struct arena *a, struct shape *s)
{
    const struct shape_role *role = &s->roles[PIPELINE_SINK];
    size_t common = count_fields(sink_fields);
    static const struct schema_field rest[] = {
        SCHEMA_DURATION("retention", struct pipeline_file, errors.retention, .default_text = "14d", .min = "1m",
                        .max = "3650d", .doc = "How long dead letters and traces are kept."),
        SCHEMA_UNSIGNED("restarts", struct pipeline_file, errors.restarts, .default_text = "3", .min = "1",
                        .max = "100",
                        .doc = "A message that was under way when the process died so often is a dead letter."),
        SCHEMA_END};
    struct schema_field *fields = arena_zalloc(a, (ARRAY_LEN(rest) + 1) * sizeof *fields),
                        *item = arena_new(a, struct schema_field);

    s->dlq = (struct schema_object){.fields = role->object.fields + common,
                                    .size = role->object.size,
                                    .node_offset = SCHEMA_NODE_AT(struct file_node, node)};
    *item = (struct schema_field)SCHEMA_ITEM_OBJECT(&s->dlq, .doc = "A sink for dead letters.");
    fields[0] = (struct schema_field){.name = "dlq",
                                      .kind = SCHEMA_KIND_LIST,
                                      .single = true,
                                      .max = "1",
                                      .offset = offsetof(struct pipeline_file, errors.dlq),
                                      .count_offset = offsetof(struct pipeline_file, errors.dlq_count),
                                      .item = item,
                                      .item_size = role->object.size,
                                      .default_doc = "they stay in the journal",
                                      .doc = "Where dead letters go besides: a sink, `{kafka: {topic: x}}`."};
    memcpy(fields + 1, rest, sizeof rest);
    s->errors = (struct schema_object){.fields = fields,
                                       .size = sizeof(struct pipeline_file),
                                       .node_offset = SCHEMA_NODE_AT(struct pipeline_file, errors.node)};
}

static void make_file(struct arena *a, struct shape *s)
{
    enum { OWN = 4 };
    struct schema_field *fields = arena_zalloc(a, (ARRAY_LEN(file_fields) + ARRAY_LEN(more_file_fields) + OWN) *
                                                      sizeof *fields),
                        *at = fields;

    memcpy(at, file_fields, sizeof file_fields);
    at += ARRAY_LEN(file_fields);
    *at++ = map_field("sources", &s->roles[PIPELINE_SOURCE], offsetof(struct pipeline_file, sources),
                      offsetof(struct pipeline_file, source_count), "Where messages come from.");
    *at++ = map_field("nodes", &s->roles[PIPELINE_NODE], offsetof(struct pipeline_file, nodes),
                      offsetof(struct pipeline_file, node_count), "What is done with them.");
    *at++ = map_field("sinks", &s->roles[PIPELINE_SINK], offsetof(struct pipeline_file, sinks),
                      offsetof(struct pipeline_file, sink_count), "Where the outcome goes.");
    *at++ = (struct schema_field)SCHEMA_OBJECT_HERE("errors", &s->errors,
                                                    .doc = "What becomes of messages that fail for good.");
    memcpy(at, more_file_fields, sizeof more_file_fields);
    s->file = (struct schema_object){.fields = fields,
                                     .size = sizeof(struct pipeline_file),
                                     .node_offset = SCHEMA_NODE_AT(struct pipeline_file, node)};
}

struct shape *shape_make(struct arena *a)
{
    struct shape *s = arena_new(a, struct shape);

    TAKE_CATALOG(a, &s->roles[PIPELINE_SOURCE], source_kind_catalog, source_kind_catalog_count);
    TAKE_CATALOG(a, &s->roles[PIPELINE_NODE], node_kind_catalog, node_kind_catalog_count);
    TAKE_CATALOG(a, &s->roles[PIPELINE_SINK], sink_kind_catalog, sink_kind_catalog_count);
    make_role(a, &s->roles[PIPELINE_SOURCE], source_fields, source_kind_catalog_count,
              "A source: what all have, and one field that says its kind.");
    make_role(a, &s->roles[PIPELINE_NODE], node_fields, node_kind_catalog_count,
              "A node: what all have, and one field that says its kind.");
    make_role(a, &s->roles[PIPELINE_SINK], sink_fields, sink_kind_catalog_count,
              "A sink: what all have, and one field that says its kind.");
    make_errors(a, s);
    make_file(a, s);
    return s;
}

/* ---- which kind ---- */

static bool has_field(const struct schema_field *fields, struct str name)
{
    for (; fields->kind != SCHEMA_KIND_NONE; fields++)
        if (str_eq(str_from_c(fields->name), name))
            return true;
    return false;
}

/* Fields that belong to another kind than the one it has. */
static void check_others(const struct shape_role *role, const struct yaml_node *map, size_t chosen,
                         struct problems *problems)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->pairs[i].key;
        for (size_t k = 0; role->kinds[k]; k++) {
            const char *kind = role->kinds[k]->name;
            if (k == chosen || !has_field(role->kinds[k]->fields, key->text))
                continue;
            if (str_eq(key->text, str_from_c(kind)))
                problems_error(problems, key, "it is a \"%s\" already and cannot be a \"%s\" as well: make two of it",
                               role->kinds[chosen]->name, kind);
            else
                problems_error(problems, key, "\"%.*s\" goes with \"%s\", and this is a \"%s\"", STR_ARG(key->text),
                               kind, role->kinds[chosen]->name);
        }
    }
}

static void complain_none(const struct shape_role *role, const struct yaml_node *map, struct problems *problems)
{
    struct buf words CLEANUP(buf_release) = BUF_INIT(4096);

    for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++)
        if (!has_field(role->object.fields, map->pairs[i].key->text))
            return; /* an unknown field, which has been told, may well be the one */
    for (size_t k = 0; role->kinds[k]; k++)
        (void)buf_addf(&words, "%s%s", k ? ", " : "", role->kinds[k]->name);
    problems_error(problems, map, "nothing says what kind it is; one of these fields does: %.*s",
                   STR_ARG(buf_str(&words)));
}

const struct pipeline_kind *shape_kind(const struct shape_role *role, const struct file_node *element,
                                       struct problems *problems, const void **ret_row, void **ret_config)
{
    const struct yaml_node *map = element->node;

    if (!map)
        return NULL; /* no map at all: that has been said */
    for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++)
        for (size_t k = 0; role->kinds[k]; k++) {
            if (!str_eq(map->pairs[i].key->text, str_from_c(role->kinds[k]->name)))
                continue;
            check_others(role, map, k, problems);
            *ret_row = role->rows[k];
            *ret_config = (char *)(uintptr_t)element + role->at[k];
            return role->kinds[k];
        }
    complain_none(role, map, problems);
    return NULL;
}

/* ---- what is printed of it ---- */

static const struct schema_about about = {
    .title = "crossdock pipeline",
    .doc = "Where messages come from, what is done with them, and where the outcome goes.",
    .expands = true,
    .heading = 3,
};

err_t pipeline_schema(struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    return schema_print_json(&shape_make(&a)->file, &about, to);
}

err_t pipeline_reference(struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    return schema_print_markdown(&shape_make(&a)->file, &about, to);
}
