/*
 * server.h - a real server of the tests' own: a child process on a free port of the loopback interface, with a folder of its own.
 *
 * It is ready when it says so itself (a text in what it prints), ends with the test program whatever happens to that, and is killed by its
 * process id. A test whose server is not installed is skipped, and counted as skipped.
 */
#ifndef BROKERS_SERVER_H
#define BROKERS_SERVER_H

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
    pid_t pid; /* 0: not running */
    int said;  /* what it prints */
    uint16_t port;
    char port_text[8];
    char folder[40]; /* empty: none yet */
};

/* That a server has when it is started again, too: not one that the kernel may give to a connection meanwhile. */
static UNUSED uint16_t free_port(void)
{
    unsigned port = 0;
    FILE *said = popen("exec python3 scripts/lib/ports.py", "re");

    if (!said || fscanf(said, "%u", &port) != 1 || pclose(said) || port == 0 || port > UINT16_MAX)
        die("no free port");
    return (uint16_t)port;
}

static UNUSED bool is_installed(const char *program)
{
    const char *path = getenv("PATH");
    char name[512];

    for (const char *at = path ? path : ""; *at; at += strspn(at, ":")) {
        size_t n = strcspn(at, ":");
        (void)snprintf(name, sizeof name, "%.*s/%s", (int)n, at, program);
        if (access(name, X_OK) == 0)
            return true;
        at += n;
    }
    return false;
}

/* A folder and a port; call it once, before server_start(). */
static UNUSED void server_init(struct server *s)
{
    *s = (struct server){.said = -1, .port = free_port(), .folder = "/tmp/crossdock-broker-XXXXXX"};
    if (!mkdtemp(s->folder))
        die("no folder");
    (void)snprintf(s->port_text, sizeof s->port_text, "%u", s->port);
}

static UNUSED void server_exec(const struct server *s, char *const argv[], int out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    if (chdir(s->folder) == 0)
        (void)execvp(argv[0], argv);
    _exit(127);
}

/* Start it, in its folder, and read what it prints until `ready` is in it. False, with what it printed, if it ends or takes 30 s. */
static UNUSED bool server_start(struct server *s, const char *ready, char *const argv[])
{
    char text[16384];
    size_t n = 0;
    int pipes[2];

    if (pipe2(pipes, O_CLOEXEC))
        die("no pipe");
    s->pid = fork();
    if (s->pid == 0)
        server_exec(s, argv, pipes[1]);
    (void)close(pipes[1]);
    s->said = pipes[0];
    while (n < sizeof text - 1) {
        struct pollfd p = {.fd = s->said, .events = POLLIN};
        ssize_t got = poll(&p, 1, 30000) == 1 ? read(s->said, text + n, sizeof text - 1 - n) : -1;
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
        if (strstr(text, ready))
            return true;
    }
    (void)fprintf(stderr, "%s did not start: %.*s\n", argv[0], (int)n, text);
    return false;
}

/* As a machine that loses power would end it. */
static UNUSED void server_kill(struct server *s)
{
    if (s->pid > 0) {
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
        (void)close(s->said);
    }
    s->pid = 0;
}

static UNUSED int remove_one(const char *path, const struct stat *st UNUSED, int kind UNUSED, struct FTW *w UNUSED)
{
    return remove(path);
}

/* For CLEANUP. */
static UNUSED void server_release(struct server *s)
{
    server_kill(s);
    if (s->folder[0])
        (void)nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
