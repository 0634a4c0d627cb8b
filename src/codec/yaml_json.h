/* yaml_json.h - a value of a YAML document as JSON. Pure. */
#ifndef CODEC_YAML_JSON_H
#define CODEC_YAML_JSON_H

#include "codec/yaml.h"

/*
 * Append the value as JSON (YAML 1.2 core schema): what stands in quotes, or is no null, truth or number, is a string. Numbers keep their digits.
 *
 * E_PARSE, after a problem was added: a number that JSON does not have (0x1f, .inf). E_TOO_LARGE past the buf's maximum.
 */
err_t yaml_put_json(const struct yaml_node *n, struct problems *problems, struct buf *to) MUST_CHECK;

#endif
