/*
 * regex_parse.c - the text of a regular expression as a tree.
 *
 * The syntax is a part of Oniguruma's with Perl's rules, as jq uses it, or (REGEX_ECMA) of ECMA-262's with its flag "u", as JSON Schema
 * does; what a machine without backtracking cannot do is refused by name rather than read as something else. `^` and `$` are the ends of
 * the text, `$` of the first syntax also stands before a line end that is the last character.
 */
#include "codec/regex_int.h"

#include "base/utf8.h"
#include "codec/unicode.h"

enum { NEST_MAX = 60, CHARACTER_MAX = 0x10ffff, RANGES_MAX = 400 };

struct parser {
    struct arena *arena;
    struct str text;
    size_t at;
    unsigned flags;
    unsigned nest, groups;
    struct str *names; /* REGEX_GROUPS_MAX + 1 */
    const char *why;
};

static err_t parse_alternatives(struct parser *p, struct regex_node **ret);

static err_t refuse(struct parser *p, const char *why)
{
    p->why = why;
    return fail(E_PARSE, "%s", why);
}

/* For what is right in the language, but not for this machine. */
static err_t refuse_kind(struct parser *p, const char *why)
{
    p->why = why;
    return fail(p->flags & REGEX_ECMA ? E_UNSUPPORTED : E_PARSE, "%s", why);
}

static bool is_ecma(const struct parser *p)
{
    return p->flags & REGEX_ECMA;
}

/* --- characters --- */

static bool at_end(const struct parser *p)
{
    return p->at >= p->text.n;
}

static bool looking_at(const struct parser *p, const char *what)
{
    return str_starts(str_slice(p->text, p->at, p->text.n), str_from_c(what));
}

static bool accept(struct parser *p, const char *what)
{
    if (!looking_at(p, what))
        return false;
    p->at += strlen(what);
    return true;
}

static uint32_t next_character(struct parser *p)
{
    uint32_t c;

    p->at += utf8_get(p->text.p + p->at, p->text.n - p->at, &c);
    return c;
}

static struct regex_node *new_node(struct parser *p, enum regex_node_kind kind)
{
    struct regex_node *node = arena_new(p->arena, struct regex_node);

    node->kind = kind;
    return node;
}

static struct regex_node *character_node(struct parser *p, uint32_t c)
{
    struct regex_node *node = new_node(p, REGEX_CHARACTER);

    node->character = c;
    node->ignore_case = p->flags & REGEX_IGNORE_CASE;
    return node;
}

/* --- sets --- */

static err_t add_range(struct parser *p, struct regex_set *set, uint32_t from, uint32_t to)
{
    if (from > to)
        return refuse(p, "a range in the pattern ends before it begins");
    if (set->count == RANGES_MAX)
        return refuse(p, "a set in the pattern has too many parts");
    if (set->count == set->cap) {
        set->cap = set->cap ? 2 * set->cap : 8;
        struct regex_range *larger = arena_alloc(p->arena, set->cap * sizeof *larger);
        if (set->count)
            memcpy(larger, set->ranges, set->count * sizeof *larger);
        set->ranges = larger;
    }
    set->ranges[set->count++] = (struct regex_range){from, to};
    return OK;
}

struct named_set {
    const char *name;
    uint32_t ranges[24]; /* pairs, up to one that ends with 0 */
};

static const struct named_set posix_sets[] = {
    {"alnum", {'0', '9', 'A', 'Z', 'a', 'z'}},
    {"alpha", {'A', 'Z', 'a', 'z'}},
    {"ascii", {1, 0x7f}},
    {"blank", {' ', ' ', '\t', '\t'}},
    {"cntrl", {1, 0x1f, 0x7f, 0x7f}},
    {"digit", {'0', '9'}},
    {"graph", {0x21, 0x7e}},
    {"lower", {'a', 'z'}},
    {"print", {0x20, 0x7e}},
    {"punct", {0x21, 0x2f, ':', '@', '[', '`', '{', '~'}},
    {"space", {'\t', '\r', ' ', ' '}},
    {"upper", {'A', 'Z'}},
    {"xdigit", {'0', '9', 'A', 'F', 'a', 'f'}},
    {"word", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}},
};

/* ECMA-262, 22.2.2.9: what it calls white space or a line terminator. */
static const struct named_set ecma_space = {"space", {'\t',   '\r',   ' ',    ' ',    0xa0,   0xa0,   0x1680,
                                                      0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f,
                                                      0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff}};

static const struct named_set *find_set(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(posix_sets); i++)
        if (str_eq(name, str_from_c(posix_sets[i].name)))
            return &posix_sets[i];
    return NULL;
}

/* Its ranges, or all that is outside them. */
static err_t add_named(struct parser *p, struct regex_set *set, const struct named_set *named, bool negated)
{
    uint32_t next = 0;

    for (size_t i = 0; i < ARRAY_LEN(named->ranges) && named->ranges[i + 1]; i += 2) {
        if (!negated)
            TRY(add_range(p, set, named->ranges[i], named->ranges[i + 1]));
        /* Where ranges are written out of order there is no hole between them. */
        else if (named->ranges[i] > next)
            TRY(add_range(p, set, next, named->ranges[i] - 1));
        next = named->ranges[i + 1] + 1;
    }
    return negated ? add_range(p, set, next, CHARACTER_MAX) : OK;
}

/* \d and its like: their sets by letter; NULL: it is none. */
static const struct named_set *set_of_letter(const struct parser *p, uint32_t c)
{
    static const char letters[] = "dwsh", *const names[] = {"digit", "word", "space", "xdigit"};
    const char *found = c && c < 0x80 ? strchr(letters, (int)ascii_lower((char)c)) : NULL;

    if (!found || (is_ecma(p) && *found == 'h'))
        return NULL;
    return is_ecma(p) && *found == 's' ? &ecma_space : find_set(str_from_c(names[found - letters]));
}

static struct str after_equals(struct str name)
{
    size_t at = str_find_char(name, '=');

    return at < name.n ? str_slice(name, at + 1, name.n) : name;
}

/* \p{…} and \P{…} with a general category; `c` is the letter. */
static err_t parse_property(struct parser *p, uint32_t c, struct regex_set *set)
{
    uint32_t categories;

    if (!accept(p, "{"))
        return refuse(p, "\\p in the pattern needs a property in braces");
    size_t n = str_find_char(str_slice(p->text, p->at, p->text.n), '}');
    struct str name = str_slice(p->text, p->at, p->at + n);
    p->at += n;
    if (!accept(p, "}"))
        return refuse(p, "\\p in the pattern needs a property in braces");
    if (!str_starts(name, STR("General_Category=")) && !str_starts(name, STR("gc=")) &&
        str_find_char(name, '=') < name.n)
        return refuse_kind(p, "of Unicode's properties only general categories are within this language");
    categories = unicode_categories(after_equals(name));
    if (!categories)
        return refuse_kind(p, "of Unicode's properties only general categories are within this language");
    set->categories |= c == 'p' ? categories : UNICODE_ALL & ~categories;
    return OK;
}

/* --- escapes --- */

static err_t parse_hex(struct parser *p, size_t digits, uint32_t *ret)
{
    uint64_t value;

    if (accept(p, "{")) {
        digits = str_find_char(str_slice(p->text, p->at, p->text.n), '}');
        if (!str_hex_to_u64(str_slice(p->text, p->at, p->at + digits), CHARACTER_MAX, &value))
            return refuse(p, "\\x{…} in the pattern needs the number of a character");
        p->at += digits + 1;
    } else {
        if (p->at + digits > p->text.n || !str_hex_to_u64(str_slice(p->text, p->at, p->at + digits), 0xffff, &value))
            return refuse(p, "\\x or \\u in the pattern needs hexadecimal digits");
        p->at += digits;
    }
    *ret = (uint32_t)value;
    if (digits == 4 && value >= 0xd800 && value < 0xdc00 && accept(p, "\\u")) {
        uint64_t low;
        if (!str_hex_to_u64(str_slice(p->text, p->at, p->at + 4), 0xffff, &low) || low < 0xdc00 || low > 0xdfff)
            return refuse(p, "the second half of a surrogate pair is missing in the pattern");
        p->at += 4;
        *ret = (uint32_t)(0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00));
    }
    return OK;
}

/* \cA to \cZ. */
static err_t parse_control(struct parser *p, uint32_t *ret)
{
    char lower = at_end(p) ? ' ' : ascii_lower(p->text.p[p->at]);

    if (lower < 'a' || lower > 'z')
        return refuse(p, "\\c in the pattern needs a letter");
    p->at++;
    *ret = (uint32_t)(lower - 'a' + 1);
    return OK;
}

/* The character that an escape stands for; `c` is behind the backslash. */
static err_t parse_escaped(struct parser *p, uint32_t c, uint32_t *ret)
{
    static const char letters[] = "tnrfvae", meant[] = "\t\n\r\f\v\a\x1b";
    const char *found = c && c < 0x80 ? strchr(letters, (int)c) : NULL;
    char lower = c < 0x80 ? ascii_lower((char)c) : '\0';

    if (found && !(is_ecma(p) && (c == 'a' || c == 'e')))
        *ret = (unsigned char)meant[found - letters];
    else if (c == 'c' && is_ecma(p))
        return parse_control(p, ret);
    else if (c == 'x')
        return parse_hex(p, 2, ret);
    else if (c == 'u')
        return parse_hex(p, 4, ret);
    else if (c == 'k' || (c >= '1' && c <= '9'))
        return refuse_kind(
            p, "references back to a group are not within this language: they cannot be matched in linear time");
    else if (c == 'p' || c == 'P')
        return refuse(p, "Unicode properties (\\p) are not within this language: write a set out");
    else if (lower >= 'a' && lower <= 'z')
        return refuse(p, "there is no such escape in a pattern");
    else if (c == '0')
        *ret = 0;
    else
        *ret = c;
    return OK;
}

static err_t parse_escape(struct parser *p, struct regex_node **ret)
{
    if (at_end(p))
        return refuse(p, "the pattern ends with a backslash");
    uint32_t c = next_character(p), meant;
    const struct named_set *named = set_of_letter(p, c);
    static const struct {
        char letter;
        enum regex_node_kind kind;
    } asserts[] = {
        {'A', REGEX_BEGIN}, {'z', REGEX_END}, {'Z', REGEX_LAST}, {'b', REGEX_WORD_EDGE}, {'B', REGEX_NO_WORD_EDGE}};

    for (size_t i = is_ecma(p) ? 3 : 0; i < ARRAY_LEN(asserts); i++)
        if (c == (unsigned char)asserts[i].letter) {
            *ret = new_node(p, asserts[i].kind);
            return OK;
        }
    if (named) {
        *ret = new_node(p, REGEX_SET);
        return add_named(p, &(*ret)->set, named, c < 'a');
    }
    if (is_ecma(p) && (c == 'p' || c == 'P')) {
        *ret = new_node(p, REGEX_SET);
        return parse_property(p, c, &(*ret)->set);
    }
    TRY(parse_escaped(p, c, &meant));
    *ret = character_node(p, meant);
    return OK;
}

/* --- [ … ] --- */

/* One end of a range, or a named set that was added whole (*ret_is_set). */
static err_t parse_set_item(struct parser *p, struct regex_set *set, uint32_t *ret, bool *ret_is_set)
{
    *ret_is_set = false;
    if (!is_ecma(p) && accept(p, "[:")) {
        bool negated = accept(p, "^");
        size_t n = str_find(str_slice(p->text, p->at, p->text.n), STR(":]"));
        const struct named_set *named = find_set(str_slice(p->text, p->at, p->at + n));
        if (!named)
            return refuse(p, "there is no such named set in a pattern");
        p->at += n + 2;
        *ret_is_set = true;
        return add_named(p, set, named, negated);
    }
    if (!is_ecma(p) && looking_at(p, "["))
        return refuse(p, "a set within a set is not within this language; write '\\[' for the bracket");
    if (!is_ecma(p) && looking_at(p, "&&"))
        return refuse(p, "intersections of sets are not within this language");
    uint32_t c = next_character(p);
    *ret = c;
    if (c != '\\')
        return OK;
    if (at_end(p))
        return refuse(p, "the pattern ends with a backslash");
    c = next_character(p);
    const struct named_set *named = set_of_letter(p, c);
    if (is_ecma(p) && (c == 'p' || c == 'P')) {
        *ret_is_set = true;
        return parse_property(p, c, set);
    }
    if (named) {
        *ret_is_set = true;
        return add_named(p, set, named, c < 'a');
    }
    if (c == 'b') {
        *ret = '\b';
        return OK;
    }
    return parse_escaped(p, c, ret);
}

static err_t parse_set(struct parser *p, struct regex_node **ret)
{
    struct regex_node *node = new_node(p, REGEX_SET);
    bool first = !is_ecma(p), is_set, ends_in_set; /* ']' that comes first is text, but not for ECMA-262 */

    node->set.negated = accept(p, "^");
    node->ignore_case = p->flags & REGEX_IGNORE_CASE;
    for (; first || !looking_at(p, "]"); first = false) {
        uint32_t from, to;
        if (at_end(p))
            return refuse(p, "a set in the pattern has no ']'");
        TRY(parse_set_item(p, &node->set, &from, &is_set));
        if (is_set)
            continue;
        to = from;
        if (looking_at(p, "-") && !looking_at(p, "-]")) {
            p->at++;
            if (at_end(p))
                return refuse(p, "a set in the pattern has no ']'");
            TRY(parse_set_item(p, &node->set, &to, &ends_in_set));
            if (ends_in_set)
                return refuse(p, "a range in the pattern ends with a set");
        }
        TRY(add_range(p, &node->set, from, to));
    }
    p->at++;
    *ret = node;
    return OK;
}

/* --- ( … ) --- */

static err_t parse_options(struct parser *p, unsigned *ret_flags)
{
    unsigned flags = p->flags;
    bool off = false;

    for (; !at_end(p) && !looking_at(p, ":") && !looking_at(p, ")"); p->at++) {
        char c = p->text.p[p->at];
        unsigned flag = c == 'i' ? REGEX_IGNORE_CASE : c == 'x' ? REGEX_EXTENDED : c == 's' ? REGEX_DOT_ALL : 0;
        if (c == '-' && !off)
            off = true;
        else if (!flag)
            return refuse(p, "only the flags i, s and x can be set within a pattern");
        else
            flags = off ? flags & ~flag : flags | flag;
    }
    *ret_flags = flags;
    return OK;
}

static err_t parse_group_name(struct parser *p, struct str *ret)
{
    size_t n = str_find_char(str_slice(p->text, p->at, p->text.n), '>');

    *ret = str_slice(p->text, p->at, p->at + n);
    if (n == 0 || p->at + n >= p->text.n || (ret->p[0] >= '0' && ret->p[0] <= '9'))
        return refuse(p, "a group in the pattern has no proper name");
    p->at += n + 1;
    return OK;
}

static err_t parse_group_end(struct parser *p, struct regex_node **ret)
{
    if (p->nest == NEST_MAX)
        return refuse(p, "the pattern is nested too deep");
    p->nest++;
    TRY(parse_alternatives(p, ret));
    p->nest--;
    return accept(p, ")") ? OK : refuse(p, "a group in the pattern has no ')'");
}

static err_t parse_capture(struct parser *p, struct str name, struct regex_node **ret)
{
    struct regex_node *group = new_node(p, REGEX_GROUP);

    if (p->groups == REGEX_GROUPS_MAX)
        return refuse(p, "the pattern has too many groups");
    group->group = ++p->groups;
    p->names[group->group] = name;
    *ret = group;
    return parse_group_end(p, &group->kid);
}

/* Behind '('. Flags that are set in a group hold up to its end; `(?i)` sets them for what is left of the group around it. */
static err_t parse_group(struct parser *p, struct regex_node **ret)
{
    unsigned flags = p->flags, inner = flags;
    struct str name = STR_NONE;

    if (!accept(p, "?")) {
        TRY(parse_capture(p, name, ret));
        p->flags = flags;
        return OK;
    }
    if (looking_at(p, "=") || looking_at(p, "!") || looking_at(p, "<=") || looking_at(p, "<!"))
        return refuse_kind(p,
                           "looking ahead or behind is not within this language: it cannot be matched in linear time");
    if (is_ecma(p) && !looking_at(p, "<") && !looking_at(p, ":"))
        return refuse(p, "there is no such kind of group in a pattern");
    if (looking_at(p, ">") || looking_at(p, "(") || looking_at(p, "P") || looking_at(p, "~"))
        return refuse(p, "groups of this kind are not within this language");
    if (accept(p, "#")) {
        p->at += str_find_char(str_slice(p->text, p->at, p->text.n), ')');
        *ret = new_node(p, REGEX_EMPTY);
        return accept(p, ")") ? OK : refuse(p, "a comment in the pattern has no ')'");
    }
    if (accept(p, "<")) {
        TRY(parse_group_name(p, &name));
        TRY(parse_capture(p, name, ret));
        p->flags = flags;
        return OK;
    }
    TRY(parse_options(p, &inner));
    p->flags = inner;
    if (accept(p, ")")) {
        /* What is left of the group around, alternatives included. */
        return parse_alternatives(p, ret);
    }
    if (!accept(p, ":"))
        return refuse(p, "a group in the pattern has no ')'");
    TRY(parse_group_end(p, ret));
    p->flags = flags;
    return OK;
}

/* --- repetition --- */

/* {n}, {n,}, {n,m} at p->at; anything else is text. */
static bool parse_interval(struct parser *p, unsigned *ret_min, unsigned *ret_max)
{
    size_t n = str_find_char(str_slice(p->text, p->at, p->text.n), '}');
    struct str inside = str_slice(p->text, p->at + 1, p->at + n), min, max;
    uint64_t from = 0, to = REGEX_ENDLESS;

    if (!looking_at(p, "{") || p->at + n >= p->text.n)
        return false;
    min = str_cut(&inside, ',');
    max = inside;
    if (!str_to_u64(min, UINT32_MAX, &from) || (max.n && !str_to_u64(max, UINT32_MAX - 1, &to)))
        return false;
    if (!max.p)
        to = from;
    *ret_min = (unsigned)from;
    *ret_max = (unsigned)to;
    p->at += n + 1;
    return true;
}

static bool parse_quantifier(struct parser *p, unsigned *ret_min, unsigned *ret_max)
{
    *ret_min = 0;
    *ret_max = REGEX_ENDLESS;
    if (accept(p, "*"))
        return true;
    if (accept(p, "+")) {
        *ret_min = 1;
        return true;
    }
    if (accept(p, "?")) {
        *ret_max = 1;
        return true;
    }
    return parse_interval(p, ret_min, ret_max);
}

static void skip_extended(struct parser *p)
{
    while ((p->flags & REGEX_EXTENDED) && !at_end(p)) {
        if (strchr(" \t\r\n\f\v", p->text.p[p->at]))
            p->at++;
        else if (looking_at(p, "#"))
            p->at += str_find_char(str_slice(p->text, p->at, p->text.n), '\n');
        else
            return;
    }
}

/* Nothing but assertions, at least in one alternative: Oniguruma does not repeat that, and it would be a mistake anyway. */
static bool is_place(const struct regex_node *node)
{
    const struct regex_node *kid = node->kid;

    if (node->kind == REGEX_EITHER) {
        while (kid && !is_place(kid))
            kid = kid->next;
        return kid != NULL;
    }
    if (node->kind == REGEX_SEQUENCE && kid) {
        while (kid && is_place(kid))
            kid = kid->next;
        return kid == NULL;
    }
    return node->kind >= REGEX_BEGIN && node->kind <= REGEX_NO_WORD_EDGE;
}

static err_t parse_repeat(struct parser *p, struct regex_node **node)
{
    unsigned min, max, stacked = 0;

    for (skip_extended(p); parse_quantifier(p, &min, &max); skip_extended(p)) {
        if (is_place(*node))
            return refuse(p, "a place in the text (^, $, \\b…) cannot be repeated in a pattern");
        struct regex_node *repeat = new_node(p, REGEX_REPEAT);
        if ((max != REGEX_ENDLESS && (max > REGEX_REPEAT_MAX || min > max)) || min > REGEX_REPEAT_MAX)
            return refuse(p,
                          "a number of repetitions in the pattern is too large, or its ends are the wrong way round");
        if (++stacked > 4)
            return refuse(p, "too many repetitions of repetitions in the pattern");
        repeat->kid = *node;
        repeat->min = min;
        repeat->max = max;
        repeat->lazy = accept(p, "?");
        if (looking_at(p, "+"))
            return refuse(p, "possessive repetition is not within this language");
        *node = repeat;
    }
    return OK;
}

/* --- sequences --- */

static err_t parse_atom(struct parser *p, struct regex_node **ret)
{
    if (looking_at(p, "*") || looking_at(p, "+") || looking_at(p, "?"))
        return refuse(p, "there is nothing to repeat in the pattern");
    if (accept(p, "("))
        return parse_group(p, ret);
    if (accept(p, "["))
        return parse_set(p, ret);
    if (accept(p, "\\"))
        return parse_escape(p, ret);
    if (accept(p, ".")) {
        *ret = new_node(p, REGEX_ANY);
        (*ret)->dot_all = p->flags & REGEX_DOT_ALL;
        (*ret)->ecma = is_ecma(p);
    } else if (accept(p, "^")) {
        *ret = new_node(p, REGEX_BEGIN);
    } else if (accept(p, "$")) {
        *ret = new_node(p, is_ecma(p) ? REGEX_END : REGEX_LAST);
    } else {
        *ret = character_node(p, next_character(p));
    }
    return OK;
}

static err_t parse_sequence(struct parser *p, struct regex_node **ret)
{
    struct regex_node *sequence = new_node(p, REGEX_SEQUENCE), **last = &sequence->kid;

    for (skip_extended(p); !at_end(p) && !looking_at(p, "|") && !looking_at(p, ")"); skip_extended(p)) {
        bool is_flags = looking_at(p, "(?");
        TRY(parse_atom(p, last));
        /* What follows `(?i)` has been read with it: nothing is left to repeat. */
        if (!is_flags || (!at_end(p) && p->text.p[p->at - 1] == ')'))
            TRY(parse_repeat(p, last));
        last = &(*last)->next;
    }
    *ret = sequence;
    return OK;
}

static err_t parse_alternatives(struct parser *p, struct regex_node **ret)
{
    struct regex_node *either, **last;

    if (++p->nest > NEST_MAX)
        return refuse(p, "the pattern is nested too deep");
    TRY(parse_sequence(p, ret));
    if (looking_at(p, "|")) {
        either = new_node(p, REGEX_EITHER);
        either->kid = *ret;
        last = &either->kid->next;
        while (accept(p, "|")) {
            TRY(parse_sequence(p, last));
            last = &(*last)->next;
        }
        *ret = either;
    }
    p->nest--;
    return OK;
}

err_t regex_parse(struct arena *arena, struct str text, unsigned flags, struct regex_tree *ret, const char **ret_why)
{
    struct parser p = {.arena = arena, .text = text, .flags = flags};

    p.names = arena_zalloc(arena, (REGEX_GROUPS_MAX + 1) * sizeof *p.names);
    err_t e = parse_alternatives(&p, &ret->root);
    if (!e && !at_end(&p))
        e = refuse(&p, "a ')' in the pattern closes nothing");
    *ret_why = p.why;
    ret->groups = p.groups;
    ret->names = p.names;
    return e;
}
