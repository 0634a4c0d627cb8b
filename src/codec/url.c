/*
 * url.c - RFC 3986 URLs: splitting, percent-coding, query parameters, and one normal form for paths.
 *
 * What two parsers could read differently is refused, not repaired: a gateway whose idea of a path differs from that of the
 * server behind it authorises one thing and forwards another.
 *
 * Does not: know schemes (but for default ports), handle non-ASCII host names.
 */
#include "codec/url.h"

enum { MAX_PORT = 65535 };

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_unreserved(char c)
{
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_sub_delim(char c)
{
    return c && strchr("!$&'()*+,;=", c);
}

/* The byte that "%XX" at the front of `s` stands for; false if that is not what is there. */
static bool coded_byte(struct str s, unsigned char *ret_byte)
{
    uint64_t v;

    if (s.n < 3 || s.p[0] != '%' || !str_hex_to_u64(str_of(s.p + 1, 2), 255, &v))
        return false;
    *ret_byte = (unsigned char)v;
    return true;
}

/* --- splitting --- */

static err_t check_bytes(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i], byte;
        if (c <= ' ' || c >= 0x7f)
            return fail(E_PARSE, "a URL cannot hold a blank, a control byte or a byte beyond ASCII (at byte %zu)", i);
        if (c == '%' && !coded_byte(str_slice(text, i, text.n), &byte))
            return fail(E_PARSE, "'%%' without two hex digits in a URL (at byte %zu)", i);
    }
    return OK;
}

static err_t take_scheme(struct str *rest, struct url *u)
{
    size_t n = str_find(*rest, STR("://"));

    if (n == rest->n || n == 0 || !is_alpha(rest->p[0]))
        return fail(E_PARSE, "a URL starts with a scheme, such as https://");
    u->scheme = str_of(rest->p, n);
    for (size_t i = 0; i < n; i++)
        if (!is_alpha(rest->p[i]) && !is_digit(rest->p[i]) && !strchr("+-.", rest->p[i]))
            return fail(E_PARSE, "a URL starts with a scheme, such as https://");
    *rest = str_slice(*rest, n + 3, rest->n);
    return OK;
}

bool url_host_is_ipv6(struct str host)
{
    return str_find_char(host, ':') < host.n;
}

/* Hex digits, colons, and for an IPv4 tail dots: the resolver checks the rest. */
static bool looks_like_ipv6(struct str s)
{
    uint64_t digit;

    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ':' && s.p[i] != '.' && !str_hex_to_u64(str_of(s.p + i, 1), 15, &digit))
            return false;
    return s.n >= 2 && url_host_is_ipv6(s);
}

static err_t take_host(struct str authority, struct url *u)
{
    struct str port = STR_NONE;

    if (authority.n && authority.p[0] == '[') {
        size_t end = str_find_char(authority, ']');
        u->host = str_slice(authority, 1, end);
        u->is_ipv6 = true;
        port = str_slice(authority, end + 1, authority.n);
        if (end == authority.n || !looks_like_ipv6(u->host) || (port.n && port.p[0] != ':'))
            return fail(E_PARSE, "invalid IPv6 address in a URL");
        port = port.n ? str_slice(port, 1, port.n) : STR_NONE;
    } else {
        u->host = str_cut(&authority, ':');
        port = authority;
    }
    if (u->host.n == 0)
        return fail(E_PARSE, "a URL without a host");
    for (size_t i = 0; i < u->host.n && !u->is_ipv6; i++)
        if (!is_unreserved(u->host.p[i]) && !is_sub_delim(u->host.p[i]) && u->host.p[i] != '%')
            return fail(E_PARSE, "invalid character in the host of a URL");
    uint64_t number = 0;
    if (port.n && (!str_to_u64(port, MAX_PORT, &number) || number == 0))
        return fail(E_PARSE, "invalid port in a URL");
    u->port = (uint16_t)number;
    return OK;
}

err_t url_parse(struct str text, struct url *ret_url)
{
    struct url u = {.userinfo = STR_NONE, .query = STR_NONE, .fragment = STR_NONE};
    struct str rest = text;

    TRY(check_bytes(text));
    TRY(take_scheme(&rest, &u));
    size_t n = 0;
    while (n < rest.n && !strchr("/?#", rest.p[n]))
        n++;
    struct str authority = str_of(rest.p, n);
    rest = str_slice(rest, n, rest.n);
    size_t at = authority.n;
    while (at > 0 && authority.p[at - 1] != '@')
        at--;
    if (at > 0) {
        u.userinfo = str_of(authority.p, at - 1);
        if (str_find_char(u.userinfo, '@') < u.userinfo.n)
            return fail(E_PARSE, "more than one '@' before the host of a URL");
    }
    TRY(take_host(str_slice(authority, at, authority.n), &u));
    struct str before_fragment = str_cut(&rest, '#');
    u.fragment = rest;
    u.path = str_cut(&before_fragment, '?');
    u.query = before_fragment;
    *ret_url = u;
    return OK;
}

/* --- references (RFC 3986, 5.2) --- */

/* Does it start with "scheme:"? */
static bool has_scheme(struct str reference)
{
    size_t n = 0;

    while (n < reference.n &&
           (is_alpha(reference.p[n]) || (n && (is_digit(reference.p[n]) || strchr("+-.", reference.p[n])))))
        n++;
    return n && n < reference.n && reference.p[n] == ':';
}

/* Append `path`, which starts with '/', with its "." and ".." segments resolved (5.2.4). */
static err_t add_without_dots(struct buf *b, struct str path)
{
    size_t root = b->n;

    while (path.p) {
        path = str_slice(path, 1, path.n);
        size_t n = str_find_char(path, '/');
        struct str segment = str_of(path.p, n);
        bool is_last = n == path.n;
        path = is_last ? STR_NONE : str_slice(path, n, path.n);
        bool up = str_eq(segment, STR("..")), dots = up || str_eq(segment, STR("."));
        while (up && b->n > root && b->p[--b->n] != '/')
            continue;
        if (!dots || is_last)
            TRY(buf_add_char(b, '/'));
        if (!dots)
            TRY(buf_add(b, segment));
    }
    return OK;
}

/* The path that a relative one is meant from: up to its last '/' (5.2.3). */
static struct str folder_of(struct str path)
{
    while (path.n && path.p[path.n - 1] != '/')
        path.n--;
    return path.n ? path : STR("/");
}

/* The path and query of the result, after its authority. `reference` has neither scheme nor authority nor fragment. */
static err_t add_target(struct buf *b, const struct url *base, struct str reference)
{
    struct str query = reference, path = str_cut(&query, '?');
    struct buf merged CLEANUP(buf_release) = BUF_INIT(b->max);

    if (path.n == 0 || path.p[0] != '/')
        TRY(buf_add(&merged, path.n ? folder_of(base->path) : base->path));
    TRY(buf_add(&merged, path));
    if (merged.n)
        TRY(add_without_dots(b, buf_str(&merged)));
    if (path.n == 0 && !query.p)
        query = base->query;
    if (!query.p)
        return OK;
    TRY(buf_add_char(b, '?'));
    return buf_add(b, query);
}

/* An absolute reference counts as its own base, to which the empty one is resolved. */
static err_t resolve(struct buf *b, struct str base_text, struct str reference)
{
    struct buf absolute CLEANUP(buf_release) = BUF_INIT(b->max);
    struct url base;

    reference = str_of(reference.p, str_find_char(reference, '#'));
    TRY(url_parse(base_text, &base));
    if (str_starts(reference, STR("//"))) {
        TRY(buf_add(&absolute, base.scheme));
        TRY(buf_add_char(&absolute, ':'));
        TRY(buf_add(&absolute, reference));
        reference = buf_str(&absolute);
    }
    if (has_scheme(reference)) {
        base_text = reference;
        reference = STR_NONE;
        TRY(url_parse(base_text, &base));
    }
    TRY(buf_add(b, str_of(base_text.p, (size_t)(base.path.p - base_text.p))));
    return add_target(b, &base, reference);
}

err_t url_resolve(struct str base, struct str reference, size_t max, struct arena *arena, struct str *ret_url)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(max);
    struct url u;

    TRY(resolve(&b, base, reference));
    TRY(url_parse(buf_str(&b), &u));
    *ret_url = arena_str(arena, buf_str(&b));
    return OK;
}

uint16_t url_port(const struct url *u)
{
    if (u->port)
        return u->port;
    if (str_eq_nocase(u->scheme, STR("https")) || str_eq_nocase(u->scheme, STR("wss")))
        return 443;
    return str_eq_nocase(u->scheme, STR("http")) || str_eq_nocase(u->scheme, STR("ws")) ? 80 : 0;
}

/* --- percent-coding --- */

static err_t decode(struct str s, bool form, struct arena *arena, struct str *ret_text)
{
    unsigned char byte;
    char *out;
    size_t n = 0;

    if (str_find_char(s, '%') == s.n && (!form || str_find_char(s, '+') == s.n)) {
        *ret_text = s;
        return OK;
    }
    TRY(arena_try(arena, s.n, &out));
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            if (!coded_byte(str_slice(s, i, s.n), &byte) || byte == 0)
                return fail(E_PARSE, "invalid percent code in a URL");
            c = (char)byte;
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        out[n++] = c;
    }
    *ret_text = str_of(out, n);
    return OK;
}

err_t url_decode(struct str s, struct arena *arena, struct str *ret_text)
{
    return decode(s, false, arena, ret_text);
}

err_t url_decode_form(struct str s, struct arena *arena, struct str *ret_text)
{
    return decode(s, true, arena, ret_text);
}

static char *put_code(char *to, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";

    *to++ = '%';
    *to++ = hex[c >> 4];
    *to++ = hex[c & 15];
    return to;
}

static err_t encode(struct buf *b, struct str s, bool keep_slash)
{
    size_t from = 0;

    for (size_t i = 0; i < s.n; i++) {
        char code[3];
        if (is_unreserved(s.p[i]) || (keep_slash && s.p[i] == '/'))
            continue;
        (void)put_code(code, (unsigned char)s.p[i]);
        TRY(buf_add(b, str_slice(s, from, i)));
        TRY(buf_add(b, str_of(code, sizeof code)));
        from = i + 1;
    }
    return buf_add(b, str_slice(s, from, s.n));
}

err_t url_encode(struct buf *b, struct str s)
{
    return encode(b, s, false);
}

err_t url_encode_path(struct buf *b, struct str s)
{
    return encode(b, s, true);
}

/* --- queries --- */

bool url_query_next(struct str *query, struct str *ret_name, struct str *ret_value)
{
    while (query->p) {
        struct str pair = str_cut(query, '&');
        if (pair.n == 0)
            continue;
        *ret_name = str_cut(&pair, '=');
        *ret_value = pair;
        return true;
    }
    return false;
}

struct str url_query_get(struct str query, struct str name, struct arena *arena)
{
    struct str coded, value, text = STR_NONE;

    while (url_query_next(&query, &coded, &value)) {
        if (url_decode_form(coded, arena, &text) != OK || !str_eq(text, name))
            continue;
        if (value.n == 0)
            return STR("");
        return url_decode_form(value, arena, &text) == OK ? text : STR_NONE;
    }
    return STR_NONE;
}

/* --- paths --- */

static bool is_dots(const char *segment, size_t n)
{
    return (n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.');
}

/* One segment, `s`, to `to` in normal form. Returns the end of it, NULL if it is refused. */
static char *normal_segment(struct str s, bool coded_slashes, char *to)
{
    char *const start = to;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool coded = c == '%';
        if (coded) {
            if (!coded_byte(str_slice(s, i, s.n), &c))
                return NULL;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || c == '\\' || (coded && c == '/' && !coded_slashes) ||
            (!coded && (c == ' ' || c >= 0x80)))
            return NULL;
        if (coded && !is_unreserved((char)c))
            to = put_code(to, c);
        else
            *to++ = (char)c;
    }
    return is_dots(start, (size_t)(to - start)) ? NULL : to;
}

/* Bytes of a path that normal_segment() has to look at. */
static const bool is_odd[256] = {[0 ... ' '] = true, ['%'] = true, ['\\'] = true, [0x7f ... 0xff] = true};

/* Is there nothing in `path`, which starts with '/', that would be changed or refused? Nearly every path is like that. */
static bool is_plain_path(struct str path)
{
    unsigned char before = 0;

    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (is_odd[c] || (before == '/' && (c == '/' || c == '.')))
            return false;
        before = c;
    }
    return true;
}

err_t url_normal_path(struct str path, bool coded_slashes, struct arena *arena, struct str *ret_path)
{
    struct str rest = str_slice(path, 1, path.n);
    char *out, *to;

    if (path.n == 0 || path.p[0] != '/')
        return fail(E_PARSE, "a path starts with '/'");
    if (is_plain_path(path)) {
        *ret_path = path;
        return OK;
    }
    TRY(arena_try(arena, path.n, &out));
    to = out;
    while (rest.p) {
        struct str segment = str_cut(&rest, '/');
        if (segment.n == 0 && rest.p)
            return fail(E_PARSE, "empty segment (\"//\") in a path");
        *to++ = '/';
        to = normal_segment(segment, coded_slashes, to);
        if (!to)
            return fail(E_PARSE, "ambiguous path: \".\", \"..\", coded slashes and control bytes are not accepted");
    }
    struct str normal = str_of(out, (size_t)(to - out));
    *ret_path = str_eq(normal, path) ? path : normal;
    return OK;
}
