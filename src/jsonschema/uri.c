/*
 * uri.c - resolving references by RFC 3986, 5.2.
 *
 * Schemas are named by URIs of any kind (urn:, tag:, relative ones without a base), which nothing here ever fetches; they are compared
 * byte for byte, as JSON Schema has it.
 */
#include "jsonschema/uri.h"

#include "base/buf.h"

enum { URI_MAX = 16 * 1024 };

static struct str take_to(struct str *rest, size_t n, size_t delimiters)
{
    struct str part = str_slice(*rest, 0, n);

    *rest = str_slice(*rest, n + delimiters, rest->n);
    return part;
}

static size_t span_without(struct str s, const char *stop)
{
    size_t n = 0;

    while (n < s.n && !(s.p[n] && strchr(stop, s.p[n])))
        n++;
    return n;
}

struct uri uri_split(struct str text)
{
    struct uri u = {0};
    struct str rest = text.p ? text : STR("");
    size_t n = span_without(rest, ":/?#");

    if (n > 0 && n < rest.n && rest.p[n] == ':')
        u.scheme = take_to(&rest, n, 1);
    if (str_starts(rest, STR("//"))) {
        rest = str_slice(rest, 2, rest.n);
        u.authority = take_to(&rest, span_without(rest, "/?#"), 0);
    }
    u.path = take_to(&rest, span_without(rest, "?#"), 0);
    if (str_starts(rest, STR("?"))) {
        rest = str_slice(rest, 1, rest.n);
        u.query = take_to(&rest, span_without(rest, "#"), 0);
    }
    if (str_starts(rest, STR("#")))
        u.fragment = str_slice(rest, 1, rest.n);
    return u;
}

/* Up to and with the last '/'. */
static struct str folder_of(struct str path)
{
    size_t n = path.n;

    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return str_slice(path, 0, n);
}

/* RFC 3986, 5.2.4, segment by segment; "." and ".." at the end leave a '/'. */
static void add_without_dots(struct buf *to, struct str path)
{
    size_t from = to->n;

    while (path.n) {
        size_t n = str_find_char(path, '/');
        bool slash = n < path.n;
        struct str segment = str_slice(path, 0, n);
        path = str_slice(path, n + slash, path.n);
        if (str_eq(segment, STR("..")) || str_eq(segment, STR("."))) {
            if (segment.n == 2 && to->n > from) {
                size_t keep = to->n - from;
                keep -= keep > 1 && to->p[from + keep - 1] == '/';
                to->n = from + folder_of(str_of(to->p + from, keep)).n;
            }
            continue;
        }
        (void)buf_add(to, segment);
        if (slash)
            (void)buf_add_char(to, '/');
    }
}

static void add_part(struct buf *to, const char *before, struct str part, const char *after)
{
    if (!part.p)
        return;
    (void)buf_add(to, str_from_c(before));
    (void)buf_add(to, part);
    (void)buf_add(to, str_from_c(after));
}

static void add_merged_path(struct buf *to, const struct uri *base, const struct uri *r)
{
    struct buf merged CLEANUP(buf_release) = BUF_INIT(URI_MAX);

    if (!str_starts(r->path, STR("/"))) {
        if (base->authority.p && !base->path.n)
            (void)buf_add_char(&merged, '/');
        else
            (void)buf_add(&merged, folder_of(base->path));
    }
    (void)buf_add(&merged, r->path);
    add_without_dots(to, buf_str(&merged));
}

struct str uri_resolve(struct str base_text, struct str reference, struct arena *arena)
{
    struct uri base = uri_split(base_text), r = uri_split(reference);
    struct buf to CLEANUP(buf_release) = BUF_INIT(URI_MAX);

    if (r.scheme.p || !base_text.n) {
        reference = str_slice(reference, 0, str_find_char(reference, '#'));
        return arena_str(arena, reference);
    }
    add_part(&to, "", base.scheme, ":");
    add_part(&to, "//", r.authority.p ? r.authority : base.authority, "");
    if (r.authority.p) {
        add_without_dots(&to, r.path);
    } else if (r.path.n) {
        add_merged_path(&to, &base, &r);
    } else {
        (void)buf_add(&to, base.path);
        if (!r.query.p)
            r.query = base.query;
    }
    add_part(&to, "?", r.query, "");
    return arena_str(arena, buf_str(&to));
}
