/* Who may unlock, who is said to have recorded an event, and who sees what. */
#include "support.h"

#include <stdio.h>

#include "server/officers/lockout.h"

/* Under their own name an officer records, a supervisor also what somebody else did. */
static void test_recorded_by(void **state)
{
	static const char other[] = "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1
				    "\",\"recorded_by\":\"somebody else\"}\n";
	static const char own[] = "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1
				  "\",\"recorded_by\":\"officer one\"}\n";
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	for (uint32_t roles = 0; roles <= ACCOUNT_ROLES_ALL; roles++) {
		enum err wanted = (roles & ACCOUNT_SUPERVISOR) != 0 ? OK : ERR_DENIED;

		request = seal_request(other, true);
		request->roles = roles;
		assert_int_equal(ask(f, request)->result, wanted);
		assert_int_equal(request->line, wanted == OK ? 0 : 1);
		assert_null(strstr(request->ctx.text, "somebody else"));
		vault_request_free(request);
		request = seal_request(own, true);
		request->roles = roles;
		assert_int_equal(ask_simple(f, request), OK);
	}
}

/* Accounts are the vault's while it is unlocked, and its slots' names always. */
static void test_officers(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request = request_new(VAULT_OFFICER_NAMES);

	assert_ok(ask(f, request)->result);
	assert_non_null(strstr((const char *)request->docs->json.data, "{\"officer\":\"test\"}"));
	vault_request_free(request);
	assert_int_equal(ask_simple(f, request_new(VAULT_OFFICER_LIST)), ERR_LOCKED);
	unlock(f);
	request = request_new(VAULT_OFFICER_ADD);
	snprintf(request->name, sizeof(request->name), "amina");
	request->new_roles = ACCOUNT_OFFICER;
	assert_ok(secret_copy(&request->new_passphrase, bytes_str("amina's")));
	assert_ok(ask(f, request)->result);
	assert_null(request->new_passphrase.data);
	vault_request_free(request);
	/* Now a name must be said; and it is hers alone. */
	assert_int_equal(ask_simple(f, unlock_request("amina's")), ERR_INVALID);
	request = unlock_request("amina's");
	snprintf(request->officer, sizeof(request->officer), "amina");
	assert_ok(ask(f, request)->result);
	assert_int_equal(request->roles, ACCOUNT_OFFICER);
	vault_request_free(request);
	request = unlock_request(PASSPHRASE);
	snprintf(request->officer, sizeof(request->officer), "amina");
	assert_int_equal(ask_simple(f, request), ERR_DENIED);
	lock(f);
	request = request_new(VAULT_OFFICER_DISABLE);
	snprintf(request->name, sizeof(request->name), "amina");
	assert_int_equal(ask_simple(f, request), ERR_LOCKED);
}

/* Not tried any more, whoever asks; a lock makes nothing undone. */
static void test_wrong_passphrases(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	for (int i = 0; i < LOCKOUT_FREE; i++)
		assert_int_equal(ask_simple(f, unlock_request("no")), ERR_DENIED);
	lock(f);
	request = ask(f, unlock_request(PASSPHRASE));
	assert_int_equal(request->result, ERR_DENIED);
	assert_int_equal(request->wait_s, 1);
	vault_request_free(request);
	request = unlock_request(PASSPHRASE);
	request->boot_ms = LOCKOUT_FIRST_MS;
	assert_ok(ask(f, request)->result);
	vault_request_free(request);
}

static struct vault_request *as(struct vault_request *request, const char *officer, uint32_t roles)
{
	snprintf(request->officer, sizeof(request->officer), "%s", officer);
	request->roles = roles;
	return request;
}

static struct vault_request *named(enum vault_type type, const char *name)
{
	struct vault_request *request = request_new(type);

	snprintf(request->name, sizeof(request->name), "%s", name);
	return request;
}

static size_t cases_of(struct fixture *f, enum vault_type type, const char *officer, uint32_t roles)
{
	struct vault_request *request = ask(f, as(request_new(type), officer, roles));
	size_t count = (size_t)request->cases;

	assert_ok(request->result);
	vault_request_free(request);
	return count;
}

/* An officer sees the cases that are theirs, a supervisor all of them, anybody else none. */
static void test_who_sees_what(void **state)
{
	static const enum vault_type lists[] = {VAULT_LIST, VAULT_FIND, VAULT_TODAY};
	static const enum vault_type ones[] = {VAULT_SHOW, VAULT_FORM};
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	append_commit(f, ask(f, as(seal_request(OPEN_1, false), "marie", ACCOUNT_OFFICER)));
	append_commit(f, ask(f, as(seal_request(OPEN_2, false), "jean", ACCOUNT_OFFICER)));
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		assert_int_equal(cases_of(f, lists[i], "marie", ACCOUNT_OFFICER), 1);
		assert_int_equal(cases_of(f, lists[i], "jean", ACCOUNT_OFFICER), 1);
		assert_int_equal(cases_of(f, lists[i], "paul", ACCOUNT_OFFICER), 0);
		assert_int_equal(cases_of(f, lists[i], "paul", ACCOUNT_SUPERVISOR), 2);
		assert_int_equal(cases_of(f, lists[i], "marie", ACCOUNT_OPERATOR), 0);
		assert_int_equal(cases_of(f, lists[i], "marie", 0), 0);
	}
	for (size_t i = 0; i < sizeof(ones) / sizeof(*ones); i++) {
		request = as(named(ones[i], "ZZ-ONE"), "marie", ACCOUNT_OFFICER);
		assert_ok(ask_simple(f, request));
		request = ask(f, as(named(ones[i], "ZZ-TWO"), "marie", ACCOUNT_OFFICER));
		assert_int_equal(request->result, ERR_NOTFOUND);
		assert_string_equal(request->ctx.text, "no case 'ZZ-TWO' is known here");
		assert_null(request->docs);
		vault_request_free(request);
	}
	/* The same words as for a case that is not there. */
	request = ask(f, as(seal_request(CONTACT_1, false), "jean", ACCOUNT_OFFICER));
	assert_int_equal(request->result, ERR_NOTFOUND);
	assert_string_equal(request->ctx.text, "case_ref: no case " REF_1 " is known here");
	vault_request_free(request);
	request =
		ask(f, as(seal_request("{\"type\":\"CONTACT\",\"case\":\"ZZ-ONE\"," CALL "}", true),
			       "jean", ACCOUNT_OFFICER));
	assert_int_equal(request->result, ERR_NOTFOUND);
	assert_string_equal(request->ctx.text, "case: no case ZZ-ONE is known here");
	vault_request_free(request);
	/* Who is assigned sees it, and the lead of before does not. */
	record(f, IN_1("OFFICER_ASSIGNED", "2026-02-06",
			  "\"officer_key\":\"jean\",\"role\":\"LEAD\",\"from\":\"2026-02-06\""));
	assert_int_equal(cases_of(f, VAULT_LIST, "jean", ACCOUNT_OFFICER), 2);
	assert_int_equal(cases_of(f, VAULT_LIST, "marie", ACCOUNT_OFFICER), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_recorded_by),
		TEST(test_officers),
		TEST(test_wrong_passphrases),
		TEST(test_who_sees_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
