/*
 * litellm_int.h - what the parts of the import share: what was understood of a LiteLLM configuration, in our terms.
 *
 * litellm_models.c fills providers and models from model_list; litellm_settings.c the rest from the settings; litellm_write.c prints.
 * Everything lives in the arena of the import.
 */
#ifndef MIGRATE_LITELLM_INT_H
#define MIGRATE_LITELLM_INT_H

#include "base/map.h"
#include "base/time.h"
#include "migrate/litellm.h"

/* How LiteLLM's api_base becomes our base_url. */
enum base_form {
    BASE_AS_IS,   /* both end before the endpoint                                            */
    BASE_V1,      /* LiteLLM's is the origin, ours ends in /v1                               */
    BASE_ORIGIN,  /* ours is the origin                                                      */
    BASE_AZURE,   /* the resource; ours ends in /openai/v1                                   */
    BASE_DATED,   /* the resource; ours ends in /openai                                      */
    BASE_FOUNDRY, /* the resource; ours ends in /anthropic/v1                                */
    BASE_BEDROCK, /* as is; without one ours is made from the region                         */
    BASE_VERTEX,  /* as is; without one ours is made from project and region                 */
};

/* A provider of LiteLLM's, as the first part of "provider/model" names it. */
struct litellm_vendor {
    const char *prefix;
    const char *dialect;  /* ours; NULL: there is none                                         */
    const char *base_url; /* where it is, if our dialect does not know; NULL: as it does       */
    const char *key_env;  /* variable that LiteLLM takes the key from if the file has none; NULL: none         */
    const char *base_env; /* and the address, where it needs one                                               */
    enum base_form form;
};

/* NULL if there is none of that name. */
const struct litellm_vendor *litellm_vendor_find(struct str prefix);
/* The one that LiteLLM takes for a model that is given without a provider; NULL: none. */
const struct litellm_vendor *litellm_vendor_guess(struct str model);
/* What to say to an unknown name: ", did you mean ..." or "". In the arena. */
const char *litellm_vendor_nearest(struct arena *a, struct str prefix);

/* A header, or a field of `auth`. Texts of our configuration have variables written our way; p == NULL: not given. */
struct made_pair {
    struct str name, value;
    struct made_pair *next;
};

struct made_provider {
    struct str name;
    struct str dialect, base_url, region, project, api_version, api_key, ca;
    struct made_pair *headers, *last_header;
    const char *auth_type;  /* if there is any of the next */
    struct made_pair *auth; /* its fields                  */
    unsigned namesakes;     /* further ones that differ from it by a number */
    bool insecure;
    bool serves_all;
    struct made_provider *next;
};

struct made_target {
    const struct made_provider *provider;
    struct str model;
    struct str deployment;      /* "provider/model" */
    double share, rpm, tpm;     /* as given; < 0: not */
    double copies;              /* entries that are the same deployment */
    double order;               /* lower ones first; default 0 */
    uint64_t weight;            /* 0: a fallback */
    const struct yaml_node *at; /* the entry of model_list */
    struct made_target *next;
};

struct made_name {
    struct str text;
    struct made_name *next;
};

/* LiteLLM's lists of fallbacks: for anything, for contexts that are too long, for refusals of filters. */
enum made_cause { MADE_ANY, MADE_CONTEXT_LENGTH, MADE_CONTENT_FILTER, MADE_CAUSES };

struct made_fallbacks {
    struct made_name *first, **last; /* deployments */
    size_t count;
    bool is_own; /* the model's own list was given, so one for all models is not for it */
};

struct made_model {
    struct str name;
    struct made_target *targets, **last_target;
    struct made_fallbacks fallbacks[MADE_CAUSES];
    const struct made_model *alias_of; /* NULL: of none */
    ns_t timeout;                      /* the longest of its deployments; 0: none is given */
    const struct yaml_node *timeout_at;
    struct made_model *next;
};

struct import {
    struct arena *arena;
    struct problems *problems;
    struct str file;
    const struct yaml_node *root;
    struct made_provider *providers, **last_provider;
    struct map provider_by_identity, provider_by_name;
    struct made_model *models, **last_model;
    struct map model_by_name;
    ns_t timeout;         /* of all; 0: LiteLLM's default, which ours covers */
    const char *strategy; /* ours, of all models; NULL: the usual one */
    unsigned attempts;    /* at the targets of a model; 0: the usual number */
    struct str key_hash;  /* of the master key, in hex; empty: none */
};

/* --- litellm.c: reading values --- */

/* A key or value as messages show it: at most 60 bytes, controls and quotes escaped. */
const char *litellm_shown(struct import *im, struct str text);
/* Say that `what` is not carried over. */
void litellm_lost(struct import *im, const struct yaml_node *at, const char *what, const char *remedy);
/* `text` with every "${" written so that it means itself. */
struct str litellm_escaped(struct import *im, struct str text);
/* The text of a scalar as our configuration writes it: "os.environ/NAME" is "${NAME}", and what would be taken for a variable is escaped.
 * STR_NONE without a value, or (after it was reported as `what`) if there is no way to write it. */
struct str litellm_text(struct import *im, const struct yaml_node *n, const char *what);
/* Is it "os.environ/...", and so unknown until the program runs? */
bool litellm_is_variable(const struct yaml_node *n);
/* A number, 0 or more; false without a value, or (reported as `what`) if it is none. */
bool litellm_number(struct import *im, const struct yaml_node *n, const char *what, double *ret);
/* A span of time in seconds, from 1 ms on; likewise. NS_NEVER past 24 h, the longest that ours may be. */
bool litellm_seconds(struct import *im, const struct yaml_node *n, const char *what, ns_t *ret);

/* --- litellm_base.c --- */

/*
 * Set where a deployment is: base_url, region and project of *p, whose dialect is set. `api_base`: its node or NULL; `params`: for the rest;
 * `region`: from the model's name, or empty. False, after it was reported, if it cannot be had.
 */
bool litellm_set_place(struct import *im, const struct litellm_vendor *v, const struct yaml_node *api_base,
                       const struct yaml_node *params, struct str region, struct made_provider *p);

/* --- litellm_auth.c --- */

/* Set auth of *p, whose dialect is set, from a deployment's parameters; what cannot be carried over is reported. */
void litellm_set_auth(struct import *im, const struct yaml_node *params, struct made_provider *p);

/* --- litellm_models.c, litellm_settings.c, litellm_write.c --- */

/* A text that is secret; said if it is in clear. STR_NONE without a value, or (reported as `what`) if it cannot be carried over. */
struct str litellm_secret(struct import *im, const struct yaml_node *n, const char *what);

void litellm_read_models(struct import *im, const struct yaml_node *model_list);
/* The model of that name, made if need be. */
struct made_model *litellm_model(struct import *im, struct str name);
/* Can a model be called so here? */
bool litellm_is_model_name(struct str name);
/* After the models. */
void litellm_read_settings(struct import *im);
/* Report the keys of the deployment's parameters and its model_info that have no counterpart. */
void litellm_lost_params(struct import *im, const struct yaml_node *params);
void litellm_lost_info(struct import *im, const struct yaml_node *info);
void litellm_write(const struct import *im, struct buf *to);

#endif
