/*
 * Unlock and lock: the keystore's file, what is known after another unlock, a lock in the middle of
 * anything, and what stands on the disk meanwhile.
 */
#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases/event/event.h"

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != 0; text++)
		count += *text == '\n';
	return count;
}

static void test_unlock(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, request_new(VAULT_SHOW)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, seal_request(OPEN_1, false)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, seal_request(OPEN_1, true)), ERR_LOCKED);
	lock(f); /* it is: fine */

	request = ask(f, unlock_request("seven herons over the lagoons"));
	assert_int_equal(request->result, ERR_DENIED);
	assert_null(request->keys);
	assert_null(request->passphrase.data);
	vault_request_free(request);
	assert_int_equal(ask_simple(f, request_new(VAULT_UNLOCK)), ERR_INVALID);
	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);

	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_null(request->passphrase.data);
	assert_non_null(request->keys);
	assert_non_null(request->keys->node);
	assert_non_null(request->keys->log);
	assert_null(request->keys->directory);
	assert_int_equal(request->keys->issuing_key.size, 0);
	assert_string_equal(request->keys->log_origin, f->log.origin.text);
	assert_int_equal(request->cases, 0);
	vault_request_free(request);

	request = ask(f, unlock_request(PASSPHRASE));
	assert_ok(request->result);
	assert_null(request->keys);
	vault_request_free(request);
	assert_int_equal(ask_simple(f, unlock_request("no")), ERR_DENIED);
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	lock(f);
	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);
}

static void check_unlock(struct fixture *f, enum err err)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));

	assert_int_equal(request->result, err);
	assert_non_null(strstr(request->ctx.text, f->keystore));
	vault_request_free(request);
}

static void test_keystore_file(void **state)
{
	struct fixture *f = *state;
	int file;

	assert_int_equal(chmod(f->keystore, 0640), 0);
	check_unlock(f, ERR_DENIED);
	assert_int_equal(chmod(f->keystore, 0601), 0);
	check_unlock(f, ERR_DENIED);
	assert_int_equal(chmod(f->keystore, 0400), 0);
	unlock(f);
	lock(f);
	assert_int_equal(chmod(f->keystore, 0600), 0);
	assert_int_equal(truncate(f->keystore, LIMIT_KEYSTORE_SIZE), 0);
	check_unlock(f, ERR_CORRUPT);
	assert_int_equal(truncate(f->keystore, LIMIT_KEYSTORE_SIZE + 10), 0);
	check_unlock(f, ERR_LIMIT);
	assert_int_equal(unlink(f->keystore), 0);
	check_unlock(f, ERR_NOTFOUND);
	assert_int_equal(mkdir(f->keystore, 0700), 0);
	check_unlock(f, ERR_INVALID);
	assert_int_equal(rmdir(f->keystore), 0);
	keystore_write(f, "ovra.example/jordan/1-0000000000000001"); /* another node's log */
	file = open(f->keystore, O_RDONLY);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(ask_simple(f, unlock_request(PASSPHRASE)), ERR_CORRUPT);
}

static void test_relock(void **state)
{
	struct fixture *f = *state;
	char *before, *after;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	record(f, CONTACT_1 OPEN_2 CONTACT_1);
	record(f, CONTACT_1);
	before = book_text(f);
	assert_int_equal(count_lines(before), 2 + 1 + 5);
	for (int i = 0; i < 3; i++) {
		lock(f);
		unlock(f);
		after = book_text(f);
		assert_string_equal(before, after);
		free(after);
	}
	record(f, CONTACT_1 CONTACT_1);
	check_locators_unique(f);
	free(before);
	before = book_text(f);

	/* And by another process, so to say. */
	vault_end(f);
	vault_begin(f, "HTI");
	unlock(f);
	after = book_text(f);
	assert_string_equal(before, after);
	record(f, CONTACT_1);
	check_locators_unique(f);
	free(before);
	free(after);
}

/* Locked while a batch is on its way; then unlocked, before its end is known. */
static void lock_under_way(struct fixture *f, bool commit)
{
	struct vault_request *sealed = seal(f, CONTACT_1), *behind = seal(f, CONTACT_1);
	struct vault_request *opened, *list;
	struct entries *entries = entries_ref(sealed->entries);
	uint64_t index = 0;

	/* What waits in the engine is refused at once. */
	end_batch(f, VAULT_ABORTED, behind->batch, 0);
	vault_request_free(behind);
	lock(f);
	assert_int_equal(ask_simple(f, seal_request(CONTACT_1, false)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, request_new(VAULT_LIST)), ERR_LOCKED);
	opened = submit(f, unlock_request(PASSPHRASE));
	list = submit(f, request_new(VAULT_LIST));
	if (commit)
		index = append(f, entries->entry, entries->count);
	collect(f);
	assert_null(find_done(f, opened));
	assert_null(find_done(f, list));
	end_batch(f, commit ? VAULT_COMMITTED : VAULT_ABORTED, sealed->batch, index);
	vault_request_free(sealed);
	wait_for(f, opened);
	assert_ok(opened->result);
	assert_non_null(opened->keys);
	vault_request_free(opened);
	wait_for(f, list);
	assert_ok(list->result);
	vault_request_free(list);
	entries_unref(entries);
}

static void test_lock_under_way(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1);
	lock_under_way(f, true);
	lock_under_way(f, false);
	record(f, CONTACT_1);
	check_locators_unique(f);
	request = show(f, REF_1);
	assert_int_equal(request->events, 3);
	vault_request_free(request);
}

/* What was submitted before it ends at once, also what waits for the end of a batch. */
static void test_lock_now(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed, *waiting[3], *now, *again;
	struct entries *entries;
	uint64_t index;

	unlock(f);
	record(f, OPEN_1);
	sealed = seal(f, CONTACT_1);
	entries = sealed->entries;
	sealed->entries = NULL;
	lock(f);
	waiting[0] = submit(f, unlock_request(PASSPHRASE)); /* until the batch has ended */
	waiting[1] = submit(f, request_new(VAULT_LIST));
	waiting[2] = submit(f, seal_request(OPEN_2, false));
	now = request_new(VAULT_LOCK);
	vault_lock_now(f->vault, now);
	again = submit(f, unlock_request(PASSPHRASE)); /* after it: not overtaken */
	for (size_t i = 0; i < 3; i++) {
		wait_for(f, waiting[i]);
		assert_int_equal(waiting[i]->result, ERR_LOCKED);
		assert_non_null(strstr(waiting[i]->ctx.text, "locked meanwhile"));
		assert_null(waiting[i]->passphrase.data);
		assert_null(waiting[i]->keys);
		assert_null(waiting[i]->docs);
		assert_int_equal(waiting[i]->lines.size, 0);
		vault_request_free(waiting[i]);
	}
	wait_for(f, now);
	assert_ok(now->result);
	vault_request_free(now);
	index = append(f, entries->entry, entries->count);
	end_batch(f, VAULT_COMMITTED, sealed->batch, index);
	vault_request_free(sealed);
	entries_unref(entries);
	wait_for(f, again);
	assert_ok(again->result);
	assert_int_equal(again->events, 2);
	vault_request_free(again);
}

/* Answers that nobody was told yet are dropped; entries on their way are not. */
static void test_overtake(void **state)
{
	struct fixture *f = *state;
	struct vault_request *opened, *shown, *sealed, *now;

	opened = ask(f, unlock_request(PASSPHRASE));
	assert_non_null(opened->keys);
	record(f, OPEN_1);
	shown = show(f, REF_1);
	assert_non_null(shown->docs);
	sealed = seal(f, CONTACT_1);
	vault_overtake(f->vault, shown); /* nothing has */
	assert_ok(shown->result);
	now = request_new(VAULT_LOCK);
	vault_lock_now(f->vault, now);
	wait_for(f, now);
	vault_overtake(f->vault, now);
	assert_ok(now->result);
	vault_request_free(now);
	vault_overtake(f->vault, opened);
	vault_overtake(f->vault, shown);
	vault_overtake(f->vault, sealed);
	assert_int_equal(opened->result, ERR_LOCKED);
	assert_null(opened->keys);
	assert_int_equal(shown->result, ERR_LOCKED);
	assert_null(shown->docs);
	assert_ok(sealed->result);
	assert_non_null(sealed->entries);
	end_batch(f, VAULT_ABORTED, sealed->batch, 0);
	vault_request_free(opened);
	vault_request_free(shown);
	vault_request_free(sealed);
	unlock(f);
	record(f, CONTACT_1);
	check_locators_unique(f);
}

/* Long work ends in the middle, whenever that is; what comes after the next unlock is as if it had
 * never begun, or as if it had ended. */
static void test_lock_now_under_way(void **state)
{
	struct fixture *f = *state;
	struct vault_request *work, *now;
	struct buf lines;
	unsigned given_up = 0;

	buf_init(&lines, LIMIT_CONTROL_REQUEST);
	unlock(f);
	record(f, OPEN_1);
	for (int i = 0; i < 4000; i++)
		buf_put_str(&lines, CONTACT_1);
	for (int round = 0; round < 12; round++) {
		work = submit(f, seal_request(buf_cstr(&lines), false));
		usleep((useconds_t)(1000 * round * round));
		now = request_new(VAULT_LOCK);
		vault_lock_now(f->vault, now);
		wait_for(f, now);
		assert_ok(now->result);
		vault_request_free(now);
		wait_for(f, work);
		given_up += work->result == ERR_LOCKED;
		if (work->result == OK)
			end_batch(f, VAULT_ABORTED, work->batch, 0);
		else
			assert_int_equal(work->result, ERR_LOCKED);
		vault_request_free(work);
		unlock(f);
	}
	assert_true(given_up > 0);
	record(f, CONTACT_1);
	check_locators_unique(f);
	work = show(f, REF_1);
	assert_int_equal(work->events, 2);
	vault_request_free(work);
	buf_release(&lines);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed, *queued, *late;

	unlock(f);
	sealed = seal(f, OPEN_1);
	queued = submit(f, request_new(VAULT_RESEAL)); /* waits for the end of what is sealed */
	vault_stop(f->vault);
	late = submit(f, request_new(VAULT_LIST));
	collect(f);
	assert_non_null(find_done(f, queued));
	assert_int_equal(queued->result, ERR_CANCELED);
	assert_int_equal(queued->lines.size, 0);
	assert_non_null(find_done(f, late));
	assert_int_equal(late->result, ERR_CANCELED);
	vault_request_free(sealed);
	vault_request_free(queued);
	vault_request_free(late);
	vault_stop(f->vault); /* again: fine */
}

static const char *needle;
static size_t needles_found, files_looked_at;

static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char *data;
	FILE *file;

	if (type != FTW_F || st->st_size == 0)
		return 0;
	file = fopen(path, "r");
	data = malloc((size_t)st->st_size);
	assert_non_null(file);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t)st->st_size, file), st->st_size);
	fclose(file);
	needles_found += memmem(data, (size_t)st->st_size, needle, strlen(needle)) != NULL;
	files_looked_at++;
	free(data);
	return 0;
}

static size_t find_on_disk(struct fixture *f, const char *text)
{
	needle = text;
	needles_found = files_looked_at = 0;
	assert_int_equal(nftw(f->bench->place.directory, look, 16, FTW_PHYS), 0);
	assert_true(files_looked_at >= 3); /* store, keyring, keystore */
	return needles_found;
}

static void test_no_plaintext(void **state)
{
	static const char *const words[] = {"Marisolwenda", "quillfeather", "ZZ-ONE", "witness",
		"PHONE", "officer one", "2026-02-0", "case_code", "CASE_MGMT"};
	struct fixture *f = *state;
	char text[CASE_REF_SIZE + 1] = "";
	struct case_ref ref;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CONTACT_1);
	free(book_text(f));
	lock(f);
	unlock(f);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (find_on_disk(f, words[i]) != 0)
			fail_msg("'%s' stands on the disk", words[i]);
	assert_ok(case_ref_parse(bytes_str(REF_1), &ref));
	memcpy(text, ref.b + 1, CASE_REF_SIZE - 1); /* the first byte is zero */
	assert_int_equal(find_on_disk(f, text), 0);
	assert_int_equal(find_on_disk(f, f->log.origin.text), 1); /* the search does find */
}

/* Memory runs out at every point of an unlock and of a seal: an error, and nothing half-done. */
static void test_torture(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	enum err err = ERR_NOMEM;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	lock(f);
	for (size_t n = 0; err != OK; n++) {
		request = unlock_request(PASSPHRASE);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err == OK)
			assert_non_null(request->keys);
		else
			assert_null(request->keys);
		vault_request_free(request);
		assert_true(n < 100000);
	}
	err = ERR_NOMEM;
	for (size_t n = 0; err != OK; n++) {
		request = seal_request(CONTACT_1 OPEN_2, false);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err == OK) {
			assert_int_equal(request->added, 2);
			append_commit(f, request);
			break;
		}
		assert_null(request->entries);
		vault_request_free(request);
		assert_true(n < 100000);
	}
	check_locators_unique(f);
	lock(f);
	unlock(f);
	request = ask(f, request_new(VAULT_LIST));
	assert_int_equal(request->events, 4);
	vault_request_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unlock),
		TEST(test_keystore_file),
		TEST(test_relock),
		TEST(test_lock_under_way),
		TEST(test_lock_now),
		TEST(test_overtake),
		TEST(test_lock_now_under_way),
		TEST(test_stop),
		TEST(test_no_plaintext),
		TEST(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
