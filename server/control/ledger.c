/* What stands in the node's ledger, or in another's whose key was given to this one. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/control/internal.h"
#include "server/internal.h"

struct listing {
	struct control_request *request;
	struct vault_request *done; /* whose documents go out */
	const struct vault_doc *next;
};

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

/* As fast as the client takes them: it may be many. */
static void send_more(void *arg, bool gone)
{
	struct listing *l = arg;

	for (size_t sent = 0; !gone && l->next != NULL && sent < 256 * 1024;
		l->next = l->next->next) {
		control_item(l->request, buf_bytes(&l->next->json));
		sent += l->next->json.size;
	}
	if (!gone && l->next != NULL) {
		control_sent(l->request, send_more, l);
		return;
	}
	control_end(l->request, BYTES_NONE);
	vault_request_free(l->done);
	mem_free(l);
}

void done_ledger_list(struct control_request *request, struct vault_request *done)
{
	struct listing *l = mem_zalloc(sizeof(*l));

	if (l == NULL)
		runtime_out_of_memory();
	*l = (struct listing){request, done, done->docs};
	answer_json(request,
		json_pack("{s:I,s:I}", "events", (json_int_t)done->events, "left_out",
			(json_int_t)done->unread),
		false);
	send_more(l, false);
}
