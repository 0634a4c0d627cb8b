/* message.h - a message as bytes in the journal. Private to pipeline/. */
#ifndef PIPELINE_MESSAGE_H
#define PIPELINE_MESSAGE_H

#include "pipeline/run/run.h"

/* What was packed, as slices of it. */
struct packed {
    int64_t at;
    struct str key; /* absent: none */
    struct str headers, body;
};

/* Can the journal keep it? E_TOO_LARGE. */
err_t message_check(const struct message *m) MUST_CHECK;
/* A message that was checked, taken in by this version of its pipeline. E_TOO_LARGE: `to` is full. */
err_t message_pack(const struct message *m, uint64_t version, struct buf *to) MUST_CHECK;
/* The version that took in what was packed; 0 if it is damaged. */
uint64_t message_version(struct str packed);
/* E_PARSE: it is damaged. */
err_t message_unpack(struct str packed, struct packed *ret) MUST_CHECK;
/* The next header of what is left of those packed; false: there is none. What is damaged ends them. */
bool header_next(struct str *rest, struct message_header *ret);

#endif
