/* histogram_test.c - spans of time in buckets. */
#include "base/histogram.h"

#include "unit/test.h"

static const ns_t at[] = {NS_MS, 10 * NS_MS, 100 * NS_MS};
static const struct histogram_bounds bounds = {at, ARRAY_LEN(at)};

TEST(histogram_counts_a_span_at_the_first_bound_that_it_does_not_exceed)
{
    struct histogram h = {0};

    histogram_add(&h, &bounds, 0);
    histogram_add(&h, &bounds, NS_MS);
    histogram_add(&h, &bounds, NS_MS + 1);
    histogram_add(&h, &bounds, NS_SEC);
    CHECK_EQ(h.count[0], 2);
    CHECK_EQ(h.count[1], 1);
    CHECK_EQ(h.count[2], 0);
    CHECK_EQ(h.count[3], 1);
    CHECK_EQ(h.sum, (uint64_t)(2 * NS_MS + 1 + NS_SEC));
}

TEST(histogram_shared_by_threads_counts_the_same_and_is_merged)
{
    struct histogram h = {0}, sum = {0};

    histogram_add_shared(&h, &bounds, 5 * NS_MS);
    struct histogram copy = histogram_read_shared(&h);
    histogram_merge(&sum, &copy);
    histogram_merge(&sum, &copy);
    CHECK_EQ(sum.count[1], 2);
    CHECK_EQ(sum.sum, (uint64_t)(10 * NS_MS));
}

TEST(histogram_quantile_lies_within_its_bucket)
{
    struct histogram h = {0};

    CHECK_EQ(histogram_quantile(&h, &bounds, 0.5), 0);
    for (int i = 0; i < 100; i++)
        histogram_add(&h, &bounds, i < 90 ? NS_MS : 50 * NS_MS);
    CHECK_EQ(histogram_quantile(&h, &bounds, 0.45), NS_MS / 2);
    CHECK_EQ(histogram_quantile(&h, &bounds, 0.95), 55 * NS_MS);
    histogram_add(&h, &bounds, NS_SEC);
    CHECK_EQ(histogram_quantile(&h, &bounds, 1), 100 * NS_MS); /* beyond the last bound nothing is known */
}

TEST(histogram_is_printed_with_its_labels_or_without_any)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(4096);
    struct histogram h = {0};

    histogram_print(&h, &bounds, "x_seconds", STR_NONE, &to);
    CHECK_EQ(to.n, 0);
    histogram_add(&h, &bounds, 5 * NS_MS);
    histogram_print(&h, &bounds, "x_seconds", STR_NONE, &to);
    CHECK_STR(buf_str(&to), "crossdock_x_seconds_bucket{le=\"0.001\"} 0\ncrossdock_x_seconds_bucket{le=\"0.01\"} 1\n"
                            "crossdock_x_seconds_bucket{le=\"0.1\"} 1\ncrossdock_x_seconds_bucket{le=\"+Inf\"} 1\n"
                            "crossdock_x_seconds_sum 0.005000000\ncrossdock_x_seconds_count 1\n");
    buf_clear(&to);
    histogram_print(&h, &bounds, "x_seconds", STR("a=\"b\""), &to);
    CHECK(str_find(buf_str(&to), STR("x_seconds_bucket{a=\"b\",le=\"+Inf\"} 1\n")) < to.n);
    CHECK(str_find(buf_str(&to), STR("x_seconds_count{a=\"b\"} 1\n")) < to.n);
}
