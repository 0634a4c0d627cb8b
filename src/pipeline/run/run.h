/*
 * run.h - running a pipeline: what kinds of sources, nodes and sinks do, and what is done for them.
 *
 * A root is one message with all that comes of it, a record one value on an edge. All of a root lives in one arena that goes with it, so values are handed
 * from node to node as they are, and become text only where they leave the process or enter the journal.
 *
 * What a kind has to do is little. A source reads messages and hands them over; when intake_put() returns they are safe, and may be acknowledged. A
 * node turns a record into others. A sink applies batches in order. Who may run when, what waits, what a crash undoes and what is dead is the shard's
 * affair (shard.h).
 */
#ifndef PIPELINE_RUN_H
#define PIPELINE_RUN_H

#include "pipeline/spec/kind.h"
#include "pipeline/spec/pipeline.h"
#include "rt/fiber.h"
#include "store/journal.h"

struct absorb_run;
struct gateway;
struct web;
struct window_rules;

struct shard;
struct root;
struct trace_step;

/* --- records --- */

/* What a node has done with a record that it began to work on before all of it was there. */
struct growth {
    size_t taken; /* bytes of it that were worked on                      */
    void *kept;   /* the node's own, in the root's arena; NULL at first */
};

struct record {
    struct record *next; /* where it waits */
    struct root *root;
    struct journal_id id;
    uint16_t node, edge; /* it is worked on by; it came along */
    bool has_failed;     /* its dead letter is written: it is only to be counted out */
    uint64_t seq;        /* among those that wait with it     */
    ns_t came;           /* when, of the loop                 */
    uint32_t size;       /* of its JSON; 0: it is not traced  */
    uint32_t weight;     /* likewise, at a sink that waits for more; else 0 */
    struct expr_value value;
    struct expr_host meta; /* private */
    /* Private, of one that a node began to work on before all of it was there (early.c). */
    struct record *growing; /* the next such of the same step                       */
    struct growth growth;
    uint32_t early;           /* records that were sent of it                         */
    struct trace_step *trace; /* private; NULL: it is not traced */
};

/* Layouts of bodies in the journal. */
enum {
    BODY_MESSAGE = 1,
    BODY_PROGRESS,
    BODY_INTENT,
    BODY_DEAD_LETTER,
    BODY_OUTPUTS,
    BODY_TRIAL,
    BODY_REPLY,
    BODY_TRACE,
    BODY_SHARDS
};
/* Of nodes that keep state or time. */
enum { BODY_DUE = 32, BODY_KEYED, BODY_WINDOW, BODY_GATE };

/* --- nodes --- */

/* A record that a node works on. */
struct step {
    struct root *root;
    const struct pipeline_node *node;
    struct record *in;
    uint32_t sent;
    ns_t not_before;         /* set by call() that fails: not to be asked before then; 0: it does not say */
    bool is_degraded;        /* it is late: do it in the quicker way, if there is one (`on_late: degrade`) */
    struct outputs *outputs; /* private: what is kept until the node has succeeded; NULL: it is sent at once */
    struct str note;         /* private: see step_note()                                                     */
    struct record *growing;  /* private: records that others work on before it has sent them                */
    bool is_told;            /* private: something of those was sent on, and cannot be taken back           */
};

/* When a record that waits goes on. */
struct due {
    ns_t span;     /* after so long, by the time that passes                                    */
    int64_t until; /* not 0: instead, at that instant of the wall clock, nanoseconds since 1970 */
};

struct node_run {
    /* Work on s->in. Memory comes from step_arena(). An error makes the item a failed one, with its words as the reason. */
    err_t (*work)(struct step *s) MUST_CHECK;
    /* Instead, of KIND_CALLS: likewise, in a fiber, under the node's budget and the root's deadline. May be called again for the same item. */
    err_t (*call)(struct step *s) SUSPENDS;
    /*
     * Beside `work`, of a node that can begin before all of a text is there: `text` is what there is of it. What
     * it sends must be what work() sends first, however the text goes on. Does not suspend.
     */
    err_t (*grow)(struct step *s, struct str text, struct growth *g);
    /* Free what the node keeps (step_kept()), with the shard. NULL: it keeps nothing. */
    void (*drop)(void *kept);
    /* Instead: likewise, and what it yields is recorded, with what it remembers. In the order in which records come; does not suspend. */
    err_t (*decide)(struct step *s);
    /* Instead: it takes records into a state of its own (keeper.h), and `work` is for what comes out. */
    const struct absorb_run *absorb;
    /* Of those with windows_run: when windows close. */
    const struct window_rules *(*windows)(const struct pipeline_node *n);
    /* Before: for how long the record waits. Asked once for each record: the journal keeps the answer. NULL: it does not wait. */
    err_t (*wait)(struct step *s, struct due *ret);
    /* What the node remembers under keys (step_remembered()) may take so many bytes. NULL: it remembers nothing. */
    size_t (*memory)(const struct pipeline_node *n);
};

/* The root's arena: what is taken there lives as long as the root. */
struct arena *step_arena(const struct step *s);
/* Send a record to all who read the node. The value's memory is the root's. */
err_t step_send(struct step *s, struct expr_value value) MUST_CHECK;
/* The same, of what another run may yield differently in its place: the record's id is also one of `mark`, so neither is taken for the other. */
err_t step_send_guess(struct step *s, struct expr_value value, struct str mark) MUST_CHECK;
/*
 * Of `call`: the text that it will send, as far as it has come, for those that can begin with it (`grow`). If anything was sent on of it, the call is not made
 * again when it fails. E_CANCELLED: nobody waits for it any more.
 */
err_t step_send_early(struct step *s, struct str text) MUST_CHECK;
/* The same to one of the node's targets. */
err_t step_send_to(struct step *s, size_t target, struct expr_value value) MUST_CHECK;
/* The program's result for the record, with what all programs of pipelines can read besides. As expr_eval(). */
err_t step_eval(struct step *s, const struct expr *program, struct expr_value *ret) MUST_CHECK;
/* The same of another value. */
err_t step_eval_on(struct step *s, const struct expr *program, struct expr_value value, struct expr_value *ret)
    MUST_CHECK;

/* The template's text for the record, in the root's arena. As template_render(). */
err_t step_render(struct step *s, const struct template *t, size_t max, struct str *ret) MUST_CHECK;
/* The record's id in hexadecimal, in the root's arena: the same in every run. */
struct str step_id_text(const struct step *s);
/* The key of the message that the record comes of; absent: it has none. */
struct str step_message_key(const struct step *s);
/* The `traceparent` (W3C) that the message came with, to be sent along with whatever is asked or sent for the record; empty: none. */
struct str step_traceparent(const struct step *s);
/* Is the record one of that share of all? By the id of its root, so the answer is the same in every run, and for all nodes. */
bool step_is_of_share(const struct step *s, double share) PURE;

/*
 * Let who listens to the pipeline keep what is shown of the record: a JSON value; empty: it could not be shown, and `why`. False: nobody does.
 */
bool step_show(const struct step *s, struct str shown, const char *why);

/* --- what nodes remember --- */

/* A key's name in the journal: a hash of the value, in the root's arena. */
err_t step_key(struct step *s, struct expr_value key, struct str *ret) MUST_CHECK;
/* What the node remembers under the key, and for how long still; false: nothing, or its time is over. Borrowed until the next of these calls. */
bool step_remembered(const struct step *s, struct str key, ns_t *ret_left, struct str *ret);
/*
 * Remember `body` for so long, by the time that passes; what comes to an end first makes room. In the journal it is as soon as what the step yields:
 * of `call` in the same commit; of `wait` soon.
 */
err_t step_remember(struct step *s, struct str key, ns_t span, struct str body) MUST_CHECK;

/* --- what the shard has --- */

/* Of the shard: for HTTP. */
struct web *step_web(const struct step *s);
/* Of the shard's loop: for models. NULL: there is none. */
struct gateway *step_gateway(const struct step *s);
/* What the node keeps for itself on this shard, of KIND_CALLS: NULL at first; freed by its `drop`. */
void **step_kept(const struct step *s);
/* A JSON object to be journaled with the outputs of the step: where they came from, and what they cost. In the root's arena. */
void step_note(struct step *s, struct str note);

/* --- sources --- */

enum {
    INTAKE_PUT_MAX = JOURNAL_OPS_MAX - 1, /* messages that are handed over at a time   */
    MESSAGE_HEADERS_MAX = 256,            /* of a message                              */
    MESSAGE_HEADER_BYTES_MAX = 64 << 10   /* of all their names and values together    */
};

struct message_header {
    struct str name, value; /* absent value: null */
};

/* A message. Borrowed. */
struct message {
    uint32_t partition;
    uint64_t position;   /* in the partition: what comes later is higher                              */
    struct str identity; /* what it is known by for ever; empty: partition and position               */
    struct str key;      /* what has the same one keeps its order; absent: no order                   */
    struct str body;     /* JSON; what is none becomes a string                                       */
    int64_t at;          /* when it was sent, nanoseconds since 1970                                  */
    const struct message_header *headers; /* `traceparent` among them is carried on                   */
    size_t header_count;
    /* Set: the source saw that it can never be taken in. It becomes a dead letter, with the progress, instead of a root; `body` is what there is of it. */
    err_t refused;
    struct str reason;
};

/* Where the process brings messages to sources. Any may be NULL: there are none. */
struct doors;
struct ears;
struct gateway;
struct entrances {
    struct doors *doors;
    struct ears *ears;
    struct gateway *gateway;
};

/* The way in: of one source of a shard. */
struct intake;

/* The shard's number among those of its pipeline. */
uint32_t intake_shard(const struct intake *in);
/*
 * So many shards the pipeline has, if each is one process's by a lease: then a source that is shared divides its partitions by their numbers, because what came of a partition
 * is known to the shard that its sinks have counted it under. 0: there are no leases, and somebody else says who has what.
 */
uint32_t intake_shards(const struct intake *in);
/* Do so many shards divide the partitions, as the journal says? If not, they are to be divided before any is claimed. Suspends. Errors: journal_read()'s. */
err_t intake_is_divided(const struct intake *in, bool *ret) SUSPENDS MUST_CHECK;
/*
 * Let so many shards divide the partitions, all of which `partitions` has; borrowed, at most INTAKE_PUT_MAX. Waits until nothing is under way that was taken in by another number of shards,
 * and shuts these out: whatever they put is refused with E_FENCED.
 *
 * Suspends. Errors: journal_commit()'s and journal_read()'s.
 */
err_t intake_divide(struct intake *in, const uint32_t *partitions, size_t n) SUSPENDS MUST_CHECK;

struct source_run {
    /* Read messages until there are none any more (OK), or the fiber is cancelled. */
    err_t (*run)(struct intake *in, const struct pipeline_node *source) SUSPENDS;
    /*
     * Who it shares its messages with. False: one shard of the pipeline reads it, and has all its partitions; what a former run left of them is begun
     * again before run() is called. True: all shards read it, in all processes, and intake_shards() or somebody else says who has which partition:
     * run() calls intake_claim() when it is given one and intake_release() or intake_lose() when it is to give it back.
     */
    bool is_shared;
    /* Tell where messages will come in, so that those which come before run() wait for it. NULL: nobody brings any. */
    void (*announce)(const struct pipeline_spec *spec, const struct pipeline_node *source, const struct entrances *at);
};

/*
 * How far the partition was read: what the last intake_put() for it said. STR_NONE: nothing was, or it was claimed only. In the caller's arena.
 *
 * Suspends. Errors: journal_read()'s.
 */
err_t intake_progress(struct intake *in, uint32_t partition, struct arena *arena, struct str *ret) SUSPENDS MUST_CHECK;
/*
 * The partition is ours: whoever had it before is fenced off, and what it left is begun again. To be called before messages of the partition are handed
 * over; a source that is not shared need not call it.
 *
 * Suspends. Errors: journal_commit()'s and journal_read()'s; E_CONFLICT: the partitions are divided among another number of shards by now.
 */
err_t intake_claim(struct intake *in, uint32_t partition) SUSPENDS MUST_CHECK;
/* The partition is to be somebody else's: wait until what is under way of it is done. At the fiber's deadline what is left is lost, as intake_lose() says. */
err_t intake_release(struct intake *in, uint32_t partition) SUSPENDS MUST_CHECK;
/* The partition is somebody else's already: nothing more is done for what is under way of it; who has it now begins it again. Does not suspend. */
void intake_lose(struct intake *in, uint32_t partition);
/*
 * Take in `n` messages of one partition, and remember `progress`, which intake_progress() will tell. When it returns, all of it is safe, and the messages
 * are under way. Messages that were taken in before are passed over.
 *
 * A message that is too large to be kept becomes a dead letter. All of them together are less than JOURNAL_COMMIT_MAX bytes.
 *
 * Suspends: while too much is under way, and for the journal; a disk that refuses is waited for. Errors: E_FENCED: another one has the partition;
 * E_TOO_LARGE: more than INTAKE_PUT_MAX, or too many bytes; E_CANCELLED, E_DEADLINE: it may have come about, and the same may be handed over again.
 */
err_t intake_put(struct intake *in, const struct message *messages, size_t n, struct str progress) SUSPENDS MUST_CHECK;
/* Remember `progress` of the partition, without a message: what a source must know before it reads the next one, say. Likewise. */
err_t intake_note(struct intake *in, uint32_t partition, struct str progress) SUSPENDS MUST_CHECK;

/*
 * Wait until what was taken in may be acknowledged: with a journal that is at once, because it is safe there; without one (`journal: none`) when
 * all of it is done. To be called before each acknowledgement, also of what a former run of the source has taken in.
 *
 * Suspends; when the shard is drained it waits on. Errors: E_FENCED: some of it is somebody else's now; E_CANCELLED, E_DEADLINE: nothing may be acknowledged.
 */
err_t intake_settled(struct intake *in) SUSPENDS MUST_CHECK;

/* --- sinks --- */

struct emitter; /* of one sink of a shard */

struct batch_item {
    struct journal_id id; /* of the record   */
    struct str text;      /* the same as JSON */
    struct record *record;
    bool
        is_applied; /* nothing more is to be done with it. Set by apply(), which may be called again for the same batch; and before, if it is given up */
    bool is_doubtful; /* private: it may have been applied before */
    /* Set by apply(): the sink will never take this one, and why (in the root's arena). It becomes a dead letter. */
    err_t refused;
    struct str reason;
};

/* Records that are applied together, in order. Borrowed. */
struct batch {
    uint64_t seq; /* one more than that of the batch before; from 1 */
    struct batch_item *items;
    size_t count;
};

static inline size_t batch_refused(const struct batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++)
        n += b->items[i].refused != OK;
    return n;
}

/*
 * Is the shard still ours? A sink that shuts others out by opening it asks this each time that it has done so, before it changes anything: a process that was stopped for longer
 * than its lease may be the last to open it, and then must not write. The shard's owner, whom it has shut out, opens it again.
 *
 * Suspends, for the journal, if there are leases. `s` NULL: nobody else can have it. E_FENCED: it is another process's; E_CANCELLED, E_DEADLINE.
 */
err_t shard_is_ours(struct shard *s) SUSPENDS MUST_CHECK;

/* Where a sink is opened. Borrowed during the call, but for `sink`, `home` and `web`, which outlive its state. */
struct sink_at {
    const struct pipeline_node *sink;
    struct shard *home; /* for shard_is_ours() */
    struct web *web;
    struct str pipeline; /* with `shard` and the sink's name: what numbers of batches are counted under, for ever */
    uint32_t shard;
    bool is_open; /* batch `seq` was begun, and perhaps applied: `intent` is what intend() said of it */
    uint64_t seq; /* of the next batch                                                               */
    struct str intent;
};

struct sink_run {
    /*
     * Make ready. *ret_applied: the batch that was begun has been applied. What is returned in *ret_state is handed to the others, and to close(), which is
     * called if this succeeds.
     */
    err_t (*open)(const struct sink_at *at, bool *ret_applied, void **ret_state) SUSPENDS;
    /* What is to be remembered before a batch is applied, so that open() can tell whether it was. In the arena, which lives until the batch is applied.
     * May refuse items, as apply() may, which says that it does so each time. NULL: nothing. */
    err_t (*intend)(void *state, const struct batch *b, struct arena *arena, struct str *ret) SUSPENDS;
    /*
     * Apply the batch, all or nothing as far as the sink's promise goes. A sink whose open() can tell whether a batch was applied, and which finds out here
     * that it refuses items, applies nothing and fails with E_CONFLICT: it is called again for the others, once the journal knows that these are no part
     * of the batch. On other errors it is tried again, whole; with `effect: at_most_once` only the items that are
     * neither is_applied nor refused, and only if the error says that nothing was sent (E_REFUSED, E_RESOLVE, E_TLS), or reconcile() that it did not come about.
     */
    err_t (*apply)(void *state, const struct batch *b) SUSPENDS;
    /*
     * Has the item come about? Asked of effects that are wanted at most once, when apply() failed in the midst of it, or the process died there. E_UNKNOWN:
     * nobody can tell. NULL: nobody ever can.
     */
    err_t (*reconcile)(void *state, const struct batch_item *item, bool *ret_happened) SUSPENDS;
    /*
     * Of a sink that can begin before all of a text is there: `text` is what there is of the record `id`, which the root will send it unless something fails.
     * True: somebody has it now, and it cannot be taken back. NULL: it waits for records. Does not suspend.
     */
    bool (*hear)(const struct pipeline_node *sink, struct root *r, struct journal_id id, struct str text);
    void (*close)(void *state) SUSPENDS;
};

#endif
