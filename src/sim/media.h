/* media.h - small valid sound and image files. Pure. */
#ifndef SIM_MEDIA_H
#define SIM_MEDIA_H

#include "base/buf.h"
#include "base/time.h"

#include <stdint.h>

enum { SIM_SAMPLE_RATE = 16000 };

/* Append PCM samples (16 bit, mono, SIM_SAMPLE_RATE, little-endian) of a tone: `pitch` in hertz. */
err_t sim_tone(struct buf *to, ns_t length, unsigned pitch) MUST_CHECK;
/* Append a WAV header for `bytes` bytes of such samples. */
void sim_wav_header(struct buf *to, uint32_t bytes);
/* The media type that the first bytes of an image speak of: PNG, JPEG, GIF or WebP. Empty for anything else. Static. */
struct str sim_image_type(struct str bytes) PURE;
/* Append a PNG of this size, at most 4096 each way, filled with one colour (0xrrggbb). */
err_t sim_png(struct buf *to, uint32_t width, uint32_t height, uint32_t colour) MUST_CHECK;

#endif
