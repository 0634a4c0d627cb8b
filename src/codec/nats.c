/*
 * nats.c - lines that end with CR LF; those of messages say how many bytes follow.
 *
 * A frame is looked for from its beginning each time: lines are short, and payloads are counted, not searched.
 */
#include "codec/nats.h"

enum { WORDS_MAX = 5 };

static const struct str line_end = STR_INIT("\r\n");

/* Words of a line, divided by blanks and tabs. More than WORDS_MAX: one too many is told. */
static size_t split(struct str line, struct str words[WORDS_MAX + 1])
{
    size_t n = 0;

    while (n <= WORDS_MAX) {
        while (line.n && (*line.p == ' ' || *line.p == '\t'))
            line = str_slice(line, 1, line.n);
        if (!line.n)
            break;
        size_t end = 0;
        while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
            end++;
        words[n++] = str_slice(line, 0, end);
        line = str_slice(line, end, line.n);
    }
    return n;
}

static err_t malformed(void)
{
    return fail(E_PARSE, "this is not what a NATS server says");
}

/* MSG subject sid [reply] bytes; HMSG subject sid [reply] bytes-of-headers bytes. `at`: where the line's end ends. */
static err_t read_message(struct str bytes, size_t at, struct str line, bool has_headers, size_t max,
                          struct nats_frame *ret, size_t *ret_n)
{
    struct str words[WORDS_MAX + 1];
    size_t n = split(line, words), least = has_headers ? 4 : 3;
    uint64_t headers = 0, all;

    if (n != least && n != least + 1)
        return malformed();
    *ret = (struct nats_frame){.kind = NATS_MESSAGE, .subject = words[0]};
    if (n > least)
        ret->reply = words[2];
    if (!str_to_u64(words[1], UINT64_MAX, &ret->subscription) || !str_to_u64(words[n - 1], SIZE_MAX / 4, &all) ||
        (has_headers && (!str_to_u64(words[n - 2], all, &headers) || headers == 0)))
        return malformed();
    if (all > max)
        return fail(E_TOO_LARGE, "a message of %zu bytes", (size_t)all);
    if (bytes.n - at < all + line_end.n)
        return E_AGAIN;
    if (!str_eq(str_slice(bytes, at + all, at + all + line_end.n), line_end))
        return malformed();
    ret->headers = str_slice(bytes, at, at + headers);
    ret->payload = str_slice(bytes, at + headers, at + all);
    *ret_n = at + all + line_end.n;
    return OK;
}

err_t nats_frame_next(struct str bytes, size_t max, struct nats_frame *ret, size_t *ret_n)
{
    static const struct {
        struct str word;
        enum nats_kind kind;
    } known[] = {{STR_INIT("INFO"), NATS_INFO},   {STR_INIT("PING"), NATS_PING},  {STR_INIT("PONG"), NATS_PONG},
                 {STR_INIT("+OK"), NATS_OK},      {STR_INIT("-ERR"), NATS_ERROR}, {STR_INIT("MSG"), NATS_MESSAGE},
                 {STR_INIT("HMSG"), NATS_MESSAGE}};
    size_t end = str_find(str_slice(bytes, 0, NATS_LINE_MAX), line_end);

    if (end >= NATS_LINE_MAX - 1)
        return fail(E_TOO_LARGE, "a line of more than %d bytes", NATS_LINE_MAX);
    if (end == bytes.n)
        return E_AGAIN;
    struct str line = str_slice(bytes, 0, end);
    size_t word = 0;
    while (word < line.n && line.p[word] != ' ' && line.p[word] != '\t')
        word++;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_eq_nocase(str_slice(line, 0, word), known[i].word))
            continue;
        struct str rest = str_trim(str_slice(line, word, line.n));
        if (known[i].kind == NATS_MESSAGE)
            return read_message(bytes, end + line_end.n, rest, known[i].word.n == 4, max, ret, ret_n);
        *ret = (struct nats_frame){.kind = known[i].kind, .text = rest};
        *ret_n = end + line_end.n;
        return OK;
    }
    return malformed();
}

/* ---- headers ---- */

/* The next line; false at the empty one that ends them. */
static bool next_line(struct str *rest, struct str *ret)
{
    size_t end = str_find(*rest, line_end);

    *ret = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end + line_end.n, rest->n);
    return ret->n > 0;
}

unsigned nats_status(struct str headers)
{
    enum { CODE = 3 };
    struct str line, version;
    uint64_t code;

    if (!next_line(&headers, &line))
        return 0;
    version = str_cut(&line, ' ');
    (void)version;
    return line.p && str_to_u64(str_slice(str_trim(line), 0, CODE), UINT32_MAX, &code) ? (unsigned)code : 0;
}

struct str nats_header(struct str headers, struct str name)
{
    struct str line;

    (void)next_line(&headers, &line);
    while (next_line(&headers, &line)) {
        struct str value = line, key = str_cut(&value, ':');
        if (value.p && str_eq(key, name))
            return str_trim(value);
    }
    return STR_NONE;
}

err_t nats_header_add(struct buf *to, struct str name, struct str value)
{
    if (to->n == 0)
        TRY(buf_add_lit(to, "NATS/1.0\r\n"));
    return buf_addf(to, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
}

err_t nats_header_end(struct buf *to)
{
    return buf_add(to, line_end);
}

/* ---- messages ---- */

bool nats_subject_is_plain(struct str subject)
{
    bool is_begin = true; /* of a token */

    for (size_t i = 0; i < subject.n; i++) {
        unsigned char c = (unsigned char)subject.p[i];
        if (c <= ' ' || c == 0x7f || c == '*' || c == '>' || (c == '.' && is_begin))
            return false;
        is_begin = c == '.';
    }
    return !is_begin && subject.n <= NATS_SUBJECT_MAX;
}

err_t nats_write_publish(struct buf *to, struct str subject, struct str reply, struct str headers, struct str payload)
{
    enum { OVERHEAD = 64 };
    size_t need = subject.n + reply.n + headers.n + payload.n + OVERHEAD;

    if (!buf_reserve(to, need))
        return fail(E_TOO_LARGE, "a message of %zu bytes", payload.n);
    TRY(buf_addf(to, "%s %.*s %.*s%s", headers.n ? "HPUB" : "PUB", STR_ARG(subject), STR_ARG(reply),
                 reply.n ? " " : ""));
    if (headers.n)
        TRY(buf_addf(to, "%zu ", headers.n));
    TRY(buf_addf(to, "%zu\r\n", headers.n + payload.n));
    TRY(buf_add(to, headers));
    TRY(buf_add(to, payload));
    return buf_add(to, line_end);
}
