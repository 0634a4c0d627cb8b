/*
 * admin_key.h - the key that a server makes for the operators of its machine: where it lies.
 *
 * Who may read the file may ask the server's admin endpoints; it belongs to the server's user alone (mode 0600).
 */
#ifndef CLI_ADMIN_KEY_H
#define CLI_ADMIN_KEY_H

#include "base/buf.h"

#include <stdint.h>

/* Where a server with its admin endpoints at `port` writes its key unless it is told where; NUL-terminated. False: this user has no such place. */
bool admin_key_path(uint16_t port, struct buf *to);
/* Read the key of the server at `port`: from the usual place, or from where systemd has a service named crossdock write it. Without blanks around.
 * E_NOT_FOUND with the remedy. Blocks. */
err_t admin_key_find(uint16_t port, struct buf *ret) MUST_CHECK;
/* Read it from `path`. Blocks. */
err_t admin_key_read(const char *path, struct buf *ret) MUST_CHECK;

#endif
