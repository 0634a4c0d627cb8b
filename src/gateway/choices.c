/*
 * choices.c - n > 1 from a provider whose answers have one choice, and several prompts to whom takes one: a call for each, at once.
 *
 * The first call is the attempt itself, so what fails there fails over as ever. The others start when it has been answered; their answers
 * become further choices, all of one prompt before those of the next. Their prompts are billed too, and counted. A client that wants a stream
 * gets the whole as one when all are there.
 */
#include "gateway/exchange.h"
#include "rt/scope.h"

enum { CHOICES_AT_ONCE = 16 };

void choices_prepare(struct exchange *x)
{
    struct chat_request *q = &x->translated->chat;
    bool one = x->speaks->provider.one_choice || (x->chosen->provider->vendor->quirks & QUIRK_NO_N);
    unsigned n = chat_choices(q), prompts = (unsigned)q->more_prompt_count + 1;

    x->choices_each = one ? 1 : n;
    x->calls = prompts * (one ? n : 1);
    if (x->calls < 2)
        return;
    q->stream = false;
    if (one && n > 1)
        loss_note(&x->losses, LOSS_EMULATED, q->n.from, "one call per choice");
    if (prompts > 1)
        loss_note(&x->losses, LOSS_EMULATED, q->turns->from, "one call per prompt");
}

/* What call number `call` asks: its own prompt, and no more choices than it is to have; that is not lost. */
static const struct chat_request *asked_by(const struct exchange *x, unsigned call)
{
    const struct chat_request *q = &x->translated->chat;
    unsigned calls_of_prompt = chat_choices(q) / x->choices_each, prompt = call / calls_of_prompt;
    struct chat_request *one;

    if (x->calls < 2)
        return q;
    one = arena_new(x->r->arena, struct chat_request);
    *one = *q;
    if (x->choices_each == 1)
        one->n = (struct number){STR_NONE, JSON_ABSENT};
    one->more_prompt_count = 0;
    if (prompt)
        one->turns = one->last_turn = q->more_prompts[prompt - 1];
    return one;
}

const struct chat_request *choices_first(struct exchange *x)
{
    return asked_by(x, 0);
}

/* Each prompt is in the attempt's estimate once. */
static struct rate_need need_of(const struct exchange *x, unsigned call)
{
    const struct chat_request *q = &x->translated->chat;
    unsigned prompts = (unsigned)q->more_prompt_count + 1;
    bool again = call % (chat_choices(q) / x->choices_each) > 0;

    return (struct rate_need){.input_tokens = again ? x->input_tokens / prompts : 0, .output_tokens = x->output_tokens};
}

struct extra_choice {
    struct exchange *x;
    unsigned number; /* of the call; 0 is the attempt itself */
    struct answer answer;
};

static SUSPENDS err_t one_more(void *arg)
{
    struct extra_choice *c = arg;
    struct exchange *x = c->x;
    struct buf own CLEANUP(buf_release) = BUF_INIT(x->translated->body.max);
    struct provider_call said = {.body = &own};
    const struct api_error *refusal;
    struct rate_need need = need_of(x, c->number);
    struct str body;

    TRY(x->speaks->provider.write_chat(translation_of(x), asked_by(x, c->number), &said));
    TRY(buf_status(&own));
    TRY(side_call(x, &said, &need, &body));
    return translate_chat_answer(x, body, &c->answer, &refusal);
}

/* Places in the answer are counted from the number of choices of each: none may be missing. */
static err_t check_count(const struct exchange *x, const struct answer *a)
{
    if (a->choice_count < x->choices_each)
        return fail(E_PROTOCOL, "the provider gave an answer with %zu choices instead of %u", a->choice_count,
                    x->choices_each);
    return OK;
}

static err_t join(struct exchange *x, const struct extra_choice *more)
{
    struct answer *whole = &x->translated->answer;

    TRY(check_count(x, whole));
    whole->choice_count = x->choices_each;
    for (unsigned i = 0; i < x->calls - 1; i++) {
        TRY(check_count(x, &more[i].answer));
        for (unsigned c = 0; c < x->choices_each; c++)
            whole->choices[whole->choice_count++] = more[i].answer.choices[c];
        usage_add(&whole->usage, &more[i].answer.usage);
    }
    return OK;
}

err_t choices_complete(struct exchange *x, struct attempt *a)
{
    struct extra_choice *more = arena_zalloc(x->r->arena, (x->calls - 1) * sizeof *more);

    for (unsigned from = 0; from < x->calls - 1; from += CHOICES_AT_ONCE) {
        SCOPE(scope, NS_NEVER);
        for (unsigned i = from; i < x->calls - 1 && i < from + CHOICES_AT_ONCE; i++) {
            more[i] = (struct extra_choice){.x = x, .number = i + 1};
            scope_spawn(&scope, "choice", one_more, &more[i]);
        }
        TRY(scope_wait_all(&scope));
    }
    TRY(join(x, more));
    a->usage = x->translated->answer.usage;
    return OK;
}
