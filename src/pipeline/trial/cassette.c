/* cassette.c - answers in the order in which they were recorded, found by a hash of what was asked. */
#include "pipeline/trial/cassette.h"

#include "base/map.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"

struct kept {
    struct cassette_answer answer;
    struct kept *next; /* to the same question */
    bool is_taken;
};

/* A secret. */
struct hidden {
    struct hidden *next;
    struct str text;
};

struct cassette {
    struct arena arena;
    struct kept **items;
    size_t count, cap;
    struct map first; /* struct kept *, by question */
    struct hidden *hidden;
    bool records;
};

struct cassette *cassette_new(bool records)
{
    struct cassette *c = mem_zalloc(1, sizeof *c);

    arena_init(&c->arena, SIZE_MAX);
    c->records = records;
    return c;
}

void cassette_free(struct cassette *c)
{
    if (!c)
        return;
    map_release(&c->first);
    mem_free(c->items);
    arena_release(&c->arena);
    mem_free(c);
}

bool cassette_records(const struct cassette *c)
{
    return c->records;
}

static struct str question(struct arena *a, struct str node, struct str input)
{
    unsigned char hash[SHA256_BYTES];
    struct str parts[] = {node, STR_INIT("\0"), input};

    sha256_parts(parts, ARRAY_LEN(parts), hash);
    return arena_str(a, str_of((const char *)hash, sizeof hash));
}

err_t cassette_add(struct cassette *c, const struct cassette_answer *a)
{
    struct kept *k = arena_new(&c->arena, struct kept), *before;

    if (c->count == CASSETTE_ANSWERS_MAX)
        return fail(E_TOO_LARGE, "more than %d recorded answers", CASSETTE_ANSWERS_MAX);
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->items = mem_realloc(c->items, c->cap * sizeof(struct kept *));
    }
    k->answer = (struct cassette_answer){.node = arena_str(&c->arena, a->node),
                                         .input = arena_str(&c->arena, a->input),
                                         .outputs = arena_str(&c->arena, a->outputs),
                                         .took = a->took};
    c->items[c->count++] = k;
    struct str asked = question(&c->arena, a->node, a->input);
    before = map_get(&c->first, asked);
    if (!before)
        (void)map_put(&c->first, asked, k);
    for (; before; before = before->next)
        if (!before->next) {
            before->next = k;
            break;
        }
    return OK;
}

err_t cassette_keep(struct cassette *c, const struct cassette *former)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    bool *is_new = arena_zalloc(&a, former->count + 1);

    for (size_t i = 0; i < former->count; i++) {
        const struct cassette_answer *f = &former->items[i]->answer;
        is_new[i] = !map_get(&c->first, question(&a, f->node, f->input));
    }
    for (size_t i = 0; i < former->count; i++)
        if (is_new[i])
            TRY(cassette_add(c, &former->items[i]->answer));
    return OK;
}

err_t cassette_take(struct cassette *c, struct str node, struct str input, struct cassette_answer *ret)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct kept *k = map_get(&c->first, question(&a, node, input));

    while (k && k->is_taken && k->next)
        k = k->next;
    if (!k)
        return fail(E_NOT_FOUND, "%.*s has no recorded answer to this: mock it, or record one (--record)",
                    STR_ARG(node));
    k->is_taken = true;
    *ret = k->answer;
    return OK;
}

void cassette_rewind(struct cassette *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->items[i]->is_taken = false;
}

/* --- secrets --- */

void cassette_hide(struct cassette *c, struct str secret)
{
    if (secret.n < CASSETTE_SECRET_LEAST)
        return;
    struct hidden *h = arena_new(&c->arena, struct hidden);
    *h = (struct hidden){.next = c->hidden, .text = arena_str(&c->arena, secret)};
    c->hidden = h;
}

static bool is_credential(struct str name)
{
    static const char *const names[] = {
        "authorization", "proxy-authorization", "x-api-key",     "api-key",  "api_key", "apikey", "password",  "secret",
        "client_secret", "access_token",        "refresh_token", "id_token", "token",   "cookie", "set-cookie"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_from_c(names[i])))
            return true;
    return false;
}

static err_t put_text(const struct cassette *c, struct str text, struct json_out *o)
{
    struct buf clean CLEANUP(buf_release) = BUF_INIT(CASSETTE_MAX);

    for (size_t i = 0; i < text.n;) {
        struct str rest = str_slice(text, i, text.n);
        const struct hidden *h = c->hidden;
        while (h && !str_starts(rest, h->text))
            h = h->next;
        TRY(h ? buf_add_lit(&clean, "***") : buf_add_char(&clean, rest.p[0]));
        i += h ? h->text.n : 1;
    }
    json_put_str(o, buf_str(&clean));
    return OK;
}

/* As deep as the parser lets documents be. */
static err_t put_clean(const struct cassette *c, struct json_node v, struct arena *a, struct json_out *o)
{
    enum json_kind kind = json_node_kind(v);

    if (kind == JSON_STRING)
        return put_text(c, json_node_text(v, a), o);
    if (kind != JSON_OBJECT && kind != JSON_ARRAY) {
        json_put_raw(o, json_node_raw(v));
        return OK;
    }
    json_open(o, kind == JSON_OBJECT ? '{' : '[');
    JSON_EACH(w, v) {
        struct str key = json_node_text(w.key, a);
        if (kind == JSON_OBJECT)
            json_key(o, key);
        if (is_credential(key) && json_node_is(w.value, JSON_STRING))
            json_put_str(o, STR("***"));
        else
            TRY(put_clean(c, w.value, a, o));
    }
    json_close(o, kind == JSON_OBJECT ? '}' : ']');
    return OK;
}

err_t cassette_clean(const struct cassette *c, struct str json, struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct json_tree *tree;
    struct json_out o = json_out_to(to);

    TRY(json_tree_parse(&a, json, &tree));
    TRY(put_clean(c, json_tree_root(tree), &a, &o));
    return buf_status(to);
}

/* --- the file --- */

static err_t read_line(struct cassette *c, struct str line)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct json_tree *tree;
    int64_t took_us = 0;

    TRY(json_tree_parse(&a, line, &tree));
    struct json_node o = json_tree_root(tree), outputs = json_node_get(o, STR("outputs"));
    (void)json_node_i64(json_node_get(o, STR("took_us")), &took_us);
    const struct cassette_answer answer = {.node = json_get_text(o, STR("node"), &a),
                                           .input = json_node_raw(json_node_get(o, STR("input"))),
                                           .outputs = json_node_raw(outputs),
                                           .took = took_us > 0 ? took_us * NS_US : 0};
    if (!answer.node.n || !answer.input.n || !json_node_is(outputs, JSON_ARRAY))
        return fail(E_PARSE, "an answer has \"node\", \"input\", and \"outputs\", an array");
    return cassette_add(c, &answer);
}

err_t cassette_read(struct cassette *c, struct str text)
{
    for (unsigned line = 1; text.n; line++) {
        struct str one = str_trim(str_cut(&text, '\n'));
        if (one.n)
            TRY(err_context(read_line(c, one), "line %u", line));
    }
    return OK;
}

err_t cassette_write(const struct cassette *c, struct buf *to)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct cassette_answer *a = &c->items[i]->answer;
        struct json_out o = json_out_to(to);
        json_open(&o, '{');
        json_member_str(&o, STR("node"), a->node);
        json_member_raw(&o, STR("input"), a->input);
        json_member_raw(&o, STR("outputs"), a->outputs);
        json_member_i64(&o, STR("took_us"), a->took / NS_US);
        json_close(&o, '}');
        TRY(buf_add_char(to, '\n'));
    }
    return buf_status(to);
}
