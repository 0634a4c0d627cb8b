/*
 * letters_server.c - dead letters of a server that runs, through its admin endpoints (admin/letters.c).
 *
 * What concerns many letters is asked in parts, so many ids at a time: the server's limits hold for a request, not for a command.
 */
#include "cli/letters_place.h"
#include "codec/url.h"

enum { PATH_MAX_BYTES = 8 << 10, BODY_MAX = 32 << 20, IDS_AT_A_TIME = 1000 };

static void add_parameter(struct buf *path, const char *name, struct str value)
{
    if (!value.n)
        return;
    (void)buf_addf(path, "%c%s=", str_find_char(buf_str(path), '?') < path->n ? '&' : '?', name);
    (void)url_encode(path, value);
}

static uint64_t number(struct json_node o, struct str key)
{
    int64_t n = 0;

    return json_node_i64(json_node_get(o, key), &n) && n > 0 ? (uint64_t)n : 0;
}

static SUSPENDS err_t page(void *client, const struct letter_filter *filter, uint64_t *after, struct arena *arena,
                           struct dead_letter **ret, size_t *ret_count)
{
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);
    struct json_node o;

    (void)buf_add_lit(&path, "/admin/dlq");
    add_parameter(&path, "pipeline", filter->pipeline);
    add_parameter(&path, "node", filter->node);
    add_parameter(&path, "cause", filter->cause);
    if (filter->before)
        add_parameter(&path, "before", arena_printf(arena, "%lld", (long long)filter->before));
    if (*after)
        add_parameter(&path, "after", arena_printf(arena, "%llu", (unsigned long long)*after));
    TRY(buf_status(&path));
    TRY(admin_client_read(client, "GET", buf_str(&path), STR_NONE, arena, &o));
    struct json_node letters = json_node_get(o, STR("letters"));
    *ret = arena_alloc(arena, (json_node_count(letters) + 1) * sizeof **ret);
    *ret_count = 0;
    JSON_EACH(w, letters)
        TRY(letter_take(w.value, arena, &(*ret)[(*ret_count)++]));
    *after = number(o, STR("next"));
    return OK;
}

static SUSPENDS err_t groups(void *client, struct str pipeline, struct arena *arena, struct letter_group **ret,
                             size_t *ret_count)
{
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);
    struct json_node o;

    (void)buf_add_lit(&path, "/admin/dlq/groups");
    add_parameter(&path, "pipeline", pipeline);
    TRY(buf_status(&path));
    TRY(admin_client_read(client, "GET", buf_str(&path), STR_NONE, arena, &o));
    struct json_node all = json_node_get(o, STR("groups"));
    *ret = arena_alloc(arena, (json_node_count(all) + 1) * sizeof **ret);
    *ret_count = 0;
    JSON_EACH(w, all)
        (*ret)[(*ret_count)++] = letter_group_take(w.value, arena);
    return OK;
}

static SUSPENDS err_t find(void *client, struct str id, struct arena *arena, struct dead_letter *ret)
{
    struct json_node o;

    TRY(letters_check_id(id));
    TRY(admin_client_read(client, "GET", arena_printf(arena, "/admin/dlq/%.*s", STR_ARG(id)), STR_NONE, arena, &o));
    return letter_take(json_node_get(o, STR("letter")), arena, ret);
}

static SUSPENDS err_t kept(void *client, const struct dead_letter *l, struct letter_kept *ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct json_node o;

    TRY(admin_client_read(client, "GET", arena_printf(&arena, "/admin/dlq/%s", l->hex), STR_NONE, &arena, &o));
    struct json_node all = json_node_get(o, STR("kept"));
    *ret = (struct letter_kept){number(all, STR("steps")), number(all, STR("effects"))};
    return OK;
}

static SUSPENDS err_t edit(void *client, const struct dead_letter *l, struct str record)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct json_out o = json_out_to(&body);
    struct json_node answer;

    json_open(&o, '{');
    json_member_raw(&o, STR("record"), record);
    json_close(&o, '}');
    TRY(buf_status(&body));
    return admin_client_read(client, "PATCH", arena_printf(&arena, "/admin/dlq/%s", l->hex), buf_str(&body), &arena,
                             &answer);
}

/* What is to be done, of some letters. */
struct act {
    const char *path;
    uint64_t rate; /* 0: it takes none */
    bool is_original;
};

static SUSPENDS err_t act(void *client, const struct act *what, const struct dead_letter *letters, size_t count,
                          size_t *ret_count)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct json_out o = json_out_to(&body);
    struct json_node answer;

    json_open(&o, '{');
    if (what->rate)
        json_member_u64(&o, STR("rate"), what->rate);
    if (what->is_original)
        json_member_bool(&o, STR("original"), true);
    json_member_open(&o, STR("ids"), '[');
    for (size_t i = 0; i < count; i++)
        json_put_str(&o, str_from_c(letters[i].hex));
    json_close(&o, ']');
    json_close(&o, '}');
    TRY(buf_status(&body));
    TRY(admin_client_read(client, "POST", str_from_c(what->path), buf_str(&body), &arena, &answer));
    *ret_count += number(answer, STR("count"));
    return OK;
}

static SUSPENDS err_t act_in_parts(void *client, const struct act *what, const struct dead_letter *letters,
                                   size_t count, size_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < count; i += IDS_AT_A_TIME) {
        size_t n = count - i < IDS_AT_A_TIME ? count - i : IDS_AT_A_TIME;
        TRY(act(client, what, letters + i, n, ret_count));
    }
    return OK;
}

static SUSPENDS err_t drop(void *client, const struct dead_letter *letters, size_t count)
{
    size_t dropped;

    return act_in_parts(client, &(struct act){.path = "/admin/dlq/drop"}, letters, count, &dropped);
}

static SUSPENDS err_t replay(void *client, const struct dead_letter *letters, size_t count, uint64_t rate,
                             size_t *ret_count)
{
    return act_in_parts(client, &(struct act){.path = "/admin/dlq/replay", .rate = rate}, letters, count, ret_count);
}

static SUSPENDS err_t replay_original(void *client, const struct dead_letter *letters, size_t count, size_t *ret_count)
{
    return act_in_parts(client, &(struct act){.path = "/admin/dlq/replay", .is_original = true}, letters, count,
                        ret_count);
}

struct letters_place letters_at_server(struct admin_client *client)
{
    return (struct letters_place){.page = page,
                                  .groups = groups,
                                  .find = find,
                                  .kept = kept,
                                  .edit = edit,
                                  .drop = drop,
                                  .replay = replay,
                                  .replay_original = replay_original,
                                  .when = "from now on",
                                  .ctx = client};
}
