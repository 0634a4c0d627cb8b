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
