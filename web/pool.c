#include "web/pool.h"

#include <signal.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "web/clock.h"

enum { STACK = 512 * 1024 };

struct pool {
	struct node *node;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct job *first, **last;
	unsigned waiting, count;
	bool stopping;
	pthread_t threads[LIMIT_WEB_WORKERS];
};

/* NULL: the pool stops, and nothing waits. */
static struct job *next_job(struct pool *pool, bool *ret_late)
{
	struct job *job;

	pthread_mutex_lock(&pool->mutex);
	while (pool->first == NULL && !pool->stopping)
		pthread_cond_wait(&pool->more, &pool->mutex);
	job = pool->first;
	if (job != NULL) {
		pool->first = job->next;
		if (pool->first == NULL)
			pool->last = &pool->first;
		pool->waiting--;
		*ret_late = pool->stopping ||
			    clock_ms() - job->since_ms > UINT64_C(1000) * pool->node->timeout_s;
	}
	pthread_mutex_unlock(&pool->mutex);
	return job;
}

static void *work(void *arg)
{
	struct pool *pool = arg;
	struct node_line line = {.node = pool->node};
	struct job *job;
	bool late;

	while ((job = next_job(pool, &late)) != NULL)
		job->run(job, late ? NULL : &line);
	node_line_close(&line);
	return NULL;
}

static enum err start(struct pool *pool, unsigned workers)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int failed = 0;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	while (pool->count < workers && failed == 0) {
		failed = pthread_create(&pool->threads[pool->count], &attr, work, pool);
		pool->count += failed == 0;
	}
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed == 0 ? OK : ERR_NOMEM;
}

enum err pool_new(struct node *node, unsigned workers, struct pool **ret)
{
	struct pool *pool = mem_zalloc(sizeof(*pool));
	enum err err;

	if (pool == NULL)
		return ERR_NOMEM;
	pool->node = node;
	pool->last = &pool->first;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->more, NULL);
	err = start(pool, workers);
	if (err != OK) {
		pool_free(pool);
		return err;
	}
	*ret = pool;
	return OK;
}

enum err pool_submit(struct pool *pool, struct job *job)
{
	enum err err = OK;

	job->next = NULL;
	job->since_ms = clock_ms();
	pthread_mutex_lock(&pool->mutex);
	if (pool->waiting == LIMIT_WEB_QUEUE || pool->stopping) {
		err = ERR_BUSY;
	} else {
		*pool->last = job;
		pool->last = &job->next;
		pool->waiting++;
		pthread_cond_signal(&pool->more);
	}
	pthread_mutex_unlock(&pool->mutex);
	return err;
}

void pool_stop(struct pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->mutex);
	for (unsigned i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i], NULL);
	pool->count = 0;
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_stop(pool);
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->mutex);
	mem_free(pool);
}
