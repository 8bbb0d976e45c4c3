#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <openssl/pem.h>

#include "pki_test.h"

#define NETWORK "ovra.example"
#define NOW     UINT64_C(1780000000)
/* Just at the caps of base/limits.h. */
#define NETWORK_LONGEST "abcdefghijklmnopqrstuvwxyz0123.abcdefghijklmnopqrstuvwxyz0123.ex"
#define NAME_LONGEST    "abcdefghijklmnopqrstuvwxyz01234"

/* ---- keys ---- */

static void test_keys(void **state)
{
	struct identity a, b;
	struct hash hash;
	struct buf again;

	identity_keys(&a);
	identity_keys(&b);
	assert_int_equal(a.spki.size, 91);
	sha256(buf_bytes(&a.spki), &hash);
	assert_true(hash_equal(&hash, &a.spki_sha256));
	assert_false(hash_equal(&a.spki_sha256, &b.spki_sha256));
	/* Appended, and the same each time. */
	buf_init(&again, 100);
	buf_put_u8(&again, 7);
	assert_int_equal(tls_key_spki(secret_bytes(&a.key), &again, &hash), OK);
	assert_int_equal(again.size, 92);
	assert_memory_equal(again.data + 1, a.spki.data, 91);
	/* Past the maximum nothing is added. */
	assert_int_equal(tls_key_spki(secret_bytes(&a.key), &again, &hash), ERR_LIMIT);
	assert_int_equal(again.size, 92);
	buf_release(&again);
	identity_release(&a);
	identity_release(&b);
}

static void key_refused(struct bytes key)
{
	struct hash hash;
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(tls_key_spki(key, &out, &hash), ERR_MALFORMED);
	assert_int_equal(out.size, 0);
	buf_release(&out);
}

static size_t pkcs8(EVP_PKEY *key, uint8_t *out, size_t room)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	uint8_t *at = out;
	int size;

	assert_non_null(info);
	assert_true((size_t)i2d_PKCS8_PRIV_KEY_INFO(info, NULL) <= room);
	size = i2d_PKCS8_PRIV_KEY_INFO(info, &at);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(key);
	return (size_t)size;
}

static void test_keys_refused(void **state)
{
	struct identity a;
	uint8_t copy[512] = {0};
	uint8_t *big;

	identity_keys(&a);
	assert_true(a.key.size < sizeof(copy));
	memcpy(copy, a.key.data, a.key.size);
	for (size_t size = 0; size < a.key.size; size++)
		key_refused(bytes_make(copy, size));
	key_refused(bytes_make(copy, a.key.size + 1)); /* a byte left over */
	key_refused(bytes_str("-----BEGIN PRIVATE KEY-----"));
	key_refused(bytes_make(
		copy, pkcs8(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), copy, sizeof(copy))));
	key_refused(bytes_make(copy, pkcs8(EVP_EC_gen("P-384"), copy, sizeof(copy))));
	big = calloc(1, LIMIT_CERTIFICATE_SIZE + 1);
	key_refused(bytes_make(big, LIMIT_CERTIFICATE_SIZE + 1));
	free(big);
	identity_release(&a);
}

/* ---- certificates ---- */

static int chain_check(const struct pki *pki, struct bytes leaf, const char *purpose, uint64_t at)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *between = sk_X509_new_null();
	X509 *root = raw_x509(buf_bytes(&pki->root));
	X509 *cert = raw_x509(leaf);
	int result;

	sk_X509_push(between, raw_x509(buf_bytes(&pki->issuing)));
	X509_STORE_add_cert(store, root);
	X509_STORE_CTX_init(ctx, store, cert, between);
	X509_STORE_CTX_set_default(ctx, purpose);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)at);
	result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	sk_X509_pop_free(between, X509_free);
	X509_free(cert);
	X509_free(root);
	X509_STORE_free(store);
	return result;
}

static void test_chain(void **state)
{
	struct pki pki, other;
	struct identity node;

	pki_make(&pki, NETWORK, NOW);
	pki_make(&other, NETWORK, NOW);
	identity_make(&node, &pki, "haiti", NOW);
	for (int i = 0; i < 2; i++) {
		const char *purpose = i == 0 ? "ssl_server" : "ssl_client";
		struct bytes leaf = buf_bytes(&node.cert);

		assert_int_equal(chain_check(&pki, leaf, purpose, NOW), X509_V_OK);
		assert_int_equal(chain_check(&pki, leaf, purpose, NOW - DAY), X509_V_OK);
		assert_int_equal(chain_check(&pki, leaf, purpose, NOW - DAY - 1),
			X509_V_ERR_CERT_NOT_YET_VALID);
		assert_int_equal(chain_check(&pki, leaf, purpose, NOW + 3 * YEAR),
			X509_V_ERR_CERT_HAS_EXPIRED);
		assert_int_not_equal(chain_check(&other, leaf, purpose, NOW), X509_V_OK);
		/* No CA serves as a node. */
		assert_int_not_equal(
			chain_check(&pki, buf_bytes(&pki.issuing), purpose, NOW), X509_V_OK);
		assert_int_not_equal(
			chain_check(&pki, buf_bytes(&pki.root), purpose, NOW), X509_V_OK);
	}
	identity_release(&node);
	pki_release(&pki);
	pki_release(&other);
}

static void ca_form(struct bytes der, long pathlen)
{
	X509 *cert = raw_x509(der);

	assert_int_equal(X509_get_version(cert), X509_VERSION_3);
	assert_int_equal(X509_check_ca(cert), 1);
	assert_int_equal(X509_get_pathlen(cert), pathlen);
	assert_int_equal(X509_get_key_usage(cert), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_true(X509_EXTENSION_get_critical(
		X509_get_ext(cert, X509_get_ext_by_NID(cert, NID_basic_constraints, -1))));
	assert_true(X509_EXTENSION_get_critical(
		X509_get_ext(cert, X509_get_ext_by_NID(cert, NID_key_usage, -1))));
	assert_non_null(X509_get0_subject_key_id(cert));
	X509_free(cert);
}

static void test_form(void **state)
{
	struct pki pki;
	struct identity a, b;
	X509 *cert, *issuing, *second;

	pki_make(&pki, NETWORK, NOW);
	identity_make(&a, &pki, "haiti", NOW);
	identity_make(&b, &pki, "haiti", NOW);
	ca_form(buf_bytes(&pki.root), 1);
	ca_form(buf_bytes(&pki.issuing), 0);
	cert = raw_x509(buf_bytes(&a.cert));
	second = raw_x509(buf_bytes(&b.cert));
	issuing = raw_x509(buf_bytes(&pki.issuing));
	assert_int_equal(X509_get_version(cert), X509_VERSION_3);
	assert_int_equal(X509_check_ca(cert), 0);
	assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	assert_int_equal(X509_get_signature_nid(cert), NID_ecdsa_with_SHA256);
	assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(cert),
				 X509_get0_subject_key_id(issuing)),
		0);
	assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(cert)), 20);
	assert_int_equal(ASN1_STRING_type(X509_get0_serialNumber(cert)), V_ASN1_INTEGER);
	assert_int_not_equal(
		ASN1_INTEGER_cmp(X509_get0_serialNumber(cert), X509_get0_serialNumber(second)), 0);
	X509_free(cert);
	X509_free(second);
	X509_free(issuing);
	identity_release(&a);
	identity_release(&b);
	pki_release(&pki);
}

static void test_names(void **state)
{
	static const char *const bad_names[] = {"", "Haiti", "1haiti", "haiti-", "ha iti",
		"haiti/x", "haiti,URI:sauti://" NETWORK "/node/hq", "h\xc3\xa9", "haiti\n",
		NAME_LONGEST "a"};
	static const char *const bad_networks[] = {"", "example", "OVRA.example", "a..b",
		"ovra.example/x", "a.b,DNS:x", NETWORK_LONGEST "a"};
	struct pki pki;
	struct identity node;
	struct buf out;

	pki_make(&pki, NETWORK, NOW);
	identity_keys(&node);
	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(*bad_names); i++) {
		assert_int_equal(
			node_certificate_make(NETWORK, bad_names[i], buf_bytes(&node.spki),
				secret_bytes(&pki.issuing_key), buf_bytes(&pki.issuing), NOW, &out),
			ERR_INVALID);
	}
	for (size_t i = 0; i < sizeof(bad_networks) / sizeof(*bad_networks); i++) {
		assert_int_equal(root_certificate_make(
					 bad_networks[i], secret_bytes(&pki.root_key), NOW, &out),
			ERR_INVALID);
		assert_int_equal(
			node_certificate_make(bad_networks[i], "haiti", buf_bytes(&node.spki),
				secret_bytes(&pki.issuing_key), buf_bytes(&pki.issuing), NOW, &out),
			ERR_INVALID);
	}
	assert_int_equal(out.size, 0);
	buf_release(&out);
	identity_release(&node);
	pki_release(&pki);
}

static void test_names_longest(void **state)
{
	struct pki pki;
	struct identity node;
	struct certificate_info info;

	assert_int_equal(strlen(NETWORK_LONGEST), LIMIT_NETWORK_NAME);
	assert_int_equal(strlen(NAME_LONGEST), LIMIT_NODE_NAME);
	pki_make(&pki, NETWORK_LONGEST, NOW);
	identity_make(&node, &pki, NAME_LONGEST, NOW);
	assert_int_equal(certificate_read(buf_bytes(&node.cert), &info, NULL), OK);
	assert_string_equal(info.network, NETWORK_LONGEST);
	assert_string_equal(info.name, NAME_LONGEST);
	assert_int_equal(chain_check(&pki, buf_bytes(&node.cert), "ssl_server", NOW), X509_V_OK);
	identity_release(&node);
	pki_release(&pki);
}

static void spki_refused(const struct pki *pki, struct bytes spki)
{
	struct buf out;

	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	assert_int_equal(
		node_certificate_make(NETWORK, "haiti", spki, secret_bytes(&pki->issuing_key),
			buf_bytes(&pki->issuing), NOW, &out),
		ERR_MALFORMED);
	assert_int_equal(out.size, 0);
	buf_release(&out);
}

static void test_spki_refused(void **state)
{
	struct pki pki;
	struct identity node;
	uint8_t copy[200] = {0};
	unsigned char *der = NULL;
	EVP_PKEY *key;
	int size;

	pki_make(&pki, NETWORK, NOW);
	identity_keys(&node);
	memcpy(copy, node.spki.data, node.spki.size);
	for (size_t n = 0; n < node.spki.size; n++)
		spki_refused(&pki, bytes_make(copy, n));
	spki_refused(&pki, bytes_make(copy, node.spki.size + 1));
	/* Every bit of the point: almost every flip leaves the curve, and the header is exact. */
	for (size_t i = 0; i < node.spki.size; i++) {
		copy[i] ^= 1;
		spki_refused(&pki, bytes_make(copy, node.spki.size));
		copy[i] ^= 1;
	}
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size = i2d_PUBKEY(key, &der);
	spki_refused(&pki, bytes_make(der, (size_t)size));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	key = EVP_EC_gen("P-384");
	der = NULL;
	size = i2d_PUBKEY(key, &der);
	spki_refused(&pki, bytes_make(der, (size_t)size));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	identity_release(&node);
	pki_release(&pki);
}

static void test_issuer_refused(void **state)
{
	struct pki pki, other;
	struct identity node;
	struct buf out;
	struct bytes spki, key, cert;

	pki_make(&pki, NETWORK, NOW);
	pki_make(&other, "other.example", NOW);
	identity_make(&node, &pki, "haiti", NOW);
	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	spki = buf_bytes(&node.spki);
	key = secret_bytes(&pki.issuing_key);
	cert = buf_bytes(&pki.issuing);
	/* the root's key with the issuing certificate */
	assert_int_equal(node_certificate_make(
				 NETWORK, "a", spki, secret_bytes(&pki.root_key), cert, NOW, &out),
		ERR_INVALID);
	/* a node's own certificate is no CA */
	assert_int_equal(node_certificate_make(NETWORK, "a", spki, secret_bytes(&node.key),
				 buf_bytes(&node.cert), NOW, &out),
		ERR_INVALID);
	/* another network's issuing CA, with its own key */
	assert_int_equal(node_certificate_make(NETWORK, "a", spki, secret_bytes(&other.issuing_key),
				 buf_bytes(&other.issuing), NOW, &out),
		ERR_INVALID);
	assert_int_equal(node_certificate_make(NETWORK, "a", spki, key,
				 bytes_make(cert.data, cert.size - 1), NOW, &out),
		ERR_MALFORMED);
	assert_int_equal(node_certificate_make(NETWORK, "a", spki, BYTES_NONE, cert, NOW, &out),
		ERR_MALFORMED);
	assert_int_equal(node_certificate_make(NETWORK, "a", spki, key, BYTES_NONE, NOW, &out),
		ERR_MALFORMED);
	assert_int_equal(issuing_certificate_make(NETWORK, buf_bytes(&pki.issuing_spki),
				 secret_bytes(&other.root_key), buf_bytes(&pki.root), NOW, &out),
		ERR_INVALID);
	assert_int_equal(out.size, 0);
	buf_release(&out);
	identity_release(&node);
	pki_release(&pki);
	pki_release(&other);
}

static void test_dates(void **state)
{
	static const uint64_t times[] = {0, 1, 86400, NOW, UINT64_C(2524607999) /* end of 2049 */,
		UINT64_C(2524694400), UINT64_C(253300000000)};
	struct certificate_info info;
	struct secret key;
	struct buf out;

	assert_int_equal(tls_key_new(&key), OK);
	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		enum err err = root_certificate_make(NETWORK, secret_bytes(&key), times[i], &out);

		if (times[i] == UINT64_C(253300000000)) {
			assert_int_equal(err, ERR_INVALID); /* it would end after 9999 */
			break;
		}
		assert_int_equal(err, OK);
		assert_int_equal(certificate_read(buf_bytes(&out), &info, NULL), OK);
		assert_true(info.not_before == (times[i] > 86400 ? times[i] - 86400 : 0));
		assert_true(info.not_after > times[i]);
		buf_clear(&out);
	}
	assert_int_equal(
		root_certificate_make(NETWORK, secret_bytes(&key), UINT64_MAX, &out), ERR_INVALID);
	buf_release(&out);
	secret_release(&key);
}

/* ---- reading ---- */

static void test_read(void **state)
{
	struct pki pki;
	struct identity node;
	struct certificate_info info;
	struct hash hash;

	pki_make(&pki, NETWORK, NOW);
	identity_make(&node, &pki, "haiti", NOW);
	memset(&info, 0xff, sizeof(info));
	assert_int_equal(certificate_read(buf_bytes(&node.cert), &info, NULL), OK);
	assert_string_equal(info.network, NETWORK);
	assert_string_equal(info.name, "haiti");
	assert_true(hash_equal(&info.spki_sha256, &node.spki_sha256));
	sha256(buf_bytes(&node.cert), &hash);
	assert_true(hash_equal(&info.sha256, &hash));
	assert_true(info.not_before == NOW - 86400);
	assert_true(info.not_after > NOW + YEAR);
	/* A CA has no node name. */
	assert_int_equal(certificate_read(buf_bytes(&pki.issuing), &info, NULL), OK);
	assert_string_equal(info.network, "");
	assert_string_equal(info.name, "");
	identity_release(&node);
	pki_release(&pki);
}

static void test_read_damaged(void **state)
{
	struct pki pki;
	struct identity node;
	struct certificate_info info, whole, untouched;
	struct errctx ctx = {""};
	uint8_t *copy;
	size_t size;

	pki_make(&pki, NETWORK, NOW);
	identity_make(&node, &pki, "haiti", NOW);
	size = node.cert.size;
	copy = calloc(1, LIMIT_CERTIFICATE_SIZE + 1);
	memcpy(copy, node.cert.data, size);
	assert_int_equal(certificate_read(bytes_make(copy, size), &whole, NULL), OK);
	memset(&untouched, 0xab, sizeof(untouched));
	info = untouched;
	for (size_t n = 0; n < size; n++)
		assert_int_equal(certificate_read(bytes_make(copy, n), &info, &ctx), ERR_MALFORMED);
	assert_int_equal(certificate_read(bytes_make(copy, size + 1), &info, &ctx), ERR_MALFORMED);
	assert_true(ctx.text[0] != '\0');
	assert_int_equal(certificate_read(bytes_make(copy, LIMIT_CERTIFICATE_SIZE), &info, &ctx),
		ERR_MALFORMED);
	assert_int_equal(
		certificate_read(bytes_make(copy, LIMIT_CERTIFICATE_SIZE + 1), &info, &ctx),
		ERR_LIMIT);
	assert_memory_equal(&info, &untouched, sizeof(info));
	/* Each byte changed in two ways: refused, or seen to be another certificate. */
	for (size_t i = 0; i < 2 * size; i++) {
		uint8_t flip = i < size ? 0x01 : 0x80;

		copy[i % size] ^= flip;
		if (certificate_read(bytes_make(copy, size), &info, &ctx) == OK)
			assert_false(hash_equal(&info.sha256, &whole.sha256));
		copy[i % size] ^= flip;
	}
	free(copy);
	identity_release(&node);
	pki_release(&pki);
}

static void test_read_other_names(void **state)
{
	static const char *const alternatives[] = {NULL, "DNS:ovra.example",
		"URI:https://ovra.example/node/haiti", "URI:sauti://ovra.example/node/",
		"URI:sauti://ovra.example/node/haiti/", "URI:sauti://ovra.example/node/haiti/x",
		"URI:sauti://ovra.example/nodes/haiti", "URI:sauti://ovra.example/haiti",
		"URI:sauti://ovra.example", "URI:sauti://", "URI:sauti:///node/haiti",
		"URI:SAUTI://ovra.example/node/haiti", "URI:sauti://OVRA.example/node/haiti",
		"URI:sauti://ovra.example/node/Haiti", "URI:sauti://example/node/haiti",
		"URI:sauti://ovra.example/node/" NAME_LONGEST "x",
		"URI:sauti://" NETWORK_LONGEST "x/node/haiti",
		"URI:sauti://ovra.example/node/haiti?x", "email:haiti@ovra.example",
		"URI:sauti://ovra.example/node/haiti,URI:sauti://ovra.example/node/hq",
		"DNS:x.example,URI:sauti://ovra.example/node/haiti"};
	struct identity node;
	struct certificate_info info;
	struct raw_spec spec = {.from = 0, .until = (int64_t)NOW};
	struct buf out;

	identity_keys(&node);
	spec.key = secret_bytes(&node.key);
	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	for (size_t i = 0; i < sizeof(alternatives) / sizeof(*alternatives); i++) {
		spec.alternative = alternatives[i];
		buf_clear(&out);
		raw_certificate(&spec, &out);
		assert_int_equal(certificate_read(buf_bytes(&out), &info, NULL), OK);
		assert_string_equal(info.network, "");
		assert_string_equal(info.name, "");
	}
	spec.alternative = "URI:sauti://ovra.example/node/haiti";
	buf_clear(&out);
	raw_certificate(&spec, &out);
	assert_int_equal(certificate_read(buf_bytes(&out), &info, NULL), OK);
	assert_string_equal(info.name, "haiti"); /* the loop above could have passed */
	buf_release(&out);
	identity_release(&node);
}

/* A NUL inside the URI must not end the name early. */
static void test_read_name_with_nul(void **state)
{
	static const char marker[] = "/node/haitiX";
	struct identity node;
	struct certificate_info info;
	struct raw_spec spec = {.from = 0,
		.until = (int64_t)NOW,
		.alternative = "URI:sauti://ovra.example/node/haitiX"};
	struct buf out;
	uint8_t *at;

	identity_keys(&node);
	spec.key = secret_bytes(&node.key);
	spec.alternative = "URI:sauti://ovra.example/node/haitiX";
	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	raw_certificate(&spec, &out);
	at = memmem(out.data, out.size, marker, strlen(marker));
	assert_non_null(at);
	at[strlen(marker) - 1] = 0;
	assert_int_equal(certificate_read(buf_bytes(&out), &info, NULL), OK);
	assert_string_equal(info.name, "");
	buf_release(&out);
	identity_release(&node);
}

/* ---- PEM ---- */

static void test_pem(void **state)
{
	struct pki pki;
	struct identity node;
	struct buf pem, out;
	EVP_PKEY *key;
	BIO *bio;
	char *text;
	long size;

	pki_make(&pki, NETWORK, NOW);
	identity_make(&node, &pki, "haiti", NOW);
	buf_init(&pem, 64 * 1024);
	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	buf_put_str(&pem, "a word before\n");
	assert_int_equal(certificate_pem(buf_bytes(&node.cert), &pem), OK);
	/* A private key in the file is stepped over. */
	key = raw_key(secret_bytes(&node.key));
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	size = BIO_get_mem_data(bio, &text);
	buf_put(&pem, bytes_make(text, (size_t)size));
	BIO_free(bio);
	EVP_PKEY_free(key);
	assert_int_equal(certificate_pem(buf_bytes(&pki.issuing), &pem), OK);
	assert_int_equal(certificate_from_pem(buf_bytes(&pem), 0, &out, NULL), OK);
	assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&node.cert)));
	buf_clear(&out);
	assert_int_equal(certificate_from_pem(buf_bytes(&pem), 1, &out, NULL), OK);
	assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&pki.issuing)));
	assert_int_equal(certificate_from_pem(buf_bytes(&pem), 2, &out, NULL), ERR_NOTFOUND);
	assert_int_equal(certificate_from_pem(BYTES_NONE, 0, &out, NULL), ERR_NOTFOUND);
	assert_int_equal(certificate_pem(bytes_str("no DER"), &pem), ERR_MALFORMED);
	assert_int_equal(out.size, pki.issuing.size);
	buf_release(&out);
	buf_release(&pem);
	identity_release(&node);
	pki_release(&pki);
}

static void test_pem_damaged(void **state)
{
	static const char *const texts[] = {
		"-----BEGIN CERTIFICATE-----\nAAAA\n",
		"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n",
	};
	const size_t max = (size_t)16 * LIMIT_CERTIFICATE_SIZE;
	struct errctx ctx = {""};
	struct buf out;
	char *big;

	buf_init(&out, LIMIT_CERTIFICATE_SIZE);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(
			certificate_from_pem(bytes_str(texts[i]), 0, &out, &ctx), ERR_MALFORMED);
	big = malloc(max + 1);
	memset(big, '\n', max + 1);
	assert_int_equal(certificate_from_pem(bytes_make(big, max), 0, &out, &ctx), ERR_NOTFOUND);
	assert_int_equal(certificate_from_pem(bytes_make(big, max + 1), 0, &out, &ctx), ERR_LIMIT);
	free(big);
	assert_int_equal(out.size, 0);
	buf_release(&out);
}

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

/* What the TLS key signs besides sessions: by its purpose, and for nothing else. */
static void test_signatures(void **state)
{
	struct bytes body = bytes_str("what is signed");
	uint8_t signature[TLS_KEY_SIGNATURE_SIZE], other[TLS_KEY_SIGNATURE_SIZE];
	struct buf spki, stranger;
	struct secret key, another;
	struct hash hash;

	buf_init(&spki, 256);
	buf_init(&stranger, 256);
	assert_int_equal(tls_key_new(&key), OK);
	assert_int_equal(tls_key_new(&another), OK);
	assert_int_equal(tls_key_spki(secret_bytes(&key), &spki, &hash), OK);
	assert_int_equal(tls_key_spki(secret_bytes(&another), &stranger, &hash), OK);
	for (int i = 0; i < 20; i++) { /* r and s of every length */
		assert_int_equal(tls_key_sign(secret_bytes(&key), "bundle", body, signature), OK);
		assert_true(
			tls_key_verify(buf_bytes(&spki), "bundle", body, BYTES_ARRAY(signature)));
	}
	assert_false(tls_key_verify(buf_bytes(&stranger), "bundle", body, BYTES_ARRAY(signature)));
	assert_false(tls_key_verify(buf_bytes(&spki), "bundl", body, BYTES_ARRAY(signature)));
	assert_false(tls_key_verify(
		buf_bytes(&spki), "bundle", bytes_str("what is signeD"), BYTES_ARRAY(signature)));
	assert_false(tls_key_verify(buf_bytes(&spki), "bundle", body, bytes_make(signature, 63)));
	assert_false(tls_key_verify(
		bytes_make(spki.data, spki.size - 1), "bundle", body, BYTES_ARRAY(signature)));
	assert_false(tls_key_verify(BYTES_NONE, "bundle", body, BYTES_ARRAY(signature)));
	for (size_t i = 0; i < sizeof(signature); i++) {
		memcpy(other, signature, sizeof(other));
		other[i] ^= 1;
		assert_false(tls_key_verify(buf_bytes(&spki), "bundle", body, BYTES_ARRAY(other)));
	}
	memset(other, 0, sizeof(other));
	assert_false(tls_key_verify(buf_bytes(&spki), "bundle", body, BYTES_ARRAY(other)));
	memset(other, 0xff, sizeof(other));
	assert_false(tls_key_verify(buf_bytes(&spki), "bundle", body, BYTES_ARRAY(other)));
	assert_int_equal(tls_key_sign(BYTES_NONE, "bundle", body, other), ERR_MALFORMED);
	secret_release(&key);
	secret_release(&another);
	buf_release(&spki);
	buf_release(&stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_keys_refused),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_longest),
		cmocka_unit_test(test_spki_refused),
		cmocka_unit_test(test_issuer_refused),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_damaged),
		cmocka_unit_test(test_read_other_names),
		cmocka_unit_test(test_read_name_with_nul),
		cmocka_unit_test(test_pem),
		cmocka_unit_test(test_pem_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
