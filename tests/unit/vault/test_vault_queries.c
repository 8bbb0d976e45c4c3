/* Questions about cases: list, find, today, form, show; the day is 2026-09-21. */
#include "support.h"

#include <stdio.h>

#include "base/alloc.h"

#define QUESTIONS                                                                                  \
	OPEN_1 AGREED_1 TO_CLINIC IN_1("PERSON_RECORDED", "2026-02-04",                            \
		"\"person_ref\":\"P-1\",\"role\":\"VICTIM\"") REFERRAL_1 IN_1("CONTACT",           \
		"2026-03-01", CALL ",\"next_contact_due_on\":\"2026-09-20\"") THREAT_1

static void hold(struct fixture *f, struct vault_request *request, uint64_t size)
{
	request->held = mem_zalloc(sizeof(*request->held));
	snprintf(request->held->origin, sizeof(request->held->origin), "%s", f->log.origin.text);
	request->held->size = size;
	request->held_count = 1;
}

static void check_number(json_t *doc, const char *name, json_int_t expected)
{
	assert_true(json_is_integer(json_object_get(doc, name)));
	if (json_integer_value(json_object_get(doc, name)) != expected)
		fail_msg("%s is %lld", name,
			(long long)json_integer_value(json_object_get(doc, name)));
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *docs, *one;

	unlock(f);
	record(f, QUESTIONS OPEN_2);
	for (int i = 0; i < 2; i++) {
		docs = answer_json(ask(f, request_new(VAULT_LIST)));
		assert_int_equal(json_array_size(docs), 2);
		one = json_array_get(docs, 0);
		check_text(one, "code", "ZZ-ONE");
		check_text(one, "lead", "officer one");
		check_number(one, "events", 7);
		check_number(one, "unsynced", 7);
		check_text(one, "next_due_on", "2026-09-11");
		check_text(one, "next_due", "reply");
		check_number(one, "open_referrals", 1);
		check_number(one, "unanswered", 1);
		check_number(one, "imminent_concerns", 1);
		check_number(one, "live_consents", 2);
		assert_false(json_boolean_value(json_object_get(one, "contact_only")));
		assert_true(json_boolean_value(
			json_object_get(json_array_get(docs, 1), "contact_only")));
		json_decref(docs);
		lock(f); /* and the same out of the log */
		unlock(f);
	}
	/* What the quorum holds of it. */
	request = request_new(VAULT_LIST);
	hold(f, request, f->log.compact.size);
	docs = answer_json(ask(f, request));
	check_number(json_array_get(docs, 0), "unsynced", 0);
	json_decref(docs);
	docs = answer_json(show(f, "ZZ-ONE"));
	one = json_array_get(docs, 0);
	check_text(json_object_get(one, "summary"), "next_due", "reply");
	assert_true(json_is_false(json_object_get(json_array_get(docs, 1), "synced")));
	json_decref(docs);
	request = request_new(VAULT_SHOW);
	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	hold(f, request, f->log.compact.size);
	docs = answer_json(ask(f, request));
	assert_int_equal(json_array_size(docs), 8);
	assert_true(json_is_true(json_object_get(json_array_get(docs, 7), "synced")));
	json_decref(docs);
}

static size_t found(struct fixture *f, const struct vault_find *find)
{
	struct vault_request *request = request_new(VAULT_FIND);
	size_t count;

	request->find = *find;
	ask(f, request);
	assert_ok(request->result);
	count = (size_t)request->cases;
	vault_request_free(request);
	return count;
}

static void test_find(void **state)
{
	static const struct {
		struct vault_find find;
		size_t count;
	} all[] = {
		{{.code = ""}, 2},
		{{.code = "zz-"}, 2},
		{{.code = "ZZ-O"}, 1},
		{{.code = "ZZ-ONE-MORE"}, 0},
		{{.officer = "officer one"}, 2},
		{{.officer = "officer"}, 0},
		{{.due_before = "2026-09-11"}, 0},
		{{.due_before = "2026-09-12"}, 1},
		{{.open_referrals = true}, 1},
		{{.open_claims = true}, 0},
		{{.imminent = true}, 1},
		{{.imminent = true, .code = "ZZ-T"}, 0},
		{{.stage = "closed"}, 0},
		{{.stage = "introduction", .code = "ZZ-TWO"}, 1},
	};
	struct fixture *f = *state;

	unlock(f);
	record(f, QUESTIONS OPEN_2);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (found(f, &all[i].find) != all[i].count)
			fail_msg("question %zu: %zu cases", i, found(f, &all[i].find));
	assert_true(vault_stage_valid("follow-up"));
	assert_false(vault_stage_valid("FOLLOW"));
	assert_true(vault_day_valid("2026-02-28"));
	assert_false(vault_day_valid("2026-02-30"));
	assert_false(vault_day_valid("2026-02"));
}

static void check_todo(
	json_t *doc, const char *section, const char *why, const char *since, json_int_t days)
{
	check_text(doc, "section", section);
	check_text(doc, "code", "ZZ-ONE");
	check_text(doc, "why", why);
	check_text(doc, "since", since);
	check_number(doc, "days", days);
}

static void test_today(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *docs, *last;

	unlock(f);
	record(f, QUESTIONS);
	request = request_new(VAULT_TODAY);
	hold(f, request, f->log.compact.size - 1);
	request->unheld_since_s = 1790000000;
	docs = answer_json(ask(f, request));
	assert_int_equal(json_array_size(docs), 6);
	check_todo(json_array_get(docs, 0), "imminent_concerns", "P-9", "2026-09-19", 2);
	check_todo(json_array_get(docs, 1), "overdue_contacts", "agreed", "2026-09-20", 1);
	check_todo(json_array_get(docs, 2), "unanswered_referrals", "R-1", "2026-09-11", 10);
	check_todo(json_array_get(docs, 3), "expiring_consents", "REFERRAL", "2026-10-01", 10);
	check_text(json_array_get(docs, 4), "section", "unsynced");
	check_text(json_array_get(docs, 4), "why", "1");
	last = json_array_get(docs, 5);
	check_text(last, "on", "2026-09-21");
	check_number(last, "cases", 1);
	check_number(json_object_get(last, "sections"), "overdue_contacts", 1);
	check_number(json_object_get(last, "unsynced"), "events", 1);
	check_text(json_object_get(last, "unsynced"), "since", "2026-09-21T14:13:20Z");
	json_decref(docs);

	/* Another day: nothing is late yet. */
	request = request_new(VAULT_TODAY);
	hold(f, request, f->log.compact.size);
	snprintf(request->today, sizeof(request->today), "2026-08-01");
	docs = answer_json(ask(f, request));
	last = json_array_get(docs, json_array_size(docs) - 1);
	check_number(json_object_get(last, "sections"), "overdue_contacts", 0);
	check_number(json_object_get(last, "sections"), "unanswered_referrals", 0);
	assert_true(json_is_null(json_object_get(json_object_get(last, "unsynced"), "since")));
	json_decref(docs);
}

static void test_form(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *docs, *form, *list;

	unlock(f);
	record(f, QUESTIONS);
	request = request_new(VAULT_FORM);
	snprintf(request->name, sizeof(request->name), "zz-one");
	docs = answer_json(ask(f, request));
	form = json_array_get(docs, 0);
	check_text(form, "case_ref", REF_1);
	list = json_object_get(form, "consents");
	assert_int_equal(json_array_size(list), 2);
	check_text(json_array_get(list, 1), "id", "C-2");
	check_text(json_array_get(list, 1), "event_id", CONSENT_2);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "groups")), 2);
	list = json_object_get(form, "referrals");
	assert_int_equal(json_array_size(list), 1);
	check_text(json_array_get(list, 0), "status", "MADE");
	check_text(json_array_get(list, 0), "what", "MED");
	check_text(json_object_get(form, "next_ids"), "C", "C-3");
	check_text(json_object_get(form, "next_ids"), "R", "R-2");
	json_decref(docs);
	request = request_new(VAULT_FORM);
	snprintf(request->name, sizeof(request->name), "ZZ-NONE");
	assert_int_equal(ask_simple(f, request), ERR_NOTFOUND);
}

/* A commit that fails takes the states of its cases back, and those of all behind it. */
static void test_states_taken_back(void **state)
{
	struct fixture *f = *state;
	struct vault_request *first, *second;
	struct vault_find imminent = {.imminent = true}, referral = {.open_referrals = true};

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_CLINIC);
	first = seal(f, THREAT_1);
	second = seal(f, REFERRAL_1);
	assert_int_equal(found(f, &imminent), 1);
	assert_int_equal(found(f, &referral), 1);
	end_batch(f, VAULT_ABORTED, first->batch, 0);
	assert_int_equal(found(f, &imminent), 0);
	assert_int_equal(found(f, &referral), 0);
	end_batch(f, VAULT_ABORTED, second->batch, 0);
	vault_request_free(first);
	vault_request_free(second);
	record(f, THREAT_1);
	assert_int_equal(found(f, &imminent), 1);
}

/* An event that was recorded before those that are known moves nothing back, and one behind a batch
 * on its way waits for that one's end. */
static void test_late_event(void **state)
{
	struct fixture *f = *state;
	struct vault_request *first, *late;
	struct vault_find imminent = {.imminent = true};

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	first = seal(f, THREAT_1);
	late = submit(f, seal_request(IN_1("CONTACT", "2026-09-18",
					      "\"recorded_at\":\"2026-09-18T10:00:00Z\"," CALL),
				 false));
	assert_int_equal(found(f, &imminent), 1); /* others pass it */
	collect(f);
	assert_null(find_done(f, late));
	append_commit(f, first);
	wait_for(f, late);
	assert_ok(late->result);
	append_commit(f, late);
	assert_int_equal(found(f, &imminent), 1);
	lock(f);
	unlock(f);
	assert_int_equal(found(f, &imminent), 1);
}

/* What a correction says stands beside the event, which says what it said. */
static void test_show_changes(void **state)
{
	struct fixture *f = *state;
	json_t *docs, *event, *change;

	unlock(f);
	record(f, OPEN_1 AGREED_1 CORRECTION_1);
	docs = answer_json(show(f, "ZZ-ONE"));
	event = json_array_get(docs, 2);
	check_text(event, "note", "quillfeather");
	change = json_array_get(json_object_get(event, "changes"), 0);
	check_text(change, "field", "note");
	check_text(change, "old", "quillfeather");
	check_text(change, "new", "x");
	assert_null(json_object_get(json_array_get(docs, 1), "changes"));
	json_decref(docs);
}

static void test_torture_show(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	enum err err = ERR_NOMEM;

	unlock(f);
	record(f, OPEN_1 AGREED_1);
	for (size_t n = 0; err != OK; n++) {
		request = request_new(VAULT_SHOW);
		snprintf(request->name, sizeof(request->name), REF_1);
		alloc_fail_after(n);
		err = ask(f, request)->result;
		alloc_fail_after(SIZE_MAX);
		if (err != OK)
			assert_null(request->docs);
		else
			assert_int_equal(request->events, 2);
		vault_request_free(request);
		assert_true(n < 100000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_find),
		TEST(test_today),
		TEST(test_form),
		TEST(test_states_taken_back),
		TEST(test_late_event),
		TEST(test_show_changes),
		TEST(test_torture_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
