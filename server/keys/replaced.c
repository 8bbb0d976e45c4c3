#include "server/keys/replaced.h"

#include <stdio.h>

#include "certs/change.h"

/* A former machine may have opened logs that nobody showed here yet. */
enum { EPOCHS_UNKNOWN = 15 };

static bool last_of(const struct runtime *rt, size_t position, struct revoked_log *ret)
{
	struct engine_log log;
	struct note_key key;
	struct note note;

	engine_log_at(rt->engine, position, &log);
	if (log.checkpoint_size == 0 || !engine_log_key(rt->engine, position, &key) ||
		note_parse(log.checkpoint, &note, NULL) != OK ||
		note_verify(&note, &key, NULL) != OK)
		return false;
	snprintf(ret->origin, sizeof(ret->origin), "%.*s", LIMIT_ORIGIN, log.origin.text);
	ret->size = log.checkpoint_size;
	ret->root = log.root;
	for (size_t i = 0; i < note.count; i++)
		if (note.lines[i].id == key.id && bytes_equal_str(note.lines[i].name, key.name) &&
			note.lines[i].blob_size == ED25519_SIGNATURE_SIZE) {
			memcpy(ret->signature.b, note.lines[i].blob, ED25519_SIGNATURE_SIZE);
			return true;
		}
	return false;
}

/* The counter of a log of that node; false: it is another's, or a branch. */
static bool counter_of(const struct runtime *rt, size_t position, const char *node, uint32_t *ret)
{
	struct origin_parts parts;
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	if (origin_parse(bytes_str(log.origin.text), NULL, &parts) != OK ||
		!bytes_equal_str(parts.node, node))
		return false;
	*ret = parts.counter;
	return true;
}

void closing_collect(const struct runtime *rt, struct revocation *closing, uint32_t epoch)
{
	for (size_t i = 0;
		i < engine_log_count(rt->engine) && closing->log_count < LIMIT_EPOCHS_PER_NODE;
		i++) {
		uint32_t counter;

		if (counter_of(rt, i, closing->name, &counter) && counter <= epoch)
			closing->log_count += last_of(rt, i, &closing->logs[closing->log_count]);
	}
}

uint64_t closing_known(const struct runtime *rt, const struct revoked_log *listed)
{
	struct engine_log log;
	size_t position;

	if (!engine_log_find(rt->engine, bytes_str(listed->origin), &log, &position))
		return listed->size;
	return log.known > listed->size ? log.known : listed->size;
}

uint32_t replaced_epoch(const struct runtime *rt, const char *node)
{
	const struct member *member = directory_find(engine_directory(rt->engine), bytes_str(node));
	uint32_t newest = member == NULL || member->former == NULL ? 0 : member->former->epoch;

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		uint32_t counter;

		if (counter_of(rt, i, node, &counter) && counter > newest)
			newest = counter;
	}
	/* Whoever has the node's key may have made the last number there is. */
	return newest < UINT32_MAX - 1 - EPOCHS_UNKNOWN ? newest + EPOCHS_UNKNOWN : UINT32_MAX - 1;
}

enum err replaced_entry(
	const struct runtime *rt, const struct replacing *replacing, struct buf *out)
{
	struct revoked_log logs[LIMIT_EPOCHS_PER_NODE];
	struct replacement replacement = {.epoch = replacing->epoch,
		.admitted = replacing->admitted,
		.admitted_signature = replacing->admitted_signature,
		.closing = {.logs = logs, .revoked_at = runtime_wall_s()}};
	struct revocation *closing = &replacement.closing;
	CLEANUP(buf_release) struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	if (rt->keys == NULL)
		return ERR_LOCKED;
	snprintf(closing->name, sizeof(closing->name), "%s", replacing->node);
	snprintf(closing->reason, sizeof(closing->reason), "%s", replacing->reason);
	closing_collect(rt, closing, replacing->epoch);
	TRY(replacement_body(&body, rt->genesis.network, &replacement));
	return record_write(
		out, SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED, buf_bytes(&body), rt->keys->node);
}
