/*
 * kafka_producer.c - a producer: records are handed over in the fiber, transactions' calls are jobs on the producer's own thread, and news of deliveries
 * come on a thread of librdkafka's.
 *
 * The idea: a transaction's calls block for as long as the brokers take, and a flush or commit within them ends only when somebody serves the
 * reports of deliveries. So those are forwarded to librdkafka's background thread, whose callback wakes the fibers that wait for them. Handing a
 * record over does not block: how many bytes and records are on their way is counted here, and librdkafka's own queue is never full.
 *
 * Retriable errors are tried again here, with a back-off. A call that is left by its fiber goes on, and nobody knows how it ends: the producer is
 * `broken` from there on, as after a fatal error, and its transaction is resolved by the next owner of its id.
 *
 * Invariants: each record is counted in before it is handed over, and out exactly once, by its report or when it was refused. A delivery's
 * slot lives until its report: `sending` belongs to whoever is last, the fiber or the report, which one atomic exchange decides.
 *
 * What it does not do: choosing transactional ids, rewinding a consumer after an abort.
 */
#include "base/mem.h"
#include "base/spin.h"
#include "client/kafka_int.h"
#include "rt/loop.h"
#include "rt/wakeup.h"

#include <stdatomic.h>

enum {
    QUEUE_BYTES = 16 * 1024 * 1024,
    QUEUE_MESSAGES = 100000,
    HEADERS_MAX = 1000,
    HEADER_BYTES_MAX = 1024 * 1024,
    TOPICS_MAX = 1000,
    TRIES = 6,
};

#define TRANSACTION_TIMEOUT (60 * NS_SEC)
#define BACK_OFF (100 * NS_MS)

struct topic {
    char *name;
    size_t n;
    rd_kafka_topic_t *handle;
};

/* A fiber that waits for room in the queue. */
struct room_wait {
    struct room_wait *next;
    struct wakeup call;
    bool is_called; /* taken out of the list: the call is coming */
};

struct kafka_producer {
    rd_kafka_t *rk;
    struct serial *thread;
    size_t bytes_max;
    unsigned messages_max;
    int timeout_ms;
    bool is_broken; /* by a fatal error, or a call that nobody has seen the end of */
    struct topic topics[TOPICS_MAX];
    size_t topic_count;
    struct spin lock; /* guards what follows */
    size_t bytes;
    unsigned messages;
    struct room_wait *waiting;
};

/* Records whose delivery a fiber waits for. */
enum sending_state { SENDING_AWAITED, SENDING_UNAWAITED, SENDING_FINISHED };

struct slot {
    struct sending *sending;
    struct kafka_delivery delivery;
};

struct sending {
    atomic_size_t left; /* reports to come, and one for the fiber until all is handed over */
    _Atomic int state;
    struct wakeup done;
    struct slot slots[];
};

/* ---- deliveries, on librdkafka's thread ---- */

static void sending_count_down(struct sending *s)
{
    if (atomic_fetch_sub(&s->left, 1) != 1)
        return;
    if (atomic_exchange(&s->state, SENDING_FINISHED) == SENDING_UNAWAITED)
        mem_free(s);
    else
        wakeup_send(&s->done);
}

/* Count out, and call who waits for room. A few records do not wake anybody while the queue is more than half full. */
static void give_room(struct kafka_producer *p, unsigned messages, size_t bytes)
{
    struct room_wait *called = NULL;

    spin_take(&p->lock);
    p->messages -= messages;
    p->bytes -= bytes;
    if (p->messages <= p->messages_max / 2 && p->bytes <= p->bytes_max / 2) {
        called = p->waiting;
        p->waiting = NULL;
    }
    for (struct room_wait *w = called; w; w = w->next)
        w->is_called = true;
    spin_free(&p->lock);
    for (struct room_wait *w = called, *next; w; w = next) {
        next = w->next; /* sent, it may be gone */
        wakeup_send(&w->call);
    }
}

static void on_delivery(struct kafka_producer *p, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *m;
    unsigned messages = 0;
    size_t bytes = 0;

    while ((m = rd_kafka_event_message_next(event))) {
        struct slot *slot = m->_private;
        messages++;
        bytes += m->len + m->key_len;
        if (!slot)
            continue;
        slot->delivery = (struct kafka_delivery){
            .result = kafka_fail(m->err, "delivering", NULL), .partition = m->partition, .offset = m->offset};
        sending_count_down(slot->sending);
    }
    give_room(p, messages, bytes);
}

static void on_event(rd_kafka_t *rk UNUSED, rd_kafka_event_t *event, void *opaque)
{
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
        on_delivery(opaque, event);
    rd_kafka_event_destroy(event);
}

/* ---- handing over ---- */

static bool take_room(struct kafka_producer *p, size_t bytes, struct room_wait *w)
{
    spin_take(&p->lock);
    bool is_free = p->messages < p->messages_max && (p->bytes + bytes <= p->bytes_max || p->messages == 0);
    if (is_free) {
        p->messages++;
        p->bytes += bytes;
    } else {
        w->next = p->waiting;
        p->waiting = w;
    }
    spin_free(&p->lock);
    return is_free;
}

/* Stop waiting: true if nobody will call. */
static bool leave_room(struct kafka_producer *p, struct room_wait *w)
{
    spin_take(&p->lock);
    bool is_called = w->is_called;
    for (struct room_wait **at = &p->waiting; !is_called && *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    spin_free(&p->lock);
    return !is_called;
}

static err_t wait_for_room(struct kafka_producer *p, size_t bytes) SUSPENDS
{
    for (;;) {
        struct room_wait w = {0};
        wakeup_init(&w.call);
        if (take_room(p, bytes, &w))
            return OK;
        err_t e = wakeup_wait(&w.call, NS_NEVER);
        if (e == OK)
            continue;
        if (!leave_room(p, &w))
            wakeup_join(&w.call);
        return e;
    }
}

static err_t find_topic(struct kafka_producer *p, struct str name, rd_kafka_topic_t **ret)
{
    for (size_t i = 0; i < p->topic_count; i++)
        if (str_eq(str_of(p->topics[i].name, p->topics[i].n), name)) {
            *ret = p->topics[i].handle;
            return OK;
        }
    if (name.n == 0 || name.n > KAFKA_NAME_MAX || p->topic_count == TOPICS_MAX)
        return fail(E_CONFIG, "kafka: a topic's name has 1 to %d bytes, and a producer %d topics", KAFKA_NAME_MAX,
                    TOPICS_MAX);
    struct topic t = {.name = mem_dup(name.p, name.n), .n = name.n};
    t.handle = rd_kafka_topic_new(p->rk, t.name, NULL);
    if (!t.handle) {
        mem_free(t.name);
        return kafka_fail(rd_kafka_last_error(), "opening the topic", NULL);
    }
    p->topics[p->topic_count++] = t;
    *ret = t.handle;
    return OK;
}

/* NULL without headers. */
static err_t make_headers(const struct kafka_record *r, rd_kafka_headers_t **ret)
{
    size_t bytes = 0;

    for (size_t i = 0; i < r->header_count; i++) {
        if (r->headers[i].name.n > KAFKA_NAME_MAX)
            return fail(E_TOO_LARGE, "kafka: a header's name has more than %d bytes", KAFKA_NAME_MAX);
        bytes += r->headers[i].value.n;
    }
    if (r->header_count > HEADERS_MAX || bytes > HEADER_BYTES_MAX)
        return fail(E_TOO_LARGE, "kafka: a record has more than %d headers, or more than %d bytes of them", HEADERS_MAX,
                    HEADER_BYTES_MAX);
    *ret = r->header_count ? rd_kafka_headers_new(r->header_count) : NULL;
    for (size_t i = 0; i < r->header_count; i++) {
        const struct kafka_header *h = &r->headers[i];
        (void)rd_kafka_header_add(*ret, h->name.p, (ssize_t)h->name.n, h->value.p, (ssize_t)h->value.n);
    }
    return OK;
}

static err_t hand_over(struct kafka_producer *p, const struct kafka_record *r, struct slot *slot)
{
    rd_kafka_topic_t *topic = NULL;
    rd_kafka_headers_t *headers = NULL;

    TRY(find_topic(p, r->topic, &topic));
    TRY(make_headers(r, &headers));
    rd_kafka_vu_t args[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = r->partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = (void *)r->value.p, .size = r->value.n}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)r->key.p, .size = r->key.n}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = r->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = slot},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    err_t e = kafka_fail_error(rd_kafka_produceva(p->rk, args, ARRAY_LEN(args) - (headers ? 0 : 1)), "producing");
    if (e != OK && headers)
        rd_kafka_headers_destroy(headers); /* taken only with the record */
    return e;
}

static err_t produce_one(struct kafka_producer *p, const struct kafka_record *r, struct slot *slot) SUSPENDS
{
    size_t bytes = r->key.n + r->value.n;

    if (bytes > p->bytes_max)
        return fail(E_TOO_LARGE, "kafka: a record of %zu bytes, the queue takes %zu", bytes, p->bytes_max);
    TRY(wait_for_room(p, bytes));
    err_t e = hand_over(p, r, slot);
    if (e != OK)
        give_room(p, 1, bytes);
    return e;
}

/* ---- sending without transactions ---- */

static err_t take_results(struct sending *s, size_t n, struct kafka_delivery *deliveries)
{
    err_t first = OK;

    for (size_t i = 0; i < n; i++) {
        deliveries[i] = s->slots[i].delivery;
        if (first == OK)
            first = deliveries[i].result;
    }
    mem_free(s);
    return first;
}

/* Give up waiting: the last report frees. False if it has been there already. */
static bool sending_leave(struct sending *s)
{
    return atomic_exchange(&s->state, SENDING_UNAWAITED) != SENDING_FINISHED;
}

err_t kafka_send(struct kafka_producer *p, const struct kafka_record *records, size_t n,
                 struct kafka_delivery *deliveries)
{
    struct sending *s = mem_zalloc(1, sizeof *s + n * sizeof s->slots[0]);
    err_t stopped = OK;

    atomic_init(&s->left, n + 1);
    wakeup_init(&s->done);
    for (size_t i = 0; i < n; i++) {
        s->slots[i] = (struct slot){.sending = s, .delivery = {.offset = -1, .partition = records[i].partition}};
        err_t e = stopped ? stopped : produce_one(p, &records[i], &s->slots[i]);
        if (e == OK)
            continue;
        s->slots[i].delivery.result = e;
        if (e == E_CANCELLED || e == E_DEADLINE)
            stopped = e;
        sending_count_down(s);
    }
    sending_count_down(s);
    err_t e = wakeup_wait(&s->done, NS_NEVER);
    if (e != OK && sending_leave(s))
        return e;
    wakeup_join(&s->done);
    e = take_results(s, n, deliveries);
    return e == OK || e == stopped ? e : fail(e, "kafka: a record was not delivered: %s", err_text(e));
}

/* ---- transactions ---- */

enum transaction_call { CALL_INIT, CALL_BEGIN, CALL_OFFSETS, CALL_COMMIT, CALL_ABORT };

struct transaction_job {
    struct kafka_job base;
    struct kafka_producer *p;
    struct kafka_consumer *c;              /* CALL_OFFSETS; counted */
    rd_kafka_topic_partition_list_t *list; /* CALL_OFFSETS          */
    enum transaction_call call;
    enum kafka_class class; /* of the failure */
};

static rd_kafka_error_t *send_offsets(struct transaction_job *j)
{
    rd_kafka_consumer_group_metadata_t *member = kafka_consumer_metadata(j->c);

    if (!member)
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, "the consumer is in no group");
    rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(j->p->rk, j->list, member, j->p->timeout_ms);
    rd_kafka_consumer_group_metadata_destroy(member);
    return error;
}

static rd_kafka_error_t *do_call(struct transaction_job *j)
{
    switch (j->call) {
    case CALL_INIT:
        return rd_kafka_init_transactions(j->p->rk, j->p->timeout_ms);
    case CALL_BEGIN:
        return rd_kafka_begin_transaction(j->p->rk);
    case CALL_OFFSETS:
        return send_offsets(j);
    case CALL_COMMIT:
        return rd_kafka_commit_transaction(j->p->rk, j->p->timeout_ms);
    case CALL_ABORT:
        return rd_kafka_abort_transaction(j->p->rk, j->p->timeout_ms);
    }
    return NULL;
}

static const char *name_of(enum transaction_call call)
{
    switch (call) {
    case CALL_INIT:
        return "preparing for transactions";
    case CALL_BEGIN:
        return "beginning a transaction";
    case CALL_OFFSETS:
        return "adding offsets to the transaction";
    case CALL_COMMIT:
        return "committing the transaction";
    case CALL_ABORT:
        return "aborting the transaction";
    }
    return "";
}

/* An error that says of itself neither that it may be tried again nor that the transaction may be aborted is fatal, whatever it is. */
static enum kafka_class class_of(const rd_kafka_error_t *error)
{
    if (rd_kafka_error_is_fatal(error))
        return KAFKA_FATAL;
    if (rd_kafka_error_txn_requires_abort(error))
        return KAFKA_ABORTABLE;
    return rd_kafka_error_is_retriable(error) ? KAFKA_RETRIABLE : KAFKA_FATAL;
}

static err_t run_transaction(struct kafka_job *base)
{
    struct transaction_job *j = CONTAINER_OF(base, struct transaction_job, base);
    rd_kafka_error_t *error = do_call(j);

    if (error)
        j->class = class_of(error);
    /* Who has lost the group's partitions is told so when offsets are added, and can abort as if they had been taken away in time. */
    if (error && j->call == CALL_OFFSETS && !rd_kafka_error_is_fatal(error) &&
        rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)
        j->class = KAFKA_ABORTABLE;
    return kafka_fail_error(error, name_of(j->call));
}

static void drop_transaction(struct serial_job *s)
{
    struct transaction_job *j = CONTAINER_OF(s, struct transaction_job, base.job);

    if (j->list)
        rd_kafka_topic_partition_list_destroy(j->list);
    if (j->c)
        kafka_consumer_unref(j->c);
    mem_free(j);
}

/* Hand the job over, again after retriable errors, but not beyond the time that a transaction has: a try that brokers who are away have kept
 * waiting so long is the last. Takes it. */
static err_t try_transaction(struct kafka_producer *p, struct transaction_job *j, enum kafka_class *ret_class) SUSPENDS
{
    const ns_t until = rt_now() + p->timeout_ms * NS_MS;
    ns_t pause = BACK_OFF;

    for (unsigned tries = 1;; tries++, pause *= 2) {
        err_t e = serial_run(p->thread, &j->base.job);
        if (e == E_CANCELLED || e == E_DEADLINE)
            return e; /* the thread's now */
        if (e != OK)
            *ret_class = j->class;
        if (e == OK || j->class != KAFKA_RETRIABLE || tries == TRIES || rt_now() >= until) {
            drop_transaction(&j->base.job);
            return e;
        }
        e = fiber_sleep_until(rt_now() + pause);
        if (e != OK) {
            drop_transaction(&j->base.job);
            *ret_class = KAFKA_FATAL;
            return e;
        }
    }
}

static err_t call_transaction(struct kafka_producer *p, const struct transaction_job *what, enum kafka_class *ret_class)
    SUSPENDS
{
    enum kafka_class class = KAFKA_FATAL;

    if (p->is_broken) {
        *ret_class = KAFKA_FATAL;
        return fail(E_FENCED, "kafka: the producer is of no more use: close it and open another");
    }
    struct transaction_job *j = NEW(struct transaction_job);
    *j = *what;
    j->base = (struct kafka_job){.job = {.drop = drop_transaction}, .run = run_transaction};
    j->p = p;
    err_t e = try_transaction(p, j, &class);
    if (e == OK)
        return OK;
    p->is_broken = class == KAFKA_FATAL;
    *ret_class = class;
    return e;
}

err_t kafka_transactions_init(struct kafka_producer *p, enum kafka_class *ret_class)
{
    return call_transaction(p, &(struct transaction_job){.call = CALL_INIT}, ret_class);
}

err_t kafka_begin(struct kafka_producer *p, enum kafka_class *ret_class)
{
    return call_transaction(p, &(struct transaction_job){.call = CALL_BEGIN}, ret_class);
}

err_t kafka_produce(struct kafka_producer *p, const struct kafka_record *records, size_t n, enum kafka_class *ret_class)
{
    for (size_t i = 0; i < n; i++) {
        err_t e = produce_one(p, &records[i], NULL);
        if (e == OK)
            continue;
        /* Whatever was refused, what was handed over before it can be aborted, unless nothing can any more. */
        p->is_broken = p->is_broken || rd_kafka_fatal_error(p->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
        *ret_class = p->is_broken ? KAFKA_FATAL : KAFKA_ABORTABLE;
        return e;
    }
    return OK;
}

err_t kafka_transaction_offsets(struct kafka_producer *p, struct kafka_consumer *c,
                                const struct kafka_partition *offsets, size_t n, enum kafka_class *ret_class)
{
    struct transaction_job what = {.call = CALL_OFFSETS, .c = c};
    err_t e = kafka_list_make(offsets, n, &what.list);

    if (e != OK) {
        *ret_class = KAFKA_ABORTABLE;
        return e;
    }
    kafka_consumer_ref(c);
    return call_transaction(p, &what, ret_class);
}

err_t kafka_commit(struct kafka_producer *p, enum kafka_class *ret_class)
{
    return call_transaction(p, &(struct transaction_job){.call = CALL_COMMIT}, ret_class);
}

err_t kafka_abort(struct kafka_producer *p, enum kafka_class *ret_class)
{
    return call_transaction(p, &(struct transaction_job){.call = CALL_ABORT}, ret_class);
}

/* ---- topics ---- */

struct topic_job {
    struct kafka_job base;
    struct kafka_producer *p;
    rd_kafka_NewTopic_t *topic;
};

static err_t read_created(rd_kafka_event_t *event)
{
    size_t n;

    if (!event)
        return fail(E_UPSTREAM, "kafka: making a topic: no answer");
    TRY(kafka_fail(rd_kafka_event_error(event), "making a topic", rd_kafka_event_error_string(event)));
    const rd_kafka_topic_result_t **topics =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    return n == 0 ? OK
                  : kafka_fail(rd_kafka_topic_result_error(topics[0]), "making a topic",
                               rd_kafka_topic_result_error_string(topics[0]));
}

static err_t run_topic(struct kafka_job *base)
{
    struct topic_job *j = CONTAINER_OF(base, struct topic_job, base);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(j->p->rk);

    rd_kafka_CreateTopics(j->p->rk, &j->topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_CALL_MS);
    err_t e = read_created(event);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return e;
}

static void drop_topic(struct serial_job *s)
{
    struct topic_job *j = CONTAINER_OF(s, struct topic_job, base.job);

    rd_kafka_NewTopic_destroy(j->topic);
    mem_free(j);
}

static err_t configure_topic(rd_kafka_NewTopic_t *topic, const struct kafka_topic *t)
{
    static const struct {
        const char *name, *value;
    } compacted[] = {
        {"cleanup.policy", "compact"}, {"segment.bytes", "16777216"}, {"min.cleanable.dirty.ratio", "0.1"}};

    for (size_t i = 0; t->is_compacted && i < ARRAY_LEN(compacted); i++)
        TRY(kafka_fail(rd_kafka_NewTopic_set_config(topic, compacted[i].name, compacted[i].value), "making a topic",
                       NULL));
    return OK;
}

err_t kafka_create_topic(struct kafka_producer *p, const struct kafka_topic *t)
{
    char text[ERR_TEXT_MAX];
    char *copy = mem_dup(t->name.p, t->name.n);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(copy, t->partitions, t->replication, text, sizeof text);

    mem_free(copy);
    if (!topic)
        return fail(E_CONFIG, "kafka: %s", text);
    err_t e = configure_topic(topic, t);
    if (e != OK) {
        rd_kafka_NewTopic_destroy(topic);
        return e;
    }
    struct topic_job *j = NEW(struct topic_job);
    *j = (struct topic_job){.base = {.job = {.drop = drop_topic}, .run = run_topic}, .p = p, .topic = topic};
    e = serial_run(p->thread, &j->base.job);
    if (e != E_CANCELLED && e != E_DEADLINE)
        drop_topic(&j->base.job);
    return e;
}

/* ---- life ---- */

struct serial *kafka_producer_thread(struct kafka_producer *p)
{
    return p->thread;
}

static err_t set_options(rd_kafka_conf_t *conf, const struct kafka_producer_options *o)
{
    ns_t timeout = o->transaction_timeout ? o->transaction_timeout : TRANSACTION_TIMEOUT;

    /* Ours is counted more strictly: librdkafka's queue never is the one that is full. */
    TRY(kafka_conf_set_number(conf, "queue.buffering.max.messages",
                              2 * (int64_t)(o->queue_messages_max ? o->queue_messages_max : QUEUE_MESSAGES)));
    if (o->transactional_id.n == 0)
        return OK;
    TRY(kafka_conf_set_number(conf, "transaction.timeout.ms", timeout / NS_MS));
    return kafka_conf_set(conf, "transactional.id", o->transactional_id);
}

/* Takes `conf`. */
static err_t start(struct kafka_producer *p, rd_kafka_conf_t *conf)
{
    char text[ERR_TEXT_MAX];

    err_t e = kafka_thread_start("kafka-producer", &p->thread);
    if (e != OK) {
        rd_kafka_conf_destroy(conf);
        return e;
    }
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    rd_kafka_conf_set_background_event_cb(conf, on_event);
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!p->rk) {
        rd_kafka_conf_destroy(conf);
        return fail(E_CONFIG, "kafka: %s", text);
    }
    rd_kafka_queue_t *main = rd_kafka_queue_get_main(p->rk), *background = rd_kafka_queue_get_background(p->rk);
    rd_kafka_queue_forward(main, background);
    rd_kafka_queue_destroy(main);
    rd_kafka_queue_destroy(background);
    return OK;
}

err_t kafka_producer_open(const struct kafka_config *config, const struct kafka_producer_options *options,
                          struct kafka_producer **ret)
{
    rd_kafka_conf_t *conf;

    TRY(kafka_conf_make(config, KAFKA_PRODUCER, &conf));
    err_t e = set_options(conf, options);
    if (e != OK) {
        rd_kafka_conf_destroy(conf);
        return e;
    }
    struct kafka_producer *p = NEW(struct kafka_producer);
    ns_t timeout = options->transaction_timeout ? options->transaction_timeout : TRANSACTION_TIMEOUT;
    p->bytes_max = options->queue_bytes_max ? options->queue_bytes_max : QUEUE_BYTES;
    p->messages_max = options->queue_messages_max ? options->queue_messages_max : QUEUE_MESSAGES;
    p->timeout_ms = (int)(timeout / NS_MS);
    e = start(p, conf);
    if (e == OK) {
        *ret = p;
        return OK;
    }
    serial_close(p->thread);
    mem_free(p);
    return e;
}

struct close_job {
    struct kafka_job base;
    struct kafka_producer *p;
};

static err_t run_close(struct kafka_job *base)
{
    struct kafka_producer *p = CONTAINER_OF(base, struct close_job, base)->p;

    /* Every record is reported before the handle goes: fibers' slots hang on that. */
    (void)rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(p->rk, KAFKA_CALL_MS);
    for (size_t i = 0; i < p->topic_count; i++) {
        rd_kafka_topic_destroy(p->topics[i].handle);
        mem_free(p->topics[i].name);
    }
    rd_kafka_destroy(p->rk);
    return OK;
}

void kafka_producer_close(struct kafka_producer *p)
{
    if (!p)
        return;
    struct close_job *j = NEW(struct close_job);
    *j = (struct close_job){.base.run = run_close, .p = p};
    err_t e UNUSED = serial_run_to_end(p->thread, &j->base.job); /* closing cannot fail */
    mem_free(j);
    serial_close(p->thread);
    mem_free(p);
}
