/* clock: for LD_PRELOAD. The wall clock goes CLOCK_AHEAD_S seconds ahead; no other clock does. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
	const char *ahead = getenv("CLOCK_AHEAD_S");
	int rc = (int)syscall(SYS_clock_gettime, id, ret);

	if (rc == 0 && id == CLOCK_REALTIME && ahead != NULL)
		ret->tv_sec += atol(ahead);
	return rc;
}
