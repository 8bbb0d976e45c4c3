/*
 * Who may have which key destroyed, and whose word counts that it is: every row of the table below
 * is something that somebody may try. And rows that remember it, there and back.
 */
#include "cases_test.h"

#include <stdio.h>

#include "cases/keys/order.h"

static const struct hash old_key = {{1}}, new_key = {{2}};

static void judged(void **state)
{
	static const struct {
		const char *what, *sender;
		bool confirmed;
		const struct hash *signed_by;
		struct order_key keys[2];
		enum order_verdict verdict;
	} cases[] = {
		{"its own key", "haiti", false, &old_key,
			{{true, "haiti", true, {{1}}}, {false, NULL, false, {{0}}}}, ORDER_GOOD},
		{"not here", "haiti", false, &old_key,
			{{false, NULL, false, {{0}}}, {false, NULL, false, {{0}}}}, ORDER_GOOD},
		{"another's", "chad", false, &old_key,
			{{true, "haiti", true, {{1}}}, {false, NULL, false, {{0}}}},
			ORDER_NOT_AUTHOR},
		{"another's behind its own", "haiti", false, &old_key,
			{{true, "haiti", true, {{1}}}, {true, "chad", true, {{1}}}},
			ORDER_NOT_AUTHOR},
		{"this node's, by another", "haiti", true, &old_key,
			{{true, "jordan", false, {{0}}}, {false, NULL, false, {{0}}}},
			ORDER_NOT_AUTHOR},
		{"a node key put in its place", "haiti", false, &new_key,
			{{true, "haiti", true, {{1}}}, {false, NULL, false, {{0}}}}, ORDER_NOT_KEY},
		{"that an officer has compared", "haiti", true, &new_key,
			{{true, "haiti", true, {{1}}}, {false, NULL, false, {{0}}}}, ORDER_GOOD},
		{"nobody knows who gave it", "haiti", false, &old_key,
			{{true, "haiti", false, {{0}}}, {false, NULL, false, {{0}}}},
			ORDER_NOT_KEY},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct order_sender sender = {
			cases[i].sender, *cases[i].signed_by, cases[i].confirmed};

		if (order_judge(&sender, cases[i].keys, 2) != cases[i].verdict)
			fail_msg("%s", cases[i].what);
		assert_string_not_equal(order_verdict_text(cases[i].verdict), "");
	}
}

static void erasure_make(struct erasure *e, size_t kids, size_t holders)
{
	assert_ok(erasure_init(e, kids, 1, holders));
	memset(e->id.b, 7, sizeof(e->id.b));
	for (size_t i = 0; i < kids; i++)
		put_u32be(e->kids[i], (uint32_t)i);
	for (size_t i = 0; i < holders; i++) {
		struct erasure_holder *holder = &e->holders[i];

		snprintf(holder->node, sizeof(holder->node), "node%zu", i);
		holder->node_key = old_key;
		assert_ok(erasure_prekeys_add(&holder->prekeys, 4));
		assert_ok(erasure_prekeys_add(&holder->prekeys, 3));
	}
	e->scope = ERASE_CASE;
	e->ordered_at = 1790000000;
	strcpy(e->code, "ZZ-ONE");
	strcpy(e->basis, "OBJECTION");
}

static void answers(void **state)
{
	static const uint64_t both[] = {3, 4}, other[] = {5};
	struct order_sender sender = {"node1", old_key, false};
	struct order_receipt receipt = {.gone = both, .gone_count = 1};
	uint8_t wrong[2 * SEAL_KID_SIZE] = {9};
	struct erasure e;
	size_t holder = 9;

	erasure_make(&e, 2, 2);
	assert_int_equal(order_answer(NULL, &sender, &holder), ORDER_UNKNOWN);
	assert_int_equal(order_answer(&e, &sender, &holder), ORDER_GOOD);
	assert_int_equal(holder, 1);
	sender.node_key = new_key;
	assert_int_equal(order_answer(&e, &sender, &holder), ORDER_NOT_ASKED);
	sender.confirmed = true;
	assert_int_equal(order_answer(&e, &sender, &holder), ORDER_GOOD);
	sender.name = "node7";
	assert_int_equal(order_answer(&e, &sender, &holder), ORDER_NOT_ASKED);

	receipt.destroyed = bytes_make(e.kids, SEAL_KID_SIZE);
	assert_int_equal(order_receipt_judge(&e, 1, &receipt), ORDER_TOO_MUCH); /* of two */
	receipt.never = bytes_make(e.kids[1], SEAL_KID_SIZE);
	assert_int_equal(order_receipt_judge(&e, 1, &receipt), ORDER_GOOD);
	receipt.destroyed = bytes_make(wrong, SEAL_KID_SIZE);
	assert_int_equal(order_receipt_judge(&e, 1, &receipt), ORDER_TOO_MUCH);
	receipt.destroyed = bytes_make(e.kids, SEAL_KID_SIZE);
	receipt.left = other;
	receipt.left_count = 1;
	assert_int_equal(order_receipt_judge(&e, 1, &receipt), ORDER_TOO_MUCH);
	receipt.left_count = 0;

	assert_string_equal(erasure_state_name(&e), "ordered");
	e.destroyed_at = 5;
	assert_string_equal(erasure_state_name(&e), "destroyed here");
	order_receipt_take(&e, 1, &receipt, 10);
	assert_int_equal(e.holders[1].destroyed, 1);
	assert_false(erasure_holder_done(&e.holders[1])); /* prekey 4 is left */
	order_receipt_take(&e, 0, &receipt, 10);
	assert_string_equal(erasure_state_name(&e), "confirmed");
	receipt.gone_count = 2;
	order_receipt_take(&e, 1, &receipt, 20);
	assert_int_equal(e.holders[1].receipt_at, 10);
	assert_true(erasure_holder_done(&e.holders[1]));
	assert_false(erasure_complete(&e));
	order_receipt_take(&e, 0, &receipt, 20);
	assert_string_equal(erasure_state_name(&e), "complete");
	/* The first one once more, a year late: nothing comes back. */
	receipt.gone_count = 1;
	order_receipt_take(&e, 0, &receipt, 30);
	assert_true(erasure_complete(&e));
	/* Somebody else's order is answered by nobody. */
	strcpy(e.sender, "chad");
	assert_int_equal(order_answer(&e, &sender, &holder), ORDER_UNKNOWN);
	erasure_release(&e);
}

static void the_same_order_again(void **state)
{
	struct order_sender sender = {"haiti", old_key, false};
	struct erasure e;

	erasure_make(&e, 2, 0);
	strcpy(e.sender, "haiti");
	e.sender_key = old_key;
	assert_int_equal(order_again(&e, &sender, bytes_make(e.kids, 32)), ORDER_GOOD);
	assert_int_equal(order_again(&e, &sender, bytes_make(e.kids, 16)), ORDER_ANOTHER);
	sender.node_key = new_key;
	assert_int_equal(order_again(&e, &sender, bytes_make(e.kids, 32)), ORDER_NOT_KEY);
	sender.name = "chad";
	assert_int_equal(order_again(&e, &sender, bytes_make(e.kids, 32)), ORDER_ANOTHER);
	erasure_release(&e);
}

static void check_row(const struct erasure *e)
{
	struct erasure read;
	struct buf packed, again;

	buf_init(&packed, 8 * ROW_PLAIN_MAX);
	buf_init(&again, 8 * ROW_PLAIN_MAX);
	assert_ok(erasure_pack(e, &packed));
	assert_true(packed.size <= ROW_PLAIN_MAX);
	assert_ok(erasure_unpack(buf_bytes(&packed), &read));
	assert_int_equal(read.kid_count, e->kid_count);
	assert_int_equal(read.holder_count, e->holder_count);
	assert_ok(erasure_pack(&read, &again));
	assert_int_equal(again.size, packed.size);
	assert_memory_equal(again.data, packed.data, packed.size);
	erasure_release(&read);
	for (size_t size = 0; size < packed.size && size < 400; size++)
		if (erasure_unpack(bytes_make(packed.data, size), &read) == OK)
			erasure_release(&read);
	buf_release(&packed);
	buf_release(&again);
}

static void rows(void **state)
{
	struct erasure e;

	erasure_make(&e, 3, 2);
	strcpy(e.holders[0].hold_authority, "Tribunal");
	strcpy(e.holders[0].hold_until, "2027-01-01");
	e.holders[0].hold_at = 1;
	check_row(&e);
	strcpy(e.sender, "chad");
	memcpy(e.never, e.kids, 16);
	e.never_count = 1;
	check_row(&e);
	erasure_release(&e);
	/* As much as there can be fits into a row. */
	assert_ok(erasure_init(&e, LIMIT_ERASE_KEYS, LIMIT_ERASE_REVEALED, LIMIT_ERASE_HOLDERS));
	for (size_t i = 0; i < LIMIT_ERASE_KEYS; i++)
		put_u32be(e.kids[i], (uint32_t)i);
	for (size_t i = 0; i < LIMIT_ERASE_REVEALED; i++)
		put_u32be(e.revealed[i].b, (uint32_t)i);
	for (size_t i = 0; i < LIMIT_ERASE_HOLDERS; i++)
		snprintf(e.holders[i].node, sizeof(e.holders[i].node),
			"a-name-of-thirty-one-bytes-%04zu", i);
	check_row(&e);
	erasure_release(&e);
	assert_int_equal(erasure_init(&e, LIMIT_ERASE_KEYS + 1, 0, 0), ERR_LIMIT);
	assert_int_equal(erasure_init(&e, 1, LIMIT_ERASE_REVEALED + 1, 0), ERR_LIMIT);
	assert_int_equal(erasure_init(&e, 1, 0, LIMIT_ERASE_HOLDERS + 1), ERR_LIMIT);
}

static void damaged_rows(void **state)
{
	struct erasure e, read;
	struct buf packed;

	erasure_make(&e, 3, 1);
	memcpy(e.kids[2], e.kids[0], 16); /* not in order */
	buf_init(&packed, ROW_PLAIN_MAX);
	assert_ok(erasure_pack(&e, &packed));
	assert_int_equal(erasure_unpack(buf_bytes(&packed), &read), ERR_CORRUPT);
	buf_clear(&packed);
	put_u32be(e.kids[2], 9);
	e.scope = (enum erasure_scope)9;
	assert_ok(erasure_pack(&e, &packed));
	assert_int_equal(erasure_unpack(buf_bytes(&packed), &read), ERR_CORRUPT);
	buf_release(&packed);
	erasure_release(&e);
}

/* Two node keys of one name gave it: neither orders it, a confirmed one does. */
static void given_by_two_keys(void **state)
{
	struct hash first = {{1}}, second = {{2}};
	struct order_sender sender = {"haiti", first, false};
	struct order_key key = {.here = true, .author = "haiti"};

	assert_int_equal(order_judge(&sender, &key, 1), ORDER_NOT_KEY);
	order_key_given(&key, &first);
	assert_int_equal(order_judge(&sender, &key, 1), ORDER_GOOD);
	order_key_given(&key, &first);
	assert_int_equal(order_judge(&sender, &key, 1), ORDER_GOOD);
	order_key_given(&key, &second);
	assert_int_equal(order_judge(&sender, &key, 1), ORDER_NOT_KEY);
	order_key_given(&key, &first);
	assert_int_equal(order_judge(&sender, &key, 1), ORDER_NOT_KEY);
	sender.node_key = second;
	assert_int_equal(order_judge(&sender, &key, 1), ORDER_NOT_KEY);
	sender.confirmed = true;
	assert_int_equal(order_judge(&sender, &key, 1), ORDER_GOOD);
}

static void prekeys_have_a_cap(void **state)
{
	struct erasure_prekeys prekeys = {.count = 0};

	for (uint64_t i = LIMIT_ERASE_PREKEYS; i > 0; i--)
		assert_ok(erasure_prekeys_add(&prekeys, i));
	assert_ok(erasure_prekeys_add(&prekeys, 5));
	assert_int_equal(erasure_prekeys_add(&prekeys, LIMIT_ERASE_PREKEYS + 1), ERR_LIMIT);
	for (size_t i = 0; i < prekeys.count; i++)
		assert_int_equal(prekeys.number[i], i + 1);
}

static void tombstones_and_holds(void **state)
{
	struct tombstone tombstone = {"haiti", {{3}}, 9}, read;
	struct hold hold = {.case_ref = {{1}}, .at = 4}, held;
	struct row_name a, b;
	struct buf packed;

	buf_init(&packed, 1024);
	assert_ok(tombstone_pack(&tombstone, &packed));
	assert_ok(tombstone_unpack(buf_bytes(&packed), &read));
	assert_string_equal(read.author, "haiti");
	assert_memory_equal(read.kid.b, tombstone.kid.b, SEAL_KID_SIZE);
	assert_int_equal(read.at, 9);
	packed.size--;
	assert_int_equal(tombstone_unpack(buf_bytes(&packed), &read), ERR_CORRUPT);
	/* One node's is not another's. */
	tombstone_row_name("haiti", &tombstone.kid, &a);
	tombstone_row_name("chad", &tombstone.kid, &b);
	assert_memory_not_equal(a.b, b.b, sizeof(a.b));
	buf_clear(&packed);
	strcpy(hold.authority, "Tribunal");
	strcpy(hold.officers[0], "marie");
	strcpy(hold.officers[1], "jean");
	strcpy(hold.until, "2027-03-01");
	assert_ok(hold_pack(&hold, &packed));
	assert_ok(hold_unpack(buf_bytes(&packed), &held));
	assert_string_equal(held.officers[1], "jean");
	assert_true(hold_lasts(&held, "2027-03-01"));
	assert_false(hold_lasts(&held, "2027-03-02"));
	buf_release(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),
		cmocka_unit_test(answers),
		cmocka_unit_test(the_same_order_again),
		cmocka_unit_test(rows),
		cmocka_unit_test(damaged_rows),
		cmocka_unit_test(given_by_two_keys),
		cmocka_unit_test(prekeys_have_a_cap),
		cmocka_unit_test(tombstones_and_holds),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
