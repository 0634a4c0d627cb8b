/*
 * xml.c - one pass over the markup: skip to the start tag of the name, then collect characters up to the next tag, which must be its end.
 *
 * The document is cut at each '<'. What the reader does not know (a document type, a comment that does not end) is an error and
 * not skipped, because two readers that disagree about where markup ends read two different documents.
 */
#include "codec/xml.h"

enum piece { PIECE_START, PIECE_EMPTY, PIECE_END, PIECE_CDATA, PIECE_OTHER };

struct markup {
    enum piece piece;
    struct str name; /* of a tag, without its prefix  */
    struct str text; /* of CDATA                       */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static err_t malformed(void)
{
    return fail(E_PARSE, "the XML cannot be read");
}

/* Take "…<end>" off the front of *rest: what is before `end`. */
static err_t until(struct str *rest, struct str end, struct str *ret)
{
    size_t at = str_find(*rest, end);

    if (at == rest->n)
        return malformed();
    *ret = str_slice(*rest, 0, at);
    *rest = str_slice(*rest, at + end.n, rest->n);
    return OK;
}

/* The end of a tag: a '>' outside the quotes of attribute values. */
static err_t tag_inside(struct str *rest, struct str *ret)
{
    char quote = 0;

    for (size_t i = 0; i < rest->n; i++) {
        char c = rest->p[i];
        if (quote) {
            quote = c == quote ? 0 : quote;
            continue;
        }
        if (c == '<')
            break;
        if (c == '"' || c == '\'')
            quote = c;
        if (c == '>') {
            *ret = str_slice(*rest, 0, i);
            *rest = str_slice(*rest, i + 1, rest->n);
            return OK;
        }
    }
    return malformed();
}

static struct str local_name(struct str tag)
{
    size_t n = 0;

    while (n < tag.n && !is_blank(tag.p[n]) && tag.p[n] != '/')
        n++;
    struct str name = str_of(tag.p, n);
    size_t colon = str_find_char(name, ':');
    return colon < n ? str_slice(name, colon + 1, n) : name;
}

/* Take one piece of markup, behind its '<', off the front of *rest. */
static err_t next_markup(struct str *rest, struct markup *ret)
{
    struct str inside;

    *ret = (struct markup){.piece = PIECE_OTHER};
    if (str_starts(*rest, STR("!--"))) {
        *rest = str_slice(*rest, 3, rest->n);
        return until(rest, STR("-->"), &inside);
    }
    if (str_starts(*rest, STR("?")))
        return until(rest, STR("?>"), &inside);
    if (str_starts(*rest, STR("![CDATA["))) {
        *rest = str_slice(*rest, 8, rest->n);
        ret->piece = PIECE_CDATA;
        return until(rest, STR("]]>"), &ret->text);
    }
    TRY(tag_inside(rest, &inside));
    bool is_end = str_starts(inside, STR("/"));
    ret->piece = is_end ? PIECE_END : str_ends(inside, STR("/")) ? PIECE_EMPTY : PIECE_START;
    ret->name = local_name(is_end ? str_slice(inside, 1, inside.n) : inside);
    return ret->name.n && ret->name.p[0] != '!' ? OK : malformed();
}

/* The character that "&name;" stands for. */
static bool add_entity(struct buf *to, struct str name)
{
    static const struct {
        struct str name;
        char c;
    } known[] = {{STR_INIT("lt"), '<'},
                 {STR_INIT("gt"), '>'},
                 {STR_INIT("amp"), '&'},
                 {STR_INIT("quot"), '"'},
                 {STR_INIT("apos"), '\''}};
    uint64_t c;

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(name, known[i].name)) {
            buf_add_char(to, known[i].c);
            return true;
        }
    }
    if (str_starts(name, STR("#x")) ? !str_hex_to_u64(str_slice(name, 2, name.n), 0x7f, &c)
                                    : !str_starts(name, STR("#")) || !str_to_u64(str_slice(name, 1, name.n), 0x7f, &c))
        return false;
    buf_add_char(to, (char)c);
    return c != 0;
}

/* Characters between two pieces of markup. */
static err_t add_characters(struct buf *to, struct str s)
{
    while (s.n) {
        size_t amp = str_find_char(s, '&');
        buf_add(to, str_slice(s, 0, amp));
        if (amp == s.n)
            break;
        s = str_slice(s, amp + 1, s.n);
        size_t semicolon = str_find_char(s, ';');
        if (semicolon == s.n || !add_entity(to, str_slice(s, 0, semicolon)))
            return malformed();
        s = str_slice(s, semicolon + 1, s.n);
    }
    return OK;
}

static struct str until_markup(struct str *rest)
{
    size_t at = str_find_char(*rest, '<');
    struct str text = str_slice(*rest, 0, at);

    *rest = str_slice(*rest, at, rest->n);
    return text;
}

/* Behind the start tag of `name`: its text, up to its end tag. */
static err_t collect(struct str rest, struct str name, struct buf *to)
{
    for (;;) {
        struct markup m;
        TRY(add_characters(to, until_markup(&rest)));
        if (!rest.n)
            return malformed();
        rest = str_slice(rest, 1, rest.n);
        TRY(next_markup(&rest, &m));
        if (m.piece == PIECE_CDATA)
            buf_add(to, m.text);
        else if (m.piece == PIECE_END && str_eq(m.name, name))
            return buf_status(to);
        else if (m.piece != PIECE_OTHER)
            return fail(E_PARSE, "the XML element %.*s holds other elements", STR_ARG(name));
    }
}

/* Drop blanks at both ends of what is in `to` from `from` on. */
static void trim_from(struct buf *to, size_t from)
{
    while (to->n > from && is_blank(to->p[to->n - 1]))
        to->n--;
    size_t blanks = 0;
    while (from + blanks < to->n && is_blank(to->p[from + blanks]))
        blanks++;
    if (blanks)
        memmove(to->p + from, to->p + from + blanks, to->n - from - blanks);
    to->n -= blanks;
}

static err_t find(struct str rest, struct str name, struct buf *to)
{
    for (;;) {
        struct markup m;
        (void)until_markup(&rest);
        if (!rest.n)
            return fail(E_NOT_FOUND, "the XML has no element %.*s", STR_ARG(name));
        rest = str_slice(rest, 1, rest.n);
        TRY(next_markup(&rest, &m));
        bool is_start = m.piece == PIECE_START || m.piece == PIECE_EMPTY;
        if (is_start && str_eq(m.name, name))
            return m.piece == PIECE_EMPTY ? OK : collect(rest, name, to);
    }
}

err_t xml_text(struct str document, struct str name, struct buf *to)
{
    size_t before = to->n;
    err_t e = find(document, name, to);

    if (e != OK)
        to->n = before;
    else
        trim_from(to, before);
    return e;
}
