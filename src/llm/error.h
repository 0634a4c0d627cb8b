/* error.h - an error as a client of any dialect may be told it: what kind it is, and the words. */
#ifndef LLM_ERROR_H
#define LLM_ERROR_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What a client can do about it; each dialect has its own status and name for each. */
enum error_class {
    ERROR_BY_STATUS, /* nothing more is known than the HTTP status */
    ERROR_BAD_REQUEST,
    ERROR_CONTEXT_LENGTH, /* the prompt is longer than the model takes      */
    ERROR_CONTENT_POLICY, /* refused for what it says                       */
    ERROR_AUTH,
    ERROR_QUOTA, /* money or a long-term quota is spent: do not retry */
    ERROR_FORBIDDEN,
    ERROR_NOT_FOUND, /* model or path                                  */
    ERROR_CONFLICT,
    ERROR_TOO_LARGE, /* bytes                                          */
    ERROR_UNPROCESSABLE,
    ERROR_RATE_LIMIT,
    ERROR_UPSTREAM, /* the provider is broken                         */
    ERROR_OVERLOADED,
    ERROR_TIMEOUT,
    ERROR_CLASSES
};

struct api_error {
    int status; /* HTTP; 0: as the class says                                     */
    enum error_class error_class;
    struct str message;     /* for people: what is wrong and what to do                       */
    const char *type;       /* OpenAI's; NULL: derived from class or status                   */
    const char *code;       /* OpenAI's, or a provider's; NULL: derived or null               */
    struct str param;       /* the field at fault, in the client's words; empty: none         */
    int64_t retry_after_ms; /* -1 or 0: not said                                              */
};

/* The class of an HTTP status that says nothing else. */
enum error_class error_class_of_status(int status);
/* The class of `e`: its own, or its status's. Never ERROR_BY_STATUS. */
enum error_class error_class_of(const struct api_error *e);
/* Is it about the provider, its account or its model rather than about the request, so that another provider may do better? */
bool error_is_of_provider(enum error_class c);
/* The status that stands for a class where the dialect has no other: 400, 401, ..., 502. */
int error_status_of(enum error_class c);

#endif
