/*
 * chat.c - what clients of the gateway ask a model that is a pipeline: whoever asks waits for what a sink `reply` is given.
 *
 * The gateway brings the request (pipeline_models.c), in OpenAI's dialect, whatever its client speaks. The reply is the answer's text. Nothing tells a
 * request that is made again from another one, as with every model.
 */
#include "pipeline/door/knocks.h"
#include "pipeline/door/pipeline_models.h"
#include "pipeline/run/shard_int.h"
#include "pipeline/spec/build.h"

struct chat_source {
    struct schema_text name;
    ns_t wait;
};

static const struct schema_field chat_fields[] = {
    SCHEMA_TEXT("name", struct chat_source, name, .required = true,
                .doc = "Model that clients ask for: `support` is the target `<provider>/support`, where the provider "
                       "has `pipelines: true`."),
    SCHEMA_DURATION("wait", struct chat_source, wait, .default_doc = "the pipeline's deadline, else `60s`",
                    .min = "1ms", .max = "1h", .doc = "How long a client waits for its answer."),
    SCHEMA_END};
static const struct schema_object chat_object = {
    .fields = chat_fields, .size = sizeof(struct chat_source), .shorthand = "name"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("chat", &chat_object, .doc = "What clients ask a model of the gateway that is this pipeline."),
    SCHEMA_END};

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_REPEATS,
     .how = "a client that asks again is another message: nothing tells the two apart",
     .remedy = "`http` with `idempotency: required`"},
    {0}};

static bool takes_reply(const struct pipeline_node *n)
{
    (void)n;
    return true;
}

/* --- running --- */

enum { BODY_MAX = JOURNAL_BODY_MAX / 2, PATH_MAX_BYTES = 1024 };
#define KEEP (60 * NS_SEC) /* nobody comes again for it */

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    const struct chat_source *c = source->config;
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);
    struct door *door;

    if (!in->shard->doors)
        return fail(E_CONFIG, "nobody listens here: `crossdock serve` runs pipelines that are models");
    TRY(buf_addf(&path, PIPELINE_MODEL_PATH "%.*s", STR_ARG(c->name.text)));
    const struct door_options o = {
        .path = buf_str(&path), .body_max = BODY_MAX, .patience = knocks_patience(c->wait, in->shard->spec)};
    TRY(door_open(in->shard->doors, &o, &door));
    err_t e = knocks_read(in, source, &(struct knock_rules){.door = door, .is_waited = true, .keep = KEEP});
    door_close(door);
    return e;
}

static const struct source_run source_run = {.run = run};

const struct source_kind source_kind_chat = {
    .kind = {.name = "chat", .fields = fields, .size = sizeof(struct chat_source)},
    .rows = rows,
    .takes_reply = takes_reply,
    .hears_pieces = true,
    .run = &source_run,
};
