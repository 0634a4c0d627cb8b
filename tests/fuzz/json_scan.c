/*
 * Fuzz target: codec/json_scan.h against yyjson, and against itself.
 *
 * The first byte chooses: bit 0 checks UTF-8, the rest where to cut. The scanner must accept what yyjson accepts and refuse
 * what it refuses; report the same members at the same places; and give the same results however the document is cut.
 * Then an edit of every member, by json_splice, must give what the tree says it should.
 */
#include "codec/json_scan.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { MOST_MEMBERS = 64 };

static const struct str watch[] = {STR_INIT("model"), STR_INIT("usage"), STR_INIT("a")};

struct seen {
    bool ok;
    bool apart; /* refused for what the tree is not asked to refuse: see below */
    struct json_top top;
    uint64_t error_at;
    size_t count;
    struct json_member members[MOST_MEMBERS];
    struct str values[MOST_MEMBERS];
    struct arena arena;
};

/* Scan `doc` in pieces of `piece` bytes, each in memory of its own, so that reading beyond it is noticed. */
static void scan(struct str doc, size_t piece, unsigned flags, struct seen *seen)
{
    struct json_scan s CLEANUP(json_scan_release);
    enum json_scan_result r = JSON_MORE;

    *seen = (struct seen){0};
    arena_init(&seen->arena, SIZE_MAX / 4);
    json_scan_init(&s, watch, ARRAY_LEN(watch), 24, flags);
    for (size_t at = 0; at < doc.n && r == JSON_MORE; at += piece) {
        struct str in = str_slice(doc, at, at + piece);
        char *own = malloc(in.n);
        struct json_member m;
        memcpy(own, in.p, in.n);
        in.p = own;
        while ((r = json_scan_next(&s, &in, &m)) == JSON_MEMBER) {
            if (seen->count < MOST_MEMBERS) {
                seen->members[seen->count] = m;
                seen->members[seen->count].key = arena_str(&seen->arena, m.key);
                seen->values[seen->count] = m.value.p ? arena_str(&seen->arena, m.value) : STR_NONE;
            }
            seen->count++;
        }
        free(own);
    }
    if (r == JSON_MORE)
        r = json_scan_end(&s);
    seen->ok = r == JSON_DONE;
    /* yyjson has no limit of depth; and where it is told to accept invalid UTF-8 it accepts control bytes in strings, too. */
    seen->apart = !seen->ok && (strcmp(s.error, "nested too deeply") == 0 ||
                                (!(flags & JSON_CHECK_UTF8) && strcmp(s.error, "control character in a string") == 0));
    seen->error_at = s.error_at;
    seen->top = s.top;
}

static void same(const struct seen *a, const struct seen *b)
{
    REQUIRE(a->ok == b->ok && a->count == b->count);
    if (!a->ok)
        REQUIRE(a->error_at == b->error_at);
    else
        REQUIRE(memcmp(&a->top, &b->top, sizeof a->top) == 0);
    for (size_t i = 0; i < a->count && i < MOST_MEMBERS; i++) {
        const struct json_member *x = &a->members[i], *y = &b->members[i];
        REQUIRE(str_eq(x->key, y->key) && x->key_cut == y->key_cut && x->key_at == y->key_at);
        REQUIRE(x->at.from == y->at.from && x->at.to == y->at.to && x->kind == y->kind && x->watch == y->watch);
        REQUIRE(!a->values[i].p == !b->values[i].p && str_eq(a->values[i], b->values[i]));
    }
}

/* The tree's text of a value must be that of the span. */
static void same_value(struct str doc, const struct json_member *m, yyjson_val *val, unsigned flags)
{
    struct str text = json_span_str(doc, m->at);
    yyjson_read_flag read = YYJSON_READ_NUMBER_AS_RAW | (flags ? 0 : YYJSON_READ_ALLOW_INVALID_UNICODE);
    yyjson_doc *alone = yyjson_read(text.p, text.n, read);

    REQUIRE(alone && yyjson_equals(yyjson_doc_get_root(alone), val));
    yyjson_doc_free(alone);
    if (yyjson_is_raw(val))
        REQUIRE(m->kind == JSON_NUMBER && str_eq(text, str_of(yyjson_get_raw(val), yyjson_get_len(val))));
    if (yyjson_is_str(val)) {
        struct arena arena CLEANUP(arena_release);
        struct str s, tree = str_of(yyjson_get_str(val), yyjson_get_len(val));
        arena_init(&arena, SIZE_MAX / 4);
        REQUIRE(m->kind == JSON_STRING && json_string_value(text, &arena, &s) == OK);
        REQUIRE(str_eq(s, tree) && json_string_is(text, tree));
    }
}

static void same_as_tree(struct str doc, const struct seen *seen, yyjson_val *root, unsigned flags)
{
    size_t i = 0, max;
    yyjson_val *key, *val;

    REQUIRE((seen->top.kind == JSON_OBJECT) == yyjson_is_obj(root));
    if (!yyjson_is_obj(root))
        return;
    REQUIRE(seen->top.members == yyjson_obj_size(root) && seen->count == seen->top.members);
    yyjson_obj_foreach(root, i, max, key, val)
    {
        if (i >= MOST_MEMBERS)
            break;
        const struct json_member *m = &seen->members[i];
        if (!m->key_cut)
            REQUIRE(str_eq(m->key, str_of(yyjson_get_str(key), yyjson_get_len(key))));
        same_value(doc, m, val, flags);
    }
}

/* Delete, replace or keep the members by turns, put one in front and one behind, and compare the number that is left. */
static void edit(struct str doc, const struct seen *seen, uint8_t how, unsigned flags)
{
    struct json_edit edits[JSON_EDIT_MAX];
    struct buf out CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    size_t n = 0, deleted = 0;

    if (seen->top.kind != JSON_OBJECT || seen->count > MOST_MEMBERS)
        return;
    for (size_t i = 0; i < seen->count && n < JSON_EDIT_MAX - 2; i++) {
        unsigned what = (how >> (2 * (i % 4))) & 3;
        if (what > 1)
            continue;
        edits[n++] = (struct json_edit){.kind = what ? JSON_REPLACE : JSON_DELETE,
                                        .key_at = seen->members[i].key_at,
                                        .at = seen->members[i].at,
                                        .value = STR("[1]")};
        deleted += !what;
    }
    if (how & 16)
        edits[n++] = (struct json_edit){.kind = JSON_INSERT_LAST, .key = STR("z\n"), .value = STR("1")};
    if (how & 32)
        edits[n++] = (struct json_edit){.kind = JSON_INSERT_FIRST, .key = STR("y"), .value = STR("2")};
    REQUIRE(json_splice(&out, doc, &seen->top, edits, n) == OK);
    struct seen *after = malloc(sizeof *after);
    scan(buf_str(&out), out.n, flags, after);
    REQUIRE(after->ok && after->top.members == seen->count - deleted + !!(how & 16) + !!(how & 32));
    arena_release(&after->arena);
    free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    unsigned flags = data[0] & 1 ? JSON_CHECK_UTF8 : 0;
    struct str doc = str_of((const char *)data + 1, n - 1);
    struct seen *whole = malloc(sizeof *whole), *cut = malloc(sizeof *cut);
    size_t pieces[] = {1, 1 + (data[0] >> 1), 17};

    scan(doc, doc.n, flags, whole);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        scan(doc, pieces[i], flags, cut);
        same(whole, cut);
        arena_release(&cut->arena);
    }
    yyjson_read_flag read = YYJSON_READ_NUMBER_AS_RAW | (flags ? 0 : YYJSON_READ_ALLOW_INVALID_UNICODE);
    yyjson_doc *tree = yyjson_read(doc.p, doc.n, read);
    REQUIRE(whole->apart || whole->ok == !!tree);
    if (whole->ok) {
        same_as_tree(doc, whole, yyjson_doc_get_root(tree), flags);
        edit(doc, whole, data[0], flags);
    }
    yyjson_doc_free(tree);
    arena_release(&whole->arena);
    free(whole);
    free(cut);
    return 0;
}
