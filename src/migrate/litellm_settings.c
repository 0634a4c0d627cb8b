/*
 * litellm_settings.c - everything but model_list: what it becomes, or what to do instead.
 *
 * The tables list the settings of LiteLLM's reference that mean something to an operator, each with the remedy. A setting that they do not
 * know is reported too, so nothing is lost in silence; one without a remedy is handled, or needs nothing.
 *
 * LiteLLM's fallbacks name models, ours deployments: a model that is fallen back to becomes its deployments, those that are drawn before its
 * own spares. LiteLLM sets strategy and retries for all models at once, ours has them at each.
 */
#include "codec/digest.h"
#include "migrate/litellm_int.h"

#include <math.h>

enum { FALLBACKS_MAX = 64 };

struct setting {
    const char *key;
    const char *remedy; /* NULL: handled, or there is nothing to do */
};

#define NOT_NEEDED NULL
#define BY_HAND "set it up by hand; docs/configuration.md has what there is"
#define NO_DATABASE "there is no database of keys and spending; keys are listed under keys (crossdock key new)"
#define NO_CACHE "answers are not cached"
#define NO_CALLBACKS "use the access log and /metrics (docs/operations.md)"
#define NO_COOLDOWN "who is ill is taken out by ejection of the model, whose usual rules hold (docs/reliability.md)"
#define NO_DEFAULTS "let clients send it with their requests"
#define NO_PRICES                                                                                                      \
    "if the book of models does not know the price (crossdock prices), say it under deployments, per million tokens"
#define NO_DROPPING                                                                                                    \
    "what a provider's format cannot express is left out and named in x-crossdock-dropped; strict: true of a model "   \
    "refuses it"
#define BY_CONDITION "write a condition under routes, or tags that are required (docs/routing.md)"
#define OWN_RETRIES "write it as retries of the model: attempts, the first one included"
#define RETRY_BY_CAUSE                                                                                                 \
    "what is tried again is known for each cause (docs/routing.md); retries of a model says how often"
#define AT_A_TIME "write it as concurrency of the provider, or under deployments"
#define PROBED "write it as health of each provider (docs/reliability.md)"

static const struct setting params_table[] = {
    {"model", NULL},
    {"api_key", NULL},
    {"api_base", NULL},
    {"base_url", NULL},
    {"organization", NULL},
    {"extra_headers", NULL},
    {"headers", NULL},
    {"weight", NULL},
    {"order", NULL},
    {"timeout", NULL},
    {"custom_llm_provider", NULL},
    {"aws_region_name", NULL},
    {"aws_bedrock_runtime_endpoint", NULL},
    {"vertex_project", NULL},
    {"vertex_location", NULL},
    {"vertex_credentials", NULL},
    {"aws_access_key_id", NULL},
    {"aws_secret_access_key", NULL},
    {"aws_session_token", NULL},
    {"aws_session_name", NULL},
    {"aws_profile_name", NULL},
    {"aws_role_name", NULL},
    {"aws_external_id", NULL},
    {"aws_sts_endpoint", NULL},
    {"aws_web_identity_token", NULL},
    {"tenant_id", NULL},
    {"client_id", NULL},
    {"client_secret", NULL},
    {"azure_scope", NULL},
    {"api_version", NULL},
    {"ssl_verify", NULL},
    {"litellm_credential_name", NULL},
    {"drop_params", NOT_NEEDED},
    {"rpm", "it is used for the shares of the deployments only; requests are not limited"},
    {"tpm", "it is used for the shares of the deployments only; tokens are not limited"},
    {"max_parallel_requests", AT_A_TIME},
    {"stream_timeout", "timeouts.first_byte and timeouts.between_bytes hold for streams too"},
    {"num_retries", OWN_RETRIES},
    {"max_retries", OWN_RETRIES},
    {"azure_ad_token", "give it as the header Authorization: \"Bearer ${NAME}\" of the provider"},
    {"azure_username", "a user's password is no credential of a program; use client_secret"},
    {"azure_password", "a user's password is no credential of a program; use client_secret"},
    {"region_name", "the region of a deployment is not looked at"},
    {"input_cost_per_token", NO_PRICES},
    {"output_cost_per_token", NO_PRICES},
    {"input_cost_per_second", NO_PRICES},
    {"output_cost_per_second", NO_PRICES},
    {"tags", BY_CONDITION},
    {"mock_response", "use simulate: with a scenario, at a provider (docs/simulator.md)"},
    {"max_budget", "there are no budgets"},
    {"budget_duration", "there are no budgets"},
    {"use_in_pass_through", "pass_through names one provider for all other paths"},
};

static const struct setting info_table[] = {
    {"id", NOT_NEEDED},
    {"mode", NOT_NEEDED},
    {"base_model", NOT_NEEDED},
    {"description", NOT_NEEDED},
    {"input_cost_per_token", NO_PRICES},
    {"output_cost_per_token", NO_PRICES},
    {"access_groups", "list the models that a key may use under keys"},
    {"supported_environments", "keep one configuration per environment"},
    {"team_id", "list the models that a key may use under keys"},
};

static const struct setting router_table[] = {
    {"timeout", NULL},
    {"fallbacks", NULL},
    {"default_fallbacks", NULL},
    {"model_group_alias", NULL},
    {"routing_strategy", NULL},
    {"num_retries", NULL},
    {"set_verbose", NOT_NEEDED},
    {"context_window_fallbacks", NULL},
    {"content_policy_fallbacks", NULL},
    {"stream_timeout", "timeouts.first_byte and timeouts.between_bytes hold for streams too"},
    {"routing_strategy_args", "strategies need no such settings (docs/routing.md)"},
    {"enable_pre_call_checks", NOT_NEEDED},
    {"optional_pre_call_checks", "for affinity write strategy: sticky (docs/routing.md)"},
    {"allowed_fails", NO_COOLDOWN},
    {"allowed_fails_policy", NO_COOLDOWN},
    {"cooldown_time", NO_COOLDOWN},
    {"disable_cooldowns", NOT_NEEDED},
    {"retry_policy", RETRY_BY_CAUSE},
    {"model_group_retry_policy", RETRY_BY_CAUSE},
    {"retry_after", "write it as retries.base of the model; other deployments are tried at once"},
    {"enable_tag_filtering", BY_CONDITION},
    {"redis_host", "instances share nothing"},
    {"redis_port", "instances share nothing"},
    {"redis_password", "instances share nothing"},
    {"redis_url", "instances share nothing"},
    {"cache_responses", NO_CACHE},
    {"provider_budget_config", "there are no budgets"},
    {"default_max_parallel_requests", AT_A_TIME},
    {"default_litellm_params", NO_DEFAULTS},
    {"max_fallbacks", "all that are listed are tried, while timeouts.total lasts"},
};

static const struct setting litellm_table[] = {
    {"request_timeout", NULL},
    {"fallbacks", NULL},
    {"default_fallbacks", NULL},
    {"num_retries", NULL},
    {"set_verbose", NOT_NEEDED},
    {"telemetry", NOT_NEEDED},
    {"drop_params", NO_DROPPING},
    {"modify_params", NO_DROPPING},
    {"json_logs", "write log: {format: json}"},
    {"context_window_fallbacks", NULL},
    {"content_policy_fallbacks", NULL},
    {"allowed_fails", NO_COOLDOWN},
    {"cooldown_time", NO_COOLDOWN},
    {"cache", NO_CACHE},
    {"cache_params", NO_CACHE},
    {"callbacks", NO_CALLBACKS},
    {"success_callback", NO_CALLBACKS},
    {"failure_callback", NO_CALLBACKS},
    {"service_callbacks", NO_CALLBACKS},
    {"turn_off_message_logging", NOT_NEEDED},
    {"redact_user_api_key_info", NOT_NEEDED},
    {"max_budget", "there are no budgets"},
    {"budget_duration", "there are no budgets"},
    {"force_ipv4", "addresses of both families are tried, the faster one wins"},
    {"ssl_verify", "set tls of each provider"},
    {"default_team_settings", NO_DATABASE},
    {"key_generation_settings", NO_DATABASE},
    {"guardrails", "there are no guardrails"},
};

static const struct setting general_table[] = {
    {"master_key", NULL},
    {"database_url", NO_DATABASE},
    {"database_connection_pool_limit", NO_DATABASE},
    {"database_connection_timeout", NO_DATABASE},
    {"store_model_in_db", "models in LiteLLM's database are not seen by this import: export and add them"},
    {"disable_spend_logs", NOT_NEEDED},
    {"disable_master_key_return", NOT_NEEDED},
    {"completion_model", "clients must name a model"},
    {"max_request_size_mb", "write limits: {body: 64MiB} with the size"},
    {"max_parallel_requests", "max_connections of a provider is the nearest, which counts per worker"},
    {"global_max_parallel_requests", "limits.connections bounds connections of clients"},
    {"custom_auth", "clients authenticate with keys"},
    {"enable_jwt_auth", "clients authenticate with keys"},
    {"enable_oauth2_auth", "clients authenticate with keys"},
    {"allowed_ips", "use a firewall, or listen on an inner address"},
    {"alerting", "alert on /metrics (docs/operations.md)"},
    {"alerting_threshold", "alert on /metrics (docs/operations.md)"},
    {"background_health_checks", PROBED},
    {"health_check_interval", PROBED},
    {"pass_through_endpoints", "pass_through names one provider for all other paths below /v1"},
    {"forward_client_headers_to_llm_api",
     "headers of clients are not handed on; add what is needed to headers of the provider"},
    {"litellm_key_header_name", "keys are taken from Authorization, x-api-key and their like"},
    {"key_management_system", "secrets come from variables and files: \"${NAME}\", \"file:/path\""},
    {"use_azure_key_vault", "secrets come from variables and files: \"${NAME}\", \"file:/path\""},
    {"use_google_kms", "secrets come from variables and files: \"${NAME}\", \"file:/path\""},
};

static const struct setting top_table[] = {
    {"model_list", NULL},
    {"router_settings", NULL},
    {"litellm_settings", NULL},
    {"general_settings", NULL},
    {"credential_list", NULL},
    {"include", "import each of the files, and put the results into one folder"},
    {"environment_variables", "set them in the environment of crossdock"},
    {"callback_settings", NO_CALLBACKS},
    {"guardrails", "there are no guardrails"},
    {"mcp_servers", "there is no MCP gateway"},
    {"files_settings", "files go to the provider that pass_through names"},
    {"finetune_settings", "fine-tuning goes to the provider that pass_through names"},
    {"assistant_settings", "assistants go to the provider that pass_through names"},
    {"vector_store_registry", "there is no retrieval"},
    {"search_tools", "there are no search tools"},
};

/* --- what is lost --- */

static const struct setting *find(const struct setting *table, size_t count, struct str key)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(key, str_from_c(table[i].key)))
            return &table[i];
    return NULL;
}

/* Report every key of `map` that has no counterpart; `where` stands before it. */
static void lost_keys(struct import *im, const struct yaml_node *map, const char *where, const struct setting *table,
                      size_t count, const char *unknown)
{
    if (!map || yaml_is_null(map))
        return;
    if (map->kind != YAML_MAP) {
        problems_warn(im->problems, map, "%s* is not carried over: a map is expected there", where);
        return;
    }
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->pairs[i].key;
        const struct setting *s = find(table, count, key->text);
        if (s ? s->remedy != NULL : !yaml_is_null(map->pairs[i].value))
            problems_warn(im->problems, key, "%s%s is not carried over: %s", where, litellm_shown(im, key->text),
                          s ? s->remedy : unknown);
    }
}

#define LOST_KEYS(im, map, where, table, unknown) lost_keys(im, map, where, table, ARRAY_LEN(table), unknown)

void litellm_lost_params(struct import *im, const struct yaml_node *params)
{
    LOST_KEYS(im, params, "litellm_params.", params_table, NO_DEFAULTS);
}

void litellm_lost_info(struct import *im, const struct yaml_node *info)
{
    LOST_KEYS(im, info, "model_info.", info_table,
              "what is known of a model is written under deployments (docs/prices.md)");
}

/* --- fallbacks --- */

/* Is it the one target that is drawn, so that it will have failed already? */
static bool is_sole_target(const struct made_model *m, struct str deployment)
{
    const struct made_target *drawn = NULL;

    for (const struct made_target *t = m->targets; t; t = t->next) {
        if (t->weight && drawn)
            return false;
        drawn = t->weight ? t : drawn;
    }
    return drawn && str_eq(drawn->deployment, deployment);
}

static void add_fallback(struct import *im, struct made_model *m, enum made_cause cause, struct str deployment,
                         const struct yaml_node *at)
{
    struct made_fallbacks *f = &m->fallbacks[cause];

    if (is_sole_target(m, deployment))
        return;
    for (const struct made_name *n = f->first; n; n = n->next)
        if (str_eq(n->text, deployment))
            return;
    if (f->count == FALLBACKS_MAX) {
        litellm_lost(im, at, "a further fallback", "there are 64 for the model already");
        return;
    }
    struct made_name *n = arena_new(im->arena, struct made_name);
    n->text = deployment;
    *f->last = n;
    f->last = &n->next;
    f->count++;
}

/* The lowest order of the spares of `m` that is above `order`; INFINITY if there is none. */
static double next_order(const struct made_model *m, double order)
{
    double next = INFINITY;

    for (const struct made_target *t = m->targets; t; t = t->next)
        if (!t->weight && t->order > order && t->order < next)
            next = t->order;
    return next;
}

/* The deployments of `from`: those that are drawn, then its spares by their order. */
static void add_deployments(struct import *im, struct made_model *to, enum made_cause cause,
                            const struct made_model *from, const struct yaml_node *at)
{
    for (const struct made_target *t = from->targets; t; t = t->next)
        if (t->weight)
            add_fallback(im, to, cause, t->deployment, at);
    double order = next_order(from, -1);
    while (order < INFINITY) {
        for (const struct made_target *t = from->targets; t; t = t->next)
            if (!t->weight && t->order == order)
                add_fallback(im, to, cause, t->deployment, at);
        order = next_order(from, order);
    }
}

/* A model to fall back to: one of the list, or one at a provider that serves all of its models. */
static void fall_back_to(struct import *im, struct made_model *m, enum made_cause cause, const struct yaml_node *to)
{
    if (to->kind != YAML_SCALAR) {
        litellm_lost(im, to, "a fallback with parameters of its own", "name a model");
        return;
    }
    struct str rest = to->text, name = str_cut(&rest, '/');
    const struct made_model *named = map_get(&im->model_by_name, to->text);
    const struct made_provider *p = map_get(&im->provider_by_name, name);
    if (named && named->targets)
        add_deployments(im, m, cause, named, to);
    else if (p && p->serves_all && rest.n && str_find_char(rest, '*') == rest.n)
        add_fallback(im, m, cause, litellm_escaped(im, to->text), to);
    else
        problems_warn(im->problems, to, "the fallback to \"%s\" is not carried over: no model of that name was",
                      litellm_shown(im, to->text));
}

static void fall_back(struct import *im, struct made_model *m, enum made_cause cause, const struct yaml_node *list)
{
    m->fallbacks[cause].is_own = true;
    for (size_t i = 0; list->kind == YAML_LIST && i < list->count; i++)
        fall_back_to(im, m, cause, list->items[i]);
}

static void fall_back_all(struct import *im, enum made_cause cause, const struct yaml_node *list)
{
    for (struct made_model *m = im->models; m; m = m->next)
        if (!m->fallbacks[cause].is_own)
            for (size_t i = 0; list->kind == YAML_LIST && i < list->count && m->targets; i++)
                fall_back_to(im, m, cause, list->items[i]);
}

/* [{model: [model, ...]}, ...]; the one for "*" is *ret_all. */
static void read_fallbacks(struct import *im, enum made_cause cause, const struct yaml_node *list,
                           const struct yaml_node **ret_all)
{
    if (!list || yaml_is_null(list))
        return;
    if (list->kind != YAML_LIST) {
        litellm_lost(im, list, "fallbacks", "a list of maps is expected there");
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *map = list->items[i];
        for (size_t k = 0; map->kind == YAML_MAP && k < map->count; k++) {
            struct str name = map->pairs[k].key->text;
            struct made_model *m = map_get(&im->model_by_name, name);
            if (str_eq(name, STR("*")))
                *ret_all = map->pairs[k].value;
            else if (m)
                fall_back(im, m, cause, map->pairs[k].value);
            else
                problems_warn(im->problems, map->pairs[k].key,
                              "the fallbacks of \"%s\" are not carried over: no model of that name was",
                              litellm_shown(im, name));
        }
    }
}

/* Of two sections that may both have it, the router's counts. */
static const struct yaml_node *either(const struct yaml_node *router, const struct yaml_node *litellm, const char *key)
{
    const struct yaml_node *n = yaml_get(router, str_from_c(key));
    return n ? n : yaml_get(litellm, str_from_c(key));
}

static void set_fallbacks_for(struct import *im, enum made_cause cause, const struct yaml_node *list,
                              const struct yaml_node *all)
{
    read_fallbacks(im, cause, list, &all);
    if (all)
        fall_back_all(im, cause, all);
    for (struct made_model *m = im->models; m; m = m->next)
        if (m->alias_of && !m->fallbacks[cause].is_own)
            m->fallbacks[cause] = m->alias_of->fallbacks[cause];
}

static void set_fallbacks(struct import *im, const struct yaml_node *router, const struct yaml_node *litellm)
{
    for (struct made_model *m = im->models; m; m = m->next)
        if (m->targets && m->targets->next)
            add_deployments(im, m, MADE_ANY, m, m->targets->at);
    set_fallbacks_for(im, MADE_ANY, either(router, litellm, "fallbacks"), either(router, litellm, "default_fallbacks"));
    set_fallbacks_for(im, MADE_CONTEXT_LENGTH, either(router, litellm, "context_window_fallbacks"), NULL);
    set_fallbacks_for(im, MADE_CONTENT_FILTER, either(router, litellm, "content_policy_fallbacks"), NULL);
}

/* --- aliases --- */

/* {alias: model} or {alias: {model: ..., hidden: ...}} */
static void add_alias(struct import *im, const struct yaml_node *alias, const struct yaml_node *to)
{
    const struct yaml_node *name = to->kind == YAML_MAP ? yaml_get(to, STR("model")) : to;
    const struct made_model *of = name && name->kind == YAML_SCALAR ? map_get(&im->model_by_name, name->text) : NULL;

    if (!of || !of->targets || map_get(&im->model_by_name, alias->text) || !litellm_is_model_name(alias->text)) {
        problems_warn(im->problems, alias,
                      "the alias \"%s\" is not carried over: it names no model that was, is no name of a model, or "
                      "there is one already",
                      litellm_shown(im, alias->text));
        return;
    }
    struct made_model *m = litellm_model(im, alias->text);
    m->alias_of = of;
    m->targets = of->targets;
    m->timeout = of->timeout;
}

static void read_aliases(struct import *im, const struct yaml_node *map)
{
    if (!map || map->kind != YAML_MAP)
        return;
    for (size_t i = 0; i < map->count; i++)
        add_alias(im, map->pairs[i].key, map->pairs[i].value);
}

/* --- the rest --- */

/* LiteLLM's goes by tokens of the last minute where ours goes by those under way. */
static void read_strategy(struct import *im, const struct yaml_node *n)
{
    static const struct {
        struct str theirs;
        const char *ours; /* NULL: the usual one */
    } names[] = {{STR_INIT("simple-shuffle"), NULL},
                 {STR_INIT("least-busy"), "least-busy"},
                 {STR_INIT("usage-based-routing"), "least-busy"},
                 {STR_INIT("usage-based-routing-v2"), "least-busy"},
                 {STR_INIT("latency-based-routing"), "least-latency"},
                 {STR_INIT("cost-based-routing"), "lowest-cost"}};

    if (!n || yaml_is_null(n))
        return;
    for (size_t i = 0; n->kind == YAML_SCALAR && i < ARRAY_LEN(names); i++)
        if (str_eq(n->text, names[i].theirs)) {
            im->strategy = names[i].ours;
            return;
        }
    litellm_lost(im, n, "router_settings.routing_strategy", "write strategy of each model (docs/routing.md)");
}

/* Theirs does not count the first attempt, ours does. */
static void read_retries(struct import *im, const struct yaml_node *n)
{
    enum { ATTEMPTS_MAX = 8 };
    double retries;

    if (!litellm_number(im, n, "num_retries", &retries))
        return;
    if (retries > ATTEMPTS_MAX - 1)
        litellm_lost(im, n, "a num_retries above 7", "there are 8 attempts at most, and fallbacks behind them");
    im->attempts = retries < ATTEMPTS_MAX ? (unsigned)retries + 1 : ATTEMPTS_MAX;
}

/* Ours are kept as hashes: the key itself does not get into the result. */
static void read_master_key(struct import *im, const struct yaml_node *n)
{
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX];

    if (!n || yaml_is_null(n))
        return;
    if (n->kind != YAML_SCALAR || litellm_is_variable(n)) {
        litellm_lost(im, n, "general_settings.master_key",
                     "keys are kept as hashes: add under keys the result of printf %s \"$KEY\" | sha256sum");
        return;
    }
    sha256(n->text, hash);
    hex_encode(hex, hash, sizeof hash);
    im->key_hash = arena_str(im->arena, str_of(hex, sizeof hex));
    problems_warn(im->problems, n,
                  "general_settings.master_key becomes the key \"master\", which may use every model; there is "
                  "no administration by it. Give each client a key of its own: crossdock key new");
}

void litellm_read_settings(struct import *im)
{
    const struct yaml_node *router = yaml_get(im->root, STR("router_settings"));
    const struct yaml_node *litellm = yaml_get(im->root, STR("litellm_settings"));
    const struct yaml_node *general = yaml_get(im->root, STR("general_settings"));
    const struct yaml_node *timeout = yaml_get(router, STR("timeout"));

    LOST_KEYS(im, im->root, "", top_table, BY_HAND);
    LOST_KEYS(im, router, "router_settings.", router_table, BY_HAND);
    LOST_KEYS(im, litellm, "litellm_settings.", litellm_table, BY_HAND);
    LOST_KEYS(im, general, "general_settings.", general_table, BY_HAND);
    timeout = timeout ? timeout : yaml_get(litellm, STR("request_timeout"));
    if (!litellm_seconds(im, timeout, "the timeout", &im->timeout))
        im->timeout = 0;
    read_strategy(im, yaml_get(router, STR("routing_strategy")));
    read_retries(im, either(router, litellm, "num_retries"));
    read_aliases(im, yaml_get(router, STR("model_group_alias")));
    set_fallbacks(im, router, litellm);
    read_master_key(im, yaml_get(general, STR("master_key")));
}
