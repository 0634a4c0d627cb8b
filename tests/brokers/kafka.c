/*
 * kafka.c - exactly once, against a real broker: processes that consume, transform and produce in transactions are killed at every step, and a reader of
 * committed records sees each key's sequence without a gap and without a duplicate. And: zombies are fenced, aborted records are not seen.
 *
 * Also what the newest committed record of a key is, and which offsets a group has committed.
 *
 * The broker is named by $KAFKA_BROKERS (tests/brokers/run starts one); without it these tests are skipped. Each test has topics, a group
 * and transactional ids of its own.
 */
#include "client/kafka.h"

#include "base/prng.h"
#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTITIONS = 3, KEYS = 8, PER_KEY = 40, RECORDS = KEYS * PER_KEY, BATCH = 9, NAME = 64 };

#define PATIENCE (60 * NS_SEC)

/* Where a process kills itself. */
enum step { AFTER_BEGIN, AFTER_PRODUCE, AFTER_OFFSETS, AFTER_COMMIT, NEVER };

static struct world {
    char in[NAME], out[NAME], group[NAME], id[NAME];
    struct kafka_config config;
    struct kafka_property properties[2];
} world;

static bool is_cooperative; /* all consumers of a test */

static bool has_broker(void)
{
    const char *brokers = getenv("KAFKA_BROKERS");

    if (!brokers) {
        test_skip("no Kafka: KAFKA_BROKERS is not set (scripts/brokers)");
        return false;
    }
    world.properties[0] = (struct kafka_property){STR("auto.offset.reset"), STR("earliest")};
    world.properties[1] = (struct kafka_property){STR("session.timeout.ms"), STR("6000")};
    world.config = (struct kafka_config){.brokers = str_from_c(brokers)};
    is_cooperative = false;
    return true;
}

static void name_all(const char *test)
{
    unsigned long run = (unsigned long)getpid();

    (void)snprintf(world.in, NAME, "%s-in-%lu", test, run);
    (void)snprintf(world.out, NAME, "%s-out-%lu", test, run);
    (void)snprintf(world.group, NAME, "%s-group-%lu", test, run);
    (void)snprintf(world.id, NAME, "%s-id-%lu", test, run);
}

static err_t open_producer(struct str id, struct kafka_producer **ret)
{
    return kafka_producer_open(&world.config, &(struct kafka_producer_options){.transactional_id = id}, ret);
}

static err_t open_consumer(struct str group, struct str member, struct str topic, struct kafka_consumer **ret)
{
    struct kafka_config config = world.config;

    config.properties = world.properties;
    config.property_count = ARRAY_LEN(world.properties);
    return kafka_consumer_open(
        &config,
        &(struct kafka_consumer_options){
            .group = group, .member = member, .topics = &topic, .topic_count = 1, .is_cooperative = is_cooperative},
        ret);
}

static err_t make_topic(struct kafka_producer *p, const char *name, int partitions) SUSPENDS
{
    return kafka_create_topic(
        p, &(struct kafka_topic){.name = str_from_c(name), .partitions = partitions, .replication = 1});
}

/* ---- the input: per key 0, 1, 2... ---- */

static void fill_input(void)
{
    struct kafka_producer *p;
    static struct kafka_record records[RECORDS];
    static struct kafka_delivery deliveries[RECORDS];
    static char keys[RECORDS][16], values[RECORDS][16];

    CHECK_OK(open_producer(STR_NONE, &p));
    CHECK_OK(make_topic(p, world.in, PARTITIONS));
    CHECK_OK(make_topic(p, world.out, PARTITIONS));
    CHECK_ERR(make_topic(p, world.out, PARTITIONS), E_CONFLICT);
    for (int i = 0; i < RECORDS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%d", i % KEYS);
        (void)snprintf(values[i], sizeof values[i], "%d", i / KEYS);
        records[i] = (struct kafka_record){.topic = str_from_c(world.in),
                                           .key = str_from_c(keys[i]),
                                           .value = str_from_c(values[i]),
                                           .partition = i % KEYS % PARTITIONS};
    }
    CHECK_OK(kafka_send(p, records, RECORDS, deliveries));
    kafka_producer_close(p);
}

/* ---- a process that consumes, transforms and produces ---- */

/* What such a process does besides. */
struct plan {
    enum step at;          /* where it kills itself...                          */
    unsigned in;           /* ...in the transaction of this number                          */
    unsigned leaves_after; /* so many transactions, it leaves the group; 0: never           */
    const char *member;    /* static membership; NULL: dynamic                              */
    unsigned number;       /* of the process; part of its transactional id                  */
};

static struct plan plan;

static void fault_point(enum step here, unsigned number)
{
    if (here == plan.at && number == plan.in)
        (void)raise(SIGKILL);
}

struct worker {
    struct kafka_consumer *c;
    struct kafka_producer *p;
    unsigned number; /* transactions so far */
};

/* One transaction: `b` goes to the output, each value with a '+' in front. */
static err_t transact(struct worker *w, const struct kafka_batch *b, const struct kafka_partition *next,
                      enum kafka_class *class) SUSPENDS
{
    struct kafka_record records[BATCH];
    char values[BATCH][16];
    size_t half = b->message_count / 2;

    for (size_t i = 0; i < b->message_count; i++) {
        const struct kafka_message *m = &b->messages[i];
        int n = snprintf(values[i], sizeof values[i], "+%.*s", STR_ARG(m->value));
        records[i] = (struct kafka_record){.topic = str_from_c(world.out),
                                           .key = m->key,
                                           .value = str_of(values[i], (size_t)n),
                                           .partition = m->partition};
    }
    TRY(kafka_begin(w->p, class));
    fault_point(AFTER_BEGIN, w->number);
    TRY(kafka_produce(w->p, records, half, class));
    fault_point(AFTER_PRODUCE, w->number);
    TRY(kafka_produce(w->p, records + half, b->message_count - half, class));
    TRY(kafka_transaction_offsets(w->p, w->c, next, b->message_count, class));
    fault_point(AFTER_OFFSETS, w->number);
    TRY(kafka_commit(w->p, class));
    fault_point(AFTER_COMMIT, w->number);
    return OK;
}

/* Offsets to be read next if the batch is done, or to be read again if it is not. One for each message, the same for all of a partition. */
static void positions(const struct kafka_batch *b, bool is_done, struct kafka_partition *to)
{
    for (size_t i = 0; i < b->message_count; i++) {
        to[i] = (struct kafka_partition){b->messages[i].topic, b->messages[i].partition, b->messages[i].offset};
        for (size_t k = 0; k < b->message_count; k++) {
            int64_t offset = b->messages[k].offset + is_done;
            if (b->messages[k].partition == to[i].partition &&
                (is_done ? offset > to[i].offset : offset < to[i].offset))
                to[i].offset = offset;
        }
    }
}

/* OK: done, or aborted and about to be read again. Otherwise the worker begins anew. */
static err_t do_messages(struct worker *w, const struct kafka_batch *b) SUSPENDS
{
    struct kafka_partition at[BATCH];
    enum kafka_class class;

    positions(b, true, at);
    err_t e = transact(w, b, at, &class);
    w->number++;
    if (e == OK)
        return OK;
    if (class != KAFKA_ABORTABLE)
        return e;
    TRY(kafka_abort(w->p, &class));
    positions(b, false, at);
    for (size_t i = 0; i < b->message_count; i++)
        (void)(kafka_seek(w->c, &at[i], 1) == OK); /* not ours any more, perhaps */
    return OK;
}

static err_t do_batch(struct worker *w) SUSPENDS
{
    struct kafka_batch *b;
    err_t e = kafka_poll(w->c, BATCH, NS_NEVER, &b);

    if (e != OK)
        return e == E_FENCED ? e : OK;
    e = b->message_count ? do_messages(w, b) : OK;
    if (e == OK && b->change == KAFKA_ASSIGNED)
        e = kafka_assign(w->c, b->partitions, b->partition_count);
    else if (e == OK && b->change != KAFKA_UNCHANGED)
        e = kafka_unassign(w->c, b->partitions, b->partition_count);
    kafka_batch_release(b);
    return e;
}

static err_t work_once(struct worker *w) SUSPENDS
{
    char id[NAME + 16];
    enum kafka_class class;

    (void)snprintf(id, sizeof id, "%s-%u", world.id, plan.number);
    TRY(open_producer(str_from_c(id), &w->p));
    TRY(kafka_transactions_init(w->p, &class));
    TRY(open_consumer(str_from_c(world.group), str_from_c(plan.member), str_from_c(world.in), &w->c));
    while (plan.leaves_after == 0 || w->number < plan.leaves_after)
        TRY(do_batch(w));
    return OK;
}

static err_t work(void *arg UNUSED)
{
    unsigned number = 0;

    for (;;) {
        struct worker w = {.number = number};
        err_t e = work_once(&w);
        if (e != OK)
            (void)fprintf(stderr, "worker: %s; again\n", err_detail(e));
        number = w.number;
        kafka_consumer_close(w.c);
        kafka_producer_close(w.p);
        if (e == OK)
            return OK;
    }
}

static pid_t spawn_worker(struct plan p)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    plan = p;
    _exit(loop_run(&(struct loop_options){0}, work, NULL) == OK ? 0 : 1);
}

/* ---- the oracle ---- */

static unsigned seen[KEYS];

/* Read committed records of the output until all have been seen, and whatever stands behind the last of them. */
static void read_output(void)
{
    struct kafka_consumer *c;
    struct kafka_batch *b;
    int64_t begin, end, position[PARTITIONS] = {0};
    unsigned total = 0;
    char group[NAME + 8];

    (void)snprintf(group, sizeof group, "%s-reader", world.group);
    CHECK_OK(open_consumer(str_from_c(group), STR_NONE, str_from_c(world.out), &c));
    memset(seen, 0, sizeof seen);
    for (ns_t until = rt_now() + PATIENCE; total < RECORDS;) {
        CHECK_OK(kafka_poll(c, 100, until, &b));
        for (size_t i = 0; i < b->message_count; i++, total++) {
            const struct kafka_message *m = &b->messages[i];
            unsigned key = (unsigned)(m->key.p[0] - '0');
            char expected[16];
            (void)snprintf(expected, sizeof expected, "+%u", seen[key]++);
            CHECK_STR(m->value, expected);
            position[m->partition] = m->offset + 1;
        }
        if (b->change == KAFKA_ASSIGNED)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
    }
    /* Nothing but marks of transactions is behind the last ones. */
    for (int i = 0; i < PARTITIONS; i++) {
        CHECK_OK(kafka_watermarks(c, str_from_c(world.out), i, &begin, &end));
        CHECK_EQ(begin, 0);
        CHECK(end > position[i]);
    }
    CHECK_ERR(kafka_poll(c, 100, rt_now() + NS_SEC, &b), E_AGAIN);
    kafka_consumer_close(c);
}

/* ---- tests ---- */

static void reap(pid_t child, int signal)
{
    int status;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == signal, "a worker ended otherwise (%d)", status);
}

TEST(kafka_transactions_are_exactly_once_through_kills_at_every_step)
{
    if (!has_broker())
        return;
    name_all("eos");
    in_kernel(fill_input);
    if (test_failed())
        return;
    /* Two kills at each step, in the first transaction and in a later one. */
    for (unsigned i = 0; i < 2 * NEVER; i++) {
        reap(spawn_worker((struct plan){.at = (enum step)(i / 2), .in = i % 2 ? 2 : 0, .member = "one"}), SIGKILL);
        if (test_failed())
            return;
    }
    pid_t last = spawn_worker((struct plan){.at = NEVER, .member = "one"});
    in_kernel(read_output);
    (void)kill(last, SIGKILL);
    reap(last, SIGKILL);
}

/*
 * Three members; whenever one has left after a few transactions, another comes. Then one that stays. There are records for more transactions than
 * all who leave make, so somebody always does.
 */
static void storm(const char *name)
{
    enum { MEMBERS = 3, ROUNDS = 6, TRANSACTIONS_MAX = 3 };
    _Static_assert((MEMBERS + ROUNDS) * TRANSACTIONS_MAX * BATCH < RECORDS, "somebody would never leave");
    pid_t stormers[MEMBERS + ROUNDS + 1];
    unsigned number = 0;
    struct prng draws;

    name_all(name);
    prng_seed(&draws, test_seed());
    in_kernel(fill_input);
    if (test_failed())
        return;
    for (; number < MEMBERS + ROUNDS; number++) {
        if (number >= MEMBERS)
            CHECK_GT(waitpid(-1, NULL, 0), 0);
        unsigned after = 1 + (unsigned)prng_below(&draws, TRANSACTIONS_MAX);
        stormers[number] = spawn_worker((struct plan){.at = NEVER, .leaves_after = after, .number = number});
    }
    stormers[number] = spawn_worker((struct plan){.at = NEVER, .number = number});
    in_kernel(read_output);
    /* Those that have left were waited for; their numbers are nobody's yet, or nobody's child of ours. */
    for (unsigned i = 0; i <= number; i++)
        if (waitpid(stormers[i], NULL, WNOHANG) == 0) {
            (void)kill(stormers[i], SIGKILL);
            (void)waitpid(stormers[i], NULL, 0);
        }
}

TEST(kafka_transactions_are_exactly_once_while_members_come_and_go)
{
    if (has_broker())
        storm("eager");
}

TEST(kafka_transactions_are_exactly_once_while_cooperative_members_come_and_go)
{
    if (!has_broker())
        return;
    is_cooperative = true;
    storm("cooperative");
}

static void fence(void)
{
    struct kafka_producer *old, *new;
    struct kafka_record r = {.topic = str_from_c(world.out), .value = STR("zombie"), .partition = 0};
    enum kafka_class class = KAFKA_RETRIABLE;

    CHECK_OK(open_producer(str_from_c(world.id), &old));
    CHECK_OK(make_topic(old, world.out, 1));
    CHECK_OK(kafka_transactions_init(old, &class));
    CHECK_OK(kafka_begin(old, &class));
    CHECK_OK(kafka_produce(old, &r, 1, &class));
    CHECK_OK(open_producer(str_from_c(world.id), &new));
    CHECK_OK(kafka_transactions_init(new, &class));
    CHECK_ERR(kafka_commit(old, &class), E_FENCED);
    CHECK_EQ(class, KAFKA_FATAL);
    r.value = STR("owner");
    CHECK_OK(kafka_begin(new, &class));
    CHECK_OK(kafka_produce(new, &r, 1, &class));
    CHECK_OK(kafka_commit(new, &class));
    kafka_producer_close(old);
    kafka_producer_close(new);
}

/* The first record that a reader of committed records sees. */
static void read_first(const char *expected)
{
    struct kafka_consumer *c;
    struct kafka_batch *b;
    bool is_found = false;

    CHECK_OK(open_consumer(str_from_c(world.group), STR_NONE, str_from_c(world.out), &c));
    while (!is_found) {
        CHECK_OK(kafka_poll(c, 10, rt_now() + PATIENCE, &b));
        if (b->message_count) {
            CHECK_STR(b->messages[0].value, expected);
            is_found = true;
        }
        if (b->change == KAFKA_ASSIGNED)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
    }
    kafka_consumer_close(c);
}

static void fence_and_read(void)
{
    fence();
    if (!test_failed())
        read_first("owner");
}

TEST(kafka_a_producer_that_has_been_replaced_is_fenced)
{
    if (!has_broker())
        return;
    name_all("fence");
    in_kernel(fence_and_read);
}

static void abort_and_read(void)
{
    struct kafka_producer *p;
    struct kafka_record r = {.topic = str_from_c(world.out), .value = STR("aborted"), .partition = 0};
    enum kafka_class class;

    CHECK_OK(open_producer(str_from_c(world.id), &p));
    CHECK_OK(make_topic(p, world.out, 1));
    CHECK_OK(kafka_transactions_init(p, &class));
    CHECK_OK(kafka_begin(p, &class));
    CHECK_OK(kafka_produce(p, &r, 1, &class));
    CHECK_OK(kafka_abort(p, &class));
    r.value = STR("committed");
    CHECK_OK(kafka_begin(p, &class));
    CHECK_OK(kafka_produce(p, &r, 1, &class));
    CHECK_OK(kafka_commit(p, &class));
    kafka_producer_close(p);
    read_first("committed");
}

TEST(kafka_readers_of_committed_records_see_none_that_was_aborted)
{
    if (!has_broker())
        return;
    name_all("abort");
    in_kernel(abort_and_read);
}

/* ---- what is committed ---- */

static err_t write_one(struct kafka_producer *p, const char *key, const char *value, bool is_aborted) SUSPENDS
{
    enum kafka_class class;
    const struct kafka_record r = {
        .topic = str_from_c(world.out), .key = str_from_c(key), .value = str_from_c(value), .partition = 0};

    TRY(kafka_begin(p, &class));
    TRY(kafka_produce(p, &r, 1, &class));
    return is_aborted ? kafka_abort(p, &class) : kafka_commit(p, &class);
}

static void find_behind_an_open_transaction(void)
{
    const struct kafka_partition where = {.topic = str_from_c(world.out), .partition = 0};
    const struct kafka_producer_options slow = {.transactional_id = str_from_c(world.id),
                                                .transaction_timeout = 2 * NS_SEC};
    const struct kafka_record open = {.topic = where.topic, .key = STR("other"), .value = STR("open"), .partition = 0};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct kafka_delivery delivery;
    struct kafka_producer *plain, *own, *other;
    enum kafka_class class;
    struct str found;
    err_t e;

    CHECK_OK(open_producer(STR_NONE, &plain));
    CHECK_ERR(kafka_find_last(plain, &world.config, &where, STR("one"), &arena, &found), E_NOT_FOUND);
    CHECK_OK(kafka_create_topic(
        plain, &(struct kafka_topic){.name = where.topic, .partitions = 1, .replication = -1, .is_compacted = true}));
    do { /* it takes a moment until all know of it */
        e = kafka_find_last(plain, &world.config, &where, STR("one"), &arena, &found);
    } while (e == E_NOT_FOUND);
    CHECK_OK(e);
    CHECK(found.p == NULL);
    CHECK_OK(open_producer(str_from_c(world.group), &own));
    CHECK_OK(kafka_transactions_init(own, &class));
    CHECK_OK(write_one(own, "one", "first", false));
    CHECK_OK(kafka_producer_open(&world.config, &slow, &other));
    CHECK_OK(kafka_transactions_init(other, &class));
    CHECK_OK(kafka_begin(other, &class));
    CHECK_OK(kafka_produce(other, &open, 1, &class));
    /* Where the log's end is, the other's record is before. */
    CHECK_OK(kafka_send(plain, &(struct kafka_record){.topic = where.topic, .key = STR("none"), .value = STR("x")}, 1,
                        &delivery));
    CHECK_OK(write_one(own, "one", "second", false));
    CHECK_OK(write_one(own, "one", "third", true));
    CHECK_OK(kafka_find_last(own, &world.config, &where, STR("one"), &arena, &found));
    CHECK_STR(found, "second");
    CHECK_OK(kafka_find_last(own, &world.config, &where, STR("other"), &arena, &found));
    CHECK(found.p == NULL);
    kafka_producer_close(plain);
    kafka_producer_close(own);
    kafka_producer_close(other);
}

TEST(kafka_the_newest_committed_record_of_a_key_is_found_behind_open_transactions)
{
    if (!has_broker())
        return;
    name_all("find");
    in_kernel(find_behind_an_open_transaction);
}

static void commit_and_ask(void)
{
    struct kafka_partition list[] = {{str_from_c(world.in), 0, 7}, {str_from_c(world.in), 1, 0}};
    struct kafka_consumer *c;
    struct kafka_batch *b;
    bool is_assigned = false;

    CHECK_OK(open_consumer(str_from_c(world.group), STR_NONE, list[0].topic, &c));
    while (!is_assigned) {
        CHECK_OK(kafka_poll(c, 1, rt_now() + PATIENCE, &b));
        is_assigned = b->change == KAFKA_ASSIGNED;
        if (is_assigned)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
    }
    CHECK_OK(kafka_commit_offsets(c, list, 1));
    list[0].offset = 0;
    CHECK_OK(kafka_committed(c, list, ARRAY_LEN(list)));
    CHECK_EQ(list[0].offset, 7);
    CHECK_EQ(list[1].offset, KAFKA_STORED);
    kafka_consumer_close(c);
}

TEST(kafka_a_group_tells_the_offsets_that_it_has_committed)
{
    if (!has_broker())
        return;
    name_all("committed");
    in_kernel(fill_input);
    in_kernel(commit_and_ask);
}

/* Told of its partitions, it says nothing and leaves, under a deadline that has passed. */
static void leave_without_an_answer(void)
{
    struct kafka_consumer *c;
    struct kafka_batch *b;
    bool is_told = false;

    CHECK_OK(open_consumer(str_from_c(world.group), STR_NONE, str_from_c(world.in), &c));
    while (!is_told) {
        CHECK_OK(kafka_poll(c, 1, rt_now() + PATIENCE, &b));
        is_told = b->change == KAFKA_ASSIGNED;
        kafka_batch_release(b);
    }
    ns_t began = rt_now();
    {
        SHIELD(began);
        kafka_consumer_close(c);
    }
    CHECK_LT(rt_now() - began, 5 * NS_SEC); /* not the 6 s after which the group would put it out */
}

TEST(kafka_a_group_is_left_with_a_change_unanswered)
{
    if (!has_broker())
        return;
    name_all("leaving");
    in_kernel(fill_input);
    in_kernel(leave_without_an_answer);
    is_cooperative = true;
    in_kernel(leave_without_an_answer);
}

/* What has come of one partition, by a reader that is in no group. */
static void read_partition(struct kafka_consumer *c, int32_t partition, int64_t from, unsigned want)
{
    const struct kafka_partition where = {str_from_c(world.in), partition, from};
    struct kafka_batch *b;
    int64_t next = from;

    CHECK_OK(kafka_assign(c, &where, 1));
    while (want && !test_failed()) {
        CHECK_OK(kafka_poll(c, 1000, rt_now() + PATIENCE, &b));
        CHECK_EQ(b->change, KAFKA_UNCHANGED);
        for (size_t i = 0; i < b->message_count; i++) {
            CHECK_EQ(b->messages[i].partition, partition);
            CHECK_EQ(b->messages[i].offset, next++);
            want--;
        }
        kafka_batch_release(b);
    }
}

static void read_without_a_group(void)
{
    struct kafka_config config = world.config;
    struct kafka_consumer *c;
    struct kafka_partition one = {str_from_c(world.in), 1, 7}, asked = one;
    int32_t count = 0;

    fill_input(); /* keys of partition 2: 2 and 5 */
    config.properties = world.properties;
    config.property_count = ARRAY_LEN(world.properties);
    CHECK_OK(kafka_consumer_open(&config, &(struct kafka_consumer_options){.group = str_from_c(world.group)}, &c));
    CHECK_ERR(kafka_partition_count(c, STR("nobody-has-this"), &count), E_NOT_FOUND);
    CHECK_OK(kafka_partition_count(c, str_from_c(world.in), &count));
    CHECK_EQ(count, PARTITIONS);
    read_partition(c, 2, 0, 2 * PER_KEY);
    read_partition(c, 2, PER_KEY, PER_KEY); /* from another place */
    CHECK_OK(kafka_commit_offsets(c, &one, 1));
    CHECK_OK(kafka_committed(c, &asked, 1));
    CHECK_EQ(asked.offset, 7);
    kafka_consumer_close(c);
}

TEST(kafka_a_reader_without_a_group_reads_what_it_is_told)
{
    if (!has_broker())
        return;
    name_all("alone");
    in_kernel(read_without_a_group);
}
