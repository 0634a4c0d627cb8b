/*
 * openai_parts_read.c - the content of messages: a string, or an array of typed parts.
 *
 * One reader for what Chat Completions, Responses and their look-alikes (Mistral, vLLM) call the same things: a client of one of them that
 * sends another's form is understood. Parts that no canonical block exists for are kept raw. Does not fetch anything.
 *
 * Wire format: OpenAI's published API description and Mistral's, November 2026.
 */
#include "llm/openai_int.h"
#include "llm/signature.h"

struct part_kind {
    struct str type;
    err_t (*read)(struct openai_reading *r, struct json_node part, struct block *b);
    enum block_kind kind;
    const char *known;
};

#define HINTS "type cache_control prompt_cache_breakpoint "

enum cache_hint openai_cache_hint(struct json_node object)
{
    struct json_node hint = json_node_get(object, STR("cache_control"));

    if (json_node_is(hint, JSON_OBJECT)) {
        struct json_node ttl = json_node_get(hint, STR("ttl"));
        return json_node_text_is(ttl, STR("1h"))   ? CACHE_1H
               : json_node_text_is(ttl, STR("5m")) ? CACHE_5M
                                                   : CACHE_DEFAULT;
    }
    return json_node_is(json_node_get(object, STR("prompt_cache_breakpoint")), JSON_OBJECT) ? CACHE_DEFAULT
                                                                                            : CACHE_NONE;
}

/* --- text --- */

static struct citation *read_citation(struct openai_reading *r, struct json_node v)
{
    struct json_node in = json_node_get(v, STR("url_citation"));
    struct json_node from = json_is_absent(in) ? v : in;
    struct citation *c = arena_new(r->arena, struct citation);

    *c = (struct citation){.url = json_get_text(from, STR("url"), r->arena),
                           .title = json_get_text(from, STR("title"), r->arena),
                           .document_id = json_get_text(from, STR("file_id"), r->arena),
                           .start = -1,
                           .end = -1,
                           .raw = json_node_raw(v),
                           .of = r->q->dialect};
    (void)json_node_i64(json_node_get(from, STR("start_index")), &c->start);
    (void)json_node_i64(json_node_get(from, STR("end_index")), &c->end);
    return c;
}

static err_t read_text(struct openai_reading *r, struct json_node part, struct block *b)
{
    struct citation **at = &b->citations;
    struct json_node text = json_node_get(part, STR("text"));

    if (!json_node_is(text, JSON_STRING))
        return openai_refuse(r, part, "a text part needs a string 'text'");
    b->text = json_node_text(text, r->arena);
    JSON_EACH(w, json_node_get(part, STR("annotations"))) {
        *at = read_citation(r, w.value);
        at = &(*at)->next;
    }
    return OK;
}

static err_t read_refusal(struct openai_reading *r, struct json_node part, struct block *b)
{
    b->text = json_get_text(part, STR("refusal"), r->arena);
    return OK;
}

/* Mistral: {"type":"thinking","thinking":[{"type":"text","text":…}],"signature":…}; also a plain string. */
static err_t read_thinking(struct openai_reading *r, struct json_node part, struct block *b)
{
    struct json_node thinking = json_node_get(part, STR("thinking"));
    struct str signature = json_get_text(part, STR("signature"), r->arena);
    struct block *pieces = NULL, **at = &pieces;

    JSON_EACH(w, thinking) {
        chat_add_block(at, r->arena, BLOCK_TEXT, w.value)->text = json_get_text(w.value, STR("text"), r->arena);
        at = &(*at)->next;
    }
    b->text = pieces ? blocks_text(pieces, STR_NONE, r->arena) : json_node_text(thinking, r->arena);
    if (signature.n)
        b->signature = signature_unwrap(signature, SIGNER_OTHER, &b->signer);
    return OK;
}

/* --- media --- */

/* A URL, in a string or an object's "url". */
static err_t read_url(struct openai_reading *r, struct json_node v, struct block *b)
{
    struct str url =
        json_node_is(v, JSON_OBJECT) ? json_get_text(v, STR("url"), r->arena) : json_node_text(v, r->arena);

    if (!url.n)
        return openai_refuse(r, b->from, "this part needs a URL");
    err_t err = media_from_url(&b->media, url, r->arena);
    if (err)
        *r->ret_param = chat_field_indexed(b->from, STR_NONE, r->arena);
    return err;
}

static bool read_file_id(struct openai_reading *r, struct json_node holder, struct media *m)
{
    struct str id = json_get_text(holder, STR("file_id"), r->arena);

    if (!id.n)
        return false;
    m->source = MEDIA_FILE_ID;
    m->data = id;
    return true;
}

static err_t read_image(struct openai_reading *r, struct json_node part, struct block *b)
{
    struct json_node url = json_node_get(part, STR("image_url"));
    struct json_node detail = json_node_get(json_node_is(url, JSON_OBJECT) ? url : part, STR("detail"));

    b->media.detail = json_node_text(detail, r->arena);
    if (!json_node_is_set(url) && read_file_id(r, part, &b->media))
        return OK;
    return read_url(r, url, b);
}

static err_t read_video_url(struct openai_reading *r, struct json_node part, struct block *b)
{
    return read_url(r, json_node_get(part, STR("video_url")), b);
}

static err_t read_audio_url(struct openai_reading *r, struct json_node part, struct block *b)
{
    return read_url(r, json_node_get(part, STR("audio_url")), b);
}

/* "wav" -> "audio/wav", "mp3" -> "audio/mpeg". */
static struct str audio_type(struct str format, struct arena *arena)
{
    if (!format.n)
        return STR_NONE;
    return str_eq(format, STR("mp3")) ? STR("audio/mpeg") : arena_join(arena, STR("audio/"), format);
}

static err_t read_audio(struct openai_reading *r, struct json_node part, struct block *b)
{
    struct json_node audio = json_node_get(part, STR("input_audio"));
    struct json_node data = json_node_is(audio, JSON_STRING) ? audio : json_node_get(audio, STR("data"));

    if (!json_node_is(data, JSON_STRING))
        return openai_refuse(r, part, "an input_audio part needs its data, in base64");
    struct str text = json_node_text(data, r->arena);
    if (str_starts_nocase(text, STR("data:")) || str_starts_nocase(text, STR("http")))
        return read_url(r, data, b);
    b->media.data = base64_standard(text, r->arena);
    b->media.type = audio_type(json_get_text(audio, STR("format"), r->arena), r->arena);
    return OK;
}

/* Chat has a file's members below "file", Responses beside "type". */
static err_t read_file(struct openai_reading *r, struct json_node part, struct block *b)
{
    struct json_node below = json_node_get(part, STR("file"));
    struct json_node file = json_is_absent(below) ? part : below;
    struct json_node url = json_node_get(file, STR("file_url")), data = json_node_get(file, STR("file_data"));

    if (!json_is_absent(below))
        openai_note_unknown(r, file, "filename file_data file_id");
    b->media.name = json_get_text(file, STR("filename"), r->arena);
    if (read_file_id(r, file, &b->media))
        return OK;
    if (json_node_is_set(url))
        return read_url(r, url, b);
    if (!json_node_is(data, JSON_STRING))
        return openai_refuse(r, part, "a file part needs 'file_data' or 'file_id'");
    struct str text = json_node_text(data, r->arena);
    if (str_starts_nocase(text, STR("data:")))
        return read_url(r, data, b);
    b->media.data = base64_standard(text, r->arena);
    b->media.type = media_sniff(b->media.data);
    return OK;
}

static err_t read_document_url(struct openai_reading *r, struct json_node part, struct block *b)
{
    b->media.name = json_get_text(part, STR("document_name"), r->arena);
    return read_url(r, json_node_get(part, STR("document_url")), b);
}

/* --- the array --- */

static const struct part_kind part_kinds[] = {
    {STR_INIT("text"), read_text, BLOCK_TEXT, HINTS "text annotations"},
    {STR_INIT("input_text"), read_text, BLOCK_TEXT, HINTS "text"},
    {STR_INIT("output_text"), read_text, BLOCK_TEXT, HINTS "text annotations logprobs"},
    {STR_INIT("refusal"), read_refusal, BLOCK_REFUSAL, HINTS "refusal"},
    {STR_INIT("thinking"), read_thinking, BLOCK_THINKING, HINTS "thinking signature closed"},
    {STR_INIT("image_url"), read_image, BLOCK_IMAGE, HINTS "image_url detail"},
    {STR_INIT("input_image"), read_image, BLOCK_IMAGE, HINTS "image_url detail file_id"},
    {STR_INIT("input_audio"), read_audio, BLOCK_AUDIO, HINTS "input_audio"},
    {STR_INIT("audio_url"), read_audio_url, BLOCK_AUDIO, HINTS "audio_url"},
    {STR_INIT("video_url"), read_video_url, BLOCK_VIDEO, HINTS "video_url"},
    {STR_INIT("file"), read_file, BLOCK_DOCUMENT, HINTS "file file_id"},
    {STR_INIT("input_file"), read_file, BLOCK_DOCUMENT, HINTS "filename file_data file_url file_id detail"},
    {STR_INIT("document_url"), read_document_url, BLOCK_DOCUMENT, HINTS "document_url document_name"},
};

static const struct part_kind *find_kind(struct json_node type)
{
    for (size_t i = 0; i < ARRAY_LEN(part_kinds); i++)
        if (json_node_text_is(type, part_kinds[i].type))
            return &part_kinds[i];
    return NULL;
}

/* One part at the end of a list whose end is `at`. */
static err_t read_part(struct openai_reading *r, struct json_node part, struct block **at)
{
    if (json_node_is(part, JSON_STRING)) {
        chat_add_block(at, r->arena, BLOCK_TEXT, part)->text = json_node_text(part, r->arena);
        return OK;
    }
    const struct part_kind *kind = find_kind(json_node_get(part, STR("type")));
    if (!json_node_is(part, JSON_OBJECT))
        return openai_refuse(r, part, "each part of a content must be an object with a 'type'");
    struct block *b = chat_add_block(at, r->arena, kind ? kind->kind : BLOCK_OPAQUE, part);
    b->cache = openai_cache_hint(part);
    if (kind) {
        openai_note_unknown(r, part, kind->known);
        return kind->read(r, part, b);
    }
    b->text = json_node_raw(part);
    b->of = r->q->dialect;
    return OK;
}

err_t openai_read_content(struct openai_reading *r, struct json_node content, struct block **to)
{
    while (*to)
        to = &(*to)->next;
    if (!json_node_is_set(content))
        return OK;
    if (json_node_is(content, JSON_STRING))
        return read_part(r, content, to);
    if (!json_node_is(content, JSON_ARRAY))
        return openai_refuse(r, content, "content must be a string or an array of parts");
    JSON_EACH(w, content) {
        TRY(read_part(r, w.value, to));
        to = &(*to)->next;
    }
    return OK;
}
