/*
 * pipeline.h - a pipeline as its file says it: checked, put in order, compiled; immutable.
 *
 * One file is one pipeline: sources that messages come from, nodes that work on them, sinks that the outcome goes to. Edges are named by
 * `from`. What is loaded here has passed every check that can be made before a message comes: the graph has no cycle, every name means
 * something, expressions compile against the types of what they are given, the budgets fit the deadline, and each source can be paired with each
 * sink that it reaches as `delivery` demands (pipeline/spec/promise.h). Whoever runs it finds all it needs in `nodes` and `graph`.
 *
 * A spec is counted: roots that are under way hold the version that they began with. Everything in it lives in one arena.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include "base/time.h"
#include "codec/yaml.h"
#include "expr/expr.h"
#include "fleet/config.h"
#include "jsonschema/compat.h"
#include "pipeline/spec/flow.h"
#include "pipeline/spec/template.h"

struct pipeline_kind;
struct schema_text;
struct file_node;
struct pipeline_file;
struct subject_version;
struct source_kind;
struct node_kind;
struct sink_kind;

enum {
    PIPELINE_FILE_MAX = 1 << 20, /* bytes of a pipeline file, a mapping, a prompt or a schema */
    PIPELINE_CALL_DEPTH_MAX = 8, /* pipelines called by pipelines                             */
    PIPELINES_MAX = 10000,       /* of one configuration                                      */
};

enum pipeline_role { PIPELINE_SOURCE, PIPELINE_NODE, PIPELINE_SINK };
enum pipeline_delivery { DELIVERY_EXACTLY_ONCE, DELIVERY_AT_LEAST_ONCE, DELIVERY_AT_MOST_ONCE };
enum pipeline_journal { PIPELINE_JOURNAL_SYNC, PIPELINE_JOURNAL_ASYNC, PIPELINE_JOURNAL_NONE };
enum pipeline_late { LATE_CONTINUE, LATE_FALLBACK, LATE_DEGRADE, LATE_SKIP, LATE_DLQ };
enum pipeline_failure { FAILURE_DLQ, FAILURE_SKIP, FAILURE_FALLBACK };
enum pipeline_effect_mode { EFFECT_OF_KIND, EFFECT_KEYED, EFFECT_AT_LEAST_ONCE, EFFECT_AT_MOST_ONCE };

/* What expressions of nodes can read beside their input: named inputs, in this order. */
enum pipeline_named {
    PIPELINE_NAMED_DEADLINE, /* $__deadline_ms: milliseconds that are left, a number                                     */
    PIPELINE_NAMED_META, /* $meta: {id, root, key, source, partition, position, attempt, timestamp, headers}                              */
    PIPELINE_NAMED
};

/* A schema that the file names, under `schemas`. */
struct pipeline_schema {
    struct str name;
    struct str path, text;    /* where it is ("registry:intent@4"), and its bytes; no text: nobody was asked for it */
    struct str subject;       /* in a registry; empty: it is a file                                               */
    unsigned version;         /* of the subject; 0: nobody was asked which is the newest                          */
    enum compat_level compat; /* what its next version must keep to                            */
    const struct expr_type *type; /* what is known of its values                              */
    const struct yaml_node *at;
};

/* What an edge carries, where the file declares it. */
enum pipeline_type_kind {
    TYPE_UNDECLARED,
    TYPE_SCHEMA,
    TYPE_EMBEDDING,
    TYPE_LABEL,
    TYPE_SCORE,
    TYPE_TEXT,
    TYPE_DECISION
};
enum pipeline_metric { METRIC_COSINE, METRIC_DOT, METRIC_EUCLIDEAN };
struct pipeline_type {
    enum pipeline_type_kind kind;
    const struct pipeline_schema *schema; /* SCHEMA     */
    struct str model;                     /* EMBEDDING */
    unsigned dim;
    enum pipeline_metric metric;
    bool is_normalised;
    const struct str *words; /* LABEL: the set; DECISION: its options; NULL: any */
    size_t word_count;
    double min, max; /* SCORE */
    bool is_calibrated;
    struct str lang;     /* TEXT; empty: any */
    unsigned max_tokens; /* 0: any     */
};

/* Where a system is: under `connections`, of the file or of the configuration. */
struct pipeline_connection {
    struct str name;
    struct str url;                               /* with its scheme; as written                  */
    struct str username, password, ca, cert, key; /* empty: none; secrets and PEM: as written ("file:…" too) */
    bool is_default;                              /* nobody configured it: the kind's usual place */
};

struct pipeline_input {
    struct str label; /* as the reader names it: in a join the member of its result */
    uint16_t node, edge;
};

/* Where a node sends of its own choice; `name` is as written. */
struct pipeline_target {
    struct str name;
    const struct yaml_node *at;
    uint16_t node, edge;
};

enum retry_class { RETRY_TRANSPORT = 1, RETRY_TIMEOUT = 2, RETRY_RATE = 4, RETRY_SERVER = 8, RETRY_INVALID = 16 };

/* How a node works. */
struct pipeline_rules {
    ns_t budget;          /* 0: none                                                          */
    unsigned concurrency; /* items at a time; 0: adaptive                                     */
    unsigned retries;
    unsigned retry_on; /* bits of enum retry_class                                            */
    ns_t retry_base, retry_cap;
    double breaker_errors; /* share of failures that opens it; 0: there is none               */
    double breaker_slow;   /* likewise of items over their budget                             */
    ns_t breaker_window, breaker_pause;
    unsigned breaker_volume;
    enum pipeline_late on_late;
    enum pipeline_failure on_error;
    const struct expr *fallback; /* what it yields instead, made of its input; NULL: nothing     */
};

/* Of sinks. */
struct pipeline_effect {
    enum pipeline_effect_mode mode;
    const struct template *key;       /* NULL: the id of the record                          */
    const struct template *reconcile; /* URL that tells whether an effect has happened; NULL: none */
    unsigned batch;
    uint64_t batch_bytes;
    ns_t linger;
};

/* What a node behind a shadow is held against. */
struct pipeline_agreement {
    const struct pipeline_node *shadow, *used;
    double share; /* of the messages */
};

struct pipeline_node {
    struct str name;
    enum pipeline_role role;
    const struct pipeline_kind *kind;
    union {
        const struct source_kind *source;
        const struct node_kind *node;
        const struct sink_kind *sink;
    }; /* by `role`: the same row, with what only such have */
    void *config;   /* as the kind's fields fill it          */
    uint16_t index; /* in the spec: nodes are in topological order */
    struct flow_node flow;
    ns_t patience; /* of a join: how long it waits, from its first record on; NS_NEVER: for ever */
    struct pipeline_input *inputs;
    size_t input_count;
    struct pipeline_target *targets; /* NULL: it sends to all who read it */
    size_t target_count;
    struct pipeline_type out;
    const struct expr_type *input_type, *output_type;
    const struct str *reads; /* paths of its input that it looks at, sorted; "." for all of it */
    size_t read_count;
    bool is_recorded; /* what it yields is journaled before anybody reads it; else it is worked out again */
    bool is_streamed; /* a model's answer that comes in pieces                             */
    bool gets_pieces; /* a sink behind a node that cuts answers up                         */
    const struct pipeline_agreement
        *tried_for;             /* it is behind a shadow, and to do what another does; NULL: it is not */
    struct pipeline_spec *body; /* what it runs for each record (`loop`, `cache`); NULL: none    */
    const struct expr *key;     /* of sources: what orders its messages; NULL: the source's own key */
    struct pipeline_rules rules;
    struct pipeline_effect effect;
    const struct pipeline_connection *connection; /* NULL: it needs none                      */
    const struct yaml_node *at;                   /* its name in the file                     */
    struct pipeline_scope *scope;                 /* private to loading, as is what follows   */
    const struct schema_text **wants_;
    size_t want_count_;
    const struct file_node *file_; /* what the file says of it; NULL: it is not in a file */
};

/* A file that was read for a pipeline, or what a registry answered (then the path is "registry:intent@4"). */
struct pipeline_text {
    struct str path, text;
};

struct pipeline_spec {
    unsigned refs_; /* private, atomic */
    struct arena *arena_;
    struct str path, name;
    unsigned version;
    char digest
        [17]; /* first 16 hex digits of the SHA-256 of the file and of what it refers to, versions of subjects included */
    enum pipeline_delivery delivery;
    enum pipeline_journal journal;
    ns_t deadline; /* NS_NEVER: none */
    ns_t handover; /* that former versions have to finish                            */
    unsigned lanes, workers;
    uint64_t in_flight_bytes;
    unsigned in_flight_roots;

    struct pipeline_schema *schemas;
    size_t schema_count;
    struct pipeline_node **nodes; /* topological order                                           */
    uint16_t node_count, source_count, sink_count;
    struct flow_graph graph;   /* node i is nodes[i]                                              */
    struct pipeline_node *dlq; /* a sink without edges; NULL: dead letters stay in the journal  */
    ns_t retention;            /* of dead letters and traces                                    */
    double sampled;            /* share of the messages whose records stay with their traces    */
    unsigned poison_restarts;
    const struct str *tests; /* patterns of paths, from the file's folder */
    size_t test_count;
    struct pipeline_text
        *texts; /* the files that it was made of; those of `body` stand there; empty: it is no file itself */
    size_t text_count;
    const struct yaml_node *connections_; /* of the configuration; private, as is: */
    const struct pipeline_file *file_;
    const struct pipeline_node *output; /* of one that others run: whose records they get; NULL: it runs by itself */
};

struct pipeline_spec *pipeline_ref(struct pipeline_spec *s);
void pipeline_unref(struct pipeline_spec *s);
/* The texts that it was made of, and those of all that its nodes run (`body`), for a world that it is loaded in again. The array is in the arena, the rest the spec's. */
const struct pipeline_text *pipeline_texts(const struct pipeline_spec *s, struct arena *a, size_t *ret_count);
/* The node of that name; NULL if there is none. Linear: not on a message's way. */
const struct pipeline_node *pipeline_find(const struct pipeline_spec *s, struct str name) PURE;

/* Can this program run everything in it? *ret_missing is else the first node that it cannot. */
bool pipeline_can_run(const struct pipeline_spec *s, const struct pipeline_node **ret_missing);

/* Who knows schemas by subject and version. */
struct pipeline_registry {
    /*
     * The version of the subject (0: the newest); its text goes to the arena. Blocks, where loading may.
     *
     * c  which registry; NULL: the file names none, and there is no connection called "registry"
     *
     * Any error, with words that name the registry and say what to do.
     */
    err_t (*look_up)(void *ctx, const struct pipeline_connection *c, struct str subject, unsigned version,
                     struct arena *arena, struct subject_version *ret);
    void *ctx;
};

/* What a pipeline is loaded into. All borrowed during the call. */
struct pipeline_world {
    const struct config_env *env;  /* files and variables                                                          */
    const struct catalog *catalog; /* routes that model nodes may name; NULL: they are not checked                 */
    const struct yaml_node *connections; /* of the configuration; NULL: none                                          */
    const struct pipeline_text *texts; /* files, and versions of subjects, that are like this, whatever they are now */
    size_t text_count;
    const struct pipeline_registry
        *registry; /* NULL: nobody is asked, and nothing is known of subjects that `texts` does not have */
};

/*
 * Load one pipeline. Blocks on files and takes stack as expr_compile(): on a worker, or before loops run.
 *
 * path      of its file; with `text` set: the name for messages, and where paths in it start from
 * root      instead of a file: its tree, not expanded yet; NULL: `path` is read
 * problems  everything that is wrong is added, each with its place
 *
 * E_CONFIG if there is any error; *ret untouched then.
 */
err_t pipeline_load(struct str path, const struct yaml_node *root, const struct pipeline_world *world,
                    struct problems *problems, struct pipeline_spec **ret) MUST_CHECK;

/* All pipelines of a configuration. */
struct pipeline_set {
    struct pipeline_spec **items; /* in the order of the configuration, folders by name */
    size_t count;
};
/*
 * Load what `pipelines` of a configuration names; an empty set if it names nothing. As pipeline_load(), with `env` and `registry` for its world. Two pipelines of
 * one name are an error.
 */
err_t pipelines_load(const struct catalog *catalog, const struct config_env *env,
                     const struct pipeline_registry *registry, struct problems *problems, struct pipeline_set **ret)
    MUST_CHECK;
/* A set of just one; takes it. */
struct pipeline_set *pipeline_set_of(struct pipeline_spec *s);
void pipeline_set_free(struct pipeline_set *s);

/* The shape of a pipeline file: JSON Schema (draft 2020-12), and the reference as Markdown. */
err_t pipeline_schema(struct buf *to) MUST_CHECK;
err_t pipeline_reference(struct buf *to) MUST_CHECK;

#endif
