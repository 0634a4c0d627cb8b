/*
 * pieces.h - an answer cut into the pieces that a stream brings, in their order. Pure.
 *
 * Whoever writes a stream asks for the next piece and puts it into the words of its dialect. First comes the role of each choice; then
 * the choices take turns, one token each, thoughts before texts; a choice ends with its finish. Where thoughts have no text, the role
 * counts for them.
 */
#ifndef SIM_PIECES_H
#define SIM_PIECES_H

#include "sim/answer.h"

enum sim_piece_kind {
    PIECE_ROLE,
    PIECE_THOUGHT,   /* a token of what the model thinks                             */
    PIECE_TEXT,      /* a token of the answer                                        */
    PIECE_CALL,      /* a tool call begins; with whole_calls it is all there         */
    PIECE_ARGUMENTS, /* a token of its arguments                                     */
    PIECE_FINISH     /* the choice is complete                                       */
};

struct sim_piece {
    enum sim_piece_kind kind;
    size_t choice, call;
    struct str text; /* of thoughts, texts and arguments               */
    size_t tokens;   /* that it counts for                             */
    bool last;       /* the answer's last piece                        */
};

struct sim_pieces {
    const struct sim_answer *answer;
    bool whole_calls;        /* no PIECE_ARGUMENTS                                        */
    size_t turn, unfinished; /* private, as is what follows                               */
    bool begun;
    struct sim_progress *progress;
};

/* Begin. Borrows the answer. */
void sim_pieces_init(struct sim_pieces *p, struct arena *a, const struct sim_answer *answer, bool whole_calls);
/* The next piece; false at the end. */
bool sim_pieces_next(struct sim_pieces *p, struct sim_piece *ret);

#endif
