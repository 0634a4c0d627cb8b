/*
 * vendor.h - who speaks a dialect, and how theirs differs: one row per vendor or kind of server, in llm/vendor.c.
 *
 * `dialect:` of a provider in the configuration names a row. A look-alike is a row, not a file: base URL, credential, and the quirks that
 * the dialect's writer and reader look at.
 */
#ifndef LLM_VENDOR_H
#define LLM_VENDOR_H

#include "base/str.h"
#include "llm/tool_id.h"

#include <stdbool.h>
#include <stddef.h>

struct dialect;

enum vendor_auth {
    AUTH_HEADER,      /* key_header: key_prefix + api_key                                   */
    AUTH_AWS,         /* SigV4, or api_key as bearer                                        */
    AUTH_GOOGLE,      /* OAuth token of a service account, metadata server, …               */
    AUTH_AZURE,       /* api_key in key_header, or Entra token                              */
    AUTH_NONE_NEEDED, /* api_key as bearer if given                                    */
};

/* What sets an OpenAI look-alike, or a host of another dialect, apart. */
enum {
    QUIRK_STRICT = 1 << 0,     /* refuses fields that it does not know: send only those in `accepts`        */
    QUIRK_MAX_TOKENS = 1 << 1, /* "max_tokens", not "max_completion_tokens"                                 */
    QUIRK_NO_STREAM_OPTIONS = 1 << 2,
    QUIRK_NO_DEVELOPER = 1 << 3,     /* "developer" becomes "system"                                              */
    QUIRK_FULL = 1 << 4,             /* OpenAI itself: knows custom tools, allowed_tools, safety_identifier         */
    QUIRK_OPENROUTER = 1 << 5,       /* "reasoning": {…}, reasoning_details, cache_control on parts                 */
    QUIRK_THINKING = 1 << 6,         /* thinking is switched with "thinking": {"type"}, not by an effort            */
    QUIRK_NO_SCHEMA = 1 << 7,        /* no response_format json_schema                                            */
    QUIRK_PLAIN_TEXT = 1 << 8,       /* content of nothing but text must be one string                            */
    QUIRK_RANDOM_SEED = 1 << 9,      /* "random_seed"                                                             */
    QUIRK_CHOICE_ANY = 1 << 10,      /* tool_choice "any" for "required"                                          */
    QUIRK_NO_N = 1 << 11,            /* one choice only                                                           */
    QUIRK_PREFIX = 1 << 12,          /* "prefix": true on a last assistant message                                */
    QUIRK_TRANSLATE = 1 << 13,       /* never pass bytes through, always through the canonical form                */
    QUIRK_DEPLOYMENT_PATH = 1 << 14, /* Azure: model in the path, api-version in the query                        */
    QUIRK_ANTHROPIC_BEDROCK = 1 << 15,
    QUIRK_ANTHROPIC_VERTEX = 1 << 16, /* Claude's hosts: see dialect/anthropic.c */
    QUIRK_VERTEX = 1 << 17,           /* Gemini on Vertex: project and location in the path                        */
    QUIRK_MISTRAL_PARTS = 1 << 18,    /* Mistral's content parts: thinking, document_url, input_audio as a string  */
    QUIRK_ORDER = 1 << 19,            /* system text only at the beginning, no user message right behind a tool's  */
    QUIRK_REASONING_FIELD = 1 << 20,  /* takes reasoning back: field named by reasoning_name                      */
    QUIRK_CONTINUE = 1 << 21,         /* continue_final_message for a last assistant message (vLLM, SGLang)        */
    QUIRK_VALUE_FORMAT =
        1 << 22, /* response_format has its schema as "value", is nothing without one, and excludes tools (TGI) */
    QUIRK_OPENAPI_SCHEMA = 1 << 23, /* takes schemas in Google's OpenAPI subset only                             */
    QUIRK_INFILL = 1 << 24,         /* has /fim/completions: a prompt and a suffix, answered as a chat           */
    QUIRK_THINK_TAGS = 1 << 25,     /* its models' thoughts stand in the text, between tags: it has no field for them */
};

/* Those for which a request of the very same dialect must be said anew. */
#define QUIRKS_OF_REQUESTS                                                                                             \
    (QUIRK_TRANSLATE | QUIRK_STRICT | QUIRK_MAX_TOKENS | QUIRK_NO_STREAM_OPTIONS | QUIRK_NO_DEVELOPER |                \
     QUIRK_NO_SCHEMA | QUIRK_PLAIN_TEXT | QUIRK_NO_N | QUIRK_ANTHROPIC_BEDROCK | QUIRK_ANTHROPIC_VERTEX)

/* How it is asked whether it is there, without a token being paid for. */
struct vendor_probe {
    const char *path;           /* of a GET, with its query                                           */
    bool at_root;               /* from the server's root, which a base URL's "/v1" is below; else below the base URL */
    bool of_server;             /* it says whether what runs the models is alive, not only that somebody answers */
    const char *header, *value; /* that must go with it; NULL: none                                   */
    const char *metrics;        /* from the root: its metrics as Prometheus reads them; NULL: none    */
};

struct vendor {
    const char *name;     /* as in the configuration                                               */
    const char *title;    /* for people                                                            */
    const char *dialect;  /* its main dialect: file stem in llm/dialect/                            */
    const char *base_url; /* NULL: required                                                        */
    const char *key_env;  /* usual environment variable of its key; NULL: none                     */
    enum vendor_auth auth;
    const char *key_header, *key_prefix;
    unsigned quirks;
    enum tool_id_form tool_ids;
    const char *reasoning_name; /* QUIRK_REASONING_FIELD: "reasoning_content", "reasoning"         */
    const char *const *accepts; /* QUIRK_STRICT: fields of a chat request that it knows; NULL-terminated */
    const char *const *refuses; /* fields that it refuses; NULL-terminated; NULL: none              */
    const char *also_path;      /* in front of the paths of those, where the base URL does not hold it: "/v1" */
    const char *const *adds;    /* fields and parts beyond OpenAI's that it knows; NULL-terminated; NULL: none */
    unsigned offers;            /* 1 << enum operation of all that it can be asked for; 0: what its dialects can say */
    double temperature_max;     /* 0: the dialect's own                                                   */
    const char *const *
        also; /* further dialects that it speaks natively ("responses", "completions", …) besides `dialect`; NULL-terminated */
    const struct vendor_probe *probe; /* NULL: it has none that costs nothing below its base URL          */
};

/* All rows, sorted by name. */
extern const struct vendor vendor_table[];
extern const size_t vendor_count;

/* NULL if there is none of that name. */
const struct vendor *vendor_find(struct str name);
/* Does it speak this dialect itself, so that bytes may pass through? */
bool vendor_speaks(const struct vendor *v, const struct dialect *d);
bool vendor_accepts(const struct vendor *v, struct str field);
/* Does it know this field or kind of part, which is not OpenAI's? */
bool vendor_adds(const struct vendor *v, struct str field);

#endif
