#include "cases_test.h"

#include "cases/keys/escrow.h"

static const uint8_t version_key[32] = {9, 9};
static const uint8_t tag_key[32] = {4};
static const uint8_t ephemeral[32] = {5, 1};
static const uint8_t nonce[AEAD_NONCE_SIZE] = {3};
static const uint8_t private_key[32] = {77, 1, 2};
#define ORIGIN "ovra.example/haiti/1-0011223344556677"

static struct escrow_name make_name(void)
{
	struct escrow_name name = {"ovra.example", "haiti", 3, 2, {{0}}, {{0}}};

	assert_ok(escrow_id_of(BYTES_ARRAY(version_key), &name.version_key));
	assert_ok(x25519_public(BYTES_ARRAY(private_key), &name.recovery_key));
	return name;
}

static struct keyring_entry make_entry(unsigned number, const char *origin)
{
	struct keyring_entry entry = {.group = GROUP_HEALTH, .author = "haiti"};
	uint8_t k[SEAL_KEY_SIZE] = {0xee};

	put_u32be(k + 4, number);
	put_u32be(entry.case_ref.b, number / 3);
	entry.generation = number;
	snprintf(entry.origin, sizeof(entry.origin), "%s", origin);
	assert_ok(secret_copy(&entry.key, BYTES_ARRAY(k)));
	return entry;
}

static void add(struct escrow_pack *pack, unsigned number, const char *origin)
{
	struct keyring_entry entry = make_entry(number, origin);

	assert_ok(escrow_pack_add(pack, &entry, BYTES_ARRAY(tag_key)));
	keyring_entry_release(&entry);
}

static void seal(unsigned count, struct buf *out)
{
	struct escrow_name name = make_name();
	struct escrow_pack pack;

	assert_ok(escrow_pack_init(&pack));
	for (unsigned i = 0; i < count; i++)
		add(&pack, i, ORIGIN);
	buf_init(out, LIMIT_ESCROW_CHUNK);
	assert_ok(escrow_seal(
		&pack, &name, BYTES_ARRAY(version_key), nonce, BYTES_ARRAY(ephemeral), out));
	escrow_pack_release(&pack);
}

struct seen {
	unsigned count;
	enum err answer;
};

static enum err see(void *arg, const struct keyring_entry *entry)
{
	struct seen *seen = arg;
	struct keyring_entry expected = make_entry(seen->count, ORIGIN);

	assert_memory_equal(entry->key.data, expected.key.data, SEAL_KEY_SIZE);
	assert_memory_equal(entry->case_ref.b, expected.case_ref.b, CASE_REF_SIZE);
	assert_int_equal(entry->group, GROUP_HEALTH);
	assert_int_equal(entry->generation, seen->count);
	assert_string_equal(entry->author, "haiti");
	assert_string_equal(entry->origin, ORIGIN);
	keyring_entry_release(&expected);
	seen->count++;
	return seen->answer;
}

static void round_trip(void **state)
{
	struct escrow_name name = make_name();
	struct seen seen = {0, OK};
	struct escrow_outer outer;
	struct escrow_tag tag;
	struct keyring_entry entry = make_entry(1, ORIGIN);
	struct seal_kid kid;
	struct buf sealed, plain;

	seal(5, &sealed);
	buf_init(&plain, LIMIT_ESCROW_CHUNK);
	assert_ok(escrow_open_outer(
		&name, BYTES_ARRAY(version_key), nonce, buf_bytes(&sealed), &plain, &outer));
	assert_int_equal(outer.count, 5);
	assert_ok(seal_kid_of(secret_bytes(&entry.key), &kid));
	assert_ok(escrow_tag_of(BYTES_ARRAY(tag_key), &kid, &tag));
	assert_memory_equal(outer.tags.data + ESCROW_TAG_SIZE, tag.b, ESCROW_TAG_SIZE);
	assert_ok(escrow_open_inner(&name, BYTES_ARRAY(private_key), &outer, see, &seen));
	assert_int_equal(seen.count, 5);
	/* Who takes them may stop. */
	seen = (struct seen){0, ERR_CANCELED};
	assert_int_equal(escrow_open_inner(&name, BYTES_ARRAY(private_key), &outer, see, &seen),
		ERR_CANCELED);
	assert_int_equal(seen.count, 1);
	/* A custodian's layer alone gives no key. */
	assert_null(memmem(plain.data, plain.size, entry.key.data, SEAL_KEY_SIZE));
	assert_int_equal(escrow_open_inner(&name, BYTES_ARRAY(version_key), &outer, see, &seen),
		ERR_DECRYPT);
	keyring_entry_release(&entry);
	buf_release(&sealed);
	buf_release(&plain);
}

/* Neither by another place, version, node, network, nor with anything changed. */
static void bound_to_its_name(void **state)
{
	struct escrow_name good = make_name(), name;
	uint8_t other_key[32] = {9, 8};
	struct escrow_outer outer;
	struct buf sealed, plain;

	seal(2, &sealed);
	buf_init(&plain, LIMIT_ESCROW_CHUNK);
	struct bytes whole = buf_bytes(&sealed), key = BYTES_ARRAY(version_key);

#define OPEN(n, k, b) escrow_open_outer(&(n), (k), nonce, (b), &plain, &outer)
	name = good, name.number++;
	assert_int_equal(OPEN(name, key, whole), ERR_DECRYPT);
	name = good, name.version--;
	assert_int_equal(OPEN(name, key, whole), ERR_DECRYPT);
	name = good, name.node = "hait";
	assert_int_equal(OPEN(name, key, whole), ERR_DECRYPT);
	name = good, name.network = "ovra.exampl";
	assert_int_equal(OPEN(name, key, whole), ERR_DECRYPT);
	name = good, name.recovery_key.b[0] ^= 1;
	assert_int_equal(OPEN(name, key, whole), ERR_DECRYPT);
	/* A version key of a custodian that lies is not the one of the manifest. */
	assert_int_equal(OPEN(good, BYTES_ARRAY(other_key), whole), ERR_INVALID);
	assert_int_equal(OPEN(good, bytes_make(version_key, 31), whole), ERR_INVALID);
	for (size_t i = 0; i < sealed.size; i++) {
		sealed.data[i] ^= 1;
		assert_int_equal(OPEN(good, key, whole), ERR_DECRYPT);
		sealed.data[i] ^= 1;
	}
	for (size_t size = 0; size < sealed.size; size++)
		assert_int_equal(OPEN(good, key, bytes_make(sealed.data, size)), ERR_DECRYPT);
	assert_ok(OPEN(good, key, whole));
	/* The inner layer is bound as well: it cannot move into another chunk. */
	struct seen seen = {0, OK};

	name = good, name.version--;
	assert_int_equal(escrow_open_inner(&name, BYTES_ARRAY(private_key), &outer, see, &seen),
		ERR_DECRYPT);
	buf_release(&sealed);
	buf_release(&plain);
}

static void caps(void **state)
{
	struct keyring_entry entry = make_entry(1, ORIGIN);
	struct escrow_name name = make_name();
	struct escrow_pack pack;
	struct buf out;
	char origin[LIMIT_ORIGIN + 1];

	assert_ok(escrow_pack_init(&pack));
	buf_init(&out, LIMIT_ESCROW_CHUNK);
	assert_int_equal(escrow_seal(&pack, &name, BYTES_ARRAY(version_key), nonce,
				 BYTES_ARRAY(ephemeral), &out),
		ERR_INVALID);
	/* Names of logs as long as they may be, as many, and keys. */
	for (unsigned i = 0; i < LIMIT_ESCROW_ORIGINS; i++) {
		memset(origin, 'a', LIMIT_ORIGIN);
		origin[0] = (char)('a' + i);
		origin[LIMIT_ORIGIN] = '\0';
		add(&pack, i, origin);
	}
	assert_false(escrow_pack_takes(&pack, ORIGIN));
	assert_int_equal(escrow_pack_add(&pack, &entry, BYTES_ARRAY(tag_key)), ERR_LIMIT);
	for (unsigned i = LIMIT_ESCROW_ORIGINS; i < LIMIT_ESCROW_CHUNK_KEYS; i++)
		add(&pack, i, origin);
	assert_false(escrow_pack_takes(&pack, origin));
	assert_ok(escrow_seal(
		&pack, &name, BYTES_ARRAY(version_key), nonce, BYTES_ARRAY(ephemeral), &out));
	assert_true(out.size <= LIMIT_ESCROW_CHUNK);
	assert_true(out.size + 1024 <= 100 * LIMIT_ESCROW_CHUNK_KEYS);
	/* What is no key is not taken. */
	escrow_pack_clear(&pack);
	entry.group = GROUP_NONE;
	assert_int_equal(escrow_pack_add(&pack, &entry, BYTES_ARRAY(tag_key)), ERR_INVALID);
	entry.group = GROUP_CORE;
	assert_int_equal(escrow_pack_add(&pack, &entry, bytes_make(tag_key, sizeof(tag_key) - 1)),
		ERR_INVALID);
	assert_int_equal(pack.count, 0);
	keyring_entry_release(&entry);
	escrow_pack_release(&pack);
	escrow_pack_release(NULL);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(bound_to_its_name),
		cmocka_unit_test(caps),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
