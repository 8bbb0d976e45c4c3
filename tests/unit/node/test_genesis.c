#include "node_test.h"

#include "certs/keystore.h"
#include "certs/record.h"
#include "node/genesis.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

#define NETWORK "ovra.example"
#define ORIGIN  NETWORK "/directory/1-0123456789abcdef"

/* A directory of three records and the pieces a genesis is made of. */
static struct fixture {
	struct signer *node, *directory;
	struct ed25519_public key;
	struct buf records[3], note;
	struct bytes entries[3];
	struct genesis_parts parts;
} f;

static struct signer *new_signer(uint8_t fill)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer;

	memset(seed, fill, sizeof(seed));
	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	return signer;
}

static void root_at(size_t size, struct hash *ret)
{
	struct compact compact;

	compact_init(&compact);
	for (size_t i = 0; i < size; i++) {
		struct hash leaf;

		tree_leaf(f.entries[i], &leaf);
		compact_append(&compact, &leaf);
	}
	compact_root(&compact, ret);
}

static void sign_note(size_t size, const char *origin, const struct signer *signer)
{
	struct checkpoint checkpoint = {.size = size};

	assert_ok(origin_parse(bytes_str(origin), &checkpoint.origin, NULL));
	root_at(size, &checkpoint.root);
	buf_clear(&f.note);
	assert_ok(checkpoint_sign(&f.note, &checkpoint, signer));
	f.parts.checkpoint = buf_bytes(&f.note);
}

static void write_hq(struct buf *out)
{
	struct member hq = {.name = "hq", .role = ROLE_HQ, .active = true, .made_at = 7};
	struct signer *mirror = new_signer(3), *witness = new_signer(4);
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	memset(&hq.tls_spki, 5, sizeof(hq.tls_spki));
	memset(&hq.complaint, 6, sizeof(hq.complaint));
	hq.node = *signer_public(f.node);
	hq.mirror = *signer_public(mirror);
	hq.witness = *signer_public(witness);
	assert_ok(node_admitted_body(&body, NETWORK, &hq));
	assert_ok(record_write(
		out, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, buf_bytes(&body), f.node));
	buf_release(&body);
	signer_free(mirror);
	signer_free(witness);
}

static int setup(void **state)
{
	struct log_opened opened = {.origin = ORIGIN, .previous_origin = "", .opened_at = 7};
	struct network_created created = {.network = NETWORK, .hq = "hq", .created_at = 7};

	assert_ok(crypto_init());
	f = (struct fixture){.node = new_signer(1), .directory = new_signer(2)};
	f.key = *signer_public(f.directory);
	buf_init(&f.note, LIMIT_NOTE_SIZE);
	for (int i = 0; i < 3; i++)
		buf_init(&f.records[i], LIMIT_ENTRY_SIZE);
	opened.log_key = f.key;
	created.hq_node = *signer_public(f.node);
	memset(&created.root_certificate, 9, sizeof(created.root_certificate));
	assert_ok(log_opened_write(&f.records[0], &opened, f.node));
	assert_ok(network_created_write(&f.records[1], &created, f.node));
	write_hq(&f.records[2]);
	for (int i = 0; i < 3; i++)
		f.entries[i] = buf_bytes(&f.records[i]);
	f.parts = (struct genesis_parts){
		.network = NETWORK,
		.origin = ORIGIN,
		.key = &f.key,
		.entries = f.entries,
		.count = 3,
	};
	sign_note(3, ORIGIN, f.directory);
	return test_dir_make(state);
}

static int teardown(void **state)
{
	signer_free(f.node);
	signer_free(f.directory);
	for (int i = 0; i < 3; i++)
		buf_release(&f.records[i]);
	buf_release(&f.note);
	crypto_release();
	return test_dir_remove(state);
}

static enum err make(struct errctx *ctx)
{
	struct genesis genesis = {0};
	enum err err;

	ctx->text[0] = '\0';
	err = genesis_make(&f.parts, &genesis, ctx);
	genesis_release(&genesis);
	return err;
}

static void test_round_trip(void **state)
{
	struct genesis genesis, again;
	struct errctx ctx;

	(void)state;
	assert_ok(genesis_make(&f.parts, &genesis, &ctx));
	assert_int_equal(genesis.checkpoint.size, 3);
	assert_ok(genesis_save(&genesis, in_dir("genesis"), &ctx));
	assert_ok(genesis_load(in_dir("genesis"), &again, &ctx));
	assert_string_equal(again.network, NETWORK);
	assert_string_equal(again.origin.text, ORIGIN);
	assert_memory_equal(&again.key, &f.key, sizeof(f.key));
	assert_true(checkpoint_equal(&again.checkpoint, &genesis.checkpoint));
	assert_true(bytes_equal(buf_bytes(&again.note), buf_bytes(&f.note)));
	assert_int_equal(directory_size(again.directory), 3);
	assert_non_null(directory_find(again.directory, bytes_str("hq")));
	assert_true(bytes_equal(again.entries->entry[2], f.entries[2]));
	genesis_release(&genesis);
	genesis_release(&again);
}

/* Whoever gives the directory out can add lines to its note: the store never gets them. */
static void test_other_lines(void **state)
{
	struct bytes plain = f.parts.checkpoint;
	struct genesis genesis;
	struct errctx ctx;
	struct buf note;

	(void)state;
	buf_init(&note, LIMIT_NOTE_SIZE);
	buf_put(&note, plain);
	assert_ok(cosignature_sign(
		&note, bytes_str("another text\n"), 7, NETWORK "/mirror/hq", f.node));
	f.parts.checkpoint = buf_bytes(&note);
	assert_ok(genesis_make(&f.parts, &genesis, &ctx));
	assert_true(bytes_equal(buf_bytes(&genesis.note), plain));
	genesis_release(&genesis);
	buf_release(&note);
}

static void test_known(void **state)
{
	struct errctx ctx;

	(void)state;
	for (f.parts.known_size = 1; f.parts.known_size <= 3; f.parts.known_size++) {
		root_at(f.parts.known_size, &f.parts.known_root);
		assert_ok(make(&ctx));
		f.parts.known_root.b[31] ^= 1;
		assert_int_equal(make(&ctx), ERR_PROOF);
		assert_says(ctx, "not those that were known before");
	}
	assert_int_equal(f.parts.known_size, 4);
	assert_int_equal(make(&ctx), ERR_PROOF);
	assert_says(ctx, "had 4 before");
}

static void test_tampered(void **state)
{
	struct ed25519_public other = *signer_public(f.node);
	struct errctx ctx;

	(void)state;
	/* every byte of the last record counts */
	for (size_t i = 0; i < f.records[2].size; i += 7) {
		f.records[2].data[i] ^= 1;
		assert_int_equal(make(&ctx), ERR_PROOF);
		f.records[2].data[i] ^= 1;
	}
	f.parts.count = 2;
	assert_int_equal(make(&ctx), ERR_PROOF);
	f.parts.count = 3;
	f.parts.key = &other;
	assert_int_equal(make(&ctx), ERR_UNTRUSTED);
	f.parts.key = &f.key;
	f.note.data[f.note.size - 10] ^= 2;
	assert_int_not_equal(make(&ctx), OK);
	f.note.data[f.note.size - 10] ^= 2;
	assert_ok(make(&ctx));
}

static void test_wrong_names(void **state)
{
	static const char other_epoch[] = NETWORK "/directory/1-fedcba9876543210";
	struct errctx ctx;

	(void)state;
	f.parts.network = "other.example";
	assert_int_equal(make(&ctx), ERR_MALFORMED);
	assert_says(ctx, "not the directory of 'other.example'");
	f.parts.network = NETWORK;
	f.parts.origin = NETWORK "/hq/1-0123456789abcdef";
	assert_int_equal(make(&ctx), ERR_MALFORMED);
	f.parts.origin = "no origin";
	assert_int_not_equal(make(&ctx), OK);
	/* signed by the right key, for an epoch that the first record does not open */
	f.parts.origin = other_epoch;
	sign_note(3, other_epoch, f.directory);
	assert_int_equal(make(&ctx), ERR_UNTRUSTED);
	assert_says(ctx, "another origin or key");
	f.parts.origin = ORIGIN;
	assert_int_not_equal(make(&ctx), OK);
}

static void test_no_network(void **state)
{
	struct errctx ctx;

	(void)state;
	f.parts.count = 1;
	sign_note(1, ORIGIN, f.directory);
	assert_int_equal(make(&ctx), ERR_MALFORMED);
	assert_says(ctx, "names no network");
	f.parts.count = 0;
	assert_int_not_equal(make(&ctx), OK);
}

static void put_bytes(const char *path, struct bytes data)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data.data, 1, data.size, file), data.size);
	fclose(file);
}

/* A file that changed on the disk is damage, whatever changed; flips that protobuf cannot see do
 * not exist: every byte is under the signature, the tree, or a check. */
static void test_damaged_file(void **state)
{
	struct genesis genesis;
	struct errctx ctx;
	struct buf file;

	(void)state;
	buf_init(&file, GENESIS_SIZE_MAX);
	assert_ok(genesis_make(&f.parts, &genesis, &ctx));
	assert_ok(genesis_pack(&genesis, &file));
	genesis_release(&genesis);
	for (size_t i = 0; i < file.size; i += 3) {
		enum err err;

		file.data[i] ^= 0x10;
		put_bytes(in_dir("genesis"), buf_bytes(&file));
		memset(&genesis, 0, sizeof(genesis));
		err = genesis_load(in_dir("genesis"), &genesis, &ctx);
		if (err != ERR_CORRUPT && err != ERR_VERSION)
			fail_msg("byte %zu: %s", i, err == OK ? "accepted" : ctx.text);
		assert_says(ctx, "genesis");
		file.data[i] ^= 0x10;
	}
	put_bytes(in_dir("genesis"), bytes_make(file.data, file.size - 1));
	assert_int_equal(genesis_load(in_dir("genesis"), &genesis, &ctx), ERR_CORRUPT);
	put_bytes(in_dir("genesis"), bytes_str(""));
	assert_int_not_equal(genesis_load(in_dir("genesis"), &genesis, &ctx), OK);
	assert_int_equal(genesis_load(in_dir("none"), &genesis, &ctx), ERR_NOTFOUND);
	buf_release(&file);
}

static void test_version(void **state)
{
	Sauti__Genesis message = SAUTI__GENESIS__INIT;
	struct genesis genesis;
	struct errctx ctx;
	struct buf file;

	(void)state;
	buf_init(&file, 100);
	message.version = GENESIS_VERSION + 1;
	codec_pack(&file, &message);
	assert_int_equal(genesis_unpack(buf_bytes(&file), &genesis, &ctx), ERR_VERSION);
	buf_release(&file);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_other_lines),
		TEST(test_known),
		TEST(test_tampered),
		TEST(test_wrong_names),
		TEST(test_no_network),
		TEST(test_damaged_file),
		TEST(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
