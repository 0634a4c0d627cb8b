/*
 * fn_match.c - functions with patterns. Places are counted in characters, as in jq.
 *
 * A literal pattern comes as a value that is compiled already; any other is compiled here, each time.
 */
#include "base/utf8.h"
#include "expr/builtin.h"
#include "expr/pattern.h"

/* What a search needs, and a cursor that turns bytes into characters. */
struct search {
    struct expr_run *run;
    const struct expr_pattern *pattern;
    struct str text;
    void *room;
    size_t *spans;
    size_t byte;
    uint32_t character; /* place of `byte` */
};

err_t pattern_value(struct arena *arena, struct str text, struct str flags, struct expr_value *ret_value,
                    const char **ret_why)
{
    struct expr_pattern *pattern = arena_new(arena, struct expr_pattern);
    unsigned options = 0;

    *pattern = (struct expr_pattern){.text = text, .flags = flags};
    for (size_t i = 0; i < flags.n; i++) {
        if (flags.p[i] == 'g')
            pattern->is_global = true;
        else if (flags.p[i] == 'n')
            pattern->not_empty = true;
        else if (flags.p[i] == 'i')
            options |= REGEX_IGNORE_CASE;
        else if (flags.p[i] == 'x')
            options |= REGEX_EXTENDED;
        else if (flags.p[i] == 'p')
            options |= REGEX_DOT_ALL;
        else if (flags.p[i] != 's') { /* s: ^ and $ are the ends of the text, which they are anyway */
            *ret_why = flags.p[i] == 'l' ? "the flag 'l' (longest match) is not within this language"
                                         : "there is no such flag: g, i, n, p, s and x are";
            return fail(E_PARSE, "%s", *ret_why);
        }
    }
    TRY(regex_compile(arena, text, options, &pattern->regex, ret_why));
    *ret_value =
        (struct expr_value){.kind = JSON_STRING, .form = EXPR_REGEX, .n = (uint32_t)text.n, .pattern = pattern};
    return OK;
}

/* A pattern and flags, or [pattern, flags] as the pattern. */
static err_t prepare(struct expr_run *run, struct expr_value pattern, struct expr_value flags,
                     const struct expr_pattern **ret)
{
    struct str text, given = STR_NONE;
    const char *why = NULL;

    if (pattern.form == EXPR_REGEX) {
        *ret = pattern.pattern;
        return OK;
    }
    if (pattern.kind == JSON_ARRAY) {
        TRY(value_settle(&run->budget, &pattern));
        flags = pattern.n > 1 ? pattern.list->at[1] : expr_null();
        pattern = pattern.n > 0 ? pattern.list->at[0] : expr_null();
    }
    if (pattern.kind != JSON_STRING || (flags.kind != JSON_STRING && flags.kind != JSON_NULL))
        return run_raise(run, "%.*s cannot be matched, as it is not a string",
                         STR_ARG(run_show(run, pattern.kind == JSON_STRING ? flags : pattern)));
    TRY(value_text(&run->budget, pattern, &text));
    if (flags.kind == JSON_STRING)
        TRY(value_text(&run->budget, flags, &given));
    TRY(budget_steps(&run->budget, 100 + 4 * text.n));
    err_t e = pattern_value(run->budget.arena, text, given, &pattern, &why);
    if (e == E_PARSE)
        return run_raise(run, "%.*s is not a valid pattern: %s", STR_ARG(text), why);
    TRY(e);
    *ret = pattern.pattern;
    return OK;
}

static err_t begin(struct expr_run *run, const struct expr_value *v, struct search *s)
{
    void *p;

    *s = (struct search){.run = run};
    TRY(prepare(run, v[1], v[2], &s->pattern));
    TRY(value_text(&run->budget, v[0], &s->text));
    TRY(budget_take(&run->budget, regex_room(s->pattern->regex), &s->room));
    TRY(budget_take(&run->budget, 2 * (regex_groups(s->pattern->regex) + 1) * sizeof(size_t), &p));
    s->spans = p;
    return OK;
}

static err_t find(struct search *s, size_t from, size_t *spans, bool *ret_found)
{
    uint64_t steps;

    *ret_found = regex_find(s->pattern->regex, s->text, from, s->pattern->not_empty, s->room, spans, &steps);
    return budget_steps(&s->run->budget, steps);
}

err_t fn_test(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct search s;
    bool found;

    TRY(begin(run, v, &s));
    TRY(find(&s, 0, NULL, &found));
    *ret = expr_bool(found);
    return OK;
}

/* The character at a byte that is not before the last one asked for. */
static uint32_t character_at(struct search *s, size_t byte)
{
    if (byte < s->byte)
        s->byte = s->character = 0;
    while (s->byte < byte) {
        uint32_t c;
        s->byte += utf8_get(s->text.p + s->byte, s->text.n - s->byte, &c);
        s->character++;
    }
    return s->character;
}

static err_t put(struct expr_run *run, struct expr_value *object, struct str key, struct expr_value value)
{
    return value_put_fresh(&run->budget, object, key, value);
}

/* {offset, length, string} of a span; a group that took no part has none. */
static err_t describe(struct search *s, const size_t *span, struct expr_value *ret)
{
    bool absent = span[0] == SIZE_MAX;
    uint32_t from = absent ? 0 : character_at(s, span[0]), to = absent ? 0 : character_at(s, span[1]);

    TRY(budget_steps(&s->run->budget, 4 + (absent ? 0 : (span[1] - span[0]) / 8)));
    TRY(value_new_object(&s->run->budget, 4, ret));
    TRY(put(s->run, ret, STR("offset"), expr_number(absent ? -1.0 : (double)from)));
    TRY(put(s->run, ret, STR("length"), expr_number(to - from)));
    return put(s->run, ret, STR("string"), absent ? expr_null() : expr_string(str_slice(s->text, span[0], span[1])));
}

static err_t describe_match(struct search *s, struct expr_value *ret)
{
    const struct regex *regex = s->pattern->regex;
    struct expr_value captures, match;

    TRY(describe(s, s->spans, &match));
    TRY(value_new_array(&s->run->budget, regex_groups(regex), &captures));
    for (unsigned group = 1; group <= regex_groups(regex); group++) {
        struct str name = regex_group_name(regex, group);
        struct expr_value capture;
        TRY(describe(s, &s->spans[2 * group], &capture));
        TRY(put(s->run, &capture, STR("name"), name.p ? expr_string(name) : expr_null()));
        TRY(value_append(&s->run->budget, &captures, capture));
    }
    TRY(put(s->run, &match, STR("captures"), captures));
    *ret = match;
    return OK;
}

/* Where the next search begins: behind the match, and behind one character more if it is empty. */
static size_t behind(const struct search *s)
{
    uint32_t c;

    if (s->spans[1] > s->spans[0] || s->spans[1] >= s->text.n)
        return s->spans[1] + (s->spans[1] == s->spans[0]);
    return s->spans[1] + utf8_get(s->text.p + s->spans[1], s->text.n - s->spans[1], &c);
}

static err_t next_match(struct search *s, bool all, size_t *from, bool *ret_found)
{
    *ret_found = false;
    if (*from > s->text.n)
        return OK;
    TRY(find(s, *from, s->spans, ret_found));
    if (*ret_found)
        *from = all || s->pattern->is_global ? behind(s) : SIZE_MAX;
    return OK;
}

static err_t matches_of(struct expr_run *run, const struct expr_value *v, bool all, struct expr_value *ret)
{
    struct search s;
    struct expr_value matches;
    size_t from = 0;
    bool found;

    TRY(begin(run, v, &s));
    TRY(value_new_array(&run->budget, 0, &matches));
    for (;;) {
        struct expr_value match;
        TRY(next_match(&s, all, &from, &found));
        if (!found)
            break;
        TRY(describe_match(&s, &match));
        TRY(value_append(&run->budget, &matches, match));
    }
    *ret = matches;
    return OK;
}

err_t fn_match(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return matches_of(run, v, false, ret);
}

/* As if the flag `g` were among the flags. */
err_t fn_match_all(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return matches_of(run, v, true, ret);
}

/* Named groups of a match as an object. */
err_t fn_captured(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value captures, object;

    TRY(value_get(&run->budget, v[0], STR("captures"), &captures, NULL));
    TRY(value_new_object(&run->budget, captures.n, &object));
    for (uint32_t i = 0; i < captures.n; i++) {
        struct expr_value name, text;
        struct str key;
        TRY(value_get(&run->budget, captures.list->at[i], STR("name"), &name, NULL));
        TRY(value_get(&run->budget, captures.list->at[i], STR("string"), &text, NULL));
        if (name.kind != JSON_STRING)
            continue;
        TRY(value_text(&run->budget, name, &key));
        TRY(put(run, &object, key, text));
    }
    *ret = object;
    return OK;
}

/* Between all matches. */
err_t fn_split_at(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct search s;
    struct expr_value parts;
    size_t from = 0, begins = 0;
    bool found;

    TRY(begin(run, v, &s));
    TRY(value_new_array(&run->budget, 0, &parts));
    for (;;) {
        TRY(next_match(&s, true, &from, &found));
        if (!found)
            break;
        TRY(value_append(&run->budget, &parts, expr_string(str_slice(s.text, begins, s.spans[0]))));
        begins = s.spans[1];
    }
    TRY(value_append(&run->budget, &parts, expr_string(str_slice(s.text, begins, s.text.n))));
    *ret = parts;
    return OK;
}

static size_t byte_of(struct str text, size_t byte, uint32_t characters)
{
    while (characters-- && byte < text.n) {
        uint32_t c;
        byte += utf8_get(text.p + byte, text.n - byte, &c);
    }
    return byte;
}

/* A text with its matches (v[1], as fn_match() gives them) replaced by as many texts (v[2]). */
err_t fn_replace(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct buf result CLEANUP(buf_release) = BUF_INIT(run->budget.memory);
    struct expr_value matches = v[1], texts = v[2];
    struct str text, with;
    size_t at = 0;
    uint32_t character = 0;
    void *p;

    TRY(value_text(&run->budget, v[0], &text));
    for (uint32_t i = 0; i < matches.n && i < texts.n; i++) {
        struct expr_value offset, length;
        TRY(value_get(&run->budget, matches.list->at[i], STR("offset"), &offset, NULL));
        TRY(value_get(&run->budget, matches.list->at[i], STR("length"), &length, NULL));
        if (texts.list->at[i].kind != JSON_STRING)
            return run_raise(run, "%.*s cannot be put into a string", STR_ARG(run_show(run, texts.list->at[i])));
        TRY(value_text(&run->budget, texts.list->at[i], &with));
        size_t from = byte_of(text, at, (uint32_t)offset.number - character);
        TRY(buf_add(&result, str_slice(text, at, from)));
        TRY(buf_add(&result, with));
        at = byte_of(text, from, (uint32_t)length.number);
        character = (uint32_t)(offset.number + length.number);
    }
    TRY(buf_add(&result, str_slice(text, at, text.n)));
    TRY(budget_steps(&run->budget, result.n / 8));
    TRY(budget_take(&run->budget, result.n, &p));
    if (result.n)
        memcpy(p, result.p, result.n);
    *ret = expr_string(str_of(p, result.n));
    return OK;
}
