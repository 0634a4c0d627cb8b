/*
 * pattern.c - samples texts from regular expressions by walking them with a recursive-descent reader that emits as it reads.
 *
 * An atom with a quantifier is read once without emitting, to find its end and the quantifier behind it, then read again as
 * often as it is to be repeated. Of alternatives the first is taken; the others are read without emitting. The number of
 * steps is bounded, so nested quantifiers cannot run away, and so is the depth.
 *
 * It samples; it does not match. Only ASCII characters come out of classes and of '.'.
 */
#include "sim/pattern.h"

#include "base/prng.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 20, STEPS_MAX = 20000, OPEN_END = 1 << 20 };

struct sampler {
    struct str regex;
    size_t at;
    size_t stretch;
    unsigned depth, steps;
    bool failed;
    struct prng *prng;
    struct buf *to;
};

/* A set of ASCII characters. */
struct set {
    uint64_t bits[2];
};

static void set_add(struct set *s, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to && c < 128; c++)
        s->bits[c / 64] |= (uint64_t)1 << (c % 64);
}

static bool set_has(const struct set *s, unsigned c)
{
    return s->bits[c / 64] >> (c % 64) & 1;
}

/* Keep only printable characters; `negate`: those that are not in it. */
static void set_close(struct set *s, bool negate)
{
    struct set printable = {{0, 0}};

    set_add(&printable, ' ', '~');
    for (int i = 0; i < 2; i++)
        s->bits[i] = (negate ? ~s->bits[i] : s->bits[i]) & (negate ? printable.bits[i] : ~(uint64_t)0);
}

static void emit_from(struct sampler *s, const struct set *set, bool emit)
{
    unsigned count = (unsigned)(__builtin_popcountll(set->bits[0]) + __builtin_popcountll(set->bits[1]));

    if (count == 0) {
        s->failed = true;
        return;
    }
    if (!emit)
        return;
    unsigned pick = (unsigned)prng_below(s->prng, count);
    for (unsigned c = 0; c < 128; c++)
        if (set_has(set, c) && pick-- == 0) {
            buf_add_char(s->to, (char)c);
            return;
        }
}

static bool is_at_end(const struct sampler *s)
{
    return s->at >= s->regex.n;
}

static char peek(const struct sampler *s)
{
    return is_at_end(s) ? '\0' : s->regex.p[s->at];
}

static bool take(struct sampler *s, char c)
{
    if (is_at_end(s) || s->regex.p[s->at] != c)
        return false;
    s->at++;
    return true;
}

static bool set_add_class(struct set *s, char letter)
{
    struct set fresh = {{0, 0}};

    switch (ascii_lower(letter)) {
    case 'd':
        set_add(&fresh, '0', '9');
        break;
    case 'w':
        set_add(&fresh, '0', '9');
        set_add(&fresh, 'A', 'Z');
        set_add(&fresh, 'a', 'z');
        set_add(&fresh, '_', '_');
        break;
    case 's':
        set_add(&fresh, ' ', ' ');
        break;
    default:
        return false;
    }
    if (letter < 'a')
        set_close(&fresh, true);
    s->bits[0] |= fresh.bits[0];
    s->bits[1] |= fresh.bits[1];
    return true;
}

/* The character behind a backslash that stands for itself or for a control character; -1: not supported. */
static int escaped_char(struct sampler *s)
{
    char c = peek(s);
    uint64_t code;

    if (is_at_end(s))
        return -1;
    s->at++;
    if (c == 'n' || c == 't' || c == 'r')
        return c == 'n' ? '\n' : c == 't' ? '\t' : '\r';
    if (c == 'x' || c == 'u') {
        size_t digits = c == 'x' ? 2 : 4;
        if (!str_hex_to_u64(str_slice(s->regex, s->at, s->at + digits), 127, &code) || s->at + digits > s->regex.n)
            return -1;
        s->at += digits;
        return (int)code;
    }
    bool is_word = (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
    return is_word || (unsigned char)c >= 128 ? -1 : c;
}

/* One end of a range within [...]; -1: it was a class such as \d (now in the set), or not supported. */
static int class_char(struct sampler *s, struct set *set)
{
    if (take(s, '\\')) {
        if (set_add_class(set, peek(s))) {
            s->at++;
            return -1;
        }
        int c = escaped_char(s);
        s->failed |= c < 0;
        return c;
    }
    unsigned char c = (unsigned char)s->regex.p[s->at++];
    return c < 128 ? c : -1;
}

static void read_class(struct sampler *s, bool emit)
{
    struct set set = {{0, 0}};
    bool negate = take(s, '^');

    while (!is_at_end(s) && peek(s) != ']' && !s->failed) {
        int from = class_char(s, &set), to = from;
        if (from < 0)
            continue;
        if (peek(s) == '-' && s->at + 1 < s->regex.n && s->regex.p[s->at + 1] != ']') {
            s->at++;
            to = class_char(s, &set);
        }
        if (to >= from)
            set_add(&set, (unsigned)from, (unsigned)to);
    }
    s->failed |= !take(s, ']');
    set_close(&set, negate);
    if (!s->failed)
        emit_from(s, &set, emit);
}

static void read_escape(struct sampler *s, bool emit)
{
    struct set set = {{0, 0}};

    if (set_add_class(&set, peek(s))) {
        s->at++;
        emit_from(s, &set, emit);
        return;
    }
    int c = escaped_char(s);
    s->failed |= c < 0;
    if (emit && c >= 0)
        buf_add_char(s->to, (char)c);
}

static void read_alternatives(struct sampler *s, bool emit);

static void read_group(struct sampler *s, bool emit)
{
    if (take(s, '?')) {
        if (take(s, '<')) { /* a name; but (?<= and (?<! look behind */
            s->failed |= peek(s) == '=' || peek(s) == '!';
            while (!is_at_end(s) && peek(s) != '>')
                s->at++;
            s->failed |= !take(s, '>');
        } else {
            s->failed |= !take(s, ':');
        }
    }
    read_alternatives(s, emit);
    s->failed |= !take(s, ')');
}

static void read_atom(struct sampler *s, bool emit)
{
    static const struct set letters = {{0, (uint64_t)0x07fffffe << 32}};

    if (++s->steps > STEPS_MAX)
        s->failed = true;
    if (s->failed)
        return;
    if (take(s, '('))
        return read_group(s, emit);
    if (take(s, '['))
        return read_class(s, emit);
    if (take(s, '\\'))
        return read_escape(s, emit);
    if (take(s, '.'))
        return emit_from(s, &letters, emit);
    if (take(s, '^') || take(s, '$'))
        return;
    size_t n = utf8_valid_char(s->regex.p + s->at, s->regex.n - s->at);
    s->failed |= n == 0 || strchr("*+?{", peek(s)) != NULL;
    if (emit && !s->failed)
        buf_add(s->to, str_slice(s->regex, s->at, s->at + n));
    s->at += n;
}

static bool read_count(struct sampler *s, size_t *ret)
{
    size_t from = s->at;
    uint64_t value;

    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    if (!str_to_u64(str_slice(s->regex, from, s->at), OPEN_END, &value))
        return false;
    *ret = (size_t)value;
    return true;
}

/* The quantifier at hand, if there is one: between *min and *max repetitions. */
static void read_quantifier(struct sampler *s, size_t *min, size_t *max)
{
    *min = *max = 1;
    if (take(s, '*')) {
        *min = 0;
        *max = OPEN_END;
    } else if (take(s, '+')) {
        *max = OPEN_END;
    } else if (take(s, '?')) {
        *min = 0;
    } else if (take(s, '{')) {
        s->failed |= !read_count(s, min);
        *max = *min;
        if (take(s, ',') && !read_count(s, max))
            *max = OPEN_END;
        s->failed |= !take(s, '}') || *max < *min;
    } else {
        return;
    }
    take(s, '?'); /* lazy: the same texts */
}

static void read_repeated(struct sampler *s, bool emit)
{
    size_t start = s->at, min, max;

    read_atom(s, false);
    size_t end = s->at;
    read_quantifier(s, &min, &max);
    size_t count = s->stretch < min ? min : s->stretch > max ? max : s->stretch;
    size_t next = s->at;
    for (size_t i = 0; emit && i < count && !s->failed && !s->to->overflow; i++) {
        s->at = start;
        read_atom(s, true);
    }
    s->at = next;
    s->failed |= end > s->regex.n;
}

static void read_alternatives(struct sampler *s, bool emit)
{
    if (++s->depth > DEPTH_MAX)
        s->failed = true;
    while (!s->failed && !is_at_end(s) && peek(s) != ')') {
        if (take(s, '|')) {
            emit = false;
            continue;
        }
        read_repeated(s, emit);
    }
    s->depth--;
}

bool pattern_sample(struct str regex, size_t stretch, struct prng *prng, struct buf *to)
{
    struct sampler s = {.regex = regex, .stretch = stretch < 1 ? 1 : stretch, .prng = prng, .to = to};
    size_t before = to->n;

    read_alternatives(&s, true);
    if (!s.failed && is_at_end(&s) && !to->overflow)
        return true;
    to->n = before;
    return false;
}
