/*
 * cause.c - the table of causes.
 *
 * Each row is a judgement; the ones that are not obvious:
 *
 *   - 429 and spent quota are never ill health: the deployment did exactly what it promised. Ejecting it would turn one
 *     credential's limit into an outage. The credential is parked instead.
 *   - What the client did wrong counts as a sign of life, because it was answered.
 *   - 401 and 403 say something about our credential, nothing about the deployment.
 *   - A client's own short deadline says nothing; the route's limit for the whole, which the operator chose, does:
 *     else a deployment that swallows requests would never be found where no other limit is set.
 *   - may_have_run is false where the provider refused before working: all 4xx, and 503/529, which are the answers of
 *     an admission control. A 500 or 502 may come from behind it.
 *
 * Does not: know of dialects. Who reads a provider's error names the cause.
 */
#include "policy/cause.h"

#include <assert.h>

static const struct cause_meaning meanings[CAUSES] = {
    [CAUSE_OK] = {"ok", "answered", .health = CAUSE_HEALTH_GOOD, .may_have_run = true},
    [CAUSE_CONNECT] = {"connect", "no connection to the provider", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                       .fallback = FALLBACK_SERVER_ERROR},
    [CAUSE_RESET] = {"reset", "the connection broke before any answer", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                     .fallback = FALLBACK_SERVER_ERROR, .may_have_run = true},
    [CAUSE_TIMEOUT_FIRST] = {"timeout_first", "no first token in time", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                             .fallback = FALLBACK_TIMEOUT, .may_have_run = true},
    [CAUSE_TIMEOUT_BETWEEN] = {"timeout_between", "the answer fell silent", AGAIN_HERE | AGAIN_ELSEWHERE,
                               CAUSE_HEALTH_ILL, .fallback = FALLBACK_TIMEOUT, .may_have_run = true},
    [CAUSE_TIMEOUT_TOTAL] = {"timeout_total", "the time for the whole answer is over", .health = CAUSE_HEALTH_ILL,
                             .may_have_run = true},
    [CAUSE_DEADLINE] = {"deadline", "the client's deadline passed", .may_have_run = true},
    [CAUSE_REQUEST_TIMEOUT] = {"request_timeout", "the provider did not get the request in time",
                               AGAIN_HERE | AGAIN_ELSEWHERE, .fallback = FALLBACK_TIMEOUT},
    [CAUSE_CONFLICT] = {"conflict", "the provider reports a conflict", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_GOOD,
                        .fallback = FALLBACK_ANY},
    [CAUSE_TOO_EARLY] = {"too_early", "the provider wants the request again", AGAIN_HERE | AGAIN_ELSEWHERE,
                         CAUSE_HEALTH_GOOD, .fallback = FALLBACK_ANY},
    [CAUSE_RATE_LIMITED] = {"rate_limited", "the provider's rate limit is reached",
                            AGAIN_HERE | AGAIN_OTHER_KEY | AGAIN_ELSEWHERE, CAUSE_HEALTH_GOOD, CAUSE_KEY_PARK,
                            FALLBACK_RATE_LIMIT, .waits_long = true},
    [CAUSE_QUOTA] = {"quota", "the account's quota is spent", AGAIN_OTHER_KEY | AGAIN_ELSEWHERE, CAUSE_HEALTH_GOOD,
                     .key = CAUSE_KEY_PARK, .fallback = FALLBACK_RATE_LIMIT},
    [CAUSE_AUTH] = {"auth", "the provider does not accept the credential", AGAIN_OTHER_KEY | AGAIN_ELSEWHERE,
                    .key = CAUSE_KEY_RETIRE, .fallback = FALLBACK_ANY},
    [CAUSE_NOT_FOUND] = {"not_found", "the provider does not know the model or the path", AGAIN_ELSEWHERE,
                         .fallback = FALLBACK_ANY},
    [CAUSE_REDIRECT] = {"redirect", "the provider has moved: its address is configured wrongly", AGAIN_ELSEWHERE,
                        .fallback = FALLBACK_ANY},
    [CAUSE_SERVER_ERROR] = {"server_error", "the provider failed", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                            .fallback = FALLBACK_SERVER_ERROR, .may_have_run = true},
    [CAUSE_OVERLOADED] = {"overloaded", "the provider is overloaded", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                          .fallback = FALLBACK_SERVER_ERROR},
    [CAUSE_UPSTREAM_TIMEOUT] = {"upstream_timeout", "the provider timed out", AGAIN_HERE | AGAIN_ELSEWHERE,
                                CAUSE_HEALTH_ILL, .fallback = FALLBACK_TIMEOUT, .may_have_run = true},
    [CAUSE_CONTEXT_LENGTH] = {"context_length", "the request is too long for the model", AGAIN_ELSEWHERE,
                              CAUSE_HEALTH_GOOD, .fallback = FALLBACK_CONTEXT_LENGTH, .of_request = true},
    [CAUSE_CONTENT_FILTER] = {"content_filter", "the provider's content filter refused it", AGAIN_ELSEWHERE,
                              CAUSE_HEALTH_GOOD, .fallback = FALLBACK_CONTENT_FILTER, .may_have_run = true,
                              .of_request = true},
    [CAUSE_CLIENT_ERROR] = {"client_error", "the provider refused the request", .health = CAUSE_HEALTH_GOOD},
    [CAUSE_EMPTY] = {"empty", "the answer is empty", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                     .fallback = FALLBACK_SERVER_ERROR, .may_have_run = true},
    [CAUSE_MALFORMED] = {"malformed", "the answer is not what the protocol says", AGAIN_HERE | AGAIN_ELSEWHERE,
                         CAUSE_HEALTH_ILL, .fallback = FALLBACK_SERVER_ERROR, .may_have_run = true},
    [CAUSE_BROKEN] = {"broken", "the answer broke off", AGAIN_HERE | AGAIN_ELSEWHERE, CAUSE_HEALTH_ILL,
                      .fallback = FALLBACK_SERVER_ERROR, .may_have_run = true},
    [CAUSE_CANCELLED] = {"cancelled", "the client left", .may_have_run = true},
    [CAUSE_SUPERSEDED] = {"superseded", "the other attempt was first", .may_have_run = true},
    [CAUSE_BUDGET] = {"budget", "the budget is spent", AGAIN_ELSEWHERE, .fallback = FALLBACK_BUDGET},
    [CAUSE_NO_CAPACITY] = {"no_capacity", "our own limit for it is reached",
                           AGAIN_HERE | AGAIN_OTHER_KEY | AGAIN_ELSEWHERE, .fallback = FALLBACK_RATE_LIMIT,
                           .waits_long = true},
};

const struct cause_meaning *cause_meaning(enum cause cause)
{
    assert((unsigned)cause < CAUSES);
    return &meanings[cause];
}

static enum cause cause_of_client_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return CAUSE_AUTH;
    case 402:
        return CAUSE_QUOTA;
    case 404:
        return CAUSE_NOT_FOUND;
    case 408:
        return CAUSE_REQUEST_TIMEOUT;
    case 409:
        return CAUSE_CONFLICT;
    case 413:
        return CAUSE_CONTEXT_LENGTH;
    case 425:
        return CAUSE_TOO_EARLY;
    case 429:
        return CAUSE_RATE_LIMITED;
    default:
        return CAUSE_CLIENT_ERROR;
    }
}

enum cause cause_of_status(int status)
{
    if (status < 300)
        return CAUSE_OK;
    if (status < 400)
        return CAUSE_REDIRECT;
    if (status < 500)
        return cause_of_client_status(status);
    if (status == 503 || status == 529)
        return CAUSE_OVERLOADED;
    return status == 504 ? CAUSE_UPSTREAM_TIMEOUT : CAUSE_SERVER_ERROR;
}

const char *fallback_name(enum fallback fallback)
{
    static const char *const names[FALLBACKS] = {
        [FALLBACK_NONE] = "none",
        [FALLBACK_ANY] = "any",
        [FALLBACK_CONTEXT_LENGTH] = "context_length",
        [FALLBACK_CONTENT_FILTER] = "content_filter",
        [FALLBACK_RATE_LIMIT] = "rate_limit",
        [FALLBACK_SERVER_ERROR] = "server_error",
        [FALLBACK_TIMEOUT] = "timeout",
        [FALLBACK_BUDGET] = "budget",
    };

    assert((unsigned)fallback < FALLBACKS);
    return names[fallback];
}
