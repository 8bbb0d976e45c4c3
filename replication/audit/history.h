/*
 * history: who had which key when, out of the directory's own log, and what that makes of every
 * signature that an auditor meets: was its key admitted before it signed, and not ended since?
 *
 * Happy path: history_new; each entry of the directory's log in order (history_entry), which are
 * folded by certs/directory and by nothing else; history_close; then for each log its LogOpened
 * (history_opened), the cosignatures of its checkpoint (history_note) and its size (history_size);
 * at the end what is missing (history_missing); and every proof of a fork that is held
 * (history_evidence). Form and signatures themselves are judged where a log is read; here it is
 * judged by whom and when.
 *
 * Times are what records and cosignatures say of themselves, so a day of slack is given for clocks;
 * a thief of a key can write any time, and is caught by the order of the directory's records where
 * there is one. What is found goes to `findings`; functions return ERR_NOMEM and ERR_CRYPTO only,
 * unless it is said otherwise. Pure; not thread-safe.
 */
#ifndef REPLICATION_AUDIT_HISTORY_H
#define REPLICATION_AUDIT_HISTORY_H

#include "certs/directory.h"
#include "replication/audit/finding.h"
#include "replication/log/tree.h"

enum { HISTORY_SLACK_S = 24 * 60 * 60 };

enum history_use { HISTORY_NODE, HISTORY_MIRROR, HISTORY_WITNESS };
enum history_end { HISTORY_LIVE, HISTORY_ROTATED, HISTORY_REPLACED, HISTORY_REVOKED };
const char *history_use_name(enum history_use use); /* "node", "mirror", "witness" */
const char *history_end_name(enum history_end end); /* "live", "rotated", "replaced", "revoked" */

struct history_key {
	const char *node;
	enum history_use use;
	struct ed25519_public key;
	uint64_t came_index, came_at; /* of the record that brought it; seconds, UTC, as it says */
	enum history_end end;
	uint64_t ended_index, ended_at; /* 0 while it is live */
	uint32_t epoch; /* of a node key that was rotated or replaced: logs up to this counter */
};

struct history;

enum err history_new(const char *network, struct history **ret) MUST_USE;
void history_free(struct history *history); /* NULL is fine */

/* The directory's next entry; DIRECTORY_ODD when the record breaks a rule. ERR_LIMIT past
 * LIMIT_DIRECTORY_RECORDS. */
enum err history_entry(
	struct history *history, struct bytes entry, struct findings *findings) MUST_USE;
/* After the last one. Before it there are no keys. */
enum err history_close(struct history *history) MUST_USE;
const struct directory *history_directory(const struct history *history);

/* By node, use, and in the order in which they came. */
size_t history_count(const struct history *history);
const struct history_key *history_at(const struct history *history, size_t i);

/* A log of the source, with its entry 0 (empty: it cannot be had). Was it opened by the node key
 * that the directory names for it, at a time when that was valid? KEY_NOT_ADMITTED,
 * BEFORE_ADMISSION, KEY_REVOKED. What is no LogOpened of this log, or a log of nobody who is a
 * member, is passed over. The log is noted for history_missing. ERR_LIMIT past LIMIT_LOGS. */
enum err history_opened(struct history *history, const char *origin, struct bytes entry,
	struct findings *findings) MUST_USE;

/* The cosignatures on a log's signed checkpoint that verify: BEFORE_ADMISSION, KEY_REVOKED. Lines
 * of others, and what is no note, are passed over. */
struct history_cosigner {
	const struct history_key *key;
	uint64_t time_s;
	bool valid; /* in time */
};
struct history_note {
	size_t count;
	struct history_cosigner cosigners[LIMIT_NOTE_SIGNATURES];
	uint64_t newest_s; /* of the valid ones; 0: there is none */
};
enum err history_note(const struct history *history, const char *origin, struct bytes note,
	struct history_note *ret, struct findings *findings) MUST_USE;

/* Does the log go on past where its author was cut off (BEYOND_REVOCATION), or is it another one
 * than headquarters recorded then (FORK, with evidence where tree has the proof)? */
struct history_size {
	const struct note_key *key;     /* of the log */
	struct bytes note, opened;      /* its signed checkpoint; entry 0, may be empty */
	const struct tree_source *tree; /* under it, not believed; NULL: there is none */
	/* The root where its author was cut off (directory_last), of a sound walk; NULL: unknown.
	 */
	const struct hash *root_at;
};
enum err history_size(const struct history *history, const struct history_size *size,
	struct findings *findings) MUST_USE;
/* Its author does not write it any more: was cut off, or has opened a later one (that was given to
 * history_opened). */
bool history_ended(const struct history *history, const char *origin);

/* Once every log of the source was given to history_opened: LOG_MISSING of each active member that
 * has none of its present machine's; EPOCH_GAP of each log that names a previous one that is not
 * there, or none where there must be one. */
enum err history_missing(struct history *history, struct findings *findings) MUST_USE;

/* A proof of a fork that the source holds: EVIDENCE_HELD with its bytes if it verifies, else
 * EVIDENCE_BAD. history: NULL, there is no directory; key: the log's, where it is known otherwise,
 * or NULL. */
enum err history_evidence(const struct history *history, const struct note_key *key,
	struct bytes message, struct findings *findings) MUST_USE;

#endif
