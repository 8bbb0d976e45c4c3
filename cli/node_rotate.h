/* node_rotate: for the table of `sauti node`. */
#ifndef CLI_NODE_ROTATE_H
#define CLI_NODE_ROTATE_H

#include "cli/cli.h"

extern const struct cli_option node_rotate_options[];
enum err node_rotate(struct cli *cli, const struct cli_args *args, struct errctx *ctx);

#endif
