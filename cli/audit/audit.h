/* audit: what the commands of 'sauti audit' share. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include <jansson.h>

#include "cases/keys/audit.h"
#include "cli/cli.h"
#include "replication/log/tlog_policy.h"

/* --log KEY or --policy FILE. On OK the caller frees *ret. */
enum err audit_policy(struct cli *cli, const struct cli_args *args, struct tlog_policy **ret,
	struct errctx *ctx) MUST_USE;
/* grants.c */
extern const struct cli_option audit_grants_options[];
enum err audit_grants_run(
	struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

/* What the ledger shows, as JSON (NULL: out of memory), and as lines of a report. */
json_t *audit_grant_json(const struct audit_finding *grant, const char *origin);
json_t *audit_erasure_json(const struct audit_erasure *erasure, const char *origin);
void audit_grants_print(const json_t *grants); /* those that are not good */
void audit_erasures_print(const json_t *erasures);
bool audit_erasure_open(const struct audit_erasure *erasure);         /* not done yet */
const char *audit_erasure_stage(const struct audit_erasure *erasure); /* "ordered".. */

/* A time that somebody else said, in words. */
void audit_time_text(uint64_t time_s, char ret[21]);

#endif
