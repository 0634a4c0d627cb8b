/*
 * solve_number.c - a number within bounds, a multiple of some, no multiple of others.
 *
 * All numbers involved are brought to one scale as integers of 128 bits; where one does not fit, only guesses are made, and no guess is a
 * proof. Multiples of several numbers are multiples of their least common one. Where bounds leave few multiples, all are tried.
 */
#include "jsonschema/inclusion_int.h"

typedef __int128 wide_t;

enum { DIVISORS = 8, SCALE_MAX = 12, FEW = 2000, TEXT = 64 };

static const wide_t wide_max = (wide_t)1 << 100;

struct number_goal {
    bool fits; /* everything could be brought to the scale    */
    int scale; /* numbers are multiples of 10^-scale          */
    bool has_low, has_high;
    wide_t low, high;         /* included                                    */
    bool low_open, high_open; /* … or not                                    */
    wide_t step;              /* numbers are multiples of it; 0: any number  */
    wide_t avoid[DIVISORS];   /* and of none of these                        */
    int avoid_count;
};

/* --- one scale --- */

static wide_t power(int exponent)
{
    wide_t value = 1;

    while (exponent-- > 0)
        value *= 10;
    return value;
}

static bool scale_divisor(const struct decimal_divisor *d, int scale, wide_t *ret)
{
    int64_t shift = d->exponent + scale;

    if (shift < 0 || shift > 18)
        return false;
    *ret = (wide_t)d->significand * power((int)shift);
    return *ret < wide_max;
}

static bool scale_decimal(const struct decimal *d, int scale, wide_t *ret)
{
    struct decimal_divisor value;

    *ret = 0;
    if (d->p == d->end)
        return true;
    if (!decimal_divisor(d, &value) || !scale_divisor(&value, scale, ret))
        return false;
    if (d->negative)
        *ret = -*ret;
    return true;
}

static int digits_behind_point(const struct decimal *d)
{
    int64_t n = d->p == d->end ? 0 : (int64_t)decimal_digits(d) - d->exponent;

    return n < 0 ? 0 : n > SCALE_MAX ? SCALE_MAX : (int)n;
}

static int larger(int x, int y)
{
    return x > y ? x : y;
}

static int scale_of(const struct state *t)
{
    int scale = 0;

    for (const struct fact *f = t->facts; f; f = f->next) {
        const struct number_rules *rules = f->part ? f->part->number : NULL;
        if (!rules)
            continue;
        for (int i = 0; i < BOUNDS; i++)
            if (rules->bounds[i].is_set)
                scale = larger(scale, digits_behind_point(&rules->bounds[i].exact));
        if (rules->has_divisor && rules->divisor.exponent < 0)
            scale = larger(scale, rules->divisor.exponent < -SCALE_MAX ? SCALE_MAX : (int)-rules->divisor.exponent);
    }
    return scale;
}

/* --- what is wanted --- */

static void bound_below(struct number_goal *g, wide_t value, bool open)
{
    if (g->has_low && (value < g->low || (value == g->low && (g->low_open || !open))))
        return;
    g->has_low = true;
    g->low = value;
    g->low_open = open;
}

static void bound_above(struct number_goal *g, wide_t value, bool open)
{
    if (g->has_high && (value > g->high || (value == g->high && (g->high_open || !open))))
        return;
    g->has_high = true;
    g->high = value;
    g->high_open = open;
}

/* A bound that holds, or one that fails. */
static void add_bound(struct number_goal *g, const struct bound *bound, enum bound_kind kind, bool holds)
{
    wide_t value;

    if (!scale_decimal(&bound->exact, g->scale, &value)) {
        g->fits = false;
        return;
    }
    switch (kind) {
    case AT_LEAST:
    case MORE_THAN:
        if (holds)
            bound_below(g, value, kind == MORE_THAN);
        else
            bound_above(g, value, kind == AT_LEAST);
        return;
    case AT_MOST:
    case LESS_THAN:
        if (holds)
            bound_above(g, value, kind == LESS_THAN);
        else
            bound_below(g, value, kind == AT_MOST);
        return;
    case BOUNDS:
        break;
    }
    die("no such bound: %d", (int)kind);
}

static wide_t greatest_common(wide_t x, wide_t y)
{
    while (y) {
        wide_t rest = x % y;
        x = y;
        y = rest;
    }
    return x;
}

static void add_step(struct number_goal *g, wide_t divisor)
{
    wide_t common = g->step ? g->step / greatest_common(g->step, divisor) : 1;

    if (divisor > wide_max / common)
        g->fits = false;
    else
        g->step = common * divisor;
}

static void avoid(struct number_goal *g, wide_t divisor)
{
    if (g->avoid_count == DIVISORS)
        g->fits = false;
    else
        g->avoid[g->avoid_count++] = divisor;
}

static void add_rules(struct number_goal *g, const struct part *part)
{
    wide_t divisor;

    if (part->whole)
        add_step(g, power(g->scale));
    if (!part->number)
        return;
    for (unsigned i = 0; i < BOUNDS; i++)
        if (part->number->bounds[i].is_set)
            add_bound(g, &part->number->bounds[i], (enum bound_kind)i, true);
    if (!part->number->has_divisor)
        return;
    if (scale_divisor(&part->number->divisor, g->scale, &divisor))
        add_step(g, divisor);
    else
        g->fits = false;
}

static void add_fact(struct number_goal *g, const struct fact *f)
{
    wide_t divisor;

    if (f->kind == RULES)
        add_rules(g, f->part);
    else if (f->kind == NOT_BOUND)
        add_bound(g, &f->part->number->bounds[f->index], (enum bound_kind)f->index, false);
    else if (f->kind == NOT_WHOLE)
        avoid(g, power(g->scale));
    else if (f->kind == NOT_MULTIPLE && scale_divisor(&f->part->number->divisor, g->scale, &divisor))
        avoid(g, divisor);
    else if (f->kind == NOT_MULTIPLE)
        g->fits = false;
}

static bool is_impossible(const struct number_goal *g)
{
    if (g->has_low && g->has_high && (g->low > g->high || (g->low == g->high && (g->low_open || g->high_open))))
        return true;
    for (int i = 0; i < g->avoid_count; i++)
        if (g->step && g->step % g->avoid[i] == 0)
            return true;
    return false;
}

/* --- guesses --- */

static struct str print(struct search *s, wide_t value, int scale)
{
    char digits[TEXT];
    size_t n = sizeof digits;
    bool negative = value < 0, behind = scale > 0;

    if (negative)
        value = -value;
    for (int i = 0; value || i <= scale; i++) {
        char digit = (char)('0' + (int)(value % 10));
        value /= 10;
        if (i < scale && digit == '0' && n == sizeof digits)
            continue; /* a zero at the end of a fraction */
        if (i == scale && behind && n < sizeof digits)
            digits[--n] = '.';
        digits[--n] = digit;
    }
    if (negative)
        digits[--n] = '-';
    return arena_str(s->arena, str_of(digits + n, sizeof digits - n));
}

static bool try_number(struct search *s, const struct state *t, wide_t value, int scale, struct found *ret)
{
    struct str text = print(s, value, scale);

    if (!search_step(s, 1) || !search_test(s, t->goal, text))
        return false;
    *ret = (struct found){FOUND, text};
    return true;
}

static wide_t multiple_from(wide_t value, wide_t step)
{
    wide_t rest = value % step;

    return rest == 0 ? value : rest > 0 ? value - rest + step : value - rest;
}

/* Multiples of the step, from the lower bound up, or from 0 away. *ret_all: those were all there are. */
static bool try_multiples(struct search *s, const struct state *t, const struct number_goal *g, bool *ret_all,
                          struct found *ret)
{
    wide_t at = g->has_low ? multiple_from(g->low, g->step) : 0, step = g->step;

    if (!g->has_low && g->has_high) {
        at = -multiple_from(-g->high, g->step);
        step = -step;
    }
    *ret_all = false;
    for (int i = 0; i < FEW; i++, at += step) {
        if ((g->has_high && at > g->high) || (g->has_low && at < g->low)) {
            *ret_all = g->has_low && g->has_high;
            return false;
        }
        if (try_number(s, t, at, g->scale, ret))
            return true;
        if (!g->has_low && !g->has_high && try_number(s, t, -at, g->scale, ret))
            return true;
    }
    return false;
}

/* Numbers near the bounds, near 0, between the bounds, at a finer scale. */
static bool try_near(struct search *s, const struct state *t, const struct number_goal *g, struct found *ret)
{
    enum { FINER = 2 };
    wide_t fine = power(FINER), low = g->low * fine, high = g->high * fine;
    wide_t bases[6];
    int count = 0;

    if (g->has_low)
        bases[count++] = low;
    if (g->has_high)
        bases[count++] = high;
    if (g->has_low && g->has_high)
        bases[count++] = low + (high - low) / 2;
    bases[count++] = 0;
    for (int i = 0; i < g->avoid_count && count < 6; i++)
        bases[count++] = g->avoid[i] * fine / 2;
    for (int i = 0; i < count; i++)
        for (int off = 0; off < 40; off++) {
            /* 0, 1, -1, a coarse step up and down, … */
            wide_t distance = (wide_t)(off / 4) * (off % 4 < 2 ? 1 : fine) * (off % 2 ? -1 : 1);
            if (try_number(s, t, bases[i] + distance, g->scale + FINER, ret))
                return true;
        }
    return false;
}

struct found solve_number(struct search *s, const struct state *t)
{
    struct number_goal g = {.fits = true, .scale = scale_of(t)};
    struct found found;
    bool all = false;

    for (const struct fact *f = t->facts; f; f = f->next)
        add_fact(&g, f);
    if (is_impossible(&g)) /* what did not fit would only have added to it */
        return (struct found){.outcome = EMPTY};
    if (g.step && try_multiples(s, t, &g, &all, &found))
        return found;
    if (all)
        return (struct found){.outcome = EMPTY};
    if (try_near(s, t, &g, &found))
        return found;
    return undecided(s, "numbers whose bounds and multiples are not simple enough");
}
