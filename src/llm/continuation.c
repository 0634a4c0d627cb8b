/*
 * continuation.c - notes what is told, and splices what comes later onto it.
 *
 * The client's writer hears one answer in the order that llm/event.h promises: blocks of an attempt are numbered anew from `next`, the text that went on is in the block
 * that the break left open, and that block is closed before anything else begins. Nothing of a continuing attempt is told before its seam is
 * proven, so one that is no continuation can be given up for another.
 *
 * Only first choices are continued, and only texts: a call of which the client knows the beginning may be half of its arguments, and cannot be taken
 * back. See continuation_bar() for the list.
 */
#include "llm/continuation.h"

#include "llm/estimate.h"
#include "llm/seam.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <limits.h>

enum { AGAIN_FACTOR = 2 }; /* room for repeating, where an estimate may be off by half */

const struct str continuation_words = STR_INIT(
    "Your last message was cut off by a broken connection and must go on exactly where it ends. Write the rest of it, "
    "and nothing else: no greeting, no comment, no quotation marks around it. Begin by repeating exactly the following "
    "last words of it, so that the two parts can be joined, and go on from there:\n");

/* A block of the attempt under way, as the client knows it. */
struct relayed {
    struct relayed *next;
    unsigned theirs, ours;
    enum block_kind kind;
    bool muted;  /* not told                          */
    bool opened; /* the client knows that it began    */
};

struct continuation {
    struct arena *arena;
    const struct chat_sink *to;
    struct buf text; /* of all texts told         */
    unsigned next;   /* number of the next block  */
    struct relayed *open, *spare;
    int64_t characters; /* of the text block that is open, or was last */
    bool started, has_text, finished;
    bool heard;           /* anything of the attempt under way */
    const char *bar;      /* why it cannot go on       */
    struct usage before;  /* of attempts that broke    */
    struct usage usage;   /* of the one under way      */
    size_t own_text;      /* bytes of `text` before it */
    size_t thought_bytes; /* of it                     */
    /* of an attempt that goes on */
    bool resumed;
    struct seam *seam;
    bool at_seam;        /* its first text is still to be joined                        */
    bool left_open;      /* the break left a block open, which is not continued yet     */
    struct relayed left; /* that block                                                  */
    int64_t came;        /* characters of the text that is joined                       */
    int64_t shift;       /* of the joined block: where its text, as it came, would begin */
    unsigned joined_block;
};

static void release_text(void *obj)
{
    buf_release(&((struct continuation *)obj)->text);
}

struct continuation *continuation_new(struct arena *arena, const struct chat_sink *to)
{
    struct continuation *c = arena_new(arena, struct continuation);

    c->arena = arena;
    c->to = to;
    buf_init(&c->text, CONTINUATION_TEXT_MAX);
    arena_hold(arena, c, release_text);
    return c;
}

/* --- blocks --- */

static struct relayed *find(const struct continuation *c, unsigned theirs)
{
    struct relayed *b = c->open;

    while (b && b->theirs != theirs)
        b = b->next;
    return b;
}

static struct relayed *add(struct continuation *c, const struct chat_event *e)
{
    struct relayed *b = c->spare;

    if (b)
        c->spare = b->next;
    else
        b = arena_new(c->arena, struct relayed);
    *b = (struct relayed){.next = c->open, .theirs = e->block, .kind = e->block_kind};
    c->open = b;
    return b;
}

static void drop(struct continuation *c, struct relayed *b)
{
    struct relayed **at = &c->open;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    b->next = c->spare;
    c->spare = b;
}

static err_t tell(const struct continuation *c, const struct chat_event *e)
{
    return chat_tell(c->to, e);
}

/* The block that the break left open is over. */
static err_t close_left(struct continuation *c)
{
    if (!c->left_open)
        return OK;
    c->left_open = false;
    return tell(c, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .block = c->left.ours});
}

static err_t open_block(struct continuation *c, struct relayed *b, const struct chat_event *e)
{
    struct chat_event told = *e;

    TRY(close_left(c));
    b->opened = true;
    b->ours = told.block = c->next++;
    if (b->kind == BLOCK_TEXT)
        c->characters = 0;
    return tell(c, &told);
}

/* --- noting --- */

static const char *bar_of(enum block_kind kind)
{
    switch (kind) {
    case BLOCK_TEXT:
    case BLOCK_THINKING:
    case BLOCK_REDACTED:
        return NULL;
    case BLOCK_TOOL_CALL:
        return "a tool call had begun";
    case BLOCK_REFUSAL:
        return "the model was refusing";
    case BLOCK_IMAGE:
    case BLOCK_AUDIO:
    case BLOCK_VIDEO:
    case BLOCK_DOCUMENT:
        return "it holds more than text";
    case BLOCK_TOOL_RESULT:
    case BLOCK_OPAQUE:
        return "a tool of the provider's had run";
    }
    return "it holds more than text";
}

static void note_start(struct continuation *c, const struct chat_event *e)
{
    if (!c->bar)
        c->bar = e->choice ? "it has several choices" : bar_of(e->block_kind);
}

static void note_text(struct continuation *c, const struct relayed *b, struct str text)
{
    if (b->kind == BLOCK_THINKING)
        c->thought_bytes += text.n;
    if (b->kind != BLOCK_TEXT)
        return;
    c->has_text = true;
    c->characters += utf8_count(text);
    if (buf_add(&c->text, text) != OK && !c->bar)
        c->bar = "it is too long";
}

/* --- the seam --- */

/* New text of the block that is joined: in the block that was left open, if it is one of text, else in one of its own. */
static err_t tell_joined(struct continuation *c, struct relayed *b, struct str text)
{
    if (!text.n)
        return OK;
    if (!b->opened) {
        int64_t repeated = c->came - utf8_count(text);
        if (c->left_open && c->left.kind == BLOCK_TEXT) {
            b->opened = true;
            b->ours = c->left.ours;
            c->left_open = false;
        } else {
            TRY(open_block(c, b, &(struct chat_event){.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT}));
        }
        c->joined_block = b->ours;
        c->shift = c->characters - repeated;
    }
    note_text(c, b, text);
    return tell(c, &(struct chat_event){.kind = CHAT_TEXT, .block = b->ours, .text = text});
}

static err_t settle(struct continuation *c, struct relayed *b, enum seam_verdict verdict, struct str text)
{
    switch (verdict) {
    case SEAM_HOLD:
        return OK;
    case SEAM_PASS:
        c->at_seam = !seam_is_joined(c->seam);
        return tell_joined(c, b, text);
    case SEAM_UNPROVEN:
        break;
    }
    return fail(E_PROTOCOL, "the model that was to go on with a broken answer did not continue it");
}

/* No more text comes that could be the rest. `b`: the block that is joined; NULL: there was none. */
static err_t end_seam(struct continuation *c, struct relayed *b)
{
    struct relayed none = {.kind = BLOCK_TEXT};
    struct str text;

    if (!c->at_seam)
        return OK;
    enum seam_verdict verdict = seam_end(c->seam, &text);
    TRY(settle(c, b ? b : &none, verdict, text));
    return none.opened ? tell(c, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .block = none.ours}) : OK;
}

static struct relayed *joining(const struct continuation *c)
{
    struct relayed *b = c->open;

    while (b && (b->muted || b->kind != BLOCK_TEXT))
        b = b->next;
    return b;
}

/* --- events of an attempt that goes on --- */

static bool is_thought(enum block_kind kind)
{
    return kind == BLOCK_THINKING || kind == BLOCK_REDACTED;
}

static err_t resume_block(struct continuation *c, const struct chat_event *e)
{
    struct relayed *b = add(c, e);

    b->muted = is_thought(b->kind) && c->has_text;
    if (b->muted || (b->kind == BLOCK_TEXT && c->at_seam))
        return OK; /* a text begins with its first new byte */
    if (!is_thought(b->kind))
        TRY(end_seam(c, joining(c)));
    note_start(c, e);
    return open_block(c, b, e);
}

static err_t resume_text(struct continuation *c, struct relayed *b, const struct chat_event *e)
{
    struct chat_event told = *e;
    struct str text;

    if (b->kind == BLOCK_TEXT && (c->at_seam || !b->opened || b->ours == c->joined_block)) {
        c->came += utf8_count(e->text);
        enum seam_verdict verdict = seam_feed(c->seam, e->text, &text);
        return settle(c, b, verdict, text);
    }
    told.block = b->ours;
    note_text(c, b, e->text);
    return tell(c, &told);
}

static err_t resume_stop(struct continuation *c, struct relayed *b, const struct chat_event *e)
{
    struct chat_event told = *e;
    bool is_told = b->opened && !b->muted;

    told.block = b->ours;
    drop(c, b);
    return is_told ? tell(c, &told) : OK;
}

/* A citation's place counts from the beginning of the block as the client knows it. */
static err_t resume_citation(struct continuation *c, const struct relayed *b, const struct chat_event *e)
{
    struct chat_event told = *e;
    struct citation moved = *e->citation;

    told.block = b->ours;
    told.citation = &moved;
    if (b->ours == c->joined_block && c->shift) {
        moved.start = moved.start < 0 ? moved.start : moved.start + c->shift;
        moved.end = moved.end < 0 ? moved.end : moved.end + c->shift;
        moved.raw = STR_NONE; /* which has the old ones */
    }
    return tell(c, &told);
}

static err_t resume_in_block(struct continuation *c, const struct chat_event *e)
{
    struct relayed *b = find(c, e->block);
    struct chat_event told = *e;

    if (!b || b->muted)
        return OK;
    if (e->kind == CHAT_TEXT)
        return resume_text(c, b, e);
    if (e->kind == CHAT_BLOCK_STOP)
        return resume_stop(c, b, e);
    if (!b->opened)
        return OK;
    if (e->kind == CHAT_CITATION)
        return resume_citation(c, b, e);
    told.block = b->ours;
    return tell(c, &told);
}

static err_t tell_usage(struct continuation *c, const struct chat_event *e)
{
    struct usage sum = *e->usage;
    struct chat_event told = *e;

    c->usage = *e->usage;
    sum.known = true;
    usage_add(&sum, &c->before);
    sum.known = true; /* as one figure, estimates of broken attempts included */
    told.usage = &sum;
    return tell(c, &told);
}

static err_t tell_finish(struct continuation *c, const struct chat_event *e)
{
    TRY(end_seam(c, joining(c)));
    TRY(close_left(c));
    c->finished = true;
    return tell(c, e);
}

static err_t hear_resumed(struct continuation *c, const struct chat_event *e)
{
    switch (e->kind) {
    case CHAT_START:
        return c->started ? OK : tell(c, e);
    case CHAT_BLOCK_START:
        return resume_block(c, e);
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
    case CHAT_BLOCK_STOP:
        return resume_in_block(c, e);
    case CHAT_USAGE:
        return tell_usage(c, e);
    case CHAT_FINISH:
        return tell_finish(c, e);
    case CHAT_END:
    case CHAT_ERROR:
        return tell(c, e);
    }
    return OK;
}

/* --- events of the first attempt --- */

static void note(struct continuation *c, const struct chat_event *e)
{
    struct relayed *b;

    switch (e->kind) {
    case CHAT_BLOCK_START:
        note_start(c, e);
        b = add(c, e);
        b->opened = true;
        b->ours = e->block;
        c->next = e->block + 1;
        c->characters = b->kind == BLOCK_TEXT ? 0 : c->characters;
        break;
    case CHAT_TEXT:
        b = find(c, e->block);
        if (b)
            note_text(c, b, e->text);
        break;
    case CHAT_BLOCK_STOP:
        b = find(c, e->block);
        if (b)
            drop(c, b);
        break;
    case CHAT_USAGE:
        c->usage = *e->usage;
        break;
    case CHAT_FINISH:
        c->finished = true;
        break;
    case CHAT_START:
        c->started = true;
        break;
    case CHAT_END:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
    case CHAT_ERROR:
        break;
    }
}

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct continuation *c = ctx;

    c->heard = true;
    if (c->resumed)
        return hear_resumed(c, e);
    note(c, e);
    return tell(c, e);
}

struct chat_sink continuation_sink(struct continuation *c)
{
    return (struct chat_sink){hear, c};
}

/* --- may it go on? --- */

static bool has_hosted_tool(const struct chat_request *q)
{
    const struct tool *t = q->tools;

    while (t && t->kind != TOOL_HOSTED)
        t = t->next;
    return t != NULL;
}

/* Members that make the provider remember, or act: what another one was not there for. */
static bool has_state(const struct chat_request *q)
{
    static const struct str names[] = {STR_INIT("previous_response_id"), STR_INIT("conversation"),
                                       STR_INIT("mcp_servers"),          STR_INIT("container"),
                                       STR_INIT("cachedContent"),        STR_INIT("web_search_options")};

    for (const struct extra *x = q->extras; x; x = x->next)
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (str_eq(x->key, names[i]))
                return true;
    return false;
}

const char *continuation_bars(const struct chat_request *q)
{
    if (chat_choices(q) > 1 || q->more_prompt_count)
        return "several answers were asked for";
    if (q->format.kind == FORMAT_JSON || q->format.kind == FORMAT_SCHEMA)
        return "the answer has to have a form that only a whole one has";
    if (has_hosted_tool(q) || has_state(q))
        return "the provider runs tools, or remembers";
    if (q->logprobs.is == YES)
        return "probabilities were asked for";
    if (q->is_completion && q->echo.is == YES)
        return "the prompt is part of the answer";
    return NULL;
}

const char *continuation_bar(const struct continuation *c)
{
    return c->finished ? "nothing is missing but its end" : c->bar;
}

/* --- asking for the rest --- */

/* The turns are copied, since another attempt asks in another way. */
static void copy_turns(const struct chat_request *q, struct arena *arena, struct chat_request *ret)
{
    struct turn **at = &ret->turns;

    for (const struct turn *t = q->turns; t; t = t->next) {
        *at = arena_new(arena, struct turn);
        **at = *t;
        ret->last_turn = *at;
        at = &(*at)->next;
    }
    *at = NULL;
}

static void add_text(struct chat_request *q, struct arena *arena, enum chat_role role, struct str text)
{
    struct turn *t = chat_add_turn(q, arena, role, JSON_ABSENT);

    chat_add_block(&t->blocks, arena, BLOCK_TEXT, JSON_ABSENT)->text = text;
    t->prefill = role == CHAT_ASSISTANT ? YES : UNSET;
}

/* The last turn says more: a prompt, or an assistant's text that the client itself wanted to be continued. */
static void extend_last(struct chat_request *q, struct arena *arena, struct str text)
{
    struct turn *t = q->last_turn;
    struct str said = blocks_text(t->blocks, q->is_completion ? STR("\n") : STR_NONE, arena);

    t->blocks = NULL;
    chat_add_block(&t->blocks, arena, BLOCK_TEXT, JSON_ABSENT)->text = arena_join(arena, said, text);
    t->prefill = t->role == CHAT_ASSISTANT ? YES : UNSET;
}

static void add_partial(struct chat_request *q, struct arena *arena, struct str core)
{
    bool goes_on = q->last_turn && q->last_turn->role == CHAT_ASSISTANT && !turn_has(q->last_turn, BLOCK_TOOL_CALL);

    if (goes_on)
        extend_last(q, arena, core);
    else
        add_text(q, arena, CHAT_ASSISTANT, core);
}

/* What the client allowed, less what it has got; the words that are to be said again are not the client's affair. */
static void limit_output(const struct continuation *c, struct chat_request *q, struct str again)
{
    uint64_t limit, told = estimate_text(buf_str(&c->text));

    if (str_to_u64(q->max_output.text, UINT64_MAX, &limit))
        q->max_output.text =
            arena_printf(c->arena, "%" PRIu64, (limit > told ? limit - told : 1) + AGAIN_FACTOR * estimate_text(again));
}

static void ask(struct continuation *c, enum continuation_form form, struct str core, struct chat_request *ret)
{
    struct str again = STR_NONE;

    switch (form) {
    case CONTINUES_PROMPT:
        extend_last(ret, c->arena, core);
        break;
    case CONTINUES_PREFILL:
        add_partial(ret, c->arena, core);
        break;
    case CONTINUES_BY_TURN:
        again = str_slice(core, seam_words(core), core.n);
        add_partial(ret, c->arena, core);
        ret->last_turn->prefill = UNSET;
        add_text(ret, c->arena, CHAT_USER, arena_join(c->arena, continuation_words, again));
        break;
    }
    limit_output(c, ret, again);
}

/* What the attempt left open; more than one block is not, of those that can be continued. */
static void leave_open(struct continuation *c)
{
    for (struct relayed *b = c->open; b; b = c->open) {
        if (b->opened && !b->muted) {
            c->left = *b;
            c->left_open = true;
        }
        drop(c, b);
    }
}

void continuation_resume(struct continuation *c, const struct chat_request *q, enum continuation_form form,
                         struct chat_request *ret)
{
    struct str core = seam_core(buf_str(&c->text));
    struct usage spent = continuation_usage(c, q);

    usage_add(&c->before, &spent);
    c->usage = (struct usage){0};
    c->heard = false;
    c->own_text = c->text.n;
    c->thought_bytes = 0;
    leave_open(c);
    c->resumed = true;
    c->joined_block = UINT_MAX;
    c->came = c->shift = 0;
    c->at_seam = c->text.n > 0;
    c->seam = seam_new(c->arena, arena_str(c->arena, buf_str(&c->text)), core.n && form == CONTINUES_BY_TURN);
    *ret = *q;
    ret->document = NULL; /* its members are not what is to be said */
    ret->is_continuation = true;
    copy_turns(q, c->arena, ret);
    if (!core.n)
        return;
    ask(c, form, core, ret);
}

struct usage continuation_usage(const struct continuation *c, const struct chat_request *q)
{
    struct usage u = c->usage;

    if ((u.known && c->finished) || !c->heard)
        return u;
    struct str text = str_slice(buf_str(&c->text), c->own_text, c->text.n);
    uint64_t thoughts = c->thought_bytes / 4, output = estimate_text(text) + thoughts;
    if (!u.input)
        u.input = estimate_tokens(q);
    u.output = u.output > output ? u.output : output;
    u.known = false;
    return u;
}

struct usage continuation_told_usage(const struct continuation *c)
{
    return c->usage;
}
