/* file.h - what a pipeline file says, as the tables of shape.c fill it. Private to pipeline/. */
#ifndef PIPELINE_FILE_H
#define PIPELINE_FILE_H

#include "codec/schema.h"
#include "pipeline/spec/kind.h"
#include "pipeline/spec/pipeline.h"

/* An output that is declared; which one, the nodes tell. */
struct file_out {
    const struct yaml_node *node;
    struct schema_text schema;
    struct {
        const struct yaml_node *node;
        struct schema_text model;
        unsigned dim;
        enum pipeline_metric metric;
        bool is_normalised;
    } embedding;
    struct {
        const struct yaml_node *node;
        struct schema_text *set;
        size_t count;
    } label;
    struct {
        const struct yaml_node *node;
        double min, max;
        bool is_calibrated;
    } score;
    struct {
        const struct yaml_node *node;
        struct schema_text lang;
        unsigned max_tokens;
    } text;
    struct {
        const struct yaml_node *node;
        struct schema_text *options;
        size_t count;
    } decision;
};

struct file_rules {
    ns_t budget;
    struct {
        unsigned count;
        int adaptive;
    } concurrency;
    struct {
        const struct yaml_node *node;
        unsigned max;
        int *on; /* enum retry_class */
        size_t on_count;
        ns_t base, cap;
    } retry;
    struct {
        const struct yaml_node *node;
        double errors, slow;
        ns_t window, pause;
        unsigned volume;
    } breaker;
    enum pipeline_late on_late;
    enum pipeline_failure on_error;
    struct schema_text fallback;
};

/* Fields that all sources, nodes and sinks have. The struct of its kind stands behind it: shape_config(). */
struct file_node {
    struct str name;
    const struct yaml_node *node;
    struct schema_text *from;
    size_t from_count;
    struct file_out out;
    struct file_rules rules;
    struct schema_text key;
    struct {
        const struct yaml_node *node;
        enum pipeline_effect_mode mode;
        struct schema_text key, reconcile;
    } effect;
    struct {
        unsigned count;
        uint64_t bytes;
        ns_t linger;
    } batch;
};

struct file_schema {
    struct str name;
    const struct yaml_node *node;
    struct schema_text file, subject, connection;
    unsigned version;
    int is_latest;
    enum compat_level compat;
};

struct file_connection {
    struct str name;
    const struct yaml_node *node;
    struct schema_text url, username, password, ca, cert, key;
};

struct pipeline_file {
    const struct yaml_node *node;
    struct schema_text name, doc;
    unsigned version;
    enum pipeline_delivery delivery;
    enum pipeline_journal journal;
    ns_t deadline, handover;
    unsigned lanes, workers, in_flight_roots;
    uint64_t in_flight_bytes;
    double sampled;
    struct file_schema *schemas;
    size_t schema_count;
    struct file_connection *connections;
    size_t connection_count;
    char *sources, *nodes, *sinks; /* elements of shape.h's sizes */
    size_t source_count, node_count, sink_count;
    struct {
        const struct yaml_node *node;
        struct file_out out;
    } input;
    struct schema_text output;
    struct {
        const struct yaml_node *node, *dlq_node;
        ns_t retention;
        unsigned restarts;
        char *dlq; /* one element of a sink's size, or none */
        size_t dlq_count;
    } errors;
    struct schema_text *tests;
    size_t test_count;
};

/* The tables of one role, put together from the registry: its common fields, then those of each kind. */
struct shape_role {
    const struct pipeline_kind **kinds; /* ends with NULL */
    const void **rows;                  /* their registry rows */
    size_t *at;                         /* where each kind's struct is in an element */
    struct schema_object object;        /* of an element */
    struct schema_field item;
};

struct shape {
    struct shape_role roles[3]; /* by enum pipeline_role */
    struct schema_object dlq;   /* a sink without edges */
    struct schema_object file, errors;
};

/* Put the tables together, in the arena. The registries are small: some microseconds. */
struct shape *shape_make(struct arena *a);
/* The kind that the file gives an element of that role, and where its configuration is; NULL after problems, unless it is a
 * file_node without a node. */
const struct pipeline_kind *shape_kind(const struct shape_role *role, const struct file_node *element,
                                       struct problems *problems, const void **ret_row, void **ret_config);
/* The shape of `connections`, which the main configuration has as well: a map of them in a struct file_connections. */
struct file_connections {
    struct file_connection *items;
    size_t count;
};
extern const struct schema_object shape_connections;

#endif
