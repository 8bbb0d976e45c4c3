/*
 * tlog_policy: C2SP tlog-policy, the file that says which logs count, whose cosignatures are known,
 * and how many of them it takes:
 *
 *   log <vkey> [<url>]
 *   witness <name> <vkey> [<url>]
 *   group <name> all|any|<k> <member>...
 *   quorum <name>|none
 *
 * A witness of the file is whoever cosigns: Sauti's mirrors as well as its witnesses. Pure.
 */
#ifndef REPLICATION_LOG_TLOG_POLICY_H
#define REPLICATION_LOG_TLOG_POLICY_H

#include "replication/log/checkpoint.h"

struct tlog_policy;

/* ERR_MALFORMED with the line's number: what the specification forbids (a name that is not defined
 * before, or a member twice; one public key twice; no quorum, or two; other control characters);
 * ERR_LIMIT over LIMIT_POLICY_SIZE bytes, or LIMIT_POLICY_ITEMS logs, witnesses or groups;
 * ERR_UNSUPPORTED: a key of a type that is not known here; ERR_NOMEM. */
enum err tlog_policy_parse(
	struct bytes text, struct tlog_policy **ret, struct errctx *ctx) MUST_USE;
/* One log, and nobody need cosign. ERR_MALFORMED: its key is not one of a log; ERR_NOMEM. */
enum err tlog_policy_of_log(
	const struct note_key *log, struct tlog_policy **ret, struct errctx *ctx) MUST_USE;
void tlog_policy_free(struct tlog_policy *policy); /* NULL is fine */

/* The log of that origin; NULL: it is not in the policy. Borrowed. */
const struct note_key *tlog_policy_log(const struct tlog_policy *policy, const char *origin);
/* The logs in order; NULL past the last. */
const struct note_key *tlog_policy_log_at(const struct tlog_policy *policy, size_t position);

/* What a signed checkpoint says under a policy. Names and keys are borrowed from the policy. */
struct tlog_cosigner {
	const char *name; /* of the key: who cosigned */
	uint64_t time_s;
};
struct tlog_verdict {
	struct checkpoint checkpoint;
	const struct note_key *log;
	size_t count;
	struct tlog_cosigner cosigners[LIMIT_NOTE_SIGNATURES];
	size_t unknown; /* signature lines of nobody in the policy */
};

/* The same, when it is wanted what is wrong with the cosignatures. */
struct tlog_judgement {
	struct tlog_verdict verdict;
	size_t bad;            /* by somebody of the policy, and they do not verify */
	const char *first_bad; /* who is said to have made the first of these */
	bool quorum;           /* enough have cosigned */
};
/* log: the log's key; NULL: the policy's. ERR_UNTRUSTED: of a log that the policy does not list, or
 * its signature is missing or bad; errors of checkpoint_open. */
enum err tlog_policy_judge(const struct tlog_policy *policy, const struct note_key *log,
	struct bytes note, struct tlog_judgement *ret, struct errctx *ctx) MUST_USE;

/* ERR_UNTRUSTED: of a log that the policy does not list, its signature is missing or bad, a
 * cosignature of somebody known is bad, or the quorum has not cosigned; errors of checkpoint_open.
 */
enum err tlog_policy_check(const struct tlog_policy *policy, struct bytes note,
	struct tlog_verdict *ret, struct errctx *ctx) MUST_USE;

/* Over how many entries of one log each cosigner of the policy has cosigned the one history of it,
 * by its place in the policy; zeroed: nobody has. */
struct tlog_tally {
	uint64_t sizes[2 * LIMIT_POLICY_ITEMS];
};
/* A cosignature that was verified, of that key; the largest of a cosigner counts. False: nobody of
 * the policy has that key: name, type and public key must be the same. */
bool tlog_tally_add(const struct tlog_policy *policy, struct tlog_tally *tally,
	const struct note_key *key, uint64_t size);
/* So many entries the quorum has cosigned: whoever cosigned a checkpoint covers every smaller one.
 * 0: none; UINT64_MAX: "quorum none", nobody need. */
uint64_t tlog_policy_reach(const struct tlog_policy *policy, const struct tlog_tally *tally);

/* The n-th cosigner of the file, and whether the quorum hangs on it at all; NULL past the last.
 * Borrowed. */
const struct note_key *tlog_policy_cosigner(
	const struct tlog_policy *policy, size_t n, bool *ret_counts);

#endif
