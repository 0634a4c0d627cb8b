/* segments_test.c - a log of segments: order, bounds, what crashes and damage leave. */
#include "store/segments.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "in_loop.h"
#include "rt/threads.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 4096 };

/* For helpers that return something, where CHECK() cannot be. */
#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            die("%s", #cond);                                                                                          \
    } while (0)

static const struct segments_rules small = {
    .dir = "/facts", .segment_bytes = 1 << 20, .total_bytes = 4 << 20, .max_age = NS_NEVER};

/* A record that says `number`, with `extra` bytes that do not pack well, in `bytes`. */
static struct str make_record(char *bytes, uint64_t number, size_t extra)
{
    uint64_t x = number * 0x9e3779b97f4a7c15ull + 1;

    be32_put(bytes, (uint32_t)(12 + extra));
    memcpy(bytes + 4, &number, sizeof number);
    for (size_t i = 0; i < extra; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        bytes[12 + i] = (char)x;
    }
    return str_of(bytes, 12 + extra);
}

#define record(number, extra) make_record((char[RECORD_MAX]){0}, number, extra)

static uint64_t number_of(struct str r)
{
    uint64_t number;
    memcpy(&number, r.p + 4, sizeof number);
    MUST(str_eq(r, record(number, r.n - 12)));
    return number;
}

struct reading {
    size_t count, disorder;
    uint64_t first, last, skipped;
};

static struct reading read_all(const char *dir, int64_t since)
{
    struct segment_reader *r = NULL;
    struct reading all = {0};
    struct str record;

    MUST(segment_reader_open(loop_seams(), dir, since, &r) == OK);
    while (segment_reader_next(r, &record) == OK && record.p) {
        uint64_t number = number_of(record);
        all.disorder += all.count && number <= all.last;
        all.first = all.count++ ? all.first : number;
        all.last = number;
    }
    all.skipped = segment_reader_skipped(r);
    segment_reader_close(r);
    return all;
}

static struct segments *open_log(const struct segments_rules *rules)
{
    struct segments *s = NULL;
    MUST(segments_open(rules, &s) == OK);
    return s;
}

static void keep_order(void)
{
    struct segments *s = open_log(&small);

    for (uint64_t i = 1; i <= 500; i++)
        CHECK(segments_put(s, record(i, i % 900)));
    struct reading live = read_all("/facts", 0);
    segments_close(s);
    CHECK_EQ(live.count, 500);
    s = open_log(&small); /* another run goes on behind it */
    for (uint64_t i = 501; i <= 600; i++)
        CHECK(segments_put(s, record(i, 3)));
    segments_close(s);
    struct reading all = read_all("/facts", 0);
    CHECK_EQ(all.count, 600);
    CHECK_EQ(all.disorder, 0);
    CHECK_EQ(all.skipped, 0);
}

TEST(segments_give_back_what_was_put_in_order_across_runs)
{
    in_sim(keep_order);
}

static uint64_t next_number(struct segment_reader *r)
{
    struct str record;

    MUST(segment_reader_next(r, &record) == OK);
    return record.p ? number_of(record) : 0;
}

/* Append bytes to a file of the log, as a writer does that has not come to an end. */
static void append(const char *path, const char *bytes, size_t n)
{
    const struct seams *s = loop_seams();
    int h = s->disk->open(s->ctx, path, DISK_WRITE | DISK_APPEND | DISK_CREATE);

    MUST(h >= 0 && s->disk->pwrite(s->ctx, h, bytes, n, 0) == (ssize_t)n);
    s->disk->close(s->ctx, h);
}

static void follow(void)
{
    struct segments *s = open_log(&small);
    struct segment_reader *r = NULL;
    static char file[1 << 16];
    const struct seams *seams = loop_seams();

    CHECK(segments_put(s, record(1, 300)));
    CHECK_OK(segment_reader_open(seams, "/facts", 0, &r));
    segment_reader_follow(r);
    CHECK_EQ(next_number(r), 1);
    CHECK_EQ(next_number(r), 0);
    for (uint64_t i = 2; i <= 3; i++) {
        CHECK(segments_put(s, record(i, 300)));
        CHECK_EQ(next_number(r), i);
        CHECK_EQ(next_number(r), 0);
        CHECK_EQ(next_number(r), 0);
    }
    segments_close(s);
    s = open_log(&small); /* in another file */
    CHECK(segments_put(s, record(4, 300)));
    segments_close(s);
    CHECK_EQ(next_number(r), 4);
    CHECK_EQ(next_number(r), 0);
    CHECK_EQ(segment_reader_skipped(r), 0);
    segment_reader_close(r);

    /* and byte by byte: what is not whole yet is neither told nor passed over */
    int h = seams->disk->open(seams->ctx, "/facts/0000000000000001.seg", DISK_READ);
    ssize_t n = seams->disk->pread(seams->ctx, h, file, sizeof file, 0);
    seams->disk->close(seams->ctx, h);
    CHECK(n > 0);
    MUST(seams->disk->make_dir(seams->ctx, "/slow") == 0);
    append("/slow/0000000000000001.seg", file, 1);
    CHECK_OK(segment_reader_open(seams, "/slow", 0, &r));
    segment_reader_follow(r);
    uint64_t told = next_number(r);
    for (ssize_t i = 1; i < n; i++) {
        CHECK_EQ(told > 3, false);
        append("/slow/0000000000000001.seg", file + i, 1);
        uint64_t number = next_number(r);
        CHECK(number == 0 || number == told + 1);
        told = number ? number : told;
    }
    CHECK_EQ(told, 3);
    CHECK_EQ(segment_reader_skipped(r), 0);
    segment_reader_close(r);
}

TEST(segments_can_be_followed_while_they_are_written)
{
    in_sim(follow);
}

/* What was written last is too old to be told, but the file that it is in goes on. */
static SUSPENDS void follow_since(void)
{
    struct segments *s = open_log(&small);
    struct segment_reader *r = NULL;

    CHECK(segments_put(s, record(1, 300)));
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
    CHECK_OK(segment_reader_open(loop_seams(), "/facts", rt_wall(), &r));
    segment_reader_follow(r);
    CHECK_EQ(next_number(r), 0);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
    CHECK(segments_put(s, record(2, 300)));
    CHECK_EQ(next_number(r), 2);
    segment_reader_close(r);
    segments_close(s);
}

TEST(segments_are_followed_from_a_time_on)
{
    in_sim(follow_since);
}

/* A process that is about to end, and the one that comes after it: the header asks for one at a time, but none destroys what the other wrote. */
static void overlap(void)
{
    struct segments *old = open_log(&small), *fresh;

    CHECK(segments_put(old, record(1, 10)));
    fresh = open_log(&small);
    CHECK(segments_put(fresh, record(2, 10)));
    for (uint64_t i = 0; i < 600; i++) /* goes on to another file */
        CHECK(segments_put(old, record(3, 4000)));
    segments_close(old);
    segments_close(fresh);
    struct reading all = read_all("/facts", 0);
    CHECK_EQ(all.count, 602);
    CHECK_EQ(all.skipped, 0);
}

TEST(segments_of_two_processes_that_overlap_are_all_there)
{
    in_sim(overlap);
}

static void stay_small(void)
{
    struct segments *s = open_log(&small);
    struct disk_stat stat;
    const struct seams *seams = loop_seams();
    char names[65536];
    uint64_t total = 0;

    for (uint64_t i = 1; i <= 4000; i++)
        CHECK(segments_put(s, record(i, 4000)));
    segments_close(s);
    ssize_t n = seams->disk->list(seams->ctx, "/facts", names, sizeof names);
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        char path[64];
        (void)snprintf(path, sizeof path, "/facts/%.32s", name);
        CHECK_EQ(seams->disk->stat(seams->ctx, path, &stat), 0);
        CHECK(stat.size <= small.segment_bytes);
        total += stat.size;
    }
    CHECK(total <= small.total_bytes && total > small.total_bytes / 2);
    struct reading all = read_all("/facts", 0);
    CHECK_EQ(all.last, 4000);
    CHECK_EQ(all.count, 4000 - all.first + 1);
    CHECK_EQ(all.disorder, 0);
}

TEST(segments_stay_within_their_bytes_and_lose_the_oldest_first)
{
    in_sim(stay_small);
}

static SUSPENDS void grow_old(void)
{
    struct segments_rules rules = small;
    struct segments *s;

    rules.max_age = 80 * NS_SEC;
    s = open_log(&rules);
    for (uint64_t i = 0; i < 300; i++) {
        CHECK(segments_put(s, record(i, 10)));
        CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
    }
    struct reading all = read_all("/facts", 0);
    CHECK_EQ(all.last, 299);
    CHECK(all.count >= 80 && all.count <= 110);
    struct reading late = read_all("/facts", rt_wall() - 10 * NS_SEC);
    CHECK(late.count >= 9 && late.count <= 11);
    segments_close(s);
}

TEST(segments_grow_old_and_are_read_from_a_time_on)
{
    in_sim(grow_old);
}

/* --- crashes and damage: the file cut or changed at any byte --- */

static struct buf whole_file(const char *path)
{
    const struct seams *s = loop_seams();
    struct buf b = BUF_INIT(1 << 24);
    int h = s->disk->open(s->ctx, path, DISK_READ);
    ssize_t got = 1;

    MUST(h >= 0);
    for (uint64_t at = 0; got > 0; at += (uint64_t)got) {
        char *to = buf_reserve(&b, 65536);
        got = s->disk->pread(s->ctx, h, to, 65536, at);
        b.n += got > 0 ? (size_t)got : 0;
    }
    s->disk->close(s->ctx, h);
    return b;
}

static void put_file(const char *path, struct str bytes)
{
    const struct seams *s = loop_seams();
    int h = s->disk->open(s->ctx, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE);

    CHECK(h >= 0);
    CHECK_EQ(s->disk->pwrite(s->ctx, h, bytes.p, bytes.n, 0), (ssize_t)bytes.n);
    s->disk->close(s->ctx, h);
}

static const char first_segment[] = "/facts/0000000000000001.seg";

static struct buf three_frames(void)
{
    struct segments *s = open_log(&small);

    for (uint64_t i = 1; i <= 3; i++) /* in simulation each put is a frame */
        MUST(segments_put(s, record(i, 300)));
    segments_close(s);
    return whole_file(first_segment);
}

static void cut_off(void)
{
    struct buf file CLEANUP(buf_release) = three_frames();

    for (size_t n = 0; n < file.n; n++) {
        put_file(first_segment, str_of(file.p, n));
        struct reading all = read_all("/facts", 0);
        CHECK(all.count < 3 && all.disorder == 0);
        CHECK(all.count == 0 || all.first == 1);
        if (n == file.n - 1)
            CHECK_EQ(all.count, 2);
    }
    put_file(first_segment, str_of(file.p, file.n - 1));
    struct segments *s = open_log(&small); /* after the crash */
    CHECK(segments_put(s, record(9, 20)));
    segments_close(s);
    struct reading all = read_all("/facts", 0);
    CHECK_EQ(all.count, 3);
    CHECK_EQ(all.last, 9);
    CHECK(all.skipped > 300);
}

TEST(segments_cut_off_at_any_byte_lose_only_what_was_cut)
{
    in_sim(cut_off);
}

static void change_bytes(void)
{
    struct buf file CLEANUP(buf_release) = three_frames();

    for (size_t at = 0; at < file.n; at++) {
        file.p[at] ^= 0x11;
        put_file(first_segment, buf_str(&file));
        struct reading all = read_all("/facts", 0);
        CHECK_MSG(at < 16 ? all.count == 3 : all.count == 2, "byte %zu: %zu records", at, all.count);
        file.p[at] ^= 0x11;
    }
}

TEST(segments_with_a_changed_byte_lose_the_frame_it_is_in)
{
    in_sim(change_bytes);
}

static struct sim_world *world;

static void fail_and_mend(void)
{
    struct sim_world *w = world;
    struct segments *s = open_log(&small);
    uint64_t put = 3000, refused = 0;

    sim_world_set_faults(w, &(struct sim_faults){.disk_error = 100});
    for (uint64_t i = 1; i <= put; i++)
        refused += !segments_put(s, record(i, 50));
    CHECK_EQ(refused, segments_lost(s));
    sim_world_set_faults(w, &(struct sim_faults){0});
    segments_close(s);
    struct reading all = read_all("/facts", 0);
    CHECK(refused > 0 && all.disorder == 0);
    CHECK_EQ(all.count, put - refused);
}

TEST(segments_that_a_disk_refuses_are_counted_and_the_rest_is_whole)
{
    body_fn *body = fail_and_mend;

    world = sim_world_new(&(struct sim_options){.seed = test_seed()});
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(world)}, in_loop_call_, &body);
    sim_world_free(world);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

/* --- real threads and files --- */

enum { WRITERS = 3, EACH = 20000 };
static struct segments *shared;
static uint64_t refused[WRITERS];

static SUSPENDS err_t put_many(void *arg UNUSED)
{
    unsigned me = loop_index(loop_current());

    for (uint64_t i = 0; i < EACH; i++) {
        refused[me] += !segments_put(shared, record(i * WRITERS + me, i % 200));
        if (i % 32 == 0)
            TRY(fiber_sleep_until(rt_now() + 50 * NS_US));
    }
    return OK;
}

static err_t thread_puts(unsigned index, void *ctx UNUSED)
{
    return loop_run(&(struct loop_options){.index = index}, put_many, NULL);
}

static void look_at(const char *dir)
{
    struct segment_reader *r = NULL;
    struct str record;
    uint64_t count[WRITERS] = {0}, last[WRITERS] = {0};

    CHECK_OK(segment_reader_open(loop_seams(), dir, 0, &r));
    while (segment_reader_next(r, &record) == OK && record.p) {
        uint64_t n = be32_get(record.p), number;
        memcpy(&number, record.p + 4, sizeof number);
        CHECK(n >= 12);
        unsigned who = (unsigned)(number % WRITERS);
        CHECK(count[who]++ == 0 || number > last[who]);
        last[who] = number;
    }
    for (unsigned i = 0; i < WRITERS; i++)
        CHECK_EQ(count[i] + refused[i], EACH);
    CHECK_EQ(segment_reader_skipped(r), 0);
    segment_reader_close(r);
}

TEST(segments_take_records_of_several_loops_at_once)
{
    char dir[64];
    char command[96];

    (void)snprintf(dir, sizeof dir, "/tmp/segments_test.%d", (int)getpid());
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    CHECK_OK(segments_open(
        &(struct segments_rules){.dir = dir, .segment_bytes = 2 << 20, .total_bytes = 64 << 20, .max_age = NS_NEVER},
        &shared));
    memset(refused, 0, sizeof refused);
    CHECK_OK(threads_run(WRITERS, thread_puts, NULL));
    uint64_t lost = segments_lost(shared);
    segments_close(shared);
    CHECK_EQ(lost, refused[0] + refused[1] + refused[2]);
    look_at(dir);
    CHECK_EQ(system(command), 0);
}
