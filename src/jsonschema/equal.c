/*
 * equal.c - equality, hashes and duplicates.
 *
 * Members of two objects are paired by looking first where the other object has got to, which makes objects written in the same order cost
 * a step per member; the steps bound what remains. Hashes are keyed, so that a peer cannot choose values that collide; those of members are
 * summed, since they have no order. Recursion is as deep as the document, at most JSON_DEPTH_MAX.
 */
#include "jsonschema/equal.h"

#include "base/map.h"
#include "base/prng.h"
#include "jsonschema/decimal.h"

void *work_room(struct work *w, size_t n)
{
    char *p = NULL;

    if (w->error)
        return NULL;
    w->error = arena_try(w->arena, n, &p);
    if (w->error)
        w->steps = 0;
    return p;
}

static bool numbers_equal(struct json_node x, struct json_node y)
{
    if (str_eq(json_node_raw(x), json_node_raw(y)))
        return true;
    struct decimal a = decimal_read(json_node_raw(x)), b = decimal_read(json_node_raw(y));
    return decimal_compare(&a, &b) == 0;
}

static bool strings_equal(struct json_node x, struct json_node y, struct work *w)
{
    return str_eq(json_node_raw(x), json_node_raw(y)) || json_node_text_is(y, json_node_text(x, w->arena));
}

static bool arrays_equal(struct json_node x, struct json_node y, struct work *w)
{
    struct json_walk other = json_walk(y);

    JSON_EACH(walk, x)
        if (!json_walk_next(&other) || !json_equal(walk.value, other.value, w))
            return false;
    return !json_walk_next(&other);
}

static bool objects_equal(struct json_node x, struct json_node y, struct work *w)
{
    struct json_walk other = json_walk(y);
    size_t n = 0;

    JSON_EACH(walk, x) {
        struct str key = json_node_text(walk.key, w->arena);
        struct json_node match;
        if (json_walk_next(&other) && json_walk_key_is(&other, key)) {
            match = other.value;
        } else {
            if (!work_take(w, json_node_raw(y).n / 8 + 1))
                return false;
            match = json_node_get(y, key);
        }
        if (json_is_absent(match) || !json_equal(walk.value, match, w))
            return false;
        n++;
    }
    return n == json_node_count(y);
}

bool json_equal(struct json_node x, struct json_node y, struct work *w)
{
    enum json_kind kind = json_node_kind(x);

    if (kind != json_node_kind(y) || !work_take(w, 1 + json_node_raw(x).n / 64))
        return false;
    switch (kind) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        return true;
    case JSON_NUMBER:
        return numbers_equal(x, y);
    case JSON_STRING:
        return strings_equal(x, y, w);
    case JSON_ARRAY:
        return arrays_equal(x, y, w);
    case JSON_OBJECT:
        return objects_equal(x, y, w);
    }
    die("no such kind of value: %d", (int)kind);
}

/* --- hashes --- */

/* Of the digits without zeros around them, and where the point is. */
static uint64_t hash_number(struct json_node v)
{
    struct decimal d = decimal_read(json_node_raw(v));
    uint64_t hash = prng_scatter(d.p == d.end ? 0 : (uint64_t)d.exponent * 2 + d.negative);

    for (const char *p = d.p; p < d.end; p++)
        if (*p != '.')
            hash = prng_scatter(hash ^ (uint64_t)*p);
    return hash;
}

static uint64_t json_hash(struct json_node v, struct work *w);

static uint64_t hash_members(struct json_node v, struct work *w)
{
    uint64_t sum = 0;

    JSON_EACH(walk, v)
        sum += prng_scatter(map_hash(json_node_text(walk.key, w->arena)) ^ prng_scatter(json_hash(walk.value, w)));
    return sum;
}

/* Equal values have equal hashes. */
static uint64_t json_hash(struct json_node v, struct work *w)
{
    enum json_kind kind = json_node_kind(v);
    uint64_t hash = (uint64_t)kind;

    if (!work_take(w, 1 + json_node_raw(v).n / 64))
        return 0;
    switch (kind) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        return prng_scatter(hash);
    case JSON_NUMBER:
        return hash_number(v);
    case JSON_STRING:
        return map_hash(json_node_text(v, w->arena));
    case JSON_ARRAY:
        JSON_EACH(walk, v)
            hash = prng_scatter(hash) ^ json_hash(walk.value, w);
        return prng_scatter(hash);
    case JSON_OBJECT:
        return prng_scatter(hash + hash_members(v, w));
    }
    die("no such kind of value: %d", (int)kind);
}

/* --- duplicates --- */

struct slot {
    uint64_t hash;
    struct json_node value;
    size_t index;
};

/* A few are compared each with each: no table is worth it. */
static bool find_among_few(struct json_node array, struct work *w, size_t *ret_first, size_t *ret_second)
{
    size_t i = 0;

    JSON_EACH(x, array) {
        struct json_walk y = x;
        size_t j = i + 1;
        for (; json_walk_next(&y); j++)
            if (json_equal(x.value, y.value, w)) {
                *ret_first = i;
                *ret_second = j;
                return true;
            }
        i++;
    }
    return false;
}

bool json_find_twins(struct json_node array, struct work *w, size_t *ret_first, size_t *ret_second)
{
    enum { FEW = 8 };
    size_t count = json_node_count(array), size = 16, index = 0;

    if (count <= FEW)
        return find_among_few(array, w, ret_first, ret_second);
    while (size < 2 * count)
        size *= 2;
    struct slot *slots = work_room(w, size * sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0, size * sizeof *slots);
    JSON_EACH(walk, array) {
        uint64_t hash = json_hash(walk.value, w);
        size_t at = (size_t)hash & (size - 1);
        for (; !json_is_absent(slots[at].value); at = (at + 1) & (size - 1))
            if (!work_take(w, 1) || (slots[at].hash == hash && json_equal(slots[at].value, walk.value, w))) {
                *ret_first = slots[at].index;
                *ret_second = index;
                return true;
            }
        slots[at] = (struct slot){hash, walk.value, index++};
    }
    return false;
}
