/* endpoint.c - the table of operations, and the tidying of paths in front of it. */
#include "gateway/endpoint.h"

struct row {
    struct str method, path;
    enum endpoint_kind kind;
    const char *label;
};

static const struct row rows[] = {
    {STR_INIT("POST"), STR_INIT("/chat/completions"), ENDPOINT_CHAT, "chat"},
    {STR_INIT("POST"), STR_INIT("/completions"), ENDPOINT_COMPLETIONS, "completions"},
    {STR_INIT("POST"), STR_INIT("/responses"), ENDPOINT_RESPONSES, "responses"},
    {STR_INIT("POST"), STR_INIT("/embeddings"), ENDPOINT_EMBEDDINGS, "embeddings"},
    {STR_INIT("GET"), STR_INIT("/models"), ENDPOINT_MODEL_LIST, "models"},
};

static bool cut_prefix(struct str *path, struct str prefix)
{
    if (!str_starts(*path, prefix) || (path->n > prefix.n && path->p[prefix.n] != '/'))
        return false;
    *path = str_slice(*path, prefix.n, path->n);
    return true;
}

void endpoint_find(struct str method, struct str path, struct endpoint *ret)
{
    *ret = (struct endpoint){.kind = ENDPOINT_UNKNOWN, .label = "unknown", .path = path};
    bool prefixed = cut_prefix(&path, STR("/openai"));
    if (!cut_prefix(&path, STR("/v1")) && !prefixed)
        return;
    while (cut_prefix(&path, STR("/v1"))) {
        /* clients whose base URL ends in /v1 twice */
    }
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    if (path.n < 2)
        return;
    ret->path = path;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!str_eq(path, rows[i].path))
            continue;
        bool fits = str_eq(method, rows[i].method);
        /* GET /chat/completions lists stored completions, so only what no provider offers is a wrong method here */
        if (!fits && rows[i].kind != ENDPOINT_EMBEDDINGS && rows[i].kind != ENDPOINT_COMPLETIONS &&
            rows[i].kind != ENDPOINT_MODEL_LIST)
            continue;
        ret->kind = fits ? rows[i].kind : ENDPOINT_WRONG_METHOD;
        ret->label = rows[i].label;
        ret->allow = rows[i].method.p;
        return;
    }
    if (str_eq(method, STR("GET")) && str_starts(path, STR("/models/"))) {
        ret->kind = ENDPOINT_MODEL_GET;
        ret->label = "models";
        ret->model = str_slice(path, STR("/models/").n, path.n);
        return;
    }
    ret->kind = ENDPOINT_PASS_THROUGH;
    ret->label = "pass_through";
}
