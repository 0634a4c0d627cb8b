/*
 * model_book.h - what is known of the vendors' models: price, limits, what they lack; each with its date and source.
 *
 * The book is shipped: src/fleet/prices/ has a YAML file per vendor, scripts/gen-model-book checks them and makes one
 * constant table of them, so that neither a start nor a reload reads anything. It says what was on the vendors' pages on
 * a day; what a configuration says of a deployment counts more. docs/prices.md is for those who read and update it.
 */
#ifndef FLEET_MODEL_BOOK_H
#define FLEET_MODEL_BOOK_H

#include "base/attr.h"
#include "base/str.h"
#include "fleet/needs.h"
#include "llm/vendor.h"
#include "policy/price.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_facts {
    const struct price *price;
    uint64_t context_tokens, max_output_tokens; /* input and output together, output; 0: not known          */
    uint32_t lacks;                             /* NEED_ bits that the model is known not to have           */
    struct str as_of, source;                   /* day "2026-01-31"; URL of the vendor's page, or words      */
};

/* One id of one vendor. */
struct model_row {
    struct str vendor, id;
    bool is_prefix; /* whatever begins with the id (in the file "id*"), not only its versions */
    const struct model_facts *facts;
};

/* All rows, sorted by vendor and id. Made by scripts/gen-model-book. */
extern const struct model_row model_book_rows[];
extern const size_t model_book_row_count;

/* The rows of one vendor: the first of them, and how many; NULL and 0 if there are none. */
const struct model_row *model_book_vendor(struct str vendor, size_t *ret_count);

/*
 * What is known of the model that `vendor` calls `model`; NULL: nothing.
 *
 * Of several ids that fit, the longest counts. An id fits itself; itself with a version that the price does not depend on
 * ("-2026-01-31", "-20260131", "@20260131", "-0131", "-001", "-latest", "@default"); and what begins with it, if it is a
 * prefix. If nothing fits a model with slashes in its name, what is behind the last one is looked for: resource names of
 * Google ("publishers/google/models/…") and AWS ("arn:aws:bedrock:…/…").
 *
 * Does not suspend, does not allocate; a search of O(log n) for each id that begins the model's, of which there are few.
 */
const struct model_facts *model_book_find(const struct vendor *vendor, struct str model);

#endif
