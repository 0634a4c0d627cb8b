/* loss.c - the list of losses, and its text for a header. */
#include "llm/loss.h"

void losses_init(struct losses *l, struct arena *arena)
{
    *l = (struct losses){.arena = arena};
}

static bool is_noted(const struct losses *l, enum loss_kind kind, struct json_node from)
{
    for (const struct loss *x = l->first; x; x = x->next)
        if (x->kind == kind && x->from.tree == from.tree && x->from.cell == from.cell)
            return true;
    return false;
}

static size_t *count_of(struct losses *l, enum loss_kind kind)
{
    switch (kind) {
    case LOSS_DROPPED:
        return &l->dropped;
    case LOSS_EMULATED:
        return &l->emulated;
    case LOSS_CHANGED:
        break;
    }
    return &l->changed;
}

void loss_note(struct losses *l, enum loss_kind kind, struct json_node from, const char *why)
{
    if (is_noted(l, kind, from))
        return;
    ++*count_of(l, kind);
    if (l->count++ >= LOSSES_MAX)
        return;
    struct loss *x = arena_new(l->arena, struct loss);
    *x = (struct loss){.kind = kind, .from = from, .why = why};
    if (l->last)
        l->last->next = x;
    else
        l->first = x;
    l->last = x;
}

/* As a header may hold it: no commas, blanks, controls or bytes beyond ASCII. */
static void add_pointer(struct buf *to, struct str pointer)
{
    static const char hex[] = "0123456789ABCDEF";

    if (!pointer.n)
        buf_add_char(to, '/'); /* the whole document */
    for (size_t i = 0; i < pointer.n; i++) {
        unsigned char c = (unsigned char)pointer.p[i];
        char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
        if (c > ' ' && c < 0x7f && c != ',' && c != '%')
            buf_add_char(to, (char)c);
        else
            buf_add(to, str_of(coded, sizeof coded));
    }
}

struct str losses_list(const struct losses *l, enum loss_kind kind, size_t max)
{
    static const struct str more = STR_INIT(",+");
    struct buf to CLEANUP(buf_release) = BUF_INIT(64 * 1024);
    struct losses counts = *l;
    size_t missing = *count_of(&counts, kind);

    for (const struct loss *x = l->first; x; x = x->next) {
        size_t before = to.n;
        if (x->kind != kind)
            continue;
        if (to.n)
            buf_add_char(&to, ',');
        add_pointer(&to, json_node_pointer(x->from, l->arena));
        if (to.n + more.n > max) {
            to.n = before;
            break;
        }
        missing--;
    }
    if (missing)
        buf_add(&to, to.n ? more : STR("+"));
    return arena_str(l->arena, buf_str(&to));
}
