/*
 * regex.c - regular expressions as a machine that is in many places at once (Thompson, Pike).
 *
 * The tree becomes a list of instructions. All threads of the machine read the same character at the same time, each instruction has at
 * most one thread, and threads stand in the order in which a backtracking matcher would have tried them; so time is the product of text
 * and pattern, whatever the pattern, and the match is the one that backtracking finds. Repetitions with numbers are written out.
 */
#include "base/utf8.h"
#include "codec/regex_int.h"
#include "codec/unicode.h"

/* --- compiling --- */

static err_t emit(struct arena *arena, struct regex *r, struct regex_instruction instruction)
{
    if (r->count == REGEX_CODE_MAX)
        return fail(E_TOO_LARGE, "the pattern is too complicated");
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        struct regex_instruction *larger = arena_alloc(arena, r->cap * sizeof *larger);
        if (r->count)
            memcpy(larger, r->code, r->count * sizeof *larger);
        r->code = larger;
    }
    r->code[r->count++] = instruction;
    return OK;
}

static err_t emit_set(struct arena *arena, struct regex *r, const struct regex_node *node)
{
    if (r->set_count == r->set_cap) {
        r->set_cap = r->set_cap ? 2 * r->set_cap : 4;
        struct regex_set *larger = arena_alloc(arena, r->set_cap * sizeof *larger);
        if (r->set_count)
            memcpy(larger, r->sets, r->set_count * sizeof *larger);
        r->sets = larger;
    }
    r->sets[r->set_count] = node->set;
    return emit(arena, r,
                (struct regex_instruction){.code = RE_SET, .x = r->set_count++, .ignore_case = node->ignore_case});
}

static err_t compile(struct arena *arena, struct regex *r, const struct regex_node *node);

static err_t compile_either(struct arena *arena, struct regex *r, const struct regex_node *node)
{
    uint32_t jumps = UINT32_MAX; /* chained through x */

    for (const struct regex_node *kid = node->kid; kid; kid = kid->next) {
        uint32_t split = r->count;
        if (kid->next)
            TRY(emit(arena, r, (struct regex_instruction){.code = RE_SPLIT, .x = split + 1}));
        TRY(compile(arena, r, kid));
        if (!kid->next)
            break;
        TRY(emit(arena, r, (struct regex_instruction){.code = RE_JUMP, .x = jumps}));
        jumps = r->count - 1;
        r->code[split].y = r->count;
    }
    while (jumps != UINT32_MAX) {
        uint32_t next = r->code[jumps].x;
        r->code[jumps].x = r->count;
        jumps = next;
    }
    return OK;
}

/* A split whose first way is into the repeated part (or around it, if lazy). */
static void aim(struct regex *r, uint32_t split, bool lazy, uint32_t into, uint32_t around)
{
    r->code[split].x = lazy ? around : into;
    r->code[split].y = lazy ? into : around;
}

static err_t compile_repeat(struct arena *arena, struct regex *r, const struct regex_node *node)
{
    uint32_t split, splits = UINT32_MAX;

    for (unsigned i = 0; i < node->min; i++)
        TRY(compile(arena, r, node->kid));
    if (node->max == REGEX_ENDLESS) {
        /* x* is (x+)?, so that a turn that reads nothing is still taken once, and captured. */
        split = r->count;
        TRY(emit(arena, r, (struct regex_instruction){.code = RE_SPLIT}));
        TRY(compile(arena, r, node->kid));
        TRY(emit(arena, r, (struct regex_instruction){.code = RE_SPLIT}));
        aim(r, split, node->lazy, split + 1, r->count);
        aim(r, r->count - 1, node->lazy, split + 1, r->count);
        return OK;
    }
    for (unsigned i = node->min; i < node->max; i++) {
        TRY(emit(arena, r, (struct regex_instruction){.code = RE_SPLIT, .x = splits}));
        splits = r->count - 1;
        TRY(compile(arena, r, node->kid));
    }
    while (splits != UINT32_MAX) {
        uint32_t next = r->code[splits].x;
        aim(r, splits, node->lazy, splits + 1, r->count);
        splits = next;
    }
    return OK;
}

static err_t compile(struct arena *arena, struct regex *r, const struct regex_node *node)
{
    switch (node->kind) {
    case REGEX_EMPTY:
        return OK;
    case REGEX_CHARACTER:
        return emit(
            arena, r,
            (struct regex_instruction){.code = RE_CHARACTER, .x = node->character, .ignore_case = node->ignore_case});
    case REGEX_ANY:
        return emit(arena, r, (struct regex_instruction){.code = RE_ANY, .dot_all = node->dot_all, .ecma = node->ecma});
    case REGEX_SET:
        return emit_set(arena, r, node);
    case REGEX_BEGIN:
    case REGEX_END:
    case REGEX_LAST:
    case REGEX_WORD_EDGE:
    case REGEX_NO_WORD_EDGE:
        return emit(arena, r, (struct regex_instruction){.code = RE_ASSERT, .assertion = (uint8_t)node->kind});
    case REGEX_SEQUENCE:
        for (const struct regex_node *kid = node->kid; kid; kid = kid->next)
            TRY(compile(arena, r, kid));
        return OK;
    case REGEX_EITHER:
        return compile_either(arena, r, node);
    case REGEX_REPEAT:
        return compile_repeat(arena, r, node);
    case REGEX_GROUP:
        TRY(emit(arena, r, (struct regex_instruction){.code = RE_SAVE, .x = 2 * node->group}));
        TRY(compile(arena, r, node->kid));
        return emit(arena, r, (struct regex_instruction){.code = RE_SAVE, .x = 2 * node->group + 1});
    }
    die("no such node: %d", (int)node->kind);
}

err_t regex_compile(struct arena *arena, struct str pattern, unsigned flags, const struct regex **ret_regex,
                    const char **ret_why)
{
    struct regex *r = arena_new(arena, struct regex);
    struct regex_tree tree = {0};

    *ret_why = "the pattern is too complicated";
    TRY(regex_parse(arena, pattern, flags, &tree, ret_why));
    *ret_why = "the pattern is too complicated";
    TRY(compile(arena, r, tree.root));
    TRY(emit(arena, r, (struct regex_instruction){.code = RE_MATCH}));
    r->groups = tree.groups;
    r->names = tree.names;
    r->at_begin = r->code[0].code == RE_ASSERT && r->code[0].assertion == REGEX_BEGIN;
    r->has_first = r->code[0].code == RE_CHARACTER && !r->code[0].ignore_case && r->code[0].x < 0x80;
    r->first = (char)r->code[0].x;
    *ret_regex = r;
    return OK;
}

unsigned regex_groups(const struct regex *r)
{
    return r->groups;
}

struct str regex_group_name(const struct regex *r, unsigned group)
{
    return r->names[group];
}

/* --- matching --- */

/* Threads in order of preference, and which instructions have one. */
struct threads {
    uint32_t *at;    /* instruction of each                               */
    uint32_t *place; /* by instruction: where in `at`, if it is there      */
    size_t *slots;   /* slot_count per instruction                        */
    uint32_t count;
};

/* On the way to the instructions that read: go on at `pc`, or (pc == UINT32_MAX) give a slot its value back. */
struct pending {
    uint32_t pc, slot;
    size_t value;
};

struct matcher {
    const struct regex *r;
    struct str text;
    struct threads now, next;
    struct pending *pending;
    size_t *slots; /* of the thread that is being added */
    unsigned slot_count;
    uint64_t steps;
};

size_t regex_room(const struct regex *r)
{
    size_t slots = 2 * ((size_t)r->groups + 1), n = r->count;

    return 2 * (2 * n * sizeof(uint32_t) + n * slots * sizeof(size_t)) + (2 * n + 2) * sizeof(struct pending) +
           2 * slots * sizeof(size_t) + 64;
}

static void *carve(char **room, size_t n)
{
    void *p = *room;

    *room += (n + 7) & ~(size_t)7;
    return p;
}

static void carve_threads(struct matcher *m, struct threads *t, char **room)
{
    t->slots = carve(room, m->r->count * m->slot_count * sizeof(size_t));
    t->at = carve(room, m->r->count * sizeof(uint32_t));
    t->place = carve(room, m->r->count * sizeof(uint32_t));
    t->count = 0;
    memset(t->place, 0, m->r->count * sizeof(uint32_t));
}

static bool is_word(struct str text, size_t at)
{
    char c = at < text.n ? text.p[at] : ' ', lower = ascii_lower(c);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool holds(const struct matcher *m, uint8_t assertion, size_t at)
{
    bool edge;

    switch ((enum regex_node_kind)assertion) {
    case REGEX_BEGIN:
        return at == 0;
    case REGEX_END:
        return at == m->text.n;
    case REGEX_LAST:
        return at == m->text.n || (at + 1 == m->text.n && m->text.p[at] == '\n');
    case REGEX_WORD_EDGE:
    case REGEX_NO_WORD_EDGE:
        edge = (at > 0 && is_word(m->text, at - 1)) != is_word(m->text, at);
        return edge == (assertion == REGEX_WORD_EDGE);
    case REGEX_EMPTY:
    case REGEX_CHARACTER:
    case REGEX_ANY:
    case REGEX_SET:
    case REGEX_SEQUENCE:
    case REGEX_EITHER:
    case REGEX_REPEAT:
    case REGEX_GROUP:
        break;
    }
    die("no such assertion: %d", assertion);
}

static bool has_thread(const struct threads *t, uint32_t pc)
{
    return t->place[pc] < t->count && t->at[t->place[pc]] == pc;
}

/* Add a thread at `pc` and wherever it gets without reading, in order of preference. */
static void add(struct matcher *m, struct threads *t, uint32_t pc, size_t at)
{
    size_t depth = 0;

    m->pending[depth++] = (struct pending){.pc = pc};
    while (depth) {
        struct pending p = m->pending[--depth];
        if (p.pc == UINT32_MAX) {
            m->slots[p.slot] = p.value;
            continue;
        }
        if (has_thread(t, p.pc))
            continue;
        m->steps++;
        t->place[p.pc] = t->count;
        t->at[t->count++] = p.pc;
        const struct regex_instruction *i = &m->r->code[p.pc];
        switch ((enum regex_opcode)i->code) {
        case RE_JUMP:
            m->pending[depth++] = (struct pending){.pc = i->x};
            break;
        case RE_SPLIT:
            m->pending[depth++] = (struct pending){.pc = i->y};
            m->pending[depth++] = (struct pending){.pc = i->x};
            break;
        case RE_ASSERT:
            if (holds(m, i->assertion, at))
                m->pending[depth++] = (struct pending){.pc = p.pc + 1};
            break;
        case RE_SAVE:
            if (i->x < m->slot_count) {
                m->pending[depth++] = (struct pending){UINT32_MAX, i->x, m->slots[i->x]};
                m->slots[i->x] = at;
            }
            m->pending[depth++] = (struct pending){.pc = p.pc + 1};
            break;
        case RE_CHARACTER:
        case RE_ANY:
        case RE_SET:
        case RE_MATCH:
            if (m->slot_count)
                memcpy(t->slots + (size_t)p.pc * m->slot_count, m->slots, m->slot_count * sizeof(size_t));
            break;
        }
    }
}

static uint32_t lower(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool in_ranges(const struct regex_set *set, uint32_t c)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (c >= set->ranges[i].from && c <= set->ranges[i].to)
            return true;
    return false;
}

static bool in_set(const struct regex_set *set, uint32_t c, bool ignore_case)
{
    bool found = in_ranges(set, c) || (set->categories && (set->categories >> unicode_category(c) & 1));

    if (ignore_case && !found)
        found = in_ranges(set, lower(c)) || (c >= 'a' && c <= 'z' && in_ranges(set, c - ('a' - 'A')));
    return found != set->negated;
}

/* ECMA-262, 12.3: LF, CR, and Unicode's separators of lines and paragraphs. */
static bool ends_line(const struct regex_instruction *i, uint32_t c)
{
    return c == '\n' || (i->ecma && (c == '\r' || c == 0x2028 || c == 0x2029));
}

bool regex_reads(const struct regex *r, const struct regex_instruction *i, uint32_t c)
{
    switch ((enum regex_opcode)i->code) {
    case RE_CHARACTER:
        return i->ignore_case ? lower(i->x) == lower(c) : i->x == c;
    case RE_ANY:
        return i->dot_all || !ends_line(i, c);
    case RE_SET:
        return in_set(&r->sets[i->x], c, i->ignore_case);
    case RE_ASSERT:
    case RE_SPLIT:
    case RE_JUMP:
    case RE_SAVE:
    case RE_MATCH:
        return false;
    }
    die("no such instruction: %d", i->code);
}

/* All threads read a character (or the end). True: one of them has matched, its slots are in `best`; those after it are given up. */
static bool read(struct matcher *m, size_t at, bool not_empty, size_t *best)
{
    uint32_t c = 0;
    size_t n = at < m->text.n ? utf8_get(m->text.p + at, m->text.n - at, &c) : 0;

    m->next.count = 0;
    for (uint32_t i = 0; i < m->now.count; i++) {
        uint32_t pc = m->now.at[i];
        const struct regex_instruction *in = &m->r->code[pc];
        const size_t *slots = m->now.slots + (size_t)pc * m->slot_count;
        m->steps++;
        if (in->code == RE_MATCH && !(not_empty && slots[0] == at)) {
            if (m->slot_count) {
                memcpy(best, slots, m->slot_count * sizeof *best);
                best[1] = at;
            }
            return true;
        }
        if (in->code == RE_SET)
            m->steps += m->r->sets[in->x].count / 8;
        if (n && regex_reads(m->r, in, c)) {
            if (m->slot_count)
                memcpy(m->slots, slots, m->slot_count * sizeof *slots);
            add(m, &m->next, pc + 1, at + n);
        }
    }
    return false;
}

/* Where a match can begin at the earliest, from `at` on. */
static size_t skip_ahead(const struct matcher *m, size_t at)
{
    if (!m->r->has_first || at >= m->text.n)
        return at;
    return at + str_find_char(str_slice(m->text, at, m->text.n), m->r->first);
}

static void begin_here(struct matcher *m, size_t at)
{
    for (unsigned i = 0; i < m->slot_count; i++)
        m->slots[i] = SIZE_MAX;
    if (m->slot_count)
        m->slots[0] = at;
    add(m, &m->now, 0, at);
}

bool regex_find(const struct regex *r, struct str text, size_t from, bool not_empty, void *room, size_t *ret_spans,
                uint64_t *ret_steps)
{
    struct matcher m = {.r = r, .text = text, .slot_count = ret_spans ? 2 * (r->groups + 1) : not_empty ? 2 : 0};
    char *left = room;
    bool matched = false;

    carve_threads(&m, &m.now, &left);
    carve_threads(&m, &m.next, &left);
    m.pending = carve(&left, (2 * r->count + 2) * sizeof *m.pending);
    m.slots = carve(&left, m.slot_count * sizeof(size_t));
    size_t *best = carve(&left, m.slot_count * sizeof(size_t));
    for (size_t at = from; at <= text.n;) {
        uint32_t c;
        if (!m.now.count) {
            if (matched || (r->at_begin && at > 0))
                break;
            at = skip_ahead(&m, at);
        }
        if (!matched)
            begin_here(&m, at);
        if (read(&m, at, not_empty, best)) {
            matched = true;
            if (!ret_spans)
                break;
        }
        struct threads used = m.now;
        m.now = m.next;
        m.next = used;
        at += at < text.n ? utf8_get(text.p + at, text.n - at, &c) : 1;
    }
    if (matched && ret_spans)
        memcpy(ret_spans, best, m.slot_count * sizeof *best);
    *ret_steps = m.steps + r->count / 4;
    return matched;
}
