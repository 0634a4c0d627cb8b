/*
 * tool_id.c - ids of tool calls: fitting, coding, hashing.
 *
 * A coded id is MARK and the base64url text of the id, if that fits into 64 characters, else HASHED and 40 hex digits of its SHA-256. An id
 * that looks coded although it came so from outside is coded once more, so that restoring never undoes what was not done here.
 */
#include "llm/tool_id.h"

#include "codec/base64.h"
#include "codec/digest.h"

#include <stdint.h>

#define MARK STR("cdx_")
#define HASHED STR("cdh_")

enum { ID_MAX = 64, MISTRAL_ID = 9, HASH_DIGITS = 40 };

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_allowed(enum tool_id_form form, char c)
{
    switch (form) {
    case TOOL_ID_ANY:
        return c > ' ' && c < 0x7f;
    case TOOL_ID_ANTHROPIC:
        return is_alnum(c) || c == '_' || c == '-';
    case TOOL_ID_BEDROCK:
        return is_alnum(c) || c == '_' || c == '-' || c == '.' || c == ':';
    case TOOL_ID_MISTRAL:
        return is_alnum(c);
    }
    return false;
}

static bool fits(enum tool_id_form form, struct str id)
{
    if (form == TOOL_ID_MISTRAL ? id.n != MISTRAL_ID : id.n > ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!is_allowed(form, id.p[i]))
            return false;
    return !str_starts(id, MARK) && !str_starts(id, HASHED);
}

/* `n` characters of the alphabet of 62 from a hash of the parts. */
static struct str hashed_text(const struct str *parts, size_t count, size_t n, struct arena *arena)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char hash[SHA256_BYTES];
    char *to = arena_alloc(arena, n);
    unsigned __int128 value = 0;

    sha256_parts(parts, count, hash);
    for (size_t i = 0; i < 16; i++)
        value = value << 8 | hash[i];
    for (size_t i = 0; i < n; i++) {
        to[i] = alphabet[value % 62];
        value /= 62;
    }
    return str_of(to, n);
}

static struct str code(struct str id, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(ID_MAX);
    unsigned char hash[SHA256_BYTES];
    char digits[HASH_DIGITS];

    buf_add(&to, MARK);
    if (base64_encoded_length(id.n, BASE64_URL) + to.n <= ID_MAX) {
        base64_encode(&to, id, BASE64_URL);
        return arena_str(arena, buf_str(&to));
    }
    sha256(id, hash);
    hex_encode(digits, hash, HASH_DIGITS / 2);
    return arena_join(arena, HASHED, str_of(digits, HASH_DIGITS));
}

struct str tool_id_fit(enum tool_id_form form, struct str id, struct arena *arena)
{
    if (id.n == 0 || fits(form, id))
        return id;
    if (form == TOOL_ID_MISTRAL)
        return hashed_text(&id, 1, MISTRAL_ID, arena);
    return code(id, arena);
}

struct str tool_id_restore(struct str id, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(ID_MAX);

    if (!str_starts(id, MARK) || base64_decode(&to, str_slice(id, MARK.n, id.n), BASE64_URL) != OK)
        return id;
    return arena_str(arena, buf_str(&to));
}

struct str tool_id_make(uint64_t turn, uint64_t part, struct str name, struct arena *arena)
{
    enum { MADE = 20 };
    struct str place = arena_printf(arena, "%llu/%llu/", (unsigned long long)turn, (unsigned long long)part);
    struct str parts[] = {place, name};

    return arena_join(arena, STR("call_"), hashed_text(parts, 2, MADE, arena));
}
