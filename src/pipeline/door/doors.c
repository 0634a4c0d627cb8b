/*
 * doors.c - requests wait at a door, sources take them, somebody answers.
 *
 * A knock belongs to two: the request that waits, and whoever answers. Each lets go once, and the last frees it, so neither needs to know what became of the
 * other. The request waits on a struct wakeup of its own stack; whoever sends it takes it out of the knock first, under the lock, so it is sent once or
 * given up, never both. Who hears an answer in pieces is called for each, and puts his wakeup into the knock again; what is said meanwhile gathers.
 *
 * Bounded: as many wait at a door as WAITING_MAX, with as many bytes as WAITING_BYTES_MAX, those beyond are told to come again; a body is as long as the
 * door says.
 */
#include "pipeline/door/doors.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/gateway.h"
#include "rt/lock.h"
#include "rt/loop.h"
#include "rt/wakeup.h"

#include <stdatomic.h>

enum { WAITING_MAX = 1000, WAITING_BYTES_MAX = 64 << 20, ID_MAX = 256, ID_MADE = 26, REPLY_MAX = 16 << 20 };
/* So long a door without a source keeps who comes. */
#define BETWEEN_SOURCES (10 * NS_SEC)

struct doors {
    struct lock *lock;
    struct map by_path; /* struct door * */
    _Atomic bool any;   /* a door was opened, ever */
    bool is_shut;
};

struct knock_private {
    struct list link; /* of the door's; not linked: it was taken */
    struct door *door;
    struct knock knock;
    struct arena arena;
    struct wakeup *waiter; /* the request's; NULL: it has gone, or has been called */
    unsigned owners;
    bool is_safe;              /* in the journal                             */
    bool is_gone;              /* nobody hears the answer                    */
    bool is_aloud;             /* its request hears pieces of the answer     */
    bool is_answered;          /* what follows is there                      */
    struct buf said;           /* of the answer, that it has not heard yet   */
    struct door_answer answer; /* the body is on the heap */
};

struct door {
    struct doors *doors;
    struct arena arena; /* of the options' texts */
    struct door_options options;
    struct webhook_rules signature;
    struct list waiting;
    size_t count, bytes;    /* of bodies */
    struct wakeup *sleeper; /* the source's, while it waits; NULL: it does not */
    bool is_open;
    ns_t closed; /* when it was */
};

struct doors *doors_new(void)
{
    struct doors *d = NEW(struct doors);

    d->lock = lock_new();
    return d;
}

static void free_knock(struct knock_private *k)
{
    mem_free((void *)(uintptr_t)k->answer.body.p);
    buf_release(&k->said);
    struct arena arena = k->arena; /* in which it lies itself */
    arena_release(&arena);
}

void doors_free(struct doors *d)
{
    struct str path;
    void *value;
    size_t at = 0;

    if (!d)
        return;
    while (map_next(&d->by_path, &at, &path, &value)) {
        struct door *door = value;
        LIST_EACH(node, next, &door->waiting)
            free_knock(CONTAINER_OF(node, struct knock_private, link));
        arena_release(&door->arena);
        mem_free(door);
    }
    map_release(&d->by_path);
    lock_free(d->lock);
    mem_free(d);
}

/* One of a knock's two owners has done with it. */
static void let_go(struct knock_private *k)
{
    struct lock *lock = k->door->doors->lock;

    lock_take(lock);
    bool is_last = --k->owners == 0;
    lock_give(lock);
    if (is_last)
        free_knock(k);
}

/* --- the source's side --- */

/* Under the lock, or before anybody knows the door. */
static void set_options(struct door *d, const struct door_options *o)
{
    struct arena former = d->arena;
    struct arena *a = &d->arena;

    arena_init(a, 1 << 20);
    d->options = *o;
    d->options.path = arena_str(a, o->path);
    d->options.id_header = arena_str(a, o->id_header);
    if (o->signature) {
        d->signature = *o->signature;
        d->signature.header = arena_str(a, o->signature->header);
        d->signature.secret = arena_str(a, o->signature->secret);
        d->options.signature = &d->signature;
    }
    arena_release(&former);
}

static struct door *make_door(struct doors *all, const struct door_options *o)
{
    struct door *d = NEW(struct door);

    d->doors = all;
    list_init(&d->waiting);
    set_options(d, o);
    map_put(&all->by_path, d->options.path, d);
    return d;
}

err_t door_open(struct doors *all, const struct door_options *o, struct door **ret)
{
    lock_take(all->lock);
    struct door *d = map_get(&all->by_path, o->path);
    bool is_taken = d && d->is_open;
    if (!d) {
        d = make_door(all, o);
    } else if (!is_taken) {
        map_remove(&all->by_path, o->path);
        set_options(d, o);
        map_put(&all->by_path, d->options.path, d);
    }
    d->is_open = true;
    lock_give(all->lock);
    if (is_taken)
        return fail(E_CONFLICT, "another source has the path %.*s", STR_ARG(o->path));
    atomic_store(&all->any, true);
    *ret = d;
    return OK;
}

struct door *door_announce(struct doors *all, const struct door_options *o)
{
    lock_take(all->lock);
    struct door *d = map_get(&all->by_path, o->path);
    if (!d) {
        d = make_door(all, o);
        d->closed = NS_NEVER;
    }
    lock_give(all->lock);
    atomic_store(&all->any, true);
    return d;
}

void door_close(struct door *d)
{
    if (!d)
        return;
    lock_take(d->doors->lock);
    d->is_open = false;
    d->closed = rt_now();
    lock_give(d->doors->lock);
}

static struct knock *take_waiting(struct door *d, size_t max)
{
    struct knock *first = NULL, **end = &first;

    for (size_t n = 0; n < max && !list_is_empty(&d->waiting); n++) {
        struct knock_private *k = CONTAINER_OF(list_pop_front(&d->waiting), struct knock_private, link);
        d->count--;
        d->bytes -= k->knock.body.n;
        *end = &k->knock;
        end = &k->knock.next;
    }
    *end = NULL;
    return first;
}

err_t door_take(struct door *d, size_t max, ns_t until, struct knock **ret_first)
{
    struct lock *lock = d->doors->lock;
    struct wakeup w;

    wakeup_init(&w);
    lock_take(lock);
    *ret_first = take_waiting(d, max);
    d->sleeper = *ret_first ? NULL : &w;
    lock_give(lock);
    if (*ret_first)
        return OK;
    err_t e = wakeup_wait(&w, until);
    lock_take(lock);
    bool was_sent = d->sleeper != &w;
    d->sleeper = NULL;
    if (e == OK)
        *ret_first = take_waiting(d, max);
    lock_give(lock);
    if (e != OK && was_sent)
        wakeup_join(&w);
    return e == E_AGAIN ? OK : e;
}

void knock_is_safe(struct knock *knock)
{
    struct knock_private *k = knock->private_;

    lock_take(k->door->doors->lock);
    k->is_safe = true;
    lock_give(k->door->doors->lock);
}

static void send_away(struct knock *k)
{
    knock_answer(k, 503, STR("{\"error\":{\"message\":\"The gateway stops: send the message again.\"}}"));
}

void doors_shut(struct doors *all)
{
    struct knock *first = NULL, **end = &first;
    struct str path;
    void *value;
    size_t at = 0;

    lock_take(all->lock);
    all->is_shut = true;
    while (map_next(&all->by_path, &at, &path, &value)) {
        *end = take_waiting(value, WAITING_MAX);
        while (*end)
            end = &(*end)->next;
    }
    lock_give(all->lock);
    for (struct knock *k = first, *next; k; k = next) {
        next = k->next;
        send_away(k);
    }
}

void knock_give_back(struct knock *knock)
{
    struct knock_private *k = knock->private_;
    struct door *d = k->door;

    lock_take(d->doors->lock);
    bool waits = !d->doors->is_shut;
    if (waits) {
        list_push_front(&d->waiting, &k->link);
        d->count++;
        d->bytes += knock->body.n;
    }
    lock_give(d->doors->lock);
    if (!waits)
        send_away(knock);
}

bool knock_is_gone(struct knock *knock)
{
    struct knock_private *k = knock->private_;

    lock_take(k->door->doors->lock);
    bool is_gone = k->is_gone;
    lock_give(k->door->doors->lock);
    return is_gone;
}

/* Call who waits, if he does. Under the lock; to be sent without it. */
static struct wakeup *take_waiter(struct knock_private *k)
{
    struct wakeup *w = k->waiter;

    k->waiter = NULL;
    return w;
}

/* What is too much to be kept is not said: the answer holds it all. */
bool knock_say(struct knock *knock, struct str piece)
{
    struct knock_private *k = knock->private_;
    struct lock *lock = k->door->doors->lock;
    struct wakeup *w = NULL;

    lock_take(lock);
    bool is_heard = k->is_aloud && !k->is_gone;
    if (is_heard && buf_add(&k->said, piece) == OK)
        w = take_waiter(k);
    lock_give(lock);
    if (w)
        wakeup_send(w);
    return is_heard;
}

void knock_spent(struct knock *knock, uint64_t input_tokens, uint64_t output_tokens)
{
    struct door_answer *a = &knock->private_->answer;

    a->input_tokens = input_tokens;
    a->output_tokens = output_tokens;
}

void knock_answer(struct knock *knock, int status, struct str body)
{
    struct knock_private *k = knock->private_;
    struct lock *lock = k->door->doors->lock;

    k->answer.status = status;
    if (body.n)
        k->answer.body = str_of(mem_dup(body.p, body.n), body.n);
    lock_take(lock);
    k->is_answered = true;
    struct wakeup *w = take_waiter(k);
    lock_give(lock);
    if (w)
        wakeup_send(w);
    let_go(k);
}

/* --- the request's side --- */

static SUSPENDS err_t say(struct http_request *r, int status, struct str body)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                          {STR("retry-after"), STR("1")}};
    const struct http_reply reply = {.status = status, .headers = headers, .count = status == 503 ? 2 : 1};

    return http_reply_whole(r, &reply, body);
}

static SUSPENDS err_t refuse(struct http_request *r, int status, const char *words)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(4096);

    (void)buf_add_lit(&body, "{\"error\":{\"message\":\"");
    (void)buf_add_json(&body, str_from_c(words));
    (void)buf_add_lit(&body, "\"}}");
    return say(r, status, buf_str(&body));
}

/* What of the door the request needs, once it has let the lock go: the door may be opened anew meanwhile. */
static struct door *find_door(struct doors *all, struct str path, struct arena *a, struct door_options *ret,
                              struct webhook_rules *ret_signature)
{
    lock_take(all->lock);
    struct door *d = map_get(&all->by_path, path);
    if (d && !d->is_open && rt_now() > ns_add(d->closed, BETWEEN_SOURCES))
        d = NULL;
    if (d) {
        *ret = d->options;
        ret->id_header = arena_str(a, d->options.id_header);
        if (ret->signature) {
            *ret_signature = *ret->signature;
            ret_signature->header = arena_str(a, ret->signature->header);
            ret_signature->secret = arena_str(a, ret->signature->secret);
            ret->signature = ret_signature;
        }
    }
    lock_give(all->lock);
    return d;
}

/* Of a message whose sender gave none: it is only good for asking after it. */
static struct str make_id(struct arena *a)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    char id[ID_MADE];
    uint64_t bits[3] = {rt_random(), rt_random(), rt_random()};

    for (size_t i = 0; i < sizeof id; i++)
        id[i] = digits[(bits[i / 12] >> (5 * (i % 12))) & 31];
    return arena_str(a, str_of(id, sizeof id));
}

/* `waiter` NULL: nobody waits for what becomes of it. */
static struct knock_private *make_knock(struct door *d, const struct door_message *m, struct wakeup *waiter)
{
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    struct knock_private *k = arena_new(&arena, struct knock_private);
    k->arena = arena;
    k->door = d;
    k->waiter = waiter;
    k->owners = waiter ? 2 : 1;
    k->is_gone = !waiter;
    buf_init(&k->said, REPLY_MAX);
    k->knock = (struct knock){.id = m->id.n ? arena_str(&k->arena, m->id) : make_id(&k->arena),
                              .has_id = m->id.n > 0,
                              .body = arena_str(&k->arena, m->body),
                              .traceparent = arena_str(&k->arena, m->traceparent),
                              .at = rt_wall(),
                              .private_ = k};
    return k;
}

/* False: too many wait. */
static bool enqueue(struct door *d, struct knock_private *k)
{
    struct wakeup *sleeper = NULL;

    lock_take(d->doors->lock);
    size_t bytes = d->bytes + k->knock.body.n;
    bool fits = d->count < WAITING_MAX && (bytes <= WAITING_BYTES_MAX || !d->count) && !d->doors->is_shut;
    if (fits) {
        list_push_back(&d->waiting, &k->link);
        d->count++;
        d->bytes = bytes;
        sleeper = d->sleeper;
        d->sleeper = NULL;
    }
    lock_give(d->doors->lock);
    if (sleeper)
        wakeup_send(sleeper);
    return fits;
}

enum gave_up { GAVE_UP, GAVE_UP_SAFE, WAS_ANSWERED };

/* The request waits no longer; or it was called just now, and has its answer. If nobody has taken the knock yet, nobody will. */
static SUSPENDS enum gave_up give_up(struct knock_private *k, struct wakeup *w)
{
    struct lock *lock = k->door->doors->lock;

    lock_take(lock);
    bool was_sent = k->waiter != w;
    k->waiter = NULL;
    k->is_gone = true;
    enum gave_up how = was_sent ? WAS_ANSWERED : k->is_safe ? GAVE_UP_SAFE : GAVE_UP;
    if (list_is_linked(&k->link)) {
        list_remove(&k->link);
        k->door->count--;
        k->door->bytes -= k->knock.body.n;
        k->owners--;
    }
    lock_give(lock);
    if (was_sent)
        wakeup_join(w);
    return how;
}

static SUSPENDS err_t wait_for_answer(struct http_request *r, const struct door_options *o, struct knock_private *k,
                                      struct wakeup *w)
{
    err_t e = wakeup_wait(w, ns_add(rt_now(), o->patience));
    enum gave_up how = e == OK ? WAS_ANSWERED : give_up(k, w);

    if (how == WAS_ANSWERED)
        return say(r, k->answer.status, k->answer.body);
    if (e != E_AGAIN)
        return e;
    if (how == GAVE_UP)
        return refuse(r, 503, "The message could not be taken in in time: send it again in a moment.");
    return say(r, 202, arena_printf(r->arena, "{\"id\":\"%.*s\"}", STR_ARG(k->knock.id)));
}

static bool is_fit_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~' || id.p[i] == '"' || id.p[i] == '\\')
            return false;
    return id.n <= ID_MAX;
}

/* Who may not send is told so before anything of the body is read; whether it is signed shows only behind it. */
static err_t check_head(const struct door_options *o, struct gateway *gateway, struct http_request *r, struct str id)
{
    if (o->needs_key)
        TRY(gateway_admits(gateway, r));
    if (o->needs_id && !id.n)
        return fail(E_PARSE, "The header %.*s is missing, which tells one message from another.",
                    STR_ARG(o->id_header));
    return is_fit_id(id) ? OK : fail(E_PARSE, "An id has at most %d characters, all of them printable.", ID_MAX);
}

static SUSPENDS err_t refuse_for(struct http_request *r, err_t e)
{
    return refuse(r, err_http_status(e), arena_str(r->arena, str_from_c(err_detail(e))).p);
}

static SUSPENDS err_t wait_at(struct door *d, const struct door_options *o, struct http_request *r, struct str id,
                              struct str body)
{
    struct wakeup w;

    const struct door_message m = {.id = id, .body = body, .traceparent = http_head_get(&r->head, HDR_TRACEPARENT)};

    wakeup_init(&w);
    struct knock_private *k = make_knock(d, &m, &w);
    if (!enqueue(d, k)) {
        free_knock(k);
        return refuse(r, 503, "Too many messages wait: send it again in a moment.");
    }
    err_t e = wait_for_answer(r, o, k, &w);
    let_go(k);
    return e;
}

/* Who brought it goes, and it stays there. True: it was answered just now. */
static SUSPENDS bool stop_waiting(struct knock_private *k, struct wakeup *w)
{
    struct lock *lock = k->door->doors->lock;

    lock_take(lock);
    bool was_sent = k->waiter != w, was_answered = k->is_answered;
    k->waiter = NULL;
    k->is_gone = true;
    lock_give(lock);
    if (was_sent)
        wakeup_join(w);
    return was_answered;
}

/* Who was called takes what was said since. True: the answer is there. */
static bool take_said(struct knock_private *k, struct buf *ret_said)
{
    struct lock *lock = k->door->doors->lock;

    lock_take(lock);
    *ret_said = k->said;
    buf_init(&k->said, REPLY_MAX);
    bool is_answered = k->is_answered;
    lock_give(lock);
    return is_answered;
}

/* To be called again. False: there is something already. */
static bool listen_again(struct knock_private *k, struct wakeup *w)
{
    struct lock *lock = k->door->doors->lock;

    lock_take(lock);
    bool is_quiet = !k->said.n && !k->is_answered;
    if (is_quiet) {
        wakeup_init(w);
        k->waiter = w;
    }
    lock_give(lock);
    return is_quiet;
}

/* Until the answer is there, hearing what comes of it before. While the listener waits for something else, nobody calls. */
static SUSPENDS err_t hear_out(struct knock_private *k, struct wakeup *w, ns_t until,
                               const struct door_listener *listener)
{
    for (bool is_quiet = true, is_answered = false; !is_answered; is_quiet = listen_again(k, w)) {
        struct buf said CLEANUP(buf_release) = BUF_INIT(0);
        err_t e = is_quiet ? wakeup_wait(w, until) : OK;
        if (e != OK)
            return stop_waiting(k, w) ? OK : e;
        is_answered = take_said(k, &said);
        if (listener && said.n)
            e = listener->on_piece(listener->ctx, buf_str(&said));
        if (e != OK) {
            (void)stop_waiting(k, w);
            return e;
        }
    }
    return OK;
}

bool door_leave(struct door *d, const struct door_message *m)
{
    struct knock_private *k = make_knock(d, m, NULL);
    bool fits = enqueue(d, k);

    if (!fits)
        free_knock(k);
    return fits;
}

/* `arena` NULL: the status is enough. */
static SUSPENDS err_t bring(struct door *d, const struct door_message *m, ns_t until,
                            const struct door_listener *listener, struct arena *arena, struct door_answer *ret)
{
    struct wakeup w;

    wakeup_init(&w);
    struct knock_private *k = make_knock(d, m, &w);
    k->is_aloud = listener != NULL;
    if (!enqueue(d, k)) {
        free_knock(k);
        return fail(E_OVERLOAD, "too many messages wait");
    }
    err_t e = hear_out(k, &w, until, listener);
    if (e == OK) {
        *ret = k->answer;
        ret->body = arena ? arena_str(arena, k->answer.body) : STR_NONE;
    }
    let_go(k);
    return e;
}

err_t door_bring(struct door *d, const struct door_message *m, ns_t until, int *ret_status)
{
    struct door_answer answer;

    TRY(bring(d, m, until, NULL, NULL, &answer));
    *ret_status = answer.status;
    return OK;
}

err_t doors_ask(struct doors *all, struct str path, const struct door_message *m, const struct door_listener *listener,
                struct arena *arena, struct door_answer *ret)
{
    struct door_options o;
    struct webhook_rules signature;
    struct door *d = find_door(all, path, arena, &o, &signature);

    if (!d)
        return fail(E_NOT_FOUND, "there is no such pipeline");
    return bring(d, m, ns_add(rt_now(), o.patience), listener, arena, ret);
}

static SUSPENDS err_t serve(struct door *d, const struct door_options *o, struct gateway *gateway,
                            struct http_request *r)
{
    struct str body, id = str_trim(http_request_header(r, o->id_header));

    if (!str_eq(r->head.method, STR("POST")))
        return refuse(r, 405, "Messages are sent with POST.");
    err_t e = check_head(o, gateway, r, id);
    if (e != OK)
        return refuse_for(r, e);
    TRY(http_body_all(r, o->body_max, &body));
    e = o->signature ? webhook_verify(o->signature, &r->head, body, rt_wall()) : OK;
    return e == OK ? wait_at(d, o, r, id, body) : refuse_for(r, e);
}

err_t doors_serve(struct doors *all, struct gateway *gateway, struct http_request *r, bool *ret_served)
{
    struct door_options o;
    struct webhook_rules signature;

    *ret_served = false;
    if (!atomic_load_explicit(&all->any, memory_order_relaxed) || str_starts(r->head.path, STR("/v1/")))
        return OK;
    struct door *d = find_door(all, r->head.path, r->arena, &o, &signature);
    if (!d)
        return OK;
    *ret_served = true;
    return serve(d, &o, gateway, r);
}
