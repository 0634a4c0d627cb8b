/* chunks_test.c - texts in pieces, cut the same however they come. */
#include "pipeline/model/chunks.h"

#include "base/buf.h"
#include "base/prng.h"
#include "unit/test.h"

#include <inttypes.h>

/* All pieces of a text that is here, each between bars. */
static struct str pieces(struct buf *to, struct str text, enum chunk_cut on, size_t max)
{
    struct str piece;

    buf_clear(to);
    while (chunk_next(&text, on, max, true, &piece))
        (void)buf_addf(to, "%.*s|", STR_ARG(piece));
    return buf_str(to);
}

TEST(chunks_are_sentences)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    CHECK_STR(pieces(&b, STR("One. Two!  Three 3.5 (yes?) \"Four.\" Five"), CHUNK_SENTENCE, 1000),
              "One.|Two!|Three 3.5 (yes?)|\"Four.\"|Five|");
    CHECK_STR(pieces(&b, STR("Wait... what?! \n\n No\xe2\x80\xa6 end."), CHUNK_SENTENCE, 1000),
              "Wait...|what?!|No\xe2\x80\xa6|end.|");
    CHECK_STR(pieces(&b, STR("\xe4\xb8\x80\xe3\x80\x82\xe4\xba\x8c\xef\xbc\x9f\xe4\xb8\x89"), CHUNK_SENTENCE, 1000),
              "\xe4\xb8\x80\xe3\x80\x82|\xe4\xba\x8c\xef\xbc\x9f|\xe4\xb8\x89|");
    CHECK_STR(pieces(&b, STR(" \n "), CHUNK_SENTENCE, 1000), "");
}

TEST(chunks_are_lines)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    CHECK_STR(pieces(&b, STR("- a. b\r\n- c\n\n\n  - d"), CHUNK_LINE, 1000), "- a. b|- c|- d|");
}

TEST(chunks_are_no_longer_than_they_may_be_and_cut_between_characters)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    CHECK_STR(pieces(&b, STR("abcdefgh"), CHUNK_SENTENCE, 3), "abc|def|gh|");
    CHECK_STR(pieces(&b, STR("\xc3\xa4\xc3\xb6\xc3\xbc."), CHUNK_SENTENCE, 3), "\xc3\xa4|\xc3\xb6|\xc3\xbc.|");
    CHECK_STR(pieces(&b, STR("A sentence of this kind. B."), CHUNK_SENTENCE, 16), "A sentence of th|is kind.|B.|");
}

/* Fed in drawn portions a text gives the pieces that it gives as a whole. */
TEST(chunks_are_the_same_however_the_text_comes)
{
    static const char *const words[] = {"a", "3.5", "e.g.",         "\"So.\"", "yes!", "\n",
                                        " ", "...", "\xe3\x80\x82", "(b?)",    "word "};
    struct buf whole CLEANUP(buf_release) = BUF_INIT(1 << 16), want CLEANUP(buf_release) = BUF_INIT(1 << 16),
                     got CLEANUP(buf_release) = BUF_INIT(1 << 16);

    for (uint64_t round = 0; round < test_rounds(300); round++) {
        enum chunk_cut on = round % 2 ? CHUNK_LINE : CHUNK_SENTENCE;
        struct prng p;
        struct str left, piece;
        prng_seed(&p, test_seed() + round);
        buf_clear(&whole);
        buf_clear(&got);
        for (int i = 0; i < 30; i++)
            (void)buf_addf(&whole, "%s", words[prng_below(&p, ARRAY_LEN(words))]);
        (void)pieces(&want, buf_str(&whole), on, 4096);
        left = str_slice(buf_str(&whole), 0, 0);
        for (size_t come = 0; come <= whole.n; come += 1 + (size_t)prng_below(&p, 5)) {
            left.n = (size_t)(whole.p + come - left.p);
            while (chunk_next(&left, on, 4096, false, &piece))
                (void)buf_addf(&got, "%.*s|", STR_ARG(piece));
        }
        left.n = (size_t)(whole.p + whole.n - left.p);
        while (chunk_next(&left, on, 4096, true, &piece))
            (void)buf_addf(&got, "%.*s|", STR_ARG(piece));
        test_context("round %" PRIu64 ": %.*s", round, STR_ARG(buf_str(&whole)));
        CHECK_STR(buf_str(&got), want.p ? want.p : "");
    }
    test_context("%s", "");
}
