/*
 * Fuzz target: policy/rate_headers.h and policy/ratelimit.h. The input is lines of "name:value", as an answer's headers. Whatever
 * they say: instants are not past, a credential that took them in has a headroom between nothing and all, and one that is told to
 * wait is let through when the time has come, or is waited for anew, but never for ever.
 */
#include "policy/ratelimit.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#define NOW (500 * NS_SEC)
#define WALL (INT64_C(1795251600) * NS_SEC)

static void check_credential(struct rate_credential *c)
{
    struct rate_need need = {.input_tokens = 100, .output_tokens = 100};
    ns_t now = NOW;

    for (int i = 0; i < 64; i++) {
        struct rate_verdict v = rate_gate(c, &need, now);
        double headroom = rate_headroom(c, now);
        REQUIRE(headroom >= 0 && headroom <= 1);
        if (v.answer == RATE_ALLOWED || now == NS_NEVER)
            return;
        REQUIRE(v.answer == RATE_NEVER || v.at > now);
        now = v.answer == RATE_NEVER ? ns_add(now, 3600 * NS_SEC) : v.at;
    }
    REQUIRE(!"it waits for ever");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = str_of((const char *)data, n);
    struct rate_reading reading = {.count = 0};
    struct rate_credential c = {.state = RATE_OPEN};
    struct rate_need need = {.input_tokens = 100, .output_tokens = 100};

    while (text.n) {
        struct str value = str_cut(&text, '\n');
        struct str name = str_cut(&value, ':');
        rate_reading_header(&reading, name, value, NOW, WALL);
    }
    REQUIRE(reading.count <= RATE_WINDOWS_MAX && (!reading.has_retry || reading.retry_at >= NOW));
    for (unsigned i = 0; i < reading.count; i++)
        REQUIRE(!reading.windows[i].has_reset || reading.windows[i].reset >= NOW);
    for (int i = 0; i < 2; i++) {
        struct rate_stamp stamp = rate_sent(&c, &need, NOW);
        rate_answered(&c, &rate_rules_usual, &stamp, i ? CAUSE_RATE_LIMITED : CAUSE_OK, &reading, NOW);
    }
    check_credential(&c);
    return 0;
}
