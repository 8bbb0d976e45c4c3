/*
 * key_history: who had which key when, out of the directory's own log, and what that makes of every
 * signature that an auditor meets: was its key admitted before it signed, and not ended since?
 *
 * Happy path: key_history_new; each entry of the directory's log in order (key_history_entry),
 * which are folded by certs/directory and by nothing else; key_history_close; then for each log its
 * LogOpened (key_history_opened), the cosignatures of its checkpoint (key_history_note) and its
 * size (key_history_size); at the end what is missing (key_history_missing); and every proof of a
 * fork that is held (key_history_evidence). Form and signatures themselves are judged where a log
 * is read; here it is judged by whom and when.
 *
 * Times are what records and cosignatures say of themselves, so a day of slack is given for clocks;
 * a thief of a key can write any time, and is caught by the order of the directory's records where
 * there is one. What is found goes to `findings`; functions return ERR_NOMEM and ERR_CRYPTO only,
 * unless it is said otherwise. Pure; not thread-safe.
 */
#ifndef REPLICATION_AUDIT_KEY_HISTORY_H
#define REPLICATION_AUDIT_KEY_HISTORY_H

#include "certs/directory.h"
#include "replication/audit/finding.h"
#include "replication/log/tree.h"

enum { HISTORY_SLACK_S = 24 * 60 * 60 };

enum key_history_use { HISTORY_NODE, HISTORY_MIRROR, HISTORY_WITNESS };
enum key_history_end { HISTORY_LIVE, HISTORY_ROTATED, HISTORY_REPLACED, HISTORY_REVOKED };
const char *key_history_use_name(enum key_history_use use); /* "node", "mirror", "witness" */
const char *key_history_end_name(
	enum key_history_end end); /* "live", "rotated", "replaced", "revoked" */

struct key_history_key {
	const char *node;
	enum key_history_use use;
	struct ed25519_public key;
	uint64_t came_index, came_at; /* of the record that brought it; seconds, UTC, as it says */
	enum key_history_end end;
	uint64_t ended_index, ended_at; /* 0 while it is live */
	uint32_t epoch; /* of a node key that was rotated or replaced: logs up to this counter */
};

struct key_history;

enum err key_history_new(const char *network, struct key_history **ret) MUST_USE;
void key_history_free(struct key_history *history); /* NULL is fine */

/* The directory's next entry; DIRECTORY_ODD when the record breaks a rule. ERR_LIMIT past
 * LIMIT_DIRECTORY_RECORDS. */
enum err key_history_entry(
	struct key_history *history, struct bytes entry, struct findings *findings) MUST_USE;
/* After the last one. Before it there are no keys. */
enum err key_history_close(struct key_history *history) MUST_USE;
const struct directory *key_history_directory(const struct key_history *history);

/* By node, use, and in the order in which they came. */
size_t key_history_count(const struct key_history *history);
const struct key_history_key *key_history_at(const struct key_history *history, size_t i);

/* A log of the source, with its entry 0 (empty: it cannot be had). Was it opened by the node key
 * that the directory names for it, at a time when that was valid? KEY_NOT_ADMITTED,
 * BEFORE_ADMISSION, KEY_REVOKED. What is no LogOpened of this log, or a log of nobody who is a
 * member, is passed over. The log is noted for key_history_missing. ERR_LIMIT past LIMIT_LOGS. */
enum err key_history_opened(struct key_history *history, const char *origin, struct bytes entry,
	struct findings *findings) MUST_USE;

/* The cosignatures on a log's signed checkpoint that verify: BEFORE_ADMISSION, KEY_REVOKED. Lines
 * of others, and what is no note, are passed over. */
struct key_history_cosigner {
	const struct key_history_key *key;
	uint64_t time_s;
	bool valid; /* in time */
};
struct key_history_note {
	size_t count;
	struct key_history_cosigner cosigners[LIMIT_NOTE_SIGNATURES];
	uint64_t newest_s; /* of the valid ones; 0: there is none */
};
enum err key_history_note(const struct key_history *history, const char *origin, struct bytes note,
	struct key_history_note *ret, struct findings *findings) MUST_USE;

/* Does the log go on past where its author was cut off (BEYOND_REVOCATION), or is it another one
 * than headquarters recorded then (FORK, with evidence where tree has the proof)? */
struct key_history_size {
	const struct note_key *key;     /* of the log */
	struct bytes note, opened;      /* its signed checkpoint; entry 0, may be empty */
	const struct tree_source *tree; /* under it, not believed; NULL: there is none */
	/* The root where its author was cut off (directory_last), of a sound walk; NULL: unknown.
	 */
	const struct hash *root_at;
};
enum err key_history_size(const struct key_history *history, const struct key_history_size *size,
	struct findings *findings) MUST_USE;
/* Its author does not write it any more: was cut off, or has opened a later one (that was given to
 * key_history_opened). */
bool key_history_ended(const struct key_history *history, const char *origin);

/* Once every log of the source was given to key_history_opened: LOG_MISSING of each active member
 * that has none of its present machine's; EPOCH_GAP of each log that names a previous one that is
 * not there, or none where there must be one, or leaves out a number that is not there. */
enum err key_history_missing(struct key_history *history, struct findings *findings) MUST_USE;

/* A proof of a fork that the source holds: EVIDENCE_HELD with its bytes if it verifies, else
 * EVIDENCE_BAD. history: NULL, there is no directory; key: the log's, where it is known otherwise,
 * or NULL. */
enum err key_history_evidence(const struct key_history *history, const struct note_key *key,
	struct bytes message, struct findings *findings) MUST_USE;

#endif
