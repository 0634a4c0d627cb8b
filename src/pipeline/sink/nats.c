/*
 * nats.c - records to NATS. JetStream is told the sequence that it must be at (`Nats-Expected-Last-Subject-Sequence`), which makes a batch one that can be
 * repeated; core NATS keeps nothing and knows nothing, so there the file must choose.
 *
 * JetStream takes messages one by one, so a crash may leave a part of a batch. What is noted before a batch is the stream's last sequence and the ids of
 * the batch's records. Whoever opens the sink, or does not know the end of a call, reads what the stream has got behind that sequence, and by their
 * ids (`Nats-Msg-Id`) knows the records that are there. These come again, perhaps in other batches: until all that were noted have come, the
 * noted sequence stays what it is, and their ids stay with it.
 *
 * A process that was killed may have left a message on its way. It expects a last sequence as we do; whichever of the two comes second is refused, and
 * if that is ours the stream is read again.
 *
 * Does not: write to the subjects of more than one stream.
 */
#include "client/nats.h"
#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/reach.h"
#include "rt/fiber.h"

struct nats_sink {
    struct schema_text subject, connection;
    bool jetstream;
    const struct template *subject_text;
};

static const struct schema_field nats_fields[] = {
    SCHEMA_TEXT("subject", struct nats_sink, subject, .required = true,
                .doc = "Subject; may hold expressions: `cases.{{.region}}`."),
    SCHEMA_BOOL("jetstream", struct nats_sink, jetstream, .default_text = "true",
                .doc = "The subject belongs to a stream. `false`: core NATS."),
    CONNECTION_FIELD(struct nats_sink), SCHEMA_END};
static const struct schema_object nats_object = {
    .fields = nats_fields, .size = sizeof(struct nats_sink), .shorthand = "subject"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("nats", &nats_object, .doc = "A subject of NATS."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct nats_sink *c = n->config;

    build_connection(b, n, &c->connection);
    build_reads(b, n, STR("."));
    c->subject_text = build_template(b, n, &c->subject);
}

static const struct promise_row promises[] = {
    {.when = "JetStream",
     .promise = PROMISE_EXACTLY,
     .how = "with one writer per subject: `Nats-Expected-Last-Subject-Sequence` refuses what is there already; "
            "`Nats-Msg-Id` besides, which alone would "
            "hold for its window only"},
    {.when = "core (`jetstream: false`)",
     .is_choice = true,
     .how = "nothing is kept and nothing answered",
     .remedy = "`jetstream: true`"},
    {0}};

static size_t row(const struct pipeline_node *n)
{
    const struct nats_sink *c = n->config;

    return !c->jetstream;
}

/* --- what is known of the stream --- */

enum {
    SEQUENCE_BYTES = 8,
    LENGTH_BYTES = 4,
    ID_BYTES = sizeof(struct journal_id),
    HEX_BYTES = 2 * ID_BYTES,
    SUBJECTS_MAX = 65536
};

/* A subject, and the sequence of its last message. */
struct subject {
    struct str name;
    uint64_t last;
};

/* A record that was noted before a crash, and has not come again yet. */
struct noted {
    char hex[HEX_BYTES];
    bool is_there; /* in the stream */
};

struct writer {
    const struct pipeline_node *sink;
    const struct nats_sink *config;
    struct reach reach;
    struct nats *nats;
    struct arena arena;
    struct str stream;   /* empty: not known yet                                   */
    uint64_t last;       /* the highest sequence that we know of                   */
    uint64_t after;      /* what is noted: behind it lies all that may be ours     */
    uint64_t intended;   /* the batch that `after` was noted for; 0: none          */
    bool is_unsure;      /* what lies behind `after` has to be read                */
    struct map subjects; /* struct subject *, in an arena of their own             */
    struct arena subject_arena;
    struct map noted; /* struct noted *, by hex                                 */
};

static void forget_subjects(struct writer *w)
{
    map_release(&w->subjects);
    w->subjects = (struct map){0};
    arena_clear(&w->subject_arena);
}

static struct subject *subject_at(struct writer *w, struct str name, uint64_t last)
{
    if (w->subjects.count >= SUBJECTS_MAX)
        forget_subjects(w); /* the stream can be asked again */
    struct subject *s = arena_new(&w->subject_arena, struct subject);
    s->name = arena_str(&w->subject_arena, name);
    s->last = last;
    (void)map_put(&w->subjects, s->name, s);
    return s;
}

/* A message that the stream has. */
static void see(struct writer *w, const struct nats_found *m, struct map *items)
{
    struct str id = nats_header(m->headers, STR("Nats-Msg-Id"));
    struct subject *s = map_get(&w->subjects, m->subject);
    struct noted *noted = map_get(&w->noted, id);
    struct batch_item *item = items ? map_get(items, id) : NULL;

    if (s)
        s->last = m->sequence;
    else
        (void)subject_at(w, m->subject, m->sequence);
    if (noted)
        noted->is_there = true;
    if (item)
        item->is_applied = true;
    w->last = m->sequence > w->last ? m->sequence : w->last;
}

/* Which subjects messages of ours have. */
static struct str filter_of(const struct writer *w)
{
    struct str text = w->config->subject.text;

    return str_find(text, STR("{{")) < text.n ? STR(">") : text;
}

/* Read what lies behind `after`. `items`: of the batch, by their ids; NULL: there is none. */
static SUSPENDS err_t look_behind(struct writer *w, struct map *items)
{
    uint64_t at = w->after;

    forget_subjects(w);
    for (;;) {
        struct arena a CLEANUP(arena_release) = {.max = NATS_MESSAGE_MAX};
        struct nats_found m;
        err_t e = nats_next_of(w->nats, w->stream, filter_of(w), at + 1, &a, &m);
        if (e == E_NOT_FOUND)
            break;
        TRY(e);
        see(w, &m, items);
        at = m.sequence;
        TRY(fiber_tick());
    }
    w->is_unsure = false;
    return OK;
}

/* --- what is noted: the sequence, the stream's name with its length, ids --- */

static struct str hex_of(const struct batch_item *item)
{
    return step_id_text(&(struct step){.root = item->record->root, .in = item->record});
}

static err_t render(const struct writer *w, const struct batch_item *item, struct str *ret)
{
    struct step s = {.root = item->record->root, .node = w->sink, .in = item->record};

    TRY(step_render(&s, w->config->subject_text, NATS_SUBJECT_MAX, ret));
    return nats_subject_is_plain(*ret) ? OK : fail(E_PARSE, "\"%.*s\" is no subject to publish to", STR_ARG(*ret));
}

/* Before the first batch of all. */
static SUSPENDS err_t find_stream(struct writer *w, const struct batch *b)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct str subject, stream;
    size_t i = 0;

    while (i < b->count && render(w, &b->items[i], &subject) != OK)
        i++;
    if (w->stream.n || i == b->count)
        return OK;
    TRY(nats_stream_of(w->nats, subject, &a, &stream));
    TRY(nats_last_sequence(w->nats, stream, &a, &w->last));
    w->stream = arena_str(&w->arena, stream);
    return OK;
}

static SUSPENDS err_t intend(void *state, const struct batch *b, struct arena *arena, struct str *ret)
{
    struct writer *w = state;
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);
    char head[SEQUENCE_BYTES + LENGTH_BYTES];
    struct str id;
    void *noted;
    size_t at = 0;

    if (!w->config->jetstream)
        return OK;
    TRY(find_stream(w, b));
    if (w->intended != b->seq && w->noted.count == 0)
        w->after = w->last;
    w->intended = b->seq;
    be64_put(head, w->after);
    be32_put(head + SEQUENCE_BYTES, (uint32_t)w->stream.n);
    TRY(buf_add(&text, str_of(head, sizeof head)));
    TRY(buf_add(&text, w->stream));
    for (size_t i = 0; i < b->count; i++)
        TRY(buf_add(&text, hex_of(&b->items[i])));
    while (map_next(&w->noted, &at, &id, &noted))
        TRY(buf_add(&text, id));
    *ret = arena_str(arena, buf_str(&text));
    return OK;
}

static err_t recall(struct writer *w, struct str intent)
{
    size_t head = SEQUENCE_BYTES + LENGTH_BYTES;

    if (intent.n < head || intent.n - head < be32_get(intent.p + SEQUENCE_BYTES))
        return fail(E_IO, "what the journal has noted for sink %.*s is damaged", STR_ARG(w->sink->name));
    w->after = w->last = be64_get(intent.p);
    uint32_t length = be32_get(intent.p + SEQUENCE_BYTES);
    w->stream = arena_str(&w->arena, str_slice(intent, head, head + length));
    for (size_t at = head + length; at + HEX_BYTES <= intent.n; at += HEX_BYTES) {
        struct noted *n = arena_new(&w->arena, struct noted);
        memcpy(n->hex, intent.p + at, HEX_BYTES);
        (void)map_put(&w->noted, str_of(n->hex, HEX_BYTES), n);
    }
    w->is_unsure = w->stream.n > 0;
    return OK;
}

/* --- a batch --- */

static void refuse(struct batch_item *item, err_t e)
{
    item->refused = e;
    item->reason = arena_str(step_arena(&(struct step){.root = item->record->root}), str_from_c(err_detail(e)));
}

/* Does the stream have it from before a crash? Then it has come again now. */
static void match(struct writer *w, struct batch_item *item)
{
    struct noted *n = map_remove(&w->noted, hex_of(item));

    item->is_applied = item->is_applied || (n && n->is_there);
}

static SUSPENDS err_t find_subject(struct writer *w, struct str name, struct arena *a, struct subject **ret)
{
    struct nats_found m = {0};

    *ret = map_get(&w->subjects, name);
    if (*ret)
        return OK;
    err_t e = nats_last_of(w->nats, w->stream, name, a, &m);
    if (e != OK && e != E_NOT_FOUND)
        return e;
    *ret = subject_at(w, name, m.sequence);
    return OK;
}

static SUSPENDS err_t store(struct writer *w, struct batch_item *item)
{
    struct arena a CLEANUP(arena_release) = {.max = NATS_MESSAGE_MAX};
    struct nats_stored stored;
    struct subject *subject;
    struct str name;

    TRY(render(w, item, &name));
    TRY(find_subject(w, name, &a, &subject));
    TRY(nats_store(w->nats, name, hex_of(item), subject->last, item->text, &a, &stored));
    item->is_applied = true;
    if (!str_eq(stored.stream, w->stream))
        return fail(E_CONFIG, "the subjects of a sink must be of one stream, but %.*s is of %.*s, not of %.*s",
                    STR_ARG(name), STR_ARG(stored.stream), STR_ARG(w->stream));
    subject->last = stored.sequence;
    w->last = stored.sequence > w->last ? stored.sequence : w->last;
    return OK;
}

static SUSPENDS err_t publish(struct writer *w, struct batch_item *item)
{
    struct buf headers CLEANUP(buf_release) = BUF_INIT(4096);
    struct str name;

    TRY(render(w, item, &name));
    TRY(nats_header_add(&headers, STR("Nats-Msg-Id"), hex_of(item)));
    TRY(nats_header_end(&headers));
    TRY(nats_publish(w->nats, name, buf_str(&headers), item->text));
    item->is_applied = true;
    return OK;
}

static SUSPENDS err_t look_again(struct writer *w, const struct batch *b)
{
    struct map items CLEANUP(map_release) = {0};

    for (size_t i = 0; i < b->count; i++)
        (void)map_put(&items, hex_of(&b->items[i]), &b->items[i]);
    return look_behind(w, &items);
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct writer *w = state;

    if (w->is_unsure)
        TRY(look_again(w, b));
    for (size_t i = 0; i < b->count; i++) {
        struct batch_item *item = &b->items[i];
        match(w, item);
        if (item->is_applied || item->refused != OK)
            continue;
        err_t e = w->config->jetstream ? store(w, item) : publish(w, item);
        if (e == E_TOO_LARGE || e == E_PARSE) {
            refuse(item, e);
            continue;
        }
        w->is_unsure = e != OK && w->config->jetstream && w->stream.n;
        if (e == E_CONFLICT)
            return fail(E_AGAIN, "another one has written to a subject of sink %.*s", STR_ARG(w->sink->name));
        TRY(e);
    }
    return OK;
}

/* --- opening --- */

static void close_writer(void *state)
{
    struct writer *w = state;

    nats_free(w->nats);
    map_release(&w->subjects);
    map_release(&w->noted);
    arena_release(&w->subject_arena);
    reach_release(&w->reach);
    arena_release(&w->arena);
    mem_free(w);
}

static SUSPENDS err_t make_ready(struct writer *w, const struct sink_at *at)
{
    struct nats_options o;

    TRY(reach_nats(w->sink->connection, &w->reach, &o));
    w->nats = nats_new(&o);
    if (!w->config->jetstream || !at->is_open)
        return OK;
    TRY(recall(w, at->intent));
    return w->is_unsure ? look_behind(w, NULL) : OK;
}

static SUSPENDS err_t open_writer(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    const struct nats_sink *c = at->sink->config;

    if (!c->jetstream && at->sink->effect.mode == EFFECT_AT_MOST_ONCE)
        return fail(E_UNSUPPORTED, "effects at most once are not run yet");
    struct writer *w = NEW(struct writer);
    w->sink = at->sink;
    w->config = c;
    w->intended = at->is_open ? at->seq : 0;
    arena_init(&w->arena, SIZE_MAX);
    arena_init(&w->subject_arena, SIZE_MAX);
    err_t e = make_ready(w, at);
    if (e != OK) {
        close_writer(w);
        return e;
    }
    *ret_applied = false; /* of each record by itself it is known */
    *ret_state = w;
    return OK;
}

static const struct sink_run sink_run = {.open = open_writer, .intend = intend, .apply = apply, .close = close_writer};

const struct sink_kind sink_kind_nats = {
    .kind = {.name = "nats",
             .fields = fields,
             .size = sizeof(struct nats_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "nats",
             .usual_url = "nats://127.0.0.1:4222",
             .build = build},
    .rows = promises,
    .row = row,
    .run = &sink_run,
};
