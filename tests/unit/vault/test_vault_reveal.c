/* Parts opened for others: what P opens, what is remembered, and how much of that there may be. */
#include "support.h"

#include <stdio.h>

#include "base/alloc.h"
#include "cases/keys/revealed.h"
#include "cases/seal/opened.h"
#include "server/store/keyring.h"

#define NOBODY "01890a5d-ac96-774b-bcce-b302099a80ff"

static struct vault_request *reveal(
	struct fixture *f, const char *event_id, const char *group, const char *to)
{
	struct vault_request *request = request_new(VAULT_REVEAL);

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	snprintf(request->event_id, sizeof(request->event_id), "%s", event_id);
	snprintf(request->group, sizeof(request->group), "%s", group);
	snprintf(request->to, sizeof(request->to), "%s", to);
	request->open = to[0] != '\0';
	return ask(f, request);
}

static enum err reveal_result(
	struct fixture *f, const char *event_id, const char *group, const char *to)
{
	struct vault_request *request = reveal(f, event_id, group, to);
	enum err err = request->result;

	assert_int_equal(err == OK, request->file.size > 0);
	vault_request_free(request);
	return err;
}

static void opens_what_was_asked_for(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct opened opened;
	struct part_info info;
	struct sealer *sealer;
	struct hash origin, id;
	struct buf part;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	request = reveal(f, ID_2, "", "somebody"); /* a consent: to anybody */
	assert_ok(request->result);
	assert_string_equal(request->group, "consent");
	assert_ok(opened_parse(buf_bytes(&request->file), &opened));
	assert_true(opened.has_p);
	revealed_id(&opened.p, &id);
	assert_true(hash_equal(&id, &request->revealed));
	assert_ok(sealer_new(&sealer));
	buf_init(&part, LIMIT_PART_SIZE);
	sha256(bytes_str(request->log_origin), &origin);
	assert_ok(seal_open_revealed(sealer, &opened.p, &origin, opened.entry, &part));
	assert_ok(part_info_read(buf_bytes(&part), &info, NULL));
	assert_int_equal(info.group, GROUP_CONSENT);
	buf_release(&part);
	sealer_free(sealer);
	vault_request_free(request);
	request = reveal(f, ID_2, "", ""); /* sealed */
	assert_ok(request->result);
	assert_ok(opened_parse(buf_bytes(&request->file), &opened));
	assert_false(opened.has_p);
	vault_request_free(request);
}

static void refuses_what_was_not_agreed(void **state)
{
	struct fixture *f = *state;

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_CLINIC REFERRAL_1);
	assert_int_equal(reveal_result(f, ID_1, "core", "ZZ-CLINIC"), ERR_CONSENT);
	assert_int_equal(reveal_result(f, ID_2, "note", "ZZ-CLINIC"), ERR_CONSENT);
	assert_int_equal(reveal_result(f, ID_2, "note", "victim"), OK);
	assert_int_equal(reveal_result(f, ID_2, "health", "victim"), ERR_NOTFOUND);
	assert_int_equal(reveal_result(f, ID_2, "audit", "victim"), ERR_INVALID);
	assert_int_equal(reveal_result(f, NOBODY, "", "victim"), ERR_NOTFOUND);
	assert_int_equal(reveal_result(f, "x", "", "victim"), ERR_INVALID);
}

struct found {
	size_t rows;
	struct row_name name;
};

static enum err find_row(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct found *found = arg;

	(void)ctx;
	if (row_kind(item->value) != ROW_REVEALED)
		return OK;
	found->rows++;
	memcpy(found->name.b, item->kid, sizeof(found->name.b));
	return OK;
}

static struct found rows_of(struct fixture *f)
{
	struct found found = {0};
	struct keyring *keyring;

	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_each(keyring, find_row, &found, NULL));
	keyring_close(keyring);
	return found;
}

/* Once for each P, however often it is shown; not for what stays sealed. */
static void remembers_each_once(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct row_name name;
	struct found found;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	assert_ok(reveal_result(f, ID_2, "", ""));
	assert_ok(reveal_result(f, ID_2, "", "one"));
	request = reveal(f, ID_2, "", "two");
	assert_ok(request->result);
	revealed_row_name(&request->revealed, &name);
	vault_request_free(request);
	vault_end(f);
	found = rows_of(f);
	assert_int_equal(found.rows, 1);
	assert_memory_equal(found.name.b, name.b, sizeof(name.b));
	vault_begin(f, "");
	unlock(f);
	assert_ok(reveal_result(f, ID_2, "", "three"));
}

static void put_rows(struct fixture *f, size_t count)
{
	static const uint8_t value[] = {ROW_REVEALED};
	struct keyring_item *items = mem_array(count, sizeof(*items));
	struct keyring *keyring;

	assert_non_null(items);
	for (size_t i = 0; i < count; i++) {
		memset(items[i].kid, 0xee, sizeof(items[i].kid));
		put_u32be(items[i].kid, (uint32_t)i);
		items[i].value = BYTES_ARRAY(value);
	}
	assert_ok(keyring_open(f->keyring, &keyring, NULL));
	assert_ok(keyring_update(keyring, items, count, NULL));
	keyring_close(keyring);
	mem_free(items);
}

static void the_memory_has_a_cap(void **state)
{
	struct fixture *f = *state;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	vault_end(f);
	put_rows(f, LIMIT_REVEALED - 1);
	vault_begin(f, "");
	unlock(f);
	assert_int_equal(reveal_result(f, ID_2, "", "one"), OK);
	assert_int_equal(reveal_result(f, ID_1, "", "victim"), ERR_LIMIT);
	assert_int_equal(reveal_result(f, ID_1, "", ""), OK); /* what is not opened is not kept */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_what_was_asked_for),
		TEST(refuses_what_was_not_agreed),
		TEST(remembers_each_once),
		TEST(the_memory_has_a_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
