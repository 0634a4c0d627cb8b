/* traces.c - traces, read back. */
#include "pipeline/run/traces.h"

#include "codec/digest.h"
#include "pipeline/run/letters.h"

static SUSPENDS err_t read_trace(struct journal *j, const struct journal_record *r, struct arena *a,
                                 struct root_trace *ret)
{
    *ret = (struct root_trace){.id = r->id, .pipeline = r->pipeline, .at = r->at, .json = r->body.bytes};
    hex_encode(ret->hex, r->id.b, sizeof r->id.b);
    return r->body.is_blob ? journal_blob(j, r->body.sha256, a, &ret->json) : OK;
}

err_t traces_page(struct journal *j, struct str pipeline, uint64_t *after, struct arena *arena, struct root_trace **ret,
                  size_t *ret_count)
{
    const struct journal_query q = {.kind = JOURNAL_TRACES, .r = {.pipeline = pipeline}, .after = *after};
    struct journal_page page;

    TRY(journal_read(j, &q, arena, &page));
    *ret = arena_alloc(arena, (page.count + 1) * sizeof **ret);
    for (size_t i = 0; i < page.count; i++)
        TRY(read_trace(j, &page.records[i], arena, &(*ret)[i]));
    *ret_count = page.count;
    *after = page.next;
    return OK;
}

/* The id that begins so. */
static SUSPENDS err_t find_start(struct journal *j, struct str id, struct journal_id *ret)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    uint64_t after = 0;
    unsigned found = 0;

    do {
        struct root_trace *page;
        size_t count;
        TRY(traces_page(j, STR_NONE, &after, &a, &page, &count));
        for (size_t i = 0; i < count; i++)
            if (str_starts(str_from_c(page[i].hex), id)) {
                *ret = page[i].id;
                found++;
            }
        arena_clear(&a);
    } while (after);
    if (found > 1)
        return fail(E_CONFLICT, "%u traces begin with %.*s", found, STR_ARG(id));
    return found ? OK : fail(E_NOT_FOUND, "there is no trace %.*s", STR_ARG(id));
}

err_t traces_find(struct journal *j, struct str id, struct arena *arena, struct root_trace *ret)
{
    struct journal_query q = {.kind = JOURNAL_TRACE, .limit = 1};
    struct journal_page page;

    TRY(letters_check_id(id));
    if (!hex_decode(q.r.id.b, sizeof q.r.id.b, id))
        TRY(find_start(j, id, &q.r.id));
    TRY(journal_read(j, &q, arena, &page));
    if (!page.count)
        return fail(E_NOT_FOUND, "there is no trace %.*s", STR_ARG(id));
    return read_trace(j, &page.records[0], arena, ret);
}
