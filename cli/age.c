#include "cli/age.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECIPIENT_SIZE = 62 };

/* Bech32, as age writes X25519 recipients. */
static bool is_recipient(const char *text)
{
	return strlen(text) == RECIPIENT_SIZE && strncmp(text, "age1", 4) == 0 &&
	       strspn(text + 4, "023456789acdefghjklmnpqrstuvwxyz") == RECIPIENT_SIZE - 4;
}

/* Starts it between a pipe and a file. What it says stays on stderr. */
static int start(const char *recipient, int in, int out, pid_t *ret)
{
	char *const args[] = {
		(char *)"age", (char *)"--encrypt", (char *)"--recipient", (char *)recipient, NULL};
	char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawnp(ret, "age", &actions, &attributes, args, no_environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A reader that is gone is an error, no signal. */
static enum err feed(int fd, struct bytes plain)
{
	while (plain.size > 0) {
		ssize_t n = write(fd, plain.data, plain.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		plain = bytes_make(plain.data + n, plain.size - (size_t)n);
	}
	return OK;
}

static enum err await(pid_t pid, struct errctx *ctx)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(ctx, ERR_IO, "age: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return OK;
	return err_set(ctx, ERR_INVALID,
		"age did not encrypt (what it said stands above): nothing was written");
}

enum err age_encrypt(const char *recipient, struct bytes plain, int to, struct errctx *ctx)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	enum err err, fed;
	pid_t pid;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_set(ctx, ERR_IO, "start age: %s", strerror(errno));
	rc = start(recipient, fds[0], to, &pid);
	close(fds[0]);
	if (rc != 0) {
		close(fds[1]);
		return rc == ENOENT ? err_set(ctx, ERR_NOTFOUND,
					      "the program age is not installed: apt install age, "
					      "or --format sealed")
				    : err_set(ctx, ERR_IO, "start age: %s", strerror(rc));
	}
	sigaction(SIGPIPE, &ignore, &before);
	fed = feed(fds[1], plain);
	close(fds[1]);
	sigaction(SIGPIPE, &before, NULL);
	err = await(pid, ctx);
	return err == OK && fed != OK ? err_set(ctx, fed, "age took only a part") : err;
}

enum err age_check(const char *recipient, struct errctx *ctx)
{
	enum err err;
	int null;

	if (!is_recipient(recipient))
		return err_set(ctx, ERR_INVALID,
			"--age-recipient: a public key of age, 'age1' and 58 letters and digits");
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0)
		return err_set(ctx, ERR_IO, "/dev/null: %s", strerror(errno));
	err = age_encrypt(recipient, BYTES_NONE, null, ctx);
	close(null);
	return err;
}
