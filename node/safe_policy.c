#include "node/safe_policy.h"

#include <stdio.h>

#include "base/text.h"

static bool is_of(const struct safe_policy_node *self, const char *role, const char *name)
{
	char prefix[LIMIT_NETWORK_NAME + 16];
	size_t size = (size_t)snprintf(prefix, sizeof(prefix), "%s/%s/", self->network, role);

	return strncmp(name, prefix, size) == 0 && strcmp(name + size, self->node) != 0 &&
	       node_name_valid(bytes_str(name + size));
}

bool safe_policy_may_cosign(const struct safe_policy_node *self, const struct note_key *key)
{
	return is_of(self, "mirror", key->name) || is_of(self, "witness", key->name);
}

static bool reachable(const struct tlog_policy *policy, const struct safe_policy_node *self)
{
	struct tlog_tally tally = {{0}};
	const struct note_key *key;
	bool counts;

	for (size_t i = 0; (key = tlog_policy_cosigner(policy, i, &counts)) != NULL; i++)
		if (safe_policy_may_cosign(self, key))
			(void)tlog_tally_add(policy, &tally, key, 1);
	return tlog_policy_reach(policy, &tally) > 0;
}

enum err safe_policy_load(const struct node_config *config, const struct safe_policy_node *self,
	struct tlog_policy **ret, struct errctx *ctx)
{
	const char *file = config->safe_policy;
	struct tlog_policy *policy = NULL;
	struct buf text;
	enum err err = OK;

	*ret = NULL;
	if (file[0] == '\0')
		return OK;
	buf_init(&text, LIMIT_POLICY_SIZE + 1);
	err = files_read(file, LIMIT_POLICY_SIZE, &text, ctx);
	if (err == OK) {
		err = tlog_policy_parse(buf_bytes(&text), &policy, ctx);
		if (err != OK)
			err_wrap(ctx, err, "'%s'", file);
	}
	buf_release(&text);
	if (err == OK && self != NULL && !reachable(policy, self))
		err = err_set(ctx, ERR_INVALID,
			"'%s': its quorum can never be reached: it needs more cosigners than the "
			"other nodes of '%s' it names; this node does not cosign its own log",
			file, self->network);
	if (err != OK) {
		tlog_policy_free(policy);
		return err;
	}
	*ret = policy;
	return OK;
}
