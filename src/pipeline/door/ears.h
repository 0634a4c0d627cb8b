/*
 * ears.h - sources that hear what clients asked the gateway, and what they were answered.
 *
 * A source lives on one loop, requests on all of them. So what is heard waits at a door (doors.h) that no client can come to. One set of ears for the process;
 * what is guarded by its lock is a look-up or a count. A client is never refused because of it: what there is no room for is counted, and is lost.
 */
#ifndef PIPELINE_EARS_H
#define PIPELINE_EARS_H

#include "gateway/hear.h"
#include "pipeline/door/doors.h"

struct ears;
struct ear;

/* `doors` outlives it. */
struct ears *ears_new(struct doors *doors);
/* No request is under way, and no source runs. NULL is allowed. */
void ears_free(struct ears *e);
/* What the gateways of all loops are given. Lives as long as `e`. */
const struct gateway_hearer *ears_hearer(const struct ears *e);

struct ear_options {
    struct str name;  /* that no other source of the process has    */
    struct str model; /* as the configuration names it              */
    double sample;    /* share of its requests                      */
    bool waits;       /* an answer does not end before its message is taken in, or EAR_PATIENCE_S is over */
};

enum { EAR_PATIENCE_S = 5, EAR_ANNOUNCED_S = 60 };

/*
 * A source is to open it: from now on what it would hear waits for it, for EAR_ANNOUNCED_S at most; then nobody hears it until it is opened. Texts are copied.
 * Nothing happens where it is open, or announced already.
 */
void ear_announce(struct ears *e, const struct ear_options *o);
/* Begin to hear; all texts are copied. E_CONFLICT: the name is taken. */
err_t ear_open(struct ears *e, const struct ear_options *o, struct ear **ret) MUST_CHECK;
/* What comes now is heard by nobody. NULL is allowed. */
void ear_close(struct ear *e);
/* Where what it has heard waits. */
struct door *ear_door(const struct ear *e);
/* How many it could not keep, ever. From any loop. */
uint64_t ear_missed(const struct ear *e);

#endif
