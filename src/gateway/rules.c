/*
 * rules.c - which deployments a request may go to at all: what they can do, and what data may go there.
 *
 * Two kinds of rules, both hard: they hold for targets, fallbacks and continuations alike. A deployment that is known to lack an ability that the request
 * needs, or whose context window is clearly too small, would only refuse. A deployment without a tag that is required (by key, model, rule or header)
 * must not get the data. What is required is put together once per request, so judging a candidate is a few operations on words.
 *
 * A context window is compared with an estimate, which may be too high by a third: only what is beyond it even then is left out, so that an estimate never
 * refuses what fits. What is not known of a deployment counts as there.
 */
#include "gateway/exchange.h"
#include "gateway/needs.h"

#include <stdio.h>

enum { WORDS_MAX = 200 };

/* --- what is required --- */

static void require_header(struct exchange *x)
{
    const struct overrides *o = &x->overrides;

    for (size_t i = 0; i < o->required_count; i++) {
        uint64_t bit = catalog_tag_bit(x->snapshot->catalog, o->required[i]);
        x->required |= bit;
        if (!bit)
            x->required_unknown = o->required[i];
    }
}

void rules_begin(struct exchange *x)
{
    if (x->key)
        x->required |= x->key->required;
    require_header(x);
    const struct needs *n = needs_of(x);
    x->input_tokens = n->input;
    x->output_tokens = n->output;
}

/* --- a candidate --- */

/* Tokens of the input that there are at least, if the estimate is too high. */
static uint64_t input_at_least(const struct needs *n)
{
    return n->input - n->input / 3;
}

static bool is_too_long(const struct needs *n, uint64_t context)
{
    return context && !n->several && (n->output > context || input_at_least(n) > context - n->output);
}

/* What the request needs and d is known to lack. */
static uint32_t lacking(const struct exchange *x, const struct deployment *d)
{
    return x->needs->bits & d->lacks & ~x->forgone;
}

enum exclusion candidate_rules(const struct exchange *x, const struct deployment *d)
{
    if (x->required_unknown.n || (x->required & ~d->tag_bits))
        return EXCLUDED_DATA;
    if (lacking(x, d) || is_too_long(x->needs, d->context_tokens))
        return EXCLUDED_CAPABILITY;
    return EXCLUDED_NOT;
}

bool rules_say_too_long(const struct exchange *x, const struct deployment *d)
{
    return is_too_long(x->needs, d->context_tokens);
}

enum exclusion rules_of_provider(const struct exchange *x, const struct provider *p)
{
    return x->required_unknown.n || (x->required & ~p->tag_bits) ? EXCLUDED_DATA : EXCLUDED_NOT;
}

/* --- refusals --- */

/* A tag that is required and that d does not have. */
static struct str missing_tag(const struct exchange *x, const struct deployment *d)
{
    uint64_t missing = x->required & ~d->tag_bits;

    if (x->required_unknown.n || !missing)
        return x->required_unknown;
    return x->snapshot->catalog->tags[__builtin_ctzll(missing)];
}

/* Who requires it. */
static const char *required_by(const struct exchange *x, struct str tag)
{
    uint64_t bit = catalog_tag_bit(x->snapshot->catalog, tag);

    if (x->key && (x->key->required & bit))
        return "this key";
    if (x->model && (x->model->required & bit))
        return "the model";
    if (x->by_rule && (x->by_rule->required & bit))
        return "a route";
    return "the header x-crossdock-require";
}

static err_t refuse_data(const struct exchange *x, struct str name, const struct deployment *d)
{
    struct str tag = missing_tag(x, d);

    return fail(E_FORBIDDEN,
                "The model '%.*s' cannot take this request: %s requires the tag '%.*s', and none of its deployments "
                "has all that is required. Ask for another model, or ask the operator to tag a deployment.",
                STR_ARG(name), required_by(x, tag), STR_ARG(tag));
}

/* "tools, vision" */
static void name_needs(uint32_t bits, char to[WORDS_MAX])
{
    size_t at = 0;

    to[0] = '\0';
    for (unsigned i = 0; i < NEED_COUNT; i++)
        if (bits >> i & 1)
            at += (size_t)snprintf(to + at, WORDS_MAX - at, "%s%s", at ? ", " : "", need_name(1U << i));
}

static err_t refuse_capability(const struct exchange *x, struct str name, const struct deployment *d)
{
    const struct needs *n = x->needs;
    char words[WORDS_MAX];

    if (!lacking(x, d))
        return fail(E_UNSUPPORTED,
                    "The model '%.*s' cannot take this request: it has about %llu tokens%s, and the context window "
                    "of %.*s has %llu. Shorten it, or ask for a model with a longer context.",
                    STR_ARG(name), (unsigned long long)(n->input + n->output),
                    n->output ? ", the answer's limit included" : "", STR_ARG(d->name),
                    (unsigned long long)d->context_tokens);
    name_needs(lacking(x, d), words);
    return fail(E_UNSUPPORTED,
                "The model '%.*s' cannot take this request: it needs %s, which %.*s does not have. Ask for a model "
                "that has it, or leave it out.",
                STR_ARG(name), words, STR_ARG(d->name));
}

err_t rules_refuse(const struct exchange *x, struct str name, const struct deployment *d)
{
    return candidate_rules(x, d) == EXCLUDED_DATA ? refuse_data(x, name, d) : refuse_capability(x, name, d);
}
