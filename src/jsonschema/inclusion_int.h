/*
 * inclusion_int.h - between the files that compare schemas.
 *
 * Inclusion is a search for one document: one for which the producer's schema holds and the consumer's fails. The document is looked for
 * kind by kind. An atom ("this part holds", "this part fails") is replaced by what it says of values of the kind, alternatives being tried
 * one after the other (expand.c), until only facts are left; those are solved for the kind (solve_*.c), which may need values for members and
 * elements, that is, searches of the same sort. No document anywhere is the proof.
 *
 * Two rules keep it honest. What a fact cannot say is left out, which makes the set of documents larger, never smaller: if even that is empty,
 * so is the real one. And a document that was made is shown to the validator before it counts. So "empty" and "found" are right, and what is
 * neither is unknown.
 */
#ifndef JSONSCHEMA_INCLUSION_INT_H
#define JSONSCHEMA_INCLUSION_INT_H

#include "jsonschema/inclusion.h"
#include "jsonschema/jsonschema_int.h"

enum side { PRODUCER, CONSUMER, SIDES };

/* Paths that are read, as a tree. */
struct reads {
    struct reads *next, *kids;
    struct str name; /* of a member             */
    bool is_element; /* any element of an array */
    bool is_leaf;    /* all of it is read       */
};

/* E_PARSE, E_TOO_LARGE. */
err_t reads_parse(struct arena *arena, const struct str *paths, size_t count, struct reads **ret_root) MUST_CHECK;
enum atom_kind {
    HOLDS, /* the part holds for the value               */
    FAILS, /* it does not, in what is read                */
    HAS,   /* the value has what the path leads to         */
};

struct atom {
    enum atom_kind kind;
    enum side side;
    part_t part;
    const struct reads *reads; /* FAILS: NULL is all; HAS: what is below */
};

/* Several atoms for one value, sorted, each once. */
struct atoms {
    const struct atom *list;
    uint32_t count;
};

enum fact_kind {
    RULES,        /* the rules of `part` for this kind hold             */
    NOT_VALUES,   /* none of part->values                                */
    NOT_CONSTANT, /* not part->constant                                  */
    NOT_WHOLE,    /* a number with a fraction                            */
    NOT_BOUND,    /* beyond part->number->bounds[index]                  */
    NOT_MULTIPLE,
    SHORTER, /* fewer characters than part->string->min             */
    LONGER,
    MATCHES,     /* `pattern`                                           */
    NOT_MATCHES, /* `pattern`                                           */
    NOT_FORMAT,
    NOT_TEXT,    /* the string is not `name`                            */
    FEWER_ITEMS, /* than part->array->min                               */
    MORE_ITEMS,
    NOT_UNIQUE,
    NOT_CONTAINED, /* too few elements fit part->array->contains          */
    ELEMENT,       /* an element at `index` or later has the atom           */
    MEMBER,        /* a member `name` is there; if has_atom, with it       */
    ABSENT,        /* a member `name` is not there                         */
    SOME_MATCHING, /* a member that matches `pattern`, with the atom       */
    SOME_EXTRA,    /* a member that part->object does not speak of, with it */
    SOME_NAME,     /* a member whose name fails part->object->names        */
    FEWER_MEMBERS,
    MORE_MEMBERS,
};

struct fact {
    const struct fact *next;
    enum fact_kind kind;
    enum side side;
    const struct part *part;
    const struct pattern *pattern;
    struct str name;
    uint32_t index;
    bool has_atom;
    struct atom atom;
};

/* Lists that only grow at the front, so that alternatives share what they have in common. */
struct atom_list {
    const struct atom_list *next;
    struct atom atom;
};

struct option {
    const struct option *next;
    const struct atom_list *atoms;
    const struct fact *facts;
};

struct choice {
    const struct choice *next;
    const struct option *options;
};

/* What is being asked of one value of one kind. */
struct state {
    enum json_kind kind;
    struct atoms goal;              /* as it was asked                 */
    const struct atom_list *open;   /* atoms not replaced yet          */
    const struct atom_list *closed; /* those that were                  */
    const struct choice *choices;   /* not tried yet                   */
    const struct fact *facts;
};

enum outcome { EMPTY, FOUND, UNDECIDED };

struct found {
    enum outcome outcome;
    struct str text; /* the document */
};

struct memo;

struct search {
    struct arena *arena;
    const struct jsonschema *schemas[SIDES];
    enum inclusion_reading reading;
    bool same_documents; /* both schemas are the same text */
    uint64_t steps;
    unsigned depth;
    struct memo **memos; /* table */
    unsigned running_count;
    unsigned relied_on;  /* lowest place among the running that something assumed to be empty */
    const char *unknown; /* why something is not decided; the first */
};

/* --- inclusion.c --- */

/* As inclusion_check(), of parts that are not the roots, and not by usage. */
err_t inclusion_of_parts(const struct jsonschema *producer, part_t of_producer, const struct jsonschema *consumer,
                         part_t of_consumer, const struct inclusion_options *options, struct arena *arena,
                         struct inclusion_result *ret_result) MUST_CHECK;

/* Is there a value for which all atoms hold? */
struct found search(struct search *s, struct atoms goal);
/* Show the validator a value that was made. */
bool search_test(struct search *s, struct atoms goal, struct str text);
/* Not decided, because of `why`. */
struct found undecided(struct search *s, const char *why);
bool search_step(struct search *s, uint64_t steps);
/* Sorted, each once; false: too many. */
bool atoms_make(struct search *s, struct atom *list, uint32_t count, struct atoms *ret);
static inline const struct part *search_part(const struct search *s, enum side side, part_t part)
{
    return &s->schemas[side]->parts[part];
}
/* What a part that is nothing but a reference stands for. */
part_t search_target(const struct search *s, enum side side, part_t part);

/* --- expand.c --- */

/* Replace the goal's atoms until only facts are left, and solve those. `facts`: to begin with. */
struct found expand(struct search *s, enum json_kind kind, struct atoms goal, const struct fact *facts);
const struct fact *fact_add(struct search *s, const struct fact *list, struct fact fact);

/* --- solving, by kind --- */

struct found solve_number(struct search *s, const struct state *t);
struct found solve_string(struct search *s, const struct state *t);
struct found solve_array(struct search *s, const struct state *t);
struct found solve_object(struct search *s, const struct state *t);

#endif
