/*
 * scope.c - structured concurrency: who owns which fiber, what a child's end means, how cancel spreads.
 *
 * Idea. A scope is a variable in its owner's frame with two lists: children that run, and children that have ended and whose
 * results nobody has taken. The frame cannot go before the scope is closed, and closing joins; so pointers from child to
 * parent frames are always good, and a cancel can walk down the tree of fibers without locks or counts.
 *
 * Invariants:
 *  - f->scopes lists the scopes that f has open, innermost first; a scope outlives its children.
 *  - A child's deadline is its scope's; the scope's is not later than what the owner had when it opened it.
 *  - scope_close() writes no error record: it runs while the error that unwinds the frame is on its way out.
 *
 * Not here: how a fiber starts and switches (fiber.c).
 */
#include "rt/scope_int.h"

#include "rt/fiber_int.h"
#include "rt/loop_int.h"

#include <assert.h>
#include <string.h>

static struct fiber *child_of(struct list *node)
{
    return CONTAINER_OF(node, struct fiber, sibling);
}

static void scope_init(struct scope *s, struct fiber *owner, ns_t deadline)
{
    s->owner = owner;
    s->outer = NULL;
    list_init(&s->children);
    list_init(&s->ended);
    s->deadline = deadline;
    s->outer_deadline = NS_NEVER;
    s->live = 0;
    s->cancelled = s->shielded = s->discard = s->waiting = false;
}

void scope_open_root(struct scope *s)
{
    scope_init(s, NULL, NS_NEVER);
    s->discard = true;
}

void scope_open(struct scope *s, ns_t deadline)
{
    struct fiber *f = loop_here()->current;

    scope_init(s, f, ns_min(deadline, f->deadline));
    s->outer = f->scopes;
    s->outer_deadline = f->deadline;
    s->shielded = f->shielded;
    s->cancelled = fiber_must_leave(f);
    f->deadline = s->deadline;
    f->scopes = s;
}

void scope_close(struct scope *s)
{
    struct loop *l = loop_here();
    struct fiber *f = s->owner;

    assert(f == l->current && f->scopes == s);
    s->discard = true;
    if (s->live > 0)
        scope_cancel(s);
    while (s->live > 0) {
        s->waiting = true;
        fiber_park_bare("children to end");
        s->waiting = false;
    }
    for (struct list *node; (node = list_pop_front(&s->ended)) != NULL;)
        stack_put(&l->stacks, child_of(node));
    f->deadline = s->outer_deadline;
    f->scopes = s->outer;
}

void scope_discard_results(struct scope *s)
{
    struct loop *l = loop_here();

    s->discard = true;
    for (struct list *node; (node = list_pop_front(&s->ended)) != NULL;)
        stack_put(&l->stacks, child_of(node));
}

struct fiber *scope_spawn(struct scope *s, const char *name, fiber_fn *fn, void *arg)
{
    struct fiber *f = fiber_start(loop_here(), s, name, fn, arg);

    list_push_back(&s->children, &f->sibling);
    s->live++;
    return f;
}

void scope_child_ended(struct loop *l, struct fiber *f, err_t result)
{
    struct scope *s = f->scope;

    list_remove(&f->sibling);
    s->live--;
    f->result = result;
    if (s->waiting)
        fiber_wake(s->owner);
    if (s == &l->root && !l->deadlocked) {
        l->result = result;
        l->err = f->err;
    }
    if (s->discard) {
        stack_put(&l->stacks, f);
        return;
    }
    f->state = FIBER_ENDED;
    list_push_back(&s->ended, &f->sibling);
}

/* Did the child stop for a reason that its parent has as well? Then the parent's own wait reports it. */
static bool stopped_with_parent(const struct loop *l, const struct scope *s, const struct fiber *child)
{
    const struct fiber *owner = s->owner;

    if (child->result == E_DEADLINE)
        return s->deadline <= l->now && owner->deadline <= l->now;
    return child->result == E_CANCELLED && child->cancel_inherited && fiber_must_leave(owner);
}

/* Recycle an ended child, keeping what it says about its failure as the owner's record. */
static err_t child_take(struct loop *l, struct scope *s, struct fiber *child)
{
    err_t result = child->result;
    struct err_record *r = &s->owner->err;

    if (result != OK) {
        if (child->err.code == result)
            *r = child->err;
        else
            *r = (struct err_record){.code = result, .file = ""};
    }
    stack_put(&l->stacks, child);
    return result;
}

err_t scope_wait_any(struct scope *s, ns_t until, err_t *ret_child)
{
    struct loop *l = loop_here();

    assert(s->owner == l->current);
    for (;;) {
        if (fiber_must_leave(s->owner))
            return fiber_refuse(s->owner, "a child to end");
        struct list *node = list_pop_front(&s->ended);
        if (node) {
            bool own = stopped_with_parent(l, s, child_of(node));
            err_t child = child_take(l, s, child_of(node));
            if (own)
                return fiber_refuse(s->owner, "a child to end");
            *ret_child = child;
            return OK;
        }
        if (s->live == 0)
            return E_NOT_FOUND;
        s->waiting = true;
        err_t e = fiber_park("a child to end", until);
        s->waiting = false;
        if (e != OK && list_is_empty(&s->ended))
            return e;
    }
}

err_t scope_wait_all(struct scope *s)
{
    struct loop *l = loop_here();
    struct fiber *f = s->owner;
    struct err_record first = {.code = OK};
    bool own = false;

    assert(f == l->current);
    for (;;) {
        for (struct list *node; (node = list_pop_front(&s->ended)) != NULL;) {
            struct fiber *c = child_of(node);
            bool asked = c->result == E_CANCELLED && c->cancel_inherited;
            bool stopped = stopped_with_parent(l, s, c);
            err_t child = child_take(l, s, c);
            own = own || stopped;
            if (child != OK && !asked && !stopped && first.code == OK)
                first = f->err;
        }
        if (s->live == 0)
            break;
        s->waiting = true;
        err_t e = fiber_park("children to end", NS_NEVER);
        s->waiting = false;
        if (e != OK)
            return e;
    }
    if (own || fiber_must_leave(f))
        return fiber_refuse(f, "children to end");
    if (first.code != OK)
        f->err = first;
    return first.code;
}

/* Cancel one fiber and put those that have children on the work list. */
static void cancel_one(struct fiber *f, bool inherited, struct fiber **work)
{
    if (f->cancelled)
        return;
    f->cancelled = true;
    f->cancel_inherited = inherited;
    if (!f->shielded)
        fiber_wake(f);
    f->cancel_next = *work;
    *work = f;
}

static void cancel_children(struct scope *s, struct fiber **work)
{
    s->cancelled = true;
    LIST_EACH(node, safe, &s->children)
        cancel_one(child_of(node), true, work);
}

static void cancel_work(struct fiber *work)
{
    while (work) {
        struct fiber *f = work;
        work = f->cancel_next;
        for (struct scope *s = f->scopes; s; s = s->outer)
            if (!s->shielded)
                cancel_children(s, &work);
    }
}

void fiber_cancel_tree(struct fiber *f, bool inherited)
{
    struct fiber *work = NULL;

    cancel_one(f, inherited, &work);
    cancel_work(work);
}

void scope_cancel(struct scope *s)
{
    struct fiber *work = NULL;

    cancel_children(s, &work);
    cancel_work(work);
}

void shield_open(struct shield *s, ns_t deadline)
{
    struct fiber *f = loop_here()->current;

    s->outer_deadline = f->deadline;
    s->outer_shielded = f->shielded;
    f->deadline = f->shielded ? ns_min(deadline, f->deadline) : deadline; /* a shield in a shield only shrinks */
    f->shielded = true;
}

void shield_close(struct shield *s)
{
    struct fiber *f = loop_here()->current;

    f->deadline = s->outer_deadline;
    f->shielded = s->outer_shielded;
}
