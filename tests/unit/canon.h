/*
 * canon.h - the canonical request as stable text, so that tests can say that two requests mean the same.
 *
 * What is unset is not printed; places in documents (`from`) and dialects are not either.
 */
#ifndef UNIT_CANON_H
#define UNIT_CANON_H

#include "base/attr.h"
#include "base/buf.h"
#include "llm/chat.h"

static inline void canon_text(struct buf *to, const char *name, struct str text)
{
    if (text.p)
        buf_addf(to, " %s=\"%.*s\"", name, STR_ARG(text));
}

static inline void canon_number(struct buf *to, const char *name, const struct number *n)
{
    if (n->text.n)
        buf_addf(to, "%s: %.*s\n", name, STR_ARG(n->text));
}

static inline void canon_setting(struct buf *to, const char *name, const struct setting *s)
{
    if (s->text.p)
        buf_addf(to, "%s: %.*s\n", name, STR_ARG(s->text));
}

static inline void canon_flag(struct buf *to, const char *name, const struct flag *f)
{
    if (f->is != UNSET)
        buf_addf(to, "%s: %s\n", name, f->is == YES ? "yes" : "no");
}

static inline void canon_blocks(struct buf *to, const struct block *b, unsigned depth)
{
    static const char *const kinds[] = {"text",   "image",    "audio",    "video",   "document", "call",
                                        "result", "thinking", "redacted", "refusal", "opaque"};
    for (; b; b = b->next) {
        buf_addf(to, "%*s%s", (int)depth * 2, "", kinds[b->kind]);
        if (b->kind != BLOCK_TOOL_CALL && b->kind != BLOCK_TOOL_RESULT)
            canon_text(to, "text", b->text.n ? b->text : STR_NONE);
        if (b->media.data.n) {
            buf_addf(to, " source=%d", (int)b->media.source);
            canon_text(to, "type", b->media.type);
            canon_text(to, "data", b->media.data);
            canon_text(to, "name", b->media.name.n ? b->media.name : STR_NONE);
            canon_text(to, "detail", b->media.detail.n ? b->media.detail : STR_NONE);
        }
        canon_text(to, "id", b->id.n ? b->id : STR_NONE);
        canon_text(to, "name", b->name.n ? b->name : STR_NONE);
        canon_text(to, "arguments", b->arguments.n ? b->arguments : STR_NONE);
        canon_text(to, "signature", b->signature.n ? b->signature : STR_NONE);
        buf_addf(to, "%s%s%s", b->custom ? " custom" : "", b->is_error ? " error" : "", b->summary ? " summary" : "");
        if (b->signer != SIGNER_NONE)
            buf_addf(to, " signer=%d", (int)b->signer);
        if (b->cache != CACHE_NONE)
            buf_addf(to, " cache=%d", (int)b->cache);
        for (const struct citation *c = b->citations; c; c = c->next)
            buf_addf(to, " cites=%.*s[%lld,%lld]", STR_ARG(c->url), (long long)c->start, (long long)c->end);
        buf_add_char(to, '\n');
        canon_blocks(to, b->content, depth + 1);
    }
}

static inline void canon_tools(struct buf *to, const struct chat_request *q)
{
    static const char *const kinds[] = {"function", "custom", "hosted"};

    for (const struct tool *t = q->tools; t; t = t->next) {
        buf_addf(to, "tool %s", kinds[t->kind]);
        canon_text(to, "name", t->name);
        canon_text(to, "description", t->description.n ? t->description : STR_NONE);
        canon_text(to, "parameters", t->parameters.n ? t->parameters : STR_NONE);
        canon_text(to, "format", t->format.n ? t->format : STR_NONE);
        canon_text(to, "raw", t->raw.n ? t->raw : STR_NONE);
        buf_addf(to, " strict=%d\n", (int)t->strict);
    }
    if (q->tool_choice.kind != CHOICE_UNSET) {
        buf_addf(to, "choice %d %.*s", (int)q->tool_choice.kind, STR_ARG(q->tool_choice.name));
        for (size_t i = 0; i < q->tool_choice.allowed_count; i++)
            buf_addf(to, " allowed=%.*s", STR_ARG(q->tool_choice.allowed[i]));
        buf_add_char(to, '\n');
    }
    canon_flag(to, "parallel", &q->parallel_tools);
}

static inline void canon_settings(struct buf *to, const struct chat_request *q)
{
    const struct reasoning *r = &q->reasoning;

    canon_number(to, "max_output", &q->max_output);
    canon_number(to, "temperature", &q->temperature);
    canon_number(to, "top_p", &q->top_p);
    canon_number(to, "top_k", &q->top_k);
    canon_number(to, "min_p", &q->min_p);
    canon_number(to, "typical_p", &q->typical_p);
    canon_number(to, "repetition_penalty", &q->repetition_penalty);
    canon_number(to, "presence_penalty", &q->presence_penalty);
    canon_number(to, "frequency_penalty", &q->frequency_penalty);
    canon_number(to, "seed", &q->seed);
    canon_number(to, "n", &q->n);
    canon_flag(to, "logprobs", &q->logprobs);
    canon_number(to, "top_logprobs", &q->top_logprobs);
    canon_setting(to, "logit_bias", &q->logit_bias);
    for (size_t i = 0; i < q->stop_count; i++)
        canon_setting(to, "stop", &q->stops[i]);
    if (r->on != UNSET || r->effort != EFFORT_UNSET || r->budget >= 0 || r->show != UNSET || r->summary.n)
        buf_addf(to, "reasoning on=%d effort=%d budget=%lld show=%d summary=%.*s\n", (int)r->on, (int)r->effort,
                 (long long)r->budget, (int)r->show, STR_ARG(r->summary));
    if (q->format.kind != FORMAT_UNSET)
        buf_addf(to, "format %d name=%.*s description=%.*s schema=%.*s strict=%d\n", (int)q->format.kind,
                 STR_ARG(q->format.name), STR_ARG(q->format.description), STR_ARG(q->format.schema),
                 (int)q->format.strict);
    canon_setting(to, "verbosity", &q->verbosity);
    canon_setting(to, "service_tier", &q->service_tier);
    canon_setting(to, "user", &q->user);
    canon_setting(to, "metadata", &q->metadata);
    canon_setting(to, "cache_key", &q->cache_key);
    canon_setting(to, "cache_retention", &q->cache_retention);
    canon_flag(to, "store", &q->store);
    canon_setting(to, "modalities", &q->modalities);
    canon_setting(to, "audio", &q->audio);
    canon_setting(to, "prediction", &q->prediction);
    canon_flag(to, "echo", &q->echo);
    canon_setting(to, "suffix", &q->suffix);
}

/* The request in the arena, without its model. */
static inline struct str canon_request(const struct chat_request *q, struct arena *arena)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant"};
    struct buf to CLEANUP(buf_release) = BUF_INIT(16 * 1024 * 1024);

    buf_addf(&to, "%s%s\n", q->stream ? "stream" : "plain", q->is_completion ? " completion" : "");
    for (size_t i = 0; i < q->more_prompt_count; i++)
        buf_addf(&to, "prompt \"%.*s\"\n", STR_ARG(q->more_prompts[i]->blocks->text));
    for (const struct turn *t = q->turns; t; t = t->next) {
        buf_addf(&to, "%s %.*s%s\n", roles[t->role], STR_ARG(t->name), t->prefill == YES ? " prefill" : "");
        canon_blocks(&to, t->blocks, 1);
    }
    canon_tools(&to, q);
    canon_settings(&to, q);
    for (const struct extra *x = q->extras; x; x = x->next)
        if (!x->nested)
            buf_addf(&to, "extra %.*s=%.*s\n", STR_ARG(x->key), STR_ARG(x->raw));
    return arena_str(arena, buf_str(&to));
}

#endif
