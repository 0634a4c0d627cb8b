/*
 * http.c - messages that somebody sends us: webhooks, and requests that a pipeline answers.
 *
 * What makes two requests the same is a header: `Idempotency-Key`, or the delivery id of the sender. A reply is kept under it and given again. Without
 * such a header a request that is sent twice is two messages, and nobody can tell.
 */
#include "pipeline/door/knocks.h"
#include "pipeline/run/shard_int.h"
#include "pipeline/spec/build.h"

enum { IDEMPOTENCY_REQUIRED, IDEMPOTENCY_OPTIONAL };
enum { MODE_ACCEPT, MODE_REPLY };
enum { AUTH_KEY, AUTH_NONE };

struct http_source {
    struct schema_text path, id_header;
    int idempotency, mode, auth;
    uint64_t max_body;
    ns_t keep, wait;
    struct schema_text secret, signature_header;
    struct webhook_rules signature;
};

static const struct schema_choice idempotencies[] = {
    {"required", IDEMPOTENCY_REQUIRED, "a request without it is refused"},
    {"optional", IDEMPOTENCY_OPTIONAL, "a request without it is a message of its own each time"},
    {NULL, 0, NULL}};
static const struct schema_choice modes[] = {{"accept", MODE_ACCEPT, "202 as soon as it is in the journal"},
                                             {"reply", MODE_REPLY, "what a `reply` sink is given"},
                                             {NULL, 0, NULL}};
static const struct schema_choice auths[] = {{"key", AUTH_KEY, "one of the gateway's keys, if it has any"},
                                             {"none", AUTH_NONE, "nothing but the signature, if one is configured"},
                                             {NULL, 0, NULL}};
static const struct schema_choice schemes[] = {
    {"hex", WEBHOOK_HEX, "HMAC-SHA-256 of the body in hex, with or without `sha256=` (GitHub and others)"},
    {"stripe", WEBHOOK_STRIPE, "`t=…,v1=…` as Stripe has it"},
    {"standard", WEBHOOK_STANDARD, "Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`"},
    {NULL, 0, NULL}};
static const struct schema_field signature_fields[] = {
    SCHEMA_ENUM("scheme", struct http_source, signature.scheme, schemes, .default_text = "hex",
                .doc = "What is signed, and how it is written."),
    SCHEMA_TEXT("header", struct http_source, signature_header, .default_doc = "the scheme's",
                .doc = "Header with the signature."),
    SCHEMA_TEXT("secret", struct http_source, secret, .secret = true, .doc = "What both sides know."),
    SCHEMA_DURATION("tolerance", struct http_source, signature.tolerance, .default_text = "5m", .min = "1s",
                    .max = "1d", .doc = "Of schemes with a timestamp: how far it may be from the present."),
    SCHEMA_END};
static const struct schema_object signature_object = {.fields = signature_fields, .size = sizeof(struct http_source)};
static const struct schema_field http_fields[] = {
    SCHEMA_TEXT("path", struct http_source, path, .required = true,
                .doc = "Path that it is sent to: `/hooks/tickets`."),
    SCHEMA_TEXT("id_header", struct http_source, id_header, .default_text = "idempotency-key",
                .doc = "Header that is the same when a request is sent again: `x-github-delivery`, `webhook-id`."),
    SCHEMA_ENUM("idempotency", struct http_source, idempotency, idempotencies, .default_text = "required",
                .doc = "Must a request have it?"),
    SCHEMA_ENUM("mode", struct http_source, mode, modes, .default_text = "accept", .doc = "What the sender is told."),
    SCHEMA_ENUM("auth", struct http_source, auth, auths, .default_text = "key",
                .doc = "What a sender must present besides."),
    SCHEMA_OBJECT_HERE("signature", &signature_object, .doc = "Messages must be signed by who sends them."),
    SCHEMA_SIZE("max_body", struct http_source, max_body, .default_text = "1MiB", .min = "1B", .max = "64MiB",
                .doc = "Size of a message."),
    SCHEMA_DURATION(
        "wait", struct http_source, wait, .default_doc = "the pipeline's deadline, else `60s`", .min = "1ms",
        .max = "1h",
        .doc = "How long a sender waits for its reply; then it is told 202, and may ask again with the same id."),
    SCHEMA_DURATION("keep", struct http_source, keep, .default_text = "24h", .min = "1m", .max = "30d",
                    .doc = "How long a reply is kept for a request that comes again."),
    SCHEMA_END};
static const struct schema_object http_object = {
    .fields = http_fields, .size = sizeof(struct http_source), .shorthand = "path"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("http", &http_object,
                       .doc = "Requests to the gateway: webhooks, and requests that the pipeline answers."),
    SCHEMA_END};

static void set_signature(struct pipeline_build *b, struct pipeline_node *n, struct http_source *c)
{
    static const char *const usual[] = {[WEBHOOK_HEX] = "x-hub-signature-256",
                                        [WEBHOOK_STRIPE] = "stripe-signature",
                                        [WEBHOOK_STANDARD] = "webhook-signature"};

    if (!c->secret.text.n)
        return;
    c->signature.secret = c->secret.text;
    c->signature.header =
        c->signature_header.text.n ? c->signature_header.text : str_from_c(usual[c->signature.scheme]);
    if (!webhook_secret_is_fit(&c->signature))
        problems_error(b->problems, n->at, "this secret is none of the scheme's: base64, with or without \"whsec_\"");
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct http_source *c = n->config;

    if (c->path.text.n && c->path.text.p[0] != '/')
        problems_error(b->problems, c->path.node, "a path begins with \"/\"");
    if (str_starts(c->path.text, STR("/v1/")))
        problems_error(b->problems, c->path.node, "what is below \"/v1/\" is the gateway's own: take another path");
    set_signature(b, n, c);
}

static const struct promise_row rows[] = {
    {.when = "with the id that `id_header` names",
     .promise = PROMISE_EXACTLY,
     .how = "a request is its id, which the sender repeats; the reply is kept and given again"},
    {.when = "without it (`idempotency: optional`)",
     .promise = PROMISE_REPEATS,
     .how = "a request that is sent twice is two messages, and nobody can tell",
     .remedy = "`idempotency: required` at the source"},
    {0}};

static size_t row(const struct pipeline_node *n)
{
    const struct http_source *c = n->config;

    return c->idempotency == IDEMPOTENCY_OPTIONAL;
}

static bool takes_reply(const struct pipeline_node *n)
{
    const struct http_source *c = n->config;

    return c->mode == MODE_REPLY;
}

/* --- running --- */

static struct door_options options_of(const struct pipeline_spec *spec, const struct http_source *c)
{
    return (struct door_options){.path = c->path.text,
                                 .id_header = c->id_header.text,
                                 .needs_id = c->idempotency == IDEMPOTENCY_REQUIRED,
                                 .needs_key = c->auth == AUTH_KEY,
                                 .signature = c->secret.text.n ? &c->signature : NULL,
                                 .body_max = c->max_body,
                                 .patience = knocks_patience(c->wait, spec)};
}

static void announce(const struct pipeline_spec *spec, const struct pipeline_node *source, const struct entrances *at)
{
    const struct door_options o = options_of(spec, source->config);

    if (at->doors)
        (void)door_announce(at->doors, &o);
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    const struct http_source *c = source->config;
    struct door *door;

    if (!in->shard->doors)
        return fail(E_CONFIG, "nobody listens here: `crossdock serve` runs pipelines that clients send to");
    const struct door_options o = options_of(in->shard->spec, c);
    TRY(door_open(in->shard->doors, &o, &door));
    err_t e = knocks_read(in, source,
                          &(struct knock_rules){.door = door, .is_waited = c->mode == MODE_REPLY, .keep = c->keep});
    door_close(door);
    return e;
}

static const struct source_run source_run = {.run = run, .announce = announce};

const struct source_kind source_kind_http = {
    .kind = {.name = "http", .fields = fields, .size = sizeof(struct http_source), .build = build},
    .rows = rows,
    .row = row,
    .takes_reply = takes_reply,
    .run = &source_run,
};
