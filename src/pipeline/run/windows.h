/*
 * windows.h - nodes that gather records of different messages: windows, and joins by key.
 *
 * A window belongs to a key; records go into it until it closes: with so many, at a time, after a silence, or, of a join, when enough of its inputs are
 * there. Then its records are a message of their own.
 */
#ifndef PIPELINE_WINDOWS_H
#define PIPELINE_WINDOWS_H

#include "pipeline/run/keeper.h"

enum {
    WINDOW_BYTES_MAX = 8 << 20, /* of its records as JSON: it closes before there are more */
    WINDOW_KEY_MAX = 4096,      /* bytes of a key as JSON                                  */
};

/* When windows of a node close; 0: not for that. */
struct window_rules {
    const struct expr
        *key;       /* NULL: one for all                                                                         */
    unsigned count; /* with so many records                                                                      */
    ns_t every;     /* at multiples of this time, by the messages' own timestamps                                */
    ns_t session;   /* when nothing has come for so long, likewise                                               */
    ns_t lateness;  /* of both: so long after                                                                    */
    bool is_join;   /* its records are pairs [name of the input, record]                                         */
    unsigned need;  /* of a join: with records of so many inputs; 0: of all                                      */
    ns_t timeout;   /* of a join: so long after the first record came                                            */
};

/* For kinds with node_run.windows. What comes out: the array of its records. */
extern const struct absorb_run windows_run;

#endif
