#include "server/officers/lockout.h"

#include <stddef.h>
#include <string.h>

static struct lockout_name *find(struct lockout *lockout, const char *name)
{
	for (unsigned i = 0; i < lockout->count; i++)
		if (strncmp(lockout->names[i].name, name, LIMIT_OFFICER_NAME) == 0)
			return &lockout->names[i];
	return NULL;
}

static uint64_t delay_ms(unsigned wrong, unsigned free_tries, uint64_t max)
{
	uint64_t delay = LOCKOUT_FIRST_MS;

	if (wrong < free_tries)
		return 0;
	for (unsigned i = free_tries; i < wrong && delay < max; i++)
		delay *= 2;
	return delay < max ? delay : max;
}

static uint64_t wait_ms(
	const struct lockout_name *counted, unsigned free_tries, uint64_t max, uint64_t now_ms)
{
	uint64_t end = counted->last_ms + delay_ms(counted->wrong, free_tries, max);

	return end > now_ms && counted->wrong >= free_tries ? end - now_ms : 0;
}

/* One a minute since the last, which stays where it was. */
static void forgive(struct lockout_name *all, uint64_t now_ms)
{
	while (all->wrong > 0 && now_ms - all->last_ms >= LOCKOUT_FORGIVE_MS) {
		all->last_ms += LOCKOUT_FORGIVE_MS;
		all->wrong--;
	}
}

uint64_t lockout_wait(struct lockout *lockout, const char *name, uint64_t now_ms)
{
	const struct lockout_name *counted = find(lockout, name);
	uint64_t of_name = 0, of_all;

	forgive(&lockout->all, now_ms);
	of_all = wait_ms(&lockout->all, LOCKOUT_ALL_FREE, LOCKOUT_ALL_MAX_MS, now_ms);
	if (counted != NULL)
		of_name = wait_ms(counted, LOCKOUT_FREE, LOCKOUT_MAX_MS, now_ms);
	return of_name > of_all ? of_name : of_all;
}

static struct lockout_name *make(struct lockout *lockout, const char *name)
{
	struct lockout_name *oldest = &lockout->names[0];

	if (lockout->count < LIMIT_LOCKOUT_NAMES) {
		oldest = &lockout->names[lockout->count++];
	} else {
		for (unsigned i = 1; i < lockout->count; i++)
			if (lockout->names[i].last_ms < oldest->last_ms)
				oldest = &lockout->names[i];
	}
	*oldest = (struct lockout_name){.wrong = 0};
	strncpy(oldest->name, name, LIMIT_OFFICER_NAME);
	return oldest;
}

void lockout_wrong(struct lockout *lockout, const char *name, uint64_t now_ms)
{
	struct lockout_name *counted = find(lockout, name);

	if (counted == NULL)
		counted = make(lockout, name);
	forgive(&lockout->all, now_ms);
	counted->wrong++;
	lockout->all.wrong++;
	counted->last_ms = lockout->all.last_ms = now_ms;
}

void lockout_right(struct lockout *lockout, const char *name)
{
	struct lockout_name *counted = find(lockout, name);

	if (counted != NULL)
		*counted = lockout->names[--lockout->count];
}
