/* lex.h - the words of a program. Strings are not words: the parser reads what is between the quotes. */
#ifndef EXPR_LEX_H
#define EXPR_LEX_H

#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_BAD,    /* no word begins so                        */
    TOKEN_FIELD,  /* .name; text is the name                  */
    TOKEN_NAME,   /* a name or a keyword                      */
    TOKEN_VAR,    /* $name; text is the name                  */
    TOKEN_FORMAT, /* @name; text is the name with its @       */
    TOKEN_NUMBER,
    TOKEN_QUOTE, /* the first quote of a string              */
    TOKEN_SIGN,  /* an operator or a bracket                 */
};

struct token {
    enum token_kind kind;
    struct str text;
    size_t from, to; /* bytes of the text */
};

/* The word at or behind `at`, blanks and comments left out. */
struct token lex_next(struct str text, size_t at) PURE;

static inline bool token_is(const struct token *t, const char *sign)
{
    return t->kind == TOKEN_SIGN && str_eq(t->text, str_from_c(sign));
}
static inline bool token_is_word(const struct token *t, const char *word)
{
    return t->kind == TOKEN_NAME && str_eq(t->text, str_from_c(word));
}

#endif
