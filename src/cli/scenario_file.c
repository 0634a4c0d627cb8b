/* scenario_file.c - see scenario_file.h. */
#include "cli/scenario_file.h"

#include "fleet/config.h"

enum { SCENARIO_MAX = 4 << 20 /* bytes */ };

err_t scenario_file_read(struct str path, struct problems *problems, struct scenario **ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SCENARIO_MAX);
    struct str file = arena_str(problems->arena, path);

    if (!path.n)
        return scenario_parse(scenario_builtin(), "built-in scenario", problems, ret);
    err_t e = config_env_real()->read_file(file.p, SCENARIO_MAX, &text);
    if (e == OK)
        return scenario_parse(buf_str(&text), file.p, problems, ret);
    problems_add(
        problems,
        (struct problem){.file = file, .text = arena_printf(problems->arena, "cannot be read: %s", err_detail(e))});
    return e;
}
