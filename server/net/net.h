/*
 * net: framed messages over TLS over TCP, on the libuv loop. It knows nothing of what the messages
 * say: it listens, dials, shakes hands, cuts the stream into messages, and keeps deadlines and room
 * for strangers: those from where a member came before (hosts.h) have room of their own. Everything
 * runs on the loop thread; every callback may close any connection.
 *
 * A connection is announced by `up` once TLS is done on our side and, for ALPN sauti/1, the judge
 * of the context accepted the peer. After `up` there is exactly one `down`, also when we close it;
 * without `up` there is `failed` instead. Memory of a connection lives until its last handle is
 * closed; the pointer must not be used after `down` or `failed`.
 */
#ifndef SERVER_NET_NET_H
#define SERVER_NET_NET_H

#include <uv.h>

#include "base/limits.h"
#include "certs/tls.h"

struct net;
struct conn;

struct net_events {
	void (*up)(void *arg, struct conn *conn);
	void (*message)(void *arg, struct conn *conn, struct bytes message);
	/* Of a message that has not all arrived, some more: at most once a second. */
	void (*arriving)(void *arg, struct conn *conn);
	void (*sent)(void *arg, struct conn *conn, size_t size); /* of what conn_send was given */
	void (*down)(void *arg, struct conn *conn, const char *reason);
	/* A handshake or a dial that came to nothing. peer: whom we dialled, "" for inbound. */
	void (*failed)(void *arg, const char *peer, const char *address, const char *reason);
};

struct net_opts {
	uv_loop_t *loop;
	struct tls_context *tls; /* borrowed, outlives the net */
	uint32_t handshake_ms;   /* deadline of strangers; whoever's address is known has longer */
	bool congestion_system;  /* the kernel's default, not BBR */
	struct net_events events;
	void *arg;
};
enum err net_new(const struct net_opts *opts, struct net **ret) MUST_USE;
/* Closes the listener and all connections; `closed` is called when the last handle is gone. */
void net_close(struct net *net, void (*closed)(void *arg), void *arg);
void net_free(struct net *net); /* after closed */

/* Gives back the buffers of connections that have been at rest for a while; now and then. How many
 * bytes those were. */
size_t net_tidy(struct net *net);

/* address: "host:port", numeric, IPv6 in brackets. port 0: chosen by the kernel. ERR_INVALID,
 * ERR_BUSY (port in use), ERR_DENIED, ERR_IO; ctx names the address. ret_port may be NULL. */
enum err net_listen(
	struct net *net, const char *address, uint16_t *ret_port, struct errctx *ctx) MUST_USE;
struct net_target {
	const char *peer;         /* the certificate must name it */
	const char *address;      /* numeric */
	const char *proxy;        /* likewise: an HTTP proxy that is asked for a tunnel; "": none */
	struct bytes credentials; /* for it, USER:PASSWORD; empty: none */
};
/* Ends in up or failed, later. Copies. A proxy that refuses is a failure that names its status. */
enum err net_dial(struct net *net, const struct net_target *target, struct errctx *ctx) MUST_USE;

/* A whole frame, header included; copied. Ignored when the connection is closing. */
void conn_send(struct conn *conn, struct bytes frame);
/* Sends what is queued, says close_notify, closes; `down` follows with this reason. */
void conn_close(struct conn *conn, const char *reason);

/* It is a member's: its address is known from now on. */
void conn_vouch(struct conn *conn);

/* Fixed after up. */
const struct certificate_info *conn_peer(const struct conn *conn); /* NULL: none (join) */
const char *conn_alpn(const struct conn *conn);
bool conn_outgoing(const struct conn *conn);
const char *conn_address(const struct conn *conn);
/* Bytes of TLS, both ways, since the connection was there. */
uint64_t conn_in(const struct conn *conn);
uint64_t conn_out(const struct conn *conn);
/* Of the kernel, for this connection: "bbr", "cubic".. "" when it does not say. */
void conn_congestion(const struct conn *conn, char *ret, size_t size);
struct tls *conn_tls(struct conn *conn);
/* For the owner of the connection. */
void conn_set_data(struct conn *conn, void *data);
void *conn_data(const struct conn *conn);

#endif
