/* schema.c - crossdock schema: the JSON Schema of the configuration, for editors and checks; or its reference in Markdown. */
#include "cli/cli.h"
#include "fleet/config.h"
#include "pipeline/spec/pipeline.h"

#include <stdio.h>

enum { SCHEMA_MAX = 4 * 1024 * 1024 };

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"markdown", false, NULL}, {"pipeline", false, NULL}};
    struct buf text CLEANUP(buf_release) = BUF_INIT(SCHEMA_MAX);
    int operands, e = cli_parse(&command_schema, argc, argv, options, ARRAY_LEN(options), 0, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    err_t (*print)(struct buf *to) = options[1].value   ? options[0].value ? pipeline_reference : pipeline_schema
                                     : options[0].value ? config_reference
                                                        : config_schema;
    if (print(&text) != OK)
        return EXIT_FAILED;
    (void)fwrite(text.p, 1, text.n, stdout);
    return EXIT_OK;
}

const struct command command_schema = {
    .name = "schema",
    .summary = "print the JSON Schema of the configuration",
    .help =
        "Usage: crossdock schema [--pipeline] [--markdown]\n\n"
        "Prints the JSON Schema (draft 2020-12) of the configuration file.\n\n"
        "  --pipeline   of pipeline files instead\n"
        "  --markdown   print the reference of all fields instead, as in docs/configuration.md and docs/pipelines.md\n",
    .run = run,
};
