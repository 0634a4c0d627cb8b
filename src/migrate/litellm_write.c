/*
 * litellm_write.c - the configuration that comes of an import, as a person would want to find it.
 *
 * Every text is in double quotes with JSON's escapes, which YAML shares, so nothing that a LiteLLM file holds can become structure; and in
 * comments no byte can end a line. Texts hold variables already as our configuration writes them.
 */
#include "base/units.h"
#include "migrate/litellm_int.h"

enum { REPORT_MAX = 1024 * 1024 };
#define OUR_TOTAL (600 * NS_SEC) /* the default of timeouts.total */

static void put_text(struct buf *to, struct str text)
{
    (void)buf_add_char(to, '"');
    (void)buf_add_json(to, text);
    (void)buf_add_char(to, '"');
}

static void put_span(struct buf *to, ns_t span)
{
    char text[UNITS_TEXT_MAX];

    if (span == NS_NEVER)
        (void)buf_add_lit(to, "none");
    else
        (void)buf_add(to, str_of(text, units_print_duration(span, text)));
}

/* --- comments --- */

/* One line. Only printable ASCII is let through: of other bytes some end a line for this or that reader of YAML. */
static void put_comment(struct buf *to, struct str line)
{
    (void)buf_add_lit(to, "# ");
    for (size_t i = 0; i < line.n; i++) {
        bool is_plain = line.p[i] >= ' ' && line.p[i] < 0x7f;
        (void)buf_add_char(to, is_plain ? line.p[i] : '?');
    }
    (void)buf_add_char(to, '\n');
}

static void put_report(const struct import *im, struct buf *to)
{
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct str rest;

    (void)buf_addf(&report, "Made from a LiteLLM configuration, %.*s.", STR_ARG(im->file));
    put_comment(to, buf_str(&report));
    buf_clear(&report);
    if (im->problems->count == 0)
        return;
    put_comment(to, STR(""));
    put_comment(to, STR("What was not carried over, or deserves a look:"));
    problems_print(im->problems, &report);
    for (rest = buf_str(&report); rest.n;)
        put_comment(to, str_cut(&rest, '\n'));
}

/* --- parts --- */

static void put_timeouts(struct buf *to, const char *indent, ns_t timeout)
{
    (void)buf_addf(to, "%stimeouts: {first_byte: ", indent);
    put_span(to, timeout);
    (void)buf_add_lit(to, ", between_bytes: ");
    put_span(to, timeout);
    if (timeout > OUR_TOTAL) {
        (void)buf_add_lit(to, ", total: ");
        put_span(to, timeout);
    }
    (void)buf_add_lit(to, "}\n");
}

static void put_field(struct buf *to, const char *name, struct str text)
{
    if (!text.p)
        return;
    (void)buf_addf(to, "    %s: ", name);
    put_text(to, text);
    (void)buf_add_char(to, '\n');
}

static void put_auth(struct buf *to, const struct made_provider *p)
{
    if (!p->auth)
        return;
    (void)buf_addf(to, "    auth:\n      type: %s\n", p->auth_type);
    for (const struct made_pair *a = p->auth; a; a = a->next) {
        (void)buf_addf(to, "      %.*s: ", STR_ARG(a->name));
        put_text(to, a->value);
        (void)buf_add_char(to, '\n');
    }
}

static void put_provider(struct buf *to, const struct made_provider *p)
{
    (void)buf_addf(to, "  %.*s:\n", STR_ARG(p->name));
    put_field(to, "dialect", p->dialect);
    put_field(to, "base_url", p->base_url);
    put_field(to, "region", p->region);
    put_field(to, "project", p->project);
    put_field(to, "api_version", p->api_version);
    put_field(to, "api_key", p->api_key);
    put_auth(to, p);
    if (p->headers)
        (void)buf_add_lit(to, "    headers:\n");
    for (const struct made_pair *h = p->headers; h; h = h->next) {
        (void)buf_add_lit(to, "      ");
        put_text(to, h->name);
        (void)buf_add_lit(to, ": ");
        put_text(to, h->value);
        (void)buf_add_char(to, '\n');
    }
    if (p->insecure)
        (void)buf_add_lit(to, "    tls: {insecure_skip_verify: true}\n");
    if (p->ca.n) {
        (void)buf_add_lit(to, "    tls: {ca: ");
        put_text(to, p->ca);
        (void)buf_add_lit(to, "}\n");
    }
    if (p->serves_all)
        (void)buf_add_lit(to, "    serves: \"*\"\n");
}

static void put_fallbacks(struct buf *to, const struct made_model *m)
{
    static const char *const names[MADE_CAUSES] = {
        [MADE_ANY] = "any", [MADE_CONTEXT_LENGTH] = "context_length", [MADE_CONTENT_FILTER] = "content_filter"};
    bool begun = false;

    for (size_t i = 0; i < MADE_CAUSES; i++) {
        if (!m->fallbacks[i].first)
            continue;
        (void)buf_addf(to, "%s      %s:\n", begun ? "" : "    fallbacks:\n", names[i]);
        begun = true;
        for (const struct made_name *n = m->fallbacks[i].first; n; n = n->next) {
            (void)buf_add_lit(to, "        - ");
            put_text(to, n->text);
            (void)buf_add_char(to, '\n');
        }
    }
}

/* What LiteLLM sets for all models at once stands at each of ours. */
static void put_rules(const struct import *im, struct buf *to)
{
    if (im->strategy)
        (void)buf_addf(to, "    strategy: %s\n", im->strategy);
    if (im->attempts)
        (void)buf_addf(to, "    retries: %u\n", im->attempts);
}

static void put_model(const struct import *im, struct buf *to, const struct made_model *m)
{
    (void)buf_add_lit(to, "  ");
    put_text(to, m->name);
    (void)buf_add_lit(to, ":\n    targets:\n");
    for (const struct made_target *t = m->targets; t; t = t->next) {
        if (!t->weight)
            continue;
        (void)buf_add_lit(to, "      - {deployment: ");
        put_text(to, t->deployment);
        if (t->weight > 1)
            (void)buf_addf(to, ", weight: %llu", (unsigned long long)t->weight);
        (void)buf_add_lit(to, "}\n");
    }
    put_fallbacks(to, m);
    put_rules(im, to);
    if (m->timeout)
        put_timeouts(to, "    ", m->timeout);
}

void litellm_write(const struct import *im, struct buf *to)
{
    put_report(im, to);
    (void)buf_add_lit(to, "\n# LiteLLM's port. It listens on all addresses; to do so too, write \":4000\".\n"
                          "listen: 127.0.0.1:4000\n");
    if (im->timeout)
        put_timeouts(to, "", im->timeout);
    (void)buf_add_lit(to, "\nproviders:\n");
    for (const struct made_provider *p = im->providers; p; p = p->next)
        put_provider(to, p);
    if (im->models)
        (void)buf_add_lit(to, "\nmodels:\n");
    for (const struct made_model *m = im->models; m; m = m->next)
        put_model(im, to, m);
    if (im->key_hash.n)
        (void)buf_addf(to, "\nkeys:\n  - name: master\n    hash: \"sha256:%.*s\"\n", STR_ARG(im->key_hash));
}
