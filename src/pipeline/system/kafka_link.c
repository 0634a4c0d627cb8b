/*
 * kafka_link.c - what sources, sinks and the fast path have in common towards a Kafka cluster: its connection, the way from a message to the engine, and
 * from a record to a topic.
 *
 * Records with a key go to the partition where Java's clients would put them (murmur2), so that topics can be shared with those.
 */
#include "pipeline/system/kafka_link.h"

#include "rt/disk.h"
#include "rt/loop.h"

#include <string.h>

enum { PROPERTIES_MAX = 32, SECRET_MAX = 4096, TOPIC_MAX = KAFKA_NAME_MAX, KEY_MAX = 64 * 1024 };

/* --- connections --- */

/* A secret as the file says it: itself, or, of "file:path", what is in there. */
static err_t read_secret(struct str text, struct arena *arena, struct str *ret) SUSPENDS
{
    struct disk_file *f;

    *ret = text;
    if (!str_starts(text, STR("file:")))
        return OK;
    TRY(disk_file_open(str_slice(text, strlen("file:"), text.n), DISK_READ, &f));
    err_t e = disk_file_read(f, 0, SECRET_MAX, arena, ret);
    disk_file_close(f);
    while (e == OK && ret->n && (ret->p[ret->n - 1] == '\n' || ret->p[ret->n - 1] == '\r'))
        ret->n--;
    return e;
}

static struct str path_of(struct str text)
{
    return str_starts(text, STR("file:")) ? str_slice(text, strlen("file:"), text.n) : text;
}

struct properties {
    struct kafka_property *items;
    size_t count;
};

static void add(struct properties *p, struct str name, struct str value)
{
    if (value.n)
        p->items[p->count++] = (struct kafka_property){name, value};
}

/* What stands behind the question mark. */
static err_t read_query(struct str query, struct kafka_config *to, struct properties *p)
{
    while (query.n) {
        struct str value = str_cut(&query, '&'), name = str_cut(&value, '=');
        if (str_eq(name, STR("mechanism"))) {
            to->mechanism = value;
            continue;
        }
        if (p->count == PROPERTIES_MAX)
            return fail(E_CONFIG, "kafka: a connection has more than %d properties", PROPERTIES_MAX);
        add(p, name, value);
    }
    return OK;
}

err_t kafka_link_make(const struct pipeline_connection *c, enum kafka_role role, struct arena *arena,
                      struct kafka_config *ret)
{
    struct str rest = c->url;
    bool is_tls = str_starts(rest, STR("tls+"));
    struct properties p = {.items = arena_alloc(arena, (PROPERTIES_MAX + 8) * sizeof *p.items)};
    struct str query = str_slice(rest, str_find(rest, STR("://")) + strlen("://"), rest.n);
    struct kafka_config config = {.brokers = str_cut(&query, '?')};

    while (config.brokers.n && config.brokers.p[config.brokers.n - 1] == '/')
        config.brokers.n--;
    TRY(read_query(query, &config, &p));
    TRY(read_secret(c->username, arena, &config.username));
    TRY(read_secret(c->password, arena, &config.password));
    bool is_named = config.username.n || config.mechanism.n;
    if (is_named && !config.mechanism.n)
        config.mechanism = STR("PLAIN");
    config.security = is_tls     ? is_named ? STR("SASL_SSL") : STR("SSL")
                          : is_named ? STR("SASL_PLAINTEXT")
                                 : STR("PLAINTEXT");
    add(&p, STR("ssl.ca.location"), path_of(c->ca));
    add(&p, STR("ssl.certificate.location"), path_of(c->cert));
    add(&p, STR("ssl.key.location"), path_of(c->key));
    if (role == KAFKA_PRODUCER)
        add(&p, STR("partitioner"), STR("murmur2_random"));
    config.properties = p.items;
    config.property_count = p.count;
    *ret = config;
    return OK;
}

struct str kafka_link_id(struct arena *arena, struct str pipeline, struct str part, struct str member, uint32_t shard)
{
    return arena_printf(arena, "%.*s/%.*s%s%.*s/%u", STR_ARG(pipeline), STR_ARG(part), member.n ? "/" : "",
                        STR_ARG(member), shard);
}

/* --- reading --- */

static err_t open_consumer(const struct pipeline_node *source, const struct kafka_consumer_options *o,
                           struct kafka_consumer **ret) SUSPENDS
{
    const struct kafka_reads *reads = kafka_source_reads(source);
    struct arena arena CLEANUP(arena_release);
    struct kafka_config config;

    arena_init(&arena, SIZE_MAX);
    TRY(kafka_link_make(source->connection, KAFKA_CONSUMER, &arena, &config));
    struct kafka_property *all = arena_alloc(&arena, (config.property_count + 1) * sizeof *all);
    if (config.property_count)
        memcpy(all, config.properties, config.property_count * sizeof *all);
    all[config.property_count++] =
        (struct kafka_property){STR("auto.offset.reset"), reads->from_end ? STR("latest") : STR("earliest")};
    config.properties = all;
    return kafka_consumer_open(&config, o, ret);
}

err_t kafka_link_join(const struct pipeline_node *source, uint32_t shard, ns_t linger, struct kafka_consumer **ret)
{
    const struct kafka_reads *reads = kafka_source_reads(source);
    struct kafka_consumer_options o = {.group = reads->group,
                                       .member = reads->member,
                                       .topics = reads->topics,
                                       .topic_count = reads->topic_count,
                                       .linger = linger};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, SIZE_MAX);
    if (o.member.n && shard)
        o.member = arena_printf(&arena, "%.*s-%u", STR_ARG(o.member), shard);
    return open_consumer(source, &o, ret);
}

err_t kafka_link_read(const struct pipeline_node *source, struct kafka_consumer **ret)
{
    return open_consumer(source, &(struct kafka_consumer_options){.group = kafka_source_reads(source)->group}, ret);
}

/* Confluent's layout: a zero, and the number of the schema in four bytes. */
enum { REGISTERED_HEAD = 5 };

/* How many of its headers are within what a message may have. */
static size_t count_headers(const struct kafka_message *m)
{
    struct str name, value;
    size_t n = 0, bytes = 0;

    for (; n < MESSAGE_HEADERS_MAX && kafka_message_header(m, n, &name, &value); n++) {
        bytes += name.n + value.n;
        if (bytes > MESSAGE_HEADER_BYTES_MAX)
            break;
    }
    return n;
}

static struct message_header *read_headers(const struct kafka_message *m, size_t n, struct arena *arena)
{
    struct message_header *to = n ? arena_alloc(arena, n * sizeof *to) : NULL;

    for (size_t i = 0; i < n; i++)
        (void)kafka_message_header(m, i, &to[i].name, &to[i].value);
    return to;
}

struct message kafka_link_message(const struct kafka_reads *reads, const struct kafka_message *m, uint32_t partition,
                                  struct arena *arena)
{
    size_t header_count = count_headers(m);
    struct str body = m->value;
    bool is_dated = m->timestamp_ms >= 0 && m->timestamp_ms <= INT64_MAX / NS_MS; /* producers may say anything */

    if (reads->is_registered && body.n > REGISTERED_HEAD && body.p[0] == '\0')
        body = str_slice(body, REGISTERED_HEAD, body.n);
    return (struct message){.partition = partition,
                            .position = (uint64_t)m->offset,
                            .key = m->key,
                            .body = body.p ? body : STR("null"),
                            .at = is_dated ? m->timestamp_ms * NS_MS : rt_wall(),
                            .headers = read_headers(m, header_count, arena),
                            .header_count = header_count};
}

struct kafka_partition *kafka_link_copy(const struct kafka_partition *list, size_t n, struct arena *arena)
{
    struct kafka_partition *to = arena_alloc(arena, (n + 1) * sizeof *to);

    for (size_t i = 0; i < n; i++) {
        to[i] = list[i];
        to[i].topic = arena_str(arena, list[i].topic);
    }
    return to;
}

/* --- writing --- */

err_t kafka_link_record(const struct kafka_text *t, const struct pipeline_node *sink, struct record *r, struct str text,
                        struct kafka_record *ret)
{
    struct step s = {.root = r->root, .node = sink, .in = r};
    struct kafka_record record = {
        .topic = t->topic_text, .key = step_message_key(&s), .value = text, .partition = KAFKA_ANY_PARTITION};

    if (!record.topic.n)
        TRY(step_render(&s, t->topic, TOPIC_MAX, &record.topic));
    if (t->key)
        TRY(step_render(&s, t->key, KEY_MAX, &record.key));
    struct str trace = step_traceparent(&s);
    if (trace.n) {
        struct kafka_header *h = arena_new(step_arena(&s), struct kafka_header);
        *h = (struct kafka_header){STR("traceparent"), trace};
        record.headers = h;
        record.header_count = 1;
    }
    *ret = record;
    return OK;
}
