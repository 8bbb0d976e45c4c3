/*
 * The runtime's side of officers' sessions: the clock, and the timer that ends those that are over
 * though nobody asks for anything.
 */
#include <assert.h>
#include <time.h>

#include "server/internal.h"

/* A suspended machine wakes up late: the timer of the loop stood still meanwhile. */
enum { LOOK_MS = 15000 };

uint64_t officers_now_ms(void)
{
	struct timespec now;
	int rc = clock_gettime(CLOCK_BOOTTIME, &now);

	assert(rc == 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The node stays unlocked: nobody is there who could use it. */
static void on_last_ended(void *arg)
{
	(void)arg;
	log_line(LOG_INFO, "the last officer's session has ended");
}

static void on_timer(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;
	uint64_t next = sessions_expire(rt->officers, officers_now_ms());

	if (next != 0)
		uv_timer_start(timer, on_timer, next < LOOK_MS ? next : LOOK_MS, 0);
}

enum err officers_boot(struct runtime *rt)
{
	struct sessions_opts opts = {
		.idle_ms = rt->config.session_idle,
		.absolute_ms = rt->config.session_absolute,
		.last_ended = on_last_ended,
		.arg = rt,
	};

	return sessions_new(&opts, &rt->officers);
}

enum err officers_begin(
	struct runtime *rt, const char *name, uint32_t roles, uint8_t ret_token[SESSION_TOKEN_SIZE])
{
	TRY(sessions_begin(
		rt->officers, name, roles, officers_now_ms(), runtime_wall_s(), ret_token));
	on_timer(&rt->officers_timer);
	return OK;
}
