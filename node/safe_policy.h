/*
 * safe_policy: the file that `[safe] policy` of the configuration names, a C2SP tlog-policy
 * (replication/log/tlog_policy.h): who must have cosigned, besides the quorum of the directory,
 * before what is recorded here is called safe.
 *
 * Its `log` lines are read and judged, and mean nothing here: the node knows its own logs, whose
 * names change with each epoch. So the file may be the one that auditors are given.
 */
#ifndef NODE_SAFE_POLICY_H
#define NODE_SAFE_POLICY_H

#include "node/config.h"
#include "replication/log/tlog_policy.h"

/* Whose cosignatures can come: nodes of this network, but not the node itself, which does not
 * cosign its own log. */
struct safe_policy_node {
	const char *network, *node;
};

/* The file's policy; NULL when the configuration names none. Errors name the file, and the line
 * where there is one: of files_read, tlog_policy_parse; ERR_INVALID when nobody who can cosign
 * could ever make up the quorum (self NULL: that is not looked at). */
enum err safe_policy_load(const struct node_config *config, const struct safe_policy_node *self,
	struct tlog_policy **ret, struct errctx *ctx) MUST_USE;

/* By its name alone, is it a mirror or a witness of the network, and not of the node itself? */
bool safe_policy_may_cosign(const struct safe_policy_node *self, const struct note_key *key);

#endif
