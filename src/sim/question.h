/*
 * question.h - what a request asks for, whichever endpoint it came to: chat, responses or legacy completions. Pure.
 */
#ifndef SIM_QUESTION_H
#define SIM_QUESTION_H

#include "base/arena.h"
#include "sim/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

/* Limits that OpenAI sets. */
enum { SIM_STOPS_MAX = 4, SIM_CHOICES_MAX = 128, SIM_TOOLS_MAX = 128 };

enum sim_format { SIM_TEXT, SIM_JSON_OBJECT, SIM_JSON_SCHEMA, SIM_PATTERN };
enum sim_tool_choice { SIM_TOOL_NONE, SIM_TOOL_AUTO, SIM_TOOL_REQUIRED, SIM_TOOL_NAMED };

struct sim_tool {
    struct str name;
    yyjson_val *parameters; /* JSON Schema; NULL: an empty object */
    bool custom;            /* takes free text                    */
    bool barred;            /* left out by allowed_tools          */
};

/* All strings live in the request's arena, or in the body. */
struct question {
    struct str model;
    struct str asked;  /* text of the last user message: what the answer echoes          */
    struct str result; /* text of the last message if that is a tool's result, else none */
    uint64_t hash;     /* sim_hash() over everything that was said                       */
    size_t prompt_tokens;
    int64_t max_tokens; /* -1: no limit                                                   */
    size_t n;
    struct str *stops; /* in the arena */
    size_t stop_count;
    struct sim_tool *tools;
    size_t tool_count;
    enum sim_tool_choice tool_choice;
    struct str tool_named;
    enum sim_format format;
    yyjson_val *schema;
    struct str pattern; /* of SIM_PATTERN: a regular expression                              */
    size_t reasoning_tokens;
    bool tells_thoughts; /* the answer has the text of its reasoning, too */
    unsigned top_logprobs;
    bool stream, include_usage, logprobs;
    bool parallel; /* may several tools be called at once?                           */
    bool legacy_functions;
    /* an answer that broke off elsewhere and is to be continued; see question_settle() */
    struct str continues; /* its text so far; empty: none                                          */
    struct str again;     /* the words that are to be said again first                             */
    struct {
        bool last, is_plain; /* the last message is the assistant's; it has one text                  */
        uint64_t hash;       /* before the assistant's last message                                   */
        struct str asked, text;
    } partial_;      /* private */
    bool usage_each; /* vLLM's continuous_usage_stats: usage on every chunk                      */
};

/* Tokens that are counted for the frame of the whole prompt, of each message, and of what is no text. Documented. */
enum { SIM_PROMPT_TOKENS = 3, SIM_MESSAGE_TOKENS = 4, SIM_IMAGE_TOKENS = 85, SIM_MEDIA_TOKENS = 100 };

/* A question that nothing has been added to. */
void question_init(struct question *q);
/* Add a piece of what was said: to the hash and the count. */
void question_add_text(struct question *q, struct str text);
/* Begin a message of this role. */
void question_add_role(struct question *q, struct str role);
/*
 * All has been read: is the last message an unfinished one of the assistant's, or a user's that asks to go on with it (llm/continuation.h)? Then the question
 * is the one that was asked before it, and the answer is what is missing of the same answer.
 */
void question_settle(struct question *q);
/* The tokens that a model thinks with this effort; 0 for an unknown or empty one. */
size_t question_effort_tokens(struct str effort) PURE;
/* Add the tokens of the tools' definitions, and the definitions to the hash. */
err_t question_add_tools(struct arena *a, struct question *q, yyjson_val *tools) MUST_CHECK;
/* Set the stop sequences: a string, or an array of strings; anything else is none. In the arena. */
void question_set_stops(struct arena *a, struct question *q, yyjson_val *stops);
/* A name of the form [A-Za-z0-9_-]{1,64}. */
bool question_is_name(struct str name) PURE;
/* Check a JSON Schema's outside: it must be an object. NULL is allowed. */
err_t question_check_schema(struct arena *a, yyjson_val *schema, struct str param, struct sim_refusal *r) MUST_CHECK;
/* Check that a regular expression is one that answers can be made from. */
err_t question_check_pattern(struct arena *a, struct str regex, struct str param, struct sim_refusal *r) MUST_CHECK;

#endif
