/*
 * choices.c - n > 1 from a provider whose answers have one choice: n calls with the same body, at once.
 *
 * The first call is the attempt itself, so what fails there fails over as ever. The others start when it has been answered; their answers
 * become further choices. Their prompts are billed too, and counted. A client that wants a stream gets the whole as one when all are there.
 */
#include "gateway/exchange.h"
#include "rt/scope.h"

enum { CHOICES_AT_ONCE = 16 };

void choices_prepare(struct exchange *x)
{
    struct chat_request *q = &x->translated->chat;
    bool one = x->speaks->provider.one_choice || (x->chosen->provider->vendor->quirks & QUIRK_NO_N);
    unsigned n = chat_choices(q);

    x->choices = 1;
    if (n < 2 || !one)
        return;
    x->choices = n;
    q->stream = false;
    loss_note(&x->translated->losses, LOSS_EMULATED, q->n.from, "one call per choice");
}

struct extra_choice {
    struct exchange *x;
    struct upstream *upstream;
    struct answer answer;
};

static SUSPENDS err_t one_more(void *arg)
{
    struct extra_choice *c = arg;
    struct exchange *x = c->x;
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct http_call_options o = {.method = STR_NONE};
    const struct api_error *refusal;
    struct str body;

    TRY(translated_options(x, &x->translated->call, &o));
    TRY(http_call_open(c->upstream, x->r->arena, &o, NULL, &call));
    TRY(http_call_all(call, x->timeouts.between_bytes, x->snapshot->catalog->limits.held_answer, &body));
    int status = http_call_head(call)->status;
    if (status < 200 || status > 299)
        return fail(E_UPSTREAM, "one of the calls for further choices was answered with status %d", status);
    body = arena_str(x->r->arena, body);
    return translate_chat_answer(x, body, &c->answer, &refusal);
}

static void add_usage(struct usage *to, const struct usage *u)
{
    to->input += u->input;
    to->output += u->output;
    to->cached_input += u->cached_input;
    to->cache_write += u->cache_write;
    to->cache_write_1h += u->cache_write_1h;
    to->reasoning += u->reasoning;
    to->audio_input += u->audio_input;
    to->audio_output += u->audio_output;
    to->known = to->known && u->known;
}

err_t choices_complete(struct exchange *x, struct attempt *a)
{
    struct answer *whole = &x->translated->answer;
    struct extra_choice *more = arena_zalloc(x->r->arena, (x->choices - 1) * sizeof *more);
    struct upstream *upstream;

    TRY(upstreams_get(gateway_upstreams(x->gateway), x->snapshot, x->chosen->provider, &upstream));
    for (unsigned from = 0; from < x->choices - 1; from += CHOICES_AT_ONCE) {
        SCOPE(scope, NS_NEVER);
        for (unsigned i = from; i < x->choices - 1 && i < from + CHOICES_AT_ONCE; i++) {
            more[i] = (struct extra_choice){.x = x, .upstream = upstream};
            scope_spawn(&scope, "choice", one_more, &more[i]);
        }
        TRY(scope_wait_all(&scope));
    }
    for (unsigned i = 0; i < x->choices - 1; i++) {
        if (!more[i].answer.choice_count)
            return fail(E_PROTOCOL, "the provider gave an answer without a choice");
        whole->choices[whole->choice_count++] = more[i].answer.choices[0];
        add_usage(&whole->usage, &more[i].answer.usage);
    }
    a->usage = whole->usage;
    return OK;
}
