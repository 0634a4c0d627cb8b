/*
 * openai_stream.h - streams of the OpenAI dialect on their way through: which bytes go on, what was used, how it ended. Pure.
 *
 * Each event is looked at once and passed on as it came, but for: the usage chunk that we asked for and the client did not; "usage":null
 * members that come with it; and provider errors, which are rebuilt without the provider's secrets. A stream ends in exactly one of: its terminal
 * event, or an error event.
 */
#ifndef LLM_OPENAI_STREAM_H
#define LLM_OPENAI_STREAM_H

#include "base/arena.h"
#include "codec/sse.h"
#include "llm/usage.h"

#include <stdbool.h>
#include <stdint.h>

enum openai_stream_kind {
    STREAM_CHAT,      /* chat and legacy completions: chunks, then [DONE]          */
    STREAM_RESPONSES, /* typed events, the last one with the whole response        */
};

/* What to do with an event. */
enum stream_verdict {
    STREAM_PASS,   /* all of it goes on                                          */
    STREAM_DROP,   /* none of it                                                 */
    STREAM_EDIT,   /* parts[0..part_count) in its place                          */
    STREAM_FAILED, /* an error of the provider: error_message says what, pass nothing */
};

enum { STREAM_PARTS_MAX = 4 };

struct openai_stream {
    enum openai_stream_kind kind;
    bool strip_usage; /* we asked for usage, the client did not                        */
    struct usage usage;
    bool done;                               /* the terminal event has been seen                              */
    bool content;                            /* the first content has been seen                               */
    uint64_t choices_seen, choices_finished; /* chat: one bit per choice index below 64        */
    uint64_t sequence_number;                /* responses: the next one                                       */
    struct str parts[STREAM_PARTS_MAX];
    size_t part_count;
    struct str error_message, error_code; /* of STREAM_FAILED: JSON strings or empty, slices of the event */
};

void openai_stream_init(struct openai_stream *s, enum openai_stream_kind kind, bool strip_usage);
/* Decide about one event. Parts and error text are slices of the event. */
enum stream_verdict openai_stream_event(struct openai_stream *s, const struct sse_event *event);
/* The transport ended properly without a terminal event: has everything been said all the same? True for look-alikes that forget [DONE]
 * after having finished every choice. */
bool openai_stream_is_complete(const struct openai_stream *s);

#endif
