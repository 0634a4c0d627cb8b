/*
 * main.c - the command line: finds the command and runs it. The commands are in src/cli/.
 */
#include "base/err.h"
#include "cli/cli.h"
#include "rt/stack_census.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_serve,  &command_sim,    &command_check,    &command_import,  &command_why,
    &command_fleet,  &command_facts,  &command_pipeline, &command_dlq,     &command_gate,
    &command_map,    &command_expr,   &command_validate, &command_compat,  &command_registry,
    &command_schema, &command_prices, &command_key,      &command_version,
};

static void print_help(FILE *to)
{
    (void)fputs(
        "crossdock stands between applications and AI models.\n\nUsage: crossdock COMMAND [ARGUMENTS]\n\nCommands:\n",
        to);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        (void)fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)fputs("\n'crossdock COMMAND --help' tells more about one of them.\n"
                "\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 invalid configuration or scenario.\n",
                to);
}

static const struct command *find(const char *name)
{
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static const char *nearest(const char *name)
{
    const char *best = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        unsigned d = str_distance(str_from_c(name), str_from_c(commands[i]->name));
        if (d < least) {
            least = d;
            best = commands[i]->name;
        }
    }
    return best;
}

/* CROSSDOCK_STACK_CENSUS=file, for `make stack`: how deep each kind of fiber went is appended there at the end. */
static int run(const struct command *c, int argc, char **argv)
{
    const char *census = getenv("CROSSDOCK_STACK_CENSUS");

    if (!census)
        return c->run(argc, argv);
    (void)stack_census_set(true);
    int code = c->run(argc, argv);
    if (stack_census_append(census) != OK)
        (void)fprintf(stderr, "crossdock: stack census: %s\n", err_detail(E_IO));
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    const struct command *c = find(argv[1]);
    if (c)
        return run(c, argc - 1, argv + 1);
    const char *near = nearest(argv[1]);
    (void)fprintf(stderr, "crossdock: unknown command '%s'%s%s%s\nTry 'crossdock --help'.\n", argv[1],
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}
