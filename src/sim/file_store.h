/* file_store.h - files that were uploaded, in memory and bounded: when there is no room, the oldest go. One loop's. */
#ifndef SIM_FILE_STORE_H
#define SIM_FILE_STORE_H

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILE_STORE_COUNT = 1000 };

struct stored_file {
    struct list link;
    struct str id, name, purpose, bytes;
    int64_t created;
    unsigned readers; /* who have it in use     */
    bool removed;     /* and goes with the last */
};

struct file_store;

/* An empty store for at most `max` bytes. */
struct file_store *file_store_new(size_t max);
/* Takes NULL. No file may be in use. */
void file_store_free(struct file_store *s);
/* Keep a copy of these bytes; the file is valid until it is removed. E_TOO_LARGE if they alone are more than the store takes. */
err_t file_store_add(struct file_store *s, struct str id, struct str name, struct str purpose, struct str bytes,
                     int64_t created, struct stored_file **ret) MUST_CHECK;
/* NULL if there is none of that id. */
struct stored_file *file_store_find(const struct file_store *s, struct str id);
void file_store_remove(struct file_store *s, struct stored_file *f);
/* Keep `f` from being freed while its bytes are being sent; file_store_unuse() ends that. */
void file_store_use(struct stored_file *f);
void file_store_unuse(struct stored_file *f);
/* Newest first; start with NULL. NULL at the end. */
struct stored_file *file_store_next(const struct file_store *s, const struct stored_file *after);

#endif
