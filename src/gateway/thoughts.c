/*
 * thoughts.c - listening to answers for signed thoughts, and restoring them.
 *
 * One record per answer, under the id of each call in it: the thoughts in order, and the signatures of the calls themselves (Gemini's). Keys begin
 * with the caller's key, so nobody can ask for what was another's. Only the first choice is listened to: clients send back one.
 */
#include "gateway/thoughts.h"

#include "base/buf.h"
#include "codec/json_out.h"
#include "store/blobs.h"

enum { RECORD_MAX = 1024 * 1024, CALLS_MAX = 64 };

struct thoughts {
    struct exchange *x;
    struct buf text;      /* of the thought being told            */
    struct block *blocks; /* thoughts, and calls with a signature */
    struct block *open;   /* the one being told; NULL: not of interest */
    unsigned open_number;
    struct str calls[CALLS_MAX];
    size_t call_count;
    bool worth_it;
};

static void release(void *obj)
{
    buf_release(&((struct thoughts *)obj)->text);
}

struct thoughts *thoughts_new(struct exchange *x)
{
    if (!gateway_kept(x->gateway) || !is_translated(x) || x->speaks->signer == SIGNER_NONE ||
        x->endpoint.row->operation != OP_CHAT)
        return NULL;
    struct thoughts *t = arena_new(x->r->arena, struct thoughts);
    t->x = x;
    buf_init(&t->text, RECORD_MAX);
    arena_hold(x->r->arena, t, release);
    return t;
}

/* --- listening --- */

/* Some vendors demand thoughts back that nobody signed. */
static bool takes_unsigned(const struct exchange *x)
{
    return x->chosen->provider->vendor->quirks & QUIRK_REASONING_FIELD;
}

static void start_block(struct thoughts *t, const struct chat_event *e)
{
    struct arena *a = t->x->r->arena;
    bool is_call = e->block_kind == BLOCK_TOOL_CALL;

    t->open = NULL;
    if (e->block_kind != BLOCK_THINKING && e->block_kind != BLOCK_REDACTED && !is_call)
        return;
    if (is_call && t->call_count < CALLS_MAX)
        t->calls[t->call_count++] = arena_str(a, e->id);
    t->open = chat_add_block(&t->blocks, a, e->block_kind, JSON_ABSENT);
    t->open->id = is_call ? arena_str(a, e->id) : STR_NONE;
    t->open->signer = e->signer;
    t->open_number = e->block;
    buf_clear(&t->text);
    if (e->block_kind == BLOCK_REDACTED) {
        buf_add(&t->text, e->text);
        t->worth_it = true;
    }
}

void thoughts_hear(struct thoughts *t, const struct chat_event *e)
{
    if (!t || e->choice != 0)
        return;
    if (e->kind == CHAT_BLOCK_START) {
        start_block(t, e);
        return;
    }
    if (!t->open || e->block != t->open_number)
        return;
    if (e->kind == CHAT_TEXT && t->open->kind == BLOCK_THINKING) {
        buf_add(&t->text, e->text);
        t->worth_it = t->worth_it || takes_unsigned(t->x);
    }
    if (e->kind == CHAT_SIGNATURE) {
        t->open->signature = arena_str(t->x->r->arena, e->text);
        t->open->signer = e->signer;
        t->worth_it = true;
    }
    if (e->kind == CHAT_BLOCK_STOP) {
        t->open->text = arena_str(t->x->r->arena, buf_str(&t->text));
        t->open = NULL;
    }
}

static void put_block(struct json_out *o, const struct block *b)
{
    json_open(o, '{');
    json_member_u64(o, STR("kind"), b->kind);
    json_member_u64(o, STR("signer"), b->signer);
    json_member_str(o, STR("id"), b->id);
    json_member_str(o, STR("text"), b->text);
    json_member_str(o, STR("signature"), b->signature);
    json_close(o, '}');
}

static struct str key_of(struct exchange *x, struct str call_id)
{
    return arena_printf(x->r->arena, "thoughts/%.*s/%.*s", STR_ARG(x->facts.key), STR_ARG(call_id));
}

void thoughts_keep(struct thoughts *t)
{
    struct buf record CLEANUP(buf_release) = BUF_INIT(RECORD_MAX);
    struct json_out o = json_out_to(&record);

    if (!t || !t->worth_it || !t->call_count || t->text.overflow)
        return;
    json_open(&o, '[');
    for (const struct block *b = t->blocks; b; b = b->next)
        put_block(&o, b);
    json_close(&o, ']');
    if (buf_status(&record) != OK)
        return;
    for (size_t i = 0; i < t->call_count; i++)
        if (blobs_put(gateway_kept(t->x->gateway), key_of(t->x, t->calls[i]), buf_str(&record)) != OK)
            return; /* too large for the store: the provider will think anew */
}

/* --- restoring --- */

static const struct block *first_call(const struct turn *t)
{
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL)
            return b;
    return NULL;
}

/* Has the client brought what this provider's models thought? */
static bool is_complete(const struct exchange *x, const struct turn *t)
{
    enum signer signer = x->speaks->signer;

    for (const struct block *b = t->blocks; b; b = b->next)
        if ((b->signer == signer && (b->signature.n || b->kind == BLOCK_REDACTED)) ||
            (b->kind == BLOCK_THINKING && takes_unsigned(x)))
            return true;
    return false;
}

static void sign_call(struct turn *t, struct str id, struct str signature, enum signer signer)
{
    for (struct block *b = t->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_CALL || !str_eq(b->id, id))
            continue;
        b->signature = signature;
        b->signer = signer;
    }
}

/* The client's own copies of thoughts are replaced: they have lost their proof. */
static void drop_thoughts(struct turn *t)
{
    for (struct block **at = &t->blocks; *at;) {
        if ((*at)->kind == BLOCK_THINKING || (*at)->kind == BLOCK_REDACTED)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
}

static void restore_turn(struct exchange *x, struct turn *t, struct json_node record)
{
    struct arena *a = x->r->arena;
    struct block *front = NULL, **end = &front;
    int64_t kind, signer;

    JSON_EACH(w, record) {
        if (!json_node_i64(json_node_get(w.value, STR("kind")), &kind) ||
            !json_node_i64(json_node_get(w.value, STR("signer")), &signer) ||
            ((enum signer)signer != x->speaks->signer && !takes_unsigned(x)))
            continue;
        struct str signature = json_get_text(w.value, STR("signature"), a);
        if (kind == BLOCK_TOOL_CALL) {
            if (signature.n)
                sign_call(t, json_get_text(w.value, STR("id"), a), signature, (enum signer)signer);
            continue;
        }
        struct block *b = arena_new(a, struct block);
        *b = (struct block){.kind = (enum block_kind)kind,
                            .from = t->from,
                            .text = json_get_text(w.value, STR("text"), a),
                            .signature = signature,
                            .signer = (enum signer)signer};
        *end = b;
        end = &b->next;
    }
    if (!front)
        return;
    drop_thoughts(t);
    *end = t->blocks;
    t->blocks = front;
}

err_t thoughts_restore(struct exchange *x, struct chat_request *q)
{
    struct blobs *kept = gateway_kept(x->gateway);
    const struct json_tree *record;
    struct str text;

    if (!kept || x->speaks->signer == SIGNER_NONE)
        return OK;
    for (struct turn *t = q->turns; t; t = t->next) {
        const struct block *call = t->role == CHAT_ASSISTANT ? first_call(t) : NULL;
        if (!call || is_complete(x, t))
            continue;
        err_t e = blobs_get(kept, key_of(x, call->id), x->r->arena, &text);
        if (e == E_CANCELLED)
            return e;
        if (e == OK && json_tree_parse(x->r->arena, text, &record) == OK)
            restore_turn(x, t, json_tree_root(record));
    }
    return OK;
}
