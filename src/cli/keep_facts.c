/*
 * keep_facts.c - what becomes of a request's facts when it is over: a line of the access log, an entry among the latest, records of the log on disk.
 *
 * Runs on the request's own loop, once for each request, and once for each attempt beside requests: probes and shadows; and once for each message of a
 * pipeline and for what its taps show, which are on disk only. It copies a kilobyte or two and waits for nothing: what the disk cannot keep up with is dropped
 * and counted.
 */
#include "base/mem.h"
#include "cli/server.h"
#include "observe/access_log.h"
#include "observe/facts_log.h"

enum { ACCESS_LINE_MAX = 64 * 1024 };

/* A segment is the least that the log gives up at once: small enough for a small log, large enough for few files. */
#define SEGMENT_LEAST ((uint64_t)1 << 20)
#define SEGMENT_MOST ((uint64_t)64 << 20)

err_t server_open_facts(struct server *s)
{
    const struct catalog *c = s->first->catalog;
    uint64_t segment = c->facts.size / 8;

    if (!c->facts.dir.n)
        return OK;
    segment = segment < SEGMENT_LEAST ? SEGMENT_LEAST : segment > SEGMENT_MOST ? SEGMENT_MOST : segment;
    struct segments_rules rules = {
        .dir = c->facts.dir.p, .segment_bytes = segment, .total_bytes = c->facts.size, .max_age = c->facts.age};
    return err_context(segments_open(&rules, &s->facts), "facts.dir");
}

uint64_t server_facts_lost(const struct server *s)
{
    return __atomic_load_n(&s->facts_lost, __ATOMIC_RELAXED) + (s->facts ? segments_lost(s->facts) : 0);
}

void open_recent(struct server_loop *sl)
{
    uint64_t share = sl->server->first->catalog->facts.recent / sl->server->loop_count;

    buf_init(&sl->line, ACCESS_LINE_MAX);
    buf_init(&sl->records, FACTS_RECORDS_MAX);
    if (sl->server->first->catalog->facts.recent)
        sl->recent = facts_ring_new(share < FACTS_RING_LEAST ? FACTS_RING_LEAST : share);
}

void close_recent(struct server_loop *sl)
{
    buf_release(&sl->line);
    buf_release(&sl->records);
    facts_ring_free(sl->recent);
}

void find_recent(void *loop, void *recent)
{
    struct server_loop *sl = loop;
    struct admin_recent *to = recent;

    if (sl->recent)
        facts_ring_find(sl->recent, to->id, &to->records);
}

static void write_access_line(struct server_loop *sl, const struct facts *f)
{
    buf_clear(&sl->line);
    if (sl->server->access_console)
        access_log_console(f, sl->server->access_colour, &sl->line);
    else
        access_log_json(f, &sl->line);
    (void)writer_put(sl->server->access_writer, buf_str(&sl->line));
}

/* What was written to sl->records, if it could be. */
static void keep_records(struct server_loop *sl, struct str id, err_t written)
{
    struct server *s = sl->server;
    struct str rest, record;

    if (written != OK) {
        __atomic_fetch_add(&s->facts_lost, 1, __ATOMIC_RELAXED);
        return;
    }
    if (sl->recent && id.n)
        (void)facts_ring_put(sl->recent, id, buf_str(&sl->records));
    if (!s->facts)
        return;
    rest = buf_str(&sl->records);
    while ((record = facts_next_record(&rest)).n) {
        if (record.n <= SEGMENT_RECORD_MAX)
            (void)segments_put(s->facts, record); /* counts what it drops */
        else
            __atomic_fetch_add(&s->facts_lost, 1, __ATOMIC_RELAXED);
    }
}

void record_facts(void *loop, const struct facts *f)
{
    struct server_loop *sl = loop;

    if (sl->server->access_writer)
        write_access_line(sl, f);
    if (!sl->recent && !sl->server->facts)
        return;
    buf_clear(&sl->records);
    keep_records(sl, f->id, facts_write(f, &sl->records));
}

void record_beside(void *loop, const struct attempt_facts *f)
{
    struct server_loop *sl = loop;

    if (!sl->recent && !sl->server->facts)
        return;
    buf_clear(&sl->records);
    keep_records(sl, f->request, record_write(facts_type(FACTS_ATTEMPT), f, &sl->records));
}

/* One record that belongs to no request. */
static void record_alone(struct server_loop *sl, enum facts_kind kind, const void *f)
{
    buf_clear(&sl->records);
    keep_records(sl, STR_NONE, record_write(facts_type((int)kind), f, &sl->records));
}

static void record_root(void *loop, const struct root_facts *f)
{
    record_alone(loop, FACTS_ROOT, f);
}

static void record_tap(void *loop, const struct tap_facts *f)
{
    record_alone(loop, FACTS_TAP, f);
}

const struct pipeline_listener *pipelines_listener(struct server_loop *sl)
{
    sl->listener = (struct pipeline_listener){.on_root = record_root, .on_tap = record_tap, .ctx = sl};
    return sl->server->facts ? &sl->listener : NULL;
}
