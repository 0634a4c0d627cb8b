/*
 * scenario.h - how simulated models behave, as a YAML file says it: pace, length, faults, and when.
 *
 * The table of fields in scenario.c checks a file, fills these structs and prints the reference in docs/simulator.md, so that
 * these cannot disagree. A scenario is immutable once parsed and may be shared between loops. Pure.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"
#include "codec/yaml.h"
#include "sim/limits.h"
#include "sim/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng;

enum sim_distribution { SIM_FIXED, SIM_UNIFORM, SIM_NORMAL, SIM_LOGNORMAL, SIM_EXPONENTIAL };

/* A number that is drawn for each request. Durations are in nanoseconds. */
struct sim_draw {
    enum sim_distribution distribution;
    double centre;   /* the value itself; mean; median                 */
    double spread;   /* normal: standard deviation; log-normal: sigma  */
    double min, max; /* what is drawn is clamped to these              */
};

enum sim_fault_kind {
    SIM_FAULT_NONE,
    SIM_FAULT_STATUS,
    SIM_FAULT_RATE_LIMIT,
    SIM_FAULT_QUOTA,
    SIM_FAULT_CONTEXT_LENGTH,
    SIM_FAULT_CONTENT_FILTER,
    SIM_FAULT_HANG,
    SIM_FAULT_RESET_BEFORE_HEADERS,
    SIM_FAULT_RESET_AFTER_HEADERS,
    SIM_FAULT_BREAK_STREAM,
    SIM_FAULT_STALL,
    SIM_FAULT_MALFORMED_JSON,
    SIM_FAULT_TRUNCATED_SSE,
    SIM_FAULT_ERROR_EVENT,
    SIM_FAULT_SLOW_TRICKLE,
    SIM_FAULT_COUNT
};

struct sim_fault {
    enum sim_fault_kind kind;
    double weight;      /* share of requests that it befalls                                */
    unsigned status;    /* status: of the answer                                            */
    struct str message; /* of faults that are errors in words: empty for a usual text       */
    ns_t retry_after;   /* status, rate_limit: 0: no header                                 */
    unsigned after_tokens;
    ns_t duration;  /* hang, stall: NS_NEVER until the client leaves                    */
    unsigned bytes; /* slow_trickle: in each piece                                      */
    ns_t every;     /* slow_trickle: between two pieces                                 */
};

/* How one model behaves at one time. */
struct sim_behaviour {
    struct sim_draw ttft;   /* time to the first token                                        */
    struct sim_draw speed;  /* tokens per second; 0: all at once                              */
    struct sim_draw length; /* tokens of an answer                                            */
    struct sim_fault *faults;
    size_t fault_count;
};

/* A behaviour for a span of time or of requests. */
struct sim_window {
    ns_t from, to;       /* since the provider began: [from, to)         */
    int64_t first, last; /* requests to this model, counted from 1       */
    struct sim_behaviour behaviour;
};

struct sim_model {
    struct str name; /* "*": every other name */
    struct sim_behaviour usual;
    struct sim_window *windows; /* the first that fits holds */
    size_t window_count;
    unsigned dimensions; /* of embeddings that name none */
    struct sim_limit_rules limits;
    struct sim_capacity capacity;
};

/* An access key as AWS gives them out. */
struct sim_aws_key {
    struct str access_key, secret_key;
    struct str session_token; /* empty: none */
};

/* How true the metrics of self-hosted servers are. */
enum sim_metrics { SIM_METRICS_HONEST, SIM_METRICS_FROZEN, SIM_METRICS_IDLE, SIM_METRICS_BROKEN, SIM_METRICS_MISSING };

/* A key that is not accepted for a time. */
struct sim_revocation {
    struct str key;
    struct str model; /* only for this one: 403; empty: at all, 401 */
    ns_t from, to;    /* since the provider began: [from, to)       */
};

struct scenario {
    struct arena arena; /* everything below lives in it */
    int64_t seed;
    bool allow_overrides; /* header x-sim */
    bool strict_fields;   /* refuse unknown request fields */
    bool is_healthy;      /* what /health of self-hosted servers says */
    enum sim_metrics metrics;
    struct str *api_keys;
    size_t api_key_count; /* 0: any key, or none, will do */
    struct sim_revocation *revoked;
    size_t revoked_count;
    struct sim_aws_key *aws_keys;
    size_t aws_key_count; /* 0, and no api_keys: signatures are not looked at */
    struct sim_model *models;
    size_t model_count;
    const struct sim_model *any; /* the one named "*"; NULL: other names are unknown */
};

/*
 * Parse a scenario.
 *
 * path      name for messages
 * problems  all that is wrong is added, with line and column
 * ret       the caller frees it with scenario_free(); untouched on failure
 *
 * E_CONFIG or E_PARSE if there is any error.
 */
err_t scenario_parse(struct str yaml, const char *path, struct problems *problems, struct scenario **ret) MUST_CHECK;
/* Takes NULL. */
void scenario_free(struct scenario *s);
/* The scenario that holds where none is given. Static text: print it, or change a copy. */
struct str scenario_builtin(void);
/* The model of this exact name, else the one named "*", else NULL. */
const struct sim_model *scenario_model(const struct scenario *s, struct str name) PURE;

/* What a request asked for in its x-sim header: "fault=stall;after_tokens=3;ttft=200ms". */
struct sim_override {
    struct sim_behaviour behaviour; /* one fault of weight 1, or none */
    bool has_ttft, has_speed, has_length, has_fault;
    bool any; /* there was such a header */
};
/* E_CONFIG or E_PARSE with *problems filled. Lives in problems->arena. */
err_t scenario_override(struct str header, struct problems *problems, struct sim_override *ret) MUST_CHECK;

/* "status" and so on, as written in files and in /sim/stats. Static. */
const char *sim_fault_kind_name(enum sim_fault_kind kind);
/* One draw. */
double sim_draw_take(const struct sim_draw *d, struct prng *prng);

/* The reference of all fields as Markdown, and the JSON Schema, from the table that checks the file. */
err_t scenario_reference(struct buf *to) MUST_CHECK;
err_t scenario_json_schema(struct buf *to) MUST_CHECK;

#endif
