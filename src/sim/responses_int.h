/* responses_int.h - what the files of the responses endpoint share. Private to them. */
#ifndef SIM_RESPONSES_INT_H
#define SIM_RESPONSES_INT_H

#include "sim/answer.h"
#include "sim/response_store.h"
#include "sim/turn.h"

/* A request to POST /responses, read. */
struct responses_request {
    struct question q;
    yyjson_val *root;
    struct str previous; /* previous_response_id; p == NULL: none              */
    size_t previous_tokens;
    struct str effort; /* p == NULL: no reasoning                            */
    struct str items;  /* the input as stored items, JSON separated by commas */
    bool store, background, wants_encrypted;
};

/* Read and check a request; what it refers to is looked up in `store`. E_PARSE with *r filled. */
err_t responses_read(struct arena *a, struct str body, bool refuse_unknown, const struct response_store *store,
                     struct responses_request *ret, struct sim_refusal *r) MUST_CHECK;

enum output_kind { OUTPUT_REASONING, OUTPUT_MESSAGE, OUTPUT_CALL };

/* One item of an answer's output. */
struct output_item {
    enum output_kind kind;
    char id[SIM_ID_MAX], call_id[SIM_ID_MAX]; /* NUL-terminated                             */
    struct str text;                          /* summary, text, or arguments                            */
    const struct sim_call *call;              /* OUTPUT_CALL                                            */
    size_t tokens;
};

struct response {
    const struct responses_request *request;
    struct arena *a;
    struct sim_mark mark;
    char id[SIM_ID_MAX];
    struct output_item *items;
    size_t count;
    size_t tokens, reasoning_tokens;
    bool incomplete; /* max_output_tokens cut it */
};

/* Lay an answer out as output items. In the arena; borrows request and answer. */
struct response *response_make(struct arena *a, const struct responses_request *request,
                               const struct sim_answer *answer, const struct sim_mark *mark);
/* Append the response object. `status`: "completed" and so on; without `whole` it has no output and no usage yet. */
err_t response_write(const struct response *r, const char *status, bool whole, struct buf *to) MUST_CHECK;
/* "completed" or "incomplete". Static. */
const char *response_status(const struct response *r);
/* The stream of its events. In the arena. */
struct sim_feed *response_feed(const struct response *r);

#endif
