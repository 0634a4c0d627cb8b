/*
 * http1.h - HTTP/1.1 messages: bytes to events, and heads to bytes. Sans I/O.
 *
 * Feed what was read, take events out. One `struct http1` lives in a connection and parses its messages one after the
 * other; it allocates nothing but from the arena of the message. Strict where looseness has been used to smuggle requests
 * (RFC 9112, 11.2): see http1.c for the list. A head is copied into the arena in one piece, so the read buffer can be used
 * again at once; body slices are not copied.
 *
 *     http1_init(&h, HTTP1_REQUEST, NULL);
 *     http1_begin(&h, arena, &head);                      // for every message
 *     for (;;) {
 *         switch (http1_next(&h, &in, &body)) {
 *         case HTTP1_MORE:  read more into `in`; at its end: http1_eof(&h)
 *         case HTTP1_HEAD:  head is filled; bytes behind it stay in `in`
 *         case HTTP1_BODY:  body is a slice of the input, valid as long as that
 *         case HTTP1_END:   message complete; bytes of the next one stay in `in`
 *         case HTTP1_ERROR: h.error_status, h.error_text
 *         }
 *     }
 */
#ifndef CODEC_HTTP1_H
#define CODEC_HTTP1_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_header {
    struct str name, value; /* the name as sent; the value without blanks around it */
};

/*
 * Header names with a number, so that looking one up costs an array access. HDR(ENUM, "lower-case name"). To add one, add
 * a line here and its slot in http1_names.c; the unit test says which slot that is.
 */
#define HTTP_KNOWN_HEADERS                                                                                             \
    HDR(ACCEPT, "accept")                                                                                              \
    HDR(ACCEPT_ENCODING, "accept-encoding")                                                                            \
    HDR(API_KEY, "api-key")                                                                                            \
    HDR(ANTHROPIC_BETA, "anthropic-beta")                                                                              \
    HDR(ANTHROPIC_VERSION, "anthropic-version")                                                                        \
    HDR(AUTHORIZATION, "authorization")                                                                                \
    HDR(CONNECTION, "connection")                                                                                      \
    HDR(CONTENT_ENCODING, "content-encoding")                                                                          \
    HDR(CONTENT_LENGTH, "content-length")                                                                              \
    HDR(CONTENT_TYPE, "content-type")                                                                                  \
    HDR(COOKIE, "cookie")                                                                                              \
    HDR(DATE, "date")                                                                                                  \
    HDR(EXPECT, "expect")                                                                                              \
    HDR(HOST, "host")                                                                                                  \
    HDR(IDEMPOTENCY_KEY, "idempotency-key")                                                                            \
    HDR(KEEP_ALIVE, "keep-alive")                                                                                      \
    HDR(LOCATION, "location")                                                                                          \
    HDR(OPENAI_ORGANIZATION, "openai-organization")                                                                    \
    HDR(OPENAI_PROJECT, "openai-project")                                                                              \
    HDR(ORIGIN, "origin")                                                                                              \
    HDR(PROXY_AUTHORIZATION, "proxy-authorization")                                                                    \
    HDR(PROXY_CONNECTION, "proxy-connection")                                                                          \
    HDR(RETRY_AFTER, "retry-after")                                                                                    \
    HDR(RETRY_AFTER_MS, "retry-after-ms")                                                                              \
    HDR(SERVER, "server")                                                                                              \
    HDR(TE, "te")                                                                                                      \
    HDR(TRACEPARENT, "traceparent")                                                                                    \
    HDR(TRACESTATE, "tracestate")                                                                                      \
    HDR(TRAILER, "trailer")                                                                                            \
    HDR(TRANSFER_ENCODING, "transfer-encoding")                                                                        \
    HDR(UPGRADE, "upgrade")                                                                                            \
    HDR(USER_AGENT, "user-agent")                                                                                      \
    HDR(VARY, "vary")                                                                                                  \
    HDR(X_API_KEY, "x-api-key")                                                                                        \
    HDR(X_FORWARDED_FOR, "x-forwarded-for")                                                                            \
    HDR(X_GOOG_API_KEY, "x-goog-api-key")                                                                              \
    HDR(X_REQUEST_ID, "x-request-id")                                                                                  \
    HDR(X_SHOULD_RETRY, "x-should-retry")

enum http_known {
    HDR_OTHER = 0, /* any name that has no number */
#define HDR(id, name) HDR_##id,
    HTTP_KNOWN_HEADERS
#undef HDR
        HDR_COUNT
};

/* The head of a message. Everything it points to lives in the arena of the message. */
struct http_head {
    struct str method; /* requests                                                                             */
    struct str target; /* as sent: "/v1/x?y", "http://host/v1/x", "*"                                           */
    struct str path;   /* "/v1/x": of an absolute target its path, at least "/"; "*" of "*". Not decoded.       */
    struct str query;  /* behind the '?', which p == NULL says there is none of                                 */
    struct str host;   /* authority of an absolute target, else the Host header                                 */
    int status;        /* responses                                                                             */
    struct str reason;
    int minor; /* of HTTP/1.x; 0 or 1                                                                           */
    struct http_header *headers;
    uint8_t *ids; /* their numbers (enum http_known), which are looked up once; NULL: nobody has */
    size_t count;
    int64_t content_length; /* -1: none was sent                                                                */
    bool chunked;
    bool keep_alive;           /* may the connection carry another message, as far as this one says?                 */
    bool expect_continue;      /* "expect: 100-continue" (never with HTTP/1.0)                                       */
    bool upgrade;              /* "connection: upgrade" with an Upgrade header, or a 101 response                    */
    uint16_t known[HDR_COUNT]; /* index + 1 of the first header of that name; 0: none                            */
};

/* The number of a header name (a token, RFC 9110, 5.6.2), ASCII case ignored; HDR_OTHER if it has none. */
enum http_known http_known_of(struct str name) PURE;
/* Does the header belong to the connection, the framing or the destination of a message, so that only who sends it can set it? */
bool http_is_connections(struct str name) PURE;
/* The lower-case name of a number; empty for HDR_OTHER. */
struct str http_known_name(enum http_known id) PURE;
/* Fill head->known from head->headers[0..count): for heads that were not parsed by http1 (HTTP/2, tests). At most 65,534
 * headers. */
void http_head_index(struct http_head *head);
/* Value of the first header of that name, STR_NONE (p == NULL) if there is none; an empty value has p != NULL. */
static inline struct str http_head_get(const struct http_head *head, enum http_known id)
{
    return head->known[id] ? head->headers[head->known[id] - 1].value : STR_NONE;
}
/* The same by name, ASCII case ignored. Names with a number cost a hash, others a walk. */
struct str http_head_find(const struct http_head *head, struct str name) PURE;
/* Index of the next header called `name` at or after `from`; head->count if there is none. For repeated headers. */
size_t http_head_next(const struct http_head *head, struct str name, size_t from) PURE;

/* --- parsing --- */

enum http1_role { HTTP1_REQUEST, HTTP1_RESPONSE };

enum http1_event {
    HTTP1_MORE,  /* all input was taken; feed more, or call http1_eof()   */
    HTTP1_HEAD,  /* the head is complete                                  */
    HTTP1_BODY,  /* a piece of the body, never empty                      */
    HTTP1_END,   /* the message is complete; http1_begin() the next       */
    HTTP1_ERROR, /* the message is refused; every further call says so    */
};

/* What a peer may make large. 0 in any of them: the default. */
struct http1_limits {
    uint32_t head_bytes;      /* start line and headers, with their line ends; default 64 KiB        */
    uint32_t headers;         /* default 100, at most 65,534                                          */
    uint32_t target_bytes;    /* default 16 KiB                                                       */
    uint32_t extension_bytes; /* chunk extensions of one message, all together; default 16 KiB        */
    uint32_t trailer_bytes;   /* trailer fields of one message; default 8 KiB                         */
    uint64_t body_bytes;      /* default: none. Passing it is a 413.                                  */
};

struct http1_span;

/* Private: what a head consists of, as offsets from its first byte. */
struct http1_layout {
    struct http1_span *spans;  /* names and values                            */
    uint32_t span_n, span_max; /* used, room                                  */
    uint32_t target, target_n; /* requests; the method ends one byte before   */
    uint32_t reason, reason_n; /* responses                                   */
    int status, minor;
};

/* Parser of one direction of a connection. The members up to the line are for reading. */
struct http1 {
    int error_status;       /* HTTP status that says what was wrong: 400, 413, 414, 431, 501, 505; of responses 502 */
    const char *error_text; /* static                                                                            */
    uint64_t body_bytes;    /* of this message so far, chunk framing not counted                                 */
    bool began;             /* has a byte of this message been seen?                                             */
    /* ---- private ---- */
    bool skip_informational, to_head;
    bool slow; /* llhttp is at work on this head                                                  */
    uint8_t role, state, informational;
    struct http1_limits limits;
    struct arena *arena;
    struct http_head *head;
    char *raw; /* copy of the head's (then of the trailer's) bytes that arrived so far            */
    uint32_t raw_n, raw_cap;
    uint32_t raw_max;           /* limit that holds for raw now                                                    */
    uint32_t extension_n;       /* chunk extension bytes so far                                                    */
    const char *feed;           /* while in llhttp: input that raw does not hold yet                               */
    struct http1_layout layout; /* of raw                                                                        */
    uint64_t left;              /* bytes of a body of known length still to come                                   */
    struct str piece;           /* body found by llhttp in this feed                                               */
    struct http_header *trailers;
    size_t trailer_count;
    llhttp_t parser;
};

/* Prepare for the messages of a connection. `limits` is copied; NULL: all defaults. */
void http1_init(struct http1 *h, enum http1_role role, const struct http1_limits *limits);
/* Start on the next message: its head goes to *head and, with its bytes, to `arena`; both are borrowed until HTTP1_END. */
void http1_begin(struct http1 *h, struct arena *arena, struct http_head *head);
/* Responses: the request was a HEAD, so there is no body whatever the head says. Between http1_begin() and the head. */
void http1_expect_no_body(struct http1 *h);
/* Responses: pass over heads with status 1xx (but 101), at most 16 of them, and report the final one only. Otherwise each is reported as a
 * message of its own, HTTP1_HEAD then HTTP1_END, and the caller begins the next. Holds until changed. */
void http1_skip_informational(struct http1 *h, bool skip);
/*
 * Take bytes from the front of *in until there is an event. `*ret_body` is set for HTTP1_BODY only, to a slice of the
 * input. Every way of cutting the input into pieces gives the same events, but for where body pieces end.
 */
enum http1_event http1_next(struct http1 *h, struct str *in, struct str *ret_body);
/* Requests that are refused, or came too slowly, before their head was whole: set head.method, and head.target, path and query, as far as
 * the request line had come and is plain. The rest of the head stays unknown. */
void http1_recall_request(struct http1 *h);
/* The peer closed: HTTP1_END if that ends this message properly (a response without length); HTTP1_MORE if no byte of it
 * had come (a clean close between messages) or if it had ended already; else HTTP1_ERROR. */
enum http1_event http1_eof(struct http1 *h);
/* Trailer fields of the message, after HTTP1_END; they are never merged into the head (RFC 9110, 6.5.1). */
const struct http_header *http1_trailers(const struct http1 *h, size_t *ret_count);
/* Does `in` begin with the client preface of HTTP/2 ("PRI * HTTP/2.0…", RFC 9113, 3.4)? 1 yes, 0 no, -1 too short to say. */
int http1_is_h2_preface(struct str in) PURE;

/* --- writing: append to a buf; names and values that could break the framing are refused with E_PARSE --- */

/* "POST /v1/x HTTP/1.1\r\n". Refuses a method that is no token and a target with blanks or control bytes. */
err_t http1_write_request_line(struct buf *b, struct str method, struct str target);
/* "HTTP/1.1 200 OK\r\n". `status` 100-999. */
err_t http1_write_status_line(struct buf *b, int status);
/* May it be the value of a header: no control byte but tab? An empty one may. */
bool http1_is_value(struct str s) PURE;
/* "name: value\r\n". Refuses a name that is not printable or holds a blank or colon, and control bytes but tab in the value. */
err_t http1_write_header(struct buf *b, struct str name, struct str value);
/* The same for a value that is a number. */
err_t http1_write_header_u64(struct buf *b, struct str name, uint64_t value);
/* Start line, headers and the blank line in one go. Nothing is appended on failure. */
err_t http1_write_request_head(struct buf *b, struct str method, struct str target, const struct http_header *headers,
                               size_t count);
err_t http1_write_response_head(struct buf *b, int status, const struct http_header *headers, size_t count);

enum { HTTP1_CHUNK_HEAD_MAX = 20, HTTP_DATE_LEN = 29 };
#define HTTP1_LAST_CHUNK STR("0\r\n\r\n")
/* "400\r\n" for a chunk of n > 0 bytes; returns the length. The chunk's data is followed by "\r\n". */
size_t http1_chunk_head(char out[HTTP1_CHUNK_HEAD_MAX], size_t n);
/* Reason phrase of a status: "OK"; "Unknown" if it has no registered one. */
struct str http_reason(int status) PURE;
/* IMF-fixdate (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes, no NUL. Years 1970-9999. */
void http_date(char out[HTTP_DATE_LEN], int64_t unix_seconds);

#endif
