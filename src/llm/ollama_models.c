/*
 * ollama_models.c - models as Ollama's clients list and show them.
 *
 * What Ollama tells of files and weights (sizes, quantization, templates) a gateway does not have: it is told empty. The digest, by which clients tell
 * models apart, is that of the name. Capabilities are those that the gateway can carry to the model's provider; which of them the model has, that one
 * says when asked for more.
 */
#include "base/date.h"
#include "codec/digest.h"
#include "codec/json_out.h"
#include "llm/ollama_int.h"

struct str ollama_time(int64_t seconds, struct arena *arena)
{
    enum { DAY = 24 * 3600 };
    int64_t day = seconds / DAY, rest = seconds % DAY;
    struct date d = date_of_day(rest < 0 ? day - 1 : day);

    if (rest < 0)
        rest += DAY;
    return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month, d.day, (int)(rest / 3600),
                        (int)(rest / 60 % 60), (int)(rest % 60));
}

static void put_details(struct json_out *o, const struct model_card *card)
{
    json_member_open(o, STR("details"), '{');
    json_member_str(o, STR("parent_model"), STR_NONE);
    json_member_str(o, STR("format"), STR_NONE);
    json_member_str(o, STR("family"), card->owner);
    json_member_open(o, STR("families"), '[');
    json_put_str(o, card->owner);
    json_close(o, ']');
    json_member_str(o, STR("parameter_size"), STR_NONE);
    json_member_str(o, STR("quantization_level"), STR_NONE);
    json_close(o, '}');
}

static void put_digest(struct json_out *o, struct str name)
{
    unsigned char hash[SHA256_BYTES];
    char digits[2 * SHA256_BYTES];

    sha256(name, hash);
    hex_encode(digits, hash, SHA256_BYTES);
    json_member_str(o, STR("digest"), str_of(digits, sizeof digits));
}

static void put_card(struct json_out *o, const struct model_card *card, struct arena *arena)
{
    json_open(o, '{');
    json_member_str(o, STR("name"), card->id);
    json_member_str(o, STR("model"), card->id);
    json_member_str(o, STR("modified_at"), ollama_time(card->created, arena));
    json_member_u64(o, STR("size"), 0);
    put_digest(o, card->id);
    put_details(o, card);
    json_close(o, '}');
}

err_t ollama_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_open(&o, STR("models"), '[');
    for (size_t i = 0; i < n; i++)
        put_card(&o, &cards[i], t->arena);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

/* Clients leave models that embed out of their lists for chats, so it is said only of those that do nothing else. */
static struct str capabilities(const struct model_card *card)
{
    if (card->dialect && !card->dialect->provider.write_chat)
        return STR("[\"embedding\"]");
    return STR("[\"completion\",\"tools\",\"vision\",\"thinking\"]");
}

err_t ollama_write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("license"), STR_NONE);
    json_member_str(&o, STR("modelfile"), STR_NONE);
    json_member_str(&o, STR("parameters"), STR_NONE);
    json_member_str(&o, STR("template"), STR_NONE);
    put_details(&o, card);
    json_member_open(&o, STR("model_info"), '{');
    json_member_str(&o, STR("general.architecture"), card->owner);
    json_member_str(&o, STR("general.basename"), card->id);
    json_close(&o, '}');
    json_member_raw(&o, STR("capabilities"), capabilities(card));
    json_member_str(&o, STR("modified_at"), ollama_time(card->created, t->arena));
    json_close(&o, '}');
    return buf_status(to);
}
