/* config_journal.c - the section `journal`: where pipelines keep what they must not forget. */
#include "fleet/config_int.h"
#include "store/journal.h"

#include <string.h>

static const struct schema_field journal_fields[] = {
    SCHEMA_TEXT("path", struct file_journal, path, .default_doc = "none: memory only, which ends with the process",
                .doc = "File of the journal (SQLite) that pipelines have in common: made if it is missing, but not its "
                       "folder; one process at a time may use it. Or a PostgreSQL database, "
                       "`postgres://user:password@host/database`, which several processes may use: they divide the "
                       "pipelines' shards among them."),
    SCHEMA_TEXT("username", struct file_journal, username, .default_doc = "as `path` says",
                .doc = "Of a database: whom to log in as."),
    SCHEMA_TEXT("password", struct file_journal, password, .secret = true, .default_doc = "as `path` says",
                .doc = "Likewise: its secret, `\"${PASSWORD}\"` or `\"file:/run/secrets/journal\"`."),
    SCHEMA_TEXT("ca", struct file_journal, ca, .default_doc = "the system's",
                .doc = "Likewise: certificates that the server's is checked against; path of a PEM file."),
    SCHEMA_TEXT("cert", struct file_journal, cert,
                .doc = "Likewise: our own certificate, if it wants one; path of a PEM file."),
    SCHEMA_TEXT("key", struct file_journal, key, .doc = "Likewise: path of its private key."),
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

/* With or without "file:" in front, as certificates of connections are named. Empty: none. */
static struct str read_path(struct config_run *run, struct catalog *c, const struct schema_text *t)
{
    struct str path = t->text;

    if (str_starts(path, STR("file:")))
        path = str_slice(path, strlen("file:"), path.n);
    return path.n ? arena_str(c->arena_, config_resolve_path(run, path)) : STR_NONE;
}

static void build_database(struct config_run *run, struct catalog *c)
{
    const struct file_journal *f = &run->file.journal;

    c->journal.path = arena_str(c->arena_, f->path.text);
    c->journal.username = arena_str(c->arena_, f->username.text);
    if (f->password.text.n)
        c->journal.password = secret_make(config_read_secret(run, &f->password, false));
    c->journal.ca = read_path(run, c, &f->ca);
    c->journal.cert = read_path(run, c, &f->cert);
    c->journal.key = read_path(run, c, &f->key);
    if (!f->cert.text.n != !f->key.text.n)
        problems_error(&run->problems, f->cert.text.n ? f->cert.node : f->key.node, "\"cert\" and \"key\" go together");
}

static void refuse_login(struct config_run *run)
{
    const struct file_journal *f = &run->file.journal;
    const struct schema_text *const all[] = {&f->username, &f->password, &f->ca, &f->cert, &f->key};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->text.n)
            problems_error(&run->problems, all[i]->node,
                           "this is for a journal in a database: \"path\" is postgres://host/database then");
}

void config_build_journal(struct config_run *run, struct catalog *c)
{
    const struct file_journal *f = &run->file.journal;

    c->journal.traces = f->traces;
    c->journal.age = f->age;
    c->journal.lease = f->lease;
    if (journal_is_database(f->path.text)) {
        build_database(run, c);
        return;
    }
    refuse_login(run);
    if (f->path.text.n)
        c->journal.path = arena_str(c->arena_, config_resolve_path(run, f->path.text));
}
