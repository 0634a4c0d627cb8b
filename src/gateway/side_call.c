/*
 * side_call.c - a call that an attempt makes beside its own, to the same provider and in the same dialect: for another choice, for more inputs.
 *
 * The attempt's own call is judged, held and failed over; of what is sent beside it only an answer counts, and everything else fails the whole.
 * Nothing here is told to the client.
 *
 * One that is refused refuses the whole: the attempt is answered with it, so that a rate limit is told from ill health.
 *
 * Each is a request like any other to the credential that it carries: one is chosen for it, it is counted in and out, and what its answer tells of limits is
 * learned. Where no credential may be used, nothing is sent.
 */
#include "gateway/exchange.h"

static bool is_refused(const struct attempt *a)
{
    return a->status && (a->status < 200 || a->status > 299);
}

static SUSPENDS err_t open_call(struct exchange *y, const struct provider_call *said, struct attempt *a)
{
    struct http_call_options o = {.method = STR_NONE};
    struct upstream *upstream;

    TRY(upstreams_get(gateway_upstreams(y->gateway), y->snapshot, y->chosen->provider, &upstream));
    TRY(translated_options(y, said, &o));
    TRY(http_call_open(upstream, y->r->arena, &o, NULL, &a->call)); /* it may outlive *a */
    a->status = http_call_head(a->call)->status;
    credentials_hear(a);
    if (a->status == 401 || a->status == 403)
        authorize_rejected(y);
    if (is_refused(a))
        return fail(E_UPSTREAM, "one of the calls that this request was split into was answered with status %d",
                    a->status);
    return OK;
}

/* What it says about its credential. */
static enum cause cause_of(const struct attempt *a, err_t e)
{
    if (a->status)
        return e == OK ? CAUSE_OK : cause_of_status(a->status);
    return e == E_CANCELLED ? CAUSE_CANCELLED : CAUSE_RESET;
}

err_t side_call(struct exchange *x, const struct provider_call *said, const struct rate_need *need,
                struct str *ret_body)
{
    struct exchange y = *x; /* it may carry another credential */
    struct attempt a = {.outcome = ATTEMPT_OK};
    struct str body;

    y.input_tokens = need->input_tokens;
    y.output_tokens = need->output_tokens;

    if (credentials_send(&y, &a, false) != EXCLUDED_NOT)
        return fail(E_OVERLOAD, "no credential may be used now for one of the calls that this request was split into");
    err_t e = open_call(&y, said, &a);
    credentials_answered(&y, &a, cause_of(&a, e));
    if (e == OK)
        e = http_call_all(a.call, x->timeouts.between_bytes, x->snapshot->catalog->limits.held_answer, &body);
    if (e == OK)
        *ret_body = arena_str(x->r->arena, body);
    if (e != OK && is_refused(&a) && !x->refused_call)
        x->refused_call = a.call;
    else
        http_call_close(a.call);
    return e;
}
