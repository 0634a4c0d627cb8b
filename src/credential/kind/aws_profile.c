/*
 * aws_profile.c - profiles in the files that AWS's command line keeps: a key, or a role that another credential assumes.
 *
 * The file of credentials goes before the file of configuration, as in AWS's SDKs. Both are read anew for each renewal, and a key is looked up again
 * every five minutes, so that one that was replaced is noticed.
 *
 * Not done: single sign-on and login sessions, whose tokens a person has to fetch; credential_process, which would be a program run by a
 * server. A profile that asks for them says so.
 *
 * Source: AWS SDKs and Tools reference guide, "Shared config and credentials files", "Assume role credential provider".
 */
#include "credential/aws.h"
#include "rt/loop.h"

extern const struct credential_kind credential_kind_aws_profile;

#define LOOK_AGAIN (300 * NS_SEC)

enum { DEPTH_MAX = 5 }; /* of profiles that refer to each other */

struct profiles {
    struct credential_fetch *fetch;
    struct str credentials, config; /* texts of the files; empty: there is none */
};

/* --- the files --- */

static struct str without_comment(struct str value)
{
    for (size_t i = 1; i < value.n; i++)
        if ((value.p[i] == '#' || value.p[i] == ';') && (value.p[i - 1] == ' ' || value.p[i - 1] == '\t'))
            return str_of(value.p, i);
    return value;
}

/* "[profile x]" and "[x]" are x. */
static bool is_section(struct str line, struct str name)
{
    size_t end = str_find_char(line, ']');
    struct str inside = str_trim(str_slice(line, 1, end));

    if (end == line.n)
        return false;
    if (str_starts(inside, STR("profile ")) || str_starts(inside, STR("profile\t")))
        inside = str_trim(str_slice(inside, 8, inside.n));
    return str_eq(inside, name);
}

/* The value of `key` in a profile, or, with an empty key, whether there is the profile: the last setting counts. Lines that begin with a blank
 * belong to the setting before them. */
static bool look_up(struct str text, struct str profile, struct str key, struct str *ret)
{
    bool inside = false, found = false;

    while (text.n) {
        struct str line = str_cut(&text, '\n');
        if (!line.n || strchr(" \t\r#;", line.p[0]))
            continue;
        if (line.p[0] == '[') {
            inside = is_section(line, profile);
            found |= inside && !key.n;
            continue;
        }
        struct str name = str_trim(str_cut(&line, '='));
        if (!inside || !key.n || !line.p || !str_eq_nocase(name, key))
            continue;
        *ret = fetch_trim(without_comment(line));
        found = true;
    }
    return found;
}

static struct str setting(const struct profiles *p, struct str profile, const char *key)
{
    struct str value = STR_NONE;

    if (!look_up(p->credentials, profile, str_from_c(key), &value))
        (void)look_up(p->config, profile, str_from_c(key), &value);
    return value;
}

static bool exists(const struct profiles *p, struct str profile)
{
    struct str unused;

    return look_up(p->credentials, profile, STR_NONE, &unused) || look_up(p->config, profile, STR_NONE, &unused);
}

/* A file that the environment names, or the usual one, which need not exist. */
static SUSPENDS err_t read_file(const struct credential_fetch *f, const char *variable, const char *usual,
                                struct str *ret)
{
    struct str home = fetch_env(f, "HOME"), named = fetch_env(f, variable);

    *ret = STR_NONE;
    if (!named.n && !home.n)
        return OK;
    struct str path = named.n ? named : arena_join(f->arena, home, str_from_c(usual));
    err_t e = fetch_file(f, path, ret);
    return e == E_NOT_FOUND ? OK : e;
}

/* --- a profile --- */

static SUSPENDS err_t resolve(const struct profiles *p, struct str name, unsigned depth, struct credential_grant *ret);

static err_t take_key(const struct profiles *p, struct str name, struct credential_grant *ret)
{
    *ret = (struct credential_grant){.access_key_id = setting(p, name, "aws_access_key_id"),
                                     .secret_access_key = setting(p, name, "aws_secret_access_key"),
                                     .session_token = setting(p, name, "aws_session_token"),
                                     .expires = NS_NEVER,
                                     .look_again = rt_now() + LOOK_AGAIN};
    if (!ret->access_key_id.n)
        return fail(E_CONFIG, "the profile %.*s has no aws_access_key_id", STR_ARG(name));
    return ret->secret_access_key.n ? OK
                                    : fail(E_CONFIG, "the profile %.*s has no aws_secret_access_key", STR_ARG(name));
}

static SUSPENDS err_t from_source(const struct profiles *p, struct str source, struct credential_grant *ret)
{
    static const struct {
        struct str source;
        struct str kind;
    } known[] = {{STR_INIT("Environment"), STR_INIT("aws-environment")},
                 {STR_INIT("EcsContainer"), STR_INIT("aws-container")},
                 {STR_INIT("Ec2InstanceMetadata"), STR_INIT("aws-instance")}};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(source, known[i].source))
            return credential_kind_find(known[i].kind)->fetch(p->fetch, ret);
    return fail(E_CONFIG, "credential_source must be Environment, EcsContainer or Ec2InstanceMetadata");
}

/* The credential that may assume the profile's role. */
static SUSPENDS err_t base_of(const struct profiles *p, struct str name, unsigned depth, struct credential_grant *ret)
{
    struct str profile = setting(p, name, "source_profile"), source = setting(p, name, "credential_source");

    if (str_eq(profile, name)) /* its own key, not its role again */
        return take_key(p, name, ret);
    if (profile.n)
        return resolve(p, profile, depth + 1, ret);
    if (source.n)
        return from_source(p, source, ret);
    return fail(E_CONFIG,
                "the profile %.*s has a role_arn, but no source_profile, credential_source or "
                "web_identity_token_file",
                STR_ARG(name));
}

static SUSPENDS err_t take_role(const struct profiles *p, struct str name, unsigned depth, struct credential_grant *ret)
{
    struct str token = setting(p, name, "web_identity_token_file");
    const struct aws_role role = {.arn = setting(p, name, "role_arn"),
                                  .external_id = setting(p, name, "external_id"),
                                  .session_name = setting(p, name, "role_session_name"),
                                  .region = setting(p, name, "region")};

    if (token.n)
        return aws_web_identity(p->fetch, &role, token, ret);
    err_t e = base_of(p, name, depth, ret);
    if (e == E_NOT_FOUND)
        return fail(E_CONFIG, "the profile %.*s: %s", STR_ARG(name), err_detail(e));
    TRY(e);
    return aws_assume_role(p->fetch, &role, ret);
}

static SUSPENDS err_t resolve(const struct profiles *p, struct str name, unsigned depth, struct credential_grant *ret)
{
    static const char *const unsupported[] = {"sso_session", "sso_start_url", "login_session", "credential_process"};

    if (depth > DEPTH_MAX)
        return fail(E_CONFIG, "profiles refer to each other in a circle");
    if (!exists(p, name))
        return fail(E_CONFIG, "there is no profile %.*s in AWS's files", STR_ARG(name));
    if (setting(p, name, "role_arn").n)
        return take_role(p, name, depth, ret);
    for (size_t i = 0; i < ARRAY_LEN(unsupported) && !setting(p, name, "aws_access_key_id").n; i++)
        if (setting(p, name, unsupported[i]).n)
            return fail(E_UNSUPPORTED, "the profile %.*s gets its key by %s, which a server cannot do", STR_ARG(name),
                        unsupported[i]);
    return take_key(p, name, ret);
}

static SUSPENDS err_t fetch(struct credential_fetch *f, struct credential_grant *ret)
{
    struct str name = fetch_setting(f, f->options->aws.profile, "AWS_PROFILE", STR_NONE), usual = STR("default");
    struct profiles p = {.fetch = f};

    TRY(read_file(f, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials", &p.credentials));
    TRY(read_file(f, "AWS_CONFIG_FILE", "/.aws/config", &p.config));
    if (name.n)
        return resolve(&p, name, 0, ret);
    if (!setting(&p, usual, "aws_access_key_id").n && !setting(&p, usual, "role_arn").n)
        return fail(E_NOT_FOUND, "~/.aws has no default profile with a key");
    return resolve(&p, usual, 0, ret);
}

const struct credential_kind credential_kind_aws_profile = {.name = "aws-profile", .fetch = fetch};
