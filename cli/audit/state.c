#include "cli/audit/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "node/files.h"

/* Beside the file, which is replaced: a lock on that would be one on what it was. */
static enum err take_lock(const char *path, int *ret, struct errctx *ctx)
{
	char name[PATH_MAX];
	int n = snprintf(name, sizeof(name), "%s.lock", path), fd;

	if (n < 0 || (size_t)n >= sizeof(name))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return files_errno(ctx, errno, "open", name);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		enum err err = errno == EWOULDBLOCK
				       ? err_set(ctx, ERR_BUSY,
						 "state '%s': another audit is using it", path)
				       : files_errno(ctx, errno, "lock", name);

		close(fd);
		return err;
	}
	*ret = fd;
	return OK;
}

static enum err read_state(const char *path, struct remembered **ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf file;
	enum err err;

	buf_init(&file, LIMIT_AUDIT_STATE + 1);
	err = files_read(path, LIMIT_AUDIT_STATE, &file, ctx);
	if (err == ERR_NOTFOUND)
		return OK;
	TRY(err);
	err = remembered_parse(buf_bytes(&file), ret, ctx);
	/* The auditor's own file: that says nothing of a log. */
	if (err == ERR_CORRUPT)
		err = ERR_MALFORMED;
	return err == OK || err == ERR_NOMEM ? err : err_wrap(ctx, err, "state '%s'", path);
}

enum err audit_state_open(const char *path, struct audit_state *ret, struct errctx *ctx)
{
	struct audit_state state = {.path = path, .lock = -1};
	enum err err;

	TRY(take_lock(path, &state.lock, ctx));
	err = read_state(path, &state.state, ctx);
	if (err != OK)
		audit_state_close(&state);
	else
		*ret = state;
	return err;
}

enum err audit_state_write(
	const struct audit_state *state, const struct remembered *remembered, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf file;
	enum err err;

	buf_init(&file, LIMIT_AUDIT_STATE);
	err = remembered_write(remembered, &file);
	if (err != OK)
		return err_set(
			ctx, err, "state '%s': over %d bytes", state->path, LIMIT_AUDIT_STATE);
	return files_write(state->path, buf_bytes(&file), 0600, ctx);
}

void audit_state_close(struct audit_state *state)
{
	if (state->path == NULL)
		return;
	remembered_free(state->state);
	if (state->lock >= 0)
		close(state->lock);
	*state = (struct audit_state){.path = NULL, .lock = -1};
}
