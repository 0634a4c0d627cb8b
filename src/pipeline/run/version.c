/*
 * version.c - a version as one body in the journal: the path of its file, then path and text of every file that was read for it, and of what registries said.
 *
 * It is a state of a node that no pipeline can have, under the version's number. Of one that is retired there is another beside it: until when.
 */
#include "pipeline/run/version.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/worker.h"

#include <stdio.h>
#include <string.h>

static const uint16_t FORM = 1, FORM_RETIRED = 1;
enum { UNTIL_BYTES = 8, RETIRED_BYTES = 24 }; /* of the first alone: nothing waited in those days */
#define VERSION_NODE STR(".versions")
#define RETIRED_NODE STR(".retired")

uint64_t version_of(const struct pipeline_spec *s)
{
    uint64_t version = 0;

    (void)!str_hex_to_u64(str_from_c(s->digest), UINT64_MAX, &version);
    return version;
}

static struct journal_record place_of(struct str node, struct str pipeline, uint64_t version, char key[VERSION_KEY + 1])
{
    (void)snprintf(key, VERSION_KEY + 1, "%016llx", (unsigned long long)version);
    return (struct journal_record){.pipeline = pipeline, .node = node, .key = str_of(key, VERSION_KEY)};
}

/* --- texts as bytes --- */

static err_t pack_text(struct str s, struct buf *to)
{
    char length[4];

    be32_put(length, (uint32_t)s.n);
    TRY(buf_add(to, str_of(length, sizeof length)));
    return buf_add(to, s);
}

static err_t pack(const struct pipeline_spec *s, struct buf *to)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    size_t count;
    const struct pipeline_text *texts = pipeline_texts(s, &arena, &count);

    for (size_t i = 0; i < count; i++) {
        TRY(pack_text(texts[i].path, to));
        TRY(pack_text(texts[i].text, to));
    }
    return OK;
}

/* The next of what is left; false: there is none. */
static bool unpack_text(struct str *rest, struct str *ret)
{
    if (rest->n < 4 || be32_get(rest->p) > rest->n - 4)
        return false;
    size_t n = be32_get(rest->p);
    *ret = str_slice(*rest, 4, 4 + n);
    *rest = str_slice(*rest, 4 + n, rest->n);
    return true;
}

static struct pipeline_text *unpack(struct arena *a, struct str packed, struct str *ret_path, size_t *ret_count)
{
    struct pipeline_text *all = NULL, one;
    size_t count = 0, cap = 0;

    *ret_path = STR_NONE;
    (void)unpack_text(&packed, ret_path);
    *ret_path = arena_str(a, *ret_path); /* as paths are: with a NUL behind it */
    while (unpack_text(&packed, &one.path) && unpack_text(&packed, &one.text)) {
        if (count == cap) {
            cap = cap ? 2 * cap : 8;
            struct pipeline_text *more = arena_alloc(a, cap * sizeof *more);
            if (count)
                memcpy(more, all, count * sizeof *more);
            all = more;
        }
        all[count++] = one;
    }
    *ret_count = count;
    return all;
}

/* --- keeping --- */

err_t version_keep(struct journal *j, const struct pipeline_spec *s)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    char key[VERSION_KEY + 1], again[VERSION_KEY + 1];
    struct journal_op ops[] = {
        {.kind = JOURNAL_STATE_PUT, .r = place_of(VERSION_NODE, s->name, version_of(s), key)},
        version_want(s->name, version_of(s), again),
    };

    if (!s->text_count)
        return OK;
    TRY(pack_text(s->path, &body));
    TRY(pack(s, &body));
    ops[0].r.body = (struct journal_body){.form = FORM, .bytes = buf_str(&body)};
    return journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC);
}

err_t version_retire(struct journal *j, struct str pipeline, const struct version_rest *rest, int64_t until)
{
    char key[VERSION_KEY + 1], instants[RETIRED_BYTES];
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = place_of(RETIRED_NODE, pipeline, rest->version, key)};

    be64_put(instants, (uint64_t)until);
    be64_put(instants + 8, (uint64_t)rest->rested);
    be64_put(instants + 16, (uint64_t)rest->due);
    op.r.body = (struct journal_body){.form = FORM_RETIRED, .bytes = str_of(instants, sizeof instants)};
    return journal_commit(j, &op, 1, JOURNAL_SYNC);
}

struct journal_op version_want(struct str pipeline, uint64_t version, char key[VERSION_KEY + 1])
{
    return (struct journal_op){.kind = JOURNAL_STATE_DELETE, .r = place_of(RETIRED_NODE, pipeline, version, key)};
}

err_t version_forget(struct journal *j, struct str pipeline, uint64_t version)
{
    char key[VERSION_KEY + 1], again[VERSION_KEY + 1];
    struct journal_op ops[] = {
        {.kind = JOURNAL_STATE_DELETE, .r = place_of(VERSION_NODE, pipeline, version, key)},
        version_want(pipeline, version, again),
    };

    return journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC);
}

/* --- how one stands --- */

/* Until when it is kept although nobody wants it, 0: it is not retired; and what it waits for, if `rest` is not NULL. */
static SUSPENDS err_t read_retired(struct journal *j, struct str pipeline, uint64_t version, int64_t *ret_until,
                                   struct version_rest *rest)
{
    char key[VERSION_KEY + 1];
    const struct journal_query q = {
        .kind = JOURNAL_STATES, .r = place_of(RETIRED_NODE, pipeline, version, key), .limit = 1};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;

    TRY(journal_read(j, &q, &arena, &page));
    struct str body = page.count ? page.records[0].body.bytes : STR_NONE;
    *ret_until = body.n >= UNTIL_BYTES ? (int64_t)be64_get(body.p) : 0;
    if (rest)
        *rest = (struct version_rest){
            .version = version,
            .rested = body.n == RETIRED_BYTES ? (int64_t)be64_get(body.p + 8) : 0,
            .due = body.n == RETIRED_BYTES ? (int64_t)be64_get(body.p + 16) : INT64_MAX,
        };
    return OK;
}

err_t version_stands(struct journal *j, struct str pipeline, uint64_t version, bool *ret_kept, bool *ret_wanted)
{
    char key[VERSION_KEY + 1];
    const struct journal_query q = {
        .kind = JOURNAL_STATES, .r = place_of(VERSION_NODE, pipeline, version, key), .limit = 1};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;
    int64_t until = 0;

    TRY(journal_read(j, &q, &arena, &page));
    if (page.count)
        TRY(read_retired(j, pipeline, version, &until, NULL));
    *ret_kept = page.count && (!until || until > rt_wall());
    *ret_wanted = page.count && !until;
    return OK;
}

/* Is that former version looked for, by how it is retired? */
static bool is_looked_for(int64_t until, bool retired)
{
    return retired ? until > rt_wall() : !until;
}

/* The next one that is wanted, or else retired, as it is kept; *ret NULL: there is none. On the way those whose time is over go. */
static SUSPENDS err_t next_former(struct journal *j, const struct pipeline_spec *current, bool retired, uint64_t *after,
                                  struct arena *arena, struct version_rest *rest, const struct journal_record **ret)
{
    struct journal_query q = {
        .kind = JOURNAL_STATES, .r = {.pipeline = current->name, .node = VERSION_NODE}, .after = *after, .limit = 1};
    struct journal_page page;
    uint64_t version;
    int64_t until;

    *ret = NULL;
    do {
        TRY(journal_read(j, &q, arena, &page));
        q.after = *after = page.next;
        if (!page.count)
            return OK;
        const struct journal_record *r = &page.records[0];
        if (!str_hex_to_u64(r->key, UINT64_MAX, &version) || version == version_of(current))
            continue;
        TRY(read_retired(j, current->name, version, &until, rest));
        if (is_looked_for(until, retired)) {
            *ret = r;
            return OK;
        }
        if (until && until <= rt_wall())
            TRY(version_forget(j, current->name, version));
    } while (q.after);
    return OK;
}

err_t version_resting(struct journal *j, const struct pipeline_spec *current, uint64_t *after, struct version_rest *ret,
                      bool *ret_any)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct journal_record *r;

    TRY(next_former(j, current, true, after, &arena, ret, &r));
    *ret_any = r != NULL;
    return OK;
}

err_t version_waits(struct journal *j, const struct pipeline_spec *current, bool *ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct journal_record *r;
    struct version_rest rest;
    uint64_t after = 0;

    TRY(next_former(j, current, false, &after, &arena, &rest, &r));
    *ret = r != NULL;
    return OK;
}

/* --- loading --- */

/* Owns all that it works on. */
struct loading {
    struct job job;
    struct pipeline_spec *current; /* whose connections count */
    struct arena arena;
    struct str packed;
    struct pipeline_spec *spec;
    err_t result;
    char words[256];
};

static void run_loading(struct job *job)
{
    struct loading *l = CONTAINER_OF(job, struct loading, job);
    struct problems problems = {.arena = &l->arena};
    struct pipeline_world world = {.env = config_env_real(), .connections = l->current->connections_};
    struct str path;

    world.texts = unpack(&l->arena, l->packed, &path, &world.text_count);
    l->result = pipeline_load(path, NULL, &world, &problems, &l->spec);
    if (l->result != OK)
        (void)snprintf(l->words, sizeof l->words, "%s", err_detail(l->result));
}

static void drop_loading(struct job *job)
{
    struct loading *l = CONTAINER_OF(job, struct loading, job);

    pipeline_unref(l->spec);
    pipeline_unref(l->current);
    arena_release(&l->arena);
    mem_free(l);
}

static SUSPENDS err_t load(struct pipeline_spec *current, struct str packed, struct pipeline_spec **ret)
{
    struct loading *l = NEW(struct loading);

    *l = (struct loading){.job = {.run = run_loading, .drop = drop_loading}, .current = pipeline_ref(current)};
    arena_init(&l->arena, SIZE_MAX);
    l->packed = arena_str(&l->arena, packed);
    TRY(worker_run(&l->job)); /* else it is dropped */
    err_t e = l->result == OK ? OK : fail(E_CONFIG, "%s", l->words);
    *ret = l->spec;
    l->spec = NULL;
    drop_loading(&l->job);
    return e;
}

err_t version_next(struct journal *j, struct pipeline_spec *current, uint64_t after, uint64_t *ret_after,
                   uint64_t *ret_version, struct pipeline_spec **ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct journal_record *r;
    struct version_rest rest;

    *ret = NULL;
    *ret_after = after;
    TRY(next_former(j, current, false, ret_after, &arena, &rest, &r));
    if (!r)
        return OK;
    *ret_version = rest.version;
    struct str packed = r->body.bytes;
    if (r->body.is_blob)
        TRY(journal_blob(j, r->body.sha256, &arena, &packed));
    return load(current, packed, ret);
}
