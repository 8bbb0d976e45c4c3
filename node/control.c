#include "node/control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/secret.h"
#include "node/session_file.h"
#include "proto/codec.h"
#include "proto/frame.h"

struct control {
	int fd;
	struct frame_reader reader;
	struct arena arena;
	unsigned timeout_s;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint8_t token[SESSION_FILE_TOKEN];
	enum err token_err; /* OK: there is a token; ERR_NOTFOUND: none */
	struct errctx token_ctx;
};

static enum err set_timeouts(int fd, unsigned timeout_s)
{
	struct timeval timeout = {.tv_sec = timeout_s};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0)
		return ERR_IO;
	return OK;
}

static enum err connect_errno(int error, const char *path, struct errctx *ctx)
{
	if (error == EACCES || error == EPERM)
		return err_set(ctx, ERR_DENIED, "connect to '%s': %s", path, strerror(error));
	if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR || error == ENOTSOCK ||
		error == EAGAIN)
		return err_set(
			ctx, ERR_UNREACHABLE, "no daemon answers at %s: is sautid running?", path);
	return files_errno(ctx, error, "connect to", path);
}

static void find_token(struct control *control)
{
	char path[PATH_MAX];

	control->token_err = session_file_path(control->socket, path, &control->token_ctx);
	if (control->token_err == OK)
		control->token_err = session_file_read(path, control->token, &control->token_ctx);
}

static enum err open_control(
	const char *socket_path, unsigned timeout_s, struct control **ret, struct errctx *ctx)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct control *control;
	enum err err = OK;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return err_set(ctx, ERR_LIMIT, "the socket's path has more than %zu characters: %s",
			sizeof(address.sun_path) - 1, socket_path);
	strcpy(address.sun_path, socket_path);
	control = mem_zalloc(sizeof(*control));
	if (control == NULL)
		return ERR_NOMEM;
	strcpy(control->socket, socket_path);
	control->timeout_s = timeout_s;
	control->token_err = ERR_NOTFOUND;
	frame_reader_init(&control->reader, LIMIT_CONTROL_RESPONSE);
	arena_init(&control->arena, LIMIT_ARENA_SIZE);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		err = files_errno(ctx, errno, "make a socket for", socket_path);
	else if (set_timeouts(control->fd, timeout_s) != OK)
		err = files_errno(ctx, errno, "set the timeouts of", socket_path);
	else if (connect(control->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		err = connect_errno(errno, socket_path, ctx);
	if (err != OK) {
		control_close(control);
		return err;
	}
	*ret = control;
	return OK;
}

enum err control_connect(const char *socket_path, struct control **ret, struct errctx *ctx)
{
	TRY(open_control(socket_path, CONTROL_TIMEOUT_S, ret, ctx));
	find_token(*ret);
	return OK;
}

enum err control_connect_public(
	const char *socket_path, unsigned timeout_s, struct control **ret, struct errctx *ctx)
{
	return open_control(socket_path, timeout_s, ret, ctx);
}

void control_close(struct control *control)
{
	if (control == NULL)
		return;
	if (control->fd >= 0)
		close(control->fd);
	buf_wipe(&control->reader.buf);
	frame_reader_release(&control->reader);
	arena_release(&control->arena);
	wipe(control->token, sizeof(control->token));
	mem_free(control);
}

static enum err transfer_errno(const struct control *control, int error, struct errctx *ctx)
{
	if (error == EAGAIN || error == EWOULDBLOCK)
		return err_set(ctx, ERR_TIMEOUT, "the daemon at %s did not answer for %u s",
			control->socket, control->timeout_s);
	if (error == EPIPE || error == ECONNRESET)
		return err_set(
			ctx, ERR_CLOSED, "the daemon at %s closed the connection", control->socket);
	return files_errno(ctx, error, "talk to", control->socket);
}

/* What is asked in nobody's name: whoever answers there learns no token. */
static bool is_public(const Sauti__ControlRequest *request)
{
	return request->body_case >= SAUTI__CONTROL_REQUEST__BODY_PUBLIC_FILE &&
	       request->body_case <= SAUTI__CONTROL_REQUEST__BODY_PUBLIC_EVIDENCE;
}

enum err control_send(
	struct control *control, const Sauti__ControlRequest *body, struct errctx *ctx)
{
	Sauti__ControlRequest whole = *body, *request = &whole;
	struct bytes rest;
	struct buf frame;
	enum err err = OK;

	if (control->token_err == OK && !is_public(request))
		request->token = codec_binary(BYTES_ARRAY(control->token));
	size_t size = protobuf_c_message_get_packed_size(&request->base);

	if (size > LIMIT_CONTROL_REQUEST)
		return err_set(ctx, ERR_LIMIT, "request of %zu bytes, allowed are %d", size,
			LIMIT_CONTROL_REQUEST);
	buf_init(&frame, LIMIT_CONTROL_REQUEST + FRAME_HEADER_SIZE);
	/* One reservation: a passphrase in it must leave no copy behind. */
	buf_reserve(&frame, size + FRAME_HEADER_SIZE);
	frame_write(&frame, request);
	err = frame.err;
	rest = buf_bytes(&frame);
	while (err == OK && rest.size > 0) {
		ssize_t n = send(control->fd, rest.data, rest.size, MSG_NOSIGNAL);

		if (n >= 0)
			rest = bytes_make(rest.data + n, rest.size - (size_t)n);
		else if (errno != EINTR)
			err = transfer_errno(control, errno, ctx);
	}
	buf_wipe(&frame);
	return err;
}

static enum err receive(struct control *control, struct bytes *ret_frame, struct errctx *ctx)
{
	uint8_t chunk[16384];
	enum err err;

	while ((err = frame_reader_next(&control->reader, ret_frame)) == ERR_AGAIN) {
		ssize_t n = recv(control->fd, chunk, sizeof(chunk), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = transfer_errno(control, errno, ctx);
		else if (n == 0)
			err = transfer_errno(control, ECONNRESET, ctx);
		else
			err = frame_reader_push(&control->reader, bytes_make(chunk, (size_t)n));
		if (err != OK)
			break;
	}
	wipe(chunk, sizeof(chunk));
	return err;
}

/* A code that this program does not know came from a newer daemon. */
static enum err known_code(uint32_t code)
{
	enum err highest = OK;

#define X(symbol, name, text) highest = symbol > highest ? symbol : highest;
	ERR_CODES(X)
#undef X
	return code <= (uint32_t)highest ? (enum err)code : ERR_UNSUPPORTED;
}

enum err control_next(struct control *control, struct control_response *ret, struct errctx *ctx)
{
	Sauti__ControlResponse *response;
	struct bytes frame;
	enum err err;

	memset(ret, 0, sizeof(*ret));
	TRY(receive(control, &frame, ctx));
	arena_clear(&control->arena);
	err = CODEC_UNPACK(
		control_response, frame, &scan_limits_default, &control->arena, &response, ctx);
	if (err != OK)
		return err_wrap(ctx, err, "answer of the daemon at %s", control->socket);
	ret->last = response->last;
	ret->json = codec_bytes(response->json);
	ret->data = codec_bytes(response->data);
	ret->line = response->line;
	ret->token = codec_bytes(response->token);
	if (response->error == 0)
		return OK;
	err = known_code(response->error);
	if (err == ERR_DENIED && control->token_err != OK && control->token_err != ERR_NOTFOUND)
		return err_set(ctx, err, "%s (%s)", response->message,
			err_message(&control->token_ctx, control->token_err));
	if (response->message[0] == '\0')
		return err_set(ctx, err, "%s", err_text(err));
	return err_set(ctx, err, "%s", response->message);
}

enum err control_call(struct control *control, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, struct bytes json, struct errctx *ctx), void *arg,
	uint32_t *ret_line, struct errctx *ctx)
{
	struct control_response response = {0};

	TRY(control_send(control, request, ctx));
	while (!response.last) {
		enum err err = control_next(control, &response, ctx);

		if (err != OK) {
			if (ret_line != NULL)
				*ret_line = response.line;
			return err;
		}
		if (response.json.size != 0 && each != NULL)
			TRY(each(arg, response.json, ctx));
	}
	return OK;
}
