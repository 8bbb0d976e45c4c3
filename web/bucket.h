/*
 * bucket: so many a minute, and a quarter of them at once. Pure; not for several threads.
 */
#ifndef WEB_BUCKET_H
#define WEB_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint32_t per_minute;
	uint64_t level_ms; /* what is owed, at `now_ms` */
	uint64_t now_ms;
};

static inline bool bucket_take(struct bucket *bucket, uint64_t now_ms)
{
	uint64_t cost = 60000 / bucket->per_minute + 1, passed = now_ms - bucket->now_ms;

	bucket->level_ms = bucket->level_ms > passed ? bucket->level_ms - passed : 0;
	bucket->now_ms = now_ms;
	if (bucket->level_ms > 15000)
		return false;
	bucket->level_ms += cost;
	return true;
}

#endif
