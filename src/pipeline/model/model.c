/* model.c - a question to the gateway of the shard's loop, and the note of what came of it. */
#include "pipeline/model/model.h"

#include "codec/json_out.h"
#include "pipeline/run/meter.h"

enum { ANSWER_MAX = 32 << 20, NOTE_MAX = 4096 };

struct str model_route(const struct step *s)
{
    const struct model_node *c = s->node->config;

    return s->is_degraded ? c->degrade.text : c->route.text;
}

err_t model_ask(struct step *s, struct str path, struct str body, struct model_bill *bill, struct inner_answer *ret)
{
    return model_ask_aloud(s, &(struct inner_question){.path = path, .body = body}, bill, ret);
}

err_t model_ask_aloud(struct step *s, const struct inner_question *question, struct model_bill *bill,
                      struct inner_answer *ret)
{
    const struct model_node *c = s->node->config;
    struct gateway *gateway = step_gateway(s);

    if (!gateway)
        return fail(E_CONFIG,
                    "no gateway runs here that could be asked for \"%.*s\": name the configuration that has the model, "
                    "instead of the pipeline's file",
                    STR_ARG(model_route(s)));
    struct inner_question q = *question;
    q.id = step_id_text(s);
    q.traceparent = step_traceparent(s);
    q.key = c->key.text;
    q.answer_max = ANSWER_MAX;
    TRY(gateway_ask(gateway, &q, step_arena(s), ret));
    bill->asked++;
    bill->attempts += ret->attempts;
    bill->input += ret->usage.input;
    bill->output += ret->usage.output;
    bill->price += ret->price;
    bill->is_unpriced |= !ret->is_priced;
    meter_paid(s, &(struct meter_bill){.input_tokens = ret->usage.input,
                                       .output_tokens = ret->usage.output,
                                       .nano_usd = ret->price,
                                       .is_unpriced = !ret->is_priced});
    return inner_check(ret);
}

static void put_text(struct json_out *o, struct str key, struct str text)
{
    if (text.n)
        json_member_str(o, key, text);
}

static void put_number(struct json_out *o, struct str key, uint64_t n)
{
    json_key(o, key);
    json_put_u64(o, n);
}

err_t model_note(struct step *s, const struct inner_answer *a, const struct model_bill *bill, size_t share)
{
    const struct model_node *c = s->node->config;
    struct buf text CLEANUP(buf_release) = BUF_INIT(NOTE_MAX);
    struct json_out o = json_out_to(&text);

    json_open(&o, '{');
    put_text(&o, STR("route"), model_route(s));
    put_text(&o, STR("provider"), a->provider);
    put_text(&o, STR("deployment"), a->deployment);
    put_text(&o, STR("request"), a->id);
    put_text(&o, STR("prompt"), c->prompt_hash);
    put_text(&o, STR("schema"), c->schema_hash);
    put_number(&o, STR("asked"), bill->asked);
    put_number(&o, STR("attempts"), bill->attempts);
    put_number(&o, STR("repairs"), bill->repairs);
    put_number(&o, STR("records"), share);
    put_number(&o, STR("input_tokens"), bill->input / share);
    put_number(&o, STR("output_tokens"), bill->output / share);
    if (!bill->is_unpriced)
        put_number(&o, STR("nano_usd"), bill->price / share);
    json_close(&o, '}');
    TRY(buf_status(&text));
    step_note(s, arena_str(step_arena(s), buf_str(&text)));
    return OK;
}
