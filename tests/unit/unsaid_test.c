/* unsaid_test.c - what a target has no field for, and what it has one for after all. */
#include "llm/unsaid.h"

#include "test.h"

struct noting {
    struct arena arena;
    struct losses losses;
    const struct json_tree *tree;
    struct chat_request q;
    struct buf out;
};

static void noting_begin(struct noting *n, const char *document)
{
    *n = (struct noting){.out = BUF_INIT(1000)};
    arena_init(&n->arena, 1 << 24);
    losses_init(&n->losses, &n->arena);
    CHECK_OK(json_tree_parse(&n->arena, str_from_c(document), &n->tree));
}

static void noting_end(struct noting *n)
{
    arena_release(&n->arena);
    buf_release(&n->out);
}

static struct str dropped(struct noting *n)
{
    return losses_list(&n->losses, LOSS_DROPPED, 1000);
}

static struct json_node member(const struct noting *n, const char *key)
{
    return json_node_get(json_tree_root(n->tree), str_from_c(key));
}

static void keep(struct noting *n, bool nested)
{
    JSON_EACH(w, json_tree_root(n->tree))
        chat_add_extra(&n->q, &n->arena, w.key, w.value, nested);
}

TEST(unsaid_extras_of_the_target_s_own_dialect_are_said_as_they_were_written)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, "{\"a\\\"\\u00e4\":{\"x\": 1e400},\"b\":null}");
    struct json_out o = json_out_to(&n.out);
    keep(&n, false);
    json_open(&o, '{');
    extras_put(&o, n.q.extras, true, &n.losses);
    json_close(&o, '}');
    CHECK_STR(buf_str(&n.out), "{\"a\\\"\\u00e4\":{\"x\": 1e400},\"b\":null}");
    CHECK_EQ(n.losses.count, 0);
}

TEST(unsaid_extras_of_others_and_of_inner_objects_are_noted)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, "{\"a\":1,\"b\":2}");
    struct json_out o = json_out_to(&n.out);
    keep(&n, false);
    extras_put(&o, n.q.extras, false, &n.losses);
    CHECK_STR(dropped(&n), "/a,/b");
    losses_init(&n.losses, &n.arena);
    n.q = (struct chat_request){0};
    keep(&n, true);
    extras_put(&o, n.q.extras, true, &n.losses);
    CHECK_STR(dropped(&n), "/a,/b");
    CHECK_EQ(n.out.n, 0);
}

TEST(unsaid_settings_that_change_nothing_are_not_noted)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, "{\"presence_penalty\":0.0,\"frequency_penalty\":0,\"repetition_penalty\":1.0,\"n\":1,"
                     "\"logprobs\":false,\"store\":false,\"modalities\":[\"text\"]}");
    chat_read_number(&n.q.presence_penalty, member(&n, "presence_penalty"));
    chat_read_number(&n.q.frequency_penalty, member(&n, "frequency_penalty"));
    chat_read_number(&n.q.repetition_penalty, member(&n, "repetition_penalty"));
    chat_read_number(&n.q.n, member(&n, "n"));
    chat_read_flag(&n.q.logprobs, member(&n, "logprobs"));
    chat_read_flag(&n.q.store, member(&n, "store"));
    chat_read_raw(&n.q.modalities, member(&n, "modalities"));
    unsaid_of_openai(&n.losses, &n.q);
    CHECK_EQ(n.losses.count, 0);
}

TEST(unsaid_settings_that_only_openai_knows_are_noted)
{
    struct noting n CLEANUP(noting_end);

    noting_begin(&n, "{\"min_p\":0,\"typical_p\":1,\"seed\":0,\"top_logprobs\":0,\"verbosity\":\"low\","
                     "\"cache_key\":\"k\",\"audio\":{},\"prediction\":{},\"logit_bias\":{},\"suffix\":\"s\","
                     "\"repetition_penalty\":0,\"presence_penalty\":1,\"frequency_penalty\":1,\"n\":2,"
                     "\"logprobs\":true,\"store\":true,\"modalities\":[\"text\",\"audio\"]}");
    struct {
        const char *key;
        struct number *to;
    } numbers[] = {{"min_p", &n.q.min_p},
                   {"typical_p", &n.q.typical_p},
                   {"seed", &n.q.seed},
                   {"top_logprobs", &n.q.top_logprobs},
                   {"repetition_penalty", &n.q.repetition_penalty},
                   {"presence_penalty", &n.q.presence_penalty},
                   {"frequency_penalty", &n.q.frequency_penalty},
                   {"n", &n.q.n}};
    struct {
        const char *key;
        struct setting *to;
    } settings[] = {{"verbosity", &n.q.verbosity},   {"cache_key", &n.q.cache_key},   {"audio", &n.q.audio},
                    {"prediction", &n.q.prediction}, {"logit_bias", &n.q.logit_bias}, {"suffix", &n.q.suffix},
                    {"modalities", &n.q.modalities}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        chat_read_number(numbers[i].to, member(&n, numbers[i].key));
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        chat_read_raw(settings[i].to, member(&n, settings[i].key));
    chat_read_flag(&n.q.logprobs, member(&n, "logprobs"));
    chat_read_flag(&n.q.store, member(&n, "store"));
    unsaid_of_openai(&n.losses, &n.q);
    CHECK_STR(dropped(&n), "/min_p,/typical_p,/seed,/top_logprobs,/verbosity,/cache_key,/audio,/prediction,/logit_bias,"
                           "/suffix,/repetition_penalty,/presence_penalty,/frequency_penalty,/n,/logprobs,/store,"
                           "/modalities");
}
