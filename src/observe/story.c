/*
 * story.c - facts in plain words.
 *
 * One request from top to bottom: who asked for what and what came of it; then decisions and attempts in the order in which they happened, with the
 * reason for each step to the next. Words for causes, rules and reasons are those of the policies where those have some; what only this file
 * says stands in its tables, one row per value of the enum.
 *
 * Facts may come out of a log that another version wrote: numbers beyond the tables have no words and are left out.
 */
#include "observe/story.h"

#include "base/log.h"

/* --- numbers --- */

void story_span(ns_t span, struct buf *to)
{
    double s = (double)span / 1e9;

    if (span < 0)
        buf_add_lit(to, "no time");
    else if (span < NS_MS)
        buf_addf(to, "%lld us", (long long)(span / NS_US));
    else if (span < NS_SEC)
        buf_addf(to, span < 100 * NS_MS ? "%.1f ms" : "%.0f ms", (double)span / 1e6);
    else if (span < 120 * NS_SEC)
        buf_addf(to, "%.2f s", s);
    else if (span < 7200 * NS_SEC)
        buf_addf(to, "%lld min %lld s", (long long)(span / NS_SEC / 60), (long long)(span / NS_SEC % 60));
    else
        buf_addf(to, "%lld h %lld min", (long long)(span / NS_SEC / 3600), (long long)(span / NS_SEC / 60 % 60));
}

void story_money(uint64_t nanodollars, struct buf *to)
{
    enum { NANO = 1000000000, CENT_DIGITS = 2 };

    buf_addf(to, "$%llu.%09llu", (unsigned long long)(nanodollars / NANO), (unsigned long long)(nanodollars % NANO));
    for (int cut = 9 - CENT_DIGITS; cut > 0 && to->n && to->p[to->n - 1] == '0'; cut--)
        to->n--;
}

static void add_count(struct buf *to, uint64_t n, const char *one, const char *many)
{
    buf_addf(to, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

static void add_tokens(const struct usage *u, struct buf *to)
{
    if (!u->known)
        return;
    buf_addf(to, "; %llu tokens in", (unsigned long long)u->input);
    if (u->cached_input)
        buf_addf(to, " (%llu from the provider's cache)", (unsigned long long)u->cached_input);
    buf_addf(to, ", %llu out", (unsigned long long)u->output);
    if (u->reasoning)
        buf_addf(to, " (%llu of them reasoning)", (unsigned long long)u->reasoning);
}

static void add_price(uint64_t price, bool is_priced, bool is_estimated, struct buf *to)
{
    if (!is_priced)
        return;
    buf_add(to, is_estimated ? STR("; about ") : STR("; "));
    story_money(price, to);
}

/* What others chose: on a line of a terminal, where it must not end the line or do anything else. */
static void add_text(struct str text, struct buf *to)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i], next = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;
        bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0; /* a control of two bytes, in UTF-8 */
        i += is_c1;
        buf_add_char(to, c < ' ' || c == 0x7f || is_c1 ? ' ' : (char)c);
    }
}

/* Words with such a text between them. */
static void add_with(const char *before, struct str text, const char *behind, struct buf *to)
{
    buf_add(to, str_from_c(before));
    add_text(text, to);
    buf_add(to, str_from_c(behind));
}

/* Our own words, but out of a record that may be of anybody. */
static void add_word(const char *before, const char *word, struct buf *to)
{
    add_with(before, word ? str_from_c(word) : STR_NONE, "", to);
}

/* --- the request --- */

static void tell_asked(const struct facts *f, struct buf *to)
{
    char when[LOG_TIME_MAX];

    log_format_time(f->wall, when);
    add_with("Request ", f->id, " came at ", to);
    add_with(when, STR(": "), "", to);
    add_with("", f->method, " ", to);
    add_text(f->path, to);
    if (f->model.n)
        add_with(", for the model \"", f->model, "\"", to);
    if (f->key.n)
        add_with(", with the key \"", f->key, "\"", to);
    buf_add_lit(to, ".\n");
}

static void tell_outcome(const struct facts *f, struct buf *to)
{
    if (f->status == 499)
        buf_add_lit(to, "The client left after ");
    else
        buf_addf(to, "It was answered with status %d after ", f->status);
    story_span(f->total, to);
    if (f->first_token) {
        buf_add_lit(to, ", the first token came after ");
        story_span(f->first_token, to);
    }
    add_tokens(&f->usage, to);
    add_price(f->price, f->is_priced, f->is_estimated, to);
    buf_add_lit(to, ".\n");
    if (f->error == OK || f->status == 499 || (unsigned)f->error >= ERR_COUNT)
        return;
    add_with("What went wrong: ", f->error_text.n ? f->error_text : str_from_c(err_text(f->error)), "\n", to);
}

static void tell_way(const struct facts *f, struct buf *to)
{
    if (f->model_label.n && (f->attempts || f->rule.n)) {
        if (f->rule.n)
            add_with("The rule \"", f->rule, "\"", to);
        else
            buf_add_lit(to, "The model's name");
        add_with(" led to the route \"", f->model_label, "\"", to);
        buf_addf(to, ", by revision %llu of the configuration.\n", (unsigned long long)f->revision);
    }
    if (f->queued > 0) {
        buf_add_lit(to, "It waited in the queue for ");
        story_span(f->queued, to);
        buf_add_lit(to, ".\n");
    }
    if (f->translated_to && *f->translated_to) {
        add_word("It was translated from ", f->dialect, to);
        add_word(" to ", f->translated_to, to);
        buf_addf(to, ": %llu dropped, %llu emulated, %llu changed.\n", (unsigned long long)f->dropped,
                 (unsigned long long)f->emulated, (unsigned long long)f->changed);
    }
    if (f->continued)
        buf_add_lit(to, "Its answer broke off in the middle and went on elsewhere.\n");
}

/* --- decisions --- */

static const char *exclusion_words(enum exclusion e)
{
    static const char *const words[EXCLUSIONS] = {
        [EXCLUDED_NOT] = "",
        [EXCLUDED_TRIED] = "the request has been tried there",
        [EXCLUDED_CAPABILITY] = "it cannot do what the request needs",
        [EXCLUDED_DATA] = "the data may not go there",
        [EXCLUDED_CONDITION] = "a condition leaves it out",
        [EXCLUDED_DRAINED] = "an operator took it out",
        [EXCLUDED_EJECTED] = "it was ejected for ill health",
        [EXCLUDED_PROBING] = "it is being tried with few requests, and they are under way",
        [EXCLUDED_RATE_LIMIT] = "no credential has enough left of its rate limit",
        [EXCLUDED_CREDENTIAL] = "no credential is accepted there",
        [EXCLUDED_CAPACITY] = "its concurrency limit was reached",
        [EXCLUDED_BUDGET] = "the money set aside for it is spent",
    };

    return (unsigned)e < EXCLUSIONS ? words[e] : "for a reason that this version does not know";
}

static void tell_candidate(const struct decision_candidate *c, const struct decision_facts *d, struct buf *to)
{
    add_with("    ", c->deployment, ": ", to);
    if (c->excluded != EXCLUDED_NOT) {
        buf_addf(to, "left out, %s\n", exclusion_words(c->excluded));
        return;
    }
    buf_addf(to, "score %.6g", c->score);
    add_word(" ", d->unit, to);
    if (c->slow_start > 0 && c->slow_start < 1)
        buf_addf(to, ", with %.0f %% of its weight after an ejection", c->slow_start * 100);
    if (c->in_flight)
        buf_addf(to, ", %llu in flight", (unsigned long long)c->in_flight);
    buf_add(to, str_eq(c->deployment, d->chosen) ? STR(" (chosen)\n") : STR("\n"));
}

static void tell_decision(const struct decision_facts *d, struct buf *to)
{
    buf_addf(to, "Decision for attempt %u", d->attempt);
    add_word(", by ", d->strategy && *d->strategy ? d->strategy : "order", to);
    buf_add_lit(to, " among ");
    add_count(to, d->count, "candidate", "candidates");
    if (d->pool.n)
        add_with(" of ", d->pool, "", to);
    if (d->examined < d->count)
        buf_addf(to, " (%llu looked at)", (unsigned long long)d->examined);
    if (!d->chosen.n)
        buf_add_lit(to, ": none could be chosen");
    else
        add_with(": ", d->chosen, "", to);
    if (d->why && *d->why)
        add_word(", ", d->why, to);
    if (d->chosen.n && d->probability > 0)
        buf_addf(to, "; its chance was %.4g %%", d->probability * 100);
    buf_add_lit(to, ".\n");
    for (size_t i = 0; i < d->candidate_count; i++)
        tell_candidate(&d->candidates[i], d, to);
}

/* --- attempts --- */

static const char *role_words(enum attempt_role r)
{
    static const char *const words[ATTEMPT_ROLES] = {
        [ROLE_FIRST] = "",
        [ROLE_RETRY] = " (again at the same deployment)",
        [ROLE_ELSEWHERE] = " (elsewhere on the route)",
        [ROLE_FALLBACK] = " (a fallback)",
        [ROLE_HEDGE] = " (a hedge, beside one that was late)",
        [ROLE_CONTINUATION] = " (going on with an answer that broke off)",
        [ROLE_SHADOW] = " (a shadow, which the client never sees)",
        [ROLE_PROBE] = " (a probe of health)",
    };

    return (unsigned)r < ATTEMPT_ROLES ? words[r] : "";
}

static const char *stop_words(enum retry_reason r)
{
    static const char *const words[RETRY_REASONS] = {
        [RETRY_GO] = "it was not asked for",
        [RETRY_FINAL] = "it would be the same elsewhere",
        [RETRY_DELIVERED] = "the client had seen a part of the answer",
        [RETRY_SIDE_EFFECT] = "it may have been carried out, and must not be twice",
        [RETRY_ATTEMPTS] = "enough attempts were made",
        [RETRY_NO_BUDGET] = "the route's retry budget was spent",
        [RETRY_NO_TIME] = "there was no time left for it",
        [RETRY_NO_PLACE] = "there was nowhere left to go",
    };

    return (unsigned)r < RETRY_REASONS ? words[r] : "of a reason that this version does not know";
}

static void tell_next(const struct attempt_facts *a, struct buf *to)
{
    static const char *const ways[] = {[RETRY_STOP] = "",
                                       [RETRY_HERE] = "again at the same deployment",
                                       [RETRY_OTHER_KEY] = "again with another credential",
                                       [RETRY_ELSEWHERE] = "at another deployment"};

    if (!a->is_final && a->verb == RETRY_STOP) {
        buf_add_lit(to, "    The attempt beside it went on.\n");
        return;
    }
    if (a->is_final || a->verb == RETRY_STOP) {
        buf_addf(to, "    It was not tried again: %s.\n", stop_words(a->why));
        return;
    }
    if ((unsigned)a->verb >= ARRAY_LEN(ways))
        return;
    buf_addf(to, "    Then it was tried %s", ways[a->verb]);
    if (a->pause > 0) {
        buf_add_lit(to, ", after a pause of ");
        story_span(a->pause, to);
    }
    buf_add_lit(to, ".\n");
}

/* A foreign or damaged record holds any instants. */
static ns_t between(int64_t from, int64_t to)
{
    int64_t span;

    if (__builtin_sub_overflow(to, from, &span))
        return to < from ? -1 : NS_NEVER;
    return span;
}

static void tell_times(const struct facts *f, const struct attempt_facts *a, struct buf *to)
{
    if (f->wall && a->wall >= f->wall) {
        buf_add_lit(to, ", sent after ");
        story_span(between(f->wall, a->wall), to);
    }
    if (a->first) {
        buf_add_lit(to, ", first token after another ");
        story_span(between(a->sent, a->first), to);
    }
    if (a->ended) {
        buf_add_lit(to, ", over ");
        story_span(between(a->sent, a->ended), to);
        buf_add_lit(to, " after it was sent");
    }
}

static void tell_attempt(const struct facts *f, const struct attempt_facts *a, struct buf *to)
{
    bool known = (unsigned)a->cause < CAUSES;

    buf_addf(to, "Attempt %u", a->number);
    add_with(" at ", a->deployment, role_words(a->role), to);
    if (a->credential.n)
        add_with(", credential \"", a->credential, "\"", to);
    tell_times(f, a, to);
    buf_addf(to, ": %s", known ? cause_meaning(a->cause)->words : "a cause that this version does not know");
    if (a->status && a->cause != CAUSE_OK)
        buf_addf(to, " (status %d)", a->status);
    add_tokens(&a->usage, to);
    add_price(a->price, a->is_priced, a->is_estimated, to);
    buf_add_lit(to, ".\n");
    if (a->cause == CAUSE_OK)
        return;
    if (a->error_text.n)
        add_with("    It said: ", a->error_text, "\n", to);
    if (a->cause != CAUSE_CANCELLED && a->cause != CAUSE_SUPERSEDED)
        tell_next(a, to);
}

void story_tell(const struct facts *f, struct buf *to)
{
    size_t decided = 0;

    if (f->wall) {
        tell_asked(f, to);
        tell_outcome(f, to);
        tell_way(f, to);
    } else {
        add_with("Request ", f->id, ": the process ended before it was over.\n", to);
    }
    for (size_t i = 0; i < f->tried_count; i++) {
        for (; decided < f->decision_count && f->decisions[decided].attempt <= f->tried[i].number; decided++)
            tell_decision(&f->decisions[decided], to);
        tell_attempt(f, &f->tried[i], to);
    }
    for (; decided < f->decision_count; decided++)
        tell_decision(&f->decisions[decided], to);
    if (f->decisions_left_out)
        buf_addf(to, "Before the last decision %llu more were made, while it waited; they are not on record.\n",
                 (unsigned long long)f->decisions_left_out);
    if (f->attempts > f->tried_count)
        buf_addf(to, "Of its attempts %zu of %u are on record.\n", f->tried_count, f->attempts);
    else if (f->wall && !f->tried_count)
        buf_add_lit(to, "No deployment was asked.\n");
}

/* --- in a few words --- */

/* The attempt under way or answered is the last; what brought the request there is the failure before it, or its own if it was the end. */
static const struct attempt_facts *last_failure(const struct facts *f)
{
    for (size_t i = f->tried_count; i-- > 0;)
        if (f->tried[i].ended && f->tried[i].cause != CAUSE_OK && f->tried[i].role != ROLE_SHADOW)
            return &f->tried[i];
    return NULL;
}

struct str story_reason(const struct facts *f, struct arena *arena)
{
    const struct attempt_facts *failed = last_failure(f);
    const struct decision_facts *d = f->decision_count ? &f->decisions[f->decision_count - 1] : NULL;

    if (failed) {
        const struct attempt_facts *last = &f->tried[f->tried_count - 1];
        return arena_printf(arena, "%s: %s at %.*s", last == failed ? "failed" : attempt_role_name(last->role),
                            cause_meaning(failed->cause)->name, STR_ARG(failed->deployment));
    }
    if (!d || !d->strategy)
        return STR_NONE;
    struct str strategy = str_from_c(d->strategy);
    if (!d->why)
        return strategy;
    return arena_join(arena, arena_join(arena, strategy, STR(": ")), str_from_c(d->why));
}
