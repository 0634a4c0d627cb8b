/*
 * Fuzz target: observe/facts_log.h, observe/record.h and observe/story.h. The input is records end to end, as a damaged or foreign log has them.
 * Whatever they are: they are read or refused, the story is told of what was read and each of its lines is fit for a terminal, and what was read and written
 * anew reads the same.
 */
#include "observe/facts_log.h"
#include "observe/story.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { ARENA_MAX = 64 << 20, TEXT_MAX = 16 << 20 };

static void check_story(const struct facts *f)
{
    struct buf story CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);

    story_tell(f, &story);
    REQUIRE(buf_status(&story) == OK);
    for (size_t i = 0; i < story.n; i++)
        REQUIRE((unsigned char)story.p[i] >= ' ' || story.p[i] == '\n');
}

static void check_again(const struct facts *f, struct str id)
{
    struct arena arena CLEANUP(arena_release);
    struct buf written CLEANUP(buf_release) = BUF_INIT(TEXT_MAX), again CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct facts got;

    arena_init(&arena, ARENA_MAX);
    if (facts_write(f, &written) != OK) /* items of a list that are too long */
        return;
    REQUIRE(facts_read(buf_str(&written), id, &arena, &got) == OK);
    REQUIRE(got.tried_count == f->tried_count && got.decision_count == f->decision_count);
    REQUIRE(facts_write(&got, &again) == OK);
    REQUIRE(str_eq(buf_str(&written), buf_str(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    struct buf json CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct str records = str_of((const char *)data, n), rest = records, record;
    struct facts f;

    arena_init(&arena, ARENA_MAX);
    while ((record = facts_next_record(&rest)).n) {
        struct str id = facts_request_of(record);
        buf_clear(&json);
        (void)facts_json(record, &arena, &json);
        if (id.n && facts_read(records, id, &arena, &f) == OK) {
            check_story(&f);
            if (str_eq(f.id, id))
                check_again(&f, id);
        }
    }
    return 0;
}
