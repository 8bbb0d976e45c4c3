/*
 * Exporting logs. The loop takes a picture of one log (its newest checkpoint, the keys and
 * cosignatures that go with it), a worker writes it out, and so on through the list. Meanwhile a
 * timer tells the client how far it is. A client that goes away does not stop an export; the end of
 * the node does, and the next export goes on from there.
 */
#include "server/export/export.h"
#include "base/alloc.h"
#include "server/control/internal.h"
#include "server/export/evidence.h"
#include "server/export/index.h"
#include "server/log.h"

enum { PROGRESS_MS = 300 };

enum export_step { STEP_OPEN, STEP_LOG, STEP_INDEX };

struct export_work {
	uv_work_t work;
	uv_timer_t timer;
	struct control_request *request;
	struct runtime *rt;
	char directory[PATH_MAX];
	bool compare;
	size_t *positions; /* of the logs to export */
	size_t count, next;
	enum export_step step; /* what the worker is at */
	bool ended;            /* the last answer was given */

	struct destination *destination;
	struct export_opts opts;
	struct log_picture picture; /* what opts borrows */
	struct export_result exported;
	uint64_t done, of;

	enum err result;
	struct errctx ctx;
	size_t failed;
	enum err first_error;
	struct errctx first_ctx;
};

static void work_free(uv_handle_t *timer)
{
	struct export_work *w = timer->data;

	destination_close(w->destination);
	picture_release(&w->picture);
	mem_free(w->positions);
	mem_free(w);
}

static void work_close(struct export_work *w)
{
	w->ended = true;
	uv_close((uv_handle_t *)&w->timer, work_free);
}

static void work_fail(struct export_work *w, enum err err, const char *message)
{
	control_fail(w->request, err, 0, message);
	work_close(w);
}

static void on_progress(uv_timer_t *timer)
{
	struct export_work *w = timer->data;

	if (w->of > 0)
		answer_json(w->request,
			json_pack("{s:s,s:I,s:I}", "origin", w->opts.origin.text, "entries",
				(json_int_t)__atomic_load_n(&w->done, __ATOMIC_RELAXED), "of",
				(json_int_t)w->of),
			false);
}

/* ---- the picture of one log ---- */

static enum err take_picture(struct export_work *w, size_t position)
{
	w->exported = (struct export_result){0};
	w->ctx.text[0] = '\0';
	w->of = 0;
	w->opts = (struct export_opts){.origin = *engine_log_origin(w->rt->engine, position)};
	TRY(picture_take(w->rt, position, &w->picture, &w->ctx));
	w->opts = w->picture.opts;
	w->opts.destination = w->destination;
	w->opts.compare = w->compare;
	w->opts.stop = &w->rt->stopping;
	w->opts.done = &w->done;
	w->of = w->picture.size;
	return OK;
}

/* ---- one log after the other ---- */

static json_t *exported_json(const struct export_work *w)
{
	const struct export_result *e = &w->exported;
	json_t *json = json_pack("{s:s,s:b}", "origin", w->opts.origin.text, "ok", w->result == OK);
	struct buf key;

	if (w->result != OK) {
		json_object_set_new(json, "error", json_string(err_name(w->result)));
		json_object_set_new(json, "message", json_string(err_message(&w->ctx, w->result)));
		if (w->result == ERR_CORRUPT)
			json_object_set_new(
				json, "bad_index", json_integer((json_int_t)e->bad_index));
		return json;
	}
	buf_init(&key, 2 * NOTE_KEY_NAME_MAX);
	note_key_format(&key, &w->opts.key);
	json_object_set_new(json, "size", json_integer((json_int_t)e->checkpoint.size));
	json_object_set_new(json, "root", json_hash(&e->checkpoint.root));
	json_object_set_new(json, "key", json_string(buf_cstr(&key)));
	json_object_set_new(json, "cosignatures", json_integer((json_int_t)e->cosignatures));
	if (e->cosignatures_bad > 0)
		json_object_set_new(
			json, "cosignatures_bad", json_integer((json_int_t)e->cosignatures_bad));
	json_object_set_new(json, "files_written", json_integer((json_int_t)e->files_written));
	json_object_set_new(json, "bytes_written", json_integer((json_int_t)e->bytes_written));
	buf_release(&key);
	return json;
}

static bool is_integrity(enum err err)
{
	return err == ERR_CORRUPT || err == ERR_FORK || err == ERR_PROOF;
}

/* The answer for one log. What the whole is answered with is the first error, or the first of those
 * that must not be overlooked. */
static void report(struct export_work *w)
{
	if (w->result != OK) {
		if (w->failed++ == 0 ||
			(is_integrity(w->result) && !is_integrity(w->first_error))) {
			w->first_error = w->result;
			w->first_ctx = w->ctx;
		}
	}
	if (is_integrity(w->result))
		log_line(LOG_ALARM, "export: %s", err_message(&w->ctx, w->result));
	answer_json(w->request, exported_json(w), false);
	w->next++;
}

static void work_end(struct export_work *w)
{
	struct errctx ctx = {""};

	/* The logs are there, and whole: what is missing is what stands beside them. */
	if (w->failed == 0 && w->result != OK) {
		work_fail(w, w->result, err_message(&w->ctx, w->result));
		return;
	}
	if (w->failed == 0) {
		control_end(w->request, BYTES_NONE);
		work_close(w);
		return;
	}
	err_set(&ctx, w->first_error, "%s", err_message(&w->first_ctx, w->first_error));
	if (w->count > 1)
		err_wrap(&ctx, w->first_error, "%zu of %zu logs were not exported", w->failed,
			w->count);
	work_fail(w, w->first_error, ctx.text);
}

static void export_next(struct export_work *w);

static void export_run(uv_work_t *work)
{
	struct export_work *w = work->data;

	switch (w->step) {
	case STEP_OPEN:
		w->result = destination_open(
			w->directory, w->rt->paths.directory, &w->destination, &w->ctx);
		break;
	case STEP_LOG:
		w->result = export_log(&w->opts, &w->exported, &w->ctx);
		break;
	case STEP_INDEX:
		w->result = evidence_export(w->rt->store, w->destination, &w->ctx);
		if (w->result == OK)
			w->result = index_write(w->destination, &w->ctx);
		break;
	}
}

static void export_done(uv_work_t *work, int status)
{
	struct export_work *w = work->data;
	enum export_step step = w->step;

	uv_timer_stop(&w->timer);
	if (status != 0)
		w->result = ERR_CANCELED;
	if (w->rt->stopping || w->result == ERR_CANCELED)
		work_fail(w, ERR_CANCELED, "the node stops: the same export goes on from here");
	else if (step == STEP_OPEN && w->result != OK)
		work_fail(w, w->result, err_message(&w->ctx, w->result));
	else if (step == STEP_LOG)
		report(w);
	else if (step == STEP_INDEX)
		work_end(w);
	if (!w->ended)
		export_next(w);
}

static void queue_work(struct export_work *w, enum export_step step)
{
	w->step = step;
	if (uv_queue_work(&w->rt->loop, &w->work, export_run, export_done) != 0)
		work_fail(w, ERR_NOMEM, "no worker");
	else if (step == STEP_LOG)
		uv_timer_start(&w->timer, on_progress, PROGRESS_MS, PROGRESS_MS);
}

static void export_next(struct export_work *w)
{
	while (w->next < w->count) {
		w->done = 0;
		w->result = take_picture(w, w->positions[w->next]);
		if (w->result == OK) {
			queue_work(w, STEP_LOG);
			return;
		}
		report(w);
	}
	w->ctx.text[0] = '\0';
	queue_work(w, STEP_INDEX);
}

/* ---- the request ---- */

/* Every log that has something to export. */
static void choose_all(struct export_work *w)
{
	for (size_t i = 0; i < engine_log_count(w->rt->engine); i++) {
		struct engine_log log;

		engine_log_at(w->rt->engine, i, &log);
		if (log.checkpoint_size > 0 && !log.branch)
			w->positions[w->count++] = i;
	}
}

static enum err choose(struct export_work *w, const Sauti__LogExportRequest *message)
{
	for (size_t i = 0; i < message->n_origins; i++) {
		struct bytes origin = bytes_str(message->origins[i]);
		struct engine_log log;
		size_t position;
		bool twice = false;

		if (!engine_log_find(w->rt->engine, origin, &log, &position))
			return err_set(&w->ctx, ERR_NOTFOUND,
				"no log of the origin '%s' is held here", message->origins[i]);
		if (log.branch)
			return err_set(&w->ctx, ERR_UNSUPPORTED,
				"'%s' is a branch of a log that has two histories: it is not "
				"exported",
				log.origin.text);
		if (log.checkpoint_size == 0)
			return err_set(&w->ctx, ERR_NOTFOUND,
				"log '%s' has no signed checkpoint yet", log.origin.text);
		for (size_t k = 0; k < w->count; k++)
			twice |= w->positions[k] == position;
		if (!twice)
			w->positions[w->count++] = position;
	}
	return OK;
}

static enum err prepare(struct export_work *w, const Sauti__LogExportRequest *message)
{
	size_t logs = engine_log_count(w->rt->engine);

	if (message->directory[0] == '\0' || strlen(message->directory) >= sizeof(w->directory))
		return err_set(&w->ctx, ERR_INVALID, "no directory of a possible length");
	strcpy(w->directory, message->directory);
	w->compare = message->compare;
	w->positions = mem_array(logs == 0 ? 1 : logs, sizeof(*w->positions));
	if (w->positions == NULL)
		return ERR_NOMEM;
	if (message->n_origins > 0)
		return choose(w, message);
	choose_all(w);
	return OK;
}

void begin_log_export(struct control_request *request, const Sauti__LogExportRequest *message)
{
	struct export_work *w = mem_zalloc(sizeof(*w));
	enum err err;

	if (w == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	w->work.data = w;
	w->request = request;
	w->rt = control_runtime(request);
	uv_timer_init(&w->rt->loop, &w->timer);
	w->timer.data = w;
	picture_init(&w->picture);
	err = prepare(w, message);
	if (err == OK)
		queue_work(w, STEP_OPEN);
	else
		work_fail(w, err, err_message(&w->ctx, err));
}
