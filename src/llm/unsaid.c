/* unsaid.c - what is left unsaid to a provider. */
#include "llm/unsaid.h"

#define NO_FIELD "the provider has no such field"

void unsaid_number(struct losses *l, const struct number *n, double harmless)
{
    double value;

    if (n->text.n && !(json_to_double(n->text, &value) && value == harmless))
        loss_drop(l, n->from, NO_FIELD);
}

void unsaid_any_number(struct losses *l, const struct number *n)
{
    if (n->text.n)
        loss_drop(l, n->from, NO_FIELD);
}

void unsaid_setting(struct losses *l, const struct setting *s)
{
    if (s->text.p)
        loss_drop(l, s->from, NO_FIELD);
}

void unsaid_flag(struct losses *l, const struct flag *f, enum truth harmless)
{
    if (f->is != UNSET && f->is != harmless)
        loss_drop(l, f->from, NO_FIELD);
}

void unsaid_extras(struct losses *l, const struct extra *extras)
{
    for (const struct extra *x = extras; x; x = x->next)
        loss_drop(l, x->from, NO_FIELD);
}

void unsaid_of_openai(struct losses *l, const struct chat_request *q)
{
    const struct number *numbers[] = {&q->min_p, &q->typical_p, &q->seed, &q->top_logprobs};
    const struct setting *settings[] = {&q->verbosity,  &q->cache_key,  &q->audio,
                                        &q->prediction, &q->logit_bias, &q->suffix};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        unsaid_any_number(l, numbers[i]);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        unsaid_setting(l, settings[i]);
    unsaid_number(l, &q->repetition_penalty, 1);
    unsaid_number(l, &q->presence_penalty, 0);
    unsaid_number(l, &q->frequency_penalty, 0);
    unsaid_number(l, &q->n, 1);
    unsaid_flag(l, &q->logprobs, NO);
    unsaid_flag(l, &q->store, NO);
    if (q->modalities.text.p && !str_eq(q->modalities.text, STR("[\"text\"]")))
        unsaid_setting(l, &q->modalities);
}

void extra_put(struct json_out *o, const struct extra *x)
{
    json_key_raw(o, x->key);
    json_put_raw(o, x->raw);
}

void extras_put(struct json_out *o, const struct extra *extras, bool own, struct losses *l)
{
    for (const struct extra *x = extras; x; x = x->next) {
        if (own && !x->nested)
            extra_put(o, x);
        else
            loss_drop(l, x->from, NO_FIELD);
    }
}
