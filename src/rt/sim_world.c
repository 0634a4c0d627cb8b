/*
 * sim_world.c - the simulated world as a whole: its choices, its clock, its names, its memory of what happened.
 *
 * The idea: everything that a real machine leaves to chance (which fiber runs first, how long a segment travels, what breaks) is drawn
 * from one generator, in the order in which the program asks. So the seed decides the run, and the fingerprint, a hash of all that
 * happened, tells whether two runs were the same.
 *
 * Three generators, forked from the seed: the world's own, one behind the rand seam, one for test scripts; so a script that draws
 * once more does not change the network.
 *
 * What it does not do: more than one loop; processor time (computing takes no virtual time).
 */
#include "rt/sim_world.h"

#include "base/mem.h"
#include "rt/sim_int.h"

#include <assert.h>
#include <errno.h>

static const ns_t CLOCK_START = 1000 * NS_SEC;
static const int64_t WALL_START = 1767225600 * NS_SEC; /* 2026-01-01 00:00 UTC */

const char *sim_fault_name(unsigned kind)
{
    static const char *const names[SIM_FAULT_KINDS] = {
        [FAULT_CONNECT_REFUSED] = "connect_refused",
        [FAULT_CONNECT_LOST] = "connect_lost",
        [FAULT_RESET] = "reset",
        [FAULT_HALF_CLOSE] = "half_close",
        [FAULT_SHORT_READ] = "short_read",
        [FAULT_SHORT_WRITE] = "short_write",
        [FAULT_SLOW_PEER] = "slow_peer",
        [FAULT_RESOLVE_FAIL] = "resolve_fail",
        [FAULT_STALL] = "stall",
        [FAULT_SPURIOUS_EVENT] = "spurious_event",
        [FAULT_DISK_ERROR] = "disk_error",
        [FAULT_ACCEPT_FAIL] = "accept_fail",
    };
    return kind < SIM_FAULT_KINDS ? names[kind] : "?";
}

/* ---- choices and what is remembered of them ---- */

bool sim_chance(struct sim_world *w, enum sim_fault fault)
{
    if (w->chances[fault] == 0 || prng_below(&w->prng, 1000) >= w->chances[fault])
        return false;
    sim_injected(w, fault);
    return true;
}

void sim_injected(struct sim_world *w, enum sim_fault fault)
{
    w->census.faults_injected[fault]++;
    sim_note(w, 'f', fault, 0);
}

ns_t sim_latency(struct sim_world *w)
{
    return prng_range(&w->prng, w->options.latency_min, w->options.latency_max);
}

void sim_note(struct sim_world *w, char what, uint64_t a, uint64_t b)
{
    uint64_t h = w->census.fingerprint;

    h = (h ^ (uint64_t)w->now ^ ((uint64_t)(unsigned char)what << 56)) * 0x9e3779b97f4a7c15U;
    h = (h ^ (h >> 29) ^ a) * 0xbf58476d1ce4e5b9U;
    h = (h ^ (h >> 32) ^ b) * 0x94d049bb133111ebU;
    w->census.fingerprint = h ^ (h >> 31);
}

ns_t sim_partition_end(const struct sim_world *w, uint16_t port)
{
    ns_t end = 0;

    for (unsigned i = 0; i < SIM_PARTITIONS; i++) {
        const struct sim_partition *p = &w->partitions[i];
        if (p->until > w->now && p->until > end && (p->port == 0 || p->port == port))
            end = p->until;
    }
    return end;
}

/* ---- the seams that need no file of their own ---- */

static ns_t world_now(void *ctx)
{
    return ((struct sim_world *)ctx)->now;
}

static int64_t world_wall(void *ctx)
{
    const struct sim_world *w = ctx;

    return WALL_START + (w->now - CLOCK_START) + w->wall_shift;
}

void sim_world_leap(struct sim_world *w, int64_t by)
{
    w->wall_shift += by;
}

static ns_t world_cpu(void *ctx)
{
    (void)ctx;
    return 0;
}

static void world_fill(void *ctx, void *to, size_t n)
{
    struct sim_world *w = ctx;
    unsigned char *at = to;

    for (size_t done = 0; done < n;) {
        uint64_t bits = prng_next(&w->rand_prng);
        size_t some = n - done < sizeof bits ? n - done : sizeof bits;
        memcpy(at + done, &bits, some);
        done += some;
    }
}

static size_t world_pick_fiber(void *ctx, size_t n)
{
    struct sim_world *w = ctx;

    assert(n > 0);
    size_t picked = n == 1 ? 0 : prng_below(&w->prng, n);
    sim_note(w, 'p', n, picked);
    return picked;
}

static ns_t world_job_delay(void *ctx)
{
    struct sim_world *w = ctx;

    return prng_range(&w->prng, 0, w->options.job_delay_max);
}

static const struct clock_ops clock_ops = {.now = world_now, .wall = world_wall, .cpu = world_cpu};
static const struct rand_ops rand_ops = {.fill = world_fill};

/* ---- names of hosts ---- */

static struct addr loopback(void)
{
    struct addr a = {.len = sizeof a.u.v4};

    a.u.v4.sin_family = AF_INET;
    a.u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

int sim_resolve(void *ctx, const char *host, struct addr *ret_addrs, int max)
{
    struct sim_world *w = ctx;
    bool known = false;
    int count = 0;

    sim_note(w, 'n', strlen(host), 0);
    if (sim_chance(w, FAULT_RESOLVE_FAIL))
        return prng_below(&w->prng, 2) ? -ENOENT : -EAGAIN;
    LIST_EACH(node, next, &w->hosts) {
        const struct sim_host *h = CONTAINER_OF(node, struct sim_host, node);
        if (!str_eq_nocase(str_from_c(h->name), str_from_c(host)))
            continue;
        known = true;
        if (h->addr.len && count < max)
            ret_addrs[count++] = h->addr;
    }
    if (known)
        return count ? count : -ENOENT;
    if (max > 0 && !addr_from_ip(str_from_c(host), 0, &ret_addrs[0]))
        ret_addrs[0] = loopback();
    return max > 0 ? 1 : 0;
}

void sim_world_add_host(struct sim_world *w, const char *host, const struct addr *a)
{
    struct sim_host *h = NEW(struct sim_host);

    h->name = mem_dup(host, strlen(host));
    if (a)
        h->addr = *a;
    list_push_back(&w->hosts, &h->node);
}

static void hosts_release(struct sim_world *w)
{
    LIST_EACH(node, next, &w->hosts) {
        struct sim_host *h = CONTAINER_OF(node, struct sim_host, node);
        list_remove(node);
        mem_free(h->name);
        mem_free(h);
    }
}

/* ---- the world ---- */

static void set_defaults(struct sim_options *o)
{
    if (o->latency_min == 0 && o->latency_max == 0) {
        o->latency_min = 50 * NS_US;
        o->latency_max = 2 * NS_MS;
    }
    if (o->latency_max < o->latency_min)
        o->latency_max = o->latency_min;
    if (o->socket_buffer == 0)
        o->socket_buffer = 64 * 1024;
    if (o->job_delay_max == 0)
        o->job_delay_max = 5 * NS_MS;
}

struct sim_world *sim_world_new(const struct sim_options *options)
{
    struct sim_world *w = NEW(struct sim_world);

    w->options = *options;
    set_defaults(&w->options);
    w->disk.keeps_unsynced = options->disk_cache;
    w->disk.limit = w->disk.cut_at = UINT64_MAX;
    prng_seed(&w->prng, options->seed);
    w->rand_prng = prng_fork(&w->prng);
    w->script_prng = prng_fork(&w->prng);
    w->now = CLOCK_START;
    list_init(&w->hosts);
    sim_net_init(&w->net);
    sim_world_set_faults(w, &options->faults);
    w->seams = (struct seams){
        .clock = &clock_ops,
        .net = &sim_net_ops,
        .disk = &sim_disk_ops,
        .rand = &rand_ops,
        .ctx = w,
        .pick_fiber = world_pick_fiber,
        .simulated = true,
        .job_delay = world_job_delay,
    };
    return w;
}

void sim_world_free(struct sim_world *w)
{
    if (!w)
        return;
    sim_net_release(w);
    sim_disk_release(&w->disk);
    hosts_release(w);
    sim_queue_release(&w->queue);
    mem_free(w);
}

const struct seams *sim_world_seams(struct sim_world *w)
{
    return &w->seams;
}

void sim_world_set_faults(struct sim_world *w, const struct sim_faults *faults)
{
    static_assert(sizeof *faults == sizeof w->chances, "struct sim_faults is an array of unsigned with names");
    memcpy(w->chances, faults, sizeof w->chances);
}

uint64_t sim_world_draw(struct sim_world *w, uint64_t bound)
{
    return prng_below(&w->script_prng, bound);
}

void sim_world_partition(struct sim_world *w, uint16_t port, ns_t until)
{
    for (unsigned i = 0; i < SIM_PARTITIONS; i++) {
        struct sim_partition *p = &w->partitions[i];
        if (p->until <= w->now || p->port == port) {
            *p = (struct sim_partition){.port = port, .until = until};
            sim_note(w, '/', port, (uint64_t)until);
            return;
        }
    }
    die("more than %d partitions at a time", SIM_PARTITIONS);
}

void sim_world_census(const struct sim_world *w, struct sim_census *ret)
{
    *ret = w->census;
    ret->open_sockets = w->net.open_ends;
    ret->open_listeners = w->net.open_listeners;
    ret->open_pollers = w->net.open_pollers;
    ret->open_files = w->disk.open_files;
}
