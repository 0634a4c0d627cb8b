/*
 * dialect_fuzz.h - what fuzz targets of dialects try: any bytes as a client's request, and as a provider's answer.
 *
 * A request is read and, if it is one, written as if it had come from another dialect, too; an answer is read whole and as a stream in pieces of two
 * sizes, which must give the same events, in a legal order.
 */
#ifndef FUZZ_DIALECT_FUZZ_H
#define FUZZ_DIALECT_FUZZ_H

#include "unit/dialect_world.h"

#define FUZZ_REQUIRE(cond)                                                                                             \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline void fuzz_request(struct dialect_world *w, struct str json)
{
    const char *text = arena_str(&w->arena, json).p;

    if (world_read(w, text) != OK)
        return;
    if (world_write(w) == OK)
        FUZZ_REQUIRE(json_valid(buf_str(&w->body), JSON_LONE_SURROGATES));
    w->q.dialect = dialect_find(STR("openai"));
    if (world_write(w) == OK)
        FUZZ_REQUIRE(json_valid(buf_str(&w->body), JSON_LONE_SURROGATES));
}

static inline void fuzz_ended(const struct event_log *log, err_t e)
{
    FUZZ_REQUIRE(!log->wrong);          /* events in order */
    FUZZ_REQUIRE(e != OK || log->over); /* and an end      */
}

static inline void fuzz_whole(const struct dialect *d, struct str bytes)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    struct chat_sink sink = {log_hear, &log};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 256 * 1024 * 1024);
    fuzz_ended(&log, d->provider.read_answer(&arena, bytes, &sink));
}

static inline err_t fuzz_pieces(const struct dialect *d, const struct arrival *from, struct event_log *log)
{
    struct chat_sink sink = {log_hear, log};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 256 * 1024 * 1024);
    err_t e = world_feed(d, from, &arena, &sink);
    fuzz_ended(log, e);
    return e;
}

static inline void fuzz_stream(const struct dialect *d, struct str bytes, enum framing framing)
{
    struct event_log at_once CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    struct event_log in_pieces CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    err_t one = fuzz_pieces(d, &(struct arrival){framing, bytes, 0, 0}, &at_once);
    err_t other = fuzz_pieces(d, &(struct arrival){framing, bytes, 5, 5}, &in_pieces);

    FUZZ_REQUIRE((one == OK) == (other == OK));
    FUZZ_REQUIRE(one != OK || str_eq(buf_str(&at_once.text), buf_str(&in_pieces.text)));
}

static inline void fuzz_answer(const struct dialect *d, struct str bytes, enum framing framing)
{
    fuzz_whole(d, bytes);
    fuzz_stream(d, bytes, framing);
}

#endif
