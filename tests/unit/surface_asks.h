/*
 * surface_asks.h - asks a surface of the simulated provider, and looks into what it says. Bodies are written with ' for ".
 */
#ifndef UNIT_SURFACE_ASKS_H
#define UNIT_SURFACE_ASKS_H

#include "codec/json.h"
#include "codec/sse.h"
#include "provider_world.h"
#include "quoted.h"

enum { EVENTS_MAX = 512 };

static struct heard post(struct world *w, const char *target, const char *body) SUSPENDS;
static inline struct heard post(struct world *w, const char *target, const char *body)
{
    struct http_header headers[] = {{STR("content-type"), STR("application/json")}};

    return ask_with(w, "POST", target, headers, ARRAY_LEN(headers), quoted(&w->arena, body, STR_NONE).p, NS_NEVER);
}

/* With an x-sim header: a fault, a pace. */
static struct heard post_sim(struct world *w, const char *target, const char *x_sim, const char *body) SUSPENDS;
static inline struct heard post_sim(struct world *w, const char *target, const char *x_sim, const char *body)
{
    struct http_header headers[] = {{STR("content-type"), STR("application/json")}, {STR("x-sim"), str_from_c(x_sim)}};

    return ask_with(w, "POST", target, headers, ARRAY_LEN(headers), quoted(&w->arena, body, STR_NONE).p, NS_NEVER);
}

static struct heard fetch(struct world *w, const char *method, const char *target) SUSPENDS;
static inline struct heard fetch(struct world *w, const char *method, const char *target)
{
    return ask_with(w, method, target, NULL, 0, NULL, NS_NEVER);
}

/* The JSON of a text; NULL if it is none. */
static inline yyjson_val *parsed(struct world *w, struct str text)
{
    yyjson_val *v;

    return json_parse(&w->arena, text, NULL, 0, &v) == OK ? v : NULL;
}

/* What stands at "choices.0.message.content". NULL: nothing. */
static inline yyjson_val *val_at(yyjson_val *v, const char *path)
{
    struct str rest = str_from_c(path);
    uint64_t index;

    while (v && rest.n > 0) {
        struct str step = str_cut(&rest, '.');
        v = str_to_u64(step, 1 << 20, &index) ? yyjson_arr_get(v, index) : json_get(v, step);
    }
    return v;
}

/* Its text: of a string as it is, of anything else as JSON; "nothing" if there is nothing. */
static inline struct str text_at(struct world *w, yyjson_val *v, const char *path)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);

    v = val_at(v, path);
    if (!v || yyjson_is_str(v))
        return v ? json_text(v) : STR("nothing");
    return json_write(&json, &w->arena, v) == OK ? arena_str(&w->arena, buf_str(&json)) : STR("not JSON");
}

static inline struct str answer_at(struct world *w, struct heard h, const char *path)
{
    return text_at(w, parsed(w, h.body), path);
}

/* Events of a stream, in order. */
struct events {
    yyjson_val *v[EVENTS_MAX]; /* NULL: not JSON, as [DONE] */
    size_t count;
    bool done; /* the last one is [DONE] */
};

static inline struct events *events_of(struct world *w, struct str body)
{
    struct events *e = arena_new(&w->arena, struct events);
    struct sse sse CLEANUP(sse_release);
    struct sse_event event;

    sse_init(&sse, 0);
    while (e->count < EVENTS_MAX && sse_next(&sse, &body, &event) == SSE_EVENT) {
        if (event.data.n == 0) /* a comment */
            continue;
        e->done = str_eq(event.data, STR("[DONE]"));
        if (!e->done)
            e->v[e->count++] = parsed(w, event.data);
    }
    return e;
}

/* Lines of JSON as events. */
static inline struct events *lines_of(struct world *w, struct str body)
{
    struct events *e = arena_new(&w->arena, struct events);

    while (e->count < EVENTS_MAX && body.n > 0)
        e->v[e->count++] = parsed(w, str_cut(&body, '\n'));
    return e;
}

/* All texts at a path, joined. */
static inline struct str joined(struct world *w, const struct events *e, const char *path)
{
    struct str all = STR("");

    for (size_t i = 0; i < e->count; i++)
        all = arena_join(&w->arena, all, json_text(val_at(e->v[i], path)));
    return all;
}

/* How many events have something at a path. */
static inline size_t having(const struct events *e, const char *path)
{
    size_t count = 0;

    for (size_t i = 0; i < e->count; i++)
        count += val_at(e->v[i], path) != NULL;
    return count;
}

static inline bool holds(struct str text, const char *part)
{
    return str_find(text, str_from_c(part)) < text.n;
}

/* What a surface is asked, and how it must answer: the status, and words of the body. */
struct ask_case {
    const char *body;
    int status;
    const char *says;
};

static void check_asks(struct world *w, const char *target, const struct ask_case *cases, size_t count) SUSPENDS;
static inline void check_asks(struct world *w, const char *target, const struct ask_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct heard h = post(w, target, cases[i].body);
        CHECK_MSG(h.error == OK && h.status == cases[i].status &&
                      holds(h.body, quoted(&w->arena, cases[i].says, STR_NONE).p),
                  "%s %s: %d %.*s", target, cases[i].body, h.status, STR_ARG(h.body));
    }
}

#endif
