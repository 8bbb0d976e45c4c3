/* The ledger: what was exported, who looked at which case; and the exports themselves. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "cases/event/group.h"
#include "server/store/keyring.h"

#define EXPORT                                                                                     \
	"{\"type\":\"EXPORT_MADE\",\"who\":\"officer one\",\"format\":\"CSV\",\"case_count\":1,"   \
	"\"groups\":[\"core\"],\"purpose\":\"lorem\","                                             \
	"\"file_hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"

static struct vault_request *ledger_request(const char *lines)
{
	struct vault_request *request = request_new(VAULT_LEDGER);

	buf_put_str(&request->lines, lines);
	return request;
}

static void ledger_write(struct fixture *f, const char *lines)
{
	struct vault_request *request = ask(f, ledger_request(lines));

	if (request->result != OK)
		fail_msg("ledger: %s", err_message(&request->ctx, request->result));
	append_commit(f, request);
}

static json_t *ledger_events(struct fixture *f, bool with_views, uint64_t since_s)
{
	struct vault_request *request = request_new(VAULT_LEDGER_LIST);
	json_t *list = json_array();

	request->with_views = with_views;
	request->since_s = since_s;
	ask(f, request);
	assert_ok(request->result);
	assert_int_equal(request->unread, 0);
	for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
		json_array_append_new(list, doc_json(doc));
	assert_int_equal(json_array_size(list), request->events);
	vault_request_free(request);
	return list;
}

static const char *member(const json_t *list, size_t i, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(list, i), name));

	assert_non_null(text);
	return text;
}

/* How many events it has, all of them of one case, whose reference this is. */
static size_t check_ledger(struct fixture *f, char ret_ref[33])
{
	json_t *list = ledger_events(f, true, 0);
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++)
		assert_string_equal(member(list, i, "case_ref"), member(list, 0, "case_ref"));
	if (count > 0 && ret_ref != NULL)
		snprintf(ret_ref, 33, "%s", member(list, 0, "case_ref"));
	json_decref(list);
	return count;
}

static void check_ledger_refused(
	struct fixture *f, const char *lines, enum err err, const char *says)
{
	struct vault_request *request = ask(f, ledger_request(lines));

	assert_int_equal(request->result, err);
	assert_null(request->entries);
	if (strstr(request->ctx.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", request->ctx.text, says);
	vault_request_free(request);
}

/* It is a case like all others in the log, and in nothing that a person is shown of cases. */
static void test_ledger(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	char ref[33] = "", again[33] = "", line[300];
	json_t *list;

	unlock(f);
	check_ledger_refused(f, "", ERR_INVALID, "no event");
	check_ledger_refused(f, "{\"type\":\"CONTACT\"}", ERR_INVALID, "ledger");
	check_ledger_refused(f, "{\"type\":\"EXPORT_MADE\",\"event_id\":\"" ID_1 "\"}", ERR_INVALID,
		"by the node");
	check_ledger_refused(
		f, "{\"type\":\"EXPORT_MADE\",\"recorded_by\":\"x\"}", ERR_INVALID, "by the node");
	check_ledger_refused(
		f, "{\"type\":\"EXPORT_MADE\",\"names\":[\"x\"]}", ERR_INVALID, "names");
	check_ledger_refused(f, "{\"type\":\"EXPORT_MADE\",\"who\":\"x\"}", ERR_INVALID, "missing");
	assert_int_equal(check_ledger(f, NULL), 0);

	ledger_write(f, EXPORT);
	assert_int_equal(check_ledger(f, ref), 1);
	list = ledger_events(f, false, 0);
	assert_string_equal(member(list, 0, "type"), "EXPORT_MADE");
	assert_string_equal(member(list, 0, "recorded_by"), "officer one");
	assert_string_equal(member(list, 0, "log"), f->log.origin.text);
	assert_string_equal(member(list, 0, "occurred_on"), "2026-09-21");
	json_decref(list);
	for (int i = 0; i < 2; i++) {
		request = ask(f, request_new(VAULT_LIST));
		assert_ok(request->result);
		assert_int_equal(request->cases, 0);
		assert_int_equal(request->events, 0);
		assert_null(request->docs);
		vault_request_free(request);
		request = show(f, ref);
		assert_int_equal(request->result, ERR_NOTFOUND);
		vault_request_free(request);
		snprintf(line, sizeof(line), "{\"type\":\"CONTACT\",\"case_ref\":\"%s\"}", ref);
		check_refused(f, line, ERR_INVALID, 1, "ledger");
		snprintf(line, sizeof(line), "{\"type\":\"CASE_OPENED\",\"case_ref\":\"%s\"}", ref);
		check_refused(f, line, ERR_INVALID, 1, "ledger");
		check_refused(f, EXPORT, ERR_INVALID, 1, "ledger");
		lock(f);
		request = ask(f, unlock_request(PASSPHRASE));
		assert_int_equal(request->cases, 0);
		assert_int_equal(request->events, 0);
		assert_int_equal(request->unread, 0);
		vault_request_free(request);
	}
	ledger_write(f, EXPORT "\n" EXPORT);
	assert_int_equal(check_ledger(f, again), 3);
	assert_string_equal(ref, again);
	check_locators_unique(f);
	list = ledger_events(f, false, UINT64_C(1790000000) + 1000);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static enum err count_key(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	*(size_t *)arg += 1;
	return OK;
}

static struct vault_request *show_by(
	struct fixture *f, const char *officer, uint64_t day, const char *purpose)
{
	struct vault_request *request = request_new(VAULT_SHOW);

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	snprintf(request->officer, sizeof(request->officer), "%s", officer);
	snprintf(request->purpose, sizeof(request->purpose), "%s", purpose);
	request->now_ms += day * 24 * 60 * 60 * 1000;
	request->now_s = request->now_ms / 1000;
	ask(f, request);
	assert_ok(request->result);
	return request;
}

/* The case is seen; how many views wait then. */
static uint64_t look_at(struct fixture *f, const char *officer, uint64_t day)
{
	struct vault_request *request = show_by(f, officer, day, "");
	uint64_t waiting = request->views_waiting;

	vault_request_free(request);
	return waiting;
}

static struct vault_request *views(struct fixture *f)
{
	struct vault_request *request = ask(f, request_new(VAULT_VIEWS));

	assert_ok(request->result);
	return request;
}

/* One ledger for ever, whatever ends the process between its keys and its first entry. */
static void test_ledger_once(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct errctx ctx = {""};
	struct keyring *keyring;
	size_t keys = 0;

	unlock(f);
	record(f, OPEN_1);
	request = ask(f, ledger_request(EXPORT));
	assert_ok(request->result);
	end_batch(f, VAULT_ABORTED, request->batch, 0); /* the disk was full, say */
	vault_request_free(request);
	assert_int_equal(check_ledger(f, NULL), 0);
	request = ask(f, ledger_request(EXPORT));
	assert_ok(request->result);
	vault_request_free(request);
	vault_end(f); /* the entries are lost; their key is in the keyring */
	vault_begin(f, "HTI");

	unlock(f);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	append_commit(f, views(f));
	ledger_write(f, EXPORT);
	assert_int_equal(check_ledger(f, NULL), 2);
	check_locators_unique(f);
	vault_end(f);
	assert_ok(keyring_open(f->keyring, &keyring, &ctx));
	assert_ok(keyring_each(keyring, count_key, &keys, &ctx));
	keyring_close(keyring);
	assert_int_equal(keys, 3); /* core of the case, audit, views */
	vault_begin(f, "HTI");
}

/* The ledger goes on in a new log; what no mirror holds is sealed again, and shown once. */
static void test_ledger_renewed(void **state)
{
	struct fixture *f = *state;
	struct guard *guard = guarded(f, GUARD_NEW);
	struct vault_request *request;
	struct tlog old;

	unlock(f);
	record(f, OPEN_1);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	append_commit(f, views(f));
	ledger_write(f, EXPORT);
	old = f->log;
	lock(f);
	request = renew(f);
	tlog_init(&f->log, 2);
	strcpy(f->log.origin.text, request->keys->log_origin);
	vault_request_free(request);
	assert_int_equal(look_at(f, "officer one", 0), 0); /* today's is known from the old log */
	request = reseal(f);
	assert_int_equal(request->added, 3);
	append_commit(f, request);
	ledger_write(f, EXPORT);
	assert_int_equal(check_ledger(f, NULL), 3);
	lock(f);
	unlock(f);
	assert_int_equal(check_ledger(f, NULL), 3);
	check_locators_unique(f);
	unguarded(f, guard);
	tlog_release(&old);
}

static void check_view(const json_t *list, size_t i, const char *officer, const char *groups)
{
	const json_t *event = json_array_get(list, i);
	char *text = json_dumps(json_object_get(event, "groups"), JSON_COMPACT);

	assert_string_equal(member(list, i, "type"), "RECORD_VIEWED");
	assert_string_equal(member(list, i, "who"), officer);
	assert_string_equal(member(list, i, "recorded_by"), officer);
	assert_string_equal(member(list, i, "case"), REF_1);
	assert_string_equal(text, groups);
	free(text);
}

/* A purpose that the ledger would refuse: nothing is shown for it, and no view stands in the way of
 * the others. */
static void test_views_purpose(void **state)
{
	static const char *const unfit[] = {"\x01", "a\x7f", "a\x1b[2J"};
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	record(f, OPEN_1);
	for (size_t i = 0; i < sizeof(unfit) / sizeof(*unfit); i++) {
		request = request_new(VAULT_SHOW);
		strcpy(request->name, "ZZ-ONE");
		strcpy(request->officer, "officer one");
		strcpy(request->purpose, unfit[i]);
		ask(f, request);
		assert_int_equal(request->result, ERR_INVALID);
		assert_null(request->docs);
		assert_int_equal(request->views_waiting, 0);
		assert_non_null(strstr(request->ctx.text, "purpose"));
		vault_request_free(request);
	}
	request = show_by(f, "officer one", 0, "visit \"2\"\n\\ \xc3\xa9");
	assert_int_equal(request->views_waiting, 1);
	vault_request_free(request);
	append_commit(f, views(f));
	assert_int_equal(look_at(f, "officer two", 0), 1);
	append_commit(f, views(f));
	assert_int_equal(check_ledger(f, NULL), 2);
}

/* Once a day per officer and case, and again when they see more of it. */
static void test_views(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *list;

	unlock(f);
	record(f, OPEN_1);
	assert_int_equal(look_at(f, "", 0), 0); /* nobody */
	request = show_by(f, "officer one", 0, "visit");
	assert_int_equal(request->views_waiting, 1);
	vault_request_free(request);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	assert_int_equal(look_at(f, "officer two", 0), 2);
	assert_int_equal(check_ledger(f, NULL), 0);

	/* A commit that fails keeps them; while they are on their way nothing goes out twice. */
	request = views(f);
	assert_int_equal(request->added, 2);
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	vault_request_free(request);
	assert_int_equal(look_at(f, "officer one", 0), 2);
	append_commit(f, views(f));
	assert_int_equal(look_at(f, "officer two", 0), 0);
	request = views(f);
	assert_null(request->entries);
	vault_request_free(request);

	/* The ledger itself says it after the next unlock. */
	lock(f);
	unlock(f);
	assert_int_equal(look_at(f, "officer one", 0), 0);
	record(f, AGREED_1);
	assert_int_equal(look_at(f, "officer one", 0), 1);
	append_commit(f, views(f));
	assert_int_equal(look_at(f, "officer one", 0), 0);
	assert_int_equal(look_at(f, "officer one", 1), 1);
	append_commit(f, views(f));
	list = ledger_events(f, true, 0);
	assert_int_equal(json_array_size(list), 4);
	check_view(list, 0, "officer one", "[\"core\"]");
	assert_string_equal(member(list, 0, "purpose"), "visit");
	check_view(list, 1, "officer two", "[\"core\"]");
	assert_null(json_object_get(json_array_get(list, 1), "purpose"));
	assert_string_equal(member(list, 2, "occurred_on"), "2026-09-21");
	check_view(list, 2, "officer one", "[\"consent\",\"core\",\"note\"]");
	check_view(list, 3, "officer one", "[\"consent\",\"core\",\"note\"]");
	assert_string_equal(member(list, 3, "occurred_on"), "2026-09-22");
	json_decref(list);
	list = ledger_events(f, false, 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	check_locators_unique(f);
}

/* Nothing waits without a bound, and what is lost is counted. */
static void test_views_bound(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request, *unlocked;
	char officer[40];

	unlock(f);
	record(f, OPEN_1);
	for (int i = 0; i < LIMIT_VIEWS_PENDING; i++) {
		snprintf(officer, sizeof(officer), "officer %d", i);
		assert_int_equal(look_at(f, officer, 0), i + 1);
	}
	request = show_by(f, "one more", 0, "");
	assert_int_equal(request->views_waiting, LIMIT_VIEWS_PENDING);
	assert_int_equal(request->views_lost, 1);
	vault_request_free(request);
	request = views(f); /* as many as fit into one batch: the others follow */
	assert_true(request->added > 0 && request->added < LIMIT_VIEWS_PENDING);
	lock(f); /* what is on its way is not lost */
	end_batch(f, VAULT_COMMITTED, request->batch,
		append(f, request->entries->entry, request->entries->count));
	unlocked = ask(f, unlock_request(PASSPHRASE));
	assert_int_equal(unlocked->views_lost, 1 + LIMIT_VIEWS_PENDING - request->added);
	assert_int_equal(unlocked->views_waiting, 0);
	vault_request_free(unlocked);
	assert_int_equal(check_ledger(f, NULL), request->added);
	vault_request_free(request);
}

static void test_ledger_torture(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request = NULL;
	enum err err = ERR_NOMEM;
	size_t fail_at = 0;

	unlock(f);
	record(f, OPEN_1);
	for (size_t n = 0; err != OK; n++) {
		request = ledger_request(EXPORT);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err != OK) {
			assert_null(request->entries);
			vault_request_free(request);
		}
		assert_true(n < 100000);
	}
	append_commit(f, request);
	/* A view is written or counted as lost; the case is shown in any case where it can be. */
	for (bool written = false; !written; fail_at++) {
		request = request_new(VAULT_SHOW);
		snprintf(request->name, sizeof(request->name), REF_1);
		alloc_fail_after(fail_at);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		written = err == OK && request->views_waiting > 0;
		assert_true(err != OK || written || request->views_lost > 0);
		vault_request_free(request);
		assert_true(fail_at < 100000);
	}
	err = ERR_NOMEM;
	for (size_t n = 0; err != OK; n++) {
		request = request_new(VAULT_VIEWS);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err != OK)
			vault_request_free(request);
		assert_true(n < 100000);
	}
	append_commit(f, request);
	assert_int_equal(check_ledger(f, NULL), 2);
	err = ERR_NOMEM;
	for (size_t n = 0; err != OK; n++) {
		request = request_new(VAULT_LEDGER_LIST);
		request->with_views = true;
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		assert_true(err == OK || request->docs == NULL);
		vault_request_free(request);
		assert_true(n < 100000);
	}
}

/* 65,536 pairs of officer and case are remembered on a day; one more is written at each look. */
static void test_views_day(void **state)
{
	struct fixture *f = *state;
	char officer[40];

	unlock(f);
	record(f, OPEN_1);
	for (int i = 0; i < LIMIT_VIEWS_DAY; i++) {
		snprintf(officer, sizeof(officer), "officer %d", i);
		if (look_at(f, officer, 0) == 256)
			append_commit(f, views(f));
	}
	assert_int_equal(look_at(f, "officer 0", 0), 0);
	assert_int_equal(look_at(f, "one more", 0), 1);
	assert_int_equal(look_at(f, "one more", 0), 2);
	append_commit(f, views(f));
	lock(f);
	unlock(f);
	assert_int_equal(look_at(f, "officer 0", 0), 0);
}

static void test_ledger_list_cap(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *list;

	unlock(f);
	for (int left = LIMIT_LEDGER_LIST; left > 0; left -= 2000) {
		request = ledger_request(EXPORT);
		for (int i = 1; i < 2000; i++)
			buf_put_str(&request->lines, "\n" EXPORT);
		append_commit(f, ask(f, request));
	}
	list = ledger_events(f, false, 0);
	assert_int_equal(json_array_size(list), LIMIT_LEDGER_LIST);
	json_decref(list);
	ledger_write(f, EXPORT);
	request = ask(f, request_new(VAULT_LEDGER_LIST));
	assert_int_equal(request->result, ERR_LIMIT);
	assert_non_null(strstr(request->ctx.text, "since"));
	assert_null(request->docs);
	vault_request_free(request);
}

static struct vault_request *export_request(const char *names, const char *format)
{
	struct vault_request *request = request_new(VAULT_CASE_EXPORT);

	buf_put_str(&request->lines, names);
	snprintf(request->format, sizeof(request->format), "%s", format);
	return request;
}

static void check_export(
	struct fixture *f, const char *names, const char *format, uint64_t cases, const char *says)
{
	struct vault_request *request = ask(f, export_request(names, format));
	struct hash hash;

	assert_ok(request->result);
	assert_int_equal(request->cases, cases);
	assert_int_equal(request->refs.size, cases * VAULT_REF_SIZE);
	sha256(buf_bytes(&request->file), &hash);
	assert_memory_equal(hash.b, request->file_hash.b, HASH_SIZE);
	if (strstr(buf_cstr(&request->file), says) == NULL)
		fail_msg("the export does not say '%s'", says);
	assert_null(strstr(buf_cstr(&request->file), "EXPORT_MADE"));
	vault_request_free(request);
}

static void check_not_exported(
	struct fixture *f, const char *names, const char *format, enum err err)
{
	struct vault_request *request = ask(f, export_request(names, format));

	assert_int_equal(request->result, err);
	assert_int_equal(request->file.size, 0);
	vault_request_free(request);
}

static void test_export(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	enum err err = ERR_NOMEM;

	check_not_exported(f, "", "JSONL", ERR_LOCKED);
	unlock(f);
	check_not_exported(f, "", "JSONL", ERR_NOTFOUND);
	record(f, OPEN_1 AGREED_1 OPEN_2);
	ledger_write(f, EXPORT);
	check_export(f, "", "JSONL", 2, "Marisolwenda");
	check_export(f, "", "CSV", 2, "Marisolwenda");
	check_export(f, "", "HANDOVER", 2, "Marisolwenda");
	check_export(f, "zz-two\n" REF_2 "\nZZ-TWO", "CSV", 1, "ZZ-TWO");
	check_not_exported(f, "ZZ-ONE\nZZ-NONE\n", "JSONL", ERR_NOTFOUND);
	check_not_exported(f, "", "PDF", ERR_UNSUPPORTED);
	request = ask(f, export_request(REF_1 "\n", "JSONL"));
	assert_int_equal(request->events, 2);
	assert_int_equal(request->groups,
		GROUP_BIT(GROUP_CORE) | GROUP_BIT(GROUP_CONSENT) | GROUP_BIT(GROUP_NOTE));
	assert_memory_equal(request->refs.data, "\x00\x11\x22\x33", 4);
	vault_request_free(request);
	for (size_t n = 0; err != OK; n++) {
		request = export_request("", "JSONL");
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		assert_true(err == OK || request->file.size == 0);
		vault_request_free(request);
		assert_true(n < 100000);
	}
}

/* 64 MiB: what fits is given, what does not is refused with what to do. */
static void test_export_cap(void **state)
{
	enum { NOTE = 16000, EVENTS = 64, REQUESTS = LIMIT_EXPORT_BYTES / (EVENTS * (NOTE + 500)) };
	struct fixture *f = *state;
	struct vault_request *request;
	char note[NOTE + 1];

	memset(note, 'x', NOTE);
	note[NOTE] = '\0';
	unlock(f);
	record(f, OPEN_1 AGREED_1);
	for (int n = 0; n < REQUESTS + 2; n++) {
		if (n == REQUESTS) {
			request = ask(f, export_request("", "JSONL"));
			assert_ok(request->result);
			assert_true(request->file.size > LIMIT_EXPORT_BYTES - 4 * 1024 * 1024);
			vault_request_free(request);
		}
		request = seal_request("", false);
		for (int i = 0; i < EVENTS; i++)
			buf_printf(&request->lines,
				"{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1 "\"," CALL
				",\"note\":\"%s\"}\n",
				note);
		append_commit(f, ask(f, request));
	}
	request = ask(f, export_request("", "JSONL"));
	assert_int_equal(request->result, ERR_LIMIT);
	assert_non_null(strstr(request->ctx.text, "fewer"));
	assert_int_equal(request->file.size, 0);
	vault_request_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ledger),
		TEST(test_ledger_once),
		TEST(test_ledger_renewed),
		TEST(test_views),
		TEST(test_views_bound),
		TEST(test_views_purpose),
		TEST(test_ledger_torture),
		TEST(test_views_day),
		TEST(test_ledger_list_cap),
		TEST(test_export),
		TEST(test_export_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
