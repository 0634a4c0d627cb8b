/*
 * letter.c - a dead letter's words, and the verdicts that a root is run again under.
 *
 * The idea: a root that is run again, after a crash or for a replay, goes the same way as before, since ids are the same and what was paid for is recorded.
 * So a replay needs no engine of its own. All it needs is to know which records are not to be tried, which are, and with what in them: the verdicts.
 * They are looked up by the record's id, one after the other: a root has few.
 */
#include "pipeline/run/letter.h"

#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

#include <string.h>

/* --- words --- */

/* Enough to know the same record again, without comparing bodies. */
static void put_fingerprint(struct json_out *o, struct str json)
{
    unsigned char hash[SHA256_BYTES];
    char hex[2 * 8];

    sha256(json, hash);
    hex_encode(hex, hash, sizeof hex / 2);
    json_member_str(o, STR("fingerprint"), str_of(hex, sizeof hex));
}

static void put_record(struct json_out *o, struct expr_value value)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(LETTER_RECORD_MAX);

    if (expr_value_print(value, &text) != OK) {
        json_member_bool(o, STR("too_large"), true);
        return;
    }
    put_fingerprint(o, buf_str(&text));
    json_member_raw(o, STR("record"), buf_str(&text));
}

err_t letter_write(const struct record *rec, err_t cause, struct buf *to)
{
    const struct root *r = rec->root;
    const struct pipeline_spec *s = r->shard->spec;
    const struct verdict *v = letter_verdict(rec);
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("error"), str_from_c(err_detail(cause)));
    json_member_u64(&o, STR("version"), s->version);
    json_member_str(&o, STR("digest"), str_from_c(s->digest));
    json_member_str(&o, STR("source"), s->nodes[r->source]->name);
    if (r->key.p)
        json_member_str(&o, STR("key"), r->key);
    json_member_i64(&o, STR("sent_at"), r->at);
    json_member_u64(&o, STR("replays"), v ? v->replays : 0);
    put_record(&o, rec->value);
    json_close(&o, '}');
    return buf_status(to);
}

bool letter_is_replayed(const struct journal_record *letter)
{
    return letter->count > 0 && letter->due >= letter->at;
}

struct str letter_step(struct arena *a, const char *prefix, const struct journal_id *id)
{
    char hex[2 * sizeof id->b];

    hex_encode(hex, id->b, sizeof id->b);
    return arena_printf(a, "%s%.*s", prefix, (int)sizeof hex, hex);
}

/* --- verdicts --- */

static struct verdict *find(const struct root *r, const struct journal_id *id)
{
    for (size_t i = 0; i < r->verdict_count; i++)
        if (memcmp(r->verdicts[i].id.b, id->b, sizeof id->b) == 0)
            return &r->verdicts[i];
    return NULL;
}

/* The verdict about that record, made if there is none yet. */
static struct verdict *verdict_of(struct root *r, const struct journal_id *id)
{
    struct verdict *v = find(r, id);

    if (v)
        return v;
    if (!(r->verdict_count & (r->verdict_count - 1))) { /* it is full: 0, 1, 2, 4… */
        struct verdict *more = arena_alloc(&r->arena, 2 * (r->verdict_count + 1) * sizeof *more);
        if (r->verdict_count)
            memcpy(more, r->verdicts, r->verdict_count * sizeof *more);
        r->verdicts = more;
    }
    v = &r->verdicts[r->verdict_count++];
    *v = (struct verdict){.id = *id};
    return v;
}

static bool is_step(struct str item, const char *prefix, struct journal_id *ret_id)
{
    struct str start = str_from_c(prefix);

    return str_starts(item, start) && hex_decode(ret_id->b, sizeof ret_id->b, str_slice(item, start.n, item.n));
}

static err_t recall_decision(struct root *r, const struct recorded *step)
{
    const struct json_tree *tree;
    struct journal_id id;

    if (is_step(step->item, LETTER_DROP, &id)) {
        verdict_of(r, &id)->kind = VERDICT_DROPPED;
    } else if (is_step(step->item, LETTER_EDIT, &id)) {
        TRY(err_context(json_tree_parse(&r->arena, step->outputs, &tree), "an edited dead letter"));
        struct verdict *v = verdict_of(r, &id);
        v->is_edited = true;
        v->edited = expr_json(json_tree_root(tree));
    }
    return OK;
}

/* How often it was replayed in all: a letter that came back says how often before. */
static unsigned replays_of(const struct journal_record *letter, struct arena *a)
{
    const struct json_tree *tree;
    int64_t before = 0;

    if (!letter->body.is_blob && json_tree_parse(a, letter->body.bytes, &tree) == OK)
        (void)json_node_i64(json_node_get(json_tree_root(tree), STR("replays")), &before);
    return letter->count + (unsigned)before;
}

static SUSPENDS err_t recall_letters(struct root *r)
{
    struct journal_query q = {.kind = JOURNAL_DEADS_OF, .r = {.root = r->id}};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    do {
        struct journal_page page;
        TRY(journal_read(r->shard->journal, &q, &a, &page));
        for (size_t i = 0; i < page.count; i++) {
            struct verdict *v = verdict_of(r, &page.records[i].id);
            v->replays = replays_of(&page.records[i], &a);
            v->kind = letter_is_replayed(&page.records[i]) ? VERDICT_AGAIN : VERDICT_DEAD;
            r->has_dead = r->has_dead || v->kind == VERDICT_DEAD;
        }
        q.after = page.next;
        arena_clear(&a);
    } while (q.after);
    return OK;
}

err_t letter_recall(struct root *r)
{
    for (size_t i = 0; i < r->recorded_count; i++)
        TRY(recall_decision(r, &r->recorded[i]));
    return recall_letters(r);
}

const struct verdict *letter_verdict(const struct record *rec)
{
    return rec->root->verdict_count ? find(rec->root, &rec->id) : NULL;
}

void letter_settle(const struct record *rec)
{
    const struct verdict *v = letter_verdict(rec);

    if (!v || v->kind != VERDICT_AGAIN)
        return;
    const struct journal_op gone = {.kind = JOURNAL_DEAD_DELETE, .r = {.id = rec->id}};
    clerk_note(rec->root->shard->clerk, &gone);
}
