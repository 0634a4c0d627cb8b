/*
 * config_watch.c - the state of a configuration's files, compared by size, time and inode.
 *
 * A configuration is more than the file that the command line names: files of a folder, certificates, secrets. Only reading it tells
 * which, so the loader says each path before it reads it, and a change while it reads is seen as one. States are asked for, not
 * notified: notifications miss how volumes are swapped under a path in containers, and do not come from network file systems.
 *
 * What was read and failed is watched, too: a missing certificate that appears is a change.
 */
#include "fleet/config_watch.h"

#include "base/map.h"
#include "base/mem.h"
#include "fleet/config_int.h"
#include "rt/seam.h"

enum { PATHS_MAX = 10000 };

struct config_watch {
    unsigned refs;      /* atomic by __atomic           */
    struct arena arena; /* of paths and states          */
    struct map states;  /* path to struct disk_stat   */
};

/* All zero if it is not there. */
static struct disk_stat look(const char *path)
{
    const struct seams *s = config_seams();
    struct disk_stat now;

    return s->disk->stat(s->ctx, path, &now) >= 0 ? now : (struct disk_stat){0};
}

static bool is_there(const struct disk_stat *s)
{
    return s->inode || s->is_dir;
}

static bool is_same(const struct disk_stat *a, const struct disk_stat *b)
{
    return a->size == b->size && a->mtime == b->mtime && a->inode == b->inode;
}

struct config_watch *config_watch_new(void)
{
    struct config_watch *w = NEW(struct config_watch);

    *w = (struct config_watch){.refs = 1};
    arena_init(&w->arena, SIZE_MAX);
    return w;
}

struct config_watch *config_watch_ref(struct config_watch *w)
{
    __atomic_fetch_add(&w->refs, 1, __ATOMIC_RELAXED);
    return w;
}

void config_watch_unref(struct config_watch *w)
{
    if (!w || __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    map_release(&w->states);
    arena_release(&w->arena);
    mem_free(w);
}

void config_watch_note(void *watch, const char *path)
{
    struct config_watch *w = watch;

    if (w->states.count == PATHS_MAX || map_get(&w->states, str_from_c(path)))
        return;
    struct disk_stat *state = arena_new(&w->arena, struct disk_stat);
    *state = look(path);
    (void)map_put(&w->states, arena_str(&w->arena, str_from_c(path)), state);
}

bool config_watch_changed(const struct config_watch *w)
{
    struct str path;
    void *value;

    for (size_t at = 0; map_next(&w->states, &at, &path, &value);) {
        struct disk_stat now = look(path.p);
        if (is_there(&now) && !is_same(value, &now))
            return true;
    }
    return false;
}
