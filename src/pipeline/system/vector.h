/* vector.h - what sinks that keep vectors have in common. Private to pipeline/. */
#ifndef PIPELINE_VECTOR_H
#define PIPELINE_VECTOR_H

#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

/* What is stored of a record, and what the index was built with. */
struct vector_fields {
    struct schema_text id, vector, payload, model;
    unsigned dim;
    const struct template *id_text;
    const struct expr *vector_expr, *payload_expr;
};

#define VECTOR_FIELDS(type, member)                                                                                    \
    SCHEMA_TEXT("id", type, member.id, .default_doc = "the record's",                                                  \
                .doc = "Text with expressions: the point's id."),                                                      \
        SCHEMA_TEXT("vector", type, member.vector, .required = true, .doc = "Expression for the vector: `.embed`."),   \
        SCHEMA_TEXT("payload", type, member.payload, .default_doc = "nothing",                                         \
                    .doc = "Expression for what is stored beside it."),                                                \
        SCHEMA_TEXT("model", type, member.model, .default_doc = "not checked",                                         \
                    .doc = "The embedding model that the index is built with. Vectors of another are refused."),       \
        SCHEMA_UNSIGNED("dim", type, member.dim, .default_doc = "not checked", .max = "65536",                         \
                        .doc = "Its dimensions.")

/* Compile them, and refuse vectors of another model than the index's, as far as outputs are declared. */
void vector_build(struct pipeline_build *b, struct pipeline_node *n, struct vector_fields *v);

/* What is stored of one record, in the root's arena. */
struct vector_point {
    struct str id;
    struct expr_value vector;
    struct expr_value payload;
    bool has_payload;
};
/* Errors of step_eval() and step_render(); E_PARSE: it is no vector of the index's dimensions. */
err_t vector_point(struct step *s, const struct vector_fields *v, struct vector_point *ret) MUST_CHECK;

#endif
