/*
 * fetch_media.c - pictures and files that the client named by URL, for providers that take only bytes.
 *
 * Only if the configuration says so, only from public addresses (net/guarded_fetch.h), a few at a time. What cannot be had is the client's to
 * mend: the request is refused, since an answer without the picture would be one to another question.
 */
#include "codec/base64.h"
#include "gateway/exchange.h"
#include "net/guarded_fetch.h"
#include "rt/scope.h"

enum { FILES_MAX = 256 };

struct file {
    struct exchange *x;
    struct block *block;
};

struct files {
    struct file list[FILES_MAX];
    size_t count;
};

/* Other URLs (s3:, gs:) name what a provider has at hand itself; so do some of those for the web. */
static bool is_wanted(const struct exchange *x, const struct block *b)
{
    const struct provider_side *p = &x->speaks->provider;
    bool media =
        b->kind == BLOCK_IMAGE || b->kind == BLOCK_AUDIO || b->kind == BLOCK_VIDEO || b->kind == BLOCK_DOCUMENT;

    return media && b->media.source == MEDIA_URL && str_starts_nocase(b->media.data, STR("http")) &&
           (p->wants_bytes & 1u << b->kind) && !(p->fetches && p->fetches(b->media.data));
}

static void collect(struct exchange *x, struct block *blocks, struct files *to)
{
    for (struct block *b = blocks; b; b = b->next) {
        if (is_wanted(x, b) && to->count < FILES_MAX)
            to->list[to->count++] = (struct file){x, b};
        for (struct block *c = b->content; c; c = c->next)
            if (is_wanted(x, c) && to->count < FILES_MAX)
                to->list[to->count++] = (struct file){x, c};
    }
}

static SUSPENDS err_t fetch_one(void *arg)
{
    struct file *f = arg;
    struct arena *a = f->x->r->arena;
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 2);
    struct fetched got;

    err_t e = guarded_fetch(&f->x->snapshot->catalog->fetch.rules, f->block->media.data, a, &got);
    if (e != OK)
        return err_context(e, "%.*s cannot be fetched", STR_ARG(json_node_pointer(f->block->from, a)));
    TRY(base64_encode(&text, got.body, BASE64));
    f->block->media.source = MEDIA_BASE64;
    f->block->media.data = arena_str(a, buf_str(&text));
    struct str sniffed = media_sniff(f->block->media.data);
    f->block->media.type = sniffed.n ? sniffed : got.media_type;
    return OK;
}

err_t fetch_media(struct exchange *x, struct chat_request *q)
{
    const struct catalog *c = x->snapshot->catalog;

    if (!c->fetch.on || !x->speaks->provider.wants_bytes || q->dialect == x->speaks)
        return OK; /* a client of the provider's own dialect named what that provider takes */
    struct files *files = arena_new(x->r->arena, struct files);
    for (struct turn *t = q->turns; t; t = t->next)
        collect(x, t->blocks, files);
    for (size_t from = 0; from < files->count; from += c->fetch.at_once) {
        SCOPE(scope, NS_NEVER);
        for (size_t i = from; i < files->count && i < from + c->fetch.at_once; i++)
            scope_spawn(&scope, "fetch", fetch_one, &files->list[i]);
        TRY(scope_wait_all(&scope));
    }
    return OK;
}
