/* trial_int.h - what a file of trials says. Private to pipeline/trial*.c. */
#ifndef PIPELINE_TRIAL_INT_H
#define PIPELINE_TRIAL_INT_H

#include "codec/schema.h"
#include "pipeline/run/run.h"
#include "pipeline/trial/trial.h"

/* A JSON document that the file has as YAML. */
struct trial_document {
    const struct yaml_node *node; /* NULL: there is none */
    struct str json;
};

struct trial_message {
    struct trial_document body;
    struct str key; /* absent: none */
    const struct message_header *headers;
    size_t header_count;
    ns_t after; /* since the beginning */
};

struct trial_mock {
    struct schema_text when, map; /* expressions over what the node is given; empty: none */
    struct trial_document output;
    int error; /* err_t; OK: none */
    ns_t after;
    unsigned times; /* 0: always */
    const struct yaml_node *node;
};

/* What a source gets, a node answers, or a sink is to have: by name. */
struct trial_entry {
    struct str name;
    const struct yaml_node *node;
    struct trial_message *messages;
    size_t message_count;
    struct trial_mock *mocks;
    size_t mock_count;
    struct trial_document *records;
    size_t record_count;
};

struct trial {
    struct str name;
    const struct yaml_node *node;
    struct trial_entry *inputs, *mocks, *expected;
    size_t input_count, mock_count, expected_count;
    struct trial_document *letters;
    size_t letter_count;
    struct schema_text *unchecked;
    size_t unchecked_count;
    bool any_order;
    struct str path; /* of the pipeline */
    const struct pipeline_world *world;
};

/* trial_match.c: hold what is against what was to be; what does not fit is added. */
struct trial_matching {
    struct arena *arena;
    const struct pipeline_spec *spec; /* whose schemas patterns may name */
    struct trial_problem *problems;
    size_t count, max;
};
void trial_match(struct trial_matching *m, struct str where, struct json_node wanted, struct json_node is);
void trial_complain(struct trial_matching *m, struct str where, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
