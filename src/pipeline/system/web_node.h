/* web_node.h - what nodes and sinks that speak HTTP have in common: headers with expressions, and a question made of a record. */
#ifndef PIPELINE_WEB_NODE_H
#define PIPELINE_WEB_NODE_H

#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/web.h"

/* A header of the file. */
struct web_header {
    struct str name;
    struct schema_text value;
    const struct template *text; /* set by web_build_headers() */
};
/* The item of a SCHEMA_MAP of them. */
extern const struct schema_field web_header_value;

void web_build_headers(struct pipeline_build *b, struct pipeline_node *n, struct web_header *headers, size_t count);

enum { WEB_HEADERS_OWN = 2 }; /* room for so many more */

/*
 * A question for the record: its URL, its headers, and as its body `body` of the record (NULL: the record) unless the method has none. If the root has a
 * deadline that has not passed, `x-crossdock-timeout` tells what is left of it, unless the file sets that header. In the root's arena; further headers may
 * be added, up to WEB_HEADERS_OWN. Errors of step_eval() and step_render().
 */
err_t web_make_question(struct step *s, struct str method, const struct template *url, const struct web_header *headers,
                        size_t count, const struct expr *body, struct web_question *ret) MUST_CHECK;
/* The value of `body` for the record (NULL: the record) as JSON, in the root's arena. Likewise. */
err_t web_make_body(struct step *s, const struct expr *body, struct str *ret) MUST_CHECK;
/* Add a header of ours to what web_make_question() made. */
void web_add_header(struct web_question *q, struct str name, struct str value);
/* The body is of that media type, unless the file says otherwise. */
void web_set_type(struct web_question *q, struct str type);

#endif
