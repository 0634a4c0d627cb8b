/* fleet_table_test.c - the table of `crossdock fleet`, byte for byte. */
#include "cli/fleet_table.h"

#include "test.h"

static const char fleet[] =
    "{\"revision\":3,\"deployments\":["
    "{\"deployment\":\"openai/gpt-4o\",\"state\":\"in "
    "use\",\"why\":\"\",\"for_ms\":null,\"next\":\"\",\"in_flight\":12,"
    "\"recent\":{\"window_ms\":10000,\"good\":42,\"ill\":0},\"first_token_ms\":{\"p50\":210.5,\"p95\":1250},\"token_"
    "ms\":12.3,"
    "\"price_per_million\":{\"input\":2.5,\"output\":10},\"credentials\":[{\"headroom\":0.25},{\"headroom\":0.8}]},"
    "{\"deployment\":\"m\303\274nchen/l\",\"state\":\"ejected\",\"why\":\"failures in a row\",\"for_ms\":3000,"
    "\"next\":\"a probe in 12.00 s\",\"in_flight\":0,\"recent\":{\"window_ms\":10000,\"good\":1,\"ill\":3},"
    "\"first_token_ms\":{\"p50\":null,\"p95\":null},\"token_ms\":null}]}";

static void check_table(const char *json, const char *want)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    arena_init(&a, 1 << 20);
    CHECK_OK(fleet_table(str_from_c(json), &a, &b));
    CHECK_STR(buf_str(&b), want);
}

TEST(fleet_table_lines_up_and_shows_why_and_what_is_next)
{
    check_table(
        fleet,
        "DEPLOYMENT     STATE       FOR  REQ/S  FAIL  IN FLIGHT  TTFT P50  TTFT P95  PER TOKEN  $/M IN / OUT  "
        "HEADROOM  WHY, AND WHAT IS NEXT\n"
        "openai/gpt-4o  in use             4.2   0 %         12    210 ms    1.25 s    12.3 ms      2.5 / 10      "
        "80 %\n"
        "m\303\274nchen/l      ejected  3.00 s    0.4  75 %          0                                                "
        "         failures in a row; a probe in 12.00 s\n");
}

TEST(fleet_table_leaves_out_columns_in_which_nothing_stands)
{
    check_table("{\"deployments\":[{\"deployment\":\"p/m\",\"state\":\"in use\",\"in_flight\":0,"
                "\"recent\":{\"window_ms\":10000,\"good\":0,\"ill\":0}}]}",
                "DEPLOYMENT  STATE   REQ/S  IN FLIGHT\n"
                "p/m         in use    0.0          0\n");
}

TEST(fleet_table_shows_limits_queues_and_what_servers_say)
{
    check_table("{\"deployments\":[{\"deployment\":\"p/m\",\"in_flight\":8,\"concurrency\":{\"limit\":8},\"waiting\":3,"
                "\"server\":{\"counts\":true,\"running\":12,\"waiting\":4}},"
                "{\"deployment\":\"p/n\",\"in_flight\":0,\"concurrency\":null,\"waiting\":0,"
                "\"server\":{\"counts\":false,\"running\":7,\"waiting\":7}}]}",
                "DEPLOYMENT  REQ/S  IN FLIGHT      LIMIT  SERVER\n"
                "p/m           0.0          8  8, 3 wait  12 + 4\n"
                "p/n           0.0          0\n");
}

TEST(fleet_table_of_something_else_is_an_error_or_empty)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    arena_init(&a, 1 << 20);
    CHECK_ERR(fleet_table(STR("<html>"), &a, &b), E_PARSE);
    check_table("{}", "\n");
}
