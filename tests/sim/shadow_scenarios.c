/* shadow_scenarios.c - copies of requests to another deployment: they are made, recorded, and felt by nobody. */
#include "sim/fleet_house.h"
#include "sim/scenarios.h"

#define SHADOWED "{ targets: [ p0/m ], shadow: { deployment: p1/m, share: 50% } }"

/* Nobody is kept waiting, whatever the shadow does; about half of the requests are copied; each copy is recorded once. */
static void check_unfelt(struct fleet *f)
{
    struct fleet_tally all = fleet_tally(f, 0, NS_NEVER);
    uint64_t copies = fleet_requests(f, 1);

    EXPECT(all.failed == 0, "%u of %u requests failed", all.failed, all.visits);
    EXPECT(all.p99 <= 100 * NS_MS, "the first token took %lld ms", (long long)(all.p99 / NS_MS));
    EXPECT(fleet_requests(f, 0) == f->count, "%zu requests were sent %llu times", f->count,
           (unsigned long long)fleet_requests(f, 0));
    EXPECT(copies >= f->count * 3 / 10 && copies <= f->count * 7 / 10, "%llu of %zu were copied",
           (unsigned long long)copies, f->count);
    EXPECT(f->beside == copies, "%llu copies left %u records", (unsigned long long)copies, f->beside);
    for (size_t i = 0; i < f->count; i++)
        EXPECT(f->visits[i].deployment == 0 && f->visits[i].attempts == 1, "client %zu was answered by p%d", i,
               f->visits[i].deployment);
}

SCENARIO(a_shadow_gets_copies_and_is_felt_by_nobody, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    static const char *const ways[] = {
        "{ ttft: 20ms, answer_tokens: 20 }", "{ faults: [ {kind: status, status: 500} ] }",
        "{ faults: [ {kind: stall, after_tokens: 2, duration: 1s} ] }",
        "{ faults: [ {kind: break_stream, after_tokens: 3} ] }", "{ ttft: 1s, answer_tokens: 30 }"};
    struct fleet_plan plan = {.deployments = 2,
                              .models = SHADOWED,
                              .behaviours = {"{ ttft: 20ms, answer_tokens: 20 }", ways[w->seed % 5]},
                              .rate = 10,
                              .span = 20 * NS_SEC,
                              .plain = 300,
                              .check = check_unfelt};

    return fleet_run(w, &plan);
}

/* The data may not go there. */
static void check_untouched(struct fleet *f)
{
    EXPECT(fleet_requests(f, 1) == 0, "%llu requests were copied", (unsigned long long)fleet_requests(f, 1));
    EXPECT(f->beside == 0, "%u copies were recorded", f->beside);
}

SCENARIO(a_shadow_that_the_data_may_not_go_to_gets_nothing, .weather = WEATHER_CALM, .prepare = fleet_lines,
         .thin = 397)
{
    struct fleet_plan plan = {.deployments = 2,
                              .models = "{ targets: [ p0/m ], require: eu, shadow: p1/m }",
                              .top = "deployments: { p0/m: { tags: [ eu ] } }\n",
                              .behaviour = "{ ttft: 20ms, answer_tokens: 20 }",
                              .rate = 10,
                              .span = 5 * NS_SEC,
                              .check = check_untouched};

    return fleet_run(w, &plan);
}
