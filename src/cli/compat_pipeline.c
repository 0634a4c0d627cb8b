/*
 * compat_pipeline.c - crossdock compat --candidate: may a new version of a pipeline take the place of the one that runs?
 *
 * What runs is what a file says, or, if none is named, the newest version that the journal keeps. Each pipeline is compared with the one of its name. The answer is for people or, as JSON,
 * for programs; the exit code is for both.
 *
 * Both versions are loaded with the types that their schemas declare, which is more than running them needs. One that does not load so is compared as it would run, and if
 * it is the candidate only, that is what is told of it.
 */
#include "cli/compat_pipeline.h"

#include "cli/cli.h"
#include "cli/journal_file.h"
#include "cli/pipelines.h"
#include "codec/json_out.h"
#include "fleet/catalog.h"
#include "pipeline/run/traces.h"
#include "pipeline/run/version.h"
#include "pipeline/trial/rehearse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_MAX = 256 << 20 };

/* One pipeline, in one or both versions. */
struct pair {
    struct pipeline_spec *old, *candidate;
    struct impacts impacts;
    struct rehearsal rehearsal;
};

/* Samples of the journal, oldest first. */
struct sample {
    struct str pipeline, json;
};

struct comparing {
    const struct compat_pipeline_options *given;
    struct arena arena;
    struct pipeline_set *old, *candidate;
    struct catalog *old_catalog, *candidate_catalog;
    struct pair *pairs;
    size_t pair_count;
    struct sample *samples;
    size_t sample_count, sample_cap;
    uint64_t replay; /* messages of each pipeline, at most; 0: none */
    double alpha;
};

static int complain(const char *what)
{
    (void)fprintf(stderr, "crossdock compat: %s\n", what);
    return EXIT_USAGE;
}

/* --- loading --- */

static int load_set(const char *path, struct pipeline_set **ret, struct catalog **ret_catalog)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct problems problems = {.arena = &arena};

    err_t e = load_pipelines(path, &problems, ret, ret_catalog);
    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    if (e != OK && !problems.errors)
        (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
    return e == OK ? EXIT_OK : EXIT_CONFIG;
}

static void add_sample(struct comparing *c, struct sample sample)
{
    if (c->sample_count == c->sample_cap) {
        c->sample_cap = c->sample_cap ? 2 * c->sample_cap : 1024;
        struct sample *more = arena_alloc(&c->arena, c->sample_cap * sizeof *more);
        if (c->sample_count)
            memcpy(more, c->samples, c->sample_count * sizeof *more);
        c->samples = more;
    }
    c->samples[c->sample_count++] = sample;
}

static SUSPENDS err_t read_samples(struct comparing *c, struct journal *j)
{
    uint64_t after = 0;

    do {
        struct root_trace *page;
        size_t count;
        TRY(traces_page(j, STR_NONE, &after, &c->arena, &page, &count));
        for (size_t i = 0; i < count; i++)
            add_sample(c, (struct sample){page[i].pipeline, page[i].json});
    } while (after);
    return OK;
}

/* The newest version of each of the candidate's pipelines that the journal keeps, other than the candidate itself. */
static SUSPENDS err_t read_versions(void *ctx, struct journal *j)
{
    struct comparing *c = ctx;

    if (c->replay)
        TRY(read_samples(c, j));
    for (size_t i = 0; !c->old && i < c->candidate->count; i++) {
        uint64_t after = 0, version;
        struct pipeline_spec *found = NULL, *next;
        do {
            TRY(version_next(j, c->candidate->items[i], after, &after, &version, &next));
            if (next) {
                pipeline_unref(found);
                found = next;
            }
        } while (after);
        if (!found)
            continue;
        c->pairs[c->pair_count++] = (struct pair){.old = found, .candidate = pipeline_ref(c->candidate->items[i])};
    }
    return OK;
}

static const struct pipeline_spec *find_in(const struct pipeline_set *set, struct str name)
{
    for (size_t i = 0; i < set->count; i++)
        if (str_eq(set->items[i]->name, name))
            return set->items[i];
    return NULL;
}

/* By name; of two files with one pipeline each, these. */
static void make_pairs(struct comparing *c)
{
    bool is_one = c->old->count == 1 && c->candidate->count == 1;

    for (size_t i = 0; i < c->old->count; i++) {
        struct pipeline_spec *s = c->old->items[i];
        const struct pipeline_spec *other = is_one ? c->candidate->items[0] : find_in(c->candidate, s->name);
        c->pairs[c->pair_count++] =
            (struct pair){.old = pipeline_ref(s), .candidate = other ? pipeline_ref((void *)(uintptr_t)other) : NULL};
    }
}

static int load_all(struct comparing *c)
{
    const struct compat_pipeline_options *o = c->given;
    int code = load_set(o->candidate, &c->candidate, &c->candidate_catalog);

    if (code == EXIT_OK && o->running)
        code = load_set(o->running, &c->old, &c->old_catalog);
    if (code != EXIT_OK)
        return code;
    size_t most = c->candidate->count + (c->old ? c->old->count : 0);
    c->pairs = arena_zalloc(&c->arena, (most + 1) * sizeof *c->pairs);
    if (c->old)
        make_pairs(c);
    if (!o->journal)
        return EXIT_OK;
    code = journal_file_run(&command_compat, o->journal, read_versions, c);
    return code == EXIT_OK && !c->pair_count
               ? complain("the journal keeps no other version of these pipelines: name the file of the one that runs")
               : code;
}

/* --- comparing --- */

/* Its texts are in the arena. */
static struct pipeline_world world_of(const struct pipeline_spec *s, const struct catalog *catalog, struct arena *arena)
{
    struct pipeline_world w = {.env = config_env_real(), .catalog = catalog, .connections = s->connections_};

    w.texts = pipeline_texts(s, arena, &w.text_count);
    return w;
}

/* The newest samples of the pipeline through its candidate. */
static err_t replay(struct comparing *c, struct pair *p)
{
    const struct pipeline_world world = world_of(p->candidate, c->candidate_catalog, &c->arena);
    const struct rehearsal_options o = {.seed = 1, .alpha = c->alpha, .is_exact = c->given->is_exact};
    struct str *traces = arena_alloc(&c->arena, (c->sample_count + 1) * sizeof *traces), where = p->old->name;
    size_t count = 0;

    for (size_t i = 0; i < c->sample_count; i++)
        if (str_eq(c->samples[i].pipeline, p->old->name))
            traces[count++] = c->samples[i].json;
    size_t left = count > c->replay ? count - c->replay : 0;
    TRY(rehearse(p->candidate, &world, traces + left, count - left, &o, &p->impacts, &p->rehearsal));
    if (!p->rehearsal.messages)
        (void)impacts_add(&p->impacts, IMPACT_UNKNOWN, where,
                          "the journal has no messages with all their records to replay: set \"samples\"");
    else if (!p->rehearsal.compared)
        (void)impacts_add(&p->impacts, IMPACT_UNKNOWN, where, "no replayed message can be compared");
    return OK;
}

static err_t compare(struct comparing *c, struct pair *p)
{
    p->impacts.arena = &c->arena;
    if (!p->candidate) {
        (void)impacts_add(&p->impacts, IMPACT_BREAKS, p->old->name, "the pipeline is gone");
        return OK;
    }
    TRY(pipeline_compare(p->old, p->candidate, &p->impacts));
    return c->replay ? replay(c, p) : OK;
}

/* --- telling --- */

static void put_impact(const struct impact *i, struct json_out *o)
{
    json_open(o, '{');
    json_member_str(o, STR("weight"), str_from_c(impact_weight_name(i->weight)));
    json_member_str(o, STR("where"), i->where);
    json_member_str(o, STR("text"), i->text);
    if (i->document.n)
        json_member_raw(o, STR("document"), i->document);
    json_member_open(o, STR("hit"), '[');
    for (size_t k = 0; k < i->hit_count; k++)
        json_put_str(o, i->hit[k]);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_rehearsal(const struct rehearsal *r, struct json_out *o)
{
    json_member_open(o, STR("replay"), '{');
    json_member_u64(o, STR("messages"), r->messages);
    json_member_u64(o, STR("left_out"), r->left_out);
    json_member_u64(o, STR("asked_otherwise"), r->unasked);
    json_member_u64(o, STR("compared"), r->compared);
    json_member_u64(o, STR("tests"), r->tests);
    json_close(o, '}');
}

static void print_json(const struct comparing *c, const char *verdict)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct json_out o = json_out_to(&text);

    json_open(&o, '{');
    json_member_str(&o, STR("verdict"), str_from_c(verdict));
    json_member_open(&o, STR("pipelines"), '[');
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct pair *p = &c->pairs[i];
        json_open(&o, '{');
        json_member_str(&o, STR("pipeline"), p->old->name);
        json_member_str(&o, STR("from"), str_from_c(p->old->digest));
        if (p->candidate)
            json_member_str(&o, STR("to"), str_from_c(p->candidate->digest));
        json_member_u64(&o, STR("breaks"), p->impacts.breaks);
        json_member_u64(&o, STR("unknown"), p->impacts.unknown);
        if (c->replay)
            put_rehearsal(&p->rehearsal, &o);
        json_member_open(&o, STR("impacts"), '[');
        for (size_t k = 0; k < p->impacts.count; k++)
            put_impact(&p->impacts.items[k], &o);
        json_close(&o, ']');
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    (void)printf("%.*s\n", STR_ARG(buf_str(&text)));
}

static void print_text(const struct comparing *c, const char *verdict)
{
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct pair *p = &c->pairs[i];
        for (size_t k = 0; k < p->impacts.count; k++) {
            const struct impact *at = &p->impacts.items[k];
            if (at->weight == IMPACT_NOTE && c->given->is_quiet)
                continue;
            (void)printf("%-8s %.*s: %.*s\n", impact_weight_name(at->weight), STR_ARG(at->where), STR_ARG(at->text));
            if (at->document.n)
                (void)printf("         shown by %.*s\n", STR_ARG(at->document));
            for (size_t h = 0; h < at->hit_count; h++)
                (void)printf("         hits %.*s\n", STR_ARG(at->hit[h]));
        }
        if (c->replay)
            (void)printf("replayed %zu messages: %zu compared, %zu asked otherwise, %zu left out; %zu tests at %g "
                         "together\n",
                         p->rehearsal.messages, p->rehearsal.compared, p->rehearsal.unasked, p->rehearsal.left_out,
                         p->rehearsal.tests, c->alpha);
        (void)printf("%.*s: %zu break%s, %zu unknown\n", STR_ARG(p->old->name), p->impacts.breaks,
                     p->impacts.breaks == 1 ? "" : "s", p->impacts.unknown);
    }
    (void)printf("%s\n", verdict);
}

static int tell(const struct comparing *c)
{
    size_t breaks = 0, unknown = 0;

    for (size_t i = 0; i < c->pair_count; i++) {
        breaks += c->pairs[i].impacts.breaks;
        unknown += c->pairs[i].impacts.unknown;
    }
    bool is_unknown = !breaks && unknown && c->given->is_strict;
    const char *verdict = breaks ? "incompatible" : is_unknown ? "unknown" : "compatible";
    if (c->given->wants_json)
        print_json(c, verdict);
    else
        print_text(c, verdict);
    return breaks ? EXIT_FAILED : is_unknown ? EXIT_USAGE : EXIT_OK;
}

/* --- the command --- */

static void release(struct comparing *c)
{
    for (size_t i = 0; i < c->pair_count; i++) {
        pipeline_unref(c->pairs[i].old);
        pipeline_unref(c->pairs[i].candidate);
    }
    pipeline_set_free(c->old);
    pipeline_set_free(c->candidate);
    catalog_unref(c->old_catalog);
    catalog_unref(c->candidate_catalog);
    arena_release(&c->arena);
}

/* "0.01", "1%": more than nothing, less than all. */
static bool read_share(const char *text, double *ret)
{
    char *end;
    double share = strtod(text, &end);

    if (end != text && strcmp(end, "%") == 0) {
        share /= 100;
        end++;
    }
    *ret = share;
    return end != text && !*end && share > 0 && share < 1;
}

static int read_given(struct comparing *c)
{
    const struct compat_pipeline_options *o = c->given;

    if (o->replay && (!str_to_u64(str_from_c(o->replay), REHEARSAL_MESSAGES_MAX, &c->replay) || !c->replay))
        return complain("--replay takes a number of messages, at most 100000");
    if (o->alpha && !read_share(o->alpha, &c->alpha))
        return complain("--alpha is a share between 0 and 1: 1%");
    return o->replay && !o->journal ? complain("--replay goes with --journal: that is where the messages are")
                                    : EXIT_OK;
}

int compat_pipeline(const struct compat_pipeline_options *o)
{
    struct comparing c CLEANUP(release) = {.given = o, .alpha = 0.01};
    err_t e = OK;

    arena_init(&c.arena, SIZE_MAX);
    if (read_given(&c) != EXIT_OK)
        return EXIT_USAGE;
    if (!o->running && !o->journal)
        return complain("name what runs now: its file, or --journal");
    int code = load_all(&c);
    for (size_t i = 0; code == EXIT_OK && e == OK && i < c.pair_count; i++)
        e = compare(&c, &c.pairs[i]);
    if (e != OK) {
        (void)fprintf(stderr, "crossdock compat: %s\n", err_detail(e));
        return EXIT_FAILED;
    }
    return code == EXIT_OK ? tell(&c) : code;
}
