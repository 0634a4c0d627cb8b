/*
 * resp.c - the Redis serialization protocol.
 *
 * Every value begins with a line: a letter for its kind, and a number or a text. The framer walks over these lines with a count per open
 * aggregate of what it still lacks; it keeps no tree and no memory, so a length that a peer makes up costs nothing before the bytes are
 * there. The parser then knows that all is there, and goes down recursively, at most RESP_DEPTH_MAX deep.
 *
 * Invariant: left[0] is 1 until the reply's own value was begun, and left[d], d > 0, belongs to the aggregate that is open at depth d.
 *
 * Does not: interpret replies, undo attributes (they are skipped), pair pushes with subscriptions.
 */
#include "codec/resp.h"

#include <stdlib.h>
#include <string.h>

enum {
    VALUE_MIN = 3,   /* bytes of the shortest value, "_\r\n" */
    FORMAT_SIZE = 4, /* "txt:" before a verbatim string      */
    NUMBER_MAX = 63, /* characters of a double               */
};

struct line {
    char letter;
    struct str text; /* behind the letter, without the line's end */
    size_t next;     /* where the following line begins           */
};

/* What a value's first line says of the bytes and values behind it. */
struct head {
    struct line line;
    bool has_body;
    bool is_aggregate;
    size_t length; /* of the body, or values in the aggregate */
};

static err_t read_line(struct str bytes, size_t at, size_t *looked, struct line *ret)
{
    size_t from = *looked > at ? *looked : at;

    const char *lf = from < bytes.n ? memchr(bytes.p + from, '\n', bytes.n - from) : NULL;
    if (!lf) {
        *looked = bytes.n;
        return E_AGAIN;
    }
    size_t end = (size_t)(lf - bytes.p);
    if (end < at + 2 || bytes.p[end - 1] != '\r')
        return fail(E_PARSE, "RESP: a line is empty or does not end with CR LF");
    *ret = (struct line){bytes.p[at], str_of(bytes.p + at + 1, end - at - 2), end + 1};
    return OK;
}

static bool read_integer(struct str s, int64_t *ret)
{
    bool is_negative = str_starts(s, STR("-"));
    uint64_t magnitude;

    if (is_negative || str_starts(s, STR("+")))
        s = str_slice(s, 1, s.n);
    if (!str_to_u64(s, (uint64_t)INT64_MAX + is_negative, &magnitude))
        return false;
    *ret = is_negative ? (int64_t)-magnitude : (int64_t)magnitude;
    return true;
}

static bool read_double(struct str s, double *ret)
{
    char text[NUMBER_MAX + 1], *end;

    if (s.n == 0 || s.n > NUMBER_MAX || str_find_char(s, 'x') < s.n || s.p[0] == ' ')
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *ret = strtod(text, &end);
    return end == text + s.n;
}

static bool is_digits(struct str s)
{
    if (str_starts(s, STR("-")) || str_starts(s, STR("+")))
        s = str_slice(s, 1, s.n);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

static err_t read_length(struct head *h, bool may_be_null, size_t each)
{
    uint64_t length;

    if (may_be_null && str_eq(h->line.text, STR("-1"))) {
        h->has_body = h->is_aggregate = false;
        return OK;
    }
    if (!str_to_u64(h->line.text, SIZE_MAX / 8, &length))
        return fail(E_PARSE, "RESP: '%c' without a length", h->line.letter);
    h->length = (size_t)length * each;
    return OK;
}

static err_t check_plain(const struct line *l)
{
    int64_t integer;
    double number;
    bool is_good = false;

    if (l->letter == '+' || l->letter == '-')
        is_good = str_find_char(l->text, '\r') == l->text.n;
    else if (l->letter == ':')
        is_good = read_integer(l->text, &integer);
    else if (l->letter == ',')
        is_good = read_double(l->text, &number);
    else if (l->letter == '(')
        is_good = is_digits(l->text);
    else if (l->letter == '#')
        is_good = str_eq(l->text, STR("t")) || str_eq(l->text, STR("f"));
    else if (l->letter == '_')
        is_good = l->text.n == 0;
    if (!is_good)
        return fail(E_PARSE, "RESP: no value that begins with byte 0x%02x like this", (unsigned char)l->letter);
    return OK;
}

static err_t read_head(struct str bytes, size_t at, size_t *looked, struct head *ret)
{
    struct head h = {0};

    TRY(read_line(bytes, at, looked, &h.line));
    char letter = h.line.letter;
    h.has_body = letter == '$' || letter == '!' || letter == '=';
    h.is_aggregate = letter == '*' || letter == '~' || letter == '>' || letter == '%' || letter == '|';
    if (h.has_body || h.is_aggregate)
        TRY(read_length(&h, letter == '$' || letter == '*', letter == '%' || letter == '|' ? 2 : 1));
    else
        TRY(check_plain(&h.line));
    if (letter == '=' && h.length < FORMAT_SIZE)
        return fail(E_PARSE, "RESP: a verbatim string without its format");
    *ret = h;
    return OK;
}

void resp_frame_init(struct resp_frame *f, size_t max)
{
    *f = (struct resp_frame){.max = max, .left = {1}};
}

static err_t too_long(const struct resp_frame *f)
{
    return fail(E_TOO_LARGE, "RESP: a reply of more than %zu bytes", f->max);
}

static err_t inner_push(void)
{
    return fail(E_PARSE, "RESP: a push within a value");
}

static err_t open_aggregate(struct resp_frame *f, const struct head *h)
{
    if (h->length > (f->max - h->line.next) / VALUE_MIN)
        return too_long(f);
    if (h->line.letter == '>' && (f->depth > 0 || f->is_within))
        return inner_push();
    if (f->depth == RESP_DEPTH_MAX)
        return fail(E_TOO_LARGE, "RESP: more than %d aggregates in each other", RESP_DEPTH_MAX);
    f->left[++f->depth] = h->length;
    return OK;
}

/* The body's bytes, and the CR LF behind them. */
static err_t find_body(const struct head *h, struct str bytes, size_t max, size_t *ret_next)
{
    size_t at = h->line.next;

    if (max - at < 2 || h->length > max - at - 2)
        return E_TOO_LARGE;
    if (bytes.n - at < h->length + 2)
        return E_AGAIN;
    if (bytes.p[at + h->length] != '\r' || bytes.p[at + h->length + 1] != '\n')
        return fail(E_PARSE, "RESP: a string is not as long as it says");
    *ret_next = at + h->length + 2;
    return OK;
}

/* Take one value, or the beginning of an aggregate. */
static err_t take_value(struct resp_frame *f, struct str bytes)
{
    struct head h;

    TRY(read_head(bytes, f->at, &f->looked, &h));
    size_t next = h.line.next;
    if (next > f->max)
        return too_long(f);
    if (h.has_body) {
        err_t e = find_body(&h, bytes, f->max, &next);
        if (e == E_TOO_LARGE)
            return too_long(f);
        TRY(e);
    }
    /* An attribute stands before a value and is none itself. */
    if (h.line.letter != '|')
        f->left[f->depth]--;
    if (h.is_aggregate)
        TRY(open_aggregate(f, &h));
    f->at = next;
    f->looked = next;
    return OK;
}

err_t resp_frame_next(struct resp_frame *f, struct str bytes, size_t *ret_n)
{
    for (;;) {
        while (f->depth > 0 && f->left[f->depth] == 0)
            f->depth--;
        if (f->depth == 0 && f->left[0] == 0)
            break;
        err_t e = take_value(f, bytes);
        if (e == E_AGAIN && bytes.n > f->max)
            return too_long(f);
        TRY(e);
    }
    *ret_n = f->at;
    return OK;
}

static void plain_value(const struct line *l, struct resp *ret)
{
    struct resp r = {.kind = RESP_NULL};

    if (l->letter == '+' || l->letter == '-' || l->letter == '(') {
        r.kind = l->letter == '+' ? RESP_SIMPLE : l->letter == '-' ? RESP_ERROR : RESP_BIG_NUMBER;
        r.text = l->text;
    } else if (l->letter == ':') {
        r.kind = RESP_INTEGER;
        (void)read_integer(l->text, &r.integer);
    } else if (l->letter == ',') {
        r.kind = RESP_DOUBLE;
        (void)read_double(l->text, &r.number);
    } else if (l->letter == '#') {
        r.kind = RESP_BOOLEAN;
        r.integer = str_eq(l->text, STR("t"));
    }
    *ret = r;
}

static void text_value(const struct head *h, struct str bytes, struct resp *ret)
{
    struct str body = str_of(bytes.p + h->line.next, h->length);
    char letter = h->line.letter;

    *ret = (struct resp){.kind = letter == '$' ? RESP_BULK : letter == '!' ? RESP_ERROR : RESP_VERBATIM};
    ret->text = letter == '=' ? str_slice(body, FORMAT_SIZE, body.n) : body;
}

static enum resp_kind kind_of_aggregate(char letter)
{
    return letter == '*' ? RESP_ARRAY : letter == '~' ? RESP_SET : letter == '%' ? RESP_MAP : RESP_PUSH;
}

static err_t parse_value(struct str bytes, size_t *at, unsigned depth, struct arena *a, struct resp *ret);

static err_t parse_items(struct str bytes, size_t *at, unsigned depth, struct arena *a, struct resp *r)
{
    char *memory = NULL;

    if (depth == RESP_DEPTH_MAX)
        return fail(E_TOO_LARGE, "RESP: more than %d aggregates in each other", RESP_DEPTH_MAX);
    if (r->count > bytes.n / VALUE_MIN)
        return fail(E_PARSE, "RESP: an aggregate is not as long as it says");
    TRY(arena_try(a, r->count * sizeof *r->items, &memory));
    struct resp *items = (struct resp *)(void *)memory;
    for (size_t i = 0; i < r->count; i++)
        TRY(parse_value(bytes, at, depth + 1, a, &items[i]));
    r->items = items;
    return OK;
}

static err_t skip_attribute(struct str bytes, size_t *at, size_t length)
{
    struct resp_frame f;
    size_t n;

    for (size_t i = 0; i < length; i++) {
        resp_frame_init(&f, SIZE_MAX); /* no more than there is: what goes on behind the end is no whole reply */
        f.is_within = true;
        TRY(resp_frame_next(&f, str_slice(bytes, *at, bytes.n), &n));
        *at += n;
    }
    return OK;
}

static err_t parse_value(struct str bytes, size_t *at, unsigned depth, struct arena *a, struct resp *ret)
{
    struct head h;
    size_t looked = 0;

    for (;;) {
        TRY(read_head(bytes, *at, &looked, &h));
        *at = h.line.next;
        if (h.line.letter != '|')
            break;
        TRY(skip_attribute(bytes, at, h.length));
    }
    if (h.line.letter == '>' && depth > 0)
        return inner_push();
    if (h.is_aggregate) {
        *ret = (struct resp){.kind = kind_of_aggregate(h.line.letter), .count = h.length};
        return parse_items(bytes, at, depth, a, ret);
    }
    if (!h.has_body) {
        plain_value(&h.line, ret);
        return OK;
    }
    TRY(find_body(&h, bytes, SIZE_MAX, at));
    text_value(&h, bytes, ret);
    return OK;
}

err_t resp_parse(struct str bytes, struct arena *a, struct resp *ret)
{
    struct resp r;
    size_t at = 0;

    err_t e = parse_value(bytes, &at, 0, a, &r);
    if (e == E_AGAIN || (e == OK && at != bytes.n))
        return fail(E_PARSE, "RESP: this is not one whole reply");
    TRY(e);
    *ret = r;
    return OK;
}

err_t resp_write_command(struct buf *to, const struct str *words, size_t n)
{
    size_t before = to->n;

    (void)buf_addf(to, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        (void)buf_add_char(to, '$');
        (void)buf_add_u64(to, words[i].n);
        (void)buf_add_lit(to, "\r\n");
        (void)buf_add(to, words[i]);
        (void)buf_add_lit(to, "\r\n");
    }
    err_t e = buf_status(to);
    if (e)
        to->n = before;
    return e;
}
