/*
 * json_plain.h - long runs of text in which nothing is special to JSON, sixteen bytes at a time: for what reads strings and for what writes them.
 */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* What else is not plain. */
enum {
    JSON_PLAIN_ASCII = 1,     /* bytes beyond ASCII                            */
    JSON_PLAIN_PRINTABLE = 2, /* those and DEL; includes JSON_PLAIN_ASCII       */
};

#if defined(__SSE2__)
/* A bit for each byte of `x` that is not plain. */
static inline unsigned json_not_plain(__m128i x, unsigned flags)
{
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));

    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x));
    if (flags) /* the sign bit is bit 7 */
        hit = _mm_or_si128(hit, x);
    if (flags & JSON_PLAIN_PRINTABLE)
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
    return (unsigned)_mm_movemask_epi8(hit);
}
#endif

enum { JSON_PLAIN_BLOCK = 16 };

/* How many of the first JSON_PLAIN_BLOCK bytes at p are plain, as below with no flags; that many too if fewer are there than a block. */
static inline unsigned json_plain_prefix(const char *p, const char *end)
{
    if (end - p < JSON_PLAIN_BLOCK)
        return JSON_PLAIN_BLOCK;
#if defined(__SSE2__)
    unsigned mask = json_not_plain(_mm_loadu_si128((const void *)p), 0);
    return (unsigned)__builtin_ctz(mask | 1U << JSON_PLAIN_BLOCK);
#elif defined(__aarch64__)
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t hit = vorrq_u8(vceqq_u8(x, vdupq_n_u8('"')), vceqq_u8(x, vdupq_n_u8('\\')));
    hit = vorrq_u8(hit, vcltq_u8(x, vdupq_n_u8(0x20)));
    uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(hit), 4)), 0);
    return mask ? (unsigned)__builtin_ctzll(mask) / 4 : JSON_PLAIN_BLOCK;
#else
    unsigned n = 0;
    while (n < JSON_PLAIN_BLOCK && p[n] != '"' && p[n] != '\\' && (unsigned char)p[n] >= 0x20)
        n++;
    return n;
#endif
}

/* First byte at or after p that is not plain: '"', '\\', a control byte below U+0020, and what `flags` (a constant) say. `end` if none. */
static inline const char *json_skip_plain(const char *p, const char *end, unsigned flags)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        unsigned mask = json_not_plain(_mm_loadu_si128((const void *)p), flags);
        if (mask)
            return p + __builtin_ctz(mask);
    }
    if (end - p >= 8) { /* half a block */
        unsigned mask = json_not_plain(_mm_loadl_epi64((const void *)p), flags) & 0xff;
        if (mask)
            return p + __builtin_ctz(mask);
        p += 8;
    }
#elif defined(__aarch64__)
    for (; end - p >= 16; p += 16) {
        uint8x16_t x = vld1q_u8((const uint8_t *)p);
        uint8x16_t hit = vorrq_u8(vceqq_u8(x, vdupq_n_u8('"')), vceqq_u8(x, vdupq_n_u8('\\')));
        hit = vorrq_u8(hit, vcltq_u8(x, vdupq_n_u8(0x20)));
        if (flags)
            hit = vorrq_u8(hit, vcgeq_u8(x, vdupq_n_u8(flags & JSON_PLAIN_PRINTABLE ? 0x7f : 0x80)));
        /* four bits per byte, so that the first hit can be counted to */
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(hit), 4)), 0);
        if (mask)
            return p + __builtin_ctzll(mask) / 4;
    }
#endif
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20 || (flags && c >= 0x80))
            break;
        if ((flags & JSON_PLAIN_PRINTABLE) && c == 0x7f)
            break;
    }
    return p;
}

#endif
