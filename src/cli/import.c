/* import.c - crossdock import FORMAT FILE: the configuration of another gateway as one of ours, and what did not fit. */
#include "cli/cli.h"
#include "migrate/litellm.h"
#include "rt/file.h"
#include "rt/loop.h"

#include <stdio.h>
#include <string.h>

enum { RESULT_MAX = 64 * 1024 * 1024, REPORT_MAX = 16 * 1024 * 1024 };

static int import_text(struct str text, struct str file)
{
    struct arena arena CLEANUP(arena_release);
    struct buf result CLEANUP(buf_release) = BUF_INIT(RESULT_MAX);
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct problems problems = {.arena = &arena};

    arena_init(&arena, SIZE_MAX / 2);
    err_t e = litellm_import(text, file, &arena, &problems, &result);
    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    if (e && problems.errors == 0)
        (void)fprintf(stderr, "%.*s: error: %s\n", STR_ARG(file), err_detail(e));
    if (e)
        return EXIT_CONFIG;
    return fwrite(result.p, 1, result.n, stdout) == result.n ? EXIT_OK : EXIT_FAILED;
}

static int import_file(const char *path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(LITELLM_BYTES_MAX);
    err_t e = file_read_once(loop_seams(), path, LITELLM_BYTES_MAX, &text);

    if (e) {
        (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
        return EXIT_FAILED;
    }
    return import_text(buf_str(&text), str_from_c(path));
}

static int run(int argc, char **argv)
{
    int operands, e = cli_parse(&command_import, argc, argv, NULL, 0, 2, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (operands != 2 || strcmp(argv[1], "litellm") != 0) {
        (void)fputs("crossdock import: say 'crossdock import litellm FILE'\nTry 'crossdock import --help'.\n", stderr);
        return EXIT_USAGE;
    }
    return import_file(argv[2]);
}

const struct command command_import = {
    .name = "import",
    .summary = "translate the configuration of another gateway",
    .help = "Usage: crossdock import litellm FILE\n\n"
            "Translates a configuration of LiteLLM's proxy (config.yaml) and prints it:\n\n"
            "  crossdock import litellm config.yaml > crossdock.yaml && crossdock check crossdock.yaml\n\n"
            "What cannot be carried over is named as file:line:column, with what to do instead, on stderr and in\n"
            "comments at the top of the result. Variables stay variables (os.environ/NAME becomes ${NAME}); keys that\n"
            "are in clear in FILE are in clear in the result, and said so. The master key becomes a hash.\n\n"
            "Exit codes: 0 translated, though perhaps not all of it; 1 FILE cannot be read; 3 it is no LiteLLM\n"
            "configuration, or nothing of it can be carried over.\n",
    .run = run,
};
