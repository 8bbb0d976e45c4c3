/*
 * wire: one blocking TLS connection as a client, with messages framed as u32be length || message.
 * Every wait ends at a deadline. The peer is anybody until the caller has judged it.
 */
#ifndef CLI_WIRE_H
#define CLI_WIRE_H

#include "certs/tls.h"
#include "node/config.h"
#include "proto/frame.h"

enum { WIRE_CONNECT_S = 60, WIRE_ANSWER_S = 60 };

struct wire {
	int fd;
	struct tls *tls;
	struct frame_reader reader;
	struct buf plain;
	int64_t deadline_ms; /* monotonic; of what is under way */
	const char *address; /* borrowed, for messages */
};

struct wire_target {
	const char *address;      /* numeric; borrowed until wire_close */
	const char *proxy;        /* an HTTP proxy that is asked for a tunnel there; "": none */
	struct bytes credentials; /* for it, USER:PASSWORD; empty: none */
};
/* Connects and handshakes. ERR_UNREACHABLE: nobody there, or not in time, or the proxy refuses.
 * ERR_UNTRUSTED: TLS refused, such as when it speaks no such protocol. */
enum err wire_open(struct wire *wire, const struct wire_target *target, const char *alpn,
	struct errctx *ctx) MUST_USE;
void wire_close(struct wire *wire); /* also when open failed; zeroed ones are fine */

/* One message, a view valid until the next call. ERR_CLOSED, ERR_TIMEOUT, ERR_LIMIT.. */
enum err wire_receive(struct wire *wire, struct bytes *ret, struct errctx *ctx) MUST_USE;
/* Sends a packed message behind its length. */
enum err wire_send(struct wire *wire, struct bytes message, struct errctx *ctx) MUST_USE;

#endif
