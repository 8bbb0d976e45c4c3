#include "replication/audit/source.h"

static size_t max_size(const struct tlog_file *file)
{
	return file->kind == TLOG_ENTRIES ? (size_t)file->width * (2 + LIMIT_ENTRY_SIZE)
					  : (size_t)file->width * HASH_SIZE;
}

enum err source_file(const struct audit_source *source, const char *origin,
	const struct tlog_file *file, struct buf *out, bool *ret_wider, struct errctx *ctx)
{
	struct tlog_file full = *file;
	char path[TLOG_PATH_SIZE];
	enum err err;

	*ret_wider = false;
	buf_clear(out);
	tlog_path_format(file, path);
	err = source->read(source->arg, origin, path, max_size(file), out, ctx);
	if (err != ERR_NOTFOUND || file->width == TILE_WIDTH)
		return err;
	full.width = TILE_WIDTH;
	tlog_path_format(&full, path);
	buf_clear(out);
	err = source->read(source->arg, origin, path, max_size(&full), out, ctx);
	*ret_wider = err == OK;
	return err;
}

uint64_t source_starts(const struct audit_source *source, const char *origin)
{
	return source->tiles || source->starts == NULL ? 0 : source->starts(source->arg, origin);
}
