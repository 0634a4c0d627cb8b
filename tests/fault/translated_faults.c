/*
 * translated_faults.c - translated requests under sweeps: every call to the world fails once, every wait is cancelled once, every limit of
 * memory is met once.
 *
 * What must hold besides the framework's own: what ends in order is whole and right or an error in the client's dialect (sim/dialect_house.c);
 * until the fault has struck everything succeeds, and after it one client fails at most.
 */
#include "fault/fault.h"

#include "rt/loop.h"
#include "sim/dialect_house.h"

#define VICTIMS "client,http request,choice"

enum { FEW = 2 };

static void check_few(struct dialect_house *h, const struct outcome *o)
{
    (void)h;
    for (unsigned i = 0; i < FEW; i++)
        EXPECT(fault_has_struck() || o[i].result == OK, "client %u without a fault: %s", i, o[i].text);
    EXPECT(world_count(o, FEW, OK) >= FEW - 1, "one fault has broken all clients: %s, %s", o[0].text, o[1].text);
}

static SUSPENDS err_t ask(struct client *c, enum speaker by, const char *model, bool stream, unsigned choices)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    struct said said = {.text = STR("What can go wrong?")};
    struct asking q;

    arena_init(&arena, 1 << 16);
    asking_init(&q, by, str_from_c(model), &said, stream, &arena);
    q.choices = choices;
    return house_hear(c, &q, &h);
}

static err_t ask_stream(struct client *c)
{
    return ask(c, c->index % 2 ? BY_ANTHROPIC : BY_GEMINI_ARRAY, "groq-good", true, 0);
}

FAULT_SCENARIO(translated_stream, .victims = VICTIMS)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = FEW, .fn = ask_stream, .check = check_few});
}

static err_t ask_plain(struct client *c)
{
    return ask(c, c->index % 2 ? BY_RESPONSES : BY_OPENAI, "anthropic-good", false, 0);
}

FAULT_SCENARIO(translated_plain_request, .victims = VICTIMS)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = FEW, .fn = ask_plain, .check = check_few});
}

/* The calls beside the first are fibers of their own. */
static err_t ask_several(struct client *c)
{
    return ask(c, BY_OPENAI, "anthropic-good", c->index % 2, 3);
}

FAULT_SCENARIO(translated_choices, .victims = VICTIMS)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = FEW, .fn = ask_several, .check = check_few});
}

/* The same dialect on both sides: frames pass, and the reader watches. */
static err_t ask_own(struct client *c)
{
    return c->index % 2 ? ask(c, BY_ANTHROPIC, "anthropic-good", true, 0)
                        : ask(c, BY_GEMINI_ARRAY, "gemini-good", true, 0);
}

FAULT_SCENARIO(watched_stream, .victims = VICTIMS)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = FEW, .fn = ask_own, .check = check_few});
}
