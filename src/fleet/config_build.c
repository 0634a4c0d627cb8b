/*
 * config_build.c - from what a file says to a catalog: settings, deployments, models, keys, and the rules between them.
 *
 * Deployments are the different "provider/model" that targets, fallbacks, `serves` and `deployments` name, made when first
 * met; what is known of them is config_deployments.c's. Room for all of them is counted beforehand, so that pointers to them stay
 * valid. What names a provider that is left out (optional, a variable missing) goes too, and a model that has no
 * target left because of that.
 *
 * Every step is linear, or n log n, in the size of the file; only a mistake costs a search for the nearest name.
 */
#include "fleet/config_int.h"

#include "base/mem.h"
#include "codec/digest.h"

#include <stdlib.h>

enum { SUGGEST_MAX = 50 }; /* mistakes for which near names are searched */

/* ---- settings ---- */

static void check_exposure(struct config_run *run, const struct schema_text *t, const struct addr *at)
{
    if (run->file.key_count || run->file.anonymous || addr_is_loopback(at))
        return;
    problems_error(
        &run->problems, t->node,
        "\"%.*s\" is reachable from elsewhere and nobody needs a key: add \"keys\", or \"anonymous: true\" if "
        "that is meant",
        STR_ARG(t->text));
}

static void set_listens(struct config_run *run, struct catalog *c)
{
    const struct config_file *f = &run->file;

    c->listens = arena_zalloc(c->arena_, f->listen_count * sizeof *c->listens);
    for (size_t i = 0; i < f->listen_count; i++) {
        struct listen_config *l = &c->listens[c->listen_count];
        const struct schema_text *t = &f->listens[i];
        if (!t->node && !t->text.n) /* no text: that has been said */
            continue;
        if (addr_parse(t->text, &l->addr)) {
            problems_error(&run->problems, t->node,
                           "this is no address to listen on: write 127.0.0.1:8080, [::1]:8080, :8080 or unix:/path");
            continue;
        }
        for (size_t k = 0; k < c->listen_count; k++)
            if (addr_eq(&l->addr, &c->listens[k].addr))
                problems_error(&run->problems, t->node, "this address is there twice");
        l->text = arena_str(c->arena_, t->text);
        l->tls = f->tls.node != NULL;
        check_exposure(run, t, &l->addr);
        c->listen_count++;
    }
}

static void set_tls(struct config_run *run, struct catalog *c)
{
    const struct config_file *f = &run->file;

    if (!f->tls.node)
        return;
    c->tls_cert_pem = arena_str(c->arena_, config_read_secret(run, &f->tls.cert, true));
    c->tls_key_pem = arena_str(c->arena_, config_read_secret(run, &f->tls.key, true));
    c->tls_client_ca_pem = arena_str(c->arena_, config_read_secret(run, &f->tls.client_ca, true));
}

static void set_log(struct config_run *run, struct catalog *c)
{
    const struct config_file *f = &run->file;
    struct str access = f->log.access;
    bool is_word = str_eq(access, STR("stdout")) || str_eq(access, STR("stderr")) || str_eq(access, STR("off"));

    c->log.level = f->log.level;
    c->log.format = f->log.format == LOG_FORM_CONSOLE ? LOG_CONSOLE : LOG_JSON;
    c->log.format_auto = f->log.format == LOG_FORM_AUTO;
    c->log.access = arena_str(c->arena_, is_word ? access : config_resolve_path(run, access));
}

static const struct str *copied_list(struct catalog *c, const struct schema_text *list, size_t n)
{
    struct str *to = arena_alloc(c->arena_, (n + 1) * sizeof *to);

    for (size_t i = 0; i < n; i++)
        to[i] = arena_str(c->arena_, list[i].text);
    return to;
}

static void set_fetch(struct catalog *c, const struct config_file *f)
{
    static const struct str usual[] = {STR_INIT("image/*"), STR_INIT("audio/*"), STR_INIT("video/*"),
                                       STR_INIT("application/pdf"), STR_INIT("text/*")};
    bool own = f->fetch.media_type_count > 0;

    c->fetch.on = f->fetch.on;
    c->fetch.at_once = f->fetch.at_once;
    c->fetch.rules = (struct fetch_rules){
        .max_bytes = f->fetch.max_bytes,
        .time = f->fetch.time,
        .max_redirects = f->fetch.max_redirects,
        .allow_http = f->fetch.allow_http,
        .allow_ports = f->fetch.allow_ports,
        .hosts = copied_list(c, f->fetch.hosts, f->fetch.host_count),
        .host_count = f->fetch.host_count,
        .networks = copied_list(c, f->fetch.networks, f->fetch.network_count),
        .network_count = f->fetch.network_count,
        .media_types = own ? copied_list(c, f->fetch.media_types, f->fetch.media_type_count) : usual,
        .media_type_count = own ? f->fetch.media_type_count : ARRAY_LEN(usual)};
}

static void set_settings(struct config_run *run, struct catalog *c)
{
    const struct config_file *f = &run->file;

    set_listens(run, c);
    set_tls(run, c);
    set_log(run, c);
    c->workers = f->workers;
    c->anonymous = f->anonymous;
    set_fetch(c, f);
    c->limits.body_bytes = f->limits.body;
    c->limits.head_bytes = f->limits.header_bytes;
    c->limits.head_count = f->limits.header_count;
    c->limits.connections = f->limits.connections;
    c->limits.head_time = f->limits.header_time;
    c->limits.body_gap = f->limits.body_gap;
    c->limits.idle_time = f->limits.idle_time;
    c->limits.write_gap = f->limits.write_gap;
    c->limits.held_answer = f->limits.held_answer;
    c->drain_time = f->drain;
}

/* ---- deployments ---- */

/* How many deployments a model names at most. */
static size_t named_by(const struct file_model *f)
{
    size_t n = f->target_count + 1; /* one for shadow */

    for (size_t i = 0; i < FALLBACKS; i++)
        n += f->fallbacks.by[i].count;
    return n;
}

static void make_room(struct config_build *b)
{
    const struct config_file *f = &b->run->file;
    size_t n = f->deployment_count;

    for (size_t i = 0; i < b->c->provider_count; i++)
        n += b->c->providers[i].serves_count + 1;
    for (size_t i = 0; i < f->model_count; i++)
        n += named_by(&f->models[i]);
    b->c->deployments = arena_zalloc(b->c->arena_, n * sizeof *b->c->deployments);
    b->met = arena_zalloc(b->run->arena, n * sizeof *b->met);
}

/* The deployment of that name, made if need be; `name` is "<provider's name>/<model>". */
static struct deployment *intern(struct config_build *b, const struct provider *p, struct str name)
{
    struct catalog *c = b->c;
    struct deployment *d = map_get(&c->deployment_by_name, name);

    if (d)
        return d;
    d = &c->deployments[c->deployment_count];
    d->name = arena_str(c->arena_, name);
    d->label = d->name;
    d->model = str_slice(d->name, p->name.n + 1, d->name.n);
    d->is_pattern = str_find_char(d->model, '*') < d->model.n;
    d->provider = p;
    d->concurrency = p->concurrency;
    d->index = (unsigned)c->deployment_count++;
    d->id = str_hash(d->name);
    map_put(&c->deployment_by_name, d->name, d);
    return d;
}

static void intern_served(struct config_build *b)
{
    for (size_t i = 0; i < b->c->provider_count; i++) {
        struct provider *p = &b->c->providers[i];
        if (p->serves_all)
            p->any = intern(b, p, arena_printf(b->run->arena, "%.*s/*", STR_ARG(p->name)));
        for (size_t k = 0; k < p->serves_count; k++) {
            struct str name = arena_printf(b->run->arena, "%.*s/%.*s", STR_ARG(p->name), STR_ARG(p->serves[k]));
            struct deployment *d = intern(b, p, name);
            map_put(&b->c->served_by_name, d->name, d);
        }
    }
}

static bool may_suggest(struct config_build *b)
{
    return b->suggestions++ < SUGGEST_MAX;
}

static const char *nearest_provider(struct config_build *b, struct str name)
{
    const struct config_file *f = &b->run->file;
    struct str best = STR_NONE;
    unsigned distance = 0;

    for (size_t i = 0; may_suggest(b) && i < f->provider_count; i++)
        schema_nearest(name, f->providers[i].name, &best, &distance);
    return schema_suggest(b->run->arena, name, best, distance);
}

static void complain_target(struct config_build *b, const struct schema_text *t)
{
    struct str rest = t->text, provider = str_cut(&rest, '/');
    struct problems *p = &b->run->problems;

    if (t->node && t->node->hidden)
        problems_error(p, t->node, "this names no configured provider, as \"provider/model\"");
    else if (!rest.p && map_get(&b->c->model_by_name, t->text))
        problems_error(p, t->node,
                       "\"%.*s\" is a model of this file; write the deployment that is meant, as \"provider/model\"",
                       STR_ARG(t->text));
    else if (!rest.p || !provider.n || !rest.n)
        problems_error(p, t->node, "\"%.*s\" must be written \"provider/model\"%s", STR_ARG(t->text),
                       rest.p ? "" : nearest_provider(b, provider));
    else
        problems_error(p, t->node, "unknown provider \"%.*s\"%s", STR_ARG(provider), nearest_provider(b, provider));
}

/* "*" stands for what the client's name has in its place. */
static bool fits_model(struct config_build *b, const struct schema_text *t)
{
    size_t star = str_find_char(t->text, '*');

    if (star == t->text.n)
        return true;
    if (b->in_plain_model)
        problems_error(&b->run->problems, t->node,
                       "\"*\" stands for the rest of the client's name: the model's own name must end with \"*\"");
    else if (str_find_char(str_slice(t->text, star + 1, t->text.n), '*') + star + 1 < t->text.n)
        problems_error(&b->run->problems, t->node, "\"*\" may stand here once only");
    else
        return true;
    return false;
}

const struct deployment *config_resolve(struct config_build *b, const struct schema_text *t, bool *ret_gone)
{
    struct str rest = t->text, name = str_cut(&rest, '/');
    const struct provider *p = map_get(&b->c->provider_by_name, name);

    if (p && rest.n)
        return fits_model(b, t) ? intern(b, p, t->text) : NULL;
    if (rest.n && map_get(&b->run->left_out, name))
        *ret_gone = true;
    else if (t->text.n)
        complain_target(b, t);
    return NULL;
}

/* ---- keys ---- */

static int by_bytes(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* All names that a key's pattern may be meant for, those of models left out included. */
static void collect_names(struct config_build *b)
{
    struct catalog *c = b->c;
    const struct config_file *f = &b->run->file;
    size_t room = f->model_count + f->provider_count + c->served_by_name.count + c->model_by_name.count, at = 0;
    struct str key;
    void *value;

    b->names = arena_alloc(b->run->arena, room * sizeof *b->names);
    for (size_t i = 0; i < f->model_count; i++)
        b->names[b->name_count++] = f->models[i].name;
    for (size_t i = 0; i < f->provider_count; i++) {
        const struct file_provider *p = &f->providers[i];
        const struct provider *made = map_get(&c->provider_by_name, p->name);
        if (!made || made->serves_all) /* of one left out, all may be meant */
            b->names[b->name_count++] = arena_join(b->run->arena, p->name, STR("/"));
    }
    while (map_next(&c->served_by_name, &at, &key, &value))
        b->names[b->name_count++] = key;
    for (at = 0; map_next(&c->model_by_name, &at, &key, &value);) /* aliases among them */
        b->names[b->name_count++] = key;
    if (b->name_count)
        qsort(b->names, b->name_count, sizeof *b->names, by_bytes);
}

/* Index of the first name that is not before `s`. */
static size_t lower_bound(const struct config_build *b, struct str s)
{
    size_t from = 0, to = b->name_count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (str_cmp(b->names[mid], s) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static bool is_a_name(const struct config_build *b, struct str s)
{
    size_t at = lower_bound(b, s);
    return at < b->name_count && str_eq(b->names[at], s);
}

/* May a wildcard's names be of this pattern? */
static bool matches_wildcard(const struct config_build *b, struct str pattern)
{
    size_t length = pattern.n;
    struct str text, prefix;
    void *value;

    if (prefixes_find(&b->c->model_by_prefix, pattern, &length))
        return true;
    if (!prefix_of_pattern(pattern, &text))
        return false;
    for (size_t at = 0; prefixes_next(&b->c->model_by_prefix, &at, &prefix, &value);)
        if (str_starts(prefix, text))
            return true;
    return false;
}

static bool matches_any(const struct config_build *b, struct str pattern)
{
    bool is_prefix = str_ends(pattern, STR("*"));
    struct str text = str_slice(pattern, 0, pattern.n - is_prefix);
    size_t slash = str_find_char(text, '/'), at = lower_bound(b, text);

    if (slash + 1 < text.n && is_a_name(b, str_slice(text, 0, slash + 1)))
        return true; /* at a provider that serves all */
    if (at == b->name_count)
        return false;
    return is_prefix ? str_starts(b->names[at], text) : !str_ends(text, STR("/")) && str_eq(b->names[at], text);
}

static void set_patterns(struct config_build *b, struct api_key *k, const struct file_key *f)
{
    k->models = arena_zalloc(b->c->arena_, f->model_count * sizeof *k->models);
    for (size_t i = 0; i < f->model_count; i++) {
        const struct schema_text *t = &f->models[i];
        if (!t->text.n)
            continue;
        if (str_find_char(t->text, '*') + 1 < t->text.n)
            problems_error(&b->run->problems, t->node, "\"*\" may stand at the end only");
        else if (!matches_any(b, t->text) && !matches_wildcard(b, t->text))
            problems_warn(&b->run->problems, t->node, "no model is called so: the entry allows nothing");
        k->models[k->model_count++] = arena_str(b->c->arena_, t->text);
    }
}

static void complain_double(struct config_build *b, const struct schema_text *t, const struct yaml_node *former,
                            const char *what)
{
    problems_error(&b->run->problems, t->node, "the same %s is already at %.*s:%u:%u", what, STR_ARG(*former->file),
                   former->line, former->column);
}

/* What AWS SDKs sign with. */
static void set_signing(struct config_build *b, struct api_key *k, const struct file_key *f)
{
    const struct schema_text *id = &f->aws_access_key_id, *secret = &f->aws_secret_access_key;

    if (!id->text.n && !secret->text.n)
        return;
    if (!id->text.n || !secret->text.n) {
        problems_error(&b->run->problems, f->node,
                       "\"aws_access_key_id\" and \"aws_secret_access_key\" go together: one is missing");
        return;
    }
    k->aws_access_key_id = arena_str(b->c->arena_, id->text);
    k->aws_secret_access_key = secret_make(config_read_secret(b->run, secret, false));
    struct api_key *same = map_put(&b->c->key_by_aws_id, k->aws_access_key_id, k);
    if (same)
        problems_error(&b->run->problems, id->node, "the key of \"%.*s\" has the same access key id",
                       STR_ARG(same->name));
}

static void add_key(struct config_build *b, const struct file_key *f, struct map *names)
{
    struct catalog *c = b->c;
    struct api_key *k = &c->keys[c->key_count];
    const struct yaml_node *former = map_put(names, f->name.text, (void *)(uintptr_t)f->name.node);

    if (former)
        complain_double(b, &f->name, former, "name");
    if (!hex_decode(k->hash, sizeof k->hash, str_slice(f->hash.text, strlen("sha256:"), f->hash.text.n)))
        return; /* reported with the shape */
    k->name = arena_str(c->arena_, f->name.text);
    k->index = (unsigned)c->key_count++;
    k->priority = (unsigned)f->priority;
    k->weight = f->weight;
    set_patterns(b, k, f);
    set_signing(b, k, f);
    config_build_key_rules(b->run, c, k, f);
    map_put(&c->key_by_name, k->name, k);
    struct api_key *same = map_put(&c->key_by_hash, str_of((const char *)k->hash, sizeof k->hash), k);
    if (same)
        problems_error(&b->run->problems, f->hash.node, "the key of \"%.*s\" has the same hash", STR_ARG(same->name));
}

static void set_keys(struct config_build *b)
{
    const struct config_file *f = &b->run->file;
    struct map names CLEANUP(map_release) = {0};

    if (f->key_count)
        collect_names(b);
    b->c->keys = arena_zalloc(b->c->arena_, f->key_count * sizeof *b->c->keys);
    for (size_t i = 0; i < f->key_count; i++)
        if (f->keys[i].name.node && f->keys[i].hash.node)
            add_key(b, &f->keys[i], &names);
}

/* ---- rules between the parts ---- */

static void check_access(struct config_run *run)
{
    const struct config_file *f = &run->file;

    if (f->key_count && f->anonymous)
        problems_error(&run->problems, yaml_get(f->node, STR("anonymous")),
                       "\"anonymous\" and \"keys\" contradict each other: with keys, everybody needs one");
}

static const struct provider *default_pass_through(const struct catalog *c)
{
    const struct provider *simulated = NULL;

    for (size_t i = 0; i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        if (!p->simulated && p->vendor && strcmp(p->vendor->name, "openai") == 0)
            return p;
        if (p->simulated && !p->pipelines && !simulated)
            simulated = p;
    }
    return simulated;
}

static void set_pass_through(struct config_build *b)
{
    const struct schema_text *t = &b->run->file.pass_through;
    struct catalog *c = b->c;

    if (!t->text.n) {
        c->pass_through = default_pass_through(c);
        return;
    }
    c->pass_through = map_get(&c->provider_by_name, t->text);
    if (c->pass_through || str_eq(t->text, STR("none")))
        return;
    if (map_get(&b->run->left_out, t->text))
        problems_warn(&b->run->problems, t->node, "this provider is left out: other paths go nowhere");
    else if (t->node && t->node->hidden)
        problems_error(&b->run->problems, t->node, "\"pass_through\" names no configured provider");
    else
        problems_error(&b->run->problems, t->node, "unknown provider \"%.*s\"%s", STR_ARG(t->text),
                       nearest_provider(b, t->text));
}

static struct catalog *new_catalog(void)
{
    struct catalog *c = NEW(struct catalog);

    c->refs_ = 1;
    c->arena_ = NEW(struct arena);
    arena_init(c->arena_, SIZE_MAX);
    return c;
}

struct catalog *config_build(struct config_run *run)
{
    struct catalog *c = new_catalog();
    struct config_build b = {.run = run, .c = c};

    set_settings(run, c);
    config_build_providers(run, c);
    make_room(&b);
    intern_served(&b);
    config_build_models(&b);
    config_build_deployments(&b);
    c->usual = (struct route_rules){
        .strategy = &strategy_weighted,
        .retries = retry_rules_usual,
        .live = {.outlier = outlier_rules_usual, .latency = latency_rules_usual, .budget = retry_budget_usual}};
    config_build_names(run, c);
    config_build_tags(run, c);
    config_build_rules(run, c, &b.gone);
    set_keys(&b);
    set_pass_through(&b);
    config_build_facts(run, c);
    config_build_admin(run, c);
    config_build_pipelines(run, c);
    config_build_journal(run, c);
    config_build_registry(run, c);
    check_access(run);
    if (run->file.provider_count && !c->provider_count)
        problems_warn(&run->problems, NULL, "no provider is left: each is optional and lacks a variable");
    map_release(&b.gone);
    if (run->problems.errors) {
        catalog_unref(c);
        return NULL;
    }
    config_build_rosters(c);
    return c;
}
