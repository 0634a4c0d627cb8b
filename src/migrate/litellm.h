/*
 * litellm.h - a LiteLLM proxy configuration to one of ours. Pure.
 *
 * What has a counterpart is translated; everything else is named, with its place and what to do instead, so that nothing is lost in
 * silence. Written against LiteLLM's documentation of the proxy's config.yaml, November 2026.
 */
#ifndef MIGRATE_LITELLM_H
#define MIGRATE_LITELLM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/yaml.h"

/* Bytes of a configuration that are read. */
enum { LITELLM_BYTES_MAX = 4 * 1024 * 1024 };

/*
 * Translate `text`.
 *
 * file      its name, for messages and for the first lines of the result
 * a         working memory; the problems' texts live there too
 * problems  what is not carried over, as warnings, by place; errors if there is no result. Start with {.arena = a}
 * to        the configuration is appended, what is not carried over as comments at its top. Its maximum limits it
 *
 * Secrets that are in clear in `text` are in clear in the result, which a warning says; the master key becomes a hash. No message
 * holds a secret.
 *
 * E_PARSE: not YAML, or not LiteLLM's; E_UNSUPPORTED: no deployment can be carried over; E_TOO_LARGE: past the maximum of `to`.
 */
err_t litellm_import(struct str text, struct str file, struct arena *a, struct problems *problems, struct buf *to)
    MUST_CHECK;

#endif
