/*
 * bedrock_frame.c - errors of the Bedrock surface and frames of its event streams: what Converse and Invoke have in common.
 *
 * Exceptions have one name in x-amzn-ErrorType and a slightly different one within a stream: ThrottlingException and
 * throttlingException.
 */
#include "codec/eventstream.h"
#include "codec/json.h"
#include "sim/bedrock_int.h"

enum { PAYLOAD_MAX = 1 << 20 };

/* --- errors --- */

struct str bedrock_exception(const struct sim_refusal *why)
{
    struct str code = str_from_c(why->code);

    if (str_ends(code, STR("Exception")))
        return code;
    switch (why->status) {
    case 401:
    case 403:
        return STR("AccessDeniedException");
    case 404:
    case 405:
        return STR("ResourceNotFoundException");
    case 408:
    case 504:
        return STR("ModelTimeoutException");
    case 424:
        return STR("ModelErrorException");
    case 429:
        return STR("ThrottlingException");
    case 503:
        return STR("ServiceUnavailableException");
    default:
        return why->status >= 500 ? STR("InternalServerException") : STR("ValidationException");
    }
}

err_t bedrock_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root)
{
    err_t e = json_parse(a, body, NULL, 0, ret_root);

    if (e == E_TOO_LARGE)
        return bedrock_refuse(a, r, "Input is too long for requested model.");
    if (e != OK || !yyjson_is_obj(*ret_root))
        return refuse_status(a, r, 400, "SerializationException", "The request body is not a JSON object.");
    return OK;
}

static err_t refuse_value(struct arena *a, struct str param, const struct field_fault *f, struct sim_refusal *r)
{
    const struct field_rule *rule = f->rule;
    bool has_length = rule->kind == FIELD_STRING || rule->kind == FIELD_ARRAY || rule->kind == FIELD_OBJECT;
    struct str list = STR("");

    for (size_t i = 0; rule->choices && rule->choices[i]; i++)
        list = arena_printf(a, "%.*s%s%s", STR_ARG(list), i > 0 ? ", " : "", rule->choices[i]);
    if (rule->choices)
        return bedrock_refuse(a, r,
                              "1 validation error detected: Value '%.*s' at '%.*s' failed to satisfy constraint: "
                              "Member must satisfy enum value set: [%.*s]",
                              STR_ARG(json_text(f->value)), STR_ARG(param), STR_ARG(list));
    return bedrock_refuse(a, r,
                          "1 validation error detected: Value at '%.*s' failed to satisfy constraint: Member must have "
                          "%s between %.10g and %.10g",
                          STR_ARG(param), has_length ? "length" : "value", rule->min, rule->max);
}

err_t bedrock_fields(struct arena *a, yyjson_val *obj, struct str path, const struct field_rule *rules, size_t count,
                     struct sim_refusal *r)
{
    if (!yyjson_is_obj(obj))
        return refuse_status(a, r, 400, "SerializationException", "Expected an object at '%.*s', but got %s.",
                             STR_ARG(path), field_type_name(obj));
    struct field_fault f = fields_fault(obj, rules, count, true);
    struct str param = f.kind == FIELD_GOOD ? STR("") : field_path(a, path, f.name.p);
    switch (f.kind) {
    case FIELD_GOOD:
        break;
    case FIELD_MISSING:
        return bedrock_refuse(a, r,
                              "1 validation error detected: Value null at '%.*s' failed to satisfy constraint: Member "
                              "must not be null",
                              STR_ARG(param));
    case FIELD_UNKNOWN:
        return bedrock_refuse(a, r,
                              "Malformed input request: #: extraneous key [%.*s] is not permitted, please reformat "
                              "your input and try again.",
                              STR_ARG(param));
    case FIELD_WRONG_TYPE:
        return refuse_status(a, r, 400, "SerializationException", "Unexpected type at '%.*s': %s.", STR_ARG(param),
                             field_type_name(f.value));
    case FIELD_WRONG_CHOICE:
    case FIELD_OUT_OF_RANGE:
        return refuse_value(a, param, &f, r);
    }
    return OK;
}

/* --- frames --- */

void bedrock_frame(struct buf *to, struct str header, struct str type, struct str payload)
{
    struct eventstream_writer w;
    bool is_event = str_eq(header, STR(":event-type"));

    eventstream_begin(&w, to);
    eventstream_add_string(&w, header, type);
    eventstream_add_string(&w, STR(":content-type"), STR("application/json"));
    eventstream_add_string(&w, STR(":message-type"), is_event ? STR("event") : STR("exception"));
    eventstream_begin_payload(&w);
    buf_add(to, payload);
    if (eventstream_end(&w) != OK)
        to->overflow = true; /* who plays the stream looks at its buf's status */
}

void bedrock_pad(struct buf *to, uint64_t hash)
{
    static const struct str letters = STR_INIT("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

    buf_addf(to, ",\"p\":\"%.*s\"", (int)(1 + hash % letters.n), letters.p);
}

void bedrock_spoil(struct sim_feed *f, struct buf *to, size_t from)
{
    struct buf payload CLEANUP(buf_release) = BUF_INIT(EVENTSTREAM_PAYLOAD_MAX);
    struct buf type CLEANUP(buf_release) = BUF_INIT(256);
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame frame;
    struct str in = str_slice(buf_str(to), from, to->n);

    (void)f;
    eventstream_init(&s);
    if (eventstream_next(&s, &in, &frame) != EVENTSTREAM_FRAME || frame.payload.n == 0)
        return;
    buf_add(&payload, str_slice(frame.payload, 0, frame.payload.n - 1));
    buf_add_char(&payload, ','); /* where the last brace was */
    buf_add(&type, eventstream_string(&frame, STR(":event-type")));
    to->n = from;
    bedrock_frame(to, STR(":event-type"), buf_str(&type), buf_str(&payload));
}

/* Exceptions that a stream can end with, and what it tells of any other. */
static struct str stream_exception(struct str name)
{
    static const struct {
        struct str name, in_stream;
    } known[] = {{STR_INIT("InternalServerException"), STR_INIT("internalServerException")},
                 {STR_INIT("ModelErrorException"), STR_INIT("modelStreamErrorException")},
                 {STR_INIT("ThrottlingException"), STR_INIT("throttlingException")},
                 {STR_INIT("ModelTimeoutException"), STR_INIT("modelTimeoutException")},
                 {STR_INIT("ServiceUnavailableException"), STR_INIT("serviceUnavailableException")}};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(name, known[i].name))
            return known[i].in_stream;
    return STR("validationException");
}

void bedrock_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    struct buf payload CLEANUP(buf_release) = BUF_INIT(PAYLOAD_MAX);
    struct str type = stream_exception(bedrock_exception(why));

    (void)f;
    buf_add_lit(&payload, "{\"message\":\"");
    buf_add_json(&payload, why->message);
    buf_add_char(&payload, '"');
    if (str_eq(type, STR("modelStreamErrorException")))
        buf_addf(&payload, ",\"originalStatusCode\":%d,\"originalMessage\":\"simulated\"", why->status);
    buf_add_char(&payload, '}');
    bedrock_frame(to, STR(":exception-type"), type, buf_str(&payload));
}
