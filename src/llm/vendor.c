/*
 * vendor.c - the table of those who speak a dialect, and what is theirs alone.
 *
 * Sources: the vendors' published API references, November 2026. Where a reference is silent the row has no quirk: the provider then says
 * itself what it does not take.
 */
#include "llm/vendor.h"

#include "base/attr.h"
#include "llm/dialect.h"

/* Servers of models that turn texts into numbers, whatever their dialects can say. */
#define NUMBERS_ONLY .offers = 1u << OP_EMBED | 1u << OP_RERANK | 1u << OP_TOKENIZE | 1u << OP_PASS

#define BEARER .key_header = "authorization", .key_prefix = "Bearer "

static const char *const openai_also[] = {"responses", "completions", NULL};
static const char *const completions_also[] = {"completions", NULL};
static const char *const vllm_also[] = {"completions", "rerank", NULL};
static const char *const ollama_also[] = {"openai", "completions", NULL};
static const char *const tei_also[] = {"openai", NULL};

/* Sampling and reasoning fields that are not OpenAI's. */
static const char *const vllm_adds[] = {
    "top_k",     "min_p", "repetition_penalty", "thinking_token_budget", "include_reasoning", "video_url",
    "audio_url", NULL};
static const char *const sglang_adds[] = {"top_k", "min_p", "repetition_penalty", "video_url", NULL};
static const char *const llamacpp_adds[] = {"top_k", "min_p", "typical_p", "repeat_penalty", NULL};
static const char *const lmstudio_adds[] = {"top_k", "min_p", "repeat_penalty", NULL};
static const char *const openrouter_adds[] = {"top_k", "min_p", "repetition_penalty", "video_url", NULL};
static const char *const fireworks_adds[] = {"top_k", "min_p", "typical_p", "repetition_penalty", NULL};
static const char *const together_adds[] = {"top_k", "min_p", "repetition_penalty", "video_url", NULL};
static const char *const perplexity_adds[] = {"top_k", NULL};

/* What Groq answers with 400. */
static const char *const groq_refuses[] = {"logprobs", "top_logprobs", "logit_bias", "name", NULL};
/* The same of Cerebras. */
static const char *const cerebras_refuses[] = {"frequency_penalty",
                                               "presence_penalty",
                                               "logit_bias",
                                               "parallel_tool_calls",
                                               "service_tier",
                                               "modalities",
                                               "audio",
                                               "store",
                                               "verbosity",
                                               NULL};
/* Fireworks names each field that it does not know in a 400. */
static const char *const fireworks_refuses[] = {"store", "modalities", "audio", "verbosity", "prompt_cache_retention",
                                                NULL};
/* So does NVIDIA, model by model: these none of its models is described to take. */
static const char *const nvidia_refuses[] = {"parallel_tool_calls",
                                             "store",
                                             "user",
                                             "metadata",
                                             "service_tier",
                                             "verbosity",
                                             "modalities",
                                             "audio",
                                             "prompt_cache_key",
                                             "prompt_cache_retention",
                                             NULL};
/* What Perplexity's description of its API lacks. */
static const char *const perplexity_refuses[] = {"seed",
                                                 "logit_bias",
                                                 "user",
                                                 "metadata",
                                                 "store",
                                                 "service_tier",
                                                 "verbosity",
                                                 "modalities",
                                                 "audio",
                                                 "prediction",
                                                 "prompt_cache_key",
                                                 "prompt_cache_retention",
                                                 NULL};
/* At Together a number, and answered in the form of the older completions. */
static const char *const together_refuses[] = {"logprobs", "top_logprobs", NULL};
/* Models of xAI that reason refuse them, and nearly all do. Stop sequences are then looked for by the gateway. */
static const char *const xai_refuses[] = {"presence_penalty", "frequency_penalty", "stop", NULL};

static const char *const mistral_accepts[] = {"model",
                                              "messages",
                                              "max_tokens",
                                              "temperature",
                                              "top_p",
                                              "stop",
                                              "stream",
                                              "random_seed",
                                              "response_format",
                                              "tools",
                                              "tool_choice",
                                              "presence_penalty",
                                              "frequency_penalty",
                                              "n",
                                              "prediction",
                                              "parallel_tool_calls",
                                              "prompt_mode",
                                              "safe_prompt",
                                              "guardrails",
                                              "prompt_cache_key",
                                              "reasoning_effort",
                                              "service_tier",
                                              "metadata",
                                              NULL};

/* What costs nothing to ask. Bedrock's and Vertex AI's lists are on other hosts or outside the project's path, Azure's dated API wants a version
 * in each path, Jina and Perplexity publish no list: they have none. */
static const struct vendor_probe probe_models = {.path = "/models"};
static const struct vendor_probe probe_anthropic = {
    .path = "/models?limit=1", .header = "anthropic-version", .value = "2023-06-01"};
static const struct vendor_probe probe_cohere = {.path = "/v1/models?page_size=1"};
static const struct vendor_probe probe_gemini = {.path = "/models?pageSize=1"};
static const struct vendor_probe probe_ollama = {.path = "/api/version"};
static const struct vendor_probe probe_openrouter = {.path = "/key"}; /* its list has a megabyte */
static const struct vendor_probe probe_inference = {
    .path = "/health", .at_root = true, .of_server = true, .metrics = "/metrics"};

const struct vendor vendor_table[] = {
    {.name = "anthropic",
     .title = "Anthropic",
     .dialect = "anthropic",
     .base_url = "https://api.anthropic.com/v1",
     .key_env = "ANTHROPIC_API_KEY",
     .key_header = "x-api-key",
     .key_prefix = "",
     .tool_ids = TOOL_ID_ANTHROPIC,
     .probe = &probe_anthropic},
    {.name = "anthropic-bedrock",
     .title = "Claude on Amazon Bedrock",
     .dialect = "anthropic",
     .auth = AUTH_AWS,
     BEARER,
     .key_env = "AWS_BEARER_TOKEN_BEDROCK",
     .quirks = QUIRK_ANTHROPIC_BEDROCK,
     .tool_ids = TOOL_ID_ANTHROPIC},
    {.name = "anthropic-foundry",
     .title = "Claude on Microsoft Foundry",
     .dialect = "anthropic",
     .auth = AUTH_AZURE,
     .key_header = "x-api-key",
     .key_prefix = "",
     .key_env = "ANTHROPIC_FOUNDRY_API_KEY",
     .tool_ids = TOOL_ID_ANTHROPIC},
    {.name = "anthropic-vertex",
     .title = "Claude on Vertex AI",
     .dialect = "anthropic",
     .auth = AUTH_GOOGLE,
     BEARER,
     .quirks = QUIRK_ANTHROPIC_VERTEX,
     .tool_ids = TOOL_ID_ANTHROPIC},
    {.name = "azure",
     .title = "Azure OpenAI",
     .dialect = "openai",
     .auth = AUTH_AZURE,
     .key_header = "api-key",
     .key_prefix = "",
     .key_env = "AZURE_OPENAI_API_KEY",
     .quirks = QUIRK_FULL,
     .also = openai_also,
     .probe = &probe_models},
    {.name = "azure-deployments",
     .title = "Azure OpenAI, dated API with deployments in the path",
     .dialect = "openai",
     .auth = AUTH_AZURE,
     .key_header = "api-key",
     .key_prefix = "",
     .key_env = "AZURE_OPENAI_API_KEY",
     .quirks = QUIRK_FULL | QUIRK_DEPLOYMENT_PATH,
     .also = completions_also},
    {.name = "bedrock",
     .title = "Amazon Bedrock",
     .dialect = "bedrock",
     .auth = AUTH_AWS,
     BEARER,
     .key_env = "AWS_BEARER_TOKEN_BEDROCK",
     .tool_ids = TOOL_ID_BEDROCK},
    {.name = "cerebras",
     .title = "Cerebras",
     .dialect = "openai",
     .base_url = "https://api.cerebras.ai/v1",
     .key_env = "CEREBRAS_API_KEY",
     BEARER,
     .quirks = QUIRK_NO_DEVELOPER | QUIRK_NO_N,
     .refuses = cerebras_refuses,
     .temperature_max = 1.5,
     .also = completions_also,
     .probe = &probe_models},
    {.name = "cohere",
     .title = "Cohere",
     .dialect = "cohere",
     .base_url = "https://api.cohere.com",
     .key_env = "COHERE_API_KEY",
     BEARER,
     .probe = &probe_cohere},
    {.name = "custom",
     .title = "Any server that speaks OpenAI's API",
     .dialect = "openai",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .also = completions_also,
     .probe = &probe_models},
    {.name = "deepseek",
     .title = "DeepSeek",
     .dialect = "openai",
     .base_url = "https://api.deepseek.com",
     .key_env = "DEEPSEEK_API_KEY",
     BEARER,
     .quirks = QUIRK_MAX_TOKENS | QUIRK_NO_DEVELOPER | QUIRK_REASONING_FIELD | QUIRK_NO_SCHEMA | QUIRK_PLAIN_TEXT |
               QUIRK_THINKING | QUIRK_NO_N,
     .reasoning_name = "reasoning_content",
     .probe = &probe_models},
    {.name = "fireworks",
     .title = "Fireworks AI",
     .dialect = "openai",
     .base_url = "https://api.fireworks.ai/inference/v1",
     .key_env = "FIREWORKS_API_KEY",
     BEARER,
     .quirks = QUIRK_MAX_TOKENS | QUIRK_NO_STREAM_OPTIONS,
     .refuses = fireworks_refuses,
     .adds = fireworks_adds,
     .also = completions_also,
     .probe = &probe_models},
    {.name = "gemini",
     .title = "Google Gemini API",
     .dialect = "gemini",
     .base_url = "https://generativelanguage.googleapis.com/v1beta",
     .key_env = "GEMINI_API_KEY",
     .key_header = "x-goog-api-key",
     .key_prefix = "",
     .probe = &probe_gemini},
    {.name = "gemini-openapi",
     .title = "Google Gemini API, models without JSON Schema",
     .dialect = "gemini",
     .base_url = "https://generativelanguage.googleapis.com/v1beta",
     .key_env = "GEMINI_API_KEY",
     .key_header = "x-goog-api-key",
     .key_prefix = "",
     .quirks = QUIRK_OPENAPI_SCHEMA,
     .probe = &probe_gemini},
    {.name = "groq",
     .title = "Groq",
     .dialect = "openai",
     .base_url = "https://api.groq.com/openai/v1",
     .key_env = "GROQ_API_KEY",
     BEARER,
     .quirks = QUIRK_NO_N | QUIRK_REASONING_FIELD,
     .reasoning_name = "reasoning",
     .refuses = groq_refuses,
     .probe = &probe_models},
    {.name = "huggingface",
     .title = "Hugging Face router",
     .dialect = "openai",
     .base_url = "https://router.huggingface.co/v1",
     .key_env = "HF_TOKEN",
     BEARER,
     .quirks = QUIRK_MAX_TOKENS,
     .probe = &probe_models},
    {.name = "jina",
     .title = "Jina AI",
     .dialect = "rerank",
     .base_url = "https://api.jina.ai/v1",
     .key_env = "JINA_API_KEY",
     BEARER,
     NUMBERS_ONLY},
    {.name = "llamacpp",
     .title = "llama.cpp server",
     .dialect = "openai",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .quirks = QUIRK_MAX_TOKENS | QUIRK_NO_N,
     .adds = llamacpp_adds,
     .also = completions_also,
     .probe = &probe_inference},
    {.name = "lmstudio",
     .title = "LM Studio",
     .dialect = "openai",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .quirks = QUIRK_MAX_TOKENS | QUIRK_NO_N,
     .adds = lmstudio_adds,
     .also = completions_also,
     .probe = &probe_models},
    {.name = "mistral",
     .title = "Mistral AI",
     .dialect = "openai",
     .base_url = "https://api.mistral.ai/v1",
     .key_env = "MISTRAL_API_KEY",
     BEARER,
     .quirks = QUIRK_STRICT | QUIRK_MAX_TOKENS | QUIRK_NO_STREAM_OPTIONS | QUIRK_NO_DEVELOPER | QUIRK_RANDOM_SEED |
               QUIRK_CHOICE_ANY | QUIRK_PREFIX | QUIRK_TRANSLATE | QUIRK_MISTRAL_PARTS | QUIRK_ORDER | QUIRK_INFILL,
     .tool_ids = TOOL_ID_MISTRAL,
     .temperature_max = 1.5,
     .accepts = mistral_accepts,
     .probe = &probe_models},
    {.name = "nvidia",
     .title = "NVIDIA NIM",
     .dialect = "openai",
     .base_url = "https://integrate.api.nvidia.com/v1",
     .key_env = "NVIDIA_API_KEY",
     BEARER,
     .quirks = QUIRK_MAX_TOKENS,
     .refuses = nvidia_refuses,
     .probe = &probe_models},
    {.name = "ollama",
     .title = "Ollama",
     .dialect = "ollama",
     .base_url = "http://127.0.0.1:11434",
     .key_env = "OLLAMA_API_KEY",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .also = ollama_also,
     .also_path = "/v1",
     .probe = &probe_ollama},
    {.name = "openai",
     .title = "OpenAI",
     .dialect = "openai",
     .base_url = "https://api.openai.com/v1",
     .key_env = "OPENAI_API_KEY",
     BEARER,
     .quirks = QUIRK_FULL,
     .also = openai_also,
     .probe = &probe_models},
    {.name = "openrouter",
     .title = "OpenRouter",
     .dialect = "openai",
     .base_url = "https://openrouter.ai/api/v1",
     .key_env = "OPENROUTER_API_KEY",
     BEARER,
     .quirks = QUIRK_REASONING_FIELD | QUIRK_OPENROUTER,
     .adds = openrouter_adds,
     .reasoning_name = "reasoning",
     .also = completions_also,
     .probe = &probe_openrouter},
    {.name = "perplexity",
     .title = "Perplexity",
     .dialect = "openai",
     .base_url = "https://api.perplexity.ai",
     .key_env = "PERPLEXITY_API_KEY",
     BEARER,
     .quirks = QUIRK_MAX_TOKENS | QUIRK_NO_DEVELOPER | QUIRK_NO_N | QUIRK_NO_STREAM_OPTIONS | QUIRK_THINK_TAGS,
     .refuses = perplexity_refuses,
     .adds = perplexity_adds},
    {.name = "sglang",
     .title = "SGLang",
     .dialect = "openai",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .quirks = QUIRK_MAX_TOKENS | QUIRK_REASONING_FIELD | QUIRK_CONTINUE,
     .reasoning_name = "reasoning_content",
     .adds = sglang_adds,
     .also = completions_also,
     .probe = &probe_inference},
    {.name = "tei",
     .title = "Text Embeddings Inference",
     .dialect = "tei",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     NUMBERS_ONLY,
     .also_path = "/v1",
     .also = tei_also,
     .probe = &probe_inference},
    {.name = "tgi",
     .title = "Text Generation Inference",
     .dialect = "tgi",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .probe = &probe_inference},
    {.name = "together",
     .title = "Together AI",
     .dialect = "openai",
     .base_url = "https://api.together.xyz/v1",
     .key_env = "TOGETHER_API_KEY",
     BEARER,
     .quirks = QUIRK_MAX_TOKENS,
     .refuses = together_refuses,
     .adds = together_adds,
     .also = completions_also,
     .probe = &probe_models},
    {.name = "vertex",
     .title = "Google Vertex AI",
     .dialect = "gemini",
     .auth = AUTH_GOOGLE,
     BEARER,
     .quirks = QUIRK_VERTEX},
    {.name = "vertex-openapi",
     .title = "Google Vertex AI, models without JSON Schema",
     .dialect = "gemini",
     .auth = AUTH_GOOGLE,
     BEARER,
     .quirks = QUIRK_VERTEX | QUIRK_OPENAPI_SCHEMA},
    {.name = "vllm",
     .title = "vLLM",
     .dialect = "openai",
     .auth = AUTH_NONE_NEEDED,
     BEARER,
     .quirks = QUIRK_REASONING_FIELD | QUIRK_CONTINUE,
     .adds = vllm_adds,
     .reasoning_name = "reasoning",
     .also = vllm_also,
     .probe = &probe_inference},
    {.name = "xai",
     .title = "xAI",
     .dialect = "openai",
     .base_url = "https://api.x.ai/v1",
     .key_env = "XAI_API_KEY",
     BEARER,
     .refuses = xai_refuses,
     .also = openai_also,
     .probe = &probe_models},
};

const size_t vendor_count = ARRAY_LEN(vendor_table);

const struct vendor *vendor_find(struct str name)
{
    for (size_t i = 0; i < vendor_count; i++)
        if (str_eq(name, str_from_c(vendor_table[i].name)))
            return &vendor_table[i];
    return NULL;
}

static bool holds(const char *const *list, struct str name)
{
    for (; list && *list; list++)
        if (str_eq(name, str_from_c(*list)))
            return true;
    return false;
}

bool vendor_speaks(const struct vendor *v, const struct dialect *d)
{
    struct str name = str_from_c(d->name);

    if (str_eq(name, str_from_c(v->dialect)))
        return !(v->quirks & QUIRKS_OF_REQUESTS);
    return !(v->quirks & QUIRK_TRANSLATE) && holds(v->also, name);
}

bool vendor_accepts(const struct vendor *v, struct str field)
{
    return !holds(v->refuses, field) && (!(v->quirks & QUIRK_STRICT) || holds(v->accepts, field));
}

bool vendor_adds(const struct vendor *v, struct str field)
{
    return holds(v->adds, field);
}
