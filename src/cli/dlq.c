/*
 * dlq.c - crossdock dlq …: dead letters of pipelines: listed, grouped by cause, looked at, put right, tried again, given up.
 *
 * They are asked of the server that runs the pipelines, or, if none does, looked for in its journal (--journal). Answers are tables for people, or JSON, one document a line, for programs. What changes something says what it changed, and with --dry-run what it would.
 */
#include "base/date.h"
#include "base/units.h"
#include "cli/journal_file.h"
#include "cli/letters_place.h"
#include "cli/schema_file.h"
#include "expr/expr.h"
#include "rt/loop.h"

#include <stdio.h>

enum { OPERANDS_MAX = 1000, LETTERS_MAX = 1000000, OUT_MAX = 256 << 20, RATE_USUAL = 10, RATE_MOST = 1000000 };
enum {
    JOURNAL,
    PIPELINE,
    NODE,
    CAUSE,
    BEFORE,
    ALL,
    JSON,
    RATE,
    ORIGINAL,
    DRY_RUN,
    RECORD,
    MAP,
    ADMIN,
    KEY,
    KEY_FILE,
    OPTIONS
};

struct dlq {
    const struct action *action;
    char **ids;
    size_t id_count;
    struct letter_filter filter;
    bool is_all, wants_json, is_dry, is_original;
    uint64_t rate; /* a second */
    const char *record, *map;
    struct arena arena;
    struct buf out;
};

struct action {
    const char *name;
    err_t (*run)(struct dlq *d, const struct letters_place *at) SUSPENDS;
    bool changes;
};

/* --- letters that are meant --- */

struct letters {
    struct dead_letter *items;
    size_t count, cap;
};

static err_t add(struct dlq *d, struct letters *all, const struct dead_letter *l)
{
    if (all->count == LETTERS_MAX)
        return fail(E_TOO_LARGE, "more than %d dead letters: take fewer at a time", LETTERS_MAX);
    if (all->count == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 64;
        struct dead_letter *more = arena_alloc(&d->arena, cap * sizeof *more);
        if (all->count)
            memcpy(more, all->items, all->count * sizeof *more);
        *all = (struct letters){more, all->count, cap};
    }
    all->items[all->count++] = *l;
    return OK;
}

/* Call fn for each letter that the filter lets through. `arena` of a page goes with it. */
static SUSPENDS err_t each(struct dlq *d, const struct letters_place *at,
                           err_t (*fn)(struct dlq *d, const struct dead_letter *l))
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    uint64_t after = 0;

    do {
        struct dead_letter *page;
        size_t count;
        TRY(at->page(at->ctx, &d->filter, &after, &arena, &page, &count));
        for (size_t i = 0; i < count; i++)
            TRY(fn(d, &page[i]));
        arena_clear(&arena);
    } while (after);
    return OK;
}

static SUSPENDS err_t gather(struct dlq *d, const struct letters_place *at, struct letters *all)
{
    struct dead_letter one;
    uint64_t after = 0;

    for (size_t i = 0; i < d->id_count; i++) {
        TRY(at->find(at->ctx, str_from_c(d->ids[i]), &d->arena, &one));
        TRY(add(d, all, &one));
    }
    if (d->id_count)
        return OK;
    do {
        struct dead_letter *page;
        size_t count;
        TRY(at->page(at->ctx, &d->filter, &after, &d->arena, &page, &count));
        for (size_t i = 0; i < count; i++)
            TRY(add(d, all, &page[i]));
    } while (after);
    return OK;
}

/* --- looking --- */

static err_t flush(struct dlq *d)
{
    TRY(buf_status(&d->out));
    (void)fwrite(d->out.p ? d->out.p : "", 1, d->out.n, stdout);
    buf_clear(&d->out);
    return OK;
}

static err_t put_json(struct dlq *d, const struct dead_letter *l)
{
    struct json_out o = json_out_to(&d->out);

    letter_put(l, &o);
    TRY(buf_add_char(&d->out, '\n'));
    return flush(d);
}

static err_t put_line(struct dlq *d, const struct dead_letter *l)
{
    char at[DATE_INSTANT_MAX];

    TRY(buf_addf(&d->out, "%.12s  %s  %-16.*s %-16.*s %-12.*s %s%.*s\n", l->hex, date_print_instant(l->at, at),
                 STR_ARG(l->pipeline), STR_ARG(l->node), STR_ARG(l->cause),
                 l->is_replayed ? "(to be tried again) " : "", STR_ARG(l->error)));
    return flush(d);
}

static SUSPENDS err_t run_ls(struct dlq *d, const struct letters_place *at)
{
    return each(d, at, d->wants_json ? put_json : put_line);
}

static err_t put_group(struct dlq *d, const struct letter_group *g)
{
    char first[DATE_INSTANT_MAX], last[DATE_INSTANT_MAX];
    struct json_out o = json_out_to(&d->out);

    date_print_instant(g->first, first);
    date_print_instant(g->last, last);
    if (!d->wants_json)
        return buf_addf(&d->out, "%8llu  %-16.*s %-16.*s %-12.*s %s … %s\n", (unsigned long long)g->count,
                        STR_ARG(g->pipeline), STR_ARG(g->node), STR_ARG(g->cause), first, last);
    letter_group_put(g, &o);
    return buf_add_char(&d->out, '\n');
}

static SUSPENDS err_t run_group(struct dlq *d, const struct letters_place *at)
{
    struct letter_group *groups;
    size_t count;

    TRY(at->groups(at->ctx, d->filter.pipeline, &d->arena, &groups, &count));
    for (size_t i = 0; i < count; i++)
        TRY(put_group(d, &groups[i]));
    return flush(d);
}

/* What its record was, and what it is to be. */
static err_t put_difference(struct dlq *d, const struct dead_letter *l, struct str edited)
{
    if (!edited.p)
        return buf_addf(&d->out, "  %.*s\n", STR_ARG(l->record));
    return buf_addf(&d->out, "- %.*s\n+ %.*s\n", STR_ARG(l->record), STR_ARG(edited));
}

static err_t put_whole(struct dlq *d, const struct dead_letter *l, const struct letter_kept *kept)
{
    char at[DATE_INSTANT_MAX], sent[DATE_INSTANT_MAX];
    struct buf *to = &d->out;

    (void)buf_addf(to, "letter      %s%s\n", l->hex, l->is_replayed ? "  (to be tried again)" : "");
    (void)buf_addf(to, "died        %s at %.*s of %.*s, version %llu (%.*s)\n", date_print_instant(l->at, at),
                   STR_ARG(l->node), STR_ARG(l->pipeline), (unsigned long long)l->version, STR_ARG(l->digest));
    (void)buf_addf(to, "of          %.*s: %.*s\n", STR_ARG(l->cause), STR_ARG(l->error));
    (void)buf_addf(to, "message     from %.*s, sent %s", STR_ARG(l->source), date_print_instant(l->sent_at, sent));
    if (l->key.p)
        (void)buf_addf(to, ", key %.*s", STR_ARG(l->key));
    (void)buf_addf(to, "\nreplayed    %llu times\n", (unsigned long long)l->replays);
    (void)buf_addf(to, "kept        %llu recorded outputs, %llu records that sinks have taken\n",
                   (unsigned long long)kept->steps, (unsigned long long)kept->effects);
    (void)buf_addf(to, "record      %.*s\n", STR_ARG(l->fingerprint));
    return put_difference(d, l, l->edited);
}

static SUSPENDS err_t run_show(struct dlq *d, const struct letters_place *at)
{
    struct letters all = {0};

    TRY(gather(d, at, &all));
    for (size_t i = 0; i < all.count; i++) {
        struct letter_kept kept;
        if (d->wants_json) {
            TRY(put_json(d, &all.items[i]));
            continue;
        }
        TRY(at->kept(at->ctx, &all.items[i], &kept));
        TRY(put_whole(d, &all.items[i], &kept));
        TRY(flush(d));
    }
    return OK;
}

/* --- changing --- */

/* The record as the expression makes it. */
static err_t map_record(struct dlq *d, const struct dead_letter *l, struct str *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(OUT_MAX);
    const struct expr_env env = {0};
    struct expr_problem problem;
    const struct expr *program;

    if (expr_compile(&d->arena, str_from_c(d->map), &env, &program, &problem) != OK)
        return fail(E_PARSE, "--map: %.*s", STR_ARG(problem.text));
    TRY(expr_map(program, &d->arena, l->edited.p ? l->edited : l->record, NULL, &expr_limits_default, &text));
    *ret = arena_str(&d->arena, str_trim(buf_str(&text)));
    return OK;
}

static err_t new_record(struct dlq *d, const struct dead_letter *l, struct str *ret)
{
    if (d->map)
        return map_record(d, l, ret);
    const struct json_tree *tree = schema_file_read(d->record, &d->arena);
    if (!tree)
        return fail(E_PARSE, "--record %s is no JSON document", d->record);
    *ret = json_node_raw(json_tree_root(tree));
    return OK;
}

static SUSPENDS err_t run_edit(struct dlq *d, const struct letters_place *at)
{
    struct letters all = {0};

    TRY(gather(d, at, &all));
    for (size_t i = 0; i < all.count; i++) {
        const struct dead_letter *l = &all.items[i];
        struct str edited = STR_NONE;
        TRY(err_context(new_record(d, l, &edited), "%.12s", l->hex));
        if (!d->is_dry)
            TRY(err_context(at->edit(at->ctx, l, edited), "%.12s", l->hex));
        (void)buf_addf(&d->out, "%.12s  %s\n", l->hex, d->is_dry ? "would be edited" : "edited");
        TRY(put_difference(d, l, edited));
        TRY(flush(d));
    }
    return OK;
}

static SUSPENDS err_t tell_replay(struct dlq *d, const struct letters_place *at, const struct letters *all)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct dead_letter *l = &all->items[i];
        struct letter_kept kept;
        TRY(at->kept(at->ctx, l, &kept));
        (void)buf_addf(&d->out,
                       "%.12s  would be tried again at %.*s of %.*s%s: %llu recorded outputs are not asked for again, "
                       "%llu records at sinks are not sent again\n",
                       l->hex, STR_ARG(l->node), STR_ARG(l->pipeline),
                       d->is_original ? ", in the version that took it in" : "", (unsigned long long)kept.steps,
                       (unsigned long long)kept.effects);
        TRY(put_difference(d, l, l->edited));
        TRY(flush(d));
    }
    return OK;
}

static SUSPENDS err_t run_replay(struct dlq *d, const struct letters_place *at)
{
    struct letters all = {0};
    size_t count;

    TRY(gather(d, at, &all));
    if (d->is_dry)
        return tell_replay(d, at, &all);
    if (d->is_original)
        TRY(at->replay_original(at->ctx, all.items, all.count, &count));
    else
        TRY(at->replay(at->ctx, all.items, all.count, d->rate, &count));
    TRY(buf_addf(&d->out, "%zu to be tried again %s%s\n", count, at->when,
                 count < all.count ? "; of the others nothing is left to try" : ""));
    return flush(d);
}

static SUSPENDS err_t run_drop(struct dlq *d, const struct letters_place *at)
{
    struct letters all = {0};

    TRY(gather(d, at, &all));
    if (!d->is_dry)
        TRY(at->drop(at->ctx, all.items, all.count));
    TRY(buf_addf(&d->out, "%zu %s\n", all.count, d->is_dry ? "would be dropped" : "dropped"));
    return flush(d);
}

/* --- the command --- */

static const struct action actions[] = {{"ls", run_ls, false},        {"group", run_group, false},
                                        {"show", run_show, false},    {"edit", run_edit, true},
                                        {"replay", run_replay, true}, {"drop", run_drop, true}};

static SUSPENDS err_t run_on_journal(void *ctx, struct journal *j)
{
    const struct letters_place at = letters_in_journal(j);
    struct dlq *d = ctx;

    return d->action->run(d, &at);
}

static SUSPENDS err_t run_on_server(void *ctx, struct admin_client *client)
{
    const struct letters_place at = letters_at_server(client);
    struct dlq *d = ctx;

    return d->action->run(d, &at);
}

static int usage(const char *what)
{
    (void)fprintf(stderr, "crossdock dlq: %s\nTry 'crossdock dlq --help'.\n", what);
    return EXIT_USAGE;
}

static const char *wrong(const struct dlq *d, const struct option_value *o)
{
    bool is_named =
        d->id_count || d->is_all || d->filter.pipeline.n || d->filter.node.n || d->filter.cause.n || d->filter.before;
    bool is_edit = d->action->run == run_edit;

    if (o[JOURNAL].value && (o[ADMIN].value || o[KEY].value || o[KEY_FILE].value))
        return "--journal is for pipelines that do not run, --admin for those that do";
    if (d->action->run == run_show && !d->id_count)
        return "show which letter? Name its id, or the beginning of it";
    if (d->action->changes && !is_named)
        return "which letters? Name ids, or --pipeline, --node, --cause, --before, or --all";
    if (is_edit ? !d->map == !d->record : d->map || d->record)
        return "edit goes with either --record FILE or --map EXPRESSION, and these go with edit only";
    if (o[ORIGINAL].value && d->action->run != run_replay)
        return "--original goes with replay only";
    if (o[ORIGINAL].value && o[RATE].value)
        return "--rate does not go with --original: that tries all at once, and the present version waits meanwhile";
    return NULL;
}

static const char *read_numbers(struct dlq *d, const struct option_value *o)
{
    ns_t age;

    d->rate = RATE_USUAL;
    if (o[RATE].value && (!str_to_u64(str_from_c(o[RATE].value), RATE_MOST, &d->rate) || !d->rate))
        return "--rate is a number of letters a second, 1 to 1000000";
    if (o[BEFORE].value && units_parse_duration(str_from_c(o[BEFORE].value), &age) != OK)
        return "--before is an age: 14d, 12h";
    if (o[BEFORE].value)
        d->filter.before = rt_wall() - age;
    return NULL;
}

static int run(int argc, char **argv)
{
    struct option_value o[] = {[JOURNAL] = {"journal", true, NULL},    [PIPELINE] = {"pipeline", true, NULL},
                               [NODE] = {"node", true, NULL},          [CAUSE] = {"cause", true, NULL},
                               [BEFORE] = {"before", true, NULL},      [ALL] = {"all", false, NULL},
                               [JSON] = {"json", false, NULL},         [RATE] = {"rate", true, NULL},
                               [ORIGINAL] = {"original", false, NULL}, [DRY_RUN] = {"dry-run", false, NULL},
                               [RECORD] = {"record", true, NULL},      [MAP] = {"map", true, NULL},
                               [ADMIN] = {"admin", true, NULL},        [KEY] = {"key", true, NULL},
                               [KEY_FILE] = {"key-file", true, NULL}};
    int operands, e = cli_parse(&command_dlq, argc, argv, o, OPTIONS, OPERANDS_MAX, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (!operands)
        return usage("what? ls, group, show, edit, replay or drop");
    struct dlq d = {.ids = argv + 2,
                    .id_count = (size_t)operands - 1,
                    .filter = {.pipeline = str_from_c(o[PIPELINE].value),
                               .node = str_from_c(o[NODE].value),
                               .cause = str_from_c(o[CAUSE].value)},
                    .is_all = o[ALL].value,
                    .wants_json = o[JSON].value,
                    .is_dry = o[DRY_RUN].value,
                    .is_original = o[ORIGINAL].value,
                    .record = o[RECORD].value,
                    .map = o[MAP].value,
                    .arena = {.max = SIZE_MAX},
                    .out = BUF_INIT(OUT_MAX)};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(argv[1], actions[i].name) == 0)
            d.action = &actions[i];
    if (!d.action)
        return usage("what? ls, group, show, edit, replay or drop");
    const char *problem = read_numbers(&d, o);
    problem = problem ? problem : wrong(&d, o);
    if (problem)
        return usage(problem);
    const struct admin_options admin = {.url = o[ADMIN].value, .key = o[KEY].value, .key_file = o[KEY_FILE].value};
    e = o[JOURNAL].value ? journal_file_run(&command_dlq, o[JOURNAL].value, run_on_journal, &d)
                         : admin_client_run(&command_dlq, &admin, run_on_server, &d);
    buf_release(&d.out);
    arena_release(&d.arena);
    return e;
}

const struct command command_dlq = {
    .name = "dlq",
    .summary = "dead letters of pipelines: look, put right, try again",
    .help =
        "Usage: crossdock dlq ls|group [--pipeline P] [--node N] [--cause C] [--before AGE] [--json]\n"
        "       crossdock dlq show ID... [--json]\n"
        "       crossdock dlq edit ID... --record FILE | --map EXPRESSION [--dry-run]\n"
        "       crossdock dlq replay|drop ID... | --all | --pipeline … [--rate N | --original] [--dry-run]\n\n"
        "A record that a node or a sink could not deal with is a dead letter. ID is its id, or the beginning of it.\n"
        "Asks the running server, or looks into the journal of one that does not run (--journal).\n\n"
        "  ls                a line for each\n"
        "  group             how many died of what, and where\n"
        "  show              all of it: the record, the words, what is kept of its message\n"
        "  edit              have the node given another record, when it is replayed: a document (--record; - is\n"
        "                    standard input), or what an expression makes of it\n"
        "  replay            try it again where it failed (--journal: with the next run): what was asked before is "
        "not\n"
        "                    asked again, and what sinks have taken is not sent again\n"
        "  drop              give it up\n\n" ADMIN_OPTIONS_HELP JOURNAL_OPTION_HELP
        "  --pipeline P, --node N, --cause C   those only\n"
        "  --before AGE      those that are older: 14d\n"
        "  --all             all of them\n"
        "  --rate N          of replays: so many a second (default 10)\n"
        "  --original        of replays: in the version of the pipeline that took the message in, all at once; the\n"
        "                    present version waits meanwhile\n"
        "  --dry-run         say what would be done; with edit the difference\n"
        "  --json            a document a line\n\n"
        "Exit codes: 0 done; 1 there is no such letter, or the journal cannot be opened; 2 wrong command line.\n",
    .run = run,
};
