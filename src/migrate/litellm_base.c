/*
 * litellm_base.c - where a deployment is: LiteLLM's api_base, region, project and location as ours.
 *
 * Both name the part of a URL to which endpoints are appended, but do not agree where it ends: for Anthropic LiteLLM's ends before /v1 and ours
 * behind it, for Azure it is the bare resource, and people also give whole endpoints, which LiteLLM puts up with. A literal address is taken
 * apart and judged here, so that the result is one that `crossdock check` accepts; a variable can only be completed.
 */
#include "codec/url.h"
#include "llm/vendor.h"
#include "migrate/litellm_int.h"

/* Without slashes and endpoints at its end, which ours leaves out. */
static struct str without_endpoint(struct str path)
{
    static const char *const ends[] = {"/chat/completions", "/completions", "/embeddings", "/responses",
                                       "/models",           "/messages",    "/chat",       "/rerank"};

    for (size_t i = 0; i < ARRAY_LEN(ends);) {
        while (path.n && path.p[path.n - 1] == '/')
            path.n--;
        if (str_ends(path, str_from_c(ends[i]))) {
            path.n -= strlen(ends[i]);
            i = 0; /* there may be another in front of it */
        } else {
            i++;
        }
    }
    return path;
}

static struct str suffix_of(enum base_form form)
{
    switch (form) {
    case BASE_V1:
        return STR("/v1");
    case BASE_AZURE:
        return STR("/openai/v1");
    case BASE_DATED:
        return STR("/openai");
    case BASE_FOUNDRY:
        return STR("/anthropic/v1");
    case BASE_AS_IS:
    case BASE_ORIGIN:
    case BASE_BEDROCK:
    case BASE_VERTEX:
        return STR("");
    }
    return STR("");
}

/* The path of ours for a path of LiteLLM's. */
static struct str our_path(struct import *im, enum base_form form, struct str path)
{
    path = without_endpoint(path);
    switch (form) {
    case BASE_AS_IS:
    case BASE_BEDROCK:
    case BASE_VERTEX:
        return path;
    case BASE_ORIGIN:
        return STR("");
    case BASE_V1:
        return str_ends(path, STR("/v1")) ? path : arena_join(im->arena, path, STR("/v1"));
    case BASE_AZURE:
    case BASE_DATED:
        return arena_join(im->arena, str_slice(path, 0, str_find(path, STR("/openai"))), suffix_of(form));
    case BASE_FOUNDRY:
        return arena_join(im->arena, str_slice(path, 0, str_find(path, STR("/anthropic"))), suffix_of(form));
    }
    return path;
}

static const char *why_not(const struct url *u)
{
    if (!str_eq_nocase(u->scheme, STR("https")) && !str_eq_nocase(u->scheme, STR("http")))
        return "the address must begin with https:// or http://";
    if (u->userinfo.p)
        return "the address holds a user or password: give the credential as api_key";
    return NULL;
}

static const char *why_not_text(struct str text, struct url *u)
{
    if (url_parse(text, u))
        return "it is not a URL";
    return str_find(text, STR("${")) < text.n ? "\"${\" cannot be part of an address" : why_not(u);
}

/* A literal address. */
static struct str from_literal(struct import *im, enum base_form form, const struct yaml_node *at, bool *ret_ok)
{
    struct url u;
    const char *why = why_not_text(at->text, &u);

    if (why) {
        litellm_lost(im, at, "the deployment with this api_base", why);
        *ret_ok = false;
        return STR_NONE;
    }
    if (u.query.p || u.fragment.p)
        litellm_lost(im, at, "what is behind the path of api_base", "a base_url ends with its path");
    struct str origin = str_slice(at->text, 0, (size_t)(u.path.p - at->text.p));
    return arena_join(im->arena, origin, our_path(im, form, u.path));
}

static struct str from_variable(struct import *im, enum base_form form, const struct yaml_node *at, struct str text)
{
    struct str suffix = suffix_of(form);

    if (suffix.n)
        problems_warn(im->problems, at,
                      "api_base: the variable must hold an address without a path and without a slash at its end; "
                      "\"%s\" is appended to it",
                      suffix.p);
    return arena_join(im->arena, text, suffix);
}

/* --- regions and projects, of which our configuration makes an address --- */

/* The text of a parameter that becomes a part of an address, of small letters, digits and the bytes of `also`; `fallback` if it is not
 * given, or is not of these. */
static struct str address_part(struct import *im, const struct yaml_node *at, const char *what, const char *also,
                               struct str fallback)
{
    struct str text = litellm_text(im, at, what);

    if (!text.n)
        return fallback;
    for (size_t i = 0; i < text.n && !litellm_is_variable(at); i++) {
        char c = text.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (!c || !strchr(also, c))) {
            litellm_lost(im, at, what, "it cannot be part of an address");
            return fallback;
        }
    }
    return text;
}

static void set_region(struct import *im, const struct yaml_node *params, struct str from_model,
                       struct made_provider *p)
{
    p->region = address_part(im, yaml_get(params, STR("aws_region_name")), "litellm_params.aws_region_name", "-",
                             from_model.n ? from_model : STR("${AWS_REGION}"));
}

static void set_project(struct import *im, const struct yaml_node *params, struct made_provider *p)
{
    p->region = address_part(im, yaml_get(params, STR("vertex_location")), "litellm_params.vertex_location", "-",
                             STR("${VERTEXAI_LOCATION}"));
    p->project = address_part(im, yaml_get(params, STR("vertex_project")), "litellm_params.vertex_project",
                              "-.:", STR("${VERTEXAI_PROJECT}"));
}

/* Without an api_base; false if there must be one. */
static bool set_standard(struct import *im, const struct litellm_vendor *v, const struct yaml_node *params,
                         struct made_provider *p)
{
    const struct vendor *ours = vendor_find(p->dialect);

    if (v->base_url)
        p->base_url = str_from_c(v->base_url);
    else if (v->base_env)
        p->base_url = from_variable(im, v->form, params, arena_printf(im->arena, "${%s}", v->base_env));
    if (p->base_url.n || p->region.n || (ours && ours->base_url))
        return true;
    litellm_lost(im, params, "the deployment", "it has no api_base, and there is no usual address");
    return false;
}

bool litellm_set_place(struct import *im, const struct litellm_vendor *v, const struct yaml_node *api_base,
                       const struct yaml_node *params, struct str region, struct made_provider *p)
{
    bool ok = true;

    if (v->form == BASE_BEDROCK)
        set_region(im, params, region, p);
    if (v->form == BASE_VERTEX)
        set_project(im, params, p);
    if (!api_base || yaml_is_null(api_base))
        return set_standard(im, v, params, p);
    struct str text = litellm_text(im, api_base, "the deployment with this api_base");
    if (!text.p)
        return false;
    if (litellm_is_variable(api_base))
        p->base_url = from_variable(im, v->form, api_base, text);
    else
        p->base_url = from_literal(im, v->form, api_base, &ok);
    return ok;
}
