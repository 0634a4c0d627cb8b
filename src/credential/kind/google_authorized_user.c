/*
 * google_authorized_user.c - a person's credentials, as `gcloud auth application-default login` leaves them: a refresh token.
 *
 * Source: Google Identity, "Using OAuth 2.0 for Web Server Applications", refreshing an access token; RFC 6749, section 6.
 */
#include "credential/google.h"

extern const struct credential_kind credential_kind_google_authorized_user;

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str id, secret, token;

    TRY(google_file(f, credential_kind_google_authorized_user.google_type));
    TRY(google_member(f, STR("client_id"), &id));
    TRY(google_member(f, STR("client_secret"), &secret));
    TRY(google_member(f, STR("refresh_token"), &token));
    const struct str form[][2] = {{STR("grant_type"), STR("refresh_token")},
                                  {STR("client_id"), id},
                                  {STR("client_secret"), secret},
                                  {STR("refresh_token"), token}};
    struct str url = json_get_str(f->google_file, STR("token_uri"), STR("https://oauth2.googleapis.com/token"));
    const struct fetch_call c = {.what = "Google's token endpoint",
                                 .url = f->options->google.token_url.n ? f->options->google.token_url : url,
                                 .body = fetch_form(f, form, ARRAY_LEN(form)),
                                 .secret = token};
    ret->quota_project = json_get_str(f->google_file, STR("quota_project_id"), STR_NONE);
    return fetch_bearer(f, &c, ret);
}

const struct credential_kind credential_kind_google_authorized_user = {
    .name = "google-authorized-user", .google_type = "authorized_user", .fetch = fetch};
