/* doors_test.c - who waits at a door whose source is still to come, and how long. */
#include "pipeline/door/doors.h"

#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

static const struct door_options slow = {.path = STR_INIT("/x"), .body_max = 9, .patience = 3600 * NS_SEC};

static struct doors *doors;

/* Somebody who brings a message to "/x". */
struct visitor {
    struct arena arena;
    err_t error;
    struct door_answer answer;
    bool is_answered;
};

static err_t visit(void *visitor)
{
    const struct door_message m = {.id = STR("a"), .body = STR("1")};
    struct visitor *v = visitor;

    v->error = doors_ask(doors, STR("/x"), &m, NULL, &v->arena, &v->answer);
    v->is_answered = true;
    return OK;
}

/* Whoever reads a door may end before a message is taken in: then the next one has it. */
static void given_back(void)
{
    struct visitor v = {.arena = {.max = SIZE_MAX}};
    struct door *door;
    struct knock *k;

    doors = doors_new();
    CHECK_OK(door_open(doors, &slow, &door));
    {
        SCOPE(visitors, NS_NEVER);
        scope_spawn(&visitors, "visitor", visit, &v);
        CHECK_OK(door_take(door, 9, rt_now() + NS_SEC, &k));
        knock_give_back(k);
        door_close(door);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
        CHECK(!v.is_answered);
        CHECK_OK(door_open(doors, &slow, &door));
        CHECK_OK(door_take(door, 9, 0, &k));
        CHECK_STR(k->id, "a");
        doors_shut(doors);
        knock_give_back(k); /* for nobody any more */
        CHECK_OK(scope_wait_all(&visitors));
    }
    CHECK_ERR(v.error, OK);
    CHECK_EQ(v.answer.status, 503);
    door_close(door);
    arena_release(&v.arena);
    doors_free(doors);
}

TEST(doors_message_that_is_given_back_waits_for_the_next_who_reads)
{
    in_sim(given_back);
}

static void announced(void)
{
    struct visitor v = {.arena = {.max = SIZE_MAX}};
    struct door *door;
    struct knock *k;

    doors = doors_new();
    CHECK_OK(visit(&v));
    CHECK_ERR(v.error, E_NOT_FOUND);
    v.is_answered = false;
    struct door *told = door_announce(doors, &slow);
    {
        SCOPE(visitors, NS_NEVER);
        scope_spawn(&visitors, "visitor", visit, &v);
        CHECK_OK(fiber_sleep_until(rt_now() + 60 * NS_SEC)); /* longer than a door without a source keeps who comes */
        CHECK(!v.is_answered);
        CHECK_OK(door_open(doors, &slow, &door));
        CHECK(door == told);
        CHECK_OK(door_take(door, 9, 0, &k));
        CHECK_STR(k->id, "a");
        knock_answer(k, 201, STR("\"b\""));
        CHECK_OK(scope_wait_all(&visitors));
    }
    CHECK_ERR(v.error, OK);
    CHECK_EQ(v.answer.status, 201);
    CHECK_STR(v.answer.body, "\"b\"");
    door_close(door);
    arena_release(&v.arena);
    doors_free(doors);
}

TEST(doors_keep_who_comes_to_an_announced_one_until_its_source_does)
{
    in_sim(announced);
}

static void announced_again(void)
{
    const struct door_options hasty = {.path = STR("/x"), .body_max = 9, .patience = NS_SEC};
    struct visitor v = {.arena = {.max = SIZE_MAX}};
    struct door *door;

    doors = doors_new();
    CHECK_OK(door_open(doors, &hasty, &door));
    CHECK(door_announce(doors, &slow) == door);
    ns_t began = rt_now();
    CHECK_OK(visit(&v)); /* as long as the source says, who has it already */
    CHECK_ERR(v.error, E_AGAIN);
    CHECK_EQ(rt_now() - began, NS_SEC);
    door_close(door);
    CHECK_OK(fiber_sleep_until(rt_now() + 11 * NS_SEC));
    CHECK(door_announce(doors, &slow) == door);
    CHECK_OK(visit(&v)); /* it had its source, and the next one is late */
    CHECK_ERR(v.error, E_NOT_FOUND);
    arena_release(&v.arena);
    doors_free(doors);
}

TEST(doors_that_are_there_are_what_they_were_when_they_are_announced)
{
    in_sim(announced_again);
}
