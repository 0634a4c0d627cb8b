/*
 * trace.c - the steps of a root, in the order in which they came.
 *
 * A fingerprint is 64 bits of a hash of the record's JSON: enough to see that two are the same, and the price of printing it once. What a node sends is the sum
 * of its records' fingerprints, so it does not depend on who reads them in which order.
 */
#include "pipeline/run/trace.h"

#include "base/prng.h"
#include "codec/json_out.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

#include <inttypes.h>
#include <stdio.h>

enum { PRINTED_MAX = 64 << 20 };

/* Where nothing of a root is kept in the end. */
static bool is_untraced(const struct shard *s)
{
    return s->is_fast || s->outer || s->spec->journal == PIPELINE_JOURNAL_NONE;
}

void trace_begin(struct root *r)
{
    const struct shard *s = r->shard;

    r->trace = (struct trace){.began = rt_now()};
    r->trace.end = &r->trace.first;
    r->trace.is_sampled = s->spec->sampled > 0 && !is_untraced(s) && root_is_of_share(r, s->spec->sampled);
}

/* Text of a sampled root, if there is room for it. */
static struct str keep(struct root *r, struct str text, bool is_whole)
{
    struct trace *t = &r->trace;

    t->is_cut = t->is_cut || !is_whole || text.n > TRACE_SAMPLE_MAX - t->bytes;
    if (t->is_cut)
        return STR_NONE;
    t->bytes += text.n;
    return arena_str(&r->arena, text);
}

/* The fingerprint of the record that a step is given, whose size is noted; and, of a sampled root, its text. */
static uint64_t take(struct record *rec, struct str *ret_text)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(PRINTED_MAX);

    bool is_whole = expr_value_print(rec->value, &text) == OK; /* else as much of it as there was room for */
    rec->size = (uint32_t)text.n;
    if (rec->root->trace.is_sampled)
        *ret_text = keep(rec->root, buf_str(&text), is_whole);
    return prng_scatter(str_hash(buf_str(&text)) + !is_whole);
}

void trace_came(struct record *rec, const struct record *from)
{
    struct trace *t = &rec->root->trace;

    if (t->count++ >= TRACE_STEPS_MAX || is_untraced(rec->root->shard)) {
        t->is_cut = true;
        return;
    }
    struct trace_step *s = arena_new(&rec->root->arena, struct trace_step);
    s->node = rec->node;
    s->came = rt_now() - t->began;
    s->in = take(rec, &s->record);
    if (from && from->trace) {
        from->trace->out += s->in;
        from->trace->sent++;
    }
    *t->end = s;
    t->end = &s->next;
    rec->trace = s;
}

void trace_made(struct record *rec, const struct step *s)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TRACE_SAMPLE_MAX);

    if (!rec->trace || !rec->root->trace.is_sampled)
        return;
    bool is_whole = step_print_kept(s, &text) == OK;
    rec->trace->outputs = keep(rec->root, buf_str(&text), is_whole);
}

void trace_went(struct record *rec, bool ok)
{
    struct trace_step *s = rec->trace;

    rec->root->trace.failed += !ok;
    if (!s)
        return;
    s->has_ended = true;
    s->ok = ok;
    s->took = rt_now() - rec->root->trace.began - s->came;
}

/* --- as JSON --- */

static void put_fingerprint(struct json_out *o, struct str key, uint64_t print)
{
    char hex[17];

    (void)snprintf(hex, sizeof hex, "%016" PRIx64, print);
    json_member_str(o, key, str_from_c(hex));
}

static void put_step(const struct root *r, const struct trace_step *s, struct json_out *o)
{
    json_open(o, '{');
    json_member_str(o, STR("node"), r->shard->spec->nodes[s->node]->name);
    json_member_str(o, STR("end"), !s->has_ended ? STR("joined") : s->ok ? STR("ok") : STR("failed"));
    json_member_i64(o, STR("came_us"), s->came / NS_US);
    json_member_i64(o, STR("took_us"), s->took / NS_US);
    put_fingerprint(o, STR("in"), s->in);
    if (s->sent)
        put_fingerprint(o, STR("out"), s->out);
    json_member_u64(o, STR("sent"), s->sent);
    if (s->record.n)
        json_member_raw(o, STR("record"), s->record);
    if (s->outputs.n)
        json_member_raw(o, STR("outputs"), s->outputs);
    json_close(o, '}');
}

static void put_headers(const struct root *r, struct json_out *o)
{
    struct str rest = r->headers;
    struct message_header h;

    json_member_open(o, STR("headers"), '[');
    while (header_next(&rest, &h)) {
        json_open(o, '[');
        json_put_str(o, h.name);
        if (h.value.p)
            json_put_str(o, h.value);
        json_close(o, ']');
    }
    json_close(o, ']');
}

err_t trace_write(const struct root *r, struct buf *to)
{
    const struct pipeline_spec *spec = r->shard->spec;
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_u64(&o, STR("version"), spec->version);
    json_member_str(&o, STR("digest"), str_from_c(spec->digest));
    json_member_str(&o, STR("source"), spec->nodes[r->source]->name);
    if (r->key.p)
        json_member_str(&o, STR("key"), r->key);
    json_member_i64(&o, STR("sent_at"), r->at);
    json_member_i64(&o, STR("took_us"), (rt_now() - r->trace.began) / NS_US);
    json_member_u64(&o, STR("failed"), r->trace.failed);
    json_member_u64(&o, STR("records"), r->trace.count);
    if (r->trace.is_sampled) {
        json_member_bool(&o, STR("sampled"), true);
        json_member_bool(&o, STR("cut"), r->trace.is_cut);
        put_headers(r, &o);
    }
    json_member_open(&o, STR("steps"), '[');
    for (const struct trace_step *s = r->trace.first; s; s = s->next)
        put_step(r, s, &o);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}
