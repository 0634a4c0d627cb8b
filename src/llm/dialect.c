/* dialect.c - finding a dialect by name. The catalog itself is generated from the files in llm/dialect/. */
#include "llm/dialect.h"

const struct dialect *dialect_find(struct str name)
{
    for (size_t i = 0; i < dialect_catalog_count; i++)
        if (str_eq(str_from_c(dialect_catalog[i]->name), name))
            return dialect_catalog[i];
    return NULL;
}
