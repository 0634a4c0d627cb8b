/* http1_int.h - what the files of http1.h share. */
#ifndef CODEC_HTTP1_INT_H
#define CODEC_HTTP1_INT_H

#include "codec/http1.h"

/* A header as offsets into the bytes of its head. */
struct http1_span {
    uint32_t name, name_n, value, value_n;
};

/*
 * Find the parts of the head at the front of `in`, if it is all there and of the ordinary kind. Returns its length, or 0:
 * then nothing is known about it, and *layout is of no use. Accepts only what llhttp accepts.
 */
size_t http1_fast_head(enum http1_role role, struct str in, struct http1_layout *layout);

#endif
