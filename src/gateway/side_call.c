/*
 * side_call.c - a call that an attempt makes beside its own, to the same provider and in the same dialect: for another choice, for more inputs.
 *
 * The attempt's own call is judged, held and failed over; of what is sent beside it only an answer counts, and everything else fails the whole.
 * Nothing here is told to the client.
 */
#include "gateway/exchange.h"

static SUSPENDS err_t open_call(struct exchange *x, const struct provider_call *said, struct http_call **ret_call)
{
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct http_call_options o = {.method = STR_NONE};
    struct upstream *upstream;

    TRY(upstreams_get(gateway_upstreams(x->gateway), x->snapshot, x->chosen->provider, &upstream));
    TRY(translated_options(x, said, &o));
    TRY(http_call_open(upstream, x->r->arena, &o, NULL, &call));
    int status = http_call_head(call)->status;
    if (status < 200 || status > 299)
        return fail(E_UPSTREAM, "one of the calls that this request was split into was answered with status %d",
                    status);
    *ret_call = call;
    call = NULL;
    return OK;
}

err_t side_call(struct exchange *x, const struct provider_call *said, struct str *ret_body)
{
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct str body;

    TRY(open_call(x, said, &call));
    TRY(http_call_all(call, x->timeouts.between_bytes, x->snapshot->catalog->limits.held_answer, &body));
    *ret_body = arena_str(x->r->arena, body);
    return OK;
}
