/*
 * batches.c - embeddings of more inputs than a provider takes at once: split, asked for side by side, joined in order.
 *
 * The first batch is the attempt itself, so what fails there fails over as ever. Usage is the sum. Providers that answer in several types give all
 * vectors of one type before those of the next; so does the whole.
 */
#include "gateway/exchange.h"
#include "rt/scope.h"

enum { BATCHES_AT_ONCE = 8, BATCHES_MAX = 4096 };

static size_t batch_size(struct exchange *x)
{
    const struct provider_side *p = &x->speaks->provider;
    size_t max = p->embed_batch ? p->embed_batch(translation_of(x)) : p->embed_batch_max;
    size_t n = x->translated->embed.input_count;

    return max && max < n ? max : n;
}

size_t batches_first(struct exchange *x)
{
    return batch_size(x);
}

struct batch {
    struct exchange *x;
    size_t from, count;
    struct embed_answer answer;
};

static err_t check_count(const struct embed_answer *a, size_t inputs)
{
    if (inputs == 0 || a->vector_count == 0 || a->vector_count % inputs)
        return fail(E_PROTOCOL, "the provider answered %zu inputs with %zu vectors", inputs, a->vector_count);
    return OK;
}

/* All inputs are in the attempt's estimate. */
static const struct rate_need no_more_tokens = {.input_tokens = 0};

static SUSPENDS err_t one_batch(void *arg)
{
    struct batch *b = arg;
    struct exchange *x = b->x;
    struct buf body CLEANUP(buf_release) = BUF_INIT(x->translated->body.max);
    struct provider_call said = {.body = &body};
    struct embed_request part = x->translated->embed;
    struct str text;

    part.inputs += b->from;
    part.input_count = b->count;
    TRY(x->speaks->provider.write_embed(translation_of(x), &part, &said));
    TRY(buf_status(&body));
    TRY(side_call(x, &said, &no_more_tokens, &text));
    TRY(x->speaks->provider.read_embed(x->r->arena, text, &b->answer));
    return check_count(&b->answer, b->count);
}

/* All vectors of one type, then of the next, each in the order of the inputs. */
static err_t join(struct exchange *x, const struct batch *batches, size_t count)
{
    struct embed_answer *whole = &x->translated->vectors;
    size_t inputs = x->translated->embed.input_count, first = batch_size(x), types = whole->vector_count / first, n = 0;
    struct embed_vector *all = arena_alloc(x->r->arena, types * inputs * sizeof *all);

    for (size_t i = 0; i < count; i++)
        if (batches[i].answer.vector_count != types * batches[i].count)
            return fail(E_PROTOCOL, "the provider answered batches of one request in different types");
    for (size_t t = 0; t < types; t++) {
        memcpy(all + n, whole->vectors + t * first, first * sizeof *all);
        n += first;
        for (size_t i = 0; i < count; i++) {
            memcpy(all + n, batches[i].answer.vectors + t * batches[i].count, batches[i].count * sizeof *all);
            n += batches[i].count;
        }
    }
    whole->vectors = all;
    whole->vector_count = n;
    for (size_t i = 0; i < count; i++)
        usage_add(&whole->usage, &batches[i].answer.usage);
    return OK;
}

err_t batches_complete(struct exchange *x, struct attempt *a)
{
    size_t size = batch_size(x), inputs = x->translated->embed.input_count, count = size ? (inputs - 1) / size : 0;

    TRY(check_count(&x->translated->vectors, size));
    if (!count)
        return OK;
    if (count > BATCHES_MAX)
        return fail(E_TOO_LARGE, "%zu inputs are more than %d calls to this provider can take", inputs, BATCHES_MAX);
    struct batch *batches = arena_zalloc(x->r->arena, count * sizeof *batches);
    for (size_t from = 0; from < count; from += BATCHES_AT_ONCE) {
        SCOPE(scope, NS_NEVER);
        for (size_t i = from; i < count && i < from + BATCHES_AT_ONCE; i++) {
            size_t at = (i + 1) * size;
            batches[i] = (struct batch){x, at, at + size > inputs ? inputs - at : size, {.id = STR_NONE}};
            scope_spawn(&scope, "embed", one_batch, &batches[i]);
        }
        TRY(scope_wait_all(&scope));
    }
    TRY(join(x, batches, count));
    a->usage = x->translated->vectors.usage;
    return OK;
}
