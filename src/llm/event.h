/*
 * event.h - the canonical stream of an answer, plain or streamed: what readers of providers' answers say, and what writers for clients hear.
 *
 * Order, kept by every reader (llm/check_events.h verifies it in tests, and llm/answer.h relies on it):
 *     START  { BLOCK_START  { TEXT | SIGNATURE | CITATION }*  BLOCK_STOP }*  [USAGE]*  FINISH per choice  [USAGE]  END
 * or, at any point, ERROR, which is the last event. Blocks of one choice do not overlap unless the provider itself interleaves tool calls;
 * numbers of blocks are dense per choice, from 0, in order of their start: a reader's own count, never the provider's index. FINISH comes once
 * per choice after all its content. END comes only when the provider's own terminal mark was seen (or, for a plain answer, its whole
 * body); a stream that breaks off ends in ERROR.
 *
 * A plain answer is told by the same events, so each dialect has one reader's logic.
 */
#ifndef LLM_EVENT_H
#define LLM_EVENT_H

#include "base/str.h"
#include "llm/chat.h"
#include "llm/error.h"
#include "llm/usage.h"

enum chat_event_kind {
    CHAT_START,       /* id, model                                                                                */
    CHAT_BLOCK_START, /* choice, block, block_kind; calls: id, name, custom; BLOCK_REDACTED: text is the blob; BLOCK_OPAQUE: text is its JSON, of; BLOCK_IMAGE, BLOCK_AUDIO: media; text is its signature, signer; BLOCK_IMAGE: raw, of */
    CHAT_TEXT, /* choice, block, text: the next piece of a text, thought, refusal, or of a call's arguments; never empty */
    CHAT_SIGNATURE, /* choice, block, text: the whole signature; signer; a later one replaces it. Also of tool calls and texts */
    CHAT_CITATION, /* choice, block, citation                                                                  */
    CHAT_LOGPROBS, /* choice, block, text: raw JSON array of OpenAI's logprobs.content elements for the text just sent */
    CHAT_BLOCK_STOP, /* choice, block                                                                            */
    CHAT_USAGE,      /* usage: replaces what was said before; fields not known are as usage_init() left them      */
    CHAT_FINISH,     /* choice, finish, stop_sequence (of FINISH_STOP_SEQUENCE, may be empty)                    */
    CHAT_END,        /* the answer is whole                                                                      */
    CHAT_ERROR,      /* error: the answer is not whole                                                           */
};

enum finish {
    FINISH_STOP,
    FINISH_STOP_SEQUENCE,
    FINISH_LENGTH,
    FINISH_TOOL_CALLS,
    FINISH_FILTER,  /* content filter or safety block             */
    FINISH_REFUSAL, /* the model refused                          */
    FINISH_CONTEXT, /* the context window is full                 */
    FINISH_PAUSE,   /* to be continued by sending it back         */
};

struct chat_event {
    enum chat_event_kind kind;
    unsigned choice;
    unsigned block;
    enum block_kind block_kind;
    bool custom;
    enum signer signer;
    enum finish finish;
    struct str id, name, model, text, stop_sequence;
    const struct media *media;
    const struct citation *citation;
    const struct usage *usage;
    const struct api_error *error;
    const struct dialect *of; /* CHAT_BLOCK_START of BLOCK_OPAQUE, BLOCK_IMAGE: whose JSON the text or `raw` is */
    struct str raw;           /* CHAT_BLOCK_START of BLOCK_IMAGE: what the picture was part of; empty: nothing more */
    struct str service_tier;  /* CHAT_START or CHAT_FINISH, if known */
    int64_t created;          /* CHAT_START: seconds; 0: unknown     */
};

/* Who hears events. All strings are valid during the call only. An error ends the reading and is returned by the reader. */
struct chat_sink {
    err_t (*hear)(void *ctx, const struct chat_event *e);
    void *ctx;
};

static inline err_t chat_tell(const struct chat_sink *sink, const struct chat_event *e)
{
    return sink->hear(sink->ctx, e);
}

#endif
