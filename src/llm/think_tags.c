/*
 * think_tags.c - the filter that takes <think>…</think> out of the beginning of a text.
 *
 * Only what an answer begins with is looked at: the first block of each choice, if it is a text, and in it the tag behind blanks at most. A text that
 * begins otherwise, and a choice that begins with anything else (a thought that the server did part), passes as it is, and so does all that
 * comes behind the closing tag: a later tag is the answer's own business.
 *
 * A piece of a stream may end anywhere, so the end of what was heard that may be the beginning of a tag is held back, with the blanks in front of it:
 * those around a thought are no part of it. Blocks are numbered anew, since one became two, or none where nothing was thought or said.
 *
 * Not here: whether to look at all, which the provider's configuration or its vendor's row says (dialect.h).
 */
#include "llm/think_tags.h"

#include "base/buf.h"

#define OPENING STR("<think>")
#define CLOSING STR("</think>")

enum { PIECE_MAX = 16 * 1024, HELD_MAX = 2 * PIECE_MAX, BLANKS_MAX = 64 };

enum stage {
    BEFORE,  /* it may begin with the tag: its start is not told yet  */
    THOUGHT, /* between the tags                                      */
    BEHIND,  /* behind the closing one: blanks are left out           */
    THROUGH, /* everything passes                                     */
};

struct choice {
    struct choice *next;
    unsigned number;
    enum stage stage;
    bool begun;      /* its first block has                                           */
    unsigned block;  /* of which the stage is: the first                              */
    unsigned told;   /* blocks that it became so far                                  */
    bool open;       /* one of them is                                                */
    struct buf held; /* of the text: what is not clear yet                            */
};

struct think_splitter {
    struct arena *arena;
    const struct chat_sink *to;
    bool begun;
    struct choice *choices;
};

struct think_splitter *think_splitter_new(struct arena *arena, bool begun, const struct chat_sink *to)
{
    struct think_splitter *s = arena_new(arena, struct think_splitter);

    *s = (struct think_splitter){.arena = arena, .to = to, .begun = begun};
    return s;
}

static void release_choice(void *obj)
{
    struct choice *c = obj;

    buf_release(&c->held);
}

static struct choice *choice_of(struct think_splitter *s, unsigned number)
{
    for (struct choice *c = s->choices; c; c = c->next)
        if (c->number == number)
            return c;
    struct choice *c = arena_new(s->arena, struct choice);
    *c = (struct choice){.next = s->choices, .number = number};
    buf_init(&c->held, HELD_MAX);
    arena_hold(s->arena, c, release_choice);
    s->choices = c;
    return c;
}

/* --- telling --- */

/* The block that is being told, in place of the first one. */
static unsigned told_block(const struct choice *c)
{
    return c->block + c->told - 1;
}

static err_t tell_start(struct think_splitter *s, struct choice *c, enum block_kind kind)
{
    struct chat_event e = {.kind = CHAT_BLOCK_START, .choice = c->number, .block_kind = kind};

    c->open = true;
    c->told++;
    e.block = told_block(c);
    return chat_tell(s->to, &e);
}

/* Nothing begins without a word. */
static err_t tell_text(struct think_splitter *s, struct choice *c, enum block_kind kind, struct str text)
{
    if (!text.n)
        return OK;
    if (!c->open)
        TRY(tell_start(s, c, kind));
    struct chat_event e = {.kind = CHAT_TEXT, .choice = c->number, .block = told_block(c), .text = text};
    return chat_tell(s->to, &e);
}

static err_t tell_stop(struct think_splitter *s, struct choice *c)
{
    struct chat_event e = {.kind = CHAT_BLOCK_STOP, .choice = c->number, .block = told_block(c)};

    if (!c->open)
        return OK;
    c->open = false;
    return chat_tell(s->to, &e);
}

/* An event of a block, under the number that it has now. */
static err_t pass(struct think_splitter *s, const struct choice *c, const struct chat_event *e)
{
    struct chat_event changed = *e;

    if (c->begun && e->block == c->block && c->told)
        changed.block = told_block(c);
    else if (c->begun && e->block > c->block)
        changed.block = e->block + c->told - 1;
    return chat_tell(s->to, &changed);
}

/* --- the stages --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t blanks_before(struct str text)
{
    size_t n = 0;

    while (n < text.n && is_blank(text.p[n]))
        n++;
    return n;
}

/* Of the first `end` bytes, how many are left without the blanks that they end in. */
static size_t without_blanks(struct str text, size_t end)
{
    while (end && is_blank(text.p[end - 1]))
        end--;
    return end;
}

/* Where the part at the end begins that must wait: what may be the beginning of the closing tag, and blanks in front of it. */
static size_t clear_until(struct str text)
{
    size_t n = text.n < CLOSING.n - 1 ? text.n : CLOSING.n - 1;

    while (n && !str_starts(CLOSING, str_slice(text, text.n - n, text.n)))
        n--;
    size_t end = without_blanks(text, text.n - n);
    return text.n - n - end > BLANKS_MAX ? text.n - n : end;
}

/* From here on the text is one as any other: what was held of it goes first. */
static err_t let_through(struct think_splitter *s, struct choice *c)
{
    c->stage = THROUGH;
    TRY(tell_start(s, c, BLOCK_TEXT));
    err_t e = tell_text(s, c, BLOCK_TEXT, buf_str(&c->held));
    buf_clear(&c->held);
    return e;
}

/* Does it begin with the tag? While that is not clear the stage stays. */
static err_t look(struct think_splitter *s, struct choice *c)
{
    size_t blanks = blanks_before(buf_str(&c->held));
    struct str text = str_slice(buf_str(&c->held), blanks, c->held.n);

    if (blanks <= BLANKS_MAX && text.n < OPENING.n && str_starts(OPENING, text))
        return OK;
    bool tag = blanks <= BLANKS_MAX && str_starts(text, OPENING);
    if (!tag && !s->begun)
        return let_through(s, c);
    c->stage = THOUGHT;
    if (tag)
        buf_consume(&c->held, blanks + OPENING.n);
    return OK;
}

static err_t think(struct think_splitter *s, struct choice *c, bool last)
{
    if (!c->open)
        buf_consume(&c->held, blanks_before(buf_str(&c->held)));
    struct str text = buf_str(&c->held);
    size_t at = str_find(text, CLOSING);
    bool closed = at < text.n;
    size_t end = closed || last ? without_blanks(text, at) : clear_until(text);

    TRY(tell_text(s, c, BLOCK_THINKING, str_slice(text, 0, end)));
    buf_consume(&c->held, closed ? at + CLOSING.n : last ? text.n : end);
    if (!closed)
        return OK;
    c->stage = BEHIND;
    return tell_stop(s, c);
}

static err_t answer(struct think_splitter *s, struct choice *c)
{
    buf_consume(&c->held, blanks_before(buf_str(&c->held)));
    if (!c->held.n)
        return OK;
    c->stage = THROUGH;
    err_t e = tell_text(s, c, BLOCK_TEXT, buf_str(&c->held));
    buf_clear(&c->held);
    return e;
}

/* As far as it goes with what is held. */
static err_t go_on(struct think_splitter *s, struct choice *c, bool last)
{
    if (c->stage == BEFORE)
        TRY(look(s, c));
    if (c->stage == THOUGHT)
        TRY(think(s, c, last));
    return c->stage == BEHIND ? answer(s, c) : OK;
}

/* --- events --- */

static err_t hear_text(struct think_splitter *s, struct choice *c, const struct chat_event *e)
{
    struct str rest = e->text;

    while (rest.n && c->stage != THROUGH) { /* a piece may be larger than what is held at most */
        struct str part = str_slice(rest, 0, PIECE_MAX);
        TRY(buf_add(&c->held, part));
        TRY(go_on(s, c, false));
        rest = str_slice(rest, part.n, rest.n);
    }
    if (!rest.n)
        return OK;
    struct chat_event more = *e;
    more.text = rest;
    return pass(s, c, &more);
}

static err_t hear_stop(struct think_splitter *s, struct choice *c)
{
    if (c->stage == BEFORE && (!s->begun || !c->held.n))
        TRY(let_through(s, c));
    if (c->stage == BEFORE) /* less than a tag, of an answer that begins within a thought */
        c->stage = THOUGHT;
    if (c->stage == THOUGHT)
        TRY(think(s, c, true));
    c->stage = THROUGH;
    return tell_stop(s, c);
}

/* Another block begins before the first has ended, as calls may: how many that one is must be settled now. */
static err_t settle(struct think_splitter *s, struct choice *c)
{
    if (c->stage == THROUGH)
        return OK;
    if (!c->open)
        return let_through(s, c);
    c->stage = THROUGH;
    err_t e = tell_text(s, c, BLOCK_THINKING, buf_str(&c->held));
    buf_clear(&c->held);
    return e;
}

static err_t hear_start(struct think_splitter *s, struct choice *c, const struct chat_event *e)
{
    if (c->begun) {
        TRY(settle(s, c));
        return pass(s, c, e);
    }
    c->begun = true;
    c->block = e->block;
    if (e->block_kind == BLOCK_TEXT)
        return OK;
    c->stage = THROUGH;
    c->told = 1;
    return chat_tell(s->to, e);
}

/* What belongs to the first block while it is not clear what that is: citations and signatures are of an answer; probabilities of tokens would not
 * fit the text that is told. */
static err_t hear_aside(struct think_splitter *s, struct choice *c, const struct chat_event *e)
{
    if (e->kind == CHAT_LOGPROBS || c->stage == THOUGHT || c->stage == BEHIND)
        return OK;
    TRY(let_through(s, c));
    return pass(s, c, e);
}

static err_t hear_first(struct think_splitter *s, struct choice *c, const struct chat_event *e)
{
    if (e->kind == CHAT_TEXT)
        return hear_text(s, c, e);
    return e->kind == CHAT_BLOCK_STOP ? hear_stop(s, c) : hear_aside(s, c, e);
}

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct think_splitter *s = ctx;

    switch (e->kind) {
    case CHAT_START:
    case CHAT_USAGE:
    case CHAT_FINISH:
    case CHAT_END:
    case CHAT_ERROR:
        return chat_tell(s->to, e);
    case CHAT_BLOCK_START:
        return hear_start(s, choice_of(s, e->choice), e);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
    case CHAT_BLOCK_STOP:
        break;
    }
    struct choice *c = choice_of(s, e->choice);
    return c->stage != THROUGH && e->block == c->block ? hear_first(s, c, e) : pass(s, c, e);
}

struct chat_sink think_splitter_sink(struct think_splitter *s)
{
    return (struct chat_sink){hear, s};
}
