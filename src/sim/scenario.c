/*
 * scenario.c - scenario files: YAML, checked against one table of fields, then turned into what the provider runs on.
 *
 * The idea: the file's fields fill *forms*, plain structs with a member for every way to write a thing (a mean, a median, ...);
 * building turns forms into the few numbers that drawing needs. A window starts as a copy of its model's usual behaviour and
 * changes only what it mentions.
 *
 * Invariants: weights of one list of faults add up to at most 1; every draw has min <= max; a scenario never changes once
 * built. What befalls which request is decided in plan.c, not here.
 */
#include "sim/scenario.h"

#include "base/mem.h"
#include "base/prng.h"
#include "codec/schema.h"

#include <math.h>
#include <stdlib.h>

enum { SCENARIO_BYTES_MAX = 64 << 20, OVERRIDE_BYTES_MAX = 1024 };

static const double WEIGHT_SLACK = 1e-9;
/* A drawn speed is at least this, so that no answer takes for ever by a slip of the dice. */
static const double SPEED_MIN = 0.01;

/* --- forms: what the file says --- */

struct time_form {
    enum sim_distribution distribution;
    ns_t value, mean, median, sd, min, max;
    double sigma;
    const struct yaml_node *node;
};

struct number_form {
    enum sim_distribution distribution;
    double value, mean, median, sd, sigma, min, max;
    const struct yaml_node *node;
};

struct behaviour_form {
    struct time_form ttft;
    struct number_form speed, length;
    struct sim_fault *faults;
    size_t fault_count;
};

struct window_form {
    struct behaviour_form behaviour;
    ns_t from, to;
    int64_t first, last;
    const struct yaml_node *node;
};

struct model_form {
    struct str name;
    struct behaviour_form behaviour;
    struct window_form *windows;
    size_t window_count;
    unsigned dimensions;
    struct sim_limit_rules limits;
    struct sim_capacity capacity;
};

struct scenario_form {
    int64_t seed;
    bool allow_overrides, strict_fields, is_healthy;
    enum sim_metrics metrics;
    struct str *api_keys;
    size_t api_key_count;
    struct sim_revocation *revoked;
    size_t revoked_count;
    struct sim_aws_key *aws_keys;
    size_t aws_key_count;
    struct model_form *models;
    size_t model_count;
};

struct override_form {
    struct sim_fault fault;
    struct time_form ttft;
    struct number_form speed, length;
};

/* --- checks that fields have in common --- */

static bool is_given(const struct yaml_node *n, const char *field)
{
    return yaml_get(n, str_from_c(field)) != NULL;
}

/* What each distribution is made of. */
static const struct {
    enum sim_distribution distribution;
    const char *name;
    const char *needs[2];
} distribution_parts[] = {
    {SIM_FIXED, "fixed", {"value", NULL}},
    {SIM_UNIFORM, "uniform", {"min", "max"}},
    {SIM_NORMAL, "normal", {"mean", "sd"}},
    {SIM_LOGNORMAL, "lognormal", {"median", "sigma"}},
    {SIM_EXPONENTIAL, "exponential", {"mean", NULL}},
};

static bool is_part(const char *part, const char *of)
{
    return of && strcmp(part, of) == 0;
}

static void check_distribution(const struct schema_run *run, const struct yaml_node *n, enum sim_distribution d)
{
    static const char *const parts[] = {"value", "mean", "median", "sd", "sigma"};

    if (!n || n->kind != YAML_MAP)
        return;
    const char *name = distribution_parts[d].name;
    const char *const *needs = distribution_parts[d].needs;
    for (size_t i = 0; i < 2; i++)
        if (needs[i] && !is_given(n, needs[i]))
            problems_error(run->problems, n, "a %s distribution needs \"%s\"", name, needs[i]);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        bool needed = is_part(parts[i], needs[0]) || is_part(parts[i], needs[1]);
        if (!needed && is_given(n, parts[i]))
            problems_error(run->problems, yaml_get(n, str_from_c(parts[i])),
                           "\"%s\" has no meaning for a %s distribution", parts[i], name);
    }
}

static void check_time(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    struct time_form *f = object;

    check_distribution(run, n, f->distribution);
    if (f->max < f->min)
        problems_error(run->problems, n, "\"max\" is less than \"min\"");
}

static void check_number(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    struct number_form *f = object;

    check_distribution(run, n, f->distribution);
    if (f->max < f->min)
        problems_error(run->problems, n, "\"max\" is less than \"min\"");
}

/* Which fault takes which field. */
#define KIND(k) (1U << SIM_FAULT_##k)
static const struct {
    const char *field;
    unsigned kinds;
} fault_uses[] = {
    {"status", KIND(STATUS)},
    {"message",
     KIND(STATUS) | KIND(RATE_LIMIT) | KIND(QUOTA) | KIND(CONTEXT_LENGTH) | KIND(CONTENT_FILTER) | KIND(ERROR_EVENT)},
    {"retry_after", KIND(STATUS) | KIND(RATE_LIMIT)},
    {"after_tokens", KIND(BREAK_STREAM) | KIND(STALL) | KIND(MALFORMED_JSON) | KIND(TRUNCATED_SSE) | KIND(ERROR_EVENT)},
    {"duration", KIND(HANG) | KIND(STALL)},
    {"bytes", KIND(SLOW_TRICKLE)},
    {"every", KIND(SLOW_TRICKLE)},
};
#undef KIND

static void check_fault(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    const struct sim_fault *f = object;

    for (size_t i = 0; n && i < ARRAY_LEN(fault_uses); i++)
        if (!(fault_uses[i].kinds & 1U << f->kind) && is_given(n, fault_uses[i].field))
            problems_error(run->problems, yaml_get(n, str_from_c(fault_uses[i].field)),
                           "\"%s\" has no meaning for the fault %s", fault_uses[i].field, sim_fault_kind_name(f->kind));
}

static void check_weights(const struct schema_run *run, const struct yaml_node *n, const struct behaviour_form *b)
{
    const struct yaml_node *list = yaml_get(n, STR("faults"));
    double sum = 0;

    for (size_t i = 0; i < b->fault_count; i++)
        sum += b->faults[i].weight;
    if (sum > 1 + WEIGHT_SLACK)
        problems_error(run->problems, list ? list : n,
                       "the weights add up to %g; they are shares of all requests: at most 1", sum);
}

static void check_model(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    const struct model_form *f = object;

    check_weights(run, n, &f->behaviour);
}

static void check_window(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    const struct window_form *f = object;

    check_weights(run, n, &f->behaviour);
    if (f->to <= f->from)
        problems_error(run->problems, n, "\"to\" must be after \"from\"");
    if (f->last != 0 && f->last < f->first)
        problems_error(run->problems, n, "\"last_request\" is before \"first_request\"");
}

/* "unlimited" or a speed above 0. */
static bool parse_speed(const struct schema_run *run, const struct yaml_node *n, struct str text, void *to)
{
    char digits[32], *end;
    double value;

    if (str_eq(text, STR("unlimited"))) {
        *(double *)to = 0;
        return true;
    }
    if (text.n > 0 && text.n < sizeof(digits)) {
        memcpy(digits, text.p, text.n);
        digits[text.n] = '\0';
        value = strtod(digits, &end);
        if (*end == '\0' && isfinite(value) && value >= SPEED_MIN) {
            *(double *)to = value;
            return true;
        }
    }
    problems_error(run->problems, n, "must be \"unlimited\" or a number of at least %g", SPEED_MIN);
    return false;
}

/* --- the fields --- */

static const struct schema_choice distribution_choices[] = {
    {"fixed", SIM_FIXED, "Always `value`. A plain value means the same"},
    {"uniform", SIM_UNIFORM, "Evenly between `min` and `max`"},
    {"normal", SIM_NORMAL, "Around `mean`, with standard deviation `sd`"},
    {"lognormal", SIM_LOGNORMAL,
     "Half of them below `median`; `sigma` says how long the tail is (0.5 is mild, 1 is heavy)"},
    {"exponential", SIM_EXPONENTIAL, "With this `mean`"},
    {0}};

#define DISTRIBUTION_DOC "Which distribution a value is drawn from, once for each request."

static const struct schema_field time_fields[] = {
    SCHEMA_ENUM("distribution", struct time_form, distribution, distribution_choices, .default_text = "fixed",
                .doc = DISTRIBUTION_DOC),
    SCHEMA_DURATION("value", struct time_form, value, .max = "24h", .doc = "For `fixed`."),
    SCHEMA_DURATION("mean", struct time_form, mean, .max = "24h", .doc = "For `normal` and `exponential`."),
    SCHEMA_DURATION("median", struct time_form, median, .max = "24h", .doc = "For `lognormal`."),
    SCHEMA_DURATION("sd", struct time_form, sd, .max = "24h", .doc = "For `normal`: standard deviation."),
    SCHEMA_FLOAT("sigma", struct time_form, sigma, .min = "0", .max = "5", .doc = "For `lognormal`."),
    SCHEMA_DURATION("min", struct time_form, min, .max = "24h", .doc = "What is drawn is raised to this."),
    SCHEMA_DURATION("max", struct time_form, max, .default_text = "24h", .max = "24h",
                    .doc = "What is drawn is lowered to this."),
    SCHEMA_END};
static const struct schema_object time_object = {.fields = time_fields,
                                                 .size = sizeof(struct time_form),
                                                 .shorthand = "value",
                                                 .node_offset = SCHEMA_NODE_AT(struct time_form, node),
                                                 .check = check_time};

/* The fields of a number drawn from a distribution, but for its plain value. */
#define NUMBER_FIELDS(limit)                                                                                           \
    SCHEMA_ENUM("distribution", struct number_form, distribution, distribution_choices, .default_text = "fixed",       \
                .doc = DISTRIBUTION_DOC),                                                                              \
        SCHEMA_FLOAT("mean", struct number_form, mean, .min = "0", .max = (limit),                                     \
                     .doc = "For `normal` and `exponential`."),                                                        \
        SCHEMA_FLOAT("median", struct number_form, median, .min = "0", .max = (limit), .doc = "For `lognormal`."),     \
        SCHEMA_FLOAT("sd", struct number_form, sd, .min = "0", .max = (limit),                                         \
                     .doc = "For `normal`: standard deviation."),                                                      \
        SCHEMA_FLOAT("sigma", struct number_form, sigma, .min = "0", .max = "5", .doc = "For `lognormal`."),           \
        SCHEMA_FLOAT("min", struct number_form, min, .min = "0", .max = (limit),                                       \
                     .doc = "What is drawn is raised to this."),                                                       \
        SCHEMA_FLOAT("max", struct number_form, max, .default_text = (limit), .min = "0", .max = (limit),              \
                     .doc = "What is drawn is lowered to this.")

static const struct schema_field speed_fields[] = {
    SCHEMA_FLOAT("value", struct number_form, value, .default_text = "unlimited", .parse = parse_speed,
                 .doc = "For `fixed`: tokens per second, or `unlimited`: everything is sent at once."),
    NUMBER_FIELDS("1000000"), SCHEMA_END};
static const struct schema_object speed_object = {.fields = speed_fields,
                                                  .size = sizeof(struct number_form),
                                                  .shorthand = "value",
                                                  .node_offset = SCHEMA_NODE_AT(struct number_form, node),
                                                  .check = check_number};

static const struct schema_field length_fields[] = {SCHEMA_FLOAT("value", struct number_form, value,
                                                                 .default_text = "20", .min = "0", .max = "100000",
                                                                 .doc = "For `fixed`: tokens of an answer."),
                                                    NUMBER_FIELDS("100000"), SCHEMA_END};
static const struct schema_object length_object = {.fields = length_fields,
                                                   .size = sizeof(struct number_form),
                                                   .shorthand = "value",
                                                   .node_offset = SCHEMA_NODE_AT(struct number_form, node),
                                                   .check = check_number};

static const struct schema_choice fault_choices[] = {
    {"none", SIM_FAULT_NONE, "Nothing goes wrong"},
    {"status", SIM_FAULT_STATUS, "The answer is an error with this `status`, in the dialect's form"},
    {"rate_limit", SIM_FAULT_RATE_LIMIT, "429, which says when to come back if `retry_after` is set"},
    {"quota", SIM_FAULT_QUOTA, "429 with code `insufficient_quota`, which clients do not retry"},
    {"context_length", SIM_FAULT_CONTEXT_LENGTH,
     "400: the prompt is too long for the model, with code `context_length_exceeded`"},
    {"content_filter", SIM_FAULT_CONTENT_FILTER, "400: a filter refused the prompt, with code `content_filter`"},
    {"hang", SIM_FAULT_HANG, "Not a byte is sent for `duration`; then the answer comes"},
    {"reset_before_headers", SIM_FAULT_RESET_BEFORE_HEADERS, "The connection is closed instead of an answer"},
    {"reset_after_headers", SIM_FAULT_RESET_AFTER_HEADERS, "The headers are sent, then the connection is closed"},
    {"break_stream", SIM_FAULT_BREAK_STREAM,
     "The connection is closed after `after_tokens`; a plain answer breaks off in its middle"},
    {"stall", SIM_FAULT_STALL,
     "Silence for `duration` after `after_tokens`, then the rest; a plain answer stalls in its middle"},
    {"malformed_json", SIM_FAULT_MALFORMED_JSON,
     "The event after `after_tokens`, or the plain answer, is not valid JSON"},
    {"truncated_sse", SIM_FAULT_TRUNCATED_SSE,
     "The stream ends within an event after `after_tokens`, in good HTTP order and without its terminator; a plain "
     "answer is cut to half"},
    {"error_event", SIM_FAULT_ERROR_EVENT,
     "The stream ends with an error event after `after_tokens`; a plain answer is a 500"},
    {"slow_trickle", SIM_FAULT_SLOW_TRICKLE, "The body leaves in pieces of `bytes`, one `every` so often"},
    {0}};

/* The fields of a fault within `type`; `m` leads to its struct sim_fault: empty or "member.". */
#define FAULT_FIELDS(type, m)                                                                                          \
    SCHEMA_UNSIGNED("status", type, m status, .default_text = "503", .min = "400", .max = "599",                       \
                    .doc = "`status`: of the answer."),                                                                \
        SCHEMA_STRING("message", type, m message, .doc = "All faults that are an error in words: its text.",           \
                      .default_doc = "a usual one"),                                                                   \
        SCHEMA_DURATION("retry_after", type, m retry_after, .max = "24h",                                              \
                        .doc = "`status`, `rate_limit`: how the client is told when to come back: by `retry-after` "   \
                               "(whole seconds, rounded up), for OpenAI `retry-after-ms` too, for Google in the "      \
                               "error's details.",                                                                     \
                        .default_doc = "it is not told"),                                                              \
        SCHEMA_UNSIGNED("after_tokens", type, m after_tokens, .default_text = "5", .max = "1000000",                   \
                        .doc = "Tokens that are sent before the fault; at the latest it comes before the answer's "    \
                               "end. 0: right behind the headers."),                                                   \
        SCHEMA_DURATION("duration", type, m duration, .default_text = "none", .never = true, .max = "24h",             \
                        .doc = "`hang`, `stall`: how long; `none`: until the client leaves."),                         \
        SCHEMA_UNSIGNED("bytes", type, m bytes, .default_text = "1", .min = "1", .max = "65536",                       \
                        .doc = "`slow_trickle`: in each piece."),                                                      \
        SCHEMA_DURATION("every", type, m every, .default_text = "50ms", .min = "1ms", .max = "1h",                     \
                        .doc = "`slow_trickle`: time between two pieces.")

static const struct schema_field fault_fields[] = {
    SCHEMA_ENUM("kind", struct sim_fault, kind, fault_choices, .required = true, .doc = "What goes wrong."),
    SCHEMA_FLOAT(
        "weight", struct sim_fault, weight, .default_text = "1", .min = "0", .max = "1",
        .doc = "Share of the requests that it befalls: `0.02` or `2%`. All weights of a list add up to at most 1."),
    FAULT_FIELDS(struct sim_fault, ), SCHEMA_END};
static const struct schema_object fault_object = {
    .fields = fault_fields, .size = sizeof(struct sim_fault), .shorthand = "kind", .check = check_fault};
static const struct schema_field fault_item = SCHEMA_ITEM_OBJECT(&fault_object);

/* How a model behaves: common to models and windows, both of which have a member `behaviour`. */
#define BEHAVIOUR_FIELDS(type)                                                                                         \
    SCHEMA_OBJECT("ttft", type, behaviour.ttft, &time_object, .default_doc = "`0s`: at once",                          \
                  .doc = "Time to the first token. A duration, or a distribution."),                                   \
        SCHEMA_OBJECT("tokens_per_second", type, behaviour.speed, &speed_object, .default_doc = "`unlimited`",         \
                      .doc = "Pace behind the first token. A number, `unlimited`, or a distribution. A plain answer "  \
                             "comes whole when its last token is due."),                                               \
        SCHEMA_OBJECT("answer_tokens", type, behaviour.length, &length_object, .default_doc = "`20`",                  \
                      .doc = "Length of an answer, before `max_tokens` and stop sequences cut it. A number, or a "     \
                             "distribution."),                                                                         \
        SCHEMA_LIST("faults", type, behaviour.faults, behaviour.fault_count, &fault_item, .single = true,              \
                    .doc = "What goes wrong, and how often.")

static const struct schema_field window_fields[] = {
    SCHEMA_DURATION("from", struct window_form, from, .max = "8760h",
                    .doc = "Begins so long after the simulator began."),
    SCHEMA_DURATION("to", struct window_form, to, .default_text = "none", .never = true, .max = "8760h",
                    .doc = "Ends so long after the simulator began."),
    SCHEMA_INT("first_request", struct window_form, first, .default_text = "1", .min = "1",
               .doc = "Begins with this request to the model, counted from 1."),
    SCHEMA_INT("last_request", struct window_form, last, .min = "1", .doc = "Ends with this request to the model.",
               .default_doc = "no end"),
    BEHAVIOUR_FIELDS(struct window_form),
    SCHEMA_END};
static const struct schema_object window_object = {.fields = window_fields,
                                                   .size = sizeof(struct window_form),
                                                   .node_offset = SCHEMA_NODE_AT(struct window_form, node),
                                                   .check = check_window};
static const struct schema_field window_item = SCHEMA_ITEM_OBJECT(&window_object);

#define LIMIT_MAX "1000000000"
static const struct schema_field limit_fields[] = {
    SCHEMA_UNSIGNED("requests", struct model_form, limits.most[SIM_REQUESTS], .default_text = "0", .min = "0",
                    .max = LIMIT_MAX, .doc = "Requests in each window; 0: any number."),
    SCHEMA_UNSIGNED("tokens", struct model_form, limits.most[SIM_TOKENS], .default_text = "0", .min = "0",
                    .max = LIMIT_MAX, .doc = "Tokens of prompts and answers together."),
    SCHEMA_UNSIGNED("input_tokens", struct model_form, limits.most[SIM_INPUT_TOKENS], .default_text = "0", .min = "0",
                    .max = LIMIT_MAX, .doc = "Tokens of prompts."),
    SCHEMA_UNSIGNED("output_tokens", struct model_form, limits.most[SIM_OUTPUT_TOKENS], .default_text = "0", .min = "0",
                    .max = LIMIT_MAX, .doc = "Tokens of answers."),
    SCHEMA_DURATION("window", struct model_form, limits.window, .default_text = "1m", .min = "1ms", .max = "24h",
                    .doc = "How long a window lasts; it begins with the first request that finds none."),
    SCHEMA_END};
#undef LIMIT_MAX
static const struct schema_object limit_object = {.fields = limit_fields, .size = sizeof(struct model_form)};
static const struct schema_field capacity_fields[] = {
    SCHEMA_FLOAT("tokens_per_second", struct sim_capacity, written, .min = "1", .max = "1000000000",
                 .default_doc = "no bound",
                 .doc = "Tokens that are written, which all answers under way share. None is faster than its own "
                        "`tokens_per_second`."),
    SCHEMA_FLOAT("prompt_tokens_per_second", struct sim_capacity, read, .min = "1", .max = "1000000000",
                 .default_doc = "no bound",
                 .doc = "Tokens of prompts that are read, one prompt after the other: a request's first token comes "
                        "`ttft` after its prompt is read."),
    SCHEMA_END};
static const struct schema_object capacity_object = {
    .fields = capacity_fields, .size = sizeof(struct sim_capacity), .shorthand = "tokens_per_second"};

static const struct schema_field model_fields[] = {
    BEHAVIOUR_FIELDS(struct model_form),
    SCHEMA_OBJECT_HERE(
        "limits", &limit_object,
        .doc = "Rate limits of each key at this model. Answers tell what is left as the provider's do "
               "(`x-ratelimit-…`, `anthropic-ratelimit-…`); beyond them there is a 429 with `retry-after`."),
    SCHEMA_LIST(
        "schedule", struct model_form, windows, window_count, &window_item,
        .doc = "Spans of time or of requests in which the model behaves differently. The first that fits holds; what "
               "it does not mention stays as it is."),
    SCHEMA_UNSIGNED("dimensions", struct model_form, dimensions, .default_text = "1536", .min = "1", .max = "4096",
                    .doc = "Length of an embedding, if the request does not say."),
    SCHEMA_OBJECT("capacity", struct model_form, capacity, &capacity_object, .default_doc = "no bound",
                  .doc = "What it can do in all: so it gets slower the more is asked of it. Workers of the simulator "
                         "have equal parts of it."),
    SCHEMA_END};
static const struct schema_object model_object = {
    .fields = model_fields, .size = sizeof(struct model_form), .check = check_model};
static const struct schema_field model_item = SCHEMA_ITEM_OBJECT(&model_object);

static const struct schema_field key_item = SCHEMA_ITEM(STRING, .secret = true);

static const struct schema_field revocation_fields[] = {
    SCHEMA_STRING("key", struct sim_revocation, key, .required = true, .secret = true, .doc = "Which key."),
    SCHEMA_STRING("model", struct sim_revocation, model,
                  .doc = "Only for this model, with a 403; else for all, with what a wrong key gets."),
    SCHEMA_DURATION("from", struct sim_revocation, from, .max = "8760h",
                    .doc = "From so long after the simulator began."),
    SCHEMA_DURATION("to", struct sim_revocation, to, .default_text = "none", .never = true, .max = "8760h",
                    .doc = "Until so long after the simulator began."),
    SCHEMA_END};
static const struct schema_object revocation_object = {
    .fields = revocation_fields, .size = sizeof(struct sim_revocation), .shorthand = "key"};
static const struct schema_field revocation_item = SCHEMA_ITEM_OBJECT(&revocation_object);

static const struct schema_field aws_key_fields[] = {
    SCHEMA_STRING("access_key_id", struct sim_aws_key, access_key, .required = true,
                  .doc = "What a signature names: `AKIA…`."),
    SCHEMA_STRING("secret_access_key", struct sim_aws_key, secret_key, .required = true, .secret = true,
                  .doc = "What requests are signed with."),
    SCHEMA_STRING("session_token", struct sim_aws_key, session_token, .secret = true,
                  .doc = "If set, requests must carry it in `x-amz-security-token`."),
    SCHEMA_END};
static const struct schema_object aws_key_object = {.fields = aws_key_fields, .size = sizeof(struct sim_aws_key)};
static const struct schema_field aws_key_item = SCHEMA_ITEM_OBJECT(&aws_key_object);

static const struct schema_choice metrics_choices[] = {
    {"honest", SIM_METRICS_HONEST, "What is true"},
    {"frozen", SIM_METRICS_FROZEN, "What was true when they were first read"},
    {"idle", SIM_METRICS_IDLE, "That nothing runs and nothing waits"},
    {"broken", SIM_METRICS_BROKEN, "The page ends in the middle of a line"},
    {"missing", SIM_METRICS_MISSING, "404"},
    {NULL, 0, NULL}};

static const struct schema_field scenario_fields[] = {
    SCHEMA_INT("seed", struct scenario_form, seed, .default_text = "1",
               .doc = "The same seed and the same requests give the same answers. `--seed` overrides it."),
    SCHEMA_LIST("api_keys", struct scenario_form, api_keys, api_key_count, &key_item, .single = true,
                .doc = "If set, a request must carry one of them in `authorization: Bearer`; else it gets a 401."),
    SCHEMA_LIST("revoked", struct scenario_form, revoked, revoked_count, &revocation_item, .single = true,
                .doc = "Keys that are not accepted for a time, or for a model."),
    SCHEMA_LIST(
        "aws_keys", struct scenario_form, aws_keys, aws_key_count, &aws_key_item, .single = true,
        .doc = "Access keys that requests to Bedrock's paths may be signed with (SigV4). If these or `api_keys` are "
               "set, such a request must be signed or carry one of the latter; else it gets a 403."),
    SCHEMA_BOOL("allow_overrides", struct scenario_form, allow_overrides, .default_text = "false",
                .doc = "Let a request choose its own fault and pace by the header `x-sim`."),
    SCHEMA_BOOL("refuse_unknown_fields", struct scenario_form, strict_fields, .default_text = "false",
                .doc = "Answer a request that has a field which OpenAI does not know with a 400, as OpenAI does."),
    SCHEMA_BOOL("healthy", struct scenario_form, is_healthy, .default_text = "true",
                .doc =
                    "What self-hosted servers say at `/health`: `false` is a 503. Requests are answered all the same."),
    SCHEMA_ENUM("metrics", struct scenario_form, metrics, metrics_choices, .default_text = "honest",
                .doc = "What self-hosted servers say at `/metrics`."),
    SCHEMA_MAP("models", struct scenario_form, models, model_count, &model_item, struct model_form, name, .min = "1",
               .required = true, .key_doc = "model",
               .doc = "Models by name. `\"*\"` stands for every other name; without it other names get a 404."),
    SCHEMA_END};
static const struct schema_object scenario_object = {.fields = scenario_fields, .size = sizeof(struct scenario_form)};

static const struct schema_field override_fields[] = {
    SCHEMA_ENUM("fault", struct override_form, fault.kind, fault_choices, .default_text = "none",
                .doc = "What goes wrong."),
    FAULT_FIELDS(struct override_form, fault.),
    SCHEMA_OBJECT("ttft", struct override_form, ttft, &time_object, .doc = "As of a model."),
    SCHEMA_OBJECT("tokens_per_second", struct override_form, speed, &speed_object, .doc = "As of a model."),
    SCHEMA_OBJECT("answer_tokens", struct override_form, length, &length_object, .doc = "As of a model."),
    SCHEMA_END};

static void check_override(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    struct override_form *f = object;

    check_fault(run, n, &f->fault);
}

static const struct schema_object override_object = {
    .fields = override_fields, .size = sizeof(struct override_form), .check = check_override};

/* --- building --- */

static double centre_of(enum sim_distribution d, double value, double mean, double median)
{
    switch (d) {
    case SIM_FIXED:
        return value;
    case SIM_NORMAL:
    case SIM_EXPONENTIAL:
        return mean;
    case SIM_LOGNORMAL:
        return median;
    case SIM_UNIFORM:
        break;
    }
    return 0;
}

static struct sim_draw build_time(const struct time_form *f)
{
    return (struct sim_draw){
        .distribution = f->distribution,
        .centre = centre_of(f->distribution, (double)f->value, (double)f->mean, (double)f->median),
        .spread = f->distribution == SIM_LOGNORMAL ? f->sigma : (double)f->sd,
        .min = (double)f->min,
        .max = (double)f->max,
    };
}

/* `floor`: least value that a distribution may give. */
static struct sim_draw build_number(const struct number_form *f, double floor)
{
    return (struct sim_draw){
        .distribution = f->distribution,
        .centre = centre_of(f->distribution, f->value, f->mean, f->median),
        .spread = f->distribution == SIM_LOGNORMAL ? f->sigma : f->sd,
        .min = f->min < floor ? floor : f->min,
        .max = f->max < floor ? floor : f->max,
    };
}

/* Take over from the form what it mentions. `all`: everything, for a model's usual behaviour. */
static void build_behaviour(const struct behaviour_form *f, bool all, bool has_faults, struct sim_behaviour *b)
{
    if (all || f->ttft.node)
        b->ttft = build_time(&f->ttft);
    if (all || f->speed.node)
        b->speed = build_number(&f->speed, SPEED_MIN);
    if (all || f->length.node)
        b->length = build_number(&f->length, 0);
    if (all || has_faults) {
        b->faults = f->faults;
        b->fault_count = f->fault_count;
    }
}

static void build_model(struct arena *a, const struct model_form *f, struct sim_model *m)
{
    m->name = f->name;
    m->dimensions = f->dimensions;
    m->limits = f->limits;
    m->capacity = f->capacity;
    build_behaviour(&f->behaviour, true, true, &m->usual);
    m->window_count = f->window_count;
    m->windows = arena_zalloc(a, f->window_count * sizeof(*m->windows));
    for (size_t i = 0; i < f->window_count; i++) {
        const struct window_form *form = &f->windows[i];
        struct sim_window *w = &m->windows[i];
        w->from = form->from;
        w->to = form->to;
        w->first = form->first;
        w->last = form->last == 0 ? INT64_MAX : form->last;
        w->behaviour = m->usual;
        build_behaviour(&form->behaviour, false, is_given(form->node, "faults"), &w->behaviour);
    }
}

static void build_scenario(const struct scenario_form *f, struct scenario *s)
{
    s->seed = f->seed;
    s->allow_overrides = f->allow_overrides;
    s->strict_fields = f->strict_fields;
    s->is_healthy = f->is_healthy;
    s->metrics = f->metrics;
    s->api_keys = f->api_keys;
    s->api_key_count = f->api_key_count;
    s->revoked = f->revoked;
    s->revoked_count = f->revoked_count;
    s->aws_keys = f->aws_keys;
    s->aws_key_count = f->aws_key_count;
    s->model_count = f->model_count;
    s->models = arena_zalloc(&s->arena, f->model_count * sizeof(*s->models));
    for (size_t i = 0; i < f->model_count; i++) {
        build_model(&s->arena, &f->models[i], &s->models[i]);
        if (str_eq(s->models[i].name, STR("*")))
            s->any = &s->models[i];
    }
}

err_t scenario_parse(struct str yaml, const char *path, struct problems *problems, struct scenario **ret)
{
    struct scenario *s = NEW(struct scenario);
    struct yaml_node *root;
    struct scenario_form form;

    arena_init(&s->arena, SCENARIO_BYTES_MAX);
    err_t e = yaml_parse(yaml, str_from_c(path), NULL, &s->arena, problems, &root);
    if (e == OK)
        e = schema_bind(&scenario_object, root, &s->arena, problems, NULL, &form);
    if (e != OK) {
        scenario_free(s);
        return e;
    }
    build_scenario(&form, s);
    *ret = s;
    return OK;
}

void scenario_free(struct scenario *s)
{
    if (!s)
        return;
    arena_release(&s->arena);
    mem_free(s);
}

const struct sim_model *scenario_model(const struct scenario *s, struct str name)
{
    for (size_t i = 0; i < s->model_count; i++)
        if (str_eq(s->models[i].name, name))
            return &s->models[i];
    return s->any;
}

/* "a=b; c=d" as the YAML map "a: b\nc: d\n". */
static err_t override_yaml(struct str header, struct buf *to)
{
    while (header.n > 0) {
        struct str value = str_trim(str_cut(&header, ';'));
        if (value.n == 0)
            continue;
        struct str name = str_trim(str_cut(&value, '='));
        buf_add(to, name);
        buf_add_lit(to, ": ");
        buf_add(to, str_trim(value));
        buf_add_char(to, '\n');
    }
    return buf_status(to);
}

err_t scenario_override(struct str header, struct problems *problems, struct sim_override *ret)
{
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(OVERRIDE_BYTES_MAX);
    struct arena *a = problems->arena;
    struct yaml_node *root;
    struct override_form form;

    TRY(override_yaml(header, &yaml));
    TRY(yaml_parse(buf_str(&yaml), STR("x-sim"), NULL, a, problems, &root));
    TRY(schema_bind(&override_object, root, a, problems, NULL, &form));
    *ret = (struct sim_override){.any = true,
                                 .has_ttft = form.ttft.node != NULL,
                                 .has_speed = form.speed.node != NULL,
                                 .has_length = form.length.node != NULL,
                                 .has_fault = is_given(root, "fault")};
    struct behaviour_form b = {.ttft = form.ttft, .speed = form.speed, .length = form.length};
    if (ret->has_fault && form.fault.kind != SIM_FAULT_NONE) {
        b.faults = arena_new(a, struct sim_fault);
        b.fault_count = 1;
        *b.faults = form.fault;
        b.faults->weight = 1;
    }
    build_behaviour(&b, true, true, &ret->behaviour);
    return OK;
}

const char *sim_fault_kind_name(enum sim_fault_kind kind)
{
    return fault_choices[kind].name;
}

double sim_draw_take(const struct sim_draw *d, struct prng *prng)
{
    double x = d->centre;

    switch (d->distribution) {
    case SIM_FIXED:
        return x;
    case SIM_UNIFORM:
        return d->min + prng_unit(prng) * (d->max - d->min);
    case SIM_NORMAL:
        x = prng_normal(prng, d->centre, d->spread);
        break;
    case SIM_LOGNORMAL:
        x = prng_lognormal(prng, d->centre, d->spread);
        break;
    case SIM_EXPONENTIAL:
        x = prng_exponential(prng, d->centre);
        break;
    }
    return x < d->min ? d->min : x > d->max ? d->max : x;
}

/* --- the built-in scenario, and what is printed --- */

static const struct str builtin = STR_INIT("# What `crossdock sim` does when it is given no scenario.\n"
                                           "seed: 1\n"
                                           "allow_overrides: true\n"
                                           "models:\n"
                                           "  sim-fast: {}\n"
                                           "  sim-slow:\n"
                                           "    ttft: {distribution: lognormal, median: 300ms, sigma: 0.5}\n"
                                           "    tokens_per_second: {distribution: normal, mean: 50, sd: 8, min: 5}\n"
                                           "    answer_tokens: {distribution: uniform, min: 20, max: 200}\n"
                                           "  sim-flaky:\n"
                                           "    ttft: 20ms\n"
                                           "    tokens_per_second: 200\n"
                                           "    faults:\n"
                                           "      - {kind: status, status: 503, weight: 5%}\n"
                                           "      - {kind: rate_limit, retry_after: 2s, weight: 5%}\n"
                                           "      - {kind: reset_before_headers, weight: 2%}\n"
                                           "      - {kind: break_stream, after_tokens: 5, weight: 5%}\n"
                                           "      - {kind: stall, after_tokens: 5, duration: 30s, weight: 1%}\n"
                                           "  \"*\": {}\n");

struct str scenario_builtin(void)
{
    return builtin;
}

static const struct schema_about about = {
    .title = "Scenario",
    .doc = "How simulated models behave.",
    .heading = 3,
};

err_t scenario_reference(struct buf *to)
{
    return schema_print_markdown(&scenario_object, &about, to);
}

err_t scenario_json_schema(struct buf *to)
{
    return schema_print_json(&scenario_object, &about, to);
}
