#include "server/keys/refusal_list.h"

#include <string.h>

bool refusal_list_add(
	struct refusal_list *list, const struct refusal *refusal, struct refusal *ret_dropped)
{
	size_t at;

	*ret_dropped = (struct refusal){.name = ""};
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->list[i].name, refusal->name) == 0)
			return false;
	if (list->count == LIMIT_REFUSALS) {
		*ret_dropped = list->list[0];
		memmove(&list->list[0], &list->list[1], --list->count * sizeof(list->list[0]));
	}
	at = list->count;
	while (at > 0 && list->list[at - 1].at > refusal->at)
		at--;
	memmove(&list->list[at + 1], &list->list[at], (list->count - at) * sizeof(list->list[0]));
	list->list[at] = *refusal;
	list->count++;
	return true;
}

const struct refusal *refusal_list_at(const struct refusal_list *list, size_t i)
{
	return i < list->count ? &list->list[list->count - 1 - i] : NULL;
}
