/*
 * Importing bundles. A worker reads a frame, the loop gives it to the engine, the engine answers
 * once what was new in it is durable; then the next. So memory is flat, a slow stick holds nobody
 * up, and a node that is killed has what it was told was durable.
 *
 * Each file is reported for itself: per log what is new, what was there already, what does not join
 * on; and everything that could not be read, or was refused. The client may go away meanwhile.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "server/bundle/read.h"
#include "server/control/internal.h"
#include "server/log.h"

enum { PROGRESS_MS = 300, PROBLEMS_SHOWN = 20 };

struct log_report {
	struct origin origin;
	uint64_t added, known, held;
	size_t cosigned;
	uint64_t gap; /* the first entry that does not join on; UINT64_MAX: none */
	uint64_t gap_entries;
	bool revoked; /* its node is, and these are entries beyond what counts */
};

struct bundle_import {
	uv_work_t work;
	uv_timer_t timer;
	struct control_request *request;
	struct runtime *rt;
	char **files; /* owned */
	struct bundle_order *order;
	size_t count, next;
	enum { STEP_ORDER, STEP_OPEN, STEP_READ } step;

	/* The file. */
	struct bundle_read read;
	struct bundle_item item;
	uint64_t vouched, at;
	bool working; /* a worker is */
	bool began;   /* the engine's session */
	struct log_report *logs;
	size_t log_count, log_capacity, last_log;
	json_t *problems;
	size_t problem_count, refused, mail;
	char maker[160]; /* what is wrong with the manifest's signature; "" */

	enum err result;
	struct errctx ctx;
	/* Over all files. */
	size_t damaged, gaps, failed;
	enum err first_error;
	struct errctx first_ctx;
};

/* ---- the end ---- */

static void import_free(uv_handle_t *timer)
{
	struct bundle_import *i = timer->data;

	bundle_read_close(&i->read);
	for (size_t k = 0; i->files != NULL && k < i->count; k++)
		mem_free(i->files[k]);
	mem_free(i->files);
	mem_free(i->order);
	mem_free(i->logs);
	json_decref(i->problems);
	mem_free(i);
}

static void import_close(struct bundle_import *i)
{
	i->rt->import = NULL;
	uv_close((uv_handle_t *)&i->timer, import_free);
}

static void import_cancel(struct bundle_import *i)
{
	control_fail(i->request, ERR_CANCELED, 0,
		"the node stops: what was imported stays, the same import goes on from there");
	import_close(i);
}

void bundle_import_stop(struct bundle_import *i)
{
	if (!i->working)
		import_cancel(i);
}

static void import_finish(struct bundle_import *i)
{
	struct errctx ctx = {""};
	enum err err = i->first_error;

	if (i->failed > 0)
		err_set(&ctx, err, "%s", err_message(&i->first_ctx, err));
	else if (i->damaged > 0)
		err = err_set(&ctx, ERR_CORRUPT,
			"something in %zu of %zu files is damaged or was refused; what is proven "
			"was taken",
			i->damaged, i->count);
	else if (i->gaps > 0)
		err = err_set(&ctx, ERR_NOTFOUND,
			"entries do not join on to what is held: another part or bundle must come "
			"first, then this one again");
	if (err == OK)
		control_end(i->request, BYTES_NONE);
	else
		control_fail(i->request, err, 0, ctx.text);
	import_close(i);
}

/* ---- the report of one file ---- */

static struct log_report *log_report(struct bundle_import *i, const char *origin)
{
	struct log_report *log;

	if (i->last_log < i->log_count && strcmp(i->logs[i->last_log].origin.text, origin) == 0)
		return &i->logs[i->last_log];
	for (i->last_log = 0; i->last_log < i->log_count; i->last_log++)
		if (strcmp(i->logs[i->last_log].origin.text, origin) == 0)
			return &i->logs[i->last_log];
	if (i->log_count == i->log_capacity) {
		size_t capacity = i->log_capacity == 0 ? 16 : 2 * i->log_capacity;
		struct log_report *logs = mem_resize(i->logs, capacity * sizeof(*logs));

		if (logs == NULL)
			return NULL;
		i->logs = logs;
		i->log_capacity = capacity;
	}
	log = &i->logs[i->log_count++];
	*log = (struct log_report){.gap = UINT64_MAX};
	snprintf(log->origin.text, sizeof(log->origin.text), "%s", origin);
	return log;
}

static void problem(struct bundle_import *i, const char *origin, const char *what)
{
	char shown[200];

	if (++i->problem_count > PROBLEMS_SHOWN)
		return;
	json_array_append_new(i->problems,
		json_pack("{s:I,s:I,s:o,s:s}", "at", (json_int_t)i->item.offset, "bytes",
			(json_int_t)i->item.size, "origin", json_text_or_null(origin), "what",
			text_escape(bytes_str(what), shown, sizeof(shown))));
}

static json_t *gap_json(const struct bundle_import *i, const struct log_report *log)
{
	const struct bundle_manifest *m = bundle_reader_manifest(i->read.reader, NULL);
	char text[240];

	if (i->problem_count > 0)
		snprintf(text, sizeof(text), "what was damaged lies between");
	else if (m != NULL && m->part > 1)
		snprintf(text, sizeof(text), "import %s%u of this bundle first",
			m->part > 2 ? "parts 1 to " : "part ", m->part - 1);
	else
		snprintf(text, sizeof(text),
			"a bundle from %llu on is needed: one without --for begins at 0",
			(unsigned long long)log->held);
	return json_pack("{s:I,s:I,s:I,s:s}", "from", (json_int_t)log->gap, "entries",
		(json_int_t)log->gap_entries, "needed", (json_int_t)log->held, "what", text);
}

static json_t *logs_report(const struct bundle_import *i, uint64_t *ret_added)
{
	json_t *list = json_array();

	*ret_added = 0;
	for (size_t k = 0; k < i->log_count; k++) {
		const struct log_report *log = &i->logs[k];
		json_t *json = json_pack("{s:s,s:I,s:I,s:I,s:I}", "origin", log->origin.text,
			"added", (json_int_t)log->added, "known", (json_int_t)log->known, "held",
			(json_int_t)log->held, "cosignatures", (json_int_t)log->cosigned);

		if (log->revoked)
			json_object_set_new(json, "revoked", json_true());
		if (log->gap != UINT64_MAX)
			json_object_set_new(json, "gap", gap_json(i, log));
		*ret_added += log->added;
		json_array_append_new(list, json);
	}
	return list;
}

static void report_manifest(const struct bundle_import *i, json_t *json)
{
	const struct bundle_manifest *m = bundle_reader_manifest(i->read.reader, NULL);

	if (m == NULL)
		return;
	json_object_set_new(json, "from", json_string(m->node));
	json_object_set_new(json, "for", json_text_or_null(m->for_node));
	json_object_set_new(json, "made_at", json_integer((json_int_t)m->made_at));
	json_object_set_new(json, "part", json_integer(m->part));
	json_object_set_new(json, "parts", json_integer(m->parts));
}

static void report(struct bundle_import *i, const char *path)
{
	bool damaged = i->problem_count > 0;
	uint64_t added;
	json_t *logs = logs_report(i, &added), *json;
	size_t gaps = 0;

	for (size_t k = 0; k < i->log_count; k++)
		gaps += i->logs[k].gap != UINT64_MAX;
	json = json_pack("{s:s,s:b,s:b,s:I,s:I,s:O,s:I,s:o,s:o}", "file", path, "damaged", damaged,
		"complete", gaps == 0 && !damaged, "added", (json_int_t)added, "mail",
		(json_int_t)i->mail, "problems", i->problems, "problem_count",
		(json_int_t)i->problem_count, "signature_problem", json_text_or_null(i->maker),
		"logs", logs);
	report_manifest(i, json);
	answer_json(i->request, json, false);
	i->damaged += damaged;
	i->gaps += gaps;
	log_line(damaged ? LOG_WARNING : LOG_INFO,
		"bundle: %llu new entries, %zu logs that do not join on, %zu problems",
		(unsigned long long)added, gaps, i->problem_count);
}

/* ---- one file after the other ---- */

static void queue_work(struct bundle_import *i);

static const char *path_of(const struct bundle_import *i)
{
	return i->files[i->order[i->next].file];
}

static void on_progress(uv_timer_t *timer)
{
	struct bundle_import *i = timer->data;

	if (i->step == STEP_READ)
		answer_json(i->request,
			json_pack("{s:s,s:I,s:I}", "progress", path_of(i), "at", (json_int_t)i->at,
				"of", (json_int_t)i->read.file.size),
			false);
}

static void session_end(struct bundle_import *i)
{
	if (!i->began)
		return;
	i->began = false;
	runtime_step(i->rt, &(struct event){.type = EVENT_IMPORT_END});
}

static void next_file(struct bundle_import *i)
{
	session_end(i);
	bundle_read_close(&i->read);
	i->next++;
	i->step = STEP_OPEN;
	if (i->next < i->count)
		queue_work(i);
	else
		import_finish(i);
}

static void file_fails(struct bundle_import *i, enum err err, const char *message)
{
	if (i->failed++ == 0) {
		i->first_error = err;
		err_set(&i->first_ctx, err, "%.400s", message);
	}
}

/* Whose word the bundle is; "" nobody's. Entries are proven whoever brings them. */
static const char *maker(struct bundle_import *i, const struct bundle_manifest *m)
{
	const struct member *member;

	i->maker[0] = '\0';
	if (m == NULL)
		return "";
	member = directory_find(engine_directory(i->rt->engine), bytes_str(m->node));
	if (!m->signed_ok)
		snprintf(i->maker, sizeof(i->maker), "the manifest's signature does not verify");
	else if (member == NULL || !hash_equal(&member->tls_spki, &m->tls_spki))
		snprintf(i->maker, sizeof(i->maker),
			"it is not signed by the key that the directory lists for '%s'", m->node);
	else if (!member->active)
		snprintf(
			i->maker, sizeof(i->maker), "'%s' is not active in the directory", m->node);
	else
		return m->node;
	return "";
}

static void begin_file(struct bundle_import *i)
{
	const struct bundle_manifest *m = bundle_reader_manifest(i->read.reader, NULL);
	char text[300];

	i->log_count = i->last_log = i->problem_count = i->refused = i->mail = 0;
	i->at = 0;
	json_array_clear(i->problems);
	if (m != NULL && strcmp(m->network, i->rt->genesis.network) != 0) {
		snprintf(text, sizeof(text), "'%.150s' is of another network: '%s'", path_of(i),
			m->network);
		file_fails(i, ERR_INVALID, text);
		next_file(i);
		return;
	}
	i->began = true;
	runtime_step(i->rt, &(struct event){.type = EVENT_IMPORT,
				    .session = {++i->rt->next_session},
				    .peer = maker(i, m)});
	if (m != NULL && !m->signed_ok) {
		i->item = (struct bundle_item){0};
		problem(i, "", i->maker);
	}
	i->step = STEP_READ;
	queue_work(i);
}

static void end_file(struct bundle_import *i)
{
	session_end(i);
	report(i, path_of(i));
	next_file(i);
}

/* The disk, not the bundle: nothing more can be taken now. */
static bool is_ours(enum err err)
{
	return err == ERR_FULL || err == ERR_IO || err == ERR_BUSY || err == ERR_NOMEM ||
	       err == ERR_DENIED;
}

/* What the frame gave goes into the report. False: the file is left. */
static bool take_answer(struct bundle_import *i, const struct effect *effect)
{
	const struct imported *in = &effect->imported;
	struct log_report *log =
		effect->origin.text[0] == '\0' ? NULL : log_report(i, effect->origin.text);

	if (log != NULL) {
		log->added += in->added;
		log->held = in->held;
		log->cosigned += in->cosigned;
	}
	i->mail += in->mail;
	if (effect->error == OK) {
		if (log != NULL && in->added < in->count)
			log->known += in->count - in->added;
		return true;
	}
	if (effect->error == ERR_STALE && log != NULL) {
		log->revoked = true;
		return true;
	}
	if (effect->error == ERR_AGAIN && log != NULL) {
		log->gap = in->first < log->gap ? in->first : log->gap;
		log->gap_entries += in->count;
		return true;
	}
	if (is_ours(effect->error)) {
		file_fails(i, effect->error, effect->text);
		return false;
	}
	problem(i, effect->origin.text, effect->text);
	if (++i->refused < LIMIT_BUNDLE_USELESS)
		return true;
	problem(i, "", "too many frames of no use: the rest is left");
	return false;
}

/* Comes from inside a step of the engine: what steps it again waits its turn there. */
void bundle_import_answer(struct bundle_import *i, const struct effect *effect)
{
	if (take_answer(i, effect))
		queue_work(i);
	else
		end_file(i);
}

static void give_frame(struct bundle_import *i)
{
	runtime_step(i->rt,
		&(struct event){
			.type = EVENT_IMPORT_FRAME, .frame = i->item.frame, .vouched = i->vouched});
}

static void take_item(struct bundle_import *i)
{
	i->at = i->item.offset + i->item.size;
	switch (i->item.found) {
	case BUNDLE_FRAME:
		give_frame(i);
		break;
	case BUNDLE_DAMAGE:
		problem(i, "", i->item.what);
		queue_work(i);
		break;
	case BUNDLE_END:
		end_file(i);
		break;
	}
}

static void import_run(uv_work_t *work)
{
	struct bundle_import *i = work->data;

	switch (i->step) {
	case STEP_ORDER:
		bundle_order((const char *const *)i->files, i->order, i->count);
		i->result = OK;
		break;
	case STEP_OPEN:
		i->result = bundle_read_open(path_of(i), &i->read, &i->ctx);
		break;
	case STEP_READ:
		i->result = bundle_read_next(&i->read, i->rt->store, &i->item, &i->vouched);
		break;
	}
}

static void import_done(uv_work_t *work, int status)
{
	struct bundle_import *i = work->data;

	i->working = false;
	if (i->rt->stopping || status != 0) {
		import_cancel(i);
		return;
	}
	if (i->result != OK) {
		file_fails(i, i->result, err_message(&i->ctx, i->result));
		next_file(i);
		return;
	}
	switch (i->step) {
	case STEP_ORDER:
		i->step = STEP_OPEN;
		queue_work(i);
		break;
	case STEP_OPEN:
		begin_file(i);
		break;
	case STEP_READ:
		take_item(i);
		break;
	}
}

static void queue_work(struct bundle_import *i)
{
	i->ctx.text[0] = '\0';
	i->working = uv_queue_work(&i->rt->loop, &i->work, import_run, import_done) == 0;
	if (!i->working) {
		session_end(i);
		control_fail(i->request, ERR_NOMEM, 0, "no worker");
		import_close(i);
	}
}

/* ---- the request ---- */

static enum err take_files(struct bundle_import *i, const Sauti__BundleImportRequest *message)
{
	i->files = mem_array(message->n_files, sizeof(*i->files));
	i->order = mem_array(message->n_files, sizeof(*i->order));
	i->problems = json_array();
	if (i->files == NULL || i->order == NULL || i->problems == NULL)
		return ERR_NOMEM;
	for (i->count = 0; i->count < message->n_files; i->count++) {
		i->order[i->count].file = i->count;
		i->files[i->count] = mem_strdup(message->files[i->count]);
		if (i->files[i->count] == NULL)
			return ERR_NOMEM;
	}
	return OK;
}

void begin_bundle_import(struct control_request *request, const Sauti__BundleImportRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct bundle_import *i;

	if (rt->import != NULL) {
		control_fail(request, ERR_BUSY, 0, "another bundle is being imported");
		return;
	}
	if (message->n_files == 0 || message->n_files > LIMIT_BUNDLE_FILES) {
		control_fail(request, ERR_LIMIT, 0, "from 1 to 256 files at a time");
		return;
	}
	i = mem_zalloc(sizeof(*i));
	if (i == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	i->work.data = i->timer.data = i;
	i->request = request;
	i->rt = rt;
	i->read.file.fd = -1;
	uv_timer_init(&rt->loop, &i->timer);
	rt->import = i;
	if (take_files(i, message) != OK) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		import_close(i);
		return;
	}
	uv_timer_start(&i->timer, on_progress, PROGRESS_MS, PROGRESS_MS);
	queue_work(i);
}
