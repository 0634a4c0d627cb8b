/*
 * sequence.c - a queue of blocks, of which the first is being told.
 *
 * The common case holds nothing: a block is over before the next begins. A block that is held is kept as its start, its text in one piece, its
 * citations and its signature, which are told in that order.
 */
#include "llm/sequence.h"

#include "base/buf.h"

enum { HELD_MAX = 64 * 1024 * 1024 };

struct held {
    struct held *next;
    struct chat_event start;
    struct media media;
    struct buf text;
    struct citation *citations;
    struct str signature;
    enum signer signer;
    bool stopped;
};

struct sequence {
    struct arena *arena;
    const struct chat_sink *to;
    struct held *first;
};

struct sequence *sequence_new(struct arena *arena, const struct chat_sink *to)
{
    struct sequence *s = arena_new(arena, struct sequence);

    *s = (struct sequence){.arena = arena, .to = to};
    return s;
}

static void release_held(void *obj)
{
    struct held *b = obj;

    buf_release(&b->text);
}

static struct held *hold(struct sequence *s, const struct chat_event *e)
{
    struct held *b = arena_new(s->arena, struct held), **end = &s->first;

    b->start = *e;
    b->start.id = arena_str(s->arena, e->id);
    b->start.name = arena_str(s->arena, e->name);
    b->start.text = arena_str(s->arena, e->text);
    b->start.raw = arena_str(s->arena, e->raw);
    if (e->media) {
        b->media = *e->media;
        b->media.type = arena_str(s->arena, e->media->type);
        b->media.data = arena_str(s->arena, e->media->data);
        b->media.name = arena_str(s->arena, e->media->name);
        b->start.media = &b->media;
    }
    buf_init(&b->text, HELD_MAX);
    arena_hold(s->arena, b, release_held);
    while (*end)
        end = &(*end)->next;
    *end = b;
    return b;
}

static struct held *find(const struct sequence *s, unsigned block)
{
    struct held *b = s->first;

    while (b && b->start.block != block)
        b = b->next;
    return b;
}

static void keep_citation(struct sequence *s, struct held *b, const struct citation *c)
{
    struct citation *copy = arena_new(s->arena, struct citation), **end = &b->citations;

    *copy = *c;
    copy->next = NULL;
    copy->url = arena_str(s->arena, c->url);
    copy->title = arena_str(s->arena, c->title);
    copy->cited_text = arena_str(s->arena, c->cited_text);
    copy->document_id = arena_str(s->arena, c->document_id);
    copy->raw = arena_str(s->arena, c->raw);
    while (*end)
        end = &(*end)->next;
    *end = copy;
}

static err_t keep(struct sequence *s, struct held *b, const struct chat_event *e)
{
    if (e->kind == CHAT_TEXT)
        return buf_add(&b->text, e->text);
    if (e->kind == CHAT_CITATION)
        keep_citation(s, b, e->citation);
    if (e->kind == CHAT_SIGNATURE) {
        b->signature = arena_str(s->arena, e->text);
        b->signer = e->signer;
    }
    if (e->kind == CHAT_BLOCK_STOP)
        b->stopped = true;
    return OK;
}

/* What is held of a block that has its turn now. */
static err_t tell_held(struct sequence *s, struct held *b)
{
    struct chat_event e = {.kind = CHAT_TEXT, .block = b->start.block, .text = buf_str(&b->text)};

    TRY(chat_tell(s->to, &b->start));
    if (e.text.n)
        TRY(chat_tell(s->to, &e));
    buf_release(&b->text);
    for (const struct citation *c = b->citations; c; c = c->next) {
        e = (struct chat_event){.kind = CHAT_CITATION, .block = b->start.block, .citation = c};
        TRY(chat_tell(s->to, &e));
    }
    e = (struct chat_event){.kind = CHAT_SIGNATURE, .block = b->start.block, .text = b->signature, .signer = b->signer};
    if (e.text.n)
        TRY(chat_tell(s->to, &e));
    e = (struct chat_event){.kind = CHAT_BLOCK_STOP, .block = b->start.block};
    return b->stopped ? chat_tell(s->to, &e) : OK;
}

/* The first block is over: the next has its turn, and those behind it that are over, too. */
static err_t advance(struct sequence *s)
{
    while (s->first && s->first->stopped) {
        buf_release(&s->first->text);
        s->first = s->first->next;
        if (s->first)
            TRY(tell_held(s, s->first));
    }
    return OK;
}

static err_t hear_start(struct sequence *s, const struct chat_event *e)
{
    bool is_first = !s->first;

    hold(s, e);
    return is_first ? chat_tell(s->to, e) : OK;
}

static err_t hear_part(struct sequence *s, const struct chat_event *e)
{
    struct held *b = find(s, e->block);

    if (!b)
        return fail(E_PROTOCOL, "events of an answer out of order: a block that is not open");
    if (b != s->first)
        return keep(s, b, e);
    TRY(chat_tell(s->to, e));
    b->stopped = e->kind == CHAT_BLOCK_STOP;
    return advance(s);
}

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct sequence *s = ctx;

    switch (e->kind) {
    case CHAT_BLOCK_START:
        return hear_start(s, e);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_BLOCK_STOP:
        return hear_part(s, e);
    case CHAT_START:
    case CHAT_LOGPROBS:
    case CHAT_USAGE:
    case CHAT_FINISH:
    case CHAT_END:
    case CHAT_ERROR:
        break;
    }
    return chat_tell(s->to, e);
}

struct chat_sink sequence_sink(struct sequence *s)
{
    return (struct chat_sink){hear, s};
}
