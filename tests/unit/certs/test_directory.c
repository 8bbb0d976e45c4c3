#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs_test.h"
#include "tests/unit/base/failing_alloc.h"

static struct actor hq, haiti, kenya;

static int setup(void **state)
{
	if (crypto_setup(state) != 0)
		return -1;
	hq = actor_make("hq", ROLE_HQ, "", 1);
	haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 2);
	kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 3);
	return 0;
}

static int teardown(void **state)
{
	actor_release(&hq);
	actor_release(&haiti);
	actor_release(&kenya);
	return crypto_teardown(state);
}

static struct directory *make(void)
{
	struct directory *directory;

	assert_int_equal(directory_new(NETWORK, &directory), OK);
	return directory;
}

/* Applies and releases; the record must be odd for a reason with these words, or good (NULL). */
static void apply(struct directory *directory, struct buf *entry, const char *odd)
{
	uint64_t size = directory_size(directory), before = directory_odd(directory, NULL);
	const char *reason;

	assert_int_equal(entry->err, OK);
	assert_int_equal(directory_apply(directory, buf_bytes(entry)), OK);
	assert_int_equal(directory_size(directory), size + 1);
	if (directory_odd(directory, &reason) != before + (odd != NULL))
		fail_msg("odd for '%s', expected '%s'", reason, odd == NULL ? "good" : odd);
	if (odd != NULL && strstr(reason, odd) == NULL)
		fail_msg("odd for '%s', expected '%s'", reason, odd);
	buf_release(entry);
}

static void apply_opened(struct directory *directory, struct log_opened opened,
	const struct signer *signer, const char *odd)
{
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, signer), OK);
	apply(directory, &entry, odd);
}

static void apply_created(struct directory *directory, struct network_created created,
	const struct signer *signer, const char *odd)
{
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(network_created_write(&entry, &created, signer), OK);
	apply(directory, &entry, odd);
}

static void apply_actor(struct directory *directory, const struct actor *actor, const char *odd)
{
	struct buf entry;

	entry_admitted(&entry, actor);
	apply(directory, &entry, odd);
}

/* LogOpened, NetworkCreated, hq and haiti. */
static struct directory *make_two(void)
{
	struct directory *directory = make();

	apply_opened(directory, directory_opened(), hq.node, NULL);
	apply_created(directory, network_created(&hq), hq.node, NULL);
	apply_actor(directory, &hq, NULL);
	apply_actor(directory, &haiti, NULL);
	return directory;
}

/* haiti's record changed in one thing is odd in a directory of hq alone, and adds nobody. */
static void check_admitted_odd(
	const Sauti__NodeAdmitted *message, const struct signer *signer, const char *odd)
{
	struct directory *directory = make();
	struct buf entry;

	apply_opened(directory, directory_opened(), hq.node, NULL);
	apply_created(directory, network_created(&hq), hq.node, NULL);
	apply_actor(directory, &hq, NULL);
	entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, message, signer);
	apply(directory, &entry, odd);
	assert_null(directory_at(directory, 1));
	apply_actor(directory, &haiti, NULL); /* and blocks nobody */
	directory_free(directory);
}

static void roles(void **state)
{
	for (enum role role = ROLE_HQ; role <= ROLE_AUDITOR; role++)
		assert_int_equal(role_parse(role_name(role)), role);
	assert_string_equal(role_name(ROLE_UNKNOWN), "unknown");
	assert_string_equal(role_name((enum role)99), "unknown");
	assert_int_equal(role_parse("unknown"), ROLE_UNKNOWN);
	assert_int_equal(role_parse(""), ROLE_UNKNOWN);
	assert_int_equal(role_parse("HQ"), ROLE_UNKNOWN);
}

static void empty(void **state)
{
	struct directory *directory = NULL;
	const char *reason;
	struct hash hash;

	assert_int_equal(directory_new("ovra", &directory), ERR_INVALID);
	assert_null(directory);
	directory_free(NULL);
	directory = make();
	assert_string_equal(directory_network(directory), NETWORK);
	assert_int_equal(directory_size(directory), 0);
	assert_int_equal(directory_odd(directory, &reason), 0);
	assert_string_equal(reason, "");
	assert_false(directory_root_certificate(directory, &hash));
	assert_null(directory_origin(directory, NULL));
	assert_null(directory_at(directory, 0));
	assert_null(directory_find(directory, bytes_str("hq")));
	assert_null(directory_find_spki(directory, &hq.member.tls_spki));
	directory_free(directory);
}

static void folds(void **state)
{
	struct directory *directory = make_two();
	const struct member *member = directory_find(directory, bytes_str("haiti"));
	struct ed25519_public key, expected = public_number(7777);
	struct hash hash;

	assert_int_equal(directory_size(directory), 4);
	assert_int_equal(directory_odd(directory, NULL), 0);
	assert_true(directory_root_certificate(directory, &hash));
	assert_int_equal(hash.b[0], 0xce);
	assert_string_equal(directory_origin(directory, &key), DIRECTORY_ORIGIN);
	assert_memory_equal(key.b, expected.b, sizeof(key.b));

	assert_non_null(member);
	assert_int_equal(member->admitted_index, 3);
	assert_true(member->active);
	struct member same = *member;

	assert_int_equal(same.keys_index, 3);
	same.admitted_index = haiti.member.admitted_index;
	same.keys_index = haiti.member.keys_index;
	assert_memory_equal(&same, &haiti.member, sizeof(same));
	assert_ptr_equal(directory_find_spki(directory, &haiti.member.tls_spki), member);
	assert_ptr_equal(directory_at(directory, 1), member);
	assert_string_equal(directory_at(directory, 0)->name, "hq");
	assert_null(directory_at(directory, 2));
	assert_null(directory_find(directory, bytes_str("hait")));
	assert_null(directory_find(directory, BYTES_NONE));
	/* A key that is no TLS key's hash finds nobody. */
	memcpy(hash.b, haiti.member.node.b, HASH_SIZE);
	assert_null(directory_find_spki(directory, &hash));
	directory_free(directory);
}

/* ---- the first two records: without them nobody is a member ---- */

static void check_dead(struct directory *directory)
{
	struct hash hash;

	assert_false(directory_root_certificate(directory, &hash));
	assert_null(directory_origin(directory, NULL));
	apply_actor(directory, &hq, "without a NetworkCreated");
	assert_null(directory_at(directory, 0));
	directory_free(directory);
}

static void first_is_no_log_opened(void **state)
{
	struct directory *directory = make();

	apply_created(directory, network_created(&hq), hq.node, "no LogOpened");
	apply_created(directory, network_created(&hq), hq.node, "without a LogOpened");
	check_dead(directory);
}

static void first_is_of_another_log(void **state)
{
	static const char *const origins[] = {
		"other.example/directory/1-0123456789abcdef", NETWORK "/hq/1-0123456789abcdef"};

	for (size_t i = 0; i < 2; i++) {
		struct directory *directory = make();
		struct log_opened opened = directory_opened();

		opened.origin = origins[i];
		apply_opened(directory, opened, hq.node, "origin is not");
		apply_created(directory, network_created(&hq), hq.node, "without a LogOpened");
		check_dead(directory);

		directory = make();
		opened = directory_opened();
		opened.previous_origin = origins[i];
		apply_opened(directory, opened, hq.node, "previous origin is not");
		directory_free(directory);
	}
}

static void first_is_signed_by_another(void **state)
{
	struct directory *directory = make();

	apply_opened(directory, directory_opened(), haiti.node, NULL); /* not known yet */
	apply_created(directory, network_created(&hq), hq.node, "LogOpened: signature");
	check_dead(directory);
}

static void created_is_signed_by_another(void **state)
{
	struct directory *directory = make();

	apply_opened(directory, directory_opened(), hq.node, NULL);
	apply_created(directory, network_created(&hq), haiti.node, "bad signature");
	check_dead(directory);
}

static void created_is_of_another_network(void **state)
{
	struct directory *directory = make();
	struct network_created created = network_created(&hq);

	created.network = "other.example";
	apply_opened(directory, directory_opened(), hq.node, NULL);
	apply_created(directory, created, hq.node, "another network");
	check_dead(directory);
}

static void created_is_late(void **state)
{
	struct directory *directory = make();

	apply_opened(directory, directory_opened(), hq.node, NULL);
	apply_actor(directory, &hq, "not NetworkCreated");
	apply_created(directory, network_created(&hq), hq.node, "out of place");
	check_dead(directory);
}

static void created_has_bad_fields(void **state)
{
	struct network_created created = network_created(&hq);
	uint8_t key[ED25519_PUBLIC_SIZE + 1];

	memcpy(key, hq.member.node.b, ED25519_PUBLIC_SIZE);
	for (int which = 0; which < 4; which++) {
		struct directory *directory = make();
		Sauti__NetworkCreated message = SAUTI__NETWORK_CREATED__INIT;
		struct buf entry;

		message.network = which == 0 ? "ovra" : NETWORK;
		message.hq = which == 1 ? "Hq" : "hq";
		message.hq_node_key = codec_binary(bytes_make(key, which == 2 ? 33 : 32));
		message.root_certificate_sha256 =
			codec_binary(bytes_make(created.root_certificate.b, which == 3 ? 31 : 32));
		apply_opened(directory, directory_opened(), hq.node, NULL);
		entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED, &message, hq.node);
		apply(directory, &entry, "NetworkCreated");
		check_dead(directory);
	}
}

static void first_member_is_not_hq(void **state)
{
	struct directory *directory = make();
	struct actor impostor = actor_make("hq", ROLE_HQ, "", 9);
	struct actor demoted = actor_make("hq", ROLE_AUDITOR, "", 1);

	apply_opened(directory, directory_opened(), hq.node, NULL);
	apply_created(directory, network_created(&hq), hq.node, NULL);
	apply_actor(directory, &haiti, "before headquarters' own");
	apply_actor(directory, &impostor, "before headquarters' own");
	apply_actor(directory, &demoted, "before headquarters' own");
	apply_actor(directory, &hq, NULL);
	apply_actor(directory, &haiti, NULL);
	assert_int_equal(directory_find(directory, bytes_str("hq"))->admitted_index, 5);
	actor_release(&impostor);
	actor_release(&demoted);
	directory_free(directory);
}

/* ---- one broken rule at a time ---- */

static void admitted_breaks_a_rule(void **state)
{
	const Sauti__NodeAdmitted good = admitted_view(&haiti.member);
	Sauti__NodeAdmitted message = good;

	check_admitted_odd(&message, kenya.node, "bad signature");
	message.network = "other.example";
	check_admitted_odd(&message, haiti.node, "another network");
	message = good;
	message.country = "hti";
	check_admitted_odd(&message, haiti.node, "country");
	message = good;
	message.country = "";
	check_admitted_odd(&message, haiti.node, "country");
	message = good;
	message.role = SAUTI__ROLE__ROLE_HQ;
	check_admitted_odd(&message, haiti.node, "country");
	message = good;
	message.role = (Sauti__Role)7;
	check_admitted_odd(&message, haiti.node, "unknown role");
	message = good;
	message.name = "Haiti";
	check_admitted_odd(&message, haiti.node, "name");
	message = good;
	message.name = "directory";
	check_admitted_odd(&message, haiti.node, "name");
	message = good;
	message.name = "hq";
	check_admitted_odd(&message, haiti.node, "admitted already");
	message = good;
	message.mirror_key = message.node_key;
	check_admitted_odd(&message, haiti.node, "two roles");
	message = good;
	message.witness_key.len = 16;
	check_admitted_odd(&message, haiti.node, "32 bytes");
}

/* Each of kenya's keys in turn is one of haiti's, in the same role and in every other. */
static void no_key_serves_twice(void **state)
{
	const struct ed25519_public log_key = public_number(7777);
	const uint8_t *theirs[] = {haiti.member.tls_spki.b, haiti.member.node.b,
		haiti.member.mirror.b, haiti.member.witness.b, haiti.member.complaint.b, log_key.b};
	struct directory *directory = make_two();

	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < 5; j++) {
			struct actor thief = kenya;
			uint8_t *mine[] = {thief.member.tls_spki.b, thief.member.node.b,
				thief.member.mirror.b, thief.member.witness.b,
				thief.member.complaint.b};

			memcpy(mine[j], theirs[i], HASH_SIZE);
			if (j == 1 && i == 1)
				thief.node = haiti.node; /* signs well, with a used key */
			apply_actor(directory, &thief,
				j == 1 && i != 1 ? "bad signature"
				: i == 5         ? "directory's log key"
						 : "a key of 'haiti'");
		}
	}
	apply_actor(directory, &kenya, NULL);
	directory_free(directory);
}

static void a_name_is_admitted_once(void **state)
{
	struct directory *directory = make_two();
	struct actor other = actor_make("haiti", ROLE_OFFICE, "HTI", 8);

	apply_actor(directory, &haiti, "admitted already");
	apply_actor(directory, &other, "admitted already");
	assert_memory_equal(directory_find(directory, bytes_str("haiti"))->node.b,
		haiti.member.node.b, ED25519_PUBLIC_SIZE);
	assert_null(directory_find_spki(directory, &other.member.tls_spki));
	actor_release(&other);
	directory_free(directory);
}

static void odd_entries_of_all_kinds(void **state)
{
	struct directory *directory = make_two();
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE + 1);
	apply(directory, &entry, "no record");
	buf_put_str(&entry, "garbage");
	apply(directory, &entry, "entry 5: ");
	buf_put_zeros(&entry, LIMIT_ENTRY_SIZE + 1);
	apply(directory, &entry, "bytes");
	apply_opened(directory, directory_opened(), hq.node, "out of place");
	apply_created(directory, network_created(&hq), hq.node, "out of place");
	assert_int_equal(directory_odd(directory, NULL), 5);
	apply_actor(directory, &kenya, NULL);
	directory_free(directory);
}

static void put_record_of_type(struct buf *out, uint32_t type)
{
	Sauti__Entry entry = SAUTI__ENTRY__INIT;
	Sauti__Record record = SAUTI__RECORD__INIT;
	uint8_t signature[ED25519_SIGNATURE_SIZE] = {0};

	record.type = type;
	record.signature = codec_binary(BYTES_ARRAY(signature));
	entry.body_case = SAUTI__ENTRY__BODY_RECORD;
	entry.record = &record;
	buf_init(out, LIMIT_ENTRY_SIZE);
	codec_pack(out, &entry);
}

static void later_types_are_kept_and_skipped(void **state)
{
	struct directory *directory = make_two();
	struct buf entry;

	put_record_of_type(&entry, 200);
	apply(directory, &entry, NULL);
	put_record_of_type(&entry, UINT32_MAX);
	apply(directory, &entry, NULL);
	put_record_of_type(&entry, 0);
	apply(directory, &entry, "without a type");
	directory_free(directory);
	directory = make();
	apply_opened(directory, directory_opened(), hq.node, NULL);
	put_record_of_type(&entry, 200);
	apply(directory, &entry, "not NetworkCreated");
	check_dead(directory);
}

static void no_changed_bit_is_admitted(void **state)
{
	struct directory *directory = make_two();
	struct buf entry;

	entry_admitted(&entry, &kenya);
	for (size_t i = 0; i < 8 * entry.size; i++) {
		entry.data[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(directory_apply(directory, buf_bytes(&entry)), OK);
		assert_null(directory_at(directory, 2));
		entry.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	apply(directory, &entry, NULL);
	directory_free(directory);
}

/* ---- size ---- */

/* Over several growths of table and array, everybody is still found. */
static void many_members(void **state)
{
	enum { MANY = 600 };
	struct directory *directory = make_two();

	for (unsigned i = 0; i < MANY; i++) {
		char name[16];
		struct actor actor;

		snprintf(name, sizeof(name), "office-%u", i);
		actor = actor_make(name, ROLE_OFFICE, "KEN", 100 + i);
		apply_actor(directory, &actor, NULL);
		actor_release(&actor);
	}
	for (unsigned i = 0; i < MANY; i++) {
		const struct member *member = directory_at(directory, 2 + i);

		assert_int_equal(member->admitted_index, 4 + i);
		assert_ptr_equal(directory_find(directory, bytes_str(member->name)), member);
		assert_ptr_equal(directory_find_spki(directory, &member->tls_spki), member);
	}
	assert_null(directory_at(directory, 2 + MANY));
	assert_int_equal(directory_odd(directory, NULL), 0);
	directory_free(directory);
}

static void at_and_past_the_cap(void **state)
{
	struct directory *directory = make_two();
	struct buf entry;

	while (directory_size(directory) < LIMIT_DIRECTORY_RECORDS - 1)
		assert_int_equal(directory_apply(directory, bytes_str("x")), OK);
	apply_actor(directory, &kenya, NULL);
	entry_admitted(&entry, &kenya);
	assert_int_equal(directory_apply(directory, buf_bytes(&entry)), ERR_LIMIT);
	assert_int_equal(directory_size(directory), LIMIT_DIRECTORY_RECORDS);
	buf_release(&entry);
	directory_free(directory);
}

/* ---- memory ---- */

/* Whichever allocation fails, nothing changes, and trying again goes well. */
static void out_of_memory(void **state)
{
	struct buf entries[4];
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(&hq);
	struct failing_alloc failing;
	enum err err;

	buf_init(&entries[0], LIMIT_ENTRY_SIZE);
	buf_init(&entries[1], LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entries[0], &opened, hq.node), OK);
	assert_int_equal(network_created_write(&entries[1], &created, hq.node), OK);
	entry_admitted(&entries[2], &hq);
	entry_admitted(&entries[3], &haiti);
	for (size_t fail_at = 1;; fail_at++) {
		struct directory *directory = NULL;
		bool failed = false;

		failing_alloc_begin(&failing, fail_at);
		err = directory_new(NETWORK, &directory);
		if (err == ERR_NOMEM) {
			failed = true;
			err = directory_new(NETWORK, &directory);
		}
		assert_int_equal(err, OK);
		for (uint64_t i = 0; i < 4; i++) {
			err = directory_apply(directory, buf_bytes(&entries[i]));
			if (err == ERR_NOMEM) {
				assert_int_equal(directory_size(directory), i);
				failed = true;
				err = directory_apply(directory, buf_bytes(&entries[i]));
			}
			assert_int_equal(err, OK);
		}
		assert_int_equal(directory_odd(directory, NULL), 0);
		assert_non_null(directory_find(directory, bytes_str("haiti")));
		directory_free(directory);
		failing_alloc_end(&failing);
		if (!failed)
			break;
		assert_true(fail_at < 1000);
	}
	for (size_t i = 0; i < 4; i++)
		buf_release(&entries[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles),
		cmocka_unit_test(empty),
		cmocka_unit_test(folds),
		cmocka_unit_test(first_is_no_log_opened),
		cmocka_unit_test(first_is_of_another_log),
		cmocka_unit_test(first_is_signed_by_another),
		cmocka_unit_test(created_is_signed_by_another),
		cmocka_unit_test(created_is_of_another_network),
		cmocka_unit_test(created_is_late),
		cmocka_unit_test(created_has_bad_fields),
		cmocka_unit_test(first_member_is_not_hq),
		cmocka_unit_test(admitted_breaks_a_rule),
		cmocka_unit_test(no_key_serves_twice),
		cmocka_unit_test(a_name_is_admitted_once),
		cmocka_unit_test(odd_entries_of_all_kinds),
		cmocka_unit_test(later_types_are_kept_and_skipped),
		cmocka_unit_test(no_changed_bit_is_admitted),
		cmocka_unit_test(many_members),
		cmocka_unit_test(at_and_past_the_cap),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
