/* gemini_messages.c - the members of Gemini's request messages, as the documentation of the Gemini API and Vertex AI lists them. */
#include "sim/gemini_int.h"

#define FIELDS(list) {list, ARRAY_LEN(list)}
#define TEXT(field) {.name = STR_INIT(field), .kind = PROTO_STRING}
#define TEXTS(field) {.name = STR_INIT(field), .kind = PROTO_STRING, .repeated = true}
#define BOOL(field) {.name = STR_INIT(field), .kind = PROTO_BOOL}
#define INT(field) {.name = STR_INIT(field), .kind = PROTO_INT}
#define NUMBER(field) {.name = STR_INIT(field), .kind = PROTO_NUMBER}
#define BYTES(field) {.name = STR_INIT(field), .kind = PROTO_BYTES}
#define STRUCT(field) {.name = STR_INIT(field), .kind = PROTO_STRUCT}
#define VALUE(field) {.name = STR_INIT(field), .kind = PROTO_VALUE}
#define ENUM(field, list) {.name = STR_INIT(field), .kind = PROTO_ENUM, .names = list}
#define ENUMS(field, list) {.name = STR_INIT(field), .kind = PROTO_ENUM, .names = list, .repeated = true}
#define ONE(field, type) {.name = STR_INIT(field), .kind = PROTO_MESSAGE, .message = &type}
#define MANY(field, type) {.name = STR_INIT(field), .kind = PROTO_MESSAGE, .message = &type, .repeated = true}

/* --- schemas: the part of OpenAPI 3.0 that is known --- */

static const char *const schema_types[] = {"TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY",
                                           "OBJECT",           "NULL",   NULL};

static const struct proto_message schema_message;

static const struct proto_field schema_fields[] = {
    {.name = STR_INIT("type"), .kind = PROTO_ENUM, .names = schema_types, .any_case = true},
    TEXT("format"),
    TEXT("title"),
    TEXT("description"),
    BOOL("nullable"),
    TEXTS("enum"),
    INT("maxItems"),
    INT("minItems"),
    {.name = STR_INIT("properties"), .kind = PROTO_MAP, .message = &schema_message},
    TEXTS("required"),
    INT("minProperties"),
    INT("maxProperties"),
    INT("minLength"),
    INT("maxLength"),
    TEXT("pattern"),
    VALUE("example"),
    MANY("anyOf", schema_message),
    TEXTS("propertyOrdering"),
    VALUE("default"),
    ONE("items", schema_message),
    NUMBER("minimum"),
    NUMBER("maximum"),
};
static const struct proto_message schema_message = FIELDS(schema_fields);

/* --- contents --- */

static const char *const levels[] = {"MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW",
                                     "MEDIA_RESOLUTION_MEDIUM",      "MEDIA_RESOLUTION_HIGH",
                                     "MEDIA_RESOLUTION_ULTRA_HIGH",  NULL};

static const struct proto_field blob_fields[] = {TEXT("mimeType"), BYTES("data"), TEXT("displayName")};
static const struct proto_message blob_message = FIELDS(blob_fields);
static const struct proto_field file_fields[] = {TEXT("mimeType"), TEXT("fileUri"), TEXT("displayName")};
static const struct proto_message file_message = FIELDS(file_fields);
static const struct proto_field call_fields[] = {TEXT("id"), TEXT("name"), STRUCT("args")};
static const struct proto_message call_message = FIELDS(call_fields);
static const struct proto_field video_fields[] = {TEXT("startOffset"), TEXT("endOffset"), NUMBER("fps"),
                                                  VALUE("contentLayers")};
static const struct proto_message video_message = FIELDS(video_fields);
static const struct proto_field resolution_fields[] = {ENUM("level", levels), INT("numTokens")};
static const struct proto_message resolution_message = FIELDS(resolution_fields);

/* Members that describe a part and are no data of it. */
#define PART_METADATA                                                                                                  \
    STRUCT("mediaProcessing"), STRUCT("documentMetadata"), STRUCT("spreadsheetMetadata"), STRUCT("audioMetadata")

static const struct proto_field response_part_fields[] = {
    ONE("inlineData", blob_message), ONE("fileData", file_message), ONE("videoMetadata", video_message),
    ONE("mediaResolution", resolution_message), PART_METADATA};
static const struct proto_message response_part_message = FIELDS(response_part_fields);
static const struct proto_field response_fields[] = {TEXT("id"),           TEXT("name"),
                                                     STRUCT("response"),   MANY("parts", response_part_message),
                                                     BOOL("willContinue"), TEXT("scheduling")};
static const struct proto_message response_message = FIELDS(response_fields);
static const struct proto_field code_fields[] = {TEXT("id"), TEXT("language"), TEXT("code")};
static const struct proto_message code_message = FIELDS(code_fields);
static const struct proto_field outcome_fields[] = {TEXT("id"), TEXT("outcome"), TEXT("output")};
static const struct proto_message outcome_message = FIELDS(outcome_fields);

static const struct proto_field part_fields[] = {
    TEXT("text"),
    BOOL("thought"),
    BYTES("thoughtSignature"),
    ONE("inlineData", blob_message),
    ONE("fileData", file_message),
    ONE("functionCall", call_message),
    ONE("functionResponse", response_message),
    ONE("executableCode", code_message),
    ONE("codeExecutionResult", outcome_message),
    ONE("videoMetadata", video_message),
    ONE("mediaResolution", resolution_message),
    STRUCT("toolCall"),
    STRUCT("toolResponse"),
    STRUCT("partMetadata"),
    PART_METADATA,
    STRUCT("speechMetadata"),
    STRUCT("audioTranscription"),
};
static const struct proto_message part_message = FIELDS(part_fields);
static const struct proto_field content_fields[] = {TEXT("role"), MANY("parts", part_message)};
const struct proto_message gemini_content_message = FIELDS(content_fields);

/* --- generationConfig --- */

static const char *const modalities[] = {"MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO", NULL};
static const char *const thinking_levels[] = {
    "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH", NULL};

static const struct proto_field thinking_fields[] = {BOOL("includeThoughts"), INT("thinkingBudget"),
                                                     ENUM("thinkingLevel", thinking_levels)};
static const struct proto_message thinking_message = FIELDS(thinking_fields);

static const struct proto_field config_fields[] = {
    NUMBER("temperature"),
    NUMBER("topP"),
    NUMBER("topK"),
    INT("candidateCount"),
    INT("maxOutputTokens"),
    TEXTS("stopSequences"),
    NUMBER("presencePenalty"),
    NUMBER("frequencyPenalty"),
    INT("seed"),
    TEXT("responseMimeType"),
    ONE("responseSchema", schema_message),
    VALUE("responseJsonSchema"),
    BOOL("responseLogprobs"),
    INT("logprobs"),
    ENUMS("responseModalities", modalities),
    ONE("thinkingConfig", thinking_message),
    STRUCT("speechConfig"),
    ENUM("mediaResolution", levels),
    STRUCT("imageConfig"),
    BOOL("enableEnhancedCivicAnswers"),
    BOOL("audioTimestamp"),
    BOOL("enableAffectiveDialog"),
    STRUCT("modelSelectionConfig"),
    STRUCT("routingConfig"),
    STRUCT("responseFormat"),
    STRUCT("translationConfig"),
    STRUCT("audioTranscriptionConfig"),
};
static const struct proto_message config_message = FIELDS(config_fields);

/* --- tools --- */

static const char *const behaviors[] = {"UNSPECIFIED", "BLOCKING", "NON_BLOCKING", NULL};
static const char *const modes[] = {"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED", NULL};

static const struct proto_field declaration_fields[] = {
    TEXT("name"),
    TEXT("description"),
    ONE("parameters", schema_message),
    VALUE("parametersJsonSchema"),
    ONE("response", schema_message),
    VALUE("responseJsonSchema"),
    ENUM("behavior", behaviors),
};
static const struct proto_message declaration_message = FIELDS(declaration_fields);
static const struct proto_field tool_fields[] = {
    MANY("functionDeclarations", declaration_message),
    STRUCT("googleSearch"),
    STRUCT("googleSearchRetrieval"),
    STRUCT("urlContext"),
    STRUCT("codeExecution"),
    STRUCT("googleMaps"),
    STRUCT("fileSearch"),
    STRUCT("computerUse"),
    STRUCT("retrieval"),
    STRUCT("enterpriseWebSearch"),
    STRUCT("parallelAiSearch"),
    STRUCT("exaAiSearch"),
    {.name = STR_INIT("mcpServers"), .kind = PROTO_STRUCT, .repeated = true},
};
static const struct proto_message tool_message = FIELDS(tool_fields);
static const struct proto_field calling_fields[] = {ENUM("mode", modes), TEXTS("allowedFunctionNames"),
                                                    BOOL("streamFunctionCallArguments")};
static const struct proto_message calling_message = FIELDS(calling_fields);
static const struct proto_field tool_config_fields[] = {
    ONE("functionCallingConfig", calling_message), STRUCT("retrievalConfig"), BOOL("includeServerSideToolInvocations")};
static const struct proto_message tool_config_message = FIELDS(tool_config_fields);

/* --- the request --- */

static const struct proto_field safety_fields[] = {TEXT("category"), TEXT("threshold"), TEXT("method")};
static const struct proto_message safety_message = FIELDS(safety_fields);

#define REQUEST_FIELDS                                                                                                 \
    TEXT("model"), MANY("contents", gemini_content_message), ONE("systemInstruction", gemini_content_message),         \
        MANY("tools", tool_message), ONE("toolConfig", tool_config_message), MANY("safetySettings", safety_message),   \
        ONE("generationConfig", config_message), TEXT("cachedContent"), TEXT("serviceTier")

static const struct proto_field request_fields[] = {REQUEST_FIELDS, BOOL("store")};
static const struct proto_field vertex_fields[] = {
    REQUEST_FIELDS,
    {.name = STR_INIT("labels"), .kind = PROTO_MAP},
    STRUCT("modelArmorConfig"),
};
const struct proto_message gemini_request_message = FIELDS(request_fields);
const struct proto_message vertex_request_message = FIELDS(vertex_fields);
