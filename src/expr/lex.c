/*
 * lex.c - the words of a program, one at a time, from any place of its text.
 *
 * Stateless: the parser asks for the word at a place, so that it can read strings, whose insides are not words, by itself.
 */
#include "expr/lex.h"

#include <stdbool.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_byte(char c)
{
    return is_name_start(c) || is_digit(c);
}

static char at(struct str text, size_t i)
{
    return i < text.n ? text.p[i] : '\0';
}

static size_t skip_blanks(struct str text, size_t i)
{
    while (i < text.n) {
        char c = text.p[i];
        if (c == '#')
            i += str_find_char(str_slice(text, i, text.n), '\n');
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            i++;
        else
            break;
    }
    return i;
}

/* Behind a name that may be qualified, as those of modules are: a::b. */
static size_t skip_name(struct str text, size_t i)
{
    for (;;) {
        while (is_name_byte(at(text, i)))
            i++;
        if (at(text, i) != ':' || at(text, i + 1) != ':' || !is_name_start(at(text, i + 2)))
            return i;
        i += 2;
    }
}

static size_t skip_number(struct str text, size_t i)
{
    while (is_digit(at(text, i)))
        i++;
    if (at(text, i) == '.')
        i++;
    while (is_digit(at(text, i)))
        i++;
    if (at(text, i) == 'e' || at(text, i) == 'E') {
        size_t exponent = i + 1;
        if (at(text, exponent) == '+' || at(text, exponent) == '-')
            exponent++;
        if (is_digit(at(text, exponent)))
            for (i = exponent; is_digit(at(text, i)); i++)
                ;
    }
    return i;
}

static struct token make(enum token_kind kind, struct str text, size_t from, size_t to, size_t skip)
{
    return (struct token){kind, str_slice(text, from + skip, to), from, to};
}

/* The longest operator that begins at `from`. */
static size_t skip_sign(struct str text, size_t from)
{
    static const struct str signs[] = {
        STR_INIT("?//"), STR_INIT("//="), STR_INIT("|="), STR_INIT("+="), STR_INIT("-="),
        STR_INIT("*="),  STR_INIT("/="),  STR_INIT("%="), STR_INIT("=="), STR_INIT("!="),
        STR_INIT("<="),  STR_INIT(">="),  STR_INIT("//"), STR_INIT(".."),
    };
    struct str rest = str_slice(text, from, text.n);

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (str_starts(rest, signs[i]))
            return from + signs[i].n;
    return rest.p[0] != '\0' && strchr(".[]{}()|,:;=<>+-*/%?", rest.p[0]) ? from + 1 : from;
}

struct token lex_next(struct str text, size_t i)
{
    size_t from = skip_blanks(text, i);
    char c = at(text, from), behind = at(text, from + 1);

    if (from >= text.n)
        return make(TOKEN_END, text, text.n, text.n, 0);
    if (c == '"')
        return make(TOKEN_QUOTE, text, from, from + 1, 0);
    if (is_digit(c) || (c == '.' && is_digit(behind)))
        return make(TOKEN_NUMBER, text, from, skip_number(text, from), 0);
    if (is_name_start(c))
        return make(TOKEN_NAME, text, from, skip_name(text, from), 0);
    if (c == '.' && is_name_start(behind)) {
        size_t to = from + 1;
        while (is_name_byte(at(text, to)))
            to++;
        return make(TOKEN_FIELD, text, from, to, 1);
    }
    if (c == '$' && is_name_start(behind))
        return make(TOKEN_VAR, text, from, skip_name(text, from + 1), 1);
    if (c == '@' && is_name_start(behind))
        return make(TOKEN_FORMAT, text, from, skip_name(text, from + 1), 0);
    size_t to = skip_sign(text, from);
    if (to > from)
        return make(TOKEN_SIGN, text, from, to, 0);
    return make(TOKEN_BAD, text, from, from + 1, 0);
}
