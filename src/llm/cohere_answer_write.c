/*
 * cohere_answer_write.c - canonical answers as clients of Cohere's /v2/chat hear them: whole, streamed, and errors; and lists of models.
 *
 * In a stream parts of the content and tool calls are numbered apart, each from 0 in the order in which they begin. A part is announced with the
 * first thing that it says, so there are none without content. Calls may interleave, since each piece names its call. The stream ends with
 * message-end, for a failure with finish_reason ERROR.
 *
 * Signatures and redacted thoughts have no place in this dialect and are left out.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#include "codec/json_scan.h"
#include "llm/cohere_int.h"

/* --- parts --- */

struct str cohere_make_id(uint64_t unique, struct arena *arena)
{
    uint64_t more = (unique + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return arena_printf(arena, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(unique >> 32),
                        (unsigned)(unique >> 16 & 0xffff), (unsigned)(unique & 0xfff),
                        (unsigned)(0x8000 | (more >> 48 & 0x3fff)),
                        (unsigned long long)(more & UINT64_C(0xffffffffffff)));
}

static struct str finish_name(enum finish f, bool has_call)
{
    switch (f) {
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return STR("MAX_TOKENS");
    case FINISH_STOP_SEQUENCE:
        return has_call ? STR("TOOL_CALL") : STR("STOP_SEQUENCE");
    case FINISH_STOP:
    case FINISH_TOOL_CALLS:
    case FINISH_FILTER:
    case FINISH_REFUSAL:
    case FINISH_PAUSE:
        return has_call ? STR("TOOL_CALL") : STR("COMPLETE");
    }
    return STR("COMPLETE");
}

static void put_usage(struct json_out *o, const struct usage *u)
{
    static const struct str members[] = {STR_INIT("billed_units"), STR_INIT("tokens")};

    json_member_open(o, STR("usage"), '{');
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_member_open(o, members[i], '{');
        json_member_u64(o, STR("input_tokens"), u->input);
        json_member_u64(o, STR("output_tokens"), u->output);
        json_close(o, '}');
    }
    json_member_u64(o, STR("cached_tokens"), u->cached_input);
    json_close(o, '}');
}

static void put_source(struct json_out *o, const struct citation *c)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("document"));
    json_member_str(o, STR("id"), c->document_id.n ? c->document_id : c->url);
    json_member_open(o, STR("document"), '{');
    if (c->title.n)
        json_member_str(o, STR("title"), c->title);
    if (c->url.n)
        json_member_str(o, STR("url"), c->url);
    if (c->cited_text.n)
        json_member_str(o, STR("text"), c->cited_text);
    json_close(o, '}');
    json_close(o, '}');
}

void cohere_put_citation(struct json_out *o, const struct citation *c, uint64_t part)
{
    if (c->of == &dialect_cohere && c->raw.n) {
        json_put_raw(o, c->raw);
        return;
    }
    json_open(o, '{');
    if (c->start >= 0)
        json_member_i64(o, STR("start"), c->start);
    if (c->end >= 0)
        json_member_i64(o, STR("end"), c->end);
    json_member_open(o, STR("sources"), '[');
    put_source(o, c);
    json_close(o, ']');
    json_member_u64(o, STR("content_index"), part);
    json_member_str(o, STR("type"), STR("TEXT_CONTENT"));
    json_close(o, '}');
}

/* A further source of the citation before it, which has told of all. */
static bool is_told(const struct citation *c)
{
    return c->of == &dialect_cohere && !c->raw.n;
}

/* OpenAI's list of tokens as one text with their chances; their numbers are not known. */
static void put_logprobs(struct json_out *o, struct json_node tokens, struct arena *arena)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(json_node_raw(tokens).n + 1);

    JSON_EACH(w, tokens)
        buf_add(&text, json_get_text(w.value, STR("token"), arena));
    json_open(o, '{');
    json_member_str(o, STR("text"), buf_str(&text));
    json_member_raw(o, STR("token_ids"), STR("[]"));
    json_member_open(o, STR("logprobs"), '[');
    JSON_EACH(w, tokens) {
        struct json_node chance = json_node_get(w.value, STR("logprob"));
        json_put_raw(o, json_node_is(chance, JSON_NUMBER) ? json_node_raw(chance) : STR("0"));
    }
    json_close(o, ']');
    json_close(o, '}');
}

static void put_call(struct json_out *o, struct str id, struct str name, struct str arguments)
{
    json_open(o, '{');
    json_member_str(o, STR("id"), id);
    json_member_str(o, STR("type"), STR("function"));
    json_member_open(o, STR("function"), '{');
    json_member_str(o, STR("name"), name);
    json_member_str(o, STR("arguments"), arguments);
    json_close(o, '}');
    json_close(o, '}');
}

static struct str call_id(const struct answer_frame *f, struct str theirs, unsigned index)
{
    return theirs.n ? theirs : arena_printf(f->arena, "call_%016llx_%u", (unsigned long long)f->unique, index);
}

/* --- whole answers --- */

static bool is_part(enum block_kind kind)
{
    return kind == BLOCK_TEXT || kind == BLOCK_REFUSAL || kind == BLOCK_THINKING;
}

static struct str part_type(enum block_kind kind)
{
    return kind == BLOCK_THINKING ? STR("thinking") : STR("text");
}

static bool put_calls(struct json_out *o, const struct answer_frame *f, const struct block *blocks)
{
    unsigned n = 0;

    for (const struct block *b = blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_CALL)
            continue;
        if (!n)
            json_member_open(o, STR("tool_calls"), '[');
        put_call(o, call_id(f, b->id, n), b->name, b->arguments.n ? b->arguments : STR("{}"));
        n++;
    }
    if (n)
        json_close(o, ']');
    return n > 0;
}

static void put_content(struct json_out *o, const struct block *blocks)
{
    json_member_open(o, STR("content"), '[');
    for (const struct block *b = blocks; b; b = b->next) {
        if (!is_part(b->kind) || !b->text.n)
            continue;
        json_open(o, '{');
        json_member_str(o, STR("type"), part_type(b->kind));
        json_member_str(o, part_type(b->kind), b->text);
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void put_citations(struct json_out *o, const struct block *blocks)
{
    uint64_t part = 0;
    bool any = false;

    for (const struct block *b = blocks; b; b = b->next) {
        if (!is_part(b->kind) || !b->text.n)
            continue;
        for (const struct citation *c = b->citations; c; c = c->next) {
            if (is_told(c))
                continue;
            if (!any)
                json_member_open(o, STR("citations"), '[');
            any = true;
            cohere_put_citation(o, c, part);
        }
        part++;
    }
    if (any)
        json_close(o, ']');
}

static void put_all_logprobs(struct json_out *o, struct str raw, struct arena *arena)
{
    const struct json_tree *tree;

    if (!raw.n || json_tree_parse(arena, raw, &tree) != OK)
        return;
    json_member_open(o, STR("logprobs"), '[');
    put_logprobs(o, json_tree_root(tree), arena);
    json_close(o, ']');
}

err_t cohere_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    const struct answer_choice *c = answer_first(a);
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("id"), a->id.n ? a->id : cohere_make_id(f->unique, f->arena));
    json_member_open(&o, STR("message"), '{');
    json_member_str(&o, STR("role"), STR("assistant"));
    bool has_call = put_calls(&o, f, c->blocks);
    put_content(&o, c->blocks);
    put_citations(&o, c->blocks);
    json_close(&o, '}');
    json_member_str(&o, STR("finish_reason"), finish_name(c->finish, has_call));
    put_usage(&o, &a->usage);
    put_all_logprobs(&o, c->logprobs, f->arena);
    json_close(&o, '}');
    return buf_status(to);
}

/* --- streams --- */

/* A block of the reader's, and where the client has it. */
struct told {
    struct told *next;
    unsigned block;
    enum block_kind kind;
    unsigned index; /* among the parts, or among the calls */
    bool announced, spoke;
};

struct cohere_writer {
    struct answer_frame frame;
    struct str id;
    struct told *open; /* newest first                  */
    unsigned parts, calls, citations;
    struct usage usage;
    enum finish finish;
    bool started, over;
};
_Static_assert(sizeof(struct cohere_writer) <= COHERE_WRITER_SIZE, "the state must fit");

/* An event being written: its JSON begins at `start`. */
struct event {
    struct json_out o;
    size_t start;
};

static struct event begin_event(struct str type, struct buf *to)
{
    struct event e;

    buf_add_lit(to, "event: ");
    buf_add(to, type);
    buf_add_lit(to, "\ndata: ");
    e = (struct event){json_out_to(to), to->n};
    json_open(&e.o, '{');
    json_member_str(&e.o, STR("type"), type);
    return e;
}

static err_t end_event(struct event *e)
{
    struct buf *to = e->o.to;

    json_close(&e->o, '}');
    /* JSON that was copied as written may be spread over lines, which would end the field; within strings there are none */
    for (size_t i = e->start; i < to->n; i++)
        if (to->p[i] == '\n' || to->p[i] == '\r')
            to->p[i] = ' ';
    return buf_add_lit(to, "\n\n");
}

static struct event begin_indexed(struct str type, unsigned index, struct buf *to)
{
    struct event e = begin_event(type, to);

    json_member_u64(&e.o, STR("index"), index);
    return e;
}

/* Down to the value of `member` of the message in the delta. */
static struct event begin_delta(struct str type, unsigned index, struct str member, struct buf *to)
{
    struct event e = begin_indexed(type, index, to);

    json_member_open(&e.o, STR("delta"), '{');
    json_member_open(&e.o, STR("message"), '{');
    json_key(&e.o, member);
    return e;
}

static err_t end_delta(struct event *e)
{
    json_close(&e->o, '}');
    json_close(&e->o, '}');
    return end_event(e);
}

static err_t write_start(struct cohere_writer *w, struct str id, struct buf *to)
{
    if (w->started)
        return OK;
    w->started = true;
    w->id = id.n ? arena_str(w->frame.arena, id) : cohere_make_id(w->frame.unique, w->frame.arena);
    struct event e = begin_event(STR("message-start"), to);
    json_member_str(&e.o, STR("id"), w->id);
    json_member_raw(&e.o, STR("delta"),
                    STR("{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],"
                        "\"citations\":[]}}"));
    return end_event(&e);
}

static struct told *find_told(const struct cohere_writer *w, unsigned block)
{
    struct told *b = w->open;

    while (b && b->block != block)
        b = b->next;
    return b;
}

static err_t announce_part(struct cohere_writer *w, struct told *b, struct buf *to)
{
    struct str type = part_type(b->kind);

    if (b->announced)
        return OK;
    b->announced = true;
    b->index = w->parts++;
    struct event e = begin_delta(STR("content-start"), b->index, STR("content"), to);
    json_open(&e.o, '{');
    json_member_str(&e.o, STR("type"), type);
    json_member_str(&e.o, type, STR_NONE);
    json_close(&e.o, '}');
    return end_delta(&e);
}

static err_t announce_call(struct cohere_writer *w, struct told *b, const struct chat_event *call, struct buf *to)
{
    b->announced = true;
    b->index = w->calls++;
    struct event e = begin_delta(STR("tool-call-start"), b->index, STR("tool_calls"), to);
    put_call(&e.o, call_id(&w->frame, call->id, b->index), call->name, STR_NONE);
    return end_delta(&e);
}

static err_t open_block(struct cohere_writer *w, const struct chat_event *e, struct buf *to)
{
    bool is_call = e->block_kind == BLOCK_TOOL_CALL;

    if (!is_call && !is_part(e->block_kind))
        return OK;
    struct told *b = arena_new(w->frame.arena, struct told);
    *b = (struct told){.next = w->open, .block = e->block, .kind = e->block_kind};
    w->open = b;
    return is_call ? announce_call(w, b, e, to) : OK;
}

static err_t write_arguments(struct told *b, struct str text, struct buf *to)
{
    struct event e = begin_delta(STR("tool-call-delta"), b->index, STR("tool_calls"), to);

    b->spoke = true;
    json_open(&e.o, '{');
    json_member_open(&e.o, STR("function"), '{');
    json_member_str(&e.o, STR("arguments"), text);
    json_close(&e.o, '}');
    json_close(&e.o, '}');
    return end_delta(&e);
}

static err_t write_text(struct cohere_writer *w, struct told *b, struct str text, struct buf *to)
{
    if (b->kind == BLOCK_TOOL_CALL)
        return write_arguments(b, text, to);
    TRY(announce_part(w, b, to));
    struct event e = begin_delta(STR("content-delta"), b->index, STR("content"), to);
    json_open(&e.o, '{');
    json_member_str(&e.o, part_type(b->kind), text);
    json_close(&e.o, '}');
    return end_delta(&e);
}

static err_t write_citation(struct cohere_writer *w, struct told *b, const struct citation *c, struct buf *to)
{
    if (b->kind != BLOCK_TEXT || is_told(c))
        return OK;
    TRY(announce_part(w, b, to));
    struct event e = begin_delta(STR("citation-start"), w->citations, STR("citations"), to);
    cohere_put_citation(&e.o, c, b->index);
    TRY(end_delta(&e));
    e = begin_indexed(STR("citation-end"), w->citations++, to);
    return end_event(&e);
}

static err_t close_block(struct cohere_writer *w, struct told *b, struct buf *to)
{
    struct told **at = &w->open;
    bool is_call = b->kind == BLOCK_TOOL_CALL;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    if (!b->announced)
        return OK;
    if (is_call && !b->spoke) /* clients parse what they hear */
        TRY(write_arguments(b, STR("{}"), to));
    struct event e = begin_indexed(is_call ? STR("tool-call-end") : STR("content-end"), b->index, to);
    return end_event(&e);
}

static err_t in_block(struct cohere_writer *w, const struct chat_event *e, struct buf *to)
{
    struct told *b = find_told(w, e->block);

    if (!b)
        return OK;
    if (e->kind == CHAT_TEXT)
        return write_text(w, b, e->text, to);
    return e->kind == CHAT_CITATION ? write_citation(w, b, e->citation, to) : close_block(w, b, to);
}

/* Of the text before them: a delta of their own, that adds nothing to it. */
static err_t write_logprobs(struct cohere_writer *w, const struct chat_event *e, struct buf *to)
{
    const struct json_tree *tree;

    if (!w->parts || json_tree_parse(w->frame.arena, e->text, &tree) != OK)
        return OK;
    struct event out = begin_delta(STR("content-delta"), w->parts - 1, STR("content"), to);
    json_open(&out.o, '{');
    json_member_str(&out.o, STR("text"), STR_NONE);
    json_close(&out.o, '}');
    json_close(&out.o, '}');
    json_close(&out.o, '}');
    json_key(&out.o, STR("logprobs"));
    put_logprobs(&out.o, json_tree_root(tree), w->frame.arena);
    return end_event(&out);
}

static err_t write_end(struct cohere_writer *w, struct str reason, struct str error, struct buf *to)
{
    w->over = true;
    TRY(write_start(w, STR_NONE, to));
    struct event e = begin_event(STR("message-end"), to);
    json_member_str(&e.o, STR("id"), w->id);
    json_member_open(&e.o, STR("delta"), '{');
    json_member_str(&e.o, STR("finish_reason"), reason);
    put_usage(&e.o, &w->usage);
    json_key(&e.o, STR("error"));
    if (error.p)
        json_put_str(&e.o, error);
    else
        json_put_null(&e.o);
    json_close(&e.o, '}');
    return end_event(&e);
}

err_t cohere_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    (void)to; /* message-start waits for the provider's first word: until then the answer may still become an error */
    *(struct cohere_writer *)state = (struct cohere_writer){.frame = *f};
    return OK;
}

err_t cohere_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct cohere_writer *w = state;

    if (w->over || e->choice != 0)
        return OK;
    switch (e->kind) {
    case CHAT_START:
        return write_start(w, e->id, to);
    case CHAT_BLOCK_START:
        return open_block(w, e, to);
    case CHAT_TEXT:
    case CHAT_CITATION:
    case CHAT_BLOCK_STOP:
        return in_block(w, e, to);
    case CHAT_SIGNATURE:
        return OK; /* no place for them */
    case CHAT_LOGPROBS:
        return write_logprobs(w, e, to);
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        w->finish = e->finish;
        return OK;
    case CHAT_END:
        return write_end(w, finish_name(w->finish, w->calls > 0), STR_NONE, to);
    case CHAT_ERROR:
        return write_end(w, STR("ERROR"), e->error->message.p ? e->error->message : STR(""), to);
    }
    return OK;
}

/* Parts that the client has seen begin and end, by the provider's index. What comes behind an end needs a part of its own. */
err_t cohere_writer_follow(void *state, const struct frame *f, struct arena *scratch)
{
    struct cohere_writer *w = state;
    struct str type = json_find(f->data, STR("type"));
    bool begins = json_string_is(type, STR("content-start")), ends = json_string_is(type, STR("content-end"));
    uint64_t index;

    (void)scratch;
    if ((!begins && !ends) || !json_to_u64(json_find(f->data, STR("index")), &index) || index >= UINT32_MAX)
        return OK;
    w->parts = (unsigned)index + 1;
    if (w->open && is_part(w->open->kind)) {
        w->open->announced = begins;
        w->open->index = (unsigned)index;
    }
    return OK;
}

/* --- models --- */

static void put_model(struct json_out *o, const struct model_card *card)
{
    json_open(o, '{');
    json_member_str(o, STR("name"), card->id);
    json_member_raw(o, STR("endpoints"), STR("[\"chat\",\"embed\",\"rerank\"]"));
    json_member_bool(o, STR("finetuned"), false);
    json_member_bool(o, STR("is_deprecated"), false);
    json_member_raw(o, STR("default_endpoints"), STR("[]"));
    json_close(o, '}');
}

err_t cohere_write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    put_model(&o, card);
    return buf_status(to);
}

err_t cohere_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_member_open(&o, STR("models"), '[');
    for (size_t i = 0; i < n; i++)
        put_model(&o, &cards[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

/* --- errors --- */

static void put_error(const struct translation *t, struct str message, struct str param, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("id"), cohere_make_id(t->unique, t->arena));
    if (param.n)
        message = arena_printf(t->arena, "%.*s (at %.*s)", STR_ARG(message), STR_ARG(param));
    json_member_str(&o, STR("message"), message);
    json_close(&o, '}');
}

/* There is no member for the field at fault, so the words name it. */
void cohere_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2])
{
    enum error_class class = error_class_of(e);
    size_t before = to->n;

    (void)ret_headers;
    put_error(t, e->message, e->param, to);
    if (buf_status(to) != OK) { /* words that are too long for the room */
        to->n = before;
        to->overflow = false;
        put_error(t, STR("the request failed"), STR_NONE, to);
    }
    *ret_status = error_status_of(class);
    if (class == ERROR_UPSTREAM && e->status >= 500 && e->status <= 599)
        *ret_status = e->status;
}
