/* message.c - the bytes that a message is in the journal. A layout that was released stays readable: its number is BODY_MESSAGE. */
#include "pipeline/run/message.h"

#include "base/bytes.h"

/* The version that takes it in, its time, how many bytes its key and its headers have; then these, and the body. A header is two lengths and two texts. */
enum { PACKED_VERSION = 0, PACKED_AT = 8, PACKED_KEY = 16, PACKED_HEADERS = 20, PACKED_HEAD = 24, HEADER_HEAD = 8 };
static const uint32_t ABSENT = UINT32_MAX;

static uint32_t length_of(struct str s)
{
    return s.p ? (uint32_t)s.n : ABSENT;
}

static size_t headers_size(const struct message *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->header_count; i++)
        n += HEADER_HEAD + m->headers[i].name.n + m->headers[i].value.n;
    return n;
}

err_t message_check(const struct message *m)
{
    if (m->header_count > MESSAGE_HEADERS_MAX)
        return fail(E_TOO_LARGE, "a message has more than %d headers", MESSAGE_HEADERS_MAX);
    size_t headers = headers_size(m);
    if (headers > MESSAGE_HEADER_BYTES_MAX)
        return fail(E_TOO_LARGE, "the headers of a message have more than %d bytes", MESSAGE_HEADER_BYTES_MAX);
    if (m->body.n > JOURNAL_BODY_MAX || PACKED_HEAD + headers + m->key.n > JOURNAL_BODY_MAX - m->body.n)
        return fail(E_TOO_LARGE, "a message has more than %d bytes", JOURNAL_BODY_MAX);
    return OK;
}

static err_t pack_header(const struct message_header *h, struct buf *to)
{
    char head[HEADER_HEAD];

    be32_put(head, (uint32_t)h->name.n);
    be32_put(head + 4, length_of(h->value));
    TRY(buf_add(to, str_of(head, sizeof head)));
    TRY(buf_add(to, h->name));
    return buf_add(to, h->value);
}

err_t message_pack(const struct message *m, uint64_t version, struct buf *to)
{
    char head[PACKED_HEAD];

    be64_put(head + PACKED_VERSION, version);
    be64_put(head + PACKED_AT, (uint64_t)m->at);
    be32_put(head + PACKED_KEY, length_of(m->key));
    be32_put(head + PACKED_HEADERS, (uint32_t)headers_size(m));
    TRY(buf_add(to, str_of(head, sizeof head)));
    TRY(buf_add(to, m->key));
    for (size_t i = 0; i < m->header_count; i++)
        TRY(pack_header(&m->headers[i], to));
    return buf_add(to, m->body);
}

uint64_t message_version(struct str packed)
{
    return packed.n >= PACKED_HEAD ? be64_get(packed.p + PACKED_VERSION) : 0;
}

bool header_next(struct str *rest, struct message_header *ret)
{
    if (rest->n < HEADER_HEAD)
        return false;
    size_t name = be32_get(rest->p), value = be32_get(rest->p + 4), behind = rest->n - HEADER_HEAD;
    bool is_absent = value == ABSENT;

    value = is_absent ? 0 : value;
    if (name > behind || value > behind - name)
        return false;
    ret->name = str_slice(*rest, HEADER_HEAD, HEADER_HEAD + name);
    ret->value = is_absent ? STR_NONE : str_slice(*rest, HEADER_HEAD + name, HEADER_HEAD + name + value);
    *rest = str_slice(*rest, HEADER_HEAD + name + value, rest->n);
    return true;
}

err_t message_unpack(struct str packed, struct packed *ret)
{
    if (packed.n < PACKED_HEAD)
        return fail(E_PARSE, "a message in the journal is too short");
    uint32_t key = be32_get(packed.p + PACKED_KEY);
    size_t key_bytes = key == ABSENT ? 0 : key, headers = be32_get(packed.p + PACKED_HEADERS);
    struct str behind = str_slice(packed, PACKED_HEAD, packed.n);
    if (key_bytes > behind.n || headers > behind.n - key_bytes)
        return fail(E_PARSE, "a message in the journal is cut off");
    *ret = (struct packed){.at = (int64_t)be64_get(packed.p + PACKED_AT),
                           .key = key == ABSENT ? STR_NONE : str_slice(behind, 0, key_bytes),
                           .headers = str_slice(behind, key_bytes, key_bytes + headers),
                           .body = str_slice(behind, key_bytes + headers, behind.n)};
    return OK;
}
