/*
 * yaml.c - YAML to a tree, over libfyaml's events, and the list of problems that readers of trees fill.
 *
 * libfyaml scans and parses; its events are folded into nodes with a stack of open lists and maps. Children wait on
 * one shared vector until their parent is closed and are then copied into the arena once, so that a list of 100,000
 * entries costs no more per entry than a short one. Only calls that are the same in libfyaml 0.7, 0.8 and 0.9 are
 * used, and no type of it leaves this file.
 *
 * Bounds: the text's bytes; the depth (nothing here recurses); and the nodes a walk meets, for which each node
 * carries its weight: an alias adds the weight of what it stands for, so the "billion laughs" are counted without
 * being told. An anchor is known only when its node is closed, so there are no cycles.
 *
 * It does not resolve types, merge keys (<<) or tags.
 */
#include "codec/yaml.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 60, FEW_KEYS = 12 };

static const struct yaml_limits defaults = {.bytes = (size_t)64 << 20, .nodes = 8000000, .depth = 32};

/* ---- problems ---- */

void problems_add(struct problems *p, struct problem item)
{
    if (!item.warning)
        p->errors++;
    if (p->count == PROBLEMS_MAX)
        return;
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 8;
        struct problem *grown = arena_alloc(p->arena, p->cap * sizeof *grown);
        if (p->count)
            memcpy(grown, p->items, p->count * sizeof *grown);
        p->items = grown;
    }
    p->items[p->count++] = item;
}

static void add_formatted(struct problems *p, const struct yaml_node *at, bool warning, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static void add_formatted(struct problems *p, const struct yaml_node *at, bool warning, const char *fmt, va_list ap)
{
    struct problem item = {.warning = warning};
    char *text = NULL;
    int n = vasprintf(&text, fmt, ap);

    if (n < 0)
        die("bad format \"%s\"", fmt);
    if (p->count < PROBLEMS_MAX)
        item.text = arena_str(p->arena, str_of(text, (size_t)n));
    mem_free(text);
    if (at) {
        item.file = *at->file;
        item.line = at->line;
        item.column = at->column;
    }
    problems_add(p, item);
}

void problems_error(struct problems *p, const struct yaml_node *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_formatted(p, at, false, fmt, ap);
    va_end(ap);
}

void problems_warn(struct problems *p, const struct yaml_node *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_formatted(p, at, true, fmt, ap);
    va_end(ap);
}

static int by_place(const void *x, const void *y)
{
    const struct problem *a = x, *b = y;
    int c = str_cmp(a->file, b->file);

    if (c)
        return c;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return str_cmp(a->text, b->text);
}

void problems_sort(struct problems *p)
{
    if (p->count)
        qsort(p->items, p->count, sizeof *p->items, by_place);
}

void problems_hand_over(struct problems *from, struct problems *to)
{
    size_t errors = to->errors + from->errors;

    problems_sort(from);
    for (size_t i = 0; i < from->count; i++) {
        struct problem p = from->items[i];
        p.file = arena_str(to->arena, p.file);
        p.text = arena_str(to->arena, p.text);
        problems_add(to, p);
    }
    to->errors = errors;
}

void problems_print(const struct problems *p, struct buf *to)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *item = &p->items[i];
        if (item->file.n)
            (void)buf_addf(to, "%.*s:", STR_ARG(item->file));
        if (item->line)
            (void)buf_addf(to, "%u:%u:", item->line, item->column);
        if (item->file.n || item->line)
            (void)buf_add_char(to, ' ');
        (void)buf_addf(to, "%s: %.*s\n", item->warning ? "warning" : "error", STR_ARG(item->text));
    }
    if (p->count == PROBLEMS_MAX)
        (void)buf_addf(to, "and more (%zu errors in all)\n", p->errors);
}

/* ---- building the tree ---- */

struct open_node {
    struct yaml_node *node;
    size_t first;      /* of its children on the pending vector */
    struct str anchor; /* empty: none */
};

struct builder {
    struct arena *arena;
    struct problems *problems;
    struct yaml_limits limits;
    const struct str *file;
    struct str text;
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct yaml_node **pending; /* finished children of open nodes; on the heap */
    size_t pending_count, pending_cap;
    struct open_node open[DEPTH_MAX];
    unsigned depth;
    struct map anchors;    /* struct yaml_node * */
    size_t met;            /* nodes a walk meets */
    unsigned line, column; /* of the last token that had a place */
    unsigned documents;
    struct yaml_node *root;
};

static void builder_release(struct builder *b)
{
    if (b->parser)
        fy_parser_destroy(b->parser);
    if (b->diag)
        fy_diag_destroy(b->diag);
    mem_free(b->pending);
    map_release(&b->anchors);
}

static err_t refuse(struct builder *b, unsigned line, unsigned column, const char *fmt, ...) PRINTF_LIKE(4, 5);
static err_t refuse(struct builder *b, unsigned line, unsigned column, const char *fmt, ...)
{
    struct yaml_node at = {.file = b->file, .line = line, .column = column};
    va_list ap;

    va_start(ap, fmt);
    add_formatted(b->problems, &at, false, fmt, ap);
    va_end(ap);
    return fail(E_PARSE, "the YAML text is not acceptable");
}

/* Is the token a quoted text whose mark stands behind the opening quote, as it does in libfyaml 0.7? */
static bool is_behind_quote(const struct builder *b, struct fy_token *t, size_t at)
{
    enum fy_scalar_style style = fy_token_scalar_style(t);
    char quote = style == FYSS_SINGLE_QUOTED ? '\'' : '"';

    if (style != FYSS_SINGLE_QUOTED && style != FYSS_DOUBLE_QUOTED)
        return false;
    return b->column > 1 && at > 0 && at <= b->text.n && b->text.p[at - 1] == quote;
}

/* Remember where `t` stands; tokens made up by the parser (an empty value) keep the place of the one before. */
static void move_to(struct builder *b, struct fy_token *t)
{
    const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;

    if (m && m->line >= 0 && m->column >= 0) {
        b->line = (unsigned)m->line + 1;
        b->column = (unsigned)m->column + 1;
        if (is_behind_quote(b, t, m->input_pos))
            b->column--;
    }
}

static struct str token_text(struct builder *b, struct fy_token *t)
{
    size_t n = 0;
    const char *p = t ? fy_token_get_text(t, &n) : NULL;
    return arena_str(b->arena, str_of(p, p ? n : 0));
}

static struct yaml_node *new_node(struct builder *b, enum yaml_kind kind)
{
    struct yaml_node *n = arena_new(b->arena, struct yaml_node);
    n->kind = kind;
    n->line = b->line;
    n->column = b->column;
    n->file = b->file;
    n->weight = 1;
    return n;
}

static err_t push_pending(struct builder *b, struct yaml_node *n)
{
    if (b->depth == 0) {
        b->root = n;
        return OK;
    }
    if (b->pending_count == b->pending_cap) {
        b->pending_cap = b->pending_cap ? b->pending_cap * 2 : 256;
        b->pending = mem_realloc(b->pending, b->pending_cap * sizeof(struct yaml_node *));
    }
    b->pending[b->pending_count++] = n;
    return OK;
}

/* Count what was met; `weight` is at most the limit, so that the sum cannot wrap. */
static err_t count_nodes(struct builder *b, size_t weight)
{
    b->met += weight;
    if (b->met > b->limits.nodes)
        return refuse(b, b->line, b->column, "the document has more than %zu nodes, aliases followed", b->limits.nodes);
    return OK;
}

static err_t check_tag(struct builder *b, struct fy_token *tag, bool *ret_text)
{
    if (!tag)
        return OK;
    struct str name = token_text(b, tag);
    if (!str_ends(name, STR("!!str")) && !str_eq(name, STR("tag:yaml.org,2002:str")))
        return refuse(b, b->line, b->column, "tags are not supported: write the value without \"%.*s\"", STR_ARG(name));
    *ret_text = true;
    return OK;
}

static void set_anchor(struct builder *b, struct str anchor, struct yaml_node *n)
{
    if (anchor.n)
        map_put(&b->anchors, anchor, n);
}

static err_t add_scalar(struct builder *b, const struct fy_event_scalar_data *e)
{
    bool tagged = false;

    move_to(b, e->value);
    TRY(check_tag(b, e->tag, &tagged));
    struct yaml_node *n = new_node(b, YAML_SCALAR);
    n->text = token_text(b, e->value);
    n->quoted = tagged || (e->value && fy_token_scalar_style(e->value) != FYSS_PLAIN);
    set_anchor(b, token_text(b, e->anchor), n);
    TRY(count_nodes(b, 1));
    return push_pending(b, n);
}

static err_t add_alias(struct builder *b, const struct fy_event_alias_data *e)
{
    move_to(b, e->anchor);
    struct str name = token_text(b, e->anchor);
    struct yaml_node *n = map_get(&b->anchors, name);
    if (!n)
        return refuse(b, b->line, b->column,
                      "there is no anchor &%.*s before this alias (text that begins with * must be in quotes)",
                      STR_ARG(name));
    TRY(count_nodes(b, n->weight));
    return push_pending(b, n);
}

static err_t open_node(struct builder *b, enum yaml_kind kind, struct fy_token *at, struct fy_token *anchor,
                       struct fy_token *tag)
{
    bool tagged = false;

    move_to(b, at);
    TRY(check_tag(b, tag, &tagged));
    if (tagged)
        return refuse(b, b->line, b->column, "!!str is for text, not for a list or map");
    if (b->depth == b->limits.depth)
        return refuse(b, b->line, b->column, "lists and maps are nested deeper than %u", b->limits.depth);
    TRY(count_nodes(b, 1));
    b->open[b->depth++] = (struct open_node){new_node(b, kind), b->pending_count, token_text(b, anchor)};
    return OK;
}

/* Report every key of `n` that was there before. */
static void check_duplicates(struct builder *b, const struct yaml_node *n)
{
    struct map seen CLEANUP(map_release) = {0};

    for (size_t i = 0; i < n->count; i++) {
        struct yaml_node *key = n->pairs[i].key, *former = NULL;
        if (n->count > FEW_KEYS)
            former = map_put(&seen, key->text, key);
        for (size_t k = 0; n->count <= FEW_KEYS && k < i && !former; k++)
            if (str_eq(n->pairs[k].key->text, key->text))
                former = n->pairs[k].key;
        if (former)
            problems_error(b->problems, key, "\"%.*s\" is already there at line %u, column %u", STR_ARG(key->text),
                           former->line, former->column);
    }
}

static err_t close_map(struct builder *b, struct yaml_node *n, struct yaml_node **children, size_t count)
{
    n->count = count / 2;
    n->pairs = arena_alloc(b->arena, n->count * sizeof *n->pairs);
    for (size_t i = 0; i < n->count; i++) {
        n->pairs[i] = (struct yaml_pair){children[2 * i], children[2 * i + 1]};
        if (n->pairs[i].key->kind != YAML_SCALAR)
            return refuse(b, n->pairs[i].key->line, n->pairs[i].key->column,
                          "a key must be a plain word, not a list or map");
    }
    check_duplicates(b, n);
    return OK;
}

static err_t close_node(struct builder *b)
{
    struct open_node top = b->open[--b->depth];
    size_t count = b->pending_count - top.first;
    struct yaml_node **children = count ? b->pending + top.first : NULL;
    uint64_t weight = 1;

    for (size_t i = 0; i < count; i++)
        weight += children[i]->weight;
    top.node->weight = (uint32_t)weight; /* at most `met`, whose limit fits */
    b->pending_count = top.first;
    if (top.node->kind == YAML_MAP) {
        TRY(close_map(b, top.node, children, count));
    } else {
        top.node->count = count;
        top.node->items = arena_alloc(b->arena, count * sizeof(struct yaml_node *));
        if (count)
            memcpy(top.node->items, children, count * sizeof(struct yaml_node *));
    }
    set_anchor(b, top.anchor, top.node);
    return push_pending(b, top.node);
}

static err_t start_document(struct builder *b, const struct fy_event *e)
{
    move_to(b, e->document_start.document_start);
    if (b->documents++)
        return refuse(b, b->line, b->column, "only one document is allowed: remove the second \"---\"");
    return OK;
}

static err_t take_event(struct builder *b, const struct fy_event *e)
{
    switch (e->type) {
    case FYET_DOCUMENT_START:
        return start_document(b, e);
    case FYET_SCALAR:
        return add_scalar(b, &e->scalar);
    case FYET_ALIAS:
        return add_alias(b, &e->alias);
    case FYET_MAPPING_START:
        return open_node(b, YAML_MAP, e->mapping_start.mapping_start, e->mapping_start.anchor, e->mapping_start.tag);
    case FYET_SEQUENCE_START:
        return open_node(b, YAML_LIST, e->sequence_start.sequence_start, e->sequence_start.anchor,
                         e->sequence_start.tag);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return close_node(b);
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        return OK;
    }
    return OK;
}

/* What usually stands behind a message of the parser. */
static const char *remedy(const char *message)
{
    static const struct {
        const char *part, *remedy;
    } remedies[] = {
        {"invalid alias", "; text that begins with * must be in quotes"},
        {"cannot start with", "; put the text in quotes"},
        {"missing comma in flow", "; text with any of { } [ ] , in it must be in quotes there"},
        {"tab char", "; indent with blanks"},
        {"invalid tab", "; indent with blanks"},
        {"nested block mapping on the same line", "; text with \": \" in it must be in quotes"},
        {"invalid multiline plain key", "; is the line below indented too far, or its colon missing?"},
    };

    for (size_t i = 0; i < ARRAY_LEN(remedies); i++)
        if (strstr(message, remedies[i].part))
            return remedies[i].remedy;
    return "";
}

static err_t report_syntax(struct builder *b)
{
    void *at = NULL;
    struct fy_diag_error *e;
    bool any = false;

    while ((e = fy_diag_errors_iterate(b->diag, &at)) != NULL) {
        if (e->type != FYET_ERROR || !e->msg)
            continue;
        any = true;
        (void)refuse(b, e->line > 0 ? (unsigned)e->line : b->line, e->column > 0 ? (unsigned)e->column : b->column,
                     "%s%s", e->msg, remedy(e->msg));
    }
    if (!any)
        (void)refuse(b, b->line, b->column, "the text is not valid YAML from here on");
    return fail(E_PARSE, "the text is not valid YAML");
}

static err_t run_parser(struct builder *b, struct str text)
{
    struct fy_diag_cfg diag;

    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    diag.colorize = false;
    b->diag = fy_diag_create(&diag);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2,
                               .diag = b->diag};
    b->parser = b->diag ? fy_parser_create(&cfg) : NULL;
    if (!b->parser || fy_parser_set_string(b->parser, text.p, text.n))
        die("out of memory: YAML parser");
    fy_diag_set_collect_errors(b->diag, true);

    struct fy_event *e;
    while ((e = fy_parser_parse(b->parser)) != NULL) {
        err_t err = take_event(b, e);
        fy_parser_event_free(b->parser, e);
        TRY(err);
    }
    return fy_parser_get_stream_error(b->parser) ? report_syntax(b) : OK;
}

/* libfyaml takes some bytes that are no text for the end of the input, so they are looked for first. */
static err_t check_bytes(struct builder *b, struct str text)
{
    unsigned line = 1, column = 1;

    if (text.n > b->limits.bytes)
        return refuse(b, 0, 0, "the text is longer than %zu bytes", b->limits.bytes);
    for (size_t i = 0; i < text.n; column++) {
        unsigned char c = (unsigned char)text.p[i];
        size_t n = utf8_valid_char(text.p + i, text.n - i);
        if (n == 0)
            return refuse(b, line, column, "this byte (0x%02x) is not UTF-8", c);
        if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
            return refuse(b, line, column, "control character 0x%02x", c);
        i += n;
        if (c == '\n') {
            line++;
            column = 0;
        }
    }
    return OK;
}

static struct yaml_limits limits_or_default(const struct yaml_limits *limits)
{
    struct yaml_limits l = limits ? *limits : defaults;

    if (!l.bytes)
        l.bytes = defaults.bytes;
    if (!l.nodes || l.nodes > UINT32_MAX / 2)
        l.nodes = defaults.nodes;
    if (!l.depth)
        l.depth = defaults.depth;
    if (l.depth > DEPTH_MAX)
        l.depth = DEPTH_MAX;
    return l;
}

err_t yaml_parse(struct str text, struct str file, const struct yaml_limits *limits, struct arena *a,
                 struct problems *problems, struct yaml_node **ret)
{
    struct str *name = arena_new(a, struct str);
    *name = arena_str(a, file);
    struct builder b CLEANUP(builder_release) = {.arena = a,
                                                 .problems = problems,
                                                 .limits = limits_or_default(limits),
                                                 .file = name,
                                                 .text = text,
                                                 .line = 1,
                                                 .column = 1};
    size_t errors = problems->errors;

    TRY(check_bytes(&b, text));
    if (text.n)
        TRY(run_parser(&b, text));
    if (problems->errors > errors)
        return fail(E_PARSE, "the YAML text is not acceptable");
    if (!b.root) {
        b.root = new_node(&b, YAML_SCALAR);
        b.root->text = STR("");
    }
    *ret = b.root;
    return OK;
}

/* ---- reading the tree ---- */

struct yaml_node *yaml_get(const struct yaml_node *n, struct str key)
{
    if (n && n->kind == YAML_MAP)
        for (size_t i = 0; i < n->count; i++)
            if (str_eq(n->pairs[i].key->text, key))
                return n->pairs[i].value;
    return NULL;
}

static bool is_one_of(struct str text, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(text, str_from_c(*words)))
            return true;
    return false;
}

bool yaml_is_null(const struct yaml_node *n)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return n->kind == YAML_SCALAR && !n->quoted && is_one_of(n->text, words);
}

bool yaml_to_bool(const struct yaml_node *n, bool *ret)
{
    static const char *const yes[] = {"true", "True", "TRUE", NULL}, *const no[] = {"false", "False", "FALSE", NULL};

    if (n->kind != YAML_SCALAR || n->quoted)
        return false;
    bool is_yes = is_one_of(n->text, yes);
    if (!is_yes && !is_one_of(n->text, no))
        return false;
    *ret = is_yes;
    return true;
}

static size_t digits(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

static bool is_prefixed(struct str s, const char *prefix, const char *allowed)
{
    if (s.n <= 2 || !str_starts(s, str_from_c(prefix)))
        return false;
    return strspn(s.p + 2, allowed) >= s.n - 2;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, 0o[0-7]+, 0x[0-9a-fA-F]+, infinities and NaN. */
static bool is_number(struct str s)
{
    static const char *const specials[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                           "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+');
    size_t whole = digits(s, at), part = 0;

    if (is_one_of(s, specials) || is_prefixed(s, "0o", "01234567") || is_prefixed(s, "0x", "0123456789abcdefABCDEF"))
        return true;
    at += whole;
    if (at < s.n && s.p[at] == '.') {
        part = digits(s, at + 1);
        at += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        at += at < s.n && (s.p[at] == '-' || s.p[at] == '+');
        size_t exponent = digits(s, at);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return at == s.n;
}

bool yaml_is_number(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !n->quoted && is_number(n->text);
}

/* ---- copying ---- */

/* The copy of a node's file; trees of one text share one, which `last` remembers. */
struct copy {
    struct arena *arena;
    const struct str *last, *last_copy;
};

static const struct str *copy_file(struct copy *c, const struct str *file)
{
    if (file && file != c->last) {
        struct str *own = arena_new(c->arena, struct str);
        *own = arena_str(c->arena, *file);
        c->last = file;
        c->last_copy = own;
    }
    return file ? c->last_copy : NULL;
}

/* As deep as the tree, which yaml_parse() limits. */
static struct yaml_node *copy_node(struct copy *c, const struct yaml_node *n)
{
    struct yaml_node *copy = arena_new(c->arena, struct yaml_node);

    *copy = *n;
    copy->file = copy_file(c, n->file);
    switch (n->kind) {
    case YAML_SCALAR:
        copy->text = arena_str(c->arena, n->text);
        break;
    case YAML_LIST:
        copy->items = arena_alloc(c->arena, (n->count + 1) * sizeof(struct yaml_node *));
        for (size_t i = 0; i < n->count; i++)
            copy->items[i] = copy_node(c, n->items[i]);
        break;
    case YAML_MAP:
        copy->pairs = arena_alloc(c->arena, (n->count + 1) * sizeof *copy->pairs);
        for (size_t i = 0; i < n->count; i++)
            copy->pairs[i] = (struct yaml_pair){copy_node(c, n->pairs[i].key), copy_node(c, n->pairs[i].value)};
        break;
    }
    return copy;
}

struct yaml_node *yaml_copy(struct arena *a, const struct yaml_node *n)
{
    struct copy c = {.arena = a};

    return copy_node(&c, n);
}
