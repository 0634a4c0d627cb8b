/*
 * http1_fast.c - the parts of an ordinary head, sixteen bytes at a time.
 *
 * Nearly every head arrives in one piece, from a client library that writes heads the usual way. For these llhttp's step
 * per byte is the largest cost on the way of a small request, so this file finds the parts of such heads alone. It decides
 * nothing: whatever is not plainly well-formed (another method, a name with a character other than letters, digits and '-', a
 * tab or another control byte, a bare CR, a head that is cut) is left to llhttp, which then judges it from its
 * first byte. So the only promise to keep is that this file never takes what llhttp refuses, nor sees other parts in
 * it; the fuzz target `http1` compares the two.
 *
 * Meaning (lengths, codings, hosts) is checked in http1.c, for both.
 */
#include "codec/http1_int.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { BLOCK = 16 };

/* --- classes of sixteen bytes: index of the first byte that ends a run, BLOCK if there is none --- */

#if defined(__SSE2__)
typedef __m128i block_t;

static inline block_t load(const char *p)
{
    return _mm_loadu_si128((const void *)p);
}

/* `stop` has 0xff where the run ends. */
static inline unsigned first(block_t stop)
{
    return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(stop) | 1U << BLOCK);
}

static inline block_t between(block_t x, char low, char high)
{
    return _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8((char)(low - 1))),
                         _mm_cmplt_epi8(x, _mm_set1_epi8((char)(high + 1))));
}

static inline unsigned end_of_name(block_t x)
{
    block_t letter = between(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z');
    block_t other = _mm_or_si128(between(x, '0', '9'), _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));

    return first(_mm_xor_si128(_mm_or_si128(letter, other), _mm_set1_epi8(-1)));
}

static inline unsigned end_of_value(block_t x)
{
    block_t control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);

    return first(_mm_or_si128(control, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f))));
}

static inline unsigned end_of_target(block_t x)
{
    block_t hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));

    return first(_mm_or_si128(hash, _mm_xor_si128(between(x, '!', '~'), _mm_set1_epi8(-1))));
}
#elif defined(__aarch64__)
typedef uint8x16_t block_t;

static inline block_t load(const char *p)
{
    return vld1q_u8((const uint8_t *)p);
}

/* Four bits for each byte, since there is no movemask. */
static inline unsigned first(block_t stop)
{
    uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(stop), 4)), 0);
    return mask ? (unsigned)__builtin_ctzll(mask) / 4 : BLOCK;
}

static inline block_t between(block_t x, uint8_t low, uint8_t high)
{
    return vcleq_u8(vsubq_u8(x, vdupq_n_u8(low)), vdupq_n_u8((uint8_t)(high - low)));
}

static inline unsigned end_of_name(block_t x)
{
    block_t letter = between(vorrq_u8(x, vdupq_n_u8(0x20)), 'a', 'z');
    block_t other = vorrq_u8(between(x, '0', '9'), vceqq_u8(x, vdupq_n_u8('-')));

    return first(vmvnq_u8(vorrq_u8(letter, other)));
}

static inline unsigned end_of_value(block_t x)
{
    return first(vorrq_u8(vcltq_u8(x, vdupq_n_u8(0x20)), vceqq_u8(x, vdupq_n_u8(0x7f))));
}

static inline unsigned end_of_target(block_t x)
{
    return first(vorrq_u8(vceqq_u8(x, vdupq_n_u8('#')), vmvnq_u8(between(x, '!', '~'))));
}
#else
typedef struct {
    unsigned char c[BLOCK];
} block_t;

static inline block_t load(const char *p)
{
    block_t x;

    memcpy(x.c, p, BLOCK);
    return x;
}

static inline unsigned end_of_name(block_t x)
{
    unsigned i = 0;

    while (i < BLOCK &&
           ((x.c[i] >= '0' && x.c[i] <= '9') || ((x.c[i] | 0x20) >= 'a' && (x.c[i] | 0x20) <= 'z') || x.c[i] == '-'))
        i++;
    return i;
}

static inline unsigned end_of_value(block_t x)
{
    unsigned i = 0;

    while (i < BLOCK && x.c[i] >= 0x20 && x.c[i] != 0x7f)
        i++;
    return i;
}

static inline unsigned end_of_target(block_t x)
{
    unsigned i = 0;

    while (i < BLOCK && x.c[i] >= '!' && x.c[i] <= '~' && x.c[i] != '#')
        i++;
    return i;
}
#endif

/* The block at p; behind `end` it is filled with NUL, which ends every run. */
static inline block_t block_at(const char *p, const char *end)
{
    char last[BLOCK] = {0};

    if (LIKELY(end - p >= BLOCK))
        return load(p);
    memcpy(last, p, (size_t)(end - p));
    return load(last);
}

static const char *skip_name(const char *p, const char *end)
{
    unsigned n;

    do
        p += n = end_of_name(block_at(p, end));
    while (n == BLOCK);
    return p;
}

static const char *skip_value(const char *p, const char *end)
{
    unsigned n;

    do
        p += n = end_of_value(block_at(p, end));
    while (n == BLOCK);
    return p;
}

static const char *skip_target(const char *p, const char *end)
{
    unsigned n;

    do
        p += n = end_of_target(block_at(p, end));
    while (n == BLOCK);
    return p;
}

/* --- the start line --- */

static const char *after(const char *p, const char *end, struct str word)
{
    return (size_t)(end - p) >= word.n && memcmp(p, word.p, word.n) == 0 ? p + word.n : NULL;
}

static const char *method(const char *p, const char *end)
{
    static const struct str methods[] = {STR_INIT("POST "),   STR_INIT("GET "),   STR_INIT("PUT "),
                                         STR_INIT("DELETE "), STR_INIT("PATCH "), STR_INIT("HEAD "),
                                         STR_INIT("OPTIONS ")};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        const char *behind = after(p, end, methods[i]);
        if (behind)
            return behind;
    }
    return NULL;
}

/* "1\r\n" or "0\r\n" behind "HTTP/1.". */
static const char *minor_version(const char *p, const char *end, struct http1_layout *l)
{
    if (end - p < 1 || (*p != '0' && *p != '1'))
        return NULL;
    l->minor = *p - '0';
    return p + 1;
}

static const char *request_line(const char *start, const char *end, struct http1_layout *l)
{
    const char *p = method(start, end);
    if (!p || p == end || *p != '/')
        return NULL;
    l->target = (uint32_t)(p - start);
    p = skip_target(p, end);
    l->target_n = (uint32_t)(p - start) - l->target;
    p = after(p, end, STR(" HTTP/1."));
    p = p ? minor_version(p, end, l) : NULL;
    return p ? after(p, end, STR("\r\n")) : NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *status_line(const char *start, const char *end, struct http1_layout *l)
{
    const char *p = after(start, end, STR("HTTP/1."));
    p = p ? minor_version(p, end, l) : NULL;
    if (!p || end - p < 5 || p[0] != ' ' || !is_digit(p[1]) || !is_digit(p[2]) || !is_digit(p[3]) || p[4] != ' ')
        return NULL;
    l->status = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
    p += 5;
    l->reason = (uint32_t)(p - start);
    p = skip_value(p, end);
    l->reason_n = (uint32_t)(p - start) - l->reason;
    return after(p, end, STR("\r\n"));
}

/* --- the head --- */

/* One header line. NULL if it is not plain. */
static inline const char *header_line(const char *start, const char *p, const char *end, struct http1_layout *l)
{
    const char *name = p;

    p = skip_name(p, end);
    if (p == name || p == end || *p != ':' || l->span_n == l->span_max)
        return NULL;
    uint32_t name_n = (uint32_t)(p - name);
    p++;
    while (p < end && *p == ' ')
        p++;
    const char *value = p;
    p = skip_value(p, end);
    l->spans[l->span_n++] =
        (struct http1_span){(uint32_t)(name - start), name_n, (uint32_t)(value - start), (uint32_t)(p - value)};
    return after(p, end, STR("\r\n"));
}

size_t http1_fast_head(enum http1_role role, struct str in, struct http1_layout *layout)
{
    const char *const end = in.p + in.n;
    const char *p = role == HTTP1_REQUEST ? request_line(in.p, end, layout) : status_line(in.p, end, layout);

    while (p && p < end && *p != '\r')
        p = header_line(in.p, p, end, layout);
    p = p ? after(p, end, STR("\r\n")) : NULL;
    return p ? (size_t)(p - in.p) : 0;
}
