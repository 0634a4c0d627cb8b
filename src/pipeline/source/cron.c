/*
 * cron.c - messages that the clock sends: every so often, or at the minutes that five fields name.
 *
 * A message is the instant that it is due at, so two processes, or one that was killed, make the same one. The journal has the last one that was sent, or
 * when the source first ran; what has come due since, while nobody ran or while too much was under way, is made up for as `missed` says.
 *
 * The clock is looked at again every so often, because it may be set. If it is set back, nothing is due until it has passed the last message again.
 */
#include "base/bytes.h"
#include "base/date.h"
#include "base/mem.h"
#include "expr/value.h"
#include "pipeline/run/shard_int.h"
#include "pipeline/spec/build.h"
#include "pipeline/spec/schedule.h"
#include "rt/loop.h"

#include <string.h>

enum { MISSED_LAST, MISSED_ALL, MISSED_SKIP };

struct cron_source {
    struct schema_text schedule, zone_name, body;
    ns_t every;
    int missed;
    struct schedule fields;
    struct tz zone;
    const struct expr *body_expr;
};

static const struct schema_choice missed[] = {{"last", MISSED_LAST, "the last one only"},
                                              {"all", MISSED_ALL, "all, one after the other"},
                                              {"skip", MISSED_SKIP, "none"},
                                              {NULL, 0, NULL}};
static const struct schema_field cron_fields[] = {
    SCHEMA_TEXT("schedule", struct cron_source, schedule,
                .doc = "Minute, hour, day of the month, month, day of the week (0 and 7: Sunday): `0 6 * * "
                       "mon-fri`, `*/15 * * * *`."),
    SCHEMA_TEXT("zone", struct cron_source, zone_name, .default_doc = "UTC",
                .doc =
                    "Time zone of the schedule: `Europe/Berlin`. What falls into the hour that is left out in spring "
                    "is due at its end; what the clocks show twice in autumn is due once, unless every hour is."),
    SCHEMA_DURATION("every", struct cron_source, every, .min = "100ms", .max = "366d",
                    .doc = "Instead: so often, counted from 1970, so that every process means the same instants."),
    SCHEMA_TEXT("body", struct cron_source, body, .default_doc = "`{due: …}`",
                .doc = "Expression for the message; `$meta.timestamp` is when it is due."),
    SCHEMA_ENUM("missed", struct cron_source, missed, missed, .default_text = "last",
                .doc = "What was due while nobody ran."),
    SCHEMA_END};
static const struct schema_object cron_object = {
    .fields = cron_fields, .size = sizeof(struct cron_source), .shorthand = "schedule"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("cron", &cron_object, .doc = "The clock."), SCHEMA_END};

enum { ZONE_MAX = 64 };

/* A name of the tz database ("Europe/Berlin"), and nothing that leads elsewhere. */
static bool is_zone_name(struct str s)
{
    static const char more[] = "/_+-";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && !memchr(more, c, sizeof more - 1))
            return false;
    }
    return s.n > 0 && s.n <= ZONE_MAX && s.p[0] != '/';
}

static void build_zone(struct pipeline_build *b, struct cron_source *c)
{
    struct str zone = c->zone_name.text, file;

    if (!zone.n || str_eq(zone, STR("UTC")))
        return;
    struct str path = arena_printf(b->arena, "/usr/share/zoneinfo/%.*s", STR_ARG(zone));
    if (!is_zone_name(zone))
        problems_error(b->problems, c->zone_name.node, "a time zone is called as in \"Europe/Berlin\"");
    else if (build_read(b, path, &file) != OK || tz_read(b->arena, file, &c->zone) != OK)
        problems_error(b->problems, c->zone_name.node, "the time zone \"%.*s\" cannot be had from this machine: %s",
                       STR_ARG(zone), err_current()->text);
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct cron_source *c = n->config;

    if (!c->schedule.text.n == !c->every)
        problems_error(b->problems, n->at, "\"cron\" needs either \"schedule\" or \"every\"");
    if (c->zone_name.text.n && c->every)
        problems_error(b->problems, c->zone_name.node, "\"zone\" goes with \"schedule\"");
    build_zone(b, c);
    if (c->schedule.text.n && !schedule_read(c->schedule.text, &c->fields))
        problems_error(
            b->problems, c->schedule.node,
            "a schedule has five fields, as in \"*/15 6-18 * * 1-5\": minute 0-59, hour 0-23, day 1-31, month "
            "1-12, weekday 0-7");
    else if (c->schedule.text.n && schedule_next(&c->fields, &c->zone, 0) == INT64_MAX)
        problems_error(b->problems, c->schedule.node, "this is never due: no month has such a day");
    c->body_expr = build_mapping_on(b, n, &c->body, &expr_type_null);
    if (c->body_expr)
        n->output_type = expr_output_type(c->body_expr);
}

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_EXACTLY,
     .how = "a message is the instant that it is due at; the next one is in the journal"},
    {0}};

/* --- running --- */

enum { PROGRESS_BYTES = 8, BODY_BYTES_MAX = 1 << 20 };
static const ns_t look_at_clock = 30 * NS_SEC;

static int64_t floor_seconds(int64_t at)
{
    return at / NS_SEC - (at % NS_SEC < 0);
}

/* The first instant after `after` that is due; INT64_MAX: none. */
static int64_t next_due(const struct cron_source *c, int64_t after)
{
    if (c->every)
        return (after / c->every + 1) * c->every;
    int64_t due = schedule_next(&c->fields, &c->zone, floor_seconds(after));
    return due >= INT64_MAX / NS_SEC ? INT64_MAX : due * NS_SEC;
}

/* The last one up to now of those that have come due from `due` on. */
static int64_t last_due(const struct cron_source *c, int64_t due, int64_t now)
{
    if (c->every)
        return now / c->every * c->every;
    for (int64_t next = next_due(c, due); next <= now; next = next_due(c, next))
        due = next;
    return due;
}

/* "2026-01-31T06:00:00Z", with milliseconds where there are any. */
static err_t add_instant(int64_t at, struct buf *to)
{
    int64_t seconds = floor_seconds(at), ms = (at - seconds * NS_SEC) / NS_MS, day = floor_seconds(at) / 86400;
    struct date d = date_of_day(day);
    int in_day = (int)(seconds - day * 86400);

    TRY(buf_addf(to, "%04d-%02d-%02dT%02d:%02d:%02d", d.year, d.month, d.day, in_day / 3600, in_day / 60 % 60,
                 in_day % 60));
    if (ms)
        TRY(buf_addf(to, ".%03d", (int)ms));
    return buf_add_char(to, 'Z');
}

/* What the message's program reads as $meta, as it is of a message that is not there yet. */
static err_t make_meta(const struct message *m, const struct pipeline_node *source, struct expr_budget *b,
                       struct expr_value *ret)
{
    struct expr_value headers;
    int64_t whole_ms = m->at / NS_MS;

    TRY(value_new_object(b, 0, &headers));
    TRY(value_new_object(b, 7, ret));
    TRY(value_put_fresh(b, ret, STR("id"), expr_string(STR(""))));
    TRY(value_put_fresh(b, ret, STR("root"), expr_string(STR(""))));
    TRY(value_put_fresh(b, ret, STR("key"), expr_null()));
    TRY(value_put_fresh(b, ret, STR("source"), expr_string(source->name)));
    TRY(value_put_fresh(b, ret, STR("attempt"), expr_number(1)));
    TRY(value_put_fresh(b, ret, STR("timestamp"), expr_number((double)whole_ms)));
    return value_put_fresh(b, ret, STR("headers"), headers);
}

static err_t make_body(const struct cron_source *c, const struct pipeline_node *source, const struct message *m,
                       struct arena *arena, struct buf *to)
{
    struct expr_budget b = {arena, expr_limits_default.steps, expr_limits_default.memory};
    struct expr_value named[PIPELINE_NAMED] = {[PIPELINE_NAMED_DEADLINE] = expr_null()}, body;
    const struct expr_input input = {.root = expr_null(), .named = named};

    if (!c->body_expr) {
        TRY(buf_add(to, STR("{\"due\":\"")));
        TRY(add_instant(m->at, to));
        return buf_add(to, STR("\"}"));
    }
    TRY(make_meta(m, source, &b, &named[PIPELINE_NAMED_META]));
    TRY(expr_eval(c->body_expr, arena, &input, &expr_limits_default, &body));
    return expr_value_print(body, to);
}

/* Send the message of that instant; *last is then that one. */
static SUSPENDS err_t send_due(struct intake *in, const struct pipeline_node *source, int64_t due, int64_t *last)
{
    struct message m = {.position = (uint64_t)(due / NS_MS), .at = due};
    struct arena arena CLEANUP(arena_release);
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_BYTES_MAX);
    char progress[PROGRESS_BYTES];

    arena_init(&arena, SIZE_MAX);
    err_t e = make_body(source->config, source, &m, &arena, &body);
    m.body = buf_str(&body);
    if (e != OK) {
        m.refused = e;
        m.reason = arena_str(&arena, str_from_c(err_detail(e)));
    }
    be64_put(progress, (uint64_t)due);
    TRY(intake_put(in, &m, 1, str_of(progress, sizeof progress)));
    *last = due;
    return OK;
}

/* The instant up to which everything is done: of the last message, or of the first run. */
static SUSPENDS err_t recall(struct intake *in, int64_t *ret)
{
    struct arena arena CLEANUP(arena_release);
    char progress[PROGRESS_BYTES];
    struct str kept;

    arena_init(&arena, SIZE_MAX);
    TRY(intake_progress(in, 0, &arena, &kept));
    *ret = rt_wall();
    if (kept.p && kept.n != PROGRESS_BYTES)
        return fail(E_IO, "what the journal has of the last time is damaged");
    if (kept.p) {
        *ret = (int64_t)be64_get(kept.p);
        return OK;
    }
    be64_put(progress, (uint64_t)*ret);
    return intake_note(in, 0, str_of(progress, sizeof progress));
}

static SUSPENDS err_t wait_until(int64_t due)
{
    for (int64_t now = rt_wall(); now < due; now = rt_wall())
        TRY(fiber_sleep_until(rt_now() + ns_min(due - now, look_at_clock)));
    return OK;
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    const struct cron_source *c = source->config;
    int64_t last = 0;

    TRY(recall(in, &last));
    if (c->missed == MISSED_SKIP && last < rt_wall())
        last = rt_wall();
    for (;;) {
        int64_t due = next_due(c, last);
        if (due == INT64_MAX)
            return OK;
        TRY(wait_until(due));
        if (c->missed != MISSED_ALL)
            due = last_due(c, due, rt_wall());
        TRY(send_due(in, source, due, &last));
    }
}

static const struct source_run source_run = {.run = run};

const struct source_kind source_kind_cron = {
    .kind = {.name = "cron", .fields = fields, .size = sizeof(struct cron_source), .build = build},
    .rows = rows,
    .run = &source_run,
};
