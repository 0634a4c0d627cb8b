/*
 * litellm_vendors.c - LiteLLM's providers and what they are called here.
 *
 * From LiteLLM's provider pages, November 2026: the prefix before the slash of a model, the variables that LiteLLM reads when the file
 * gives no key or address, and where api_base ends. Rows with a slash in their prefix are of one provider under a condition that
 * litellm_models.c knows. A provider that speaks OpenAI's API and has no dialect of its own here is "custom" with
 * its address. Those that LiteLLM knows and we cannot speak to are rows without a dialect, so that they are told from misspelt ones.
 */
#include "codec/schema.h"
#include "migrate/litellm_int.h"

static const struct litellm_vendor vendors[] = {
    {"anthropic", "anthropic", NULL, "ANTHROPIC_API_KEY", NULL, BASE_V1},
    {"anthropic_text", "anthropic", NULL, "ANTHROPIC_API_KEY", NULL, BASE_V1},
    {"azure", "azure", NULL, "AZURE_API_KEY", "AZURE_API_BASE", BASE_AZURE},
    {"azure/dated", "azure-deployments", NULL, "AZURE_API_KEY", "AZURE_API_BASE", BASE_DATED},
    {"azure_ai", "azure", NULL, "AZURE_AI_API_KEY", "AZURE_AI_API_BASE", BASE_AZURE},
    {"azure_ai/claude", "anthropic-foundry", NULL, "AZURE_AI_API_KEY", "AZURE_AI_API_BASE", BASE_FOUNDRY},
    {"azure_text", "azure", NULL, "AZURE_API_KEY", "AZURE_API_BASE", BASE_AZURE},
    {"bedrock", "bedrock", NULL, NULL, NULL, BASE_BEDROCK},
    {"bedrock_converse", "bedrock", NULL, NULL, NULL, BASE_BEDROCK},
    {"cerebras", "cerebras", NULL, "CEREBRAS_API_KEY", NULL, BASE_AS_IS},
    {"codestral", "mistral", "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY", NULL, BASE_AS_IS},
    {"cohere", "cohere", NULL, "COHERE_API_KEY", NULL, BASE_ORIGIN},
    {"cohere_chat", "cohere", NULL, "COHERE_API_KEY", NULL, BASE_ORIGIN},
    {"custom_openai", "custom", NULL, NULL, NULL, BASE_AS_IS},
    {"dashscope", "custom", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", NULL,
     BASE_AS_IS},
    {"databricks", "custom", NULL, "DATABRICKS_API_KEY", "DATABRICKS_API_BASE", BASE_AS_IS},
    {"deepinfra", "custom", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", NULL, BASE_AS_IS},
    {"deepseek", "deepseek", NULL, "DEEPSEEK_API_KEY", NULL, BASE_AS_IS},
    {"docker_model_runner", "custom", NULL, NULL, NULL, BASE_AS_IS},
    {"featherless_ai", "custom", "https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY", NULL, BASE_AS_IS},
    {"fireworks_ai", "fireworks", NULL, "FIREWORKS_AI_API_KEY", NULL, BASE_AS_IS},
    {"gemini", "gemini", NULL, "GEMINI_API_KEY", NULL, BASE_AS_IS},
    {"groq", "groq", NULL, "GROQ_API_KEY", NULL, BASE_AS_IS},
    {"hosted_vllm", "vllm", NULL, NULL, "HOSTED_VLLM_API_BASE", BASE_AS_IS},
    {"huggingface", "huggingface", NULL, "HF_TOKEN", NULL, BASE_AS_IS},
    {"huggingface/server", "tgi", NULL, "HF_TOKEN:-", NULL, BASE_ORIGIN},
    {"huggingface/texts", "tei", NULL, "HF_TOKEN:-", NULL, BASE_ORIGIN},
    {"hyperbolic", "custom", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", NULL, BASE_AS_IS},
    {"jina_ai", "jina", NULL, "JINA_AI_API_KEY", NULL, BASE_AS_IS},
    {"lambda_ai", "custom", "https://api.lambda.ai/v1", "LAMBDA_API_KEY", NULL, BASE_AS_IS},
    {"litellm_proxy", "custom", NULL, "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE", BASE_AS_IS},
    {"llamafile", "llamacpp", "http://127.0.0.1:8080/v1", NULL, NULL, BASE_AS_IS},
    {"lm_studio", "lmstudio", NULL, NULL, "LM_STUDIO_API_BASE", BASE_AS_IS},
    {"meta_llama", "custom", "https://api.llama.com/compat/v1", "LLAMA_API_KEY", NULL, BASE_AS_IS},
    {"mistral", "mistral", NULL, "MISTRAL_API_KEY", NULL, BASE_AS_IS},
    {"moonshot", "custom", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", NULL, BASE_AS_IS},
    {"novita", "custom", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY", NULL, BASE_AS_IS},
    {"nvidia_nim", "nvidia", NULL, "NVIDIA_NIM_API_KEY", NULL, BASE_AS_IS},
    {"ollama", "ollama", NULL, NULL, NULL, BASE_ORIGIN},
    {"ollama_chat", "ollama", NULL, NULL, NULL, BASE_ORIGIN},
    {"openai", "openai", NULL, "OPENAI_API_KEY", NULL, BASE_AS_IS},
    {"openai_like", "custom", NULL, "OPENAI_LIKE_API_KEY", NULL, BASE_AS_IS},
    {"openrouter", "openrouter", NULL, "OPENROUTER_API_KEY", NULL, BASE_AS_IS},
    {"perplexity", "perplexity", NULL, "PERPLEXITYAI_API_KEY", NULL, BASE_AS_IS},
    {"sambanova", "custom", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", NULL, BASE_AS_IS},
    {"text-completion-openai", "openai", NULL, "OPENAI_API_KEY", NULL, BASE_AS_IS},
    {"together_ai", "together", NULL, "TOGETHERAI_API_KEY", NULL, BASE_AS_IS},
    {"vercel_ai_gateway", "custom", "https://ai-gateway.vercel.sh/v1", "VERCEL_AI_GATEWAY_API_KEY", NULL, BASE_AS_IS},
    {"vertex_ai", "vertex", NULL, NULL, NULL, BASE_VERTEX},
    {"vertex_ai/claude", "anthropic-vertex", NULL, NULL, NULL, BASE_VERTEX},
    {"vertex_ai_beta", "vertex", NULL, NULL, NULL, BASE_VERTEX},
    {"vllm", "vllm", NULL, NULL, "HOSTED_VLLM_API_BASE", BASE_AS_IS},
    {"xai", "xai", NULL, "XAI_API_KEY", NULL, BASE_AS_IS},
    {"xinference", "custom", NULL, NULL, NULL, BASE_AS_IS},
    {"zai", "custom", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", NULL, BASE_AS_IS},
    /* Known, and not to be spoken to. */
    {.prefix = "aleph_alpha"},
    {.prefix = "assemblyai"},
    {.prefix = "baseten"},
    {.prefix = "clarifai"},
    {.prefix = "cloudflare"},
    {.prefix = "deepgram"},
    {.prefix = "elevenlabs"},
    {.prefix = "gigachat"},
    {.prefix = "github_copilot"},
    {.prefix = "nlp_cloud"},
    {.prefix = "oci"},
    {.prefix = "petals"},
    {.prefix = "predibase"},
    {.prefix = "replicate"},
    {.prefix = "sagemaker"},
    {.prefix = "sagemaker_chat"},
    {.prefix = "snowflake"},
    {.prefix = "triton"},
    {.prefix = "voyage"},
    {.prefix = "watsonx"},
};

/* Whose models begin so when no provider is named. */
static const struct {
    const char *begins, *prefix;
} guesses[] = {
    {"gpt-", "openai"},        {"chatgpt-", "openai"}, {"o1", "openai"},      {"o3", "openai"},
    {"o4", "openai"},          {"ft:gpt-", "openai"},  {"dall-e-", "openai"}, {"text-embedding-", "openai"},
    {"whisper-", "openai"},    {"tts-", "openai"},     {"davinci", "openai"}, {"babbage", "openai"},
    {"omni-", "openai"},       {"codex-", "openai"},   {"sora-", "openai"},   {"claude-", "anthropic"},
    {"gemini-", "vertex_ai"},  {"command", "cohere"},  {"embed-", "cohere"},  {"rerank-", "cohere"},
    {"anthropic.", "bedrock"}, {"amazon.", "bedrock"}, {"meta.", "bedrock"},  {"us.", "bedrock"},
    {"eu.", "bedrock"},
};

const struct litellm_vendor *litellm_vendor_find(struct str prefix)
{
    for (size_t i = 0; i < ARRAY_LEN(vendors); i++)
        if (str_eq(prefix, str_from_c(vendors[i].prefix)))
            return &vendors[i];
    return NULL;
}

const struct litellm_vendor *litellm_vendor_guess(struct str model)
{
    for (size_t i = 0; i < ARRAY_LEN(guesses); i++)
        if (str_starts(model, str_from_c(guesses[i].begins)))
            return litellm_vendor_find(str_from_c(guesses[i].prefix));
    return NULL;
}

const char *litellm_vendor_nearest(struct arena *a, struct str prefix)
{
    struct str best = STR_NONE;
    unsigned distance = 0;

    for (size_t i = 0; i < ARRAY_LEN(vendors); i++)
        schema_nearest(prefix, str_from_c(vendors[i].prefix), &best, &distance);
    return schema_suggest(a, prefix, best, distance);
}
