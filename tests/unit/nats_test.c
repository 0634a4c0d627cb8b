/* nats_test.c - codec/nats.h: what servers say, cut at every byte; headers; subjects; what clients say. */
#include "codec/nats.h"
#include "test.h"

enum { MAX = 1000 };

static err_t next(const char *text, struct nats_frame *ret, size_t *ret_n)
{
    return nats_frame_next(str_from_c(text), MAX, ret, ret_n);
}

TEST(nats_frames_are_found_when_they_are_whole)
{
    static const char *const frames[] = {"INFO {\"a\": 1}\r\n",
                                         "PING\r\n",
                                         "pong\r\n",
                                         "+OK\r\n",
                                         "-ERR 'no'\r\n",
                                         "MSG a.b 7 3\r\nabc\r\n",
                                         "MSG a.b 7\t_INBOX.1 0\r\n\r\n",
                                         "HMSG a 7 r 12 15\r\nNATS/1.0\r\n\r\nabc\r\n"};
    static const enum nats_kind kinds[] = {NATS_INFO,  NATS_PING,    NATS_PONG,    NATS_OK,
                                           NATS_ERROR, NATS_MESSAGE, NATS_MESSAGE, NATS_MESSAGE};
    struct nats_frame f;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        size_t length = strlen(frames[i]);
        for (size_t cut = 0; cut < length; cut++)
            CHECK_ERR(nats_frame_next(str_of(frames[i], cut), MAX, &f, &n), E_AGAIN);
        CHECK_OK(next(frames[i], &f, &n));
        CHECK_EQ(n, length);
        CHECK_EQ(f.kind, kinds[i]);
    }
    CHECK_STR(f.subject, "a");
    CHECK_STR(f.reply, "r");
    CHECK_EQ(f.subscription, 7);
    CHECK_STR(f.headers, "NATS/1.0\r\n\r\n");
    CHECK_STR(f.payload, "abc");
    CHECK_OK(next(frames[6], &f, &n));
    CHECK_STR(f.reply, "_INBOX.1");
    CHECK_OK(next(frames[4], &f, &n));
    CHECK_STR(f.text, "'no'");
}

TEST(nats_frames_that_are_none_are_refused)
{
    static const struct {
        const char *text;
        err_t want;
    } cases[] = {{"HELLO\r\n", E_PARSE},
                 {"MSG a 1\r\n", E_PARSE},
                 {"MSG a x 3\r\nabc\r\n", E_PARSE},
                 {"MSG a 1 b c d 3\r\n", E_PARSE},
                 {"MSG a 1 3\r\nabcd\r\n", E_PARSE},
                 {"HMSG a 1 5 3\r\nabc\r\n", E_PARSE},
                 {"HMSG a 1 0 3\r\nabc\r\n", E_PARSE},
                 {"MSG a 1 1001\r\n", E_TOO_LARGE},
                 {"MSG a 1 -3\r\n", E_PARSE},
                 {"MSG a 1 99999999999999999999999\r\n", E_PARSE},
                 {"\r\n", E_PARSE}};
    static char line[NATS_LINE_MAX + 2];
    struct nats_frame f;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK_ERR(next(cases[i].text, &f, &n), cases[i].want);
    memset(line, 'x', sizeof line);
    CHECK_ERR(nats_frame_next(str_of(line, NATS_LINE_MAX - 2), MAX, &f, &n), E_AGAIN);
    CHECK_ERR(nats_frame_next(str_of(line, sizeof line), MAX, &f, &n), E_TOO_LARGE);
}

TEST(nats_headers_tell_status_and_values)
{
    struct str headers =
        STR("NATS/1.0 404 No Messages\r\nNats-Msg-Id:  a:b \r\nNats-Msg-Id: c\r\nEmpty:\r\n\r\nLater: x\r\n");

    CHECK_EQ(nats_status(headers), 404);
    CHECK_EQ(nats_status(STR("NATS/1.0\r\n\r\n")), 0);
    CHECK_EQ(nats_status(STR_NONE), 0);
    CHECK_STR(nats_header(headers, STR("Nats-Msg-Id")), "a:b");
    CHECK(nats_header(headers, STR("Empty")).p);
    CHECK(!nats_header(headers, STR("nats-msg-id")).p);
    CHECK(!nats_header(headers, STR("Later")).p);
    CHECK(!nats_header(STR_NONE, STR("a")).p);
}

TEST(nats_subjects_to_publish_to_have_no_wildcards_and_no_empty_tokens)
{
    static const char *const good[] = {"a", "a.b", "$JS.API.x", "a.\xc3\xa9-_/b"};
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\r\n", "a\x7f"};
    static char large[NATS_SUBJECT_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        CHECK_MSG(nats_subject_is_plain(str_from_c(good[i])), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_MSG(!nats_subject_is_plain(str_from_c(bad[i])), "%s", bad[i]);
    memset(large, 'x', sizeof large);
    CHECK(nats_subject_is_plain(str_of(large, NATS_SUBJECT_MAX)));
    CHECK(!nats_subject_is_plain(str_of(large, NATS_SUBJECT_MAX + 1)));
}

TEST(nats_messages_are_written_whole_or_not_at_all)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(200), h CLEANUP(buf_release) = BUF_INIT(200);
    static const char large[300];

    CHECK_OK(nats_write_publish(&b, STR("a"), STR_NONE, STR_NONE, STR("xy")));
    CHECK_OK(nats_write_publish(&b, STR("a"), STR("r"), STR_NONE, STR("")));
    CHECK_OK(nats_header_add(&h, STR("Id"), STR("7")));
    CHECK_OK(nats_header_add(&h, STR("More"), STR("8")));
    CHECK_OK(nats_header_end(&h));
    CHECK_OK(nats_write_publish(&b, STR("a"), STR("r"), buf_str(&h), STR("xy")));
    CHECK_STR(buf_str(&b),
              "PUB a 2\r\nxy\r\nPUB a r 0\r\n\r\nHPUB a r 28 30\r\nNATS/1.0\r\nId: 7\r\nMore: 8\r\n\r\nxy\r\n");
    size_t before = b.n;
    CHECK_ERR(nats_write_publish(&b, STR("a"), STR_NONE, STR_NONE, str_of(large, sizeof large)), E_TOO_LARGE);
    CHECK_EQ(b.n, before);
}
