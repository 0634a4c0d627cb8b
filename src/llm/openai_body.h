/*
 * openai_body.h - request and answer bodies of the OpenAI dialect, read in one pass and passed on byte for byte. Pure.
 */
#ifndef LLM_OPENAI_BODY_H
#define LLM_OPENAI_BODY_H

#include "base/arena.h"
#include "codec/json_scan.h"
#include "llm/usage.h"

/* What a relay needs to know of a request, and where it stands. */
struct openai_request {
    struct str doc;   /* the body, borrowed                                     */
    struct str model; /* what the client asks for                               */
    bool stream;
    bool include_usage; /* the client asked for usage in its stream               */
    /* ---- where: for openai_request_rewrite() ---- */
    struct json_top top;
    struct json_member model_at, options_at; /* options: "stream_options"; kind JSON_NULL if absent or null */
    bool has_options;
    struct str options;           /* its text                                               */
    struct json_member choice_at; /* "tool_choice", if choice_is_any              */
    struct str service_tier;      /* that the client asks for, if it is a plain word        */
    bool choice_is_any;           /* it is "any", Mistral's word for "required"   */
};

/*
 * Read a body of /chat/completions, /completions, /responses or /embeddings. E_PARSE with the reason in words; *ret_param then names the
 * field at fault (static; empty: the body as a whole). Members that decide where the request goes must not come twice.
 */
err_t openai_request_read(struct str doc, struct arena *arena, struct openai_request *ret, struct str *ret_param)
    MUST_CHECK;

/*
 * The body to send: `model` in place of the client's name for it and, if `ask_usage`, stream_options.include_usage set, and
 * tool_choice "required" where it was "any"; everything else untouched. As parts to be written one after the other, in `arena`, borrowing from doc.
 */
err_t openai_request_rewrite(const struct openai_request *q, struct str model, bool ask_usage, struct arena *arena,
                             struct str **ret_parts, size_t *ret_count) MUST_CHECK;

/* Reads an answer's body as it passes by, in pieces of any size: is it valid JSON, and what was used? */
struct openai_answer {
    struct json_scan scan;
    struct usage usage;
    bool broken; /* not valid JSON so far */
};

void openai_answer_init(struct openai_answer *a);
void openai_answer_release(struct openai_answer *a);
void openai_answer_feed(struct openai_answer *a, struct str piece);
/* At the end: was all of it one valid JSON document? */
bool openai_answer_end(struct openai_answer *a);

#endif
