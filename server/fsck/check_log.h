/*
 * check_log: the judgement over one log of a store that is at rest: its tree, its checkpoint, its
 * cosignatures, its index. Found here, told and repaired elsewhere (check.h, repair.h).
 */
#ifndef SERVER_FSCK_CHECK_LOG_H
#define SERVER_FSCK_CHECK_LOG_H

#include "certs/directory.h"
#include "server/store/damage.h"
#include "server/store/tree_check.h"

enum note_state {
	NOTE_NONE,       /* there is no checkpoint yet */
	NOTE_GOOD,       /* signed by the log's key, and the entries hash to its root */
	NOTE_UNVERIFIED, /* they do, but the log's key is not known here */
	NOTE_UNREADABLE, /* it is not readable, or another log's */
	NOTE_BAD_SIGNATURE,
	NOTE_NOT_COVERED, /* fewer entries are held than it says */
	NOTE_BAD_ROOT,    /* neither entries nor tiles hash to its root */
};

struct log_report {
	/* What is to be judged. */
	struct origin origin;
	uint32_t number;
	bool own;
	bool headless; /* it has no head that can be read */

	struct tree_check check;
	enum note_state note;
	struct errctx note_said;
	bool has_key;
	struct note_key key;

	uint64_t bad_entries; /* damaged or missing, marked ones not counted */
	uint64_t first_bad;   /* of them */
	char first_text[160];
	uint64_t tail_bad;         /* the first bad one behind the checkpoint; UINT64_MAX: none */
	struct damage_mark *marks; /* of bad entries, with the leaf hash that is believed */
	size_t mark_count, mark_capacity;
	bool unprovable; /* an entry is bad and what should stand there is not known, or too many
			  * are: one mark from the first bad index on */

	uint64_t derived;       /* faults of tiles, strays */
	char derived_text[160]; /* the first */
	uint64_t own_strays; /* of them, entries behind an own log's end: they may be newer than its
			      * head, and are left alone */
	bool index_bad;
	uint64_t marked; /* entries that were marked before */
	struct damage_mark *old_marks;
	size_t old_count;

	unsigned cosignatures;       /* good ones */
	char cosignature_text[160];  /* the first bad one; "" */
	struct buf bad_cosignatures; /* the keys of their rows, lv16 each */
	char witness_text[160];      /* what is wrong with what was witnessed of it; "" */
	struct errctx failed;        /* LMDB, or the head: nothing else is known then; "" */
};

struct fsck_keys {
	const char *network;
	const struct origin *directory;
	const struct ed25519_public *directory_key;
	const struct directory *members;
};

/* Fills in the report, all but its first part. ERR_NOMEM only: everything else is in it. */
enum err fsck_log(struct store *store, const struct fsck_keys *keys,
	void (*progress)(void *arg, uint64_t entries, uint64_t bytes), void *arg,
	struct log_report *report) MUST_USE;
/* Its cosignatures once more, by other members; forgotten first, alone with keys NULL. ERR_NOMEM.
 */
enum err fsck_log_cosignatures(
	struct store *store, const struct fsck_keys *keys, struct log_report *report) MUST_USE;
bool fsck_log_clean(const struct log_report *report);
bool fsck_log_only_marks(const struct log_report *report); /* nothing else is wrong */
/* One line for people, without the origin. */
void fsck_log_text(const struct log_report *report, struct buf *out);
void log_report_release(struct log_report *report);

#endif
