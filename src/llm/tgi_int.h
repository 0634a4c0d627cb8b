/*
 * tgi_int.h - parts of the dialect of Text Generation Inference, for one another and for dialect/tgi.c.
 *
 * Wire format: Hugging Face's text-generation-inference, docs/openapi.json, version 3.
 */
#ifndef LLM_TGI_INT_H
#define LLM_TGI_INT_H

#include "llm/dialect.h"

/* endpoint_row.variant: how a whole answer stands. */
enum tgi_variant {
    TGI_OBJECT, /* /generate: an object                   */
    TGI_ARRAY,  /* POST /: an array with one object in it */
};

extern const struct dialect dialect_tgi;

/* --- tgi_request_read.c --- */
err_t tgi_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                    struct str *ret_param);

/* --- tgi_request_write.c --- */
err_t tgi_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);

/* --- tgi_answer_read.c --- */
enum { TGI_READER_SIZE = 1664 };
err_t tgi_reader_begin(void *state, struct arena *arena);
err_t tgi_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t tgi_reader_end(void *state, const struct chat_sink *sink);
err_t tgi_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
void tgi_read_error(struct arena *arena, int status, struct str body, struct str (*header)(void *ctx, struct str name),
                    void *ctx, struct api_error *ret);

/* --- tgi_answer_write.c --- */
struct tgi_writer {
    struct answer_frame frame;
    bool over, begun; /* begun: what comes first has been sent                */
    unsigned text;    /* the block that is open as a text, plus one; 0: none  */
    uint64_t index;   /* of the last event                                    */
    struct buf whole; /* everything so far, for the last event                */
    enum finish finish;
    struct usage usage;
};
err_t tgi_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t tgi_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t tgi_writer_event(void *state, const struct chat_event *e, struct buf *to);
err_t tgi_writer_follow(void *state, const struct frame *f, struct arena *scratch);
void tgi_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                     struct call_header ret_headers[2]);

#endif
