/*
 * An answer that breaks off and goes on elsewhere, in every client's dialect: the text is the unbroken one, wherever it broke.
 *
 * A provider's stream is what its dialect's own writer makes of an answer. It is cut at every byte, read, and told to the client, translated or as its own
 * bytes; then a model of another provider is asked to go on and does so. The client's own reader hears all that, as one stream.
 */
#include "base/buf.h"
#include "codec/json_scan.h"
#include "llm/continuation.h"
#include "unit/dialect_world.h"

/* A client's way in, or a provider's stream. */
struct way {
    const char *dialect, *vendor, *path, *query;
};

static const struct way ways[] = {
    {"openai", "openai", "/v1/chat/completions", ""},
    {"completions", "openai", "/v1/completions", ""},
    {"responses", "openai", "/v1/responses", ""},
    {"anthropic", "anthropic", "/v1/messages", ""},
    {"anthropic", "anthropic-bedrock", "/model/{model}/invoke-with-response-stream", ""},
    {"gemini", "gemini", "/v1beta/models/{model}:streamGenerateContent", "alt=sse"},
    {"gemini", "gemini", "/v1beta/models/{model}:streamGenerateContent", ""},
    {"bedrock", "bedrock", "/model/{model}/converse-stream", ""},
    {"cohere", "cohere", "/v2/chat", ""},
    {"ollama", "ollama", "/api/chat", ""},
    {"tgi", "tgi", "/generate_stream", ""},
};

/* What is told: pieces of text, maybe of thoughts before it, or a call behind it. */
struct plot {
    const char *thought, *text, *call;
    struct str id; /* of the answer */
    uint64_t input, output;
};

struct stage {
    struct dialect_world w;
    const struct way *client, *first, *second;
    bool raw;        /* bytes of the first provider pass */
    unsigned manner; /* in which the second one goes on  */
    struct buf out;  /* what the client gets             */
    void *writer;
    struct answer_frame frame;
    struct continuation *told;
    struct chat_sink to_writer;
    struct chat_request q;
    bool ended, failed;
    struct str error;
};

static void stage_release(struct stage *s)
{
    buf_release(&s->out);
    world_release(&s->w);
}

static struct translation way_translation(struct stage *s, const struct way *at)
{
    struct translation t = s->w.t;

    t.client = t.provider = dialect_find(str_from_c(at->dialect));
    t.vendor = vendor_find(str_from_c(at->vendor));
    t.row = world_row(at->dialect, at->path);
    t.query = str_from_c(at->query);
    return t;
}

/* --- what a provider streams --- */

struct spoken {
    const struct client_side *side;
    void *writer;
    struct buf *to;
};

static err_t speak(struct spoken *p, struct chat_event e)
{
    return p->side->writer_event(p->writer, &e, p->to);
}

static err_t speak_pieces(struct spoken *p, unsigned block, struct str text, size_t piece)
{
    while (text.n) {
        size_t n = piece < text.n ? piece : text.n;
        while (n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n++;
        TRY(speak(p, (struct chat_event){.kind = CHAT_TEXT, .block = block, .text = str_slice(text, 0, n)}));
        text = str_slice(text, n, text.n);
    }
    return OK;
}

static err_t speak_block(struct spoken *p, unsigned block, enum block_kind kind, struct str text)
{
    TRY(speak(p, (struct chat_event){.kind = CHAT_BLOCK_START,
                                     .block = block,
                                     .block_kind = kind,
                                     .id = kind == BLOCK_TOOL_CALL ? STR("call_1") : STR_NONE,
                                     .name = kind == BLOCK_TOOL_CALL ? STR("get_tide") : STR_NONE}));
    TRY(speak_pieces(p, block, text, 9));
    return speak(p, (struct chat_event){.kind = CHAT_BLOCK_STOP, .block = block});
}

/* The stream of a whole answer as this provider says it. */
static err_t stream_of(struct stage *s, const struct way *at, const struct plot *plot, struct buf *to)
{
    struct translation *t = arena_new(&s->w.arena, struct translation);
    *t = way_translation(s, at);
    struct answer_frame frame = {.arena = &s->w.arena,
                                 .t = t,
                                 .request = &s->q,
                                 .model = STR("their-model"),
                                 .created = 1789999999,
                                 .unique = 77};
    struct spoken p = {&t->client->client, arena_zalloc(&s->w.arena, t->client->client.writer_size), to};
    struct usage usage = {.input = plot->input, .output = plot->output, .known = true};
    unsigned blocks = 0;

    TRY(p.side->writer_begin(p.writer, &frame, to));
    TRY(speak(&p, (struct chat_event){
                      .kind = CHAT_START, .id = plot->id, .model = STR("their-model"), .created = 1789999999}));
    if (plot->thought)
        TRY(speak_block(&p, blocks++, BLOCK_THINKING, str_from_c(plot->thought)));
    if (plot->text)
        TRY(speak_block(&p, blocks++, BLOCK_TEXT, str_from_c(plot->text)));
    if (plot->call)
        TRY(speak_block(&p, blocks++, BLOCK_TOOL_CALL, str_from_c(plot->call)));
    TRY(speak(&p, (struct chat_event){.kind = CHAT_USAGE, .usage = &usage}));
    TRY(speak(&p, (struct chat_event){.kind = CHAT_FINISH, .finish = plot->call ? FINISH_TOOL_CALLS : FINISH_STOP}));
    TRY(speak(&p, (struct chat_event){.kind = CHAT_END}));
    return buf_status(to);
}

/* --- the gateway's part --- */

static err_t to_client(void *ctx, const struct chat_event *e)
{
    struct stage *s = ctx;

    s->ended = s->ended || e->kind == CHAT_END;
    if (e->kind == CHAT_ERROR) {
        s->failed = true;
        s->error = arena_str(&s->w.arena, e->error->message);
        return OK;
    }
    return s->w.t.client->client.writer_event(s->writer, e, &s->out);
}

static void stage_init(struct stage *s, const struct way *client, const struct way *first, const struct way *second,
                       bool raw)
{
    *s = (struct stage){.client = client, .first = first, .second = second, .raw = raw};
    world_init_at(&s->w, client->dialect, client->path, client->vendor);
    s->w.t.query = str_from_c(client->query);
    buf_init(&s->out, 1 << 24);
    s->q.include_usage = true;
    s->q.reasoning.budget = -1;
    s->q.is_completion = strcmp(client->dialect, "completions") == 0 || strcmp(client->dialect, "tgi") == 0;
    struct turn *t = chat_add_turn(&s->q, &s->w.arena, CHAT_USER, JSON_ABSENT);
    chat_add_block(&t->blocks, &s->w.arena, BLOCK_TEXT, JSON_ABSENT)->text = STR("What of the harbour?");
    s->frame = (struct answer_frame){.arena = &s->w.arena,
                                     .t = &s->w.t,
                                     .request = &s->q,
                                     .model = STR("our-model"),
                                     .created = 1790000000,
                                     .unique = 4711,
                                     .follows = raw};
    s->writer = arena_zalloc(&s->w.arena, s->w.t.client->client.writer_size);
    s->to_writer = (struct chat_sink){to_client, s};
    s->told = continuation_new(&s->w.arena, &s->to_writer);
}

/* An array's elements are joined by whoever passes them. */
static void pass(struct stage *s, const struct frame *f, unsigned *passed)
{
    bool array = strcmp(s->client->dialect, "gemini") == 0 && !s->client->query[0];

    if (array)
        buf_add(&s->out, (*passed)++ ? STR(",\r\n") : STR("["));
    buf_add(&s->out, f->raw);
}

/* Read a provider's stream, as far as it came. */
static err_t take(struct stage *s, const struct way *at, struct str bytes, bool raw)
{
    struct translation t = way_translation(s, at);
    const struct provider_side *side = &t.provider->provider;
    const struct client_side *client = &s->w.t.client->client;
    struct chat_sink sink = continuation_sink(s->told);
    void *reader = arena_zalloc(&s->w.arena, side->reader_size);
    enum framing framing = t.client->client.framing ? t.client->client.framing(&t) : FRAMING_SSE;
    struct framer *framer = framer_new(&s->w.arena, framing, 0);
    unsigned passed = 0;
    struct frame f;
    bool got = true;

    TRY(side->reader_begin(reader, &s->w.arena));
    while (!s->ended && !s->failed) {
        struct buf shadow CLEANUP(buf_release) = BUF_INIT(1 << 24);
        TRY(framer_next(framer, &bytes, &got, &f));
        if (!got)
            break;
        struct buf kept = s->out;
        if (raw)
            s->out = shadow;
        err_t e = side->reader_frame(reader, &f, &s->w.arena, &sink);
        if (raw) {
            shadow = s->out;
            s->out = kept;
        }
        TRY(e);
        if (raw && !s->failed) {
            pass(s, &f, &passed);
            if (client->writer_follow)
                TRY(client->writer_follow(s->writer, &f, &s->w.arena));
        }
    }
    if (s->ended && raw && passed)
        buf_add_lit(&s->out, "]");
    if (s->ended || s->failed)
        return OK;
    return side->reader_end(reader, &sink); /* half a frame at the end is lost in any case */
}

/* How a model goes on that has been asked to. */
static struct str go_on(struct stage *s, const struct chat_request *asked, enum continuation_form form, struct str text)
{
    const struct turn *last = asked->last_turn;
    struct str said = blocks_text(last->blocks, STR_NONE, &s->w.arena);

    if (form == CONTINUES_BY_TURN && last->role == CHAT_USER && str_starts(said, continuation_words)) {
        struct str words = str_slice(said, continuation_words.n, said.n);
        size_t at = str_find(text, words);
        if (s->manner == 1)
            at = 0;
        return arena_join(&s->w.arena, s->manner == 2 ? STR("\n\n") : STR_NONE, str_slice(text, at, text.n));
    }
    if (last->role == CHAT_ASSISTANT)
        return str_slice(text, said.n, text.n);
    struct str prompt = STR("What of the harbour?");
    return str_slice(text, said.n - prompt.n, text.n); /* nothing was told, or it stands behind the prompt */
}

/* Play it all: *ret_resumed, did it have to go on? */
static err_t play(struct stage *s, const struct plot *plot, struct str bytes, bool *ret_resumed)
{
    struct buf more CLEANUP(buf_release) = BUF_INIT(1 << 24);
    struct translation second = way_translation(s, s->second);
    struct chat_request asked;

    TRY(s->w.t.client->client.writer_begin(s->writer, &s->frame, &s->out));
    if (s->raw)
        buf_clear(&s->out);
    TRY(take(s, s->first, bytes, s->raw));
    *ret_resumed = !s->ended;
    if (s->ended || continuation_bar(s->told))
        return OK;
    s->failed = false;
    enum continuation_form form =
        second.provider->provider.continues ? second.provider->provider.continues(&second, &s->q) : CONTINUES_BY_TURN;
    continuation_resume(s->told, &s->q, form, &asked);
    struct plot rest = *plot;
    struct str text = go_on(s, &asked, form, str_from_c(plot->text));
    rest.text = arena_printf(&s->w.arena, "%.*s", STR_ARG(text)).p;
    rest.id = STR("another-id");
    TRY(stream_of(s, s->second, &rest, &more));
    return take(s, s->second, buf_str(&more), false);
}

/* --- the client's part --- */

struct client_ear {
    struct arena arena;
    struct answer answer;
    struct buf text, thoughts;
    enum block_kind kind;
    unsigned ends;
    struct chat_sink whole;
};

static void client_ear_release(struct client_ear *ear)
{
    buf_release(&ear->text);
    buf_release(&ear->thoughts);
    arena_release(&ear->arena);
}

static err_t client_hears(void *ctx, const struct chat_event *e)
{
    struct client_ear *ear = ctx;

    if (e->kind == CHAT_BLOCK_START)
        ear->kind = e->block_kind;
    if (e->kind == CHAT_TEXT)
        buf_add(ear->kind == BLOCK_TEXT ? &ear->text : &ear->thoughts, e->text);
    ear->ends += e->kind == CHAT_END;
    return chat_tell(&ear->whole, e);
}

/* The client's own reader on all that it got, which must be one stream in order. */
static err_t client_reads(struct stage *s, struct client_ear *ear)
{
    struct translation t = way_translation(s, s->client);
    const struct provider_side *side = &t.client->provider;
    struct str bytes = buf_str(&s->out);
    struct frame f;
    bool got;

    arena_init(&ear->arena, 1 << 24);
    buf_init(&ear->text, 1 << 20);
    buf_init(&ear->thoughts, 1 << 20);
    ear->whole = answer_sink(answer_builder_new(&ear->arena, &ear->answer));
    struct chat_sink sink = {client_hears, ear};
    void *reader = arena_zalloc(&ear->arena, side->reader_size);
    struct framer *framer =
        framer_new(&ear->arena, t.client->client.framing ? t.client->client.framing(&t) : FRAMING_SSE, 0);
    TRY(side->reader_begin(reader, &ear->arena));
    for (;;) {
        TRY(framer_next(framer, &bytes, &got, &f));
        if (!got)
            break;
        TRY(side->reader_frame(reader, &f, &ear->arena, &sink));
    }
    TRY(framer_end(framer, &got, &f));
    if (got && f.data.n)
        return fail(E_PROTOCOL, "the client got half a frame");
    return ear->ends ? OK : side->reader_end(reader, &sink);
}

/* --- tests --- */

static const struct plot plain = {
    .text = "The tide \xe2\x80\x93 twice a day.\n\nIt falls, and the harbour lies dry.",
    .id = STR_INIT("provider-id-1"),
    .input = 11,
    .output = 22};

/* Numbers of Anthropic's events: a block begins with the next index, is spoken of while it is open, and ends once. */
static bool anthropic_is_in_order(const struct frame *f, int64_t state[2])
{
    struct str type = json_find(f->data, STR("type"));
    int64_t index;

    if (!json_to_i64(json_find(f->data, STR("index")), &index))
        return true;
    if (json_string_is(type, STR("content_block_start")))
        return !state[1]++ && index == state[0];
    if (json_string_is(type, STR("content_block_stop")))
        return state[1]-- == 1 && index == state[0]++;
    return state[1] == 1 && index == state[0];
}

/* Numbers of the events of a response, one after the other; and what is said belongs to the item that was begun. */
static bool responses_are_in_order(const struct frame *f, int64_t state[2], struct str *item, struct arena *arena)
{
    struct str type = json_find(f->data, STR("type")), id = json_find(f->data, STR("item_id")), said = STR_NONE;
    int64_t number;

    if (!json_to_i64(json_find(f->data, STR("sequence_number")), &number) || number != state[0]++)
        return false;
    if (json_string_is(type, STR("response.output_item.added")))
        return json_string_value(json_find_path(f->data, "item", "id", NULL), arena, item) == OK;
    return !id.n || (json_string_value(id, arena, &said) == OK && str_eq(said, *item));
}

/* What the client's SDK takes for granted, and its reader here does not look at. */
static bool is_in_order(struct stage *s)
{
    struct translation t = way_translation(s, s->client);
    struct framer *framer =
        framer_new(&s->w.arena, t.client->client.framing ? t.client->client.framing(&t) : FRAMING_SSE, 0);
    struct str bytes = buf_str(&s->out), item = STR_NONE;
    int64_t state[2] = {0, 0};
    struct frame f;
    bool got = true, good = true;

    while (good && framer_next(framer, &bytes, &got, &f) == OK && got) {
        if (t.client == dialect_find(STR("anthropic")) && !json_find(f.data, STR("bytes")).n)
            good = anthropic_is_in_order(&f, state);
        else if (t.client == dialect_find(STR("responses")))
            good = responses_are_in_order(&f, state, &item, &s->w.arena);
    }
    return good;
}

/* One id, from first to last, where the dialect repeats it. */
static bool has_one_id(struct stage *s)
{
    struct str all = buf_str(&s->out), other = STR("another-id");

    return str_find(all, other) == all.n;
}

static bool tells_whole(struct stage *s, const struct plot *plot, size_t at, bool resumed)
{
    struct client_ear ear CLEANUP(client_ear_release) = {.ends = 0};
    err_t e = client_reads(s, &ear);
    struct str text = buf_str(&ear.text);

    if (e == OK && ear.ends == 1 && str_eq(text, str_from_c(plot->text)) && is_in_order(s) && has_one_id(s) &&
        ear.answer.choices[0].finish == FINISH_STOP)
        return true;
    test_context("%s, %s by %s, then %s, cut at %zu, manner %u, resumed %d: %s: %.*s: got '%.*s'", s->client->dialect,
                 s->raw ? "raw" : "translated", s->first->dialect, s->second->vendor, at, s->manner, resumed,
                 err_detail(e), (int)(s->out.n < 6000 ? s->out.n : 6000), s->out.p, STR_ARG(text));
    return false;
}

static void break_everywhere(const struct way *client, const struct way *first, const struct way *second, bool raw)
{
    struct stage whole CLEANUP(stage_release);
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 24);
    unsigned resumed = 0;

    stage_init(&whole, client, first, second, raw);
    CHECK(stream_of(&whole, first, &plain, &bytes) == OK);
    for (size_t at = 0; at <= bytes.n; at += test_step()) {
        struct stage s CLEANUP(stage_release);
        bool had_to;
        stage_init(&s, client, first, second, raw);
        s.manner = (unsigned)at % 3;
        err_t e = play(&s, &plain, str_slice(buf_str(&bytes), 0, at), &had_to);
        CHECK_MSG(e == OK, "%s by %s, cut at %zu: %s", client->dialect, first->dialect, at, err_detail(e));
        CHECK_MSG(!s.failed, "%s by %s, cut at %zu: %.*s", client->dialect, first->dialect, at, STR_ARG(s.error));
        CHECK(tells_whole(&s, &plain, at, had_to));
        resumed += had_to;
    }
    CHECK(resumed > bytes.n / test_step() / 2);
}

static const struct way continues_by_turn = {"openai", "openai", "/v1/chat/completions", ""};
static const struct way continues_by_prefix = {"openai", "mistral", "/v1/chat/completions", ""};

TEST(a_translated_stream_goes_on_wherever_it_breaks_in_every_clients_dialect)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        break_everywhere(&ways[i], &ways[3], i % 2 ? &continues_by_turn : &continues_by_prefix, false);
}

TEST(bytes_that_passed_go_on_wherever_they_break_in_every_clients_dialect)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        break_everywhere(&ways[i], &ways[i], i % 2 ? &continues_by_prefix : &continues_by_turn, true);
}
