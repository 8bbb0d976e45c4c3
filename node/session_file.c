#include "node/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"

enum { TEXT_SIZE = 2 * SESSION_FILE_TOKEN + 1 };

enum err session_file_path(const char *socket, char ret[PATH_MAX], struct errctx *ctx)
{
	const char *given = getenv("SAUTI_SESSION"), *slash = strrchr(socket, '/');
	int n;

	if (given != NULL && given[0] != '\0')
		n = snprintf(ret, PATH_MAX, "%s", given);
	else if (slash == NULL)
		n = snprintf(ret, PATH_MAX, "session");
	else
		n = snprintf(ret, PATH_MAX, "%.*s/session", (int)(slash - socket), socket);
	if (n < 0 || n >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "the path of the session's file is too long");
	return OK;
}

static enum err check(int fd, const char *path, struct errctx *ctx)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return files_errno(ctx, errno, "stat", path);
	if (!S_ISREG(st.st_mode))
		return err_set(ctx, ERR_DENIED, "'%s' is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return err_set(ctx, ERR_DENIED,
			"'%s' holds a session, and its mode %04o lets others at it: remove it and "
			"unlock again",
			path, (unsigned)(st.st_mode & 07777));
	if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
		return err_set(ctx, ERR_DENIED, "'%s' holds the session of another user (%u)", path,
			(unsigned)st.st_uid);
	return OK;
}

enum err session_file_read(
	const char *path, uint8_t ret_token[SESSION_FILE_TOKEN], struct errctx *ctx)
{
	/* O_NONBLOCK: a FIFO in place of the file must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	uint8_t text[TEXT_SIZE + 1], token[SESSION_FILE_TOKEN];
	ssize_t size;
	enum err err;

	if (fd < 0 && errno == ELOOP)
		return err_set(ctx, ERR_DENIED, "'%s' is a symbolic link: remove it", path);
	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	err = check(fd, path, ctx);
	size = err == OK ? read(fd, text, sizeof(text)) : 0;
	close(fd);
	if (err == OK &&
		(size != TEXT_SIZE || text[TEXT_SIZE - 1] != '\n' ||
			hex_decode(bytes_make(text, TEXT_SIZE - 1), token, sizeof(token)) != OK))
		err = err_set(ctx, ERR_NOTFOUND, "'%s' holds no session", path);
	if (err == OK)
		memcpy(ret_token, token, sizeof(token));
	wipe(text, sizeof(text));
	wipe(token, sizeof(token));
	return err;
}

/* In place, where the file is there as one of ours: that takes no room. */
static enum err overwrite(const char *path, struct bytes text, struct errctx *ctx)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	enum err err;

	if (fd < 0)
		return files_errno(ctx, errno, "open", path);
	err = check(fd, path, ctx);
	if (err == OK && (fstat(fd, &st) != 0 || st.st_size != TEXT_SIZE || st.st_nlink != 1))
		err = err_set(ctx, ERR_INVALID, "'%s' is no session's file", path);
	if (err == OK && pwrite(fd, text.data, text.size, 0) != (ssize_t)text.size)
		err = files_errno(ctx, errno, "write", path);
	close(fd);
	return err;
}

enum err session_file_write(
	const char *path, const uint8_t token[SESSION_FILE_TOKEN], struct errctx *ctx)
{
	char text[TEXT_SIZE + 1];
	enum err err;

	hex_encode(bytes_make(token, SESSION_FILE_TOKEN), text);
	text[TEXT_SIZE - 1] = '\n';
	err = files_write(path, bytes_make(text, TEXT_SIZE), 0600, ctx);
	/* Somebody must be able to log in where the disk is full. */
	if (err == ERR_FULL && overwrite(path, bytes_make(text, TEXT_SIZE), NULL) == OK)
		err = OK;
	wipe(text, sizeof(text));
	return err;
}

enum err session_file_clear(const char *path, struct errctx *ctx)
{
	char text[TEXT_SIZE];

	memset(text, ' ', sizeof(text));
	text[TEXT_SIZE - 1] = '\n';
	if (overwrite(path, BYTES_ARRAY(text), NULL) == OK)
		return OK;
	return files_remove(path, ctx);
}
