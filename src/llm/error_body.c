/* error_body.c - looking for words in error bodies, from the most telling place to the least. */
#include "llm/error_body.h"

#include "base/utf8.h"

enum { WORDS_MAX = 2048 };

static struct str scalar(struct json_node object, struct str key, struct arena *arena)
{
    struct json_node v = json_node_get(object, key);

    return json_node_is(v, JSON_NUMBER) ? json_node_raw(v) : json_node_text(v, arena);
}

/* The object with the words: of a list the first, of {"error": {…}} the inner one. */
static struct json_node unwrap(struct json_node v)
{
    enum { LAYERS = 4 };

    for (int i = 0; i < LAYERS; i++) {
        struct json_node inner = json_node_is(v, JSON_ARRAY) ? json_node_at(v, 0) : json_node_get(v, STR("error"));
        if (json_node_is(v, JSON_ARRAY) && json_is_absent(inner))
            return JSON_ABSENT;
        if (!json_node_is(inner, JSON_OBJECT) && !json_node_is(inner, JSON_ARRAY))
            break;
        v = inner;
    }
    return v;
}

/* The first member of these that is words, or an object or list with words inside. */
static struct str words(struct json_node object, struct arena *arena)
{
    static const struct str keys[] = {STR_INIT("message"), STR_INIT("Message"),           STR_INIT("detail"),
                                      STR_INIT("error"),   STR_INIT("error_description"), STR_INIT("errors"),
                                      STR_INIT("msg")};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct json_node v = json_node_get(object, keys[i]);
        while (json_node_is(v, JSON_ARRAY))
            v = json_node_at(v, 0);
        if (json_node_is(v, JSON_OBJECT)) {
            struct json_node inner = json_node_get(v, STR("msg"));
            v = json_is_absent(inner) ? json_node_get(v, STR("message")) : inner;
        }
        struct str text = json_node_text(v, arena);
        if (text.n)
            return text;
    }
    return STR_NONE;
}

void error_body_of(struct arena *arena, struct json_node v, struct error_body *ret)
{
    struct json_node object = unwrap(v);

    *ret = (struct error_body){.message = json_node_text(object, arena), .object = object};
    if (!json_node_is(object, JSON_OBJECT))
        return;
    ret->message = words(object, arena);
    ret->type = scalar(object, STR("type"), arena);
    ret->code = scalar(object, STR("code"), arena);
    ret->status = scalar(object, STR("status"), arena);
    ret->message = utf8_prefix(ret->message, WORDS_MAX);
}

void error_body_read(struct arena *arena, struct str body, struct error_body *ret)
{
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) == OK) {
        error_body_of(arena, json_tree_root(tree), ret);
        return;
    }
    struct str text = str_trim(body);
    bool page = str_starts(text, STR("<"));
    *ret = (struct error_body){.message = page ? STR_NONE : utf8_prefix(text, WORDS_MAX)};
}

static bool holds_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++)
        if (str_eq_nocase(str_slice(s, i, i + needle.n), needle))
            return true;
    return false;
}

bool error_words_context(struct str message)
{
    static const struct str known[] = {
        STR_INIT("prompt is too long"),
        STR_INIT("context length"),
        STR_INIT("context window"),
        STR_INIT("context_length"),
        STR_INIT("input length and `max_tokens` exceed"),
        STR_INIT("input token count"),
        STR_INIT("input is too long"),
        STR_INIT("too many input tokens"),
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (holds_nocase(message, known[i]))
            return true;
    return false;
}

int64_t error_retry_hint(struct str (*header)(void *ctx, struct str name), void *ctx)
{
    enum { MS = 1000 };
    const double longest = 30.0 * 24 * 3600 * MS; /* beyond this it is no hint */
    double value;

    if (json_to_double(str_trim(header(ctx, STR("retry-after-ms"))), &value) && value >= 0 && value <= longest)
        return (int64_t)value;
    if (json_to_double(str_trim(header(ctx, STR("retry-after"))), &value) && value >= 0 && value * MS <= longest)
        return (int64_t)(value * MS);
    return -1;
}
