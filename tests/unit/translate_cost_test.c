/* translate_cost_test.c - how much memory a translation takes, so that it does not creep up unnoticed. */
#include "base/mem.h"
#include "llm/dialect.h"
#include "llm/vendor.h"
#include "test.h"

enum { ROOM = 1 << 24 };

static unsigned growths; /* of bufs, and memory whose size the client chose */

static bool count_growth(void)
{
    growths++;
    return false;
}

struct cost {
    struct arena arena;
    struct buf out;
};

static void cost_begin(struct cost *c)
{
    arena_init(&c->arena, ROOM);
    buf_init(&c->out, ROOM);
}

static void cost_end(struct cost *c)
{
    mem_limit_hook = NULL;
    arena_release(&c->arena);
    buf_release(&c->out);
}

static void translate(struct cost *c, struct str body)
{
    struct losses losses;
    struct translation t = {.arena = &c->arena,
                            .client = dialect_find(STR("openai")),
                            .provider = dialect_find(STR("anthropic")),
                            .vendor = vendor_find(STR("anthropic")),
                            .model = STR("claude"),
                            .default_max_output = 4096,
                            .losses = &losses};
    struct chat_request q = {.dialect = t.client};
    struct provider_call call = {.body = &c->out};
    struct str param;

    t.row = t.client->client.endpoints;
    arena_clear(&c->arena);
    buf_clear(&c->out);
    losses_init(&losses, &c->arena);
    CHECK_OK(json_tree_parse(&c->arena, body, &q.document));
    CHECK_OK(t.client->client.read_chat(&t, q.document, &q, &param));
    CHECK_OK(t.provider->provider.write_chat(&t, &q, &call));
    CHECK_OK(buf_status(&c->out));
}

TEST(translation_of_a_small_request_takes_few_blocks_and_grows_nothing_when_warm)
{
    static const struct str body = STR_INIT("{\"model\":\"chat\",\"temperature\":0.7,\"max_tokens\":500,\"stop\":["
                                            "\"END\"],\"messages\":[{\"role\":\"system\",\"content\":"
                                            "\"Be "
                                            "brief.\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
                                            "\"hi\"}]},{\"role\":\"assistant\",\"content\":"
                                            "\"Hello.\"},{\"role\":\"user\",\"content\":\"And now?\\n\"}]}");
    struct cost c CLEANUP(cost_end);

    cost_begin(&c);
    translate(&c, body);
    mem_limit_hook = count_growth;
    growths = 0;
    translate(&c, body);
    CHECK_LE(growths, 1);              /* the cells of the document */
    CHECK_LE(c.arena.used, 20 * 1024); /* two blocks: 6 KiB, which is kept, and 12 KiB */
}

TEST(translation_takes_memory_in_proportion_to_the_conversation)
{
    enum { TURNS = 4000 };
    struct cost c CLEANUP(cost_end);
    struct buf body CLEANUP(buf_release) = BUF_INIT(ROOM);

    cost_begin(&c);
    (void)buf_addf(&body, "{\"model\":\"chat\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}");
    for (int i = 0; i < TURNS; i++)
        (void)buf_addf(&body, ",{\"role\":\"%s\",\"content\":\"hi\"}", i % 2 ? "user" : "assistant");
    (void)buf_addf(&body, "]}");
    translate(&c, buf_str(&body));
    CHECK_LE(c.arena.used / TURNS, 2048); /* two turns and two blocks: what was read, and what was arranged */
}
