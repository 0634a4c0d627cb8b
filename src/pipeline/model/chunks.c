/*
 * chunks.c - where sentences and lines end.
 *
 * A piece is decided by what is there: a mark at the very end of what has come so far may be that of "3.5", so it waits for one more character. Not done:
 * abbreviations ("e.g. this") end a sentence; who needs better than that asks the model for lines.
 */
#include "pipeline/model/chunks.h"

#include "base/utf8.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trim_left(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_slice(s, 1, s.n);
    return s;
}

static struct str trim_right(struct str s)
{
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Bytes of the mark that ends a sentence at the beginning of `s`; 0: there is none. *ret_alone: it needs no white space behind it. */
static size_t mark_at(struct str s, bool *ret_alone)
{
    static const struct str wide[] = {STR_INIT("\xe3\x80\x82"), STR_INIT("\xef\xbc\x81"),
                                      STR_INIT("\xef\xbc\x9f")}; /* 。！？ */
    static const struct str narrow[] = {STR_INIT("."), STR_INIT("!"), STR_INIT("?"), STR_INIT("\xe2\x80\xa6")}; /* … */

    for (size_t i = 0; i < ARRAY_LEN(wide); i++)
        if (str_starts(s, wide[i])) {
            *ret_alone = true;
            return wide[i].n;
        }
    for (size_t i = 0; i < ARRAY_LEN(narrow); i++)
        if (str_starts(s, narrow[i]))
            return narrow[i].n;
    return 0;
}

/* Bytes of what closes a quotation or a bracket. */
static size_t closer_at(struct str s)
{
    static const struct str closers[] = {STR_INIT("\""),
                                         STR_INIT("'"),
                                         STR_INIT(")"),
                                         STR_INIT("]"),
                                         STR_INIT("\xe2\x80\x9d"),
                                         STR_INIT("\xe2\x80\x99"),
                                         STR_INIT("\xe3\x80\x8d"),
                                         STR_INIT("\xc2\xbb")};

    for (size_t i = 0; i < ARRAY_LEN(closers); i++)
        if (str_starts(s, closers[i]))
            return closers[i].n;
    return 0;
}

/* Marks and closers from `at` on: where they end; `at` itself if there is no mark. */
static size_t skip_end(struct str s, size_t at, bool *ret_alone)
{
    size_t end = at, n;

    while ((n = mark_at(str_slice(s, end, s.n), ret_alone)) > 0)
        end += n;
    if (end == at)
        return at;
    while ((n = closer_at(str_slice(s, end, s.n))) > 0)
        end += n;
    return end;
}

/* Is what stands there whole: can no more marks or closers come of it? */
static bool is_settled(struct str rest)
{
    enum { MARK_MAX = 3 };

    return rest.n >= MARK_MAX || (rest.n && !((unsigned char)rest.p[0] & 0x80));
}

/* Where the first sentence ends; 0: not here. */
static size_t sentence_end(struct str s, bool is_all)
{
    for (size_t at = 0; at < s.n; at++) {
        bool is_alone = false;
        size_t end = skip_end(s, at, &is_alone);
        if (end == at)
            continue;
        if (end < s.n && (is_blank(s.p[end]) || (is_alone && (is_all || is_settled(str_slice(s, end, s.n))))))
            return end;
        at = end - 1;
    }
    return 0;
}

static size_t line_end(struct str s)
{
    size_t at = str_find_char(s, '\n');

    return at < s.n ? at + 1 : 0;
}

bool chunk_next(struct str *text, enum chunk_cut on, size_t max, bool is_all, struct str *ret_piece)
{
    struct str s = trim_left(*text);

    if (is_all)
        s = trim_right(s);
    if (!s.n)
        return false;
    size_t end = on == CHUNK_LINE ? line_end(s) : sentence_end(s, is_all);
    if (!end && is_all)
        end = s.n;
    if ((!end || end > max) && s.n > max)
        end = utf8_prefix(s, max).n;
    if (!end)
        return false;
    *ret_piece = trim_right(str_slice(s, 0, end));
    *text = str_slice(s, end, s.n);
    return true;
}
