/* signature.c - "crossdock.<maker>." in front of a foreign blob. The point is in no base64 alphabet, so no real blob begins so. */
#include "llm/signature.h"

#define MARK STR("crossdock.")

static const struct str makers[] = {[SIGNER_NONE] = STR_INIT("none"),
                                    [SIGNER_OPENAI] = STR_INIT("openai"),
                                    [SIGNER_ANTHROPIC] = STR_INIT("anthropic"),
                                    [SIGNER_GOOGLE] = STR_INIT("google"),
                                    [SIGNER_OTHER] = STR_INIT("other")};

struct str signature_wrap(enum signer signer, enum signer field, struct str blob, struct arena *arena)
{
    if (signer == field || !blob.n)
        return blob;
    return arena_printf(arena, "crossdock.%s.%.*s", makers[signer].p, STR_ARG(blob));
}

struct str signature_unwrap(struct str carried, enum signer field, enum signer *ret_signer)
{
    struct str rest = str_slice(carried, MARK.n, carried.n);

    *ret_signer = field;
    if (!str_starts(carried, MARK))
        return carried;
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        size_t n = makers[i].n;
        if (!str_starts(rest, makers[i]) || rest.n <= n || rest.p[n] != '.')
            continue;
        *ret_signer = (enum signer)i;
        return str_slice(rest, n + 1, rest.n);
    }
    *ret_signer = SIGNER_OTHER;
    return rest;
}

/* The first tool call from here on; NULL: none. */
static struct block *next_call(struct block *b)
{
    while (b && b->kind != BLOCK_TOOL_CALL)
        b = b->next;
    return b;
}

void signatures_adopt(struct block **list, bool is_behind)
{
    struct block *before = NULL;  /* what stands in front of *list                                           */
    struct block *unsaid = *list; /* where to look on for a call without a signature; never in front of *list */

    while (*list) {
        struct block *b = *list, *call = NULL;
        if (unsaid == b)
            unsaid = b->next;
        if (b->kind == BLOCK_THINKING && !b->text.n && b->signer == SIGNER_GOOGLE) {
            if (is_behind && before && before->kind == BLOCK_TOOL_CALL && !before->signature.n)
                call = before;
            else if ((call = next_call(unsaid)))
                unsaid = call->next;
        }
        if (call) {
            call->signature = b->signature;
            call->signer = b->signer;
            *list = b->next;
        } else {
            before = b;
            list = &b->next;
        }
    }
}

/* Does a string that begins here name a maker, as wrapped blobs do? */
static bool begins_wrapped(struct str text)
{
    enum signer signer;

    text = str_slice(text, 1, text.n); /* its quote */
    return signature_unwrap(text, SIGNER_NONE, &signer).p > text.p + MARK.n;
}

static bool holds_wrapped(struct str document)
{
    struct str mark = STR("\"crossdock.");

    for (size_t at; (at = str_find(document, mark)) < document.n; document = str_slice(document, at + 1, document.n))
        if (begins_wrapped(str_slice(document, at, document.n)))
            return true;
    return false;
}

static bool holds(struct str document, struct str text)
{
    return str_find(document, text) < document.n;
}

bool signatures_are_foreign(struct str document, enum signer field)
{
    switch (field) {
    case SIGNER_GOOGLE: /* its blobs are base64, and so is the mark */
        return holds(document, STR("\"Y3Jvc3Nkb2Nr"));
    case SIGNER_ANTHROPIC:
        return holds_wrapped(document) || holds(document, STR("\"signature\":\"\"")) ||
               holds(document, STR("\"signature\": \"\""));
    case SIGNER_NONE:
    case SIGNER_OPENAI:
    case SIGNER_OTHER:
        break;
    }
    return holds_wrapped(document);
}
