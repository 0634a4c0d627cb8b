/*
 * config_expand.c - variables of the environment in values, and secrets in files.
 *
 * Variables are put in before anything reads the tree, into scalar values only, each node once (aliases share nodes).
 * A node that was changed says so (expanded, hidden), and from then on its text is never quoted in a message. A
 * variable that is not set is an error, except below an optional provider: that one is left out, and stays in the
 * tree without the values in question so that its other mistakes are still found.
 */
#include "fleet/config_int.h"

enum { EXPANDED_MAX = 1 << 20, VARIABLE_MAX = 256, SECRET_FILE_MAX = 1 << 20, SHOWN_PATH_MAX = 200 };

struct expansion {
    const struct config_env *env;
    struct arena *arena;
    struct problems *problems;
    const struct yaml_node *optional; /* the optional provider that we are in; NULL: none */
    bool lacks;                       /* a variable is missing for it */
};

static bool is_variable_char(char c, bool first)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static bool is_variable_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_variable_char(s.p[i], i == 0))
            return false;
    return s.n > 0 && s.n < VARIABLE_MAX;
}

static struct str look_up(const struct expansion *x, struct str name)
{
    char text[VARIABLE_MAX];

    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return str_from_c(x->env->getenv(text));
}

/* The value of what stands between "${" and "}". False if it is missing or malformed. */
static bool expand_one(struct expansion *x, const struct yaml_node *n, struct str inside, struct str *ret)
{
    size_t colon = str_find(inside, STR(":-"));
    struct str name = str_slice(inside, 0, colon);
    bool has_default = colon < inside.n;

    if (!is_variable_name(name)) {
        problems_error(
            x->problems, n,
            "${...} must hold the name of an environment variable, as ${NAME} or ${NAME:-default}; for the text "
            "itself write $${");
        return false;
    }
    struct str value = look_up(x, name);
    if (has_default) {
        *ret = value.n ? value : str_slice(inside, colon + 2, inside.n);
        return true;
    }
    if (x->optional && value.n == 0) {
        x->lacks = true;
        return false;
    }
    if (!value.p) {
        problems_error(x->problems, n, "the environment variable %.*s is not set; to do without it write ${%.*s:-}",
                       STR_ARG(name), STR_ARG(name));
        return false;
    }
    *ret = value;
    return true;
}

/* The text of `n` with all variables put in. False if one cannot be. */
static bool expand_text(struct expansion *x, const struct yaml_node *n, struct buf *to)
{
    struct str rest = n->text, value;

    while (rest.n) {
        size_t at = str_find(rest, STR("${"));
        bool escaped = at < rest.n && at > 0 && rest.p[at - 1] == '$';
        (void)buf_add(to, str_slice(rest, 0, escaped ? at - 1 : at));
        if (at == rest.n)
            break;
        rest = str_slice(rest, at + 2, rest.n);
        if (escaped) {
            (void)buf_add_lit(to, "${");
            continue;
        }
        size_t end = str_find_char(rest, '}');
        if (end == rest.n) {
            problems_error(x->problems, n, "\"${\" without \"}\"; for the text itself write $${");
            return false;
        }
        if (!expand_one(x, n, str_slice(rest, 0, end), &value))
            return false;
        (void)buf_add(to, value);
        rest = str_slice(rest, end + 1, rest.n);
    }
    return true;
}

static void expand_scalar(struct expansion *x, struct yaml_node *n)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(EXPANDED_MAX);

    if (n->expanded || str_find(n->text, STR("${")) == n->text.n)
        return;
    bool ok = expand_text(x, n, &text);
    n->expanded = n->hidden = true;
    if (ok && buf_status(&text)) {
        problems_error(x->problems, n, "the text is longer than %d bytes with its variables", EXPANDED_MAX);
        ok = false;
    }
    n->text = ok ? arena_str(x->arena, buf_str(&text)) : STR("");
    n->quoted = n->quoted && ok; /* without its variables it is nothing, not an empty text */
    if (text.n)
        explicit_bzero(text.p, text.n);
}

/* As deep as the tree, which yaml_parse() limits. */
static void expand_tree(struct expansion *x, struct yaml_node *n)
{
    switch (n->kind) {
    case YAML_SCALAR:
        expand_scalar(x, n);
        return;
    case YAML_LIST:
        for (size_t i = 0; i < n->count; i++)
            expand_tree(x, n->items[i]);
        return;
    case YAML_MAP:
        for (size_t i = 0; i < n->count; i++)
            expand_tree(x, n->pairs[i].value);
        return;
    }
}

static struct expansion expansion_of(struct config_run *run)
{
    return (struct expansion){.env = run->env, .arena = run->arena, .problems = &run->problems};
}

static void expand_provider(struct config_run *run, const struct yaml_node *key, struct yaml_node *provider)
{
    struct expansion x = expansion_of(run);
    struct yaml_node *flag = yaml_get(provider, STR("optional"));
    bool optional = false;

    if (flag)
        expand_tree(&x, flag);
    if (flag && yaml_to_bool(flag, &optional) && optional)
        x.optional = provider;
    expand_tree(&x, provider);
    if (x.lacks)
        map_put(&run->left_out, key->text, provider);
}

void config_expand(struct config_run *run, struct yaml_node *root)
{
    struct expansion x = expansion_of(run);
    struct yaml_node *providers = yaml_get(root, STR("providers"));

    if (providers && providers->kind == YAML_MAP)
        for (size_t i = 0; i < providers->count; i++)
            expand_provider(run, providers->pairs[i].key, providers->pairs[i].value);
    for (size_t i = 0; root->kind == YAML_MAP && i < root->count; i++)
        if (!config_is_kept_raw(root->pairs[i].key->text))
            expand_tree(&x, root->pairs[i].value);
}

void config_expand_tree(const struct config_env *env, struct arena *a, struct problems *problems,
                        struct yaml_node *root)
{
    struct expansion x = {.env = env, .arena = a, .problems = problems};

    expand_tree(&x, root);
}

/* ---- files ---- */

struct str config_resolve_path(struct config_run *run, struct str path)
{
    if (!path.n || path.p[0] == '/')
        return arena_str(run->arena, path);
    return arena_join(run->arena, run->folder, path);
}

/* May a message show it? Not if it could be the secret itself, put where its path belongs. */
static bool is_showable(const struct schema_text *t, struct str path)
{
    bool is_explicit = path.n < t->text.n; /* "file:" stood before it */

    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= ' ')
            return false;
    return path.n <= SHOWN_PATH_MAX && !(t->node && t->node->hidden) &&
           (is_explicit || str_find_char(path, '/') < path.n);
}

static void complain_file(struct config_run *run, const struct schema_text *t, struct str path, const char *what)
{
    bool show = is_showable(t, path);

    problems_error(&run->problems, t->node, "the file %s%.*s%s %s", show ? "\"" : "named here", show ? (int)path.n : 0,
                   path.p ? path.p : "", show ? "\"" : "", what);
}

static struct str read_secret_file(struct config_run *run, const struct schema_text *t, struct str path)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(SECRET_FILE_MAX);
    struct str full = config_resolve_path(run, path);

    if (path.n == 0) {
        problems_error(&run->problems, t->node, "\"file:\" must be followed by a path");
        return STR_NONE;
    }
    err_t e = config_read_file(run, full, SECRET_FILE_MAX, &bytes);
    if (e) {
        complain_file(run, t, path, arena_printf(run->arena, "cannot be read: %s", err_detail(e)).p);
        return STR_NONE;
    }
    struct str text = buf_str(&bytes);
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (text.n == 0)
        complain_file(run, t, path, "is empty");
    text = arena_str(run->arena, text);
    if (bytes.n)
        explicit_bzero(bytes.p, bytes.n);
    return text.n ? text : STR_NONE;
}

struct str config_read_secret(struct config_run *run, const struct schema_text *t, bool or_path)
{
    if (str_starts(t->text, STR("file:")))
        return read_secret_file(run, t, str_slice(t->text, strlen("file:"), t->text.n));
    if (or_path && t->text.n && str_find(t->text, STR("-----BEGIN")) == t->text.n)
        return read_secret_file(run, t, t->text);
    return t->text;
}
