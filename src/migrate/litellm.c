/*
 * litellm.c - the import as a whole, and how values are read.
 *
 * A value in LiteLLM's file is a text, or "os.environ/NAME", which stands for a variable wherever it is; ours writes "${NAME}". What is read as
 * text is therefore kept as our configuration writes it from the start, with "${" escaped, and never looked into again unless it is known
 * to be literal.
 *
 * Invariant: no message holds a value from a place where secrets are; where a key or a name is shown it goes through litellm_shown().
 *
 * Does not: ask LiteLLM's database, which may hold further models and keys; follow `include`; read the environment.
 */
#include "migrate/litellm.h"

#include "base/units.h"
#include "migrate/litellm_int.h"

#include <math.h>
#include <stdlib.h>

enum { SHOWN_MAX = 60, NUMBER_MAX = 40, VARIABLE_MAX = 255 };
#define LONGEST (24 * 3600 * NS_SEC)
#define VARIABLE STR("os.environ/")

const char *litellm_shown(struct import *im, struct str text)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(8 * SHOWN_MAX);

    (void)buf_add_json(&b, str_slice(text, 0, SHOWN_MAX));
    return arena_str(im->arena, buf_str(&b)).p;
}

void litellm_lost(struct import *im, const struct yaml_node *at, const char *what, const char *remedy)
{
    problems_warn(im->problems, at, "%s is not carried over: %s", what, remedy);
}

bool litellm_is_variable(const struct yaml_node *n)
{
    return n && n->kind == YAML_SCALAR && str_starts(n->text, VARIABLE);
}

static bool is_variable_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0 && s.n <= VARIABLE_MAX;
}

struct str litellm_escaped(struct import *im, struct str text)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(2 * LITELLM_BYTES_MAX);

    if (str_find(text, STR("${")) == text.n)
        return arena_str(im->arena, text);
    while (text.n) {
        size_t at = str_find(text, STR("${"));
        (void)buf_add(&b, str_slice(text, 0, at));
        if (at < text.n)
            (void)buf_add_lit(&b, "$${");
        text = str_slice(text, at + 2, text.n);
    }
    return arena_str(im->arena, buf_str(&b));
}

struct str litellm_text(struct import *im, const struct yaml_node *n, const char *what)
{
    if (!n || yaml_is_null(n))
        return STR_NONE;
    if (n->kind != YAML_SCALAR) {
        litellm_lost(im, n, what, "a text is expected there");
        return STR_NONE;
    }
    if (!litellm_is_variable(n))
        return litellm_escaped(im, n->text);
    struct str name = str_slice(n->text, VARIABLE.n, n->text.n);
    if (!is_variable_name(name)) {
        litellm_lost(im, n, what,
                     "the environment variable has a name that only letters, digits and \"_\" may make up");
        return STR_NONE;
    }
    return arena_printf(im->arena, "${%.*s}", STR_ARG(name));
}

bool litellm_number(struct import *im, const struct yaml_node *n, const char *what, double *ret)
{
    char text[NUMBER_MAX + 1], *end;

    if (!n || yaml_is_null(n))
        return false;
    if (n->kind == YAML_SCALAR && n->text.n > 0 && n->text.n <= NUMBER_MAX) {
        memcpy(text, n->text.p, n->text.n);
        text[n->text.n] = '\0';
        double value = strtod(text, &end);
        if (*end == '\0' && isfinite(value) && value >= 0) {
            *ret = value;
            return true;
        }
    }
    litellm_lost(im, n, what, litellm_is_variable(n) ? "write the number itself" : "a number is expected there");
    return false;
}

bool litellm_seconds(struct import *im, const struct yaml_node *n, const char *what, ns_t *ret)
{
    double seconds;

    if (!litellm_number(im, n, what, &seconds))
        return false;
    if (seconds * NS_SEC > (double)LONGEST)
        *ret = NS_NEVER;
    else
        *ret = seconds < 0.001 ? NS_MS : (ns_t)(seconds * 1000) * NS_MS;
    return true;
}

static err_t nothing(struct import *im, const struct yaml_node *at, err_t code, const char *why)
{
    problems_error(im->problems, at, "%s", why);
    return fail(code, "%s", why);
}

/* From the tree to *to. */
static err_t translate(struct import *im, struct buf *to)
{
    const struct yaml_node *list = yaml_get(im->root, STR("model_list"));

    if (im->root->kind != YAML_MAP)
        return nothing(im, im->root, E_PARSE, "this is no LiteLLM configuration: a map with model_list is expected");
    if (!list || list->kind != YAML_LIST)
        return nothing(im, list ? list : im->root, E_PARSE, "there is no model_list, or it is not a list");
    litellm_read_models(im, list);
    litellm_read_settings(im);
    problems_sort(im->problems);
    if (!im->providers)
        return nothing(im, list, E_UNSUPPORTED, "no entry of model_list can be carried over");
    litellm_write(im, to);
    return buf_status(to);
}

err_t litellm_import(struct str text, struct str file, struct arena *a, struct problems *problems, struct buf *to)
{
    struct import im = {.arena = a, .problems = problems, .file = file};
    struct yaml_node *root;

    im.last_provider = &im.providers;
    im.last_model = &im.models;
    TRY(yaml_parse(text, file, &(struct yaml_limits){.bytes = LITELLM_BYTES_MAX, .nodes = 1000 * 1000}, a, problems,
                   &root));
    im.root = root;
    err_t e = translate(&im, to);
    map_release(&im.provider_by_identity);
    map_release(&im.provider_by_name);
    map_release(&im.model_by_name);
    return e;
}
