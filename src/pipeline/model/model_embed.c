/*
 * model_embed.c - embeddings: the texts of several records go in one request, and each record gets its own vectors, by index.
 *
 * The first record that comes opens a batch and waits for others, until there are `batch` of them or `linger` is over; then its fiber asks for all, and hands
 * out what came. Who waits in a batch lies on its own fiber's stack, and leaves it when that is cancelled or late. If it is the asker that goes, the
 * others open another batch. A request that is refused for good is asked again by each record alone: so one text that no model takes fails its own record, and
 * not its neighbours.
 */
#include "pipeline/model/model.h"

#include "base/list.h"
#include "base/mem.h"
#include "codec/json_out.h"
#include "rt/loop.h"

enum { REQUEST_MAX = 32 << 20, TEXTS_MAX = 2048 };

enum member_state { WAITS, IS_DONE, IS_ALONE, IS_ORPHANED };

/* A record in a batch. */
struct member {
    struct list link;
    struct step *step;
    struct fiber *fiber;
    struct str *texts;
    size_t count, first; /* of its texts in the request */
    bool is_list;        /* it gave an array, and gets one */
    enum member_state state;
    err_t error;
    struct err_record words; /* of it */
    struct expr_value vectors;
};

struct batch_open {
    struct list members;
    size_t count;
    struct fiber *asker; /* sleeps until it is full; NULL: it does not */
};

/* Of a node. */
struct batches {
    struct batch_open *open[2]; /* [1]: of those that are late, which ask another route; NULL: none */
};

void model_embed_drop(void *batches)
{
    mem_free(batches);
}

static struct batches *batches_of(const struct step *s)
{
    void **kept = step_kept(s);

    if (!*kept)
        *kept = NEW(struct batches);
    return *kept;
}

/* Where the batch that is open for the step stands. */
static struct batch_open **open_of(const struct step *s)
{
    return &batches_of(s)->open[s->is_degraded];
}

/* --- the record's texts --- */

static err_t take_text(struct member *m, struct expr_value v)
{
    if (v.kind != JSON_STRING)
        return fail(E_UNSUPPORTED, "what is to be embedded is no text");
    if (m->count == TEXTS_MAX)
        return fail(E_TOO_LARGE, "more than %d texts are to be embedded", TEXTS_MAX);
    return expr_value_text(v, step_arena(m->step), &m->texts[m->count++]);
}

static err_t read_texts(struct member *m)
{
    const struct model_node *c = m->step->node->config;
    struct arena *a = step_arena(m->step);
    struct buf text CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);
    struct expr_value v;
    const struct json_tree *tree;

    TRY(step_eval(m->step, c->input_expr, &v));
    m->is_list = v.kind == JSON_ARRAY;
    m->texts = arena_alloc(a, (m->is_list ? TEXTS_MAX : 1) * sizeof *m->texts);
    if (!m->is_list)
        return take_text(m, v);
    TRY(expr_value_print(v, &text));
    TRY(json_tree_parse(a, arena_str(a, buf_str(&text)), &tree));
    JSON_EACH(w, json_tree_root(tree))
        TRY(take_text(m, expr_json(w.value)));
    return OK;
}

/* --- the request --- */

static err_t write_request(struct list *members, struct str route, struct buf *to)
{
    struct json_out o = json_out_to(to);
    size_t at = 0;

    json_open(&o, '{');
    json_member_str(&o, STR("model"), route);
    json_member_str(&o, STR("encoding_format"), STR("float"));
    json_key(&o, STR("input"));
    json_open(&o, '[');
    for (struct list *l = members->next; l != members; l = l->next) {
        struct member *m = CONTAINER_OF(l, struct member, link);
        m->first = at;
        at += m->count;
        for (size_t i = 0; i < m->count; i++)
            json_put_str(&o, m->texts[i]);
    }
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

/* --- the answer --- */

/* Vectors by the index that the answer gives them; absent ones are an error of whose they are. */
static err_t read_vectors(struct str body, size_t count, struct arena *a, struct json_node **ret)
{
    const struct json_tree *tree;
    struct json_node *found = arena_zalloc(a, (count + 1) * sizeof *found);

    TRY(err_context(json_tree_parse(a, body, &tree), "the embeddings are no JSON document"));
    JSON_EACH(w, json_node_get(json_tree_root(tree), STR("data"))) {
        int64_t index;
        if (!json_node_i64(json_node_get(w.value, STR("index")), &index) || index < 0 || (uint64_t)index >= count)
            return fail(E_PROTOCOL, "an embedding has no index among the %zu that were asked for", count);
        found[index] = json_node_get(w.value, STR("embedding"));
    }
    *ret = found;
    return OK;
}

static err_t take_vectors(struct member *m, const struct json_node *found)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);
    struct arena *a = step_arena(m->step);
    const struct json_tree *tree;

    for (size_t i = 0; i < m->count; i++) {
        struct json_node v = found[m->first + i];
        if (!json_node_is(v, JSON_ARRAY))
            return fail(E_PROTOCOL, "the embedding of text %zu is missing", i);
        (void)buf_addf(&text, "%s%.*s", i ? "," : m->is_list ? "[" : "", STR_ARG(json_node_raw(v)));
    }
    if (m->is_list)
        (void)buf_addf(&text, "%s]", m->count ? "" : "[");
    TRY(buf_status(&text));
    TRY(json_tree_parse(a, arena_str(a, buf_str(&text)), &tree));
    m->vectors = expr_json(json_tree_root(tree));
    return OK;
}

/* --- a batch --- */

static void release(struct member *m, enum member_state state, err_t e)
{
    m->state = state;
    m->error = e;
    if (e != OK)
        m->words = *err_current();
    list_remove(&m->link);
    fiber_wake(m->fiber);
}

static size_t texts_in(const struct list *members)
{
    size_t n = 0;

    for (const struct list *l = members->next; l != members; l = l->next)
        n += CONTAINER_OF(l, struct member, link)->count;
    return n;
}

static void hand_out(struct batch_open *b, const struct inner_answer *answer, const struct model_bill *bill,
                     const struct json_node *found)
{
    size_t share = b->count;

    LIST_EACH(node, next, &b->members) {
        struct member *m = CONTAINER_OF(node, struct member, link);
        err_t e = take_vectors(m, found);
        if (e == OK)
            e = model_note(m->step, answer, bill, share);
        release(m, IS_DONE, e);
    }
}

static SUSPENDS err_t ask_for(struct step *s, struct batch_open *b)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);
    struct model_bill bill = {0};
    struct inner_answer answer;
    struct json_node *found;
    size_t texts = texts_in(&b->members);

    TRY(write_request(&b->members, model_route(s), &body));
    TRY(model_ask(s, STR("/v1/embeddings"), buf_str(&body), &bill, &answer));
    TRY(read_vectors(answer.body, texts, step_arena(s), &found));
    hand_out(b, &answer, &bill, found);
    return OK;
}

/* What becomes of the others if the asker's own time is over, or the request is refused for good; else it is everybody's failure. */
static enum member_state state_after(const struct batch_open *b, err_t e)
{
    if (e == E_CANCELLED || e == E_DEADLINE)
        return IS_ORPHANED; /* they may have more time */
    return e == E_FORBIDDEN && b->count > 1 ? IS_ALONE : IS_DONE;
}

static void share_failure(struct batch_open *b, const struct member *asker, err_t e)
{
    enum member_state state = state_after(b, e);

    LIST_EACH(node, next, &b->members) {
        struct member *m = CONTAINER_OF(node, struct member, link);
        bool is_over = state == IS_DONE || (m == asker && state == IS_ORPHANED);
        release(m, is_over ? IS_DONE : state, is_over ? e : OK);
    }
}

static SUSPENDS err_t wait_for_others(struct batch_open **open, struct batch_open *b, ns_t linger)
{
    ns_t until = ns_add(rt_now(), linger);
    err_t e = OK;

    b->asker = fiber_current();
    while (e == OK && *open == b)
        e = fiber_park("more to embed", until);
    b->asker = NULL;
    if (*open == b)
        *open = NULL;
    return e == E_AGAIN ? OK : e;
}

static void join(struct batch_open **open, struct batch_open *b, struct member *m, size_t most)
{
    m->state = WAITS;
    m->fiber = fiber_current();
    list_push_back(&b->members, &m->link);
    if (++b->count < most)
        return;
    if (*open == b)
        *open = NULL;
    if (b->asker)
        fiber_wake(b->asker);
}

/* Open a batch, and ask for all who come. */
static SUSPENDS void lead(struct member *m, size_t most)
{
    const struct model_node *c = m->step->node->config;
    struct batch_open **open = open_of(m->step);
    struct batch_open b = {.count = 0};
    err_t e = OK;

    list_init(&b.members);
    if (most > 1)
        *open = &b;
    join(open, &b, m, most);
    if (most > 1)
        e = wait_for_others(open, &b, c->linger);
    if (e == OK)
        e = ask_for(m->step, &b);
    if (e != OK)
        share_failure(&b, m, e);
    list_remove(&m->link); /* nobody is in a batch that is over */
}

static SUSPENDS err_t follow(struct member *m, size_t most)
{
    struct batch_open **open = open_of(m->step), *b = *open;
    err_t e = OK;

    join(open, b, m, most);
    while (e == OK && m->state == WAITS)
        e = fiber_park("embeddings", NS_NEVER);
    if (m->state == WAITS) { /* the batch goes on without it */
        list_remove(&m->link);
        return e;
    }
    return OK;
}

static SUSPENDS err_t get_vectors(struct member *m)
{
    const struct model_node *c = m->step->node->config;
    size_t most = c->batch;

    for (;;) {
        if (most > 1 && *open_of(m->step))
            TRY(follow(m, most));
        else
            lead(m, most);
        if (m->state == IS_DONE)
            break;
        most = m->state == IS_ALONE ? 1 : most;
    }
    if (m->error != OK)
        *err_current() = m->words;
    return m->error;
}

err_t model_embed(struct step *s)
{
    struct member m = {.step = s};

    TRY(read_texts(&m));
    if (m.count == 0) {
        m.vectors = expr_strings(NULL, 0); /* of no texts: no vectors, and nobody is asked */
        return step_send(s, m.vectors);
    }
    TRY(get_vectors(&m));
    return step_send(s, m.vectors);
}
