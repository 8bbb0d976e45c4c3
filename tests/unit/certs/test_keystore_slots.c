/* Accounts and their slots: see test_keystore for the file as such. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "certs/keystore.h"
#include "certs_test.h"
#include "proto/stored.pb-c.h"
#include "tests/unit/base/failing_alloc.h"

#define ORIGIN NETWORK "/haiti/1-0123456789abcdef"
#define PHRASE bytes_str("correct horse battery staple")

static const struct scrypt_cost cheap = {.n = 2, .r = 1, .p = 1};

/* An opened file of an office with one account, or none (version 1). */
struct office {
	struct buf file;
	struct node_keys keys;
	struct secret master;
};

static void office_open(struct office *office, const char *name, const char *phrase)
{
	node_keys_release(&office->keys);
	secret_release(&office->master);
	assert_int_equal(keystore_open_slot(buf_bytes(&office->file), name, bytes_str(phrase),
				 &office->keys, &office->master, NULL),
		OK);
}

static struct office office_make(bool accounts)
{
	struct office office = {0};

	buf_init(&office.file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(node_keys_make(ORIGIN, &office.keys), OK);
	if (accounts)
		assert_int_equal(accounts_add(&office.keys.accounts, "amina", ACCOUNT_ROLES_FIRST,
					 1700000000, NULL),
			OK);
	assert_int_equal(keystore_seal(&office.keys, "amina", PHRASE, cheap, &office.file), OK);
	office_open(&office, "amina", "correct horse battery staple");
	return office;
}

static void office_release(struct office *office)
{
	node_keys_release(&office->keys);
	secret_release(&office->master);
	buf_wipe(&office->file);
}

static enum err change(struct office *office, const struct keystore_change *change)
{
	struct buf out;
	enum err err;

	buf_init(&out, LIMIT_KEYSTORE_SIZE);
	err = keystore_rewrite(
		buf_bytes(&office->file), &office->master, &office->keys, change, &out, NULL);
	assert_int_equal(err == OK, out.size > 0);
	if (err != OK) {
		buf_wipe(&out);
		return err;
	}
	buf_wipe(&office->file);
	office->file = out;
	return OK;
}

static enum err add(struct office *office, const char *name, uint32_t roles)
{
	const struct keystore_change slot = {
		KEYSTORE_SLOT_ADD, name, bytes_str(name), cheap}; /* the name is the passphrase */

	TRY(accounts_add(&office->keys.accounts, name, roles, 5, NULL));
	return change(office, &slot);
}

static enum err disable(struct office *office, const char *name)
{
	const struct keystore_change slot = {.what = KEYSTORE_SLOT_REMOVE, .label = name};

	TRY(accounts_disable(&office->keys.accounts, name, NULL));
	return change(office, &slot);
}

static enum err opens(const struct office *office, const char *name, const char *phrase)
{
	struct node_keys keys = {0};
	struct secret master = {0};
	enum err err = keystore_open_slot(
		buf_bytes(&office->file), name, bytes_str(phrase), &keys, &master, NULL);

	assert_int_equal(err == OK, master.size > 0);
	node_keys_release(&keys);
	secret_release(&master);
	return err;
}

/* ---- tests ---- */

static void officers_come_and_go(void **state)
{
	struct office office = office_make(true);
	struct keystore_labels labels;

	assert_int_equal(add(&office, "paul", ACCOUNT_OFFICER), OK);
	assert_int_equal(add(&office, "rose", ACCOUNT_OFFICER | ACCOUNT_SUPERVISOR), OK);
	assert_int_equal(keystore_labels(buf_bytes(&office.file), &labels, NULL), OK);
	assert_int_equal(labels.count, 3);
	assert_string_equal(labels.label[1], "paul");
	/* Each opens with their own, and nobody with another's. */
	assert_int_equal(opens(&office, "paul", "paul"), OK);
	assert_int_equal(opens(&office, "rose", "rose"), OK);
	assert_int_equal(opens(&office, "amina", "paul"), ERR_DENIED);
	assert_int_equal(opens(&office, "paul", "rose"), ERR_DENIED);
	assert_int_equal(disable(&office, "paul"), OK);
	assert_int_equal(opens(&office, "paul", "paul"), ERR_DENIED);
	assert_int_equal(opens(&office, "rose", "rose"), OK);
	office_open(&office, "rose", "rose");
	assert_int_equal(office.keys.accounts.count, 3);
	assert_true(accounts_find(&office.keys.accounts, "paul")->disabled);
	assert_int_equal(accounts_find(&office.keys.accounts, "amina")->created_at, 1700000000);
	/* Once more, with other roles. */
	assert_int_equal(add(&office, "paul", ACCOUNT_AUDITOR), OK);
	office_open(&office, "paul", "paul");
	assert_int_equal(accounts_find(&office.keys.accounts, "paul")->roles, ACCOUNT_AUDITOR);
	assert_string_equal(office.keys.log_origin, ORIGIN);
	office_release(&office);
}

static void a_passphrase_is_changed(void **state)
{
	struct office office = office_make(true);
	const struct keystore_change slot = {
		KEYSTORE_SLOT_REPLACE, "amina", bytes_str("another one"), cheap};

	assert_int_equal(add(&office, "paul", ACCOUNT_OFFICER), OK);
	assert_int_equal(change(&office, &slot), OK);
	assert_int_equal(opens(&office, "amina", "correct horse battery staple"), ERR_DENIED);
	assert_int_equal(opens(&office, "amina", "another one"), OK);
	assert_int_equal(opens(&office, "paul", "paul"), OK);
	office_release(&office);
}

/* The version before there were accounts. */
static void an_old_file_gets_its_account(void **state)
{
	struct office office = office_make(false);
	const struct account *account = accounts_find(&office.keys.accounts, "amina");
	struct node_keys read;

	assert_non_null(account);
	assert_int_equal(account->roles, ACCOUNT_SUPERVISOR | ACCOUNT_OPERATOR);
	assert_int_equal(account->created_at, 0);
	assert_int_equal(office.file.data[1], 1); /* the version */
	assert_int_equal(change(&office, NULL), OK);
	assert_int_equal(office.file.data[1], KEYSTORE_VERSION);
	assert_int_equal(opens(&office, "amina", "correct horse battery staple"), OK);
	assert_int_equal(keystore_open(buf_bytes(&office.file), PHRASE, &read, NULL), OK);
	assert_int_equal(read.accounts.count, 1);
	/* Not back: the body knows the version. */
	office.file.data[1] = 1;
	assert_int_equal(opens(&office, "amina", "correct horse battery staple"), ERR_CORRUPT);
	node_keys_release(&read);
	office_release(&office);
}

/* A label that can be no officer's name: the file opens, and nobody has an account. */
static void an_old_label(void **state)
{
	struct office office = {0};

	buf_init(&office.file, LIMIT_KEYSTORE_SIZE);
	assert_int_equal(node_keys_make(ORIGIN, &office.keys), OK);
	assert_int_equal(
		keystore_seal(&office.keys, "The Office", PHRASE, cheap, &office.file), OK);
	office_open(&office, "The Office", "correct horse battery staple");
	assert_int_equal(office.keys.accounts.count, 0);
	office_release(&office);
}

static void as_many_as_may_be(void **state)
{
	struct office office = office_make(true);
	char name[16];

	for (unsigned i = 1; i < KEYSTORE_SLOTS_MAX; i++) {
		snprintf(name, sizeof(name), "officer-%u", i);
		assert_int_equal(add(&office, name, ACCOUNT_OFFICER), OK);
	}
	assert_int_equal(add(&office, "one-more", ACCOUNT_OFFICER), ERR_LIMIT);
	office_open(&office, "officer-15", "officer-15");
	/* Disabled ones stay listed, until no more fit. */
	for (unsigned i = KEYSTORE_SLOTS_MAX; i < LIMIT_OFFICERS; i++) {
		snprintf(name, sizeof(name), "officer-%u", i - 1);
		assert_int_equal(disable(&office, name), OK);
		snprintf(name, sizeof(name), "officer-%u", i);
		assert_int_equal(add(&office, name, ACCOUNT_OFFICER), OK);
	}
	assert_int_equal(disable(&office, name), OK);
	assert_int_equal(add(&office, "one-more", ACCOUNT_OFFICER), ERR_LIMIT);
	office_open(&office, "amina", "correct horse battery staple");
	assert_int_equal(office.keys.accounts.count, LIMIT_OFFICERS);
	office_release(&office);
}

static void what_does_not_fit(void **state)
{
	struct office office = office_make(true), other = office_make(true);
	struct keystore_change slot = {KEYSTORE_SLOT_ADD, "amina", PHRASE, cheap};
	struct secret master = other.master;

	assert_int_equal(change(&office, &slot), ERR_EXISTS);
	slot.what = KEYSTORE_SLOT_REMOVE;
	assert_int_equal(change(&office, &slot), ERR_INVALID); /* the account is not disabled */
	slot.label = "paul";
	assert_int_equal(change(&office, &slot), ERR_NOTFOUND);
	slot.what = KEYSTORE_SLOT_ADD;
	assert_int_equal(change(&office, &slot), ERR_INVALID); /* no account */
	slot.passphrase = BYTES_NONE;
	assert_int_equal(change(&office, &slot), ERR_INVALID);
	/* The keys of another file. */
	other.master = office.master;
	assert_int_equal(change(&other, NULL), ERR_DENIED);
	other.master = master;
	for (size_t size = 0; size < office.file.size; size += 7) {
		struct buf out;

		buf_init(&out, LIMIT_KEYSTORE_SIZE);
		assert_int_not_equal(keystore_rewrite(bytes_make(office.file.data, size),
					     &office.master, &office.keys, NULL, &out, NULL),
			OK);
		assert_int_equal(out.size, 0);
	}
	office_release(&office);
	office_release(&other);
}

/* Everything of the file but the slot's secrets can be had without a passphrase; names that are
 * none get the same answer as wrong passphrases. */
static void names_that_are_none(void **state)
{
	struct office office = office_make(true);
	struct errctx unknown = {""}, wrong = {""};
	struct node_keys keys = {0};
	struct secret master = {0};
	struct bytes file = buf_bytes(&office.file);

	assert_int_equal(
		keystore_open_slot(file, "paul", PHRASE, &keys, &master, &unknown), ERR_DENIED);
	assert_int_equal(keystore_open_slot(file, "amina", bytes_str("x"), &keys, &master, &wrong),
		ERR_DENIED);
	assert_string_equal(unknown.text, wrong.text);
	assert_int_equal(master.size, 0);
	office_release(&office);
}

static void out_of_memory(void **state)
{
	struct office office = office_make(true);
	const struct keystore_change slot = {KEYSTORE_SLOT_ADD, "paul", bytes_str("paul"), cheap};
	struct failing_alloc failing;
	enum err err = ERR_NOMEM;

	assert_int_equal(accounts_add(&office.keys.accounts, "paul", ACCOUNT_OFFICER, 5, NULL), OK);
	for (size_t fail_at = 1; err == ERR_NOMEM; fail_at++) {
		struct buf out;

		assert_true(fail_at < 1000);
		buf_init(&out, LIMIT_KEYSTORE_SIZE);
		failing_alloc_begin(&failing, fail_at);
		err = keystore_rewrite(
			buf_bytes(&office.file), &office.master, &office.keys, &slot, &out, NULL);
		buf_wipe(&out);
		failing_alloc_end(&failing);
	}
	assert_int_equal(err, OK);
	office_release(&office);
}

/* ---- the table alone ---- */

static void names_and_roles(void **state)
{
	static const char *const good[] = {
		"a", "amina", "a.b-c9", "abcdefghijklmnopqrstuvwxyz01234"};
	static const char *const bad[] = {"", "9a", "A", "-a", ".a", "a b", "a_b", "a\n",
		"\xc3\xa9", "abcdefghijklmnopqrstuvwxyz012345"};
	static const char *const wrong[] = {"", ",", "officer,", "officer,officer", "Officer",
		"officer, operator", "root", "officer;operator"};
	char text[ACCOUNT_ROLES_TEXT];
	uint32_t roles = 0, read = 0;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(account_name_valid(bytes_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(account_name_valid(bytes_str(bad[i])));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(account_roles_parse(wrong[i], &roles, NULL), ERR_INVALID);
	for (uint32_t all = 1; all <= ACCOUNT_ROLES_ALL; all++) {
		account_roles_text(all, text);
		assert_int_equal(account_roles_parse(text, &read, NULL), OK);
		assert_int_equal(read, all);
	}
	assert_int_equal(account_roles_parse("auditor,officer", &read, NULL), OK);
	assert_int_equal(read, ACCOUNT_AUDITOR | ACCOUNT_OFFICER);
	assert_false(account_roles_valid(0));
	assert_false(account_roles_valid(ACCOUNT_ROLES_ALL + 1));
}

/* Somebody must be left who can let officers in. */
static void the_last_supervisor_stays(void **state)
{
	struct accounts accounts = {.count = 0};

	assert_false(accounts_ok(&accounts));
	assert_int_equal(accounts_add(&accounts, "paul", ACCOUNT_OPERATOR, 0, NULL), OK);
	assert_false(accounts_ok(&accounts));
	assert_int_equal(accounts_add(&accounts, "amina", ACCOUNT_SUPERVISOR, 0, NULL), OK);
	assert_true(accounts_ok(&accounts));
	assert_int_equal(accounts_add(&accounts, "amina", ACCOUNT_OFFICER, 0, NULL), ERR_EXISTS);
	assert_int_equal(accounts_add(&accounts, "Amina", ACCOUNT_OFFICER, 0, NULL), ERR_INVALID);
	assert_int_equal(accounts_add(&accounts, "rose", 0, 0, NULL), ERR_INVALID);
	assert_int_equal(accounts_disable(&accounts, "amina", NULL), ERR_DENIED);
	assert_int_equal(accounts_disable(&accounts, "rose", NULL), ERR_NOTFOUND);
	assert_int_equal(accounts_disable(&accounts, "paul", NULL), OK);
	assert_int_equal(accounts_disable(&accounts, "paul", NULL), ERR_NOTFOUND);
	assert_int_equal(accounts_add(&accounts, "rose", ACCOUNT_SUPERVISOR, 0, NULL), OK);
	assert_int_equal(accounts_disable(&accounts, "amina", NULL), OK);
	assert_int_equal(accounts_disable(&accounts, "rose", NULL), ERR_DENIED);
	assert_int_equal(accounts_enabled(&accounts), 1);
}

static void who_lets_whom_in(void **state)
{
	for (uint32_t roles = 1; roles <= ACCOUNT_ROLES_ALL; roles++) {
		bool case_free = (roles & (ACCOUNT_OFFICER | ACCOUNT_SUPERVISOR)) == 0;

		assert_true(account_may_manage(ACCOUNT_SUPERVISOR, roles));
		assert_int_equal(account_may_manage(ACCOUNT_OPERATOR, roles), case_free);
		assert_int_equal(
			account_may_manage(ACCOUNT_OPERATOR | ACCOUNT_OFFICER, roles), case_free);
		assert_false(account_may_manage(
			ACCOUNT_OFFICER | ACCOUNT_ANALYST | ACCOUNT_AUDITOR, roles));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(officers_come_and_go),
		cmocka_unit_test(a_passphrase_is_changed),
		cmocka_unit_test(an_old_file_gets_its_account),
		cmocka_unit_test(an_old_label),
		cmocka_unit_test(as_many_as_may_be),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(names_and_roles),
		cmocka_unit_test(the_last_supervisor_stays),
		cmocka_unit_test(who_lets_whom_in),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
