/*
 * config_deployments.c - the section `deployments`: what a person knows better than the book of models.
 *
 * A deployment's price, limits, abilities and tags come, each by itself, from its own entry, else from the one for all of
 * its provider's (a star for the model), else from the book (fleet/model_book.h). A price that is written replaces the book's whole,
 * because half of each would be neither's; `times` alone multiplies the book's, for discounts and regions. Tags of the
 * provider are added in any case.
 *
 * Amounts are read as numbers and rounded to whole nano-dollars: the nearest one is the one that was written, since the
 * largest that is allowed has 16 digits of those.
 *
 * Does not: know what a request costs (policy/price.h).
 */
#include "fleet/config_int.h"

#include "fleet/model_book.h"

#include <math.h>

enum { NANO = 1000000000, MILLION = 1000000, MILLE = 1000, SUGGEST_MAX = 50 };

/* ---- the shape ---- */

#define RATE(n, type, member, ...) SCHEMA_FLOAT(n, type, member, .min = "0", .max = "1000000", __VA_ARGS__)
#define RATES(type, at, in_doc, out_doc)                                                                               \
    RATE("input", type, at input, .doc = in_doc), RATE("output", type, at output, .doc = out_doc),                     \
        RATE("cached_input", type, at cached_input, .default_doc = "as `input`",                                       \
             .doc = "Of what is read from the provider's cache."),                                                     \
        RATE("cache_write", type, at cache_write, .default_doc = "as `input`", .doc = "Of what is written to it."),    \
        RATE("cache_write_1h", type, at cache_write_1h, .default_doc = "as `cache_write`",                             \
             .doc = "Of what is written to it for an hour."),                                                          \
        RATE("reasoning", type, at reasoning, .default_doc = "as `output`", .doc = "Of the model's thoughts."),        \
        RATE("audio_input", type, at audio_input, .default_doc = "as `input`", .doc = "Of sound in the input."),       \
        RATE("audio_output", type, at audio_output, .default_doc = "as `output`", .doc = "Of sound in the output."),   \
        RATE("request", type, at request, .doc = "US dollars for each request, besides its tokens.")

static const struct schema_field step_fields[] = {
    SCHEMA_UNSIGNED(
        "tokens", struct file_rates, tokens, .required = true, .min = "1",
        .doc = "Requests whose input is longer than this are billed by the rates of this step, all of their tokens."),
    RATES(struct file_rates, , "As in `price`; what a step does not say is as below it.", "Likewise."), SCHEMA_END};
static const struct schema_object step_object = {
    .fields = step_fields, .size = sizeof(struct file_rates), .node_offset = SCHEMA_NODE_AT(struct file_rates, node)};
static const struct schema_field step_item = SCHEMA_ITEM_OBJECT(&step_object, .doc = "Rates of long requests.");

#define SHARE(n, member, else_doc, words)                                                                              \
    SCHEMA_FLOAT(n, struct file_price, member, .min = "0.001", .max = "1000", .default_doc = else_doc, .doc = words)

static void check_price(const struct schema_run *run, const struct yaml_node *n, void *object);

static const struct schema_field price_fields[] = {
    RATES(struct file_price, rates., "Of a million tokens of input.", "Of a million tokens of output."),
    SCHEMA_LIST("above", struct file_price, above, above_count, &step_item, .single = true,
                .doc = "Other rates for long requests, in ascending order."),
    SHARE(
        "times", times, "`1`",
        "Factor for all rates, or for the book's if none is written: `0.8` for a discount, `1.1` for a dearer region."),
    SHARE("batch", batch, "`1`; of `times` alone, the book's",
          "Share of the rates that is billed in batches: `0.5` or `50%`."),
    SHARE("batch_cached", batch_cached, "as `batch`", "Share of `cached_input` there, if it is another."),
    SHARE("flex", flex, "likewise", "Share of the rates that is billed with service tier `flex`."),
    SHARE("flex_cached", flex_cached, "as `flex`", "Share of `cached_input` there, if it is another."),
    SHARE("priority", priority, "likewise", "Share of the rates that is billed with service tier `priority`."),
    SHARE("priority_cached", priority_cached, "as `priority`", "Share of `cached_input` there, if it is another."),
    SCHEMA_END};
static const struct schema_object price_object = {.fields = price_fields,
                                                  .size = sizeof(struct file_price),
                                                  .node_offset = SCHEMA_NODE_AT(struct file_price, rates.node),
                                                  .check = check_price};

static const struct schema_choice price_words[] = {{"free", PRICE_WORD_FREE, "nothing is billed"}, {NULL, 0, NULL}};
static const struct schema_field price_forms[] = {
    {.kind = SCHEMA_KIND_OBJECT, .offset = offsetof(struct file_deployment, price), .object = &price_object},
    {.kind = SCHEMA_KIND_ENUM, .offset = SCHEMA_AT_ENUM(struct file_deployment, price_word), .choices = price_words},
    SCHEMA_END};

static const struct schema_field need_item = SCHEMA_ITEM(ENUM, .choices = need_choices);

static const struct schema_field ability_fields[] = {
    SCHEMA_LIST("with", struct file_deployment, with, with_count, &need_item, .single = true,
                .doc = "What it can do, whatever the book says."),
    SCHEMA_LIST("without", struct file_deployment, without, without_count, &need_item, .single = true,
                .doc = "What it cannot do: requests that need it go elsewhere."),
    SCHEMA_END};
static const struct schema_object abilities_object = {.fields = ability_fields, .size = sizeof(struct file_deployment)};

static void check_deployment(const struct schema_run *run, const struct yaml_node *n, void *object);

static const struct schema_field deployment_fields[] = {
    SCHEMA_ONE_OF("price", price_forms, .default_doc = "the book's",
                  .doc = "US dollars per million tokens, or `free`. It replaces the book's price as a whole."),
    SCHEMA_INT("context", struct file_deployment, context, .min = "1", .max = "1000000000", .default_doc = "the book's",
               .doc = "Tokens that input and output may have together."),
    SCHEMA_INT("max_output", struct file_deployment, max_output, .min = "1", .max = "1000000000",
               .default_doc = "the book's", .doc = "Tokens that an answer may have."),
    SCHEMA_OBJECT(
        "concurrency", struct file_deployment, concurrency, &config_concurrency_object, .default_doc = "the provider's",
        .doc = "Requests that it gets at a time. With `objectives`, it replaces what the provider says of both."),
    SCHEMA_OBJECT("objectives", struct file_deployment, objectives, &config_objectives_object,
                  .default_doc = "the provider's", .doc = "How fast its answers shall be."),
    SCHEMA_OBJECT_HERE("abilities", &abilities_object, .doc = "Corrections of what the book says that it can do."),
    SCHEMA_LIST("tags", struct file_deployment, tags, tag_count, &config_tag_item, .single = true,
                .doc = "Words that rules can ask for, besides the provider's."),
    SCHEMA_END};
static const struct schema_object deployment_object = {.fields = deployment_fields,
                                                       .size = sizeof(struct file_deployment),
                                                       .node_offset = SCHEMA_NODE_AT(struct file_deployment, node),
                                                       .check = check_deployment};
const struct schema_field config_deployment = SCHEMA_ITEM_OBJECT(&deployment_object, .doc = "A model at a provider.");

/* ---- what the shape cannot say ---- */

static void check_price(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    const struct file_price *f = object;
    bool has_rates = config_is_written(n, "input") || config_is_written(n, "request");

    if (!has_rates && (f->times == 0 || config_is_written(n, "output")))
        problems_error(
            run->problems, n,
            "\"price\" needs \"input\" or \"request\", or \"times\" alone for the book's price, or is \"free\"");
    for (size_t i = 1; i < f->above_count; i++)
        if (f->above[i].tokens <= f->above[i - 1].tokens)
            problems_error(run->problems, f->above[i].node,
                           "steps under \"above\" must be in ascending order of \"tokens\"");
}

static uint32_t bits_of(const int *needs, size_t n)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= (uint32_t)needs[i];
    return bits;
}

static void check_deployment(const struct schema_run *run, const struct yaml_node *n, void *object)
{
    const struct file_deployment *f = object;
    uint32_t both = bits_of(f->with, f->with_count) & bits_of(f->without, f->without_count);

    if (both)
        problems_error(run->problems, n, "\"%s\" is under \"with\" and under \"without\"", need_name(both & -both));
}

/* ---- prices ---- */

static const struct {
    const char *name;
    size_t from, to; /* within struct file_rates and struct price_rates */
} rate_table[] = {
#define ROW(member) {#member, offsetof(struct file_rates, member), offsetof(struct price_rates, member)}
    ROW(input),     ROW(output),      ROW(cached_input), ROW(cache_write), ROW(cache_write_1h),
    ROW(reasoning), ROW(audio_input), ROW(audio_output), ROW(request),
#undef ROW
};

static uint64_t *rate_at(struct price_rates *rates, size_t row)
{
    return (uint64_t *)(void *)((char *)rates + rate_table[row].to);
}

/* What `f` says instead of what *to says already. */
static void set_rates(struct price_rates *to, const struct file_rates *f)
{
    for (size_t i = 0; i < ARRAY_LEN(rate_table); i++)
        if (config_is_written(f->node, rate_table[i].name))
            *rate_at(to, i) =
                (uint64_t)llround(*(const double *)(const void *)((const char *)f + rate_table[i].from) * NANO);
}

static struct price *written_price(struct catalog *c, const struct file_price *f)
{
    struct price *p = arena_new(c->arena_, struct price);
    struct price_step *steps = arena_zalloc(c->arena_, (f->above_count + 1) * sizeof *steps);

    steps[0].rates = (struct price_rates){.cached_input = PRICE_UNSET,
                                          .cache_write = PRICE_UNSET,
                                          .cache_write_1h = PRICE_UNSET,
                                          .reasoning = PRICE_UNSET,
                                          .audio_input = PRICE_UNSET,
                                          .audio_output = PRICE_UNSET};
    set_rates(&steps[0].rates, &f->rates);
    for (size_t i = 0; i < f->above_count; i++) {
        steps[i + 1] = (struct price_step){f->above[i].tokens, steps[i].rates};
        set_rates(&steps[i + 1].rates, &f->above[i]);
    }
    p->steps = steps;
    p->step_count = f->above_count + 1;
    return p;
}

static struct price *copied_price(struct catalog *c, const struct price *from)
{
    struct price *p = arena_new(c->arena_, struct price);
    struct price_step *steps = arena_zalloc(c->arena_, from->step_count * sizeof *steps);

    *p = *from;
    for (size_t i = 0; i < from->step_count; i++)
        steps[i] = from->steps[i];
    p->steps = steps;
    return p;
}

static void multiply(struct price *p, double times)
{
    struct price_step *steps = (struct price_step *)(uintptr_t)p->steps; /* made above, of memory of ours */

    for (size_t i = 0; i < p->step_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(rate_table); k++) {
            uint64_t *rate = rate_at(&steps[i].rates, k);
            if (*rate != PRICE_UNSET)
                *rate = (uint64_t)llround((double)*rate * times);
        }
}

static void set_share(uint32_t *to, double share)
{
    if (share > 0)
        *to = (uint32_t)lround(share * MILLE);
}

static void set_shares(uint32_t *permille, uint32_t *cached_permille, const struct file_price *f)
{
    set_share(&permille[PRICE_BATCH], f->batch);
    set_share(&permille[PRICE_FLEX], f->flex);
    set_share(&permille[PRICE_PRIORITY], f->priority);
    set_share(&cached_permille[PRICE_BATCH], f->batch_cached);
    set_share(&cached_permille[PRICE_FLEX], f->flex_cached);
    set_share(&cached_permille[PRICE_PRIORITY], f->priority_cached);
}

/* NULL if nothing is known: only the book's price is to be changed, and there is none. */
static const struct price *make_price(struct catalog *c, const struct file_price *f, const struct model_facts *book)
{
    bool has_rates = config_is_written(f->rates.node, "input") || config_is_written(f->rates.node, "request");

    if (!has_rates && !book)
        return NULL;
    struct price *p = has_rates ? written_price(c, f) : copied_price(c, book->price);
    if (f->times > 0)
        multiply(p, f->times);
    set_shares(p->permille, p->cached_permille, f);
    return p;
}

/* For models of which there is no list. */
static const struct price_terms *make_terms(struct catalog *c, const struct file_price *f)
{
    struct price_terms *t = arena_new(c->arena_, struct price_terms);

    t->millionths = (uint32_t)lround(f->times * MILLION);
    set_shares(t->permille, t->cached_permille, f);
    return t;
}

/* ---- deployments ---- */

/* What the file says of a deployment: its own entry, that of all of its provider's; either may be NULL. */
struct entries {
    const struct file_deployment *own, *any;
};

static void set_price(struct catalog *c, struct deployment *d, const struct file_deployment *f,
                      const struct model_facts *book)
{
    static const struct price free_of_charge = {.step_count = 0};
    bool from_book = book != NULL;

    d->price = book ? book->price : NULL;
    if (f && f->price_word == PRICE_WORD_FREE) {
        d->price = &free_of_charge;
        from_book = false;
    } else if (f) {
        d->price = make_price(c, &f->price, book);
        from_book = book && !config_is_written(f->price.rates.node, "input") &&
                    !config_is_written(f->price.rates.node, "request");
    }
    if (!d->price && f && f->price.times > 0)
        d->book_terms = make_terms(c, &f->price);
    if (from_book) {
        d->price_as_of = book->as_of;
        d->price_source = book->source;
    }
}

static bool has_price(const struct file_deployment *f)
{
    return f && (f->price_word != PRICE_WORD_NONE || f->price.rates.node);
}

static void set_abilities(struct deployment *d, const struct file_deployment *f)
{
    if (!f)
        return;
    d->has = (d->has | bits_of(f->with, f->with_count)) & ~bits_of(f->without, f->without_count);
    d->lacks &= ~bits_of(f->with, f->with_count);
    d->lacks |= bits_of(f->without, f->without_count);
}

static uint64_t first_set(uint64_t a, uint64_t b, uint64_t c)
{
    if (a)
        return a;
    return b ? b : c;
}

static void set_facts(struct catalog *c, struct deployment *d, struct entries e)
{
    static const struct file_deployment none;
    const struct file_deployment *own = e.own ? e.own : &none, *any = e.any ? e.any : &none;
    const struct model_facts *book = d->provider->vendor ? model_book_find(d->provider->vendor, d->model) : NULL;
    const struct file_deployment *priced = has_price(own) ? own : has_price(any) ? any : NULL;
    const struct file_deployment *tagged = own->tag_count ? own : any;

    set_price(c, d, priced, book);
    d->context_tokens = first_set((uint64_t)own->context, (uint64_t)any->context, book ? book->context_tokens : 0);
    d->max_output_tokens =
        first_set((uint64_t)own->max_output, (uint64_t)any->max_output, book ? book->max_output_tokens : 0);
    d->lacks = book ? book->lacks : 0;
    set_abilities(d, any);
    set_abilities(d, own);
    d->tags =
        config_join_tags(c, d->provider->tags, d->provider->tag_count, tagged->tags, tagged->tag_count, &d->tag_count);
}

struct str *config_join_tags(struct catalog *c, const struct str *before, size_t before_count,
                             const struct schema_text *list, size_t count, size_t *ret_count)
{
    struct str *to = arena_alloc(c->arena_, (before_count + count) * sizeof *to);
    size_t n = 0;

    for (size_t i = 0; i < before_count + count; i++) {
        struct str tag = i < before_count ? before[i] : list[i - before_count].text;
        size_t k = 0;
        while (k < n && !str_eq(to[k], tag))
            k++;
        if (k == n && tag.n)
            to[n++] = i < before_count ? tag : arena_str(c->arena_, tag);
    }
    *ret_count = n;
    return to;
}

/* ---- those that nothing else names ---- */

/* ", did you mean …?" if a model at `p` that something else names is called nearly like `model`, which nothing else does. Not
 * where any model may be meant, or where the book knows this one. */
static const char *nearest(struct config_build *b, const struct provider *p, struct str model)
{
    const struct model_facts *known = p->vendor ? model_book_find(p->vendor, model) : NULL;
    struct str best = STR_NONE;
    unsigned distance = 0;

    if (p->serves_all || str_eq(model, STR("*")) || (known && known->price->step_count))
        return "";
    for (size_t i = 0; i < b->c->deployment_count; i++)
        if (b->c->deployments[i].provider == p)
            schema_nearest(model, b->c->deployments[i].model, &best, &distance);
    return schema_suggest(b->run->arena, model, best, distance);
}

/* One that is called nearly like one that something else names is a mistake. At most SUGGEST_MAX are looked at. */
static void add_listed(struct config_build *b)
{
    const struct config_file *f = &b->run->file;
    struct problems *problems = &b->run->problems;
    size_t named = b->c->deployment_count, looked = 0;

    for (size_t i = 0; i < f->deployment_count; i++) {
        const struct schema_text t = {f->deployments[i].name, f->deployments[i].node};
        struct str model = t.text;
        const struct provider *p = map_get(&b->c->provider_by_name, str_cut(&model, '/'));
        bool gone = false;
        if (p && model.n > 1 && str_find_char(model, '*') < model.n) {
            problems_error(problems, t.node, "\"*\" can only stand for all models of a provider: \"%.*s/*\"",
                           STR_ARG(p->name));
            continue;
        }
        bool is_new = p && model.n && !map_get(&b->c->deployment_by_name, t.text);
        const char *near = is_new && named && looked++ < SUGGEST_MAX ? nearest(b, p, model) : "";
        if (*near)
            problems_warn(problems, t.node, "nothing else names \"%.*s\"%s", STR_ARG(t.text), near);
        (void)config_resolve(b, &t, &gone);
    }
}

void config_build_deployments(struct config_build *b)
{
    struct map by_name CLEANUP(map_release) = {0};
    const struct config_file *file = &b->run->file;
    struct catalog *c = b->c;

    add_listed(b);
    for (size_t i = 0; i < file->deployment_count; i++)
        map_put(&by_name, file->deployments[i].name, &file->deployments[i]);
    for (size_t i = 0; i < c->deployment_count; i++) {
        struct deployment *d = &c->deployments[i];
        struct str any = arena_join(b->run->arena, d->provider->name, STR("/*"));
        const struct file_deployment *own = map_get(&by_name, d->name);
        set_facts(c, d, (struct entries){own, map_get(&by_name, any)});
        config_limit_deployment(b->run, d, own, map_get(&by_name, any));
        if (!d->price && !str_eq(d->model, STR("*")) && has_price(own))
            problems_warn(&b->run->problems, own->node,
                          "the price of \"%.*s\" is not in the book: \"times\" has nothing to multiply",
                          STR_ARG(d->name));
    }
}
