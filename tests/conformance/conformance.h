/*
 * conformance.h - one list of scenarios, run from every dialect to every vendor: what the parts of this suite share.
 *
 * A scenario asks in the canonical form. The client's dialect says it with its own writer, the gateway carries it to a simulated provider that is
 * as strict as the real one, and the client's dialect reads the answer. So a cell passes only if the request was acceptable to the provider and
 * the answer means to the client what the scenario expects.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "base/buf.h"
#include "llm/dialect.h"
#include "llm/vendor.h"
#include "net/http_client.h"

enum { GATEWAY_PORT = 80, SIMULATOR_PORT = 9000 };

/* Who asks: a dialect's own vendor, below this path of the gateway. */
struct row {
    const char *vendor, *dialect, *base;
    bool prompts; /* its clients send prompts to be continued, and name the model in a header */
};

/* Who answers. */
struct column {
    const char *vendor; /* as in the configuration               */
    const char *path;   /* base URL's path at the simulator      */
    const char *model;  /* that it is asked for                  */
    const char *faulty; /* in front of the faults' names, where the model's name says what it speaks; NULL: "fault" */
    bool one_model;     /* it serves one, whatever it is asked for: no model of it can fail            */
};

extern const struct row rows[];
extern const size_t row_count;
extern const struct column columns[];
extern const size_t column_count;

struct scenario_test;

/* One run. */
struct cell {
    const struct row *row;
    const struct column *column;
    const struct scenario_test *scenario;
    struct arena arena;
    struct upstream *gateway;
    const struct dialect *dialect; /* the client's */
    struct chat_request request;
    /* what came of it */
    unsigned rounds;      /* asked so far                                          */
    struct losses unsaid; /* what the client's dialect cannot say                  */
    int status;
    struct str body;
    struct str dropped, emulated, changed; /* the gateway's report                  */
    struct answer answer;
    bool answered;
    struct api_error error; /* of an error answer, or told in a stream            */
    bool failed;
    char why[600];
};

struct scenario_test {
    const char *name;
    const char *model; /* suffix of the model's name: a fault; NULL: none  */
    void (*ask)(struct cell *c);
    /* Is the answer what was wanted? Says in c->why what is not. NULL: any answer will do. */
    bool (*is_right)(struct cell *c);
    /* A second round: change c->request and return true; the cell is asked again and judged by is_right. */
    bool (*again)(struct cell *c);
    bool
        unsigned_history; /* holds calls that no model of the vendor signed: a provider of the client's own dialect may refuse
                              * it, as it would without a gateway                                                       */
    enum error_class wanted; /* an error of this class; ERROR_BY_STATUS: none */
};

extern const struct scenario_test scenarios[];
extern const size_t scenario_count;

/* Ask through the gateway: fills what came of it. E_UNSUPPORTED: the client's dialect cannot say it at all. */
err_t cell_ask(struct cell *c) SUSPENDS MUST_CHECK;
/* Note why a cell is wrong; false. */
bool cell_wrong(struct cell *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
