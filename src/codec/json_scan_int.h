/* json_scan_int.h - what the files of json_scan.h share. */
#ifndef CODEC_JSON_SCAN_INT_H
#define CODEC_JSON_SCAN_INT_H

#include "base/str.h"

#include <stddef.h>

enum { JSON_BAD_STRING = -1 };

/*
 * Write the content of a JSON string (what is between its quotes) without escapes to `out`, which has room for raw.n bytes and
 * may be raw.p itself. Returns the length, or (size_t)JSON_BAD_STRING for a bad escape or a plain quote. A surrogate without
 * its other half becomes U+FFFD.
 */
size_t json_unescape(struct str raw, char *out);

#endif
