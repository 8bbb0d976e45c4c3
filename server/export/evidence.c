#include "server/export/evidence.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "replication/log/evidence.h"
#include "server/export/top.h"

enum { GROW = 256 };

struct item {
	struct hash id;
	struct bytes message; /* borrowed */
};

struct proofs {
	struct item *list;
	size_t count;
	struct arena arena; /* of one message */
	struct errctx *ctx;
};

static enum err proofs_add(void *arg, struct bytes message)
{
	struct proofs *p = arg;
	struct evidence evidence;

	arena_clear(&p->arena);
	TRY(evidence_parse(message, &p->arena, &evidence, p->ctx));
	if (p->count % GROW == 0) {
		struct item *more = mem_resize(p->list, (p->count + GROW) * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		p->list = more;
	}
	evidence_id(&evidence, &p->list[p->count].id);
	p->list[p->count++].message = message;
	return OK;
}

/* Of one id, by their bytes: nobody has verified them, and one that is wrong must not take the
 * place of one that is right. */
static int by_id(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = memcmp(x->id.b, y->id.b, HASH_SIZE);

	return order != 0 ? order : bytes_compare(x->message, y->message);
}

static enum err collect(struct proofs *p, struct bytes file, const struct store_evidence *held,
	size_t count, const char *path)
{
	enum err err = evidence_frames(file, proofs_add, p, p->ctx);

	if (err == ERR_MALFORMED || err == ERR_LIMIT)
		return err_wrap(p->ctx, ERR_MALFORMED,
			"'%s/" EVIDENCE_NAME "' is no file of evidence: move it away", path);
	for (size_t i = 0; err == OK && i < count; i++)
		err = proofs_add(p, buf_bytes(&held[i].message));
	return err;
}

static enum err write_all(struct proofs *p, struct destination *destination)
{
	struct buf out;
	enum err err;

	if (p->count == 0)
		return OK;
	qsort(p->list, p->count, sizeof(*p->list), by_id);
	buf_init(&out, LIMIT_EVIDENCE_FILE);
	for (size_t i = 0; i < p->count; i++)
		if (i == 0 || by_id(&p->list[i - 1], &p->list[i]) != 0)
			evidence_frame(p->list[i].message, &out);
	err = out.err;
	if (err == ERR_LIMIT)
		err_set(p->ctx, err,
			"'%s/" EVIDENCE_NAME "' would have more than %d bytes: it is left as it "
			"was",
			destination_path(destination), LIMIT_EVIDENCE_FILE);
	if (err == OK)
		err = top_write(destination, EVIDENCE_NAME, buf_bytes(&out), p->ctx);
	buf_release(&out);
	return err;
}

enum err evidence_merge(struct destination *destination, const struct store_evidence *held,
	size_t count, struct errctx *ctx)
{
	struct proofs p = {.ctx = ctx};
	struct buf file;
	enum err err;

	arena_init(&p.arena, LIMIT_ARENA_SIZE);
	buf_init(&file, LIMIT_EVIDENCE_FILE);
	err = top_read(destination, EVIDENCE_NAME, LIMIT_EVIDENCE_FILE, &file, ctx);
	if (err == OK)
		err = collect(&p, buf_bytes(&file), held, count, destination_path(destination));
	if (err == OK)
		err = write_all(&p, destination);
	mem_free(p.list);
	arena_release(&p.arena);
	buf_release(&file);
	return err;
}

enum err evidence_export(struct store *store, struct destination *destination, struct errctx *ctx)
{
	struct store_evidence *list;
	size_t count, damaged;
	enum err err;

	TRY(store_evidence_list(store, &list, &count, &damaged, ctx));
	err = evidence_merge(destination, list, count, ctx);
	store_evidence_free(list, count);
	return err;
}
