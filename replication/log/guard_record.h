/*
 * guard record: what a node remembers of its own logs outside its store, so that a store that was
 * put back (a backup, a copied directory, an old disk image) is found out before it signs anything
 * (DESIGN 10). The bytes of one slot of the guard file, and the judgement of a start. No I/O:
 * server/store/guard has the file.
 *
 * A slot is GUARD_SLOT_SIZE bytes; docs/FORMAT has the layout. Slots are written in turn; the valid
 * one with the highest sequence number counts, so that a torn write loses nothing but itself.
 */
#ifndef REPLICATION_LOG_GUARD_RECORD_H
#define REPLICATION_LOG_GUARD_RECORD_H

#include "replication/log/checkpoint.h"

enum { GUARD_SLOT_SIZE = 4096, GUARD_SLOTS = 2, GUARD_LOGS_MAX = 2, GUARD_VERSION = 1 };
enum { GUARD_WHY_MAX = 300 };

struct guard_log {
	struct origin origin;
	uint64_t size; /* 0: nothing was committed to it yet */
	struct hash root;
};

struct guard_record {
	uint64_t sequence; /* of the writes of this file */
	char network[LIMIT_NETWORK_NAME + 1], node[LIMIT_NODE_NAME + 1];
	uint64_t commit; /* commit number of the store; never goes down */
	/* The newest signed checkpoint of each log that this node writes: its own, and the
	 * directory's at headquarters. */
	size_t log_count;
	struct guard_log logs[GUARD_LOGS_MAX];
	struct origin next;   /* an epoch that is being opened in place of the own log; "": none */
	bool stopped;         /* a peer showed another history of the own log */
	bool renew;           /* the own log is never signed again: `next` takes its place */
	bool directory_ended; /* nor is the directory's; for good */
	char why[GUARD_WHY_MAX + 1]; /* it was stopped or is renewed; "" */
};

/* The log of that origin; NULL: it is not in the record. */
struct guard_log *guard_record_log(struct guard_record *record, const char *origin);
/* The log of this node itself, not the directory; NULL: there is none yet. */
struct guard_log *guard_record_own(struct guard_record *record);

/* Exactly GUARD_SLOT_SIZE bytes. */
void guard_record_write(const struct guard_record *record, uint8_t ret[GUARD_SLOT_SIZE]);
/* ERR_CORRUPT: not a whole slot; ERR_VERSION: of a newer Sauti. */
enum err guard_record_read(struct bytes slot, struct guard_record *ret) MUST_USE;

/* What a store says of itself when it is opened. */
struct guard_facts {
	bool guarded;    /* it has been under a guard before */
	bool lost;       /* it has no log of this node, whose keys say that there was one */
	bool backup;     /* it is a restored backup */
	uint64_t commit; /* its commit number */
	bool next_begun; /* it has entries of record->next */
	/* Of each log of the record, in order: how many entries it has, and its root at the
	 * record's size; the root is looked at only if there are that many. */
	struct {
		uint64_t size;
		struct hash root;
	} logs[GUARD_LOGS_MAX];
};

/*
 *   NEW      no guard yet, and there never was one: it begins with what the store has
 *   SAME     the store is what the guard remembers, or one commit more: go on
 *   ROLLED   .. so are the logs of this node, but commits of other logs are missing: go on, cosign
 *            nothing until the store has as many commits again
 *   BEHIND   entries of an own log are missing: it is read-only until they are back
 *   STOPPED  a peer showed another history of the own log: read-only
 *   OTHER    neither: this log is never signed again; a new epoch takes its place
 */
enum guard_verdict {
	GUARD_NEW,
	GUARD_SAME,
	GUARD_ROLLED,
	GUARD_BEHIND,
	GUARD_STOPPED,
	GUARD_OTHER
};
/* record NULL: there is no valid slot. why says in words what was found, "" for NEW and SAME. */
enum guard_verdict guard_judge(
	const struct guard_record *record, const struct guard_facts *facts, struct errctx *ret_why);
/* "same", "behind", ..: for programs. Static. */
const char *guard_verdict_name(enum guard_verdict verdict);

#endif
