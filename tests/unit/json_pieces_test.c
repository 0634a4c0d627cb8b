/* json_pieces_test.c - elements of an array while the document comes: which, when, and however it is cut up. */
#include "pipeline/model/json_pieces.h"

#include "base/buf.h"
#include "unit/test.h"

/* The elements, a "|" behind each, of a document that comes in steps of so many bytes. */
static void elements(struct buf *to, const char *path, const char *document, size_t step)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct json_pieces p = {.names = NULL};
    struct str all = str_from_c(document), element;

    CHECK(json_pieces_path(str_from_c(path), &a, &p.names, &p.name_count));
    for (size_t n = 0; n < all.n;) {
        n = n + step < all.n ? n + step : all.n;
        struct str there = arena_str(&a, str_slice(all, 0, n)); /* elsewhere each time */
        while (json_pieces_next(&p, there, &element))
            CHECK_OK(buf_addf(to, "%.*s|", STR_ARG(element)));
    }
}

static void check(const char *path, const char *document, const char *want)
{
    for (size_t step = 1; step <= strlen(document); step++) {
        struct buf got CLEANUP(buf_release) = BUF_INIT(1 << 16);
        elements(&got, path, document, step);
        CHECK_MSG(str_eq(buf_str(&got), str_from_c(want)), "%s of %s in steps of %zu: %.*s", path, document, step,
                  STR_ARG(buf_str(&got)));
    }
}

TEST(json_pieces_are_the_elements_of_the_array)
{
    check(".", "[1, \"two\" ,[3,[4]],{\"a\":[5]},null]", "1|\"two\"|[3,[4]]|{\"a\":[5]}|null|");
    check(".", " [ ] ", "");
    check(".", "[\"a,]\\\"}\", \"\\\\\", -1.5e3]", "\"a,]\\\"}\"|\"\\\\\"|-1.5e3|");
    check(".items", "{\"n\":1,\"items\":[1,{\"items\":[9]}],\"more\":[2]}", "1|{\"items\":[9]}|");
    check(".a.b", "{\"x\":{\"b\":[0]},\"a\":{\"c\":[0],\"b\" : [1,2]},\"b\":[3]}", "1|2|");
}

TEST(json_pieces_of_another_place_are_none)
{
    check(".", "{\"a\":[1]}", "");
    check(".a", "[{\"a\":[1]}]", "");
    check(".a", "{\"a\":{\"a\":[1]}}", "");
    check(".a", "{\"b\":\"a\",\"c\":[1]}", "");
    check(".a", "{\"b\":{\"a\":[1]},\"c\":[\"a\",[2]]}", "");
    check(".a.b", "{\"a\":[{\"b\":[1]}]}", "");
    check(".a", "{\"a\":7,\"b\":[1]}", "");
    check(".a", "{\"a\":[1],\"a\":[2]}", "1|"); /* the first counts */
    check(".a", "{\"x\\\"a\":[1]}", "");
}

TEST(json_pieces_come_as_soon_as_they_are_complete)
{
    struct json_pieces p = {.names = NULL};
    struct str element;

    CHECK(!json_pieces_next(&p, STR("[{\"a\":"), &element));
    CHECK(!json_pieces_next(&p, STR("[{\"a\":[1]"), &element));
    CHECK(json_pieces_next(&p, STR("[{\"a\":[1]}"), &element));
    CHECK_STR(element, "{\"a\":[1]}");
    CHECK(!json_pieces_next(&p, STR("[{\"a\":[1]},12"), &element)); /* it may go on */
    CHECK(json_pieces_next(&p, STR("[{\"a\":[1]},123]"), &element));
    CHECK_STR(element, "123");
}

TEST(json_pieces_of_what_is_no_document_end)
{
    char deep[JSON_PIECES_DEPTH_MAX + 2];

    check(".", "[1}2,3]", "");
    check(".", "no array [1]", "");
    check(".", "\"[1]\" [1]", "");
    check(".", "[yes]", "yes|"); /* whoever parses it finds out */
    check(".", "[1] [2]", "1|");
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    check(".", deep, "");
}

TEST(json_pieces_know_plain_paths)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct str *names;
    size_t n;

    CHECK(json_pieces_path(STR(" .a_1.b "), &a, &names, &n));
    CHECK_EQ(n, 2);
    CHECK_STR(names[0], "a_1");
    CHECK_STR(names[1], "b");
    CHECK(json_pieces_path(STR("."), &a, &names, &n));
    CHECK_EQ(n, 0);
    CHECK(!json_pieces_path(STR(".items[0]"), &a, &names, &n));
    CHECK(!json_pieces_path(STR("..a"), &a, &names, &n));
    CHECK(!json_pieces_path(STR(".a."), &a, &names, &n));
    CHECK(!json_pieces_path(STR(".a | .b"), &a, &names, &n));
    CHECK(!json_pieces_path(STR(".1a"), &a, &names, &n));
    CHECK(!json_pieces_path(STR("a"), &a, &names, &n));
}
