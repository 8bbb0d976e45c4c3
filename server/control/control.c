#include "server/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "server/control/permissions.h"
#include "server/internal.h"
#include "server/locking.h"
#include "server/log.h"

enum {
	READ_SIZE = 64 * 1024,
	BACKLOG = 32,
	QUEUE_HIGH = 16 * 1024 * 1024,
	STALL_CHECK_MS = LIMIT_PUBLIC_STALL_MS / 4,
};

struct client {
	struct control_server *server;
	struct client *prev, *next;
	uv_pipe_t pipe;
	struct frame_reader reader;
	struct control_request *request; /* under way */
	unsigned writes;
	bool closing, beginning;
	uint64_t number;
	bool has_trials;
	bool urgent; /* past the cap: it may only lock */
	/* Of the public socket: when something last went over it, and what was left to write then.
	 */
	uint64_t moved_ms;
	size_t queued;
};

struct control_request {
	struct runtime *rt;
	struct client *client; /* NULL: gone */
	void (*sent)(void *arg, bool gone);
	void *sent_arg;
	void (*gone)(void *arg);
	void *gone_arg;
	bool use, export;
	bool public; /* it came over the public socket */
	struct officer_session officer;
	bool has_officer, has_token;
	uint8_t token[SESSION_TOKEN_SIZE]; /* of the session that began */
};

struct control_server {
	struct runtime *rt;
	bool public;
	char group[CONFIG_GROUP_SIZE];
	uv_pipe_t pipe;
	uv_timer_t stalls;
	bool watching;
	char path[PATH_MAX];
	struct client *clients;
	unsigned client_count;
	uint64_t clients_seen;
	bool listening, closing;
	uv_pipe_t refused; /* for a connection that there is no memory for */
	bool refusing, refuse_more;
	void (*closed)(void *arg);
	void *closed_arg;
	char buffer[READ_SIZE];
};

struct reply {
	uv_write_t write;
	struct client *client;
	struct buf frame;
};

static void maybe_closed(struct control_server *server)
{
	if (server->closing && server->clients == NULL && !server->listening && !server->watching &&
		server->closed != NULL) {
		void (*closed)(void *arg) = server->closed;

		server->closed = NULL;
		closed(server->closed_arg);
	}
}

/* Without memory to say so the vault gives them up by itself, a while later. */
static void end_trials(const struct client *client)
{
	struct vault_request *ask =
		client->has_trials ? vault_request_new(VAULT_TRIAL_END, NULL) : NULL;

	if (ask == NULL)
		return;
	ask->client = client->number;
	vault_submit(client->server->rt->vault, ask);
}

/* Whoever waits for all to be written is told, once. */
static void tell_sent(struct control_request *request, bool gone)
{
	void (*sent)(void *arg, bool gone) = request->sent;

	request->sent = NULL;
	if (sent != NULL)
		sent(request->sent_arg, gone);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct control_server *server = client->server;
	struct control_request *request = client->request;

	end_trials(client);
	if (client->prev != NULL)
		client->prev->next = client->next;
	else
		server->clients = client->next;
	if (client->next != NULL)
		client->next->prev = client->prev;
	server->client_count--;
	if (request != NULL)
		request->client = NULL;
	buf_wipe(&client->reader.buf);
	mem_free(client);
	if (request != NULL && request->gone != NULL)
		request->gone(request->gone_arg);
	else if (request != NULL)
		tell_sent(request, true);
	maybe_closed(server);
}

static void client_close(struct client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void client_next(struct client *client);

static void on_replied(uv_write_t *write, int status)
{
	struct reply *reply = (struct reply *)write;
	struct client *client = reply->client;

	buf_wipe(&reply->frame);
	mem_free(reply);
	client->writes--;
	client->moved_ms = uv_now(&client->server->rt->loop);
	if (status != 0)
		client_close(client);
	else if (client->writes > 0 || client->closing)
		return;
	else if (client->request != NULL)
		tell_sent(client->request, false);
	else
		client_next(client);
}

static void send_response(struct client *client, const Sauti__ControlResponse *response)
{
	struct reply *reply = mem_zalloc(sizeof(*reply));

	if (reply == NULL) {
		client_close(client);
		return;
	}
	reply->client = client;
	buf_init(&reply->frame, LIMIT_CONTROL_RESPONSE + FRAME_HEADER_SIZE);
	frame_write(&reply->frame, response);
	uv_buf_t out = uv_buf_init((char *)reply->frame.data, (unsigned)reply->frame.size);

	if (reply->frame.err != OK ||
		uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe) > QUEUE_HIGH ||
		uv_write(&reply->write, (uv_stream_t *)&client->pipe, &out, 1, on_replied) != 0) {
		buf_wipe(&reply->frame);
		mem_free(reply);
		client_close(client);
		return;
	}
	client->writes++;
}

struct runtime *control_runtime(const struct control_request *request)
{
	return request->rt;
}

struct runtime *control_server_runtime(struct control_server *server)
{
	return server->rt;
}

const struct officer_session *control_officer(const struct control_request *request)
{
	return request->has_officer ? &request->officer : NULL;
}

bool control_is_public(const struct control_request *request)
{
	return request->public;
}

uint64_t control_trial(struct control_request *request)
{
	if (request->client == NULL)
		return 0;
	request->client->has_trials = true;
	return request->client->number;
}

bool control_export_begin(struct control_request *request)
{
	if (request->rt->exports >= LIMIT_EXPORTS)
		return false;
	request->rt->exports++;
	request->export = true;
	return true;
}

void control_item(struct control_request *request, struct bytes json)
{
	Sauti__ControlResponse response = SAUTI__CONTROL_RESPONSE__INIT;

	if (request->client == NULL || request->client->closing)
		return;
	response.json = codec_binary(json);
	send_response(request->client, &response);
}

void control_data(struct control_request *request, struct bytes data)
{
	Sauti__ControlResponse response = SAUTI__CONTROL_RESPONSE__INIT;

	if (request->client == NULL || request->client->closing)
		return;
	response.data = codec_binary(data);
	send_response(request->client, &response);
}

void control_sent(struct control_request *request, void (*sent)(void *arg, bool gone), void *arg)
{
	request->sent = sent;
	request->sent_arg = arg;
	if (request->client == NULL)
		tell_sent(request, true);
}

void control_gone(struct control_request *request, void (*gone)(void *arg), void *arg)
{
	request->gone = gone;
	request->gone_arg = arg;
}

static void finish(struct control_request *request, Sauti__ControlResponse *response)
{
	struct client *client = request->client;

	if (request->use)
		locking_use_end(request->rt);
	if (request->export)
		request->rt->exports--;
	if (request->has_token)
		response->token = codec_binary(BYTES_ARRAY(request->token));
	if (client != NULL) {
		client->request = NULL;
		if (!client->closing)
			send_response(client, response);
	}
	wipe(request, sizeof(*request));
	mem_free(request);
	if (client != NULL && !client->closing)
		client_next(client);
}

void control_give_token(struct control_request *request, const uint8_t token[SESSION_TOKEN_SIZE])
{
	memcpy(request->token, token, SESSION_TOKEN_SIZE);
	request->has_token = true;
}

void control_end(struct control_request *request, struct bytes json)
{
	Sauti__ControlResponse response = SAUTI__CONTROL_RESPONSE__INIT;

	response.json = codec_binary(json);
	response.last = true;
	finish(request, &response);
}

void control_fail(
	struct control_request *request, enum err error, uint32_t line, const char *message)
{
	Sauti__ControlResponse response = SAUTI__CONTROL_RESPONSE__INIT;

	response.error = (uint32_t)error;
	response.message = (char *)message;
	response.line = line;
	response.last = true;
	finish(request, &response);
}

static void begin_unpacked(struct control_request *request, const Sauti__ControlRequest *message)
{
	if (request->client->urgent && !control_locks(message)) {
		control_fail(request, ERR_BUSY, 0,
			"too many connections: only 'lock' and 'panic' are taken now");
		return;
	}
	/* Of somebody who is logged in, or is about to be. */
	request->use =
		control_counts_as_use(message) &&
		(request->has_officer || message->body_case == SAUTI__CONTROL_REQUEST__BODY_UNLOCK);
	if (request->use)
		locking_use_begin(request->rt);
	control_begin(request, message);
}

/* The session may end while the request is under way: what it was is what counts. */
static void find_officer(struct control_request *request, const Sauti__ControlRequest *message)
{
	const struct officer_session *session = sessions_find(request->rt->officers,
		codec_bytes(message->token), officers_now_ms(), control_counts_as_use(message));

	if (session == NULL)
		return;
	request->officer = *session;
	request->has_officer = true;
}

/* What comes over the public socket is in nobody's name. */
static enum err read_request(struct control_request *request, struct bytes message,
	struct arena *arena, Sauti__ControlRequest **ret, struct errctx *ctx)
{
	const struct scan_limits *limits =
		request->public ? &scan_limits_strict : &scan_limits_default;

	if (request->public)
		TRY(permissions_public(message, ctx));
	TRY(CODEC_UNPACK(control_request, message, limits, arena, ret, ctx));
	if (!request->public)
		find_officer(request, *ret);
	else if (!permission_public((*ret)->body_case))
		return err_set(ctx, ERR_DENIED, "that is not to be asked on the public socket");
	return permissions_check(*ret, control_officer(request), request->rt->keys == NULL, ctx);
}

static void begin(struct client *client, struct bytes message)
{
	struct control_request *request = mem_zalloc(sizeof(*request));
	Sauti__ControlRequest *unpacked;
	struct arena arena;
	struct errctx ctx = {""};

	if (request == NULL) {
		client_close(client);
		return;
	}
	*request = (struct control_request){.rt = client->server->rt, .client = client};
	request->public = client->server->public;
	client->request = request;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = read_request(request, message, &arena, &unpacked, &ctx);

	if (err != OK)
		control_fail(request, err, 0, err_message(&ctx, err));
	else
		begin_unpacked(request, unpacked);
	/* A request may hold a passphrase or a plaintext: nothing of it stays behind. */
	for (struct bytes rest = message; rest.size > 0; rest.size = 0)
		wipe((void *)(uintptr_t)rest.data, rest.size);
	arena_release(&arena);
}

/* Over the public socket one answer is taken before the next is made: whoever asks and does not
 * read costs no memory. */
static bool may_begin(const struct client *client)
{
	return client->request == NULL && !client->closing &&
	       (!client->server->public || client->writes == 0);
}

/* Begins the requests that have all arrived, one after the other, until one takes its time. */
static void client_next(struct client *client)
{
	struct bytes message;
	enum err err = OK;

	if (client->beginning) /* one was answered at once: the loop below goes on */
		return;
	client->beginning = true;
	while (err == OK && may_begin(client)) {
		err = frame_reader_next(&client->reader, &message);
		if (err == OK)
			begin(client, message);
		else if (err != ERR_AGAIN)
			client_close(client);
	}
	client->beginning = false;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct client *client = handle->data;

	*buf = uv_buf_init(client->server->buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
	struct client *client = stream->data;

	if (size < 0) {
		client_close(client);
		return;
	}
	enum err err = frame_reader_push(&client->reader, bytes_make(buf->base, (size_t)size));

	client->moved_ms = uv_now(&client->server->rt->loop);
	wipe(buf->base, (size_t)size);
	if (err != OK)
		client_close(client);
	else
		client_next(client);
}

static bool may_connect(const struct client *client)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd;

	if (client->server->public) /* the mode of the socket says who may */
		return true;
	if (uv_fileno((const uv_handle_t *)&client->pipe, &fd) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	log_line(LOG_WARNING, "control socket: user %u is not permitted", (unsigned)peer.uid);
	return false;
}

static void refuse(struct control_server *server);

static void on_refused(uv_handle_t *handle)
{
	struct control_server *server = handle->data;

	server->refusing = false;
	if (server->refuse_more && !server->closing)
		refuse(server);
}

/* libuv listens no more until a connection that it has announced is accepted: one that cannot be
 * served is accepted too, and closed. */
static void refuse(struct control_server *server)
{
	server->refuse_more = server->refusing;
	if (server->refusing)
		return;
	server->refusing = true;
	uv_pipe_init(&server->rt->loop, &server->refused, 0);
	server->refused.data = server;
	(void)uv_accept((uv_stream_t *)&server->pipe, (uv_stream_t *)&server->refused);
	uv_close((uv_handle_t *)&server->refused, on_refused);
}

/* Those that are being closed are no burden any more. */
static unsigned open_clients(const struct control_server *server)
{
	unsigned open = 0;

	for (const struct client *client = server->clients; client != NULL; client = client->next)
		open += !client->closing;
	return open;
}

static bool too_many(const struct control_server *server)
{
	return server->public ? open_clients(server) > LIMIT_PUBLIC_CLIENTS
			      : server->client_count > LIMIT_CONTROL_CLIENTS + LIMIT_CONTROL_URGENT;
}

/* Of the connections to the public socket the one that has been of no use for the longest time goes
 * for a new one: nobody keeps others out by holding many. */
static void make_room(struct control_server *server)
{
	struct client *idle = NULL;

	if (open_clients(server) < LIMIT_PUBLIC_CLIENTS)
		return;
	for (struct client *client = server->clients; client != NULL; client = client->next)
		if (!client->closing && client->request == NULL && client->writes == 0 &&
			(idle == NULL || client->moved_ms <= idle->moved_ms))
			idle = client;
	if (idle != NULL)
		client_close(idle);
}

static bool stalled(struct client *client, uint64_t now_ms)
{
	size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe);

	if (queued != client->queued) {
		client->queued = queued;
		client->moved_ms = now_ms;
	}
	return (client->writes > 0 || frame_reader_pending(&client->reader) > 0) &&
	       now_ms - client->moved_ms >= LIMIT_PUBLIC_STALL_MS;
}

static void on_stalls(uv_timer_t *timer)
{
	struct control_server *server = timer->data;

	for (struct client *client = server->clients; client != NULL; client = client->next)
		if (!client->closing && stalled(client, uv_now(&server->rt->loop)))
			client_close(client);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct control_server *server = stream->data;
	struct client *client;

	if (status != 0 || server->closing)
		return;
	if (server->public)
		make_room(server);
	client = mem_zalloc(sizeof(*client));
	if (client == NULL) {
		refuse(server);
		return;
	}
	client->server = server;
	client->number = ++server->clients_seen;
	client->moved_ms = uv_now(&server->rt->loop);
	frame_reader_init(
		&client->reader, server->public ? LIMIT_PUBLIC_REQUEST : LIMIT_CONTROL_REQUEST);
	uv_pipe_init(&server->rt->loop, &client->pipe, 0);
	client->pipe.data = client;
	client->next = server->clients;
	if (client->next != NULL)
		client->next->prev = client;
	server->clients = client;
	server->client_count++;
	client->urgent = !server->public && server->client_count > LIMIT_CONTROL_CLIENTS;
	if (uv_accept(stream, (uv_stream_t *)&client->pipe) != 0 || !may_connect(client) ||
		too_many(server) ||
		uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read) != 0)
		client_close(client);
}

/* Whoever may open what the path names, while nobody listens yet. */
static enum err give_to_group(const struct control_server *server, struct errctx *ctx)
{
	enum err err = OK;
	unsigned gid;
	struct stat st;
	int fd;

	if (server->group[0] == '\0')
		return OK;
	TRY(config_group(server->group, &gid, ctx));
	fd = open(server->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return files_errno(ctx, errno, "open socket", server->path);
	if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		err = err_set(ctx, ERR_DENIED, "'%s' was replaced by somebody", server->path);
	else if (fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) != 0)
		err = files_errno(
			ctx, errno, "give to the group of [public] the socket", server->path);
	close(fd);
	return err;
}

/* Of the control socket the directory is made, for its owner alone. */
static enum err prepare_place(const struct control_server *server, struct errctx *ctx)
{
	char directory[PATH_MAX];
	struct stat st;
	char *slash;

	snprintf(directory, sizeof(directory), "%s", server->path);
	slash = strrchr(directory, '/');
	if (slash != NULL && slash != directory && !server->public) {
		*slash = '\0';
		TRY(files_mkdir(directory, ctx));
	}
	if (strlen(server->path) >= 108)
		return err_set(ctx, ERR_LIMIT, "'%s' is too long for a socket", server->path);
	if (lstat(server->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(ctx, ERR_EXISTS, "'%s' is there and is no socket", server->path);
	if (unlink(server->path) != 0 && errno != ENOENT)
		return files_errno(ctx, errno, "replace socket", server->path);
	return OK;
}

static enum err listen_at(struct control_server *server, struct errctx *ctx)
{
	mode_t mask;
	int code;

	TRY(prepare_place(server, ctx));
	uv_pipe_init(&server->rt->loop, &server->pipe, 0);
	server->pipe.data = server;
	server->listening = true;
	mask = umask(server->public ? 0117 : 0177);
	code = uv_pipe_bind(&server->pipe, server->path);
	umask(mask);
	if (code == 0 && server->public)
		TRY(give_to_group(server, ctx));
	if (code == 0)
		code = uv_listen((uv_stream_t *)&server->pipe, BACKLOG, on_connection);
	if (code != 0) /* libuv's codes are errno's, negative */
		return files_errno(ctx, -code, "listen at socket", server->path);
	if (!server->public)
		return OK;
	uv_timer_init(&server->rt->loop, &server->stalls);
	server->stalls.data = server;
	server->watching = true;
	uv_timer_start(&server->stalls, on_stalls, STALL_CHECK_MS, STALL_CHECK_MS);
	return OK;
}

enum err control_server_new(struct runtime *rt, const struct control_opts *opts,
	struct control_server **ret, struct errctx *ctx)
{
	struct control_server *server = mem_zalloc(sizeof(*server));

	if (server == NULL)
		return ERR_NOMEM;
	server->rt = rt;
	server->public = opts->public;
	snprintf(server->path, sizeof(server->path), "%s", opts->path);
	if (opts->group != NULL)
		snprintf(server->group, sizeof(server->group), "%s", opts->group);
	*ret = server; /* closed and freed by the runtime, also when listening fails */
	return listen_at(server, ctx);
}

void control_server_shed(
	struct control_server *server, const struct control_request *keep, bool all)
{
	const struct client *asker = keep == NULL ? NULL : keep->client;

	if (server == NULL)
		return;
	for (struct client *client = server->clients; client != NULL; client = client->next)
		if (client->writes > 0 ||
			(client != asker &&
				(all || client->reader.buf.size > client->reader.start)))
			client_close(client);
}

static void on_server_closed(uv_handle_t *handle)
{
	struct control_server *server = handle->data;

	server->listening = false;
	maybe_closed(server);
}

static void on_stalls_closed(uv_handle_t *handle)
{
	struct control_server *server = handle->data;

	server->watching = false;
	maybe_closed(server);
}

void control_server_close(struct control_server *server, void (*closed)(void *arg), void *arg)
{
	server->closing = true;
	server->closed = closed;
	server->closed_arg = arg;
	if (server->listening)
		uv_close((uv_handle_t *)&server->pipe, on_server_closed);
	if (server->watching)
		uv_close((uv_handle_t *)&server->stalls, on_stalls_closed);
	for (struct client *client = server->clients, *next; client != NULL; client = next) {
		next = client->next;
		client_close(client);
	}
	maybe_closed(server);
}

void control_server_free(struct control_server *server)
{
	mem_free(server);
}
