/*
 * text.c - what a simulated model says: a mark that it is simulated, an echo of the question, then stock sentences.
 *
 * The sentences are plain ASCII without quotes or backslashes, and only say what is true of a simulation. Which of them come, and
 * in which order, is drawn from a generator seeded by the caller's hash, so the same question has the same answer.
 * The text is made one character longer than asked for at most, then cut to the exact count and ended with a full stop.
 *
 * It does not know of JSON, of requests or of time.
 */
#include "sim/text.h"

#include "base/prng.h"

/* Of what is quoted, at most so many characters are echoed. */
enum { ECHO_CHARS = 48 };
/* No character of UTF-8 is longer. */
enum { CHAR_BYTES = 4 };

static const struct str opening = STR_INIT("[simulated] ");

static const struct str sentences[] = {
    STR_INIT("No model was asked to write this. "),
    STR_INIT("The words come from a seed and from what was asked. "),
    STR_INIT("The same question gets the same answer. "),
    STR_INIT("A different question gets a different one. "),
    STR_INIT("Every sentence here was chosen from a short list. "),
    STR_INIT("Its length follows the scenario. "),
    STR_INIT("So do its pace and its faults. "),
    STR_INIT("Nothing was sent to a provider. "),
    STR_INIT("Nothing was billed. "),
    STR_INIT("This answer knows nothing about the world. "),
    STR_INIT("It is made to be counted, timed and cut short. "),
    STR_INIT("A token is four characters here. "),
    STR_INIT("Use it to test what stands between a client and a model. "),
    STR_INIT("A real model would say something better. "),
    STR_INIT("Streaming it piece by piece gives the same text. "),
    STR_INIT("The finish reason says why it ended. "),
};

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes that begin a character. Eight at a time: a byte continues one if its top bit is set and the next one is not. */
static size_t characters(struct str s)
{
    size_t count = s.n, i = 0;
    uint64_t word;

    for (; i + sizeof(word) <= s.n; i += sizeof(word)) {
        memcpy(&word, s.p + i, sizeof(word));
        count -= (size_t)__builtin_popcountll(word >> 7 & ~(word >> 6) & 0x0101010101010101U);
    }
    for (; i < s.n; i++)
        count -= is_continuation(s.p[i]);
    return count;
}

size_t sim_tokens(struct str s)
{
    return (characters(s) + SIM_TOKEN_CHARS - 1) / SIM_TOKEN_CHARS;
}

/* Bytes of the first `count` characters. */
static size_t prefix_bytes(struct str s, size_t count)
{
    size_t at = 0;

    for (; at < s.n; at++)
        if (!is_continuation(s.p[at]) && count-- == 0)
            break;
    return at;
}

struct str sim_token_cut(struct str *rest)
{
    size_t n = prefix_bytes(*rest, SIM_TOKEN_CHARS);
    struct str token = str_of(rest->p, n);

    *rest = str_of(rest->p + n, rest->n - n);
    return token;
}

struct str sim_token_prefix(struct str s, size_t tokens)
{
    if (tokens >= s.n)
        return s;
    return str_of(s.p, prefix_bytes(s, tokens * SIM_TOKEN_CHARS));
}

/* Where the text grows; `left` counts the characters still wanted. */
struct draft {
    char *to;
    size_t left;
};

static void draft_add(struct draft *d, struct str ascii)
{
    size_t n = ascii.n < d->left ? ascii.n : d->left;

    memcpy(d->to, ascii.p, n);
    d->to += n;
    d->left -= n;
}

/* The beginning of what is quoted, with blanks for control characters and single quotes for double ones. */
static void draft_echo(struct draft *d, struct str quoted)
{
    size_t n = prefix_bytes(quoted, d->left < ECHO_CHARS ? d->left : ECHO_CHARS);

    for (size_t i = 0; i < n; i++) {
        char c = quoted.p[i];
        *d->to++ = (unsigned char)c < ' ' ? ' ' : c == '"' ? '\'' : c;
        d->left -= !is_continuation(c);
    }
    if (n < quoted.n)
        draft_add(d, STR("..."));
}

err_t sim_answer_text(struct arena *a, uint64_t hash, struct str lead, struct str quoted, size_t tokens,
                      struct str *ret_text)
{
    size_t wanted = tokens * SIM_TOKEN_CHARS;
    struct draft d = {.left = wanted};
    struct prng prng;
    char *start;

    TRY(arena_try(a, wanted + (size_t)ECHO_CHARS * CHAR_BYTES, &start));
    d.to = start;
    draft_add(&d, opening);
    quoted = str_trim(quoted);
    if (quoted.n > 0) {
        draft_add(&d, lead);
        draft_add(&d, STR("\""));
        draft_echo(&d, quoted);
        draft_add(&d, STR("\" "));
    }
    prng_seed(&prng, hash);
    for (uint64_t bits = 0; d.left > 0; bits >>= 4) {
        if (bits < 16)
            bits = prng_next(&prng) | (uint64_t)1 << 63; /* the top bit says how many choices are left */
        draft_add(&d, sentences[bits % ARRAY_LEN(sentences)]);
    }
    if (wanted > opening.n) {
        while (is_continuation(d.to[-1]))
            d.to--;
        d.to[-1] = '.';
    }
    *ret_text = str_of(start, (size_t)(d.to - start));
    return OK;
}

bool sim_stop_cut(struct str *text, const struct str *stops, size_t count, struct str *ret_stop)
{
    size_t best = text->n;

    for (size_t i = 0; i < count; i++) {
        if (stops[i].n == 0)
            continue;
        size_t at = str_find(*text, stops[i]);
        if (at < best) {
            best = at;
            *ret_stop = stops[i];
        }
    }
    if (best == text->n)
        return false;
    text->n = best;
    return true;
}
