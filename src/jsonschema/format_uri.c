/*
 * format_uri.c - URIs (RFC 3986, appendix A), IRIs (RFC 3987), URI templates (RFC 6570), IP addresses.
 *
 * uri_split() takes a reference apart without a look at what is in it; here each part is held against its characters. An IRI may hold
 * characters beyond ASCII wherever a URI may hold unreserved ones.
 */
#include "jsonschema/format.h"
#include "jsonschema/uri.h"

#include "base/utf8.h"

static bool is_alpha(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_coded(struct str s, size_t at)
{
    uint64_t byte;

    return s.p[at] == '%' && at + 2 < s.n && str_hex_to_u64(str_of(s.p + at + 1, 2), 255, &byte);
}

/* RFC 3987, ucschar and (with `is_private`) iprivate. */
static bool is_international(uint32_t c, bool is_private)
{
    if ((c >= 0xe000 && c <= 0xf8ff) || c >= 0xf0000)
        return is_private;
    return c >= 0xa0 && c < 0xfff0 && !(c >= 0xfdd0 && c <= 0xfdef) ? !(c >= 0xd800 && c <= 0xdfff)
                                                                    : c >= 0x10000 && (c & 0xfffe) != 0xfffe;
}

/* Nothing but unreserved characters, sub-delimiters, codes and `more`. */
static bool holds_only(struct str s, const char *more, bool international, bool is_private)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        uint32_t wide;
        if ((unsigned char)c >= 0x80) {
            size_t n = utf8_get(s.p + i, s.n - i, &wide);
            if (!international || !is_international(wide, is_private))
                return false;
            i += n - 1;
        } else if (!is_alpha(c) && !is_digit(c) && !(c && strchr("-._~!$&'()*+,;=", c)) && !(c && strchr(more, c)) &&
                   !is_coded(s, i)) {
            return false;
        }
    }
    return true;
}

/* --- addresses --- */

bool is_ipv4(struct str text, UNUSED struct arena *scratch)
{
    uint64_t byte;

    for (int i = 0; i < 4; i++) {
        struct str part = str_cut(&text, '.');
        if (!str_to_u64(part, 255, &byte) || part.n > 3 || (part.n > 1 && part.p[0] == '0') ||
            (i < 3) != (text.p != NULL))
            return false;
    }
    return true;
}

/* Groups of one side of "::", or of all; an IPv4 address at the end is two. -1: not of the form. */
static int count_groups(struct str s, bool may_end_in_ipv4)
{
    uint64_t group;
    int n = 0;

    if (!s.n)
        return 0;
    do {
        struct str part = str_cut(&s, ':');
        if (!s.p && may_end_in_ipv4 && str_find_char(part, '.') < part.n) {
            n += 2;
            if (!is_ipv4(part, NULL))
                return -1;
        } else if (part.n < 1 || part.n > 4 || !str_hex_to_u64(part, 0xffff, &group)) {
            return -1;
        } else {
            n++;
        }
    } while (s.p);
    return n;
}

bool is_ipv6(struct str text, UNUSED struct arena *scratch)
{
    size_t gap = str_find(text, STR("::"));

    if (gap >= text.n)
        return count_groups(text, true) == 8;
    int before = count_groups(str_slice(text, 0, gap), false),
        after = count_groups(str_slice(text, gap + 2, text.n), true);
    return before >= 0 && after >= 0 && before + after < 8;
}

/* --- RFC 3986 --- */

static bool is_ip_literal(struct str s)
{
    if (str_starts_nocase(s, STR("v"))) {
        size_t dot = str_find_char(s, '.');
        uint64_t version;
        return dot > 1 && dot + 1 < s.n && str_hex_to_u64(str_slice(s, 1, dot), UINT32_MAX, &version) &&
               holds_only(str_slice(s, dot + 1, s.n), ":", false, false);
    }
    return is_ipv6(s, NULL);
}

static bool is_authority(struct str s, bool international)
{
    size_t at = str_find_char(s, '@'), bracket;
    struct str host = s, port = STR_NONE;

    if (at < s.n) {
        if (!holds_only(str_slice(s, 0, at), ":", international, false))
            return false;
        host = str_slice(s, at + 1, s.n);
    }
    if (str_starts(host, STR("["))) {
        bracket = str_find_char(host, ']');
        if (bracket == host.n || !is_ip_literal(str_slice(host, 1, bracket)))
            return false;
        port = str_slice(host, bracket + 1, host.n);
        if (port.n && port.p[0] != ':')
            return false;
        (void)str_cut(&port, ':');
    } else {
        port = host;
        host = str_cut(&port, ':');
        if (!holds_only(host, "", international, false))
            return false;
    }
    for (size_t i = 0; i < port.n; i++)
        if (!is_digit(port.p[i]))
            return false;
    return true;
}

static bool is_scheme(struct str s)
{
    if (!s.n || !is_alpha(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && !strchr("+-.", s.p[i]))
            return false;
    return true;
}

static bool is_reference(struct str text, bool absolute, bool international)
{
    struct uri u = uri_split(text);

    if (memchr(text.p ? text.p : "", '\0', text.n))
        return false;
    if (u.scheme.p ? !is_scheme(u.scheme) : absolute)
        return false;
    if (u.authority.p && !is_authority(u.authority, international))
        return false;
    /* Without a scheme, a ':' in the first segment would read as one; uri_split() has seen to that. */
    return holds_only(u.path, ":@/", international, false) && holds_only(u.query, ":@/?", international, true) &&
           holds_only(u.fragment, ":@/?", international, false);
}

bool is_uri(struct str text, UNUSED struct arena *scratch)
{
    return is_reference(text, true, false);
}

bool is_uri_reference(struct str text, UNUSED struct arena *scratch)
{
    return is_reference(text, false, false);
}

bool is_iri(struct str text, UNUSED struct arena *scratch)
{
    return is_reference(text, true, true);
}

bool is_iri_reference(struct str text, UNUSED struct arena *scratch)
{
    return is_reference(text, false, true);
}

/* --- RFC 6570, section 2 --- */

static bool is_variable(struct str s)
{
    struct str rest = s, name = str_cut(&rest, ':');
    uint64_t length;

    if (rest.p && (rest.n > 4 || !str_to_u64(rest, 9999, &length) || rest.p[0] == '0'))
        return false;
    if (!rest.p && str_ends(name, STR("*")))
        name = str_slice(name, 0, name.n - 1);
    if (!name.n || name.p[0] == '.' || name.p[name.n - 1] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (is_coded(name, i))
            i += 2;
        else if (!is_alpha(name.p[i]) && !is_digit(name.p[i]) && name.p[i] != '_' && name.p[i] != '.')
            return false;
    }
    return true;
}

static bool is_expression(struct str s)
{
    if (s.n && strchr("+#./;?&", s.p[0]))
        s = str_slice(s, 1, s.n);
    do {
        if (!is_variable(str_cut(&s, ',')))
            return false;
    } while (s.p);
    return true;
}

bool is_uri_template(struct str text, UNUSED struct arena *scratch)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '{') {
            size_t n = str_find_char(str_slice(text, i, text.n), '}');
            if (i + n >= text.n || !is_expression(str_slice(text, i + 1, i + n)))
                return false;
            i += n;
        } else if (c <= ' ' || c == 0x7f || strchr("\"'<>\\^`|}", c) || (c == '%' && !is_coded(text, i))) {
            return false;
        }
    }
    return true;
}
