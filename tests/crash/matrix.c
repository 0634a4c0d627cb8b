/*
 * matrix.c - the crash matrix: each pair of a source and a sink, killed at each boundary that it has, and held to what `pipeline explain` says of it.
 *
 * A boundary is a wait: what a pipeline tells the world (a commit of the journal, a batch at a sink, an acknowledgement at a source) it tells before or at one. Each
 * has a name, of the fiber that waits and what for, and the runtime tells a test of each (fiber_set_park_hook()), at no cost to the program.
 *
 * A first run finds out which boundaries there are and how often each is come to. Then, for each of these moments: a fresh pipeline is killed (SIGKILL) there, begun again on the
 * journal that is left, and run to its end. The oracle is asked at the sink itself, and is the one of the promise that the pipeline is given by its
 * rows: no number missing, none twice, each lane in order, as far as each is promised.
 *
 * All moments are `make crash`; --step n takes the first and the last one of each boundary, and every n-th of the rest (`make crash-quick`); of pairs whose
 * ends are both in simpler ones, the last one and every n-th.
 */
#include "crash/crash.h"

#include "brokers/pipelines.h"
#include "pipeline/spec/promise.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { BOUNDARIES_MAX = 200, NAME_MAX_ = 80, BATCH = 5, LOOK_MS = 5 };

struct boundary {
    char name[NAME_MAX_];
    unsigned times;
};

/* Shared with the pipeline's process, which writes it. */
struct moments {
    struct boundary boundaries[BOUNDARIES_MAX];
    unsigned count;
    unsigned kill_boundary, kill_time; /* kill_time 0: nowhere */
    _Atomic bool has_arrived;          /* set by who looks at the sink */
};

static struct moments *moments;
static unsigned cases;

/* --- boundaries --- */

static struct boundary *find_boundary(const char *name)
{
    for (unsigned i = 0; i < moments->count; i++)
        if (strcmp(moments->boundaries[i].name, name) == 0)
            return &moments->boundaries[i];
    if (moments->count == BOUNDARIES_MAX)
        return NULL;
    struct boundary *b = &moments->boundaries[moments->count++];
    (void)snprintf(b->name, sizeof b->name, "%s", name);
    return b;
}

static void at_wait(struct fiber *f)
{
    char name[NAME_MAX_];

    if (strcmp(fiber_name(f), "watch") == 0) /* the test's own */
        return;
    (void)snprintf(name, sizeof name, "%s: %s", fiber_name(f), fiber_reason(f));
    struct boundary *b = find_boundary(name);
    if (b && ++b->times == moments->kill_time && b == &moments->boundaries[moments->kill_boundary])
        (void)kill(getpid(), SIGKILL);
}

static void forget_times(void)
{
    for (unsigned i = 0; i < moments->count; i++)
        moments->boundaries[i].times = 0;
}

/* --- the pipeline --- */

static const char *journal = "sync"; /* of the pair that is tried */

static void write_pipeline_file(const struct crash_case *c, const struct crash_source *from,
                                const struct crash_sink *to)
{
    char text[4096];
    size_t n = 0;

#define ADD(...) (n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__))
    ADD("pipeline: crash%u\nversion: 1\ndelivery: at_most_once\njournal: %s\n", c->number, journal);
    if (from->print_connection || to->print_connection)
        ADD("connections:\n");
    if (from->print_connection)
        n += (size_t)from->print_connection(text + n, sizeof text - n);
    if (to->print_connection && to->print_connection != from->print_connection)
        n += (size_t)to->print_connection(text + n, sizeof text - n);
    ADD("sources:\n  in: {key: '.n %% 2', ");
    n += (size_t)from->print(c, text + n, sizeof text - n);
    ADD("}\nsinks:\n  out: {from: in, batch: %d, ", BATCH);
    n += (size_t)to->print(c, text + n, sizeof text - n);
    ADD("}\n");
#undef ADD
    write_file(c->folder, "p.yaml", text);
}

/* What explain prints for the pair, as bits. */
static unsigned promised(const struct crash_case *c)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct pipeline_set *set;
    char path[80];

    (void)snprintf(path, sizeof path, "%s/p.yaml", c->folder);
    err_t e = load_pipelines(path, &problems, &set, NULL);
    for (size_t i = 0; i < problems.count; i++)
        (void)fprintf(stderr, "%.*s\n", STR_ARG(problems.items[i].text));
    if (e != OK) {
        test_fail_(__FILE__, __LINE__, "%s", err_detail(e));
        return PROMISE_EXACTLY;
    }
    const struct pipeline_spec *s = set->items[0];
    unsigned bits = promise_of(s, pipeline_find(s, STR("in")), pipeline_find(s, STR("out"))).bits;
    pipeline_set_free(set);
    return bits;
}

/* --- the oracle --- */

static unsigned count_of(const unsigned *numbers, size_t count, unsigned n)
{
    unsigned times = 0;

    for (size_t i = 0; i < count; i++)
        times += numbers[i] == n;
    return times;
}

/* Numbers of each lane rise, what came before being passed over if it may come again. */
static bool is_in_order(const unsigned *numbers, size_t count, bool may_repeat)
{
    unsigned last[2] = {0, 0};

    for (size_t i = 0; i < count; i++) {
        unsigned *before = &last[numbers[i] % 2];
        if (numbers[i] <= *before && !may_repeat)
            return false;
        if (numbers[i] > *before && numbers[i] != (*before ? *before + 2 : 2 - numbers[i] % 2))
            return false;
        *before = numbers[i] > *before ? numbers[i] : *before;
    }
    return true;
}

/* Dead letters that the journal has. */
static unsigned count_dead(const struct crash_case *c)
{
    char path[80];
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    unsigned count = 0;

    (void)snprintf(path, sizeof path, "%s/journal.db", c->folder);
    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "select count(*) from dead", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        count = (unsigned)sqlite3_column_int(st, 0);
    else
        test_fail_(__FILE__, __LINE__, "%s", sqlite3_errmsg(db));
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return count;
}

static bool is_all_there(const struct crash_case *c, const struct crash_sink *to)
{
    static unsigned numbers[CRASH_READ_MAX];
    size_t count = to->read(c, numbers, CRASH_READ_MAX);

    for (unsigned n = 1; n <= CRASH_NUMBERS; n++)
        if (count_of(numbers, count, n) == 0)
            return false;
    return true;
}

/* What has arrived is not done yet while the journal has its message: a file's last batch is cut off after a crash, and written again. */
static SUSPENDS bool has_messages(void)
{
    struct arena arena CLEANUP(arena_release);
    char name[16];
    struct journal_page page;

    arena_init(&arena, SIZE_MAX);
    (void)snprintf(name, sizeof name, "crash%u", cases);
    const struct journal_query q = {
        .kind = JOURNAL_ROOTS,
        .r = {.pipeline = str_from_c(name), .source = STR("in"), .partition = JOURNAL_ANY_PARTITION},
        .limit = 1};
    return journal_read(trial.journal, &q, &arena, &page) != OK || page.count;
}

static SUSPENDS bool is_over(const struct shard_stats *s UNUSED)
{
    return atomic_load(&moments->has_arrived) && !has_messages();
}

static void check_promise(const struct crash_case *c, const struct crash_sink *to, unsigned bits)
{
    static unsigned numbers[CRASH_READ_MAX];
    size_t count = to->read(c, numbers, CRASH_READ_MAX);
    bool may_repeat = bits & (PROMISE_REPEATS | (to->keeps_one ? 0 : PROMISE_KEYED)), may_lose = bits & PROMISE_LOSES;
    unsigned missing = 0;

    for (unsigned n = 1; n <= CRASH_NUMBERS; n++) {
        unsigned times = count_of(numbers, count, n);
        missing += times == 0;
        CHECK_MSG(times > 0 || may_lose, "%u is missing", n);
        CHECK_MSG(times < 2 || may_repeat, "%u is there %u times", n, times);
    }
    CHECK_LE(missing, may_lose ? count_dead(c) : 0); /* what may be lost is told */
    CHECK_MSG(may_lose || is_in_order(numbers, count, may_repeat), "a lane is not in order");
}

/* --- a case --- */

static bool begin_case(struct crash_case *c, const struct crash_source *from, const struct crash_sink *to)
{
    begin_trial();
    *c = (struct crash_case){.number = ++cases, .run = getpid()};
    (void)snprintf(c->folder, sizeof c->folder, "%s", trial.folder);
    if (to->prepare)
        to->prepare(c);
    from->fill(c);
    write_pipeline_file(c, from, to);
    trial.at_wait = at_wait;
    trial.is_over = from->ends ? NULL : is_over;
    trial.port = c->port;
    return !test_failed();
}

static void end_case(const struct crash_source *from)
{
    if (from->end)
        from->end();
}

/* Look at the sink until all is there, in a process of its own: the pipeline's waits are none of ours. */
static pid_t begin_looking(const struct crash_case *c, const struct crash_sink *to)
{
    atomic_store(&moments->has_arrived, false);
    pid_t child = fork();
    if (child != 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!is_all_there(c, to))
        (void)poll(NULL, 0, LOOK_MS);
    atomic_store(&moments->has_arrived, true);
    _exit(0);
}

/* Run the pipeline once: how that ended. One whose source does not end is told when all is there. */
static int run_once(const struct crash_case *c, const struct crash_source *from, const struct crash_sink *to)
{
    pid_t looking = from->ends ? 0 : begin_looking(c, to);
    int end = pipeline_try(&trial);

    if (looking) {
        (void)kill(looking, SIGKILL);
        (void)waitpid(looking, NULL, 0);
    }
    return end;
}

/* Begin it again: it must come to its end now, and not by its deadline. */
static void run_to_end(const struct crash_case *c, const struct crash_source *from, const struct crash_sink *to)
{
    trial.at_wait = NULL;
    CHECK_EQ(run_once(c, from, to), PIPELINE_ENDED);
}

/* Killed at the `time`-th coming to a boundary. False: it did not come there this time. */
static bool crash_at(const struct crash_source *from, const struct crash_sink *to, unsigned boundary, unsigned time)
{
    struct crash_case c;

    if (!begin_case(&c, from, to))
        return false;
    forget_times();
    moments->kill_boundary = boundary;
    moments->kill_time = time;
    bool was_killed = run_once(&c, from, to) == PIPELINE_KILLED;
    moments->kill_time = 0;
    run_to_end(&c, from, to);
    end_case(from);
    if (!test_failed())
        check_promise(&c, to, promised(&c));
    if (test_failed())
        (void)printf("# killed at \"%s\", the %u. time; what is left is in %s\n", moments->boundaries[boundary].name,
                     time, c.folder);
    else
        remove_trial();
    return was_killed;
}

/* Which boundaries there are, in `ret`. */
static void survey(const struct crash_source *from, const struct crash_sink *to, struct moments *ret)
{
    struct crash_case c;

    memset(moments, 0, sizeof *moments);
    if (!begin_case(&c, from, to))
        return;
    int end = run_once(&c, from, to);
    end_case(from);
    CHECK_EQ(end, PIPELINE_ENDED);
    check_promise(&c, to, promised(&c));
    remove_trial();
    *ret = *moments;
}

/* Is each of its ends in another pair, with a file? */
static bool is_compound(const struct crash_source *from, const struct crash_sink *to)
{
    return from != &crash_files && to != &crash_file && to != &crash_reply;
}

static void run_pair(const struct crash_source *from, const struct crash_sink *to)
{
    static struct moments found;
    unsigned tried = 0, killed = 0, all = 0;

    if (!from->begin() || !to->begin())
        return;
    moments = mmap(NULL, sizeof *moments, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_NE(moments, MAP_FAILED);
    survey(from, to, &found);
    for (unsigned b = 0; b < found.count && !test_failed(); b++)
        for (unsigned time = 1; time <= found.boundaries[b].times && !test_failed(); time++) {
            if (all++ % test_step() && (time > 1 || is_compound(from, to)) && time < found.boundaries[b].times)
                continue;
            tried++;
            killed += crash_at(from, to, b, time);
        }
    (void)printf("# %s -> %s: %u boundaries, %u moments, tried %u, killed at %u\n", from->name, to->name, found.count,
                 all, tried, killed);
    (void)munmap(moments, sizeof *moments);
    CHECK_GT(found.count, 4);
    CHECK_GT(killed * 2, tried); /* else it does not do what it says */
}

#define PAIR(test_name, from, to)                                                                                      \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        run_pair(&(from), &(to));                                                                                      \
    }

PAIR(crash_from_files_to_a_file, crash_files, crash_file)
PAIR(crash_from_files_to_sqlite, crash_files, crash_sqlite)
PAIR(crash_from_files_to_redis, crash_files, crash_redis)
PAIR(crash_from_files_to_postgres, crash_files, crash_postgres)
PAIR(crash_from_files_to_nats, crash_files, crash_nats)
PAIR(crash_from_files_to_kafka, crash_files, crash_kafka)
PAIR(crash_from_files_to_puts_whose_answers_are_lost, crash_files, crash_http_put)
PAIR(crash_from_files_to_posts_with_a_key_whose_answers_are_lost, crash_files, crash_http_key)
PAIR(crash_from_files_to_posts_at_least_once, crash_files, crash_http_again)
PAIR(crash_from_files_to_posts_at_most_once, crash_files, crash_http_perhaps)
PAIR(crash_from_files_to_s3_whose_answers_are_lost, crash_files, crash_s3)
PAIR(crash_from_files_to_qdrant_whose_answers_are_lost, crash_files, crash_qdrant)
PAIR(crash_from_files_to_opensearch_whose_answers_are_lost, crash_files, crash_opensearch)
PAIR(crash_from_redis_to_a_file, crash_redis_stream, crash_file)
PAIR(crash_from_postgres_to_a_file, crash_postgres_outbox, crash_file)
PAIR(crash_from_nats_to_a_file, crash_jetstream, crash_file)
PAIR(crash_from_kafka_to_a_file, crash_topic, crash_file)
PAIR(crash_from_the_clock_to_a_file, crash_clock, crash_file)
PAIR(crash_from_http_to_a_file, crash_webhook, crash_file)
PAIR(crash_from_http_to_its_reply, crash_requests, crash_reply)
PAIR(crash_from_http_to_a_file_and_its_reply_later, crash_requests, crash_reply_later)
PAIR(crash_from_redis_to_nats, crash_redis_stream, crash_nats)
PAIR(crash_from_postgres_to_postgres, crash_postgres_outbox, crash_postgres)
PAIR(crash_from_kafka_to_kafka, crash_topic, crash_kafka)
PAIR(crash_from_kafka_to_another_kafka, crash_topic, crash_kafka_elsewhere)
PAIR(crash_from_kafka_to_postgres, crash_topic, crash_postgres)

/* Nothing is left of the process that died: what it has not acknowledged comes again from the source. */
#define PAIR_WITHOUT_JOURNAL(test_name, from, to)                                                                      \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        journal = "none";                                                                                              \
        run_pair(&(from), &(to));                                                                                      \
        journal = "sync";                                                                                              \
    }

PAIR_WITHOUT_JOURNAL(crash_without_a_journal_from_postgres_to_a_file, crash_postgres_outbox, crash_file)
PAIR_WITHOUT_JOURNAL(crash_without_a_journal_from_nats_to_a_file, crash_jetstream, crash_file)
PAIR_WITHOUT_JOURNAL(crash_without_a_journal_from_files_to_a_file, crash_files, crash_file)
