/*
 * secret.h - a credential that cannot be printed by mistake.
 *
 * The bytes are behind a call whose name can be searched for; formatting a struct secret is a compile error, and secret_text() gives
 * "***". The memory is wiped on release.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/str.h"

struct secret {
    char *bytes_; /* private: use secret_reveal() */
    size_t n_;
};

/* Copy `s` into a new secret; secret_release() frees it. An empty `s` gives an empty secret. */
struct secret secret_make(struct str s);
/* Wipe and free. Takes a zeroed secret. */
void secret_release(struct secret *s);
/* The bytes themselves, borrowed: for headers towards the peer that owns the secret, and for comparison. */
struct str secret_reveal(const struct secret *s);
/* What may be shown: "***", or "" for an empty secret. */
struct str secret_text(const struct secret *s);

#endif
