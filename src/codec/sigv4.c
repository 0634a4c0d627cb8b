/*
 * sigv4.c - AWS Signature Version 4.
 *
 * Both sides bring the request into the same canonical text: method, path, query, the signed headers, their names, the body's hash. Its hash
 * goes with time and scope into the string to sign, which is signed with a key that is derived from the secret for one day, region and
 * service. Signing and verifying share all of this; they differ in where the names of the signed headers come from.
 *
 * The path is percent-coded once more than on the wire, after empty and dot segments were resolved; but for S3, whose objects may be called anything, it is
 * taken as it is on the wire. The query is decoded and coded again, so that both sides agree on what need not have been coded.
 *
 * Does not: presigned URLs (X-Amz-Signature in the query), bodies signed in chunks, UNSIGNED-PAYLOAD, the Date header in place
 * of x-amz-date, replay within the window.
 */
#include "codec/sigv4.h"

#include "base/date.h"
#include "base/mem.h"
#include "codec/url.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"

enum {
    STAMP = 16, /* "20260102T030405Z" */
    DATE = 8,   /* "20260102"         */
    SIGNED_MAX = 128,
};

/* --- canonical path and query --- */

/* Append the path with empty and dot segments resolved. */
static void add_normal_path(struct buf *b, struct str path)
{
    size_t start = b->n;
    struct str rest = path, segment = STR_NONE;

    while (rest.p) {
        segment = str_cut(&rest, '/');
        if (segment.n == 0 || str_eq(segment, STR(".")))
            continue;
        if (!str_eq(segment, STR(".."))) {
            (void)buf_add_char(b, '/');
            (void)url_encode(b, segment);
            continue;
        }
        while (b->n > start && b->p[--b->n] != '/') {
        }
    }
    if (b->n == start || str_ends(path, STR("/")))
        (void)buf_add_char(b, '/');
}

struct parameter {
    struct str name, value; /* coded */
};

static int parameter_cmp(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;
    int by_name = str_cmp(x->name, y->name);

    return by_name ? by_name : str_cmp(x->value, y->value);
}

/* Decode and code again. */
static err_t recode(struct arena *a, struct str s, struct str *ret)
{
    struct buf coded CLEANUP(buf_release) = BUF_INIT(SIGV4_CANONICAL_MAX);

    TRY(url_decode(s, a, &s));
    TRY(url_encode(&coded, s));
    *ret = arena_str(a, buf_str(&coded));
    return OK;
}

static err_t add_query(struct arena *a, struct buf *b, struct str query)
{
    struct str name, value;
    size_t n = 0;

    if (query.n == 0)
        return OK;
    struct parameter *list = arena_alloc(a, SIGV4_PARAMETERS_MAX * sizeof *list);
    while (url_query_next(&query, &name, &value)) {
        if (n == SIGV4_PARAMETERS_MAX)
            return fail(E_TOO_LARGE, "more than %d query parameters", SIGV4_PARAMETERS_MAX);
        TRY(recode(a, name, &list[n].name));
        TRY(recode(a, value, &list[n].value));
        n++;
    }
    qsort(list, n, sizeof *list, parameter_cmp);
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(b, "%s%.*s=%.*s", i ? "&" : "", STR_ARG(list[i].name), STR_ARG(list[i].value));
    return OK;
}

/* --- canonical headers --- */

/* Append a value without blanks around it, and with one blank for each run of them within. */
static void add_value(struct buf *b, struct str value)
{
    value = str_trim(value);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != ' ' || value.p[i - 1] != ' ')
            (void)buf_add_char(b, value.p[i]);
}

static const struct http_header *find_header(const struct sigv4_request *r, struct str name, size_t *at)
{
    while (*at < r->header_count) {
        const struct http_header *h = &r->headers[(*at)++];
        if (str_eq_nocase(h->name, name))
            return h;
    }
    return NULL;
}

/* Clients of HTTP/2 sign the pseudo header that stands for Host there. */
static bool is_host(struct str name)
{
    return str_eq(name, STR("host")) || str_eq(name, STR(":authority"));
}

/* Append "name:value,value\n". False if there is no such header. */
static bool add_header(struct buf *b, const struct sigv4_request *r, struct str name)
{
    const struct http_header *h;
    size_t at = 0, count = 0;

    (void)buf_add(b, name);
    (void)buf_add_char(b, ':');
    if (is_host(name)) {
        add_value(b, r->host);
        count = 1;
    } else {
        for (; (h = find_header(r, name, &at)); count++) {
            if (count)
                (void)buf_add_char(b, ',');
            add_value(b, h->value);
        }
    }
    (void)buf_add_char(b, '\n');
    return count > 0;
}

/* Value of the only header of this name; STR_NONE if there is none, or if there are several. */
static struct str only_header(const struct sigv4_request *r, struct str name)
{
    size_t at = 0;
    const struct http_header *h = find_header(r, name, &at);

    return h && !find_header(r, name, &at) ? h->value : STR_NONE;
}

static void add_hex(struct buf *b, const unsigned char hash[SHA256_BYTES])
{
    char text[SHA256_HEX];

    hex_encode(text, hash, SHA256_BYTES);
    (void)buf_add(b, str_of(text, sizeof text));
}

/* Hash of the canonical request. `names`: the signed headers, sorted. */
static err_t canonical_hash(struct arena *a, const struct sigv4_request *r, struct str service, struct str names,
                            unsigned char ret_hash[SHA256_BYTES])
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(SIGV4_CANONICAL_MAX);
    struct str rest = names;

    (void)buf_add(&b, r->method);
    (void)buf_add_char(&b, '\n');
    if (str_eq(service, STR("s3")) && r->path.n)
        (void)buf_add(&b, r->path);
    else
        add_normal_path(&b, r->path);
    (void)buf_add_char(&b, '\n');
    TRY(add_query(a, &b, r->query));
    (void)buf_add_char(&b, '\n');
    while (rest.p) {
        struct str name = str_cut(&rest, ';');
        if (!add_header(&b, r, name))
            return fail(E_AUTH, "the signed header %.*s is missing", STR_ARG(str_slice(name, 0, 64)));
    }
    (void)buf_add_char(&b, '\n');
    (void)buf_add(&b, names);
    (void)buf_add_char(&b, '\n');
    add_hex(&b, r->body_hash);
    TRY(buf_status(&b));
    sha256(buf_str(&b), ret_hash);
    return OK;
}

/* --- the signature --- */

struct scope {
    struct str date, region, service;
};

static void signing_key(struct str secret, const struct scope *scope, unsigned char ret_key[SHA256_BYTES])
{
    const struct str steps[] = {scope->date, scope->region, scope->service, STR(TERMINATOR)};
    size_t n = secret.n + 4;
    char *first = mem_alloc(n);
    struct str key = str_of(first, n);

    memcpy(first, "AWS4", 4);
    if (secret.n)
        memcpy(first + 4, secret.p, secret.n);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        hmac_sha256(key, &steps[i], 1, ret_key);
        key = str_of((const char *)ret_key, SHA256_BYTES);
    }
    OPENSSL_cleanse(first, n);
    mem_free(first);
}

/* The signature of the request in hex. `stamp`: its time. */
static err_t make_signature(struct arena *a, const struct sigv4_request *r, struct str names, struct str secret,
                            struct str stamp, const struct scope *scope, char ret_hex[SHA256_HEX])
{
    unsigned char hash[SHA256_BYTES], key[SHA256_BYTES], mac[SHA256_BYTES];
    char canonical[SHA256_HEX];

    TRY(canonical_hash(a, r, scope->service, names, hash));
    hex_encode(canonical, hash, sizeof hash);
    signing_key(secret, scope, key);
    const struct str parts[] = {
        STR(ALGORITHM "\n"),
        stamp,
        STR("\n"),
        scope->date,
        STR("/"),
        scope->region,
        STR("/"),
        scope->service,
        STR("/" TERMINATOR "\n"),
        str_of(canonical, sizeof canonical),
    };
    hmac_sha256(str_of((const char *)key, sizeof key), parts, ARRAY_LEN(parts), mac);
    hex_encode(ret_hex, mac, sizeof mac);
    OPENSSL_cleanse(key, sizeof key);
    return OK;
}

/* --- time --- */

static struct str stamp_of(struct arena *a, int64_t now)
{
    int64_t day = now / 86400, second = now % 86400;
    struct date d = date_of_day(day);

    return arena_printf(a, "%04d%02d%02dT%02d%02d%02dZ", d.year, d.month, d.day, (int)(second / 3600),
                        (int)(second / 60 % 60), (int)(second % 60));
}

/* `n` digits at `at` as a number of [min, max]. */
static bool number_at(struct str s, size_t at, size_t n, uint64_t min, uint64_t max, int *ret)
{
    uint64_t v;

    if (!str_to_u64(str_slice(s, at, at + n), max, &v) || v < min)
        return false;
    *ret = (int)v;
    return true;
}

static bool read_stamp(struct str s, int64_t *ret_seconds)
{
    struct date d;
    int hour, minute, second;

    if (s.n != STAMP || s.p[DATE] != 'T' || s.p[STAMP - 1] != 'Z' || !number_at(s, 0, 4, 1, 9999, &d.year) ||
        !number_at(s, 4, 2, 1, 12, &d.month) || !number_at(s, 6, 2, 1, 31, &d.day) ||
        !number_at(s, 9, 2, 0, 23, &hour) || !number_at(s, 11, 2, 0, 59, &minute) ||
        !number_at(s, 13, 2, 0, 60, &second))
        return false;
    int64_t day = date_to_day(d);
    *ret_seconds = day * 86400 + hour * 3600 + minute * 60 + second;
    return date_of_day(day).day == d.day; /* not June 31 */
}

/* --- signing --- */

static int name_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n);

    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    return str_of(p, s.n);
}

/* The names of the headers to sign, sorted, each once, joined by ';'. */
static err_t choose_names(struct arena *a, const struct sigv4_request *r, struct str *ret)
{
    struct str names[SIGNED_MAX] = {STR("host")};
    struct buf joined CLEANUP(buf_release) = BUF_INIT(SIGV4_AUTHORIZATION_MAX);
    size_t n = 1;

    for (size_t i = 0; i < r->header_count; i++) {
        struct str name = r->headers[i].name;
        if (!str_starts_nocase(name, STR("x-amz-")) && !str_eq_nocase(name, STR("content-type")))
            continue;
        if (n == SIGNED_MAX)
            return fail(E_TOO_LARGE, "more than %d headers to sign", SIGNED_MAX);
        names[n++] = lower(a, name);
    }
    qsort(names, n, sizeof *names, name_cmp);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(names[i], names[i - 1])) {
            (void)(i && buf_add_char(&joined, ';'));
            (void)buf_add(&joined, names[i]);
        }
    TRY(buf_status(&joined));
    *ret = arena_str(a, buf_str(&joined));
    return OK;
}

/* The request with the headers that are added in front of its own. */
static struct sigv4_request with_headers(struct arena *a, const struct sigv4_request *r,
                                         const struct http_header *added, size_t count)
{
    struct http_header *all = arena_alloc(a, (count + r->header_count) * sizeof *all);
    struct sigv4_request copy = *r;

    memcpy(all, added, count * sizeof *all);
    if (r->header_count)
        memcpy(all + count, r->headers, r->header_count * sizeof *all);
    copy.headers = all;
    copy.header_count += count;
    return copy;
}

err_t sigv4_sign(struct arena *arena, const struct sigv4_request *r, const struct sigv4_key *key, int64_t now,
                 struct http_header ret_headers[SIGV4_HEADERS_ADDED], size_t *ret_count)
{
    struct str stamp = stamp_of(arena, now), names;
    struct scope scope = {str_slice(stamp, 0, DATE), key->region, key->service};
    char hex[SHA256_HEX];
    size_t n = 0;

    ret_headers[n++] = (struct http_header){STR("x-amz-date"), stamp};
    if (key->token.n)
        ret_headers[n++] = (struct http_header){STR("x-amz-security-token"), key->token};
    if (key->hash_header) {
        hex_encode(hex, r->body_hash, SHA256_BYTES);
        ret_headers[n++] = (struct http_header){STR("x-amz-content-sha256"), arena_str(arena, str_of(hex, sizeof hex))};
    }
    struct sigv4_request whole = with_headers(arena, r, ret_headers, n);
    TRY(choose_names(arena, &whole, &names));
    TRY(make_signature(arena, &whole, names, key->secret, stamp, &scope, hex));
    ret_headers[n++] = (struct http_header){
        STR("authorization"),
        arena_printf(arena,
                     ALGORITHM " Credential=%.*s/%.*s/%.*s/%.*s/" TERMINATOR ", SignedHeaders=%.*s, Signature=%.*s",
                     STR_ARG(key->access_key), STR_ARG(scope.date), STR_ARG(scope.region), STR_ARG(scope.service),
                     STR_ARG(names), SHA256_HEX, hex)};
    *ret_count = n;
    return OK;
}

/* --- reading a claim --- */

bool sigv4_is_claim(struct str authorization)
{
    return str_starts(authorization, STR(ALGORITHM)) &&
           (authorization.n == sizeof ALGORITHM - 1 || authorization.p[sizeof ALGORITHM - 1] == ' ');
}

/* "AKID/20260102/us-east-1/bedrock/aws4_request" */
static bool read_credential(struct str text, struct sigv4_claim *c)
{
    struct str rest = text;

    c->access_key = str_cut(&rest, '/');
    c->scope = rest;
    c->date = str_cut(&rest, '/');
    c->region = str_cut(&rest, '/');
    c->service = str_cut(&rest, '/');
    return c->access_key.n && c->date.n == DATE && c->region.n && c->service.n && str_eq(rest, STR(TERMINATOR));
}

/* Lower-case names, sorted, each once. */
static bool names_are_canonical(struct str names)
{
    struct str rest = names, before = STR_NONE;

    while (rest.p) {
        struct str name = str_cut(&rest, ';');
        if (name.n == 0 || str_cmp(name, before) <= 0)
            return false;
        for (size_t i = 0; i < name.n; i++)
            if (name.p[i] <= ' ' || name.p[i] >= 0x7f || ascii_lower(name.p[i]) != name.p[i])
                return false;
        before = name;
    }
    return names.n > 0;
}

static bool names_have(struct str names, struct str name)
{
    while (names.p)
        if (str_eq(str_cut(&names, ';'), name))
            return true;
    return false;
}

static bool names_have_host(struct str names)
{
    while (names.p)
        if (is_host(str_cut(&names, ';')))
            return true;
    return false;
}

static bool is_hex_hash(struct str s)
{
    unsigned char hash[SHA256_BYTES];

    return hex_decode(hash, sizeof hash, s);
}

err_t sigv4_read(struct str authorization, struct sigv4_claim *ret_claim)
{
    struct str rest = str_slice(authorization, sizeof ALGORITHM, authorization.n);
    struct sigv4_claim c = {0};
    struct str credential = STR_NONE;

    if (authorization.n > SIGV4_AUTHORIZATION_MAX)
        return fail(E_TOO_LARGE, "an Authorization header of more than 16 KiB");
    if (!sigv4_is_claim(authorization))
        return fail(E_PARSE, "Authorization is not of the algorithm " ALGORITHM);
    if (rest.n == 0)
        return fail(E_PARSE, "Authorization has no parameters");
    while (rest.p) {
        struct str value = str_trim(str_cut(&rest, ',')), name = str_cut(&value, '=');
        struct str *to = str_eq(name, STR("Credential"))      ? &credential
                         : str_eq(name, STR("SignedHeaders")) ? &c.signed_headers
                         : str_eq(name, STR("Signature"))     ? &c.signature
                                                              : NULL;
        if (!to || to->p || !value.p)
            return fail(E_PARSE, "Authorization needs Credential, SignedHeaders and Signature, each once");
        *to = value;
    }
    if (!read_credential(credential, &c))
        return fail(E_PARSE, "Credential is not of the form key/date/region/service/" TERMINATOR);
    if (!names_are_canonical(c.signed_headers))
        return fail(E_PARSE, "SignedHeaders are not lower-case names, sorted, each once");
    if (!is_hex_hash(c.signature))
        return fail(E_PARSE, "Signature is not 64 hex digits");
    *ret_claim = c;
    return OK;
}

/* --- verifying --- */

/* The body must be the one that was hashed, if the request tells its hash. */
static err_t check_body_hash(const struct sigv4_request *r)
{
    struct str name = STR("x-amz-content-sha256");
    char hex[SHA256_HEX];
    size_t at = 0;

    if (!find_header(r, name, &at))
        return OK;
    hex_encode(hex, r->body_hash, SHA256_BYTES);
    if (str_eq_secret(only_header(r, name), str_of(hex, sizeof hex)))
        return OK;
    return fail(E_AUTH, "x-amz-content-sha256 is not the hash of the body");
}

static err_t check_time(const struct sigv4_claim *claim, struct str stamp, int64_t now)
{
    int64_t then;

    if (!read_stamp(stamp, &then))
        return fail(E_PARSE, "x-amz-date is missing, or not of the form 20260102T030405Z");
    if (!str_eq(str_slice(stamp, 0, DATE), claim->date))
        return fail(E_PARSE, "the date of the Credential is not that of x-amz-date");
    if (then < now - SIGV4_WINDOW || then > now + SIGV4_WINDOW)
        return fail(E_FORBIDDEN, "x-amz-date is more than five minutes off");
    return OK;
}

err_t sigv4_verify(struct arena *arena, const struct sigv4_request *r, const struct sigv4_claim *claim,
                   struct str secret, int64_t now)
{
    struct str stamp = str_trim(only_header(r, STR("x-amz-date")));
    struct scope scope = {claim->date, claim->region, claim->service};
    char hex[SHA256_HEX];

    if (!names_have_host(claim->signed_headers) || !names_have(claim->signed_headers, STR("x-amz-date")))
        return fail(E_PARSE, "host (or :authority) and x-amz-date must be signed");
    TRY(check_time(claim, stamp, now));
    TRY(check_body_hash(r));
    TRY(make_signature(arena, r, claim->signed_headers, secret, stamp, &scope, hex));
    if (!str_eq_secret(claim->signature, str_of(hex, sizeof hex)))
        return fail(E_AUTH, "the signature does not fit the request");
    return OK;
}
