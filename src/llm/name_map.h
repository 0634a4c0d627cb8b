/*
 * name_map.h - names of tools as a provider takes them, and back: per request, so that both directions agree.
 *
 * A name that fits stays as it is; another is sanitised, and made unique if that meets one that is taken.
 */
#ifndef LLM_NAME_MAP_H
#define LLM_NAME_MAP_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

struct name_map;

/* `max`: characters; `extra`: those allowed besides letters, digits, '_' and '-' (may be empty). */
struct name_map *name_map_new(struct arena *arena, size_t max, struct str extra);
/* Does a name have the provider's alphabet and length? */
bool name_map_fits(const struct name_map *m, struct str name);
/* The provider's name for the client's (borrowed for the map's life); the same for the same. Ask for names that fit first if they shall keep
 * their form. */
struct str name_map_out(struct name_map *m, struct str name);
/* The client's name for the provider's; `name` itself if it is not in the map, or the map is NULL. */
struct str name_map_back(const struct name_map *m, struct str name);
/* Had any name to be changed? False for NULL. */
bool name_map_is_changed(const struct name_map *m);

#endif
