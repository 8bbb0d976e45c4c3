#include "cases/event/event_types.h"

static const struct event_type types[] = {
#define X(symbol, num, group, how)                                                                 \
	{.name = #symbol, .main = GROUP_##group, .rule = EVENT_RULE_##how, .number = num},
	EVENT_TYPES(X)
#undef X
};

_Static_assert(sizeof types / sizeof types[0] == EVENT_TYPE_LAST, "the numbers have no gap");

static const struct {
	const char *name;
	enum group group;
} fields[] = {
	{"note", GROUP_NOTE},
	{"identity", GROUP_IDENTITY},
	{"names", GROUP_IDENTITY},
	{"contacts", GROUP_IDENTITY},
	{"documents", GROUP_IDENTITY},
	{"preferred_language", GROUP_CONTACT},
	{"safe_contact_method", GROUP_CONTACT},
	{"do_not_contact_windows", GROUP_CONTACT},
	{"disability_status", GROUP_HEALTH},
	{"pregnant", GROUP_HEALTH},
};

static const char *const health_codes[] = {"MED", "MED_SRH", "PSY"};

const struct event_type *event_type_find(struct bytes name)
{
	for (size_t i = 0; i < EVENT_TYPE_LAST; i++)
		if (bytes_equal_str(name, types[i].name))
			return &types[i];
	return NULL;
}

const struct event_type *event_type_get(uint32_t number)
{
	return number >= 1 && number <= EVENT_TYPE_LAST ? &types[number - 1] : NULL;
}

enum group event_field_group(struct bytes name)
{
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (bytes_equal_str(name, fields[i].name))
			return fields[i].group;
	return GROUP_NONE;
}

bool event_service_is_health(struct bytes code)
{
	for (size_t i = 0; i < sizeof health_codes / sizeof health_codes[0]; i++)
		if (bytes_equal_str(code, health_codes[i]))
			return true;
	return false;
}

const char *event_field_at(size_t i, enum group *ret_group)
{
	if (i >= sizeof fields / sizeof fields[0])
		return NULL;
	*ret_group = fields[i].group;
	return fields[i].name;
}
