/*
 * admin_key.c - the file of an operator's key, found by the same rule by who writes and by who reads it.
 *
 * The rule: a folder that belongs to this service (systemd's RUNTIME_DIRECTORY), to this session (XDG_RUNTIME_DIR), or to this user (HOME, where the
 * name begins with a dot). The port is in the name, because several servers may run on one machine.
 */
#include "cli/admin_key.h"

#include "fleet/config.h"
#include "rt/file.h"
#include "rt/loop.h"

enum { KEY_FILE_MAX = 4096 };

/* Where systemd makes the folder of `RuntimeDirectory=crossdock`. */
static const char service_folder[] = "/run/crossdock";

static void put_path(struct str folder, const char *dot, uint16_t port, struct buf *to)
{
    buf_clear(to);
    buf_addf(to, "%.*s/%scrossdock-admin-%u.key", STR_ARG(folder), dot, (unsigned)port);
    buf_add_char(to, '\0');
}

bool admin_key_path(uint16_t port, struct buf *to)
{
    static const struct {
        const char *variable, *dot;
    } places[] = {{"RUNTIME_DIRECTORY", ""}, {"XDG_RUNTIME_DIR", ""}, {"HOME", "."}};

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const char *value = config_env_real()->getenv(places[i].variable);
        if (!value || value[0] != '/')
            continue;
        struct str folders = str_from_c(value); /* systemd's may be several */
        put_path(str_cut(&folders, ':'), places[i].dot, port, to);
        return buf_status(to) == OK;
    }
    return false;
}

err_t admin_key_read(const char *path, struct buf *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(KEY_FILE_MAX);

    TRY(err_context(file_read(loop_seams(), path, KEY_FILE_MAX - 1, &text), "%s", path));
    struct str key = buf_str(&text);
    size_t line = str_find_char(key, '\n');
    return buf_add(ret, str_trim(str_slice(key, 0, line < key.n ? line : key.n)));
}

err_t admin_key_find(uint16_t port, struct buf *ret)
{
    struct buf path CLEANUP(buf_release) = BUF_INIT(KEY_FILE_MAX);

    if (admin_key_path(port, &path) && admin_key_read(path.p, ret) == OK)
        return OK;
    put_path(str_from_c(service_folder), "", port, &path);
    if (admin_key_read(path.p, ret) == OK)
        return OK;
    return fail(E_NOT_FOUND,
                "an admin key is needed: give it with --key or in CROSSDOCK_ADMIN_KEY, or name the server's "
                "admin.key_file with --key-file");
}
