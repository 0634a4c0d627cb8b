/* config_journal.c - the section `journal`: where pipelines keep what they must not forget. */
#include "fleet/config_int.h"
#include "store/journal.h"

static const struct schema_field journal_fields[] = {
    SCHEMA_TEXT("path", struct file_journal, path, .default_doc = "none: memory only, which ends with the process",
                .doc = "File of the journal (SQLite) that pipelines have in common: made if it is missing, but not its "
                       "folder; one process at a time may use it. Or a PostgreSQL database, "
                       "`postgres://user:password@host/database`, which several processes may use: they divide the "
                       "pipelines' shards among them."),
    SCHEMA_DURATION("lease", struct file_journal, lease, .default_text = "10s", .min = "1s", .max = "10m",
                    .doc = "Of a database: so long a process may be silent before others take over what it works on."),
    SCHEMA_UNSIGNED("traces", struct file_journal, traces, .default_text = "100000", .max = "100000000",
                    .doc = "So many messages that are done with are remembered: what `crossdock pipeline trace` tells, "
                           "and by what a message that comes again is known."),
    SCHEMA_DURATION("age", struct file_journal, age, .default_text = "14d", .min = "1h", .max = "3650d", .never = true,
                    .doc = "So long they are, and dead letters."),
    SCHEMA_END};
const struct schema_object config_journal_object = {
    .fields = journal_fields, .size = sizeof(struct file_journal), .shorthand = "path"};

void config_build_journal(struct config_run *run, struct catalog *c)
{
    const struct file_journal *f = &run->file.journal;

    c->journal.traces = f->traces;
    c->journal.age = f->age;
    c->journal.lease = f->lease;
    if (journal_is_database(f->path.text))
        c->journal.path = arena_str(c->arena_, f->path.text);
    else if (f->path.text.n)
        c->journal.path = arena_str(c->arena_, config_resolve_path(run, f->path.text));
}
