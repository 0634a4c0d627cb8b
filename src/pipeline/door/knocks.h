/* knocks.h - sources that take what is brought to a door (doors.h). Private to pipeline/. */
#ifndef PIPELINE_KNOCKS_H
#define PIPELINE_KNOCKS_H

#include "pipeline/door/doors.h"
#include "pipeline/run/run.h"

struct knock_rules {
    struct door *door;
    bool is_waited; /* senders wait for a reply; else they are told when their message is in the journal */
    ns_t keep;      /* so long a reply is kept for who comes again                                       */
};

/* Read the door until cancelled. Suspends. Errors: E_CANCELLED, those of intake_put() and of the journal. */
err_t knocks_read(struct intake *in, const struct pipeline_node *source, const struct knock_rules *rules) SUSPENDS
MUST_CHECK;
/* How long a sender waits: as the file says, or as long as the pipeline may take. 0: it does not say. */
ns_t knocks_patience(ns_t wait, const struct pipeline_spec *spec);

#endif
