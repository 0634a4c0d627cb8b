/*
 * http1_write.c - heads to bytes, chunk heads, dates.
 *
 * Every name and value is checked where it was written, sixteen bytes at a time: a line end that came in through a
 * configuration, a provider's answer or a client's header must not become a second header or a second message.
 * Nothing here decides which headers a message needs.
 */
#include "codec/http1.h"

#include "base/date.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* --- checks --- */

static bool is_value_byte(unsigned char c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static bool is_name_byte(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != ':';
}

enum { BLOCK = 16 };

/* Half of a block is eight bytes: of a text that is longer, the last ones are looked at twice. */
#if defined(__SSE2__)
static inline int bad_in_value(__m128i x)
{
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    __m128i tab = _mm_cmpeq_epi8(x, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));

    return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
}

static inline int good_in_name(__m128i x)
{
    __m128i printable = _mm_cmpgt_epi8(x, _mm_set1_epi8(0x20)); /* signed: false from 0x80 on */
    __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(':')), _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));

    return _mm_movemask_epi8(_mm_andnot_si128(bad, printable));
}

static bool value_block(const char *p)
{
    return bad_in_value(_mm_loadu_si128((const void *)p)) == 0;
}

static bool value_half(const char *p)
{
    return (bad_in_value(_mm_loadl_epi64((const void *)p)) & 0xff) == 0;
}

/* Of the first n bytes of the sixteen at p: is there one that cannot stand there? */
static inline bool is_bad_line(const char *p, size_t n)
{
    unsigned first = n < 16 ? (1U << n) - 1 : 0xffff;

    return (unsigned)bad_in_value(_mm_loadu_si128((const void *)p)) & first;
}

static inline bool is_bad_name(const char *p, size_t n)
{
    unsigned first = n < 16 ? (1U << n) - 1 : 0xffff;

    return ~(unsigned)good_in_name(_mm_loadu_si128((const void *)p)) & first;
}
#elif defined(__aarch64__)
static bool value_block(const char *p)
{
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t control = vbicq_u8(vcltq_u8(x, vdupq_n_u8(0x20)), vceqq_u8(x, vdupq_n_u8('\t')));

    return vmaxvq_u8(vorrq_u8(control, vceqq_u8(x, vdupq_n_u8(0x7f)))) == 0;
}

static bool value_half(const char *p)
{
    uint8x8_t x = vld1_u8((const uint8_t *)p);
    uint8x8_t control = vbic_u8(vclt_u8(x, vdup_n_u8(0x20)), vceq_u8(x, vdup_n_u8('\t')));

    return vmaxv_u8(vorr_u8(control, vceq_u8(x, vdup_n_u8(0x7f)))) == 0;
}

/* The first n of sixteen bytes. */
static inline uint8x16_t first_bytes(size_t n)
{
    static const uint8_t order[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    return vcltq_u8(vld1q_u8(order), vdupq_n_u8(n < 16 ? (uint8_t)n : 16));
}

static inline bool is_bad_line(const char *p, size_t n)
{
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t control = vbicq_u8(vcltq_u8(x, vdupq_n_u8(0x20)), vceqq_u8(x, vdupq_n_u8('\t')));

    return vmaxvq_u8(vandq_u8(vorrq_u8(control, vceqq_u8(x, vdupq_n_u8(0x7f))), first_bytes(n))) != 0;
}

static inline bool is_bad_name(const char *p, size_t n)
{
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t bad = vorrq_u8(vcleq_u8(x, vdupq_n_u8(0x20)), vcgeq_u8(x, vdupq_n_u8(0x7f)));

    return vmaxvq_u8(vandq_u8(vorrq_u8(bad, vceqq_u8(x, vdupq_n_u8(':'))), first_bytes(n))) != 0;
}
#else
static bool all_are(bool (*fits)(unsigned char), const char *p, int n)
{
    bool fine = true;

    for (int i = 0; i < n; i++)
        fine &= fits((unsigned char)p[i]);
    return fine;
}

static bool value_block(const char *p)
{
    return all_are(is_value_byte, p, 16);
}

static bool value_half(const char *p)
{
    return all_are(is_value_byte, p, 8);
}

static bool is_bad_line(const char *p, size_t n)
{
    return !all_are(is_value_byte, p, n < 16 ? (int)n : 16);
}

static bool is_bad_name(const char *p, size_t n)
{
    return !all_are(is_name_byte, p, n < 16 ? (int)n : 16);
}
#endif

bool http1_is_value(struct str s)
{
    if (s.n >= 16) {
        for (size_t i = 0; i + 16 < s.n; i += 16)
            if (!value_block(s.p + i))
                return false;
        return value_block(s.p + s.n - 16);
    }
    if (s.n >= 8)
        return value_half(s.p) && value_half(s.p + s.n - 8);
    for (size_t i = 0; i < s.n; i++)
        if (!is_value_byte((unsigned char)s.p[i]))
            return false;
    return true;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_byte((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

/* A request target has no blank, no control byte and nothing beyond ASCII; ':' is fine in it. */
static bool is_target(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_byte((unsigned char)s.p[i]) && s.p[i] != ':')
            return false;
    return s.n > 0;
}

/* --- lines --- */

static char *put(char *to, struct str s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static err_t no_room(const struct buf *b)
{
    return fail(E_TOO_LARGE, "a message head of more than %zu bytes", b->max);
}

err_t http1_write_request_line(struct buf *b, struct str method, struct str target)
{
    if (!is_name(method) || !is_target(target))
        return fail(E_PARSE, "a request line cannot hold this method or target");
    char *to = buf_reserve(b, method.n + target.n + 12);
    if (!to)
        return no_room(b);
    to = put(to, method);
    *to++ = ' ';
    to = put(to, target);
    to = put(to, STR(" HTTP/1.1\r\n"));
    b->n = (size_t)(to - b->p);
    return OK;
}

err_t http1_write_status_line(struct buf *b, int status)
{
    struct str reason = http_reason(status);

    if (status < 100 || status > 999)
        return fail(E_PARSE, "%d is not an HTTP status", status);
    char *to = buf_reserve(b, reason.n + 15);
    if (!to)
        return no_room(b);
    to = put(to, STR("HTTP/1.1 "));
    *to++ = (char)('0' + status / 100);
    *to++ = (char)('0' + status / 10 % 10);
    *to++ = (char)('0' + status % 10);
    *to++ = ' ';
    to = put(to, reason);
    to = put(to, STR("\r\n"));
    b->n = (size_t)(to - b->p);
    return OK;
}

/* Of a header as it was written, with BLOCK bytes behind it that can be read. */
static inline bool is_header(const char *line, size_t name_n, size_t n)
{
    bool bad = name_n == 0;

    for (size_t i = 0; i < name_n; i += BLOCK)
        bad |= is_bad_name(line + i, name_n - i);
    for (size_t i = 0; i < n; i += BLOCK)
        bad |= is_bad_line(line + i, n - i);
    return !bad;
}

err_t http1_write_header(struct buf *b, struct str name, struct str value)
{
    char *line = buf_reserve(b, name.n + value.n + 4 + BLOCK);
    if (!line)
        return no_room(b);
    char *to = put(line, name);
    *to++ = ':';
    *to++ = ' ';
    to = put(to, value);
    if (UNLIKELY(!is_header(line, name.n, (size_t)(to - line))))
        return fail(E_PARSE, "a header cannot hold this name or value");
    *to++ = '\r';
    *to++ = '\n';
    b->n = (size_t)(to - b->p);
    return OK;
}

err_t http1_write_header_u64(struct buf *b, struct str name, uint64_t value)
{
    char digits[DECIMAL_MAX];

    return http1_write_header(b, name, str_of(digits, (size_t)(decimal_put(digits, value) - digits)));
}

/* --- heads --- */

static err_t write_headers(struct buf *b, const struct http_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(http1_write_header(b, headers[i].name, headers[i].value));
    return buf_add_lit(b, "\r\n");
}

err_t http1_write_request_head(struct buf *b, struct str method, struct str target, const struct http_header *headers,
                               size_t count)
{
    size_t before = b->n;
    err_t e = http1_write_request_line(b, method, target);
    if (e == OK)
        e = write_headers(b, headers, count);
    if (e != OK)
        b->n = before;
    return e;
}

err_t http1_write_response_head(struct buf *b, int status, const struct http_header *headers, size_t count)
{
    size_t before = b->n;
    err_t e = http1_write_status_line(b, status);
    if (e == OK)
        e = write_headers(b, headers, count);
    if (e != OK)
        b->n = before;
    return e;
}

size_t http1_chunk_head(char out[HTTP1_CHUNK_HEAD_MAX], size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t digits = 1;

    while (digits < 16 && n >> (4 * digits))
        digits++;
    for (size_t i = 0; i < digits; i++)
        out[i] = hex[n >> (4 * (digits - 1 - i)) & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}

/* --- words --- */

struct str http_reason(int status)
{
    switch (status) {
#define REASON(code, text)                                                                                             \
    case code:                                                                                                         \
        return STR(text);
        REASON(100, "Continue")
        REASON(101, "Switching Protocols")
        REASON(102, "Processing")
        REASON(103, "Early Hints")
        REASON(200, "OK")
        REASON(201, "Created")
        REASON(202, "Accepted")
        REASON(203, "Non-Authoritative Information")
        REASON(204, "No Content")
        REASON(205, "Reset Content")
        REASON(206, "Partial Content")
        REASON(300, "Multiple Choices")
        REASON(301, "Moved Permanently")
        REASON(302, "Found")
        REASON(303, "See Other")
        REASON(304, "Not Modified")
        REASON(307, "Temporary Redirect")
        REASON(308, "Permanent Redirect")
        REASON(400, "Bad Request")
        REASON(401, "Unauthorized")
        REASON(402, "Payment Required")
        REASON(403, "Forbidden")
        REASON(404, "Not Found")
        REASON(405, "Method Not Allowed")
        REASON(406, "Not Acceptable")
        REASON(407, "Proxy Authentication Required")
        REASON(408, "Request Timeout")
        REASON(409, "Conflict")
        REASON(410, "Gone")
        REASON(411, "Length Required")
        REASON(412, "Precondition Failed")
        REASON(413, "Content Too Large")
        REASON(414, "URI Too Long")
        REASON(415, "Unsupported Media Type")
        REASON(416, "Range Not Satisfiable")
        REASON(417, "Expectation Failed")
        REASON(421, "Misdirected Request")
        REASON(422, "Unprocessable Content")
        REASON(424, "Failed Dependency")
        REASON(425, "Too Early")
        REASON(426, "Upgrade Required")
        REASON(428, "Precondition Required")
        REASON(429, "Too Many Requests")
        REASON(431, "Request Header Fields Too Large")
        REASON(451, "Unavailable For Legal Reasons")
        REASON(499, "Client Closed Request")
        REASON(500, "Internal Server Error")
        REASON(501, "Not Implemented")
        REASON(502, "Bad Gateway")
        REASON(503, "Service Unavailable")
        REASON(504, "Gateway Timeout")
        REASON(505, "HTTP Version Not Supported")
        REASON(507, "Insufficient Storage")
        REASON(529, "Site Is Overloaded")
#undef REASON
    default:
        return STR("Unknown");
    }
}

static char *two(char *to, int v)
{
    *to++ = (char)('0' + v / 10);
    *to++ = (char)('0' + v % 10);
    return to;
}

void http_date(char out[HTTP_DATE_LEN], int64_t unix_seconds)
{
    static const char days[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    enum { LAST = 253402300799 / 86400 }; /* 9999-12-31 */
    int64_t day = unix_seconds < 0 ? 0 : unix_seconds / 86400;
    int seconds = unix_seconds < 0 ? 0 : (int)(unix_seconds % 86400);
    struct date date = date_of_day(day > LAST ? LAST : day);

    char *to = put(out, str_of(days + day % 7 * 3, 3));
    to = put(to, STR(", "));
    to = two(to, date.day);
    *to++ = ' ';
    to = put(to, str_of(months + (date.month - 1) * 3, 3));
    *to++ = ' ';
    to = two(to, date.year / 100);
    to = two(to, date.year % 100);
    *to++ = ' ';
    to = two(to, seconds / 3600);
    *to++ = ':';
    to = two(to, seconds / 60 % 60);
    *to++ = ':';
    to = two(to, seconds % 60);
    (void)put(to, STR(" GMT"));
}
