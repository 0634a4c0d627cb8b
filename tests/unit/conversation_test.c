/* conversation_test.c - what requests of one conversation have in common, and what those of others have not. */
#include "gateway/exchange.h"

#include "test.h"

static uint64_t hash_of(const char *body, enum sticky_by by)
{
    struct http_header header = {STR("x-session"), STR("s-1")};
    struct http_request r = {.head = {.headers = &header, .count = 1}};
    struct route_rules rules = {.sticky = by, .sticky_header = STR("x-session")};
    struct api_key key = {.name = STR("dev")};
    struct exchange x = {
        .r = &r, .rules = &rules, .key = &key, .endpoint.kind = ENDPOINT_OPERATION, .request.doc = str_from_c(body)};

    return conversation_of(&x);
}

static bool is_same(const char *a, const char *b)
{
    uint64_t h = hash_of(a, STICKY_CONVERSATION);

    return h != 0 && h == hash_of(b, STICKY_CONVERSATION);
}

TEST(conversations_are_known_by_how_they_begin_in_every_dialect)
{
    static const char *const forms[][3] = {
        /* how it begins, the same a turn later, another */
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"A\"}]"
         "}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"A\"},"
         "{\"role\":\"assistant\",\"content\":\"x\"},{\"role\":\"user\",\"content\":\"B\"}],\"temperature\":1}",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"C\"}]"
         "}"},
        {"{\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":\"A\"}]}",
         "{\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":\"A\"},{\"role\":\"assistant\",\"content\":"
         "\"x\"}]}",
         "{\"system\":\"T\",\"messages\":[{\"role\":\"user\",\"content\":\"A\"}]}"},
        {"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"A\"}]}]}",
         "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"A\"}]},{\"role\":\"model\",\"parts\":[]}]}",
         "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"B\"}]}]}"},
        {"{\"instructions\":\"S\",\"input\":\"A\"}", "{\"instructions\":\"S\",\"input\":\"A\",\"stream\":true}",
         "{\"instructions\":\"S\",\"input\":\"B\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        CHECK_MSG(is_same(forms[i][0], forms[i][1]), "form %zu: a turn later", i);
        CHECK_MSG(!is_same(forms[i][0], forms[i][2]), "form %zu: another", i);
    }
    CHECK_EQ(hash_of("{\"model\":\"m\"}", STICKY_CONVERSATION), 0);
}

TEST(conversations_with_long_instructions_differ_by_their_first_turn)
{
    struct buf a CLEANUP(buf_release) = BUF_INIT(1 << 20), b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct buf *both[] = {&a, &b};

    for (size_t i = 0; i < 2; i++) {
        (void)buf_add_lit(both[i], "{\"messages\":[{\"role\":\"system\",\"content\":\"");
        for (size_t n = 0; n < 20000; n++)
            (void)buf_add_lit(both[i], "words ");
        (void)buf_addf(both[i], "\"},{\"role\":\"user\",\"content\":\"%zu\"}]}%c", i, 0);
    }
    CHECK(!is_same(a.p, b.p));
    CHECK(is_same(a.p, a.p));
}

TEST(conversations_by_user_and_header)
{
    uint64_t named = hash_of("{\"user\":\"ann\"}", STICKY_USER);

    CHECK(named == hash_of("{\"x\":1,\"user\":\"ann\"}", STICKY_USER));
    CHECK(named != hash_of("{\"user\":\"bob\"}", STICKY_USER));
    CHECK(hash_of("{\"metadata\":{\"user_id\":\"ann\"}}", STICKY_USER) == named);
    CHECK(hash_of("{}", STICKY_USER) != 0 && hash_of("{}", STICKY_USER) != named); /* the key's */
    CHECK(hash_of("{}", STICKY_HEADER) != 0 &&
          hash_of("{}", STICKY_HEADER) == hash_of("{\"user\":\"b\"}", STICKY_HEADER));
}
