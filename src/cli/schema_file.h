/* schema_file.h - what the commands about schemas share: reading a document from a file or from standard input, and compiling a schema. */
#ifndef CLI_SCHEMA_FILE_H
#define CLI_SCHEMA_FILE_H

#include "jsonschema/jsonschema.h"

#include <stdio.h>

enum { SCHEMA_FILE_MAX = 256 * 1024 * 1024 };

/* Read and parse a document; "-" is standard input. Says itself what is wrong; NULL then. In the arena. */
const struct json_tree *schema_file_read(const char *path, struct arena *arena);
/* Read and compile a schema. Says itself what is wrong, with line and column; NULL then. In the arena. */
const struct jsonschema *schema_file_compile(const char *path, const struct jsonschema_options *options,
                                             struct arena *arena);
/* "path:line:column" of a place in a document. In the arena. */
struct str schema_file_place(const char *path, struct json_node at, struct arena *arena);

#endif
