/*
 * template.h - text with expressions in it: "https://crm.example/cases/{{.ticket_id}}". Pure.
 *
 * What is between {{ and }} is an expression (expr/expr.h); what it yields is put in as text, as jq's string interpolation does: a string as
 * it is, everything else as JSON. In a URL it is percent-coded, so that no value can become another segment, parameter or host. "{{{{"
 * stands for the two braces themselves.
 */
#ifndef PIPELINE_TEMPLATE_H
#define PIPELINE_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "expr/expr.h"

enum template_coding {
    TEMPLATE_PLAIN,
    TEMPLATE_URL, /* a value is percent-coded, but for RFC 3986's unreserved characters */
};

enum { TEMPLATE_TEXT_MAX = 64 * 1024, TEMPLATE_BRACES_MAX = 128 };

struct template_part {
    struct str text;         /* of the template itself; or of the expression */
    const struct expr *expr; /* NULL: it is text                              */
};

/* Immutable; in the arena that it was compiled in. */
struct template
{
    struct str source;
    const struct template_part *parts;
    size_t count;
    enum template_coding coding;
};

/*
 * Compile a template. As expr_compile(), several times: not on a fiber.
 *
 * text         copied
 * ret_problem  as of an expression, but for line, column, from and to, which are those of the template's text
 *
 * Errors: E_PARSE, E_TOO_LARGE (the limits above; *ret_problem is filled in then, too).
 */
err_t template_compile(struct arena *arena, struct str text, enum template_coding coding, const struct expr_env *env,
                       struct template *ret, struct expr_problem *ret_problem) MUST_CHECK;
/*
 * Append the text that it is for an input. As expr_eval(): the arena is used up, the input borrowed, nothing suspends.
 *
 * Errors: E_PARSE (an expression failed; in a URL also null, an empty text, "." and ".."), E_TOO_LARGE.
 */
err_t template_render(const struct template *t, struct arena *arena, const struct expr_input *input,
                      const struct expr_limits *limits, struct buf *to) MUST_CHECK;

#endif
