/*
 * google_service_account.c - the key file of a service account: a signed claim is exchanged for a token (RFC 7523, section 2.1).
 *
 * Signing takes milliseconds of arithmetic, so a worker does it.
 *
 * Source: Google Identity, "Using OAuth 2.0 for Server to Server Applications".
 */
#include "base/mem.h"
#include "codec/jwt.h"
#include "credential/google.h"
#include "rt/loop.h"
#include "rt/worker.h"

extern const struct credential_kind credential_kind_google_service_account;

enum { CLAIM_LIFE = 3600, TOKEN_MAX = 64 * 1024 };

struct sign_job {
    struct job job;
    struct secret pem;
    struct buf kid, claims;
    struct buf token;         /* result */
    struct err_record record; /* of a failure */
};

static err_t sign(struct sign_job *s)
{
    struct jwt_key *key CLEANUP(jwt_key_free_p) = NULL;
    struct buf header CLEANUP(buf_release) = BUF_INIT(TOKEN_MAX);

    TRY(jwt_key_parse(secret_reveal(&s->pem), &key));
    TRY(jwt_header(&header, key, buf_str(&s->kid)));
    return jwt_sign(&s->token, key, buf_str(&header), buf_str(&s->claims));
}

static void sign_run(struct job *j)
{
    struct sign_job *s = CONTAINER_OF(j, struct sign_job, job);

    if (sign(s) != OK)
        s->record = *err_current();
}

static void sign_drop(struct job *j)
{
    struct sign_job *s = CONTAINER_OF(j, struct sign_job, job);

    secret_release(&s->pem);
    buf_release(&s->kid);
    buf_release(&s->claims);
    buf_release(&s->token);
    mem_free(s);
}

static void add_claim(struct buf *b, const char *name, struct str value)
{
    buf_addf(b, "\"%s\":\"", name);
    buf_add_json(b, value);
    buf_add_lit(b, "\",");
}

static err_t make_claims(const struct credential_fetch *f, struct buf *b)
{
    struct str email,
        audience = json_get_str(f->google_file, STR("token_uri"), STR("https://oauth2.googleapis.com/token"));
    long long now = (long long)(rt_wall() / NS_SEC);

    TRY(google_member(f, STR("client_email"), &email));
    buf_add_char(b, '{');
    add_claim(b, "iss", email);
    add_claim(b, "scope", google_scope(f));
    add_claim(b, "aud", audience);
    buf_addf(b, "\"iat\":%lld,\"exp\":%lld}", now, now + CLAIM_LIFE);
    return buf_status(b);
}

static err_t fill_job(const struct credential_fetch *f, struct sign_job *s)
{
    struct str pem;

    TRY(google_member(f, STR("private_key"), &pem));
    TRY(make_claims(f, &s->claims));
    TRY(buf_add(&s->kid, json_get_str(f->google_file, STR("private_key_id"), STR_NONE)));
    s->pem = secret_make(pem);
    explicit_bzero((char *)(uintptr_t)pem.p, pem.n);
    return OK;
}

static SUSPENDS err_t make_assertion(const struct credential_fetch *f, struct str *ret)
{
    struct sign_job *s = NEW(struct sign_job);

    *s = (struct sign_job){.job = {.run = sign_run, .drop = sign_drop},
                           .kid = BUF_INIT(1024),
                           .claims = BUF_INIT(TOKEN_MAX / 2),
                           .token = BUF_INIT(TOKEN_MAX)};
    err_t e = fill_job(f, s);
    if (e == OK)
        TRY(worker_run(&s->job)); /* the pool drops the job if this fails */
    if (e == OK && s->record.code != OK)
        e = fail(E_CONFIG, "%.*s: private_key: %s", STR_ARG(f->google_path), s->record.text);
    if (e == OK)
        *ret = arena_str(f->arena, buf_str(&s->token));
    sign_drop(&s->job);
    return e;
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str assertion;

    TRY(google_file(f, credential_kind_google_service_account.google_type));
    TRY(make_assertion(f, &assertion));
    const struct str form[][2] = {{STR("grant_type"), STR("urn:ietf:params:oauth:grant-type:jwt-bearer")},
                                  {STR("assertion"), assertion}};
    struct str url = json_get_str(f->google_file, STR("token_uri"), STR("https://oauth2.googleapis.com/token"));
    const struct fetch_call c = {.what = "Google's token endpoint",
                                 .url = f->options->google.token_url.n ? f->options->google.token_url : url,
                                 .body = fetch_form(f, form, ARRAY_LEN(form)),
                                 .secret = assertion};
    return fetch_bearer(f, &c, ret);
}

const struct credential_kind credential_kind_google_service_account = {
    .name = "google-service-account", .google_type = "service_account", .fetch = fetch};
