/*
 * The child says what it does in lines of JSON on one pipe, its standard output and error:
 * {"progress":{"step":..,"done":..,"total":..}}, {"error":{"code":..,"message":..}}. Anything else
 * is left out. A line it cannot write any more ends it: it never outlives who started it by long.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/backup/internal.h"
#include "server/backup/offline.h"

enum { LINE_MAX_SIZE = 8192, POLL_MS = 200, HOLD_FD = 3 };

struct child {
	const struct child_opts *opts;
	pid_t pid;
	int fd;
	struct buf line;
	enum err err; /* what it said */
	struct errctx said;
};

/* Not through the name of a file that an upgrade may have replaced: this very program. */
static const char self[] = "/proc/self/exe";

static int spawn_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attr, &none);
	return rc != 0 ? rc : posix_spawnattr_setsigdefault(attr, &all);
}

static int spawn_files(posix_spawn_file_actions_t *files, int fd, int hold)
{
	int rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, fd, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, fd, 2);
	/* The copy has no close-on-exec, also when the number is the same. */
	if (rc == 0 && hold >= 0)
		rc = posix_spawn_file_actions_adddup2(files, hold, HOLD_FD);
	return rc;
}

static int spawn(char *const *argv, int fd, int hold, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		rc = spawn_files(&files, fd, hold);
		if (rc == 0)
			rc = spawn_attributes(&attr);
		if (rc == 0)
			rc = posix_spawn(ret, self, &files, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static enum err err_of(const char *name)
{
#define X(code, text, words)                                                                       \
	if (strcmp(name, text) == 0)                                                               \
		return code;
	ERR_CODES(X)
#undef X
	return ERR_IO;
}

static void error_take(struct child *child, const json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (code == NULL)
		return;
	child->err = err_of(code);
	err_set(&child->said, child->err, "%s", message != NULL ? message : err_text(child->err));
}

static void progress_take(const struct child *child, const json_t *progress)
{
	const char *step = json_string_value(json_object_get(progress, "step"));

	if (step != NULL)
		watch_tell(child->opts->watch, strcmp(step, "verify") == 0 ? "verify" : "hash",
			(uint64_t)json_integer_value(json_object_get(progress, "done")),
			(uint64_t)json_integer_value(json_object_get(progress, "total")));
}

static void line_take(struct child *child)
{
	json_t *json = json_loadb(
		(const char *)child->line.data, child->line.size, JSON_REJECT_DUPLICATES, NULL);

	if (json_object_get(json, "error") != NULL)
		error_take(child, json_object_get(json, "error"));
	else if (json_object_get(json, "progress") != NULL)
		progress_take(child, json_object_get(json, "progress"));
	json_decref(json);
}

static void bytes_take(struct child *child, struct bytes bytes)
{
	for (size_t i = 0; i < bytes.size; i++) {
		if (bytes.data[i] != '\n') {
			buf_put_u8(&child->line, bytes.data[i]); /* over its maximum: dropped */
			continue;
		}
		if (child->line.err == OK && child->line.size > 0)
			line_take(child);
		buf_clear(&child->line);
	}
}

/* Until it has closed the pipe, which its end does too. */
static enum err child_listen(struct child *child, struct errctx *ctx)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = child->fd, .events = POLLIN};
		uint8_t bytes[4096];
		ssize_t n;

		TRY(watch_poll(child->opts->watch, ctx));
		if (poll(&poll_fd, 1, POLL_MS) <= 0)
			continue;
		n = read(child->fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(ctx, ERR_IO, "read from the child: %s", strerror(errno));
		if (n == 0)
			return OK;
		bytes_take(child, bytes_make(bytes, (size_t)n));
	}
}

static enum err child_judge(const struct child *child, int status, struct errctx *ctx)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	switch (number) {
	case 0:
		break;
	case SIGSEGV:
	case SIGBUS:
	case SIGABRT:
	case SIGILL:
	case SIGFPE:
		return err_set(ctx, ERR_CORRUPT,
			"'%s/%s' ended the process that was reading it (%s): it is damaged, or its "
			"medium does not give it back",
			child->opts->directory, manifest_path(MANIFEST_STORE), strsignal(number));
	default:
		TRY(watch_poll(child->opts->watch, ctx)); /* the same key that ended it */
		return err_set(ctx, ERR_IO, "the process that was reading '%s' was ended: %s",
			child->opts->directory, strsignal(number));
	}
	if (WEXITSTATUS(status) == 0)
		return OK;
	if (child->err == OK)
		return err_set(ctx, ERR_IO,
			"the process that was reading '%s' ended with status %d and no word",
			child->opts->directory, WEXITSTATUS(status));
	return err_set(ctx, child->err, "%s", child->said.text);
}

static enum err child_finish(struct child *child, struct errctx *ctx)
{
	enum err err = child_listen(child, ctx);
	int status;

	if (err != OK)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err != OK ? err : err_set(ctx, ERR_IO, "wait for the child");
	return err != OK ? err : child_judge(child, status, ctx);
}

enum err child_run(const struct child_opts *opts, struct errctx *ctx)
{
	enum { FIXED = 5 };
	char *argv[FIXED + CHILD_MORE + 1] = {
		"sautid", (char *)opts->mode, (char *)opts->directory, "--json", "--progress"};
	struct child child = {.opts = opts};
	int ends[2], rc;
	enum err err;

	for (size_t i = 0; i < CHILD_MORE; i++)
		argv[FIXED + i] = (char *)opts->more[i];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_set(ctx, ERR_IO, "make a pipe: %s", strerror(errno));
	rc = spawn(argv, ends[1], opts->hold, &child.pid);
	close(ends[1]);
	if (rc != 0) {
		close(ends[0]);
		return err_set(ctx, ERR_IO, "start %s: %s", self, strerror(rc));
	}
	child.fd = ends[0];
	buf_init(&child.line, LINE_MAX_SIZE);
	err = child_finish(&child, ctx);
	buf_release(&child.line);
	close(ends[0]);
	return err;
}
