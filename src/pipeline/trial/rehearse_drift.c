/*
 * rehearse_drift.c - what a sink gets, as distributions: each place in its records by itself.
 *
 * A feature is a path (".score", ".tags[]") with something that can be counted or measured there: which value of a few, how large a number, how long a text or an array, how
 * long a vector, and whether there is anything at all. What has few values is tested as categories, everything else as numbers.
 */
#include "pipeline/trial/rehearse.h"
#include "policy/drift.h"

#include <math.h>
#include <string.h>

enum { WORDS_MAX = 24, DEPTH_MAX = 16, ELEMENTS_MAX = 200, VECTOR_LEAST = 8, WORD_BYTES_MAX = 200 };

enum measure { MEASURE_VALUE, MEASURE_LENGTH, MEASURE_NORM };
static const char *const measure_names[] = {"", " (length)", " (norm)"};

struct feature {
    struct feature *next;
    struct str path;
    enum measure measure;
    double *numbers[2];
    size_t count[2], cap[2];     /* of the numbers                 */
    struct str words[WORDS_MAX]; /* values as they are written     */
    uint64_t times[2][WORDS_MAX];
    unsigned word_count;
    bool has_many_words;
    uint64_t records[2]; /* that have it; once for each            */
    uint64_t last_record;
};

struct spread {
    struct arena *arena;
    struct arena *scratch; /* of the record that is being added */
    struct str sink;
    struct feature *first;
    size_t feature_count;
    uint64_t records[2];
    uint64_t at; /* records so far, of both */
};

struct spread *spread_new(struct arena *arena, struct str sink)
{
    struct spread *s = arena_new(arena, struct spread);

    s->arena = arena;
    s->sink = sink;
    return s;
}

static struct feature *find(struct spread *s, struct str path, enum measure measure)
{
    for (struct feature *f = s->first; f; f = f->next)
        if (f->measure == measure && str_eq(f->path, path))
            return f;
    if (s->feature_count == REHEARSAL_FEATURES_MAX)
        return NULL;
    struct feature *f = arena_new(s->arena, struct feature);
    f->path = arena_str(s->arena, path);
    f->measure = measure;
    f->next = s->first;
    s->first = f;
    s->feature_count++;
    return f;
}

static void add_number(struct spread *s, struct feature *f, bool is_now, double number)
{
    if (f->count[is_now] == f->cap[is_now]) {
        f->cap[is_now] = f->cap[is_now] ? 2 * f->cap[is_now] : 64;
        double *more = arena_alloc(s->arena, f->cap[is_now] * sizeof *more);
        if (f->count[is_now])
            memcpy(more, f->numbers[is_now], f->count[is_now] * sizeof *more);
        f->numbers[is_now] = more;
    }
    f->numbers[is_now][f->count[is_now]++] = number;
}

static void add_word(struct spread *s, struct feature *f, bool is_now, struct str word)
{
    for (unsigned i = 0; i < f->word_count; i++)
        if (str_eq(f->words[i], word)) {
            f->times[is_now][i]++;
            return;
        }
    if (f->word_count == WORDS_MAX || word.n > WORD_BYTES_MAX) {
        f->has_many_words = true;
        return;
    }
    f->words[f->word_count] = arena_str(s->arena, word);
    f->times[is_now][f->word_count++]++;
}

static void note(struct spread *s, bool is_now, struct str path, enum measure measure, double number, struct str word)
{
    struct feature *f = find(s, path, measure);

    if (!f)
        return;
    f->records[is_now] += f->last_record != s->at;
    f->last_record = s->at;
    if (!isnan(number))
        add_number(s, f, is_now, number);
    if (word.n)
        add_word(s, f, is_now, word);
}

/* An array of numbers that is long enough to be a vector: its length in space. */
static bool is_vector(struct json_node v, double *ret_norm)
{
    double sum = 0, each;

    if (json_node_count(v) < VECTOR_LEAST)
        return false;
    JSON_EACH(w, v) {
        if (!json_node_double(w.value, &each))
            return false;
        sum += each * each;
    }
    *ret_norm = sqrt(sum);
    return true;
}

static void walk(struct spread *s, bool is_now, struct json_node v, struct str path, unsigned depth);

static void walk_array(struct spread *s, bool is_now, struct json_node v, struct str path, unsigned depth)
{
    struct str inner = arena_printf(s->scratch, "%.*s[]", STR_ARG(path));
    size_t n = 0;
    double norm;

    note(s, is_now, path, MEASURE_LENGTH, (double)json_node_count(v), STR_NONE);
    if (is_vector(v, &norm)) {
        note(s, is_now, path, MEASURE_NORM, norm, STR_NONE);
        return;
    }
    JSON_EACH(w, v)
        if (n++ < ELEMENTS_MAX)
            walk(s, is_now, w.value, inner, depth + 1);
}

static void walk_object(struct spread *s, bool is_now, struct json_node v, struct str path, unsigned depth)
{
    JSON_EACH(w, v) {
        struct str key = json_node_text(w.key, s->scratch);
        walk(s, is_now, w.value, arena_printf(s->scratch, "%.*s.%.*s", STR_ARG(path), STR_ARG(key)), depth + 1);
    }
}

static void walk(struct spread *s, bool is_now, struct json_node v, struct str path, unsigned depth)
{
    double number = NAN;

    if (depth > DEPTH_MAX || s->feature_count == REHEARSAL_FEATURES_MAX)
        return;
    switch (json_node_kind(v)) {
    case JSON_OBJECT:
        walk_object(s, is_now, v, path, depth);
        break;
    case JSON_ARRAY:
        walk_array(s, is_now, v, path, depth);
        break;
    case JSON_STRING:
        note(s, is_now, path, MEASURE_LENGTH, (double)json_node_raw(v).n - 2, STR_NONE);
        note(s, is_now, path, MEASURE_VALUE, NAN, json_node_raw(v));
        break;
    case JSON_NUMBER:
        (void)json_node_double(v, &number);
        note(s, is_now, path, MEASURE_VALUE, number, json_node_raw(v));
        break;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        note(s, is_now, path, MEASURE_VALUE, NAN, json_node_raw(v));
        break;
    }
}

void spread_add(struct spread *s, bool is_now, struct json_node record)
{
    struct arena scratch CLEANUP(arena_release) = {.max = SIZE_MAX};

    s->scratch = &scratch;
    s->at++;
    s->records[is_now]++;
    walk(s, is_now, record, STR_NONE, 0);
}

/* --- the tests --- */

static bool has_categories(const struct feature *f)
{
    return !f->has_many_words && f->word_count > 1;
}

/* Of texts that are tested by their values the lengths say nothing more. */
static bool is_told_by_values(const struct spread *s, const struct feature *length)
{
    for (const struct feature *f = s->first; f; f = f->next)
        if (f != length && length->measure == MEASURE_LENGTH && f->measure == MEASURE_VALUE &&
            str_eq(f->path, length->path) && f->word_count)
            return !f->has_many_words;
    return false;
}

static bool has_numbers(const struct spread *s, const struct feature *f)
{
    return !has_categories(f) && f->count[0] && f->count[1] && !is_told_by_values(s, f);
}

static bool has_gaps(const struct spread *s, const struct feature *f)
{
    return f->records[0] < s->records[0] || f->records[1] < s->records[1];
}

size_t spread_tests(struct spread *s)
{
    size_t count = 0;

    for (const struct feature *f = s->first; f; f = f->next)
        count += has_categories(f) + has_numbers(s, f) + has_gaps(s, f);
    return count;
}

static void tell(const struct spread *s, const struct feature *f, const char *what, const char *test, struct drift d,
                 struct impacts *to)
{
    struct impact *i = impacts_add(to, IMPACT_BREAKS, arena_printf(to->arena, "sink %.*s", STR_ARG(s->sink)),
                                   "%.*s%s: %s than before (%s %.3g, p %.2g)", STR_ARG(f->path.n ? f->path : STR(".")),
                                   measure_names[f->measure], what, test, d.statistic, d.p);

    if (!i)
        return;
    struct str *hit = arena_new(to->arena, struct str);
    *hit = arena_str(to->arena, s->sink);
    i->hit = hit;
    i->hit_count = 1;
}

void spread_judge(struct spread *s, double alpha, struct impacts *to)
{
    for (struct feature *f = s->first; f; f = f->next) {
        const uint64_t there[2][2] = {{f->records[0], s->records[0] - f->records[0]},
                                      {f->records[1], s->records[1] - f->records[1]}};
        struct drift d;
        if (has_categories(f) && (d = drift_categories(f->times[0], f->times[1], f->word_count)).p < alpha)
            tell(s, f, "its values are distributed otherwise", "chi-squared", d, to);
        if (has_numbers(s, f) && (d = drift_numbers(f->numbers[0], f->count[0], f->numbers[1], f->count[1])).p < alpha)
            tell(s, f, "its numbers are distributed otherwise", "Kolmogorov-Smirnov D", d, to);
        if (has_gaps(s, f) && (d = drift_categories(there[0], there[1], 2)).p < alpha)
            tell(s, f, "it is there more or less often", "chi-squared", d, to);
    }
}
