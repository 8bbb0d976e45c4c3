/*
 * audit_ledger: an office's disclosed ledger within an audit of logs (--opened): its grants and
 * erasures as findings, each with the entry that shows it, and as lists of the report. A ledger
 * that cannot be judged is a finding, and ends nothing else.
 */
#ifndef CLI_AUDIT_LEDGER_H
#define CLI_AUDIT_LEDGER_H

#include <jansson.h>

#include "cli/audit/log.h"

struct audit_ledger;

/* Reads the file. ERR_PROOF: it is no disclosure; errors of files; ERR_NOMEM, ERR_CRYPTO. */
enum err audit_ledger_new(const char *path, struct audit_ledger **ret, struct errctx *ctx) MUST_USE;
void audit_ledger_free(struct audit_ledger *ledger); /* NULL is fine */

const char *audit_ledger_network(const struct audit_ledger *ledger);

/* Before the walk of a log, each entry of it, and after it. lacks: its first entries are not in the
 * source. *ret: all of its entries are wanted. */
enum err audit_ledger_before(struct audit_ledger *ledger, const struct audit_log *log, bool lacks,
	bool *ret, struct errctx *ctx) MUST_USE;
enum err audit_ledger_entry(
	struct audit_ledger *ledger, uint64_t index, struct bytes entry) MUST_USE;
enum err audit_ledger_after(
	struct audit_ledger *ledger, const struct audit_log *log, struct errctx *ctx) MUST_USE;
/* LEDGER_BAD, LEDGER_OPEN, ERASURE_OPEN. */
enum err audit_ledger_end(
	struct audit_ledger *ledger, struct audit_run *run, struct errctx *ctx) MUST_USE;

/* What it shows, after the end: {"node", "disclosed_at", "judged", "good", "open", "bad", "grants",
 * "erasures"}. Borrowed; NULL before the end, or where memory was short. */
const json_t *audit_ledger_json(const struct audit_ledger *ledger);

#endif
