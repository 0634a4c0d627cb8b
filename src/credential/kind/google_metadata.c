/*
 * google_metadata.c - the service account of the machine or pod: the metadata server of Compute Engine, GKE, Cloud Run.
 *
 * Source: Google Cloud, "View and query VM metadata" and "Authenticate workloads to Google Cloud APIs using service accounts".
 */
#include "codec/url.h"
#include "credential/google.h"

extern const struct credential_kind credential_kind_google_metadata;

static struct str base_url(const struct credential_fetch *f)
{
    struct str host = fetch_env(f, "GCE_METADATA_HOST");

    if (f->options->google.metadata_url.n)
        return f->options->google.metadata_url;
    return host.n ? arena_join(f->arena, STR("http://"), host) : STR("http://metadata.google.internal");
}

/* The server wants scopes separated by commas. */
static struct str query(const struct credential_fetch *f)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(16 * 1024);

    for (struct str rest = google_scope(f); rest.n;) {
        struct str scope = str_cut(&rest, ' ');
        if (!scope.n)
            continue;
        buf_add(&b, b.n ? STR(",") : STR("?scopes="));
        url_encode(&b, scope);
    }
    return arena_str(f->arena, buf_str(&b));
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str path = STR("/computeMetadata/v1/instance/service-accounts/default/token");
    const struct fetch_call c = {.what = "Google's metadata server",
                                 .url = arena_join(f->arena, arena_join(f->arena, base_url(f), path), query(f)),
                                 .headers = {{STR("metadata-flavor"), STR("Google")}},
                                 .is_local = true};

    return fetch_bearer(f, &c, ret);
}

const struct credential_kind credential_kind_google_metadata = {.name = "google-metadata", .fetch = fetch};
