/*
 * inclusion.c - the search for a document that fits one schema and not the other: what drives it, remembers results, and asks the validator.
 *
 * A search that comes to a goal which it is already looking for, further out, assumes that there is nothing to be found: the smallest
 * document of a goal has no smaller one of the same goal within. Where that assumption was used, "empty" is remembered only for the
 * goal that it was about, since for those in between it may depend on where the search came from.
 */
#include "jsonschema/inclusion_int.h"

#include "base/prng.h"

#include <stdlib.h>

enum { MEMOS = 4096, SCRATCH_MAX = 16 << 20, NOBODY = UINT32_MAX, RUNNING_MAX = 80, READS_DEPTH = 32 };

struct memo {
    struct memo *next; /* in the table */
    struct atoms goal;
    uint64_t hash;
    struct found found;
    bool is_done;
    unsigned place; /* among the running */
};

struct found undecided(struct search *s, const char *why)
{
    if (!s->unknown)
        s->unknown = why;
    return (struct found){.outcome = UNDECIDED};
}

bool search_step(struct search *s, uint64_t steps)
{
    s->steps = s->steps > steps ? s->steps - steps : 0;
    return s->steps > 0;
}

part_t search_target(const struct search *s, enum side side, part_t part)
{
    const struct jsonschema *schema = s->schemas[side];

    while (!schema->dynamic_count && schema->parts[part].alias)
        part = schema->parts[part].alias;
    return part;
}

/* --- goals --- */

static int atom_order(const void *x, const void *y)
{
    const struct atom *a = x, *b = y;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->side != b->side)
        return a->side < b->side ? -1 : 1;
    if (a->part != b->part)
        return a->part < b->part ? -1 : 1;
    return a->reads < b->reads ? -1 : a->reads > b->reads;
}

bool atoms_make(struct search *s, struct atom *list, uint32_t count, struct atoms *ret)
{
    enum { ATOMS_MAX = 56 };
    struct atom *kept = arena_alloc(s->arena, (count + 1) * sizeof *kept);
    uint32_t n = 0;

    if (count >= ATOMS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].kind != HAS)
            list[i].part = search_target(s, list[i].side, list[i].part);
    qsort(list, count, sizeof *list, atom_order);
    for (uint32_t i = 0; i < count; i++)
        if (!n || atom_order(&kept[n - 1], &list[i]) != 0)
            kept[n++] = list[i];
    *ret = (struct atoms){kept, n};
    return true;
}

static uint64_t goal_hash(struct atoms goal)
{
    uint64_t hash = goal.count;

    for (uint32_t i = 0; i < goal.count; i++) {
        hash = prng_scatter(hash ^ (uint64_t)goal.list[i].kind << 40 ^ (uint64_t)goal.list[i].side << 32 ^
                            goal.list[i].part);
        hash = prng_scatter(hash ^ (uintptr_t)goal.list[i].reads);
    }
    return hash;
}

static struct memo *memo_find(const struct search *s, struct atoms goal, uint64_t hash)
{
    for (struct memo *m = s->memos[hash % MEMOS]; m; m = m->next) {
        bool same = m->hash == hash && m->goal.count == goal.count;
        for (uint32_t i = 0; same && i < goal.count; i++)
            same = atom_order(&m->goal.list[i], &goal.list[i]) == 0;
        if (same)
            return m;
    }
    return NULL;
}

static void memo_forget(struct search *s, const struct memo *m)
{
    struct memo **at = &s->memos[m->hash % MEMOS];

    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
}

/* --- asking the validator --- */

/* Does the path lead somewhere in the value? */
static bool has_path(struct json_node v, const struct reads *r)
{
    if (!r)
        return true;
    const struct reads *below = r->is_leaf ? NULL : r->kids;
    JSON_EACH(w, v)
        if ((r->is_element ? !w.object : w.object && json_walk_key_is(&w, r->name)) && has_path(w.value, below))
            return true;
    return false;
}

static bool atom_test(struct search *s, const struct atom *atom, struct json_node v, struct arena *scratch)
{
    bool valid;

    if (atom->kind == HAS)
        return has_path(v, atom->reads);
    return part_explain(s->schemas[atom->side], atom->part, v, scratch, NULL, &valid) == OK &&
           valid == (atom->kind == HOLDS);
}

bool search_test(struct search *s, struct atoms goal, struct str text)
{
    struct arena scratch CLEANUP(arena_release);
    const struct json_tree *tree;
    bool ok;

    arena_init(&scratch, SCRATCH_MAX);
    ok = json_tree_parse(&scratch, text, &tree) == OK;
    for (uint32_t i = 0; ok && i < goal.count; i++)
        ok = atom_test(s, &goal.list[i], json_tree_root(tree), &scratch);
    return ok;
}

/* --- the search --- */

/* Small values first: what is found first is told. */
static struct found search_kinds(struct search *s, struct atoms goal)
{
    static const enum json_kind kinds[] = {JSON_NULL,   JSON_FALSE, JSON_TRUE,  JSON_NUMBER,
                                           JSON_STRING, JSON_ARRAY, JSON_OBJECT};
    struct found best = {.outcome = EMPTY};

    for (size_t i = 0; i < ARRAY_LEN(kinds) && best.outcome != FOUND; i++) {
        struct found found = expand(s, kinds[i], goal, NULL);
        if (found.outcome != EMPTY)
            best = found;
    }
    return best;
}

struct found search(struct search *s, struct atoms goal)
{
    uint64_t hash = goal_hash(goal);
    struct memo *m = memo_find(s, goal, hash);
    unsigned outer = s->relied_on;

    if (!search_step(s, 1))
        return undecided(s, "it takes too many steps");
    if (m && !m->is_done) {
        s->relied_on = m->place < outer ? m->place : outer;
        return (struct found){.outcome = EMPTY};
    }
    if (m)
        return m->found;
    if (s->running_count == RUNNING_MAX)
        return undecided(s, "the schemas are nested too deep");
    m = arena_new(s->arena, struct memo);
    *m = (struct memo){.next = s->memos[hash % MEMOS], .goal = goal, .hash = hash, .place = s->running_count++};
    s->memos[hash % MEMOS] = m;
    s->relied_on = NOBODY;
    m->found = search_kinds(s, goal);
    m->is_done = true;
    s->running_count--;
    if (m->found.outcome != FOUND && s->relied_on < m->place)
        memo_forget(s, m);
    /* What was assumed of this goal itself has come true. */
    unsigned relied_on = s->relied_on >= m->place ? NOBODY : s->relied_on;
    s->relied_on = relied_on < outer ? relied_on : outer;
    return m->found;
}

/* --- from outside --- */

static void tell(struct search *s, struct found found, struct inclusion_result *ret)
{
    if (found.outcome == EMPTY) {
        *ret = (struct inclusion_result){.verdict = INCLUSION_PROVEN};
    } else if (found.outcome == FOUND) {
        *ret = (struct inclusion_result){.verdict = INCLUSION_REFUTED, .document = found.text};
    } else {
        *ret = (struct inclusion_result){.verdict = INCLUSION_UNKNOWN,
                                         .why = str_from_c(s->unknown ? s->unknown : "it takes too many steps")};
    }
}

/* What the consumer says of the document. */
static err_t explain(struct search *s, part_t consumer, struct inclusion_result *r)
{
    struct jsonschema_problem problem;
    struct jsonschema_report report = {.problems = &problem, .max = 1};
    const struct json_tree *tree;
    bool valid;

    TRY(json_tree_parse(s->arena, r->document, &tree));
    TRY(part_explain(s->schemas[CONSUMER], consumer, json_tree_root(tree), s->arena, &report, &valid));
    if (!valid && report.count) {
        r->why = problem.text;
        r->path = problem.instance;
    }
    return OK;
}

static struct found search_root(struct search *s, struct atom *list, uint32_t count)
{
    struct atoms goal;

    return atoms_make(s, list, count, &goal) ? search(s, goal) : undecided(s, "too much is asked at once");
}

/* Does the producer ever write what is read? Each path is asked for by itself, with all steps up to its end. */
struct trail {
    const struct reads *steps[READS_DEPTH];
    unsigned count;
};

static void print_trail(struct buf *b, const struct trail *trail)
{
    for (unsigned i = 0; i < trail->count; i++) {
        if (trail->steps[i]->is_element)
            (void)buf_add_lit(b, "[]");
        else
            (void)buf_addf(b, ".%.*s", STR_ARG(trail->steps[i]->name));
    }
}

static struct found find_written(struct search *s, const struct trail *trail)
{
    struct reads *path = NULL;

    for (unsigned i = trail->count; i-- > 0;) {
        struct reads *step = arena_new(s->arena, struct reads);
        *step = (struct reads){.kids = path,
                               .name = trail->steps[i]->name,
                               .is_element = trail->steps[i]->is_element,
                               .is_leaf = i + 1 == trail->count};
        path = step;
    }
    struct atom list[] = {{HOLDS, PRODUCER, s->schemas[PRODUCER]->root, NULL}, {HAS, PRODUCER, 0, path}};
    return search_root(s, list, ARRAY_LEN(list));
}

/* The first path that no document of the producer has is left in `trail`; false: there is none. */
static bool find_unwritten(struct search *s, const struct reads *kids, struct trail *trail)
{
    if (trail->count == READS_DEPTH)
        return false;
    for (const struct reads *r = kids; r; r = r->next) {
        trail->steps[trail->count++] = r;
        if (find_written(s, trail).outcome == EMPTY || (!r->is_leaf && find_unwritten(s, r->kids, trail)))
            return true;
        trail->count--;
    }
    return false;
}

static void check_written(struct search *s, const struct reads *reads, struct inclusion_result *ret)
{
    struct atom any = {HOLDS, PRODUCER, s->schemas[PRODUCER]->root, NULL};
    struct trail trail = {.count = 0};
    struct buf path CLEANUP(buf_release) = BUF_INIT(4096);

    if (!find_unwritten(s, reads->kids, &trail))
        return;
    struct found document = search_root(s, &any, 1);
    if (document.outcome != FOUND) /* there are no documents at all: nothing is wrong with any */
        return;
    print_trail(&path, &trail);
    *ret = (struct inclusion_result){.verdict = INCLUSION_REFUTED,
                                     .document = document.text,
                                     .path = arena_str(s->arena, buf_str(&path)),
                                     .why = STR("is read, and the producer never writes it")};
}

static bool is_same_text(const struct jsonschema *x, const struct jsonschema *y)
{
    struct json_node p = json_tree_root(x->parts[x->root].at.tree), q = json_tree_root(y->parts[y->root].at.tree);

    return str_eq(json_node_raw(p), json_node_raw(q));
}

/* Parts that are not the roots; `reads` says what of the consumer counts, NULL is all. */
static err_t compare_parts(struct search *s, part_t producer, part_t consumer, const struct reads *reads,
                           struct inclusion_result *ret)
{
    struct atom list[] = {{HOLDS, PRODUCER, producer, NULL}, {FAILS, CONSUMER, consumer, reads}};
    struct found found = search_root(s, list, ARRAY_LEN(list));

    /* Where a "$dynamicRef" leads depends on the way to it, which a search from within does not know. */
    if (found.outcome == EMPTY && !s->same_documents &&
        (s->schemas[PRODUCER]->dynamic_count || s->schemas[CONSUMER]->dynamic_count))
        found = undecided(s, "dynamic references");
    tell(s, found, ret);
    return ret->verdict == INCLUSION_REFUTED ? explain(s, consumer, ret) : OK;
}

static struct search search_begin(const struct jsonschema *producer, const struct jsonschema *consumer,
                                  const struct inclusion_options *options, struct arena *arena)
{
    return (struct search){.arena = arena,
                           .schemas = {producer, consumer},
                           .reading = options->reading,
                           .same_documents = is_same_text(producer, consumer),
                           .steps = options->steps ? options->steps : INCLUSION_STEPS,
                           .memos = arena_zalloc(arena, MEMOS * sizeof(struct memo *)),
                           .relied_on = NOBODY};
}

err_t inclusion_of_parts(const struct jsonschema *producer, part_t of_producer, const struct jsonschema *consumer,
                         part_t of_consumer, const struct inclusion_options *options, struct arena *arena,
                         struct inclusion_result *ret_result)
{
    struct search s = search_begin(producer, consumer, options, arena);

    return compare_parts(&s, of_producer, of_consumer, NULL, ret_result);
}

err_t inclusion_check(const struct jsonschema *producer, const struct jsonschema *consumer,
                      const struct inclusion_options *options, struct arena *arena, struct inclusion_result *ret_result)
{
    struct search s = search_begin(producer, consumer, options, arena);
    struct reads *reads = NULL;

    *ret_result = (struct inclusion_result){.verdict = INCLUSION_PROVEN};
    if (options->reading == INCLUSION_USAGE) {
        TRY(reads_parse(arena, options->reads, options->read_count, &reads));
        if (!reads->kids && !reads->is_leaf)
            return OK; /* nothing is read */
        check_written(&s, reads, ret_result);
        if (ret_result->verdict != INCLUSION_PROVEN)
            return OK;
        reads = reads->is_leaf ? NULL : reads;
    }
    return compare_parts(&s, producer->root, consumer->root, reads, ret_result);
}
