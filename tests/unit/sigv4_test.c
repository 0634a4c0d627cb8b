/* sigv4_test.c - AWS Signature Version 4: known signatures, what may change on the way, and that nothing else may. */
#include "unit/test.h"

#include "codec/sigv4.h"

enum { T2015 = 1440938160 /* 20150830T123600Z */, T2026 = 1767323045 /* 20260102T030405Z */ };

static const struct sigv4_key example = {
    .access_key = STR_INIT("AKIDEXAMPLE"),
    .secret = STR_INIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    .region = STR_INIT("us-east-1"),
    .service = STR_INIT("service"),
};

/* A request with room for the headers that signing adds. */
struct message {
    struct sigv4_request r;
    struct http_header headers[16];
    unsigned char hash[SHA256_BYTES];
};

static void set_body(struct message *m, struct str body)
{
    sha256(body, m->hash);
    m->r.body_hash = m->hash;
}

static void add_header(struct message *m, struct str name, struct str value)
{
    m->headers[m->r.header_count++] = (struct http_header){name, value};
    m->r.headers = m->headers;
}

static void make(struct message *m, const char *method, const char *host, const char *path, const char *query)
{
    *m = (struct message){.r = {.method = str_from_c(method),
                                .host = str_from_c(host),
                                .path = str_from_c(path),
                                .query = str_from_c(query)}};
    set_body(m, STR(""));
}

/* A message as Bedrock gets it. */
static void make_converse(struct message *m)
{
    make(m, "POST", "bedrock-runtime.us-east-1.amazonaws.com", "/model/anthropic.claude-test-v1%3A0/converse", NULL);
    add_header(m, STR("content-type"), STR("application/json"));
    set_body(m, STR("{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hello\"}]}]}"));
}

/* Sign, and add what is to be added. */
static err_t sign(struct arena *a, struct message *m, const struct sigv4_key *key, int64_t now)
{
    struct http_header added[SIGV4_HEADERS_ADDED];
    size_t n = 0;

    TRY(sigv4_sign(a, &m->r, key, now, added, &n));
    for (size_t i = 0; i < n; i++)
        add_header(m, added[i].name, added[i].value);
    return OK;
}

static struct http_header *header(struct message *m, const char *name)
{
    for (size_t i = 0; i < m->r.header_count; i++)
        if (str_eq_nocase(m->headers[i].name, str_from_c(name)))
            return &m->headers[i];
    return NULL;
}

static err_t verify(struct arena *a, struct message *m, int64_t now)
{
    struct sigv4_claim claim;

    TRY(sigv4_read(header(m, "authorization")->value, &claim));
    return sigv4_verify(a, &m->r, &claim, example.secret, now);
}

static void check_signature(struct message *m, const struct sigv4_key *key, int64_t now, const char *names,
                            const char *signature)
{
    struct arena a CLEANUP(arena_release);
    struct sigv4_claim claim;

    arena_init(&a, 1 << 20);
    CHECK_OK(sign(&a, m, key, now));
    CHECK_OK(sigv4_read(header(m, "authorization")->value, &claim));
    CHECK_STR(claim.signed_headers, names);
    CHECK_STR(claim.signature, signature);
    CHECK_OK(sigv4_verify(&a, &m->r, &claim, key->secret, now));
}

/* From the test suite that AWS published with the algorithm. */
TEST(sigv4_agrees_with_the_published_suite)
{
    struct message m;

    make(&m, "GET", "example.amazonaws.com", "/", NULL);
    check_signature(&m, &example, T2015, "host;x-amz-date",
                    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    make(&m, "GET", "example.amazonaws.com", "/", "Param2=value2&Param1=value1");
    check_signature(&m, &example, T2015, "host;x-amz-date",
                    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    make(&m, "GET", "example.amazonaws.com", "/example1/example2/../..", NULL);
    check_signature(&m, &example, T2015, "host;x-amz-date",
                    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(sigv4_agrees_on_requests_of_bedrock)
{
    struct sigv4_key key = example;
    struct message m;

    key.service = STR("bedrock");
    key.token = STR("SESSIONTOKENEXAMPLE");
    key.hash_header = true;
    make_converse(&m);
    check_signature(&m, &key, T2026, "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
                    "cfe196b0a53946855a4a3fa417f2bcf79e0dadb6509b3f3a8c80a7b2d3cfcff7");
    key.hash_header = false;
    make_converse(&m);
    check_signature(&m, &key, T2026, "content-type;host;x-amz-date;x-amz-security-token",
                    "912a855e5ccf5b02f45c27600b298bd80a8ce044528d6aca1c338c62f6306365");
}

TEST(sigv4_authorization_has_the_documented_form)
{
    struct arena a CLEANUP(arena_release);
    struct message m;

    arena_init(&a, 1 << 20);
    make(&m, "GET", "example.amazonaws.com", "/", NULL);
    CHECK_OK(sign(&a, &m, &example, T2015));
    CHECK_EQ(m.r.header_count, 2);
    CHECK_STR(header(&m, "x-amz-date")->value, "20150830T123600Z");
    CHECK_STR(header(&m, "authorization")->value,
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
              "SignedHeaders=host;x-amz-date, "
              "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

/* Sign one request; the signature must hold for the other, or not. */
static void check_pair(struct message *one, struct message *other, err_t want)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_OK(sign(&a, one, &example, T2026));
    add_header(other, STR("X-Amz-Date"), header(one, "x-amz-date")->value);
    add_header(other, STR("Authorization"), header(one, "authorization")->value);
    CHECK_ERR(verify(&a, other, T2026), want);
}

static void check_targets(const char *path, const char *query, const char *other_path, const char *other_query,
                          err_t want)
{
    struct message one, other;

    test_context("%s?%s and %s?%s", path, query, other_path, other_query);
    make(&one, "POST", "h", path, query);
    make(&other, "POST", "h", other_path, other_query);
    check_pair(&one, &other, want);
    test_context("%s", "");
}

TEST(sigv4_takes_spellings_of_one_path_for_the_same)
{
    check_targets("/a/b", "", "/a/b", NULL, OK);
    check_targets("", "", "/", "", OK);
    check_targets("/a/b", "", "/a//b", "", OK);
    check_targets("/a/b", "", "/./a/./b", "", OK);
    check_targets("/a/b", "", "/x/../a/b", "", OK);
    check_targets("/a/b", "", "/../a/b", "", OK);
    check_targets("/", "", "/a/b/../..", "", OK);
    check_targets("/a/", "", "/a/b/../", "", OK);
    check_targets("/a%3Ab", "", "/a%3Ab", "", OK);
}

TEST(sigv4_takes_different_paths_for_different)
{
    check_targets("/a/b", "", "/a/b/", "", E_AUTH);
    check_targets("/a/b", "", "/a/c", "", E_AUTH);
    check_targets("/a/b", "", "/a%2Fb", "", E_AUTH);
    check_targets("/a:b", "", "/a%3Ab", "", E_AUTH); /* coded on the wire or not is told apart */
    check_targets("/a%3Ab", "", "/a%253Ab", "", E_AUTH);
    check_targets("/a%3Ab", "", "/a%3ab", "", E_AUTH);
    check_targets("/a/b", "", "/a/%2e/b", "", E_AUTH);
}

TEST(sigv4_compares_queries_decoded_and_sorted)
{
    check_targets("/", "b=2&a=1", "/", "a=1&b=2", OK);
    check_targets("/", "a=2&a=1", "/", "a=1&a=2", OK);
    check_targets("/", "a=%7e", "/", "a=~", OK);
    check_targets("/", "a=/", "/", "a=%2F", OK);
    check_targets("/", "a", "/", "a=", OK);
    check_targets("/", "a=1&&b=2", "/", "a=1&b=2", OK);
    check_targets("/", "a=+", "/", "a=%2B", OK);
    check_targets("/", "a=%20", "/", "a=+", E_AUTH);
    check_targets("/", "a=1", "/", "a=2", E_AUTH);
    check_targets("/", "a=1", "/", "A=1", E_AUTH);
    check_targets("/", "a=1&b=2", "/", "a=2&b=1", E_AUTH);
    check_targets("/", "a=1", "/", "a=1&a=1", E_AUTH);
    check_targets("/", "a=1", "/", "", E_AUTH);
    check_targets("/", "a=1", "/", "a=%1", E_PARSE);
}

/* Two values of headers called X-Amz-Meta; "" for none. */
static void check_values(const char *one_a, const char *one_b, const char *other_a, const char *other_b, err_t want)
{
    struct message one, other;
    const struct str name = STR("X-Amz-Meta");

    make(&one, "POST", "h", "/", NULL);
    make(&other, "POST", "h", "/", NULL);
    add_header(&one, name, str_from_c(one_a));
    add_header(&other, name, str_from_c(other_a));
    if (*one_b)
        add_header(&one, STR("x-amz-meta"), str_from_c(one_b));
    if (*other_b)
        add_header(&other, name, str_from_c(other_b));
    check_pair(&one, &other, want);
}

TEST(sigv4_brings_header_values_into_one_form)
{
    check_values("a b", "", "  a   b ", "", OK);
    check_values("a", "b", "a,b", "", OK);
    check_values("a", "b", "b", "a", E_AUTH);
    check_values("a b", "", "ab", "", E_AUTH);
    check_values("a", "", "a", "a", E_AUTH);
}

TEST(sigv4_lets_headers_that_are_not_signed_change)
{
    struct arena a CLEANUP(arena_release);
    struct message m;

    arena_init(&a, 1 << 20);
    make_converse(&m);
    add_header(&m, STR("user-agent"), STR("one"));
    add_header(&m, STR("X-Amzn-Trace-Id"), STR("one"));
    add_header(&m, STR("Connection"), STR("close"));
    CHECK_OK(sign(&a, &m, &example, T2026));
    header(&m, "user-agent")->value = STR("two");
    header(&m, "x-amzn-trace-id")->value = STR("two");
    header(&m, "connection")->value = STR("keep-alive");
    CHECK_OK(verify(&a, &m, T2026));
}

TEST(sigv4_notices_every_change_of_what_is_signed)
{
    for (int change = 0; change < 10; change++) {
        struct arena a CLEANUP(arena_release);
        struct sigv4_key key = example;
        struct message m;

        arena_init(&a, 1 << 20);
        make_converse(&m);
        key.token = STR("token");
        key.hash_header = change != 6;
        CHECK_OK(sign(&a, &m, &key, T2026));
        CHECK_OK(verify(&a, &m, T2026));
        struct str *authorization = &header(&m, "authorization")->value;
        char *own = (char *)(uintptr_t)arena_str(&a, *authorization).p;
        size_t signature = authorization->n - 1, region = str_find(*authorization, STR("us-east-1"));
        authorization->p = own;
        switch (change) {
        case 0:
            m.r.method = STR("PUT");
            break;
        case 1:
            m.r.host = STR("bedrock-runtime.us-east-2.amazonaws.com");
            break;
        case 2:
            m.r.path = STR("/model/anthropic.claude-test-v1%3A1/converse");
            break;
        case 3:
            m.r.query = STR("a=b");
            break;
        case 4:
            header(&m, "content-type")->value = STR("text/plain");
            break;
        case 5: /* its hash is told */
        case 6: /* and is not       */
            set_body(&m, STR("{}"));
            break;
        case 7:
            header(&m, "x-amz-date")->value = STR("20260102T030406Z");
            break;
        case 8:
            own[region] = 'x';
            break;
        case 9:
            own[signature] = own[signature] == '0' ? '1' : '0';
            break;
        }
        test_context("change %d", change);
        CHECK_ERR(verify(&a, &m, T2026), E_AUTH);
    }
}

TEST(sigv4_refuses_another_secret)
{
    struct arena a CLEANUP(arena_release);
    struct sigv4_claim claim;
    struct message m;

    arena_init(&a, 1 << 20);
    make_converse(&m);
    CHECK_OK(sign(&a, &m, &example, T2026));
    CHECK_OK(sigv4_read(header(&m, "authorization")->value, &claim));
    CHECK_OK(sigv4_verify(&a, &m.r, &claim, example.secret, T2026));
    CHECK_ERR(sigv4_verify(&a, &m.r, &claim, STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ"), T2026), E_AUTH);
    CHECK_ERR(sigv4_verify(&a, &m.r, &claim, STR(""), T2026), E_AUTH);
}

TEST(sigv4_is_valid_for_five_minutes_either_way)
{
    struct arena a CLEANUP(arena_release);
    struct message m;

    arena_init(&a, 1 << 20);
    make_converse(&m);
    CHECK_OK(sign(&a, &m, &example, T2026));
    CHECK_OK(verify(&a, &m, T2026 + 300));
    CHECK_OK(verify(&a, &m, T2026 - 300));
    CHECK_ERR(verify(&a, &m, T2026 + 301), E_FORBIDDEN);
    CHECK_ERR(verify(&a, &m, T2026 - 301), E_FORBIDDEN);
    CHECK_ERR(verify(&a, &m, T2026 + 86400), E_FORBIDDEN);
}

/* The header `name` is as given when the request is verified; NULL: it is missing. */
static void check_header(const char *name, const char *value, err_t want)
{
    struct arena a CLEANUP(arena_release);
    struct sigv4_key key = example;
    struct message m;

    arena_init(&a, 1 << 20);
    make_converse(&m);
    key.hash_header = true;
    CHECK_OK(sign(&a, &m, &key, T2026));
    if (value)
        header(&m, name)->value = str_from_c(value);
    else
        header(&m, name)->name = STR("x-other");
    test_context("%s: %s", name, value ? value : "(none)");
    CHECK_ERR(verify(&a, &m, T2026), want);
    test_context("%s", "");
}

TEST(sigv4_refuses_dates_that_are_none)
{
    static const char *const bad[] = {
        "",
        "20260102",
        "20260102T030405",
        "20260102T030405Z0",
        "20260102 030405Z",
        "20260102T030405z",
        "2026010xT030405Z",
        "20261302T030405Z",
        "20260002T030405Z",
        "20260132T030405Z",
        "20260102T240405Z",
        "20260102T036005Z",
        "20260102T030461Z",
        "+0260102T030405Z",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_header("x-amz-date", bad[i], E_PARSE);
    check_header("x-amz-date", NULL, E_PARSE);
    check_header("x-amz-date", "20260103T030405Z", E_PARSE); /* not the day of the scope */
}

TEST(sigv4_has_no_june_31)
{
    struct arena a CLEANUP(arena_release);
    struct sigv4_claim claim;
    struct message m;

    arena_init(&a, 1 << 20);
    make(&m, "GET", "h", "/", NULL);
    CHECK_OK(sigv4_read(STR("AWS4-HMAC-SHA256 Credential=A/20260631/r/s/aws4_request,SignedHeaders=host;x-amz-date,"
                            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
                        &claim));
    add_header(&m, STR("x-amz-date"), STR("20260631T000000Z"));
    CHECK_ERR(sigv4_verify(&a, &m.r, &claim, example.secret, 1782864000 /* July 1 */), E_PARSE);
}

TEST(sigv4_needs_the_signed_headers_and_the_right_hash)
{
    check_header("content-type", NULL, E_AUTH);
    check_header("x-amz-content-sha256", NULL, E_AUTH);
    check_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD", E_AUTH);
    check_header("x-amz-content-sha256", "", E_AUTH);
}

/* As AWS's SDK for JavaScript signs for HTTP/2. */
TEST(sigv4_takes_the_authority_of_http2_for_the_host)
{
    struct arena a CLEANUP(arena_release);
    struct message m;

    arena_init(&a, 1 << 20);
    make_converse(&m);
    add_header(&m, STR("x-amz-date"), STR("20260102T030405Z"));
    add_header(&m, STR("authorization"),
               STR("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/service/aws4_request, "
                   "SignedHeaders=:authority;content-type;x-amz-date, "
                   "Signature=7e7b9e00cbfba9fad1e33b655093594ccbbfd817e841e63f2354035d5604c196"));
    CHECK_OK(verify(&a, &m, T2026));
    m.r.host = STR("bedrock-runtime.us-east-2.amazonaws.com");
    CHECK_ERR(verify(&a, &m, T2026), E_AUTH);
}

/* A hash that is not signed must fit as well, and there cannot be two dates. */
TEST(sigv4_does_not_trust_what_is_not_signed)
{
    struct arena a CLEANUP(arena_release);
    struct message m;

    arena_init(&a, 1 << 20);
    make_converse(&m);
    CHECK_OK(sign(&a, &m, &example, T2026));
    size_t n = m.r.header_count;
    add_header(&m, STR("X-Amz-Content-Sha256"), STR("UNSIGNED-PAYLOAD"));
    CHECK_ERR(verify(&a, &m, T2026), E_AUTH);
    m.r.header_count = n;
    add_header(&m, STR("X-Amz-Date"), STR("20260102T030405Z"));
    CHECK_ERR(verify(&a, &m, T2026), E_PARSE);
}

static void check_claim(const char *authorization, err_t want)
{
    struct sigv4_claim claim;

    test_context("%s", authorization);
    CHECK_ERR(sigv4_read(str_from_c(authorization), &claim), want);
    test_context("%s", "");
}

#define CREDENTIAL "Credential=AKID/20260102/us-east-1/bedrock/aws4_request"
#define HEADERS "SignedHeaders=content-type;host;x-amz-date"
#define SIGNATURE "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

TEST(sigv4_reads_claims)
{
    struct sigv4_claim c;

    CHECK_OK(sigv4_read(STR("AWS4-HMAC-SHA256 " CREDENTIAL ", " HEADERS ", " SIGNATURE), &c));
    CHECK_STR(c.access_key, "AKID");
    CHECK_STR(c.scope, "20260102/us-east-1/bedrock/aws4_request");
    CHECK_STR(c.date, "20260102");
    CHECK_STR(c.region, "us-east-1");
    CHECK_STR(c.service, "bedrock");
    CHECK_STR(c.signed_headers, "content-type;host;x-amz-date");
    CHECK_STR(c.signature, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    check_claim("AWS4-HMAC-SHA256 " SIGNATURE "," HEADERS "," CREDENTIAL, OK);
    CHECK(sigv4_is_claim(STR("AWS4-HMAC-SHA256 x")));
    CHECK(sigv4_is_claim(STR("AWS4-HMAC-SHA256")));
    CHECK(!sigv4_is_claim(STR("AWS4-HMAC-SHA2567 x")));
    CHECK(!sigv4_is_claim(STR("Bearer x")));
    CHECK(!sigv4_is_claim(STR_NONE));
}

TEST(sigv4_refuses_malformed_claims)
{
    static const char *const bad[] = {
        "",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 " HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL "," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS,
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS "," SIGNATURE ",",
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS "," SIGNATURE ",x=y",
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS "," SIGNATURE "," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS "," SIGNATURE "0",
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS ",Signature",
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS ",Signature=",
        "AWS4-HMAC-SHA256 " CREDENTIAL "," HEADERS
        ",Signature=zfa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=;host," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;content-type," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;host," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=Host," SIGNATURE,
        "AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=ho st," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/bedrock/aws4_requesT," HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/bedrock/aws4_request/," HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/bedrock," HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1//aws4_request," HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=AKID/20260102//bedrock/aws4_request," HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=AKID/2026010/us-east-1/bedrock/aws4_request," HEADERS "," SIGNATURE,
        "AWS4-HMAC-SHA256 Credential=/20260102/us-east-1/bedrock/aws4_request," HEADERS "," SIGNATURE,
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_claim(bad[i], E_PARSE);
}

/* What is signed must cover where the request goes to, and when. */
TEST(sigv4_requires_host_and_date_to_be_signed)
{
    static const char *const sets[] = {"content-type", "host", "x-amz-date", "content-type;hosts;x-amz-date"};

    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct arena a CLEANUP(arena_release);
        struct sigv4_claim claim;
        struct message m;

        arena_init(&a, 1 << 20);
        make_converse(&m);
        CHECK_OK(sign(&a, &m, &example, T2026));
        CHECK_OK(sigv4_read(header(&m, "authorization")->value, &claim));
        claim.signed_headers = str_from_c(sets[i]);
        CHECK_ERR(sigv4_verify(&a, &m.r, &claim, example.secret, T2026), E_PARSE);
    }
}

TEST(sigv4_refuses_what_exceeds_its_limits)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct http_header added[SIGV4_HEADERS_ADDED], many[200];
    struct sigv4_claim claim;
    struct message m;
    size_t n;

    arena_init(&a, 1 << 22);
    make(&m, "GET", "h", "/", NULL);
    while (b.n <= SIGV4_AUTHORIZATION_MAX)
        (void)buf_add_lit(&b, "AWS4-HMAC-SHA256 a=b,");
    CHECK_ERR(sigv4_read(buf_str(&b), &claim), E_TOO_LARGE);
    buf_clear(&b);
    for (int i = 0; i < SIGV4_PARAMETERS_MAX; i++)
        (void)buf_addf(&b, "%s%d=x", i ? "&" : "", i);
    m.r.query = buf_str(&b);
    CHECK_OK(sigv4_sign(&a, &m.r, &example, T2026, added, &n));
    (void)buf_add_lit(&b, "&last=x");
    m.r.query = buf_str(&b);
    CHECK_ERR(sigv4_sign(&a, &m.r, &example, T2026, added, &n), E_TOO_LARGE);
    make(&m, "GET", "h", "/", NULL);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct http_header){STR("x-amz-meta"), STR("v")};
    m.r.headers = many;
    m.r.header_count = ARRAY_LEN(many);
    CHECK_ERR(sigv4_sign(&a, &m.r, &example, T2026, added, &n), E_TOO_LARGE);
    buf_clear(&b);
    while (b.n <= SIGV4_CANONICAL_MAX)
        (void)buf_add_lit(&b, "/a-segment-of-a-path");
    make(&m, "GET", "h", "/", NULL);
    m.r.path = buf_str(&b);
    CHECK_ERR(sigv4_sign(&a, &m.r, &example, T2026, added, &n), E_TOO_LARGE);
}

/* Amazon S3's API reference, "Signature Calculations for the Authorization Header", examples: what is coded once on the wire is not coded again. */
TEST(sigv4_agrees_on_requests_of_s3)
{
    struct arena a CLEANUP(arena_release);
    struct sigv4_claim claim;
    struct message m;

    arena_init(&a, SIZE_MAX);
    make(&m, "PUT", "examplebucket.s3.amazonaws.com", "/test%24file.text", NULL);
    add_header(&m, STR("date"), STR("Fri, 24 May 2013 00:00:00 GMT"));
    add_header(&m, STR("x-amz-date"), STR("20130524T000000Z"));
    add_header(&m, STR("x-amz-storage-class"), STR("REDUCED_REDUNDANCY"));
    add_header(&m, STR("x-amz-content-sha256"),
               STR("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"));
    set_body(&m, STR("Welcome to Amazon S3."));
    CHECK_OK(sigv4_read(STR("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                            "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
                            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
                        &claim));
    CHECK_OK(sigv4_verify(&a, &m.r, &claim, STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), 1369353600));
    m.r.path = STR("/test%2524file.text");
    CHECK_ERR(sigv4_verify(&a, &m.r, &claim, STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), 1369353600), E_AUTH);
}

/* Objects may be called anything: their paths are not tidied. */
TEST(sigv4_takes_paths_of_s3_as_they_are)
{
    struct arena a CLEANUP(arena_release);
    struct sigv4_key key = example;
    struct sigv4_claim claim;
    struct message m;

    arena_init(&a, SIZE_MAX);
    key.service = STR("s3");
    make(&m, "GET", "s3.example", "/bucket/a//b", NULL);
    CHECK_OK(sign(&a, &m, &key, T2026));
    CHECK_OK(sigv4_read(m.headers[m.r.header_count - 1].value, &claim));
    CHECK_OK(sigv4_verify(&a, &m.r, &claim, key.secret, T2026));
    m.r.path = STR("/bucket/a/b");
    CHECK_ERR(sigv4_verify(&a, &m.r, &claim, key.secret, T2026), E_AUTH);
}
