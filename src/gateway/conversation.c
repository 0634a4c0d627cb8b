/*
 * conversation.c - what requests of one conversation, one user or one session have in common, as a hash.
 *
 * A conversation is known by how it begins: the instructions and the first turn of each request are the same, byte by byte, because clients send the whole
 * of it each time. So no store is needed, and clients of any dialect need do nothing. Two conversations that begin alike count as one, which is
 * what a prompt cache wants.
 *
 * Only the members that are asked for are looked at, in the text of the body.
 */
#include "codec/json_scan.h"
#include "gateway/exchange.h"

/* Of a long text, such as instructions of a hundred kilobytes, both ends and its length tell enough. */
static uint64_t mix(uint64_t h, struct str text)
{
    enum { END = 1024 };
    size_t head = text.n < END ? text.n : END, tail = text.n - head < END ? text.n - head : END;

    if (!text.n)
        return h;
    h = (h ^ str_hash(str_slice(text, 0, head))) * 0x9e3779b97f4a7c15;
    return (h ^ str_hash(str_slice(text, text.n - tail, text.n)) ^ text.n) * 0x9e3779b97f4a7c15;
}

/* Up to the first turn of the user's; all of it if it is one text. */
static struct str beginning_of(struct str turns)
{
    size_t at = 0;

    if (json_kind_of(turns) != JSON_ARRAY)
        return turns;
    for (struct str turn = json_next_element(turns, &at); turn.p; turn = json_next_element(turns, &at))
        if (!str_eq(json_find(turn, STR("role")), STR("\"system\"")) &&
            !str_eq(json_find(turn, STR("role")), STR("\"developer\"")))
            return str_of(turns.p, (size_t)(turn.p + turn.n - turns.p));
    return turns;
}

/* In whatever dialect. */
static uint64_t by_beginning(struct str doc)
{
    static const struct str whole[] = {STR_INIT("system"), STR_INIT("instructions"), STR_INIT("systemInstruction"),
                                       STR_INIT("system_instruction"), STR_INIT("tools")},
                            turns[] = {STR_INIT("messages"),     STR_INIT("contents"), STR_INIT("input"),
                                       STR_INIT("chat_history"), STR_INIT("message"),  STR_INIT("prompt")};
    struct str key, value;
    uint64_t h = 0;

    for (size_t at = 0; json_next_member(doc, &at, &key, &value);) {
        for (size_t i = 0; i < ARRAY_LEN(whole); i++)
            h = str_eq(key, whole[i]) ? mix(h, value) : h;
        for (size_t i = 0; i < ARRAY_LEN(turns); i++)
            h = str_eq(key, turns[i]) ? mix(h, beginning_of(value)) : h;
    }
    return h;
}

static uint64_t by_user(const struct exchange *x)
{
    static const struct str names[] = {STR_INIT("user"), STR_INIT("safety_identifier")};
    struct str doc = x->request.doc, user = json_find(json_find(doc, STR("metadata")), STR("user_id"));

    for (size_t i = 0; !user.n && i < ARRAY_LEN(names); i++)
        user = json_find(doc, names[i]);
    return mix(0, user.n ? user : x->key ? x->key->name : STR_NONE);
}

uint64_t conversation_of(const struct exchange *x)
{
    switch (x->rules->sticky) {
    case STICKY_CONVERSATION:
        return x->endpoint.kind == ENDPOINT_OPERATION ? by_beginning(x->request.doc) : 0;
    case STICKY_USER:
        return by_user(x);
    case STICKY_HEADER:
        return mix(0, http_request_header(x->r, x->rules->sticky_header));
    }
    return 0;
}
