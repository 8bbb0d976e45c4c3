/* The node's own prekeys: numbers and times, no key. */
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/mail.h"

static json_t *time_or_null(uint64_t seconds)
{
	return seconds == 0 ? json_null() : json_integer((json_int_t)seconds);
}

/* One that is not gone says when it will be, if nothing else comes up. */
static json_t *state_json(const struct prekey_state *state, bool newest)
{
	const char *name = state->gone_at != 0      ? "destroyed"
			   : state->retired_at != 0 ? "retired"
			   : newest                 ? "newest"
						    : "replaced";
	uint64_t due = state->gone_at == 0 && state->retired_at != 0
			       ? state->retired_at + PREKEY_KEPT_S
			       : 0;

	return json_pack("{s:I,s:s,s:I,s:o,s:o,s:o}", "number", (json_int_t)state->number, "state",
		name, "made_at", (json_int_t)state->made_at, "retired_at",
		time_or_null(state->retired_at), "destroy_at", time_or_null(due), "destroyed_at",
		time_or_null(state->gone_at));
}

void begin_node_prekeys(struct control_request *request)
{
	const struct runtime *rt = control_runtime(request);

	if (rt->keys == NULL) {
		control_fail(request, ERR_LOCKED, 0,
			"the node must be unlocked to say which prekeys it has");
		return;
	}
	for (size_t i = 0; i < rt->keys->prekeys.count; i++)
		answer_json(request,
			state_json(&rt->keys->prekeys.list[i], i + 1 == rt->keys->prekeys.count),
			false);
	control_end(request, BYTES_NONE);
}

/* null while the node is locked. */
json_t *prekeys_status_json(struct runtime *rt)
{
	const struct prekey_table *table;
	json_int_t retired = 0, gone = 0;
	uint64_t next_gone = 0;

	if (rt->keys == NULL)
		return json_null();
	table = &rt->keys->prekeys;
	for (size_t i = 0; i < table->count; i++) {
		const struct prekey_state *state = &table->list[i];

		gone += state->gone_at != 0;
		if (state->gone_at != 0 || state->retired_at == 0)
			continue;
		retired++;
		if (next_gone == 0 || state->retired_at + PREKEY_KEPT_S < next_gone)
			next_gone = state->retired_at + PREKEY_KEPT_S;
	}
	return json_pack("{s:I,s:o,s:b,s:o,s:I,s:I,s:I,s:o,s:b}", "number",
		(json_int_t)rt->keys->prekey.number, "made_at",
		time_or_null(rt->keys->prekey.made_at), "held_by_peer", prekeys_held(rt), "next_at",
		time_or_null(prekeys_next_at(table)), "kept", (json_int_t)prekeys_kept(table),
		"retired", retired, "destroyed", gone, "next_destroyed_at", time_or_null(next_gone),
		"full", prekeys_due(rt).full);
}
