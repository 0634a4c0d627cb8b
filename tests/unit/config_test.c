/* config_test.c - configuration files to catalogs: what is read, what is refused and how it is said. */
#include "fleet/config.h"

#include "base/log.h"
#include "base/mem.h"
#include "fleet/catalog.h"
#include "llm/dialect.h"
#include "llm/vendor.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a world outside, made of tables ---- */

struct entry {
    const char *name, *value;
};

static const struct entry variables[] = {{"KEY", "sk-live-1234"},
                                         {"OTHER", "sk-other"},
                                         {"EMPTY", ""},
                                         {"COUNT", "7"},
                                         {"YES", "true"},
                                         {"LIMIT", "90s"},
                                         {"URL", "http://127.0.0.1:9000/v1"},
                                         {"MULTI", "line\nbreak"}};

static const struct entry files[] = {
    {"/etc/x/token", "tok-from-file\n\n"},
    {"/etc/x/pem/ca.pem", "-----BEGIN CERTIFICATE-----\nca\n"},
    {"/abs/cert.pem", "-----BEGIN CERTIFICATE-----\ncert\n"},
    {"/abs/key.pem", "-----BEGIN PRIVATE KEY-----\nkey\n"},
    {"/etc/x/empty", "\n"},
    {"/etc/x/main.yaml",
     "log: {access: log/access}\nproviders:\n  a: {api_key: \"file:token\", headers: {x: \"file:/etc/x/token\"},\n"
     "    tls: {ca: pem/ca.pem, cert: \"file:/abs/cert.pem\", key: /abs/key.pem}}\n  s: {simulate: slow.yaml}\n"},
    {"/etc/g/1.yaml", "providers:\nlisten:\nworkers: 3\nmodels: {m: {targets: p/a}}\n"},
    {"/etc/g/2.yaml", "# nothing yet\n"},
    {"/etc/g/3.yaml", "providers: {p: {simulate: true}}\nlisten: 127.0.0.1:7\nworkers:\n"},
    {"/etc/d/b.yaml", "models: {two: {targets: o/b}}\nkeys:\n  - {name: k2, hash: \"sha256:"
                      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}\n"},
    {"/etc/d/a.yaml",
     "providers: {o: {api_key: \"file:t\"}}\nmodels: {one: {targets: o/a}}\nkeys:\n  - {name: k1, hash: \"sha256:"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}\n"},
    {"/etc/d/t", "tok-d"},
    {"/etc/e/a.yaml", "listen: :1\nproviders: {p: {simulate: true}}\n"},
    {"/etc/e/b.yaml", "anonymous: true\nlisten: :2\nproviders: {p: {simulate: true}}\n"},
    {"/etc/f/readme", "no yaml here"}};

static const char *find(const struct entry *e, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(e[i].name, name) == 0)
            return e[i].value;
    return NULL;
}

static const char *test_getenv(const char *name)
{
    return find(variables, ARRAY_LEN(variables), name);
}

/* Files of the table; below /work of the source tree, for the examples. */
static err_t test_read(const char *path, size_t max, struct buf *ret)
{
    const char *text = find(files, ARRAY_LEN(files), path);

    if (!text)
        return fail(E_NOT_FOUND, "No such file or directory");
    if (strlen(text) > max)
        return fail(E_TOO_LARGE, "it is longer than %zu bytes", max);
    return buf_add(ret, str_from_c(text));
}

static err_t test_list(const char *path, struct buf *ret)
{
    size_t n = strlen(path);
    bool any = false;

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (strncmp(files[i].name, path, n) == 0 && files[i].name[n] == '/' && n > 4) {
            (void)buf_add(ret, str_from_c(files[i].name + n + 1));
            (void)buf_add_char(ret, '\0');
            any = true;
        }
    return any ? OK : fail(E_UNSUPPORTED, "no folder");
}

static const struct config_env test_env = {.getenv = test_getenv, .read_file = test_read, .list_folder = test_list};

struct loaded {
    struct arena arena;
    struct problems problems;
    struct buf report;
    struct catalog *c;
    err_t err;
};

static void loaded_release(struct loaded *l)
{
    catalog_unref(l->c);
    buf_release(&l->report);
    arena_release(&l->arena);
}

static void load(struct loaded *l, const char *path, struct str text, const struct config_env *env)
{
    *l = (struct loaded){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 22)};
    l->problems.arena = &l->arena;
    l->err = config_load(path, text, env, &l->problems, &l->c);
    problems_print(&l->problems, &l->report);
}

#define LOADED(var, text)                                                                                              \
    struct loaded var CLEANUP(loaded_release);                                                                         \
    load(&var, "-", str_from_c(text), &test_env)
#define LOADED_PATH(var, path)                                                                                         \
    struct loaded var CLEANUP(loaded_release);                                                                         \
    load(&var, path, STR_NONE, &test_env)

/* `text` must be refused, or accepted if `ok`, with exactly this report. */
static void check_said(const char *text, bool ok, const char *report)
{
    LOADED(l, text);
    test_context("%s", text);
    CHECK_STR(buf_str(&l.report), report);
    CHECK_EQ(l.err, ok ? OK : E_CONFIG);
    CHECK_EQ(l.c != NULL, ok);
}

static void check_error(const char *text, const char *report)
{
    check_said(text, false, report);
}

static void check_warning(const char *text, const char *report)
{
    check_said(text, true, report);
}

#define SIM "providers: {sim: {simulate: true}}\n"
#define HASH_A "\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""
#define HASH_B "\"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\""

/* ---- what is read ---- */

TEST(config_smallest_useful_file_has_sensible_defaults)
{
    LOADED(l, "providers:\n  openai: { dialect: openai, api_key: \"${KEY}\" }\nmodels:\n  gpt-4o: { targets: "
              "[openai/gpt-4o] }\n");
    const struct catalog *c = l.c;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_OK(l.err);
    CHECK_EQ(c->listen_count, 1);
    CHECK_STR(c->listens[0].text, "127.0.0.1:8080");
    CHECK(addr_is_loopback(&c->listens[0].addr));
    CHECK(!c->listens[0].tls);
    CHECK_EQ(c->workers, 0);
    CHECK(!c->anonymous);
    CHECK_EQ(c->limits.body_bytes, (uint64_t)64 << 20);
    CHECK_EQ(c->limits.head_bytes, 64 << 10);
    CHECK_EQ(c->limits.head_count, 100);
    CHECK_EQ(c->limits.connections, 100000);
    CHECK_EQ(c->limits.head_time, 10 * NS_SEC);
    CHECK_EQ(c->limits.body_gap, 30 * NS_SEC);
    CHECK_EQ(c->limits.idle_time, 75 * NS_SEC);
    CHECK_EQ(c->limits.write_gap, 60 * NS_SEC);
    CHECK_EQ(c->limits.held_answer, 1 << 20);
    CHECK_EQ(c->drain_time, 30 * NS_SEC);
    CHECK_EQ(c->log.level, LOG_INFO);
    CHECK(c->log.format_auto);
    CHECK_STR(c->log.access, "stdout");
    CHECK_EQ(c->provider_count, 1);
    const struct provider *p = &c->providers[0];
    CHECK_STR(str_from_c(p->dialect->name), "openai");
    CHECK(p->secure && !p->simulated);
    CHECK_STR(p->host, "api.openai.com");
    CHECK_EQ(p->port, 443);
    CHECK_STR(p->base_path, "/v1");
    CHECK_STR(secret_reveal(&p->keys[0].secret), "sk-live-1234");
    CHECK_EQ(p->max_connections, 4096);
    CHECK_EQ(p->timeouts.connect, 10 * NS_SEC);
    CHECK_EQ(p->timeouts.first_byte, 120 * NS_SEC);
    CHECK_EQ(p->timeouts.between_bytes, 60 * NS_SEC);
    CHECK_EQ(p->timeouts.total, 600 * NS_SEC);
    CHECK_EQ(c->model_count, 1);
    CHECK_EQ(c->models[0].target_count, 1);
    CHECK_STR(c->models[0].targets[0].deployment->name, "openai/gpt-4o");
    CHECK_STR(c->models[0].targets[0].deployment->model, "gpt-4o");
    CHECK(c->models[0].targets[0].deployment->provider == p);
    CHECK(c->pass_through == p);
    CHECK_EQ(strlen(c->digest), 16);
    CHECK_EQ(c->key_count, 0);
}

TEST(config_reads_every_setting)
{
    LOADED(
        l,
        "listen: [\"0.0.0.0:1234\", \"unix:/run/x.sock\"]\nworkers: ${COUNT}\ntls: {cert: /abs/cert.pem, key: "
        "/abs/key.pem}\n"
        "anonymous: ${YES}\nlimits: {body: 1MiB, header_bytes: 2KiB, header_count: 9, connections: 11, header_time: "
        "1s,\n"
        "  body_gap: 2s, idle_time: none, write_gap: 4s, held_answer: 0}\n"
        "timeouts: {connect: 1s, first_byte: \"${LIMIT}\", between_bytes: none, total: 1h}\ndrain: 5s\n"
        "log: {level: debug, format: console, access: off}\npass_through: b\n"
        "providers:\n  a: {api_key: k, proxy: \"http://proxy:3128\", headers: {X-One: 1, x-two: \"${OTHER}\"}, "
        "max_connections: 3,\n"
        "    timeouts: {total: 7s}, serves: [m1, \"org/m2\"]}\n  b: {simulate: scenarios/slow.yaml, serves: \"*\"}\n");
    const struct catalog *c = l.c;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(c->listen_count, 2);
    CHECK_EQ(addr_port(&c->listens[0].addr), 1234);
    CHECK(c->listens[0].tls && c->listens[1].tls);
    CHECK_EQ(c->workers, 7);
    CHECK(c->anonymous);
    CHECK_STR(c->tls_cert_pem, "-----BEGIN CERTIFICATE-----\ncert");
    CHECK_STR(c->tls_key_pem, "-----BEGIN PRIVATE KEY-----\nkey");
    CHECK_EQ(c->limits.body_bytes, 1 << 20);
    CHECK_EQ(c->limits.head_bytes, 2048);
    CHECK_EQ(c->limits.head_count, 9);
    CHECK_EQ(c->limits.connections, 11);
    CHECK_EQ(c->limits.head_time, NS_SEC);
    CHECK_EQ(c->limits.body_gap, 2 * NS_SEC);
    CHECK_EQ(c->limits.idle_time, NS_NEVER);
    CHECK_EQ(c->limits.write_gap, 4 * NS_SEC);
    CHECK_EQ(c->limits.held_answer, 0);
    CHECK_EQ(c->drain_time, 5 * NS_SEC);
    CHECK_EQ(c->log.level, LOG_DEBUG);
    CHECK_EQ(c->log.format, LOG_CONSOLE);
    CHECK(!c->log.format_auto);
    CHECK_STR(c->log.access, "off");
    const struct provider *a = &c->providers[0], *b = &c->providers[1];
    CHECK_EQ(a->header_count, 2);
    CHECK_STR(a->headers[0].name, "X-One");
    CHECK_STR(a->headers[0].value, "1");
    CHECK_STR(a->headers[1].value, "sk-other");
    CHECK_STR(a->proxy, "http://proxy:3128");
    CHECK_EQ(a->max_connections, 3);
    CHECK_EQ(a->timeouts.total, 7 * NS_SEC);
    CHECK_EQ(a->timeouts.connect, NS_SEC);
    CHECK_EQ(a->timeouts.first_byte, 90 * NS_SEC);
    CHECK_EQ(a->timeouts.between_bytes, NS_NEVER);
    CHECK_EQ(a->serves_count, 2);
    CHECK_STR(a->serves[1], "org/m2");
    CHECK(!a->serves_all);
    CHECK(b->simulated && b->serves_all);
    CHECK_STR(b->scenario_path, "scenarios/slow.yaml");
    CHECK_STR(b->base_path, "/v1");
    CHECK(c->pass_through == b);
}

TEST(config_base_urls_are_taken_apart)
{
    static const struct {
        const char *url, *host, *unix_path, *base_path;
        unsigned port;
        bool secure;
    } cases[] = {{"https://API.Example.com", "api.example.com", "", "", 443, true},
                 {"http://10.0.0.1:8000/v1/", "10.0.0.1", "", "/v1", 8000, false},
                 {"https://r.openai.azure.com//openai/v1", "r.openai.azure.com", "", "/openai/v1", 443, true},
                 {"https://r.openai.azure.com///openai//", "r.openai.azure.com", "", "/openai", 443, true},
                 {"https://r.openai.azure.com//", "r.openai.azure.com", "", "", 443, true},
                 {"unix:/run/m.sock://v1", "localhost", "/run/m.sock", "/v1", 0, false},
                 {"http://[::1]:9/a/b//", "::1", "", "/a/b", 9, false},
                 {"unix:/run/m.sock", "localhost", "/run/m.sock", "", 0, false},
                 {"unix:/run/m.sock:/v1", "localhost", "/run/m.sock", "/v1", 0, false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        (void)buf_addf(&text, "providers: {p: {base_url: \"%s\"}}", cases[i].url);
        (void)buf_add_char(&text, '\0');
        LOADED(l, text.p);
        test_context("%s", cases[i].url);
        CHECK_OK(l.err);
        const struct provider *p = &l.c->providers[0];
        CHECK_STR(p->host, cases[i].host);
        CHECK_STR(p->unix_path, cases[i].unix_path);
        CHECK_STR(p->base_path, cases[i].base_path);
        CHECK_EQ(p->port, cases[i].port);
        CHECK_EQ(p->secure, cases[i].secure);
    }
}

/* "[sim/m0, sim/m1, ...]" of that many, by a pattern or not. */
static void add_many(struct buf *to, const char *field, unsigned n, const char *behind)
{
    buf_addf(to, "%s: [", field);
    for (unsigned i = 0; i < n; i++)
        buf_addf(to, "{deployment: \"sim/m%u%s\", weight: %u}, ", i, behind, 1 + i % 3);
    buf_add_lit(to, "]");
}

TEST(config_arranges_long_lists_and_no_others)
{
    enum { MANY = STRATEGY_SCAN_MAX + 1 };
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);

    buf_add_lit(&text, SIM "deployments: {sim/m7: {price: {input: 0.5, output: 1}}, sim/*: {price: {input: 1, output: "
                           "2}}}\nmodels:\n  many: {");
    add_many(&text, "targets", MANY, "");
    buf_add_lit(&text, "}\n  few: {");
    add_many(&text, "targets", MANY - 1, "");
    buf_add_lit(&text, "}\n  made/*: {");
    add_many(&text, "targets", MANY, "*");
    buf_add_lit(&text, "}\n  spare: {targets: sim/a, fallbacks: [sim/b");
    for (unsigned i = 0; i < MANY; i++)
        buf_addf(&text, ", sim/m%u", i);
    buf_add_lit(&text, "]}\n");
    struct loaded l CLEANUP(loaded_release);
    load(&l, "-", buf_str(&text), &test_env);
    CHECK_STR(buf_str(&l.report), "");
    const struct model *many = catalog_find_model(l.c, STR("many")), *spare = catalog_find_model(l.c, STR("spare"));
    const struct roster *r = many->roster, *fallbacks = spare->fallbacks[FALLBACK_ANY].roster;
    CHECK(r && r->count == MANY && r->tier_count == MANY);
    CHECK(catalog_find_model(l.c, STR("few"))->roster == NULL);
    CHECK(l.c->models[2].is_wildcard && l.c->models[2].roster == NULL); /* what it stands for is not known yet */
    CHECK(spare->roster == NULL && fallbacks && fallbacks->count == MANY + 1);
    CHECK_EQ(fallbacks->ids[8], many->targets[7].deployment->id);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQ(r->ids[i], many->targets[i].deployment->id);
        CHECK(r->weights[i] == many->targets[i].weight);
        CHECK_EQ(r->by_tier[i], i);
    }
    CHECK_EQ(r->price_count, 2);
    CHECK_EQ(r->by_price[0], 7);
    CHECK_EQ(r->prices[0].end, 1);
}

TEST(config_targets_weights_and_fallbacks_in_every_spelling)
{
    LOADED(l,
           SIM "models:\n  one: {targets: sim/org/m:free}\n"
               "  many/x: {targets: [sim/a, {deployment: sim/b, weight: 3}, {deployment: sim/c, weight: 4294967295}],\n"
               "    fallbacks: [sim/d, sim/a]}\n  map: {targets: {deployment: sim/a}, fallbacks: {any: sim/b}, "
               "timeouts: {first_byte: 3s}}\n");
    const struct model *m = l.c ? catalog_find_model(l.c, STR("many/x")) : NULL;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_STR(l.c->models[0].targets[0].deployment->model, "org/m:free");
    CHECK(m != NULL);
    CHECK_EQ(m->target_count, 3);
    CHECK_EQ(m->targets[0].weight, 1);
    CHECK_EQ(m->weight_sum, 4294967299);
    CHECK_EQ(m->fallbacks[FALLBACK_ANY].count, 2);
    CHECK_STR(m->fallbacks[FALLBACK_ANY].items[0].deployment->name, "sim/d");
    CHECK(m->fallbacks[FALLBACK_ANY].items[1].deployment == m->targets[0].deployment);
    CHECK(!m->has_timeouts);
    CHECK_EQ(m->timeouts.total, 600 * NS_SEC);
    const struct model *map = catalog_find_model(l.c, STR("map"));
    CHECK(map->targets[0].deployment == m->targets[0].deployment);
    CHECK_EQ(map->fallbacks[FALLBACK_ANY].count, 1);
    CHECK(map->has_timeouts);
    CHECK_EQ(map->timeouts.first_byte, 3 * NS_SEC);
    CHECK_EQ(map->timeouts.connect, 10 * NS_SEC);
    CHECK_EQ(l.c->deployment_count, 5);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(l.c->deployments[i].index, i);
}

/* ---- what is kept of requests, and operators ---- */

TEST(config_facts_and_admin_are_there_without_a_word)
{
    LOADED(l, SIM);
    const struct catalog *c = l.c;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(c->facts.recent, 16 << 20);
    CHECK_EQ(c->facts.dir.n, 0);
    CHECK_EQ(c->facts.size, 1 << 30);
    CHECK_EQ(c->facts.age, 30 * 24 * 3600 * NS_SEC);
    CHECK(c->explain_headers && c->admin.on && c->admin.is_usual && !c->admin.listen.tls);
    CHECK(addr_is_loopback(&c->admin.listen.addr) && addr_port(&c->admin.listen.addr) == 9901);
    CHECK_EQ(c->admin.key_count, 0);
}

TEST(config_facts_and_admin_as_written)
{
    LOADED(l, SIM "facts: {recent: 0, dir: kept/facts, size: 8MiB, age: none}\nexplain_headers: false\n"
                  "admin: {listen: \"[::]:9\", keys: [{name: ops, hash: " HASH_A "}, {name: more, hash: " HASH_B
                  "}], key_file: /run/k}\n"
                  "tls: {cert: /abs/cert.pem, key: /abs/key.pem}\n");
    const struct catalog *c = l.c;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(c->facts.recent, 0);
    CHECK_STR(c->facts.dir, "kept/facts");
    CHECK_EQ(c->facts.size, 8 << 20);
    CHECK_EQ(c->facts.age, NS_NEVER);
    CHECK(!c->explain_headers && !c->admin.is_usual && c->admin.listen.tls);
    CHECK_EQ(c->admin.key_count, 2);
    CHECK_STR(c->admin.keys[1].name, "more");
    CHECK_EQ(c->admin.keys[1].hash[31], 0xbb);
    CHECK_STR(c->admin.key_file, "/run/k");
    LOADED(off, SIM "admin: off\nfacts: /var/f\n");
    CHECK(off.c && !off.c->admin.on);
    CHECK_STR(off.c->facts.dir, "/var/f");
}

TEST(config_admin_is_for_operators_only)
{
    check_error(SIM "admin: {listen: \"0.0.0.0:9\"}\n",
                "-:2:17: error: \"0.0.0.0:9\" is reachable from elsewhere: add \"admin.keys\" (crossdock key new)\n");
    check_error(
        SIM "admin: {listen: nowhere}\n",
        "-:2:17: error: this is no address to listen on: write 127.0.0.1:9901, [::1]:9901, :9901, unix:/path or "
        "off\n");
    check_error(SIM "listen: 127.0.0.1:7\nadmin: {listen: 127.0.0.1:7}\n",
                "-:3:17: error: clients are served at this address: operators need another one\n");
    check_error(SIM "keys: [{name: app, hash: " HASH_A "}]\nadmin: {keys: [{name: ops, hash: " HASH_A "}]}\n",
                "-:3:34: error: this is the key of the client \"app\": an operator needs another\n");
    check_error(SIM "facts: {dir: x, size: 1MiB}\n", "-:2:23: error: \"size\" must be at least 8MiB\n");
}

/* ---- variables and secrets ---- */

TEST(config_variables_expand_in_values_and_only_there)
{
    LOADED(l, "providers:\n  a: {api_key: \"pre-${KEY}-${OTHER}\", headers: {x: '$${KEY} $x ${EMPTY}$', y: "
              "\"${NOPE:-d-}${EMPTY:-e}\"},\n"
              "    base_url: \"${URL}\"}\n  b: {api_key: \"${NOPE:-}\"}\n  c: {api_key: \"${EMPTY}\"}\n  d:\n    "
              "api_key: ${KEY}\n"
              "models: {\"${KEY}\": {targets: \"a/${COUNT}\"}}\n");
    const struct catalog *c = l.c;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_STR(secret_reveal(&c->providers[0].keys[0].secret), "pre-sk-live-1234-sk-other");
    CHECK_STR(c->providers[0].headers[0].value, "${KEY} $x $");
    CHECK_STR(c->providers[0].headers[1].value, "d-e");
    CHECK_EQ(c->providers[0].port, 9000);
    CHECK_EQ(secret_reveal(&c->providers[1].keys[0].secret).n, 0);
    CHECK_EQ(secret_reveal(&c->providers[2].keys[0].secret).n, 0);
    CHECK(catalog_find_model(c, STR("${KEY}")) != NULL);
    CHECK_STR(c->models[0].targets[0].deployment->model, "7");
}

TEST(config_variables_that_are_missing_or_malformed_are_errors_in_their_place)
{
    check_error("providers:\n  a: {api_key: \"x${NOPE}\"}\n",
                "-:2:16: error: the environment variable NOPE is not set; to do without it write ${NOPE:-}\n");
    check_error("providers:\n  a: {api_key: \"${KEY\"}\n",
                "-:2:16: error: \"${\" without \"}\"; for the text itself write $${\n");
    check_error("providers:\n  a: {api_key: \"${}\"}\n", "-:2:16: error: ${...} must hold the name of an environment "
                                                         "variable, as ${NAME} or ${NAME:-default}; for the text "
                                                         "itself write $${\n");
    check_error("providers:\n  a: {api_key: \"${1X}\"}\n", "-:2:16: error: ${...} must hold the name of an environment "
                                                           "variable, as ${NAME} or ${NAME:-default}; for the text "
                                                           "itself write $${\n");
}

TEST(config_secrets_come_from_files_beside_the_configuration)
{
    LOADED_PATH(l, "/etc/x/main.yaml");
    CHECK_STR(buf_str(&l.report), "");
    const struct provider *p = &l.c->providers[0];
    CHECK_STR(secret_reveal(&p->keys[0].secret), "tok-from-file");
    CHECK_STR(p->headers[0].value, "tok-from-file");
    CHECK_STR(p->ca_pem, "-----BEGIN CERTIFICATE-----\nca");
    CHECK_STR(p->cert_pem, "-----BEGIN CERTIFICATE-----\ncert");
    CHECK_STR(p->key_pem, "-----BEGIN PRIVATE KEY-----\nkey");
    CHECK_STR(l.c->log.access, "/etc/x/log/access");
    CHECK_STR(l.c->providers[1].scenario_path, "/etc/x/slow.yaml");
}

TEST(config_files_that_cannot_be_read_are_named)
{
    LOADED_PATH(missing, "/etc/x/none.yaml");
    CHECK_STR(buf_str(&missing.report), "/etc/x/none.yaml: error: cannot be read: No such file or directory\n");
    check_error("providers: {a: {api_key: \"file:token\", tls: {ca: pem/ca.pem}}}",
                "-:1:26: error: the file \"token\" cannot be read: No such file or directory\n"
                "-:1:50: error: the file \"pem/ca.pem\" cannot be read: No such file or directory\n");
}

TEST(config_inline_pem_is_taken_as_it_is)
{
    LOADED(l,
           "providers:\n  a:\n    api_key: k\n    tls:\n      ca: |\n        -----BEGIN CERTIFICATE-----\n        x\n");
    CHECK_STR(buf_str(&l.report), "");
    CHECK_STR(l.c->providers[0].ca_pem, "-----BEGIN CERTIFICATE-----\nx\n");
}

TEST(config_credentials_that_cannot_be_sent_are_refused)
{
    check_error("providers: {a: {api_key: \"${MULTI}\"}}",
                "-:1:26: error: \"api_key\" holds line breaks or control characters, or is too long\n");
    check_error("providers: {a: {api_key: \" k\"}}", "-:1:26: error: \"api_key\" has blanks at an end\n");
    check_error("providers: {a: {api_key: \"file:/etc/x/empty\"}}",
                "-:1:26: error: the file \"/etc/x/empty\" is empty\n");
    check_error("providers: {a: {api_key: k, headers: {x: \"${MULTI}\"}}}",
                "-:1:42: error: the header \"x\" holds line breaks or control characters\n");
    check_error("providers: {a: {api_key: k, headers: {Content-Length: 1}}}",
                "-:1:55: error: the header \"Content-Length\" cannot be set\n");
    check_error("providers: {a: {api_key: k, headers: {\"a b\": 1}}}",
                "-:1:39: error: \"a b\" in \"headers\" must be the name of an HTTP header\n");
}

TEST(config_several_keys_of_a_provider_have_names_weights_and_identities)
{
    LOADED(l, "providers:\n  a: {api_keys: [k-one, {name: spare, key: \"${KEY}\", weight: 3}, \"file:/etc/x/token\"]}\n"
              "  b: {api_keys: k-one}\n  c: {simulate: true}\n  d: {api_key: k-one, headers: {x: y}}\n");
    const struct provider *p = l.c->providers;

    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(p[0].key_count, 3);
    CHECK_STR(p[0].keys[0].name, "1");
    CHECK_STR(p[0].keys[1].name, "spare");
    CHECK_STR(p[0].keys[2].name, "3");
    CHECK_STR(secret_reveal(&p[0].keys[0].secret), "k-one");
    CHECK_STR(secret_reveal(&p[0].keys[1].secret), "sk-live-1234");
    CHECK_EQ(p[0].keys[0].weight, 1);
    CHECK_EQ(p[0].keys[1].weight, 3);
    CHECK_EQ(p[1].key_count, 1);
    CHECK_STR(secret_reveal(&p[1].keys[0].secret), "k-one");
    CHECK_EQ(p[2].key_count, 1); /* of who has none, there is one all the same, without a name */
    CHECK_EQ(p[2].keys[0].secret.n_, 0);
    CHECK_STR(p[2].keys[0].name, "");
    CHECK_STR(p[3].keys[0].name, "");
}

static bool same_identity(const struct provider_key *a, const struct provider_key *b)
{
    return memcmp(a->identity, b->identity, sizeof a->identity) == 0;
}

TEST(config_identities_of_keys_follow_their_secrets_over_reloads)
{
    LOADED(
        before,
        "providers:\n  a: {api_keys: [one, two]}\n  b: {api_key: one}\n  c: {headers: {x-api-key: one}, api_key: k}\n"
        "  d: {dialect: bedrock, region: r, auth: {type: aws-static, access_key_id: i, secret_access_key: s}}\n");
    LOADED(after,
           "providers:\n  a: {api_keys: [{name: n, key: two}, three], max_connections: 7}\n  b: {api_key: one}\n"
           "  c: {headers: {x-api-key: two}, api_key: k}\n"
           "  d: {dialect: bedrock, region: r, auth: {type: aws-static, access_key_id: i, secret_access_key: t}}\n");
    CHECK_STR(buf_str(&before.report), "");
    CHECK_STR(buf_str(&after.report), "");
    const struct provider *a = before.c->providers, *b = after.c->providers;

    CHECK(!same_identity(&a[0].keys[0], &a[0].keys[1]));
    CHECK(same_identity(&a[0].keys[1], &b[0].keys[0])); /* moved and renamed, and other things changed */
    CHECK(!same_identity(&a[0].keys[0], &b[0].keys[1]));
    CHECK(!same_identity(&a[0].keys[0], &a[1].keys[0])); /* of another provider */
    CHECK(same_identity(&a[1].keys[0], &b[1].keys[0]));
    CHECK(!same_identity(&a[2].keys[0], &b[2].keys[0])); /* the credential is in a header */
    CHECK(!same_identity(&a[3].keys[0], &b[3].keys[0]));
}

TEST(config_keys_of_a_provider_that_contradict_each_other_are_refused)
{
    struct buf many CLEANUP(buf_release) = BUF_INIT(1 << 16);

    check_error("providers: {a: {api_key: k, api_keys: [l]}}",
                "-:1:26: error: \"api_key\" and \"api_keys\" exclude each other\n");
    check_error("providers: {a: {dialect: azure, base_url: \"http://h/v1\", auth: azure, api_keys: [l]}}",
                "-:1:64: error: \"auth\" and \"api_keys\" exclude each other\n");
    check_error("providers: {a: {api_keys: [k, l, k]}}", "-:1:34: error: this key is in the list twice\n");
    check_error("providers: {a: {api_keys: [{name: \"2\", key: k}, l]}}",
                "-:1:49: error: another of these keys has the same name\n");
    check_error(
        "providers: {a: {api_keys: [{key: k, name: \"a b\"}]}}",
        "-:1:43: error: \"name\" must be a name of 1 to 64 letters, digits, \"_\", \".\" and \"-\", not \"a b\"\n");
    check_error("providers: {a: {api_keys: [k, \"${MULTI}\"]}}",
                "-:1:31: error: \"key\" holds line breaks or control characters, or is too long\n");
    check_error("providers: {a: {api_keys: [k, {key: \"l \"}]}}", "-:1:37: error: \"key\" has blanks at an end\n");
    check_error("providers: {a: {api_keys: [k, \"${EMPTY}\"]}}", "-:1:31: error: \"key\" is empty\n");
    check_error("providers: {a: {api_keys: [{key: k, weight: 0}]}}", "-:1:45: error: \"weight\" must be at least 1\n");
    check_error("providers: {a: {api_keys: []}}", "-:1:27: error: \"api_keys\" needs at least 1\n");
    (void)buf_add_lit(&many, "providers: {a: {api_keys: [k");
    for (int i = 0; i < 64; i++)
        (void)buf_addf(&many, ", k%d", i);
    (void)buf_add(&many, str_of("]}}", 4));
    check_error(many.p, "-:1:16: error: \"api_keys\" holds more than 64 keys\n");
}

/* A secret in every field that takes text, one at a time and all together: no message shows it. */
TEST(config_messages_never_show_what_a_variable_held_or_a_secret_field)
{
    static const char *const templates[] = {
        "workers: %s\n" SIM,
        "listen: %s\n" SIM,
        "drain: %s\n" SIM,
        "limits: {body: %s}\n" SIM,
        "log: {level: %s}\n" SIM,
        "pass_through: %s\n" SIM,
        "anonymous: %s\n" SIM,
        "tls: {cert: %s, key: %s}\n" SIM,
        "providers: {a: {dialect: %s}}\n",
        "providers: {a: {base_url: %s}}\n",
        "providers: {a: {api_key: k, proxy: %s}}\n",
        "providers: {a: {api_key: k, tls: {ca: %s}}}\n",
        "providers: {a: {api_key: k, max_connections: %s}}\n",
        "providers: {a: {api_key: k, optional: %s}}\n",
        "providers: {a: {api_key: k, serves: \"*%s\"}}\n",
        "providers: {a: {api_key: [%s]}}\n",
        "providers: {a: {api_keys: [{name: k, key: [%s]}]}}\n",
        "providers: {a: {api_keys: [%s, %s]}}\n",
        "providers: {a: {api_keys: [{name: \"%s x\", key: k}, {name: %s, key: l}, {name: %s, key: m}]}}\n",
        "providers: {a: {api_key: k, timeouts: {total: %s}}}\n",
        SIM "models: {m: {targets: %s}}\n",
        SIM "models: {m: {targets: sim/a, fallbacks: x/%s}}\n",
        SIM "models: {m: {targets: [sim/a, %s/b]}}\n",
        SIM "models: {m: {strategy: %s, targets: sim/a}}\n",
        SIM "models: {m: {targets: {deployment: sim/a, weight: %s}}}\n",
        SIM "keys: [{name: a, hash: %s}]\n",
        SIM "keys: [{name: a, hash: " HASH_A ", models: [\"%s*x\"]}]\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(templates); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
        for (const char *t = templates[i]; *t; t++) {
            if (t[0] == '%' && t[1] == 's') {
                (void)buf_add_lit(&text, "${KEY}");
                t++;
            } else {
                (void)buf_add_char(&text, *t);
            }
        }
        (void)buf_add_char(&text, '\0');
        LOADED(l, text.p);
        test_context("%s -> %.*s", text.p, STR_ARG(buf_str(&l.report)));
        CHECK_GE(l.problems.count, 1);
        CHECK_EQ(str_find(buf_str(&l.report), STR("sk-live")), l.report.n);
    }
}

TEST(config_messages_never_show_literal_credentials_in_wrong_places)
{
    LOADED(l, "providers:\n  a: {base_url: \"https://user:sk-live-pw@host/v1\", api_key: \" sk-live-x\", proxy: "
              "\"sk-live-p\"}\n"
              "  b: {base_url: sk-live-y, headers: {x: \"sk-live-\\u0007\"}, tls: {key: sk-live-z, cert: c}}\n"
              "keys: [{name: a, hash: sk-live-k}]\n");
    CHECK_EQ(l.problems.errors, 8);
    CHECK_EQ(str_find(buf_str(&l.report), STR("sk-live")), l.report.n);
}

/* ---- optional providers ---- */

#define OPTIONAL "providers:\n  sim: {simulate: true}\n  o: {optional: true, api_key: \"${NOPE}\"}\n"

TEST(config_optional_providers_join_only_with_their_variables)
{
    static const struct {
        const char *key;
        bool there;
    } cases[] = {{"${KEY}", true},    {"${NOPE}", false},       {"${EMPTY}", false}, {"${NOPE:-x}", true},
                 {"${NOPE:-}", true}, {"${KEY}${NOPE}", false}, {"$${NOPE}", true},  {"literal", true}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        (void)buf_addf(&text, "providers: {sim: {simulate: true}, o: {optional: true, api_key: '%s'}}", cases[i].key);
        (void)buf_add_char(&text, '\0');
        LOADED(l, text.p);
        test_context("%s", cases[i].key);
        CHECK_STR(buf_str(&l.report), "");
        CHECK_EQ(l.c->provider_count, cases[i].there ? 2 : 1);
    }
}

TEST(config_what_names_an_optional_provider_left_out_goes_too)
{
    LOADED(l, OPTIONAL "models:\n  gone: {targets: [o/a, o/b], fallbacks: [sim/x]}\n  some: {targets: [o/a, sim/b], "
                       "fallbacks: [o/c, sim/d]}\n"
                       "keys:\n  - {name: k, hash: " HASH_A ", models: [gone, some, \"o/any\"]}\npass_through: o\n");

    CHECK_STR(
        buf_str(&l.report),
        "-:5:9: warning: model \"gone\" is left out: all its targets are at optional providers that lack a variable\n"
        "-:9:15: warning: this provider is left out: other paths go nowhere\n");
    CHECK_OK(l.err);
    CHECK_EQ(l.c->model_count, 1);
    CHECK(catalog_find_model(l.c, STR("gone")) == NULL);
    const struct model *some = catalog_find_model(l.c, STR("some"));
    CHECK(some == &l.c->models[0]);
    CHECK_EQ(some->index, 0);
    CHECK_EQ(some->target_count, 1);
    CHECK_EQ(some->weight_sum, 1);
    CHECK_EQ(some->fallbacks[FALLBACK_ANY].count, 1);
    CHECK(l.c->pass_through == NULL);
}

TEST(config_mistakes_in_an_optional_provider_left_out_are_still_found)
{
    check_error("providers:\n  sim: {simulate: true}\n  o: {optional: true, api_key: \"${NOPE}\", max_conections: 3}\n",
                "-:3:43: error: unknown field \"max_conections\" in \"o\", did you mean \"max_connections\"?\n");
}

TEST(config_typed_fields_of_an_optional_provider_left_out_are_no_mistakes)
{
    check_warning("providers:\n  sim: {simulate: true}\n  o: {optional: true, api_key: k, max_connections: "
                  "\"${NOPE}\", timeouts: {total: \"${EMPTY}\"}}\n",
                  "");
}

TEST(config_without_any_provider_left_says_so)
{
    check_warning("providers:\n  o: {optional: true, api_key: \"${NOPE}\"}\n",
                  "warning: no provider is left: each is optional and lacks a variable\n");
}

/* ---- what is refused ---- */

TEST(config_reports_all_mistakes_of_shape_and_meaning_at_once)
{
    check_error(
        "wrokers: 4\nproviders:\n  openai: {api_key: k, dialect: opnai}\n  Bad: {simulate: true}\n"
        "models:\n  chat: {targets: [openia/gpt-4o, {deployment: openai/x, weight: 0}]}\n",
        "-:1:1: error: unknown field \"wrokers\" in the document, did you mean \"workers\"?\n"
        "-:3:33: error: unknown dialect \"opnai\", did you mean \"openai\"?\n"
        "-:4:3: error: \"Bad\" in \"providers\" must be a name of lower-case letters, digits, \"_\", \".\" and \"-\"\n"
        "-:6:20: error: unknown provider \"openia\", did you mean \"openai\"?\n"
        "-:6:66: error: \"weight\" must be at least 1\n");
}

TEST(config_targets_that_cannot_be_are_explained)
{
    check_error(SIM "models: {m: {targets: [sim]}}\n",
                "-:2:24: error: \"sim\" must be written \"provider/model\", did you mean \"sim\"?\n");
    check_error(SIM "models: {m: {targets: [sim/]}}\n", "-:2:24: error: \"sim/\" must be written \"provider/model\"\n");
    check_error(SIM "models: {m: {targets: [/x]}}\n", "-:2:24: error: \"/x\" must be written \"provider/model\"\n");
    check_error(SIM "models: {m: {targets: [sim/a, sim/a]}}\n",
                "-:2:31: error: \"sim/a\" is there twice: add up the weights\n");
    check_error(SIM "models: {m: {targets: [sim/a], fallbacks: [sim/b, sim/b]}}\n",
                "-:2:51: error: \"sim/b\" is there twice\n");
    check_error(SIM "models: {m: {targets: []}}\n", "-:2:23: error: \"targets\" needs at least 1\n");
    check_error(SIM "models: {m: {fallbacks: [sim/a]}}\n", "-:2:13: error: \"targets\" is missing\n");
    check_error(
        SIM "models: {m: {targets: [sim/a]}, n: {targets: [m]}}\n",
        "-:2:47: error: \"m\" is a model of this file; write the deployment that is meant, as \"provider/model\"\n");
}

TEST(config_names_every_strategy_and_suggests_the_nearest)
{
    for (size_t i = 0; i < strategy_catalog_count; i++) {
        char text[256];
        snprintf(text, sizeof text, SIM "models: {m: {strategy: %s, targets: [sim/a]}}\n", strategy_catalog[i]->name);
        LOADED(l, text);
        CHECK(l.c->models[0].rules.strategy == strategy_catalog[i]);
    }
    check_error(SIM "models: {m: {strategy: lest-busy, targets: [sim/a]}}\n",
                "-:2:24: error: unknown strategy \"lest-busy\", did you mean \"least-busy\"?\n");
    check_error(SIM "models: {m: {strategy: sticky, sticky: session, targets: [sim/a]}}\n",
                "-:2:40: error: \"sticky\" is conversation, user or header:NAME\n");
}

TEST(config_usual_rules_of_a_model_are_those_of_what_is_no_model)
{
    LOADED(l, SIM "models: {m: {targets: [sim/a]}}\n");
    const struct route_rules *m = &l.c->models[0].rules, *usual = &l.c->usual;
    CHECK(m->strategy == usual->strategy);
    CHECK(memcmp(&m->retries, &usual->retries, sizeof m->retries) == 0);
    CHECK(memcmp(&m->live.outlier, &usual->live.outlier, sizeof m->live.outlier) == 0);
    CHECK(memcmp(&m->live.latency, &usual->live.latency, sizeof m->live.latency) == 0);
    CHECK(memcmp(&m->live.budget, &usual->live.budget, sizeof m->live.budget) == 0);
    CHECK_EQ(m->hedge.requests, 0);
}

TEST(config_reads_the_rules_of_a_model)
{
    LOADED(l, SIM "models:\n"
                  "  m:\n"
                  "    strategy: sticky\n"
                  "    sticky: header:x-session\n"
                  "    targets: [{deployment: sim/a, tier: 2}, {deployment: sim/b}]\n"
                  "    fallbacks: {any: sim/c, context_length: [sim/d, sim/e], budget: sim/a}\n"
                  "    retries: {attempts: 5, here: 2, base: 1s, cap: 4s, max_wait: 3s, budget: 20%, floor: 0.5}\n"
                  "    ejection: {consecutive: 3, share: 25%, volume: 7, time: 2s, time_max: 1s, share_max: 50%}\n"
                  "    hedge: {enabled: true, requests: 3%, spend: 1%, quantile: 0.9}\n"
                  "    shadow: {deployment: sim/s, share: 10%}\n"
                  "    timeouts: {first_token: 1s, between_tokens: 2s}\n"
                  "  order: {strategy: priority, targets: [sim/a, sim/b]}\n"
                  "  calm: {targets: sim/a, ejection: false, retries: 1}\n");
    const struct model *m = &l.c->models[0], *order = &l.c->models[1], *calm = &l.c->models[2];
    CHECK_EQ(m->rules.sticky, STICKY_HEADER);
    CHECK_STR(m->rules.sticky_header, "x-session");
    CHECK(m->targets[0].tier == 1 && m->targets[1].tier == 0);
    CHECK(order->targets[0].tier == 0 && order->targets[1].tier == 1);
    CHECK_EQ(m->fallbacks[FALLBACK_CONTEXT_LENGTH].count, 2);
    CHECK_STR(m->fallbacks[FALLBACK_CONTEXT_LENGTH].items[1].deployment->name, "sim/e");
    CHECK_EQ(m->fallbacks[FALLBACK_CONTEXT_LENGTH].items[1].tier, 1);
    CHECK(m->fallbacks[FALLBACK_BUDGET].items[0].deployment == m->targets[0].deployment);
    CHECK_EQ(m->fallbacks[FALLBACK_TIMEOUT].count, 0);
    const struct retry_rules *r = &m->rules.retries;
    CHECK(r->attempts == 5 && r->here == 2 && r->base == NS_SEC && r->cap == 4 * NS_SEC && r->hint_max == 3 * NS_SEC);
    CHECK(m->rules.live.budget.share == 200 && m->rules.live.budget.floor == 500);
    const struct outlier_rules *o = &m->rules.live.outlier;
    CHECK(o->consecutive == 3 && o->share == 250 && o->volume == 7 && o->share_max == 500);
    CHECK(o->eject == 2 * NS_SEC && o->eject_max == 2 * NS_SEC);
    CHECK(m->rules.hedge.requests == 30 && m->rules.hedge.spend == 10);
    CHECK_STR(m->shadow.deployment->name, "sim/s");
    CHECK(m->has_timeouts && m->timeouts.first_token == NS_SEC && m->timeouts.between_tokens == 2 * NS_SEC);
    CHECK(calm->rules.live.outlier.consecutive == 0 && calm->rules.live.outlier.share == 0);
    CHECK_EQ(calm->rules.retries.attempts, 1);
    CHECK_EQ(calm->timeouts.first_token, NS_NEVER);
}

TEST(config_base_urls_that_cannot_be_are_explained)
{
    static const struct {
        const char *url, *why;
    } cases[] = {
        {"api.example.com/v1", "must begin with https:// or http://, as https://api.example.com/v1"},
        {"ftp://x/v1", "must begin with https://, http:// or unix:/"},
        {"https://", "is not a URL: write scheme, host and path, as https://api.example.com/v1"},
        {"https://x:99999/", "is not a URL: write scheme, host and path, as https://api.example.com/v1"},
        {"https://u:p@x/v1", "must not hold a user or password: put the credential into api_key or headers"},
        {"https://x/v1?key=1", "must end before \"?\" and \"#\""},
        {"https://x/v1/chat/completions", "is an endpoint: leave out \"/chat/completions\" at its end"},
        {"unix:run/x", "must be unix: and an absolute path, as unix:/run/model.sock or unix:/run/model.sock:/v1"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096), want CLEANUP(buf_release) = BUF_INIT(4096);
        (void)buf_addf(&text, "providers: {p: {api_key: k, base_url: \"%s\"}}", cases[i].url);
        (void)buf_add_char(&text, '\0');
        (void)buf_addf(&want, "-:1:39: error: \"base_url\" %s\n", cases[i].why);
        (void)buf_add_char(&want, '\0');
        check_error(text.p, want.p);
        if (test_failed())
            return;
    }
}

TEST(config_pipelines_and_schemas_need_no_providers)
{
    check_warning("pipelines: p.yaml", "");
    check_warning("registry: {path: /r.db}", "");
    check_warning("providers:\npipelines: p.yaml", "");
    check_error("providers:\npipelines:\nregistry:",
                "-:1:1: error: \"providers\" is missing, and there are no \"pipelines\" and no \"registry\" to "
                "serve\n");
    check_error("models: {m: {targets: p/m}}\npipelines: p.yaml", "-:1:23: error: unknown provider \"p\"\n");
}

TEST(config_providers_that_contradict_themselves_are_refused)
{
    check_error("providers: {p: {simulate: true, base_url: \"http://x\"}}",
                "-:1:43: error: a simulated provider has no \"base_url\": remove it or \"simulate\"\n");
    check_error("providers: {p: {api_key: k, tls: {cert: /abs/cert.pem}}}",
                "-:1:41: error: \"cert\" and \"key\" go together\n");
    check_error("providers: {p: {api_key: k, tls: {ca: /abs/cert.pem, insecure_skip_verify: true}}}",
                "-:1:39: error: \"ca\" is never looked at while \"insecure_skip_verify\" is true\n");
    check_error("providers: {p: {api_key: k, proxy: \"socks5://x\"}}",
                "-:1:36: error: \"proxy\" must be http://host:port or none\n");
    check_error("providers: {p: {api_key: k, serves: [\"a*\"]}}",
                "-:1:38: error: \"serves\" holds ids of models, or \"*\" alone for all\n");
    check_error("providers: {}", "-:1:12: error: \"providers\" needs at least 1\n");
    check_error("", "-:1:1: error: \"providers\" is missing, and there are no \"pipelines\" and no \"registry\" to "
                    "serve\n");
    check_error("- a\n", "-:1:1: error: the document must be a map, not a list\n");
}

/* ---- health ---- */

TEST(config_health_asks_what_the_vendor_has_and_reads_its_servers_metrics)
{
    LOADED(l,
           "providers:\n"
           "  gpu: {dialect: vllm, base_url: \"http://gpu:8000/v1\"}\n"
           "  behind: {dialect: llamacpp, base_url: \"https://proxy/llama/v1\", health: {interval: 5s, spend: 0.25}}\n"
           "  tgi: {dialect: tgi, base_url: \"http://t\"}\n"
           "  cloud: {api_key: k}\n"
           "  aws: {dialect: bedrock, region: us-east-1, api_key: k, health: {probe: token, spend: 1}}\n"
           "  none: {dialect: vllm, base_url: \"http://n/v1\", health: {probe: off, metrics: off}}\n"
           "  sim: {dialect: sglang, simulate: true}\n"
           "  tei: {dialect: tei, base_url: \"http://e\", health: {spend: 1}}\n");
    CHECK_OK(l.err);
    CHECK(l.c->providers[7].health.is_on && !l.c->providers[7].health.rules.token); /* it has no tokens to give */
    const struct provider_health *h = &l.c->providers[0].health;
    CHECK(h->is_on && h->rules.free == PROBE_SERVER && !h->rules.token);
    CHECK_STR(h->target, "/health");
    CHECK_STR(h->metrics, "/metrics");
    CHECK_EQ(h->metrics_host.n, 0);
    CHECK_EQ(h->rules.interval, 30 * NS_SEC);
    CHECK_EQ(h->timeout, 5 * NS_SEC);
    CHECK_EQ(h->metrics_interval, 2 * NS_SEC);
    h = &l.c->providers[1].health;
    CHECK_STR(h->target, "/llama/health");
    CHECK_STR(h->metrics, "/llama/metrics");
    CHECK(h->rules.token && h->rules.spend == 250000000 && h->rules.interval == 5 * NS_SEC);
    CHECK_STR(l.c->providers[2].health.target, "/health");
    h = &l.c->providers[3].health;
    CHECK(h->rules.free == PROBE_REACH && !h->metrics.n);
    CHECK_STR(h->target, "/v1/models");
    h = &l.c->providers[4].health;
    CHECK(h->is_on && h->rules.free == PROBE_NONE && h->rules.token && h->rules.spend == 1000000000 && !h->target.n);
    h = &l.c->providers[5].health;
    CHECK(!h->is_on && !h->target.n && !h->metrics.n);
    CHECK_STR(l.c->providers[6].health.target, "/sglang/health");
    CHECK_STR(l.c->providers[6].health.metrics, "/sglang/metrics");
}

TEST(config_health_takes_metrics_from_elsewhere)
{
    LOADED(l,
           "providers:\n"
           "  a: {dialect: vllm, base_url: \"http://gpu:8000/v1\", health: {metrics_url: \"http://GPU:9100/m?x=1\"}}\n"
           "  b: {dialect: custom, base_url: \"http://gpu:8000/v1\", health: {metrics_url: \"http://gpu:8000/m\"}}\n"
           "  c: {dialect: custom, base_url: \"http://gpu/v1\", health: {metrics_url: \"https://gpu\"}}\n"
           "  d: {dialect: vllm, simulate: true, health: {metrics_url: \"http://simulator/m\"}}\n");
    CHECK_OK(l.err);
    const struct provider_health *h = &l.c->providers[0].health;
    CHECK_STR(h->metrics, "/m?x=1");
    CHECK_STR(h->metrics_host, "gpu");
    CHECK(h->metrics_port == 9100 && !h->metrics_secure);
    CHECK_STR(l.c->providers[1].health.metrics, "/m");
    CHECK_EQ(l.c->providers[1].health.metrics_host.n, 0); /* the same server */
    h = &l.c->providers[2].health;
    CHECK_STR(h->metrics, "/");
    CHECK(h->metrics_secure && h->metrics_port == 443);
    CHECK_STR(h->metrics_host, "gpu");
    CHECK_STR(l.c->providers[3].health.metrics_host, "simulator");
}

TEST(config_health_that_cannot_be_is_refused)
{
    check_error(
        "providers: {p: {dialect: bedrock, region: r, api_key: k, health: {probe: free}}}",
        "-:1:66: error: \"probe: free\": dialect \"bedrock\" has nothing to ask that costs nothing: use auto or "
        "token\n");
    check_error("providers: {p: {api_key: k, health: {probe: token}}}",
                "-:1:37: error: \"probe: token\" costs money: say in \"spend\" how much in a day\n");
    check_error("providers: {p: {dialect: jina, api_key: k, health: {probe: token, spend: 1}}}",
                "-:1:52: error: \"probe: token\": dialect \"jina\" answers no chats: use auto\n");
    check_error("providers: {p: {api_key: k, health: {probe: free, spend: 1}}}",
                "-:1:37: error: \"spend\" is for probes that cost money: \"probe\" forbids them\n");
    check_error("providers: {p: {api_key: k, health: {metrics: off, metrics_url: \"http://x\"}}}",
                "-:1:65: error: \"metrics_url\" is never read with \"metrics: off\": remove one of them\n");
    check_error("providers: {p: {api_key: k, health: {metrics_url: \"http://u:p@x/\"}}}",
                "-:1:51: error: \"metrics_url\" must be http:// or https://, without user, password and \"#\"\n");
    check_error("providers: {p: {api_key: k, health: {metrics_url: \"ftp://x/\"}}}",
                "-:1:51: error: \"metrics_url\" must be http:// or https://, without user, password and \"#\"\n");
}

TEST(config_unknown_dialects_that_resemble_nothing_show_what_there_is)
{
    LOADED(l, "providers: {p: {api_key: k, dialect: zzzzzzzz}}");
    CHECK(str_starts(buf_str(&l.report), STR("-:1:38: error: unknown dialect \"zzzzzzzz\"; there are: ")));
    CHECK(str_find(buf_str(&l.report), STR("openai")) < l.report.n);
}

TEST(config_warns_of_what_is_probably_a_mistake)
{
    check_warning("providers: {p: {dialect: openai}}", "-:1:16: warning: provider \"p\" has no \"api_key\"\n");
    check_warning("providers: {p: {dialect: ollama}}", ""); /* whose servers ask for none */
    check_warning("providers: {p: {api_key: k, tls: {insecure_skip_verify: true}}}",
                  "-:1:16: warning: provider \"p\": certificates are not checked (insecure_skip_verify)\n");
}

TEST(config_addresses_that_cannot_be_are_refused)
{
    check_error(
        "listen: somewhere\n" SIM,
        "-:1:9: error: this is no address to listen on: write 127.0.0.1:8080, [::1]:8080, :8080 or unix:/path\n");
    check_error("listen: [127.0.0.1:80, 127.0.0.1:80]\n" SIM, "-:1:24: error: this address is there twice\n");
}

/* Whatever is wrong, each line of the report says where; and nothing that is wrong is loaded. */
TEST(config_every_problem_has_its_place)
{
    static const char *const wrong[] = {
        "listen: {a: 1}\n" SIM,
        "listen: [{a: 1}, [2], ~, \"\", somewhere]\n" SIM,
        "listen: [nowhere, 0.0.0.0:80]\n" SIM,
        "providers: { p: { base_url: http://a, serves: {} } }",
        "providers: { p: { base_url: http://a, serves: [{a: 1}, ~, \"\", \"a*\"] } }",
        "providers: { p: { base_url: http://a, dialect: \"\" } }",
        "providers: { p: { base_url: http://a, dialect: {a: 1} } }",
        "providers: { p: { base_url: http://a, headers: [1], timeouts: 3, tls: [], proxy: {} } }",
        "keys: [{name: {}, hash: []}, 3, ~]\n" SIM,
        SIM "tls: { cert: [], key: {} }",
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        LOADED(l, wrong[i]);
        test_context("%s", wrong[i]);
        CHECK_ERR(l.err, E_CONFIG);
        CHECK_GT(l.problems.errors, 0);
        for (struct str rest = buf_str(&l.report); rest.n;) {
            struct str line = str_cut(&rest, '\n');
            CHECK_MSG(str_starts(line, STR("-:")), "%.*s", STR_ARG(line));
        }
    }
}

TEST(config_never_serves_the_world_without_keys_by_mistake)
{
    static const char *const open[] = {"0.0.0.0:80", "\":80\"", "\"[::]:80\"", "192.168.1.1:80"};
    static const char *const closed[] = {"127.0.0.1:80", "\"[::1]:80\"", "127.8.8.8:80", "unix:/run/x"};

    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        (void)buf_addf(&text, "listen: %s\n" SIM, open[i]);
        (void)buf_add_char(&text, '\0');
        LOADED(l, text.p);
        test_context("%s", open[i]);
        CHECK_EQ(l.problems.errors, 1);
        CHECK(str_find(buf_str(&l.report), STR("is reachable from elsewhere and nobody needs a key")) < l.report.n);
        buf_clear(&text);
        (void)buf_addf(&text, "listen: %s\nanonymous: true\n" SIM, open[i]);
        (void)buf_add_char(&text, '\0');
        LOADED(meant, text.p);
        CHECK_OK(meant.err);
        buf_clear(&text);
        (void)buf_addf(&text, "listen: %s\n" SIM "keys: [{name: a, hash: " HASH_A "}]\n", open[i]);
        (void)buf_add_char(&text, '\0');
        LOADED(keyed, text.p);
        CHECK_OK(keyed.err);
    }
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        (void)buf_addf(&text, "listen: %s\n" SIM, closed[i]);
        (void)buf_add_char(&text, '\0');
        LOADED(l, text.p);
        test_context("%s", closed[i]);
        CHECK_OK(l.err);
    }
}

TEST(config_keys_are_unique_well_formed_and_meaningful)
{
    check_error(SIM "anonymous: true\nkeys: [{name: a, hash: " HASH_A "}]\n",
                "-:2:12: error: \"anonymous\" and \"keys\" contradict each other: with keys, everybody needs one\n");
    check_error(SIM "keys:\n  - {name: a, hash: " HASH_A "}\n  - {name: a, hash: " HASH_B "}\n",
                "-:4:12: error: the same name is already at -:3:12\n");
    check_error(SIM "keys:\n  - {name: a, hash: " HASH_A "}\n  - {name: b, hash: " HASH_A "}\n",
                "-:4:21: error: the key of \"a\" has the same hash\n");
    check_error(SIM "keys:\n  - {name: a, hash: sha256:abc}\n",
                "-:3:21: error: \"hash\" must be \"sha256:\" and 64 hex digits, the hash of the key (printf %s "
                "\"$KEY\" | sha256sum), "
                "not what is given (not shown, it may be secret)\n");
    check_error(SIM "keys:\n  - {hash: " HASH_A "}\n", "-:3:5: error: \"name\" is missing\n");
    check_error(SIM "keys: [{name: a, hash: " HASH_A ", models: []}]\n",
                "-:2:107: error: \"models\" needs at least 1\n");
    check_error(SIM "keys: [{name: a, hash: " HASH_A ", models: [\"a*b\"]}]\n",
                "-:2:108: error: \"*\" may stand at the end only\n");
}

TEST(config_warns_of_key_patterns_that_match_nothing)
{
    static const char head[] = "providers:\n  all: {simulate: true, serves: \"*\"}\n  few: {simulate: true, serves: "
                               "[m1, org/m2]}\n  off: {simulate: true}\n"
                               "models: {chat: {targets: all/x}, chat-big: {targets: all/y}}\n";
    static const struct {
        const char *pattern;
        bool matches;
    } cases[] = {{"chat", true},    {"chat*", true},  {"chat-*", true},  {"*", true},      {"cha", false},
                 {"chats*", false}, {"all/*", true},  {"all/any", true}, {"all/a*", true}, {"al*", true},
                 {"few/m1", true},  {"few/m*", true}, {"few/m3", false}, {"few/*", true},  {"few/org/*", true},
                 {"off/*", false},  {"off/x", false}, {"all/", false},   {"zzz*", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        (void)buf_addf(&text, "%skeys: [{name: a, hash: " HASH_A ", models: [\"%s\"]}]\n", head, cases[i].pattern);
        (void)buf_add_char(&text, '\0');
        LOADED(l, text.p);
        test_context("%s", cases[i].pattern);
        CHECK_OK(l.err);
        CHECK_EQ(l.problems.count, cases[i].matches ? 0 : 1);
    }
}

TEST(config_other_paths_go_to_the_first_real_openai_provider)
{
    LOADED(l, "providers: {sim: {simulate: true}, first: {api_key: k}, second: {api_key: k}}");
    CHECK_STR(l.c->pass_through->name, "first");
    LOADED(only, SIM);
    CHECK_STR(only.c->pass_through->name, "sim");
    LOADED(none, SIM "pass_through: none\n");
    CHECK(none.c->pass_through == NULL);
    check_error(SIM "pass_through: sin\n", "-:2:15: error: unknown provider \"sin\", did you mean \"sim\"?\n");
}

/* ---- connections ---- */

TEST(config_providers_share_connections_only_if_everything_is_equal)
{
    LOADED(
        l,
        "providers:\n  a: {api_key: k1, base_url: \"https://h/v1\"}\n  b: {api_key: k2, base_url: "
        "\"https://H:443/other\"}\n"
        "  port: {api_key: k, base_url: \"https://h:444/v1\"}\n  plain: {api_key: k, base_url: \"http://h:443/v1\"}\n"
        "  proxied: {api_key: k, base_url: \"https://h/v1\", proxy: \"http://secret-proxy:1\"}\n"
        "  proxied2: {api_key: k, base_url: \"https://h/v1\", proxy: \"http://secret-proxy:2\"}\n"
        "  ca: {api_key: k, base_url: \"https://h/v1\", tls: {ca: /abs/cert.pem}}\n"
        "  cert: {api_key: k, base_url: \"https://h/v1\", tls: {cert: /abs/cert.pem, key: /abs/key.pem}}\n"
        "  any: {api_key: k, base_url: \"https://h/v1\", tls: {insecure_skip_verify: true}}\n"
        "  v6: {api_key: k, base_url: \"https://[::1]/v1\"}\n  unix: {api_key: k, base_url: \"unix:/h\"}\n  sim: "
        "{simulate: true}\n");

    CHECK_OK(l.err);
    CHECK(str_eq(l.c->providers[0].pool_key, l.c->providers[1].pool_key));
    for (size_t i = 1; i < l.c->provider_count; i++)
        for (size_t k = i + 1; k < l.c->provider_count; k++)
            CHECK(!str_eq(l.c->providers[i].pool_key, l.c->providers[k].pool_key));
    CHECK(str_starts(l.c->providers[9].pool_key, STR("https://[::1]:443#")));
    CHECK_EQ(str_find(l.c->providers[4].pool_key, STR("secret-proxy")), l.c->providers[4].pool_key.n);
}

/* ---- files and folders ---- */

TEST(config_folders_are_merged_in_name_order)
{
    LOADED_PATH(l, "/etc/d");
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->model_count, 2);
    CHECK_STR(l.c->models[0].name, "one");
    CHECK_EQ(l.c->key_count, 2);
    CHECK_STR(l.c->keys[1].name, "k2");
    CHECK_STR(secret_reveal(&l.c->providers[0].keys[0].secret), "tok-d");
    CHECK_STR(l.c->path, "/etc/d");
}

TEST(config_folders_take_fields_without_a_value_as_absent)
{
    LOADED_PATH(l, "/etc/g");
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->workers, 3);
    CHECK_STR(l.c->listens[0].text, "127.0.0.1:7");
    CHECK_EQ(l.c->model_count, 1);
}

TEST(config_folders_say_both_places_of_what_is_there_twice)
{
    LOADED_PATH(l, "/etc/e");
    CHECK_STR(buf_str(&l.report), "/etc/e/b.yaml:2:1: error: \"listen\" is already at /etc/e/a.yaml:1:1\n"
                                  "/etc/e/b.yaml:3:13: error: \"p\" is already at /etc/e/a.yaml:2:13\n");
    LOADED_PATH(none, "/etc/f");
    CHECK_STR(buf_str(&none.report), "/etc/f: error: there is no *.yaml in this folder\n");
}

TEST(config_revisions_grow_and_digests_follow_the_text)
{
    LOADED(a, SIM);
    LOADED(b, SIM);
    LOADED(c, SIM "\n");

    CHECK_LT(a.c->revision, b.c->revision);
    CHECK_LT(b.c->revision, c.c->revision);
    CHECK_STR(str_from_c(a.c->digest), b.c->digest);
    CHECK(strcmp(a.c->digest, c.c->digest) != 0);
}

/* Large enough for a quadratic step to be felt. */
TEST(config_reads_thousands_of_models_and_keys)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(64 << 20);

    (void)buf_add_lit(&text, "providers:\n  p: {api_key: k, serves: \"*\"}\nmodels:\n");
    for (unsigned i = 0; i < 5000; i++)
        (void)buf_addf(&text, "  model-%u: {targets: [p/m%u], fallbacks: [p/f%u]}\n", i, i, i % 100);
    (void)buf_add_lit(&text, "keys:\n");
    for (unsigned i = 0; i < 30000; i++)
        (void)buf_addf(&text, "  - {name: k%u, hash: \"sha256:%064x\", models: [model-%u, model-9*]}\n", i, i + 1,
                       i % 5000);
    struct loaded l CLEANUP(loaded_release);
    load(&l, "-", buf_str(&text), &test_env);
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->model_count, 5000);
    CHECK_EQ(l.c->deployment_count, 5101);
    CHECK_EQ(l.c->key_count, 30000);
    unsigned char hash[32] = {[30] = 0x30, [31] = 0x39}; /* 12345 */
    CHECK(catalog_find_key(l.c, hash) == &l.c->keys[12344]);
}

/* ---- examples and documentation ---- */

static char *read_tree(const char *path, struct buf *to)
{
    char name[1024], piece[4096];
    size_t n;

    (void)snprintf(name, sizeof name, "%s/%s", test_root(), path);
    FILE *f = fopen(name, "rb");
    if (!f)
        return NULL;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        (void)buf_add(to, str_of(piece, n));
    (void)fclose(f);
    (void)buf_add_char(to, '\0');
    return to->p;
}

static const char *all_set(const char *name)
{
    bool is_place = strstr(name, "BASE_URL") || strstr(name, "ENDPOINT");

    return is_place ? "http://127.0.0.1:11434/v1" : "some-value";
}

static const char *none_set(const char *name)
{
    (void)name;
    return NULL;
}

static err_t any_pem(const char *path, size_t max, struct buf *ret)
{
    (void)path;
    (void)max;
    return buf_add(ret, STR("-----BEGIN SOMETHING-----\n"));
}

/* Where every variable is set and every file is there. */
static const struct config_env documented = {.getenv = all_set, .read_file = any_pem};

TEST(config_quickstart_example_serves_a_demo_without_any_account)
{
    static const struct config_env bare = {.getenv = none_set, .read_file = test_read},
                                   rich = {.getenv = all_set, .read_file = test_read};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct loaded l CLEANUP(loaded_release) = {0}, all CLEANUP(loaded_release) = {0};
    struct str model;

    CHECK(read_tree("examples/quickstart.yaml", &text) != NULL);
    load(&l, "-", str_from_c(text.p), &bare);
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->provider_count, 1);
    CHECK(catalog_find_model(l.c, STR("demo"))->targets[0].deployment->provider->simulated);
    CHECK(l.c->pass_through->simulated);
    load(&all, "-", str_from_c(text.p), &rich);
    CHECK_STR(buf_str(&all.report), "");
    CHECK_GE(all.c->provider_count, 20);
    CHECK(catalog_find_served(all.c, STR("openrouter/openai/gpt-4o"), &model) != NULL);
    CHECK_STR(model, "openai/gpt-4o");
    CHECK_STR(all.c->pass_through->name, "openai");
    for (size_t i = 0; i < all.c->provider_count; i++)
        CHECK(all.c->providers[i].serves_all);
    for (size_t i = 0; i < vendor_count; i++) /* whoever has a usual variable joins by it */
        CHECK_MSG(!vendor_table[i].key_env || strstr(text.p, vendor_table[i].key_env), "%s", vendor_table[i].name);
}

TEST(config_gateway_example_is_valid)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct loaded l CLEANUP(loaded_release) = {0};

    CHECK(read_tree("examples/gateway.yaml", &text) != NULL);
    load(&l, "-", str_from_c(text.p), &documented);
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->key_count, 2);
    CHECK(api_key_allows(&l.c->keys[1], STR("openai/gpt-4o")));
    CHECK(!api_key_allows(&l.c->keys[0], STR("openai/gpt-4o")));
}

TEST(config_self_hosted_example_is_valid_with_and_without_servers)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK(read_tree("examples/self-hosted.yaml", &text) != NULL);
    struct loaded l CLEANUP(loaded_release);
    load(&l, "-", str_from_c(text.p), &test_env);
    CHECK_OK(l.err);
    CHECK_EQ(l.c->provider_count, 2); /* the simulated ones */
    CHECK(l.c->providers[0].health.metrics.n && l.c->providers[1].health.is_on);
    CHECK_EQ(l.c->models[0].target_count, 2);
    struct loaded all CLEANUP(loaded_release);
    load(&all, "-", str_from_c(text.p), &documented);
    CHECK_OK(all.err);
    CHECK_EQ(all.c->provider_count, 5);
    CHECK_STR(str_from_c(all.c->models[0].rules.strategy->name), "least-busy");
}

TEST(config_credentials_example_is_valid)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct loaded l CLEANUP(loaded_release) = {0};

    CHECK(read_tree("examples/credentials.yaml", &text) != NULL);
    load(&l, "-", str_from_c(text.p), &test_env);
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->providers[0].key_count, 3);
    CHECK_STR(secret_reveal(&l.c->providers[0].keys[2].secret), "sk-simulated-old"); /* that its scenario revokes */
    CHECK_EQ(l.c->providers[0].keys[0].weight, 2);
}

TEST(config_reference_in_the_documentation_is_that_of_the_tables)
{
    static const char begin[] = "<!-- begin generated: crossdock schema --markdown -->\n",
                      end[] = "<!-- end generated -->\n";
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20), want CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK(read_tree("docs/configuration.md", &text) != NULL);
    const char *from = strstr(text.p, begin), *to = strstr(text.p, end);
    CHECK(from != NULL && to != NULL && from < to);
    CHECK_OK(config_reference(&want));
    from += strlen(begin);
    CHECK_MSG(str_eq(str_of(from, (size_t)(to - from)), buf_str(&want)),
              "docs/configuration.md is out of date: make reference");
}

/* The next block of YAML in a document from `*at` on, which is then behind it. Each is a whole configuration. */
static bool next_example(const char **at, struct str *ret)
{
    static const char begin[] = "```yaml\n";
    const char *from = strstr(*at, begin), *end = from ? strstr(from + strlen(begin), "```") : NULL;

    if (!end)
        return false;
    from += strlen(begin);
    *ret = str_of(from, (size_t)(end - from));
    *at = end + 3;
    return true;
}

static void check_examples(const char *document)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str example;
    unsigned count = 0;

    const char *at = read_tree(document, &text);
    CHECK(at != NULL);
    while (next_example(&at, &example)) {
        struct loaded l CLEANUP(loaded_release);
        load(&l, "-", example, &documented);
        test_context("example %u: %.*s", ++count, STR_ARG(buf_str(&l.report)));
        CHECK_OK(l.err);
    }
    CHECK_GE(count, 3);
}

TEST(config_examples_in_the_documentation_are_valid)
{
    check_examples("docs/configuration.md");
    check_examples("docs/routing.md");
}

TEST(config_routing_example_is_valid)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct loaded l CLEANUP(loaded_release) = {0};

    CHECK(read_tree("examples/routing-conditions.yaml", &text) != NULL);
    load(&l, "-", str_from_c(text.p), &documented);
    CHECK_STR(buf_str(&l.report), "");
    CHECK_EQ(l.c->rule_count, 4);
}

/* ---- the journal's database ---- */

TEST(config_journal_in_a_database_has_a_login_and_certificates)
{
    LOADED(l, "providers: {p: {simulate: true}}\n"
              "journal:\n"
              "  path: postgres://db/crossdock\n"
              "  username: dock\n"
              "  password: \"file:/etc/x/token\"\n"
              "  ca: /etc/x/pem/ca.pem\n"
              "  cert: \"file:/abs/cert.pem\"\n"
              "  key: /abs/key.pem\n");

    CHECK_STR(buf_str(&l.report), "");
    CHECK_STR(l.c->journal.path, "postgres://db/crossdock");
    CHECK_STR(l.c->journal.username, "dock");
    CHECK_STR(secret_reveal(&l.c->journal.password), "tok-from-file");
    CHECK_STR(l.c->journal.ca, "/etc/x/pem/ca.pem");
    CHECK_STR(l.c->journal.cert, "/abs/cert.pem");
    CHECK_STR(l.c->journal.key, "/abs/key.pem");
}

TEST(config_journal_says_which_settings_do_not_fit)
{
    check_error("providers: {p: {simulate: true}}\njournal: {path: j.db, password: x}\n",
                "-:2:33: error: this is for a journal in a database: \"path\" is postgres://host/database "
                "then\n");
    check_error("providers: {p: {simulate: true}}\njournal: {path: postgres://h/d, key: /abs/key.pem}\n",
                "-:2:38: error: \"cert\" and \"key\" go together\n");
}

/* Loads one of the examples, which needs nothing from outside and gives nothing to complain about. */
static void load_example(struct loaded *l, const char *path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    test_context("%s", path);
    CHECK(read_tree(path, &text) != NULL);
    load(l, "-", str_from_c(text.p), &documented);
    CHECK_STR(buf_str(&l->report), "");
    CHECK_OK(l->err);
}

TEST(config_every_strategy_has_an_example_that_is_valid)
{
    for (size_t i = 0; i < strategy_catalog_count; i++) {
        struct loaded l CLEANUP(loaded_release) = {0};
        char path[256];
        (void)snprintf(path, sizeof path, "examples/strategies/%s.yaml", strategy_catalog[i]->name);
        load_example(&l, path);
        for (size_t k = 0; k < l.c->model_count; k++) {
            CHECK(l.c->models[k].rules.strategy == strategy_catalog[i]);
            CHECK_GE(l.c->models[k].target_count, 2);
        }
        CHECK_GE(l.c->model_count, 1);
        for (size_t k = 0; k < l.c->provider_count; k++)
            CHECK(l.c->providers[k].simulated);
    }
}

TEST(config_examples_of_surviving_are_valid)
{
    struct loaded causes CLEANUP(loaded_release) = {0}, hedging CLEANUP(loaded_release) = {0},
                         streams CLEANUP(loaded_release) = {0};

    load_example(&causes, "examples/fallbacks-by-cause.yaml");
    for (size_t k = FALLBACK_ANY; k < FALLBACK_BUDGET; k++)
        CHECK_EQ(causes.c->models[0].fallbacks[k].count, 1);
    load_example(&hedging, "examples/hedging.yaml");
    CHECK_EQ(hedging.c->models[0].rules.hedge.requests, 100); /* per 1,000 */
    load_example(&streams, "examples/stream-failover.yaml");
    CHECK(streams.c->models[0].stream_failover && !streams.c->models[1].stream_failover);
}

TEST(config_example_of_prices_is_valid)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str example;

    const char *at = read_tree("docs/prices.md", &text);
    CHECK(at != NULL && next_example(&at, &example));
    struct loaded l CLEANUP(loaded_release);
    load(&l, "-", example, &documented);
    CHECK_STR(buf_str(&l.report), "");
    CHECK_OK(l.err);
    for (size_t i = 0; i < l.c->deployment_count; i++)
        CHECK_MSG(l.c->deployments[i].price != NULL || str_ends(l.c->deployments[i].name, STR("/*")), "%.*s",
                  STR_ARG(l.c->deployments[i].name));
}

/* The examples of a vendor's page pass without a word, and show it. */
static void check_page(const struct vendor *v)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str example;
    unsigned shown = 0;
    char path[256];

    (void)snprintf(path, sizeof path, "docs/providers/%s.md", v->name);
    test_context("%s", path);
    const char *at = read_tree(path, &text);
    CHECK_MSG(at != NULL, "no such page");
    CHECK_MSG(!v->key_env || strstr(at, v->key_env), "it does not name %s", v->key_env);
    CHECK_MSG(!v->base_url || strstr(at, v->base_url), "it does not say %s", v->base_url);
    while (next_example(&at, &example)) {
        struct loaded l CLEANUP(loaded_release);
        load(&l, "-", example, &documented);
        CHECK_STR(buf_str(&l.report), "");
        CHECK_OK(l.err);
        for (size_t i = 0; i < l.c->provider_count; i++)
            shown += l.c->providers[i].vendor == v;
    }
    CHECK_MSG(shown > 0, "no example has a provider with dialect: %s", v->name);
}

/* Where the simulator serves what a vendor speaks (docs/simulator.md). */
TEST(config_simulated_vendors_are_at_their_surfaces)
{
    static const struct entry places[] = {{"openai", "/v1"},
                                          {"custom", "/v1"},
                                          {"anthropic", "/anthropic/v1"},
                                          {"anthropic-bedrock", "/bedrock"},
                                          {"anthropic-vertex", "/vertex/v1/projects/simulated/locations/global"},
                                          {"azure", "/azure/openai/v1"},
                                          {"azure-deployments", "/azure/openai"},
                                          {"gemini", "/gemini/v1beta"},
                                          {"groq", "/groq/v1"},
                                          {"jina", "/vllm/v1"},
                                          {"ollama", "/ollama"}};

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "providers: {p: {simulate: true, dialect: %s}}", places[i].name);
        LOADED(l, text);
        test_context("%s", places[i].name);
        CHECK_OK(l.err);
        CHECK_STR(l.c->providers[0].base_path, places[i].value);
        bool is_google = strstr(places[i].value, "/vertex/"); /* whose surface demands a token */
        CHECK_EQ(l.c->providers[0].keys[0].secret.n_ > 0, is_google);
    }
}

TEST(config_every_vendor_has_a_page_with_an_example_that_is_valid)
{
    for (size_t i = 0; i < vendor_count && !test_failed(); i++)
        check_page(&vendor_table[i]);
}

/* A provider could be configured that nothing can speak to. */
TEST(config_every_vendor_speaks_dialects_that_exist)
{
    for (size_t i = 0; i < vendor_count; i++) {
        const struct vendor *v = &vendor_table[i];
        CHECK_MSG(dialect_find(str_from_c(v->dialect)), "%s speaks %s", v->name, v->dialect);
        for (const char *const *also = v->also; also && *also; also++)
            CHECK_MSG(dialect_find(str_from_c(*also)), "%s also speaks %s", v->name, *also);
    }
}

/* As docs/providers/README.md has it. */
static void add_vendor_row(const struct vendor *v, struct buf *to)
{
    static const char *const names[] = {"anthropic", "bedrock", "cohere",    "completions", "gemini", "ollama",
                                        "openai",    "rerank",  "responses", "tei",         "tgi"};
    bool any = false;

    (void)buf_addf(to, "| [%s](%s.md) | %s | %s%s%s | %s%s%s |", v->name, v->name, v->title, v->base_url ? "`" : "",
                   v->base_url ? v->base_url : "–", v->base_url ? "`" : "", v->key_env ? "`" : "",
                   v->key_env ? v->key_env : "–", v->key_env ? "`" : "");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!vendor_speaks(v, &(struct dialect){.name = names[i]}))
            continue;
        (void)buf_addf(to, "%s%s", any ? ", " : " ", names[i]);
        any = true;
    }
    (void)buf_addf(to, "%s |\n", any ? "" : " –");
}

TEST(config_the_index_of_vendors_is_that_of_the_table)
{
    static const char begin[] = "<!-- begin generated: vendors -->\n", end[] = "<!-- end generated -->\n";
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20), want CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK(read_tree("docs/providers/README.md", &text) != NULL);
    const char *from = strstr(text.p, begin), *to = strstr(text.p, end);
    CHECK(from != NULL && to != NULL && from < to);
    (void)buf_add_lit(&want, "| `dialect:` | | base URL | usual variable of the key | bytes pass through from |\n"
                             "|---|---|---|---|---|\n");
    for (size_t i = 0; i < vendor_count; i++)
        add_vendor_row(&vendor_table[i], &want);
    from += strlen(begin);
    CHECK_MSG(str_eq(str_of(from, (size_t)(to - from)), buf_str(&want)),
              "docs/providers/README.md is out of date; between its markers belongs\n%.*s", STR_ARG(buf_str(&want)));
}

TEST(config_real_world_reads_files_through_the_disk_seam)
{
    const struct config_env *env = config_env_real();
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20), small CLEANUP(buf_release) = BUF_INIT(100);
    struct buf names CLEANUP(buf_release) = BUF_INIT(4 << 20);
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/examples/quickstart.yaml", test_root());
    CHECK_OK(env->read_file(path, 1 << 20, &text));
    CHECK(str_find(buf_str(&text), STR("demo:")) < text.n);
    CHECK_ERR(env->read_file(path, 100, &small), E_TOO_LARGE);
    CHECK_ERR(env->list_folder(path, &names), E_UNSUPPORTED);
    (void)snprintf(path, sizeof path, "%s/examples", test_root());
    CHECK_OK(env->list_folder(path, &names));
    CHECK(memmem(names.p, names.n, "gateway.yaml", 13) != NULL);
    CHECK_ERR(env->read_file("/nowhere/at/all", 100, &small), E_NOT_FOUND);
    CHECK(env->getenv("CROSSDOCK_NO_SUCH_VARIABLE") == NULL);
}
