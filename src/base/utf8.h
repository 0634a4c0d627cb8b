/* utf8.h - checking UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). Pure. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

#include <stdint.h>

/* Length (1-4) of the valid character at the front of the `n` bytes at `p`; 0 if there is none. */
size_t utf8_valid_char(const char *p, size_t n) PURE;
/* Write a character below 0x110000 in 1-4 bytes, surrogates as three like any other (WTF-8); returns how many. */
size_t utf8_put(char *out, uint32_t c);
/* The character at the front of `n` > 0 bytes, surrogates as well; U+FFFD, one byte long, for what is none. */
size_t utf8_get(const char *p, size_t n, uint32_t *ret_c);
/* Is all of `s` valid? */
bool utf8_valid(struct str s) PURE;
/* The longest prefix of `s` of at most `max` bytes that does not cut a character. */
struct str utf8_prefix(struct str s, size_t max) PURE;
/* How many characters a valid text has. */
int64_t utf8_count(struct str s) PURE;

#endif
