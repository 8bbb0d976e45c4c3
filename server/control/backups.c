/* Backups of the running node. All of it is a worker's; the loop tells the client how far it is. */
#include "base/alloc.h"
#include "base/text.h"
#include "server/backup/report.h"
#include "server/control/internal.h"
#include "server/log.h"

enum { TELL_MS = 500 };

struct backup_work {
	uv_work_t work;
	uv_timer_t timer;
	struct control_request *request;
	struct runtime *rt;
	char to[PATH_MAX];
	/* Written by the worker, read by the loop: atomic, one at a time. */
	const char *step;
	uint64_t done, total;
	struct manifest manifest;
	enum err result;
	struct errctx ctx;
};

static void work_closed(uv_handle_t *handle)
{
	struct backup_work *w = handle->data;

	manifest_release(&w->manifest);
	mem_free(w);
}

static void progress_note(void *arg, const struct backup_progress *progress)
{
	struct backup_work *w = arg;

	__atomic_store_n(&w->step, progress->step, __ATOMIC_RELAXED);
	__atomic_store_n(&w->done, progress->done, __ATOMIC_RELAXED);
	__atomic_store_n(&w->total, progress->total, __ATOMIC_RELAXED);
}

static void on_tell(uv_timer_t *timer)
{
	struct backup_work *w = timer->data;

	answer_json(w->request,
		json_pack("{s:{s:s,s:I,s:I}}", "progress", "step",
			__atomic_load_n(&w->step, __ATOMIC_RELAXED), "done",
			(json_int_t)__atomic_load_n(&w->done, __ATOMIC_RELAXED), "total",
			(json_int_t)__atomic_load_n(&w->total, __ATOMIC_RELAXED)),
		false);
}

static void backup_run(uv_work_t *work)
{
	struct backup_work *w = work->data;
	struct backup_opts opts = {
		.store = w->rt->store,
		.paths = &w->rt->paths,
		.node = w->rt->node,
		.to = w->to,
		.watch = {&w->rt->stopping, progress_note, w},
	};

	w->result = backup_make(&opts, &w->manifest, &w->ctx);
}

static void backup_done(uv_work_t *work, int status)
{
	struct backup_work *w = work->data;
	char shown[512];

	w->rt->backing_up = false;
	if (status != 0)
		w->result = ERR_CANCELED;
	if (w->result == OK) {
		log_line(LOG_INFO, "backup: commit %llu is in '%s'",
			(unsigned long long)w->manifest.commits,
			text_escape(bytes_str(w->to), shown, sizeof(shown)));
		answer_json(w->request, report_json("backup", w->to, &w->manifest), true);
	} else {
		log_line(LOG_WARNING, "backup: %s",
			text_escape(
				bytes_str(err_message(&w->ctx, w->result)), shown, sizeof(shown)));
		control_fail(w->request, w->result, 0, err_message(&w->ctx, w->result));
	}
	uv_close((uv_handle_t *)&w->timer, work_closed);
}

void begin_backup(struct control_request *request, const Sauti__BackupRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct backup_work *w;

	if (rt->backing_up) {
		control_fail(request, ERR_BUSY, 0, "another backup is being made");
		return;
	}
	if (strlen(message->to) >= sizeof(w->to)) {
		control_fail(request, ERR_LIMIT, 0, "the path is too long");
		return;
	}
	w = mem_zalloc(sizeof(*w));
	if (w == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	w->work.data = w->timer.data = w;
	w->request = request;
	w->rt = rt;
	w->step = "copy";
	strcpy(w->to, message->to);
	uv_timer_init(&rt->loop, &w->timer);
	if (uv_queue_work(&rt->loop, &w->work, backup_run, backup_done) != 0) {
		control_fail(request, ERR_NOMEM, 0, "no worker");
		uv_close((uv_handle_t *)&w->timer, work_closed);
		return;
	}
	rt->backing_up = true;
	uv_timer_start(&w->timer, on_tell, TELL_MS, TELL_MS);
}
