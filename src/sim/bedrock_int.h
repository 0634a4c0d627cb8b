/*
 * bedrock_int.h - what the files of the Bedrock surface share: the Converse request as it was read. Private to the surface.
 *
 * Source: Amazon Bedrock API reference, Converse and ConverseStream.
 */
#ifndef SIM_BEDROCK_INT_H
#define SIM_BEDROCK_INT_H

#include "sim/answer.h"
#include "sim/fields.h"
#include "sim/turn.h"

enum { BEDROCK_CACHE_POINTS_MAX = 4 };

/* The beginning of a prompt that the client wants cached. */
struct bedrock_prefix {
    uint64_t hash;
    size_t tokens;
    ns_t lifetime;
};

struct bedrock_converse {
    struct question q;
    struct bedrock_prefix prefixes[BEDROCK_CACHE_POINTS_MAX]; /* growing */
    size_t prefix_count;
    bool tells_stop;                /* the client wants to know the stop sequence that was met */
    size_t cache_read, cache_write; /* tokens; set after reading                               */
};

/* Read the body of /model/{id}/converse[-stream]. E_PARSE with *r filled. */
err_t bedrock_converse_read(struct arena *a, struct str model, struct str body, struct bedrock_converse *ret,
                            struct sim_refusal *r) MUST_CHECK;
/* Append the whole answer. `latency`: how long the plan makes it take. */
err_t bedrock_converse_write(const struct bedrock_converse *c, const struct sim_answer *answer,
                             const struct sim_mark *mark, ns_t latency, struct buf *to) MUST_CHECK;
/* A stream of it, in the arena; borrows everything. */
struct sim_feed *bedrock_converse_feed(struct arena *a, const struct bedrock_converse *c,
                                       const struct sim_answer *answer, const struct sim_mark *mark, ns_t latency);

/* A ValidationException; returns E_PARSE. */
#define bedrock_refuse(a, r, ...) refuse_status((a), (r), 400, "ValidationException", __VA_ARGS__)
/* Check an object against a table, unknown members too, and refuse in Bedrock's words. */
err_t bedrock_fields(struct arena *a, yyjson_val *obj, struct str path, const struct field_rule *rules, size_t count,
                     struct sim_refusal *r) MUST_CHECK;
/* Parse a body, which must be an object. E_PARSE with *r filled. */
err_t bedrock_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root) MUST_CHECK;

/* The name of the exception that a refusal is, in the form of error types: "ValidationException". Static. */
struct str bedrock_exception(const struct sim_refusal *why);
/* Append a frame of the event stream with a JSON payload. `header` is ":event-type" or ":exception-type". */
void bedrock_frame(struct buf *to, struct str header, struct str type, struct str payload);
/* Append the member "p", which says nothing, so that the lengths of frames do not tell those of words. */
void bedrock_pad(struct buf *to, uint64_t hash);
/* Make the frame at to->p[from..) hold JSON that is none; its checksums fit. Fit for sim_feed.spoil. */
void bedrock_spoil(struct sim_feed *f, struct buf *to, size_t from);
/* Append the frame that ends a stream with an exception. Fit for sim_feed.give_up. */
void bedrock_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to);

#define BEDROCK_STREAM_TYPE STR("application/vnd.amazon.eventstream")

#endif
