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

static const char *error_word(int e)
{
    return e == OK ? "" : e > 0 && e < ERR_COUNT ? err_name((err_t)e) : "?";
}

/* --- tables --- */

#define ENUM_FIELD(type, member, name_of, json_name)                                                                   \
    {.name = (json_name), .kind = RECORD_ENUM, .offset = offsetof(type, member), .word = (name_of)}

#define USAGE_FIELDS(type)                                                                                             \
    RECORD_FIELD(type, usage.known, RECORD_BOOL, "usage_known"), RECORD_FIELD(type, usage.input, RECORD_U64, "input"), \
        RECORD_FIELD(type, usage.output, RECORD_U64, "output"),                                                        \
        RECORD_FIELD(type, usage.cached_input, RECORD_U64, "cached_input"),                                            \
        RECORD_FIELD(type, usage.cache_write, RECORD_U64, "cache_write"),                                              \
        RECORD_FIELD(type, usage.cache_write_1h, RECORD_U64, "cache_write_1h"),                                        \
        RECORD_FIELD(type, usage.reasoning, RECORD_U64, "reasoning"),                                                  \
        RECORD_FIELD(type, usage.audio_input, RECORD_U64, "audio_input"),                                              \
        RECORD_FIELD(type, usage.audio_output, RECORD_U64, "audio_output"),                                            \
        RECORD_FIELD(type, price, RECORD_U64, "price_nanodollars"),                                                    \
        RECORD_FIELD(type, is_priced, RECORD_BOOL, "priced")

static const struct record_field request_fields[] = {
    RECORD_FIELD(struct facts, id, RECORD_STR, "request"),
    RECORD_FIELD(struct facts, wall, RECORD_I64, "wall"),
    RECORD_FIELD(struct facts, revision, RECORD_U64, "revision"),
    RECORD_FIELD(struct facts, key, RECORD_STR, "key"),
    RECORD_FIELD(struct facts, endpoint, RECORD_WORD, "endpoint"),
    RECORD_FIELD(struct facts, method, RECORD_STR, "method"),
    RECORD_FIELD(struct facts, path, RECORD_STR, "path"),
    RECORD_FIELD(struct facts, dialect, RECORD_WORD, "dialect"),
    RECORD_FIELD(struct facts, translated_to, RECORD_WORD, "translated_to"),
    RECORD_FIELD(struct facts, dropped, RECORD_U64, "dropped"),
    RECORD_FIELD(struct facts, emulated, RECORD_U64, "emulated"),
    RECORD_FIELD(struct facts, changed, RECORD_U64, "changed"),
    RECORD_FIELD(struct facts, model, RECORD_STR, "model"),
    RECORD_FIELD(struct facts, model_label, RECORD_STR, "route"),
    RECORD_FIELD(struct facts, rule, RECORD_STR, "rule"),
    RECORD_FIELD(struct facts, deployment, RECORD_STR, "deployment"),
    RECORD_FIELD(struct facts, provider, RECORD_STR, "provider"),
    RECORD_FIELD(struct facts, attempts, RECORD_UINT, "attempts"),
    RECORD_FIELD(struct facts, status, RECORD_INT, "status"),
    ENUM_FIELD(struct facts, error, error_word, "error"),
    RECORD_FIELD(struct facts, error_text, RECORD_STR, "error_text"),
    RECORD_FIELD(struct facts, stream, RECORD_BOOL, "stream"),
    RECORD_FIELD(struct facts, continued, RECORD_BOOL, "continued"),
    RECORD_FIELD(struct facts, total, RECORD_I64, "total"),
    RECORD_FIELD(struct facts, first_token, RECORD_I64, "first_token"),
    RECORD_FIELD(struct facts, overhead, RECORD_I64, "overhead"),
    RECORD_FIELD(struct facts, queued, RECORD_I64, "queued"),
    RECORD_FIELD(struct facts, bytes_in, RECORD_U64, "bytes_in"),
    RECORD_FIELD(struct facts, bytes_out, RECORD_U64, "bytes_out"),
    USAGE_FIELDS(struct facts),
    RECORD_FIELD(struct facts, is_estimated, RECORD_BOOL, "estimated"),
    RECORD_FIELD(struct facts, decisions_left_out, RECORD_U64, "decisions_left_out"),
};

static const struct record_field attempt_fields[] = {
    RECORD_FIELD(struct attempt_facts, request, RECORD_STR, "request"),
    RECORD_FIELD(struct attempt_facts, wall, RECORD_I64, "wall"),
    RECORD_FIELD(struct attempt_facts, revision, RECORD_U64, "revision"),
    RECORD_FIELD(struct attempt_facts, number, RECORD_UINT, "attempt"),
    ENUM_FIELD(struct attempt_facts, role, role_word, "role"),
    RECORD_FIELD(struct attempt_facts, route, RECORD_STR, "route"),
    RECORD_FIELD(struct attempt_facts, deployment, RECORD_STR, "deployment"),
    RECORD_FIELD(struct attempt_facts, label, RECORD_STR, "label"),
    RECORD_FIELD(struct attempt_facts, provider, RECORD_STR, "provider"),
    RECORD_FIELD(struct attempt_facts, credential, RECORD_STR, "credential"),
    ENUM_FIELD(struct attempt_facts, cause, cause_word, "cause"),
    RECORD_FIELD(struct attempt_facts, status, RECORD_INT, "status"),
    RECORD_FIELD(struct attempt_facts, error_text, RECORD_STR, "error_text"),
    RECORD_FIELD(struct attempt_facts, sent, RECORD_I64, "sent"),
    RECORD_FIELD(struct attempt_facts, first, RECORD_I64, "first"),
    RECORD_FIELD(struct attempt_facts, last, RECORD_I64, "last"),
    RECORD_FIELD(struct attempt_facts, ended, RECORD_I64, "ended"),
    RECORD_FIELD(struct attempt_facts, seq_sent, RECORD_U64, "seq_sent"),
    RECORD_FIELD(struct attempt_facts, seq_first, RECORD_U64, "seq_first"),
    RECORD_FIELD(struct attempt_facts, seq_ended, RECORD_U64, "seq_ended"),
    RECORD_FIELD(struct attempt_facts, input_estimate, RECORD_U64, "input_estimate"),
    RECORD_FIELD(struct attempt_facts, output_estimate, RECORD_U64, "output_estimate"),
    RECORD_FIELD(struct attempt_facts, stream, RECORD_BOOL, "stream"),
    RECORD_FIELD(struct attempt_facts, reused, RECORD_BOOL, "reused"),
    USAGE_FIELDS(struct attempt_facts),
    RECORD_FIELD(struct attempt_facts, is_final, RECORD_BOOL, "final"),
    ENUM_FIELD(struct attempt_facts, verb, verb_word, "then"),
    ENUM_FIELD(struct attempt_facts, why, reason_word, "why"),
    RECORD_FIELD(struct attempt_facts, pause, RECORD_I64, "pause"),
    RECORD_FIELD(struct attempt_facts, is_estimated, RECORD_BOOL, "estimated"),
};

static const struct record_field candidate_fields[] = {
    RECORD_FIELD(struct decision_candidate, deployment, RECORD_STR, "deployment"),
    ENUM_FIELD(struct decision_candidate, excluded, exclusion_word, "excluded"),
    RECORD_FIELD(struct decision_candidate, score, RECORD_FLOAT, "score"),
    RECORD_FIELD(struct decision_candidate, weight, RECORD_UINT, "weight"),
    RECORD_FIELD(struct decision_candidate, tier, RECORD_UINT, "tier"),
    RECORD_FIELD(struct decision_candidate, slow_start, RECORD_FLOAT, "slow_start"),
    RECORD_FIELD(struct decision_candidate, time_per_unit, RECORD_FLOAT, "time_per_unit"),
    RECORD_FIELD(struct decision_candidate, time_per_token, RECORD_FLOAT, "time_per_token"),
    RECORD_FIELD(struct decision_candidate, headroom, RECORD_FLOAT, "headroom"),
    RECORD_FIELD(struct decision_candidate, in_flight, RECORD_U64, "in_flight"),
    RECORD_FIELD(struct decision_candidate, in_flight_tokens, RECORD_U64, "in_flight_tokens"),
    RECORD_FIELD(struct decision_candidate, cost, RECORD_U64, "cost_nanodollars"),
    RECORD_FIELD(struct decision_candidate, waited_per_unit, RECORD_FLOAT, "waited_per_unit"),
};
static const struct record_type candidate_type = {.name = "candidate",
                                                  .fields = candidate_fields,
                                                  .field_count = ARRAY_LEN(candidate_fields),
                                                  .size = sizeof(struct decision_candidate)};

static const struct record_field decision_fields[] = {
    RECORD_FIELD(struct decision_facts, request, RECORD_STR, "request"),
    RECORD_FIELD(struct decision_facts, attempt, RECORD_UINT, "attempt"),
    RECORD_FIELD(struct decision_facts, revision, RECORD_U64, "revision"),
    RECORD_FIELD(struct decision_facts, seq, RECORD_U64, "seq"),
    RECORD_FIELD(struct decision_facts, at, RECORD_I64, "at"),
    RECORD_FIELD(struct decision_facts, route, RECORD_STR, "route"),
    RECORD_FIELD(struct decision_facts, rule, RECORD_STR, "rule"),
    RECORD_FIELD(struct decision_facts, pool, RECORD_STR, "pool"),
    RECORD_FIELD(struct decision_facts, strategy, RECORD_WORD, "strategy"),
    RECORD_FIELD(struct decision_facts, unit, RECORD_WORD, "unit"),
    RECORD_FIELD(struct decision_facts, why, RECORD_WORD, "why"),
    RECORD_FIELD(struct decision_facts, chosen, RECORD_STR, "chosen"),
    RECORD_FIELD(struct decision_facts, score, RECORD_FLOAT, "score"),
    RECORD_FIELD(struct decision_facts, probability, RECORD_FLOAT, "probability"),
    RECORD_FIELD(struct decision_facts, draw, RECORD_U64, "draw"),
    RECORD_FIELD(struct decision_facts, turn, RECORD_U64, "turn"),
    RECORD_FIELD(struct decision_facts, input_tokens, RECORD_U64, "input_tokens"),
    RECORD_FIELD(struct decision_facts, output_tokens, RECORD_U64, "output_tokens"),
    RECORD_FIELD(struct decision_facts, count, RECORD_U64, "count"),
    RECORD_FIELD(struct decision_facts, examined, RECORD_U64, "examined"),
    {.name = "candidates",
     .kind = RECORD_LIST,
     .offset = offsetof(struct decision_facts, candidates),
     .items = &candidate_type,
     .count_offset = offsetof(struct decision_facts, candidate_count)},
    RECORD_FIELD(struct decision_facts, sticky, RECORD_U64, "sticky"),
    RECORD_FIELD(struct decision_facts, home, RECORD_STR, "home"),
    RECORD_FIELD(struct decision_facts, home_cached, RECORD_U64, "home_cached"),
    RECORD_FIELD(struct decision_facts, ill_too, RECORD_BOOL, "ill_too"),
    RECORD_FIELD(struct decision_facts, ns_per_nanodollar, RECORD_FLOAT, "ns_per_nanodollar"),
};

static const struct record_type types[] = {
    {.id = FACTS_REQUEST,
     .name = "request",
     .fields = request_fields,
     .field_count = ARRAY_LEN(request_fields),
     .size = sizeof(struct facts)},
    {.id = FACTS_ATTEMPT,
     .name = "attempt",
     .fields = attempt_fields,
     .field_count = ARRAY_LEN(attempt_fields),
     .size = sizeof(struct attempt_facts)},
    {.id = FACTS_DECISION,
     .name = "decision",
     .fields = decision_fields,
     .field_count = ARRAY_LEN(decision_fields),
     .size = sizeof(struct decision_facts)},
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

struct str facts_request_of(struct str record)
{
    return facts_type(record_type_of(record)) ? record_first_text(record) : STR_NONE;
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
        if (str_eq(facts_request_of(record), id))
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
