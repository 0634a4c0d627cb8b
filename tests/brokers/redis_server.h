/* redis_server.h - a Redis of the tests' own that forgets nothing it has acknowledged. */
#ifndef BROKERS_REDIS_SERVER_H
#define BROKERS_REDIS_SERVER_H

#include "brokers/server.h"

static UNUSED bool redis_start(struct server *s)
{
    char *argv[] = {
        "redis-server",  "--port", s->port_text, "--bind", "127.0.0.1",  "--dir",  s->folder,     "--appendonly", "yes",
        "--appendfsync", "always", "--save",     "",       "--loglevel", "notice", "--daemonize", "no",           NULL};

    return server_start(s, "Ready to accept connections", argv);
}

#endif
