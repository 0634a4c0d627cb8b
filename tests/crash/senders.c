/*
 * senders.c - where the crash matrix's messages come from and its replies go to: who sends requests to a pipeline over HTTP.
 *
 * A process for each lane sends the lane's numbers, one after the other, each with its id. It sends each until it has an answer, however often the pipeline dies
 * meanwhile, and then once more, as those do whom an answer never reached: that must change nothing. Of those that are given a reply it writes the
 * number down when it has one, and again when the second reply is not the same.
 *
 * The port is the program's own while it runs: it is bound, and shared with whoever listens there.
 */
#include "crash/crash.h"

#include "brokers/pipelines.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { LANES = 2, ANSWER_MAX = 4096, ACCEPTED = 202, REPLIED = 200, PAUSE_MS = 2 };

static int bound = -1;
static uint16_t port;
static pid_t senders[LANES];

static bool begin_senders(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int on = 1;

    if (bound >= 0)
        return true;
    bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bound < 0 || setsockopt(bound, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
        bind(bound, (struct sockaddr *)&at, sizeof at) || getsockname(bound, (struct sockaddr *)&at, &n))
        die("no port");
    port = ntohs(at.sin_port);
    return true;
}

/* Ask once. Returns the status of a whole answer, with its body; 0: there was none. */
static int ask(const struct crash_case *c, unsigned n, char answer[ANSWER_MAX], const char **ret_body)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    char body[32], request[256];
    size_t got = 0;
    int status = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int bytes = snprintf(body, sizeof body, "{\"n\":%u}", n);
    int all =
        snprintf(request, sizeof request,
                 "POST /in%u HTTP/1.1\r\nHost: it\r\nConnection: close\r\nIdempotency-Key: n-%u\r\nContent-Length: "
                 "%d\r\n\r\n%s",
                 c->number, n, bytes, body);

    *ret_body = NULL;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        send(fd, request, (size_t)all, MSG_NOSIGNAL) == all)
        for (ssize_t k; got < ANSWER_MAX - 1 && (k = read(fd, answer + got, ANSWER_MAX - 1 - got)) > 0;)
            got += (size_t)k;
    (void)close(fd);
    answer[got] = '\0';
    const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\ncontent-length:");
    if (!end || !length || strlen(end + 4) != strtoul(length + 17, NULL, 10) || sscanf(answer, "%*s %d", &status) != 1)
        return 0;
    *ret_body = end + 4;
    return status;
}

static void ask_until(const struct crash_case *c, unsigned n, int wanted, char answer[ANSWER_MAX],
                      const char **ret_body)
{
    while (ask(c, n, answer, ret_body) != wanted)
        (void)poll(NULL, 0, PAUSE_MS); /* nobody is there, or not ready */
}

static void note(const struct crash_case *c, const char *reply)
{
    char path[80];
    unsigned n = 0;

    (void)snprintf(path, sizeof path, "%s/replies", c->folder);
    FILE *f = fopen(path, "a");
    if (!f || sscanf(reply, "{\"n\":%u,", &n) != 1 || fprintf(f, "{\"n\":%u}\n", n) < 0 || fclose(f))
        die("no number in the reply, or no file: %s", reply);
}

static void send_lane(const struct crash_case *c, unsigned first, int wanted)
{
    static char answer[ANSWER_MAX], again[ANSWER_MAX];
    const char *body, *other;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned n = first; n <= CRASH_NUMBERS; n += LANES) {
        ask_until(c, n, wanted, answer, &body);
        if (wanted == REPLIED)
            note(c, body);
        ask_until(c, n, wanted, again, &other);
        if (wanted == REPLIED && strcmp(body, other) != 0)
            note(c, other);
    }
    _exit(0);
}

static void begin_sending(struct crash_case *c, int wanted)
{
    c->port = port;
    for (unsigned i = 0; i < LANES; i++) {
        senders[i] = fork();
        if (senders[i] == 0)
            send_lane(c, i + 1, wanted);
    }
}

static void end_sending(void)
{
    for (unsigned i = 0; i < LANES; i++) {
        (void)kill(senders[i], SIGKILL);
        (void)waitpid(senders[i], NULL, 0);
    }
}

/* --- webhooks: accepted when they are in the journal --- */

static void send_webhooks(struct crash_case *c)
{
    begin_sending(c, ACCEPTED);
}

static int print_webhook(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "http: {path: /in%u, auth: none}", c->number);
}

const struct crash_source crash_webhook = {
    .name = "http", .begin = begin_senders, .fill = send_webhooks, .end = end_sending, .print = print_webhook};

/* --- requests, and their replies: when a message was taken in is in its reply, so one that is taken in anew shows --- */

static void send_requests(struct crash_case *c)
{
    begin_sending(c, REPLIED);
}

static int print_requests(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap, "http: {path: /in%u, auth: none, mode: reply}", c->number);
}

const struct crash_source crash_requests = {
    .name = "http", .begin = begin_senders, .fill = send_requests, .end = end_sending, .print = print_requests};

static int print_reply(const struct crash_case *c UNUSED, char *to, size_t cap)
{
    return snprintf(to, cap, "reply: '{n: .n, at: $meta.timestamp}'");
}

static size_t read_replies(const struct crash_case *c, unsigned *ret, size_t max)
{
    return read_numbers(c->folder, "replies", ret, max);
}

const struct crash_sink crash_reply = {
    .name = "reply", .keeps_one = true, .begin = begin_senders, .print = print_reply, .read = read_replies};

/* The same, later than what a sink beside it does: so that has had its effect, and the reply not, when the process dies. */
static int print_reply_later(const struct crash_case *c, char *to, size_t cap)
{
    return snprintf(to, cap,
                    "file: %s/beside}\n  back: {from: later, batch: 5, reply: '{n: .n, at: $meta.timestamp}'}\n"
                    "nodes:\n  later: {from: in, delay: 5ms",
                    c->folder);
}

const struct crash_sink crash_reply_later = {.name = "a file, and the reply later",
                                             .keeps_one = true,
                                             .begin = begin_senders,
                                             .print = print_reply_later,
                                             .read = read_replies};
