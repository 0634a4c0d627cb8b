/*
 * load.c - reading in turn, writing side by side.
 *
 * Each figure is what a server's operator would measure: prompts are read at full speed one by one, as in a server without chunked prefill; of what is
 * written everybody has the same share at every moment. Who asks again for each token therefore sees others come and go.
 */
#include "sim/load.h"

#include <math.h>

static ns_t span_of(double seconds)
{
    double ns = seconds * (double)NS_SEC;

    return ns < (double)(NS_NEVER / 4) ? (ns_t)ns : NS_NEVER;
}

bool sim_capacity_is_bounded(const struct sim_capacity *c)
{
    return c->read > 0 || c->written > 0;
}

ns_t sim_load_read(struct sim_load *l, const struct sim_capacity *c, uint64_t tokens, ns_t now)
{
    if (c->read <= 0)
        return 0;
    l->read_until = ns_add(l->read_until > now ? l->read_until : now, span_of((double)tokens / c->read));
    return l->read_until - now;
}

ns_t sim_load_write(const struct sim_load *l, const struct sim_capacity *c, double speed, uint64_t tokens)
{
    double each = speed > 0 ? 1 / speed : 0;

    if (c->written > 0)
        each = fmax(each, (double)l->answering / c->written);
    return span_of(each * (double)tokens);
}
