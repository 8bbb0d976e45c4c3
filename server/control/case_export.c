/*
 * Cases that leave the node as a file: the vault opens them and makes one text of them; the event
 * EXPORT_MADE, with the hash of the text, goes into the node's ledger; and only when it is durable
 * there, the first byte goes to the client, as fast as the client takes it.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/group.h"
#include "cases/schema/codes.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/ledger.h"

enum { REFS_NAMED = 64 };

struct exporting {
	struct control_request *request;
	struct buf file;
	struct buf refs; /* of the cases, VAULT_REF_SIZE each */
	struct hash hash;
	uint64_t cases, events;
	group_set groups;
	char format[16];
	char officer[65], purpose[LIMIT_PURPOSE + 1];
	struct giving giving;
};

static void exporting_free(void *arg)
{
	struct exporting *e = arg;

	buf_wipe(&e->file);
	buf_wipe(&e->refs);
	wipe(e, sizeof(*e));
	mem_free(e);
}

/* --- asking --- */

static const char *check_request(
	const Sauti__CaseExportRequest *message, const struct code **ret_format)
{
	const struct code_list *formats = code_list_find(bytes_str("export_formats"));
	size_t purpose = strlen(message->purpose);

	*ret_format = code_guess(formats, bytes_str(message->format));
	if (*ret_format == NULL)
		return "the format is not known; allowed are jsonl, csv and handover";
	if (purpose == 0 || purpose > LIMIT_PURPOSE)
		return "say what the export is for, in at most 200 bytes";
	if (message->n_cases > LIMIT_EXPORT_CASES)
		return "more than 4096 cases are named: name none, and all are exported";
	for (size_t i = 0; i < message->n_cases; i++)
		if (message->cases[i][0] == '\0' || strchr(message->cases[i], '\n') != NULL)
			return "a case's name is empty";
	return NULL;
}

void begin_case_export(struct control_request *request, const Sauti__CaseExportRequest *message)
{
	struct vault_request *ask;
	const struct code *format;
	const char *wrong = check_request(message, &format);

	if (wrong != NULL) {
		control_fail(request, ERR_INVALID, 0, wrong);
		return;
	}
	if (!control_export_begin(request)) {
		control_fail(request, ERR_BUSY, 0,
			"as many exports as may be at a time are under way: try again when one has "
			"ended");
		return;
	}
	ask = may_record(request) ? vault_ask(request, VAULT_CASE_EXPORT) : NULL;
	if (ask == NULL)
		return;
	for (size_t i = 0; i < message->n_cases; i++)
		buf_printf(&ask->lines, "%s\n", message->cases[i]);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	snprintf(ask->format, sizeof(ask->format), "%s", format->name);
	snprintf(ask->purpose, sizeof(ask->purpose), "%s", message->purpose);
	vault_submit(control_runtime(request)->vault, ask);
}

/* --- sending --- */

static json_t *groups_json(group_set groups)
{
	json_t *list = json_array();

	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if ((groups & GROUP_BIT(g)) != 0)
			json_array_append_new(list, json_string(group_name((enum group)g)));
	return list;
}

static json_t *head_json(const struct exporting *e, const struct ledger_place *place)
{
	char hash[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(&e->hash), hash);
	return json_pack("{s:s,s:I,s:I,s:o,s:I,s:s,s:s,s:I}", "format", e->format, "cases",
		(json_int_t)e->cases, "events", (json_int_t)e->events, "groups",
		groups_json(e->groups), "bytes", (json_int_t)e->file.size, "file_hash", hash, "log",
		place->origin, "index", (json_int_t)place->index);
}

static void on_ledgered(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct exporting *e = arg;
	struct errctx ctx = {""};

	if (error != OK) {
		err_set(&ctx, error, "nothing was exported: the ledger could not be written: %s",
			why);
		control_fail(e->request, error, 0, ctx.text);
		exporting_free(e);
		return;
	}
	answer_json(e->request, head_json(e, place), false);
	e->giving = (struct giving){e->request, buf_bytes(&e->file), exporting_free, e, 0};
	give_file(&e->giving);
}

/* --- the ledger --- */

static json_t *refs_json(const struct exporting *e)
{
	json_t *list = json_array();
	char text[2 * VAULT_REF_SIZE + 1];

	for (size_t at = 0; at < e->refs.size; at += VAULT_REF_SIZE) {
		hex_encode(bytes_make(e->refs.data + at, VAULT_REF_SIZE), text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* More cases than fit into a list are counted, not named. */
static json_t *event_json(const struct exporting *e)
{
	char hash[2 * HASH_SIZE + 1];
	json_t *json;

	hex_encode(hash_bytes(&e->hash), hash);
	json = json_pack("{s:s,s:s,s:s,s:I,s:o,s:s,s:s}", "type", "EXPORT_MADE", "who", e->officer,
		"format", e->format, "case_count", (json_int_t)e->cases, "groups",
		groups_json(e->groups), "purpose", e->purpose, "file_hash", hash);
	if (e->cases <= REFS_NAMED)
		json_object_set_new(json, "cases", refs_json(e));
	return json;
}

void done_case_export(struct control_request *request, struct vault_request *done)
{
	struct exporting *e = mem_zalloc(sizeof(*e));

	if (e == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	e->request = request;
	e->file = done->file;
	e->refs = done->refs;
	buf_init(&done->file, 0);
	buf_init(&done->refs, 0);
	e->hash = done->file_hash;
	e->cases = done->cases;
	e->events = done->events;
	e->groups = done->groups;
	snprintf(e->format, sizeof(e->format), "%s", done->format);
	snprintf(e->officer, sizeof(e->officer), "%s", done->officer);
	snprintf(e->purpose, sizeof(e->purpose), "%s", done->purpose);
	ledger_write(control_runtime(request), e->officer, event_json(e), on_ledgered, e);
}
