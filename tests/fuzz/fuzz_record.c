/*
 * Records of the directory, and LogOpened, from anybody. A fuzzer forges no signatures, so the
 * target signs for it: the input is a row of commands, u8 command || u16be length || bytes, that
 * fold entries into a directory.
 *
 *   command & 3     0: the bytes are an entry, as they are
 *                   1, 2, 3: the body of a record of that type, signed here; with command & 16,
 *                   of type 5, 7, 9; with command & 32, of type 4 (the bytes are a KeyChange) and
 *                   6 (u16be length || NodeRevoked || NodeAdmitted), proven by the next key
 *   command >> 2    modulo 4: by which key; number 0 is headquarters'
 *
 * An input whose first byte is odd starts with an empty directory, else with a founded one.
 */
#include <assert.h>

#include "base/cursor.h"
#include "certs/change.h"

#define NETWORK "ovra.example"
enum { SIGNERS = 4, ENTRIES_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct signer *signers[SIGNERS];
static struct buf founding[3];

static struct member founder(void)
{
	struct member hq = {.name = "hq", .role = ROLE_HQ, .active = true, .made_at = 1};

	hq.node = *signer_public(signers[0]);
	hq.mirror.b[0] = 0x11;
	hq.witness.b[0] = 0x12;
	hq.complaint.b[0] = 0x13;
	hq.tls_spki.b[0] = 0x14;
	return hq;
}

static void found(void)
{
	const struct log_opened opened = {
		.origin = NETWORK "/directory/1-0123456789abcdef",
		.log_key = {{0x15}},
	};
	const struct network_created created = {
		.network = NETWORK,
		.hq = "hq",
		.hq_node = *signer_public(signers[0]),
	};
	const struct member hq = founder();
	struct buf body;
	enum err err;

	for (size_t i = 0; i < 3; i++)
		buf_init(&founding[i], LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	err = log_opened_write(&founding[0], &opened, signers[0]);
	assert(err == OK);
	err = network_created_write(&founding[1], &created, signers[0]);
	assert(err == OK);
	err = node_admitted_body(&body, NETWORK, &hq);
	assert(err == OK);
	err = record_write(&founding[2], SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body),
		signers[0]);
	assert(err == OK);
	buf_release(&body);
}

static void start(void)
{
	enum err err;

	if (signers[0] != NULL)
		return;
	err = crypto_init();
	assert(err == OK);
	for (size_t i = 0; i < SIGNERS; i++) {
		uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)i};

		err = signer_new(BYTES_ARRAY(seed), &signers[i]);
		assert(err == OK);
	}
	found();
}

/* What is taken must come out again as it went in. */
static void check_log_opened(struct bytes entry)
{
	struct log_opened opened, again;
	struct arena arena;
	struct buf out;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (log_opened_read(entry, NULL, &arena, &opened, NULL) == OK) {
		buf_init(&out, LIMIT_ENTRY_SIZE);
		err = log_opened_write(&out, &opened, signers[0]);
		assert(err == OK);
		err = log_opened_read(
			buf_bytes(&out), signer_public(signers[0]), &arena, &again, NULL);
		assert(err == OK);
		assert(strcmp(opened.origin, again.origin) == 0);
		assert(strcmp(opened.previous_origin, again.previous_origin) == 0);
		assert(memcmp(opened.log_key.b, again.log_key.b, ED25519_PUBLIC_SIZE) == 0);
		assert(opened.opened_at == again.opened_at);
		buf_release(&out);
	}
	arena_release(&arena);
}

static void check_member(const struct directory *directory, const struct member *member)
{
	struct member again;
	struct arena arena;
	struct buf body;
	enum err err;

	assert(directory_find(directory, bytes_str(member->name)) == member);
	assert(directory_find_spki(directory, &member->tls_spki) == member);
	assert(member->admitted_index < directory_size(directory));
	assert(member->active ==
		(directory_revocation(directory, bytes_str(member->name)) == NULL));
	assert(member->role == ROLE_HQ || member != directory_at(directory, 0));
	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	err = node_admitted_body(&body, NETWORK, member);
	assert(err == OK);
	err = node_admitted_read(buf_bytes(&body), &arena, NETWORK, &again, NULL);
	assert(err == OK);
	again.admitted_index = member->admitted_index;
	again.active = member->active;
	again.keys_index = member->keys_index;
	again.former = member->former;
	again.changes = member->changes;
	if (member->changes > 0) /* it says when it was admitted, not these keys */
		again.made_at = member->made_at;
	assert(memcmp(&again, member, sizeof(again)) == 0);
	buf_release(&body);
	arena_release(&arena);
}

/* Keys that it had find nobody, and are older the further back they are. */
static void check_formers(const struct directory *directory, const struct member *member)
{
	uint64_t index = member->keys_index;
	uint32_t epoch = UINT32_MAX, count = 0;

	for (const struct former *f = member->former; f != NULL; f = f->former) {
		assert(f->index == index || (count > 0 && f->index < index));
		assert(f->epoch <= epoch && strcmp(f->name, member->name) == 0);
		assert(directory_find_spki(directory, &f->tls_spki) == NULL);
		assert(memcmp(&f->node, &member->node, sizeof(f->node)) != 0);
		index = f->index;
		epoch = f->epoch;
		count++;
	}
	assert(count == member->changes && count <= LIMIT_KEY_CHANGES);
}

static bool share_a_key(const struct member *a, const struct member *b)
{
	const uint8_t *of_a[] = {
		a->node.b, a->mirror.b, a->witness.b, a->complaint.b, a->tls_spki.b};
	const uint8_t *of_b[] = {
		b->node.b, b->mirror.b, b->witness.b, b->complaint.b, b->tls_spki.b};

	for (size_t i = 0; i < 25; i++) {
		if (memcmp(of_a[i / 5], of_b[i % 5], HASH_SIZE) == 0)
			return true;
	}
	return false;
}

static void check_policy(const struct directory *directory)
{
	const struct policy *policy = directory_policy(directory);

	assert(policy_check(policy, NULL) == OK);
	assert(policy->quorum >= POLICY_QUORUM_MIN && policy->hide_below >= POLICY_HIDE_MIN &&
		policy->split_offices >= POLICY_SPLIT_MIN);
	for (size_t i = 0; i < policy->mirror_count; i++)
		assert(directory_find(directory, bytes_str(policy->mirrors[i])) != NULL);
}

static void check_directory(const struct directory *directory)
{
	const struct member *a, *b;
	const char *reason;
	uint64_t odd = directory_odd(directory, &reason);

	assert((odd == 0) == (reason[0] == '\0'));
	check_policy(directory);
	a = directory_at(directory, 0);
	assert(a == NULL || a->active);
	assert(a == NULL || a->role == ROLE_HQ);
	assert(a == NULL || directory_origin(directory, NULL) != NULL);
	for (size_t i = 0; (a = directory_at(directory, i)) != NULL; i++) {
		check_member(directory, a);
		check_formers(directory, a);
		for (size_t j = 0; j < i; j++) {
			b = directory_at(directory, j);
			assert(strcmp(a->name, b->name) != 0 && !share_a_key(a, b));
		}
	}
}

static void apply(struct directory *directory, struct bytes entry)
{
	uint64_t size = directory_size(directory);
	enum err err = directory_apply(directory, entry);

	assert(err == OK && directory_size(directory) == size + 1);
}

/* Nobody forges the new key's signature: it is made here. */
static void change_body(
	struct buf *out, uint8_t type, struct bytes bytes, const struct signer *fresh)
{
	Sauti__NodeKeysRotated rotated = SAUTI__NODE_KEYS_ROTATED__INIT;
	Sauti__NodeReplaced replaced = SAUTI__NODE_REPLACED__INIT;
	struct cursor cursor = cursor_make(bytes);
	struct ed25519_signature signature;
	struct bytes closing;
	enum err err;

	if (type == SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED) {
		err = node_sign(fresh, PURPOSE_KEYS_PROOF, bytes, &signature);
		assert(err == OK);
		rotated.change = codec_binary(bytes);
		rotated.proof = codec_binary(BYTES_ARRAY(signature.b));
		codec_pack(out, &rotated);
		return;
	}
	closing = cursor_lv16(&cursor);
	err = node_sign(fresh, PURPOSE_NODE_ADMITTED, cursor.rest, &signature);
	assert(err == OK);
	replaced.closing = codec_binary(closing);
	replaced.admitted = codec_binary(cursor.rest);
	replaced.admitted_signature = codec_binary(BYTES_ARRAY(signature.b));
	replaced.epoch = 5;
	codec_pack(out, &replaced);
}

static void command(struct directory *directory, uint8_t command_byte, struct bytes bytes)
{
	static const uint8_t types[4][4] = {{0, 1, 2, 3}, {0, 5, 7, 9}, {0, 4, 6, 4}, {0, 4, 6, 6}};
	size_t number = command_byte >> 2 & (SIGNERS - 1);
	const struct signer *signer = signers[number];
	uint8_t type = types[command_byte >> 4 & 3][command_byte & 3];
	struct buf entry, body;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&body, 2 * LIMIT_ENTRY_SIZE);
	if ((command_byte & 3) != 0 && (command_byte & 32) != 0) {
		change_body(&body, type, bytes, signers[(number + 1) & (SIGNERS - 1)]);
		bytes = buf_bytes(&body);
	}
	if ((command_byte & 3) == 0) {
		buf_put(&entry, bytes);
		err = entry.err;
	} else {
		err = record_write(&entry, (Sauti__RecordType)type, bytes, signer);
	}
	if (err == OK) {
		apply(directory, buf_bytes(&entry));
		check_log_opened(buf_bytes(&entry));
	}
	buf_release(&entry);
	buf_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_make(bytes_make(data, size));
	struct directory *directory;
	enum err err;

	start();
	err = directory_new(NETWORK, &directory);
	assert(err == OK);
	if (size > 0 && (cursor_u8(&cursor) & 1) == 0) {
		for (size_t i = 0; i < 3; i++)
			apply(directory, buf_bytes(&founding[i]));
		assert(directory_odd(directory, NULL) == 0);
	}
	for (size_t i = 0; i < ENTRIES_MAX && cursor.rest.size > 0; i++) {
		uint8_t command_byte = cursor_u8(&cursor);
		struct bytes bytes = cursor_lv16(&cursor);

		if (cursor.err != OK)
			break;
		command(directory, command_byte, bytes);
	}
	check_directory(directory);
	directory_free(directory);
	return 0;
}
