/*
 * Exporting a bundle. As with log exports, the loop takes a picture of one log at a time (its
 * checkpoint, its key, its cosignatures, what the receiver holds of it), and a worker reads and
 * writes; the directory goes first. A client that goes away does not stop it; the end of the node
 * does, and leaves nothing.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "server/bundle/write.h"
#include "server/control/internal.h"
#include "server/log.h"
#include "server/mail.h"

enum {
	PROGRESS_MS = 300,
	FILES_SHOWN = 200,   /* by their names; the others follow from them */
	LINE_SIZE_MAX = 256, /* of a cosignature: the longest name, and 104 digits of base64 */
};
#define PART_DEFAULT (UINT64_C(1) << 30) /* a stick's FAT takes no file of 4 GiB */

struct bundle_export {
	uv_work_t work;
	uv_timer_t timer;
	struct control_request *request;
	struct runtime *rt;
	char to[PATH_MAX], for_node[LIMIT_NODE_NAME + 1];
	struct bundle_write_opts opts;
	size_t *positions; /* of the logs */
	size_t count, next;
	enum {
		STEP_OPEN,
		STEP_EVIDENCE,
		STEP_LOG,
		STEP_READ_MAIL, /* the mail store's thread has it */
		STEP_MAIL,
		STEP_MAIL_END,
		STEP_FINISH
	} step;
	struct hash *mail; /* items to go along */
	size_t mail_count, mail_next, mail_written;
	struct buf item; /* packed Mail, or the end of one */

	size_t evidence; /* how many are in */

	struct bundle_write *write;
	struct bundle_write_log log;
	struct buf note, lines; /* what log borrows */
	struct bundle_cosigned cosigned[LIMIT_NOTE_SIGNATURES];
	struct bundle_written written;
	uint64_t done, of; /* entries of the log */
	uint64_t entries, bad;

	enum err result;
	struct errctx ctx;
	enum err damage; /* of a log: the rest is written */
	struct errctx damage_ctx;
};

static void export_free(uv_handle_t *timer)
{
	struct bundle_export *e = timer->data;

	bundle_write_free(e->write);
	buf_release(&e->note);
	buf_release(&e->lines);
	buf_release(&e->item);
	mem_free(e->mail);
	mem_free(e->positions);
	mem_free(e);
}

static void export_close(struct bundle_export *e)
{
	e->rt->export = NULL;
	uv_close((uv_handle_t *)&e->timer, export_free);
}

static void export_fail(struct bundle_export *e, enum err err, const char *message)
{
	/* Before the answer: whoever is told finds nothing left behind. */
	bundle_write_free(e->write);
	e->write = NULL;
	control_fail(e->request, err, 0, message);
	export_close(e);
}

static void on_progress(uv_timer_t *timer)
{
	struct bundle_export *e = timer->data;

	if (e->step == STEP_LOG)
		answer_json(e->request,
			json_pack("{s:s,s:I,s:I}", "origin", e->log.origin.text, "entries",
				(json_int_t)__atomic_load_n(&e->done, __ATOMIC_RELAXED), "of",
				(json_int_t)e->of),
			false);
}

/* ---- the picture of one log ---- */

static enum err take_cosigned(struct bundle_export *e, size_t position, size_t count)
{
	size_t used = 0;

	buf_clear(&e->lines);
	/* Reserved whole: the lines are views into it. */
	if (buf_reserve(&e->lines, sizeof(e->cosigned) / sizeof(e->cosigned[0]) * LINE_SIZE_MAX) ==
		NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count && used < LIMIT_NOTE_SIGNATURES; i++) {
		struct bundle_cosigned *to = &e->cosigned[used];
		struct engine_cosigned cosigned;

		engine_cosigned_at(e->rt->engine, position, i, &cosigned);
		if (cosigned.line.size == 0 || cosigned.line.size > LINE_SIZE_MAX)
			continue;
		to->size = cosigned.size;
		to->root = cosigned.root;
		to->line = bytes_make(e->lines.data + e->lines.size, cosigned.line.size);
		buf_put(&e->lines, cosigned.line);
		used++;
	}
	e->log.cosigned = e->cosigned;
	e->log.cosigned_count = used;
	return e->lines.err;
}

/* What the receiver holds, as far as that is known: what it shows while it is connected; else what
 * its mirror key has said, and of its own logs everything. */
static uint64_t held_by(
	const struct bundle_export *e, size_t position, const struct engine_log *log)
{
	struct origin_parts parts;
	uint64_t size = 0;

	if (e->for_node[0] == '\0')
		return 0;
	if (!engine_peer_holds(e->rt->engine, position, e->for_node, &size)) {
		if (origin_parse(bytes_str(log->origin.text), NULL, &parts) == OK &&
			bytes_equal_str(parts.node, e->for_node))
			size = log->checkpoint_size;
		for (size_t i = 0; i < log->cosigned; i++) {
			struct engine_cosigned c;

			engine_cosigned_at(e->rt->engine, position, i, &c);
			if (strcmp(c.node, e->for_node) == 0 && c.size > size)
				size = c.size;
		}
	}
	return size < log->checkpoint_size ? size : log->checkpoint_size;
}

static enum err take_picture(struct bundle_export *e, size_t position)
{
	struct engine_log log;
	struct note_key key;

	engine_log_at(e->rt->engine, position, &log);
	e->log = (struct bundle_write_log){.origin = log.origin, .size = log.checkpoint_size};
	e->ctx.text[0] = '\0';
	e->done = 0;
	if (!engine_log_key(e->rt->engine, position, &key))
		return err_set(&e->ctx, ERR_CORRUPT, "log '%s': its first entry is damaged here",
			log.origin.text);
	e->log.key = key.key;
	e->log.from = held_by(e, position, &log);
	buf_clear(&e->note);
	buf_put(&e->note, log.checkpoint);
	TRY(e->note.err);
	e->log.note = buf_bytes(&e->note);
	e->of = e->log.size - e->log.from;
	return take_cosigned(e, position, log.cosigned);
}

/* ---- step after step ---- */

static void export_run(uv_work_t *work)
{
	struct bundle_export *e = work->data;

	switch (e->step) {
	case STEP_OPEN:
		e->result = bundle_write_new(&e->opts, &e->write, &e->ctx);
		break;
	case STEP_EVIDENCE:
		e->result = bundle_write_message(
			e->write, BUNDLE_EVIDENCE_FIELD, buf_bytes(&e->note), &e->ctx);
		break;
	case STEP_LOG:
		e->result = bundle_write_log(
			e->write, e->rt->store, &e->log, &e->done, &e->bad, &e->ctx);
		break;
	case STEP_READ_MAIL:
		break;
	case STEP_MAIL:
		e->result = bundle_write_message(
			e->write, BUNDLE_MAIL_FIELD, buf_bytes(&e->item), &e->ctx);
		break;
	case STEP_MAIL_END:
		e->result = bundle_write_mail_end(e->write, buf_bytes(&e->item), &e->ctx);
		break;
	case STEP_FINISH:
		e->result = bundle_write_finish(e->write, &e->written, &e->ctx);
		break;
	}
}

static void export_next(struct bundle_export *e);

/* One log is in, or as much of it as could be read. */
static void report(struct bundle_export *e)
{
	json_t *json = json_pack("{s:s,s:I,s:I,s:I,s:b}", "origin", e->log.origin.text, "from",
		(json_int_t)e->log.from, "to", (json_int_t)(e->log.from + e->done), "cosignatures",
		(json_int_t)e->log.cosigned_count, "ok", e->result == OK);

	if (e->result != OK) {
		json_object_set_new(json, "message", json_string(err_message(&e->ctx, e->result)));
		json_object_set_new(json, "bad_index", json_integer((json_int_t)e->bad));
		log_line(LOG_ALARM, "bundle: %s", err_message(&e->ctx, e->result));
		e->damage = e->result;
		e->damage_ctx = e->ctx;
	}
	answer_json(e->request, json, false);
	e->entries += e->done;
	e->next++;
}

static void export_end(struct bundle_export *e)
{
	json_t *files = json_array();
	char path[PATH_MAX], shown[512];

	for (uint32_t i = 1; i <= e->written.parts && i <= FILES_SHOWN; i++)
		if (bundle_part_name(e->to, i, e->written.parts, path, NULL) == OK)
			json_array_append_new(files, json_string(path));
	log_line(LOG_INFO, "bundle: %llu entries of %zu logs are in '%s'",
		(unsigned long long)e->entries, e->count,
		text_escape(bytes_str(e->to), shown, sizeof(shown)));
	answer_json(e->request,
		json_pack("{s:s,s:I,s:o,s:I,s:I,s:I,s:I,s:o}", "bundle", e->to, "parts",
			(json_int_t)e->written.parts, "files", files, "logs", (json_int_t)e->count,
			"entries", (json_int_t)e->entries, "mail", (json_int_t)e->mail_written,
			"bytes", (json_int_t)e->written.bytes, "for",
			json_text_or_null(e->for_node)),
		false);
	if (e->damage == OK) {
		control_end(e->request, BYTES_NONE);
		export_close(e);
	} else {
		export_fail(e, e->damage, err_message(&e->damage_ctx, e->damage));
	}
}

static void export_done(uv_work_t *work, int status)
{
	struct bundle_export *e = work->data;

	uv_timer_stop(&e->timer);
	if (status != 0 || e->rt->stopping)
		e->result = ERR_CANCELED;
	if (e->result == ERR_CANCELED)
		export_fail(e, ERR_CANCELED, "the node stops: nothing was written");
	else if (e->result != OK && !(e->step == STEP_LOG && e->result == ERR_CORRUPT))
		export_fail(e, e->result, err_message(&e->ctx, e->result));
	else if (e->step == STEP_FINISH)
		export_end(e);
	else {
		if (e->step == STEP_LOG)
			report(e);
		export_next(e);
	}
}

static void queue_work(struct bundle_export *e)
{
	if (uv_queue_work(&e->rt->loop, &e->work, export_run, export_done) != 0)
		export_fail(e, ERR_NOMEM, "no worker");
	else
		uv_timer_start(&e->timer, on_progress, PROGRESS_MS, PROGRESS_MS);
}

/* Evidence of forks follows the directory. False: there is no more. */
static bool next_evidence(struct bundle_export *e)
{
	const struct engine *engine = e->rt->engine;
	struct hash id;
	size_t log;

	if (e->next == 0 || e->evidence == engine_evidence_count(engine))
		return false;
	e->step = STEP_EVIDENCE;
	buf_clear(&e->note);
	buf_put(&e->note, engine_evidence_at(engine, e->evidence++, &id, &log));
	if (e->note.err == OK)
		queue_work(e);
	else
		export_fail(e, e->note.err, err_text(e->note.err));
	return true;
}

/* ---- mail, behind the logs: its recipient's keys are known then ---- */

/* What the receiver is for, or may carry on; and, to whoever may still hold an item, its end. */
static bool mail_goes(const struct bundle_export *e, const struct engine_mail *mail)
{
	bool with =
		e->for_node[0] != '\0' && engine_mail_with(e->rt->engine, &mail->item, e->for_node);

	if (mail->ended)
		return mail->end.size > 0 && (with || strcmp(mail->sender, e->for_node) == 0);
	return mail->held && !with && strcmp(mail->recipient, e->rt->node) != 0;
}

static enum err choose_mail(struct bundle_export *e)
{
	const struct engine *engine = e->rt->engine;
	size_t count = engine_mail_count(engine);
	struct engine_mail mail;

	if (e->mail != NULL)
		return OK;
	if (e->rt->mail == NULL || e->rt->mail->store == NULL)
		count = 0;
	e->mail = mem_array(count + 1, sizeof(*e->mail));
	if (e->mail == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		engine_mail_at(engine, i, &mail);
		if (mail_goes(e, &mail))
			e->mail[e->mail_count++] = mail.item;
	}
	return OK;
}

static void read_mail(struct bundle_export *e, const struct hash *item)
{
	struct mail_task *task = mail_task_new(MAIL_TASK_BODY);

	if (task == NULL) {
		export_fail(e, ERR_NOMEM, err_text(ERR_NOMEM));
		return;
	}
	task->item = *item;
	task->ticket = MAIL_TICKET_BUNDLE;
	e->step = STEP_READ_MAIL;
	mail_task(e->rt, task);
}

static void next_mail(struct bundle_export *e)
{
	enum err err = choose_mail(e);
	struct engine_mail mail;

	while (err == OK && e->mail_next < e->mail_count) {
		const struct hash *item = &e->mail[e->mail_next++];

		/* It may have ended, or be gone, since. */
		if (!engine_mail_find(e->rt->engine, item, &mail) || !mail_goes(e, &mail))
			continue;
		if (!mail.ended) {
			read_mail(e, item);
			return;
		}
		e->step = STEP_MAIL_END;
		buf_clear(&e->item);
		buf_put(&e->item, mail.end);
		err = e->item.err;
		if (err == OK) {
			queue_work(e);
			return;
		}
	}
	if (err != OK) {
		export_fail(e, err, err_text(err));
		return;
	}
	e->step = STEP_FINISH;
	queue_work(e);
}

void bundle_export_mail(struct bundle_export *e, const struct mail_task *task)
{
	/* Not there any more: it has ended meanwhile. */
	if (task->result != OK) {
		next_mail(e);
		return;
	}
	e->step = STEP_MAIL;
	buf_clear(&e->item);
	buf_put(&e->item, buf_bytes(&task->data));
	e->mail_written++;
	if (e->item.err == OK)
		queue_work(e);
	else
		export_fail(e, e->item.err, err_text(e->item.err));
}

void bundle_export_stop(struct bundle_export *e)
{
	if (e->step == STEP_READ_MAIL)
		export_fail(e, ERR_CANCELED, "the node stops: nothing was written");
}

static void export_next(struct bundle_export *e)
{
	if (e->mail != NULL) {
		next_mail(e);
		return;
	}
	if (next_evidence(e))
		return;
	e->step = STEP_LOG;
	while (e->next < e->count) {
		e->result = take_picture(e, e->positions[e->next]);
		if (e->result == OK) {
			queue_work(e);
			return;
		}
		if (e->result != ERR_CORRUPT) {
			export_fail(e, e->result, err_text(e->result));
			return;
		}
		report(e);
	}
	next_mail(e);
}

/* ---- the request ---- */

static void choose(struct bundle_export *e, size_t position)
{
	struct engine_log log;

	engine_log_at(e->rt->engine, position, &log);
	for (size_t i = 0; i < e->count; i++)
		if (e->positions[i] == position)
			return;
	if (log.checkpoint_size > 0 && !log.branch)
		e->positions[e->count++] = position;
}

/* The directory goes first: who imports must know the members. */
static enum err choose_all(struct bundle_export *e, const Sauti__BundleExportRequest *message)
{
	size_t logs = engine_log_count(e->rt->engine), position;
	struct engine_log log;

	e->positions = mem_array(logs + 1, sizeof(*e->positions));
	if (e->positions == NULL)
		return ERR_NOMEM;
	if (engine_log_find(e->rt->engine, bytes_str(e->rt->genesis.origin.text), &log, &position))
		choose(e, position);
	for (size_t i = 0; message->n_origins == 0 && i < logs; i++)
		choose(e, i);
	for (size_t i = 0; i < message->n_origins; i++) {
		if (!engine_log_find(
			    e->rt->engine, bytes_str(message->origins[i]), &log, &position))
			return err_set(&e->ctx, ERR_NOTFOUND,
				"no log of the origin '%s' is held here", message->origins[i]);
		choose(e, position);
	}
	return OK;
}

static enum err prepare(struct bundle_export *e, const Sauti__BundleExportRequest *message)
{
	const struct member *m;

	if (message->to[0] == '\0' || strlen(message->to) >= sizeof(e->to))
		return err_set(&e->ctx, ERR_INVALID, "no file of a possible name");
	strcpy(e->to, message->to);
	if (message->for_node[0] != '\0') {
		m = directory_find(engine_directory(e->rt->engine), bytes_str(message->for_node));
		if (m == NULL || strcmp(m->name, e->rt->node) == 0)
			return err_set(&e->ctx, ERR_NOTFOUND, "there is no other node '%.40s'",
				message->for_node);
		strcpy(e->for_node, m->name);
	}
	TRY(choose_all(e, message));
	e->opts = (struct bundle_write_opts){
		.to = e->to,
		.inside = e->rt->paths.directory,
		.part_max = message->part_max == 0 ? PART_DEFAULT : message->part_max,
		.boot = e->rt->paths.boot,
		.for_node = e->for_node,
		.made_at = runtime_wall_s(),
		.log_count = e->count,
		.stop = &e->rt->stopping,
	};
	return OK;
}

void begin_bundle_export(struct control_request *request, const Sauti__BundleExportRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct bundle_export *e;
	enum err err;

	if (rt->export != NULL) {
		control_fail(request, ERR_BUSY, 0, "another bundle is being made");
		return;
	}
	e = mem_zalloc(sizeof(*e));
	if (e == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	e->work.data = e;
	e->request = request;
	e->rt = rt;
	uv_timer_init(&rt->loop, &e->timer);
	e->timer.data = e;
	buf_init(&e->note, LIMIT_NOTE_SIZE);
	buf_init(&e->lines, (size_t)LIMIT_NOTE_SIGNATURES * LINE_SIZE_MAX);
	buf_init(&e->item, LIMIT_MAIL_ITEM);
	rt->export = e;
	err = prepare(e, message);
	if (err == OK)
		queue_work(e);
	else
		export_fail(e, err, err_message(&e->ctx, err));
}
