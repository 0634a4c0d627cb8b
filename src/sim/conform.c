/*
 * conform.c - generates a JSON value from a JSON Schema.
 *
 * The idea: a schema, what its $ref points to, the members of its allOf and one chosen branch of each anyOf and oneOf are laid
 * flat into one list of *parts* that all hold at once. A keyword is then looked up over the parts: the first one that has it
 * decides, but bounds take the strictest, and properties and required names are joined.
 *
 * Recursion ends because past a small depth only required members are made, arrays are as short as allowed, and branches
 * prefer null and plain types; a hard limit on depth and on the number of values backs that.
 *
 * It makes valid values for the schemas that people give to tools, not for every schema that can be thought of: see conform.h.
 */
#include "sim/conform.h"

#include "base/prng.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "sim/hash.h"
#include "sim/pattern.h"

#include <math.h>
#include <stdio.h>

enum { PARTS_MAX = 24, DEPTH_EAGER = 3, DEPTH_MAX = 40, VALUES_MAX = 10000, TEXT_MAX = 4096, REF_MAX = 32 };

static const double INT_SAFE = 9007199254740991.0; /* 2^53 - 1 */

struct conform {
    yyjson_val *root;
    struct arena *scratch;
    uint64_t seed;
    struct prng prng; /* for patterns */
    struct str hint;
    struct buf *to;
    unsigned values;
};

/* What holds at one place, flattened. */
struct parts {
    yyjson_val *items[PARTS_MAX];
    size_t count;
};

static void write_value(struct conform *c, yyjson_val *schema, struct str name, size_t nth, unsigned depth);

/* A number for the place called `name`, the same for all items of an array: adding their positions to it makes them differ. */
static uint64_t base_of(const struct conform *c, struct str name)
{
    return sim_hash(c->seed, name) >> 1;
}

/* --- finding one's way in schemas --- */

/* A "$ref" of the form "#" or "#/a/b~1c". */
static yyjson_val *resolve(const struct conform *c, struct str ref)
{
    if (ref.n == 0 || ref.p[0] != '#')
        return NULL;
    return ref.n == 1 ? c->root : yyjson_ptr_getn(c->root, ref.p + 1, ref.n - 1);
}

static bool is_plain_branch(yyjson_val *branch)
{
    struct str type = json_get_str(branch, STR("type"), STR_NONE);

    return json_get(branch, STR("const")) || json_get(branch, STR("enum")) ||
           (type.n > 0 && !str_eq(type, STR("object")) && !str_eq(type, STR("array")));
}

static bool is_null_branch(yyjson_val *branch)
{
    return str_eq(json_get_str(branch, STR("type"), STR_NONE), STR("null"));
}

/* The branch of an anyOf or oneOf to follow: the first that is not null; deep down the first plain one (null counts). */
static yyjson_val *choose_branch(yyjson_val *branches, unsigned depth)
{
    yyjson_val *branch, *plain = NULL, *usual = NULL;
    size_t i, n;

    yyjson_arr_foreach(branches, i, n, branch)
    {
        if (!plain && is_plain_branch(branch))
            plain = branch;
        if (!usual && !is_null_branch(branch))
            usual = branch;
    }
    if (depth >= DEPTH_EAGER && plain)
        return plain;
    return usual ? usual : yyjson_arr_get_first(branches);
}

static void flatten(struct conform *c, yyjson_val *schema, unsigned depth, unsigned refs, struct parts *to)
{
    yyjson_val *member;
    size_t i, n;

    if (!yyjson_is_obj(schema) || to->count == PARTS_MAX || refs > REF_MAX)
        return;
    to->items[to->count++] = schema;
    struct str ref = json_get_str(schema, STR("$ref"), STR_NONE);
    if (ref.p)
        flatten(c, resolve(c, ref), depth, refs + 1, to);
    yyjson_arr_foreach(json_get(schema, STR("allOf")), i, n, member)
    {
        flatten(c, member, depth, refs + 1, to);
    }
    static const struct str choices[] = {STR_INIT("anyOf"), STR_INIT("oneOf")};
    for (size_t k = 0; k < ARRAY_LEN(choices); k++) {
        yyjson_val *branches = json_get(schema, choices[k]);
        if (yyjson_arr_size(branches) > 0)
            flatten(c, choose_branch(branches, depth), depth, refs + 1, to);
    }
}

static yyjson_val *keyword(const struct parts *p, struct str name)
{
    for (size_t i = 0; i < p->count; i++) {
        yyjson_val *v = json_get(p->items[i], name);
        if (v)
            return v;
    }
    return NULL;
}

/* The strictest of a numeric keyword over all parts; `sign` 1 for lower bounds, -1 for upper ones. */
static bool bound(const struct parts *p, struct str name, int sign, double *best)
{
    bool found = false;

    for (size_t i = 0; i < p->count; i++) {
        yyjson_val *v = json_get(p->items[i], name);
        if (!yyjson_is_num(v))
            continue;
        double x = yyjson_get_num(v);
        if (!found || (x - *best) * sign > 0)
            *best = x;
        found = true;
    }
    return found;
}

static size_t count_of(const struct parts *p, struct str name, int sign, size_t fallback)
{
    double x;

    if (!bound(p, name, sign, &x) || x < 0)
        return fallback;
    return x > VALUES_MAX ? VALUES_MAX : (size_t)x;
}

static bool is_required(const struct parts *p, struct str name)
{
    yyjson_val *item;
    size_t k, n;

    for (size_t i = 0; i < p->count; i++)
        yyjson_arr_foreach(json_get(p->items[i], STR("required")), k, n, item)
        {
            if (str_eq(json_text(item), name))
                return true;
        }
    return false;
}

/* The schema of a property; NULL if none of the parts describes it. */
static yyjson_val *property(const struct parts *p, struct str name)
{
    for (size_t i = 0; i < p->count; i++) {
        yyjson_val *v = json_get(json_get(p->items[i], STR("properties")), name);
        if (v)
            return v;
    }
    return NULL;
}

/* --- numbers --- */

struct range {
    double lo, hi; /* both allowed, unless open     */
    bool lo_open, hi_open;
    double step; /* multipleOf; 0: none           */
};

static void read_range(const struct parts *p, struct range *r)
{
    double x;
    bool has_lo = bound(p, STR("minimum"), 1, &r->lo), has_hi = bound(p, STR("maximum"), -1, &r->hi);

    *r = (struct range){.lo = has_lo ? r->lo : 0, .hi = has_hi ? r->hi : 0};
    r->lo_open = has_lo && yyjson_is_true(keyword(p, STR("exclusiveMinimum"))); /* draft 4 */
    r->hi_open = has_hi && yyjson_is_true(keyword(p, STR("exclusiveMaximum")));
    if (bound(p, STR("exclusiveMinimum"), 1, &x) && (!has_lo || x >= r->lo)) {
        r->lo = x;
        r->lo_open = has_lo = true;
    }
    if (bound(p, STR("exclusiveMaximum"), -1, &x) && (!has_hi || x <= r->hi)) {
        r->hi = x;
        r->hi_open = has_hi = true;
    }
    if (!bound(p, STR("multipleOf"), 1, &r->step) || r->step <= 0)
        r->step = 0;
    double span = 100 * (r->step > 1 ? r->step : 1);
    if (!has_lo)
        r->lo = has_hi ? r->hi - span : 1;
    if (!has_hi)
        r->hi = (has_lo ? r->lo : 0) + span;
}

/* A multiple of `step` within the range; false if there is none. */
static bool pick_multiple(const struct range *r, double step, uint64_t base, double *ret)
{
    double first = ceil(r->lo / step), last = floor(r->hi / step);

    if (r->lo_open && first * step <= r->lo)
        first++;
    if (r->hi_open && last * step >= r->hi)
        last--;
    if (first > last || fabs(first) > INT_SAFE || fabs(last) > INT_SAFE)
        return false;
    uint64_t choices = (uint64_t)(last - first) + 1;
    *ret = (first + (double)(base % choices)) * step;
    return true;
}

static void write_number(struct conform *c, const struct parts *p, bool whole, uint64_t base)
{
    struct range r;
    double x;

    read_range(p, &r);
    double step = r.step > 0 ? r.step : 1;
    if (!pick_multiple(&r, step, base, &x)) /* no whole number fits: any will do, if it may be a fraction */
        x = whole || r.step > 0 ? ceil(r.lo) : r.lo + (r.hi - r.lo) * (1 + (double)(base % 100)) / 128;
    if (x == floor(x) && fabs(x) <= INT_SAFE)
        buf_add_i64(c->to, (int64_t)x);
    else
        buf_addf(c->to, "%.15g", x);
}

/* --- texts --- */

static bool is_letter(char ch)
{
    return (ascii_lower(ch) >= 'a' && ascii_lower(ch) <= 'z') || (unsigned char)ch >= 128;
}

/* Does a sentence begin at `at`? */
static bool begins_sentence(struct str text, size_t at)
{
    while (at > 0 && (text.p[at - 1] == ' ' || text.p[at - 1] == '\n'))
        at--;
    return at == 0 || strchr(".?!:", text.p[at - 1]) != NULL;
}

/* The word of the question that most likely is what a text is about: the last capitalised one that does not begin a sentence,
 * else its last long one, else STR_NONE. */
static struct str topic(struct str hint)
{
    struct str best = STR_NONE, name = STR_NONE;

    for (size_t at = 0, from; at < hint.n;) {
        while (at < hint.n && !is_letter(hint.p[at]))
            at++;
        for (from = at; at < hint.n && is_letter(hint.p[at]);)
            at++;
        struct str word = str_slice(hint, from, at);
        if (word.n >= 4)
            best = word;
        if (word.n >= 2 && word.p[0] >= 'A' && word.p[0] <= 'Z' && !begins_sentence(hint, from))
            name = word;
    }
    return name.n > 0 ? name : best;
}

static bool write_format(struct conform *c, struct str format, uint64_t base, size_t nth)
{
    unsigned a = (unsigned)(base & 0xffff), n = (unsigned)(nth % 28);

    if (str_eq(format, STR("date")))
        buf_addf(c->to, "2026-%02u-%02u", 1 + a % 12, 1 + n);
    else if (str_eq(format, STR("date-time")))
        buf_addf(c->to, "2026-%02u-%02uT%02u:%02u:00Z", 1 + a % 12, 1 + n, a % 24, a % 60);
    else if (str_eq(format, STR("time")))
        buf_addf(c->to, "%02u:%02u:00Z", (a + n) % 24, a % 60);
    else if (str_eq(format, STR("duration")))
        buf_addf(c->to, "PT%uM", 1 + n);
    else if (str_eq(format, STR("email")) || str_eq(format, STR("idn-email")))
        buf_addf(c->to, "user%u@example.com", a % 1000 + n);
    else if (str_eq(format, STR("hostname")) || str_eq(format, STR("idn-hostname")))
        buf_addf(c->to, "host%u.example.com", a % 1000 + n);
    else if (str_eq(format, STR("ipv4")))
        buf_addf(c->to, "192.0.2.%u", 1 + (a + n) % 254);
    else if (str_eq(format, STR("ipv6")))
        buf_addf(c->to, "2001:db8::%x", 1 + a % 0xff00 + n);
    else if (str_eq(format, STR("uri")) || str_eq(format, STR("url")) || str_eq(format, STR("iri")) ||
             str_eq(format, STR("uri-reference")) || str_eq(format, STR("iri-reference")))
        buf_addf(c->to, "https://example.com/%u", a + n);
    else if (str_eq(format, STR("uuid")))
        buf_addf(c->to, "%08x-%04x-4%03x-8%03x-%012x", a * 40503U + n, a, a % 0xfff, n, a * 2654435U);
    else
        return false;
    return true;
}

/* `text` made `min` to `max` characters long. */
static void write_fitted(struct conform *c, struct str text, size_t min, size_t max, size_t nth)
{
    size_t chars = 0, at = 0;

    while (at < text.n && chars < max) {
        size_t n = utf8_valid_char(text.p + at, text.n - at);
        at += n > 0 ? n : 1;
        chars++;
    }
    buf_add_json(c->to, str_slice(text, 0, at));
    for (; chars < min; chars++)
        buf_add_char(c->to, (char)('a' + (chars + nth) % 26));
}

static void write_text(struct conform *c, const struct parts *p, struct str name, size_t nth)
{
    struct str pattern = json_text(keyword(p, STR("pattern"))), format = json_text(keyword(p, STR("format")));
    size_t min = count_of(p, STR("minLength"), 1, 0), max = count_of(p, STR("maxLength"), -1, TEXT_MAX);
    struct buf sample CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);

    buf_add_char(c->to, '"');
    if (pattern.p && (pattern_sample(pattern, 1, &c->prng, &sample))) {
        if (sample.n < min) {
            struct buf longer CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
            if (pattern_sample(pattern, min, &c->prng, &longer))
                buf_add_json(c->to, buf_str(&longer));
        } else {
            buf_add_json(c->to, buf_str(&sample));
        }
    } else if (!format.p || !write_format(c, format, base_of(c, name), nth)) {
        struct str text = topic(c->hint);
        if (text.n == 0)
            text = name.n > 0 ? name : STR("simulated");
        if (nth > 0) {
            buf_addf(&sample, "%zu %.*s", nth + 1, STR_ARG(text));
            text = buf_str(&sample);
        }
        write_fitted(c, text, min, max, nth);
    }
    buf_add_char(c->to, '"');
}

/* --- arrays and objects --- */

static void write_array(struct conform *c, const struct parts *p, struct str name, unsigned depth)
{
    yyjson_val *items = keyword(p, STR("items")), *tuple = keyword(p, STR("prefixItems")), *rest = items;
    size_t min = count_of(p, STR("minItems"), 1, 0), max = count_of(p, STR("maxItems"), -1, VALUES_MAX);

    if (yyjson_is_arr(items)) { /* draft 7 */
        tuple = items;
        rest = keyword(p, STR("additionalItems"));
    }
    size_t fixed = yyjson_arr_size(tuple), count = depth < DEPTH_EAGER ? (fixed > 0 ? fixed : 1) : 0;
    if (yyjson_is_false(rest) && count > fixed)
        count = fixed;
    count = count < min ? min : count > max ? max : count;
    buf_add_char(c->to, '[');
    for (size_t i = 0; i < count && !c->to->overflow && c->values <= VALUES_MAX; i++) {
        if (i > 0)
            buf_add_char(c->to, ',');
        write_value(c, i < fixed ? yyjson_arr_get(tuple, i) : rest, name, i, depth + 1);
    }
    buf_add_char(c->to, ']');
}

static void write_member(struct conform *c, struct str name, yyjson_val *schema, size_t *written, unsigned depth)
{
    buf_add(c->to, *written > 0 ? STR(",\"") : STR("\""));
    buf_add_json(c->to, name);
    buf_add_lit(c->to, "\":");
    write_value(c, schema, name, 0, depth + 1);
    (*written)++;
}

/* Members that are described: the required ones, or all if the schema does not say which are. */
static void write_described(struct conform *c, const struct parts *p, bool all, size_t wanted, size_t *written,
                            unsigned depth)
{
    yyjson_val *key, *schema;
    size_t k, n;

    for (size_t i = 0; i < p->count; i++)
        yyjson_obj_foreach(json_get(p->items[i], STR("properties")), k, n, key, schema)
        {
            struct str name = json_text(key);
            bool include = all || is_required(p, name) || *written < wanted;
            if (include && property(p, name) == schema && !yyjson_is_false(schema))
                write_member(c, name, schema, written, depth);
        }
}

static void write_object(struct conform *c, const struct parts *p, unsigned depth)
{
    yyjson_val *additional = keyword(p, STR("additionalProperties")), *item;
    size_t wanted = count_of(p, STR("minProperties"), 1, 0), written = 0, k, n;
    bool all = depth < DEPTH_EAGER && !keyword(p, STR("required"));

    buf_add_char(c->to, '{');
    write_described(c, p, all, wanted, &written, depth);
    for (size_t i = 0; i < p->count; i++)
        yyjson_arr_foreach(json_get(p->items[i], STR("required")), k, n, item)
        {
            if (!property(p, json_text(item)))
                write_member(c, json_text(item), additional, &written, depth);
        }
    for (unsigned extra = 1; written < wanted && !c->to->overflow && !yyjson_is_false(additional); extra++) {
        char name[32];
        int length = snprintf(name, sizeof(name), "extra_%u", extra);
        write_member(c, str_of(name, (size_t)length), additional, &written, depth);
    }
    buf_add_char(c->to, '}');
}

/* --- values --- */

static struct str type_of(const struct parts *p, unsigned depth)
{
    static const struct {
        struct str keyword, type;
    } signs[] = {
        {STR_INIT("properties"), STR_INIT("object")},
        {STR_INIT("required"), STR_INIT("object")},
        {STR_INIT("additionalProperties"), STR_INIT("object")},
        {STR_INIT("minProperties"), STR_INIT("object")},
        {STR_INIT("items"), STR_INIT("array")},
        {STR_INIT("prefixItems"), STR_INIT("array")},
        {STR_INIT("minItems"), STR_INIT("array")},
        {STR_INIT("minimum"), STR_INIT("number")},
        {STR_INIT("maximum"), STR_INIT("number")},
        {STR_INIT("exclusiveMinimum"), STR_INIT("number")},
        {STR_INIT("exclusiveMaximum"), STR_INIT("number")},
        {STR_INIT("multipleOf"), STR_INIT("number")},
    };
    yyjson_val *type = keyword(p, STR("type")), *item;
    size_t i, n;

    if (yyjson_is_str(type))
        return json_text(type);
    yyjson_arr_foreach(type, i, n, item)
    {
        bool is_null = str_eq(json_text(item), STR("null"));
        if (is_null == (depth >= DEPTH_EAGER) || n == 1)
            return json_text(item);
    }
    if (yyjson_arr_size(type) > 0)
        return json_text(yyjson_arr_get_first(type));
    for (i = 0; i < ARRAY_LEN(signs); i++)
        if (keyword(p, signs[i].keyword))
            return signs[i].type;
    return STR("string");
}

static void write_copy(struct conform *c, yyjson_val *value)
{
    if (json_write(c->to, c->scratch, value) != OK)
        c->to->overflow = true;
}

static void write_typed(struct conform *c, const struct parts *p, struct str name, size_t nth, unsigned depth)
{
    struct str type = type_of(p, depth);

    if (str_eq(type, STR("object")))
        write_object(c, p, depth);
    else if (str_eq(type, STR("array")))
        write_array(c, p, name, depth);
    else if (str_eq(type, STR("integer")) || str_eq(type, STR("number")))
        write_number(c, p, str_eq(type, STR("integer")), base_of(c, name) + nth);
    else if (str_eq(type, STR("boolean")))
        buf_add(c->to, (base_of(c, name) + nth) & 1 ? STR("true") : STR("false"));
    else if (str_eq(type, STR("null")))
        buf_add_lit(c->to, "null");
    else
        write_text(c, p, name, nth);
}

/* `nth`: position in an array, so that its items differ. */
static void write_value(struct conform *c, yyjson_val *schema, struct str name, size_t nth, unsigned depth)
{
    struct parts p = {.count = 0};

    if (++c->values > VALUES_MAX || depth > DEPTH_MAX) {
        c->to->overflow = true;
        return;
    }
    flatten(c, schema, depth, 0, &p);
    yyjson_val *constant = keyword(&p, STR("const")), *choices = keyword(&p, STR("enum"));
    size_t count = yyjson_arr_size(choices);
    if (constant)
        write_copy(c, constant);
    else if (count > 0)
        write_copy(c, yyjson_arr_get(choices, (base_of(c, name) + nth) % count));
    else
        write_typed(c, &p, name, nth, depth);
}

err_t conform_write(struct arena *scratch, yyjson_val *schema, uint64_t hash, struct str hint, struct buf *to)
{
    struct conform c = {.root = schema, .scratch = scratch, .seed = hash, .hint = hint, .to = to};

    prng_seed(&c.prng, hash);
    write_value(&c, schema, STR_NONE, 0, 0);
    if (buf_status(to) != OK)
        return fail(E_TOO_LARGE, "the JSON Schema asks for too large or too deep a value");
    return OK;
}
