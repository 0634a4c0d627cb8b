/* digest_test.c - SHA-256 and HMAC against published vectors; hex. */
#include "unit/test.h"

#include "codec/digest.h"

#include <string.h>

static void check_hex(const unsigned char *bytes, size_t n, const char *want)
{
    char text[2 * 64];

    hex_encode(text, bytes, n);
    CHECK_STR(str_of(text, 2 * n), want);
}

TEST(sha256_agrees_with_fips_180)
{
    unsigned char h[SHA256_BYTES];

    sha256(STR(""), h);
    check_hex(h, sizeof h, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256(STR_NONE, h);
    check_hex(h, sizeof h, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256(STR("abc"), h);
    check_hex(h, sizeof h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), h);
    check_hex(h, sizeof h, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(sha256_of_pieces_is_that_of_the_whole)
{
    unsigned char h[SHA256_BYTES], whole[SHA256_BYTES];
    struct str parts[] = {STR("ab"), STR_NONE, STR("c")};

    sha256(STR("abc"), whole);
    sha256_parts(parts, ARRAY_LEN(parts), h);
    CHECK_MEM(h, whole, sizeof h);
    struct sha256 *s = sha256_new();
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        sha256_add(s, parts[i]);
    sha256_end(s, h);
    CHECK_MEM(h, whole, sizeof h);
    s = sha256_new();
    for (int i = 0; i < 3; i++) { /* whatever was hashed before */
        sha256_whole(s, STR("abc"), h);
        CHECK_MEM(h, whole, sizeof h);
        sha256_whole(s, STR("another"), h);
        CHECK(memcmp(h, whole, sizeof h) != 0);
    }
    sha256_free(s);
    s = sha256_new();
    sha256_add(s, parts[0]);
    sha256_free(s);
    sha256_free(NULL);
}

TEST(hmac_sha256_agrees_with_rfc_4231)
{
    unsigned char mac[SHA256_BYTES];
    char key[131];
    struct str hi[] = {STR("Hi "), STR("There")}, what = STR("what do ya want for nothing?");
    struct str large = STR("Test Using Larger Than Block-Size Key - Hash Key First");

    memset(key, 0x0b, 20);
    hmac_sha256(str_of(key, 20), hi, 2, mac);
    check_hex(mac, sizeof mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(STR("Jefe"), &what, 1, mac);
    check_hex(mac, sizeof mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    hmac_sha256(str_of(key, sizeof key), &large, 1, mac);
    check_hex(mac, sizeof mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_sha256(STR_NONE, NULL, 0, mac);
    check_hex(mac, sizeof mac, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(hex_goes_there_and_back)
{
    unsigned char out[3] = {0};
    char text[6];

    hex_encode(text, "\x00\x7f\xff", 3);
    CHECK_STR(str_of(text, 6), "007fff");
    CHECK(hex_decode(out, 3, STR("007FfF")));
    CHECK_MEM(out, "\x00\x7f\xff", 3);
    CHECK(!hex_decode(out, 3, STR("007ff")));
    CHECK(!hex_decode(out, 3, STR("007fff0")));
    CHECK(!hex_decode(out, 3, STR("007fg0")));
    CHECK(!hex_decode(out, 3, STR("00 fff")));
    CHECK(hex_decode(out, 0, STR("")));
}
