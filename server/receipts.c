#include "server/receipts.h"

#include "base/alloc.h"
#include "certs/record_receipt.h"
#include "server/control/control.h"
#include "server/internal.h"
#include "server/log.h"
#include "server/mail.h"

struct vault_request *receipts_ask(const struct runtime *rt, enum vault_receipts_op op, void *arg)
{
	struct vault_request *ask = vault_request_new(VAULT_RECEIPTS, arg);

	if (ask == NULL)
		return NULL;
	ask->receipts = mem_zalloc(sizeof(*ask->receipts));
	if (ask->receipts == NULL || control_held(rt, ask) != OK) {
		vault_request_free(ask);
		return NULL;
	}
	ask->receipts->op = op;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	return ask;
}

static void on_appended(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	(void)index; /* the vault looks for it itself, as it does after a crash */
	rt->receipts.appending = false;
	if (error == OK)
		receipts_tick(rt);
	else if (error != ERR_CANCELED)
		log_line(LOG_WARNING, "the batch of receipts could not be written: %s",
			err_text(error));
}

/* What the vault said is being written; whether it was is seen by what the log has. */
static void append(struct runtime *rt, struct vault_request *done)
{
	CLEANUP(buf_release) struct buf entry;
	struct entries *entries;
	struct bytes list;
	enum err err;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = receipt_tags_write(&entry, buf_bytes(&done->receipts->body), rt->keys->node);
	list = buf_bytes(&entry);
	if (err == OK)
		err = entries_make(&list, 1, &entries);
	if (err != OK) {
		log_line(LOG_WARNING, "the batch of receipts could not be made: %s", err_text(err));
		return;
	}
	rt->receipts.appending = true;
	runtime_append(rt, done->log_origin, entries, on_appended, rt);
}

static void on_step(void *loop, struct vault_request *done)
{
	struct runtime *rt = loop;

	if (rt != NULL) {
		rt->receipts.asking = false;
		if (done->trouble != TROUBLE_NONE)
			runtime_disk_failed(rt, err_message(&done->ctx, done->result));
		else if (done->result != OK && done->result != ERR_LOCKED &&
			 done->result != ERR_CANCELED)
			log_line(
				LOG_WARNING, "receipts: %s", err_message(&done->ctx, done->result));
		/* The node may have been locked, and another log opened, since. */
		if (done->result == OK && done->receipts->body.size > 0 && rt->keys != NULL &&
			!rt->stopping && strcmp(rt->keys->log_origin, done->log_origin) == 0)
			append(rt, done);
	}
	vault_request_free(done);
}

void receipts_tick(struct runtime *rt)
{
	struct vault_request *ask;
	struct engine_log log;
	size_t position;

	if (rt->stopping || rt->keys == NULL || rt->opening || rt->receipts.asking ||
		rt->receipts.appending ||
		!engine_log_find(rt->engine, bytes_str(rt->keys->log_origin), &log, &position) ||
		!log.open || log.size == 0)
		return;
	ask = receipts_ask(rt, RECEIPTS_STEP, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	ask->answered = on_step;
	ask->node_s = rt->mail == NULL ? ask->now_s : prekeys_now(rt);
	ask->receipts->writable =
		guard_state_writable(&rt->guard_state) && rt->condition.trouble == TROUBLE_NONE;
	rt->receipts.asking = true;
	vault_submit(rt->vault, ask);
}
