/*
 * gates.c - /admin/gates: records that wait for people, for operators.
 *
 *   GET  /admin/gates?pipeline=&after=   those that are not decided; `next` is the `after` of the next page
 *   GET  /admin/gates/{id}               one, decided or not
 *   POST /admin/gates/{id}/approve       {"who": "…", "why": "…", "record": …}
 *   POST /admin/gates/{id}/reject        {"who": "…", "why": "…"}
 *
 * A vote is a commit to the journal (pipeline/run/gates.h): the first decision stands, and the pipeline sees it within a second.
 */
#include "admin/admin_int.h"

#include "codec/url.h"
#include "pipeline/run/gates.h"

enum { ANSWER_MAX = 64 << 20, GATE_ROWS = 200, HEX = 32 };

static const char *verdict_name(enum gate_verdict v)
{
    switch (v) {
    case GATE_OPEN:
        return "open";
    case GATE_APPROVED:
        return "approved";
    case GATE_REJECTED:
        return "rejected";
    case GATE_EXPIRED:
        return "expired";
    }
    return "unknown";
}

static void put_gate(const struct gate *g, struct json_out *o)
{
    char hex[HEX];

    gate_id_print(&g->id, hex);
    json_open(o, '{');
    json_member_str(o, STR("id"), str_of(hex, sizeof hex));
    json_member_str(o, STR("pipeline"), g->pipeline);
    json_member_str(o, STR("node"), g->node);
    json_member_str(o, STR("channel"), g->channel);
    json_member_u64(o, STR("approvals"), g->approvals);
    json_member_i64(o, STR("expires_at"), g->due);
    json_member_str(o, STR("verdict"), str_from_c(verdict_name(g->verdict)));
    if (g->who.n)
        json_member_str(o, STR("who"), g->who);
    if (g->why.n)
        json_member_str(o, STR("why"), g->why);
    json_member_raw(o, STR("show"), g->show);
    json_close(o, '}');
}

static SUSPENDS err_t put_page(const struct admin *a, struct http_request *r, struct buf *to)
{
    struct str from = url_query_get(r->head.query, STR("after"), r->arena);
    struct json_out o = json_out_to(to);
    struct gate_page page;
    uint64_t after = 0;

    if (from.n && !str_to_u64(from, INT64_MAX, &after))
        return fail(E_PARSE, "'after' is a number: what 'next' said");
    TRY(gate_list(a->journal, url_query_get(r->head.query, STR("pipeline"), r->arena), after, GATE_ROWS, r->arena,
                  &page));
    json_open(&o, '{');
    json_member_open(&o, STR("gates"), '[');
    for (size_t i = 0; i < page.count; i++)
        put_gate(&page.gates[i], &o);
    json_close(&o, ']');
    if (page.next)
        json_member_u64(&o, STR("next"), page.next);
    json_close(&o, '}');
    return OK;
}

static SUSPENDS err_t put_one(const struct admin *a, struct http_request *r, const struct journal_id *id,
                              struct buf *to)
{
    struct json_out o = json_out_to(to);
    struct gate g;

    TRY(gate_find(a->journal, id, r->arena, &g));
    put_gate(&g, &o);
    return OK;
}

static SUSPENDS err_t vote(const struct admin *a, struct http_request *r, const struct journal_id *id, bool approves,
                           struct buf *to)
{
    struct json_out o = json_out_to(to);
    enum gate_verdict verdict = GATE_OPEN;
    struct json_node body;

    TRY(admin_read_object(r, &body));
    struct json_node record = json_node_get(body, STR("record"));
    if (!approves && !json_is_absent(record))
        return fail(E_PARSE, "what is rejected does not go on, so \"record\" is of no use");
    const struct gate_vote v = {.id = *id,
                                .approves = approves,
                                .who = json_get_text(body, STR("who"), r->arena),
                                .why = json_get_text(body, STR("why"), r->arena),
                                .changed = json_is_absent(record) ? STR_NONE : json_node_raw(record)};
    TRY(gate_vote(a->journal, &v, &verdict));
    json_open(&o, '{');
    json_member_str(&o, STR("verdict"), str_from_c(verdict_name(verdict)));
    json_close(&o, '}');
    return OK;
}

static SUSPENDS err_t answer(const struct admin *a, struct http_request *r, struct str text, struct str action,
                             struct buf *to)
{
    struct journal_id id;

    if (!text.n)
        return put_page(a, r, to);
    if (!gate_id_parse(text, &id))
        return fail(E_PARSE, "%.*s is no id of a gate: %d digits of 0-9 and a-f", STR_ARG(text), HEX);
    return action.n ? vote(a, r, &id, str_eq(action, STR("approve")), to) : put_one(a, r, &id, to);
}

err_t serve_gates(const struct admin *a, struct http_request *r, struct str rest)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    struct str id = str_cut(&rest, '/');

    if (rest.n && !str_eq(rest, STR("approve")) && !str_eq(rest, STR("reject")))
        return admin_refuse(r, 404, STR("A gate is to 'approve' or to 'reject'."));
    if (!admin_is_method(r, rest.n ? STR("POST") : STR("GET")))
        return admin_refuse(r, 405, rest.n ? STR("Use POST.") : STR("Use GET."));
    err_t e = answer(a, r, id, rest, &body);
    return e == OK ? admin_reply_json(r, 200, &body) : admin_refuse_error(r, e);
}
