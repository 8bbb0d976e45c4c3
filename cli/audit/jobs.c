/*
 * One log walked by several threads. Happy path: the calling thread hands out blocks in order,
 * workers read and hash them, and it takes them in order again. There is one block more than
 * workers, so that nobody waits for the taking, and no more; of large blocks there are as many at a
 * time as BUDGET holds, two at least.
 *
 * The walk itself is the calling thread's alone; workers read its options. So whatever is said is
 * said in order, the same however many threads there are.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "cli/audit/log.h"

enum { PROGRESS_BLOCKS = 64, BUDGET = 36 * 1024 * 1024, KEEP = 2 * 1024 * 1024 };
enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_CLAIMED, SLOT_READY };

struct slot {
	enum slot_state state;
	struct walk_block *block;
};

struct pool {
	const struct audit_jobs *opts;
	struct walk *walk;
	struct audit_source source; /* as it is given, behind a lock unless it is concurrent */
	const struct audit_source *behind;
	pthread_mutex_t lock, source_lock;
	pthread_cond_t waiting, ready;
	bool end;
	unsigned count;
	size_t largest; /* block so far; before there is one, the largest that can be */
	uint64_t handed, claimed, taken; /* blocks; their slots are number % count */
	struct slot slots[AUDIT_JOBS_MAX + 1];
	unsigned thread_count;
	pthread_t threads[AUDIT_JOBS_MAX];
};

static enum err locked_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	struct pool *pool = arg;
	enum err err;

	pthread_mutex_lock(&pool->source_lock);
	err = pool->behind->read(pool->behind->arg, origin, path, max, out, ctx);
	pthread_mutex_unlock(&pool->source_lock);
	return err;
}

/* --- workers --- */

static struct slot *claim(struct pool *pool)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&pool->lock);
	while (!pool->end && pool->claimed == pool->handed)
		pthread_cond_wait(&pool->waiting, &pool->lock);
	if (!pool->end) {
		slot = &pool->slots[pool->claimed++ % pool->count];
		slot->state = SLOT_CLAIMED;
	}
	pthread_mutex_unlock(&pool->lock);
	return slot;
}

static void *worker(void *arg)
{
	struct pool *pool = arg;
	struct slot *slot;

	while ((slot = claim(pool)) != NULL) {
		walk_read(pool->walk, slot->block);
		walk_hash(pool->walk, slot->block);
		pthread_mutex_lock(&pool->lock);
		slot->state = SLOT_READY;
		pthread_cond_signal(&pool->ready);
		pthread_mutex_unlock(&pool->lock);
	}
	return NULL;
}

/* --- the calling thread --- */

static void hand_out(struct pool *pool)
{
	uint64_t room = BUDGET / (pool->largest + 1);

	room = room < 2 ? 2 : room < pool->count ? room : pool->count;
	pthread_mutex_lock(&pool->lock);
	while (pool->handed - pool->taken < room) {
		struct slot *slot = &pool->slots[pool->handed % pool->count];

		if (!walk_next(pool->walk, slot->block))
			break;
		slot->state = SLOT_WAITING;
		pool->handed++;
		pthread_cond_signal(&pool->waiting);
	}
	pthread_mutex_unlock(&pool->lock);
}

static struct slot *await(struct pool *pool)
{
	struct slot *slot = &pool->slots[pool->taken % pool->count];

	pthread_mutex_lock(&pool->lock);
	while (slot->state != SLOT_READY)
		pthread_cond_wait(&pool->ready, &pool->lock);
	slot->state = SLOT_FREE;
	pthread_mutex_unlock(&pool->lock);
	return slot;
}

static void tell_progress(const struct audit_jobs *jobs, uint64_t blocks)
{
	if (jobs->progress != NULL && blocks % PROGRESS_BLOCKS == 0)
		jobs->progress(jobs->arg, blocks * TILE_WIDTH);
}

static enum err take_all(struct pool *pool, struct errctx *ctx)
{
	hand_out(pool);
	while (pool->taken < pool->handed) {
		struct walk_block *block = await(pool)->block;
		size_t size;

		TRY(walk_take(pool->walk, block, ctx));
		size = walk_block_trim(block, KEEP);
		if (pool->taken++ == 0 || size > pool->largest)
			pool->largest = size;
		tell_progress(pool->opts, pool->taken);
		hand_out(pool);
	}
	return OK;
}

static enum err start(struct pool *pool, unsigned jobs, struct errctx *ctx)
{
	pool->count = jobs + 1;
	for (unsigned i = 0; i < pool->count; i++)
		TRY(walk_block_new(&pool->slots[i].block));
	while (pool->thread_count < jobs) {
		if (pthread_create(&pool->threads[pool->thread_count], NULL, worker, pool) != 0)
			return err_set(ctx, ERR_NOMEM, "no more threads can be had");
		pool->thread_count++;
	}
	return OK;
}

static void stop(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->end = true;
	pthread_cond_broadcast(&pool->waiting);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	for (unsigned i = 0; i < pool->count; i++)
		walk_block_free(pool->slots[i].block);
}

static enum err run_pool(struct pool *pool, const struct walk_opts *opts, struct walk_result *ret,
	struct errctx *ctx)
{
	struct walk_opts own = *opts;
	enum err err;

	pool->behind = opts->source;
	pool->source = *opts->source;
	if (!pool->source.concurrent) {
		pool->source.read = locked_read;
		pool->source.arg = pool;
	}
	own.source = &pool->source;
	TRY(walk_new(&own, &pool->walk, ctx));
	err = start(pool, pool->opts->jobs, ctx);
	if (err == OK)
		err = take_all(pool, ctx);
	stop(pool);
	if (err == OK)
		err = walk_end(pool->walk, ret, ctx);
	walk_free(pool->walk);
	return err;
}

static enum err run_alone(const struct walk_opts *opts, const struct audit_jobs *jobs,
	struct walk_result *ret, struct errctx *ctx)
{
	struct walk_block *block = NULL;
	struct walk *walk = NULL;
	uint64_t blocks = 0;
	enum err err = walk_new(opts, &walk, ctx);

	if (err == OK)
		err = walk_block_new(&block);
	while (err == OK && walk_next(walk, block)) {
		walk_read(walk, block);
		walk_hash(walk, block);
		err = walk_take(walk, block, ctx);
		tell_progress(jobs, ++blocks);
	}
	if (err == OK)
		err = walk_end(walk, ret, ctx);
	walk_block_free(block);
	walk_free(walk);
	return err;
}

enum err audit_jobs_run(const struct walk_opts *opts, const struct audit_jobs *jobs,
	struct walk_result *ret, struct errctx *ctx)
{
	struct pool *pool;
	enum err err;

	if (jobs->jobs <= 1)
		return run_alone(opts, jobs, ret, ctx);
	pool = mem_zalloc(sizeof(*pool));
	if (pool == NULL)
		return ERR_NOMEM;
	pool->opts = jobs;
	pool->largest = SOURCE_ENTRIES_MAX;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_mutex_init(&pool->source_lock, NULL);
	pthread_cond_init(&pool->waiting, NULL);
	pthread_cond_init(&pool->ready, NULL);
	err = run_pool(pool, opts, ret, ctx);
	pthread_cond_destroy(&pool->ready);
	pthread_cond_destroy(&pool->waiting);
	pthread_mutex_destroy(&pool->source_lock);
	pthread_mutex_destroy(&pool->lock);
	mem_free(pool);
	return err;
}
