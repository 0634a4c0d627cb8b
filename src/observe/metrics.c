/*
 * metrics.c - series, histograms, and their text form.
 *
 * Series hang in a map by "endpoint\0model\0deployment", attempts, decisions and translations in maps of their own. Histograms have fixed bounds, chosen for the spans that matter here:
 * answers of models take from milliseconds to minutes, the gateway's own share takes microseconds. Names follow Prometheus' conventions: base
 * units, _total for counters.
 */
#include "observe/metrics.h"

#include "base/histogram.h"
#include "base/map.h"
#include "base/mem.h"

enum { MAX_SERIES = 5000, MAX_STATUS = 12, KEY_MAX = 512, LABELS_MAX = 4 * KEY_MAX };

static const ns_t answer_spans[] = {
    NS_MS,       5 * NS_MS / 2, 5 * NS_MS,    10 * NS_MS,     25 * NS_MS,   50 * NS_MS,  100 * NS_MS,
    250 * NS_MS, 500 * NS_MS,   NS_SEC,       5 * NS_SEC / 2, 5 * NS_SEC,   10 * NS_SEC, 20 * NS_SEC,
    30 * NS_SEC, 60 * NS_SEC,   120 * NS_SEC, 300 * NS_SEC,   600 * NS_SEC,
};
static const ns_t overhead_spans[] = {
    5 * NS_US,   10 * NS_US,  20 * NS_US, 35 * NS_US,    50 * NS_US, 75 * NS_US, 100 * NS_US, 150 * NS_US,
    250 * NS_US, 500 * NS_US, NS_MS,      5 * NS_MS / 2, 5 * NS_MS,  10 * NS_MS, 25 * NS_MS,  100 * NS_MS,
};

static const struct histogram_bounds answer_bounds = {answer_spans, ARRAY_LEN(answer_spans)},
                                     overhead_bounds = {overhead_spans, ARRAY_LEN(overhead_spans)};

struct status_count {
    int status;
    uint64_t count;
};

struct series {
    struct str key;                           /* "endpoint\0model\0deployment", owned */
    struct str endpoint, model, deployment;   /* slices of key             */
    struct status_count statuses[MAX_STATUS]; /* the last slot takes what does not fit: status 0 */
    struct histogram total, first_token, overhead;
    uint64_t input, output, cached_input, reasoning, unknown_usage, streams;
    uint64_t bytes_in, bytes_out;
    struct histogram queued; /* those that waited */
    uint64_t continued;
};

/* What is counted for two names begins with them. */
struct pair {
    struct str key;           /* "first\0second", owned */
    struct str first, second; /* slices of key          */
};

struct attempts {
    struct pair of; /* deployment, provider */
    uint64_t count[ATTEMPT_OUTCOMES];
    uint64_t roles[ATTEMPT_ROLES], causes[CAUSES], stops[RETRY_REASONS];
    uint64_t price, unpriced; /* nano-US-dollars; attempts that used tokens of no known price */
};

struct decisions {
    struct pair of; /* route, strategy */
    uint64_t count, without_choice, excluded[EXCLUSIONS];
};

struct probes {
    struct pair of; /* deployment, provider */
    uint64_t count[CAUSES];
    uint64_t price; /* nano-US-dollars */
};

struct translations {
    struct pair of; /* client's dialect, provider */
    uint64_t requests, dropped, emulated, changed;
};

struct rule_counts {
    struct pair of; /* rule, nothing */
    uint64_t held, failed;
};

struct credential_entry {
    struct pair of; /* provider, credential */
    struct credential_numbers numbers;
};

struct metrics {
    struct map series, attempts, decisions, probes, translations, rules, credentials;
    struct series *last; /* that were counted last: most often they are the next, too */
    struct attempts *last_attempts;
    struct decisions *last_decisions;
    struct translations *last_translations;
};

static const char *const outcome_names[ATTEMPT_OUTCOMES] = {
    [ATTEMPT_OK] = "ok",           [ATTEMPT_CONNECT] = "connect",
    [ATTEMPT_TIMEOUT] = "timeout", [ATTEMPT_RATE_LIMITED] = "rate_limited",
    [ATTEMPT_REFUSED] = "refused", [ATTEMPT_SERVER_ERROR] = "server_error",
    [ATTEMPT_BROKEN] = "broken",   [ATTEMPT_CANCELLED] = "cancelled",
};

struct metrics *metrics_new(void)
{
    return NEW(struct metrics);
}

/* Entries, their keys, and the map. */
static void free_entries(struct map *map)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(map, &at, &key, &value);) {
        mem_free((void *)key.p);
        mem_free(value);
    }
    map_release(map);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    free_entries(&m->series);
    free_entries(&m->attempts);
    free_entries(&m->decisions);
    free_entries(&m->probes);
    free_entries(&m->translations);
    free_entries(&m->rules);
    free_entries(&m->credentials);
    mem_free(m);
}

enum { KEY_PARTS = 3 };

/* Join names with NULs between them; names too long for the buffer are cut. */
static struct str join_key(char key[KEY_MAX], const struct str parts[KEY_PARTS])
{
    size_t n = 0;

    for (size_t i = 0; i < KEY_PARTS; i++) {
        size_t take = parts[i].n < KEY_MAX / KEY_PARTS - 1 ? parts[i].n : KEY_MAX / KEY_PARTS - 1;
        if (take)
            memcpy(key + n, parts[i].p, take);
        n += take;
        key[n++] = '\0';
    }
    return str_of(key, n - 1);
}

/* The entry for these names, in a full map the one for `others`. If there is none yet: NULL, and its key, which the new entry owns. */
static void *look_up(const struct map *map, const struct str parts[KEY_PARTS], const struct str others[KEY_PARTS],
                     struct str *ret_key)
{
    char text[KEY_MAX];
    struct str key = join_key(text, parts);
    void *found = map_get(map, key);

    if (!found && map->count >= MAX_SERIES) {
        key = join_key(text, others);
        found = map_get(map, key);
    }
    if (!found)
        *ret_key = str_of(mem_dup(key.p, key.n), key.n);
    return found;
}

static struct series *look_up_series(struct metrics *m, struct str endpoint, struct str model, struct str deployment)
{
    const struct str parts[KEY_PARTS] = {endpoint, model, deployment};
    const struct str others[KEY_PARTS] = {endpoint, STR("other"), STR("other")};
    struct str key;
    struct series *s = look_up(&m->series, parts, others, &key);

    if (s)
        return s;
    s = NEW(struct series);
    s->key = key;
    s->endpoint = str_cut(&key, '\0');
    s->model = str_cut(&key, '\0');
    s->deployment = key;
    map_put(&m->series, s->key, s);
    return s;
}

/* The entry of `size` bytes for two names, `last` if it is that one; in a full map the one for `other` and "other". */
static void *find_pair(struct map *map, void *last, const struct pair *want, struct str other, size_t size)
{
    const struct str parts[KEY_PARTS] = {want->first, want->second};
    const struct str others[KEY_PARTS] = {other, STR("other")};
    const struct pair *at = last;
    struct str key;

    if (at && str_eq(at->first, want->first) && str_eq(at->second, want->second))
        return last;
    struct pair *p = look_up(map, parts, others, &key);
    if (p)
        return p;
    p = mem_zalloc(1, size);
    p->key = key;
    p->first = str_cut(&key, '\0');
    p->second = str_cut(&key, '\0');
    map_put(map, p->key, p);
    return p;
}

static struct series *find_series(struct metrics *m, struct str endpoint, struct str model, struct str deployment)
{
    struct series *s = m->last;

    if (!s || !str_eq(s->model, model) || !str_eq(s->deployment, deployment) || !str_eq(s->endpoint, endpoint))
        m->last = look_up_series(m, endpoint, model, deployment);
    return m->last;
}

static struct attempts *find_attempts(struct metrics *m, const struct pair *of)
{
    return m->last_attempts = find_pair(&m->attempts, m->last_attempts, of, STR("other"), sizeof *m->last_attempts);
}

static struct decisions *find_decisions(struct metrics *m, const struct pair *of)
{
    return m->last_decisions = find_pair(&m->decisions, m->last_decisions, of, STR("other"), sizeof *m->last_decisions);
}

static struct probes *find_probes(struct metrics *m, const struct pair *of)
{
    return find_pair(&m->probes, NULL, of, STR("other"), sizeof(struct probes));
}

static struct translations *find_translations(struct metrics *m, const struct pair *of)
{
    return m->last_translations =
               find_pair(&m->translations, m->last_translations, of, of->first, sizeof *m->last_translations);
}

static void count_status(struct series *s, int status, uint64_t n)
{
    struct status_count *c = s->statuses;

    while (c < &s->statuses[MAX_STATUS - 1] && c->status && c->status != status)
        c++;
    if (c < &s->statuses[MAX_STATUS - 1])
        c->status = status;
    c->count += n;
}

static void count_translation(struct metrics *m, const struct facts *f)
{
    struct translations *t =
        find_translations(m, &(struct pair){.first = str_from_c(f->dialect), .second = f->provider});

    t->requests++;
    t->dropped += f->dropped;
    t->emulated += f->emulated;
    t->changed += f->changed;
}

static void count_attempt(struct metrics *m, const struct attempt_facts *f)
{
    struct attempts *a = find_attempts(m, &(struct pair){.first = f->label, .second = f->provider});

    a->roles[f->role]++;
    a->causes[f->cause]++;
    a->price += f->price;
    a->unpriced += !f->is_priced && f->usage.known;
    if (f->is_final && f->cause != CAUSE_OK)
        a->stops[f->why]++;
}

static void count_decision(struct metrics *m, const struct decision_facts *f)
{
    struct decisions *d = find_decisions(m, &(struct pair){.first = f->route, .second = str_from_c(f->strategy)});

    d->count++;
    d->without_choice += !f->chosen.n;
    for (size_t i = 0; i < f->candidate_count; i++)
        d->excluded[f->candidates[i].excluded] += f->candidates[i].excluded != EXCLUDED_NOT;
}

void metrics_request(struct metrics *m, const struct facts *f)
{
    struct series *s = find_series(m, str_from_c(f->endpoint), f->model_label, f->deployment);

    count_status(s, f->status, 1);
    histogram_add(&s->total, &answer_bounds, f->total);
    if (f->first_token)
        histogram_add(&s->first_token, &answer_bounds, f->first_token);
    if (f->attempts)
        histogram_add(&s->overhead, &overhead_bounds, f->overhead);
    if (f->usage.known) {
        s->input += f->usage.input;
        s->output += f->usage.output;
        s->cached_input += f->usage.cached_input;
        s->reasoning += f->usage.reasoning;
    } else if (f->status == 200 && f->attempts) {
        s->unknown_usage++;
    }
    s->streams += f->stream;
    s->bytes_in += f->bytes_in;
    s->bytes_out += f->bytes_out;
    s->continued += f->continued;
    if (f->queued > 0)
        histogram_add(&s->queued, &answer_bounds, f->queued);
    if (f->translated_to)
        count_translation(m, f);
    for (size_t i = 0; i < f->tried_count; i++)
        count_attempt(m, &f->tried[i]);
    for (size_t i = 0; i < f->decision_count; i++)
        count_decision(m, &f->decisions[i]);
}

void metrics_attempt(struct metrics *m, struct str deployment, struct str provider, enum attempt_outcome outcome)
{
    find_attempts(m, &(struct pair){.first = deployment, .second = provider})->count[outcome]++;
}

static struct rule_counts *find_rule(struct metrics *m, struct str rule)
{
    return find_pair(&m->rules, NULL, &(struct pair){.first = rule}, STR("other"), sizeof(struct rule_counts));
}

void metrics_rule(struct metrics *m, struct str rule, bool held)
{
    struct rule_counts *c = find_rule(m, rule);

    c->held += held;
    c->failed += !held;
}

void metrics_beside(struct metrics *m, const struct attempt_facts *f)
{
    if (f->role != ROLE_PROBE) {
        count_attempt(m, f);
        return;
    }
    struct probes *p = find_probes(m, &(struct pair){.first = f->label, .second = f->provider});

    p->count[f->cause]++;
    p->price += f->price;
}

static void merge_series(struct series *into, const struct series *from)
{
    for (size_t i = 0; i < MAX_STATUS; i++)
        if (from->statuses[i].count)
            count_status(into, from->statuses[i].status, from->statuses[i].count);
    histogram_merge(&into->total, &from->total);
    histogram_merge(&into->first_token, &from->first_token);
    histogram_merge(&into->overhead, &from->overhead);
    into->input += from->input;
    into->output += from->output;
    into->cached_input += from->cached_input;
    into->reasoning += from->reasoning;
    into->unknown_usage += from->unknown_usage;
    into->streams += from->streams;
    into->bytes_in += from->bytes_in;
    into->bytes_out += from->bytes_out;
    histogram_merge(&into->queued, &from->queued);
    into->continued += from->continued;
}

static void add_all(uint64_t *into, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        into[i] += from[i];
}

static void merge_attempts(struct attempts *into, const struct attempts *from)
{
    add_all(into->count, from->count, ATTEMPT_OUTCOMES);
    add_all(into->roles, from->roles, ATTEMPT_ROLES);
    add_all(into->causes, from->causes, CAUSES);
    add_all(into->stops, from->stops, RETRY_REASONS);
    into->price += from->price;
    into->unpriced += from->unpriced;
}

static void merge_decisions(struct decisions *into, const struct decisions *from)
{
    into->count += from->count;
    into->without_choice += from->without_choice;
    add_all(into->excluded, from->excluded, EXCLUSIONS);
}

void metrics_merge(struct metrics *into, const struct metrics *from)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&from->series, &at, &key, &value);) {
        const struct series *s = value;
        merge_series(find_series(into, s->endpoint, s->model, s->deployment), s);
    }
    for (size_t at = 0; map_next(&from->attempts, &at, &key, &value);) {
        const struct attempts *a = value;
        merge_attempts(find_attempts(into, &a->of), a);
    }
    for (size_t at = 0; map_next(&from->decisions, &at, &key, &value);) {
        const struct decisions *d = value;
        merge_decisions(find_decisions(into, &d->of), d);
    }
    for (size_t at = 0; map_next(&from->probes, &at, &key, &value);) {
        const struct probes *p = value;
        struct probes *sum = find_probes(into, &p->of);
        for (size_t i = 0; i < CAUSES; i++)
            sum->count[i] += p->count[i];
        sum->price += p->price;
    }
    for (size_t at = 0; map_next(&from->translations, &at, &key, &value);) {
        const struct translations *t = value;
        struct translations *sum = find_translations(into, &t->of);
        sum->requests += t->requests;
        sum->dropped += t->dropped;
        sum->emulated += t->emulated;
        sum->changed += t->changed;
    }
    for (size_t at = 0; map_next(&from->rules, &at, &key, &value);) {
        const struct rule_counts *r = value;
        struct rule_counts *sum = find_rule(into, r->of.first);
        sum->held += r->held;
        sum->failed += r->failed;
    }
}

void metrics_credential(struct metrics *m, struct str provider, struct str credential,
                        const struct credential_numbers *n)
{
    struct pair of = {.first = provider, .second = credential};
    struct credential_entry *e = find_pair(&m->credentials, NULL, &of, STR("other"), sizeof *e);

    e->numbers = *n;
}

void gauges_merge(struct gauges *into, const struct gauges *from)
{
    into->in_flight += from->in_flight;
    into->connections += from->connections;
    into->idle_connections += from->idle_connections;
    into->upstream_open += from->upstream_open;
    into->upstream_idle += from->upstream_idle;
    into->upstream_waiting += from->upstream_waiting;
    into->fibers += from->fibers;
    into->sockets += from->sockets;
    into->stack_bytes += from->stack_bytes;
    into->upstream_connects += from->upstream_connects;
    into->upstream_connect_failures += from->upstream_connect_failures;
    into->upstream_reused += from->upstream_reused;
    into->upstream_stale_retries += from->upstream_stale_retries;
    into->accepted += from->accepted;
    into->refused += from->refused;
    into->busy += from->busy;
    if (from->lag_max > into->lag_max)
        into->lag_max = from->lag_max;
}

/* --- the text form --- */

static void add_family(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_addf(b, "# HELP crossdock_%s %s\n# TYPE crossdock_%s %s\n", name, help, name, type);
}

/* A label value: backslash, quote and line feed escaped. */
static void add_label_value(struct buf *b, struct str v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\n') {
            buf_add_lit(b, "\\n");
            continue;
        }
        if (v.p[i] == '"' || v.p[i] == '\\')
            buf_add_char(b, '\\');
        buf_add_char(b, v.p[i]);
    }
}

static void add_labels(struct buf *b, const struct series *s)
{
    buf_add_lit(b, "endpoint=\"");
    add_label_value(b, s->endpoint);
    buf_add_lit(b, "\",model=\"");
    add_label_value(b, s->model);
    buf_add_lit(b, "\",deployment=\"");
    add_label_value(b, s->deployment);
    buf_add_lit(b, "\"");
}

static void add_histogram(struct buf *b, const char *name, const struct series *s, const struct histogram *h,
                          const struct histogram_bounds *bounds)
{
    struct buf labels CLEANUP(buf_release) = BUF_INIT(LABELS_MAX);

    add_labels(&labels, s);
    histogram_print(h, bounds, name, buf_str(&labels), b);
}

typedef void series_fn(struct buf *b, const struct series *s);

static void each_series(const struct metrics *m, struct buf *b, series_fn *fn)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->series, &at, &key, &value);)
        fn(b, value);
}

static void add_requests(struct buf *b, const struct series *s)
{
    for (size_t i = 0; i < MAX_STATUS; i++) {
        if (!s->statuses[i].count)
            continue;
        buf_add_lit(b, "crossdock_requests_total{");
        add_labels(b, s);
        buf_addf(b, ",status=\"%d\"} %llu\n", s->statuses[i].status, (unsigned long long)s->statuses[i].count);
    }
}

static void add_total(struct buf *b, const struct series *s)
{
    add_histogram(b, "request_duration_seconds", s, &s->total, &answer_bounds);
}

static void add_first_token(struct buf *b, const struct series *s)
{
    add_histogram(b, "time_to_first_token_seconds", s, &s->first_token, &answer_bounds);
}

static void add_overhead(struct buf *b, const struct series *s)
{
    add_histogram(b, "gateway_overhead_seconds", s, &s->overhead, &overhead_bounds);
}

static void add_counter(struct buf *b, const char *name, const struct series *s, const char *extra, uint64_t value)
{
    if (!value)
        return;
    buf_addf(b, "crossdock_%s{", name);
    add_labels(b, s);
    buf_addf(b, "%s} %llu\n", extra, (unsigned long long)value);
}

static void add_tokens(struct buf *b, const struct series *s)
{
    add_counter(b, "tokens_total", s, ",kind=\"input\"", s->input);
    add_counter(b, "tokens_total", s, ",kind=\"output\"", s->output);
    add_counter(b, "tokens_total", s, ",kind=\"cached_input\"", s->cached_input);
    add_counter(b, "tokens_total", s, ",kind=\"reasoning\"", s->reasoning);
}

static void add_unknown_usage(struct buf *b, const struct series *s)
{
    add_counter(b, "answers_without_usage_total", s, "", s->unknown_usage);
}

static void add_streams(struct buf *b, const struct series *s)
{
    add_counter(b, "streams_total", s, "", s->streams);
}

static void add_queued(struct buf *b, const struct series *s)
{
    add_histogram(b, "queue_seconds", s, &s->queued, &answer_bounds);
}

static void add_continued(struct buf *b, const struct series *s)
{
    add_counter(b, "continued_answers_total", s, "", s->continued);
}

static void add_bytes(struct buf *b, const struct series *s)
{
    add_counter(b, "body_bytes_total", s, ",direction=\"in\"", s->bytes_in);
    add_counter(b, "body_bytes_total", s, ",direction=\"out\"", s->bytes_out);
}

static void add_attempts(struct buf *b, const struct metrics *m)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->attempts, &at, &key, &value);) {
        const struct attempts *a = value;
        for (size_t i = 0; i < ATTEMPT_OUTCOMES; i++) {
            if (!a->count[i])
                continue;
            buf_add_lit(b, "crossdock_attempts_total{deployment=\"");
            add_label_value(b, a->of.first);
            buf_add_lit(b, "\",provider=\"");
            add_label_value(b, a->of.second);
            buf_addf(b, "\",outcome=\"%s\"} %llu\n", outcome_names[i], (unsigned long long)a->count[i]);
        }
    }
}

static void add_probes(struct buf *b, const struct metrics *m)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->probes, &at, &key, &value);) {
        const struct probes *p = value;
        for (enum cause i = 0; i < CAUSES; i++) {
            if (!p->count[i])
                continue;
            buf_add_lit(b, "crossdock_probes_total{deployment=\"");
            add_label_value(b, p->of.first);
            buf_add_lit(b, "\",provider=\"");
            add_label_value(b, p->of.second);
            buf_addf(b, "\",cause=\"%s\"} %llu\n", cause_meaning(i)->name, (unsigned long long)p->count[i]);
        }
    }
}

static void add_probe_prices(struct buf *b, const struct metrics *m)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->probes, &at, &key, &value);) {
        const struct probes *p = value;
        if (!p->price)
            continue;
        buf_add_lit(b, "crossdock_probe_cost_dollars_total{deployment=\"");
        add_label_value(b, p->of.first);
        buf_add_lit(b, "\",provider=\"");
        add_label_value(b, p->of.second);
        buf_addf(b, "\"} %.9f\n", (double)p->price / 1e9);
    }
}

static void add_credential_labels(struct buf *b, const char *name, const struct credential_entry *e)
{
    buf_addf(b, "crossdock_credential_%s{provider=\"", name);
    add_label_value(b, e->of.first);
    buf_add_lit(b, "\",credential=\"");
    add_label_value(b, e->of.second);
    buf_add_lit(b, "\"} ");
}

static void add_credential_family(struct buf *b, const struct metrics *m, const char *name, size_t offset)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->credentials, &at, &key, &value);) {
        const struct credential_entry *e = value;
        uint64_t count;
        memcpy(&count, (const char *)&e->numbers + offset, sizeof count);
        add_credential_labels(b, name, e);
        buf_addf(b, "%llu\n", (unsigned long long)count);
    }
}

static void add_credential_state(struct buf *b, const struct metrics *m, bool headroom)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->credentials, &at, &key, &value);) {
        const struct credential_entry *e = value;
        add_credential_labels(b, headroom ? "headroom_ratio" : "usable", e);
        if (headroom)
            buf_addf(b, "%g\n", e->numbers.headroom);
        else
            buf_addf(b, "%d\n", e->numbers.is_usable);
    }
}

static void add_credentials(struct buf *b, const struct metrics *m)
{
    add_family(b, "credential_usable", "gauge", "Whether a provider's credential is neither refused nor at rest.");
    add_credential_state(b, m, false);
    add_family(b, "credential_headroom_ratio", "gauge", "Least share of its rate limits that a credential has left.");
    add_credential_state(b, m, true);
    add_family(b, "credential_requests_total", "counter", "Requests sent with a credential.");
    add_credential_family(b, m, "requests_total", offsetof(struct credential_numbers, requests));
    add_family(b, "credential_rate_limited_total", "counter",
               "Answers that a credential's limits or quota are used up.");
    add_credential_family(b, m, "rate_limited_total", offsetof(struct credential_numbers, rate_limited));
    add_family(b, "credential_refused_total", "counter", "Answers that a credential is not accepted.");
    add_credential_family(b, m, "refused_total", offsetof(struct credential_numbers, refused));
}

/* --- of attempts and decisions: labels are two names, and perhaps a word --- */

struct pair_family {
    const char *name, *help;
    const char *first, *second, *word; /* labels; word NULL: there are two */
};

/* crossdock_NAME{FIRST="…",SECOND="…",WORD="…"} VALUE, unless it is zero. */
static void add_pair_line(struct buf *b, const struct pair_family *f, const struct pair *of, const char *word,
                          uint64_t value)
{
    if (!value)
        return;
    buf_addf(b, "crossdock_%s{%s=\"", f->name, f->first);
    add_label_value(b, of->first);
    buf_addf(b, "\",%s=\"", f->second);
    add_label_value(b, of->second);
    if (f->word)
        buf_addf(b, "\",%s=\"%s", f->word, word);
    buf_addf(b, "\"} %llu\n", (unsigned long long)value);
}

typedef void entry_fn(struct buf *b, const struct pair_family *f, const void *entry);

static void add_pair_family(struct buf *b, const struct map *entries, const struct pair_family *f, entry_fn *fn)
{
    struct str key;
    void *value;

    add_family(b, f->name, "counter", f->help);
    for (size_t at = 0; map_next(entries, &at, &key, &value);)
        fn(b, f, value);
}

static void add_roles(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct attempts *a = entry;

    for (int i = 0; i < ATTEMPT_ROLES; i++)
        add_pair_line(b, f, &a->of, attempt_role_name((enum attempt_role)i), a->roles[i]);
}

static void add_causes(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct attempts *a = entry;

    for (int i = 0; i < CAUSES; i++)
        add_pair_line(b, f, &a->of, cause_meaning((enum cause)i)->name, a->causes[i]);
}

static void add_stops(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct attempts *a = entry;

    for (int i = 0; i < RETRY_REASONS; i++)
        add_pair_line(b, f, &a->of, retry_reason_name((enum retry_reason)i), a->stops[i]);
}

static void add_unpriced(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct attempts *a = entry;

    add_pair_line(b, f, &a->of, NULL, a->unpriced);
}

static void add_cost(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct attempts *a = entry;

    if (!a->price)
        return;
    buf_addf(b, "crossdock_%s{%s=\"", f->name, f->first);
    add_label_value(b, a->of.first);
    buf_addf(b, "\",%s=\"", f->second);
    add_label_value(b, a->of.second);
    buf_addf(b, "\"} %.9f\n", (double)a->price / 1e9);
}

static void add_decisions(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct decisions *d = entry;

    add_pair_line(b, f, &d->of, NULL, d->count);
}

static void add_without_choice(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct decisions *d = entry;

    add_pair_line(b, f, &d->of, NULL, d->without_choice);
}

static void add_exclusions(struct buf *b, const struct pair_family *f, const void *entry)
{
    const struct decisions *d = entry;

    for (int i = 0; i < EXCLUSIONS; i++)
        add_pair_line(b, f, &d->of, exclusion_name((enum exclusion)i), d->excluded[i]);
}

static void add_pairs(struct buf *b, const struct metrics *m)
{
    static const struct {
        struct pair_family of;
        entry_fn *fn;
    } of_attempts[] =
        {
            {{"attempts_by_role_total", "Attempts by what they were for.", "deployment", "provider", "role"},
             add_roles},
            {{"attempts_by_cause_total", "Attempts by why they ended.", "deployment", "provider", "cause"}, add_causes},
            {{"retries_stopped_total", "Failed attempts that were not followed by another, by the reason.",
              "deployment", "provider", "reason"},
             add_stops},
            {{"cost_dollars_total", "Price of attempts, in US dollars.", "deployment", "provider", NULL}, add_cost},
            {{"unpriced_attempts_total", "Attempts that used tokens whose price is not known.", "deployment",
              "provider", NULL},
             add_unpriced},
        },
      of_decisions[] = {
          {{"decisions_total", "Choices among deployments.", "route", "strategy", NULL}, add_decisions},
          {{"decisions_without_choice_total", "Choices in which every candidate was left out.", "route", "strategy",
            NULL},
           add_without_choice},
          {{"exclusions_total", "Candidates that were left out of a choice, of those looked at first.", "route",
            "strategy", "rule"},
           add_exclusions},
      };

    for (size_t i = 0; i < ARRAY_LEN(of_attempts); i++)
        add_pair_family(b, &m->attempts, &of_attempts[i].of, of_attempts[i].fn);
    for (size_t i = 0; i < ARRAY_LEN(of_decisions); i++)
        add_pair_family(b, &m->decisions, &of_decisions[i].of, of_decisions[i].fn);
}

static void add_translation_counter(struct buf *b, const char *name, const struct translations *t, const char *extra,
                                    uint64_t value)
{
    if (!value)
        return;
    buf_addf(b, "crossdock_%s{client=\"", name);
    add_label_value(b, t->of.first);
    buf_add_lit(b, "\",provider=\"");
    add_label_value(b, t->of.second);
    buf_addf(b, "\"%s} %llu\n", extra, (unsigned long long)value);
}

static void add_translated_requests(struct buf *b, const struct metrics *m)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->translations, &at, &key, &value);) {
        const struct translations *t = value;
        add_translation_counter(b, "translated_requests_total", t, "", t->requests);
    }
}

static void add_losses(struct buf *b, const struct metrics *m)
{
    static const char name[] = "translation_losses_total";
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->translations, &at, &key, &value);) {
        const struct translations *t = value;
        add_translation_counter(b, name, t, ",kind=\"dropped\"", t->dropped);
        add_translation_counter(b, name, t, ",kind=\"emulated\"", t->emulated);
        add_translation_counter(b, name, t, ",kind=\"changed\"", t->changed);
    }
}

static void add_rule_counter(struct buf *b, const struct rule_counts *r, const char *result, uint64_t value)
{
    if (!value)
        return;
    buf_add_lit(b, "crossdock_routes_total{route=\"");
    add_label_value(b, r->of.first);
    buf_addf(b, "\",result=\"%s\"} %llu\n", result, (unsigned long long)value);
}

static void add_rules(struct buf *b, const struct metrics *m)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&m->rules, &at, &key, &value);) {
        add_rule_counter(b, value, "taken", ((const struct rule_counts *)value)->held);
        add_rule_counter(b, value, "failed", ((const struct rule_counts *)value)->failed);
    }
}

static void add_number(struct buf *b, const char *name, const char *type, const char *help, uint64_t value)
{
    add_family(b, name, type, help);
    buf_addf(b, "crossdock_%s %llu\n", name, (unsigned long long)value);
}

static void add_seconds(struct buf *b, const char *name, const char *type, const char *help, double value)
{
    add_family(b, name, type, help);
    buf_addf(b, "crossdock_%s %.6f\n", name, value);
}

static void add_gauges(struct buf *b, const struct gauges *g)
{
    add_number(b, "requests_in_flight", "gauge", "Requests being handled now.", g->in_flight);
    add_number(b, "client_connections", "gauge", "Open client connections.", g->connections);
    add_number(b, "client_connections_idle", "gauge", "Client connections without a request.", g->idle_connections);
    add_number(b, "client_connections_accepted_total", "counter", "Client connections accepted.", g->accepted);
    add_number(b, "protocol_refusals_total", "counter", "Requests refused for their protocol or a limit.", g->refused);
    add_number(b, "upstream_connections", "gauge", "Open connections to providers.", g->upstream_open);
    add_number(b, "upstream_connections_idle", "gauge", "Idle connections to providers.", g->upstream_idle);
    add_number(b, "upstream_waiting", "gauge", "Calls waiting for a connection to a provider.", g->upstream_waiting);
    add_number(b, "upstream_connects_total", "counter", "Connections dialed to providers.", g->upstream_connects);
    add_number(b, "upstream_connect_failures_total", "counter", "Dials to providers that failed.",
               g->upstream_connect_failures);
    add_number(b, "upstream_reused_total", "counter", "Calls on a kept connection.", g->upstream_reused);
    add_number(b, "upstream_stale_retries_total", "counter", "Kept connections found closed and replaced.",
               g->upstream_stale_retries);
    add_number(b, "fibers", "gauge", "Fibers alive.", g->fibers);
    add_number(b, "sockets", "gauge", "Sockets open.", g->sockets);
    add_number(b, "stack_address_space_bytes", "gauge", "Address space of fiber stacks.", g->stack_bytes);
    add_seconds(b, "loop_lag_seconds_max", "gauge", "Longest turn of any loop since the last scrape.",
                (double)g->lag_max / 1e9);
    add_seconds(b, "loop_busy_seconds_total", "counter", "Time that loops spent outside waiting.",
                (double)g->busy / 1e9);
}

static void add_process(struct buf *b, const struct process_numbers *p)
{
    add_family(b, "build_info", "gauge", "Version, as a label.");
    buf_addf(b, "crossdock_build_info{version=\"%s\"} 1\n", p->version);
    add_number(b, "resident_memory_bytes", "gauge", "Resident memory of the process.", p->resident_bytes);
    add_seconds(b, "cpu_seconds_total", "counter", "Processor time of the process.", p->cpu_seconds);
    add_seconds(b, "uptime_seconds", "gauge", "Time since start.", p->uptime_seconds);
    add_number(b, "loops", "gauge", "Event loops.", p->loops);
    add_number(b, "config_revision", "gauge", "Revision of the configuration in use.", p->revision);
    add_number(b, "config_reloads_total", "counter", "Configurations installed since start.", p->reloads);
    add_number(b, "config_reload_failures_total", "counter", "Configurations refused since start.", p->reload_failures);
    add_number(b, "log_lines_dropped_total", "counter", "Log lines dropped because the writer was behind.",
               p->log_dropped);
    add_number(b, "watchdog_reports_total", "counter", "Times that a loop held on to one fiber for too long.",
               p->watchdog_reports);
    add_number(b, "facts_lost_total", "counter", "Records of facts that were lost to a slow or failing disk.",
               p->facts_lost);
}

void metrics_labelled(struct buf *to, const char *name, const char *label, struct str value, const char *more,
                      double number)
{
    buf_addf(to, "crossdock_%s{%s=\"", name, label);
    add_label_value(to, value);
    buf_addf(to, "\"%s} %.15g\n", more, number);
}

void metrics_render(const struct metrics *m, const struct gauges *g, const struct process_numbers *p, struct buf *to)
{
    add_family(to, "requests_total", "counter", "Requests answered, by status; 499: the client left.");
    each_series(m, to, add_requests);
    add_family(to, "attempts_total", "counter", "Attempts at deployments, by outcome.");
    add_attempts(to, m);
    add_family(to, "probes_total", "counter", "Probes of deployments' health, by what they ended with.");
    add_probes(to, m);
    add_family(to, "probe_cost_dollars_total", "counter",
               "What probes for a token are taken to have cost, in US dollars.");
    add_probe_prices(to, m);
    add_family(to, "request_duration_seconds", "histogram", "First byte in to last byte out.");
    each_series(m, to, add_total);
    add_family(to, "time_to_first_token_seconds", "histogram", "First byte in to first content out.");
    each_series(m, to, add_first_token);
    add_family(to, "gateway_overhead_seconds", "histogram", "Time added by the gateway before the answer began.");
    each_series(m, to, add_overhead);
    add_family(to, "queue_seconds", "histogram", "Time in our own queue, of requests that waited.");
    each_series(m, to, add_queued);
    add_family(to, "continued_answers_total", "counter", "Answers that broke off and went on elsewhere.");
    each_series(m, to, add_continued);
    add_family(to, "tokens_total", "counter", "Tokens as told by providers; cached and reasoning are parts of them.");
    each_series(m, to, add_tokens);
    add_family(to, "answers_without_usage_total", "counter", "Answers whose provider told no token counts.");
    each_series(m, to, add_unknown_usage);
    add_family(to, "streams_total", "counter", "Requests answered as a stream.");
    each_series(m, to, add_streams);
    add_family(to, "body_bytes_total", "counter", "Bytes of bodies, from and to clients.");
    each_series(m, to, add_bytes);
    add_pairs(to, m);
    add_family(to, "translated_requests_total", "counter",
               "Requests said to their provider in another dialect than the client's, by the client's dialect.");
    add_translated_requests(to, m);
    add_family(to, "translation_losses_total", "counter",
               "Places of translated requests that were dropped, emulated or changed.");
    add_losses(to, m);
    add_family(to, "routes_total", "counter",
               "Requests that a route's rule took, and conditions that could not be evaluated.");
    add_rules(to, m);
    add_credentials(to, m);
    add_gauges(to, g);
    add_process(to, p);
    if (p->more)
        p->more(p->more_ctx, to);
}

void metrics_add_family(struct buf *b, const char *name, const char *type, const char *help)
{
    add_family(b, name, type, help);
}

void metrics_add_label_value(struct buf *b, struct str v)
{
    add_label_value(b, v);
}
