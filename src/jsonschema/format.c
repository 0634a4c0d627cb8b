/*
 * format.c - dates, times, durations, addresses of mail, UUIDs, pointers, patterns: formats that need no more than reading (2020-12
 * Validation, 7.3). URIs and host names are in format_uri.c and format_host.c.
 */
#include "jsonschema/format.h"

#include "codec/regex.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* `n` digits at the front, as a number; -1: they are not there. */
static int take_digits(struct str *s, size_t n)
{
    int value = 0;

    for (size_t i = 0; i < n; i++) {
        if (i >= s->n || !is_digit(s->p[i]))
            return -1;
        value = value * 10 + (s->p[i] - '0');
    }
    *s = str_slice(*s, n, s->n);
    return value;
}

static bool take_char(struct str *s, const char *any)
{
    if (!s->n || !s->p[0] || !strchr(any, s->p[0]))
        return false;
    *s = str_slice(*s, 1, s->n);
    return true;
}

/* --- RFC 3339, section 5.6 --- */

static int days_in(int month, int year)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct str *s)
{
    int year = take_digits(s, 4), month, day;

    if (year < 0 || !take_char(s, "-") || (month = take_digits(s, 2)) < 1 || month > 12 || !take_char(s, "-"))
        return false;
    day = take_digits(s, 2);
    return day >= 1 && day <= days_in(month, year);
}

/* "Z" or "+01:30", as minutes. */
static bool take_offset(struct str *s, int *ret_minutes)
{
    bool west = s->n && s->p[0] == '-';
    int hours, minutes;

    *ret_minutes = 0;
    if (take_char(s, "Zz"))
        return true;
    if (!take_char(s, "+-") || (hours = take_digits(s, 2)) < 0 || hours > 23 || !take_char(s, ":") ||
        (minutes = take_digits(s, 2)) < 0 || minutes > 59)
        return false;
    *ret_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool take_time(struct str *s)
{
    int hour = take_digits(s, 2), minute, second, offset;

    if (hour < 0 || hour > 23 || !take_char(s, ":") || (minute = take_digits(s, 2)) < 0 || minute > 59 ||
        !take_char(s, ":") || (second = take_digits(s, 2)) < 0 || second > 60)
        return false;
    if (take_char(s, ".")) {
        if (take_digits(s, 1) < 0)
            return false;
        while (take_digits(s, 1) >= 0)
            ;
    }
    if (!take_offset(s, &offset))
        return false;
    /* A leap second is the last of a day in UTC. */
    return second < 60 || (hour * 60 + minute - offset + 2 * 24 * 60) % (24 * 60) == 24 * 60 - 1;
}

static bool is_date(struct str text, UNUSED struct arena *scratch)
{
    return take_date(&text) && !text.n;
}

static bool is_time(struct str text, UNUSED struct arena *scratch)
{
    return take_time(&text) && !text.n;
}

static bool is_date_time(struct str text, UNUSED struct arena *scratch)
{
    return take_date(&text) && take_char(&text, "Tt") && take_time(&text) && !text.n;
}

/* RFC 3339, appendix A: units in their order, without gaps ("P1Y2D" is none), weeks alone. */
static bool take_units(struct str *s, const char *units, bool *ret_any)
{
    const char *next = units;

    *ret_any = false;
    while (s->n && is_digit(s->p[0])) {
        while (take_digits(s, 1) >= 0)
            ;
        const char *unit = s->n && s->p[0] ? strchr(units, s->p[0]) : NULL;
        if (!unit || unit < next || (*ret_any && unit != next))
            return false;
        *s = str_slice(*s, 1, s->n);
        next = unit + 1;
        *ret_any = true;
    }
    return true;
}

static bool is_duration(struct str text, UNUSED struct arena *scratch)
{
    bool days = false, times = false;
    struct str weeks = text;

    if (!take_char(&text, "P"))
        return false;
    (void)take_char(&weeks, "P");
    if (take_units(&weeks, "W", &days) && days)
        return !weeks.n;
    if (!take_units(&text, "YMD", &days))
        return false;
    if (take_char(&text, "T") && (!take_units(&text, "HMS", &times) || !times))
        return false;
    return !text.n && (days || times);
}

/* --- RFC 5321, section 4.1.2, and RFC 6531 --- */

static bool is_atom_char(char c)
{
    unsigned char u = (unsigned char)c;

    return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c)) ||
           u >= 0x80;
}

static bool is_local_part(struct str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
        for (size_t i = 1; i + 1 < s.n; i++) {
            if (s.p[i] == '"' || (unsigned char)s.p[i] < ' ' || (s.p[i] == '\\' && ++i + 1 == s.n))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool dot = s.p[i] == '.';
        if ((dot && (i == 0 || i + 1 == s.n || s.p[i + 1] == '.')) || (!dot && !is_atom_char(s.p[i])))
            return false;
    }
    return s.n > 0;
}

static bool is_mail_domain(struct str s, bool (*is_host)(struct str, struct arena *), struct arena *scratch)
{
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
        struct str literal = str_slice(s, 1, s.n - 1);
        if (str_starts_nocase(literal, STR("IPv6:")))
            return is_ipv6(str_slice(literal, 5, literal.n), scratch);
        return is_ipv4(literal, scratch);
    }
    return is_host(s, scratch);
}

static size_t last_at(struct str s)
{
    size_t n = s.n;

    while (n > 0 && s.p[n - 1] != '@')
        n--;
    return n;
}

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static bool is_email(struct str text, struct arena *scratch)
{
    size_t at = last_at(text);

    return at > 0 && is_ascii(text) && is_local_part(str_slice(text, 0, at - 1)) &&
           is_mail_domain(str_slice(text, at, text.n), is_hostname, scratch);
}

static bool is_idn_email(struct str text, struct arena *scratch)
{
    size_t at = last_at(text);

    return at > 0 && is_local_part(str_slice(text, 0, at - 1)) &&
           is_mail_domain(str_slice(text, at, text.n), is_idn_hostname, scratch);
}

/* --- RFC 4122; RFC 6901 and its relative draft; ECMA-262 --- */

static bool is_uuid(struct str text, UNUSED struct arena *scratch)
{
    uint64_t part;

    if (text.n != 36)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.p[i] != '-' : !str_hex_to_u64(str_of(text.p + i, 1), 15, &part))
            return false;
    }
    return true;
}

static bool is_json_pointer(struct str text, UNUSED struct arena *scratch)
{
    if (text.n && text.p[0] != '/')
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '~' && (i + 1 == text.n || (text.p[i + 1] != '0' && text.p[i + 1] != '1')))
            return false;
    return true;
}

static bool is_relative_json_pointer(struct str text, struct arena *scratch)
{
    size_t n = 0;

    while (n < text.n && is_digit(text.p[n]))
        n++;
    if (!n || (n > 1 && text.p[0] == '0'))
        return false;
    text = str_slice(text, n, text.n);
    return str_eq(text, STR("#")) || is_json_pointer(text, scratch);
}

/* What is a regular expression, but not for a linear machine, is of the format all the same. */
static bool is_regex(struct str text, struct arena *scratch)
{
    const struct regex *regex;
    const char *why;

    return regex_compile(scratch, text, REGEX_ECMA, &regex, &why) != E_PARSE;
}

/* --- the table --- */

static const struct format formats[] = {
    {"date-time", "\"2030-01-31T12:00:00Z\"", is_date_time, true},
    {"date", "\"2030-01-31\"", is_date, true},
    {"time", "\"12:00:00Z\"", is_time, true},
    {"duration", "\"P1DT12H\"", is_duration, false},
    {"email", "\"name@example.com\"", is_email, true},
    {"idn-email", "\"name@example.com\"", is_idn_email, true},
    {"hostname", "\"www.example.com\"", is_hostname, true},
    {"idn-hostname", "\"www.example.com\"", is_idn_hostname, true},
    {"ipv4", "\"192.0.2.1\"", is_ipv4, true},
    {"ipv6", "\"2001:db8::1\"", is_ipv6, true},
    {"uri", "\"https://example.com/a\"", is_uri, true},
    {"uri-reference", "\"/a?b\"", is_uri_reference, true},
    {"iri", "\"https://example.com/a\"", is_iri, true},
    {"iri-reference", "\"/a?b\"", is_iri_reference, true},
    {"uri-template", "\"/users/{id}\"", is_uri_template, true},
    {"uuid", "\"123e4567-e89b-12d3-a456-426614174000\"", is_uuid, false},
    {"json-pointer", "\"/a/0\"", is_json_pointer, true},
    {"relative-json-pointer", "\"1/a\"", is_relative_json_pointer, true},
    {"regex", "\"^[a-z]+$\"", is_regex, true},
};

const struct format *format_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_eq(name, str_from_c(formats[i].name)))
            return &formats[i];
    return NULL;
}
