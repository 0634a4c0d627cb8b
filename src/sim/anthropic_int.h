/* anthropic_int.h - what the files that read Anthropic requests share. Private to them. */
#ifndef SIM_ANTHROPIC_INT_H
#define SIM_ANTHROPIC_INT_H

#include "sim/anthropic.h"
#include "sim/fields.h"

struct anthropic_reader {
    struct arena *a;
    struct anthropic_request *req;
    struct question *q;
    struct sim_refusal *r;
    yyjson_val *root;
    bool newest, budgeted; /* thinking is "enabled"                                    */
    /* tool calls of the last assistant message, which the next message must answer */
    struct str pending[SIM_TOOLS_MAX];
    size_t pending_count;
    struct str naked; /* assistant block in this round of tool calls that should have been thinking; empty: none */
    struct str naked_type;
    struct cache_cut cuts[CACHE_LOOKBACK]; /* the last ones, newest last */
    size_t cut_count, point_count;
    bool saw_short; /* a cache point of five minutes */
};

/* Refuse with a 400. */
#define anthropic_refuse(rd, ...) refuse((rd)->a, (rd)->r, NULL, STR_NONE, __VA_ARGS__)
/* Check an object's members, unknown ones included, in the words of the service. */
err_t anthropic_check(struct anthropic_reader *rd, yyjson_val *obj, struct str path, const struct field_rule *rules,
                      size_t count) MUST_CHECK;
/* A block, tool or message ends here; `holder` may have cache_control, at `path`. */
err_t anthropic_cut(struct anthropic_reader *rd, yyjson_val *holder, struct str path) MUST_CHECK;
/* A name or id: 1 to `max` of [A-Za-z0-9_-]. */
bool anthropic_is_word(struct str s, size_t max) PURE;
/* Read `messages`. */
err_t anthropic_read_messages(struct anthropic_reader *rd) MUST_CHECK;
/* Read `system`: a string or text blocks. */
err_t anthropic_read_system(struct anthropic_reader *rd) MUST_CHECK;

#endif
