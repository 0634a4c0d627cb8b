/*
 * vendor_requests_test.c - what the rows of OpenAI's look-alikes make of a request that sets everything, asked of the simulated vendor itself.
 *
 * A vendor that refuses a field, and whose row passes it, fails here.
 */
#include "surface_asks.h"
#include "unit/dialect_world.h"

static const char *const lookalikes[] = {"cerebras", "deepseek", "fireworks",  "groq",   "huggingface",
                                         "llamacpp", "lmstudio", "mistral",    "nvidia", "openrouter",
                                         "sglang",   "together", "perplexity", "vllm",   "xai"};

/* Everything that a request of OpenAI's own may set beside its messages, but for what excludes something else. */
#define SETTINGS                                                                                                       \
    "\"max_completion_tokens\":50,\"temperature\":0.5,\"top_p\":0.9,\"presence_penalty\":0.5,\"frequency_penalty\":0." \
    "5,"                                                                                                               \
    "\"seed\":7,\"logit_bias\":{\"5\":1},\"stop\":[\"END\",\"STOP\",\"X1\",\"X2\",\"X3\"],\"user\":\"u\","             \
    "\"metadata\":{\"a\":\"b\"},\"store\":true,\"service_tier\":\"auto\",\"verbosity\":\"low\","                       \
    "\"prompt_cache_key\":\"k\",\"prompt_cache_retention\":\"24h\",\"modalities\":[\"text\"],"                         \
    "\"parallel_tool_calls\":false,\"logprobs\":true,\"top_logprobs\":2,\"n\":1,\"reasoning_effort\":\"low\""

#define ASKING                                                                                                         \
    "\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"JSON, brief\"},"                              \
    "{\"role\":\"user\",\"name\":\"ann\",\"content\":\"Hi\"}]"
#define WITH_TOOLS                                                                                                     \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\","      \
    "\"properties\":{\"port\":{\"type\":\"string\"}},\"required\":[\"port\"]}}}]"

/* The request in this vendor's words, asked of its look-alike. */
static struct heard ask_vendor(struct world *w, const char *vendor, const char *json, struct str *ret_body) SUSPENDS;
static struct heard ask_vendor(struct world *w, const char *vendor, const char *json, struct str *ret_body)
{
    struct dialect_world d CLEANUP(world_release);
    char target[64];

    world_init(&d, "openai", vendor);
    d.t.model = STR("a/sim");
    *ret_body = arena_str(&w->arena, world_translate(&d, json));
    snprintf(target, sizeof target, "/%s/v1%.*s", vendor, STR_ARG(d.call.path));
    return post(w, target, ret_body->p);
}

SIM_TEST(vendors_take_what_their_rows_say, NULL)
{
    static const char *const asks[] = {
        "{" ASKING "," SETTINGS "}",
        "{" ASKING "," SETTINGS ",\"stream\":true}",
        "{" ASKING "," SETTINGS WITH_TOOLS ",\"tool_choice\":\"auto\"}",
        "{" ASKING ",\"response_format\":{\"type\":\"json_object\"}}",
        "{" ASKING ",\"n\":2}",
    };

    for (size_t i = 0; i < ARRAY_LEN(lookalikes) * ARRAY_LEN(asks); i++) {
        const char *vendor = lookalikes[i / ARRAY_LEN(asks)];
        struct str body;
        struct heard h = ask_vendor(w, vendor, asks[i % ARRAY_LEN(asks)], &body);
        test_context("%s, ask %zu", vendor, i % ARRAY_LEN(asks));
        CHECK_MSG(h.status == 200, "%.*s\nto %.*s", STR_ARG(h.body), STR_ARG(body));
    }
}
