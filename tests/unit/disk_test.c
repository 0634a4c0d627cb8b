/* disk_test.c - the disk seam, of the kernel and simulated: sizes, syncs, locks; and what a crash leaves of a simulated disk. */
#include "rt/seam.h"

#include "rt/sim_world.h"
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NEW_FILE = DISK_READ | DISK_WRITE | DISK_CREATE };

/* ---- what both promise ---- */

static void check_disk(const struct seams *s, const char *folder)
{
    const struct disk_ops *d = s->disk;
    char path[100], bytes[8];

    (void)snprintf(path, sizeof path, "%s/file", folder);
    int h = d->open(s->ctx, path, NEW_FILE);
    CHECK_GE(h, 0);
    CHECK_EQ(d->pwrite(s->ctx, h, "abcdef", 6, 0), 6);
    CHECK_EQ(d->size(s->ctx, h), 6);
    CHECK_EQ(d->truncate(s->ctx, h, 3), 0);
    CHECK_EQ(d->truncate(s->ctx, h, 5), 0);
    CHECK_EQ(d->pread(s->ctx, h, bytes, sizeof bytes, 0), 5);
    CHECK_MEM(bytes, "abc\0\0", 5);
    CHECK_EQ(d->sync(s->ctx, h), 0);
    CHECK_EQ(d->sync_data(s->ctx, h), 0);
    CHECK_EQ(d->sync_dir(s->ctx, folder), 0);

    int other = d->open(s->ctx, path, DISK_READ | DISK_WRITE);
    CHECK_EQ(d->lock(s->ctx, h), 0);
    CHECK_EQ(d->lock(s->ctx, h), 0); /* it has it */
    CHECK_EQ(d->lock(s->ctx, other), -EAGAIN);
    int third = d->open(s->ctx, path, DISK_READ);
    d->close(s->ctx, third); /* of a handle that does not have it: nothing is given up */
    CHECK_EQ(d->lock(s->ctx, other), -EAGAIN);
    d->close(s->ctx, h);
    CHECK_EQ(d->lock(s->ctx, other), 0);
    d->close(s->ctx, other);
    CHECK_EQ(d->remove(s->ctx, path), 0);
}

TEST(disk_of_the_kernel_cuts_syncs_and_locks)
{
    char folder[] = "/tmp/disk-test-XXXXXX";

    CHECK(mkdtemp(folder));
    check_disk(seams_real(), folder);
    CHECK_EQ(rmdir(folder), 0);
    CHECK_EQ(seams_real()->disk->sync_dir(NULL, folder), -ENOENT);
}

/* ---- the simulated one ---- */

struct rig {
    struct sim_world *w;
    const struct disk_ops *d;
};

static struct rig rig_make(uint64_t seed)
{
    struct rig r = {.w = sim_world_new(&(struct sim_options){.seed = seed, .disk_cache = true})};
    r.d = sim_world_seams(r.w)->disk;
    return r;
}

static void rig_release(struct rig *r)
{
    sim_world_free(r->w);
}

TEST(sim_disk_cuts_syncs_and_locks_as_the_kernel_does)
{
    struct rig r CLEANUP(rig_release) = rig_make(1);
    check_disk(sim_world_seams(r.w), "/d");
}

static void write_file(struct rig *r, const char *path, const char *text, bool sync)
{
    int h = r->d->open(r->w, path, NEW_FILE | DISK_TRUNCATE);

    CHECK_EQ(r->d->pwrite(r->w, h, text, strlen(text), 0), (ssize_t)strlen(text));
    if (sync)
        CHECK_EQ(r->d->sync(r->w, h), 0);
    r->d->close(r->w, h);
}

static struct str look(struct rig *r, const char *path)
{
    struct str bytes;
    return sim_world_look_file(r->w, path, &bytes) ? bytes : STR("(none)");
}

TEST(sim_disk_keeps_what_was_synced_and_perhaps_what_was_not)
{
    enum { ROUNDS = 200 };
    unsigned kept = 0, lost = 0;

    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(seed);
        write_file(&r, "/d/a", "synced", true);
        CHECK_EQ(r.d->sync_dir(r.w, "/d"), 0);
        int h = r.d->open(r.w, "/d/a", DISK_WRITE);
        CHECK_EQ(r.d->pwrite(r.w, h, "CHANGED", 7, 0), 7);
        r.d->close(r.w, h);
        CHECK_STR(look(&r, "/d/a"), "CHANGED");
        sim_world_restart_disk(r.w, SIM_POWER_LOST);
        bool is_kept = str_eq(look(&r, "/d/a"), STR("CHANGED"));
        CHECK(is_kept || str_eq(look(&r, "/d/a"), STR("synced")));
        kept += is_kept;
        lost += !is_kept;
        struct str settled = look(&r, "/d/a"); /* and what it has decided stays so */
        char before[16];
        (void)snprintf(before, sizeof before, "%.*s", STR_ARG(settled));
        sim_world_restart_disk(r.w, SIM_POWER_LOST);
        CHECK_STR(look(&r, "/d/a"), before);
    }
    CHECK_GT(kept, ROUNDS / 5);
    CHECK_GT(lost, ROUNDS / 5);
}

TEST(sim_disk_tears_what_was_not_synced_at_sectors)
{
    enum { ROUNDS = 200, SECTORS = 4, SECTOR = 512 };
    static char new_bytes[SECTORS * SECTOR];
    unsigned torn = 0;

    memset(new_bytes, 'n', sizeof new_bytes);
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(seed);
        int h = r.d->open(r.w, "/d/a", NEW_FILE);
        CHECK_EQ(r.d->truncate(r.w, h, sizeof new_bytes), 0);
        CHECK_EQ(r.d->sync(r.w, h), 0);
        CHECK_EQ(r.d->sync_dir(r.w, "/d"), 0);
        CHECK_EQ(r.d->pwrite(r.w, h, new_bytes, sizeof new_bytes, 0), (ssize_t)sizeof new_bytes);
        r.d->close(r.w, h);
        sim_world_restart_disk(r.w, SIM_POWER_LOST);
        struct str now = look(&r, "/d/a");
        CHECK_EQ(now.n, sizeof new_bytes);
        unsigned there = 0;
        for (size_t i = 0; i < SECTORS; i++) {
            CHECK(now.p[i * SECTOR] == 'n' || now.p[i * SECTOR] == '\0');
            for (size_t k = 1; k < SECTOR; k++) /* a sector is whole */
                CHECK_EQ(now.p[i * SECTOR + k], now.p[i * SECTOR]);
            there += now.p[i * SECTOR] == 'n';
        }
        torn += there > 0 && there < SECTORS;
    }
    CHECK_GT(torn, ROUNDS / 10);
}

TEST(sim_disk_forgets_names_of_a_folder_that_was_not_synced)
{
    enum { ROUNDS = 100 };
    unsigned forgotten = 0;

    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(seed);
        write_file(&r, "/d/old", "old", true);
        CHECK_EQ(r.d->sync_dir(r.w, "/d"), 0);
        write_file(&r, "/d/new", "new", true);
        CHECK_EQ(r.d->remove(r.w, "/d/old"), 0);
        sim_world_restart_disk(r.w, SIM_POWER_LOST);
        bool is_there = str_eq(look(&r, "/d/new"), STR("new"));
        CHECK_STR(look(&r, "/d/new"), is_there ? "new" : "(none)");
        CHECK_STR(look(&r, "/d/old"), is_there ? "(none)" : "old");
        forgotten += !is_there;
    }
    CHECK_GT(forgotten, ROUNDS / 4);
    CHECK_LT(forgotten, ROUNDS);
}

TEST(sim_disk_never_writes_what_a_failed_sync_has_dropped)
{
    enum { ROUNDS = 100 };
    unsigned dropped = 0;

    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct rig r CLEANUP(rig_release) = rig_make(seed);
        write_file(&r, "/d/a", "before", true);
        CHECK_EQ(r.d->sync_dir(r.w, "/d"), 0);
        int h = r.d->open(r.w, "/d/a", DISK_WRITE);
        CHECK_EQ(r.d->pwrite(r.w, h, "after!", 6, 0), 6);
        sim_world_set_faults(r.w, &(struct sim_faults){.disk_error = 1000});
        CHECK_LT(r.d->sync(r.w, h), 0);
        sim_world_set_faults(r.w, &(struct sim_faults){0});
        CHECK_EQ(r.d->sync(r.w, h), 0);
        r.d->close(r.w, h);
        CHECK_STR(look(&r, "/d/a"), "after!"); /* as long as the machine runs */
        sim_world_restart_disk(r.w, SIM_POWER_LOST);
        dropped += str_eq(look(&r, "/d/a"), STR("before"));
    }
    CHECK_GT(dropped, ROUNDS / 4);
    CHECK_LT(dropped, ROUNDS);
}

TEST(sim_disk_is_dead_from_the_call_on_that_was_asked_for)
{
    struct rig r CLEANUP(rig_release) = rig_make(1);
    int h = r.d->open(r.w, "/d/a", NEW_FILE);
    uint64_t calls = sim_world_disk_calls(r.w);

    sim_world_crash_disk(r.w, 2);
    CHECK_EQ(r.d->pwrite(r.w, h, "one", 3, 0), 3);
    CHECK_EQ(r.d->pwrite(r.w, h, "two", 3, 3), 3);
    CHECK_EQ(r.d->pwrite(r.w, h, "three", 5, 6), -EIO);
    CHECK_EQ(r.d->sync(r.w, h), -EIO);
    CHECK_EQ(r.d->size(r.w, h), -EIO);
    CHECK_EQ(r.d->open(r.w, "/d/b", NEW_FILE), -EIO);
    CHECK_EQ(sim_world_disk_calls(r.w) - calls, 6);
    r.d->close(r.w, h);
    sim_world_restart_disk(r.w, SIM_KILLED);
    CHECK_STR(look(&r, "/d/a"), "onetwo");
    CHECK_GE(r.d->open(r.w, "/d/b", NEW_FILE), 0);
}

TEST(sim_disk_that_is_full_takes_what_fits)
{
    struct rig r CLEANUP(rig_release) = rig_make(1);
    int h = r.d->open(r.w, "/d/a", NEW_FILE);

    CHECK_EQ(r.d->pwrite(r.w, h, "12345", 5, 0), 5);
    sim_world_limit_disk(r.w, 8);
    CHECK_EQ(r.d->pwrite(r.w, h, "67890", 5, 5), 3);
    CHECK_EQ(r.d->pwrite(r.w, h, "x", 1, 8), -ENOSPC);
    CHECK_EQ(r.d->pwrite(r.w, h, "ab", 2, 0), 2); /* what is there may be written over */
    CHECK_EQ(r.d->truncate(r.w, h, 4), 0);
    CHECK_EQ(r.d->pwrite(r.w, h, "wxyz", 4, 4), 4);
    int other = r.d->open(r.w, "/d/b", NEW_FILE);
    CHECK_EQ(r.d->pwrite(r.w, other, "x", 1, 0), -ENOSPC);
    r.d->close(r.w, h);
    r.d->close(r.w, other);
    CHECK_EQ(r.d->remove(r.w, "/d/a"), 0);
    other = r.d->open(r.w, "/d/b", NEW_FILE);
    CHECK_EQ(r.d->pwrite(r.w, other, "12345678", 8, 0), 8);
}
