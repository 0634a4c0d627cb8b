/* error.c - classes of errors and HTTP statuses, both ways. */
#include "llm/error.h"

enum error_class error_class_of_status(int status)
{
    switch (status) {
    case 401:
        return ERROR_AUTH;
    case 402:
        return ERROR_QUOTA;
    case 403:
        return ERROR_FORBIDDEN;
    case 404:
        return ERROR_NOT_FOUND;
    case 408:
    case 504:
        return ERROR_TIMEOUT;
    case 409:
        return ERROR_CONFLICT;
    case 413:
        return ERROR_TOO_LARGE;
    case 422:
        return ERROR_UNPROCESSABLE;
    case 429:
        return ERROR_RATE_LIMIT;
    case 503:
    case 529:
        return ERROR_OVERLOADED;
    default:
        return status >= 400 && status <= 499 ? ERROR_BAD_REQUEST : ERROR_UPSTREAM;
    }
}

enum error_class error_class_of(const struct api_error *e)
{
    return e->error_class != ERROR_BY_STATUS ? e->error_class : error_class_of_status(e->status);
}

bool error_is_of_provider(enum error_class c)
{
    switch (c) {
    case ERROR_AUTH:
    case ERROR_QUOTA:
    case ERROR_FORBIDDEN:
    case ERROR_NOT_FOUND:
    case ERROR_CONFLICT:
    case ERROR_RATE_LIMIT:
    case ERROR_UPSTREAM:
    case ERROR_OVERLOADED:
    case ERROR_TIMEOUT:
        return true;
    case ERROR_BY_STATUS:
    case ERROR_BAD_REQUEST:
    case ERROR_CONTEXT_LENGTH:
    case ERROR_CONTENT_POLICY:
    case ERROR_TOO_LARGE:
    case ERROR_UNPROCESSABLE:
    case ERROR_CLASSES:
        break;
    }
    return false;
}

int error_status_of(enum error_class c)
{
    switch (c) {
    case ERROR_BAD_REQUEST:
    case ERROR_CONTEXT_LENGTH:
    case ERROR_CONTENT_POLICY:
        return 400;
    case ERROR_AUTH:
        return 401;
    case ERROR_QUOTA:
    case ERROR_RATE_LIMIT:
        return 429;
    case ERROR_FORBIDDEN:
        return 403;
    case ERROR_NOT_FOUND:
        return 404;
    case ERROR_CONFLICT:
        return 409;
    case ERROR_TOO_LARGE:
        return 413;
    case ERROR_UNPROCESSABLE:
        return 422;
    case ERROR_OVERLOADED:
        return 503;
    case ERROR_TIMEOUT:
        return 504;
    case ERROR_BY_STATUS:
    case ERROR_UPSTREAM:
    case ERROR_CLASSES:
        break;
    }
    return 502;
}
