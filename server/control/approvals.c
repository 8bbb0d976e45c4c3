/*
 * What is opened without consent, on an officer's word, and the second officer's (DESIGN 9
 * "Break-glass"). Happy path of an opening: the vault looks at the case; for a report it makes the
 * page first; BREAK_GLASS is durable in the ledger, and for a report EXPORT_MADE; the row is kept;
 * other offices are asked; then the key or the page leaves.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/approvals.h"
#include "server/keys/grants.h"
#include "server/ledger.h"
#include "server/log.h"
#include "server/mail.h"

enum { ASKED_MAX = 8 };

struct opening {
	struct control_request *request;
	struct runtime *rt;
	struct approval one;
	struct buf question; /* what other offices are asked */
	char asked[ASKED_MAX][LIMIT_NODE_NAME + 1];
	size_t asked_count, told_count;
	char name[LIMIT_NODE_NAME + 100];
	struct vault_request *page; /* of a report: its file */
	struct giving giving;
};

static void opening_free(void *arg)
{
	struct opening *o = arg;

	buf_wipe(&o->question);
	vault_request_free(o->page);
	wipe(o, sizeof(*o));
	mem_free(o);
}

static void opening_fail(struct opening *o, enum err error, const char *what, const char *why)
{
	struct errctx ctx = {""};

	err_set(&ctx, error, "%s%s%s", what, what[0] == '\0' ? "" : ": ", why);
	control_fail(o->request, error, 0, ctx.text);
	opening_free(o);
}

/* --- the end: the answer --- */

static json_t *opening_json(const struct opening *o)
{
	char id[APPROVAL_ID_TEXT + 1], until[21];
	json_t *asked = json_array();

	hex_encode(BYTES_ARRAY(o->one.id), id);
	approval_time_text(approval_deadline(&o->one), until);
	for (size_t i = 0; i < o->told_count; i++)
		json_array_append_new(asked, json_string(o->asked[i]));
	return json_pack("{s:s,s:s,s:o,s:s,s:o}", "opening", id, "to", o->one.to, "groups",
		groups_list_json(o->one.groups), "until", until, "asked", asked);
}

static void give_page(struct opening *o)
{
	char hash[2 * HASH_SIZE + 1];
	json_t *json = opening_json(o);

	hex_encode(hash_bytes(&o->page->file_hash), hash);
	json_object_set_new(json, "packet", json_string(o->page->packet->id));
	json_object_set_new(json, "bytes", json_integer((json_int_t)o->page->file.size));
	json_object_set_new(json, "file_hash", json_string(hash));
	answer_json(o->request, json, false);
	o->giving = (struct giving){o->request, buf_bytes(&o->page->file), opening_free, o, 0};
	give_file(&o->giving);
}

static void on_granted(void *arg, enum err error, const char *why, uint64_t index)
{
	struct opening *o = arg;

	if (error != OK) {
		opening_fail(o, error, "it stands in the ledger, and no key was given", why);
		return;
	}
	answer_json(o->request, opening_json(o), true);
	grants_kick(o->rt);
	opening_free(o);
}

static void on_grant(void *loop, struct vault_request *done)
{
	struct opening *o = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;

	if (error != OK)
		opening_fail(o, error, "it stands in the ledger, and no key was given",
			err_message(&done->ctx, error));
	else
		grants_append(loop, done, on_granted, o);
	vault_request_free(done);
}

/* With what was recorded until now: what comes is of no help. */
static void give_keys(struct opening *o)
{
	const struct officer_session *officer = control_officer(o->request);
	struct vault_request *ask = vault_request_new(VAULT_GRANT, o);
	char until[21];

	if (ask == NULL)
		runtime_out_of_memory();
	ask->answered = on_grant;
	ask->grant = grants_ask(o->rt);
	ask->grant->basis = APPROVAL_GRANT_BASIS;
	approval_time_text(o->one.asked_at + APPROVAL_KEYS_S, until);
	snprintf(ask->grant->until, sizeof(ask->grant->until), "%.10s", until);
	ask->grant->history = true;
	ask->grant->groups = o->one.groups;
	snprintf(ask->grant->to, sizeof(ask->grant->to), "%.*s", LIMIT_NODE_NAME, o->one.to);
	snprintf(ask->officer, sizeof(ask->officer), "%s", officer->name);
	ask->roles = officer->roles;
	snprintf(ask->name, sizeof(ask->name), "%s", o->name);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(o->rt->vault, ask);
}

/* --- other offices are asked --- */

/* Where none is named: headquarters. Never whom it is for. */
static void ask_offices(struct opening *o)
{
	const struct directory *directory = engine_directory(o->rt->engine);
	const struct member *member;

	for (size_t i = 0; o->asked_count == 0 && (member = directory_at(directory, i)) != NULL;
		i++)
		if (member->active && member->role == ROLE_HQ &&
			strcmp(member->name, o->rt->node) != 0 &&
			strcmp(member->name, o->one.to) != 0)
			snprintf(o->asked[o->asked_count++], sizeof(o->asked[0]), "%s",
				member->name);
	for (size_t i = 0; i < o->asked_count; i++) {
		enum err err = approval_mail(
			o->rt, o->asked[i], MAIL_APPROVAL_ASKED, buf_bytes(&o->question));

		if (err == OK)
			memmove(o->asked[o->told_count++], o->asked[i], sizeof(o->asked[0]));
		else
			log_line(LOG_WARNING, "'%s' could not be asked for an approval: %s",
				o->asked[i], err_text(err));
	}
}

static void on_put(void *loop, struct vault_request *done)
{
	struct opening *o = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;

	if (error != OK)
		opening_fail(o, error, "it stands in the ledger, and nothing was given out",
			err_message(&done->ctx, error));
	vault_request_free(done);
	if (error != OK)
		return;
	ask_offices(o);
	if (o->page != NULL)
		give_page(o);
	else
		give_keys(o);
}

static void put(struct opening *o)
{
	struct vault_request *ask = approval_ask(o->rt, APPROVAL_OP_PUT, on_put, o);

	ask->approval->one = o->one;
	vault_submit(o->rt->vault, ask);
}

/* --- the ledger --- */

static void on_exported(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct opening *o = arg;

	if (error != OK)
		opening_fail(
			o, error, "nothing was given out: the ledger could not be written", why);
	else
		put(o);
}

static json_t *export_event(const struct opening *o)
{
	const struct vault_request *page = o->page;
	char hash[2 * HASH_SIZE + 1], ref[2 * VAULT_REF_SIZE + 1];

	hex_encode(hash_bytes(&page->file_hash), hash);
	hex_encode(bytes_make(page->refs.data, VAULT_REF_SIZE), ref);
	return json_pack("{s:s,s:s,s:s,s:[s],s:i,s:o,s:s,s:s,s:s}", "type", "EXPORT_MADE", "who",
		o->one.who, "format", "PACKET", "cases", ref, "case_count", 1, "groups",
		groups_list_json(page->groups), "file_hash", hash, "recipient", o->one.to,
		"purpose", o->one.legal_basis);
}

static void on_opened(void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct opening *o = arg;

	if (error != OK)
		opening_fail(o, error, "nothing was opened: the ledger could not be written", why);
	else if (o->page == NULL)
		put(o);
	else
		ledger_write(o->rt, o->one.who, export_event(o), on_exported, o);
}

static void on_new(void *loop, struct vault_request *done)
{
	struct opening *o = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;

	if (error != OK) {
		opening_fail(o, error, "", err_message(&done->ctx, error));
		vault_request_free(done);
		return;
	}
	o->one = done->approval->one;
	o->question = done->mail;
	done->mail = (struct buf){0};
	vault_request_free(done);
	ledger_write(
		o->rt, o->one.who, approval_event(&o->one, "OPENED", o->one.who, ""), on_opened, o);
}

static void ask_new(struct opening *o)
{
	struct vault_request *ask = approval_ask(o->rt, APPROVAL_OP_NEW, on_new, o);
	const struct officer_session *officer = control_officer(o->request);

	ask->approval->one = o->one;
	snprintf(ask->officer, sizeof(ask->officer), "%s", officer->name);
	ask->roles = officer->roles;
	snprintf(ask->name, sizeof(ask->name), "%s", o->name);
	vault_submit(o->rt->vault, ask);
}

/* --- a report the law demands --- */

static void on_page(void *loop, struct vault_request *done)
{
	struct opening *o = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;

	if (error != OK) {
		opening_fail(o, error, "", err_message(&done->ctx, error));
		vault_request_free(done);
		return;
	}
	o->page = done;
	snprintf(o->one.packet, sizeof(o->one.packet), "%s", done->packet->id);
	snprintf(o->one.office, sizeof(o->one.office), "%s", done->packet->office);
	ask_new(o);
}

static void ask_page(struct opening *o)
{
	struct vault_request *ask = vault_ask(o->request, VAULT_PACKET);

	if (ask == NULL) {
		opening_free(o);
		return;
	}
	ask->packet = mem_zalloc(sizeof(*ask->packet));
	if (ask->packet == NULL)
		runtime_out_of_memory();
	ask->arg = o;
	ask->answered = on_page;
	snprintf(ask->packet->recipient, sizeof(ask->packet->recipient), "%s", o->one.to);
	snprintf(ask->packet->legal_basis, sizeof(ask->packet->legal_basis), "%s",
		o->one.legal_basis);
	ask->packet->groups = o->one.groups;
	snprintf(ask->name, sizeof(ask->name), "%s", o->name);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(o->rt->vault, ask);
}

static const char *fill(struct opening *o, const char *kase, const char *reason,
	char *const *groups, size_t group_count)
{
	if (strlen(kase) >= sizeof(o->name))
		return "the case's name is too long";
	if (reason[0] == '\0' || strlen(reason) > LIMIT_PURPOSE)
		return "say why, in at most 200 bytes";
	if (groups_read(groups, group_count, &o->one.groups) != OK || o->one.groups == 0)
		return "say which data groups of the case";
	snprintf(o->name, sizeof(o->name), "%s", kase);
	snprintf(o->one.reason, sizeof(o->one.reason), "%s", reason);
	return NULL;
}

static const char *fill_asked(struct opening *o, char *const *nodes, size_t count)
{
	const struct directory *directory = engine_directory(o->rt->engine);

	if (count > ASKED_MAX)
		return "more offices are named to be asked than 8";
	for (size_t i = 0; i < count; i++) {
		const struct member *member = directory_find(directory, bytes_str(nodes[i]));

		if (member == NULL || !member->active || strcmp(nodes[i], o->rt->node) == 0 ||
			strcmp(nodes[i], o->one.to) == 0)
			return "who is to be asked is an active member, neither this node nor "
			       "whom it is for";
		snprintf(o->asked[o->asked_count++], sizeof(o->asked[0]), "%s", member->name);
	}
	return NULL;
}

static struct opening *opening_new(struct control_request *request, enum approval_kind kind)
{
	struct opening *o = mem_zalloc(sizeof(*o));

	if (o == NULL)
		runtime_out_of_memory();
	o->request = request;
	o->rt = control_runtime(request);
	o->one.kind = kind;
	return o;
}

static bool fits(const char *text, size_t max)
{
	size_t size = strlen(text);

	return size > 0 && size <= max;
}

void begin_case_report(struct control_request *request, const Sauti__CaseReportRequest *message)
{
	struct opening *o;
	const char *wrong;

	if (!may_record(request))
		return;
	if (!control_export_begin(request)) {
		control_fail(request, ERR_BUSY, 0,
			"as many exports as may be at a time are under way: try again when one has "
			"ended");
		return;
	}
	o = opening_new(request, APPROVAL_REPORT);
	wrong = !fits(message->authority, APPROVAL_NAME_MAX)
			? "say to which authority, in at most 128 bytes"
		: !fits(message->legal_basis, APPROVAL_NAME_MAX)
			? "say on which legal basis, in at most 128 bytes"
			: fill(o, message->case_, message->reason, message->groups,
				  message->n_groups);
	if (wrong == NULL) {
		snprintf(o->one.to, sizeof(o->one.to), "%s", message->authority);
		snprintf(
			o->one.legal_basis, sizeof(o->one.legal_basis), "%s", message->legal_basis);
		o->one.told_before = message->victim_told_before;
		wrong = fill_asked(o, message->ask, message->n_ask);
	}
	if (wrong != NULL)
		opening_fail(o, ERR_INVALID, "", wrong);
	else
		ask_page(o);
}

/* --- keys for a node, in need --- */

static const char *check_node(const struct runtime *rt, const char *to)
{
	if (strcmp(to, rt->node) == 0)
		return "the keys are here already";
	return directory_find(engine_directory(rt->engine), bytes_str(to)) == NULL
		       ? "no node of that name is in the directory"
	       : grants_held_back(rt, to)[0] != '\0' ? grants_held_back(rt, to)
						     : NULL;
}

void begin_case_break_glass(
	struct control_request *request, const Sauti__CaseBreakGlassRequest *message)
{
	struct opening *o;
	const char *wrong;

	if (!may_record(request))
		return;
	o = opening_new(request, APPROVAL_BREAK_GLASS);
	wrong = check_node(o->rt, message->to);
	if (wrong == NULL)
		wrong = fill(
			o, message->case_, message->reason, message->groups, message->n_groups);
	if (wrong == NULL) {
		snprintf(o->one.to, sizeof(o->one.to), "%s", message->to);
		wrong = fill_asked(o, message->ask, message->n_ask);
	}
	if (wrong != NULL)
		opening_fail(o, ERR_INVALID, "", wrong);
	else
		ask_new(o);
}

/* --- deciding --- */

struct deciding {
	struct control_request *request;
	struct runtime *rt;
	struct approval one;
	enum approval_verdict verdict;
	char prefix[APPROVAL_ID_TEXT + 1], officer[65];
	bool approve;
};

static void deciding_free(struct deciding *d)
{
	wipe(d, sizeof(*d));
	mem_free(d);
}

static void deciding_fail(struct deciding *d, enum err error, const char *why)
{
	control_fail(d->request, error, 0, why);
	deciding_free(d);
}

static void on_decided(void *loop, struct vault_request *done)
{
	struct deciding *d = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;
	char id[APPROVAL_ID_TEXT + 1];

	if (error == OK && done->approval->verdict != APPROVAL_COUNTS)
		error = err_set(&done->ctx, ERR_AGAIN, "%s",
			approval_verdict_text(done->approval->verdict));
	if (error == OK && d->one.from[0] != '\0')
		error = approval_mail(d->rt, d->one.from, MAIL_APPROVAL, buf_bytes(&done->mail));
	if (error != OK) {
		deciding_fail(d, error, err_message(&done->ctx, error));
	} else {
		hex_encode(BYTES_ARRAY(d->one.id), id);
		answer_json(d->request,
			json_pack("{s:s,s:s,s:s}", "opening", id, "state",
				d->approve ? "APPROVED" : "REFUSED", "from", d->one.from),
			true);
		deciding_free(d);
	}
	vault_request_free(done);
}

static void decide(struct deciding *d)
{
	struct vault_request *ask = approval_ask(d->rt, APPROVAL_OP_DECIDE, on_decided, d);

	snprintf(ask->officer, sizeof(ask->officer), "%s", d->officer);
	hex_encode(BYTES_ARRAY(d->one.id), ask->approval->prefix);
	ask->approval->approve = d->approve;
	vault_submit(d->rt->vault, ask);
}

static void on_verdict_said(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct deciding *d = arg;

	if (error != OK)
		deciding_fail(d, error, why);
	else if (d->verdict != APPROVAL_COUNTS)
		deciding_fail(d, ERR_DENIED, approval_verdict_text(d->verdict));
	else
		decide(d);
}

/* What does not count is told to the ledger, too: whoever tries, is seen. */
static void on_judged(void *loop, struct vault_request *done)
{
	struct deciding *d = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;

	d->one = done->approval->one;
	d->verdict = done->approval->verdict;
	if (error != OK)
		deciding_fail(d, error, err_message(&done->ctx, error));
	vault_request_free(done);
	if (error != OK)
		return;
	if (d->one.from[0] != '\0') { /* another office's ledger */
		if (d->verdict != APPROVAL_COUNTS)
			deciding_fail(d, ERR_DENIED, approval_verdict_text(d->verdict));
		else
			decide(d);
		return;
	}
	if (d->one.kind == APPROVAL_REPORT && d->approve && d->verdict == APPROVAL_COUNTS) {
		decide(d); /* the case first, then the ledger: keys/approvals.c */
		return;
	}
	ledger_write(d->rt, d->officer,
		approval_event(&d->one,
			d->verdict != APPROVAL_COUNTS ? "NOT_COUNTED"
			: d->approve                  ? "APPROVED"
						      : "REFUSED",
			d->one.who, d->officer),
		on_verdict_said, d);
}

void begin_approval_decide(
	struct control_request *request, const Sauti__ApprovalDecideRequest *message)
{
	const struct officer_session *officer = control_officer(request);
	struct vault_request *ask;
	struct deciding *d;

	if (!may_record(request))
		return;
	if (strlen(message->opening) > APPROVAL_ID_TEXT) {
		control_fail(request, ERR_INVALID, 0, "that is no id of an opening");
		return;
	}
	d = mem_zalloc(sizeof(*d));
	if (d == NULL)
		runtime_out_of_memory();
	d->request = request;
	d->rt = control_runtime(request);
	d->approve = message->approve;
	snprintf(d->officer, sizeof(d->officer), "%s", officer->name);
	ask = approval_ask(d->rt, APPROVAL_OP_JUDGE, on_judged, d);
	snprintf(ask->officer, sizeof(ask->officer), "%s", officer->name);
	snprintf(ask->approval->prefix, sizeof(ask->approval->prefix), "%s", message->opening);
	ask->approval->approve = message->approve;
	vault_submit(d->rt->vault, ask);
}

/* --- the victim was told --- */

static void on_victim_said(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct deciding *d = arg;

	if (error != OK) {
		deciding_fail(d, error, why);
		return;
	}
	answer_json(d->request, json_pack("{s:s}", "victim_told_on", d->one.victim_told_on), true);
	deciding_free(d);
}

static void on_victim(void *loop, struct vault_request *done)
{
	struct deciding *d = done->arg;
	enum err error = loop == NULL ? ERR_CANCELED : done->result;

	d->one = done->approval->one;
	if (error != OK)
		deciding_fail(d, error, err_message(&done->ctx, error));
	else
		ledger_write(d->rt, d->officer,
			approval_event(&d->one, "TOLD", d->officer, d->one.decider), on_victim_said,
			d);
	vault_request_free(done);
}

void begin_approval_told(struct control_request *request, const Sauti__ApprovalToldRequest *message)
{
	struct vault_request *ask;
	struct deciding *d;

	if (!may_record(request))
		return;
	if (strlen(message->opening) > APPROVAL_ID_TEXT || !vault_day_valid(message->on)) {
		control_fail(request, ERR_INVALID, 0, "an id of an opening and a day are needed");
		return;
	}
	d = mem_zalloc(sizeof(*d));
	if (d == NULL)
		runtime_out_of_memory();
	d->request = request;
	d->rt = control_runtime(request);
	snprintf(d->officer, sizeof(d->officer), "%s", control_officer(request)->name);
	ask = approval_ask(d->rt, APPROVAL_OP_VICTIM, on_victim, d);
	snprintf(ask->officer, sizeof(ask->officer), "%s", d->officer);
	snprintf(ask->approval->prefix, sizeof(ask->approval->prefix), "%s", message->opening);
	snprintf(ask->approval->one.victim_told_on, sizeof(ask->approval->one.victim_told_on), "%s",
		message->on);
	vault_submit(d->rt->vault, ask);
}

/* --- the list --- */

void begin_approval_list(struct control_request *request)
{
	struct vault_request *ask = vault_ask(request, VAULT_APPROVAL);

	if (ask == NULL)
		return;
	ask->approval = mem_zalloc(sizeof(*ask->approval));
	if (ask->approval == NULL)
		runtime_out_of_memory();
	ask->approval->op = APPROVAL_OP_LIST;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(control_runtime(request)->vault, ask);
}
