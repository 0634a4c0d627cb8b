/* gemini_int.h - what the files that read Gemini requests share. Private to them. */
#ifndef SIM_GEMINI_INT_H
#define SIM_GEMINI_INT_H

#include "sim/gemini.h"
#include "sim/proto.h"

struct gemini_reader {
    struct arena *a;
    struct gemini_request *req;
    struct question *q;
    struct sim_refusal *r;
    yyjson_val *root;
};

/* Refuse with a 400. */
#define gemini_refuse(rd, ...) refuse((rd)->a, (rd)->r, NULL, STR_NONE, __VA_ARGS__)

/* What a request's messages are, for proto_check(). Vertex has members of its own. */
extern const struct proto_message gemini_request_message, vertex_request_message, gemini_content_message;

/* Read `contents` and `systemInstruction`. */
err_t gemini_read_contents(struct gemini_reader *rd) MUST_CHECK;
/* Check a schema of the OpenAPI kind beyond its members' types, and give it as a JSON Schema. */
err_t gemini_read_schema(struct gemini_reader *rd, yyjson_val *schema, struct str path, yyjson_val **ret) MUST_CHECK;

#endif
