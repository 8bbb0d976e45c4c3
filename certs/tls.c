/*
 * The happy path: tls_step drives SSL_do_handshake over a BIO whose two ends are the buffers `in`
 * and `out`. Within it, in this order,
 *
 *   server  on_client_hello   demands a client certificate again (there may be a second hello)
 *           on_alpn           chooses the protocol; the join protocol alone lifts that demand.
 *                             TLS 1.3 sends its CertificateRequest after this
 *   both    on_certificate    verifies the peer's chain, forgives dates only, asks the judge
 *   both    handshake_check   the protocol is one of ours, and whoever must be known is known
 *
 * What goes wrong is kept in tls->failed and tls->reason and said again by every later step:
 *
 *   we refuse the peer         ERR_UNTRUSTED  our alert waits in `out`
 *   the peer refuses us        ERR_UNTRUSTED  its alert is named
 *   bytes that are not TLS     ERR_CRYPTO     our alert waits in `out`
 *   close_notify               ERR_CLOSED     ours waits in `out`
 *
 * The one clock behind this file is OpenSSL's own look at the time when it verifies a chain, and it
 * decides nothing but `expired`.
 */
#include "certs/tls.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"

enum {
	RECORD_SIZE = 16 * 1024, /* plaintext in one record (RFC 8446 5.1) */
	RECORD_OVERHEAD = 22,    /* header 5, type 1, tag 16 */
	/* Either way: a full send queue, sealed, and as much again for what is under way. */
	QUEUE_MAX = 2 * LIMIT_SEND_QUEUE,
	QUEUE_KEPT = 64 * 1024, /* a drained queue keeps no more memory than this */
	INTERMEDIATES_MAX = 1,  /* node, issuing, root */
	SECURITY_LEVEL = 2,
};

/* Both sides are Sauti, so few are enough; and a stranger must not choose the finite-field groups
 * of OpenSSL's own list, whose arithmetic costs a small server dearly. */
#define GROUPS "X25519:P-256"

struct tls_context {
	atomic_uint references;
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	char **alpns; /* NULL-terminated */
	bool has_identity;
	tls_judge judge;
	void *judge_arg;
};

struct tls {
	struct tls_context *context;
	SSL *ssl;
	enum tls_side side;
	struct buf in, out; /* bytes from and for the wire */
	size_t in_at;       /* of `in`, already taken by OpenSSL */
	bool ready, closing;
	bool expired;         /* a date check failed */
	bool refused;         /* we refuse the peer; why is in reason */
	enum err refused_err; /* ERR_UNTRUSTED, or ERR_NOMEM when we could not judge */
	bool has_peer;
	struct certificate_info peer;
	const char *alpn; /* in the context's list */
	enum err failed;
	struct errctx reason;
};

/* ---- the BIO between OpenSSL and the buffers ---- */

static int bio_read(BIO *bio, char *data, int size)
{
	struct tls *tls = BIO_get_data(bio);
	size_t left = tls->in.size - tls->in_at;
	size_t n = left < (size_t)size ? left : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(data, tls->in.data + tls->in_at, n);
	tls->in_at += n;
	return (int)n;
}

/* Never asks for a retry: a buffer that cannot grow ends the connection. */
static int bio_write(BIO *bio, const char *data, int size)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	buf_put(&tls->out, bytes_make(data, (size_t)size));
	return tls->out.err == OK ? size : -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sauti buffers");

	if (method != NULL && BIO_meth_set_read(method, bio_read) == 1 &&
		BIO_meth_set_write(method, bio_write) == 1 &&
		BIO_meth_set_ctrl(method, bio_ctrl) == 1)
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* A buffer that was emptied gives back what one burst made of it. */
static void queue_reset(struct buf *queue)
{
	if (queue->capacity > QUEUE_KEPT)
		buf_release(queue);
	else
		buf_clear(queue);
}

/* ---- judging the peer ---- */

/* Notes why we refuse; the first reason stays. Returns 0, which tells OpenSSL to fail. */
__attribute__((format(printf, 2, 3))) static int refuse(struct tls *tls, const char *format, ...)
{
	va_list args;

	if (tls->refused)
		return 0;
	tls->refused = true;
	tls->refused_err = ERR_UNTRUSTED;
	va_start(args, format);
	vsnprintf(tls->reason.text, sizeof(tls->reason.text), format, args);
	va_end(args);
	return 0;
}

static struct tls *tls_of(SSL *ssl)
{
	struct tls *tls = SSL_get_app_data(ssl);

	assert(tls != NULL);
	return tls;
}

static struct tls *tls_of_store(X509_STORE_CTX *store)
{
	return tls_of(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
}

/* Called for each doubt about the chain. A dead clock battery or a dark year must not lock an
 * office out (DESIGN 7), so dates, and dates alone, are forgiven and remembered. */
static int on_doubt(int ok, X509_STORE_CTX *store)
{
	struct tls *tls = tls_of_store(store);
	int doubt = X509_STORE_CTX_get_error(store);

	if (ok == 1)
		return 1;
	if (doubt == X509_V_ERR_CERT_HAS_EXPIRED || doubt == X509_V_ERR_CERT_NOT_YET_VALID) {
		tls->expired = true;
		return 1;
	}
	return refuse(tls, "certificate refused: %s (number %d of the chain)",
		X509_verify_cert_error_string(doubt), X509_STORE_CTX_get_error_depth(store));
}

/* OpenSSL's purpose check lets a leaf without any extended key usage serve for everything, a CA
 * serve as a leaf, and a server do without digitalSignature. NULL: nothing to say. */
static const char *leaf_fault(X509 *leaf)
{
	uint32_t flags = X509_get_extension_flags(leaf);

	if ((flags & EXFLAG_XKUSAGE) == 0)
		return "it names no extended key usage";
	if ((flags & EXFLAG_CA) != 0)
		return "it is that of a CA";
	/* RFC 8446 4.4.2.2; OpenSSL also takes a server's for key transport, which TLS 1.3 has not.
	 */
	if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		return "it is not for signing";
	return NULL;
}

static bool chain_verify(struct tls *tls, X509_STORE_CTX *store)
{
	const char *fault;

	X509_STORE_CTX_set_verify_cb(store, on_doubt);
	if (X509_verify_cert(store) != 1) {
		refuse(tls, "certificate refused: %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
		return false;
	}
	fault = leaf_fault(X509_STORE_CTX_get0_cert(store));
	if (fault != NULL) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		refuse(tls, "certificate refused: %s", fault);
		return false;
	}
	return true;
}

static enum err leaf_read(X509 *leaf, struct certificate_info *ret, struct errctx *ctx)
{
	unsigned char *der = NULL;
	int size = i2d_X509(leaf, &der);
	enum err err;

	if (size <= 0)
		return err_set(ctx, ERR_CRYPTO, "certificate refused: it cannot be encoded");
	err = certificate_read(bytes_make(der, (size_t)size), ret, ctx);
	OPENSSL_free(der);
	return err;
}

/* The judge's view. What it says is the reason; without words, what its code means. */
static bool peer_judge(struct tls *tls, const struct certificate_info *peer)
{
	struct tls_context *context = tls->context;
	struct errctx ctx = {""};
	enum err err;

	if (context->judge == NULL)
		return true;
	err = context->judge(context->judge_arg, peer, tls->expired, &ctx);
	if (err == OK)
		return true;
	refuse(tls, "%s", err_message(&ctx, err));
	if (err == ERR_NOMEM)
		tls->refused_err = err;
	return false;
}

/* In place of X509_verify_cert: called once, when the peer's certificates are there. OpenSSL has
 * set the purpose by the side it is on, and makes the alert from the error left in the store. */
static int on_certificate(X509_STORE_CTX *store, void *arg)
{
	struct tls *tls = tls_of_store(store);
	struct certificate_info peer;
	struct errctx ctx = {""};

	if (tls->context->has_identity && !chain_verify(tls, store)) {
		if (X509_STORE_CTX_get_error(store) == X509_V_OK)
			X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
		return 0;
	}
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	if (leaf_read(X509_STORE_CTX_get0_cert(store), &peer, &ctx) != OK)
		return refuse(tls, "%s", ctx.text);
	if (!peer_judge(tls, &peer))
		return 0;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	tls->peer = peer;
	tls->has_peer = true;
	return 1;
}

/* ---- choosing the protocol (server) ---- */

static void certificate_demand(SSL *ssl, bool demand)
{
	SSL_set_verify(ssl,
		demand ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, NULL);
}

/*
 * Runs for every client hello, also for the second one after a HelloRetryRequest, which may offer
 * something else than the first: nothing that the first one was allowed may stay.
 */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *tls = tls_of(ssl);
	const unsigned char *offer;
	size_t size;

	certificate_demand(ssl, true);
	if (SSL_client_hello_get0_ext(
		    ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offer, &size) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	refuse(tls, "peer names no protocol (ALPN)");
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

/* offer: u8 length, name, and so on; OpenSSL has checked the form. */
static bool alpn_offered(struct bytes offer, const char *name)
{
	for (size_t at = 0; at < offer.size; at += (size_t)1 + offer.data[at]) {
		size_t size = offer.data[at];

		if (size > offer.size - at - 1)
			return false;
		if (bytes_equal_str(bytes_make(offer.data + at + 1, size), name))
			return true;
	}
	return false;
}

static bool alpn_is_join(const char *alpn)
{
	return strcmp(alpn, TLS_ALPN_JOIN) == 0;
}

/* The first of ours that the client offers; joining comes last, whatever the order of the list, so
 * that who could show a certificate is asked for it. */
static const char *alpn_choose(const struct tls_context *context, struct bytes offer)
{
	const char *join = NULL;

	for (size_t i = 0; context->alpns[i] != NULL; i++) {
		if (!alpn_offered(offer, context->alpns[i]))
			continue;
		if (!alpn_is_join(context->alpns[i]))
			return context->alpns[i];
		join = context->alpns[i];
	}
	return join;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
	const unsigned char *in, unsigned int in_size, void *arg)
{
	struct tls *tls = tls_of(ssl);
	const char *alpn = alpn_choose(tls->context, bytes_make(in, in_size));

	if (alpn == NULL) {
		refuse(tls, "peer offers no protocol that is accepted here (ALPN)");
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	certificate_demand(ssl, !alpn_is_join(alpn));
	*out = (const unsigned char *)alpn;
	*out_size = (unsigned char)strlen(alpn);
	return SSL_TLSEXT_ERR_OK;
}

/* ---- the context ---- */

static enum err context_failed(struct errctx *ctx, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = ERR_reason_error_string(code);

	err_set(ctx, ERR_CRYPTO, "TLS context: %s: %s", what, why != NULL ? why : "failed");
	ERR_clear_error();
	return ERR_CRYPTO;
}

/* All of an identity and a root, or nothing and the join protocol only: no context accepts a server
 * that it cannot verify under any other protocol. */
static enum err opts_check(const struct tls_opts *opts, struct errctx *ctx)
{
	bool all = opts->key.size > 0 && opts->chain[0].size > 0 && opts->chain[1].size > 0 &&
		   opts->root.size > 0;
	bool none = opts->key.size == 0 && opts->chain[0].size == 0 && opts->chain[1].size == 0 &&
		    opts->root.size == 0;

	if (!all && !none)
		return err_set(ctx, ERR_INVALID,
			"TLS context: key, both certificates and root are needed, or none of them");
	if (opts->alpns == NULL || opts->alpns[0] == NULL)
		return err_set(ctx, ERR_INVALID, "TLS context: no protocol (ALPN) is given");
	for (size_t i = 0; opts->alpns[i] != NULL; i++) {
		size_t size = strlen(opts->alpns[i]);

		if (size == 0 || size > UINT8_MAX)
			return err_set(ctx, ERR_INVALID,
				"TLS context: a protocol name (ALPN) has 1 to 255 bytes");
		if (none && !alpn_is_join(opts->alpns[i]))
			return err_set(ctx, ERR_INVALID,
				"TLS context: without certificates only '%s' is possible",
				TLS_ALPN_JOIN);
	}
	if (none && opts->judge != NULL)
		return err_set(
			ctx, ERR_INVALID, "TLS context: there is nothing to judge without a root");
	return OK;
}

static enum err alpns_copy(struct tls_context *context, const char *const *alpns)
{
	size_t count = 0;

	while (alpns[count] != NULL)
		count++;
	context->alpns = mem_array(count + 1, sizeof(*context->alpns));
	if (context->alpns == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		context->alpns[i] = mem_strdup(alpns[i]);
		if (context->alpns[i] == NULL)
			return ERR_NOMEM;
	}
	return OK;
}

static enum err context_alpns(
	struct tls_context *context, const char *const *alpns, struct errctx *ctx)
{
	struct buf offer;
	int failed;

	TRY(alpns_copy(context, alpns));
	buf_init(&offer, UINT16_MAX - 2);
	for (size_t i = 0; alpns[i] != NULL; i++) {
		buf_put_u8(&offer, (uint8_t)strlen(alpns[i]));
		buf_put_str(&offer, alpns[i]);
	}
	if (offer.err != OK) {
		enum err err = offer.err;

		buf_release(&offer);
		return err_set(ctx, err, "TLS context: protocol names (ALPN)");
	}
	/* Unlike its neighbours it returns 0 for success. */
	failed = SSL_CTX_set_alpn_protos(context->ssl, offer.data, (unsigned)offer.size);
	buf_release(&offer);
	if (failed != 0)
		return context_failed(ctx, "protocol names (ALPN)");
	SSL_CTX_set_alpn_select_cb(context->ssl, on_alpn, NULL);
	SSL_CTX_set_client_hello_cb(context->ssl, on_client_hello, NULL);
	return OK;
}

static enum err certificate_load(struct bytes der, const char *what, X509 **ret, struct errctx *ctx)
{
	struct certificate_info info;
	const uint8_t *at = der.data;
	enum err err = certificate_read(der, &info, ctx);

	if (err != OK)
		return err_wrap(ctx, err, "TLS context: %s", what);
	*ret = d2i_X509(NULL, &at, (long)der.size);
	return *ret != NULL ? OK : context_failed(ctx, what);
}

static enum err context_root(struct tls_context *context, struct bytes der, struct errctx *ctx)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
	X509 *root;
	int ok;

	TRY(certificate_load(der, "root certificate", &root, ctx));
	ok = X509_STORE_add_cert(store, root);
	X509_free(root);
	return ok == 1 ? OK : context_failed(ctx, "root certificate");
}

static enum err context_chain(
	struct tls_context *context, const struct bytes chain[2], struct errctx *ctx)
{
	X509 *cert;
	int ok;

	TRY(certificate_load(chain[0], "node certificate", &cert, ctx));
	ok = SSL_CTX_use_certificate(context->ssl, cert);
	X509_free(cert);
	if (ok != 1)
		return context_failed(ctx, "node certificate");
	TRY(certificate_load(chain[1], "issuing certificate", &cert, ctx));
	ok = (int)SSL_CTX_add1_chain_cert(context->ssl, cert);
	X509_free(cert);
	return ok == 1 ? OK : context_failed(ctx, "issuing certificate");
}

static enum err context_key(struct tls_context *context, struct bytes key, struct errctx *ctx)
{
	if (key.size > LIMIT_CERTIFICATE_SIZE ||
		SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context->ssl, key.data, (long)key.size) !=
			1 ||
		SSL_CTX_check_private_key(context->ssl) != 1) {
		ERR_clear_error();
		return err_set(ctx, ERR_INVALID,
			"TLS context: the private key is none, or not the node certificate's");
	}
	return OK;
}

static bool context_settings(SSL_CTX *ssl)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* SSL_MODE_NO_AUTO_CHAIN: what is sent is what was given. RELEASE_BUFFERS: hundreds of idle
	 * sessions share a small machine. */
	SSL_CTX_set_mode(ssl, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
	SSL_CTX_set_verify_depth(ssl, INTERMEDIATES_MAX);
	SSL_CTX_set_max_cert_list(ssl, 2 * LIMIT_CERTIFICATE_SIZE);
	/* On either side the demand stands from the start; on_alpn alone lifts it. */
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, on_certificate, NULL);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set1_groups_list(ssl, GROUPS) == 1 && SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
	       SSL_CTX_set_max_early_data(ssl, 0) == 1 &&
	       X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_X509_STRICT) == 1;
}

static enum err context_fill(
	struct tls_context *context, const struct tls_opts *opts, struct errctx *ctx)
{
	context->bio = bio_method_new();
	context->ssl = SSL_CTX_new(TLS_method());
	if (context->bio == NULL || context->ssl == NULL || !context_settings(context->ssl))
		return context_failed(ctx, "settings");
	TRY(context_alpns(context, opts->alpns, ctx));
	if (!context->has_identity)
		return OK;
	TRY(context_root(context, opts->root, ctx));
	TRY(context_chain(context, opts->chain, ctx));
	return context_key(context, opts->key, ctx);
}

enum err tls_context_new(const struct tls_opts *opts, struct tls_context **ret, struct errctx *ctx)
{
	struct tls_context *context;
	enum err err;

	TRY(opts_check(opts, ctx));
	ERR_clear_error();
	context = mem_zalloc(sizeof(*context));
	if (context == NULL)
		return ERR_NOMEM;
	atomic_init(&context->references, 1);
	context->has_identity = opts->root.size > 0;
	context->judge = opts->judge;
	context->judge_arg = opts->judge_arg;
	err = context_fill(context, opts, ctx);
	if (err != OK) {
		tls_context_free(context);
		return err;
	}
	*ret = context;
	return OK;
}

void tls_context_free(struct tls_context *context)
{
	if (context == NULL || atomic_fetch_sub(&context->references, 1) > 1)
		return;
	SSL_CTX_free(context->ssl);
	BIO_meth_free(context->bio);
	for (size_t i = 0; context->alpns != NULL && context->alpns[i] != NULL; i++)
		mem_free(context->alpns[i]);
	mem_free(context->alpns);
	mem_free(context);
}

/* ---- the connection ---- */

static bool tls_connect_bio(struct tls *tls)
{
	BIO *bio = BIO_new(tls->context->bio);

	if (bio == NULL)
		return false;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio); /* takes the one reference for both directions */
	return true;
}

enum err tls_new(struct tls_context *context, enum tls_side side, struct tls **ret)
{
	struct tls *tls;

	if (side == TLS_SERVER && !context->has_identity)
		return ERR_INVALID;
	ERR_clear_error();
	tls = mem_zalloc(sizeof(*tls));
	if (tls == NULL)
		return ERR_NOMEM;
	atomic_fetch_add(&context->references, 1);
	tls->context = context;
	tls->side = side;
	buf_init(&tls->in, QUEUE_MAX);
	buf_init(&tls->out, QUEUE_MAX);
	tls->ssl = SSL_new(context->ssl);
	if (tls->ssl == NULL || SSL_set_app_data(tls->ssl, tls) != 1 || !tls_connect_bio(tls)) {
		tls_free(tls);
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	if (side == TLS_SERVER)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	*ret = tls;
	return OK;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl); /* with its BIO, which looks at tls no more */
	buf_wipe(&tls->in);
	buf_wipe(&tls->out);
	tls_context_free(tls->context);
	mem_free(tls);
}

enum err tls_feed(struct tls *tls, struct bytes wire)
{
	if (wire.size > QUEUE_MAX - (tls->in.size - tls->in_at))
		return ERR_LIMIT;
	if (tls->in_at == tls->in.size) {
		queue_reset(&tls->in);
	} else if (tls->in_at > 0) {
		memmove(tls->in.data, tls->in.data + tls->in_at, tls->in.size - tls->in_at);
		tls->in.size -= tls->in_at;
	}
	tls->in_at = 0;
	buf_put(&tls->in, wire);
	return tls->in.err;
}

/* ---- failing ---- */

static enum err tls_fail(struct tls *tls, enum err err)
{
	assert(err != OK);
	tls->failed = err;
	ERR_clear_error();
	return err;
}

/* Alerts by which a peer says no to us; the others say that the protocol broke. */
static bool alert_refuses(int alert)
{
	switch (alert) {
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_PROTOCOL_VERSION:
	case SSL_AD_INSUFFICIENT_SECURITY:
	case SSL_AD_CERTIFICATE_REQUIRED:
	case SSL_AD_NO_APPLICATION_PROTOCOL:
	case SSL_AD_USER_CANCELLED:
		return true;
	default:
		return false;
	}
}

/* What we say about a peer that was refused by OpenSSL itself; NULL: not a refusal. */
static const char *refusal_text(int reason)
{
	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return "peer shows no certificate";
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return "peer does not speak TLS 1.3";
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_GROUPS:
		return "peer and we have no algorithm in common";
	default:
		return NULL;
	}
}

/* SSL_ERROR_SSL: the reason is the last entry of the thread's queue. */
static enum err protocol_failed(struct tls *tls)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	const char *text = ERR_reason_error_string(code);

	if (tls->refused)
		return tls_fail(tls, tls->refused_err); /* the text is there already */
	if (reason == ERR_R_MALLOC_FAILURE)
		return tls_fail(tls, ERR_NOMEM);
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
		int alert = reason - SSL_AD_REASON_OFFSET;
		enum err err = alert_refuses(alert) ? ERR_UNTRUSTED : ERR_CRYPTO;

		err_set(&tls->reason, err, "peer ended TLS with alert %d, %s", alert,
			SSL_alert_desc_string_long(alert));
		return tls_fail(tls, err);
	}
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && refusal_text(reason) != NULL) {
		err_set(&tls->reason, ERR_UNTRUSTED, "%s", refusal_text(reason));
		return tls_fail(tls, ERR_UNTRUSTED);
	}
	err_set(&tls->reason, ERR_CRYPTO, "TLS broke: %s", text != NULL ? text : "no reason given");
	return tls_fail(tls, ERR_CRYPTO);
}

/* The one place where a result of SSL_* becomes ours; OK when it only waits for bytes. */
static enum err tls_result(struct tls *tls, int result)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_NONE:
	case SSL_ERROR_WANT_READ:
		return OK;
	case SSL_ERROR_ZERO_RETURN:
		tls_close(tls);
		err_set(&tls->reason, ERR_CLOSED, "closed by the peer");
		return tls_fail(tls, ERR_CLOSED);
	case SSL_ERROR_SSL:
		return protocol_failed(tls);
	default:
		/* Only our own BIO can be behind this. */
		return tls_fail(tls, tls->out.err != OK ? tls->out.err : ERR_CRYPTO);
	}
}

/* ---- moving ---- */

/* The peer's choice must be one of ours; not every OpenSSL 3 looks at what a server says. */
static const char *alpn_chosen(const struct tls *tls)
{
	const unsigned char *name;
	unsigned size;

	SSL_get0_alpn_selected(tls->ssl, &name, &size);
	for (size_t i = 0; tls->context->alpns[i] != NULL; i++) {
		if (bytes_equal_str(bytes_make(name, size), tls->context->alpns[i]))
			return tls->context->alpns[i];
	}
	return NULL;
}

/* What must hold at the end of a handshake, asked once more in one place. */
static enum err handshake_check(struct tls *tls)
{
	const char *alpn = alpn_chosen(tls);
	bool anonymous = tls->side == TLS_SERVER && alpn != NULL && alpn_is_join(alpn);

	if (SSL_version(tls->ssl) != TLS1_3_VERSION || SSL_session_reused(tls->ssl))
		refuse(tls, "TLS session is not a fresh one of version 1.3");
	else if (alpn == NULL)
		refuse(tls, "peer chose no protocol that was offered (ALPN)");
	else if (!tls->has_peer && !anonymous)
		refuse(tls, "peer shows no certificate");
	if (tls->refused) {
		tls_close(tls);
		return tls_fail(tls, tls->refused_err);
	}
	tls->alpn = alpn;
	return OK;
}

static enum err handshake_step(struct tls *tls)
{
	int result = SSL_do_handshake(tls->ssl);

	if (result != 1)
		return tls_result(tls, result);
	TRY(handshake_check(tls));
	tls->ready = true;
	return OK;
}

/* One record or a part of one. *ret_more: there may be another. */
static enum err read_step(struct tls *tls, struct buf *plain, bool *ret_more)
{
	size_t room = plain->max - plain->size;
	size_t wanted = room < RECORD_SIZE ? room : RECORD_SIZE;
	uint8_t spare;
	uint8_t *at = &spare;
	int result;

	if (wanted > 0) {
		at = buf_reserve(plain, wanted);
		if (at == NULL)
			return plain->err; /* what is not read yet stays */
	}
	result = wanted > 0 ? SSL_read(tls->ssl, at, (int)wanted) : SSL_peek(tls->ssl, &spare, 1);
	*ret_more = result > 0;
	if (result <= 0)
		return tls_result(tls, result);
	if (wanted == 0)
		return ERR_LIMIT;
	plain->size += (size_t)result;
	return OK;
}

static enum err read_all(struct tls *tls, struct buf *plain)
{
	bool more = true;

	while (more) {
		ERR_clear_error();
		TRY(read_step(tls, plain, &more));
	}
	return OK;
}

enum err tls_step(struct tls *tls, struct buf *plain, struct errctx *ctx)
{
	enum err err = tls->failed;

	if (err == OK) {
		ERR_clear_error();
		if (!tls->ready)
			err = handshake_step(tls);
		if (err == OK && tls->ready)
			err = read_all(tls, plain);
	}
	if (err != OK && err == tls->failed)
		return err_set(ctx, err, "%s", err_message(&tls->reason, err));
	if (err != OK)
		return err_set(ctx, err, "TLS: no room for what was decrypted");
	return OK;
}

bool tls_ready(const struct tls *tls)
{
	return tls->ready;
}

enum err tls_write(struct tls *tls, struct bytes plain)
{
	size_t records = plain.size / RECORD_SIZE + 1;
	size_t written;

	assert(tls->ready);
	if (tls->failed != OK)
		return tls->failed;
	if (tls->closing)
		return ERR_CLOSED;
	/* Checked before anything is encrypted: a part of it would be of no use to anybody. One
	 * record more than needed, for a key update that the peer asked for. */
	if (plain.size > QUEUE_MAX ||
		plain.size + (records + 1) * RECORD_OVERHEAD + RECORD_OVERHEAD >
			QUEUE_MAX - tls->out.size)
		return ERR_LIMIT;
	if (plain.size == 0)
		return OK;
	ERR_clear_error();
	if (SSL_write_ex(tls->ssl, plain.data, plain.size, &written) == 1) {
		assert(written == plain.size);
		return OK;
	}
	TRY(tls_result(tls, 0));
	return tls_fail(tls, ERR_CRYPTO); /* a BIO that never waits cannot make it wait */
}

void tls_close(struct tls *tls)
{
	if (tls->closing || tls->failed != OK)
		return;
	tls->closing = true;
	if (!SSL_is_init_finished(tls->ssl))
		return; /* there is no session to end */
	ERR_clear_error();
	SSL_shutdown(tls->ssl); /* 0 or 1; a buffer that cannot grow shows in tls_pull */
	ERR_clear_error();
}

enum err tls_pull(struct tls *tls, struct buf *wire)
{
	if (tls->out.err != OK)
		return tls->out.err;
	if (wire->err != OK)
		return wire->err;
	if (tls->out.size == 0)
		return OK;
	if (wire->data == NULL && tls->out.size <= wire->max) {
		/* The usual case, a fresh buffer for each write: it takes the memory over. */
		size_t max = wire->max;

		*wire = tls->out;
		wire->max = max;
		buf_init(&tls->out, QUEUE_MAX);
		return OK;
	}
	buf_put(wire, buf_bytes(&tls->out));
	if (wire->err != OK)
		return wire->err;
	queue_reset(&tls->out);
	return OK;
}

size_t tls_rest(struct tls *tls)
{
	size_t freed = 0;

	if (tls->in_at == tls->in.size && tls->in.err == OK) {
		freed += tls->in.capacity;
		buf_release(&tls->in);
		tls->in_at = 0;
	}
	if (tls->out.size == 0 && tls->out.err == OK) {
		freed += tls->out.capacity;
		buf_release(&tls->out);
	}
	return freed;
}

bool tls_peer(const struct tls *tls, struct certificate_info *ret)
{
	*ret = (struct certificate_info){0};
	if (!tls->ready || !tls->has_peer)
		return false;
	*ret = tls->peer;
	return true;
}

const char *tls_alpn(const struct tls *tls)
{
	return tls->ready ? tls->alpn : "";
}

enum err tls_export(struct tls *tls, const char *label, uint8_t *ret, size_t size)
{
	if (!tls->ready)
		return ERR_INVALID;
	ERR_clear_error();
	if (SSL_export_keying_material(tls->ssl, ret, size, label, strlen(label), NULL, 0, 0) !=
		1) {
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	return OK;
}
