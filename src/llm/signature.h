/*
 * signature.h - proofs of origin of one family of models, carried through a dialect of another.
 *
 * A signature or an encrypted thought is valid only where it was made. When it must travel in a client's field that belongs to another family, it
 * is wrapped with the name of its maker; a client that sends it back is thereby understood, whoever answers next. Blobs of the field's own
 * family are not touched, so a blob without a wrapping belongs to the dialect in which it came.
 */
#ifndef LLM_SIGNATURE_H
#define LLM_SIGNATURE_H

#include "base/attr.h"
#include "llm/chat.h"

/* The blob as the field of a dialect of family `field` carries it; `blob` itself if that is its own family. In the arena. */
struct str signature_wrap(enum signer signer, enum signer field, struct str blob, struct arena *arena);
/* What was wrapped, and whose it is; without a wrapping: the blob itself, and `field`. A slice of `carried`. */
struct str signature_unwrap(struct str carried, enum signer field, enum signer *ret_signer);
/*
 * Where a dialect has no place for the signature of a tool call, it is told as a thought without words beside it. Take Google's such thoughts out of
 * the blocks of a turn that came back, and sign the calls: the one directly in front of the thought if that is where the dialect tells it
 * (`is_behind`), else the first call behind it that none has signed. Clients move them: some put texts between, some all thoughts first.
 */
void signatures_adopt(struct block **list, bool is_behind);
/*
 * May this document, a request in a dialect of family `field`, hold what its provider would refuse: blobs wrapped above, or (Anthropic's) thoughts that
 * nobody signed? Only its text is looked through, so a document that merely quotes such a blob may count as one that holds it.
 */
bool signatures_are_foreign(struct str document, enum signer field) PURE;

#endif
