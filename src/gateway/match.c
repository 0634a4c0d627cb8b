/*
 * match.c - which rule of `routes` a request falls under: its facts as the record that conditions look at.
 *
 * The record is read by place, in the order of fleet/condition.h, straight from the exchange: nothing is copied, and what no condition of the rules in
 * question reads is not worked out. Only rules for the model's name are met. A condition that fails while it is evaluated (an overflow, a
 * limit) does not hold; that is logged once per rule and counted.
 *
 * Does not decide what a rule means: see resolve.c.
 */
#include "base/log.h"
#include "gateway/exchange.h"
#include "gateway/needs.h"

/* --- hosts: one per object of the record --- */

/* All of them at once, so that each can be an object of expressions by its address. */
struct input {
    struct expr_host root, key, key_metadata, headers, tokens, needs;
    const struct exchange *x;
    struct str model;
    const struct str *header_names; /* in lower case; NULL: no condition reads all */
    const struct needs *found;      /* NULL: no condition reads of it */
    struct json_node metadata;
    struct str user;
    bool has_user;
};

#define INPUT_OF(host_pointer, member)                                                                                 \
    ((const struct input *)((const char *)(host_pointer) - offsetof(struct input, member)))

static struct expr_value text_or_null(struct str text)
{
    return text.n ? expr_string(text) : expr_null();
}

static size_t key_count(const struct expr_host *host)
{
    (void)host;
    return CONDITION_KEY_FIELDS;
}

static void key_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    static const struct api_key nobody = {.name = {NULL, 0}};
    const struct input *in = INPUT_OF(host, key);
    const struct api_key *k = in->x->key ? in->x->key : &nobody;

    *ret_key = condition_input_type.fields[CONDITION_KEY].type->fields[index].name;
    switch ((enum condition_key_field)index) {
    case CONDITION_KEY_NAME:
        *ret_value = text_or_null(k->name);
        break;
    case CONDITION_KEY_TEAM:
        *ret_value = text_or_null(k->team);
        break;
    case CONDITION_KEY_TAGS:
        *ret_value = expr_strings(k->tags, k->tag_count);
        break;
    case CONDITION_KEY_METADATA:
        *ret_value = expr_object(&in->key_metadata);
        break;
    case CONDITION_KEY_FIELDS:
        break;
    }
}

static size_t key_metadata_count(const struct expr_host *host)
{
    const struct api_key *k = INPUT_OF(host, key_metadata)->x->key;

    return k ? k->metadata_count : 0;
}

static void key_metadata_at(const struct expr_host *host, size_t index, struct str *ret_key,
                            struct expr_value *ret_value)
{
    const struct header_field *f = &INPUT_OF(host, key_metadata)->x->key->metadata[index];

    *ret_key = f->name;
    *ret_value = expr_string(f->value);
}

static size_t headers_count(const struct expr_host *host)
{
    return INPUT_OF(host, headers)->x->r->head.count;
}

static void headers_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    const struct input *in = INPUT_OF(host, headers);
    const struct http_header *h = &in->x->r->head.headers[index];

    *ret_key = in->header_names[index];
    *ret_value = expr_string(h->value);
}

static bool headers_find(const struct expr_host *host, struct str key, struct expr_value *ret_value)
{
    struct str value = http_head_find(&INPUT_OF(host, headers)->x->r->head, key);

    *ret_value = expr_string(value);
    return value.p != NULL;
}

static size_t tokens_count(const struct expr_host *host)
{
    (void)host;
    return CONDITION_TOKENS_FIELDS;
}

static void tokens_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    const struct needs *n = INPUT_OF(host, tokens)->found;

    *ret_key = condition_input_type.fields[CONDITION_TOKENS].type->fields[index].name;
    if (index == CONDITION_TOKENS_INPUT)
        *ret_value = expr_number((double)n->input);
    else
        *ret_value = n->output ? expr_number((double)n->output) : expr_null();
}

static size_t needs_count(const struct expr_host *host)
{
    (void)host;
    return NEED_COUNT;
}

static void needs_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    *ret_key = condition_input_type.fields[CONDITION_NEEDS].type->fields[index].name;
    *ret_value = expr_bool(INPUT_OF(host, needs)->found->bits >> index & 1);
}

static size_t root_count(const struct expr_host *host)
{
    (void)host;
    return CONDITION_FIELDS;
}

static size_t empty_count(const struct expr_host *host)
{
    (void)host;
    return 0;
}

static const struct expr_host_class empty_class = {.count = empty_count};
static const struct expr_host empty = {&empty_class};

static void root_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    const struct input *in = INPUT_OF(host, root);
    const struct exchange *x = in->x;

    *ret_key = condition_input_type.fields[index].name;
    switch ((enum condition_field)index) {
    case CONDITION_MODEL:
        *ret_value = expr_string(in->model);
        break;
    case CONDITION_DIALECT:
        *ret_value = expr_string(str_from_c(x->endpoint.dialect->name));
        break;
    case CONDITION_OPERATION:
        *ret_value = expr_string(str_from_c(x->endpoint.label));
        break;
    case CONDITION_STREAM:
        *ret_value = expr_bool(x->stream);
        break;
    case CONDITION_KEY:
        *ret_value = expr_object(&in->key);
        break;
    case CONDITION_HEADERS:
        *ret_value = expr_object(&in->headers);
        break;
    case CONDITION_TAGS:
        *ret_value = expr_strings(x->overrides.tags, x->overrides.tag_count);
        break;
    case CONDITION_TOKENS:
        *ret_value = expr_object(&in->tokens);
        break;
    case CONDITION_NEEDS:
        *ret_value = expr_object(&in->needs);
        break;
    case CONDITION_METADATA:
        *ret_value = json_is_absent(in->metadata) ? expr_object(&empty) : expr_json(in->metadata);
        break;
    case CONDITION_USER:
        *ret_value = in->has_user ? expr_string(in->user) : expr_null();
        break;
    case CONDITION_FIELDS:
        break;
    }
}

static const struct expr_host_class root_class = {.count = root_count, .at = root_at},
                                    key_class = {.count = key_count, .at = key_at},
                                    key_metadata_class = {.count = key_metadata_count, .at = key_metadata_at},
                                    headers_class = {.count = headers_count, .at = headers_at, .find = headers_find},
                                    tokens_class = {.count = tokens_count, .at = tokens_at},
                                    needs_class = {.count = needs_count, .at = needs_at};

/* --- evaluation --- */

enum {
    OF_BODY = 1 << CONDITION_TOKENS | 1 << CONDITION_NEEDS | 1 << CONDITION_METADATA | 1 << CONDITION_USER,
};

/* Evaluation takes memory of the same arena, and so must find them there. */
static const struct str *lower_names(struct exchange *x)
{
    const struct http_head *head = &x->r->head;
    struct str *names = arena_alloc(x->r->arena, (head->count + 1) * sizeof *names);

    for (size_t i = 0; i < head->count; i++)
        names[i] = arena_lower(x->r->arena, head->headers[i].name);
    return names;
}

/* What costs something to find out, as far as `reads` asks for it. */
static void find_out(struct input *in, struct exchange *x, unsigned reads)
{
    const struct json_tree *doc;

    if ((reads & CONDITION_ALL_HEADERS) && !in->header_names)
        in->header_names = lower_names(x);
    if (!(reads & OF_BODY))
        return;
    in->found = needs_of(x);
    if ((reads & 1 << CONDITION_METADATA) && json_is_absent(in->metadata) && in->found->metadata.n &&
        json_tree_parse(x->r->arena, in->found->metadata, &doc) == OK)
        in->metadata = json_tree_root(doc);
    if ((reads & 1 << CONDITION_USER) && in->found->user.n)
        in->has_user = json_string_value(in->found->user, x->r->arena, &in->user) == OK;
}

static bool holds(struct exchange *x, struct input *in, const struct rule *r)
{
    const struct expr_input input = {.root = expr_object(&in->root)};
    bool truth = false;

    if (!r->condition.expr)
        return true;
    find_out(in, x, r->condition.reads);
    err_t e = expr_is_true(r->condition.expr, x->r->arena, &input, &expr_limits_default, &truth);
    if (e == OK)
        return truth;
    metrics_rule(gateway_metrics_mutable(x->gateway), r->name, false);
    if (rule_failed(r))
        log_warn(x->facts.id, "route %.*s: its condition could not be evaluated, and counts as not met: %s",
                 STR_ARG(r->name), err_detail(e));
    return false;
}

const struct rule *match_rule(struct exchange *x, struct str model)
{
    const struct catalog *c = x->snapshot->catalog;
    const struct rule_list *list = catalog_find_rules(c, model);
    const struct rule *r;

    if (!list)
        return NULL;
    struct input in = {.root = {&root_class},
                       .key = {&key_class},
                       .key_metadata = {&key_metadata_class},
                       .headers = {&headers_class},
                       .tokens = {&tokens_class},
                       .needs = {&needs_class},
                       .x = x,
                       .model = model};
    for (unsigned from = 0; (r = catalog_next_rule(c, list, from)) != NULL; from = r->index + 1)
        if (holds(x, &in, r))
            return r;
    return NULL;
}
