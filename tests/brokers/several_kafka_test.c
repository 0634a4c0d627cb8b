/*
 * several_kafka_test.c - a pipeline from Kafka that several processes run with one journal, in a real PostgreSQL, against a real broker: processes are killed, stopped for
 * longer than a lease and let go on, and added, while records are written. Whoever reads committed records sees all of each key, once, in order; the table likewise.
 *
 * The broker is named by $KAFKA_BROKERS (tests/brokers/run). Without it these tests are skipped.
 */
#include "brokers/processes.h"

#include "client/kafka.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/kind.h"
#include "store/journal_int.h"
#include "unit/in_loop.h"

enum { PROCESSES = 3, SHARDS = 3, PARTITIONS = 6, KEYS = 12, AT_ONCE = 15, NAME = 64, READ_MAX = 1000 };
#define PATIENCE (60 * NS_SEC)

static char name[NAME], in[NAME + 8], out[NAME + 8], readers[NAME + 8];
static struct kafka_config config;
static unsigned shards;     /* `workers`           */
static unsigned written;    /* of each key, from 0 */
static bool has_table;      /* the pipeline has a sink in PostgreSQL besides */
static unsigned seen[KEYS]; /* of each key, as committed records say */

/* ---- writing ---- */

static void make_topics(void)
{
    struct kafka_producer *p;
    const struct kafka_topic topics[] = {{str_from_c(in), PARTITIONS, 1, false},
                                         {str_from_c(out), PARTITIONS, 1, false}};

    CHECK_OK(kafka_producer_open(&config, &(struct kafka_producer_options){0}, &p));
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        CHECK_OK(kafka_create_topic(p, &topics[i]));
    kafka_producer_close(p);
}

/* The next ones of each key. */
static void produce(void)
{
    static struct kafka_record records[KEYS * AT_ONCE];
    static struct kafka_delivery deliveries[KEYS * AT_ONCE];
    static char keys[KEYS][8], values[KEYS * AT_ONCE][32];
    struct kafka_producer *p;

    for (unsigned i = 0; i < ARRAY_LEN(records); i++) {
        unsigned key = i % KEYS;
        (void)snprintf(keys[key], sizeof keys[key], "%u", key);
        (void)snprintf(values[i], sizeof values[i], "{\"k\":%u,\"n\":%u}", key, written + i / KEYS);
        records[i] = (struct kafka_record){.topic = str_from_c(in),
                                           .key = str_from_c(keys[key]),
                                           .value = str_from_c(values[i]),
                                           .partition = (int32_t)(key % PARTITIONS)};
    }
    CHECK_OK(kafka_producer_open(&config, &(struct kafka_producer_options){0}, &p));
    CHECK_OK(kafka_send(p, records, ARRAY_LEN(records), deliveries));
    kafka_producer_close(p);
    written += AT_ONCE;
}

static void write_messages(void)
{
    in_kernel(produce);
}

/* ---- reading ---- */

static void look_at(const struct kafka_message *m)
{
    char key_text[8], expected[48];
    unsigned key;

    (void)snprintf(key_text, sizeof key_text, "%.*s", STR_ARG(m->key));
    key = (unsigned)strtoul(key_text, NULL, 10);
    CHECK_LT(key, KEYS);
    if (test_failed())
        return;
    (void)snprintf(expected, sizeof expected, "{\"k\":%u,\"n\":%u}", key, seen[key]);
    CHECK_STR(m->value, expected);
    seen[key]++;
}

static unsigned seen_of_all(void)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < KEYS; i++)
        sum += seen[i];
    return sum;
}

/* Committed records from the first one on, until there are as many as were written: then nothing may come behind. */
static void read_committed(void)
{
    const struct str topic = str_from_c(out), group = str_from_c(readers);
    const struct kafka_property earliest = {STR("auto.offset.reset"), STR("earliest")};
    struct kafka_config reading = config;
    struct kafka_consumer *c;
    struct kafka_batch *b;

    reading.properties = &earliest;
    reading.property_count = 1;
    memset(seen, 0, sizeof seen);
    CHECK_OK(kafka_consumer_open(
        &reading, &(struct kafka_consumer_options){.group = group, .topics = &topic, .topic_count = 1}, &c));
    for (ns_t until = rt_now() + PATIENCE; !test_failed();) {
        bool is_all = seen_of_all() >= KEYS * written;
        err_t e = kafka_poll(c, READ_MAX, is_all ? rt_now() + 300 * NS_MS : until, &b);
        if (e == E_AGAIN) {
            CHECK_MSG(is_all, "%u of %u records", seen_of_all(), KEYS * written);
            break;
        }
        if (e != OK)
            continue;
        for (size_t i = 0; i < b->message_count && !test_failed(); i++)
            look_at(&b->messages[i]);
        if (b->change == KAFKA_ASSIGNED)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
    }
    kafka_consumer_close(c);
}

static void wait_for_all(void)
{
    in_kernel(read_committed);
    for (unsigned tries = 0; has_table && ask("select count(*) from rows") < (long)(KEYS * written) && !test_failed();
         tries++) {
        CHECK_LT(tries, 1500);
        (void)poll(NULL, 0, 20);
    }
}

/* The table has each key's numbers from 0 on, in their order. */
static void check_table(void)
{
    CHECK_EQ(ask("select count(*) from rows"), (long)(KEYS * written));
    CHECK_EQ(ask("select count(*) from (select n - coalesce(lag(n) over (partition by k order by at), -1) as step "
                 "from rows) as s where step <> 1"),
             0);
}

/* ---- worlds ---- */

/* A pipeline of functions alone, which Kafka's transactions keep; with a sink that is not Kafka's, one that the journal keeps. */
static void write_pipeline(void)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "pipeline: %s\nworkers: %u\n"
                     "connections:\n  kafka: {url: \"kafka://%s?session.timeout.ms=6000\"}\n"
                     "  postgres: {url: \"%s\", username: postgres}\n"
                     "sources: {in: {kafka: {topic: %s}}}\n"
                     "nodes: {same: {from: in, map: '{k: .k, n: .n}'}}\n"
                     "sinks:\n  out: {from: same, batch: 7, kafka: %s}\n",
                     name, shards, getenv("KAFKA_BROKERS"), url, in, out);

    if (has_table)
        (void)snprintf(text + n, sizeof text - (size_t)n,
                       "  rows: {from: same, batch: 5, postgres: {table: rows, columns: {k: .k, n: .n}}}\n");
    write_file(trial.folder, "p0.yaml", text);
}

static bool begin_world(const char *what, bool is_journaled)
{
    const char *brokers = getenv("KAFKA_BROKERS");

    if (!brokers) {
        test_skip("no Kafka: KAFKA_BROKERS is not set (scripts/brokers)");
        return false;
    }
    if (!begin_processes(what))
        return false;
    config = (struct kafka_config){.brokers = str_from_c(brokers)};
    (void)snprintf(name, NAME, "%s-%lu", what, (unsigned long)getpid());
    (void)snprintf(in, sizeof in, "%s-in", name);
    (void)snprintf(out, sizeof out, "%s-out", name);
    (void)snprintf(readers, sizeof readers, "%s-readers", name);
    written = 0;
    shards = SHARDS;
    has_table = is_journaled;
    (void)ask("create table rows (at bigserial, k bigint, n bigint)");
    in_kernel(make_topics);
    write_pipeline();
    return !test_failed();
}

static void end_world(void)
{
    if (has_table)
        check_table();
    end_processes();
}

/* The first has them all; those that come get their part. */
static void share_out(void)
{
    start_process(0, 1);
    write_messages();
    wait_for_all();
    for (unsigned i = 1; i < PROCESSES; i++)
        start_process(i, 1);
    for (unsigned tries = 0; sharers() < PROCESSES && !test_failed(); tries++) {
        CHECK_LT(tries, 1500);
        (void)poll(NULL, 0, 20);
    }
    write_messages();
    wait_for_all();
}

/* It is killed, and comes again when the others have done without it. */
static void kill_one(unsigned i)
{
    write_messages();
    kill_process(i);
    write_messages();
    wait_for_all();
    start_process(i, 1);
}

/* It is stopped for longer than its leases, and goes on when the others have done its work. */
static void stop_one(unsigned i)
{
    long before = takeovers();

    write_messages();
    (void)kill(processes[i], SIGSTOP);
    write_messages();
    for (unsigned tries = 0; takeovers() == before && sharers() == PROCESSES && !test_failed(); tries++) {
        CHECK_LT(tries, 1500);
        (void)poll(NULL, 0, 20);
    }
    wait_for_all();
    (void)kill(processes[i], SIGCONT);
    write_messages();
    wait_for_all();
}

/* With another number of shards partitions have other owners, as soon as nothing is under way. */
static void share_among(unsigned number)
{
    for (unsigned tries = 0; ask("select count(*) from crossdock_journal.root") && !test_failed(); tries++) {
        CHECK_LT(tries, 1500);
        (void)poll(NULL, 0, 20);
    }
    kill_processes();
    shards = number;
    write_pipeline();
    for (unsigned i = 0; i < PROCESSES; i++)
        start_process(i, 1);
    write_messages();
    wait_for_all();
    CHECK_EQ(ask("select get_byte(body, 3) from crossdock_journal.state where pipeline = '%s' and node = 'in' and "
                 "key = 'shards'",
                 name),
             number);
}

/* ---- a sink, taken over ---- */

/* An owner of the shard, and the sink as it has opened it. */
struct owner {
    struct journal *way;
    struct shard *shard;
    void *sink;
};

static err_t open_sink(struct owner *o, const struct pipeline_spec *spec)
{
    const struct pipeline_node *sink = pipeline_find(spec, STR("out"));
    const struct sink_at at = {.sink = sink, .home = o->shard, .pipeline = spec->name, .seq = 1};
    bool applied;

    return sink->sink->run->open(&at, &applied, &o->sink);
}

/* As leases hand it over: whoever had it before is refused by the journal from then on. */
static void own_shard(struct owner *o, struct pipeline_spec *spec, struct journal *j)
{
    struct journal_op claim = {.kind = JOURNAL_PROGRESS_CLAIM, .r = {.pipeline = spec->name, .source = STR(".lease")}};

    CHECK_OK(journal_commit(j, &claim, 1, JOURNAL_SYNC));
    o->way = journal_fenced(j, spec->name, STR(".lease"), 0, claim.r.epoch);
    o->shard = shard_new(&(struct shard_options){.spec = spec, .journal = o->way, .is_leased = true});
}

static void release_owner(struct owner *o, const struct pipeline_spec *spec)
{
    pipeline_find(spec, STR("out"))->sink->run->close(o->sink);
    shard_free(o->shard);
    journal_close(o->way);
}

/* A batch of nothing but its marker, tried again after what passes. */
static err_t apply_marker(const struct owner *o, const struct pipeline_spec *spec, uint64_t seq)
{
    const struct sink_run *run = pipeline_find(spec, STR("out"))->sink->run;
    const struct batch b = {.seq = seq};
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct str remembered;
    err_t e;

    TRY(run->intend(o->sink, &b, &a, &remembered));
    for (unsigned tries = 0; (e = run->apply(o->sink, &b)) == E_UPSTREAM && tries < 5;)
        tries++;
    return e;
}

static struct pipeline_spec *the_pipeline;

static void lose_the_shard(void)
{
    struct owner former = {0}, present = {0};
    struct journal *j;

    CHECK_OK(journal_open(&(struct journal_options){.kind = "memory"}, &j));
    own_shard(&former, the_pipeline, j);
    CHECK_OK(open_sink(&former, the_pipeline));
    CHECK_OK(apply_marker(&former, the_pipeline, 1));
    own_shard(&present, the_pipeline, j);
    CHECK_OK(open_sink(&present, the_pipeline));
    CHECK_ERR(apply_marker(&former, the_pipeline, 2),
              E_FENCED);                               /* shut out, it takes the id again, and learns that it may not */
    CHECK_OK(apply_marker(&present, the_pipeline, 2)); /* and so does the owner, who may */
    CHECK_ERR(open_sink(&former, the_pipeline), E_FENCED); /* stopped in the midst of opening it, say */
    CHECK_OK(apply_marker(&present, the_pipeline, 3));
    release_owner(&former, the_pipeline);
    release_owner(&present, the_pipeline);
    journal_close(j);
}

/* ---- tests ---- */

TEST(several_processes_former_owners_of_a_shard_take_its_kafka_id_and_write_nothing)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct pipeline_set *set;
    char path[96];

    if (!begin_world("kafka-owners", true))
        return;
    (void)snprintf(path, sizeof path, "%s/p0.yaml", trial.folder);
    CHECK_OK(load_pipelines(path, &problems, &set, NULL));
    the_pipeline = set->items[0];
    workers_start(1);
    in_kernel(lose_the_shard);
    workers_stop();
    pipeline_set_free(set);
    end_world();
}

TEST(several_processes_with_kafka_have_each_record_once_though_each_is_killed_and_shards_change)
{
    if (!begin_world("kafka-killed", true))
        return;
    share_out();
    for (unsigned i = 0; i < PROCESSES && !test_failed(); i++)
        kill_one(i);
    write_messages();
    wait_for_all();
    CHECK_GT(takeovers(), SHARDS);
    share_among(2);
    share_among(4);
    end_world();
}

TEST(several_processes_with_kafka_have_each_record_once_though_each_is_stopped_and_goes_on_later)
{
    if (!begin_world("kafka-stopped", true))
        return;
    share_out();
    for (unsigned i = 0; i < PROCESSES && !test_failed(); i++)
        stop_one(i);
    end_world();
}

/* Those divide partitions by the group, which takes longer to see that a member is gone. */
TEST(several_processes_of_functions_have_each_record_once_though_one_is_killed_and_one_is_stopped)
{
    if (!begin_world("functions", false))
        return;
    share_out();
    kill_one(0);
    stop_one(1);
    end_world();
}
