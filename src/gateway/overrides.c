/*
 * overrides.c - reads the headers by which a client decides something about its request, within what its key may decide.
 *
 * All of them narrow: models must be allowed to the key, a timeout can only be shorter, tags that are required only add to what is required anyway. So
 * every key may use them unless its configuration says otherwise. A header that is not understood or not allowed is an error and not ignored: who
 * asks for 5 seconds must not wait for 600.
 *
 * Does not act on them: resolve.c, rules.c and attempt.c do.
 */
#include "gateway/overrides.h"

#include "base/units.h"
#include "base/utf8.h"
#include "gateway/exchange.h"

enum { MODELS_MAX = 8, TAGS_SENT_MAX = 64, SESSION_MAX = 256, VALUE_SHOWN = 100 };

/* The entries of a list, without empty ones. Slices of the header. */
static err_t read_list(struct exchange *x, struct str name, struct str value, size_t max, struct str **list,
                       size_t *count)
{
    if (!*list)
        *list = arena_alloc(x->r->arena, max * sizeof **list);
    while (value.p) {
        struct str entry = str_trim(str_cut(&value, ','));
        if (!entry.n)
            continue;
        if (*count == max)
            return fail(E_PARSE, "The header %.*s may list %zu at most.", STR_ARG(name), max);
        (*list)[(*count)++] = entry;
    }
    return OK;
}

static err_t read_models(struct exchange *x, struct str name, struct str value)
{
    struct overrides *o = &x->overrides;

    TRY(read_list(x, name, value, MODELS_MAX, &o->models, &o->model_count));
    return o->model_count ? OK
                          : fail(E_PARSE, "The header %.*s names no model: list some, or leave it out.", STR_ARG(name));
}

static err_t read_timeout(struct exchange *x, struct str name, struct str value)
{
    struct overrides *o = &x->overrides;
    ns_t span = 0;

    if (units_parse_duration(str_trim(value), &span) != OK || span <= 0 || span == NS_NEVER)
        return fail(E_PARSE, "The header %.*s must be a duration such as 20s or 1500ms, not '%.*s'.", STR_ARG(name),
                    STR_ARG(utf8_prefix(value, VALUE_SHOWN)));
    ns_t by = ns_add(x->r->received, span);
    o->by = o->by ? ns_min(o->by, by) : by;
    return OK;
}

static err_t read_no_fallback(struct exchange *x, struct str name, struct str value)
{
    bool truth;

    if (!json_to_bool(str_trim(value), &truth))
        return fail(E_PARSE, "The header %.*s must be true or false, not '%.*s'.", STR_ARG(name),
                    STR_ARG(utf8_prefix(value, VALUE_SHOWN)));
    x->overrides.no_fallback |= truth;
    return OK;
}

static err_t read_session(struct exchange *x, struct str name, struct str value)
{
    if (value.n > SESSION_MAX)
        return fail(E_PARSE, "The header %.*s may have %d bytes at most.", STR_ARG(name), SESSION_MAX);
    x->overrides.session = str_trim(value);
    return OK;
}

static err_t read_tags(struct exchange *x, struct str name, struct str value)
{
    return read_list(x, name, value, TAGS_SENT_MAX, &x->overrides.tags, &x->overrides.tag_count);
}

static err_t read_required(struct exchange *x, struct str name, struct str value)
{
    return read_list(x, name, value, TAGS_SENT_MAX, &x->overrides.required, &x->overrides.required_count);
}

#define PREFIX "x-crossdock-"

static const struct {
    struct str name;
    unsigned permission; /* enum override; 0: any key may send it */
    const char *word;    /* as the configuration spells the permission */
    err_t (*read)(struct exchange *x, struct str name, struct str value);
} table[] = {
    {STR_INIT(PREFIX "models"), OVERRIDE_MODELS, "models", read_models},
    {STR_INIT(PREFIX "timeout"), OVERRIDE_TIMEOUT, "timeout", read_timeout},
    {STR_INIT(PREFIX "no-fallback"), OVERRIDE_NO_FALLBACK, "no-fallback", read_no_fallback},
    {STR_INIT(PREFIX "session"), 0, "", read_session},
    {STR_INIT(PREFIX "tags"), 0, "", read_tags},
    {STR_INIT(PREFIX "require"), 0, "", read_required},
};

static err_t read_one(struct exchange *x, const struct http_header *h)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!str_eq_nocase(h->name, table[i].name))
            continue;
        if (x->key && (table[i].permission & ~x->key->overrides))
            return fail(E_FORBIDDEN,
                        "This key may not send the header %.*s: leave it out, or ask the operator to add '%s' to the "
                        "key's 'overrides'.",
                        STR_ARG(table[i].name), table[i].word);
        return table[i].read(x, table[i].name, h->value);
    }
    return OK;
}

err_t overrides_read(struct exchange *x)
{
    const struct http_head *head = &x->r->head;

    for (size_t i = 0; i < head->count; i++)
        if (str_starts_nocase(head->headers[i].name, STR(PREFIX)))
            TRY(read_one(x, &head->headers[i]));
    return OK;
}

ns_t overrides_total(const struct exchange *x, ns_t total)
{
    return x->overrides.by ? ns_min(total, x->overrides.by - x->r->received) : total;
}
