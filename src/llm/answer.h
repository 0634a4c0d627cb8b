/*
 * answer.h - a whole answer, gathered from the canonical events: for writers of plain answers, and for tests.
 */
#ifndef LLM_ANSWER_H
#define LLM_ANSWER_H

#include "base/arena.h"
#include "llm/event.h"

enum { ANSWER_CHOICES_MAX = 128 };

struct answer_choice {
    struct block *blocks; /* in order; texts, calls' arguments and signatures whole */
    struct str logprobs;  /* raw JSON array of OpenAI's logprobs.content; empty: none */
    bool finished;
    enum finish finish;
    struct str stop_sequence;
};

struct answer {
    struct str id, model, service_tier;
    int64_t created;
    struct answer_choice *choices;
    size_t choice_count;
    struct usage usage;
    bool ended;
};

/*
 * A sink that gathers events into `ret`, in the arena; strings are copied.
 *
 * Errors of hearing: E_TOO_LARGE (arena, choices), E_PROTOCOL for events out of order (a bug of the reader). An event CHAT_ERROR is returned as
 * E_UPSTREAM with ret->error set.
 */
struct answer_builder;
struct answer_builder *answer_builder_new(struct arena *arena, struct answer *ret);
struct chat_sink answer_sink(struct answer_builder *b);
/* After CHAT_ERROR: what it said, in the arena; NULL if there was none. */
const struct api_error *answer_error(const struct answer_builder *b);

/* The first choice, for dialects that have no more: one that ended without a word if there is none. */
const struct answer_choice *answer_first(const struct answer *a);

/* Tell a whole answer as events, as a stream would: each block's text in one piece. */
err_t answer_tell(const struct answer *a, const struct chat_sink *sink) MUST_CHECK;

#endif
