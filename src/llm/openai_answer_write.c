/*
 * openai_answer_write.c - an answer for a client of Chat Completions, whole or as a stream of chunks.
 *
 * Streams: a chunk with the role comes first in each choice; calls get indices of their own, counted from 0; a call without arguments says "{}", since
 * clients parse what they get; the finish comes when its event does, which is after all content; then, if the client asked, the chunk with the usage;
 * then [DONE], which nothing but a whole answer gets. An error ends the stream instead, in a chunk of its own.
 *
 * Thoughts are told under both names that clients look for. If they are signed, they are told once more with their signature in reasoning_details when
 * the thought ends, so that a client which sends those back can go on thinking with the model that made them. A client that knows only the
 * old functions hears of its calls as function_call.
 */
#include "base/utf8.h"
#include "llm/openai_error.h"
#include "llm/openai_int.h"
#include "llm/signature.h"
#include "llm/tool_args.h"

#include <assert.h>

enum { KEPT_MAX = 64 * 1024 * 1024 };

/* --- shared by whole answers and streams --- */

struct str openai_finish_name(enum finish f, bool refused_in_words)
{
    switch (f) {
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
        return STR("stop");
    case FINISH_LENGTH:
    case FINISH_CONTEXT:
        return STR("length");
    case FINISH_TOOL_CALLS:
        return STR("tool_calls");
    case FINISH_REFUSAL:
        return refused_in_words ? STR("stop") : STR("content_filter");
    case FINISH_FILTER:
        return STR("content_filter");
    }
    return STR("stop");
}

void openai_put_usage(struct json_out *o, const struct usage *u)
{
    json_open(o, '{');
    json_member_u64(o, STR("prompt_tokens"), u->input);
    json_member_u64(o, STR("completion_tokens"), u->output);
    json_member_u64(o, STR("total_tokens"), u->input + u->output);
    json_member_open(o, STR("prompt_tokens_details"), '{');
    json_member_u64(o, STR("cached_tokens"), u->cached_input);
    json_member_u64(o, STR("cache_write_tokens"), u->cache_write);
    json_member_u64(o, STR("audio_tokens"), u->audio_input);
    json_close(o, '}');
    json_member_open(o, STR("completion_tokens_details"), '{');
    json_member_u64(o, STR("reasoning_tokens"), u->reasoning);
    json_member_u64(o, STR("audio_tokens"), u->audio_output);
    json_close(o, '}');
    json_close(o, '}');
}

struct str openai_make_id(const struct answer_frame *f, const char *prefix, uint64_t n)
{
    return arena_printf(f->arena, "%s%016llx%016llx", prefix, (unsigned long long)f->unique,
                        (unsigned long long)((f->unique * 0x9e3779b97f4a7c15U) ^ n));
}

void openai_put_citation(struct json_out *o, const struct citation *c, bool nested, int64_t before)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("url_citation"));
    if (nested)
        json_member_open(o, STR("url_citation"), '{');
    json_member_i64(o, STR("start_index"), c->start >= 0 ? c->start + before : 0);
    json_member_i64(o, STR("end_index"), c->end >= 0 ? c->end + before : 0);
    json_member_str(o, STR("url"), c->url);
    json_member_str(o, STR("title"), c->title);
    if (nested)
        json_close(o, '}');
    json_close(o, '}');
}

bool openai_is_custom(const struct chat_request *q, struct str name)
{
    for (const struct tool *t = q ? q->tools : NULL; t; t = t->next)
        if (t->kind == TOOL_CUSTOM && str_eq(t->name, name))
            return true;
    return false;
}

/* Did the client use only the old functions? */
static bool is_legacy(const struct chat_request *q)
{
    if (!q || !q->document)
        return false;
    struct json_node root = json_tree_root(q->document);
    return json_node_is_set(json_node_get(root, STR("functions"))) &&
           !json_node_is_set(json_node_get(root, STR("tools")));
}

static bool shows_thoughts(const struct chat_request *q)
{
    return !q || q->reasoning.show != NO;
}

/* An id as clients of this API expect it. */
static struct str answer_id(const struct answer_frame *f, struct str provider_id)
{
    if (str_starts(provider_id, STR("chatcmpl-")) || (f->follows && provider_id.n))
        return arena_str(f->arena, provider_id);
    return openai_make_id(f, "chatcmpl-", 0);
}

/* One entry of reasoning_details; of an encrypted thought `text` is the blob. */
static void put_detail(struct json_out *o, struct arena *arena, unsigned index, bool encrypted, struct str text,
                       struct str signature, enum signer signer)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), encrypted ? STR("reasoning.encrypted") : STR("reasoning.text"));
    json_member_str(o, encrypted ? STR("data") : STR("text"),
                    encrypted ? signature_wrap(signer, SIGNER_OPENAI, text, arena) : text);
    if (signature.n)
        json_member_str(o, STR("signature"), signature_wrap(signer, SIGNER_OPENAI, signature, arena));
    json_member_str(o, STR("format"), openai_format(signer));
    json_member_u64(o, STR("index"), index);
    json_close(o, '}');
}

static void put_google_signature(struct json_out *o, struct arena *arena, struct str signature, enum signer signer)
{
    json_member_open(o, STR("extra_content"), '{');
    json_member_open(o, STR("google"), '{');
    json_member_str(o, STR("thought_signature"), signature_wrap(signer, SIGNER_GOOGLE, signature, arena));
    json_close(o, '}');
    json_close(o, '}');
}

static void put_image(struct json_out *o, const struct media *m, struct arena *arena)
{
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("image_url"));
    json_member_open(o, STR("image_url"), '{');
    json_member_str(o, STR("url"), openai_media_url(m, arena));
    json_close(o, '}');
    json_close(o, '}');
}

/* --- whole answers --- */

struct whole {
    const struct answer_frame *f;
    struct json_out o;
    bool legacy;
};

static bool has(const struct answer_choice *c, enum block_kind kind)
{
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == kind)
            return true;
    return false;
}

/* The text of all blocks of a kind, or null if there is none. */
static void put_joined(struct whole *w, const struct answer_choice *c, enum block_kind kind)
{
    if (!has(c, kind)) {
        json_put_null(&w->o);
        return;
    }
    json_put_raw(&w->o, STR("\""));
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == kind)
            buf_add_json(w->o.to, b->text);
    buf_add_char(w->o.to, '"');
}

static void put_annotations(struct whole *w, const struct answer_choice *c)
{
    int64_t before = 0;

    json_member_open(&w->o, STR("annotations"), '[');
    for (const struct block *b = c->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TEXT)
            continue;
        for (const struct citation *at = b->citations; at; at = at->next)
            if (openai_has_citation(at))
                openai_put_citation(&w->o, at, true, before);
        before += utf8_count(b->text);
    }
    json_close(&w->o, ']');
}

static void put_details(struct whole *w, const struct answer_choice *c)
{
    unsigned n = 0;
    bool needed = has(c, BLOCK_REDACTED);

    for (const struct block *b = c->blocks; b; b = b->next)
        needed = needed || (b->kind == BLOCK_THINKING && b->signature.n);
    if (!needed)
        return;
    json_member_open(&w->o, STR("reasoning_details"), '[');
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == BLOCK_THINKING || b->kind == BLOCK_REDACTED)
            put_detail(&w->o, w->f->arena, n++, b->kind == BLOCK_REDACTED, b->text, b->signature, b->signer);
    json_close(&w->o, ']');
}

static void put_thoughts(struct whole *w, const struct answer_choice *c)
{
    if (!shows_thoughts(w->f->request))
        return;
    if (has(c, BLOCK_THINKING)) {
        json_key(&w->o, STR("reasoning_content"));
        put_joined(w, c, BLOCK_THINKING);
        json_key(&w->o, STR("reasoning"));
        put_joined(w, c, BLOCK_THINKING);
    }
    put_details(w, c);
}

static void put_call(struct whole *w, const struct block *b)
{
    struct json_out *o = &w->o;
    bool custom = b->custom || openai_is_custom(w->f->request, b->name);
    struct str input = custom && !b->custom ? tool_args_to_text(b->arguments, w->f->arena) : b->arguments;

    json_open(o, '{');
    json_member_str(o, STR("id"), b->id);
    json_member_str(o, STR("type"), custom ? STR("custom") : STR("function"));
    json_member_open(o, custom ? STR("custom") : STR("function"), '{');
    json_member_str(o, STR("name"), b->name);
    json_member_str(o, custom ? STR("input") : STR("arguments"), custom || input.n ? input : STR("{}"));
    json_close(o, '}');
    if (b->signature.n)
        put_google_signature(o, w->f->arena, b->signature, b->signer);
    json_close(o, '}');
}

static void put_calls(struct whole *w, const struct answer_choice *c)
{
    if (!has(c, BLOCK_TOOL_CALL))
        return;
    if (!w->legacy)
        json_member_open(&w->o, STR("tool_calls"), '[');
    for (const struct block *b = c->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_CALL)
            continue;
        if (!w->legacy) {
            put_call(w, b);
            continue;
        }
        json_member_open(&w->o, STR("function_call"), '{'); /* which has room for one */
        json_member_str(&w->o, STR("name"), b->name);
        json_member_str(&w->o, STR("arguments"), b->arguments.n ? b->arguments : STR("{}"));
        json_close(&w->o, '}');
        return;
    }
    json_close(&w->o, ']');
}

static void put_audio(struct whole *w, const struct answer_choice *c)
{
    for (const struct block *b = c->blocks; b; b = b->next) {
        if (b->kind != BLOCK_AUDIO)
            continue;
        json_member_open(&w->o, STR("audio"), '{');
        json_member_str(&w->o, STR("id"), b->id.n ? b->id : openai_make_id(w->f, "audio_", 1));
        json_member_str(&w->o, STR("data"), b->media.data);
        json_member_i64(&w->o, STR("expires_at"), w->f->created);
        json_member_str(&w->o, STR("transcript"), blocks_text(c->blocks, STR_NONE, w->f->arena));
        json_close(&w->o, '}');
        return;
    }
}

static void put_images(struct whole *w, const struct answer_choice *c)
{
    if (!has(c, BLOCK_IMAGE))
        return;
    json_member_open(&w->o, STR("images"), '[');
    for (const struct block *b = c->blocks; b; b = b->next)
        if (b->kind == BLOCK_IMAGE)
            put_image(&w->o, &b->media, w->f->arena);
    json_close(&w->o, ']');
}

static void put_message(struct whole *w, const struct answer_choice *c)
{
    struct json_out *o = &w->o;
    bool nothing = !c->blocks;

    json_member_open(o, STR("message"), '{');
    json_member_str(o, STR("role"), STR("assistant"));
    json_key(o, STR("content"));
    if (nothing)
        json_put_str(o, STR_NONE);
    else
        put_joined(w, c, BLOCK_TEXT);
    json_key(o, STR("refusal"));
    put_joined(w, c, BLOCK_REFUSAL);
    put_annotations(w, c);
    put_thoughts(w, c);
    put_calls(w, c);
    put_audio(w, c);
    put_images(w, c);
    for (const struct block *b = c->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TEXT || !b->signature.n)
            continue;
        put_google_signature(o, w->f->arena, b->signature, b->signer);
        break;
    }
    json_close(o, '}');
}

static struct str finish_word(enum finish f, bool refused, bool legacy)
{
    return legacy && f == FINISH_TOOL_CALLS ? STR("function_call") : openai_finish_name(f, refused);
}

static void put_choice(struct whole *w, const struct answer_choice *c, size_t index)
{
    struct json_out *o = &w->o;

    json_open(o, '{');
    json_member_u64(o, STR("index"), index);
    put_message(w, c);
    if (c->logprobs.n) {
        json_member_open(o, STR("logprobs"), '{');
        json_member_raw(o, STR("content"), c->logprobs);
        json_member_null(o, STR("refusal"));
        json_close(o, '}');
    } else {
        json_member_null(o, STR("logprobs"));
    }
    json_member_str(o, STR("finish_reason"), finish_word(c->finish, has(c, BLOCK_REFUSAL), w->legacy));
    json_close(o, '}');
}

/* The client's types list the tiers, so another vendor's word is left out. */
static void put_tier(struct json_out *o, struct str tier)
{
    struct str ours = openai_tier(tier);

    if (ours.n)
        json_member_str(o, STR("service_tier"), ours);
}

err_t openai_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to)
{
    struct whole w = {f, json_out_to(to), is_legacy(f->request)};
    struct json_out *o = &w.o;

    json_open(o, '{');
    json_member_str(o, STR("id"), answer_id(f, a->id));
    json_member_str(o, STR("object"), STR("chat.completion"));
    json_member_i64(o, STR("created"), f->created);
    json_member_str(o, STR("model"), f->model);
    put_tier(o, a->service_tier);
    json_member_open(o, STR("choices"), '[');
    for (size_t i = 0; i < a->choice_count; i++)
        put_choice(&w, &a->choices[i], i);
    json_close(o, ']');
    if (a->usage.known) {
        json_key(o, STR("usage"));
        openai_put_usage(o, &a->usage);
    }
    json_close(o, '}');
    return buf_status(to);
}

/* --- streams --- */

struct open_block {
    struct open_block *next;
    unsigned block;
    enum block_kind kind;
    unsigned index;  /* calls: among the choice's calls; thoughts: among its details */
    bool custom;     /* a call of a tool of free text                              */
    bool unwrap;     /* which came as a function's argument                        */
    bool any;        /* something was said                                         */
    bool is_dropped; /* a second call, where there is room for one                 */
    struct buf kept; /* a thought, or arguments to be unwrapped                    */
    struct str signature;
    enum signer signer;
};

struct stream_choice {
    bool role_sent, refused;
    unsigned calls, details;
    int64_t before, characters; /* of its text: before the block that is open, and in all; for citations */
    struct open_block *open;
};

struct openai_answer_writer {
    struct answer_frame f;
    struct str head; /* of each chunk: {"id":…,"model":… */
    bool include_usage, legacy, thoughts, over;
    struct usage usage;
    struct stream_choice *choices[ANSWER_CHOICES_MAX];
    struct open_block *spare;
};

_Static_assert(sizeof(struct openai_answer_writer) <= OPENAI_WRITER_SIZE, "the state must fit");

static void release_block(void *obj)
{
    struct open_block *b = obj;

    buf_release(&b->kept);
}

static struct open_block *new_block(struct openai_answer_writer *w)
{
    struct open_block *b = w->spare;

    if (b) {
        w->spare = b->next;
        buf_clear(&b->kept);
        *b = (struct open_block){.kept = b->kept};
        return b;
    }
    b = arena_new(w->f.arena, struct open_block);
    buf_init(&b->kept, KEPT_MAX);
    arena_hold(w->f.arena, b, release_block);
    return b;
}

static struct stream_choice *choice_of(struct openai_answer_writer *w, unsigned n)
{
    assert(n < ANSWER_CHOICES_MAX);
    if (!w->choices[n])
        w->choices[n] = arena_new(w->f.arena, struct stream_choice);
    return w->choices[n];
}

static struct open_block *find_block(const struct stream_choice *c, unsigned block)
{
    struct open_block *b = c->open;

    while (b && b->block != block)
        b = b->next;
    return b;
}

/* A chunk up to the inside of its delta. */
static struct json_out open_chunk(struct openai_answer_writer *w, unsigned choice, struct buf *to)
{
    struct json_out o = json_out_to(to);

    buf_add_lit(to, "data: ");
    buf_add(to, w->head);
    buf_add_lit(to, ",\"choices\":[{\"index\":");
    buf_add_u64(to, choice);
    buf_add_lit(to, ",\"delta\":{");
    return o;
}

static err_t close_chunk(struct openai_answer_writer *w, struct buf *to, struct str logprobs, struct str finish)
{
    buf_add_lit(to, "},\"logprobs\":");
    if (logprobs.n)
        buf_addf(to, "{\"content\":%.*s,\"refusal\":null}", STR_ARG(logprobs));
    else
        buf_add_lit(to, "null");
    buf_add_lit(to, ",\"finish_reason\":");
    if (finish.n)
        buf_addf(to, "\"%.*s\"", STR_ARG(finish));
    else
        buf_add_lit(to, "null");
    buf_add_lit(to, "}]");
    if (w->include_usage)
        buf_add_lit(to, ",\"usage\":null");
    return buf_add_lit(to, "}\n\n");
}

static err_t end_chunk(struct openai_answer_writer *w, struct buf *to)
{
    return close_chunk(w, to, STR_NONE, STR_NONE);
}

/* The first chunk of a choice; `calls`: it begins with a call, so there is no content yet. */
static err_t send_role(struct openai_answer_writer *w, unsigned choice, bool calls, struct buf *to)
{
    struct stream_choice *c = choice_of(w, choice);

    if (c->role_sent)
        return OK;
    c->role_sent = true;
    struct json_out o = open_chunk(w, choice, to);
    json_member_str(&o, STR("role"), STR("assistant"));
    json_key(&o, STR("content"));
    if (calls)
        json_put_null(&o);
    else
        json_put_str(&o, STR_NONE);
    json_member_null(&o, STR("refusal"));
    return end_chunk(w, to);
}

/* A chunk that says more of a call: its arguments or input. */
static err_t send_arguments(struct openai_answer_writer *w, unsigned choice, const struct open_block *b,
                            struct str piece, struct buf *to)
{
    struct json_out o = open_chunk(w, choice, to);

    if (w->legacy) {
        json_member_open(&o, STR("function_call"), '{');
        json_member_str(&o, STR("arguments"), piece);
        json_close(&o, '}');
        return end_chunk(w, to);
    }
    json_member_open(&o, STR("tool_calls"), '[');
    json_open(&o, '{');
    json_member_u64(&o, STR("index"), b->index);
    json_member_open(&o, b->custom ? STR("custom") : STR("function"), '{');
    json_member_str(&o, b->custom ? STR("input") : STR("arguments"), piece);
    json_close(&o, '}');
    json_close(&o, '}');
    json_close(&o, ']');
    return end_chunk(w, to);
}

static err_t start_call(struct openai_answer_writer *w, const struct chat_event *e, struct open_block *b,
                        struct buf *to)
{
    struct stream_choice *c = choice_of(w, e->choice);

    b->index = c->calls++;
    b->unwrap = !e->custom && openai_is_custom(w->f.request, e->name);
    b->custom = e->custom || b->unwrap;
    b->is_dropped = w->legacy && b->index > 0;
    if (b->is_dropped)
        return OK;
    struct json_out o = open_chunk(w, e->choice, to);
    if (w->legacy) {
        json_member_open(&o, STR("function_call"), '{');
    } else {
        json_member_open(&o, STR("tool_calls"), '[');
        json_open(&o, '{');
        json_member_u64(&o, STR("index"), b->index);
        json_member_str(&o, STR("id"), e->id);
        json_member_str(&o, STR("type"), b->custom ? STR("custom") : STR("function"));
        json_member_open(&o, b->custom ? STR("custom") : STR("function"), '{');
    }
    json_member_str(&o, STR("name"), e->name);
    json_member_str(&o, b->custom ? STR("input") : STR("arguments"), STR_NONE);
    json_close(&o, '}');
    if (!w->legacy) {
        json_close(&o, '}');
        json_close(&o, ']');
    }
    return end_chunk(w, to);
}

static err_t send_detail(struct openai_answer_writer *w, unsigned choice, bool encrypted, struct str text,
                         const struct open_block *b, struct buf *to)
{
    struct json_out o = open_chunk(w, choice, to);

    json_member_open(&o, STR("reasoning_details"), '[');
    put_detail(&o, w->f.arena, choice_of(w, choice)->details++, encrypted, text, b->signature, b->signer);
    json_close(&o, ']');
    return end_chunk(w, to);
}

static err_t send_media(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    struct json_out o = open_chunk(w, e->choice, to);

    if (e->block_kind == BLOCK_IMAGE) {
        json_member_open(&o, STR("images"), '[');
        put_image(&o, e->media, w->f.arena);
        json_close(&o, ']');
        return end_chunk(w, to);
    }
    json_member_open(&o, STR("audio"), '{');
    if (e->id.n)
        json_member_str(&o, STR("id"), e->id);
    json_member_str(&o, STR("data"), e->media->data);
    json_close(&o, '}');
    return end_chunk(w, to);
}

static err_t start_block(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    struct stream_choice *c = choice_of(w, e->choice);
    struct open_block *b = new_block(w);

    TRY(send_role(w, e->choice, e->block_kind == BLOCK_TOOL_CALL, to));
    b->block = e->block;
    b->kind = e->block_kind;
    b->signer = e->signer;
    b->next = c->open;
    c->open = b;
    if (b->kind == BLOCK_TOOL_CALL)
        return start_call(w, e, b, to);
    if (b->kind == BLOCK_REDACTED && w->thoughts)
        return send_detail(w, e->choice, true, e->text, b, to);
    if ((b->kind == BLOCK_IMAGE || b->kind == BLOCK_AUDIO) && e->media)
        return send_media(w, e, to);
    c->refused = c->refused || b->kind == BLOCK_REFUSAL;
    if (b->kind == BLOCK_TEXT)
        c->before = c->characters;
    return OK;
}

static err_t send_thought(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    if (!w->thoughts)
        return OK;
    struct json_out o = open_chunk(w, e->choice, to);
    json_member_str(&o, STR("reasoning_content"), e->text);
    json_member_str(&o, STR("reasoning"), e->text);
    return end_chunk(w, to);
}

static err_t send_text(struct openai_answer_writer *w, const struct chat_event *e, struct open_block *b, struct buf *to)
{
    b->any = true;
    if (b->kind == BLOCK_TOOL_CALL) {
        if (b->unwrap)
            return buf_add(&b->kept, e->text);
        return b->is_dropped ? OK : send_arguments(w, e->choice, b, e->text, to);
    }
    if (b->kind == BLOCK_THINKING) {
        TRY(buf_add(&b->kept, e->text));
        return send_thought(w, e, to);
    }
    if (b->kind == BLOCK_TEXT)
        choice_of(w, e->choice)->characters += utf8_count(e->text);
    struct json_out o = open_chunk(w, e->choice, to);
    json_member_str(&o, b->kind == BLOCK_REFUSAL ? STR("refusal") : STR("content"), e->text);
    return end_chunk(w, to);
}

/* A thought's is told with its text when it ends; of calls and texts at once. */
static err_t send_signature(struct openai_answer_writer *w, const struct chat_event *e, struct open_block *b,
                            struct buf *to)
{
    b->signature = arena_str(w->f.arena, e->text);
    b->signer = e->signer;
    if (b->kind == BLOCK_THINKING || b->is_dropped || w->legacy)
        return OK;
    struct json_out o = open_chunk(w, e->choice, to);
    if (b->kind == BLOCK_TOOL_CALL) {
        json_member_open(&o, STR("tool_calls"), '[');
        json_open(&o, '{');
        json_member_u64(&o, STR("index"), b->index);
        /* OpenAI's own accumulator fails on a call's delta without its function. */
        json_member_open(&o, b->custom ? STR("custom") : STR("function"), '{');
        json_member_str(&o, b->custom ? STR("input") : STR("arguments"), STR_NONE);
        json_close(&o, '}');
        put_google_signature(&o, w->f.arena, b->signature, b->signer);
        json_close(&o, '}');
        json_close(&o, ']');
    } else {
        put_google_signature(&o, w->f.arena, b->signature, b->signer);
    }
    return end_chunk(w, to);
}

static err_t send_citation(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    if (!openai_has_citation(e->citation))
        return OK;
    struct json_out o = open_chunk(w, e->choice, to);
    json_member_open(&o, STR("annotations"), '[');
    openai_put_citation(&o, e->citation, true, choice_of(w, e->choice)->before);
    json_close(&o, ']');
    return end_chunk(w, to);
}

static err_t stop_block(struct openai_answer_writer *w, const struct chat_event *e, struct open_block *b,
                        struct buf *to)
{
    struct stream_choice *c = choice_of(w, e->choice);
    struct open_block **at = &c->open;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    b->next = w->spare;
    w->spare = b;
    if (b->kind == BLOCK_THINKING && b->signature.n && w->thoughts)
        return send_detail(w, e->choice, false, buf_str(&b->kept), b, to);
    if (b->kind != BLOCK_TOOL_CALL || b->is_dropped)
        return OK;
    if (b->unwrap)
        return send_arguments(w, e->choice, b, tool_args_to_text(buf_str(&b->kept), w->f.arena), to);
    return b->any || b->custom ? OK : send_arguments(w, e->choice, b, STR("{}"), to);
}

static err_t finish(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    struct stream_choice *c = choice_of(w, e->choice);

    TRY(send_role(w, e->choice, false, to));
    (void)open_chunk(w, e->choice, to);
    return close_chunk(w, to, STR_NONE, finish_word(e->finish, c->refused, w->legacy));
}

static err_t end(struct openai_answer_writer *w, struct buf *to)
{
    w->over = true;
    if (w->include_usage && w->usage.known) {
        buf_add_lit(to, "data: ");
        buf_add(to, w->head);
        buf_add_lit(to, ",\"choices\":[],\"usage\":");
        struct json_out o = json_out_to(to);
        openai_put_usage(&o, &w->usage);
        buf_add_lit(to, "}\n\n");
    }
    return buf_add_lit(to, "data: [DONE]\n\n");
}

static err_t begin(struct openai_answer_writer *w, const struct chat_event *e)
{
    struct buf head CLEANUP(buf_release) = BUF_INIT(64 * 1024);
    struct json_out o = json_out_to(&head);

    answer_frame_follow(&w->f, e);
    json_open(&o, '{');
    json_member_str(&o, STR("id"), answer_id(&w->f, e->id));
    json_member_str(&o, STR("object"), STR("chat.completion.chunk"));
    json_member_i64(&o, STR("created"), w->f.created);
    json_member_str(&o, STR("model"), w->f.model);
    put_tier(&o, e->service_tier);
    w->head = arena_str(w->f.arena, buf_str(&head));
    return buf_status(&head);
}

static err_t send_logprobs(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    TRY(send_role(w, e->choice, false, to));
    (void)open_chunk(w, e->choice, to);
    return close_chunk(w, to, e->text, STR_NONE);
}

err_t openai_writer_begin(void *state, const struct answer_frame *f, struct buf *to)
{
    struct openai_answer_writer *w = state;

    (void)to;
    w->f = *f;
    w->include_usage = f->request && f->request->include_usage;
    w->legacy = is_legacy(f->request);
    w->thoughts = shows_thoughts(f->request);
    return OK;
}

static err_t in_block(struct openai_answer_writer *w, const struct chat_event *e, struct buf *to)
{
    struct open_block *b = find_block(choice_of(w, e->choice), e->block);

    if (!b)
        return fail(E_PROTOCOL, "an event for a block that is not open");
    if (e->kind == CHAT_TEXT)
        return send_text(w, e, b, to);
    if (e->kind == CHAT_SIGNATURE)
        return send_signature(w, e, b, to);
    return stop_block(w, e, b, to);
}

err_t openai_writer_event(void *state, const struct chat_event *e, struct buf *to)
{
    struct openai_answer_writer *w = state;

    if (w->over)
        return OK;
    switch (e->kind) {
    case CHAT_START:
        return begin(w, e);
    case CHAT_BLOCK_START:
        return start_block(w, e, to);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_BLOCK_STOP:
        return in_block(w, e, to);
    case CHAT_CITATION:
        return send_citation(w, e, to);
    case CHAT_LOGPROBS:
        return send_logprobs(w, e, to);
    case CHAT_USAGE:
        w->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        return finish(w, e, to);
    case CHAT_END:
        return end(w, to);
    case CHAT_ERROR:
        w->over = true;
        struct api_error error = openai_error_of(e->error);
        openai_error_event(&error, false, 0, to);
        return buf_status(to);
    }
    return OK;
}
