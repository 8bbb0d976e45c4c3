/* Another log in place of one that is never signed again: what goes over into it. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

/* A mirror says that it holds `size` entries with that root. */
static void cosign(struct fixture *f, const char *mirror, uint64_t size, const struct hash *root)
{
	struct store_write *write = store_write_new(&f->log.origin);

	assert_non_null(write);
	snprintf(write->cosigner, sizeof(write->cosigner), "%s", mirror);
	write->cosigned_size = size;
	buf_put(&write->cosignature, hash_bytes(root));
	buf_put_str(&write->cosignature, "line\n");
	assert_ok(bench_write(f->bench, write));
}

/* A new epoch: the old log is read, the new one is written, each with its own numbers. */
static void test_new_epoch(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct tlog old = f->log;
	char *before, *after;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	old = f->log;
	lock(f);
	tlog_init(&f->log, 2);
	keystore_write(f, f->log.origin.text);
	unlock(f);
	request = show(f, REF_1);
	assert_int_equal(request->events, 2);
	vault_request_free(request);
	record(f, CONTACT_1 OPEN_2);
	record(f, CONTACT_1);
	check_locators_unique(f);
	before = book_text(f);
	lock(f);
	unlock(f);
	after = book_text(f);
	assert_string_equal(before, after);
	free(before);
	free(after);
	tlog_release(&old);
}

static void test_renew(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	struct vault_request *request;
	struct tlog old = f->log;
	struct guard_record now;
	char *before, *after;
	size_t parts;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	record(f, CONTACT_1);
	before = book_text(f);
	old = f->log;
	parts = (size_t)old.compact.size;
	lock(f);

	request = renew(f);
	assert_string_equal(request->keys->previous_origin, old.origin.text);
	assert_string_not_equal(request->keys->log_origin, old.origin.text);
	assert_int_equal(request->cases, 1);
	assert_true(guard_opens(guard, request->keys->log_origin));
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);

	/* Whoever is interrupted here goes on with the same log and the same key. */
	lock(f);
	request = renew(f);
	assert_string_equal(request->keys->log_origin, f->log.origin.text);
	assert_string_equal(request->keys->previous_origin, old.origin.text);
	vault_request_free(request);

	/* A commit that fails changes nothing; then all of it, once. */
	request = reseal(f);
	assert_int_equal(request->entries->count, parts);
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	vault_request_free(request);
	request = reseal(f);
	assert_int_equal(request->added, parts);
	append_commit(f, request);
	request = reseal(f);
	assert_null(request->entries);
	vault_request_free(request);
	check_locators_unique(f);
	after = book_text(f);
	assert_string_equal(before, after);
	free(after);
	guard_get(guard, &now);
	assert_string_equal(guard_record_own(&now)->origin.text, f->log.origin.text);

	/* Another unlock finds all of it in both logs, and nothing to do. */
	lock(f);
	unlock(f);
	request = reseal(f);
	assert_null(request->entries);
	vault_request_free(request);
	after = book_text(f);
	assert_string_equal(before, after);
	free(after);
	record(f, OPEN_2);
	check_locators_unique(f);
	free(before);
	unguarded(f, guard);
	tlog_release(&old);
}

/* What a mirror is known to hold is not sealed again; a cosignature over something else is none. */
static void test_reseal_what_nobody_holds(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	struct vault_request *request;
	struct tlog old;
	size_t held, parts;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	held = (size_t)f->log.compact.size;
	record(f, CONTACT_1);
	parts = (size_t)f->log.compact.size;
	cosign(f, "hq", held, &f->log.roots[held]);
	cosign(f, "congo", parts, &f->log.roots[held]);
	cosign(f, NODE, parts, &f->log.roots[parts]);
	old = f->log;
	lock(f);
	request = renew(f);
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);
	request = reseal(f);
	assert_int_equal(request->added, parts - held);
	append_commit(f, request);
	request = reseal(f);
	assert_null(request->entries);
	vault_request_free(request);
	unguarded(f, guard);
	tlog_release(&old);
}

/* A keystore of before: its log's key is lost, a third log takes the place of the second. */
static void test_older_keystore(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	char first[LIMIT_ORIGIN + 1], copy[400], command[1000];
	struct vault_request *request;
	struct tlog old;

	unlock(f);
	record(f, OPEN_1);
	record(f, AGREED_1);
	old = f->log;
	strcpy(first, f->log.origin.text);
	lock(f);
	snprintf(copy, sizeof(copy), "%s.copy", f->keystore);
	snprintf(command, sizeof(command), "cp -p %s %s", f->keystore, copy);
	assert_int_equal(system(command), 0);
	request = renew(f);
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);
	append_commit(f, reseal(f));
	lock(f);
	assert_int_equal(rename(copy, f->keystore), 0);
	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_string_equal(request->keys->previous_origin, f->log.origin.text);
	assert_string_not_equal(request->keys->log_origin, f->log.origin.text);
	assert_string_not_equal(request->keys->log_origin, first);
	assert_non_null(strstr(request->keys->log_origin, "/3-"));
	vault_request_free(request);
	unguarded(f, guard);
	tlog_release(&old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_epoch),
		TEST(test_renew),
		TEST(test_reseal_what_nobody_holds),
		TEST(test_older_keystore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
