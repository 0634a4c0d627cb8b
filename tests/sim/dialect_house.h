/*
 * dialect_house.h - the gateway between clients of every dialect and providers of every dialect, in one simulated world.
 *
 * Clients say what they want in the canonical form; their dialect's own writer puts it into words, as a provider's side would, and its reader hears
 * the answer. What holds for every request is checked here: an answer that ends properly is the right one and whole, or an error in the
 * client's dialect, told once and at the end. Providers are the simulator on PROVIDER_PORT, whose texts a client can work out for itself
 * (simulator.h), and a scripted one on SCRIPT_PORT.
 *
 * Models are named "<provider>-<behaviour>", and "<provider>-else-<provider>" for a first one that fails before its answer begins and
 * one that does not, "<provider>-torn-<provider>" for two whose streams often break and may go on at the other. The table of behaviours is in dialect_house.c.
 */
#ifndef SIM_TEST_DIALECT_HOUSE_H
#define SIM_TEST_DIALECT_HOUSE_H

#include "gateway/gateway.h"
#include "llm/chat.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sim/simulator.h"
#include "sim/world.h"

struct blobs;

enum {
    DIALECT_CLIENTS = 16,
    DIALECT_GATEWAY_PORT = 80,
    SIMULATOR_PORT = 9000,
    SCRIPT_PORT = 9001,
    PICTURES_PORT = 9002
};

/* Spans of the house's configuration; a "silent" model has more. */
#define HOUSE_TOTAL (20 * NS_SEC)
#define HOUSE_FIRST_BYTE (5 * NS_SEC)
#define HOUSE_BETWEEN (4 * NS_SEC)
#define HOUSE_SLACK (3 * NS_SEC) /* for the way to the gateway and back, stalls included */

/* Who asks. */
enum speaker {
    BY_OPENAI,
    BY_RESPONSES,
    BY_ANTHROPIC,
    BY_CLAUDE_ON_BEDROCK,
    BY_GEMINI,
    BY_GEMINI_ARRAY,
    BY_OLLAMA,
    SPEAKERS
};

/* Providers of the simulator, and the scripted ones. */
extern const char *const house_providers[];
enum { HOUSE_PROVIDERS = 6 };

/* What the scripted provider, which speaks OpenAI's dialect, does. */
enum script {
    SCRIPT_DRAWN,           /* anew for each request: any of the following */
    SCRIPT_WHOLE,           /* a plain answer, also where a stream was asked for */
    SCRIPT_EVENTS_AND_MORE, /* a stream, also where none was asked for, and more behind its end */
    SCRIPT_EMPTY,           /* no body              */
    SCRIPT_NO_EVENTS,       /* a stream of nothing  */
    SCRIPT_COMMENTS,        /* signs of life, and nothing else, for ever */
    SCRIPT_PAGE,            /* something for people */
    SCRIPTS
};
#define HOUSE_SCRIPTED_TEXT "As the script says."

struct dialect_house {
    struct world *world;
    struct snapshot *snapshot;
    struct blobs *kept;
    struct gateway *gateway;
    struct simulator *simulator;
    struct http_server *server, *provider, *scripted, *pictures;
    struct upstream *to_gateway;
    struct prng prng;               /* of the scripted provider             */
    enum script script;             /* what it does                         */
    ns_t longest;                   /* that a request may take              */
    unsigned requests;              /* that clients have sent               */
    unsigned recorded;              /* requests whose facts came            */
    unsigned blamed;                /* requests that ended with an error    */
    bool pictured[DIALECT_CLIENTS]; /* whose picture was given out whole */
    ns_t left_at;                   /* when the client that leaves has left */
};

/* A request of a client. */
struct asking {
    enum speaker speaker;
    struct str model;
    struct chat_request chat; /* as the client means it                              */
    const struct said *said;  /* the conversation as the provider gets it: the truth */
    size_t said_count;
    const char *scripted; /* not NULL: the right text, whatever the simulator says */
    unsigned choices;     /* 0: does not say                                     */
    bool leaves;          /* after some of the text                              */
};

enum { HOUSE_CHOICES = 4 };

/* What came of it. */
struct hearing {
    struct arena arena;
    int status;
    struct str deployment, attempts, dropped, emulated;
    struct buf texts[HOUSE_CHOICES];
    struct answer *answer; /* of a whole answer; NULL: none */
    struct str body;       /* of a plain answer or error    */
    struct str id;         /* of the answer                 */
    unsigned signs;        /* that the stream is alive      */
    bool whole;            /* ended, and right              */
    bool refused;          /* an error in the client's dialect */
};

/* May it be told that a silent stream is alive? */
bool speaker_is_kept_alive(enum speaker by);
/* A question of one user message, streamed or not. `text` is borrowed. */
void asking_init(struct asking *q, enum speaker by, struct str model, struct said *said, bool stream,
                 struct arena *arena);
/* Ask and hear the answer to its end: OK if it is whole, E_UPSTREAM if an error was told, else why it broke off. hearing_release() in any case. */
err_t house_hear(struct client *c, struct asking *q, struct hearing *ret) SUSPENDS MUST_CHECK;
void hearing_release(struct hearing *h);
/* Another request of the client's, plain: status and body, in the arena. */
err_t house_request(struct client *c, const char *method, struct str target, struct str body, struct arena *arena,
                    int *ret_status, struct str *ret_body) SUSPENDS MUST_CHECK;
/* Is it an error in the words of this dialect? EXPECTs so, and that it shows no secret. */
void house_check_error(struct client *c, enum speaker by, int status, struct str body);

struct dialect_plan {
    unsigned clients;
    client_fn *fn;
    enum script script;
    ns_t longest;                                                    /* 0: HOUSE_TOTAL                      */
    void (*check)(struct dialect_house *h, const struct outcome *o); /* NULL: nothing more                 */
};
/* A whole scenario. */
err_t dialect_house_run(struct world *w, const struct dialect_plan *plan) SUSPENDS;

#endif
