/* pipelines.h - what commands do to have pipelines: of a pipeline file, or of a configuration. Private to cli/. */
#ifndef CLI_PIPELINES_H
#define CLI_PIPELINES_H

#include "pipeline/spec/pipeline.h"

/* Is it a pipeline file, and no configuration: a map with `pipeline`? False also if it cannot be read. */
bool is_pipeline_file(const char *path);
/*
 * The pipeline of a file, or those of a configuration; the caller frees. As pipelines_load().
 *
 * ret_catalog  the configuration, which the caller unrefs; NULL of a pipeline file. NULL: it is not wanted
 */
err_t load_pipelines(const char *path, struct problems *problems, struct pipeline_set **ret,
                     struct catalog **ret_catalog) MUST_CHECK;

/* pipeline_run.c: run it, with the journal in that file (NULL: in memory) and the models of that configuration (NULL: none), until its sources have ended
 * or a signal comes. The exit code. */
int pipeline_run(struct pipeline_spec *spec, struct catalog *catalog, const char *journal_path);

struct admin_options;
/* pipeline_trace.c: what became of messages, from the journal in that file (NULL: from the server): of the one whose id begins so, or (NULL) a line for
 * each. The exit code. */
int pipeline_trace(const char *journal_path, const struct admin_options *server, const char *id, bool wants_json);

/* As given on the command line; NULL: not. */
struct pipeline_test_options {
    const char *seed, *rounds, *only, *junit, *cassette;
    bool records;
};
/* pipeline_test.c: run the tests that it names, and tell how they ended; models are recorded of that configuration (NULL: of none). The exit code. */
int pipeline_test(const struct pipeline_spec *spec, struct catalog *catalog, const struct pipeline_test_options *o);

#endif
