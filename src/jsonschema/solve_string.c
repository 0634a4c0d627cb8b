/*
 * solve_string.c - a string of a length, that matches some patterns and not others, and is not one of a list.
 *
 * Patterns become automata (codec/regex_bits.h), and all of them read the same characters: a walk through the states that they are in
 * together, breadth first, finds the shortest text that every one agrees to, or that there is none. Characters that no pattern tells apart
 * are tried by one of them. Texts that are to be avoided take part as automata of their own. Formats, and patterns without an automaton, are
 * left out of the walk; for them examples are tried.
 */
#include "jsonschema/inclusion_int.h"

#include "base/prng.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { PATTERNS = 16, AVOIDED = 64, CUTS = 1200, NODES = 20000, MIN_MAX = 400, TRIES = 40, LONGEST = 10000 };

struct string_goal {
    uint64_t min, max;
    const struct regex_bits *patterns[PATTERNS];
    bool matches[PATTERNS];
    uint32_t count;
    struct str avoided[AVOIDED];
    uint32_t avoided_count;
    bool is_exact; /* nothing was left out */
    const struct format *format, *not_format;
    uint32_t cuts[CUTS + 8]; /* where ranges of characters begin that are treated alike */
};

/* --- what is wanted --- */

static void add_pattern(struct string_goal *g, const struct pattern *p, bool matches)
{
    if (g->count == PATTERNS || !p->bits || regex_bits_cuts(p->bits, g->cuts, 0, CUTS) == SIZE_MAX) {
        g->is_exact = false;
        return;
    }
    g->matches[g->count] = matches;
    g->patterns[g->count++] = p->bits;
}

static void add_rules(struct string_goal *g, const struct string_rules *rules)
{
    if (!rules)
        return;
    g->min = rules->min > g->min ? rules->min : g->min;
    g->max = rules->max < g->max ? rules->max : g->max;
    if (rules->pattern)
        add_pattern(g, rules->pattern, true);
    if (rules->format) {
        g->format = rules->format;
        g->is_exact = false;
    }
    if (rules->is_json || rules->encoding != ENCODING_NONE)
        g->is_exact = false;
}

static void avoid(struct string_goal *g, struct str text)
{
    if (g->avoided_count == AVOIDED)
        g->is_exact = false;
    else
        g->avoided[g->avoided_count++] = text;
}

static void avoid_values(struct string_goal *g, const struct value_rules *values, struct arena *arena)
{
    for (uint32_t i = 0; i < values->count; i++)
        if (json_node_is(values->values[i], JSON_STRING))
            avoid(g, json_node_text(values->values[i], arena));
}

static void add_fact(struct search *s, struct string_goal *g, const struct fact *f)
{
    if (f->kind == RULES)
        add_rules(g, f->part->string);
    else if (f->kind == SHORTER)
        g->max = f->part->string->min - 1 < g->max ? f->part->string->min - 1 : g->max;
    else if (f->kind == LONGER)
        g->min = f->part->string->max + 1 > g->min ? f->part->string->max + 1 : g->min;
    else if (f->kind == MATCHES || f->kind == NOT_MATCHES)
        add_pattern(g, f->pattern, f->kind == MATCHES);
    else if (f->kind == NOT_TEXT)
        avoid(g, f->name);
    else if (f->kind == NOT_VALUES)
        avoid_values(g, f->part->values, s->arena);
    else if (f->kind == NOT_CONSTANT)
        avoid_values(g, f->part->constant, s->arena);
    else if (f->kind == NOT_FORMAT) {
        g->not_format = f->part->string->format;
        g->is_exact = false;
    }
}

/* --- characters --- */

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return a < b ? -1 : a > b;
}

/* One character for each range that is treated alike, readable ones if there are. Returns how many; 0: too many. */
static size_t alphabet(struct string_goal *g, uint32_t *chars, size_t max)
{
    uint32_t *cuts = g->cuts;
    size_t count = 0, n = 0;

    cuts[count++] = 0;
    cuts[count++] = ' ';
    cuts[count++] = 'a';
    cuts[count++] = 'z' + 1;
    cuts[count++] = 0xd800;
    cuts[count++] = 0xe000;
    for (uint32_t i = 0; i < g->count; i++) {
        count = regex_bits_cuts(g->patterns[i], cuts, count, CUTS);
        if (count == SIZE_MAX)
            return 0;
    }
    for (uint32_t i = 0; i < g->avoided_count; i++)
        for (size_t at = 0; at < g->avoided[i].n;) {
            uint32_t c;
            at += utf8_get(g->avoided[i].p + at, g->avoided[i].n - at, &c);
            if (count + 2 > CUTS)
                return 0;
            cuts[count++] = c;
            cuts[count++] = c + 1;
        }
    qsort(cuts, count, sizeof *cuts, by_number);
    /* Letters first, so that examples are readable; then what else there is. */
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < count; i++) {
            bool readable = cuts[i] >= ' ' && cuts[i] < 0x7f;
            if ((i + 1 < count && cuts[i + 1] == cuts[i]) || cuts[i] > 0x10ffff || readable != (round == 0))
                continue;
            if (n == max)
                return 0;
            chars[n++] = cuts[i];
        }
    return n;
}

/* --- the walk --- */

struct node {
    uint32_t before; /* node                                  */
    uint32_t c;      /* that led here                          */
    uint32_t level;  /* characters so far                      */
    uint64_t alive;  /* avoided texts that begin with the text */
};

struct walk {
    struct search *s;
    const struct string_goal *g;
    struct node *nodes;
    uint64_t *states; /* of each node: the words of all patterns */
    size_t words;
    uint32_t count;
    uint32_t *table; /* node + 1 */
    size_t mask;
    bool is_cut; /* there was no room for all nodes */
};

static uint64_t key_hash(const struct walk *w, const uint64_t *state, uint32_t level, uint64_t alive)
{
    uint64_t hash = prng_scatter(alive ^ (level < w->g->min ? level : w->g->min));

    for (size_t i = 0; i < w->words; i++)
        hash = prng_scatter(hash ^ state[i]);
    return hash;
}

/* Was the same situation met before? Levels count only up to the least length; the first to come is the shortest. */
static bool is_known(struct walk *w, const uint64_t *state, uint32_t level, uint64_t alive, size_t *ret_slot)
{
    uint64_t capped = level < w->g->min ? level : w->g->min;
    size_t at = (size_t)key_hash(w, state, level, alive) & w->mask;

    for (; w->table[at]; at = (at + 1) & w->mask) {
        const struct node *n = &w->nodes[w->table[at] - 1];
        uint64_t other = n->level < w->g->min ? n->level : w->g->min;
        if (n->alive == alive && other == capped &&
            memcmp(w->states + (w->table[at] - 1) * w->words, state, w->words * sizeof *state) == 0)
            return true;
    }
    *ret_slot = at;
    return false;
}

static void add_node(struct walk *w, const uint64_t *state, struct node node)
{
    size_t slot;

    if (is_known(w, state, node.level, node.alive, &slot))
        return;
    if (w->count == NODES) {
        w->is_cut = true;
        return;
    }
    if (w->words)
        memcpy(w->states + w->count * w->words, state, w->words * sizeof *state);
    w->nodes[w->count] = node;
    w->table[slot] = ++w->count;
}

/* Where the character at `level` of a text is; false: it is shorter. */
static bool char_at(struct str text, uint32_t level, uint32_t *ret_c, bool *ret_is_last)
{
    size_t at = 0;

    for (uint32_t i = 0; at < text.n; i++) {
        at += utf8_get(text.p + at, text.n - at, ret_c);
        if (i == level) {
            *ret_is_last = at >= text.n;
            return true;
        }
    }
    return false;
}

/* Which avoided texts still begin with the text once `c` is added. */
static uint64_t still_alive(const struct walk *w, const struct node *n, uint32_t c)
{
    uint64_t alive = 0;

    for (uint32_t i = 0; i < w->g->avoided_count; i++) {
        uint32_t wanted;
        bool last;
        if ((n->alive >> i & 1) && char_at(w->g->avoided[i], n->level, &wanted, &last) && wanted == c)
            alive |= UINT64_C(1) << i;
    }
    return alive;
}

static bool is_avoided(const struct walk *w, const struct node *n)
{
    for (uint32_t i = 0; i < w->g->avoided_count; i++)
        if ((n->alive >> i & 1) && (uint64_t)utf8_count(w->g->avoided[i]) == n->level)
            return true;
    return false;
}

static struct regex_state unpack(const struct walk *w, const uint64_t **state, uint32_t pattern)
{
    struct regex_state unpacked = {0};
    size_t words = regex_bits_words(w->g->patterns[pattern]);

    memcpy(unpacked.bits, *state, words * sizeof **state);
    *state += words;
    return unpacked;
}

static bool accepts(const struct walk *w, uint32_t node)
{
    const uint64_t *state = w->states + node * w->words;
    const struct node *n = &w->nodes[node];

    for (uint32_t i = 0; i < w->g->count; i++) {
        struct regex_state unpacked = unpack(w, &state, i);
        if (regex_bits_accepts(w->g->patterns[i], &unpacked) != w->g->matches[i])
            return false;
    }
    return n->level >= w->g->min && n->level <= w->g->max && !is_avoided(w, n);
}

static void step_from(struct walk *w, uint32_t node, uint32_t c)
{
    uint64_t next[PATTERNS * REGEX_BITS_WORDS];
    const uint64_t *state = w->states + node * w->words;
    size_t n = 0;

    for (uint32_t i = 0; i < w->g->count; i++) {
        const struct regex_bits *b = w->g->patterns[i];
        struct regex_state unpacked = unpack(w, &state, i), read = regex_bits_read(b, &unpacked, c);
        if (w->g->matches[i] && regex_bits_is_dead(b, &read))
            return;
        memcpy(next + n, read.bits, regex_bits_words(b) * sizeof *next);
        n += regex_bits_words(b);
    }
    add_node(
        w, next,
        (struct node){
            .before = node, .c = c, .level = w->nodes[node].level + 1, .alive = still_alive(w, &w->nodes[node], c)});
}

static struct str text_of(struct walk *w, uint32_t node)
{
    uint32_t n = w->nodes[node].level;
    uint32_t *chars = arena_alloc(w->s->arena, (n + 1) * sizeof *chars);
    char *text = arena_alloc(w->s->arena, (size_t)n * 4 + 1);
    size_t length = 0;

    for (uint32_t at = node, i = n; i-- > 0; at = w->nodes[at].before)
        chars[i] = w->nodes[at].c;
    for (uint32_t i = 0; i < n; i++)
        length += utf8_put(text + length, chars[i]);
    return str_of(text, length);
}

static bool try_text(struct search *s, const struct state *t, struct str text, struct found *ret)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);

    (void)buf_add_char(&json, '"');
    (void)buf_add_json(&json, text);
    (void)buf_add_char(&json, '"');
    if (buf_status(&json) != OK || !search_test(s, t->goal, buf_str(&json)))
        return false;
    *ret = (struct found){FOUND, arena_str(s->arena, buf_str(&json))};
    return true;
}

static void begin(struct walk *w)
{
    uint64_t first[PATTERNS * REGEX_BITS_WORDS];
    size_t n = 0;

    for (uint32_t i = 0; i < w->g->count; i++) {
        struct regex_state state = regex_bits_begin(w->g->patterns[i]);
        memcpy(first + n, state.bits, regex_bits_words(w->g->patterns[i]) * sizeof *first);
        n += regex_bits_words(w->g->patterns[i]);
    }
    uint64_t all = w->g->avoided_count == AVOIDED ? ~UINT64_C(0) : (UINT64_C(1) << w->g->avoided_count) - 1;
    add_node(w, first, (struct node){.alive = all});
}

/* FOUND, EMPTY (every situation was met), or UNDECIDED. */
static struct found walk_all(struct walk *w, const struct state *t, const uint32_t *chars, size_t char_count)
{
    struct found found;
    int tries = 0;

    begin(w);
    for (uint32_t i = 0; i < w->count; i++) {
        if (!search_step(w->s, 1 + char_count / 16))
            return undecided(w->s, "it takes too many steps");
        if (accepts(w, i)) {
            if (try_text(w->s, t, text_of(w, i), &found))
                return found;
            if (++tries == TRIES)
                break;
        }
        for (size_t c = 0; c < char_count && w->nodes[i].level < w->g->max; c++)
            step_from(w, i, chars[c]);
    }
    if (tries || w->is_cut)
        return undecided(w->s, "strings that more than patterns and lengths tell about");
    return (struct found){.outcome = EMPTY};
}

static struct found walk_patterns(struct search *s, const struct state *t, struct string_goal *g)
{
    enum { TABLE = 1 << 16, CHARS = 800 };
    struct walk w = {.s = s, .g = g, .mask = TABLE - 1};
    uint32_t *chars = arena_alloc(s->arena, CHARS * sizeof *chars);
    size_t char_count = alphabet(g, chars, CHARS);

    if (!char_count || g->min > MIN_MAX)
        return undecided(s, "patterns that are too large");
    for (uint32_t i = 0; i < g->count; i++)
        w.words += regex_bits_words(g->patterns[i]);
    struct arena own CLEANUP(arena_release);
    arena_init(&own, SIZE_MAX / 2);
    w.nodes = arena_alloc(&own, NODES * sizeof *w.nodes);
    w.states = arena_alloc(&own, (size_t)NODES * (w.words ? w.words : 1) * sizeof *w.states);
    w.table = arena_zalloc(&own, TABLE * sizeof *w.table);
    return walk_all(&w, t, chars, char_count);
}

/* Examples of the format that is wanted, and for what must not be of one. */
static bool try_examples(struct search *s, const struct state *t, const struct string_goal *g, struct found *ret)
{
    static const char *const samples[] = {"", "a", "0", "{}", "e30=", "a b", "\x01"};

    if (g->format && search_test(s, t->goal, str_from_c(g->format->example))) {
        *ret = (struct found){FOUND, str_from_c(g->format->example)};
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        if (try_text(s, t, str_from_c(samples[i]), ret))
            return true;
    return false;
}

/* Nothing but a length is wanted. */
static bool try_length(struct search *s, const struct state *t, const struct string_goal *g, struct found *ret)
{
    if (g->min > LONGEST)
        return false;
    char *text = arena_alloc(s->arena, (size_t)g->min + 1);
    memset(text, 'a', (size_t)g->min);
    return try_text(s, t, str_of(text, (size_t)g->min), ret);
}

struct found solve_string(struct search *s, const struct state *t)
{
    struct string_goal *g = arena_new(s->arena, struct string_goal);
    struct found found;

    *g = (struct string_goal){.max = UINT64_MAX, .is_exact = true};
    for (const struct fact *f = t->facts; f; f = f->next)
        add_fact(s, g, f);
    if (g->min > g->max || (g->format && g->format == g->not_format))
        return (struct found){.outcome = EMPTY};
    if (!g->count && try_length(s, t, g, &found))
        return found;
    if (!g->is_exact && try_examples(s, t, g, &found))
        return found;
    return walk_patterns(s, t, g);
}
