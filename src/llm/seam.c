/*
 * seam.c - finds how much of what a continuing model says was said before.
 *
 * What comes is compared with the told text from many places at once (`live`): each is where a repetition may have begun, and dies with the first byte that
 * differs. Ordinary text kills all of them within a few bytes. One that reaches the end of the told text is a repetition: at once if it is
 * at least as long as the words that were asked for, since a shorter repetition was never meant; else the longest, when all others are dead, if
 * it is long enough, occurs once, and is not a pattern that goes on by itself ("ha ha ha"): of those nobody can tell whether they are
 * repeated or continued, and losing text is worse than saying it twice.
 *
 * Invariant: what is held is never longer than the told text, the blanks in front of it and one piece. Time per byte is the number of places that are alive.
 */
#include "llm/seam.h"

#include "base/buf.h"

#include <string.h>

struct seam {
    struct arena *arena;
    struct str core, blanks; /* what was told: what the model was shown, and what it was not       */
    size_t words;            /* where in `core` the asked words begin; core.n: none were asked for */
    struct buf held;         /* what has come and is not decided on                                */
    size_t seen;             /* of it                                                              */
    size_t matched;          /* bytes, equal to those of `core` from each live[i] on               */
    size_t *live, live_count;
    size_t best;          /* end in `held` of the longest unasked repetition; 0: none */
    size_t blank_at;      /* of `blanks`, said again                                  */
    bool joined, follows; /* the repetition is over; and so are the blanks            */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

struct str seam_core(struct str told)
{
    while (told.n && is_blank(told.p[told.n - 1]))
        told.n--;
    return told;
}

/* Does what begins at `at` occur only there? */
static bool occurs_once(struct str text, size_t at)
{
    struct str tail = str_slice(text, at, text.n);

    return str_find(str_slice(text, 0, text.n - 1), tail) >= text.n - 1;
}

static bool begins_word(struct str text, size_t at)
{
    return begins_character(text.p[at]) && !is_blank(text.p[at]) && (!at || is_blank(text.p[at - 1]));
}

size_t seam_words(struct str core)
{
    size_t at = core.n > SEAM_WORDS_MIN ? core.n - SEAM_WORDS_MIN : 0;
    size_t far = core.n > SEAM_WORDS_MAX ? core.n - SEAM_WORDS_MAX : 0;

    for (size_t i = at; i > far; i--)
        if (begins_word(core, i) && occurs_once(core, i))
            return i;
    while (far < core.n && (is_blank(core.p[far]) || !begins_character(core.p[far]))) /* all of it, or no word ends */
        far++;
    return far;
}

static void release_seam(void *obj)
{
    buf_release(&((struct seam *)obj)->held);
}

/* The places where a repetition may begin: the text's beginning, and its last part. */
static void seed(struct seam *s)
{
    size_t from = s->core.n > SEAM_WINDOW ? s->core.n - SEAM_WINDOW : 0;

    s->live = arena_alloc(s->arena, (s->core.n - from + 1) * sizeof *s->live);
    if (from)
        s->live[s->live_count++] = 0;
    while (from < s->core.n)
        s->live[s->live_count++] = from++;
}

struct seam *seam_new(struct arena *arena, struct str told, bool asked)
{
    enum { PIECE_MAX = 16 * 1024 * 1024 };
    struct str core = seam_core(told);
    struct seam *s = arena_new(arena, struct seam);

    *s = (struct seam){.arena = arena, .core = core, .blanks = str_slice(told, core.n, told.n)};
    s->words = asked ? seam_words(core) : core.n;
    s->joined = !core.n;
    buf_init(&s->held, told.n + SEAM_BLANKS_MAX + PIECE_MAX);
    arena_hold(arena, s, release_seam);
    if (!s->joined)
        seed(s);
    return s;
}

/* Is the text, from `at` to its end, made of a part that repeats? By the border of its prefixes (Knuth, Morris, Pratt). */
static bool is_pattern(const struct seam *s, size_t at)
{
    const char *p = s->core.p + at;
    size_t n = s->core.n - at, border = 0;
    size_t *borders = arena_alloc(s->arena, n * sizeof *borders);

    borders[0] = 0;
    for (size_t i = 1; i < n; i++) {
        while (border && p[i] != p[border])
            border = borders[border - 1];
        border += p[i] == p[border];
        borders[i] = border;
    }
    return n - border <= n / 2;
}

/* A repetition that nobody asked for. */
static bool is_repetition(const struct seam *s, size_t at)
{
    return s->core.n - at >= SEAM_REPEAT_MIN && occurs_once(s->core, at) && !is_pattern(s, at);
}

static bool was_asked(const struct seam *s)
{
    return s->words < s->core.n;
}

/* Compare one byte. True: the repetition has ended with it. */
static bool take_byte(struct seam *s, char c)
{
    size_t kept = 0, whole = s->core.n;

    for (size_t i = 0; i < s->live_count; i++) {
        size_t at = s->live[i] + s->matched;
        if (s->core.p[at] != c)
            continue;
        if (at + 1 == s->core.n)
            whole = s->live[i];
        else
            s->live[kept++] = s->live[i];
    }
    s->matched++;
    s->live_count = kept;
    if (whole == s->core.n)
        return false;
    if (was_asked(s) && whole <= s->words)
        return true;
    if (is_repetition(s, whole))
        s->best = s->seen;
    return false;
}

/* Blanks at the told text's end that are said again go; what is behind them is new. */
static struct str without_blanks(struct seam *s, struct str text)
{
    while (!s->follows && text.n) {
        s->follows = s->blank_at == s->blanks.n || text.p[0] != s->blanks.p[s->blank_at];
        if (s->follows)
            break;
        s->blank_at++;
        text = str_slice(text, 1, text.n);
    }
    return text;
}

/* The repetition ends at `at` of what is held. */
static enum seam_verdict join(struct seam *s, size_t at, struct str *ret_new)
{
    s->joined = true;
    *ret_new = without_blanks(s, str_slice(buf_str(&s->held), at, s->held.n));
    return SEAM_PASS;
}

/* No repetition can come any more. */
static enum seam_verdict conclude(struct seam *s, struct str *ret_new)
{
    return s->best || !was_asked(s) ? join(s, s->best, ret_new) : SEAM_UNPROVEN;
}

enum seam_verdict seam_feed(struct seam *s, struct str piece, struct str *ret_new)
{
    if (s->joined) {
        *ret_new = without_blanks(s, piece);
        return SEAM_PASS;
    }
    if (buf_add(&s->held, piece) != OK)
        return SEAM_UNPROVEN;
    while (s->seen < s->held.n) {
        char c = s->held.p[s->seen++];
        if (was_asked(s) && !s->matched && is_blank(c) && s->seen <= SEAM_BLANKS_MAX)
            continue;
        if (take_byte(s, c))
            return join(s, s->seen, ret_new);
        if (!s->live_count)
            return conclude(s, ret_new);
    }
    return SEAM_HOLD;
}

enum seam_verdict seam_end(struct seam *s, struct str *ret_new)
{
    *ret_new = STR_NONE;
    return s->joined ? SEAM_PASS : conclude(s, ret_new);
}

bool seam_is_joined(const struct seam *s)
{
    return s->joined;
}
