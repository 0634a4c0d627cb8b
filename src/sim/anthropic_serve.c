/*
 * anthropic_serve.c - Claude's answers sent as HTTP and server-sent events, as Anthropic's own service and Vertex AI do.
 *
 * Hosts with frames of their own call anthropic_begin() instead.
 */
#include "sim/anthropic.h"

enum { BODY_BYTES_MAX = 32 << 20 };

static err_t count_tokens(struct sim_turn *t, struct str body, const struct anthropic_host *host) SUSPENDS;
static err_t count_tokens(struct sim_turn *t, struct str body, const struct anthropic_host *host)
{
    struct anthropic_request *req = arena_new(t->a, struct anthropic_request);
    bool over;

    TRY(anthropic_read(t->a, body, host, http_request_header(t->r, STR("anthropic-version")), req, &t->refusal));
    TRY(turn_begin(t, req->q.model, req->q.hash, &over));
    if (over)
        return OK;
    buf_addf(t->room, "{\"input_tokens\":%zu}", req->q.prompt_tokens);
    return turn_reply_json(t, 200);
}

err_t anthropic_serve(struct sim_turn *t, const struct anthropic_host *host)
{
    const struct anthropic_answer *m;
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    if (body.n > BODY_BYTES_MAX)
        return refuse_status(t->a, &t->refusal, 413, NULL, "Request exceeds the maximum size");
    if (host->counts)
        return count_tokens(t, body, host);
    TRY(anthropic_begin(t, body, host, &m, &over));
    if (over)
        return OK;
    if (m->request->q.stream)
        return sim_play_stream(&t->play, anthropic_feed(t->a, m, false));
    anthropic_write(m, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), m->usage.output);
}
