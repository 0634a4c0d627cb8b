/* compat_pipeline.h - crossdock compat --candidate. Private to cli/. */
#ifndef CLI_COMPAT_PIPELINE_H
#define CLI_COMPAT_PIPELINE_H

#include <stdbool.h>

/* As given on the command line; NULL: not. */
struct compat_pipeline_options {
    const char *running;   /* a pipeline file or a configuration: what runs now */
    const char *candidate; /* likewise: what is to run instead                  */
    const char *journal;   /* of what runs now                                  */
    const char *replay;    /* so many messages of the journal                   */
    const char *alpha;     /* significance of all tests together                */
    bool is_strict, wants_json, is_exact, is_quiet;
};

/* Compare, and tell. The exit code. */
int compat_pipeline(const struct compat_pipeline_options *o);

#endif
