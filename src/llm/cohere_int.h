/*
 * cohere_int.h - what the files of the Cohere dialect share. Private to them.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#ifndef LLM_COHERE_INT_H
#define LLM_COHERE_INT_H

#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "llm/dialect.h"
#include "llm/vendor.h"

extern const struct dialect dialect_cohere;

enum { COHERE_STOPS_MAX = 5, COHERE_TEXTS_MAX = 96 };

/* --- requests (cohere_request_read.c, cohere_request_write.c) --- */

err_t cohere_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param);
err_t cohere_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);

/*
 * A citation out of its object. Offsets count from the beginning of its part of the content; what it cites is its source of this number. Strings in the
 * arena or slices of the document, `raw` of the first source the object as written, which holds them all.
 */
void cohere_read_citation(struct json_node v, size_t number, struct arena *arena, struct citation *ret);
/* As Cohere writes them: its own as they were, another dialect's as that of a document. `part`: number of the content part. */
void cohere_put_citation(struct json_out *o, const struct citation *c, uint64_t part);
/* A text with image or text parts, as a message's content or as one of embed's inputs; parts of other kinds are noted as opaque. E_PARSE. */
err_t cohere_read_part(struct arena *arena, struct json_node part, struct block **to, struct str *ret_param);
/* {"type":"image_url",…}; false if it cannot be said (a file of another provider). */
bool cohere_put_image(struct json_out *o, const struct media *m, struct arena *arena);

/* --- answers (cohere_answer_read.c, cohere_answer_write.c) --- */

enum { COHERE_READER_SIZE = 256, COHERE_WRITER_SIZE = 512 };

err_t cohere_reader_begin(void *state, struct arena *arena);
err_t cohere_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t cohere_reader_end(void *state, const struct chat_sink *sink);
err_t cohere_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
void cohere_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);

err_t cohere_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t cohere_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t cohere_writer_event(void *state, const struct chat_event *e, struct buf *to);
err_t cohere_writer_follow(void *state, const struct frame *f, struct arena *scratch);
err_t cohere_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
err_t cohere_write_model(const struct translation *t, const struct model_card *card, struct buf *to);
void cohere_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2]);
/* A UUID out of a random number. In the arena. */
struct str cohere_make_id(uint64_t unique, struct arena *arena);

/* --- embeddings and ranking (cohere_embed.c, cohere_rerank.c) --- */

err_t cohere_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param);
err_t cohere_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret);
err_t cohere_read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret);
err_t cohere_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to);
err_t cohere_read_rerank(struct translation *t, const struct json_tree *doc, struct rerank_request *ret,
                         struct str *ret_param);
err_t cohere_write_rerank(struct translation *t, const struct rerank_request *q, struct provider_call *ret);
err_t cohere_read_rerank_answer(struct arena *arena, struct str body, struct rerank_answer *ret);
err_t cohere_write_rerank_answer(const struct answer_frame *f, const struct rerank_request *q,
                                 const struct rerank_answer *a, struct buf *to);

#endif
