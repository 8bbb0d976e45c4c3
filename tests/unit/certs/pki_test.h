/*
 * pki_test: networks with their certificates, and certificates that no Sauti would make, for the
 * tests of certs/x509 and certs/tls.
 */
#ifndef TESTS_UNIT_CERTS_PKI_TEST_H
#define TESTS_UNIT_CERTS_PKI_TEST_H

#include <assert.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "certs/x509.h"

#define DAY  INT64_C(86400)
#define YEAR (365 * DAY)

struct pki {
	const char *network;
	struct secret root_key, issuing_key;
	struct buf issuing_spki, root, issuing;
};

struct identity {
	struct secret key;
	struct buf spki, cert;
	struct hash spki_sha256;
};

static inline void pki_make(struct pki *pki, const char *network, uint64_t now)
{
	struct hash hash;

	*pki = (struct pki){.network = network};
	buf_init(&pki->issuing_spki, LIMIT_CERTIFICATE_SIZE);
	buf_init(&pki->root, LIMIT_CERTIFICATE_SIZE);
	buf_init(&pki->issuing, LIMIT_CERTIFICATE_SIZE);
	assert_int_equal(tls_key_new(&pki->root_key), OK);
	assert_int_equal(tls_key_new(&pki->issuing_key), OK);
	assert_int_equal(
		tls_key_spki(secret_bytes(&pki->issuing_key), &pki->issuing_spki, &hash), OK);
	assert_int_equal(
		root_certificate_make(network, secret_bytes(&pki->root_key), now, &pki->root), OK);
	assert_int_equal(
		issuing_certificate_make(network, buf_bytes(&pki->issuing_spki),
			secret_bytes(&pki->root_key), buf_bytes(&pki->root), now, &pki->issuing),
		OK);
}

static inline void pki_release(struct pki *pki)
{
	secret_release(&pki->root_key);
	secret_release(&pki->issuing_key);
	buf_release(&pki->issuing_spki);
	buf_release(&pki->root);
	buf_release(&pki->issuing);
}

/* A key, no certificate. */
static inline void identity_keys(struct identity *identity)
{
	*identity = (struct identity){0};
	buf_init(&identity->spki, LIMIT_CERTIFICATE_SIZE);
	buf_init(&identity->cert, LIMIT_CERTIFICATE_SIZE);
	assert_int_equal(tls_key_new(&identity->key), OK);
	assert_int_equal(
		tls_key_spki(secret_bytes(&identity->key), &identity->spki, &identity->spki_sha256),
		OK);
}

static inline void identity_make(
	struct identity *identity, const struct pki *pki, const char *name, uint64_t now)
{
	identity_keys(identity);
	assert_int_equal(node_certificate_make(pki->network, name, buf_bytes(&identity->spki),
				 secret_bytes(&pki->issuing_key), buf_bytes(&pki->issuing), now,
				 &identity->cert),
		OK);
}

static inline void identity_release(struct identity *identity)
{
	secret_release(&identity->key);
	buf_release(&identity->spki);
	buf_release(&identity->cert);
}

static inline EVP_PKEY *raw_key(struct bytes der)
{
	const uint8_t *at = der.data;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.size);

	assert_non_null(key);
	return key;
}

static inline X509 *raw_x509(struct bytes der)
{
	const uint8_t *at = der.data;
	X509 *cert = d2i_X509(NULL, &at, (long)der.size);

	assert_non_null(cert);
	return cert;
}

/* Extensions by OpenSSL's configuration syntax; NULL: left out. */
struct raw_spec {
	struct bytes key;
	struct bytes issuer_key, issuer; /* empty: self-signed */
	const char *basic, *usage, *extended, *alternative;
	bool no_key_identifiers;
	int64_t from, until; /* seconds UTC */
};

static inline void raw_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx = {0};
	X509_EXTENSION *extension;

	if (value == NULL)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Appends the DER to out. */
static inline void raw_certificate(const struct raw_spec *spec, struct buf *out)
{
	static long serial = 1000;
	bool self = spec->issuer.size == 0;
	EVP_PKEY *key = raw_key(spec->key);
	EVP_PKEY *signer = raw_key(self ? spec->key : spec->issuer_key);
	X509 *cert = X509_new();
	X509 *issuer = self ? NULL : raw_x509(spec->issuer);
	unsigned char *der = NULL;
	int size;

	assert_non_null(cert);
	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
		(const unsigned char *)"raw", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(self ? cert : issuer));
	ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)spec->from);
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)spec->until);
	X509_set_pubkey(cert, key);
	raw_extension(cert, self ? cert : issuer, NID_basic_constraints, spec->basic);
	raw_extension(cert, self ? cert : issuer, NID_key_usage, spec->usage);
	raw_extension(cert, self ? cert : issuer, NID_ext_key_usage, spec->extended);
	raw_extension(cert, self ? cert : issuer, NID_subject_alt_name, spec->alternative);
	if (!spec->no_key_identifiers) {
		raw_extension(cert, self ? cert : issuer, NID_subject_key_identifier, "hash");
		raw_extension(
			cert, self ? cert : issuer, NID_authority_key_identifier, "keyid:always");
	}
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	size = i2d_X509(cert, &der);
	assert_true(size > 0);
	buf_put(out, bytes_make(der, (size_t)size));
	assert_int_equal(out->err, OK);
	OPENSSL_free(der);
	X509_free(issuer);
	X509_free(cert);
	EVP_PKEY_free(signer);
	EVP_PKEY_free(key);
}

#endif
