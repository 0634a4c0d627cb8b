/*
 * chat.h - the canonical chat request: everything that at least two dialects can say, in one form.
 *
 * A dialect's reader fills it from the client's bytes, another dialect's writer says it in the provider's. Strings borrow from the client's
 * body or live in the request's arena, as everything here does. What was absent stays absent: a field that the client did not set has no
 * text (n == 0) or the value named "unset", and no writer invents it.
 *
 * Every part remembers where it came from (`from`), so that whatever a target cannot express is reported by its place in the client's own
 * document (llm/loss.h). Parts that no canonical form exists for are kept raw, in `extras` or as BLOCK_OPAQUE, for targets of the same
 * family, and are reported as dropped by all others.
 *
 * Shape: turns of the roles system, user and assistant, each with ordered blocks. A tool's result is a block of a user turn, wherever the
 * dialect puts it; neighbouring turns of one role are not merged here (llm/turns.h does it for targets that need it).
 */
#ifndef LLM_CHAT_H
#define LLM_CHAT_H

#include "base/arena.h"
#include "base/str.h"
#include "codec/json_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dialect;

/* Three-valued switches. */
enum truth { UNSET, NO, YES };

/* Marks that everything up to and including this part should be cached by the provider. */
enum cache_hint { CACHE_NONE, CACHE_DEFAULT, CACHE_5M, CACHE_1H };

/* Whose model made a signed or encrypted blob, which is valid nowhere else. */
enum signer { SIGNER_NONE, SIGNER_OPENAI, SIGNER_ANTHROPIC, SIGNER_GOOGLE, SIGNER_OTHER };

/* --- content --- */

enum block_kind {
    BLOCK_TEXT,
    BLOCK_IMAGE,
    BLOCK_AUDIO,
    BLOCK_VIDEO,
    BLOCK_DOCUMENT,    /* a file: PDF, plain text, ...                                          */
    BLOCK_TOOL_CALL,   /* assistant                                                             */
    BLOCK_TOOL_RESULT, /* user                                                                  */
    BLOCK_THINKING,    /* assistant: reasoning in words, with a signature                       */
    BLOCK_REDACTED,    /* assistant: reasoning that only its maker can read                     */
    BLOCK_REFUSAL,     /* assistant                                                             */
    BLOCK_OPAQUE,      /* of one dialect only, raw                                              */
};

enum media_source {
    MEDIA_BASE64,  /* data is base64, standard alphabet */
    MEDIA_URL,     /* data is a URL (never a data: URL: readers decode those)   */
    MEDIA_FILE_ID, /* data names a file kept by the provider                    */
    MEDIA_TEXT,    /* data is the text itself                                   */
};

struct media {
    enum media_source source;
    struct str type; /* media type, lower case: "image/png"; empty if unknown */
    struct str data;
    struct str name;   /* file name or title                                    */
    struct str detail; /* images: "auto", "low", "high"                         */
};

/* Where a text comes from. Fields that a dialect lacks are empty; offsets count Unicode characters of the block's text, -1: unknown. */
struct citation {
    struct citation *next;
    struct str url, title, cited_text, document_id;
    int64_t start, end;
    struct str raw; /* as the dialect `of` wrote it: one JSON object */
    const struct dialect *of;
};

struct block {
    struct block *next;
    enum block_kind kind;
    struct json_node from;
    enum cache_hint cache;
    /* BLOCK_TEXT, BLOCK_THINKING, BLOCK_REFUSAL: the text. BLOCK_REDACTED: the blob. BLOCK_OPAQUE: the JSON as it was written. */
    struct str text;
    struct citation *citations; /* BLOCK_TEXT, in order */
    struct media media;         /* BLOCK_IMAGE, _AUDIO, _VIDEO, _DOCUMENT */
    struct str context;         /* BLOCK_DOCUMENT: what it is about       */
    enum truth citations_on;    /* BLOCK_DOCUMENT: may it be cited        */
    /* BLOCK_TOOL_CALL, BLOCK_TOOL_RESULT */
    struct str id;         /* pairs call and result; as the client knows it   */
    struct str name;       /* of the tool; of results: looked up, may be empty */
    struct str arguments;  /* calls: JSON text as written (may be empty or invalid), or free text if `custom`    */
    bool custom;           /* the call is of a tool that takes free text      */
    struct block *content; /* results: text, images, documents; NULL: empty   */
    bool is_error;         /* results                                         */
    /* BLOCK_THINKING, BLOCK_TOOL_CALL, BLOCK_TEXT (Gemini signs parts): proof of origin, and whose */
    struct str signature;
    enum signer signer;       /* also of BLOCK_REDACTED                           */
    bool summary;             /* BLOCK_THINKING: a summary, not the thought itself */
    const struct dialect *of; /* BLOCK_OPAQUE: whose; BLOCK_IMAGE of an answer: whose JSON `raw` is */
    struct str raw;           /* BLOCK_IMAGE of an answer: what it was part of; empty: nothing more */
    /* private to chat_add_block(), of a list's first block: a block near the list's end, and the first block itself, which a copy is not */
    struct block *tail, *tail_of;
};

enum chat_role { CHAT_SYSTEM, CHAT_DEVELOPER, CHAT_USER, CHAT_ASSISTANT };

struct turn {
    struct turn *next;
    enum chat_role role;
    struct block *blocks; /* NULL: nothing was said */
    struct str name;      /* of the speaker         */
    struct json_node from;
    enum truth prefill; /* the last assistant turn is to be continued, as its dialect says (Mistral prefix, ...) */
};

/* --- tools --- */

enum tool_kind {
    TOOL_FUNCTION,
    TOOL_CUSTOM, /* takes free text, maybe of a grammar                                      */
    TOOL_HOSTED, /* run by the provider: web search, code, ...; raw, of one dialect          */
};

struct tool {
    struct tool *next;
    enum tool_kind kind;
    struct str name, description;
    struct str parameters;    /* JSON Schema as written; empty: none          */
    struct str format;        /* TOOL_CUSTOM: raw JSON of its grammar, or empty */
    struct str raw;           /* TOOL_HOSTED: the whole definition            */
    const struct dialect *of; /* TOOL_HOSTED: whose                         */
    enum truth strict;
    enum cache_hint cache;
    struct json_node from;
};

enum tool_choice_kind { CHOICE_UNSET, CHOICE_AUTO, CHOICE_NONE, CHOICE_REQUIRED, CHOICE_NAMED };

struct tool_choice {
    enum tool_choice_kind kind;
    struct str name;           /* CHOICE_NAMED                                                      */
    const struct str *allowed; /* AUTO, REQUIRED: only these tools; NULL: all                       */
    size_t allowed_count;
    struct json_node from;
};

/* --- settings --- */

/* A number as the client wrote it; text.n == 0: not set. */
struct number {
    struct str text;
    struct json_node from;
};

/* A string, or raw JSON where said so; text.p == NULL: not set. */
struct setting {
    struct str text;
    struct json_node from;
};

struct flag {
    enum truth is;
    struct json_node from;
};

enum format_kind { FORMAT_UNSET, FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA };

struct response_format {
    enum format_kind kind;
    struct str name, description;
    struct str schema; /* JSON Schema as written */
    enum truth strict;
    struct json_node from;
};

enum effort {
    EFFORT_UNSET,
    EFFORT_NONE,
    EFFORT_MINIMAL,
    EFFORT_LOW,
    EFFORT_MEDIUM,
    EFFORT_HIGH,
    EFFORT_XHIGH,
    EFFORT_MAX
};

struct reasoning {
    enum truth on; /* NO: must not think; YES: must; UNSET: as the model does          */
    bool adaptive; /* with YES: the model decides how much                             */
    enum effort effort;
    int64_t budget;        /* tokens; -1: not set                                              */
    enum truth show;       /* are its words wanted in the answer?                              */
    struct str summary;    /* "auto", "concise", "detailed"; empty: not set                    */
    struct json_node from; /* of the effort or the whole setting                            */
};

/* A field of the client's document without a canonical form, at its top level or (path) deeper. */
struct extra {
    struct extra *next;
    struct str key; /* as written between its quotes; of the innermost object */
    struct str raw; /* its value's JSON text                                  */
    struct json_node from;
    bool nested; /* not a member of the top level: only to be reported     */
};

struct chat_request {
    const struct dialect *dialect;    /* the client's: that of extras and raw parts */
    const struct json_tree *document; /* the client's                               */
    struct str model;
    bool stream;
    bool include_usage; /* of a stream; dialects that always send it: true */
    struct turn *turns;
    struct tool *tools;
    struct tool_choice tool_choice;
    struct flag parallel_tools;
    struct response_format format;
    struct reasoning reasoning;
    struct number max_output, temperature, top_p, top_k, min_p, typical_p, repetition_penalty, presence_penalty,
        frequency_penalty, seed, n, top_logprobs;
    struct flag logprobs;
    struct setting logit_bias; /* raw object */
    struct setting *stops;
    size_t stop_count;
    struct setting verbosity, service_tier, user, metadata /* raw object */, cache_key, cache_retention;
    struct flag store;
    struct setting modalities /* raw array */, audio /* raw object */, prediction /* raw object */;
    struct extra *extras; /* in the order of the document */
    /* Legacy completions, TGI and the like: one user turn with the prompt, answered with text. */
    bool is_completion;
    struct turn *
        *more_prompts; /* beyond the one in `turns`: each is answered by itself, and writers see one at a time */
    size_t more_prompt_count;
    struct flag echo; /* repeat the prompt in the answer */
    struct setting suffix;
    bool
        is_continuation; /* ours, of an answer that broke off (llm/continuation.h): the last turns are not the client's */
    /* private to chat_add_…() */
    struct turn *last_turn;
    struct tool *last_tool;
    struct extra *last_extra;
};

/* --- building: append to lists; new parts are zeroed, in the arena --- */

struct turn *chat_add_turn(struct chat_request *q, struct arena *arena, enum chat_role role, struct json_node from);
/* `list` is a turn's `blocks` or a result's `content`. Costs a step while a list is built by this function alone, else a walk to its end. A first
 * block must not be moved to another list, but may be copied. */
struct block *chat_add_block(struct block **list, struct arena *arena, enum block_kind kind, struct json_node from);
struct tool *chat_add_tool(struct chat_request *q, struct arena *arena, enum tool_kind kind, struct json_node from);
void chat_add_extra(struct chat_request *q, struct arena *arena, struct json_node key, struct json_node value,
                    bool nested);
/* The same to any list of extras; returns the new one. */
struct extra *extras_add(struct extra **list, struct arena *arena, struct json_node key, struct json_node value);

/* --- reading: the same few steps in every dialect --- */

void chat_read_number(struct number *to, struct json_node v);
/* A string; anything else leaves it unset. */
void chat_read_setting(struct setting *to, struct json_node v, struct arena *arena);
/* Any JSON, raw. */
void chat_read_raw(struct setting *to, struct json_node v);
void chat_read_flag(struct flag *to, struct json_node v);
/* Members of an object that are not among these, as nested extras; null is absent. */
void chat_keep_unknown(struct chat_request *q, struct arena *arena, struct json_node object, const struct str *known,
                       size_t count);
#define CHAT_KEEP_UNKNOWN(q, arena, object, ...)                                                                       \
    do {                                                                                                               \
        static const struct str known_[] = {__VA_ARGS__};                                                              \
        chat_keep_unknown((q), (arena), (object), known_, ARRAY_LEN(known_));                                          \
    } while (0)
/* A value, or its member of this name (empty: itself; it may be absent), as many vendors name fields: "messages.0.content". In the arena. */
struct str chat_field(struct json_node at, struct str member, struct arena *arena);
/* The same as OpenAI and Google name them: "messages[0].content". */
struct str chat_field_indexed(struct json_node at, struct str member, struct arena *arena);
/* "none" … "max"; EFFORT_UNSET for anything else. */
enum effort effort_of(struct str name);
/* Its name. Static; empty for EFFORT_UNSET. */
struct str effort_name(enum effort e);
/* Tokens that stand for an effort where a provider knows only budgets, and the other way. The documented table. */
int64_t effort_budget(enum effort e);
enum effort budget_effort(int64_t budget);

/*
 * A URL as a media source: "data:image/png;base64,…" becomes MEDIA_BASE64 with its type (base64 in standard alphabet, "image/jpg" as
 * "image/jpeg"), data: URLs without base64 become MEDIA_TEXT, all others MEDIA_URL. E_PARSE for a broken data: URL.
 */
err_t media_from_url(struct media *to, struct str url, struct arena *arena) MUST_CHECK;
/* Base64 text in the standard alphabet, padded; `text` itself if it is so already. The URL alphabet, missing padding and blanks are mended; what is no
 * base64 at all stays so. */
struct str base64_standard(struct str text, struct arena *arena);
/* What the first bytes of base64 data say it is: "image/png", "application/pdf", ...; empty if nothing is recognised. */
struct str media_sniff(struct str base64);
/* What the ending of a URL's path says it is; static, empty if nothing is recognised. */
struct str media_type_of_url(struct str url);

/* --- asking --- */

/* How many choices an answer will have: 1 unless the client asked for more, up to ANSWER_CHOICES_MAX. */
unsigned chat_choices(const struct chat_request *q);
bool turn_has(const struct turn *t, enum block_kind kind);
/* The call that a result of this id answers, looking back from `until` (NULL: all); NULL if there is none. */
const struct block *chat_find_call(const struct chat_request *q, struct str id, const struct turn *until);
/* Each result gets the name of the last call before it that has its id. */
void chat_name_results(struct chat_request *q);
/* Text of all text blocks joined by `joint`, in the arena. */
struct str blocks_text(const struct block *blocks, struct str joint, struct arena *arena);
/* Is the tool among those that the choice allows? */
bool tool_is_allowed(const struct tool_choice *c, struct str name);

#endif
