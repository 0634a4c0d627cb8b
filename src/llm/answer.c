/*
 * answer.c - gathers events into a whole answer, and tells a whole answer as events.
 *
 * A block's text grows in a buf of its own and is copied into the arena when the block stops. The order of events is checked as they come:
 * a reader that breaks it is a bug of ours, which must not become a wrong answer.
 */
#include "llm/answer.h"

#include "base/buf.h"

enum { TEXT_MAX = 512 * 1024 * 1024 };

struct open_block {
    struct open_block *next;
    unsigned number;
    struct block *block;
    struct buf text;
};

struct open_choice {
    struct open_block *open;
    struct block **last; /* where the next block is linked */
    unsigned started;    /* blocks                         */
    struct buf logprobs;
};

struct answer_builder {
    struct arena *arena;
    struct answer *to;
    struct open_choice *choices[ANSWER_CHOICES_MAX];
    struct api_error *error;
    bool started;
};

static err_t disorder(const char *what)
{
    return fail(E_PROTOCOL, "events of an answer out of order: %s", what);
}

static void release_open(void *obj)
{
    struct open_block *b = obj;

    buf_release(&b->text);
}

static void release_choice(void *obj)
{
    struct open_choice *c = obj;

    buf_release(&c->logprobs);
}

struct answer_builder *answer_builder_new(struct arena *arena, struct answer *ret)
{
    struct answer_builder *b = arena_new(arena, struct answer_builder);

    *ret = (struct answer){.choices = arena_zalloc(arena, ANSWER_CHOICES_MAX * sizeof *ret->choices)};
    b->arena = arena;
    b->to = ret;
    return b;
}

const struct api_error *answer_error(const struct answer_builder *b)
{
    return b->error;
}

/* --- choices and blocks --- */

static err_t choice_of(struct answer_builder *b, unsigned n, struct open_choice **ret)
{
    if (n >= ANSWER_CHOICES_MAX)
        return fail(E_TOO_LARGE, "an answer has more than %d choices", ANSWER_CHOICES_MAX);
    while (b->to->choice_count <= n) {
        struct open_choice *c = arena_new(b->arena, struct open_choice);
        size_t at = b->to->choice_count++;
        c->last = &b->to->choices[at].blocks;
        buf_init(&c->logprobs, TEXT_MAX);
        arena_hold(b->arena, c, release_choice);
        b->choices[at] = c;
    }
    *ret = b->choices[n];
    return OK;
}

static struct open_block *find_open(struct answer_builder *b, const struct chat_event *e)
{
    if (e->choice >= b->to->choice_count)
        return NULL;
    for (struct open_block *o = b->choices[e->choice]->open; o; o = o->next)
        if (o->number == e->block)
            return o;
    return NULL;
}

static err_t start_block(struct answer_builder *b, const struct chat_event *e)
{
    struct open_choice *c;

    TRY(choice_of(b, e->choice, &c));
    if (e->block != c->started)
        return disorder("a block's number is not the next");
    if (b->to->choices[e->choice].finished)
        return disorder("a block after the choice's finish");
    struct open_block *o = arena_new(b->arena, struct open_block);
    struct block *block = arena_new(b->arena, struct block);
    *o = (struct open_block){.next = c->open, .number = e->block, .block = block};
    buf_init(&o->text, TEXT_MAX);
    arena_hold(b->arena, o, release_open);
    c->open = o;
    c->started++;
    *c->last = block;
    c->last = &block->next;
    block->kind = e->block_kind;
    block->id = arena_str(b->arena, e->id);
    block->name = arena_str(b->arena, e->name);
    block->custom = e->custom;
    block->signer = e->signer;
    block->of = e->of;
    if (e->raw.n)
        block->raw = arena_str(b->arena, e->raw);
    if (e->media) {
        block->media = *e->media;
        block->media.data = arena_str(b->arena, e->media->data);
        block->media.type = arena_str(b->arena, e->media->type);
        block->media.name = arena_str(b->arena, e->media->name);
        block->signature = arena_str(b->arena, e->text);
        return OK;
    }
    return buf_add(&o->text, e->text);
}

static struct citation *copy_citation(struct arena *a, const struct citation *c)
{
    struct citation *to = arena_new(a, struct citation);

    *to = *c;
    to->next = NULL;
    to->url = arena_str(a, c->url);
    to->title = arena_str(a, c->title);
    to->cited_text = arena_str(a, c->cited_text);
    to->document_id = arena_str(a, c->document_id);
    to->raw = arena_str(a, c->raw);
    return to;
}

static void add_citation(struct answer_builder *b, struct block *block, const struct citation *c)
{
    struct citation **at = &block->citations;

    while (*at)
        at = &(*at)->next;
    *at = copy_citation(b->arena, c);
}

static void stop_block(struct answer_builder *b, const struct chat_event *e, struct open_block *o)
{
    struct open_block **at = &b->choices[e->choice]->open;
    struct str text = arena_str(b->arena, buf_str(&o->text));

    if (o->block->kind == BLOCK_TOOL_CALL)
        o->block->arguments = text;
    else
        o->block->text = text;
    buf_release(&o->text);
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
}

/* OpenAI's arrays of logprobs, one after the other, as one. */
static err_t add_logprobs(struct answer_builder *b, const struct chat_event *e)
{
    struct open_choice *c;
    struct str inside = str_trim(e->text);

    TRY(choice_of(b, e->choice, &c));
    if (inside.n < 2 || inside.p[0] != '[')
        return OK;
    inside = str_slice(inside, 1, inside.n - 1);
    if (inside.n && c->logprobs.n)
        buf_add_char(&c->logprobs, ',');
    return buf_add(&c->logprobs, inside);
}

/* --- the rest of an answer --- */

static err_t start(struct answer_builder *b, const struct chat_event *e)
{
    if (b->started)
        return disorder("a second start");
    b->started = true;
    b->to->id = arena_str(b->arena, e->id);
    b->to->model = arena_str(b->arena, e->model);
    b->to->created = e->created;
    if (e->service_tier.n)
        b->to->service_tier = arena_str(b->arena, e->service_tier);
    return OK;
}

static err_t finish(struct answer_builder *b, const struct chat_event *e)
{
    struct open_choice *c;

    TRY(choice_of(b, e->choice, &c));
    struct answer_choice *to = &b->to->choices[e->choice];
    if (to->finished)
        return disorder("a second finish of a choice");
    if (c->open)
        return disorder("a finish while a block is open");
    to->finished = true;
    to->finish = e->finish;
    to->stop_sequence = arena_str(b->arena, e->stop_sequence);
    if (c->logprobs.n)
        to->logprobs = arena_printf(b->arena, "[%.*s]", STR_ARG(buf_str(&c->logprobs)));
    if (e->service_tier.n)
        b->to->service_tier = arena_str(b->arena, e->service_tier);
    return OK;
}

static err_t end(struct answer_builder *b)
{
    for (size_t i = 0; i < b->to->choice_count; i++)
        if (!b->to->choices[i].finished)
            return disorder("an end before a choice's finish");
    b->to->ended = true;
    return OK;
}

static err_t hear_error(struct answer_builder *b, const struct api_error *e)
{
    b->error = arena_new(b->arena, struct api_error);
    *b->error = *e;
    b->error->message = arena_str(b->arena, e->message);
    b->error->param = arena_str(b->arena, e->param);
    b->error->type = e->type ? arena_str(b->arena, str_from_c(e->type)).p : NULL;
    b->error->code = e->code ? arena_str(b->arena, str_from_c(e->code)).p : NULL;
    return fail(E_UPSTREAM, "%.*s", STR_ARG(e->message));
}

static err_t in_block(struct answer_builder *b, const struct chat_event *e)
{
    struct open_block *o = find_open(b, e);

    if (!o)
        return disorder("a block that is not open");
    if (e->kind == CHAT_TEXT)
        return buf_add(&o->text, e->text);
    if (e->kind == CHAT_CITATION)
        add_citation(b, o->block, e->citation);
    if (e->kind == CHAT_BLOCK_STOP)
        stop_block(b, e, o);
    if (e->kind == CHAT_SIGNATURE) {
        o->block->signature = arena_str(b->arena, e->text);
        o->block->signer = e->signer;
    }
    return OK;
}

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct answer_builder *b = ctx;

    if (b->to->ended || b->error)
        return disorder("an event after the end");
    if (!b->started && e->kind != CHAT_START && e->kind != CHAT_ERROR)
        return disorder("no start");
    switch (e->kind) {
    case CHAT_START:
        return start(b, e);
    case CHAT_BLOCK_START:
        return start_block(b, e);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_BLOCK_STOP:
        return in_block(b, e);
    case CHAT_LOGPROBS:
        return add_logprobs(b, e);
    case CHAT_USAGE:
        b->to->usage = *e->usage;
        return OK;
    case CHAT_FINISH:
        return finish(b, e);
    case CHAT_END:
        return end(b);
    case CHAT_ERROR:
        return hear_error(b, e->error);
    }
    return OK;
}

struct chat_sink answer_sink(struct answer_builder *b)
{
    return (struct chat_sink){hear, b};
}

/* --- telling --- */

static err_t tell_block(const struct block *block, struct chat_event at, const struct chat_sink *sink)
{
    struct str text = block->kind == BLOCK_TOOL_CALL ? block->arguments : block->text;
    bool whole = block->kind == BLOCK_REDACTED || block->kind == BLOCK_OPAQUE; /* told with the start */
    struct chat_event e = at;

    e.kind = CHAT_BLOCK_START;
    e.block_kind = block->kind;
    e.id = block->id;
    e.name = block->name;
    e.custom = block->custom;
    e.signer = block->signer;
    e.of = block->of;
    e.raw = block->raw;
    e.media = block->kind == BLOCK_IMAGE || block->kind == BLOCK_AUDIO ? &block->media : NULL;
    if (whole || e.media)
        e.text = whole ? text : block->signature;
    TRY(chat_tell(sink, &e));
    e = at;
    e.kind = CHAT_TEXT;
    e.text = text;
    if (text.n && !whole)
        TRY(chat_tell(sink, &e));
    for (const struct citation *c = block->citations; c; c = c->next) {
        e = at;
        e.kind = CHAT_CITATION;
        e.citation = c;
        TRY(chat_tell(sink, &e));
    }
    e = at;
    e.kind = CHAT_SIGNATURE;
    e.text = block->signature;
    e.signer = block->signer;
    if (block->signature.n && block->kind != BLOCK_IMAGE && block->kind != BLOCK_AUDIO)
        TRY(chat_tell(sink, &e));
    at.kind = CHAT_BLOCK_STOP;
    return chat_tell(sink, &at);
}

static err_t tell_choice(const struct answer_choice *c, unsigned n, const struct chat_sink *sink)
{
    struct chat_event e = {.choice = n};

    for (const struct block *b = c->blocks; b; b = b->next, e.block++)
        TRY(tell_block(b, e, sink));
    e = (struct chat_event){.kind = CHAT_LOGPROBS, .choice = n, .text = c->logprobs};
    if (c->logprobs.n)
        TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_FINISH, .choice = n, .finish = c->finish, .stop_sequence = c->stop_sequence};
    return chat_tell(sink, &e);
}

const struct answer_choice *answer_first(const struct answer *a)
{
    static const struct answer_choice none = {.finish = FINISH_STOP};

    return a->choice_count ? &a->choices[0] : &none;
}

err_t answer_tell(const struct answer *a, const struct chat_sink *sink)
{
    struct chat_event e = {
        .kind = CHAT_START, .id = a->id, .model = a->model, .created = a->created, .service_tier = a->service_tier};

    TRY(chat_tell(sink, &e));
    for (size_t i = 0; i < a->choice_count; i++)
        TRY(tell_choice(&a->choices[i], (unsigned)i, sink));
    e = (struct chat_event){.kind = CHAT_USAGE, .usage = &a->usage};
    if (a->usage.known)
        TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_END};
    return chat_tell(sink, &e);
}
