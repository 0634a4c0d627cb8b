/*
 * Fuzz target: the Bedrock dialect's readers on any bytes.
 *
 * The first byte says what is read: a request, which if it is one is written for a model of one family or another; an answer, whole; or a stream,
 * as lines "event {json}", of which frames are made, so that checksums do not stand in the way. Events must come in their order and
 * end in exactly one END or ERROR (dialect_fuzz.h).
 */
#include "dialect_fuzz.h"

#include "codec/eventstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

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
    fuzz_request(&w, json);
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

static void try_stream(struct str text)
{
    struct buf frames CLEANUP(buf_release) = BUF_INIT(16 * 1024 * 1024);

    while (text.n)
        add_frame(&frames, str_cut(&text, '\n'));
    fuzz_stream(dialect_find(STR("bedrock")), buf_str(&frames), FRAMING_EVENTSTREAM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct str rest = str_of((const char *)data + 1, n - 1);
    try_request(data[0], rest);
    fuzz_whole(dialect_find(STR("bedrock")), rest);
    try_stream(rest);
    return 0;
}
