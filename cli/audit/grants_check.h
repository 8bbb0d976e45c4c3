/*
 * grants_check: what an office has disclosed of its ledger, checked against its logs: whoever reads
 * the logs and verifies them hands every entry over; nothing under a disclosed key is left out;
 * then each grant and each erasure is judged (cases/keys/audit.h).
 *
 * Happy path: new; for each log begin, its entries in order, end; judge. Holds opened parts of the
 * ledger and of consents: wiped on free.
 */
#ifndef CLI_GRANTS_CHECK_H
#define CLI_GRANTS_CHECK_H

#include "cases/keys/audit.h"
#include "cases/keys/disclosure.h"
#include "certs/directory.h"

struct grants_check;

/* A log that the disclosure names. */
struct grants_log {
	const char *origin;
	uint64_t disclosed_size; /* when the disclosure was made */
	uint64_t size;           /* of what was read; 0: it was not */
	uint64_t opened;         /* entries */
	uint64_t newer;          /* .. under the ledger's keys since the disclosure */
};

/* file: what 'sauti ledger disclose' wrote; borrowed until it is freed. ERR_PROOF: it is none, or
 * has no key of a ledger; ERR_NOMEM, ERR_CRYPTO. */
enum err grants_check_new(
	struct bytes file, struct grants_check **ret, struct errctx *ctx) MUST_USE;
void grants_check_free(struct grants_check *check); /* NULL is fine */

const char *grants_check_network(const struct grants_check *check);
const char *grants_check_node(const struct grants_check *check);
uint64_t grants_check_made_s(const struct grants_check *check);
size_t grants_check_log_count(const struct grants_check *check);
const struct grants_log *grants_check_log(const struct grants_check *check, size_t i);

/* The entries that come next are this log's. *ret: is it one that was disclosed? If not, nothing is
 * wanted of it. ERR_PROOF: it is of the node, and the disclosure is silent about it, though not
 * younger than its logs; or it names a log of another node. */
enum err grants_check_begin(
	struct grants_check *check, const char *origin, bool *ret, struct errctx *ctx) MUST_USE;
/* In order; may be given as source_entry. ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
enum err grants_check_entry(void *check, uint64_t index, struct bytes entry) MUST_USE;
/* All of them were given, and are proven. ERR_STALE: fewer than at the disclosure; ERR_PROOF: it
 * shows more or less than there is. */
enum err grants_check_end(struct grants_check *check, uint64_t size, struct errctx *ctx) MUST_USE;

/* Once all logs that are there were given. origin: of the log in which it stands. */
struct grants_judge {
	const struct directory *members; /* NULL: there is none */
	void (*grant)(void *arg, const struct audit_finding *grant, const char *origin);
	void (*erasure)(void *arg, const struct audit_erasure *erasure, const char *origin);
	void *arg;
};
/* ERR_PROOF: a log that was disclosed is not there; ERR_NOMEM, ERR_LIMIT. */
enum err grants_check_judge(
	struct grants_check *check, const struct grants_judge *judge, struct errctx *ctx) MUST_USE;

/* "good", "open", "bad" */
const char *grants_verdict_name(enum audit_verdict verdict);

#endif
