/*
 * opened: one entry, and the P that opens it: what the holder of a case key hands to somebody who
 * has the log and no key (DESIGN 8, selective disclosure). The extra data of a proof file
 * (replication/log/tlog_proof.h):
 *
 *   u8 1 || u8 flags || lv16(entry) || P          flags: 1, P is there; 32 bytes, else none
 *
 * Nothing of it is to be believed for where it stood: the entry is the log's when its leaf hash is
 * proven to be, and P is the entry's when the commitment in the entry says so (seal_open_revealed).
 * Pure.
 */
#ifndef CASES_OPENED_H
#define CASES_OPENED_H

#include "cases/seal/seal.h"

enum { OPENED_VERSION = 1, OPENED_HAS_P = 1 };

struct opened {
	struct bytes entry;
	bool has_p;
	struct seal_reveal p; /* wipe it */
};

/* ret->entry is a view of data. There is one way to write it. ERR_MALFORMED; ERR_VERSION. */
enum err opened_parse(struct bytes data, struct opened *ret) MUST_USE;
/* Appends. With P, `out` holds a key: reserve LIMIT_TLOG_EXTRA bytes first, and wipe it. */
void opened_write(struct buf *out, const struct opened *opened);

#endif
