/*
 * rt_faults.c - the runtime's own users under sweeps: sockets with helpers, a relay, channels, jobs, files.
 *
 * What each must keep: whoever was told OK got everything; nobody waits for ever; nothing is left open.
 */
#include "fault/fault.h"

#include "base/mem.h"
#include "rt/chan.h"
#include "rt/loop.h"
#include "rt/worker.h"
#include "rt/writer.h"

#include <string.h>

enum { PORT = 80, RELAY_PORT = 81, CHUNK = 700, TOTAL = 3000 };

/* ---- an echo server and clients that read and write at once ------------------------------------------------------ */

static SUSPENDS err_t serve_echo(struct sock *s, void *arg)
{
    char bytes[CHUNK];
    size_t n;

    (void)arg;
    for (;;) {
        TRY(sock_read(s, bytes, sizeof bytes, &n));
        if (n == 0)
            return sock_shutdown(s);
        TRY(sock_write(s, bytes, n));
    }
}

static SUSPENDS err_t upload(void *arg)
{
    char bytes[CHUNK];

    for (size_t at = 0; at < TOTAL; at += sizeof bytes) {
        size_t n = TOTAL - at < sizeof bytes ? TOTAL - at : sizeof bytes;
        world_bytes(1, at, bytes, n);
        TRY(sock_write(arg, bytes, n));
    }
    return sock_shutdown(arg);
}

struct download {
    struct client *client;
    struct sock *sock;
};

static SUSPENDS err_t download(void *arg)
{
    const struct download *d = arg;
    struct outcome *o = d->client->outcome;
    char bytes[CHUNK];
    size_t n;

    do {
        TRY(sock_read(d->sock, bytes, sizeof bytes, &n));
        EXPECT(world_mismatch(1, o->received, bytes, n) == n, "client %u got wrong bytes", d->client->index);
        o->received += n;
    } while (n > 0);
    return OK;
}

static SUSPENDS err_t ask(struct client *c, uint16_t port)
{
    struct addr to = world_addr(port), own;
    struct sock *s CLEANUP(sock_close_p) = NULL;
    err_t child;
    SCOPE(talking, rt_now() + 60 * NS_SEC);

    TRY(sock_connect(&to, &s));
    TRY(sock_local_addr(s, &own));
    struct download d = {c, s};
    (void)scope_spawn(&talking, "upload", upload, s);
    (void)scope_spawn(&talking, "download", download, &d);
    for (int i = 0; i < 2; i++) {
        TRY(scope_wait_any(&talking, NS_NEVER, &child));
        TRY(child);
    }
    return OK;
}

static SUSPENDS err_t ask_echo(struct client *c)
{
    return ask(c, PORT);
}

static SUSPENDS err_t ask_relay(struct client *c)
{
    return ask(c, RELAY_PORT);
}

/* A server that breaks off may end the stream cleanly, but never before its time, unless it was broken itself. */
static void judge(const struct outcome *o, unsigned n, bool server_is_ours)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(o[i].ended != 0, "client %u has not ended", i);
        EXPECT(o[i].result != E_DEADLINE, "client %u was forgotten until its deadline", i);
        EXPECT(fault_has_struck() || o[i].result == OK, "client %u: %s %s without a fault", i, err_name(o[i].result),
               o[i].text);
        EXPECT(o[i].result != OK || o[i].received == TOTAL || !server_is_ours || fault_has_struck(),
               "client %u was told OK after %zu bytes", i, (size_t)o[i].received);
    }
}

FAULT_SCENARIO(echo, .victims = "client,upload,download,served connection")
{
    TRY(world_serve(w, PORT, serve_echo, NULL));
    const struct outcome *o = world_clients(w, 3, 10 * NS_MS, ask_echo, NULL);
    judge(o, 3, true);
    EXPECT(world_count(o, 3, OK) >= 2, "one fault has broken %u clients", 3 - world_count(o, 3, OK));
    return OK;
}

/* ---- a relay ------------------------------------------------------------------------------------------------------ */

struct direction {
    struct sock *from, *to;
};

static SUSPENDS err_t copy(void *arg)
{
    const struct direction *d = arg;
    char bytes[CHUNK];
    size_t n;

    for (;;) {
        TRY(sock_read(d->from, bytes, sizeof bytes, &n));
        if (n == 0)
            return sock_shutdown(d->to);
        TRY(sock_write(d->to, bytes, n));
    }
}

static SUSPENDS err_t serve_relay(struct sock *client, void *arg)
{
    struct addr to = world_addr(PORT);
    struct sock *server CLEANUP(sock_close_p) = NULL;
    err_t child;

    (void)arg;
    TRY(sock_connect(&to, &server));
    struct direction up = {client, server}, down = {server, client};
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "relay", copy, &up);
    (void)scope_spawn(&s, "relay", copy, &down);
    for (int i = 0; i < 2; i++) {
        TRY(scope_wait_any(&s, NS_NEVER, &child));
        TRY(child);
    }
    return OK;
}

FAULT_SCENARIO(relay, .victims = "client,served connection,relay")
{
    TRY(world_serve(w, PORT, serve_echo, NULL));
    TRY(world_serve(w, RELAY_PORT, serve_relay, NULL));
    const struct outcome *o = world_clients(w, 2, 10 * NS_MS, ask_relay, NULL);
    judge(o, 2, true);
    return OK;
}

/* ---- several at once, the first answer counts ---------------------------------------------------------------------- */

static SUSPENDS err_t hedged_attempt(void *arg)
{
    return ask(arg, PORT);
}

static SUSPENDS err_t ask_hedged(struct client *c)
{
    struct client attempts[3];
    struct outcome outcomes[3] = {{0}};
    err_t child = OK;

    SCOPE(s, rt_now() + 60 * NS_SEC);
    for (unsigned i = 0; i < 3; i++) {
        attempts[i] = *c;
        attempts[i].outcome = &outcomes[i];
        (void)scope_spawn(&s, "attempt", hedged_attempt, &attempts[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        TRY(scope_wait_any(&s, NS_NEVER, &child));
        if (child == OK)
            return OK;
    }
    return fail(E_UPSTREAM, "all attempts failed");
}

FAULT_SCENARIO(hedged_call, .victims = "attempt,upload")
{
    TRY(world_serve(w, PORT, serve_echo, NULL));
    const struct outcome *o = world_clients(w, 1, 0, ask_hedged, NULL);
    EXPECT(o->result == OK, "one fault was enough against three attempts: %s %s", err_name(o->result), o->text);
    return OK;
}

/* ---- what a cancelled fiber leaves behind ------------------------------------------------------------------------- */

struct wanderer {
    struct sock *sock;
    struct chan *chan;
};

/* One wait of each kind, again and again. */
static SUSPENDS err_t wander(const struct wanderer *w)
{
    char byte = 'w';
    size_t n;
    void *item;

    for (int i = 0; i < 4; i++) {
        TRY(fiber_sleep_until(rt_now() + NS_MS));
        TRY(sock_write(w->sock, &byte, 1));
        TRY(sock_read(w->sock, &byte, 1, &n));
        err_t e = chan_receive(w->chan, rt_now() + NS_MS, &item);
        if (e != E_AGAIN)
            TRY(e);
        e = sock_wait_readable(w->sock, rt_now() + NS_MS);
        if (e != E_AGAIN)
            TRY(e);
        SCOPE(s, rt_now() + NS_MS);
        e = scope_wait_all(&s);
        if (e != OK)
            return e;
    }
    return OK;
}

static SUSPENDS err_t wanderer_main(void *arg)
{
    err_t e = wander(arg);

    EXPECT(fault_has_struck() || e == OK, "without a fault: %s", err_name(e));
    EXPECT(!fault_has_struck() || e == E_CANCELLED, "cancelled, and yet %s", err_name(e));
    EXPECT(!fault_has_struck() || rt_now() == fault_struck_at(), "cancelled, and gone only %.9f s later",
           (double)(rt_now() - fault_struck_at()) / 1e9);
    return OK;
}

/* The socket and the channel are good for the next fiber. */
static SUSPENDS err_t check_remains(struct wanderer *left)
{
    char byte = 'x', first;
    size_t n;
    void *item;

    TRY(sock_write(left->sock, &byte, 1));
    TRY(sock_read(left->sock, &first, 1, &n));
    if (first == 'w') /* the wanderer had written, and not read */
        TRY(sock_read(left->sock, &first, 1, &n));
    EXPECT(n == 1 && first == 'x', "the next user of the socket got something else");
    TRY(chan_send(left->chan, left));
    TRY(chan_receive(left->chan, NS_NEVER, &item));
    EXPECT(item == left, "the next user of the channel got something else");
    return OK;
}

FAULT_SCENARIO(cancel_is_noticed_at_once_and_leaves_nothing_behind, .victims = "wanderer", .only = "cancel")
{
    struct addr to = world_addr(PORT);
    struct sock *sock CLEANUP(sock_close_p) = NULL;

    TRY(world_serve(w, PORT, serve_echo, NULL));
    TRY(sock_connect(&to, &sock));
    struct wanderer wanderer = {sock, chan_new(1)};
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "wanderer", wanderer_main, &wanderer);
        TRY(scope_wait_all(&s));
    }
    err_t e = check_remains(&wanderer);
    EXPECT(e == OK, "the next user got %s", err_name(e));
    chan_free(wanderer.chan);
    return OK;
}

/* ---- a channel ------------------------------------------------------------------------------------------------------ */

struct pipe {
    struct chan *chan;
    unsigned sent, received, expected;
};

static SUSPENDS err_t send_items(void *arg)
{
    struct pipe *p = arg;

    for (uintptr_t i = 1; i <= 20; i++) {
        TRY(chan_send(p->chan, (void *)i));
        p->sent++;
        if (i % 4 == 0)
            TRY(fiber_sleep_until(rt_now() + NS_MS));
    }
    return OK;
}

static SUSPENDS err_t receive_items(void *arg)
{
    struct pipe *p = arg;
    void *item;

    for (;;) {
        err_t e = chan_receive(p->chan, rt_now() + NS_SEC, &item);
        if (e != OK)
            return e == E_EOF ? OK : e;
        EXPECT((uintptr_t)item == ++p->expected, "item %zu came instead of %u", (size_t)(uintptr_t)item, p->expected);
        p->received++;
    }
}

FAULT_SCENARIO(channel, .victims = "sender,receiver")
{
    struct pipe p = {.chan = chan_new(3)};
    void *item;
    {
        SCOPE(receiving, NS_NEVER);
        SCOPE(sending, NS_NEVER);
        (void)scope_spawn(&receiving, "receiver", receive_items, &p);
        (void)scope_spawn(&sending, "sender", send_items, &p);
        while (scope_wait_any(&sending, rt_now() + 5 * NS_SEC, &(err_t){OK}) == OK)
            continue;
        chan_close(p.chan);
        err_t e = scope_wait_all(&receiving);
        EXPECT(e == OK || fault_has_struck(), "the receiver ended with %s", err_name(e));
    }
    while (chan_try_receive(p.chan, &item) == OK)
        p.received++;
    EXPECT(p.sent == p.received, "%u items were sent, %u came out", p.sent, p.received);
    chan_free(p.chan);
    (void)w;
    return OK;
}

/* ---- jobs and files -------------------------------------------------------------------------------------------------- */

struct sum_job {
    struct job job;
    unsigned *alive;
    uint64_t result;
};

static void sum_run(struct job *job)
{
    CONTAINER_OF(job, struct sum_job, job)->result = 42;
}

static void sum_drop(struct job *job)
{
    struct sum_job *j = CONTAINER_OF(job, struct sum_job, job);

    (*j->alive)--;
    mem_free(j);
}

static SUSPENDS err_t compute(struct client *c)
{
    unsigned *alive = c->arg;

    for (int i = 0; i < 3; i++) {
        struct sum_job *j = NEW(struct sum_job);
        *j = (struct sum_job){.job = {.run = sum_run, .drop = sum_drop}, .alive = alive};
        ++*alive;
        TRY(worker_run(&j->job));
        EXPECT(j->result == 42, "a job came back undone");
        sum_drop(&j->job);
    }
    return OK;
}

FAULT_SCENARIO(worker_jobs)
{
    unsigned alive = 0;

    (void)world_clients(w, 3, NS_MS, compute, &alive);
    EXPECT(alive == 0, "%u jobs belong to nobody", alive);
    return OK;
}

/* Lines that were accepted and that the disk took are whole, and in order. */
FAULT_SCENARIO(writer_keeps_lines_whole)
{
    static const char line[] = "0123456789\n";
    struct writer *out;
    struct str file = STR_NONE;
    unsigned put = 0;

    TRY(writer_open("/var/log/test", &out));
    for (int i = 0; i < 5; i++) {
        put += writer_put(out, STR("0123456789\n"));
        if (i == 2)
            writer_reopen(out);
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    }
    writer_close(out);
    if (!sim_world_look_file(w->sim, "/var/log/test", &file))
        EXPECT(fault_has_struck(), "there is no file");
    EXPECT(fault_has_struck() || file.n == 5 * (sizeof line - 1), "%zu bytes were written", file.n);
    EXPECT(file.n % (sizeof line - 1) == 0, "a line is torn");
    EXPECT(file.n <= put * (sizeof line - 1), "more lines than were accepted");
    return OK;
}
