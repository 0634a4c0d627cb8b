/*
 * prometheus.c - a page of metrics, line by line, without a copy.
 *
 * A line is a comment (also # HELP and # TYPE, which are not needed here) or a sample:
 *
 *     name{label="value",...} number timestamp # exemplar
 *
 * of which name and number must be. All of a sample is checked before any of it is told.
 *
 * Does not: look at types, undo escapes, know any metric, or keep anything between two calls.
 */
#include "codec/prometheus.h"

#include "codec/json_scan.h"

#include <math.h>

static bool is_letter(char c)
{
    return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A name from the front of *line; empty if there is none. Of labels, colons are not part of one. */
static struct str take_name(struct str *line, bool colons)
{
    size_t n = 0;

    while (n < line->n && (is_letter(line->p[n]) || (colons && line->p[n] == ':') || (n && is_digit(line->p[n]))))
        n++;
    struct str name = str_slice(*line, 0, n);
    *line = str_slice(*line, n, line->n);
    return name;
}

static void skip_blanks(struct str *line)
{
    size_t n = 0;

    while (n < line->n && (line->p[n] == ' ' || line->p[n] == '\t'))
        n++;
    *line = str_slice(*line, n, line->n);
}

static bool take_char(struct str *line, char c)
{
    skip_blanks(line);
    if (!line->n || line->p[0] != c)
        return false;
    *line = str_slice(*line, 1, line->n);
    return true;
}

/* A value in quotes. */
static bool take_quoted(struct str *line, struct str *ret)
{
    size_t n = 0;

    if (!take_char(line, '"'))
        return false;
    for (; n < line->n && line->p[n] != '"'; n++)
        if (line->p[n] == '\\' && (++n == line->n || !strchr("\\\"n", line->p[n]) || !line->p[n]))
            return false;
    if (n == line->n)
        return false;
    *ret = str_slice(*line, 0, n);
    *line = str_slice(*line, n + 1, line->n);
    return true;
}

/* One `name="value"`. */
static bool take_label(struct str *line, struct str *ret_name, struct str *ret_value)
{
    skip_blanks(line);
    *ret_name = take_name(line, false);
    return ret_name->n && take_char(line, '=') && take_quoted(line, ret_value);
}

/* From behind the opening brace to behind the closing one. */
static bool take_labels(struct str *line, struct str *ret)
{
    const char *from = line->p;
    struct str name, value;

    for (;;) {
        const char *to = line->p;
        if (take_char(line, '}')) { /* also behind a last comma */
            *ret = str_of(from, (size_t)(to - from));
            return true;
        }
        if (!take_label(line, &name, &value))
            return false;
        skip_blanks(line);
        if (line->n && line->p[0] != '}' && !take_char(line, ','))
            return false;
    }
}

/* What stands up to the next blank. */
static struct str take_word(struct str *line)
{
    size_t n = 0;

    skip_blanks(line);
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    struct str word = str_slice(*line, 0, n);
    *line = str_slice(*line, n, line->n);
    return word;
}

static bool read_number(struct str word, double *ret)
{
    struct str bare = word.n && (word.p[0] == '+' || word.p[0] == '-') ? str_slice(word, 1, word.n) : word;
    double sign = word.n && word.p[0] == '-' ? -1 : 1;

    if (str_eq_nocase(bare, STR("inf"))) {
        *ret = sign * (double)INFINITY;
        return true;
    }
    if (str_eq_nocase(word, STR("nan"))) {
        *ret = (double)NAN;
        return true;
    }
    if (!bare.n || !is_digit(bare.p[0]) || !json_to_double(bare, ret))
        return false;
    *ret *= sign;
    return true;
}

static bool read_sample(struct str line, struct prometheus_sample *s)
{
    double timestamp;

    skip_blanks(&line);
    s->name = take_name(&line, true);
    if (!s->name.n || (take_char(&line, '{') && !take_labels(&line, &s->labels)))
        return false;
    if (!read_number(take_word(&line), &s->value))
        return false;
    struct str word = take_word(&line);
    if (word.n && word.p[0] != '#') {
        if (!read_number(word, &timestamp))
            return false;
        word = take_word(&line);
    }
    return !word.n || word.p[0] == '#';
}

/* Is there nothing to learn from it? */
static bool is_silent(struct str line)
{
    skip_blanks(&line);
    return !line.n || line.p[0] == '#';
}

err_t prometheus_next(struct str *page, struct prometheus_sample *ret)
{
    struct prometheus_sample s = {.name = STR_NONE};

    while (page->n) {
        size_t end = str_find_char(str_slice(*page, 0, PROMETHEUS_LINE_MAX + 1), '\n');
        if (end > PROMETHEUS_LINE_MAX)
            return fail(E_TOO_LARGE, "a line of metrics is longer than %d bytes", PROMETHEUS_LINE_MAX);
        if (end == page->n)
            return fail(E_PARSE, "the page of metrics ends within a line");
        struct str line = str_slice(*page, 0, end);
        if (!is_silent(line) && !read_sample(line, &s))
            return fail(E_PARSE, "a line of metrics is no sample");
        *page = str_slice(*page, end + 1, page->n);
        if (s.name.p)
            break;
    }
    *ret = s;
    return OK;
}

bool prometheus_label(const struct prometheus_sample *s, struct str name, struct str *ret_raw)
{
    struct str rest = s->labels, key, value;

    while (take_label(&rest, &key, &value)) {
        if (str_eq(key, name)) {
            *ret_raw = value;
            return true;
        }
        (void)take_char(&rest, ',');
    }
    return false;
}
