/*
 * leases.c - members with a beat, owners with an epoch, and a fiber that looks at both.
 *
 * All of it is in operations that the journal has anyway. A member is a STATE with its beat and how many leases it wants and has. A lease is a STATE with its owner and
 * epoch, changed only in commits that also fence and claim the place PLACE_SOURCE of its pipeline: so of two that take at once one is refused, and whoever worked
 * under the epoch before is refused from then on.
 *
 * A round: beat; read who lives and who has what; take up to our part, if nobody else who wants something has less; ask for some back if another has two less. What we believe to have
 * lasts for a lease's time from the beginning of our last beat, less an eighth for clocks that run differently, which is before anybody can think us dead.
 *
 * Invariants: what is written in `all` and below is guarded by the lock, and the lock is never held across a wait. A lease's `way` is there from when it was taken
 * until whoever has it has said lease_done(), though it may have run out long before.
 *
 * Not here: what is done under a lease; when gates of another process are looked at (journal.h).
 */
#include "store/leases.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "rt/lock.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/wakeup.h"
#include "store/journal_int.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* No pipeline and no source has such a name. */
#define STORE_NAME STR(".leases")
#define MEMBERS STR("members")
#define OWNERS STR("owners")
#define PLACE_SOURCE STR(".lease")

enum { MEMBER_BYTES = 16, OWNER_BYTES = 8 + sizeof(struct journal_id), LEASE_KEY_MAX = JOURNAL_NAME_MAX + 12 };
enum { BEATS = 4, FORM = 1 }; /* beats in the time of a lease; layout of the bodies */
static const ns_t pause_after_failure = 250 * NS_MS, pause_at_end = 20 * NS_MS;

enum lease_state { LEASE_FREE, LEASE_HELD, LEASE_WANTED_BACK, LEASE_OVER };

struct lease {
    struct list link;
    struct leases *all;
    char key[LEASE_KEY_MAX]; /* pipeline/shard; then all that follows is guarded */
    size_t key_bytes, pipeline_bytes;
    uint32_t shard;
    bool is_dropped; /* nobody wants it any more: goes with a round that finds it given back */
    bool is_used;    /* somebody works under it                                              */
    bool is_asked;   /* and knows that it is wanted back                                     */
    enum lease_state state;
    uint64_t epoch;      /* in which it is ours; 0: it is not          */
    ns_t until;          /* then it has run out                        */
    struct journal *way; /* under it; NULL: it is not ours             */
    struct wakeup *waiter;
    /* Of the fiber: */
    struct owner {
        uint64_t epoch;
        struct journal_id id; /* zeros: nobody's */
    } owner;                  /* as the journal says   */
    ns_t free_since;          /* 0: it is not */
};

/* Another process, as we have seen it. */
struct member {
    struct journal_id id;
    uint64_t beat;
    uint32_t wants, holds;
    ns_t since; /* when we saw this beat first */
    bool is_there;
};

struct leases {
    struct journal *journal;
    struct lock *lock;
    struct list all; /* guarded, as are its leases */
    struct map by_key;
    ns_t time;
    struct journal_id me;
    uint64_t beat;
    struct map members; /* of the fiber, by id */
};

struct leases *leases_new(const struct leases_options *o)
{
    struct leases *l = NEW(struct leases);

    l->journal = o->journal;
    l->lock = lock_new();
    l->time = o->time;
    list_init(&l->all);
    rt_random_bytes(l->me.b, sizeof l->me.b);
    return l;
}

static struct str key_of(const struct lease *one)
{
    return str_of(one->key, one->key_bytes);
}

static struct str pipeline_of(const struct lease *one)
{
    return str_of(one->key, one->pipeline_bytes);
}

static void lease_free(struct lease *one)
{
    (void)map_remove(&one->all->by_key, key_of(one));
    list_remove(&one->link);
    if (one->way)
        journal_close(one->way);
    mem_free(one);
}

void leases_free(struct leases *l)
{
    struct str id;
    void *member;

    if (!l)
        return;
    while (!list_is_empty(&l->all))
        lease_free(CONTAINER_OF(l->all.next, struct lease, link));
    for (size_t at = 0; map_next(&l->members, &at, &id, &member);)
        mem_free(member);
    map_release(&l->members);
    map_release(&l->by_key);
    lock_free(l->lock);
    mem_free(l);
}

/* ---- of one shard ---- */

/* Under the lock: whoever waits for it is to be called, by who has given the lock. */
static struct wakeup *take_waiter(struct lease *one)
{
    struct wakeup *w = one->waiter;

    one->waiter = NULL;
    return w;
}

static void call(struct wakeup *w)
{
    if (w)
        wakeup_send(w);
}

struct lease *lease_want(struct leases *l, struct str pipeline, uint32_t shard)
{
    struct lease *one;
    char key[LEASE_KEY_MAX];
    size_t n = (size_t)snprintf(key, sizeof key, "%.*s/%" PRIu32, STR_ARG(pipeline), shard);

    assert(n < sizeof key);
    lock_take(l->lock);
    one = map_get(&l->by_key, str_of(key, n));
    if (!one) {
        one = NEW(struct lease);
        *one = (struct lease){
            .all = l, .key_bytes = n, .pipeline_bytes = pipeline.n, .shard = shard, .free_since = rt_now()};
        memcpy(one->key, key, n);
        (void)map_put(&l->by_key, key_of(one), one);
        list_push_back(&l->all, &one->link);
    }
    one->is_dropped = false;
    lock_give(l->lock);
    return one;
}

void lease_drop(struct lease *one)
{
    struct leases *l = one->all;

    lock_take(l->lock);
    one->is_dropped = true;
    lock_give(l->lock);
}

/* Wait until somebody calls; not if it is in another state already. */
static SUSPENDS err_t wait_for_call(struct lease *one, enum lease_state state, ns_t until)
{
    struct leases *l = one->all;
    struct wakeup w;

    wakeup_init(&w);
    lock_take(l->lock);
    bool waits = one->state == state && !one->waiter;
    if (waits)
        one->waiter = &w;
    lock_give(l->lock);
    if (!waits)
        return OK;
    err_t e = wakeup_wait(&w, until);
    if (e == OK)
        return OK;
    struct err_record words = *err_current();
    lock_take(l->lock);
    bool is_called = one->waiter != &w;
    if (!is_called)
        one->waiter = NULL;
    lock_give(l->lock);
    if (is_called)
        wakeup_join(&w);
    *err_current() = words;
    return e;
}

err_t lease_wait(struct lease *one, ns_t until, struct journal **ret_journal)
{
    struct leases *l = one->all;

    for (;;) {
        lock_take(l->lock);
        enum lease_state state = one->state;
        if (state == LEASE_HELD && rt_now() < one->until) {
            one->is_used = true;
            one->is_asked = false;
            *ret_journal = one->way;
        }
        bool is_ours = one->is_used;
        lock_give(l->lock);
        if (is_ours)
            return OK;
        TRY(wait_for_call(one, state, until));
    }
}

err_t lease_watch(struct lease *one)
{
    struct leases *l = one->all;

    for (;;) {
        lock_take(l->lock);
        enum lease_state state = one->state;
        ns_t until = one->until;
        bool is_news = state == LEASE_WANTED_BACK && !one->is_asked;
        one->is_asked |= is_news;
        lock_give(l->lock);
        if (state == LEASE_OVER || state == LEASE_FREE)
            return fail(E_FENCED, "another process has taken over %.*s", STR_ARG(key_of(one)));
        if (rt_now() >= until)
            return fail(E_FENCED, "the lease on %.*s has run out: the journal was not reached in time",
                        STR_ARG(key_of(one)));
        if (is_news)
            return OK;
        err_t e = wait_for_call(one, state, until);
        if (e != OK && e != E_AGAIN)
            return e;
    }
}

static void end_use(struct lease *one, bool is_lost)
{
    struct leases *l = one->all;

    lock_take(l->lock);
    one->is_used = false;
    if (is_lost || one->state == LEASE_WANTED_BACK)
        one->state = LEASE_OVER;
    lock_give(l->lock);
}

void lease_done(struct lease *one)
{
    end_use(one, false);
}

void lease_lost(struct lease *one)
{
    end_use(one, true);
}

unsigned leases_held(struct leases *l)
{
    unsigned n = 0;

    lock_take(l->lock);
    LIST_EACH(node, next, &l->all) {
        const struct lease *one = CONTAINER_OF(node, struct lease, link);
        n += one->state == LEASE_HELD || one->state == LEASE_WANTED_BACK;
    }
    lock_give(l->lock);
    return n;
}

/* ---- what the journal says ---- */

static bool is_id(const struct journal_id *a, const struct journal_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static bool is_nobody(const struct journal_id *id)
{
    static const struct journal_id nobody;

    return is_id(id, &nobody);
}

static struct journal_record state_of(struct str what, struct str key)
{
    return (struct journal_record){.pipeline = STORE_NAME, .node = what, .key = key};
}

static SUSPENDS err_t beat(struct leases *l, uint32_t wants, uint32_t holds)
{
    char body[MEMBER_BYTES];
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = state_of(MEMBERS, journal_id_str(&l->me))};

    be64_put(body, ++l->beat);
    be32_put(body + 8, wants);
    be32_put(body + 12, holds);
    op.r.body = (struct journal_body){.form = FORM, .bytes = str_of(body, sizeof body)};
    return journal_commit(l->journal, &op, 1, JOURNAL_SYNC);
}

/* Give each record of a state to `each`. */
static SUSPENDS err_t read_all(struct leases *l, struct str what,
                               void (*each)(struct leases *l, const struct journal_record *r))
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_query q = {.kind = JOURNAL_STATES, .r = state_of(what, STR_NONE)};

    do {
        struct journal_page page;
        TRY(journal_read(l->journal, &q, &arena, &page));
        for (size_t i = 0; i < page.count; i++)
            each(l, &page.records[i]);
        q.after = page.next;
        arena_clear(&arena);
    } while (q.after);
    return OK;
}

static struct member *member_of(struct leases *l, struct str id)
{
    struct member *m = map_get(&l->members, id);

    if (m)
        return m;
    m = NEW(struct member);
    memcpy(m->id.b, id.p, sizeof m->id.b);
    (void)map_put(&l->members, journal_id_str(&m->id), m);
    return m;
}

static void note_member(struct leases *l, const struct journal_record *r)
{
    if (r->key.n != sizeof(struct journal_id) || r->body.bytes.n != MEMBER_BYTES)
        return;
    struct member *m = member_of(l, r->key);
    uint64_t now = be64_get(r->body.bytes.p);
    if (now != m->beat)
        m->since = rt_now();
    m->is_there = true;
    m->beat = now;
    m->wants = be32_get(r->body.bytes.p + 8);
    m->holds = be32_get(r->body.bytes.p + 12);
}

/* Those that are not there any more have left. */
static SUSPENDS err_t read_members(struct leases *l)
{
    struct str id;
    void *value;

    for (size_t at = 0; map_next(&l->members, &at, &id, &value);)
        ((struct member *)value)->is_there = false;
    return read_all(l, MEMBERS, note_member);
}

static void note_owner(struct leases *l, const struct journal_record *r)
{
    if (r->body.bytes.n != OWNER_BYTES)
        return;
    lock_take(l->lock);
    struct lease *one = map_get(&l->by_key, r->key);
    if (one) {
        one->owner.epoch = be64_get(r->body.bytes.p);
        memcpy(one->owner.id.b, r->body.bytes.p + 8, sizeof one->owner.id.b);
    }
    lock_give(l->lock);
}

static bool is_alive(const struct leases *l, const struct member *m)
{
    return m->is_there && rt_now() - m->since < l->time;
}

/* Does nobody who lives have it? */
static bool is_free(const struct leases *l, const struct lease *one)
{
    const struct member *m = map_get(&l->members, journal_id_str(&one->owner.id));

    return is_nobody(&one->owner.id) || (!is_id(&one->owner.id, &l->me) && !(m && is_alive(l, m)));
}

/* ---- changing hands ---- */

static struct journal_op place_op(const struct lease *one, enum journal_op_kind kind, uint64_t epoch)
{
    return (struct journal_op){
        .kind = kind,
        .r = {.pipeline = pipeline_of(one), .source = PLACE_SOURCE, .partition = one->shard, .epoch = epoch}};
}

static struct journal_op owner_op(const struct lease *one, const struct owner *owner, char body[OWNER_BYTES])
{
    struct journal_op op = {.kind = JOURNAL_STATE_PUT, .r = state_of(OWNERS, key_of(one))};

    be64_put(body, owner->epoch);
    memcpy(body + 8, owner->id.b, sizeof owner->id.b);
    op.r.body = (struct journal_body){.form = FORM, .bytes = str_of(body, OWNER_BYTES)};
    return op;
}

/* It is ours, as the journal says too. */
static void hold(struct lease *one, ns_t begun)
{
    struct leases *l = one->all;
    struct journal *way = journal_fenced(l->journal, pipeline_of(one), PLACE_SOURCE, one->shard, one->owner.epoch);

    lock_take(l->lock);
    one->epoch = one->owner.epoch;
    one->way = way;
    one->until = begun + l->time - l->time / 8;
    one->state = LEASE_HELD;
    struct wakeup *w = take_waiter(one);
    lock_give(l->lock);
    call(w);
}

/* It is not, and nobody works under it. */
static void let_go(struct lease *one)
{
    struct leases *l = one->all;
    struct journal *way = one->way;

    lock_take(l->lock);
    one->way = NULL;
    one->epoch = 0;
    one->state = LEASE_FREE;
    one->free_since = rt_now();
    struct wakeup *w = take_waiter(one);
    lock_give(l->lock);
    call(w);
    journal_close(way);
}

static SUSPENDS err_t take(struct lease *one, ns_t begun)
{
    struct leases *l = one->all;
    const struct owner next = {.epoch = one->owner.epoch + 1, .id = l->me};
    char body[OWNER_BYTES];
    struct journal_op ops[] = {place_op(one, JOURNAL_FENCE, one->owner.epoch), place_op(one, JOURNAL_PROGRESS_CLAIM, 0),
                               owner_op(one, &next, body)};

    TRY(journal_commit(l->journal, ops, ARRAY_LEN(ops), JOURNAL_SYNC));
    one->owner = next;
    hold(one, begun);
    return OK;
}

/* Say that it is nobody's. */
static SUSPENDS err_t give_back(struct lease *one)
{
    const struct owner nobody = {.epoch = one->epoch};
    char body[OWNER_BYTES];
    struct journal_op ops[] = {place_op(one, JOURNAL_FENCE, one->epoch), owner_op(one, &nobody, body)};

    err_t e = journal_commit(one->all->journal, ops, ARRAY_LEN(ops), JOURNAL_SYNC);
    if (e != OK && e != E_FENCED)
        return e;
    if (e == OK)
        one->owner = nobody;
    let_go(one);
    return OK;
}

/* ---- a round ---- */

/* What the round is about: pointers that stay good, as only the fiber that makes rounds frees leases. */
struct round {
    struct lease **all;
    size_t count;
    uint32_t wants, holds;
    ns_t begun;
};

static void begin_round(struct leases *l, struct arena *a, struct round *ret)
{
    *ret = (struct round){.begun = rt_now()};
    lock_take(l->lock);
    ret->all = arena_alloc(a, (l->by_key.count + 1) * sizeof(struct lease *));
    LIST_EACH(node, next, &l->all) {
        struct lease *one = CONTAINER_OF(node, struct lease, link);
        one->owner = (struct owner){0};
        ret->wants += !one->is_dropped;
        ret->holds += one->state == LEASE_HELD;
        ret->all[ret->count++] = one;
    }
    lock_give(l->lock);
}

/* Whoever works under it is told that it is over; if nobody does, it can be given back. */
static bool end_lease(struct lease *one)
{
    one->state = LEASE_OVER;
    return !one->is_used;
}

/* What we have, beside what the journal says. *ret_gives: nobody works under it, and it is to be given back. */
static void compare(struct lease *one, ns_t begun, bool *ret_gives)
{
    struct leases *l = one->all;
    bool is_ours = is_id(&one->owner.id, &l->me) && one->owner.epoch == one->epoch;
    struct wakeup *w = NULL;

    *ret_gives = false;
    lock_take(l->lock);
    if (one->state == LEASE_HELD || one->state == LEASE_WANTED_BACK)
        one->until = begun + l->time - l->time / 8;
    if (!one->is_used) /* who waits for one that had run out */
        w = take_waiter(one);
    bool ends = one->state == LEASE_OVER || (one->state != LEASE_FREE && !is_ours) ||
                (!one->is_used && (one->state == LEASE_WANTED_BACK || (one->state == LEASE_HELD && one->is_dropped)));
    if (ends) {
        *ret_gives = end_lease(one);
        w = w ? w : take_waiter(one);
    }
    lock_give(l->lock);
    call(w);
}

static SUSPENDS err_t settle(struct lease *one, ns_t begun)
{
    bool gives;

    compare(one, begun, &gives);
    if (gives)
        return give_back(one);
    if (one->state == LEASE_FREE && is_id(&one->owner.id, &one->all->me)) /* a take that seemed to fail */
        hold(one, begun);
    if (one->state != LEASE_FREE || !is_free(one->all, one))
        one->free_since = rt_now();
    return OK;
}

/* Somebody else who lives and has less than he wants: the one with the least. NULL: there is none. */
static const struct member *hungriest(const struct leases *l, unsigned *ret_members)
{
    const struct member *least = NULL;
    struct str id;
    void *value;

    *ret_members = 1;
    for (size_t at = 0; map_next(&l->members, &at, &id, &value);) {
        const struct member *m = value;
        if (is_id(&m->id, &l->me) || !is_alive(l, m) || !m->wants)
            continue;
        ++*ret_members;
        if (m->holds < m->wants && (!least || m->holds < least->holds))
            least = m;
    }
    return least;
}

/*
 * Is it to be taken by us: our part, or nobody else's for a while? Who began the round with more than another has leaves to that one what is free: or two of those that give
 * to a third would take it back before he comes.
 */
static bool is_for_us(const struct leases *l, const struct round *r, const struct lease *one, uint32_t holds)
{
    unsigned members;
    const struct member *least = hungriest(l, &members);

    if (one->state != LEASE_FREE || one->is_dropped || !is_free(l, one))
        return false;
    bool is_our_part = !least || (r->holds <= least->holds && holds < (r->wants + members - 1) / members);
    return is_our_part || rt_now() - one->free_since > l->time;
}

static SUSPENDS err_t take_part(struct leases *l, struct round *r)
{
    size_t first = r->count ? be64_get((const char *)l->me.b) % r->count : 0; /* not all members the same ones first */
    uint32_t holds = r->holds;

    for (size_t i = 0; i < r->count; i++) {
        struct lease *one = r->all[(first + i) % r->count];
        if (!is_for_us(l, r, one, holds))
            continue;
        err_t e = take(one, r->begun);
        if (e != OK && e != E_FENCED)
            return e;
        holds += e == OK;
    }
    r->holds = holds;
    return OK;
}

/* Others have less: let half of the difference be finished. */
static void give_part(struct leases *l, const struct round *r)
{
    unsigned members;
    const struct member *least = hungriest(l, &members);
    uint32_t more = least && r->holds > least->holds ? (r->holds - least->holds) / 2 : 0;

    for (size_t i = 0; i < r->count && more; i++) {
        struct lease *one = r->all[i];
        struct wakeup *w = NULL;
        lock_take(l->lock);
        if (one->state == LEASE_HELD) {
            one->state = LEASE_WANTED_BACK;
            w = take_waiter(one);
            more--;
        }
        lock_give(l->lock);
        call(w);
    }
}

static void forget_dropped(struct leases *l, const struct round *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct lease *one = r->all[i];
        lock_take(l->lock);
        if (one->is_dropped && one->state == LEASE_FREE && !one->is_used)
            lease_free(one);
        lock_give(l->lock);
    }
}

static SUSPENDS err_t forget_member(struct leases *l, const struct journal_id *id)
{
    struct journal_op op = {.kind = JOURNAL_STATE_DELETE, .r = state_of(MEMBERS, journal_id_str(id))};

    return journal_commit(l->journal, &op, 1, JOURNAL_SYNC);
}

/* Members that have been silent for long are no more, or will say so. One in a round is enough. */
static SUSPENDS err_t forget_dead(struct leases *l)
{
    struct member *dead = NULL;
    struct str id;
    void *value;

    for (size_t at = 0; map_next(&l->members, &at, &id, &value);) {
        struct member *m = value;
        if (rt_now() - m->since > BEATS * l->time)
            dead = m;
    }
    if (!dead)
        return OK;
    (void)map_remove(&l->members, journal_id_str(&dead->id));
    struct journal_id gone = dead->id;
    mem_free(dead);
    return forget_member(l, &gone);
}

static SUSPENDS err_t make_round(struct leases *l)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct round r;

    begin_round(l, &arena, &r);
    TRY(beat(l, r.wants, r.holds));
    TRY(read_all(l, OWNERS, note_owner)); /* before members: whoever owns something was one by then */
    TRY(read_members(l));
    for (size_t i = 0; i < r.count; i++)
        TRY(settle(r.all[i], r.begun));
    TRY(take_part(l, &r));
    give_part(l, &r);
    forget_dropped(l, &r);
    return forget_dead(l);
}

static bool is_any_used(struct leases *l)
{
    bool is_used = false;

    lock_take(l->lock);
    LIST_EACH(node, next, &l->all)
        is_used |= CONTAINER_OF(node, struct lease, link)->is_used;
    lock_give(l->lock);
    return is_used;
}

/* Give back what is held, as soon as nobody works under it any more: on other loops it may take a moment. */
static SUSPENDS void leave(struct leases *l)
{
    struct err_record words = *err_current();
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct round r;
    err_t e = OK;
    SHIELD(ns_add(rt_now(), l->time / BEATS));

    while (e == OK && is_any_used(l))
        e = fiber_sleep_until(rt_now() + pause_at_end);
    begin_round(l, &arena, &r);
    for (size_t i = 0; e == OK && i < r.count; i++)
        if (r.all[i]->way && !r.all[i]->is_used)
            e = give_back(r.all[i]);
    if (e == OK)
        e = forget_member(l, &l->me);
    if (e != OK)
        log_warn(STR_NONE, "leases are not given back, and run out: %s", err_detail(e));
    *err_current() = words;
}

err_t leases_run(void *leases)
{
    struct leases *l = leases;
    err_t e = OK, last = OK;

    while (e == OK) {
        ns_t begun = rt_now();
        err_t x = make_round(l);
        if (x != OK && x != E_CANCELLED && x != E_DEADLINE && last == OK)
            log_warn(STR_NONE, "leases cannot be kept: %s", err_detail(x));
        last = x;
        e = fiber_is_cancelled()
                ? E_CANCELLED
                : fiber_sleep_until(x == OK ? begun + l->time / BEATS : rt_now() + pause_after_failure);
    }
    leave(l);
    return e;
}
