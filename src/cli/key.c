/* key.c - crossdock key new: make a gateway key. The key is shown once; only its hash goes into the configuration. */
#include "cli/cli.h"
#include "codec/base64.h"
#include "codec/digest.h"
#include "rt/loop.h"

#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 32 };

static int print_new_key(const char *name)
{
    unsigned char bytes[KEY_BYTES], hash[SHA256_BYTES];
    char hex[SHA256_HEX];
    struct buf key CLEANUP(buf_release) = BUF_INIT(128);

    rt_random_bytes(bytes, sizeof bytes);
    buf_add_lit(&key, "xd-");
    if (base64_encode(&key, str_of((const char *)bytes, sizeof bytes), BASE64_URL) != OK)
        return EXIT_FAILED;
    sha256(buf_str(&key), hash);
    hex_encode(hex, hash, sizeof hash);
    (void)printf("key:  %.*s\n\nShown only now: give it to its user. Into the configuration goes its hash:\n\n"
                 "keys:\n  - name: %s\n    hash: \"sha256:%.*s\"\n",
                 STR_ARG(buf_str(&key)), name, (int)sizeof hex, hex);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"name", true, NULL}};
    int operands, e = cli_parse(&command_key, argc, argv, options, 1, 1, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (operands != 1 || strcmp(argv[1], "new") != 0) {
        (void)fputs("crossdock key: say 'crossdock key new'\nTry 'crossdock key --help'.\n", stderr);
        return EXIT_USAGE;
    }
    return print_new_key(options[0].value ? options[0].value : "new-key");
}

const struct command command_key = {
    .name = "key",
    .summary = "make a key for clients of the gateway",
    .help =
        "Usage: crossdock key new [--name NAME]\n\n"
        "Makes a random key and prints it together with the lines for the configuration, which hold its hash only.\n\n"
        "  --name NAME   what to call the key's owner in the configuration and in logs\n",
    .run = run,
};
