/*
 * prices.c - crossdock prices: what models cost and can do, of the shipped book or of the deployments of a configuration.
 *
 * Rows of the book are printed as they are; those of a configuration with what counts for it, own words included.
 *
 * Does not: convert currencies, nor ask vendors.
 */
#include "cli/cli.h"
#include "codec/json_out.h"
#include "fleet/config.h"
#include "fleet/model_book.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 16 * 1024 * 1024, USD_DIGITS = 9, USD_LEAST_DIGITS = 2, MILLE = 1000 };

/* One line: a model of the book, or a deployment. */
struct entry {
    struct str vendor, id;
    bool is_prefix;
    struct model_facts facts; /* .price NULL: not known */
    struct str *tags;
    size_t tag_count;
};

static const struct {
    const char *name;
    size_t at;
} rates[] = {
#define RATE(member) {#member, offsetof(struct price_rates, member)}
    RATE(input),     RATE(output),      RATE(cached_input), RATE(cache_write), RATE(cache_write_1h),
    RATE(reasoning), RATE(audio_input), RATE(audio_output), RATE(request),
#undef RATE
};

static const char *const services[PRICE_SERVICES] = {
    [PRICE_STANDARD] = "standard", [PRICE_BATCH] = "batch", [PRICE_FLEX] = "flex", [PRICE_PRIORITY] = "priority"};

static uint64_t rate_of(const struct price_rates *r, size_t i)
{
    return *(const uint64_t *)(const void *)((const char *)r + rates[i].at);
}

/* Nano-dollars as people write dollars: "2.50", "0.0375". */
static void add_usd(struct buf *to, uint64_t nano)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%010llu", (unsigned long long)nano);
    int whole = n - USD_DIGITS, end = n;

    while (end > whole + USD_LEAST_DIGITS && digits[end - 1] == '0')
        end--;
    (void)buf_addf(to, "%.*s.%.*s", whole, digits, end - whole, digits + whole);
}

/* ---- JSON ---- */

static void put_rates(struct json_out *o, const struct price_rates *r)
{
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct buf usd CLEANUP(buf_release) = BUF_INIT(64);
        bool is_said = rate_of(r, i) != PRICE_UNSET && (rate_of(r, i) || i == 0);
        if (!is_said)
            continue;
        add_usd(&usd, rate_of(r, i));
        json_member_raw(o, str_from_c(rates[i].name), buf_str(&usd));
    }
}

static void put_shares(struct json_out *o, const char *suffix, const uint32_t permille[PRICE_SERVICES])
{
    for (unsigned i = 0; i < PRICE_SERVICES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s%s", services[i], suffix);
        if (!permille[i])
            continue;
        json_key(o, str_from_c(name));
        json_put_double(o, (double)permille[i] / MILLE);
    }
}

static void put_price(struct json_out *o, const struct price *p)
{
    if (!p || p->step_count == 0) {
        json_key(o, STR("price"));
        if (p)
            json_put_str(o, STR("free"));
        else
            json_put_null(o);
        return;
    }
    json_member_open(o, STR("price"), '{');
    put_rates(o, &p->steps[0].rates);
    put_shares(o, "", p->permille);
    put_shares(o, "_cached", p->cached_permille);
    if (p->step_count > 1)
        json_member_open(o, STR("above"), '[');
    for (size_t i = 1; i < p->step_count; i++) {
        json_open(o, '{');
        json_member_u64(o, STR("tokens"), p->steps[i].above);
        put_rates(o, &p->steps[i].rates);
        json_close(o, '}');
    }
    if (p->step_count > 1)
        json_close(o, ']');
    json_close(o, '}');
}

static void put_known(struct json_out *o, const char *name, struct str text)
{
    if (text.n)
        json_member_str(o, str_from_c(name), text);
}

static void add_json(struct buf *to, const struct entry *e)
{
    struct json_out o = json_out_to(to);
    struct str id = e->id;

    json_open(&o, '{');
    json_member_str(&o, STR("vendor"), e->vendor);
    json_member_str(&o, STR("model"), id);
    if (e->is_prefix)
        json_member_bool(&o, STR("prefix"), true);
    put_price(&o, e->facts.price);
    if (e->facts.context_tokens)
        json_member_u64(&o, STR("context"), e->facts.context_tokens);
    if (e->facts.max_output_tokens)
        json_member_u64(&o, STR("max_output"), e->facts.max_output_tokens);
    json_member_open(&o, STR("without"), '[');
    for (unsigned i = 0; i < NEED_COUNT; i++)
        if (e->facts.lacks & 1U << i)
            json_put_str(&o, str_from_c(need_name(1U << i)));
    json_close(&o, ']');
    if (e->tag_count)
        json_member_open(&o, STR("tags"), '[');
    for (size_t i = 0; i < e->tag_count; i++)
        json_put_str(&o, e->tags[i]);
    if (e->tag_count)
        json_close(&o, ']');
    put_known(&o, "as_of", e->facts.as_of);
    put_known(&o, "source", e->facts.source);
    json_close(&o, '}');
    (void)buf_add_char(to, '\n');
}

/* ---- table ---- */

enum { COLUMNS = 9 };
static const char *const headings[COLUMNS] = {"VENDOR", "MODEL",   "INPUT", "CACHED", "WRITE",
                                              "OUTPUT", "CONTEXT", "AS OF", "SOURCE"};

/* Cells are texts in an arena, printed when all are there, so that columns can be as wide as they must be. */
struct table {
    struct arena arena;
    struct str (*rows)[COLUMNS];
    size_t count, room;
};

static void table_release(struct table *t)
{
    arena_release(&t->arena);
}

static struct str *add_row(struct table *t)
{
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        struct str(*rows)[COLUMNS] = arena_zalloc(&t->arena, room * sizeof *rows);
        if (t->count)
            memcpy(rows, t->rows, t->count * sizeof *rows);
        t->rows = rows;
        t->room = room;
    }
    return t->rows[t->count++];
}

static struct str usd_cell(struct table *t, uint64_t nano)
{
    struct buf usd CLEANUP(buf_release) = BUF_INIT(64);

    if (nano == PRICE_UNSET)
        return STR("-");
    add_usd(&usd, nano);
    return arena_str(&t->arena, buf_str(&usd));
}

static void set_rates(struct table *t, struct str *row, const struct price_rates *r)
{
    row[2] = usd_cell(t, r->input);
    row[3] = usd_cell(t, r->cached_input);
    row[4] = usd_cell(t, r->cache_write);
    row[5] = usd_cell(t, r->output);
}

/* What the columns have no room for: "+ 0.005 a request, reasoning 3.00, batch 50 %". Empty if nothing. */
static struct str further(struct table *t, const struct price *p)
{
    struct buf words CLEANUP(buf_release) = BUF_INIT(1024);
    static const size_t shown = 4; /* of rates[]: their columns are there */

    for (size_t i = shown; i < ARRAY_LEN(rates); i++) {
        uint64_t rate = rate_of(&p->steps[0].rates, i);
        if (rate == PRICE_UNSET || rate == 0)
            continue;
        (void)buf_addf(&words, "%s%s ", words.n ? ", " : "", rates[i].name);
        add_usd(&words, rate);
    }
    for (unsigned i = 0; i < PRICE_SERVICES; i++)
        if (p->permille[i])
            (void)buf_addf(&words, "%s%s %g %%", words.n ? ", " : "", services[i], p->permille[i] / 10.0);
    return arena_str(&t->arena, buf_str(&words));
}

static void add_entry(struct table *t, const struct entry *e)
{
    const struct price *p = e->facts.price;
    struct str *row = add_row(t);

    row[0] = e->vendor;
    row[1] = e->is_prefix ? arena_join(&t->arena, e->id, STR("*")) : e->id;
    row[2] = p ? STR("free") : STR("unknown");
    if (p && p->step_count)
        set_rates(t, row, &p->steps[0].rates);
    if (e->facts.context_tokens)
        row[6] = arena_printf(&t->arena, "%llu", (unsigned long long)e->facts.context_tokens);
    row[7] = e->facts.as_of;
    row[8] = p && !e->facts.source.n ? STR("configuration") : e->facts.source;
    for (size_t i = 1; p && i < p->step_count; i++) {
        struct str *step = add_row(t);
        step[1] = arena_printf(&t->arena, "  above %llu", (unsigned long long)p->steps[i].above);
        set_rates(t, step, &p->steps[i].rates);
    }
    struct str more = p && p->step_count ? further(t, p) : STR_NONE;
    if (more.n)
        add_row(t)[1] = arena_join(&t->arena, STR("  "), more);
}

/* May this cell run over the columns behind it? Those are empty then. */
static bool runs_over(const struct str *row)
{
    return !row[0].n && !row[2].n;
}

static void print_table(const struct table *t, struct buf *to)
{
    size_t width[COLUMNS];

    for (unsigned c = 0; c < COLUMNS; c++) {
        width[c] = strlen(headings[c]);
        for (size_t i = 0; i < t->count; i++)
            if (t->rows[i][c].n > width[c] && !runs_over(t->rows[i]))
                width[c] = t->rows[i][c].n;
    }
    for (size_t i = 0; i <= t->count; i++) {
        size_t blanks = 0;
        for (unsigned c = 0; c < COLUMNS; c++) {
            struct str cell = i ? t->rows[i - 1][c] : str_from_c(headings[c]);
            bool right = c >= 2 && c <= 6;
            size_t pad = cell.n < width[c] ? width[c] - cell.n : 0;
            blanks += right ? pad : 0;
            if (cell.n) {
                (void)buf_addf(to, "%*s%.*s", (int)blanks, "", STR_ARG(cell));
                blanks = 0;
            }
            blanks += right && !cell.n ? 2 : (right ? 0 : pad) + 2;
        }
        (void)buf_add_char(to, '\n');
    }
}

/* ---- what is asked for ---- */

struct output {
    bool json;
    struct buf *text;
    struct table *table;
    size_t count;
};

static void tell(struct output *out, const struct entry *e)
{
    out->count++;
    if (out->json)
        add_json(out->text, e);
    else
        add_entry(out->table, e);
}

/* Rows of the vendor `wanted`, or with it in their id; all of them if it is empty. */
static void tell_rows(struct output *out, struct str wanted)
{
    bool is_vendor = vendor_find(wanted) != NULL;

    for (size_t i = 0; i < model_book_row_count; i++) {
        const struct model_row *row = &model_book_rows[i];
        if (wanted.n && (is_vendor ? !str_eq(row->vendor, wanted) : str_find(row->id, wanted) == row->id.n))
            continue;
        struct entry e = {.vendor = row->vendor, .id = row->id, .is_prefix = row->is_prefix, .facts = *row->facts};
        tell(out, &e);
    }
}

/* What the book says of a model by its full name, though no id is written so: a version, a resource name. */
static void tell_found(struct output *out, struct str model)
{
    for (size_t i = 0; i < vendor_count; i++) {
        const struct model_facts *facts = model_book_find(&vendor_table[i], model);
        if (!facts || facts->price->step_count == 0)
            continue;
        struct entry e = {.vendor = str_from_c(vendor_table[i].name), .id = model, .facts = *facts};
        tell(out, &e);
    }
}

static void tell_deployments(struct output *out, const struct catalog *c, struct str wanted)
{
    for (size_t i = 0; i < c->deployment_count; i++) {
        const struct deployment *d = &c->deployments[i];
        bool is_rule = !d->price && str_eq(d->model, STR("*")); /* what it says is seen in others */
        if (is_rule || (wanted.n && str_find(d->name, wanted) == d->name.n))
            continue;
        struct entry e = {.vendor = str_from_c(d->provider->vendor->name),
                          .id = d->name,
                          .facts = {.price = d->price,
                                    .context_tokens = d->context_tokens,
                                    .max_output_tokens = d->max_output_tokens,
                                    .lacks = d->lacks,
                                    .as_of = d->price_as_of,
                                    .source = d->price_source},
                          .tags = d->tags,
                          .tag_count = d->tag_count};
        tell(out, &e);
    }
}

static int tell_configuration(struct output *out, const char *path, struct str wanted)
{
    struct arena arena CLEANUP(arena_release);
    struct buf report CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct catalog *catalog = NULL;

    arena_init(&arena, SIZE_MAX / 2);
    struct problems problems = {.arena = &arena};
    err_t e = config_load(path, STR_NONE, config_env_real(), &problems, &catalog);
    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    if (e != OK)
        return EXIT_CONFIG;
    tell_deployments(out, catalog, wanted);
    if (!out->json)
        print_table(out->table, out->text);
    catalog_unref(catalog);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"json", false, NULL}, {"config", true, NULL}};
    struct table table CLEANUP(table_release) = {.arena = {.max = SIZE_MAX / 2}};
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct output out = {.text = &text, .table = &table};
    int operands, e = cli_parse(&command_prices, argc, argv, options, 2, 1, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    struct str wanted = operands ? str_from_c(argv[1]) : STR_NONE;
    out.json = options[0].value != NULL;
    if (options[1].value) {
        e = tell_configuration(&out, options[1].value, wanted);
    } else {
        tell_rows(&out, wanted);
        if (!out.count)
            tell_found(&out, wanted);
        if (!out.json)
            print_table(&table, &text);
    }
    if (e == EXIT_OK && !out.count) {
        (void)fprintf(stderr, "crossdock prices: nothing is known of \"%.*s\"\n", STR_ARG(wanted));
        return EXIT_FAILED;
    }
    (void)fwrite(text.p ? text.p : "", 1, e == EXIT_OK ? text.n : 0, stdout);
    return e;
}

const struct command command_prices = {
    .name = "prices",
    .summary = "what models cost: the shipped book, or a configuration",
    .help =
        "Usage: crossdock prices [--json] [--config FILE] [VENDOR|MODEL]\n\n"
        "Prints the book of models: US dollars per million tokens, context window, the day of the price and the page\n"
        "that it is from. VENDOR is a dialect of the configuration; MODEL is a model's name or a part of it.\n\n"
        "  --config FILE   the deployments of this configuration instead, with what counts for them\n"
        "  --json          all that is known, a JSON object a line\n",
    .run = run,
};
