/*
 * golden.c - transcripts through the whole gateway: what a client sends and gets, what a provider gets and answers, byte for byte.
 *
 * Each file tests/golden/<folder>/NAME.txt is a transcript: in "openai" OpenAI's clients and providers; in "<client>_to_<provider>" two dialects;
 * in "pitfalls" what went wrong in other gateways; in "routes" where a request goes, and may not. It is a list of sections, each headed by a line "=== NAME":
 *
 *     === configuration     YAML; optional, else one provider `up` (the scripted one, of the vendor that the folder's name ends in) and model
 *                           `chat` -> up/real-name
 *     === client sends      a request
 *     === provider gets     what the provider must receive; with the next section, any number of times, in order
 *     === provider answers  what it answers; "=== provider answers, then closes" for a break
 *     === client gets       what the client must receive
 *     === metrics hold      lines that /metrics must hold afterwards, one after the other; optional
 *
 * Messages are written with plain line ends in the head; the body stands as it is, without the last line end of its section. "content-length: AUTO"
 * is filled in before sending, "transfer-encoding: AUTO" makes the body one chunk. A body of type application/vnd.amazon.eventstream is written as a
 * line per frame: ":event-type NAME JSON", ":exception-type NAME JSON" or ":error-code NAME WORDS". What is compared is the decoded message: start line,
 * headers as they came, body without chunk framing, and behind a line "(trailer fields)" those that came behind it. The world is a simulated one, so time and ids are the same in every run. Every provider's answer is sent in two pieces too, cut at each of its bytes in turn: the
 * client must get the same.
 *
 * The headers x-crossdock-route and -reason are compared where the transcript is about them: where it has them.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/eventstream.h"
#include "codec/http1.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "net/dns.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "observe/metrics.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "rt/sock.h"
#include "test.h"

enum { MAX_TURNS = 6, FILE_MAX_BYTES = 1 << 20, GATEWAY_PORT = 80, PROVIDER_PORT = 9000 };

/* With the name of the provider's vendor. */
#define DEFAULT_CONFIG                                                                                                 \
    "listen: 127.0.0.1:80\n"                                                                                           \
    "providers:\n"                                                                                                     \
    "  up: { dialect: %.*s, base_url: 'http://127.0.0.1:9000/v1', api_key: sk-provider-secret }\n"                     \
    "models:\n"                                                                                                        \
    "  chat: { targets: [up/real-name], retries: 1 }\n"

struct golden_turn {
    struct str gets, answers;
    bool then_closes;
};

struct transcript {
    struct arena arena;
    struct str config, client_sends, client_gets, metrics;
    struct golden_turn turns[MAX_TURNS];
    size_t turn_count;
};

/* --- reading a file --- */

static bool cut_section(struct str *rest, struct str *ret_name, struct str *ret_text)
{
    struct str mark = STR("=== ");
    size_t next;

    if (!str_starts(*rest, mark))
        return false;
    *rest = str_slice(*rest, mark.n, rest->n);
    *ret_name = str_cut(rest, '\n');
    next = str_find(*rest, STR("\n=== "));
    *ret_text = str_slice(*rest, 0, next);
    *rest = str_slice(*rest, next + 1, rest->n);
    if (next == ret_text->n && str_ends(*ret_text, STR("\n")) && !rest->n)
        ret_text->n--;
    return true;
}

/* A frame out of ":event-type NAME JSON". */
static void add_frame(struct buf *to, struct str line)
{
    struct str what = str_cut(&line, ' '), name = str_cut(&line, ' ');
    struct eventstream_writer w;
    bool event = str_eq(what, STR(":event-type")), exception = str_eq(what, STR(":exception-type"));

    eventstream_begin(&w, to);
    eventstream_add_string(&w, what, name);
    if (event || exception)
        eventstream_add_string(&w, STR(":content-type"), STR("application/json"));
    else
        eventstream_add_string(&w, STR(":error-message"), line);
    eventstream_add_string(&w, STR(":message-type"),
                           event       ? STR("event")
                           : exception ? STR("exception")
                                       : STR("error"));
    eventstream_begin_payload(&w);
    if (event || exception)
        buf_add(to, line);
    if (eventstream_end(&w) != OK)
        test_fail_(__FILE__, __LINE__, "%.*s: not a frame", STR_ARG(line));
}

/* The same backwards. */
static void describe_frames(struct buf *to, struct str body)
{
    static const struct str kinds[] = {STR_INIT(":event-type"), STR_INIT(":exception-type"), STR_INIT(":error-code")};
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame f;

    eventstream_init(&s);
    while (eventstream_next(&s, &body, &f) == EVENTSTREAM_FRAME)
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            struct str name = eventstream_string(&f, kinds[i]), words = eventstream_string(&f, STR(":error-message"));
            if (name.p)
                buf_addf(to, "%.*s %.*s %.*s\n", STR_ARG(kinds[i]), STR_ARG(name),
                         STR_ARG(words.p ? words : f.payload));
        }
    if (s.error_text || eventstream_is_within_frame(&s))
        buf_addf(to, "(broken frame: %s)", s.error_text ? s.error_text : "cut off");
}

static bool is_frames(struct str type)
{
    return str_eq(type, STR("application/vnd.amazon.eventstream"));
}

static void add_body(struct buf *to, struct str text, bool frames)
{
    while (frames && text.n)
        add_frame(to, str_cut(&text, '\n'));
    if (!frames)
        buf_add(to, text);
}

/* A message as it is sent: line ends of the head as HTTP wants them, AUTO as what it stands for. */
static struct str to_wire(struct arena *a, struct str text)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4 * FILE_MAX_BYTES),
                 body CLEANUP(buf_release) = BUF_INIT(FILE_MAX_BYTES);
    size_t end = str_find(text, STR("\n\n"));
    struct str head = str_slice(text, 0, end);
    bool chunked = false;

    add_body(&body, str_slice(text, end + 2, text.n),
             str_find(head, STR("\ncontent-type: application/vnd.amazon.eventstream")) < head.n);
    while (head.p) {
        struct str line = str_cut(&head, '\n');
        bool chunks = str_eq(line, STR("transfer-encoding: AUTO"));
        if (str_eq(line, STR("content-length: AUTO")))
            line = arena_printf(a, "content-length: %zu", body.n);
        buf_add(&b, chunks ? STR("transfer-encoding: chunked") : line);
        buf_add_lit(&b, "\r\n");
        chunked = chunked || chunks;
    }
    buf_add_lit(&b, "\r\n");
    if (chunked)
        buf_addf(&b, "%zx\r\n", body.n);
    buf_add(&b, buf_str(&body));
    if (chunked)
        buf_add_lit(&b, "\r\n0\r\n\r\n");
    return arena_str(a, buf_str(&b));
}

static bool parse(struct transcript *t, struct str text)
{
    struct str name, body;

    while (cut_section(&text, &name, &body)) {
        struct golden_turn *turn = &t->turns[t->turn_count];
        if (str_eq(name, STR("configuration")))
            t->config = body;
        else if (str_eq(name, STR("client sends")))
            t->client_sends = to_wire(&t->arena, body);
        else if (str_eq(name, STR("client gets")))
            t->client_gets = body;
        else if (str_eq(name, STR("metrics hold")))
            t->metrics = body;
        else if (str_eq(name, STR("provider gets")) && t->turn_count < MAX_TURNS)
            turn->gets = body;
        else if (str_starts(name, STR("provider answers")) && t->turn_count < MAX_TURNS) {
            turn->answers = to_wire(&t->arena, body);
            turn->then_closes = str_ends(name, STR("closes"));
            t->turn_count++;
        } else
            return false;
    }
    return t->client_sends.n && t->client_gets.n;
}

/* --- one run --- */

struct run {
    struct transcript *t;
    size_t cut; /* where the provider's answers are cut */
    struct snapshot *snapshot;
    size_t turn; /* that comes next                      */
    struct buf provider_got[MAX_TURNS];
    struct buf client_got, metrics;
    bool client_broken; /* the answer had no proper end         */
};

static void describe(const struct http_head *head, bool is_request, struct str body, struct buf *to)
{
    if (is_request)
        buf_addf(to, "%.*s %.*s HTTP/1.1\n", STR_ARG(head->method), STR_ARG(head->target));
    else
        buf_addf(to, "HTTP/1.1 %d %.*s\n", head->status, STR_ARG(head->reason));
    for (size_t i = 0; i < head->count; i++)
        buf_addf(to, "%.*s: %.*s\n", STR_ARG(head->headers[i].name), STR_ARG(head->headers[i].value));
    buf_add_char(to, '\n');
    if (is_frames(http_head_find(head, STR("content-type"))))
        describe_frames(to, body);
    else
        buf_add(to, body);
}

static void describe_trailers(const struct http1 *h, struct buf *to)
{
    size_t count;
    const struct http_header *fields = http1_trailers(h, &count);

    if (count)
        buf_add_lit(to, "(trailer fields)\n");
    for (size_t i = 0; i < count; i++)
        buf_addf(to, "%.*s: %.*s\n", STR_ARG(fields[i].name), STR_ARG(fields[i].value));
}

/* Read one message from `s` and describe it. E_EOF if there is none; *ret_broken if it is cut short. */
static SUSPENDS err_t read_message(struct sock *s, enum http1_role role, struct buf *to, bool *ret_broken)
{
    struct arena arena CLEANUP(arena_release);
    struct buf body CLEANUP(buf_release) = BUF_INIT(FILE_MAX_BYTES);
    struct http1 *h = NEW(struct http1);
    struct http_head head;
    struct str in = STR_NONE, piece;
    char bytes[2048];
    err_t e = OK;

    arena_init(&arena, FILE_MAX_BYTES);
    http1_init(h, role, NULL);
    http1_begin(h, &arena, &head);
    for (bool done = false; e == OK && !done;) {
        size_t n = 0;
        switch (http1_next(h, &in, &piece)) {
        case HTTP1_MORE:
            e = sock_read(s, bytes, sizeof bytes, &n);
            in = str_of(bytes, n);
            if (e == OK && !n) {
                done = http1_eof(h) == HTTP1_END;
                *ret_broken = !done && h->began;
                e = done ? OK : E_EOF;
            }
            break;
        case HTTP1_HEAD:
            break;
        case HTTP1_BODY:
            buf_add(&body, piece);
            break;
        case HTTP1_END:
            done = true;
            break;
        case HTTP1_ERROR:
            e = fail(E_PROTOCOL, "%s", h->error_text);
            break;
        }
    }
    if (e == OK || *ret_broken)
        describe(&head, role == HTTP1_REQUEST, buf_str(&body), to);
    describe_trailers(h, to);
    mem_free(h);
    return e;
}

static err_t provider_connection(struct run *r, struct sock *s)
{
    bool broken = false;

    while (r->turn < r->t->turn_count) {
        struct golden_turn *turn = &r->t->turns[r->turn];
        TRY(read_message(s, HTTP1_REQUEST, &r->provider_got[r->turn], &broken));
        r->turn++;
        size_t cut = r->cut < turn->answers.n ? r->cut : 0;
        if (cut) {
            TRY(sock_write(s, turn->answers.p, cut));
            TRY(fiber_sleep_until(rt_now() + 5 * NS_MS)); /* virtual: so that it arrives on its own */
        }
        TRY(sock_write(s, turn->answers.p + cut, turn->answers.n - cut));
        if (turn->then_closes)
            return OK;
    }
    return OK;
}

static err_t provider(void *arg)
{
    struct run *r = arg;
    struct sock *listener CLEANUP(sock_close_p) = NULL;
    struct addr at, peer;

    TRY(addr_parse(STR("127.0.0.1:9000"), &at));
    TRY(sock_listen(&at, LISTEN_ALONE, &listener));
    for (;;) {
        struct sock *s CLEANUP(sock_close_p) = NULL;
        TRY(sock_accept(listener, &s, &peer));
        if (provider_connection(r, s) == E_CANCELLED)
            return E_CANCELLED;
    }
}

static err_t serve(void *arg)
{
    return http_server_run(arg);
}

static err_t client(struct run *r)
{
    struct sock *s CLEANUP(sock_close_p) = NULL;
    struct addr at;

    TRY(addr_parse(STR("127.0.0.1:80"), &at));
    TRY(sock_connect(&at, &s));
    TRY(sock_write(s, r->t->client_sends.p, r->t->client_sends.n));
    err_t e = read_message(s, HTTP1_RESPONSE, &r->client_got, &r->client_broken);
    return r->client_broken ? OK : e;
}

static err_t run_main(void *arg)
{
    struct run *r = arg;
    struct gateway_options go = {.snapshot = r->snapshot};
    struct gateway *g = gateway_new(&go);
    struct http_server_options so = {
        .limits = http_limits_default(), .handler = gateway_handle, .ctx = g, .refusal = gateway_refusal};
    struct http_server *server = http_server_new(&so);
    struct addr at, bound;
    err_t e;

    {
        SCOPE(all, NS_NEVER);
        TRY(addr_parse(STR("127.0.0.1:80"), &at));
        TRY(http_server_listen(server, &at, LISTEN_ALONE, NULL, &bound));
        scope_spawn(&all, "provider", provider, r);
        scope_spawn(&all, "server", serve, server);
        TRY(fiber_sleep_until(rt_now() + NS_MS)); /* virtual: everybody listens */
        e = client(r);
    }
    if (r->t->metrics.n)
        metrics_render(gateway_metrics(g), &(struct gauges){0}, &(struct process_numbers){.version = "golden"},
                       &r->metrics);
    http_server_free(server);
    gateway_free(g);
    dns_drain();
    iobuf_drain();
    return e;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static err_t no_file(const char *path, size_t max, struct buf *ret)
{
    (void)max;
    (void)ret;
    return fail(E_NOT_FOUND, "%s: no files here", path);
}

static void load(struct transcript *t, struct catalog **ret)
{
    static const struct config_env env = {.getenv = no_env, .read_file = no_file};
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};

    arena_init(&arena, FILE_MAX_BYTES);
    CHECK_OK(config_load("-", t->config, &env, &problems, ret));
}

/* Show both whole where they differ: a transcript is read, not guessed. */
static void same_text(const char *what, struct str got, struct str want)
{
    if (!str_eq(got, want))
        (void)fprintf(stderr, "--- %s, got:\n%.*s\n--- wanted:\n%.*s\n---\n", what, STR_ARG(got), STR_ARG(want));
    CHECK(str_eq(got, want));
}

static void holds_text(const char *what, struct str got, struct str want)
{
    bool holds = str_find(got, want) < got.n;

    if (!holds)
        (void)fprintf(stderr, "--- %s, got:\n%.*s\n--- wanted in it:\n%.*s\n---\n", what, STR_ARG(got), STR_ARG(want));
    CHECK(holds);
}

/* Take the header out of what was got, unless it is wanted, too. */
static void forget_header(struct buf *got, struct str want, struct str line_start)
{
    size_t at = str_find(buf_str(got), line_start);

    if (at == got->n || str_find(want, line_start) < want.n)
        return;
    struct str rest = str_slice(buf_str(got), at + 1, got->n);
    size_t n = str_find_char(rest, '\n') + 1;
    memmove(got->p + at, got->p + at + n, got->n - at - n);
    got->n -= n;
}

static void compare(struct run *r, err_t e)
{
    const struct transcript *t = r->t;

    CHECK_OK(e);
    forget_header(&r->client_got, t->client_gets, STR("\nx-crossdock-route: "));
    forget_header(&r->client_got, t->client_gets, STR("\nx-crossdock-reason: "));
    same_text("client gets", buf_str(&r->client_got), t->client_gets);
    if (t->metrics.n)
        holds_text("metrics", buf_str(&r->metrics), t->metrics);
    CHECK_EQ(r->turn, t->turn_count);
    for (size_t i = 0; i < t->turn_count; i++)
        if (t->turns[i].gets.n)
            same_text("provider gets", buf_str(&r->provider_got[i]), t->turns[i].gets);
}

static void run_once(struct transcript *t, struct catalog *catalog, size_t cut)
{
    struct snapshot *snapshot; /* of its own: what one run teaches of the provider is not known in the next */
    CHECK_OK(snapshot_make(catalog_ref(catalog), NULL, &snapshot));
    struct sim_options world = {.seed = 7, .latency_min = NS_US, .latency_max = NS_US};
    struct sim_world *w = sim_world_new(&world);
    struct loop_options o = {.seams = sim_world_seams(w)};
    struct run r = {.t = t, .cut = cut, .snapshot = snapshot};

    buf_init(&r.client_got, 4 * FILE_MAX_BYTES);
    buf_init(&r.metrics, FILE_MAX_BYTES);
    for (size_t i = 0; i < MAX_TURNS; i++)
        buf_init(&r.provider_got[i], 4 * FILE_MAX_BYTES);
    err_t e = loop_run(&o, run_main, &r);
    sim_world_free(w);
    snapshot_unref(snapshot);
    if (e != OK)
        (void)fprintf(stderr, "%s\n", err_detail(e));
    if (r.client_broken)
        buf_add_lit(&r.client_got, "\n(cut off)");
    compare(&r, e);
    for (size_t i = 0; i < MAX_TURNS; i++)
        buf_release(&r.provider_got[i]);
    buf_release(&r.client_got);
    buf_release(&r.metrics);
}

/* --- all files --- */

static void run_cuts(struct transcript *t, const char *name)
{
    struct catalog *catalog = NULL;
    size_t longest = 0;

    load(t, &catalog);
    for (size_t i = 0; i < t->turn_count; i++)
        if (t->turns[i].answers.n > longest)
            longest = t->turns[i].answers.n;
    for (size_t cut = 0; cut < (longest ? longest : 1) && !test_failed(); cut += cut ? (size_t)test_step() : 1) {
        test_context("%s, answer cut at %zu", name, cut);
        run_once(t, catalog, cut);
    }
    catalog_unref(catalog);
}

static void run_file(const char *path, const char *name, struct str vendor)
{
    struct transcript *t = NEW(struct transcript);
    char *text = mem_alloc(FILE_MAX_BYTES);
    FILE *f = fopen(path, "r");

    test_context("%s", name);
    arena_init(&t->arena, 16 * FILE_MAX_BYTES);
    t->config = arena_printf(&t->arena, DEFAULT_CONFIG, STR_ARG(vendor));
    size_t n = f ? fread(text, 1, FILE_MAX_BYTES, f) : 0;
    if (f)
        (void)fclose(f);
    if (parse(t, str_of(text, n)))
        run_cuts(t, name);
    else
        test_fail_(__FILE__, __LINE__, "%s: not a transcript: see the head of golden.c", path);
    arena_release(&t->arena);
    mem_free(text);
    mem_free(t);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The vendor that the folder's name ends in, behind "_to_"; else OpenAI. */
static struct str vendor_of(struct str folder)
{
    struct str between = STR("_to_");
    size_t at = str_find(folder, between);

    return at < folder.n ? str_slice(folder, at + between.n, folder.n) : STR("openai");
}

static void run_folder(const char *folder)
{
    struct dirent **entries;
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/tests/golden/%s", test_root(), folder);
    int count = scandir(path, &entries, NULL, by_name), ran = 0;
    for (int i = 0; i < count; i++) {
        if (str_ends(str_from_c(entries[i]->d_name), STR(".txt")) && !test_failed()) {
            (void)snprintf(path, sizeof path, "%s/tests/golden/%s/%s", test_root(), folder, entries[i]->d_name);
            run_file(path, entries[i]->d_name, vendor_of(str_from_c(folder)));
            ran++;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    test_context("%s", folder);
    CHECK_GT(ran, 0);
}

/* Folders of transcripts; each is a test. */
#define FOLDERS(F)                                                                                                     \
    F(anthropic_to_anthropic)                                                                                          \
    F(anthropic_to_gemini)                                                                                             \
    F(anthropic_to_openai)                                                                                             \
    F(completions_to_anthropic)                                                                                        \
    F(gemini_to_anthropic)                                                                                             \
    F(gemini_to_gemini)                                                                                                \
    F(gemini_to_openai)                                                                                                \
    F(ollama)                                                                                                          \
    F(openai)                                                                                                          \
    F(openai_to_anthropic)                                                                                             \
    F(openai_to_bedrock)                                                                                               \
    F(openai_to_gemini)                                                                                                \
    F(openai_to_mistral)                                                                                               \
    F(pitfalls)                                                                                                        \
    F(responses_to_anthropic)                                                                                          \
    F(responses_to_openai)                                                                                             \
    F(routes)                                                                                                          \
    F(tgi)

#define FOLDER_TEST(name)                                                                                              \
    TEST(transcripts_at_every_cut_##name)                                                                              \
    {                                                                                                                  \
        run_folder(#name);                                                                                             \
    }
FOLDERS(FOLDER_TEST)

static int is_folder(const struct dirent *e)
{
    return !strchr(e->d_name, '.');
}

TEST(transcripts_are_run_from_every_folder)
{
#define FOLDER_NAME(name) #name,
    static const char *const run[] = {FOLDERS(FOLDER_NAME)};
    struct dirent **entries;
    char path[4096];
    size_t found = 0;

    (void)snprintf(path, sizeof path, "%s/tests/golden", test_root());
    int count = scandir(path, &entries, is_folder, by_name);
    for (int i = 0; i < count; i++) {
        bool is_run = false;
        for (size_t k = 0; k < ARRAY_LEN(run); k++)
            is_run = is_run || strcmp(run[k], entries[i]->d_name) == 0;
        if (!is_run)
            test_fail_(__FILE__, __LINE__, "nobody runs tests/golden/%s", entries[i]->d_name);
        found += is_run;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    CHECK_EQ(found, ARRAY_LEN(run));
}
