/* chat_write.h - answers of /v1/chat/completions, whole or as a stream. Pure. */
#ifndef SIM_CHAT_WRITE_H
#define SIM_CHAT_WRITE_H

#include "sim/answer.h"
#include "sim/feed.h"

/* What an answer is known by. */
struct sim_mark {
    uint64_t unique; /* for ids: differs between requests */
    int64_t created; /* seconds since 1970                */
};

enum { SIM_ID_MAX = 40 };
/* "<prefix><24 hex digits>" of `unique` and `part`; returns the length. */
size_t sim_id(char out[SIM_ID_MAX], const char *prefix, uint64_t unique, uint64_t part);

/* Append "logprobs":... of a text, or of one token of it: null if they were not asked for, or there is no text. */
void chat_write_logprobs(const struct question *q, struct str text, struct buf *to);
/* Append the array of its tokens in there. */
void chat_write_token_logprobs(const struct question *q, struct str text, struct buf *to);
/* Append the whole answer. */
void chat_write(const struct question *q, const struct sim_answer *answer, const struct sim_mark *mark, struct buf *to);
/* A stream of it, in the arena; borrows everything. */
struct sim_feed *chat_feed(struct arena *a, const struct question *q, const struct sim_answer *answer,
                           const struct sim_mark *mark);

#endif
