/* schema_int.h - what schema.c and schema_print.c share. */
#ifndef CODEC_SCHEMA_INT_H
#define CODEC_SCHEMA_INT_H

#include "codec/schema.h"

/* The field called `name`; NULL if there is none. */
const struct schema_field *schema_find_field(const struct schema_object *o, struct str name);

#endif
