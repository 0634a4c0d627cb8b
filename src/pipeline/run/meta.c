/*
 * meta.c - $meta: what programs can read of a record beside its value.
 *
 * An object that is not there until somebody looks: each member is worked out when it is read, from the record and its root.
 */
#include "pipeline/run/shard_int.h"

#include "codec/digest.h"

enum member { ATTEMPT, HEADERS, ID, KEY, PARTITION, POSITION, ROOT, SOURCE, TIMESTAMP, MEMBERS };
static const char *const names[MEMBERS] = {[ATTEMPT] = "attempt", [HEADERS] = "headers",     [ID] = "id",
                                           [KEY] = "key",         [PARTITION] = "partition", [POSITION] = "position",
                                           [ROOT] = "root",       [SOURCE] = "source",       [TIMESTAMP] = "timestamp"};

static const struct record *record_of(const struct expr_host *host)
{
    return CONTAINER_OF(host, struct record, meta);
}

/* --- headers --- */

static const struct root *root_of_headers(const struct expr_host *host)
{
    return CONTAINER_OF(host, struct root, headers_host);
}

static size_t header_count(const struct expr_host *host)
{
    struct str rest = root_of_headers(host)->headers;
    struct message_header h;
    size_t n = 0;

    while (header_next(&rest, &h))
        n++;
    return n;
}

static struct expr_value value_of(const struct message_header *h)
{
    return h->value.p ? expr_string(h->value) : expr_null();
}

static void header_at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    struct str rest = root_of_headers(host)->headers;
    struct message_header h;

    while (header_next(&rest, &h))
        if (index-- == 0) {
            *ret_key = h.name;
            *ret_value = value_of(&h);
        }
}

/* Of several of a name the last one counts, as in an object of JSON. */
static bool header_find(const struct expr_host *host, struct str key, struct expr_value *ret_value)
{
    struct str rest = root_of_headers(host)->headers;
    struct message_header h;
    bool is_there = false;

    while (header_next(&rest, &h))
        if (str_eq(h.name, key)) {
            *ret_value = value_of(&h);
            is_there = true;
        }
    return is_there;
}

static const struct expr_host_class headers_class = {.count = header_count, .at = header_at, .find = header_find};

/* --- the rest --- */

static size_t count(const struct expr_host *host)
{
    (void)host;
    return MEMBERS;
}

/* In memory of its own: the evaluation has the root's. */
static struct expr_value id_value(struct root *r, const struct journal_id *id)
{
    enum { DIGITS = 2 * sizeof id->b };
    char *hex = arena_alloc(&r->side, DIGITS);

    hex_encode(hex, id->b, sizeof id->b);
    return expr_string(str_of(hex, DIGITS));
}

static struct expr_value member(const struct record *rec, enum member which)
{
    struct root *r = rec->root;

    switch (which) {
    case ATTEMPT:
        return expr_number(r->starts);
    case HEADERS:
        return expr_object(&r->headers_host);
    case ID:
        return id_value(r, &rec->id);
    case KEY:
        return r->key.p ? expr_string(r->key) : expr_null();
    case PARTITION:
        return expr_number(r->partition->number);
    case POSITION:
        return expr_number((double)r->position);
    case ROOT:
        return id_value(r, &r->id);
    case SOURCE:
        return expr_string(r->shard->spec->nodes[r->source]->name);
    case TIMESTAMP:
        return expr_number((double)r->at / NS_SEC);
    case MEMBERS:
        break;
    }
    return expr_null();
}

static void at(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value)
{
    *ret_key = str_from_c(names[index]);
    *ret_value = member(record_of(host), (enum member)index);
}

static bool find(const struct expr_host *host, struct str key, struct expr_value *ret_value)
{
    for (enum member m = ATTEMPT; m < MEMBERS; m++)
        if (str_eq(key, str_from_c(names[m]))) {
            *ret_value = member(record_of(host), m);
            return true;
        }
    return false;
}

static const struct expr_host_class meta_class = {.count = count, .at = at, .find = find};

struct expr_value record_meta(struct record *rec)
{
    rec->meta.class = &meta_class;
    rec->root->headers_host.class = &headers_class;
    return expr_object(&rec->meta);
}
