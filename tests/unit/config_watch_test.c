/* config_watch_test.c - which changes of a configuration's files are seen, on a simulated disk. */
#include "fleet/config_watch.h"

#include "fleet/config.h"
#include "in_loop.h"

#include <stdio.h>

static const struct disk_ops *disk(void)
{
    return loop_seams()->disk;
}

static void put(const char *path, const char *text)
{
    int h = disk()->open(loop_seams()->ctx, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE);

    CHECK_GE(h, 0);
    CHECK_EQ(disk()->pwrite(loop_seams()->ctx, h, text, strlen(text), 0), (ssize_t)strlen(text));
    disk()->close(loop_seams()->ctx, h);
}

static void pass_time(void)
{
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
}

/* What the configuration at `path` is made of; it need not be right. */
static struct config_watch *watch_load(const char *path)
{
    struct config_watch *w = config_watch_new();
    struct config_env env = *config_env_real();
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct catalog *c = NULL;

    env.on_path = config_watch_note;
    env.on_path_ctx = w;
    (void)!config_load(path, STR_NONE, &env, &problems, &c);
    catalog_unref(c);
    return w;
}

/* Does the watch of `path` see that `change` was written to `file`, and nothing before? */
static bool is_seen(const char *path, const char *file, const char *change)
{
    struct config_watch *w = watch_load(path);

    pass_time();
    bool before = config_watch_changed(w);
    put(file, change);
    bool seen = config_watch_changed(w);
    config_watch_unref(w);
    return seen && !before;
}

static void files_body(void)
{
    put("/etc/c/a.yaml",
        "providers: { p: { base_url: http://a, api_key: 'file:key' } }\nmodels: { m: { targets: [p/m] } }");
    put("/etc/c/b.yaml", "tls: { cert: tls/cert.pem, key: 'file:tls/key.pem' }");
    put("/etc/c/key", "sk-1");
    put("/etc/c/tls/cert.pem", "no certificate");
    put("/etc/c/other.txt", "x");
    static const char *const seen[] = {"/etc/c/a.yaml", "/etc/c/b.yaml", "/etc/c/key", "/etc/c/tls/cert.pem"};
    char was[1000];

    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1000);
        CHECK_OK(config_env_real()->read_file(seen[i], 1000, &text));
        (void)snprintf(was, sizeof was, "%.*s", STR_ARG(buf_str(&text)));
        test_context("%s", seen[i]);
        CHECK(is_seen("/etc/c", seen[i], was)); /* same bytes, another time */
    }
    test_context("%s", "");
    CHECK(is_seen("/etc/c/a.yaml", "/etc/c/a.yaml", "models: {}"));
    CHECK(!is_seen("/etc/c", "/etc/c/other.txt", "y"));
    CHECK(!is_seen("/etc/c/a.yaml", "/etc/c/b.yaml", "z: 1"));
}

TEST(config_watch_sees_edits_in_place_of_every_file_that_was_read_and_no_other)
{
    in_sim(files_body);
}

static void replaced_body(void)
{
    void *ctx = loop_seams()->ctx;

    put("/c.yaml", "models: {}");
    put("/new", "models: {}"); /* the same size and the same instant, another file */
    struct config_watch *w = watch_load("/c.yaml");
    CHECK_EQ(disk()->rename(ctx, "/new", "/c.yaml"), 0);
    CHECK(config_watch_changed(w));
    config_watch_unref(w);

    w = watch_load("/c.yaml");
    CHECK_EQ(disk()->remove(ctx, "/c.yaml"), 0);
    CHECK(!config_watch_changed(w));
    put("/c.yaml", "models: {}");
    CHECK(config_watch_changed(w));
    config_watch_unref(w);
}

TEST(config_watch_sees_replaced_files_and_waits_for_those_that_are_gone)
{
    in_sim(replaced_body);
}

static void noted_twice_body(void)
{
    struct config_watch *w = config_watch_new();

    put("/a", "x");
    config_watch_note(w, "/a");
    put("/a", "changed while it was read for the first time");
    config_watch_note(w, "/a");
    CHECK(config_watch_changed(w));
    config_watch_unref(w);
}

TEST(config_watch_holds_to_the_first_state_of_a_file_that_is_read_twice)
{
    in_sim(noted_twice_body);
}

static void missing_body(void)
{
    put("/c.yaml", "tls: { cert: cert.pem, key: 'file:key.pem' }");
    put("/key.pem", "x");
    CHECK(is_seen("/c.yaml", "/cert.pem", "y"));
    CHECK(is_seen("/none.yaml", "/none.yaml", ""));
}

TEST(config_watch_sees_files_appear_that_were_missing)
{
    in_sim(missing_body);
}

static void many_body(void)
{
    struct config_watch *w = config_watch_new(), *other = config_watch_ref(w);

    put("/9999", "x");
    put("/10000", "x");
    for (int round = 0; round < 2; round++) /* what is known already takes no room */
        for (int i = 0; i < 10000; i++) {
            char path[20];
            (void)snprintf(path, sizeof path, "/%d", i);
            config_watch_note(w, path);
        }
    config_watch_note(w, "/10000");
    config_watch_unref(other);
    pass_time();
    put("/10000", "y");
    CHECK(!config_watch_changed(w));
    put("/9999", "y");
    CHECK(config_watch_changed(w));
    config_watch_unref(w);
}

TEST(config_watch_is_bounded)
{
    in_sim(many_body);
}
