#include "cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/limits.h"

/* What is read: for errors and prompts alone. */
static struct {
	const char *noun, *empty;
} reading = {"passphrase", "the passphrase is empty"};

/* One line, byte by byte: nothing behind it is consumed, and no buffer keeps a copy. */
static enum err read_line(int fd, const char *where, struct secret *ret, struct errctx *ctx)
{
	struct secret line;
	size_t size = 0;
	enum err err = OK;

	TRY(secret_init(&line, LIMIT_PASSPHRASE + 1));
	for (;;) {
		uint8_t c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = files_errno(ctx, errno, "read", where);
		if (n <= 0 || c == '\n')
			break;
		if (size == line.size) {
			err = err_set(ctx, ERR_LIMIT, "%s longer than %d bytes", reading.noun,
				LIMIT_PASSPHRASE);
			break;
		}
		line.data[size++] = c;
	}
	if (err == OK && size > 0 && line.data[size - 1] == '\r')
		size--;
	if (err == OK && size == 0)
		err = err_set(ctx, ERR_INVALID, "%s", reading.empty);
	if (err == OK && size > LIMIT_PASSPHRASE)
		err = err_set(
			ctx, ERR_LIMIT, "%s longer than %d bytes", reading.noun, LIMIT_PASSPHRASE);
	if (err == OK)
		err = secret_copy(ret, bytes_make(line.data, size));
	secret_release(&line);
	return err;
}

static enum err from_file(struct cli *cli, const char *path, struct secret *ret, struct errctx *ctx)
{
	struct stat st;
	enum err err;
	int fd;

	if (strcmp(path, "-") == 0)
		return read_line(STDIN_FILENO, "standard input", ret, ctx);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		cli_note(cli, "others may read the %s file '%s': chmod 600 it", reading.noun, path);
	err = read_line(fd, path, ret, ctx);
	close(fd);
	if (err == ERR_INVALID || err == ERR_LIMIT)
		err_wrap(ctx, err, "'%s'", path);
	return err;
}

/* The terminal gets its echo back whatever ends us. */
static struct termios saved_mode;
static int terminal = -1;

static void restore_terminal(int signal_number)
{
	tcsetattr(terminal, TCSAFLUSH, &saved_mode);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* The prompt comes when the echo is off: what is typed earlier is thrown away. */
static enum err read_silently(const char *prompt, struct secret *ret, struct errctx *ctx)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	enum { COUNT = sizeof(signals) / sizeof(signals[0]) };
	struct sigaction handler = {.sa_handler = restore_terminal}, old[COUNT];
	struct termios silent;
	enum err err;

	if (tcgetattr(terminal, &saved_mode) != 0)
		return files_errno(ctx, errno, "read the mode of", "/dev/tty");
	for (int i = 0; i < COUNT; i++)
		sigaction(signals[i], &handler, &old[i]);
	silent = saved_mode;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	tcsetattr(terminal, TCSAFLUSH, &silent);
	dprintf(terminal, "%s: ", prompt);
	err = read_line(terminal, "/dev/tty", ret, ctx);
	tcsetattr(terminal, TCSAFLUSH, &saved_mode);
	for (int i = 0; i < COUNT; i++)
		sigaction(signals[i], &old[i], NULL);
	dprintf(terminal, "\n");
	return err;
}

static enum err ask(const char *what, bool twice, struct secret *ret, struct errctx *ctx)
{
	struct secret first, second;
	bool same;

	TRY(read_silently(what, &first, ctx));
	if (!twice) {
		*ret = first;
		return OK;
	}
	if (read_silently("The same again", &second, ctx) != OK) {
		secret_release(&first);
		return err_set(ctx, ERR_INVALID, "the passphrase was not confirmed");
	}
	same = equal_secret(secret_bytes(&first), secret_bytes(&second));
	secret_release(&second);
	if (!same) {
		secret_release(&first);
		return err_set(ctx, ERR_INVALID, "the two passphrases differ");
	}
	*ret = first;
	return OK;
}

static enum err open_terminal(struct cli *cli, const char *option, struct errctx *ctx)
{
	terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (terminal < 0)
		return cli_usage(cli, ctx, "no terminal to ask for the %s on: use --%s",
			reading.noun, option);
	return OK;
}

static void close_terminal(void)
{
	close(terminal);
	terminal = -1;
}

enum err passphrase_possible(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	if (args_option(args, "passphrase-file") != NULL)
		return OK;
	TRY(open_terminal(cli, "passphrase-file", ctx));
	close_terminal();
	return OK;
}

static enum err get(struct cli *cli, const struct cli_args *args, const char *option,
	const char *what, bool twice, struct secret *ret, struct errctx *ctx)
{
	const char *path = args_option(args, option);
	enum err err;

	if (path != NULL)
		return from_file(cli, path, ret, ctx);
	TRY(open_terminal(cli, option, ctx));
	err = ask(what, twice, ret, ctx);
	close_terminal();
	return err;
}

enum err passphrase_get(struct cli *cli, const struct cli_args *args, const char *what, bool twice,
	struct secret *ret, struct errctx *ctx)
{
	return get(cli, args, "passphrase-file", what, twice, ret, ctx);
}

enum err passphrase_get_new(struct cli *cli, const struct cli_args *args, const char *what,
	struct secret *ret, struct errctx *ctx)
{
	return get(cli, args, "new-passphrase-file", what, true, ret, ctx);
}

enum err passphrase_words(struct cli *cli, const struct cli_args *args, const char *what,
	struct secret *ret, struct errctx *ctx)
{
	enum err err;

	reading.noun = "words";
	reading.empty = "no words were given";
	err = get(cli, args, "words-file", what, false, ret, ctx);
	reading.noun = "passphrase";
	reading.empty = "the passphrase is empty";
	return err;
}
