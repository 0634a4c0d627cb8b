/*
 * file_store.c - uploaded files, as a list from newest to oldest.
 *
 * Bounded by count and bytes: adding drops the oldest until the new one fits. A file that is being sent stays in memory, out of the
 * list, until that has ended, and is not counted meanwhile.
 */
#include "sim/file_store.h"

#include "base/mem.h"

#include <stddef.h>

struct file_store {
    struct list files;
    size_t count, bytes, max;
};

struct file_store *file_store_new(size_t max)
{
    struct file_store *s = NEW(struct file_store);

    list_init(&s->files);
    s->max = max;
    return s;
}

static void file_free(struct stored_file *f)
{
    mem_free((void *)(uintptr_t)f->id.p);
    mem_free((void *)(uintptr_t)f->name.p);
    mem_free((void *)(uintptr_t)f->purpose.p);
    mem_free((void *)(uintptr_t)f->bytes.p);
    mem_free(f);
}

void file_store_free(struct file_store *s)
{
    if (!s)
        return;
    for (struct list *node; (node = list_pop_front(&s->files)) != NULL;)
        file_free(CONTAINER_OF(node, struct stored_file, link));
    mem_free(s);
}

void file_store_remove(struct file_store *s, struct stored_file *f)
{
    if (f->removed)
        return;
    list_remove(&f->link);
    s->count--;
    s->bytes -= f->bytes.n;
    f->removed = true;
    if (f->readers == 0)
        file_free(f);
}

void file_store_use(struct stored_file *f)
{
    f->readers++;
}

void file_store_unuse(struct stored_file *f)
{
    if (--f->readers == 0 && f->removed)
        file_free(f);
}

static struct str keep(struct str s)
{
    return str_of(mem_dup(s.p, s.n), s.n);
}

err_t file_store_add(struct file_store *s, struct str id, struct str name, struct str purpose, struct str bytes,
                     int64_t created, struct stored_file **ret)
{
    if (bytes.n > s->max)
        return fail(E_TOO_LARGE, "the file has more than %zu bytes", s->max);
    while (s->count == FILE_STORE_COUNT || s->bytes + bytes.n > s->max)
        file_store_remove(s, CONTAINER_OF(s->files.prev, struct stored_file, link));
    struct stored_file *f = NEW(struct stored_file);
    f->id = keep(id);
    f->name = keep(name);
    f->purpose = keep(purpose);
    f->bytes = keep(bytes);
    f->created = created;
    list_push_front(&s->files, &f->link);
    s->count++;
    s->bytes += bytes.n;
    *ret = f;
    return OK;
}

struct stored_file *file_store_next(const struct file_store *s, const struct stored_file *after)
{
    const struct list *next = after ? after->link.next : s->files.next;

    return next == &s->files ? NULL : CONTAINER_OF(next, struct stored_file, link);
}

struct stored_file *file_store_find(const struct file_store *s, struct str id)
{
    for (struct stored_file *f = NULL; (f = file_store_next(s, f)) != NULL;)
        if (str_eq(f->id, id))
            return f;
    return NULL;
}
