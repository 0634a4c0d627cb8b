/*
 * chat_style.h - how servers that nearly speak OpenAI's chat dialect differ from it: one struct of differences each. Pure.
 *
 * Requests are read as OpenAI reads them (chat_read.h), then held against the style; answers are written from the same question and
 * answer as OpenAI's. A style is a constant in the surface's file; members that are zero mean "as OpenAI".
 */
#ifndef SIM_CHAT_STYLE_H
#define SIM_CHAT_STYLE_H

#include "sim/chat_write.h"
#include "sim/fields.h"

/* Where the model's thoughts stand. */
enum style_thought {
    STYLE_THOUGHT_HIDDEN,
    STYLE_REASONING_CONTENT, /* "reasoning_content"                                         */
    STYLE_REASONING,         /* "reasoning"                                                 */
    STYLE_REASONING_DETAILS, /* "reasoning", and "reasoning_details" with typed blocks      */
    STYLE_THINKING_PARTS,    /* "content" becomes a list: a part of type "thinking", a text */
};

/* Which chunks of a stream carry usage. */
enum style_usage {
    STYLE_USAGE_ASKED,  /* one more chunk, if stream_options asks for it */
    STYLE_USAGE_FINISH, /* the last one with a choice, unasked           */
    STYLE_USAGE_EVERY,  /* all of them, counting up, unasked             */
    STYLE_USAGE_NEVER,  /* none; nor do whole answers                    */
};

enum style_error {
    STYLE_ERROR_OPENAI,
    STYLE_ERROR_INT_CODE,   /* OpenAI's, "code" being the status as a number                     */
    STYLE_ERROR_FLAT,       /* {"object":"error","message","type","param","code":400}            */
    STYLE_ERROR_TEXT,       /* {"error":"..."}                                                   */
    STYLE_ERROR_OPENROUTER, /* {"error":{"message","code":400}}; in a stream beside choices      */
    STYLE_ERROR_PROBLEM,    /* {"type","title","status","detail"}                                */
    STYLE_ERROR_AZURE,      /* {"error":{"code","message",...}} with "innererror" if filtered    */
};

/* What an extra member may depend on. */
struct style_moment {
    enum style_place {
        STYLE_TOP,     /* of the answer, or of a chunk                                         */
        STYLE_CHOICE,  /* within a choice                                                      */
        STYLE_MESSAGE, /* within its message or delta                                          */
        STYLE_IN_USAGE /* within usage                                                         */
    } place;
    const struct question *q;
    const struct sim_answer *answer;
    const struct sim_mark *mark;
    const struct sim_choice *choice; /* NULL at the top and in usage             */
    bool first, last;                /* of the stream's chunks with a choice; both of a whole answer */
    bool finish;                     /* the choice is complete here              */
    bool stream;
};

struct chat_style {
    /* --- what is refused --- */
    const char *const *refused; /* fields of OpenAI's that it does not take; NULL-terminated, NULL: none    */
    const struct field_rule *own;
    size_t own_count;          /* fields of its own                                                        */
    bool strict;               /* refuse fields that are neither OpenAI's nor its own                      */
    bool max_tokens_only;      /* refuse max_completion_tokens                                             */
    const char *const *unread; /* fields that `check` reads, not OpenAI's reader; NULL-terminated          */
    const char *model;         /* what a request without a model means; NULL: it must name one             */
    /* Look at the rest of the request, and change what is asked. E_PARSE with *r filled. NULL: nothing. */
    err_t (*check)(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r);
    enum style_error error;

    /* --- what an answer looks like --- */
    enum style_thought thought;
    enum style_usage usage;
    const char *id_prefix;          /* of the answer; NULL: "chatcmpl-"                             */
    bool hex_ids;                   /* 32 hexadecimal digits instead; of calls 9 characters         */
    const char *fingerprint;        /* NULL: no system_fingerprint                                  */
    bool no_created, zero_created;  /* created is missing, or 0                                     */
    bool no_call_type, no_call_id;  /* members of tool calls that are missing                       */
    bool no_call_index;             /* likewise; only together with whole_calls                     */
    bool whole_calls;               /* a call comes in one delta                                    */
    bool call_index_always;         /* calls of whole answers have an index, too                    */
    bool object_arguments;          /* arguments come as an object for half of all questions        */
    bool role_always, null_content; /* every delta has a role; "content":null where there is none   */
    bool empty_finish;              /* finish_reason "" before the last chunk                       */
    bool thought_not_in_completion; /* completion_tokens are without the thoughts'                  */
    bool no_done;                   /* a stream ends without [DONE]                                 */
    struct str prologue;            /* sent before the first chunk, as it is                        */
    struct str comment;             /* sent between chunks now and then, as it is                   */
    /* Append more members, each with a comma before it. NULL: none. */
    void (*extra)(const struct style_moment *m, struct buf *to);
    /* Why a choice ended. NULL: OpenAI's words. */
    struct str (*finish)(const struct question *q, const struct sim_choice *c);
};

/* Read a request in this style. E_PARSE with *r filled. The question borrows from arena and body. */
err_t style_read(const struct chat_style *s, struct arena *a, struct str body, struct question *ret,
                 struct sim_refusal *r) MUST_CHECK;
/* Append the whole answer. */
void style_write(const struct chat_style *s, const struct question *q, const struct sim_answer *answer,
                 const struct sim_mark *mark, struct buf *to);
/* A stream of it, in the arena; borrows everything. */
struct sim_feed *style_feed(const struct chat_style *s, struct arena *a, const struct question *q,
                            const struct sim_answer *answer, const struct sim_mark *mark);
/* Append the body of an error. */
void style_write_error(enum style_error form, const struct sim_refusal *why, struct buf *to);

#endif
