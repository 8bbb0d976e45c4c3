/*
 * Sealing of any plaintext, header and padding as given: what seal.c would never write. Written
 * from DESIGN 8 beside seal.c, for tests of the opener and for the vectors.
 */
#ifndef TESTS_SEAL_RAW_H
#define TESTS_SEAL_RAW_H

#include <assert.h>

#include "base/crypto.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"

struct seal_raw {
	uint8_t k[32];
	struct hash origin;
	uint64_t i;
	uint8_t salt[16];
	struct bytes plaintext; /* header, part and padding */
	uint32_t suite;         /* 0: 1 */
	size_t locator_size;    /* 0: 16 */
};

static inline void seal_raw(const struct seal_raw *raw, struct buf *out)
{
	struct bytes key = BYTES_ARRAY(raw->k), label = bytes_str("sauti/1 locator");
	uint8_t index[8], suite[4], locator_key[32], locator[16], okm[76];
	static uint8_t body[LIMIT_ENTRY_SIZE];
	struct hash mac, p;
	struct aead_key aead;
	struct buf aad;
	Sauti__Sealed sealed = SAUTI__SEALED__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;

	put_u64be(index, raw->i);
	put_u32be(suite, 1);
	assert(hkdf_expand(key, &label, 1, locator_key, 32) == OK);
	struct bytes where[] = {hash_bytes(&raw->origin), BYTES_ARRAY(index)};
	assert(hmac_sha256(BYTES_ARRAY(locator_key), where, 2, &mac) == OK);
	memcpy(locator, mac.b, 16);
	assert(hkdf_extract(BYTES_ARRAY(raw->salt), key, &p) == OK);
	struct bytes info[] = {
		bytes_str("sauti/1 entry"), hash_bytes(&raw->origin), BYTES_ARRAY(locator)};
	assert(hkdf_expand(hash_bytes(&p), info, 3, okm, sizeof okm) == OK);
	memcpy(aead.key, okm + 32, 32);
	memcpy(aead.nonce, okm + 64, 12);
	buf_init(&aad, 256);
	buf_put(&aad, BYTES_ARRAY(suite));
	buf_put(&aad, hash_bytes(&raw->origin));
	buf_put(&aad, BYTES_ARRAY(locator));
	buf_put(&aad, BYTES_ARRAY(raw->salt));
	buf_put(&aad, bytes_make(okm, 32));
	assert(aad.err == OK && raw->plaintext.size + 16 <= sizeof body);
	assert(aead_seal(&aead, buf_bytes(&aad), raw->plaintext, body) == OK);
	buf_release(&aad);
	sealed.suite = raw->suite == 0 ? 1 : raw->suite;
	sealed.salt = codec_binary(BYTES_ARRAY(raw->salt));
	sealed.locator =
		codec_binary(bytes_make(locator, raw->locator_size == 0 ? 16 : raw->locator_size));
	sealed.commitment = codec_binary(bytes_make(okm, 32));
	sealed.body = codec_binary(bytes_make(body, raw->plaintext.size + 16));
	entry.body_case = SAUTI__ENTRY__BODY_SEALED;
	entry.sealed = &sealed;
	codec_pack(out, &entry);
	assert(out->err == OK);
}

#endif
