/* sauti case recall: who was given packets of a case; a letter that asks for them back. */
#include <stdio.h>
#include <string.h>

#include "cases/packet/recall.h"
#include "cli/args.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "cli/packet.h"
#include "cli/target.h"
#include "cli/wait.h"

enum { LETTER_MAX = 256 * 1024, PACKETS_MAX = 512 };

struct given {
	json_t *event;
	char id[EVENT_ID_TEXT + 1], to[SCHEMA_NAME_MAX + 1], on[11], recalled_on[11];
	char consent[SCHEMA_ID_MAX + 1]; /* "C-1" */
	bool live, paper;
};
struct recalling {
	struct cli *cli;
	const struct cli_args *args;
	struct case_view view;
	struct given packets[PACKETS_MAX];
	size_t count;
};

static void copy(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
}

/* A consent that is not found holds nothing. */
static void find_consent(const struct recalling *r, struct given *g)
{
	struct consent_view consent;
	struct output_buffer b;
	struct event_id id;

	if (event_id_parse(bytes_str(output_member(g->event, "consent_ref", &b)), &id) != OK)
		return;
	for (size_t n = 0; case_state_consent(r->view.state, n, r->view.today, &consent); n++)
		if (memcmp(consent.event.b, id.b, EVENT_ID_SIZE) == 0) {
			copy(g->consent, sizeof(g->consent), consent.id);
			g->live = consent.live;
		}
}

static void gather(struct recalling *r)
{
	struct output_buffer b;
	json_t *event;
	size_t i;

	json_array_foreach(r->view.events, i, event)
	{
		struct given *g = &r->packets[r->count];
		const json_t *recalled;

		if (r->count == PACKETS_MAX ||
			strcmp(output_member(event, "type", &b), "EXTERNAL_PACKET") != 0 ||
			output_member(event, "author", &b)[0] != '\0')
			continue;
		g->event = event;
		copy(g->id, sizeof(g->id), output_member(event, "event_id", &b));
		copy(g->to, sizeof(g->to), output_member(event, "recipient", &b));
		copy(g->on, sizeof(g->on), output_member(event, "occurred_on", &b));
		g->paper = strcmp(output_member(event, "format", &b), "PAPER") == 0;
		recalled = case_view_value(event, "recalled_on");
		if (json_is_string(recalled))
			copy(g->recalled_on, sizeof(g->recalled_on), json_string_value(recalled));
		find_consent(r, g);
		r->count++;
	}
}

/* --- the list --- */

static void groups_text(const json_t *event, char *ret, size_t size)
{
	const json_t *groups = json_object_get(event, "groups"), *group;
	size_t i, at = 0;

	ret[0] = '\0';
	json_array_foreach(groups, i, group) if (at < size) at +=
		(size_t)snprintf(ret + at, size - at, "%s%s", i == 0 ? "" : ",",
			json_is_string(group) ? json_string_value(group) : "?");
}

static enum err list(const struct recalling *r)
{
	static const char *const heads[] = {
		"PACKET", "TO", "GIVEN", "GROUPS", "CONSENT", "RECALLED"};
	CLEANUP(output_table_release) struct output_table table;

	output_table_init(&table, heads, 6);
	for (size_t i = 0; i < r->count; i++) {
		const struct given *g = &r->packets[i];
		char groups[160], consent[64];

		groups_text(g->event, groups, sizeof(groups));
		snprintf(consent, sizeof(consent), "%s %s", g->consent,
			g->live ? "live" : "holds no longer");
		const char *cells[] = {g->id, g->to, g->on, groups, consent,
			g->recalled_on[0] != '\0' ? g->recalled_on
			: g->live                 ? "-"
						  : "NOT YET"};

		output_table_add(&table, cells);
	}
	if (r->count == 0)
		printf("No packet of this case was given out.\n");
	else
		output_table_print(&table, stdout);
	return table.err;
}

static void list_json(const struct recalling *r)
{
	json_t *out = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct given *g = &r->packets[i];

		json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:O?,s:s,s:b,s:s,s:s}", "packet",
						   g->id, "to", g->to, "given_on", g->on, "groups",
						   json_object_get(g->event, "groups"), "consent",
						   g->consent, "consent_live", g->live, "format",
						   g->paper ? "PAPER" : "ENCRYPTED_FILE",
						   "recalled_on", g->recalled_on));
	}
	output_json(out);
	json_decref(out);
}

/* --- the letter --- */

static bool is_meant(const struct recalling *r, const struct given *g)
{
	const char *to = args_option(r->args, "to"), *id = args_option(r->args, "packet");

	return !g->live && (to == NULL || strcmp(to, g->to) == 0) &&
	       (id == NULL || strcmp(id, g->id) == 0);
}

/* A letter is to one organisation, and says nothing of others. */
static enum err choose(const struct recalling *r, struct recall *recall,
	struct recall_packet list[PACKETS_MAX], struct errctx *ctx)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct given *g = &r->packets[i];

		if (!is_meant(r, g))
			continue;
		if (recall->recipient != NULL && strcmp(recall->recipient, g->to) != 0)
			return err_set(ctx, ERR_INVALID,
				"packets went to more than one organisation: say which, with --to");
		recall->recipient = g->to;
		list[recall->count++] = (struct recall_packet){g->id, g->on, g->paper};
	}
	if (recall->count == 0)
		return err_set(ctx, ERR_NOTFOUND,
			"there is nothing to recall: no packet of this kind, or its consent is "
			"live");
	return OK;
}

/* Each is asked back once: a letter that is printed again changes nothing. */
static enum err note_recalled(const struct recalling *r, struct errctx *ctx)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct given *g = &r->packets[i];
		CLEANUP(daemon_json_release) json_t *event = NULL;
		struct import_counts counts;

		if (!is_meant(r, g) || g->recalled_on[0] != '\0')
			continue;
		event = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "type", "CORRECTION", "case_ref",
			r->view.ref, "occurred_on", r->view.today, "corrects", g->id, "field",
			"recalled_on", "new_value", r->view.today, "reason", "VICTIM_REQUEST");
		if (event == NULL)
			return ERR_NOMEM;
		if (r->view.office[0] != '\0')
			json_object_set_new(event, "office", json_string(r->view.office));
		TRY(case_event_append(r->cli, event, &counts, ctx));
	}
	return OK;
}

static enum err ask_status(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__StatusRequest status = SAUTI__STATUS_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_STATUS;
	request.status = &status;
	return daemon_call(cli, &request, ret, NULL, ctx);
}

static enum err letter(const struct recalling *r, const char *out, struct errctx *ctx)
{
	static struct recall_packet packets[PACKETS_MAX];
	struct target target = {.fd = -1, .path = strcmp(out, "-") == 0 ? NULL : out};
	struct recall recall = {.today = r->view.today, .packets = packets};
	CLEANUP(daemon_json_release) json_t *status = NULL;
	struct output_buffer node, network;
	struct buf text;
	enum err err;

	TRY(choose(r, &recall, packets, ctx));
	TRY(ask_status(r->cli, &status, ctx));
	recall.node = output_member(status, "node", &node);
	recall.network = output_member(status, "network", &network);
	buf_init(&text, LETTER_MAX);
	recall_write(&recall, &text);
	err = text.err == OK ? target_open(&target, ctx) : text.err;
	if (err == OK)
		err = note_recalled(r, ctx);
	if (err == OK)
		err = target_put(&target, buf_bytes(&text), ctx);
	if (err == OK)
		err = target_commit(&target, ctx);
	target_release(&target);
	buf_release(&text);
	if (err != OK)
		return err;
	err = wait_end(r->cli, ctx);
	cli_note(r->cli, "%zu packet%s: print the letter and send it; that it was made: %s",
		recall.count, recall.count == 1 ? "" : "s", wait_state(r->cli));
	return err;
}

enum err case_recall_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static struct recalling r;
	const char *out = args_option(args, "out");
	enum err err;

	r = (struct recalling){.cli = cli, .args = args};
	TRY(case_view_load(cli, args_at(args, 0), &r.view, ctx));
	gather(&r);
	if (out != NULL)
		err = letter(&r, out, ctx);
	else if (cli->json)
		list_json(&r), err = OK;
	else
		err = list(&r);
	case_view_release(&r.view);
	return err;
}

const struct cli_option case_recall_options[] = {
	{"out", "FILE", "the letter, a page to print; '-': standard output", false},
	{"to", "NAME", "the organisation the letter is to", false},
	{"packet", "ID", "about this packet alone", false},
	WAIT_OPTIONS,
	{0},
};
