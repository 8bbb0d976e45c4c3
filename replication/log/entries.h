/*
 * entries: an immutable, reference-counted block of consecutive entries of one log, with their leaf
 * hashes. One copy of the bytes goes from the wire to the disk and back to the wire: the engine
 * makes it, the writer thread reads it, sessions send from it. References are atomic; contents may
 * be read from any thread.
 */
#ifndef REPLICATION_LOG_ENTRIES_H
#define REPLICATION_LOG_ENTRIES_H

#include "replication/log/tree.h"

struct entries {
	_Atomic unsigned references;
	size_t count;
	size_t size;         /* of all entries together */
	struct bytes *entry; /* count views into the block's own memory */
	struct hash *leaf;   /* count leaf hashes */
};

/* Copies the entries. ERR_LIMIT when one is empty or over LIMIT_ENTRY_SIZE, or count is 0;
 * ERR_NOMEM. One reference, the caller's. */
enum err entries_make(const struct bytes *entry, size_t count, struct entries **ret) MUST_USE;
struct entries *entries_ref(struct entries *entries);
void entries_unref(struct entries *entries); /* NULL is fine; the last one frees */

#endif
