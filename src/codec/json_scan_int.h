/* json_scan_int.h - what the files of json_scan.h share. */
#ifndef CODEC_JSON_SCAN_INT_H
#define CODEC_JSON_SCAN_INT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { JSON_BAD_STRING = -1 };

/* For json_unescape(): a surrogate without its other half becomes its three bytes (WTF-8), not U+FFFD. */
enum { JSON_KEEP_LONE = 1 };

/*
 * Write the content of a JSON string (what is between its quotes) without escapes to `out`, which has room for raw.n bytes and
 * may be raw.p itself. Returns the length, or (size_t)JSON_BAD_STRING for a bad escape or a plain quote. A surrogate without
 * its other half becomes U+FFFD, or what `flags` says.
 */
size_t json_unescape(struct str raw, char *out, unsigned flags);

static inline bool json_is_simple_escape(unsigned char c)
{
    return c == 'n' || c == '"' || c == '\\' || c == '/' || c == 't' || c == 'r' || c == 'b' || c == 'f';
}

/* First byte at or after p that needs a look: '"', '\\', a control byte, and with `utf8` one beyond ASCII. `end` if none. */
static inline const char *json_skip_plain(const char *p, const char *end, bool utf8)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(x, control), x));
        unsigned mask = (unsigned)_mm_movemask_epi8(utf8 ? _mm_or_si128(hit, x) : hit); /* the sign bit is bit 7 */
        if (mask)
            return p + __builtin_ctz(mask);
    }
#elif defined(__aarch64__)
    for (; end - p >= 16; p += 16) {
        uint8x16_t x = vld1q_u8((const uint8_t *)p);
        uint8x16_t hit = vorrq_u8(vceqq_u8(x, vdupq_n_u8('"')), vceqq_u8(x, vdupq_n_u8('\\')));
        hit = vorrq_u8(hit, vcltq_u8(x, vdupq_n_u8(0x20)));
        if (utf8)
            hit = vorrq_u8(hit, vcgeq_u8(x, vdupq_n_u8(0x80)));
        /* four bits per byte, so that the first hit can be counted to */
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(hit), 4)), 0);
        if (mask)
            return p + __builtin_ctzll(mask) / 4;
    }
#endif
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20 || (utf8 && c >= 0x80))
            break;
    }
    return p;
}

#endif
