/*
 * keystore: the bytes of a node's key files. The boot keys (tls, mirror, witness) stand plain,
 * under the file's mode; the rest is sealed under a random master key, which each slot wraps under
 * a passphrase with scrypt (DESIGN 7: N = 2^16, r = 8, p = 1). No I/O: see node/. The file of the
 * root key has the same form, with root_key alone in it.
 *
 * Version 3, or 1 without accounts: as `init` made it once, and the root's file still; 2 has no
 * inbox key and no ages of prekeys, and becomes 3 when it is written next. The file is a protobuf
 * message Keystore (proto/stored.proto) without unknown fields. All AEADs are AES-256-GCM with a
 * random 12-byte nonce and the 16-byte tag at the end; || is concatenation, lv16(x) is u16be(length
 * of x) || x:
 *
 *   slot key   = scrypt(passphrase, salt, N, r, p), 32 bytes; salt: 16 random bytes
 *   slot aad   = "sauti/1 keystore slot" || u32be(1) || lv16(label)
 *                || u64be(N) || u32be(r) || u32be(p) || lv16(salt)
 *   master     = AEAD(slot key, slot nonce, slot aad, master key): 32 + 16 bytes
 *   body aad   = "sauti/1 keystore body" || u32be(version) || u16be(count of slots)
 *                || for each slot in the order of the file:
 *                   lv16(label) || u64be(N) || u32be(r) || u32be(p)
 *                   || lv16(salt) || lv16(slot nonce) || lv16(master)
 *   body       = AEAD(master key, body nonce, body aad, KeystoreBody packed)
 *
 * The body binds every slot: one that was removed cannot be put back, nor one be changed, without
 * the master key. Whoever changes the slots seals the body anew, with a new nonce.
 *
 * From version 2 on the body has the table of accounts (certs/account.h), and the labels of the
 * slots are the names of those that are not disabled. A file of version 1 gets its table when it is
 * read: each slot is an account with ACCOUNT_ROLES_FIRST; the next rewrite makes it version 3.
 *
 * Writers reserve all room first, so that growth leaves no copy of a key behind when `out` is
 * empty; wipe it with buf_wipe.
 */
#ifndef CERTS_KEYSTORE_H
#define CERTS_KEYSTORE_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/secret.h"
#include "certs/account.h"
#include "certs/prekeys.h"

enum {
	BOOT_KEYS_VERSION = 1,
	KEYSTORE_VERSION = 3,
	KEYSTORE_SLOTS_MAX = 16,
	KEYSTORE_LABEL_MAX = 64, /* bytes of UTF-8, at least one */
	KEYSTORE_SALT_SIZE = 16,
	KEYSTORE_DER_MAX = 1024,  /* a private key, PKCS#8 */
	KEYSTORE_BOOT_MAX = 2048, /* boot keys, as a file */
};

/* File keys/boot: a BootKeys message, plain. */
struct boot_keys {
	char network[LIMIT_NETWORK_NAME + 1];
	char node[LIMIT_NODE_NAME + 1];
	struct secret tls_key; /* PKCS#8 DER */
	struct secret mirror_seed, witness_seed;
	char log_origin[LIMIT_ORIGIN + 1]; /* a machine that took another's name: its first log */
};
/* ERR_INVALID for names that are not valid; ERR_CRYPTO, ERR_NOMEM. */
enum err boot_keys_make(const char *network, const char *node, struct boot_keys *ret) MUST_USE;
enum err boot_keys_write(const struct boot_keys *keys, struct buf *out) MUST_USE;
/* ERR_CORRUPT: damaged; ERR_VERSION: of a newer Sauti; ERR_NOMEM. */
enum err boot_keys_read(struct bytes file, struct boot_keys *ret, struct errctx *ctx) MUST_USE;
void boot_keys_release(struct boot_keys *keys);

/* The private half of a prekey (certs/record.h); size 0: it is gone. */
struct node_prekey {
	struct prekey_state is;
	struct secret key;
};

/* Rows of the keyring that are being destroyed, and the key that the others come under. Holds
 * nothing (count 0) but between the beginning of a destruction and its end. */
enum { KEYSTORE_ROW_SIZE = 16 };
struct keystore_erasure {
	struct secret keyring_next;
	uint8_t rows[LIMIT_ERASE_ROWS][KEYSTORE_ROW_SIZE]; /* their names, ascending */
	size_t count;
};

/* Keys available after unlock. Absent ones have size 0. */
struct node_keys {
	struct node_prekey prekeys[PREKEYS_MAX]; /* in order of their numbers */
	size_t prekey_count;
	struct secret node_seed, log_seed, keyring_key, complaint_key;
	struct secret inbox_key;                   /* of received notices */
	struct secret directory_seed, issuing_key; /* headquarters */
	struct secret root_key;                    /* the root's own file */
	struct secret next_node_seed, next_boot;   /* while they rotate: the new node key, and the
						    * file of new boot keys */
	char log_origin[LIMIT_ORIGIN + 1];
	char directory_origin[LIMIT_ORIGIN + 1];
	struct accounts accounts; /* of the node's file */
	struct keystore_erasure erasure;
};
/* Fresh node, log, keyring, complaint and inbox keys; log_origin copied. ERR_INVALID for an origin
 * that is empty or over LIMIT_ORIGIN; ERR_CRYPTO, ERR_NOMEM. */
enum err node_keys_make(const char *log_origin, struct node_keys *ret) MUST_USE;
void node_keys_release(struct node_keys *keys);
void node_keys_prekeys(const struct node_keys *keys, struct prekey_table *ret);
/* Does what is due with the prekeys (certs/prekeys.h). What is gone is wiped, and a new one made.
 * *ret_changed: the keystore is to be written; *ret_full as prekey_step. ERR_CRYPTO, ERR_NOMEM:
 * keys are then of no more use. */
enum err node_keys_step_prekeys(struct node_keys *keys, const struct prekey_look *look,
	bool *ret_changed, bool *ret_full) MUST_USE;

extern const struct scrypt_cost keystore_cost; /* N 2^16, r 8, p 1 */

/* A keystore file with one slot; of version 2 when `keys` has accounts, whose only one that is not
 * disabled must be named label. cost: keystore_cost but in tests. A passphrase that
 * is empty or has a zero byte is ERR_INVALID, one over LIMIT_PASSPHRASE is ERR_LIMIT. Also
 * ERR_INVALID: a label that is empty, too long or not UTF-8, keys of a wrong size, no key at all;
 * ERR_CRYPTO, ERR_NOMEM. */
enum err keystore_seal(const struct node_keys *keys, const char *label, struct bytes passphrase,
	struct scrypt_cost cost, struct buf *out) MUST_USE;
/* ERR_DENIED: no slot opens with this passphrase (a damaged slot looks the same). ERR_CORRUPT:
 * damaged, or over LIMIT_KEYSTORE_SIZE. ERR_VERSION: of a newer Sauti. Stored scrypt parameters
 * over 4 times keystore_cost are ERR_LIMIT before any work. An empty passphrase is ERR_INVALID, one
 * over LIMIT_PASSPHRASE ERR_LIMIT; ERR_CRYPTO, ERR_NOMEM. */
enum err keystore_open(struct bytes file, struct bytes passphrase, struct node_keys *ret,
	struct errctx *ctx) MUST_USE;

/* The labels of the slots, in the order of the file: they stand there in the clear. */
struct keystore_labels {
	char label[KEYSTORE_SLOTS_MAX][KEYSTORE_LABEL_MAX + 1];
	size_t count;
};
/* ERR_CORRUPT, ERR_VERSION, ERR_LIMIT, ERR_NOMEM as above. */
enum err keystore_labels(
	struct bytes file, struct keystore_labels *ret, struct errctx *ctx) MUST_USE;

/* Opens the one slot of that label. There being none costs the same time and says the same. The
 * master key is what keystore_rewrite wants. Errors of keystore_open. */
enum err keystore_open_slot(struct bytes file, const char *label, struct bytes passphrase,
	struct node_keys *ret, struct secret *ret_master, struct errctx *ctx) MUST_USE;

/* Once more, by the master key. ERR_DENIED: it is not this file's. */
enum err keystore_open_master(struct bytes file, const struct secret *master, struct node_keys *ret,
	struct errctx *ctx) MUST_USE;

/* What becomes of one slot. */
struct keystore_change {
	enum { KEYSTORE_SLOT_ADD, KEYSTORE_SLOT_REMOVE, KEYSTORE_SLOT_REPLACE } what;
	const char *label;
	struct bytes passphrase; /* the new one; not of REMOVE */
	struct scrypt_cost cost;
};
/* The same file with other keys in it, and one slot changed (NULL: none): the others open it as
 * before; the body gets a new nonce. keys->accounts is the table that goes with the slots as they
 * are afterwards (ERR_INVALID when it does not). Appends to out. ERR_DENIED: `master` is not this
 * file's. ERR_EXISTS, ERR_NOTFOUND: a slot of that label; ERR_LIMIT: KEYSTORE_SLOTS_MAX. Errors of
 * keystore_labels and keystore_seal. */
enum err keystore_rewrite(struct bytes file, const struct secret *master,
	const struct node_keys *keys, const struct keystore_change *change, struct buf *out,
	struct errctx *ctx) MUST_USE;

#endif
