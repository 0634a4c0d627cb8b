/* shard_int.h - the inside of a shard, for the files that work on it. Private to pipeline/. */
#ifndef PIPELINE_SHARD_INT_H
#define PIPELINE_SHARD_INT_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "pipeline/run/care.h"
#include "pipeline/run/clerk.h"
#include "pipeline/run/credit.h"
#include "pipeline/run/inner.h"
#include "pipeline/run/keeper.h"
#include "pipeline/run/keyed.h"
#include "pipeline/run/letter.h"
#include "pipeline/run/letter_post.h"
#include "pipeline/run/message.h"
#include "pipeline/run/meter.h"
#include "pipeline/run/run.h"
#include "pipeline/run/shard.h"
#include "pipeline/run/trace.h"
#include "pipeline/system/web.h"
#include "rt/scope.h"
#include "rt/timer.h"

enum { ROOT_ARENA_MAX = 64 << 20 };

/* Nodes of a pipeline, as bits. */
struct node_set {
    uint64_t words[(FLOW_NODES_MAX + 63) / 64];
};
static inline bool node_set_has(const struct node_set *s, unsigned i)
{
    return s->words[i / 64] >> (i % 64) & 1;
}
static inline void node_set_add(struct node_set *s, unsigned i)
{
    s->words[i / 64] |= 1ULL << (i % 64);
}

/* Records in the order in which they came. */
struct record_queue {
    struct record *first, **end;
    size_t count;
};
static inline void record_queue_init(struct record_queue *q)
{
    *q = (struct record_queue){.end = &q->first};
}
static inline void record_queue_add(struct record_queue *q, struct record *r)
{
    r->next = NULL;
    *q->end = r;
    q->end = &r->next;
    q->count++;
}
static inline struct record *record_queue_take(struct record_queue *q)
{
    struct record *r = q->first;

    if (!r)
        return NULL;
    q->first = r->next;
    q->end = q->first ? q->end : &q->first;
    q->count--;
    return r;
}

/* What an item of a recorded node yielded in a former run. */
struct recorded {
    struct str item, outputs;
};

struct output {
    int64_t target; /* < 0: all */
    struct expr_value value;
};
struct outputs {
    struct output *items;
    size_t count, cap;
    struct journal_op *beside; /* to be committed with them */
    size_t beside_count, beside_cap;
};

/* What is done with a root that a former run left: begun, begun and counted, put on trial, given up. */
enum suspicion { SUSPECT_NOT, SUSPECT_COUNT, SUSPECT_TRY, SUSPECT_GUILTY };

/* What is counted of a root for who is told of its end (root_facts.c), that of its bodies included. */
struct root_count {
    uint64_t calls, input_tokens, output_tokens, nano_usd;
    uint32_t late, dead;
    bool is_unpriced;
    struct node_set nodes; /* where records of it came */
};

/* Sorted. */
struct id_set {
    struct journal_id *ids;
    size_t count;
};

/* One message and all that comes of it. */
struct root {
    struct list link;         /* of the shard's                                              */
    struct list lane_link;    /* of its lane's, in order; not linked: it has none            */
    struct list *lane;        /* NULL: none                                                  */
    struct list suspect_link; /* entered and not started yet, or on trial: suspect.h      */
    struct shard *shard;
    struct partition *partition; /* that it came from                                     */
    struct arena arena;
    size_t bytes; /* of the arena, as the credit knows them                               */
    struct journal_id id;
    uint16_t source; /* node                                                        */
    uint16_t hands;  /* fibers that have a record of it in their hands              */
    bool is_dropped; /* goes when nobody has it in his hands any more, untold       */
    unsigned starts; /* how often it was begun, this time included                  */
    uint64_t position;
    int64_t at;                    /* when it was sent, nanoseconds since 1970                    */
    ns_t deadline;                 /* instant of the loop; NS_NEVER: none                         */
    struct str key, headers;       /* as packed */
    struct expr_host headers_host; /* private to meta.c, as is: */
    struct arena side;
    struct expr_value message;
    struct flow *flow;
    struct node_load *load;    /* by node: what waits there */
    struct record_queue *held; /* by node: a join's records, or a sink's whose turn it is not */
    struct node_set open;      /* sinks where no root before it in its lane sends any more    */
    struct node_set closed;    /* sinks that it sends no more to                              */
    struct id_set done;        /* effects that have come about                                */
    struct id_set doubtful;    /* effects that may have                                       */
    struct id_set given_up;    /* effects that are dead letters                               */
    struct recorded *recorded;
    size_t recorded_count;
    bool is_replied; /* its sender has been answered, or was by a former run */
    bool is_spoken;  /* its sender has heard how the record `speaker` begins */
    struct journal_id speaker;
    bool has_dead;            /* a dead letter                                        */
    enum suspicion suspicion; /* of one that a former run left                        */
    struct verdict *verdicts; /* about records of a root that is run again   */
    size_t verdict_count;
    struct trace trace;
    struct root_count count;
    struct list waiting;     /* of it, until an instant (timers.c) */
    struct yielded *yielded; /* of nodes that are compared (agree.h) */
    struct inner *inner;     /* of one in a body; NULL: it is a message's */
    uint8_t verdict;         /* of one that begins at a gate: enum gate_verdict */
    uint64_t former;         /* former.c: the version that it waits for; else 0  */
};

/* former.c: what waits for former versions. */
struct resting;
struct formers {
    struct list roots;
    struct resting *rests; /* the versions */
    size_t rest_count;
    struct keyed *unheard; /* gates that nobody has decided, and none of the shard's nodes would hear of, by id */
    uint64_t decisions;    /* of the journal, when they were listed first */
};

struct lane {
    struct list roots;
};

struct emitter {
    struct shard *shard;
    const struct pipeline_node *sink;
    struct record_queue queue;
    uint64_t weight;       /* of those together, where it lingers; else 0 */
    struct fiber *sleeper; /* waits for records */
    ns_t since;            /* the queue is not empty */
    uint64_t seq;          /* of the last batch that was applied */
    bool is_failing;       /* the last try has failed            */
    void *state;
};

/* Of a node that calls. */
struct caller {
    struct shard *shard;
    const struct pipeline_node *node;
    struct scope *scope;
    struct record **heap;
    size_t count, cap;
    uint64_t came;
    struct list working;   /* items that fibers have in their hands: struct calling */
    unsigned active;       /* fibers                                             */
    unsigned spawned;      /* of these: that have not begun                      */
    struct fiber *lookout; /* waits for the breaker; NULL: nobody                */
    struct care *care;     /* NULL: this node does not call                      */
    ns_t path, behind;     /* what the longest way from here on, or from behind it, usually takes */
    void *kept;            /* the node's own: see step_kept() */
};

/* Of a source, and ours: it was claimed. */
struct partition {
    struct intake *intake;
    uint32_t number;
    char name[4]; /* the number as the map's key */
    uint64_t epoch;
    uint64_t roots;        /* under way, those that are dropped included */
    bool is_lost;          /* goes with its last root                    */
    struct list lost_link; /* of the intake's                            */
    struct fiber *waiter;  /* for its last root                          */
};

struct intake {
    struct shard *shard;
    const struct pipeline_node *source;
    struct map partitions;   /* struct partition *, those that are ours */
    struct ear *ear;         /* of a source that hears answers, while it does; NULL else */
    uint64_t missed_before;  /* of those that it has missed: told of already             */
    struct list lost;        /* those that are not, with what is still in hands */
    uint64_t roots, losses;  /* under way; partitions that were lost            */
    struct fiber *settler;   /* waits for the last root: intake_settled()       */
    struct replies *replies; /* of a source whose senders wait; NULL: nobody has waited yet */
};

struct shard {
    struct pipeline_spec *spec;
    struct journal *journal;
    struct gateway *gateway;
    struct doors *doors;                      /* NULL: nobody listens */
    struct ears *ears;                        /* NULL: nobody hears   */
    const struct pipeline_listener *listener; /* NULL: nobody listens */
    uint32_t number;
    bool only_finishes;
    bool is_whole;
    bool may_rest;
    int64_t rests_until; /* what is left of it has to go on then, nanoseconds since 1970; INT64_MAX: nothing waits */
    bool is_leased;
    bool is_draining;
    bool is_cut;     /* its sources are to end, whatever they wait for */
    bool is_resumed; /* what the journal had when it began is taken up */
    uint64_t digest; /* of the spec: what roots of this version are known by */
    struct credit credit;
    struct scope *sources;                /* while they run     */
    struct fiber *finisher;               /* waits for the last root */
    bool was_silent;                      /* the last run: suspect.h; and all of these */
    struct buf accused;                   /* ids of those that were on trial when the process died */
    struct list first_suspects, suspects; /* that are not started yet: the accused, and the others */
    struct list chosen, on_trial;         /* about to be started; just started */
    struct fiber *watcher;                /* waits for these */
    bool is_trying;                       /* somebody starts the suspects, or is about to */
    ns_t paths_at;                        /* when callers' paths were worked out; 0: not yet */
    struct clerk *clerk;
    struct lane *lanes;
    struct list roots; /* in the order in which they came in */
    struct formers formers;
    const struct keyed *unheard;  /* of shard_options */
    struct fiber *former_watcher; /* is to hear when they have something to do earlier */
    struct map by_id;             /* roots and those of formers, by their ids */
    struct record_queue ready;
    bool is_pumping;
    bool is_pump_due;         /* a fiber will pump soon: early.c */
    bool is_fast;             /* the journal has no roots: fast_kafka.c */
    struct emitter *emitters; /* by node; only of sinks */
    struct intake *intakes;   /* by node; only of sources */
    struct caller *callers;   /* by node */
    struct web *web;          /* made when it is needed */
    struct replays *replays;  /* replay.c */
    struct scope *fibers;     /* those whose end is the shard's, while it runs */
    struct node_set shadowed; /* nothing that fails there matters */
    struct node_set compared; /* what they yield is held against each other */
    struct keyed **memories;  /* by node; NULL: it remembers nothing */
    struct keeper **keepers;  /* by node; NULL: it has none */
    struct shard **inners;    /* by node: of its body; NULL: it has none */
    struct shard *outer;      /* of a body: whose */
    struct partition within;  /* of a body: where its roots come from */
    struct list waiting, due; /* timers.c: of all roots; those whose time has come */
    struct fiber *timekeeper; /* waits for them */
    struct meter *meter;
    struct letter_post *post; /* NULL: dead letters stay in the journal */
    struct shard_stats stats;
};

/* --- root.c: what becomes of a root --- */

/* The id of a message of that source. */
struct journal_id root_id(const struct pipeline_spec *s, const struct pipeline_node *source, const struct message *m);
/* A root of what was packed, which stands in the journal as `r` says: not begun yet. E_PARSE, E_TOO_LARGE. */
err_t root_unpack(struct partition *p, const struct journal_record *r, struct str packed, struct root **ret) MUST_CHECK;
/* A root that is never entered, and stands for a dead letter where a sink wants to know of a record what it came of; and its record. E_TOO_LARGE. */
err_t root_of_letter(struct partition *p, const struct journal_id *id, struct str json, struct root **ret) MUST_CHECK;
struct record *root_letter_record(struct root *r);
/* Free a root that was not entered. */
void root_free(struct root *r);
/* Is it one of that share of all? By its id, so the answer is the same in every run. */
bool root_is_of_share(const struct root *r, double share) PURE;
/* Its time is counted from then, nanoseconds since 1970. Before it is entered. */
void root_set_time(struct root *r, int64_t at);
/* It is under way from now on, behind those that came before. */
void root_enter(struct root *r);
/* Let it run. */
void root_start(struct root *r);
/* It is under way no more. */
void root_leave(struct root *r);
/* It has its place in its lane, and nothing is done for it; and not even that any more: it is freed. */
void root_stand(struct root *r);
void root_stand_down(struct root *r);
/* Has it nothing to do but wait, for an instant or its turn, and nobody waits for what it yields? */
bool root_may_rest(const struct root *r) PURE;
/* Nothing more is to be done for it, and the journal is not told: it is somebody else's. */
void root_drop(struct root *r);
/* A fiber takes a record of it, and gives it back: in between the root stays, whatever happens. False: it was dropped meanwhile, and is gone now. */
void root_hold(struct root *r);
bool root_let_go(struct root *r) MUST_CHECK;
/* Work on all that is ready. Does not suspend; to be called by whoever has made something ready. */
void shard_pump(struct shard *s);
/* A record whose time has come: its node may work on it. */
void root_record_due(struct record *rec);
/* A record that its node cannot take: it fails in its turn. Takes the words from the current error. */
void root_record_failed(struct record *rec, err_t cause);
/* A join of it has waited long enough. */
void root_join_over(struct root *r, uint16_t node);
/* The id of what comes of one at a node: its `index`-th output, or, at a sink or a node that absorbs it, its effect. */
struct journal_id child_id(const struct journal_id *parent, const struct pipeline_node *node, uint32_t index);
/* A record of the root's, which waits nowhere yet. */
struct record *record_new(struct root *r, uint16_t node, uint16_t edge, struct journal_id id, struct expr_value value);
/* A record that a sink has applied, or will never: it is done with. */
void root_record_done(struct record *rec, bool ok);

/* --- root_facts.c: what is told of it --- */

/* Nothing more is done for it here: tell who listens. Not complete: it was dropped, or the shard stops. */
void root_tell(const struct root *r, bool is_complete);

/* --- early.c: records that are worked on while they come --- */

/* The step sends the value along the edge at last: if its reader has begun with it, it goes on. False: it has not. */
bool early_finish(struct step *s, uint16_t edge, struct expr_value value);
/* The step sends no more: whoever has begun with something that never came is done with it. */
void early_end(struct step *s, bool ok);

/* --- meta.c --- */

/* What programs read as $meta while they work on the record. Borrows it. */
struct expr_value record_meta(struct record *rec);

/* --- emit.c --- */

/* Is the effect in the journal: did a former run bring it about? */
bool root_has_effect(const struct root *r, struct journal_id id);
/* Records for a sink, whose turn it is. */
void emitter_add(struct emitter *e, struct record *r);
/* Let it look again whether to wait for more. */
void emitter_wake(struct emitter *e);
/* Forget the records of a root that is dropped. */
void emitter_forget(struct emitter *e, const struct root *r);
/* Make the sink ready, and settle what a crash has left there: before roots are begun again. */
err_t emitter_open(struct emitter *e) SUSPENDS MUST_CHECK;
/* Apply what comes, until cancelled. E_FENCED. */
err_t emitter_run(void *emitter) SUSPENDS;
void emitter_close(struct emitter *e) SUSPENDS;

/* --- call.c --- */

/* A record for a node that calls. */
void caller_add(struct caller *c, struct record *r);
/* Forget the records of a root that is dropped: whoever is asked for one of them is not waited for any more. */
void caller_forget(struct caller *c, const struct root *r);
/* What an item is called in the journal: its node, and its record's id. In the root's arena. */
struct str step_item(const struct step *s);
/* What an item of that name yielded in a former run; NULL: nothing is known of it. */
const struct recorded *root_recorded(const struct root *r, struct str item);
/* Take the outputs that a former run recorded; false: there are none. */
err_t step_recall(struct step *s, bool *ret_any) MUST_CHECK;
/* Let the outputs be recorded: an operation more to be committed with them. */
err_t step_record(struct step *s) MUST_CHECK;
/* They are final: send them. */
err_t step_send_kept(struct step *s) MUST_CHECK;
/* Commit this with the outputs; what it points to lives as long as the root. */
void step_commit_beside(struct step *s, const struct journal_op *op);
/* What the file says is to be done when the node fails; OK: it is made good. */
err_t step_make_good(struct step *s, err_t e) MUST_CHECK;
/* Keep an output of a node until it has succeeded; target < 0: for all. */
err_t step_keep(struct step *s, int64_t target, struct expr_value value) MUST_CHECK;
/* What is kept, as JSON: [[target, value], …, note]; the note is an object, and there need not be one. E_TOO_LARGE past the buf's maximum. */
err_t step_print_kept(const struct step *s, struct buf *to) MUST_CHECK;

/* --- timers.c: what waits for an instant --- */

/* A record for a node where records wait: it is worked on when its time has come. */
void waiting_add(struct record *r);
/* The first record is at a join that has no patience for ever. */
void join_wait_begin(struct root *r, uint16_t node);
/* Work on what is due, until cancelled. */
err_t timers_run(void *shard) SUSPENDS;
/* How many records of the root wait. */
size_t timers_waiting(const struct root *r) PURE;
/* Note what is left of the patience of the shard's joins, so that the next run has no more. */
void timers_note(struct shard *s);
/* When the first of all in the shard has to go on, by the loop's clock; NS_NEVER: nothing waits. */
ns_t timers_next(const struct shard *s);
/* The root goes: nothing of it waits any more. */
void timers_drop(struct root *r);
/* The shard stops: nothing fires any more. */
void timers_stop(struct shard *s);

/* --- memory.c: what nodes remember --- */

/* Read what they remembered. */
err_t memories_load(struct shard *s) SUSPENDS MUST_CHECK;
void memories_free(struct shard *s);

/* --- shard.c --- */

struct emitter *shard_emitter(struct shard *s, uint16_t node);
/* Made when it is asked for, on the shard's loop. */
struct web *shard_web(struct shard *s);
/* The root is complete: the journal is told, and it goes. */
void shard_complete(struct root *r);
/* The record could not be worked on: it becomes a dead letter. Takes the words from the current error. */
void shard_dead_letter(const struct record *rec, err_t cause);
/* What has passed since an instant of the wall clock, nanoseconds since 1970: nothing if that is to come; at most half of NS_NEVER. */
ns_t wall_passed(int64_t since);
/* What is left until such an instant; 0: it has passed. */
ns_t wall_left(int64_t until);
/* As journal_commit(), but a disk that refuses is waited for. */
err_t shard_commit(struct shard *s, struct journal_op *ops, size_t n) SUSPENDS MUST_CHECK;
/* The same, of what may be done again after a crash where the file says `journal: async`: nobody waits for the disk then, and outcomes are not told. */
err_t shard_commit_step(struct shard *s, struct journal_op *ops, size_t n) SUSPENDS MUST_CHECK;

/* --- intake.c --- */

/* Begin again what was taken in from the source, or the node that absorbs, and is not complete. Of a source that is shared, only in a version that finishes all of it: else each partition as it is claimed. */
err_t intake_resume(struct intake *in) SUSPENDS MUST_CHECK;
/* A root of the partition is gone. */
void partition_give(struct partition *p);
/* Something of it is done with: whoever waits for all of it (intake_settled()) looks again. */
void intake_wake(struct intake *in);
/* The sources are to end: nobody waits for what is under way any more. */
void intake_cut(struct shard *s);
/* When no root is left. */
void intake_free(struct intake *in);
/*
 * Begin a root again that the journal has, with what a former run has done of it. The record is of JOURNAL_ROOT. Nothing happens if it is for another
 * version's shard; if it is not due yet it is begun then. The arena is for what is needed meanwhile.
 */
err_t intake_begin_again(struct intake *in, const struct journal_record *root, struct arena *arena) SUSPENDS MUST_CHECK;
/* Begin a root that the journal has just been given. What cannot be begun becomes a dead letter. */
err_t intake_take_in(struct partition *p, const struct journal_record *r) SUSPENDS MUST_CHECK;
/* A partition that is not shared, which is ours from now on at the latest. */
err_t intake_own(struct intake *in, uint32_t number, struct partition **ret) SUSPENDS MUST_CHECK;
/* Is the partition ours, as it was when we had claimed it in that epoch? */
bool intake_has(const struct intake *in, uint32_t partition, uint64_t epoch);
/* Is a root of that partition this shard's to begin? Where nobody else reads the source, also if nothing of the partition has come yet. */
bool intake_takes(const struct intake *in, uint32_t partition);
/* Is it under way here? Linear. */
bool shard_has_root(const struct shard *s, struct journal_id id);

/* --- divide.c --- */

/* A partition was claimed: do as many shards divide the source as we think? E_CONFLICT: not any more. OK where that does not matter. */
err_t intake_check_divided(const struct intake *in) SUSPENDS MUST_CHECK;

/* --- replay.c --- */

struct replays *replays_new(void);
/* NULL is allowed. */
void replays_free(struct replays *q);
/* How many wait for their time, or are being begun. */
size_t replays_count(const struct replays *q) PURE;
/* Begin the root again when it is due. Does nothing if the partition is not ours any more then. */
void replay_later(const struct partition *p, const struct journal_record *root);
/* Those of the partition are somebody else's. */
void replay_forget(const struct partition *p);
/* There is a suspect that nobody starts (suspect.h): let replay_run() do that. */
void replay_wake(struct replays *q);
/* Begin them, each at its time, until cancelled; none any more while the shard is drained. */
err_t replay_run(void *shard) SUSPENDS;

#endif
