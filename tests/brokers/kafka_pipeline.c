/*
 * kafka_pipeline.c - pipelines from Kafka to Kafka against a real broker, each in a process of its own: killed at any moment, several at a time, with the
 * broker killed under them. The oracle reads committed records: of each key all numbers, once, in order.
 *
 * The broker is named by $KAFKA_BROKERS, and its folder, for who starts and kills it, by $KAFKA_FOLDER (tests/brokers/run). Without them these tests
 * are skipped. Moments are drawn from the test's seed.
 */
#include "client/kafka.h"

#include "base/prng.h"
#include "cli/cli.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTITIONS = 3, KEYS = 8, PER_KEY = 400, RECORDS = KEYS * PER_KEY, NAME = 64, PATH = 128, PROCESSES = 3 };

#define PATIENCE (600 * NS_SEC)

static struct world {
    char in[NAME], out[NAME], name[NAME], folder[NAME], file[PATH], journal[PATH];
    struct kafka_config config;
} world;

static bool has_broker(const char *test)
{
    const char *brokers = getenv("KAFKA_BROKERS");

    if (!brokers) {
        test_skip("no Kafka: KAFKA_BROKERS is not set (scripts/brokers)");
        return false;
    }
    world.config = (struct kafka_config){.brokers = str_from_c(brokers)};
    (void)snprintf(world.name, NAME, "%s-%lu", test, (unsigned long)getpid());
    (void)snprintf(world.in, NAME, "%s-%lu-in", test, (unsigned long)getpid());
    (void)snprintf(world.out, NAME, "%s-%lu-out", test, (unsigned long)getpid());
    (void)snprintf(world.folder, NAME, "/tmp/crossdock-kafka-XXXXXX");
    if (!mkdtemp(world.folder))
        die("no folder");
    (void)snprintf(world.file, PATH, "%s/p.yaml", world.folder);
    (void)snprintf(world.journal, PATH, "%s/journal.db", world.folder);
    return true;
}

#define HEAD                                                                                                           \
    "pipeline: %s\nversion: 1\ndelivery: exactly_once\n"                                                               \
    "connections: {kafka: {url: 'kafka://%s?session.timeout.ms=6000'}}\n"                                              \
    "sources: {in: {kafka: {topic: %s%s}}}\n"                                                                          \
    "nodes: {twice: {from: in, map: '{k: .k, n: .n, twice: (.n * 2)}'}}\n"                                             \
    "sinks:\n  out: {from: twice, kafka: %s, batch: 20}\n"

/* A pipeline that Kafka's transactions keep exactly once; with a sink that is not Kafka's, one that the journal keeps. `more`: of its source. */
static void write_file(const char *more, bool is_journaled)
{
    FILE *f = fopen(world.file, "w");

    if (!f)
        die("no file");
    (void)fprintf(f, HEAD, world.name, getenv("KAFKA_BROKERS"), world.in, more, world.out);
    if (is_journaled)
        (void)fprintf(f, "  lines: {from: twice, file: %s/lines.ndjson}\n", world.folder);
    (void)fclose(f);
}

/* One that keeps nothing, and takes a while for each message: what is killed meanwhile is not done. */
static void write_forgetful_file(void)
{
    FILE *f = fopen(world.file, "w");

    if (!f)
        die("no file");
    (void)fprintf(f,
                  "pipeline: %s\nversion: 1\ndelivery: at_least_once\njournal: none\n"
                  "connections: {kafka: {url: 'kafka://%s?session.timeout.ms=6000'}}\n"
                  "sources: {in: {kafka: {topic: %s, member: one}}}\n"
                  "nodes:\n  twice: {from: in, map: '{k: .k, n: .n, twice: (.n * 2)}'}\n"
                  "  late: {from: twice, delay: 1s}\n"
                  "sinks:\n  out: {from: late, kafka: %s, batch: 20}\n",
                  world.name, getenv("KAFKA_BROKERS"), world.in, world.out);
    (void)fclose(f);
}

static void remove_folder(void)
{
    static const char *const names[] = {"p.yaml",         "journal.db",      "journal.db-wal",
                                        "journal.db-shm", "journal.db-lock", "lines.ndjson"};
    char path[PATH];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", world.folder, names[i]);
        (void)remove(path);
    }
    (void)rmdir(world.folder);
}

/* ---- the input: per key 0, 1, 2... ---- */

static void fill_input(void)
{
    struct kafka_producer *p;
    static struct kafka_record records[RECORDS];
    static struct kafka_delivery deliveries[RECORDS];
    static char keys[RECORDS][8], values[RECORDS][32];
    const struct kafka_topic topics[] = {{str_from_c(world.in), PARTITIONS, 1, false},
                                         {str_from_c(world.out), PARTITIONS, 1, false}};

    CHECK_OK(kafka_producer_open(&world.config, &(struct kafka_producer_options){0}, &p));
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        CHECK_OK(kafka_create_topic(p, &topics[i]));
    for (int i = 0; i < RECORDS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%d", i % KEYS);
        (void)snprintf(values[i], sizeof values[i], "{\"k\":%d,\"n\":%d}", i % KEYS, i / KEYS);
        records[i] = (struct kafka_record){.topic = str_from_c(world.in),
                                           .key = str_from_c(keys[i]),
                                           .value = str_from_c(values[i]),
                                           .partition = i % KEYS % PARTITIONS};
    }
    CHECK_OK(kafka_send(p, records, RECORDS, deliveries));
    kafka_producer_close(p);
}

/* ---- processes ---- */

static pid_t spawn(const char *journal)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    char *argv[] = {(char *)"pipeline", (char *)"run", world.file, (char *)"--journal", (char *)journal, NULL};
    if (!journal)
        argv[3] = NULL;
    _exit(command_pipeline.run(journal ? 5 : 3, argv));
}

static void end(pid_t child, int signal)
{
    int status;

    (void)kill(child, signal);
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (signal == SIGKILL)
        CHECK_MSG(WIFSIGNALED(status), "a pipeline ended by itself: %d", status);
}

/* Let time pass: a moment that was drawn, in which others do things. */
static void let_run(struct prng *draws, unsigned least_ms, unsigned most_ms)
{
    (void)usleep(1000 * (useconds_t)(least_ms + prng_below(draws, most_ms - least_ms)));
}

/* ---- the oracle ---- */

static unsigned seen[KEYS], total;
static bool may_repeat;

/* The number of a record that came before, if it is one. */
static bool is_again(const struct kafka_message *m, unsigned key)
{
    char before[64];

    for (unsigned n = 0; n < seen[key]; n++) {
        (void)snprintf(before, sizeof before, "{\"k\":%u,\"n\":%u,\"twice\":%u}", key, n, 2 * n);
        if (str_eq(m->value, str_from_c(before)))
            return true;
    }
    return false;
}

static void look_at(const struct kafka_message *m)
{
    char expected[64];
    unsigned key = m->key.n == 1 ? (unsigned)(m->key.p[0] - '0') : KEYS;

    CHECK_LT(key, KEYS);
    if (key >= KEYS || (may_repeat && is_again(m, key)))
        return;
    (void)snprintf(expected, sizeof expected, "{\"k\":%u,\"n\":%u,\"twice\":%u}", key, seen[key], 2 * seen[key]);
    CHECK_STR(m->value, expected);
    seen[key]++;
    total++;
}

/* Read committed records of the output until `wanted` have been seen; all of them: nothing may come behind. */
static unsigned wanted;

static void read_output(void)
{
    struct kafka_consumer *c;
    struct kafka_batch *b;
    const struct str topic = str_from_c(world.out);
    const struct kafka_property earliest = {STR("auto.offset.reset"), STR("earliest")};
    struct kafka_config config = world.config;
    char group[NAME + 16];

    config.properties = &earliest;
    config.property_count = 1;
    (void)snprintf(group, sizeof group, "%s-reader", world.name);
    CHECK_OK(kafka_consumer_open(
        &config, &(struct kafka_consumer_options){.group = str_from_c(group), .topics = &topic, .topic_count = 1}, &c));
    memset(seen, 0, sizeof seen);
    total = 0;
    for (ns_t until = rt_now() + PATIENCE; total < wanted && !test_failed();) {
        err_t e = kafka_poll(c, 1000, until, &b);
        CHECK_NE(e, E_AGAIN);
        if (e != OK)
            continue;
        for (size_t i = 0; i < b->message_count && !test_failed(); i++)
            look_at(&b->messages[i]);
        if (b->change == KAFKA_ASSIGNED)
            CHECK_OK(kafka_assign(c, b->partitions, b->partition_count));
        kafka_batch_release(b);
    }
    if (wanted == RECORDS && !may_repeat && !test_failed())
        CHECK_ERR(kafka_poll(c, 100, rt_now() + 2 * NS_SEC, &b), E_AGAIN);
    kafka_consumer_close(c);
}

static void check_all(void)
{
    wanted = RECORDS;
    in_kernel(read_output);
    CHECK_EQ(total, RECORDS);
}

/* ---- tests ---- */

static void killed_often(const char *journal, unsigned times, unsigned least_ms, unsigned most_ms)
{
    struct prng draws;

    prng_seed(&draws, test_seed());
    in_kernel(fill_input);
    for (unsigned i = 0; i < times && !test_failed(); i++) {
        pid_t child = spawn(journal);
        let_run(&draws, least_ms, most_ms);
        end(child, SIGKILL);
    }
    pid_t last = spawn(journal);
    check_all();
    end(last, SIGTERM);
}

TEST(kafka_pipelines_of_functions_are_exactly_once_however_often_they_are_killed)
{
    if (!has_broker("fast"))
        return;
    write_file(", member: one", false);
    killed_often(NULL, 8, 50, 1200);
    remove_folder();
}

TEST(kafka_pipelines_with_a_journal_are_exactly_once_however_often_they_are_killed)
{
    if (!has_broker("journaled"))
        return;
    write_file(", member: one", true);
    killed_often(world.journal, 6, 1500, 6000);
    remove_folder();
}

TEST(kafka_pipelines_without_a_journal_lose_nothing_however_often_they_are_killed)
{
    if (!has_broker("forgetful"))
        return;
    write_forgetful_file();
    may_repeat = true;
    killed_often(NULL, 2, 5500, 8000); /* offsets are told every five seconds */
    may_repeat = false;
    remove_folder();
}

/* The broker, killed as by a loss of power, and started again with what it has on its disk. */
static bool restart_broker(void)
{
    static const char *const whats[] = {"kill", "start"};
    const char *folder = getenv("KAFKA_FOLDER");

    for (size_t i = 0; folder && i < ARRAY_LEN(whats); i++) {
        char *argv[] = {(char *)"scripts/brokers", (char *)whats[i], (char *)"kafka", (char *)folder, NULL};
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            (void)dup2(STDERR_FILENO, STDOUT_FILENO);
            (void)execv(argv[0], argv);
            _exit(127);
        }
        if (waitpid(child, &status, 0) != child || status != 0)
            return false;
    }
    return folder != NULL;
}

/* One process, and the broker killed under it so many times. */
static void broker_killed_often(const char *journal, unsigned times, unsigned least_ms, unsigned most_ms)
{
    struct prng draws;

    prng_seed(&draws, test_seed());
    in_kernel(fill_input);
    pid_t child = spawn(journal);
    for (unsigned i = 0; i < times && !test_failed(); i++) {
        let_run(&draws, least_ms, most_ms);
        CHECK(restart_broker());
    }
    check_all();
    end(child, SIGTERM);
}

/* May the tests kill it? */
static bool has_own_broker(const char *test)
{
    if (!has_broker(test))
        return false;
    if (getenv("KAFKA_FOLDER"))
        return true;
    test_skip("the broker is not ours to kill: KAFKA_FOLDER is not set");
    return false;
}

TEST(kafka_pipelines_of_functions_are_exactly_once_when_the_broker_is_killed)
{
    if (!has_own_broker("power"))
        return;
    write_file(", member: one", false);
    broker_killed_often(NULL, 2, 1000, 4000);
    remove_folder();
}

TEST(kafka_pipelines_with_a_journal_are_exactly_once_when_the_broker_is_killed)
{
    if (!has_own_broker("power-journal"))
        return;
    write_file(", member: one", true);
    broker_killed_often(world.journal, 2, 2000, 6000);
    remove_folder();
}

/* Several processes share the partitions; one after the other is killed, or told to leave, and another comes. */
TEST(kafka_pipelines_of_functions_are_exactly_once_while_processes_come_and_go)
{
    enum { ROUNDS = 6 };
    pid_t running[PROCESSES];
    struct prng draws;

    if (!has_broker("storm"))
        return;
    prng_seed(&draws, test_seed());
    write_file("", false);
    in_kernel(fill_input);
    for (unsigned i = 0; i < PROCESSES; i++)
        running[i] = spawn(NULL);
    for (unsigned i = 0; i < ROUNDS && !test_failed(); i++) {
        let_run(&draws, 100, 900);
        unsigned victim = (unsigned)prng_below(&draws, PROCESSES);
        end(running[victim], prng_below(&draws, 2) ? SIGKILL : SIGTERM);
        running[victim] = spawn(NULL);
    }
    check_all();
    for (unsigned i = 0; i < PROCESSES; i++)
        end(running[i], SIGTERM);
    remove_folder();
}
