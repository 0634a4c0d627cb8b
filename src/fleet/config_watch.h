/*
 * config_watch.h - has any of the files that a configuration was made from changed since?
 *
 *     struct config_watch *w = config_watch_new();
 *     struct config_env env = *config_env_real();
 *     env.on_path = config_watch_note;              // told of each path before it is read
 *     env.on_path_ctx = w;
 *     config_load(path, STR_NONE, &env, ...);
 *     ... config_watch_changed(w) ...               // from time to time
 */
#ifndef FLEET_CONFIG_WATCH_H
#define FLEET_CONFIG_WATCH_H

#include <stdbool.h>

struct config_watch;

/* Nothing watched yet; one reference. Counted atomically: after the load it does not change, and may be looked at on any thread. */
struct config_watch *config_watch_new(void);
struct config_watch *config_watch_ref(struct config_watch *w);
/* Takes NULL. */
void config_watch_unref(struct config_watch *w);
/* The on_path of struct config_env, `watch` being its context: remember the path and the state that it is in. Blocks. At most 10,000
 * different paths are remembered; further ones are not watched. */
void config_watch_note(void *watch, const char *path);
/* Is any of them another file than it was, or has it another size or time? One that is gone has not changed: it may be about to be
 * replaced, and shows when it is back. Blocks, a stat() for each path. */
bool config_watch_changed(const struct config_watch *w);

#endif
