/*
 * form.c - uploads as multipart/form-data (RFC 7578), routed by the field "model" and streamed on.
 *
 * The beginning of the body is held until the field has come, at most PEEK_MAX bytes of it; its value is replaced by the provider's name of the model, and
 * what was held goes out in front of the rest. A form whose field comes later, behind a large file, or not at all goes where pass-through goes,
 * as it is.
 */
#include "gateway/exchange.h"

enum { PEEK_MAX = 1024 * 1024, BOUNDARY_MAX = 70 };

/* The boundary that a content type names (RFC 2046, 5.1.1); empty if it is no form. */
static struct str boundary_of(struct str type)
{
    struct str rest = type, kind = str_trim(str_cut(&rest, ';'));

    if (!str_eq_nocase(kind, STR("multipart/form-data")))
        return STR_NONE;
    while (rest.p) {
        struct str value = str_trim(str_cut(&rest, ';')), name = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        if (!str_eq_nocase(name, STR("boundary")))
            continue;
        if (value.n > 1 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_slice(value, 1, value.n - 1);
        return value.n <= BOUNDARY_MAX ? value : STR_NONE;
    }
    return STR_NONE;
}

bool form_is_one(const struct http_head *head)
{
    return boundary_of(http_head_get(head, HDR_CONTENT_TYPE)).n > 0;
}

/* Does a part's head say that it is the field "model"? */
static bool is_model(struct str head)
{
    while (head.p) {
        struct str line = str_cut(&head, '\n'), name = str_trim(str_cut(&line, ':'));
        if (!str_eq_nocase(name, STR("content-disposition")))
            continue;
        size_t at = str_find(line, STR("name=\"model\""));
        bool whole = at < line.n && (at == 0 || line.p[at - 1] == ' ' || line.p[at - 1] == ';');
        return (whole || str_ends(str_trim(line), STR("name=model"))) && str_find(line, STR("filename")) == line.n;
    }
    return false;
}

/* The value of the field "model" in what has come so far, a slice of it. False: not yet. */
static bool find_model(struct str text, struct str mark, struct str *ret_value)
{
    size_t at = str_find(text, mark);

    while (at < text.n) {
        struct str part = str_slice(text, at + mark.n, text.n);
        size_t head = str_find(part, STR("\r\n\r\n")), next = str_find(part, mark);
        if (head == part.n || next == part.n)
            return false;
        if (head < next && is_model(str_slice(part, 0, head))) {
            *ret_value = str_slice(part, head + 4, next > 2 ? next - 2 : next);
            return ret_value->n > 0;
        }
        at += mark.n + next;
    }
    return false;
}

err_t form_peek(struct exchange *x, struct str *ret_model)
{
    struct arena *a = x->r->arena;
    struct str boundary = boundary_of(http_head_get(&x->r->head, HDR_CONTENT_TYPE)), piece, model = STR_NONE;
    struct str mark = arena_join(a, STR("--"), boundary);
    struct buf held CLEANUP(buf_release) = BUF_INIT(2 * PEEK_MAX);

    *ret_model = STR_NONE;
    while (held.n < PEEK_MAX && !find_model(buf_str(&held), mark, &model)) {
        TRY(http_body_next(x->r, &piece));
        if (!piece.p) {
            x->form_ended = true;
            break;
        }
        TRY(buf_add(&held, piece));
    }
    struct str kept = arena_str(a, buf_str(&held));
    x->form[0] = kept;
    if (model.p && find_model(kept, mark, &model)) {
        *ret_model = model;
        x->form[0] = str_of(kept.p, (size_t)(model.p - kept.p));
        x->form[1] = model;
        x->form[2] = str_slice(kept, (size_t)(model.p - kept.p) + model.n, kept.n);
    }
    return OK;
}
