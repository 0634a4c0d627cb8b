/*
 * Fuzz target: the Bedrock dialect's readers on any bytes.
 *
 * The first byte says what is read: a request, which if it is one is written for a model of one family or another; an answer, whole; or a stream,
 * as lines "event {json}", of which frames are made, so that checksums do not stand in the way. Events must come in their order, which
 * tests/unit/dialect_world.h checks, and end in exactly one END or ERROR.
 */
#include "../unit/dialect_world.h"

#include "codec/eventstream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool truth, const char *what)
{
    if (truth)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static const struct endpoint_row *row_of(unsigned char c)
{
    const struct endpoint_row *rows = dialect_find(STR("bedrock"))->client.endpoints;

    return &rows[c % 3]; /* converse, converse-stream, count-tokens */
}

static void try_request(unsigned char c, struct str json)
{
    static const char *const models[] = {"anthropic.claude-opus-4-7-v1:0", "anthropic.claude-3-haiku-v1:0",
                                         "amazon.nova-pro-v1:0", "meta.llama3-v1:0", "arn:x"};
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "bedrock", "bedrock");
    w.t.row = row_of(c);
    w.t.path_model = STR("m");
    w.t.model = str_from_c(models[c / 4 % ARRAY_LEN(models)]);
    if (world_read(&w, arena_str(&w.arena, json).p) != OK || world_write(&w) != OK)
        return;
    require(json_valid(buf_str(&w.body), JSON_LONE_SURROGATES), "a body that is no JSON");
}

static void try_answer(struct str bytes)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    struct chat_sink sink = {log_hear, &log};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 256 * 1024 * 1024);
    err_t e = dialect_find(STR("bedrock"))->provider.read_answer(&arena, bytes, &sink);
    require(!log.wrong, "events of an answer out of order");
    require(e != OK || log.over, "an answer without an end");
}

static void add_frame(struct buf *to, struct str line)
{
    struct str json = line, name = str_cut(&json, ' ');
    bool exception = name.n && name.p[0] == '!';
    struct eventstream_writer w;

    eventstream_begin(&w, to);
    eventstream_add_string(&w, exception ? STR(":exception-type") : STR(":event-type"), name);
    eventstream_add_string(&w, STR(":message-type"), exception ? STR("exception") : STR("event"));
    eventstream_begin_payload(&w);
    buf_add(to, json);
    (void)!eventstream_end(&w);
}

/* A client of the same dialect hears it, too. */
static void try_stream(struct str text)
{
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(64 * 1024 * 1024)};
    struct chat_sink sink = {log_hear, &log};
    struct buf frames CLEANUP(buf_release) = BUF_INIT(16 * 1024 * 1024);
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 256 * 1024 * 1024);
    while (text.n)
        add_frame(&frames, str_cut(&text, '\n'));
    err_t e = world_feed(dialect_find(STR("bedrock")), buf_str(&frames), frames.n / 2, &arena, &sink);
    require(!log.wrong, "events of a stream out of order");
    require(e != OK || log.over, "a stream without an end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct str rest = str_of((const char *)data + 1, n - 1);
    try_request(data[0], rest);
    try_answer(rest);
    try_stream(rest);
    return 0;
}
