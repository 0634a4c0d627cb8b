/* former.c - see former.h. */
#include "pipeline/run/former.h"

#include "base/mem.h"
#include "pipeline/run/gates.h"
#include "pipeline/run/version.h"
#include "rt/loop.h"

static const ns_t look_every = NS_SEC;

/* --- versions --- */

struct resting {
    struct version_rest version;
    ns_t due; /* it has something to do then, by the loop's clock; NS_NEVER: nobody knows of anything */
};

static SUSPENDS err_t load_rests(struct shard *s)
{
    struct formers *f = &s->formers;
    struct version_rest rest;
    uint64_t after = 0;
    size_t cap = 0;
    bool any;

    do {
        TRY(version_resting(s->journal, s->spec, &after, &rest, &any));
        if (!any)
            return OK;
        if (f->rest_count == cap) {
            cap = cap ? 2 * cap : 8;
            f->rests = mem_realloc(f->rests, cap * sizeof *f->rests);
        }
        /* If the clock was put back meanwhile, it waits no longer than it was to. */
        ns_t left = ns_min(wall_left(rest.due), rest.due - rest.rested);
        f->rests[f->rest_count++] = (struct resting){rest, rest.due == INT64_MAX ? NS_NEVER : ns_add(rt_now(), left)};
    } while (after);
    return OK;
}

static struct resting *find(const struct shard *s, uint64_t version)
{
    for (size_t i = 0; i < s->formers.rest_count; i++)
        if (s->formers.rests[i].version.version == version)
            return &s->formers.rests[i];
    return NULL;
}

bool former_rests(const struct shard *s, uint64_t version)
{
    return find(s, version) != NULL;
}

static void tell_watcher(struct shard *s)
{
    if (s->former_watcher)
        fiber_wake(s->former_watcher);
}

/* There is something to do. */
static void make_due(struct shard *s, struct resting *r)
{
    r->due = 0;
    tell_watcher(s);
}

/* Somebody has decided, and nobody knows of which version that is: of one where something waits. */
static void make_all_due(struct shard *s)
{
    for (size_t i = 0; i < s->formers.rest_count; i++)
        if (s->formers.rests[i].due != NS_NEVER)
            make_due(s, &s->formers.rests[i]);
}

ns_t formers_due(const struct shard *s)
{
    ns_t due = NS_NEVER;

    for (size_t i = 0; i < s->formers.rest_count; i++)
        due = ns_min(due, s->formers.rests[i].due);
    return due;
}

err_t formers_want(struct shard *s)
{
    for (size_t i = 0; i < s->formers.rest_count; i++) {
        char key[VERSION_KEY + 1];
        if (s->formers.rests[i].due > rt_now())
            continue;
        struct journal_op op = version_want(s->spec->name, s->formers.rests[i].version.version, key);
        TRY(journal_commit(s->journal, &op, 1, JOURNAL_SYNC));
    }
    return OK;
}

/* --- gates that the present version does not have --- */

static bool is_gate(const struct pipeline_node *n)
{
    return n && node_absorbs(n) && n->node->run->absorb == &gates_run;
}

err_t formers_unheard(struct journal *j, const struct pipeline_spec *s, struct keyed *to)
{
    struct arena arena CLEANUP(arena_release);
    struct gate_page page = {.next = 0};

    arena_init(&arena, SIZE_MAX);
    do {
        arena_clear(&arena);
        TRY(gate_list(j, s->name, page.next, 0, &arena, &page));
        for (size_t i = 0; i < page.count; i++)
            if (!is_gate(pipeline_find(s, page.gates[i].node)))
                keyed_put(to, str_of((const char *)page.gates[i].id.b, sizeof page.gates[i].id.b), INT64_MAX, STR_NONE);
    } while (page.next);
    return OK;
}

/* Is one of those decided that nobody had decided before? */
static SUSPENDS err_t look(struct shard *s, const struct keyed *before)
{
    struct keyed *now = keyed_new(SIZE_MAX);
    err_t e = formers_unheard(s->journal, s->spec, now);

    if (e != OK) {
        keyed_free(now);
        return e;
    }
    for (size_t i = 0; before && i < keyed_count(before); i++)
        if (!keyed_find(now, keyed_key(before, i), 0, &(int64_t){0}, &(struct str){0}))
            make_all_due(s);
    keyed_free(s->formers.unheard);
    s->formers.unheard = now;
    return OK;
}

static SUSPENDS err_t hear(void *shard)
{
    struct shard *s = shard;
    uint64_t decisions = s->formers.decisions;

    while (keyed_count(s->formers.unheard)) {
        TRY(fiber_sleep_until(rt_now() + look_every));
        uint64_t now = journal_decisions(s->journal);
        if (now == decisions)
            continue;
        err_t e = look(s, s->formers.unheard);
        if (e == OK)
            decisions = now;
        else if (e != E_IO) /* else it is asked again */
            return e;
    }
    return fiber_park("the end", NS_NEVER);
}

/* --- messages --- */

void former_enter(struct root *r)
{
    struct shard *s = r->shard;
    struct resting *version = find(s, r->former);

    root_stand(r);
    list_push_back(&s->formers.roots, &r->link);
    if (is_gate(r->partition->intake->source) && r->at > version->version.rested)
        make_due(s, version); /* it was decided */
}

void formers_forget(const struct partition *p)
{
    struct list *roots = &p->intake->shard->formers.roots, *node, *next;

    for (node = roots->next; node != roots; node = next) {
        struct root *r = CONTAINER_OF(node, struct root, link);
        next = node->next;
        if (r->partition == p)
            root_stand_down(r);
    }
}

/* --- life --- */

void formers_init(struct formers *f)
{
    *f = (struct formers){.rests = NULL};
    list_init(&f->roots);
}

err_t formers_load(struct shard *s, const struct keyed *unheard)
{
    TRY(load_rests(s));
    if (!s->formers.rest_count)
        return OK;
    s->formers.decisions = journal_decisions(s->journal); /* before they are listed */
    TRY(look(s, unheard));
    scope_spawn(s->fibers, "pipeline decisions", hear, s);
    tell_watcher(s);
    return OK;
}

void formers_free(struct shard *s)
{
    struct formers *f = &s->formers;

    while (!list_is_empty(&f->roots))
        root_stand_down(CONTAINER_OF(f->roots.next, struct root, link));
    keyed_free(f->unheard);
    mem_free(f->rests);
    f->unheard = NULL;
    f->rests = NULL;
    f->rest_count = 0;
}
