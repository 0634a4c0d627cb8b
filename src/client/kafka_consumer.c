/*
 * kafka_consumer.c - a member of a consumer group: a poll is a job on the member's own thread.
 *
 * The idea: librdkafka serves everything of a consumer, messages and changes of partitions, from one queue. The thread waits on that queue for the
 * first message, takes what else is there, and gives both back as one batch. A change ends the wait: the callback copies its partitions into
 * the batch that is being filled and lets the poll return; librdkafka then waits for the answer, which is a job like any other. Waits are cut short by
 * rd_kafka_queue_yield(), which is remembered if nobody waits yet, so a fiber that gives up never leaves the thread asleep. A group is left only when the
 * last change was answered, so closing answers it for who will not.
 *
 * Invariants: whatever was taken from the queue is in exactly one batch. A batch that a poll has found when nobody waits any more is `kept`, and is
 * what the next poll returns, so nothing read is ever skipped. `kept`, `filling`, `unanswered`, `trouble` and `is_closing` are touched by the thread
 * alone.
 * A change without partitions is answered at once, because there is nothing that the caller could do about it.
 *
 * What it does not do: deciding where to begin, draining, aborting: the caller's, who knows what is under way.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "client/kafka_int.h"
#include "rt/loop.h"

#include <stdatomic.h>
#include <string.h>

enum {
    QUEUE_BYTES = 16 * 1024 * 1024,
    TURN_MS = 1000, /* the longest wait of one job: a bound on what a missed yield could cost */
    TOPICS_MAX = 1000,
};

struct batch {
    struct kafka_batch pub;
    rd_kafka_message_t **native;           /* message_count of them, then one that holds an error perhaps */
    rd_kafka_topic_partition_list_t *list; /* holds the names of `pub.partitions` */
};

struct kafka_consumer {
    atomic_uint refs;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct serial *thread;
    struct batch *kept, *filling;
    rd_kafka_topic_partition_list_t *unanswered; /* of a change that was told; NULL: none */
    bool is_unanswered_assign;
    int linger_ms;
    struct buf trouble; /* words of the error that a poll has met behind messages; empty: none */
    err_t trouble_code;
    bool is_closing;
};

/* ---- batches ---- */

static void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->pub.message_count; i++)
        rd_kafka_message_destroy(b->native[i]);
    if (b->list)
        rd_kafka_topic_partition_list_destroy(b->list);
    mem_free(b->native);
    mem_free((void *)b->pub.messages);
    mem_free((void *)b->pub.partitions);
    mem_free(b);
}

void kafka_batch_release(struct kafka_batch *b)
{
    batch_free(b ? CONTAINER_OF(b, struct batch, pub) : NULL);
}

static struct kafka_message message_of(rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;

    return (struct kafka_message){
        .topic = str_from_c(rd_kafka_topic_name(m->rkt)),
        .key = str_of(m->key, m->key_len),
        .value = str_of(m->payload, m->len),
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, &type),
        .partition = m->partition,
        .native = m,
    };
}

static void batch_set_change(struct batch *b, enum kafka_change change, const rd_kafka_topic_partition_list_t *list)
{
    b->list = rd_kafka_topic_partition_list_copy(list);
    size_t n = (size_t)b->list->cnt;
    struct kafka_partition *to = mem_zalloc(n, sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[i] = (struct kafka_partition){.topic = str_from_c(b->list->elems[i].topic),
                                         .partition = b->list->elems[i].partition,
                                         .offset = KAFKA_STORED};
    b->pub.partitions = to;
    b->pub.partition_count = n;
    b->pub.change = change;
}

bool kafka_message_header(const struct kafka_message *m, size_t i, struct str *ret_name, struct str *ret_value)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t n;

    if (rd_kafka_message_headers(m->native, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_all(headers, i, &name, &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    *ret_name = str_from_c(name);
    *ret_value = str_of(value, n);
    return true;
}

/* ---- changes of partitions ---- */

static bool is_cooperative(rd_kafka_t *rk)
{
    return strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE") == 0;
}

/* Tell librdkafka that the change is taken in. Cooperative members say what came and went, others what there is. */
static err_t answer(rd_kafka_t *rk, bool is_assign, const rd_kafka_topic_partition_list_t *list)
{
    const char *what = is_assign ? "assigning partitions" : "giving partitions back";

    if (is_cooperative(rk))
        return kafka_fail_error(
            is_assign ? rd_kafka_incremental_assign(rk, list) : rd_kafka_incremental_unassign(rk, list), what);
    return kafka_fail(rd_kafka_assign(rk, is_assign ? list : NULL), what, NULL);
}

/* On the way out of the group. What a cooperative member is given it cannot refuse, but is then asked to give back. */
static void answer_leaving(rd_kafka_t *rk, bool is_assign, const rd_kafka_topic_partition_list_t *list)
{
    (void)answer(rk, is_assign && is_cooperative(rk), list);
}

static void set_answered(struct kafka_consumer *c)
{
    if (c->unanswered)
        rd_kafka_topic_partition_list_destroy(c->unanswered);
    c->unanswered = NULL;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_consumer *c = opaque;
    bool is_assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;

    if (c->is_closing) {
        answer_leaving(rk, is_assign, list);
        return;
    }
    if (list->cnt == 0 || (!is_assign && code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)) {
        (void)answer(rk, is_assign, list);
        return;
    }
    set_answered(c);
    c->unanswered = rd_kafka_topic_partition_list_copy(list);
    c->is_unanswered_assign = is_assign;
    enum kafka_change change = is_assign ? KAFKA_ASSIGNED : rd_kafka_assignment_lost(rk) ? KAFKA_LOST : KAFKA_REVOKED;
    batch_set_change(c->filling, change, list);
    rd_kafka_queue_yield(c->queue);
}

/* ---- a poll, on the thread ---- */

struct poll_job {
    struct kafka_job base;
    struct kafka_consumer *c;
    struct batch *found;
    size_t max;
    int wait_ms;
};

/* Remember what went wrong until the messages before it are with the caller. */
static void note_trouble(struct kafka_consumer *c, const rd_kafka_message_t *m)
{
    char text[ERR_TEXT_MAX];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(c->rk, text, sizeof text);

    /* That we have polled too late is told as partitions lost; the end of a partition is none. */
    if (!code && (m->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
        return;
    c->trouble_code = code ? kafka_fail(code, "the consumer has failed", text)
                           : kafka_fail(m->err, "consuming", rd_kafka_message_errstr(m));
    buf_clear(&c->trouble);
    (void)buf_add(&c->trouble, str_from_c(err_detail(c->trouble_code)));
}

/* Take messages until one of `max`, the time or a change ends it; the number of messages that are messages. */
static size_t take(struct kafka_consumer *c, rd_kafka_message_t **to, size_t max, int wait_ms)
{
    ssize_t n = rd_kafka_consume_batch_queue(c->queue, wait_ms, to, max);
    size_t kept = 0;

    for (ssize_t i = 0; i < n; i++) {
        if (to[i]->err) {
            note_trouble(c, to[i]);
            rd_kafka_message_destroy(to[i]);
            continue;
        }
        to[kept++] = to[i];
    }
    return kept;
}

static struct batch *fill(struct kafka_consumer *c, size_t max, int wait_ms)
{
    struct batch *b = NEW(struct batch);

    b->native = mem_alloc(max * sizeof *b->native);
    c->filling = b;
    /* A call for many waits until it has so many: so one is waited for, and then taken what there is, or comes within `linger`. */
    size_t n = take(c, b->native, 1, wait_ms);
    if (n && max > 1 && b->pub.change == KAFKA_UNCHANGED)
        n += take(c, b->native + 1, max - 1, c->linger_ms);
    c->filling = NULL;
    struct kafka_message *messages = mem_alloc(n * sizeof *messages);
    for (size_t i = 0; i < n; i++)
        messages[i] = message_of(b->native[i]);
    b->pub.messages = messages;
    b->pub.message_count = n;
    if (n || b->pub.change != KAFKA_UNCHANGED)
        return b;
    batch_free(b);
    return NULL;
}

static err_t run_poll(struct kafka_job *base)
{
    struct poll_job *j = CONTAINER_OF(base, struct poll_job, base);
    struct kafka_consumer *c = j->c;

    if (serial_is_abandoned(&base->job))
        return OK;
    if (c->kept) {
        j->found = c->kept;
        c->kept = NULL;
        return OK;
    }
    if (c->trouble.n == 0)
        j->found = fill(c, j->max, j->wait_ms);
    if (j->found || c->trouble.n == 0)
        return OK;
    err_t e = fail(c->trouble_code, "%.*s", STR_ARG(buf_str(&c->trouble)));
    buf_clear(&c->trouble);
    return e;
}

static void drop_poll(struct serial_job *s)
{
    struct poll_job *j = CONTAINER_OF(s, struct poll_job, base.job);

    if (j->found)
        j->c->kept = j->found; /* only a poll takes it out, and there is one at a time */
    mem_free(j);
}

/* ---- a poll, in the fiber ---- */

/* How long a job may wait, to end at `until`: rounded up, so that there is no turn without waiting. */
static int wait_ms(ns_t until)
{
    ns_t left = until - rt_now();

    return left <= 0 ? 0 : left >= TURN_MS * NS_MS ? TURN_MS : (int)((left + NS_MS - 1) / NS_MS);
}

static SUSPENDS err_t poll_turn(struct kafka_consumer *c, size_t max, ns_t until, struct batch **ret)
{
    struct poll_job *j = NEW(struct poll_job);

    *j = (struct poll_job){
        .base = {.job = {.drop = drop_poll}, .run = run_poll}, .c = c, .max = max, .wait_ms = wait_ms(until)};
    err_t e = serial_run(c->thread, &j->base.job);
    if (e == E_CANCELLED || e == E_DEADLINE) {
        rd_kafka_queue_yield(c->queue);
        return e;
    }
    *ret = j->found;
    mem_free(j);
    return e;
}

err_t kafka_poll(struct kafka_consumer *c, size_t max, ns_t until, struct kafka_batch **ret_batch)
{
    struct batch *b = NULL;

    max = max < 1 ? 1 : max > KAFKA_BATCH_MAX ? KAFKA_BATCH_MAX : max;
    for (;;) {
        TRY(poll_turn(c, max, until, &b));
        if (b) {
            *ret_batch = &b->pub;
            return OK;
        }
        if (rt_now() >= until)
            return fail(E_AGAIN, "kafka: no message yet");
    }
}

/* ---- calls with a list of partitions ---- */

enum list_call { CALL_ASSIGN, CALL_UNASSIGN, CALL_PAUSE, CALL_RESUME, CALL_SEEK, CALL_COMMIT, CALL_COMMITTED };

struct list_job {
    struct kafka_job base;
    struct kafka_consumer *c;
    rd_kafka_topic_partition_list_t *list;
    enum list_call call;
};

/* Some calls succeed as a whole and tell of each partition beside: its first error. */
static err_t first_error(const rd_kafka_topic_partition_list_t *list, const char *what)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err)
            return err_context(kafka_fail(list->elems[i].err, what, NULL), "%s [%d]", list->elems[i].topic,
                               (int)list->elems[i].partition);
    return OK;
}

static err_t run_list(struct kafka_job *base)
{
    struct list_job *j = CONTAINER_OF(base, struct list_job, base);
    rd_kafka_t *rk = j->c->rk;

    switch (j->call) {
    case CALL_ASSIGN:
    case CALL_UNASSIGN:
        set_answered(j->c);
        return answer(rk, j->call == CALL_ASSIGN, j->list);
    case CALL_PAUSE:
        TRY(kafka_fail(rd_kafka_pause_partitions(rk, j->list), "pausing", NULL));
        return first_error(j->list, "pausing");
    case CALL_RESUME:
        TRY(kafka_fail(rd_kafka_resume_partitions(rk, j->list), "resuming", NULL));
        return first_error(j->list, "resuming");
    case CALL_SEEK:
        TRY(kafka_fail_error(rd_kafka_seek_partitions(rk, j->list, KAFKA_CALL_MS), "seeking"));
        return first_error(j->list, "seeking");
    case CALL_COMMIT:
        return kafka_fail(rd_kafka_commit(rk, j->list, 0), "committing offsets", NULL);
    case CALL_COMMITTED:
        TRY(kafka_fail(rd_kafka_committed(rk, j->list, KAFKA_CALL_MS), "asking for committed offsets", NULL));
        return first_error(j->list, "asking for committed offsets");
    }
    return OK;
}

static void drop_list(struct serial_job *s)
{
    struct list_job *j = CONTAINER_OF(s, struct list_job, base.job);

    rd_kafka_topic_partition_list_destroy(j->list);
    mem_free(j);
}

/* offsets: NULL, or where those that were told go. */
static err_t run_call(struct kafka_consumer *c, enum list_call call, const struct kafka_partition *list, size_t n,
                      struct kafka_partition *offsets) SUSPENDS
{
    rd_kafka_topic_partition_list_t *copy;

    TRY(kafka_list_make(list, n, &copy));
    struct list_job *j = NEW(struct list_job);
    *j = (struct list_job){.base = {.job = {.drop = drop_list}, .run = run_list}, .c = c, .list = copy, .call = call};
    err_t e = serial_run(c->thread, &j->base.job);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    for (size_t i = 0; e == OK && offsets && i < n; i++)
        offsets[i].offset = copy->elems[i].offset >= 0 ? copy->elems[i].offset : KAFKA_STORED;
    drop_list(&j->base.job);
    return e;
}

static err_t call_list(struct kafka_consumer *c, enum list_call call, const struct kafka_partition *list, size_t n)
    SUSPENDS
{
    return run_call(c, call, list, n, NULL);
}

err_t kafka_assign(struct kafka_consumer *c, const struct kafka_partition *list, size_t n)
{
    return call_list(c, CALL_ASSIGN, list, n);
}

err_t kafka_unassign(struct kafka_consumer *c, const struct kafka_partition *list, size_t n)
{
    return call_list(c, CALL_UNASSIGN, list, n);
}

err_t kafka_pause(struct kafka_consumer *c, const struct kafka_partition *list, size_t n)
{
    return call_list(c, CALL_PAUSE, list, n);
}

err_t kafka_resume(struct kafka_consumer *c, const struct kafka_partition *list, size_t n)
{
    return call_list(c, CALL_RESUME, list, n);
}

err_t kafka_seek(struct kafka_consumer *c, const struct kafka_partition *list, size_t n)
{
    return call_list(c, CALL_SEEK, list, n);
}

err_t kafka_commit_offsets(struct kafka_consumer *c, const struct kafka_partition *list, size_t n)
{
    return call_list(c, CALL_COMMIT, list, n);
}

err_t kafka_committed(struct kafka_consumer *c, struct kafka_partition *list, size_t n)
{
    return run_call(c, CALL_COMMITTED, list, n, list);
}

/* ---- watermarks ---- */

struct watermark_job {
    struct kafka_job base;
    struct kafka_consumer *c;
    char *topic;
    int32_t partition;
    int64_t begin, end;
};

static err_t run_watermarks(struct kafka_job *base)
{
    struct watermark_job *j = CONTAINER_OF(base, struct watermark_job, base);

    return kafka_fail(
        rd_kafka_query_watermark_offsets(j->c->rk, j->topic, j->partition, &j->begin, &j->end, KAFKA_CALL_MS),
        "asking for watermarks", NULL);
}

static void drop_watermarks(struct serial_job *s)
{
    struct watermark_job *j = CONTAINER_OF(s, struct watermark_job, base.job);

    mem_free(j->topic);
    mem_free(j);
}

err_t kafka_watermarks(struct kafka_consumer *c, struct str topic, int32_t partition, int64_t *ret_begin,
                       int64_t *ret_end)
{
    struct watermark_job *j = NEW(struct watermark_job);

    *j = (struct watermark_job){.base = {.job = {.drop = drop_watermarks}, .run = run_watermarks},
                                .c = c,
                                .topic = mem_dup(topic.p, topic.n),
                                .partition = partition};
    err_t e = serial_run(c->thread, &j->base.job);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (e == OK) {
        *ret_begin = j->begin;
        *ret_end = j->end;
    }
    drop_watermarks(&j->base.job);
    return e;
}

/* ---- partitions of a topic ---- */

struct count_job {
    struct kafka_job base;
    struct kafka_consumer *c;
    char *topic;
    int32_t count;
};

static err_t read_count(const struct rd_kafka_metadata *m, int32_t *ret)
{
    if (m->topic_cnt != 1)
        return kafka_fail(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "asking for partitions", NULL);
    TRY(kafka_fail(m->topics[0].err, "asking for partitions", NULL));
    *ret = m->topics[0].partition_cnt;
    return OK;
}

static err_t run_count(struct kafka_job *base)
{
    struct count_job *j = CONTAINER_OF(base, struct count_job, base);
    const struct rd_kafka_metadata *m;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(j->c->rk, j->topic, NULL);

    if (!topic)
        return kafka_fail(rd_kafka_last_error(), "asking for partitions", NULL);
    err_t e = kafka_fail(rd_kafka_metadata(j->c->rk, 0, topic, &m, KAFKA_CALL_MS), "asking for partitions", NULL);
    if (e == OK) {
        e = read_count(m, &j->count);
        rd_kafka_metadata_destroy(m);
    }
    rd_kafka_topic_destroy(topic);
    return err_context(e, "%s", j->topic);
}

static void drop_count(struct serial_job *s)
{
    struct count_job *j = CONTAINER_OF(s, struct count_job, base.job);

    mem_free(j->topic);
    mem_free(j);
}

err_t kafka_partition_count(struct kafka_consumer *c, struct str topic, int32_t *ret_count)
{
    struct count_job *j = NEW(struct count_job);

    *j = (struct count_job){
        .base = {.job = {.drop = drop_count}, .run = run_count}, .c = c, .topic = mem_dup(topic.p, topic.n)};
    err_t e = serial_run(c->thread, &j->base.job);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (e == OK)
        *ret_count = j->count;
    drop_count(&j->base.job);
    return e;
}

/* ---- life ---- */

void kafka_consumer_ref(struct kafka_consumer *c)
{
    (void)atomic_fetch_add(&c->refs, 1);
}

void kafka_consumer_unref(struct kafka_consumer *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    if (c->queue)
        rd_kafka_queue_destroy(c->queue);
    rd_kafka_destroy(c->rk);
    buf_release(&c->trouble);
    mem_free(c);
}

rd_kafka_consumer_group_metadata_t *kafka_consumer_metadata(struct kafka_consumer *c)
{
    return rd_kafka_consumer_group_metadata(c->rk);
}

static err_t set_options(rd_kafka_conf_t *conf, const struct kafka_consumer_options *o)
{
    size_t bytes = o->queue_bytes_max ? o->queue_bytes_max : QUEUE_BYTES;

    if (o->group.n == 0 || o->topic_count > TOPICS_MAX)
        return fail(E_CONFIG, "kafka: a consumer needs a group, and has at most %d topics", TOPICS_MAX);
    TRY(kafka_conf_set(conf, "group.id", o->group));
    if (o->member.n)
        TRY(kafka_conf_set(conf, "group.instance.id", o->member));
    TRY(kafka_conf_set(conf, "isolation.level",
                       o->reads_uncommitted ? STR("read_uncommitted") : STR("read_committed")));
    TRY(kafka_conf_set(conf, "partition.assignment.strategy",
                       o->is_cooperative ? STR("cooperative-sticky") : STR("range,roundrobin")));
    return kafka_conf_set_number(conf, "queued.max.messages.kbytes", (int64_t)(bytes / 1024 + 1));
}

static err_t subscribe(struct kafka_consumer *c, const struct kafka_consumer_options *o)
{
    rd_kafka_topic_partition_list_t *list;
    struct kafka_partition *topics = mem_zalloc(o->topic_count, sizeof *topics);

    for (size_t i = 0; i < o->topic_count; i++)
        topics[i] = (struct kafka_partition){.topic = o->topics[i], .partition = RD_KAFKA_PARTITION_UA};
    err_t e = kafka_list_make(topics, o->topic_count, &list);
    mem_free(topics);
    TRY(e);
    e = kafka_fail(rd_kafka_subscribe(c->rk, list), "subscribing", NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return e;
}

/* Takes `conf`. */
static err_t start(struct kafka_consumer *c, rd_kafka_conf_t *conf, const struct kafka_consumer_options *o)
{
    char text[ERR_TEXT_MAX];

    err_t e = kafka_thread_start("kafka-consumer", &c->thread);
    if (e != OK) {
        rd_kafka_conf_destroy(conf);
        return e;
    }
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    c->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!c->rk) {
        rd_kafka_conf_destroy(conf);
        return fail(E_CONFIG, "kafka: %s", text);
    }
    (void)rd_kafka_poll_set_consumer(c->rk);
    c->queue = rd_kafka_queue_get_consumer(c->rk);
    return o->topic_count ? subscribe(c, o) : OK;
}

err_t kafka_consumer_open(const struct kafka_config *config, const struct kafka_consumer_options *options,
                          struct kafka_consumer **ret)
{
    rd_kafka_conf_t *conf;

    TRY(kafka_conf_make(config, KAFKA_CONSUMER, &conf));
    err_t e = set_options(conf, options);
    if (e != OK) {
        rd_kafka_conf_destroy(conf);
        return e;
    }
    struct kafka_consumer *c = NEW(struct kafka_consumer);
    atomic_init(&c->refs, 1);
    buf_init(&c->trouble, ERR_TEXT_MAX);
    c->linger_ms = (int)(ns_min(options->linger, KAFKA_LINGER_MAX) / NS_MS);
    e = start(c, conf, options);
    if (e == OK) {
        *ret = c;
        return OK;
    }
    c->is_closing = true;
    serial_close(c->thread);
    if (c->rk)
        kafka_consumer_unref(c);
    else
        mem_free(c);
    return e;
}

struct close_job {
    struct kafka_job base;
    struct kafka_consumer *c;
};

static err_t run_close(struct kafka_job *base)
{
    struct kafka_consumer *c = CONTAINER_OF(base, struct close_job, base)->c;

    c->is_closing = true;
    batch_free(c->kept);
    if (c->unanswered)
        answer_leaving(c->rk, c->is_unanswered_assign, c->unanswered);
    set_answered(c);
    err_t e = kafka_fail(rd_kafka_consumer_close(c->rk), "leaving the group", NULL);
    kafka_consumer_unref(c);
    return e;
}

void kafka_consumer_close(struct kafka_consumer *c)
{
    if (!c)
        return;
    struct serial *thread = c->thread;
    struct close_job *j = NEW(struct close_job);
    *j = (struct close_job){.base.run = run_close, .c = c};
    err_t e UNUSED = serial_run_to_end(thread, &j->base.job); /* a group that cannot be left finds out by itself */
    mem_free(j);
    serial_close(thread);
}
