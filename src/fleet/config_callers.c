/*
 * config_callers.c - what a key tells of its requests, beyond who may ask for what: facts for conditions, tags that are required, and what a
 * request may decide itself.
 */
#include "fleet/config_int.h"

static void set_key_facts(struct catalog *c, struct api_key *k, const struct file_key *f)
{
    k->team = arena_str(c->arena_, f->team.text);
    k->tags = arena_zalloc(c->arena_, f->tag_count * sizeof *k->tags);
    for (size_t i = 0; i < f->tag_count; i++)
        if (f->tags[i].text.n)
            k->tags[k->tag_count++] = arena_str(c->arena_, f->tags[i].text);
    k->metadata = arena_zalloc(c->arena_, f->metadata_count * sizeof *k->metadata);
    k->metadata_count = f->metadata_count;
    for (size_t i = 0; i < f->metadata_count; i++)
        k->metadata[i] = (struct header_field){arena_str(c->arena_, f->metadata[i].name),
                                               arena_str(c->arena_, f->metadata[i].value.text)};
}

void config_build_key_rules(struct config_run *run, struct catalog *c, struct api_key *k, const struct file_key *f)
{
    const struct yaml_node *at = yaml_get(f->node, STR("overrides"));
    bool none = false;

    set_key_facts(c, k, f);
    k->required = config_tag_bits(run, c, f->required, f->required_count);
    k->overrides = f->override_count ? 0 : OVERRIDE_ALL;
    for (size_t i = 0; i < f->override_count; i++) {
        k->overrides |= (unsigned)f->overrides[i];
        none |= f->overrides[i] == 0;
    }
    if (none && f->override_count > 1)
        problems_error(&run->problems, at, "\"none\" stands alone");
}
