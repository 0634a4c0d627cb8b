/* facts.c - names of what facts tell. */
#include "observe/facts.h"

#include "base/attr.h"

const char *attempt_role_name(enum attempt_role r)
{
    static const char *const names[ATTEMPT_ROLES] = {
        [ROLE_FIRST] = "first",       [ROLE_RETRY] = "retry", [ROLE_ELSEWHERE] = "elsewhere",
        [ROLE_FALLBACK] = "fallback", [ROLE_HEDGE] = "hedge", [ROLE_CONTINUATION] = "continuation",
        [ROLE_SHADOW] = "shadow",     [ROLE_PROBE] = "probe",
    };

    return (unsigned)r < ATTEMPT_ROLES ? names[r] : "?";
}

const char *root_outcome_name(enum root_outcome o)
{
    static const char *const names[ROOT_OUTCOMES] = {
        [OUTCOME_DONE] = "done", [OUTCOME_DEAD] = "dead", [OUTCOME_LATE] = "late", [OUTCOME_CANCELLED] = "cancelled"};

    return (unsigned)o < ROOT_OUTCOMES ? names[o] : "?";
}
