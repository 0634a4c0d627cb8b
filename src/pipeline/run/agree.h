/* agree.h - nodes that are tried out behind a shadow, held against those in use: do they yield the same? Private to pipeline/. */
#ifndef PIPELINE_AGREE_H
#define PIPELINE_AGREE_H

#include "pipeline/run/run.h"

/* What a node has yielded for a root, newest first. */
struct yielded {
    struct yielded *next;
    uint16_t node;
    struct expr_value value;
};

/* The step's node has sent a value: it is kept with the root if the node is part of a comparison. */
void agree_sent(const struct step *s, struct expr_value value);
/* The root is complete: count, at each node that is tried out, whether it agrees. */
void agree_tell(const struct root *r);

#endif
