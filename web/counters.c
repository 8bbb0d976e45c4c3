#include "web/counters.h"

static const unsigned statuses[] = {
#define X(status) status,
	STATUSES(X)
#undef X
};

static size_t index_of(unsigned status)
{
	for (size_t i = 0; i < STATUS_COUNT; i++)
		if (statuses[i] == status)
			return i;
	return status == 500 ? 0 : index_of(500);
}

void counters_request(struct counters *counters, enum route_kind route, unsigned status)
{
	atomic_fetch_add(&counters->requests[route][index_of(status)], 1);
}

void counters_reject(struct counters *counters, enum rejection why)
{
	atomic_fetch_add(&counters->rejected[why], 1);
}

unsigned counters_status(size_t index)
{
	return statuses[index];
}

const char *counters_rejection(enum rejection why)
{
	static const char *const names[] = {
#define X(code, name) name,
		REJECTIONS(X)
#undef X
	};

	return names[why];
}
