/* models.c - GET /models and /models/{id}: the models that the scenario names. A scenario with "*" has every model, but lists only these. */
#include "sim/sim_provider.h"
#include "sim/turn.h"

/* When the simulated models were made: 2026-01-01. */
static const int64_t MODELS_CREATED = 1767225600;

static void write_model(struct str name, struct buf *to)
{
    buf_add_lit(to, "{\"id\":\"");
    buf_add_json(to, name);
    buf_addf(to, "\",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"crossdock-sim\"}", (long long)MODELS_CREATED);
}

err_t models_list_endpoint(struct sim_turn *t)
{
    const char *joint = "";

    buf_add_lit(t->room, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < t->scenario->model_count; i++) {
        if (&t->scenario->models[i] == t->scenario->any)
            continue;
        buf_add(t->room, str_from_c(joint));
        write_model(t->scenario->models[i].name, t->room);
        joint = ",";
    }
    buf_add_lit(t->room, "]}");
    return turn_reply_json(t, 200);
}

err_t models_get_endpoint(struct sim_turn *t)
{
    if (!scenario_model(t->scenario, t->id))
        return refuse_status(t->a, &t->refusal, 404, "model_not_found",
                             "The model '%.*s' does not exist or you do not have access to it.", STR_ARG(t->id));
    write_model(t->id, t->room);
    return turn_reply_json(t, 200);
}

err_t stats_endpoint(struct sim_turn *t)
{
    TRY(sim_provider_stats(t->provider, t->room));
    return turn_reply_json(t, 200);
}
