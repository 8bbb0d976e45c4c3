/*
 * Receipts of victims. Happy path of giving one: the vault draws the words, and the item is durable
 * in its keyring; RECEIPT_GIVEN is recorded in the case; only when that is durable the words leave,
 * in this one answer. They are in no log line and in no error.
 */
#include "server/receipts.h"

#include <stdio.h>

#include "base/alloc.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/record.h"

/* ---- asking ---- */

/* A request in the name of the officer who asks; NULL: answered. */
static struct vault_request *ask_receipts(
	struct control_request *request, enum vault_receipts_op op, const char *name)
{
	const struct runtime *rt = control_runtime(request);
	struct vault_request *ask = vault_ask(request, VAULT_RECEIPTS);
	struct vault_request *made;

	if (ask == NULL)
		return NULL;
	made = receipts_ask(rt, op, NULL);
	if (made == NULL)
		runtime_out_of_memory();
	ask->receipts = made->receipts;
	ask->held = made->held;
	ask->held_count = made->held_count;
	ask->now_ms = made->now_ms;
	ask->now_s = made->now_s;
	made->receipts = NULL;
	made->held = NULL;
	vault_request_free(made);
	if (strlen(name) >= sizeof(ask->name)) {
		vault_request_free(ask);
		control_fail(request, ERR_INVALID, 0, "the case's name is too long");
		return NULL;
	}
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	return ask;
}

static const char *check(const Sauti__CaseReceiptRequest *message)
{
	bool paper = strcmp(message->medium, "PAPER") == 0;

	if (!paper && strcmp(message->medium, "WORDS") != 0)
		return "medium: allowed are WORDS and PAPER";
	if (message->risk_discussed_on[0] != '\0' && !vault_day_valid(message->risk_discussed_on))
		return "risk_discussed_on: no day (YYYY-MM-DD)";
	if (paper && message->risk_discussed_on[0] == '\0')
		return "risk_discussed_on: missing; a receipt is put on paper only after the risk "
		       "was talked about";
	return NULL;
}

void begin_case_receipt(struct control_request *request, const Sauti__CaseReceiptRequest *message)
{
	const char *wrong = check(message);
	struct vault_request *ask;

	if (wrong != NULL) {
		control_fail(request, ERR_INVALID, 0, wrong);
		return;
	}
	ask = may_record(request) ? ask_receipts(request, RECEIPTS_MAKE, message->case_) : NULL;
	if (ask == NULL)
		return;
	snprintf(ask->receipts->medium, sizeof(ask->receipts->medium), "%s", message->medium);
	snprintf(ask->receipts->risk_on, sizeof(ask->receipts->risk_on), "%s",
		message->risk_discussed_on);
	vault_submit(control_runtime(request)->vault, ask);
}

void begin_case_receipts(struct control_request *request, const Sauti__CaseReceiptsRequest *message)
{
	struct vault_request *ask = ask_receipts(request, RECEIPTS_SHOW, message->case_);

	if (ask != NULL)
		vault_submit(control_runtime(request)->vault, ask);
}

/* ---- answering ---- */

struct giving_receipt {
	struct control_request *request;
	struct vault_request *done; /* whose words they are */
};

static void on_dropped(void *loop, struct vault_request *done)
{
	(void)loop;
	vault_request_free(done); /* what is not dropped goes into a batch, and nobody knows it */
}

static void drop(struct runtime *rt, const char event_id[37])
{
	struct vault_request *ask = receipts_ask(rt, RECEIPTS_DROP, NULL);

	if (ask == NULL)
		runtime_out_of_memory();
	ask->answered = on_dropped;
	memcpy(ask->receipts->event_id, event_id, sizeof(ask->receipts->event_id));
	vault_submit(rt->vault, ask);
}

static void on_recorded(void *arg, enum err error, const char *why)
{
	struct giving_receipt *g = arg;
	const struct vault_receipts *io = g->done->receipts;
	struct runtime *rt = control_runtime(g->request);
	struct errctx ctx = {""};

	if (error != OK) {
		err_set(&ctx, error, "no receipt was given: the case could not be written: %s",
			why);
		control_fail(g->request, error, 0, ctx.text);
		if (!rt->stopping)
			drop(rt, io->event_id);
	} else {
		answer_json(g->request,
			json_pack("{s:s,s:s,s:s,s:s,s:o}", "event_id", io->event_id, "medium",
				io->medium, "words", io->words, "state", "provisional", "due_at",
				io->due_s == 0 ? json_null() : json_integer((json_int_t)io->due_s)),
			true);
	}
	vault_request_free(g->done);
	mem_free(g);
}

void done_case_receipts(struct control_request *request, struct vault_request *done)
{
	struct record_who who = {done->officer, done->roles};
	struct giving_receipt *g;

	if (done->receipts->op == RECEIPTS_SHOW) {
		answer_docs(request, done, done->docs);
		return;
	}
	g = mem_zalloc(sizeof(*g));
	if (g == NULL)
		runtime_out_of_memory();
	*g = (struct giving_receipt){request, done};
	record_events(control_runtime(request), &who, &done->receipts->line, on_recorded, g);
}
