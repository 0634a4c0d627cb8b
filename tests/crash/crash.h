/*
 * crash.h - the ends of the crash matrix: places that messages come from, and places that they go to, each a real system.
 *
 * A case has a number, and with it a place of its own at each end (a table, a stream, a topic): nothing of one case is seen by another. Messages are the
 * numbers from 1 on, {"n":…}; their key is whether they are odd, so there are two lanes.
 */
#ifndef CRASH_CRASH_H
#define CRASH_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRASH_NUMBERS = 24, CRASH_READ_MAX = 4096 };

struct crash_case {
    unsigned number;
    long run; /* of this program: for names in systems that outlive it */
    char folder[64];
    uint16_t port; /* where the pipeline is to listen; 0: it need not */
    int64_t began; /* seconds since 1970; set by who needs it */
};

struct crash_source {
    const char *name;
    bool ends; /* when all has been read; else somebody must see that all has arrived */
    /* Is the system there, and running? Else says why, as a skipped test or a failed one. */
    bool (*begin)(void);
    void (*fill)(struct crash_case *c);
    void (*end)(void); /* of the case; NULL: it leaves nothing behind */
    /* Its connection, if it has one, and its entry in the file. */
    int (*print)(const struct crash_case *c, char *to, size_t cap);
    int (*print_connection)(char *to, size_t cap);
};

struct crash_sink {
    const char *name;
    bool
        keeps_one; /* of what comes again under the same key: then nothing may be there twice, unless it may come under another */
    bool (*begin)(void);
    void (*prepare)(const struct crash_case *c); /* NULL: there is nothing to prepare */
    int (*print)(const struct crash_case *c, char *to, size_t cap);
    int (*print_connection)(char *to, size_t cap);
    /* The numbers that are there, in the order in which they came, at least that of each lane. */
    size_t (*read)(const struct crash_case *c, unsigned *ret, size_t max);
};

extern const struct crash_source crash_files, crash_redis_stream, crash_postgres_outbox, crash_jetstream, crash_topic,
    crash_clock, crash_webhook, crash_requests;
extern const struct crash_sink crash_file, crash_sqlite, crash_redis, crash_postgres, crash_nats, crash_kafka,
    crash_http_put, crash_http_key, crash_http_again, crash_http_perhaps, crash_s3, crash_qdrant, crash_opensearch,
    crash_kafka_elsewhere, crash_reply, crash_reply_later;

#endif
