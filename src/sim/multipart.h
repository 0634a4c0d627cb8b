/*
 * multipart.h - multipart/form-data (RFC 7578): cuts a whole body into its parts. Pure; nothing is copied.
 *
 *     struct multipart m;
 *     struct multipart_part part;
 *     if (!multipart_open(&m, content_type, body)) ...
 *     while ((r = multipart_next(&m, &part)) == MULTIPART_PART) ...
 *     if (r == MULTIPART_ERROR) ...
 */
#ifndef SIM_MULTIPART_H
#define SIM_MULTIPART_H

#include "base/str.h"

#include <stdbool.h>

enum multipart_result { MULTIPART_PART, MULTIPART_END, MULTIPART_ERROR };

struct multipart {
    struct str boundary;
    struct str rest; /* behind the last boundary line's dashes and text */
    bool at_end;
};

struct multipart_part {
    struct str name;     /* of the field; quotes taken off, escapes left                    */
    struct str filename; /* p == NULL: none                                                 */
    struct str type;     /* content type; p == NULL: none                                   */
    struct str body;
};

/* Find the boundary in the content-type header and the first part. False if it is no multipart/form-data, or has no boundary
 * line. All strings are borrowed. */
bool multipart_open(struct multipart *m, struct str content_type, struct str body) MUST_CHECK;
enum multipart_result multipart_next(struct multipart *m, struct multipart_part *ret);

#endif
