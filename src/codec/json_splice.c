/*
 * json_splice.c - change members of a document's top-level object, leaving all other bytes as they are.
 *
 * The edits are sorted by place and the document is cut around them. What is delicate is the commas: a deleted member
 * takes the comma in front of it with it, unless no member before it survives; then it takes the one behind. So deletions
 * need to know whether anything in front survived, which is tracked while walking, not looked up in the document.
 * The document is trusted to be what the scanner said; spans that contradict it are refused.
 */
#include "codec/json_scan.h"

struct splice {
    struct str doc;
    struct str *parts;
    size_t count;
    size_t at;        /* the document is copied up to here                      */
    bool none_before; /* every member up to `at` was deleted                    */
};

static void add_part(struct splice *sp, struct str part)
{
    if (part.n)
        sp->parts[sp->count++] = part;
}

static void copy_to(struct splice *sp, size_t to)
{
    add_part(sp, str_slice(sp->doc, sp->at, to));
    sp->at = to;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(struct str doc, size_t at, size_t end)
{
    while (at < end && is_blank(doc.p[at]))
        at++;
    return at;
}

/* Index of the byte before `at` that is no blank. There is one: the '{'. */
static size_t byte_before(struct str doc, size_t at)
{
    do
        at--;
    while (at > 0 && is_blank(doc.p[at]));
    return at;
}

static err_t delete_member(struct splice *sp, const struct json_edit *e, size_t close)
{
    size_t key = (size_t)e->key_at, before = byte_before(sp->doc, key);
    bool first = sp->doc.p[before] == '{' || (sp->none_before && sp->at == key);

    if (!first) {
        if (sp->doc.p[before] != ',' || before < sp->at)
            return fail(E_PARSE, "a JSON edit does not fit its document");
        copy_to(sp, before);
        sp->at = (size_t)e->at.to;
        return OK;
    }
    copy_to(sp, key);
    size_t behind = skip_blanks(sp->doc, (size_t)e->at.to, close);
    bool comma = behind < close && sp->doc.p[behind] == ',';
    sp->at = comma ? skip_blanks(sp->doc, behind + 1, close) : (size_t)e->at.to;
    sp->none_before = true;
    return OK;
}

/* Is the edit's place within the object, behind what was done already? */
static bool fits(const struct splice *sp, const struct json_edit *e, size_t open, size_t close)
{
    return e->key_at > open && e->key_at >= sp->at && e->at.from > e->key_at && e->at.to > e->at.from &&
           e->at.to <= close;
}

static bool is_insert(const struct json_edit *e)
{
    return e->kind == JSON_INSERT_FIRST || e->kind == JSON_INSERT_LAST;
}

/* Sort replacing and deleting edits by place into `out`; returns their number. They are few. */
static size_t sort_edits(const struct json_edit *edits, size_t n, const struct json_edit *out[])
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (is_insert(&edits[i]))
            continue;
        size_t k = count++;
        for (; k > 0 && out[k - 1]->key_at > edits[i].key_at; k--)
            out[k] = out[k - 1];
        out[k] = &edits[i];
    }
    return count;
}

static size_t count_kind(const struct json_edit *edits, size_t n, enum json_edit_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += edits[i].kind == kind;
    return count;
}

/* All insertions of a kind, with commas between them. */
static err_t insert_all(struct splice *sp, const struct json_edit *edits, size_t n, enum json_edit_kind kind,
                        struct arena *arena)
{
    bool comma = false;

    for (size_t i = 0; i < n; i++) {
        struct buf key CLEANUP(buf_release) = BUF_INIT(edits[i].key.n * 6 + 8);
        if (edits[i].kind != kind)
            continue;
        TRY(buf_add(&key, comma ? STR(",\"") : STR("\"")));
        TRY(buf_add_json(&key, edits[i].key));
        TRY(buf_add_lit(&key, "\":"));
        char *copy;
        TRY(arena_try(arena, key.n, &copy));
        memcpy(copy, key.p, key.n);
        add_part(sp, str_of(copy, key.n));
        add_part(sp, edits[i].value);
        comma = true;
    }
    return OK;
}

static err_t change_members(struct splice *sp, const struct json_edit *sorted[], size_t n, size_t open, size_t close)
{
    for (size_t i = 0; i < n; i++) {
        const struct json_edit *e = sorted[i];
        if (!fits(sp, e, open, close))
            return fail(E_PARSE, "a JSON edit does not fit its document");
        if (e->kind == JSON_DELETE) {
            TRY(delete_member(sp, e, close));
            continue;
        }
        copy_to(sp, (size_t)e->at.from);
        add_part(sp, e->value);
        sp->at = (size_t)e->at.to;
        sp->none_before = false;
    }
    return OK;
}

err_t json_splice_parts(struct str doc, const struct json_top *top, const struct json_edit *edits, size_t n,
                        struct arena *arena, struct str **ret_parts, size_t *ret_count)
{
    const struct json_edit *sorted[JSON_EDIT_MAX];

    if (n > JSON_EDIT_MAX)
        return fail(E_TOO_LARGE, "more than %d edits of a JSON document", JSON_EDIT_MAX);
    if (top->kind != JSON_OBJECT || top->at.to > doc.n || top->at.to < top->at.from + 2)
        return fail(E_PARSE, "the JSON document is not an object");
    size_t open = (size_t)top->at.from, close = (size_t)top->at.to - 1;
    size_t firsts = count_kind(edits, n, JSON_INSERT_FIRST), lasts = count_kind(edits, n, JSON_INSERT_LAST);
    size_t deleted = count_kind(edits, n, JSON_DELETE);
    if (deleted > top->members)
        return fail(E_PARSE, "a JSON edit does not fit its document");
    bool survivors = top->members > deleted;
    struct splice sp = {.doc = doc, .parts = arena_alloc(arena, (3 * n + 4) * sizeof *sp.parts)};
    size_t count = sort_edits(edits, n, sorted);

    copy_to(&sp, open + 1);
    TRY(insert_all(&sp, edits, n, JSON_INSERT_FIRST, arena));
    if (firsts && (survivors || lasts))
        add_part(&sp, STR(","));
    TRY(change_members(&sp, sorted, count, open, close));
    if (lasts) {
        size_t end = byte_before(doc, close) + 1; /* behind the last member, or the '{' */
        if (end > sp.at)
            copy_to(&sp, end);
        if (survivors)
            add_part(&sp, STR(","));
        TRY(insert_all(&sp, edits, n, JSON_INSERT_LAST, arena));
    }
    copy_to(&sp, doc.n);
    *ret_parts = sp.parts;
    *ret_count = sp.count;
    return OK;
}

err_t json_splice(struct buf *b, struct str doc, const struct json_top *top, const struct json_edit *edits, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    struct str *parts = NULL;
    size_t count = 0, before = b->n;

    arena_init(&arena, SIZE_MAX / 4);
    TRY(json_splice_parts(doc, top, edits, n, &arena, &parts, &count));
    for (size_t i = 0; i < count; i++) {
        err_t e = buf_add(b, parts[i]);
        if (e != OK) {
            b->n = before;
            return e;
        }
    }
    return OK;
}
