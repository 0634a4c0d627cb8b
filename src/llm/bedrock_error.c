/*
 * bedrock_error.c - exceptions of Bedrock, both ways.
 *
 * An exception is known by its name: of a whole answer in the header x-amzn-errortype (a URL may follow behind ':'), or in the body's __type (a
 * namespace may stand before '#') or code; of a stream in the frame's header, with a small first letter.
 *
 * Source: Amazon Bedrock API reference, errors of Converse and ConverseStream; AWS general reference, common errors.
 */
#include "codec/eventstream.h"
#include "codec/json_out.h"
#include "llm/bedrock_int.h"
#include "llm/error_body.h"

static const struct {
    struct str name;
    enum error_class error_class;
    int status;
} exceptions[] = {
    {STR_INIT("ValidationException"), ERROR_BAD_REQUEST, 400},
    {STR_INIT("SerializationException"), ERROR_BAD_REQUEST, 400},
    {STR_INIT("ServiceQuotaExceededException"), ERROR_QUOTA, 400},
    {STR_INIT("AccessDeniedException"), ERROR_FORBIDDEN, 403},
    {STR_INIT("UnrecognizedClientException"), ERROR_AUTH, 403},
    {STR_INIT("InvalidSignatureException"), ERROR_AUTH, 403},
    {STR_INIT("IncompleteSignatureException"), ERROR_AUTH, 403},
    {STR_INIT("ExpiredTokenException"), ERROR_AUTH, 403},
    {STR_INIT("MissingAuthenticationTokenException"), ERROR_AUTH, 403},
    {STR_INIT("ResourceNotFoundException"), ERROR_NOT_FOUND, 404},
    {STR_INIT("ModelTimeoutException"), ERROR_TIMEOUT, 408},
    {STR_INIT("ConflictException"), ERROR_CONFLICT, 409},
    {STR_INIT("ModelErrorException"), ERROR_UPSTREAM, 424},
    {STR_INIT("ModelStreamErrorException"), ERROR_UPSTREAM, 424},
    {STR_INIT("ThrottlingException"), ERROR_RATE_LIMIT, 429},
    {STR_INIT("ModelNotReadyException"), ERROR_OVERLOADED, 429},
    {STR_INIT("InternalServerException"), ERROR_UPSTREAM, 500},
    {STR_INIT("ServiceUnavailableException"), ERROR_OVERLOADED, 503},
};

void bedrock_classify(struct arena *arena, int status, struct str name, struct str message, struct api_error *ret)
{
    *ret = (struct api_error){.status = status, .message = message, .retry_after_ms = -1};
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++) {
        if (!str_eq_nocase(name, exceptions[i].name))
            continue;
        ret->error_class = exceptions[i].error_class;
        ret->status = status ? status : exceptions[i].status;
    }
    if (!ret->status)
        ret->status = 500;
    if (error_class_of(ret) == ERROR_BAD_REQUEST && error_words_context(message))
        ret->error_class = ERROR_CONTEXT_LENGTH;
    ret->code = name.n ? arena_str(arena, name).p : NULL;
}

/* The exception's name, wherever it stands. */
static struct str name_of(struct arena *arena, struct str header, const struct error_body *said)
{
    struct str name = str_cut(&header, ':'), type = json_get_text(said->object, STR("__type"), arena);

    if (str_trim(name).n)
        return str_trim(name);
    if (!type.n)
        return said->code.n ? said->code : said->type;
    size_t hash = str_find_char(type, '#');
    return hash < type.n ? str_slice(type, hash + 1, type.n) : type;
}

void bedrock_read_error(struct arena *arena, int status, struct str body,
                        struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    struct error_body said;

    error_body_read(arena, body, &said);
    bedrock_classify(arena, status, name_of(arena, header(ctx, STR("x-amzn-errortype")), &said), said.message, ret);
    ret->retry_after_ms = error_retry_hint(header, ctx);
}

/* How each class is told: of a whole answer, and within a stream, which has fewer exceptions. */
static const struct {
    int status;
    struct str name, in_stream;
} names[] = {
    [ERROR_BY_STATUS] = {500, STR_INIT("InternalServerException"), STR_INIT("internalServerException")},
    [ERROR_BAD_REQUEST] = {400, STR_INIT("ValidationException"), STR_INIT("validationException")},
    [ERROR_CONTEXT_LENGTH] = {400, STR_INIT("ValidationException"), STR_INIT("validationException")},
    [ERROR_CONTENT_POLICY] = {400, STR_INIT("ValidationException"), STR_INIT("validationException")},
    [ERROR_AUTH] = {403, STR_INIT("UnrecognizedClientException"), STR_INIT("validationException")},
    [ERROR_QUOTA] = {400, STR_INIT("ServiceQuotaExceededException"), STR_INIT("validationException")},
    [ERROR_FORBIDDEN] = {403, STR_INIT("AccessDeniedException"), STR_INIT("validationException")},
    [ERROR_NOT_FOUND] = {404, STR_INIT("ResourceNotFoundException"), STR_INIT("validationException")},
    [ERROR_CONFLICT] = {409, STR_INIT("ConflictException"), STR_INIT("validationException")},
    [ERROR_TOO_LARGE] = {413, STR_INIT("ValidationException"), STR_INIT("validationException")},
    [ERROR_UNPROCESSABLE] = {400, STR_INIT("ValidationException"), STR_INIT("validationException")},
    [ERROR_RATE_LIMIT] = {429, STR_INIT("ThrottlingException"), STR_INIT("throttlingException")},
    [ERROR_UPSTREAM] = {424, STR_INIT("ModelErrorException"), STR_INIT("modelStreamErrorException")},
    [ERROR_OVERLOADED] = {503, STR_INIT("ServiceUnavailableException"), STR_INIT("serviceUnavailableException")},
    [ERROR_TIMEOUT] = {408, STR_INIT("ModelTimeoutException"), STR_INIT("modelTimeoutException")},
};

static void write_body(struct str message, enum error_class class, int status, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("message"), message);
    if (class == ERROR_UPSTREAM && status) {
        json_member_i64(&o, STR("originalStatusCode"), status);
        json_member_str(&o, STR("originalMessage"), message);
    }
    json_close(&o, '}');
}

void bedrock_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                         struct call_header ret_headers[2])
{
    enum error_class class = error_class_of(e);
    size_t before = to->n;

    (void)t;
    write_body(e->message, class, 0, to);
    if (buf_status(to) != OK) { /* words that are too long for the room */
        to->n = before;
        to->overflow = false;
        write_body(STR("the request failed"), class, 0, to);
    }
    *ret_status = names[class].status;
    ret_headers[0] = (struct call_header){STR("x-amzn-errortype"), names[class].name};
}

err_t bedrock_write_exception(const struct api_error *e, struct buf *to)
{
    enum error_class class = error_class_of(e);
    struct eventstream_writer frame;

    eventstream_begin(&frame, to);
    eventstream_add_string(&frame, STR(":exception-type"), names[class].in_stream);
    eventstream_add_string(&frame, STR(":content-type"), STR("application/json"));
    eventstream_add_string(&frame, STR(":message-type"), STR("exception"));
    eventstream_begin_payload(&frame);
    write_body(e->message, class, e->status ? e->status : error_status_of(class), to);
    return eventstream_end(&frame);
}
