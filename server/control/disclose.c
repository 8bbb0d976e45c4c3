/*
 * The ledger for somebody who is to check it: the vault opens it and the consents that it cites;
 * that it was disclosed, to whom, and the hash of the file go into the ledger itself; and only when
 * that is durable the file goes to the client.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/ledger.h"

struct disclosing {
	struct control_request *request;
	struct buf file; /* keys */
	struct hash hash;
	uint64_t cases, entries;
	char officer[65], to[LIMIT_PURPOSE + 1], purpose[LIMIT_PURPOSE + 1];
	struct giving giving;
};

static void disclosing_free(void *arg)
{
	struct disclosing *d = arg;

	buf_wipe(&d->file);
	wipe(d, sizeof(*d));
	mem_free(d);
}

void begin_ledger_disclose(
	struct control_request *request, const Sauti__LedgerDiscloseRequest *message)
{
	struct vault_request *ask;

	if (message->to[0] == '\0' || strlen(message->to) > LIMIT_PURPOSE ||
		message->purpose[0] == '\0' || strlen(message->purpose) > LIMIT_PURPOSE) {
		control_fail(request, ERR_INVALID, 0,
			"say whom the ledger is disclosed to, and what for, in at most 200 bytes "
			"each");
		return;
	}
	ask = may_record(request) ? vault_ask(request, VAULT_DISCLOSE) : NULL;
	if (ask == NULL)
		return;
	snprintf(ask->to, sizeof(ask->to), "%s", message->to);
	snprintf(ask->purpose, sizeof(ask->purpose), "%s", message->purpose);
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	vault_submit(control_runtime(request)->vault, ask);
}

static void on_ledgered(
	void *arg, enum err error, const char *why, const struct ledger_place *place)
{
	struct disclosing *d = arg;
	struct errctx ctx = {""};
	char hash[2 * HASH_SIZE + 1];

	if (error != OK) {
		err_set(&ctx, error, "nothing was disclosed: the ledger could not be written: %s",
			why);
		control_fail(d->request, error, 0, ctx.text);
		disclosing_free(d);
		return;
	}
	hex_encode(hash_bytes(&d->hash), hash);
	answer_json(d->request,
		json_pack("{s:I,s:I,s:I,s:s,s:s,s:I}", "cases", (json_int_t)d->cases, "entries",
			(json_int_t)d->entries, "bytes", (json_int_t)d->file.size, "file_hash",
			hash, "ledger", place->origin, "ledger_index", (json_int_t)place->index),
		false);
	d->giving = (struct giving){d->request, buf_bytes(&d->file), disclosing_free, d, 0};
	give_file(&d->giving);
}

static json_t *event_json(const struct disclosing *d)
{
	char hash[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(&d->hash), hash);
	return json_pack("{s:s,s:s,s:s,s:I,s:[s],s:s,s:s,s:s}", "type", "EXPORT_MADE", "who",
		d->officer, "format", "DISCLOSURE", "case_count", (json_int_t)d->cases, "groups",
		"consent", "purpose", d->purpose, "file_hash", hash, "recipient", d->to);
}

void done_ledger_disclose(struct control_request *request, struct vault_request *done)
{
	struct disclosing *d = mem_zalloc(sizeof(*d));

	if (d == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	d->request = request;
	d->file = done->file;
	buf_init(&done->file, 0);
	d->hash = done->file_hash;
	d->cases = done->cases;
	d->entries = done->events;
	memcpy(d->officer, done->officer, sizeof(d->officer));
	memcpy(d->to, done->to, sizeof(d->to));
	memcpy(d->purpose, done->purpose, sizeof(d->purpose));
	ledger_write(control_runtime(request), d->officer, event_json(d), on_ledgered, d);
}
