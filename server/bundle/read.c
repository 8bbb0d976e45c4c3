#include "server/bundle/read.h"

#include <stdlib.h>

#include "proto/codec.h"
#include "proto/frame.pb-c.h"

enum { HAVE_TAG = 2 << 3 | 2 }; /* Frame.have: field 2, with a length */

enum err bundle_read_open(const char *path, struct bundle_read *ret, struct errctx *ctx)
{
	enum err err;

	*ret = (struct bundle_read){.file.fd = -1};
	TRY(bundle_file_open(path, &ret->file, ctx));
	err = bundle_reader_open(&ret->file.source, &ret->reader, ctx);
	if (err == OK)
		return OK;
	bundle_read_close(ret);
	return err_wrap(ctx, err, "'%s'", path);
}

void bundle_read_close(struct bundle_read *read)
{
	bundle_reader_close(read->reader);
	bundle_file_close(&read->file);
	read->reader = NULL;
}

static uint64_t vouch(struct store *store, const Sauti__LogState *state)
{
	uint64_t vouched = 0;
	struct origin origin;

	if (origin_parse(bytes_str(state->origin), &origin, NULL) != OK)
		return 0;
	for (size_t i = 0; i < state->n_cosigned && i < LIMIT_NOTE_SIGNATURES; i++) {
		const Sauti__Cosigned *item = state->cosigned[i];
		struct hash root;
		uint64_t size = 0;

		if (item->size > 0 && item->root.len == HASH_SIZE &&
			store_root(store, &origin, item->size, &size, &root, NULL) == OK &&
			size >= item->size && memcmp(root.b, item->root.data, HASH_SIZE) == 0)
			vouched |= UINT64_C(1) << i;
	}
	return vouched;
}

static uint64_t frame_vouch(struct store *store, struct bytes bytes)
{
	Sauti__Frame *frame;
	struct arena arena;
	uint64_t vouched = 0;

	if (bytes.size == 0 || bytes.data[0] != HAVE_TAG)
		return 0;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(frame, bytes, &scan_limits_default, &arena, &frame, NULL) == OK &&
		frame->body_case == SAUTI__FRAME__BODY_HAVE && frame->have->n_logs == 1)
		vouched = vouch(store, frame->have->logs[0]);
	arena_release(&arena);
	return vouched;
}

enum err bundle_read_next(struct bundle_read *read, struct store *store, struct bundle_item *ret,
	uint64_t *ret_vouched)
{
	TRY(bundle_reader_next(read->reader, ret));
	*ret_vouched = ret->found == BUNDLE_FRAME ? frame_vouch(store, ret->frame) : 0;
	return OK;
}

static int compare(const void *a, const void *b)
{
	const struct bundle_order *x = a, *y = b;
	int set = memcmp(x->set, y->set, sizeof(x->set));

	if (x->readable != y->readable)
		return x->readable ? -1 : 1;
	if (x->readable && x->made_at != y->made_at)
		return x->made_at < y->made_at ? -1 : 1;
	if (x->readable && set != 0)
		return set;
	if (x->readable && x->part != y->part)
		return x->part < y->part ? -1 : 1;
	return x->file < y->file ? -1 : x->file > y->file;
}

void bundle_order(const char *const *paths, struct bundle_order *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct bundle_manifest *m;
		struct bundle_read read;

		if (bundle_read_open(paths[list[i].file], &read, NULL) != OK)
			continue;
		m = bundle_reader_manifest(read.reader, NULL);
		if (m != NULL) {
			list[i].readable = true;
			list[i].made_at = m->made_at;
			memcpy(list[i].set, m->set, sizeof(m->set));
			list[i].part = m->part;
		}
		bundle_read_close(&read);
	}
	qsort(list, count, sizeof(*list), compare);
}
