/*
 * xml.h - the text of an element in an XML document, for the few answers that come in XML (AWS's query APIs). Pure.
 *
 * A reader for answers of machines, not a parser of XML 1.0: no tree, no attributes, no document types (those are refused, and with them every entity but
 * the five of XML and the numeric ones of ASCII, so nothing can expand).
 */
#ifndef CODEC_XML_H
#define CODEC_XML_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Append the text of the first element called `name` in document order, entities decoded, blanks around it dropped.
 *
 * name  without prefix; prefixes in the document are ignored
 * to    its maximum limits the text
 *
 * Errors: E_NOT_FOUND: no such element; E_PARSE: markup that cannot be read comes before its end, or the element holds other elements;
 * E_TOO_LARGE of the buf. Nothing is appended then.
 */
err_t xml_text(struct str document, struct str name, struct buf *to) MUST_CHECK;

#endif
