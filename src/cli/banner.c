/* banner.c - what a person sees at start: address, models, a first request to copy. */
#include <stdio.h>

#include "cli/server.h"
#include "version.h"

enum { MODELS_SHOWN = 12 };

static void print_addresses(const struct server *s)
{
    for (size_t i = 0; i < s->listen_count; i++) {
        char text[ADDR_TEXT_MAX];
        addr_format(&s->listens[i], text);
        (void)fprintf(stderr, "  listening   %s://%s\n", s->listen_tls[i] ? "https" : "http", text);
    }
}

static bool is_simulated(const struct model *m)
{
    for (size_t i = 0; i < m->target_count; i++)
        if (!m->targets[i].deployment->provider->simulated || m->targets[i].deployment->provider->pipelines)
            return false;
    return true;
}

static void print_models(const struct catalog *c, const char *dim, const char *plain)
{
    (void)fputs(c->provider_count ? "  models     " : "  models      none", stderr);
    for (size_t i = 0; i < c->model_count && i < MODELS_SHOWN; i++)
        (void)fprintf(stderr, " %.*s%s%s%s", STR_ARG(c->models[i].name), dim,
                      is_simulated(&c->models[i]) ? " (simulated)" : "", plain);
    if (c->model_count > MODELS_SHOWN)
        (void)fprintf(stderr, " and %zu more", c->model_count - MODELS_SHOWN);
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].serves_all)
            (void)fprintf(stderr, " %.*s/*", STR_ARG(c->providers[i].name));
    (void)fputs("\n", stderr);
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].simulated && !c->providers[i].pipelines)
            (void)fprintf(stderr,
                          "  note        provider '%.*s' is SIMULATED: its answers are made up, no model is asked\n",
                          STR_ARG(c->providers[i].name));
}

static void print_curl(const struct server *s, const struct catalog *c)
{
    char text[ADDR_TEXT_MAX];
    const char *key = c->key_count ? " -H 'authorization: Bearer YOUR_KEY'" : "";

    if (!s->listen_count || !c->model_count)
        return;
    addr_format(&s->listens[0], text);
    (void)fprintf(stderr,
                  "  try         curl %s://%s/v1/chat/completions%s -H 'content-type: application/json' -d "
                  "'{\"model\":\"%.*s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n\n",
                  s->listen_tls[0] ? "https" : "http", text, key, STR_ARG(c->models[0].name));
}

void banner_print(const struct server *s)
{
    const struct catalog *c = s->first->catalog;
    const char *bold = s->banner_colour ? "\033[1m" : "", *dim = s->banner_colour ? "\033[2m" : "";
    const char *plain = s->banner_colour ? "\033[0m" : "";

    (void)fprintf(stderr, "\n%scrossdock%s %s\n\n", bold, plain, CROSSDOCK_VERSION);
    print_addresses(s);
    print_models(c, dim, plain);
    (void)fprintf(stderr, "  keys        %s\n",
                  c->key_count ? "required" : "none: anyone who reaches this address is served");
    print_curl(s, c);
}
