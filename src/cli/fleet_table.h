/* fleet_table.h - what /admin/fleet says, as a table for people. Pure. */
#ifndef CLI_FLEET_TABLE_H
#define CLI_FLEET_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

/* Append the table of a fleet's JSON document. E_PARSE, E_TOO_LARGE. */
err_t fleet_table(struct str json, struct arena *arena, struct buf *to) MUST_CHECK;

#endif
