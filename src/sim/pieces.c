/*
 * pieces.c - walks through an answer.
 *
 * Invariant: the tokens of all pieces add up to those of the answer, whichever way it is cut.
 */
#include "sim/pieces.h"

#include "sim/text.h"

/* How far a choice has come. */
struct sim_progress {
    struct str thought, rest; /* not given yet: of the thoughts; of the text, or of the current call's arguments */
    size_t call;
    bool call_open, finished;
};

void sim_pieces_init(struct sim_pieces *p, struct arena *a, const struct sim_answer *answer, bool whole_calls)
{
    *p = (struct sim_pieces){.answer = answer,
                             .whole_calls = whole_calls,
                             .unfinished = answer->count,
                             .progress = arena_zalloc(a, answer->count * sizeof(*p->progress))};
    for (size_t i = 0; i < answer->count; i++)
        p->progress[i] = (struct sim_progress){.thought = answer->choices[i].thoughts, .rest = answer->choices[i].text};
}

static void give_role(struct sim_pieces *p, struct sim_piece *ret)
{
    *ret = (struct sim_piece){.kind = PIECE_ROLE, .choice = p->turn++};
    if (p->answer->choices[ret->choice].thoughts.n == 0)
        ret->tokens = p->answer->reasoning_tokens / p->answer->count;
    if (p->turn == p->answer->count) {
        p->turn = 0;
        p->begun = true;
    }
}

static void give_call(struct sim_pieces *p, struct sim_progress *at, struct sim_piece *ret)
{
    const struct sim_call *c = &p->answer->choices[ret->choice].calls[at->call];

    ret->kind = PIECE_CALL;
    ret->call = at->call;
    ret->tokens = sim_tokens(c->name);
    at->call_open = true;
    at->rest = c->arguments;
    if (p->whole_calls) {
        ret->tokens += sim_tokens(c->arguments);
        at->rest = STR("");
    }
}

static void give_token(struct sim_progress *at, enum sim_piece_kind kind, struct str *from, struct sim_piece *ret)
{
    ret->kind = kind;
    ret->call = at->call;
    ret->text = sim_token_cut(from);
    ret->tokens = 1;
}

static void give_body(struct sim_pieces *p, struct sim_progress *at, struct sim_piece *ret)
{
    const struct sim_choice *c = &p->answer->choices[ret->choice];

    if (at->call_open && at->rest.n == 0) {
        at->call_open = false;
        at->call++;
    }
    if (at->thought.n > 0) {
        give_token(at, PIECE_THOUGHT, &at->thought, ret);
    } else if (at->rest.n > 0) {
        give_token(at, c->call_count > 0 ? PIECE_ARGUMENTS : PIECE_TEXT, &at->rest, ret);
    } else if (at->call < c->call_count) {
        give_call(p, at, ret);
    } else {
        ret->kind = PIECE_FINISH;
        ret->last = --p->unfinished == 0;
        at->finished = true;
    }
}

bool sim_pieces_next(struct sim_pieces *p, struct sim_piece *ret)
{
    if (!p->begun) {
        give_role(p, ret);
        return true;
    }
    if (p->unfinished == 0)
        return false;
    while (p->progress[p->turn].finished)
        p->turn = (p->turn + 1) % p->answer->count;
    *ret = (struct sim_piece){.choice = p->turn};
    give_body(p, &p->progress[p->turn], ret);
    p->turn = (p->turn + 1) % p->answer->count;
    return true;
}
