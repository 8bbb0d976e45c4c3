/*
 * Disputes (DESIGN 7): a node's signed word that a record of the directory about it is wrong. It is
 * in no log, since nothing of a revoked node's log is taken any more; so it travels by itself, is
 * accepted from anybody, and is verified by the node keys that the directory has and had of that
 *name, active or not. The first LIMIT_DISPUTES of each node are kept, for ever, and told to
 *everybody, each once in a session.
 *
 *	1. heard, or made here: verified, and not known yet (its id is the hash of the signed body:
 *	   whoever passes it on can add nothing)
 *	2. EFFECT_WRITE; once it is durable it is told, and its maker has its answer
 *
 * Failures: a bad signature is its sender's fault; of a node that is not known here nothing can be
 * said, and nothing is kept; a write that fails is tried again.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

static struct dispute *find(const struct engine *engine, const struct hash *id)
{
	for (size_t i = 0; i < engine->dispute_count; i++)
		if (hash_equal(&engine->disputes[i].id, id))
			return &engine->disputes[i];
	return NULL;
}

static size_t count_of(const struct engine *engine, const char *node)
{
	size_t count = 0;

	for (size_t i = 0; i < engine->dispute_count; i++)
		count += strcmp(engine->disputes[i].is.name, node) == 0;
	return count;
}

/* By its key, or one that it had: who was replaced says so with the key that was taken from it. */
static enum err signed_by(const struct member *member, const struct record *record)
{
	enum err err = node_check(&member->node, PURPOSE_DISPUTE, record->body, record->signature);

	for (const struct former *f = member->former; f != NULL && err == ERR_UNTRUSTED;
		f = f->former)
		err = node_check(&f->node, PURPOSE_DISPUTE, record->body, record->signature);
	return err;
}

/* OK; ERR_NOTFOUND: of a node that is not known here. */
static enum err judge(const struct engine *engine, struct bytes entry, struct arena *arena,
	struct dispute *ret, struct errctx *ctx)
{
	const struct member *member;
	struct record record;

	TRY(record_read(entry, arena, &record, ctx));
	if (record.type != SAUTI__RECORD_TYPE__RECORD_DISPUTE)
		return err_set(ctx, ERR_MALFORMED, "it is no dispute");
	TRY(disputed_read(record.body, arena, engine->network, &ret->is, ctx));
	member = directory_find(engine->directory, bytes_str(ret->is.name));
	if (member == NULL)
		return ERR_NOTFOUND;
	TRY(signed_by(member, &record));
	sha256(record.body, &ret->id);
	buf_init(&ret->entry, LIMIT_DISPUTE_SIZE);
	/* As it would be written here: nothing that was added on the way is kept. */
	enum err err = record_write_signed(
		&ret->entry, SAUTI__RECORD_TYPE__RECORD_DISPUTE, record.body, record.signature);

	if (err != OK)
		buf_release(&ret->entry);
	return err;
}

static void save(struct engine *engine, struct dispute *dispute)
{
	struct store_write *write = store_write_new(&engine->opts.directory);
	struct effect *effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);

	dispute->save_due_ms = 0;
	if (effect == NULL) {
		store_write_free(write);
		engine->nomem = true;
		return;
	}
	buf_put(&write->dispute, buf_bytes(&dispute->entry));
	engine->nomem |= write->dispute.err != OK;
	write->dispute_id = dispute->id;
	effect->write = write;
}

static struct dispute *add(struct engine *engine, const struct dispute *fresh)
{
	struct dispute *list =
		mem_resize(engine->disputes, (engine->dispute_count + 1) * sizeof(*list));

	if (list == NULL) {
		engine->nomem = true;
		return NULL;
	}
	engine->disputes = list;
	list[engine->dispute_count] = *fresh;
	return &list[engine->dispute_count++];
}

/* Takes in one; ret_new: it was not known. The caller knows no more of `fresh` afterwards. */
static enum err take(
	struct engine *engine, struct bytes entry, struct dispute **ret_new, struct errctx *ctx)
{
	struct dispute fresh = {0};
	struct arena arena;

	*ret_new = NULL;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = judge(engine, entry, &arena, &fresh, ctx);

	arena_release(&arena);
	if (err != OK)
		return err;
	if (find(engine, &fresh.id) != NULL)
		err = ERR_EXISTS;
	else if (count_of(engine, fresh.is.name) == LIMIT_DISPUTES)
		err = ERR_LIMIT;
	if (err == OK)
		*ret_new = add(engine, &fresh);
	if (*ret_new == NULL)
		buf_release(&fresh.entry);
	return err;
}

void dispute_loaded(struct engine *engine, struct bytes entry)
{
	struct dispute *dispute;
	enum err err = take(engine, entry, &dispute, NULL);

	if (dispute != NULL)
		dispute->stored = true;
	else if (err != ERR_EXISTS && err != ERR_LIMIT)
		effect_notice(engine, NOTICE_ALARM, "a stored dispute does not verify");
}

static void say(struct engine *engine, const struct dispute *dispute)
{
	effect_notice(engine, NOTICE_WARNING, "disputed by '%s': directory record %llu: %.120s",
		dispute->is.name, (unsigned long long)dispute->is.index, dispute->is.text);
}

void dispute_made(struct engine *engine, const struct event *event)
{
	struct dispute *dispute;
	enum err err = take(engine, event->entry, &dispute, NULL);

	if (dispute != NULL) {
		dispute->ticket = event->ticket;
		save(engine, dispute);
		return;
	}
	struct effect *effect = effect_add(engine, EFFECT_APPENDED);

	if (effect == NULL)
		return;
	effect->ticket = event->ticket;
	effect->error = err == OK ? ERR_NOMEM : err;
}

void dispute_heard(struct engine *engine, struct session *session, const Sauti__Dispute *message)
{
	struct errctx ctx = {""};
	struct dispute *dispute;
	enum err err = take(engine, codec_bytes(message->entry), &dispute, &ctx);

	if (err == ERR_NOMEM) {
		engine->nomem = true;
	} else if (err == ERR_MALFORMED || err == ERR_UNTRUSTED) {
		session_close(engine, session, NOTICE_WARNING,
			"a dispute that does not verify: %.80s", err_message(&ctx, err));
	} else if (dispute != NULL) {
		say(engine, dispute);
		save(engine, dispute);
	}
}

static void tell(struct engine *engine, struct session *session, const struct dispute *dispute)
{
	Sauti__Dispute message = SAUTI__DISPUTE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	message.entry = codec_binary(buf_bytes(&dispute->entry));
	frame.body_case = SAUTI__FRAME__BODY_DISPUTE;
	frame.dispute = &message;
	effect_send_class(engine, session, &frame, SEND_EVIDENCE);
}

/* In the order in which they came; one that is not durable yet holds up those behind it. */
void dispute_pump(struct engine *engine, struct session *session)
{
	while (session_talks(session) && session->told_disputes < engine->dispute_count &&
		engine->disputes[session->told_disputes].stored)
		tell(engine, session, &engine->disputes[session->told_disputes++]);
}

void dispute_written(struct engine *engine, const struct store_write *write)
{
	struct dispute *dispute = find(engine, &write->dispute_id);

	assert(dispute != NULL);
	if (write->result != OK) {
		dispute->save_due_ms = engine->now_ms + engine->opts.timing.retry_delay;
		return;
	}
	dispute->stored = true;
	if (dispute->ticket != 0) {
		struct effect *effect = effect_add(engine, EFFECT_APPENDED);

		if (effect != NULL)
			effect->ticket = dispute->ticket;
		dispute->ticket = 0;
	}
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		dispute_pump(engine, s);
}

void dispute_tick(struct engine *engine)
{
	for (size_t i = 0; i < engine->dispute_count; i++)
		if (engine->disputes[i].save_due_ms != 0 &&
			engine->disputes[i].save_due_ms <= engine->now_ms)
			save(engine, &engine->disputes[i]);
}

uint64_t dispute_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < engine->dispute_count; i++)
		if (engine->disputes[i].save_due_ms != 0 && engine->disputes[i].save_due_ms < due)
			due = engine->disputes[i].save_due_ms;
	return due;
}

void dispute_release(struct engine *engine)
{
	for (size_t i = 0; i < engine->dispute_count; i++)
		buf_release(&engine->disputes[i].entry);
	mem_free(engine->disputes);
}
