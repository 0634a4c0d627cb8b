/*
 * answer.h - what a simulated model says to a question: texts, tool calls, structured output. Pure.
 *
 * A function of (question, seed, length): the same question gets the same answer, whatever came before it.
 */
#ifndef SIM_ANSWER_H
#define SIM_ANSWER_H

#include "sim/question.h"

enum sim_finish { SIM_STOP, SIM_LENGTH, SIM_TOOL_CALLS, SIM_FUNCTION_CALL };

struct sim_call {
    struct str name;
    struct str arguments; /* JSON text, or free text of a custom tool */
    bool custom;
};

struct sim_choice {
    struct str text; /* empty if it calls tools */
    struct sim_call *calls;
    size_t call_count;
    struct str thoughts; /* text of the reasoning, if the question wants it */
    struct str stop;     /* the stop sequence that ended the text; p == NULL: none did */
    enum sim_finish finish;
    size_t tokens; /* of text or calls */
};

struct sim_answer {
    struct sim_choice *choices; /* as many as the question asked for */
    size_t count;
    size_t reasoning_tokens; /* of all choices                    */
    size_t tokens;           /* of all choices, reasoning included */
};

/*
 * Answer.
 *
 * length  tokens of a text answer, before limits cut it
 *
 * E_TOO_LARGE if a JSON Schema asks for too much, or over the arena's maximum.
 */
err_t sim_answer_make(struct arena *a, const struct question *q, uint64_t seed, size_t length, struct sim_answer *ret)
    MUST_CHECK;

/* "stop" and so on. Static. */
struct str sim_finish_name(enum sim_finish f);

#endif
