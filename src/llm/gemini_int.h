/*
 * gemini_int.h - parts of the Gemini dialect, for one another and for dialect/gemini.c.
 *
 * Wire format: Google's Gemini API reference (v1beta) and the Vertex AI generative AI reference (v1, v1beta1), November 2026.
 */
#ifndef LLM_GEMINI_INT_H
#define LLM_GEMINI_INT_H

#include "codec/json_out.h"
#include "llm/dialect.h"

/* What a row's path stands for, beyond its operation; endpoint_row.variant. */
enum gemini_form { GEMINI_PLAIN, GEMINI_EMBED_ONE, GEMINI_EMBED_BATCH, GEMINI_PREDICT };

enum { GEMINI_CANDIDATES_MAX = 16 };

extern const struct dialect dialect_gemini;

/* --- gemini_parts.c --- */

/* A member by its name in camel case; Google's services take the same in snake case. */
struct json_node gemini_get(struct json_node object, const char *camel);
struct str gemini_text(struct json_node object, const char *camel, struct arena *arena);
bool gemini_key_is(struct json_node key, const char *camel);
/* Is a member none of these (up to NULL)? Null is absent. */
bool gemini_is_unknown(const struct json_walk *member, const char *const *known);
/* A part that no other dialect has, and that goes back as it came, signed or not: code that Google ran, or what came of it. */
bool gemini_is_code(struct json_node part);
/* How much was told of a text, so that places in it can be counted in bytes, as Google does, and in characters, as others do. */
struct gemini_run;
struct gemini_runs {
    struct gemini_run *first, *last;
    size_t bytes;
};
void gemini_runs_add(struct gemini_runs *to, struct str text, struct arena *arena);
/* How many characters stand before this byte, and bytes before this character; -1: the text is shorter. */
int64_t gemini_characters_before(const struct gemini_runs *runs, int64_t byte);
int64_t gemini_bytes_before(const struct gemini_runs *runs, int64_t character);
/* "…/models/m" as m. */
struct str gemini_model_name(struct str name);
/* Third generation or later: thinking levels, parts in results, signatures that are demanded back. */
bool gemini_is_third(struct str model);
/* An OpenAPI schema of Google's kind (upper-case types, nullable) as a JSON Schema. In the arena. */
struct str gemini_json_schema(struct json_node schema, struct arena *arena);
/* A signature of `signer` as this dialect's field carries it: always base64; and back. `redacted`: it is a thought that only its maker can read. */
struct str gemini_carry(enum signer signer, struct str blob, bool redacted, struct arena *arena);
struct str gemini_carried(struct str text, enum signer *ret_signer, bool *ret_redacted, struct arena *arena);
/* "/models/m:verb" or the host's form of it. */
struct str gemini_path(const struct translation *t, const char *verb);

/* --- gemini_request_read.c --- */
err_t gemini_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param);

/* --- gemini_request_write.c --- */
err_t gemini_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t gemini_ask_count(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t gemini_pass_path(const struct translation *t, bool stream, struct str *ret_path);

/* May a file's URL be left to Google: its own store of files, or a video that it plays itself? */
bool gemini_fetches(struct str url);

/* --- gemini_partial.c: arguments of a call that come piece by piece --- */
struct gemini_args;
struct gemini_args *gemini_args_new(struct arena *arena);
/* Take a list of partialArgs in, in the arena. E_PROTOCOL: a path that is none; E_TOO_LARGE: more values than a call may have. */
err_t gemini_args_add(struct gemini_args *a, struct json_node pieces) MUST_CHECK;
/* All that was taken in, as one JSON object, in the arena. E_TOO_LARGE. */
err_t gemini_args_text(const struct gemini_args *a, struct str *ret) MUST_CHECK;

/* --- gemini_answer_read.c --- */
struct gemini_candidate {
    bool seen, open, has_call, finished;
    enum block_kind kind;     /* of the open block                                      */
    unsigned blocks;          /* told so far                                            */
    struct gemini_args *args; /* of the open call, if they come piece by piece          */
    struct gemini_runs runs;  /* of the open text                                       */
    bool in_frame;            /* the open block has told something out of this frame    */
    bool joined;              /* the open block is more than one part of one frame      */
    enum finish finish;
};
struct gemini_reader {
    struct arena *arena;
    struct str id;    /* the answer's */
    struct str words; /* why the prompt was blocked */
    bool started, over, told_usage, blocked;
    struct gemini_candidate candidates[GEMINI_CANDIDATES_MAX];
    struct usage usage;
};
err_t gemini_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
err_t gemini_reader_begin(void *state, struct arena *arena);
err_t gemini_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t gemini_reader_end(void *state, const struct chat_sink *sink);
err_t gemini_read_count(struct arena *arena, struct str body, uint64_t *ret_tokens);
void gemini_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);

/* --- gemini_answer_write.c --- */
struct gemini_block; /* an open block */
struct gemini_source;
struct gemini_sources {
    struct gemini_source *first, *last;
    size_t chunks; /* sources that differ */
};
struct gemini_choice {
    bool seen;
    enum finish finish;
    struct gemini_sources sources;
    size_t bytes; /* of the texts before the open one */
};
struct gemini_writer {
    struct answer_frame frame;
    struct str id;
    bool over;
    bool begun; /* of a stream that is one array: its first element was told */
    struct gemini_block *blocks;
    struct gemini_choice choices[GEMINI_CANDIDATES_MAX];
    struct usage usage;
};
enum framing gemini_framing(const struct translation *t);
err_t gemini_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t gemini_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t gemini_writer_event(void *state, const struct chat_event *e, struct buf *to);
err_t gemini_writer_follow(void *state, const struct frame *f, struct arena *scratch);
err_t gemini_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to);
err_t gemini_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
err_t gemini_write_model(const struct translation *t, const struct model_card *card, struct buf *to);
void gemini_error_answer(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                         struct call_header ret_headers[2]);

/* --- gemini_embed.c --- */
err_t gemini_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param);
err_t gemini_write_embed(const struct answer_frame *f, const struct embed_request *q, const struct embed_answer *a,
                         struct buf *to);
err_t gemini_ask_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret);
err_t gemini_read_vectors(struct arena *arena, struct str body, struct embed_answer *ret);

#endif
