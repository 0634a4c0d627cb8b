/*
 * load.c - from a pipeline file to a spec: read, bound to the tables, calls put in, ordered, built, checked.
 *
 * Each step goes on past mistakes as far as there is something to look at. Everything of a load lives in the arena of the spec that it makes; one that fails
 * takes all of it along.
 *
 * A call brings in the nodes of another file under longer names ("enrich/geo"); the files that it came through are scopes, and names, paths and
 * schemas in a file mean what that file says.
 */
#include "base/map.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/json_tree.h"
#include "expr/schema_type.h"
#include "expr/type.h"
#include "pipeline/spec/file.h"
#include "pipeline/spec/graph.h"

#include <stdio.h>

struct load {
    struct pipeline_build b;
    struct shape *shape;
    bool has_names; /* every name that edges need was there so far */
};

/* What stands for the caller in a pipeline that others run: its messages are the caller's records. */
static const struct promise_row input_rows[] = {{.when = "", .promise = PROMISE_EXACTLY, .how = "whoever runs it"},
                                                {0}};
static const struct schema_field no_fields[] = {SCHEMA_END};
static const struct source_kind input_kind = {.kind = {.name = "input", .fields = no_fields}, .rows = input_rows};

/* ---- reading ---- */

static struct str folder_of(struct arena *a, struct str path)
{
    size_t slash = path.n;

    while (slash > 0 && path.p[slash - 1] != '/')
        slash--;
    return arena_str(a, str_slice(path, 0, slash));
}

/* The tree of the file at scope->path, with variables put in. NULL after problems. */
static struct yaml_node *read_tree(struct load *l, struct pipeline_scope *scope, const struct yaml_node *at)
{
    struct pipeline_build *b = &l->b;
    struct yaml_node *root;

    err_t e = build_read(b, scope->path, &scope->text);
    if (e) {
        struct problem p = {.file = scope->path, .text = arena_printf(b->arena, "cannot be read: %s", err_detail(e))};
        if (at)
            problems_error(b->problems, at, "the file \"%.*s\" cannot be read: %s", STR_ARG(scope->path),
                           err_detail(e));
        else
            problems_add(b->problems, p);
        return NULL;
    }
    if (yaml_parse(scope->text, scope->path, NULL, b->arena, b->problems, &root) != OK)
        return NULL;
    config_expand_tree(b->world->env, b->arena, b->problems, root);
    return root;
}

/* ---- schemas, connections, outputs ---- */

static void complain_of_schema(struct pipeline_build *b, const struct pipeline_schema *s, struct str why)
{
    problems_add(b->problems, (struct problem){.file = s->path, .text = arena_str(b->arena, why)});
}

/* What is known of the documents of a file's schema; NULL, after a problem. */
static const struct expr_type *type_in_file(struct pipeline_build *b, const struct pipeline_schema *s)
{
    struct jsonschema_problem problem = {.text = STR_NONE};
    const struct jsonschema *schema;
    const struct json_tree *tree;

    if (json_tree_parse(b->arena, s->text, &tree) != OK) {
        complain_of_schema(b, s, arena_printf(b->arena, "this is no JSON document: %s", err_detail(E_PARSE)));
        return NULL;
    }
    err_t e = jsonschema_compile(b->arena, tree, &(struct jsonschema_options){0}, &schema, &problem);
    if (e == OK)
        return expr_type_of_schema(schema, b->arena);
    complain_of_schema(b, s,
                       arena_printf(b->arena, "this is no JSON Schema that can be used: %.*s%s%.*s",
                                    STR_ARG(problem.keyword), problem.keyword.n ? ": " : "",
                                    STR_ARG(problem.text.n ? problem.text : str_from_c(err_detail(e)))));
    return NULL;
}

static void read_schema(struct pipeline_build *b, struct pipeline_scope *scope, const struct file_schema *f,
                        struct pipeline_schema *s)
{
    s->path = build_path(b, scope, f->file.text);
    bool is_new = !build_known(b, s->path);
    err_t e = build_read(b, s->path, &s->text);
    if (e)
        problems_error(b->problems, f->file.node, "the file \"%.*s\" cannot be read: %s", STR_ARG(s->path),
                       err_detail(e));
    else if (f->subject.text.n)
        build_subject_copy(b, scope, f, is_new, s);
}

static void add_schema(struct pipeline_build *b, struct pipeline_scope *scope, const struct file_schema *f)
{
    struct pipeline_schema *s = &scope->schemas[scope->schema_count++];

    *s = (struct pipeline_schema){.name = f->name,
                                  .subject = f->subject.text,
                                  .version = f->version,
                                  .compat = f->compat,
                                  .type = &expr_type_unchecked,
                                  .at = f->node};
    if (!f->file.text.n && !f->subject.text.n) {
        problems_error(b->problems, f->node,
                       "a schema is a \"file\", a \"subject\" of a registry, or both: the file is a copy then");
        return;
    }
    if ((f->version || f->is_latest || f->connection.text.n) && !f->subject.text.n)
        problems_error(b->problems, f->node, "\"version\" and \"connection\" go with \"subject\"");
    if (f->file.text.n)
        read_schema(b, scope, f, s);
    else
        build_subject(b, scope, f, s);
    const struct expr_type *known = s->text.n ? type_in_file(b, s) : NULL;
    s->type = known ? known : &expr_type_unchecked;
}

static void add_schemas(struct pipeline_build *b, struct pipeline_scope *scope, const struct pipeline_file *f)
{
    scope->schemas = arena_zalloc(b->arena, (f->schema_count + 1) * sizeof *scope->schemas);
    for (size_t i = 0; i < f->schema_count; i++)
        add_schema(b, scope, &f->schemas[i]);
}

/* Names and passwords have fields of their own, because a URL is shown to people. */
static void check_url(struct pipeline_build *b, const struct schema_text *url)
{
    struct str rest = str_slice(url->text, str_find(url->text, STR("://")), url->text.n),
               host = str_slice(rest, 3, rest.n);

    host.n = str_find_char(host, '/');
    if (!host.n && url->text.n)
        problems_error(b->problems, url->node, "this is no URL: \"kafka://host:9092\"");
    if (str_find_char(host, '@') < host.n)
        problems_error(b->problems, url->node,
                       "\"username\" and \"password\" have fields of their own: a URL is shown to people");
}

static void add_connections(struct pipeline_build *b, struct pipeline_scope *scope, const struct file_connection *items,
                            size_t count)
{
    struct pipeline_connection *all = arena_zalloc(b->arena, (scope->connection_count + count + 1) * sizeof *all);

    if (scope->connection_count)
        memcpy(all, scope->connections, scope->connection_count * sizeof *all);
    scope->connections = all;
    for (size_t i = 0; i < count; i++) {
        check_url(b, &items[i].url);
        all[scope->connection_count++] = (struct pipeline_connection){.name = items[i].name,
                                                                      .url = items[i].url.text,
                                                                      .username = items[i].username.text,
                                                                      .password = items[i].password.text,
                                                                      .ca = items[i].ca.text,
                                                                      .cert = items[i].cert.text,
                                                                      .key = items[i].key.text};
    }
}

static const struct str *texts_of(struct pipeline_build *b, const struct schema_text *items, size_t count)
{
    struct str *texts = arena_alloc(b->arena, (count + 1) * sizeof *texts);

    for (size_t i = 0; i < count; i++)
        texts[i] = items[i].text;
    return texts;
}

static struct pipeline_type declared_type(struct pipeline_build *b, struct pipeline_node *n, const struct file_out *o)
{
    struct pipeline_type t = {.kind = TYPE_UNDECLARED};
    unsigned count = !!o->schema.text.n + !!o->embedding.node + !!o->label.node + !!o->score.node + !!o->text.node +
                     !!o->decision.node;

    if (count > 1)
        problems_error(b->problems, o->node, "two outputs are declared: a node has one");
    if (o->schema.text.n) {
        t.schema = build_schema(b, n, &o->schema);
        t.kind = t.schema ? TYPE_SCHEMA : TYPE_UNDECLARED;
    } else if (o->embedding.node) {
        t = (struct pipeline_type){.kind = TYPE_EMBEDDING,
                                   .model = o->embedding.model.text,
                                   .dim = o->embedding.dim,
                                   .metric = o->embedding.metric,
                                   .is_normalised = o->embedding.is_normalised};
    } else if (o->label.node) {
        t = (struct pipeline_type){
            .kind = TYPE_LABEL, .words = texts_of(b, o->label.set, o->label.count), .word_count = o->label.count};
    } else if (o->score.node) {
        t = (struct pipeline_type){
            .kind = TYPE_SCORE, .min = o->score.min, .max = o->score.max, .is_calibrated = o->score.is_calibrated};
        if (t.min >= t.max)
            problems_error(b->problems, o->score.node, "\"min\" must be less than \"max\"");
    } else if (o->text.node) {
        t = (struct pipeline_type){.kind = TYPE_TEXT, .lang = o->text.lang.text, .max_tokens = o->text.max_tokens};
    } else if (o->decision.node) {
        t = (struct pipeline_type){.kind = TYPE_DECISION,
                                   .words = texts_of(b, o->decision.options, o->decision.count),
                                   .word_count = o->decision.count};
    }
    return t;
}

/* ---- rules ---- */

static unsigned retry_bits(const struct file_rules *r)
{
    unsigned bits = 0;

    for (size_t i = 0; i < r->retry.on_count; i++)
        bits |= (unsigned)r->retry.on[i];
    return bits ? bits : RETRY_TRANSPORT | RETRY_TIMEOUT | RETRY_RATE | RETRY_SERVER;
}

static void check_rules(struct pipeline_build *b, const struct pipeline_node *n, const struct file_rules *r)
{
    bool has_fallback = r->on_late == LATE_FALLBACK || r->on_error == FAILURE_FALLBACK;
    bool limits = r->concurrency.count || r->concurrency.adaptive || r->retry.node || r->breaker.node;

    if (limits && !(n->kind->traits & KIND_CALLS))
        problems_error(b->problems, n->at,
                       "a \"%s\" asks nobody: \"concurrency\", \"retry\" and \"breaker\" mean nothing here",
                       n->kind->name);
    if (r->retry.node && r->retry.base > r->retry.cap)
        problems_error(b->problems, r->retry.node, "\"base\" is more than \"cap\"");
    if (has_fallback && !r->fallback.text.n)
        problems_error(b->problems, n->at, "\"fallback\" must say what is put in place of the output");
    if (!has_fallback && r->fallback.text.n)
        problems_error(b->problems, r->fallback.node,
                       "nothing uses it: say \"on_error: fallback\" or \"on_late: fallback\"");
    if (r->on_late == LATE_DEGRADE && strcmp(n->kind->name, "model") != 0)
        problems_error(b->problems, n->at, "only a \"model\" can \"degrade\"");
}

static void set_rules(struct pipeline_build *b, struct pipeline_node *n, const struct file_rules *r)
{
    check_rules(b, n, r);
    n->rules = (struct pipeline_rules){.budget = r->budget,
                                       .concurrency = r->concurrency.count,
                                       .retries = r->retry.node ? r->retry.max : 0,
                                       .retry_on = retry_bits(r),
                                       .retry_base = r->retry.base,
                                       .retry_cap = r->retry.cap,
                                       .breaker_errors = r->breaker.node ? r->breaker.errors : 0,
                                       .breaker_slow = r->breaker.slow,
                                       .breaker_window = r->breaker.window,
                                       .breaker_pause = r->breaker.pause,
                                       .breaker_volume = r->breaker.volume,
                                       .on_late = r->on_late,
                                       .on_error = r->on_error};
}

/* ---- nodes ---- */

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

/* The key of an entry of `sources`, `nodes` or `sinks`: where problems of the whole entry are told. */
static const struct yaml_node *key_of(const struct yaml_node *file, const char *section, struct str name)
{
    const struct yaml_node *map = yaml_get(file, str_from_c(section));

    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
        if (str_eq(map->pairs[i].key->text, name))
            return map->pairs[i].key;
    return map;
}

static struct pipeline_node *add_node(struct load *l, struct pipeline_node made, struct str whole)
{
    struct pipeline_build *b = &l->b;
    struct pipeline_node *n = arena_new(b->arena, struct pipeline_node);

    *n = made;
    n->name = whole;
    if (b->node_count == FLOW_NODES_MAX) {
        problems_error(b->problems, n->at, "there are more than %d sources, nodes and sinks", FLOW_NODES_MAX);
        l->has_names = false;
        return NULL;
    }
    const struct pipeline_node *former = map_get(&b->by_name, whole);
    const void *call = map_get(&b->calls, whole);
    if (former || call) {
        problems_error(b->problems, n->at, "\"%.*s\" is already the name of another%s", STR_ARG(whole),
                       former && former->role != n->role ? ": sources, nodes and sinks share their names" : "");
        l->has_names = false;
        return NULL;
    }
    (void)map_put(&b->by_name, n->name, n);
    b->nodes[b->node_count++] = n;
    return n;
}

static void load_call(struct load *l, struct pipeline_scope *scope, struct pipeline_node *caller,
                      const struct file_node *f);

static void add_entry(struct load *l, struct pipeline_scope *scope, enum pipeline_role role, const struct file_node *f,
                      const struct yaml_node *at)
{
    struct pipeline_build *b = &l->b;
    const void *row;
    struct pipeline_node n = {.role = role, .scope = scope, .at = at, .rules = {.retry_on = 0}};

    if (!is_name(f->name))
        problems_error(b->problems, at, "\"%.*s\" is no name: letters, digits, \"-\" and \"_\", at most 64",
                       STR_ARG(f->name));
    if (str_eq(f->name, STR("input")) && scope->input)
        problems_error(b->problems, at, "\"input\" is what the pipeline is called with: take another name");
    n.kind = shape_kind(&l->shape->roles[role], f, b->problems, &row, &n.config);
    if (!n.kind) {
        l->has_names = false;
        return;
    }
    n.source = row; /* whichever it is: they are in one place */
    n.is_recorded = n.kind->traits & KIND_RECORDS;
    struct str whole = arena_join(b->arena, scope->prefix, f->name);
    if (role == PIPELINE_NODE && strcmp(n.kind->name, "call") == 0) {
        n.name = whole;
        struct pipeline_node *caller = arena_new(b->arena, struct pipeline_node);
        *caller = n;
        load_call(l, scope, caller, f);
        return;
    }
    struct pipeline_node *added = add_node(l, n, whole);
    if (!added)
        return;
    added->file_ = f;
    for (size_t i = 0; i < f->from_count; i++)
        build_input(b, added, &f->from[i]);
    if (added->kind->wire)
        added->kind->wire(b, added);
    if (f->from_count && added->flow.item != FLOW_EACH && strcmp(added->kind->name, "join") == 0)
        problems_error(b->problems, f->from[0].node, "a join names its inputs itself: leave \"from\" out");
}

static void add_entries(struct load *l, struct pipeline_scope *scope, const struct pipeline_file *f)
{
    const struct {
        const char *section, *items;
        size_t count;
        enum pipeline_role role;
    } sections[] = {{"sources", f->sources, f->source_count, PIPELINE_SOURCE},
                    {"nodes", f->nodes, f->node_count, PIPELINE_NODE},
                    {"sinks", f->sinks, f->sink_count, PIPELINE_SINK}};

    for (size_t s = 0; s < ARRAY_LEN(sections); s++)
        for (size_t i = 0; i < sections[s].count; i++) {
            const struct file_node *each =
                (const void *)(sections[s].items + i * l->shape->roles[sections[s].role].object.size);
            add_entry(l, scope, sections[s].role, each, key_of(f->node, sections[s].section, each->name));
        }
}

/* ---- files ---- */

static void check_callee(struct pipeline_build *b, const struct pipeline_scope *scope, const struct pipeline_file *f)
{
    if (!f->input.node != !f->output.text.n)
        problems_error(b->problems, f->node,
                       "\"input\" and \"output\" go together: a pipeline that others run has both");
    if (f->input.node && f->source_count + f->sink_count)
        problems_error(b->problems, f->input.node,
                       "a pipeline with an \"input\" has no sources and sinks: those are the caller's");
    if (!f->input.node && !scope->outer && b->depth == 0 && !f->source_count)
        problems_error(b->problems, f->node, "there is no source: nothing would ever come");
    if (!f->input.node && scope->outer)
        problems_error(b->problems, f->node, "a pipeline that is called needs \"input\" and \"output\"");
}

static bool load_file(struct load *l, struct pipeline_scope *scope, struct yaml_node *root, struct pipeline_file *f)
{
    struct pipeline_build *b = &l->b;
    size_t errors = b->problems->errors;

    if (schema_bind(&l->shape->file, root, b->arena, b->problems, NULL, f) != OK && root->kind != YAML_MAP)
        return false;
    scope->input = f->input.node;
    scope->output = f->output;
    add_connections(b, scope, f->connections, f->connection_count);
    add_schemas(b, scope, f);
    check_callee(b, scope, f);
    l->has_names = l->has_names && b->problems->errors == errors;
    return true;
}

/* The files that led here, for a message about too many. */
static bool is_open(const struct pipeline_scope *scope, struct str path)
{
    for (; scope; scope = scope->outer)
        if (str_eq(scope->path, path))
            return true;
    return false;
}

static void load_call(struct load *l, struct pipeline_scope *scope, struct pipeline_node *caller,
                      const struct file_node *f)
{
    struct pipeline_build *b = &l->b;
    const struct schema_text *path = call_path(caller->config);
    struct pipeline_scope *callee = arena_new(b->arena, struct pipeline_scope);
    struct pipeline_file *file = arena_new(b->arena, struct pipeline_file);

    *callee = (struct pipeline_scope){
        .outer = scope, .caller = caller, .from = f->from, .from_count = f->from_count, .depth = scope->depth + 1};
    callee->prefix = arena_printf(b->arena, "%.*s/", STR_ARG(caller->name));
    callee->path = build_path(b, scope, path->text);
    callee->folder = folder_of(b->arena, callee->path);
    if (map_get(&b->by_name, caller->name) || map_put(&b->calls, caller->name, callee))
        problems_error(b->problems, caller->at, "\"%.*s\" is already the name of another", STR_ARG(caller->name));
    if (!f->from_count)
        problems_error(b->problems, caller->at, "\"call\" needs \"from\": what the pipeline is called with");
    check_rules(b, caller, &f->rules);
    if (f->rules.budget || f->out.node)
        problems_error(b->problems, caller->at, "\"budget\" and \"out\" of a call are those of the nodes in its file");
    if (is_open(scope, callee->path) || callee->depth > PIPELINE_CALL_DEPTH_MAX) {
        problems_error(b->problems, path->node, "\"%.*s\" calls itself, or calls are more than %d deep",
                       STR_ARG(path->text), PIPELINE_CALL_DEPTH_MAX);
        l->has_names = false;
        return;
    }
    struct yaml_node *root = read_tree(l, callee, path->node);
    if (root && load_file(l, callee, root, file))
        add_entries(l, callee, file);
    else
        l->has_names = false;
}

/* ---- building ---- */

static const struct expr_type *input_type(struct load *l, const struct pipeline_node *n)
{
    struct pipeline_build *b = &l->b;
    const struct expr_type *type = NULL;

    for (size_t i = 0; i < n->input_count; i++) {
        const struct expr_type *each = b->nodes[n->inputs[i].node]->output_type;
        type = !type || type == each ? each : type_union(b->arena, type, each);
    }
    return type ? type : &expr_type_unchecked;
}

static void set_effect(struct pipeline_build *b, struct pipeline_node *n, const struct file_node *f)
{
    n->effect = (struct pipeline_effect){.mode = f->effect.mode,
                                         .key = build_template(b, n, &f->effect.key),
                                         .reconcile = build_url(b, n, &f->effect.reconcile),
                                         .batch = f->batch.count,
                                         .batch_bytes = f->batch.bytes,
                                         .linger = f->batch.linger};
    if (f->effect.reconcile.text.n && n->effect.mode == EFFECT_AT_LEAST_ONCE)
        problems_error(
            b->problems, f->effect.reconcile.node,
            "\"at_least_once\" does it again without asking: \"reconcile\" goes with \"keyed\" and \"at_most_once\"");
}

static void build_node(struct load *l, struct pipeline_node *n)
{
    struct pipeline_build *b = &l->b;
    const struct file_node *f = n->file_;

    n->input_type = n->output_type = n->role == PIPELINE_SOURCE ? &expr_type_unchecked : input_type(l, n);
    if (!f) { /* the input of a pipeline that others run */
        n->output_type = build_type(&n->out);
        return;
    }
    n->out = declared_type(b, n, &f->out);
    if (n->role != PIPELINE_SOURCE)
        set_rules(b, n, &f->rules);
    if (n->kind->build)
        n->kind->build(b, n);
    if (n->out.kind != TYPE_UNDECLARED)
        n->output_type = build_type(&n->out);
    if (n->role == PIPELINE_SOURCE)
        n->key = build_expr_on(b, n, &f->key, n->output_type);
    if (n->role == PIPELINE_SINK)
        set_effect(b, n, f);
    n->rules.fallback = build_mapping(b, n, &f->rules.fallback);
}

/* A sink of dead letters: it stands beside the graph, and is built against an envelope that nobody declares. */
static void add_dlq(struct load *l, struct pipeline_scope *scope, const struct pipeline_file *f)
{
    struct pipeline_build *b = &l->b;
    struct pipeline_node *n = arena_new(b->arena, struct pipeline_node);
    const struct file_node *sink = (const void *)f->errors.dlq;
    const void *row;

    if (!f->errors.dlq_count)
        return;
    *n = (struct pipeline_node){.name = STR("errors.dlq"),
                                .role = PIPELINE_SINK,
                                .scope = scope,
                                .at = sink->node,
                                .input_type = &expr_type_unchecked,
                                .output_type = &expr_type_unchecked,
                                .file_ = sink};
    n->kind = shape_kind(&l->shape->roles[PIPELINE_SINK], sink, b->problems, &row, &n->config);
    if (!n->kind)
        return;
    n->sink = row;
    if (n->kind->traits & KIND_REPLIES)
        problems_error(b->problems, n->at, "nobody waits for a dead letter");
    if (n->kind->build)
        n->kind->build(b, n);
    b->spec->dlq = n;
}

static void set_spec(struct load *l, const struct pipeline_file *f)
{
    struct pipeline_build *b = &l->b;
    struct pipeline_spec *s = b->spec;

    s->file_ = f;
    s->name = f->name.text;
    s->version = f->version;
    s->delivery = f->delivery;
    s->journal = f->journal;
    s->deadline = f->deadline;
    s->handover = f->handover;
    s->lanes = f->lanes;
    s->sampled = f->sampled;
    s->workers = f->workers;
    s->in_flight_roots = f->in_flight_roots;
    s->in_flight_bytes = f->in_flight_bytes;
    s->retention = f->errors.retention;
    s->poison_restarts = f->errors.restarts;
    s->tests = texts_of(b, f->tests, f->test_count);
    s->test_count = f->test_count;
    if (f->name.node && !is_name(f->name.text))
        problems_error(b->problems, f->name.node, "a pipeline's name has letters, digits, \"-\" and \"_\", at most 64");
}

static void set_output(struct load *l, const struct pipeline_scope *scope)
{
    struct pipeline_build *b = &l->b;

    if (!scope->output.text.n)
        return;
    b->spec->output = graph_resolve(b, scope, scope->output.text);
    if (!b->spec->output)
        problems_error(b->problems, scope->output.node, "there is no node \"%.*s\"%s", STR_ARG(scope->output.text),
                       graph_suggest(b, scope, scope->output.text));
    else if (b->spec->output->target_count)
        problems_error(b->problems, scope->output.node, "\"%.*s\" chooses whom it sends to, and so yields nothing",
                       STR_ARG(scope->output.text));
}

static void count_roles(struct pipeline_spec *s)
{
    for (size_t i = 0; i < s->node_count; i++) {
        s->source_count += s->nodes[i]->role == PIPELINE_SOURCE;
        s->sink_count += s->nodes[i]->role == PIPELINE_SINK;
    }
}

static void load_graph(struct load *l, struct pipeline_scope *scope, const struct pipeline_file *f)
{
    struct pipeline_build *b = &l->b;

    if (!l->has_names)
        return; /* what is missing would be told again, by everything that needs it */
    set_output(l, scope);
    if (!graph_make(b))
        return;
    bool is_whole = b->problems->errors == 0; /* else its gaps would be told as mistakes */
    for (size_t i = 0; i < b->node_count; i++)
        build_node(l, b->nodes[i]);
    add_dlq(l, scope, f);
    count_roles(b->spec);
    if (is_whole)
        graph_check(b);
}

static void add_world_connections(struct pipeline_build *b, struct pipeline_scope *scope)
{
    const struct yaml_node *map = b->world->connections;
    struct file_connections shared;

    if (!map)
        return;
    struct yaml_node *key = arena_new(b->arena, struct yaml_node);
    *key = (struct yaml_node){
        .kind = YAML_SCALAR, .text = STR("connections"), .line = map->line, .column = map->column, .file = map->file};
    struct yaml_pair *pair = arena_new(b->arena, struct yaml_pair);
    *pair = (struct yaml_pair){.key = key, .value = yaml_copy(b->arena, map)};
    config_expand_tree(b->world->env, b->arena, b->problems, pair->value);
    b->spec->connections_ = pair->value;
    const struct yaml_node root = {
        .kind = YAML_MAP, .pairs = pair, .count = 1, .line = map->line, .column = map->column, .file = map->file};
    if (schema_bind(&shape_connections, &root, b->arena, b->problems, NULL, &shared) == OK)
        add_connections(b, scope, shared.items, shared.count);
}

/* What was read, for who loads this version again. */
static void keep_texts(const struct load *l)
{
    struct pipeline_spec *s = l->b.spec;
    struct str path;
    void *text;

    s->texts = arena_alloc(s->arena_, l->b.files.count * sizeof *s->texts);
    for (size_t at = 0; map_next(&l->b.files, &at, &path, &text);)
        s->texts[s->text_count++] = (struct pipeline_text){.path = path, .text = *(struct str *)text};
}

/* A pipeline that is written in a configuration: its tree is its text. */
static void digest_tree(struct sha256 *h, const struct yaml_node *n)
{
    char head[16];

    sha256_add(h, str_of(head, (size_t)snprintf(head, sizeof head, "%d%d%zu", (int)n->kind, n->quoted,
                                                n->kind == YAML_SCALAR ? n->text.n : n->count)));
    if (n->kind == YAML_SCALAR)
        sha256_add(h, n->text);
    for (size_t i = 0; n->kind == YAML_LIST && i < n->count; i++)
        digest_tree(h, n->items[i]);
    for (size_t i = 0; n->kind == YAML_MAP && i < n->count; i++) {
        digest_tree(h, n->pairs[i].key);
        digest_tree(h, n->pairs[i].value);
    }
}

static struct pipeline_spec *new_spec(void)
{
    struct pipeline_spec *s = NEW(struct pipeline_spec);

    s->refs_ = 1;
    s->arena_ = NEW(struct arena);
    arena_init(s->arena_, SIZE_MAX);
    return s;
}

err_t load_at(struct str path, const struct yaml_node *root, const struct pipeline_world *world, unsigned depth,
              struct problems *problems, struct pipeline_spec **ret)
{
    struct pipeline_spec *s = new_spec();
    struct problems found = {.arena = s->arena_};
    struct load l = {
        .b =
            {.arena = s->arena_, .problems = &found, .world = world, .spec = s, .digest = sha256_new(), .depth = depth},
        .has_names = true};
    struct pipeline_file *file = arena_new(s->arena_, struct pipeline_file);
    struct pipeline_scope *scope = arena_new(s->arena_, struct pipeline_scope);
    unsigned char hash[SHA256_BYTES];

    l.shape = shape_make(s->arena_);
    l.b.nodes = arena_alloc(s->arena_, FLOW_NODES_MAX * sizeof(struct pipeline_node *));
    s->path = scope->path = arena_str(s->arena_, path);
    scope->folder = folder_of(s->arena_, path);
    struct yaml_node *tree = root ? yaml_copy(s->arena_, root) : read_tree(&l, scope, NULL);
    if (root) {
        digest_tree(l.b.digest, tree);
        config_expand_tree(world->env, s->arena_, &found, tree);
    }
    add_world_connections(&l.b, scope);
    if (tree && load_file(&l, scope, tree, file)) {
        set_spec(&l, file);
        if (scope->input) {
            struct pipeline_node *in = add_node(&l,
                                                (struct pipeline_node){.role = PIPELINE_SOURCE,
                                                                       .kind = &input_kind.kind,
                                                                       .source = &input_kind,
                                                                       .scope = scope,
                                                                       .at = scope->input},
                                                STR("input"));
            in->out = declared_type(&l.b, in, &file->input.out);
        }
        add_entries(&l, scope, file);
        load_graph(&l, scope, file);
        s->schemas = scope->schemas;
        s->schema_count = scope->schema_count;
    }
    sha256_end(l.b.digest, hash);
    hex_encode(s->digest, hash, (sizeof s->digest - 1) / 2);
    if (!root)
        keep_texts(&l);
    map_release(&l.b.by_name);
    map_release(&l.b.calls);
    map_release(&l.b.files);
    size_t errors = found.errors;
    problems_hand_over(&found, problems);
    if (errors) {
        pipeline_unref(s);
        return fail(E_CONFIG, "%.*s: %zu error%s in the pipeline", STR_ARG(path), errors, errors == 1 ? "" : "s");
    }
    *ret = s;
    return OK;
}

err_t pipeline_load(struct str path, const struct yaml_node *root, const struct pipeline_world *world,
                    struct problems *problems, struct pipeline_spec **ret)
{
    return load_at(path, root, world, 0, problems, ret);
}

struct pipeline_spec *pipeline_ref(struct pipeline_spec *s)
{
    __atomic_fetch_add(&s->refs_, 1, __ATOMIC_RELAXED);
    return s;
}

void pipeline_unref(struct pipeline_spec *s)
{
    if (!s || __atomic_sub_fetch(&s->refs_, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    arena_release(s->arena_);
    mem_free(s->arena_);
    mem_free(s);
}

const struct pipeline_node *pipeline_find(const struct pipeline_spec *s, struct str name)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (str_eq(s->nodes[i]->name, name))
            return s->nodes[i];
    return NULL;
}

static size_t count_texts(const struct pipeline_spec *s)
{
    size_t count = s->text_count;

    for (uint16_t i = 0; i < s->node_count; i++)
        count += s->nodes[i]->body ? count_texts(s->nodes[i]->body) : 0;
    return count;
}

static struct pipeline_text *put_texts(const struct pipeline_spec *s, struct pipeline_text *to)
{
    for (size_t i = 0; i < s->text_count; i++)
        *to++ = s->texts[i];
    for (uint16_t i = 0; i < s->node_count; i++)
        to = s->nodes[i]->body ? put_texts(s->nodes[i]->body, to) : to;
    return to;
}

const struct pipeline_text *pipeline_texts(const struct pipeline_spec *s, struct arena *a, size_t *ret_count)
{
    *ret_count = count_texts(s);
    struct pipeline_text *all = arena_alloc(a, (*ret_count + 1) * sizeof *all);

    (void)put_texts(s, all);
    return all;
}

static bool has_run(const struct pipeline_node *n)
{
    switch (n->role) {
    case PIPELINE_SOURCE:
        return n->source->run != NULL;
    case PIPELINE_NODE:
        return n->node->run != NULL || n->flow.item == FLOW_GATHER; /* which the shard does itself */
    case PIPELINE_SINK:
        break;
    }
    return n->sink->run != NULL;
}

bool pipeline_can_run(const struct pipeline_spec *s, const struct pipeline_node **ret_missing)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->file_ && !has_run(s->nodes[i])) {
            *ret_missing = s->nodes[i];
            return false;
        } else if (s->nodes[i]->body && !pipeline_can_run(s->nodes[i]->body, ret_missing)) {
            return false;
        }
    return true;
}
