/* Sharing a case with another office; who holds what of it; mail that was refused. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/group.h"
#include "cases/schema/codes.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/grants.h"
#include "server/keys/refused.h"
#include "server/mail.h"

/* ---- sharing ---- */

static enum err check_recipient(const struct runtime *rt, const char *to, struct errctx *ctx)
{
	const struct member *member = directory_find(engine_directory(rt->engine), bytes_str(to));

	if (strcmp(to, rt->node) == 0)
		return err_set(ctx, ERR_INVALID, "--to: '%s' is this node itself", rt->node);
	if (member == NULL)
		return err_set(ctx, ERR_NOTFOUND, "--to: no node of that name is in the directory");
	if (member->active && rt->keys != NULL)
		TRY(trust_check(&rt->keys->trust, member->name, &member->node, ctx));
	if (grants_held_back(rt, to)[0] != '\0')
		return err_set(ctx, ERR_DENIED, "nothing can be given to '%s': %s", member->name,
			grants_held_back(rt, to));
	return OK;
}

static enum err read_groups(
	const Sauti__CaseShareRequest *message, uint16_t *ret, struct errctx *ctx)
{
	group_set groups = 0;

	for (size_t i = 0; i < message->n_groups; i++) {
		enum group group = group_find(bytes_str(message->groups[i]));

		if (!group_of_case(group))
			return err_set(ctx, ERR_INVALID,
				"--groups: the %zu. is no data group of a case: consent, core, "
				"contact, identity, services, health, allegation, paternity, "
				"protection, note",
				i + 1);
		groups |= GROUP_BIT(group);
	}
	*ret = groups;
	return OK;
}

static enum err read_wish(const struct runtime *rt, const Sauti__CaseShareRequest *message,
	struct vault_grant *grant, struct errctx *ctx)
{
	const struct code_list *purposes = code_list_find(bytes_str("purposes"));
	const struct code *purpose = code_guess(purposes, bytes_str(message->purpose));

	if (rt->mail->store == NULL)
		return err_set(ctx, ERR_IO,
			"the mail store could not be opened: see 'sauti status'; nothing was "
			"given");
	TRY(check_recipient(rt, message->to, ctx));
	if (purpose == NULL)
		return err_set(ctx, ERR_INVALID,
			"--purpose: allowed is REFERRAL, INVESTIGATION, PATERNITY, TRANSFER, "
			"CASE_MGMT, ATTACH_EVIDENCE or MEDIA");
	if (message->until[0] != '\0' && !vault_day_valid(message->until))
		return err_set(ctx, ERR_INVALID, "--until: allowed is a day, YYYY-MM-DD");
	TRY(read_groups(message, &grant->groups, ctx));
	snprintf(grant->to, sizeof(grant->to), "%s", message->to);
	snprintf(grant->purpose, sizeof(grant->purpose), "%s", purpose->name);
	snprintf(grant->until, sizeof(grant->until), "%s", message->until);
	grant->history = message->history;
	return OK;
}

void begin_case_share(struct control_request *request, const Sauti__CaseShareRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct vault_request *ask;
	struct errctx ctx = {""};
	enum err err;

	ask = may_record(request) ? ask_named(request, VAULT_GRANT, message->case_) : NULL;
	if (ask == NULL)
		return;
	ask->grant = grants_ask(rt);
	err = read_wish(rt, message, ask->grant, &ctx);
	if (err != OK) {
		vault_request_free(ask);
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(rt->vault, ask);
}

struct sharing {
	struct control_request *request;
	struct vault_grant grant; /* without its recipients */
	char origin[LIMIT_LOG_NAME + 1];
};

static json_t *groups_json(group_set groups)
{
	json_t *list = json_array();

	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if ((groups & GROUP_BIT(g)) != 0)
			json_array_append_new(list, json_string(group_name((enum group)g)));
	return list;
}

static void on_granted(void *arg, enum err error, const char *why, uint64_t index)
{
	struct sharing *sharing = arg;
	struct runtime *rt = control_runtime(sharing->request);
	const struct vault_grant *grant = &sharing->grant;
	struct errctx ctx = {""};

	if (error != OK) {
		err_set(&ctx, error, "nothing was given: the ledger could not be written: %s", why);
		control_fail(sharing->request, error, 0, ctx.text);
	} else {
		answer_json(sharing->request,
			json_pack("{s:s,s:s,s:o,s:s,s:s,s:b,s:s,s:I,s:s,s:I,s:o}", "grant",
				grant->event_id, "to", grant->to, "groups",
				groups_json(grant->groups), "purpose", grant->purpose, "until",
				grant->until, "history", grant->history, "consent_ref",
				grant->consent, "keys", (json_int_t)grant->keys, "log",
				sharing->origin, "index", (json_int_t)index, "message",
				json_text_or_null(grants_held_back(rt, grant->to))),
			true);
		grants_kick(rt);
	}
	mem_free(sharing);
}

void done_case_share(struct control_request *request, struct vault_request *done)
{
	struct sharing *sharing = mem_zalloc(sizeof(*sharing));

	if (sharing == NULL)
		runtime_out_of_memory();
	sharing->request = request;
	sharing->grant = *done->grant;
	sharing->grant.recipients = NULL;
	snprintf(sharing->origin, sizeof(sharing->origin), "%s", done->log_origin);
	grants_append(control_runtime(request), done, on_granted, sharing);
}

/* ---- who holds what ---- */

static void on_settled(void *arg)
{
	struct vault_request *ask = arg;
	struct control_request *request = ask->arg;

	vault_submit(control_runtime(request)->vault, ask);
}

/* Once what is under way has happened: whoever has just withdrawn a consent sees what follows. */
void begin_case_shares(struct control_request *request, const Sauti__CaseSharesRequest *message)
{
	struct vault_request *ask = ask_named(request, VAULT_GRANT_SHOW, message->case_);

	if (ask == NULL)
		return;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	grants_settled(control_runtime(request), on_settled, ask);
}

/* ---- refused ---- */

void begin_mail_refused(struct control_request *request)
{
	const struct runtime *rt = control_runtime(request);
	json_t *json;

	for (size_t i = 0; (json = refused_json(rt, i)) != NULL; i++)
		answer_json(request, json, false);
	control_end(request, BYTES_NONE);
}
