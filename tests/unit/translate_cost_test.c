/*
 * translate_cost_test.c - how much memory a translation takes, so that it does not creep up unnoticed.
 *
 * Bytes, and calls: of the arena, whose every call is an object, and of the heap, of which a warm translation needs none but the arena's
 * further blocks. The counts are bounds without room: whoever raises one has to say why.
 */
#include "base/mem.h"
#include "llm/answer.h"
#include "llm/dialect.h"
#include "llm/framing.h"
#include "llm/vendor.h"
#include "test.h"

enum { ROOM = 1 << 24 };

static unsigned growths; /* of bufs, and memory whose size the client chose */

static bool count_growth(void)
{
    growths++;
    return false;
}

static unsigned heap_calls;

static void count_call(void)
{
    heap_calls++;
}

struct cost {
    struct arena arena, scratch;
    struct buf out;
};

static void cost_begin(struct cost *c)
{
    arena_init(&c->arena, ROOM);
    arena_init(&c->scratch, ROOM);
    buf_init(&c->out, ROOM);
}

static void cost_end(struct cost *c)
{
    mem_limit_hook = NULL;
    mem_call_hook = NULL;
    arena_release(&c->arena);
    arena_release(&c->scratch);
    buf_release(&c->out);
}

static struct translation translation_of(struct cost *c, struct losses *losses)
{
    struct translation t = {.arena = &c->arena,
                            .client = dialect_find(STR("openai")),
                            .provider = dialect_find(STR("anthropic")),
                            .vendor = vendor_find(STR("anthropic")),
                            .model = STR("claude"),
                            .default_max_output = 4096,
                            .losses = losses};

    t.row = t.client->client.endpoints;
    arena_clear(&c->arena);
    buf_clear(&c->out);
    losses_init(losses, &c->arena);
    return t;
}

static void translate(struct cost *c, struct str body)
{
    struct losses losses;
    struct translation t = translation_of(c, &losses);
    struct chat_request q = {.dialect = t.client};
    struct provider_call call = {.body = &c->out};
    struct str param;

    CHECK_OK(json_tree_parse(&c->arena, body, &q.document));
    CHECK_OK(t.client->client.read_chat(&t, q.document, &q, &param));
    CHECK_OK(t.provider->provider.write_chat(&t, &q, &call));
    CHECK_OK(buf_status(&c->out));
}

static void translate_answer(struct cost *c, struct str body)
{
    struct losses losses;
    struct translation t = translation_of(c, &losses);
    struct chat_request q = {.dialect = t.client};
    struct answer a;
    struct chat_sink to = answer_sink(answer_builder_new(&c->arena, &a));
    struct answer_frame f = {.arena = &c->arena, .t = &t, .request = &q, .model = STR("chat")};

    CHECK_OK(t.provider->provider.read_answer(&c->arena, body, &to));
    CHECK_OK(t.client->client.write_answer(&f, &a, &c->out));
    CHECK_OK(buf_status(&c->out));
}

struct stream_cost {
    const struct dialect *client;
    void *writer;
    struct buf *to;
    unsigned first, last, scratch; /* allocations when the first and the last text was written; most for one frame */
};

static err_t write_event(void *ctx, const struct chat_event *e)
{
    struct stream_cost *s = ctx;

    return s->client->client.writer_event(s->writer, e, s->to);
}

/* Text, event by event, as the gateway does it. */
static void translate_stream(struct cost *c, struct str text, struct stream_cost *s)
{
    struct losses losses;
    struct translation t = translation_of(c, &losses);
    struct chat_request q = {.dialect = t.client};
    struct answer_frame f = {.arena = &c->arena, .t = &t, .request = &q, .model = STR("chat")};
    struct framer *framer = framer_new(&c->arena, FRAMING_SSE, 0);
    void *reader = arena_zalloc(&c->arena, t.provider->provider.reader_size);
    struct frame frame;
    bool got = true;

    *s = (struct stream_cost){t.client, arena_zalloc(&c->arena, t.client->client.writer_size), &c->out, 0, 0, 0};
    struct chat_sink to = {write_event, s};
    CHECK_OK(t.provider->provider.reader_begin(reader, &c->arena));
    CHECK_OK(t.client->client.writer_begin(s->writer, &f, &c->out));
    for (;;) {
        CHECK_OK(framer_next(framer, &text, &got, &frame));
        if (!got)
            break;
        CHECK_OK(t.provider->provider.reader_frame(reader, &frame, &c->scratch, &to));
        if (str_find(frame.data, STR("text_delta")) < frame.data.n) {
            s->first = s->first ? s->first : c->arena.count;
            s->last = c->arena.count;
            s->scratch = c->scratch.count > s->scratch ? c->scratch.count : s->scratch;
        }
        arena_clear(&c->scratch);
        buf_clear(&c->out);
    }
}

static const struct str small = STR_INIT("{\"model\":\"chat\",\"temperature\":0.7,\"max_tokens\":500,\"stop\":["
                                         "\"END\"],\"messages\":[{\"role\":\"system\",\"content\":"
                                         "\"Be "
                                         "brief.\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
                                         "\"hi\"}]},{\"role\":\"assistant\",\"content\":"
                                         "\"Hello.\"},{\"role\":\"user\",\"content\":\"And now?\\n\"}]}");

TEST(translation_of_a_small_request_takes_few_blocks_and_grows_nothing_when_warm)
{
    struct cost c CLEANUP(cost_end);

    cost_begin(&c);
    translate(&c, small);
    mem_limit_hook = count_growth;
    growths = 0;
    translate(&c, small);
    CHECK_LE(growths, 1);              /* the cells of the document */
    CHECK_LE(c.arena.used, 20 * 1024); /* two blocks: 6 KiB, which is kept, and 12 KiB */
}

TEST(translation_of_a_small_request_makes_so_many_allocations)
{
    struct cost c CLEANUP(cost_end);

    cost_begin(&c);
    translate(&c, small);
    mem_call_hook = count_call;
    heap_calls = 0;
    translate(&c, small);
    CHECK_LE(c.arena.count, 22);
    CHECK_LE(heap_calls, 0);
}

TEST(translation_of_an_answer_makes_so_many_allocations)
{
    static const struct str body = STR_INIT(
        "{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":"
        "\"text\","
        "\"text\":\"Brest, "
        "then.\"},{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"sail\",\"input\":{\"day\":3}}],"
        "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":40}}");
    struct cost c CLEANUP(cost_end);

    cost_begin(&c);
    translate_answer(&c, body);
    mem_call_hook = count_call;
    heap_calls = 0;
    translate_answer(&c, body);
    CHECK_LE(c.arena.count, 23);
    CHECK_LE(heap_calls, 3); /* the texts of two blocks, and a list of them */
}

TEST(translation_of_streamed_text_allocates_only_what_is_given_back_after_each_event)
{
    enum { EVENTS = 50 };
    struct cost c CLEANUP(cost_end);
    struct buf text CLEANUP(buf_release) = BUF_INIT(ROOM);
    struct stream_cost s;

    cost_begin(&c);
    (void)buf_addf(
        &text, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":"
               "\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9}}}\n\n"
               "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
               "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    for (int i = 0; i < EVENTS; i++)
        (void)buf_addf(&text,
                       "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
                       "{\"type\":\"text_delta\",\"text\":\" word%d\"}}\n\n",
                       i);
    translate_stream(&c, buf_str(&text), &s);
    CHECK(s.first > 0);
    CHECK_EQ(s.last, s.first); /* the request's own memory does not grow with its answer */
    CHECK_LE(s.scratch, 2);    /* of one event */
    mem_call_hook = count_call;
    heap_calls = 0;
    translate_stream(&c, buf_str(&text), &s);
    CHECK_LE(heap_calls, 1); /* for all of the stream */
}

TEST(translation_takes_memory_in_proportion_to_the_conversation)
{
    enum { TURNS = 4000 };
    struct cost c CLEANUP(cost_end);
    struct buf body CLEANUP(buf_release) = BUF_INIT(ROOM);

    cost_begin(&c);
    (void)buf_addf(&body, "{\"model\":\"chat\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}");
    for (int i = 0; i < TURNS; i++)
        (void)buf_addf(&body, ",{\"role\":\"%s\",\"content\":\"hi\"}", i % 2 ? "user" : "assistant");
    (void)buf_addf(&body, "]}");
    translate(&c, buf_str(&body));
    CHECK_LE(c.arena.used / TURNS, 2048); /* two turns and two blocks: what was read, and what was arranged */
}
