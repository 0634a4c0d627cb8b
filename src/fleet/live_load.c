/* live_load.c - folding a server's word on its load into what decisions add to our own count. No lock: one writes, words are whole. */
#include "fleet/live_load.h"

#define SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)
#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)

/* Tokens of everybody there. */
static double tokens_there(const struct server_load *said, uint64_t ours, uint64_t our_tokens)
{
    double held = server_load_tokens(said);
    double each = ours ? (double)our_tokens / (double)ours : LIVE_LOAD_TOKENS;

    if (held >= 0)
        return held + said->waiting * (said->running > 0 ? held / said->running : each);
    return (said->running + said->waiting) * each;
}

static uint64_t beyond(double theirs, uint64_t ours)
{
    return theirs > (double)ours ? (uint64_t)(theirs - (double)ours) : 0;
}

void live_load_take(struct live_load *l, const struct server_load *said, uint64_t ours, uint64_t our_tokens, ns_t now,
                    ns_t until)
{
    SET(l->requests, beyond(said->running + said->waiting, ours));
    SET(l->tokens, beyond(tokens_there(said, ours, our_tokens), our_tokens));
    SET(l->running, said->running);
    SET(l->waiting, said->waiting);
    SET(l->held, server_load_tokens(said));
    SET(l->cache, server_load_cache(said));
    SET(l->at, now);
    SET(l->until, until);
}

void live_load_others(const struct live_load *l, ns_t now, uint64_t *ret_requests, uint64_t *ret_tokens)
{
    bool is_fresh = now < GET(l->until);

    *ret_requests = is_fresh ? GET(l->requests) : 0;
    *ret_tokens = is_fresh ? GET(l->tokens) : 0;
}

struct live_server live_load_server(const struct live_load *l, ns_t now)
{
    return (struct live_server){.at = GET(l->at),
                                .is_fresh = now < GET(l->until),
                                .running = GET(l->running),
                                .waiting = GET(l->waiting),
                                .held = GET(l->held),
                                .cache = GET(l->cache)};
}
