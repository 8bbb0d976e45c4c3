/*
 * From lines to entries: what is recorded and shown, what is refused, batches that fail, and waves
 * of them.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cases/seal/seal.h"

static void test_record_and_show(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct vault_doc *doc;
	const char *ref, *code;
	json_t *json;
	char lines[600];

	unlock(f);
	request = seal(f, "\n{\"type\":\"CASE_OPENED\"}\n  \n");
	assert_int_equal(request->added, 1);
	append_commit(f, request);

	request = ask(f, request_new(VAULT_LIST));
	assert_int_equal(request->cases, 1);
	assert_int_equal(request->events, 1);
	json = doc_json(request->docs);
	assert_null(request->docs->next);
	ref = json_string_value(json_object_get(json, "case_ref"));
	code = json_string_value(json_object_get(json, "code"));
	assert_memory_equal(code, "HTI-", 4);
	assert_string_equal(json_string_value(json_object_get(json, "opened_on")), "");
	assert_string_equal(json_string_value(json_object_get(json, "last_on")), "");
	assert_int_equal(json_integer_value(json_object_get(json, "events")), 1);
	vault_request_free(request);

	snprintf(lines, sizeof(lines),
		"{\"type\":\"CONTACT\",\"case_ref\":\"%s\",\"next_contact_due_on\":\"2026-12-"
		"01\"," CALL "}\n"
		"{\"type\":\"CONTACT\",\"case_ref\":\"%s\",\"office\":\"COD\"," CALL
		",\"recorded_by\":\"B\",\"recorded_at\":\"2020-01-01T00:00:00Z\"}",
		ref, ref);
	request = seal(f, lines);
	assert_int_equal(request->added, 2);
	assert_int_equal(request->entries->count, 2);
	append_commit(f, request);

	request = show(f, ref);
	assert_ok(request->result);
	assert_int_equal(request->events, 3);
	vault_request_free(request);
	request = show(f, code);
	assert_ok(request->result);
	json_decref(json);
	json = doc_json(request->docs);
	assert_int_equal(json_integer_value(json_object_get(json, "events")), 3);
	assert_int_equal(json_integer_value(json_object_get(json, "left_out")), 0);
	json_decref(json);
	doc = request->docs->next; /* recorded in 2020 */
	json = doc_json(doc);
	assert_string_equal(json_string_value(json_object_get(json, "office")), "COD");
	json_decref(json);
	json = doc_json(doc->next);
	assert_string_equal(json_string_value(json_object_get(json, "type")), "CASE_OPENED");
	assert_string_equal(json_string_value(json_object_get(json, "office")), "HTI");
	assert_string_equal(json_string_value(json_object_get(json, "recorded_by")), "officer one");
	json_decref(json);
	json = doc_json(doc->next->next);
	assert_string_equal(
		json_string_value(json_object_get(json, "next_contact_due_on")), "2026-12-01");
	json_decref(json);
	assert_null(doc->next->next->next);
	vault_request_free(request);

	request = show(f, "HTI-none\x1b");
	assert_int_equal(request->result, ERR_NOTFOUND);
	assert_null(strchr(request->ctx.text, 0x1b));
	vault_request_free(request);
}

/* Events of one day and one request are shown in the order of their lines. */
static void test_order_of_lines(void **state)
{
	struct fixture *f = *state;
	struct vault_doc *doc;
	struct vault_request *request;
	struct buf lines;
	char due[32];
	json_t *json;

	unlock(f);
	buf_init(&lines, 1 << 20);
	buf_put_str(&lines, OPEN_1);
	for (int i = 0; i < 50; i++)
		buf_printf(&lines,
			"{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1
			"\",\"occurred_on\":\"2026-04-01\",\"next_contact_due_on\":\"2026-%02d-%"
			"02d\"," CALL "}\n",
			5 + i / 28, 1 + i % 28);
	record(f, buf_cstr(&lines));
	buf_release(&lines);
	request = show(f, REF_1);
	assert_ok(request->result);
	doc = request->docs->next->next;
	for (int i = 0; i < 50; i++, doc = doc->next) {
		json = doc_json(doc);
		snprintf(due, sizeof(due), "2026-%02d-%02d", 5 + i / 28, 1 + i % 28);
		assert_string_equal(
			json_string_value(json_object_get(json, "next_contact_due_on")), due);
		json_decref(json);
	}
	vault_request_free(request);
}

static int compare_locators(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seal_locator));
}

static void locators_of(const struct entries *entries, struct seal_locator *ret)
{
	for (size_t i = 0; i < entries->count; i++)
		assert_ok(seal_entry_locator(entries->entry[i], &ret[i]));
	qsort(ret, entries->count, sizeof(*ret), compare_locators);
}

static void test_abort(void **state)
{
	struct seal_locator first[16], second[16];
	struct fixture *f = *state;
	struct vault_request *request;
	size_t count;

	unlock(f);
	request = seal(f, OPEN_1 AGREED_1 CONTACT_1);
	count = request->entries->count;
	assert_int_equal(count, 1 + 2 + 1);
	locators_of(request->entries, first);
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	vault_request_free(request);

	request = show(f, "ZZ-ONE");
	assert_int_equal(request->result, ERR_NOTFOUND);
	vault_request_free(request);
	/* The case was never opened: still not to be added to. */
	check_refused(f, CONTACT_1, ERR_NOTFOUND, 1, REF_1);

	request = seal(f, OPEN_1 AGREED_1 CONTACT_1);
	assert_int_equal(request->added, 3);
	assert_int_equal(request->entries->count, count);
	locators_of(request->entries, second);
	assert_memory_equal(first, second, count * sizeof(*first)); /* the same keys and numbers */
	append_commit(f, request);
	check_locators_unique(f);
	lock(f);
	unlock(f);
	free(book_text(f));
}

static void test_again(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	request = seal(f, OPEN_1 AGREED_1 AGREED_1);
	assert_int_equal(request->added, 2);
	assert_int_equal(request->known, 1);
	append_commit(f, request);
	for (int i = 0; i < 2; i++) {
		request = seal(f, OPEN_1 AGREED_1);
		assert_int_equal(request->added, 0);
		assert_int_equal(request->known, 2);
		assert_null(request->entries);
		vault_request_free(request);
		lock(f);
		unlock(f);
	}
	request = seal(f, OPEN_1 OPEN_2 AGREED_1);
	assert_int_equal(request->added, 1);
	assert_int_equal(request->known, 2);
	append_commit(f, request);
	/* Nothing on its way: no end. */
	assert_int_equal(ask_simple(f, request_new(VAULT_COMMITTED)), ERR_INVALID);
	assert_int_equal(ask_simple(f, request_new(VAULT_ABORTED)), ERR_INVALID);
	request = seal(f, "");
	assert_int_equal(request->added, 0);
	vault_request_free(request);
}

static void test_bad_lines(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_refused(f, OPEN_1 AGREED_1 "{\"type\":\"CONTACT\"\n", ERR_MALFORMED, 3, "");
	check_refused(f, "\n\n{\"type\":\"NOPE\"}", ERR_INVALID, 3, "type");
	check_refused(f, AGREED_1 OPEN_1, ERR_NOTFOUND, 1, REF_1);
	check_refused(f, OPEN_1 "\n{\"type\":\"CONTACT\"}", ERR_INVALID, 3, "case_ref");
	check_refused(f, OPEN_1 "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1 "\"}", ERR_EXISTS,
		2, REF_1);
	check_refused(f, OPEN_1 "{\"type\":\"CASE_OPENED\",\"case_code\":\"zz-one\"}", ERR_EXISTS,
		2, "ZZ-ONE");
	check_refused(
		f, "{\"type\":\"CASE_OPENED\",\"case_code\":\"a b\"}", ERR_INVALID, 1, "case_code");
	check_refused(f, "{\"type\":\"CASE_OPENED\",\"case_code\":7}", ERR_INVALID, 1, "case_code");
	check_refused(f,
		OPEN_1 OPEN_2 "{\"type\":\"CONTACT\",\"event_id\":\"" ID_1
			      "\",\"case_ref\":\"" REF_2 "\"}",
		ERR_EXISTS, 3, "event_id");
	check_refused(f,
		OPEN_1 "{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_2
		       "\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_INVALID, 2, "corrects");
	/* Nobody has consented: a correction brings no note into the case. */
	check_refused(f,
		OPEN_1 "{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_1
		       "\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_CONSENT, 2, "must not be added");
	check_refused(f,
		OPEN_1
		"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1
		"\",\"corrects\":4,\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_INVALID, 2, "corrects");
	check_refused(f,
		OPEN_1 OPEN_2 "{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1
			      "\",\"corrects\":\"" ID_3
			      "\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}",
		ERR_INVALID, 3, "corrects");
	check_refused(f,
		OPEN_1 "{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1 "\"," CALL ",\"note\":1}",
		ERR_INVALID, 2, "note");
	request = seal_request(OPEN_1, false);
	request->officer[0] = 0;
	assert_int_equal(ask(f, request)->result, ERR_INVALID);
	assert_non_null(strstr(request->ctx.text, "recorded_by"));
	vault_request_free(request);

	/* Nothing of all that happened. */
	request = ask(f, request_new(VAULT_LIST));
	assert_null(request->docs);
	assert_int_equal(request->events, 0);
	vault_request_free(request);

	record(f, OPEN_1 AGREED_1);
	check_refused(
		f, "{\"type\":\"CASE_OPENED\",\"case_ref\":\"" REF_1 "\"}", ERR_EXISTS, 1, REF_1);
	check_refused(
		f, "{\"type\":\"CASE_OPENED\",\"case_code\":\"ZZ-One\"}", ERR_EXISTS, 1, "ZZ-ONE");
	check_refused(f,
		OPEN_2 "{\"type\":\"CONTACT\",\"event_id\":\"" ID_1 "\",\"case_ref\":\"" REF_2
		       "\"}",
		ERR_EXISTS, 2, "event_id");
}

static void test_no_country(void **state)
{
	struct fixture *f = *state;

	vault_end(f);
	vault_begin(f, "");
	unlock(f);
	check_refused(f, "{\"type\":\"CASE_OPENED\"}", ERR_INVALID, 1, "office");
	record(f, "{\"type\":\"CASE_OPENED\",\"office\":\"LBN\"}");
}

static void test_dry_run(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct stat before, after;
	char path[320];

	unlock(f);
	snprintf(path, sizeof(path), "%s/data.mdb", f->keyring);
	assert_int_equal(stat(path, &before), 0);
	request = ask(f, seal_request(OPEN_1 AGREED_1 AGREED_1, true));
	assert_ok(request->result);
	assert_int_equal(request->added, 2);
	assert_int_equal(request->known, 1);
	assert_null(request->entries);
	vault_request_free(request);
	/* What is tried alone is forgotten at once. */
	request = ask(f, seal_request(AGREED_1, true));
	assert_int_equal(request->result, ERR_NOTFOUND);
	vault_request_free(request);
	request = ask(f, seal_request(OPEN_1 "{}", true));
	assert_int_equal(request->result, ERR_INVALID);
	assert_int_equal(request->line, 2);
	vault_request_free(request);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	check_refused(f, AGREED_1, ERR_NOTFOUND, 1, REF_1); /* nothing was kept of it */
}

static void test_correction(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	request = seal(f, OPEN_1 AGREED_1
		"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_2
		"\",\"field\":\"note\",\"new_value\":\"M\",\"reason\":\"ERROR\"}");
	assert_int_equal(request->entries->count, 1 + 2 + 1);
	append_commit(f, request);
	lock(f);
	unlock(f);
	request = seal(f,
		"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_1
		"\",\"field\":\"intake_channel\",\"new_value\":\"PHONE\",\"reason\":\"ERROR\"}");
	append_commit(f, request);
	request = show(f, "zz-one");
	assert_int_equal(request->events, 4);
	vault_request_free(request);
}

/* Waves: what is asked for while a batch is on its way goes out too, until one has ended. */
static void test_wave(void **state)
{
	struct fixture *f = *state;
	struct vault_request *first, *second, *third, *fourth, *known;
	uint64_t index;

	unlock(f);
	record(f, OPEN_1);
	first = seal(f, OPEN_2);
	second = seal(f, AGREED_1);
	assert_int_equal(first->wave, second->wave);
	assert_int_not_equal(first->batch, second->batch);
	/* All of it is known, and none of it durable: the answer waits. */
	known = submit(f, seal_request(OPEN_2 AGREED_1, false));
	/* All others pass. */
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_ok(ask_simple(f, seal_request(AGREED_1, true)));
	assert_ok(ask_simple(f, unlock_request(PASSPHRASE)));
	third = seal(f, AGREED_1 CONTACT_1); /* one known, one new: behind the others */
	assert_int_equal(third->known, 1);
	assert_int_equal(third->added, 1);
	index = append(f, first->entries->entry, first->entries->count);
	end_batch(f, VAULT_COMMITTED, first->batch, index);
	fourth = submit(f, seal_request(CONTACT_1, false));
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_null(find_done(f, fourth));
	assert_null(find_done(f, known));
	append_commit(f, second);
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_null(find_done(f, known));
	append_commit(f, third);
	wait_for(f, known);
	assert_ok(known->result);
	assert_int_equal(known->known, 2);
	wait_for(f, fourth);
	assert_ok(fourth->result);
	assert_int_not_equal(fourth->wave, first->wave);
	append_commit(f, fourth);
	vault_request_free(first);
	vault_request_free(known);
	check_locators_unique(f);
}

static void test_wave_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed[VAULT_WAVE_MAX], *more;

	unlock(f);
	record(f, OPEN_1);
	for (size_t i = 0; i < VAULT_WAVE_MAX; i++)
		sealed[i] = seal(f, CONTACT_1);
	more = submit(f, seal_request(CONTACT_1, false));
	assert_ok(ask_simple(f, request_new(VAULT_LIST)));
	assert_null(find_done(f, more));
	for (size_t i = 0; i < VAULT_WAVE_MAX; i++)
		append_commit(f, sealed[i]);
	wait_for(f, more);
	append_commit(f, more);
	check_locators_unique(f);
}

/* Ends in any order, as a lock or a fork makes them: each aborted one takes those behind it along.
 */
static void test_wave_fails(void **state)
{
	struct fixture *f = *state;
	struct vault_request *sealed[3], *request;
	char *text;

	unlock(f);
	record(f, OPEN_1);
	for (size_t i = 0; i < 3; i++)
		sealed[i] = seal(f, CONTACT_1);
	/* The first is being written while the others are refused. */
	end_batch(f, VAULT_ABORTED, sealed[1]->batch, 0);
	end_batch(f, VAULT_ABORTED, sealed[2]->batch, 0);
	append_commit(f, sealed[0]);
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, 2);
	vault_request_free(request);
	vault_request_free(sealed[1]);
	vault_request_free(sealed[2]);

	for (size_t i = 0; i < 3; i++)
		sealed[i] = seal(f, CONTACT_1);
	for (size_t i = 0; i < 3; i++) {
		end_batch(f, VAULT_ABORTED, sealed[i]->batch, 0);
		vault_request_free(sealed[i]);
	}
	/* One that cannot be sealed leaves those before it alone. */
	sealed[0] = seal(f, CONTACT_1);
	check_refused(f, OPEN_2 OPEN_2 "{\"type\":\"CONTACT\"}", ERR_INVALID, 3, "case_ref");
	sealed[1] = seal(f, OPEN_2);
	append_commit(f, sealed[0]);
	append_commit(f, sealed[1]);
	record(f, CONTACT_1);
	check_locators_unique(f);
	text = book_text(f);
	lock(f);
	unlock(f);
	free(text);
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, 4);
	vault_request_free(request);
}

/* A damaged entry is left out of what is shown, and its number is not used again. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct bytes damaged;
	uint8_t *copy;

	unlock(f);
	record(f, OPEN_1);
	request = seal(f, CONTACT_1);
	assert_int_equal(request->entries->count, 1);
	damaged = request->entries->entry[0];
	copy = malloc(damaged.size);
	memcpy(copy, damaged.data, damaged.size);
	copy[damaged.size - 1] ^= 1; /* of the sealed body */
	damaged.data = copy;
	end_batch(f, VAULT_COMMITTED, request->batch, append(f, &damaged, 1));
	vault_request_free(request);
	free(copy);
	for (int i = 0; i < 2; i++) {
		json_t *json;

		request = show(f, REF_1);
		assert_ok(request->result);
		assert_int_equal(request->events, 1);
		json = doc_json(request->docs);
		assert_int_equal(json_integer_value(json_object_get(json, "left_out")), 1 - i);
		json_decref(json);
		vault_request_free(request);
		lock(f);
		unlock(f);
	}
	record(f, CONTACT_1);
	check_locators_unique(f);
	lock(f);
	unlock(f);
	request = show(f, REF_1);
	assert_int_equal(request->events, 2);
	vault_request_free(request);
}

static void test_caps(void **state)
{
	static const char line[] = "{\"type\":\"CONTACT\",\"case\":\"ZZ-ONE\"," CALL "}\n";
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	/* The request's size: at the cap and past it. */
	request = seal_request(OPEN_1, true);
	while (request->lines.size < LIMIT_CONTROL_REQUEST)
		buf_put_u8(&request->lines, ' ');
	assert_ok(ask_simple(f, request));
	request = seal_request(OPEN_1, true);
	while (request->lines.size < LIMIT_CONTROL_REQUEST)
		buf_put_u8(&request->lines, ' ');
	buf_put_u8(&request->lines, ' ');
	assert_int_equal(ask_simple(f, request), ERR_LIMIT);

	/* The events of a case. */
	record(f, OPEN_1);
	request = seal_request("", false);
	for (int i = 0; i < LIMIT_CASE_EVENTS; i++)
		buf_put_str(&request->lines, line);
	assert_ok(request->lines.err);
	ask(f, request);
	assert_int_equal(request->result, ERR_LIMIT);
	assert_int_equal(request->line, LIMIT_CASE_EVENTS);
	vault_request_free(request);
	request = seal_request("", false);
	for (int i = 0; i < LIMIT_CASE_EVENTS - 1; i++)
		buf_put_str(&request->lines, line);
	ask(f, request);
	assert_ok(request->result);
	assert_int_equal(request->added, LIMIT_CASE_EVENTS - 1);
	append_commit(f, request);
	check_refused(f, line, ERR_LIMIT, 1, "events");
	lock(f);
	unlock(f);
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, LIMIT_CASE_EVENTS);
	vault_request_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_record_and_show),
		TEST(test_order_of_lines),
		TEST(test_abort),
		TEST(test_again),
		TEST(test_bad_lines),
		TEST(test_no_country),
		TEST(test_dry_run),
		TEST(test_correction),
		TEST(test_wave),
		TEST(test_wave_is_bounded),
		TEST(test_wave_fails),
		TEST(test_damaged),
		TEST(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
