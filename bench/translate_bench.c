/*
 * translate_bench.c - what translating costs: OpenAI's clients at Anthropic's models, against the same traffic passed through.
 *
 * One core; each case is timed in rounds, by the processor's time and not by the clock's, and the best round counts. `translate_bench [name]` runs the cases whose name has that in it;
 * `translate_bench --once name` does a case a hundred times and prints nothing, for a profiler that counts instructions.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "codec/sse.h"
#include "llm/dialect.h"
#include "llm/openai_body.h"
#include "llm/openai_stream.h"
#include "llm/vendor.h"
#include "rt/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BODY_MAX = 4 << 20, ARENA_MAX = 64 << 20, EVENTS = 64 };

struct inputs {
    struct arena arena, scratch;
    struct buf out;
    struct str small, large; /* requests                   */
    struct str anthropic_answer, openai_answer;
    struct str anthropic_stream, openai_stream; /* EVENTS pieces of text each */
};

typedef void case_fn(struct inputs *in);

/* Keeps the compiler from leaving work out. */
static volatile uint64_t sink;

static void must(err_t e)
{
    if (e != OK)
        die("%s", err_detail(e));
}

/* --- inputs --- */

#define WORDS "The gateway stands between applications and models, and what it reads it must read once.\\n"

static struct str made(const struct buf *b)
{
    must(buf_status(b));
    return buf_str(b);
}

static void add_tool(struct buf *b, int i)
{
    (void)buf_addf(
        b,
        "%s{\"type\":\"function\",\"function\":{\"name\":\"tool_%d\",\"description\":\"" WORDS
        "\",\"parameters\":{\"type\":\"object\",\"properties\":{\"port\":{\"type\":\"string\",\"description\":"
        "\"Where\"},"
        "\"day\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":31},\"kind\":{\"enum\":[\"high\",\"low\"]}},"
        "\"required\":[\"port\",\"day\"],\"additionalProperties\":false}}}",
        i ? "," : "", i);
}

/* A conversation with tools, their calls and results, until it has `size` bytes. */
static struct str make_request(size_t size, int tools)
{
    struct buf b = BUF_INIT(BODY_MAX);

    (void)buf_addf(&b, "{\"model\":\"chat\",\"temperature\":0.7,\"max_tokens\":500,\"stream\":false,");
    if (tools)
        (void)buf_addf(&b, "\"tools\":[");
    for (int i = 0; i < tools; i++)
        add_tool(&b, i);
    (void)buf_addf(&b, "%s\"messages\":[{\"role\":\"system\",\"content\":\"" WORDS "\"}", tools ? "]," : "");
    for (int i = 0; b.n + 1000 < size; i++) {
        (void)buf_addf(&b, ",{\"role\":\"user\",\"content\":\"" WORDS WORDS "\"}");
        if (tools)
            (void)buf_addf(
                &b,
                ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_%d\",\"type\":\"function\","
                "\"function\":{\"name\":\"tool_%d\",\"arguments\":\"{\\\"port\\\":\\\"Brest\\\",\\\"day\\\":%d}\"}}]},"
                "{\"role\":\"tool\",\"tool_call_id\":\"call_%d\",\"content\":\"" WORDS WORDS "\"}",
                i, i % tools, i % 30 + 1, i);
        (void)buf_addf(&b, ",{\"role\":\"assistant\",\"content\":\"" WORDS WORDS WORDS "\"}");
    }
    (void)buf_addf(&b, ",{\"role\":\"user\",\"content\":\"And now?\"}]}");
    return made(&b);
}

static struct str make_anthropic_stream(void)
{
    struct buf b = BUF_INIT(BODY_MAX);

    (void)buf_addf(
        &b,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\","
        "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
        "{\"type\":\"text\",\"text\":\"\"}}\n\n");
    for (int i = 0; i < EVENTS; i++)
        (void)buf_addf(&b,
                       "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
                       "{\"type\":\"text_delta\",\"text\":\" word%d\"}}\n\n",
                       i);
    (void)buf_addf(&b,
                   "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                   "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
                   "\"usage\":{\"output_tokens\":64}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    return made(&b);
}

static struct str make_openai_stream(void)
{
    struct buf b = BUF_INIT(BODY_MAX);

    for (int i = 0; i < EVENTS; i++)
        (void)buf_addf(&b,
                       "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
                       "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%d\"},"
                       "\"finish_reason\":null}],\"usage\":null}\n\n",
                       i);
    (void)buf_addf(&b, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                       "data: [DONE]\n\n");
    return made(&b);
}

static void make_inputs(struct inputs *in)
{
    arena_init(&in->arena, ARENA_MAX);
    arena_init(&in->scratch, ARENA_MAX);
    buf_init(&in->out, BODY_MAX);
    in->small = make_request(1024, 0);
    in->large = make_request(200 * 1024, 60);
    in->anthropic_answer =
        STR("{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":"
            "\"text\",\"text\":\"" WORDS WORDS "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{"
            "\"input_tokens\":9,\"output_tokens\":40}}");
    in->openai_answer = STR("{\"id\":\"chatcmpl-7\",\"object\":\"chat.completion\",\"created\":1790000000,\"model\":"
                            "\"m\",\"choices\":[{\"index\":0,"
                            "\"message\":{\"role\":\"assistant\",\"content\":\"" WORDS WORDS
                            "\",\"refusal\":null},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
                            "\"completion_tokens\":40,\"total_tokens\":49}}");
    in->anthropic_stream = make_anthropic_stream();
    in->openai_stream = make_openai_stream();
}

/* --- translating --- */

struct translating {
    struct translation t;
    struct losses losses;
    struct chat_request q;
    struct provider_call call;
};

static void begin(struct inputs *in, struct translating *x)
{
    *x = (struct translating){.t = {.arena = &in->arena,
                                    .client = dialect_find(STR("openai")),
                                    .provider = dialect_find(STR("anthropic")),
                                    .vendor = vendor_find(STR("anthropic")),
                                    .model = STR("claude"),
                                    .client_model = STR("chat"),
                                    .default_max_output = 4096,
                                    .losses = &x->losses}};
    x->t.row = x->t.client->client.endpoints;
    arena_clear(&in->arena);
    buf_clear(&in->out);
    losses_init(&x->losses, &in->arena);
}

static void translate_request(struct inputs *in, struct str body)
{
    struct translating x;
    const struct json_tree *doc;
    struct str param;

    begin(in, &x);
    must(json_tree_parse(&in->arena, body, &doc));
    x.q = (struct chat_request){.dialect = x.t.client, .document = doc};
    must(x.t.client->client.read_chat(&x.t, doc, &x.q, &param));
    x.call.body = &in->out;
    must(x.t.provider->provider.write_chat(&x.t, &x.q, &x.call));
    sink += in->out.n;
}

static struct answer_frame frame_of(struct inputs *in, struct translating *x)
{
    return (struct answer_frame){.arena = &in->arena, .t = &x->t, .request = &x->q, .model = STR("chat")};
}

static void translate_answer(struct inputs *in)
{
    struct translating x;
    struct answer a;

    begin(in, &x);
    struct chat_sink to = answer_sink(answer_builder_new(&in->arena, &a));
    must(x.t.provider->provider.read_answer(&in->arena, in->anthropic_answer, &to));
    struct answer_frame f = frame_of(in, &x);
    must(x.t.client->client.write_answer(&f, &a, &in->out));
    sink += in->out.n;
}

struct writing {
    const struct client_side *client;
    void *writer;
    struct buf *to;
};

static err_t write_event(void *ctx, const struct chat_event *e)
{
    struct writing *w = ctx;

    return w->client->writer_event(w->writer, e, w->to);
}

static void translate_stream(struct inputs *in)
{
    struct translating x;
    struct frame frame;
    struct str text = in->anthropic_stream;
    bool got = true;

    begin(in, &x);
    const struct provider_side *p = &x.t.provider->provider;
    struct writing w = {&x.t.client->client, arena_zalloc(&in->arena, x.t.client->client.writer_size), &in->out};
    struct chat_sink to = {write_event, &w};
    struct answer_frame f = frame_of(in, &x);
    struct framer *framer = framer_new(&in->arena, FRAMING_SSE, 0);
    void *reader = arena_zalloc(&in->arena, p->reader_size);
    must(p->reader_begin(reader, &in->arena));
    must(w.client->writer_begin(w.writer, &f, &in->out));
    while (got) {
        must(framer_next(framer, &text, &got, &frame));
        if (got)
            must(p->reader_frame(reader, &frame, &in->scratch, &to));
        arena_clear(&in->scratch);
        sink += in->out.n;
        buf_clear(&in->out);
    }
}

/* --- passing through --- */

static void pass_request(struct inputs *in, struct str body)
{
    struct openai_request q;
    struct str param, *parts;
    size_t count;

    arena_clear(&in->arena);
    buf_clear(&in->out);
    must(openai_request_read(body, &in->arena, &q, &param));
    must(openai_request_rewrite(&q, STR("real"), false, &in->arena, &parts, &count));
    for (size_t i = 0; i < count; i++)
        must(buf_add(&in->out, parts[i]));
    sink += in->out.n;
}

static void pass_answer(struct inputs *in)
{
    struct openai_answer a;

    openai_answer_init(&a);
    openai_answer_feed(&a, in->openai_answer);
    sink += openai_answer_end(&a);
    openai_answer_release(&a);
}

static void pass_stream(struct inputs *in)
{
    struct openai_stream s;
    struct sse sse CLEANUP(sse_release);
    struct sse_event e;
    struct str text = in->openai_stream;

    sse_init(&sse, 0);
    openai_stream_init(&s, STREAM_CHAT, true);
    while (sse_next(&sse, &text, &e) == SSE_EVENT)
        sink += openai_stream_event(&s, &e);
}

/* --- cases --- */

static void parse_large(struct inputs *in)
{
    const struct json_tree *doc;

    arena_clear(&in->arena);
    must(json_tree_parse(&in->arena, in->large, &doc));
    sink += doc->count;
}
static void small_passed(struct inputs *in)
{
    pass_request(in, in->small);
}
static void small_translated(struct inputs *in)
{
    translate_request(in, in->small);
}
static void large_passed(struct inputs *in)
{
    pass_request(in, in->large);
}
static void large_translated(struct inputs *in)
{
    translate_request(in, in->large);
}

static const struct {
    const char *name;
    case_fn *fn;
    unsigned per, calls; /* operations in one call, calls in a round */
} cases[] = {
    {"request of 1 KB, passed through", small_passed, 1, 5000},
    {"request of 1 KB, translated", small_translated, 1, 5000},
    {"answer, passed through", pass_answer, 1, 5000},
    {"answer, translated", translate_answer, 1, 5000},
    {"event of a stream, passed through", pass_stream, EVENTS, 500},
    {"event of a stream, translated", translate_stream, EVENTS, 500},
    {"request of 200 KB with 60 tools, passed through", large_passed, 1, 50},
    {"request of 200 KB with 60 tools, parsed", parse_large, 1, 50},
    {"request of 200 KB with 60 tools, translated", large_translated, 1, 50},
};

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double best_of(case_fn *fn, struct inputs *in, unsigned calls)
{
    double best = 1e9;

    for (int round = 0; round < 15; round++) {
        double start = seconds();
        for (unsigned i = 0; i < calls; i++)
            fn(in);
        double t = (seconds() - start) / calls;
        best = t < best ? t : best;
    }
    return best * 1e9;
}

int main(int argc, char **argv)
{
    static struct inputs in;
    bool once = argc > 1 && strcmp(argv[1], "--once") == 0;
    const char *name = argc > 1 + once ? argv[1 + once] : "";

    process_keep_memory(); /* as the server does */
    make_inputs(&in);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (!strstr(cases[i].name, name))
            continue;
        for (int k = 0; once && k < 100; k++)
            cases[i].fn(&in);
        if (!once)
            printf("%-50s %10.1f ns\n", cases[i].name, best_of(cases[i].fn, &in, cases[i].calls) / cases[i].per);
    }
    arena_release(&in.arena);
    arena_release(&in.scratch);
    buf_release(&in.out);
    mem_free((char *)(uintptr_t)in.small.p);
    mem_free((char *)(uintptr_t)in.large.p);
    mem_free((char *)(uintptr_t)in.anthropic_stream.p);
    mem_free((char *)(uintptr_t)in.openai_stream.p);
    return 0;
}
