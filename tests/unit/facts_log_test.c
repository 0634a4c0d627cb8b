/* facts_log_test.c - a request's facts as records and back, the ring of the latest, and the story that is told of them. */
#include "observe/facts_log.h"
#include "observe/facts_ring.h"
#include "observe/story.h"

#include "base/bytes.h"
#include "base/prng.h"
#include "in_loop.h"
#include "policy/strategy.h"
#include "store/segments.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define WALL INT64_C(1790000000123456789)

static struct decision_candidate candidates[] = {
    {.deployment = STR_INIT("openai/gpt-4o"), .score = 2.5, .weight = 1, .slow_start = 1, .in_flight = 3},
    {.deployment = STR_INIT("azure/gpt-4o"), .excluded = EXCLUDED_EJECTED, .weight = 1, .slow_start = 1},
    {.deployment = STR_INIT("far/gpt-4o"), .score = 7, .weight = 2, .slow_start = 0.5},
};
static struct decision_facts decisions[] = {
    {.request = STR_INIT("req_1"),
     .attempt = 1,
     .revision = 3,
     .seq = 10,
     .at = 100,
     .route = STR_INIT("chat"),
     .rule = STR_INIT("long"),
     .pool = STR_INIT("targets"),
     .strategy = "least-busy",
     .unit = "tokens in flight per weight",
     .why = "fewest tokens in flight",
     .chosen = STR_INIT("openai/gpt-4o"),
     .score = 2.5,
     .probability = 1,
     .draw = UINT64_MAX,
     .count = 3,
     .examined = 3,
     .candidates = candidates,
     .candidate_count = 3},
    {.request = STR_INIT("req_1"),
     .attempt = 2,
     .pool = STR_INIT("fallbacks.rate_limit"),
     .strategy = "weighted",
     .chosen = STR_INIT("far/gpt-4o"),
     .count = 1,
     .examined = 1,
     .sticky = UINT64_C(0xfedcba9876543210),
     .home = STR_INIT("far/gpt-4o"),
     .home_cached = 4000,
     .ns_per_nanodollar = 0.125,
     .ill_too = true},
};
static struct attempt_facts tried[] = {
    {.request = STR_INIT("req_1"),
     .number = 1,
     .role = ROLE_FIRST,
     .deployment = STR_INIT("openai/gpt-4o"),
     .provider = STR_INIT("openai"),
     .credential = STR_INIT("first"),
     .cause = CAUSE_RATE_LIMITED,
     .status = 429,
     .error_text = STR_INIT("slow\ndown\x1b[31m"),
     .wall = WALL + 2 * NS_MS,
     .sent = 1000,
     .ended = 1000 + 50 * NS_MS,
     .seq_sent = 11,
     .seq_ended = 12,
     .verb = RETRY_ELSEWHERE,
     .pause = 250 * NS_MS},
    {.request = STR_INIT("req_1"),
     .number = 2,
     .role = ROLE_FALLBACK,
     .deployment = STR_INIT("far/gpt-4o"),
     .wall = WALL + 310 * NS_MS,
     .sent = 400 * NS_MS,
     .first = 610 * NS_MS,
     .last = 1400 * NS_MS,
     .ended = 1400 * NS_MS,
     .usage = {.known = true, .input = 900, .cached_input = 500, .output = 40, .reasoning = 8},
     .price = 1230000,
     .is_priced = true,
     .is_final = true},
};
static const struct facts sample = {
    .id = STR_INIT("req_1"),
    .endpoint = "chat",
    .method = STR_INIT("POST"),
    .path = STR_INIT("/v1/chat/completions"),
    .dialect = "openai",
    .key = STR_INIT("team-a"),
    .model = STR_INIT("gpt"),
    .model_label = STR_INIT("chat"),
    .attempts = 2,
    .status = 200,
    .wall = WALL,
    .total = 1320 * NS_MS,
    .first_token = 520 * NS_MS,
    .usage = {.known = true, .input = 900, .cached_input = 500, .output = 40, .reasoning = 8},
    .price = 1230000,
    .is_priced = true,
    .queued = 5 * NS_MS,
    .rule = STR_INIT("long"),
    .revision = 3,
    .tried = tried,
    .tried_count = 2,
    .decisions = decisions,
    .decision_count = 2};

static bool holds(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_from_c(text)) < b->n;
}

/* --- records --- */

TEST(facts_come_back_from_their_records)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct facts got;

    arena_init(&a, 1 << 20);
    CHECK_OK(facts_write(&sample, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK_STR(got.model, "gpt");
    CHECK_STR(str_from_c(got.endpoint), "chat");
    CHECK_STR(str_from_c(got.translated_to), "");
    CHECK_EQ(got.price, 1230000);
    CHECK_EQ(got.tried_count, 2);
    CHECK_EQ(got.tried[0].cause, CAUSE_RATE_LIMITED);
    CHECK_EQ(got.tried[0].seq_ended, 12);
    CHECK_EQ(got.tried[1].usage.reasoning, 8);
    CHECK_EQ(got.tried[1].role, ROLE_FALLBACK);
    CHECK_EQ(got.decision_count, 2);
    CHECK_STR(str_from_c(got.decisions[0].why), "fewest tokens in flight");
    CHECK_EQ(got.decisions[0].candidate_count, 3);
    CHECK_EQ(got.decisions[0].candidates[1].excluded, EXCLUDED_EJECTED);
    CHECK(got.decisions[0].draw == UINT64_MAX && got.decisions[0].candidates[2].slow_start == 0.5);
    CHECK(!got.decisions[0].ill_too && got.decisions[0].home.n == 0);
    CHECK(got.decisions[1].sticky == UINT64_C(0xfedcba9876543210) && got.decisions[1].ill_too);
    CHECK_STR(got.decisions[1].home, "far/gpt-4o");
    CHECK_EQ(got.decisions[1].home_cached, 4000);
    CHECK(got.decisions[0].ns_per_nanodollar == 0 && got.decisions[1].ns_per_nanodollar == 0.125);
}

/* --- a decision, made again from a log on disk --- */

enum { FLEET = 3 };
static const struct strategy_candidate fleet[FLEET] = {
    {.weight = 2, .slow_start = 0.75, .id = 11, .in_flight = 3, .time_per_unit = 4e5, .time_per_token = 1e6},
    {.weight = 1, .slow_start = 1, .id = 12, .in_flight = 9, .waited_per_unit = 3e5, .cost = 12345, .headroom = 0.5},
    {.excluded = EXCLUDED_RATE_LIMIT, .weight = 1, .slow_start = 1, .id = 13, .tier = 1},
};
static const struct str fleet_names[FLEET] = {STR_INIT("a/m"), STR_INIT("b/m"), STR_INIT("c/m")};

static void read_fleet(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to)
{
    const struct strategy_candidate *all = ctx;

    (void)needs;
    *to = all[i];
}

static struct strategy_ask ask_of(uint64_t draw, bool sticks)
{
    return (struct strategy_ask){.count = FLEET,
                                 .read = read_fleet,
                                 .ctx = fleet,
                                 .draw = prng_scatter(draw),
                                 .turn = draw,
                                 .input_tokens = 5000,
                                 .output_tokens = 100,
                                 .has_sticky = sticks,
                                 .sticky = sticks ? prng_scatter(draw + 1) : 0,
                                 .has_home = sticks && draw % 3 < 2,
                                 .home = draw % 3 % 2,
                                 .home_cached = sticks ? 4900 - 700 * (draw % 7) : 0,
                                 .ns_per_nanodollar = draw % 2 ? 1e5 : 0}; /* 12,345 are 1.2 s, or nothing */
}

/* The facts of a decision, as the gateway notes them; in the arena. */
static struct decision_facts note(const struct strategy *s, const struct strategy_ask *ask, struct arena *a)
{
    struct strategy_decision d = strategy_choose(s, ask);
    struct decision_facts f = {.request = STR("r"),
                               .attempt = 1,
                               .strategy = s->name,
                               .chosen = d.chosen == STRATEGY_NONE ? STR_NONE : fleet_names[d.chosen],
                               .score = d.score,
                               .probability = d.probability,
                               .draw = ask->draw,
                               .turn = ask->turn,
                               .input_tokens = ask->input_tokens,
                               .output_tokens = ask->output_tokens,
                               .sticky = ask->sticky,
                               .home = ask->has_home ? fleet_names[ask->home] : STR_NONE,
                               .home_cached = ask->home_cached,
                               .ns_per_nanodollar = ask->ns_per_nanodollar,
                               .count = FLEET,
                               .candidates = arena_zalloc(a, FLEET * sizeof *f.candidates),
                               .candidate_count = FLEET};

    for (size_t i = 0; i < FLEET; i++)
        f.candidates[i] = (struct decision_candidate){.deployment = fleet_names[i],
                                                      .excluded = fleet[i].excluded,
                                                      .weight = fleet[i].weight,
                                                      .tier = fleet[i].tier,
                                                      .slow_start = fleet[i].slow_start,
                                                      .time_per_unit = fleet[i].time_per_unit,
                                                      .time_per_token = fleet[i].time_per_token,
                                                      .waited_per_unit = fleet[i].waited_per_unit,
                                                      .headroom = fleet[i].headroom,
                                                      .in_flight = fleet[i].in_flight,
                                                      .in_flight_tokens = fleet[i].in_flight_tokens,
                                                      .cost = fleet[i].cost};
    return f;
}

/* Decide by nothing but what the record says; ids of deployments are functions of their names. */
static void check_replays(const struct decision_facts *f)
{
    struct strategy_candidate again[FLEET];
    struct strategy_ask ask = {.count = f->count,
                               .read = read_fleet,
                               .ctx = again,
                               .draw = f->draw,
                               .turn = f->turn,
                               .input_tokens = f->input_tokens,
                               .output_tokens = f->output_tokens,
                               .has_sticky = f->sticky != 0,
                               .sticky = f->sticky,
                               .home_cached = f->home_cached,
                               .ns_per_nanodollar = f->ns_per_nanodollar};

    for (size_t i = 0; i < FLEET; i++) {
        const struct decision_candidate *c = &f->candidates[i];
        again[i] = (struct strategy_candidate){.excluded = c->excluded,
                                               .weight = c->weight,
                                               .slow_start = c->slow_start,
                                               .id = fleet[i].id,
                                               .tier = c->tier,
                                               .in_flight = c->in_flight,
                                               .in_flight_tokens = c->in_flight_tokens,
                                               .time_per_unit = c->time_per_unit,
                                               .time_per_token = c->time_per_token,
                                               .waited_per_unit = c->waited_per_unit,
                                               .cost = c->cost,
                                               .headroom = c->headroom};
        if (f->home.n && str_eq(c->deployment, f->home)) {
            ask.has_home = true;
            ask.home = i;
        }
    }
    struct strategy_decision d = strategy_choose(strategy_find(str_from_c(f->strategy)), &ask);
    CHECK(d.chosen != STRATEGY_NONE && str_eq(fleet_names[d.chosen], f->chosen));
    CHECK(d.score == f->score && d.probability == f->probability);
}

static void put_decision(struct segments *log, const struct decision_facts *f)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);

    CHECK_OK(record_write(facts_type(FACTS_DECISION), f, &b));
    CHECK(segments_put(log, buf_str(&b)));
}

static void decide_log_and_replay(void)
{
    enum { DRAWS = 20 };
    struct segments_rules rules = {
        .dir = "/facts", .segment_bytes = 1 << 20, .total_bytes = 4 << 20, .max_age = NS_NEVER};
    struct segments *log = NULL;
    struct segment_reader *r = NULL;
    struct arena a CLEANUP(arena_release);
    struct str record;
    size_t count = 0;

    arena_init(&a, 1 << 24);
    CHECK_OK(segments_open(&rules, &log));
    for (size_t s = 0; s < strategy_catalog_count; s++)
        for (uint64_t draw = 0; draw < DRAWS; draw++) {
            struct strategy_ask ask = ask_of(draw, draw % 2);
            struct decision_facts f = note(strategy_catalog[s], &ask, &a);
            put_decision(log, &f);
        }
    segments_close(log);
    CHECK_OK(segment_reader_open(loop_seams(), "/facts", 0, &r));
    while (segment_reader_next(r, &record) == OK && record.p) {
        struct decision_facts f;
        CHECK_OK(record_read(facts_type(FACTS_DECISION), record, &a, &f));
        check_replays(&f);
        count++;
    }
    segment_reader_close(r);
    CHECK_EQ(count, DRAWS * strategy_catalog_count);
}

TEST(facts_of_decisions_replay_from_a_segment)
{
    in_sim(decide_log_and_replay);
}

TEST(facts_are_in_the_order_of_what_happened_and_the_request_is_last)
{
    static const int want[] = {FACTS_DECISION, FACTS_ATTEMPT, FACTS_DECISION, FACTS_ATTEMPT, FACTS_REQUEST};
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);

    CHECK_OK(facts_write(&sample, &b));
    struct str rest = buf_str(&b);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct str record = facts_next_record(&rest);
        CHECK_EQ(record_type_of(record), want[i]);
        CHECK_STR(facts_request_of(record), "req_1");
    }
    CHECK_EQ(facts_next_record(&rest).n, 0);
}

/* What a log on disk relies on: numbers of types and the order of fields. Only ever add at the ends. */
TEST(facts_tables_begin_as_they_always_did)
{
    static const struct {
        int type;
        const char *name;
        size_t fields;
        const char *begins;
    } first[] = {{1, "request", 40, "request"},
                 {2, "attempt", 39, "request"},
                 {3, "decision", 25, "request"},
                 {4, "root", 20, "root"},
                 {5, "tap", 8, "root"}};

    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        const struct record_type *t = facts_type(first[i].type);
        CHECK_STR(str_from_c(t->name), first[i].name);
        CHECK_GE(t->field_count, first[i].fields);
        CHECK_STR(str_from_c(t->fields[0].name), first[i].begins);
        CHECK(facts_type_named(str_from_c(first[i].name)) == t);
    }
    CHECK(facts_type(0) == NULL && facts_type(6) == NULL && facts_type_named(STR("x")) == NULL);
    CHECK_STR(str_from_c(facts_type(FACTS_REQUEST)->fields[39].name), "priced");
    CHECK_STR(str_from_c(facts_type(FACTS_ATTEMPT)->fields[38].name), "pause");
    CHECK_STR(str_from_c(facts_type(FACTS_DECISION)->fields[20].name), "candidates");
    CHECK_STR(str_from_c(facts_type(FACTS_DECISION)->fields[24].name), "ill_too");
    CHECK_STR(str_from_c(facts_type(FACTS_ROOT)->fields[19].name), "trace");
    CHECK_STR(str_from_c(facts_type(FACTS_TAP)->fields[7].name), "trace");
}

TEST(facts_of_others_are_passed_over_and_the_last_of_an_id_counts)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct facts other = {.id = STR("req_2"), .wall = 1}, again = {.id = STR("req_1"), .wall = WALL + 5, .status = 503},
                 got;

    arena_init(&a, 1 << 20);
    CHECK_OK(facts_write(&other, &b));
    CHECK_OK(facts_write(&sample, &b));
    CHECK_OK(facts_write(&other, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK_EQ(got.tried_count, 2);
    CHECK_EQ(got.status, 200);
    CHECK_OK(facts_write(&again, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK_EQ(got.tried_count, 0);
    CHECK_EQ(got.status, 503);
    CHECK_ERR(facts_read(buf_str(&b), STR("req_"), &a, &got), E_NOT_FOUND);
    CHECK_ERR(facts_read(STR_NONE, STR("req_1"), &a, &got), E_NOT_FOUND);
}

/* Loops are asked one after the other, and each tells its latest first. */
TEST(facts_of_an_id_that_several_had_are_the_newest_ones_and_counted)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct facts late = {.id = STR("req_1"), .wall = WALL + 7, .status = 503}, early = late, got;

    arena_init(&a, 1 << 20);
    early.wall = WALL - 7;
    CHECK_OK(facts_write(&late, &b));
    CHECK_OK(facts_write(&sample, &b));
    CHECK_OK(facts_write(&early, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK_EQ(got.wall, WALL + 7);
    CHECK(got.tried_count == 0 && got.decision_count == 0);
    CHECK_EQ(facts_count(buf_str(&b), STR("req_1")), 3);
    CHECK_EQ(facts_count(buf_str(&b), STR("req_2")), 0);
    buf_clear(&b);
    CHECK_OK(facts_write(&early, &b));
    CHECK_OK(facts_write(&sample, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK(got.wall == WALL && got.tried_count == 2 && got.decision_count == 2);
    /* and one that was not over when the process ended */
    CHECK_OK(record_write(facts_type(FACTS_ATTEMPT), &tried[0], &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK(got.wall == 0 && got.tried_count == 1 && got.tried[0].number == 1);
}

TEST(facts_of_a_shadow_belong_to_its_request_wherever_they_stand)
{
    struct arena a CLEANUP(arena_release);
    struct attempt_facts shadow = {.request = STR("req_1"), .number = 1, .role = ROLE_SHADOW, .wall = WALL + NS_SEC};

    arena_init(&a, 1 << 20);
    for (int place = 0; place < 3; place++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
        struct facts before = {.id = STR("req_1"), .wall = WALL - 9}, got;
        CHECK_OK(facts_write(&before, &b));
        if (place == 0)
            CHECK_OK(record_write(facts_type(FACTS_ATTEMPT), &shadow, &b));
        CHECK_OK(facts_write(&sample, &b));
        if (place == 1)
            CHECK_OK(record_write(facts_type(FACTS_ATTEMPT), &shadow, &b));
        CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
        CHECK(got.wall == WALL && got.decision_count == 2);
        CHECK_EQ(got.tried_count, place < 2 ? 3 : 2);
        CHECK(got.tried[1].role == ROLE_FALLBACK && (place == 2 || got.tried[2].role == ROLE_SHADOW));
    }
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct facts got;
    shadow.wall = WALL - 1; /* of one before */
    CHECK_OK(record_write(facts_type(FACTS_ATTEMPT), &shadow, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK(got.wall == 0 && got.tried_count == 1 && got.tried[0].role == ROLE_SHADOW);
    CHECK_OK(facts_write(&sample, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK_EQ(got.tried_count, 2);
}

TEST(facts_of_a_request_that_was_cut_off_are_what_there_is)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX), story CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct facts got;

    arena_init(&a, 1 << 20);
    CHECK_OK(facts_write(&sample, &b));
    struct str rest = buf_str(&b);
    size_t n = facts_next_record(&rest).n + facts_next_record(&rest).n;
    CHECK_OK(facts_read(str_of(b.p, n), STR("req_1"), &a, &got));
    CHECK_EQ(got.tried_count, 1);
    CHECK_EQ(got.wall, 0);
    story_tell(&got, &story);
    CHECK(str_starts(buf_str(&story),
                     STR("Request req_1: the process ended before it was over.\nDecision for attempt 1")));
}

TEST(facts_texts_that_others_chose_are_cut)
{
    static char endless[100000];
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct facts f = {.id = STR("r"), .wall = 1};

    memset(endless, 'm', sizeof endless);
    f.model = f.path = f.error_text = str_of(endless, sizeof endless);
    CHECK_OK(facts_write(&f, &b));
    CHECK_LT(b.n, 4000);
}

TEST(facts_as_json_have_their_type_in_front)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX), json CLEANUP(buf_release) = BUF_INIT(1 << 16);
    char unknown[] = "\0\0\0\x06\x63\x00";

    arena_init(&a, 1 << 20);
    CHECK_OK(facts_write(&sample, &b));
    struct str rest = buf_str(&b), decision = facts_next_record(&rest), attempt = facts_next_record(&rest);
    CHECK_OK(facts_json(attempt, &a, &json));
    CHECK(str_starts(buf_str(&json), STR("{\"type\":\"attempt\",\"request\":\"req_1\",\"wall\":1790000000125456789,")));
    CHECK(holds(&json, "\"role\":\"first\"") && holds(&json, "\"cause\":\"rate_limited\"") &&
          holds(&json, "\"then\":\"elsewhere\""));
    CHECK(str_ends(buf_str(&json), STR("\"why\":\"go\",\"pause\":250000000,\"estimated\":false}")));
    buf_clear(&json);
    CHECK_OK(facts_json(decision, &a, &json));
    CHECK(holds(&json, "\"excluded\":\"ejected\"") && holds(&json, "\"strategy\":\"least-busy\""));
    CHECK_ERR(facts_json(str_of(unknown, 6), &a, &json), E_PROTOCOL);
}

/* --- pipelines --- */

static const struct root_facts message = {.root = STR_INIT("00ff"),
                                          .pipeline = STR_INIT("triage"),
                                          .version = 7,
                                          .source = STR_INIT("tickets"),
                                          .outcome = OUTCOME_LATE,
                                          .wall = WALL,
                                          .sent_at = WALL - NS_SEC,
                                          .took = 3 * NS_MS,
                                          .starts = 2,
                                          .nodes = 4,
                                          .records = 9,
                                          .failed = 1,
                                          .dead = 1,
                                          .late = 2,
                                          .calls = 3,
                                          .input_tokens = 100,
                                          .output_tokens = 20,
                                          .price = 1230000,
                                          .is_priced = true,
                                          .trace = STR_INIT("4bf92f3577b34da6a3ce929d0e0e4736")};
static const struct tap_facts tap = {.root = STR_INIT("00ff"),
                                     .pipeline = STR_INIT("triage"),
                                     .version = 7,
                                     .node = STR_INIT("look"),
                                     .wall = WALL,
                                     .shown = STR_INIT("{\"label\":\"refund\",\"score\":0.5}")};

/* The JSON of the facts' record. */
static void check_record(int type, const void *facts, const char *want)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX), json CLEANUP(buf_release) = BUF_INIT(1 << 16);

    CHECK_OK(record_write(facts_type(type), facts, &b));
    CHECK_OK(facts_json(buf_str(&b), &a, &json));
    CHECK_STR(buf_str(&json), want);
    CHECK_EQ(facts_request_of(buf_str(&b)).n, 0);
}

TEST(facts_of_a_message_and_of_a_tap_come_back_as_json)
{
    check_record(
        FACTS_ROOT, &message,
        "{\"type\":\"root\",\"root\":\"00ff\",\"wall\":1790000000123456789,\"pipeline\":\"triage\",\"version\":7,"
        "\"source\":\"tickets\",\"outcome\":\"late\",\"sent_at\":1789999999123456789,\"took\":3000000,\"starts\":2,"
        "\"nodes\":4,\"records\":9,\"failed\":1,\"dead\":1,\"late\":2,\"calls\":3,\"input\":100,\"output\":20,"
        "\"price_nanodollars\":1230000,\"priced\":true,\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}");
    check_record(
        FACTS_TAP, &tap,
        "{\"type\":\"tap\",\"root\":\"00ff\",\"wall\":1790000000123456789,\"pipeline\":\"triage\",\"version\":7,"
        "\"node\":\"look\",\"shown\":{\"label\":\"refund\",\"score\":0.5},\"error_text\":\"\",\"trace\":\"\"}");
}

TEST(facts_of_a_tap_have_no_half_of_a_value)
{
    static char large[RECORD_JSON_MAX + 1];
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct tap_facts t = tap, got;

    memset(large, '1', sizeof large);
    t.shown = str_of(large, RECORD_JSON_MAX);
    CHECK_OK(record_write(facts_type(FACTS_TAP), &t, &b));
    CHECK_OK(record_read(facts_type(FACTS_TAP), buf_str(&b), &a, &got));
    CHECK_EQ(got.shown.n, RECORD_JSON_MAX);
    buf_clear(&b);
    t.shown.n++;
    CHECK_OK(record_write(facts_type(FACTS_TAP), &t, &b));
    CHECK_OK(record_read(facts_type(FACTS_TAP), buf_str(&b), &a, &got));
    CHECK_EQ(got.shown.n, 0);
    t.shown = STR("{\"a\":"); /* of a foreign log */
    check_record(
        FACTS_TAP, &t,
        "{\"type\":\"tap\",\"root\":\"00ff\",\"wall\":1790000000123456789,\"pipeline\":\"triage\",\"version\":7,"
        "\"node\":\"look\",\"shown\":null,\"error_text\":\"\",\"trace\":\"\"}");
}

/* Byte for byte what was written to disks before there were messages of pipelines: a request's record, cut off behind its tenth field. */
TEST(facts_of_an_old_log_are_read_beside_new_ones)
{
    static const char old[] = "\0\0\0\x2b\x01\x0a\x05req_1\x02\x03\x06team-a\x04"
                              "chat\x04POST\x02/v\x06openai\x00\x00";
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct buf b CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX), json CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct facts got;

    CHECK_OK(record_write(facts_type(FACTS_ROOT), &message, &b));
    CHECK_OK(buf_add(&b, str_of(old, sizeof old - 1)));
    CHECK_OK(record_write(facts_type(FACTS_TAP), &tap, &b));
    CHECK_OK(facts_read(buf_str(&b), STR("req_1"), &a, &got));
    CHECK_STR(got.key, "team-a");
    CHECK_EQ(got.wall, 1);
    CHECK_EQ(got.status, 0);
    CHECK_OK(facts_json(str_of(old, sizeof old - 1), &a, &json));
    CHECK(holds(&json, "\"endpoint\":\"chat\",\"method\":\"POST\",\"path\":\"/v\",\"dialect\":\"openai\""));
    CHECK_ERR(facts_read(buf_str(&b), STR("00ff"), &a, &got), E_NOT_FOUND);
    CHECK_EQ(facts_count(buf_str(&b), STR("req_1")), 1);
}

/* --- the ring --- */

/* What the ring has for an id, all entries end to end; valid until the next call. */
static struct str found(const struct facts_ring *r, struct str id)
{
    static char text[FACTS_RING_LEAST * 2];
    struct buf b CLEANUP(buf_release) = BUF_INIT(sizeof text);

    facts_ring_find(r, id, &b);
    if (b.n)
        memcpy(text, b.p, b.n);
    return b.n ? str_of(text, b.n) : STR_NONE;
}

TEST(the_ring_gives_the_latest_of_an_id_and_forgets_the_oldest)
{
    struct facts_ring *r = facts_ring_new(FACTS_RING_LEAST);
    char id[24], text[400];
    size_t kept = 0;

    CHECK_EQ(found(r, STR("r1")).n, 0);
    CHECK(facts_ring_put(r, STR("r1"), STR("one")));
    CHECK(facts_ring_put(r, STR("r2"), STR("two")));
    CHECK(facts_ring_put(r, STR("r1"), STR("three")));
    CHECK_STR(found(r, STR("r1")), "threeone");
    CHECK_STR(found(r, STR("r2")), "two");
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "id%u", i);
        CHECK(facts_ring_put(r, str_from_c(id), str_of(text, i % sizeof text)));
        CHECK_EQ(found(r, str_from_c(id)).n, i % sizeof text);
    }
    CHECK_EQ(found(r, STR("r1")).n, 0);
    for (unsigned i = 4000; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "id%u", i);
        kept += found(r, str_from_c(id)).p != NULL;
    }
    CHECK(kept > FACTS_RING_LEAST / 300 && kept < FACTS_RING_LEAST / 200);
    facts_ring_free(r);
}

TEST(the_ring_tells_no_more_of_an_id_than_its_latest)
{
    struct facts_ring *r = facts_ring_new(FACTS_RING_LEAST);
    char letter = 'a', last[FACTS_RING_SAME];

    for (unsigned i = 0; i < FACTS_RING_SAME + 5; i++, letter++) {
        CHECK(facts_ring_put(r, STR("x"), str_of(&letter, 1)));
        CHECK(facts_ring_put(r, STR("y"), STR("other")));
    }
    for (unsigned i = 0; i < FACTS_RING_SAME; i++)
        last[i] = (char)(letter - 1 - (int)i);
    CHECK(str_eq(found(r, STR("x")), str_of(last, sizeof last)));
    facts_ring_free(r);
}

TEST(the_ring_refuses_what_is_larger_than_itself_and_takes_what_just_fits)
{
    static char large[FACTS_RING_LEAST];
    struct facts_ring *r = facts_ring_new(FACTS_RING_LEAST);

    memset(large, 'l', sizeof large);
    CHECK(facts_ring_put(r, STR("a"), STR("small")));
    CHECK(!facts_ring_put(r, STR("b"), str_of(large, sizeof large)));
    CHECK_STR(found(r, STR("a")), "small");
    CHECK(facts_ring_put(r, STR("c"), str_of(large, sizeof large - 32)));
    CHECK_EQ(found(r, STR("c")).n, sizeof large - 32);
    CHECK_EQ(found(r, STR("a")).n, 0);
    CHECK(facts_ring_put(r, STR("d"), STR("small")));
    CHECK_EQ(found(r, STR("c")).n, 0);
    CHECK_STR(found(r, STR("d")), "small");
    facts_ring_free(r);
}

TEST(the_ring_does_not_find_what_it_gave_up_even_where_it_still_stands)
{
    static char text[60000];
    struct facts_ring *r = facts_ring_new(FACTS_RING_LEAST);

    memset(text, 't', sizeof text);
    CHECK(facts_ring_put(r, STR("a"), str_of(text, 60000)));
    CHECK(facts_ring_put(r, STR("b"), str_of(text, 5000)));
    CHECK(facts_ring_put(r, STR("c"), str_of(text, 60000)));
    CHECK_EQ(found(r, STR("b")).n, 5000);
    CHECK_EQ(found(r, STR("a")).n, 0);
    CHECK(
        facts_ring_put(r, STR("d"), str_of(text, 5600))); /* not at the end, where b stands, but it would fit nearly */
    CHECK_EQ(found(r, STR("b")).n, 0);
    CHECK_EQ(found(r, STR("d")).n, 5600);
    facts_ring_free(r);
}

/* Against a plain list of everything that was ever put: what is found is the latest of its id, whole, and what is gone is older than all that
 * is found. */
TEST(the_ring_agrees_with_a_list)
{
    enum { PUTS = 3000, IDS = 1000 };
    static unsigned latest[IDS], lengths[PUTS];
    static char text[3000];

    for (uint64_t round = 0; round < test_rounds(10); round++) {
        struct prng p;
        prng_seed(&p, test_seed() + round);
        struct facts_ring *r = facts_ring_new(FACTS_RING_LEAST + prng_below(&p, 100));
        memset(latest, 0, sizeof latest);
        for (unsigned i = 1; i < PUTS; i++) {
            char id[8];
            unsigned which = (unsigned)prng_below(&p, IDS), oldest_found = PUTS, newest_lost = 0;
            lengths[i] = 1 + (unsigned)prng_below(&p, prng_below(&p, 20) ? 300 : sizeof text);
            memset(text, (int)('A' + i % 50), lengths[i]);
            (void)snprintf(id, sizeof id, "%u", which);
            CHECK(facts_ring_put(r, str_from_c(id), str_of(text, lengths[i])));
            latest[which] = i;
            for (unsigned k = 0; i % 100 == 0 && k < IDS; k++) {
                (void)snprintf(id, sizeof id, "%u", k);
                struct str got = found(r, str_from_c(id));
                if (got.n) {
                    CHECK_GE(got.n, lengths[latest[k]]); /* and then older ones of it */
                    CHECK(got.p[0] == (char)('A' + latest[k] % 50) && got.p[lengths[latest[k]] - 1] == got.p[0]);
                    oldest_found = latest[k] < oldest_found ? latest[k] : oldest_found;
                } else {
                    newest_lost = latest[k] > newest_lost ? latest[k] : newest_lost;
                }
            }
            CHECK_LT(newest_lost, oldest_found);
        }
        facts_ring_free(r);
    }
}

/* --- the story --- */

TEST(the_story_tells_who_was_chosen_who_was_left_out_and_why_it_went_on)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    story_tell(&sample, &b);
    CHECK_STR(
        buf_str(&b),
        "Request req_1 came at 2026-09-21T14:13:20.123Z: POST /v1/chat/completions, for the model \"gpt\", with the "
        "key \"team-a\".\n"
        "It was answered with status 200 after 1.32 s, the first token came after 520 ms; 900 tokens in (500 from "
        "the provider's cache), 40 out (8 of them reasoning); $0.00123.\n"
        "The rule \"long\" led to the route \"chat\", by revision 3 of the configuration.\n"
        "It waited in the queue for 5.0 ms.\n"
        "Decision for attempt 1, by least-busy among 3 candidates of targets: openai/gpt-4o, fewest tokens in "
        "flight; its chance was 100 %.\n"
        "    openai/gpt-4o: score 2.5 tokens in flight per weight, 3 in flight (chosen)\n"
        "    azure/gpt-4o: left out, it was ejected for ill health\n"
        "    far/gpt-4o: score 7 tokens in flight per weight, with 50 % of its weight after an ejection\n"
        "Attempt 1 at openai/gpt-4o, credential \"first\", sent after 2.0 ms, over 50.0 ms after it was sent: the "
        "provider's rate limit is reached (status 429).\n"
        "    It said: slow down [31m\n"
        "    Then it was tried at another deployment, after a pause of 250 ms.\n"
        "Decision for attempt 2, by weighted among 1 candidate of fallbacks.rate_limit: far/gpt-4o.\n"
        "Attempt 2 at far/gpt-4o (a fallback), sent after 310 ms, first token after another 210 ms, over 1.00 s "
        "after it was sent: answered; 900 tokens in (500 from the provider's cache), 40 out (8 of them reasoning); "
        "$0.00123.\n");
}

TEST(the_story_of_instants_that_are_too_far_apart_goes_on)
{
    struct attempt_facts far = {.number = 1, .wall = WALL, .sent = INT64_MAX, .first = INT64_MIN, .ended = INT64_MIN};
    struct facts f = {.id = STR("r"), .wall = INT64_MIN, .tried = &far, .tried_count = 1};
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    story_tell(&f, &b);
    CHECK(holds(&b, "first token after another no time, over no time after it was sent"));
    CHECK(holds(&b, "sent after 2562047 h 47 min"));
}

TEST(the_story_says_which_prices_are_estimated)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct attempt_facts two[] = {tried[1], tried[1]};
    struct facts f = sample;

    f.tried = two;
    f.is_estimated = two[0].is_estimated = true;
    two[0].price = 1000000;
    two[1].price = 230000;
    story_tell(&f, &b);
    CHECK(holds(&b, "; about $0.00123.\n")); /* the request */
    CHECK(holds(&b, "; about $0.001.\n") && holds(&b, "; $0.00023.\n"));
}

TEST(the_story_says_how_many_decisions_are_not_in_it)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16), log CLEANUP(buf_release) = BUF_INIT(FACTS_RECORDS_MAX);
    struct arena a CLEANUP(arena_release);
    struct facts f = sample, got;

    arena_init(&a, 1 << 20);
    f.decisions_left_out = 7;
    CHECK_OK(facts_write(&f, &log));
    CHECK_OK(facts_read(buf_str(&log), f.id, &a, &got));
    story_tell(&got, &b);
    CHECK(holds(&b, "Before the last decision 7 more were made, while it waited; they are not on record.\n"));
}

TEST(the_story_of_a_refusal_says_that_nobody_was_asked)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct facts f = {.id = STR("r"),
                      .method = STR("POST"),
                      .path = STR("/v1/x"),
                      .wall = WALL,
                      .status = 404,
                      .error = E_NOT_FOUND,
                      .error_text = STR("no such model\r\nForged: line\302\233c \303\251"),
                      .total = 300 * NS_US};

    story_tell(&f, &b);
    CHECK(holds(&b, "It was answered with status 404 after 300 us.\n"));
    CHECK(holds(&b, "What went wrong: no such model  Forged: line c \303\251\nNo deployment was asked.\n"));
}

TEST(the_story_of_a_foreign_record_has_nothing_for_a_terminal_but_lines)
{
    struct decision_candidate c = {.score = 1};
    struct decision_facts d = {
        .strategy = "\x1b[1m", .why = "\x1b[2m", .unit = "\x1b[3m", .candidates = &c, .candidate_count = 1};
    struct facts f = {
        .wall = WALL, .dialect = "\x1b[4m", .translated_to = "\x1b[5m", .decisions = &d, .decision_count = 1};
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    f.dropped = 1;
    story_tell(&f, &b);
    CHECK(holds(&b, "[1m") && holds(&b, "[2m") && holds(&b, "[3m") && holds(&b, "[5m"));
    CHECK(!holds(&b, "\x1b"));
}

TEST(the_story_says_why_it_was_given_up)
{
    struct attempt_facts a = {.number = 1, .deployment = STR("p/m"), .cause = CAUSE_SERVER_ERROR, .is_final = true};
    struct facts f = {.id = STR("r"), .wall = WALL, .status = 502, .tried = &a, .tried_count = 1, .attempts = 1};
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    a.why = RETRY_NO_BUDGET;
    story_tell(&f, &b);
    CHECK(holds(&b, "It was not tried again: the route's retry budget was spent.\n"));
    a.cause = (enum cause)999; /* out of the log of a newer version */
    a.why = (enum retry_reason)999;
    a.role = (enum attempt_role)999;
    a.verb = (enum retry_verb)999;
    buf_clear(&b);
    story_tell(&f, &b);
    CHECK(holds(&b, "a cause that this version does not know"));
}

TEST(the_reason_is_the_last_failure_or_else_the_decision)
{
    struct arena a CLEANUP(arena_release);
    struct facts f = {.id = STR("r")};

    arena_init(&a, 1 << 16);
    CHECK_EQ(story_reason(&f, &a).n, 0);
    f.decisions = decisions;
    f.decision_count = 1;
    CHECK_STR(story_reason(&f, &a), "least-busy: fewest tokens in flight");
    f.decision_count = 2;
    CHECK_STR(story_reason(&f, &a), "weighted");
    f.tried = tried;
    f.tried_count = 1;
    CHECK_STR(story_reason(&f, &a), "failed: rate_limited at openai/gpt-4o");
    f.tried_count = 2;
    CHECK_STR(story_reason(&f, &a), "fallback: rate_limited at openai/gpt-4o");
}

static void check_span(ns_t span, const char *want)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(64);

    story_span(span, &b);
    CHECK_STR(buf_str(&b), want);
}

TEST(spans_are_told_in_the_unit_that_suits_them)
{
    check_span(850 * NS_US, "850 us");
    check_span(12345 * NS_US, "12.3 ms");
    check_span(999 * NS_MS, "999 ms");
    check_span(4560 * NS_MS, "4.56 s");
    check_span(200 * NS_SEC, "3 min 20 s");
    check_span(7300 * NS_SEC, "2 h 1 min");
    check_span(-1, "no time");
}

static void check_money(uint64_t nano, const char *want)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(64);

    story_money(nano, &b);
    CHECK_STR(buf_str(&b), want);
}

TEST(money_keeps_what_there_is_of_it_and_two_decimals)
{
    check_money(0, "$0.00");
    check_money(1, "$0.000000001");
    check_money(1230000, "$0.00123");
    check_money(UINT64_C(12500000000), "$12.50");
}
