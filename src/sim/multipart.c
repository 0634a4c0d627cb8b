/*
 * multipart.c - multipart/form-data over a body that is whole in memory.
 *
 * A boundary line is CRLF "--" boundary, followed by CRLF, or by "--" at the end (RFC 2046, 5.1.1); the first one may stand at the very
 * beginning. Preamble and epilogue are passed over. Bodies are found by the boundary alone, so they may hold anything.
 */
#include "sim/multipart.h"

/* Value of `name=` in a header's parameters, quotes taken off. STR_NONE if it is not there. */
static struct str parameter(struct str header, struct str name)
{
    str_cut(&header, ';');
    while (header.p) {
        size_t at = 0;
        bool quoted = false; /* a semicolon in quotes ends nothing */
        for (; at < header.n && (quoted || header.p[at] != ';'); at++)
            if (header.p[at] == '"' && (at == 0 || header.p[at - 1] != '\\'))
                quoted = !quoted;
        struct str value = str_trim(str_slice(header, 0, at));
        header = at < header.n ? str_slice(header, at + 1, header.n) : STR_NONE;
        struct str key = str_trim(str_cut(&value, '='));
        if (!str_eq_nocase(key, name) || !value.p)
            continue;
        value = str_trim(value);
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_slice(value, 1, value.n - 1);
        return value;
    }
    return STR_NONE;
}

/* Index of the next "--" boundary at the beginning of a line, from `from`; text.n if there is none. *ret_line: where its line
 * break begins. */
static size_t find_boundary(struct str text, struct str boundary, size_t *ret_line)
{
    for (size_t at = 0; at < text.n;) {
        at += str_find(str_slice(text, at, text.n), boundary);
        if (at >= text.n)
            break;
        bool dashes = at >= 2 && text.p[at - 1] == '-' && text.p[at - 2] == '-';
        bool at_start = at == 2, behind_break = at >= 4 && text.p[at - 3] == '\n' && text.p[at - 4] == '\r';
        if (dashes && (at_start || behind_break)) {
            *ret_line = at_start ? 0 : at - 4;
            return at;
        }
        at += boundary.n;
    }
    return text.n;
}

bool multipart_open(struct multipart *m, struct str content_type, struct str body)
{
    size_t line;

    if (!str_starts_nocase(content_type, STR("multipart/form-data")))
        return false;
    m->boundary = parameter(content_type, STR("boundary"));
    if (m->boundary.n == 0 || m->boundary.n > 70)
        return false;
    size_t at = find_boundary(body, m->boundary, &line);
    if (at == body.n)
        return false;
    m->rest = str_slice(body, at + m->boundary.n, body.n);
    m->at_end = false;
    return true;
}

static void read_header(struct str line, struct multipart_part *ret)
{
    struct str value = line, name = str_trim(str_cut(&value, ':'));

    if (str_eq_nocase(name, STR("content-disposition"))) {
        ret->name = parameter(value, STR("name"));
        ret->filename = parameter(value, STR("filename"));
    } else if (str_eq_nocase(name, STR("content-type"))) {
        ret->type = str_trim(value);
    }
}

enum multipart_result multipart_next(struct multipart *m, struct multipart_part *ret)
{
    size_t line;

    if (m->at_end || str_starts(m->rest, STR("--"))) {
        m->at_end = true;
        return MULTIPART_END;
    }
    *ret = (struct multipart_part){.name = STR_NONE};
    size_t start = str_find(m->rest, STR("\r\n")); /* blanks may stand behind a boundary */
    if (start == m->rest.n || str_trim(str_slice(m->rest, 0, start)).n > 0)
        return MULTIPART_ERROR;
    struct str rest = str_slice(m->rest, start + 2, m->rest.n);
    for (;;) {
        size_t end = str_find(rest, STR("\r\n"));
        if (end == rest.n)
            return MULTIPART_ERROR;
        struct str header = str_slice(rest, 0, end);
        rest = str_slice(rest, end + 2, rest.n);
        if (header.n == 0)
            break;
        read_header(header, ret);
    }
    rest = str_of(rest.p - 2, rest.n + 2); /* the blank line's break may be the boundary's */
    size_t at = find_boundary(rest, m->boundary, &line);
    if (at == rest.n || !ret->name.p)
        return MULTIPART_ERROR;
    ret->body = line < 2 ? STR("") : str_slice(rest, 2, line);
    m->rest = str_slice(rest, at + m->boundary.n, rest.n);
    return MULTIPART_PART;
}
