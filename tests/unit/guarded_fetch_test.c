/*
 * guarded_fetch_test.c - fetching what a user names, against servers and a resolver that mean harm, in virtual time.
 *
 * One web server plays the whole Internet and the inner network: it listens at every address. Every address that is connected to is
 * written down, so "was refused" means that no packet left.
 */
#include "net/guarded_fetch.h"

#include "net/conn.h"
#include "net/tls_int.h"
#include "unit/net_certs.h"
#include "unit/net_world.h"

#include <errno.h>
#include <stdarg.h>

/* --- a scripted resolver, and a record of connections --- */

enum { MAX_NAMES = 8, MAX_ANSWERS = 4, MAX_TRIES = 16 };

struct name {
    const char *host;
    const char
        *answers[MAX_ANSWERS]; /* "1.2.3.4 5.6.7.8": of the first look-up, of the second, ...; the last one stays */
    unsigned lookups;
};

static struct script {
    const struct net_ops *below;
    struct name names[MAX_NAMES];
    unsigned tries;
    char tried[MAX_TRIES][ADDR_TEXT_MAX];
} script;

static int scripted_resolve(void *ctx, const char *host, struct addr *ret, int max)
{
    (void)ctx;
    for (int i = 0; i < MAX_NAMES && script.names[i].host; i++) {
        struct name *name = &script.names[i];
        if (strcmp(name->host, host) != 0)
            continue;
        struct str rest = str_from_c(name->answers[name->lookups]);
        if (name->lookups + 1 < MAX_ANSWERS && name->answers[name->lookups + 1])
            name->lookups++;
        int n = 0;
        while (rest.p && n < max)
            if (!addr_from_ip(str_cut(&rest, ' '), 0, &ret[n++]))
                die("%s: not an address", host);
        return n;
    }
    return -ENOENT;
}

static int scripted_connect(void *ctx, const struct addr *to)
{
    if (script.tries == MAX_TRIES)
        die("too many connections");
    (void)addr_format(to, script.tried[script.tries++]);
    return script.below->connect(ctx, to);
}

static void run_scripted(void (*body)(struct world *w))
{
    struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = test_seed()});
    struct seams seams = *sim_world_seams(sim);
    struct net_ops net = *seams.net;

    script = (struct script){.below = seams.net, .names = {{"files.test", {"93.184.216.34"}, 0}}};
    net.resolve = scripted_resolve;
    net.connect = scripted_connect;
    seams.net = &net;
    world_run(&seams, body);
    sim_world_free(sim);
}

#define FETCH_TEST(test_name)                                                                                          \
    static void fetch_##test_name(struct world *w);                                                                    \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        run_scripted(fetch_##test_name);                                                                               \
    }                                                                                                                  \
    static void fetch_##test_name(struct world *w)

/* --- the server --- */

#define PICTURE "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 7\r\n\r\npicture"

struct page {
    const char *request; /* what its first line begins with, as "GET /a " */
    const char *answer;
};

struct site {
    struct page pages[8];
    struct buf last; /* request */
};

static void play_site(struct play *p)
{
    struct site *site = p->peer->ctx;

    if (!play_request(p))
        return;
    buf_clear(&site->last);
    (void)buf_add(&site->last, buf_str(&p->request));
    for (const struct page *page = site->pages; page->answer; page++)
        if (!page->request || str_starts(buf_str(&p->request), str_from_c(page->request))) {
            (void)play_send(p, page->answer);
            return;
        }
    (void)play_send(p, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
}

static void site_drop(void *site)
{
    buf_release(&((struct site *)site)->last);
}

/* Starts with no pages: every answer is 404 then. */
static struct site *site_start(struct world *w)
{
    struct site *site = arena_new(&w->arena, struct site);

    buf_init(&site->last, 1 << 20);
    arena_hold(&w->arena, site, site_drop);
    (void)peer_start_at(w, ":80", play_site, site);
    (void)peer_start_at(w, ":443", play_site, site);
    (void)peer_start_at(w, ":8080", play_site, site);
    return site;
}

static struct site *site_with(struct world *w, const char *answer)
{
    struct site *site = site_start(w);

    site->pages[0] = (struct page){NULL, answer};
    return site;
}

/* --- the client --- */

static const struct str images[] = {STR_INIT("image/png"), STR_INIT("image/jpeg")};

static const struct fetch_rules usual = {
    .max_bytes = 1000,
    .time = 5 * NS_SEC,
    .max_redirects = 3,
    .allow_http = true,
    .media_types = images,
    .media_type_count = ARRAY_LEN(images),
};

static err_t fetch(struct world *w, const struct fetch_rules *rules, const char *url, struct fetched *ret)
{
    return guarded_fetch(rules, str_from_c(url), &w->arena, ret);
}

static err_t try_fetch(struct world *w, const struct fetch_rules *rules, const char *url)
{
    struct fetched got;

    return fetch(w, rules, url, &got);
}

/* --- what goes well --- */

FETCH_TEST(fetch_brings_a_picture)
{
    struct site *site = site_with(w, PICTURE);
    struct fetched got;

    CHECK_OK(fetch(w, &usual, "http://Files.TEST./a/b.png?size=2#top", &got));
    CHECK_STR(got.body, "picture");
    CHECK_STR(got.media_type, "image/png");
    CHECK_STR(got.url, "http://Files.TEST./a/b.png?size=2#top");
    CHECK_STR(str_from_c(script.tried[0]), "93.184.216.34:80");
    CHECK_STR(buf_str(&site->last), "GET /a/b.png?size=2 HTTP/1.1\r\nhost: files.test\r\nuser-agent: crossdock\r\n"
                                    "accept: image/png, image/jpeg\r\naccept-encoding: identity\r\n\r\n");
}

FETCH_TEST(fetch_of_a_url_without_a_path_asks_for_the_root)
{
    struct site *site = site_with(w, PICTURE);

    CHECK_OK(try_fetch(w, &usual, "http://files.test"));
    CHECK(str_starts(buf_str(&site->last), STR("GET / HTTP/1.1\r\n")));
    CHECK_OK(try_fetch(w, &usual, "http://files.test?x"));
    CHECK(str_starts(buf_str(&site->last), STR("GET /?x HTTP/1.1\r\n")));
}

FETCH_TEST(fetch_takes_public_addresses_as_hosts)
{
    (void)site_with(w, PICTURE);
    CHECK_OK(try_fetch(w, &usual, "http://1.1.1.1/"));
    CHECK_STR(str_from_c(script.tried[0]), "1.1.1.1:80");
    CHECK_OK(try_fetch(w, &usual, "http://[2606:4700::1111]/"));
    CHECK_STR(str_from_c(script.tried[1]), "[2606:4700::1111]:80");
}

FETCH_TEST(fetch_keeps_content_that_came_in_pieces)
{
    struct fetched got;

    (void)site_with(w, "HTTP/1.1 200 OK\r\ncontent-type: IMAGE/PNG; charset=x\r\ntransfer-encoding: chunked\r\n\r\n"
                       "3\r\npic\r\n4\r\nture\r\n0\r\n\r\n");
    CHECK_OK(fetch(w, &usual, "http://files.test/", &got));
    CHECK_STR(got.body, "picture");
    CHECK_STR(got.media_type, "image/png");
}

FETCH_TEST(fetch_gives_content_that_stays_when_others_follow)
{
    struct site *site = site_with(w, PICTURE);
    struct fetched first, second;

    CHECK_OK(fetch(w, &usual, "http://files.test/", &first));
    site->pages[0].answer = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 7\r\n\r\nANOTHER";
    CHECK_OK(fetch(w, &usual, "http://files.test/", &second));
    CHECK_STR(first.body, "picture");
    CHECK_STR(second.body, "ANOTHER");
}

/* --- URLs that are refused before anything is looked up --- */

static void check_refused(struct world *w, const struct fetch_rules *rules, const char *const *urls, size_t count,
                          err_t want)
{
    for (size_t i = 0; i < count; i++) {
        err_t e = try_fetch(w, rules, urls[i]);
        CHECK_MSG(e == want, "%s: %s, %s", urls[i], err_name(e), err_detail(e));
    }
    CHECK_EQ(script.tries, 0);
}

FETCH_TEST(fetch_refuses_special_addresses_in_the_usual_notation)
{
    static const char *const urls[] = {
        "http://127.0.0.1/",
        "http://127.0.0.1./",
        "http://127.255.255.254/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/",
        "http://169.254.170.2/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://198.18.0.1/",
        "http://203.0.113.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[ff02::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[2001:db8::1]/",
        "http://[::FFFF:A9FE:A9FE]/",
        "http://127.0.0.1:443/",
    };

    (void)site_with(w, PICTURE);
    check_refused(w, &usual, urls, ARRAY_LEN(urls), E_FORBIDDEN);
}

FETCH_TEST(fetch_refuses_addresses_in_other_notations)
{
    static const char *const urls[] = {
        "http://2130706433/",   /* decimal */
        "http://017700000001/", /* octal */
        "http://0x7f000001/",   /* hexadecimal */
        "http://0X7F.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.0x1/",
        "http://1.1.1.1.1/",
        "http://127.0.0.1../",
        "http://256.1.1.1/",
        "http://%31%32%37.0.0.1/", /* coded */
        "http://files%2etest/",
        "http://[fe80::1%25eth0]/", /* zones */
        "http://[fe80::1%eth0]/",
        "http://[::1]x/",
        "http://[127.0.0.1]/",
        "http://\xe2\x91\xa0.1.1.1/", /* circled digit, which some resolvers normalise */
        "http://localhost/",          /* no full name: completed by the resolver, or from /etc/hosts */
        "http://metadata/",
        "http://localhost./",
        "http://./",
        "http://../",
        "http://a..test/",
        "http://.files.test/",
        "http://files.test../",
        "http://files.test%00.example.org/",
        "http://fi;les.test/",
    };

    (void)site_with(w, PICTURE);
    check_refused(w, &usual, urls, ARRAY_LEN(urls), E_PARSE);
}

FETCH_TEST(fetch_refuses_names_that_are_too_long)
{
    struct str label = arena_printf(&w->arena, "http://%064d.test/", 1);
    struct str labels = arena_printf(&w->arena, "http://%063d.%063d.%063d.%063d.test/", 1, 1, 1, 1);
    const char *const urls[] = {label.p, labels.p};

    check_refused(w, &usual, urls, ARRAY_LEN(urls), E_PARSE);
    CHECK_ERR(try_fetch(w, &usual, arena_printf(&w->arena, "http://files.test/%08192d", 1).p), E_TOO_LARGE);
}

FETCH_TEST(fetch_refuses_schemes_ports_and_users)
{
    static const char *const urls[] = {
        "http://files.test/",       "ftp://files.test/",     "file://files.test/etc/passwd",
        "gopher://files.test:443/", "ws://files.test/",      "https://files.test:8080/",
        "https://files.test:80/",   "https://u@files.test/", "https://u:p@files.test/",
        "https://@files.test/",     "https://1.1.1.1:22/",   "https://files.test:444/",
    };
    struct fetch_rules strict = usual;

    strict.allow_http = false;
    (void)site_with(w, PICTURE);
    check_refused(w, &strict, urls, ARRAY_LEN(urls), E_FORBIDDEN);
    CHECK_ERR(try_fetch(w, &usual, "http://files.test:8080/"), E_FORBIDDEN);
    CHECK_EQ(script.tries, 0);
}

FETCH_TEST(fetch_may_be_allowed_other_ports)
{
    struct fetch_rules rules = usual;

    rules.allow_ports = true;
    (void)site_with(w, PICTURE);
    CHECK_OK(try_fetch(w, &rules, "http://files.test:8080/"));
    CHECK_STR(str_from_c(script.tried[0]), "93.184.216.34:8080");
    CHECK_OK(try_fetch(w, &usual, "http://files.test:443/"));
}

FETCH_TEST(fetch_may_be_limited_to_hosts)
{
    static const struct str hosts[] = {STR_INIT("Files.test"), STR_INIT("*.cdn.test"), STR_INIT("1.1.1.1")};
    struct fetch_rules rules = usual;
    static const char *const refused[] = {"http://cdn.test/",     "http://xcdn.test/",
                                          "http://a.files.test/", "http://cdn.test.evil.org/",
                                          "http://1.1.1.2/",      "http://files.test.evil.org/"};

    rules.hosts = hosts;
    rules.host_count = ARRAY_LEN(hosts);
    (void)site_with(w, PICTURE);
    check_refused(w, &rules, refused, ARRAY_LEN(refused), E_FORBIDDEN);
    script.names[1] = (struct name){"a.b.cdn.test", {"93.184.216.35"}, 0};
    CHECK_OK(try_fetch(w, &rules, "http://files.test/"));
    CHECK_OK(try_fetch(w, &rules, "http://FILES.test./"));
    CHECK_OK(try_fetch(w, &rules, "http://a.b.CDN.test/"));
    CHECK_OK(try_fetch(w, &rules, "http://1.1.1.1/"));
}

FETCH_TEST(fetch_may_be_allowed_networks_of_ones_own)
{
    static const struct str networks[] = {STR_INIT("10.1.0.0/16"), STR_INIT("fd00:1::/32")};
    struct fetch_rules rules = usual;

    rules.networks = networks;
    rules.network_count = ARRAY_LEN(networks);
    (void)site_with(w, PICTURE);
    CHECK_OK(try_fetch(w, &rules, "http://10.1.255.1/"));
    CHECK_OK(try_fetch(w, &rules, "http://[fd00:1::5]/"));
    CHECK_OK(try_fetch(w, &rules, "http://files.test/"));
    CHECK_ERR(try_fetch(w, &rules, "http://10.2.0.1/"), E_FORBIDDEN);
    CHECK_ERR(try_fetch(w, &rules, "http://169.254.169.254/"), E_FORBIDDEN);
    CHECK_EQ(script.tries, 3);
}

/* --- names --- */

FETCH_TEST(fetch_connects_to_none_of_a_names_inner_addresses)
{
    (void)site_with(w, PICTURE);
    script.names[0] = (struct name){"files.test", {"10.0.0.1 169.254.169.254 ::1 93.184.216.34 fe80::1 127.0.0.1"}, 0};
    CHECK_OK(try_fetch(w, &usual, "http://files.test/"));
    CHECK_EQ(script.tries, 1);
    CHECK_STR(str_from_c(script.tried[0]), "93.184.216.34:80");
}

FETCH_TEST(fetch_tries_every_public_address_of_a_name_and_no_other)
{
    script.names[0] = (struct name){"files.test", {"93.184.216.34 10.0.0.1 93.184.216.35 ::1 2606:4700::1"}, 0};
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_REFUSED);
    CHECK_EQ(script.tries, 3);
    CHECK_STR(str_from_c(script.tried[0]), "93.184.216.34:80");
    CHECK_STR(str_from_c(script.tried[1]), "[2606:4700::1]:80");
    CHECK_STR(str_from_c(script.tried[2]), "93.184.216.35:80");
}

/* The first answer is public, every later one is not: a second look-up between check and connection would be led inside. */
FETCH_TEST(fetch_is_not_led_inside_by_dns_rebinding)
{
    (void)site_with(w, PICTURE);
    script.names[0] = (struct name){"files.test", {"93.184.216.34", "127.0.0.1"}, 0};
    CHECK_OK(try_fetch(w, &usual, "http://files.test/"));
    CHECK_OK(fiber_sleep_until(ns_add(rt_now(), 7200 * NS_SEC))); /* the answer is forgotten */
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_RESOLVE);
    CHECK_EQ(script.tries, 1);
}

FETCH_TEST(fetch_does_not_tell_which_names_the_inner_network_has)
{
    char inner[ERR_TEXT_MAX];

    script.names[0] = (struct name){"files.test", {"10.0.0.1"}, 0};
    script.names[1] = (struct name){"other.test", {"169.254.169.254 ::1"}, 0};
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/secret?token=1"), E_RESOLVE);
    (void)snprintf(inner, sizeof inner, "%s", err_detail(E_RESOLVE));
    CHECK_ERR(try_fetch(w, &usual, "http://never.test/secret?token=1"), E_RESOLVE);
    CHECK_STR(str_from_c(inner), "files.test: no public address of that name is known");
    CHECK_STR(str_from_c(err_detail(E_RESOLVE)), "never.test: no public address of that name is known");
    CHECK_ERR(try_fetch(w, &usual, "http://other.test/"), E_RESOLVE);
    CHECK_ERR(try_fetch(w, &usual, "http://10.0.0.1/"), E_FORBIDDEN);
    CHECK_STR(str_from_c(err_detail(E_FORBIDDEN)), "10.0.0.1: not a public address");
    CHECK_EQ(script.tries, 0);
}

/* --- redirections --- */

static void site_redirects(struct world *w, struct site *site, const char *location)
{
    site->pages[0] = (struct page){
        "GET /from ",
        arena_printf(&w->arena, "HTTP/1.1 302 Found\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n", location).p};
    site->pages[1] = (struct page){"GET /", PICTURE};
}

FETCH_TEST(fetch_follows_redirections_of_every_kind)
{
    static const int kinds[] = {301, 302, 303, 307, 308};
    struct site *site = site_start(w);
    struct fetched got;

    site->pages[1] = (struct page){"GET /a/to?x ", PICTURE};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *answer =
            arena_printf(&w->arena, "HTTP/1.1 %d X\r\nlocation: to?x\r\ncontent-length: 3\r\n\r\nold", kinds[i]).p;
        site->pages[0] = (struct page){"GET /a/from ", answer};
        CHECK_OK(fetch(w, &usual, "http://files.test/a/from", &got));
        CHECK_STR(got.url, "http://files.test/a/to?x");
        CHECK_STR(got.body, "picture");
    }
    CHECK(str_find(buf_str(&site->last), STR("referer")) == site->last.n);
}

FETCH_TEST(fetch_checks_where_a_redirection_leads)
{
    static const struct {
        const char *location;
        err_t want;
    } cases[] = {
        {"http://169.254.169.254/latest/meta-data/", E_FORBIDDEN},
        {"//127.0.0.1/", E_FORBIDDEN},
        {"http://[::ffff:10.0.0.1]/", E_FORBIDDEN},
        {"http://inner.test/", E_RESOLVE},
        {"http://2130706433/", E_PARSE},
        {"http://files.test:8080/", E_FORBIDDEN},
        {"http://u:p@files.test/", E_FORBIDDEN},
        {"ftp://files.test/", E_FORBIDDEN},
        {"file:///etc/passwd", E_UPSTREAM},
        {"javascript:alert(1)", E_UPSTREAM},
        {"http://a b/", E_UPSTREAM},
    };
    struct site *site = site_start(w);

    script.names[1] = (struct name){"inner.test", {"192.168.0.1"}, 0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        site_redirects(w, site, cases[i].location);
        script.tries = 0;
        err_t e = try_fetch(w, &usual, "http://files.test/from");
        CHECK_MSG(e == cases[i].want, "%s: %s, %s", cases[i].location, err_name(e), err_detail(e));
        CHECK_EQ(script.tries, 1); /* to the server that redirects */
    }
}

FETCH_TEST(fetch_keeps_to_the_list_of_hosts_when_redirected)
{
    static const struct str hosts[] = {STR_INIT("files.test")};
    struct fetch_rules rules = usual;
    struct site *site = site_start(w);

    rules.hosts = hosts;
    rules.host_count = 1;
    site_redirects(w, site, "http://1.1.1.1/");
    CHECK_ERR(try_fetch(w, &rules, "http://files.test/from"), E_FORBIDDEN);
    CHECK(error_says(E_FORBIDDEN, "redirected: 1.1.1.1: not one of the hosts"));
    CHECK_EQ(script.tries, 1);
}

FETCH_TEST(fetch_is_not_led_inside_by_rebinding_between_hops)
{
    struct site *site = site_start(w);

    site_redirects(w, site, "http://other.test/");
    script.names[0] = (struct name){"files.test", {"93.184.216.34"}, 0};
    script.names[1] = (struct name){"other.test", {"10.0.0.1", "93.184.216.34"}, 0};
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/from"), E_RESOLVE);
    CHECK_EQ(script.tries, 1);
}

FETCH_TEST(fetch_ends_loops_of_redirections)
{
    struct fetch_rules none = usual;
    struct site *site = site_start(w);

    none.max_redirects = 0;
    site_redirects(w, site, "/from");
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/from"), E_UPSTREAM);
    CHECK(error_says(E_UPSTREAM, "more than 3 redirections"));
    CHECK_EQ(script.tries, 4);
    CHECK_ERR(try_fetch(w, &none, "http://files.test/from"), E_UPSTREAM);
    CHECK_EQ(script.tries, 5);
}

FETCH_TEST(fetch_refuses_redirections_to_nowhere)
{
    struct site *site = site_with(w, "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n");

    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_UPSTREAM);
    CHECK(error_says(E_UPSTREAM, "to nowhere"));
    site->pages[0].answer = "HTTP/1.1 302 Found\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n";
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_PROTOCOL);
}

/* --- answers --- */

FETCH_TEST(fetch_refuses_answers_that_are_not_what_was_asked_for)
{
    static const struct {
        const char *answer;
        err_t want;
        const char *text;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", E_UPSTREAM, "files.test: it answered with status 404"},
        {"HTTP/1.1 206 Partial\r\ncontent-type: image/png\r\ncontent-length: 1\r\n\r\nx", E_UPSTREAM, "status 206"},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", E_UPSTREAM, "status 304"},
        {"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 1\r\n\r\nx", E_UNSUPPORTED, "type text/html"},
        {"HTTP/1.1 200 OK\r\ncontent-type: image/png2\r\ncontent-length: 1\r\n\r\nx", E_UNSUPPORTED, "type image/png2"},
        {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", E_UNSUPPORTED, "does not say its content-type"},
        {"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-type: text/html\r\ncontent-length: 1\r\n\r\nx",
         E_PROTOCOL, "more than one content-type"},
        {"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
         E_UNSUPPORTED, "compressed"},
        {"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-encoding: identity\r\ncontent-encoding: br\r\n"
         "content-length: 1\r\n\r\nx",
         E_PROTOCOL, "more than one content-encoding"},
        {"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 9\r\n\r\nshort", E_EOF, "files.test:80"},
        {"nonsense\r\n\r\n", E_PROTOCOL, "files.test:80"},
    };
    struct site *site = site_start(w);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        site->pages[0] = (struct page){NULL, cases[i].answer};
        err_t e = try_fetch(w, &usual, "http://files.test/secret");
        CHECK_MSG(e == cases[i].want, "%zu: %s, %s", i, err_name(e), err_detail(e));
        CHECK_MSG(error_says(e, cases[i].text), "%s", err_detail(e));
        CHECK(!error_says(e, "secret"));
    }
    site->pages[0].answer =
        "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-type: image/JPEG\r\ncontent-length: 1\r\n\r\nx";
    CHECK_OK(try_fetch(w, &usual, "http://files.test/"));
}

FETCH_TEST(fetch_accepts_families_of_types_or_any)
{
    static const struct str families[] = {STR_INIT("image/*"), STR_INIT("application/pdf")};
    struct fetch_rules some = usual;
    struct fetch_rules any = usual;
    struct site *site = site_with(w, "HTTP/1.1 200 OK\r\ncontent-type: image/svg+xml\r\ncontent-length: 1\r\n\r\nx");
    struct fetched got;

    any.media_types = NULL;
    any.media_type_count = 0;
    some.media_types = families;
    some.media_type_count = 2;
    CHECK_OK(try_fetch(w, &some, "http://files.test/"));
    site->pages[0].answer = "HTTP/1.1 200 OK\r\ncontent-type: imagex/png\r\ncontent-length: 1\r\n\r\nx";
    CHECK_ERR(try_fetch(w, &some, "http://files.test/"), E_UNSUPPORTED);
    site->pages[0].answer = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
    CHECK_OK(fetch(w, &any, "http://files.test/", &got));
    CHECK_STR(got.media_type, "");
    CHECK(str_find(buf_str(&site->last), STR("\r\naccept: */*\r\n")) < site->last.n);
}

/* --- servers that send too much, or too slowly --- */

static void play_endless(struct play *p)
{
    static const char *const head[] = {
        "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n"};
    bool chunked = p->number % 2 == 0;

    if (!play_request(p) || !play_send(p, head[chunked]))
        return;
    while (play_send(p, chunked ? "5\r\nbytes\r\n" : "bytes"))
        continue;
    p->peer->eofs++;
}

FETCH_TEST(fetch_stops_reading_what_never_ends)
{
    struct peer *peer = peer_start_at(w, ":80", play_endless, NULL);

    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_TOO_LARGE);
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_TOO_LARGE);
    CHECK_OK(fiber_sleep_until(ns_add(rt_now(), NS_SEC)));
    CHECK_EQ(peer->eofs, 2); /* both connections were closed */
}

FETCH_TEST(fetch_has_a_limit_that_is_exact)
{
    struct fetch_rules seven = usual;
    struct fetch_rules six = usual;
    struct site *site = site_with(w, PICTURE);

    seven.max_bytes = 7;
    six.max_bytes = 6;
    CHECK_OK(try_fetch(w, &seven, "http://files.test/"));
    CHECK_ERR(try_fetch(w, &six, "http://files.test/"), E_TOO_LARGE);
    site->pages[0].answer = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\npicture";
    CHECK_OK(try_fetch(w, &seven, "http://files.test/"));
    CHECK_ERR(try_fetch(w, &six, "http://files.test/"), E_TOO_LARGE);
    /* A length that is only announced is refused at once: nothing of it came. */
    site->pages[0].answer = "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 99999999999\r\n\r\n";
    ns_t before = rt_now();
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_TOO_LARGE);
    CHECK_LT(rt_now() - before, NS_SEC);
}

FETCH_TEST(fetch_takes_no_head_that_is_too_large)
{
    struct site *site = site_start(w);

    site->pages[0] = (struct page){NULL, arena_printf(&w->arena, "HTTP/1.1 200 OK\r\nx: %017000d\r\n\r\n", 1).p};
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_PROTOCOL);
}

static void play_trickle(struct play *p)
{
    if (!play_request(p) || !play_send(p, "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 999\r\n\r\n"))
        return;
    while (play_send(p, "x") && fiber_sleep_until(ns_add(rt_now(), NS_SEC)) == OK)
        continue;
}

FETCH_TEST(fetch_leaves_a_server_that_trickles)
{
    (void)peer_start_at(w, ":80", play_trickle, NULL);
    ns_t before = rt_now();
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_DEADLINE);
    CHECK_EQ(rt_now() - before, usual.time);
}

static void play_redirect_late(struct play *p)
{
    if (play_request(p) && fiber_sleep_until(ns_add(rt_now(), 2 * NS_SEC)) == OK)
        (void)play_send(p, "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n");
}

FETCH_TEST(fetch_counts_all_hops_into_one_deadline)
{
    (void)peer_start_at(w, ":80", play_redirect_late, NULL);
    ns_t before = rt_now();
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_DEADLINE);
    CHECK_EQ(rt_now() - before, usual.time);
}

FETCH_TEST(fetch_honours_an_earlier_deadline_of_its_caller)
{
    (void)peer_start_at(w, ":80", play_trickle, NULL);
    ns_t before = rt_now();
    WITHIN(ns_add(before, 2 * NS_SEC));
    CHECK_ERR(try_fetch(w, &usual, "http://files.test/"), E_DEADLINE);
    CHECK_EQ(rt_now() - before, 2 * NS_SEC);
}

/* --- TLS --- */

struct tls_site {
    struct tls_ctx *server, *client;
    const char *answer;
    char sni[64];
};

static void tls_ctx_drop(void *ctx)
{
    tls_ctx_unref(ctx);
}

static int note_name(SSL *ssl, int *alert, void *arg)
{
    struct tls_site *s = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    (void)snprintf(s->sni, sizeof s->sni, "%s", name ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

static struct tls_site *tls_site_new(struct world *w, const char *names)
{
    struct tls_site *s = arena_new(&w->arena, struct tls_site);
    struct cert *authority = cert_make(&w->arena, &(struct cert_options){.name = "Test Authority", .authority = true});
    struct cert *leaf =
        cert_make(&w->arena, &(struct cert_options){.name = "leaf", .alternatives = names, .issuer = authority});

    if (tls_server_ctx(&(struct tls_server_options){.cert_pem = leaf->cert_pem, .key_pem = leaf->key_pem},
                       &s->server) ||
        tls_client_ctx(&(struct tls_client_options){.ca_pem = authority->cert_pem}, &s->client))
        die("%s", err_current()->text);
    (void)SSL_CTX_set_tlsext_servername_callback(s->server->ssl, note_name);
    (void)SSL_CTX_set_tlsext_servername_arg(s->server->ssl, s);
    s->answer = PICTURE;
    arena_hold(&w->arena, s->server, tls_ctx_drop);
    arena_hold(&w->arena, s->client, tls_ctx_drop);
    return s;
}

static void play_https(struct play *p)
{
    struct tls_site *s = p->peer->ctx;
    struct conn c CLEANUP(conn_close) = {.sock = p->sock};
    char *bytes = mem_alloc(4096);
    size_t n;

    p->sock = NULL;
    if (tls_accept(s->server, c.sock, &c.tls) == OK && conn_read(&c, bytes, 4096, &n) == OK) {
        if (conn_write(&c, str_from_c(s->answer)) != OK)
            s->sni[0] = '\0';
    }
    mem_free(bytes);
}

FETCH_TEST(fetch_speaks_tls_with_the_name_and_not_the_address)
{
    struct tls_site *s = tls_site_new(w, "DNS:files.test");
    struct fetch_rules rules = usual;
    struct fetched got;

    rules.allow_http = false;
    rules.tls = s->client;
    (void)peer_start_at(w, ":443", play_https, s);
    CHECK_OK(fetch(w, &rules, "https://FILES.test./a", &got));
    CHECK_STR(got.body, "picture");
    CHECK_STR(str_from_c(s->sni), "files.test");
    CHECK_STR(str_from_c(script.tried[0]), "93.184.216.34:443");
}

FETCH_TEST(fetch_refuses_a_certificate_of_another_name_and_inner_addresses_with_tls)
{
    struct tls_site *s = tls_site_new(w, "DNS:other.test,IP:93.184.216.34");
    struct fetch_rules rules = usual;

    rules.tls = s->client;
    (void)peer_start_at(w, ":443", play_https, s);
    CHECK_ERR(try_fetch(w, &rules, "https://files.test/"), E_TLS);
    CHECK_ERR(try_fetch(w, &rules, "https://127.0.0.1/"), E_FORBIDDEN);
    CHECK_EQ(script.tries, 1);
}

FETCH_TEST(fetch_does_not_fall_back_to_http_when_redirected)
{
    struct fetch_rules rules = usual;
    struct tls_site *s = tls_site_new(w, "DNS:files.test");

    rules.allow_http = false;
    rules.tls = s->client;
    s->answer = "HTTP/1.1 302 Found\r\nlocation: http://files.test/\r\ncontent-length: 0\r\n\r\n";
    (void)peer_start_at(w, ":443", play_https, s);
    CHECK_ERR(try_fetch(w, &rules, "https://files.test/"), E_FORBIDDEN);
    CHECK(error_says(E_FORBIDDEN, "redirected: the URL begins with http://: only https:// is fetched"));
    CHECK_EQ(script.tries, 1);
}
