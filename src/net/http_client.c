/*
 * http_client.c - a call: one request and its answer on a connection of the pool.
 *
 * Written for the call that dominates, a small request on a kept connection: one writev, one wait, one read; no allocation but
 * from the caller's arena (calls and buffers are recycled), no system call to register or unregister anything.
 *
 * A connection goes back to the pool as soon as the end of the answer has been received, before the caller has looked at its content.
 * A call that is closed earlier, for whatever reason, closes its connection: that is how a provider is told to stop.
 *
 * A kept connection may have been closed by the peer while the request was on its way. If no byte of an answer came on a reused
 * connection, the request is sent once more on a new one, as browsers do; a request on a new connection never is.
 *
 * The parts: http_pool.c (connections), http_send.c, http_receive.c. Not done: HTTP/2, redirects, cookies, retries of answers.
 */
#include "net/http_client.h"

#include "base/mem.h"
#include "net/decode.h"
#include "net/http_client_int.h"
#include "net/iobuf.h"
#include "rt/loop.h"

#include <string.h>

enum { FREE_CALLS = 256 };

/* --- life --- */

static struct http_call *call_new(struct upstream *u, struct arena *arena, struct http_call_times *times)
{
    struct http_call *c = u->free_calls;

    if (c) {
        u->free_calls = c->next_free;
        u->free_count--;
    } else {
        c = NEW(struct http_call);
        c->upstream = u;
        c->parser_used = true; /* to be initialised */
    }
    u->calls++;
    c->arena = arena;
    c->times = times ? times : &c->own_times;
    *c->times = (struct http_call_times){.started = rt_now()};
    return c;
}

void http_call_close(struct http_call *c)
{
    if (!c)
        return;
    struct upstream *u = c->upstream;
    if (c->pc)
        pool_return(c->pc, false);
    call_drop_in(c);
    iobuf_put(c->out);
    decoder_free(c->decoder);
    c->pc = NULL;
    c->out = NULL;
    c->decoder = NULL;
    c->body = c->kept = STR_NONE;
    c->source_used = false;
    u->calls--;
    if (u->free_count == FREE_CALLS) {
        mem_free(c);
        return;
    }
    c->next_free = u->free_calls;
    u->free_calls = c;
    u->free_count++;
}

/* --- opening --- */

static err_t wait_for_head(struct http_call *c, ns_t by) SUSPENDS;
static err_t wait_for_head(struct http_call *c, ns_t by)
{
    while (!c->has_head && !c->failure) {
        TRY(call_wait(c, by, "waiting for the first byte of the answer"));
        call_receive(c);
    }
    return c->has_head && c->head.status != 101 ? OK : call_failed(c);
}

/* Send and wait, on one connection. */
static err_t attempt(struct http_call *c, const struct http_call_options *o, bool fresh) SUSPENDS;
static err_t attempt(struct http_call *c, const struct http_call_options *o, bool fresh)
{
    ns_t connect_by = o->connect_by ? o->connect_by : NS_NEVER;

    call_begin(c, str_eq(o->method, STR("HEAD")));
    TRY(pool_lease(c->upstream, connect_by, fresh, &c->pc, &c->times->reused));
    c->times->connected = rt_now();
    TRY(call_send(c, o));
    if (c->sent)
        c->times->sent = rt_now();
    return wait_for_head(c, o->first_byte_by ? o->first_byte_by : NS_NEVER);
}

/* Was the connection closed by the peer before it can have seen the request? */
static bool was_stale(const struct http_call *c, err_t e)
{
    return (e == E_EOF || e == E_IO) && c->times->reused && c->times->bytes_in == 0 && !c->source_used;
}

static err_t attempt_again(struct http_call *c, const struct http_call_options *o) SUSPENDS;
static err_t attempt_again(struct http_call *c, const struct http_call_options *o)
{
    c->upstream->stats.stale_retries++;
    if (c->pc)
        pool_return(c->pc, false);
    c->pc = NULL;
    return attempt(c, o, true);
}

/* The head is here. */
static void begin_content(struct http_call *c, const struct http_call_options *o)
{
    if (!o->keep_encoded && c->head.known[HDR_CONTENT_ENCODING])
        c->decoder = decoder_new(http_head_get(&c->head, HDR_CONTENT_ENCODING));
    call_settle(c);
}

err_t http_call_open(struct upstream *u, struct arena *arena, const struct http_call_options *o,
                     struct http_call_times *ret_times, struct http_call **ret_call)
{
    struct http_call *c = call_new(u, arena, ret_times);
    err_t e = attempt(c, o, false);

    if (UNLIKELY(e) && was_stale(c, e))
        e = attempt_again(c, o);
    if (UNLIKELY(e)) {
        http_call_close(c);
        return e;
    }
    begin_content(c, o);
    *ret_call = c;
    return OK;
}

const struct http_head *http_call_head(const struct http_call *c)
{
    return &c->head;
}

bool http_call_is_decoded(const struct http_call *c)
{
    return c->decoder != NULL;
}
