/* scenario_file.h - scenarios of the simulator, from files. */
#ifndef CLI_SCENARIO_FILE_H
#define CLI_SCENARIO_FILE_H

#include "codec/yaml.h"
#include "sim/scenario.h"

/*
 * Read a scenario. Blocks: on a worker, or before loops run.
 *
 * path      empty: the built-in one
 * problems  what is wrong is added, with its place
 * ret       the caller frees it with scenario_free(); untouched on failure
 *
 * E_CONFIG or E_PARSE if there is any error, or as reading files does.
 */
err_t scenario_file_read(struct str path, struct problems *problems, struct scenario **ret) MUST_CHECK;

#endif
