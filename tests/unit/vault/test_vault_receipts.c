/* Receipts in the vault: made, dropped, written once whatever is interrupted, kept over logs. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/receipt/receipt_row.h"
#include "certs/record_receipt.h"
#include "node/files.h"
#include "server/store/keyring.h"

enum { DAY_S = 24 * 3600, SOON_S = DAY_S + RECEIPT_DELAY_S, ROW_VALUE = 512 };
#define START UINT64_C(1790000000)

static struct vault_request *receipts_new_request(enum vault_receipts_op op)
{
	struct vault_request *request = request_new(VAULT_RECEIPTS);

	request->receipts = mem_zalloc(sizeof(*request->receipts));
	assert_non_null(request->receipts);
	request->receipts->op = op;
	request->receipts->writable = true;
	return request;
}

static struct vault_request *make_of(const char *name, const char *officer, uint32_t roles)
{
	struct vault_request *request = receipts_new_request(RECEIPTS_MAKE);

	snprintf(request->name, sizeof(request->name), "%s", name);
	snprintf(request->receipts->medium, sizeof(request->receipts->medium), "WORDS");
	if (officer != NULL) {
		snprintf(request->officer, sizeof(request->officer), "%s", officer);
		request->roles = roles;
	}
	return request;
}

/* Made and recorded; the words. */
static void give(struct fixture *f, char words[RECEIPT_TEXT_MAX])
{
	struct vault_request *request = ask(f, make_of("ZZ-ONE", NULL, 0));
	char line[1024];

	assert_ok(request->result);
	memcpy(words, request->receipts->words, RECEIPT_TEXT_MAX);
	snprintf(line, sizeof(line), "%s\n", buf_cstr(&request->receipts->line));
	assert_null(strstr(line, words)); /* not in what is recorded */
	record(f, line);
	vault_request_free(request);
}

/* held: so many entries of the log that is written. */
static struct vault_request *step(struct fixture *f, uint64_t node_s, uint64_t held)
{
	struct vault_request *request = receipts_new_request(RECEIPTS_STEP);

	request->node_s = node_s;
	request->held = mem_array(1, sizeof(*request->held));
	assert_non_null(request->held);
	snprintf(request->held->origin, sizeof(request->held->origin), "%s", f->log.origin.text);
	request->held->size = held;
	request->held_count = 1;
	request = ask(f, request);
	assert_ok(request->result);
	return request;
}

static void step_in_vain(struct fixture *f, uint64_t node_s, uint64_t held)
{
	struct vault_request *request = step(f, node_s, held);

	assert_int_equal(request->receipts->body.size, 0);
	vault_request_free(request);
}

/* A batch is due; its items. */
static struct bytes step_due(struct fixture *f, uint64_t node_s, struct buf *ret_entry)
{
	static struct arena arena;
	struct vault_request *request = step(f, node_s, 0);
	uint8_t seed[ED25519_SEED_SIZE] = {7};
	struct receipt_tags tags;
	struct signer *node;

	assert_true(request->receipts->body.size > 0);
	assert_string_equal(request->log_origin, f->log.origin.text);
	assert_ok(signer_new(BYTES_ARRAY(seed), &node));
	assert_ok(receipt_tags_write(ret_entry, buf_bytes(&request->receipts->body), node));
	signer_free(node);
	vault_request_free(request);
	arena_release(&arena);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(receipt_tags_read(buf_bytes(ret_entry), NULL, &arena, &tags, NULL));
	return tags.items;
}

static uint64_t append_one(struct fixture *f, const struct buf *entry)
{
	struct bytes list = buf_bytes(entry);

	return append(f, &list, 1);
}

static void restart(struct fixture *f)
{
	vault_end(f);
	vault_begin(f, "HTI");
	unlock(f);
}

static void check_state(struct fixture *f, size_t which, const char *expected)
{
	struct vault_request *request = receipts_new_request(RECEIPTS_SHOW);
	json_t *list;

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	list = answer_json(ask(f, request));
	check_text(json_array_get(list, which), "state", expected);
	json_decref(list);
}

static void tag_of(const char *words, struct receipt_keys *keys)
{
	struct receipt_words parsed;

	assert_ok(receipt_words_parse(bytes_str(words), &parsed, NULL));
	assert_ok(receipt_keys_derive(&parsed, NETWORK, keys));
}

/* What the words open is the entry of the first contact, as it stands in the log. */
static void names_the_first_contact(void **state)
{
	struct fixture *f = *state;
	char words[RECEIPT_TEXT_MAX];
	struct receipt_keys keys;
	struct receipt_item item;
	struct receipt_box box;
	struct hash origin, leaf;
	struct buf entry, first;
	struct bytes items;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&first, LIMIT_ENTRY_SIZE);
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	step_in_vain(f, START, 0);
	give(f, words);
	items = step_due(f, START + SOON_S, &entry);
	assert_int_equal(receipt_batch_count(items), LIMIT_RECEIPTS_FEW);
	tag_of(words, &keys);
	assert_true(receipt_batch_find(items, keys.tag) != SIZE_MAX);
	receipt_batch_at(items, receipt_batch_find(items, keys.tag), &item);
	assert_ok(receipt_item_open(&keys, &item, &box));
	sha256(bytes_str(f->log.origin.text), &origin);
	assert_true(hash_equal(&box.origin, &origin));
	assert_ok(store_entry(f->bench->store, &f->log.origin, box.index, &first, NULL));
	tree_leaf(buf_bytes(&first), &leaf);
	assert_true(hash_equal(&box.leaf, &leaf));
	buf_release(&entry);
	buf_release(&first);
}

/* Killed before the append, behind it, and before anybody was told. */
static void is_written_once(void **state)
{
	struct fixture *f = *state;
	char words[RECEIPT_TEXT_MAX];
	struct buf lost, entry;
	uint64_t index;

	buf_init(&lost, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	step_in_vain(f, START, 0);
	give(f, words);
	(void)step_due(f, START + SOON_S, &lost);
	restart(f); /* it never reached the log */
	check_state(f, 0, "provisional");
	(void)step_due(f, START + SOON_S + 60, &entry);
	index = append_one(f, &entry);
	restart(f); /* it did */
	check_state(f, 0, "provisional");
	step_in_vain(f, START + SOON_S + 120, index);
	check_state(f, 0, "logged");
	step_in_vain(f, START + SOON_S + 180, index); /* held up to it, without it */
	check_state(f, 0, "logged");
	step_in_vain(f, START + SOON_S + 240, index + 1);
	check_state(f, 0, "confirmed");
	restart(f);
	check_state(f, 0, "confirmed");
	/* A day later another batch, without it. */
	buf_clear(&entry);
	struct bytes items = step_due(f, START + 3 * SOON_S, &entry);
	struct receipt_keys keys;

	tag_of(words, &keys);
	assert_int_equal(receipt_batch_find(items, keys.tag), SIZE_MAX);
	buf_release(&lost);
	buf_release(&entry);
}

/* The log is never signed again, and nobody holds its end: the tag goes into the next log, where no
 * batch comes in the first day. What was held is not repeated. */
static void goes_over_into_the_next_log(void **state)
{
	struct fixture *f = *state;
	char held[RECEIPT_TEXT_MAX], lost[RECEIPT_TEXT_MAX];
	struct receipt_keys keys;
	struct tlog old;
	struct buf entry;
	struct bytes items;
	uint64_t index;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	step_in_vain(f, START, 0);
	give(f, held);
	(void)step_due(f, START + SOON_S, &entry);
	index = append_one(f, &entry);
	step_in_vain(f, START + SOON_S + 60, index + 1);
	give(f, lost);
	buf_clear(&entry);
	(void)step_due(f, START + 3 * SOON_S, &entry);
	(void)append_one(f, &entry);
	step_in_vain(f, START + 3 * SOON_S + 60, index + 1);
	check_state(f, 1, "logged");
	old = f->log;
	lock(f);
	tlog_init(&f->log, 2);
	keystore_write(f, f->log.origin.text);
	unlock(f);
	step_in_vain(f, START + 4 * SOON_S, 0);
	check_state(f, 0, "confirmed");
	check_state(f, 1, "provisional");
	step_in_vain(f, START + 4 * SOON_S + DAY_S - 1, 0);
	record(f, CONTACT_1); /* the log begins */
	buf_clear(&entry);
	items = step_due(f, START + 5 * SOON_S, &entry);
	tag_of(lost, &keys);
	assert_true(receipt_batch_find(items, keys.tag) != SIZE_MAX);
	tag_of(held, &keys);
	assert_int_equal(receipt_batch_find(items, keys.tag), SIZE_MAX);
	tlog_release(&old);
	buf_release(&entry);
}

/* What could not be recorded is not in the batch; nor is a batch written where nothing can be. */
static void what_was_dropped(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request, *drop;
	struct receipt_keys keys;
	struct buf entry;
	struct bytes items;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	step_in_vain(f, START, 0);
	request = ask(f, make_of("ZZ-ONE", NULL, 0));
	assert_ok(request->result);
	tag_of(request->receipts->words, &keys);
	drop = receipts_new_request(RECEIPTS_DROP);
	memcpy(drop->receipts->event_id, request->receipts->event_id,
		sizeof(drop->receipts->event_id));
	assert_ok(ask_simple(f, drop));
	vault_request_free(request);
	restart(f);
	request = receipts_new_request(RECEIPTS_STEP);
	request->node_s = START + SOON_S;
	request->receipts->writable = false;
	request = ask(f, request);
	assert_ok(request->result);
	assert_int_equal(request->receipts->body.size, 0);
	vault_request_free(request);
	items = step_due(f, START + SOON_S, &entry);
	assert_int_equal(receipt_batch_find(items, keys.tag), SIZE_MAX);
	buf_release(&entry);
}

static void refused(
	struct fixture *f, struct vault_request *request, enum err err, const char *says)
{
	request = ask(f, request);
	assert_int_equal(request->result, err);
	assert_non_null(strstr(request->ctx.text, says));
	assert_string_equal(request->receipts->words, "");
	vault_request_free(request);
}

static void to_whom_it_is_refused(void **state)
{
	struct fixture *f = *state;

	refused(f, make_of("ZZ-ONE", NULL, 0), ERR_LOCKED, "");
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	refused(f, make_of("ZZ-TWO", NULL, 0), ERR_NOTFOUND, "no case 'ZZ-TWO' is known here");
	refused(f, make_of("ZZ-ONE", "two", ACCOUNT_OFFICER), ERR_NOTFOUND,
		"no case 'ZZ-ONE' is known here");
	check_refused(f, IN_1("RECEIPT_GIVEN", "2026-02-10", "\"medium\":\"PAPER\""), ERR_INVALID,
		1, "risk_discussed_on: missing");
	check_refused(f,
		IN_1("RECEIPT_GIVEN", "2026-02-10",
			"\"medium\":\"PAPER\",\"risk_discussed_on\":\"2026-02-11\""),
		ERR_INVALID, 1, "risk_discussed_on: is after the receipt was given");
}

/* ---- caps ---- */

static void keyring_key(struct fixture *f, uint8_t ret[AEAD_KEY_SIZE])
{
	struct node_keys keys;
	struct buf file;

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	assert_ok(files_read_private(f->keystore, LIMIT_KEYSTORE_SIZE, &file, NULL));
	assert_ok(keystore_open(buf_bytes(&file), bytes_str(PASSPHRASE), &keys, NULL));
	memcpy(ret, keys.keyring_key.data, AEAD_KEY_SIZE);
	node_keys_release(&keys);
	buf_release(&file);
}

/* So many that wait. */
static void rows_put(struct fixture *f, size_t count)
{
	struct keyring_item *items = calloc(count, sizeof(*items));
	struct keyring *keyring;
	struct buf values, plain;
	uint8_t under[AEAD_KEY_SIZE];

	assert_non_null(items);
	keyring_key(f, under);
	buf_init(&values, count * ROW_VALUE);
	buf_init(&plain, ROW_VALUE);
	assert_non_null(buf_reserve(&values, count * ROW_VALUE)); /* views stay valid */
	for (size_t i = 0; i < count; i++) {
		struct receipt_row row = {.state = RECEIPT_WAITING, .made_s = i};
		size_t start = values.size;
		struct row_name name;

		put_u32be(row.event.b, (uint32_t)i);
		put_u32be(row.item.b, (uint32_t)i);
		receipt_row_name(&row.event, &name);
		buf_clear(&plain);
		receipt_row_write(&row, &plain);
		assert_ok(plain.err);
		assert_ok(row_wrap(
			BYTES_ARRAY(under), ROW_RECEIPT, &name, buf_bytes(&plain), &values));
		memcpy(items[i].kid, name.b, sizeof(name.b));
		items[i].value = bytes_make(values.data + start, values.size - start);
	}
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_put(keyring, items, count, NULL));
	keyring_close(keyring);
	buf_release(&values);
	buf_release(&plain);
	free(items);
}

static void as_many_as_there_may_be(void **state)
{
	struct fixture *f = *state;
	char words[RECEIPT_TEXT_MAX];
	struct buf entry;
	struct bytes items;
	uint8_t tag[RECEIPT_TAG_SIZE] = {0};

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	step_in_vain(f, START, 0);
	vault_end(f);
	rows_put(f, LIMIT_RECEIPTS_OPEN - 1);
	vault_begin(f, "HTI");
	unlock(f);
	give(f, words);
	refused(f, make_of("ZZ-ONE", NULL, 0), ERR_LIMIT, "not held by the quorum yet");
	/* The oldest go first, 64 at a time. */
	items = step_due(f, START + SOON_S, &entry);
	assert_int_equal(receipt_batch_count(items), LIMIT_RECEIPTS_BATCH);
	for (uint32_t i = 0; i < LIMIT_RECEIPTS_BATCH + 1; i++) {
		put_u32be(tag, i);
		assert_int_equal(
			receipt_batch_find(items, tag) != SIZE_MAX, i < LIMIT_RECEIPTS_BATCH);
	}
	buf_release(&entry);
}

static void as_many_as_a_case_has(void **state)
{
	struct fixture *f = *state;
	char words[RECEIPT_TEXT_MAX];

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	for (size_t i = 0; i < LIMIT_RECEIPTS_CASE; i++)
		give(f, words);
	refused(f, make_of("ZZ-ONE", NULL, 0), ERR_LIMIT, "were given for this case already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_the_first_contact),
		TEST(is_written_once),
		TEST(goes_over_into_the_next_log),
		TEST(what_was_dropped),
		TEST(to_whom_it_is_refused),
		TEST(as_many_as_there_may_be),
		TEST(as_many_as_a_case_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
