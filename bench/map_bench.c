/*
 * map_bench.c - mappings on one thread, from the bytes of a document to the bytes of the result: parsing, evaluating, printing. Two
 * documents: a decision of 1.2 KB, of which most members are read, and the answer of an embeddings endpoint with 1,536 numbers, which go
 * through untouched. Beside it libjq on the same program and the same bytes, where its headers are installed (scripts/deps bench).
 *
 *     make benches && build/release/map_bench [--json]
 *
 * Prints microseconds per document, the best of several rounds. Both sides must print the same value, or the program ends with 1.
 */
#include "expr/expr.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

#if __has_include(<jq.h>)
#include <jq.h>
#define HAVE_LIBJQ 1
#else
#define HAVE_LIBJQ 0
#endif

enum { ROUNDS = 250, CALLS = 100, JQ_CALLS = 4, NUMBERS = 1536, TEXT_MAX = 1 << 20 };

static const char decision[] =
    "{\"id\":\"dec_01HZX3V7K2M9\",\"object\":\"decision\",\"created\":1762954321,\"model\":\"fraud-screen-3\",\"case\":"
    "{"
    "\"ticket_id\":\"T-88213\",\"channel\":\"web\",\"customer\":{\"id\":\"c_5521\",\"name\":\"Zo\\u00eb "
    "Brandt\",\"tier\":\"gold\","
    "\"country\":\"CH\",\"since\":\"2019-04-02\"},\"order\":{\"id\":\"o_99231\",\"total\":1249.90,\"currency\":\"CHF\","
    "\"items\":["
    "{\"sku\":\"A-100\",\"qty\":2,\"price\":399.95},{\"sku\":\"B-220\",\"qty\":1,\"price\":450.00}]}},\"scores\":{"
    "\"fraud\":0.8731,"
    "\"chargeback\":0.4412,\"identity\":0.1207,\"velocity\":0.9120},\"labels\":[\"velocity\",\"new_device\",\"ip_"
    "mismatch\"],"
    "\"confidence\":0.91,\"decision\":\"review\",\"reasons\":[{\"code\":\"R101\",\"text\":\"Five orders within ten "
    "minutes from one "
    "address\",\"weight\":0.42},{\"code\":\"R205\",\"text\":\"The device was never seen with this "
    "account\",\"weight\":0.31},{\"code\":"
    "\"R330\",\"text\":\"Billing country and the country of the address "
    "differ\",\"weight\":0.14}],\"usage\":{\"prompt_tokens\":812,"
    "\"completion_tokens\":143,\"total_tokens\":955},\"trace\":{\"route\":\"fraud\",\"deployment\":\"eu-central-1\","
    "\"attempts\":1,"
    "\"latency_ms\":412,\"fingerprint\":\"fp_3f9a77c1\",\"region\":\"eu-central-1\",\"cached\":false,\"attempt_ids\":["
    "\"a_0192\",\"a_0193\"]},\"notes\":\"No further action was taken by the model; a person decides.\","
    "\"signed\":true,\"expires\":null}";

static const char decision_map[] =
    "{case_id: .case.ticket_id, customer: .case.customer.id, tier: .case.customer.tier, amount: .case.order.total,\n"
    " fraud: .scores.fraud, label: (.labels[0] // \"none\"), needs_person: (.confidence < 0.95 and .decision == "
    "\"review\"),\n"
    " reasons: [.reasons[] | .code], title: \"\\(.decision) \\(.case.ticket_id)\"}";

static const char embedding_map[] =
    "{id: .data[0].index, model: .model, tokens: .usage.total_tokens, vector: .data[0].embedding}";

/* Numbers as providers write them: six to eight digits behind the point. */
static void write_embedding(struct buf *b)
{
    uint64_t state = 42;

    (void)buf_add_lit(b, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[");
    for (int i = 0; i < NUMBERS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        (void)buf_addf(b, "%s%s0.0%07u", i ? "," : "", state >> 63 ? "-" : "", (unsigned)(state >> 33) % 10000000);
    }
    (void)buf_add_lit(b,
                      "]}],\"model\":\"text-embedding-3-small\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- ours --- */

static void map_once(const struct expr *expr, struct str text, struct arena *arena, struct buf *out)
{
    buf_clear(out);
    if (expr_map(expr, arena, text, NULL, &expr_limits_default, out) != OK)
        die("the mapping failed: %s", err_detail(E_PARSE));
    arena_clear(arena);
}

static double measure(const char *program, struct str text, struct buf *ret_out)
{
    struct arena compiled CLEANUP(arena_release), arena CLEANUP(arena_release);
    const struct expr *expr;
    double best = 1e18;

    arena_init(&compiled, 1 << 20);
    arena_init(&arena, 1 << 22);
    if (expr_compile(&compiled, str_from_c(program), &(struct expr_env){0}, &expr, NULL) != OK)
        die("%s: %s", program, err_detail(E_PARSE));
    for (int round = 0; round < ROUNDS; round++) {
        double from = now();
        for (int i = 0; i < CALLS; i++)
            map_once(expr, text, &arena, ret_out);
        double took = (now() - from) / CALLS;
        best = took < best ? took : best;
    }
    return best;
}

/* --- libjq --- */

#if HAVE_LIBJQ
static void jq_once(jq_state *jq, struct str text, struct buf *out)
{
    buf_clear(out);
    jq_start(jq, jv_parse_sized(text.p, (int)text.n), 0);
    jv result = jq_next(jq);
    if (!jv_is_valid(result))
        die("libjq failed");
    jv printed = jv_dump_string(result, 0);
    (void)buf_add(out, str_of(jv_string_value(printed), (size_t)jv_string_length_bytes(jv_copy(printed))));
    jv_free(printed);
}

static double measure_jq(const char *program, struct str text, struct buf *ret_out)
{
    jq_state *jq = jq_init();
    double best = 1e18;

    if (!jq || !jq_compile(jq, program))
        die("libjq does not compile it");
    for (int round = 0; round < ROUNDS; round++) {
        double from = now();
        for (int i = 0; i < JQ_CALLS; i++)
            jq_once(jq, text, ret_out);
        double took = (now() - from) / JQ_CALLS;
        best = took < best ? took : best;
    }
    jq_teardown(&jq);
    return best;
}
#else
static double measure_jq(const char *program, struct str text, struct buf *ret_out)
{
    (void)program, (void)text, (void)ret_out;
    return 0;
}
#endif

static bool same(struct str x, struct str y)
{
    yyjson_doc *a = yyjson_read(x.p, x.n, 0), *b = yyjson_read(y.p, y.n, 0);
    bool equal = a && b && yyjson_equals(yyjson_doc_get_root(a), yyjson_doc_get_root(b));

    yyjson_doc_free(a);
    yyjson_doc_free(b);
    return equal;
}

static int compare(const char *name, const char *program, struct str text, bool as_json)
{
    struct buf ours CLEANUP(buf_release) = BUF_INIT(TEXT_MAX), theirs CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    double mine = measure(program, text, &ours), jq = measure_jq(program, text, &theirs);

    if (jq > 0 && !same(buf_str(&ours), buf_str(&theirs))) {
        (void)fprintf(stderr, "%s: libjq prints something else\n", name);
        return 1;
    }
    if (as_json)
        printf("{\"name\": \"%s\", \"bytes\": %zu, \"us\": %.3f, \"libjq_us\": %.3f}\n", name, text.n, mine, jq);
    else if (jq > 0)
        printf("%-34s %6zu bytes %9.2f us, libjq %9.2f us: %.0f times\n", name, text.n, mine, jq, jq / mine);
    else
        printf("%-34s %6zu bytes %9.2f us\n", name, text.n, mine);
    return 0;
}

int main(int argc, char **argv)
{
    struct buf embedding CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    bool as_json = argc > 1 && strcmp(argv[1], "--json") == 0;

    write_embedding(&embedding);
    return compare("mapping: a decision", decision_map, str_from_c(decision), as_json) |
           compare("mapping: an embedding", embedding_map, buf_str(&embedding), as_json);
}
