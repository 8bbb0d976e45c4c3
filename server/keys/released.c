#include "server/keys/released.h"

#include <stdio.h>
#include <string.h>

enum err released_add(struct released *released, const char *node, const struct hash *signer,
	uint64_t now_ms, uint64_t until_ms)
{
	struct released_row *row;
	size_t count = 0;

	for (size_t i = 0; i < released->count; i++)
		if (now_ms < released->list[i].until_ms &&
			strcmp(released->list[i].node, node) != 0)
			released->list[count++] = released->list[i];
	released->count = count;
	if (count == LIMIT_SILENCE_RELEASES)
		return ERR_LIMIT;
	row = &released->list[released->count++];
	*row = (struct released_row){.signer = *signer, .until_ms = until_ms};
	snprintf(row->node, sizeof(row->node), "%s", node);
	return OK;
}

bool released_has(const struct released *released, const char *node, const struct hash *signer,
	uint64_t now_ms)
{
	for (size_t i = 0; i < released->count; i++) {
		const struct released_row *row = &released->list[i];

		if (strcmp(row->node, node) == 0 && hash_equal(&row->signer, signer) &&
			now_ms < row->until_ms)
			return true;
	}
	return false;
}
