/*
 * pricing.c - what an attempt has cost, and what a request is expected to cost at a deployment.
 *
 * Prices are the deployment's (fleet/config_deployments.c); of a deployment that stands for all models of its provider they are the book's, by
 * the model that is meant. What cannot be known is said to be so: it is never taken for free. Of an attempt that we cut short, the input is priced as it
 * was estimated, and that is said, too.
 *
 * Does not: know which service tier a provider has really given; what was asked for is what is priced.
 */
#include "fleet/model_book.h"
#include "gateway/exchange.h"

enum {
    BYTES_PER_TOKEN = 4, /* of a request's body, as long as nobody has estimated better */
    OUTPUT_GUESS = 256,  /* tokens of an answer of which nothing is known               */
    MILLION = 1000000,
};

typedef unsigned __int128 wide;

static bool is_star(const struct deployment *d)
{
    return str_eq(d->model, STR("*"));
}

/* NULL: not known. */
static const struct price *price_at(const struct deployment *d, struct str model)
{
    if (!d || d->price || !is_star(d))
        return d ? d->price : NULL;
    const struct model_facts *facts = model_book_find(d->provider->vendor, model);
    return facts ? facts->price : NULL;
}

static enum price_service service_of(const struct exchange *x)
{
    if (str_eq(x->request.service_tier, STR("flex")))
        return PRICE_FLEX;
    return str_eq(x->request.service_tier, STR("priority")) ? PRICE_PRIORITY : PRICE_STANDARD;
}

/* Of the request, as far as anybody knows. */
static uint64_t input_guess(const struct exchange *x)
{
    return x->input_tokens ? x->input_tokens : x->request.doc.n / BYTES_PER_TOKEN;
}

struct roster_request expected_request(const struct exchange *x)
{
    return (struct roster_request){.input = input_guess(x),
                                   .output = x->output_tokens ? x->output_tokens : OUTPUT_GUESS,
                                   .service = service_of(x)};
}

/* The book's price as the configuration changes it for all models of the provider. */
static uint64_t cost_by_terms(const struct price *price, const struct price_terms *terms,
                              const struct price_tokens *tokens, enum price_service service)
{
    struct price p = *price;

    for (unsigned i = 0; i < PRICE_SERVICES; i++) {
        p.permille[i] = terms->permille[i] ? terms->permille[i] : p.permille[i];
        p.cached_permille[i] = terms->cached_permille[i] ? terms->cached_permille[i] : p.cached_permille[i];
    }
    wide cost = (wide)price_of(&p, tokens, service) * terms->millionths;
    return cost > (wide)(UINT64_MAX - 1) * MILLION ? UINT64_MAX : (uint64_t)((cost + MILLION - 1) / MILLION);
}

static uint64_t cost_of(const struct exchange *x, const struct deployment *d, const struct price *price,
                        const struct price_tokens *tokens)
{
    enum price_service service = service_of(x);

    return d->book_terms ? cost_by_terms(price, d->book_terms, tokens, service) : price_of(price, tokens, service);
}

uint64_t expected_cost(const struct exchange *x, const struct deployment *d, struct str model)
{
    const struct price *price = price_at(d, model);
    struct roster_request q = expected_request(x);
    struct price_tokens tokens = {.input = q.input, .output = q.output};

    return price ? cost_of(x, d, price, &tokens) : UINT64_MAX;
}

static bool was_not_worked_at(const struct attempt *a)
{
    bool unsent = a->cause == CAUSE_SUPERSEDED && !a->times.sent_any;

    return unsent || !cause_meaning(a->cause)->may_have_run;
}

/* Cut short by us, because the other of two attempts was first: it has read its input, which is billed, and told nothing. */
static bool is_cut_short(const struct attempt *a)
{
    return a->cause == CAUSE_SUPERSEDED && a->times.sent_any && !a->usage.known;
}

void price_attempt(struct exchange *x, const struct attempt *a, struct attempt_facts *f)
{
    const struct deployment *d = x->chosen->deployment;
    const struct price *price = price_at(d, x->chosen->model);
    const struct usage *u = &a->usage;
    struct price_tokens tokens = {.input = u->input,
                                  .output = u->output,
                                  .cached_input = u->cached_input,
                                  .cache_write = u->cache_write,
                                  .cache_write_1h = u->cache_write_1h,
                                  .audio_input = u->audio_input,
                                  .reasoning = u->reasoning,
                                  .audio_output = u->audio_output};

    f->price = 0;
    f->is_estimated = price && price->step_count && is_cut_short(a);
    if (f->is_estimated)
        tokens.input = input_guess(x);
    if (!u->known && was_not_worked_at(a))
        f->is_priced = true; /* nothing was done, so nothing is billed */
    else
        f->is_priced = price && (u->known || f->is_estimated || price->step_count == 0);
    if (f->is_priced && (u->known || f->is_estimated))
        f->price = cost_of(x, d, price, &tokens);
    x->facts.price += f->price;
    x->facts.is_priced = x->facts.is_priced && f->is_priced;
    x->facts.is_estimated |= f->is_estimated;
}
