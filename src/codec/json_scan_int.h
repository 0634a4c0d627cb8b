/* json_scan_int.h - what the files of json_scan.h share. */
#ifndef CODEC_JSON_SCAN_INT_H
#define CODEC_JSON_SCAN_INT_H

#include "base/json_plain.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
