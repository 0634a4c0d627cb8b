/*
 * http1_names.c - header names with a number: the gateway looks up the same dozen of names in every message.
 *
 * A perfect hash over length, first, middle and last character gives at most one candidate, which is then compared.
 * Everything here works on names that are tokens (RFC 9110, 5.6.2), for which setting bit 5 of every byte is a sound
 * way to ignore case: of two tokens that agree under it, one that is in the table has letters, digits and '-' only, and
 * no other token character maps there.
 */
#include "codec/http1.h"

enum { HASH_BITS = 7 };

static const struct str names[HDR_COUNT] = {[HDR_OTHER] = {"", 0},
#define HDR(id, name) [HDR_##id] = STR_INIT(name),
                                            HTTP_KNOWN_HEADERS
#undef HDR
};

/* Slot of each name; every other slot is HDR_OTHER, whose name is empty. */
static const uint8_t slots[1 << HASH_BITS] = {
    [5] = HDR_X_FORWARDED_FOR,
    [6] = HDR_PROXY_CONNECTION,
    [15] = HDR_CONTENT_TYPE,
    [16] = HDR_USER_AGENT,
    [18] = HDR_ANTHROPIC_VERSION,
    [20] = HDR_AUTHORIZATION,
    [27] = HDR_EXPECT,
    [33] = HDR_TRAILER,
    [35] = HDR_ACCEPT_ENCODING,
    [36] = HDR_SERVER,
    [37] = HDR_OPENAI_PROJECT,
    [38] = HDR_TRANSFER_ENCODING,
    [39] = HDR_RETRY_AFTER,
    [45] = HDR_X_GOOG_API_KEY,
    [46] = HDR_CONNECTION,
    [47] = HDR_ACCEPT,
    [52] = HDR_ORIGIN,
    [54] = HDR_RETRY_AFTER_MS,
    [55] = HDR_OPENAI_ORGANIZATION,
    [56] = HDR_TRACEPARENT,
    [57] = HDR_TRACESTATE,
    [59] = HDR_HOST,
    [61] = HDR_VARY,
    [62] = HDR_DATE,
    [63] = HDR_X_API_KEY,
    [65] = HDR_API_KEY,
    [75] = HDR_CONTENT_ENCODING,
    [78] = HDR_KEEP_ALIVE,
    [81] = HDR_X_SHOULD_RETRY,
    [83] = HDR_PROXY_AUTHORIZATION,
    [85] = HDR_LOCATION,
    [92] = HDR_TE,
    [99] = HDR_X_REQUEST_ID,
    [108] = HDR_IDEMPOTENCY_KEY,
    [120] = HDR_CONTENT_LENGTH,
    [123] = HDR_COOKIE,
    [124] = HDR_ANTHROPIC_BETA,
    [126] = HDR_UPGRADE,
};

static inline uint32_t lower(char c)
{
    return (unsigned char)c | 0x20U;
}

static inline uint32_t slot_of(struct str name)
{
    uint32_t mix =
        (uint32_t)name.n << 24 ^ lower(name.p[0]) << 16 ^ lower(name.p[name.n / 2]) << 8 ^ lower(name.p[name.n - 1]);

    return mix * 0xa8c27663U >> (32 - HASH_BITS);
}

static inline uint64_t load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* Are the `n` > 0 bytes of the token `p` those of the lower-case `known`? */
static inline bool same_token(const char *p, const char *known, size_t n)
{
    const uint64_t bit5 = 0x2020202020202020U;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        if ((load8(p + i) | bit5) != load8(known + i))
            return false;
    if (i == n)
        return true;
    if (n >= 8) /* the last eight, some of them for the second time */
        return (load8(p + n - 8) | bit5) == load8(known + n - 8);
    for (; i < n; i++)
        if (lower(p[i]) != (unsigned char)known[i])
            return false;
    return true;
}

enum http_known http_known_of(struct str name)
{
    if (name.n == 0)
        return HDR_OTHER;
    enum http_known id = slots[slot_of(name)];
    if (names[id].n != name.n || !same_token(name.p, names[id].p, name.n))
        return HDR_OTHER;
    return id;
}

struct str http_known_name(enum http_known id)
{
    return names[id];
}

void http_head_index(struct http_head *head)
{
    memset(head->known, 0, sizeof head->known);
    for (size_t i = 0; i < head->count; i++) {
        enum http_known id = http_known_of(head->headers[i].name);
        if (!head->known[id])
            head->known[id] = (uint16_t)(i + 1);
    }
    head->known[HDR_OTHER] = 0;
}

size_t http_head_next(const struct http_head *head, struct str name, size_t from)
{
    while (from < head->count && !str_eq_nocase(head->headers[from].name, name))
        from++;
    return from;
}

struct str http_head_find(const struct http_head *head, struct str name)
{
    enum http_known id = http_known_of(name);
    if (id != HDR_OTHER)
        return http_head_get(head, id);
    size_t i = http_head_next(head, name, 0);
    return i < head->count ? head->headers[i].value : STR_NONE;
}

bool http_is_connections(struct str name)
{
    static const char *const those[] = {"host",    "content-length", "transfer-encoding", "connection",       "te",
                                        "trailer", "upgrade",        "keep-alive",        "proxy-connection", "expect"};

    for (size_t i = 0; i < ARRAY_LEN(those); i++)
        if (str_eq_nocase(name, str_from_c(those[i])))
            return true;
    return false;
}
