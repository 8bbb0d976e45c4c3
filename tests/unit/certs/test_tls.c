/*
 * Two connections back to back in memory, and, where the other side must do what ours never does,
 * plain OpenSSL (struct raw).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/alloc.h"
#include "certs/tls.h"
#include "pki_test.h"

#define NETWORK   "ovra.example"
#define BOTH_EKU  "serverAuth,clientAuth"
#define QUEUE_MAX (2 * LIMIT_SEND_QUEUE) /* as tls.h says */

static const char *const alpns_sauti[] = {TLS_ALPN_SAUTI, NULL};
static const char *const alpns_join[] = {TLS_ALPN_JOIN, NULL};
static const char *const alpns_both[] = {TLS_ALPN_JOIN, TLS_ALPN_SAUTI, NULL};

/* One network with two nodes, made once; now is the real time, which OpenSSL looks at too. */
static struct {
	uint64_t now;
	struct pki pki;
	struct identity hq, haiti;
} net;

/* ---- contexts ---- */

static struct tls_opts opts_of(const struct pki *pki, const struct identity *identity)
{
	return (struct tls_opts){.key = secret_bytes(&identity->key),
		.chain = {buf_bytes(&identity->cert), buf_bytes(&pki->issuing)},
		.root = buf_bytes(&pki->root),
		.alpns = alpns_sauti};
}

static struct tls_context *context_new(const struct tls_opts *opts)
{
	struct tls_context *context;
	struct errctx ctx = {""};

	if (tls_context_new(opts, &context, &ctx) != OK)
		fail_msg("%s", ctx.text);
	return context;
}

static struct tls_context *context_of(const struct identity *identity)
{
	struct tls_opts opts = opts_of(&net.pki, identity);

	return context_new(&opts);
}

static struct tls_context *context_joiner(void)
{
	struct tls_opts opts = {.alpns = alpns_join};

	return context_new(&opts);
}

static struct tls_context *context_alpns(const struct identity *identity, const char *const *alpns)
{
	struct tls_opts opts = opts_of(&net.pki, identity);

	opts.alpns = alpns;
	return context_new(&opts);
}

/* ---- two ends ---- */

struct end {
	struct tls *tls;
	struct buf plain;
	enum err err; /* the first error of a step */
	struct errctx ctx;
};

static void end_init(struct end *end, struct tls_context *context, enum tls_side side)
{
	*end = (struct end){0};
	buf_init(&end->plain, 4 * LIMIT_SEND_QUEUE);
	assert_int_equal(tls_new(context, side, &end->tls), OK);
}

static void end_release(struct end *end)
{
	tls_free(end->tls);
	buf_release(&end->plain);
}

static void end_step(struct end *end)
{
	if (end->err == OK)
		end->err = tls_step(end->tls, &end->plain, &end->ctx);
}

static void end_pull(struct end *end, struct buf *wire)
{
	buf_init(wire, SIZE_MAX / 2);
	assert_int_equal(tls_pull(end->tls, wire), OK);
}

/* Moves what waits, in pieces of at most `piece` bytes; says how much it was. */
static size_t end_move(struct end *from, struct end *to, size_t piece)
{
	struct buf wire;
	size_t size;

	end_pull(from, &wire);
	size = wire.size;
	for (size_t at = 0; at < size && to->err == OK; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		assert_int_equal(tls_feed(to->tls, bytes_make(wire.data + at, n)), OK);
		end_step(to);
	}
	buf_release(&wire);
	return size;
}

struct pair {
	struct end client, server;
};

static void pair_run(struct pair *pair, size_t piece)
{
	size_t moved;

	do {
		end_step(&pair->client);
		end_step(&pair->server);
		moved = end_move(&pair->client, &pair->server, piece);
		moved += end_move(&pair->server, &pair->client, piece);
	} while (moved > 0);
}

/* Gives the contexts away. */
static void pair_init(struct pair *pair, struct tls_context *client, struct tls_context *server)
{
	end_init(&pair->client, client, TLS_CLIENT);
	end_init(&pair->server, server, TLS_SERVER);
	tls_context_free(client);
	tls_context_free(server); /* the connections hold their own references */
}

static void pair_release(struct pair *pair)
{
	end_release(&pair->client);
	end_release(&pair->server);
}

static void pair_start(struct pair *pair, struct tls_context *client, struct tls_context *server)
{
	pair_init(pair, client, server);
	pair_run(pair, SIZE_MAX);
}

static void pair_ready(struct pair *pair)
{
	if (pair->client.err != OK || pair->server.err != OK)
		fail_msg("client: %s; server: %s", err_message(&pair->client.ctx, pair->client.err),
			err_message(&pair->server.ctx, pair->server.err));
	assert_true(tls_ready(pair->client.tls));
	assert_true(tls_ready(pair->server.tls));
}

/* A pair of the usual nodes that is ready. */
static void pair_usual(struct pair *pair)
{
	pair_start(pair, context_of(&net.haiti), context_of(&net.hq));
	pair_ready(pair);
}

static void said(const struct end *end, enum err err, const char *part)
{
	if (end->err != err || strstr(end->ctx.text, part) == NULL)
		fail_msg("expected %s with '%s', got %s with '%s'", err_name(err), part,
			end->err == OK ? "OK" : err_name(end->err), end->ctx.text);
}

static void end_write(struct end *end, struct bytes plain)
{
	assert_int_equal(tls_write(end->tls, plain), OK);
}

static void pattern(uint8_t *data, size_t size, unsigned seed)
{
	uint32_t x = seed * 2654435761U + 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
}

/* ---- plain OpenSSL as the other end ---- */

struct raw {
	SSL_CTX *context;
	SSL *ssl;
	BIO *in, *out;
	unsigned tickets;
	int error; /* of SSL_get_error, 0 while well */
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct raw *raw = SSL_get_app_data(ssl);

	raw->tickets++;
	return 0;
}

/* No identity unless given. Trusts everybody. */
static void raw_init(struct raw *raw, enum tls_side side, const struct identity *identity)
{
	*raw = (struct raw){.context = SSL_CTX_new(TLS_method())};
	assert_non_null(raw->context);
	SSL_CTX_set_session_cache_mode(raw->context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(raw->context, on_session);
	if (identity != NULL) {
		EVP_PKEY *key = raw_key(secret_bytes(&identity->key));
		X509 *cert = raw_x509(buf_bytes(&identity->cert));
		X509 *issuing = raw_x509(buf_bytes(&net.pki.issuing));

		assert_int_equal(SSL_CTX_use_certificate(raw->context, cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(raw->context, key), 1);
		SSL_CTX_add1_chain_cert(raw->context, issuing);
		X509_free(issuing);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
	raw->ssl = SSL_new(raw->context);
	raw->in = BIO_new(BIO_s_mem());
	raw->out = BIO_new(BIO_s_mem());
	SSL_set_bio(raw->ssl, raw->in, raw->out);
	SSL_set_app_data(raw->ssl, raw);
	if (side == TLS_CLIENT)
		SSL_set_connect_state(raw->ssl);
	else
		SSL_set_accept_state(raw->ssl);
}

static void raw_release(struct raw *raw)
{
	SSL_free(raw->ssl);
	SSL_CTX_free(raw->context);
	ERR_clear_error();
}

static void raw_offer(struct raw *raw, const char *const *alpns)
{
	uint8_t offer[256];
	size_t size = 0;

	for (size_t i = 0; alpns[i] != NULL; i++) {
		size_t n = strlen(alpns[i]);

		offer[size++] = (uint8_t)n;
		memcpy(offer + size, alpns[i], n);
		size += n;
	}
	assert_int_equal(SSL_set_alpn_protos(raw->ssl, offer, (unsigned)size), 0);
}

static void raw_step(struct raw *raw)
{
	uint8_t data[1000];
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(raw->ssl);
	while (result > 0 && raw->error == 0)
		result = SSL_read(raw->ssl, data, sizeof(data));
	result = SSL_get_error(raw->ssl, result);
	if (result != SSL_ERROR_WANT_READ && result != SSL_ERROR_NONE && raw->error == 0)
		raw->error = result;
	ERR_clear_error();
}

static size_t raw_to_end(struct raw *raw, struct end *end)
{
	char *data;
	long size = BIO_get_mem_data(raw->out, &data);

	if (size > 0) {
		assert_int_equal(tls_feed(end->tls, bytes_make(data, (size_t)size)), OK);
		BIO_reset(raw->out);
	}
	return (size_t)size;
}

static size_t end_to_raw(struct end *end, struct raw *raw)
{
	struct buf wire;
	size_t size;

	end_pull(end, &wire);
	size = wire.size;
	if (size > 0)
		assert_int_equal(BIO_write(raw->in, wire.data, (int)size), (int)size);
	buf_release(&wire);
	return size;
}

static void raw_run(struct raw *raw, struct end *end)
{
	size_t moved;

	do {
		raw_step(raw);
		moved = raw_to_end(raw, end);
		end_step(end);
		moved += end_to_raw(end, raw);
	} while (moved > 0);
}

static void end_of_raw(struct end *end, struct tls_context *context, enum tls_side side)
{
	end_init(end, context, side);
	tls_context_free(context);
}

/* ---- it works ---- */

static void test_handshake(void **state)
{
	struct certificate_info info;
	struct pair pair;

	pair_usual(&pair);
	assert_string_equal(tls_alpn(pair.client.tls), TLS_ALPN_SAUTI);
	assert_string_equal(tls_alpn(pair.server.tls), TLS_ALPN_SAUTI);
	assert_true(tls_peer(pair.client.tls, &info));
	assert_string_equal(info.network, NETWORK);
	assert_string_equal(info.name, "hq");
	assert_true(hash_equal(&info.spki_sha256, &net.hq.spki_sha256));
	assert_true(tls_peer(pair.server.tls, &info));
	assert_string_equal(info.name, "haiti");
	assert_true(hash_equal(&info.spki_sha256, &net.haiti.spki_sha256));
	pair_release(&pair);
}

static void test_before_ready(void **state)
{
	struct certificate_info info;
	uint8_t key[32];
	struct pair pair;

	pair_init(&pair, context_of(&net.haiti), context_of(&net.hq));
	assert_false(tls_ready(pair.client.tls));
	assert_false(tls_peer(pair.client.tls, &info));
	assert_string_equal(info.name, "");
	assert_string_equal(tls_alpn(pair.client.tls), "");
	assert_int_equal(
		tls_export(pair.client.tls, "EXPERIMENTAL x", key, sizeof(key)), ERR_INVALID);
	pair_release(&pair);
}

static void test_data(void **state)
{
	const size_t size = (size_t)3 * 1024 * 1024 + 12345;
	uint8_t *there = malloc(size), *back = malloc(size);
	struct pair pair;

	pattern(there, size, 1);
	pattern(back, size, 2);
	pair_usual(&pair);
	for (int round = 0; round < 2; round++) {
		end_write(&pair.client, bytes_make(there, size));
		end_write(&pair.server, bytes_make(back, size));
		end_write(&pair.server, BYTES_NONE);
		pair_run(&pair, 65536);
		assert_int_equal(pair.server.plain.size, size);
		assert_memory_equal(pair.server.plain.data, there, size);
		assert_int_equal(pair.client.plain.size, size);
		assert_memory_equal(pair.client.plain.data, back, size);
		buf_clear(&pair.client.plain);
		buf_clear(&pair.server.plain);
	}
	pair_ready(&pair);
	pair_release(&pair);
	free(there);
	free(back);
}

/* Big writes leave in full records: what TLS adds is 22 bytes in 16 KiB. */
static void test_records_full(void **state)
{
	const size_t size = (size_t)1024 * 1024;
	uint8_t *data = calloc(1, size);
	struct pair pair;
	struct buf wire;

	pair_usual(&pair);
	end_write(&pair.client, bytes_make(data, size));
	end_pull(&pair.client, &wire);
	assert_int_equal(wire.size, size + 64 * 22);
	buf_release(&wire);
	pair_release(&pair);
	free(data);
}

static void test_byte_by_byte(void **state)
{
	struct pair pair;

	pair_init(&pair, context_of(&net.haiti), context_of(&net.hq));
	pair_run(&pair, 1);
	pair_ready(&pair);
	end_write(&pair.client, bytes_str("pole pole ndio mwendo"));
	end_write(&pair.client, bytes_str("."));
	pair_run(&pair, 1);
	assert_string_equal(buf_cstr(&pair.server.plain), "pole pole ndio mwendo.");
	pair_release(&pair);
}

static void test_pull_appends(void **state)
{
	struct pair pair;
	struct buf wire, small;
	size_t size;

	pair_usual(&pair);
	end_write(&pair.client, bytes_str("one"));
	buf_init(&small, 10);
	assert_int_equal(tls_pull(pair.client.tls, &small), ERR_LIMIT);
	assert_int_equal(small.size, 0);
	buf_release(&small);
	/* Nothing was lost by that, and what stands in wire stays. */
	buf_init(&wire, 1000);
	buf_put_u8(&wire, 0xee);
	assert_int_equal(tls_pull(pair.client.tls, &wire), OK);
	size = wire.size;
	assert_true(size > 1 + 3);
	assert_int_equal(tls_pull(pair.client.tls, &wire), OK);
	assert_int_equal(wire.size, size);
	assert_int_equal(wire.max, 1000);
	assert_int_equal(tls_feed(pair.server.tls, bytes_make(wire.data + 1, size - 1)), OK);
	end_step(&pair.server);
	assert_string_equal(buf_cstr(&pair.server.plain), "one");
	buf_release(&wire);
	pair_release(&pair);
}

/* At rest at any byte of the wire, on both sides: nothing is lost. */
static void test_rest(void **state)
{
	struct pair pair;
	struct buf wire;

	pair_usual(&pair);
	for (int i = 0; i < 3; i++) {
		buf_clear(&pair.server.plain);
		end_write(&pair.client, bytes_str("haba na haba"));
		tls_rest(pair.client.tls); /* what waits for the wire is no rest */
		end_pull(&pair.client, &wire);
		tls_rest(pair.client.tls);
		for (size_t at = 0; at < wire.size; at++) {
			assert_int_equal(
				tls_feed(pair.server.tls, bytes_make(wire.data + at, 1)), OK);
			tls_rest(pair.server.tls);
			end_step(&pair.server);
			tls_rest(pair.server.tls);
		}
		assert_string_equal(buf_cstr(&pair.server.plain), "haba na haba");
		buf_release(&wire);
	}
	pair_release(&pair);
}

static void test_exporter(void **state)
{
	uint8_t client[32], server[32], other[32];
	struct pair pair, again;

	pair_usual(&pair);
	pair_usual(&again);
	assert_int_equal(tls_export(pair.client.tls, "EXPERIMENTAL sauti join 1", client, 32), OK);
	assert_int_equal(tls_export(pair.server.tls, "EXPERIMENTAL sauti join 1", server, 32), OK);
	assert_memory_equal(client, server, 32);
	assert_int_equal(tls_export(pair.client.tls, "EXPERIMENTAL sauti join 2", other, 32), OK);
	assert_memory_not_equal(client, other, 32);
	assert_int_equal(tls_export(again.client.tls, "EXPERIMENTAL sauti join 1", other, 32), OK);
	assert_memory_not_equal(client, other, 32);
	pair_release(&pair);
	pair_release(&again);
}

static void *handshakes(void *arg)
{
	struct tls_context **contexts = arg;

	for (int i = 0; i < 5; i++) {
		struct pair pair;

		end_init(&pair.client, contexts[0], TLS_CLIENT);
		end_init(&pair.server, contexts[1], TLS_SERVER);
		pair_run(&pair, SIZE_MAX);
		pair_ready(&pair);
		pair_release(&pair);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct tls_context *contexts[] = {context_of(&net.haiti), context_of(&net.hq)};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, handshakes, contexts), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	tls_context_free(contexts[0]);
	tls_context_free(contexts[1]);
}

/* ---- the end ---- */

static void test_close(void **state)
{
	struct pair pair;
	struct buf wire;

	pair_usual(&pair);
	end_write(&pair.client, bytes_str("last words"));
	tls_close(pair.client.tls);
	tls_close(pair.client.tls);
	assert_int_equal(tls_write(pair.client.tls, bytes_str("more")), ERR_CLOSED);
	pair_run(&pair, SIZE_MAX);
	assert_string_equal(buf_cstr(&pair.server.plain), "last words");
	said(&pair.server, ERR_CLOSED, "closed");
	said(&pair.client, ERR_CLOSED, "closed"); /* the server closed in turn */
	assert_int_equal(tls_step(pair.server.tls, &pair.server.plain, NULL), ERR_CLOSED);
	assert_int_equal(tls_write(pair.server.tls, bytes_str("x")), ERR_CLOSED);
	end_pull(&pair.server, &wire);
	assert_int_equal(wire.size, 0);
	pair_release(&pair);
}

static void test_close_early(void **state)
{
	struct pair pair;
	struct buf wire;

	pair_init(&pair, context_of(&net.haiti), context_of(&net.hq));
	tls_close(pair.client.tls);
	end_pull(&pair.client, &wire);
	assert_int_equal(wire.size, 0);
	pair_release(&pair);
}

/* A cut stream is no error here: the caller sees its end, and nothing of the cut record shows. */
static void test_truncated(void **state)
{
	uint8_t data[20000];
	struct pair pair;
	struct buf wire;

	pattern(data, sizeof(data), 3);
	pair_usual(&pair);
	end_write(&pair.client, BYTES_ARRAY(data));
	end_pull(&pair.client, &wire);
	assert_int_equal(tls_feed(pair.server.tls, bytes_make(wire.data, wire.size - 1)), OK);
	end_step(&pair.server);
	assert_int_equal(pair.server.err, OK);
	assert_int_equal(pair.server.plain.size, 16384);
	assert_memory_equal(pair.server.plain.data, data, 16384);
	buf_release(&wire);
	pair_release(&pair);
}

/* ---- at the caps ---- */

static void test_plain_full(void **state)
{
	uint8_t data[100000];
	struct pair pair;
	struct buf small, all, wire;
	struct errctx ctx = {""};
	enum err err;

	pattern(data, sizeof(data), 4);
	pair_usual(&pair);
	buf_init(&small, 1000);
	buf_init(&all, sizeof(data));
	/* exactly full is not over */
	end_write(&pair.client, bytes_make(data, 1000));
	end_pull(&pair.client, &wire);
	assert_int_equal(tls_feed(pair.server.tls, buf_bytes(&wire)), OK);
	buf_release(&wire);
	assert_int_equal(tls_step(pair.server.tls, &small, &ctx), OK);
	assert_int_equal(small.size, 1000);
	assert_int_equal(tls_step(pair.server.tls, &small, &ctx), OK);
	buf_clear(&small);
	/* over: what fits is there, the rest comes when there is room */
	end_write(&pair.client, BYTES_ARRAY(data));
	end_pull(&pair.client, &wire);
	assert_int_equal(tls_feed(pair.server.tls, buf_bytes(&wire)), OK);
	buf_release(&wire);
	do {
		err = tls_step(pair.server.tls, &small, &ctx);
		assert_true(err == OK || err == ERR_LIMIT);
		assert_true(err == OK || small.size == 1000);
		assert_true(small.capacity <= 1001);
		buf_put(&all, buf_bytes(&small));
		buf_clear(&small);
	} while (err == ERR_LIMIT);
	assert_int_equal(all.size, sizeof(data));
	assert_memory_equal(all.data, data, sizeof(data));
	buf_release(&small);
	buf_release(&all);
	pair_release(&pair);
}

static void test_write_full(void **state)
{
	uint8_t *data = calloc(1, QUEUE_MAX + 1);
	struct pair pair;

	pair_usual(&pair);
	assert_int_equal(tls_write(pair.client.tls, bytes_make(data, QUEUE_MAX + 1)), ERR_LIMIT);
	assert_int_equal(tls_write(pair.client.tls, bytes_make(data, QUEUE_MAX)), ERR_LIMIT);
	end_write(&pair.client, bytes_make(data, LIMIT_SEND_QUEUE));
	assert_int_equal(tls_write(pair.client.tls, bytes_make(data, LIMIT_SEND_QUEUE)), ERR_LIMIT);
	/* Refused writes leave no trace. */
	pair_run(&pair, SIZE_MAX);
	assert_int_equal(pair.server.plain.size, LIMIT_SEND_QUEUE);
	end_write(&pair.client, bytes_make(data, LIMIT_SEND_QUEUE));
	pair_run(&pair, SIZE_MAX);
	assert_int_equal(pair.server.plain.size, 2 * LIMIT_SEND_QUEUE);
	pair_ready(&pair);
	pair_release(&pair);
	free(data);
}

static void test_feed_full(void **state)
{
	uint8_t *data = calloc(1, QUEUE_MAX + 1);
	struct pair pair;

	pair_usual(&pair);
	assert_int_equal(tls_feed(pair.server.tls, bytes_make(data, QUEUE_MAX + 1)), ERR_LIMIT);
	assert_int_equal(tls_feed(pair.server.tls, BYTES_NONE), OK);
	end_write(&pair.client, bytes_str("still here"));
	pair_run(&pair, SIZE_MAX);
	assert_string_equal(buf_cstr(&pair.server.plain), "still here");
	assert_int_equal(tls_feed(pair.server.tls, bytes_make(data, QUEUE_MAX)), OK);
	assert_int_equal(tls_feed(pair.server.tls, bytes_make(data, 1)), ERR_LIMIT);
	pair_release(&pair);
	free(data);
}

/* ---- who is refused ---- */

static void refused_pair(struct tls_context *client, struct tls_context *server,
	const char *client_says, const char *server_says)
{
	struct pair pair;

	pair_start(&pair, client, server);
	said(&pair.client, ERR_UNTRUSTED, client_says);
	said(&pair.server, ERR_UNTRUSTED, server_says);
	assert_false(tls_ready(pair.server.tls));
	/* It stays so. */
	assert_int_equal(tls_step(pair.server.tls, &pair.server.plain, NULL), ERR_UNTRUSTED);
	assert_int_equal(tls_step(pair.client.tls, &pair.client.plain, NULL), ERR_UNTRUSTED);
	pair_release(&pair);
}

/* The same names, other keys; also with dates that would be forgiven. */
static void test_wrong_ca(void **state)
{
	const int64_t ages[] = {0, 3 * YEAR, -10 * DAY};

	for (int i = 0; i < 3; i++) {
		uint64_t made = (uint64_t)((int64_t)net.now - ages[i]);
		struct pki other;
		struct identity stranger;
		struct tls_opts opts;

		pki_make(&other, NETWORK, made);
		identity_make(&stranger, &other, "haiti", made);
		opts = opts_of(&other, &stranger);
		opts.root = buf_bytes(&net.pki.root);
		refused_pair(
			context_new(&opts), context_of(&net.hq), "alert", "certificate refused");
		refused_pair(
			context_of(&net.hq), context_new(&opts), "certificate refused", "alert");
		/* Its leaf under our issuing certificate does not help. */
		opts.chain[1] = buf_bytes(&net.pki.issuing);
		refused_pair(
			context_new(&opts), context_of(&net.hq), "alert", "certificate refused");
		identity_release(&stranger);
		pki_release(&other);
	}
}

enum usable { USABLE_NEVER = 0, USABLE_CLIENT = 1, USABLE_SERVER = 2, USABLE_BOTH = 3 };

static void raw_leaf_check(const struct raw_spec *spec, struct bytes second, enum usable usable)
{
	struct tls_opts opts = {.key = spec->key,
		.chain = {BYTES_NONE, second},
		.root = buf_bytes(&net.pki.root),
		.alpns = alpns_sauti};
	struct pair pair;
	struct buf leaf;

	buf_init(&leaf, LIMIT_CERTIFICATE_SIZE);
	raw_certificate(spec, &leaf);
	opts.chain[0] = buf_bytes(&leaf);
	if (usable & USABLE_CLIENT) {
		pair_start(&pair, context_new(&opts), context_of(&net.hq));
		pair_ready(&pair);
		pair_release(&pair);
	} else {
		refused_pair(
			context_new(&opts), context_of(&net.hq), "alert", "certificate refused");
	}
	if (usable & USABLE_SERVER) {
		pair_start(&pair, context_of(&net.hq), context_new(&opts));
		pair_ready(&pair);
		pair_release(&pair);
	} else {
		refused_pair(
			context_of(&net.hq), context_new(&opts), "certificate refused", "alert");
	}
	buf_release(&leaf);
}

static struct raw_spec spec_good(const struct identity *identity)
{
	return (struct raw_spec){.key = secret_bytes(&identity->key),
		.issuer_key = secret_bytes(&net.pki.issuing_key),
		.issuer = buf_bytes(&net.pki.issuing),
		.basic = "critical,CA:FALSE",
		.usage = "critical,digitalSignature",
		.extended = BOTH_EKU,
		.alternative = "URI:sauti://ovra.example/node/haiti",
		.from = (int64_t)net.now - DAY,
		.until = (int64_t)net.now + DAY};
}

static void test_key_usage(void **state)
{
	static const struct {
		const char *usage, *extended;
		enum usable usable;
	} cases[] = {
		{"critical,digitalSignature", BOTH_EKU, USABLE_BOTH},
		{"critical,digitalSignature", "serverAuth", USABLE_SERVER},
		{"critical,digitalSignature", "clientAuth", USABLE_CLIENT},
		{"critical,digitalSignature", "emailProtection", USABLE_NEVER},
		{"critical,digitalSignature", "anyExtendedKeyUsage", USABLE_NEVER},
		{"critical,digitalSignature", NULL, USABLE_NEVER},
		{"critical,cRLSign", BOTH_EKU, USABLE_NEVER},
		{"critical,keyEncipherment", BOTH_EKU, USABLE_NEVER},
	};
	struct bytes issuing = buf_bytes(&net.pki.issuing);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct raw_spec spec = spec_good(&net.haiti);

		spec.usage = cases[i].usage;
		spec.extended = cases[i].extended;
		raw_leaf_check(&spec, issuing, cases[i].usable);
		/* Forgiven dates forgive nothing else. */
		spec.from = (int64_t)net.now - 2 * DAY;
		spec.until = (int64_t)net.now - DAY;
		raw_leaf_check(&spec, issuing, cases[i].usable);
	}
}

static void test_odd_chains(void **state)
{
	struct raw_spec spec = spec_good(&net.haiti);
	struct identity sub;

	/* self-signed */
	spec.issuer = spec.issuer_key = BYTES_NONE;
	raw_leaf_check(&spec, buf_bytes(&net.pki.issuing), USABLE_NEVER);
	/* no key identifiers: what X509_V_FLAG_X509_STRICT adds */
	spec = spec_good(&net.haiti);
	spec.no_key_identifiers = true;
	raw_leaf_check(&spec, buf_bytes(&net.pki.issuing), USABLE_NEVER);
	/* issued by a node */
	spec = spec_good(&net.haiti);
	spec.issuer_key = secret_bytes(&net.hq.key);
	spec.issuer = buf_bytes(&net.hq.cert);
	raw_leaf_check(&spec, buf_bytes(&net.hq.cert), USABLE_NEVER);
	/* the issuing certificate left out */
	spec = spec_good(&net.haiti);
	raw_leaf_check(&spec, buf_bytes(&net.pki.root), USABLE_NEVER);
	/* a CA as a leaf, without and with the right to sign */
	spec = spec_good(&net.haiti);
	spec.basic = "critical,CA:TRUE";
	raw_leaf_check(&spec, buf_bytes(&net.pki.issuing), USABLE_NEVER);
	spec.usage = "critical,digitalSignature,keyCertSign";
	raw_leaf_check(&spec, buf_bytes(&net.pki.issuing), USABLE_NEVER);
	/* a leaf straight from the root is of the network */
	identity_keys(&sub);
	spec = spec_good(&sub);
	spec.issuer_key = secret_bytes(&net.pki.root_key);
	spec.issuer = buf_bytes(&net.pki.root);
	raw_leaf_check(&spec, buf_bytes(&net.pki.root), USABLE_BOTH);
	identity_release(&sub);
}

/* ---- dates and the judge ---- */

struct judge {
	unsigned calls;
	bool expired;
	struct certificate_info peer;
	enum err answer;
	const char *text;
};

static enum err judge(
	void *arg, const struct certificate_info *peer, bool expired, struct errctx *ctx)
{
	struct judge *self = arg;

	self->calls++;
	self->expired = expired;
	self->peer = *peer;
	if (self->text != NULL)
		return err_set(ctx, self->answer, "%s", self->text);
	return self->answer;
}

static struct tls_context *context_judged(const struct identity *identity, struct judge *self)
{
	struct tls_opts opts = opts_of(&net.pki, identity);

	opts.judge = judge;
	opts.judge_arg = self;
	return context_new(&opts);
}

static void test_judge_accepts(void **state)
{
	struct judge client = {0}, server = {0};
	struct pair pair;

	pair_start(&pair, context_judged(&net.haiti, &client), context_judged(&net.hq, &server));
	pair_ready(&pair);
	assert_int_equal(client.calls, 1);
	assert_int_equal(server.calls, 1);
	assert_string_equal(client.peer.name, "hq");
	assert_string_equal(server.peer.name, "haiti");
	assert_true(hash_equal(&server.peer.spki_sha256, &net.haiti.spki_sha256));
	assert_false(client.expired);
	assert_false(server.expired);
	pair_release(&pair);
}

static void test_judge_refuses(void **state)
{
	struct judge no = {.answer = ERR_DENIED, .text = "'haiti' was revoked"};
	struct judge silent = {.answer = ERR_STALE};
	struct judge memory = {.answer = ERR_NOMEM};
	struct pair pair;

	refused_pair(context_of(&net.haiti), context_judged(&net.hq, &no),
		"alert 42, bad certificate", "'haiti' was revoked");
	assert_int_equal(no.calls, 1);
	refused_pair(context_judged(&net.haiti, &no), context_of(&net.hq), "'haiti' was revoked",
		"alert 42, bad certificate");
	refused_pair(context_of(&net.haiti), context_judged(&net.hq, &silent), "alert",
		err_text(ERR_STALE));
	pair_start(&pair, context_of(&net.haiti), context_judged(&net.hq, &memory));
	assert_int_equal(pair.server.err, ERR_NOMEM);
	pair_release(&pair);
}

/* The client is ready before the server has judged it, and learns of it by its next step. */
static void test_client_ready_early(void **state)
{
	struct judge no = {.answer = ERR_UNTRUSTED, .text = "not listed"};
	struct pair pair;

	pair_init(&pair, context_of(&net.haiti), context_judged(&net.hq, &no));
	end_step(&pair.client);
	end_move(&pair.client, &pair.server, SIZE_MAX);
	end_move(&pair.server, &pair.client, SIZE_MAX);
	assert_true(tls_ready(pair.client.tls));
	assert_int_equal(pair.client.err, OK);
	assert_int_equal(no.calls, 0);
	pair_run(&pair, SIZE_MAX);
	said(&pair.client, ERR_UNTRUSTED, "alert 42");
	said(&pair.server, ERR_UNTRUSTED, "not listed");
	assert_int_equal(no.calls, 1);
	pair_release(&pair);
}

/* A chain made at `made`, on both sides in turn. */
static void dates_check(uint64_t made, bool whole_chain)
{
	struct pki pki = {0};
	const struct pki *used = &net.pki;
	struct identity node;
	struct judge self = {0}, no = {.answer = ERR_UNTRUSTED, .text = "directory is stale"};
	struct tls_opts dated, judging;
	struct pair pair;

	if (whole_chain) {
		pki_make(&pki, NETWORK, made);
		used = &pki;
	}
	identity_make(&node, used, "haiti", made);
	dated = opts_of(used, &node);
	judging = opts_of(used, &node);
	judging.judge = judge;
	judging.judge_arg = &self;
	for (int i = 0; i < 2; i++) {
		self = (struct judge){0};
		if (i == 0)
			pair_start(&pair, context_new(&dated), context_new(&judging));
		else
			pair_start(&pair, context_new(&judging), context_new(&dated));
		pair_ready(&pair);
		assert_int_equal(self.calls, 1);
		assert_true(self.expired);
		assert_string_equal(self.peer.name, "haiti");
		pair_release(&pair);
	}
	judging.judge_arg = &no;
	refused_pair(context_new(&dated), context_new(&judging), "alert", "directory is stale");
	assert_true(no.expired);
	identity_release(&node);
	if (whole_chain)
		pki_release(&pki);
}

static void test_dates(void **state)
{
	dates_check(net.now - (uint64_t)(3 * YEAR), false);
	dates_check(net.now + (uint64_t)(10 * DAY), false);
	dates_check(net.now - (uint64_t)(30 * YEAR), true);
	dates_check(net.now + (uint64_t)(10 * DAY), true);
}

/* Where the chain is wrong the judge has no say. */
static void test_judge_not_asked(void **state)
{
	struct judge self = {0};
	struct pki other;
	struct identity stranger;
	struct tls_opts opts;

	pki_make(&other, NETWORK, net.now - (uint64_t)(3 * YEAR));
	identity_make(&stranger, &other, "haiti", net.now - (uint64_t)(3 * YEAR));
	opts = opts_of(&other, &stranger);
	opts.root = buf_bytes(&net.pki.root);
	refused_pair(
		context_new(&opts), context_judged(&net.hq, &self), "alert", "certificate refused");
	assert_int_equal(self.calls, 0);
	identity_release(&stranger);
	pki_release(&other);
}

/* ---- protocols and joining ---- */

static void test_join(void **state)
{
	struct certificate_info info;
	uint8_t client[32], server[32];
	struct judge self = {0};
	struct tls_opts opts = opts_of(&net.pki, &net.hq);
	struct pair pair;

	opts.alpns = alpns_both;
	opts.judge = judge;
	opts.judge_arg = &self;
	pair_start(&pair, context_joiner(), context_new(&opts));
	pair_ready(&pair);
	assert_string_equal(tls_alpn(pair.server.tls), TLS_ALPN_JOIN);
	assert_string_equal(tls_alpn(pair.client.tls), TLS_ALPN_JOIN);
	assert_false(tls_peer(pair.server.tls, &info));
	assert_string_equal(info.name, "");
	assert_int_equal(self.calls, 0);
	assert_true(tls_peer(pair.client.tls, &info));
	assert_string_equal(info.name, "hq");
	assert_true(hash_equal(&info.spki_sha256, &net.hq.spki_sha256));
	assert_int_equal(tls_export(pair.client.tls, "EXPERIMENTAL sauti join 1", client, 32), OK);
	assert_int_equal(tls_export(pair.server.tls, "EXPERIMENTAL sauti join 1", server, 32), OK);
	assert_memory_equal(client, server, 32);
	end_write(&pair.client, bytes_str("request"));
	end_write(&pair.server, bytes_str("welcome"));
	pair_run(&pair, SIZE_MAX);
	assert_string_equal(buf_cstr(&pair.server.plain), "request");
	assert_string_equal(buf_cstr(&pair.client.plain), "welcome");
	pair_release(&pair);
}

static void test_join_not_listed(void **state)
{
	refused_pair(context_joiner(), context_of(&net.hq), "alert 120", "no protocol");
}

/* A joiner takes any server at the level of TLS, and is told which one it is. */
static void test_join_any_server(void **state)
{
	struct certificate_info info;
	struct pki other;
	struct identity node;
	struct tls_opts opts;
	struct pair pair;

	pki_make(&other, "other.example", net.now);
	identity_make(&node, &other, "peru", net.now);
	opts = opts_of(&other, &node);
	opts.alpns = alpns_join;
	pair_start(&pair, context_joiner(), context_new(&opts));
	pair_ready(&pair);
	assert_true(tls_peer(pair.client.tls, &info));
	assert_string_equal(info.network, "other.example");
	assert_string_equal(info.name, "peru");
	assert_true(hash_equal(&info.spki_sha256, &node.spki_sha256));
	pair_release(&pair);
	identity_release(&node);
	pki_release(&other);
}

/* With a certificate to show, nobody slips into the join protocol by its place in the lists. */
static void test_members_prefer_sauti(void **state)
{
	struct certificate_info info;
	struct pair pair;

	pair_start(
		&pair, context_alpns(&net.haiti, alpns_both), context_alpns(&net.hq, alpns_both));
	pair_ready(&pair);
	assert_string_equal(tls_alpn(pair.server.tls), TLS_ALPN_SAUTI);
	assert_string_equal(tls_alpn(pair.client.tls), TLS_ALPN_SAUTI);
	assert_true(tls_peer(pair.server.tls, &info));
	pair_release(&pair);
}

static void test_configured_alpn(void **state)
{
	static const char *const http[] = {"h2", "http/1.1", NULL};
	static const char *const mixed[] = {TLS_ALPN_SAUTI, "http/1.1", NULL};
	struct pair pair;

	pair_start(&pair, context_alpns(&net.haiti, http), context_alpns(&net.hq, mixed));
	pair_ready(&pair);
	assert_string_equal(tls_alpn(pair.server.tls), "http/1.1");
	assert_string_equal(tls_alpn(pair.client.tls), "http/1.1");
	pair_release(&pair);
	refused_pair(
		context_alpns(&net.haiti, http), context_of(&net.hq), "alert 120", "no protocol");
}

/* A raw client, with or without a certificate, offering this to a server that lists that. */
static void raw_client(const char *const *offer, const struct identity *identity,
	const char *const *listed, const char *expected)
{
	struct certificate_info info;
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_CLIENT, identity);
	raw_offer(&raw, offer);
	end_of_raw(&end, context_alpns(&net.hq, listed), TLS_SERVER);
	raw_run(&raw, &end);
	if (expected != NULL) {
		assert_int_equal(end.err, OK);
		assert_true(tls_ready(end.tls));
		assert_string_equal(tls_alpn(end.tls), expected);
		assert_int_equal(tls_peer(end.tls, &info), strcmp(expected, TLS_ALPN_JOIN) != 0);
	} else {
		assert_int_equal(end.err, ERR_UNTRUSTED);
		assert_false(tls_ready(end.tls));
		assert_int_not_equal(raw.error, 0);
	}
	end_release(&end);
	raw_release(&raw);
}

static void test_raw_clients(void **state)
{
	static const char *const none[] = {NULL};
	static const char *const unknown[] = {"h2", "sauti/2", "sauti/10", "sauti/", NULL};
	static const char *const near[] = {"sauti-join/1x", "sauti-join/", "SAUTI-JOIN/1", NULL};

	/* without a certificate: joining or nothing */
	raw_client(alpns_sauti, NULL, alpns_sauti, NULL);
	raw_client(alpns_sauti, NULL, alpns_both, NULL);
	raw_client(alpns_both, NULL, alpns_both, NULL); /* it could have had sauti/1: shows none */
	raw_client(alpns_both, NULL, alpns_sauti, NULL);
	raw_client(alpns_join, NULL, alpns_sauti, NULL);
	raw_client(alpns_join, NULL, alpns_both, TLS_ALPN_JOIN);
	raw_client(alpns_both, NULL, alpns_join, TLS_ALPN_JOIN);
	/* with one: it is asked for where it counts, and not where it does not */
	raw_client(alpns_sauti, &net.haiti, alpns_both, TLS_ALPN_SAUTI);
	raw_client(alpns_both, &net.haiti, alpns_both, TLS_ALPN_SAUTI);
	raw_client(alpns_join, &net.haiti, alpns_both, TLS_ALPN_JOIN);
	raw_client(alpns_join, &net.haiti, alpns_sauti, NULL);
	/* no protocol, and ones that nobody speaks */
	raw_client(none, &net.haiti, alpns_both, NULL);
	raw_client(none, NULL, alpns_join, NULL);
	raw_client(unknown, &net.haiti, alpns_both, NULL);
	raw_client(near, NULL, alpns_both, NULL);
}

static void test_reason_no_certificate(void **state)
{
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_CLIENT, NULL);
	raw_offer(&raw, alpns_sauti);
	end_of_raw(&end, context_of(&net.hq), TLS_SERVER);
	raw_run(&raw, &end);
	said(&end, ERR_UNTRUSTED, "no certificate");
	end_release(&end);
	raw_release(&raw);
}

/*
 * A HelloRetryRequest makes the client say hello twice, and OpenSSL's server takes the second offer
 * for what it is. What the first one was allowed must not hold for the second.
 */
static void retried(const char *const *first, const char *const *second, const char *expected)
{
	struct certificate_info info;
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_CLIENT, NULL);
	assert_int_equal(SSL_set1_groups_list(raw.ssl, "P-384:X25519"), 1);
	raw_offer(&raw, first);
	end_of_raw(&end, context_alpns(&net.hq, alpns_both), TLS_SERVER);
	raw_step(&raw);
	raw_to_end(&raw, &end);
	end_step(&end);
	assert_int_equal(end.err, OK);
	raw_offer(&raw, second);
	raw_run(&raw, &end);
	if (expected == NULL) {
		assert_int_equal(end.err, ERR_UNTRUSTED);
		assert_false(tls_ready(end.tls));
	} else {
		assert_int_equal(end.err, OK);
		assert_true(tls_ready(end.tls));
		assert_string_equal(tls_alpn(end.tls), expected);
		assert_false(tls_peer(end.tls, &info));
	}
	end_release(&end);
	raw_release(&raw);
}

static void test_retried_hello(void **state)
{
	static const char *const none[] = {NULL};
	static const char *const unknown[] = {"h2", NULL};

	retried(alpns_join, alpns_join, TLS_ALPN_JOIN);
	retried(alpns_sauti, alpns_join, TLS_ALPN_JOIN);
	retried(alpns_join, alpns_sauti, NULL);
	retried(alpns_join, none, NULL);
	retried(alpns_join, unknown, NULL);
}

/* ---- versions, tickets, other servers ---- */

static void test_tls12_client(void **state)
{
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_CLIENT, &net.haiti);
	raw_offer(&raw, alpns_sauti);
	SSL_set_max_proto_version(raw.ssl, TLS1_2_VERSION);
	end_of_raw(&end, context_of(&net.hq), TLS_SERVER);
	raw_run(&raw, &end);
	said(&end, ERR_UNTRUSTED, "TLS 1.3");
	assert_int_equal(raw.error, SSL_ERROR_SSL);
	end_release(&end);
	raw_release(&raw);
}

static int choose_first(SSL *ssl, const unsigned char **out, unsigned char *out_size,
	const unsigned char *in, unsigned int in_size, void *arg)
{
	*out = arg != NULL ? arg : in + 1;
	*out_size = arg != NULL ? (unsigned char)strlen(arg) : in[0];
	return SSL_TLSEXT_ERR_OK;
}

enum raw_server { SERVER_GOOD, SERVER_TLS12, SERVER_NO_ALPN, SERVER_FOREIGN_ALPN };

static void raw_server_check(enum raw_server kind, bool good, const char *text)
{
	static char foreign[] = "h2";
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_SERVER, &net.hq);
	if (kind == SERVER_TLS12)
		SSL_set_max_proto_version(raw.ssl, TLS1_2_VERSION);
	if (kind != SERVER_NO_ALPN)
		SSL_CTX_set_alpn_select_cb(
			raw.context, choose_first, kind == SERVER_FOREIGN_ALPN ? foreign : NULL);
	end_of_raw(&end, context_of(&net.haiti), TLS_CLIENT);
	raw_run(&raw, &end);
	/* This server sends tickets and asks for no certificate; neither harms us. */
	assert_int_equal(tls_ready(end.tls), good);
	if (good)
		assert_int_equal(end.err, OK);
	else if (kind == SERVER_FOREIGN_ALPN && end.err == ERR_CRYPTO)
		said(&end, ERR_CRYPTO, "TLS broke"); /* newer releases of OpenSSL see it first */
	else
		said(&end, ERR_UNTRUSTED, text);
	end_release(&end);
	raw_release(&raw);
}

static void test_raw_servers(void **state)
{
	raw_server_check(SERVER_GOOD, true, NULL);
	raw_server_check(SERVER_TLS12, false, "alert 70");
	raw_server_check(SERVER_NO_ALPN, false, "no protocol");
	raw_server_check(SERVER_FOREIGN_ALPN, false, "no protocol");
}

static void test_no_tickets(void **state)
{
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_CLIENT, &net.haiti);
	raw_offer(&raw, alpns_sauti);
	end_of_raw(&end, context_of(&net.hq), TLS_SERVER);
	raw_run(&raw, &end);
	assert_true(tls_ready(end.tls));
	end_write(&end, bytes_str("hello"));
	raw_run(&raw, &end);
	assert_int_equal(raw.error, 0);
	assert_int_equal(raw.tickets, 0);
	assert_false(SSL_SESSION_is_resumable(SSL_get0_session(raw.ssl)));
	end_release(&end);
	raw_release(&raw);
}

/* The counter above does count: a server with OpenSSL's defaults gives tickets. */
static void test_tickets_would_be_seen(void **state)
{
	struct raw client, server;
	char *data;
	long size;

	raw_init(&client, TLS_CLIENT, NULL);
	raw_init(&server, TLS_SERVER, &net.hq);
	for (int i = 0; i < 4; i++) {
		raw_step(&client);
		size = BIO_get_mem_data(client.out, &data);
		BIO_write(server.in, data, (int)size);
		BIO_reset(client.out);
		raw_step(&server);
		size = BIO_get_mem_data(server.out, &data);
		BIO_write(client.in, data, (int)size);
		BIO_reset(server.out);
	}
	assert_int_equal(client.error, 0);
	assert_true(client.tickets > 0);
	raw_release(&client);
	raw_release(&server);
}

/* The peer asks for new keys; the answer goes out with what is sent next. */
static void test_key_update(void **state)
{
	struct raw raw;
	struct end end;

	raw_init(&raw, TLS_CLIENT, &net.haiti);
	raw_offer(&raw, alpns_sauti);
	end_of_raw(&end, context_of(&net.hq), TLS_SERVER);
	raw_run(&raw, &end);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_write(raw.ssl, "x", 1), 1);
		raw_run(&raw, &end);
		end_write(&end, bytes_str("y"));
		raw_run(&raw, &end);
		assert_int_equal(raw.error, 0);
		assert_int_equal(end.err, OK);
	}
	assert_string_equal(buf_cstr(&end.plain), "xxxxx");
	end_release(&end);
	raw_release(&raw);
}

/* ---- broken bytes ---- */

static void garbage(enum tls_side side, struct bytes bytes)
{
	struct end end;
	struct buf wire;

	end_of_raw(&end, context_of(&net.hq), side);
	end_step(&end);
	assert_int_equal(tls_feed(end.tls, bytes), OK);
	end_step(&end);
	assert_int_equal(end.err, ERR_CRYPTO);
	assert_true(end.ctx.text[0] != '\0');
	assert_int_equal(tls_feed(end.tls, bytes), OK);
	assert_int_equal(tls_step(end.tls, &end.plain, NULL), ERR_CRYPTO);
	assert_int_equal(end.plain.size, 0);
	end_pull(&end, &wire);
	buf_release(&wire);
	end_release(&end);
}

static void test_garbage(void **state)
{
	static const uint8_t big[] = {0x16, 0x03, 0x01, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00, 0x00};
	static const uint8_t early[] = {0x17, 0x03, 0x03, 0x00, 0x05, 1, 2, 3, 4, 5};
	uint8_t data[1000];

	for (int side = 0; side < 2; side++) {
		memset(data, 0, sizeof(data));
		garbage((enum tls_side)side, BYTES_ARRAY(data));
		memset(data, 0xff, sizeof(data));
		garbage((enum tls_side)side, BYTES_ARRAY(data));
		pattern(data, sizeof(data), 5);
		garbage((enum tls_side)side, BYTES_ARRAY(data));
		garbage((enum tls_side)side, bytes_str("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
		garbage((enum tls_side)side, BYTES_ARRAY(big));
		garbage((enum tls_side)side, BYTES_ARRAY(early));
	}
}

static void test_tampered_data(void **state)
{
	static const char text[] = "referral to a doctor";

	for (size_t at = 0; at < sizeof(text) - 1 + 22; at++) {
		struct pair pair;
		struct buf wire;

		pair_usual(&pair);
		end_write(&pair.client, bytes_str(text));
		end_pull(&pair.client, &wire);
		assert_int_equal(wire.size, sizeof(text) - 1 + 22);
		wire.data[at] ^= 1;
		assert_int_equal(tls_feed(pair.server.tls, buf_bytes(&wire)), OK);
		end_step(&pair.server);
		assert_int_equal(pair.server.plain.size, 0);
		if ((at == 3 || at == 4) && pair.server.err == OK) {
			/* Longer than it is: it waits for bytes that never come. */
			pair_release(&pair);
			buf_release(&wire);
			continue;
		}
		assert_int_equal(pair.server.err, ERR_CRYPTO);
		pair_run(&pair, SIZE_MAX);
		/* For a byte of the version it may be alert 70, by which one refuses. */
		if (pair.client.err != ERR_CRYPTO)
			said(&pair.client, ERR_UNTRUSTED, "alert 70");
		else
			said(&pair.client, ERR_CRYPTO, "alert");
		buf_release(&wire);
		pair_release(&pair);
	}
}

static void test_replayed_record(void **state)
{
	struct pair pair;
	struct buf wire;

	pair_usual(&pair);
	end_write(&pair.client, bytes_str("once"));
	end_pull(&pair.client, &wire);
	assert_int_equal(tls_feed(pair.server.tls, buf_bytes(&wire)), OK);
	end_step(&pair.server);
	assert_int_equal(pair.server.err, OK);
	assert_int_equal(tls_feed(pair.server.tls, buf_bytes(&wire)), OK);
	end_step(&pair.server);
	said(&pair.server, ERR_CRYPTO, "TLS broke");
	assert_string_equal(buf_cstr(&pair.server.plain), "once");
	buf_release(&wire);
	pair_release(&pair);
}

/* A byte changed in what the server's first flight encrypts never gives a session. */
static void test_tampered_handshake(void **state)
{
	size_t end = SIZE_MAX;

	for (size_t at = 0; at < end; at += 23) {
		struct pair pair;
		struct buf wire;
		size_t record = 0, size;

		pair_init(&pair, context_of(&net.haiti), context_of(&net.hq));
		end_step(&pair.client);
		end_move(&pair.client, &pair.server, SIZE_MAX);
		end_pull(&pair.server, &wire);
		/* Skip to the first encrypted record. */
		while (wire.data[record] != 0x17)
			record += 5 + (size_t)get_u16be(wire.data + record + 3);
		size = wire.size - record;
		end = size;
		if (at < size) {
			wire.data[record + at] ^= 0x40;
			assert_int_equal(tls_feed(pair.client.tls, buf_bytes(&wire)), OK);
			end_step(&pair.client);
			pair_run(&pair, SIZE_MAX);
			assert_false(tls_ready(pair.client.tls));
			assert_false(tls_ready(pair.server.tls));
		}
		buf_release(&wire);
		pair_release(&pair);
	}
}

/* ---- contexts that cannot be ---- */

static void context_refused(struct tls_opts opts, enum err err, const char *text)
{
	struct tls_context *context = NULL;
	struct errctx ctx = {""};

	assert_int_equal(tls_context_new(&opts, &context, &ctx), err);
	assert_null(context);
	if (strstr(ctx.text, text) == NULL)
		fail_msg("'%s' is not in '%s'", text, ctx.text);
}

static void test_contexts_refused(void **state)
{
	static const char *const empty[] = {NULL};
	static const char *const nameless[] = {"", NULL};
	const struct tls_opts good = opts_of(&net.pki, &net.haiti);
	struct tls_opts opts;
	struct tls_context *joiner;
	struct judge self = {0};
	struct tls *tls = NULL;

	opts = good;
	opts.root = BYTES_NONE; /* would accept anybody */
	context_refused(opts, ERR_INVALID, "needed");
	opts = good;
	opts.key = BYTES_NONE;
	context_refused(opts, ERR_INVALID, "needed");
	opts = good;
	opts.chain[1] = BYTES_NONE;
	context_refused(opts, ERR_INVALID, "needed");
	opts = good;
	opts.key = secret_bytes(&net.hq.key);
	context_refused(opts, ERR_INVALID, "private key");
	opts = good;
	opts.key = bytes_str("no key");
	context_refused(opts, ERR_INVALID, "private key");
	opts = good;
	opts.root.size--;
	context_refused(opts, ERR_MALFORMED, "root certificate");
	opts = good;
	opts.chain[0].size--;
	context_refused(opts, ERR_MALFORMED, "node certificate");
	opts = good;
	opts.alpns = NULL;
	context_refused(opts, ERR_INVALID, "protocol");
	opts.alpns = empty;
	context_refused(opts, ERR_INVALID, "protocol");
	opts.alpns = nameless;
	context_refused(opts, ERR_INVALID, "protocol");
	/* A joiner can do nothing but join. */
	context_refused((struct tls_opts){.alpns = alpns_sauti}, ERR_INVALID, TLS_ALPN_JOIN);
	context_refused((struct tls_opts){.alpns = alpns_both}, ERR_INVALID, TLS_ALPN_JOIN);
	context_refused((struct tls_opts){.alpns = alpns_join, .judge = judge, .judge_arg = &self},
		ERR_INVALID, "judge");
	joiner = context_joiner();
	assert_int_equal(tls_new(joiner, TLS_SERVER, &tls), ERR_INVALID);
	assert_null(tls);
	tls_context_free(joiner);
	tls_context_free(NULL);
	tls_free(NULL);
}

static void test_alpn_name_cap(void **state)
{
	char name[257];
	const char *alpns[] = {name, NULL};
	struct tls_opts opts = opts_of(&net.pki, &net.haiti);
	struct pair pair;

	memset(name, 'a', sizeof(name));
	name[256] = '\0';
	opts.alpns = alpns;
	context_refused(opts, ERR_INVALID, "protocol");
	name[255] = '\0';
	pair_start(&pair, context_new(&opts), context_alpns(&net.hq, alpns));
	pair_ready(&pair);
	assert_string_equal(tls_alpn(pair.server.tls), name);
	pair_release(&pair);
}

/* ---- memory that runs out ---- */

struct failing {
	unsigned seen, fail_at;
	int held;
};

static void *failing_resize(void *arg, void *pointer, size_t size)
{
	struct failing *self = arg;
	void *fresh;

	if (size == 0) {
		self->held -= pointer != NULL;
		free(pointer);
		return NULL;
	}
	if (++self->seen == self->fail_at)
		return NULL;
	fresh = realloc(pointer, size);
	self->held += pointer == NULL;
	return fresh;
}

/* A handshake and some data; whatever fails, fails with an error and gives everything back. */
static bool torture_once(void)
{
	struct tls_opts opts = opts_of(&net.pki, &net.haiti);
	struct tls_context *context;
	struct tls *tls[2] = {NULL, NULL};
	struct buf wire, plain;
	uint8_t data[2000] = {0};
	bool ok;

	if (tls_context_new(&opts, &context, NULL) != OK)
		return false;
	buf_init(&wire, 1024 * 1024);
	buf_init(&plain, 1024 * 1024);
	ok = tls_new(context, TLS_CLIENT, &tls[0]) == OK &&
	     tls_new(context, TLS_SERVER, &tls[1]) == OK;
	for (int i = 0; ok && i < 8; i++) {
		ok = tls_step(tls[i % 2], &plain, NULL) == OK &&
		     (!tls_ready(tls[i % 2]) || tls_write(tls[i % 2], BYTES_ARRAY(data)) == OK) &&
		     tls_pull(tls[i % 2], &wire) == OK &&
		     tls_feed(tls[(i + 1) % 2], buf_bytes(&wire)) == OK;
		buf_release(&wire);
	}
	ok = ok && plain.size > 0;
	buf_release(&wire);
	buf_release(&plain);
	tls_free(tls[0]);
	tls_free(tls[1]);
	tls_context_free(context);
	return ok;
}

static void test_memory_runs_out(void **state)
{
	struct failing self = {0};
	const struct allocator allocator = {failing_resize, &self};
	bool ok = false;

	while (!ok) {
		unsigned fail_at = self.fail_at + 1;

		self = (struct failing){.fail_at = fail_at};
		mem_set_allocator(&allocator);
		ok = torture_once();
		mem_set_allocator(NULL);
		assert_int_equal(self.held, 0);
		assert_int_equal(ok, self.seen < fail_at);
	}
	assert_true(self.fail_at > 10);
}

/* ---- all of them ---- */

static int setup(void **state)
{
	if (crypto_init() != OK)
		return -1;
	net.now = (uint64_t)time(NULL);
	pki_make(&net.pki, NETWORK, net.now);
	identity_make(&net.hq, &net.pki, "hq", net.now);
	identity_make(&net.haiti, &net.pki, "haiti", net.now);
	return 0;
}

static int teardown(void **state)
{
	identity_release(&net.hq);
	identity_release(&net.haiti);
	pki_release(&net.pki);
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_before_ready),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_records_full),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_pull_appends),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_exporter),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_close_early),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_plain_full),
		cmocka_unit_test(test_write_full),
		cmocka_unit_test(test_feed_full),
		cmocka_unit_test(test_wrong_ca),
		cmocka_unit_test(test_key_usage),
		cmocka_unit_test(test_odd_chains),
		cmocka_unit_test(test_judge_accepts),
		cmocka_unit_test(test_judge_refuses),
		cmocka_unit_test(test_client_ready_early),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_judge_not_asked),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_not_listed),
		cmocka_unit_test(test_join_any_server),
		cmocka_unit_test(test_members_prefer_sauti),
		cmocka_unit_test(test_configured_alpn),
		cmocka_unit_test(test_raw_clients),
		cmocka_unit_test(test_reason_no_certificate),
		cmocka_unit_test(test_retried_hello),
		cmocka_unit_test(test_tls12_client),
		cmocka_unit_test(test_raw_servers),
		cmocka_unit_test(test_no_tickets),
		cmocka_unit_test(test_tickets_would_be_seen),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_tampered_data),
		cmocka_unit_test(test_replayed_record),
		cmocka_unit_test(test_tampered_handshake),
		cmocka_unit_test(test_contexts_refused),
		cmocka_unit_test(test_alpn_name_cap),
		cmocka_unit_test(test_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
