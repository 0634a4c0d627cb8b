/*
 * dialect.h - a wire format for talking to models: pure translation between its bytes and the canonical model, no I/O.
 *
 * One file per dialect in llm/dialect/, holding one constant struct named dialect_<file stem>; the build lists them in the catalog
 * (scripts/gen-catalog). A dialect has two sides, each optional: what a client says to us and hears from us, and what we say to a provider
 * and hear from it. Slots that are NULL have the stated default. Larger dialects keep parts of their code in llm/<stem>_*.c.
 *
 * None of the functions suspends or keeps anything beyond the given arena. Readers never fail on an unknown field; writers report in
 * t->losses whatever they cannot say. Same dialect on both sides never comes here: bytes pass through.
 */
#ifndef LLM_DIALECT_H
#define LLM_DIALECT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "llm/answer.h"
#include "llm/chat.h"
#include "llm/embed.h"
#include "llm/error.h"
#include "llm/event.h"
#include "llm/framing.h"
#include "llm/loss.h"
#include "llm/model_card.h"
#include "llm/name_map.h"
#include "llm/rerank.h"

#include <stdbool.h>
#include <stddef.h>

struct http_head;
struct vendor;

/* What a request asks for. */
enum operation {
    OP_CHAT, /* generation of any kind: chat, completion, messages                       */
    OP_EMBED,
    OP_RERANK,
    OP_COUNT_TOKENS, /* of a chat request                                                        */
    OP_TOKENIZE,     /* of a text                                                                */
    OP_MODELS,       /* list                                                                     */
    OP_MODEL,        /* one of it                                                                */
    OP_STATIC,       /* answered by us with the row's text: version, "is running"                */
    OP_PASS,         /* only ever relayed to a provider of the same dialect, model in body or path */
};

enum model_place {
    MODEL_IN_BODY, /* member "model"                                     */
    MODEL_IN_PATH, /* {model} of the pattern                             */
    MODEL_NONE,
    MODEL_IN_FORM, /* field "model" of multipart/form-data, else as MODEL_IN_BODY */
};

enum stream_rule {
    STREAM_NEVER,
    STREAM_ALWAYS,  /* the path says so                                   */
    STREAM_IF_TRUE, /* member "stream" is true                            */
    STREAM_UNLESS_FALSE,
};

/* How a stream is handed on where bytes pass through. */
enum relay_form {
    RELAY_FRAMES, /* frame by frame, the dialect's reader watching                          */
    RELAY_CHUNKS, /* as OpenAI's chunks (openai_stream.h), the fastest way                  */
    RELAY_TYPED,  /* as its typed events, likewise                                          */
};

/* An operation as clients reach it. */
struct endpoint_row {
    const char *method;
    const char *path; /* "/v1/messages"; {model}: one or more segments up to what follows it or the end, decoded once;
                          * {x}: any one segment. Below a dialect prefix too ("/anthropic/v1/messages")          */
    enum operation operation;
    enum model_place model;
    enum stream_rule stream;
    const char *label; /* in metrics and logs: "chat", "embeddings", ...; static                              */
    const char *text;  /* OP_STATIC: the body                                                                 */
    unsigned variant;  /* the dialect's own: tells its rows apart                                              */
    int status; /* OP_STATIC: 0 for 200; an error's, whose words are the text: it is told as the dialect tells errors */
    const char *type; /* OP_STATIC: content type; NULL: application/json                                       */
    bool
        repeats_model; /* the body names the path's model again, so that it is written anew where the provider has another name for it */
};

/* Where a provider's models write their thoughts. */
enum think_tags {
    THINK_TAGS_AUTO,  /* as its vendor's row says                                                  */
    THINK_TAGS_KEEP,  /* in a field of their own, or nowhere                                       */
    THINK_TAGS_SPLIT, /* at the beginning of the text, between <think> and </think>                */
    THINK_TAGS_BEGUN, /* likewise, but the prompt's template has written the opening tag already   */
};

/* One request's translation: what all slots share. In the request's arena. */
struct translation {
    struct arena *arena; /* the request's                                               */
    const struct dialect *client, *provider;
    const struct vendor *vendor;    /* the provider's row; NULL when only the client's side is asked */
    const struct endpoint_row *row; /* by which the client came                                    */
    struct str path_model;          /* {model} of its path                                         */
    struct str query;               /* of its target, raw                                          */
    struct str api_version;         /* header anthropic-version, or query api-version, ...; empty  */
    struct str betas;               /* header anthropic-beta of the client, values joined by commas; empty */
    struct str model;               /* the provider's name of the model                            */
    struct str client_model;        /* the client's                                                */
    struct str provider_version;    /* configured version of the provider's API; empty: the dialect's default */
    enum think_tags think_tags;     /* configured                                                  */
    int64_t default_max_output;     /* for dialects that require one; > 0                          */
    struct losses *losses;
    /* Set by a reader of the client's side that fails, where clients look at a code of their vendor's; static. */
    const char *refusal_code;
    struct str agent;      /* header user-agent of the client; empty: it has none */
    struct str request_id; /* of the client's request, as the answer's headers tell it; empty: it has none */
    uint64_t unique;       /* random, for ids that we make                                */
    int64_t now;           /* seconds since 1970                                          */
};

/* A header to send. */
struct call_header {
    struct str name, value;
};

enum { CALL_HEADERS_MAX = 8 };

/* What was done in another way because the provider has no such thing; undone on the way back by llm/emulate.h. */
struct emulation {
    struct str
        schema_tool; /* structured output comes as a call of this tool: hand its arguments out as text; empty: no */
    const struct setting
        *stops; /* cut the text at these; count 0: no                                                  */
    size_t stop_count;
    unsigned choices; /* that the answer will have: a stream ends when all are cut; 0: one                  */
    bool strip_fence; /* JSON mode by instruction: take ```json fences off                                      */
    const struct str
        *text_tools; /* tools of free text told as functions of one string (tool_args.h), by their names at the
                                   * provider: hand out the text; count 0: none                                     */
    size_t text_tool_count;
    enum think_tags think; /* SPLIT or BEGUN: tell thoughts in the text as thoughts                */
    enum signer
        signer; /* whose the answer's blobs are, where its form does not tell and its model does; SIGNER_NONE: as the reader says */
};

/* A request as the provider is to get it. */
struct provider_call {
    struct buf *body;   /* set by the caller, empty; limited                                              */
    const char *method; /* NULL: POST                                                                     */
    struct str path;    /* below the provider's base URL, with query: "/messages"; segments percent-coded */
    struct call_header headers[CALL_HEADERS_MAX]; /* besides content-type: application/json and the credential  */
    size_t header_count;
    bool stream;
    enum framing framing; /* of a streamed answer                                                           */
    struct emulation emulate;
    /* Names of tools that had to be changed for this provider: pairs (theirs, client's). */
    struct name_map *names;
};

/* Ids and model as an answer to the client shows them. */
struct answer_frame {
    struct arena *arena;
    const struct translation *t;
    const struct chat_request *request; /* NULL in a relay of errors                                           */
    struct str model;                   /* what the client asked for                                           */
    int64_t created;
    uint64_t unique;         /* for ids                                                             */
    uint64_t input_estimate; /* tokens of the prompt, where tells_estimate; 0: unknown */
    bool
        follows; /* the client hears a provider's own bytes, which the writer may have to go on with: ids, model and time are those of CHAT_START */
};

/* How a model is made to go on with an answer that broke off (llm/continuation.h). */
enum continuation_form {
    CONTINUES_BY_TURN, /* it is asked to, in a further turn of the user's: always possible                        */
    CONTINUES_PREFILL, /* the request ends with the assistant's unfinished turn, and the provider documents that its models
                        * go on with it                                                                           */
    CONTINUES_PROMPT, /* a completion: the text is put behind the prompt                                         */
};

struct client_side {
    const struct endpoint_row *endpoints; /* ends with a row without method */
    /* Further dialects that clients use below its prefix ("/ollama/v1/chat/completions"): names, NULL-terminated; NULL: none. */
    const char *const *along;
    /* Does a request to a path that several dialects have say that it is of this one, by what only its clients send? `path` is tidy. NULL: never. */
    bool (*claims)(struct str method, struct str path, const struct http_head *head);
    /* Members of a body by which it is told from another dialect's at the same path: names, NULL-terminated; NULL: none. */
    const char *const *body_marks;
    bool keeps_answers;   /* a later request may name an answer instead of repeating it (llm/responses.h) */
    struct str id_header; /* where its SDKs look for the request's id; empty: x-request-id, which is always there */
    /* Is what comes by this row, from a client that calls itself `agent`, said as providers of the dialect itself hear it, so that bytes may pass?
     * NULL: always. */
    bool (*is_native)(const struct endpoint_row *row, struct str agent);

    /* Decode a chat request. E_PARSE with words for the client, and *ret_param: the field at fault (its JSON pointer, or as the dialect names
     * fields) in the arena. t->model is not set yet. */
    err_t (*read_chat)(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param);
    /* Does the document ask nothing of any model (Ollama: only load it)? Then the answer, which is JSON even if a stream was wanted. Providers of the
     * same dialect are asked all the same. NULL: no request is like that. */
    bool (*answer_here)(const struct translation *t, struct json_node root, struct buf *to);
    /* A whole answer. Errors: E_TOO_LARGE of the buf. */
    err_t (*write_answer)(const struct answer_frame *f, const struct answer *a, struct buf *to);
    /* A streamed one: `state` has writer_size zeroed bytes. Each event appends what is to be sent at once, maybe nothing, framing included.
     * CHAT_ERROR writes the dialect's error in mid-stream. */
    enum framing (*framing)(const struct translation *t); /* NULL: FRAMING_SSE */
    size_t writer_size;
    err_t (*writer_begin)(void *state, const struct answer_frame *f, struct buf *to);
    err_t (*writer_event)(void *state, const struct chat_event *e, struct buf *to);
    /* Bytes of a provider passed in the writer's place, as this frame, whose events it has heard meanwhile: adopt its ids, numbers and indices, so that
     * the writer can go on with the stream. NULL: what CHAT_START tells is all. */
    err_t (*writer_follow)(void *state, const struct frame *f, struct arena *scratch);
    bool tells_thoughts; /* its answers have a place for them */
    bool tells_estimate; /* writer_begin() says f->input_estimate, which costs a look at the whole prompt */
    /* What may be sent to keep a silent stream alive; empty: nothing may. Static. */
    struct str keep_alive;

    err_t (*read_embed)(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param);
    err_t (*write_embed)(const struct answer_frame *f, const struct embed_request *q, const struct embed_answer *a,
                         struct buf *to);
    err_t (*read_rerank)(struct translation *t, const struct json_tree *doc, struct rerank_request *ret,
                         struct str *ret_param);
    err_t (*write_rerank)(const struct answer_frame *f, const struct rerank_request *q, const struct rerank_answer *a,
                          struct buf *to);
    /* {"input_tokens": n} and the like. `exact`: counted by the provider, else our estimate. */
    err_t (*write_count)(const struct translation *t, uint64_t tokens, bool exact, struct buf *to);
    /* The list of models, or one. */
    err_t (*write_models)(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
    err_t (*write_model)(const struct translation *t, const struct model_card *card, struct buf *to);
    /* Never NULL. An error body; *ret_status: the dialect's status for it (529, ...). `to` has room for 512 bytes at least. Headers that the dialect's clients
     * look at (x-amzn-errortype) go to ret_headers[2]. */
    void (*write_error)(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2]);
};

struct provider_side {
    /* Say a chat request in the provider's words, t->model as the model. E_PARSE: it cannot be said at all, words for the client; E_TOO_LARGE. */
    err_t (*write_chat)(struct translation *t, const struct chat_request *q, struct provider_call *ret);
    /* A whole answer (status 2xx) as events, END included. E_PROTOCOL if it is none. */
    err_t (*read_answer)(struct arena *arena, struct str body, const struct chat_sink *sink);
    /* A streamed one: `state` has reader_size zeroed bytes. `arena` lives as long as the state; `scratch` is emptied by the caller between frames. */
    size_t reader_size;
    err_t (*reader_begin)(void *state, struct arena *arena);
    err_t (*reader_frame)(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
    /* The body has ended: END if the terminal mark was seen (and END not told yet), else ERROR. */
    err_t (*reader_end)(void *state, const struct chat_sink *sink);

    err_t (*write_embed)(struct translation *t, const struct embed_request *q, struct provider_call *ret);
    err_t (*read_embed)(struct arena *arena, struct str body, struct embed_answer *ret);
    size_t embed_batch_max; /* inputs of one call; 0: no limit */
    /* The same, where it depends on the model; NULL: embed_batch_max. */
    size_t (*embed_batch)(const struct translation *t);
    err_t (*write_rerank)(struct translation *t, const struct rerank_request *q, struct provider_call *ret);
    err_t (*read_rerank)(struct arena *arena, struct str body, struct rerank_answer *ret);
    /* Counting by the provider; NULL: we estimate. */
    err_t (*write_count)(struct translation *t, const struct chat_request *q, struct provider_call *ret);
    err_t (*read_count)(struct arena *arena, struct str body, uint64_t *ret_tokens);

    unsigned
        wants_bytes; /* 1 << kind of media blocks (BLOCK_IMAGE, …) that its providers do not fetch by URL themselves */
    /* Of those, may this one's URL be left to the provider all the same (its own store, a video portal)? NULL: none may. */
    bool (*fetches)(struct str url);
    bool usage_if_asked;    /* streams tell usage only to those who ask for it (stream_options.include_usage)       */
    bool checks_signatures; /* requests with blobs that another family's model signed are refused                   */
    enum relay_form relay;
    /* How t->model goes on with a broken answer to `q`. NULL: CONTINUES_BY_TURN. */
    enum continuation_form (*continues)(const struct translation *t, const struct chat_request *q);
    bool one_choice; /* its answers have one choice only: more are got by several calls */
    /* Where the same dialect's request goes when its bytes pass through: the path at the provider for the row by which it came. NULL: the
     * client's own path without its prefix. */
    err_t (*pass_path)(const struct translation *t, bool stream, struct str *ret_path);
    /* Never NULL. An error answer in whatever form: class, words, code, retry hint. `header` looks a response header up (STR_NONE if absent). */
    void (*read_error)(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);
};

struct dialect {
    const char *name;   /* the file's stem; also the path prefix: "/anthropic/…" */
    const char *title;  /* for people                                           */
    enum signer signer; /* whose blobs its models make                          */
    struct client_side client;
    struct provider_side provider;
};

/* All dialects, sorted by name; NULL-terminated. */
extern const struct dialect *const dialect_catalog[];
extern const size_t dialect_catalog_count;

/* Whose paths are looked at first where several dialects have them, and whose form errors have of which nothing tells another: OpenAI's. */
extern const struct dialect *const dialect_usual;

/* NULL if there is none of that name. */
const struct dialect *dialect_find(struct str name);

/* Is the answer to be a stream, if the body's "stream" says (or stands for) `asked`? */
bool endpoint_streams(const struct endpoint_row *row, bool asked);

/* Where the client hears a provider's own bytes (follows), model and time of the answer are those that the provider told. */
void answer_frame_follow(struct answer_frame *f, const struct chat_event *start);
/* Append a header to the call; more than CALL_HEADERS_MAX is a bug. */
void call_add_header(struct provider_call *c, struct str name, struct str value);

#endif
