/*
 * facts_log.c - which facts become which fields, and a request's facts out of its records again.
 *
 * The tables are the format: who adds a fact adds a row at the end of its table, and old logs read as if it had been zero.
 *
 * Does not: keep anything (facts_ring.c, store/segments.c), tell it to people (story.c).
 */
#include "observe/facts_log.h"

#include "base/bytes.h"

#include <string.h>

/* --- words for numbers, whatever a damaged or newer log holds --- */

static const char *role_word(int role)
{
    return attempt_role_name((enum attempt_role)role);
}

static const char *cause_word(int cause)
{
    return cause >= 0 && cause < CAUSES ? cause_meaning((enum cause)cause)->name : "?";
}

static const char *verb_word(int verb)
{
    static const char *const words[] = {
        [RETRY_STOP] = "stop", [RETRY_HERE] = "here", [RETRY_OTHER_KEY] = "other_key", [RETRY_ELSEWHERE] = "elsewhere"};

    return verb >= 0 && verb < (int)ARRAY_LEN(words) ? words[verb] : "?";
}

static const char *reason_word(int reason)
{
    return reason >= 0 && reason < RETRY_REASONS ? retry_reason_name((enum retry_reason)reason) : "?";
}

static const char *exclusion_word(int exclusion)
{
    return exclusion >= 0 && exclusion < EXCLUSIONS ? exclusion_name((enum exclusion)exclusion) : "?";
}

static const char *outcome_word(int outcome)
{
    return root_outcome_name((enum root_outcome)outcome);
}

static const char *error_word(int e)
{
    return e == OK ? "" : e > 0 && e < ERR_COUNT ? err_name((err_t)e) : "?";
}

/* --- tables --- */

#define USAGE_FIELDS(F, T)                                                                                             \
    F(T, usage.known, BOOL, "usage_known")                                                                             \
    F(T, usage.input, U64, "input")                                                                                    \
    F(T, usage.output, U64, "output")                                                                                  \
    F(T, usage.cached_input, U64, "cached_input")                                                                      \
    F(T, usage.cache_write, U64, "cache_write")                                                                        \
    F(T, usage.cache_write_1h, U64, "cache_write_1h")                                                                  \
    F(T, usage.reasoning, U64, "reasoning")                                                                            \
    F(T, usage.audio_input, U64, "audio_input")                                                                        \
    F(T, usage.audio_output, U64, "audio_output")                                                                      \
    F(T, price, U64, "price_nanodollars")                                                                              \
    F(T, is_priced, BOOL, "priced")

#define REQUEST_FIELDS(F, T)                                                                                           \
    F(T, id, STR, "request")                                                                                           \
    F(T, wall, I64, "wall")                                                                                            \
    F(T, revision, U64, "revision")                                                                                    \
    F(T, key, STR, "key")                                                                                              \
    F(T, endpoint, WORD, "endpoint")                                                                                   \
    F(T, method, STR, "method")                                                                                        \
    F(T, path, STR, "path")                                                                                            \
    F(T, dialect, WORD, "dialect")                                                                                     \
    F(T, translated_to, WORD, "translated_to")                                                                         \
    F(T, dropped, U64, "dropped")                                                                                      \
    F(T, emulated, U64, "emulated")                                                                                    \
    F(T, changed, U64, "changed")                                                                                      \
    F(T, model, STR, "model")                                                                                          \
    F(T, model_label, STR, "route")                                                                                    \
    F(T, rule, STR, "rule")                                                                                            \
    F(T, deployment, STR, "deployment")                                                                                \
    F(T, provider, STR, "provider")                                                                                    \
    F(T, attempts, UINT, "attempts")                                                                                   \
    F(T, status, INT, "status")                                                                                        \
    F(T, error, ENUM, "error", error_word)                                                                             \
    F(T, error_text, STR, "error_text")                                                                                \
    F(T, stream, BOOL, "stream")                                                                                       \
    F(T, continued, BOOL, "continued")                                                                                 \
    F(T, total, I64, "total")                                                                                          \
    F(T, first_token, I64, "first_token")                                                                              \
    F(T, overhead, I64, "overhead")                                                                                    \
    F(T, queued, I64, "queued")                                                                                        \
    F(T, bytes_in, U64, "bytes_in")                                                                                    \
    F(T, bytes_out, U64, "bytes_out")                                                                                  \
    USAGE_FIELDS(F, T)                                                                                                 \
    F(T, is_estimated, BOOL, "estimated")                                                                              \
    F(T, decisions_left_out, U64, "decisions_left_out")
RECORD_TABLE(request, struct facts, REQUEST_FIELDS)

#define ATTEMPT_FIELDS(F, T)                                                                                           \
    F(T, request, STR, "request")                                                                                      \
    F(T, wall, I64, "wall")                                                                                            \
    F(T, revision, U64, "revision")                                                                                    \
    F(T, number, UINT, "attempt")                                                                                      \
    F(T, role, ENUM, "role", role_word)                                                                                \
    F(T, route, STR, "route")                                                                                          \
    F(T, deployment, STR, "deployment")                                                                                \
    F(T, label, STR, "label")                                                                                          \
    F(T, provider, STR, "provider")                                                                                    \
    F(T, credential, STR, "credential")                                                                                \
    F(T, cause, ENUM, "cause", cause_word)                                                                             \
    F(T, status, INT, "status")                                                                                        \
    F(T, error_text, STR, "error_text")                                                                                \
    F(T, sent, I64, "sent")                                                                                            \
    F(T, first, I64, "first")                                                                                          \
    F(T, last, I64, "last")                                                                                            \
    F(T, ended, I64, "ended")                                                                                          \
    F(T, seq_sent, U64, "seq_sent")                                                                                    \
    F(T, seq_first, U64, "seq_first")                                                                                  \
    F(T, seq_ended, U64, "seq_ended")                                                                                  \
    F(T, input_estimate, U64, "input_estimate")                                                                        \
    F(T, output_estimate, U64, "output_estimate")                                                                      \
    F(T, stream, BOOL, "stream")                                                                                       \
    F(T, reused, BOOL, "reused")                                                                                       \
    USAGE_FIELDS(F, T)                                                                                                 \
    F(T, is_final, BOOL, "final")                                                                                      \
    F(T, verb, ENUM, "then", verb_word)                                                                                \
    F(T, why, ENUM, "why", reason_word)                                                                                \
    F(T, pause, I64, "pause")                                                                                          \
    F(T, is_estimated, BOOL, "estimated")
RECORD_TABLE(attempt, struct attempt_facts, ATTEMPT_FIELDS)

#define CANDIDATE_FIELDS(F, T)                                                                                         \
    F(T, deployment, STR, "deployment")                                                                                \
    F(T, excluded, ENUM, "excluded", exclusion_word)                                                                   \
    F(T, score, FLOAT, "score")                                                                                        \
    F(T, weight, UINT, "weight")                                                                                       \
    F(T, tier, UINT, "tier")                                                                                           \
    F(T, slow_start, FLOAT, "slow_start")                                                                              \
    F(T, time_per_unit, FLOAT, "time_per_unit")                                                                        \
    F(T, time_per_token, FLOAT, "time_per_token")                                                                      \
    F(T, headroom, FLOAT, "headroom")                                                                                  \
    F(T, in_flight, U64, "in_flight")                                                                                  \
    F(T, in_flight_tokens, U64, "in_flight_tokens")                                                                    \
    F(T, cost, U64, "cost_nanodollars")                                                                                \
    F(T, waited_per_unit, FLOAT, "waited_per_unit")
RECORD_TABLE(candidate, struct decision_candidate, CANDIDATE_FIELDS)
static const struct record_type candidate_type = {.name = "candidate", RECORD_OF(candidate, struct decision_candidate)};

#define DECISION_FIELDS(F, T)                                                                                          \
    F(T, request, STR, "request")                                                                                      \
    F(T, attempt, UINT, "attempt")                                                                                     \
    F(T, revision, U64, "revision")                                                                                    \
    F(T, seq, U64, "seq")                                                                                              \
    F(T, at, I64, "at")                                                                                                \
    F(T, route, STR, "route")                                                                                          \
    F(T, rule, STR, "rule")                                                                                            \
    F(T, pool, STR, "pool")                                                                                            \
    F(T, strategy, WORD, "strategy")                                                                                   \
    F(T, unit, WORD, "unit")                                                                                           \
    F(T, why, WORD, "why")                                                                                             \
    F(T, chosen, STR, "chosen")                                                                                        \
    F(T, score, FLOAT, "score")                                                                                        \
    F(T, probability, FLOAT, "probability")                                                                            \
    F(T, draw, U64, "draw")                                                                                            \
    F(T, turn, U64, "turn")                                                                                            \
    F(T, input_tokens, U64, "input_tokens")                                                                            \
    F(T, output_tokens, U64, "output_tokens")                                                                          \
    F(T, count, U64, "count")                                                                                          \
    F(T, examined, U64, "examined")                                                                                    \
    F(T, candidates, LIST, "candidates", &candidate_type, candidate_count)                                             \
    F(T, sticky, U64, "sticky")                                                                                        \
    F(T, home, STR, "home")                                                                                            \
    F(T, home_cached, U64, "home_cached")                                                                              \
    F(T, ill_too, BOOL, "ill_too")                                                                                     \
    F(T, ns_per_nanodollar, FLOAT, "ns_per_nanodollar")
RECORD_TABLE(decision, struct decision_facts, DECISION_FIELDS)

#define ROOT_FIELDS(F, T)                                                                                              \
    F(T, root, STR, "root")                                                                                            \
    F(T, wall, I64, "wall")                                                                                            \
    F(T, pipeline, STR, "pipeline")                                                                                    \
    F(T, version, U64, "version")                                                                                      \
    F(T, source, STR, "source")                                                                                        \
    F(T, outcome, ENUM, "outcome", outcome_word)                                                                       \
    F(T, sent_at, I64, "sent_at")                                                                                      \
    F(T, took, I64, "took")                                                                                            \
    F(T, starts, UINT, "starts")                                                                                       \
    F(T, nodes, U64, "nodes")                                                                                          \
    F(T, records, U64, "records")                                                                                      \
    F(T, failed, U64, "failed")                                                                                        \
    F(T, dead, U64, "dead")                                                                                            \
    F(T, late, U64, "late")                                                                                            \
    F(T, calls, U64, "calls")                                                                                          \
    F(T, input_tokens, U64, "input")                                                                                   \
    F(T, output_tokens, U64, "output")                                                                                 \
    F(T, price, U64, "price_nanodollars")                                                                              \
    F(T, is_priced, BOOL, "priced")                                                                                    \
    F(T, trace, STR, "trace")
RECORD_TABLE(root, struct root_facts, ROOT_FIELDS)

#define TAP_FIELDS(F, T)                                                                                               \
    F(T, root, STR, "root")                                                                                            \
    F(T, wall, I64, "wall")                                                                                            \
    F(T, pipeline, STR, "pipeline")                                                                                    \
    F(T, version, U64, "version")                                                                                      \
    F(T, node, STR, "node")                                                                                            \
    F(T, shown, JSON, "shown")                                                                                         \
    F(T, error_text, STR, "error_text")                                                                                \
    F(T, trace, STR, "trace")
RECORD_TABLE(tap, struct tap_facts, TAP_FIELDS)

static const struct record_type types[] = {
    {.id = FACTS_REQUEST, .name = "request", RECORD_OF(request, struct facts)},
    {.id = FACTS_ATTEMPT, .name = "attempt", RECORD_OF(attempt, struct attempt_facts)},
    {.id = FACTS_DECISION, .name = "decision", RECORD_OF(decision, struct decision_facts)},
    {.id = FACTS_ROOT, .name = "root", RECORD_OF(root, struct root_facts)},
    {.id = FACTS_TAP, .name = "tap", RECORD_OF(tap, struct tap_facts)},
};

const struct record_type *facts_type(int id)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

const struct record_type *facts_type_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq(str_from_c(types[i].name), name))
            return &types[i];
    return NULL;
}

/* --- writing --- */

err_t facts_write(const struct facts *f, struct buf *to)
{
    size_t decided = 0;

    for (size_t i = 0; i < f->tried_count; i++) {
        for (; decided < f->decision_count && f->decisions[decided].attempt <= f->tried[i].number; decided++)
            TRY(record_write(facts_type(FACTS_DECISION), &f->decisions[decided], to));
        TRY(record_write(facts_type(FACTS_ATTEMPT), &f->tried[i], to));
    }
    for (; decided < f->decision_count; decided++)
        TRY(record_write(facts_type(FACTS_DECISION), &f->decisions[decided], to));
    return record_write(facts_type(FACTS_REQUEST), f, to);
}

/* --- reading --- */

struct str facts_next_record(struct str *records)
{
    size_t n = records->n >= 4 ? be32_get(records->p) : 0;

    if (n < 4 || n > records->n) {
        *records = STR_NONE;
        return STR_NONE;
    }
    struct str record = str_slice(*records, 0, n);
    *records = str_slice(*records, n, records->n);
    return record;
}

static bool is_of_request(int type)
{
    return type == FACTS_REQUEST || type == FACTS_ATTEMPT || type == FACTS_DECISION;
}

struct str facts_request_of(struct str record)
{
    return is_of_request(record_type_of(record)) ? record_first_text(record) : STR_NONE;
}

size_t facts_count(struct str records, struct str id)
{
    size_t count = 0;
    struct str record;

    while ((record = facts_next_record(&records)).n)
        count += record_type_of(record) == FACTS_REQUEST && str_eq(facts_request_of(record), id);
    return count;
}

/* All of an id, read in order: `open` is the request whose own record has not come yet, `last` the one that came last. */
struct gathering {
    struct facts open, last;
    struct attempt_facts *tried, *shadows; /* of all requests; room for all there are */
    struct decision_facts *decisions;
    size_t tried_count, shadow_count, decision_count;
    bool is_open, is_any;
};

/* Room for all records of the id. False: there is none. */
static bool make_room(struct gathering *g, struct str records, struct str id, struct arena *arena)
{
    size_t counts[FACTS_DECISION + 1] = {0};
    struct str record;

    while ((record = facts_next_record(&records)).n)
        if (is_of_request(record_type_of(record)) && str_eq(facts_request_of(record), id))
            counts[record_type_of(record)]++;
    g->tried = arena_zalloc(arena, (counts[FACTS_ATTEMPT] + 1) * sizeof *g->tried);
    g->shadows = arena_zalloc(arena, (counts[FACTS_ATTEMPT] + 1) * sizeof *g->shadows);
    g->decisions = arena_zalloc(arena, (counts[FACTS_DECISION] + 1) * sizeof *g->decisions);
    return counts[FACTS_REQUEST] + counts[FACTS_ATTEMPT] + counts[FACTS_DECISION] > 0;
}

/* What comes next is of another request. */
static void begin_next(struct gathering *g, struct str id)
{
    g->open =
        (struct facts){.id = id, .tried = &g->tried[g->tried_count], .decisions = &g->decisions[g->decision_count]};
    g->is_open = false;
}

static err_t gather_attempt(struct gathering *g, struct str record, struct arena *arena)
{
    struct attempt_facts *a = &g->tried[g->tried_count];

    TRY(record_read(facts_type(FACTS_ATTEMPT), record, arena, a));
    if (a->role == ROLE_SHADOW) { /* may come before its request's own record, or long after */
        g->shadows[g->shadow_count++] = *a;
        *a = (struct attempt_facts){.number = 0};
        return OK;
    }
    g->tried_count++;
    g->open.tried_count++;
    g->is_open = true;
    return OK;
}

static err_t gather_decision(struct gathering *g, struct str record, struct arena *arena)
{
    TRY(record_read(facts_type(FACTS_DECISION), record, arena, &g->decisions[g->decision_count++]));
    g->open.decision_count++;
    g->is_open = true;
    return OK;
}

/* With its own record the open one is whole. */
static err_t gather_request(struct gathering *g, struct str record, struct str id, struct arena *arena)
{
    struct facts own = {.id = id};

    TRY(record_read(facts_type(FACTS_REQUEST), record, arena, &own));
    own.tried = g->open.tried;
    own.tried_count = g->open.tried_count;
    own.decisions = g->open.decisions;
    own.decision_count = g->open.decision_count;
    if (!g->is_any || own.wall >= g->last.wall)
        g->last = own;
    g->is_any = true;
    begin_next(g, id);
    return OK;
}

static err_t gather(struct gathering *g, struct str record, struct str id, struct arena *arena)
{
    switch (record_type_of(record)) {
    case FACTS_ATTEMPT:
        return gather_attempt(g, record, arena);
    case FACTS_DECISION:
        return gather_decision(g, record, arena);
    case FACTS_REQUEST:
        return gather_request(g, record, id, arena);
    default: /* of no type that has a request */
        return OK;
    }
}

/* Shadows stand behind the attempts that the client waited for. */
static void add_shadows(const struct gathering *g, struct arena *arena, struct facts *to)
{
    struct attempt_facts *all = arena_alloc(arena, (to->tried_count + g->shadow_count + 1) * sizeof *all);
    size_t n = to->tried_count;

    if (n)
        memcpy(all, to->tried, n * sizeof *all);
    for (size_t i = 0; i < g->shadow_count; i++)
        if (g->shadows[i].wall >= to->wall)
            all[n++] = g->shadows[i];
    to->tried = all;
    to->tried_count = n;
}

err_t facts_read(struct str records, struct str id, struct arena *arena, struct facts *ret)
{
    struct gathering g = {.is_any = false};
    struct str rest = records, record;

    if (!make_room(&g, records, id, arena))
        return fail(E_NOT_FOUND, "nothing is known of a request '%.*s'", STR_ARG(id));
    begin_next(&g, id);
    while ((record = facts_next_record(&rest)).n)
        if (str_eq(facts_request_of(record), id))
            TRY(gather(&g, record, id, arena));
    *ret = g.is_open || !g.is_any ? g.open : g.last;
    if (g.shadow_count)
        add_shadows(&g, arena, ret);
    return OK;
}

err_t facts_json(struct str record, struct arena *arena, struct buf *to)
{
    union {
        struct facts request;
        struct attempt_facts attempt;
        struct decision_facts decision;
        struct root_facts root;
        struct tap_facts tap;
    } any;
    const struct record_type *t = facts_type(record_type_of(record));

    if (!t)
        return fail(E_PROTOCOL, "a record of a type that is not known");
    TRY(record_read(t, record, arena, &any));
    buf_addf(to, "{\"type\":\"%s\",", t->name);
    size_t at = to->n;
    TRY(record_json(t, &any, to));
    /* the object's own brace gives way to the type in front of it */
    memmove(to->p + at, to->p + at + 1, to->n - at - 1);
    to->n--;
    return buf_status(to);
}
