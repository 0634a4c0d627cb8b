/*
 * schema_lookup.h - where the pipelines of a command, or of a process that serves, get schemas that they name by subject. Private to cli/.
 *
 * A connection leads to a registry over HTTP. Without one it is that of the configuration: the one that this process serves; else its file; else, while another process
 * has that open, the address that it is served at. A configuration without one, or a file alone, means the usual place of `crossdock registry` on this machine.
 */
#ifndef CLI_SCHEMA_LOOKUP_H
#define CLI_SCHEMA_LOOKUP_H

#include "pipeline/spec/pipeline.h"

struct registry;

struct schema_lookup {
    const struct catalog *catalog; /* borrowed; NULL: a pipeline file alone                             */
    struct registry *own;          /* borrowed, open; NULL: this process does not serve one             */
    bool has_workers;              /* threads for what blocks run already; else some do for each question */
};

/* What pipelines are loaded with; borrows *l. To be asked on a thread without a loop: a worker's, or before loops run. */
struct pipeline_registry schema_lookup_registry(struct schema_lookup *l);

#endif
