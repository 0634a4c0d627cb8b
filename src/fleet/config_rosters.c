/*
 * config_rosters.c - what strategies know beforehand of long lists of deployments: policy/roster.h.
 *
 * For lists so long that not all of them is read for a decision. A wildcard's deployments are made for each request, with names and prices of their
 * own: it has none. Built last, when prices are known and wildcards are told from names.
 */
#include "base/mem.h"
#include "fleet/config_int.h"

static const struct roster *make_roster(struct arena *a, const struct target *targets, size_t count)
{
    if (count <= STRATEGY_SCAN_MAX)
        return NULL;
    struct roster_entry *entries = mem_alloc(count * sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        const struct deployment *d = targets[i].deployment;
        entries[i] =
            (struct roster_entry){.id = d->id, .weight = targets[i].weight, .tier = targets[i].tier, .price = d->price};
    }
    const struct roster *r = roster_make(arena_alloc(a, roster_bytes(count)), entries, count);
    mem_free(entries);
    return r;
}

void config_build_rosters(struct catalog *c)
{
    for (size_t i = 0; i < c->model_count; i++) {
        struct model *m = &c->models[i];
        if (m->is_wildcard)
            continue;
        m->roster = make_roster(c->arena_, m->targets, m->target_count);
        for (size_t k = 0; k < FALLBACKS; k++)
            m->fallbacks[k].roster = make_roster(c->arena_, m->fallbacks[k].items, m->fallbacks[k].count);
    }
}
