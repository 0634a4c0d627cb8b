/*
 * audio.c - speech: a tone whose length follows the text. Transcriptions: a text that says what was uploaded.
 *
 * Sound comes as WAV or raw samples; other formats are refused, since making them needs an encoder. Speech may be streamed as
 * server-sent events (stream_format "sse"), transcriptions with stream=true.
 */
#include "codec/base64.h"
#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/media.h"
#include "sim/multipart.h"
#include "sim/text.h"
#include "sim/turn.h"

enum {
    SOUND_BYTES_MAX = 16 << 20,
    CHARS_PER_SECOND = 15, /* people speak about so fast          */
    SSE_PIECE = 24 << 10,  /* of samples in one event             */
    PITCH_LOWEST = 220,
    TRANSCRIPT_TOKENS = 12,
};

static const char *const speech_formats[] = {"wav", "pcm", NULL};

static const struct field_rule speech_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("input"), .kind = FIELD_STRING, .min = 1, .max = 4096, .required = true},
    {.name = STR_INIT("voice"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("instructions"), .kind = FIELD_STRING},
    {.name = STR_INIT("response_format"), .kind = FIELD_STRING},
    {.name = STR_INIT("speed"), .kind = FIELD_NUMBER, .min = 0.25, .max = 4},
    {.name = STR_INIT("stream_format"), .kind = FIELD_ENUM, .choices = (const char *const[]){"sse", "audio", NULL}},
};

/* A feed of ready events that ends with a closing one. */
struct event_list {
    struct sim_feed feed; /* first */
    struct str sound;     /* speech: samples not yet sent; transcript: text not yet sent */
    size_t prompt_tokens, tokens;
    struct str whole;
    bool speech, done;
};

static void write_usage(const struct event_list *l, struct buf *to)
{
    buf_addf(to, "\"usage\":{%s\"input_tokens\":%zu,\"output_tokens\":%zu,\"total_tokens\":%zu}",
             l->speech ? "" : "\"type\":\"tokens\",", l->prompt_tokens, l->tokens, l->prompt_tokens + l->tokens);
}

static bool speech_event(struct event_list *l, struct buf *to, struct sim_step *ret)
{
    struct str piece = str_slice(l->sound, 0, SSE_PIECE);

    l->sound = str_slice(l->sound, piece.n, l->sound.n);
    buf_add_lit(to, "data: {\"type\":\"speech.audio.delta\",\"audio\":\"");
    if (base64_encode(to, piece, BASE64) != OK)
        return false;
    buf_add_lit(to, "\"}\n\n");
    ret->tokens = 1;
    return true;
}

static bool transcript_event(struct event_list *l, struct buf *to, struct sim_step *ret)
{
    buf_add_lit(to, "data: {\"type\":\"transcript.text.delta\",\"delta\":\"");
    buf_add_json(to, sim_token_cut(&l->sound));
    buf_add_lit(to, "\"}\n\n");
    ret->tokens = 1;
    return true;
}

static bool list_next(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct event_list *l = (struct event_list *)f;

    *ret = (struct sim_step){0};
    if (l->sound.n > 0)
        return l->speech ? speech_event(l, to, ret) : transcript_event(l, to, ret);
    if (l->done)
        return false;
    l->done = ret->closing = true;
    buf_add(to, l->speech ? STR("data: {\"type\":\"speech.audio.done\",")
                          : STR("data: {\"type\":\"transcript.text.done\",\"text\":\""));
    if (!l->speech) {
        buf_add_json(to, l->whole);
        buf_add_lit(to, "\",");
    }
    write_usage(l, to);
    buf_add_lit(to, "}\n\n");
    return true;
}

static void list_give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    (void)f;
    buf_add_lit(to, "data: ");
    refusal_write(to, why);
    buf_add_lit(to, "\n\n");
}

/* --- speech --- */

struct speech {
    struct str model, input;
    bool wav, events;
    double speed;
};

static err_t read_speech(struct sim_turn *t, struct str body, struct speech *ret)
{
    yyjson_val *root;

    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), speech_rules, ARRAY_LEN(speech_rules), t->scenario->strict_fields,
                     &t->refusal));
    struct str format = json_get_str(root, STR("response_format"), STR("wav"));
    ret->model = json_get_str(root, STR("model"), STR_NONE);
    ret->input = json_get_str(root, STR("input"), STR_NONE);
    ret->speed = json_get_double(root, STR("speed"), 1);
    ret->events = str_eq(json_get_str(root, STR("stream_format"), STR_NONE), STR("sse"));
    ret->wav = str_eq(format, STR("wav"));
    for (size_t i = 0; speech_formats[i]; i++)
        if (str_eq(format, str_from_c(speech_formats[i])))
            return OK;
    return refuse(t->a, &t->refusal, "unsupported_value", STR("response_format"),
                  "The simulator makes only 'wav' and 'pcm', not '%.*s'.", STR_ARG(format));
}

err_t speech_endpoint(struct sim_turn *t)
{
    struct speech s = {0};
    struct str body;
    struct buf sound CLEANUP(buf_release) = BUF_INIT(SOUND_BYTES_MAX);
    bool over;

    TRY(turn_body(t, &body));
    TRY(read_speech(t, body, &s));
    uint64_t hash = sim_hash(t->seed, s.input);
    TRY(turn_begin(t, s.model, hash, &over));
    if (over)
        return OK;
    ns_t length = (ns_t)((double)(s.input.n * (size_t)NS_SEC) / CHARS_PER_SECOND / s.speed);
    size_t prompt_tokens = sim_tokens(s.input);
    TRY(sim_tone(&sound, length, PITCH_LOWEST + (unsigned)(hash % PITCH_LOWEST)));
    turn_count_prompt(t, prompt_tokens);
    if (s.wav)
        sim_wav_header(t->room, (uint32_t)sound.n);
    if (s.events) {
        struct event_list *l = arena_new(t->a, struct event_list);
        struct str samples = arena_join(t->a, buf_str(t->room), buf_str(&sound));
        *l =
            (struct event_list){.feed = {.next = list_next, .give_up = list_give_up}, .sound = samples, .speech = true};
        l->prompt_tokens = prompt_tokens;
        l->tokens = (samples.n + SSE_PIECE - 1) / SSE_PIECE;
        return sim_play_stream(&t->play, &l->feed);
    }
    TRY(buf_add(t->room, buf_str(&sound)));
    return sim_play_whole(&t->play, s.wav ? STR("audio/wav") : STR("audio/pcm"), buf_str(t->room), prompt_tokens);
}

/* --- transcriptions --- */

struct upload {
    struct multipart_part file;
    struct str model, format, stream;
};

static err_t read_upload(struct sim_turn *t, struct str body, struct upload *u)
{
    struct multipart m;
    struct multipart_part part;
    enum multipart_result r;

    *u = (struct upload){.format = STR("json")};
    if (!multipart_open(&m, http_head_get(&t->r->head, HDR_CONTENT_TYPE), body))
        return refuse(t->a, &t->refusal, NULL, STR_NONE,
                      "Expected a body of type multipart/form-data with a boundary.");
    while ((r = multipart_next(&m, &part)) == MULTIPART_PART) {
        if (str_eq(part.name, STR("file")))
            u->file = part;
        else if (str_eq(part.name, STR("model")))
            u->model = part.body;
        else if (str_eq(part.name, STR("response_format")))
            u->format = part.body;
        else if (str_eq(part.name, STR("stream")))
            u->stream = part.body;
    }
    if (r == MULTIPART_ERROR)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "The multipart body is malformed or incomplete.");
    if (!u->file.name.p || u->model.n == 0)
        return refuse(t->a, &t->refusal, "missing_required_parameter", u->model.n == 0 ? STR("model") : STR("file"),
                      "'%s' is a required property", u->model.n == 0 ? "model" : "file");
    return OK;
}

static err_t send_captions(struct sim_turn *t, const struct upload *u, struct str text, size_t seconds, size_t tokens)
    SUSPENDS;
static err_t send_captions(struct sim_turn *t, const struct upload *u, struct str text, size_t seconds, size_t tokens)
{
    size_t end = seconds < 59 ? seconds : 59;

    if (str_eq(u->format, STR("text")))
        buf_addf(t->room, "%.*s\n", STR_ARG(text));
    else if (str_eq(u->format, STR("srt")))
        buf_addf(t->room, "1\n00:00:00,000 --> 00:00:%02zu,000\n%.*s\n", end, STR_ARG(text));
    else if (str_eq(u->format, STR("vtt")))
        buf_addf(t->room, "WEBVTT\n\n00:00:00.000 --> 00:00:%02zu.000\n%.*s\n", end, STR_ARG(text));
    else
        return refuse(t->a, &t->refusal, "invalid_value", STR("response_format"),
                      "Invalid value: '%.*s'. Supported values are: 'json', 'text', 'srt', 'verbose_json', and 'vtt'.",
                      STR_ARG(u->format));
    return sim_play_whole(&t->play, STR("text/plain; charset=utf-8"), buf_str(t->room), tokens);
}

static err_t send_transcript(struct sim_turn *t, const struct upload *u, struct str text) SUSPENDS;
static err_t send_transcript(struct sim_turn *t, const struct upload *u, struct str text)
{
    size_t tokens = sim_tokens(text), seconds = 1 + u->file.body.n / (SIM_SAMPLE_RATE * 2);
    bool json = str_eq(u->format, STR("json")), verbose = str_eq(u->format, STR("verbose_json"));

    if (!json && !verbose)
        return send_captions(t, u, text, seconds, tokens);
    if (verbose)
        buf_addf(t->room, "{\"task\":\"transcribe\",\"language\":\"english\",\"duration\":%zu,\"text\":\"", seconds);
    else
        buf_add_lit(t->room, "{\"text\":\"");
    buf_add_json(t->room, text);
    if (verbose)
        buf_addf(t->room, "\",\"segments\":[],\"usage\":{\"type\":\"duration\",\"seconds\":%zu}}", seconds);
    else
        buf_addf(t->room,
                 "\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":%zu,\"output_tokens\":%zu,\"total_tokens\":%zu,"
                 "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":%zu}}}",
                 seconds * 10, tokens, seconds * 10 + tokens, seconds * 10);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), tokens);
}

err_t transcriptions_endpoint(struct sim_turn *t)
{
    struct upload u;
    struct str body, text;
    bool over;

    TRY(turn_body(t, &body));
    TRY(read_upload(t, body, &u));
    uint64_t hash = sim_hash(t->seed, u.file.body);
    TRY(turn_begin(t, u.model, hash, &over));
    if (over)
        return OK;
    struct str about = arena_printf(t->a, "%.*s, %zu bytes", STR_ARG(u.file.filename), u.file.body.n);
    TRY(sim_answer_text(t->a, hash, STR("You sent: "), about, TRANSCRIPT_TOKENS, &text));
    if (!str_eq(u.stream, STR("true")))
        return send_transcript(t, &u, text);
    struct event_list *l = arena_new(t->a, struct event_list);
    *l = (struct event_list){
        .feed = {.next = list_next, .give_up = list_give_up}, .sound = text, .whole = text, .tokens = sim_tokens(text)};
    return sim_play_stream(&t->play, &l->feed);
}
