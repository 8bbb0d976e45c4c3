/* node_confirm: for the table of `sauti node`. */
#ifndef CLI_NODE_CONFIRM_H
#define CLI_NODE_CONFIRM_H

#include "cli/cli.h"

extern const struct cli_option node_confirm_options[];
enum err node_confirm(struct cli *cli, const struct cli_args *args, struct errctx *ctx);

#endif
