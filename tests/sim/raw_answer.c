/*
 * raw_answer.c - answers read from a socket through the parser, and nothing else: no pool, no retry, no decoding.
 */
#include "sim/raw_answer.h"

#include "base/mem.h"
#include "sim/world.h"

struct raw_answer *raw_answer_new(void)
{
    struct raw_answer *a = NEW(struct raw_answer);

    arena_init(&a->arena, 1 << 20);
    buf_init(&a->body, RAW_ANSWER_MAX);
    http1_init(&a->parser, HTTP1_RESPONSE, NULL);
    return a;
}

void raw_answer_free_p(struct raw_answer **a)
{
    arena_release(&(*a)->arena);
    buf_release(&(*a)->body);
    mem_free(*a);
}

err_t raw_answer_read(struct sock *s, struct raw_answer *a)
{
    struct str piece;

    arena_clear(&a->arena);
    buf_clear(&a->body);
    http1_begin(&a->parser, &a->arena, &a->head);
    for (;;) {
        size_t n;
        switch (http1_next(&a->parser, &a->in, &piece)) {
        case HTTP1_MORE:
            TRY(sock_read(s, a->bytes, sizeof a->bytes, &n));
            if (!n)
                return fail(E_EOF, "closed");
            a->in = str_of(a->bytes, n);
            break;
        case HTTP1_HEAD:
            break;
        case HTTP1_BODY:
            TRY(buf_add(&a->body, piece));
            break;
        case HTTP1_END:
            return OK;
        case HTTP1_ERROR:
            (void)EXPECT(false, "not HTTP: %s", a->parser.error_text);
            return fail(E_PROTOCOL, "%s", a->parser.error_text);
        }
    }
}

struct str raw_answer_trailer(const struct raw_answer *a, struct str name)
{
    size_t count;
    const struct http_header *fields = http1_trailers(&a->parser, &count);

    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(fields[i].name, name))
            return fields[i].value;
    return STR_NONE;
}
