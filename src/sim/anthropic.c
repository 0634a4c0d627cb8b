/*
 * anthropic.c - how the simulated Claude answers: reads a request, makes the answer, counts what was cached.
 *
 * Prompt caching: the longest prefix of the prompt that ends at a block with cache_control, or at one of the twenty blocks before that,
 * and that this provider has cached for the model, is read from the cache; what lies between it and the last cache_control is
 * written. Any prefix is long enough to be cached.
 */
#include "sim/anthropic.h"

#include "rt/loop.h"
#include "sim/hash.h"
#include "sim/prefix_cache.h"
#include "sim/signature.h"

enum { SIGNATURE_TEXT_MAX = 128 };

static const ns_t MINUTE = 60 * NS_SEC;

/* --- caching --- */

static uint64_t prefix_of(const struct anthropic_request *req, const struct cache_cut *cut)
{
    return sim_hash_u64(sim_hash(0, req->q.model), cut->hash);
}

static size_t cached_tokens(const struct prefix_cache *c, const struct anthropic_request *req, ns_t now)
{
    size_t best = 0;

    for (size_t i = 0; i < req->point_count; i++)
        for (size_t k = 0; k < req->points[i].count; k++) {
            const struct cache_cut *cut = &req->points[i].cuts[k];
            if (cut->tokens > best && prefix_cache_has(c, prefix_of(req, cut), now))
                best = cut->tokens;
        }
    return best;
}

static void count_input(struct sim_turn *t, const struct anthropic_request *req, struct anthropic_usage *ret)
{
    struct prefix_cache *c = turn_prefixes(t);
    ns_t now = rt_now();
    size_t known = cached_tokens(c, req, now);

    ret->cache_read = known;
    for (size_t i = 0; i < req->point_count; i++) {
        const struct cache_point *p = &req->points[i];
        const struct cache_cut *cut = &p->cuts[p->count - 1];
        prefix_cache_put(c, prefix_of(req, cut), ns_add(now, p->hour ? 60 * MINUTE : 5 * MINUTE));
        if (cut->tokens <= known)
            continue;
        *(p->hour ? &ret->write_1h : &ret->write_5m) += cut->tokens - known;
        known = cut->tokens;
    }
    ret->input = req->q.prompt_tokens - known;
}

/* --- the answer --- */

static struct str stop_reason(const struct anthropic_request *req, const struct sim_choice *c)
{
    if (req->declines)
        return STR("refusal");
    if (c->finish == SIM_LENGTH)
        return STR("max_tokens");
    if (c->call_count > 0)
        return STR("tool_use");
    return c->stop.p ? STR("stop_sequence") : STR("end_turn");
}

static void add_thoughts(struct sim_turn *t, struct anthropic_answer *m)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIGNATURE_TEXT_MAX);

    m->thoughts = m->request->hides ? STR("") : m->choice->thoughts;
    sim_sign(STR("anthropic"), t->mark.unique, m->request->redacts ? STR("redacted") : m->thoughts, &text);
    m->signature = arena_str(t->a, buf_str(&text));
}

static err_t make_answer(struct sim_turn *t, struct anthropic_request *req, struct anthropic_answer *m)
{
    struct sim_answer *answer = arena_new(t->a, struct sim_answer);

    if (sim_answer_make(t->a, &req->q, t->seed, t->plan.length, answer) != OK)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "tools: the JSON Schema is not supported: %s",
                      err_detail(E_TOO_LARGE));
    *m = (struct anthropic_answer){.request = req, .choice = &answer->choices[0], .mark = t->mark};
    if (req->declines) {
        m->choice = arena_new(t->a, struct sim_choice);
        m->stop_reason = STR("refusal");
    } else {
        m->stop_reason = stop_reason(req, m->choice);
        m->usage.output = answer->tokens;
        m->usage.thinking = answer->reasoning_tokens;
        if (req->thinks && answer->reasoning_tokens > 0)
            add_thoughts(t, m);
    }
    count_input(t, req, &m->usage);
    turn_count_prompt(t, req->q.prompt_tokens);
    return OK;
}

err_t anthropic_begin(struct sim_turn *t, struct str body, const struct anthropic_host *host,
                      const struct anthropic_answer **ret_answer, bool *ret_over)
{
    struct anthropic_request *req = arena_new(t->a, struct anthropic_request);
    struct anthropic_answer *m = arena_new(t->a, struct anthropic_answer);

    TRY(anthropic_read(t->a, body, host, http_request_header(t->r, STR("anthropic-version")), req, &t->refusal));
    question_settle(&req->q);
    TRY(turn_begin(t, req->q.model, req->q.hash, ret_over));
    if (*ret_over)
        return OK;
    TRY(make_answer(t, req, m));
    *ret_answer = m;
    return OK;
}
