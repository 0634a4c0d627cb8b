/*
 * google_external_account.c - workload identity federation: a token of another issuer (a file, an endpoint) is exchanged for one of
 * Google's (RFC 8693), and that, where the file says so, for one of a service account.
 *
 * The file says which addresses are asked and where the result goes, so it must come from who configures crossdock. Not supported:
 * executables as sources, which would be programs run by a server.
 *
 * Source: Google Cloud, "Workload Identity Federation" and AIP-4117.
 */
#include "credential/aws.h"
#include "credential/google.h"
#include "rt/loop.h"

extern const struct credential_kind credential_kind_google_external_account;

enum { LIFETIME = 3600 };

static struct str member(yyjson_val *obj, const char *name)
{
    return json_get_str(obj, str_from_c(name), STR_NONE);
}

/* The token itself, or the member of a JSON object that `format` names. */
static err_t unwrap(const struct credential_fetch *f, yyjson_val *format, struct str text, struct str *ret)
{
    yyjson_val *root;

    *ret = text;
    if (!str_eq(member(format, "type"), STR("json")))
        return OK;
    if (json_parse(f->arena, text, &(struct json_limits){.depth = 16}, 0, &root) != OK)
        return fail(E_CONFIG, "the source of the subject token does not give JSON, as credential_source.format says");
    *ret = json_get_str(root, member(format, "subject_token_field_name"), STR_NONE);
    return ret->n ? OK
                  : fail(E_CONFIG, "the source of the subject token gives no member of the name that "
                                   "credential_source.format.subject_token_field_name says");
}

static SUSPENDS err_t from_url(const struct credential_fetch *f, yyjson_val *source, struct str *ret)
{
    struct fetch_call c = {.what = "the source of the subject token", .url = member(source, "url")};
    struct fetch_answer answer;
    yyjson_obj_iter i = yyjson_obj_iter_with(json_get(source, STR("headers")));

    c.is_local = str_starts_nocase(c.url, STR("http:")); /* metadata servers are asked in the clear */
    for (size_t n = 0; n < ARRAY_LEN(c.headers); n++) {
        yyjson_val *name = yyjson_obj_iter_next(&i);
        if (!name)
            break;
        c.headers[n] = (struct http_header){json_text(name), json_text(yyjson_obj_iter_get_val(name))};
    }
    TRY(fetch_ok(f, &c, &answer));
    *ret = fetch_trim(answer.body);
    return OK;
}

static SUSPENDS err_t subject_token(struct credential_fetch *f, struct str audience, struct str *ret)
{
    yyjson_val *source = json_get(f->google_file, STR("credential_source")), *format = json_get(source, STR("format"));
    struct str text;

    if (member(source, "environment_id").n)
        return aws_subject_token(f, source, audience, ret);
    if (member(source, "file").n)
        TRY(fetch_token_file(f, member(source, "file"), &text));
    else if (member(source, "url").n)
        TRY(from_url(f, source, &text));
    else
        return fail(E_UNSUPPORTED, "%.*s: credential_source has neither \"file\" nor \"url\" nor an AWS environment",
                    STR_ARG(f->google_path));
    return unwrap(f, format, text, ret);
}

static SUSPENDS err_t exchange(const struct credential_fetch *f, struct str audience, struct str token,
                               bool impersonates, struct credential_grant *ret)
{
    struct str type, url = json_get_str(f->google_file, STR("token_url"), STR("https://sts.googleapis.com/v1/token"));

    TRY(google_member(f, STR("subject_token_type"), &type));
    const struct str form[][2] = {{STR("grant_type"), STR("urn:ietf:params:oauth:grant-type:token-exchange")},
                                  {STR("audience"), audience},
                                  {STR("scope"), impersonates ? STR(GOOGLE_CLOUD_SCOPE) : google_scope(f)},
                                  {STR("requested_token_type"), STR("urn:ietf:params:oauth:token-type:access_token")},
                                  {STR("subject_token"), token},
                                  {STR("subject_token_type"), type}};
    const struct fetch_call c = {.what = "Google's security token service",
                                 .url = f->options->google.token_url.n ? f->options->google.token_url : url,
                                 .body = fetch_form(f, form, ARRAY_LEN(form)),
                                 .secret = token};
    return fetch_bearer(f, &c, ret);
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str audience, token;

    TRY(google_file(f, credential_kind_google_external_account.google_type));
    TRY(google_member(f, STR("audience"), &audience));
    struct str url = member(f->google_file, "service_account_impersonation_url");
    yyjson_val *wishes = json_get(f->google_file, STR("service_account_impersonation"));
    TRY(subject_token(f, audience, &token));
    TRY(exchange(f, audience, token, url.n > 0, ret));
    ret->quota_project = member(f->google_file, "quota_project_id");
    if (!url.n)
        return OK;
    return google_impersonate(f, url, json_get_i64(wishes, STR("token_lifetime_seconds"), LIFETIME), ret);
}

const struct credential_kind credential_kind_google_external_account = {
    .name = "google-external-account", .google_type = "external_account", .fetch = fetch};
