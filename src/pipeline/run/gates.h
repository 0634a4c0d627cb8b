/*
 * gates.h - records that wait for people: who waits, and what is decided. For whoever shows them to people; needs the journal and nothing else.
 *
 * A record at a gate is a root of its own, which begins when it is decided: by as many people as the gate wants, by one who refuses, or by time. The first
 * decision stands. The pipeline sees it within a second, on whichever loop it runs.
 */
#ifndef PIPELINE_GATES_H
#define PIPELINE_GATES_H

#include "pipeline/run/keeper.h"
#include "store/journal.h"

enum {
    GATE_WHO_MAX = 64,  /* bytes of a name         */
    GATE_WHY_MAX = 120, /* bytes of a reason; what is longer is cut */
};

/* As the journal has them: they never change. */
enum gate_verdict { GATE_OPEN, GATE_APPROVED, GATE_REJECTED, GATE_EXPIRED };

struct gate {
    struct journal_id id;
    struct str pipeline, node, channel;
    struct str show;    /* JSON: what people are to see              */
    unsigned approvals; /* so many different people must agree       */
    int64_t due;        /* it expires then, nanoseconds since 1970   */
    enum gate_verdict verdict;
    struct str who, why; /* of a decision by people              */
    uint32_t shard;
};

struct gate_page {
    struct gate *gates;
    size_t count;
    uint64_t next; /* for the next page; 0: that was all */
};

/*
 * Gates that are not decided, of one pipeline or of all (STR_NONE), at most `limit` of them (0: as journal_read()).
 *
 * Suspends. All texts are in the arena. Errors: journal_read()'s.
 */
err_t gate_list(struct journal *j, struct str pipeline, uint64_t after, unsigned limit, struct arena *arena,
                struct gate_page *ret) SUSPENDS MUST_CHECK;
/* One gate, decided or not, as long as its root is there. Likewise; E_NOT_FOUND. */
err_t gate_find(struct journal *j, const struct journal_id *id, struct arena *arena, struct gate *ret) SUSPENDS
MUST_CHECK;

/* What somebody says of a gate. */
struct gate_vote {
    struct journal_id id;
    bool approves;
    struct str who;     /* not empty */
    struct str why;     /* may be */
    struct str changed; /* JSON: what goes on instead of the record, if this vote decides; empty: nothing */
};
/*
 * Take a vote. *ret: what stands afterwards, GATE_OPEN if further people must agree; a gate that was decided before stays so.
 * A vote that is given again counts once.
 *
 * Suspends. Errors: E_NOT_FOUND; E_PARSE: `changed` is no JSON, or `who` is empty or too long; journal_commit()'s.
 */
err_t gate_vote(struct journal *j, const struct gate_vote *v, enum gate_verdict *ret) SUSPENDS MUST_CHECK;

/* A gate's id as 32 hexadecimal digits, and back. */
void gate_id_print(const struct journal_id *id, char to[32]);
bool gate_id_parse(struct str text, struct journal_id *ret) MUST_CHECK;

/* --- for node/gate.c --- */

struct gate_rules {
    struct str channel;
    const struct expr *show;
    ns_t expires;
    unsigned approvals;
};
extern const struct absorb_run gates_run;
/* What was decided of the root that this record begins. */
enum gate_verdict step_verdict(const struct step *s);

#endif
