/*
 * litellm_test.c - LiteLLM's configurations as ours. Whatever goes in: a result passes the check of configurations, no secret is in a
 * message, and nothing is lost without a word.
 */
#include "migrate/litellm.h"

#include "base/mem.h"
#include "base/prng.h"
#include "fleet/config.h"
#include "gateway/snapshot.h"
#include "unit/test.h"

#include <stdio.h>

/* --- a run --- */

struct imported {
    struct arena arena;
    struct problems problems;
    struct buf result, report, check;
    struct catalog *catalog; /* of the result */
    err_t err;
};

static void imported_release(struct imported *i)
{
    catalog_unref(i->catalog);
    buf_release(&i->result);
    buf_release(&i->report);
    buf_release(&i->check);
    arena_release(&i->arena);
}

/* Every variable is set. */
static const char *full_getenv(const char *name)
{
    if (strstr(name, "BASE"))
        return "https://host.test";
    return strstr(name, "REGION") || strstr(name, "LOCATION") ? "mars-east-1" : "value";
}

static err_t no_file(const char *path, size_t max, struct buf *ret)
{
    (void)max;
    (void)ret;
    return fail(E_NOT_FOUND, "%s: no such file", path);
}

static void check_result(struct imported *i)
{
    static const struct config_env env = {.getenv = full_getenv, .read_file = no_file};
    struct problems problems = {.arena = &i->arena};
    struct snapshot *snapshot = NULL;

    err_t e = config_load("-", buf_str(&i->result), &env, &problems, &i->catalog);
    problems_print(&problems, &i->check);
    CHECK_MSG(e == OK, "%.*s\n%.*s", STR_ARG(buf_str(&i->check)), STR_ARG(buf_str(&i->result)));
    CHECK_OK(snapshot_make(catalog_ref(i->catalog), NULL, &snapshot)); /* takes the reference */
    snapshot_unref(snapshot);
}

static void import(struct imported *i, struct str text)
{
    *i = (struct imported){.arena = {.max = SIZE_MAX},
                           .result = BUF_INIT(64 << 20),
                           .report = BUF_INIT(64 << 20),
                           .check = BUF_INIT(64 << 20)};
    i->problems.arena = &i->arena;
    i->err = litellm_import(text, STR("l.yaml"), &i->arena, &i->problems, &i->result);
    problems_print(&i->problems, &i->report);
    if (i->err == OK)
        check_result(i);
}

#define IMPORTED(var, text)                                                                                            \
    struct imported var CLEANUP(imported_release);                                                                     \
    import(&var, str_from_c(text));                                                                                    \
    if (test_failed())                                                                                                 \
        return;                                                                                                        \
    CHECK_MSG(var.err == OK, "%.*s", STR_ARG(buf_str(&var.report)))

static bool says(const struct imported *i, const char *part)
{
    struct str report = buf_str(&i->report);
    return str_find(report, str_from_c(part)) < report.n;
}

static bool holds(const struct imported *i, const char *part)
{
    struct str result = buf_str(&i->result);
    return str_find(result, str_from_c(part)) < result.n;
}

static void add_list(struct buf *b, const struct model *m, enum fallback which, const char *name)
{
    for (size_t k = 0; m && k < m->fallbacks[which].count; k++)
        (void)buf_addf(b, "%s%s%.*s", k ? ", " : " | ", k ? "" : name,
                       STR_ARG(m->fallbacks[which].items[k].deployment->name));
}

/* "provider/model*weight, ... | fallback, ... | context: ... | filter: ..." of a model. */
static struct str route_of(struct imported *i, const char *name)
{
    const struct model *m = catalog_find_model(i->catalog, str_from_c(name));
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (size_t k = 0; m && k < m->target_count; k++)
        (void)buf_addf(&b, "%s%.*s*%u", k ? ", " : "", STR_ARG(m->targets[k].deployment->name), m->targets[k].weight);
    add_list(&b, m, FALLBACK_ANY, "");
    add_list(&b, m, FALLBACK_CONTEXT_LENGTH, "context: ");
    add_list(&b, m, FALLBACK_CONTENT_FILTER, "filter: ");
    return arena_str(&i->arena, buf_str(&b));
}

#define CHECK_ROUTE(i, name, want) CHECK_STR(route_of(&(i), name), want)
#define CHECK_SAYS(i, part) CHECK_MSG(says(&(i), part), "not said: %s, but:\n%.*s", part, STR_ARG(buf_str(&(i).report)))
#define CHECK_HOLDS(i, part) CHECK_MSG(holds(&(i), part), "no %s in\n%.*s", part, STR_ARG(buf_str(&(i).result)))

/* One deployment, its parameters in flow style behind "model". */
#define ONE(params) "model_list: [{model_name: m, litellm_params: {" params "}}]\n"

/* --- deployments and models --- */

TEST(litellm_the_smallest_file_becomes_one_provider_and_one_model)
{
    IMPORTED(i, "model_list:\n"
                "  - model_name: gpt-4o\n"
                "    litellm_params:\n"
                "      model: openai/gpt-4o\n"
                "      api_key: os.environ/OPENAI_API_KEY\n");
    CHECK_STR(buf_str(&i.report), "");
    CHECK_STR(buf_str(&i.result), "# Made from a LiteLLM configuration, l.yaml.\n"
                                  "\n"
                                  "# LiteLLM's port. It listens on all addresses; to do so too, write \":4000\".\n"
                                  "listen: 127.0.0.1:4000\n"
                                  "\n"
                                  "providers:\n"
                                  "  openai:\n"
                                  "    dialect: \"openai\"\n"
                                  "    api_key: \"${OPENAI_API_KEY}\"\n"
                                  "\n"
                                  "models:\n"
                                  "  \"gpt-4o\":\n"
                                  "    targets:\n"
                                  "      - {deployment: \"openai/gpt-4o\"}\n");
}

TEST(litellm_deployments_of_one_name_share_the_requests_by_their_rates)
{
    IMPORTED(
        i,
        "model_list:\n"
        "  - {model_name: z, litellm_params: {model: openai/a, api_base: \"http://h.test:8001/v1\", rpm: 60, tpm: 5}}\n"
        "  - {model_name: z, litellm_params: {model: openai/a, api_base: \"http://h.test:8002/v1\", rpm: 600}}\n"
        "  - {model_name: z, litellm_params: {model: openai/a, api_base: \"http://h.test:8003/v1\", rpm: 60000}}\n");
    CHECK_ROUTE(i, "z",
                "h-8001/a*1, h-8002/a*10, h-8003/a*1000 | "
                "h-8001/a, h-8002/a, h-8003/a");
    CHECK_SAYS(i, "l.yaml:2:90: warning: litellm_params.rpm is not carried over: it is used for the shares");
    CHECK_SAYS(i, "litellm_params.tpm");
}

TEST(litellm_weights_come_before_rates_and_may_be_fractions)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: m, litellm_params: {model: openai/a, weight: 0.7, rpm: 1}}\n"
                "  - {model_name: m, litellm_params: {model: openai/b, weight: 0.3, rpm: 9}}\n"
                "  - {model_name: m, litellm_params: {model: openai/c, rpm: 9}}\n"
                "  - {model_name: t, litellm_params: {model: openai/a, tpm: 200000000}}\n"
                "  - {model_name: t, litellm_params: {model: openai/b, tpm: 100000000}}\n"
                "  - {model_name: n, litellm_params: {model: openai/a, weight: 0}}\n"
                "  - {model_name: n, litellm_params: {model: openai/b, weight: 0}}\n"
                "  - {model_name: h, litellm_params: {model: openai/a, weight: 1e300}}\n"
                "  - {model_name: h, litellm_params: {model: openai/b, weight: 1}}\n");
    CHECK_ROUTE(i, "m", "openai/a*7, openai/b*3 | openai/a, openai/b, openai/c");
    CHECK_ROUTE(i, "t", "openai/a*2, openai/b*1 | openai/a, openai/b");
    CHECK_ROUTE(i, "n", "openai/a*1, openai/b*1 | openai/a, openai/b");
    CHECK_ROUTE(i, "h", "openai/a*1000000, openai/b*1 | openai/a, openai/b");
}

TEST(litellm_a_higher_order_is_a_fallback)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: m, litellm_params: {model: openai/third, order: 3}}\n"
                "  - {model_name: m, litellm_params: {model: openai/first, order: 1}}\n"
                "  - {model_name: m, litellm_params: {model: openai/fourth, order: 4}}\n"
                "  - {model_name: m, litellm_params: {model: openai/second, order: 2}}\n"
                "  - {model_name: m, litellm_params: {model: openai/other, order: 2}}\n");
    CHECK_ROUTE(i, "m", "openai/first*1 | openai/second, openai/other, openai/third, openai/fourth");
}

TEST(litellm_the_same_deployment_twice_is_one_with_both_shares)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: m, litellm_params: {model: openai/a, weight: 1}}\n"
                "  - {model_name: m, litellm_params: {model: openai/b, weight: 3}}\n"
                "  - {model_name: m, litellm_params: {model: gpt-4o}}\n"
                "  - {model_name: m, litellm_params: {model: openai/a, weight: 2}}\n"
                "  - {model_name: n, litellm_params: {model: openai/a}}\n"
                "  - {model_name: n, litellm_params: {model: openai/a}}\n"
                "  - {model_name: n, litellm_params: {model: openai/b}}\n");
    CHECK_ROUTE(i, "m", "openai/a*1, openai/b*1 | openai/a, openai/b, openai/gpt-4o");
    CHECK_ROUTE(i, "n", "openai/a*2, openai/b*1 | openai/a, openai/b");
}

TEST(litellm_providers_are_told_apart_by_what_differs)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: a, litellm_params: {model: openai/x, api_key: os.environ/OPENAI_API_KEY}}\n"
                "  - {model_name: b, litellm_params: {model: openai/y}}\n"
                "  - {model_name: c, litellm_params: {model: openai/z, api_key: os.environ/OPENAI_API_KEY_EU}}\n"
                "  - {model_name: d, litellm_params: {model: openai/z, organization: org-1}}\n"
                "  - {model_name: e, litellm_params: {model: openai/z, organization: org-2}}\n"
                "  - {model_name: f, litellm_params: {model: openai/z, extra_headers: {x-a: b}}}\n"
                "  - {model_name: g, litellm_params: {model: openai/z, ssl_verify: false}}\n"
                "  - {model_name: h, litellm_params: {model: openai/z, ssl_verify: true}}\n");
    CHECK_EQ(i.catalog->provider_count, 6);
    CHECK_ROUTE(i, "a", "openai/x*1");
    CHECK_ROUTE(i, "b", "openai/y*1");
    CHECK_ROUTE(i, "c", "openai-eu/z*1");
    CHECK_ROUTE(i, "d", "openai-2/z*1");
    CHECK_ROUTE(i, "e", "openai-3/z*1");
    CHECK_ROUTE(i, "f", "openai-4/z*1");
    CHECK_ROUTE(i, "g", "openai-5/z*1");
    CHECK_ROUTE(i, "h", "openai/z*1");
    CHECK_SAYS(i, "ssl_verify: false is carried over");
}

TEST(litellm_credentials_may_be_shared_by_name)
{
    IMPORTED(
        i,
        "credential_list:\n"
        "  - {credential_name: c, credential_values: {api_key: os.environ/K, api_base: "
        "\"https://r.openai.azure.com\"},\n"
        "     credential_info: {}}\n"
        "model_list:\n"
        "  - {model_name: a, litellm_params: {model: azure/x, litellm_credential_name: c}}\n"
        "  - {model_name: b, litellm_params: {model: azure/y, litellm_credential_name: c, api_key: os.environ/OWN}}\n"
        "  - {model_name: d, litellm_params: {model: openai/y, litellm_credential_name: none}}\n");
    CHECK_HOLDS(i, "  azure:\n    dialect: \"azure\"\n    base_url: \"https://r.openai.azure.com/openai/v1\"\n"
                   "    api_key: \"${K}\"\n");
    CHECK_HOLDS(i, "    api_key: \"${OWN}\"\n");
    CHECK_SAYS(i, "credential_list has none of that name");
}

/* --- vendors and addresses --- */

/* "https://host/path", "region x, project y": where the only provider of the result is, as it is written. */
static struct str place_of(struct imported *i)
{
    static const char *const fields[][2] = {{"    base_url: \"", ""},
                                            {"    region: \"", "region "},
                                            {"    project: \"", "project "},
                                            {"    api_version: \"", "version "}};
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct str result = buf_str(&i->result);

    for (size_t k = 0; k < ARRAY_LEN(fields); k++) {
        size_t at = str_find(result, str_from_c(fields[k][0]));
        if (at == result.n)
            continue;
        struct str value = str_slice(result, at + strlen(fields[k][0]), result.n);
        (void)buf_addf(&b, "%s%s%.*s", b.n ? ", " : "", fields[k][1], (int)str_find_char(value, '"'), value.p);
    }
    return arena_str(&i->arena, buf_str(&b));
}

/* What becomes of one deployment: its dialect, address and the model at the provider. */
TEST(litellm_every_kind_of_provider_is_found_with_its_address)
{
    static const struct {
        const char *params, *dialect, *place, *model;
    } rows[] = {
        {"model: openai/gpt-4o", "openai", NULL, "gpt-4o"},
        {"model: gpt-4o", "openai", NULL, "gpt-4o"},
        {"model: o3-mini", "openai", NULL, "o3-mini"},
        {"model: openai/x, api_base: \"https://api.openai.com/v1\"", "openai", NULL, "x"},
        {"model: openai/x, api_base: \"https://eu.api.openai.com/v1/\"", "openai", "https://eu.api.openai.com/v1", "x"},
        {"model: openai/org/x, api_base: \"http://[::1]:8000/v1/chat/completions\"", "custom", "http://[::1]:8000/v1",
         "org/x"},
        {"model: openai/x, base_url: os.environ/MY_BASE", "custom", "${MY_BASE}", "x"},
        {"model: m, custom_llm_provider: openai, api_base: \"http://h/v1\"", "custom", "http://h/v1", "m"},
        {"model: a/b, custom_llm_provider: groq", "groq", NULL, "a/b"},
        {"model: azure/d, api_base: \"https://r.openai.azure.com/\"", "azure", "https://r.openai.azure.com/openai/v1",
         "d"},
        {"model: azure/d, api_base: \"https://r.openai.azure.com/openai/deployments/d\"", "azure",
         "https://r.openai.azure.com/openai/v1", "d"},
        {"model: azure/d, api_base: os.environ/AZURE_BASE", "azure", "${AZURE_BASE}/openai/v1", "d"},
        {"model: azure/d", "azure", "${AZURE_API_BASE}/openai/v1", "d"},
        {"model: azure/d, api_base: \"https://r.openai.azure.com/\", api_version: \"2024-10-21\"", "azure-deployments",
         "https://r.openai.azure.com/openai, version 2024-10-21", "d"},
        {"model: azure/d, api_version: os.environ/V", "azure-deployments", "${AZURE_API_BASE}/openai, version ${V}",
         "d"},
        {"model: azure/d, api_version: preview", "azure", "${AZURE_API_BASE}/openai/v1", "d"},
        {"model: azure_ai/claude-sonnet, api_base: \"https://r.services.ai.azure.com\"", "anthropic-foundry",
         "https://r.services.ai.azure.com/anthropic/v1", "claude-sonnet"},
        {"model: azure_ai/mistral, api_base: \"https://r.services.ai.azure.com\"", "azure",
         "https://r.services.ai.azure.com/openai/v1", "mistral"},
        {"model: anthropic/claude-x", "anthropic", NULL, "claude-x"},
        {"model: claude-x, api_base: \"https://proxy.test\"", "anthropic", "https://proxy.test/v1", "claude-x"},
        {"model: claude-x, api_base: \"https://proxy.test/v1/messages\"", "anthropic", "https://proxy.test/v1",
         "claude-x"},
        {"model: bedrock/anthropic.claude, aws_region_name: eu-west-1", "bedrock", "region eu-west-1",
         "anthropic.claude"},
        {"model: bedrock/converse/us.amazon.nova", "bedrock", "region ${AWS_REGION}", "us.amazon.nova"},
        {"model: bedrock/us-west-2/anthropic.claude", "bedrock", "region us-west-2", "anthropic.claude"},
        {"model: bedrock/invoke/ap-southeast-2/m.v1, aws_region_name: os.environ/R", "bedrock", "region ${R}", "m.v1"},
        {"model: \"bedrock/arn:aws:bedrock:us-east-1:1:inference-profile/x\"", "bedrock", "region ${AWS_REGION}",
         "arn:aws:bedrock:us-east-1:1:inference-profile/x"},
        {"model: vertex_ai/gemini-2, vertex_project: p-1, vertex_location: us-central1", "vertex",
         "region us-central1, project p-1", "gemini-2"},
        {"model: gemini-2, vertex_location: global", "vertex", "region global, project ${VERTEXAI_PROJECT}",
         "gemini-2"},
        {"model: vertex_ai/claude-x, vertex_project: p, vertex_location: europe-west1", "anthropic-vertex",
         "region europe-west1, project p", "claude-x"},
        {"model: bedrock/m.v1, aws_bedrock_runtime_endpoint: \"https://vpce.test/\", aws_region_name: us-east-1",
         "bedrock", "https://vpce.test, region us-east-1", "m.v1"},
        {"model: bedrock/m.v1, aws_region_name: \"us east\"", "bedrock", "region ${AWS_REGION}", "m.v1"},
        {"model: vertex_ai/x, vertex_project: \"a?b\", vertex_location: \"x/y\"", "vertex",
         "region ${VERTEXAI_LOCATION}, project ${VERTEXAI_PROJECT}", "x"},
        {"model: vertex_ai/x, vertex_project: \"example.com:p-1\", vertex_location: eu", "vertex",
         "region eu, project example.com:p-1", "x"},
        {"model: gemini/gemini-2", "gemini", NULL, "gemini-2"},
        {"model: mistral/mistral-large", "mistral", NULL, "mistral-large"},
        {"model: codestral/codestral-latest", "mistral", "https://codestral.mistral.ai/v1", "codestral-latest"},
        {"model: groq/x", "groq", NULL, "x"},
        {"model: together_ai/a/b", "together", NULL, "a/b"},
        {"model: fireworks_ai/accounts/f/models/m", "fireworks", NULL, "accounts/f/models/m"},
        {"model: deepseek/x", "deepseek", NULL, "x"},
        {"model: xai/x", "xai", NULL, "x"},
        {"model: openrouter/a/b:free", "openrouter", NULL, "a/b:free"},
        {"model: perplexity/x", "perplexity", NULL, "x"},
        {"model: cerebras/x", "cerebras", NULL, "x"},
        {"model: nvidia_nim/a/b", "nvidia", NULL, "a/b"},
        {"model: huggingface/a/b", "huggingface", NULL, "a/b"},
        {"model: huggingface/a/b, api_base: \"https://router.huggingface.co/v1\"", "huggingface", NULL, "a/b"},
        {"model: huggingface/a/b, api_base: \"http://tgi:8080/v1/\"", "tgi", "http://tgi:8080", "a/b"},
        {"model: hosted_vllm/a/b, api_base: \"http://gpu:8000/v1\"", "vllm", "http://gpu:8000/v1", "a/b"},
        {"model: hosted_vllm/x", "vllm", "${HOSTED_VLLM_API_BASE}", "x"},
        {"model: lm_studio/x, api_base: \"http://127.0.0.1:1234/v1\"", "lmstudio", "http://127.0.0.1:1234/v1", "x"},
        {"model: llamafile/x", "llamacpp", "http://127.0.0.1:8080/v1", "x"},
        {"model: ollama/llama3", "ollama", NULL, "llama3"},
        {"model: ollama_chat/llama3, api_base: \"http://h:11434/api/\"", "ollama", "http://h:11434", "llama3"},
        {"model: cohere/command-r", "cohere", NULL, "command-r"},
        {"model: command-r, api_base: \"https://api.cohere.ai/v1/chat\"", "cohere", "https://api.cohere.ai",
         "command-r"},
        {"model: jina_ai/reranker", "jina", NULL, "reranker"},
        {"model: deepinfra/a/b", "custom", "https://api.deepinfra.com/v1/openai", "a/b"},
    };

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char text[512];
        (void)snprintf(text, sizeof text, "model_list: [{model_name: m, litellm_params: {%s}}]\n", rows[k].params);
        test_context("%s", rows[k].params);
        IMPORTED(i, text);
        const struct model *m = catalog_find_model(i.catalog, STR("m"));
        CHECK(m && m->target_count == 1);
        CHECK_STR(m->targets[0].deployment->model, rows[k].model);
        CHECK_STR(str_from_c(m->targets[0].deployment->provider->vendor->name), rows[k].dialect);
        CHECK_STR(place_of(&i), rows[k].place ? rows[k].place : "");
    }
}

TEST(litellm_servers_of_vectors_at_hugging_face_are_text_embeddings_inference)
{
    static const char *const modes[] = {"embedding", "rerank"};

    for (size_t k = 0; k < ARRAY_LEN(modes); k++) {
        char text[300];
        (void)snprintf(text, sizeof text,
                       "model_list: [{model_name: m, litellm_params: {model: huggingface/a/b, api_base: "
                       "\"http://tei:8080/embed\"}, model_info: {mode: %s}}]\n",
                       modes[k]);
        IMPORTED(i, text);
        CHECK_HOLDS(i, "    dialect: \"tei\"\n    base_url: \"http://tei:8080\"\n    api_key: \"${HF_TOKEN:-}\"\n");
    }
}

/* What becomes of the parameters that are credentials: the lines of `auth`, without their indentation. */
TEST(litellm_credentials_of_clouds_become_those_of_the_provider)
{
    static const struct {
        const char *params, *auth;
    } rows[] = {
        {"model: bedrock/m, aws_region_name: us-east-1, aws_access_key_id: os.environ/A, aws_secret_access_key: "
         "os.environ/S, aws_session_token: os.environ/T",
         "    auth:\n      type: aws-static\n      access_key_id: \"${A}\"\n      secret_access_key: \"${S}\"\n      "
         "session_token: \"${T}\"\n"},
        {"model: bedrock/m, aws_region_name: us-east-1, aws_profile_name: dev",
         "    auth:\n      type: aws-profile\n      profile: \"dev\"\n"},
        {"model: bedrock/m, aws_region_name: us-east-1, aws_role_name: \"arn:aws:iam::1:role/x\", aws_session_name: s, "
         "aws_external_id: e, aws_access_key_id: os.environ/A",
         "    auth:\n      type: aws-assume-role\n      access_key_id: \"${A}\"\n      role_arn: "
         "\"arn:aws:iam::1:role/x\"\n      session_name: \"s\"\n      external_id: \"e\"\n"},
        {"model: bedrock/m, aws_region_name: us-east-1, aws_role_name: r, aws_web_identity_token: "
         "oidc/file//var/run/token, aws_sts_endpoint: \"https://sts.test\"",
         "    auth:\n      type: aws-web-identity\n      role_arn: \"r\"\n      sts_url: \"https://sts.test\"\n      "
         "token_file: \"/var/run/token\"\n"},
        {"model: bedrock/m, aws_region_name: us-east-1, aws_role_name: r, aws_web_identity_token: oidc/env_path/WHERE",
         "    auth:\n      type: aws-web-identity\n      role_arn: \"r\"\n      token_file: \"${WHERE}\"\n"},
        {"model: azure/d, api_base: \"https://r.openai.azure.com\", tenant_id: t, client_id: c, client_secret: "
         "os.environ/S, azure_scope: \"https://x/.default\"",
         "    auth:\n      type: azure-client-secret\n      tenant: \"t\"\n      client_id: \"c\"\n      "
         "client_secret: "
         "\"${S}\"\n      scope: \"https://x/.default\"\n"},
        {"model: azure/d, api_base: \"https://r.openai.azure.com\", client_id: c",
         "    auth:\n      type: azure\n      client_id: \"c\"\n"},
        {"model: vertex_ai/x, vertex_project: p, vertex_location: global, vertex_credentials: /etc/google.json",
         "    auth:\n      type: google\n      file: \"/etc/google.json\"\n"},
    };

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char text[512];
        (void)snprintf(text, sizeof text, "model_list: [{model_name: m, litellm_params: {%s}}]\n", rows[k].params);
        test_context("%s", rows[k].params);
        IMPORTED(i, text);
        CHECK_HOLDS(i, rows[k].auth);
        CHECK(!holds(&i, "api_key"));
        CHECK_STR(buf_str(&i.report), "");
    }
}

TEST(litellm_credentials_that_cannot_be_carried_over_are_named)
{
    static const char *const rows[][2] = {
        {"model: bedrock/m, api_key: os.environ/K, aws_profile_name: dev",
         "litellm_params.aws_profile_name is not carried over: the api_key comes before it"},
        {"model: groq/m, aws_access_key_id: a",
         "litellm_params.aws_access_key_id is not carried over: the deployment's provider takes no such credential"},
        {"model: bedrock/m, tenant_id: t",
         "litellm_params.tenant_id is not carried over: the deployment's provider takes no such credential"},
        {"model: bedrock/m, aws_role_name: r, aws_web_identity_token: oidc/github/x",
         "litellm_params.aws_web_identity_token is not carried over: only tokens in files"},
        {"model: bedrock/m, aws_role_name: r, aws_web_identity_token: \"oidc/env_path/a b\"",
         "litellm_params.aws_web_identity_token is not carried over: the environment variable has a name"},
        {"model: vertex_ai/x, vertex_credentials: '{\"type\": \"service_account\"}'",
         "litellm_params.vertex_credentials is not carried over: put the credentials into a file"},
        {"model: vertex_ai/x, vertex_credentials: {type: service_account}",
         "litellm_params.vertex_credentials is not carried over: put the credentials into a file"},
        {"model: vertex_ai/x, vertex_credentials: os.environ/CREDENTIALS",
         "litellm_params.vertex_credentials: the variable must hold the path of a file"},
        {"model: azure/d, api_base: \"https://r.openai.azure.com\", client_id: c, client_secret: in-clear",
         "litellm_params.client_secret is in clear there"},
        {"model: azure_ai/d, api_base: \"https://r.services.ai.azure.com\", api_version: \"2024-05-01-preview\"",
         "litellm_params.api_version is not carried over: the provider's API is spoken to without one"},
    };

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char text[512];
        (void)snprintf(text, sizeof text, "model_list: [{model_name: m, litellm_params: {%s}}]\n", rows[k][0]);
        test_context("%s", rows[k][0]);
        IMPORTED(i, text);
        CHECK_SAYS(i, rows[k][1]);
        CHECK(!says(&i, "in-clear"));
    }
}

TEST(litellm_deployments_with_other_credentials_are_other_providers)
{
    IMPORTED(
        i, "model_list:\n"
           "  - {model_name: a, litellm_params: {model: bedrock/x, aws_region_name: us-east-1, aws_profile_name: p}}\n"
           "  - {model_name: b, litellm_params: {model: bedrock/x, aws_region_name: us-east-1, aws_profile_name: q}}\n"
           "  - {model_name: c, litellm_params: {model: bedrock/x, aws_region_name: us-east-1, aws_profile_name: p}}\n"
           "  - {model_name: d, litellm_params: {model: bedrock/x, aws_region_name: us-east-1}}\n");

    CHECK_EQ(i.catalog->provider_count, 3);
    CHECK_STR(catalog_find_model(i.catalog, STR("a"))->targets[0].deployment->provider->auth.aws.profile, "p");
    CHECK_STR(catalog_find_model(i.catalog, STR("b"))->targets[0].deployment->provider->auth.aws.profile, "q");
    CHECK_STR(catalog_find_model(i.catalog, STR("d"))->targets[0].deployment->provider->auth.kind, "aws");
}

TEST(litellm_keys_are_taken_from_the_variables_that_litellm_takes)
{
    static const char *const rows[][2] = {{"groq/x", "GROQ_API_KEY"},
                                          {"together_ai/x", "TOGETHERAI_API_KEY"},
                                          {"fireworks_ai/x", "FIREWORKS_AI_API_KEY"},
                                          {"claude-x", "ANTHROPIC_API_KEY"},
                                          {"cohere/x", "COHERE_API_KEY"},
                                          {"gemini/x", "GEMINI_API_KEY"},
                                          {"nvidia_nim/x", "NVIDIA_NIM_API_KEY"},
                                          {"azure/x", "AZURE_API_KEY"},
                                          {"perplexity/x", "PERPLEXITYAI_API_KEY"}};

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char text[200];
        (void)snprintf(text, sizeof text, "model_list: [{model_name: m, litellm_params: {model: %s}}]\n", rows[k][0]);
        test_context("%s", rows[k][0]);
        IMPORTED(i, text);
        CHECK_HOLDS(i, arena_printf(&i.arena, "api_key: \"${%s}\"\n", rows[k][1]).p);
    }
}

TEST(litellm_wildcards_become_providers_that_serve_all)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: x, litellm_params: {model: claude-3, api_key: os.environ/OTHER}}\n"
                "  - {model_name: \"anthropic/*\", litellm_params: {model: \"anthropic/*\"}}\n"
                "  - {model_name: \"fast/*\", litellm_params: {model: \"groq/*\"}}\n"
                "  - {model_name: y, litellm_params: {model: claude-4}}\n"
                "  - {model_name: z, litellm_params: {model: openai/gpt}}\n"
                "  - {model_name: \"fast/*\", litellm_params: {model: \"openai/*\"}}\n"
                "  - {model_name: \"*\", litellm_params: {model: \"*\"}}\n"
                "  - {model_name: \"*\", litellm_params: {model: \"openai/*\"}}\n"
                "  - {model_name: \"gpt-*\", litellm_params: {model: \"openai/gpt-*\"}}\n"
                "  - {model_name: \"Up/*\", litellm_params: {model: \"openai/*\"}}\n"
                "litellm_settings: {fallbacks: [{z: [anthropic/claude-9, \"anthropic/*\"]}]}\n");
    struct str model;
    const struct provider *p = catalog_find_served(i.catalog, STR("anthropic/claude-9"), &model);

    CHECK(p && str_eq(p->name, STR("anthropic")) && str_eq(model, STR("claude-9")));
    p = catalog_find_served(i.catalog, STR("fast/llama"), &model);
    CHECK(p && strcmp(p->vendor->name, "groq") == 0);
    CHECK_ROUTE(i, "x", "anthropic-other/claude-3*1");
    CHECK_ROUTE(i, "y", "anthropic/claude-4*1");
    CHECK_ROUTE(i, "z", "openai/gpt*1 | anthropic/claude-9");
    CHECK_SAYS(i, "l.yaml:7:5: warning: a second deployment of the same wildcard is not carried over");
    CHECK_SAYS(i, "l.yaml:8:47: warning: \"*\" for every model of every provider is not carried over");
    CHECK_SAYS(i, "l.yaml:9:5: warning: model_name \"*\" is not carried over");
    CHECK_SAYS(i, "model_name \"gpt-*\" is not carried over");
    CHECK_SAYS(i, "model_name \"Up/*\" is not carried over");
    CHECK_SAYS(i, "the fallback to \"anthropic/*\" is not carried over");
}

TEST(litellm_deployments_that_cannot_be_carried_over_are_named)
{
    static const struct {
        const char *params, *said;
    } rows[] = {
        {"model: opnai/gpt",
         "\"opnai\" is no provider that this import knows (if it speaks OpenAI's API, add it with dialect "
         "custom and its base_url), did you mean \"openai\"?"},
        {"model: mystery-7b", "\"mystery-7b\" is no provider"},
        {"model: a, custom_llm_provider: bedrok", "did you mean \"bedrock\"?"},
        {"model: sagemaker/x", "there is no dialect for \"sagemaker\""},
        {"model: os.environ/MODEL", "write the model itself instead of a variable"},
        {"model: [a]", "litellm_params.model must name a model"},
        {"api_key: x", "litellm_params.model must name a model"},
        {"model: openai/x, api_base: your_api_base",
         "the deployment with this api_base is not carried over: it is not a URL"},
        {"model: openai/x, api_base: \"ftp://h/\"", "must begin with https:// or http://"},
        {"model: openai/x, api_base: \"https://u:sk-secret@h/\"", "holds a user or password"},
        {"model: openai/x, api_base: \"https://h/${HOME}\"", "cannot be part of an address"},
        {"model: openai/x, api_base: {a: b}",
         "the deployment with this api_base is not carried over: a text is expected"},
        {"model: openai/x, api_base: \"os.environ/A-B\"", "only letters, digits and \"_\""},
        {"model: custom_openai/x", "it has no api_base, and there is no usual address"},
    };

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "model_list:\n  - {model_name: good, litellm_params: {model: openai/gpt}}\n"
                       "  - {model_name: m, litellm_params: {%s}}\n",
                       rows[k].params);
        test_context("%s", rows[k].params);
        IMPORTED(i, text);
        CHECK_SAYS(i, rows[k].said);
        CHECK_SAYS(i, "l.yaml:3:");
        CHECK(!says(&i, "sk-secret") && !holds(&i, "sk-secret"));
        CHECK(!catalog_find_model(i.catalog, STR("m")));
        CHECK_ROUTE(i, "good", "openai/gpt*1");
    }
}

/* Without the check of the result: there is no such file here. */
TEST(litellm_authorities_of_a_deployment_are_its_providers)
{
    struct arena a = {.max = SIZE_MAX};
    struct problems problems = {.arena = &a};
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK_OK(litellm_import(STR(ONE("model: openai/x, ssl_verify: /etc/ca.pem")), STR("l.yaml"), &a, &problems, &to));
    CHECK(str_find(buf_str(&to), STR("    tls: {ca: \"/etc/ca.pem\"}\n")) < to.n);
    arena_release(&a);
}

TEST(litellm_a_result_that_is_too_large_is_an_error)
{
    struct arena a = {.max = SIZE_MAX};
    struct problems problems = {.arena = &a};
    struct buf to CLEANUP(buf_release) = BUF_INIT(100);

    CHECK_ERR(litellm_import(STR(ONE("model: openai/x")), STR("l.yaml"), &a, &problems, &to), E_TOO_LARGE);
    arena_release(&a);
}

/* --- secrets --- */

TEST(litellm_secrets_in_clear_are_carried_over_and_said_so_but_never_told)
{
    IMPORTED(i, "model_list:\n"
                "  - model_name: m\n"
                "    litellm_params:\n"
                "      model: openai/x\n"
                "      api_key: sk-secret-1\n"
                "      extra_headers: {X-Auth: sk-secret-2, x-plain: hello, X-Key: os.environ/K}\n"
                "      aws_secret_access_key: sk-secret-3\n"
                "      client_secret: sk-secret-4\n"
                "    model_info: {custom_tokenizer: {auth_token: sk-secret-5}}\n"
                "router_settings: {redis_password: sk-secret-6}\n"
                "litellm_settings: {cache_params: {password: sk-secret-7}}\n"
                "environment_variables: {OPENAI_API_KEY: sk-secret-8}\n"
                "general_settings: {master_key: sk-secret-9, database_url: \"postgres://u:sk-secret-0@h/\"}\n");
    CHECK(!says(&i, "sk-secret"));
    CHECK_HOLDS(i, "    api_key: \"sk-secret-1\"\n");
    CHECK_HOLDS(i, "      \"X-Auth\": \"sk-secret-2\"\n      \"x-plain\": \"hello\"\n      \"X-Key\": \"${K}\"\n");
    for (char c = '3'; c <= '9'; c++)
        CHECK(!holds(&i, arena_printf(&i.arena, "sk-secret-%c", c).p));
    CHECK(!holds(&i, "sk-secret-0"));
    CHECK_SAYS(i, "l.yaml:5:16: warning: litellm_params.api_key is in clear there");
    CHECK_SAYS(i, "l.yaml:6:31: warning: the header \"X-Auth\" is in clear there");
    CHECK(!says(&i, "x-plain") && !says(&i, "X-Key"));
}

TEST(litellm_the_master_key_becomes_a_hash)
{
    IMPORTED(i, ONE("model: openai/x") "general_settings: {master_key: sk-1234}\n");
    CHECK_HOLDS(i, "hash: \"sha256:88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b\"\n");
    CHECK_EQ(i.catalog->key_count, 1);
    CHECK(!holds(&i, "sk-1234"));

    IMPORTED(v, ONE("model: openai/x") "general_settings: {master_key: os.environ/MASTER}\n");
    CHECK_EQ(v.catalog->key_count, 0);
    CHECK_SAYS(v, "l.yaml:2:32: warning: general_settings.master_key is not carried over: keys are kept as hashes");
}

TEST(litellm_texts_that_would_mean_something_here_keep_their_meaning)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: \"${HOME}\", litellm_params: {model: \"openai/${PATH}$${x\", api_key: "
                "\"${not}a$variable\"}}\n"
                "  - {model_name: b, litellm_params: {model: openai/x, api_key: \"file:/etc/passwd\"}}\n"
                "  - {model_name: c, litellm_params: {model: openai/y, extra_headers: {x: \"file:/etc/passwd\"}}}\n"
                "litellm_settings: {fallbacks: [{b: [\"${HOME}\"]}]}\n");
    const struct model *m = catalog_find_model(i.catalog, STR("${HOME}"));

    CHECK(m && m->target_count == 1);
    CHECK_STR(m->targets[0].deployment->model, "${PATH}$${x");
    CHECK_STR(secret_reveal(&m->targets[0].deployment->provider->keys[0].secret), "${not}a$variable");
    CHECK(!holds(&i, "passwd"));
    CHECK_SAYS(i, "names a file here");
    CHECK_ROUTE(i, "b", "openai-2/x*1 | openai/${PATH}$${x");
}

/* --- settings --- */

TEST(litellm_fallbacks_become_the_deployments_of_the_models_they_name)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: a, litellm_params: {model: openai/a}}\n"
                "  - {model_name: b, litellm_params: {model: openai/b1}}\n"
                "  - {model_name: b, litellm_params: {model: openai/b2}}\n"
                "  - {model_name: c, litellm_params: {model: openai/c}}\n"
                "  - {model_name: d, litellm_params: {model: openai/d}}\n"
                "litellm_settings:\n"
                "  fallbacks: [{d: [a]}]\n" /* the router's count */
                "  default_fallbacks: [c]\n"
                "router_settings:\n"
                "  model_group_alias: {alias: a, hidden: {model: b, hidden: true}, a: b, lost: nobody}\n"
                "  fallbacks:\n"
                "    - a: [b, c, b, {model: c}]\n"
                "    - nobody: [a]\n"
                "    - b: [nobody, alias]\n");
    CHECK_ROUTE(i, "a", "openai/a*1 | openai/b1, openai/b2, openai/c");
    CHECK_ROUTE(i, "b", "openai/b1*1, openai/b2*1 | openai/b1, openai/b2, openai/a");
    CHECK_ROUTE(i, "c", "openai/c*1");
    CHECK_ROUTE(i, "d", "openai/d*1 | openai/c");
    CHECK_ROUTE(i, "alias", "openai/a*1 | openai/b1, openai/b2, openai/c");
    CHECK_ROUTE(i, "hidden", "openai/b1*1, openai/b2*1 | openai/b1, openai/b2, openai/a");
    CHECK_SAYS(i, "a fallback with parameters of its own");
    CHECK_SAYS(i, "the fallbacks of \"nobody\" are not carried over");
    CHECK_SAYS(i, "the fallback to \"nobody\" is not carried over");
    CHECK_SAYS(i, "the alias \"a\" is not carried over");
    CHECK_SAYS(i, "the alias \"lost\" is not carried over");
}

TEST(litellm_fallbacks_of_all_models_can_be_given_by_a_star)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: a, litellm_params: {model: openai/a}}\n"
                "  - {model_name: b, litellm_params: {model: openai/b}}\n"
                "router_settings: {fallbacks: [{\"*\": [b]}]}\n");
    CHECK_ROUTE(i, "a", "openai/a*1 | openai/b");
    CHECK_ROUTE(i, "b", "openai/b*1");
}

TEST(litellm_fallbacks_by_cause_keep_their_causes)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: a, litellm_params: {model: openai/a}}\n"
                "  - {model_name: long, litellm_params: {model: openai/long}}\n"
                "  - {model_name: free, litellm_params: {model: openai/free}}\n"
                "litellm_settings:\n"
                "  context_window_fallbacks: [{a: [long]}]\n"
                "  content_policy_fallbacks: [{\"*\": [free]}, {long: [a, free]}]\n"
                "router_settings:\n"
                "  model_group_alias: {alias: a}\n"
                "  fallbacks: [{a: [free]}]\n");
    CHECK_ROUTE(i, "a", "openai/a*1 | openai/free | context: openai/long | filter: openai/free");
    CHECK_ROUTE(i, "alias", "openai/a*1 | openai/free | context: openai/long | filter: openai/free");
    CHECK_ROUTE(i, "long", "openai/long*1 | filter: openai/a, openai/free");
    CHECK_ROUTE(i, "free", "openai/free*1");
    CHECK_EQ(i.problems.count, 0);
}

TEST(litellm_strategies_and_retries_hold_for_every_model)
{
    static const struct {
        const char *theirs, *ours, *retries;
        unsigned attempts;
    } cases[] = {
        {"simple-shuffle", "weighted", "0", 1},
        {"least-busy", "least-busy", "1", 2},
        {"usage-based-routing", "least-busy", "2", 3},
        {"usage-based-routing-v2", "least-busy", "7", 8},
        {"latency-based-routing", "least-latency", "3", 4},
        {"cost-based-routing", "lowest-cost", "null", 3 /* the usual number */},
    };

    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       ONE("model: openai/x") "router_settings: {routing_strategy: %s, num_retries: %s}\n",
                       cases[k].theirs, cases[k].retries);
        IMPORTED(i, text);
        const struct model *m = catalog_find_model(i.catalog, STR("m"));
        CHECK_STR(str_from_c(m->rules.strategy->name), cases[k].ours);
        CHECK_EQ(m->rules.retries.attempts, cases[k].attempts);
        CHECK_EQ(i.problems.count, 0);
    }
    IMPORTED(more, ONE("model: openai/x") "litellm_settings: {num_retries: 20}\n");
    CHECK_EQ(catalog_find_model(more.catalog, STR("m"))->rules.retries.attempts, 8);
    CHECK_SAYS(more, "a num_retries above 7 is not carried over");
}

TEST(litellm_timeouts_hold_between_bytes_as_they_did)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"30", "timeouts: {first_byte: 30s, between_bytes: 30s}\n"},
        {"0.5", "timeouts: {first_byte: 500ms, between_bytes: 500ms}\n"},
        {"0", "timeouts: {first_byte: 1ms, between_bytes: 1ms}\n"},
        {"6000", "timeouts: {first_byte: 1h40m, between_bytes: 1h40m, total: 1h40m}\n"},
        {"1e9", "timeouts: {first_byte: none, between_bytes: none, total: none}\n"},
    };

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        char text[300];
        (void)snprintf(text, sizeof text, ONE("model: openai/x") "litellm_settings: {request_timeout: %s}\n",
                       rows[k].value);
        test_context("%s", rows[k].value);
        IMPORTED(i, text);
        CHECK_HOLDS(i, rows[k].want);
        (void)snprintf(text, sizeof text, ONE("model: openai/x, timeout: %s"), rows[k].value);
        IMPORTED(own, text);
        CHECK_HOLDS(own, arena_printf(&own.arena, "    %s", rows[k].want).p);
    }
    IMPORTED(i,
             ONE("model: openai/x, timeout: soon, rpm: -1, weight: .nan") "router_settings: {timeout: 5}\n"
                                                                          "litellm_settings: {request_timeout: 9}\n");
    CHECK_HOLDS(i, "timeouts: {first_byte: 5s, between_bytes: 5s}\n");
    CHECK_SAYS(i, "litellm_params.timeout is not carried over: a number is expected there");
    CHECK_SAYS(i, "litellm_params.weight is not carried over: a number is expected there");
}

TEST(litellm_every_setting_without_a_counterpart_is_named_with_its_place_and_the_remedy)
{
    IMPORTED(i, ONE("model: openai/x, temperature: 0.2, api_version: \"2024\", num_retries: 3") /* line 1 */
             "litellm_settings:\n"
             "  drop_params: true\n"
             "  success_callback: [langfuse]\n"
             "  request_timeout: 10\n"
             "  set_verbose: true\n"
             "router_settings:\n"
             "  routing_strategy: by-the-moon\n"
             "  allowed_fails: 3\n"
             "  num_retries: 2\n"
             "general_settings:\n"
             "  alerting: [slack]\n"
             "  completely_new: 1\n"
             "  nothing:\n"
             "guardrails: []\n"
             "brand_new_section: {a: b}\n");
    static const char *const said[] = {
        "l.yaml:1:64: warning: litellm_params.temperature is not carried over: let clients send it",
        "l.yaml:1:95: warning: litellm_params.api_version is not carried over",
        "l.yaml:1:103: warning: litellm_params.num_retries is not carried over",
        "l.yaml:3:3: warning: litellm_settings.drop_params is not carried over: what a provider",
        "l.yaml:4:3: warning: litellm_settings.success_callback is not carried over: use the access log",
        "l.yaml:8:21: warning: router_settings.routing_strategy is not carried over: write strategy of each model",
        "l.yaml:9:3: warning: router_settings.allowed_fails is not carried over",
        "l.yaml:12:3: warning: general_settings.alerting is not carried over",
        "l.yaml:13:3: warning: general_settings.completely_new is not carried over: set it up by hand",
        "l.yaml:15:1: warning: guardrails is not carried over",
        "l.yaml:16:1: warning: brand_new_section is not carried over",
    };

    for (size_t k = 0; k < ARRAY_LEN(said); k++) {
        CHECK_SAYS(i, said[k]);
        CHECK_HOLDS(i, arena_printf(&i.arena, "# %s", said[k]).p);
    }
    CHECK_EQ(i.problems.count, ARRAY_LEN(said));
    CHECK_EQ(i.problems.errors, 0);
}

/* --- what is no configuration of LiteLLM's, and what means harm --- */

TEST(litellm_what_is_no_configuration_is_refused_with_the_place)
{
    static const struct {
        const char *text;
        err_t want;
        const char *said;
    } rows[] = {
        {"", E_PARSE, "l.yaml:1:1: error: this is no LiteLLM configuration"},
        {"- a\n", E_PARSE, "this is no LiteLLM configuration"},
        {"a: [\n", E_PARSE, "l.yaml:"},
        {"a: 1\na: 2\n", E_PARSE, "l.yaml:2:1"},
        {"x: 1\n", E_PARSE, "there is no model_list"},
        {"model_list: {a: b}\n", E_PARSE, "l.yaml:1:13: error: there is no model_list, or it is not a list"},
        {"model_list: []\n", E_UNSUPPORTED, "no entry of model_list can be carried over"},
        {"model_list: [1, [a], {}, {model_name: x}, {model_name: x, litellm_params: 3}]\n", E_UNSUPPORTED,
         "no entry of model_list"},
        {"model_list: [{model_name: \"a b\", litellm_params: {model: openai/x}}]\n", E_UNSUPPORTED, "1 to 256 bytes"},
        {"model_list: [{model_name: os.environ/X, litellm_params: {model: openai/x}}]\n", E_UNSUPPORTED,
         "1 to 256 bytes"},
    };

    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        struct imported i CLEANUP(imported_release);
        test_context("%s", rows[k].text);
        import(&i, str_from_c(rows[k].text));
        CHECK_EQ(i.err, rows[k].want);
        CHECK_EQ(i.result.n, 0);
        CHECK_SAYS(i, rows[k].said);
    }
}

TEST(litellm_no_text_can_break_out_of_its_place)
{
    IMPORTED(i, "model_list:\n"
                "  - model_name: \"a\\\"}\\u2028b\"\n"
                "    litellm_params:\n"
                "      model: \"openai/x\\\"}\\nkeys: []\\n#\\u0085\"\n"
                "      api_key: \"k\\\\\\\" #\"\n"
                "      extra_headers: {\"x\": \"a\\nb: c\", \"host\": evil, \"a b\": c, \"\": d}\n"
                "      \"evil\\nlisten: 0.0.0.0:1\": 1\n"
                "\"x\\u2028y\\u0085z\": 1\n");
    const struct model *m = catalog_find_model(i.catalog, STR("a\"}\xe2\x80\xa8"
                                                              "b"));

    CHECK(m && m->target_count == 1);
    CHECK_STR(m->targets[0].deployment->model, "x\"}\nkeys: []\n#\xc2\x85");
    CHECK_STR(secret_reveal(&m->targets[0].deployment->provider->keys[0].secret), "k\\\" #");
    CHECK_EQ(m->targets[0].deployment->provider->header_count, 0);
    CHECK_EQ(i.catalog->key_count, 0);
    CHECK_STR(i.catalog->listens[0].text, "127.0.0.1:4000");
    CHECK_SAYS(i, "the header \"x\" is not carried over: it has blanks at an end, or bytes that a header cannot hold");
    CHECK_SAYS(i, "the header \"host\" is not carried over");
}

TEST(litellm_the_name_of_the_file_stays_in_its_comment)
{
    struct imported i CLEANUP(imported_release) = {
        .arena = {.max = SIZE_MAX}, .result = BUF_INIT(1 << 20), .check = BUF_INIT(1 << 20)};

    i.problems.arena = &i.arena;
    CHECK_OK(litellm_import(STR(ONE("model: openai/x, seed: 1")), STR("l\nworkers: 7\r.yaml"), &i.arena, &i.problems,
                            &i.result));
    check_result(&i);
    if (test_failed())
        return;
    CHECK_EQ(i.catalog->workers, 0);
    CHECK(str_starts(buf_str(&i.result), STR("# Made from a LiteLLM configuration, l?workers: 7?.yaml.\n#")));
}

TEST(litellm_keys_that_no_header_can_hold_are_left_out)
{
    IMPORTED(i, "model_list:\n"
                "  - {model_name: a, litellm_params: {model: openai/a, api_key: \" blank\"}}\n"
                "  - {model_name: b, litellm_params: {model: openai/b, api_key: \"line\\nbreak\"}}\n"
                "  - {model_name: c, litellm_params: {model: openai/c, api_key: [1]}}\n"
                "  - {model_name: d, litellm_params: {model: openai/d, api_key: }}\n"
                "  - {model_name: e, litellm_params: {model: openai/e, organization: \"o\\tp\"}}\n"
                "  - {model_name: f, litellm_params: {model: openai/f, organization: o, extra_headers: "
                "{openai-organization: p}}}\n");
    CHECK_EQ(i.catalog->provider_count, 3); /* one without a key, one with the usual variable, one with p */
    CHECK_SAYS(i, "l.yaml:6:69: warning: litellm_params.organization is not carried over");
    CHECK_SAYS(i, "l.yaml:2:64: warning: litellm_params.api_key is not carried over");
    CHECK_SAYS(i, "l.yaml:3:64");
    CHECK_SAYS(i, "l.yaml:4:64");
}

/* Many accounts that differ in nothing but their keys: names stay unique, and time linear. */
TEST(litellm_thousands_of_accounts_get_names_of_their_own)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(4 << 20);

    (void)buf_add_lit(&text, "model_list:\n");
    for (int k = 0; k < 5000; k++)
        (void)buf_addf(&text, "  - {model_name: m%d, litellm_params: {model: openai/x, api_key: os.environ/K%d}}\n",
                       k % 50, k);
    struct imported i CLEANUP(imported_release);
    import(&i, buf_str(&text));
    CHECK_OK(i.err);
    CHECK_EQ(i.catalog->provider_count, 5000);
    CHECK_EQ(i.catalog->model_count, 50);
    CHECK_SAYS(i, "there are 64 for the model already");
}

/* Every piece of a rich file may be missing or something else: what comes out always passes the check. */
TEST(litellm_results_pass_the_check_whatever_is_cut_out_of_a_file)
{
    static const char rich[] =
        "model_list:\n"
        "  - {model_name: a, litellm_params: {model: azure/x, api_base: \"https://r.openai.azure.com\", rpm: 3, order: "
        "1}}\n"
        "  - {model_name: a, litellm_params: {model: bedrock/us-east-1/y, weight: 2.5, timeout: 3, extra_headers: {a: "
        "b}, aws_role_name: r, aws_access_key_id: k}}\n"
        "  - {model_name: \"groq/*\", litellm_params: {model: \"groq/*\", api_key: os.environ/G}}\n"
        "  - {model_name: b, litellm_params: {model: vertex_ai/z, vertex_project: p, vertex_location: q}}\n"
        "router_settings: {model_group_alias: {c: a}, fallbacks: [{a: [b, groq/m]}, {\"*\": [a]}], timeout: 1}\n"
        "general_settings: {master_key: sk}\n";
    struct prng r;
    char text[sizeof rich + 16];

    prng_seed(&r, test_seed());
    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        size_t n = sizeof rich - 1, from = prng_below(&r, n), cut = prng_below(&r, 12);
        static const char bits[] = "{}[]:,*/\"'#&$ x9\n";
        if (cut > n - from)
            cut = n - from;
        memcpy(text, rich, from);
        size_t put = prng_below(&r, 3);
        for (size_t k = 0; k < put; k++)
            text[from + k] = bits[prng_below(&r, sizeof bits - 1)];
        memcpy(text + from + put, rich + from + cut, n - from - cut);
        test_context("seed %llu, round %llu: %.*s", (unsigned long long)test_seed(), (unsigned long long)round,
                     (int)(n - cut + put), text);
        struct imported i CLEANUP(imported_release);
        import(&i, str_of(text, n - cut + put));
        if (test_failed())
            return;
        CHECK(i.err == OK || i.problems.errors > 0);
    }
}
