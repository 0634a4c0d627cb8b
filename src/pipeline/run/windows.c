/*
 * windows.c - windows and joins by key: what is in them, in memory and in the journal, and when they close.
 *
 * In memory a window has its records as one JSON text, separated by commas, so a window of many small records costs little more than their bytes. In the
 * journal the text lies in pages, a state each. A new record is a new page; a page that has grown to half of the one before it becomes a part of that. So a
 * record is written again only as often as its page doubles, and a window has few pages however many records. Pages are written at the end of a round: what
 * came and went within one is never written.
 *
 * Time. Windows of `every` and `session` have a clock that the messages drive: the latest of their timestamps, which goes on with the time that passes
 * while nothing comes. So reading up on old messages closes old windows one after the other, as if they were read then, and the last window
 * closes without another message. After a restart the clock stands where it stood. Joins time out by the loop's clock; after a restart
 * what has passed since their first record is what the wall clock says, but never less than nothing.
 *
 * Of a join that fires before all of its inputs are there, the window stays empty until its time is over, and swallows what comes late: else that would begin
 * another.
 *
 * Invariants: a window is in `by_id` and in the list of its key; in `ends` if it closes at a time. `stored` of its pages are in the journal, those below
 * `clean` as they are here.
 *
 * Not done: all windows of a node are in memory; there is no limit on their number beside that of messages.
 */
#include "pipeline/run/windows.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "expr/value.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

#include <assert.h>
enum {
    PAGES_MAX = 32, /* each is at least twice the next: more than WINDOW_BYTES_MAX needs */
    ID_BYTES = sizeof(struct journal_id),
    HEAD_BYTES =
        8 + 8 + 4 + 8 + 1 + 4, /* of a page in the journal: begin, last, count, seen, fired, length of the key */
};

struct page {
    size_t from; /* in the text */
    int64_t begin, last;
    uint32_t count;
    uint64_t seen;
};

struct window {
    struct list of_key;
    struct group *group;
    struct journal_id id; /* of its first record: no other window had it or will */
    struct str key;       /* JSON */
    int64_t begin, last;  /* timestamps of its records; of a join when they came, by the wall clock */
    int64_t closes;       /* INT64_MAX: at no time; by the node's clock */
    uint32_t count;
    uint64_t seen; /* of a join: inputs, a bit each */
    bool is_fired;
    struct buf text;
    struct page pages[PAGES_MAX];
    unsigned page_count, stored, clean;
    bool is_dirty;
    struct list dirty;
};

struct group {
    struct str key; /* as step_key() makes it */
    struct list windows;
};

struct windows {
    const struct window_rules *rules;
    const struct pipeline_node *node;
    struct map groups; /* by key                   */
    struct map by_id;
    struct keyed *ends; /* of windows, by id */
    struct list dirty;
    int64_t clock; /* latest timestamp          */
    ns_t clock_at; /* when that was, on the loop */
    bool is_clock_dirty;
};

/* --- the clock --- */

static bool has_own_clock(const struct windows *s)
{
    return s->rules->every || s->rules->session;
}

static int64_t clock_now(const struct windows *s)
{
    int64_t now;

    if (!has_own_clock(s))
        return rt_now();
    if (s->clock == INT64_MIN)
        return INT64_MIN;
    return __builtin_add_overflow(s->clock, rt_now() - s->clock_at, &now) ? INT64_MAX : now;
}

static void clock_advance(struct windows *s, int64_t at)
{
    if (!has_own_clock(s) || at <= s->clock)
        return;
    s->clock = at;
    s->clock_at = rt_now();
    s->is_clock_dirty = true;
}

static int64_t plus(int64_t at, ns_t span)
{
    int64_t sum;

    return __builtin_add_overflow(at, span, &sum) ? INT64_MAX : sum;
}

/* --- windows in memory --- */

static struct str id_str(const struct journal_id *id)
{
    return str_of((const char *)id->b, sizeof id->b);
}

static struct group *group_of(struct windows *s, struct str key)
{
    struct group *g = map_get(&s->groups, key);

    if (g)
        return g;
    g = NEW(struct group);
    g->key = str_of(mem_dup(key.p, key.n), key.n);
    list_init(&g->windows);
    (void)map_put(&s->groups, g->key, g);
    return g;
}

static void group_free(struct windows *s, struct group *g)
{
    (void)map_remove(&s->groups, g->key);
    mem_free((char *)(uintptr_t)g->key.p);
    mem_free(g);
}

static struct window *window_new(struct windows *s, struct group *g, struct journal_id id, struct str key)
{
    struct window *w = NEW(struct window);

    w->group = g;
    w->id = id;
    w->key = str_of(mem_dup(key.p, key.n), key.n);
    w->begin = INT64_MAX;
    w->last = INT64_MIN;
    w->closes = INT64_MAX;
    w->text = (struct buf)BUF_INIT(JOURNAL_BODY_MAX);
    list_push_back(&g->windows, &w->of_key);
    (void)map_put(&s->by_id, id_str(&w->id), w);
    return w;
}

static void window_free(struct windows *s, struct window *w)
{
    struct group *g = w->group;

    keyed_remove(s->ends, id_str(&w->id));
    (void)map_remove(&s->by_id, id_str(&w->id));
    list_remove(&w->of_key);
    list_remove(&w->dirty);
    buf_release(&w->text);
    mem_free((char *)(uintptr_t)w->key.p);
    mem_free(w);
    if (list_is_empty(&g->windows))
        group_free(s, g);
}

static void make_dirty(struct windows *s, struct window *w)
{
    if (!list_is_linked(&w->dirty))
        list_push_back(&s->dirty, &w->dirty);
}

static void set_end(struct windows *s, struct window *w, int64_t closes)
{
    w->closes = closes;
    if (closes != INT64_MAX)
        keyed_put(s->ends, id_str(&w->id), closes, STR_NONE);
}

/* What is in a page counts for its window. */
static void add_up(struct window *w, const struct page *p)
{
    w->begin = p->begin < w->begin ? p->begin : w->begin;
    w->last = p->last > w->last ? p->last : w->last;
    w->count += p->count;
    w->seen |= p->seen;
}

static size_t page_end(const struct window *w, unsigned i)
{
    return i + 1 < w->page_count ? w->pages[i + 1].from : w->text.n;
}

static bool is_to_be_merged(const struct window *w)
{
    if (w->page_count < 2)
        return false;
    const struct page *last = &w->pages[w->page_count - 1], *before = last - 1;
    return 2 * (w->text.n - last->from) > last->from - before->from || w->page_count == PAGES_MAX;
}

static void merge_pages(struct window *w)
{
    while (is_to_be_merged(w)) {
        const struct page *last = &w->pages[--w->page_count];
        struct page *before = &w->pages[w->page_count - 1];
        before->begin = last->begin < before->begin ? last->begin : before->begin;
        before->last = last->last > before->last ? last->last : before->last;
        before->count += last->count;
        before->seen |= last->seen;
    }
    w->clean = w->page_count - 1 < w->clean ? w->page_count - 1 : w->clean;
}

/* Text of so many records: a page more, or a part of the last. */
static void append(struct windows *s, struct window *w, struct str text, struct page p)
{
    size_t from = w->text.n;
    err_t e = from ? buf_add_char(&w->text, ',') : OK;

    if (e == OK)
        e = buf_add(&w->text, text);
    assert(e == OK); /* WINDOW_BYTES_MAX is less */
    (void)e;
    p.from = from;
    w->pages[w->page_count++] = p;
    add_up(w, &p);
    merge_pages(w);
    make_dirty(s, w);
}

/* --- windows in the journal --- */

static struct journal_record place_of(const struct keeper *k, struct str key)
{
    return (struct journal_record){.pipeline = keeper_shard(k)->spec->name,
                                   .node = keeper_node(k)->name,
                                   .shard = keeper_shard(k)->number,
                                   .key = key};
}

static struct str row_name(struct keeper *k, const struct window *w, unsigned page)
{
    char hex[2 * ID_BYTES];

    hex_encode(hex, w->id.b, ID_BYTES);
    return arena_printf(keeper_arena(k), "%.*s/%u", (int)sizeof hex, hex, page);
}

static void put_row(struct keeper *k, const struct window *w, unsigned i)
{
    const struct page *p = &w->pages[i];
    struct str text = str_slice(buf_str(&w->text), p->from, page_end(w, i));
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = place_of(k, row_name(k, w, i))};
    size_t n = HEAD_BYTES + w->key.n + text.n;
    char *body = arena_alloc(keeper_arena(k), n);

    be64_put(body, (uint64_t)p->begin);
    be64_put(body + 8, (uint64_t)p->last);
    be32_put(body + 16, p->count);
    be64_put(body + 20, p->seen);
    body[28] = w->is_fired;
    be32_put(body + 29, (uint32_t)w->key.n);
    memcpy(body + HEAD_BYTES, w->key.p, w->key.n);
    if (text.n)
        memcpy(body + HEAD_BYTES + w->key.n, text.p, text.n);
    op.r.body = (struct journal_body){.form = BODY_WINDOW, .bytes = str_of(body, n)};
    keeper_op(k, &op);
}

static void delete_rows(struct keeper *k, struct window *w, unsigned from)
{
    for (unsigned i = from; i < w->stored; i++) {
        const struct journal_op op = {.kind = JOURNAL_STATE_DELETE, .r = place_of(k, row_name(k, w, i))};
        keeper_op(k, &op);
    }
    w->stored = from < w->stored ? from : w->stored;
}

static void put_clock(struct keeper *k, const struct windows *s)
{
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = place_of(k, STR("clock"))};
    char *body = arena_alloc(keeper_arena(k), 8);

    be64_put(body, (uint64_t)s->clock);
    op.r.body = (struct journal_body){.form = BODY_WINDOW, .bytes = str_of(body, 8)};
    keeper_op(k, &op);
}

/* What this round has changed. */
static void write_down(struct keeper *k, struct windows *s)
{
    while (!list_is_empty(&s->dirty)) {
        struct window *w = CONTAINER_OF(list_pop_front(&s->dirty), struct window, dirty);
        for (unsigned i = w->clean; i < w->page_count; i++)
            put_row(k, w, i);
        delete_rows(k, w, w->page_count);
        w->stored = w->clean = w->page_count;
    }
    if (s->is_clock_dirty)
        put_clock(k, s);
    s->is_clock_dirty = false;
}

/* --- closing --- */

static void send_out(struct keeper *k, const struct window *w)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct message m = {.identity = id_str(&w->id), .key = w->key, .at = rt_wall()};
    err_t e = buf_addf(&body, "[%.*s]", STR_ARG(buf_str(&w->text)));

    assert(e == OK);
    (void)e;
    m.body = buf_str(&body);
    keeper_root(k, root_id(keeper_shard(k)->spec, keeper_node(k), &m), &m);
}

static uint64_t all_inputs(const struct pipeline_node *n);

/* Its records go; of a join that did not wait for all, the window stays, to swallow the others. */
static void fire(struct keeper *k, struct windows *s, struct window *w)
{
    send_out(k, w);
    if (!s->rules->is_join || w->seen == all_inputs(s->node) || clock_now(s) >= w->closes) {
        delete_rows(k, w, 0);
        window_free(s, w);
        return;
    }
    w->is_fired = true;
    buf_clear(&w->text);
    w->pages[0] = (struct page){.begin = w->begin, .last = w->last, .count = w->count, .seen = w->seen};
    w->page_count = 1;
    w->clean = 0;
    make_dirty(s, w);
}

static bool is_full(const struct windows *s, const struct window *w)
{
    const struct window_rules *r = s->rules;

    if (r->is_join) {
        unsigned there = (unsigned)__builtin_popcountll(w->seen);
        return r->need ? there >= r->need : w->seen == all_inputs(s->node);
    }
    return r->count && w->count >= r->count;
}

static void close_due(struct keeper *k, struct windows *s)
{
    struct str id;

    while (keeper_has_room(k) && keyed_drop(s->ends, clock_now(s), &id)) {
        struct window *w = map_get(&s->by_id, id);
        if (!w->is_fired) {
            w->closes = INT64_MIN;
            fire(k, s, w);
        } else {
            delete_rows(k, w, 0);
            window_free(s, w);
        }
    }
}

static void due(struct keeper *k, void *state, ns_t *ret_next)
{
    struct windows *s = state;

    write_down(k, s);
    close_due(k, s);
    write_down(k, s); /* joins that have fired */
    int64_t next = keyed_next(s->ends), now = clock_now(s);
    *ret_next = next == INT64_MAX || now == INT64_MIN ? NS_NEVER : plus(rt_now(), next - now);
}

/* --- taking a record --- */

/* Its place among the inputs of a join: of those with its name the first. */
static unsigned input_of(const struct pipeline_node *n, uint16_t edge)
{
    unsigned own = 0;

    for (unsigned i = 0; i < n->input_count; i++)
        if (n->inputs[i].edge == edge)
            own = i;
    for (unsigned i = 0; i < own; i++)
        if (str_eq(n->inputs[i].label, n->inputs[own].label))
            return i;
    return own;
}

static uint64_t all_inputs(const struct pipeline_node *n)
{
    uint64_t all = 0;

    for (size_t i = 0; i < n->input_count; i++)
        all |= UINT64_C(1) << input_of(n, n->inputs[i].edge);
    return all;
}

struct taking {
    struct str text, key, key_text;
    int64_t at;
    uint64_t seen;
};

static err_t read_record(const struct windows *s, struct step *step, struct taking *ret)
{
    struct expr_budget b = {step_arena(step), expr_limits_default.steps, WINDOW_BYTES_MAX};
    struct expr_value key = expr_null();
    unsigned input = input_of(s->node, step->in->edge);

    if (s->rules->key)
        TRY(step_eval(step, s->rules->key, &key));
    TRY(step_key(step, key, &ret->key));
    TRY(value_to_json(&b, key, &ret->key_text));
    TRY(value_to_json(&b, step->in->value, &ret->text));
    if (ret->key_text.n > WINDOW_KEY_MAX)
        return fail(E_TOO_LARGE, "a key of %zu bytes: at most %d", ret->key_text.n, WINDOW_KEY_MAX);
    if (s->rules->is_join)
        ret->text = arena_printf(step_arena(step), "[\"%.*s\",%.*s]", STR_ARG(s->node->inputs[input].label),
                                 STR_ARG(ret->text)); /* names of nodes need no escapes */
    if (ret->text.n > WINDOW_BYTES_MAX)
        return fail(E_TOO_LARGE, "a record of %zu bytes: a window has %d", ret->text.n, WINDOW_BYTES_MAX);
    ret->at = step->root->at;
    ret->seen = s->rules->is_join ? UINT64_C(1) << input : 0;
    return OK;
}

static int64_t slot_of(const struct windows *s, int64_t at)
{
    int64_t into = at % s->rules->every;

    return at - (into < 0 ? into + s->rules->every : into);
}

static bool takes(const struct windows *s, const struct window *w, int64_t at)
{
    if (s->rules->every)
        return slot_of(s, w->begin) == slot_of(s, at);
    if (s->rules->session)
        return at < plus(w->last, s->rules->session) && w->begin < plus(at, s->rules->session);
    return true;
}

/* A record between two sessions makes one of them. */
static void merge_sessions(struct keeper *k, struct windows *s, struct window *w, int64_t at)
{
    struct list *next;

    for (struct list *l = w->of_key.next; l != &w->group->windows; l = next) {
        struct window *other = CONTAINER_OF(l, struct window, of_key);
        next = l->next;
        if (!takes(s, other, at) || w->text.n + other->text.n >= WINDOW_BYTES_MAX)
            continue;
        append(s, w, buf_str(&other->text),
               (struct page){.begin = other->begin, .last = other->last, .count = other->count});
        delete_rows(k, other, 0);
        window_free(s, other);
    }
}

static struct window *find_window(const struct windows *s, const struct group *g, int64_t at)
{
    for (struct list *l = g->windows.next; l != &g->windows; l = l->next)
        if (takes(s, CONTAINER_OF(l, struct window, of_key), at))
            return CONTAINER_OF(l, struct window, of_key);
    return NULL;
}

static void settle_end(struct windows *s, struct window *w)
{
    const struct window_rules *r = s->rules;

    if (r->every)
        set_end(s, w, plus(plus(slot_of(s, w->begin), r->every), r->lateness));
    else if (r->session)
        set_end(s, w, plus(plus(w->last, r->session), r->lateness));
    else if (r->is_join && w->closes == INT64_MAX && r->timeout != NS_NEVER)
        set_end(s, w, ns_add(rt_now(), r->timeout - ns_min(wall_passed(w->begin), r->timeout)));
}

/* What comes to a join that has fired. */
static void swallow(struct keeper *k, struct windows *s, struct window *w, uint64_t seen)
{
    w->seen |= seen;
    w->pages[0].seen |= seen;
    w->clean = 0;
    make_dirty(s, w);
    if (w->seen != all_inputs(s->node))
        return;
    delete_rows(k, w, 0);
    window_free(s, w);
}

static err_t take(struct keeper *k, void *state, struct step *step)
{
    struct windows *s = state;
    struct taking t;

    TRY(read_record(s, step, &t));
    clock_advance(s, t.at);
    if (s->rules->every && plus(plus(slot_of(s, t.at), s->rules->every), s->rules->lateness) <= clock_now(s))
        return fail(E_DEADLINE, "it comes too late: its window has closed");
    if (s->rules->is_join)
        t.at = rt_wall();
    struct group *g = group_of(s, t.key);
    struct window *w = find_window(s, g, t.at);
    if (w && w->is_fired) {
        swallow(k, s, w, t.seen);
        return OK;
    }
    if (w && w->text.n + t.text.n >= WINDOW_BYTES_MAX) {
        fire(k, s, w);
        g = group_of(s, t.key);
        w = NULL;
    }
    if (!w)
        w = window_new(s, g, step->in->id, t.key_text);
    append(s, w, t.text, (struct page){.begin = t.at, .last = t.at, .count = 1, .seen = t.seen});
    if (s->rules->session)
        merge_sessions(k, s, w, t.at);
    settle_end(s, w);
    if (is_full(s, w))
        fire(k, s, w);
    else
        keeper_weigh(k, w->text.n - w->pages[w->page_count - 1].from);
    return OK;
}

/* --- what the journal has --- */

/* Pages of a window as they are found, in any order. */
struct found {
    struct str texts[PAGES_MAX];
};

static err_t damaged(const struct journal_record *r)
{
    return fail(E_IO, "the state \"%.*s\" of node %.*s is damaged", STR_ARG(r->key), STR_ARG(r->node));
}

/* "<32 hexadecimal digits>/<page>" */
static bool read_name(struct str name, struct journal_id *ret_id, unsigned *ret_page)
{
    struct str hex = str_cut(&name, '/');
    uint64_t page;

    if (!hex_decode(ret_id->b, ID_BYTES, hex) || !str_to_u64(name, PAGES_MAX - 1, &page))
        return false;
    *ret_page = (unsigned)page;
    return true;
}

static struct window *window_again(struct windows *s, struct journal_id id, struct str key)
{
    struct window *w = map_get(&s->by_id, id_str(&id));
    unsigned char hash[SHA256_BYTES];
    char hex[2 * ID_BYTES];

    if (w)
        return w;
    sha256_parts(&key, 1, hash);
    hex_encode(hex, hash, ID_BYTES);
    return window_new(s, group_of(s, str_of(hex, sizeof hex)), id, key);
}

static err_t read_row(struct windows *s, const struct journal_record *r, struct str body, struct map *texts,
                      struct arena *arena)
{
    struct journal_id id;
    unsigned page;

    if (str_eq(r->key, STR("clock")) && body.n == 8) {
        s->clock = (int64_t)be64_get(body.p);
        return OK;
    }
    if (!read_name(r->key, &id, &page) || body.n < HEAD_BYTES || be32_get(body.p + 29) > body.n - HEAD_BYTES)
        return damaged(r);
    size_t key_end = HEAD_BYTES + be32_get(body.p + 29);
    struct window *w = window_again(s, id, str_slice(body, HEAD_BYTES, key_end));
    struct found *f = map_get(texts, id_str(&w->id));
    if (!f) {
        f = arena_new(arena, struct found);
        (void)map_put(texts, id_str(&w->id), f);
    }
    f->texts[page] = arena_str(arena, str_slice(body, key_end, body.n));
    w->pages[page] = (struct page){.begin = (int64_t)be64_get(body.p),
                                   .last = (int64_t)be64_get(body.p + 8),
                                   .count = be32_get(body.p + 16),
                                   .seen = be64_get(body.p + 20)};
    w->is_fired = w->is_fired || body.p[28];
    w->page_count = page + 1 > w->page_count ? page + 1 : w->page_count;
    return OK;
}

static err_t put_together(struct windows *s, struct window *w, const struct found *f)
{
    for (unsigned i = 0; i < w->page_count; i++) {
        if (!f->texts[i].p)
            return fail(E_IO, "page %u of a window of node %.*s is missing", i, STR_ARG(s->node->name));
        w->pages[i].from = w->text.n;
        TRY(buf_add(&w->text, f->texts[i]));
        add_up(w, &w->pages[i]);
    }
    w->stored = w->clean = w->page_count;
    settle_end(s, w);
    return OK;
}

static err_t put_all_together(struct windows *s, const struct map *texts)
{
    size_t at = 0;
    struct str id;
    void *found;

    while (map_next(texts, &at, &id, &found))
        TRY(put_together(s, map_get(&s->by_id, id), found));
    return OK;
}

static SUSPENDS err_t read_rows(struct keeper *k, struct windows *s, struct map *texts, struct arena *arena)
{
    struct journal_query q = {.kind = JOURNAL_STATES, .r = place_of(k, STR_NONE)};

    do {
        struct journal_page page;
        TRY(journal_read(keeper_shard(k)->journal, &q, arena, &page));
        for (size_t i = 0; i < page.count; i++) {
            struct str body = page.records[i].body.bytes;
            if (page.records[i].body.is_blob)
                TRY(journal_blob(keeper_shard(k)->journal, page.records[i].body.sha256, arena, &body));
            TRY(read_row(s, &page.records[i], body, texts, arena));
        }
        q.after = page.next;
    } while (q.after);
    return OK;
}

static void close_windows(void *state)
{
    struct windows *s = state;
    struct str id;
    void *w;

    for (size_t at = 0; map_next(&s->by_id, &at, &id, &w); at = 0)
        window_free(s, w);
    map_release(&s->by_id);
    map_release(&s->groups);
    keyed_free(s->ends);
    mem_free(s);
}

static SUSPENDS err_t open_windows(struct keeper *k, void **ret_state)
{
    struct windows *s = NEW(struct windows);
    struct map texts CLEANUP(map_release) = {.slots = NULL};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, SIZE_MAX);
    s->node = keeper_node(k);
    s->rules = s->node->node->run->windows(s->node);
    s->ends = keyed_new(SIZE_MAX);
    s->clock = INT64_MIN;
    list_init(&s->dirty);
    *ret_state = s; /* it is closed in any case */
    TRY(read_rows(k, s, &texts, &arena));
    s->clock_at = rt_now();
    return put_all_together(s, &texts);
}

const struct absorb_run windows_run = {.open = open_windows, .take = take, .due = due, .close = close_windows};
