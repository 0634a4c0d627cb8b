/* pipeline_agree_test.c - `compare` of a shadow: what is tried out is held against what is in use, message by message, in virtual time. */
#include "unit/pipeline_world.h"

#define FILE_OF(used, share, tried)                                                                                    \
    "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {files: /in}}\n"                    \
    "nodes:\n"                                                                                                         \
    "  used: {from: s, " used "}\n"                                                                                    \
    "  try: {from: s, shadow: {share: " share ", compare: {used: tried}}}\n"                                           \
    "  tried: {from: try, " tried "}\n"                                                                                \
    "sinks: {out: {from: used, file: /out}}\n"

static const struct letter letters[] = {{.when = 0, .at = NS_NEVER, .body = "{\"n\":1,\"list\":[1,2]}"},
                                        {.when = 1, .at = NS_NEVER, .body = "{\"n\":2,\"list\":[1,1]}"},
                                        {.when = 2, .at = NS_NEVER, .body = "{\"n\":3,\"list\":[2]}"}};

static SUSPENDS err_t run_it(void *shard)
{
    return shard_run(shard);
}

/* Fails for the message with n = 3. */
static err_t fail_at_three(struct step *s)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1000);

    TRY(expr_value_print(s->in->value, &text));
    return str_find(buf_str(&text), STR("\"n\":3")) < text.n ? fail(E_PARSE, "three") : step_send(s, s->in->value);
}

static void put_model(struct world *w)
{
    static const struct node_run run = {.work = fail_at_three};

    for (uint16_t i = 0; i < w->spec->node_count; i++) {
        struct pipeline_node *n = w->spec->nodes[i];
        if (n->role != PIPELINE_NODE || strcmp(n->kind->name, "model") != 0)
            continue;
        struct node_kind *kind = arena_new(&w->arena, struct node_kind);
        *kind = *n->node;
        kind->run = &run;
        n->node = kind;
    }
}

/* Run the letters through the file, and see how often the two agreed and differed. */
static SUSPENDS void check(const char *text, uint64_t agreed, uint64_t differed)
{
    struct world *w = NEW(struct world);

    CHECK_OK(world_open(w, text, NULL, 0));
    put_model(w);
    w->letters = letters;
    w->letter_count = ARRAY_LEN(letters);
    struct shard *shard = shard_new(&(struct shard_options){.spec = w->spec, .journal = w->journal});
    {
        SCOPE(running, NS_NEVER);
        scope_spawn(&running, "shard", run_it, shard);
        CHECK_OK(scope_wait_all(&running));
    }
    struct node_numbers n;
    shard_node(shard, pipeline_find(w->spec, STR("tried"))->index, &n);
    CHECK_MSG(n.agreed == agreed && n.differed == differed, "%llu agreed, %llu differed: %s",
              (unsigned long long)n.agreed, (unsigned long long)n.differed, text);
    shard_node(shard, pipeline_find(w->spec, STR("used"))->index, &n);
    CHECK_EQ(n.agreed + n.differed, 0);
    shard_free(shard);
    world_close(w);
    mem_free(w);
}

static SUSPENDS void what_is_tried_out_is_held_against_what_is_used(void)
{
    check(FILE_OF("map: .n", "100%", "map: .n"), 3, 0);
    check(FILE_OF("map: .n", "100%", "map: 'if .n == 2 then 9 else .n end'"), 2, 1);
    check(FILE_OF("map: '{a: .n, b: [1]}'", "100%", "map: '{b: [1], a: .n}'"), 3, 0);
    check(FILE_OF("map: .n", "100%", "map: '.n | tostring'"), 0, 3);
}

static SUSPENDS void how_many_records_and_which_counts_and_not_their_order(void)
{
    check(FILE_OF("split: .list", "100%", "split: '.list | reverse'"), 3, 0);
    check(FILE_OF("split: .list", "100%", "split: '.list | unique'"), 2, 1);
    check(FILE_OF("split: .list", "100%", "split: '[.list[] | 2]'"), 1, 2); /* no value is taken twice */
    check(FILE_OF("filter: .n < 3", "100%", "filter: .n < 2"), 1, 1);       /* both leave one out */
}

static SUSPENDS void what_the_shadow_or_a_failure_leaves_out_is_not_counted(void)
{
    check(FILE_OF("map: .n", "0.0001%", "map: .n"), 0, 0);
    check(FILE_OF("model: {route: m, prompt: x}", "100%", "map: .n"), 0, 2); /* the one in use fails for a message */
    check(FILE_OF("map: .", "100%", "model: {route: m, prompt: x}"), 2, 1);  /* the one that is tried out does */
}

static SUSPENDS void what_cannot_be_compared_is_refused(void)
{
    static const struct {
        const char *pairs, *words;
    } cases[] = {{"{used: other}", "is not behind the shadow"},
                 {"{tried: used}", "is behind the shadow itself"},
                 {"{used: tried, other: tried}", "is compared already"},
                 {"{used: nothing}", "there is no node"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = NEW(struct world);
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        CHECK_OK(
            buf_addf(&text,
                     "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {files: /in}}\n"
                     "nodes:\n  used: {from: s, map: .}\n  other: {from: used, map: .}\n"
                     "  try: {from: s, shadow: {compare: %s}}\n  tried: {from: try, map: .}\n"
                     "sinks: {out: {from: other, file: /out}}\n%c",
                     cases[i].pairs, 0));
        err_t e = world_open(w, text.p, NULL, 0);
        CHECK_EQ(e, E_CONFIG);
        CHECK_MSG(strstr(err_detail(e), cases[i].words), "%s: %s", cases[i].pairs, err_detail(e));
        world_close(w);
        mem_free(w);
    }
}

TEST(agree_what_is_tried_out_is_held_against_what_is_used)
{
    in_sim(what_is_tried_out_is_held_against_what_is_used);
}

TEST(agree_how_many_records_and_which_counts_and_not_their_order)
{
    in_sim(how_many_records_and_which_counts_and_not_their_order);
}

TEST(agree_what_the_shadow_or_a_failure_leaves_out_is_not_counted)
{
    in_sim(what_the_shadow_or_a_failure_leaves_out_is_not_counted);
}

TEST(agree_what_cannot_be_compared_is_refused)
{
    in_sim(what_cannot_be_compared_is_refused);
}
