/*
 * scrub.c - provider's words, without what is not the client's to see.
 *
 * Taken out: our credentials, the provider's host and URLs with it, and tokens that look like API keys or account ids, also masked ones as providers
 * like to quote them ("sk-ab***yz"). The rest stays as it is.
 */
#include "gateway/exchange.h"

enum { SCRUBBED_MAX = 256 * 1024 };

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '*' || c == '.';
}

static bool is_url_char(char c)
{
    return c > ' ' && c != '"' && c != '\'' && c != '<' && c != '>' && c != ')' && c != '\\' && c != '`';
}

static size_t run_length(struct str s, bool (*fits)(char))
{
    size_t n = 0;

    while (n < s.n && fits(s.p[n]))
        n++;
    return n;
}

/* Length of a secret-looking token at the front of `s`; 0: there is none. */
static size_t key_like(struct str s)
{
    static const struct str prefixes[] = {STR_INIT("sk-"),    STR_INIT("gsk_"),  STR_INIT("xai-"), STR_INIT("hf_"),
                                          STR_INIT("nvapi-"), STR_INIT("pplx-"), STR_INIT("csk-"), STR_INIT("org-"),
                                          STR_INIT("proj_"),  STR_INIT("sess-")};
    enum { LEAST = 8 };

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (!str_starts(s, prefixes[i]))
            continue;
        size_t n = run_length(s, is_token_char);
        while (n && s.p[n - 1] == '.') /* the sentence's, not the key's */
            n--;
        return n >= LEAST ? n : 0;
    }
    return 0;
}

/* Length of ":<port>" at the front of `s`; 0: there is none. */
static size_t port_length(struct str s)
{
    size_t n = s.n && s.p[0] == ':' ? 1 : 0;

    while (n && n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n > 1 ? n : 0;
}

/* Length of what must go at the front of `s`; 0: nothing. */
static size_t match(struct exchange *x, struct str s)
{
    const struct provider *p = x->chosen->provider;

    for (size_t i = 0; i < p->key_count; i++) {
        struct str key = secret_reveal(&p->keys[i].secret);
        if (key.n >= 4 && str_starts(s, key))
            return key.n;
    }
    if (str_starts_nocase(s, STR("http://")) || str_starts_nocase(s, STR("https://"))) {
        size_t n = run_length(s, is_url_char);
        return p->host.n && str_find(str_of(s.p, n), p->host) < n ? n : 0;
    }
    if (p->host.n > 3 && str_starts_nocase(s, p->host))
        return p->host.n + port_length(str_slice(s, p->host.n, s.n));
    return 0;
}

struct str scrub(struct exchange *x, struct str text)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(SCRUBBED_MAX);
    size_t from = 0;

    for (size_t i = 0; i < text.n;) {
        struct str rest = str_slice(text, i, text.n);
        size_t n = match(x, rest);
        if (!n && (i == 0 || !is_token_char(text.p[i - 1])))
            n = key_like(rest);
        if (!n) {
            i++;
            continue;
        }
        buf_add(&out, str_slice(text, from, i));
        buf_add_lit(&out, "[redacted]");
        i += n;
        from = i;
    }
    if (!from)
        return arena_str(x->r->arena, text);
    buf_add(&out, str_slice(text, from, text.n));
    return arena_str(x->r->arena, buf_str(&out));
}
