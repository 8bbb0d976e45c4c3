/*
 * Erasing: a case that is gone is gone from the book, the keyring, the drafts and the next unlock;
 * its log is what it was. Orders of others are obeyed once, from who gave the key alone; held ones
 * wait.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/given.h"
#include "cases/keys/order.h"
#include "cases/seal/keyring.h"
#include "certs/mail_erase.h"
#include "node/files.h"
#include "server/store/keyring.h"

static struct vault_request *erase_new(enum vault_type type, const char *name)
{
	struct vault_request *request = request_new(type);

	request->erase = mem_zalloc(sizeof(*request->erase));
	assert_non_null(request->erase);
	snprintf(request->name, sizeof(request->name), "%s", name);
	return request;
}

static struct vault_request *begin_case(const char *name)
{
	struct vault_request *request = erase_new(VAULT_ERASE_BEGIN, name);

	request->erase->scope = 1;
	return request;
}

/* The next thing to do, of that kind. */
static struct vault_request *next_is(struct fixture *f, uint32_t todo)
{
	struct vault_request *request = ask(f, erase_new(VAULT_ERASE_NEXT, ""));

	if (request->result != OK)
		fail_msg("next: %s", err_message(&request->ctx, request->result));
	if (request->erase->todo != todo)
		fail_msg("to do is %u, not %u", request->erase->todo, todo);
	return request;
}

static void did(struct fixture *f, struct vault_request *next)
{
	struct vault_request *request = erase_new(VAULT_ERASE_DID, "");

	*request->erase = *next->erase;
	assert_ok(ask_simple(f, request));
	vault_request_free(next);
}

/* What the loop does with lines for the ledger. */
static void into_ledger(struct fixture *f, const struct vault_request *next)
{
	struct vault_request *request = request_new(VAULT_LEDGER);

	buf_put(&request->lines, buf_bytes(&next->mail));
	ask(f, request);
	if (request->result != OK)
		fail_msg("ledger: %s", err_message(&request->ctx, request->result));
	append_commit(f, request);
}

static void nothing_left(struct fixture *f)
{
	vault_request_free(next_is(f, ERASE_TODO_NOTHING));
}

static void erase_case(struct fixture *f, const char *name)
{
	struct vault_request *next;

	assert_ok(ask_simple(f, begin_case(name)));
	next = next_is(f, ERASE_TODO_ORDERED);
	into_ledger(f, next);
	did(f, next);
	next = next_is(f, ERASE_TODO_COMPLETE); /* destroyed on the way; nobody else has keys */
	into_ledger(f, next);
	did(f, next);
	nothing_left(f);
}

static enum err show_error(struct fixture *f, const char *name, char *ret, size_t size)
{
	struct vault_request *request = show(f, name);
	enum err err = request->result;

	snprintf(ret, size, "%s", err == OK ? "" : request->ctx.text);
	vault_request_free(request);
	return err;
}

static json_t *status_of(struct fixture *f, const char *name)
{
	return answer_json(ask(f, erase_new(VAULT_ERASE_SHOW, name)));
}

static void a_case_is_gone(void **state)
{
	struct fixture *f = *state;
	char text[300];
	json_t *json;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CONTACT_1 OPEN_2);
	erase_case(f, "ZZ-ONE");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(show_error(f, "ZZ-ONE", text, sizeof(text)), ERR_NOTFOUND);
		assert_non_null(strstr(text, "was erased on 2026-09-21"));
		assert_int_equal(show_error(f, "ZZ-TWO", text, sizeof(text)), OK);
		json = status_of(f, "zz-one");
		assert_int_equal(json_array_size(json), 1);
		check_text(json_array_get(json, 0), "state", "complete");
		check_text(json_array_get(json, 0), "scope", "case");
		json_decref(json);
		nothing_left(f);
		lock(f);
		unlock(f); /* and after the next unlock */
	}
	/* Its code may be used again: nothing is known of it. */
	record(f, "{\"type\":\"CASE_OPENED\",\"case_code\":\"ZZ-ONE\",\"occurred_on\":"
		  "\"2026-04-01\",\"case_ref\":\"00112233445566778899aabbccddee09\"}\n");
	assert_int_equal(show_error(f, "ZZ-ONE", text, sizeof(text)), OK);
}

static void unread_does_not_count_it(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CONTACT_1);
	erase_case(f, "ZZ-ONE");
	lock(f);
	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_int_equal(request->unread, 0);
	vault_request_free(request);
}

static void a_hold_of_the_law(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1 AGREED_1 IN_1("LEGAL_HOLD", "2026-09-01",
			  "\"authority\":\"Tribunal\",\"until\":\"2027-01-01\",\"approvers\":"
			  "[\"one\",\"two\"]"));
	request = ask(f, begin_case("ZZ-ONE"));
	assert_int_equal(request->result, ERR_DENIED);
	assert_non_null(strstr(request->ctx.text, "legal hold"));
	vault_request_free(request);
	nothing_left(f);
}

/* Interrupted between any two steps: the next unlock goes on with it. */
static void goes_on_after_a_lock(void **state)
{
	struct fixture *f = *state;
	struct vault_request *next;
	char text[300];

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	assert_ok(ask_simple(f, begin_case("ZZ-ONE")));
	assert_int_equal(show_error(f, "ZZ-ONE", text, sizeof(text)), OK);
	lock(f);
	unlock(f);
	next = next_is(f, ERASE_TODO_ORDERED);
	into_ledger(f, next);
	vault_request_free(next); /* not said: it is written once more, and does no harm */
	lock(f);
	unlock(f); /* the ledger says that it was ordered: its keys are gone at once */
	assert_int_equal(show_error(f, "ZZ-ONE", text, sizeof(text)), ERR_NOTFOUND);
	next = next_is(f, ERASE_TODO_ORDERED);
	into_ledger(f, next);
	did(f, next);
	next = next_is(f, ERASE_TODO_COMPLETE);
	did(f, next);
	nothing_left(f);
}

/* ---- a part of a case ---- */

#define ID_CALL "01890a5d-ac96-774b-bcce-b302099a8777"
#define CALL_1  IN_1("CONTACT", "2026-02-05", "\"event_id\":\"" ID_CALL "\"," CALL)
#define RIGHT_1                                                                                    \
	"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_CALL              \
	"\",\"field\":\"result\",\"new_value\":\"NOT_REACHED\",\"reason\":\"ERROR\"}\n"

/* All that the loop does until nothing is left. */
static unsigned run_all(struct fixture *f)
{
	unsigned sealed = 0;

	for (;;) {
		struct vault_request *request, *next = ask(f, erase_new(VAULT_ERASE_NEXT, ""));

		if (next->result != OK)
			fail_msg("next: %s", err_message(&next->ctx, next->result));
		switch (next->erase->todo) {
		case ERASE_TODO_NOTHING:
			vault_request_free(next);
			return sealed;
		case ERASE_TODO_RESEAL:
			request = erase_new(VAULT_ERASE_RESEAL, "");
			memcpy(request->erase->order_id, next->erase->order_id, 16);
			ask(f, request);
			assert_ok(request->result);
			assert_non_null(request->entries);
			sealed += (unsigned)request->entries->count;
			append_commit(f, request);
			vault_request_free(next);
			break;
		case ERASE_TODO_NOTE:
			record(f, buf_cstr(&next->mail));
			did(f, next);
			break;
		default:
			into_ledger(f, next);
			did(f, next);
			break;
		}
	}
}

static struct vault_request *begin_part(uint32_t scope, const char *event)
{
	struct vault_request *request = erase_new(VAULT_ERASE_BEGIN, "ZZ-ONE");

	request->erase->scope = scope;
	snprintf(request->erase->event, sizeof(request->erase->event), "%s", event);
	snprintf(request->erase->basis, sizeof(request->erase->basis), "OBJECTION");
	return request;
}

static size_t events_of(struct fixture *f, const char *type, char **ret_text)
{
	json_t *all = answer_json(show(f, "ZZ-ONE"));
	size_t count = 0;

	for (size_t i = 1; i < json_array_size(all); i++) {
		const char *is = json_string_value(json_object_get(json_array_get(all, i), "type"));

		count += is != NULL && strcmp(is, type) == 0;
	}
	if (ret_text != NULL)
		*ret_text = json_dumps(all, 0);
	json_decref(all);
	return count;
}

static void an_event_is_gone(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CONTACT_1 CALL_1 RIGHT_1);
	assert_int_equal(events_of(f, "CONTACT", NULL), 2);
	assert_ok(ask_simple(f, begin_part(3, ID_CALL)));
	/* One that is under way is not begun twice. */
	request = ask(f, begin_part(3, ID_CALL));
	assert_int_equal(request->result, ERR_EXISTS);
	vault_request_free(request);
	assert_true(run_all(f) >= 1); /* the other contact is sealed anew */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(events_of(f, "CONTACT", NULL), 1);
		assert_int_equal(events_of(f, "CORRECTION", NULL), 0);
		assert_int_equal(events_of(f, "CONSENT_RECORDED", NULL), 1);
		assert_int_equal(events_of(f, "ERASURE_REQUESTED", NULL), 1);
		assert_int_equal(events_of(f, "ERASURE_DONE", NULL), 1);
		lock(f);
		request = ask(f, unlock_request(PASSPHRASE));
		assert_ok(request->result);
		assert_int_equal(request->unread, 0);
		vault_request_free(request);
	}
	check_locators_unique(f);
	/* What comes now is sealed under the new keys. */
	record(f, CONTACT_1);
	assert_int_equal(events_of(f, "CONTACT", NULL), 2);
}

static void a_note_is_gone(void **state)
{
	struct fixture *f = *state;
	char *text;

	unlock(f);
	record(f, OPEN_1 AGREED_1 "{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1
				  "\",\"occurred_on\":\"2026-02-05\"," CALL
				  ",\"note\":\"sandpiper\"}\n");
	assert_int_equal(events_of(f, "CONSENT_RECORDED", &text), 1);
	assert_non_null(strstr(text, "quillfeather"));
	free(text);
	assert_ok(ask_simple(f, begin_part(4, ID_2)));
	run_all(f);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(events_of(f, "CONSENT_RECORDED", &text), 1);
		assert_null(strstr(text, "quillfeather"));
		assert_non_null(strstr(text, "sandpiper"));
		free(text);
		lock(f);
		unlock(f);
	}
}

/* Stopped between any two batches, it goes on. */
static void a_part_after_a_lock(void **state)
{
	struct fixture *f = *state;
	struct vault_request *next;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CONTACT_1 CALL_1);
	assert_ok(ask_simple(f, begin_part(3, ID_CALL)));
	lock(f);
	unlock(f);
	next = next_is(f, ERASE_TODO_ORDERED);
	vault_request_free(next);
	assert_int_equal(events_of(f, "CONTACT", NULL), 2);
	run_all(f);
	assert_int_equal(events_of(f, "CONTACT", NULL), 1);
}

static void what_cannot_be_erased_alone(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1 AGREED_1 OPEN_2);
	request = ask(f, begin_part(3, ID_1)); /* that opened the case */
	assert_int_equal(request->result, ERR_INVALID);
	vault_request_free(request);
	request = ask(f, begin_part(3, ID_3)); /* of another case */
	assert_int_equal(request->result, ERR_NOTFOUND);
	vault_request_free(request);
	request = ask(f, begin_part(4, ID_1)); /* without a note */
	assert_int_not_equal(request->result, OK);
	vault_request_free(request);
	request = ask(f, begin_part(3, "nonsense"));
	assert_int_equal(request->result, ERR_NOTFOUND);
	vault_request_free(request);
	nothing_left(f);
}

/* ---- what others order ---- */

static const struct hash given_by = {{0x11}}, other_key = {{0x22}};

/* As the keystore has it now. */
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

static int kid_order(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_KID_SIZE);
}

/* A key of `author` for a case, as if it had been granted; its kid. */
static struct seal_kid key_put_in(struct fixture *f, const char *ref, const char *author, uint8_t k)
{
	struct keyring_entry entry = {.group = GROUP_CORE, .generation = 1};
	struct keyring_item item;
	struct keyring *keyring;
	struct seal_kid kid;
	struct buf value;
	uint8_t key[SEAL_KEY_SIZE] = {k, 0x5e}, under[AEAD_KEY_SIZE];

	assert_ok(hex_decode(bytes_str(ref), entry.case_ref.b, CASE_REF_SIZE));
	snprintf(entry.author, sizeof(entry.author), "%s", author);
	snprintf(entry.origin, sizeof(entry.origin), NETWORK "/%s/1-00112233445566aa", author);
	assert_ok(secret_copy(&entry.key, BYTES_ARRAY(key)));
	keyring_key(f, under);
	buf_init(&value, 1024);
	assert_ok(keyring_wrap(BYTES_ARRAY(under), &entry, &value, &kid));
	memcpy(item.kid, kid.b, sizeof(kid.b));
	item.value = buf_bytes(&value);
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_put(keyring, &item, 1, NULL));
	keyring_close(keyring);
	keyring_entry_release(&entry);
	buf_release(&value);
	return kid;
}

static struct seal_kid key_put(struct fixture *f, const char *author, uint8_t k)
{
	return key_put_in(f, REF_1, author, k);
}

static void keyring_remove(struct fixture *f)
{
	static const char *const files[] = {"data.mdb", "lock.mdb", "lock"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[400];

		snprintf(path, sizeof(path), "%s/%s", f->keyring, files[i]);
		assert_int_equal(unlink(path), 0);
	}
}

/* Is there a row of that name? The vault must have ended. */
static bool row_there(struct fixture *f, const struct seal_kid *kid)
{
	struct keyring *keyring;
	struct buf value;
	enum err err;

	buf_init(&value, KEYRING_VALUE_MAX);
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	err = keyring_get(keyring, kid->b, &value, NULL);
	keyring_close(keyring);
	buf_release(&value);
	return err == OK;
}

static struct vault_request *order_from(const char *sender, const struct hash *key,
	const struct seal_kid *kids, size_t count, uint8_t id)
{
	struct mail_erase_order order = {.order_id = {id}, .at = 1};
	struct vault_request *request = erase_new(VAULT_ERASE_TAKE, "");

	for (size_t i = 0; i < count; i++)
		memcpy(order.kids.kid[i], kids[i].b, SEAL_KID_SIZE);
	order.kids.count = count;
	order.prekeys.number[0] = 1;
	order.prekeys.number[1] = 900;
	order.prekeys.count = 2;
	assert_ok(mail_erase_order_write(&request->mail, &order));
	snprintf(request->erase->sender, sizeof(request->erase->sender), "%s", sender);
	request->erase->sender_key = *key;
	request->erase->confirmed = hash_equal(key, &given_by);
	request->erase->kind = MAIL_ERASE_ORDER;
	return request;
}

static void order_is(struct fixture *f, struct vault_request *order, uint32_t verdict)
{
	ask(f, order);
	if (order->result != OK)
		fail_msg("order: %s", err_message(&order->ctx, order->result));
	if (order->erase->verdict != verdict)
		fail_msg("verdict %u, not %u", order->erase->verdict, verdict);
	vault_request_free(order);
}

/* Ledger, then receipt: what is in it. */
static struct mail_erase_receipt obeyed(struct fixture *f)
{
	struct mail_erase_receipt receipt;
	struct vault_request *next = next_is(f, ERASE_TODO_OBEYED);
	struct arena arena;

	into_ledger(f, next);
	did(f, next);
	next = next_is(f, ERASE_TODO_RECEIPT);
	assert_string_equal(next->erase->to, "jordan");
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(mail_erase_receipt_read(buf_bytes(&next->mail), &arena, &receipt, NULL));
	arena_release(&arena);
	did(f, next);
	return receipt;
}

static void an_order_is_obeyed(void **state)
{
	struct fixture *f = *state;
	struct seal_kid kids[2], late = {{0xff, 1}};
	struct mail_erase_receipt receipt;

	kids[0] = key_put(f, "jordan", 1);
	kids[1] = late;
	unlock(f);
	order_is(f, order_from("jordan", &given_by, kids, 2, 5), ORDER_GOOD);
	receipt = obeyed(f);
	assert_int_equal(receipt.destroyed.count, 1);
	assert_memory_equal(receipt.destroyed.kid[0], kids[0].b, SEAL_KID_SIZE);
	assert_int_equal(receipt.never.count, 1);
	/* Of prekeys 1 is there, and no other. */
	assert_int_equal(receipt.prekeys_left.count, 1);
	assert_int_equal(receipt.prekeys_left.number[0], 1);
	assert_int_equal(receipt.prekeys_gone.number[0], 900);
	nothing_left(f);
	/* Once more, a year later: the same receipt, and that is all. */
	order_is(f, order_from("jordan", &given_by, kids, 2, 5), ORDER_GOOD);
	vault_request_free(next_is(f, ERASE_TODO_RECEIPT));
	/* Its id for other keys. */
	order_is(f, order_from("jordan", &given_by, kids, 1, 5), ORDER_ANOTHER);
	vault_end(f);
	assert_false(row_there(f, &kids[0]));
	/* A keyring from before it: the ledger says that it was obeyed. */
	(void)key_put(f, "jordan", 1);
	vault_begin(f, "HTI");
	unlock(f);
	vault_end(f);
	assert_false(row_there(f, &kids[0]));
	vault_begin(f, "HTI");
}

/* Nobody else's word counts, and nothing is destroyed. */
static void orders_of_the_wrong_node(void **state)
{
	struct fixture *f = *state;
	struct seal_kid kids[2];

	kids[0] = key_put(f, "jordan", 1);
	kids[1] = key_put(f, "chad", 2);
	if (memcmp(kids[0].b, kids[1].b, SEAL_KID_SIZE) > 0) {
		struct seal_kid first = kids[1];

		kids[1] = kids[0];
		kids[0] = first;
	}
	unlock(f);
	order_is(f, order_from("jordan", &given_by, kids, 2, 1), ORDER_NOT_AUTHOR);
	order_is(f, order_from("kenya", &given_by, kids, 1, 2), ORDER_NOT_AUTHOR);
	order_is(f, order_from("jordan", &other_key, kids, 2, 3), ORDER_NOT_AUTHOR);
	nothing_left(f);
	vault_end(f);
	assert_true(row_there(f, &kids[0]) && row_there(f, &kids[1]));
	vault_begin(f, "HTI");
}

static void another_node_key(void **state)
{
	struct fixture *f = *state;
	struct seal_kid kid = key_put(f, "jordan", 1);

	unlock(f);
	order_is(f, order_from("jordan", &other_key, &kid, 1, 1), ORDER_NOT_KEY);
	nothing_left(f);
	vault_end(f);
	assert_true(row_there(f, &kid));
	vault_begin(f, "HTI");
	/* The key that gave it, later: the refusal was no answer. */
	unlock(f);
	order_is(f, order_from("jordan", &given_by, &kid, 1, 1), ORDER_GOOD);
	(void)obeyed(f);
}

/* The order is first, the key comes after: it never opens anything. */
static void an_order_before_its_grant(void **state)
{
	struct fixture *f = *state;
	struct mail_erase_receipt receipt;
	struct seal_kid kid = key_put(f, "jordan", 1);

	vault_end(f);
	keyring_remove(f);
	vault_begin(f, "HTI");
	unlock(f);
	order_is(f, order_from("jordan", &other_key, &kid, 1, 1), ORDER_GOOD); /* none is here */
	receipt = obeyed(f);
	assert_int_equal(receipt.never.count, 1);
	vault_end(f);
	(void)key_put(f, "jordan", 1);
	vault_begin(f, "HTI");
	unlock(f);
	vault_end(f);
	assert_false(row_there(f, &kid));
	/* Another's key of the same id is not hit by it. */
	(void)key_put(f, "chad", 1);
	vault_begin(f, "HTI");
	unlock(f);
	vault_end(f);
	assert_true(row_there(f, &kid));
	vault_begin(f, "HTI");
}

/* A held case cannot be had destroyed together with one that is not, whichever comes first. */
static void two_cases_in_one_order(void **state)
{
	struct fixture *f = *state;
	struct seal_kid kids[2];

	for (uint8_t i = 0; i < 2; i++) {
		kids[0] = key_put_in(f, i == 0 ? REF_1 : REF_2, "jordan", (uint8_t)(2 * i + 1));
		kids[1] = key_put_in(f, i == 0 ? REF_2 : REF_1, "jordan", (uint8_t)(2 * i + 2));
		qsort(kids, 2, sizeof(kids[0]), kid_order);
		vault_end(f);
		vault_begin(f, "HTI");
		unlock(f);
		order_is(f, order_from("jordan", &given_by, kids, 2, i), ORDER_TOO_MUCH);
		nothing_left(f);
		vault_end(f);
		assert_true(row_there(f, &kids[0]) && row_there(f, &kids[1]));
		vault_begin(f, "HTI");
	}
}

static void receipts_of_nobody(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request = erase_new(VAULT_ERASE_TAKE, "");
	struct mail_erase_receipt receipt = {.order_id = {9}};
	struct mail_erase_hold hold = {.order_id = {9}};

	unlock(f);
	assert_ok(mail_erase_receipt_write(&request->mail, &receipt));
	strcpy(request->erase->sender, "jordan");
	request->erase->kind = MAIL_ERASE_RECEIPT;
	order_is(f, request, ORDER_UNKNOWN);
	request = erase_new(VAULT_ERASE_TAKE, "");
	strcpy(hold.authority, "Tribunal");
	strcpy(hold.officers[0], "a");
	strcpy(hold.officers[1], "b");
	strcpy(hold.until, "2027-01-01");
	assert_ok(mail_erase_hold_write(&request->mail, &hold));
	request->erase->kind = MAIL_ERASE_HOLD;
	order_is(f, request, ORDER_UNKNOWN);
	request = erase_new(VAULT_ERASE_TAKE, "");
	buf_put_str(&request->mail, "garbage");
	request->erase->kind = MAIL_ERASE_ORDER;
	order_is(f, request, ORDER_TOO_MUCH);
	nothing_left(f);
}

/* ---- a holder answers ---- */

static const struct hash holder_key = {{0x33}};

/* As if the key of ZZ-ONE had been granted to jordan, sealed to its prekey 4. */
static void given_put(struct fixture *f, const struct seal_kid *kid)
{
	uint8_t under[AEAD_KEY_SIZE];
	struct given given;
	struct keyring_item item;
	struct keyring *keyring;
	struct row_name name;
	struct buf plain, value;

	assert_ok(given_init(&given, 1));
	given.keys[0] = (struct given_key){*kid, GROUP_CORE, 0};
	given.id.b[0] = 9;
	assert_ok(hex_decode(bytes_str(REF_1), given.case_ref.b, CASE_REF_SIZE));
	strcpy(given.recipient, "jordan");
	strcpy(given.purpose, "REFERRAL");
	given.node_key = holder_key;
	given.basis = GRANT_MANDATE;
	given.groups = GROUP_BIT(GROUP_CORE);
	given.state = GIVEN_TAKEN;
	given.prekeys[0] = 4;
	given.prekey_count = 1;
	buf_init(&plain, ROW_PLAIN_MAX);
	buf_init(&value, KEYRING_VALUE_MAX);
	keyring_key(f, under);
	given_row_name(&given.id, &name);
	assert_ok(given_pack(&given, &plain));
	assert_ok(row_wrap(BYTES_ARRAY(under), ROW_GIVEN, &name, buf_bytes(&plain), &value));
	memcpy(item.kid, name.b, sizeof(name.b));
	item.value = buf_bytes(&value);
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_put(keyring, &item, 1, NULL));
	keyring_close(keyring);
	given_release(&given);
	buf_release(&plain);
	buf_release(&value);
}

/* The kid of the one key that a fresh case has. */
static enum err first_kid(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct keyring_entry entry = {0};
	struct seal_kid *ret = arg, kid;
	uint8_t under[AEAD_KEY_SIZE] = {7}; /* as keystore_write has it */

	if (row_kind(item->value) != ROW_KEY)
		return OK;
	memcpy(kid.b, item->kid, sizeof(kid.b));
	assert_ok(keyring_unwrap(BYTES_ARRAY(under), &kid, item->value, &entry));
	if (entry.group == GROUP_CORE)
		*ret = kid;
	keyring_entry_release(&entry);
	return OK;
}

static struct vault_request *answer_from(const char *node, const struct hash *key)
{
	struct vault_request *request = erase_new(VAULT_ERASE_TAKE, "");

	snprintf(request->erase->sender, sizeof(request->erase->sender), "%s", node);
	request->erase->sender_key = *key;
	request->erase->kind = MAIL_ERASE_RECEIPT;
	return request;
}

/* gone, left: prekeys; 0: none. */
static void receipt_is(struct fixture *f, const struct mail_erase_order *order, const char *node,
	const struct hash *key, uint64_t gone, uint64_t left, uint32_t verdict)
{
	struct vault_request *request = answer_from(node, key);
	struct mail_erase_receipt receipt = {.destroyed = order->kids};

	memcpy(receipt.order_id, order->order_id, sizeof(receipt.order_id));
	receipt.prekeys_gone.number[0] = gone;
	receipt.prekeys_gone.count = gone != 0;
	receipt.prekeys_left.number[0] = left;
	receipt.prekeys_left.count = left != 0;
	assert_ok(mail_erase_receipt_write(&request->mail, &receipt));
	order_is(f, request, verdict);
}

static void hold_is(
	struct fixture *f, const struct mail_erase_order *order, const char *node, uint32_t verdict)
{
	struct vault_request *request = answer_from(node, &holder_key);
	struct mail_erase_hold hold = {.at = 1};

	memcpy(hold.order_id, order->order_id, sizeof(hold.order_id));
	strcpy(hold.authority, "Tribunal");
	strcpy(hold.officers[0], "a");
	strcpy(hold.officers[1], "b");
	strcpy(hold.until, "2027-01-01");
	assert_ok(mail_erase_hold_write(&request->mail, &hold));
	request->erase->kind = MAIL_ERASE_HOLD;
	order_is(f, request, verdict);
}

static void state_is(struct fixture *f, const char *state)
{
	json_t *json = status_of(f, REF_1);

	check_text(json_array_get(json, 0), "state", state);
	json_decref(json);
}

static void a_holder_answers(void **state)
{
	struct fixture *f = *state;
	struct mail_erase_order order, other;
	struct seal_kid kid = {{0}};
	struct vault_request *next;
	struct keyring *keyring;
	struct arena arena;

	unlock(f);
	record(f, OPEN_1);
	vault_end(f);
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_each(keyring, first_kid, &kid, NULL));
	keyring_close(keyring);
	given_put(f, &kid);
	vault_begin(f, "HTI");
	unlock(f);
	assert_ok(ask_simple(f, begin_case("ZZ-ONE")));
	next = next_is(f, ERASE_TODO_ORDERED);
	into_ledger(f, next);
	did(f, next);
	next = next_is(f, ERASE_TODO_ORDER);
	assert_string_equal(next->erase->to, "jordan");
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(mail_erase_order_read(buf_bytes(&next->mail), &arena, &order, NULL));
	arena_release(&arena);
	assert_int_equal(order.kids.count, 1);
	assert_memory_equal(order.kids.kid[0], kid.b, SEAL_KID_SIZE);
	assert_int_equal(order.prekeys.count, 1);
	assert_int_equal(order.prekeys.number[0], 4);
	did(f, next);
	nothing_left(f); /* asked today */
	state_is(f, "destroyed here");
	/* Whose word does not count, and what nobody asked. */
	receipt_is(f, &order, "kenya", &holder_key, 4, 0, ORDER_NOT_ASKED);
	receipt_is(f, &order, "jordan", &other_key, 4, 0, ORDER_NOT_ASKED);
	receipt_is(f, &order, "jordan", &holder_key, 5, 0, ORDER_TOO_MUCH);
	other = order;
	other.order_id[0] ^= 1;
	receipt_is(f, &other, "jordan", &holder_key, 4, 0, ORDER_UNKNOWN);
	other = order;
	other.kids.kid[0][0] ^= 1;
	receipt_is(f, &other, "jordan", &holder_key, 4, 0, ORDER_TOO_MUCH);
	hold_is(f, &order, "kenya", ORDER_NOT_ASKED);
	state_is(f, "destroyed here");
	hold_is(f, &order, "jordan", ORDER_GOOD);
	/* Destroyed, its prekey later; an old receipt that comes once more changes nothing. */
	receipt_is(f, &order, "jordan", &holder_key, 0, 4, ORDER_GOOD);
	state_is(f, "confirmed");
	receipt_is(f, &order, "jordan", &holder_key, 4, 0, ORDER_GOOD);
	receipt_is(f, &order, "jordan", &holder_key, 0, 4, ORDER_GOOD);
	hold_is(f, &order, "jordan", ORDER_GOOD); /* too late */
	lock(f);
	unlock(f);
	state_is(f, "complete");
	next = next_is(f, ERASE_TODO_COMPLETE);
	into_ledger(f, next);
	did(f, next);
	nothing_left(f);
}

/* ---- caps ---- */

enum { ROW_VALUE = 256 };

static uint64_t rows_told_at = 1; /* 0: they wait for their receipt */

/* So many rows of a kind, in one transaction: what a node may remember. */
static void rows_put(struct fixture *f, enum row_kind kind, const char *sender, size_t count)
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
		struct hold hold = {.until = "2027-01-01", .officers = {"a", "b"}};
		struct erasure erasure;
		struct row_name name;
		size_t start = values.size;

		buf_clear(&plain);
		assert_ok(erasure_init(&erasure, 1, 0, 0));
		put_u32be(erasure.id.b, (uint32_t)i);
		snprintf(erasure.sender, sizeof(erasure.sender), "%s", sender);
		erasure.destroyed_at = erasure.confirmed_at = 1;
		erasure.told_at = rows_told_at;
		erasure.ledger = true;
		put_u32be(hold.case_ref.b, (uint32_t)i);
		if (kind == ROW_HOLD) {
			assert_ok(hold_pack(&hold, &plain));
			hold_row_name(&hold.case_ref, &name);
		} else {
			assert_ok(erasure_pack(&erasure, &plain));
			erasure_row_name(erasure.sender, &erasure.id, &name);
		}
		assert_ok(row_wrap(BYTES_ARRAY(under), kind, &name, buf_bytes(&plain), &values));
		memcpy(items[i].kid, name.b, sizeof(name.b));
		items[i].value = bytes_make(values.data + start, values.size - start);
		erasure_release(&erasure);
	}
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_put(keyring, items, count, NULL));
	keyring_close(keyring);
	buf_release(&values);
	buf_release(&plain);
	free(items);
}

static enum err order_of(struct fixture *f, uint8_t id)
{
	struct seal_kid kid = {{id}};

	return ask_simple(f, order_from("jordan", &given_by, &kid, 1, id));
}

/* Whoever floods fills what one office has, and nobody else's. */
static void orders_of_one_node(void **state)
{
	struct fixture *f = *state;
	struct seal_kid kid = {{0x77}};

	rows_told_at = 0;
	rows_put(f, ROW_ERASURE, "jordan", LIMIT_ERASURES_SENDER - 1);
	rows_told_at = 1;
	unlock(f);
	assert_ok(order_of(f, 0xf1));
	assert_int_equal(order_of(f, 0xf2), ERR_FULL);
	assert_ok(ask_simple(f, order_from("chad", &given_by, &kid, 1, 0xf3)));
}

/* What was obeyed and answered for good makes way, also on the disk. */
static void orders_of_many_years(void **state)
{
	struct fixture *f = *state;

	rows_put(f, ROW_ERASURE, "jordan", LIMIT_ERASURES_SENDER);
	unlock(f);
	assert_ok(order_of(f, 0xf1));
	assert_ok(order_of(f, 0xf2));
	lock(f);
	unlock(f);
	assert_ok(order_of(f, 0xf3));
}

/* All other nodes together cannot keep this one from erasing. */
static void orders_of_all_others(void **state)
{
	static const char *const others[] = {"chad", "jordan", "kenya", "peru"};
	struct fixture *f = *state;

	rows_told_at = 0;
	for (size_t i = 0; i < 4; i++)
		rows_put(f, ROW_ERASURE, others[i], LIMIT_ERASURES / 2 / 4);
	rows_told_at = 1;
	unlock(f);
	record(f, OPEN_1);
	assert_int_equal(order_of(f, 0xf1), ERR_FULL);
	assert_ok(ask_simple(f, begin_case("ZZ-ONE")));
}

static void all_that_is_remembered(void **state)
{
	struct fixture *f = *state;

	rows_put(f, ROW_ERASURE, "", LIMIT_ERASURES - 1);
	unlock(f);
	record(f, OPEN_1 OPEN_2);
	assert_ok(ask_simple(f, begin_case("ZZ-ONE")));
	assert_int_equal(ask_simple(f, begin_case("ZZ-TWO")), ERR_FULL);
	lock(f);
	unlock(f); /* nothing of it was written */
}

static enum err hold_case(struct fixture *f, const char *name)
{
	struct vault_request *request = erase_new(VAULT_ERASE_HOLD, name);

	strcpy(request->erase->authority, "Tribunal");
	strcpy(request->erase->second, "another");
	strcpy(request->erase->until, "2027-01-01");
	return ask_simple(f, request);
}

static void cases_that_are_held(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	rows_put(f, ROW_HOLD, "", LIMIT_HOLDS - 1);
	unlock(f);
	record(f, OPEN_1 OPEN_2);
	assert_ok(hold_case(f, "ZZ-ONE"));
	assert_ok(hold_case(f, "ZZ-ONE")); /* in its place */
	assert_int_equal(hold_case(f, "ZZ-TWO"), ERR_LIMIT);
	/* Two officers. */
	request = erase_new(VAULT_ERASE_HOLD, "ZZ-ONE");
	strcpy(request->erase->authority, "Tribunal");
	strcpy(request->erase->second, "officer one");
	strcpy(request->erase->until, "2027-01-01");
	assert_int_equal(ask_simple(f, request), ERR_INVALID);
}

/* ---- keys from before it ---- */

static void copy(const char *from, const char *to)
{
	struct buf file;

	buf_init(&file, 64 * 1024 * 1024);
	assert_ok(files_read(from, 64 * 1024 * 1024 - 1, &file, NULL));
	assert_ok(files_write(to, buf_bytes(&file), 0600, NULL));
	buf_release(&file);
}

static void ledger_begun(struct fixture *f)
{
	struct vault_request *request = request_new(VAULT_LEDGER);

	buf_put_str(&request->lines,
		"{\"type\":\"KEYS_ERASED\",\"order_id\":\"" REF_1 "\",\"stage\":\"COMPLETE\"}\n");
	ask(f, request);
	assert_ok(request->result);
	append_commit(f, request);
}

/* Keystore and keyring as they were: what the ledger says was ordered is done again, before any
 * case is served. */
static void old_keys_come_back(void **state)
{
	struct fixture *f = *state;
	char ring[400], ring_copy[400], store_copy[400], text[300];

	snprintf(ring, sizeof(ring), "%s/data.mdb", f->keyring);
	snprintf(ring_copy, sizeof(ring_copy), "%s.copy", f->keyring);
	snprintf(store_copy, sizeof(store_copy), "%s.copy", f->keystore);
	unlock(f);
	record(f, OPEN_1 AGREED_1 OPEN_2);
	ledger_begun(f); /* the key of the ledger is older than the copy */
	vault_end(f);
	copy(ring, ring_copy);
	copy(f->keystore, store_copy);
	vault_begin(f, "HTI");
	unlock(f);
	erase_case(f, "ZZ-ONE");
	vault_end(f);
	copy(ring_copy, ring);
	copy(store_copy, f->keystore);
	vault_begin(f, "HTI");
	unlock(f);
	assert_int_equal(show_error(f, "ZZ-ONE", text, sizeof(text)), ERR_NOTFOUND);
	assert_int_equal(show_error(f, "ZZ-TWO", text, sizeof(text)), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_case_is_gone),
		TEST(unread_does_not_count_it),
		TEST(a_hold_of_the_law),
		TEST(goes_on_after_a_lock),
		TEST(an_event_is_gone),
		TEST(a_note_is_gone),
		TEST(a_part_after_a_lock),
		TEST(what_cannot_be_erased_alone),
		TEST(an_order_is_obeyed),
		TEST(orders_of_the_wrong_node),
		TEST(another_node_key),
		TEST(an_order_before_its_grant),
		TEST(two_cases_in_one_order),
		TEST(receipts_of_nobody),
		TEST(a_holder_answers),
		TEST(orders_of_one_node),
		TEST(orders_of_many_years),
		TEST(orders_of_all_others),
		TEST(all_that_is_remembered),
		TEST(cases_that_are_held),
		TEST(old_keys_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
