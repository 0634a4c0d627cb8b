/* signature.c - signatures of simulated reasoning: nonce and hash, in base64. */
#include "sim/signature.h"

#include "codec/base64.h"
#include "codec/digest.h"

#include <string.h>

enum { NONCE_BYTES = 8, SIGNATURE_BYTES = NONCE_BYTES + SHA256_BYTES };

#define KEY STR("crossdock's simulated provider")

static void make(struct str maker, const unsigned char nonce[NONCE_BYTES], struct str text,
                 unsigned char ret_mac[SHA256_BYTES])
{
    const struct str parts[] = {maker, str_of((const char *)nonce, NONCE_BYTES), text};

    hmac_sha256(KEY, parts, ARRAY_LEN(parts), ret_mac);
}

void sim_sign(struct str maker, uint64_t nonce, struct str text, struct buf *to)
{
    unsigned char bytes[SIGNATURE_BYTES];

    for (size_t i = 0; i < NONCE_BYTES; i++)
        bytes[i] = (unsigned char)(nonce >> 8 * i);
    make(maker, bytes, text, bytes + NONCE_BYTES);
    base64_encode(to, str_of((const char *)bytes, sizeof(bytes)), BASE64);
}

bool sim_signature_is_good(struct str maker, struct str text, struct str signature)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(SIGNATURE_BYTES);
    unsigned char mac[SHA256_BYTES];

    if (base64_decode(&bytes, signature, BASE64) != OK && base64_decode(&bytes, signature, BASE64_URL_PADDED) != OK)
        return false;
    if (bytes.n != SIGNATURE_BYTES)
        return false;
    make(maker, (const unsigned char *)bytes.p, text, mac);
    return memcmp(mac, bytes.p + NONCE_BYTES, SHA256_BYTES) == 0;
}
