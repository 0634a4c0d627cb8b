/*
 * emulate.c - the filter between reader and writer.
 *
 * Per choice it knows the block that is being told. Text that might be the beginning of a stop sequence is held back until it is clear; a
 * cut ends the choice at once. A fence is looked for at the very beginning of a text, and its end held back likewise. Blocks keep their
 * numbers: a forced tool's call becomes a text block in the same place. Arguments that stand for free text are held until they are whole.
 */
#include "llm/emulate.h"

#include "llm/think_tags.h"
#include "llm/tool_args.h"
#include "llm/vendor.h"

/* Stop sequences longer than half of what is held are not looked for, so that there is always room for more text. */
enum {
    HELD_MAX = 64 * 1024,
    STOP_MAX = HELD_MAX / 2,
    FENCE_LOOK = 16,
    FENCE_BLANKS = 64,
    ARGUMENTS_MAX = 64 * 1024 * 1024
};

/* A call, being told, of a tool of free text. */
struct text_call {
    struct text_call *next;
    unsigned block;
    struct buf arguments;
};

struct choice {
    struct choice *next;
    unsigned number;
    unsigned block;  /* being told                                        */
    bool in_text;    /* a text block is open                              */
    bool as_text;    /* it is a forced tool's call                        */
    bool was_schema; /* such a call was told: the finish is a plain stop  */
    bool begun;      /* of the text: something was told                   */
    bool fenced;     /* it began with a fence                             */
    bool cut;        /* at a stop sequence: the rest is not heard         */
    struct buf held; /* text that may belong to a stop or to the fence    */
    struct text_call *text_calls;
};

struct emulator {
    struct arena *arena;
    const struct provider_call *call;
    const struct chat_sink *to;
    struct chat_sink self;
    struct think_splitter *splitter; /* that hears the reader first; NULL: none */
    struct choice *choices;
    unsigned cut_count; /* choices that were cut                       */
    bool done;          /* all of a stream's were: its end has been told */
};

static bool is_needed(const struct provider_call *call)
{
    const struct emulation *e = &call->emulate;

    return e->schema_tool.n || e->stop_count || e->strip_fence || e->text_tool_count || e->signer != SIGNER_NONE ||
           e->think != THINK_TAGS_AUTO || name_map_is_changed(call->names);
}

static void release_choice(void *obj)
{
    struct choice *c = obj;

    buf_release(&c->held);
}

static struct choice *choice_of(struct emulator *m, unsigned number)
{
    for (struct choice *c = m->choices; c; c = c->next)
        if (c->number == number)
            return c;
    struct choice *c = arena_new(m->arena, struct choice);
    *c = (struct choice){.next = m->choices, .number = number};
    buf_init(&c->held, HELD_MAX);
    arena_hold(m->arena, c, release_choice);
    m->choices = c;
    return c;
}

/* --- telling text --- */

static err_t tell_text(struct emulator *m, struct choice *c, struct str text)
{
    struct chat_event e = {.kind = CHAT_TEXT, .choice = c->number, .block = c->block, .text = text};

    return text.n ? chat_tell(m->to, &e) : OK;
}

/* The text ends before `stop`; so does the choice. A stream ends with its last choice; a plain answer is here already, and its usage is still to
 * be heard. */
static err_t cut(struct emulator *m, struct choice *c, struct str stop)
{
    unsigned choices = m->call->emulate.choices ? m->call->emulate.choices : 1;
    struct chat_event e = {.kind = CHAT_BLOCK_STOP, .choice = c->number, .block = c->block};

    TRY(chat_tell(m->to, &e));
    e = (struct chat_event){
        .kind = CHAT_FINISH, .choice = c->number, .finish = FINISH_STOP_SEQUENCE, .stop_sequence = stop};
    TRY(chat_tell(m->to, &e));
    c->cut = true;
    c->in_text = false;
    if (++m->cut_count < choices || !m->call->stream)
        return OK;
    m->done = true;
    e = (struct chat_event){.kind = CHAT_END};
    return chat_tell(m->to, &e);
}

/* Bytes at the end of `text` that may be the beginning of `word`. */
static size_t overlap(struct str text, struct str word)
{
    size_t n = word.n > 1 ? word.n - 1 : 0;

    if (n > text.n)
        n = text.n;
    while (n && memcmp(text.p + text.n - n, word.p, n) != 0)
        n--;
    return n;
}

/* The stop sequence that is complete first in `text`, wherever pieces end; NULL if there is none. *ret_keep: bytes at its end that must wait. */
static const struct setting *find_stop(const struct emulator *m, struct str text, size_t *ret_at, size_t *ret_keep)
{
    const struct emulation *e = &m->call->emulate;
    const struct setting *found = NULL;

    *ret_at = text.n;
    *ret_keep = 0;
    for (size_t i = 0; i < e->stop_count; i++) {
        struct str stop = e->stops[i].text;
        if (!stop.n || stop.n > STOP_MAX)
            continue;
        size_t at = str_find(text, stop);
        if (at < text.n && (!found || at + stop.n < *ret_at + found->text.n)) {
            *ret_at = at;
            found = &e->stops[i];
        }
        size_t wait = overlap(text, stop);
        if (wait > *ret_keep)
            *ret_keep = wait;
    }
    return found;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static struct str without_blanks_behind(struct str text)
{
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* The fence that a text begins with: its length; 0: none; SIZE_MAX: not clear yet. */
static size_t fence_length(struct str text)
{
    static const struct str fence = STR_INIT("```");
    size_t blanks = 0;

    while (blanks < text.n && is_blank(text.p[blanks]))
        blanks++;
    if (blanks > FENCE_BLANKS)
        return 0;
    struct str rest = str_slice(text, blanks, text.n);
    if (rest.n < fence.n)
        return str_starts(fence, rest) ? SIZE_MAX : 0;
    if (!str_starts(rest, fence))
        return 0;
    size_t line = str_find_char(rest, '\n');
    if (line == rest.n)
        return rest.n < FENCE_LOOK ? SIZE_MAX : 0;
    return blanks + line + 1;
}

/* Take the fence off the beginning of the text. False while it is not clear whether there is one. */
static bool open_fence(struct choice *c, bool last)
{
    size_t fence = fence_length(buf_str(&c->held));

    if (fence == SIZE_MAX && !last)
        return false;
    c->begun = true;
    c->fenced = fence > 0 && fence != SIZE_MAX;
    if (c->fenced)
        buf_consume(&c->held, fence);
    return true;
}

/* The end of a fenced text without its fence and the blanks in front of it. */
static struct str close_fence(struct str text)
{
    struct str body = without_blanks_behind(text), fence = STR("```");

    return str_ends(body, fence) ? without_blanks_behind(str_slice(body, 0, body.n - fence.n)) : text;
}

/* Tell what of c->held is clear; all of it with `last`. */
static err_t release_held(struct emulator *m, struct choice *c, bool last)
{
    size_t at, keep;

    if (m->call->emulate.strip_fence && !c->begun && !open_fence(c, last))
        return OK;
    struct str text = buf_str(&c->held);
    const struct setting *stop = find_stop(m, text, &at, &keep);
    if (stop) {
        TRY(tell_text(m, c, str_slice(text, 0, at)));
        buf_clear(&c->held);
        return cut(m, c, stop->text);
    }
    if (last) {
        err_t e = tell_text(m, c, c->fenced ? close_fence(text) : text);
        buf_clear(&c->held);
        return e;
    }
    if (c->fenced && keep < FENCE_LOOK)
        keep = FENCE_LOOK;
    if (keep > text.n)
        keep = text.n;
    TRY(tell_text(m, c, str_slice(text, 0, text.n - keep)));
    buf_consume(&c->held, text.n - keep);
    return OK;
}

/* --- calls of tools of free text --- */

static void release_text_call(void *obj)
{
    struct text_call *call = obj;

    buf_release(&call->arguments);
}

static struct text_call *find_text_call(const struct choice *c, unsigned block)
{
    struct text_call *call = c->text_calls;

    while (call && call->block != block)
        call = call->next;
    return call;
}

static bool is_text_tool(const struct emulator *m, struct str name)
{
    for (size_t i = 0; i < m->call->emulate.text_tool_count; i++)
        if (str_eq(m->call->emulate.text_tools[i], name))
            return true;
    return false;
}

static void hold_text_call(struct emulator *m, struct choice *c, unsigned block)
{
    struct text_call *call = arena_new(m->arena, struct text_call);

    *call = (struct text_call){.next = c->text_calls, .block = block};
    buf_init(&call->arguments, ARGUMENTS_MAX);
    arena_hold(m->arena, call, release_text_call);
    c->text_calls = call;
}

/* The arguments are whole: tell the text in them. */
static err_t tell_text_call(struct emulator *m, struct choice *c, struct text_call *call)
{
    struct chat_event e = {.kind = CHAT_TEXT,
                           .choice = c->number,
                           .block = call->block,
                           .text = tool_args_to_text(buf_str(&call->arguments), m->arena)};
    struct text_call **at = &c->text_calls;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (e.text.n)
        TRY(chat_tell(m->to, &e));
    buf_release(&call->arguments);
    return OK;
}

static err_t hear_text(struct emulator *m, struct choice *c, const struct chat_event *e)
{
    const struct emulation *by = &m->call->emulate;
    struct text_call *call = find_text_call(c, e->block);

    if (call)
        return buf_add(&call->arguments, e->text);
    if (!c->in_text || e->block != c->block || (!by->stop_count && !by->strip_fence))
        return chat_tell(m->to, e);
    for (struct str rest = e->text; rest.n && !c->cut;) { /* a piece may be larger than what is held at most */
        struct str part = str_slice(rest, 0, HELD_MAX - c->held.n);
        TRY(buf_add(&c->held, part));
        TRY(release_held(m, c, false));
        rest = str_slice(rest, part.n, rest.n);
    }
    return OK;
}

/* --- proofs of origin --- */

static enum signer signer_of(const struct emulator *m, const struct chat_event *e)
{
    return m->call->emulate.signer != SIGNER_NONE ? m->call->emulate.signer : e->signer;
}

static err_t hear_signature(struct emulator *m, const struct chat_event *e)
{
    struct chat_event changed = *e;

    changed.signer = signer_of(m, e);
    return chat_tell(m->to, &changed);
}

/* --- blocks --- */

static err_t hear_start(struct emulator *m, struct choice *c, const struct chat_event *e)
{
    struct chat_event changed = *e;

    c->block = e->block;
    c->begun = false;
    c->fenced = false;
    buf_clear(&c->held);
    changed.name = name_map_back(m->call->names, e->name);
    if (e->block_kind == BLOCK_REDACTED)
        changed.signer = signer_of(m, e);
    c->as_text = e->block_kind == BLOCK_TOOL_CALL && m->call->emulate.schema_tool.n &&
                 str_eq(e->name, m->call->emulate.schema_tool);
    if (c->as_text) {
        changed.block_kind = BLOCK_TEXT;
        changed.id = changed.name = STR_NONE;
        c->was_schema = true;
    }
    c->in_text = changed.block_kind == BLOCK_TEXT;
    if (changed.block_kind == BLOCK_TOOL_CALL && is_text_tool(m, e->name)) {
        changed.custom = true;
        hold_text_call(m, c, e->block);
    }
    return chat_tell(m->to, &changed);
}

static err_t hear_stop(struct emulator *m, struct choice *c, const struct chat_event *e)
{
    struct text_call *call = find_text_call(c, e->block);

    if (call)
        TRY(tell_text_call(m, c, call));
    if (c->in_text && e->block == c->block) {
        if (c->held.n)
            TRY(release_held(m, c, true));
        if (c->cut)
            return OK;
        c->in_text = false;
    }
    return chat_tell(m->to, e);
}

static err_t hear_finish(struct emulator *m, struct choice *c, const struct chat_event *e)
{
    struct chat_event changed = *e;

    if (c->was_schema && e->finish == FINISH_TOOL_CALLS)
        changed.finish = FINISH_STOP;
    return chat_tell(m->to, &changed);
}

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct emulator *m = ctx;

    if (m->done)
        return OK;
    switch (e->kind) {
    case CHAT_START:
    case CHAT_USAGE:
    case CHAT_END:
    case CHAT_ERROR:
        return chat_tell(m->to, e);
    case CHAT_BLOCK_START:
    case CHAT_TEXT:
    case CHAT_SIGNATURE:
    case CHAT_CITATION:
    case CHAT_LOGPROBS:
    case CHAT_BLOCK_STOP:
    case CHAT_FINISH:
        break;
    }
    struct choice *c = choice_of(m, e->choice);
    if (c->cut)
        return OK;
    if (e->kind == CHAT_BLOCK_START)
        return hear_start(m, c, e);
    if (e->kind == CHAT_TEXT)
        return hear_text(m, c, e);
    if (e->kind == CHAT_BLOCK_STOP)
        return hear_stop(m, c, e);
    if (e->kind == CHAT_FINISH)
        return hear_finish(m, c, e);
    if (e->kind == CHAT_SIGNATURE && c->as_text && e->block == c->block)
        return OK; /* of a call that the client does not see */
    return e->kind == CHAT_SIGNATURE ? hear_signature(m, e) : chat_tell(m->to, e);
}

/* --- the filter --- */

struct emulator *emulator_new(struct arena *arena, const struct provider_call *call, const struct chat_sink *to)
{
    if (!is_needed(call))
        return NULL;
    struct emulator *m = arena_new(arena, struct emulator);
    *m = (struct emulator){.arena = arena, .call = call, .to = to, .self = {hear, m}};
    if (call->emulate.think != THINK_TAGS_AUTO)
        m->splitter = think_splitter_new(arena, call->emulate.think == THINK_TAGS_BEGUN, &m->self);
    return m;
}

struct chat_sink emulator_sink(struct emulator *m)
{
    return m->splitter ? think_splitter_sink(m->splitter) : m->self;
}

bool emulator_is_done(const struct emulator *m)
{
    return m->done;
}

/* --- what writers leave to it --- */

void emulate_names(struct provider_call *call, const struct chat_request *q, size_t name_max, struct str extra,
                   struct arena *arena)
{
    call->names = name_map_new(arena, name_max, extra);
    for (const struct tool *t = q->tools; t; t = t->next)
        if (name_map_fits(call->names, t->name))
            (void)name_map_out(call->names, t->name);
    for (const struct tool *t = q->tools; t; t = t->next)
        if (t->kind != TOOL_HOSTED && !name_map_fits(call->names, t->name))
            (void)name_map_out(call->names, t->name);
}

void emulate_tools(struct provider_call *call, const struct chat_request *q, size_t name_max, struct str extra,
                   struct arena *arena)
{
    size_t custom = 0;

    emulate_names(call, q, name_max, extra, arena);
    for (const struct tool *t = q->tools; t; t = t->next)
        custom += t->kind == TOOL_CUSTOM;
    if (!custom)
        return;
    struct str *text_tools = arena_alloc(arena, custom * sizeof *text_tools);
    call->emulate.text_tools = text_tools;
    for (const struct tool *t = q->tools; t; t = t->next)
        if (t->kind == TOOL_CUSTOM)
            text_tools[call->emulate.text_tool_count++] = name_map_out(call->names, t->name);
}

void emulate_think_tags(struct provider_call *call, const struct translation *t, const struct chat_request *q)
{
    bool chosen = t->think_tags == THINK_TAGS_SPLIT || t->think_tags == THINK_TAGS_BEGUN;
    bool usual = t->think_tags == THINK_TAGS_AUTO && (t->vendor->quirks & QUIRK_THINK_TAGS);

    if (!t->client->client.tells_thoughts || (!chosen && !usual))
        return;
    call->emulate.think = chosen ? t->think_tags : THINK_TAGS_SPLIT;
    if (chosen) /* else it is how the vendor tells them */
        loss_note(t->losses, LOSS_CHANGED, json_tree_root(q->document), "thoughts in the text are told as thoughts");
}

const struct setting *emulate_blank_stops(struct provider_call *call, const struct chat_request *q, struct arena *arena,
                                          struct losses *losses, size_t *ret_count)
{
    struct setting *told = arena_alloc(arena, (q->stop_count + 1) * sizeof *told);
    struct setting *blank = arena_alloc(arena, (q->stop_count + 1) * sizeof *blank);

    *ret_count = 0;
    call->emulate.stops = blank;
    for (size_t i = 0; i < q->stop_count; i++) {
        const struct setting *stop = &q->stops[i];
        if (!stop->text.n) {
            loss_drop(losses, stop->from, "an empty text stops nothing");
        } else if (str_is_blank(stop->text)) {
            loss_note(losses, LOSS_EMULATED, stop->from, "looked for by the gateway");
            blank[call->emulate.stop_count++] = *stop;
        } else {
            told[(*ret_count)++] = *stop;
        }
    }
    return told;
}
