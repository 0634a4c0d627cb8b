/*
 * openai_int.h - what the files of the OpenAI family (openai, completions, responses) share. Private to them.
 */
#ifndef LLM_OPENAI_INT_H
#define LLM_OPENAI_INT_H

#include "base/map.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "llm/dialect.h"
#include "llm/vendor.h"

extern const struct dialect dialect_openai, dialect_completions, dialect_responses;

/* endpoint_row.variant of the family's rows. */
enum openai_variant {
    OPENAI_PLAIN,
    OPENAI_AZURE,          /* below /openai/deployments/{model}                       */
    OPENAI_RESPONSE_GET,   /* GET /v1/responses/{id}                                  */
    OPENAI_RESPONSE_DROP,  /* DELETE of it                                            */
    OPENAI_RESPONSE_STOP,  /* POST …/cancel                                           */
    OPENAI_RESPONSE_ITEMS, /* GET …/input_items                                       */
};

/* --- reading a client's request (openai_request_read.c) --- */

struct openai_reading {
    struct translation *t;
    struct arena *arena;
    struct chat_request *q;
    struct str *ret_param;
    struct map calls;     /* id -> struct block: tool calls so far                      */
    struct str legacy_id; /* of the last call in the old form, whose results name no id */
    unsigned turn;        /* number of the message being read                           */
};

enum openai_how {
    OPENAI_NUMBER, /* struct number at `at` of the request            */
    OPENAI_FLAG,   /* struct flag                                     */
    OPENAI_TEXT,   /* struct setting: a string                        */
    OPENAI_RAW,    /* struct setting: any JSON, raw                   */
    OPENAI_READ,   /* by a function                                   */
};

/* A top-level member of a request and what becomes of it. */
struct openai_member {
    struct str key;
    enum openai_how how;
    size_t at;
    err_t (*read)(struct openai_reading *r, struct json_node v);
};

/* A request without anything in it, of the client's dialect. */
void openai_reading_init(struct openai_reading *r, struct translation *t, const struct json_tree *doc,
                         struct chat_request *ret, struct str *ret_param);
void openai_reading_release(struct openai_reading *r);
/* Read the document's members by the table; others become extras. Null members are absent. E_PARSE for wrong types. */
err_t openai_read_members(struct openai_reading *r, const struct openai_member *members, size_t count);
/* The model: from the path if the row has it there, else member "model". E_PARSE if there is none. */
err_t openai_read_model(struct openai_reading *r);

err_t openai_read_stop(struct openai_reading *r, struct json_node v);
err_t openai_read_stream(struct openai_reading *r, struct json_node v);
err_t openai_read_stream_options(struct openai_reading *r, struct json_node v);
err_t openai_read_max_output(struct openai_reading *r, struct json_node v);
err_t openai_read_user(struct openai_reading *r, struct json_node v);
err_t openai_read_safety_identifier(struct openai_reading *r, struct json_node v);
err_t openai_read_tool_choice(struct openai_reading *r, struct json_node v);
err_t openai_read_reasoning(struct openai_reading *r, struct json_node v);
/* {type, name, description, schema, strict}: response_format.json_schema, or text.format. */
void openai_read_schema(struct openai_reading *r, struct json_node v);

/* Each element of an array, which is the member `name`. E_PARSE if it is none. */
err_t openai_read_each(struct openai_reading *r, struct json_node v, const char *name,
                       err_t (*read)(struct openai_reading *r, struct json_node v));
/* A tool that the provider runs itself: kept as it is, for those of the client's dialect. */
void openai_read_hosted(struct openai_reading *r, struct tool *to, struct json_node v);
/* Remember a call for the result that will name it. */
void openai_note_call(struct openai_reading *r, struct block *call);
/* The name of the tool whose call has this id; empty if there is none. */
struct str openai_called_name(const struct openai_reading *r, struct str id);
/* Report members of an object that are not in `known` (keys separated by blanks). */
void openai_note_unknown(struct openai_reading *r, struct json_node object, const char *known);
/* Who made a signature whose "format" (in OpenRouter's reasoning_details) says this; SIGNER_OTHER if it does not say. */
enum signer openai_maker(struct str format);
/* The "format" of what this maker signs. Static. */
struct str openai_format(enum signer s);

/* Refuse a request for a value in it: E_PARSE with words for the client, and the place. */
#define openai_refuse(r, node, ...)                                                                                    \
    (*(r)->ret_param = chat_field_indexed((node), STR_NONE, (r)->arena), fail(E_PARSE, __VA_ARGS__))

/* --- content parts, of Chat and Responses alike (openai_parts_read.c) --- */

/* A string, or an array of parts, as blocks at the end of `to`. E_PARSE for anything else. */
err_t openai_read_content(struct openai_reading *r, struct json_node content, struct block **to);
/* A client's mark that what is up to this object should be cached. */
enum cache_hint openai_cache_hint(struct json_node object);

/* --- writing to a provider (openai_request_write.c, openai_messages_write.c) --- */

struct openai_writing {
    struct translation *t;
    const struct chat_request *q;
    const struct vendor *vendor;
    struct provider_call *call;
    struct json_out o;
};

/* A setting as a member, if it is set and the provider takes the field; one that it does not take is reported. */
void openai_member_number(struct openai_writing *w, const char *field, const struct number *n);
void openai_member_flag(struct openai_writing *w, const char *field, const struct flag *f);
void openai_member_text(struct openai_writing *w, const char *field, const struct setting *s);
void openai_member_raw(struct openai_writing *w, const char *field, const struct setting *s);
/* Report a setting that the dialect has no field for. */
void openai_drop_number(struct openai_writing *w, const struct number *n);
void openai_drop_setting(struct openai_writing *w, const struct setting *s);
void openai_drop_flag(struct openai_writing *w, const struct flag *f);
/* Sampling settings from the limit of tokens (under this name) to the stops. */
void openai_write_sampling(struct openai_writing *w, const char *max_tokens);
void openai_write_temperature(struct openai_writing *w);
/* "stream" and "stream_options" of Chat and completions. */
void openai_write_stream(struct openai_writing *w);
/* Write the extras of a client of this very dialect, report all others. */
void openai_write_extras(struct openai_writing *w, const struct dialect *own);
/* The effort to ask for, out of effort and budget; EFFORT_UNSET: nothing is to be said. */
enum effort openai_effort(struct openai_writing *w);
/* OpenAI's name for a service tier, whoever's word it is; empty if it has none. Static. */
struct str openai_tier(struct str tier);
/* The same for the tier that is asked for, empty (and reported) if it has none. */
struct str openai_service_tier(struct openai_writing *w);
/* Is the tool to be offered? Filters by the choice's allowed tools where those cannot be said. */
bool openai_offers(struct openai_writing *w, const struct tool *tool, bool can_say_allowed);
bool openai_offers_any(struct openai_writing *w, bool can_say_allowed);
/* Begin the map of tools' names (call->names) with those of the tools. */
void openai_map_names(struct openai_writing *w);
/* The name as the provider takes it. */
struct str openai_tool_name(struct openai_writing *w, struct str name);
/* Path of an operation ("/embeddings", static) at the provider. Azure's dated surface has the model in it and the version behind it, unless the client's
 * query goes along and brings that. Static or in the arena. */
struct str openai_path(const struct translation *t, const char *operation, bool with_query);
/* "data:image/png;base64,…" or the URL itself; in the arena. */
struct str openai_media_url(const struct media *m, struct arena *arena);
/* Messages of the conversation, as the value of a member whose key has been written. */
void openai_write_messages(struct openai_writing *w, struct str schema_instruction);

err_t openai_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);
/* A completion with a suffix, for vendors of QUIRK_INFILL; completions_request.c. */
err_t openai_write_infill(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t openai_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param);

/* --- reading a provider's answer (openai_answer_read.c) --- */

enum { OPENAI_READER_SIZE = 1536 };
err_t openai_reader_begin(void *state, struct arena *arena);
err_t openai_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t openai_reader_end(void *state, const struct chat_sink *sink);
err_t openai_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);

/* --- writing an answer to a client (openai_answer_write.c) --- */

enum { OPENAI_WRITER_SIZE = 1536 };
err_t openai_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t openai_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t openai_writer_event(void *state, const struct chat_event *e, struct buf *to);
/* finish_reason of a choice; `refused_in_words`: the refusal itself is told, so its end is an ordinary one. */
struct str openai_finish_name(enum finish f, bool refused_in_words);
/* {"prompt_tokens":…}, as a value. */
void openai_put_usage(struct json_out *o, const struct usage *u);
/* An id of ours: prefix and 32 hex digits out of the frame's random number and `n`. In the arena. */
struct str openai_make_id(const struct answer_frame *f, const char *prefix, uint64_t n);
/* A citation as {"type":"url_citation",…}; `nested`: below a member "url_citation", as Chat has it. Offsets are counted on by
 * `before` characters. Those without a URL have no such form: see openai_has_citation(). */
void openai_put_citation(struct json_out *o, const struct citation *c, bool nested, int64_t before);
static inline bool openai_has_citation(const struct citation *c)
{
    return c->url.n > 0;
}
/* Did the client define this tool as one that takes free text? */
bool openai_is_custom(const struct chat_request *q, struct str name);

/* --- legacy completions (completions_*.c); answers are read by Chat's reader --- */

enum { COMPLETIONS_WRITER_SIZE = 256 };
err_t completions_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                            struct str *ret_param);
err_t completions_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t completions_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t completions_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t completions_writer_event(void *state, const struct chat_event *e, struct buf *to);

/* --- Responses (responses_*.c) --- */

enum { RESPONSES_READER_SIZE = 256, RESPONSES_WRITER_SIZE = 512 };
err_t responses_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                          struct str *ret_param);
err_t responses_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t responses_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
err_t responses_reader_begin(void *state, struct arena *arena);
err_t responses_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t responses_reader_end(void *state, const struct chat_sink *sink);
err_t responses_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t responses_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t responses_writer_event(void *state, const struct chat_event *e, struct buf *to);
err_t responses_writer_follow(void *state, const struct frame *f, struct arena *scratch);
/* {"object":"response.input_tokens",…} */
err_t responses_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to);

/* Does a client that calls itself so speak this API in Mistral's words, and read answers as Mistral gives them? */
bool openai_of_mistral(struct str agent) PURE;

/* --- embeddings, models, errors --- */

err_t openai_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param);
err_t openai_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to);
err_t openai_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret);
err_t openai_read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret);
err_t openai_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
err_t openai_write_model(const struct translation *t, const struct model_card *card, struct buf *to);
/* The error with OpenAI's type and code for its class filled in. */
struct api_error openai_error_of(const struct api_error *e);
void openai_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2]);
void openai_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);
/* An error object of whatever form (in "error", flat, "detail", a string) out of a parsed document; strings in the arena. */
void openai_error_from(struct json_node root, int status, struct arena *arena, struct api_error *ret);

#endif
