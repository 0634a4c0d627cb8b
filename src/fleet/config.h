/*
 * config.h - configuration files to catalogs: YAML in, a validated snapshot out, all errors at once.
 *
 * Every problem names file, line, column, what is wrong, and the nearest valid name. The same field tables check the
 * file, fill the structs, print the JSON Schema (`crossdock schema`) and the reference in docs/configuration.md, so
 * that these cannot disagree.
 */
#ifndef FLEET_CONFIG_H
#define FLEET_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/yaml.h"
#include "fleet/catalog.h"

/* How configuration looks at the outside; so that tests and simulated worlds can give their own. */
struct config_env {
    /* NULL: unset. */
    const char *(*getenv)(const char *name);
    /* Append the file's bytes, at most `max`, through the disk seam. */
    err_t (*read_file)(const char *path, size_t max, struct buf *ret);
    /* Append the names in the folder `path`, each with a NUL behind it. E_UNSUPPORTED: it is no folder. Slot
     * NULL: nothing is one. */
    err_t (*list_folder)(const char *path, struct buf *ret);
    /* Told of each path before it is read or listed. Slot NULL: nobody wants to know. */
    void (*on_path)(void *ctx, const char *path);
    void *on_path_ctx;
};

/* The process's environment and the disk seam. Static. Blocks: call it on a worker or before loops run. */
const struct config_env *config_env_real(void);

/*
 * Load `path` (a file, or a folder: all its *.yaml in name order, merged) into a catalog with one reference.
 *
 * text      with `path` "-": parse this instead; paths in it are relative to the working directory
 * problems  all errors and warnings, by file, line and column; warnings also on success. Start with {.arena = ...}
 *
 * E_CONFIG if there is any error.
 */
err_t config_load(const char *path, struct str text, const struct config_env *env, struct problems *problems,
                  struct catalog **ret) MUST_CHECK;
/*
 * Put variables (${NAME}, ${NAME:-default}) into every scalar value below `root`, as config_load() does in a configuration: for files that
 * a configuration names. What is wrong is added to *problems, at its place.
 */
void config_expand_tree(const struct config_env *env, struct arena *a, struct problems *problems,
                        struct yaml_node *root);
/* The JSON Schema (draft 2020-12) of the file, indented. */
err_t config_schema(struct buf *to) MUST_CHECK;
/* The reference of all fields as Markdown. */
err_t config_reference(struct buf *to) MUST_CHECK;

#endif
