/*
 * audit_visit: what an audit of logs learns beyond hashing them again (one hook of log.h):
 * what has become of them since the last visit (--state), who had which key when (--directory),
 * which logs and proofs there are, what a disclosed ledger shows (--opened); and the page (--html).
 */
#ifndef CLI_AUDIT_VISIT_H
#define CLI_AUDIT_VISIT_H

#include <jansson.h>

#include "cli/audit/log.h"
#include "replication/audit/key_history.h"
#include "replication/audit/remembered.h"

extern const struct audit_hook audit_visit_hook;

/* For the report, once the run has ended. */
const struct remembered *audit_visit_before(const struct audit_run *run);   /* NULL: first visit */
const struct key_history *audit_visit_history(const struct audit_run *run); /* NULL: no directory */
const json_t *audit_visit_ledger(const struct audit_run *run);              /* NULL: none given */
/* Puts "state", "keys" and "ledger" into the report; into a log's what was remembered of it. */
void audit_visit_json(const struct audit_run *run, json_t *report);
enum err audit_visit_log_json(
	const struct audit_run *run, const struct audit_log *log, json_t *json) MUST_USE;
/* The same as lines. */
void audit_visit_print_log(const struct audit_run *run, const struct audit_log *log);
void audit_visit_print(const struct audit_run *run);

#endif
