/* members: what headquarters lays down about members, for the table of `sauti node`. */
#ifndef CLI_MEMBERS_H
#define CLI_MEMBERS_H

#include "cli/cli.h"

extern const struct cli_option members_revoke_options[], members_policy_options[];
extern const struct cli_option members_dispute_options[];
enum err members_revoke(struct cli *cli, const struct cli_args *args, struct errctx *ctx);
enum err members_dispute(struct cli *cli, const struct cli_args *args, struct errctx *ctx);
enum err members_policy(struct cli *cli, const struct cli_args *args, struct errctx *ctx);

#endif
