/* pipeline_async_test.c - `journal: async`: nobody waits for the disk between a message and its sink, and a crash loses no message, though it may bring one again. */
#include "unit/pipeline_world.h"

#include <stdio.h>

#define PIPELINE(journal)                                                                                              \
    "pipeline: p\njournal: " journal "\ndelivery: at_least_once\n"                                                     \
    "sources: {in: {files: {path: in.ndjson}}}\n"                                                                      \
    "nodes: {n: {from: in, map: \"{n: .n}\"}}\nsinks: {out: {from: n, file: out.ndjson}}\n"

static struct world world;
static const struct letter letters[] = {{0, NS_NEVER, NULL, "{\"n\":1}"},
                                        {1 * NS_MS, NS_NEVER, NULL, "{\"n\":2}"},
                                        {2 * NS_MS, NS_NEVER, NULL, "{\"n\":3}"}};

static SUSPENDS void run(const char *text, size_t messages, uint64_t crash_at)
{
    CHECK_OK(world_open(&world, text, NULL, 0));
    world.letters = letters;
    world.letter_count = messages;
    world.waits_left = crash_at;
    CHECK_OK(world_run(&world));
}

static unsigned count_of(const char *line)
{
    unsigned n = 0;

    for (size_t i = 0; i < world.sunk_count; i++)
        n += strcmp(world.sunk[i].text, line) == 0;
    return n;
}

static void crashes(void)
{
    unsigned again = 0;

    for (uint64_t at = 0;; at++) {
        run(PIPELINE("async"), ARRAY_LEN(letters), at);
        test_context("crash at wait %" PRIu64, at);
        for (unsigned i = 1; i <= ARRAY_LEN(letters); i++) {
            char line[16];
            (void)snprintf(line, sizeof line, "{\"n\":%u}", i);
            CHECK_GE(count_of(line), 1);
            again += count_of(line) - 1;
        }
        bool is_over = world.crashes == 0;
        world_close(&world);
        if (is_over)
            break;
    }
    test_context("%s", "");
    CHECK_GT(again, 0); /* else there would be no reason to promise less */
}

TEST(pipeline_with_an_asynchronous_journal_loses_nothing_in_a_crash_and_may_repeat)
{
    in_sim(crashes);
}

static void waits(void)
{
    uint64_t sync;

    run(PIPELINE("sync"), 1, UINT64_MAX);
    sync = world.waits;
    world_close(&world);
    run(PIPELINE("async"), 1, UINT64_MAX);
    CHECK_LE(world.waits + 2, sync); /* before the batch, and behind it */
    world_close(&world);
}

TEST(pipeline_with_an_asynchronous_journal_does_not_wait_for_the_disk_before_a_sink)
{
    in_sim(waits);
}
