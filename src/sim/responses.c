/*
 * responses.c - /responses: create, get, delete, cancel, input items, and counting.
 *
 * A response is stored, unless the request says otherwise, before it is sent, so that it can be fetched whatever befalls the
 * sending. A background response is finished at once but answered as queued; cancelling works on those alone.
 */
#include "codec/json.h"
#include "codec/url.h"
#include "sim/hash.h"
#include "sim/responses_int.h"

enum { BODY_BYTES_MAX = 64 << 20, ITEMS_LIMIT = 20, ITEMS_LIMIT_MAX = 100 };

static err_t store_response(struct sim_turn *t, const struct response *r)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_BYTES_MAX),
                    calls CLEANUP(buf_release) = BUF_INIT(BODY_BYTES_MAX);
    uint64_t hash = r->request->q.hash;

    TRY(response_write(r, response_status(r), true, &body));
    for (size_t i = 0; i < r->count; i++) {
        hash = sim_hash(hash, r->items[i].text);
        if (r->items[i].kind == OUTPUT_CALL)
            buf_addf(&calls, "%s\n", r->items[i].call_id);
    }
    struct stored_response kept = {.id = str_from_c(r->id),
                                   .body = buf_str(&body),
                                   .items = r->request->items,
                                   .hash = hash,
                                   .tokens = r->request->q.prompt_tokens + r->tokens - SIM_PROMPT_TOKENS,
                                   .calls = buf_str(&calls)};
    response_store_add(turn_responses(t), &kept);
    return OK;
}

static err_t send_response(struct sim_turn *t, const struct response *r) SUSPENDS;
static err_t send_response(struct sim_turn *t, const struct response *r)
{
    if (r->request->q.stream)
        return sim_play_stream(&t->play, response_feed(r));
    if (r->request->background) {
        TRY(response_write(r, "queued", false, t->room));
        return turn_reply_json(t, 200);
    }
    TRY(response_write(r, response_status(r), true, t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), r->tokens);
}

err_t responses_create_endpoint(struct sim_turn *t)
{
    struct responses_request *request = arena_new(t->a, struct responses_request);
    struct sim_answer answer;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(responses_read(t->a, body, t->scenario->strict_fields, turn_responses(t), request, &t->refusal));
    question_settle(&request->q);
    TRY(turn_begin(t, request->q.model, request->q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &request->q, t->seed, t->plan.length, &answer) != OK)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "Invalid JSON Schema: %s.", err_detail(E_TOO_LARGE));
    turn_count_prompt(t, request->q.prompt_tokens);
    const struct response *r = response_make(t->a, request, &answer, &t->mark);
    if (request->store)
        TRY(store_response(t, r));
    return send_response(t, r);
}

err_t responses_count_endpoint(struct sim_turn *t)
{
    struct responses_request *request = arena_new(t->a, struct responses_request);
    struct str body;

    TRY(turn_body(t, &body));
    TRY(responses_read(t->a, body, t->scenario->strict_fields, turn_responses(t), request, &t->refusal));
    buf_addf(t->room, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}", request->q.prompt_tokens);
    return turn_reply_json(t, 200);
}

static err_t find_response(struct sim_turn *t, const struct stored_response **ret)
{
    *ret = response_store_find(turn_responses(t), t->id);
    if (*ret)
        return OK;
    return refuse_status(t->a, &t->refusal, 404, NULL, "Response with id '%.*s' not found.", STR_ARG(t->id));
}

err_t responses_get_endpoint(struct sim_turn *t)
{
    const struct stored_response *r;

    TRY(find_response(t, &r));
    if (str_eq(url_query_get(t->r->head.query, STR("stream"), t->a), STR("true")))
        return refuse(t->a, &t->refusal, NULL, STR("stream"), "The simulator does not resume streams.");
    buf_add(t->room, r->body);
    return turn_reply_json(t, 200);
}

err_t responses_delete_endpoint(struct sim_turn *t)
{
    const struct stored_response *r;

    TRY(find_response(t, &r));
    response_store_remove(turn_responses(t), t->id);
    buf_add_lit(t->room, "{\"id\":\"");
    buf_add_json(t->room, t->id);
    buf_add_lit(t->room, "\",\"object\":\"response\",\"deleted\":true}");
    return turn_reply_json(t, 200);
}

/* The body of a cancelled response: the same with another status. */
static bool set_cancelled(struct str body, struct buf *to)
{
    static const struct str before = STR_INIT("\"status\":\"completed\",\"background\":true");
    size_t at = str_find(body, before);

    if (at == body.n)
        return false;
    buf_add(to, str_slice(body, 0, at));
    buf_add_lit(to, "\"status\":\"cancelled\",\"background\":true");
    buf_add(to, str_slice(body, at + before.n, body.n));
    return true;
}

err_t responses_cancel_endpoint(struct sim_turn *t)
{
    const struct stored_response *r;

    TRY(find_response(t, &r));
    if (str_find(r->body, STR("\"status\":\"cancelled\",\"background\":true")) < r->body.n) {
        buf_add(t->room, r->body); /* cancelling twice does nothing more */
        return turn_reply_json(t, 200);
    }
    if (!set_cancelled(r->body, t->room))
        return refuse(t->a, &t->refusal, NULL, STR_NONE,
                      "Only responses created with background=true can be cancelled.");
    struct stored_response changed = *r;
    changed.body = buf_str(t->room);
    response_store_add(turn_responses(t), &changed);
    return turn_reply_json(t, 200);
}

/* --- input items --- */

static struct str item_id(yyjson_val *item)
{
    return json_get_str(item, STR("id"), STR(""));
}

static void write_item_id(yyjson_val *item, struct buf *to)
{
    if (!item) {
        buf_add_lit(to, "null");
        return;
    }
    buf_add_char(to, '"');
    buf_add_json(to, item_id(item));
    buf_add_char(to, '"');
}

/* Items [from, to) of the stored list in the order that was asked for. */
static err_t write_items(struct sim_turn *t, yyjson_val *list, size_t from, size_t limit, bool ascending)
{
    size_t size = yyjson_arr_size(list), to = size - from < limit ? size : from + limit;
    yyjson_val *first = NULL, *last = NULL;

    buf_add_lit(t->room, "{\"object\":\"list\",\"data\":[");
    for (size_t i = from; i < to; i++) {
        last = yyjson_arr_get(list, ascending ? i : size - 1 - i);
        first = first ? first : last;
        buf_add(t->room, i > from ? STR(",") : STR(""));
        TRY(json_write(t->room, t->a, last));
    }
    buf_add_lit(t->room, "],\"first_id\":");
    write_item_id(first, t->room);
    buf_add_lit(t->room, ",\"last_id\":");
    write_item_id(last, t->room);
    buf_addf(t->room, ",\"has_more\":%s}", to < size ? "true" : "false");
    return OK;
}

err_t responses_items_endpoint(struct sim_turn *t)
{
    struct str query = t->r->head.query, after = url_query_get(query, STR("after"), t->a);
    struct str limit_text = url_query_get(query, STR("limit"), t->a);
    bool ascending = str_eq(url_query_get(query, STR("order"), t->a), STR("asc"));
    const struct stored_response *r;
    yyjson_val *list;
    uint64_t limit = ITEMS_LIMIT;
    size_t from = 0;

    TRY(find_response(t, &r));
    if (limit_text.p && (!str_to_u64(limit_text, ITEMS_LIMIT_MAX, &limit) || limit == 0))
        return refuse(t->a, &t->refusal, "invalid_value", STR("limit"),
                      "Invalid 'limit': expected an integer of 1 to %d.", ITEMS_LIMIT_MAX);
    TRY(json_parse(t->a, arena_join(t->a, arena_join(t->a, STR("["), r->items), STR("]")), NULL, 0, &list));
    size_t size = yyjson_arr_size(list);
    for (size_t i = 0; after.n > 0 && i < size; i++)
        if (str_eq(item_id(yyjson_arr_get(list, ascending ? i : size - 1 - i)), after))
            from = i + 1;
    TRY(write_items(t, list, from, limit, ascending));
    return turn_reply_json(t, 200);
}
