/* postgres_server.h - a PostgreSQL of the tests' own. One for all tests of the program; each test has a database of its own in it. */
#ifndef BROKERS_POSTGRES_SERVER_H
#define BROKERS_POSTGRES_SERVER_H

#include "brokers/server.h"

#include <glob.h>
#include <pwd.h>

struct postgres_server {
    struct server server;
    char bin[128]; /* the folder of its programs; empty: not installed */
    char data[64];
    char trust[16]; /* how clients are let in */
    bool is_up;
};

/* The newest one that is installed. */
static UNUSED bool postgres_find(struct postgres_server *p)
{
    glob_t found;

    if (p->bin[0] == '\0' && glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0) {
        const char *path = found.gl_pathv[found.gl_pathc - 1];
        (void)snprintf(p->bin, sizeof p->bin, "%.*s", (int)(strlen(path) - strlen("/initdb")), path);
        globfree(&found);
    }
    return p->bin[0] != '\0';
}

/* `words` with what makes root somebody else in front of it: PostgreSQL does not run as root. */
static UNUSED void as_postgres(const char *words[], const char *argv[], size_t cap)
{
    const char *drop[] = {"setpriv",        "--reuid=postgres", "--regid=postgres",
                          "--clear-groups", "--pdeathsig=KILL", "--"};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(drop) && geteuid() == 0; i++)
        argv[n++] = drop[i];
    while (*words && n < cap - 1)
        argv[n++] = *words++;
    argv[n] = NULL;
}

static UNUSED bool postgres_start(struct postgres_server *p)
{
    char program[160];
    const char *argv[32];

    (void)snprintf(program, sizeof program, "%s/postgres", p->bin);
    const char *words[] = {program,
                           "-D",
                           p->data,
                           "-p",
                           p->server.port_text,
                           "-h",
                           "127.0.0.1",
                           "-k",
                           "",
                           "-c",
                           "fsync=off",
                           "-c",
                           "max_connections=30",
                           "-c",
                           "shared_buffers=16MB",
                           "-c",
                           "max_prepared_transactions=4",
                           NULL};
    as_postgres(words, argv, ARRAY_LEN(argv));
    p->is_up = server_start(&p->server, "ready to accept connections", (char *const *)argv);
    return p->is_up;
}

static UNUSED bool postgres_init(struct postgres_server *p)
{
    char program[160];
    const char *argv[32];

    server_init(&p->server);
    const struct passwd *who = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (who && chown(p->server.folder, who->pw_uid, who->pw_gid))
        die("cannot give the folder to postgres");
    (void)snprintf(p->data, sizeof p->data, "%s/data", p->server.folder);
    (void)snprintf(program, sizeof program, "%s/initdb", p->bin);
    const char *words[] = {program,    "-D", p->data, "-A",   "trust",      "-U",
                           "postgres", "-N", "-E",    "UTF8", "--locale=C", NULL};
    as_postgres(words, argv, ARRAY_LEN(argv));
    bool ok = server_start(&p->server, "Success. You can now start", (char *const *)argv);
    (void)waitpid(p->server.pid, NULL, 0);
    p->server.pid = 0;
    return ok && postgres_start(p);
}

/* Up, or the test is skipped, or has failed. */
static UNUSED bool postgres_have(struct postgres_server *p)
{
    if (!postgres_find(p)) {
        test_skip("PostgreSQL is not installed");
        return false;
    }
    if (p->is_up || (p->data[0] ? postgres_start(p) : postgres_init(p)))
        return true;
    test_fail_(__FILE__, __LINE__, "PostgreSQL did not start");
    return false;
}

#endif
