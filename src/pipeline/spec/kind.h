/*
 * kind.h - the kinds of sources, nodes and sinks: registries, a file each.
 *
 * A file src/pipeline/source/x.c has one `const struct source_kind source_kind_x`; node/ and sink/ likewise. It holds the fields that a
 * pipeline file may say of it, what they must have in common, and, of sources and sinks, what can be promised of it (the rows of
 * docs/guarantees.md). The build finds the files.
 */
#ifndef PIPELINE_KIND_H
#define PIPELINE_KIND_H

#include "codec/schema.h"
#include "pipeline/spec/pipeline.h"

struct pipeline_build;

enum kind_trait {
    KIND_CALLS =
        1, /* asks somebody else, so it can be slow or fail: may have retries, a breaker, a concurrency         */
    KIND_RECORDS =
        2, /* what it yields is not a function of its input: journaled before anybody reads it                  */
    KIND_STOPS_CLOCK =
        4, /* a root may wait here for longer than any deadline: behind it a new one begins                    */
    KIND_CONNECTS =
        8, /* to a system under `connections`                                                                  */
    KIND_REPEATS =
        16, /* several records out for one in                                                                   */
    KIND_SHADOWS =
        32, /* nothing behind it may reach a sink                                                               */
    KIND_MAY_END =
        64, /* that nobody reads it is no mistake                                                               */
    KIND_SPECULATES =
        128, /* what it yields may turn out not to count: not for sinks that promise exactly once              */
    KIND_CHOOSES = 512,  /* sends each record to just one of its targets                                             */
    KIND_ANSWERS = 2048, /* sends a record for each that it is given, unless it fails                               */
    KIND_PASSES =
        1024, /* sends on what it is given, as it is                                                            */
    KIND_REPLIES =
        256, /* of a sink: answers who sent the message, so its source must be one that waits                    */
};

struct pipeline_kind {
    const char *name;
    const struct schema_field *fields; /* in the file beside those that all have; the first is called as the kind is */
    size_t size;                       /* of the struct that they fill                                              */
    unsigned traits;                   /* enum kind_trait                                                           */
    const char *scheme, *usual_url;    /* of KIND_CONNECTS: of its connections, and where it is if nobody says      */
    /* What the graph must know of a node before there is one: build_input(), build_target(), n->flow. NULL: nothing but `from`. */
    void (*wire)(struct pipeline_build *b, struct pipeline_node *n);
    /* Its inputs are known, n->input_type too: compile, check, set n->output_type if it is not that of the input. NULL: nothing. */
    void (*build)(struct pipeline_build *b, struct pipeline_node *n);
};

/*
 * What can go wrong with the number of times that something happens, as bits: a pair of rows is both together. No bit: exactly once.
 */
enum promise {
    PROMISE_EXACTLY = 0,
    PROMISE_KEYED = 1,   /* may be done again, which changes nothing: effectively once */
    PROMISE_REPEATS = 2, /* may happen again: at least once                            */
    PROMISE_LOSES = 4,   /* may not happen: at most once                               */
};

/* A row of the two tables. */
struct promise_row {
    const char *when;   /* of this kind: "HTTP PUT", "with `Idempotency-Key`" */
    unsigned promise;   /* bits of enum promise                               */
    bool is_choice;     /* whether to repeat or to lose, the file must say (`effect`) */
    const char *how;    /* how it is kept, or why it cannot be                */
    const char *remedy; /* what to write instead to get more; NULL: nothing   */
};

struct source_kind {
    struct pipeline_kind kind;
    const struct promise_row *rows; /* ends with one whose `when` is NULL                   */
    /* Which of the rows holds for this configuration. NULL: the first. */
    size_t (*row)(const struct pipeline_node *n);
    bool keeps;         /* what was not acknowledged comes again after a crash, without a journal      */
    const char *unkept; /* what that means with `journal: none`; NULL: what is under way is lost            */
    bool (*takes_reply)(const struct pipeline_node *n); /* does its sender wait for a reply? NULL: never */
    bool hears_pieces; /* who waits hears the reply as it comes; all pieces of an answer that is cut up are the reply */
    const struct source_run *run; /* NULL: it can be loaded, but not be run yet           */
};

struct node_kind {
    struct pipeline_kind kind;
    const struct node_run *run;
};

struct sink_kind {
    struct pipeline_kind kind;
    const struct promise_row *rows;
    size_t (*row)(const struct pipeline_node *n);
    const struct sink_run *run;
};

/* Sorted by name; end with NULL. */
extern const struct source_kind *const source_kind_catalog[];
extern const size_t source_kind_catalog_count;
extern const struct node_kind *const node_kind_catalog[];
extern const size_t node_kind_catalog_count;
extern const struct sink_kind *const sink_kind_catalog[];
extern const size_t sink_kind_catalog_count;

#endif
