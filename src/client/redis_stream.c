/*
 * redis_stream.c - commands of Redis Streams, and the script of the emitter.
 *
 * The readers of replies take both forms that a server may have spoken, RESP2's arrays and RESP3's maps: a map's items lie in the same
 * order as those of the array of pairs, but for the pairs' own arrays.
 *
 * The script: a batch carries a number, and the server keeps the last one beside the data. Redis runs scripts one at a time, so comparing,
 * appending and advancing are one step. It does not undo a script that fails in the middle: therefore all that could fail (a key of another
 * type, memory) is looked at before the first write. It is sent by its hash; a server that does not know it (restarted, replaced) gets
 * the source, once.
 *
 * Does not: choose names of keys, retry.
 */
#include "client/redis_stream.h"

#include <assert.h>

/* KEYS: the sequence, then what is written to. ARGV: number, epoch, form, length_max or milliseconds, then of each: key's index, count of fields, fields.
 * Replies: 1 applied, 0 there already, -1 a gap, -2 a key is of another type, -3 somebody else has taken over. */
static const struct str emit_source =
    STR_INIT("local last=tonumber(redis.call('HGET',KEYS[1],'number') or '0')\n"
             "local number=tonumber(ARGV[1])\n"
             "if redis.call('HGET',KEYS[1],'epoch')~=ARGV[2] then return -3 end\n"
             "if last==number then return 0 end\n"
             "if last~=number-1 then return -1 end\n"
             "local form,bound=ARGV[3],ARGV[4]\n"
             "for i=2,#KEYS do\n"
             "  local t=redis.call('TYPE',KEYS[i]).ok\n"
             "  if t~='none' and form~='string' and t~=form then return -2 end\n"
             "end\n"
             "redis.call('HSET',KEYS[1],'number',ARGV[1])\n"
             "local at=5\n"
             "while at<=#ARGV do\n"
             "  local key,last_field=KEYS[1+tonumber(ARGV[at])],at+1+tonumber(ARGV[at+1])\n"
             "  if form=='stream' then\n"
             "    if bound=='0' then\n"
             "      redis.call('XADD',key,'*',unpack(ARGV,at+2,last_field))\n"
             "    else\n"
             "      redis.call('XADD',key,'MAXLEN','~',bound,'*',unpack(ARGV,at+2,last_field))\n"
             "    end\n"
             "  elseif form=='list' then\n"
             "    redis.call('RPUSH',key,ARGV[last_field])\n"
             "  elseif bound=='0' then\n"
             "    redis.call('SET',key,ARGV[last_field])\n"
             "  else\n"
             "    redis.call('SET',key,ARGV[last_field],'PX',bound)\n"
             "  end\n"
             "  at=last_field+1\n"
             "end\n"
             "return 1\n");

/* SHA-1 of the source, by which the server knows it. */
static const struct str emit_hash = STR_INIT("edd30e07e496e8fa0f31699f1dc19fc3e203b6d9");

/* The same for a number that is set. */
static const struct str renumber_source = STR_INIT("if redis.call('HGET',KEYS[1],'epoch')~=ARGV[2] then return -3 end\n"
                                                   "redis.call('HSET',KEYS[1],'number',ARGV[1])\n"
                                                   "return 1\n");

/* ---- words ---- */

struct words {
    struct str *items;
    size_t n;
};

static struct words words_new(struct arena *a, size_t most)
{
    return (struct words){arena_alloc(a, most * sizeof(struct str)), 0};
}

static void add(struct words *w, struct str s)
{
    w->items[w->n++] = s;
}

static void add_number(struct words *w, struct arena *a, uint64_t v)
{
    add(w, arena_printf(a, "%llu", (unsigned long long)v));
}

static err_t odd(const char *command)
{
    return fail(E_PROTOCOL, "redis: %s was answered in a form that is not its own", command);
}

static err_t do_words(struct redis *r, const struct words *w, struct arena *a, struct resp *ret) SUSPENDS;
static err_t do_words(struct redis *r, const struct words *w, struct arena *a, struct resp *ret)
{
    return redis_do(r, w->items, w->n, a, ret);
}

static err_t ask(struct redis_session *s, const struct words *w, struct arena *a, struct resp *ret) SUSPENDS;
static err_t ask(struct redis_session *s, const struct words *w, struct arena *a, struct resp *ret)
{
    return redis_session_do(s, w->items, w->n, a, ret);
}

/* The answer to a command that is answered by a count. */
static err_t read_count(const struct resp *reply, const char *command, uint64_t *ret_n)
{
    if (reply->kind != RESP_INTEGER || reply->integer < 0)
        return odd(command);
    *ret_n = (uint64_t)reply->integer;
    return OK;
}

/* ---- entries ---- */

static bool read_entry(const struct resp *r, struct arena *a, struct redis_entry *ret)
{
    if (r->kind != RESP_ARRAY || r->count != 2 || r->items[0].kind != RESP_BULK)
        return false;
    *ret = (struct redis_entry){.id = r->items[0].text};
    const struct resp *fields = &r->items[1];
    if (fields->kind == RESP_NULL)
        return true;
    if (fields->kind != RESP_ARRAY)
        return false;
    struct str *texts = arena_alloc(a, (fields->count + 1) * sizeof *texts);
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->items[i].kind != RESP_BULK)
            return false;
        texts[i] = fields->items[i].text;
    }
    ret->fields = texts;
    ret->count = fields->count;
    return true;
}

static bool read_entries(const struct resp *r, struct arena *a, struct redis_entries *ret)
{
    if (r->kind != RESP_ARRAY)
        return false;
    struct redis_entry *items = arena_alloc(a, (r->count + 1) * sizeof *items);
    for (size_t i = 0; i < r->count; i++)
        if (!read_entry(&r->items[i], a, &items[i]))
            return false;
    *ret = (struct redis_entries){items, r->count};
    return true;
}

err_t redis_xadd(struct redis *r, struct str stream, const struct str *fields, size_t n, uint64_t length_max,
                 struct arena *a, struct str *ret_id)
{
    struct words w = words_new(a, n + 6);
    struct resp reply;

    add(&w, STR("XADD"));
    add(&w, stream);
    if (length_max) {
        add(&w, STR("MAXLEN"));
        add(&w, STR("~"));
        add_number(&w, a, length_max);
    }
    add(&w, STR("*"));
    for (size_t i = 0; i < n; i++)
        add(&w, fields[i]);
    TRY(do_words(r, &w, a, &reply));
    if (reply.kind != RESP_BULK)
        return odd("XADD");
    *ret_id = reply.text;
    return OK;
}

err_t redis_group_create(struct redis_session *s, const struct redis_group *g, struct str start, struct arena *a)
{
    struct str words[] = {STR("XGROUP"), STR("CREATE"), g->stream, g->group, start, STR("MKSTREAM")};
    struct resp reply;

    err_t e = redis_session_do(s, words, ARRAY_LEN(words), a, &reply);
    return e == E_CONFLICT ? OK : e;
}

err_t redis_xreadgroup(struct redis_session *s, const struct redis_group *g, struct str from, size_t count, ns_t block,
                       struct arena *a, struct redis_entries *ret)
{
    struct words w = words_new(a, 11);
    struct resp reply;

    add(&w, STR("XREADGROUP"));
    add(&w, STR("GROUP"));
    add(&w, g->group);
    add(&w, g->consumer);
    add(&w, STR("COUNT"));
    add_number(&w, a, count);
    if (block > 0) {
        add(&w, STR("BLOCK")); /* 0 would be for ever */
        add_number(&w, a, (uint64_t)((block + NS_MS - 1) / NS_MS));
    }
    add(&w, STR("STREAMS"));
    add(&w, g->stream);
    add(&w, from);
    TRY(redis_session_do(s, w.items, w.n, a, &reply));
    if (reply.kind == RESP_NULL) {
        *ret = (struct redis_entries){0};
        return OK;
    }
    /* {stream: entries}, or [[stream, entries]] */
    const struct resp *pair = reply.kind == RESP_ARRAY && reply.count == 1 ? &reply.items[0] : &reply;
    if ((pair->kind != RESP_ARRAY && pair->kind != RESP_MAP) || pair->count != 2 ||
        !read_entries(&pair->items[1], a, ret))
        return odd("XREADGROUP");
    return OK;
}

err_t redis_xack(struct redis_session *s, const struct redis_group *g, const struct str *ids, size_t n, struct arena *a,
                 uint64_t *ret_n)
{
    struct words w = words_new(a, n + 3);
    struct resp reply;

    add(&w, STR("XACK"));
    add(&w, g->stream);
    add(&w, g->group);
    for (size_t i = 0; i < n; i++)
        add(&w, ids[i]);
    TRY(ask(s, &w, a, &reply));
    return read_count(&reply, "XACK", ret_n);
}

err_t redis_xautoclaim(struct redis_session *s, const struct redis_group *g, ns_t idle, size_t count,
                       struct str *cursor, struct arena *a, struct redis_entries *ret)
{
    struct words w = words_new(a, 8);
    struct resp reply;

    add(&w, STR("XAUTOCLAIM"));
    add(&w, g->stream);
    add(&w, g->group);
    add(&w, g->consumer);
    add_number(&w, a, (uint64_t)(idle / NS_MS));
    add(&w, *cursor);
    add(&w, STR("COUNT"));
    add_number(&w, a, count);
    TRY(ask(s, &w, a, &reply));
    /* Redis 7 has the ids of deleted entries as a third item. */
    if (reply.kind != RESP_ARRAY || reply.count < 2 || reply.items[0].kind != RESP_BULK ||
        !read_entries(&reply.items[1], a, ret))
        return odd("XAUTOCLAIM");
    *cursor = reply.items[0].text;
    return OK;
}

err_t redis_xpending(struct redis *r, const struct redis_group *g, struct arena *a, uint64_t *ret_n)
{
    struct str words[] = {STR("XPENDING"), g->stream, g->group};
    struct resp reply;

    TRY(redis_do(r, words, ARRAY_LEN(words), a, &reply));
    if (reply.kind != RESP_ARRAY || reply.count < 1 || reply.items[0].kind != RESP_INTEGER ||
        reply.items[0].integer < 0)
        return odd("XPENDING");
    *ret_n = (uint64_t)reply.items[0].integer;
    return OK;
}

err_t redis_xtrim(struct redis *r, struct str stream, struct str id, struct arena *a, uint64_t *ret_n)
{
    struct str words[] = {STR("XTRIM"), stream, STR("MINID"), id};
    struct resp reply;

    TRY(redis_do(r, words, ARRAY_LEN(words), a, &reply));
    return read_count(&reply, "XTRIM", ret_n);
}

/* ---- writing once ---- */

static err_t check_batch(const struct redis_batch *b, size_t *ret_words)
{
    size_t words = 8 + b->key_count;

    if (b->number > REDIS_SEQUENCE_MAX)
        return fail(E_TOO_LARGE, "redis: the batch's number is over 2^53");
    for (size_t i = 0; i < b->count; i++) {
        const struct redis_emission *m = &b->emissions[i];
        if (m->count > REDIS_FIELDS_MAX)
            return fail(E_TOO_LARGE, "redis: an entry of more than %d fields", REDIS_FIELDS_MAX);
        /* Redis would refuse them in the middle of the script. */
        assert(m->key < b->key_count);
        assert(b->form == REDIS_AS_STREAM ? m->count >= 2 && m->count % 2 == 0 : m->count == 1);
        words += 2 + m->count;
    }
    *ret_words = words;
    return OK;
}

/* The type that Redis calls so. */
static struct str form_name(enum redis_form f)
{
    switch (f) {
    case REDIS_AS_STREAM:
        return STR("stream");
    case REDIS_AS_STRING:
        return STR("string");
    case REDIS_AS_LIST:
        return STR("list");
    }
    return STR_NONE;
}

/* EVALSHA and its arguments; words[0] and [1] are all that differs from EVAL. */
static struct words emit_words(const struct redis_batch *b, size_t most, struct arena *a)
{
    struct words w = words_new(a, most);

    add(&w, STR("EVALSHA"));
    add(&w, emit_hash);
    add_number(&w, a, 1 + b->key_count);
    add(&w, b->sequence_key);
    for (size_t i = 0; i < b->key_count; i++)
        add(&w, b->keys[i]);
    add_number(&w, a, b->number);
    add_number(&w, a, b->epoch);
    add(&w, form_name(b->form));
    add_number(&w, a, b->form == REDIS_AS_STREAM ? b->length_max : (uint64_t)((b->expires + NS_MS - 1) / NS_MS));
    for (size_t i = 0; i < b->count; i++) {
        const struct redis_emission *m = &b->emissions[i];
        add_number(&w, a, 1 + m->key);
        add_number(&w, a, m->count);
        for (size_t k = 0; k < m->count; k++)
            add(&w, m->fields[k]);
    }
    return w;
}

static err_t taken_over(void)
{
    return fail(E_FENCED, "redis: another one writes these batches now");
}

err_t redis_emit(struct redis_session *s, const struct redis_batch *b, struct arena *a, bool *ret_applied)
{
    struct resp reply;
    size_t most;

    TRY(check_batch(b, &most));
    struct words w = emit_words(b, most, a);
    err_t e = ask(s, &w, a, &reply);
    if (e == E_NOT_FOUND) {
        w.items[0] = STR("EVAL");
        w.items[1] = emit_source;
        e = ask(s, &w, a, &reply);
    }
    TRY(e);
    if (reply.kind != RESP_INTEGER)
        return odd("EVALSHA");
    if (reply.integer == -1)
        return fail(E_FENCED, "redis: batch %llu is not the next one", (unsigned long long)b->number);
    if (reply.integer == -2)
        return fail(E_CONFLICT, "redis: a key of the batch is there and is no %.*s", STR_ARG(form_name(b->form)));
    if (reply.integer == -3)
        return taken_over();
    *ret_applied = reply.integer == 1;
    return OK;
}

/* The epoch first: what is read after it is the last word of who was there before. */
err_t redis_take_over(struct redis_session *s, struct str sequence_key, uint64_t first, struct arena *a,
                      uint64_t *ret_epoch, uint64_t *ret_number)
{
    struct str raise[] = {STR("HINCRBY"), sequence_key, STR("epoch"), STR("1")};
    struct str set[] = {STR("HSETNX"), sequence_key, STR("number"), arena_printf(a, "%llu", (unsigned long long)first)};
    struct str get[] = {STR("HGET"), sequence_key, STR("number")};
    struct resp reply;

    TRY(redis_session_do(s, raise, ARRAY_LEN(raise), a, &reply));
    TRY(read_count(&reply, "HINCRBY", ret_epoch));
    TRY(redis_session_do(s, set, ARRAY_LEN(set), a, &reply));
    TRY(redis_session_do(s, get, ARRAY_LEN(get), a, &reply));
    return reply.kind == RESP_BULK && str_to_u64(reply.text, REDIS_SEQUENCE_MAX, ret_number) ? OK : odd("HGET");
}

err_t redis_renumber(struct redis_session *s, struct str sequence_key, uint64_t epoch, uint64_t number, struct arena *a)
{
    struct words w = words_new(a, 6);
    struct resp reply;

    add(&w, STR("EVAL"));
    add(&w, renumber_source);
    add(&w, STR("1"));
    add(&w, sequence_key);
    add_number(&w, a, number);
    add_number(&w, a, epoch);
    TRY(ask(s, &w, a, &reply));
    return reply.kind == RESP_INTEGER && reply.integer == 1 ? OK : taken_over();
}
