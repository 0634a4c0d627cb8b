/* compile_int.h - between load.c (where schemas are, and what references mean) and compile.c (what schemas say). */
#ifndef JSONSCHEMA_COMPILE_INT_H
#define JSONSCHEMA_COMPILE_INT_H

#include "jsonschema/jsonschema_int.h"

/* Vocabularies of 2020-12, by what they allow. */
enum vocabulary {
    VOCAB_CORE = 1,
    VOCAB_APPLICATOR = 2,
    VOCAB_UNEVALUATED = 4,
    VOCAB_VALIDATION = 8,
    VOCAB_FORMAT = 16,
    VOCAB_FORMAT_ASSERTION = 32,
    VOCAB_CONTENT = 64,
    VOCAB_META = 128,
    VOCAB_USUAL = 255 & ~VOCAB_FORMAT_ASSERTION,
};

struct dialect {
    enum jsonschema_draft draft;
    unsigned vocabularies;
};

struct anchor {
    struct anchor *next;
    struct str name;
    struct json_node at;
    bool is_dynamic;
};

/* A schema with a URI of its own: a document, or a part of one with "$id". */
struct schema_resource {
    struct str uri;
    uint32_t document;
    struct json_node at;
    struct dialect dialect;
    struct anchor *anchors;
};

struct document {
    struct str uri;
    const struct json_tree *tree; /* NULL: not parsed yet (a metaschema)       */
    uint32_t *resource_of;        /* by cell: resource + 1; NULL: not read yet */
    part_t *part_of;              /* by cell                                   */
};

struct compiler {
    struct arena *arena;
    const struct jsonschema_options *options;
    struct document *documents; /* the schema, the caller's resources, the metaschemas */
    uint32_t document_count;
    struct schema_resource *resources;
    uint32_t resource_count, resource_cap;
    struct part *parts;
    uint32_t part_count, part_cap;
    struct dynamic_name *dynamic;
    uint32_t dynamic_count, dynamic_cap;
    size_t regex_room;
    struct jsonschema_problem *problem; /* of the caller; may be NULL */
};

/* A larger copy of an array that is full. */
void *grow_array(struct arena *arena, const void *items, size_t item, uint32_t count, uint32_t *cap);

/* Fail at a place of a schema. */
err_t complain(struct compiler *c, err_t code, uint32_t document, struct json_node at, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* JSON pointer of a place, behind the document's URI if it is not the first. */
struct str place_of(const struct str *document_uris, uint32_t document, struct json_node at, const char *keyword,
                    struct arena *arena);

/* Get the documents ready, and read the first. */
err_t load_begin(struct compiler *c, const struct json_tree *schema) MUST_CHECK;
/* The part at a place; one that nobody met yet is added, to be compiled. */
err_t part_at(struct compiler *c, uint32_t document, struct json_node at, part_t *ret_part) MUST_CHECK;
/* Where a reference leads. *ret_anchor: the dynamic anchor that its fragment names; NULL: none. */
err_t reference_find(struct compiler *c, uint32_t resource, uint32_t document, struct json_node reference,
                     part_t *ret_part, const struct anchor **ret_anchor) MUST_CHECK;
/* The anchor of a resource; NULL: it has none of the name. */
const struct anchor *anchor_find(const struct schema_resource *r, struct str name);

#endif
