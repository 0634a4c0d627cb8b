/*
 * shadow.c - copies of a share of requests to another deployment, for comparison.
 *
 * The copy is a request of its own from the moment it is made: its head and body are copied into an arena of its own, and read anew, so the client's request may
 * end at any time, and neither waits for the other. It runs in a fiber beside requests, makes one attempt by the rules that hold for the shadow's
 * deployment (tags, abilities, limits, credentials), reads the answer to its end and leaves a record with role "shadow". Retries, hedges, fallbacks and
 * the route's accounts know nothing of it.
 *
 * Whether a request is copied is drawn at its first attempt. Copies under way are bounded per loop: those beyond are not made.
 */
#include "base/mem.h"
#include "codec/url.h"
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { ARENA_MAX = 256 << 20, UNDER_WAY_MAX = 256 };

struct shadow {
    struct arena arena;
    struct http_request r;
    struct exchange x;
    struct held *held;
};

/* --- the copy --- */

static void copy_head(const struct http_head *from, struct arena *a, struct http_head *to)
{
    struct http_header *headers = arena_alloc(a, (from->count + 1) * sizeof *headers);

    *to = *from;
    to->method = arena_str(a, from->method);
    to->path = arena_str(a, from->path);
    to->query = arena_str(a, from->query);
    for (size_t i = 0; i < from->count; i++)
        headers[i] = (struct http_header){arena_str(a, from->headers[i].name), arena_str(a, from->headers[i].value)};
    to->headers = headers;
}

/* The endpoint by the copied head, as for the first time; what the request itself found out of its body is read anew from the copy. */
static err_t copy_request(struct shadow *s, const struct exchange *x)
{
    struct arena *a = &s->arena;
    struct exchange *y = &s->x;
    struct str path, body;

    arena_init(a, ARENA_MAX);
    s->r = (struct http_request){.arena = a, .peer = x->r->peer, .received = rt_now(), .secure = x->r->secure};
    copy_head(&x->r->head, a, &s->r.head);
    body = arena_str(a, x->request.doc);
    TRY(url_normal_path(s->r.head.path, true, a, &path));
    endpoint_find(s->r.head.method, path, &s->r.head, a, &y->endpoint);
    endpoint_settle(&y->endpoint, body);
    y->r = &s->r;
    y->gateway = x->gateway;
    y->snapshot = x->snapshot;
    y->key = x->key;
    y->model = x->model;
    y->unheard = true;
    y->facts.id = arena_str(a, x->facts.id);
    y->facts.model_label = x->facts.model_label; /* the snapshot's */
    y->required = x->required;
    y->input_tokens = x->input_tokens;
    y->output_tokens = x->output_tokens;
    TRY(read_wish(y, body));
    rules_begin(y);
    return OK;
}

static void choose_shadow(struct shadow *s, const struct deployment *d)
{
    struct exchange *y = &s->x;
    struct candidate *c = arena_new(&s->arena, struct candidate);
    const struct catalog *catalog = y->snapshot->catalog;

    *c = (struct candidate){
        .provider = d->provider, .deployment = d, .model = d->model, .name = d->name, .label = d->label};
    y->chosen = c;
    y->rules = &catalog->usual;
    y->route = y->snapshot->routes[catalog->model_count + d->provider->index];
    y->timeouts = d->provider->timeouts;
}

/* --- its attempt --- */

static SUSPENDS err_t attempt(struct exchange *y)
{
    WITHIN(ns_add(y->r->received, y->timeouts.total));
    struct attempt *a = attempt_begin(y, ROLE_SHADOW);

    if (!a)
        return OK; /* no room, or no credential, for what nobody waits for */
    err_t e = attempt_run(y, a);
    a->cause = e == OK ? attempt_cause(y, a) : CAUSE_CANCELLED;
    if (a->cause == CAUSE_OK && y->events)
        e = drain_events(y, a);
    if (e == E_CANCELLED)
        a->outcome = ATTEMPT_CANCELLED;
    attempt_end(y, a);
    gateway_note_beside(y->gateway, &y->facts.tried[a->fact]);
    return e;
}

static void release(struct shadow *s)
{
    struct shadows *all = gateway_shadows(s->x.gateway);

    all->under_way--;
    gateway_let_go(s->x.gateway, s->held);
    arena_release(&s->arena);
    mem_free(s);
}

static SUSPENDS err_t run(void *arg)
{
    struct shadow *s = arg;
    err_t e = attempt(&s->x);

    release(s);
    return e;
}

/* --- whether --- */

static bool is_its_turn(const struct exchange *x)
{
    const struct model *m = x->model;

    if (!m || !m->shadow.deployment || x->once || x->endpoint.kind != ENDPOINT_OPERATION || !x->request.doc.n)
        return false;
    return (double)(rt_random() >> 11) * 0x1p-53 < m->shadow.share;
}

void shadow_begin(struct exchange *x)
{
    struct shadows *all = gateway_shadows(x->gateway);

    if (!is_its_turn(x) || !all->scope || all->under_way >= UNDER_WAY_MAX)
        return;
    const struct deployment *d = x->model->shadow.deployment;
    struct shadow *s = NEW(struct shadow);
    s->held = gateway_hold(x->gateway);
    s->x.gateway = x->gateway;
    all->under_way++;
    if (gateway_held_snapshot(s->held) != x->snapshot || copy_request(s, x) != OK ||
        !can_be_asked(&s->x, d->provider) || candidate_rules(&s->x, d) != EXCLUDED_NOT) {
        release(s);
        return;
    }
    choose_shadow(s, d);
    scope_spawn(all->scope, "shadow", run, s);
}

err_t shadows_run(void *gateway)
{
    struct shadows *all = gateway_shadows(gateway);
    SCOPE(beside, NS_NEVER);

    scope_discard_results(&beside);
    all->scope = &beside;
    err_t e = fiber_sleep_until(NS_NEVER);
    all->scope = NULL; /* no more of them; those under way are cancelled and joined with the scope */
    return e;
}
