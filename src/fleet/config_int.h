/*
 * config_int.h - the inside of configuration: what a file says, and the steps from there to a catalog.
 *
 * config.c reads and merges; config_expand.c puts in variables; config_fields.c has the tables that fill struct
 * config_file; config_providers.c and config_build.c judge what the tables cannot and make the catalog of it.
 */
#ifndef FLEET_CONFIG_INT_H
#define FLEET_CONFIG_INT_H

#include "codec/schema.h"
#include "codec/yaml.h"
#include "fleet/catalog.h"
#include "fleet/config.h"
#include "fleet/config_health.h"

enum log_form { LOG_FORM_AUTO, LOG_FORM_JSON, LOG_FORM_CONSOLE };

struct file_header {
    struct str name;
    struct schema_text value;
};

struct file_tls {
    struct schema_text ca, cert, key;
    bool insecure_skip_verify;
};

struct file_auth {
    const struct yaml_node *node;
    struct schema_text type, file, scope, token_url, metadata_url, tenant, client_id, client_secret, token_file,
        authority, access_key_id, secret_access_key, session_token, profile, role_arn, external_id, session_name,
        sts_url;
};

struct file_concurrency {
    const struct yaml_node *node;
    unsigned most, least, first; /* 0: not set */
    bool adaptive;
};

struct file_objectives {
    const struct yaml_node *node;
    ns_t first_token, per_token; /* 0: none */
};

struct file_queue {
    bool enabled;
    unsigned max, per_tenant;
    ns_t max_wait;
};

/* US dollars per million tokens; what is not written is found out by the node. */
struct file_rates {
    const struct yaml_node *node;
    unsigned tokens; /* of a step under `above` */
    double input, output, cached_input, cache_write, cache_write_1h, reasoning, audio_input, audio_output, request;
};

struct file_price {
    struct file_rates rates;
    struct file_rates *above;
    size_t above_count;
    double times, batch, batch_cached, flex, flex_cached, priority, priority_cached;
};

enum price_word { PRICE_WORD_NONE, PRICE_WORD_FREE };

struct file_deployment {
    struct str name;
    const struct yaml_node *node;
    struct file_price price;
    enum price_word price_word;
    int64_t context, max_output; /* 0: not set */
    struct file_concurrency concurrency;
    struct file_objectives objectives;
    int *with, *without; /* NEED_ bits */
    size_t with_count, without_count;
    struct schema_text *tags;
    size_t tag_count;
};

struct file_api_key {
    const struct yaml_node *node;
    struct schema_text name, key;
    unsigned weight;
};

struct file_provider {
    struct str name;
    const struct yaml_node *node;
    struct schema_text dialect, base_url, api_key, proxy, region, project, api_version;
    struct file_api_key *api_keys;
    size_t api_key_count;
    struct file_header *headers;
    size_t header_count;
    struct file_tls tls;
    struct file_auth auth;
    struct file_health health;
    struct timeouts timeouts; /* 0: not set */
    unsigned max_connections;
    struct file_concurrency concurrency;
    struct file_objectives objectives;
    bool stream_usage;
    enum think_tags think_tags;
    struct schema_text *serves;
    size_t serves_count;
    struct schema_text *tags;
    size_t tag_count;
    bool optional;
    bool simulate, pipelines;
    struct schema_text scenario;
};

struct file_target {
    struct schema_text deployment;
    unsigned weight, tier;
};

struct file_fallbacks {
    struct file_list {
        struct schema_text *items;
        size_t count;
    } by[FALLBACKS];
};

struct file_retries {
    unsigned attempts, here;
    ns_t base, cap, max_wait;
    double budget, floor;
};

struct file_ejection {
    bool on;
    unsigned consecutive, volume, probes, successes;
    double share, slow, share_max, start_share;
    ns_t window, slow_for, time, time_max, forgive, slow_start;
};

struct file_hedge {
    bool on;
    double quantile, requests, spend;
    ns_t least;
    unsigned samples;
};

struct file_shadow {
    const struct yaml_node *node;
    struct schema_text deployment;
    double share;
};

struct file_model {
    struct str name;
    const struct yaml_node *node;
    struct schema_text strategy, sticky;
    struct file_target *targets;
    size_t target_count;
    struct file_fallbacks fallbacks;
    struct file_retries retries;
    struct file_ejection ejection;
    struct file_hedge hedge;
    struct file_shadow shadow;
    double patience;          /* milliseconds per US cent */
    struct timeouts timeouts; /* 0: not set */
    bool strict;
    bool stream_failover;
    struct file_queue queue;
    int64_t max_output_tokens;
    struct schema_text *aliases, *required;
    size_t alias_count, required_count;
};

struct file_pair {
    struct str name;
    struct schema_text value;
};

struct file_key {
    const struct yaml_node *node;
    struct schema_text name, hash, aws_access_key_id, aws_secret_access_key;
    struct schema_text *models;
    size_t model_count;
    struct schema_text team;
    struct schema_text *tags, *required;
    size_t tag_count, required_count;
    struct file_pair *metadata;
    size_t metadata_count;
    int *overrides; /* bits of enum override, to be put together */
    size_t override_count;
    int priority;
    unsigned weight;
};

struct file_rule {
    const struct yaml_node *node;
    struct schema_text name, when, use;
    struct schema_text *models, *required;
    size_t model_count, required_count;
};

struct file_facts {
    uint64_t recent, size;
    struct schema_text dir;
    ns_t age;
};

struct file_journal {
    struct schema_text path, username, password, ca, cert, key;
    unsigned traces;
    ns_t age, lease;
};

struct file_registry {
    const struct yaml_node *node;
    struct schema_text path, listen, user, password;
};

struct file_admin_key {
    struct schema_text name, hash;
};

struct file_admin {
    struct schema_text listen, key_file;
    struct file_admin_key *keys;
    size_t key_count;
};

struct config_file {
    const struct yaml_node *node;
    struct schema_text *listens;
    size_t listen_count;
    unsigned workers;
    struct {
        struct schema_text cert, key, client_ca;
        const struct yaml_node *node;
    } tls;
    bool anonymous;
    struct {
        uint64_t body, header_bytes, held_answer;
        unsigned header_count, connections;
        ns_t header_time, body_gap, idle_time, write_gap;
    } limits;
    struct timeouts timeouts;
    ns_t drain;
    struct {
        int level; /* enum log_level */
        enum log_form format;
        struct str access;
    } log;
    struct file_provider *providers;
    size_t provider_count;
    struct file_deployment *deployments;
    size_t deployment_count;
    struct file_model *models;
    size_t model_count;
    struct file_key *keys;
    size_t key_count;
    struct file_rule *rules;
    size_t rule_count;
    struct {
        bool on, allow_http, allow_ports;
        uint64_t max_bytes;
        ns_t time;
        unsigned max_redirects, at_once;
        struct schema_text *hosts, *networks, *media_types;
        size_t host_count, network_count, media_type_count;
    } fetch;
    struct schema_text pass_through;
    struct file_facts facts;
    struct file_admin admin;
    struct file_journal journal;
    struct file_registry registry;
    bool explain_headers;
    const struct yaml_node **pipelines; /* as written, without variables put in */
    size_t pipeline_count;
    const struct yaml_node *connections; /* likewise */
};

/* The shape of the file, and of a model in it. */
extern const struct schema_object config_object, config_model_object, config_own_timeouts;
/* An item of a list of texts. */
extern const struct schema_field config_text_item;
/* A name of lower-case letters, digits, "_", "." and "-". */
extern const struct schema_pattern config_name;
/* An entry under `deployments`. */
extern const struct schema_field config_deployment;
/* The name of a model, of lists of them. */
extern const struct schema_field config_model_item;
/* A tag, of lists of them. */
extern const struct schema_field config_tag_item;
/* The shape of an entry of `routes`. */
extern const struct schema_object config_rule_object;
/* An item of providers.*.api_keys. */
extern const struct schema_field config_api_key_item;
/* Those of sections that have a file of their own, and the hash of a key. */
extern const struct schema_object config_facts_object, config_admin_object, config_journal_object;
extern const struct schema_pattern config_key_hash, config_model_name;
/* An entry of `pipelines`: a path, or a pipeline. */
extern const struct schema_field config_pipeline_item;

/* Parts of it: config_admission.c */
extern const struct schema_object config_concurrency_object, config_objectives_object, config_queue_object;
extern const struct schema_choice config_priorities[];

/* One run of config_load(). */
struct config_run {
    const struct config_env *env;
    struct arena *arena; /* of the run: trees, texts, temporary tables; wiped and freed at its end */
    struct problems problems;
    struct str folder;   /* of the configuration: "" or with a slash at its end */
    bool tags_too_many;  /* that has been said */
    struct map left_out; /* optional providers that a variable is missing for; value: their node */
    struct config_file file;
};

/* Is it a field whose tree is for somebody else to read, who puts variables in as well? config_pipelines.c */
bool config_is_kept_raw(struct str name);
/* Has the map `n` the member, and is that not null? NULL and what is no map have none. */
bool config_is_written(const struct yaml_node *n, const char *name) PURE;
/* Put variables into every scalar value below `root` that is read here, and find out which optional providers are left out
 * (config_run.left_out). */
void config_expand(struct config_run *run, struct yaml_node *root);
/* The credential or certificate that `t` stands for, in the run's arena: its text, or for "file:path" the file's bytes
 * without the newline at the end. `or_path`: text that is no PEM is a path too. STR_NONE, after a problem was added, if
 * it cannot be read. */
struct str config_read_secret(struct config_run *run, const struct schema_text *t, bool or_path);
/* Append the bytes of a file, at most `max`. `path` is NUL-terminated. */
err_t config_read_file(const struct config_run *run, struct str path, size_t max, struct buf *ret) MUST_CHECK;
/* The seams to look at files through: those of the loop, if there is one. */
const struct seams *config_seams(void);
/* `path`, taken from the configuration's folder if it is relative; NUL-terminated. */
struct str config_resolve_path(struct config_run *run, struct str path);

/* What is made of run->file, step by step. */
struct config_build {
    struct config_run *run;
    struct catalog *c;
    unsigned *met; /* per deployment: mark of the list that last named it */
    unsigned mark;
    struct map gone;   /* models left out; value: their node */
    struct str *names; /* sorted: all that clients may ask for; a provider that serves all: "provider/" */
    size_t name_count;
    unsigned suggestions;
    bool in_plain_model; /* what is made is a model that is no wildcard: a "*" in its targets would stand for nothing */
};

/* The deployment that `t` names. NULL if its provider is left out (then *ret_gone), or after a problem was added. */
const struct deployment *config_resolve(struct config_build *b, const struct schema_text *t, bool *ret_gone);
/* The limits that are set (not 0) in `own`, else those of `above`. */
void config_inherit_timeouts(struct timeouts *to, const struct timeouts *own, const struct timeouts *above);
/* Make the models of b->c, without those left out. */
void config_build_models(struct config_build *b);
/* Make the deployments that only the section `deployments` names, and tell every one its price, limits, abilities and tags: what the
 * file says of it, else of all of its provider's, else the book of models. After the models. */
void config_build_deployments(struct config_build *b);

/* The limit that is meant; `most` 0: none. */
struct concurrency_rules config_build_concurrency(struct config_run *run, const struct file_concurrency *c,
                                                  const struct file_objectives *o);
/* The deployment's own, if its entry or that of all of its provider's says one; either may be NULL. */
void config_limit_deployment(struct config_run *run, struct deployment *d, const struct file_deployment *own,
                             const struct file_deployment *any);
struct queue_rules config_build_queue(const struct file_queue *f);
/* Check what is in run->file beyond its shape, and make a catalog; NULL if the run has errors. */
struct catalog *config_build(struct config_run *run);
/* Make the rules of `c` from run->file. `gone`: names of models that are left out. */
void config_build_rules(struct config_run *run, struct catalog *c, const struct map *gone);
/* What a key says about its requests beyond the models that it may use. */
void config_build_key_rules(struct config_run *run, struct catalog *c, struct api_key *k, const struct file_key *f);
/* Take in the aliases of the models of `c`, and keep its wildcards apart. */
void config_build_names(struct config_run *run, struct catalog *c);
/* Arrange the long lists of deployments of `c`, which is complete and valid. */
void config_build_rosters(struct catalog *c);
/* Give each provider and deployment of `c` the bits of its tags. */
void config_build_tags(struct config_run *run, struct catalog *c);
/* The bits of these tags. */
uint64_t config_tag_bits(struct config_run *run, struct catalog *c, const struct schema_text *tags, size_t count);
/* Make the keys of a provider whose place is known. */
void config_build_keys(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f);
/* Its headers and what expires are known, too: tell its credentials from those of other configurations. */
void config_identify_keys(struct provider *p);
/* Without control characters? */
bool config_is_printable(struct str s);
/* Make the providers of `c` from run->file, in its order, without those left out. */
void config_build_providers(struct config_run *run, struct catalog *c);
/* The texts of a list in the catalog's arena, and behind `before`, each once. */
struct str *config_join_tags(struct catalog *c, const struct str *before, size_t before_count,
                             const struct schema_text *list, size_t count, size_t *ret_count);
/* The sections `facts` and `explain_headers`, and `admin`, which comes after the keys. */
void config_build_facts(struct config_run *run, struct catalog *c);
/* The section `journal`. */
void config_build_journal(struct config_run *run, struct catalog *c);
/* The section `registry`, which comes after the addresses for clients. */
void config_build_registry(struct config_run *run, struct catalog *c);
extern const struct schema_object config_registry_object;
void config_build_pipelines(struct config_run *run, struct catalog *c);
void config_build_admin(struct config_run *run, struct catalog *c);

#endif
