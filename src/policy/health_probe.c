/*
 * health_probe.c - the next probe of a deployment.
 *
 * Idea: two questions. What would tell anything (choose_kind), and when is it time (when)? Both look at the same few instants, so
 * that whoever asks again later, after news, gets another answer without having kept anything.
 *
 * Invariants: no probe within `interval` of news while the last news is good; none before an ejection is over; a probe for a token only if
 * the day's account has its cost; free probes never vouch for what they cannot see.
 *
 * Does not: send, count attempts, or judge a deployment: that is policy/outlier.h, which a probe's end goes to like any attempt's.
 */
#include "policy/health_probe.h"

#define DAY (INT64_C(86400) * NS_SEC)
/* One who failed while in use, and one who is being tried, is asked again soon: what is wrong shall show before a client finds it. */
#define SOON NS_SEC
/* A deployment that was never heard of is asked within so long, spread over it. */
#define FIRST_WITHIN (5 * NS_SEC)

/* draw / 2^64 of [0, span]. */
static ns_t part_of(ns_t span, uint64_t draw)
{
    return (ns_t)(((unsigned __int128)draw * ((uint64_t)span + 1)) >> 64);
}

static ns_t later(ns_t a, ns_t b)
{
    return a > b ? a : b;
}

static bool is_suspect(const struct probe_seen *s)
{
    return s->ill && s->ill >= s->good;
}

/* Would good news from a free probe speak against this failure? */
static bool vouches_against(enum probe_kind kind, enum cause cause)
{
    switch (cause) {
    case CAUSE_CONNECT:
        return kind != PROBE_NONE;
    case CAUSE_RESET:
    case CAUSE_TIMEOUT_FIRST:
    case CAUSE_TIMEOUT_BETWEEN:
    case CAUSE_TIMEOUT_TOTAL:
    case CAUSE_SERVER_ERROR:
    case CAUSE_OVERLOADED:
    case CAUSE_UPSTREAM_TIMEOUT:
        return kind == PROBE_SERVER;
    case CAUSE_OK: /* slowness, or failing now and then: a moment does not show it */
    case CAUSE_DEADLINE:
    case CAUSE_REQUEST_TIMEOUT:
    case CAUSE_CONFLICT:
    case CAUSE_TOO_EARLY:
    case CAUSE_RATE_LIMITED:
    case CAUSE_QUOTA:
    case CAUSE_AUTH:
    case CAUSE_NOT_FOUND:
    case CAUSE_REDIRECT:
    case CAUSE_CONTEXT_LENGTH:
    case CAUSE_CONTENT_FILTER:
    case CAUSE_CLIENT_ERROR:
    case CAUSE_EMPTY:
    case CAUSE_MALFORMED:
    case CAUSE_BROKEN:
    case CAUSE_CANCELLED:
    case CAUSE_SUPERSEDED:
    case CAUSE_BUDGET:
    case CAUSE_NO_CAPACITY:
    case CAUSES:
        break;
    }
    return false;
}

static bool is_out(const struct probe_seen *s)
{
    return s->state == OUTLIER_EJECTED || s->state == OUTLIER_PROBING;
}

/* Would the free probe tell anything? */
static bool free_tells(enum probe_kind kind, const struct probe_seen *s)
{
    if (is_out(s))
        return vouches_against(kind, s->ejected_by);
    return kind != PROBE_NONE && (!is_suspect(s) || vouches_against(kind, s->last_ill));
}

static uint64_t spent_today(const struct probe_account *a, int64_t wall)
{
    return a->day_ == wall / DAY ? a->spent : 0;
}

static bool can_pay(const struct probe_account *a, const struct probe_rules *rules, uint64_t cost, int64_t wall)
{
    uint64_t spent = spent_today(a, wall);

    return spent <= rules->spend && cost <= rules->spend - spent;
}

/* When, and why: as if there was something to ask. */
static struct probe_next when(const struct probe_rules *rules, const struct probe_seen *s, uint64_t draw)
{
    ns_t soon = ns_min(SOON, rules->interval), heard = later(later(s->good, s->ill), s->asked);

    if (s->state == OUTLIER_EJECTED)
        return (struct probe_next){.why = PROBE_RETURN, .at = ns_add(later(s->until, s->asked), part_of(soon, draw))};
    if (s->state == OUTLIER_PROBING)
        return (struct probe_next){.why = PROBE_RETURN, .at = ns_add(s->asked, soon / 2 + part_of(soon, draw))};
    if (!heard)
        return (struct probe_next){.why = PROBE_IDLE,
                                   .at = ns_add(s->since, part_of(ns_min(FIRST_WITHIN, rules->interval), draw))};
    if (is_suspect(s))
        return (struct probe_next){.why = PROBE_SUSPECT, .at = ns_add(heard, soon / 2 + part_of(soon, draw))};
    return (struct probe_next){.why = PROBE_IDLE,
                               .at = ns_add(ns_add(heard, rules->interval), part_of(rules->interval / 10, draw))};
}

struct probe_next probe_next(const struct probe_rules *rules, const struct probe_seen *seen,
                             const struct probe_account *account, uint64_t cost, int64_t wall, uint64_t draw)
{
    struct probe_next next = when(rules, seen, draw);

    if (free_tells(rules->free, seen)) {
        next.kind = rules->free;
        return next;
    }
    if (!rules->token)
        return (struct probe_next){.why = PROBE_USELESS};
    if (!can_pay(account, rules, cost, wall))
        return (struct probe_next){.why = PROBE_SPENT};
    next.kind = PROBE_TOKEN;
    return next;
}

bool probe_account_take(struct probe_account *a, const struct probe_rules *rules, uint64_t cost, int64_t wall)
{
    if (!can_pay(a, rules, cost, wall))
        return false;
    *a = (struct probe_account){.day_ = wall / DAY, .spent = spent_today(a, wall) + cost};
    return true;
}

void probe_account_settle(struct probe_account *a, uint64_t taken, uint64_t cost)
{
    /* what was taken yesterday may be more than today's account holds */
    a->spent -= taken < a->spent ? taken : a->spent;
    a->spent = cost > UINT64_MAX - a->spent ? UINT64_MAX : a->spent + cost;
}

enum cause probe_cause(enum probe_kind kind, enum cause cause)
{
    /* one token may well hold no text: a thought, or the beginning of a character */
    return kind == PROBE_TOKEN && cause == CAUSE_EMPTY ? CAUSE_OK : cause;
}

bool probe_is_missing(int status)
{
    return status >= 400 && ((status < 500 && status != 408 && status != 429) || status == 501);
}

const char *probe_kind_name(enum probe_kind k)
{
    static const char *const names[PROBE_KINDS] = {"none", "reach", "server", "token"};

    return names[k];
}

const char *probe_reason_name(enum probe_reason r)
{
    static const char *const names[PROBE_REASONS] = {"idle", "suspect", "return", "useless", "spent"};

    return names[r];
}
