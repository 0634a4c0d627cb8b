/* embeddings.h - vectors for texts: the same for the same text, near for texts that share words or beginnings. Pure. */
#ifndef SIM_EMBEDDINGS_H
#define SIM_EMBEDDINGS_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum { SIM_DIMENSIONS_MAX = 4096, SIM_EMBEDDING_ONE = 100000000 };

/*
 * Fill vector[0..n) with the components of a unit vector for `text`, as whole multiples of 1e-8.
 *
 * Exact on every machine. n at most SIM_DIMENSIONS_MAX.
 */
void sim_embed(struct str text, uint64_t seed, int32_t *vector, size_t n);
/* Cosine of two such vectors: at most 1 either way, but for the last digits. */
double sim_likeness(const int32_t *x, const int32_t *y, size_t n) PURE;
/* Append it as a JSON array of numbers, or as base64 of little-endian float32. Both say the same numbers. */
void sim_embedding_write(const int32_t *vector, size_t n, struct buf *to);
err_t sim_embedding_write_base64(const int32_t *vector, size_t n, struct buf *to) MUST_CHECK;

#endif
