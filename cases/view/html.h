/* html: text into a page, made harmless. Pure. */
#ifndef CASES_VIEW_HTML_H
#define CASES_VIEW_HTML_H

#include "base/buf.h"

/* Appends text so that it can stand in an element or in a quoted attribute: the five characters of
 * HTML escaped; controls (but line feed), marks that change the direction of writing, and bytes
 * that are no UTF-8 as U+FFFD. Sticky error in out. */
void html_put_text(struct buf *out, struct bytes text);

#endif
