/*
 * Certificates are made to the letter of RFC 5280, because the other side verifies them with
 * X509_V_FLAG_X509_STRICT: version 3, random serial, key identifiers, critical basicConstraints and
 * keyUsage. Whatever comes in is taken only whole: DER with bytes left over is malformed.
 */
#include "certs/x509.h"

#include <limits.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/text.h"

#define DAY         UINT64_C(86400)
#define YEAR_9999   UINT64_C(253402300799) /* the last second a certificate can name */
#define PEM_NAME    "CERTIFICATE"
#define NODE_SCHEME "sauti://"
#define NODE_PATH   "node"

enum { ROOT_DAYS = 25 * 365, ISSUING_DAYS = 10 * 365, NODE_DAYS = 2 * 365 };
enum { SERIAL_SIZE = 20 };                      /* the most RFC 5280 4.1.2.2 allows */
enum { PEM_MAX = 16 * LIMIT_CERTIFICATE_SIZE }; /* one file: a chain and some text */

/* RFC 5480: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { 04 || X || Y } }. The
 * one encoding that is accepted, so that a key has one hash. */
static const uint8_t p256_prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42,
	0x00, 0x04};
enum { P256_SPKI_SIZE = sizeof(p256_prefix) + 64 };

/* ---- cleanup and errors ---- */

static void pkey_free_p(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void x509_free_p(X509 **cert)
{
	X509_free(*cert);
}

static void bio_free_p(BIO **bio)
{
	BIO_free(*bio);
}

/* The one place where a failure of OpenSSL becomes ours; leaves the thread's queue clean. */
static enum err openssl_failed(void)
{
	ERR_clear_error();
	return ERR_CRYPTO;
}

/* What could not be read is malformed, unless there was no memory to read it into. */
static enum err parse_failed(void)
{
	enum err err = ERR_MALFORMED;
	unsigned long code;

	while ((code = ERR_get_error()) != 0)
		if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
			err = ERR_NOMEM;
	return err;
}

/* Where i2d functions write: appends `size` bytes made by the caller's i2d call. */
static uint8_t *der_room(struct buf *out, int size)
{
	return size > 0 ? buf_reserve(out, (size_t)size) : NULL;
}

/* ---- keys ---- */

static bool key_is_p256(const EVP_PKEY *key)
{
	char group[32];

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, SN_X9_62_prime256v1) == 0;
}

static enum err key_parse(struct bytes der, EVP_PKEY **ret)
{
	const uint8_t *at = der.data;
	PKCS8_PRIV_KEY_INFO *info;
	EVP_PKEY *key = NULL;

	if (der.size == 0 || der.size > LIMIT_CERTIFICATE_SIZE)
		return ERR_MALFORMED;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.size);
	if (info != NULL && at == der.data + der.size)
		key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (key == NULL || !key_is_p256(key)) {
		EVP_PKEY_free(key);
		return parse_failed();
	}
	*ret = key;
	return OK;
}

enum err tls_key_new(struct secret *ret)
{
	CLEANUP(pkey_free_p) EVP_PKEY *key = EVP_EC_gen(SN_X9_62_prime256v1);
	PKCS8_PRIV_KEY_INFO *info = key != NULL ? EVP_PKEY2PKCS8(key) : NULL;
	int size = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
	struct secret secret;
	enum err err;

	err = size > 0 ? secret_init(&secret, (size_t)size) : openssl_failed();
	if (err == OK) {
		uint8_t *at = secret.data;

		if (i2d_PKCS8_PRIV_KEY_INFO(info, &at) == size) {
			*ret = secret;
		} else {
			secret_release(&secret);
			err = openssl_failed();
		}
	}
	PKCS8_PRIV_KEY_INFO_free(info);
	return err;
}

enum err tls_key_spki(struct bytes key, struct buf *out, struct hash *ret_sha256)
{
	CLEANUP(pkey_free_p) EVP_PKEY *pkey = NULL;
	uint8_t *room, *at;
	int size;

	TRY(key_parse(key, &pkey));
	size = i2d_PUBKEY(pkey, NULL);
	if (size != P256_SPKI_SIZE)
		return openssl_failed();
	room = at = der_room(out, size);
	if (room == NULL)
		return out->err;
	if (i2d_PUBKEY(pkey, &at) != size || memcmp(room, p256_prefix, sizeof(p256_prefix)) != 0)
		return openssl_failed();
	sha256(bytes_make(room, (size_t)size), ret_sha256);
	out->size += (size_t)size;
	return OK;
}

static enum err spki_parse(struct bytes spki, EVP_PKEY **ret)
{
	const uint8_t *at = spki.data;
	EVP_PKEY *key;

	if (spki.size != P256_SPKI_SIZE || memcmp(spki.data, p256_prefix, sizeof(p256_prefix)) != 0)
		return ERR_MALFORMED;
	key = d2i_PUBKEY(NULL, &at, (long)spki.size); /* refuses points off the curve */
	if (key == NULL)
		return parse_failed();
	*ret = key;
	return OK;
}

/* ---- signatures ---- */

static void md_free_p(EVP_MD_CTX **md)
{
	EVP_MD_CTX_free(*md);
}

static void ecdsa_free_p(ECDSA_SIG **signature)
{
	ECDSA_SIG_free(*signature);
}

static enum err signed_message(const char *purpose, struct bytes body, struct buf *ret)
{
	buf_init(ret, 64 + body.size);
	buf_put_str(ret, "sauti/1 ");
	buf_put_str(ret, purpose);
	buf_put_u8(ret, 0);
	buf_put(ret, body);
	return ret->err;
}

static enum err ecdsa_sign(EVP_PKEY *key, struct bytes message, uint8_t *ret)
{
	CLEANUP(md_free_p) EVP_MD_CTX *md = EVP_MD_CTX_new();
	CLEANUP(ecdsa_free_p) ECDSA_SIG *signature = NULL;
	uint8_t der[128];
	const uint8_t *at = der;
	size_t size = sizeof(der);

	if (md == NULL || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
		EVP_DigestSign(md, der, &size, message.data, message.size) != 1)
		return openssl_failed();
	signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
	if (signature == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret, 32) != 32 ||
		BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret + 32, 32) != 32)
		return openssl_failed();
	return OK;
}

enum err tls_key_sign(struct bytes key, const char *purpose, struct bytes body,
	uint8_t ret[TLS_KEY_SIGNATURE_SIZE])
{
	CLEANUP(pkey_free_p) EVP_PKEY *pkey = NULL;
	CLEANUP(buf_release) struct buf message = {0};
	uint8_t signature[TLS_KEY_SIGNATURE_SIZE];

	TRY(key_parse(key, &pkey));
	TRY(signed_message(purpose, body, &message));
	TRY(ecdsa_sign(pkey, buf_bytes(&message), signature));
	memcpy(ret, signature, sizeof(signature));
	return OK;
}

static bool ecdsa_verify(EVP_PKEY *key, struct bytes message, const uint8_t *raw)
{
	CLEANUP(md_free_p) EVP_MD_CTX *md = EVP_MD_CTX_new();
	CLEANUP(ecdsa_free_p) ECDSA_SIG *signature = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
	uint8_t *der = NULL;
	bool good = false;
	int size;

	if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		return false;
	}
	size = i2d_ECDSA_SIG(signature, &der);
	if (md != NULL && size > 0)
		good = EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		       EVP_DigestVerify(md, der, (size_t)size, message.data, message.size) == 1;
	OPENSSL_free(der);
	return good;
}

bool tls_key_verify(
	struct bytes spki, const char *purpose, struct bytes body, struct bytes signature)
{
	CLEANUP(pkey_free_p) EVP_PKEY *key = NULL;
	CLEANUP(buf_release) struct buf message = {0};
	bool good;

	if (signature.size != TLS_KEY_SIGNATURE_SIZE || spki_parse(spki, &key) != OK ||
		signed_message(purpose, body, &message) != OK)
		return false;
	good = ecdsa_verify(key, buf_bytes(&message), signature.data);
	ERR_clear_error();
	return good;
}

/* ---- making certificates ---- */

struct extension {
	int nid;
	const char *value; /* OpenSSL's configuration syntax: constants and checked names only */
};

struct certificate_spec {
	const char *network, *common_name;
	EVP_PKEY *subject, *signer;
	X509 *issuer; /* NULL: self-signed */
	uint64_t now;
	uint64_t days;
	const struct extension *extensions;
	size_t extension_count;
};

static bool set_serial(X509 *cert)
{
	uint8_t serial[SERIAL_SIZE];
	BIGNUM *number;
	bool ok;

	if (random_bytes(serial, sizeof(serial)) != OK)
		return false;
	/* Positive, and always of the same length: 158 random bits. */
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return ok;
}

static bool set_names(X509 *cert, const struct certificate_spec *spec)
{
	X509_NAME *name = X509_get_subject_name(cert);
	const uint8_t *network = (const uint8_t *)spec->network;
	const uint8_t *common_name = (const uint8_t *)spec->common_name;

	return X509_NAME_add_entry_by_NID(
		       name, NID_organizationName, MBSTRING_ASC, network, -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_NID(
		       name, NID_commonName, MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(cert,
		       spec->issuer != NULL ? X509_get_subject_name(spec->issuer) : name) == 1;
}

static bool set_dates(X509 *cert, const struct certificate_spec *spec)
{
	uint64_t from = spec->now > DAY ? spec->now - DAY : 0;
	uint64_t until = spec->now + spec->days * DAY;

	return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)until) != NULL;
}

static bool set_extensions(X509 *cert, const struct certificate_spec *spec)
{
	X509V3_CTX ctx = {0};

	X509V3_set_ctx(&ctx, spec->issuer != NULL ? spec->issuer : cert, cert, NULL, NULL, 0);
	for (size_t i = 0; i < spec->extension_count; i++) {
		const struct extension *wanted = &spec->extensions[i];
		X509_EXTENSION *extension =
			X509V3_EXT_nconf_nid(NULL, &ctx, wanted->nid, wanted->value);
		bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;

		X509_EXTENSION_free(extension);
		if (!ok)
			return false;
	}
	return true;
}

static enum err certificate_write(X509 *cert, struct buf *out)
{
	int size = i2d_X509(cert, NULL);
	uint8_t *at;

	if (size <= 0)
		return openssl_failed();
	at = der_room(out, size);
	if (at == NULL)
		return out->err;
	if (i2d_X509(cert, &at) != size)
		return openssl_failed();
	out->size += (size_t)size;
	return OK;
}

static enum err certificate_make(const struct certificate_spec *spec, struct buf *out)
{
	CLEANUP(x509_free_p) X509 *cert = NULL;

	if (!network_name_valid(bytes_str(spec->network)) ||
		spec->now > YEAR_9999 - spec->days * DAY)
		return ERR_INVALID;
	cert = X509_new();
	if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
		!set_names(cert, spec) || !set_dates(cert, spec) ||
		X509_set_pubkey(cert, spec->subject) != 1 || !set_extensions(cert, spec) ||
		X509_sign(cert, spec->signer, EVP_sha256()) == 0)
		return openssl_failed();
	return certificate_write(cert, out);
}

enum err root_certificate_make(
	const char *network, struct bytes root_key, uint64_t now, struct buf *out)
{
	static const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:1"},
		{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_subject_key_identifier, "hash"},
	};
	CLEANUP(pkey_free_p) EVP_PKEY *key = NULL;

	TRY(key_parse(root_key, &key));
	return certificate_make(&(struct certificate_spec){.network = network,
					.common_name = "Sauti root CA",
					.subject = key,
					.signer = key,
					.now = now,
					.days = ROOT_DAYS,
					.extensions = extensions,
					.extension_count = 3},
		out);
}

static enum err certificate_parse(struct bytes der, X509 **ret)
{
	const uint8_t *at = der.data;
	X509 *cert;

	if (der.size > LIMIT_CERTIFICATE_SIZE)
		return ERR_LIMIT;
	cert = der.size > 0 ? d2i_X509(NULL, &at, (long)der.size) : NULL;
	if (cert == NULL || at != der.data + der.size) {
		X509_free(cert);
		return parse_failed();
	}
	*ret = cert;
	return OK;
}

/* ERR_INVALID when the certificate is no CA, of another network, or not that key's. */
static enum err issuer_check(X509 *issuer, EVP_PKEY *key, const char *network)
{
	char organization[LIMIT_NETWORK_NAME + 2];
	int size = X509_NAME_get_text_by_NID(X509_get_subject_name(issuer), NID_organizationName,
		organization, sizeof(organization));
	bool ok = size > 0 && strcmp(organization, network) == 0 && X509_check_ca(issuer) == 1 &&
		  X509_check_private_key(issuer, key) == 1;

	ERR_clear_error();
	return ok ? OK : ERR_INVALID;
}

/* Fills in the keys and the issuer, and makes. */
static enum err certificate_issue(struct certificate_spec *spec, struct bytes spki,
	struct bytes issuer_key, struct bytes issuer_certificate, struct buf *out)
{
	CLEANUP(pkey_free_p) EVP_PKEY *subject = NULL;
	CLEANUP(pkey_free_p) EVP_PKEY *signer = NULL;
	CLEANUP(x509_free_p) X509 *issuer = NULL;

	TRY(spki_parse(spki, &subject));
	TRY(key_parse(issuer_key, &signer));
	TRY(certificate_parse(issuer_certificate, &issuer));
	TRY(issuer_check(issuer, signer, spec->network));
	spec->subject = subject;
	spec->signer = signer;
	spec->issuer = issuer;
	return certificate_make(spec, out);
}

enum err issuing_certificate_make(const char *network, struct bytes issuing_spki,
	struct bytes root_key, struct bytes root_certificate, uint64_t now, struct buf *out)
{
	static const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
	};
	struct certificate_spec spec = {.network = network,
		.common_name = "Sauti issuing CA",
		.now = now,
		.days = ISSUING_DAYS,
		.extensions = extensions,
		.extension_count = 4};

	return certificate_issue(&spec, issuing_spki, root_key, root_certificate, out);
}

enum err node_certificate_make(const char *network, const char *name, struct bytes spki,
	struct bytes issuing_key, struct bytes issuing_certificate, uint64_t now, struct buf *out)
{
	char uri[sizeof("URI:" NODE_SCHEME "/" NODE_PATH "/") + LIMIT_NETWORK_NAME +
		 LIMIT_NODE_NAME];
	const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth,clientAuth"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
		{NID_subject_alt_name, uri},
	};
	struct certificate_spec spec = {.network = network,
		.common_name = name,
		.now = now,
		.days = NODE_DAYS,
		.extensions = extensions,
		.extension_count = 6};

	/* Both names go into a configuration string: nothing but their small alphabets may. */
	if (!network_name_valid(bytes_str(network)) || !node_name_valid(bytes_str(name)))
		return ERR_INVALID;
	snprintf(uri, sizeof(uri), "URI:" NODE_SCHEME "%s/" NODE_PATH "/%s", network, name);
	return certificate_issue(&spec, spki, issuing_key, issuing_certificate, out);
}

/* ---- reading ---- */

/* Takes what stands before the next '/' (or the end) off rest. */
static struct bytes uri_segment(struct bytes *rest)
{
	const uint8_t *slash = rest->size > 0 ? memchr(rest->data, '/', rest->size) : NULL;
	size_t size = slash != NULL ? (size_t)(slash - rest->data) : rest->size;
	size_t taken = slash != NULL ? size + 1 : size;
	struct bytes segment = bytes_make(rest->data, size);

	*rest = bytes_make(rest->data + taken, rest->size - taken);
	return segment;
}

/* "sauti://<network>/node/<name>", and nothing else. */
static bool uri_parse(struct bytes uri, struct certificate_info *info)
{
	const size_t scheme = strlen(NODE_SCHEME);
	struct bytes rest, network, path, name;

	if (uri.size < scheme || memcmp(uri.data, NODE_SCHEME, scheme) != 0)
		return false;
	rest = bytes_make(uri.data + scheme, uri.size - scheme);
	network = uri_segment(&rest);
	path = uri_segment(&rest);
	name = rest; /* a further '/' is not valid in a name */
	if (!network_name_valid(network) || !bytes_equal_str(path, NODE_PATH) ||
		!node_name_valid(name))
		return false;
	memcpy(info->network, network.data, network.size);
	memcpy(info->name, name.data, name.size);
	return true;
}

/*
 * Our certificates have one alternative name. Any other number or kind leaves network and name
 * empty: a certificate with two names must not pass for the one that is looked at.
 */
static void names_read(const X509 *cert, struct certificate_info *info)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	if (names != NULL && sk_GENERAL_NAME_num(names) == 1) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);

		if (name->type == GEN_URI) {
			const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;

			uri_parse(bytes_make(ASN1_STRING_get0_data(uri),
					  (size_t)ASN1_STRING_length(uri)),
				info);
		}
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
}

static bool date_read(const ASN1_TIME *date, uint64_t *ret)
{
	struct tm tm;
	time_t seconds;

	if (ASN1_TIME_to_tm(date, &tm) != 1) {
		ERR_clear_error();
		return false;
	}
	seconds = timegm(&tm);
	*ret = seconds > 0 ? (uint64_t)seconds : 0;
	return true;
}

static enum err spki_hash(const X509 *cert, struct hash *ret)
{
	unsigned char *der = NULL;
	int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	if (size <= 0)
		return openssl_failed();
	sha256(bytes_make(der, (size_t)size), ret);
	OPENSSL_free(der);
	return OK;
}

enum err certificate_read(struct bytes der, struct certificate_info *ret, struct errctx *ctx)
{
	CLEANUP(x509_free_p) X509 *cert = NULL;
	struct certificate_info info = {0};
	enum err err = certificate_parse(der, &cert);

	if (err == ERR_LIMIT)
		return err_set(ctx, err, "certificate of %zu bytes, at most %d are read", der.size,
			LIMIT_CERTIFICATE_SIZE);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK)
		return err_set(ctx, err, "certificate: not the DER of one X.509 certificate");
	if (!date_read(X509_get0_notBefore(cert), &info.not_before) ||
		!date_read(X509_get0_notAfter(cert), &info.not_after))
		return err_set(ctx, ERR_MALFORMED, "certificate: dates that are none");
	err = spki_hash(cert, &info.spki_sha256);
	if (err != OK)
		return err_set(ctx, err, "certificate: public key cannot be encoded");
	sha256(der, &info.sha256);
	names_read(cert, &info);
	*ret = info;
	return OK;
}

/* ---- PEM ---- */

enum err certificate_pem(struct bytes der, struct buf *out)
{
	CLEANUP(bio_free_p) BIO *bio = NULL;
	CLEANUP(x509_free_p) X509 *cert = NULL;
	char *text;
	long size;

	TRY(certificate_parse(der, &cert));
	bio = BIO_new(BIO_s_mem());
	if (bio == NULL || PEM_write_bio(bio, PEM_NAME, "", der.data, (long)der.size) <= 0)
		return openssl_failed();
	size = BIO_get_mem_data(bio, &text);
	buf_put(out, bytes_make(text, (size_t)size));
	return out->err;
}

/* The next block of any kind; ERR_NOTFOUND at the end of the text. On OK, *ret is OpenSSL's to free
 * and *ret_ours says that it is a certificate. */
static enum err pem_next(BIO *bio, uint8_t **ret, size_t *ret_size, bool *ret_ours)
{
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	long size = 0;

	if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) {
		bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

		ERR_clear_error();
		return at_end ? ERR_NOTFOUND : ERR_MALFORMED;
	}
	*ret_ours = strcmp(name, PEM_NAME) == 0 && header[0] == '\0';
	OPENSSL_free(name);
	OPENSSL_free(header);
	*ret = data;
	*ret_size = (size_t)size;
	return OK;
}

/* The n-th block that is a certificate, as OpenSSL's memory. */
static enum err pem_find(struct bytes pem, size_t n, uint8_t **ret, size_t *ret_size)
{
	CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
	uint8_t *data;
	size_t size;
	bool ours;

	if (bio == NULL)
		return openssl_failed();
	for (;;) {
		TRY(pem_next(bio, &data, &size, &ours));
		if (ours && n-- == 0)
			break;
		OPENSSL_clear_free(data, size); /* somebody's private key may stand there */
	}
	*ret = data;
	*ret_size = size;
	return OK;
}

enum err certificate_from_pem(struct bytes pem, size_t n, struct buf *out, struct errctx *ctx)
{
	struct certificate_info info;
	uint8_t *data = NULL;
	size_t size = 0;
	enum err err;

	if (pem.size > PEM_MAX)
		return err_set(ctx, ERR_LIMIT, "PEM text of %zu bytes, at most %d are read",
			pem.size, PEM_MAX);
	err = pem.size > 0 ? pem_find(pem, n, &data, &size) : ERR_NOTFOUND;
	if (err == ERR_NOTFOUND)
		return err_set(ctx, err, "PEM text has no certificate number %zu", n + 1);
	if (err != OK)
		return err_set(ctx, err, "PEM text is damaged");
	err = certificate_read(bytes_make(data, size), &info, ctx);
	if (err == OK) {
		buf_put(out, bytes_make(data, size));
		err = out->err;
	}
	OPENSSL_free(data);
	return err;
}
