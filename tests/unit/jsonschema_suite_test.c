/*
 * jsonschema_suite_test.c - the official test suite of JSON Schema, drafts 2020-12 and 7.
 *
 * scripts/deps fetches it into build/json-schema-suite. Every required test must pass; of the optional ones (formats among them) those
 * that do not are listed, with the reason, in tests/unit/jsonschema/exceptions.txt, and fail here if they pass all the same.
 */
#include "jsonschema/jsonschema.h"

#include "base/buf.h"
#include "base/map.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_MAX = 16 << 20, ARENA_MAX = 256 << 20, FILES_MAX = 400, REMOTES_MAX = 200, NAME_LENGTH = 512 };

struct suite {
    struct arena arena;
    const char *draft;
    enum jsonschema_draft number;
    struct jsonschema_resource remotes[REMOTES_MAX];
    size_t remote_count;
    struct str exceptions;
    struct map used; /* exceptions that were met */
    unsigned run, wrong, excepted, shown;
};

static void suite_release(struct suite *s)
{
    map_release(&s->used);
    arena_release(&s->arena);
}

static struct str read_text(struct arena *arena, const char *path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(FILE_MAX);
    char piece[16384];
    size_t n;
    FILE *f = fopen(path, "r");

    if (!f)
        return STR_NONE;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        (void)buf_add(&text, str_of(piece, n));
    (void)fclose(f);
    return arena_str(arena, buf_str(&text));
}

/* Paths of all JSON files below a folder, in no particular order. */
static void list_files(struct arena *arena, const char *folder, const char **paths, size_t *count, size_t max)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[NAME_LENGTH];

    while (dir && (entry = readdir(dir))) {
        struct stat st;
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            list_files(arena, path, paths, count, max);
        else if (str_ends(str_from_c(path), STR(".json")) && *count < max)
            paths[(*count)++] = arena_str(arena, str_from_c(path)).p;
    }
    if (dir)
        closedir(dir);
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* What the suite expects at http://localhost:1234/. */
static void load_remotes(struct suite *s, const char *folder)
{
    const char *paths[REMOTES_MAX];
    size_t count = 0;

    list_files(&s->arena, folder, paths, &count, REMOTES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct jsonschema_resource *r = &s->remotes[s->remote_count];
        struct str text = read_text(&s->arena, paths[i]);
        CHECK_OK(json_tree_parse(&s->arena, text, &r->tree));
        r->uri = arena_printf(&s->arena, "http://localhost:1234%s", paths[i] + strlen(folder));
        s->remote_count++;
    }
}

static bool is_excepted(struct suite *s, struct str name)
{
    struct str rest = s->exceptions;

    while (rest.n) {
        struct str line = str_cut(&rest, '\n');
        struct str listed = str_trim(str_slice(line, 0, str_find(line, STR(" # "))));
        if (listed.n && listed.p[0] != '#' && str_eq(listed, name)) {
            (void)map_put(&s->used, listed, s);
            return true;
        }
    }
    return false;
}

static void count_verdict(struct suite *s, bool right, struct str name, const char *detail)
{
    bool excepted = is_excepted(s, name);

    s->run++;
    if (right && excepted) {
        (void)printf("# %.*s passes: take it out of the exceptions\n", STR_ARG(name));
        s->wrong++;
    } else if (excepted) {
        s->excepted++;
    } else if (!right) {
        s->wrong++;
        if (s->shown++ < 60)
            (void)printf("# %.*s: %s\n", STR_ARG(name), detail);
    }
}

/* One instance, and again for its problems: there are some exactly if it is not valid. */
static bool is_right(const struct jsonschema *schema, struct json_node data, bool wanted, struct arena *arena,
                     const char **ret_detail)
{
    struct jsonschema_problem problems[4];
    struct jsonschema_report report = {.problems = problems, .max = ARRAY_LEN(problems)};
    bool valid;

    err_t e = jsonschema_validate(schema, data, arena, &report, &valid);
    *ret_detail = e ? err_detail(e) : valid ? "is said to be valid" : "is said not to be valid";
    return !e && valid == wanted && (report.count > 0) == !valid;
}

static void run_group(struct suite *s, const char *file, struct json_node group)
{
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;
    const struct jsonschema *schema = NULL;
    const char *detail;
    bool is_format = strstr(file, "optional/format/") != NULL, wanted;

    arena_init(&arena, ARENA_MAX);
    struct jsonschema_options options = {.draft = s->number,
                                         .assert_formats = is_format,
                                         .assert_content = s->number == JSONSCHEMA_DRAFT_07,
                                         .resources = s->remotes,
                                         .resource_count = s->remote_count};
    CHECK_OK(json_tree_parse(&arena, json_node_raw(json_node_get(group, STR("schema"))), &tree));
    err_t e = jsonschema_compile(&arena, tree, &options, &schema, NULL);
    struct str refusal = arena_printf(&arena, "%s", e ? err_detail(e) : "");
    struct str about = json_get_text(group, STR("description"), &arena);
    JSON_EACH(w, json_node_get(group, STR("tests"))) {
        struct str name = arena_printf(&arena, "%s/%s / %.*s / %.*s", s->draft, file, STR_ARG(about),
                                       STR_ARG(json_get_text(w.value, STR("description"), &arena)));
        CHECK(json_node_bool(json_node_get(w.value, STR("valid")), &wanted));
        bool right = schema && is_right(schema, json_node_get(w.value, STR("data")), wanted, &arena, &detail);
        count_verdict(s, right, name, schema ? detail : refusal.p);
    }
}

static void run_files(struct suite *s, const char *folder)
{
    const char *paths[FILES_MAX];
    size_t count = 0;

    list_files(&s->arena, folder, paths, &count, FILES_MAX);
    qsort(paths, count, sizeof *paths, by_text);
    for (size_t i = 0; i < count && !test_failed(); i++) {
        const struct json_tree *tree;
        CHECK_OK(json_tree_parse(&s->arena, read_text(&s->arena, paths[i]), &tree));
        JSON_EACH(w, json_tree_root(tree))
            run_group(s, paths[i] + strlen(folder) + 1, w.value);
    }
}

/* Exceptions of this draft that no test was called by. */
static unsigned count_unused(const struct suite *s)
{
    struct str rest = s->exceptions;
    unsigned unused = 0;

    while (rest.n) {
        struct str line = str_cut(&rest, '\n'), listed = str_trim(str_slice(line, 0, str_find(line, STR(" # "))));
        if (!str_starts(listed, str_from_c(s->draft)) || map_get(&s->used, listed))
            continue;
        (void)printf("# no such test: %.*s\n", STR_ARG(listed));
        unused++;
    }
    return unused;
}

static void run_suite(const char *draft, enum jsonschema_draft number, unsigned at_least)
{
    struct suite s CLEANUP(suite_release) = {.draft = draft, .number = number};
    char path[NAME_LENGTH];
    struct stat st;

    arena_init(&s.arena, ARENA_MAX);
    (void)snprintf(path, sizeof path, "%s/tests/unit/jsonschema/exceptions.txt", test_root());
    s.exceptions = read_text(&s.arena, path);
    CHECK(s.exceptions.p);
    (void)snprintf(path, sizeof path, "%s/build/json-schema-suite/remotes", test_root());
    if (stat(path, &st) != 0) {
        test_skip("the JSON Schema test suite is not there: run scripts/deps test");
        return;
    }
    load_remotes(&s, path);
    (void)snprintf(path, sizeof path, "%s/build/json-schema-suite/tests/%s", test_root(), draft);
    run_files(&s, path);
    (void)printf("# %s: %u tests, %u of them listed as exceptions\n", draft, s.run, s.excepted);
    CHECK_EQ(s.wrong + count_unused(&s), 0);
    CHECK_GE(s.run, at_least);
}

TEST(jsonschema_passes_the_official_suite_for_2020_12)
{
    run_suite("draft2020-12", JSONSCHEMA_2020_12, 1900);
}

TEST(jsonschema_passes_the_official_suite_for_draft_7)
{
    run_suite("draft7", JSONSCHEMA_DRAFT_07, 1400);
}
