/*
 * x509: the certificates of a network. A root CA (offline), an issuing CA at headquarters, node
 * certificates with serverAuth and clientAuth and the SAN URI "sauti://<network>/node/<name>".
 * Keys are ECDSA P-256, as PKCS#8 DER; certificates DER. Dates are hygiene, not authority
 * (DESIGN 7). No I/O.
 */
#ifndef CERTS_X509_H
#define CERTS_X509_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/secret.h"

/* A new P-256 key; PKCS#8 DER. */
enum err tls_key_new(struct secret *ret) MUST_USE;
/* Its SubjectPublicKeyInfo DER, appended, and SHA-256 of that. */
enum err tls_key_spki(struct bytes key, struct buf *out, struct hash *ret_sha256) MUST_USE;

/* ECDSA with SHA-256 over "sauti/1 " || purpose || 0x00 || body, for what a node says when it is
 * locked and no session stands behind it: the key that would have opened the session. r || s. TLS
 * 1.3 signs 64 spaces and a context of its own: neither can be taken for the other. */
enum { TLS_KEY_SIGNATURE_SIZE = 64 };
enum err tls_key_sign(struct bytes key, const char *purpose, struct bytes body,
	uint8_t ret[TLS_KEY_SIGNATURE_SIZE]) MUST_USE;
/* True only for a good signature by the key of this SubjectPublicKeyInfo. */
bool tls_key_verify(
	struct bytes spki, const char *purpose, struct bytes body, struct bytes signature) MUST_USE;
#define PURPOSE_BUNDLE "bundle"

/* now: seconds UTC; certificates are valid from one day before. DER is appended to out. */
enum err root_certificate_make(
	const char *network, struct bytes root_key, uint64_t now, struct buf *out) MUST_USE;
enum err issuing_certificate_make(const char *network, struct bytes issuing_spki,
	struct bytes root_key, struct bytes root_certificate, uint64_t now,
	struct buf *out) MUST_USE;
/* name must be a valid node name, spki a P-256 SubjectPublicKeyInfo (ERR_INVALID, ERR_MALFORMED).
 */
enum err node_certificate_make(const char *network, const char *name, struct bytes spki,
	struct bytes issuing_key, struct bytes issuing_certificate, uint64_t now,
	struct buf *out) MUST_USE;

/* What a certificate says: for judging and for showing. */
struct certificate_info {
	char network[LIMIT_NETWORK_NAME + 1]; /* from the SAN URI; "" if it is none of ours */
	char name[LIMIT_NODE_NAME + 1];
	struct hash spki_sha256, sha256; /* of the SubjectPublicKeyInfo, of the whole DER */
	uint64_t not_before, not_after;  /* seconds UTC */
};
enum err certificate_read(
	struct bytes der, struct certificate_info *ret, struct errctx *ctx) MUST_USE;

/* PEM "CERTIFICATE" blocks, both ways; for files. */
enum err certificate_pem(struct bytes der, struct buf *out) MUST_USE;
/* The n-th certificate of a PEM text, DER appended; ERR_NOTFOUND past the last. */
enum err certificate_from_pem(
	struct bytes pem, size_t n, struct buf *out, struct errctx *ctx) MUST_USE;

#endif
