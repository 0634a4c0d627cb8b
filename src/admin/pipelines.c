/*
 * pipelines.c - how the pipelines fare, for operators and for Prometheus: what every loop tells of its shards, put together by pipeline.
 *
 * A shard's counts begin anew with a new version of its pipeline; older versions that still finish what they took in are counted in. Series are bounded: beyond
 * SERIES_MAX pipelines, those that are met last count as `other`.
 */
#include "admin/pipeline_nodes.h"

#include "base/mem.h"
#include "codec/json_out.h"
#include "pipeline/run/runner.h"
#include "pipeline/spec/draw.h"
#include "store/journal.h"

enum { SERIES_MAX = 500, NODE_SERIES_MAX = 5000, NAME_SHOWN = 200, PAGE_MAX = 64 << 20 };

/* A pipeline, all its shards together. */
struct sum {
    char name[NAME_SHOWN];
    size_t name_n;
    unsigned version, shards, running;
    char failure[ERR_TEXT_MAX]; /* of one of them; empty: none */
    struct shard_stats stats;
    struct node_sums nodes;
};

/* What goes round the loops. */
struct survey {
    struct sum *sums;
    size_t count, cap;
    struct arena arena;
    struct str wants_drawing; /* of that pipeline; empty: of none */
    struct buf drawing;
};

static void survey_free(void *survey)
{
    struct survey *v = survey;

    mem_free(v->sums);
    mem_free((void *)v->wants_drawing.p);
    buf_release(&v->drawing);
    arena_release(&v->arena);
    mem_free(v);
}

static struct str name_of(const struct sum *s)
{
    return str_of(s->name, s->name_n);
}

static struct sum *find(struct survey *v, struct str name)
{
    for (size_t i = 0; i < v->count; i++)
        if (str_eq(name_of(&v->sums[i]), name))
            return &v->sums[i];
    return NULL;
}

static struct sum *sum_for(struct survey *v, struct str name)
{
    struct str shown = name.n > NAME_SHOWN ? str_slice(name, 0, NAME_SHOWN) : name;
    struct sum *s = find(v, shown);

    if (s)
        return s;
    if (v->count == SERIES_MAX)
        shown = STR("other");
    s = find(v, shown);
    if (s)
        return s;
    if (v->count == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 16;
        v->sums = mem_realloc(v->sums, v->cap * sizeof *v->sums);
    }
    s = &v->sums[v->count++];
    *s = (struct sum){.name_n = shown.n};
    memcpy(s->name, shown.p, shown.n);
    return s;
}

static void add_stats(struct shard_stats *to, const struct shard_stats *s)
{
    to->roots += s->roots;
    to->again += s->again;
    to->resumed += s->resumed;
    to->completed += s->completed;
    to->dead += s->dead;
    to->emitted += s->emitted;
    to->late += s->late;
    to->missed += s->missed;
    to->under_way += s->under_way;
    to->bytes += s->bytes;
}

/* The picture of the version that runs, by the first shard that is met. */
static void draw(struct survey *v, const struct runner_status *st)
{
    if (!st->is_current || v->drawing.n || !v->wants_drawing.n || !str_eq(st->spec->name, v->wants_drawing))
        return;
    if (draw_svg(st->spec, &v->drawing) != OK)
        buf_clear(&v->drawing); /* it is too large to be drawn */
}

static void add_shard(void *survey, const struct runner_status *st)
{
    struct survey *v = survey;
    struct sum *s = sum_for(v, st->spec->name);

    s->version = st->is_current || !s->version ? st->spec->version : s->version;
    s->shards++;
    s->running += st->is_running;
    if (st->failure[0])
        memccpy(s->failure, st->failure, '\0', sizeof s->failure);
    add_stats(&s->stats, &st->stats);
    if (st->live && !str_eq(name_of(s), STR("other")))
        node_sums_add(&s->nodes, &v->arena, st->spec, st->live);
    draw(v, st);
}

void admin_tell_pipelines(const struct runner *r, void *survey)
{
    runner_each(r, add_shard, survey);
}

static SUSPENDS err_t look_round(const struct admin *a, struct str drawing, struct survey **ret)
{
    struct survey *v = NEW(struct survey);

    arena_init(&v->arena, SIZE_MAX);
    buf_init(&v->drawing, PAGE_MAX);
    if (drawing.n)
        v->wants_drawing = str_of(mem_dup(drawing.p, drawing.n), drawing.n);

    TRY(loops_visit(a->loops, a->pipelines, v, survey_free));
    *ret = v;
    return OK;
}

/* --- for operators --- */

static void put_count(struct json_out *o, struct str key, uint64_t n)
{
    json_key(o, key);
    json_put_u64(o, n);
}

static void put_sum(struct json_out *o, const struct sum *s, bool with_nodes)
{
    json_open(o, '{');
    json_member_str(o, STR("pipeline"), name_of(s));
    put_count(o, STR("version"), s->version);
    put_count(o, STR("shards"), s->shards);
    put_count(o, STR("running"), s->running);
    if (s->failure[0])
        json_member_str(o, STR("failure"), str_from_c(s->failure));
    put_count(o, STR("taken_in"), s->stats.roots);
    put_count(o, STR("again"), s->stats.again);
    put_count(o, STR("resumed"), s->stats.resumed);
    put_count(o, STR("completed"), s->stats.completed);
    put_count(o, STR("dead_letters"), s->stats.dead);
    put_count(o, STR("emitted"), s->stats.emitted);
    put_count(o, STR("late"), s->stats.late);
    put_count(o, STR("missed"), s->stats.missed);
    put_count(o, STR("under_way"), s->stats.under_way);
    put_count(o, STR("bytes"), s->stats.bytes);
    if (with_nodes)
        node_sums_put(&s->nodes, o);
    json_close(o, '}');
}

err_t serve_pipeline_graph(const struct admin *a, struct http_request *r, struct str name)
{
    static const struct http_header headers[] = {{STR_INIT("content-type"), STR_INIT("image/svg+xml")},
                                                 {STR_INIT("cache-control"), STR_INIT("no-store")}};
    struct survey *v;

    TRY(look_round(a, name, &v));
    struct http_reply reply = {
        .status = 200, .headers = headers, .count = ARRAY_LEN(headers), .length = (int64_t)v->drawing.n};
    err_t e = buf_status(&v->drawing);
    if (e == OK)
        e = v->drawing.n
                ? http_reply_whole(r, &reply, buf_str(&v->drawing))
                : admin_refuse(r, 404, STR("There is no pipeline of that name, or it is too large to be drawn."));
    survey_free(v);
    return e;
}

err_t serve_pipelines(const struct admin *a, struct http_request *r, struct str name)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(PAGE_MAX);
    struct json_out o = json_out_to(&body);
    struct survey *v;

    TRY(look_round(a, STR_NONE, &v));
    const struct sum *one = name.n ? find(v, name) : NULL;
    if (one) {
        put_sum(&o, one, true);
    } else if (!name.n) {
        json_open(&o, '{');
        json_key(&o, STR("pipelines"));
        json_open(&o, '[');
        for (size_t i = 0; i < v->count; i++)
            put_sum(&o, &v->sums[i], false);
        json_close(&o, ']');
        json_close(&o, '}');
    }
    survey_free(v);
    return body.n ? admin_reply_json(r, 200, &body) : admin_refuse(r, 404, STR("There is no pipeline of that name."));
}

/* --- for Prometheus --- */

static void put_series(struct buf *to, const struct survey *v, const char *name, const char *type, const char *help,
                       size_t offset)
{
    (void)buf_addf(to, "# HELP crossdock_pipeline_%s %s\n# TYPE crossdock_pipeline_%s %s\n", name, help, name, type);
    for (size_t i = 0; i < v->count; i++) {
        uint64_t n;
        memcpy(&n, (const char *)&v->sums[i].stats + offset, sizeof n);
        (void)buf_addf(to, "crossdock_pipeline_%s{pipeline=\"", name);
        (void)buf_add_json(to, name_of(&v->sums[i]));
        (void)buf_addf(to, "\"} %llu\n", (unsigned long long)n);
    }
}

/* Of the pipelines that were met first, as many as there may be series for. */
static void put_nodes(struct survey *v, struct buf *to)
{
    struct pipeline_sums all = {.of = arena_zalloc(&v->arena, (v->count + 1) * sizeof *all.of),
                                .names = arena_zalloc(&v->arena, (v->count + 1) * sizeof *all.names)};
    size_t nodes = 0;

    for (size_t i = 0; i < v->count; i++) {
        nodes += v->sums[i].nodes.count;
        if (nodes > NODE_SERIES_MAX)
            break;
        all.of[all.count] = &v->sums[i].nodes;
        all.names[all.count++] = name_of(&v->sums[i]);
    }
    node_sums_metrics(&all, to);
}

static void put_commits(const struct admin *a, struct buf *to)
{
    struct histogram took;

    if (!a->journal)
        return;
    journal_times(a->journal, &took);
    metrics_add_family(to, "journal_commit_seconds", "histogram",
                       "From handing a commit of pipelines to the journal until it was safe.");
    histogram_print(&took, &journal_spans, "journal_commit_seconds", STR_NONE, to);
}

err_t pipelines_metrics(const struct admin *a, struct buf *to)
{
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } rows[] = {
        {"messages_total", "counter", "Messages taken in.", offsetof(struct shard_stats, roots)},
        {"messages_again_total", "counter", "Messages that had come before.", offsetof(struct shard_stats, again)},
        {"messages_completed_total", "counter", "Messages that are done with.",
         offsetof(struct shard_stats, completed)},
        {"dead_letters_total", "counter", "Records that could not be worked on.", offsetof(struct shard_stats, dead)},
        {"records_emitted_total", "counter", "Records that sinks have applied.", offsetof(struct shard_stats, emitted)},
        {"late_total", "counter", "Items that could not be in time any more.", offsetof(struct shard_stats, late)},
        {"answers_missed_total", "counter", "Answers of the gateway that a source could not keep.",
         offsetof(struct shard_stats, missed)},
        {"messages_under_way", "gauge", "Messages under way.", offsetof(struct shard_stats, under_way)},
        {"bytes_under_way", "gauge", "Memory of messages under way.", offsetof(struct shard_stats, bytes)},
    };
    struct survey *v;

    TRY(look_round(a, STR_NONE, &v));
    for (size_t i = 0; v->count && i < ARRAY_LEN(rows); i++)
        put_series(to, v, rows[i].name, rows[i].type, rows[i].help, rows[i].offset);
    put_nodes(v, to);
    put_commits(a, to);
    survey_free(v);
    return OK;
}
