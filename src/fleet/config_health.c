/*
 * config_health.c - providers.<name>.health: its shape, and what becomes of it.
 *
 * What to ask and where is settled here, once: at run time a probe is a target and a kind. What the vendor's row offers is used unless the file says
 * otherwise; what the file wants and the vendor does not have is a mistake, never ignored.
 */
#include "fleet/config_int.h"

#include "codec/url.h"

#include <math.h>

static const struct schema_choice probes[] = {
    {"auto", HEALTH_PROBE_AUTO,
     "what costs nothing, where the vendor has it; a token where `spend` allows it and nothing else would tell"},
    {"off", HEALTH_PROBE_OFF, "never: only traffic tells"},
    {"free", HEALTH_PROBE_FREE, "what costs nothing only"},
    {"token", HEALTH_PROBE_TOKEN, "a request for one token only"},
    {NULL, 0, NULL}};

static const struct schema_choice metrics[] = {
    {"auto", HEALTH_METRICS_AUTO, "read, of vendors whose servers have them, and where `metrics_url` is set"},
    {"off", HEALTH_METRICS_OFF, "not read"},
    {NULL, 0, NULL}};

static const struct schema_field fields[] = {
    SCHEMA_ENUM("probe", struct file_health, probe, probes, .default_text = "auto",
                .doc = "How its deployments are asked how they are, when no traffic tells (docs/reliability.md)."),
    SCHEMA_DURATION("interval", struct file_health, interval, .default_text = "30s", .min = "100ms", .max = "24h",
                    .doc = "A deployment that was not heard of for so long is asked."),
    SCHEMA_DURATION("timeout", struct file_health, timeout, .default_text = "5s", .min = "10ms", .max = "5m",
                    .doc = "For a probe, and for reading metrics."),
    SCHEMA_FLOAT("spend", struct file_health, spend, .default_text = "0", .min = "0", .max = "1000",
                 .doc = "US dollars that probes for a token may cost in a day (UTC), all of the provider's deployments "
                        "together. What has no known price counts as dear."),
    SCHEMA_ENUM(
        "metrics", struct file_health, metrics, metrics, .default_text = "auto",
        .doc = "Whether the server's metrics are read: what it runs, and what waits there, counts in choices by load."),
    SCHEMA_TEXT("metrics_url", struct file_health, metrics_url, .secret = true,
                .default_doc = "`/metrics` of the server",
                .doc = "Where its metrics are, in Prometheus' text format. At another address than `base_url`'s, the "
                       "provider's credential is not sent along."),
    SCHEMA_DURATION("metrics_interval", struct file_health, metrics_interval, .default_text = "2s", .min = "100ms",
                    .max = "1h",
                    .doc = "How often they are read; after three times as long without, they count no more."),
    SCHEMA_END};
const struct schema_object config_health_object = {
    .fields = fields, .size = sizeof(struct file_health), .node_offset = SCHEMA_NODE_AT(struct file_health, node)};

/* Where the server's own paths begin: its API is below "/v1" there, if it is OpenAI's. */
static struct str root_of(const struct provider *p)
{
    struct str api = STR("/v1");

    return str_ends(p->base_path, api) ? str_slice(p->base_path, 0, p->base_path.n - api.n) : p->base_path;
}

static struct str below_root(struct catalog *c, const struct provider *p, const char *path)
{
    return arena_join(c->arena_, root_of(p), str_from_c(path));
}

static const struct yaml_node *place(const struct file_provider *f)
{
    return f->health.node ? f->health.node : f->node;
}

/* A token is asked for in a chat. */
static bool answers_chats(const struct vendor *v)
{
    return !v->offers || (v->offers & 1u << OP_CHAT);
}

static void check_probe(struct config_run *run, const struct provider *p, const struct file_provider *f)
{
    const struct file_health *h = &f->health;

    if (h->probe == HEALTH_PROBE_FREE && !p->vendor->probe)
        problems_error(&run->problems, place(f),
                       "\"probe: free\": dialect \"%s\" has nothing to ask that costs nothing: use auto or token",
                       p->vendor->name);
    if (h->probe == HEALTH_PROBE_TOKEN && h->spend <= 0)
        problems_error(&run->problems, place(f), "\"probe: token\" costs money: say in \"spend\" how much in a day");
    if (h->probe == HEALTH_PROBE_TOKEN && !answers_chats(p->vendor))
        problems_error(&run->problems, place(f), "\"probe: token\": dialect \"%s\" answers no chats: use auto",
                       p->vendor->name);
    if ((h->probe == HEALTH_PROBE_FREE || h->probe == HEALTH_PROBE_OFF) && h->spend > 0)
        problems_error(&run->problems, place(f), "\"spend\" is for probes that cost money: \"probe\" forbids them");
}

static void set_probe(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    const struct file_health *h = &f->health;
    const struct vendor_probe *free = p->vendor->probe;
    struct probe_rules *r = &p->health.rules;

    check_probe(run, p, f);
    r->interval = h->interval;
    r->spend = (uint64_t)llround(h->spend * 1e9);
    r->token =
        r->spend > 0 && answers_chats(p->vendor) && (h->probe == HEALTH_PROBE_AUTO || h->probe == HEALTH_PROBE_TOKEN);
    if (free && (h->probe == HEALTH_PROBE_AUTO || h->probe == HEALTH_PROBE_FREE)) {
        r->free = free->of_server ? PROBE_SERVER : PROBE_REACH;
        p->health.target =
            free->at_root ? below_root(c, p, free->path) : arena_join(c->arena_, p->base_path, str_from_c(free->path));
    }
    p->health.is_on = r->free != PROBE_NONE || r->token;
}

static bool set_metrics_url(struct catalog *c, struct provider *p, struct str text)
{
    struct provider_health *h = &p->health;
    struct url u;

    if (url_parse(text, &u) || u.userinfo.p || u.fragment.p ||
        (!str_eq_nocase(u.scheme, STR("http")) && !str_eq_nocase(u.scheme, STR("https"))))
        return false;
    struct str query = u.query.p ? arena_join(c->arena_, STR("?"), u.query) : STR_NONE;
    struct str path = arena_str(c->arena_, u.path.n ? u.path : STR("/"));
    h->metrics = query.n ? arena_join(c->arena_, path, query) : path;
    h->metrics_host = arena_lower(c->arena_, u.host);
    h->metrics_port = url_port(&u);
    h->metrics_secure = str_eq_nocase(u.scheme, STR("https"));
    if (!p->simulated && !p->unix_path.n && str_eq(h->metrics_host, p->host) && h->metrics_port == p->port &&
        h->metrics_secure == p->secure)
        h->metrics_host = STR_NONE; /* over the provider's own connections, then */
    return true;
}

static void set_metrics(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    const struct file_health *h = &f->health;
    const struct vendor_probe *free = p->vendor->probe;

    p->health.metrics_interval = h->metrics_interval;
    if (h->metrics == HEALTH_METRICS_OFF) {
        if (h->metrics_url.text.n)
            problems_error(&run->problems, h->metrics_url.node,
                           "\"metrics_url\" is never read with \"metrics: off\": remove one of them");
        return;
    }
    if (!h->metrics_url.text.n)
        p->health.metrics = free && free->metrics ? below_root(c, p, free->metrics) : STR_NONE;
    else if (!set_metrics_url(c, p, h->metrics_url.text))
        problems_error(&run->problems, h->metrics_url.node,
                       "\"metrics_url\" must be http:// or https://, without user, password and \"#\"");
}

void config_build_health(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f)
{
    p->health.timeout = f->health.timeout;
    set_probe(run, c, p, f);
    set_metrics(run, c, p, f);
}
