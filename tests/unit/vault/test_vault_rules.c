/* Schema and rules where events are recorded, and trials, which record nothing. */
#include "support.h"

static struct vault_request *trial_request(uint64_t client, uint64_t number, const char *lines)
{
	struct vault_request *request = seal_request(lines, true);

	request->client = client;
	request->trial = number;
	return request;
}

static void check_trial(struct fixture *f, uint64_t client, uint64_t number, const char *lines,
	enum err expected, uint64_t added)
{
	struct vault_request *request = ask(f, trial_request(client, number, lines));

	if (request->result != expected)
		fail_msg("'%s': %s", lines, err_message(&request->ctx, request->result));
	if (expected == OK)
		assert_int_equal(request->added, added);
	assert_null(request->entries);
	vault_request_free(request);
}

static void end_trials(struct fixture *f, uint64_t client, uint64_t number)
{
	struct vault_request *request = request_new(VAULT_TRIAL_END);

	request->client = client;
	request->trial = number;
	assert_ok(ask_simple(f, request));
}

/* Later lines see what earlier ones of the same trial would have done, and nobody else does. */
static void test_trial(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_trial(f, 1, 7, OPEN_1, OK, 1);
	check_trial(f, 1, 7, AGREED_1, OK, 1);
	check_trial(f, 1, 7, CORRECTION_1, OK, 1);
	check_trial(f, 1, 7, OPEN_1 AGREED_1, OK, 0); /* known */
	check_trial(f, 1, 7, "{\"type\":\"CONTACT\",\"case\":\"zz-one\"," CALL "}", OK, 1);
	check_trial(f, 1, 8, AGREED_1, ERR_NOTFOUND, 0);
	check_trial(f, 2, 7, AGREED_1, ERR_NOTFOUND, 0);
	check_refused(f, AGREED_1, ERR_NOTFOUND, 1, REF_1);
	/* Another case of that code, by a later request: the line is named, and the trial ends. */
	request = ask(f, trial_request(1, 7,
				 CONTACT_1 "{\"type\":\"CASE_OPENED\",\"case_code\":\"ZZ-ONE\"}"));
	assert_int_equal(request->result, ERR_EXISTS);
	assert_int_equal(request->line, 2);
	vault_request_free(request);
	check_trial(f, 1, 7, AGREED_1, ERR_NOTFOUND, 0);

	/* Its end, by word, by connection, by lock. */
	check_trial(f, 1, 9, OPEN_1, OK, 1);
	request = trial_request(1, 9, AGREED_1);
	request->trial_end = true;
	assert_ok(ask_simple(f, request));
	check_trial(f, 1, 9, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 9, OPEN_1, OK, 1);
	check_trial(f, 1, 10, OPEN_1, OK, 1);
	end_trials(f, 2, 0);
	check_trial(f, 1, 9, CONTACT_1, OK, 1);
	end_trials(f, 1, 9);
	check_trial(f, 1, 9, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 10, CONTACT_1, OK, 1);
	end_trials(f, 1, 0);
	check_trial(f, 1, 10, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 11, OPEN_1, OK, 1);
	lock(f);
	unlock(f);
	check_trial(f, 1, 11, CONTACT_1, ERR_NOTFOUND, 0);
	/* Nothing of all that was recorded. */
	request = ask(f, request_new(VAULT_LIST));
	assert_int_equal(request->cases, 0);
	vault_request_free(request);
}

static void test_trial_bounds(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	for (uint64_t i = 0; i < LIMIT_TRIALS; i++)
		check_trial(f, i, 1, OPEN_1, OK, 1);
	check_trial(f, LIMIT_TRIALS, 1, OPEN_1, ERR_LIMIT, 0);
	end_trials(f, 0, 1);
	check_trial(f, LIMIT_TRIALS, 1, OPEN_1, OK, 1);
	/* Nothing was heard of them for a while: at the limit, and past it. */
	request = trial_request(1, 1, CONTACT_1);
	request->now_ms += LIMIT_TRIAL_IDLE_MS - 1000;
	assert_ok(ask_simple(f, request));
	request = trial_request(9, 1, OPEN_1);
	request->now_ms += LIMIT_TRIAL_IDLE_MS + 60000;
	assert_ok(ask_simple(f, request)); /* there is room again */
	check_trial(f, 2, 1, CONTACT_1, ERR_NOTFOUND, 0);
	check_trial(f, 1, 1, CONTACT_1, OK, 1);
}

/* A trial keeps the parts of so many bytes: of a case that it no longer can fold anew it refuses
 * nothing for what the case would say. */
static void test_trial_thins(void **state)
{
	enum { NOTE = 16000, EVENTS = 60, REQUESTS = LIMIT_TRIAL_BYTES / (EVENTS * NOTE) + 1 };
	struct fixture *f = *state;
	struct vault_request *request;
	char note[NOTE + 1];

	memset(note, 'x', NOTE);
	note[NOTE] = '\0';
	unlock(f);
	check_trial(f, 1, 1, OPEN_1 AGREED_1, OK, 2);
	check_trial(f, 1, 1,
		OPEN_2
		"{\"type\":\"CONSENT_RECORDED\",\"case\":\"ZZ-TWO\",\"purpose\":\"CASE_MGMT\","
		"\"given_by\":\"VICTIM\",\"form\":\"WRITTEN\",\"valid_until\":"
		"\"2027-01-01\"}\n",
		OK, 2);
	for (int n = 0; n < REQUESTS; n++) {
		request = trial_request(1, 1, "");
		for (int i = 0; i < EVENTS; i++)
			buf_printf(&request->lines,
				"{\"type\":\"CONTACT\",\"case\":\"ZZ-TWO\"," CALL
				",\"note\":\"%s\"}\n",
				note);
		assert_ok(ask_simple(f, request));
	}
	/* Those of the last lines are kept, corrected and judged; the other is taken on trust. */
	request = ask(
		f, trial_request(1, 1, IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\"")));
	assert_int_equal(request->result, ERR_INVALID); /* nothing was missed so far */
	vault_request_free(request);
	check_trial(f, 1, 1, OPEN_1 AGREED_1, OK, 2); /* that ended it: another begins */
	for (int n = 0; n < REQUESTS; n++) {
		request = trial_request(1, 1, n == 0 ? OPEN_2 : "");
		if (n == 0)
			buf_put_str(&request->lines,
				"{\"type\":\"CONSENT_RECORDED\",\"case\":\"ZZ-TWO\",\"purpose\":"
				"\"CASE_MGMT\",\"given_by\":\"VICTIM\",\"form\":\"WRITTEN\","
				"\"valid_until\":\"2027-01-01\"}\n");
		for (int i = 0; i < EVENTS; i++)
			buf_printf(&request->lines,
				"{\"type\":\"CONTACT\",\"case\":\"ZZ-TWO\"," CALL
				",\"note\":\"%s\"}\n",
				note);
		assert_ok(ask_simple(f, request));
	}
	check_trial(f, 1, 1, CORRECTION_1, OK, 1);
	check_trial(f, 1, 1, IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\""), OK, 1);
	end_trials(f, 1, 1);
}

/* The cap of a case shows in the trial, over several requests, before anything is recorded. */
static void test_trial_case_cap(void **state)
{
	static const char line[] = "{\"type\":\"CONTACT\",\"case\":\"ZZ-ONE\"," CALL "}\n";
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_trial(f, 1, 1, OPEN_1, OK, 1);
	for (int k = 0; k < 3; k++) {
		request = trial_request(1, 1, "");
		for (int i = 0; i < (k == 0 ? LIMIT_CASE_EVENTS - 2 : 1); i++)
			buf_put_str(&request->lines, line);
		ask(f, request);
		assert_int_equal(request->result, k < 2 ? OK : ERR_LIMIT);
		assert_int_equal(request->line, k < 2 ? 0 : 1);
		vault_request_free(request);
	}
}

/* Schema and rules: the line is named, the field and what is possible, and nothing is recorded. */
static void test_rules(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;

	unlock(f);
	check_refused(f, OPEN_1 IN_1("CONTACT", "2026-02-05", CALL ",\"topics\":[\"WEATHER\"]"),
		ERR_INVALID, 2, "topics");
	check_refused(f, OPEN_1 IN_1("CONTACT", "2026-02-05", CALL ",\"weather\":\"rain\""),
		ERR_INVALID, 2, "weather");
	check_refused(f, OPEN_1 REFERRAL_1, ERR_CONSENT, 2, "REFERRAL");
	check_refused(f, OPEN_1 THREAT_1, ERR_CONSENT, 2, "CASE_MGMT");
	check_refused(f, OPEN_1 AGREED_1 REFERRAL_1, ERR_CONSENT, 3, "REFERRAL");
	/* What lines before it in the request do counts, and what is on its way. */
	request = seal(f, OPEN_1 AGREED_1 TO_CLINIC);
	check_refused(f, IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\""), ERR_INVALID, 1,
		"referral");
	append_commit(f, request);
	record(f, REFERRAL_1 IN_1("REFERRAL_ANSWERED", "2026-02-12", "\"answer\":\"ACCEPTED\"")
			  IN_1("REFERRAL_ENDED", "2026-03-01", "\"end\":\"DONE\""));
	check_refused(f,
		IN_1("REFERRAL_ANSWERED", "2026-03-02",
			"\"referral_id\":\"R-1\",\"answer\":\"PARTIAL\""),
		ERR_INVALID, 1, "R-1");
	/* What the node fills in is there. */
	request = show(f, "ZZ-ONE");
	assert_int_equal(request->events, 6);
	json_t *event = doc_json(request->docs->next->next->next->next);

	check_text(event, "type", "REFERRAL_MADE");
	check_text(event, "referral_id", "R-1");
	check_text(event, "consent_ref", CONSENT_2);
	assert_int_equal(json_array_size(json_object_get(event, "parents")), 1);
	json_decref(event);
	vault_request_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rules),
		TEST(test_trial),
		TEST(test_trial_bounds),
		TEST(test_trial_thins),
		TEST(test_trial_case_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
