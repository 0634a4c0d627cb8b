/*
 * json_pieces.c - a document is followed byte by byte: which arrays and objects are open, and how many of them, from the outside in, lead to the array.
 *
 * Each byte is looked at once, however many pieces the text comes in. Nothing is decoded: a name with escapes is none of the path's.
 */
#include "pipeline/model/json_pieces.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (!i || c < '0' || c > '9'))
            return false;
    }
    return s.n > 0;
}

bool json_pieces_path(struct str path, struct arena *arena, const struct str **ret_names, size_t *ret_count)
{
    struct str rest = str_trim(path);
    size_t n = 0;

    if (!rest.n || rest.p[0] != '.')
        return false;
    rest = str_slice(rest, 1, rest.n);
    struct str *names = arena_alloc(arena, (rest.n + 1) * sizeof *names);
    for (bool more = rest.n > 0; more; n++) {
        size_t end = str_find_char(rest, '.');
        names[n] = str_slice(rest, 0, end);
        if (!is_name(names[n]))
            return false;
        more = end < rest.n;
        rest = str_slice(rest, more ? end + 1 : end, rest.n);
    }
    *ret_names = names;
    *ret_count = n;
    return true;
}

static bool is_array(const struct json_pieces *p)
{
    return p->depth && p->arrays[(p->depth - 1) / 64] >> ((p->depth - 1) % 64) & 1;
}

/* Between the brackets of the array, and of nothing within. */
static bool is_in_list(const struct json_pieces *p)
{
    return p->depth == p->name_count + 1 && p->on_way == p->depth && is_array(p);
}

/* In an object that leads to the array, and not through one that does not. */
static bool is_before_list(const struct json_pieces *p)
{
    return p->depth && p->depth <= p->name_count && p->on_way == p->depth && !is_array(p);
}

static void begin_element(struct json_pieces *p)
{
    if (!is_in_list(p) || p->is_in_element)
        return;
    p->is_in_element = true;
    p->begun = p->at;
}

/* The element ends in front of `end`, if one has begun in the list itself. */
static bool end_element(struct json_pieces *p, struct str text, size_t end, struct str *ret)
{
    if (!p->is_in_element || !is_in_list(p))
        return false;
    p->is_in_element = false;
    *ret = str_slice(text, p->begun, end);
    return true;
}

static void open_bracket(struct json_pieces *p, bool array)
{
    if (p->depth == JSON_PIECES_DEPTH_MAX) {
        p->is_over = true;
        return;
    }
    begin_element(p);
    if (!p->depth || (is_before_list(p) && p->is_named))
        p->on_way++;
    uint64_t bit = 1ULL << (p->depth % 64), *word = &p->arrays[p->depth / 64];
    *word = array ? *word | bit : *word & ~bit;
    p->depth++;
    p->is_named = false;
    p->is_key_due = !array;
}

static void close_bracket(struct json_pieces *p, bool array)
{
    if (!p->depth || is_array(p) != array || is_in_list(p)) {
        p->is_over = true;
        return;
    }
    p->depth--;
    p->is_over = !p->depth;
    if (p->on_way > p->depth)
        p->on_way = p->depth;
    p->is_key_due = false;
}

static void open_quote(struct json_pieces *p)
{
    if (!p->depth)
        p->is_over = true;
    begin_element(p);
    p->is_in_string = true;
    p->is_in_key = p->is_key_due && is_before_list(p);
    p->is_key_due = false;
    if (p->is_in_key)
        p->begun = p->at + 1;
}

/* A byte of a string. True: an element has ended with it. */
static bool take_in_string(struct json_pieces *p, struct str text, struct str *ret)
{
    char c = text.p[p->at++];

    if (p->is_escaped || c != '"') {
        p->is_escaped = !p->is_escaped && c == '\\';
        return false;
    }
    p->is_in_string = false;
    if (p->is_in_key)
        p->is_named = str_eq(str_slice(text, p->begun, p->at - 1), p->names[p->depth - 1]);
    return !p->is_in_key && end_element(p, text, p->at, ret);
}

/* A byte outside of strings. True: an element has ended, with it or in front of it. */
static bool take(struct json_pieces *p, struct str text, struct str *ret)
{
    char c = text.p[p->at];
    bool ends = false;

    if (c == ',' || c == ']' || is_blank(c))
        ends = end_element(p, text, p->at, ret);
    if (c == '{' || c == '[')
        open_bracket(p, c == '[');
    else if (c == '}' || c == ']')
        close_bracket(p, c == ']');
    else if (c == '"')
        open_quote(p);
    else if (c == ',')
        p->is_key_due = p->depth && !is_array(p);
    else if (!is_blank(c) && !p->depth)
        p->is_over = true; /* an array comes alone */
    else if (!is_blank(c) && c != ':')
        begin_element(p);
    p->at++;
    if ((c == '}' || c == ']') && !p->is_over)
        ends = ends || end_element(p, text, p->at, ret);
    return ends;
}

bool json_pieces_next(struct json_pieces *p, struct str text, struct str *ret_element)
{
    while (p->at < text.n && !p->is_over)
        if (p->is_in_string ? take_in_string(p, text, ret_element) : take(p, text, ret_element))
            return true;
    return false;
}
