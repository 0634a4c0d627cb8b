/* replies_test.c - replies that are kept together: each goes to those who wait for it, and none does before all are in the journal. */
#include "pipeline/door/replies.h"

#include "base/mem.h"
#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

enum { VISITORS = 4 };

/* Two wait for the first root, one for the second; the last one's reply is never made. */
static const unsigned char root_of[VISITORS] = {0, 1, 0, 2};

static struct pipeline_spec spec = {.name = STR_INIT("p")};
static const struct pipeline_node source = {.name = STR_INIT("in")};
static struct shard shard;
static struct door *door;

struct visitor {
    unsigned number;
    struct arena arena;
    struct door_answer answer;
};
static struct visitor visitors[VISITORS];
static struct doors *doors;

static struct journal_id root(unsigned i)
{
    return (struct journal_id){.b = {(unsigned char)(i + 1)}};
}

static err_t visit(void *visitor)
{
    struct visitor *v = visitor;
    char id = (char)('0' + v->number);
    const struct door_message m = {.id = str_of(&id, 1), .body = STR("1")};

    return doors_ask(doors, STR("/x"), &m, NULL, &v->arena, &v->answer);
}

/* Everybody knocks, and waits for a root. */
static SUSPENDS void receive(struct scope *waiting, struct replies *r)
{
    struct knock *k;

    for (unsigned i = 0; i < VISITORS; i++) {
        visitors[i] = (struct visitor){.number = i, .arena = {.max = SIZE_MAX}};
        scope_spawn(waiting, "visitor", visit, &visitors[i]);
    }
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
    CHECK_OK(door_take(door, VISITORS, 0, &k));
    for (struct knock *next; k; k = next) {
        next = k->next;
        replies_wait(r, root(root_of[k->id.p[0] - '0']), k);
    }
}

static SUSPENDS void pass(void)
{
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
}

static void check_kept(struct replies *r, unsigned of, int status, const char *body)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct str is = STR_NONE;
    int kept;

    CHECK_OK(replies_find(r, root(of), &a, &kept, &is));
    CHECK_EQ(kept, status);
    CHECK_STR(is, body);
}

static SUSPENDS void open_door(void)
{
    const struct door_options o = {.path = STR("/x"), .body_max = 9, .patience = 3600 * NS_SEC};

    CHECK_OK(journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 1, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &shard.journal));
    shard.spec = &spec;
    shard.intakes = mem_zalloc(1, sizeof *shard.intakes);
    doors = doors_new();
    CHECK_OK(door_open(doors, &o, &door));
}

static SUSPENDS void close_door(void)
{
    for (unsigned i = 0; i < VISITORS; i++)
        arena_release(&visitors[i].arena);
    door_close(door);
    doors_free(doors);
    journal_close(shard.journal);
    mem_free(shard.intakes);
}

static void batch(void)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    SCOPE(waiting, NS_NEVER);

    open_door();
    struct replies *r = shard_replies(&shard, &source);
    receive(&waiting, r);
    const struct reply two[] = {{r, root(0), 200, STR("\"a\"")}, {r, root(1), 201, STR("\"b\"")}};
    CHECK_OK(replies_put(two, ARRAY_LEN(two), &a));
    pass();
    CHECK_EQ(visitors[0].answer.status, 200);
    CHECK_EQ(visitors[2].answer.status, 200);
    CHECK_STR(visitors[2].answer.body, "\"a\"");
    CHECK_EQ(visitors[1].answer.status, 201);
    CHECK_STR(visitors[1].answer.body, "\"b\"");
    CHECK_EQ(visitors[3].answer.status, 0);
    CHECK(!replies_are_awaited(r, root(0)) && replies_are_awaited(r, root(2)));
    check_kept(r, 0, 200, "\"a\"");
    check_kept(r, 1, 201, "\"b\"");
    check_kept(r, 2, 0, "");
    CHECK_OK(replies_put(NULL, 0, &a));
    replies_free(r); /* who still waits is told to come again */
    pass();
    CHECK_EQ(visitors[3].answer.status, 503);
    CHECK_OK(scope_wait_all(&waiting));
    close_door();
}

TEST(replies_of_a_batch_are_kept_together_and_each_goes_to_those_who_wait_for_it)
{
    in_sim(batch);
}

static void batch_that_fails(void)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    SCOPE(waiting, NS_NEVER);

    open_door();
    struct replies *r = shard_replies(&shard, &source);
    receive(&waiting, r);
    const struct reply two[] = {{r, root(0), 200, STR("\"a\"")}, {r, root(1), 201, STR("\"b\"")}};
    journal_memory_stop(shard.journal, true);
    CHECK_ERR(replies_put(two, ARRAY_LEN(two), &a), E_IO);
    journal_memory_stop(shard.journal, false);
    pass();
    for (unsigned i = 0; i < VISITORS; i++)
        CHECK_EQ(visitors[i].answer.status, 0);
    check_kept(r, 0, 0, "");
    CHECK_OK(replies_put(two, ARRAY_LEN(two), &a)); /* and again, when it can be */
    pass();
    CHECK_EQ(visitors[0].answer.status, 200);
    CHECK_EQ(visitors[1].answer.status, 201);
    replies_free(r);
    CHECK_OK(scope_wait_all(&waiting));
    close_door();
}

TEST(replies_of_a_batch_that_the_journal_did_not_take_are_given_to_nobody)
{
    in_sim(batch_that_fails);
}
