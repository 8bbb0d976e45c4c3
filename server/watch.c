#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 200 };

struct watch {
	uint64_t alive; /* atomic */
	char doing[WATCH_TEXT];
};

void watch_alive(struct watch *watch)
{
	__atomic_fetch_add(&watch->alive, 1, __ATOMIC_RELAXED);
}

void watch_doing(struct watch *watch, const char *what)
{
	snprintf(watch->doing, sizeof(watch->doing), "%s", what);
	watch_alive(watch);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until the child's end of the pipe is closed, which is when it has ended. False: it gave no sign
 * of life for too long. */
static bool wait_for_end(const struct watch *watch, int fd, uint64_t patience_ms)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};
	uint64_t last = 0, since = now_ms();

	for (;;) {
		uint64_t alive;
		int rc = poll(&end, 1, LOOK_MS);

		if (rc > 0 || (rc < 0 && errno != EINTR))
			return true;
		alive = __atomic_load_n(&watch->alive, __ATOMIC_RELAXED);
		if (alive != last)
			since = now_ms();
		else if (now_ms() - since >= patience_ms)
			return false;
		last = alive;
	}
}

static void end_read(pid_t pid, bool stuck, const struct watch *watch, struct watch_end *ret)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret = (struct watch_end){.how = WATCH_EXITED, .status = WEXITSTATUS(status)};
	if (WIFSIGNALED(status)) {
		ret->how = stuck ? WATCH_STUCK : WATCH_SIGNAL;
		ret->status = WTERMSIG(status);
	}
	memcpy(ret->doing, watch->doing, sizeof(ret->doing));
	ret->doing[sizeof(ret->doing) - 1] = '\0';
}

enum err watch_run(int (*child)(void *arg, struct watch *watch), void *arg, uint64_t patience_ms,
	struct watch_end *ret, struct errctx *ctx)
{
	struct watch *watch = mmap(
		NULL, sizeof(*watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), pid;
	int ends[2];
	bool ended;

	if (watch == MAP_FAILED)
		return ERR_NOMEM;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		munmap(watch, sizeof(*watch));
		return err_set(ctx, ERR_IO, "pipe: %m");
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(getppid() == parent ? child(arg, watch) : 1);
	}
	close(ends[1]);
	if (pid > 0) {
		ended = wait_for_end(watch, ends[0], patience_ms);
		if (!ended)
			kill(pid, SIGKILL);
		end_read(pid, !ended, watch, ret);
	} else {
		err_set(ctx, ERR_IO, "fork: %m");
	}
	close(ends[0]);
	munmap(watch, sizeof(*watch));
	return pid > 0 ? OK : ERR_IO;
}
