/*
 * config_facts.c - the section `facts`: what is kept of requests for who explains and accounts, and for how long.
 */
#include "fleet/config_int.h"

static const struct schema_field facts_fields[] = {
    SCHEMA_SIZE("recent", struct file_facts, recent, .default_text = "16MiB", .max = "4GiB",
                .doc = "Memory for the facts of the latest requests, which `crossdock why` explains; all workers "
                       "together. A request takes about 1 KiB. `0`: none are kept."),
    SCHEMA_TEXT("dir", struct file_facts, dir, .default_doc = "none: memory only",
                .doc = "Folder for a log of facts on disk, a record for each request, attempt, decision and message of "
                       "a pipeline, without bodies: what `crossdock facts` reads. Made if it is missing, but not its "
                       "parent. One process "
                       "at a time may write to it."),
    SCHEMA_SIZE("size", struct file_facts, size, .default_text = "1GiB", .min = "8MiB", .max = "16TiB",
                .doc = "Most bytes of that log; the oldest go first."),
    SCHEMA_DURATION("age", struct file_facts, age, .default_text = "30d", .min = "1h", .max = "36500d", .never = true,
                    .doc = "Facts older than this go, too."),
    SCHEMA_END};
const struct schema_object config_facts_object = {
    .fields = facts_fields, .size = sizeof(struct file_facts), .shorthand = "dir"};

void config_build_facts(struct config_run *run, struct catalog *c)
{
    const struct file_facts *f = &run->file.facts;

    c->explain_headers = run->file.explain_headers;
    c->facts.recent = f->recent;
    c->facts.size = f->size;
    c->facts.age = f->age;
    if (f->dir.text.n)
        c->facts.dir = arena_str(c->arena_, config_resolve_path(run, f->dir.text));
}
