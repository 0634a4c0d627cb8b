/*
 * config_routes.c - the section `routes`: rules that send a request to another model than it names, by a condition.
 *
 * A rule's condition is compiled here, into the catalog, with the place of a mistake in the configuration file. Rules are kept in lists by the names
 * that they are for: one per name, one per prefix of a pattern with '*', all in the order of the file. A list knows the list of the next
 * shorter prefix, so who looks a name up meets every rule that may be meant and no other, however many there are.
 *
 * Expressions take more stack than a fiber has: configurations are built on workers (fleet/config.h).
 */
#include "fleet/config_int.h"

enum { PROBLEM_MAX = 4096 };

static bool is_rule_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return s.n > 0 && s.n <= 64;
}

static const struct schema_pattern rule_name = {"^[!-~]{1,64}$", is_rule_name,
                                                "a name of 1 to 64 ASCII characters without blanks"};
static const struct schema_field pattern_item = SCHEMA_ITEM(TEXT);

static const struct schema_field rule_fields[] = {
    SCHEMA_TEXT("name", struct file_rule, name, .required = true, .pattern = &rule_name,
                .doc = "For headers, metrics and records. Each name once."),
    SCHEMA_LIST("models", struct file_rule, models, model_count, &pattern_item, .single = true, .default_doc = "any",
                .min = "1",
                .doc = "Names that clients ask for: the rule is for these only. `*` at the end stands for any rest."),
    SCHEMA_TEXT("when", struct file_rule, when, .default_doc = "always",
                .doc = "Condition on the request, an [expression](expressions.md); what it can look at is in "
                       "[routing.md](routing.md#conditions)."),
    SCHEMA_TEXT("use", struct file_rule, use, .default_doc = "the model that the client names",
                .doc = "Configured model that such requests go by, with its targets, strategy and fallbacks."),
    SCHEMA_LIST("require", struct file_rule, required, required_count, &config_tag_item, .single = true,
                .doc = "Tags that a deployment must have to get such requests, fallbacks included."),
    SCHEMA_END};
const struct schema_object config_rule_object = {
    .fields = rule_fields, .size = sizeof(struct file_rule), .node_offset = SCHEMA_NODE_AT(struct file_rule, node)};

/* ---- conditions ---- */

/* Where in the file a place of the expression is. Exact for what stands in one line and has no escapes before
 * the place; in a block of lines, columns count from its indentation. */
static struct problem place_of(const struct yaml_node *n, const struct expr_problem *p)
{
    bool in_quotes = n->quoted && str_find_char(n->text, '\n') == n->text.n;

    return (struct problem){.file = *n->file,
                            .line = n->line + (unsigned)p->line - 1,
                            .column = n->column + in_quotes + (unsigned)p->column - 1};
}

static void complain_condition(struct config_run *run, const struct schema_text *t, const struct expr_problem *p)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(PROBLEM_MAX);
    struct problem item = place_of(t->node, p);

    if (t->node->hidden) { /* put together from variables: its text is not to be shown */
        problems_error(&run->problems, t->node, "\"when\": the condition is wrong at its line %zu, column %zu", p->line,
                       p->column);
        return;
    }
    (void)buf_add(&text, STR("in \"when\", "));
    expr_problem_print(p, t->text, &text);
    struct str all = buf_str(&text);
    item.text = arena_str(run->arena, str_slice(all, 0, all.n - str_ends(all, STR("\n"))));
    problems_add(&run->problems, item);
}

static void set_condition(struct config_run *run, struct catalog *c, struct rule *r, const struct schema_text *t)
{
    struct expr_problem problem = {.line = 1, .column = 1};

    if (t->node && condition_compile(c->arena_, t->text, &r->condition, &problem) != OK)
        complain_condition(run, t, &problem);
}

/* ---- what it is for, and where it sends ---- */

static void complain_use(struct config_run *run, const struct catalog *c, const struct file_rule *f)
{
    struct str best = STR_NONE;
    unsigned distance = 0;

    if (str_ends(f->use.text, STR("*"))) {
        problems_error(&run->problems, f->use.node, "\"use\" names one model: a wildcard needs a name to stand for");
        return;
    }
    for (size_t i = 0; i < c->model_count; i++)
        schema_nearest(f->use.text, c->models[i].name, &best, &distance);
    problems_error(&run->problems, f->use.node, "there is no model \"%.*s\"%s", STR_ARG(f->use.text),
                   schema_suggest(run->arena, f->use.text, best, distance));
}

/* False if the rule is to be left out, because its model is, or after a problem was added. What such a rule requires is required all the same. */
static bool set_use(struct config_run *run, struct catalog *c, struct rule *r, const struct file_rule *f,
                    const struct map *gone)
{
    if (!f->use.node)
        return true;
    r->use = catalog_find_model(c, f->use.text);
    if (r->use)
        return true;
    if (!map_get(gone, f->use.text)) {
        complain_use(run, c, f);
        return false;
    }
    problems_warn(&run->problems, f->use.node, "the model \"%.*s\" is left out, and so this rule sends nothing to it",
                  STR_ARG(f->use.text));
    return f->required_count > 0;
}

static struct rule_list *list_of(struct catalog *c, struct str pattern)
{
    struct str prefix;
    bool is_prefix = prefix_of_pattern(pattern, &prefix);
    struct str key = is_prefix ? prefix : pattern;
    struct rule_list *list = is_prefix ? prefixes_get(&c->rules_by_prefix, key) : map_get(&c->rules_by_name, key);

    if (list)
        return list;
    list = arena_new(c->arena_, struct rule_list);
    key = arena_str(c->arena_, key);
    if (is_prefix)
        prefixes_put(&c->rules_by_prefix, key, list);
    else
        map_put(&c->rules_by_name, key, list);
    return list;
}

/* Append; rules come in order, so the list stays ascending. Room doubles: it is full at each power of two. */
static void list_add(struct catalog *c, struct rule_list *list, unsigned index)
{
    if (list->count && list->indexes[list->count - 1] == index)
        return; /* the pattern is there twice */
    if ((list->count & (list->count - 1)) == 0) {
        unsigned *more = arena_alloc(c->arena_, (list->count ? 2 * list->count : 1) * sizeof *more);
        if (list->count)
            memcpy(more, list->indexes, list->count * sizeof *more);
        list->indexes = more;
    }
    list->indexes[list->count++] = index;
}

static void set_names(struct config_run *run, struct catalog *c, const struct rule *r, const struct file_rule *f)
{
    if (!f->model_count)
        list_add(c, list_of(c, STR("*")), r->index);
    for (size_t i = 0; i < f->model_count; i++) {
        const struct schema_text *t = &f->models[i];
        if (str_find_char(t->text, '*') + 1 < t->text.n)
            problems_error(&run->problems, t->node, "\"*\" may stand at the end only");
        else if (t->text.n > PREFIX_MAX)
            problems_error(&run->problems, t->node, "this is longer than any name of a model");
        else if (t->text.n)
            list_add(c, list_of(c, t->text), r->index);
    }
}

/* Let each list know the next that is for the same names and more. */
static void link_lists(struct catalog *c)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&c->rules_by_name, &at, &key, &value);) {
        size_t length = key.n;
        ((struct rule_list *)value)->outer = prefixes_find(&c->rules_by_prefix, key, &length);
    }
    for (size_t at = 0; prefixes_next(&c->rules_by_prefix, &at, &key, &value);) {
        size_t length = key.n ? key.n - 1 : 0;
        ((struct rule_list *)value)->outer = key.n ? prefixes_find(&c->rules_by_prefix, key, &length) : NULL;
    }
}

static void add_rule(struct config_run *run, struct catalog *c, const struct file_rule *f, struct map *names,
                     const struct map *gone)
{
    struct rule *r = &c->rules[c->rule_count];
    const struct yaml_node *former = map_put(names, f->name.text, (void *)(uintptr_t)f->name.node);

    if (former)
        problems_error(&run->problems, f->name.node, "the same name is already at %.*s:%u:%u", STR_ARG(*former->file),
                       former->line, former->column);
    *r = (struct rule){.name = arena_str(c->arena_, f->name.text), .index = (unsigned)c->rule_count};
    set_condition(run, c, r, &f->when);
    bool kept = set_use(run, c, r, f, gone);
    r->required = config_tag_bits(run, c, f->required, f->required_count);
    if (!f->use.node && !f->required_count)
        problems_error(&run->problems, f->node, "this rule changes nothing: give it \"use\", \"require\", or both");
    if (!kept)
        return;
    set_names(run, c, r, f);
    c->rule_count++;
}

void config_build_rules(struct config_run *run, struct catalog *c, const struct map *gone)
{
    const struct config_file *f = &run->file;
    struct map names CLEANUP(map_release) = {0};

    c->rules = arena_zalloc(c->arena_, f->rule_count * sizeof *c->rules);
    for (size_t i = 0; i < f->rule_count; i++)
        if (f->rules[i].name.node)
            add_rule(run, c, &f->rules[i], &names, gone);
    link_lists(c);
}
