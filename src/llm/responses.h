/*
 * responses.h - what a store of OpenAI Responses needs to know of their form: a conversation as a list of items. Pure.
 *
 * A response that is kept is kept with all items up to and including its output. A request that names it by previous_response_id means those
 * items, and then its own input; instructions are not carried over.
 */
#ifndef LLM_RESPONSES_H
#define LLM_RESPONSES_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/json_tree.h"

/*
 * The conversation that a request continues: the stored items, then the request's `input` (a string counts as one user message), appended to `to` as
 * one JSON array. The gateway puts it in the place of "input" and takes "previous_response_id" out.
 *
 * stored  JSON text of an array, from responses_items_to_store(); empty: none
 *
 * Errors: E_PARSE (stored), E_TOO_LARGE.
 */
err_t responses_conversation(struct arena *arena, struct str stored, struct json_node input, struct buf *to) MUST_CHECK;
/*
 * What is to be stored with a response: the items of the request's whole `input` (which is a conversation already, if it continued one) and the
 * output items of the response object, appended to `to` as one JSON array.
 *
 * response  the response object as the client got it: the body of a plain answer, or "response" of a stream's last event
 *
 * Errors: E_PARSE (response), E_TOO_LARGE.
 */
err_t responses_items_to_store(struct arena *arena, struct json_node input, struct str response, struct buf *to)
    MUST_CHECK;
/*
 * The stored items of an input as the API lists them, appended to `to` as one JSON array: what may be left out when an item is sent (its type, id
 * and status, and that content is a list of parts) is there. An id that is made up here is always the same for the same place.
 *
 * items     an array, from responses_conversation()
 * response  the id of the response
 *
 * Errors: E_TOO_LARGE.
 */
err_t responses_list_items(struct arena *arena, struct json_node items, struct str response, struct buf *to) MUST_CHECK;

#endif
