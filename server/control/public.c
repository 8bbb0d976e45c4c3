/*
 * What anybody may ask: files of logs, which logs there are, proofs of forks. The loop takes a
 * picture of the log, a worker reads the one file in one short transaction, and the client gets it
 * as fast as it takes it. LIMIT_PUBLIC_FILES are under way at a time, which bounds the memory; the
 * next ones wait in order.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "replication/log/evidence.h"
#include "replication/log/tlog_path.h"
#include "server/control/internal.h"
#include "server/store/blocks.h"

#define CHECKPOINT "checkpoint"

enum { EVIDENCE_AT_ONCE = 16 };

struct public_file {
	uv_work_t work;
	struct runtime *rt;
	struct public_files *files; /* among which it waits */
	struct control_request *request;
	struct public_file *next;
	struct log_picture picture;
	bool checkpoint;
	struct origin stored; /* under which its entries and tiles are held */
	struct tlog_file file;
	struct buf out;
	enum err result;
	struct errctx ctx;
	struct giving giving;
};

/* ---- whose logs ---- */

/* A branch is of the log whose name it begins with. */
static bool is_of(const char *log, const char *origin)
{
	size_t size = strcspn(log, "~");

	return strlen(origin) == size && strncmp(log, origin, size) == 0;
}

bool public_gives(const struct control_request *request, const char *origin)
{
	const struct runtime *rt = control_runtime(request);
	const char *directory;

	if (!control_is_public(request) || rt->config.public_logs == PUBLIC_LOGS_ALL)
		return true;
	directory = directory_origin(engine_directory(rt->engine), NULL);
	return rt->config.public_logs == PUBLIC_LOGS_DIRECTORY && directory != NULL &&
	       is_of(origin, directory);
}

void begin_public_logs(struct control_request *request)
{
	const struct runtime *rt = control_runtime(request);

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;

		engine_log_at(rt->engine, i, &log);
		if (log.checkpoint_size == 0 || !public_gives(request, log.origin.text))
			continue;
		answer_json(request,
			json_pack("{s:s,s:I,s:I,s:b,s:b}", "origin", log.origin.text, "size",
				(json_int_t)log.checkpoint_size, "evidence",
				(json_int_t)log.evidence, "own", log.own, "branch", log.branch),
			false);
	}
	control_end(request, BYTES_NONE);
}

/* ---- a file ---- */

static void file_free(struct public_file *f)
{
	picture_release(&f->picture);
	buf_release(&f->out);
	mem_free(f);
}

static void file_fail(struct public_file *f, enum err err)
{
	control_fail(f->request, err, 0, err_message(&f->ctx, err));
	file_free(f);
}

static void file_run(uv_work_t *work)
{
	struct public_file *f = work->data;
	struct hash leaves[TILE_WIDTH];
	struct export_result checkpoint;
	uint64_t bad;

	if (f->checkpoint) {
		f->result = export_checkpoint(&f->picture.opts, &f->out, &checkpoint, &f->ctx);
		return;
	}
	if (f->file.kind == TLOG_ENTRIES) {
		f->result = store_block(f->rt->store, &f->stored, f->file.id.index, f->file.width,
			&f->out, leaves, &bad, &f->ctx);
		return;
	}
	f->result =
		store_tile(f->rt->store, &f->stored, f->file.id, f->file.width, leaves, &f->ctx);
	if (f->result == OK)
		buf_put(&f->out, bytes_make(leaves, (size_t)f->file.width * HASH_SIZE));
	if (f->result == OK)
		f->result = f->out.err;
}

static void files_next(struct runtime *rt, struct public_files *files);

static void file_given(void *arg)
{
	struct public_file *f = arg;
	struct public_files *files = f->files;
	struct runtime *rt = f->rt;

	file_free(f);
	files->running--;
	files_next(rt, files);
}

static void file_read(uv_work_t *work, int status)
{
	struct public_file *f = work->data;
	struct public_files *files = f->files;
	struct runtime *rt = f->rt;

	if (status != 0)
		f->result = ERR_CANCELED;
	if (f->result == OK) {
		f->giving = (struct giving){
			.request = f->request,
			.file = buf_bytes(&f->out),
			.done = file_given,
			.arg = f,
		};
		give_file(&f->giving);
		return;
	}
	file_fail(f, f->result);
	files->running--;
	files_next(rt, files);
}

static void files_next(struct runtime *rt, struct public_files *files)
{
	while (files->first != NULL && files->running < LIMIT_PUBLIC_FILES) {
		struct public_file *f = files->first;

		files->first = f->next;
		if (files->first == NULL)
			files->last = NULL;
		if (rt->stopping) {
			err_set(&f->ctx, ERR_CANCELED, "the node stops");
			file_fail(f, ERR_CANCELED);
		} else if (uv_queue_work(&rt->loop, &f->work, file_run, file_read) != 0) {
			file_fail(f, ERR_NOMEM);
		} else {
			files->running++;
		}
	}
}

/* The file of that name at the newest checkpoint, or an older partial one that it begins with. */
static enum err choose_file(struct public_file *f, const char *path)
{
	unsigned width;

	f->checkpoint = strcmp(path, CHECKPOINT) == 0;
	if (f->checkpoint)
		return OK;
	if (tlog_path_parse(bytes_str(path), &f->file) != OK)
		return err_set(&f->ctx, ERR_INVALID, "no path of a log's file");
	width = tile_width(f->file.id, f->picture.size);
	if (width >= f->file.width)
		return OK;
	return err_set(&f->ctx, ERR_NOTFOUND,
		"log '%s' has no such file at its newest checkpoint, of %llu entries",
		f->picture.opts.origin.text, (unsigned long long)f->picture.size);
}

static enum err choose(struct public_file *f, const Sauti__PublicFileRequest *message)
{
	struct engine_log log;
	size_t position;

	if (!engine_log_find(f->rt->engine, bytes_str(message->origin), &log, &position))
		return err_set(&f->ctx, ERR_NOTFOUND, "no log of that origin is held here");
	if (!public_gives(f->request, log.origin.text))
		return err_set(&f->ctx, ERR_DENIED,
			"'%s' is not given out here: [public] logs in sauti.conf", log.origin.text);
	TRY(picture_take(f->rt, position, &f->picture, &f->ctx));
	f->stored = log.origin;
	if (log.alias)
		f->stored.text[strcspn(f->stored.text, "~")] = '\0';
	return choose_file(f, message->path);
}

void begin_public_file(struct control_request *request, const Sauti__PublicFileRequest *message)
{
	struct public_file *f = mem_zalloc(sizeof(*f));
	struct public_files *files;
	enum err err;

	if (f == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	f->work.data = f;
	f->rt = control_runtime(request);
	f->request = request;
	picture_init(&f->picture);
	buf_init(&f->out, STORE_BLOCK_SIZE_MAX);
	err = choose(f, message);
	if (err != OK) {
		file_fail(f, err);
		return;
	}
	files = control_is_public(request) ? &f->rt->public_files : &f->rt->control_files;
	f->files = files;
	if (files->last != NULL)
		files->last->next = f;
	else
		files->first = f;
	files->last = f;
	files_next(f->rt, files);
}

/* ---- evidence ---- */

struct public_evidence {
	struct control_request *request;
	char origin[LIMIT_LOG_NAME + 1]; /* "": of all */
	size_t next;
};

/* As `sauti log evidence --export` writes it: u32be length || message. */
static void give_one(struct control_request *request, const char *origin, const struct hash *id,
	struct bytes message)
{
	CLEANUP(buf_release) struct buf framed;
	char hex[2 * HASH_SIZE + 1];

	buf_init(&framed, LIMIT_EVIDENCE_SIZE + 4);
	evidence_frame(message, &framed);
	if (framed.err != OK)
		return;
	hex_encode(hash_bytes(id), hex);
	control_data(request, buf_bytes(&framed));
	answer_json(request, json_pack("{s:s,s:s}", "id", hex, "origin", origin), false);
}

static void give_evidence(void *arg, bool gone)
{
	struct public_evidence *p = arg;
	const struct runtime *rt = control_runtime(p->request);
	unsigned given = 0;

	while (!gone && given < EVIDENCE_AT_ONCE && p->next < engine_evidence_count(rt->engine)) {
		struct hash id;
		size_t log;
		struct bytes message = engine_evidence_at(rt->engine, p->next++, &id, &log);
		const char *origin = engine_log_origin(rt->engine, log)->text;

		if ((p->origin[0] != '\0' && strcmp(p->origin, origin) != 0) ||
			!public_gives(p->request, origin))
			continue;
		give_one(p->request, origin, &id, message);
		given++;
	}
	if (given == EVIDENCE_AT_ONCE) {
		control_sent(p->request, give_evidence, p);
		return;
	}
	control_end(p->request, BYTES_NONE);
	mem_free(p);
}

void begin_public_evidence(
	struct control_request *request, const Sauti__PublicEvidenceRequest *message)
{
	const struct runtime *rt = control_runtime(request);
	struct public_evidence *p;
	struct engine_log log;
	size_t position;

	if (message->origin[0] != '\0' &&
		!engine_log_find(rt->engine, bytes_str(message->origin), &log, &position)) {
		control_fail(request, ERR_NOTFOUND, 0, "no log of that origin is held here");
		return;
	}
	p = mem_zalloc(sizeof(*p));
	if (p == NULL) {
		control_fail(request, ERR_NOMEM, 0, err_text(ERR_NOMEM));
		return;
	}
	p->request = request;
	if (message->origin[0] != '\0')
		strcpy(p->origin, log.origin.text);
	give_evidence(p, false);
}
