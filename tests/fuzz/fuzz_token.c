/*
 * What comes by hand or from the disk of a machine that somebody had: join tokens, key files, and
 * the request of a joiner. The same bytes go to each reader; what one takes must hold together. Key
 * files that ask for much work are left out here: the cap itself is tested in test_keystore.
 */
#include <assert.h>

#include "certs/join.h"
#include "certs/record.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

#define NETWORK "ovra.example"
enum { WORK_MAX = 64 }; /* N * r * p of all slots */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct signer *signer;

static void start(void)
{
	static const uint8_t seed[ED25519_SEED_SIZE];
	enum err err;

	if (signer != NULL)
		return;
	err = crypto_init();
	assert(err == OK);
	err = signer_new(BYTES_ARRAY(seed), &signer);
	assert(err == OK);
}

static void check_token(struct bytes text)
{
	struct join_token token = {0}, again = {0};
	struct buf out;
	enum err err;

	if (join_token_read(text, &token, NULL) != OK)
		return;
	buf_init(&out, LIMIT_JOIN_TOKEN);
	err = join_token_write(&token, &out);
	assert(err == OK);
	err = join_token_read(buf_bytes(&out), &again, NULL);
	assert(err == OK);
	assert(memcmp(&token, &again, sizeof(token)) == 0);
	buf_wipe(&out);
}

static void check_boot_keys(struct bytes file)
{
	struct boot_keys keys, again;
	struct buf out;
	enum err err;

	if (boot_keys_read(file, &keys, NULL) != OK)
		return;
	buf_init(&out, LIMIT_KEYSTORE_SIZE);
	err = boot_keys_write(&keys, &out);
	assert(err == OK);
	err = boot_keys_read(buf_bytes(&out), &again, NULL);
	assert(err == OK);
	assert(strcmp(keys.node, again.node) == 0);
	boot_keys_release(&again);
	boot_keys_release(&keys);
	buf_wipe(&out);
}

/* Work that is over the reader's own cap costs nothing: it is refused before any is done. */
static bool cheap(struct bytes file)
{
	Sauti__Keystore *message;
	struct arena arena;
	uint64_t work = 0;
	bool refused = false;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(keystore, file, &scan_limits_default, &arena, &message, NULL) == OK) {
		for (size_t i = 0; i < message->n_slots; i++) {
			const Sauti__KeystoreSlot *slot = message->slots[i];

			if (slot->scrypt_n > 4 * keystore_cost.n ||
				slot->scrypt_r > 4 * keystore_cost.r ||
				slot->scrypt_p > 4 * keystore_cost.p)
				refused = true;
			else
				work += slot->scrypt_n * slot->scrypt_r * slot->scrypt_p;
		}
	}
	arena_release(&arena);
	return refused || work <= WORK_MAX;
}

/* A file whose slot opens can be written again, and opens as before. */
static void check_rewrite(struct bytes file, const char *label)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0}, again = {0};
	CLEANUP(secret_release) struct secret master = {0};
	CLEANUP(buf_wipe) struct buf out;
	enum err err;

	buf_init(&out, LIMIT_KEYSTORE_SIZE);
	if (keystore_open_slot(file, label, bytes_str("fuzz"), &keys, &master, NULL) != OK)
		return;
	assert(keys.accounts.count == 0 || accounts_ok(&keys.accounts));
	err = keystore_rewrite(file, &master, &keys, NULL, &out, NULL);
	assert(err == OK);
	err = keystore_open_master(buf_bytes(&out), &master, &again, NULL);
	assert(err == OK && again.accounts.count == keys.accounts.count);
}

static void check_keystore(struct bytes file)
{
	struct keystore_labels labels;
	struct node_keys keys;

	if (!cheap(file))
		return;
	if (keystore_labels(file, &labels, NULL) == OK)
		check_rewrite(file, labels.label[labels.count - 1]);
	if (keystore_open(file, bytes_str("fuzz"), &keys, NULL) != OK)
		return;
	assert(keys.node_seed.size == 0 || keys.node_seed.size == ED25519_SEED_SIZE);
	node_keys_release(&keys);
}

/* The proof and the signature are made good, so that what stands behind them is reached. */
static void check_request(struct bytes wire)
{
	static const struct join_invite invite = {"haiti", ROLE_OFFICE, "HTI", {1}, 2};
	static const uint8_t exporter[JOIN_EXPORTER_SIZE];
	struct ed25519_signature signature;
	Sauti__JoinRequest *request;
	struct member member;
	struct arena arena;
	struct hash proof;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(join_request, wire, &scan_limits_default, &arena, &request, NULL) != OK)
		goto out;
	err = join_proof(invite.secret, NETWORK, invite.name, codec_bytes(request->tls_public),
		codec_bytes(request->admitted_body), exporter, &proof);
	assert(err == OK);
	if (request->proof.len == HASH_SIZE)
		memcpy(request->proof.data, proof.b, HASH_SIZE);
	if (request->admitted_signature.len == ED25519_SIGNATURE_SIZE &&
		node_sign(signer, PURPOSE_NODE_ADMITTED, codec_bytes(request->admitted_body),
			&signature) == OK)
		memcpy(request->admitted_signature.data, signature.b, ED25519_SIGNATURE_SIZE);
	err = join_request_check(request, NETWORK, &invite, exporter, 1, &member, NULL);
	assert(err == OK || err == ERR_DENIED);
	if (err == OK) {
		assert(strcmp(member.name, "haiti") == 0 && member.role == ROLE_OFFICE);
		assert(member_check(&member, NULL) == OK);
	}
out:
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = bytes_make(data, size);

	start();
	check_token(bytes);
	check_boot_keys(bytes);
	check_keystore(bytes);
	check_request(bytes);
	return 0;
}
