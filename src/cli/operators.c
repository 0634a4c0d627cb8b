/*
 * operators.c - the admin address of a server, and the key that it makes for who operates it.
 *
 * Without configured keys a server makes one at each start, so that `crossdock fleet` works on the same machine without a word, and nobody else can ask: the
 * key is in a file that only the server's user reads. It is written when the address is known to be ours, so that a second server, whose address is taken,
 * does not spoil the first one's, and taken away at the end.
 */
#include "base/log.h"
#include "base/mem.h"
#include "cli/admin_key.h"
#include "cli/server.h"
#include "codec/base64.h"
#include "rt/file.h"
#include "rt/worker.h"

enum { KEY_BYTES = 32, PATH_MAX_BYTES = 4096 };

void server_make_key(struct server *s)
{
    const struct catalog *c = s->first->catalog;
    unsigned char bytes[KEY_BYTES];
    struct buf key CLEANUP(buf_release) = BUF_INIT(ADMIN_KEY_MAX - 1);

    if (!c->admin.on || (c->admin.key_count && !c->admin.key_file.n))
        return;
    rt_random_bytes(bytes, sizeof bytes);
    buf_add_lit(&key, "xd-admin-");
    s->key_is_made = base64_encode(&key, str_of((const char *)bytes, sizeof bytes), BASE64_URL) == OK;
    memcpy(s->made_key, key.p, key.n);
    sha256(buf_str(&key), s->made_hash);
    explicit_bzero(key.p, key.n);
    explicit_bzero(bytes, sizeof bytes);
}

err_t open_admin(struct server_loop *sl)
{
    struct server *s = sl->server;
    const struct catalog *c = s->first->catalog;
    struct tls_ctx *tls = c->admin.listen.tls ? s->first->server_tls : NULL;
    err_t e = http_server_listen(sl->admin_http, &c->admin.listen.addr, LISTEN_ALONE, tls, &s->admin_at);

    s->admin_listens = e == OK;
    if (e == OK || !c->admin.is_usual)
        return err_context(e, "admin.listen");
    log_warn(STR_NONE, "operators are not served, 'crossdock fleet' and 'crossdock why' find nobody: %s (admin.listen)",
             err_detail(e));
    return OK;
}

/* --- the file --- */

struct publish_job {
    struct job job;
    char *path;
    char key[ADMIN_KEY_MAX];
    struct err_record record; /* of a failure */
};

static void publish_run(struct job *j)
{
    struct publish_job *p = CONTAINER_OF(j, struct publish_job, job);

    p->key[strlen(p->key)] = '\n'; /* there is room: zeroed, and a key is shorter */
    if (file_write_private(loop_seams(), p->path, str_of(p->key, strnlen(p->key, sizeof p->key))) != OK)
        p->record = *err_current();
}

static void publish_drop(struct job *j)
{
    struct publish_job *p = CONTAINER_OF(j, struct publish_job, job);

    explicit_bzero(p->key, sizeof p->key);
    mem_free(p->path);
    mem_free(p);
}

/* Where the key of this run goes; NULL: nowhere. To mem_free(). */
static char *key_path(const struct server *s)
{
    const struct str given = s->first->catalog->admin.key_file;
    struct buf usual CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);

    if (given.n)
        return mem_dup(given.p, given.n);
    return admin_key_path(addr_port(&s->admin_at), &usual) ? mem_dup(usual.p, usual.n - 1) : NULL;
}

/* Nobody can know the key: it is as if there were none. */
static void give_up_key(struct server_loop *sl, const char *why)
{
    sl->admin.made_key = NULL;
    log_warn(STR_NONE, "the admin key has no place: %s; set admin.key_file, or configure admin.keys", why);
}

static struct publish_job *new_job(struct server *s, char *path)
{
    struct publish_job *p = NEW(struct publish_job);

    p->job = (struct job){.run = publish_run, .drop = publish_drop};
    p->path = path;
    memcpy(p->key, s->made_key, sizeof p->key);
    return p;
}

err_t publish_key(struct server_loop *sl)
{
    struct server *s = sl->server;

    if (!s->key_is_made || !s->admin_listens)
        return OK;
    char *path = key_path(s);
    if (!path) {
        give_up_key(sl, "there is no RUNTIME_DIRECTORY, XDG_RUNTIME_DIR or HOME");
        return OK;
    }
    struct publish_job *p = new_job(s, path);
    explicit_bzero(s->made_key, sizeof s->made_key);
    TRY(worker_run(&p->job));
    if (p->record.code == OK)
        s->key_path = mem_dup(p->path, strlen(p->path));
    else
        give_up_key(sl, p->record.text);
    publish_drop(&p->job);
    return OK;
}

void withdraw_key(struct server *s)
{
    const struct seams *seams = loop_seams();

    if (s->key_path)
        (void)seams->disk->remove(seams->ctx, s->key_path);
    mem_free(s->key_path);
    s->key_path = NULL;
    explicit_bzero(s->made_key, sizeof s->made_key);
}
