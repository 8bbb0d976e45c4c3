/*
 * bundle_file: a bundle on a stick, for reading. Regular files only, never mapped: what is pulled
 * out is an error, not a signal.
 */
#ifndef NODE_BUNDLE_FILE_H
#define NODE_BUNDLE_FILE_H

#include "replication/bundle/reader.h"

struct bundle_file {
	int fd;
	uint64_t size;
	struct bundle_source source; /* its arg is the file: do not move it */
};
/* Codes as files.h. */
enum err bundle_file_open(const char *path, struct bundle_file *ret, struct errctx *ctx) MUST_USE;
void bundle_file_close(struct bundle_file *file);

#endif
