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
 * A context is immutable after tls_context_new and may be shared by threads; a connection belongs
 * to one thread.
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
typedef enum err (*tls_judge)(void *arg, const struct certificate_info *peer, bool expired,
	struct errctx *ctx);

struct tls_opts {
	struct bytes key;     /* PKCS#8 DER; empty only for a joiner */
	struct bytes chain[2]; /* node, issuing: DER; empty for a joiner */
	struct bytes root;    /* DER; empty only for a joiner, who then accepts any server */
	const char *const *alpns; /* accepted as server, offered as client; NULL-terminated */
	tls_judge judge;      /* may be NULL: the chain decides */
	void *judge_arg;
};
enum err tls_context_new(const struct tls_opts *opts, struct tls_context **ret,
	struct errctx *ctx) MUST_USE;
void tls_context_free(struct tls_context *context); /* connections hold their own reference */

enum tls_side { TLS_CLIENT, TLS_SERVER };
enum err tls_new(struct tls_context *context, enum tls_side side, struct tls **ret) MUST_USE;
void tls_free(struct tls *tls);

/* Gives bytes from the wire to the connection. Then call tls_step. */
enum err tls_feed(struct tls *tls, struct bytes wire) MUST_USE;

/* Handshakes as far as it can, and appends decrypted bytes to plain. OK, ERR_AGAIN never: an OK with
 * nothing appended means more input is needed. ERR_CLOSED after the peer's close_notify or end of
 * stream; ERR_UNTRUSTED when a side refused the other, the reason in ctx (a received TLS alert is
 * named); ERR_CRYPTO for a broken protocol. After an error only tls_pull and tls_free are useful:
 * the alert for the peer may be waiting. plain over its max: what was read stays, ERR_LIMIT. */
enum err tls_step(struct tls *tls, struct buf *plain, struct errctx *ctx) MUST_USE;

bool tls_ready(const struct tls *tls); /* the handshake is done on our side */

/* Encrypts all of plain into the outgoing bytes; only when ready. */
enum err tls_write(struct tls *tls, struct bytes plain) MUST_USE;
/* Queues close_notify. */
void tls_close(struct tls *tls);
/* Appends the outgoing bytes to wire and forgets them: drain after every other call. */
enum err tls_pull(struct tls *tls, struct buf *wire) MUST_USE;

/* After ready: the peer's leaf (zeroed and false when it sent none), the ALPN ("" if none). */
bool tls_peer(const struct tls *tls, struct certificate_info *ret);
const char *tls_alpn(const struct tls *tls);
/* RFC 8446 7.5 exporter without context: size bytes for the label. */
enum err tls_export(struct tls *tls, const char *label, uint8_t *ret, size_t size) MUST_USE;

#endif
