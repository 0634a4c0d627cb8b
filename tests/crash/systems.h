/* systems.h - the real servers of the crash matrix: each is started when it is first needed, and ends with the program. */
#ifndef CRASH_SYSTEMS_H
#define CRASH_SYSTEMS_H

#include "client/kafka.h"
#include "client/nats.h"
#include "client/postgres.h"
#include "client/redis.h"

/* Run fn(arg, arena) in a fiber of a loop of its own. */
typedef void system_fn(void *arg, struct arena *a);
void in_loop(system_fn *fn, void *arg);

/* Is it installed, and up? Else the test is skipped, or has failed. */
bool redis_begin(void);
bool postgres_begin(void);
bool nats_begin(void);
bool kafka_is_there(void); /* $KAFKA_BROKERS: tests/brokers/run starts it */

/* Its entry under `connections`. */
int redis_print_connection(char *to, size_t cap);
int postgres_print_connection(char *to, size_t cap);
int nats_print_connection(char *to, size_t cap);
int kafka_print_connection(char *to, size_t cap);

/* In a loop: the caller frees it there. */
struct redis_session *redis_open(void);
struct postgres *postgres_connect(void);
struct nats *nats_connect(void);
/* A stream, which is there when this returns. */
void nats_make_stream(struct nats *n, struct arena *a, struct str name, struct str subjects);
struct kafka_config kafka_config(void);
/* A producer without transactions, and a topic of one partition, which is there when this returns. */
struct kafka_producer *kafka_open(struct str topic);

#endif
