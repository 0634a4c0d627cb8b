/*
 * An answer that breaks off and goes on elsewhere, in every client's dialect: the text is the unbroken one, wherever it broke.
 *
 * A provider's stream is what its dialect's own writer makes of an answer. It is cut at every byte, read, and told to the client, translated or as its own
 * bytes; then a model of another provider is asked to go on and does so. The client's own reader hears all that, as one stream.
 */
#include "base/buf.h"
#include "codec/json_scan.h"
#include "llm/continuation.h"
#include "llm/estimate.h"
#include "unit/dialect_world.h"

/* A client's way in, or a provider's stream. */
struct way {
    const char *dialect, *vendor, *path, *query;
    bool thinks; /* numbers its blocks, thoughts among them */
};

static const struct way ways[] = {
    {"openai", "openai", "/v1/chat/completions", "", false},
    {"completions", "openai", "/v1/completions", "", false},
    {"responses", "openai", "/v1/responses", "", true},
    {"anthropic", "anthropic", "/v1/messages", "", true},
    {"anthropic", "anthropic-bedrock", "/model/{model}/invoke-with-response-stream", "", false},
    {"gemini", "gemini", "/v1beta/models/{model}:streamGenerateContent", "alt=sse", false},
    {"gemini", "gemini", "/v1beta/models/{model}:streamGenerateContent", "", false},
    {"bedrock", "bedrock", "/model/{model}/converse-stream", "", true},
    {"cohere", "cohere", "/v2/chat", "", true},
    {"ollama", "ollama", "/api/chat", "", false},
    {"tgi", "tgi", "/generate_stream", "", false},
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
    struct str id, error;
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
    TRY(speak_pieces(p, block, text, 14));
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
                                 .unique = 77,
                                 .follows = true}; /* its ids are its own */
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
    if (e->kind == CHAT_START)
        s->id = arena_str(&s->w.arena, e->id);
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

/* One provider's stream being read. */
struct source {
    const struct provider_side *side;
    void *reader;
    struct framer *framer;
    struct chat_sink sink;
    bool raw;
    unsigned passed;
};

/* Events of bytes that pass are said for nobody. */
static err_t take_frame(struct stage *s, struct source *p, const struct frame *f)
{
    struct buf kept = s->out, shadow = BUF_INIT(1 << 24);

    if (p->raw)
        s->out = shadow;
    err_t e = p->side->reader_frame(p->reader, f, &s->w.arena, &p->sink);
    if (p->raw) {
        buf_release(&s->out);
        s->out = kept;
    }
    TRY(e);
    if (!p->raw || s->failed)
        return OK;
    pass(s, f, &p->passed);
    const struct client_side *client = &s->w.t.client->client;
    return client->writer_follow ? client->writer_follow(s->writer, f, &s->w.arena) : OK;
}

/* Read a provider's stream, as far as it came. It lies in memory that soon holds something else. */
static err_t take(struct stage *s, const struct way *at, struct str bytes, bool raw)
{
    enum { PIECE = 700 };
    struct translation t = way_translation(s, at);
    enum framing framing = t.client->client.framing ? t.client->client.framing(&t) : FRAMING_SSE;
    struct source p = {.side = &t.provider->provider, .sink = continuation_sink(s->told), .raw = raw};
    char read[PIECE];
    struct frame f;

    p.reader = arena_zalloc(&s->w.arena, p.side->reader_size);
    p.framer = framer_new(&s->w.arena, framing, 0);
    TRY(p.side->reader_begin(p.reader, &s->w.arena));
    while (bytes.n && !s->ended && !s->failed) {
        struct str piece = str_of(read, bytes.n < PIECE ? bytes.n : PIECE);
        bool got = true;
        memcpy(read, bytes.p, piece.n);
        bytes = str_slice(bytes, piece.n, bytes.n);
        while (got && !s->ended && !s->failed) {
            TRY(framer_next(p.framer, &piece, &got, &f));
            if (got)
                TRY(take_frame(s, &p, &f));
        }
        memset(read, '#', sizeof read);
    }
    if (s->ended && p.passed)
        buf_add_lit(&s->out, "]");
    if (s->ended || s->failed)
        return OK;
    return p.side->reader_end(p.reader, &p.sink); /* half a frame at the end is lost in any case */
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

static const struct plot plain = {.text = "The tide \xe2\x80\x93 twice a day.\n\nIt falls, and the harbour lies dry.",
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

/* Parts of Cohere's messages, likewise. */
static bool cohere_is_in_order(const struct frame *f, int64_t state[2])
{
    struct str type = json_find(f->data, STR("type"));
    int64_t index;

    if (!json_to_i64(json_find(f->data, STR("index")), &index) || str_starts(f->name, STR("tool")))
        return true;
    if (json_string_is(type, STR("content-start")))
        return !state[1]++ && index == state[0];
    if (json_string_is(type, STR("content-end")))
        return state[1]-- == 1 && index == state[0]++;
    return state[1] == 1 && index == state[0];
}

/* What the client's SDK takes for granted, and its reader here does not look at. */
static bool is_in_order(struct stage *s)
{
    struct translation t = way_translation(s, s->client);
    struct framer *framer =
        framer_new(&s->w.arena, t.client->client.framing ? t.client->client.framing(&t) : FRAMING_SSE, 0);
    struct str bytes = buf_str(&s->out), item = STR_NONE;
    int64_t state[2] = {0, 0};
    int64_t number;
    struct frame f;
    bool got = true, good = true;

    while (good && framer_next(framer, &bytes, &got, &f) == OK && got) {
        if (t.client == dialect_find(STR("anthropic")) && !json_find(f.data, STR("bytes")).n)
            good = anthropic_is_in_order(&f, state);
        else if (t.client == dialect_find(STR("responses")))
            good = responses_are_in_order(&f, state, &item, &s->w.arena);
        else if (t.client == dialect_find(STR("tgi")))
            good = json_to_i64(json_find(f.data, STR("index")), &number) && number == ++state[0];
        else if (t.client == dialect_find(STR("cohere")))
            good = cohere_is_in_order(&f, state);
    }
    return good && !state[1];
}

static bool holds(struct stage *s, struct str words)
{
    return str_find(buf_str(&s->out), words) < s->out.n;
}

/* One id, one model and one time, from first to last: the provider's where its bytes pass, else ours. */
static bool has_one_id(struct stage *s, bool resumed)
{
    if (str_eq(s->id, STR("another-id"))) /* nothing of the first answer had been told */
        return true;
    if (holds(s, STR("another-id")))
        return false;
    if (!s->raw)
        return !holds(s, STR("their-model")) && !holds(s, STR("1789999999"));
    return !resumed || (!holds(s, STR("our-model")) && !holds(s, STR("1790000000")) && !holds(s, STR("chatcmpl-")) &&
                        !holds(s, STR("\"cmpl-")) && !holds(s, STR("\"resp_")));
}

static bool tells_whole(struct stage *s, const struct plot *plot, size_t at, bool resumed)
{
    struct client_ear ear CLEANUP(client_ear_release) = {.ends = 0};
    err_t e = client_reads(s, &ear);
    struct str text = buf_str(&ear.text);

    if (e == OK && ear.ends == 1 && str_eq(text, str_from_c(plot->text)) && is_in_order(s) && has_one_id(s, resumed) &&
        ear.answer.choices[0].finish == FINISH_STOP)
        return true;
    test_context("%s, %s by %s, then %s, cut at %zu, manner %u, resumed %d: %s: %.*s: got '%.*s'", s->client->dialect,
                 s->raw ? "raw" : "translated", s->first->dialect, s->second->vendor, at, s->manner, resumed,
                 err_detail(e), (int)(s->out.n < 6000 ? s->out.n : 6000), s->out.p, STR_ARG(text));
    return false;
}

static void break_everywhere(const struct way *client, const struct way *first, const struct way *second, bool raw,
                             const struct plot *plot)
{
    struct stage whole CLEANUP(stage_release);
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 24);
    unsigned resumed = 0;

    stage_init(&whole, client, first, second, raw);
    CHECK(stream_of(&whole, first, plot, &bytes) == OK);
    for (size_t at = 0; at <= bytes.n; at += test_step()) {
        struct stage s CLEANUP(stage_release);
        bool had_to;
        stage_init(&s, client, first, second, raw);
        s.manner = (unsigned)at % 3;
        err_t e = play(&s, plot, str_slice(buf_str(&bytes), 0, at), &had_to);
        CHECK_MSG(e == OK, "%s by %s, cut at %zu: %s", client->dialect, first->dialect, at, err_detail(e));
        CHECK_MSG(!s.failed, "%s by %s, cut at %zu: %.*s", client->dialect, first->dialect, at, STR_ARG(s.error));
        CHECK(tells_whole(&s, plot, at, had_to));
        resumed += had_to;
    }
    CHECK(resumed > bytes.n / test_step() / 2);
}

static const struct way continues_by_turn = {"openai", "openai", "/v1/chat/completions", "", false};
static const struct way continues_by_prefix = {"openai", "mistral", "/v1/chat/completions", "", false};

TEST(a_translated_stream_goes_on_wherever_it_breaks_in_every_clients_dialect)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        break_everywhere(&ways[i], &ways[3], i % 2 ? &continues_by_turn : &continues_by_prefix, false, &plain);
}

TEST(bytes_that_passed_go_on_wherever_they_break_in_every_clients_dialect)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        break_everywhere(&ways[i], &ways[i], i % 2 ? &continues_by_prefix : &continues_by_turn, true, &plain);
}

/* Played up to a break behind so many bytes of the text; then the rest by `second`. */
static err_t broken_behind(struct stage *s, const struct plot *plot, struct str mark)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 24);
    bool resumed;

    TRY(stream_of(s, s->first, plot, &bytes));
    struct str all = buf_str(&bytes);
    size_t at = str_find(all, mark);
    return play(s, plot, str_slice(all, 0, at + mark.n + 40), &resumed);
}

static const struct way openai = {"openai", "openai", "/v1/chat/completions", "", false};
static const struct way anthropic = {"anthropic", "anthropic", "/v1/messages", "", false};

TEST(an_answer_that_breaks_twice_goes_on_twice)
{
    struct stage s CLEANUP(stage_release);
    struct buf first CLEANUP(buf_release) = BUF_INIT(1 << 20), second CLEANUP(buf_release) = BUF_INIT(1 << 20),
                     third CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct chat_request asked;
    struct plot part = plain;

    stage_init(&s, &anthropic, &openai, &openai, false);
    CHECK_OK(s.w.t.client->client.writer_begin(s.writer, &s.frame, &s.out));
    part.text = "The tide \xe2\x80\x93 tw";
    CHECK_OK(stream_of(&s, &openai, &part, &first));
    CHECK_OK(take(&s, &openai, str_slice(buf_str(&first), 0, str_find(buf_str(&first), STR("finish_reason\":\"stop"))),
                  false));
    CHECK(s.failed && !s.ended);
    s.failed = false;
    continuation_resume(s.told, &s.q, CONTINUES_PREFILL, &asked);
    part.text = "ice a day.\n\nIt falls, ";
    CHECK_OK(stream_of(&s, &openai, &part, &second));
    CHECK_OK(take(&s, &openai,
                  str_slice(buf_str(&second), 0, str_find(buf_str(&second), STR("finish_reason\":\"stop"))), false));
    CHECK(s.failed && !s.ended);
    s.failed = false;
    continuation_resume(s.told, &s.q, CONTINUES_PREFILL, &asked);
    CHECK_STR(asked.last_turn->blocks->text, "The tide \xe2\x80\x93 twice a day.\n\nIt falls,");
    part.text = " and the harbour lies dry.";
    CHECK_OK(stream_of(&s, &openai, &part, &third));
    CHECK_OK(take(&s, &openai, buf_str(&third), false));
    CHECK(tells_whole(&s, &plain, 0, true));
}

TEST(usage_is_one_sum_in_which_what_a_broken_attempt_did_not_tell_is_estimated)
{
    struct stage s CLEANUP(stage_release);
    struct client_ear ear CLEANUP(client_ear_release) = {.ends = 0};

    stage_init(&s, &openai, &openai, &continues_by_prefix, false);
    CHECK_OK(broken_behind(&s, &plain, STR("wice a")));
    struct usage of_second = continuation_usage(s.told, &s.q);
    CHECK(of_second.known && of_second.input == 11 && of_second.output == 22);
    CHECK_OK(client_reads(&s, &ear));
    CHECK(ear.answer.usage.known);
    CHECK(ear.answer.usage.input == 11 + estimate_tokens(&s.q));
    CHECK(ear.answer.usage.output > 22 && ear.answer.usage.output < 22 + 10);
}

TEST(what_a_broken_attempt_told_of_its_usage_counts)
{
    struct stage s CLEANUP(stage_release);
    struct usage told = {.input = 1000, .output = 1, .cached_input = 900, .known = true}, u;

    stage_init(&s, &openai, &openai, &openai, false);
    CHECK_OK(s.w.t.client->client.writer_begin(s.writer, &s.frame, &s.out));
    struct chat_sink sink = continuation_sink(s.told);
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_START}));
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_USAGE, .usage = &told}));
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT}));
    CHECK_OK(chat_tell(&sink,
                       &(struct chat_event){.kind = CHAT_TEXT, .text = STR("twelve bytes and so on, forty of them.")}));
    u = continuation_usage(s.told, &s.q);
    CHECK(!u.known && u.input == 1000 && u.cached_input == 900 && u.output == 10);
    told.output = 500;
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_USAGE, .usage = &told}));
    CHECK(continuation_usage(s.told, &s.q).output == 500);
}

TEST(what_does_not_continue_is_given_up_untold_and_another_may_go_on)
{
    struct stage s CLEANUP(stage_release);
    struct buf first CLEANUP(buf_release) = BUF_INIT(1 << 20), other CLEANUP(buf_release) = BUF_INIT(1 << 20),
                     good CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct chat_request asked;
    struct plot part = plain;

    stage_init(&s, &openai, &anthropic, &openai, false);
    CHECK_OK(s.w.t.client->client.writer_begin(s.writer, &s.frame, &s.out));
    CHECK_OK(stream_of(&s, &anthropic, &plain, &first));
    CHECK_OK(take(&s, &anthropic,
                  str_slice(buf_str(&first), 0, str_find(buf_str(&first), STR("content_block_stop")) - 60), false));
    CHECK(s.failed && !s.ended);
    size_t told = s.out.n;
    s.failed = false;
    continuation_resume(s.told, &s.q, CONTINUES_BY_TURN, &asked);
    part.text = "Sure! The tide comes twice a day. Can I help you with anything else?";
    CHECK_OK(stream_of(&s, &openai, &part, &other));
    CHECK(take(&s, &openai, buf_str(&other), false) == E_PROTOCOL);
    CHECK(s.out.n == told && !s.ended);
    continuation_resume(s.told, &s.q, CONTINUES_BY_TURN, &asked);
    part.text =
        arena_printf(&s.w.arena, "%.*s", STR_ARG(go_on(&s, &asked, CONTINUES_BY_TURN, str_from_c(plain.text)))).p;
    CHECK_OK(stream_of(&s, &openai, &part, &good));
    CHECK_OK(take(&s, &openai, buf_str(&good), false));
    CHECK(tells_whole(&s, &plain, 0, true));
}

/* --- thoughts and calls --- */

static const struct plot thoughtful = {.thought = "Let me think about tides and moons.",
                                       .text = "Twice a day, as everybody knows.",
                                       .id = STR_INIT("msg_1"),
                                       .input = 1,
                                       .output = 1};

TEST(bytes_that_passed_go_on_also_between_thoughts_and_text)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (ways[i].thinks)
            break_everywhere(&ways[i], &ways[i], &continues_by_prefix, true, &thoughtful);
}

TEST(thoughts_of_who_goes_on_with_a_text_stay_untold)
{
    struct stage s CLEANUP(stage_release);
    struct client_ear ear CLEANUP(client_ear_release) = {.ends = 0};

    stage_init(&s, &anthropic, &anthropic, &openai, true);
    CHECK_OK(broken_behind(&s, &thoughtful, STR("Twice a d")));
    CHECK_OK(client_reads(&s, &ear));
    CHECK(ear.ends == 1 && is_in_order(&s));
    CHECK_STR(buf_str(&ear.text), thoughtful.text);
    CHECK_STR(buf_str(&ear.thoughts), thoughtful.thought);
}

TEST(an_answer_that_broke_in_its_thoughts_is_begun_anew_behind_them)
{
    struct stage s CLEANUP(stage_release);
    struct client_ear ear CLEANUP(client_ear_release) = {.ends = 0};

    stage_init(&s, &anthropic, &anthropic, &openai, true);
    CHECK_OK(broken_behind(&s, &thoughtful, STR("Let me th")));
    CHECK_OK(client_reads(&s, &ear));
    CHECK(ear.ends == 1 && is_in_order(&s));
    CHECK_STR(buf_str(&ear.text), thoughtful.text);
    CHECK(str_starts(buf_str(&ear.thoughts), STR("Let me th")) &&
          str_ends(buf_str(&ear.thoughts), str_from_c(thoughtful.thought)) &&
          ear.thoughts.n > strlen(thoughtful.thought));
}

static const struct plot calling = {.text = "I will look.",
                                    .call = "{\"port\":\"Dover\",\"day\":\"today\"}",
                                    .id = STR_INIT("msg_1"),
                                    .input = 1,
                                    .output = 1};

TEST(a_call_that_had_begun_cannot_go_on_at_any_byte_of_it)
{
    struct stage whole CLEANUP(stage_release);
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 20);

    stage_init(&whole, &openai, &anthropic, &openai, false);
    CHECK_OK(stream_of(&whole, &anthropic, &calling, &bytes));
    size_t begins = str_find(buf_str(&bytes), STR("\"type\":\"tool_use\"")),
           ends = str_find(buf_str(&bytes), STR("message_delta"));
    begins += str_find(str_slice(buf_str(&bytes), begins, bytes.n), STR("\n\n")) + 2;
    CHECK(ends > begins + 100);
    for (size_t at = begins; at < ends; at++) {
        struct stage s CLEANUP(stage_release);
        bool resumed;
        stage_init(&s, &openai, &anthropic, &openai, false);
        CHECK_OK(play(&s, &calling, str_slice(buf_str(&bytes), 0, at), &resumed));
        CHECK_MSG(s.failed && !s.ended && continuation_bar(s.told), "cut at %zu of %zu..%zu: failed %d, ended %d, %s",
                  at, begins, ends, s.failed, s.ended, continuation_bar(s.told));
    }
}

TEST(a_text_that_goes_on_may_call)
{
    struct stage s CLEANUP(stage_release);
    struct client_ear ear CLEANUP(client_ear_release) = {.ends = 0};

    stage_init(&s, &anthropic, &anthropic, &openai, true);
    CHECK_OK(broken_behind(&s, &calling, STR("I will lo")));
    CHECK_OK(client_reads(&s, &ear));
    CHECK(ear.ends == 1 && is_in_order(&s) && ear.answer.choices[0].finish == FINISH_TOOL_CALLS);
    const struct block *b = ear.answer.choices[0].blocks;
    CHECK_STR(b->text, "I will look.");
    CHECK_STR(b->next->arguments, calling.call);
}

TEST(places_of_citations_count_from_where_the_client_began_to_read)
{
    struct stage s CLEANUP(stage_release);
    struct chat_request asked;
    struct citation c = {.url = STR("https://tides.example/"), .start = 3, .end = 7};
    struct chat_event start = {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT};

    stage_init(&s, &openai, &openai, &openai, false);
    CHECK_OK(s.w.t.client->client.writer_begin(s.writer, &s.frame, &s.out));
    struct chat_sink sink = continuation_sink(s.told);
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_START}));
    CHECK_OK(chat_tell(&sink, &start));
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_TEXT, .text = STR("\xc3\xa9t\xc3\xa9 is long")}));
    continuation_resume(s.told, &s.q, CONTINUES_BY_TURN, &asked);
    CHECK_OK(chat_tell(&sink, &start));
    CHECK_OK(
        chat_tell(&sink, &(struct chat_event){.kind = CHAT_TEXT, .text = STR("\xc3\xa9t\xc3\xa9 is long and hot")}));
    CHECK_OK(chat_tell(&sink, &(struct chat_event){.kind = CHAT_CITATION, .citation = &c}));
    CHECK(str_find(buf_str(&s.out), STR("\"start_index\":3,\"end_index\":7")) < s.out.n); /* it repeated all of it */
}

/* --- what is asked --- */

static err_t to_nobody(void *ctx, const struct chat_event *e)
{
    (void)ctx;
    (void)e;
    return OK;
}

/* What a vendor's provider is asked for the rest of `told`. */
static struct str asked_of(struct dialect_world *w, const char *client, const char *vendor, const char *model,
                           const char *request, const char *told)
{
    struct chat_sink to = {to_nobody, NULL};
    struct chat_request asked;

    world_init(w, client, vendor);
    w->t.model = str_from_c(model);
    if (world_read(w, request) != OK)
        return STR("!");
    struct continuation *c = continuation_new(&w->arena, &to);
    struct chat_sink sink = continuation_sink(c);
    if (chat_tell(&sink, &(struct chat_event){.kind = CHAT_START}) != OK ||
        chat_tell(&sink, &(struct chat_event){.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT}) != OK ||
        chat_tell(&sink, &(struct chat_event){.kind = CHAT_TEXT, .text = str_from_c(told)}) != OK)
        return STR("!");
    enum continuation_form form =
        w->t.provider->provider.continues ? w->t.provider->provider.continues(&w->t, &w->q) : CONTINUES_BY_TURN;
    continuation_resume(c, &w->q, form, &asked);
    w->q = asked;
    return world_write(w) == OK ? buf_str(&w->body) : STR("!");
}

#define QUESTION "{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"Tides?\"}]}"
#define HAS(text, part)                                                                                                \
    do {                                                                                                               \
        struct str has_text_ = (text);                                                                                 \
        CHECK_MSG(str_find(has_text_, STR(part)) < has_text_.n, "%.*s", STR_ARG(has_text_));                           \
    } while (0)

TEST(models_that_take_an_unfinished_turn_are_given_one)
{
    static const struct {
        const char *vendor, *model, *part;
    } cases[] = {{"mistral", "mistral-large", "{\"role\":\"assistant\",\"content\":\"Twice a\",\"prefix\":true}]"},
                 {"vllm", "qwen", "\"continue_final_message\":true"},
                 {"vllm", "qwen", "{\"role\":\"assistant\",\"content\":\"Twice a\"}]"},
                 {"sglang", "qwen", "\"continue_final_message\":true"},
                 {"anthropic", "claude-sonnet-4-5", "{\"role\":\"assistant\",\"content\":"},
                 {"bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0",
                  "{\"role\":\"assistant\",\"content\":[{\"text\":\"Twice a\"}]}]"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct str body = asked_of(&w, "openai", cases[i].vendor, cases[i].model, QUESTION, "Twice a ");
        CHECK_MSG(str_find(body, str_from_c(cases[i].part)) < body.n, "%s: %.*s", cases[i].vendor, STR_ARG(body));
        CHECK(str_find(body, STR("cut off")) == body.n);
    }
}

TEST(all_others_are_asked_to_repeat_the_last_words_and_go_on)
{
    static const struct {
        const char *vendor, *model;
    } cases[] = {{"openai", "gpt-4o"},         {"anthropic", "claude-opus-4-6"},
                 {"gemini", "gemini-2.5-pro"}, {"cohere", "command-r"},
                 {"ollama", "llama"},          {"bedrock", "amazon.nova-lite-v1:0"},
                 {"deepseek", "deepseek-chat"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct str body = asked_of(&w, "openai", cases[i].vendor, cases[i].model, QUESTION, "Twice a ");
        CHECK_MSG(str_find(body, STR("go on from there:\\nTwice a\"")) < body.n, "%s: %.*s", cases[i].vendor,
                  STR_ARG(body));
        CHECK(str_find(body, STR("\"Twice a\"")) < body.n);
    }
}

TEST(a_prompt_goes_on_with_what_was_told)
{
    struct dialect_world w CLEANUP(world_release);
    struct str body = asked_of(&w, "completions", "vllm", "qwen",
                               "{\"model\":\"m\",\"prompt\":\"Once \",\"max_tokens\":50}", "upon a");

    w.t.provider = dialect_find(STR("completions"));
    CHECK(body.n > 0);
    struct dialect_world v CLEANUP(world_release);
    world_init(&v, "completions", "vllm");
    v.t.provider = dialect_find(STR("completions"));
    CHECK(v.t.provider->provider.continues(&v.t, &w.q) == CONTINUES_PROMPT);
}

TEST(an_answer_to_a_turn_that_the_client_began_goes_on_behind_both)
{
    struct dialect_world w CLEANUP(world_release);
    struct str body = asked_of(&w, "openai", "mistral", "mistral-large",
                               "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Tides?\"},"
                               "{\"role\":\"assistant\",\"content\":\"They come\"}]}",
                               " twice a");

    HAS(body, "{\"role\":\"assistant\",\"content\":\"They come twice a\",\"prefix\":true}]");
}

TEST(the_rest_may_be_as_long_as_the_client_allowed_less_what_it_has)
{
    struct dialect_world w CLEANUP(world_release), v CLEANUP(world_release);

    HAS(asked_of(&w, "openai", "mistral", "m", QUESTION, "forty bytes of text, which are ten tokens"),
        "\"max_tokens\":89");
    HAS(asked_of(&v, "openai", "mistral", "m",
                 "{\"model\":\"m\",\"max_tokens\":3,\"messages\":[{\"role\":\"user\",\"content\":\"Tides?\"}]}",
                 "forty bytes of text, which are ten tokens"),
        "\"max_tokens\":1");
}

TEST(some_requests_can_never_be_continued)
{
    static const char *const barred[] = {
        "\"n\":2", "\"response_format\":{\"type\":\"json_object\"}",
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{}}}",
        "\"logprobs\":true", "\"web_search_options\":{}"};
    static const char *const free[] = {"\"n\":1", "\"response_format\":{\"type\":\"text\"}", "\"stop\":[\"x\"]",
                                       "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"};

    for (size_t i = 0; i < ARRAY_LEN(barred) + ARRAY_LEN(free); i++) {
        struct dialect_world w CLEANUP(world_release);
        bool bars = i < ARRAY_LEN(barred);
        world_init(&w, "openai", "openai");
        const char *with = bars ? barred[i] : free[i - ARRAY_LEN(barred)];
        struct str json = arena_printf(
            &w.arena, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Tides?\"}],%s}", with);
        CHECK_OK(world_read(&w, json.p));
        CHECK_MSG((continuation_bars(&w.q) != NULL) == bars, "%s", with);
    }
}

/* A stream of Responses that breaks behind an item's beginning: what was only begun is not waited for at the end. */
TEST(an_item_that_never_ended_does_not_hide_those_behind_it)
{
    struct stage s CLEANUP(stage_release);
    struct str begun =
        STR("event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":"
            "\"provider-id-1\",\"created_at\":1789999999,\"model\":\"their-model\",\"status\":\"in_progress\"}}\n\n"
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,"
            "\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}}\n\n");
    bool resumed;

    stage_init(&s, &ways[2], &ways[2], &continues_by_turn, true);
    CHECK_OK(play(&s, &plain, begun, &resumed));
    CHECK(resumed && tells_whole(&s, &plain, begun.n, true));
    struct str all = buf_str(&s.out);
    struct str end = str_slice(all, str_find(all, STR("event: response.completed")), all.n);
    CHECK(str_find(end, STR("\"output\":[{\"type\":\"message\"")) < end.n);
    CHECK(str_find(all, STR("\"output_index\":1,\"item\":{\"type\":\"message\"")) < all.n);
}

/* What a provider's own stream has, and one that our writer makes has not. */
TEST(what_passed_without_words_is_counted)
{
    struct stage tgi CLEANUP(stage_release), gemini CLEANUP(stage_release);
    bool resumed;

    stage_init(&tgi, &ways[10], &ways[10], &continues_by_turn, true);
    CHECK_OK(play(&tgi, &plain,
                  STR("data:{\"index\":7,\"token\":{\"id\":1,\"text\":\"The tide\",\"logprob\":0,\"special\":false},"
                      "\"generated_text\":null,\"details\":null}\n\n"),
                  &resumed));
    CHECK(resumed && holds(&tgi, STR("\"index\":8")) && !holds(&tgi, STR("\"index\":2")));

    stage_init(&gemini, &ways[6], &ways[6], &continues_by_turn, true);
    CHECK_OK(play(&gemini, &plain,
                  STR("[{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[]}}],\"responseId\":\"one\"},"),
                  &resumed));
    CHECK(resumed && json_valid(buf_str(&gemini.out), 0));
}
