/*
 * stored.c - keeping, continuing, fetching and deleting responses.
 *
 * Four things are kept of each: the object that the client got, the items of its input, the whole conversation up to its output, which is
 * what a request that names it continues, and each item of its output by its own id, which clients send instead of the item. Keys begin with the caller's key, so nobody can ask for what was another's.
 */
#include "gateway/stored.h"

#include "codec/json_out.h"
#include "llm/responses.h"
#include "store/blobs.h"

enum { STORED_MAX = 32 * 1024 * 1024 };

bool stored_is_ours(const struct exchange *x)
{
    return gateway_kept(x->gateway) && x->endpoint.dialect->client.keeps_answers;
}

static struct str key_of(struct exchange *x, const char *what, struct str id)
{
    return arena_printf(x->r->arena, "%s/%.*s/%.*s", what, STR_ARG(x->facts.key), STR_ARG(id));
}

static SUSPENDS err_t get(struct exchange *x, const char *what, struct str id, struct str *ret)
{
    return blobs_get(gateway_kept(x->gateway), key_of(x, what, id), x->r->arena, ret);
}

/* --- continuing --- */

/* The request with these items as its input. */
static err_t write_with_input(struct json_node request, struct str items, bool keeps_previous, struct buf *to)
{
    struct json_out o = json_out_to(to);
    bool had_input = false;

    json_open(&o, '{');
    JSON_EACH(w, request) {
        if (!keeps_previous && json_walk_key_is(&w, STR("previous_response_id")))
            continue;
        struct str quoted = json_node_raw(w.key);
        bool input = json_walk_key_is(&w, STR("input"));
        had_input |= input;
        json_put_raw(&o, quoted);
        buf_add_char(to, ':');
        o.comma = false;
        json_put_raw(&o, input ? items : json_node_raw(w.value));
    }
    if (!had_input)
        json_member_raw(&o, STR("input"), items);
    json_close(&o, '}');
    return buf_status(to);
}

static SUSPENDS err_t continue_previous(struct exchange *x, struct str *body)
{
    struct buf conversation CLEANUP(buf_release) = BUF_INIT(STORED_MAX),
                            whole CLEANUP(buf_release) = BUF_INIT(STORED_MAX);
    const struct json_tree *tree;
    struct str items, mark = STR("\"previous_response_id\"");

    if (str_find(*body, mark) == body->n || json_tree_parse(x->r->arena, *body, &tree) != OK)
        return OK;
    struct json_node root = json_tree_root(tree);
    struct str id = json_get_text(root, STR("previous_response_id"), x->r->arena);
    err_t e = id.n ? get(x, "conversation", id, &items) : E_NOT_FOUND;
    if (e == E_NOT_FOUND)
        return OK;
    TRY(e);
    TRY(responses_conversation(x->r->arena, items, json_node_get(root, STR("input")), &conversation));
    TRY(write_with_input(root, buf_str(&conversation), false, &whole));
    *body = arena_str(x->r->arena, buf_str(&whole));
    return OK;
}

/* The items of `input`, with those that are referred to in place of the references. One that is unknown here may be known to the provider. */
static SUSPENDS err_t write_referred(struct exchange *x, struct json_node input, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '[');
    JSON_EACH(w, input) {
        struct str item = json_node_raw(w.value), id = STR_NONE, known;
        if (json_node_text_is(json_node_get(w.value, STR("type")), STR("item_reference")))
            id = json_get_text(w.value, STR("id"), x->r->arena);
        err_t e = id.n ? get(x, "item", id, &known) : E_NOT_FOUND;
        if (e != OK && e != E_NOT_FOUND)
            return e;
        json_put_raw(&o, e == OK ? known : item);
        TRY(buf_status(to)); /* the same item may be referred to again and again */
    }
    json_close(&o, ']');
    return buf_status(to);
}

static SUSPENDS err_t resolve_references(struct exchange *x, struct str *body)
{
    struct buf items CLEANUP(buf_release) = BUF_INIT(STORED_MAX), whole CLEANUP(buf_release) = BUF_INIT(STORED_MAX);
    const struct json_tree *tree;
    struct str mark = STR("\"item_reference\"");

    if (str_find(*body, mark) == body->n || json_tree_parse(x->r->arena, *body, &tree) != OK)
        return OK;
    struct json_node root = json_tree_root(tree), input = json_node_get(root, STR("input"));
    if (!json_node_is(input, JSON_ARRAY))
        return OK;
    TRY(write_referred(x, input, &items));
    TRY(write_with_input(root, buf_str(&items), true, &whole));
    *body = arena_str(x->r->arena, buf_str(&whole));
    return OK;
}

err_t stored_continue(struct exchange *x, struct str *body)
{
    if (!stored_is_ours(x))
        return OK;
    TRY(continue_previous(x, body));
    return resolve_references(x, body);
}

/* --- keeping --- */

static SUSPENDS void put(struct exchange *x, const char *what, struct str id, struct str text)
{
    err_t e = blobs_put(gateway_kept(x->gateway), key_of(x, what, id), text);
    (void)e; /* too large for the store: the client will be told that it is not kept */
}

static SUSPENDS void keep_items(struct exchange *x, struct json_node output)
{
    JSON_EACH(w, output) {
        struct str id = json_get_text(w.value, STR("id"), x->r->arena);
        if (id.n)
            put(x, "item", id, json_node_raw(w.value));
    }
}

void stored_keep(struct exchange *x, struct str response)
{
    struct buf input CLEANUP(buf_release) = BUF_INIT(STORED_MAX), all CLEANUP(buf_release) = BUF_INIT(STORED_MAX);
    const struct json_tree *request, *object;
    struct arena *a = x->r->arena;
    bool store = true;

    if (!stored_is_ours(x) || !x->translated)
        return;
    struct json_node root = x->translated->chat.document ? json_tree_root(x->translated->chat.document) : JSON_ABSENT;
    request = x->translated->chat.document;
    (void)json_node_bool(json_node_get(root, STR("store")), &store);
    if (!request || !store || json_tree_parse(a, response, &object) != OK)
        return;
    struct str id = json_get_text(json_tree_root(object), STR("id"), a);
    struct json_node said = json_node_get(root, STR("input"));
    if (!id.n || responses_conversation(a, STR_NONE, said, &input) != OK ||
        responses_items_to_store(a, said, response, &all) != OK)
        return;
    put(x, "response", id, response);
    put(x, "input", id, buf_str(&input));
    put(x, "conversation", id, buf_str(&all));
    keep_items(x, json_node_get(json_tree_root(object), STR("output")));
}

void stored_keep_stream(struct exchange *x, struct str events)
{
    struct str last = STR_NONE, rest = events;
    struct frame f;
    bool got = true;

    if (!stored_is_ours(x))
        return;
    struct framer *framer = framer_new(x->r->arena, FRAMING_SSE, STORED_MAX);
    while (framer_next(framer, &rest, &got, &f) == OK && got) {
        struct str object = str_starts(f.name, STR("response.")) ? json_find(f.data, STR("response")) : STR_NONE;
        if (object.n)
            last = object;
    }
    if (last.n)
        stored_keep(x, arena_str(x->r->arena, last));
}

/* --- by id --- */

static SUSPENDS err_t serve_items(struct exchange *x, struct str id, struct str items)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(STORED_MAX), listed CLEANUP(buf_release) = BUF_INIT(STORED_MAX);
    struct json_out o = json_out_to(&body);
    const struct json_tree *tree;
    struct arena *a = x->r->arena;

    TRY(json_tree_parse(a, items, &tree));
    TRY(responses_list_items(a, json_tree_root(tree), id, &listed));
    TRY(json_tree_parse(a, buf_str(&listed), &tree));
    struct json_node list = json_tree_root(tree);
    size_t n = json_node_count(list);
    json_open(&o, '{');
    json_member_str(&o, STR("object"), STR("list"));
    json_member_raw(&o, STR("data"), buf_str(&listed));
    json_member_str(&o, STR("first_id"), json_get_text(json_node_at(list, 0), STR("id"), a));
    json_member_str(&o, STR("last_id"), json_get_text(json_node_at(list, n ? n - 1 : 0), STR("id"), a));
    json_member_bool(&o, STR("has_more"), false);
    json_close(&o, '}');
    TRY(buf_status(&body));
    return reply_json(x, 200, buf_str(&body));
}

static SUSPENDS err_t remove_items(struct exchange *x, struct str response)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(x->r->arena, response, &tree));
    JSON_EACH(w, json_node_get(json_tree_root(tree), STR("output"))) {
        struct str id = json_get_text(w.value, STR("id"), x->r->arena);
        if (blobs_remove(gateway_kept(x->gateway), key_of(x, "item", id)) == E_CANCELLED)
            return E_CANCELLED;
    }
    return OK;
}

static SUSPENDS err_t serve_deletion(struct exchange *x, struct str id, struct str response)
{
    static const char *const parts[] = {"response", "input", "conversation"};
    struct buf body CLEANUP(buf_release) = BUF_INIT(4096);
    struct json_out o = json_out_to(&body);

    TRY(remove_items(x, response));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (blobs_remove(gateway_kept(x->gateway), key_of(x, parts[i], id)) == E_CANCELLED)
            return E_CANCELLED;
    json_open(&o, '{');
    json_member_str(&o, STR("id"), id);
    json_member_str(&o, STR("object"), STR("response"));
    json_member_bool(&o, STR("deleted"), true);
    json_close(&o, '}');
    TRY(buf_status(&body));
    return reply_json(x, 200, buf_str(&body));
}

err_t stored_serve(struct exchange *x, bool *ret_served)
{
    struct str rest = x->endpoint.path, method = x->r->head.method, object, items;

    *ret_served = false;
    if (!gateway_kept(x->gateway) || !str_starts(rest, STR("/responses/")))
        return OK;
    rest = str_slice(rest, strlen("/responses/"), rest.n);
    struct str id = str_cut(&rest, '/');
    err_t e = get(x, "response", id, &object);
    if (e == E_NOT_FOUND)
        return OK;
    TRY(e);
    *ret_served = true;
    if (!rest.p && str_eq(method, STR("GET")))
        return reply_json(x, 200, object);
    if (!rest.p && str_eq(method, STR("DELETE")))
        return serve_deletion(x, id, object);
    if (str_eq(rest, STR("input_items")) && str_eq(method, STR("GET"))) {
        TRY(get(x, "input", id, &items));
        return serve_items(x, id, items);
    }
    struct api_error error = {.status = 400, .message = STR("This response is complete: there is nothing to cancel.")};
    return reply_error(x, &error);
}
