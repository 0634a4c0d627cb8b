/*
 * media.c - images, sounds and files that a client put into its request: where their bytes are, and what they are.
 *
 * What the first bytes say wins nowhere by itself: writers ask media_sniff() where a provider refuses a wrong type.
 */
#include "base/buf.h"
#include "codec/base64.h"
#include "codec/url.h"
#include "llm/chat.h"

/* "image/png" out of "image/PNG; charset=…", the usual mistake mended. */
static struct str media_type(struct str head, struct arena *arena)
{
    struct str type = str_trim(str_cut(&head, ';'));
    char *to = arena_alloc(arena, type.n + 1);

    for (size_t i = 0; i < type.n; i++)
        to[i] = ascii_lower(type.p[i]);
    type = str_of(to, type.n);
    return str_eq(type, STR("image/jpg")) ? STR("image/jpeg") : type;
}

/* Base64 in the standard alphabet with padding, as every provider takes it; clients also send the URL alphabet, and line ends. */
struct str base64_standard(struct str text, struct arena *arena)
{
    char *to;
    size_t n = 0;
    bool same = text.n % 4 == 0;

    for (size_t i = 0; same && i < text.n; i++)
        same = text.p[i] != '-' && text.p[i] != '_' && text.p[i] > ' ';
    if (same)
        return text;
    to = arena_alloc(arena, text.n + 4);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t' || c == '=')
            continue;
        to[n++] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (n % 4)
        to[n++] = '=';
    return str_of(to, n);
}

err_t media_from_url(struct media *to, struct str url, struct arena *arena)
{
    if (!str_starts_nocase(url, STR("data:"))) {
        to->source = MEDIA_URL;
        to->data = url;
        return OK;
    }
    struct str rest = str_slice(url, 5, url.n), head = str_cut(&rest, ',');
    if (!rest.p)
        return fail(E_PARSE, "a data: URL needs a comma before its data");
    to->type = media_type(head, arena);
    if (head.n >= 7 && str_eq_nocase(str_slice(head, head.n - 7, head.n), STR(";base64"))) {
        struct str text;
        TRY(url_decode(rest, arena, &text));
        to->source = MEDIA_BASE64;
        to->data = base64_standard(text, arena);
        return OK;
    }
    to->source = MEDIA_TEXT;
    return url_decode(rest, arena, &to->data);
}

struct str media_sniff(struct str base64)
{
    static const struct {
        struct str type, magic;
        size_t at;
    } known[] = {
        {STR_INIT("image/png"), STR_INIT("\x89PNG\r\n\x1a\n"), 0},
        {STR_INIT("image/jpeg"), STR_INIT("\xff\xd8\xff"), 0},
        {STR_INIT("image/gif"), STR_INIT("GIF8"), 0},
        {STR_INIT("image/webp"), STR_INIT("WEBP"), 8},
        {STR_INIT("application/pdf"), STR_INIT("%PDF-"), 0},
        {STR_INIT("audio/wav"), STR_INIT("WAVE"), 8},
        {STR_INIT("audio/mpeg"), STR_INIT("ID3"), 0},
        {STR_INIT("audio/mpeg"), STR_INIT("\xff\xfb"), 0},
        {STR_INIT("audio/flac"), STR_INIT("fLaC"), 0},
        {STR_INIT("audio/ogg"), STR_INIT("OggS"), 0},
        {STR_INIT("video/mp4"), STR_INIT("ftyp"), 4},
    };
    enum { LOOK = 16 };
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(LOOK);

    if (base64_decode(&bytes, str_slice(base64, 0, LOOK), BASE64) != OK)
        return STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_starts(str_slice(buf_str(&bytes), known[i].at, bytes.n), known[i].magic))
            return known[i].type;
    return STR_NONE;
}

struct str media_type_of_url(struct str url)
{
    static const struct {
        struct str ending, type;
    } known[] = {
        {STR_INIT(".png"), STR_INIT("image/png")},       {STR_INIT(".jpg"), STR_INIT("image/jpeg")},
        {STR_INIT(".jpeg"), STR_INIT("image/jpeg")},     {STR_INIT(".gif"), STR_INIT("image/gif")},
        {STR_INIT(".webp"), STR_INIT("image/webp")},     {STR_INIT(".heic"), STR_INIT("image/heic")},
        {STR_INIT(".pdf"), STR_INIT("application/pdf")}, {STR_INIT(".txt"), STR_INIT("text/plain")},
        {STR_INIT(".wav"), STR_INIT("audio/wav")},       {STR_INIT(".mp3"), STR_INIT("audio/mpeg")},
        {STR_INIT(".flac"), STR_INIT("audio/flac")},     {STR_INIT(".ogg"), STR_INIT("audio/ogg")},
        {STR_INIT(".mp4"), STR_INIT("video/mp4")},       {STR_INIT(".mov"), STR_INIT("video/quicktime")},
        {STR_INIT(".webm"), STR_INIT("video/webm")},
    };
    struct str path = str_cut(&url, '?');

    path = str_cut(&path, '#');
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (path.n >= known[i].ending.n &&
            str_eq_nocase(str_slice(path, path.n - known[i].ending.n, path.n), known[i].ending))
            return known[i].type;
    return STR_NONE;
}
