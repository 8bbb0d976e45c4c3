/* sauti mail release. */
#ifndef CLI_MAIL_RELEASE_H
#define CLI_MAIL_RELEASE_H

#include "cli/cli.h"

enum err mail_release_run(
	struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;
extern const struct cli_option mail_release_options[];

#endif
