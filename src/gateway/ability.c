/*
 * ability.c - what a provider can be asked for, and in which dialect.
 *
 * A provider that cannot be asked for an operation at all is no candidate (route.c): asking it would only bring a refusal that another target
 * might have spared the client. What a provider may or may not offer, as its server has it, it says itself, with a status that is judged.
 */
#include "gateway/resume.h"
#include "llm/signature.h"

/* Can a request for this be said in the dialect? */
static bool can_say(const struct dialect *d, enum operation operation)
{
    switch (operation) {
    case OP_CHAT:
        return d->provider.write_chat;
    case OP_EMBED:
        return d->provider.write_embed;
    case OP_RERANK:
        return d->provider.write_rerank;
    case OP_COUNT_TOKENS: /* or it is estimated */
        return d->provider.write_count;
    case OP_TOKENIZE:
    case OP_MODELS:
    case OP_MODEL:
    case OP_STATIC:
    case OP_PASS:
        break;
    }
    return false;
}

/* Can it be read from a client of this dialect? */
static bool can_read(const struct dialect *d, enum operation operation)
{
    if (operation == OP_EMBED)
        return d->client.read_embed;
    if (operation == OP_RERANK)
        return d->client.read_rerank;
    return d->client.read_chat;
}

static bool offers(const struct provider *p, enum operation operation)
{
    return !p->vendor->offers || (p->vendor->offers & 1u << operation);
}

/* The provider's main dialect, or the first of its others that has what is asked for (vLLM ranks in Jina's form). NULL: none has. */
static const struct dialect *dialect_for(const struct provider *p, enum operation operation)
{
    if (!offers(p, operation))
        return NULL;
    if (can_say(p->dialect, operation))
        return p->dialect;
    for (const char *const *name = p->vendor->also; name && *name; name++) {
        const struct dialect *d = dialect_find(str_from_c(*name));
        if (d && can_say(d, operation))
            return d;
    }
    return NULL;
}

/* Does the client speak its dialect as its providers hear it? */
static bool is_native(const struct exchange *x)
{
    const struct client_side *c = &x->endpoint.dialect->client;

    return !c->is_native || c->is_native(x->endpoint.row, http_head_get(&x->r->head, HDR_USER_AGENT));
}

/* What the gateway knows itself, whoever may be asked for it first. */
static bool is_answered_here(enum operation operation)
{
    return operation == OP_MODELS || operation == OP_MODEL || operation == OP_STATIC;
}

/* Did the process itself write it? It does so in the words of the dialect's own maker, so it is said to each provider in that one's. */
static bool is_of_process(const struct exchange *x)
{
    return x->inner && can_read(x->endpoint.dialect, x->endpoint.row->operation) &&
           can_say(x->endpoint.dialect, x->endpoint.row->operation);
}

/* Does the provider speak the client's dialect as the client does? */
static bool speaks_as_client(const struct exchange *x, const struct provider *p)
{
    return vendor_speaks(p->vendor, x->endpoint.dialect) && is_native(x);
}

bool can_be_asked(const struct exchange *x, const struct provider *p)
{
    const struct endpoint_row *row = x->endpoint.row;

    if (x->endpoint.kind != ENDPOINT_OPERATION || is_answered_here(row->operation))
        return true;
    if (!offers(p, row->operation))
        return false;
    if (speaks_as_client(x, p))
        return true;
    return row->operation == OP_COUNT_TOKENS ||
           (can_read(x->endpoint.dialect, row->operation) && dialect_for(p, row->operation));
}

static bool has_other_name_inside(const struct exchange *x)
{
    return x->endpoint.row->repeats_model && !str_eq(x->facts.model, x->chosen->model);
}

/*
 * Bytes that a provider understands may still hold what it refuses: proofs of origin that another family's model gave, and that we wrapped for
 * this client. The dialect's own writer leaves them out.
 */
static bool holds_foreign_signatures(const struct exchange *x)
{
    enum operation operation = x->endpoint.row->operation;

    if (!x->endpoint.dialect->provider.checks_signatures || (operation != OP_CHAT && operation != OP_COUNT_TOKENS))
        return false;
    return signatures_are_foreign(x->request.doc, x->endpoint.dialect->signer);
}

/* Thoughts that stand in the text are to be told as thoughts, and the client's dialect has a place for them. */
static bool splits_thoughts(const struct exchange *x)
{
    enum think_tags tags = x->chosen->provider->think_tags;

    return x->endpoint.row->operation == OP_CHAT && x->endpoint.dialect->client.tells_thoughts &&
           (tags == THINK_TAGS_SPLIT || tags == THINK_TAGS_BEGUN);
}

bool can_count(const struct exchange *x, const struct provider *p)
{
    const struct dialect *d = x->endpoint.dialect;

    if (!speaks_as_client(x, p))
        return dialect_for(p, OP_COUNT_TOKENS);
    return !holds_foreign_signatures(x) || can_say(d, OP_COUNT_TOKENS);
}

void choose_dialect(struct exchange *x)
{
    const struct provider *p = x->chosen->provider;

    x->speaks = x->endpoint.dialect;
    x->translates = false;
    if (x->endpoint.kind != ENDPOINT_OPERATION)
        return;
    bool speaks = speaks_as_client(x, p);
    x->translates = !speaks || resume_is_pending(x) || has_other_name_inside(x) || holds_foreign_signatures(x) ||
                    splits_thoughts(x) || is_of_process(x);
    if (!speaks)
        x->speaks = dialect_for(p, x->endpoint.row->operation);
    if (!x->speaks) /* a vendor's difference from its own dialect may be in what is only relayed */
        x->speaks = p->dialect;
}
