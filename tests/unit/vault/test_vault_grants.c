/*
 * Keys given to other nodes, and received from them: the vault over a real store. The test is the
 * loop, the recipient who opens what was sealed for it, and a sender who may be dishonest.
 */
#include "support.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event.h"
#include "cases/keys/given.h"
#include "cases/seal/seal.h"
#include "certs/mail_grant.h"
#include "proto/codec.h"
#include "replication/log/tree.h"
#include "server/vault/grants/grants.h"
#include "server/vault/refusal.h"

#define TO_HQ                                                                                      \
	IN_1("CONSENT_RECORDED", "2026-02-04",                                                     \
		"\"event_id\":\"01890a5d-ac96-774b-bcce-b302099a9003\",\"purpose\":\"REFERRAL\","  \
		"\"recipients\":[\"hq\",\"chad\"],\"groups\":[\"contact\",\"services\"],"          \
		"\"given_by\":\"VICTIM\",\"form\":\"WRITTEN\",\"valid_until\":\"2026-10-01\"")
#define WITHDRAWN IN_1("CONSENT_WITHDRAWN", "2026-09-21", "\"consent_id\":\"C-2\"")
#define CONTACT   GROUP_BIT(GROUP_CONTACT)

static const uint8_t hq_private[X25519_KEY_SIZE] = {0x31};

/* ---- the loop's part ---- */

static void recipient_put(struct vault_grant *grant, const char *node, uint64_t prekey)
{
	struct vault_recipient *to = &grant->recipients[grant->recipient_count++];

	snprintf(to->node, sizeof(to->node), "%s", node);
	to->node_key.b[0] = (uint8_t)node[0];
	to->prekey.number = prekey;
	assert_ok(x25519_public(BYTES_ARRAY(hq_private), &to->prekey.key));
	to->ready = true;
}

static bool chad_audits;

static struct vault_request *grant_request(enum vault_type type, uint64_t prekey)
{
	struct vault_request *request = request_new(type);

	request->grant = mem_zalloc(sizeof(*request->grant));
	assert_non_null(request->grant);
	request->grant->recipients = mem_array(2, sizeof(*request->grant->recipients));
	assert_non_null(request->grant->recipients);
	recipient_put(request->grant, "hq", prekey);
	recipient_put(request->grant, "chad", prekey);
	request->grant->recipients[1].auditor = chad_audits;
	return request;
}

struct wish {
	const char *to, *purpose, *until;
	uint16_t groups;
	bool history;
};
static struct vault_request *wish_for(struct fixture *f, const struct wish *wish)
{
	struct vault_request *request = grant_request(VAULT_GRANT, 3);
	struct vault_grant *grant = request->grant;

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	snprintf(grant->to, sizeof(grant->to), "%s", wish->to);
	snprintf(grant->purpose, sizeof(grant->purpose), "%s", wish->purpose);
	snprintf(grant->until, sizeof(grant->until), "%s", wish->until == NULL ? "" : wish->until);
	grant->groups = wish->groups;
	grant->history = wish->history;
	return ask(f, request);
}

/* Into the ledger, and so into the log. */
static void give(struct fixture *f, const char *to, bool history)
{
	struct vault_request *request =
		wish_for(f, &(struct wish){to, "REFERRAL", NULL, CONTACT, history});

	if (request->result != OK)
		fail_msg("grant: %s", err_message(&request->ctx, request->result));
	assert_int_equal(request->grant->groups, CONTACT);
	append_commit(f, request);
}

/* Events of the ledger that are owed; 0: all is well. */
static size_t review(struct fixture *f, bool everything)
{
	struct vault_request *request = grant_request(VAULT_GRANT_REVIEW, 3);
	size_t count;

	request->renew = everything;
	ask(f, request);
	assert_ok(request->result);
	count = request->entries == NULL ? 0 : request->entries->count;
	if (count > 0)
		append_commit(f, request);
	else
		vault_request_free(request);
	return count;
}

/* What leaves next; NULL: nothing does. */
struct left {
	struct mail_grant grant;
	char to[LIMIT_NODE_NAME + 1];
	struct hash item;
	uint8_t id[16];
};
static bool release(struct fixture *f, uint64_t prekey, struct left *ret)
{
	struct vault_request *request = ask(f, grant_request(VAULT_GRANT_RELEASE, prekey));
	struct mail_content content;
	struct mail_item item;
	struct arena arena;
	struct buf signature;

	assert_ok(request->result);
	if (request->mail.size == 0) {
		vault_request_free(request);
		return false;
	}
	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&signature, 64);
	buf_put_zeros(&signature, 64);
	assert_ok(mail_read(
		buf_bytes(&request->mail), buf_bytes(&signature), NETWORK, &arena, &item, NULL));
	assert_ok(mail_open(&item, NETWORK, BYTES_ARRAY(hq_private), &arena, &content, NULL));
	assert_int_equal(content.kind, MAIL_GRANT);
	assert_int_equal(item.prekey, prekey);
	assert_ok(mail_grant_read(content.body, &arena, &ret->grant, NULL));
	snprintf(ret->to, sizeof(ret->to), "%s", item.recipient);
	ret->item = item.item;
	memcpy(ret->id, request->grant->id, sizeof(ret->id));
	mail_content_release(&content);
	buf_release(&signature);
	arena_release(&arena);
	vault_request_free(request);
	return true;
}

static void sent(struct fixture *f, const struct left *left)
{
	struct vault_request *request = grant_request(VAULT_GRANT_SENT, 3);

	memcpy(request->grant->id, left->id, sizeof(left->id));
	request->item = left->item;
	assert_ok(ask_simple(f, request));
}

static void ended(struct fixture *f, const struct left *left, uint32_t outcome)
{
	struct vault_request *request = grant_request(VAULT_GRANT_ENDED, 3);

	request->item = left->item;
	request->outcome = outcome;
	assert_ok(ask_simple(f, request));
}

static json_t *shares(struct fixture *f)
{
	struct vault_request *request = request_new(VAULT_GRANT_SHOW);

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	return answer_json(ask(f, request));
}

static void check_state(struct fixture *f, size_t i, const char *state)
{
	json_t *all = shares(f);

	check_text(json_array_get(all, i), "state", state);
	json_decref(all);
}

static size_t share_count(struct fixture *f)
{
	json_t *all = shares(f);
	size_t count = json_array_size(all);

	json_decref(all);
	return count;
}

/* How many entries of the log stand at a number under this key. */
static size_t entries_under(struct fixture *f, const struct mail_grant_key *k, uint64_t from)
{
	struct seal_position position = {.index = 0};
	struct seal_locator locators[64], found;
	struct seal_key key;
	struct buf entry;
	size_t count = 0;

	sha256(bytes_str(f->log.origin.text), &position.origin);
	assert_ok(seal_key_init(&key, secret_bytes(&k->key)));
	for (; position.index < 64; position.index++)
		assert_ok(seal_locator(&key, &position, &locators[position.index]));
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	for (uint64_t i = from; i < f->log.compact.size; i++) {
		buf_clear(&entry);
		assert_ok(store_entry(f->bench->store, &f->log.origin, i, &entry, NULL));
		if (seal_entry_locator(buf_bytes(&entry), &found) != OK)
			continue;
		for (size_t n = 0; n < 64; n++)
			count += memcmp(found.b, locators[n].b, sizeof(found.b)) == 0;
	}
	buf_release(&entry);
	seal_key_release(&key);
	return count;
}

static void prepare(struct fixture *f)
{
	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_HQ CONTACT_1);
}

/* ---- giving ---- */

static void refuses(struct fixture *f, const struct wish *wish, enum err expected, const char *says)
{
	struct vault_request *request = wish_for(f, wish);

	if (request->result != expected || strstr(request->ctx.text, says) == NULL)
		fail_msg("%d: '%s' does not say '%s'", request->result, request->ctx.text, says);
	assert_null(request->entries);
	vault_request_free(request);
}

static void test_only_what_is_covered(void **state)
{
	struct fixture *f = *state;
	struct left left;

	prepare(f);
	refuses(f, &(struct wish){"hq", "PATERNITY", NULL, CONTACT, false}, ERR_CONSENT,
		"no consent to PATERNITY");
	refuses(f, &(struct wish){"hq", "REFERRAL", NULL, GROUP_BIT(GROUP_HEALTH), false},
		ERR_CONSENT, "health");
	refuses(f, &(struct wish){"hq", "REFERRAL", "2026-09-20", CONTACT, false}, ERR_INVALID,
		"has passed");
	refuses(f, &(struct wish){"cuba", "REFERRAL", NULL, CONTACT, false}, ERR_NOTFOUND,
		"no node of that name");
	record(f, WITHDRAWN);
	refuses(f, &(struct wish){"hq", "REFERRAL", NULL, CONTACT, false}, ERR_CONSENT,
		"was withdrawn");
	assert_int_equal(share_count(f), 0);
	assert_int_equal(review(f, true), 0);
	assert_false(release(f, 3, &left));
}

/* No key leaves before the ledger says so, durably; and the commitment there is of these keys. */
static void test_ledger_first(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct left left;

	prepare(f);
	request = wish_for(f, &(struct wish){"hq", "REFERRAL", "2026-09-25", 0, false});
	assert_ok(request->result);
	assert_int_equal(request->grant->groups, CONTACT | GROUP_BIT(GROUP_SERVICES));
	assert_string_equal(request->grant->until, "2026-09-25");
	assert_false(release(f, 3, &left));
	append_commit(f, request);
	assert_true(release(f, 3, &left));
	assert_string_equal(left.to, "hq");
	assert_int_equal(left.grant.key_count, 2);
	assert_string_equal(left.grant.until, "2026-09-25");
	assert_string_equal(left.grant.case_code, "ZZ-ONE");
	assert_string_equal(left.grant.consent_origin, f->log.origin.text);
	for (size_t i = 0; i < 2; i++) {
		struct seal_kid kid;

		assert_ok(seal_kid_of(secret_bytes(&left.grant.keys[i].key), &kid));
		assert_memory_equal(kid.b, left.grant.keys[i].kid, SEAL_KID_SIZE);
		assert_int_equal(left.grant.keys[i].first, 0);
	}
	sent(f, &left);
	mail_grant_release(&left.grant);
	assert_false(release(f, 3, &left));
	check_state(f, 0, "sent");
	ended(f, &left, MAIL_PROCESSED);
	check_state(f, 0, "taken");
}

static void check_commitment(struct fixture *f, const struct mail_grant *grant)
{
	struct vault_request *request = request_new(VAULT_LEDGER_LIST);
	struct grant_key keys[LIMIT_GRANT_KEYS];
	struct grant_commitment in = {
		grant->nonce, bytes_str("hq"), &grant->consent_leaf, keys, grant->key_count};
	char hex[2 * HASH_SIZE + 1];
	struct hash commitment, leaf;
	struct buf entry;
	json_t *all;

	for (size_t i = 0; i < grant->key_count; i++) {
		memcpy(keys[i].kid.b, grant->keys[i].kid, SEAL_KID_SIZE);
		keys[i].first = grant->keys[i].first;
	}
	assert_ok(grant_commitment(&in, &commitment));
	hex_encode(hash_bytes(&commitment), hex);
	all = answer_json(ask(f, request));
	check_text(json_array_get(all, 0), "commitment", hex);
	check_text(json_array_get(all, 0), "type", "ACCESS_GRANTED");
	json_decref(all);
	/* The consent that is cited is an entry of that log, at that place. */
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_ok(store_entry(f->bench->store, &f->log.origin, grant->consent_index, &entry, NULL));
	tree_leaf(buf_bytes(&entry), &leaf);
	assert_true(hash_equal(&leaf, &grant->consent_leaf));
	buf_release(&entry);
}

static void test_from_now_on(void **state)
{
	struct fixture *f = *state;
	uint64_t before;
	struct left left, past;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &left));
	check_commitment(f, &left.grant);
	before = f->log.compact.size;
	assert_int_equal(entries_under(f, &left.grant.keys[0], 0), 0);
	record(f, CONTACT_1);
	assert_int_equal(entries_under(f, &left.grant.keys[0], before), 1);
	sent(f, &left);
	/* With the past: the same key and the one before it. */
	give(f, "hq", true);
	assert_true(release(f, 3, &past));
	assert_int_equal(past.grant.key_count, 2);
	assert_int_equal(
		entries_under(f, &past.grant.keys[0], 0) + entries_under(f, &past.grant.keys[1], 0),
		2);
	mail_grant_release(&left.grant);
	mail_grant_release(&past.grant);
}

/* Judged again when it leaves. */
static void test_withdrawn_before_it_left(void **state)
{
	struct fixture *f = *state;
	struct left left;

	prepare(f);
	give(f, "hq", false);
	record(f, WITHDRAWN);
	assert_false(release(f, 3, &left));
	assert_int_equal(review(f, false), 1);
	check_state(f, 0, "revoked");
	assert_false(release(f, 3, &left));
	assert_int_equal(review(f, true), 0);
}

/* What is written after a withdrawal is under no key that left. */
/* Killed after the ledger said it and before the mail was taken back: it is told again. */
static void test_withdrawn_and_killed(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct left left;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &left));
	sent(f, &left);
	record(f, WITHDRAWN);
	assert_true(review(f, false) > 0);
	vault_end(f);
	vault_begin(f, "HTI");
	unlock(f);
	request = ask(f, grant_request(VAULT_GRANT_RELEASE, 3));
	assert_ok(request->result);
	assert_int_equal(request->mail.size, 0);
	assert_int_equal(request->grant->taken_back, 1);
	assert_memory_equal(request->refs.data, left.item.b, HASH_SIZE);
	vault_request_free(request);
	mail_grant_release(&left.grant);
}

static void test_withdrawal_rolls(void **state)
{
	struct fixture *f = *state;
	uint64_t before;
	struct left left;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &left));
	sent(f, &left);
	ended(f, &left, MAIL_PROCESSED);
	record(f, WITHDRAWN);
	assert_int_equal(review(f, false), 1);
	before = f->log.compact.size;
	record(f, CONTACT_1);
	assert_int_equal(entries_under(f, &left.grant.keys[0], before), 0);
	check_state(f, 0, "revoked");
	mail_grant_release(&left.grant);
	/* So it is after an unlock: nothing is owed, nothing leaves. */
	lock(f);
	unlock(f);
	assert_int_equal(review(f, true), 0);
	assert_false(release(f, 3, &left));
	check_state(f, 0, "revoked");
}

/* A roll for one: the other, whose consent lives, hears of the new key, by a grant of its own. */
static void test_others_hear_of_it(void **state)
{
	struct fixture *f = *state;
	struct left hq, chad, again;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &hq));
	sent(f, &hq);
	give(f, "chad", false);
	assert_int_equal(review(f, false), 1);
	assert_int_equal(review(f, false), 0);
	assert_int_equal(share_count(f), 3);
	assert_true(release(f, 3, &chad));
	sent(f, &chad);
	assert_true(release(f, 3, &again));
	sent(f, &again);
	assert_string_equal(chad.to, "chad");
	assert_string_equal(again.to, "hq");
	assert_memory_equal(chad.grant.keys[0].kid, again.grant.keys[0].kid, SEAL_KID_SIZE);
	assert_memory_not_equal(hq.grant.keys[0].kid, again.grant.keys[0].kid, SEAL_KID_SIZE);
	assert_memory_not_equal(chad.grant.nonce, again.grant.nonce, GRANT_NONCE_SIZE);
	/* The consent ends for both at once. */
	record(f, WITHDRAWN);
	assert_int_equal(review(f, false), 3);
	assert_int_equal(review(f, false), 0);
	mail_grant_release(&hq.grant);
	mail_grant_release(&chad.grant);
	mail_grant_release(&again.grant);
}

/* What is withdrawn is carried on by another consent: the grant stays, and what is given next cites
 * the one that lives. */
static void test_another_consent(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct left first, next;
	json_t *all;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &first));
	sent(f, &first);
	record(f, IN_1("CONSENT_RECORDED", "2026-09-20",
			  "\"consent_id\":\"C-9\",\"purpose\":\"REFERRAL\",\"recipients\":["
			  "\"hq\",\"chad\"],\"groups\":[\"contact\"],\"given_by\":\"VICTIM\","
			  "\"form\":\"WRITTEN\",\"valid_until\":\"2026-09-25\""));
	record(f, WITHDRAWN);
	assert_int_equal(review(f, true), 0);
	check_state(f, 0, "sent");
	give(f, "chad", false);
	assert_int_equal(review(f, false), 1);
	while (release(f, 3, &next)) {
		sent(f, &next);
		assert_false(hash_equal(&next.grant.consent_leaf, &first.grant.consent_leaf));
		assert_string_equal(next.grant.until, "2026-09-25");
		mail_grant_release(&next.grant);
	}
	mail_grant_release(&first.grant);
	request = request_new(VAULT_LEDGER_LIST);
	all = answer_json(ask(f, request));
	assert_int_equal(json_array_size(all), 3);
	json_decref(all);
}

static void test_last_day(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	json_t *all;

	prepare(f);
	request = wish_for(f, &(struct wish){"hq", "REFERRAL", "2026-09-21", CONTACT, false});
	assert_ok(request->result);
	append_commit(f, request);
	assert_int_equal(review(f, true), 0);
	request = grant_request(VAULT_GRANT_REVIEW, 3);
	request->now_s += 24 * 3600;
	request->now_ms += 24 * 3600 * 1000;
	request->renew = true;
	ask(f, request);
	assert_ok(request->result);
	append_commit(f, request);
	all = shares(f);
	check_text(json_array_get(all, 0), "revoked_for", "ended");
	json_decref(all);
}

/* Between the keyring and the ledger: the start writes what is owed, and only then a key leaves. */
static void test_interrupted(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	char id[37];
	struct left left;
	json_t *all;

	prepare(f);
	request = wish_for(f, &(struct wish){"hq", "REFERRAL", NULL, CONTACT, false});
	assert_ok(request->result);
	snprintf(id, sizeof(id), "%s", request->grant->event_id);
	vault_request_free(request);
	vault_end(f);
	vault_begin(f, "HTI");
	unlock(f);
	assert_false(release(f, 3, &left));
	assert_int_equal(review(f, false), 1);
	all = answer_json(ask(f, request_new(VAULT_LEDGER_LIST)));
	assert_int_equal(json_array_size(all), 1);
	check_text(json_array_get(all, 0), "event_id", id);
	json_decref(all);
	assert_true(release(f, 3, &left));
	/* Mailed, and the vault never heard of it: the same grant again. */
	mail_grant_release(&left.grant);
	vault_end(f);
	vault_begin(f, "HTI");
	unlock(f);
	assert_int_equal(review(f, false), 0);
	assert_true(release(f, 3, &left));
	assert_int_equal(share_count(f), 1);
	mail_grant_release(&left.grant);
}

/* The ledger was not written: it is as if nobody had asked. */
static void test_given_up(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request, *drop = grant_request(VAULT_GRANT_DROP, 3);
	struct left left;

	prepare(f);
	request = wish_for(f, &(struct wish){"hq", "REFERRAL", NULL, CONTACT, false});
	assert_ok(request->result);
	memcpy(drop->grant->id, request->grant->id, sizeof(drop->grant->id));
	end_batch(f, VAULT_ABORTED, request->batch, 0);
	assert_ok(ask_simple(f, drop));
	vault_request_free(request);
	assert_int_equal(share_count(f), 0);
	assert_int_equal(review(f, true), 0);
	assert_false(release(f, 3, &left));
	give(f, "hq", false);
	assert_true(release(f, 3, &left));
	mail_grant_release(&left.grant);
}

/* Its prekey was gone: sealed again to the next, each of them remembered, and not for ever. */
static void test_not_opened(void **state)
{
	struct fixture *f = *state;
	struct left left;

	prepare(f);
	give(f, "hq", false);
	for (uint64_t prekey = 1; prekey <= LIMIT_GRANT_PREKEYS; prekey++) {
		assert_true(release(f, prekey, &left));
		sent(f, &left);
		ended(f, &left, MAIL_UNOPENABLE);
		mail_grant_release(&left.grant);
		assert_false(release(f, prekey, &left));
		check_state(f, 0, "waiting");
	}
	assert_false(release(f, LIMIT_GRANT_PREKEYS + 1, &left));
}

/* What the grant below rests on (test_vault_approvals). */
static void open_for_hq(struct fixture *f)
{
	struct vault_request *request = request_new(VAULT_APPROVAL), *put;

	request->approval = mem_zalloc(sizeof(*request->approval));
	assert_non_null(request->approval);
	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	request->approval->op = APPROVAL_OP_NEW;
	request->approval->one.kind = APPROVAL_BREAK_GLASS;
	request->approval->one.groups = CONTACT;
	snprintf(request->approval->one.to, sizeof(request->approval->one.to), "hq");
	snprintf(request->approval->one.reason, sizeof(request->approval->one.reason), "lorem");
	ask(f, request);
	assert_ok(request->result);
	put = request_new(VAULT_APPROVAL);
	put->approval = request->approval;
	put->approval->op = APPROVAL_OP_PUT;
	request->approval = NULL;
	vault_request_free(request);
	assert_ok(ask_simple(f, put));
}

/* No consent is asked, and the ledger says so before the key leaves. */
static void test_emergency(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct left left;
	json_t *all;

	unlock(f);
	record(f, OPEN_1 CONTACT_1);
	for (unsigned whole = 0; whole < 2; whole++) {
		request = grant_request(VAULT_GRANT, 3);
		snprintf(request->name, sizeof(request->name), "ZZ-ONE");
		snprintf(request->grant->to, sizeof(request->grant->to), "hq");
		request->grant->basis = GRANT_BREAK_GLASS;
		request->grant->history = true;
		if (whole) {
			request->grant->groups = CONTACT;
			snprintf(
				request->grant->until, sizeof(request->grant->until), "2026-09-24");
			buf_put_str(&request->lines,
				"{\"type\":\"BREAK_GLASS\",\"who\":\"amina\",\"case\":\"" REF_1
				"\",\"groups\":[\"contact\"],\"purpose\":\"lorem\"}\n");
		}
		if (whole)
			open_for_hq(f);
		ask(f, request);
		if (!whole) {
			assert_int_equal(request->result, ERR_INVALID);
			vault_request_free(request);
		}
	}
	assert_ok(request->result);
	append_commit(f, request);
	all = answer_json(ask(f, request_new(VAULT_LEDGER_LIST)));
	assert_int_equal(json_array_size(all), 2);
	json_decref(all);
	assert_int_equal(review(f, true), 0);
	assert_true(release(f, 3, &left));
	assert_int_equal(left.grant.basis, GRANT_BREAK_GLASS);
	assert_int_equal(left.grant.key_count, 1);
	assert_true(entries_under(f, &left.grant.keys[0], 0) > 0);
	sent(f, &left);
	mail_grant_release(&left.grant);
}

/* An auditor gets the keys of the ledger's group audit, once it has begun, and nobody else does. */
static void test_auditors(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct left left;

	prepare(f);
	chad_audits = true;
	for (unsigned begun = 0; begun < 2; begun++) {
		request = ask(f, grant_request(VAULT_GRANT_REVIEW, 3));
		assert_ok(request->result);
		if (!begun) {
			assert_null(request->entries);
			vault_request_free(request);
			give(f, "hq", false);
			continue;
		}
		append_commit(f, request);
	}
	assert_int_equal(review(f, true), 0);
	while (release(f, 3, &left)) {
		sent(f, &left);
		assert_int_equal(left.grant.basis == GRANT_LEDGER, strcmp(left.to, "chad") == 0);
		assert_int_equal(left.grant.keys[0].group,
			left.grant.basis == GRANT_LEDGER ? GROUP_AUDIT : GROUP_CONTACT);
		if (left.grant.basis == GRANT_LEDGER)
			assert_int_equal(entries_under(f, &left.grant.keys[0], 0), 2);
		mail_grant_release(&left.grant);
	}
	assert_string_equal(left.to, "chad");
	chad_audits = false;
}

static void test_refused_there(void **state)
{
	struct fixture *f = *state;
	struct left left;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &left));
	sent(f, &left);
	ended(f, &left, MAIL_REFUSED);
	check_state(f, 0, "refused");
	mail_grant_release(&left.grant);
	assert_false(release(f, 4, &left));
}

/* Somebody else's machine has the name now, and no key of the former one: once its key is
 * confirmed, all that was given is given again. A key of its own making changes nothing. */
static void test_replaced(void **state)
{
	struct fixture *f = *state;
	struct vault_request *request;
	struct left left, again;

	prepare(f);
	give(f, "hq", true);
	assert_true(release(f, 3, &left));
	sent(f, &left);
	ended(f, &left, MAIL_PROCESSED);
	for (unsigned replaced = 0; replaced < 2; replaced++) {
		request = grant_request(VAULT_GRANT_REVIEW, 3);
		request->renew = true;
		if (!replaced) {
			request->grant->recipients[0].former[0] =
				request->grant->recipients[0].node_key;
			request->grant->recipients[0].former_count = 1;
		}
		request->grant->recipients[0].node_key.b[31] = 0xee;
		ask(f, request);
		assert_ok(request->result);
		if (!replaced) {
			assert_null(request->entries);
			vault_request_free(request);
		}
	}
	append_commit(f, request);
	assert_true(release(f, 3, &again));
	assert_memory_equal(again.grant.keys[0].kid, left.grant.keys[0].kid, SEAL_KID_SIZE);
	assert_memory_not_equal(again.id, left.id, sizeof(left.id));
	mail_grant_release(&left.grant);
	mail_grant_release(&again.grant);
}

/* The keys came back, the rows did not: whom they were given stands in the ledger, and what follows
 * a withdrawal still does. */
static void test_out_of_the_ledger(void **state)
{
	struct fixture *f = *state;
	struct errctx ctx = {""};
	struct keyring *keyring;
	struct row_name name;
	struct event_id id;
	struct left left;
	uint64_t before;
	json_t *all;

	prepare(f);
	give(f, "hq", false);
	assert_true(release(f, 3, &left));
	sent(f, &left);
	memcpy(id.b, left.id, sizeof(id.b));
	given_row_name(&id, &name);
	for (unsigned withdrawn = 0; withdrawn < 2; withdrawn++) {
		struct keyring_item gone = {.value = BYTES_NONE};

		vault_end(f);
		memcpy(gone.kid, name.b, sizeof(name.b));
		assert_ok(keyring_open(f->keyring, &keyring, &ctx));
		assert_ok(keyring_update(keyring, &gone, 1, &ctx));
		keyring_close(keyring);
		vault_begin(f, "HTI");
		unlock(f);
		all = shares(f);
		assert_int_equal(json_array_size(all), 1);
		check_text(json_array_get(all, 0), "node", "hq");
		check_text(json_array_get(all, 0), "purpose", "REFERRAL");
		check_text(json_array_get(all, 0), "state", withdrawn ? "revoked" : "taken");
		json_decref(all);
		if (withdrawn)
			break;
		assert_int_equal(review(f, true), 0);
		record(f, WITHDRAWN);
		assert_int_equal(review(f, false), 1);
		before = f->log.compact.size;
		record(f, CONTACT_1);
		assert_int_equal(entries_under(f, &left.grant.keys[0], before), 0);
	}
	assert_int_equal(review(f, true), 0);
	mail_grant_release(&left.grant);
}

/* ---- taking ---- */

#define THEIR_REF "c0000000000000000000000000000007"
#define EVENT_ID  "01900000-0000-7000-8000-00000000000"

struct sender {
	struct tlog log;
	struct prekey to; /* this node's */
	uint8_t k[SEAL_KEY_SIZE];
	struct mail_grant grant;
	uint8_t letters;
};

/* chad's; one key of the group contact, of a case that is not known here. */
static void sender_init(struct fixture *f, struct sender *s)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));
	struct mail_grant *grant = &s->grant;
	struct seal_kid kid;

	assert_ok(request->result);
	*s = (struct sender){.to = request->keys->prekey, .k = {0x77}};
	vault_request_free(request);
	tlog_init_of(&s->log, 7, "chad");
	assert_ok(mail_grant_init(grant, 1));
	grant->grant_id[0] = 1;
	memset(grant->case_ref, 0, sizeof(grant->case_ref));
	grant->case_ref[0] = 0xc0;
	grant->case_ref[15] = 7;
	snprintf(grant->case_code, sizeof(grant->case_code), "ZZ-TCD-1");
	snprintf(grant->purpose, sizeof(grant->purpose), "REFERRAL");
	grant->basis = GRANT_CONSENT;
	grant->keys[0].group = GROUP_CONTACT;
	grant->keys[0].generation = 1;
	assert_ok(secret_copy(&grant->keys[0].key, BYTES_ARRAY(s->k)));
	assert_ok(seal_kid_of(BYTES_ARRAY(s->k), &kid));
	memcpy(grant->keys[0].kid, kid.b, sizeof(kid.b));
	memcpy(grant->keys[0].origin, s->log.origin.text, strlen(s->log.origin.text) + 1);
}

static void sender_release(struct sender *s)
{
	mail_grant_release(&s->grant);
	tlog_release(&s->log);
}

struct delivery {
	enum mail_class class;
	bool inactive;
	const char *sender; /* NULL: chad */
};
static uint64_t now_later_s;

static uint32_t deliver(struct fixture *f, struct sender *s, const struct delivery *how)
{
	uint8_t seed[ED25519_SEED_SIZE] = {5}, ephemeral[X25519_KEY_SIZE] = {0x60, ++s->letters};
	struct vault_request *request = request_new(VAULT_MAIL_OPEN);
	struct mail_draft draft = {
		.network = NETWORK,
		.sender = how->sender == NULL ? "chad" : how->sender,
		.recipient = NODE,
		.id = {s->letters},
		.class = how->class,
		.kind = MAIL_GRANT,
		.prekey = &s->to,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
	struct signer *node;
	struct buf content;
	uint32_t refusal;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	assert_ok(mail_grant_write(&content, &s->grant));
	draft.content = buf_bytes(&content);
	assert_ok(signer_new(BYTES_ARRAY(seed), &node));
	assert_ok(mail_write(&request->mail, &draft, node));
	signer_free(node);
	buf_wipe(&content);
	request->sender_active = !how->inactive;
	request->sender_key.b[0] = 9;
	request->now_s += now_later_s;
	ask(f, request);
	assert_ok(request->result);
	assert_int_equal(request->mail.size, 0); /* nothing for the inbox */
	refusal = request->refusal;
	assert_int_equal(request->outcome, refusal == REFUSED_NOT ? MAIL_PROCESSED : MAIL_REFUSED);
	vault_request_free(request);
	return refusal;
}

static uint32_t send(struct fixture *f, struct sender *s)
{
	return deliver(f, s, &(struct delivery){.class = MAIL_ORDINARY});
}

static size_t cases(struct fixture *f)
{
	json_t *all = answer_json(ask(f, request_new(VAULT_LIST)));
	size_t count = json_array_size(all);

	json_decref(all);
	return count;
}

/* An event at number i under their key, as an entry of their log. */
static struct buf sealed(const struct sender *s, uint64_t i, const char *line)
{
	struct seal_options options = {(const uint8_t[SEAL_RANDOM_SIZE]){1}, SEAL_PLAIN};
	struct seal_position position = {.index = i};
	struct event_parts parts;
	struct sealer *sealer;
	struct seal_key key;
	struct event event;
	struct buf entry;

	assert_ok(event_parse(bytes_str(line), &event, NULL));
	assert_ok(event_split(&event, NULL, &parts, NULL));
	event_release(&event);
	sha256(bytes_str(s->log.origin.text), &position.origin);
	assert_ok(seal_key_init(&key, BYTES_ARRAY(s->k)));
	assert_ok(sealer_new(&sealer));
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_ok(seal_write(
		sealer, &key, &position, &options, buf_bytes(&parts.part[0].packed), &entry));
	sealer_free(sealer);
	seal_key_release(&key);
	event_parts_release(&parts);
	return entry;
}

static struct buf entry_of(const struct sender *s, unsigned i, unsigned event_number)
{
	char line[600];

	snprintf(line, sizeof(line),
		"{\"type\":\"CONTACT\",\"event_id\":\"" EVENT_ID "%u\",\"case_ref\":\"" THEIR_REF
		"\",\"occurred_on\":\"2026-02-03\",\"recorded_at\":\"2026-02-03T00:00:00Z\","
		"\"recorded_by\":\"o\",\"office\":\"TCD\"," CALL "}",
		event_number);
	return sealed(s, i, line);
}

static void put_entry(struct fixture *f, struct sender *s, struct buf *entry)
{
	struct bytes view = buf_bytes(entry);

	assert_ok(bench_write(f->bench, tlog_write_entries(&s->log, &view, 1)));
	buf_release(entry);
}

static size_t events_of(struct fixture *f)
{
	json_t *all = answer_json(show(f, "ZZ-TCD-1"));
	size_t count = json_array_size(all) - 1;

	json_decref(all);
	return count;
}

static void test_taken(void **state)
{
	struct fixture *f = *state;
	struct buf first, second;
	struct sender s;
	json_t *all;

	sender_init(f, &s);
	first = entry_of(&s, 0, 0);
	second = entry_of(&s, 1, 1);
	put_entry(f, &s, &first);
	assert_int_equal(cases(f), 0);
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(cases(f), 1);
	assert_int_equal(events_of(f), 1); /* what was there already */
	put_entry(f, &s, &second);
	assert_int_equal(events_of(f), 2);
	/* Again and again, and after an unlock: the same. */
	assert_int_equal(send(f, &s), REFUSED_NOT);
	lock(f);
	unlock(f);
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(events_of(f), 2);
	all = answer_json(show(f, "ZZ-TCD-1"));
	json_t *sharer = json_array_get(json_object_get(json_array_get(all, 0), "shared_by"), 0);
	check_text(sharer, "node", "chad");
	assert_int_equal(json_array_size(json_object_get(sharer, "groups")), 1);
	assert_int_equal(json_array_size(json_object_get(sharer, "not_shared")), 9);
	json_decref(all);
	sender_release(&s);
}

/* Of a case of which nothing is there yet. */
static void test_recording_in_it(void **state)
{
	struct fixture *f = *state;
	struct left left;
	struct sender s;

	sender_init(f, &s);
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(events_of(f), 0);
	check_refused(f,
		"{\"type\":\"PROTECTION_CONCERN\",\"case\":\"ZZ-TCD-1\",\"concern_id\":\"P-1\","
		"\"kind\":\"THREAT\",\"level\":\"HIGH\",\"occurred_on\":\"2026-09-20\"}\n",
		ERR_CONSENT, 1, "was not given");
	check_refused(f,
		"{\"type\":\"CONTACT\",\"case\":\"ZZ-TCD-1\",\"occurred_on\":\"2026-09-20\"," CALL
		",\"note\":\"x\"}\n",
		ERR_CONSENT, 1, "note");
	record(f, "{\"type\":\"OFFICER_ASSIGNED\",\"case\":\"ZZ-TCD-1\",\"officer_key\":\"amina\","
		  "\"role\":\"LEAD\",\"from\":\"2026-09-20\",\"occurred_on\":\"2026-09-20\"}\n"
		  "{\"type\":\"CONTACT\",\"case\":\"ZZ-TCD-1\",\"occurred_on\":\"2026-09-20\"," CALL
		  "}\n");
	/* Its key goes back, that of the assignment does not. */
	assert_int_equal(review(f, false), 1);
	assert_int_equal(review(f, false), 0);
	assert_true(release(f, 3, &left));
	assert_string_equal(left.to, "chad");
	assert_int_equal(left.grant.basis, GRANT_REPLY);
	assert_int_equal(left.grant.key_count, 1);
	assert_int_equal(left.grant.keys[0].group, GROUP_CONTACT);
	mail_grant_release(&left.grant);
	sender_release(&s);
}

static void test_last_day_passed(void **state)
{
	struct fixture *f = *state;
	struct sender s;

	sender_init(f, &s);
	snprintf(s.grant.until, sizeof(s.grant.until), "2026-09-20"); /* yesterday */
	assert_int_equal(send(f, &s), REFUSED_ENDED);
	snprintf(s.grant.until, sizeof(s.grant.until), "2026-09-21");
	assert_int_equal(send(f, &s), REFUSED_NOT);
	sender_release(&s);
}

static void test_not_to_be_taken(void **state)
{
	struct fixture *f = *state;
	struct mail_grant_key good;
	struct sender s;

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_HQ);
	lock(f);
	sender_init(f, &s);
	good = s.grant.keys[0];
	assert_int_equal(deliver(f, &s, &(struct delivery){.inactive = true}), REFUSED_SENDER);
	assert_int_equal(deliver(f, &s, &(struct delivery){.class = MAIL_ERASURE}), REFUSED_FORM);
	/* Somebody else's keys. */
	assert_int_equal(deliver(f, &s, &(struct delivery){.sender = "cuba"}), REFUSED_KEYS);
	s.grant.keys[0].kid[0] ^= 1;
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.keys[0] = good;
	s.grant.keys[0].group = GROUP_VIEWS;
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.keys[0].group = GROUP_AUDIT; /* of a ledger: on that basis alone */
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.keys[0] = good;
	s.grant.keys[0].generation = 0; /* used once: complaints */
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.keys[0] = good;
	s.grant.basis = 0;
	assert_int_equal(send(f, &s), REFUSED_FORM);
	s.grant.basis = GRANT_REPLY; /* to what was never given */
	assert_int_equal(send(f, &s), REFUSED_CASE);
	s.grant.basis = GRANT_CONSENT;
	snprintf(s.grant.case_code, sizeof(s.grant.case_code), "\"}");
	assert_int_equal(send(f, &s), REFUSED_FORM);
	snprintf(s.grant.case_code, sizeof(s.grant.case_code), "ZZ-TCD-1");
	snprintf(s.grant.until, sizeof(s.grant.until), "tomorrow");
	assert_int_equal(send(f, &s), REFUSED_FORM);
	s.grant.until[0] = '\0';
	/* A case of this node's, which it does not share with them. */
	memcpy(s.grant.case_ref, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\x01",
		16);
	assert_int_equal(send(f, &s), REFUSED_CASE);
	assert_int_equal(cases(f), 1);
	sender_release(&s);
}

/* What was shared with them, they answer under keys of their own. */
static void test_reply_is_taken(void **state)
{
	struct fixture *f = *state;
	struct sender s;

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_HQ);
	give(f, "chad", false);
	lock(f);
	sender_init(f, &s);
	memcpy(s.grant.case_ref, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\x01",
		16);
	s.grant.basis = GRANT_REPLY;
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(cases(f), 1);
	sender_release(&s);
}

/* Nothing of this node's leaves on it. */
static void nothing_leaves(struct fixture *f, const char *to)
{
	struct left left;

	while (review(f, true) > 0)
		;
	while (release(f, 3, &left)) {
		if (strcmp(left.to, to) == 0)
			fail_msg("%zu keys leave for %s", left.grant.key_count, to);
		sent(f, &left);
		mail_grant_release(&left.grant);
	}
}

/* Whoever was given a part sends keys of its own making, as if it were the one who shares: it is
 * not answered with those of the groups that it names, and not once all was withdrawn. */
static void test_reply_is_not_asked_for(void **state)
{
	struct fixture *f = *state;
	struct left left;
	struct sender s;

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_HQ);
	give(f, "chad", false);
	assert_true(release(f, 3, &left));
	sent(f, &left);
	mail_grant_release(&left.grant);
	lock(f);
	sender_init(f, &s);
	memcpy(s.grant.case_ref, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\x01",
		16);
	s.grant.keys[0].group = GROUP_CORE;
	(void)send(f, &s);
	nothing_leaves(f, "chad");
	assert_int_equal(send(f, &s), REFUSED_CASE);
	sender_release(&s);
}

/* Of a case of somebody else's what is recorded here goes to them, and to nobody who comes later
 * and says that it is theirs. */
static void test_reply_goes_home(void **state)
{
	struct fixture *f = *state;
	struct mail_grant_key *key;
	struct sender s, other;
	struct seal_kid kid;
	struct left left;

	sender_init(f, &s);
	assert_int_equal(send(f, &s), REFUSED_NOT);
	record(f, "{\"type\":\"CONTACT\",\"case\":\"ZZ-TCD-1\",\"occurred_on\":\"2026-09-20\"," CALL
		  "}\n");
	while (review(f, true) > 0)
		;
	assert_true(release(f, 3, &left));
	assert_string_equal(left.to, "chad");
	sent(f, &left);
	mail_grant_release(&left.grant);
	lock(f);
	sender_init(f, &other);
	tlog_release(&other.log);
	tlog_init_of(&other.log, 8, "hq");
	other.letters = 100;
	key = &other.grant.keys[0];
	secret_release(&key->key);
	other.k[0] = 0x79;
	assert_ok(secret_copy(&key->key, BYTES_ARRAY(other.k)));
	assert_ok(seal_kid_of(BYTES_ARRAY(other.k), &kid));
	memcpy(key->kid, kid.b, sizeof(kid.b));
	memcpy(key->origin, other.log.origin.text, strlen(other.log.origin.text) + 1);
	now_later_s = 60;
	assert_int_equal(
		deliver(f, &other, &(struct delivery){.class = MAIL_ORDINARY, .sender = "hq"}),
		REFUSED_NOT);
	now_later_s = 0;
	nothing_leaves(f, "hq");
	sender_release(&other);
	sender_release(&s);
}

/* Whoever was given the case does not consent in the victim's place: neither to more, nor past the
 * withdrawal. */
static void test_forged_consent(void **state)
{
	static const char consent[] =
		"{\"type\":\"CONSENT_RECORDED\",\"event_id\":\"" EVENT_ID
		"9\",\"case_ref\":\"" REF_1
		"\",\"occurred_on\":\"2026-02-05\",\"recorded_at\":\"2026-02-05T00:00:00Z\","
		"\"recorded_by\":\"o\",\"office\":\"TCD\",\"consent_id\":\"C-7\","
		"\"purpose\":\"REFERRAL\",\"recipients\":[\"chad\"],\"groups\":[\"contact\","
		"\"health\"],\"given_by\":\"VICTIM\",\"form\":\"WRITTEN\","
		"\"valid_from\":\"2026-02-05\",\"valid_until\":\"2030-01-01\"}";
	struct fixture *f = *state;
	struct sender s;
	struct buf entry;
	json_t *all;

	unlock(f);
	record(f, OPEN_1 AGREED_1 TO_HQ);
	give(f, "chad", false);
	lock(f);
	sender_init(f, &s);
	memcpy(s.grant.case_ref, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\x01",
		16);
	s.grant.basis = GRANT_REPLY;
	s.grant.keys[0].group = GROUP_CONSENT;
	assert_int_equal(send(f, &s), REFUSED_NOT);
	entry = sealed(&s, 0, consent);
	put_entry(f, &s, &entry);
	all = answer_json(show(f, "ZZ-ONE"));
	assert_int_equal(json_array_size(all), 5); /* it is seen */
	json_decref(all);
	refuses(f, &(struct wish){"chad", "REFERRAL", NULL, GROUP_BIT(GROUP_HEALTH), false},
		ERR_CONSENT, "health");
	record(f, WITHDRAWN);
	assert_true(review(f, false) > 0);
	check_state(f, 0, "revoked");
	refuses(f, &(struct wish){"chad", "REFERRAL", NULL, CONTACT, false}, ERR_CONSENT,
		"was withdrawn");
	sender_release(&s);
}

/* Known as something else. */
static void test_changed_grants(void **state)
{
	struct fixture *f = *state;
	uint8_t other[SEAL_KEY_SIZE] = {0x78};
	struct seal_kid kid;
	struct sender s;

	sender_init(f, &s);
	assert_int_equal(send(f, &s), REFUSED_NOT);
	s.grant.case_ref[15] = 8; /* the same key, of another case */
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.grant_id[0] = 2;
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.case_ref[15] = 7;
	s.grant.keys[0].group = GROUP_CORE; /* .. of another group */
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.keys[0].group = GROUP_CONTACT;
	assert_int_equal(send(f, &s), REFUSED_NOT); /* the same key in another grant */
	/* Another key under the id of a grant that is here. */
	secret_release(&s.grant.keys[0].key);
	assert_ok(secret_copy(&s.grant.keys[0].key, BYTES_ARRAY(other)));
	assert_ok(seal_kid_of(BYTES_ARRAY(other), &kid));
	memcpy(s.grant.keys[0].kid, kid.b, sizeof(kid.b));
	assert_int_equal(send(f, &s), REFUSED_KEYS);
	s.grant.grant_id[0] = 3;
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(cases(f), 1);
	sender_release(&s);
}

static int kid_compare(const void *a, const void *b)
{
	const struct mail_grant_key *x = a, *y = b;

	return memcmp(x->kid, y->kid, sizeof(x->kid));
}

/* More keys than are looked for one by one: what comes is found all the same, whatever its key and
 * its number. */
static void test_many_keys(void **state)
{
	enum { KEYS = 200 };
	static const unsigned of[] = {0, 199, 0, 7, 199, 0, 64};
	unsigned numbers[KEYS] = {0};
	struct fixture *f = *state;
	struct mail_grant many;
	struct sender s;

	sender_init(f, &s);
	assert_ok(mail_grant_init(&many, KEYS));
	for (unsigned n = 0; n < KEYS; n++) {
		struct mail_grant_key *key = &many.keys[n];
		struct seal_kid kid;

		*key = s.grant.keys[0];
		key->key = (struct secret){0};
		key->generation = n + 1;
		s.k[1] = (uint8_t)n;
		assert_ok(secret_copy(&key->key, BYTES_ARRAY(s.k)));
		assert_ok(seal_kid_of(BYTES_ARRAY(s.k), &kid));
		memcpy(key->kid, kid.b, sizeof(kid.b));
	}
	qsort(many.keys, KEYS, sizeof(*many.keys), kid_compare);
	secret_release(&s.grant.keys[0].key);
	mem_free(s.grant.keys);
	s.grant.keys = many.keys;
	s.grant.key_count = KEYS;
	assert_int_equal(send(f, &s), REFUSED_NOT);
	assert_int_equal(events_of(f), 0);
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		struct buf entry;

		s.k[1] = (uint8_t)of[i];
		entry = entry_of(&s, numbers[of[i]]++, (unsigned)i);
		put_entry(f, &s, &entry);
		assert_int_equal(events_of(f), i + 1);
	}
	lock(f);
	unlock(f);
	assert_int_equal(events_of(f), sizeof(of) / sizeof(of[0]));
	sender_release(&s);
}

/* ---- caps ---- */

/* As many generations as one grant may have, and one more. */
static void test_keys_of_one(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	for (unsigned n = 1; n < LIMIT_GRANT_KEYS_MADE; n++) {
		give(f, "hq", false);
		record(f, CONTACT_1);
	}
	give(f, "hq", true); /* with all of them */
	give(f, "hq", false);
	record(f, CONTACT_1);
	refuses(f, &(struct wish){"hq", "REFERRAL", NULL, CONTACT, true}, ERR_LIMIT,
		"share fewer groups");
}

static void given_number(unsigned n, struct given *ret)
{
	assert_ok(given_init(ret, 1));
	put_u32be(ret->id.b, n);
	put_u32be(ret->case_ref.b, n % 1000);
}

static void received_number(unsigned n, const char *sender, struct received *ret)
{
	assert_ok(received_init(ret, 1));
	put_u32be(ret->id.b, n);
	put_u32be(ret->case_ref.b, n % 1000);
	snprintf(ret->sender, sizeof(ret->sender), "%s", sender);
}

/* More cases than are named are all of them. */
static void test_touched(void **state)
{
	struct book *book = mem_zalloc(sizeof(*book));
	struct casebook_options options = {.node = NODE};
	size_t seen = 0;

	assert_non_null(book);
	assert_ok(grants_new(&book->grants));
	assert_ok(ledger_new(0, &book->ledger));
	assert_ok(casebook_new(&options, &book->cases));
	for (unsigned n = 0; n <= LIMIT_GRANTS_TOUCHED; n++) {
		struct keyring_entry entry = {.group = GROUP_CONTACT, .generation = 1};
		struct given given;

		given_number(n, &given);
		entry.case_ref = given.case_ref;
		memcpy(entry.author, NODE, sizeof(NODE));
		assert_ok(secret_random(&entry.key, SEAL_KEY_SIZE));
		assert_ok(casebook_add_key(book->cases, &entry, NULL));
		keyring_entry_release(&entry);
		assert_ok(grants_add_given(book, &given));
	}
	while (grants_next_touched(book) != NULL) /* all, at the beginning */
		seen++;
	assert_int_equal(seen, LIMIT_GRANTS_TOUCHED + 1);
	assert_false(grants_due(book));
	for (unsigned n = 0; n <= LIMIT_GRANTS_TOUCHED; n++) {
		for (unsigned again = 0; again < 2; again++)
			grants_touch(book, casebook_case_at(book->cases, n));
		if (n + 1 != 5 && n != LIMIT_GRANTS_TOUCHED)
			continue;
		for (seen = 0; grants_next_touched(book) != NULL; seen++)
			;
		assert_int_equal(seen, n == 4 ? 5 : LIMIT_GRANTS_TOUCHED - 4);
	}
	for (unsigned n = 0; n <= LIMIT_GRANTS_TOUCHED; n++)
		grants_touch(book, casebook_case_at(book->cases, n));
	for (seen = 0; grants_next_touched(book) != NULL; seen++)
		;
	assert_int_equal(seen, LIMIT_GRANTS_TOUCHED + 1);
	grants_free(book->grants);
	ledger_free(book->ledger);
	casebook_free(book->cases);
	mem_free(book);
}

static void test_remembered(void **state)
{
	struct book *book = mem_zalloc(sizeof(*book));
	const struct received *at = NULL;
	struct case_ref ref = {{0}};
	struct received received;
	struct given given;
	size_t count = 0;

	assert_non_null(book);
	assert_ok(grants_new(&book->grants));
	for (unsigned n = 0; n < LIMIT_GRANTS; n++) {
		given_number(n, &given);
		assert_ok(grants_add_given(book, &given));
		if (n == LIMIT_GRANTS_SENDER - 1 || n == LIMIT_GRANTS_SENDER) {
			assert_int_equal(grants_room(book, "chad"), n < LIMIT_GRANTS_SENDER);
			assert_true(grants_room(book, "cuba"));
		}
		received_number(n, n < LIMIT_GRANTS_SENDER ? "chad" : "other", &received);
		assert_ok(grants_add_received(book, &received));
	}
	assert_false(grants_room(book, "cuba"));
	given_number(LIMIT_GRANTS, &given);
	assert_int_equal(grants_add_given(book, &given), ERR_FULL);
	given_release(&given);
	received_number(LIMIT_GRANTS, "cuba", &received);
	assert_int_equal(grants_add_received(book, &received), ERR_FULL);
	received_release(&received);
	/* Those of one case, and each of them by its name. */
	while ((at = grants_received_of(book, &ref, at)) != NULL)
		count++;
	assert_int_equal(count, LIMIT_GRANTS / 1000 + 1);
	assert_non_null(grants_find(book, (uint8_t[16]){0, 0, 0, 7}));
	grants_free(book->grants);
	mem_free(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_what_is_covered),
		TEST(test_ledger_first),
		TEST(test_from_now_on),
		TEST(test_withdrawn_before_it_left),
		TEST(test_withdrawn_and_killed),
		TEST(test_withdrawal_rolls),
		TEST(test_others_hear_of_it),
		TEST(test_last_day),
		TEST(test_interrupted),
		TEST(test_given_up),
		TEST(test_not_opened),
		TEST(test_emergency),
		TEST(test_auditors),
		TEST(test_refused_there),
		TEST(test_replaced),
		TEST(test_out_of_the_ledger),
		TEST(test_taken),
		TEST(test_recording_in_it),
		TEST(test_last_day_passed),
		TEST(test_not_to_be_taken),
		TEST(test_reply_is_taken),
		TEST(test_reply_is_not_asked_for),
		TEST(test_reply_goes_home),
		TEST(test_forged_consent),
		TEST(test_changed_grants),
		TEST(test_many_keys),
		TEST(test_keys_of_one),
		TEST(test_touched),
		cmocka_unit_test(test_remembered),
		TEST(test_another_consent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
