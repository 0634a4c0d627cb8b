/*
 * compare.c - two versions of a pipeline, held against each other name by name.
 *
 * What flows along an edge is known by a schema: the one that the file declares, or the type of the program that makes it, said as a schema. Of each node there are
 * two of them, the old version's and the candidate's, and three questions:
 *
 * - of a source: is what was sent so far still what its readers understand?
 * - of a node: does each of its readers, by what it reads (`reads`), still find it?
 * - of a sink: do those behind it, who may look at everything, know what they will get?
 *
 * Each is an inclusion of schemas (jsonschema/inclusion.h), so an answer comes with a document, and what cannot be decided is said to be so. Where the two schemas
 * are the same bytes, nothing is asked. What nobody declared is unknown only where something that leads there has changed.
 */
#include "pipeline/spec/compare.h"

#include "codec/json_out.h"
#include "expr/schema_type.h"
#include "pipeline/spec/explain.h"
#include "pipeline/spec/graph.h"
#include "pipeline/spec/promise.h"

#include <stdarg.h>
#include <stdio.h>

enum { SCHEMA_BYTES_MAX = 4 << 20, SHOWN_MAX = 4 << 20, DIFFERENCES_TOLD = 50 };

/* One of the two versions, with what is worked out of it. By node. */
struct side {
    const struct pipeline_spec *spec;
    struct str *texts;                 /* of what it yields; absent: nothing is known */
    const struct jsonschema **schemas; /* likewise, compiled; NULL                    */
    struct str *shown;                 /* its entry in the file                       */
};

struct comparison {
    struct arena *arena;
    struct impacts *to;
    struct side old, candidate;
    bool *
        is_touched; /* by the candidate's nodes: its entry, or a file that it names, or one of a node before it has changed */
};

/* --- what is found --- */

const char *impact_weight_name(enum impact_weight weight)
{
    static const char *const names[] = {"note", "unknown", "breaks"};

    return names[weight];
}

struct impact *impacts_add(struct impacts *to, enum impact_weight weight, struct str where, const char *fmt, ...)
{
    char text[1024];
    va_list values;

    to->breaks += weight == IMPACT_BREAKS;
    to->unknown += weight == IMPACT_UNKNOWN;
    if (to->count == IMPACTS_MAX)
        return NULL;
    va_start(values, fmt);
    (void)vsnprintf(text, sizeof text, fmt, values);
    va_end(values);
    to->items = arena_list_room(to->arena, to->items, to->count, sizeof *to->items, 16, IMPACTS_MAX);
    to->items[to->count] = (struct impact){
        .weight = weight, .where = arena_str(to->arena, where), .text = arena_str(to->arena, str_from_c(text))};
    return &to->items[to->count++];
}

static struct str place(const struct comparison *c, const struct pipeline_node *n)
{
    static const char *const roles[] = {"source", "node", "sink"};

    return arena_printf(c->arena, "%s %.*s", roles[n->role], STR_ARG(n->name));
}

/* Somebody is hurt by what a comparison of schemas has shown, or may be. */
static void add_result(struct comparison *c, const struct inclusion_result *r, struct str where, struct str whom,
                       const char *what)
{
    bool is_known = r->verdict == INCLUSION_REFUTED;
    struct impact *i = impacts_add(c->to, is_known ? IMPACT_BREAKS : IMPACT_UNKNOWN, where, "%s%s%s%.*s%s%.*s", what,
                                   is_known ? "" : " may have changed: it cannot be decided", r->path.n ? ": " : "",
                                   STR_ARG(r->path), r->why.n ? ": " : "", STR_ARG(r->why));

    if (!i)
        return;
    i->document = arena_str(c->to->arena, r->document);
    if (!whom.n)
        return;
    struct str *hit = arena_new(c->to->arena, struct str);
    *hit = arena_str(c->to->arena, whom);
    i->hit = hit;
    i->hit_count = 1;
}

/* --- what flows --- */

static void put_words(struct json_out *o, const struct pipeline_type *t)
{
    json_member_str(o, STR("type"), STR("string"));
    if (!t->words)
        return;
    json_member_open(o, STR("enum"), '[');
    for (size_t i = 0; i < t->word_count; i++)
        json_put_str(o, t->words[i]);
    json_close(o, ']');
}

static void put_vector(struct json_out *o, const struct pipeline_type *t)
{
    json_member_str(o, STR("type"), STR("array"));
    json_member_raw(o, STR("items"), STR("{\"type\":\"number\"}"));
    if (!t->dim)
        return;
    json_member_u64(o, STR("minItems"), t->dim);
    json_member_u64(o, STR("maxItems"), t->dim);
}

static void put_decision(struct json_out *o, const struct pipeline_type *t)
{
    json_member_str(o, STR("type"), STR("object"));
    json_member_open(o, STR("properties"), '{');
    json_member_raw(o, STR("confidence"), STR("{\"type\":\"number\"}"));
    json_member_raw(o, STR("reason"), STR("{\"type\":\"string\"}"));
    json_member_open(o, STR("decision"), '{');
    put_words(o, t);
    json_close(o, '}');
    json_close(o, '}');
    json_member_raw(o, STR("required"), STR("[\"decision\"]"));
}

/* What a declared type allows, as a schema. False: nothing that can be told. */
static bool put_type(const struct pipeline_type *t, struct json_out *o)
{
    json_open(o, '{');
    switch (t->kind) {
    case TYPE_UNDECLARED:
    case TYPE_SCHEMA:
        return false;
    case TYPE_EMBEDDING:
        put_vector(o, t);
        break;
    case TYPE_LABEL:
        put_words(o, t);
        break;
    case TYPE_TEXT:
        json_member_str(o, STR("type"), STR("string"));
        break;
    case TYPE_SCORE:
        json_member_str(o, STR("type"), STR("number"));
        json_key(o, STR("minimum"));
        json_put_double(o, t->min);
        json_key(o, STR("maximum"));
        json_put_double(o, t->max);
        break;
    case TYPE_DECISION:
        put_decision(o, t);
        break;
    }
    json_close(o, '}');
    return true;
}

/* The schema of what a node yields; absent: nothing is known. */
static struct str schema_text(const struct side *side, const struct pipeline_node *n, struct arena *arena)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SCHEMA_BYTES_MAX);
    struct json_out o = json_out_to(&text);

    if (n->out.kind == TYPE_SCHEMA)
        return n->out.schema->text.n ? n->out.schema->text : STR_NONE;
    if (n->out.kind != TYPE_UNDECLARED)
        return put_type(&n->out, &o) && buf_status(&text) == OK ? arena_str(arena, buf_str(&text)) : STR_NONE;
    if (n->kind->traits & KIND_PASSES && n->input_count == 1)
        return side->texts[n->inputs[0].node];
    if (n->output_type->unchecked || expr_type_schema(n->output_type, &text) != OK)
        return STR_NONE;
    return str_eq(buf_str(&text), STR("true")) ? STR_NONE : arena_str(arena, buf_str(&text));
}

static const struct jsonschema *compile(struct arena *arena, struct str text)
{
    const struct jsonschema_options o = {.assert_formats = true};
    const struct jsonschema *compiled;
    const struct json_tree *tree;

    if (!text.n || json_tree_parse(arena, text, &tree) != OK)
        return NULL;
    return jsonschema_compile(arena, tree, &o, &compiled, NULL) == OK ? compiled : NULL;
}

static err_t side_init(struct side *side, const struct pipeline_spec *spec, struct arena *arena)
{
    *side = (struct side){.spec = spec,
                          .texts = arena_zalloc(arena, (spec->node_count + 1) * sizeof *side->texts),
                          .schemas = arena_zalloc(arena, (spec->node_count + 1) * sizeof(const struct jsonschema *)),
                          .shown = arena_zalloc(arena, (spec->node_count + 1) * sizeof *side->shown)};
    for (uint16_t i = 0; i < spec->node_count; i++) { /* what it reads of stands before it */
        struct buf shown CLEANUP(buf_release) = BUF_INIT(SHOWN_MAX);
        side->texts[i] = schema_text(side, spec->nodes[i], arena);
        side->schemas[i] = compile(arena, side->texts[i]);
        TRY(pipeline_show_node(spec, spec->nodes[i], &shown));
        side->shown[i] = arena_str(arena, buf_str(&shown));
    }
    return OK;
}

/* --- what has changed in the file --- */

static struct str beside(const struct pipeline_spec *s, const struct pipeline_text *t)
{
    size_t slash = s->path.n;

    while (slash > 0 && s->path.p[slash - 1] != '/')
        slash--;
    struct str folder = str_slice(s->path, 0, slash);
    return str_starts(t->path, folder) ? str_slice(t->path, folder.n, t->path.n) : t->path;
}

/* Is it another one, or not there, in the other version? */
static bool is_other_text(const struct pipeline_spec *other, struct str name, struct str text)
{
    for (size_t i = 0; i < other->text_count; i++)
        if (str_eq(beside(other, &other->texts[i]), name))
            return !str_eq(other->texts[i].text, text);
    return true;
}

/* Does the entry name a file that has changed? */
static bool names_changed_file(const struct comparison *c, struct str shown)
{
    const struct pipeline_spec *s = c->candidate.spec;

    for (size_t i = 0; i < s->text_count; i++) {
        struct str name = beside(s, &s->texts[i]);
        if (!str_eq(s->texts[i].path, s->path) && str_find(shown, name) < shown.n &&
            is_other_text(c->old.spec, name, s->texts[i].text))
            return true;
    }
    return false;
}

static void find_touched(struct comparison *c)
{
    const struct pipeline_spec *s = c->candidate.spec;

    c->is_touched = arena_zalloc(c->arena, s->node_count + 1);
    for (uint16_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *n = s->nodes[i], *was = pipeline_find(c->old.spec, n->name);
        c->is_touched[i] = !was || !str_eq(c->old.shown[was->index], c->candidate.shown[i]) ||
                           names_changed_file(c, c->candidate.shown[i]);
        for (size_t k = 0; k < n->input_count; k++)
            c->is_touched[i] = c->is_touched[i] || c->is_touched[n->inputs[k].node];
    }
}

/* --- schemas --- */

static const struct pipeline_schema *find_schema(const struct pipeline_spec *s, struct str name)
{
    for (size_t i = 0; i < s->schema_count; i++)
        if (str_eq(s->schemas[i].name, name))
            return &s->schemas[i];
    return NULL;
}

static err_t add_differences(struct comparison *c, struct str where, const struct jsonschema *old,
                             const struct jsonschema *candidate)
{
    const struct schema_difference *list;
    size_t count;

    TRY(schema_diff(old, candidate, c->arena, &list, &count));
    for (size_t i = 0; i < count && i < DIFFERENCES_TOLD; i++)
        (void)impacts_add(c->to, IMPACT_NOTE, where, "%s %.*s%s%.*s", schema_change_name(list[i].change),
                          STR_ARG(list[i].path), list[i].text.n ? ": " : "", STR_ARG(list[i].text));
    if (count > DIFFERENCES_TOLD)
        (void)impacts_add(c->to, IMPACT_NOTE, where, "and %zu more differences", count - DIFFERENCES_TOLD);
    return OK;
}

static err_t compare_texts(struct comparison *c, const struct pipeline_schema *was, const struct pipeline_schema *is,
                           struct str where)
{
    const struct jsonschema *old = compile(c->arena, was->text), *candidate = compile(c->arena, is->text);
    const struct compat_problem *problems;
    size_t count;

    if (!old || !candidate) {
        (void)impacts_add(c->to, IMPACT_UNKNOWN, where, "one of its versions does not compile");
        return OK;
    }
    TRY(add_differences(c, where, old, candidate));
    TRY(compat_check(&old, 1, candidate, was->compat, &(struct inclusion_options){.reading = INCLUSION_HONEST},
                     c->arena, &problems, &count));
    for (size_t i = 0; i < count; i++)
        add_result(c, &problems[i].result, where, STR_NONE,
                   problems[i].is_forward ? "the old version does not understand the new one"
                                          : "the new version does not understand the old one");
    return OK;
}

static err_t compare_schema(struct comparison *c, const struct pipeline_schema *was)
{
    const struct pipeline_schema *is = find_schema(c->candidate.spec, was->name);
    struct str where = arena_printf(c->arena, "schema %.*s", STR_ARG(was->name));

    if (!is) {
        (void)impacts_add(c->to, IMPACT_NOTE, where, "is not named any more");
        return OK;
    }
    if (was->compat != is->compat)
        (void)impacts_add(c->to, IMPACT_NOTE, where, "its level was %s, and is %s: the old one is what counts here",
                          compat_level_name(was->compat), compat_level_name(is->compat));
    if (was->text.n && is->text.n)
        return str_eq(was->text, is->text) ? OK : compare_texts(c, was, is, where);
    if (!str_eq(was->subject, is->subject) || was->version != is->version || was->text.n != is->text.n)
        (void)impacts_add(c->to, IMPACT_UNKNOWN, where, "it is in a registry, which nobody has asked");
    return OK;
}

static err_t compare_schemas(struct comparison *c)
{
    for (size_t i = 0; i < c->old.spec->schema_count; i++)
        TRY(compare_schema(c, &c->old.spec->schemas[i]));
    for (size_t i = 0; i < c->candidate.spec->schema_count; i++) {
        struct str name = c->candidate.spec->schemas[i].name;
        if (!find_schema(c->old.spec, name))
            (void)impacts_add(c->to, IMPACT_NOTE, arena_printf(c->arena, "schema %.*s", STR_ARG(name)), "is new");
    }
    return OK;
}

/* --- edges --- */

/* Does every document of the one serve who looks at these paths, as those of the other did? */
static err_t check_readers(struct comparison *c, const struct pipeline_node *from, const struct jsonschema *writes,
                           const struct jsonschema *knows, const char *what)
{
    const struct pipeline_spec *s = c->candidate.spec;

    for (uint16_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *reader = s->nodes[i];
        const struct inclusion_options o = {
            .reading = INCLUSION_USAGE, .reads = reader->reads, .read_count = reader->read_count};
        struct inclusion_result r;
        bool is_reader = false;
        for (size_t k = 0; k < reader->input_count; k++)
            is_reader = is_reader || reader->inputs[k].node == from->index;
        /* What a join reads is what its own readers do, and a sink is its readers' affair. */
        if (!is_reader || reader->role == PIPELINE_SINK || !reader->read_count)
            continue;
        TRY(inclusion_check(writes, knows, &o, c->arena, &r));
        if (r.verdict != INCLUSION_PROVEN)
            add_result(c, &r, place(c, from), reader->name, what);
    }
    return OK;
}

static bool has_reader(const struct pipeline_spec *s, const struct pipeline_node *n)
{
    return s->graph.nodes[n->index].out_count > 0;
}

static err_t compare_outputs(struct comparison *c, const struct pipeline_node *was, const struct pipeline_node *is)
{
    const struct jsonschema *old = c->old.schemas[was->index], *candidate = c->candidate.schemas[is->index];

    if (str_eq(c->old.texts[was->index], c->candidate.texts[is->index]) && old && candidate)
        return OK;
    if (!old && !candidate && !c->is_touched[is->index])
        return OK;
    if (!old || !candidate) {
        if (has_reader(c->candidate.spec, is))
            (void)impacts_add(c->to, IMPACT_UNKNOWN, place(c, is),
                              "what it yields %s, so what has changed for its readers is not known: declare \"out\"",
                              old         ? "is not known any more"
                              : candidate ? "was not known before"
                                          : "is not known");
        return OK;
    }
    if (is->out.kind != TYPE_SCHEMA) /* else its schema was told */
        TRY(add_differences(c, place(c, is), old, candidate));
    if (is->role == PIPELINE_SOURCE)
        return check_readers(c, is, old, candidate, "messages as they were sent so far are not understood any more");
    return check_readers(c, is, candidate, old, "what it yields is not what its reader looks for");
}

/* Vectors of another model fit by their length, and mean something else. */
static void compare_vectors(struct comparison *c, const struct pipeline_node *was, const struct pipeline_node *is)
{
    const struct pipeline_type *x = &was->out, *y = &is->out;

    if (x->kind != TYPE_EMBEDDING || y->kind != TYPE_EMBEDDING)
        return;
    if (!str_eq(x->model, y->model))
        (void)impacts_add(c->to, IMPACT_BREAKS, place(c, is),
                          "vectors were those of %.*s, and are those of %.*s: what was indexed must be made anew",
                          STR_ARG(x->model), STR_ARG(y->model));
    if (x->metric != y->metric || x->is_normalised != y->is_normalised)
        (void)impacts_add(c->to, IMPACT_BREAKS, place(c, is), "vectors are compared in another way than before");
}

/* --- nodes --- */

/* The schema of what a sink gets: that of its one input, else of any of them. */
static struct str sink_text(const struct side *side, const struct pipeline_node *sink, struct arena *arena)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SCHEMA_BYTES_MAX);

    if (sink->input_count == 1)
        return side->texts[sink->inputs[0].node];
    (void)buf_add_lit(&text, "{\"anyOf\":[");
    for (size_t i = 0; i < sink->input_count; i++) {
        struct str each = side->texts[sink->inputs[i].node];
        if (!each.n)
            return STR_NONE;
        (void)buf_addf(&text, "%s%.*s", i ? "," : "", STR_ARG(each));
    }
    return buf_add_lit(&text, "]}") == OK ? arena_str(arena, buf_str(&text)) : STR_NONE;
}

static err_t compare_sink(struct comparison *c, const struct pipeline_node *was, const struct pipeline_node *is)
{
    struct str before = sink_text(&c->old, was, c->arena), after = sink_text(&c->candidate, is, c->arena);
    const struct jsonschema *old = compile(c->arena, before), *candidate = compile(c->arena, after);
    struct inclusion_result r;

    if (old && candidate && str_eq(before, after))
        return OK;
    if (!old || !candidate) {
        if (c->is_touched[is->index])
            (void)impacts_add(
                c->to, IMPACT_UNKNOWN, place(c, is),
                "whether those behind it understand what they get is not known: declare \"out\" of what leads to it");
        return OK;
    }
    TRY(inclusion_check(candidate, old, &(struct inclusion_options){.reading = INCLUSION_HONEST}, c->arena, &r));
    if (r.verdict != INCLUSION_PROVEN)
        add_result(c, &r, place(c, is), is->name, "it gets what those behind it do not know");
    return OK;
}

/* Lines that are in one text, and not in the other. */
static void add_lines(struct comparison *c, struct str where, struct str of, struct str other, const char *what)
{
    while (of.n) {
        struct str line = str_trim(str_cut(&of, '\n'));
        if (line.n && str_find(other, line) == other.n)
            (void)impacts_add(c->to, IMPACT_NOTE, where, "%s: %.*s", what, STR_ARG(line));
    }
}

static err_t compare_node(struct comparison *c, const struct pipeline_node *was)
{
    const struct pipeline_node *is = pipeline_find(c->candidate.spec, was->name);
    struct str where = place(c, was);

    if (!is || is->role != was->role) {
        (void)impacts_add(c->to, was->role == PIPELINE_NODE ? IMPACT_NOTE : IMPACT_BREAKS, where, "is gone%s",
                          was->role == PIPELINE_SOURCE ? ": its messages are not read any more"
                          : was->role == PIPELINE_SINK ? ": those behind it get nothing any more"
                                                       : "");
        return OK;
    }
    if (was->kind != is->kind && was->role != PIPELINE_NODE)
        (void)impacts_add(c->to, IMPACT_BREAKS, where, "was \"%s\", and is \"%s\": it begins anew, somewhere else",
                          was->kind->name, is->kind->name);
    add_lines(c, where, c->old.shown[was->index], c->candidate.shown[is->index], "was");
    add_lines(c, where, c->candidate.shown[is->index], c->old.shown[was->index], "is");
    if (names_changed_file(c, c->candidate.shown[is->index]))
        (void)impacts_add(c->to, IMPACT_NOTE, where, "a file that it names has changed");
    compare_vectors(c, was, is);
    return is->role == PIPELINE_SINK ? compare_sink(c, was, is) : compare_outputs(c, was, is);
}

static err_t compare_nodes(struct comparison *c)
{
    const struct pipeline_spec *s = c->candidate.spec;

    for (uint16_t i = 0; i < c->old.spec->node_count; i++)
        TRY(compare_node(c, c->old.spec->nodes[i]));
    for (uint16_t i = 0; i < s->node_count; i++)
        if (!pipeline_find(c->old.spec, s->nodes[i]->name))
            (void)impacts_add(c->to, IMPACT_NOTE, place(c, s->nodes[i]), "is new");
    return OK;
}

/* --- promises --- */

static void compare_pair(struct comparison *c, const struct pipeline_node *source, const struct pipeline_node *sink)
{
    const struct pipeline_node *from = pipeline_find(c->candidate.spec, source->name),
                               *to = pipeline_find(c->candidate.spec, sink->name);

    if (!from || !to || from->role != PIPELINE_SOURCE || to->role != PIPELINE_SINK)
        return;
    struct str where = arena_printf(c->arena, "%.*s -> %.*s", STR_ARG(source->name), STR_ARG(sink->name));
    if (!graph_reaches(c->candidate.spec, from->index, to->index)) {
        (void)impacts_add(c->to, IMPACT_BREAKS, where, "no way leads there any more");
        return;
    }
    unsigned before = promise_of(c->old.spec, source, sink).bits, after = promise_of(c->candidate.spec, from, to).bits;
    if (before == after)
        return;
    (void)impacts_add(c->to, after & ~before ? IMPACT_BREAKS : IMPACT_NOTE, where, "promised %s, and promises %s",
                      promise_words(before), promise_words(after));
}

static void compare_promises(struct comparison *c)
{
    const struct pipeline_spec *s = c->old.spec;

    for (uint16_t i = 0; i < s->node_count; i++)
        for (uint16_t k = 0; k < s->node_count; k++)
            if (s->nodes[i]->role == PIPELINE_SOURCE && s->nodes[k]->role == PIPELINE_SINK && graph_reaches(s, i, k))
                compare_pair(c, s->nodes[i], s->nodes[k]);
}

err_t pipeline_compare(const struct pipeline_spec *old, const struct pipeline_spec *candidate, struct impacts *to)
{
    struct comparison c = {.arena = to->arena, .to = to};
    struct str whole = arena_printf(to->arena, "pipeline %.*s", STR_ARG(old->name));

    if (!str_eq(old->name, candidate->name))
        (void)impacts_add(to, IMPACT_BREAKS, whole,
                          "is called \"%.*s\": messages, batches and groups are known by the name, and begin anew",
                          STR_ARG(candidate->name));
    if (strcmp(old->digest, candidate->digest) != 0 && candidate->version <= old->version)
        (void)impacts_add(to, IMPACT_NOTE, whole, "is another one, and its version is still %u", candidate->version);
    TRY(side_init(&c.old, old, to->arena));
    TRY(side_init(&c.candidate, candidate, to->arena));
    find_touched(&c);
    TRY(compare_schemas(&c));
    TRY(compare_nodes(&c));
    compare_promises(&c);
    return OK;
}
