/*
 * google.c - the credentials file that Google's SDKs share, and tokens of service accounts on behalf of others.
 *
 * Source: Google Cloud, "How Application Default Credentials works"; IAM Service Account Credentials API, generateAccessToken.
 */
#include "credential/google.h"

struct str google_scope(const struct credential_fetch *f)
{
    struct str scope = f->options->google.scope;

    return scope.n ? scope : STR(GOOGLE_CLOUD_SCOPE);
}

/* Where gcloud keeps what `gcloud auth application-default login` made. */
static struct str well_known_path(const struct credential_fetch *f)
{
    struct str folder = fetch_env(f, "CLOUDSDK_CONFIG"), home = fetch_env(f, "HOME");

    if (folder.n)
        return arena_join(f->arena, folder, STR("/application_default_credentials.json"));
    if (!home.n)
        return STR_NONE;
    return arena_join(f->arena, home, STR("/.config/gcloud/application_default_credentials.json"));
}

static SUSPENDS err_t read_text(struct credential_fetch *f, struct str *ret)
{
    struct str path = fetch_setting(f, f->options->google.file, "GOOGLE_APPLICATION_CREDENTIALS", STR_NONE);
    bool is_named = path.n > 0;

    if (!is_named)
        path = well_known_path(f);
    f->google_path = path;
    err_t e = path.n ? fetch_file(f, path, ret) : E_NOT_FOUND;
    if (e != E_NOT_FOUND)
        return e;
    if (is_named)
        return fail(E_CONFIG, "%s", err_detail(e));
    return fail(E_NOT_FOUND, "no credentials file: set GOOGLE_APPLICATION_CREDENTIALS");
}

err_t google_file(struct credential_fetch *f, const char *type)
{
    struct str text;

    if (!f->google_file) {
        yyjson_val *root;
        TRY(read_text(f, &text));
        err_t e = json_parse(f->arena, text, &(struct json_limits){.depth = 16}, 0, &root);
        if (text.n)
            explicit_bzero((char *)(uintptr_t)text.p, text.n);
        if (e != OK || !yyjson_is_obj(root))
            return fail(E_CONFIG, "%.*s: the credentials file is no JSON object", STR_ARG(f->google_path));
        f->google_file = root;
    }
    struct str is = json_get_str(f->google_file, STR("type"), STR_NONE);
    if (!type || str_eq(is, str_from_c(type)))
        return OK;
    return fail(E_CONFIG, "%.*s: the credentials file is of type '%.*s', not '%s'", STR_ARG(f->google_path),
                STR_ARG(str_slice(is, 0, 40)), type);
}

err_t google_member(const struct credential_fetch *f, struct str name, struct str *ret)
{
    *ret = json_get_str(f->google_file, name, STR_NONE);
    if (ret->n)
        return OK;
    return fail(E_CONFIG, "%.*s: the credentials file has no \"%.*s\"", STR_ARG(f->google_path), STR_ARG(name));
}

/* {"scope":["a","b"],"lifetime":"3600s"} */
static struct str impersonation_body(const struct credential_fetch *f, int64_t lifetime)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(16 * 1024);
    const char *between = "";

    buf_add_lit(&b, "{\"scope\":[");
    for (struct str rest = google_scope(f); rest.n;) {
        struct str scope = str_cut(&rest, ' ');
        if (!scope.n)
            continue;
        buf_addf(&b, "%s\"", between);
        buf_add_json(&b, scope);
        buf_add_char(&b, '"');
        between = ",";
    }
    buf_addf(&b, "],\"lifetime\":\"%llds\"}", (long long)lifetime);
    return arena_str(f->arena, buf_str(&b));
}

err_t google_impersonate(const struct credential_fetch *f, struct str url, int64_t lifetime,
                         struct credential_grant *grant)
{
    const struct fetch_call c = {
        .what = "the IAM credentials endpoint",
        .url = url,
        .headers = {{STR("authorization"), arena_join(f->arena, STR("Bearer "), grant->token)}},
        .body = impersonation_body(f, lifetime),
        .body_type = STR("application/json"),
        .secret = grant->token};
    struct fetch_answer answer;
    yyjson_val *root;
    int64_t expires;

    TRY(fetch_ok(f, &c, &answer));
    TRY(fetch_json(f, &c, &answer, &root));
    grant->token = json_get_str(root, STR("accessToken"), STR_NONE);
    if (!grant->token.n || !fetch_time(json_get_str(root, STR("expireTime"), STR_NONE), &expires))
        return fail(E_UPSTREAM, "the answer of %s holds no accessToken with its expireTime", c.what);
    grant->expires = fetch_instant(expires);
    return OK;
}
