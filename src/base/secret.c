/* secret.c - credentials: copied once, wiped at the end. */
#include "base/secret.h"

#include "base/mem.h"

struct secret secret_make(struct str s)
{
    return s.n ? (struct secret){mem_dup(s.p, s.n), s.n} : (struct secret){0};
}

void secret_release(struct secret *s)
{
    if (s->bytes_)
        explicit_bzero(s->bytes_, s->n_);
    mem_free(s->bytes_);
    *s = (struct secret){0};
}

struct str secret_reveal(const struct secret *s)
{
    return str_of(s->bytes_, s->n_);
}

struct str secret_text(const struct secret *s)
{
    return s->n_ ? STR("***") : STR("");
}
