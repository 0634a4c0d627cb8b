/*
 * config_tags.c - tags as bits: what deployments have, and what keys, models and rules require.
 *
 * A tag is a word of the operator's ("eu", "zero-retention"). All that a configuration mentions are numbered, so that "has it all that is required"
 * is one operation on two words, for each candidate of each request. 64 is more than people can keep apart.
 */
#include "fleet/config_int.h"

enum { TAG_BYTES_MAX = 64 };

static bool is_tag(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == ',')
            return false;
    return s.n > 0 && s.n <= TAG_BYTES_MAX;
}

static const struct schema_pattern tag_pattern = {"^[!-+--~]{1,64}$", is_tag,
                                                  "a word of 1 to 64 ASCII characters without blanks and commas"};
const struct schema_field config_tag_item = SCHEMA_ITEM(TEXT, .pattern = &tag_pattern);

/* The bit of `tag`, new if need be; 0 after a problem was added. */
static uint64_t tag_bit(struct config_run *run, struct catalog *c, struct str tag, const struct yaml_node *at)
{
    uint64_t bit = catalog_tag_bit(c, tag);

    if (bit)
        return bit;
    if (c->tag_count == TAGS_MAX) {
        problems_error(&run->problems, at, "there are more than %d different tags", TAGS_MAX);
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

void config_build_tags(struct config_run *run, struct catalog *c)
{
    size_t before = run->problems.errors;

    for (size_t i = 0; i < c->deployment_count && run->problems.errors == before; i++)
        for (size_t k = 0; k < c->deployments[i].tag_count; k++)
            c->deployments[i].tag_bits |= tag_bit(run, c, c->deployments[i].tags[k], NULL);
}
