/*
 * sim_provider.c - the simulated provider: brings a request to its endpoint, with the model's state and the request's plan.
 *
 * One provider belongs to one loop. It keeps, per name of a model that was asked for, how many requests came and what became of
 * them; names beyond MODELS_MAX share one entry. Other loops may read the counts (stats.h), and nothing else.
 *
 * The answer to a request is a function of the seed, the scenario and
 *   - the question, for what is said and how long it is;
 *   - the model's name and the request's number there, for ids, pace and faults;
 *   - the clock, for "created" and for the windows of a schedule.
 *
 * Paths are matched in surface.c; endpoints are in files of their own (turn.h lists them); pace and faults are in plan.c and play.c.
 */
#include "sim/sim_provider.h"

#include "base/map.h"
#include "base/mem.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "sim/file_store.h"
#include "sim/hash.h"
#include "sim/prefix_cache.h"
#include "sim/response_store.h"
#include "sim/surface.h"

enum {
    MODELS_MAX = 1024,
    ROOMS_KEPT = 256,            /* idle buffers                                 */
    ROOM_KEPT_BYTES = 128 << 10, /* larger ones are not kept                     */
    ROOM_BYTES_MAX = 512 << 20,
    BODY_BYTES_MAX = 256 << 20,
    PROBLEM_BYTES_MAX = 2048,
    FILE_BYTES_MAX = 256 << 20,    /* of all uploads       */
    RESPONSE_BYTES_MAX = 64 << 20, /* of all kept answers  */
};

struct sim_model_state {
    struct str name; /* owned */
    const struct sim_model *model;
    uint64_t hash; /* of the name */
    struct sim_load load;
    struct sim_counts counts;
};

/* A buffer that answers are built in, kept for the next request. */
struct room {
    struct room *next;
    struct buf buf;
};

struct sim_provider {
    const struct scenario *scenario;
    uint64_t seed;
    ns_t began;
    struct sim_provider *const *peers;
    size_t peer_count;
    struct sim_model_state *states[MODELS_MAX]; /* [0, state_count) are set, for good                     */
    size_t state_count;                         /* stored behind the state itself, so that peers may read */
    struct map by_name;
    struct sim_model_state *last; /* that was asked for */
    struct sim_counts other;      /* requests that came to no model */
    struct room *rooms;
    size_t room_count;
    struct file_store *files;
    struct response_store *responses;
    struct prefix_cache *prefixes;
    struct buf first_page;     /* of metrics that stand still */
    struct sim_limits *limits; /* of all peers, if this is the first of them */
};

/* --- life --- */

struct sim_provider *sim_provider_new(const struct scenario *scenario, uint64_t seed)
{
    struct sim_provider *p = NEW(struct sim_provider);

    p->scenario = scenario;
    p->seed = sim_hash_u64(seed, 0);
    p->began = rt_now();
    buf_init(&p->first_page, ROOM_BYTES_MAX);
    p->limits = sim_limits_new();
    return p;
}

void sim_provider_free(struct sim_provider *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->state_count; i++) {
        mem_free((void *)(uintptr_t)p->states[i]->name.p);
        mem_free(p->states[i]);
    }
    for (struct room *r = p->rooms, *next; r; r = next) {
        next = r->next;
        buf_release(&r->buf);
        mem_free(r);
    }
    map_release(&p->by_name);
    file_store_free(p->files);
    response_store_free(p->responses);
    mem_free(p->prefixes);
    buf_release(&p->first_page);
    sim_limits_free(p->limits);
    mem_free(p);
}

void sim_provider_set_peers(struct sim_provider *p, struct sim_provider *const *peers, size_t count)
{
    p->peers = peers;
    p->peer_count = count;
}

static struct room *room_take(struct sim_provider *p)
{
    struct room *r = p->rooms;

    if (r) {
        p->rooms = r->next;
        p->room_count--;
        return r;
    }
    r = NEW(struct room);
    buf_init(&r->buf, ROOM_BYTES_MAX);
    return r;
}

static void room_give(struct sim_provider *p, struct room *r)
{
    if (p->room_count == ROOMS_KEPT || r->buf.cap > ROOM_KEPT_BYTES) {
        buf_release(&r->buf);
        mem_free(r);
        return;
    }
    buf_clear(&r->buf);
    r->next = p->rooms;
    p->rooms = r;
    p->room_count++;
}

/* --- models --- */

static struct sim_model_state *state_add(struct sim_provider *p, struct str name, const struct sim_model *model)
{
    struct sim_model_state *s = NEW(struct sim_model_state);

    s->name = str_of(mem_dup(name.p, name.n), name.n);
    s->model = model;
    s->hash = sim_hash(0, s->name);
    map_put(&p->by_name, s->name, s);
    p->states[p->state_count] = s;
    __atomic_store_n(&p->state_count, p->state_count + 1, __ATOMIC_RELEASE);
    return s;
}

/* The state of a model; NULL if the scenario does not have it. */
static struct sim_model_state *state_of(struct sim_provider *p, struct str name)
{
    if (p->last && str_eq(p->last->name, name))
        return p->last;
    struct sim_model_state *s = map_get(&p->by_name, name);
    if (!s) {
        const struct sim_model *model = scenario_model(p->scenario, name);
        if (!model)
            return NULL;
        if (p->state_count >= MODELS_MAX - 1) { /* the last one is for all names that find no room */
            name = STR("*");
            s = map_get(&p->by_name, name);
        }
        if (!s)
            s = state_add(p, name, model);
    }
    p->last = s;
    return s;
}

/* --- what endpoints use --- */

/* Without the blanks of JSON in front. */
static struct str trim_json(struct str s)
{
    size_t blanks = 0;

    while (blanks < s.n && memchr(" \t\r\n", s.p[blanks], 4))
        blanks++;
    return str_slice(s, blanks, s.n);
}

/* The body, if it is an object, with another first member: of two with one name, the first one counts. */
static struct str with_model(struct arena *a, struct str body, struct str model)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);
    struct str rest = trim_json(body);

    if (!str_starts(rest, STR("{")))
        return body;
    rest = str_slice(rest, 1, rest.n);
    buf_add_lit(&text, "{\"model\":\"");
    buf_add_json(&text, model);
    buf_add_char(&text, '"');
    if (!str_starts(trim_json(rest), STR("}")))
        buf_add_char(&text, ',');
    buf_add(&text, rest);
    return arena_str(a, buf_str(&text));
}

err_t turn_body(struct sim_turn *t, struct str *ret_body)
{
    if (!t->body.p) {
        TRY(http_body_all(t->r, BODY_BYTES_MAX, &t->body));
        if (t->model.p)
            t->body = with_model(t->a, t->body, t->model);
    }
    *ret_body = t->body;
    return OK;
}

static err_t read_override(struct sim_turn *t)
{
    struct str header = http_request_header(t->r, STR("x-sim"));
    struct problems problems = {.arena = t->a};
    struct buf text CLEANUP(buf_release) = BUF_INIT(PROBLEM_BYTES_MAX);

    if (!header.p)
        return OK;
    if (!t->scenario->allow_overrides)
        return refuse(
            t->a, &t->refusal, "overrides_not_allowed", STR("x-sim"),
            "The scenario does not allow requests to choose their faults: set 'allow_overrides: true' in it.");
    if (scenario_override(header, &problems, &t->override) == OK)
        return OK;
    problems_print(&problems, &text);
    return refuse(t->a, &t->refusal, "invalid_header", STR("x-sim"), "Invalid header 'x-sim': %.*s",
                  STR_ARG(str_trim(buf_str(&text))));
}

static bool is_revoked(const struct sim_turn *t, const struct sim_revocation *v, struct str model)
{
    ns_t elapsed = t->r->received - t->provider->began;

    return elapsed >= v->from && elapsed < v->to && str_eq(v->model, model) && str_eq_secret(v->key, t->key);
}

static err_t check_revoked(struct sim_turn *t, struct str model)
{
    for (size_t i = 0; i < t->scenario->revoked_count; i++)
        if (model.n && is_revoked(t, &t->scenario->revoked[i], model))
            return refuse_status(t->a, &t->refusal, 403, "model_not_found",
                                 "Your key does not have access to model `%.*s`.", STR_ARG(model));
    return OK;
}

/* Is there something left of the key's limits? */
static err_t check_limits(struct sim_turn *t, struct sim_model_state *s)
{
    static const char *const words[SIM_LIMITED + 1] = {"requests", "tokens", "input tokens", "output tokens", ""};
    const struct sim_limit_rules *rules = &s->model->limits;
    struct sim_provider *first = t->provider->peer_count ? t->provider->peers[0] : t->provider;
    struct sim_limits_left left;
    unsigned any = 0;

    for (unsigned what = 0; what < SIM_LIMITED; what++)
        any |= rules->most[what];
    if (!any)
        return OK;
    t->play.limits = first->limits;
    t->play.limit_rules = rules;
    t->play.spent = sim_limits_of(first->limits, t->key, s->name);
    if (sim_limits_take(first->limits, t->play.spent, rules, t->r->received))
        return OK;
    sim_limits_read(first->limits, t->play.spent, rules, t->r->received, &left);
    sim_count(&s->counts.rate_limited, 1);
    (void)refuse_status(t->a, &t->refusal, 429, "rate_limit_exceeded",
                        "Rate limit reached for %.*s on %s: limit %u. (simulated)", STR_ARG(s->name),
                        words[left.tightest], left.tightest < SIM_LIMITED ? rules->most[left.tightest] : 0);
    t->refusal.retry_after = left.reset - t->r->received;
    return E_PARSE;
}

/* Workers share a model's capacity evenly. */
static void use_capacity(struct sim_turn *t)
{
    const struct sim_capacity *c = &t->state->model->capacity;
    double workers = t->provider->peer_count > 1 ? (double)t->provider->peer_count : 1;

    if (!sim_capacity_is_bounded(c))
        return;
    t->play.capacity = (struct sim_capacity){.read = c->read / workers, .written = c->written / workers};
    t->play.load = &t->state->load;
}

err_t turn_begin(struct sim_turn *t, struct str model, uint64_t question, bool *ret_over)
{
    struct sim_provider *p = t->provider;
    struct sim_model_state *s = state_of(p, model);

    if (!s)
        return refuse_status(t->a, &t->refusal, 404, "model_not_found",
                             "The model `%.*s` does not exist or you do not have access to it.", STR_ARG(model));
    t->state = s;
    t->play.counts = &s->counts;
    sim_count(&s->counts.requests, 1);
    sim_count(&s->counts.running, 1);
    TRY(read_override(t));
    TRY(check_revoked(t, model));
    TRY(check_limits(t, s));
    struct sim_occasion at = {.seed = p->seed,
                              .model = s->hash,
                              .nth = s->counts.requests,
                              .question = question,
                              .elapsed = t->r->received - p->began};
    sim_plan_make(s->model, &at, t->override.any ? &t->override : NULL, &t->plan);
    t->mark.unique = sim_hash_u64(sim_hash_u64(p->seed, s->hash), at.nth);
    t->mark.created = rt_wall() / NS_SEC;
    t->play.unique = t->mark.unique;
    use_capacity(t);
    return sim_play_before(&t->play, ret_over);
}

const struct sim_model *turn_model(const struct sim_turn *t)
{
    return t->state->model;
}

void turn_count_prompt(struct sim_turn *t, size_t tokens)
{
    sim_count(&t->play.counts->prompt_tokens, tokens);
    if (t->play.spent)
        sim_limits_spend(t->play.limits, t->play.spent, false, tokens);
    if (t->state) {
        sim_count(&t->state->counts.held_tokens, tokens);
        t->held_tokens += tokens;
        if (t->play.load)
            t->plan.ttft = ns_add(t->plan.ttft, sim_load_read(t->play.load, &t->play.capacity, tokens, rt_now()));
    }
}

err_t turn_reply_json(struct sim_turn *t, int status)
{
    TRY(buf_status(t->room));
    return sim_play_plain(&t->play, status, STR("application/json"), buf_str(t->room));
}

struct file_store *turn_files(struct sim_turn *t)
{
    if (!t->provider->files)
        t->provider->files = file_store_new(FILE_BYTES_MAX);
    return t->provider->files;
}

struct response_store *turn_responses(struct sim_turn *t)
{
    if (!t->provider->responses)
        t->provider->responses = response_store_new(RESPONSE_BYTES_MAX);
    return t->provider->responses;
}

struct prefix_cache *turn_prefixes(struct sim_turn *t)
{
    if (!t->provider->prefixes)
        t->provider->prefixes = NEW(struct prefix_cache);
    return t->provider->prefixes;
}

struct str turn_first_page(struct sim_turn *t, struct str page)
{
    struct buf *kept = &t->provider->first_page;

    if (!kept->n)
        buf_add(kept, page);
    return buf_str(kept);
}

struct str turn_bearer(const struct sim_turn *t)
{
    struct str header = http_head_get(&t->r->head, HDR_AUTHORIZATION);

    return str_starts_nocase(header, STR("bearer ")) ? str_trim(str_slice(header, 7, header.n)) : STR_NONE;
}

bool turn_knows_key(struct sim_turn *t, struct str key)
{
    bool known = t->scenario->api_key_count == 0;

    t->key = key;
    for (size_t i = 0; i < t->scenario->revoked_count; i++)
        if (is_revoked(t, &t->scenario->revoked[i], STR_NONE))
            return false;
    for (size_t i = 0; i < t->scenario->api_key_count; i++)
        known |= str_eq_secret(key, t->scenario->api_keys[i]);
    return known;
}

static err_t serve(struct sim_turn *t) SUSPENDS;
/* The path that load tests use is not searched for. */
static err_t serve(struct sim_turn *t)
{
    sim_endpoint_fn *endpoint = chat_endpoint;

    if (!str_eq(t->r->head.path, STR("/v1/chat/completions")) || !str_eq(t->r->head.method, STR("POST")))
        TRY(sim_surface_find(t, &endpoint));
    const struct sim_surface *keeper = t->surface->check_key ? t->surface : &sim_surface_openai;
    KNOWN(keeper->check_key);
    TRY(keeper->check_key(t));
    return endpoint(t);
}

err_t sim_provider_handle(struct http_request *r, void *ctx)
{
    struct sim_provider *p = ctx;
    struct room *room = room_take(p);
    struct sim_turn t = {.provider = p,
                         .scenario = p->scenario,
                         .r = r,
                         .a = r->arena,
                         .seed = p->seed,
                         .room = &room->buf,
                         .surface = &sim_surface_openai};

    t.play = (struct sim_play){
        .r = r, .surface = t.surface, .plan = &t.plan, .counts = &p->other, .unique = r->received, .room = t.room};
    err_t e = serve(&t);
    if (e == E_PARSE && t.refusal.status != 0) {
        sim_count(&t.play.counts->refused, 1);
        e = sim_play_refusal(&t.play, &t.refusal);
    }
    if (t.state) {
        sim_count(&t.state->counts.running, (uint64_t)-1);
        sim_count(&t.state->counts.held_tokens, -(uint64_t)t.held_tokens);
    }
    if (fiber_is_cancelled())
        sim_count(&t.play.counts->cancelled, 1);
    room_give(p, room);
    return e;
}

/* --- statistics --- */

static void sum_states(const struct sim_provider *p, struct map *sums, struct arena *a)
{
    size_t count = __atomic_load_n(&p->state_count, __ATOMIC_ACQUIRE);

    for (size_t i = 0; i < count; i++) {
        struct sim_counts *sum = map_get(sums, p->states[i]->name);
        if (!sum) {
            sum = arena_new(a, struct sim_counts);
            map_put(sums, p->states[i]->name, sum);
        }
        sim_counts_add(sum, &p->states[i]->counts);
    }
}

static size_t peers_of(const struct sim_provider *const *self, const struct sim_provider *const **ret)
{
    const struct sim_provider *p = *self;

    *ret = p->peer_count > 0 ? (const struct sim_provider *const *)p->peers : self;
    return p->peer_count > 0 ? p->peer_count : 1;
}

void sim_provider_visit(const struct sim_provider *p,
                        void (*fn)(void *ctx, struct str name, const struct sim_counts *counts), void *ctx)
{
    struct arena a CLEANUP(arena_release);
    struct map sums CLEANUP(map_release) = {0};
    const struct sim_provider *const *peers;
    size_t count = peers_of(&p, &peers);
    struct sim_counts *sum;

    arena_init(&a, SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        sum_states(peers[i], &sums, &a);
    for (size_t i = 0; i < count; i++) {
        size_t states = __atomic_load_n(&peers[i]->state_count, __ATOMIC_ACQUIRE);
        for (size_t k = 0; k < states; k++)
            if ((sum = map_remove(&sums, peers[i]->states[k]->name)))
                fn(ctx, peers[i]->states[k]->name, sum);
    }
}

/* Models being written as members of an object. */
struct members {
    struct buf *to;
    const char *joint;
};

static void write_member(void *ctx, struct str name, const struct sim_counts *counts)
{
    struct members *m = ctx;

    buf_addf(m->to, "%s\"", m->joint);
    buf_add_json(m->to, name);
    buf_add_lit(m->to, "\":");
    sim_counts_write(counts, m->to);
    m->joint = ",";
}

err_t sim_provider_stats(const struct sim_provider *p, struct buf *to)
{
    const struct sim_provider *const *peers;
    size_t count = peers_of(&p, &peers);
    struct sim_counts other = {0};
    struct members members = {to, ""};

    buf_add_lit(to, "{\"models\":{");
    sim_provider_visit(p, write_member, &members);
    for (size_t i = 0; i < count; i++)
        sim_counts_add(&other, &peers[i]->other);
    buf_add_lit(to, "},\"other\":");
    sim_counts_write(&other, to);
    buf_add_char(to, '}');
    return buf_status(to);
}
