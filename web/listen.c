#include "web/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static socklen_t address_size(const union web_address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return sizeof(address->v4);
	case AF_INET6:
		return sizeof(address->v6);
	default:
		return sizeof(address->local);
	}
}

static void address_text(const union web_address *address, char *ret, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (address->any.sa_family == AF_UNIX) {
		snprintf(ret, size, "unix:%s", address->local.sun_path);
	} else if (address->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		snprintf(ret, size, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	} else {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		snprintf(ret, size, "%s:%u", host, ntohs(address->v4.sin_port));
	}
}

static enum err fail(int error, const char *what, struct errctx *ctx)
{
	enum err err = error == EADDRINUSE                 ? ERR_BUSY
		       : error == EACCES || error == EPERM ? ERR_DENIED
							   : ERR_IO;

	return err_set(ctx, err, "%s: %s", what, strerror(error));
}

/* A socket whose program is gone. */
static enum err clear_path(const struct sockaddr_un *address, struct errctx *ctx)
{
	struct stat info;
	bool served;
	int fd;

	if (lstat(address->sun_path, &info) != 0)
		return errno == ENOENT ? OK : fail(errno, address->sun_path, ctx);
	if (!S_ISSOCK(info.st_mode))
		return err_set(ctx, ERR_EXISTS, "%s is there, and is no socket", address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(errno, "make a socket", ctx);
	served = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
	close(fd);
	if (served)
		return err_set(ctx, ERR_BUSY, "%s: another program serves it", address->sun_path);
	if (unlink(address->sun_path) != 0)
		return fail(errno, address->sun_path, ctx);
	return OK;
}

static enum err bind_address(int fd, const union web_address *address, struct errctx *ctx)
{
	const int on = 1;
	char name[WEB_SOCKET_SIZE + 32];
	int failed;
	mode_t before;

	if (address->any.sa_family == AF_UNIX)
		TRY(clear_path(&address->local, ctx));
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return fail(errno, "listen", ctx);
	before = umask(0117);
	failed = bind(fd, &address->any, address_size(address)) != 0 ? errno : 0;
	umask(before);
	if (failed == 0 && listen(fd, BACKLOG) != 0)
		failed = errno;
	if (failed == 0)
		return OK;
	address_text(address, name, sizeof(name));
	return fail(failed, name, ctx);
}

enum err listen_open(const union web_address *address, int *ret_fd, struct errctx *ctx)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enum err err;

	if (fd < 0)
		return fail(errno, "make a socket", ctx);
	err = bind_address(fd, address, ctx);
	if (err != OK) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return OK;
}

void listen_name(int fd, char *ret, size_t size)
{
	union web_address address = {0};
	socklen_t length = sizeof(address);

	getsockname(fd, &address.any, &length);
	address_text(&address, ret, size);
}

void listen_remove(const union web_address *address)
{
	if (address->any.sa_family == AF_UNIX)
		unlink(address->local.sun_path);
}
