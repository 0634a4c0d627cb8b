/*
 * config.c - reading configuration: files to trees, trees to one tree, that to a catalog, with all problems on the way.
 *
 * Each step goes on past mistakes and the next one runs as long as there is something sensible to look at, so that a
 * person sees everything wrong at once. Everything of a run lives in one arena. Texts that may be secret are wiped
 * before it is freed; problems are copied to the caller's arena, in the order of the file.
 *
 * In a folder, maps under `providers`, `models` and `connections` and the lists `keys`, `routes` and `pipelines` may be spread over files;
 * every other field stands in one.
 */
#include "fleet/config.h"

#include "base/mem.h"
#include "codec/digest.h"
#include "codec/schema.h"
#include "codec/yaml.h"
#include "fleet/config_int.h"
#include "rt/file.h"
#include "rt/loop.h"
#include "rt/seam.h"

#include <errno.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 64 << 20, LISTING_MAX = 1 << 20, FILES_MAX = 1000, FIELDS_MAX = 1000 };

/* ---- trees ---- */

struct sources {
    struct config_run *run;
    struct yaml_node *root; /* what there is so far; NULL: nothing */
    struct sha256 *digest;
};

static void add_pair(struct config_run *run, struct yaml_node *map, struct yaml_pair pair)
{
    struct yaml_pair *pairs = arena_alloc(run->arena, (map->count + 1) * sizeof *pairs);

    if (map->count)
        memcpy(pairs, map->pairs, map->count * sizeof *pairs);
    pairs[map->count++] = pair;
    map->pairs = pairs;
}

/* Append the entries of `more` to those of `to`; both are of one kind. Keys that are in both are found by
 * check_doubles(). */
static void append(struct config_run *run, struct yaml_node *to, const struct yaml_node *more)
{
    size_t size = to->kind == YAML_MAP ? sizeof *to->pairs : sizeof *to->items;
    char *joined = arena_alloc(run->arena, (to->count + more->count) * size);

    if (to->count)
        memcpy(joined, to->kind == YAML_MAP ? (const void *)to->pairs : (const void *)to->items, to->count * size);
    if (more->count)
        memcpy(joined + to->count * size,
               more->kind == YAML_MAP ? (const void *)more->pairs : (const void *)more->items, more->count * size);
    to->count += more->count;
    if (to->kind == YAML_MAP)
        to->pairs = (void *)joined;
    else
        to->items = (void *)joined;
}

static void complain_double(struct config_run *run, const struct yaml_node *key, const struct yaml_node *former)
{
    problems_error(&run->problems, key, "\"%.*s\" is already at %.*s:%u:%u", STR_ARG(key->text), STR_ARG(*former->file),
                   former->line, former->column);
}

static void check_doubles(struct config_run *run, const struct yaml_node *map)
{
    struct map seen CLEANUP(map_release) = {0};

    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++) {
        const struct yaml_node *key = map->pairs[i].key, *former = map_put(&seen, key->text, map->pairs[i].key);
        if (former)
            complain_double(run, key, former);
    }
}

static bool is_spread(struct str name)
{
    return str_eq(name, STR("providers")) || str_eq(name, STR("models")) || str_eq(name, STR("keys")) ||
           str_eq(name, STR("routes")) || str_eq(name, STR("pipelines")) || str_eq(name, STR("connections"));
}

static void merge_pair(struct config_run *run, struct yaml_node *root, struct yaml_pair pair)
{
    for (size_t i = 0; i < root->count; i++) {
        struct yaml_pair *there = &root->pairs[i];
        if (!str_eq(there->key->text, pair.key->text))
            continue;
        if (yaml_is_null(pair.value))
            return;
        if (yaml_is_null(there->value))
            *there = pair;
        else if (is_spread(pair.key->text) && there->value->kind == pair.value->kind && pair.value->kind != YAML_SCALAR)
            append(run, there->value, pair.value);
        else
            complain_double(run, pair.key, there->key);
        return;
    }
    add_pair(run, root, pair);
}

static void merge(struct sources *s, struct yaml_node *root)
{
    if (yaml_is_null(root) && s->root)
        return;
    if (!s->root || yaml_is_null(s->root)) {
        s->root = root;
        return;
    }
    if (root->kind != YAML_MAP || s->root->kind != YAML_MAP) {
        problems_error(&s->run->problems, root, "the document must be a map");
        return;
    }
    if (root->count + s->root->count > FIELDS_MAX) {
        problems_error(&s->run->problems, root, "these are more fields than there can be");
        return;
    }
    for (size_t i = 0; i < root->count; i++)
        merge_pair(s->run, s->root, root->pairs[i]);
}

static void add_text(struct sources *s, struct str text, struct str file)
{
    const struct yaml_limits limits = {.bytes = FILE_BYTES_MAX};
    struct yaml_node *root;

    sha256_add(s->digest, text);
    if (yaml_parse(text, file, &limits, s->run->arena, &s->run->problems, &root) == OK)
        merge(s, root);
}

/* ---- files ---- */

static void tell_path(const struct config_run *run, struct str path)
{
    if (run->env->on_path)
        run->env->on_path(run->env->on_path_ctx, path.p);
}

err_t config_read_file(const struct config_run *run, struct str path, size_t max, struct buf *ret)
{
    tell_path(run, path);
    return run->env->read_file(path.p, max, ret);
}

static void add_file(struct sources *s, struct str path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(FILE_BYTES_MAX);
    err_t e = config_read_file(s->run, path, FILE_BYTES_MAX, &text);

    if (e) {
        struct problem p = {.file = path, .text = arena_printf(s->run->arena, "cannot be read: %s", err_detail(e))};
        problems_add(&s->run->problems, p);
    } else {
        add_text(s, buf_str(&text), path);
    }
    if (text.n)
        explicit_bzero(text.p, text.n);
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void complain_file(struct config_run *run, struct str path, const char *text)
{
    problems_add(&run->problems, (struct problem){.file = path, .text = str_from_c(text)});
}

static void add_folder(struct sources *s, struct str path, struct str names)
{
    struct str *files = arena_alloc(s->run->arena, FILES_MAX * sizeof *files);
    size_t count = 0;

    while (names.n) {
        struct str name = str_cut(&names, '\0');
        if ((!str_ends(name, STR(".yaml")) && !str_ends(name, STR(".yml"))) || name.p[0] == '.')
            continue;
        if (count == FILES_MAX) {
            complain_file(s->run, path, "there are more than 1000 files in this folder");
            return;
        }
        files[count++] = name;
    }
    if (count == 0)
        complain_file(s->run, path, "there is no *.yaml in this folder");
    qsort(files, count, sizeof *files, by_name);
    for (size_t i = 0; i < count; i++)
        add_file(s, arena_join(s->run->arena, s->run->folder, files[i]));
}

static void add_path(struct sources *s, struct str path)
{
    struct config_run *run = s->run;
    struct buf names CLEANUP(buf_release) = BUF_INIT(LISTING_MAX);
    size_t slash = path.n;

    tell_path(run, path);
    if (run->env->list_folder && run->env->list_folder(path.p, &names) == OK) {
        run->folder = str_ends(path, STR("/")) ? path : arena_join(run->arena, path, STR("/"));
        add_folder(s, path, buf_str(&names));
        return;
    }
    while (slash > 0 && path.p[slash - 1] != '/')
        slash--;
    run->folder = arena_str(run->arena, str_slice(path, 0, slash));
    add_file(s, path);
}

/* ---- one run ---- */

/* Scalars may hold secrets; keys do not. As deep as the tree. */
static void wipe_tree(struct yaml_node *n)
{
    for (size_t i = 0; n->kind == YAML_LIST && i < n->count; i++)
        wipe_tree(n->items[i]);
    for (size_t i = 0; n->kind == YAML_MAP && i < n->count; i++)
        wipe_tree(n->pairs[i].value);
    if (n->kind == YAML_SCALAR && n->text.n)
        explicit_bzero((char *)(uintptr_t)n->text.p, n->text.n);
}

bool config_is_written(const struct yaml_node *n, const char *name)
{
    const struct yaml_node *value = yaml_get(n, str_from_c(name));

    return value && !yaml_is_null(value);
}

/* Who asks no models serves pipelines, or schemas. */
static void check_purpose(struct config_run *run, const struct yaml_node *root)
{
    if (!config_is_written(root, "providers") && !config_is_written(root, "pipelines") &&
        !config_is_written(root, "registry"))
        problems_error(&run->problems, root,
                       "\"providers\" is missing, and there are no \"pipelines\" and no \"registry\" to serve");
}

static struct catalog *make_catalog(struct config_run *run, struct yaml_node *root)
{
    check_doubles(run, yaml_get(root, STR("providers")));
    check_doubles(run, yaml_get(root, STR("models")));
    check_doubles(run, yaml_get(root, STR("connections")));
    config_expand(run, root);
    err_t e = schema_bind(&config_object, root, run->arena, &run->problems, run, &run->file);
    if (e && root->kind != YAML_MAP)
        return NULL;
    check_purpose(run, root);
    return config_build(run);
}

static uint64_t next_revision(void)
{
    static uint64_t revision;
    return __atomic_add_fetch(&revision, 1, __ATOMIC_RELAXED);
}

static void set_origin(struct catalog *c, struct str path, const unsigned char hash[SHA256_BYTES])
{
    c->path = arena_str(c->arena_, path);
    c->revision = next_revision();
    hex_encode(c->digest, hash, (sizeof c->digest - 1) / 2);
    c->digest[sizeof c->digest - 1] = '\0';
}

err_t config_load(const char *path, struct str text, const struct config_env *env, struct problems *problems,
                  struct catalog **ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct config_run run = {.env = env, .arena = &arena, .problems = {.arena = &arena}};
    struct sources s = {.run = &run, .digest = sha256_new()};
    unsigned char hash[SHA256_BYTES];
    struct catalog *c = NULL;

    if (strcmp(path, "-") == 0 && text.p)
        add_text(&s, text, STR("-"));
    else
        add_path(&s, arena_str(&arena, str_from_c(path)));
    sha256_end(s.digest, hash);
    if (s.root)
        c = make_catalog(&run, s.root);
    if (s.root)
        wipe_tree(s.root);
    if (c && run.problems.errors) {
        catalog_unref(c);
        c = NULL;
    }
    problems_hand_over(&run.problems, problems);
    map_release(&run.left_out);
    if (!c)
        return fail(E_CONFIG, "%s: %zu error%s in the configuration", path, run.problems.errors,
                    run.problems.errors == 1 ? "" : "s");
    set_origin(c, str_from_c(path), hash);
    *ret = c;
    return OK;
}

/* ---- the world outside ---- */

const struct seams *config_seams(void)
{
    return loop_current() ? loop_seams() : seams_real();
}

static err_t read_real_file(const char *path, size_t max, struct buf *ret)
{
    return file_read(config_seams(), path, max, ret);
}

static err_t list_real_folder(const char *path, struct buf *ret)
{
    const struct seams *s = config_seams();
    struct disk_stat st;
    int e = s->disk->stat(s->ctx, path, &st);

    if (e < 0 || !st.is_dir)
        return fail(E_UNSUPPORTED, "this is no folder");
    char *to = buf_reserve(ret, LISTING_MAX);
    ssize_t n = to ? s->disk->list(s->ctx, path, to, LISTING_MAX) : -ENOSPC;
    if (n < 0)
        return fail(E_IO, "%s", strerror((int)-n));
    ret->n += (size_t)n;
    return OK;
}

static const char *get_real_env(const char *name)
{
    return getenv(name);
}

const struct config_env *config_env_real(void)
{
    static const struct config_env env = {
        .getenv = get_real_env, .read_file = read_real_file, .list_folder = list_real_folder};
    return &env;
}
