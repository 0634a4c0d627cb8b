/*
 * catalog.h - what exists: providers, deployments, models, keys, and how to serve. One immutable, counted snapshot.
 *
 * A configuration file becomes a catalog (fleet/config.h) or nothing. Requests hold the snapshot they began with; a
 * reload installs another one beside it. Everything in it is read-only and shared by all loops; look-ups cost the
 * same however large it is.
 */
#ifndef FLEET_CATALOG_H
#define FLEET_CATALOG_H

#include "base/map.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/time.h"
#include "codec/digest.h"
#include "credential/credential.h"
#include "fleet/condition.h"
#include "fleet/live.h"
#include "fleet/needs.h"
#include "fleet/prefixes.h"
#include "fleet/provider_health.h"
#include "llm/dialect.h"
#include "llm/vendor.h"
#include "net/guarded_fetch.h"
#include "policy/price.h"
#include "rt/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each is a span; NS_NEVER: no limit. */
struct timeouts {
    ns_t connect;        /* dial and TLS */
    ns_t first_byte;     /* request sent until the head of the answer */
    ns_t between_bytes;  /* between two pieces of the answer */
    ns_t total;          /* all attempts together */
    ns_t first_token;    /* request sent until the first content of a stream */
    ns_t between_tokens; /* between two pieces of its content */
};

struct deployment;

struct header_field {
    struct str name, value;
};

/* How to get a credential that expires, for providers that need more than a key. */
struct provider_auth {
    struct str kind; /* of credential/: "aws", "google-metadata", …; empty: none, the key is all    */
    struct str id;   /* equal for providers that may share a credential                             */
    struct google_params google;
    struct azure_params azure;
    struct aws_params aws;
};

/* A credential that a provider's requests carry. */
struct provider_key {
    struct str name;      /* for logs and metrics; empty: the only one                          */
    struct secret secret; /* empty: none is sent, or what `auth` gets                           */
    unsigned weight;      /* > 0                                                                */
    unsigned char
        identity[SHA256_BYTES]; /* a digest of provider, secret and what else makes it: the same after a reload
                                             if nothing of that was changed */
};
enum { PROVIDER_KEYS_MAX = 64 };

struct provider {
    struct str name;
    const struct vendor *vendor;
    const struct dialect *dialect; /* the vendor's main one */
    unsigned index;                /* position in catalog.providers */
    bool simulated;                /* answered by the simulator in this process, at an address set at start */
    bool pipelines;           /* simulated, but answered by pipelines in this process: its models are sources `chat` */
    struct str scenario_path; /* of a simulated one: its scenario file; empty: the built-in scenario */
    bool secure;              /* https */
    struct str host;          /* IPv6 without brackets */
    uint16_t port;
    struct str unix_path;                    /* base_url "unix:/path": a local server */
    struct str region, project, api_version; /* of vendors that have such; empty: none */
    struct str base_path;                    /* of base_url, without trailing slash: "/v1" or "" */
    struct provider_key *keys;               /* that share its requests */
    size_t key_count;                        /* >= 1 */
    struct provider_auth auth;
    struct header_field *headers; /* added to each request */
    size_t header_count;
    struct str proxy;                     /* "http://…", "none", or empty: from the environment */
    struct str ca_pem, cert_pem, key_pem; /* contents, read when the configuration was loaded */
    bool insecure_skip_verify;
    enum think_tags think_tags;
    bool no_stream_usage; /* it refuses stream_options: do not ask for usage in streams */
    struct timeouts timeouts;
    struct provider_health health;
    unsigned max_connections;             /* per loop */
    struct concurrency_rules concurrency; /* of each of its deployments that has none of its own; most 0: no limit */
    struct str *serves;                   /* models reachable as "<provider>/<model>" and listed */
    size_t serves_count;
    struct str *tags; /* words that rules can ask for; its deployments have them too */
    size_t tag_count;
    bool serves_all; /* serves: "*": any model is reachable as "<provider>/<model>" */
    const struct deployment *
        any; /* named "<provider>/" and a star: stands for each of them without an entry of its own; NULL: serves_all is not set */
    uint64_t tag_bits;   /* as of a deployment */
    struct str pool_key; /* equal for providers that may share connections: origin, TLS, proxy */
};

/* What the configuration says of the book's prices where it does not list the models. */
struct price_terms {
    uint32_t millionths;                                                /* factor for all rates; never 0 */
    uint32_t permille[PRICE_SERVICES], cached_permille[PRICE_SERVICES]; /* as in struct price; 0: as the book has it */
};

/* One model at one provider: what a request is finally sent to. */
struct deployment {
    struct str name;  /* "openai/gpt-4o" */
    struct str model; /* the provider's name for it: "gpt-4o" */
    const struct provider *provider;
    struct concurrency_rules concurrency; /* most 0: no limit */
    unsigned index;                       /* position in catalog.deployments */
    uint64_t id;                          /* of its name; the same in every configuration */
    const struct price *price;            /* NULL: not known                                 */
    const struct price_terms
        *book_terms; /* of a star without a price: what its models cost of the book's; NULL: all of it */
    struct str price_as_of, price_source;       /* "2026-01-31" and a URL; both empty: configured   */
    uint64_t context_tokens, max_output_tokens; /* input and output together, output; 0: not known */
    uint32_t lacks;                             /* NEED_ bits that it is known not to have         */
    uint32_t has;                               /* those that the configuration says it has        */
    struct str *tags;                           /* its own and its provider's, each once           */
    size_t tag_count;
    uint64_t tag_bits; /* as bits: see catalog_tag_bit()               */
    struct str label;  /* its name in metrics: where it was made of a pattern for one request, that pattern */
    bool is_pattern;   /* "provider/…*…": stands for a deployment per name; its state is shared by all of them */
};

struct target {
    const struct deployment *deployment;
    unsigned weight; /* > 0 */
    unsigned tier;   /* of strategy "priority": 0 is the first choice */
};

/* What requests that stay together have in common. */
enum sticky_by { STICKY_CONVERSATION, STICKY_USER, STICKY_HEADER };

/* How a route chooses among its deployments, and what it does when one fails. */
struct route_rules {
    const struct strategy *strategy;
    struct retry_rules retries;
    struct live_rules live;   /* ejection, estimates, retry budget */
    struct hedge_rules hedge; /* requests 0: none                  */
    enum sticky_by sticky;
    struct str sticky_header;
    double ns_per_nanodollar; /* patience: see struct strategy_ask */
};

/* How requests wait while all deployments are full. */
struct queue_rules {
    bool on; /* else they are refused at once */
    struct fair_rules fair;
    ns_t max_wait;
};

/* Of what is no configured model. */
extern const struct queue_rules queue_rules_usual;

/* What clients ask for. */
struct model {
    struct str name;
    struct target *targets;
    size_t target_count;
    const struct roster *
        roster; /* of the targets, where there are many; NULL: there are few, or a pattern makes them for each request */
    uint64_t weight_sum;
    struct fallback_list {
        struct target *items; /* in the order in which they are tried; their tiers say so */
        size_t count;
        const struct roster *roster; /* likewise */
    } fallbacks[FALLBACKS];          /* by what went wrong; FALLBACK_ANY stands in for each that is empty */
    struct route_rules rules;
    struct {
        const struct deployment *deployment; /* gets a copy of requests; NULL: none */
        double share;                        /* of them, (0, 1]                     */
    } shadow;
    struct timeouts timeouts; /* resolved: the model's, else the provider-independent defaults */
    bool has_timeouts;        /* the model sets some of its own */
    bool stream_failover;     /* a stream that breaks off goes on at another deployment */
    struct queue_rules queue;
    bool strict;               /* refuse what a provider cannot be told, instead of leaving it out */
    int64_t max_output_tokens; /* for providers that demand a limit, when the client set none; 0: the default */
    unsigned index;
    struct str *aliases; /* other names that clients may ask for it by                       */
    size_t alias_count;
    bool is_wildcard;  /* its name ends with '*': it stands for all names that begin so    */
    uint64_t required; /* bits of tags that a deployment must have                         */
};

/* Sends requests whose name and condition fit to a model. In the order of the configuration; the first that fits wins. */
struct rule {
    struct str name;
    unsigned index;
    struct condition condition;
    const struct model *use; /* NULL: the model that the client named       */
    uint64_t required;       /* bits of tags, as of a model                 */
    bool failed_;            /* private, atomic: see rule_failed()    */
};

/* Rules for a name, by index, ascending; `outer`: those for shorter prefixes of it. */
struct rule_list {
    const struct rule_list *outer;
    unsigned *indexes;
    size_t count;
};

/* What a client may decide for its request, by header. */
enum override {
    OVERRIDE_MODELS = 1,
    OVERRIDE_TIMEOUT = 2,
    OVERRIDE_NO_FALLBACK = 4,
    OVERRIDE_ALL = 7,
};

/* A tag is a bit of a uint64_t. */
enum { TAGS_MAX = 64 };

struct api_key {
    struct str name;
    unsigned char hash[32];       /* SHA-256 of the key */
    struct str aws_access_key_id; /* for requests that are signed (SigV4); empty: none */
    struct secret aws_secret_access_key;
    struct str *models; /* allowed names; a trailing '*' matches any rest */
    size_t model_count; /* 0: all */
    unsigned priority;  /* level of fair queues: 0 high, 1 normal, 2 low */
    unsigned weight;    /* in them; > 0 */
    unsigned index;
    struct str team; /* empty: none                                          */
    struct str *tags;
    size_t tag_count;
    struct header_field *metadata; /* name and value */
    size_t metadata_count;
    uint64_t required;  /* bits of tags that a deployment must have             */
    unsigned overrides; /* enum override                                        */
};

enum log_format { LOG_CONSOLE, LOG_JSON };

struct listen_config {
    struct addr addr;
    struct str text; /* as written */
    bool tls;
};

/* Of an operator. */
struct admin_key {
    struct str name;
    unsigned char hash[32]; /* SHA-256 of the key */
};

struct catalog {
    unsigned refs_;    /* private, atomic */
    uint64_t revision; /* 1, 2, … in load order within the process */
    char digest[17];   /* first 16 hex digits of the SHA-256 of the source text */
    struct str path;   /* file it came from */

    struct listen_config *listens;
    size_t listen_count;
    unsigned workers;                                        /* loops; 0: one per processor */
    struct str tls_cert_pem, tls_key_pem, tls_client_ca_pem; /* contents */
    bool anonymous;                                          /* serve without keys on any address */

    struct {
        uint64_t body_bytes;
        size_t head_bytes, head_count;
        unsigned connections;
        ns_t head_time, body_gap, idle_time, write_gap;
        uint64_t held_answer; /* a plain answer up to this size is held until it is whole */
    } limits;
    struct {
        bool on;
        struct fetch_rules rules; /* but for its TLS settings */
        unsigned at_once;
    } fetch;         /* of what clients name by URL */
    ns_t drain_time; /* how long SIGTERM waits for requests in flight */

    struct {
        enum log_format format;
        bool format_auto;  /* console on a terminal, else JSON */
        int level;         /* enum log_level */
        struct str access; /* "stdout", "stderr", path, or "off" */
    } log;

    struct {
        uint64_t recent; /* bytes in memory; 0: none     */
        struct str dir;  /* of the log on disk; empty: none */
        uint64_t size;   /* of that log, at most         */
        ns_t age;        /* of its records; NS_NEVER: any */
    } facts;             /* what is kept of requests      */
    struct {
        struct str path;     /* of a file, or the URL of a database; empty: in memory */
        struct str username; /* at a database; empty: as the URL says */
        struct secret password;
        struct str ca, cert, key; /* paths of PEM files; empty: the system's authorities, no certificate of ours */
        uint64_t traces;          /* kept, at most                */
        ns_t age;                 /* of them; NS_NEVER: any       */
        ns_t lease;               /* of a database: how long a process may be silent */
    } journal;                    /* of pipelines                 */
    struct {
        struct str path; /* empty: there is none                        */
        struct listen_config listen;
        struct str user; /* who may ask, with the password; empty: anybody who reaches it */
        struct secret password;
    } registry;           /* of schemas                   */
    bool explain_headers; /* tell clients where their request went */
    struct {
        bool on, is_usual; /* is_usual: nobody asked for this address, so it may be taken already */
        struct listen_config listen;
        struct admin_key *keys;
        size_t key_count;    /* 0: a key is made at the start                                    */
        struct str key_file; /* where that is written; empty: in the usual place, if there are no keys */
    } admin;

    struct {
        const struct yaml_node **items; /* as written: paths, or pipelines; what they say is for src/pipeline to read */
        size_t count;
        const struct yaml_node *connections; /* likewise; NULL: none                                                  */
        struct str folder;                   /* that paths start from: "" or with a slash at its end                  */
    } pipelines;

    struct provider *providers;
    size_t provider_count;
    struct deployment *deployments;
    size_t deployment_count;
    struct model *models;
    size_t model_count;
    struct api_key *keys;
    size_t key_count;
    struct rule *rules;
    size_t rule_count;
    struct str *tags; /* all that deployments have or something requires; by their bit */
    size_t tag_count;
    const struct provider *pass_through; /* where other /v1 paths go; NULL: nowhere */
    struct route_rules usual;            /* of what is no configured model           */

    struct map model_by_name;        /* struct model *, aliases too; none that is a wildcard */
    struct prefixes model_by_prefix; /* struct model *: wildcards, without their '*' */
    struct map rules_by_name;        /* struct rule_list *: of patterns without '*' */
    struct prefixes rules_by_prefix; /* struct rule_list *: of those with one; "": of all names */
    struct map tag_by_name;          /* struct str *: its place in `tags` */
    struct map provider_by_name;     /* struct provider * */
    struct map deployment_by_name;   /* struct deployment * */
    struct map served_by_name;       /* struct deployment *: "<provider>/<model>" of lists under `serves` */
    struct map key_by_hash;          /* struct api_key *, by the 32 bytes */
    struct map key_by_aws_id;        /* struct api_key * */
    struct map key_by_name;          /* struct api_key * */
    struct arena *arena_;            /* private: all of the above lives here */
};

/* Counted references; from any thread. The last unref wipes secrets and frees. */
struct catalog *catalog_ref(struct catalog *c);
void catalog_unref(struct catalog *c);
/* The key whose SHA-256 is `hash`; NULL if there is none. Compares in constant time after the table look-up. */
const struct api_key *catalog_find_key(const struct catalog *c, const unsigned char hash[32]);
/* The key of that name; NULL if there is none. */
const struct api_key *catalog_find_key_named(const struct catalog *c, struct str name);
/* Without keys anyone who reaches an address is served: E_CONFIG, with the remedy, unless `at` is a loopback address (or a local socket)
 * or the configuration says that this is meant. */
err_t catalog_check_exposure(const struct catalog *c, const struct addr *at) MUST_CHECK;
/* The key that signs with this AWS access key id; NULL if there is none. */
const struct api_key *catalog_find_signer(const struct catalog *c, struct str access_key_id);
/* How people know one of a provider's credentials; never its secret. */
struct str provider_key_label(const struct provider *p, size_t key);
bool api_key_allows(const struct api_key *k, struct str model);
/* The model of that name, or with that alias; NULL if none is configured. */
const struct model *catalog_find_model(const struct catalog *c, struct str name);
/* The same, or else the wildcard with the longest prefix of `name`. *ret_rest: what stands for its '*' (a slice of `name`, never empty), else
 * STR_NONE. */
const struct model *catalog_match_model(const struct catalog *c, struct str name, struct str *ret_rest);
/* The rules that may be meant for `name`; NULL: there are none. */
const struct rule_list *catalog_find_rules(const struct catalog *c, struct str name);
/* The first of them whose index is at least `from`; NULL: none. Costs a binary search per list. */
const struct rule *catalog_next_rule(const struct catalog *c, const struct rule_list *list, unsigned from);
/* A rule's condition could not be evaluated. True for the first time, of all loops. */
bool rule_failed(const struct rule *r);
/* The bit of a tag; 0: nothing has it and nothing requires it. */
uint64_t catalog_tag_bit(const struct catalog *c, struct str tag);
/* For "<provider>/<model>" of a provider that serves it: the provider, and its own name of the model (a slice of
 * `name`). NULL if none. */
const struct provider *catalog_find_served(const struct catalog *c, struct str name, struct str *ret_model);
/* The configured name nearest to `name`, for "did you mean"; empty if none is near. */
struct str catalog_nearest_model(const struct catalog *c, struct str name);

#endif
