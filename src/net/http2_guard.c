/*
 * http2_guard.c - what a client of HTTP/2 may do before it is told to calm down.
 *
 * The guard reads the heads of frames as they come in, before nghttp2 does: so it sees all of them, also those that
 * nghttp2 passes over in silence, and does not depend on which floods its version knows. Frames without use take a
 * coin from a purse, which requests, content and time fill up. Streams that end without an answer are counted against
 * those that got one, whoever reset them, because a client can make us do it.
 *
 * Pure: no I/O, no clock of its own.
 */
#include "net/http2_int.h"

enum {
    CONTINUATION_MAX = 8, /* pieces of one header block, besides the first              */
    SPOILED_MAX = 200,    /* streams without an answer in SPOILED_SPAN                  */
    PURSE_MAX = 1000,
    PURSE_PER_SECOND = 50,
    SETTINGS_PRICE = 5,
    EARN_DATA_SENT = 3, /* a client may answer each with two WINDOW_UPDATEs           */
    EARN_USEFUL = 2,
    PREFACE = 24,
};
#define SPOILED_SPAN (10 * NS_SEC)

void http2_guard_init(struct http2_guard *g, ns_t now)
{
    *g = (struct http2_guard){.purse = PURSE_MAX, .filled = now, .since = now, .skip = PREFACE};
}

static void earn(struct http2_guard *g, int coins)
{
    g->purse = g->purse + coins < PURSE_MAX ? g->purse + coins : PURSE_MAX;
}

static bool pay(struct http2_guard *g, int coins, ns_t now)
{
    g->purse -= coins;
    if (LIKELY(g->purse > 0))
        return true;
    ns_t seconds = (now - g->filled) / NS_SEC;
    g->filled += seconds * NS_SEC;
    earn(g, seconds < PURSE_MAX / PURSE_PER_SECOND ? (int)seconds * PURSE_PER_SECOND : PURSE_MAX);
    return g->purse > 0;
}

void http2_guard_sent_data(struct http2_guard *g)
{
    earn(g, EARN_DATA_SENT);
}

bool http2_guard_stream_ended(struct http2_guard *g, bool answered, ns_t now)
{
    if (now - g->since > SPOILED_SPAN) {
        g->since = now;
        g->spoiled = g->answered = 0;
    }
    if (answered)
        g->answered++;
    else
        g->spoiled++;
    return g->spoiled <= SPOILED_MAX || g->spoiled <= g->answered;
}

static bool take_frame(struct http2_guard *g, uint8_t type, uint8_t flags, ns_t now)
{
    bool of_block = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;

    g->in_block = of_block && !(flags & NGHTTP2_FLAG_END_HEADERS);
    switch (type) {
    case NGHTTP2_HEADERS:
        g->continuations = 0;
        earn(g, EARN_USEFUL);
        return true;
    case NGHTTP2_CONTINUATION:
        return ++g->continuations <= CONTINUATION_MAX;
    case NGHTTP2_DATA:
        if (g->skip == 0 && !(flags & NGHTTP2_FLAG_END_STREAM))
            return pay(g, 1, now);
        earn(g, EARN_USEFUL);
        return true;
    case NGHTTP2_SETTINGS:
        return pay(g, SETTINGS_PRICE, now);
    default:
        return pay(g, 1, now);
    }
}

bool http2_guard_input(struct http2_guard *g, struct str in, ns_t now)
{
    const unsigned char *p = (const unsigned char *)in.p;
    size_t n = in.n;

    for (;;) {
        size_t step = g->skip < n ? g->skip : n;
        p += step;
        n -= step;
        g->skip -= (uint32_t)step;
        if (n == 0)
            return true;
        for (; g->head_n < HTTP2_FRAME_HEAD && n > 0; n--)
            g->head[g->head_n++] = *p++;
        if (g->head_n < HTTP2_FRAME_HEAD)
            return true;
        g->head_n = 0;
        g->skip = (uint32_t)g->head[0] << 16 | (uint32_t)g->head[1] << 8 | g->head[2];
        if (!take_frame(g, g->head[3], g->head[4], now))
            return false;
    }
}
