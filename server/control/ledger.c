/* What stands in the node's ledger, or in another's whose key was given to this one. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/control/internal.h"
#include "server/internal.h"

void begin_ledger_list(struct control_request *request, const Sauti__LedgerListRequest *message)
{
	const struct officer_session *officer = control_officer(request);
	struct vault_request *ask;

	if (message->views && (officer == NULL || (officer->roles & ACCOUNT_SUPERVISOR) == 0)) {
		control_fail(request, ERR_DENIED, 0,
			"who looked at which case is for the role supervisor alone");
		return;
	}
	if (message->node[0] != '\0' && !node_name_valid(bytes_str(message->node))) {
		control_fail(request, ERR_INVALID, 0, "--node: allowed is a node's name");
		return;
	}
	ask = vault_ask(request, VAULT_LEDGER_LIST);
	if (ask == NULL)
		return;
	ask->since_s = message->since;
	ask->with_views = message->views && message->node[0] == '\0';
	snprintf(ask->name, sizeof(ask->name), "%s", message->node);
	vault_submit(control_runtime(request)->vault, ask);
}

void done_ledger_list(struct control_request *request, struct vault_request *done)
{
	answer_json(request,
		json_pack("{s:I,s:I}", "events", (json_int_t)done->events, "left_out",
			(json_int_t)done->unread),
		false);
	answer_docs(request, done, done->docs);
}
