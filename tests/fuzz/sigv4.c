/*
 * Fuzz target: codec/sigv4.h. The input is a request in lines: method, host, path, query, time, Authorization, then headers as
 * "name:value".
 *
 * Whatever it is: reading a claim never looks beyond it, a foreign claim does not verify, what was signed verifies, and does not
 * once its body, its secret or its method is another.
 */
#include "codec/sigv4.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { HEADERS = 64 };

/* A token (RFC 9110), as the parser lets in, that the signer does not add itself, and that does not say what the body's hash is. */
static bool is_free(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return name.n > 0 && !str_eq_nocase(name, STR("x-amz-date")) && !str_eq_nocase(name, STR("x-amz-content-sha256"));
}

static void check_signed(struct arena *a, const struct sigv4_request *r, int64_t now)
{
    const struct sigv4_key key = {
        .access_key = STR("AKID"), .secret = STR("secret"), .region = STR("r"), .service = STR("s")};
    struct http_header added[SIGV4_HEADERS_ADDED], all[HEADERS + SIGV4_HEADERS_ADDED];
    struct sigv4_claim claim;
    size_t n = 0;

    if (sigv4_sign(a, r, &key, now, added, &n) != OK)
        return;
    REQUIRE(n == 2);
    memcpy(all, added, n * sizeof *all);
    memcpy(all + n, r->headers, r->header_count * sizeof *all);
    struct sigv4_request whole = *r;
    whole.headers = all;
    whole.header_count += n;
    REQUIRE(sigv4_read(added[1].value, &claim) == OK);
    REQUIRE(sigv4_verify(a, &whole, &claim, key.secret, now) == OK);
    REQUIRE(sigv4_verify(a, &whole, &claim, STR("Secret"), now) == E_AUTH);
    REQUIRE(sigv4_verify(a, &whole, &claim, key.secret, now + SIGV4_WINDOW + 1) == E_FORBIDDEN);
    struct sigv4_request other = whole;
    other.body_hash = (const unsigned char *)"another hash of thirty-two bytes";
    REQUIRE(sigv4_verify(a, &other, &claim, key.secret, now) == E_AUTH);
    other = whole;
    other.method = arena_join(a, whole.method, STR("X"));
    REQUIRE(sigv4_verify(a, &other, &claim, key.secret, now) == E_AUTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    struct str rest = str_of((const char *)data, n), authorization, value;
    struct http_header headers[HEADERS];
    unsigned char hash[SHA256_BYTES];
    struct sigv4_claim claim;
    uint64_t now = 0;
    size_t count = 0;

    arena_init(&arena, SIZE_MAX / 4);
    sha256(STR("body"), hash);
    struct sigv4_request r = {.method = str_cut(&rest, '\n'),
                              .host = str_cut(&rest, '\n'),
                              .path = str_cut(&rest, '\n'),
                              .query = str_cut(&rest, '\n'),
                              .headers = headers,
                              .body_hash = hash};
    value = str_cut(&rest, '\n');
    (void)str_to_u64(value, (uint64_t)1 << 36, &now);
    authorization = str_cut(&rest, '\n');
    while (rest.p && count < HEADERS) {
        value = str_cut(&rest, '\n');
        struct str name = str_cut(&value, ':');
        headers[count++] = (struct http_header){name, value};
    }
    r.header_count = count;
    if (sigv4_read(authorization, &claim) == OK)
        REQUIRE(sigv4_verify(&arena, &r, &claim, STR("unknown"), (int64_t)now) != OK);
    r.header_count = 0;
    for (size_t i = 0; i < count; i++)
        if (is_free(headers[i].name))
            headers[r.header_count++] = headers[i];
    check_signed(&arena, &r, (int64_t)now);
    return 0;
}
