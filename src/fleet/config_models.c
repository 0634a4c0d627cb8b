/*
 * config_models.c - the section `models`: its fields, and what becomes of it: targets, fallbacks, and the rules by which a route decides.
 *
 * The rules' usual values stand in the tables as text, once more, so that they are checked, printed and documented like all others; the rules of what is
 * no configured model are the policies' own constants. A test compares the two.
 */
#include "fleet/config_int.h"

#include "base/mem.h"

/* ---- the fields ---- */

static const struct schema_field target_fields[] = {
    SCHEMA_TEXT("deployment", struct file_target, deployment, .required = true,
                .doc = "`provider/model`: the model's name at the provider is all behind the first slash."),
    SCHEMA_UNSIGNED("weight", struct file_target, weight, .default_text = "1", .min = "1",
                    .doc = "Its share of the requests, in proportion to the other targets'."),
    SCHEMA_UNSIGNED("tier", struct file_target, tier, .min = "1", .max = "1000",
                    .default_doc = "its place in the list if no target has one, else 1",
                    .doc =
                        "Of strategy `priority`: tier 1 is the first choice, the next one is for what it has no room "
                        "for."),
    SCHEMA_END};
static const struct schema_object target_object = {
    .fields = target_fields, .size = sizeof(struct file_target), .shorthand = "deployment"};
static const struct schema_field target_item =
    SCHEMA_ITEM_OBJECT(&target_object, .doc = "Where requests for the model go.");

#define FALLBACKS_FOR(word, which, text)                                                                               \
    SCHEMA_LIST(word, struct file_fallbacks, by[which].items, by[which].count, &config_text_item, .single = true,      \
                .doc = text)
static const struct schema_field fallback_fields[] = {
    FALLBACKS_FOR(
        "any", FALLBACK_ANY,
        "Deployments to try in this order when the targets failed, for any cause that has no list of its own."),
    FALLBACKS_FOR("context_length", FALLBACK_CONTEXT_LENGTH, "When the request is too long for the model."),
    FALLBACKS_FOR("content_filter", FALLBACK_CONTENT_FILTER, "When a provider's content filter refused it."),
    FALLBACKS_FOR("rate_limit", FALLBACK_RATE_LIMIT, "When rate limits or quotas are reached, the provider's or ours."),
    FALLBACKS_FOR("server_error", FALLBACK_SERVER_ERROR,
                  "When the provider cannot be reached, fails, or answers with nothing that makes sense."),
    FALLBACKS_FOR("timeout", FALLBACK_TIMEOUT, "When it did not answer in time."),
    FALLBACKS_FOR("budget", FALLBACK_BUDGET, "When the money or tokens set aside for the targets are spent."),
    SCHEMA_END};
static const struct schema_object fallback_object = {
    .fields = fallback_fields, .size = sizeof(struct file_fallbacks), .shorthand = "any"};

static const struct schema_field retry_fields[] = {
    SCHEMA_UNSIGNED("attempts", struct file_retries, attempts, .default_text = "3", .min = "1", .max = "8",
                    .doc =
                        "Of a request at the targets, the first one included. Fallbacks come after them, each once."),
    SCHEMA_UNSIGNED("here", struct file_retries, here, .default_text = "0", .max = "7",
                    .doc = "Of them, again at the deployment that failed before others are tried. When no other is "
                           "left, it is tried again anyway."),
    SCHEMA_DURATION("base", struct file_retries, base, .default_text = "250ms", .max = "1m",
                    .doc = "The pause before the first retry at the same deployment is drawn between nothing and this; "
                           "before each further one from twice as much."),
    SCHEMA_DURATION("cap", struct file_retries, cap, .default_text = "8s", .max = "10m", .doc = "The longest pause."),
    SCHEMA_DURATION("max_wait", struct file_retries, max_wait, .default_text = "10s", .max = "10m",
                    .doc = "A longer pause that a provider asks for (`retry-after`) is not waited for: its answer goes "
                           "to the client."),
    SCHEMA_FLOAT("budget", struct file_retries, budget, .default_text = "15%", .min = "0", .max = "1",
                 .doc = "Retries that fail too, as a share of the route's requests: an outage is not multiplied by "
                        "more."),
    SCHEMA_FLOAT("floor", struct file_retries, floor, .default_text = "0.3", .min = "0", .max = "1000",
                 .doc = "Retries a second that a route with hardly any traffic has, too."),
    SCHEMA_END};
static const struct schema_object retry_object = {
    .fields = retry_fields, .size = sizeof(struct file_retries), .shorthand = "attempts"};

static const struct schema_field ejection_fields[] = {
    SCHEMA_BOOL("enabled", struct file_ejection, on, .default_text = "true",
                .doc = "Take deployments out that are ill, and let them come back by and by."),
    SCHEMA_UNSIGNED("consecutive", struct file_ejection, consecutive, .default_text = "5", .max = "10000",
                    .doc = "Failures in a row that take a deployment out; 0: they do not."),
    SCHEMA_FLOAT("share", struct file_ejection, share, .default_text = "50%", .min = "0", .max = "1",
                 .doc = "Share of attempts that failed in the last `window`; 0: it does not take out."),
    SCHEMA_UNSIGNED("volume", struct file_ejection, volume, .default_text = "10", .min = "1", .max = "100000",
                    .doc = "Attempts that the window must have had for that."),
    SCHEMA_DURATION("window", struct file_ejection, window, .default_text = "10s", .min = "1s", .max = "10m",
                    .doc = "What `share` looks back at."),
    SCHEMA_FLOAT("slow", struct file_ejection, slow, .default_text = "5", .min = "0", .max = "1000",
                 .doc = "How many times slower than the median of its peers the first token comes; 0: slowness does "
                        "not take out."),
    SCHEMA_DURATION("slow_for", struct file_ejection, slow_for, .default_text = "10s", .min = "1s", .max = "10m",
                    .doc = "For how long."),
    SCHEMA_DURATION("time", struct file_ejection, time, .default_text = "5s", .min = "100ms", .max = "1h",
                    .doc = "The first ejection; each further one lasts twice as long."),
    SCHEMA_DURATION("time_max", struct file_ejection, time_max, .default_text = "5m", .min = "100ms", .max = "24h",
                    .doc = "The longest one."),
    SCHEMA_DURATION("forgive", struct file_ejection, forgive, .default_text = "1m", .min = "1s", .max = "24h",
                    .doc = "In use for so long, an ejection is forgotten."),
    SCHEMA_FLOAT("share_max", struct file_ejection, share_max, .default_text = "80%", .min = "0", .max = "1",
                 .doc = "Share of a route's deployments that may be out; beyond it the ill ones stay in use."),
    SCHEMA_UNSIGNED("probes", struct file_ejection, probes, .default_text = "1", .min = "1", .max = "1000",
                    .doc = "Requests at a time that try a deployment whose time is over."),
    SCHEMA_UNSIGNED("successes", struct file_ejection, successes, .default_text = "2", .min = "1", .max = "1000",
                    .doc = "Of them, until it is trusted."),
    SCHEMA_DURATION("slow_start", struct file_ejection, slow_start, .default_text = "30s", .max = "1h",
                    .doc = "Until it gets its full share again."),
    SCHEMA_FLOAT("start_share", struct file_ejection, start_share, .default_text = "10%", .min = "0.001", .max = "1",
                 .doc = "Of its share that it begins with."),
    SCHEMA_END};
static const struct schema_object ejection_object = {
    .fields = ejection_fields, .size = sizeof(struct file_ejection), .shorthand = "enabled"};

static const struct schema_field hedge_fields[] = {
    SCHEMA_BOOL("enabled", struct file_hedge, on, .default_text = "false",
                .doc = "Send a request whose first token is late to a second deployment, too. The first to answer "
                       "wins, the other is cancelled; both are paid."),
    SCHEMA_FLOAT("quantile", struct file_hedge, quantile, .default_text = "0.95", .min = "0.5", .max = "0.999",
                 .doc = "Of the times to first token seen lately: later than that is late."),
    SCHEMA_FLOAT("requests", struct file_hedge, requests, .default_text = "2%", .min = "0.001", .max = "0.5",
                 .doc = "Share of requests that may be hedged."),
    SCHEMA_FLOAT("spend", struct file_hedge, spend, .default_text = "2%", .min = "0.001", .max = "0.5",
                 .doc = "Share of the money that they may cost."),
    SCHEMA_DURATION("least", struct file_hedge, least, .default_text = "50ms", .max = "10m",
                    .doc = "Never earlier than that."),
    SCHEMA_UNSIGNED("samples", struct file_hedge, samples, .default_text = "100", .min = "10", .max = "100000",
                    .doc = "Times that must have been seen."),
    SCHEMA_END};
static const struct schema_object hedge_object = {
    .fields = hedge_fields, .size = sizeof(struct file_hedge), .shorthand = "enabled"};

static const struct schema_field shadow_fields[] = {
    SCHEMA_TEXT("deployment", struct file_shadow, deployment, .required = true,
                .doc = "Gets copies of requests. Its answers are recorded, and never seen by a client."),
    SCHEMA_FLOAT("share", struct file_shadow, share, .default_text = "1", .min = "0.0001", .max = "1",
                 .doc = "Of the requests."),
    SCHEMA_END};
static const struct schema_object shadow_object = {.fields = shadow_fields,
                                                   .size = sizeof(struct file_shadow),
                                                   .node_offset = SCHEMA_NODE_AT(struct file_shadow, node),
                                                   .shorthand = "deployment"};

static const struct schema_field model_fields[] = {
    SCHEMA_TEXT("strategy", struct file_model, strategy, .default_text = "weighted",
                .doc = "How a target is chosen: `weighted`, `round-robin`, `least-busy`, `least-latency`, "
                       "`lowest-cost`, `priority` or `sticky` (docs/routing.md)."),
    SCHEMA_TEXT("sticky", struct file_model, sticky, .default_text = "conversation",
                .doc = "Of strategy `sticky`: what stays together. `conversation` (how it begins), `user` (as the "
                       "request names one, else the key), or `header:NAME`."),
    SCHEMA_FLOAT("patience", struct file_model, patience, .default_text = "0", .min = "0", .max = "1000000",
                 .doc = "Of strategies that weigh time against the price of a prompt that a cache holds: milliseconds "
                        "that a US cent saved may take."),
    SCHEMA_LIST("targets", struct file_model, targets, target_count, &target_item, .required = true, .single = true,
                .min = "1", .doc = "Deployments that share the requests."),
    SCHEMA_OBJECT("fallbacks", struct file_model, fallbacks, &fallback_object,
                  .doc = "What to try when the targets failed, by the cause."),
    SCHEMA_OBJECT("retries", struct file_model, retries, &retry_object, .doc = "How failed attempts are made again."),
    SCHEMA_OBJECT("ejection", struct file_model, ejection, &ejection_object,
                  .doc = "When a deployment is ill, and how it comes back. A rate limit is no illness."),
    SCHEMA_OBJECT("hedge", struct file_model, hedge, &hedge_object, .doc = "A second attempt beside one that is late."),
    SCHEMA_OBJECT("shadow", struct file_model, shadow, &shadow_object,
                  .doc = "Copies of requests to another deployment, for comparison."),
    SCHEMA_OBJECT("timeouts", struct file_model, timeouts, &config_own_timeouts,
                  .doc = "Time limits of requests for this model, instead of the providers'."),
    SCHEMA_BOOL("strict", struct file_model, strict, .default_text = "false",
                .doc = "Refuse a request of which a part cannot be said in the provider's dialect, instead of leaving "
                       "that part out "
                       "and naming it in the header `x-crossdock-dropped`."),
    SCHEMA_BOOL("stream_failover", struct file_model, stream_failover, .default_text = "false",
                .doc = "Let a stream that breaks off in the middle go on at another deployment, as one answer. Nothing "
                       "changes in streams that do not break."),
    SCHEMA_OBJECT("queue", struct file_model, queue, &config_queue_object,
                  .doc = "Where requests wait while all deployments are full: in turn by key, by tokens."),
    SCHEMA_INT("max_output_tokens", struct file_model, max_output_tokens, .default_doc = "4096", .min = "1",
               .max = "10000000", .doc = "Limit of an answer for providers that demand one, when the client set none."),
    SCHEMA_LIST("aliases", struct file_model, aliases, alias_count, &config_model_item, .single = true,
                .doc = "Other names that clients may ask for it by."),
    SCHEMA_LIST("require", struct file_model, required, required_count, &config_tag_item, .single = true,
                .doc = "Tags that a deployment must have to get its requests, fallbacks included."),
    SCHEMA_END};
const struct schema_object config_model_object = {
    .fields = model_fields, .size = sizeof(struct file_model), .node_offset = SCHEMA_NODE_AT(struct file_model, node)};

/* ---- deployments of a model ---- */

/* Has the current list named `d` before? */
static bool is_double(struct config_build *b, const struct deployment *d, const struct schema_text *t,
                      const char *remedy)
{
    if (b->met[d->index] == b->mark) {
        problems_error(&b->run->problems, t->node, "\"%.*s\" is there twice%s", STR_ARG(d->name), remedy);
        return true;
    }
    b->met[d->index] = b->mark;
    return false;
}

/* Of strategy priority the list's order, unless somebody gave tiers. */
static void set_tiers(struct model *m, const struct file_model *f)
{
    bool given = false;

    for (size_t i = 0; i < f->target_count; i++)
        given |= f->targets[i].tier > 0;
    for (size_t i = 0; !given && i < m->target_count; i++)
        m->targets[i].tier = (unsigned)i;
}

static void set_targets(struct config_build *b, struct model *m, const struct file_model *f, bool *ret_gone)
{
    m->targets = arena_zalloc(b->c->arena_, f->target_count * sizeof *m->targets);
    b->mark++;
    for (size_t i = 0; i < f->target_count; i++) {
        const struct file_target *t = &f->targets[i];
        const struct deployment *d = config_resolve(b, &t->deployment, ret_gone);
        if (!d || is_double(b, d, &t->deployment, ": add up the weights"))
            continue;
        m->targets[m->target_count++] = (struct target){d, t->weight, t->tier ? t->tier - 1 : 0};
        m->weight_sum += t->weight;
    }
    set_tiers(m, f);
}

static void set_fallbacks(struct config_build *b, struct model *m, const struct file_model *f)
{
    bool gone = false;

    for (size_t k = 0; k < FALLBACKS; k++) {
        const struct file_list *from = &f->fallbacks.by[k];
        struct fallback_list *to = &m->fallbacks[k];
        to->items = arena_zalloc(b->c->arena_, from->count * sizeof *to->items);
        b->mark++;
        for (size_t i = 0; i < from->count; i++) {
            const struct deployment *d = config_resolve(b, &from->items[i], &gone);
            if (!d || is_double(b, d, &from->items[i], ""))
                continue;
            to->items[to->count] = (struct target){d, 1, (unsigned)to->count};
            to->count++;
        }
    }
}

static void set_shadow(struct config_build *b, struct model *m, const struct file_model *f)
{
    bool gone = false;

    if (!f->shadow.node)
        return;
    m->shadow.deployment = config_resolve(b, &f->shadow.deployment, &gone);
    m->shadow.share = f->shadow.share;
}

/* ---- rules ---- */

static unsigned permille(double share)
{
    return (unsigned)(share * 1000 + 0.5);
}

static const struct strategy *find_strategy(struct config_build *b, const struct schema_text *t)
{
    const struct strategy *s = strategy_find(t->text);
    struct str best = STR_NONE;
    unsigned distance = 0;

    if (s)
        return s;
    for (size_t i = 0; i < strategy_catalog_count; i++)
        schema_nearest(t->text, str_from_c(strategy_catalog[i]->name), &best, &distance);
    if (t->node)
        problems_error(&b->run->problems, t->node, "unknown strategy \"%.*s\"%s", STR_ARG(t->text),
                       schema_suggest(b->run->arena, t->text, best, distance));
    return &strategy_weighted;
}

static void set_sticky(struct config_build *b, struct route_rules *r, const struct schema_text *t)
{
    static const struct str header = STR_INIT("header:");

    if (str_starts(t->text, header) && t->text.n > header.n) {
        r->sticky = STICKY_HEADER;
        r->sticky_header = arena_str(b->c->arena_, str_slice(t->text, header.n, t->text.n));
    } else if (str_eq(t->text, STR("user"))) {
        r->sticky = STICKY_USER;
    } else if (!str_eq(t->text, STR("conversation")) && t->node) {
        problems_error(&b->run->problems, t->node, "\"sticky\" is conversation, user or header:NAME");
    }
}

static struct outlier_rules ejection_of(const struct file_ejection *f)
{
    struct outlier_rules r = {.window = f->window,
                              .slow_for = f->slow_for,
                              .eject = f->time,
                              .eject_max = f->time_max > f->time ? f->time_max : f->time,
                              .forgive = f->forgive,
                              .share_max = permille(f->share_max),
                              .probes = f->probes,
                              .successes = f->successes,
                              .start = f->slow_start,
                              .start_least = f->start_share,
                              .volume = f->volume};

    if (f->on) {
        r.consecutive = f->consecutive;
        r.share = permille(f->share);
        r.slow = f->slow;
    }
    return r;
}

static void set_rules(struct config_build *b, struct model *m, const struct file_model *f)
{
    const struct file_retries *r = &f->retries;
    const struct file_hedge *h = &f->hedge;

    m->rules = (struct route_rules){.strategy = find_strategy(b, &f->strategy),
                                    .retries = {r->attempts, r->here, r->base, r->cap, r->max_wait},
                                    .live = {.outlier = ejection_of(&f->ejection),
                                             .latency = latency_rules_usual,
                                             .budget = {.share = permille(r->budget), .floor = permille(r->floor)}},
                                    .ns_per_nanodollar = f->patience * NS_MS / 1e7}; /* a cent: 10^7 nano-US-dollars */
    if (h->on)
        m->rules.hedge = (struct hedge_rules){.quantile = h->quantile,
                                              .requests = permille(h->requests),
                                              .spend = permille(h->spend),
                                              .least = h->least,
                                              .samples = h->samples};
    set_sticky(b, &m->rules, &f->sticky);
}

/* ---- models ---- */

static ns_t own_or(ns_t own, ns_t inherited)
{
    return own ? own : inherited;
}

void config_inherit_timeouts(struct timeouts *to, const struct timeouts *own, const struct timeouts *above)
{
    *to = (struct timeouts){.connect = own_or(own->connect, above->connect),
                            .first_byte = own_or(own->first_byte, above->first_byte),
                            .between_bytes = own_or(own->between_bytes, above->between_bytes),
                            .total = own_or(own->total, above->total),
                            .first_token = own_or(own->first_token, above->first_token),
                            .between_tokens = own_or(own->between_tokens, above->between_tokens)};
}

static void set_timeouts(struct config_build *b, struct model *m, const struct file_model *f)
{
    const struct timeouts *t = &f->timeouts;

    config_inherit_timeouts(&m->timeouts, t, &b->run->file.timeouts);
    m->has_timeouts =
        t->connect || t->first_byte || t->between_bytes || t->total || t->first_token || t->between_tokens;
}

static void add_model(struct config_build *b, const struct file_model *f)
{
    struct catalog *c = b->c;
    struct model *m = map_get(&c->model_by_name, f->name);
    bool gone = false;

    b->in_plain_model = !str_ends(f->name, STR("*"));
    set_targets(b, m, f, &gone);
    set_fallbacks(b, m, f);
    set_shadow(b, m, f);
    b->in_plain_model = false;
    set_rules(b, m, f);
    set_timeouts(b, m, f);
    m->strict = f->strict;
    m->stream_failover = f->stream_failover;
    m->queue = config_build_queue(&f->queue);
    m->max_output_tokens = f->max_output_tokens;
    m->required = config_tag_bits(b->run, c, f->required, f->required_count);
    if (m->target_count == 0 && gone) {
        map_put(&b->gone, m->name, m);
        problems_warn(&b->run->problems, f->node,
                      "model \"%.*s\" is left out: all its targets are at optional providers that lack a variable",
                      STR_ARG(f->name));
    }
}

/* Models without the ones left out, with their indexes and the map. */
static void drop_gone(struct config_build *b)
{
    struct catalog *c = b->c;
    size_t kept = 0;

    map_release(&c->model_by_name);
    for (size_t i = 0; i < c->model_count; i++) {
        if (map_get(&b->gone, c->models[i].name))
            continue;
        c->models[kept] = c->models[i];
        c->models[kept].index = (unsigned)kept;
        map_put(&c->model_by_name, c->models[kept].name, &c->models[kept]);
        kept++;
    }
    c->model_count = kept;
}

void config_build_models(struct config_build *b)
{
    const struct config_file *f = &b->run->file;
    struct catalog *c = b->c;

    c->models = arena_zalloc(c->arena_, f->model_count * sizeof *c->models);
    for (size_t i = 0; i < f->model_count; i++) {
        c->models[i].name = arena_str(c->arena_, f->models[i].name);
        c->models[i].index = (unsigned)i;
        map_put(&c->model_by_name, c->models[i].name, &c->models[i]);
    }
    c->model_count = f->model_count;
    for (size_t i = 0; i < f->model_count; i++)
        if (f->models[i].node)
            add_model(b, &f->models[i]);
    if (b->gone.count)
        drop_gone(b);
}
