/* unsaid.c - what is left unsaid to a provider. */
#include "llm/unsaid.h"

#define NO_FIELD "the provider has no such field"

void unsaid_number(struct losses *l, const struct number *n, double harmless)
{
    double value;

    if (n->text.n && !(json_to_double(n->text, &value) && value == harmless))
        loss_drop(l, n->from, NO_FIELD);
}

void unsaid_any_number(struct losses *l, const struct number *n)
{
    if (n->text.n)
        loss_drop(l, n->from, NO_FIELD);
}

void unsaid_setting(struct losses *l, const struct setting *s)
{
    if (s->text.p)
        loss_drop(l, s->from, NO_FIELD);
}

void unsaid_flag(struct losses *l, const struct flag *f, enum truth harmless)
{
    if (f->is != UNSET && f->is != harmless)
        loss_drop(l, f->from, NO_FIELD);
}

void unsaid_extras(struct losses *l, const struct extra *extras)
{
    for (const struct extra *x = extras; x; x = x->next)
        loss_drop(l, x->from, NO_FIELD);
}
