/*
 * gateway_faults.c - the whole gateway under sweeps: every call to the world fails once, every wait is cancelled once.
 *
 * What must hold besides the framework's own: a request ends, with the right bytes or an explicit error (sim/house.c); nothing stays in
 * flight; until the fault has struck everything succeeds, and after it one client fails at most.
 */
#include "fault/fault.h"

#include "rt/loop.h"
#include "sim/house.h"

#define VICTIMS "client,http request,http upload,http2 reader,http2 writer"

enum { FEW = 2 };

/* One connection breaks at most: the other client must not notice. */
static void check_few(struct house *h, const struct outcome *o)
{
    (void)h;
    for (unsigned i = 0; i < FEW; i++)
        EXPECT(fault_has_struck() || o[i].result == OK, "client %u without a fault: %s", i, o[i].text);
    EXPECT(world_count(o, FEW, OK) >= FEW - 1, "one fault has broken all clients: %s, %s", o[0].text, o[1].text);
}

static err_t ask_plain(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 5};

    return house_ask(c, &q, STR("lone"));
}

FAULT_SCENARIO(gateway_plain_request, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_plain, .check = check_few});
}

static err_t ask_stream(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 6, .stream = true};

    return house_ask(c, &q, STR("lone"));
}

FAULT_SCENARIO(gateway_stream, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_stream, .check = check_few});
}

/* Every provider is busy: both are asked, and the client gets the last one's words. */
static err_t ask_the_busy(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 5};
    err_t e = house_ask(c, &q, STR("chat"));

    EXPECT(fault_has_struck() || c->outcome->status == 503, "without a fault: status %d", c->outcome->status);
    return e == E_UPSTREAM ? OK : e;
}

FAULT_SCENARIO(gateway_fallback, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fixed = BUSY, .fn = ask_the_busy, .check = check_few});
}

static err_t upload(struct client *c)
{
    struct upload_plan plan = {.n = 9000, .piece = 2000, .pause = 10 * NS_MS, .sized = c->index % 2};

    return house_upload(c, &plan);
}

FAULT_SCENARIO(gateway_upload, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = upload, .check = check_few});
}

/* The provider refuses in the middle: sending is given up and the client is told. */
static err_t upload_too_much(struct client *c)
{
    err_t e = upload(c);

    EXPECT(fault_has_struck() || c->outcome->status == 413, "without a fault: status %d %s", c->outcome->status,
           err_detail(e));
    return e == E_UPSTREAM ? OK : e;
}

FAULT_SCENARIO(gateway_upload_refused, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fixed = FULL, .fn = upload_too_much, .check = check_few});
}

static err_t download(struct client *c)
{
    return house_download(c, 20000 + c->index, 5 * NS_MS);
}

FAULT_SCENARIO(gateway_download, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = download, .check = check_few});
}

/* An HTTP/2 connection has several requests, so one fault may end them all. */
static void check_http2(struct house *h, const struct outcome *o)
{
    (void)h;
    EXPECT(fault_has_struck() || o[0].result == OK, "without a fault: %s", o[0].text);
}

FAULT_SCENARIO(gateway_http2, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = 1, .fn = house_ask_by_http2, .check = check_http2});
}

/* --- new configurations while requests are under way --- */

static err_t reload(void *arg)
{
    struct house *h = arg;

    for (unsigned i = 0; i < 4; i++) {
        TRY(fiber_sleep_until(rt_now() + 40 * NS_MS));
        TRY(house_snapshot(PROVIDER_PORT + 1 + (i + 1) % 2, &h->installed[i]));
        gateway_install(h->gateway, h->installed[i]);
    }
    return OK;
}

static err_t ask_long(struct client *c)
{
    struct question q = {.id = c->index, .tokens = 8, .stream = c->index % 2};

    TRY(house_ask(c, &q, STR("chat")));
    return fiber_sleep_until(rt_now() + NS_SEC); /* until the last configuration is there */
}

static void check_retired(struct house *h, const struct outcome *o)
{
    check_few(h, o);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(h->installed[i] && h->installed[i]->refs_ == 1, "configuration %u is still held", i);
    EXPECT(sim_world_connections(h->world->sim, PROVIDER_PORT + 2) == 0,
           "a connection of an old configuration is left");
}

FAULT_SCENARIO(gateway_reload, .victims = VICTIMS)
{
    return house_run(w, &(struct house_plan){.clients = FEW, .fn = ask_long, .beside = reload, .check = check_retired});
}
