/*
 * The life of a connection:
 *
 *   CONNECTING --tcp--> SHAKING --tls ready, name as dialled--> UP --conn_close--> FLUSHING --+
 *        |  TUNNELLING --^ |                                     |                             |
 *        +--- deadline, error, refusal, end of stream -----------+--> CLOSING (handles) -> freed
 *
 * TUNNELLING: through a proxy, whose answer is waited for; TLS begins behind it.
 *
 * Failures: a refused handshake leaves an alert for the peer in the TLS object, which is sent
 * before closing; a peer that stops reading is the engine's to notice, and has a last cap here;
 * writes under way when a handle is closed come back cancelled before its close callback, so the
 * memory is freed in the last of those.
 */
#include "server/net/net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "node/proxy.h"
#include "proto/frame.h"
#include "server/net/hosts.h"

enum {
	READ_SIZE = 64 * 1024,
	FLUSH_MS = 3000,  /* without anything leaving */
	FLUSHES_MAX = 20, /* times that, in all */
	STRANGER_MS = 60 * 1000,
	KNOWN_STALL_MS = 20 * 1000, /* without a byte, for whoever's address is known */
	KNOWN_MS = 60 * 1000,       /* .. in all */
	REST_MS = 5 * 1000,         /* without a byte: its buffers are not needed */
	ARRIVING_MS = 1000,
	BACKLOG = 128,
	WRITES_MAX = 16384, /* under way on one connection */
	UNSENT = 32 * 1024, /* bytes in the kernel, not on the wire: what comes later is behind */
};

enum conn_state {
	CONN_CONNECTING,
	CONN_TUNNELLING,
	CONN_SHAKING,
	CONN_UP,
	CONN_FLUSHING,
	CONN_CLOSING
};

struct conn {
	struct net *net;
	struct conn *prev, *next;
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	unsigned handles; /* open */
	unsigned writes;  /* under way */
	size_t unsent;    /* while flushing, at the last look */
	unsigned flushes; /* looks */
	enum conn_state state;
	bool outgoing, announced, stranger;
	uint64_t sent, received; /* bytes handed to the kernel, and from it */
	struct buf request;      /* to a proxy; empty: none */
	bool known;              /* its host was, at the beginning */
	struct host host;
	bool heard;                  /* it has said anything */
	uint64_t since_ms, heard_ms; /* the beginning, and its last byte */
	size_t partial;              /* bytes of a message that is not whole */
	uint64_t arriving_ms;        /* told of last */
	char expected[LIMIT_NODE_NAME + 1];
	char address[64];
	char proxy[64]; /* "": none */
	char reason[256];
	struct tls *tls;
	struct frame_reader reader;
	struct buf plain;
	struct certificate_info peer;
	bool has_peer;
	void *data;
};

struct net {
	struct net_opts opts;
	uv_tcp_t listener;
	bool listening;
	uv_tcp_t refused; /* for a connection that there is no memory for */
	bool refusing, refuse_more;
	struct conn *conns;
	unsigned strangers[2]; /* inbound, not proven yet; [1]: whose host is known */
	struct hosts known;
	size_t partial; /* of all connections */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
	char read_buffer[READ_SIZE];
};

struct write {
	uv_write_t request;
	struct conn *conn;
	size_t size; /* of the caller's bytes in it; 0 for the handshake's own */
	struct buf wire;
};

static void conn_end(struct conn *conn, const char *reason);

static enum err net_error(struct errctx *ctx, int code, const char *what, const char *address)
{
	enum err err = ERR_IO;

	if (code == UV_EADDRINUSE)
		err = ERR_BUSY;
	else if (code == UV_EACCES || code == UV_EPERM)
		err = ERR_DENIED;
	else if (code == UV_EINVAL || code == UV_EADDRNOTAVAIL)
		err = ERR_INVALID;
	else if (code == UV_ECONNREFUSED || code == UV_EHOSTUNREACH || code == UV_ENETUNREACH)
		err = ERR_UNREACHABLE;
	else if (code == UV_ENOMEM)
		err = ERR_NOMEM;
	return err_set(ctx, err, "%s %s: %s", what, address, uv_strerror(code));
}

static enum err parse_address(const char *text, struct sockaddr_storage *ret, struct errctx *ctx)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	size_t size = colon == NULL ? 0 : (size_t)(colon - text);
	const char *start = text;
	uint64_t port;

	if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
		start++;
		size -= 2;
	}
	if (size == 0 || size >= sizeof(host) ||
		decimal_parse(bytes_str(colon + 1), 65535, &port) != OK)
		return err_set(ctx, ERR_INVALID, "'%s' is not HOST:PORT", text);
	memcpy(host, start, size);
	host[size] = '\0';
	memset(ret, 0, sizeof(*ret));
	if (uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret) != 0 &&
		uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret) != 0)
		return err_set(ctx, ERR_INVALID, "'%s' is not a numeric address", text);
	return OK;
}

static void show_address(const struct sockaddr_storage *sa, char *ret, size_t size)
{
	char host[48] = "?";
	unsigned port;

	if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		uv_ip6_name(in6, host, sizeof(host));
		port = ntohs(in6->sin6_port);
		snprintf(ret, size, "[%s]:%u", host, port);
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		uv_ip4_name(in, host, sizeof(host));
		port = ntohs(in->sin_port);
		snprintf(ret, size, "%s:%u", host, port);
	}
}

/* Ends of life. */

static void maybe_closed(struct net *net)
{
	if (net->closing && net->conns == NULL && !net->listening && net->closed != NULL) {
		void (*closed)(void *arg) = net->closed;

		net->closed = NULL;
		closed(net->closed_arg);
	}
}

static void on_conn_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct net *net = conn->net;

	if (--conn->handles > 0)
		return;
	if (conn->prev != NULL)
		conn->prev->next = conn->next;
	else
		net->conns = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	tls_free(conn->tls);
	frame_reader_release(&conn->reader);
	buf_wipe(&conn->plain);
	buf_wipe(&conn->request);
	mem_free(conn);
	maybe_closed(net);
}

/* No stranger any more, or gone. */
static void conn_proven(struct conn *conn)
{
	uv_timer_stop(&conn->timer);
	conn->net->strangers[conn->known] -= conn->stranger;
	conn->stranger = false;
}

static void count_partial(struct conn *conn, size_t size)
{
	conn->net->partial += size - conn->partial;
	conn->partial = size;
}

/* Closes the handles and tells the owner, once. */
static void conn_end(struct conn *conn, const char *reason)
{
	struct net *net = conn->net;
	bool at_proxy = conn->proxy[0] != '\0' &&
			(conn->state == CONN_CONNECTING || conn->state == CONN_TUNNELLING);

	if (conn->state == CONN_CLOSING)
		return;
	conn_proven(conn);
	count_partial(conn, 0);
	conn->state = CONN_CLOSING;
	if (conn->reason[0] == '\0' && at_proxy)
		snprintf(conn->reason, sizeof(conn->reason), "proxy %s: %s", conn->proxy, reason);
	else if (conn->reason[0] == '\0')
		snprintf(conn->reason, sizeof(conn->reason), "%s", reason);
	uv_close((uv_handle_t *)&conn->tcp, on_conn_closed);
	uv_close((uv_handle_t *)&conn->timer, on_conn_closed);
	if (conn->announced)
		net->opts.events.down(net->opts.arg, conn, conn->reason);
	else
		net->opts.events.failed(net->opts.arg, conn->expected, conn->address, conn->reason);
}

static void on_deadline(uv_timer_t *timer);

/* Whose address is known may be on a link that is slow, as long as something comes. */
static bool conn_waits(struct conn *conn)
{
	uint64_t now = uv_now(conn->net->opts.loop);
	uint64_t due = conn->heard_ms + KNOWN_STALL_MS;

	if (!conn->known || conn->state == CONN_UP)
		return false;
	if (due > conn->since_ms + KNOWN_MS)
		due = conn->since_ms + KNOWN_MS;
	if (due <= now)
		return false;
	uv_timer_start(&conn->timer, on_deadline, due - now, 0);
	return true;
}

static void on_deadline(uv_timer_t *timer)
{
	struct conn *conn = timer->data;
	size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);

	if (conn->state != CONN_FLUSHING) {
		if (!conn_waits(conn))
			conn_end(conn, "timed out");
	} else if (!conn->stranger || unsent >= conn->unsent || ++conn->flushes == FLUSHES_MAX) {
		conn_end(conn, conn->reason);
	} else { /* a joiner's answer on a slow link; there are not many of those at once */
		conn->unsent = unsent;
		uv_timer_start(&conn->timer, on_deadline, FLUSH_MS, 0);
	}
}

/* Writing. */

static void on_written(uv_write_t *request, int status)
{
	struct write *write = (struct write *)request;
	struct conn *conn = write->conn;
	size_t size = write->size;

	buf_release(&write->wire);
	mem_free(write);
	conn->writes--;
	if (conn->state == CONN_CLOSING)
		return;
	if (status != 0) {
		conn_end(conn, uv_strerror(status));
		return;
	}
	if (size > 0 && conn->state == CONN_UP)
		conn->net->opts.events.sent(conn->net->opts.arg, conn, size);
	if (conn->state == CONN_FLUSHING && conn->writes == 0)
		conn_end(conn, conn->reason);
}

/* Starts one write, which takes over the wire's bytes. */
static enum err conn_write(struct conn *conn, struct buf *wire, size_t size)
{
	struct write *write = mem_zalloc(sizeof(*write));

	if (write == NULL)
		return ERR_NOMEM;
	write->wire = *wire;
	buf_init(wire, wire->max);
	write->conn = conn;
	write->size = size;
	uv_buf_t out = uv_buf_init((char *)write->wire.data, (unsigned)write->wire.size);
	int code = uv_write(&write->request, (uv_stream_t *)&conn->tcp, &out, 1, on_written);

	if (code != 0) {
		buf_release(&write->wire);
		mem_free(write);
		return ERR_IO;
	}
	conn->writes++;
	conn->sent += out.len;
	return OK;
}

/* Moves what TLS has for the wire into one write. */
static enum err conn_drain(struct conn *conn, size_t size)
{
	struct buf wire;
	enum err err;

	/* TLS has answers of its own, which nobody counts who knows only messages. */
	if (conn->writes >= WRITES_MAX ||
		uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp) > 2 * LIMIT_SEND_QUEUE)
		return ERR_LIMIT;
	buf_init(&wire, 4 * LIMIT_FRAME_SIZE);
	err = tls_pull(conn->tls, &wire);
	if (err == OK && wire.size > 0)
		err = conn_write(conn, &wire, size);
	buf_release(&wire);
	return err;
}

void conn_send(struct conn *conn, struct bytes frame)
{
	if (conn->state != CONN_UP)
		return;
	if (tls_write(conn->tls, frame) != OK || conn_drain(conn, frame.size) != OK)
		conn_end(conn, "cannot encrypt or send");
}

/* Lets what is queued leave, then ends. */
static void conn_flush(struct conn *conn, const char *reason)
{
	if (conn->state == CONN_CLOSING || conn->state == CONN_FLUSHING)
		return;
	snprintf(conn->reason, sizeof(conn->reason), "%s", reason);
	if (conn_drain(conn, 0) != OK || conn->writes == 0) {
		conn_end(conn, reason);
		return;
	}
	conn->state = CONN_FLUSHING;
	conn->unsent = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
	uv_timer_start(&conn->timer, on_deadline, FLUSH_MS, 0);
}

void conn_close(struct conn *conn, const char *reason)
{
	if (conn->state == CONN_UP)
		tls_close(conn->tls);
	conn_flush(conn, reason);
}

/* Reading. */

void conn_vouch(struct conn *conn)
{
	hosts_add(&conn->net->known, &conn->host);
}

static void conn_up(struct conn *conn)
{
	struct net *net = conn->net;

	conn->has_peer = tls_peer(conn->tls, &conn->peer);
	if (conn->outgoing && (!conn->has_peer || strcmp(conn->peer.name, conn->expected) != 0)) {
		char reason[128];

		snprintf(reason, sizeof(reason), "dialled '%s', its certificate names '%s'",
			conn->expected, conn->has_peer ? conn->peer.name : "nobody");
		conn_flush(conn, reason);
		return;
	}
	/* Who showed no certificate (to join) stays a stranger, and has a deadline for everything.
	 */
	if (conn->has_peer)
		conn_proven(conn);
	else
		uv_timer_start(&conn->timer, on_deadline, STRANGER_MS, 0);
	conn->announced = true;
	conn->state = CONN_UP;
	net->opts.events.up(net->opts.arg, conn);
}

/* What is not whole yet takes memory until it is: when there is too much of that, the largest goes,
 * and comes again. */
static void limit_partial(struct net *net)
{
	struct conn *worst = NULL;

	if (net->partial <= LIMIT_PARTIAL_TOTAL)
		return;
	for (struct conn *conn = net->conns; conn != NULL; conn = conn->next)
		if (conn->state == CONN_UP && (worst == NULL || conn->partial > worst->partial))
			worst = conn;
	if (worst == NULL)
		return;
	conn_end(worst, "too many long messages at once, and none of them whole");
	frame_reader_release(&worst->reader); /* now: its handles close when all have been read */
}

static void conn_arriving(struct conn *conn)
{
	uint64_t now = uv_now(conn->net->opts.loop);

	if (conn->state != CONN_UP || frame_reader_pending(&conn->reader) == 0 ||
		now - conn->arriving_ms < ARRIVING_MS)
		return;
	conn->arriving_ms = now;
	conn->net->opts.events.arriving(conn->net->opts.arg, conn);
}

static void conn_messages(struct conn *conn)
{
	struct bytes message;
	enum err err;

	if (frame_reader_push(&conn->reader, buf_bytes(&conn->plain)) != OK) {
		conn_end(conn, "out of memory");
		return;
	}
	buf_clear(&conn->plain);
	while (conn->state == CONN_UP) {
		err = frame_reader_next(&conn->reader, &message);
		if (err == ERR_AGAIN) {
			count_partial(conn, frame_reader_pending(&conn->reader));
			limit_partial(conn->net);
			conn_arriving(conn);
			return;
		}
		if (err != OK) {
			conn_close(conn, "a message longer than allowed");
			return;
		}
		conn->net->opts.events.message(conn->net->opts.arg, conn, message);
	}
}

static void conn_step(struct conn *conn);

/* What the proxy answers, in conn->plain as long as it is not TLS's turn. */
static void conn_tunnel(struct conn *conn, struct bytes data)
{
	struct errctx ctx = {""};
	size_t used = 0;
	enum err err;

	buf_put(&conn->plain, data);
	err = conn->plain.err != OK ? conn->plain.err
				    : proxy_response(buf_bytes(&conn->plain), &used, &ctx);
	if (err == ERR_AGAIN)
		return;
	if (err == OK)
		err = tls_feed(
			conn->tls, bytes_make(conn->plain.data + used, conn->plain.size - used));
	if (err != OK) {
		conn_end(conn, err_message(&ctx, err));
		return;
	}
	buf_clear(&conn->plain);
	conn->state = CONN_SHAKING;
	conn_step(conn);
}

static void conn_step(struct conn *conn)
{
	struct errctx ctx = {""};
	enum err err = tls_step(conn->tls, &conn->plain, &ctx);

	if (err != OK && err != ERR_CLOSED) {
		conn_flush(conn, err_message(&ctx, err)); /* the alert goes along */
		return;
	}
	if (conn_drain(conn, 0) != OK) {
		conn_end(conn, "cannot send");
		return;
	}
	if (conn->state == CONN_SHAKING && tls_ready(conn->tls))
		conn_up(conn);
	if (conn->state == CONN_UP)
		conn_messages(conn);
	if (err == ERR_CLOSED && conn->state != CONN_FLUSHING)
		conn_end(conn, "closed by the peer");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = handle->data;

	*buf = uv_buf_init(conn->net->read_buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;

	if (conn->state == CONN_CLOSING || size == 0)
		return;
	if (size < 0) {
		conn_end(conn, size == UV_EOF ? "connection ended" : uv_strerror((int)size));
		return;
	}
	if (conn->state == CONN_FLUSHING)
		return;
	conn->received += (uint64_t)size;
	conn->heard = true;
	conn->heard_ms = uv_now(conn->net->opts.loop);
	if (conn->state == CONN_TUNNELLING)
		conn_tunnel(conn, bytes_make(buf->base, (size_t)size));
	else if (tls_feed(conn->tls, bytes_make(buf->base, (size_t)size)) != OK)
		conn_end(conn, "out of memory");
	else
		conn_step(conn);
}

/* Making. */

static struct conn *conn_new(struct net *net, bool outgoing)
{
	struct conn *conn = mem_zalloc(sizeof(*conn));

	if (conn == NULL)
		return NULL;
	if (tls_new(net->opts.tls, outgoing ? TLS_CLIENT : TLS_SERVER, &conn->tls) != OK) {
		mem_free(conn);
		return NULL;
	}
	conn->net = net;
	conn->outgoing = outgoing;
	frame_reader_init(&conn->reader, LIMIT_FRAME_SIZE);
	buf_init(&conn->plain, LIMIT_FRAME_SIZE);
	buf_init(&conn->request, 2 * LIMIT_PROXY_CREDENTIALS + 3 * LIMIT_ADDRESS);
	uv_tcp_init(net->opts.loop, &conn->tcp);
	uv_timer_init(net->opts.loop, &conn->timer);
	conn->tcp.data = conn->timer.data = conn->connect.data = conn;
	conn->handles = 2;
	conn->since_ms = conn->heard_ms = uv_now(net->opts.loop);
	conn->next = net->conns;
	if (conn->next != NULL)
		conn->next->prev = conn;
	net->conns = conn;
	uv_timer_start(&conn->timer, on_deadline, net->opts.handshake_ms, 0);
	return conn;
}

/* Small messages must not wait for each other, and dead links must be found (DESIGN 11). */
static void tune(uv_tcp_t *tcp, bool congestion_system)
{
	int fd, on = 1, interval = 10, probes = 6;
	unsigned timeout_ms = 120 * 1000, unsent = UNSENT;

	uv_tcp_nodelay(tcp, 1);
	if (uv_fileno((uv_handle_t *)tcp, &fd) != 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (!congestion_system)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3); /* where there is one */
}

static void conn_start(struct conn *conn)
{
	conn->state = conn->request.size > 0 ? CONN_TUNNELLING : CONN_SHAKING;
	tune(&conn->tcp, conn->net->opts.congestion_system);
	int code = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);

	if (code != 0)
		conn_end(conn, uv_strerror(code));
	else if (conn->state == CONN_SHAKING)
		conn_step(conn);
	else if (conn_write(conn, &conn->request, 0) != OK)
		conn_end(conn, "cannot send");
}

/* More is to be dropped of those that came less far; of equals the older. */
static bool drops_before(const struct conn *a, const struct conn *b)
{
	return a->heard != b->heard ? !a->heard : a->since_ms <= b->since_ms;
}

/* Whoever comes from where most come from, first those who have not said a word: who fills the room
 * with idle connections drives out his own. */
static struct conn *one_too_many(const struct net *net, bool known)
{
	struct conn *worst = NULL;
	size_t most = 0;

	for (struct conn *a = net->conns; a != NULL; a = a->next) {
		size_t count = 0;

		if (!a->stranger || a->known != known)
			continue;
		for (struct conn *b = net->conns; b != NULL; b = b->next)
			count += b->stranger && host_equal(&a->host, &b->host);
		if (count > most || (count == most && drops_before(a, worst))) {
			most = count;
			worst = a;
		}
	}
	return worst;
}

/* It has to prove itself; those whose host is known do not compete with those whose is not. */
static void conn_is_stranger(struct conn *conn, const struct sockaddr_storage *from)
{
	struct net *net = conn->net;

	host_of(from, &conn->host);
	conn->known = hosts_known(&net->known, &conn->host);
	conn->stranger = true;
	net->strangers[conn->known]++;
}

static void refuse(struct net *net);

static void on_refused(uv_handle_t *handle)
{
	struct net *net = handle->data;

	net->refusing = false;
	if (net->refuse_more && !net->closing)
		refuse(net);
}

/* libuv listens no more until a connection that it has announced is accepted: one that cannot be
 * served is accepted too, and closed. */
static void refuse(struct net *net)
{
	net->refuse_more = net->refusing;
	if (net->refusing)
		return;
	net->refusing = true;
	uv_tcp_init(net->opts.loop, &net->refused);
	net->refused.data = net;
	(void)uv_accept((uv_stream_t *)&net->listener, (uv_stream_t *)&net->refused);
	uv_close((uv_handle_t *)&net->refused, on_refused);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct net *net = server->data;
	struct conn *conn;
	struct sockaddr_storage sa = {0};
	int size = sizeof(sa);

	if (status != 0 || net->closing)
		return;
	conn = conn_new(net, false);
	if (conn == NULL) {
		refuse(net);
		return;
	}
	if (uv_accept(server, (uv_stream_t *)&conn->tcp) != 0) {
		conn_end(conn, "cannot accept");
		return;
	}
	if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&sa, &size) == 0)
		show_address(&sa, conn->address, sizeof(conn->address));
	conn_is_stranger(conn, &sa);
	bool known = conn->known;

	conn_start(conn);
	if (net->strangers[known] > (known ? LIMIT_SESSIONS_KNOWN : LIMIT_SESSIONS_UNPROVEN))
		conn_end(one_too_many(net, known), "too many strangers at once");
}

static void on_connect(uv_connect_t *connect, int status)
{
	struct conn *conn = connect->data;

	if (conn->state == CONN_CLOSING)
		return;
	if (status != 0)
		conn_end(conn, uv_strerror(status));
	else
		conn_start(conn);
}

enum err net_dial(struct net *net, const struct net_target *target, struct errctx *ctx)
{
	struct sockaddr_storage sa;
	struct conn *conn;
	bool proxied = target->proxy[0] != '\0';

	TRY(parse_address(target->address, &sa, ctx));
	if (proxied)
		TRY(parse_address(target->proxy, &sa, ctx));
	conn = conn_new(net, true);
	if (conn == NULL)
		return ERR_NOMEM;
	snprintf(conn->expected, sizeof(conn->expected), "%s", target->peer);
	snprintf(conn->address, sizeof(conn->address), "%s", target->address);
	if (proxied)
		snprintf(conn->proxy, sizeof(conn->proxy), "%s", target->proxy);
	if (proxied)
		proxy_request(&conn->request, target->address, target->credentials);
	host_of(&sa, &conn->host);
	hosts_add(&net->known, &conn->host); /* it may call us, too */
	conn->known = true;
	int code = uv_tcp_connect(
		&conn->connect, &conn->tcp, (const struct sockaddr *)&sa, on_connect);

	if (code != 0)
		conn_end(conn, uv_strerror(code));
	return OK;
}

enum err net_listen(struct net *net, const char *address, uint16_t *ret_port, struct errctx *ctx)
{
	struct sockaddr_storage sa;
	int size = sizeof(sa);

	TRY(parse_address(address, &sa, ctx));
	uv_tcp_init(net->opts.loop, &net->listener);
	net->listener.data = net;
	net->listening = true;
	int code = uv_tcp_bind(&net->listener, (const struct sockaddr *)&sa, 0);

	if (code == 0)
		code = uv_listen((uv_stream_t *)&net->listener, BACKLOG, on_connection);
	if (code == 0)
		code = uv_tcp_getsockname(&net->listener, (struct sockaddr *)&sa, &size);
	if (code != 0)
		return net_error(ctx, code, "listen on", address);
	if (ret_port != NULL)
		*ret_port = ntohs(sa.ss_family == AF_INET6
					  ? ((const struct sockaddr_in6 *)&sa)->sin6_port
					  : ((const struct sockaddr_in *)&sa)->sin_port);
	return OK;
}

enum err net_new(const struct net_opts *opts, struct net **ret)
{
	struct net *net = mem_zalloc(sizeof(*net));

	if (net == NULL)
		return ERR_NOMEM;
	net->opts = *opts;
	*ret = net;
	return OK;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct net *net = handle->data;

	net->listening = false;
	maybe_closed(net);
}

void net_close(struct net *net, void (*closed)(void *arg), void *arg)
{
	net->closing = true;
	net->closed = closed;
	net->closed_arg = arg;
	if (net->listening)
		uv_close((uv_handle_t *)&net->listener, on_listener_closed);
	for (struct conn *conn = net->conns, *next; conn != NULL; conn = next) {
		next = conn->next;
		conn_end(conn, "this node stops");
	}
	maybe_closed(net);
}

size_t net_tidy(struct net *net)
{
	uint64_t now = uv_now(net->opts.loop);
	size_t freed = 0;

	for (struct conn *conn = net->conns; conn != NULL; conn = conn->next) {
		if (conn->state != CONN_UP || now - conn->heard_ms < REST_MS)
			continue;
		freed += tls_rest(conn->tls) + frame_reader_rest(&conn->reader);
		if (conn->plain.size > 0)
			continue;
		freed += conn->plain.capacity;
		buf_wipe(&conn->plain);
	}
	return freed;
}

void net_free(struct net *net)
{
	mem_free(net);
}

const struct certificate_info *conn_peer(const struct conn *conn)
{
	return conn->has_peer ? &conn->peer : NULL;
}

const char *conn_alpn(const struct conn *conn)
{
	return tls_alpn(conn->tls);
}

bool conn_outgoing(const struct conn *conn)
{
	return conn->outgoing;
}

const char *conn_address(const struct conn *conn)
{
	return conn->address;
}

uint64_t conn_in(const struct conn *conn)
{
	return conn->received;
}

uint64_t conn_out(const struct conn *conn)
{
	return conn->sent;
}

void conn_congestion(const struct conn *conn, char *ret, size_t size)
{
	char name[16] = "";
	socklen_t length = sizeof(name) - 1;
	int fd;

	if (uv_fileno((const uv_handle_t *)&conn->tcp, &fd) != 0 ||
		getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) != 0)
		name[0] = '\0';
	snprintf(ret, size, "%s", name);
}

struct tls *conn_tls(struct conn *conn)
{
	return conn->tls;
}

void conn_set_data(struct conn *conn, void *data)
{
	conn->data = data;
}

void *conn_data(const struct conn *conn)
{
	return conn->data;
}
