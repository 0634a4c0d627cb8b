/*
 * letters.c - what people do with dead letters, as commits to the journal.
 *
 * Each is one commit, so it has come about or not. A replay opens the letter's root again and notes the time at the letter: the engine tries the records of
 * such letters, and of no others (pipeline/run/letter.h). An edit, and giving up, are steps of the root.
 */
#include "pipeline/run/letters.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/json_tree.h"
#include "pipeline/run/letter.h"
#include "pipeline/run/message.h"
#include "pipeline/run/version.h"
#include "rt/loop.h"

#include <string.h>

/* --- reading --- */

static SUSPENDS err_t body_of(struct journal *j, const struct journal_record *r, struct arena *a, struct str *ret)
{
    *ret = r->body.bytes;
    return r->body.is_blob ? journal_blob(j, r->body.sha256, a, ret) : OK;
}

static uint64_t number_of(struct json_node o, struct str key)
{
    int64_t n;

    return json_node_i64(json_node_get(o, key), &n) && n > 0 ? (uint64_t)n : 0;
}

static struct str text_of(struct json_node o, struct str key, struct arena *a)
{
    struct json_node v = json_node_get(o, key);

    return json_node_is_set(v) ? json_node_text(v, a) : STR_NONE;
}

static SUSPENDS err_t read_letter(struct journal *j, const struct journal_record *r, struct arena *a,
                                  struct dead_letter *ret)
{
    const struct json_tree *tree;
    struct str body;

    TRY(body_of(j, r, a, &body));
    bool is_document = json_tree_parse(a, body, &tree) == OK;
    struct json_node o = is_document ? json_tree_root(tree) : JSON_ABSENT, record = json_node_get(o, STR("record"));
    *ret = (struct dead_letter){
        .id = r->id,
        .root = r->root,
        .pipeline = r->pipeline,
        .node = r->node,
        .cause = r->cause,
        .error = is_document ? text_of(o, STR("error"), a) : body, /* of a message that never became a record: words */
        .source = text_of(o, STR("source"), a),
        .key = text_of(o, STR("key"), a),
        .record = json_is_absent(record) ? STR_NONE : json_node_raw(record),
        .fingerprint = text_of(o, STR("fingerprint"), a),
        .digest = text_of(o, STR("digest"), a),
        .version = number_of(o, STR("version")),
        .at = r->at,
        .sent_at = (int64_t)number_of(o, STR("sent_at")),
        .replays = number_of(o, STR("replays")) + r->count,
        .is_replayed = letter_is_replayed(r),
    };
    hex_encode(ret->hex, r->id.b, sizeof r->id.b);
    return OK;
}

/* What it was edited to, if anybody has. */
static SUSPENDS err_t read_edit(struct journal *j, struct arena *a, struct dead_letter *l)
{
    struct journal_query q = {.kind = JOURNAL_STEPS, .r = {.root = l->root}};
    struct str name = letter_step(a, LETTER_EDIT, &l->id);

    do {
        struct journal_page page;
        TRY(journal_read(j, &q, a, &page));
        for (size_t i = 0; i < page.count; i++)
            if (str_eq(page.records[i].node, name))
                return body_of(j, &page.records[i], a, &l->edited);
        q.after = page.next;
    } while (q.after);
    return OK;
}

err_t letters_page(struct journal *j, const struct letter_filter *filter, uint64_t *after, struct arena *arena,
                   struct dead_letter **ret, size_t *ret_count)
{
    const struct journal_query q = {.kind = JOURNAL_DEADS,
                                    .r = {.pipeline = filter->pipeline, .node = filter->node, .cause = filter->cause},
                                    .after = *after};
    struct journal_page page;

    TRY(journal_read(j, &q, arena, &page));
    *ret = arena_alloc(arena, (page.count + 1) * sizeof **ret);
    *ret_count = 0;
    for (size_t i = 0; i < page.count; i++)
        if (!filter->before || page.records[i].at < filter->before)
            TRY(read_letter(j, &page.records[i], arena, &(*ret)[(*ret_count)++]));
    *after = page.next;
    return OK;
}

err_t letters_check_id(struct str id)
{
    bool is_hex = id.n >= LETTER_ID_SHORTEST && id.n <= LETTER_ID_HEX;

    for (size_t i = 0; i < id.n && is_hex; i++)
        is_hex = (id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f');
    return is_hex ? OK
                  : fail(E_PARSE, "%.*s is no id: %d to %d digits of 0-9 and a-f", STR_ARG(id), LETTER_ID_SHORTEST,
                         LETTER_ID_HEX);
}

/* The one letter whose id begins so; E_CONFLICT if there are several. */
static SUSPENDS err_t find_start(struct journal *j, struct str id, struct journal_record *ret, bool *ret_found)
{
    struct journal_query q = {.kind = JOURNAL_DEADS};
    struct arena passing CLEANUP(arena_release) = {.max = SIZE_MAX};

    *ret_found = false;
    do {
        struct journal_page page;
        TRY(journal_read(j, &q, &passing, &page));
        for (size_t i = 0; i < page.count; i++) {
            char hex[LETTER_ID_HEX];
            hex_encode(hex, page.records[i].id.b, sizeof page.records[i].id.b);
            if (!str_starts(str_of(hex, sizeof hex), id))
                continue;
            if (*ret_found)
                return fail(E_CONFLICT, "several dead letters begin with %.*s", STR_ARG(id));
            *ret_found = true;
            *ret = (struct journal_record){.id = page.records[i].id};
        }
        q.after = page.next;
        arena_clear(&passing);
    } while (q.after);
    return OK;
}

err_t letters_find(struct journal *j, struct str id, struct arena *arena, struct dead_letter *ret)
{
    struct journal_query q = {.kind = JOURNAL_DEAD, .limit = 1};
    struct journal_page page;
    bool found = true;

    TRY(letters_check_id(id));
    if (!hex_decode(q.r.id.b, sizeof q.r.id.b, id))
        TRY(find_start(j, id, &q.r, &found));
    if (found)
        TRY(journal_read(j, &q, arena, &page));
    if (!found || !page.count)
        return fail(E_NOT_FOUND, "there is no dead letter %.*s", STR_ARG(id));
    TRY(read_letter(j, &page.records[0], arena, ret));
    return read_edit(j, arena, ret);
}

/* --- showing --- */

static void put_hex(struct json_out *o, struct str key, const struct journal_id *id)
{
    char hex[2 * sizeof id->b];

    hex_encode(hex, id->b, sizeof id->b);
    json_member_str(o, key, str_of(hex, sizeof hex));
}

void letter_put(const struct dead_letter *l, struct json_out *o)
{
    json_open(o, '{');
    put_hex(o, STR("id"), &l->id);
    put_hex(o, STR("root"), &l->root);
    json_member_str(o, STR("pipeline"), l->pipeline);
    json_member_str(o, STR("node"), l->node);
    json_member_str(o, STR("cause"), l->cause);
    json_member_str(o, STR("error"), l->error);
    json_member_str(o, STR("source"), l->source);
    if (l->key.p)
        json_member_str(o, STR("key"), l->key);
    json_member_i64(o, STR("at"), l->at);
    json_member_i64(o, STR("sent_at"), l->sent_at);
    json_member_u64(o, STR("version"), l->version);
    json_member_str(o, STR("digest"), l->digest);
    json_member_u64(o, STR("replays"), l->replays);
    json_member_bool(o, STR("is_replayed"), l->is_replayed);
    if (l->fingerprint.p)
        json_member_str(o, STR("fingerprint"), l->fingerprint);
    if (l->record.p)
        json_member_raw(o, STR("record"), l->record);
    if (l->edited.p)
        json_member_raw(o, STR("edited"), l->edited);
    json_close(o, '}');
}

err_t letters_groups(struct journal *j, struct str pipeline, struct arena *arena, struct letter_group **ret,
                     size_t *ret_count)
{
    const struct journal_query q = {.kind = JOURNAL_DEAD_GROUPS, .r = {.pipeline = pipeline}};
    struct journal_page page;

    TRY(journal_read(j, &q, arena, &page));
    *ret = arena_alloc(arena, (page.count + 1) * sizeof **ret);
    for (size_t i = 0; i < page.count; i++) {
        const struct journal_record *g = &page.records[i];
        (*ret)[i] = (struct letter_group){.pipeline = g->pipeline,
                                          .node = g->node,
                                          .cause = g->cause,
                                          .count = g->count,
                                          .first = g->at,
                                          .last = g->due};
    }
    *ret_count = page.count;
    return OK;
}

void letter_group_put(const struct letter_group *g, struct json_out *o)
{
    json_open(o, '{');
    json_member_str(o, STR("pipeline"), g->pipeline);
    json_member_str(o, STR("node"), g->node);
    json_member_str(o, STR("cause"), g->cause);
    json_member_u64(o, STR("count"), g->count);
    json_member_i64(o, STR("first"), g->first);
    json_member_i64(o, STR("last"), g->last);
    json_close(o, '}');
}

struct letter_group letter_group_take(struct json_node o, struct arena *a)
{
    return (struct letter_group){.pipeline = text_of(o, STR("pipeline"), a),
                                 .node = text_of(o, STR("node"), a),
                                 .cause = text_of(o, STR("cause"), a),
                                 .count = number_of(o, STR("count")),
                                 .first = (int64_t)number_of(o, STR("first")),
                                 .last = (int64_t)number_of(o, STR("last"))};
}

static bool get_hex(struct json_node o, struct str key, struct arena *a, struct journal_id *ret)
{
    return hex_decode(ret->b, sizeof ret->b, json_get_text(o, key, a));
}

static struct str raw_of(struct json_node o, struct str key, struct arena *a)
{
    struct json_node v = json_node_get(o, key);

    return json_is_absent(v) ? STR_NONE : arena_str(a, json_node_raw(v));
}

err_t letter_take(struct json_node o, struct arena *a, struct dead_letter *ret)
{
    struct dead_letter l = {
        .pipeline = text_of(o, STR("pipeline"), a),
        .node = text_of(o, STR("node"), a),
        .cause = text_of(o, STR("cause"), a),
        .error = text_of(o, STR("error"), a),
        .source = text_of(o, STR("source"), a),
        .key = text_of(o, STR("key"), a),
        .record = raw_of(o, STR("record"), a),
        .edited = raw_of(o, STR("edited"), a),
        .fingerprint = text_of(o, STR("fingerprint"), a),
        .digest = text_of(o, STR("digest"), a),
        .version = number_of(o, STR("version")),
        .at = (int64_t)number_of(o, STR("at")),
        .sent_at = (int64_t)number_of(o, STR("sent_at")),
        .replays = number_of(o, STR("replays")),
        .is_replayed = json_get_true(o, STR("is_replayed")),
    };

    if (!get_hex(o, STR("id"), a, &l.id) || !get_hex(o, STR("root"), a, &l.root))
        return fail(E_PARSE, "that is no dead letter: it has no id, or no root");
    hex_encode(l.hex, l.id.b, sizeof l.id.b);
    *ret = l;
    return OK;
}

err_t letters_wait_for(struct journal *j, const struct journal_id *root, bool *ret)
{
    struct journal_query q = {.kind = JOURNAL_DEADS_OF, .r = {.root = *root}};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    *ret = false;
    do {
        struct journal_page page;
        TRY(journal_read(j, &q, &a, &page));
        for (size_t i = 0; i < page.count; i++)
            *ret = *ret || letter_is_replayed(&page.records[i]);
        q.after = page.next;
        arena_clear(&a);
    } while (q.after && !*ret);
    return OK;
}

err_t letters_kept(struct journal *j, const struct dead_letter *l, struct letter_kept *ret)
{
    static const enum journal_query_kind kinds[] = {JOURNAL_STEPS, JOURNAL_EFFECTS};
    uint64_t counts[ARRAY_LEN(kinds)] = {0};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct journal_query q = {.kind = kinds[k], .r = {.root = l->root}};
        do {
            struct journal_page page;
            TRY(journal_read(j, &q, &a, &page));
            for (size_t i = 0; i < page.count; i++)
                counts[k] += kinds[k] == JOURNAL_EFFECTS ? page.records[i].state == EFFECT_DONE
                                                         : page.records[i].node.p[0] != LETTER_EDIT[0];
            q.after = page.next;
            arena_clear(&a);
        } while (q.after);
    }
    *ret = (struct letter_kept){counts[0], counts[1]};
    return OK;
}

/* --- deciding --- */

static struct journal_op step_op(const struct dead_letter *l, struct str name, struct str body)
{
    return (struct journal_op){
        .kind = JOURNAL_STEP_PUT,
        .r = {.root = l->root, .node = name, .at = rt_wall(), .body = {.form = BODY_OUTPUTS, .bytes = body}}};
}

err_t letters_edit(struct journal *j, const struct dead_letter *l, struct str record)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct json_tree *tree;

    if (record.n > LETTER_RECORD_MAX)
        return fail(E_TOO_LARGE, "a record of %zu bytes; at most %d", record.n, LETTER_RECORD_MAX);
    TRY(err_context(json_tree_parse(&a, record, &tree), "the new record"));
    struct journal_op op = step_op(l, letter_step(&a, LETTER_EDIT, &l->id), record);
    return journal_commit(j, &op, 1, JOURNAL_SYNC);
}

err_t letters_drop(struct journal *j, const struct dead_letter *l)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_op ops[] = {step_op(l, letter_step(&a, LETTER_DROP, &l->id), STR("true")),
                               {.kind = JOURNAL_DEAD_DELETE, .r = {.id = l->id}}};

    err_t e = journal_commit(j, ops, 2, JOURNAL_SYNC);
    return e == E_NOT_FOUND ? journal_commit(j, ops + 1, 1, JOURNAL_SYNC) : e; /* its root is no more */
}

/* What the journal has of the letter's root. */
struct found {
    bool is_there, is_under_way;
    uint64_t version; /* that took it in */
};

static SUSPENDS err_t find_root(struct journal *j, const struct dead_letter *l, struct found *ret)
{
    const struct journal_query q = {.kind = JOURNAL_ROOT, .r = {.id = l->root}};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_page page;
    struct str packed;

    *ret = (struct found){.is_there = false};
    TRY(journal_read(j, &q, &a, &page));
    if (!page.count)
        return OK;
    TRY(body_of(j, &page.records[0], &a, &packed));
    *ret = (struct found){true, page.records[0].state == ROOT_OPEN, message_version(packed)};
    return OK;
}

/* At that instant; in that version, which is wanted from then on (NULL: in whichever is there). */
static SUSPENDS err_t try_again(struct journal *j, const struct dead_letter *l, int64_t due, const uint64_t *version,
                                bool *ret_is_tried)
{
    char key[VERSION_KEY + 1], root[LETTER_ID_HEX], now[8];
    struct journal_op ops[4] = {{.kind = JOURNAL_ROOT_REOPEN, .r = {.id = l->root, .due = due}},
                                {.kind = JOURNAL_DEAD_REPLAYED, .r = {.id = l->id, .at = rt_wall()}}};
    size_t n = 2;

    if (version)
        ops[n++] = version_want(l->pipeline, *version, key);
    if (journal_is_shared(j)) { /* who has the root may be another process */
        hex_encode(root, l->root.b, sizeof l->root.b);
        be64_put(now, (uint64_t)rt_wall());
        ops[n++] = (struct journal_op){.kind = JOURNAL_STATE_PUT,
                                       .r = {.pipeline = l->pipeline,
                                             .node = LETTER_REPLAYS,
                                             .key = str_of(root, sizeof root),
                                             .body = {.form = BODY_OUTPUTS, .bytes = str_of(now, sizeof now)}}};
    }
    TRY(journal_commit(j, ops, n, JOURNAL_SYNC));
    *ret_is_tried = ops[1].outcome == JOURNAL_CAME_ABOUT;
    return OK;
}

err_t letters_replay(struct journal *j, const struct dead_letter *letters, size_t count, ns_t interval,
                     size_t *ret_count)
{
    int64_t now = rt_wall();

    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct found root;
        bool is_tried;
        TRY(find_root(j, &letters[i], &root));
        if (!root.is_there)
            continue;
        TRY(try_again(j, &letters[i], now + (int64_t)*ret_count * interval, NULL, &is_tried));
        *ret_count += is_tried;
    }
    return OK;
}

/* Can it be tried again in its own version? Nothing is left to try if its root is gone, and that is no error. */
static SUSPENDS err_t check_original(struct journal *j, const struct dead_letter *l, struct found *ret)
{
    bool is_kept, is_wanted;

    TRY(find_root(j, l, ret));
    if (!ret->is_there)
        return OK;
    if (ret->is_under_way)
        return fail(E_CONFLICT,
                    "%.12s: its message is under way, or about to be tried again: replay it when that has ended",
                    l->hex);
    TRY(version_stands(j, l->pipeline, ret->version, &is_kept, &is_wanted));
    return is_kept ? OK
                   : fail(E_NOT_FOUND,
                          "%.12s: the version of the pipeline \"%.*s\" that took its message in (%016llx) is not kept "
                          "any more: replay it without \"original\", in the present version",
                          l->hex, STR_ARG(l->pipeline), (unsigned long long)ret->version);
}

err_t letters_replay_original(struct journal *j, const struct dead_letter *letters, size_t count, size_t *ret_count)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct found *roots = arena_alloc(&a, (count + 1) * sizeof *roots);

    *ret_count = 0;
    for (size_t i = 0; i < count; i++)
        TRY(check_original(j, &letters[i], &roots[i]));
    for (size_t i = 0; i < count; i++) {
        bool is_tried;
        if (!roots[i].is_there)
            continue;
        TRY(try_again(j, &letters[i], rt_wall(), &roots[i].version, &is_tried));
        *ret_count += is_tried;
    }
    return OK;
}
