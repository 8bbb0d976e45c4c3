/* evidence: `sauti log evidence`: what the node holds, written to a file, and verified from one. */
#ifndef CLI_EVIDENCE_H
#define CLI_EVIDENCE_H

#include "cli/cli.h"

enum err run_evidence(struct cli *cli, const struct cli_args *args, struct errctx *ctx) MUST_USE;

#endif
