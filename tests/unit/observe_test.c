/* observe_test.c - counters, histograms, and the lines of the access log. */
#include "base/log.h"
#include "observe/access_log.h"

#include "codec/json_scan.h"
#include "observe/metrics.h"

#include "test.h"

#include <stdio.h>

static struct facts sample(void)
{
    return (struct facts){
        .id = STR("req_1"),
        .endpoint = "chat",
        .method = STR("POST"),
        .path = STR("/v1/chat/completions"),
        .dialect = "openai",
        .key = STR("dev"),
        .model = STR("chat"),
        .model_label = STR("chat"),
        .deployment = STR("openai/gpt-4o"),
        .provider = STR("openai"),
        .attempts = 1,
        .status = 200,
        .stream = true,
        .wall = 1790000000123456789,
        .total = 1234567,
        .first_token = 700 * NS_US,
        .overhead = 42 * NS_US,
        .bytes_in = 10,
        .bytes_out = 20,
        .usage = {.input = 9, .output = 12, .cached_input = 4, .known = true},
    };
}

static bool holds(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_from_c(text)) < b->n;
}

TEST(the_json_line_holds_every_fact_once)
{
    struct facts f = sample();
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    access_log_json(&f, &b);
    CHECK_STR(buf_str(&b),
              "{\"time\":\"2026-09-21T14:13:20.123Z\",\"request_id\":\"req_1\",\"key\":\"dev\",\"method\":\"POST\","
              "\"path\":\"/v1/chat/completions\",\"dialect\":\"openai\",\"status\":200,\"model\":\"chat\","
              "\"deployment\":\"openai/gpt-4o\",\"attempts\":1,"
              "\"stream\":true,\"duration_ms\":1.234,\"first_token_ms\":0.700,\"overhead_us\":42,\"bytes_in\":10,"
              "\"bytes_out\":20,"
              "\"tokens_in\":9,\"tokens_out\":12,\"tokens_cached\":4}\n");
}

TEST(the_line_tells_what_a_translation_lost_and_only_of_one)
{
    struct facts f = sample();
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    f.dropped = 3;
    access_log_json(&f, &b);
    CHECK(!holds(&b, "dropped"));
    f.translated_to = "gemini";
    f.changed = 1;
    buf_clear(&b);
    access_log_json(&f, &b);
    CHECK(holds(&b, ",\"translated_to\":\"gemini\",\"dropped\":3,\"changed\":1}\n"));
    f.dropped = 0;
    f.emulated = 2;
    buf_clear(&b);
    access_log_json(&f, &b);
    CHECK(holds(&b, ",\"translated_to\":\"gemini\",\"emulated\":2,\"changed\":1}\n"));
    buf_clear(&b);
    access_log_console(&f, false, &b);
    CHECK(!holds(&b, "dropped"));
    f.dropped = 3;
    access_log_console(&f, false, &b);
    CHECK(holds(&b, " dropped=3 "));
}

TEST(what_a_client_named_cannot_break_the_line)
{
    struct facts f = sample();
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);

    f.model = STR("a\"b\nc");
    f.path = STR("/v1/\x01");
    f.error = E_DEADLINE;
    f.error_text = STR("late\n");
    access_log_json(&f, &b);
    CHECK(holds(&b, "\"model\":\"a\\\"b\\nc\""));
    CHECK(holds(&b, "\"path\":\"/v1/\\u0001\""));
    CHECK(holds(&b, "\"error\":\"DEADLINE\",\"error_text\":\"late\\n\""));
    CHECK_EQ(str_find_char(buf_str(&b), '\n'), b.n - 1);
    buf_clear(&b);
    access_log_console(&f, false, &b);
    CHECK_EQ(str_find_char(buf_str(&b), '\n'), b.n - 1);
}

/* A provider may say anything, at any length: the line stays one line, and JSON. */
TEST(what_is_too_long_does_not_break_the_line_either)
{
    enum { LONG = 40000, ROOM = 1 << 16 };
    static char text[LONG];
    struct facts f = sample();
    struct buf b CLEANUP(buf_release) = BUF_INIT(ROOM);

    memset(text, 1, sizeof text);
    f.id = f.key = f.method = f.path = f.model = f.deployment = f.error_text = str_of(text, LONG);
    f.error = E_DEADLINE;
    access_log_json(&f, &b);
    CHECK_OK(buf_status(&b));
    CHECK(json_valid(str_slice(buf_str(&b), 0, b.n - 1), 0));
    CHECK_EQ(str_find_char(buf_str(&b), '\n'), b.n - 1);
    buf_clear(&b);
    access_log_console(&f, true, &b);
    CHECK_OK(buf_status(&b));
    CHECK_EQ(str_find_char(buf_str(&b), '\n'), b.n - 1);
}

TEST(counts_of_two_loops_are_summed)
{
    struct metrics *a = metrics_new(), *b = metrics_new(), *sum = metrics_new();
    struct gauges g = {0}, one = {.in_flight = 2, .lag_max = 5 * NS_MS}, two = {.in_flight = 3, .lag_max = NS_MS};
    struct process_numbers p = {.version = "v", .loops = 2};
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct facts f = sample();

    metrics_request(a, &f);
    metrics_request(b, &f);
    f.status = 502;
    f.usage.known = false;
    metrics_request(b, &f);
    metrics_attempt(b, STR("openai/gpt-4o"), STR("openai"), ATTEMPT_SERVER_ERROR);
    metrics_merge(sum, a);
    metrics_merge(sum, b);
    gauges_merge(&g, &one);
    gauges_merge(&g, &two);
    metrics_render(sum, &g, &p, &page);
    CHECK(holds(
        &page,
        "crossdock_requests_total{endpoint=\"chat\",model=\"chat\",deployment=\"openai/gpt-4o\",status=\"200\"} 2\n"));
    CHECK(holds(
        &page,
        "crossdock_requests_total{endpoint=\"chat\",model=\"chat\",deployment=\"openai/gpt-4o\",status=\"502\"} 1\n"));
    CHECK(holds(
        &page,
        "crossdock_attempts_total{deployment=\"openai/gpt-4o\",provider=\"openai\",outcome=\"server_error\"} 1\n"));
    CHECK(holds(&page, "deployment=\"openai/gpt-4o\",kind=\"input\"} 18\n"));
    CHECK(holds(
        &page,
        "crossdock_request_duration_seconds_count{endpoint=\"chat\",model=\"chat\",deployment=\"openai/gpt-4o\"} 3\n"));
    CHECK(holds(&page, "deployment=\"openai/gpt-4o\",le=\"0.001\"} 0\n"));
    CHECK(holds(&page, "deployment=\"openai/gpt-4o\",le=\"0.0025\"} 3\n"));
    CHECK(holds(&page, "deployment=\"openai/gpt-4o\",le=\"+Inf\"} 3\n"));
    CHECK(holds(&page, "crossdock_requests_in_flight 5\n"));
    CHECK(holds(&page, "crossdock_loop_lag_seconds_max 0.005000\n"));
    metrics_free(a);
    metrics_free(b);
    metrics_free(sum);
}

TEST(credentials_are_told_of_once_with_their_names_and_numbers)
{
    struct metrics *sum = metrics_new(), *loop = metrics_new();
    struct gauges g = {0};
    struct process_numbers p = {.version = "v"};
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);

    metrics_credential(sum, STR("openai"), STR("old"), &(struct credential_numbers){.requests = 7, .refused = 1});
    metrics_credential(sum, STR("openai"), STR("1"),
                       &(struct credential_numbers){
                           .is_usable = true, .headroom = 0.25, .requests = 1000000000000, .rate_limited = 3});
    metrics_merge(sum, loop);
    metrics_render(sum, &g, &p, &page);
    CHECK(holds(&page, "crossdock_credential_usable{provider=\"openai\",credential=\"old\"} 0\n"));
    CHECK(holds(&page, "crossdock_credential_usable{provider=\"openai\",credential=\"1\"} 1\n"));
    CHECK(holds(&page, "crossdock_credential_headroom_ratio{provider=\"openai\",credential=\"1\"} 0.25\n"));
    CHECK(holds(&page, "crossdock_credential_requests_total{provider=\"openai\",credential=\"1\"} 1000000000000\n"));
    CHECK(holds(&page, "crossdock_credential_rate_limited_total{provider=\"openai\",credential=\"1\"} 3\n"));
    CHECK(holds(&page, "crossdock_credential_refused_total{provider=\"openai\",credential=\"old\"} 1\n"));
    metrics_free(sum);
    metrics_free(loop);
}

TEST(time_in_the_queue_is_told_of_those_who_waited)
{
    struct metrics *m = metrics_new(), *sum = metrics_new();
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20), line CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct facts f = sample();
    struct gauges g = {0};
    struct process_numbers p = {.version = "1"};

    access_log_json(&f, &line);
    CHECK(!holds(&line, "queue_ms"));
    metrics_request(m, &f);
    f.queued = 1500 * NS_MS;
    access_log_json(&f, &line);
    CHECK(holds(&line, "\"queue_ms\":1500"));
    metrics_request(m, &f);
    metrics_merge(sum, m);
    metrics_render(sum, &g, &p, &b);
    CHECK(holds(&b, "\ncrossdock_queue_seconds_count{endpoint=\"chat\",model=\"chat\",deployment="
                    "\"openai/gpt-4o\"} 1\n"));
    CHECK(holds(&b, "le=\"2.5\"} 1\n"));
    metrics_free(m);
    metrics_free(sum);
}

TEST(numbers_with_a_label_are_escaped)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 12);

    metrics_add_family(&b, "x", "gauge", "A thing.");
    metrics_labelled(&b, "x", "model", STR("a\"b"), "", 2.5);
    metrics_labelled(&b, "x", "model", STR("c"), ",reason=\"full\"", 7);
    CHECK_STR(buf_str(&b), "# HELP crossdock_x A thing.\n# TYPE crossdock_x gauge\n"
                           "crossdock_x{model=\"a\\\"b\"} 2.5\ncrossdock_x{model=\"c\",reason=\"full\"} 7\n");
}

TEST(translations_and_their_losses_are_counted_by_dialect_and_provider)
{
    struct metrics *a = metrics_new(), *b = metrics_new(), *sum = metrics_new();
    struct gauges g = {0};
    struct process_numbers p = {.version = "v"};
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct facts f = sample();

    metrics_request(a, &f); /* passed through: not counted */
    f.translated_to = "gemini";
    f.dropped = 3;
    f.emulated = 2;
    f.changed = 1;
    metrics_request(a, &f);
    metrics_request(b, &f);
    f.dialect = "anthropic";
    f.emulated = 0;
    metrics_request(b, &f);
    metrics_request(b, &f);
    f.provider = STR("mi\"ne");
    f.dropped = 10;
    metrics_request(b, &f);
    metrics_merge(sum, a);
    metrics_merge(sum, b);
    metrics_render(sum, &g, &p, &page);
    CHECK(holds(&page, "\ncrossdock_translated_requests_total{client=\"openai\",provider=\"openai\"} 2\n"));
    CHECK(holds(&page, "\ncrossdock_translated_requests_total{client=\"anthropic\",provider=\"openai\"} 2\n"));
    CHECK(holds(&page, "\ncrossdock_translated_requests_total{client=\"anthropic\",provider=\"mi\\\"ne\"} 1\n"));
    CHECK(holds(&page,
                "\ncrossdock_translation_losses_total{client=\"openai\",provider=\"openai\",kind=\"dropped\"} 6\n"));
    CHECK(holds(&page, "{client=\"openai\",provider=\"openai\",kind=\"emulated\"} 4\n"));
    CHECK(holds(&page, "{client=\"openai\",provider=\"openai\",kind=\"changed\"} 2\n"));
    CHECK(holds(&page, "{client=\"anthropic\",provider=\"openai\",kind=\"dropped\"} 6\n"));
    CHECK(!holds(&page, "{client=\"anthropic\",provider=\"openai\",kind=\"emulated\"}"));
    CHECK(holds(&page, "{client=\"anthropic\",provider=\"mi\\\"ne\",kind=\"dropped\"} 10\n"));
    metrics_free(a);
    metrics_free(b);
    metrics_free(sum);
}

TEST(the_number_of_series_is_bounded_and_nothing_is_lost)
{
    struct metrics *m = metrics_new();
    struct gauges g = {0};
    struct process_numbers p = {.version = "v"};
    struct buf page CLEANUP(buf_release) = BUF_INIT(256 << 20);
    struct facts f = sample();
    char name[32];

    for (unsigned i = 0; i < 6000; i++) {
        f.model_label = str_of(name, (size_t)snprintf(name, sizeof name, "model-%u", i));
        metrics_request(m, &f);
    }
    metrics_render(m, &g, &p, &page);
    CHECK(holds(
        &page,
        "crossdock_requests_total{endpoint=\"chat\",model=\"other\",deployment=\"other\",status=\"200\"} 1000\n"));
    metrics_free(m);
}

TEST(more_statuses_than_a_series_has_room_for_are_still_counted)
{
    struct metrics *m = metrics_new();
    struct gauges g = {0};
    struct process_numbers p = {.version = "v"};
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct facts f = sample();

    for (int status = 400; status < 420; status++) {
        f.status = status;
        metrics_request(m, &f);
    }
    metrics_render(m, &g, &p, &page);
    CHECK(holds(&page, "status=\"400\"} 1\n"));
    CHECK(holds(&page, "status=\"0\"} 9\n"));
    metrics_free(m);
}

static void keep_line(struct str line, void *ctx)
{
    buf_add(ctx, line);
}

static int64_t fixed_wall(void)
{
    return 951782400000000000; /* 2000-02-29 00:00 */
}

TEST(log_lines_are_whole_and_escaped)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct log_options json = {.level = LOG_INFO, .json = true, .sink = keep_line, .ctx = &b, .wall = fixed_wall};
    struct log_options text = {.level = LOG_WARN, .sink = keep_line, .ctx = &b, .wall = fixed_wall};
    struct log_options plain = {.level = LOG_INFO};

    log_configure(&json);
    log_info(STR("r1"), "a \"quote\" n=%d", 3);
    log_debug(STR_NONE, "not shown");
    log_configure(&text);
    log_info(STR_NONE, "not shown either");
    log_warn(STR("r2"), "careful");
    log_configure(&plain);
    CHECK_STR(buf_str(&b), "{\"time\":\"2000-02-29T00:00:00.000Z\",\"level\":\"info\",\"message\":\"a \\\"quote\\\" "
                           "n=3\",\"request_id\":\"r1\"}\n"
                           "2000-02-29T00:00:00.000Z warn careful request_id=r2\n");
}

TEST(log_levels_are_read_by_name)
{
    enum log_level l;

    CHECK(log_level_parse(STR("debug"), &l) && l == LOG_DEBUG);
    CHECK(log_level_parse(STR("error"), &l) && l == LOG_ERROR);
    CHECK(!log_level_parse(STR("loud"), &l));
    CHECK_STR(str_from_c(log_level_name(LOG_WARN)), "warn");
}

TEST(metrics_count_shadows_among_the_attempts_at_their_deployment)
{
    struct metrics *m = metrics_new();
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct attempt_facts f = {.role = ROLE_SHADOW,
                              .label = STR("gpu/m"),
                              .provider = STR("gpu"),
                              .cause = CAUSE_OK,
                              .price = 2500000,
                              .is_priced = true};

    metrics_beside(m, &f);
    metrics_render(m, &(struct gauges){0}, &(struct process_numbers){.version = "x"}, &page);
    struct str text = buf_str(&page);
    CHECK(str_find(text, STR("crossdock_attempts_by_role_total{deployment=\"gpu/m\",provider=\"gpu\",role=\"shadow\"} "
                             "1\n")) < text.n);
    CHECK(str_find(text, STR("crossdock_cost_dollars_total{deployment=\"gpu/m\",provider=\"gpu\"} 0.0025")) < text.n);
    CHECK_EQ(str_find(text, STR("crossdock_probes_total{")), text.n);
    metrics_free(m);
}

TEST(metrics_count_probes_by_what_they_ended_with)
{
    struct metrics *m = metrics_new(), *sum = metrics_new();
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct attempt_facts f = {
        .role = ROLE_PROBE, .label = STR("gpu/m"), .provider = STR("gpu"), .cause = CAUSE_CONNECT};

    metrics_beside(m, &f);
    metrics_beside(m, &f);
    f.cause = CAUSE_OK;
    f.price = 2500000;
    metrics_beside(m, &f);
    metrics_merge(sum, m);
    metrics_merge(sum, m);
    metrics_render(sum, &(struct gauges){0}, &(struct process_numbers){.version = "x"}, &page);
    struct str text = buf_str(&page);
    CHECK(str_find(text, STR("crossdock_probes_total{deployment=\"gpu/m\",provider=\"gpu\",cause=\"connect\"} 4\n")) <
          text.n);
    CHECK(str_find(text, STR("crossdock_probes_total{deployment=\"gpu/m\",provider=\"gpu\",cause=\"ok\"} 2\n")) <
          text.n);
    CHECK(
        str_find(text, STR("crossdock_probe_cost_dollars_total{deployment=\"gpu/m\",provider=\"gpu\"} 0.005000000\n")) <
        text.n);
    metrics_free(m);
    metrics_free(sum);
}

TEST(attempts_decisions_and_money_are_counted_by_configured_names)
{
    struct metrics *loop = metrics_new(), *sum = metrics_new();
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct decision_candidate candidates[] = {{.deployment = STR("b"), .excluded = EXCLUDED_EJECTED},
                                              {.deployment = STR("c"), .excluded = EXCLUDED_NOT}};
    struct decision_facts decisions[] = {{.route = STR("chat"),
                                          .strategy = "least-busy",
                                          .chosen = STR("c"),
                                          .candidates = candidates,
                                          .candidate_count = 2},
                                         {.route = STR("chat"), .strategy = "least-busy"}};
    struct attempt_facts tried[] = {
        {.label = STR("p/c"), .provider = STR("p"), .cause = CAUSE_RATE_LIMITED, .verb = RETRY_ELSEWHERE},
        {.label = STR("p/d"),
         .provider = STR("p"),
         .role = ROLE_FALLBACK,
         .cause = CAUSE_SERVER_ERROR,
         .is_final = true,
         .why = RETRY_NO_BUDGET,
         .price = 1500000000,
         .is_priced = true},
        {.label = STR("p/d"), .provider = STR("p"), .usage = {.known = true}, .is_final = true}};
    struct facts f = sample();

    f.tried = tried;
    f.tried_count = ARRAY_LEN(tried);
    f.decisions = decisions;
    f.decision_count = ARRAY_LEN(decisions);
    f.queued = 30 * NS_MS;
    f.continued = true;
    metrics_request(loop, &f);
    metrics_merge(sum, loop);
    metrics_merge(sum, loop);
    metrics_render(sum, &(struct gauges){0}, &(struct process_numbers){.version = "x", .facts_lost = 4}, &page);
    CHECK(holds(&page, "crossdock_attempts_by_role_total{deployment=\"p/d\",provider=\"p\",role=\"fallback\"} 2\n"));
    CHECK(holds(&page,
                "crossdock_attempts_by_cause_total{deployment=\"p/c\",provider=\"p\",cause=\"rate_limited\"} 2\n"));
    CHECK(holds(&page, "crossdock_retries_stopped_total{deployment=\"p/d\",provider=\"p\",reason=\"no_budget\"} 2\n"));
    CHECK(!holds(&page, "reason=\"go\"")); /* what succeeded, or went on, did not stop */
    CHECK(holds(&page, "crossdock_cost_dollars_total{deployment=\"p/d\",provider=\"p\"} 3.000000000\n"));
    CHECK(!holds(&page, "crossdock_cost_dollars_total{deployment=\"p/c\""));
    CHECK(holds(&page, "crossdock_unpriced_attempts_total{deployment=\"p/d\",provider=\"p\"} 2\n"));
    CHECK(holds(&page, "crossdock_decisions_total{route=\"chat\",strategy=\"least-busy\"} 4\n"));
    CHECK(holds(&page, "crossdock_decisions_without_choice_total{route=\"chat\",strategy=\"least-busy\"} 2\n"));
    CHECK(holds(&page, "crossdock_exclusions_total{route=\"chat\",strategy=\"least-busy\",rule=\"ejected\"} 2\n"));
    CHECK(!holds(&page, "rule=\"not\""));
    CHECK(holds(&page,
                "crossdock_queue_seconds_count{endpoint=\"chat\",model=\"chat\",deployment=\"openai/gpt-4o\"} 2\n"));
    CHECK(holds(
        &page, "crossdock_continued_answers_total{endpoint=\"chat\",model=\"chat\",deployment=\"openai/gpt-4o\"} 2\n"));
    CHECK(holds(&page, "crossdock_facts_lost_total 4\n"));
    metrics_free(loop);
    metrics_free(sum);
}
