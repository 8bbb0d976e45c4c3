/* Questions about cases that the vault answers without opening any. */
#include <stdio.h>

#include "base/alloc.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/safe.h"

/* What each mirror that counts holds. */
static void held_by_each(const struct runtime *rt, size_t position, struct vault_held *ret)
{
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	for (size_t i = 0; i < log.cosigned; i++) {
		struct engine_cosigned c;

		engine_cosigned_at(rt->engine, position, i, &c);
		if (!c.witness && strcmp(c.node, rt->node) != 0 &&
			directory_counts(engine_directory(rt->engine), c.node))
			ret->mirrors[ret->mirror_count++] = c.size;
	}
}

static bool is_of_this_node(const struct runtime *rt, size_t position)
{
	struct engine_log log;
	struct origin_parts parts;

	engine_log_at(rt->engine, position, &log);
	return log_name_parse(bytes_str(log.origin.text), NULL, NULL, &parts) == OK &&
	       bytes_equal_str(parts.node, rt->node);
}

/* How far the quorum holds each log of this node. */
enum err control_held(const struct runtime *rt, struct vault_request *ask)
{
	size_t logs = engine_log_count(rt->engine), count = 0;
	struct engine_quorum quorum;

	for (size_t i = 0; i < logs; i++)
		count += is_of_this_node(rt, i);
	if (count == 0)
		return OK;
	ask->held = mem_array(count, sizeof(*ask->held));
	if (ask->held == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < logs; i++) {
		struct vault_held *held = &ask->held[ask->held_count];

		if (!is_of_this_node(rt, i))
			continue;
		engine_quorum_at(rt->engine, i, &quorum);
		*held = (struct vault_held){
			.size = quorum.size, .policy = safe_reach(rt, i), .needed = quorum.needed};
		snprintf(held->origin, sizeof(held->origin), "%s",
			engine_log_origin(rt->engine, i)->text);
		held_by_each(rt, i, held);
		ask->held_count++;
	}
	return OK;
}

/* Since when a peer has been lacking entries of the log that is written now; 0: nobody has said. */
static uint64_t unheld_since(const struct runtime *rt)
{
	uint64_t since_s = 0;
	struct engine_log log;
	struct engine_lag lag;
	size_t position;

	if (rt->keys == NULL ||
		!engine_log_find(rt->engine, bytes_str(rt->keys->log_origin), &log, &position))
		return 0;
	for (size_t i = 0; i < engine_peer_count(rt->engine); i++)
		if (engine_peer_lag(rt->engine, i, position, &lag) && lag.since_s != 0 &&
			(since_s == 0 || lag.since_s < since_s))
			since_s = lag.since_s;
	return since_s;
}

void submit_query(struct control_request *request, struct vault_request *ask)
{
	struct runtime *rt = control_runtime(request);

	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	ask->unheld_since_s = unheld_since(rt);
	if (control_held(rt, ask) != OK) {
		vault_request_free(ask);
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	vault_submit(rt->vault, ask);
}

static bool fits(struct control_request *request, const char *name, const char *text, size_t size)
{
	char message[100];

	if (strlen(text) < size)
		return true;
	snprintf(message, sizeof(message), "%s: longer than %zu bytes", name, size - 1);
	control_fail(request, ERR_INVALID, 0, message);
	return false;
}

static bool day_good(struct control_request *request, const char *name, const char *day)
{
	char message[100];

	if (day[0] == '\0' || vault_day_valid(day))
		return true;
	snprintf(message, sizeof(message), "%s: allowed is a day of the calendar, as YYYY-MM-DD",
		name);
	control_fail(request, ERR_INVALID, 0, message);
	return false;
}

static bool stage_good(struct control_request *request, const char *stage)
{
	if (stage[0] == '\0' || vault_stage_valid(stage))
		return true;
	control_fail(request, ERR_INVALID, 0,
		"stage: allowed is one of introduction, assessment, planning, implementation, "
		"follow-up, closed");
	return false;
}

void begin_case_find(struct control_request *request, const Sauti__CaseFindRequest *message)
{
	struct vault_request *ask;
	struct vault_find *find;

	if (!fits(request, "code", message->code, sizeof(find->code)) ||
		!fits(request, "officer", message->officer, sizeof(find->officer)) ||
		!stage_good(request, message->stage) ||
		!day_good(request, "due_before", message->due_before))
		return;
	ask = vault_ask(request, VAULT_FIND);
	if (ask == NULL)
		return;
	find = &ask->find;
	snprintf(find->code, sizeof(find->code), "%s", message->code);
	snprintf(find->officer, sizeof(find->officer), "%s", message->officer);
	snprintf(find->stage, sizeof(find->stage), "%s", message->stage);
	snprintf(find->due_before, sizeof(find->due_before), "%s", message->due_before);
	find->open_claims = message->open_claims;
	find->open_referrals = message->open_referrals;
	find->imminent = message->imminent;
	submit_query(request, ask);
}

void begin_case_today(struct control_request *request, const Sauti__CaseTodayRequest *message)
{
	struct vault_request *ask;

	if (!day_good(request, "on", message->on))
		return;
	ask = vault_ask(request, VAULT_TODAY);
	if (ask == NULL)
		return;
	snprintf(ask->today, sizeof(ask->today), "%s", message->on);
	submit_query(request, ask);
}
