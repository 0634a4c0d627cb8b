/* version_test.c - versions in a journal in memory, in virtual time: which are wanted, which are kept, and for how long. */
#include "pipeline/run/version.h"

#include "unit/in_loop.h"
#include "unit/test.h"

static struct journal *j;
static struct pipeline_text file = {.path = STR_INIT("p.yaml"), .text = STR_INIT("pipeline: p")};
static struct pipeline_spec first, second;

static struct pipeline_spec spec_of(const char *digest)
{
    struct pipeline_spec s = {.name = STR("p"), .path = STR("p.yaml"), .texts = &file, .text_count = 1};

    memcpy(s.digest, digest, strlen(digest) + 1);
    return s;
}

static void check(const struct pipeline_spec *s, bool want_kept, bool want_wanted)
{
    bool is_kept, is_wanted;

    CHECK_OK(version_stands(j, s->name, version_of(s), &is_kept, &is_wanted));
    CHECK_EQ(is_kept, want_kept);
    CHECK_EQ(is_wanted, want_wanted);
}

static bool waits(void)
{
    bool any = false;

    if (version_waits(j, &second, &any) != OK)
        test_fail_(__FILE__, __LINE__, "nobody can tell: %s", err_detail(E_IO));
    return any;
}

static void want(const struct pipeline_spec *s)
{
    char key[VERSION_KEY + 1];
    struct journal_op op = version_want(s->name, version_of(s), key);

    CHECK_OK(journal_commit(j, &op, 1, JOURNAL_SYNC));
}

static void retire(const struct pipeline_spec *s, int64_t due, int64_t until)
{
    const struct version_rest rest = {.version = version_of(s), .rested = 1, .due = due};

    CHECK_OK(version_retire(j, STR("p"), &rest, until));
}

/* One rests beside the second, until that instant; 0: none does. */
static void rests(const struct pipeline_spec *s, int64_t due)
{
    struct version_rest rest = {0};
    uint64_t after = 0;
    bool any;

    CHECK_OK(version_resting(j, &second, &after, &rest, &any));
    CHECK_EQ(any, due != 0);
    if (any) {
        CHECK_EQ(rest.version, version_of(s));
        CHECK_EQ(rest.rested, 1);
        CHECK_EQ(rest.due, due);
    }
}

static void pass(ns_t span)
{
    CHECK_OK(fiber_sleep_until(rt_now() + span));
}

static void stands(void)
{
    const ns_t hour = 3600 * NS_SEC;

    check(&first, false, false);
    want(&first); /* nothing comes of one that is not kept */
    check(&first, false, false);
    CHECK_OK(version_keep(j, &first));
    CHECK_OK(version_keep(j, &second));
    check(&first, true, true);
    CHECK(waits());
    rests(&first, 0);
    int64_t due = rt_wall() + hour / 4;
    retire(&first, due, rt_wall() + hour);
    check(&first, true, false);
    rests(&first, due);
    CHECK(!waits());
    want(&first);
    rests(&first, 0);
    check(&first, true, true);
    CHECK(waits());
    retire(&first, rt_wall() + hour / 4, rt_wall() + hour);
    pass(hour / 2);
    CHECK(!waits());
    check(&first, true, false);
    CHECK_OK(version_keep(j, &first)); /* it is the present one again, and then a former one */
    CHECK(waits());
    retire(&first, rt_wall() + hour / 4, rt_wall() + hour);
    pass(hour + NS_SEC);
    check(&first, false, false); /* its time is over, and the next look forgets it */
    CHECK(!waits());
    want(&first);
    check(&first, false, false);
    check(&second, true, true);
    CHECK_OK(version_forget(j, STR("p"), version_of(&second)));
    check(&second, false, false);
}

static void in_journal(void)
{
    first = spec_of("00000000000000a1");
    second = spec_of("00000000000000b2");
    CHECK_OK(journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 1, .trace_age = NS_NEVER, .dead_age = NS_NEVER}, &j));
    stands();
    journal_close(j);
}

TEST(version_is_kept_for_its_letters_as_long_as_it_is_retired_for)
{
    in_sim(in_journal);
}
