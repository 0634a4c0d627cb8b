/*
 * config_admin.c - the section `admin`: where operators ask, and with which keys.
 *
 * What the endpoints tell (names of keys and models, prices, health) is not for clients. So an address that others can reach is refused without keys, and a
 * key of a client is refused as a key of an operator.
 */
#include "fleet/config_int.h"

#include "codec/digest.h"

#define USUAL_LISTEN "127.0.0.1:9901"

static const struct schema_field admin_key_fields[] = {
    SCHEMA_TEXT("name", struct file_admin_key, name, .required = true, .pattern = &config_model_name,
                .doc = "Whose key it is."),
    SCHEMA_TEXT("hash", struct file_admin_key, hash, .required = true, .secret = true, .pattern = &config_key_hash,
                .doc = "`sha256:` and the SHA-256 of the key in hex, as `crossdock key new` prints it."),
    SCHEMA_END};
static const struct schema_object admin_key_object = {.fields = admin_key_fields,
                                                      .size = sizeof(struct file_admin_key)};
static const struct schema_field admin_key_item = SCHEMA_ITEM_OBJECT(&admin_key_object, .doc = "A key of an operator.");

static const struct schema_field admin_fields[] = {
    SCHEMA_TEXT("listen", struct file_admin, listen, .default_doc = "`" USUAL_LISTEN "`, if it is free",
                .doc = "Address of the admin endpoints, or `off`. One that others can reach takes `keys`, and speaks "
                       "TLS if `tls` is configured."),
    SCHEMA_LIST("keys", struct file_admin, keys, key_count, &admin_key_item, .max = "64",
                .doc = "Keys of operators. Without any, a key is made at each start and written to `key_file`."),
    SCHEMA_TEXT("key_file", struct file_admin, key_file,
                .default_doc = "`crossdock-admin-PORT.key` in `$RUNTIME_DIRECTORY`, `$XDG_RUNTIME_DIR` or the home "
                               "directory, whichever is there first, unless there are `keys`",
                .doc = "File for a key that is made at each start, readable by its owner only. `crossdock fleet` and "
                       "`crossdock why` find it in the usual place by themselves."),
    SCHEMA_END};
const struct schema_object config_admin_object = {
    .fields = admin_fields, .size = sizeof(struct file_admin), .shorthand = "listen"};

static void set_listen(struct config_run *run, struct catalog *c)
{
    const struct schema_text *t = &run->file.admin.listen;
    struct listen_config *l = &c->admin.listen;
    bool given = t->text.n > 0;

    c->admin.on = !str_eq(t->text, STR("off"));
    c->admin.is_usual = !given;
    if (!c->admin.on)
        return;
    l->text = given ? arena_str(c->arena_, t->text) : STR(USUAL_LISTEN);
    if (addr_parse(l->text, &l->addr) != OK) {
        problems_error(&run->problems, t->node,
                       "this is no address to listen on: write 127.0.0.1:9901, [::1]:9901, :9901, unix:/path or off");
        return;
    }
    bool any_port = l->addr.u.any.sa_family != AF_UNIX && !addr_port(&l->addr);
    for (size_t i = 0; given && !any_port && i < c->listen_count; i++)
        if (addr_eq(&l->addr, &c->listens[i].addr))
            problems_error(&run->problems, t->node, "clients are served at this address: operators need another one");
    bool is_local = addr_is_loopback(&l->addr);
    l->tls = !is_local && run->file.tls.node;
    if (!is_local && !run->file.admin.key_count)
        problems_error(&run->problems, t->node,
                       "\"%.*s\" is reachable from elsewhere: add \"admin.keys\" (crossdock key new)",
                       STR_ARG(t->text));
}

static void add_key(struct config_run *run, struct catalog *c, const struct file_admin_key *f)
{
    struct admin_key *k = &c->admin.keys[c->admin.key_count];
    const struct api_key *client;

    if (!hex_decode(k->hash, sizeof k->hash, str_slice(f->hash.text, strlen("sha256:"), f->hash.text.n)))
        return; /* reported with the shape */
    client = catalog_find_key(c, k->hash);
    if (client)
        problems_error(&run->problems, f->hash.node,
                       "this is the key of the client \"%.*s\": an operator needs another", STR_ARG(client->name));
    k->name = arena_str(c->arena_, f->name.text);
    c->admin.key_count++;
}

void config_build_admin(struct config_run *run, struct catalog *c)
{
    const struct file_admin *f = &run->file.admin;

    set_listen(run, c);
    c->admin.keys = arena_zalloc(c->arena_, (f->key_count + 1) * sizeof *c->admin.keys);
    for (size_t i = 0; i < f->key_count; i++)
        add_key(run, c, &f->keys[i]);
    if (f->key_file.text.n)
        c->admin.key_file = arena_str(c->arena_, config_resolve_path(run, f->key_file.text));
}
