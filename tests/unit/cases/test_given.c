/* What a node remembers of grants, given and received. */
#include "cases_test.h"

#include "cases/keys/given.h"
#include "cases/keys/received.h"

static struct given given_make(size_t keys)
{
	struct given given;

	assert_ok(given_init(&given, keys));
	for (size_t i = 0; i < keys; i++) {
		put_u32be(given.keys[i].kid.b, (uint32_t)(keys - i)); /* the wrong way round */
		given.keys[i].group = GROUP_CONTACT;
	}
	given_sort(&given);
	given.id = (struct event_id){{1, 2, 3}};
	given.case_ref = (struct case_ref){{4, 5}};
	memcpy(given.recipient, "chad", 5);
	memcpy(given.purpose, "REFERRAL", 9);
	memcpy(given.until, "2027-01-31", 11);
	memcpy(given.consent_origin, "ovra.example/haiti/1-0011", 26);
	given.node_key.b[0] = 6;
	given.nonce[31] = 7;
	given.basis = GRANT_CONSENT;
	given.has_consent = true;
	given.consent.b[15] = 8;
	given.consent_leaf.b[0] = 9;
	given.consent_index = 10;
	given.groups = GROUP_BIT(GROUP_CONTACT);
	given.history = true;
	given.made_at = 11;
	given.state = GIVEN_SENT;
	given.prekeys[0] = 3;
	given.prekeys[1] = UINT64_MAX;
	given.prekey_count = 2;
	given.mailed = true;
	given.item.b[31] = 12;
	return given;
}

static struct buf packed_given(const struct given *given)
{
	struct buf out;

	buf_init(&out, ROW_PLAIN_MAX);
	assert_ok(given_pack(given, &out));
	return out;
}

static void given_there_and_back(void **state)
{
	const size_t counts[] = {1, 2, LIMIT_GRANT_KEYS};

	for (size_t i = 0; i < 3; i++) {
		struct given given = given_make(counts[i]), read;
		struct buf row = packed_given(&given), again;

		assert_ok(given_unpack(buf_bytes(&row), &read));
		assert_int_equal(read.key_count, counts[i]);
		assert_string_equal(read.recipient, "chad");
		assert_int_equal(read.prekeys[1], UINT64_MAX);
		assert_true(read.mailed && read.has_consent && read.history);
		again = packed_given(&read);
		assert_true(bytes_equal(buf_bytes(&row), buf_bytes(&again)));
		buf_release(&row);
		buf_release(&again);
		given_release(&given);
		given_release(&read);
	}
}

static void revoked_there_and_back(void **state)
{
	struct given given = given_make(1), read;
	struct buf row;

	memcpy(given.revoked_on, "2026-05-06", 11);
	given.revoked_for = GIVEN_ENDED;
	given.revocation.b[0] = 13;
	row = packed_given(&given);
	assert_ok(given_unpack(buf_bytes(&row), &read));
	assert_string_equal(read.revoked_on, "2026-05-06");
	assert_int_equal(read.revoked_for, GIVEN_ENDED);
	assert_int_equal(read.revocation.b[0], 13);
	assert_false(given_live(&read));
	buf_release(&row);
	given_release(&given);
	given_release(&read);
}

static void counts_are_capped(void **state)
{
	struct received received;
	struct given given;

	assert_int_equal(given_init(&given, 0), ERR_INVALID);
	assert_int_equal(given_init(&given, LIMIT_GRANT_KEYS + 1), ERR_LIMIT);
	assert_int_equal(received_init(&received, 0), ERR_INVALID);
	assert_int_equal(received_init(&received, LIMIT_GRANT_KEYS + 1), ERR_LIMIT);
	given_release(&given);
	received_release(&received);
	given_release(NULL);
	received_release(NULL);
}

/* What no node writes is no row: it is found out, not guessed at. */
static void unsound_given(void **state)
{
	struct given given = given_make(3), read;
	const struct given good = given;
	struct buf row;

#define UNSOUND(change)                                                                            \
	do {                                                                                       \
		given = good;                                                                      \
		change;                                                                            \
		row = packed_given(&given);                                                        \
		assert_int_equal(given_unpack(buf_bytes(&row), &read), ERR_CORRUPT);               \
		buf_release(&row);                                                                 \
	} while (0)

	UNSOUND(given.recipient[0] = '\0');
	UNSOUND(given.basis = 0);
	UNSOUND(given.basis = GRANT_LEDGER + 1);
	UNSOUND(given.state = (enum given_state)0);
	UNSOUND(given.state = (enum given_state)(GIVEN_REFUSED + 1));
	UNSOUND(given.until[4] = '\0');
	UNSOUND(given.key_count = 0);
	UNSOUND(given.keys[0].group = GROUP_NONE);
	given.keys[0].group = GROUP_CONTACT;
	UNSOUND(given.keys[1].kid = given.keys[0].kid); /* one key twice */
	row = packed_given(&good);
	assert_int_equal(given_unpack(bytes_make(row.data, row.size - 1), &read), ERR_CORRUPT);
	buf_release(&row);
	given = good;
	given_release(&given);
}

static void who_holds_what(void **state)
{
	struct given given = given_make(2);
	struct seal_kid other = {{0xff}}, kid = given.keys[1].kid;

	assert_true(given_has(&given, &kid));
	assert_false(given_has(&given, &other));
	assert_true(given_live(&given) && given_left(&given));
	given.state = GIVEN_REFUSED; /* takes no key back */
	assert_false(given_live(&given));
	assert_true(given_left(&given));
	given.prekey_count = 0; /* out of the ledger, which does not say to which */
	assert_true(given_left(&given));
	given.state = GIVEN_MADE;
	assert_false(given_left(&given));
	given_release(&given);
}

/* The commitment covers whom, on which consent, and every key. */
static void commits_to_all(void **state)
{
	struct given given = given_make(2);
	struct hash before, after;

	assert_ok(given_commitment(&given, &before));
	given.nonce[0] ^= 1;
	assert_ok(given_commitment(&given, &after));
	assert_false(hash_equal(&before, &after));
	given.nonce[0] ^= 1;
	memcpy(given.recipient, "cuba", 5);
	assert_ok(given_commitment(&given, &after));
	assert_false(hash_equal(&before, &after));
	memcpy(given.recipient, "chad", 5);
	given.keys[1].kid.b[15] ^= 1;
	assert_ok(given_commitment(&given, &after));
	assert_false(hash_equal(&before, &after));
	given.keys[1].kid.b[15] ^= 1;
	given.consent_leaf.b[5] ^= 1;
	assert_ok(given_commitment(&given, &after));
	assert_false(hash_equal(&before, &after));
	given_release(&given);
}

static struct received received_make(size_t kids)
{
	struct received received;

	assert_ok(received_init(&received, kids));
	for (size_t i = 0; i < kids; i++)
		put_u32be(received.kids[i].b, (uint32_t)i + 1);
	received.id = (struct event_id){{1}};
	received.case_ref = (struct case_ref){{2}};
	memcpy(received.sender, "haiti", 6);
	received.node_key.b[3] = 4;
	received.prekey = 5;
	memcpy(received.code, "ZZ-ONE", 7);
	memcpy(received.opened_on, "2026-02-03", 11);
	memcpy(received.purpose, "TRANSFER", 9);
	memcpy(received.until, "2026-12-31", 11);
	received.basis = GRANT_CONSENT;
	received.groups = GROUP_BIT(GROUP_CORE);
	received.received_at = 6;
	return received;
}

static void received_there_and_back(void **state)
{
	struct received received = received_make(LIMIT_GRANT_KEYS), read;
	struct seal_kid other = {{0xee}};
	struct buf row, again;

	buf_init(&row, ROW_PLAIN_MAX);
	buf_init(&again, ROW_PLAIN_MAX);
	assert_ok(received_pack(&received, &row));
	assert_ok(received_unpack(buf_bytes(&row), &read));
	assert_ok(received_pack(&read, &again));
	assert_true(bytes_equal(buf_bytes(&row), buf_bytes(&again)));
	assert_true(received_has(&read, &received.kids[9]));
	assert_false(received_has(&read, &other));
	assert_true(received_in_force(&read, "2026-12-31"));
	assert_false(received_in_force(&read, "2027-01-01"));
	read.until[0] = '\0';
	assert_true(received_in_force(&read, "2099-01-01"));
	assert_int_equal(received_unpack(bytes_make(row.data, row.size / 2), &read), ERR_CORRUPT);
	buf_release(&row);
	buf_release(&again);
	received_release(&received);
	received_release(&read);
}

/* Two senders may use one id, and no sender can have a name that is another row's. */
static void names_differ(void **state)
{
	struct event_id id = {{1}};
	struct row_name a, b, c;

	received_row_name("haiti", &id, &a);
	received_row_name("chad", &id, &b);
	given_row_name(&id, &c);
	assert_memory_not_equal(a.b, b.b, ROW_NAME_SIZE);
	assert_memory_not_equal(a.b, c.b, ROW_NAME_SIZE);
	assert_memory_not_equal(c.b, id.b, ROW_NAME_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given_there_and_back),
		cmocka_unit_test(revoked_there_and_back),
		cmocka_unit_test(counts_are_capped),
		cmocka_unit_test(unsound_given),
		cmocka_unit_test(who_holds_what),
		cmocka_unit_test(commits_to_all),
		cmocka_unit_test(received_there_and_back),
		cmocka_unit_test(names_differ),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
