/*
 * endpoint.c - matching a path against the rows of all dialects, and deciding where several have one.
 *
 * A path that several dialects share belongs to the one whose clients say so in a header, else to OpenAI's, else to the first by name; where
 * only the body tells (POST /rerank), both are kept until it is there.
 */
#include "gateway/endpoint.h"

#include "codec/json_scan.h"
#include "codec/url.h"

/* Names that stand in front of a path, and the dialects that they mean. */
static const struct {
    struct str prefix;
    const char *dialects[5];
} prefixes[] = {
    {STR_INIT("/openai"), {"openai", "responses", "completions"}},
    {STR_INIT("/azure"), {"openai", "responses", "completions"}},
    {STR_INIT("/mistral"), {"openai", "completions"}},
    {STR_INIT("/vllm"), {"openai", "responses", "completions", "anthropic", "rerank"}},
    {STR_INIT("/hf"), {"openai", "completions", "tgi", "tei"}},
    {STR_INIT("/anthropic"), {"anthropic"}},
    {STR_INIT("/gemini"), {"gemini"}},
    {STR_INIT("/vertex"), {"gemini", "anthropic"}},
    {STR_INIT("/cohere"), {"cohere"}},
    {STR_INIT("/bedrock"), {"bedrock", "anthropic"}},
    {STR_INIT("/ollama"), {"ollama", "openai", "completions", "anthropic"}},
    {STR_INIT("/tei"), {"tei", "openai"}},
    {STR_INIT("/tgi"), {"tgi", "openai", "completions"}},
    {STR_INIT("/jina"), {"rerank", "openai"}},
};

static bool cut_prefix(struct str *path, struct str prefix)
{
    if (!str_starts(*path, prefix) || (path->n > prefix.n && path->p[prefix.n] != '/'))
        return false;
    *path = str_slice(*path, prefix.n, path->n);
    return true;
}

/* --- one row --- */

/* Match `path` against a row's pattern from here on. {model} takes as much as it can, but at least one byte. */
static bool matches(struct str pattern, struct str path, struct str *ret_model)
{
    static const struct str model = STR_INIT("{model}"), any = STR_INIT("{x}");

    while (pattern.n) {
        if (str_starts(pattern, any)) {
            size_t end = str_find_char(path, '/');
            if (!end)
                return false;
            pattern = str_slice(pattern, any.n, pattern.n);
            path = str_slice(path, end, path.n);
        } else if (str_starts(pattern, model)) {
            struct str rest = str_slice(pattern, model.n, pattern.n);
            if (path.n <= rest.n || !str_ends(path, rest))
                return false;
            *ret_model = str_slice(path, 0, path.n - rest.n);
            return true;
        } else {
            if (!path.n || pattern.p[0] != path.p[0])
                return false;
            pattern = str_slice(pattern, 1, pattern.n);
            path = str_slice(path, 1, path.n);
        }
    }
    return !path.n;
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

    if (s->ret->row && (s->ret->other || s->ret->dialect == d))
        return;
    if (!matches(str_from_c(row->path), s->path, &model))
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
    for (const struct endpoint_row *row = d ? d->client.endpoints : NULL; row && row->method; row++)
        take_row(s, d, row);
}

/* Which dialect a request to a path of several says it is of (headers that only its clients send). */
static const char *hinted(const struct http_head *head)
{
    struct str agent = http_head_get(head, HDR_USER_AGENT);

    if (http_head_find(head, STR("anthropic-version")).p || str_find(head->query, STR("beta=true")) < head->query.n)
        return "anthropic";
    if (http_head_get(head, HDR_X_GOOG_API_KEY).p || str_starts(head->query, STR("key=")) ||
        str_find(head->query, STR("&key=")) < head->query.n)
        return "gemini";
    if (http_head_find(head, STR("x-client-name")).p || str_find(agent, STR("cohere")) < agent.n ||
        str_find(head->query, STR("endpoint=")) < head->query.n ||
        str_find(head->query, STR("page_size=")) < head->query.n)
        return "cohere";
    return NULL;
}

static void look_everywhere(struct search *s, const struct http_head *head)
{
    const struct dialect *openai = dialect_find(STR("openai"));
    struct str verb = str_slice(s->path, str_find_char(s->path, ':'), s->path.n);

    if (str_starts(s->path, STR("/v1/models")) || str_starts(s->path, STR("/v1/files"))) {
        const char *name = verb.n && str_eq(s->method, STR("POST")) ? "gemini" : hinted(head);
        look_in(s, name ? dialect_find(str_from_c(name)) : NULL);
        if (s->ret->row)
            return;
    }
    look_in(s, openai);
    if (s->ret->row)
        return;
    for (size_t i = 0; i < dialect_catalog_count; i++)
        if (dialect_catalog[i] != openai)
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

static bool look_behind_prefix(struct search *s, struct arena *arena)
{
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        struct str rest = s->path;
        if (!cut_prefix(&rest, prefixes[i].prefix))
            continue;
        tidy(&rest);
        if (!rest.n)
            rest = STR("/");
        struct str with_version = str_starts(rest, STR("/v1")) ? rest : arena_join(arena, STR("/v1"), rest);
        s->ret->dialect = dialect_find(str_from_c(prefixes[i].dialects[0]));
        for (size_t pass = 0; pass < 2 && !s->ret->row; pass++) {
            s->path = pass ? with_version : rest;
            for (size_t k = 0; k < ARRAY_LEN(prefixes[i].dialects) && prefixes[i].dialects[k]; k++)
                look_in(s, dialect_find(str_from_c(prefixes[i].dialects[k])));
        }
        s->path = with_version;
        return true;
    }
    return false;
}

/* Everything else below OpenAI's /v1 is relayed to one provider. Methods that a known path does not have may be operations that we do not
 * know: only where no provider has any is it a wrong method. */
static void conclude(struct search *s, const struct dialect *openai)
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
    bool is_openai = e->dialect == openai || !s->wrong_method;
    bool is_closed = !is_openai;
    for (size_t i = 0; i < ARRAY_LEN(closed); i++)
        is_closed |= str_eq(path, closed[i]);
    if (s->wrong_method && is_closed && !by_id) {
        e->kind = ENDPOINT_WRONG_METHOD;
    } else if (below_v1 && (e->dialect == openai || !e->dialect || by_id)) {
        e->kind = ENDPOINT_PASS_THROUGH;
        e->label = "pass_through";
        e->path = path;
    }
}

void endpoint_find(struct str method, struct str path, const struct http_head *head, struct arena *arena,
                   struct endpoint *ret)
{
    const struct dialect *openai = dialect_find(STR("openai"));
    struct search s = {.method = method, .path = path, .ret = ret};

    *ret = (struct endpoint){.kind = ENDPOINT_UNKNOWN, .label = "unknown", .path = path};
    tidy(&s.path);
    look_everywhere(&s, head);
    if (!ret->row && !s.wrong_method)
        look_behind_prefix(&s, arena);
    conclude(&s, openai);
    if (!ret->dialect)
        ret->dialect = openai;
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

void endpoint_settle(struct endpoint *e, struct str body)
{
    static const struct {
        const char *dialect, *key;
    } signs[] = {{"tei", "texts"},         {"tgi", "parameters"},     {"rerank", "documents"},
                 {"bedrock", "inputText"}, {"bedrock", "inputImage"}, {"bedrock", "input_type"}};
    const struct dialect *first = e->dialect;

    for (size_t i = 0; e->other && i < ARRAY_LEN(signs); i++) {
        const struct dialect *d = dialect_find(str_from_c(signs[i].dialect));
        if ((d != first && d != e->other) || !json_find(body, str_from_c(signs[i].key)).n)
            continue;
        if (d == e->other)
            endpoint_take_other(e);
        break;
    }
    e->other = NULL;
}
