/*
 * endpoint.c - matching a path against the rows of all dialects, and deciding where several have one.
 *
 * A path that several dialects share belongs to the one whose clients say so in a header, else to OpenAI's, else to the first by name; where
 * only the body tells (POST /rerank), both are kept until it is there.
 */
#include "gateway/endpoint.h"

#include "codec/json_scan.h"
#include "codec/url.h"

/* Names of products that stand in front of a path beside those of dialects, and the dialects that their clients speak. */
static const struct {
    struct str name;
    const char *dialects[6];
} products[] = {
    {STR_INIT("azure"), {"openai", "responses", "completions"}},
    {STR_INIT("mistral"), {"openai", "completions"}},
    {STR_INIT("vllm"), {"openai", "responses", "completions", "anthropic", "rerank"}},
    {STR_INIT("hf"), {"openai", "completions", "tgi", "tei"}},
    {STR_INIT("vertex"), {"gemini", "anthropic"}},
    {STR_INIT("jina"), {"rerank", "openai"}},
};

static bool cut_prefix(struct str *path, struct str prefix)
{
    if (!str_starts(*path, prefix) || (path->n > prefix.n && path->p[prefix.n] != '/'))
        return false;
    *path = str_slice(*path, prefix.n, path->n);
    return true;
}

/* --- one row --- */

/* Match `path` against a row's pattern from here on. {model} takes as much as it can, but at least one byte; {x} is one segment. */
static bool matches(const char *pattern, struct str path, struct str *ret_model)
{
    static const struct str model = STR_INIT("{model}"), any = STR_INIT("{x}");
    size_t at = 0;

    for (; *pattern; pattern++) {
        if (LIKELY(*pattern != '{')) {
            if (at == path.n || *pattern != path.p[at])
                return false;
            at++;
            continue;
        }
        path = str_slice(path, at, path.n);
        at = 0;
        struct str rest = str_from_c(pattern);
        if (str_starts(rest, model)) {
            rest = str_slice(rest, model.n, rest.n);
            if (path.n <= rest.n || !str_ends(path, rest))
                return false;
            *ret_model = str_slice(path, 0, path.n - rest.n);
            return true;
        }
        at = str_find_char(path, '/');
        if (!at)
            return false;
        pattern += any.n - 1;
    }
    return at == path.n;
}

/* --- all rows --- */

struct search {
    struct str method, path;
    struct endpoint *ret;
    struct str model; /* still coded */
    bool wrong_method;
};

static void take_row(struct search *s, const struct dialect *d, const struct endpoint_row *row)
{
    struct str model = STR_NONE;

    if (!matches(row->path, s->path, &model))
        return;
    if (!str_eq(s->method, str_from_c(row->method))) {
        if (!s->wrong_method && !s->ret->row) { /* the first that has the path says what is allowed */
            s->ret->allow = row->method;
            s->ret->dialect = d;
        }
        s->wrong_method = true;
        return;
    }
    if (s->ret->row) {
        s->ret->other = d;
        s->ret->other_row = row;
        return;
    }
    s->ret->dialect = d;
    s->ret->row = row;
    s->model = model;
}

static void look_in(struct search *s, const struct dialect *d)
{
    const struct endpoint *found = s->ret;

    for (const struct endpoint_row *row = d ? d->client.endpoints : NULL; row && row->method; row++) {
        if (found->row && (found->other || found->dialect == d)) /* of each dialect the first, and of two dialects */
            return;
        take_row(s, d, row);
    }
}

/* The dialect that a request to a path of several says it is of. NULL: none. */
static const struct dialect *claimant(const struct search *s, const struct http_head *head)
{
    for (size_t i = 0; i < dialect_catalog_count; i++)
        if (dialect_catalog[i]->client.claims && dialect_catalog[i]->client.claims(s->method, s->path, head))
            return dialect_catalog[i];
    return NULL;
}

static void look_everywhere(struct search *s, const struct http_head *head)
{
    if (str_starts(s->path, STR("/v1/models")) || str_starts(s->path, STR("/v1/files"))) {
        look_in(s, claimant(s, head));
        if (s->ret->row)
            return;
    }
    look_in(s, dialect_usual);
    if (s->ret->row)
        return;
    for (size_t i = 0; i < dialect_catalog_count; i++)
        if (dialect_catalog[i] != dialect_usual)
            look_in(s, dialect_catalog[i]);
}

/* --- paths as clients write them --- */

static void tidy(struct str *path)
{
    while (path->n > 1 && path->p[path->n - 1] == '/')
        path->n--;
    while (str_starts(*path, STR("/v1/v1/")))
        *path = str_slice(*path, 3, path->n);
}

/* Dialects of a prefix, the first of them its own. */
struct prefixed {
    const struct dialect *own;
    const char *const *along; /* names, NULL-terminated; NULL: none */
};

static bool find_prefix(struct str name, struct prefixed *ret)
{
    const struct dialect *d = dialect_find(name);

    *ret = (struct prefixed){.own = d, .along = d ? d->client.along : NULL};
    for (size_t i = 0; !ret->own && i < ARRAY_LEN(products); i++)
        if (str_eq(products[i].name, name))
            *ret = (struct prefixed){dialect_find(str_from_c(products[i].dialects[0])), products[i].dialects + 1};
    return ret->own;
}

static void look_in_prefixed(struct search *s, const struct prefixed *p)
{
    look_in(s, p->own);
    for (const char *const *name = p->along; name && *name; name++)
        look_in(s, dialect_find(str_from_c(*name)));
}

static void look_behind_prefix(struct search *s, struct arena *arena)
{
    struct str rest = str_slice(s->path, 1, s->path.n), name = str_slice(rest, 0, str_find_char(rest, '/'));
    struct prefixed p;

    if (!find_prefix(name, &p))
        return;
    rest = str_slice(rest, name.n, rest.n);
    tidy(&rest);
    if (!rest.n)
        rest = STR("/");
    struct str with_version = str_starts(rest, STR("/v1")) ? rest : arena_join(arena, STR("/v1"), rest);
    s->ret->dialect = p.own;
    s->path = rest;
    look_in_prefixed(s, &p);
    s->path = with_version;
    if (!s->ret->row)
        look_in_prefixed(s, &p);
}

/* Everything else below OpenAI's /v1 is relayed to one provider. Methods that a known path does not have may be operations that we do not
 * know: only where no provider has any is it a wrong method. */
static void conclude(struct search *s)
{
    static const struct str closed[] = {STR_INIT("/embeddings"), STR_INIT("/completions"), STR_INIT("/models")};
    struct endpoint *e = s->ret;
    struct str path = s->path;
    bool below_v1 = cut_prefix(&path, STR("/v1")) && path.n > 1;

    bool by_id = e->row && e->row->operation == OP_PASS && e->row->model == MODEL_NONE && /* no model to route by */
                 str_starts(str_from_c(e->row->path), STR("/v1"));
    if (e->row && !by_id) {
        e->kind = ENDPOINT_OPERATION;
        e->path = str_from_c(e->row->path);
        (void)cut_prefix(&e->path, STR("/v1"));
        e->label = e->row->label;
        return;
    }
    bool is_openai = e->dialect == dialect_usual || !s->wrong_method;
    bool is_closed = !is_openai;
    for (size_t i = 0; i < ARRAY_LEN(closed); i++)
        is_closed |= str_eq(path, closed[i]);
    if (s->wrong_method && is_closed && !by_id) {
        e->kind = ENDPOINT_WRONG_METHOD;
    } else if (below_v1 && (e->dialect == dialect_usual || !e->dialect || by_id)) {
        e->kind = ENDPOINT_PASS_THROUGH;
        e->label = "pass_through";
        e->path = path;
    }
}

void endpoint_find(struct str method, struct str path, const struct http_head *head, struct arena *arena,
                   struct endpoint *ret)
{
    struct search s = {.method = method, .path = path, .ret = ret};

    *ret = (struct endpoint){.kind = ENDPOINT_UNKNOWN, .label = "unknown", .path = path};
    tidy(&s.path);
    look_everywhere(&s, head);
    if (!ret->row && !s.wrong_method)
        look_behind_prefix(&s, arena);
    conclude(&s);
    if (!ret->dialect)
        ret->dialect = dialect_usual;
    if (s.model.n && url_decode(s.model, arena, &ret->model) != OK)
        ret->kind = ENDPOINT_UNKNOWN;
}

void endpoint_take_other(struct endpoint *e)
{
    e->dialect = e->other;
    e->row = e->other_row;
    e->label = e->row->label;
    e->path = str_from_c(e->row->path);
    (void)cut_prefix(&e->path, STR("/v1"));
    e->other = NULL;
}

static bool has_mark(struct str body, const struct dialect *d)
{
    for (const char *const *mark = d->client.body_marks; mark && *mark; mark++)
        if (json_find(body, str_from_c(*mark)).n)
            return true;
    return false;
}

/* One of two dialects with a path may have no marks: its requests are those that lack the other's. */
static bool is_others(const struct endpoint *e, struct str body)
{
    if (!e->other)
        return false;
    return e->other->client.body_marks ? has_mark(body, e->other)
                                       : e->dialect->client.body_marks && !has_mark(body, e->dialect);
}

void endpoint_settle(struct endpoint *e, struct str body)
{
    if (is_others(e, body))
        endpoint_take_other(e);
    e->other = NULL;
}
