/*
 * builtin.c - the table of built-in functions. A function is one row; what its columns mean is in builtin.h.
 *
 * Those that are written in the language are put in place of their calls (parse.c), so their types and their reads are those of what
 * they are made of. A name that begins with '_' is for these definitions only. Assignments are functions of their operator's name.
 */
#include "expr/builtin.h"

#include "expr/type.h"

#define C(name_, arity_, signature_, function)                                                                         \
    {.name = (name_), .arity = (arity_), .signature = (signature_), .call = (function)}
#define P(name_, arity_, signature_, function)                                                                         \
    {.name = (name_), .arity = (arity_), .signature = (signature_), .call = (function), .takes_pattern = true}
#define D(name_, arity_, parameters_, body_)                                                                           \
    {.name = (name_), .arity = (arity_), .parameters = (parameters_), .body = (body_)}
#define CORE(name_, arity_, core_) {.name = (name_), .arity = (arity_), .core = (core_)}
#define KINDS(name_, kinds_) {.name = (name_), .core = AST_KINDS, .kinds = (kinds_)}

#define R(name_, arity_, signature_, function, refuses)                                                                \
    {.name = (name_), .arity = (arity_), .signature = (signature_), .call = (function), .can_refuse = (refuses)}

/* --- what some may refuse, by types --- */

/* Members of an object are asked for by strings, elements of an array by numbers. */
static bool has_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    uint8_t fits = 0;

    (void)arena;
    if (types[1]->kinds == EXPR_IS_STRING)
        fits = EXPR_IS_OBJECT;
    if (types[1]->kinds == EXPR_IS_NUMBER)
        fits = EXPR_IS_ARRAY;
    return types[0]->kinds & (uint8_t)~(fits | EXPR_IS_NULL);
}

/* Within a string only a string can be looked for. */
static bool indices_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    (void)arena;
    return (types[0]->kinds & EXPR_IS_STRING) && (types[1]->kinds & (uint8_t)~EXPR_IS_STRING);
}

/* Only values of one kind contain each other; false and true are two, as in jq. */
static bool contains_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    uint8_t both = types[0]->kinds | types[1]->kinds;

    (void)arena;
    return both & (both - 1);
}

/* Elements that are all of one kind can be added, nulls among them or not. */
static bool add_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    uint8_t kinds = type_inside(arena, types[0])->kinds & (uint8_t)~EXPR_IS_NULL;

    return (kinds & (kinds - 1)) || (kinds & EXPR_IS_BOOL);
}

static bool join_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    (void)arena;
    return type_items(types[0])->kinds & (EXPR_IS_ARRAY | EXPR_IS_OBJECT);
}

static bool transpose_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    (void)arena;
    return type_items(types[0])->kinds & (uint8_t)~(EXPR_IS_ARRAY | EXPR_IS_NULL);
}

static bool from_entries_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    const struct expr_type *entry = type_items(types[0]), *key;

    if (entry->kinds & (uint8_t)~EXPR_IS_OBJECT)
        return true;
    key = type_member(arena, entry, STR("key"));
    return !key || (key->kinds & (EXPR_IS_ARRAY | EXPR_IS_OBJECT));
}

static bool replace_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    (void)arena;
    return type_items(types[2])->kinds & (uint8_t)~EXPR_IS_STRING;
}

static bool mktime_can_refuse(struct arena *arena, const struct expr_type *const *types)
{
    (void)arena;
    return type_items(types[0])->kinds & (uint8_t)~EXPR_IS_NUMBER;
}

/* --- the table --- */

static const struct builtin table[] = {
    /* what chooses and collects */
    CORE("empty", 0, AST_EMPTY),
    CORE("first", 1, AST_FIRST),
    CORE("range", 1, AST_RANGE),
    CORE("range", 2, AST_RANGE),
    CORE("range", 3, AST_RANGE),
    CORE("path", 1, AST_PATH),
    CORE("getpath", 1, AST_GETPATH),
    KINDS("nulls", EXPR_IS_NULL),
    KINDS("booleans", EXPR_IS_BOOL),
    KINDS("numbers", EXPR_IS_NUMBER),
    KINDS("strings", EXPR_IS_STRING),
    KINDS("arrays", EXPR_IS_ARRAY),
    KINDS("objects", EXPR_IS_OBJECT),
    KINDS("iterables", EXPR_IS_ARRAY | EXPR_IS_OBJECT),
    KINDS("scalars", EXPR_IS_ANY & ~(EXPR_IS_ARRAY | EXPR_IS_OBJECT)),
    KINDS("values", EXPR_IS_ANY & ~EXPR_IS_NULL),
    D("select", 1, "f", "if f then . else empty end"),
    D("map", 1, "f", "[.[] | f]"),
    D("map_values", 1, "f",
      "if type == \"array\" then [.[] | first(f)] else [to_entries[] | {key, value: (.value | first(f))}] | "
      "from_entries end"),
    D("any", 0, "", "any(.[]; .)"),
    D("any", 1, "f", "any(.[]; f)"),
    D("any", 2, "g;f", "first((g | select(f) | true), false)"),
    D("all", 0, "", "all(.[]; .)"),
    D("all", 1, "f", "all(.[]; f)"),
    D("all", 2, "g;f", "first((g | select(f | not) | false), true)"),
    D("isempty", 1, "g", "first((g | false), true)"),
    D("first", 0, "", ".[0]"),
    D("last", 0, "", ".[-1]"),
    D("last", 1, "g", "reduce g as $x (null; $x)"),
    D("nth", 1, "$n", ".[$n]"),
    D("nth", 2, "$n;g",
      "if $n < 0 then error(\"nth doesn't support negative indices\") else last(limit($n + 1; g)) end"),
    D("limit", 2, "$n;g",
      "if $n > 0 then label $out | foreach g as $x (0; . + 1; $x, if . >= $n then break $out else empty end) "
      "elif $n == 0 then empty else g end"),
    D("skip", 2, "$n;g", "foreach g as $x ($n + 1; . - 1; if . < 1 then $x else empty end)"),
    D("in", 1, "o", ". as $x | o | has($x)"),
    D("inside", 1, "o", ". as $x | o | contains($x)"),
    D("IN", 1, "g", ". as $x | any(g; . == $x)"),
    D("IN", 2, "x;g", "any(x; IN(g))"),
    D("recurse", 0, "", "_recurse[]"),
    C("_recurse", 0, ".()[.]", fn_recurse),
    D("with_entries", 1, "f", "to_entries | map(f) | from_entries"),
    D("walk", 1, "f", "(reduce (_paths | reverse | .[]) as $q (.; setpath($q; _at($q) | f))) | f"),
    D("combinations", 0, "", "reduce .[] as $all ([[]]; [.[] as $begun | $all[] | $begun + [.]]) | .[]"),
    D("combinations", 1, "$n", "[range($n) as $i | .] | combinations"),
    D("JOIN", 2, "$index;f", "[.[] | [., $index[f]]]"),
    D("JOIN", 3, "$index;g;f", "g | [., $index[f]]"),
    D("INDEX", 1, "f", "INDEX(.[]; f)"),
    D("INDEX", 2, "g;f", "reduce g as $x ({}; setpath([$x | f | tostring]; $x))"),

    /* arrays and objects */
    C("length", 0, "n#sao()#", fn_length),
    C("keys", 0, "ao()[K]", fn_keys),
    C("keys_unsorted", 0, "ao()[K]", fn_keys_unsorted),
    R("has", 1, "nao(.)b", fn_has, has_can_refuse),
    R("contains", 1, ".(.)b", fn_contains, contains_can_refuse),
    R("add", 0, "ao()A", fn_add, add_can_refuse),
    D("add", 1, "g", "reduce g as $x (null; . + $x)"),
    R("indices", 1, "nas(.)[#]n", fn_indices, indices_can_refuse),
    D("index", 1, "$x", "indices($x) | .[0]"),
    D("rindex", 1, "$x", "indices($x) | .[-1:] | .[0]"),
    C("sort", 0, "a()T", fn_sort),
    C("_sort_by", 1, "a(a)T", fn_sort_by),
    D("sort_by", 1, "f", "_sort_by(map([f]))"),
    C("_group_by", 1, "a(a)[T]", fn_group_by),
    D("group_by", 1, "f", "_group_by(map([f]))"),
    C("unique", 0, "a()T", fn_unique),
    C("_unique_by", 1, "a(a)T", fn_unique_by),
    D("unique_by", 1, "f", "_unique_by(map([f]))"),
    C("min", 0, "a()nI", fn_min),
    C("max", 0, "a()nI", fn_max),
    C("_min_by", 1, "a(a)nI", fn_min_by),
    D("min_by", 1, "f", "_min_by(map([f]))"),
    C("_max_by", 1, "a(a)nI", fn_max_by),
    D("max_by", 1, "f", "_max_by(map([f]))"),
    C("reverse", 0, "na()T", fn_reverse),
    C("bsearch", 1, "a(.)#", fn_bsearch),
    C("_flatten", 1, "ao(#)[U]", fn_flatten),
    D("flatten", 0, "", "_flatten(1e9)"),
    D("flatten", 1, "$depth", "_flatten($depth)"),
    C("to_entries", 0, "ao()[E]", fn_to_entries),
    R("from_entries", 0, "a(){V}", fn_from_entries, from_entries_can_refuse),
    R("transpose", 0, "a()[[U]]", fn_transpose, transpose_can_refuse),

    /* paths */
    C("_paths", 0, ".()[[#s]]", fn_paths),
    C("_at", 1, ".(a)U", fn_at),
    D("paths", 0, "", "_paths[]"),
    D("paths", 1, "f", ". as $all | paths | . as $p | select($all | getpath($p)? | f)"),
    D("leaf_paths", 0, "", "paths(scalars)"),
    C("setpath", 2, ".(a;.)U", fn_setpath),
    C("delpaths", 1, ".(a)U", fn_delpaths),
    D("del", 1, "p", "delpaths([path(p)])"),
    D("pick", 1, "p", ". as $all | reduce path(p) as $q (null; setpath($q; [$all | getpath($q)?] | .[0]))"),
    D("=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; $v))"),
    D("|=", 2, "p;f", "reduce path(p) as $q (.; setpath($q; getpath($q) | f))"),
    D("+=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; getpath($q) + $v))"),
    D("-=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; getpath($q) - $v))"),
    D("*=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; getpath($q) * $v))"),
    D("/=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; getpath($q) / $v))"),
    D("%=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; getpath($q) % $v))"),
    D("//=", 2, "p;$v", "reduce path(p) as $q (.; setpath($q; getpath($q) // $v))"),

    /* strings */
    C("startswith", 1, "s(s)b", fn_startswith),
    C("endswith", 1, "s(s)b", fn_endswith),
    C("ltrimstr", 1, ".(.)T", fn_ltrimstr),
    C("rtrimstr", 1, ".(.)T", fn_rtrimstr),
    D("trimstr", 1, "$part", "ltrimstr($part) | rtrimstr($part)"),
    C("trim", 0, "s()s", fn_trim),
    C("ltrim", 0, "s()s", fn_ltrim),
    C("rtrim", 0, "s()s", fn_rtrim),
    C("ascii_downcase", 0, "s()s", fn_ascii_downcase),
    C("ascii_upcase", 0, "s()s", fn_ascii_upcase),
    C("explode", 0, "s()[#]", fn_explode),
    C("implode", 0, "!a()s", fn_implode),
    C("split", 1, "s(s)[s]", fn_split),
    R("join", 1, "a(s)s", fn_join, join_can_refuse),
    C("utf8bytelength", 0, "s()#", fn_utf8bytelength),

    /* patterns */
    P("_test", 2, "s(!s!a;!sn)b", fn_test),
    P("_match", 2, "s(!s!a;!sn)[U]", fn_match),
    P("_match_all", 2, "s(!s!a;!sn)[U]", fn_match_all),
    P("_split_at", 2, "s(!s!a;!sn)[s]", fn_split_at),
    C("_captured", 0, "o(){sn}", fn_captured),
    R("_replace", 2, "s(a;a)s", fn_replace, replace_can_refuse),
    D("test", 1, "p", "_test(p; null)"),
    D("test", 2, "p;flags", "_test(p; flags)"),
    D("match", 1, "p", "_match(p; null) | .[]"),
    D("match", 2, "p;flags", "_match(p; flags) | .[]"),
    D("capture", 1, "p", "match(p; null) | _captured"),
    D("capture", 2, "p;flags", "match(p; flags) | _captured"),
    D("scan", 1, "p", "scan(p; null)"),
    D("scan", 2, "p;flags",
      "_match_all(p; flags) | .[] | if (.captures | length) > 0 then [.captures | .[] | .string] else .string end"),
    D("split", 2, "p;flags", "_split_at(p; flags)"),
    D("splits", 1, "p", "_split_at(p; null) | .[]"),
    D("splits", 2, "p;flags", "_split_at(p; flags) | .[]"),
    D("sub", 2, "p;f", "sub(p; f; null)"),
    D("sub", 3, "p;f;flags", "_match(p; flags) as $found | _replace($found; [$found[] | _captured | first(f)])"),
    D("gsub", 2, "p;f", "gsub(p; f; null)"),
    D("gsub", 3, "p;f;flags", "_match_all(p; flags) as $found | _replace($found; [$found[] | _captured | first(f)])"),

    /* kinds and conversion */
    C("type", 0, ".()s", fn_type),
    C("not", 0, ".()b", fn_not),
    C("tostring", 0, ".()s", fn_tostring),
    C("tonumber", 0, "#!s()#", fn_tonumber),
    C("toboolean", 0, "b!s()b", fn_toboolean),
    C("tojson", 0, ".()s", fn_tojson),
    C("fromjson", 0, "!s()U", fn_fromjson),
    C("format", 1, ".(!s)s", fn_format),
    C("error", 0, "!.()", fn_error),
    C("error", 1, ".(!.)", fn_error_value),

    /* numbers */
    D("have_literal_numbers", 0, "", "true"),
    D("abs", 0, "", "if . < 0 then -. else . end"),
    C("floor", 0, "#()#", fn_floor),
    C("ceil", 0, "#()#", fn_ceil),
    C("round", 0, "#()#", fn_round),
    C("trunc", 0, "#()#", fn_trunc),
    C("fabs", 0, "#()#", fn_fabs),
    C("rint", 0, "#()#", fn_rint),
    C("nearbyint", 0, "#()#", fn_rint),
    C("sqrt", 0, "!#()#", fn_sqrt),
    C("cbrt", 0, "#()#", fn_cbrt),
    C("pow", 2, ".(!#;!#)#", fn_pow),
    C("fmod", 2, ".(!#;!#)#", fn_fmod),
    C("fmin", 2, ".(#;#)#", fn_fmin),
    C("fmax", 2, ".(#;#)#", fn_fmax),
    C("log", 0, "!#()#", fn_log),
    C("log2", 0, "!#()#", fn_log2),
    C("log10", 0, "!#()#", fn_log10),
    C("log1p", 0, "!#()#", fn_log1p),
    C("exp", 0, "#()#", fn_exp),
    C("exp2", 0, "#()#", fn_exp2),
    C("exp10", 0, "#()#", fn_exp10),
    C("expm1", 0, "#()#", fn_expm1),
    C("hypot", 2, ".(#;#)#", fn_hypot),
    C("copysign", 2, ".(#;#)#", fn_copysign),
    C("fdim", 2, ".(#;#)#", fn_fdim),
    C("sin", 0, "#()#", fn_sin),
    C("cos", 0, "#()#", fn_cos),
    C("tan", 0, "#()#", fn_tan),
    C("asin", 0, "!#()#", fn_asin),
    C("acos", 0, "!#()#", fn_acos),
    C("atan", 0, "#()#", fn_atan),
    C("atan2", 2, ".(#;#)#", fn_atan2),
    C("sinh", 0, "#()#", fn_sinh),
    C("cosh", 0, "#()#", fn_cosh),
    C("tanh", 0, "#()#", fn_tanh),
    C("asinh", 0, "#()#", fn_asinh),
    C("acosh", 0, "!#()#", fn_acosh),
    C("atanh", 0, "!#()#", fn_atanh),

    /* dates */
    C("fromdateiso8601", 0, "!s()#", fn_fromdate),
    C("todateiso8601", 0, "!#!a()s", fn_todate),
    D("fromdate", 0, "", "fromdateiso8601"),
    D("todate", 0, "", "todateiso8601"),
    C("gmtime", 0, "!#()[#]", fn_gmtime),
    R("mktime", 0, "a()#", fn_mktime, mktime_can_refuse),
    C("strftime", 1, "!#!a(s)s", fn_strftime),
    C("strptime", 1, "!s(s)[#]", fn_strptime),
};

const struct builtin *builtin_find(struct str name, unsigned arity, const struct builtin **ret_nearest)
{
    unsigned least = 3;

    *ret_nearest = NULL;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct builtin *b = &table[i];
        struct str known = str_from_c(b->name);
        if (str_eq(known, name) && b->arity == arity)
            return b;
        unsigned distance = str_distance(known, name);
        if (distance < least && known.p[0] != '_') {
            least = distance;
            *ret_nearest = b;
        }
    }
    return NULL;
}

const char *builtin_refused(struct str name)
{
    static const struct {
        const char *name, *reason;
    } rows[] = {
        {"input", "an expression sees its input only"},
        {"inputs", "an expression sees its input only"},
        {"debug", "an expression has no effects"},
        {"stderr", "an expression has no effects"},
        {"halt", "an expression has no effects"},
        {"halt_error", "an expression has no effects: error(…) fails"},
        {"env", "an expression sees its input only"},
        {"now", "an expression has no clock: take the time as a named input"},
        {"input_filename", "an expression sees its input only"},
        {"input_line_number", "an expression sees its input only"},
        {"while", "it need not end: use 'range' or 'limit' with 'foreach'"},
        {"until", "it need not end: use 'reduce range(…)'"},
        {"repeat", "it need not end: use 'range'"},
        {"infinite", "numbers are finite here"},
        {"nan", "numbers are numbers here"},
        {"isinfinite", "numbers are finite here"},
        {"isnan", "numbers are numbers here"},
        {"isnormal", "numbers are finite here"},
        {"builtins", "docs/expressions.md has the list"},
        {"localtime", "it would depend on where the process runs: gmtime"},
        {"strflocaltime", "it would depend on where the process runs: strftime"},
        {"tostream", "streams are for documents that do not fit into memory: paths and getpath"},
        {"fromstream", "streams are for documents that do not fit into memory: reduce and setpath"},
        {"truncate_stream", "streams are for documents that do not fit into memory: paths and getpath"},
        {"toarray", "it is not in every jq: if type == \"array\" then . else [.] end"},
        {"ascii", "it is not in every jq: [.] | implode"},
        {"have_decnum", "numbers keep their text, and are doubles once computed on"},
        {"get_search_list", "there are no modules"},
        {"modulemeta", "there are no modules"},
        {"significand", "only common mathematics is: log2 and exp2 do most of it"},
        {"gamma", "only common mathematics is"},
        {"lgamma", "only common mathematics is"},
        {"tgamma", "only common mathematics is"},
        {"frexp", "only common mathematics is: log2 and floor"},
        {"ldexp", "only common mathematics is: . * ($n | exp2)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(name, str_from_c(rows[i].name)))
            return rows[i].reason;
    return NULL;
}

/* --- signatures --- */

uint8_t builtin_kinds_of(char letter)
{
    switch (letter) {
    case 'n':
        return EXPR_IS_NULL;
    case 'b':
        return EXPR_IS_BOOL;
    case '#':
        return EXPR_IS_NUMBER;
    case 's':
        return EXPR_IS_STRING;
    case 'a':
        return EXPR_IS_ARRAY;
    case 'o':
        return EXPR_IS_OBJECT;
    case '.':
        return EXPR_IS_ANY;
    default:
        return 0;
    }
}

/* Letters up to the next bracket or ';', and that; returns what is behind. */
static const char *read_kinds(const char *at, uint8_t *ret_kinds, uint8_t *ret_risky)
{
    *ret_kinds = *ret_risky = 0;
    for (; *at && !strchr("(;)", *at); at++) {
        bool is_risky = *at == '!';
        if (is_risky)
            at++;
        uint8_t kinds = builtin_kinds_of(*at);
        *ret_kinds |= kinds;
        *ret_risky |= is_risky ? kinds : 0;
    }
    return *at ? at + 1 : at;
}

void builtin_kinds(const struct builtin *b, uint8_t ret_kinds[BUILTIN_ARGS_MAX + 1],
                   uint8_t ret_risky[BUILTIN_ARGS_MAX + 1])
{
    const char *at = b->signature;

    for (unsigned i = 0; i <= b->arity; i++)
        at = read_kinds(at, &ret_kinds[i], &ret_risky[i]);
}
