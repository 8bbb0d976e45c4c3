/*
 * clock: for LD_PRELOAD. The wall clock goes CLOCK_AHEAD_S seconds ahead, or as many as stand in
 * the file that CLOCK_AHEAD_FILE names, which is read each time; no other clock does.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long file_ahead(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long ahead = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? atol(text) : 0;

	if (fd >= 0)
		close(fd);
	return ahead;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	const char *ahead = getenv("CLOCK_AHEAD_S"), *file = getenv("CLOCK_AHEAD_FILE");
	int rc = (int)syscall(SYS_clock_gettime, id, ret);

	if (rc == 0 && id == CLOCK_REALTIME && ahead != NULL)
		ret->tv_sec += atol(ahead);
	if (rc == 0 && id == CLOCK_REALTIME && file != NULL)
		ret->tv_sec += file_ahead(file);
	return rc;
}
