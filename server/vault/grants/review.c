/* What grants ask for, case by case (grants.h). */
#include <stdio.h>

#include "base/alloc.h"
#include "server/vault/grants/grant_parts.h"

struct review {
	struct change change;
	struct casebook_case *kase;
	const struct case_state *state; /* NULL: nothing of it is recorded here */
};

static bool is_known(const struct book *book, const struct event_id *id)
{
	return casebook_find_event(book->cases, id, NULL);
}

static bool full(const struct change *c)
{
	return c->made_count == CHANGE_GRANTS_MAX;
}

/* ---- 1: what the ledger lacks ---- */

static enum err say_owed(struct review *r)
{
	struct change *c = &r->change;
	const struct given *given = NULL;
	size_t said = 0;

	while (said < CHANGE_GRANTS_MAX &&
		(given = grants_given_of(c->book, &r->kase->ref, given)) != NULL) {
		if (!is_known(c->book, &given->id)) {
			TRY(change_say_granted(c, given));
			said++;
		}
		if (given->revoked_on[0] != '\0' && !is_known(c->book, &given->revocation)) {
			TRY(change_say_revoked(c, given));
			said++;
		}
	}
	return OK;
}

/* What came back out of the ledger: the recipient's key is the one it has now. */
static void adopt(struct review *r)
{
	static const struct hash unknown;
	struct change *c = &r->change;
	const struct given *given = NULL;

	while (c->changed_count < CHANGE_GRANTS_MAX &&
		(given = grants_given_of(c->book, &r->kase->ref, given)) != NULL) {
		const struct vault_recipient *to =
			grant_recipient_find(c->request, given->recipient);

		if (to == NULL || !hash_equal(&given->node_key, &unknown))
			continue;
		c->after[c->changed_count] = *given;
		c->after[c->changed_count].node_key = to->node_key;
		c->changed[c->changed_count++] = grants_find(c->book, given->id.b);
	}
}

/* ---- 2: what is over ---- */

static enum err revoke(struct review *r, const struct given *given, enum given_end why)
{
	struct change *c = &r->change;
	struct given *after = &c->after[c->changed_count];

	*after = *given;
	memcpy(after->revoked_on, c->today, sizeof(after->revoked_on));
	after->revoked_for = why;
	TRY(change_id(c, &after->revocation));
	c->changed[c->changed_count++] = grants_find(c->book, given->id.b);
	if (given->state == GIVEN_SENT) /* it may not have left the node yet */
		buf_put(&c->request->refs, hash_bytes(&given->item));
	return change_say_revoked(c, after);
}

/* The keys that the revoked ones have and that would be sealed with next. */
static group_set groups_to_roll(const struct review *r)
{
	const struct change *c = &r->change;
	group_set groups = 0;

	for (unsigned g = 1; g <= GROUP_LAST; g++) {
		const struct casebook_key *newest =
			casebook_find_key(r->kase, (enum group)g, bytes_str(c->book->opts.node));

		for (size_t i = 0; newest != NULL && i < c->changed_count; i++)
			if (given_has(&c->after[i], &newest->seal.kid))
				groups |= GROUP_BIT(g);
	}
	return groups;
}

static enum err end_grants(struct review *r)
{
	struct change *c = &r->change;
	const struct given *given = NULL;

	while (c->changed_count < CHANGE_GRANTS_MAX &&
		(given = grants_given_of(c->book, &r->kase->ref, given)) != NULL) {
		const struct vault_recipient *to =
			grant_recipient_find(c->request, given->recipient);
		bool ended = given->until[0] != '\0' && strcmp(c->today, given->until) > 0;

		if (to != NULL && given_live(given) &&
			!grant_holds(c->book, r->state, given, to, c->today, c->request->now_s))
			TRY(revoke(r, given, ended ? GIVEN_ENDED : GIVEN_WITHDRAWN));
	}
	return roll_make(c->book, r->kase, groups_to_roll(r), &c->roll, &c->request->ctx);
}

/* ---- 3 and 4: who lacks a key ---- */

/* Was it given to the machine that the recipient has now? Whoever was replaced took its keys along.
 */
static bool is_there(const struct given *given, const struct vault_recipient *to)
{
	bool there = given->state == GIVEN_MADE || hash_equal(&given->node_key, &to->node_key);

	for (size_t i = 0; i < to->former_count && !there; i++)
		there = hash_equal(&given->node_key, &to->former[i]);
	return there;
}

/* Has the node a live grant with it, one that is being made included? */
static bool has_key(
	const struct review *r, const struct vault_recipient *to, const struct seal_kid *kid)
{
	const struct change *c = &r->change;
	const struct given *given = NULL;

	for (size_t i = 0; i < c->made_count; i++)
		if (strcmp(c->made[i].recipient, to->node) == 0 && given_has(&c->made[i], kid))
			return true;
	while ((given = grants_given_of(c->book, &r->kase->ref, given)) != NULL)
		if (given_live(given) && strcmp(given->recipient, to->node) == 0 &&
			is_there(given, to) && given_has(given, kid))
			return true;
	return false;
}

static bool is_own(const struct review *r, const struct casebook_key *key)
{
	return !key->foreign && strcmp(key->author, r->change.book->opts.node) == 0;
}

/* Own keys of these groups that the node lacks; of older generations those that `given` has. NULL:
 * all. */
static size_t lacking(const struct review *r, const struct vault_recipient *to, group_set groups,
	const struct given *given, struct given_key *ret)
{
	size_t count = 0;

	for (const struct casebook_key *key = r->kase->keys; key != NULL; key = key->next) {
		if (!is_own(r, key) || (groups & GROUP_BIT(key->group)) == 0 ||
			count == LIMIT_GRANT_KEYS_MADE)
			continue;
		if (given != NULL && !given_has(given, &key->seal.kid) &&
			casebook_find_key(r->kase, key->group, bytes_str(key->author)) != key)
			continue;
		if (!has_key(r, to, &key->seal.kid))
			ret[count++] = (struct given_key){key->seal.kid, key->group, 0};
	}
	return count;
}

static enum err add(
	struct review *r, const struct given *like, const struct given_key *keys, size_t count)
{
	struct change *c = &r->change;
	struct given *given = &c->made[c->made_count];
	struct given fresh;

	TRY(change_begin_grant(c, r->kase, count, &fresh));
	*given = *like;
	given->id = fresh.id;
	memcpy(given->nonce, fresh.nonce, sizeof(given->nonce));
	given->made_at = fresh.made_at;
	given->keys = fresh.keys;
	given->key_count = count;
	given->state = GIVEN_MADE;
	given->prekey_count = 0;
	given->mailed = false;
	given->groups = 0;
	c->made_count++;
	for (size_t i = 0; i < count; i++) {
		given->keys[i] = keys[i];
		given->groups |= GROUP_BIT(keys[i].group);
	}
	given_sort(given);
	return change_say_granted(c, given);
}

/* On what it rests today: another consent may have taken the place of the one it was given on. */
static enum err renew_like(struct review *r, const struct given *given,
	const struct vault_recipient *to, struct given *ret)
{
	struct change *c = &r->change;
	struct grant_office office = {c->book, r->kase};
	struct grant_cover cover;
	struct grant_ask ask = {
		.purpose = given->purpose,
		.to = {to->node, to->country, NULL},
		.groups = given->groups,
		.day = c->today,
		.counts = grant_counts,
		.arg = &office,
	};

	*ret = *given;
	ret->node_key = to->node_key;
	ret->history = false;
	if (given->basis != GRANT_CONSENT)
		return OK;
	grant_covered(r->state, &ask, &cover);
	if (!cover.covered)
		return ERR_NOTFOUND; /* it is about to be revoked */
	if (ret->until[0] == '\0' || strcmp(cover.until, ret->until) < 0)
		memcpy(ret->until, cover.until, sizeof(ret->until));
	return grant_cite(c->book, r->kase, &cover.event, ret, &c->request->ctx);
}

static enum err renew_grants(struct review *r)
{
	struct change *c = &r->change;
	struct given_key keys[LIMIT_GRANT_KEYS_MADE];
	const struct given *given = NULL;

	while (!full(c) && (given = grants_given_of(c->book, &r->kase->ref, given)) != NULL) {
		const struct vault_recipient *to =
			grant_recipient_find(c->request, given->recipient);
		struct given like;
		size_t count;
		enum err err;

		if (to == NULL || !given_live(given) || given->basis == GRANT_REPLY ||
			given->basis == GRANT_LEDGER)
			continue;
		count = lacking(r, to, given->groups, given, keys);
		if (count == 0)
			continue;
		err = renew_like(r, given, to, &like);
		if (err == ERR_NOTFOUND)
			continue;
		TRY(err);
		TRY(add(r, &like, keys, count));
	}
	return OK;
}

static void reply_like(
	const struct received *received, const struct vault_recipient *to, struct given *ret)
{
	*ret = (struct given){
		.basis = GRANT_REPLY,
		.case_ref = received->case_ref,
		.node_key = to->node_key,
		.consent_leaf = received->consent_leaf,
		.consent_index = received->consent_index,
		.history = true,
	};
	memcpy(ret->recipient, received->sender, sizeof(ret->recipient));
	memcpy(ret->purpose, received->purpose, sizeof(ret->purpose));
	memcpy(ret->until, received->until, sizeof(ret->until));
	memcpy(ret->consent_origin, received->consent_origin, sizeof(ret->consent_origin));
}

static enum err reply_grants(struct review *r)
{
	struct change *c = &r->change;
	struct given_key keys[LIMIT_GRANT_KEYS_MADE];
	const struct received *received = NULL;
	struct given like;

	while (!full(c) &&
		(received = grants_received_of(c->book, &r->kase->ref, received)) != NULL) {
		const struct vault_recipient *to =
			grant_recipient_find(c->request, received->sender);
		size_t count;

		if (to == NULL || received->basis == GRANT_REPLY ||
			!received_in_force(received, c->today) ||
			!grant_home(c->book, r->kase, received->sender))
			continue;
		count = lacking(r, to, grants_held(c->book, received) & GROUP_SET_CASE, NULL, keys);
		reply_like(received, to, &like);
		if (count > 0)
			TRY(add(r, &like, keys, count));
	}
	return OK;
}

/* ---- the ledger ---- */

/* Whoever audits this node can read what it gave, withdrew and erased. */
static enum err ledger_grants(struct review *r)
{
	struct change *c = &r->change;
	const struct vault_grant *grant = c->request->grant;
	struct given_key keys[LIMIT_GRANT_KEYS_MADE];

	for (size_t i = 0; i < grant->recipient_count && !full(c); i++) {
		const struct vault_recipient *to = &grant->recipients[i];
		struct given like = {
			.basis = GRANT_LEDGER, .case_ref = r->kase->ref, .history = true};
		size_t count;

		if (!to->auditor || !to->ready)
			continue;
		count = lacking(r, to, GROUP_BIT(GROUP_AUDIT), NULL, keys);
		memcpy(like.recipient, to->node, sizeof(like.recipient));
		like.node_key = to->node_key;
		if (count > 0)
			TRY(add(r, &like, keys, count));
	}
	return OK;
}

/* ---- one case after the other ---- */

static enum err review_case(struct review *r)
{
	struct change *c = &r->change;
	struct errctx *ctx = &c->request->ctx;

	if (r->kase->event_count > 0)
		TRY(states_get(c->book, r->kase, &r->state, ctx));
	TRY(say_owed(r));
	if (c->lines.size > 0)
		return OK;
	adopt(r);
	if (c->changed_count > 0)
		return OK;
	TRY(end_grants(r));
	if (c->changed_count > 0)
		return OK;
	if (ledger_is(c->book, &r->kase->ref))
		return ledger_grants(r);
	TRY(renew_grants(r));
	return reply_grants(r);
}

static enum err step(struct book *book, struct vault_request *request, struct casebook_case *kase,
	struct plan *ret)
{
	struct review *r = mem_zalloc(sizeof(*r));
	enum err err;

	if (r == NULL)
		return ERR_NOMEM;
	r->kase = kase;
	err = change_init(&r->change, book, request);
	if (err == OK)
		err = review_case(r);
	if (err == OK && (err = change_write(&r->change)) != OK)
		request->trouble = keyring_trouble(book->opts.keyring);
	if (err == OK && r->change.lines.size > 0)
		err = change_plan(&r->change, ret);
	if (err != OK || ret->part_count > 0 || r->change.changed_count > 0)
		grants_touch(book, kase); /* there may be more */
	change_release(&r->change);
	mem_free(r);
	return err;
}

static bool lacks_ledger(
	const struct book *book, const struct casebook_case *kase, const struct vault_recipient *to)
{
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		const struct given *given = NULL;
		bool has = key->foreign || key->group != GROUP_AUDIT;

		while (!has && (given = grants_given_of(book, &kase->ref, given)) != NULL)
			has = given_live(given) && strcmp(given->recipient, to->node) == 0 &&
			      given_has(given, &key->seal.kid);
		if (!has)
			return true;
	}
	return false;
}

static bool has_ledger(
	const struct book *book, const struct casebook_case *kase, const struct vault_recipient *to)
{
	const struct given *given = NULL;

	while ((given = grants_given_of(book, &kase->ref, given)) != NULL)
		if (given_live(given) && strcmp(given->recipient, to->node) == 0)
			return true;
	return false;
}

/* An auditor lacks a key of the ledger, or somebody who is none has one: nothing else tells that
 * a member has become an auditor, or is revoked. */
static void touch_ledger(struct book *book, const struct vault_request *request)
{
	struct casebook_case *kase = ledger_case(book);

	for (size_t i = 0; kase != NULL && i < request->grant->recipient_count; i++) {
		const struct vault_recipient *to = &request->grant->recipients[i];

		if (to->auditor ? to->ready && lacks_ledger(book, kase, to)
				: has_ledger(book, kase, to)) {
			grants_touch(book, kase);
			return;
		}
	}
}

enum err grants_review(struct book *book, struct vault_request *request, struct plan *ret)
{
	struct casebook_case *kase;

	*ret = (struct plan){0};
	touch_ledger(book, request);
	while ((kase = grants_next_touched(book)) != NULL) {
		TRY(book_go_on(book));
		TRY(step(book, request, kase, ret));
		if (ret->part_count > 0)
			return OK;
	}
	return OK;
}
