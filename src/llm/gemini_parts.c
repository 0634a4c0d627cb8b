/*
 * gemini_parts.c - what reading and writing of the Gemini dialect share: names in two spellings, names of models, schemas, signatures.
 *
 * thoughtSignature is a field of bytes: Google's SDKs decode it from base64 and encode it again. So a blob of another provider's model, wrapped
 * as llm/signature.h says, goes through base64 once more.
 */
#include "base/utf8.h"
#include "codec/base64.h"
#include "codec/url.h"
#include "llm/gemini_int.h"
#include "llm/signature.h"
#include "llm/vendor.h"

#define WRAPPED STR("Y3Jvc3Nkb2Nr") /* base64 of "crossdock" */
#define REDACTED STR("redacted:")   /* in no base64 alphabet */

/* --- names --- */

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool gemini_key_is(struct json_node key, const char *camel)
{
    struct str s = json_node_raw(key);
    size_t at = 1;

    if (s.n < 2)
        return false;
    s.n--; /* its last quote */
    for (; *camel; camel++, at++) {
        if (at < s.n && s.p[at] == *camel)
            continue;
        if (!is_upper(*camel) || at + 1 >= s.n || s.p[at] != '_' || s.p[at + 1] != ascii_lower(*camel))
            return false;
        at++;
    }
    return at == s.n;
}

struct json_node gemini_get(struct json_node object, const char *camel)
{
    JSON_EACH(w, object) {
        if (json_is_absent(w.key))
            break; /* an array */
        if (gemini_key_is(w.key, camel))
            return json_node_is_set(w.value) ? w.value : JSON_ABSENT;
    }
    return JSON_ABSENT;
}

bool gemini_is_unknown(const struct json_walk *member, const char *const *known)
{
    if (!json_node_is_set(member->value))
        return false;
    while (*known && !gemini_key_is(member->key, *known))
        known++;
    return !*known;
}

struct str gemini_text(struct json_node object, const char *camel, struct arena *arena)
{
    return json_node_text(gemini_get(object, camel), arena);
}

bool gemini_is_code(struct json_node part)
{
    return json_node_is(gemini_get(part, "executableCode"), JSON_OBJECT) ||
           json_node_is(gemini_get(part, "codeExecutionResult"), JSON_OBJECT);
}

struct str gemini_model_name(struct str name)
{
    static const struct str folder = STR_INIT("models/");
    size_t at = str_find(name, folder);

    return at < name.n && (at == 0 || name.p[at - 1] == '/') ? str_slice(name, at + folder.n, name.n) : name;
}

bool gemini_is_third(struct str model)
{
    static const struct str family = STR_INIT("gemini-");
    size_t at = str_find(model, family) + family.n;
    unsigned version = 0;

    for (; at < model.n && model.p[at] >= '0' && model.p[at] <= '9' && version < 100; at++)
        version = version * 10 + (unsigned)(model.p[at] - '0');
    return version >= 3;
}

struct str gemini_path(const struct translation *t, const char *verb)
{
    struct buf model CLEANUP(buf_release) = BUF_INIT(3 * t->model.n + 1);
    bool has_folder = str_find_char(t->model, '/') < t->model.n;

    url_encode_path(&model, t->model);
    return arena_printf(t->arena, "%s%.*s:%s",
                        has_folder                         ? "/"
                        : t->vendor->quirks & QUIRK_VERTEX ? "/publishers/google/models/"
                                                           : "/models/",
                        STR_ARG(buf_str(&model)), verb);
}

/* --- places in texts --- */

/* A piece of a text: `text` only where characters and bytes are not the same. */
struct gemini_run {
    struct gemini_run *next;
    size_t bytes;
    struct str text;
};

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] >= 0x80)
            return false;
    return true;
}

void gemini_runs_add(struct gemini_runs *to, struct str text, struct arena *arena)
{
    bool ascii = is_ascii(text);

    to->bytes += text.n;
    if (to->last && ascii && !to->last->text.n) {
        to->last->bytes += text.n;
        return;
    }
    struct gemini_run *run = arena_new(arena, struct gemini_run);
    *run = (struct gemini_run){.bytes = text.n, .text = ascii ? STR_NONE : arena_str(arena, text)};
    if (to->last)
        to->last->next = run;
    else
        to->first = run;
    to->last = run;
}

int64_t gemini_characters_before(const struct gemini_runs *runs, int64_t byte)
{
    size_t left = byte < 0 ? SIZE_MAX : (size_t)byte;
    int64_t n = 0;

    for (const struct gemini_run *run = runs->first; run && left; run = run->next) {
        size_t taken = run->bytes < left ? run->bytes : left;
        n += run->text.n ? utf8_count(str_slice(run->text, 0, taken)) : (int64_t)taken;
        left -= taken;
    }
    return left ? -1 : n;
}

/* The bytes of this many characters at the front of a text that has them. */
static int64_t bytes_of(struct str text, int64_t characters)
{
    size_t at = 0;

    while (at < text.n && characters--)
        at += utf8_valid_char(text.p + at, text.n - at);
    return (int64_t)at;
}

int64_t gemini_bytes_before(const struct gemini_runs *runs, int64_t character)
{
    int64_t left = character, n = 0;

    for (const struct gemini_run *run = runs->first; run && left > 0; run = run->next) {
        int64_t here = run->text.n ? utf8_count(run->text) : (int64_t)run->bytes;
        if (here > left)
            return n + (run->text.n ? bytes_of(run->text, left) : left);
        n += (int64_t)run->bytes;
        left -= here;
    }
    return left ? -1 : n;
}

/* --- schemas --- */

static void put_schema(struct json_out *o, struct json_node v, struct arena *arena);

static void put_type(struct json_out *o, struct json_node type, bool nullable, struct arena *arena)
{
    struct str name = json_node_text(type, arena);
    char *lower = arena_alloc(arena, name.n + 1);

    for (size_t i = 0; i < name.n; i++)
        lower[i] = ascii_lower(name.p[i]);
    json_key(o, STR("type"));
    if (nullable)
        json_open(o, '[');
    json_put_str(o, str_of(lower, name.n));
    if (!nullable)
        return;
    json_put_str(o, STR("null"));
    json_close(o, ']');
}

/* A map of names to schemas. */
static void put_properties(struct json_out *o, struct json_node v, struct arena *arena)
{
    json_open(o, '{');
    JSON_EACH(w, v) {
        json_key(o, json_node_text(w.key, arena));
        put_schema(o, w.value, arena);
    }
    json_close(o, '}');
}

static void put_schema_member(struct json_out *o, const struct json_walk *w, bool nullable, struct arena *arena)
{
    static const char *const numbers[] = {"minItems",      "maxItems",      "minLength", "maxLength",
                                          "minProperties", "maxProperties", NULL};

    if (gemini_key_is(w->key, "type") && json_node_is(w->value, JSON_STRING)) {
        put_type(o, w->value, nullable, arena);
        return;
    }
    if (gemini_key_is(w->key, "nullable") || gemini_key_is(w->key, "propertyOrdering"))
        return;
    for (size_t i = 0; numbers[i]; i++) { /* 64-bit numbers are strings in Google's JSON */
        if (gemini_key_is(w->key, numbers[i]) && json_node_is(w->value, JSON_STRING)) {
            json_member_raw(o, str_from_c(numbers[i]), json_node_text(w->value, arena));
            return;
        }
    }
    if (gemini_key_is(w->key, "anyOf"))
        json_key(o, STR("anyOf"));
    else
        json_key(o, json_node_text(w->key, arena));
    if (gemini_key_is(w->key, "properties"))
        put_properties(o, w->value, arena);
    else if (gemini_key_is(w->key, "items") || gemini_key_is(w->key, "anyOf"))
        put_schema(o, w->value, arena);
    else
        json_put_raw(o, json_node_raw(w->value));
}

/* A schema, or a list of schemas. Recursion is as deep as the document, which JSON_DEPTH_MAX bounds. */
static void put_schema(struct json_out *o, struct json_node v, struct arena *arena)
{
    bool nullable = json_get_true(v, STR("nullable"));

    if (json_node_is(v, JSON_ARRAY)) {
        json_open(o, '[');
        JSON_EACH(w, v)
            put_schema(o, w.value, arena);
        json_close(o, ']');
        return;
    }
    if (!json_node_is(v, JSON_OBJECT)) {
        json_put_raw(o, json_node_raw(v));
        return;
    }
    json_open(o, '{');
    JSON_EACH(w, v)
        put_schema_member(o, &w, nullable, arena);
    json_close(o, '}');
}

struct str gemini_json_schema(struct json_node schema, struct arena *arena)
{
    enum {
        GROWTH = 2,
        AROUND = 64
    }; /* ["string","null"] is shorter than "string" and "nullable":true; keys lose escapes */
    struct buf to CLEANUP(buf_release) = BUF_INIT(json_node_raw(schema).n * GROWTH + AROUND);
    struct json_out o = json_out_to(&to);

    if (!json_node_is(schema, JSON_OBJECT))
        return STR_NONE;
    put_schema(&o, schema, arena);
    return arena_str(arena, buf_str(&to));
}

/* --- signatures --- */

struct str gemini_carry(enum signer signer, struct str blob, bool redacted, struct arena *arena)
{
    struct str wrapped;

    if (!blob.n || (signer == SIGNER_GOOGLE && !redacted))
        return blob;
    wrapped = signature_wrap(signer, SIGNER_GOOGLE, redacted ? arena_join(arena, REDACTED, blob) : blob, arena);
    struct buf to CLEANUP(buf_release) = BUF_INIT(base64_encoded_length(wrapped.n, BASE64));
    base64_encode(&to, wrapped, BASE64);
    return arena_str(arena, buf_str(&to));
}

struct str gemini_carried(struct str text, enum signer *ret_signer, bool *ret_redacted, struct arena *arena)
{
    struct str standard = base64_standard(text, arena);
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(base64_decoded_max(standard.n));

    *ret_signer = SIGNER_GOOGLE;
    *ret_redacted = false;
    if (!str_starts(standard, WRAPPED) || base64_decode(&bytes, standard, BASE64) != OK)
        return text;
    struct str blob = signature_unwrap(arena_str(arena, buf_str(&bytes)), SIGNER_GOOGLE, ret_signer);
    *ret_redacted = str_starts(blob, REDACTED);
    return *ret_redacted ? str_slice(blob, REDACTED.n, blob.n) : blob;
}
