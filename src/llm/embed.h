/* embed.h - the canonical embeddings request and answer. */
#ifndef LLM_EMBED_H
#define LLM_EMBED_H

#include "codec/json_out.h"
#include "llm/chat.h"
#include "llm/usage.h"

/* What the vectors are for. */
enum embed_use {
    EMBED_USE_UNSET,
    EMBED_QUERY,
    EMBED_DOCUMENT,
    EMBED_CLASSIFICATION,
    EMBED_CLUSTERING,
    EMBED_SIMILARITY,
    EMBED_OTHER
};

struct embed_input {
    struct str text;      /* p == NULL: it is tokens                     */
    struct str tokens;    /* raw JSON array of token numbers             */
    struct block *blocks; /* instead of text: text and images, for dialects with mixed inputs; NULL: none */
    struct str title;     /* of a document                               */
    struct json_node from;
};

enum embed_encoding { EMBED_FLOAT, EMBED_BASE64 };

struct embed_request {
    const struct dialect *dialect;
    const struct json_tree *document;
    struct str model;
    struct embed_input *inputs;
    size_t input_count;
    bool single;                  /* the client sent one input, not a list: some dialects answer differently */
    enum embed_encoding encoding; /* that the client wants                                                   */
    struct str *types;            /* output types that the client named ("float", "int8", …), in order       */
    size_t type_count;
    struct number dimensions;
    enum embed_use use;
    struct setting use_name; /* as the client wrote it                                                  */
    struct flag truncate, normalize;
    struct setting truncate_where; /* "START", "END", "NONE", "left", "right"                         */
    struct setting user;
    struct extra *extras;
};

/* One vector, in the form in which the provider sent it; the other is made when it is needed. */
struct embed_vector {
    struct str json;   /* a JSON array of numbers, as written; or empty         */
    struct str base64; /* little-endian float32 (or as `type` says); or empty   */
    struct str type;   /* "float", "int8", ...; empty: float                    */
};

struct embed_answer {
    struct str id, model;
    struct embed_vector
        *vectors; /* in the order of the inputs; of several types: all of the first type, then all of the next */
    size_t vector_count;
    struct usage usage; /* input only */
};

/* A vector as a JSON array of numbers (from base64: shortest decimal text that gives the same float32). E_PARSE: no base64; E_PROTOCOL: no floats,
 * or one that is not finite. */
err_t embed_put_json(struct json_out *o, const struct embed_vector *v) MUST_CHECK;
/* A vector as a string: base64 of little-endian float32. E_PROTOCOL if it is no array of numbers. */
err_t embed_put_base64(struct json_out *o, const struct embed_vector *v) MUST_CHECK;

#endif
