/*
 * rate_headers.c - reading rate limits out of headers.
 *
 * Names are read word by word: which of limit, remaining and reset it is, of what, and for which span. A name with a word
 * that is not known is ignored as a whole, because half understood it would be taken for another limit.
 *
 * A number that shall be a moment is told by its size: up to 10^8 it is seconds from now (three years), above it is time
 * since 1970, in the unit that makes it a date of this century. Reading is lenient on purpose (units.h is not): fractions
 * of any length are cut at nanoseconds, and errors are silence, for a header must not fail an answer.
 *
 * Does not: remember; ratelimit.c does.
 */
#include "policy/rate_headers.h"

#include "base/date.h"
#include "base/prng.h"

#define DAY_SECONDS ((int64_t)86400)

struct word {
    struct str text;
    enum { WORD_LIMIT, WORD_REMAINING, WORD_RESET, WORD_WHAT, WORD_SPAN } kind;
    int64_t value; /* enum rate_what, or seconds */
};

static const struct word words[] = {
    {STR_INIT("limit"), WORD_LIMIT, 0},
    {STR_INIT("remaining"), WORD_REMAINING, 0},
    {STR_INIT("reset"), WORD_RESET, 0},
    {STR_INIT("requests"), WORD_WHAT, RATE_REQUESTS},
    {STR_INIT("request"), WORD_WHAT, RATE_REQUESTS},
    {STR_INIT("req"), WORD_WHAT, RATE_REQUESTS},
    {STR_INIT("tokens"), WORD_WHAT, RATE_TOKENS},
    {STR_INIT("input"), WORD_WHAT, RATE_INPUT_TOKENS},
    {STR_INIT("prompt"), WORD_WHAT, RATE_INPUT_TOKENS},
    {STR_INIT("output"), WORD_WHAT, RATE_OUTPUT_TOKENS},
    {STR_INIT("generated"), WORD_WHAT, RATE_OUTPUT_TOKENS},
    {STR_INIT("second"), WORD_SPAN, 1},
    {STR_INIT("minute"), WORD_SPAN, 60},
    {STR_INIT("hour"), WORD_SPAN, 3600},
    {STR_INIT("day"), WORD_SPAN, 86400},
    {STR_INIT("month"), WORD_SPAN, 30 * 86400},
};

static const struct {
    struct str text;
    enum rate_what what; /* unless the name says */
} prefixes[] = {
    {STR_INIT("x-ratelimit-"), RATE_REQUESTS},   {STR_INIT("anthropic-ratelimit-"), RATE_REQUESTS},
    {STR_INIT("ratelimit-"), RATE_REQUESTS},     {STR_INIT("x-ratelimitbysize-"), RATE_TOKENS},
    {STR_INIT("ratelimitbysize-"), RATE_TOKENS}, {STR_INIT("x-tokenlimit-"), RATE_TOKENS},
};

static struct str rest_of(struct str s, size_t from)
{
    return str_slice(s, from, s.n);
}

static size_t digits_in(struct str s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

/* The digits at the front of *s, at most `max` of them in value; takes them off. */
static bool take_digits(struct str *s, uint64_t max, uint64_t *ret)
{
    size_t n = digits_in(*s);

    if (!str_to_u64(str_slice(*s, 0, n), max, ret))
        return false;
    *s = rest_of(*s, n);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = rest_of(*s, 1);
    return true;
}

/* ".25" at the front of *s as nanoseconds of a second, or nothing: 0. What is finer is cut. */
static uint64_t take_fraction(struct str *s)
{
    uint64_t value = 0, power = (uint64_t)NS_SEC;

    if (!take_char(s, '.'))
        return 0;
    size_t n = digits_in(*s);
    for (size_t i = 0; i < n && power > 1; i++) {
        power /= 10;
        value += (uint64_t)(s->p[i] - '0') * power;
    }
    *s = rest_of(*s, n);
    return value;
}

/* Nanoseconds per unit whose name is at the front of *s; takes it off. 0: no unit. */
static uint64_t take_unit(struct str *s)
{
    static const struct {
        struct str text;
        uint64_t ns;
    } units[] = {
        {STR_INIT("ms"), 1000000},      {STR_INIT("us"), 1000},
        {STR_INIT("\302\265s"), 1000},  {STR_INIT("ns"), 1},
        {STR_INIT("s"), 1000000000},    {STR_INIT("m"), 60000000000},
        {STR_INIT("h"), 3600000000000}, {STR_INIT("d"), 86400000000000},
    };

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_starts(*s, units[i].text)) {
            *s = rest_of(*s, units[i].text.n);
            return units[i].ns;
        }
    return 0;
}

static ns_t clamp(unsigned __int128 ns)
{
    return ns < (unsigned __int128)NS_NEVER ? (ns_t)ns : NS_NEVER;
}

/* "1h2m3.5s" */
static bool read_duration(struct str s, ns_t *ret)
{
    unsigned __int128 sum = 0;
    uint64_t whole;

    do {
        if (!take_digits(&s, UINT32_MAX, &whole))
            return false;
        uint64_t fraction = take_fraction(&s), unit = take_unit(&s);
        if (unit == 0)
            return false;
        sum += (unsigned __int128)whole * unit + (unsigned __int128)fraction * unit / (uint64_t)NS_SEC;
    } while (s.n);
    *ret = clamp(sum);
    return true;
}

/* "HH:MM:SS" as seconds of the day; takes it off. */
static bool take_clock(struct str *s, int64_t *ret)
{
    uint64_t h, m, sec;

    if (!take_digits(s, 23, &h) || !take_char(s, ':') || !take_digits(s, 59, &m) || !take_char(s, ':') ||
        !take_digits(s, 60, &sec))
        return false;
    *ret = (int64_t)(h * 3600 + m * 60 + sec);
    return true;
}

/* "Z", "+02:00": seconds east of Greenwich. All of *s. */
static bool read_zone(struct str s, int64_t *ret)
{
    uint64_t h, m;
    bool west = s.n && s.p[0] == '-';

    *ret = 0;
    if (str_eq_nocase(s, STR("Z")))
        return true;
    if (!take_char(&s, west ? '-' : '+') || !take_digits(&s, 23, &h) || !take_char(&s, ':') ||
        !take_digits(&s, 59, &m) || s.n)
        return false;
    *ret = (int64_t)(h * 3600 + m * 60) * (west ? -1 : 1);
    return true;
}

/* RFC 3339, as nanoseconds since 1970. */
static bool read_rfc3339(struct str s, int64_t *ret)
{
    uint64_t year, month, day;
    int64_t clock, zone;

    if (!take_digits(&s, 2200, &year) || !take_char(&s, '-') || !take_digits(&s, 12, &month) || !take_char(&s, '-') ||
        !take_digits(&s, 31, &day) || !(take_char(&s, 'T') || take_char(&s, 't') || take_char(&s, ' ')) ||
        year < 1970 || month < 1 || day < 1 || !take_clock(&s, &clock))
        return false;
    int64_t fraction = (int64_t)take_fraction(&s);
    if (!read_zone(s, &zone))
        return false;
    int64_t days = date_to_day((struct date){(int)year, (int)month, (int)day});
    *ret = (days * DAY_SECONDS + clock - zone) * NS_SEC + fraction;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), as nanoseconds since 1970. */
static bool read_http_date(struct str s, int64_t *ret)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t day, year;
    int64_t clock;

    str_cut(&s, ',');
    if (!take_char(&s, ' ') || !take_digits(&s, 31, &day) || !take_char(&s, ' ') || s.n < 3)
        return false;
    size_t at = str_find(str_from_c(months), str_slice(s, 0, 3));
    s = rest_of(s, 3);
    if (at % 3 || at >= sizeof months - 1 || !take_char(&s, ' ') || !take_digits(&s, 2200, &year) || year < 1970 ||
        !take_char(&s, ' ') || !take_clock(&s, &clock) || !str_eq(s, STR(" GMT")))
        return false;
    int64_t days = date_to_day((struct date){(int)year, (int)(at / 3) + 1, (int)day});
    *ret = (days * DAY_SECONDS + clock) * NS_SEC;
    return true;
}

/* The moment on the monotonic clock at which the other clock shows `date`; what is past is now. */
static ns_t at_date(int64_t date, ns_t now, int64_t wall)
{
    return date > wall ? ns_add(now, date - wall) : now;
}

/* A number without a unit: seconds, or a date by its size. */
static bool read_number(struct str s, bool is_span, ns_t now, int64_t wall, ns_t *ret)
{
    uint64_t whole;

    if (!take_digits(&s, UINT64_MAX / 10, &whole))
        return false;
    uint64_t fraction = take_fraction(&s);
    if (s.n)
        return false;
    if (is_span || whole < 100000000) {
        *ret = ns_add(now, clamp((unsigned __int128)whole * (uint64_t)NS_SEC + fraction));
        return true;
    }
    uint64_t unit = 1; /* of 10^18 and more: nanoseconds */
    for (uint64_t size = whole; size < 10000000000000000; size *= 1000)
        unit *= 1000;
    *ret = at_date(clamp((unsigned __int128)whole * unit), now, wall);
    return true;
}

static bool read_moment(struct str s, bool is_span, ns_t now, int64_t wall, ns_t *ret)
{
    int64_t date;
    ns_t span;

    if (read_number(s, is_span, now, wall, ret))
        return true;
    if (read_duration(s, &span)) {
        *ret = ns_add(now, span);
        return true;
    }
    if (!read_rfc3339(s, &date) && !read_http_date(s, &date))
        return false;
    *ret = at_date(date, now, wall);
    return true;
}

/* The reading's window of that kind, new if need be; NULL: it is full. */
static struct rate_window *window_of(struct rate_reading *r, const struct rate_window *key)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct rate_window *w = &r->windows[i];
        if (w->what == key->what && w->policy == key->policy && (key->policy || w->span == key->span))
            return w;
    }
    if (r->count == RATE_WINDOWS_MAX)
        return NULL;
    r->windows[r->count] = (struct rate_window){.what = key->what, .span = key->span, .policy = key->policy};
    return &r->windows[r->count++];
}

/* The number at the front of a value: "100", "100, 100;w=60", "12.0"; not "-1", which means: unknown. */
static bool leading_number(struct str value, uint64_t *ret)
{
    return take_digits(&value, UINT64_MAX, ret);
}

static const struct word *word_of(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq_nocase(words[i].text, text))
            return &words[i];
    return NULL;
}

/* The words of a name behind its prefix. False if one is not known or it does not tell which figure it is. */
static bool read_name(struct str rest, struct rate_window *key, const struct word **ret_figure)
{
    uint64_t times = 1;

    *ret_figure = NULL;
    while (rest.n) {
        struct str text = str_cut(&rest, '-');
        const struct word *w = word_of(text);
        if (!w && str_to_u64(text, 1000, &times))
            continue;
        if (!w)
            return false;
        if (w->kind == WORD_SPAN)
            key->span = (ns_t)times * w->value * NS_SEC;
        else if (w->kind != WORD_WHAT)
            *ret_figure = w;
        else if (key->what < RATE_INPUT_TOKENS || w->value > RATE_TOKENS) /* "input-tokens" is of input */
            key->what = (enum rate_what)w->value;
    }
    return *ret_figure != NULL;
}

static void read_figure(struct rate_reading *r, const struct rate_window *key, const struct word *figure,
                        struct str value, ns_t now, int64_t wall)
{
    uint64_t number = 0;
    ns_t moment = 0;
    bool is_moment = figure->kind == WORD_RESET;

    if (is_moment ? !read_moment(value, false, now, wall, &moment) : !leading_number(value, &number))
        return;
    struct rate_window *w = window_of(r, key);
    if (!w)
        return;
    if (is_moment) {
        w->has_reset = true;
        w->reset = moment;
    } else if (figure->kind == WORD_LIMIT) {
        w->has_limit = true;
        w->limit = number;
    } else {
        w->has_remaining = true;
        w->remaining = number;
    }
}

static uint64_t hash_of(struct str name)
{
    uint64_t h = 1;

    for (size_t i = 0; i < name.n; i++)
        h = prng_scatter(h ^ (unsigned char)name.p[i]);
    return h ? h : 1;
}

/* One parameter of a policy: r=50 (or remaining=50), t=30 (reset), q=100 (limit), w=60. */
static void read_parameter(struct rate_window *w, struct str key, struct str value, ns_t now)
{
    uint64_t n;

    if (!leading_number(str_trim(value), &n))
        return;
    if (str_eq(key, STR("r")) || str_eq(key, STR("remaining"))) {
        w->has_remaining = true;
        w->remaining = n;
    } else if (str_eq(key, STR("q")) || str_eq(key, STR("limit"))) {
        w->has_limit = true;
        w->limit = n;
    } else if (str_eq(key, STR("t")) || str_eq(key, STR("reset"))) {
        w->has_reset = true;
        w->reset = ns_add(now, clamp((unsigned __int128)n * (uint64_t)NS_SEC));
    } else if (str_eq(key, STR("w"))) {
        w->span = clamp((unsigned __int128)n * (uint64_t)NS_SEC);
    }
}

/*
 * "minute";r=50;t=30, "day";r=900;t=4000 and the like. Policies are in requests unless their name speaks of tokens. The
 * field of drafts before 08, limit=100, remaining=50, reset=30, reads as parameters of a policy without a name.
 */
static void read_policies(struct rate_reading *r, struct str value, ns_t now)
{
    while (value.n) {
        struct str member = str_cut(&value, ',');
        struct str first = str_trim(str_cut(&member, ';'));
        bool named = str_find_char(first, '=') == first.n;
        struct str name = named ? first : STR_NONE;
        bool of_tokens = str_find(name, STR("token")) < name.n;
        struct rate_window *w = window_of(
            r, &(struct rate_window){.what = of_tokens ? RATE_TOKENS : RATE_REQUESTS, .policy = hash_of(name)});
        for (struct str p = named ? str_cut(&member, ';') : first; w && p.n; p = str_cut(&member, ';')) {
            struct str key = str_trim(str_cut(&p, '='));
            read_parameter(w, key, p, now);
        }
    }
}

static bool read_retry(struct rate_reading *r, struct str name, struct str value, ns_t now, int64_t wall)
{
    uint64_t ms;
    ns_t at;

    if (str_eq_nocase(name, STR("retry-after-ms"))) {
        if (!leading_number(value, &ms))
            return true;
        at = ns_add(now, clamp((unsigned __int128)ms * (uint64_t)NS_MS));
        r->has_exact_retry = true;
    } else if (!str_eq_nocase(name, STR("retry-after"))) {
        return false;
    } else if (r->has_exact_retry || !read_moment(value, true, now, wall, &at)) {
        return true;
    }
    r->has_retry = true;
    r->retry_at = at;
    return true;
}

void rate_reading_header(struct rate_reading *r, struct str name, struct str value, ns_t now, int64_t wall)
{
    const struct word *figure;

    if (!name.n || !memchr("arx", ascii_lower(name.p[0]), 3)) /* as all of them begin */
        return;
    value = str_trim(value);
    if (read_retry(r, name, value, now, wall))
        return;
    if (str_eq_nocase(name, STR("ratelimit")) || str_eq_nocase(name, STR("ratelimit-policy"))) {
        read_policies(r, value, now);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        struct rate_window key = {.what = prefixes[i].what};
        if (!str_starts_nocase(name, prefixes[i].text))
            continue;
        if (read_name(rest_of(name, prefixes[i].text.n), &key, &figure))
            read_figure(r, &key, figure, value, now, wall);
        return;
    }
}
