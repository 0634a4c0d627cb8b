/*
 * config_fields.c - the shape of the configuration file, as tables.
 *
 * These tables are the file format: the check, the structs, the JSON Schema and docs/configuration.md come from them.
 * What one table cannot say (that a target names a provider) is in config_build.c. Fields that design documents show
 * but this version cannot honour are listed as unavailable, so that they are refused with the remedy and never
 * silently ignored.
 */
#include "fleet/config_int.h"

#include "base/log.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_provider_name(struct str s)
{
    if (s.n == 0 || !is_name_char(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_name_char(s.p[i]) && s.p[i] != '_' && s.p[i] != '.' && s.p[i] != '-')
            return false;
    return true;
}

static bool is_model_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    return s.n > 0 && s.n <= 256;
}

/* RFC 9110, 5.6.2: token. */
static bool is_header_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!is_name_char(c) && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.n > 0;
}

static bool is_key_hash(struct str s)
{
    struct str hex = str_slice(s, strlen("sha256:"), s.n);

    if (!str_starts(s, STR("sha256:")) || hex.n != 64)
        return false;
    return strspn(hex.p, "0123456789abcdefABCDEF") >= 64;
}

const struct schema_pattern config_name = {"^[a-z0-9][a-z0-9_.-]*$", is_provider_name,
                                           "a name of lower-case letters, digits, \"_\", \".\" and \"-\""};
const struct schema_pattern config_model_name = {"^[^\\u0000-\\u0020\\u007f]{1,256}$", is_model_name,
                                                 "a name of 1 to 256 bytes without blanks"};
static const struct schema_pattern header_name = {"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", is_header_name,
                                                  "the name of an HTTP header"};
const struct schema_pattern config_key_hash = {
    "^sha256:[0-9a-fA-F]{64}$", is_key_hash,
    "\"sha256:\" and 64 hex digits, the hash of the key (printf %s \"$KEY\" | sha256sum)"};

const struct schema_field config_text_item = SCHEMA_ITEM(TEXT);
const struct schema_field config_model_item = SCHEMA_ITEM(TEXT, .pattern = &config_model_name);

/* ---- timeouts ---- */

static const struct schema_field default_timeouts[] = {
    SCHEMA_DURATION("connect", struct timeouts, connect, .default_text = "10s", .min = "1ms", .max = "1h",
                    .doc = "To reach the provider: name look-up, connection and TLS."),
    SCHEMA_DURATION("first_byte", struct timeouts, first_byte, .default_text = "120s", .min = "1ms", .max = "24h",
                    .never = true, .doc = "From the request's end to the head of the answer."),
    SCHEMA_DURATION("between_bytes", struct timeouts, between_bytes, .default_text = "60s", .min = "1ms", .max = "24h",
                    .never = true, .doc = "Between two pieces of the answer."),
    SCHEMA_DURATION("total", struct timeouts, total, .default_text = "600s", .min = "1ms", .max = "24h", .never = true,
                    .doc = "All attempts of a request together."),
    SCHEMA_DURATION("first_token", struct timeouts, first_token, .default_text = "none", .min = "1ms", .max = "24h",
                    .never = true, .doc = "Of a stream: from the request's end to the first content of the answer."),
    SCHEMA_DURATION("between_tokens", struct timeouts, between_tokens, .default_text = "none", .min = "1ms",
                    .max = "24h", .never = true,
                    .doc = "Of a stream: between two pieces of content; signs of life do not count."),
    SCHEMA_END};
static const struct schema_object default_timeouts_object = {.fields = default_timeouts,
                                                             .size = sizeof(struct timeouts)};

#define INHERITED(above) .default_doc = above
#define OWN_TIMEOUTS(above)                                                                                            \
    SCHEMA_DURATION("connect", struct timeouts, connect, .min = "1ms", .max = "1h", INHERITED(above),                  \
                    .doc = "To reach the provider: name look-up, connection and TLS."),                                \
        SCHEMA_DURATION("first_byte", struct timeouts, first_byte, .min = "1ms", .max = "24h", .never = true,          \
                        INHERITED(above), .doc = "From the request's end to the head of the answer."),                 \
        SCHEMA_DURATION("between_bytes", struct timeouts, between_bytes, .min = "1ms", .max = "24h", .never = true,    \
                        INHERITED(above), .doc = "Between two pieces of the answer."),                                 \
        SCHEMA_DURATION("total", struct timeouts, total, .min = "1ms", .max = "24h", .never = true, INHERITED(above),  \
                        .doc = "All attempts of a request together."),                                                 \
        SCHEMA_DURATION("first_token", struct timeouts, first_token, .min = "1ms", .max = "24h", .never = true,        \
                        INHERITED(above),                                                                              \
                        .doc = "Of a stream: from the request's end to the first content of the answer."),             \
        SCHEMA_DURATION("between_tokens", struct timeouts, between_tokens, .min = "1ms", .max = "24h", .never = true,  \
                        INHERITED(above),                                                                              \
                        .doc = "Of a stream: between two pieces of content; signs of life do not count.")

static const struct schema_field own_timeouts[] = {OWN_TIMEOUTS("as `timeouts`"), SCHEMA_END};
const struct schema_object config_own_timeouts = {.fields = own_timeouts, .size = sizeof(struct timeouts)};

/* ---- providers ---- */

static const struct schema_field header_value = SCHEMA_TEXT(NULL, struct file_header, value, .secret = true);

static const struct schema_field provider_tls[] = {
    SCHEMA_TEXT("ca", struct file_tls, ca, .default_doc = "the system's",
                .doc =
                    "Certificates that the provider's is checked against: path of a PEM file, or the PEM text itself."),
    SCHEMA_TEXT("cert", struct file_tls, cert,
                .doc = "Our own certificate, if the provider wants one (mTLS); path or PEM text."),
    SCHEMA_TEXT("key", struct file_tls, key, .secret = true, .doc = "Its private key; path or PEM text."),
    SCHEMA_BOOL("insecure_skip_verify", struct file_tls, insecure_skip_verify, .default_text = "false",
                .doc = "Accept any certificate. For trying things out only: anybody on the way can then read the key."),
    SCHEMA_END};
static const struct schema_object provider_tls_object = {.fields = provider_tls, .size = sizeof(struct file_tls)};

static const struct schema_field auth_fields[] = {
    SCHEMA_TEXT(
        "type", struct file_auth, type, .default_doc = "the vendor's usual chain",
        .doc = "`aws`, `google` or `azure` look in the places that the vendor's SDKs look in, in their order; "
               "`aws-static`, `aws-environment`, `aws-profile`, `aws-web-identity`, `aws-container`, `aws-instance`, "
               "`aws-assume-role`, "
               "`google-service-account`, `google-external-account`, `google-authorized-user`, `google-metadata`, "
               "`azure-client-secret`, `azure-workload-identity` and `azure-managed-identity` look in that one only."),
    SCHEMA_TEXT("file", struct file_auth, file,
                .doc = "Google: credentials file, as `GOOGLE_APPLICATION_CREDENTIALS` names it."),
    SCHEMA_TEXT("scope", struct file_auth, scope, .doc = "Google, Azure: OAuth scope."),
    SCHEMA_TEXT("token_url", struct file_auth, token_url, .doc = "Google: token endpoint instead of the file's."),
    SCHEMA_TEXT("metadata_url", struct file_auth, metadata_url, .doc = "Metadata server, `http://host:port`."),
    SCHEMA_TEXT("tenant", struct file_auth, tenant, .doc = "Azure: directory (tenant) id."),
    SCHEMA_TEXT("client_id", struct file_auth, client_id, .doc = "Azure: application (client) id."),
    SCHEMA_TEXT("client_secret", struct file_auth, client_secret, .secret = true, .doc = "Azure: its secret."),
    SCHEMA_TEXT("token_file", struct file_auth, token_file,
                .doc = "Azure, AWS: file with the federated token of a workload."),
    SCHEMA_TEXT("authority", struct file_auth, authority, .doc = "Azure: login host, of national clouds."),
    SCHEMA_TEXT("access_key_id", struct file_auth, access_key_id, .doc = "AWS: access key id."),
    SCHEMA_TEXT("secret_access_key", struct file_auth, secret_access_key, .secret = true, .doc = "AWS: its secret."),
    SCHEMA_TEXT("session_token", struct file_auth, session_token, .secret = true,
                .doc = "AWS: session token of a temporary key."),
    SCHEMA_TEXT("profile", struct file_auth, profile,
                .doc = "AWS: profile of `~/.aws/config` and `~/.aws/credentials`."),
    SCHEMA_TEXT("role_arn", struct file_auth, role_arn, .doc = "AWS: role to assume."),
    SCHEMA_TEXT("external_id", struct file_auth, external_id, .doc = "AWS: external id that the role demands."),
    SCHEMA_TEXT("session_name", struct file_auth, session_name, .doc = "AWS: name of the role's session."),
    SCHEMA_TEXT("sts_url", struct file_auth, sts_url, .doc = "AWS: endpoint of the Security Token Service."),
    SCHEMA_END};
static const struct schema_object auth_object = {.fields = auth_fields,
                                                 .size = sizeof(struct file_auth),
                                                 .node_offset = SCHEMA_NODE_AT(struct file_auth, node),
                                                 .shorthand = "type"};

static const struct schema_field simulate_forms[] = {
    {.kind = SCHEMA_KIND_BOOL, .offset = SCHEMA_AT(struct file_provider, simulate, bool)},
    {.kind = SCHEMA_KIND_TEXT, .offset = SCHEMA_AT(struct file_provider, scenario, struct schema_text)},
    SCHEMA_END};

static const struct schema_choice think_tags[] = {
    {"auto", THINK_TAGS_AUTO,
     "`split` for vendors that have no field for them, where a request is translated anyway; else `keep`"},
    {"keep", THINK_TAGS_KEEP, "they are in a field of their own, or stay in the text"},
    {"split", THINK_TAGS_SPLIT,
     "at the beginning of the text, between tags: servers without a parser for their model's reasoning"},
    {"begun", THINK_TAGS_BEGUN, "likewise, of a model whose template has written the opening tag already"},
    {NULL, 0, NULL}};

static const struct schema_field provider_fields[] = {
    SCHEMA_TEXT("dialect", struct file_provider, dialect, .default_text = "openai",
                .doc =
                    "Whose API it is, and so what it speaks: `openai`, `anthropic`, `gemini`, `bedrock`, `mistral`, … "
                    "(docs/dialects.md lists them all); `custom` for any other server that speaks OpenAI's."),
    SCHEMA_TEXT("base_url", struct file_provider, base_url, .secret = true, .default_doc = "the vendor's own",
                .doc = "Where its API is, up to but without the endpoint: `https://api.openai.com/v1`, "
                       "`http://127.0.0.1:8000/v1`, "
                       "or `unix:/run/model.sock:/v1` for a server on a local socket."),
    SCHEMA_TEXT("region", struct file_provider, region,
                .doc = "Of Amazon Bedrock (`us-east-1`) and Vertex AI (`us-central1`, `global`): part of the base URL "
                       "and of signatures."),
    SCHEMA_TEXT("project", struct file_provider, project, .doc = "Google Cloud project, of Vertex AI."),
    SCHEMA_TEXT("api_version", struct file_provider, api_version,
                .doc =
                    "Version of the API where a provider has several: Anthropic's header (`2023-06-01`), Azure's query "
                    "parameter (`2024-10-21`: then models are deployments in the path)."),
    SCHEMA_TEXT("api_key", struct file_provider, api_key, .secret = true,
                .doc = "Credential sent with each request: `\"${OPENAI_API_KEY}\"` or `\"file:/run/secrets/openai\"`."),
    SCHEMA_LIST(
        "api_keys", struct file_provider, api_keys, api_key_count, &config_api_key_item, .single = true, .min = "1",
        .doc =
            "Several credentials instead of `api_key`, which share the requests by what their rate limits leave: see "
            "docs/reliability.md."),
    SCHEMA_OBJECT(
        "auth", struct file_provider, auth, &auth_object,
        .doc = "Credentials that expire, of providers that need more than a key: Amazon Bedrock without a bearer key, "
               "Vertex AI, Azure with Entra ID. They are renewed before they expire."),
    SCHEMA_MAP("headers", struct file_provider, headers, header_count, &header_value, struct file_header, name,
               .pattern = &header_name,
               .doc = "Further headers to send with each request. Values may be `file:` secrets."),
    SCHEMA_TEXT("proxy", struct file_provider, proxy, .secret = true,
                .default_doc = "`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` of the environment",
                .doc = "HTTP proxy to go through, `http://host:port`; `none`: go directly."),
    SCHEMA_OBJECT("tls", struct file_provider, tls, &provider_tls_object, .doc = "TLS towards the provider."),
    SCHEMA_OBJECT("timeouts", struct file_provider, timeouts, &config_own_timeouts,
                  .doc = "Time limits at this provider."),
    SCHEMA_OBJECT("health", struct file_provider, health, &config_health_object,
                  .doc = "How its deployments are looked after when no traffic tells how they are."),
    SCHEMA_BOOL("stream_usage", struct file_provider, stream_usage, .default_text = "true",
                .doc = "Ask for token counts in streams (`stream_options.include_usage`) when the client does not; the "
                       "extra chunk "
                       "is taken out again. `false` for providers that refuse the field, such as Mistral."),
    SCHEMA_ENUM("think_tags", struct file_provider, think_tags, think_tags, .default_text = "auto",
                .doc =
                    "Where its models' thoughts are: `split` tells what an answer's text begins with between `<think>` "
                    "and `</think>` as reasoning, in the client's own form, also to clients of the provider's own "
                    "dialect."),
    SCHEMA_UNSIGNED("max_connections", struct file_provider, max_connections, .default_text = "4096", .min = "1",
                    .max = "1000000", .doc = "Most connections at a time, per worker. Requests beyond wait for one."),
    SCHEMA_OBJECT("concurrency", struct file_provider, concurrency, &config_concurrency_object,
                  .doc =
                      "Requests that each of its deployments gets at a time. Others go elsewhere, or wait (`queue` of "
                      "a model)."),
    SCHEMA_OBJECT("objectives", struct file_provider, objectives, &config_objectives_object,
                  .doc = "How fast answers of its deployments shall be: the number of requests at a time is adapted to "
                         "that."),
    SCHEMA_LIST("serves", struct file_provider, serves, serves_count, &config_text_item, .single = true,
                .doc = "Models that clients may ask for as `provider/model` without an entry under `models`: their "
                       "ids, or `\"*\"` "
                       "for all that the provider has."),
    SCHEMA_LIST(
        "tags", struct file_provider, tags, tag_count, &config_tag_item, .single = true,
        .doc =
            "Words about it that rules can ask for, such as `eu` or `zero-retention`; all its deployments have them."),
    SCHEMA_BOOL("optional", struct file_provider, optional, .default_text = "false",
                .doc =
                    "Leave the provider out, and every target that names it, when an environment variable that it uses "
                    "(`${NAME}` without a default) is unset or empty."),
    SCHEMA_BOOL("pipelines", struct file_provider, pipelines, .default_text = "false",
                .doc =
                    "Its models are pipelines of this configuration, by the name that their source `chat` has: targets "
                    "such as `<provider>/support`."),
    SCHEMA_ONE_OF("simulate", simulate_forms, .default_doc = "`false`",
                  .doc = "Answer from the built-in simulator, at no cost and without a network: `true`, or the path of "
                         "a scenario file."),
    SCHEMA_END};
static const struct schema_object provider_object = {.fields = provider_fields,
                                                     .size = sizeof(struct file_provider),
                                                     .node_offset = SCHEMA_NODE_AT(struct file_provider, node)};
static const struct schema_field provider_item =
    SCHEMA_ITEM_OBJECT(&provider_object, .doc = "An account at a vendor, or a server of your own.");

static const struct schema_field model_entry =
    SCHEMA_ITEM_OBJECT(&config_model_object, .doc = "A name that clients ask for, and where it goes.");

/* ---- keys ---- */

static const struct schema_field metadata_value = SCHEMA_TEXT(NULL, struct file_pair, value);
static const struct schema_choice override_choices[] = {
    {"all", OVERRIDE_ALL, "everything below"},
    {"none", 0, "nothing"},
    {"models", OVERRIDE_MODELS, "`x-crossdock-models`: which models to try, of those that the key may use"},
    {"timeout", OVERRIDE_TIMEOUT, "`x-crossdock-timeout`: a shorter time for the whole request"},
    {"no-fallback", OVERRIDE_NO_FALLBACK, "`x-crossdock-no-fallback`: rather fail than fall back"},
    {NULL, 0, NULL}};
static const struct schema_field override_item = SCHEMA_ITEM(ENUM, .choices = override_choices);

static const struct schema_field key_fields[] = {
    SCHEMA_TEXT("name", struct file_key, name, .required = true, .pattern = &config_model_name,
                .doc = "Whose key it is, for logs and metrics. Each name once."),
    SCHEMA_TEXT("hash", struct file_key, hash, .required = true, .secret = true, .pattern = &config_key_hash,
                .doc = "`sha256:` and the SHA-256 of the key in hex: `printf %s \"$KEY\" | sha256sum`. The key itself "
                       "is stored nowhere."),
    SCHEMA_TEXT("aws_access_key_id", struct file_key, aws_access_key_id,
                .doc = "For AWS SDKs, which sign instead of sending a key: the access key id that they are given, any "
                       "text of your own."),
    SCHEMA_TEXT("aws_secret_access_key", struct file_key, aws_secret_access_key, .secret = true,
                .doc = "Its secret. A signature can be verified only with the secret itself, so this one is no hash: "
                       "take it from the environment or a file."),
    SCHEMA_LIST("models", struct file_key, models, model_count, &config_model_item, .single = true,
                .default_doc = "all", .min = "1",
                .doc = "Models that it may use; `*` at the end stands for any rest (`openai/*`)."),
    SCHEMA_TEXT("team", struct file_key, team, .doc = "Whom it belongs to, for conditions: `.key.team`."),
    SCHEMA_LIST("tags", struct file_key, tags, tag_count, &config_tag_item, .single = true,
                .doc = "Words about it, for conditions: `.key.tags`."),
    SCHEMA_MAP("metadata", struct file_key, metadata, metadata_count, &metadata_value, struct file_pair, name,
               .doc = "Facts about it, for conditions: `.key.metadata`."),
    SCHEMA_LIST("require", struct file_key, required, required_count, &config_tag_item, .single = true,
                .doc = "Tags that a deployment must have to get its requests, fallbacks included."),
    SCHEMA_LIST("overrides", struct file_key, overrides, override_count, &override_item, .single = true,
                .default_doc = "`all`", .doc = "What its requests may decide themselves, by header."),
    SCHEMA_ENUM("priority", struct file_key, priority, config_priorities, .default_text = "normal",
                .doc = "Who goes first when requests wait. A request may lower its own with the header "
                       "`x-crossdock-priority`."),
    SCHEMA_UNSIGNED("weight", struct file_key, weight, .default_text = "1", .min = "1", .max = "1000",
                    .doc = "Its share of what is served when requests wait, in proportion to the other keys'."),
    SCHEMA_END};
static const struct schema_object key_object = {
    .fields = key_fields, .size = sizeof(struct file_key), .node_offset = SCHEMA_NODE_AT(struct file_key, node)};
static const struct schema_field key_item =
    SCHEMA_ITEM_OBJECT(&key_object, .doc = "A key that clients authenticate with.");

/* ---- the file ---- */

static const struct schema_field tls_fields[] = {
    SCHEMA_TEXT("cert", struct config_file, tls.cert, .required = true,
                .doc = "Certificate chain that clients see: path of a PEM file, or the PEM text itself."),
    SCHEMA_TEXT("key", struct config_file, tls.key, .required = true, .secret = true,
                .doc = "Its private key; path or PEM text."),
    SCHEMA_TEXT("client_ca", struct config_file, tls.client_ca,
                .doc = "Demand certificates from clients, signed by one of these; path or PEM text."),
    SCHEMA_END};
static const struct schema_object tls_object = {.fields = tls_fields,
                                                .size = sizeof(struct config_file),
                                                .node_offset = SCHEMA_NODE_AT(struct config_file, tls.node)};

static const struct schema_field limit_fields[] = {
    SCHEMA_SIZE("body", struct config_file, limits.body, .default_text = "64MiB", .min = "1KiB", .max = "4GiB",
                .doc = "Size of a request's body."),
    SCHEMA_SIZE("header_bytes", struct config_file, limits.header_bytes, .default_text = "64KiB", .min = "1KiB",
                .max = "1MiB", .doc = "Size of a request's head, all headers together."),
    SCHEMA_UNSIGNED("header_count", struct config_file, limits.header_count, .default_text = "100", .min = "8",
                    .max = "1000", .doc = "Headers of a request."),
    SCHEMA_UNSIGNED("connections", struct config_file, limits.connections, .default_text = "100000", .min = "1",
                    .max = "10000000", .doc = "Client connections at a time. The limit of open files bounds them too."),
    SCHEMA_DURATION("header_time", struct config_file, limits.header_time, .default_text = "10s", .min = "100ms",
                    .max = "1h", .doc = "For a client to send the head of a request, once begun."),
    SCHEMA_DURATION("body_gap", struct config_file, limits.body_gap, .default_text = "30s", .min = "100ms", .max = "1h",
                    .doc = "Between two pieces of a request's body."),
    SCHEMA_DURATION("idle_time", struct config_file, limits.idle_time, .default_text = "75s", .min = "100ms",
                    .max = "24h", .never = true, .doc = "A connection without a request stays open for so long."),
    SCHEMA_DURATION("write_gap", struct config_file, limits.write_gap, .default_text = "60s", .min = "100ms",
                    .max = "1h", .doc = "A client that takes no byte of its answer for so long is cut off."),
    SCHEMA_SIZE(
        "held_answer", struct config_file, limits.held_answer, .default_text = "1MiB", .max = "1GiB",
        .doc =
            "An answer that is no stream is held back up to this size, so that another target can still be tried if it "
            "breaks off."),
    SCHEMA_END};
static const struct schema_field fetch_fields[] = {
    SCHEMA_BOOL("enabled", struct config_file, fetch.on, .default_text = "false",
                .doc = "Fetch pictures and files that clients name by URL, for providers that take only bytes. Off, "
                       "such parts are "
                       "dropped and reported."),
    SCHEMA_SIZE("max_bytes", struct config_file, fetch.max_bytes, .default_text = "20MiB", .min = "1KiB", .max = "1GiB",
                .doc = "Of one file."),
    SCHEMA_DURATION("time", struct config_file, fetch.time, .default_text = "10s", .min = "100ms", .max = "5m",
                    .doc = "For one file, with everything."),
    SCHEMA_UNSIGNED("max_redirects", struct config_file, fetch.max_redirects, .default_text = "3", .max = "20",
                    .doc = "Each is checked like the first URL."),
    SCHEMA_UNSIGNED("at_once", struct config_file, fetch.at_once, .default_text = "4", .min = "1", .max = "64",
                    .doc = "Files of one request that are fetched side by side."),
    SCHEMA_BOOL("allow_http", struct config_file, fetch.allow_http, .default_text = "false", .doc = "Else https only."),
    SCHEMA_BOOL("allow_ports", struct config_file, fetch.allow_ports, .default_text = "false",
                .doc = "Any port, else the scheme's own."),
    SCHEMA_LIST("hosts", struct config_file, fetch.hosts, fetch.host_count, &config_text_item, .single = true,
                .default_doc = "any", .doc = "Hosts that may be asked: `example.org`, `*.example.org`."),
    SCHEMA_LIST("networks", struct config_file, fetch.networks, fetch.network_count, &config_text_item, .single = true,
                .doc = "Networks that may be reached although they are not public: `10.1.0.0/16`."),
    SCHEMA_LIST("media_types", struct config_file, fetch.media_types, fetch.media_type_count, &config_text_item,
                .single = true, .default_doc = "`image/*`, `audio/*`, `video/*`, `application/pdf`, `text/*`",
                .doc = "What is accepted."),
    SCHEMA_END};
static const struct schema_object fetch_object = {
    .fields = fetch_fields, .size = sizeof(struct config_file), .shorthand = "enabled"};

static const struct schema_object limits_object = {.fields = limit_fields, .size = sizeof(struct config_file)};

static const struct schema_choice log_levels[] = {{"debug", LOG_DEBUG, "everything"},
                                                  {"info", LOG_INFO, "what an operator wants to know"},
                                                  {"warn", LOG_WARN, "what may need attention"},
                                                  {"error", LOG_ERROR, "what failed"},
                                                  {NULL, 0, NULL}};
static const struct schema_choice log_forms[] = {{"auto", LOG_FORM_AUTO, "console on a terminal, else json"},
                                                 {"json", LOG_FORM_JSON, "one JSON object a line"},
                                                 {"console", LOG_FORM_CONSOLE, "for people"},
                                                 {NULL, 0, NULL}};
static const struct schema_field log_fields[] = {
    SCHEMA_ENUM("level", struct config_file, log.level, log_levels, .default_text = "info",
                .doc = "Least important lines to write."),
    SCHEMA_ENUM("format", struct config_file, log.format, log_forms, .default_text = "auto", .doc = "How lines look."),
    SCHEMA_STRING("access", struct config_file, log.access, .default_text = "stdout",
                  .doc = "Where a line per request goes: `stdout`, `stderr`, `off`, or the path of a file."),
    SCHEMA_END};
static const struct schema_object log_object = {.fields = log_fields, .size = sizeof(struct config_file)};

static const struct schema_field rule_item =
    SCHEMA_ITEM_OBJECT(&config_rule_object, .doc = "Where requests go that fit a condition.");

static const struct schema_field file_fields[] = {
    SCHEMA_LIST("listen", struct config_file, listens, listen_count, &config_text_item, .single = true,
                .default_text = "127.0.0.1:8080", .min = "1",
                .doc = "Addresses to serve on: `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every address), "
                       "`unix:/run/crossdock.sock`."),
    SCHEMA_UNSIGNED("workers", struct config_file, workers, .default_doc = "one per processor", .max = "1024",
                    .doc = "Event loops, each on a thread of its own."),
    SCHEMA_OBJECT_HERE("tls", &tls_object, .doc = "Serve HTTPS."),
    SCHEMA_BOOL("anonymous", struct config_file, anonymous, .default_text = "false",
                .doc = "Serve everybody who can connect, although an address is not a loopback one."),
    SCHEMA_OBJECT_HERE("limits", &limits_object, .doc = "What clients may do."),
    SCHEMA_OBJECT_HERE("fetch", &fetch_object,
                       .doc = "Fetching what clients name by URL. Only public addresses are ever connected to."),
    SCHEMA_OBJECT("timeouts", struct config_file, timeouts, &default_timeouts_object,
                  .doc = "Time limits towards providers, where neither provider nor model says otherwise."),
    SCHEMA_DURATION("drain", struct config_file, drain, .default_text = "30s", .max = "24h",
                    .doc = "How long requests in flight may go on after SIGTERM."),
    SCHEMA_OBJECT_HERE("log", &log_object, .doc = "The program's own log, and the access log."),
    SCHEMA_MAP("providers", struct config_file, providers, provider_count, &provider_item, struct file_provider, name,
               .default_doc = "required, except where there are `pipelines` or a `registry`", .min = "1",
               .pattern = &config_name, .doc = "Accounts at vendors and servers of your own."),
    SCHEMA_MAP(
        "deployments", struct config_file, deployments, deployment_count, &config_deployment, struct file_deployment,
        name, .key_doc = "provider/model",
        .doc = "What is to be known of models at providers, instead of what the book of models says "
               "(docs/prices.md): price, limits, abilities, tags. `provider/*` holds for what has no say of its own."),
    SCHEMA_MAP("models", struct config_file, models, model_count, &model_entry, struct file_model, name,
               .pattern = &config_model_name, .doc = "Names that clients ask for, and where each goes."),
    SCHEMA_LIST("routes", struct config_file, rules, rule_count, &rule_item,
                .doc = "Rules that send requests to another model than they name. The first that fits wins; a request "
                       "that none fits goes by the model that it names."),
    SCHEMA_LIST("keys", struct config_file, keys, key_count, &key_item,
                .doc = "Keys that clients authenticate with. Without any, only loopback addresses are served, unless "
                       "`anonymous`."),
    SCHEMA_TEXT("pass_through", struct config_file, pass_through,
                .default_doc =
                    "the first provider with dialect `openai` that is not simulated, else the first simulated one",
                .doc = "Provider that gets requests for all other paths below `/v1`; `none`: nobody."),
    SCHEMA_OBJECT("facts", struct config_file, facts, &config_facts_object,
                  .doc = "What is kept of requests: who was asked, why, and what came of it. Never bodies."),
    SCHEMA_OBJECT("admin", struct config_file, admin, &config_admin_object, .doc = "Endpoints for operators."),
    SCHEMA_LIST(
        "pipelines", struct config_file, pipelines, pipeline_count, &config_pipeline_item, .single = true,
        .doc = "Pipelines (docs/pipelines.md): paths of files, or of folders of `*.yaml`, or pipelines themselves."),
    SCHEMA_ANY(
        "connections", struct config_file, connections,
        .doc = "Systems that sources and sinks of pipelines connect to, by name, as in `connections` of a pipeline."),
    SCHEMA_OBJECT("journal", struct config_file, journal, &config_journal_object,
                  .doc = "Where pipelines keep what they must not forget."),
    SCHEMA_OBJECT("registry", struct config_file, registry, &config_registry_object,
                  .doc = "A schema registry, served by the same process."),
    SCHEMA_BOOL("explain_headers", struct config_file, explain_headers, .default_text = "true",
                .doc = "Tell clients in `x-crossdock-route`, `-deployment`, `-attempts` and `-reason` where their "
                       "request went, and why."),
    SCHEMA_END};
const struct schema_object config_object = {
    .fields = file_fields, .size = sizeof(struct config_file), .node_offset = SCHEMA_NODE_AT(struct config_file, node)};

static const struct schema_about about = {
    .title = "crossdock configuration",
    .doc = "Which providers and models there are, who may use them, and how they are served.",
    .expands = true,
    .heading = 3,
};

err_t config_schema(struct buf *to)
{
    return schema_print_json(&config_object, &about, to);
}

err_t config_reference(struct buf *to)
{
    return schema_print_markdown(&config_object, &about, to);
}
