/*
 * error_body.h - what a provider's error body says, whatever its shape. Pure.
 *
 * Providers, and the proxies before them, answer errors as {"error":{…}}, {"error":"…"}, {"message":"…"}, {"detail":…}, as a list of one of
 * these, as text, as a page for people, or not at all.
 */
#ifndef LLM_ERROR_BODY_H
#define LLM_ERROR_BODY_H

#include "base/arena.h"
#include "codec/json_tree.h"
#include "llm/error.h"

#include <stdbool.h>

struct error_body {
    struct str message;      /* the words; empty if there are none: a page for people has none */
    struct str type, code;   /* members of these names, numbers as written; empty: none        */
    struct str status;       /* Google's: "RESOURCE_EXHAUSTED"; empty: none                    */
    struct json_node object; /* that held the words; absent: it was no JSON                    */
};

/* Read `body`; all in the arena, the words cut after 2 KiB. */
void error_body_read(struct arena *arena, struct str body, struct error_body *ret);
/* The same of JSON that is at hand: an event of a stream. */
void error_body_of(struct arena *arena, struct json_node v, struct error_body *ret);

/* Do the words say that a prompt is longer than the model takes? Providers have no code for it but words. */
bool error_words_context(struct str message);

/* Milliseconds until a retry makes sense, from retry-after-ms or retry-after in seconds; -1: not said (or said as a date). `header` as in
 * llm/dialect.h. */
int64_t error_retry_hint(struct str (*header)(void *ctx, struct str name), void *ctx);

#endif
