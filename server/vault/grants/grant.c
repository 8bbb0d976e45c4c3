/* A grant that an officer asks for; and letting grants go. */
#include <jansson.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "cases/event/json_memory.h"
#include "certs/mail_grant.h"
#include "replication/log/tree.h"
#include "server/vault/erase/erase.h"
#include "server/vault/grants/approvals.h"
#include "server/vault/grants/grant_parts.h"

enum { LINES_MAX = 256 * 1024 };

/* ---- changes ---- */

enum err change_init(struct change *c, struct book *book, struct vault_request *request)
{
	*c = (struct change){.book = book, .request = request};
	buf_init(&c->lines, LINES_MAX);
	request_today(request, c->today);
	return OK;
}

void change_release(struct change *c)
{
	roll_release(&c->roll);
	for (size_t i = 0; i < c->made_count; i++)
		given_release(&c->made[i]);
	buf_wipe(&c->lines);
}

enum err change_id(struct change *c, struct event_id *ret)
{
	uint8_t random[10];

	do {
		TRY(pool_draw(&c->book->pool, random, sizeof(random)));
		*ret = event_id_make(c->request->now_ms, random);
	} while (casebook_find_event(c->book->cases, ret, NULL) ||
		 grants_find(c->book, ret->b) != NULL);
	return OK;
}

enum err change_begin_grant(
	struct change *c, const struct casebook_case *kase, size_t keys, struct given *ret)
{
	enum err err = given_init(ret, keys);

	if (err == OK)
		err = change_id(c, &ret->id);
	if (err == OK)
		err = random_bytes(ret->nonce, sizeof(ret->nonce));
	if (err != OK) {
		given_release(ret);
		return err;
	}
	ret->case_ref = kase->ref;
	ret->state = GIVEN_MADE;
	ret->made_at = c->request->now_s;
	return OK;
}

static enum err write_rows(struct change *c, struct buf *wrapped)
{
	struct keyring_item items[GROUP_LAST + 2 * CHANGE_GRANTS_MAX];
	size_t count = c->roll.count;

	TRY(roll_wrap(c->book, &c->roll, wrapped, items));
	for (size_t i = 0; i < c->made_count; i++)
		TRY(grants_wrap_given(c->book, &c->made[i], wrapped, &items[count++]));
	for (size_t i = 0; i < c->changed_count; i++)
		TRY(grants_wrap_given(c->book, &c->after[i], wrapped, &items[count++]));
	return keyring_update(c->book->opts.keyring, items, count, &c->request->ctx);
}

enum err change_write(struct change *c)
{
	size_t count = c->roll.count + c->made_count + c->changed_count;
	CLEANUP(buf_release) struct buf wrapped;

	buf_init(&wrapped, count * KEYRING_VALUE_MAX);
	if (count > 0 && buf_reserve(&wrapped, count * KEYRING_VALUE_MAX) == NULL)
		return wrapped.err; /* views stay valid */
	if (count > 0)
		TRY(write_rows(c, &wrapped));
	TRY(roll_use(c->book, &c->roll));
	for (size_t i = 0; i < c->changed_count; i++)
		*c->changed[i] = c->after[i];
	for (size_t i = 0; i < c->made_count; i++)
		TRY(grants_add_given(c->book, &c->made[i]));
	return OK;
}

enum err change_plan(struct change *c, struct plan *ret)
{
	TRY(c->lines.err);
	return ledger_plan_own(c->book, c->request, buf_bytes(&c->lines), ret);
}

/* ---- what the ledger says ---- */

static json_t *groups_json(group_set groups)
{
	json_t *list = json_array();

	for (unsigned g = 1; g <= GROUP_LAST; g++)
		if ((groups & GROUP_BIT(g)) != 0)
			json_array_append_new(list, json_string(group_name((enum group)g)));
	return list;
}

static json_t *hex_json(struct bytes bytes)
{
	char text[2 * HASH_SIZE + 1];

	hex_encode(bytes, text);
	return json_string(text);
}

static json_t *kids_json(const struct given *given)
{
	json_t *list = json_array();

	for (size_t i = 0; i < given->key_count; i++)
		json_array_append_new(list, hex_json(BYTES_ARRAY(given->keys[i].kid.b)));
	return list;
}

static enum err say(struct change *c, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		return ERR_NOMEM;
	buf_put_str(&c->lines, text);
	buf_put_u8(&c->lines, '\n');
	json_text_free(text);
	return c->lines.err;
}

static void put_optional(const struct given *given, json_t *json)
{
	char consent[EVENT_ID_TEXT + 1];

	if (given->has_consent) {
		event_id_text(&given->consent, consent);
		json_object_set_new(json, "consent_ref", json_string(consent));
	}
	if (given->consent_origin[0] != '\0')
		json_object_set_new(
			json, "consent_leaf", hex_json(hash_bytes(&given->consent_leaf)));
	if (given->until[0] != '\0')
		json_object_set_new(json, "until", json_string(given->until));
	if (given->purpose[0] != '\0')
		json_object_set_new(json, "purpose", json_string(given->purpose));
}

enum err change_say_granted(struct change *c, const struct given *given)
{
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1], opening[APPROVAL_ID_TEXT + 1];
	struct hash commitment;
	json_t *json;

	TRY(given_commitment(given, &commitment));
	event_id_text(&given->id, id);
	case_ref_text(&given->case_ref, ref);
	json = json_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:s,s:o,s:o,s:o}", "type", "ACCESS_GRANTED",
		"event_id", id, "case", ref, "recipient", given->recipient, "groups",
		groups_json(given->groups), "basis", grant_basis_name(given->basis), "history",
		given->history ? "Y" : "N", "commitment", hex_json(hash_bytes(&commitment)),
		"nonce", hex_json(BYTES_ARRAY(given->nonce)), "key_ids", kids_json(given));
	if (json != NULL)
		put_optional(given, json);
	if (json != NULL && given->basis == GRANT_BREAK_GLASS &&
		approvals_opening(c->book, given, opening))
		json_object_set_new(json, "mandate_ref", json_string(opening));
	return say(c, json);
}

enum err change_say_revoked(struct change *c, const struct given *given)
{
	static const char *const reasons[] = {"", "WITHDRAWN", "ENDED", "STOPPED"};
	char id[EVENT_ID_TEXT + 1], grant[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1];

	event_id_text(&given->revocation, id);
	event_id_text(&given->id, grant);
	case_ref_text(&given->case_ref, ref);
	return say(c, json_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:s}", "type", "ACCESS_REVOKED",
			      "event_id", id, "case", ref, "recipient", given->recipient, "groups",
			      groups_json(given->groups), "grant", grant, "reason",
			      reasons[given->revoked_for]));
}

/* ---- on what it rests ---- */

const struct vault_recipient *grant_recipient_find(
	const struct vault_request *request, const char *node)
{
	const struct vault_grant *grant = request->grant;

	for (size_t i = 0; i < grant->recipient_count; i++)
		if (strcmp(grant->recipients[i].node, node) == 0)
			return &grant->recipients[i];
	return NULL;
}

bool grant_home(const struct book *book, const struct casebook_case *kase, const char *node)
{
	const struct received *received = NULL;
	uint64_t first = UINT64_MAX, its = UINT64_MAX;

	if (kase == NULL || (kase->code[0] != '\0' && !kase->opened_foreign))
		return false;
	while ((received = grants_received_of(book, &kase->ref, received)) != NULL) {
		if (received->basis == GRANT_REPLY || received->basis == GRANT_LEDGER)
			continue;
		if (received->received_at < first)
			first = received->received_at;
		if (strcmp(received->sender, node) == 0 && received->received_at < its)
			its = received->received_at;
	}
	return its != UINT64_MAX && its == first;
}

static bool reply_holds(const struct book *book, const struct given *given, const char *today)
{
	const struct received *received = NULL;
	group_set groups = 0;

	if (!grant_home(book, casebook_find_ref(book->cases, &given->case_ref), given->recipient))
		return false;
	while ((received = grants_received_of(book, &given->case_ref, received)) != NULL)
		if (strcmp(received->sender, given->recipient) == 0 &&
			received->basis != GRANT_REPLY && received_in_force(received, today))
			groups |= grants_held(book, received);
	return (given->groups & ~groups) == 0;
}

bool grant_counts(const void *arg, const struct event_id *event)
{
	const struct grant_office *office = arg;
	const struct casebook_case *kase = office->kase;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		if (key->group != GROUP_CONSENT ||
			(key->foreign && !grant_home(office->book, kase, key->author)))
			continue;
		for (uint32_t i = 0; i < key->entry_count; i++)
			if (memcmp(casebook_entry_event(office->book->cases, &key->entries[i])->b,
				    event->b, EVENT_ID_SIZE) == 0)
				return true;
	}
	return false;
}

bool grant_holds(const struct book *book, const struct case_state *state, const struct given *given,
	const struct vault_recipient *to, const char *today, uint64_t now_s)
{
	struct grant_office office = {book, casebook_find_ref(book->cases, &given->case_ref)};
	struct grant_cover cover;
	struct grant_ask ask = {
		.purpose = given->purpose,
		.to = {to->node, to->country, NULL},
		.groups = given->groups,
		.day = today,
		.counts = grant_counts,
		.arg = &office,
	};

	if (given->until[0] != '\0' && strcmp(today, given->until) > 0)
		return false;
	if (given->basis == GRANT_LEDGER)
		return to->auditor;
	if (given->basis == GRANT_REPLY)
		return reply_holds(book, given, today);
	if (given->basis == GRANT_BREAK_GLASS)
		return approvals_hold(book, &given->case_ref, to->node, given->groups, now_s);
	if (given->basis != GRANT_CONSENT)
		return true; /* whoever gave it sees to its end */
	if (state == NULL || office.kase == NULL)
		return false;
	grant_covered(state, &ask, &cover);
	return cover.covered;
}

static enum err cite_entry(struct book *book, const struct casebook_entry *entry,
	struct given *given, struct errctx *ctx)
{
	const struct book_log *log = book_log_at(book, entry->log);

	buf_clear(&book->entry);
	TRY(store_entry(
		book->opts.store, &log->origin, casebook_entry_index(entry), &book->entry, ctx));
	tree_leaf(buf_bytes(&book->entry), &given->consent_leaf);
	snprintf(given->consent_origin, sizeof(given->consent_origin), "%.*s", LIMIT_ORIGIN,
		log->origin.text);
	given->consent_index = casebook_entry_index(entry);
	return OK;
}

/* In the log that is written now rather than in an older one. */
enum err grant_cite(struct book *book, const struct casebook_case *kase,
	const struct event_id *consent, struct given *given, struct errctx *ctx)
{
	const struct casebook_entry *found = NULL;

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		for (uint32_t i = 0; key->group == GROUP_CONSENT && i < key->entry_committed; i++) {
			const struct casebook_entry *e = &key->entries[i];

			if (memcmp(casebook_entry_event(book->cases, e)->b, consent->b,
				    EVENT_ID_SIZE) == 0 &&
				(found == NULL || e->log < found->log))
				found = e;
		}
	if (found == NULL)
		return err_set(ctx, ERR_NOTFOUND, "the entry of the consent is not in the log yet");
	given->has_consent = true;
	given->consent = *consent;
	return cite_entry(book, found, given, ctx);
}

/* ---- making one ---- */

struct making {
	struct change change;
	const struct casebook_case *kase;
	const struct case_state *state;
	const struct vault_recipient *to;
	struct grant_cover cover;
};

static bool is_own(const struct book *book, const struct casebook_key *key)
{
	return !key->foreign && strcmp(key->author, book->opts.node) == 0;
}

/* A key under which nothing stands, and that nobody was given, is as good as a new one. */
static bool is_fresh(const struct book *book, const struct casebook_key *key)
{
	const struct given *given = NULL;

	if (key->entry_count > 0)
		return false;
	while ((given = grants_given_of(book, &key->owner->ref, given)) != NULL)
		if (given_has(given, &key->seal.kid))
			return false;
	return true;
}

/* From now on: keys under which nothing stands yet. With the past: a key where there is none. */
static group_set groups_to_roll(const struct making *m)
{
	const struct book *book = m->change.book;
	group_set groups = 0;

	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++) {
		const struct casebook_key *newest =
			casebook_find_key(m->kase, (enum group)g, bytes_str(book->opts.node));

		if ((m->cover.groups & GROUP_BIT(g)) != 0 &&
			(newest == NULL ||
				(!m->change.request->grant->history && !is_fresh(book, newest))))
			groups |= GROUP_BIT(g);
	}
	return groups;
}

/* Of the keys that are there already, those that go along. */
static bool goes_along(const struct making *m, group_set rolled, const struct casebook_key *key)
{
	const struct book *book = m->change.book;

	if (!is_own(book, key) || (m->cover.groups & GROUP_BIT(key->group)) == 0)
		return false;
	if (m->change.request->grant->history)
		return true;
	return (rolled & GROUP_BIT(key->group)) == 0 &&
	       casebook_find_key(m->kase, key->group, bytes_str(book->opts.node)) == key;
}

static enum err take_keys(struct making *m, group_set rolled, struct given *given)
{
	const struct roll *roll = &m->change.roll;
	size_t n = 0;

	for (size_t i = 0; i < roll->count; i++, n++) {
		given->keys[n].group = roll->entries[i].group;
		TRY(seal_kid_of(secret_bytes(&roll->entries[i].key), &given->keys[n].kid));
	}
	for (const struct casebook_key *key = m->kase->keys; key != NULL; key = key->next)
		if (goes_along(m, rolled, key))
			given->keys[n++] = (struct given_key){key->seal.kid, key->group, 0};
	given_sort(given);
	return OK;
}

static enum err count_keys(const struct making *m, group_set rolled, size_t *ret)
{
	size_t count = m->change.roll.count;

	for (const struct casebook_key *key = m->kase->keys; key != NULL; key = key->next)
		count += goes_along(m, rolled, key);
	if (count > LIMIT_GRANT_KEYS_MADE)
		return err_set(&m->change.request->ctx, ERR_LIMIT,
			"these groups have %zu keys by now, and one grant holds %d: share fewer "
			"groups at a time",
			count, LIMIT_GRANT_KEYS_MADE);
	*ret = count;
	return OK;
}

static void fill(const struct making *m, struct given *given)
{
	const struct vault_grant *grant = m->change.request->grant;

	memcpy(given->recipient, m->to->node, sizeof(given->recipient));
	given->node_key = m->to->node_key;
	memcpy(given->purpose, grant->purpose, sizeof(given->purpose));
	given->basis = grant->basis == 0 ? GRANT_CONSENT : grant->basis;
	given->groups = m->cover.groups;
	given->history = grant->history;
	memcpy(given->until, m->cover.until, sizeof(given->until));
	if (grant->until[0] != '\0' &&
		(given->until[0] == '\0' || strcmp(grant->until, given->until) < 0))
		memcpy(given->until, grant->until, sizeof(given->until));
}

static enum err make_given(struct making *m)
{
	struct change *c = &m->change;
	group_set rolled = groups_to_roll(m);
	struct given *given = &c->made[0];
	size_t keys = 0;

	TRY(roll_make(c->book, m->kase, rolled, &c->roll, &c->request->ctx));
	TRY(count_keys(m, rolled, &keys));
	TRY(change_begin_grant(c, m->kase, keys, given));
	c->made_count = 1;
	fill(m, given);
	TRY(take_keys(m, rolled, given));
	if (given->basis == GRANT_CONSENT)
		TRY(grant_cite(c->book, m->kase, &m->cover.event, given, &c->request->ctx));
	return change_say_granted(c, given);
}

/* Without asking a consent: an opening that stands in the ledger (approvals.h). */
static enum err judge_emergency(struct making *m)
{
	struct vault_request *request = m->change.request;
	const struct vault_grant *grant = request->grant;
	group_set groups = grant->groups & GROUP_SET_CASE;

	if (grant->basis != GRANT_BREAK_GLASS)
		return err_set(&request->ctx, ERR_INVALID,
			"a grant on no basis that an officer can give it");
	if (grant->until[0] == '\0' || groups == 0)
		return err_set(
			&request->ctx, ERR_INVALID, "data groups and a last day must be said");
	if (!approvals_hold(m->change.book, &m->kase->ref, m->to->node, groups, request->now_s))
		return err_set(
			&request->ctx, ERR_CONSENT, "nothing of this was opened for that node");
	m->cover.groups = groups;
	return OK;
}

static enum err judge(struct making *m)
{
	struct vault_request *request = m->change.request;
	struct vault_grant *grant = request->grant;
	struct grant_office office = {m->change.book, m->kase};
	struct grant_ask ask = {
		.purpose = grant->purpose,
		.groups = grant->groups,
		.day = m->change.today,
		.counts = grant_counts,
		.arg = &office,
	};

	m->to = grant_recipient_find(request, grant->to);
	if (m->to == NULL)
		return err_set(
			&request->ctx, ERR_NOTFOUND, "no node of that name is in the directory");
	if (grant->until[0] != '\0' && strcmp(grant->until, m->change.today) < 0)
		return err_set(&request->ctx, ERR_INVALID, "--until: %s has passed", grant->until);
	if (grant->basis != 0 && grant->basis != GRANT_CONSENT)
		return judge_emergency(m);
	ask.to = (struct grant_recipient){m->to->node, m->to->country, NULL};
	TRY(grant_check(m->state, &ask, &m->cover, &request->ctx));
	m->cover.groups &= GROUP_SET_CASE;
	if (m->cover.groups == 0)
		return err_set(&request->ctx, ERR_INVALID, "--groups: none of a case");
	return OK;
}

static void tell(const struct making *m, const struct given *given)
{
	struct vault_grant *grant = m->change.request->grant;

	memcpy(grant->id, given->id.b, sizeof(grant->id));
	event_id_text(&given->id, grant->event_id);
	if (given->has_consent)
		event_id_text(&given->consent, grant->consent);
	memcpy(grant->until, given->until, sizeof(grant->until));
	grant->groups = given->groups;
	grant->keys = given->key_count;
}

enum err grant_make(struct book *book, struct vault_request *request, struct plan *ret)
{
	struct making *m = mem_zalloc(sizeof(*m));
	enum err err;

	if (m == NULL)
		return ERR_NOMEM;
	err = change_init(&m->change, book, request);
	buf_put(&m->change.lines, buf_bytes(&request->lines));
	if (err == OK)
		err = case_named(book, request, &m->kase, &m->state);
	if (err == OK)
		err = judge(m);
	if (err == OK)
		err = make_given(m);
	if (err == OK)
		tell(m, &m->change.made[0]);
	if (err == OK && (err = change_write(&m->change)) != OK)
		request->trouble = keyring_trouble(book->opts.keyring);
	if (err == OK)
		err = change_plan(&m->change, ret);
	if (err == OK)
		grants_touch(book, m->kase); /* others, who have to hear of the new keys */
	change_release(&m->change);
	wipe(m, sizeof(*m));
	mem_free(m);
	return err;
}

/* ---- letting go ---- */

/* It is in the ledger, durable. */
static bool is_said(const struct book *book, const struct given *given)
{
	struct casebook_event_info info;

	return casebook_find_event(book->cases, &given->id, &info) && info.committed;
}

/* Sealed before, and not opened: only another prekey helps. */
static bool has_new_prekey(const struct given *given, const struct vault_recipient *to)
{
	if (!given->mailed || given->prekey_count == 0)
		return true;
	return given->prekeys[given->prekey_count - 1] != to->prekey.number &&
	       given->prekey_count < LIMIT_GRANT_PREKEYS;
}

static const struct casebook_key *key_of(
	const struct book *book, const struct casebook_case *kase, const struct seal_kid *kid)
{
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		if (is_own(book, key) && memcmp(key->seal.kid.b, kid->b, SEAL_KID_SIZE) == 0)
			return key;
	return NULL;
}

static enum err content_keys(const struct book *book, const struct casebook_case *kase,
	const struct given *given, struct mail_grant *content)
{
	for (size_t i = 0; i < given->key_count; i++) {
		const struct casebook_key *key = key_of(book, kase, &given->keys[i].kid);
		struct mail_grant_key *to = &content->keys[i];

		if (key == NULL)
			return ERR_NOTFOUND; /* erased meanwhile */
		to->group = key->group;
		to->generation = key->generation;
		to->first = given->keys[i].first;
		memcpy(to->kid, key->seal.kid.b, sizeof(to->kid));
		memcpy(to->origin, book->logs[BOOK_OWN_LOG].origin.text, sizeof(to->origin));
		TRY(secret_copy(&to->key, seal_key_bytes(&key->seal)));
	}
	return OK;
}

static enum err content_make(const struct book *book, const struct casebook_case *kase,
	const struct given *given, struct mail_grant *ret)
{
	TRY(mail_grant_init(ret, given->key_count));
	memcpy(ret->grant_id, given->id.b, sizeof(ret->grant_id));
	memcpy(ret->case_ref, given->case_ref.b, sizeof(ret->case_ref));
	memcpy(ret->nonce, given->nonce, sizeof(ret->nonce));
	memcpy(ret->case_code, kase->code, strlen(kase->code) + 1);
	memcpy(ret->opened_on, kase->opened_on, strlen(kase->opened_on) + 1);
	memcpy(ret->purpose, given->purpose, strlen(given->purpose) + 1);
	memcpy(ret->until, given->until, strlen(given->until) + 1);
	memcpy(ret->consent_origin, given->consent_origin, strlen(given->consent_origin) + 1);
	ret->basis = given->basis;
	ret->consent_leaf = given->consent_leaf;
	ret->consent_index = given->consent_index;
	return content_keys(book, kase, given, ret);
}

static enum err seal(struct book *book, const struct given *given, const struct vault_recipient *to,
	struct vault_request *request)
{
	const struct casebook_case *kase = casebook_find_ref(book->cases, &given->case_ref);
	CLEANUP(mail_grant_release) struct mail_grant content = {.keys = NULL};
	CLEANUP(secret_release) struct secret ephemeral = {0};
	CLEANUP(buf_wipe) struct buf packed;
	struct mail_draft draft = {
		.network = book->opts.network,
		.sender = book->opts.node,
		.recipient = to->node,
		.kind = MAIL_GRANT,
		.made_at = request->now_s,
		.prekey = &to->prekey,
	};

	buf_init(&packed, LIMIT_MAIL_CONTENT);
	if (buf_reserve(&packed, LIMIT_MAIL_CONTENT) == NULL)
		return packed.err;
	if (kase == NULL)
		return ERR_NOTFOUND;
	TRY(content_make(book, kase, given, &content));
	TRY(mail_grant_write(&packed, &content));
	TRY(pool_draw(&book->pool, draft.id, sizeof(draft.id)));
	TRY(secret_random(&ephemeral, X25519_KEY_SIZE));
	draft.content = buf_bytes(&packed);
	draft.ephemeral = secret_bytes(&ephemeral);
	return mail_body_write(&request->mail, &draft);
}

/* To which prekey it goes is durable before it does: an erasure asks for it. */
static enum err note_prekey(struct book *book, struct given *given,
	const struct vault_recipient *to, struct vault_request *request)
{
	uint64_t number = to->prekey.number;
	struct given after = *given;
	enum err err;

	after.node_key = to->node_key;
	if (after.prekey_count > 0 && after.prekeys[after.prekey_count - 1] == number)
		return OK;
	if (after.prekey_count == LIMIT_GRANT_PREKEYS)
		return ERR_LIMIT;
	after.prekeys[after.prekey_count++] = number;
	err = grants_save(book, &after, &request->ctx);
	if (err != OK) {
		request->trouble = keyring_trouble(book->opts.keyring);
		return err;
	}
	*given = after;
	return OK;
}

/* Judged once more, as of now. What does not hold is left to the review. */
static bool may_leave(struct book *book, const struct given *given,
	const struct vault_recipient *to, struct vault_request *request)
{
	struct casebook_case *kase = casebook_find_ref(book->cases, &given->case_ref);
	const struct case_state *state = NULL;
	struct errctx ctx = {""};
	char today[11];

	if (kase == NULL)
		return false;
	request_today(request, today);
	if (kase->event_count > 0 && states_get(book, kase, &state, &ctx) != OK)
		return false;
	if (grant_holds(book, state, given, to, today, request->now_s))
		return true;
	grants_touch(book, kase);
	return false;
}

static bool is_ready(struct book *book, const struct given *given, const struct vault_recipient *to,
	struct vault_request *request)
{
	return to != NULL && to->ready && to->prekey.number != 0 && has_new_prekey(given, to) &&
	       is_said(book, given) && may_leave(book, given, to, request);
}

static enum err awaited(const struct book *book, struct vault_request *request)
{
	const struct given *given;
	size_t at = 0;

	buf_init(&request->refs, LIMIT_GRANTS * HASH_SIZE);
	request->known = 0;
	request->grant->taken_back = 0;
	while ((given = grants_given(book, &at)) != NULL)
		if (given->state == GIVEN_SENT && given->revoked_on[0] != '\0') {
			buf_put(&request->refs, hash_bytes(&given->item));
			request->grant->taken_back++;
		}
	at = 0;
	while ((given = grants_given(book, &at)) != NULL) {
		if (given->state == GIVEN_SENT && given->revoked_on[0] == '\0')
			buf_put(&request->refs, hash_bytes(&given->item));
		request->known += given->state == GIVEN_MADE && given_live(given);
	}
	return request->refs.err;
}

enum err grant_release(struct book *book, struct vault_request *request)
{
	struct vault_grant *grant = request->grant;
	const struct given *next;
	size_t at = 0;

	buf_clear(&request->mail);
	while ((next = grants_given(book, &at)) != NULL) {
		const struct vault_recipient *to;
		struct given *given;
		enum err err;

		if (next->state != GIVEN_MADE || !given_live(next))
			continue;
		TRY(book_go_on(book));
		to = grant_recipient_find(request, next->recipient);
		given = grants_find(book, next->id.b);
		if (!is_ready(book, given, to, request))
			continue;
		err = note_prekey(book, given, to, request);
		if (err == OK)
			err = seal(book, given, to, request);
		if (err == ERR_NOTFOUND || err == ERR_LIMIT)
			continue;
		TRY(err);
		memcpy(grant->id, given->id.b, sizeof(grant->id));
		memcpy(grant->to, given->recipient, sizeof(grant->to));
		return OK;
	}
	return awaited(book, request);
}

static enum err save(struct book *book, struct given *given, const struct given *after,
	struct vault_request *request)
{
	enum err err = grants_save(book, after, &request->ctx);

	if (err != OK) {
		request->trouble = keyring_trouble(book->opts.keyring);
		return err;
	}
	*given = *after;
	return OK;
}

enum err grant_sent(struct book *book, struct vault_request *request)
{
	struct given *given = grants_find(book, request->grant->id), after;

	if (given == NULL || given->state != GIVEN_MADE)
		return OK;
	after = *given;
	after.state = GIVEN_SENT;
	after.mailed = true;
	after.item = request->item;
	return save(book, given, &after, request);
}

enum err grant_drop(struct book *book, struct vault_request *request)
{
	struct given *given = grants_find(book, request->grant->id);
	struct keyring_item item = {.value = BYTES_NONE};
	struct row_name name;

	if (given == NULL || given_left(given) || is_said(book, given))
		return OK;
	given_row_name(&given->id, &name);
	memcpy(item.kid, name.b, sizeof(item.kid));
	TRY(keyring_update(book->opts.keyring, &item, 1, &request->ctx));
	grants_forget_given(book, given);
	return OK;
}

static struct given *find_mailed(const struct book *book, const struct hash *item)
{
	const struct given *given;
	size_t at = 0;

	while ((given = grants_given(book, &at)) != NULL)
		if (given->state == GIVEN_SENT && hash_equal(&given->item, item))
			return grants_find(book, given->id.b);
	return NULL;
}

/* Not opened: sealed again, once there is another prekey. */
enum err grant_ended(struct book *book, struct vault_request *request)
{
	struct given *given = find_mailed(book, &request->item), after;

	if (given == NULL)
		return OK;
	after = *given;
	after.state = request->outcome == MAIL_PROCESSED    ? GIVEN_TAKEN
		      : request->outcome == MAIL_UNOPENABLE ? GIVEN_MADE
							    : GIVEN_REFUSED;
	return save(book, given, &after, request);
}

/* ---- showing ---- */

static const char *state_name(const struct given *given)
{
	static const char *const names[] = {"", "waiting", "sent", "taken", "refused"};

	return given->revoked_on[0] != '\0' ? "revoked" : names[given->state];
}

static enum err put_doc(struct book *book, struct vault_doc ***last, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		return ERR_NOMEM;
	buf_put_str(&book->json, text);
	json_text_free(text);
	return show_doc(book, last);
}

/* Of what was taken back: has its recipient destroyed it? "": it was not asked to. */
static const char *order_state(const struct book *book, const struct given *given)
{
	const struct erasure *erasure;
	struct order_id id;

	if (given->revoked_on[0] == '\0')
		return "";
	memcpy(id.b, given->revocation.b, sizeof(id.b));
	erasure = erase_find(book, &id);
	if (erasure == NULL || erasure->holder_count == 0)
		return "";
	if (erasure->holders[0].receipt_at != 0)
		return erasure_holder_done(&erasure->holders[0]) ? "destroyed" : "destroying";
	return erasure->holders[0].hold_at != 0 ? "held" : "ordered";
}

static json_t *given_json(const struct book *book, const struct given *given)
{
	static const char *const ends[] = {"", "withdrawn", "ended", "stopped"};
	char id[EVENT_ID_TEXT + 1], consent[EVENT_ID_TEXT + 1] = "";

	event_id_text(&given->id, id);
	if (given->has_consent)
		event_id_text(&given->consent, consent);
	return json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:s,s:b,s:s,s:I,s:s,s:s,s:s,s:b,s:s}",
		"direction", "given", "grant", id, "node", given->recipient, "groups",
		groups_json(given->groups), "purpose", given->purpose, "basis",
		grant_basis_name(given->basis), "until", given->until, "history", given->history,
		"state", state_name(given), "made_at", (json_int_t)given->made_at, "consent_ref",
		consent, "revoked_on", given->revoked_on, "revoked_for", ends[given->revoked_for],
		"left", given_left(given), "order", order_state(book, given));
}

static json_t *received_json(const struct received *received, const char *today)
{
	char id[EVENT_ID_TEXT + 1];

	event_id_text(&received->id, id);
	return json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:s,s:s,s:I}", "direction", "received", "grant",
		id, "node", received->sender, "groups", groups_json(received->groups), "purpose",
		received->purpose, "basis", grant_basis_name(received->basis), "until",
		received->until, "state", received_in_force(received, today) ? "held" : "ended",
		"made_at", (json_int_t)received->received_at);
}

enum err grants_show(struct book *book, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;
	const struct received *received = NULL;
	const struct given *given = NULL;
	const struct casebook_case *kase;
	const struct case_state *state;
	char today[11];

	request_today(request, today);
	TRY(case_named(book, request, &kase, &state));
	while ((given = grants_given_of(book, &kase->ref, given)) != NULL)
		TRY(put_doc(book, &last, given_json(book, given)));
	while ((received = grants_received_of(book, &kase->ref, received)) != NULL)
		TRY(put_doc(book, &last, received_json(received, today)));
	return OK;
}
