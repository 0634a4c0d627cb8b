/*
 * decisions.c - GET /admin/decisions/{request id}: what is known of one request, as it is and as a story.
 *
 * The latest requests are in the memory of the loop that served them; a visit asks each. Older ones are in the log on disk, if there is one: that is read on
 * a worker, from what was written last backwards, in growing spans of time, because who asks mostly asks about something that has just gone wrong. The
 * search ends after a while: `crossdock facts` reads as long as it takes.
 */
#include "admin/admin_int.h"
#include "base/mem.h"
#include "codec/json_out.h"
#include "observe/facts_log.h"
#include "observe/story.h"
#include "rt/worker.h"
#include "store/segments.h"

#define SEARCH_TIME (10 * NS_SEC)

enum { ID_MAX = 256, LOOK_EVERY = 1024, STORY_MAX = 4 * 1024 * 1024 };

/* Is there more than attempts? They may be those of a shadow, which can end, and be recorded, long after its request. */
static bool holds_request(const struct buf *records)
{
    struct str rest = buf_str(records), record;

    while ((record = facts_next_record(&rest)).n)
        if (record_type_of(record) != FACTS_ATTEMPT)
            return true;
    return false;
}

/* --- in memory --- */

static void recent_free(void *arg)
{
    struct admin_recent *recent = arg;

    buf_release(&recent->records);
    mem_free((void *)recent->id.p);
    mem_free(recent);
}

static SUSPENDS err_t ask_loops(const struct admin *a, struct str id, struct buf *ret)
{
    struct admin_recent *recent = NEW(struct admin_recent);

    recent->id = str_of(mem_dup(id.p, id.n), id.n);
    buf_init(&recent->records, ADMIN_ANSWER_MAX);
    TRY(loops_visit(a->loops, a->recent, recent, recent_free));
    err_t e = buf_add(ret, buf_str(&recent->records));
    recent_free(recent);
    return e;
}

/* --- on disk --- */

struct search {
    struct job job;
    const struct seams *seams;
    char *dir;
    struct str id;
    ns_t until;
    struct buf records; /* found */
    bool gave_up;
};

static void search_drop(struct job *j)
{
    struct search *s = CONTAINER_OF(j, struct search, job);

    buf_release(&s->records);
    mem_free((void *)s->id.p);
    mem_free(s->dir);
    mem_free(s);
}

static bool is_too_late(struct search *s)
{
    s->gave_up |= s->seams->clock->now(s->seams->ctx) >= s->until;
    return s->gave_up;
}

/* Everything of the request that was written since then. What cannot be read is as if it were not there. */
static void search_since(struct search *s, int64_t since)
{
    struct segment_reader *r;
    struct str record;
    unsigned seen = 0;

    if (segment_reader_open(s->seams, s->dir, since, &r) != OK)
        return;
    while (segment_reader_next(r, &record) == OK && record.p) {
        if (str_eq(facts_request_of(record), s->id))
            (void)buf_add(&s->records, record);
        if (++seen % LOOK_EVERY == 0 && is_too_late(s))
            break;
    }
    segment_reader_close(r);
}

static void search_run(struct job *j)
{
    static const ns_t spans[] = {60 * NS_SEC, 600 * NS_SEC, 7200 * NS_SEC, 86400 * NS_SEC, NS_NEVER};
    struct search *s = CONTAINER_OF(j, struct search, job);
    int64_t now = s->seams->clock->wall(s->seams->ctx);

    for (size_t i = 0; i < ARRAY_LEN(spans) && !holds_request(&s->records) && !is_too_late(s); i++) {
        buf_clear(&s->records);
        search_since(s, spans[i] == NS_NEVER ? 0 : now - spans[i]);
    }
}

static SUSPENDS err_t ask_disk(const struct admin *a, struct str id, struct buf *ret, bool *ret_gave_up)
{
    struct search *s = NEW(struct search);

    *s = (struct search){.job = {.run = search_run, .drop = search_drop},
                         .seams = loop_seams(),
                         .dir = mem_dup(a->facts_dir, strlen(a->facts_dir)),
                         .id = str_of(mem_dup(id.p, id.n), id.n),
                         .until = rt_now() + SEARCH_TIME,
                         .records = BUF_INIT(ADMIN_ANSWER_MAX)};
    TRY(worker_run(&s->job));
    err_t e = buf_add(ret, buf_str(&s->records));
    *ret_gave_up = s->gave_up;
    search_drop(&s->job);
    return e;
}

/* --- the answer --- */

static err_t put_list(struct json_out *o, struct str name, enum facts_kind kind, const char *items, size_t count)
{
    const struct record_type *t = facts_type(kind);

    json_member_open(o, name, '[');
    for (size_t i = 0; i < count; i++)
        TRY(record_json(t, items + i * t->size, json_begin_value(o)));
    json_close(o, ']');
    return OK;
}

static err_t put_story(struct json_out *o, const struct facts *f, size_t found)
{
    struct buf story CLEANUP(buf_release) = BUF_INIT(STORY_MAX);

    if (found > 1)
        buf_addf(&story, "At least %zu requests had this id; this is the latest of them.\n", found);
    story_tell(f, &story);
    TRY(buf_status(&story));
    json_member_open(o, STR("story"), '[');
    for (struct str rest = buf_str(&story); rest.n;)
        json_put_str(o, str_cut(&rest, '\n'));
    json_close(o, ']');
    return OK;
}

/* `found`: requests of the id that were come across; the search ends where some are. */
static err_t build_answer(const struct facts *f, size_t found, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_key(&o, STR("request"));
    TRY(record_json(facts_type(FACTS_REQUEST), f, json_begin_value(&o)));
    TRY(put_list(&o, STR("attempts"), FACTS_ATTEMPT, (const char *)f->tried, f->tried_count));
    TRY(put_list(&o, STR("decisions"), FACTS_DECISION, (const char *)f->decisions, f->decision_count));
    json_member_u64(&o, STR("found"), found);
    TRY(put_story(&o, f, found));
    json_close(&o, '}');
    return buf_status(to);
}

static SUSPENDS err_t refuse_unknown(const struct admin *a, struct http_request *r, struct str id, bool gave_up)
{
    const char *where =
        gave_up        ? "nor in what could be read of the log within 10 s: 'crossdock facts --request' reads all of it"
        : a->facts_dir ? "nor in the log on disk"
                       : "and there is no log on disk (facts.dir)";

    return admin_refuse(r, 404,
                        arena_printf(r->arena, "The request '%.*s' is not among the latest, %s.", STR_ARG(id), where));
}

err_t serve_decisions(const struct admin *a, struct http_request *r, struct str id)
{
    struct buf records CLEANUP(buf_release) = BUF_INIT(ADMIN_ANSWER_MAX);
    struct buf body CLEANUP(buf_release) = BUF_INIT(ADMIN_ANSWER_MAX);
    struct facts f;
    bool gave_up = false;

    if (!id.n || id.n > ID_MAX)
        return admin_refuse(r, 400, STR("Name a request: /admin/decisions/{request id}, as in its x-request-id."));
    TRY(ask_loops(a, id, &records));
    if (!holds_request(&records) && a->facts_dir) {
        buf_clear(&records);
        TRY(ask_disk(a, id, &records, &gave_up));
    }
    err_t e = facts_read(buf_str(&records), id, r->arena, &f);
    if (e == E_NOT_FOUND)
        return refuse_unknown(a, r, id, gave_up);
    TRY(e);
    TRY(build_answer(&f, facts_count(buf_str(&records), id), &body));
    return admin_reply_json(r, 200, &body);
}
