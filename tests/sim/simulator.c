/*
 * simulator.c - the provider's own functions, called once more by themselves: no request, no dialect, no network.
 */
#include "sim/simulator.h"

#include "base/mem.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "sim/answer.h"
#include "sim/embeddings.h"
#include "sim/hash.h"
#include "sim/plan.h"
#include "sim/sim_provider.h"
#include "sim/stats.h"

struct simulator {
    struct scenario *behaviours;
    struct sim_provider *provider;
    uint64_t seed; /* as the provider mixes it */
    unsigned cancelled;
    ns_t cancelled_at;
};

err_t simulator_new(struct str behaviours, uint64_t seed, struct simulator **ret)
{
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct scenario *parsed;

    arena_init(&arena, 1 << 20);
    TRY(scenario_parse(behaviours, "world", &problems, &parsed));
    struct simulator *s = NEW(struct simulator);
    *s = (struct simulator){
        .behaviours = parsed, .provider = sim_provider_new(parsed, seed), .seed = sim_hash_u64(seed, 0)};
    *ret = s;
    return OK;
}

void simulator_free(struct simulator *s)
{
    if (!s)
        return;
    sim_provider_free(s->provider);
    scenario_free(s->behaviours);
    mem_free(s);
}

err_t simulator_handle(struct http_request *r, void *ctx)
{
    struct simulator *s = ctx;
    err_t e = sim_provider_handle(r, s->provider);

    if (fiber_is_cancelled()) {
        s->cancelled++;
        s->cancelled_at = rt_now();
    }
    return e;
}

static void add_counts(void *ctx, struct str name, const struct sim_counts *c)
{
    struct simulator_tally *t = ctx;

    (void)name;
    t->requests += c->requests;
    t->running += c->running;
    t->refused += c->refused;
    t->completed += c->completed;
}

struct simulator_tally simulator_tally(const struct simulator *s)
{
    struct simulator_tally t = {.cancelled = s->cancelled, .cancelled_at = s->cancelled_at};

    sim_provider_visit(s->provider, add_counts, &t);
    return t;
}

err_t simulator_truth(const struct simulator *s, struct str model, const struct said *said, size_t count,
                      bool with_thoughts, unsigned choices, unsigned choice, struct arena *arena, struct str *ret)
{
    struct question q;
    struct sim_answer answer;
    struct sim_plan plan;

    question_init(&q);
    q.model = model;
    q.n = choices;
    for (size_t i = 0; i < count; i++) {
        question_add_role(&q, str_from_c(said[i].role));
        question_add_text(&q, said[i].text);
        if (with_thoughts)
            question_add_text(&q, STR(""));
        q.asked = said[i].text;
    }
    struct sim_occasion at = {.seed = s->seed, .question = q.hash, .nth = 1};
    sim_plan_make(scenario_model(s->behaviours, model), &at, NULL, &plan);
    TRY(sim_answer_make(arena, &q, s->seed, plan.length, &answer));
    *ret = answer.choices[choice].text;
    return OK;
}

void simulator_vector(const struct simulator *s, struct str model, struct str text, size_t dimensions, struct buf *to)
{
    int32_t *vector = mem_zalloc(dimensions, sizeof *vector);

    sim_embed(text, model.n ? sim_hash(s->seed, model) : s->seed, vector, dimensions);
    sim_embedding_write(vector, dimensions, to);
    mem_free(vector);
}
