/*
 * Fuzz target: codec/url.h. Whatever the input: no part of a URL lies outside it, coding goes there and back, and a path that was
 * normalised is normal, without segments or bytes that a server could read differently; references lead to URLs.
 */
#include "codec/url.h"

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

/* The parts put together again are the text, but for a port with needless zeroes or without digits. */
static void check_parts(struct str text, const struct url *u)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct url again;

    (void)buf_addf(&b, "%.*s://%.*s%s%s%.*s%s", STR_ARG(u->scheme), STR_ARG(u->userinfo), u->userinfo.p ? "@" : "",
                   u->is_ipv6 ? "[" : "", STR_ARG(u->host), u->is_ipv6 ? "]" : "");
    if (u->port)
        (void)buf_addf(&b, ":%u", u->port);
    (void)buf_addf(&b, "%.*s%s%.*s%s%.*s", STR_ARG(u->path), u->query.p ? "?" : "", STR_ARG(u->query),
                   u->fragment.p ? "#" : "", STR_ARG(u->fragment));
    REQUIRE(b.n <= text.n);
    REQUIRE(url_parse(buf_str(&b), &again) == OK);
    REQUIRE(str_eq(again.host, u->host) && again.port == u->port && str_eq(again.path, u->path));
    REQUIRE(u->host.n && (u->path.n == 0 || u->path.p[0] == '/'));
}

static void check_path(struct str text, struct arena *arena)
{
    struct str normal, again;

    if (url_normal_path(text, false, arena, &normal) != OK)
        return;
    REQUIRE(url_normal_path(normal, false, arena, &again) == OK && str_eq(again, normal));
    REQUIRE(str_find(normal, STR("//")) == normal.n && str_find(normal, STR("/./")) == normal.n);
    REQUIRE(str_find(normal, STR("/../")) == normal.n && !str_ends(normal, STR("/..")) && !str_ends(normal, STR("/.")));
    REQUIRE(str_find(normal, STR("%2F")) == normal.n && str_find(normal, STR("%2f")) == normal.n);
    struct str plain;
    REQUIRE(url_decode(normal, arena, &plain) == OK);
    for (size_t i = 0; i < plain.n; i++)
        REQUIRE((unsigned char)plain.p[i] >= 0x20 && plain.p[i] != '\\' && plain.p[i] != 0x7f);
}

/* What a reference leads to is a URL of that origin or of its own, without dots, and stays what it is. */
static void check_reference(struct str text, struct arena *arena)
{
    struct str found, again;
    struct url u;

    if (url_resolve(STR("https://host/a/b?c"), text, SIZE_MAX / 4, arena, &found) != OK)
        return;
    REQUIRE(url_parse(found, &u) == OK && !u.fragment.p);
    REQUIRE(str_find(u.path, STR("/../")) == u.path.n && !str_ends(u.path, STR("/..")) && !str_ends(u.path, STR("/.")));
    REQUIRE(url_resolve(STR("http://other/"), found, SIZE_MAX / 4, arena, &again) == OK && str_eq(again, found));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    struct buf coded CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct str text = str_of((const char *)data, n), plain, query = text, name, value;
    struct url u;

    arena_init(&arena, SIZE_MAX / 4);
    if (url_parse(text, &u) == OK)
        check_parts(text, &u);
    check_path(text, &arena);
    check_reference(text, &arena);
    REQUIRE(url_encode(&coded, text) == OK);
    bool has_nul = str_find_char(text, '\0') < text.n;
    err_t e = url_decode(buf_str(&coded), &arena, &plain);
    REQUIRE(has_nul ? e == E_PARSE : e == OK && str_eq(plain, text));
    while (url_query_next(&query, &name, &value))
        REQUIRE(name.n + value.n <= n);
    (void)url_query_get(text, STR("key"), &arena);
    return 0;
}
