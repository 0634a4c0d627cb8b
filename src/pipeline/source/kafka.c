/*
 * kafka.c - messages from Kafka: topics read by a consumer group.
 *
 * The id of a root is hash(topic, partition, offset). Offsets live in our journal, in the commit that takes the messages in, and are only told to Kafka now and
 * then: for people who look, and for a process that has another journal. A partition that is assigned begins behind the later of the two. Who has which
 * partition the group says; that nobody else goes on with it, the journal's epochs do.
 *
 * Where processes share a journal, the group has no say: a partition is its shard's by its number, and the shard's lease says whose that is. For what came of a partition may be in
 * the hands of the shard's sinks when its process dies, and only who has the shard next can find out what became of it there. The next owner of a partition may not be another.
 *
 * Two fibers. One polls, always, because that is what keeps a member in its group; the other hands over what was polled, and waits there for as long as the
 * pipeline has no room. Behind a few batches the first one has the brokers pause. Partitions that are to be given back are drained first, for a while; of
 * those that are lost already nothing more is done.
 *
 * A partition's number in the journal is a hash of topic and partition. What stands in the journal says whose it is, and who finds another there takes the
 * next number: as in a table with open addressing from which nothing is deleted.
 *
 * Pipelines that need no journal are not run by this, but by fast_kafka.c.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/system/kafka_link.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <string.h>

struct kafka_source {
    struct schema_text *topics;
    size_t topic_count;
    struct schema_text group, member, connection;
    int start;
    struct kafka_reads reads;
};

enum { START_EARLIEST, START_LATEST };

static const struct schema_choice starts[] = {{"earliest", START_EARLIEST, "with what is there"},
                                              {"latest", START_LATEST, "with what comes from now on"},
                                              {NULL, 0, NULL}};
static const struct schema_field topic_item = SCHEMA_ITEM(TEXT);
static const struct schema_field kafka_fields[] = {
    SCHEMA_LIST("topic", struct kafka_source, topics, topic_count, &topic_item, .single = true, .required = true,
                .min = "1", .max = "100", .doc = "Topics to read."),
    SCHEMA_TEXT("group", struct kafka_source, group, .default_doc = "the pipeline's name",
                .doc = "Consumer group: processes of one group share the partitions, unless they share a journal, "
                       "whose leases say who has which; the group is only told offsets then."),
    SCHEMA_TEXT("member", struct kafka_source, member,
                .doc =
                    "This process's own name in the group, such as `\"${HOSTNAME}\"`: it keeps its partitions when it "
                    "is started again, and what it left open is settled at once. No two may have the same. Not "
                    "needed where processes share a journal."),
    SCHEMA_ENUM("start", struct kafka_source, start, starts, .default_text = "earliest",
                .doc = "Where a new group begins."),
    CONNECTION_FIELD(struct kafka_source),
    SCHEMA_END};
static const struct schema_object kafka_object = {
    .fields = kafka_fields, .size = sizeof(struct kafka_source), .shorthand = "topic"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("kafka", &kafka_object, .doc = "Topics of Kafka."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct kafka_source *c = n->config;

    build_connection(b, n, &c->connection);
    if (!c->group.text.n)
        c->group.text = b->spec->name;
    struct str *topics = arena_alloc(b->arena, (c->topic_count + 1) * sizeof *topics);
    for (size_t i = 0; i < c->topic_count; i++)
        topics[i] = c->topics[i].text;
    c->reads = (struct kafka_reads){.topics = topics,
                                    .topic_count = c->topic_count,
                                    .group = c->group.text,
                                    .member = c->member.text,
                                    .is_registered = n->out.kind == TYPE_SCHEMA,
                                    .from_end = c->start == START_LATEST};
}

const struct kafka_reads *kafka_source_reads(const struct pipeline_node *source)
{
    const struct kafka_source *c = source->config;

    return &c->reads;
}

static const struct promise_row rows[] = {{.when = "",
                                           .promise = PROMISE_EXACTLY,
                                           .how = "a message is its topic, partition and offset; the next offset is in "
                                                  "the journal, in the same commit as the message; a "
                                                  "process that lost its partitions is fenced by its epoch"},
                                          {0}};

/* --- running --- */

enum { POLL_MAX = 500, PUT_MESSAGES = 500, PUT_BYTES = 8 << 20, QUEUE_MAX = 3, PROGRESS_HEAD = 12 };

static const ns_t tell_every = 5 * NS_SEC, patience = 5 * NS_SEC, drain_time = 60 * NS_SEC, look_again = 100 * NS_MS,
                  count_every = 5 * NS_SEC, pause_first = 100 * NS_MS, pause_most = 10 * NS_SEC;

/* An assigned partition. */
struct place {
    char *topic;
    size_t topic_bytes;
    int32_t partition;
    uint32_t number; /* in the journal */
    int64_t next;    /* offset behind what is taken in; < 0: unknown */
    bool is_told;    /* `next`, to the group */
};

struct polled {
    struct polled *after;
    struct kafka_batch *batch;
};

struct reader {
    struct intake *in;
    const struct pipeline_node *source;
    const struct kafka_reads *reads;
    uint32_t shards; /* that divide the partitions by their numbers; 0: the group says who has what */
    ns_t counted;    /* when they were  */
    struct kafka_consumer *c;
    struct place *places;
    size_t count;
    struct polled *first, **end; /* what the feeder is to hand over */
    size_t queued;               /* with what it is handing over now */
    struct message *messages;    /* of PUT_MESSAGES: what it is handing over now */
    struct fiber *poller, *feeder;
    bool is_paused;
    bool is_replaced; /* another process has our member's name */
    ns_t told;        /* when the group was told offsets */
};

/* --- places --- */

static struct str topic_of(const struct place *p)
{
    return str_of(p->topic, p->topic_bytes);
}

static struct place *find_place(const struct reader *r, struct str topic, int32_t partition)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->places[i].partition == partition && str_eq(topic_of(&r->places[i]), topic))
            return &r->places[i];
    return NULL;
}

static err_t pack_progress(const struct place *p, int64_t next, struct buf *to)
{
    char head[PROGRESS_HEAD];

    be64_put(head, (uint64_t)next);
    be32_put(head + 8, (uint32_t)p->partition);
    TRY(buf_add(to, str_of(head, sizeof head)));
    return buf_add(to, topic_of(p));
}

/* Is the progress this partition's? Then *ret_next. */
static bool read_progress(const struct place *p, struct str progress, int64_t *ret_next)
{
    if (progress.n < PROGRESS_HEAD || be32_get(progress.p + 8) != (uint32_t)p->partition ||
        !str_eq(str_slice(progress, PROGRESS_HEAD, progress.n), topic_of(p)))
        return false;
    *ret_next = (int64_t)be64_get(progress.p);
    return true;
}

/* Its number in the journal. */
static err_t find_number(struct reader *r, struct place *p, struct arena *arena) SUSPENDS
{
    struct str progress;

    p->number = (uint32_t)(str_hash(topic_of(p)) + (uint32_t)p->partition);
    p->next = -1;
    for (;; p->number++) {
        TRY(intake_progress(r->in, p->number, arena, &progress));
        if (!progress.n || read_progress(p, progress, &p->next))
            return OK;
    }
}

static err_t claim(struct reader *r, struct place *p) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct str progress;

    arena_init(&arena, SIZE_MAX);
    TRY(find_number(r, p, &arena));
    TRY(intake_claim(r->in, p->number));
    TRY(intake_progress(r->in, p->number, &arena, &progress)); /* nobody else's grows any more */
    if (progress.n && !read_progress(p, progress, &p->next))
        return fail(E_CONFLICT, "two partitions have just met at one number");
    return OK;
}

/* Those of the list, with the offsets that they begin at. */
static err_t begin_places(struct reader *r, struct kafka_partition *list, size_t n) SUSPENDS
{
    struct kafka_partition *committed = mem_alloc((n + 1) * sizeof *committed);
    err_t e = OK;

    memcpy(committed, list, n * sizeof *committed);
    r->places = mem_realloc(r->places, (r->count + n + 1) * sizeof *r->places);
    for (size_t i = 0; i < n && e == OK; i++) {
        struct place *p = &r->places[r->count++];
        *p = (struct place){.topic = mem_dup(list[i].topic.p, list[i].topic.n),
                            .topic_bytes = list[i].topic.n,
                            .partition = list[i].partition,
                            .is_told = true};
        e = claim(r, p);
    }
    if (e == OK && n)
        e = kafka_committed(r->c, committed, n);
    for (size_t i = 0; e == OK && i < n; i++) {
        const struct place *p = find_place(r, list[i].topic, list[i].partition);
        list[i].offset = committed[i].offset >= 0 && committed[i].offset > p->next ? committed[i].offset
                         : p->next >= 0                                            ? p->next
                                                                                   : KAFKA_STORED;
    }
    mem_free(committed);
    return e;
}

static void forget(struct reader *r, struct place *p)
{
    mem_free(p->topic);
    *p = r->places[--r->count];
}

/* --- what the group is told --- */

static err_t tell(struct reader *r) SUSPENDS
{
    struct kafka_partition *list = mem_alloc((r->count + 1) * sizeof *list);
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++)
        if (!r->places[i].is_told)
            list[n++] = (struct kafka_partition){topic_of(&r->places[i]), r->places[i].partition, r->places[i].next};
    err_t e = n ? kafka_commit_offsets(r->c, list, n) : OK;
    for (size_t i = 0; i < n && e == OK; i++) {
        struct place *p = find_place(r, list[i].topic, list[i].partition);
        p->is_told = p->next == list[i].offset;
    }
    mem_free(list);
    r->told = rt_now();
    if (e == OK || e == E_CANCELLED || e == E_DEADLINE)
        return e;
    log_debug(STR_NONE, "offsets were not told: %s", err_detail(e)); /* only information: they will be next time */
    return OK;
}

/* --- handing over --- */

/* The next messages of one partition, into r->messages. */
static size_t gather(const struct reader *r, const struct kafka_batch *b, size_t from, struct arena *arena)
{
    const struct kafka_message *first = &b->messages[from];
    const struct place *p = find_place(r, first->topic, first->partition);
    size_t n = 0, bytes = 0;

    for (; from + n < b->message_count && n < PUT_MESSAGES && bytes < PUT_BYTES; n++) {
        const struct kafka_message *m = &b->messages[from + n];
        if (m->partition != first->partition || !str_eq(m->topic, first->topic))
            break;
        r->messages[n] = kafka_link_message(r->reads, m, p ? p->number : 0, arena);
        bytes += m->key.n + m->value.n;
    }
    return n;
}

static err_t feed_batch(struct reader *r, const struct kafka_batch *b) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};

    arena_init(&arena, SIZE_MAX);
    for (size_t at = 0, n; at < b->message_count; at += n) {
        const struct kafka_message *m = &b->messages[at];
        struct buf progress CLEANUP(buf_release) = BUF_INIT(PROGRESS_HEAD + KAFKA_NAME_MAX);
        n = gather(r, b, at, &arena);
        struct place *p = find_place(r, m->topic, m->partition);
        if (!p)
            continue; /* given back meanwhile: who has it now reads it */
        int64_t next = b->messages[at + n - 1].offset + 1;
        TRY(pack_progress(p, next, &progress));
        TRY(intake_put(r->in, r->messages, n, buf_str(&progress)));
        TRY(intake_settled(r->in)); /* without a journal the group's offset is all that there is */
        if ((p = find_place(r, m->topic, m->partition))) {
            p->next = next;
            p->is_told = false;
        }
        arena_clear(&arena);
    }
    return OK;
}

static void enqueue(struct reader *r, struct kafka_batch *b)
{
    struct polled *p = NEW(struct polled);

    p->batch = b;
    *r->end = p;
    r->end = &p->after;
    r->queued++;
    fiber_wake(r->feeder);
}

static struct kafka_batch *dequeue(struct reader *r)
{
    struct polled *p = r->first;

    if (!p)
        return NULL;
    struct kafka_batch *b = p->batch;
    r->first = p->after;
    r->end = r->first ? r->end : &r->first;
    mem_free(p);
    return b;
}

static void drop_queue(struct reader *r)
{
    struct kafka_batch *b;

    while ((b = dequeue(r))) {
        kafka_batch_release(b);
        r->queued--;
    }
}

static SUSPENDS err_t feed(void *reader)
{
    struct reader *r = reader;
    struct kafka_batch *b;
    err_t e = OK;

    while (e == OK) {
        if (!(b = dequeue(r))) {
            e = fiber_park("messages", NS_NEVER);
            continue;
        }
        e = feed_batch(r, b);
        kafka_batch_release(b);
        r->queued--;
        fiber_wake(r->poller);
    }
    return e;
}

/* --- polling --- */

/* Until at most `most` batches wait, or `until` (E_AGAIN). */
static err_t wait_for_feeder(struct reader *r, size_t most, ns_t until) SUSPENDS
{
    while (r->queued > most)
        TRY(fiber_park("the pipeline", until));
    return OK;
}

/* All of them: those that are asked for. */
static struct kafka_partition *all_places(const struct reader *r)
{
    struct kafka_partition *list = mem_alloc((r->count + 1) * sizeof *list);

    for (size_t i = 0; i < r->count; i++)
        list[i] = (struct kafka_partition){.topic = topic_of(&r->places[i]), .partition = r->places[i].partition};
    return list;
}

static err_t pause_or_resume(struct reader *r, bool is_pause) SUSPENDS
{
    struct kafka_partition *list = all_places(r);
    err_t e = r->count == 0 ? OK : is_pause ? kafka_pause(r->c, list, r->count) : kafka_resume(r->c, list, r->count);

    mem_free(list);
    r->is_paused = is_pause;
    return e;
}

/* No more is read than can be handed over soon; a member that cannot hand over for long goes on polling. */
static err_t keep_pace(struct reader *r) SUSPENDS
{
    if (r->is_paused)
        return r->queued ? OK : pause_or_resume(r, false);
    if (r->queued <= QUEUE_MAX)
        return OK;
    err_t e = wait_for_feeder(r, QUEUE_MAX, rt_now() + patience);
    return e == E_AGAIN ? pause_or_resume(r, true) : e;
}

/* The partitions are to go to others: what was read of them is finished first, as far as there is time for it. What is not even taken in by then
 * ends the membership. */
static err_t give_back(struct reader *r, const struct kafka_partition *list, size_t n) SUSPENDS
{
    ns_t until = rt_now() + drain_time;
    err_t e = wait_for_feeder(r, 0, until);

    if (e == E_AGAIN)
        return fail(E_CONFLICT, "what was read has not been taken in within %d s", (int)(drain_time / NS_SEC));
    TRY(e);
    for (size_t i = 0; i < n; i++) {
        const struct place *p = find_place(r, list[i].topic, list[i].partition);
        WITHIN(until);
        e = p ? intake_release(r->in, p->number) : OK;
        if (e != OK && e != E_DEADLINE)
            return e;
    }
    TRY(tell(r));
    for (size_t i = 0; i < n; i++) {
        struct place *p = find_place(r, list[i].topic, list[i].partition);
        if (p)
            forget(r, p);
    }
    return OK;
}

static err_t change(struct reader *r, enum kafka_change what, struct kafka_partition *list, size_t n) SUSPENDS
{
    switch (what) {
    case KAFKA_UNCHANGED:
        return OK;
    case KAFKA_ASSIGNED:
        TRY(begin_places(r, list, n));
        r->is_paused = false;
        return kafka_assign(r->c, list, n);
    case KAFKA_REVOKED:
        TRY(give_back(r, list, n));
        return kafka_unassign(r->c, list, n);
    case KAFKA_LOST:
        return fail(E_CONFLICT, "its partitions were given to others");
    }
    return OK;
}

static ns_t poll_until(const struct reader *r)
{
    bool is_told = true;

    if (r->is_paused)
        return rt_now() + look_again;
    for (size_t i = 0; i < r->count && is_told; i++)
        is_told = r->places[i].is_told;
    return is_told && !r->queued && !r->shards ? NS_NEVER : rt_now() + tell_every;
}

static bool is_final(err_t e)
{
    return e == E_CANCELLED || e == E_DEADLINE || e == E_CONFIG;
}

/* --- partitions by their numbers --- */

/* Every `step`-th of each topic from `first` on, in the arena. */
static err_t find_partitions(struct reader *r, uint32_t first, uint32_t step, struct arena *arena,
                             struct kafka_partition **ret, size_t *ret_n) SUSPENDS
{
    int32_t *counts = arena_alloc(arena, r->reads->topic_count * sizeof *counts);
    size_t most = 0, n = 0;

    for (size_t i = 0; i < r->reads->topic_count; i++) {
        TRY(kafka_partition_count(r->c, r->reads->topics[i], &counts[i]));
        most += (size_t)counts[i];
    }
    *ret = arena_alloc(arena, (most + 1) * sizeof **ret);
    for (size_t i = 0; i < r->reads->topic_count; i++)
        for (uint32_t k = first; k < (uint32_t)counts[i]; k += step)
            (*ret)[n++] = (struct kafka_partition){.topic = r->reads->topics[i], .partition = (int32_t)k};
    *ret_n = n;
    return OK;
}

/* Those that are the shard's. Of several topics it is those with the same numbers: what has one key is in one shard, if the topics are divided alike. */
static err_t find_ours(struct reader *r, struct arena *arena, struct kafka_partition **ret, size_t *ret_n) SUSPENDS
{
    return find_partitions(r, intake_shard(r->in), r->shards, arena, ret, ret_n);
}

/* Have them divided by our number of shards. */
static err_t divide(struct reader *r) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct kafka_partition *all;
    size_t n;
    bool is_divided;

    TRY(intake_is_divided(r->in, &is_divided));
    if (is_divided)
        return OK;
    arena_init(&arena, SIZE_MAX);
    TRY(find_partitions(r, 0, 1, &arena, &all, &n));
    uint32_t *numbers = arena_alloc(&arena, (n + 1) * sizeof *numbers);
    for (size_t i = 0; i < n; i++) {
        struct place p = {
            .topic = (char *)all[i].topic.p, .topic_bytes = all[i].topic.n, .partition = all[i].partition};
        TRY(find_number(r, &p, &arena));
        numbers[i] = p.number;
    }
    return intake_divide(r->in, numbers, n);
}

static err_t take_ours(struct reader *r) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct kafka_partition *list;
    size_t n;

    arena_init(&arena, SIZE_MAX);
    TRY(divide(r));
    TRY(find_ours(r, &arena, &list, &n));
    TRY(begin_places(r, list, n));
    r->is_paused = false;
    r->counted = rt_now();
    return kafka_assign(r->c, list, n);
}

/* Topics may grow. */
static err_t count_again(struct reader *r) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct kafka_partition *list;
    size_t n;

    arena_init(&arena, SIZE_MAX);
    err_t e = find_ours(r, &arena, &list, &n);
    r->counted = rt_now();
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (e == OK && n != r->count)
        return fail(E_CONFLICT, "%zu partitions are this shard's now, not %zu", n, r->count);
    return OK; /* brokers that are away are asked next time */
}

/* Errors of polls pass, mostly, and polling goes on; those of everything else end the membership. */
static err_t poll_group(struct reader *r, struct kafka_batch **ret) SUSPENDS
{
    err_t e = kafka_poll(r->c, POLL_MAX, poll_until(r), ret);

    r->is_replaced = e == E_FENCED;
    if (e == OK || e == E_AGAIN || e == E_FENCED || is_final(e))
        return e;
    log_warn(STR_NONE, "source %.*s: %s", STR_ARG(r->source->name), err_detail(e));
    return E_AGAIN;
}

static err_t poll_once(struct reader *r) SUSPENDS
{
    struct arena arena CLEANUP(arena_release) = {0};
    struct kafka_batch *b;

    TRY(poll_group(r, &b));
    arena_init(&arena, SIZE_MAX);
    enum kafka_change what = b->change;
    size_t n = b->partition_count;
    struct kafka_partition *list = kafka_link_copy(b->partitions, n, &arena);
    if (b->message_count)
        enqueue(r, b);
    else
        kafka_batch_release(b);
    return change(r, what, list, n);
}

static SUSPENDS err_t poll_all(void *reader)
{
    struct reader *r = reader;

    for (;;) {
        err_t e = poll_once(r);
        if (e != OK && e != E_AGAIN)
            return e;
        TRY(keep_pace(r));
        if (rt_now() - r->told >= tell_every)
            TRY(tell(r));
        if (r->shards && rt_now() - r->counted >= count_every)
            TRY(count_again(r));
    }
}

static err_t poll_and_feed(struct reader *r) SUSPENDS
{
    SCOPE(both, NS_NEVER);
    err_t first;

    r->poller = scope_spawn(&both, "kafka poller", poll_all, r);
    r->feeder = scope_spawn(&both, "kafka feeder", feed, r);
    TRY(scope_wait_any(&both, NS_NEVER, &first));
    return first;
}

/* Leave the group, with what was learnt last. What is under way is lost with the membership, but finished if only the source is to end. Partitions that nobody gave stay ours. */
static void leave(struct reader *r, bool is_lost) SUSPENDS
{
    SHIELD(rt_now() + patience);

    if (r->c && tell(r) != OK)
        log_debug(STR_NONE, "offsets were not told in time");
    drop_queue(r);
    r->queued = 0;
    while (r->count) {
        if (is_lost)
            intake_lose(r->in, r->places[0].number);
        forget(r, &r->places[0]);
    }
    kafka_consumer_close(r->c);
    r->c = NULL;
}

static err_t run_once(struct reader *r) SUSPENDS
{
    err_t e = r->shards ? kafka_link_read(r->source, &r->c) : kafka_link_join(r->source, intake_shard(r->in), 0, &r->c);

    if (e == OK && r->shards)
        e = take_ours(r);
    if (e == OK)
        e = poll_and_feed(r);
    const struct err_record why = *err_current();
    leave(r, !is_final(e) && !r->shards);
    return fail(e, "%s", e == why.code ? why.text : err_text(e));
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    struct reader r = {.in = in, .source = source, .reads = kafka_source_reads(source), .shards = intake_shards(in)};
    err_t e;

    r.end = &r.first;
    r.messages = mem_alloc(PUT_MESSAGES * sizeof *r.messages);
    for (ns_t pause = pause_first;; pause = ns_min(2 * pause, pause_most)) {
        e = run_once(&r);
        if (is_final(e) || r.is_replaced || (r.shards && e == E_FENCED))
            break;
        log_warn(STR_NONE, "source %.*s: %s; it joins again", STR_ARG(source->name), err_detail(e));
        if ((e = fiber_sleep_until(rt_now() + pause)) != OK)
            break;
    }
    mem_free(r.places);
    mem_free(r.messages);
    return e;
}

static const struct source_run source_run = {.run = run, .is_shared = true};

const struct source_kind source_kind_kafka = {
    .kind = {.name = "kafka",
             .fields = fields,
             .size = sizeof(struct kafka_source),
             .traits = KIND_CONNECTS,
             .scheme = "kafka",
             .usual_url = "kafka://127.0.0.1:9092",
             .build = build},
    .rows = rows,
    .keeps = true,
    .unkept = "the group's offset is committed behind what is done: the rest is read again",
    .run = &source_run,
};
