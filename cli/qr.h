/*
 * qr: a text as a QR code (libqrencode): for a terminal, two rows of modules in a line; and as SVG.
 */
#ifndef CLI_QR_H
#define CLI_QR_H

#include <stdio.h>

#include "base/buf.h"

/* Capital letters, digits and ':' go in the dense mode. ERR_INVALID: nothing that can be encoded;
 * ERR_NOMEM. */
enum err qr_print(FILE *file, const char *text) MUST_USE;
enum err qr_svg(struct buf *out, const char *text) MUST_USE;

#endif
