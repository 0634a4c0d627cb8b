/*
 * build.h - what the kinds use while a pipeline is loaded. Private to pipeline/.
 *
 * Each of these adds a problem at the right place of the file and goes on, so that a person sees everything wrong at once; what could not be
 * had is then NULL or empty, and the pipeline is refused at the end.
 */
#ifndef PIPELINE_BUILD_H
#define PIPELINE_BUILD_H

#include "codec/schema.h"
#include "pipeline/spec/kind.h"
#include "pipeline/spec/pipeline.h"

struct file_schema;

/* A file that is being loaded: the pipeline's, or that of one it calls. */
struct pipeline_scope {
    const struct pipeline_scope *outer; /* the caller's; NULL: this is the pipeline's own */
    struct str prefix;                  /* of the names of its nodes: "enrich/"           */
    struct str path, folder;            /* folder: "" or with a slash at its end          */
    struct str text;                    /* of the file, to find columns in; empty: unknown */
    const struct pipeline_node *caller;
    const struct schema_text *from; /* what the caller reads, in the outer scope: the callee's `input` */
    size_t from_count;
    struct pipeline_schema *schemas;
    size_t schema_count;
    struct pipeline_connection *connections;
    size_t connection_count;
    struct schema_text output;     /* the node whose records the call yields */
    const struct yaml_node *input; /* that the file has an `input`            */
    struct pipeline_type input_type;
    unsigned depth;
};

struct pipeline_build {
    struct arena *arena; /* the spec's */
    struct problems *problems;
    const struct pipeline_world *world;
    struct pipeline_spec *spec;
    struct sha256 *digest;
    struct pipeline_node **nodes; /* in the order of the files, then in topological order */
    size_t node_count, node_room;
    unsigned depth;     /* 0: nobody runs it */
    struct map by_name; /* struct pipeline_node *, whole names           */
    struct map calls;   /* struct pipeline_scope *, by the call's whole name */
    struct map files;   /* text of files that were read, by path: struct str * */
};

/* The field of a kind that has connections. */
#define CONNECTION_FIELD(type)                                                                                         \
    SCHEMA_TEXT("connection", type, connection, .default_doc = "the one called as the kind is, else on this machine",  \
                .doc = "Name under `connections`.")

/* --- before there is a graph --- */

/* The node reads `t`, which a field of its kind says; `label`: as a join calls it. */
void build_input(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The node sends to `t`, to each target only what it chooses. */
void build_target(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);

/* --- when inputs are known --- */

/* Compile an expression against the node's input; what it reads is noted. NULL: `t` is empty, or it does not compile. */
const struct expr *build_expr(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The same, against an input of another type; nothing is noted. */
const struct expr *build_expr_on(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t,
                                 const struct expr_type *input);
/* An expression, or a file with one: a text without blanks that ends in ".jq". */
const struct expr *build_mapping(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The same, against an input of another type; nothing is noted. */
const struct expr *build_mapping_on(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t,
                                    const struct expr_type *input);
/* The text of a program in another language, likewise written there or in a file. STR_NONE, after a problem. */
struct str build_program(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* A text with expressions. NULL likewise. */
const struct template *build_template(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The same for a URL of http or https. */
const struct template *build_url(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* A text that is a template itself, or names a file (without blanks, ending in ".txt" or ".md") that holds one. */
const struct template *build_prompt(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The schema of that name; NULL, after a problem. */
const struct pipeline_schema *build_schema(struct pipeline_build *b, struct pipeline_node *n,
                                           const struct schema_text *t);
/* The connection of that name, or, if `t` is empty, the one called as the kind's scheme is, or its usual place. Sets n->connection. */
void build_connection(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The gateway's route of that name is there, as far as it is known. */
void build_route(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* The node of that name in the node's own file; NULL, after a problem. */
struct pipeline_node *build_find(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* Load the file of a pipeline that the node runs (n->body), and take its output's type. */
void build_body(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t);
/* Note that the node looks at a path of its input: ".", ".ticket_id". */
void build_reads(struct pipeline_build *b, struct pipeline_node *n, struct str path);

/* A type for the kind of thing that the file declares. */
const struct expr_type *build_type(const struct pipeline_type *t) PURE;

/* --- the steps of loading, by the file that they are in --- */

/* node/call.c: the path of the file that a call names. */
const struct schema_text *call_path(const void *config);
/* load.c: pipeline_load() of a pipeline that another runs, `depth` deep. */
err_t load_at(struct str path, const struct yaml_node *root, const struct pipeline_world *world, unsigned depth,
              struct problems *problems, struct pipeline_spec **ret) MUST_CHECK;
/* build.c: the file's bytes, read once; E_… as reading does. In the spec's arena. */
err_t build_read(struct pipeline_build *b, struct str path, struct str *ret_text) MUST_CHECK;
/* build.c: what is known already of a text that is no file, because it was asked for before or the world gives it; NULL: nothing. */
const struct str *build_known(struct pipeline_build *b, struct str path);
/* build.c: it is this, and a part of the version. Returns the copy; the path is borrowed as long as the spec. */
const struct str *build_keep(struct pipeline_build *b, struct str path, struct str text);
/* build.c: the connection of that name, as the scope sees it; NULL: there is none, and *ret_nearest is the one that is called most like it. */
const struct pipeline_connection *build_find_connection(const struct pipeline_scope *scope, struct str name,
                                                        struct str *ret_nearest, unsigned *ret_distance);
/* build.c: is it a URL of that scheme, with or without TLS? */
bool build_has_scheme(struct str url, struct str scheme);
/* build_subject.c: the version of a subject that an entry of `schemas` names: its path, number and text. */
void build_subject(struct pipeline_build *b, const struct pipeline_scope *scope, const struct file_schema *f,
                   struct pipeline_schema *s);
/* build_subject.c: the same where its file, which `s` has, is a copy of it. `is_new`: the registry was not asked about that file yet. */
void build_subject_copy(struct pipeline_build *b, const struct pipeline_scope *scope, const struct file_schema *f,
                        bool is_new, struct pipeline_schema *s);
struct str build_path(struct pipeline_build *b, const struct pipeline_scope *scope, struct str path);
#endif
