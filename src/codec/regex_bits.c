/*
 * regex_bits.c - the instructions of regex.c as sets of bits.
 *
 * A state is the set of instructions that may read the next character (and RE_MATCH once it was reached, which stays, and assertions of
 * the end, which wait for it). What follows an instruction without reading is computed once, as is which instructions read each ASCII
 * character; so a step is a few operations on words for each instruction at work. There are no captures here: only whether there is a match.
 */
#include "codec/regex_bits.h"

#include "base/utf8.h"
#include "codec/regex_int.h"

enum { WORDS = REGEX_BITS_WORDS, ASCII = 128 };

struct regex_bits {
    const struct regex *r;
    size_t words;
    bool searches;             /* a match may begin anywhere                                       */
    struct regex_state first;  /* at the beginning of the text                                     */
    struct regex_state again;  /* at any other place, if it searches                               */
    struct regex_state match;  /* the bit of RE_MATCH                                              */
    struct regex_state at_end; /* instructions from which a match is reached where the text ends    */
    struct regex_state *after; /* by instruction: what is at work once it has read                  */
    uint64_t *ascii;           /* by character and word: which instructions read it                 */
};

static void put_bit(struct regex_state *s, size_t at)
{
    s->bits[at / 64] |= UINT64_C(1) << at % 64;
}

static bool has_bit(const struct regex_state *s, size_t at)
{
    return s->bits[at / 64] >> at % 64 & 1;
}

static bool meet(const struct regex_bits *b, const struct regex_state *x, const struct regex_state *y)
{
    for (size_t i = 0; i < b->words; i++)
        if (x->bits[i] & y->bits[i])
            return true;
    return false;
}

static void add_all(const struct regex_bits *b, struct regex_state *to, const struct regex_state *from)
{
    for (size_t i = 0; i < b->words; i++)
        to->bits[i] |= from->bits[i];
}

/* --- making it --- */

/* What is reached from `pc` without reading, at the beginning of the text or at its end or neither. `pending` has room for all. */
static struct regex_state closure(const struct regex *r, uint32_t pc, bool at_begin, bool at_end, uint32_t *pending)
{
    struct regex_state found = {0}, seen = {0};
    size_t depth = 0;

    pending[depth++] = pc;
    while (depth) {
        uint32_t at = pending[--depth];
        const struct regex_instruction *i = &r->code[at];
        if (has_bit(&seen, at))
            continue;
        put_bit(&seen, at);
        switch ((enum regex_opcode)i->code) {
        case RE_JUMP:
            pending[depth++] = i->x;
            break;
        case RE_SPLIT:
            pending[depth++] = i->y;
            pending[depth++] = i->x;
            break;
        case RE_SAVE:
            pending[depth++] = at + 1;
            break;
        case RE_ASSERT:
            if (i->assertion == REGEX_BEGIN ? at_begin : at_end)
                pending[depth++] = at + 1;
            else if (i->assertion == REGEX_END)
                put_bit(&found, at);
            break;
        case RE_CHARACTER:
        case RE_ANY:
        case RE_SET:
        case RE_MATCH:
            put_bit(&found, at);
            break;
        }
    }
    return found;
}

/* Only the ends of the text can be waited for, and behind its end only the end: at_end is computed without its beginning. */
static bool is_fit(const struct regex *r)
{
    bool has_begin = false, has_end = false;

    for (uint32_t i = 0; i < r->count; i++) {
        if (r->code[i].code != RE_ASSERT)
            continue;
        if (r->code[i].assertion != REGEX_BEGIN && r->code[i].assertion != REGEX_END)
            return false;
        has_begin |= r->code[i].assertion == REGEX_BEGIN && has_end;
        has_end |= r->code[i].assertion == REGEX_END;
    }
    return r->count <= WORDS * 64 && !has_begin;
}

static void fill(struct regex_bits *b, uint32_t *pending)
{
    const struct regex *r = b->r;

    b->first = closure(r, 0, true, false, pending);
    if (b->searches)
        b->again = closure(r, 0, false, false, pending);
    for (uint32_t i = 0; i < r->count; i++) {
        enum regex_opcode code = (enum regex_opcode)r->code[i].code;
        if (code == RE_MATCH)
            put_bit(&b->match, i);
        if (code == RE_ASSERT) {
            struct regex_state end = closure(r, i, false, true, pending);
            if (r->code[i].assertion == REGEX_END && has_bit(&end, r->count - 1))
                put_bit(&b->at_end, i);
        }
        if (code != RE_CHARACTER && code != RE_ANY && code != RE_SET)
            continue;
        b->after[i] = closure(r, i + 1, false, false, pending);
        for (uint32_t c = 0; c < ASCII; c++)
            if (regex_reads(r, &r->code[i], c))
                b->ascii[c * b->words + i / 64] |= UINT64_C(1) << i % 64;
    }
    add_all(b, &b->at_end, &b->match);
}

const struct regex_bits *regex_bits_make(struct arena *arena, const struct regex *r)
{
    if (!is_fit(r))
        return NULL;
    struct regex_bits *b = arena_new(arena, struct regex_bits);
    b->r = r;
    b->words = (r->count + 63) / 64;
    b->searches = !r->at_begin;
    b->after = arena_zalloc(arena, r->count * sizeof *b->after);
    b->ascii = arena_zalloc(arena, ASCII * b->words * sizeof *b->ascii);
    fill(b, arena_alloc(arena, (2 * (size_t)r->count + 2) * sizeof(uint32_t)));
    return b;
}

/* --- a character at a time --- */

size_t regex_bits_words(const struct regex_bits *b)
{
    return b->words;
}

struct regex_state regex_bits_begin(const struct regex_bits *b)
{
    return b->first;
}

struct regex_state regex_bits_read(const struct regex_bits *b, const struct regex_state *state, uint32_t c)
{
    struct regex_state next = b->again;

    for (size_t w = 0; w < b->words; w++) {
        uint64_t left = state->bits[w];
        next.bits[w] |= left & b->match.bits[w];
        if (c < ASCII)
            left &= b->ascii[c * b->words + w];
        for (; left; left &= left - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(left);
            if (c < ASCII || regex_reads(b->r, &b->r->code[at], c))
                add_all(b, &next, &b->after[at]);
        }
    }
    return next;
}

bool regex_bits_accepts(const struct regex_bits *b, const struct regex_state *state)
{
    return meet(b, state, &b->at_end);
}

bool regex_bits_is_dead(const struct regex_bits *b, const struct regex_state *state)
{
    if (b->searches)
        return false;
    for (size_t i = 0; i < b->words; i++)
        if (state->bits[i])
            return false;
    return true;
}

static size_t add_cuts(const struct regex_set *set, uint32_t *cuts, size_t count, size_t max)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (count + 2 > max)
            return SIZE_MAX;
        cuts[count++] = set->ranges[i].from;
        cuts[count++] = set->ranges[i].to + 1;
    }
    return set->categories ? SIZE_MAX : count;
}

/* Where letters of both cases mean the same, every letter is a range of its own. */
static size_t add_letters(uint32_t *cuts, size_t count, size_t max)
{
    for (uint32_t c = 'A'; c <= 'z' + 1; c++) {
        if (count == max)
            return SIZE_MAX;
        cuts[count++] = c;
    }
    return count;
}

size_t regex_bits_cuts(const struct regex_bits *b, uint32_t *cuts, size_t count, size_t max)
{
    static const uint32_t line_ends[] = {'\n', '\n' + 1, '\r', '\r' + 1, 0x2028, 0x202a};

    for (uint32_t i = 0; i < b->r->count && count != SIZE_MAX; i++) {
        const struct regex_instruction *in = &b->r->code[i];
        if (count + ARRAY_LEN(line_ends) > max)
            return SIZE_MAX;
        if (in->ignore_case)
            count = add_letters(cuts, count, max - ARRAY_LEN(line_ends));
        if (in->code == RE_CHARACTER && count != SIZE_MAX) {
            cuts[count++] = in->x;
            cuts[count++] = in->x + 1;
        } else if (in->code == RE_ANY && count != SIZE_MAX) {
            memcpy(cuts + count, line_ends, sizeof line_ends);
            count += ARRAY_LEN(line_ends);
        } else if (in->code == RE_SET && count != SIZE_MAX) {
            count = add_cuts(&b->r->sets[in->x], cuts, count, max);
        }
    }
    return count;
}

/* --- a whole text --- */

/* With up to 64 instructions a state is one word. */
static bool test_word(const struct regex_bits *b, struct str text)
{
    uint64_t state = b->first.bits[0], again = b->again.bits[0], match = b->match.bits[0];

    for (size_t at = 0; at < text.n && !(state & match) && (state || again);) {
        uint32_t c = (unsigned char)text.p[at];
        uint64_t next = again, left = state;
        size_t n = 1;
        if (c < ASCII)
            left &= b->ascii[c];
        else
            n = utf8_get(text.p + at, text.n - at, &c);
        for (; left; left &= left - 1) {
            size_t i = (size_t)__builtin_ctzll(left);
            if (c < ASCII || regex_reads(b->r, &b->r->code[i], c))
                next |= b->after[i].bits[0];
        }
        state = next;
        at += n;
    }
    return state & b->at_end.bits[0];
}

bool regex_bits_test(const struct regex_bits *b, struct str text)
{
    if (b->words == 1)
        return test_word(b, text);
    struct regex_state state = b->first;
    for (size_t at = 0; at < text.n && !meet(b, &state, &b->match) && !regex_bits_is_dead(b, &state);) {
        uint32_t c;
        at += utf8_get(text.p + at, text.n - at, &c);
        state = regex_bits_read(b, &state, c);
    }
    return regex_bits_accepts(b, &state);
}
