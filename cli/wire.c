#include "cli/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/proxy.h"

enum { WIRE_BYTES_MAX = LIMIT_FRAME_SIZE + 64 * 1024 };

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set_deadline(struct wire *wire, int seconds)
{
	wire->deadline_ms = now_ms() + (int64_t)seconds * 1000;
}

static enum err wait_for(struct wire *wire, short what, struct errctx *ctx)
{
	struct pollfd item = {.fd = wire->fd, .events = what};

	for (;;) {
		int64_t left = wire->deadline_ms - now_ms();
		int n = left <= 0 ? 0 : poll(&item, 1, (int)left);

		if (n > 0)
			return OK;
		if (n == 0)
			return err_set(
				ctx, ERR_TIMEOUT, "%s did not answer in time", wire->address);
		if (errno != EINTR)
			return files_errno(ctx, errno, "wait for", wire->address);
	}
}

static socklen_t fill_address(const struct net_address *address, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (address->ipv6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(address->port);
		inet_pton(AF_INET6, address->host, &in6->sin6_addr);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)ret;

	in->sin_family = AF_INET;
	in->sin_port = htons(address->port);
	inet_pton(AF_INET, address->host, &in->sin_addr);
	return sizeof(*in);
}

static enum err connect_tcp(
	struct wire *wire, const struct net_address *address, struct errctx *ctx)
{
	struct sockaddr_storage target;
	socklen_t size = fill_address(address, &target);
	int error = 0;
	socklen_t error_size = sizeof(error);

	wire->fd = socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (wire->fd < 0)
		return files_errno(ctx, errno, "make a socket for", wire->address);
	if (connect(wire->fd, (struct sockaddr *)&target, size) != 0) {
		if (errno != EINPROGRESS)
			error = errno;
		else if (wait_for(wire, POLLOUT, ctx) != OK)
			error = ETIMEDOUT;
		else if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
			error = errno;
	}
	if (error != 0)
		return err_set(ctx, ERR_UNREACHABLE, "nobody answers at %s: %s", wire->address,
			strerror(error));
	return OK;
}

static enum err send_all(struct wire *wire, struct bytes rest, struct errctx *ctx)
{
	enum err err = OK;

	while (err == OK && rest.size > 0) {
		ssize_t n = send(wire->fd, rest.data, rest.size, MSG_NOSIGNAL);

		if (n >= 0)
			rest = bytes_make(rest.data + n, rest.size - (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			err = wait_for(wire, POLLOUT, ctx);
		else if (errno != EINTR)
			err = err_set(ctx, ERR_CLOSED, "%s: %s", wire->address, strerror(errno));
	}
	return err;
}

/* Everything that TLS wants to say. */
static enum err flush(struct wire *wire, struct errctx *ctx)
{
	struct buf out;
	enum err err;

	buf_init(&out, WIRE_BYTES_MAX);
	err = tls_pull(wire->tls, &out);
	if (err == OK)
		err = send_all(wire, buf_bytes(&out), ctx);
	buf_release(&out);
	return err;
}

/* What arrives next goes to TLS; what TLS makes of it into plain. */
static enum err advance(struct wire *wire, struct errctx *ctx)
{
	uint8_t chunk[16384];
	ssize_t n;
	enum err err;

	TRY(wait_for(wire, POLLIN, ctx));
	n = recv(wire->fd, chunk, sizeof(chunk), 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return OK;
	if (n < 0)
		return err_set(ctx, ERR_CLOSED, "%s: %s", wire->address, strerror(errno));
	if (n == 0)
		return err_set(ctx, ERR_CLOSED, "%s closed the connection", wire->address);
	TRY(tls_feed(wire->tls, bytes_make(chunk, (size_t)n)));
	err = tls_step(wire->tls, &wire->plain, ctx);
	if (err != OK) {
		struct errctx ignored;

		(void)!flush(wire, &ignored); /* the alert; the error at hand counts */
		return err_wrap(ctx, err, "%s", wire->address);
	}
	return flush(wire, ctx);
}

static enum err handshake(struct wire *wire, const char *alpn, struct errctx *ctx)
{
	const char *alpns[] = {alpn, NULL};
	struct tls_opts opts = {.alpns = alpns};
	struct tls_context *context;
	enum err err;

	TRY(tls_context_new(&opts, &context, ctx));
	err = tls_new(context, TLS_CLIENT, &wire->tls);
	tls_context_free(context);
	if (err == OK)
		err = tls_step(wire->tls, &wire->plain, ctx);
	if (err == OK)
		err = flush(wire, ctx);
	while (err == OK && !tls_ready(wire->tls))
		err = advance(wire, ctx);
	if (err == OK && strcmp(tls_alpn(wire->tls), alpn) != 0)
		err = err_set(ctx, ERR_UNTRUSTED, "%s does not speak %s", wire->address, alpn);
	return err;
}

/* The proxy's answer is read byte by byte: what follows it is TLS's, once TLS has begun. */
static enum err tunnel(struct wire *wire, const struct wire_target *target, struct errctx *ctx)
{
	struct buf text;
	enum err err;
	size_t used;

	buf_init(&text, LIMIT_HTTP_HEADER + 1);
	proxy_request(&text, target->address, target->credentials);
	err = text.err == OK ? send_all(wire, buf_bytes(&text), ctx) : text.err;
	buf_wipe(&text);
	while (err == OK) {
		uint8_t byte;
		ssize_t n;

		err = wait_for(wire, POLLIN, ctx);
		if (err != OK)
			break;
		n = recv(wire->fd, &byte, 1, 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
			continue;
		if (n <= 0) {
			err = err_set(ctx, ERR_CLOSED, "the proxy at %s closed the connection",
				target->proxy);
			break;
		}
		buf_put(&text, bytes_make(&byte, 1));
		err = proxy_response(buf_bytes(&text), &used, ctx);
		if (err == OK)
			break;
		if (err == ERR_AGAIN)
			err = OK;
	}
	buf_wipe(&text);
	return err;
}

enum err wire_open(
	struct wire *wire, const struct wire_target *target, const char *alpn, struct errctx *ctx)
{
	struct net_address parsed;
	bool proxied = target->proxy[0] != '\0';
	enum err err;

	*wire = (struct wire){.fd = -1, .address = target->address};
	frame_reader_init(&wire->reader, LIMIT_FRAME_SIZE);
	buf_init(&wire->plain, WIRE_BYTES_MAX);
	err = config_address(target->address, false, &parsed, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "'%.80s'", target->address);
	if (proxied)
		TRY(config_address(target->proxy, false, &parsed, ctx));
	set_deadline(wire, WIRE_CONNECT_S);
	err = connect_tcp(wire, &parsed, ctx);
	if (err == OK && proxied)
		err = tunnel(wire, target, ctx);
	if (err != OK && proxied)
		return err_wrap(ctx, ERR_UNREACHABLE, "through the proxy %s", target->proxy);
	TRY(err);
	err = handshake(wire, alpn, ctx);
	if (err == ERR_TIMEOUT || err == ERR_CLOSED)
		return err_wrap(ctx, ERR_UNREACHABLE, "the handshake failed");
	return err;
}

void wire_close(struct wire *wire)
{
	struct errctx ignored;

	if (wire->address == NULL)
		return;
	if (wire->tls != NULL && tls_ready(wire->tls)) {
		tls_close(wire->tls);
		set_deadline(wire, 1);
		(void)!flush(wire, &ignored); /* a courtesy: nothing depends on it */
	}
	tls_free(wire->tls);
	if (wire->fd >= 0)
		close(wire->fd);
	frame_reader_release(&wire->reader);
	buf_wipe(&wire->plain);
	*wire = (struct wire){.fd = -1};
}

enum err wire_receive(struct wire *wire, struct bytes *ret, struct errctx *ctx)
{
	set_deadline(wire, WIRE_ANSWER_S);
	for (;;) {
		enum err err;

		if (wire->plain.size > 0) {
			TRY(frame_reader_push(&wire->reader, buf_bytes(&wire->plain)));
			buf_clear(&wire->plain);
		}
		err = frame_reader_next(&wire->reader, ret);
		if (err == ERR_LIMIT)
			return err_set(
				ctx, err, "%s sent a message that is too large", wire->address);
		if (err != ERR_AGAIN)
			return err;
		err = advance(wire, ctx);
		/* The last message and the farewell may come together. */
		if (err != OK && !(err == ERR_CLOSED && wire->plain.size > 0))
			return err;
	}
}

enum err wire_send(struct wire *wire, struct bytes message, struct errctx *ctx)
{
	uint8_t header[FRAME_HEADER_SIZE];

	set_deadline(wire, WIRE_ANSWER_S);
	put_u32be(header, (uint32_t)message.size);
	TRY(tls_write(wire->tls, bytes_make(header, sizeof(header))));
	TRY(tls_write(wire->tls, message));
	return flush(wire, ctx);
}
