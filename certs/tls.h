/*
 * tls: one TLS 1.3 connection over memory: bytes from the wire in, bytes for the wire out. It does
 * no I/O: server/net moves the bytes with libuv, the command line with a plain socket.
 *
 * TLS 1.3 only; no tickets, no session cache, no early data, no renegotiation. Both sides present a
 * certificate, but for the join protocol, where the joiner has none yet and judges the server by
 * the directory after the handshake. A peer's certificate must chain to the network's root with the
 * right key usage; dates alone do not refuse it (they are reported). Whether the directory lists it
 * is asked through the judge, before the handshake completes on our side. A client's handshake
 * returns before the server has judged it: nothing counts before the peer's Hello.
 *
 * The join protocol alone permits a client without a certificate, and only where the server's list
 * has it; there no client is asked for one. A server takes the first protocol of its list that the
 * client offers, joining last; a client that offers none of them is refused.
 *
 * A context is immutable after tls_context_new and may be shared by threads; a connection belongs
 * to one thread. The judge runs on the thread of the connection.
 */
#ifndef CERTS_TLS_H
#define CERTS_TLS_H

#include "base/buf.h"
#include "base/crypto.h"
#include "certs/x509.h"

#define TLS_ALPN_SAUTI "sauti/1"
#define TLS_ALPN_JOIN  "sauti-join/1"

struct tls_context;
struct tls;

/* Called once per connection with the verified chain's leaf. Returns OK to accept, or an error
 * whose text in ctx is the reason for the log. expired: a date check failed and nothing else. */
typedef enum err (*tls_judge)(
	void *arg, const struct certificate_info *peer, bool expired, struct errctx *ctx);

struct tls_opts {
	struct bytes key;      /* PKCS#8 DER; empty only for a joiner */
	struct bytes chain[2]; /* node, issuing: DER; empty for a joiner */
	struct bytes root; /* DER; empty only for a joiner, who then accepts any server, has no key
			    * and speaks nothing but TLS_ALPN_JOIN */
	const char *const *alpns; /* accepted as server, offered as client; NULL-terminated; a
				   * joiner's is TLS_ALPN_JOIN alone */
	tls_judge judge;          /* may be NULL: the chain decides; NULL for a joiner */
	void *judge_arg;          /* outlives the context and its connections */
};
/* Copies what it needs. ERR_INVALID for options that do not fit together (a key that is not the
 * certificate's, some certificates but not all), ERR_MALFORMED or ERR_LIMIT for a certificate. */
enum err tls_context_new(
	const struct tls_opts *opts, struct tls_context **ret, struct errctx *ctx) MUST_USE;
void tls_context_free(struct tls_context *context); /* connections hold their own reference */

enum tls_side { TLS_CLIENT, TLS_SERVER };
/* ERR_INVALID for a server without a key. A client's first bytes are there after a tls_step. */
enum err tls_new(struct tls_context *context, enum tls_side side, struct tls **ret) MUST_USE;
void tls_free(struct tls *tls);

/* Copies bytes from the wire into the connection. Then call tls_step. ERR_LIMIT, with nothing
 * taken, when over 2 * LIMIT_SEND_QUEUE would wait there. */
enum err tls_feed(struct tls *tls, struct bytes wire) MUST_USE;

/* Handshakes as far as it can, and appends decrypted bytes to plain. OK, ERR_AGAIN never: an OK
 * with nothing appended means more input is needed. ERR_CLOSED after the peer's close_notify;
 * ERR_UNTRUSTED when a side refused the other, the reason in ctx (a received TLS alert is named);
 * ERR_CRYPTO for a broken protocol. After these errors every step says the same again and only
 * tls_pull and tls_free are useful: the alert for the peer may be waiting. plain at its max with
 * more to come: ERR_LIMIT; nothing is lost, the rest comes with the next step that has room.
 * The end of the stream without close_notify is the caller's to see: the peer, or somebody on the
 * way, cut the connection, and what came before is whole and authentic but may not be all. */
enum err tls_step(struct tls *tls, struct buf *plain, struct errctx *ctx) MUST_USE;

bool tls_ready(const struct tls *tls); /* the handshake is done on our side */

/* Encrypts all of plain into the outgoing bytes, in records of 16 KiB; only when ready. ERR_LIMIT,
 * with nothing written, when over 2 * LIMIT_SEND_QUEUE outgoing bytes would wait; ERR_CLOSED after
 * tls_close. Each call makes at least one record: gather small messages before. */
enum err tls_write(struct tls *tls, struct bytes plain) MUST_USE;
/* Queues close_notify (nothing during the handshake). Reading goes on until the peer's comes. */
void tls_close(struct tls *tls);
/* Appends the outgoing bytes to wire and forgets them: drain after every other call. A wire without
 * memory of its own takes over the connection's instead of a copy. On an error they stay. */
enum err tls_pull(struct tls *tls, struct buf *wire) MUST_USE;

/* Gives back the memory of buffers that hold nothing now: for a connection that is at rest. How
 * many bytes those were. */
size_t tls_rest(struct tls *tls);

/* After ready: the peer's leaf (zeroed and false when it sent none), the ALPN ("" if none). */
bool tls_peer(const struct tls *tls, struct certificate_info *ret);
const char *tls_alpn(const struct tls *tls);
/* RFC 8446 7.5 exporter without context: size bytes for the label. */
enum err tls_export(struct tls *tls, const char *label, uint8_t *ret, size_t size) MUST_USE;

#endif
