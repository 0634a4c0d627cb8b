/*
 * config_registry.c - the section `registry`: a schema registry that the process serves beside the gateway.
 *
 * Whoever may write there decides what goes through pipelines and topics. So an address that others can reach takes a name and a password.
 */
#include "fleet/config_int.h"

#define USUAL_LISTEN "127.0.0.1:8081"

static const struct schema_field registry_fields[] = {
    SCHEMA_TEXT("path", struct file_registry, path, .required = true,
                .doc = "File with the schemas (SQLite). Made if it is missing, but not its folder. One process at a "
                       "time may use it."),
    SCHEMA_TEXT("listen", struct file_registry, listen, .default_text = USUAL_LISTEN,
                .doc = "Address of its REST API, which is that of Confluent's Schema Registry. One that others can "
                       "reach takes `user` and `password`, and speaks TLS if `tls` is configured."),
    SCHEMA_TEXT("user", struct file_registry, user, .default_doc = "anybody who reaches it",
                .doc = "Who may ask (HTTP Basic)."),
    SCHEMA_TEXT("password", struct file_registry, password, .secret = true, .doc = "With which password."), SCHEMA_END};
const struct schema_object config_registry_object = {.fields = registry_fields,
                                                     .size = sizeof(struct file_registry),
                                                     .shorthand = "path",
                                                     .node_offset = SCHEMA_NODE_AT(struct file_registry, node)};

static void set_listen(struct config_run *run, struct catalog *c, const struct file_registry *f)
{
    struct listen_config *l = &c->registry.listen;
    const struct yaml_node *at = f->listen.node ? f->listen.node : f->node;

    l->text = arena_str(c->arena_, f->listen.text);
    if (addr_parse(l->text, &l->addr) != OK) {
        problems_error(&run->problems, at,
                       "this is no address to listen on: write 127.0.0.1:8081, [::1]:8081, :8081 "
                       "or unix:/path");
        return;
    }
    bool any_port = l->addr.u.any.sa_family != AF_UNIX && !addr_port(&l->addr);
    for (size_t i = 0; !any_port && i < c->listen_count; i++)
        if (addr_eq(&l->addr, &c->listens[i].addr))
            problems_error(&run->problems, at, "clients are served at this address: the registry needs another one");
    bool is_local = addr_is_loopback(&l->addr);
    l->tls = !is_local && run->file.tls.node;
    if (!is_local && !f->user.text.n)
        problems_error(&run->problems, at, "\"%.*s\" is reachable from elsewhere: add \"user\" and \"password\"",
                       STR_ARG(f->listen.text));
}

void config_build_registry(struct config_run *run, struct catalog *c)
{
    const struct file_registry *f = &run->file.registry;

    if (!f->path.text.n)
        return;
    c->registry.path = arena_str(c->arena_, config_resolve_path(run, f->path.text));
    c->registry.user = arena_str(c->arena_, f->user.text);
    if (f->password.text.n)
        c->registry.password = secret_make(config_read_secret(run, &f->password, false));
    if (!f->user.text.n != !f->password.text.n)
        problems_error(&run->problems, f->node, "\"user\" and \"password\" go together");
    set_listen(run, c, f);
}
