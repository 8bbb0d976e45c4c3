#include "web_test.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "web/clients.h"
#include "web/clock.h"
#include "web/pool.h"

static sem_t started, go_on;
static atomic_uint ran, without_line;

static void run(struct job *job, struct node_line *line)
{
	atomic_fetch_add(&ran, 1);
	atomic_fetch_add(&without_line, line == NULL);
}

static void run_slowly(struct job *job, struct node_line *line)
{
	sem_post(&started);
	sem_wait(&go_on);
	run(job, line);
}

static void reset(struct node *node)
{
	node_init(node, "/nonexistent/socket", 60);
	sem_init(&started, 0, 0);
	sem_init(&go_on, 0, 0);
	ran = without_line = 0;
}

/* At the cap, and one past it; what waits at the end is run without the node. */
static void test_cap(void **state)
{
	struct job jobs[LIMIT_WEB_QUEUE + 2] = {{.run = run_slowly}};
	struct pool *pool;
	struct node node;

	reset(&node);
	assert_int_equal(pool_new(&node, 1, &pool), OK);
	assert_int_equal(pool_submit(pool, &jobs[0]), OK);
	sem_wait(&started);
	for (size_t i = 1; i <= LIMIT_WEB_QUEUE + 1; i++) {
		jobs[i].run = run;
		assert_int_equal(pool_submit(pool, &jobs[i]), i <= LIMIT_WEB_QUEUE ? OK : ERR_BUSY);
	}
	assert_int_equal(ran, 0);
	sem_post(&go_on);
	pool_stop(pool);
	assert_int_equal(ran, LIMIT_WEB_QUEUE + 1);
	assert_int_equal(pool_submit(pool, &jobs[0]), ERR_BUSY);
	pool_free(pool);
	assert_true(without_line <= LIMIT_WEB_QUEUE);
	node_release(&node);
}

static void test_late(void **state)
{
	struct job slow = {.run = run_slowly}, late = {.run = run}, next = {.run = run};
	struct pool *pool;
	struct node node;

	reset(&node);
	node.timeout_s = 1;
	assert_int_equal(pool_new(&node, 1, &pool), OK);
	assert_int_equal(pool_submit(pool, &slow), OK);
	sem_wait(&started);
	assert_int_equal(pool_submit(pool, &late), OK);
	late.since_ms -= 1100; /* it has waited longer than anybody should */
	assert_int_equal(pool_submit(pool, &next), OK);
	sem_post(&go_on);
	while (ran < 3)
		usleep(1000);
	assert_int_equal(without_line, 1);
	pool_free(pool);
	node_release(&node);
}

static void test_many_workers(void **state)
{
	static struct job jobs[32];
	struct pool *pool;
	struct node node;

	reset(&node);
	assert_int_equal(pool_new(&node, LIMIT_WEB_WORKERS, &pool), OK);
	for (size_t i = 0; i < 32; i++) {
		jobs[i].run = i < LIMIT_WEB_WORKERS ? run_slowly : run;
		assert_int_equal(pool_submit(pool, &jobs[i]), OK);
	}
	for (size_t i = 0; i < LIMIT_WEB_WORKERS; i++)
		sem_wait(&started); /* all of them at one time */
	for (size_t i = 0; i < LIMIT_WEB_WORKERS; i++)
		sem_post(&go_on);
	pool_free(pool);
	assert_int_equal(ran, 32);
	pool_free(NULL);
	node_release(&node);
}

/* No node: the first attempt says so, the next ones do not even try for a while. */
static void test_unreachable(void **state)
{
	Sauti__PublicLogsRequest logs = SAUTI__PUBLIC_LOGS_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	struct errctx ctx = {""};
	struct node_line line;
	struct node node;

	reset(&node);
	line = (struct node_line){.node = &node};
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_LOGS;
	request.public_logs = &logs;
	assert_int_equal(node_ask(&line, &request, NULL, NULL, &ctx), ERR_UNREACHABLE);
	assert_non_null(strstr(ctx.text, "is sautid running?"));
	for (unsigned wait = NODE_RETRY_MIN_MS; wait <= 2 * NODE_RETRY_MAX_MS; wait *= 2) {
		unsigned expected = wait < NODE_RETRY_MAX_MS ? wait : NODE_RETRY_MAX_MS;

		assert_true(node.retry_ms <= expected && 2 * node.retry_ms >= expected);
		assert_int_equal(node_ask(&line, &request, NULL, NULL, &ctx), ERR_UNREACHABLE);
		node.retry_at_ms = clock_ms();
		assert_int_equal(node_ask(&line, &request, NULL, NULL, &ctx), ERR_UNREACHABLE);
	}
	assert_int_equal(node.retry_ms, NODE_RETRY_MAX_MS);
	node_line_close(&line);
	node_release(&node);
}

static void test_clients(void **state)
{
	struct clients clients;
	struct client *a, *b, *c;
	int ends[2];
	char byte;

	clients_init(&clients);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	a = clients_add(&clients, ends[0], 1000);
	b = clients_add(&clients, -1, 2000);
	c = clients_add(&clients, -1, UINT64_MAX);
	assert_int_equal(clients_sweep(&clients, 999), 0);
	clients_until(&clients, a, 1500);
	assert_int_equal(clients_sweep(&clients, 1499), 0);
	assert_int_equal(clients_sweep(&clients, 1500), 1);
	assert_int_equal(recv(ends[1], &byte, 1, 0), 0); /* shut down, and not closed */
	assert_int_equal(clients_sweep(&clients, 1600), 0);
	clients_remove(&clients, b);
	assert_int_equal(clients_sweep(&clients, 3000), 0);
	clients_remove(&clients, a);
	clients_remove(&clients, c);
	clients_remove(&clients, NULL);
	clients_until(&clients, NULL, 1);
	assert_null(clients.first);
	clients_release(&clients);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_many_workers),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
