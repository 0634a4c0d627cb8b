/*
 * writer.h - lines, or records, to a file or a terminal through a thread of its own, so that no loop ever waits for a disk.
 *
 * Each loop has a bounded ring towards the thread; when it is full the line is dropped and counted. Lines of one loop keep
 * their order. In simulation there is no thread: a put goes straight to where lines go.
 */
#ifndef RT_WRITER_H
#define RT_WRITER_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct writer;

/* Where lines go. Called on the writer's thread, one at a time; in simulation on the fiber that puts. */
struct writer_sink {
    /* `n` bytes: whole lines end to end, except that the first part of a line may be followed by its rest in a second call.
     * Returns how many lines are lost. */
    uint64_t (*write)(void *ctx, const char *p, size_t n);
    /* All that was queued has been handed over, for now. NULL: nobody cares. Returns how many lines of earlier calls are lost. */
    uint64_t (*flush)(void *ctx);
    /* See writer_reopen(). NULL: nothing to be done. */
    void (*reopen)(void *ctx);
    /* The last call. */
    void (*close)(void *ctx);
};

/* Hand lines to `sink`. Starts the thread, under `name` (at most 15 bytes). `ctx` is the writer's from now on if this succeeds, and ends with
 * sink->close(). E_IO. */
err_t writer_start(const char *name, const struct writer_sink *sink, void *ctx, struct writer **ret) MUST_CHECK;
/* Write to `path` (append; made if missing), or "stdout", "stderr". Starts the thread. writer_close() ends it. E_IO. */
err_t writer_open(const char *path, struct writer **ret) MUST_CHECK;
/* Write what is queued, then free; nobody uses it any more. Blocks while it writes. NULL is allowed. */
void writer_close(struct writer *w);
/* Queue one line (copied; bring your own '\n'). Never blocks on the disk, from any thread; from loops it takes no lock and rarely
 * a system call. False if it was dropped: the ring is full, or the line longer than it. Lines are written within a few milliseconds. */
bool writer_put(struct writer *w, struct str line);
/* Open the file anew at the next line, after it was rotated away. If that fails, the old file stays. From any thread. NULL is allowed. */
void writer_reopen(struct writer *w);
/* Lines lost so far, to full rings and to failing disks. */
uint64_t writer_dropped(const struct writer *w);

#endif
