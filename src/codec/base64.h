/*
 * base64.h - RFC 4648, sections 4 and 5: encoding, and decoding that accepts exactly what encoding can produce.
 *
 * Decoding is strict: no blanks, no line ends, no characters of the other alphabet, padding as stated, and unused bits of the last
 * character are zero; so every byte string has exactly one accepted text.
 */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/buf.h"
#include "base/str.h"

#include <stddef.h>

enum base64_form {
    BASE64,            /* + and /, padded with =  (MIME, data URLs)        */
    BASE64_NO_PADDING, /* + and /, not padded                              */
    BASE64_URL,        /* - and _, not padded     (JWT)                    */
    BASE64_URL_PADDED, /* - and _, padded                                  */
};

/* Length of the text for n bytes. n at most SIZE_MAX / 2. */
size_t base64_encoded_length(size_t n, enum base64_form form) PURE;
/* At least the number of bytes that n characters decode to. */
size_t base64_decoded_max(size_t n) PURE;
/* Append the text of `bytes`. E_TOO_LARGE of the buf. */
err_t base64_encode(struct buf *b, struct str bytes, enum base64_form form);
/* Append the bytes of `text`. E_PARSE; E_TOO_LARGE of the buf. Nothing is appended on failure. */
err_t base64_decode(struct buf *b, struct str text, enum base64_form form);

#endif
