#include "server/keys/approvals.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "certs/mail.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/ledger.h"
#include "server/log.h"
#include "server/mail.h"
#include "server/record.h"

/* --- the ledger --- */

/* The ledger wants a reason of every event: of later ones, what became of it. */
json_t *approval_event(
	const struct approval *one, const char *decision, const char *who, const char *approver)
{
	char id[APPROVAL_ID_TEXT + 1], ref[2 * APPROVAL_REF_SIZE + 1];
	json_t *json;

	hex_encode(BYTES_ARRAY(one->id), id);
	hex_encode(BYTES_ARRAY(one->case_ref), ref);
	json = json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:s,s:s}", "type", "BREAK_GLASS", "who", who,
		"case", ref, "groups", groups_list_json(one->groups), "purpose", one->reason, "to",
		one->to, "opening", id, "decision", decision);
	if (json != NULL && one->legal_basis[0] != '\0')
		json_object_set_new(json, "legal_basis", json_string(one->legal_basis));
	if (json != NULL && approver[0] != '\0')
		json_object_set_new(json, "approvers", json_pack("[s]", approver));
	if (json != NULL && one->victim_told_on[0] != '\0')
		json_object_set_new(json, "victim_told_on", json_string(one->victim_told_on));
	return json;
}

/* --- what the ledger lacks --- */

struct telling {
	struct runtime *rt;
	struct approval one;
};

static void telling_end(struct telling *t, bool go_on)
{
	struct runtime *rt = t->rt;

	wipe(t, sizeof(*t));
	mem_free(t);
	rt->approvals.ticking = false;
	if (go_on)
		approvals_kick(rt);
}

static void on_said(void *loop, struct vault_request *done)
{
	struct telling *t = done->arg;
	bool good = loop != NULL && done->result == OK;

	vault_request_free(done);
	if (loop == NULL) {
		mem_free(t);
		return;
	}
	telling_end(t, good);
}

static void on_ledgered(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct telling *t = arg;
	struct vault_request *ask;

	if (error != OK) {
		if (error != ERR_LOCKED && error != ERR_CANCELED)
			log_line(LOG_WARNING,
				"what became of an opening without consent is not in the ledger "
				"yet: %s",
				why);
		telling_end(t, false);
		return;
	}
	if (t->one.state == APPROVAL_WITHDRAWN)
		log_line(LOG_ALARM,
			"nobody approved within 72 hours what was opened without consent: it is "
			"withdrawn; see 'sauti approvals list'");
	ask = approval_ask(t->rt, APPROVAL_OP_SAID, on_said, t);
	ask->approval->one = t->one;
	vault_submit(t->rt->vault, ask);
}

static void tell_ledger(struct telling *t)
{
	const struct approval *one = &t->one;
	const char *decider = one->decider;

	ledger_write(t->rt, one->who,
		approval_event(one, approval_state_name(one->state), one->who, decider),
		on_ledgered, t);
}

static void on_reported(void *arg, enum err error, const char *why)
{
	struct telling *t = arg;

	if (error == OK) {
		tell_ledger(t);
		return;
	}
	if (error != ERR_LOCKED && error != ERR_CANCELED)
		log_line(LOG_WARNING, "a report that was approved is not in its case yet: %s", why);
	telling_end(t, false);
}

/* Its id follows from the opening's: recorded once, however often it is tried. */
static enum err report_line(const struct approval *one, struct buf *ret)
{
	char id_text[APPROVAL_EVENT_TEXT + 1], ref[2 * APPROVAL_REF_SIZE + 1], at[21], *text;
	json_t *json;

	approval_report_id(one, id_text);
	hex_encode(BYTES_ARRAY(one->case_ref), ref);
	approval_time_text(one->asked_at, at);
	at[10] = '\0';
	json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:s}", "type", "MANDATORY_REPORT",
		"event_id", id_text, "case_ref", ref, "occurred_on", at, "to", one->to,
		"legal_basis", one->legal_basis, "groups", groups_list_json(one->groups),
		"victim_told_before", one->told_before ? "Y" : "N", "second_approver",
		one->decider);
	if (json != NULL && one->office[0] != '\0')
		json_object_set_new(json, "office", json_string(one->office));
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	buf_init(ret, LIMIT_EVENT_JSON);
	if (text == NULL)
		return ERR_NOMEM;
	buf_put_str(ret, text);
	json_text_free(text);
	return ret->err;
}

static void record_report(struct telling *t)
{
	/* The node does it, for whoever opened it. */
	struct record_who who = {t->one.who, ACCOUNT_SUPERVISOR};
	struct buf line;

	if (report_line(&t->one, &line) != OK)
		runtime_out_of_memory();
	record_events(t->rt, &who, &line, on_reported, t);
}

static void on_tick(void *loop, struct vault_request *done)
{
	struct runtime *rt = loop;
	struct telling *t = NULL;

	if (rt != NULL && !rt->stopping && done->result == OK && done->approval->found)
		t = mem_zalloc(sizeof(*t));
	if (t != NULL)
		*t = (struct telling){rt, done->approval->one};
	vault_request_free(done);
	if (rt != NULL && t == NULL)
		rt->approvals.ticking = false;
	if (t != NULL && t->one.kind == APPROVAL_REPORT && t->one.state == APPROVAL_APPROVED)
		record_report(t);
	else if (t != NULL)
		tell_ledger(t);
}

struct vault_request *approval_ask(struct runtime *rt, enum vault_approval_op op,
	void (*answered)(void *loop, struct vault_request *done), void *arg)
{
	struct vault_request *ask = vault_request_new(VAULT_APPROVAL, arg);

	if (ask == NULL || (ask->approval = mem_zalloc(sizeof(*ask->approval))) == NULL)
		runtime_out_of_memory();
	ask->answered = answered;
	ask->approval->op = op;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	return ask;
}

void approvals_kick(struct runtime *rt)
{
	if (rt->approvals.ticking || rt->keys == NULL || rt->stopping ||
		!guard_state_writable(&rt->guard_state))
		return;
	rt->approvals.ticking = true;
	vault_submit(rt->vault, approval_ask(rt, APPROVAL_OP_TICK, on_tick, NULL));
}

void approvals_told(struct runtime *rt, const struct vault_request *done)
{
	if (!done->approvals_told)
		return;
	rt->approvals.counts = done->approvals;
	if (rt->approvals.counts.due > 0)
		approvals_kick(rt);
}

/* --- mail --- */

/* It is on its way, or was not taken: then nobody is asked, and the time passes. */
static void on_sent(void *arg, enum err error)
{
	if (error != OK)
		log_line(LOG_WARNING, "mail about an approval could not be sent: %s",
			err_text(error));
}

enum err approval_mail(
	struct runtime *rt, const char *node, enum mail_kind kind, struct bytes content)
{
	CLEANUP(buf_release) struct buf packed;
	const struct known_prekey *prekey = prekeys_of(rt, node);
	CLEANUP(secret_release) struct secret ephemeral = {0};
	struct mail_draft draft = {
		.network = rt->genesis.network,
		.sender = rt->node,
		.recipient = node,
		.kind = kind,
		.content = content,
		.made_at = runtime_wall_s(),
	};

	buf_init(&packed, LIMIT_MAIL_ITEM);
	if (rt->keys == NULL)
		return ERR_LOCKED;
	if (prekey == NULL || rt->mail->store == NULL)
		return ERR_NOTFOUND;
	draft.prekey = &prekey->prekey;
	TRY(random_bytes(draft.id, sizeof(draft.id)));
	TRY(secret_random(&ephemeral, X25519_KEY_SIZE));
	draft.ephemeral = secret_bytes(&ephemeral);
	TRY(mail_write(&packed, &draft, rt->keys->node));
	mail_send(rt, buf_bytes(&packed), on_sent, NULL);
	return OK;
}

/* --- status --- */

json_t *approvals_status_json(const struct runtime *rt)
{
	const struct vault_approval_counts *counts = &rt->approvals.counts;

	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "waiting", (json_int_t)counts->waiting,
		"approved", (json_int_t)counts->approved, "refused", (json_int_t)counts->refused,
		"withdrawn", (json_int_t)counts->withdrawn, "asked", (json_int_t)counts->asked);
}

void approvals_alarm(const struct runtime *rt, char *out, size_t size)
{
	const struct vault_approval_counts *counts = &rt->approvals.counts;

	out[0] = '\0';
	if (counts->waiting > 0)
		snprintf(out, size,
			"%u opened without consent, and nobody has approved it yet: without a "
			"second officer's word it is withdrawn after 72 hours; see 'sauti "
			"approvals list'",
			counts->waiting);
	else if (counts->asked > 0)
		snprintf(out, size,
			"another office asks for an approval (%u): see 'sauti approvals list'",
			counts->asked);
}
