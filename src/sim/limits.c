/*
 * limits.c - what was spent in the window that is open, in a table by key and model.
 *
 * All loops of a simulator share the table, as all machines of a provider do: one lock, held for a few lines. Keys and models are what
 * requests say, so there are at most SPENT_MAX entries; who comes later shares one.
 */
#include "sim/limits.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/spin.h"

#include <string.h>

enum { SPENT_MAX = 4096 };

struct sim_spent {
    struct sim_spent *next; /* that was made before */
    struct str name;        /* owned */
    ns_t until;             /* of the window */
    uint64_t used[SIM_LIMITED];
};

struct sim_limits {
    struct spin lock;
    struct map by_name;
    struct sim_spent *all;
};

struct sim_limits *sim_limits_new(void)
{
    return NEW(struct sim_limits);
}

void sim_limits_free(struct sim_limits *l)
{
    if (!l)
        return;
    for (struct sim_spent *s = l->all, *next; s; s = next) {
        next = s->next;
        mem_free((void *)(uintptr_t)s->name.p);
        mem_free(s);
    }
    map_release(&l->by_name);
    mem_free(l);
}

/* Under the lock. Takes the name. */
static struct sim_spent *find_or_make(struct sim_limits *l, struct str name)
{
    struct sim_spent *s = map_get(&l->by_name, name);

    if (!s && l->by_name.count < SPENT_MAX) {
        s = NEW(struct sim_spent);
        *s = (struct sim_spent){.next = l->all, .name = name};
        l->all = s;
        map_put(&l->by_name, name, s);
        return s;
    }
    mem_free((void *)(uintptr_t)name.p);
    return s ? s : l->all;
}

struct sim_spent *sim_limits_of(struct sim_limits *l, struct str key, struct str model)
{
    char *name = mem_alloc(key.n + model.n + 1);

    if (key.n)
        memcpy(name, key.p, key.n);
    name[key.n] = '\0';
    if (model.n)
        memcpy(name + key.n + 1, model.p, model.n);
    spin_take(&l->lock);
    struct sim_spent *s = find_or_make(l, str_of(name, key.n + model.n + 1));
    spin_free(&l->lock);
    return s;
}

static void begin_window(struct sim_spent *s, const struct sim_limit_rules *rules, ns_t now)
{
    if (now < s->until)
        return;
    s->until = ns_add(now, rules->window);
    memset(s->used, 0, sizeof s->used);
}

static uint64_t left(const struct sim_spent *s, const struct sim_limit_rules *rules, enum sim_limited what)
{
    return s->used[what] < rules->most[what] ? rules->most[what] - s->used[what] : 0;
}

/* The first limit that has nothing left. */
static enum sim_limited tightest(const struct sim_spent *s, const struct sim_limit_rules *rules)
{
    unsigned what = 0;

    while (what < SIM_LIMITED && (!rules->most[what] || left(s, rules, what)))
        what++;
    return what;
}

bool sim_limits_take(struct sim_limits *l, struct sim_spent *s, const struct sim_limit_rules *rules, ns_t now)
{
    spin_take(&l->lock);
    begin_window(s, rules, now);
    bool goes = tightest(s, rules) == SIM_LIMITED;
    if (goes)
        s->used[SIM_REQUESTS]++;
    spin_free(&l->lock);
    return goes;
}

void sim_limits_spend(struct sim_limits *l, struct sim_spent *s, bool is_output, uint64_t tokens)
{
    spin_take(&l->lock);
    s->used[SIM_TOKENS] += tokens;
    s->used[is_output ? SIM_OUTPUT_TOKENS : SIM_INPUT_TOKENS] += tokens;
    spin_free(&l->lock);
}

void sim_limits_read(struct sim_limits *l, struct sim_spent *s, const struct sim_limit_rules *rules, ns_t now,
                     struct sim_limits_left *ret)
{
    spin_take(&l->lock);
    begin_window(s, rules, now);
    *ret = (struct sim_limits_left){.reset = s->until, .tightest = tightest(s, rules)};
    for (unsigned what = 0; what < SIM_LIMITED; what++)
        ret->left[what] = left(s, rules, what);
    spin_free(&l->lock);
}
