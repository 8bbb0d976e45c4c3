/*
 * A packet for an organisation without a node. Happy path: the vault looks at the consent and makes
 * the page; EXTERNAL_PACKET is recorded in the case; EXPORT_MADE, with the hash of the page and the
 * consent it rests on, goes into the ledger; then the first byte leaves.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/group.h"
#include "cases/schema/codes.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/ledger.h"
#include "server/record.h"

struct packing {
	struct control_request *request;
	struct vault_request *done; /* whose file it is */
	struct giving giving;
};

static void packing_free(void *arg)
{
	struct packing *p = arg;

	vault_request_free(p->done);
	mem_free(p);
}

static void fail(struct packing *p, enum err error, const char *what, const char *why)
{
	struct errctx ctx = {""};

	err_set(&ctx, error, "%s: %s", what, why);
	control_fail(p->request, error, 0, ctx.text);
	packing_free(p);
}

/* --- asking --- */

enum err groups_read(char *const *names, size_t count, uint16_t *ret)
{
	group_set groups = 0;

	for (size_t i = 0; i < count; i++) {
		enum group group = group_find(bytes_str(names[i]));

		if (!group_of_case(group))
			return ERR_INVALID;
		groups |= GROUP_BIT(group);
	}
	*ret = groups;
	return OK;
}

json_t *groups_list_json(uint16_t groups)
{
	json_t *list = json_array();

	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if ((groups & GROUP_BIT(g)) != 0)
			json_array_append_new(list, json_string(group_name((enum group)g)));
	return list;
}

static const char *check_request(
	const Sauti__CasePacketRequest *message, struct vault_packet *packet)
{
	const struct code *format =
		code_guess(code_list_find(bytes_str("packet_formats")), bytes_str(message->format));
	const struct code *purpose =
		code_guess(code_list_find(bytes_str("purposes")), bytes_str(message->purpose));
	size_t size = strlen(message->recipient);

	if (format == NULL)
		return "the format is not known; allowed are encrypted-file and paper";
	if (message->purpose[0] != '\0' && purpose == NULL)
		return "the purpose is none that is consented to";
	if (size == 0 || size >= sizeof(packet->recipient))
		return "say for which organisation, in at most 128 bytes";
	if (groups_read(message->groups, message->n_groups, &packet->groups) != OK)
		return "a data group is not known";
	snprintf(packet->format, sizeof(packet->format), "%s", format->name);
	snprintf(packet->purpose, sizeof(packet->purpose), "%s",
		purpose == NULL ? "" : purpose->name);
	memcpy(packet->recipient, message->recipient, size + 1);
	return NULL;
}

void begin_case_packet(struct control_request *request, const Sauti__CasePacketRequest *message)
{
	struct vault_request *ask;
	const char *wrong;

	if (!may_record(request))
		return;
	if (!control_export_begin(request)) {
		control_fail(request, ERR_BUSY, 0,
			"as many exports as may be at a time are under way: try again when one has "
			"ended");
		return;
	}
	ask = vault_ask(request, VAULT_PACKET);
	if (ask == NULL)
		return;
	ask->packet = mem_zalloc(sizeof(*ask->packet));
	if (ask->packet == NULL)
		runtime_out_of_memory();
	wrong = check_request(message, ask->packet);
	if (wrong == NULL && strlen(message->case_) >= sizeof(ask->name))
		wrong = "the case's name is too long";
	if (wrong != NULL) {
		vault_request_free(ask);
		control_fail(request, ERR_INVALID, 0, wrong);
		return;
	}
	snprintf(ask->name, sizeof(ask->name), "%s", message->case_);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(control_runtime(request)->vault, ask);
}

/* --- sending --- */

static void on_ledgered(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct packing *p = arg;
	const struct vault_packet *packet = p->done->packet;
	char hash[2 * HASH_SIZE + 1];

	if (error != OK) {
		fail(p, error, "nothing was given out: the ledger could not be written", why);
		return;
	}
	hex_encode(hash_bytes(&p->done->file_hash), hash);
	answer_json(p->request,
		json_pack("{s:s,s:o,s:I,s:I,s:s,s:s,s:s,s:s,s:I}", "packet", packet->id, "groups",
			groups_list_json(packet->groups), "events", (json_int_t)p->done->events,
			"bytes", (json_int_t)p->done->file.size, "file_hash", hash, "consent_ref",
			packet->consent, "until", packet->until, "log", place->origin, "index",
			(json_int_t)place->index),
		false);
	p->giving = (struct giving){p->request, buf_bytes(&p->done->file), packing_free, p, 0};
	give_file(&p->giving);
}

/* --- case and ledger --- */

static json_t *ledger_event(const struct packing *p)
{
	const struct vault_request *done = p->done;
	char hash[2 * HASH_SIZE + 1], ref[2 * VAULT_REF_SIZE + 1];

	hex_encode(hash_bytes(&done->file_hash), hash);
	hex_encode(bytes_make(done->refs.data, VAULT_REF_SIZE), ref);
	return json_pack("{s:s,s:s,s:s,s:[s],s:i,s:o,s:s,s:s,s:s}", "type", "EXPORT_MADE", "who",
		done->officer, "format", "PACKET", "cases", ref, "case_count", 1, "groups",
		groups_list_json(done->groups), "file_hash", hash, "recipient",
		done->packet->recipient, "consent_ref", done->packet->consent);
}

static void on_recorded(void *arg, enum err error, const char *why)
{
	struct packing *p = arg;

	if (error != OK)
		fail(p, error, "nothing was given out: the case could not be written", why);
	else
		ledger_write(control_runtime(p->request), p->done->officer, ledger_event(p),
			on_ledgered, p);
}

void done_case_packet(struct control_request *request, struct vault_request *done)
{
	struct record_who who = {done->officer, done->roles};
	struct packing *p = mem_zalloc(sizeof(*p));

	if (p == NULL)
		runtime_out_of_memory();
	*p = (struct packing){.request = request, .done = done};
	record_events(control_runtime(request), &who, &done->packet->line, on_recorded, p);
}
