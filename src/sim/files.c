/*
 * files.c - /files: upload (multipart), list, look, delete, download. Files live in memory and are bounded: file_store.h.
 *
 * No model has a part in this, so scenarios do not touch it. A download is streamed in pieces, and keeps its file alive until it ends.
 */
#include "rt/fiber.h"
#include "rt/loop.h"
#include "sim/file_store.h"
#include "sim/hash.h"
#include "sim/multipart.h"
#include "sim/turn.h"

#include "codec/url.h"

enum { PIECE = 64 << 10, LIST_MAX = 10000 };

static void write_file(const struct stored_file *f, struct buf *to)
{
    buf_add_lit(to, "{\"id\":\"");
    buf_add_json(to, f->id);
    buf_addf(to, "\",\"object\":\"file\",\"bytes\":%zu,\"created_at\":%lld,\"expires_at\":null,\"filename\":\"",
             f->bytes.n, (long long)f->created);
    buf_add_json(to, f->name);
    buf_add_lit(to, "\",\"purpose\":\"");
    buf_add_json(to, f->purpose);
    buf_add_lit(to, "\",\"status\":\"processed\",\"status_details\":null}");
}

static err_t find_file(struct sim_turn *t, struct stored_file **ret)
{
    *ret = file_store_find(turn_files(t), t->id);
    if (*ret)
        return OK;
    return refuse_status(t->a, &t->refusal, 404, NULL, "No such File object: %.*s", STR_ARG(t->id));
}

static err_t read_upload(struct sim_turn *t, struct str body, struct multipart_part *ret_file, struct str *ret_purpose)
{
    struct multipart m;
    struct multipart_part part;
    enum multipart_result r;

    *ret_file = (struct multipart_part){.name = STR_NONE};
    *ret_purpose = STR_NONE;
    if (!multipart_open(&m, http_head_get(&t->r->head, HDR_CONTENT_TYPE), body))
        return refuse(t->a, &t->refusal, NULL, STR_NONE,
                      "Expected a body of type multipart/form-data with a boundary.");
    while ((r = multipart_next(&m, &part)) == MULTIPART_PART) {
        if (str_eq(part.name, STR("file")))
            *ret_file = part;
        else if (str_eq(part.name, STR("purpose")))
            *ret_purpose = part.body;
    }
    if (r == MULTIPART_ERROR)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "The multipart body is malformed or incomplete.");
    if (!ret_file->name.p)
        return refuse(t->a, &t->refusal, "missing_required_parameter", STR("file"), "'file' is a required property");
    if (!ret_purpose->p || ret_purpose->n == 0)
        return refuse(t->a, &t->refusal, "missing_required_parameter", STR("purpose"),
                      "'purpose' is a required property");
    return OK;
}

err_t files_create_endpoint(struct sim_turn *t)
{
    struct multipart_part file;
    struct stored_file *f = NULL;
    struct str body, purpose;
    char id[SIM_ID_MAX];

    TRY(turn_body(t, &body));
    TRY(read_upload(t, body, &file, &purpose));
    sim_count(&t->play.counts->requests, 1);
    uint64_t unique = sim_hash_u64(sim_hash(t->seed, file.body), t->play.counts->requests);
    if (file_store_add(turn_files(t), str_of(id, sim_id(id, "file-", unique, 0)),
                       file.filename.p ? file.filename : STR("upload"), purpose, file.body, rt_wall() / NS_SEC,
                       &f) != OK)
        return refuse_status(t->a, &t->refusal, 413, NULL, "The file is too large: %s.", err_detail(E_TOO_LARGE));
    write_file(f, t->room);
    return turn_reply_json(t, 200);
}

/* Between *after and the limit, newest first; *ret_more: there are others behind. */
static void write_page(struct sim_turn *t, const struct stored_file *f, struct str purpose, uint64_t limit,
                       bool *ret_more, struct str *ret_first, struct str *ret_last)
{
    const struct file_store *s = turn_files(t);
    uint64_t count = 0;

    *ret_more = false;
    while ((f = file_store_next(s, f)) != NULL) {
        if (purpose.p && !str_eq(f->purpose, purpose))
            continue;
        if (count == limit) {
            *ret_more = true;
            return;
        }
        buf_add(t->room, count++ > 0 ? STR(",") : STR(""));
        write_file(f, t->room);
        if (count == 1)
            *ret_first = f->id;
        *ret_last = f->id;
    }
}

static void write_id_or_null(struct str id, struct buf *to)
{
    if (id.p)
        buf_addf(to, "\"%.*s\"", STR_ARG(id));
    else
        buf_add_lit(to, "null");
}

err_t files_list_endpoint(struct sim_turn *t)
{
    struct str query = t->r->head.query, first = STR_NONE, last = STR_NONE;
    struct str after = url_query_get(query, STR("after"), t->a), limit_text = url_query_get(query, STR("limit"), t->a);
    const struct stored_file *from = after.p ? file_store_find(turn_files(t), after) : NULL;
    uint64_t limit = LIST_MAX;
    bool more;

    if (limit_text.p && (!str_to_u64(limit_text, LIST_MAX, &limit) || limit == 0))
        return refuse(t->a, &t->refusal, "invalid_value", STR("limit"),
                      "Invalid 'limit': expected an integer of 1 to %d.", LIST_MAX);
    buf_add_lit(t->room, "{\"object\":\"list\",\"data\":[");
    write_page(t, from, url_query_get(query, STR("purpose"), t->a), limit, &more, &first, &last);
    buf_add_lit(t->room, "],\"first_id\":");
    write_id_or_null(first, t->room);
    buf_add_lit(t->room, ",\"last_id\":");
    write_id_or_null(last, t->room);
    buf_addf(t->room, ",\"has_more\":%s}", more ? "true" : "false");
    return turn_reply_json(t, 200);
}

err_t files_get_endpoint(struct sim_turn *t)
{
    struct stored_file *f;

    TRY(find_file(t, &f));
    write_file(f, t->room);
    return turn_reply_json(t, 200);
}

err_t files_delete_endpoint(struct sim_turn *t)
{
    struct stored_file *f;

    TRY(find_file(t, &f));
    file_store_remove(turn_files(t), f);
    buf_add_lit(t->room, "{\"id\":\"");
    buf_add_json(t->room, t->id);
    buf_add_lit(t->room, "\",\"object\":\"file\",\"deleted\":true}");
    return turn_reply_json(t, 200);
}

static err_t send_pieces(struct sim_turn *t, struct str bytes) SUSPENDS;
static err_t send_pieces(struct sim_turn *t, struct str bytes)
{
    struct http_header type = {STR("content-type"), STR("application/octet-stream")};
    struct http_reply reply = {.status = 200, .headers = &type, .count = 1, .length = (int64_t)bytes.n};

    TRY(http_reply_begin(t->r, &reply));
    while (bytes.n > PIECE) {
        struct str piece = str_slice(bytes, 0, PIECE);
        TRY(http_reply_write(t->r, &piece, 1));
        bytes = str_slice(bytes, PIECE, bytes.n);
    }
    return http_reply_finish(t->r, &bytes, bytes.n > 0);
}

err_t files_content_endpoint(struct sim_turn *t)
{
    struct stored_file *f;

    TRY(find_file(t, &f));
    file_store_use(f);
    err_t e = send_pieces(t, f->bytes);
    file_store_unuse(f);
    return e;
}
