/*
 * prefixes.c - longest prefix first: one hash look-up per length that occurs.
 *
 * A bit per length says which lengths are worth a look-up, so a configuration whose patterns all end behind "provider/" costs as many look-ups as
 * its providers' names have lengths. A trie would visit each byte; names are short, hashing them is cheaper.
 *
 * Invariant: a bit is set exactly if by_text_ has a prefix of that length. Does not know what values are.
 */
#include "fleet/prefixes.h"

#include <assert.h>

void prefixes_release(struct prefixes *p)
{
    map_release(&p->by_text_);
    *p = (struct prefixes){.lengths_ = {0}};
}

bool prefix_of_pattern(struct str pattern, struct str *ret_prefix)
{
    if (!str_ends(pattern, STR("*")))
        return false;
    *ret_prefix = str_slice(pattern, 0, pattern.n - 1);
    return true;
}

void *prefixes_put(struct prefixes *p, struct str prefix, void *value)
{
    assert(prefix.n <= PREFIX_MAX);
    p->lengths_[prefix.n / 64] |= (uint64_t)1 << (prefix.n % 64);
    return map_put(&p->by_text_, prefix, value);
}

bool prefixes_next(const struct prefixes *p, size_t *at, struct str *ret_prefix, void **ret_value)
{
    return map_next(&p->by_text_, at, ret_prefix, ret_value);
}

void *prefixes_get(const struct prefixes *p, struct str prefix)
{
    return map_get(&p->by_text_, prefix);
}

/* The longest length in use that is at most `most`; SIZE_MAX: none is. */
static size_t length_at_most(const struct prefixes *p, size_t most)
{
    size_t word = most / 64;
    uint64_t bits = p->lengths_[word] & (UINT64_MAX >> (63 - most % 64));

    while (!bits && word > 0)
        bits = p->lengths_[--word];
    return bits ? word * 64 + 63 - (size_t)__builtin_clzll(bits) : SIZE_MAX;
}

void *prefixes_find(const struct prefixes *p, struct str name, size_t *length)
{
    size_t most = *length < name.n ? *length : name.n;

    for (size_t n = length_at_most(p, most < PREFIX_MAX ? most : PREFIX_MAX); n != SIZE_MAX;
         n = n ? length_at_most(p, n - 1) : SIZE_MAX) {
        void *value = map_get(&p->by_text_, str_slice(name, 0, n));
        if (value) {
            *length = n;
            return value;
        }
    }
    return NULL;
}
