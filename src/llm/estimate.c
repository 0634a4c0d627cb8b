/* estimate.c - tokens from bytes. */
#include "llm/estimate.h"

#include <string.h>

enum { TURN_TOKENS = 4, IMAGE_TOKENS = 1000, DOCUMENT_BYTES_PER_TOKEN = 20, MEDIA_TOKENS = 500 };

/* Bytes of ASCII. Every prompt is counted, and most of them are nothing else: four words at a time are passed where there is none beyond. */
static size_t count_ascii(struct str s)
{
    enum { RUN = 4 };
    const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
    size_t others = 0, i = 0;
    uint64_t words[RUN];

    for (; i + sizeof words <= s.n; i += sizeof words) {
        memcpy(words, s.p + i, sizeof words);
        if (LIKELY(!((words[0] | words[1] | words[2] | words[3]) & high)))
            continue;
        for (size_t k = 0; k < RUN; k++)
            others += ((words[k] & high) >> 7) * ones >> 56;
    }
    for (; i + sizeof *words <= s.n; i += sizeof *words) {
        memcpy(words, s.p + i, sizeof *words);
        others += ((words[0] & high) >> 7) * ones >> 56;
    }
    for (; i < s.n; i++)
        others += (unsigned char)s.p[i] >> 7;
    return s.n - others;
}

uint64_t estimate_text(struct str s)
{
    size_t ascii = count_ascii(s);

    return (ascii + 3) / 4 + (s.n - ascii + 1) / 2;
}

static uint64_t of_blocks(const struct block *blocks) /* results nest one level: no reader makes more */
{
    uint64_t n = 0;

    for (const struct block *b = blocks; b; b = b->next) {
        n += estimate_text(b->text) + estimate_text(b->arguments) + estimate_text(b->name);
        switch (b->kind) {
        case BLOCK_IMAGE:
            n += IMAGE_TOKENS;
            break;
        case BLOCK_DOCUMENT:
            n += b->media.source == MEDIA_TEXT ? estimate_text(b->media.data)
                                               : b->media.data.n / DOCUMENT_BYTES_PER_TOKEN;
            break;
        case BLOCK_AUDIO:
        case BLOCK_VIDEO:
            n += MEDIA_TOKENS;
            break;
        case BLOCK_TEXT:
        case BLOCK_TOOL_CALL:
        case BLOCK_TOOL_RESULT:
        case BLOCK_THINKING:
        case BLOCK_REDACTED:
        case BLOCK_REFUSAL:
        case BLOCK_OPAQUE:
            break;
        }
        for (const struct block *c = b->content; c; c = c->next)
            n += estimate_text(c->text) + (c->kind == BLOCK_IMAGE ? IMAGE_TOKENS : 0);
    }
    return n;
}

uint64_t estimate_tokens(const struct chat_request *q)
{
    uint64_t n = 0;

    for (const struct turn *t = q->turns; t; t = t->next)
        n += TURN_TOKENS + of_blocks(t->blocks);
    for (const struct tool *t = q->tools; t; t = t->next)
        n += TURN_TOKENS + estimate_text(t->name) + estimate_text(t->description) + estimate_text(t->parameters) +
             estimate_text(t->raw);
    return n + estimate_text(q->format.schema);
}
