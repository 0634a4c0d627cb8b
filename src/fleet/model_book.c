/*
 * model_book.c - look-up in the book of models.
 *
 * The rows are sorted by bytes, so the ids that begin a model's name lie before it, the longest one nearest: the row before
 * the name's place either begins the name, or shares a shorter beginning with it, and then nothing longer than what they
 * share can begin it. So the search goes on for that beginning, and ends after as many steps as ids are nested.
 *
 * Invariant: rows of a vendor are neighbours, and no two are equal (scripts/gen-model-book).
 *
 * Does not: guess. A model that is called like another with some word more is another model.
 */
#include "fleet/model_book.h"

/* Index of the first row that is behind (vendor, id); with `or_at`, or is it. */
static size_t bound(struct str vendor, struct str id, bool or_at)
{
    size_t from = 0, to = model_book_row_count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int order = str_cmp(model_book_rows[mid].vendor, vendor);
        if (order == 0)
            order = str_cmp(model_book_rows[mid].id, id);
        if (order < 0 || (order == 0 && !or_at))
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

const struct model_row *model_book_vendor(struct str vendor, size_t *ret_count)
{
    size_t first = bound(vendor, STR_NONE, true), n = 0;

    while (first + n < model_book_row_count && str_eq(model_book_rows[first + n].vendor, vendor))
        n++;
    *ret_count = n;
    return n ? &model_book_rows[first] : NULL;
}

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* "2026-01-31" */
static bool is_dashed_date(struct str s)
{
    return s.n == 10 && s.p[4] == '-' && s.p[7] == '-' && is_digits(str_slice(s, 0, 4)) &&
           is_digits(str_slice(s, 5, 7)) && is_digits(str_slice(s, 8, 10));
}

/* Is this, behind an id, only a version of the same model? */
static bool is_version(struct str rest)
{
    if (rest.n < 4 || (rest.p[0] != '-' && rest.p[0] != '@'))
        return false;
    struct str word = str_slice(rest, 1, rest.n);
    if (is_digits(word))
        return word.n == 3 || word.n == 4 || word.n == 8;
    return is_dashed_date(word) || str_eq(word, STR("latest")) || str_eq(word, STR("default"));
}

static size_t common_prefix(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;

    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static bool fits(const struct model_row *row, struct str model)
{
    if (!str_starts(model, row->id))
        return false;
    return row->is_prefix || row->id.n == model.n || is_version(str_slice(model, row->id.n, model.n));
}

static const struct model_facts *find(struct str vendor, struct str model)
{
    struct str head = model; /* the longest beginning that may still be an id */

    for (;;) {
        size_t at = bound(vendor, head, false);
        if (at == 0 || !str_eq(model_book_rows[at - 1].vendor, vendor))
            return NULL;
        const struct model_row *row = &model_book_rows[at - 1];
        if (fits(row, model))
            return row->facts;
        size_t shared = common_prefix(row->id, head);
        if (shared == row->id.n) /* it begins the name and yet does not fit: only a shorter one can */
            shared--;
        head = str_slice(model, 0, shared);
    }
}

const struct model_facts *model_book_find(const struct vendor *vendor, struct str model)
{
    struct str name = str_from_c(vendor->name);
    const struct model_facts *facts = find(name, model);
    size_t behind = model.n;

    while (behind > 0 && model.p[behind - 1] != '/')
        behind--;
    return facts || behind == 0 ? facts : find(name, str_slice(model, behind, model.n));
}
