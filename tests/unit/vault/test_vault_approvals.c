/*
 * What is opened without consent: the vault over a real store. The test is the loop, and a node
 * that approves what it was asked, or lies.
 */
#include "support.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "certs/mail_approval.h"
#include "server/vault/refusal.h"

enum { HOUR_S = 3600 };

static uint64_t now_s(void)
{
	struct vault_request *request = request_new(VAULT_LIST);
	uint64_t now = request->now_s;

	vault_request_free(request);
	return now;
}

static struct vault_request *approval_request(enum vault_approval_op op, const char *officer)
{
	struct vault_request *request = request_new(VAULT_APPROVAL);

	request->approval = mem_zalloc(sizeof(*request->approval));
	assert_non_null(request->approval);
	request->approval->op = op;
	snprintf(request->officer, sizeof(request->officer), "%s", officer);
	return request;
}

static struct vault_request *open_request(const char *reason, group_set groups)
{
	struct vault_request *request = approval_request(APPROVAL_OP_NEW, "ada");
	struct approval *one = &request->approval->one;

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	one->kind = APPROVAL_BREAK_GLASS;
	one->groups = groups;
	snprintf(one->to, sizeof(one->to), "hq");
	snprintf(one->reason, sizeof(one->reason), "%s", reason);
	return request;
}

/* In the ledger, so to say, and kept. */
static struct approval opened(struct fixture *f)
{
	struct vault_request *request =
		ask(f, open_request("zz lorem", GROUP_BIT(GROUP_PROTECTION)));
	struct approval one;

	assert_ok(request->result);
	assert_true(request->mail.size > 0);
	one = request->approval->one;
	vault_request_free(request);
	request = approval_request(APPROVAL_OP_PUT, "ada");
	request->approval->one = one;
	assert_ok(ask_simple(f, request));
	return one;
}

static enum err decide(struct fixture *f, const struct approval *one, const char *officer,
	bool approve, enum approval_verdict verdict)
{
	struct vault_request *request = approval_request(APPROVAL_OP_DECIDE, officer);
	enum err err;

	hex_encode(BYTES_ARRAY(one->id), request->approval->prefix);
	request->approval->approve = approve;
	ask(f, request);
	err = request->result;
	if (err == OK)
		assert_int_equal(request->approval->verdict, verdict);
	vault_request_free(request);
	return err;
}

/* What the ledger lacks; false: nothing. */
static bool tick(struct fixture *f, uint64_t later_s, struct approval *ret)
{
	struct vault_request *request = approval_request(APPROVAL_OP_TICK, "");
	bool found;

	request->now_s += later_s;
	ask(f, request);
	assert_ok(request->result);
	found = request->approval->found;
	*ret = request->approval->one;
	vault_request_free(request);
	return found;
}

static void said(struct fixture *f, const struct approval *one)
{
	struct vault_request *request = approval_request(APPROVAL_OP_SAID, "");

	request->approval->one = *one;
	assert_ok(ask_simple(f, request));
}

/* --- mail --- */

struct letter {
	const char *sender;
	enum mail_kind kind;
	enum mail_class class;
	struct bytes content;
	uint64_t later_s;
};
static struct prekey prekey;

static uint32_t deliver(struct fixture *f, const struct letter *letter)
{
	static uint8_t letters;
	uint8_t seed[ED25519_SEED_SIZE] = {5}, ephemeral[X25519_KEY_SIZE] = {0x60, ++letters};
	struct vault_request *request = request_new(VAULT_MAIL_OPEN);
	struct mail_draft draft = {
		.network = NETWORK,
		.sender = letter->sender,
		.recipient = NODE,
		.id = {letters},
		.class = letter->class,
		.kind = letter->kind,
		.content = letter->content,
		.prekey = &prekey,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
	struct signer *node;
	uint32_t refusal;

	assert_ok(signer_new(BYTES_ARRAY(seed), &node));
	assert_ok(mail_write(&request->mail, &draft, node));
	signer_free(node);
	request->sender_active = true;
	request->now_s += letter->later_s;
	ask(f, request);
	assert_ok(request->result);
	refusal = request->refusal;
	assert_int_equal(request->outcome, refusal == REFUSED_NOT ? MAIL_PROCESSED : MAIL_REFUSED);
	vault_request_free(request);
	return refusal;
}

static uint32_t answer(struct fixture *f, const char *sender, const struct approval *one,
	const char *officer, uint64_t later_s)
{
	struct mail_approval mail = {
		.asked = one->asked, .approved = true, .officer = officer, .at = 1};
	struct buf content;
	uint32_t refusal;

	memcpy(mail.id, one->id, sizeof(mail.id));
	buf_init(&content, 4096);
	assert_ok(mail_approval_write(&content, &mail));
	refusal = deliver(f, &(struct letter){sender, MAIL_APPROVAL, MAIL_ORDINARY,
				     buf_bytes(&content), later_s});
	buf_release(&content);
	return refusal;
}

static uint32_t question_of(
	struct fixture *f, const char *sender, uint16_t number, uint32_t groups, uint64_t asked_at)
{
	struct mail_approval_asked asked = {.id = {(uint8_t)number, (uint8_t)(number >> 8), 9},
		.kind = APPROVAL_REPORT,
		.to = "ZZ-Authority",
		.reason = "zz \"quoted\" lorem",
		.legal_basis = "ZZ law",
		.officer = "kim",
		.groups = groups,
		.asked_at = asked_at};
	struct buf content;
	uint32_t refusal;

	buf_init(&content, 4096);
	assert_ok(mail_approval_asked_write(&content, &asked));
	refusal = deliver(f, &(struct letter){sender, MAIL_APPROVAL_ASKED, MAIL_ORDINARY,
				     buf_bytes(&content), 0});
	buf_release(&content);
	return refusal;
}

static uint32_t question(struct fixture *f, const char *sender, uint8_t number, uint32_t groups)
{
	return question_of(f, sender, number, groups, now_s());
}

static void begin(struct fixture *f)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));

	assert_ok(request->result);
	prekey = request->keys->prekey;
	vault_request_free(request);
	record(f, OPEN_1 AGREED_1 THREAT_1);
}

/* --- tests --- */

static void test_opening(void **state)
{
	struct fixture *f = *state;
	struct approval one, owed;
	struct vault_request *list;

	begin(f);
	assert_int_equal(ask_simple(f, open_request("", GROUP_BIT(GROUP_CORE))), ERR_INVALID);
	assert_int_equal(ask_simple(f, open_request("zz", 0)), ERR_INVALID);
	assert_int_equal(ask_simple(f, open_request("zz", GROUP_BIT(GROUP_AUDIT))), ERR_INVALID);
	one = opened(f);
	assert_false(tick(f, 0, &owed)); /* OPENED stands there already */
	assert_ok(decide(f, &one, "ada", true, APPROVAL_IS_OWN));
	assert_ok(decide(f, &one, "bo", true, APPROVAL_COUNTS));
	assert_ok(decide(f, &one, "cleo", false, APPROVAL_IS_DONE));
	/* All of it is there after the next unlock. */
	lock(f);
	unlock(f);
	list = ask(f, approval_request(APPROVAL_OP_LIST, "bo"));
	assert_int_equal(list->approvals.approved, 1);
	assert_non_null(strstr(buf_cstr(&list->docs->json), "\"decided_by\":\"bo\""));
	vault_request_free(list);
}

static void test_time(void **state)
{
	struct fixture *f = *state;
	struct approval one, owed;

	begin(f);
	one = opened(f);
	assert_false(tick(f, 72 * HOUR_S - 60, &owed));
	assert_true(tick(f, 73 * HOUR_S, &owed));
	assert_int_equal(owed.state, APPROVAL_WITHDRAWN);
	assert_true(tick(f, 73 * HOUR_S, &owed)); /* until the ledger has it */
	said(f, &owed);
	assert_false(tick(f, 73 * HOUR_S, &owed));
	/* .. and a clock that is put back brings nothing back. */
	assert_ok(decide(f, &one, "bo", true, APPROVAL_IS_LATE));
}

/* An answer counts from a node that was asked, for what it was asked, in time, once. */
static void test_answers(void **state)
{
	struct fixture *f = *state;
	struct approval one, other, owed;

	begin(f);
	one = opened(f);
	other = one;
	other.id[0] ^= 1;
	assert_int_equal(answer(f, "chad", &other, "kim", 0), REFUSED_SENDER);
	other = one;
	other.asked.b[0] ^= 1; /* it was never asked: it guesses */
	assert_int_equal(answer(f, "chad", &other, "kim", 0), REFUSED_SENDER);
	assert_int_equal(answer(f, "hq", &one, "kim", 0), REFUSED_SENDER); /* gets the keys */
	assert_int_equal(answer(f, "chad", &one, "kim", 73 * HOUR_S), REFUSED_ENDED);
	assert_int_equal(deliver(f, &(struct letter){"chad", MAIL_APPROVAL, MAIL_ORDINARY,
					    bytes_str("zz"), 0}),
		REFUSED_FORM);
	assert_false(tick(f, 0, &owed));
	assert_int_equal(answer(f, "chad", &one, "kim", 0), REFUSED_NOT);
	assert_true(tick(f, 0, &owed));
	assert_int_equal(owed.state, APPROVAL_APPROVED);
	assert_string_equal(owed.decider, "kim@chad");
	said(f, &owed);
	/* Replayed, and another's. */
	assert_int_equal(answer(f, "chad", &one, "kim", 0), REFUSED_ENDED);
	assert_int_equal(answer(f, "chad", &one, "lea", 0), REFUSED_ENDED);
	assert_false(tick(f, 0, &owed));
}

static void test_questions(void **state)
{
	struct fixture *f = *state;
	struct vault_request *list;
	size_t count = 0;

	begin(f);
	for (unsigned i = 0; i < LIMIT_APPROVALS_SENDER; i++)
		assert_int_equal(question(f, "chad", (uint8_t)i, 1u << GROUP_HEALTH), REFUSED_NOT);
	assert_int_equal(question(f, "chad", 0, 1u << GROUP_HEALTH), REFUSED_NOT); /* again */
	assert_int_equal(
		question(f, "chad", LIMIT_APPROVALS_SENDER, 1u << GROUP_HEALTH), REFUSED_SENDER);
	assert_int_equal(question(f, "hq", 1, 1u << GROUP_AUDIT), REFUSED_FORM);
	assert_int_equal(question(f, "hq", 1, 1u << GROUP_HEALTH), REFUSED_NOT);
	list = ask(f, approval_request(APPROVAL_OP_LIST, "bo"));
	assert_ok(list->result);
	assert_int_equal(list->approvals.asked, LIMIT_APPROVALS_SENDER + 1);
	for (struct vault_doc *doc = list->docs; doc != NULL; doc = doc->next, count++) {
		json_t *json = doc_json(doc);

		check_text(json, "reason", "zz \"quoted\" lorem");
		check_text(json, "case", "");
		json_decref(json);
	}
	assert_int_equal(count, LIMIT_APPROVALS_SENDER + 1);
	vault_request_free(list);
}

/* Questions whose time is over when they come wait for nobody: whoever sends them without end fills
 * nothing, not even after a lock, and an officer here can open a case still. */
static void test_flood(void **state)
{
	struct fixture *f = *state;
	struct vault_request *list;
	struct approval owed;
	size_t count = 0;

	begin(f);
	(void)opened(f);
	assert_int_equal(question(f, "kenya", 1, 1u << GROUP_HEALTH), REFUSED_NOT);
	for (uint16_t i = 0; i < LIMIT_APPROVALS + 20; i++) {
		assert_int_equal(question_of(f, "chad", i, 1u << GROUP_HEALTH, 1), REFUSED_NOT);
		if (i % 10 == 0)
			assert_false(tick(f, 0, &owed));
	}
	(void)opened(f);
	lock(f);
	unlock(f);
	list = ask(f, approval_request(APPROVAL_OP_LIST, "bo"));
	for (const struct vault_doc *doc = list->docs; doc != NULL; doc = doc->next)
		count++;
	assert_int_equal(count, LIMIT_APPROVALS_SENDER + 3);
	vault_request_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_opening),
		TEST(test_time),
		TEST(test_answers),
		TEST(test_questions),
		TEST(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
