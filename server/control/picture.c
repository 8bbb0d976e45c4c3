/* What the loop knows of one log, for a worker that writes its checkpoint file. */
#include "base/alloc.h"
#include "server/control/internal.h"

enum { LINE_SIZE_MAX = 256 }; /* of a cosignature: the longest name, and 104 digits of base64 */

void picture_init(struct log_picture *picture)
{
	*picture = (struct log_picture){.size = 0};
	buf_init(&picture->note, LIMIT_NOTE_SIZE);
	buf_init(&picture->lines, (size_t)LIMIT_DIRECTORY_RECORDS * LINE_SIZE_MAX);
}

void picture_release(struct log_picture *picture)
{
	buf_release(&picture->note);
	buf_release(&picture->lines);
	mem_free(picture->cosignatures);
	picture->cosignatures = NULL;
}

static enum err take_cosignatures(const struct runtime *rt, size_t position,
	const struct engine_log *log, struct log_picture *picture)
{
	const struct directory *directory = engine_directory(rt->engine);
	size_t used = 0;

	buf_clear(&picture->lines);
	mem_free(picture->cosignatures);
	picture->cosignatures = NULL;
	if (log->cosigned == 0)
		return OK;
	picture->cosignatures = mem_array(log->cosigned, sizeof(*picture->cosignatures));
	/* Reserved whole: the lines are views into it. */
	if (picture->cosignatures == NULL ||
		buf_reserve(&picture->lines, log->cosigned * LINE_SIZE_MAX) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < log->cosigned; i++) {
		struct export_cosignature *c = &picture->cosignatures[used];
		struct engine_cosigned cosigned;
		const struct member *m;

		engine_cosigned_at(rt->engine, position, i, &cosigned);
		m = directory_find(directory, bytes_str(cosigned.node));
		if (m == NULL || cosigned.size != log->checkpoint_size ||
			!hash_equal(&cosigned.root, &log->root) ||
			cosigner_key(rt, &cosigned, m, &c->key) != OK ||
			cosigned.line.size > LINE_SIZE_MAX)
			continue;
		c->line = bytes_make(picture->lines.data + picture->lines.size, cosigned.line.size);
		buf_put(&picture->lines, cosigned.line);
		used++;
	}
	picture->opts.cosignatures = picture->cosignatures;
	picture->opts.cosignature_count = used;
	return picture->lines.err;
}

enum err picture_take(
	const struct runtime *rt, size_t position, struct log_picture *picture, struct errctx *ctx)
{
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	picture->opts = (struct export_opts){.store = rt->store, .origin = log.origin};
	picture->size = log.checkpoint_size;
	if (log.checkpoint_size == 0)
		return err_set(ctx, ERR_NOTFOUND, "log '%s' has no signed checkpoint yet",
			log.origin.text);
	if (!engine_log_key(rt->engine, position, &picture->opts.key))
		return err_set(ctx, ERR_NOTFOUND, "the log's key is not known yet");
	buf_clear(&picture->note);
	buf_put(&picture->note, log.checkpoint);
	TRY(picture->note.err);
	picture->opts.note = buf_bytes(&picture->note);
	return take_cosignatures(rt, position, &log, picture);
}
