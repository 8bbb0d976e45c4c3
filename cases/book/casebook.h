/*
 * casebook: what a node keeps in memory of its cases while it is unlocked: the keys, where the
 * entries of each key stand in the logs, which events are known. No content of an event but case
 * codes and dates; events are opened when they are asked for.
 *
 * Memory: at most 128 bytes an event (test_casebook measures it), besides some 500 bytes a case and
 * 250 a key. Caps: LIMIT_CASES, LIMIT_CASE_EVENTS, LIMIT_LEDGER_EVENTS. Everything
 * is wiped on release.
 *
 * A node's ledger (groups audit and views) is a case here, too, with keys and entries; but its
 * events are not counted, so that whatever shows only cases with events does not show it.
 *
 * A key of another node (options.node) brings that node's events into the case. What it says of an
 * id counts for that side alone: an event of this node is found, counted and given numbers as if
 * nobody else had ever used its id, code or case.
 *
 * Two ways to add an entry:
 * - casebook_note: an entry found in a log, opened (at unlock, or from a peer).
 * - casebook_reserve, then casebook_commit once durable: an entry this node is about to write. The
 *   number i under its key is taken at once, so that the next one is sealed behind it. When a
 *   commit fails, casebook_abort discards whatever was reserved and not yet committed, of all
 *   keys: what was sealed in that commit, and what was sealed behind it, is void (DESIGN 8).
 *
 * Pointers to cases stay valid until release, those to keys until the key is forgotten. Not
 * thread-safe: one sealing thread.
 */
#ifndef CASES_CASEBOOK_H
#define CASES_CASEBOOK_H

#include "cases/event/event.h"
#include "cases/seal/keyring.h"
#include "cases/seal/seal.h"

/* One entry under a key; i is its number under K in that log. Public for reading only. */
struct casebook_entry {
	uint32_t event; /* see casebook_event */
	uint32_t i;
	uint32_t index_low; /* of the entry in the log: casebook_entry_index */
	uint16_t index_high;
	uint16_t log; /* the caller's number of the log */
};

struct casebook_key {
	struct casebook_key *next; /* of the same case */
	struct casebook_case *owner;
	struct seal_key seal;
	enum group group;
	uint32_t generation;
	char author[LIMIT_NODE_NAME + 1];
	bool foreign; /* the author is another node: nothing is reserved under it */
	uint32_t escrow, escrow_place; /* the vault's: server/vault/escrow/escrow.h */
	uint64_t next_i;               /* in the book's own log */
	/* In the order noted. Those from entry_committed on are reserved: they stand nowhere yet.
	 */
	struct casebook_entry *entries;
	uint32_t entry_count, entry_committed, entry_capacity;
	struct casebook_key *next_reserved; /* private */
	bool in_reserved;                   /* private */
};

struct casebook_case {
	struct case_ref ref;
	char code[CASE_CODE_MAX + 1]; /* capitals; "" until CASE_OPENED was seen */
	char opened_on[11];           /* of CASE_OPENED; "" when unknown */
	char last_occurred_on[11];    /* the greatest seen; "" when there is none */
	uint32_t event_count;         /* committed events; those of a ledger do not count */
	uint32_t number;              /* 0-based, in the order added */
	bool opened_foreign;          /* the code is another node's: it takes none of this one's */
	bool granted; /* another node gave keys of it: it is shown without events, too */
	struct casebook_key *keys; /* newest first */
	/* Private. */
	uint32_t event_all, foreign_all, next_by_ref, next_by_code;
	bool opened_reserved;
};

struct casebook;

/* Of one case: this node's, and as many of all other nodes together. */
enum { CASEBOOK_KEYS_MAX = 512 };

struct casebook_options {
	uint64_t seed;    /* random: hash tables cannot be made slow by chosen ids */
	uint16_t own_log; /* the caller's number of the log this node writes */
	const char *node; /* this node's name, copied; NULL: every key is its own */
};

enum err casebook_new(const struct casebook_options *options, struct casebook **ret) MUST_USE;
void casebook_free(struct casebook *book); /* wipes; NULL is fine */

/* Adds a key out of the keyring (K is copied), and its case when that is new. ERR_EXISTS when that
 * kid is there already; ERR_LIMIT past LIMIT_CASES or CASEBOOK_KEYS_MAX; ERR_NOMEM, ERR_CRYPTO.
 * ret_key may be NULL. */
enum err casebook_add_key(struct casebook *book, const struct keyring_entry *entry,
	struct casebook_key **ret_key) MUST_USE;

/* The key is erased: it is wiped and freed, with what was found under it. An event of which no
 * other entry of this book tells is known no more, and the case has no code once nothing opens it.
 * Nothing may be reserved under it. */
void casebook_forget_key(struct casebook *book, struct casebook_key *key);

/* NULL when there is none. find accepts a case code (either case) or 32 hex digits. Of two cases
 * with one code the one that this node opened is found, else the one added first. */
struct casebook_case *casebook_find(const struct casebook *book, struct bytes code_or_ref);
struct casebook_case *casebook_find_ref(const struct casebook *book, const struct case_ref *ref);
struct casebook_case *casebook_find_code(const struct casebook *book, struct bytes code);
/* The key that `author` writes a group of a case with: that of the highest generation. */
struct casebook_key *casebook_find_key(
	const struct casebook_case *kase, enum group group, struct bytes author);

/* The event of this node, reserved or committed; false when it is not known. For idempotence and as
 * target of a CORRECTION. main is GROUP_NONE while only other parts were seen. ret may be NULL. */
struct casebook_event_info {
	struct event_target target;
	const struct casebook_case *kase;
	bool committed;
	bool contested; /* of a foreign one: several nodes wrote entries of it */
};
bool casebook_find_event(
	const struct casebook *book, const struct event_id *id, struct casebook_event_info *ret);
/* The same among the events of other nodes in one case. Looks through the entries of the case. */
bool casebook_find_foreign(const struct casebook *book, const struct casebook_case *kase,
	const struct event_id *id, struct casebook_event_info *ret);

/* Where an entry stands. */
struct casebook_at {
	uint64_t i;     /* under the key */
	uint64_t index; /* in the log */
	uint16_t log;
};
uint64_t casebook_entry_index(const struct casebook_entry *entry);
/* The id of the event an entry belongs to. */
const struct event_id *casebook_entry_event(
	const struct casebook *book, const struct casebook_entry *entry);

/* Notes a durable entry. Twice the same (log, i) under one key: OK, noted once, the first wins.
 * ERR_INVALID when the part is of another case or group than the key, or it is this node's and its
 * event is known in another case; ERR_LIMIT, for the events of all other nodes in a case past
 * LIMIT_CASE_FOREIGN (of a ledger LIMIT_LEDGER_FOREIGN); ERR_NOMEM; ERR_BUSY while anything is
 * reserved under this key. */
enum err casebook_note(struct casebook *book, struct casebook_key *key,
	const struct casebook_at *at, const struct part_info *part) MUST_USE;

/* Takes the next i of the key for a part about to be sealed. ERR_EXISTS when this group of the
 * event is known already, or the part opens a case with a code that another case has; others as
 * casebook_note. The ticket is for casebook_commit. Nothing is allocated after this. */
struct casebook_ticket {
	struct casebook_key *key;
	uint32_t entry;
	char occurred_on[11];
};
enum err casebook_reserve(struct casebook *book, struct casebook_key *key,
	const struct part_info *part, uint64_t *ret_i, struct casebook_ticket *ret_ticket) MUST_USE;
/* The same for an entry of an older epoch of this node that is sealed again in the new one: the
 * part is known, and stays known when the commit fails. ERR_EXISTS when it stands in the own log
 * already; ERR_NOTFOUND when it is not known. */
enum err casebook_reserve_again(struct casebook *book, struct casebook_key *key,
	const struct part_info *part, uint64_t *ret_i, struct casebook_ticket *ret_ticket) MUST_USE;
/* Does an entry of this event stand, or is one reserved, in the own log under this key? */
bool casebook_in_own_log(
	const struct casebook *book, const struct casebook_key *key, uint32_t event);
/* The entry is durable at that index of the own log. All of one commit, in any order, before any of
 * the next one and before an abort. */
void casebook_commit(struct casebook *book, const struct casebook_ticket *ticket, uint64_t index);
/* Takes back everything that is reserved and not committed. */
void casebook_abort(struct casebook *book);
/* Takes back the newest reservations alone: these, in the order in which they were made. */
void casebook_take_back(struct casebook *book, const struct casebook_ticket *tickets, size_t count);
/* A new epoch: from now on the node writes the log of that number; every key counts i there, from
 * what is noted of it. Nothing may be reserved. */
void casebook_set_own_log(struct casebook *book, uint16_t log);
/* Reserved and not committed, of all keys. */
size_t casebook_reserved(const struct casebook *book);

/* Another node gave keys of the case: it is listed, and until a CASE_OPENED was read it is known by
 * the code and the day that came with them; "" and texts that are no code: neither. */
void casebook_granted(
	struct casebook *book, struct casebook_case *kase, const char *code, const char *opened_on);

/* Cases in the order they were added: 0 .. count - 1. */
size_t casebook_case_count(const struct casebook *book);
struct casebook_case *casebook_case_at(const struct casebook *book, size_t number);
size_t casebook_event_count(const struct casebook *book); /* committed */
/* All cases with at least one committed event, or granted, sorted by code, then reference. The
 * array (not the cases) is the caller's, to be freed with mem_free; NULL when count is 0.
 * ERR_NOMEM. */
enum err casebook_list(
	const struct casebook *book, const struct casebook_case ***ret, size_t *ret_count) MUST_USE;
/* Bytes held for events and entries (not cases and keys): the figure behind the promise above. */
size_t casebook_event_memory(const struct casebook *book);

#endif
