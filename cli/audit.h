/* audit: what the commands of 'sauti audit' share. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "cli/cli.h"
#include "replication/log/tlog_policy.h"

/* --log KEY or --policy FILE. On OK the caller frees *ret. */
enum err audit_policy(struct cli *cli, const struct cli_args *args, struct tlog_policy **ret,
	struct errctx *ctx) MUST_USE;
/* audit_grants.c */
extern const struct cli_option audit_grants_options[];
enum err audit_grants_run(
	struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

/* A time that somebody else said, in words. */
void audit_time_text(uint64_t time_s, char ret[21]);

#endif
