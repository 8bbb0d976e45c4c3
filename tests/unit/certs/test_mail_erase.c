/* Orders, receipts and holds as mail: one form each, and nothing but that is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/mail_erase.h"
#include "certs_test.h"
#include "proto/mail.pb-c.h"

static struct arena arena;

static int setup(void **state)
{
	crypto_setup(state);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	return 0;
}

static int teardown(void **state)
{
	arena_release(&arena);
	return crypto_teardown(state);
}

static struct mail_erase_order order_make(size_t kids, size_t prekeys, size_t revealed)
{
	struct mail_erase_order order = {.order_id = {1, 2, 3}, .at = 1790000000};

	for (size_t i = 0; i < kids && i < LIMIT_ERASE_KEYS; i++)
		put_u32be(order.kids.kid[i], (uint32_t)i);
	for (size_t i = 0; i < prekeys && i < LIMIT_ERASE_PREKEYS; i++)
		order.prekeys.number[i] = i + 1;
	for (size_t i = 0; i < revealed && i < LIMIT_ERASE_REVEALED; i++)
		put_u32be(order.revealed[i].b, (uint32_t)i);
	order.kids.count = kids;
	order.prekeys.count = prekeys;
	order.revealed_count = revealed;
	return order;
}

static void orders(void **state)
{
	static const size_t sizes[][3] = {{1, 0, 0}, {0, 0, 1}, {2, 1, 1},
		{LIMIT_ERASE_KEYS, LIMIT_ERASE_PREKEYS, LIMIT_ERASE_REVEALED}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct mail_erase_order order = order_make(sizes[i][0], sizes[i][1], sizes[i][2]);
		struct mail_erase_order read;
		struct buf packed;

		buf_init(&packed, LIMIT_MAIL_CONTENT);
		assert_int_equal(mail_erase_order_write(&packed, &order), OK);
		assert_int_equal(
			mail_erase_order_read(buf_bytes(&packed), &arena, &read, NULL), OK);
		assert_memory_equal(&read, &order, sizeof(read));
		buf_release(&packed);
	}
}

static void check_bad_order(const struct mail_erase_order *order)
{
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_CONTENT);
	assert_int_equal(mail_erase_order_write(&packed, order), ERR_INVALID);
	assert_int_equal(packed.size, 0);
	buf_release(&packed);
}

/* What is not written is not read either: the same check. */
static void bad_orders(void **state)
{
	struct mail_erase_order order = order_make(0, 1, 0);

	check_bad_order(&order); /* of nothing */
	order = order_make(3, 0, 0);
	memset(order.kids.kid[1], 0, MAIL_KID_SIZE); /* one twice */
	check_bad_order(&order);
	order = order_make(3, 3, 0);
	order.prekeys.number[2] = 1; /* not in order */
	check_bad_order(&order);
	order.prekeys.number[0] = 0;
	check_bad_order(&order);
	order = order_make(1, 0, 2);
	order.revealed[0] = order.revealed[1];
	check_bad_order(&order);
}

static enum err read_raw(Sauti__MailEraseOrder *message)
{
	struct mail_erase_order read;
	struct errctx ctx = {""};
	struct buf packed;
	enum err err;

	buf_init(&packed, 2 * LIMIT_MAIL_CONTENT);
	codec_pack(&packed, message);
	err = mail_erase_order_read(buf_bytes(&packed), &arena, &read, &ctx);
	if (err != OK)
		assert_string_not_equal(ctx.text, "");
	buf_release(&packed);
	return err;
}

static void past_the_caps(void **state)
{
	static uint8_t kids[(LIMIT_ERASE_KEYS + 1) * MAIL_KID_SIZE];
	static uint8_t revealed[(LIMIT_ERASE_REVEALED + 1) * HASH_SIZE];
	static uint64_t prekeys[LIMIT_ERASE_PREKEYS + 1];
	Sauti__MailEraseOrder message = SAUTI__MAIL_ERASE_ORDER__INIT;

	for (size_t i = 0; i <= LIMIT_ERASE_KEYS; i++)
		put_u32be(kids + i * MAIL_KID_SIZE, (uint32_t)i);
	for (size_t i = 0; i <= LIMIT_ERASE_REVEALED; i++)
		put_u32be(revealed + i * HASH_SIZE, (uint32_t)i);
	for (size_t i = 0; i <= LIMIT_ERASE_PREKEYS; i++)
		prekeys[i] = i + 1;
	message.order_id = codec_binary(bytes_make(kids, MAIL_ORDER_ID_SIZE));
	message.kids = codec_binary(bytes_make(kids, sizeof(kids) - MAIL_KID_SIZE));
	message.revealed = codec_binary(bytes_make(revealed, sizeof(revealed) - HASH_SIZE));
	message.prekeys = prekeys;
	message.n_prekeys = LIMIT_ERASE_PREKEYS;
	assert_int_equal(read_raw(&message), OK);
	message.kids = codec_binary(BYTES_ARRAY(kids));
	assert_int_equal(read_raw(&message), ERR_LIMIT);
	message.kids = codec_binary(bytes_make(kids, MAIL_KID_SIZE + 1));
	assert_int_equal(read_raw(&message), ERR_MALFORMED);
	message.kids = codec_binary(bytes_make(kids, MAIL_KID_SIZE));
	message.revealed = codec_binary(BYTES_ARRAY(revealed));
	assert_int_equal(read_raw(&message), ERR_LIMIT);
	message.revealed = codec_binary(BYTES_NONE);
	message.n_prekeys++;
	assert_int_equal(read_raw(&message), ERR_LIMIT);
	message.n_prekeys = 0;
	message.order_id.len--;
	assert_int_equal(read_raw(&message), ERR_MALFORMED);
}

static void receipts(void **state)
{
	struct mail_erase_receipt receipt = {.order_id = {9}, .at = 5}, read;
	struct buf packed;

	put_u32be(receipt.destroyed.kid[0], 7);
	put_u32be(receipt.never.kid[0], 8);
	receipt.destroyed.count = receipt.never.count = 1;
	receipt.prekeys_gone.number[0] = 4;
	receipt.prekeys_left.number[0] = 5;
	receipt.prekeys_gone.count = receipt.prekeys_left.count = 1;
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	assert_int_equal(mail_erase_receipt_write(&packed, &receipt), OK);
	assert_int_equal(mail_erase_receipt_read(buf_bytes(&packed), &arena, &read, NULL), OK);
	assert_memory_equal(&read, &receipt, sizeof(read));
	buf_clear(&packed);
	put_u32be(receipt.never.kid[0], 7);
	assert_int_equal(mail_erase_receipt_write(&packed, &receipt), ERR_INVALID);
	put_u32be(receipt.never.kid[0], 8);
	receipt.prekeys_left.number[0] = 4;
	assert_int_equal(mail_erase_receipt_write(&packed, &receipt), ERR_INVALID);
	buf_release(&packed);
}

static struct mail_erase_hold hold_make(void)
{
	struct mail_erase_hold hold = {.order_id = {9}, .at = 5};

	strcpy(hold.authority, "Tribunal of first instance");
	strcpy(hold.officers[0], "marie");
	strcpy(hold.officers[1], "jean");
	strcpy(hold.until, "2027-03-01");
	return hold;
}

static void check_bad_hold(const struct mail_erase_hold *hold)
{
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_CONTENT);
	assert_int_equal(mail_erase_hold_write(&packed, hold), ERR_INVALID);
	buf_release(&packed);
}

static void holds(void **state)
{
	struct mail_erase_hold hold = hold_make(), read;
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_CONTENT);
	assert_int_equal(mail_erase_hold_write(&packed, &hold), OK);
	assert_int_equal(mail_erase_hold_read(buf_bytes(&packed), &arena, &read, NULL), OK);
	assert_memory_equal(&read, &hold, sizeof(read));
	buf_release(&packed);
	memset(hold.authority, 'a', LIMIT_ERASE_TEXT);
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	assert_int_equal(mail_erase_hold_write(&packed, &hold), OK);
	buf_release(&packed);
	strcpy(hold.officers[1], "marie"); /* one alone decides nothing */
	check_bad_hold(&hold);
	hold = hold_make();
	strcpy(hold.until, "2027-3-01");
	check_bad_hold(&hold);
	hold = hold_make();
	hold.authority[3] = '\n';
	check_bad_hold(&hold);
	hold = hold_make();
	hold.authority[0] = '\0';
	check_bad_hold(&hold);
}

/* An order is signed and not sealed; nothing else may be open. */
static void never_sealed(void **state)
{
	static const uint8_t seed[32] = {7}, private_key[32] = {1}, ephemeral[32] = {9};
	struct mail_erase_order order = order_make(1, 0, 0);
	struct prekey prekey = {.number = 1};
	struct signer *signer;
	struct buf packed, mail;
	struct mail_draft draft = {.network = NETWORK,
		.sender = "haiti",
		.recipient = "jordan",
		.class = MAIL_ERASURE,
		.kind = MAIL_ERASE_ORDER,
		.ephemeral = BYTES_ARRAY(ephemeral)};

	assert_int_equal(x25519_public(BYTES_ARRAY(private_key), &prekey.key), OK);
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	buf_init(&packed, LIMIT_MAIL_CONTENT);
	buf_init(&mail, LIMIT_MAIL_ITEM);
	assert_int_equal(mail_erase_order_write(&packed, &order), OK);
	draft.content = buf_bytes(&packed);
	assert_int_equal(mail_write(&mail, &draft, signer), OK);
	draft.prekey = &prekey;
	assert_int_equal(mail_write(&mail, &draft, signer), ERR_INVALID);
	draft.kind = MAIL_NOTICE;
	draft.prekey = NULL;
	assert_int_equal(mail_write(&mail, &draft, signer), ERR_INVALID);
	buf_release(&packed);
	buf_release(&mail);
	signer_free(signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders),
		cmocka_unit_test(bad_orders),
		cmocka_unit_test(past_the_caps),
		cmocka_unit_test(receipts),
		cmocka_unit_test(holds),
		cmocka_unit_test(never_sealed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
