/*
 * config_tags.c - tags as bits: what deployments have, and what keys, models and rules require.
 *
 * A tag is a word of the operator's ("eu", "zero-retention"). All that a configuration mentions are numbered, so that "has it all that is required"
 * is one operation on two words, for each candidate of each request. 64 is more than people can keep apart.
 */
#include "fleet/config_int.h"

const struct schema_field config_tag_item = SCHEMA_ITEM(TEXT, .pattern = &config_name);

/* The bit of `tag`, new if need be; 0 after a problem was added. */
static uint64_t tag_bit(struct config_run *run, struct catalog *c, struct str tag, const struct yaml_node *at)
{
    uint64_t bit = catalog_tag_bit(c, tag);

    if (bit)
        return bit;
    if (c->tag_count == TAGS_MAX) {
        if (!run->tags_too_many)
            problems_error(&run->problems, at, "there are more than %d different tags", TAGS_MAX);
        run->tags_too_many = true;
        return 0;
    }
    if (!c->tags)
        c->tags = arena_zalloc(c->arena_, TAGS_MAX * sizeof *c->tags);
    struct str *place = &c->tags[c->tag_count++];
    *place = arena_str(c->arena_, tag);
    map_put(&c->tag_by_name, *place, place);
    return catalog_tag_bit(c, tag);
}

uint64_t config_tag_bits(struct config_run *run, struct catalog *c, const struct schema_text *tags, size_t count)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < count; i++)
        if (tags[i].text.n)
            bits |= tag_bit(run, c, tags[i].text, tags[i].node);
    return bits;
}

static uint64_t bits_of(struct config_run *run, struct catalog *c, const struct str *tags, size_t count)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < count; i++)
        bits |= tag_bit(run, c, tags[i], NULL);
    return bits;
}

void config_build_tags(struct config_run *run, struct catalog *c)
{
    for (size_t i = 0; i < c->provider_count; i++)
        c->providers[i].tag_bits = bits_of(run, c, c->providers[i].tags, c->providers[i].tag_count);
    for (size_t i = 0; i < c->deployment_count; i++)
        c->deployments[i].tag_bits = bits_of(run, c, c->deployments[i].tags, c->deployments[i].tag_count);
}
