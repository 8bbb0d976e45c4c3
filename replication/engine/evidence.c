/*
 * Forks of logs: found, proven, told, kept.
 *
 *	1. Somebody shows a signed checkpoint (Have, Prove). Of the size of one that is held here:
 *	   compared at once. Smaller: the own tree is asked for its root at that size (EFFECT_READ),
 *	   once for each checkpoint that is not known yet; until then that session's stream waits,
 *so that who is on another branch hears Evidence before a batch that it cannot prove.
 *	2. A batch does not prove against what is held here. Its sender may be on another branch,
 *and honest: it is asked (Prove) whether the signed checkpoints that stand behind the entries held
 *here are part of its tree. It answers with Evidence, or proves that they are (Proved): then its
 *batch was a lie, as when it says nothing. When it cannot tell, nobody is blamed.
 *	3. What contradicts becomes evidence (replication/log/evidence.h). The log is frozen, and
 *the evidence goes to every peer, also to those that come later, and to the store. It is verified
 *before it is believed; forged evidence closes the session.
 *
 * What may be asked of whom, and how many evidences are kept, has caps; an author who forks costs
 * no more than that.
 */
#include <stdio.h>

#include "replication/engine/internal.h"
#include "replication/log/evidence.h"

/* Bytes of evidence that wait for a session's link. */
enum { AHEAD = 256 * 1024 };

static void asked_check(struct engine *engine, struct session *session);

/* ---- what is kept ---- */

static bool is_known(const struct engine *engine, const struct hash *id)
{
	for (size_t i = 0; i < engine->evidence_count; i++)
		if (hash_equal(&engine->evidence[i].id, id))
			return true;
	return false;
}

size_t evidence_count(const struct engine *engine, size_t log)
{
	size_t count = 0;

	for (size_t i = 0; i < engine->evidence_count; i++)
		count += engine->evidence[i].log == log;
	return count;
}

static void save(struct engine *engine, struct evidence_item *item)
{
	struct store_write *write = store_write_new(&engine->logs[item->log]->origin);
	struct effect *effect = write == NULL ? NULL : effect_add(engine, EFFECT_WRITE);

	if (effect == NULL) {
		store_write_free(write);
		engine->nomem = true;
		return;
	}
	buf_put(&write->evidence, buf_bytes(&item->message));
	engine->nomem |= write->evidence.err != OK;
	write->evidence_id = item->id;
	effect->write = write;
	item->save_due_ms = 0;
}

/* NULL: there are enough, or memory is short. */
static struct evidence_item *keep(struct engine *engine, const struct elog *log,
	const struct evidence *evidence, const struct hash *id)
{
	struct evidence_item *list;
	size_t count = evidence_count(engine, log->position);

	/* The first of a log always has room: there are no more of them than logs. */
	if (count >= LIMIT_EVIDENCE_PER_ORIGIN ||
		(count > 0 && engine->evidence_count >= LIMIT_EVIDENCE))
		return NULL;
	list = mem_resize(engine->evidence, (engine->evidence_count + 1) * sizeof(*list));
	if (list == NULL) {
		engine->nomem = true;
		return NULL;
	}
	engine->evidence = list;
	struct evidence_item *item = &list[engine->evidence_count++];

	*item = (struct evidence_item){.id = *id, .log = log->position, .stored = !engine->started};
	buf_init(&item->message, LIMIT_EVIDENCE_SIZE);
	evidence_write(evidence, &item->message);
	engine->nomem |= item->message.err != OK;
	return item;
}

/* from: who sent it; NULL: found here, or stored. */
static void take(struct engine *engine, struct elog *log, const struct evidence *evidence,
	const char *by, struct session *from)
{
	struct evidence_item *item;
	struct hash id;

	evidence_id(evidence, &id);
	if (is_known(engine, &id))
		return;
	item = keep(engine, log, evidence, &id);
	log_forked(engine, log, by);
	if (item != NULL && evidence_count(engine, log->position) == 1)
		branch_found(engine, log, evidence);
	if (item == NULL || !engine->started)
		return;
	effect_notice(engine, NOTICE_INFO,
		"log '%s': evidence of a fork: sizes %llu and %llu are both signed",
		log->origin.text, (unsigned long long)evidence->smaller.size,
		(unsigned long long)evidence->larger.size);
	save(engine, item);
	if (from != NULL && from->told_evidence + 1 == engine->evidence_count)
		from->told_evidence++;
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		evidence_pump(engine, s);
}

static void is_stored(struct engine *engine, struct evidence_item *item)
{
	item->stored = true;
	for (size_t i = 0; i < engine->log_count; i++)
		if (engine->logs[i]->branch && engine->logs[i]->base == item->log)
			fetch_choose(engine, engine->logs[i]);
}

void evidence_written(struct engine *engine, const struct store_write *write)
{
	for (size_t i = 0; i < engine->evidence_count; i++) {
		struct evidence_item *item = &engine->evidence[i];

		if (!hash_equal(&item->id, &write->evidence_id))
			continue;
		if (write->result == OK)
			is_stored(engine, item);
		else if (write->result != ERR_LIMIT) /* the store has enough of it */
			item->save_due_ms = engine->now_ms + engine->opts.timing.retry_delay;
		witness_evidence(engine, engine->logs[item->log], write->result);
	}
}

bool evidence_unstored(const struct engine *engine, const struct elog *log)
{
	for (size_t i = 0; i < engine->evidence_count; i++)
		if (!engine->evidence[i].stored && engine->evidence[i].log == log->position)
			return true;
	return false;
}

bool evidence_stored(const struct engine *engine, const struct elog *log)
{
	for (size_t i = 0; i < engine->evidence_count; i++)
		if (engine->evidence[i].stored && engine->evidence[i].log == log->position)
			return true;
	return false;
}

void evidence_tick(struct engine *engine)
{
	for (size_t i = 0; i < engine->evidence_count; i++)
		if (engine->evidence[i].save_due_ms != 0 &&
			engine->evidence[i].save_due_ms <= engine->now_ms)
			save(engine, &engine->evidence[i]);
	for (struct session *s = engine->sessions, *next; s != NULL; s = next) {
		next = s->next;
		asked_check(engine, s);
	}
}

uint64_t evidence_deadline(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < engine->evidence_count; i++)
		if (engine->evidence[i].save_due_ms != 0 && engine->evidence[i].save_due_ms < due)
			due = engine->evidence[i].save_due_ms;
	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state == SESSION_ACTIVE && s->asked_due_ms != 0 && s->asked_due_ms < due)
			due = s->asked_due_ms;
	return due;
}

void evidence_release(struct engine *engine)
{
	for (size_t i = 0; i < engine->evidence_count; i++)
		buf_release(&engine->evidence[i].message);
	mem_free(engine->evidence);
}

/* Of a log of which nothing is held. From now on it has its place: what is known of it by name
 * alone makes room for others. */
static void learn(struct engine *engine, struct elog *log, const struct evidence *evidence,
	const struct note_key *key)
{
	if (log->key_known)
		return;
	log->key = *key;
	log->key_known = true;
	log_keep_opened(engine, log, evidence->opened);
}

enum err evidence_load(struct engine *engine, struct bytes message)
{
	struct evidence evidence;
	struct note_key key;
	struct arena arena;
	struct elog *log;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = evidence_parse(message, &arena, &evidence, NULL);

	log = err != OK ? NULL : log_get(engine, bytes_str(evidence.smaller.origin.text));
	if (err == OK && log == NULL)
		err = engine->nomem ? ERR_NOMEM : ERR_INVALID;
	/* Who stored it has verified its LogOpened against the directory. */
	if (err == OK && log->directory)
		key = log->key;
	else if (err == OK)
		err = evidence_key(&evidence, NULL, &key, NULL);
	if (err == OK && evidence.other.size == 0)
		err = evidence_verify(&evidence, &key, NULL);
	if (err == OK) {
		learn(engine, log, &evidence, &key);
		take(engine, log, &evidence, engine->node, NULL);
	}
	arena_release(&arena);
	return err;
}

/* ---- told ---- */

/* Members first: who does not know the author cannot judge its evidence. */
static bool may_judge(struct engine *engine, const struct session *session)
{
	const struct elog *directory = log_find(engine, bytes_str(engine->opts.directory.text));

	if (directory == NULL || !directory->has_checkpoint || directory->frozen)
		return true;
	return directory->position < session->log_count &&
	       session->logs[directory->position].have_size >= directory->checkpoint.size;
}

static void tell(struct engine *engine, struct session *session, const struct evidence_item *item)
{
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	Sauti__Evidence *message;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(evidence, buf_bytes(&item->message), &scan_limits_strict, &arena, &message,
		    NULL) == OK) {
		frame.body_case = SAUTI__FRAME__BODY_EVIDENCE;
		frame.evidence = message;
		effect_send_class(engine, session, &frame, SEND_EVIDENCE);
	} else {
		engine->nomem = true; /* it was parsed before it was kept */
	}
	arena_release(&arena);
}

void evidence_pump(struct engine *engine, struct session *session)
{
	if (!session_talks(session) || session->told_evidence == engine->evidence_count ||
		!may_judge(engine, session))
		return;
	while (session->told_evidence < engine->evidence_count && session->queued < AHEAD)
		tell(engine, session, &engine->evidence[session->told_evidence++]);
}

/* ---- heard ---- */

/* The key that counts is the one that the author's node key vouches for in the evidence itself: an
 * author who gave one log two keys has two histories too. ERR_NOTFOUND: nobody can tell here. */
static enum err key_of(struct engine *engine, const struct evidence *evidence, struct note_key *ret,
	struct errctx *ctx)
{
	const char *origin = evidence->smaller.origin.text;
	const struct ed25519_public *node;
	struct origin_parts parts;

	if (origin_parse(bytes_str(origin), NULL, &parts) != OK ||
		!bytes_equal_str(parts.network, engine->network))
		return err_set(ctx, ERR_NOTFOUND, "it is of another network");
	if (strcmp(origin, engine->opts.directory.text) == 0)
		return log_note_key(&engine->opts.directory, &engine->opts.directory_key, ret);
	node = directory_opener(engine->directory, origin);
	if (node == NULL)
		return err_set(ctx, ERR_NOTFOUND, "its author is not in the directory");
	if (evidence->other.size > 0)
		TRY(evidence_verify_keys(evidence, node, ctx));
	return evidence_key(evidence, node, ret, ctx);
}

void evidence_heard(struct engine *engine, struct session *session, const Sauti__Evidence *message)
{
	struct errctx ctx = {""};
	struct evidence evidence;
	struct hash id;
	struct note_key key;
	struct elog *log;
	enum err err = evidence_read(message, &evidence, &ctx);

	if (err == OK) {
		evidence_id(&evidence, &id);
		if (is_known(engine, &id))
			return; /* whatever it carries besides: it was verified before */
		err = key_of(engine, &evidence, &key, &ctx);
	}
	if (err == ERR_NOTFOUND) {
		effect_notice(engine, NOTICE_DEBUG, "evidence of '%s' is left alone: %s",
			session->peer, err_message(&ctx, err));
		return;
	}
	if (err == OK && evidence.other.size == 0)
		err = evidence_verify(&evidence, &key, &ctx);
	if (err == ERR_NOMEM) {
		engine->nomem = true;
		return;
	}
	if (err != OK) {
		session_close(engine, session, NOTICE_WARNING, "bad Evidence: %.120s",
			err_message(&ctx, err));
		return;
	}
	struct bytes origin = bytes_str(evidence.smaller.origin.text);

	log = log_find(engine, origin);
	if (log == NULL)
		log = log_heard(engine, session, origin);
	if (log == NULL)
		return; /* over a quota of its author: nothing of it is held here */
	learn(engine, log, &evidence, &key);
	take(engine, log, &evidence, session->peer, session);
}

/* ---- found ---- */

void evidence_found(
	struct engine *engine, struct elog *log, const struct evidence_parts *parts, const char *by)
{
	struct errctx ctx = {""};
	struct evidence evidence;
	struct arena arena;
	struct buf made;

	/* Nobody could verify it, and it would stand in the place of what can be. */
	if (!log->directory && parts->opened.size == 0)
		return;
	buf_init(&made, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = evidence_make(parts, &log->key, &made, &ctx);

	if (err == OK)
		err = evidence_parse(buf_bytes(&made), &arena, &evidence, &ctx);
	if (err == ERR_NOMEM)
		engine->nomem = true;
	else if (err != OK) /* a proof that the own tree gave and that does not fit: its damage */
		effect_notice(engine, NOTICE_ALARM, "log '%s': no evidence can be made: %s",
			log->origin.text, err_message(&ctx, err));
	else
		take(engine, log, &evidence, by, NULL);
	arena_release(&arena);
	buf_release(&made);
}

void evidence_equal(struct engine *engine, struct elog *log, struct bytes note, struct bytes shown,
	const char *by)
{
	struct evidence_parts parts = {.a = note, .b = shown, .opened = buf_bytes(&log->opened)};

	evidence_found(engine, log, &parts, by);
}

/* ---- 1. shown ---- */

bool evidence_unsure(const struct elog *log, const struct peer_log *pl)
{
	return pl->shown.size > 0 && !log->frozen && pl->have_size <= log->checkpoint.size;
}

static void answer(struct engine *engine, struct session *session, const struct elog *log,
	uint64_t size, const struct store_batch *batch)
{
	ProtobufCBinaryData hashes[LIMIT_PROOF_HASHES];
	Sauti__Proved proved = SAUTI__PROVED__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	proved.origin = (char *)log->origin.text;
	proved.size = size;
	if (batch != NULL) {
		for (size_t i = 0; i < batch->proof.count; i++)
			hashes[i] = codec_binary(hash_bytes(&batch->proof.hashes[i]));
		proved.root = codec_binary(hash_bytes(&batch->root));
		proved.proof = hashes;
		proved.n_proof = batch->proof.count;
		proved.checkpoint = codec_binary(buf_bytes(&log->note));
	}
	frame.body_case = SAUTI__FRAME__BODY_PROVED;
	frame.proved = &proved;
	effect_send(engine, session, &frame);
}

/* Who was asked and is silent is taken for a liar: whoever cannot tell, or has only Evidence to
 * say, says that much. */
static void answer_nothing(
	struct engine *engine, struct session *session, const struct elog *log, struct peer_log *pl)
{
	struct checkpoint asked;

	if (pl->answering && checkpoint_peek(buf_bytes(&pl->shown), &asked, NULL) == OK)
		answer(engine, session, log, asked.size, NULL);
	pl->answering = false;
}

/* Asks the own tree, when there is a question and none is under way. */
void evidence_check(
	struct engine *engine, struct session *session, struct elog *log, struct peer_log *pl)
{
	struct checkpoint shown;
	struct effect *effect;

	if (pl->checking || pl->shown.size == 0 || log->frozen || !log->has_checkpoint ||
		session->state != SESSION_ACTIVE ||
		checkpoint_peek(buf_bytes(&pl->shown), &shown, NULL) != OK ||
		shown.size > log->checkpoint.size)
		return;
	if (!pl->answering && log_has_root(log, shown.size, &shown.root)) {
		buf_clear(&pl->shown);
		return;
	}
	effect = reads_reserve(engine) ? effect_add(engine, EFFECT_READ) : NULL;
	if (effect == NULL)
		return;
	effect->read = (struct store_read){
		.kind = READ_PROOF,
		.origin = *branch_stored(engine, log),
		.first = shown.size,
		.target = log->checkpoint.size,
		.ticket = ++engine->next_ticket,
	};
	engine->reads[engine->read_count++] = (struct read_ticket){
		.ticket = effect->read.ticket,
		.session = session->id,
		.log = log->position,
		.kind = READ_PROOF,
		.first = shown.size,
		.target = log->checkpoint.size,
	};
	pl->checking = true;
	session->reads++;
}

/* A checkpoint that verifies, and is neither known to be ours nor seen to contradict it. */
void evidence_shown(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, struct bytes note, const struct checkpoint *shown)
{
	answer_nothing(engine, session, log, pl); /* one question at a time */
	buf_clear(&pl->shown);
	if (log->frozen || log_has_root(log, shown->size, &shown->root))
		return;
	if (checkpoint_strip(note, &log->key, &pl->shown, NULL) != OK || pl->shown.err != OK) {
		engine->nomem |= pl->shown.err == ERR_NOMEM;
		buf_clear(&pl->shown);
	}
	evidence_check(engine, session, log, pl);
}

void evidence_grew(struct engine *engine, struct elog *log)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (log->position < s->log_count)
			evidence_check(engine, s, log, &s->logs[log->position]);
}

/* The own tree's answer: the root at the size that was shown, and the proof to `target`. */
void evidence_read_done(struct engine *engine, struct session *session, struct elog *log,
	const struct event *event, const struct read_ticket *ticket)
{
	struct peer_log *pl = &session->logs[log->position];
	struct evidence_parts parts = {.b = buf_bytes(&log->note),
		.root = &event->batch.root,
		.proof = &event->batch.proof,
		.opened = buf_bytes(&log->opened)};
	CLEANUP(buf_release) struct buf note = {0};
	struct checkpoint shown;

	pl->checking = false;
	/* What is shown may have changed meanwhile, or the log have grown. */
	if (pl->shown.size == 0 || checkpoint_peek(buf_bytes(&pl->shown), &shown, NULL) != OK)
		return;
	if (event->error != OK && event->error != ERR_CANCELED) {
		effect_notice(engine, NOTICE_ALARM, "log '%s': cannot prove size %llu: %s",
			log->origin.text, (unsigned long long)shown.size, err_text(event->error));
		answer_nothing(engine, session, log, pl);
		buf_clear(&pl->shown);
	} else if (log->frozen || event->error != OK) {
		answer_nothing(engine, session, log, pl);
		buf_clear(&pl->shown);
	} else if (ticket->first != shown.size ||
		   (ticket->target != log->checkpoint.size &&
			   (pl->answering || !hash_equal(&event->batch.root, &shown.root)))) {
		evidence_check(engine, session, log, pl);
		return;
	} else if (hash_equal(&event->batch.root, &shown.root)) {
		buf_clear(&pl->shown);
		log_remember_root(log, &shown, true);
		if (pl->answering)
			answer(engine, session, log, shown.size, &event->batch);
	} else {
		answer_nothing(engine, session, log, pl);
		buf_init(&note, LIMIT_NOTE_SIZE);
		buf_put(&note, buf_bytes(&pl->shown));
		buf_clear(&pl->shown);
		parts.a = buf_bytes(&note);
		if (note.err != OK)
			engine->nomem = true;
		else
			evidence_found(engine, log, &parts, session->peer);
	}
	pl->answering = false;
	serve_session(engine, session);
}

/* ---- 2. asked ---- */

/* Another key than the one that is known here, given by the author: true, and evidence of it. */
static bool other_key(struct engine *engine, struct elog *log, struct bytes opened, const char *by)
{
	const struct ed25519_public *node = directory_opener(engine->directory, log->origin.text);
	struct evidence evidence;
	struct arena arena;
	struct buf made;
	bool good;

	if (node == NULL || log->directory || log->opened.size == 0)
		return false;
	buf_init(&made, LIMIT_EVIDENCE_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	good = evidence_make_keys(buf_bytes(&log->opened), opened, node, &made, NULL) == OK &&
	       evidence_parse(buf_bytes(&made), &arena, &evidence, NULL) == OK &&
	       strcmp(evidence.smaller.origin.text, log->origin.text) == 0;
	if (good)
		take(engine, log, &evidence, by, NULL);
	arena_release(&arena);
	buf_release(&made);
	return good;
}

static void send_prove(struct engine *engine, struct session *session, const struct elog *log,
	struct bytes checkpoint, struct bytes opened)
{
	Sauti__Prove prove = SAUTI__PROVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	prove.origin = (char *)log->origin.text;
	prove.checkpoint = codec_binary(checkpoint);
	prove.opened = codec_binary(opened);
	frame.body_case = SAUTI__FRAME__BODY_PROVE;
	frame.prove = &prove;
	effect_send(engine, session, &frame);
}

/* Once on a connection; that nothing comes of it is nobody's fault. */
void evidence_ask_key(
	struct engine *engine, struct session *session, const struct elog *log, struct peer_log *pl)
{
	if (pl->asked_key || log->frozen || log->opened.size == 0 || !log->has_checkpoint ||
		log_is_ours(engine, log) || session->state != SESSION_ACTIVE)
		return;
	pl->asked_key = true;
	send_prove(engine, session, log, buf_bytes(&log->note), buf_bytes(&log->opened));
}

void evidence_prove(struct engine *engine, struct session *session, const Sauti__Prove *prove)
{
	struct elog *log = log_find(engine, bytes_str(prove->origin));
	struct peer_log *pl = log == NULL ? NULL : session_log(engine, session, log);
	struct bytes note = codec_bytes(prove->checkpoint);
	struct checkpoint asked;
	struct errctx ctx = {""};

	if (pl == NULL)
		return;
	if (log->key_known && prove->opened.len > 0 &&
		other_key(engine, log, codec_bytes(prove->opened), session->peer))
		return;
	enum err err = checkpoint_peek(note, &asked, &ctx);

	if (err == OK && asked.size > 0 &&
		(!log->key_known || checkpoint_open(note, &log->key, &asked, NULL, &ctx) != OK)) {
		/* Under another key, it may be: have.c. */
		answer(engine, session, log, asked.size, NULL);
		return;
	}
	if (err != OK || asked.size == 0) {
		session_close(engine, session, NOTICE_WARNING, "bad Prove of '%s': %.100s",
			log->origin.text, err_message(&ctx, err));
		return;
	}
	if (!log_agrees(engine, log, &asked, note, session->peer) || log->frozen ||
		!log->has_checkpoint || asked.size > log->checkpoint.size) {
		answer(engine, session, log, asked.size, NULL);
		return;
	}
	buf_clear(&pl->shown);
	buf_put(&pl->shown, note);
	engine->nomem |= pl->shown.err == ERR_NOMEM;
	pl->answering = true;
	evidence_check(engine, session, log, pl);
}

bool evidence_ask(struct engine *engine, struct session *session, struct elog *log)
{
	struct peer_log *pl = session_log(engine, session, log);

	if (pl == NULL || (!log->tailed && !log->has_checkpoint))
		return false;
	buf_clear(&pl->asked);
	buf_put(&pl->asked, buf_bytes(log->tailed ? &log->pin_note : &log->note));
	engine->nomem |= pl->asked.err != OK;
	pl->asked_due_ms = engine->now_ms + engine->opts.timing.fetch_timeout;
	if (session->asked_due_ms == 0 || pl->asked_due_ms < session->asked_due_ms)
		session->asked_due_ms = pl->asked_due_ms;
	send_prove(engine, session, log, buf_bytes(&pl->asked), BYTES_NONE);
	return true;
}

static enum err proved_read(const Sauti__Proved *proved, const struct elog *log,
	struct checkpoint *ret_to, struct store_batch *ret, struct errctx *ctx)
{
	TRY(checkpoint_open(codec_bytes(proved->checkpoint), &log->key, ret_to, NULL, ctx));
	if (proved->root.len != HASH_SIZE || proved->n_proof > LIMIT_PROOF_HASHES)
		return err_set(ctx, ERR_MALFORMED, "sizes");
	memcpy(ret->root.b, proved->root.data, HASH_SIZE);
	for (size_t i = 0; i < proved->n_proof; i++) {
		if (proved->proof[i].len != HASH_SIZE)
			return err_set(
				ctx, ERR_MALFORMED, "a hash of %zu bytes", proved->proof[i].len);
		memcpy(ret->proof.hashes[i].b, proved->proof[i].data, HASH_SIZE);
	}
	ret->proof.count = proved->n_proof;
	if (proved->size == 0 || !proof_consistency_ok(&ret->proof, proved->size, &ret->root,
					 ret_to->size, &ret_to->root))
		return err_set(ctx, ERR_PROOF, "its proof does not verify");
	return OK;
}

void evidence_proved(struct engine *engine, struct session *session, const Sauti__Proved *proved)
{
	struct elog *log = log_find(engine, bytes_str(proved->origin));
	struct peer_log *pl = log == NULL ? NULL : session_log(engine, session, log);
	struct checkpoint asked, to = {.size = 0};
	struct store_batch answer = {0};
	struct evidence_parts parts = {
		.opened = log == NULL ? BYTES_NONE : buf_bytes(&log->opened)};
	struct errctx ctx = {""};

	if (pl == NULL || pl->asked.size == 0 ||
		checkpoint_peek(buf_bytes(&pl->asked), &asked, NULL) != OK ||
		asked.size != proved->size)
		return;
	if (proved->checkpoint.len == 0 || log->frozen) {
		/* It has less than that: whoever has more will tell. It is not asked again soon. */
		buf_clear(&pl->asked);
		return;
	}
	if (proved_read(proved, log, &to, &answer, &ctx) != OK) {
		session_close(engine, session, NOTICE_WARNING, "bad Proved of '%s': %.100s",
			log->origin.text, ctx.text);
		return;
	}
	if (hash_equal(&answer.root, &asked.root) && !recheck_blames(engine, log, session->peer)) {
		buf_clear(&pl->asked);
		return;
	}
	if (hash_equal(&answer.root, &asked.root)) {
		session_close(engine, session, NOTICE_WARNING,
			"bad Batch of '%s': what is held here is part of its log",
			log->origin.text);
		return;
	}
	parts.a = buf_bytes(&pl->asked);
	parts.b = codec_bytes(proved->checkpoint);
	if (to.size > asked.size) {
		parts.root = &answer.root;
		parts.proof = &answer.proof;
	}
	evidence_found(engine, log, &parts, session->peer);
	buf_clear(&pl->asked);
}

/* Who says nothing in time has no answer. */
static void asked_check(struct engine *engine, struct session *session)
{
	uint64_t next = 0;

	if (session->state != SESSION_ACTIVE || session->asked_due_ms == 0 ||
		session->asked_due_ms > engine->now_ms)
		return;
	for (size_t i = 0; i < session->log_count; i++) {
		struct peer_log *pl = &session->logs[i];

		if (pl->asked.size == 0)
			continue;
		if (engine->logs[i]->frozen) {
			buf_clear(&pl->asked);
		} else if (pl->asked_due_ms <= engine->now_ms) {
			session_close(engine, session, NOTICE_WARNING,
				"bad Batch of '%s': it does not say whether what is held here is "
				"part of its log",
				engine->logs[i]->origin.text);
			return;
		} else if (next == 0 || pl->asked_due_ms < next) {
			next = pl->asked_due_ms;
		}
	}
	session->asked_due_ms = next;
}
