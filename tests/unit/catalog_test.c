/* catalog_test.c - look-ups in a catalog, and that references end where they should. */
#include "fleet/catalog.h"

#include "codec/digest.h"
#include "fleet/config.h"
#include "unit/test.h"

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static err_t no_file(const char *path, size_t max, struct buf *ret)
{
    (void)max;
    (void)ret;
    return fail(E_NOT_FOUND, "%s", path);
}

static const struct config_env env = {.getenv = no_variable, .read_file = no_file};

static const char text[] =
    "providers:\n  all: {simulate: true, serves: \"*\"}\n  few: {simulate: true, serves: [m1, org/m2]}\n  off: "
    "{simulate: true}\n"
    "models:\n  chat: {targets: all/x}\n  chat/large: {targets: all/y}\n  gpt-4o: {targets: off/gpt-4o}\n"
    "keys:\n  - {name: any, hash: \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}\n"
    "  - name: some\n    hash: sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\n"
    "    models: [chat, \"few/*\", \"gpt-4*\"]\n";

static struct catalog *make(struct arena *arena)
{
    struct problems problems = {.arena = arena};
    struct catalog *c = NULL;
    err_t e = config_load("-", str_from_c(text), &env, &problems, &c);

    return e ? NULL : c;
}

static void release(struct catalog **c)
{
    catalog_unref(*c);
}

#define CATALOG(c)                                                                                                     \
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};                                                     \
    struct catalog *c CLEANUP(release) = make(&arena);                                                                 \
    CHECK(c != NULL)

TEST(catalog_finds_models_by_exact_name)
{
    CATALOG(c);
    CHECK(catalog_find_model(c, STR("chat")) == &c->models[0]);
    CHECK(catalog_find_model(c, STR("chat/large")) == &c->models[1]);
    CHECK(catalog_find_model(c, STR("Chat")) == NULL);
    CHECK(catalog_find_model(c, STR("cha")) == NULL);
    CHECK(catalog_find_model(c, STR("")) == NULL);
    CHECK(catalog_find_model(c, STR_NONE) == NULL);
}

TEST(catalog_finds_what_providers_serve_and_the_models_own_name)
{
    CATALOG(c);
    struct str model = STR("untouched");

    CHECK(catalog_find_served(c, STR("all/any/thing"), &model) == &c->providers[0]);
    CHECK_STR(model, "any/thing");
    CHECK(catalog_find_served(c, STR("few/m1"), &model) == &c->providers[1]);
    CHECK_STR(model, "m1");
    CHECK(catalog_find_served(c, STR("few/org/m2"), &model) == &c->providers[1]);
    CHECK_STR(model, "org/m2");
    model = STR("untouched");
    CHECK(catalog_find_served(c, STR("few/m3"), &model) == NULL);
    CHECK(catalog_find_served(c, STR("off/gpt-4o"), &model) == NULL); /* a target, but not served */
    CHECK(catalog_find_served(c, STR("all/"), &model) == NULL);
    CHECK(catalog_find_served(c, STR("all"), &model) == NULL);
    CHECK(catalog_find_served(c, STR("none/x"), &model) == NULL);
    CHECK(catalog_find_served(c, STR(""), &model) == NULL);
    CHECK_STR(model, "untouched");
}

TEST(catalog_finds_keys_by_the_hash_of_what_a_client_sends)
{
    unsigned char hash[SHA256_BYTES];
    CATALOG(c);

    sha256(STR("abc"), hash);
    CHECK(catalog_find_key(c, hash) == &c->keys[0]);
    sha256(STR(""), hash);
    CHECK(catalog_find_key(c, hash) == &c->keys[1]);
    hash[31] ^= 1;
    CHECK(catalog_find_key(c, hash) == NULL);
}

TEST(catalog_keys_allow_their_models_and_no_others)
{
    CATALOG(c);
    const struct api_key *any = &c->keys[0], *some = &c->keys[1];

    CHECK(api_key_allows(any, STR("whatever")));
    CHECK(api_key_allows(some, STR("chat")));
    CHECK(!api_key_allows(some, STR("chat/large")));
    CHECK(!api_key_allows(some, STR("cha")));
    CHECK(api_key_allows(some, STR("few/m1")));
    CHECK(!api_key_allows(some, STR("few")));
    CHECK(api_key_allows(some, STR("gpt-4")));
    CHECK(api_key_allows(some, STR("gpt-4o-mini")));
    CHECK(!api_key_allows(some, STR("")));
}

TEST(catalog_names_the_nearest_model_or_none)
{
    CATALOG(c);
    CHECK_STR(catalog_nearest_model(c, STR("gpt4o")), "gpt-4o");
    CHECK_STR(catalog_nearest_model(c, STR("GPT-4O")), "gpt-4o");
    CHECK_STR(catalog_nearest_model(c, STR("gqt-4x")), "gpt-4o");
    CHECK_STR(catalog_nearest_model(c, STR("caht")), "chat");
    CHECK_STR(catalog_nearest_model(c, STR("chat/larg")), "chat/large");
    CHECK_EQ(catalog_nearest_model(c, STR("something-else")).n, 0);
    CHECK_EQ(catalog_nearest_model(c, STR("")).n, 0);
}

TEST(catalog_indexes_are_positions)
{
    CATALOG(c);
    for (size_t i = 0; i < c->provider_count; i++) {
        CHECK_EQ(c->providers[i].index, i);
        CHECK(map_get(&c->provider_by_name, c->providers[i].name) == &c->providers[i]);
    }
    for (size_t i = 0; i < c->model_count; i++)
        CHECK_EQ(c->models[i].index, i);
    for (size_t i = 0; i < c->key_count; i++)
        CHECK_EQ(c->keys[i].index, i);
    for (size_t i = 0; i < c->deployment_count; i++) {
        CHECK_EQ(c->deployments[i].index, i);
        CHECK(map_get(&c->deployment_by_name, c->deployments[i].name) == &c->deployments[i]);
    }
    CHECK_EQ(c->deployment_count, 6); /* two served, one for all that "all" serves, three targets */
}

TEST(catalog_lives_as_long_as_somebody_refers_to_it)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct catalog *c = make(&arena), *second;

    CHECK(c != NULL);
    second = catalog_ref(c);
    CHECK(second == c);
    catalog_unref(c);
    CHECK(catalog_find_model(second, STR("chat")) != NULL);
    catalog_unref(second);
    catalog_unref(NULL);
}

TEST(catalog_without_keys_may_be_reached_from_this_machine_only)
{
    static const struct {
        const char *at;
        bool anonymous;
        size_t keys;
        err_t want;
    } cases[] = {
        {"127.0.0.1:80", false, 0, OK},     {"[::1]:80", false, 0, OK},      {"unix:/run/x", false, 0, OK},
        {"0.0.0.0:80", false, 0, E_CONFIG}, {"[::]:80", false, 0, E_CONFIG}, {"10.0.0.1:80", false, 0, E_CONFIG},
        {"0.0.0.0:80", true, 0, OK},        {"0.0.0.0:80", false, 1, OK},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog c = {.anonymous = cases[i].anonymous, .key_count = cases[i].keys};
        struct addr at;
        CHECK_OK(addr_parse(str_from_c(cases[i].at), &at));
        CHECK_ERR(catalog_check_exposure(&c, &at), cases[i].want);
    }
}
