/*
 * wire: one blocking TLS connection as a client, with messages framed as u32be length || message.
 * Every wait ends at a deadline. The peer is anybody until the caller has judged it.
 */
#ifndef CLI_WIRE_H
#define CLI_WIRE_H

#include "certs/tls.h"
#include "node/config.h"
#include "proto/frame.h"

enum { WIRE_CONNECT_S = 10, WIRE_ANSWER_S = 60 };

struct wire {
	int fd;
	struct tls *tls;
	struct frame_reader reader;
	struct buf plain;
	int64_t deadline_ms; /* monotonic; of what is under way */
	const char *address; /* borrowed, for messages */
};

/* Connects and handshakes. ERR_UNREACHABLE: nobody there, or not in time. ERR_UNTRUSTED: TLS
 * refused, such as when it speaks no such protocol. */
enum err wire_open(
	struct wire *wire, const char *address, const char *alpn, struct errctx *ctx) MUST_USE;
void wire_close(struct wire *wire); /* also when open failed; zeroed ones are fine */

/* One message, a view valid until the next call. ERR_CLOSED, ERR_TIMEOUT, ERR_LIMIT.. */
enum err wire_receive(struct wire *wire, struct bytes *ret, struct errctx *ctx) MUST_USE;
/* Sends a packed message behind its length. */
enum err wire_send(struct wire *wire, struct bytes message, struct errctx *ctx) MUST_USE;

#endif
