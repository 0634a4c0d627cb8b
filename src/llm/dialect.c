/* dialect.c - finding a dialect by name, and what else is the same in all of them. The catalog itself is generated from the files in llm/dialect/. */
#include "llm/dialect.h"

#include "llm/openai_int.h"

#include <assert.h>

const struct dialect *const dialect_usual = &dialect_openai;

const struct dialect *dialect_find(struct str name)
{
    for (size_t i = 0; i < dialect_catalog_count; i++)
        if (str_eq(str_from_c(dialect_catalog[i]->name), name))
            return dialect_catalog[i];
    return NULL;
}

bool endpoint_streams(const struct endpoint_row *row, bool asked)
{
    switch (row->stream) {
    case STREAM_NEVER:
        return false;
    case STREAM_ALWAYS:
        return true;
    case STREAM_IF_TRUE:
    case STREAM_UNLESS_FALSE:
        break;
    }
    return asked;
}

void call_add_header(struct provider_call *c, struct str name, struct str value)
{
    assert(c->header_count < CALL_HEADERS_MAX);
    c->headers[c->header_count++] = (struct call_header){name, value};
}

void answer_frame_follow(struct answer_frame *f, const struct chat_event *start)
{
    if (!f->follows)
        return;
    if (start->model.n)
        f->model = arena_str(f->arena, start->model);
    if (start->created)
        f->created = start->created;
}
