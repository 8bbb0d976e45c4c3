/*
 * keystore: the bytes of a node's key files. The boot keys (tls, mirror, witness) stand plain, under
 * the file's mode; the rest is sealed under a random master key, which each slot wraps under a
 * passphrase with scrypt (DESIGN 7: N = 2^16, r = 8, p = 1). No I/O: see node/.
 */
#ifndef CERTS_KEYSTORE_H
#define CERTS_KEYSTORE_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/secret.h"

struct boot_keys {
	char network[LIMIT_NETWORK_NAME + 1];
	char node[LIMIT_NODE_NAME + 1];
	struct secret tls_key; /* PKCS#8 DER */
	struct secret mirror_seed, witness_seed;
};
enum err boot_keys_make(const char *network, const char *node, struct boot_keys *ret) MUST_USE;
enum err boot_keys_write(const struct boot_keys *keys, struct buf *out) MUST_USE;
enum err boot_keys_read(struct bytes file, struct boot_keys *ret, struct errctx *ctx) MUST_USE;
void boot_keys_release(struct boot_keys *keys);

/* Keys available after unlock. Absent ones have size 0. */
struct node_keys {
	struct secret node_seed, log_seed, keyring_key, complaint_key;
	struct secret directory_seed, issuing_key; /* headquarters */
	struct secret root_key;                    /* the root's own file */
	char log_origin[LIMIT_ORIGIN + 1];
	char directory_origin[LIMIT_ORIGIN + 1];
};
/* Fresh node, log, keyring and complaint keys; log_origin copied. */
enum err node_keys_make(const char *log_origin, struct node_keys *ret) MUST_USE;
void node_keys_release(struct node_keys *keys);

extern const struct scrypt_cost keystore_cost; /* N 2^16, r 8, p 1 */

/* A keystore file with one slot. cost: keystore_cost but in tests. An empty passphrase is
 * ERR_INVALID, one over LIMIT_PASSPHRASE is ERR_LIMIT. */
enum err keystore_seal(const struct node_keys *keys, const char *label, struct bytes passphrase,
	struct scrypt_cost cost, struct buf *out) MUST_USE;
/* ERR_DENIED: no slot opens with this passphrase. ERR_CORRUPT: damaged. ERR_VERSION: newer.
 * Stored scrypt parameters over 4 times keystore_cost are ERR_LIMIT before any work. */
enum err keystore_open(struct bytes file, struct bytes passphrase, struct node_keys *ret,
	struct errctx *ctx) MUST_USE;

#endif
