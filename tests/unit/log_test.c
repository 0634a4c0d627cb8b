/* log_test.c - a line of the log is one line, whatever is in it. */
#include "base/log.h"

#include "base/buf.h"
#include "codec/json_scan.h"
#include "unit/test.h"

#include <string.h>

static void keep_line(struct str line, void *ctx)
{
    (void)buf_add(ctx, line);
}

TEST(log_line_of_unprintable_bytes_is_whole_json_with_its_request_id)
{
    struct buf kept CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct log_options plain = {.level = LOG_INFO},
                       o = {.level = LOG_INFO, .json = true, .sink = keep_line, .ctx = &kept};
    char text[1000];

    memset(text, 1, sizeof text);
    log_configure(&o);
    log_warn(STR("req_1"), "%.*s", (int)sizeof text, text);
    log_configure(&plain);
    CHECK_EQ(str_find_char(buf_str(&kept), '\n'), kept.n - 1);
    struct str line = str_slice(buf_str(&kept), 0, kept.n - 1);
    CHECK(json_valid(line, 0));
    CHECK(json_string_is(json_find(line, STR("request_id")), STR("req_1")));
}
