/*
 * compare.h - what a new version of a pipeline would change for those around it: who sends it messages, who reads what it writes, and its own nodes.
 *
 * Nothing is run here: schemas, read sets and promises are held against each other. What both versions make of real messages is rehearse.h's.
 *
 * Takes as much stack as inclusion_check(), up to 400 KiB: not for fibers.
 */
#ifndef PIPELINE_COMPARE_H
#define PIPELINE_COMPARE_H

#include "pipeline/spec/pipeline.h"

enum impact_weight {
    IMPACT_NOTE,    /* something is different; nobody is known to be hurt                       */
    IMPACT_UNKNOWN, /* somebody may be hurt: what it would take to know was not declared, or is not decided */
    IMPACT_BREAKS,  /* somebody is hurt                                                          */
};

struct impact {
    enum impact_weight weight;
    struct str where;      /* what has changed: "schema ticket", "source tickets", "node classify", "sink crm"      */
    struct str text;       /* one sentence                                                                          */
    struct str document;   /* JSON that shows it; empty: none                                                       */
    const struct str *hit; /* names of the nodes and sinks that are hurt, or may be                                */
    size_t hit_count;
};

enum { IMPACTS_MAX = 10000 };

/* Growing, in the arena. Start with {.arena = …}. Past IMPACTS_MAX they are counted, not kept. */
struct impacts {
    struct arena *arena;
    struct impact *items;
    size_t count;
    size_t breaks, unknown; /* of these weights, kept or not */
};

/* Add one; `hit` NULL: nobody in particular. Texts are copied; returns where it is, NULL: it was only counted. */
struct impact *impacts_add(struct impacts *to, enum impact_weight weight, struct str where, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* "note", "unknown", "breaks". Static. */
const char *impact_weight_name(enum impact_weight weight);

/*
 * Add what changes from one version to the next. Does not suspend.
 *
 * Found are: schemas whose next version does not keep to their level (`compat`); messages that were good and are not any more; nodes that read what is no longer
 * written, each with a document that shows it where there is one; sinks that write what their readers do not know; promises that become less; sources and
 * sinks that are gone; vectors of another model.
 *
 * Errors: E_TOO_LARGE: a schema is larger than can be compared.
 */
err_t pipeline_compare(const struct pipeline_spec *old, const struct pipeline_spec *candidate, struct impacts *to)
    MUST_CHECK;

#endif
