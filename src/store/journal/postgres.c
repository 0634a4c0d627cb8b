/*
 * postgres.c - a journal in PostgreSQL, which several processes may have open: commits and reads as jobs of a fiber with a connection.
 *
 * The fiber lives on a loop of its own, so all loops of the process share one connection, and what their fibers commit while the server is busy becomes one transaction
 * (postgres_commit.c). Jobs are done in their order.
 *
 * When the server cannot be reached, or says that it cannot just now, whoever waits is told E_IO, as of a disk that is full, and hands the same over again. Asynchronous
 * commits stay where they are, and are tried again.
 *
 * Not here: who of several processes does what (store/leases.h). Not in simulation.
 */
#include "base/log.h"
#include "base/mem.h"
#include "net/dns.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "store/journal/postgres_int.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum { GROUP_OPS_MAX = JOURNAL_OPS_MAX, GROUP_BYTES_MAX = 8 << 20, AGAIN_MAX = 5 };
static const ns_t pause_before_retry = 250 * NS_MS;

static struct postgres_journal *postgres_of(struct journal *j)
{
    return CONTAINER_OF(j, struct postgres_journal, base);
}

/* ---- jobs ---- */

static void job_free(struct postgres_job *job)
{
    arena_release(&job->arena);
    mem_free(job->copy);
    mem_free(job);
}

static void job_drop(struct serial_job *serial)
{
    struct postgres_job *job = CONTAINER_OF(serial, struct postgres_job, job);

    if (job->is_async) {
        (void)atomic_fetch_sub(&job->journal->queued, job->copy->bytes);
        if (serial->result != OK)
            journal_note_failure(&job->journal->base, serial->result);
    }
    job_free(job);
}

static struct postgres_job *job_new(struct postgres_journal *j)
{
    struct postgres_job *job = NEW(struct postgres_job);

    job->job.drop = job_drop;
    job->journal = j;
    arena_init(&job->arena, SIZE_MAX); /* a page has limits of its own */
    return job;
}

/* ---- the fiber's side ---- */

/* What whoever waits is told of an error of the server or of the way to it: to try again. */
static err_t as_io(err_t e)
{
    if (e == OK || e == E_FENCED || e == E_NOT_FOUND || e == E_TOO_LARGE)
        return e;
    struct err_record words = *err_current();
    return fail(E_IO, "%.*s", (int)sizeof words.text, words.text);
}

static struct postgres_job *take_first(struct postgres_journal *j)
{
    struct postgres_job *job = j->first;

    j->first = job->next;
    j->end = j->first ? j->end : &j->first;
    return job;
}

static SUSPENDS err_t do_read(struct postgres_journal *j, struct postgres_job *job)
{
    return as_io(job->wants_blob ? postgres_journal_blob(j->db, job->sha256, &job->arena, &job->bytes)
                                 : postgres_journal_read(j->db, &job->query, &job->arena, &job->page));
}

/* The commits at the front, as far as they go together. */
static const struct postgres_job *end_of_group(const struct postgres_journal *j, size_t most)
{
    const struct postgres_job *job = j->first;
    size_t ops = 0, bytes = 0;

    for (size_t n = 0; job && job->copy && n < most; n++, job = job->next) {
        ops += job->copy->n;
        bytes += job->copy->bytes;
        if (n && (ops > GROUP_OPS_MAX || bytes > GROUP_BYTES_MAX))
            break;
    }
    return job;
}

static void remove_job(struct postgres_journal *j, const struct postgres_job *job)
{
    struct postgres_job **at = &j->first;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (!*at)
        j->end = at;
}

/* None of these has come about, as far as anybody knows. Asynchronous ones stay. */
static void fail_group(struct postgres_journal *j, const struct postgres_job *end, err_t e)
{
    struct err_record words = *err_current();
    struct postgres_job *next;

    for (struct postgres_job *job = j->first; job != end; job = next) {
        next = job->next;
        if (job->is_async)
            continue;
        remove_job(j, job);
        *err_current() = words;
        serial_done(&job->job, e);
    }
}

/* Does it say that just now is a bad moment: others were in the way? */
static bool is_collision(err_t e, unsigned tries)
{
    return e == E_AGAIN && tries < AGAIN_MAX;
}

/* Is it about the values of one of the group? */
static bool is_about_values(err_t e)
{
    return e == E_CONFLICT || e == E_TOO_LARGE;
}

/* Those at the front, at most so many. False: they have to wait. */
static SUSPENDS bool do_group(struct postgres_journal *j, size_t most)
{
    const struct postgres_job *end = end_of_group(j, most);
    struct postgres_job *refused;
    unsigned tries = 0;
    err_t e;

    do
        e = postgres_journal_commit(j, j->first, end, &refused);
    while (is_collision(e, ++tries));
    if (refused) {
        remove_job(j, refused);
        serial_done(&refused->job, e);
        return true;
    }
    if (is_about_values(e) && j->first->next != end)
        return do_group(j, 1);
    if (is_about_values(e)) {
        serial_done(&take_first(j)->job, as_io(e));
        return true;
    }
    if (e != OK) {
        fail_group(j, end, as_io(e));
        return j->first == end;
    }
    while (j->first != end)
        serial_done(&take_first(j)->job, OK);
    return true;
}

/* All of it, or until it has to wait. Synchronous jobs behind what waits wait too: they are to come about later. */
static SUSPENDS void do_all(struct postgres_journal *j)
{
    while (j->first) {
        if (j->first->copy) {
            if (!do_group(j, SIZE_MAX))
                return;
            continue;
        }
        struct postgres_job *job = take_first(j);
        err_t e = do_read(j, job);
        serial_done(&job->job, e);
    }
}

static void append(struct postgres_journal *j, struct serial_job *jobs)
{
    while (jobs) {
        struct serial_job *next = jobs->next;
        struct postgres_job *job = CONTAINER_OF(jobs, struct postgres_job, job);
        job->next = NULL;
        *j->end = job;
        j->end = &job->next;
        jobs = next;
    }
}

/* Nobody hands over anything any more: what could not be written is lost. */
static void give_up(struct postgres_journal *j)
{
    while (j->first)
        serial_done(&take_first(j)->job, fail(E_IO, "the database of the journal was not there until the end"));
}

static SUSPENDS void work(struct postgres_journal *j)
{
    for (;;) {
        struct serial_job *jobs = NULL;
        err_t e = serial_take(j->serial, j->first ? rt_now() + pause_before_retry : NS_NEVER, &jobs);
        if (e == OK && !jobs)
            break;
        append(j, jobs);
        do_all(j);
    }
    do_all(j);
    give_up(j);
}

static SUSPENDS err_t journal_main(void *arg)
{
    struct postgres_journal *j = arg;

    j->db = postgres_new(&j->options);
    err_t e = postgres_journal_migrate(j->db);
    serial_opened(j->serial, e);
    if (e == OK)
        work(j);
    postgres_free(j->db);
    dns_drain();
    iobuf_drain();
    return OK;
}

/* ---- commits ---- */

/* False: too much waits already. */
static bool post(struct postgres_journal *j, struct postgres_job *job)
{
    size_t bytes = job->copy->bytes;

    if (atomic_fetch_add(&j->queued, bytes) > JOURNAL_QUEUE_MAX) {
        (void)atomic_fetch_sub(&j->queued, bytes);
        return false;
    }
    job->is_async = true;
    serial_post(j->serial, &job->job);
    return true;
}

static SUSPENDS err_t commit(struct journal *base, struct journal_op *ops, size_t n, enum journal_durability durability)
{
    struct postgres_journal *j = postgres_of(base);

    TRY(postgres_journal_check(ops, n));
    struct postgres_job *job = job_new(j);
    job->copy = journal_copy_ops(ops, n);
    if (durability == JOURNAL_ASYNC && post(j, job))
        return OK;
    err_t e = serial_run(j->serial, &job->job);
    if (e == E_CANCELLED || e == E_DEADLINE) /* the other thread's now */
        return e;
    if (e == OK)
        journal_copy_outcomes(job->copy, ops);
    job_free(job);
    return e;
}

/* ---- reads ---- */

static SUSPENDS err_t read_page(struct journal *base, const struct journal_query *query, struct arena *arena,
                                struct journal_page *ret)
{
    struct postgres_journal *j = postgres_of(base);
    struct postgres_job *job = job_new(j);

    job->query = *query;
    err_t e = journal_copy_record(&job->arena, &query->r, &job->query.r);
    if (e == OK) {
        e = serial_run(j->serial, &job->job);
        if (e == E_CANCELLED || e == E_DEADLINE)
            return e;
    }
    if (e == OK)
        e = journal_copy_page(arena, &job->page, ret);
    job_free(job);
    return e;
}

static SUSPENDS err_t read_blob(struct journal *base, const unsigned char *sha256, struct arena *arena, struct str *ret)
{
    struct postgres_journal *j = postgres_of(base);
    struct postgres_job *job = job_new(j);

    job->wants_blob = true;
    memcpy(job->sha256, sha256, SHA256_BYTES);
    err_t e = serial_run(j->serial, &job->job);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (e == OK)
        e = journal_copy_bytes(arena, job->bytes, ret);
    job_free(job);
    return e;
}

/* ---- life ---- */

/* The journal's own, with copies of all that they point to. */
static void copy_options(struct postgres_journal *j, const struct postgres_options *o)
{
    struct postgres_options *own = &j->options;
    struct str *texts[] = {&own->url, &own->user, &own->ca_file, &own->cert_file, &own->key_file};

    *own = *o;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = arena_str(&j->texts, *texts[i]);
    j->password = o->password ? secret_make(secret_reveal(o->password)) : (struct secret){0};
    own->password = &j->password;
}

static void journal_free(struct postgres_journal *j)
{
    arena_release(&j->texts);
    secret_release(&j->password);
    mem_free(j);
}

static err_t open_journal(const struct journal_options *o, struct journal **ret)
{
    struct postgres_journal *j = NEW(struct postgres_journal);

    assert(o->postgres);
    j->traces_max = o->traces_max;
    j->trace_age = o->trace_age;
    j->dead_age = o->dead_age;
    j->end = &j->first;
    arena_init(&j->texts, SIZE_MAX);
    copy_options(j, o->postgres);
    err_t e = serial_start_loop("journal", journal_main, j, &j->serial);
    if (e != OK) {
        journal_free(j);
        return e;
    }
    *ret = &j->base;
    return OK;
}

static void close_journal(struct journal *base)
{
    struct postgres_journal *j = postgres_of(base);

    serial_close(j->serial);
    journal_free(j);
}

const struct journal_kind journal_kind_postgres = {
    .name = "postgres",
    .is_shared = true,
    .open = open_journal,
    .close = close_journal,
    .commit = commit,
    .read = read_page,
    .blob = read_blob,
};
