#include "cases/event/group.h"

static const char *const names[GROUP_LAST + 1] = {[GROUP_NONE] = "",
#define X(symbol, number, name) [number] = name,
	GROUPS(X)
#undef X
};

const char *group_name(enum group group)
{
	return (unsigned)group <= GROUP_LAST ? names[group] : "";
}

enum group group_find(struct bytes name)
{
	if (name.size == 0)
		return GROUP_NONE;
	for (unsigned g = 1; g <= GROUP_LAST; g++)
		if (bytes_equal_str(name, names[g]))
			return (enum group)g;
	return GROUP_NONE;
}

bool group_of_case(uint32_t number)
{
	return number > GROUP_NONE && number <= GROUP_CASE_LAST;
}
