/*
 * google.c - Application Default Credentials: the credentials file, whatever its type, else the metadata server.
 *
 * Source: Google Cloud, "How Application Default Credentials works".
 */
#include "credential/google.h"

extern const struct credential_kind credential_kind_google;

static const struct credential_kind *kind_of(struct str type)
{
    for (const struct credential_kind *const *k = credential_kind_catalog; *k; k++)
        if (str_eq(str_from_c((*k)->google_type), type))
            return *k;
    return NULL;
}

static SUSPENDS err_t from_file(struct credential_fetch *f, struct credential_grant *ret)
{
    TRY(google_file(f, NULL));
    struct str type = json_get_str(f->google_file, STR("type"), STR_NONE);
    const struct credential_kind *kind = type.n ? kind_of(type) : NULL;
    if (!kind)
        return fail(E_UNSUPPORTED, "%.*s: credentials files of type '%.*s' are not supported", STR_ARG(f->google_path),
                    STR_ARG(str_slice(type, 0, 40)));
    return kind->fetch(f, ret);
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    err_t e = from_file(f, ret);

    if (e != E_NOT_FOUND)
        return e;
    return err_context(credential_kind_find(STR("google-metadata"))->fetch(f, ret),
                       "there is no credentials file (GOOGLE_APPLICATION_CREDENTIALS), and");
}

const struct credential_kind credential_kind_google = {.name = "google", .fetch = fetch};
