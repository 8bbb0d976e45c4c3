/*
 * fuzz_escrow: what owners, custodians and paper bring. The first byte chooses:
 *
 *   0  a chunk   1  a manifest   2 to 5  letters   6  a share, as words or as a code
 *   7  an outer layer's plaintext, as a version key of a custodian that lies might make it
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hpke.h"
#include "base/words.h"
#include "cases/keys/escrow.h"
#include "certs/mail_escrow.h"
#include "certs/recovery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void chunk(struct bytes in, struct arena *arena)
{
	struct escrow_chunk chunk;

	if (escrow_chunk_read(in, NULL, arena, &chunk, NULL) == OK)
		assert(chunk.number > 0 && chunk.version > 0 && chunk.sealed.size > 0 &&
			chunk.sealed.size <= LIMIT_ESCROW_CHUNK);
}

static void manifest(struct bytes in, struct arena *arena)
{
	struct escrow_manifest m;

	if (escrow_manifest_read(in, NULL, arena, &m, NULL) != OK)
		return;
	assert(m.sequence > 0 && m.chunk_count <= LIMIT_ESCROW_CHUNKS);
	for (size_t i = 1; i < m.chunk_count; i++)
		assert(m.chunks[i - 1].number < m.chunks[i].number);
	escrow_manifest_release(&m);
}

static void keys(struct bytes in, struct arena *arena)
{
	struct version_keys keys;

	if (mail_escrow_keys_read(in, arena, &keys, NULL) != OK)
		return;
	assert(keys.count > 0 && keys.count <= LIMIT_ESCROW_MAIL_KEYS);
	version_keys_release(&keys);
}

static void held(struct bytes in, struct arena *arena)
{
	struct mail_escrow_held held;

	if (mail_escrow_held_read(in, arena, &held, NULL) == OK)
		mail_escrow_held_release(&held);
}

static void wish(struct bytes in, struct arena *arena)
{
	struct mail_recovery_ask ask;

	if (mail_recovery_ask_read(in, arena, &ask, NULL) != OK)
		return;
	assert(ask.ids.count > 0 && ask.prekey.number > 0);
	mail_recovery_ask_release(&ask);
}

static void answer(struct bytes in, struct arena *arena)
{
	struct mail_recovery_answer answer;

	if (mail_recovery_answer_read(in, arena, &answer, NULL) == OK)
		mail_recovery_answer_release(&answer);
}

/* What is read is what is written, with no word wrong. */
static void share(struct bytes in, struct arena *arena)
{
	struct recovery_share share;
	uint16_t words[RECOVERY_WORDS];
	struct errctx ctx = {""};

	if (recovery_read(in, &share, &ctx) != OK)
		return;
	assert(share.number >= 1 && share.number <= RECOVERY_SHARES);
	assert(recovery_words(&share, words) == OK);
	for (size_t i = 0; i < RECOVERY_WORDS; i++)
		assert(words[i] < WORDS_LIST);
	recovery_share_release(&share);
}

static enum err see(void *arg, const struct keyring_entry *entry)
{
	assert(entry->key.size == SEAL_KEY_SIZE && entry->group != GROUP_NONE);
	return OK;
}

/* The input is sealed by both keys, as whoever has them could. */
static void layers(struct bytes in, struct arena *arena)
{
	static const uint8_t version_key[ESCROW_KEY_SIZE] = {1}, private_key[X25519_KEY_SIZE] = {2},
			     ephemeral[X25519_KEY_SIZE] = {3};
	struct escrow_name name = {"ovra.example", "haiti", 1, 1, {{0}}, {{0}}};
	struct escrow_outer outer = {.count = in.size > 0 ? in.data[0] : 0};
	struct buf info, inner;

	buf_init(&info, 256);
	buf_init(&inner, LIMIT_ESCROW_CHUNK + HPKE_OVERHEAD);
	assert(escrow_id_of(BYTES_ARRAY(version_key), &name.version_key) == OK);
	assert(x25519_public(BYTES_ARRAY(private_key), &name.recovery_key) == OK);
	buf_put_str(&info, "sauti/1 escrow keys");
	buf_put_lv16(&info, bytes_str(name.network));
	buf_put_lv16(&info, bytes_str(name.node));
	buf_put_u32be(&info, name.number);
	buf_put_u64be(&info, name.version);
	buf_put(&info, BYTES_ARRAY(name.version_key.b));
	buf_put(&info, BYTES_ARRAY(name.recovery_key.b));
	if (in.size > 1 && in.size <= LIMIT_ESCROW_CHUNK &&
		buf_reserve(&inner, in.size - 1 + HPKE_OVERHEAD) != NULL &&
		hpke_seal(&name.recovery_key, buf_bytes(&info), BYTES_NONE,
			bytes_make(in.data + 1, in.size - 1), BYTES_ARRAY(ephemeral),
			inner.data) == OK) {
		outer.inner = bytes_make(inner.data, in.size - 1 + HPKE_OVERHEAD);
		assert(escrow_open_inner(&name, BYTES_ARRAY(private_key), &outer, see, NULL) !=
			ERR_DECRYPT);
	}
	buf_release(&info);
	buf_release(&inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(struct bytes in, struct arena * arena) = {
		chunk, manifest, keys, held, wish, answer, share, layers};
	static bool ready;
	struct arena arena;

	if (!ready) {
		assert(crypto_init() == OK);
		ready = true;
	}
	if (size == 0)
		return 0;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	targets[data[0] % (sizeof(targets) / sizeof(*targets))](
		bytes_make(data + 1, size - 1), &arena);
	arena_release(&arena);
	return 0;
}
