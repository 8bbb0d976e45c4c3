/*
 * bench_append: the write path of an own log against bare LMDB, in turns.
 *
 *   log    pre-sealed entries, commits of 1,000: copying, leaf hashes, tree, checkpoint signature,
 *          store, sync
 *   seal   events of 507 bytes sealed by one thread beside the writer, commits of 1,000
 *   one    pre-sealed entries, commits of 1, each durable before the next is offered
 *
 * While one commit is under way the next is offered already, as the daemon does; never more, so
 * that group commit makes no larger commits than the baseline's.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "cases/seal/seal.h"
#include "lib.h"
#include "rig.h"

enum { COMMIT_ENTRIES = 1000, PART_SIZE = 507, SEAL_KEYS = 64, AHEAD = 2 };

struct paths {
	char bare[512], store[512];
};

static void batch_append(struct rig *rig, const struct bytes *entry, size_t count)
{
	struct entries *entries = NULL;

	check(entries_make(entry, count, &entries), NULL, "make entries");
	rig_append(rig, entries);
}

/* What a round took: time, and processor time of all threads and the kernel's for them, which a
 * busy machine changes less. */
struct cost {
	double seconds, cpu;
};

static struct cost cost_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (struct cost){now_s(), (double)ts.tv_sec + (double)ts.tv_nsec / 1e9};
}

static struct cost cost_since(struct cost start)
{
	struct cost now = cost_now();

	return (struct cost){now.seconds - start.seconds, now.cpu - start.cpu};
}

static struct cost bare_round(const struct paths *paths, const struct pool *pool, size_t commit)
{
	struct cost start, cost;
	struct bare bare;

	bare_open(&bare, paths->bare);
	start = cost_now();
	for (size_t at = 0; at < pool->count; at += commit)
		bare_commit(&bare, pool->entry + at, commit);
	cost = cost_since(start);
	bare_close(&bare);
	directory_remove(paths->bare);
	return cost;
}

static struct cost log_round(
	struct rig_opts *opts, const struct pool *pool, size_t commit, size_t commits_ahead)
{
	struct cost start, cost;
	struct rig rig;

	directory_remove(opts->store);
	directory_remove(opts->guard);
	rig_open(&rig, opts);
	start = cost_now();
	for (size_t at = 0; at < pool->count; at += commit) {
		rig_wait(&rig, commits_ahead);
		batch_append(&rig, pool->entry + at, commit);
	}
	rig_wait(&rig, 0);
	cost = cost_since(start);
	rig_close(&rig);
	directory_remove(opts->store);
	directory_remove(opts->guard);
	return cost;
}

/* Sealing. */

struct seals {
	struct seal_key keys[SEAL_KEYS];
	struct hash origin;
	struct sealer *sealer;
	uint8_t part[PART_SIZE];
	uint64_t next; /* number of the next part */
};

static void seals_init(struct seals *seals, const struct origin *origin)
{
	uint8_t k[SEAL_KEY_SIZE];

	sha256(bytes_str(origin->text), &seals->origin);
	for (size_t i = 0; i < SEAL_KEYS; i++) {
		check(random_bytes(k, sizeof(k)), NULL, "random");
		check(seal_key_init(&seals->keys[i], BYTES_ARRAY(k)), NULL, "make a case key");
	}
	check(random_bytes(seals->part, sizeof(seals->part)), NULL, "random");
	check(sealer_new(&seals->sealer), NULL, "make a sealer");
	seals->next = 0;
}

static void seals_release(struct seals *seals)
{
	for (size_t i = 0; i < SEAL_KEYS; i++)
		seal_key_release(&seals->keys[i]);
	sealer_free(seals->sealer);
}

/* Appends `count` sealed entries to out; ends[i] is where entry i ends. Randomness is drawn for
 * all of them at once, as the vault does. */
static void seals_write(struct seals *seals, size_t count, struct buf *out, size_t *ends)
{
	static uint8_t random[COMMIT_ENTRIES * SEAL_RANDOM_SIZE];

	check(random_bytes(random, count * SEAL_RANDOM_SIZE), NULL, "random");
	for (size_t i = 0; i < count; i++, seals->next++) {
		struct seal_position at = {seals->origin, seals->next / SEAL_KEYS};
		struct seal_options options = {random + i * SEAL_RANDOM_SIZE, false};

		put_u64be(seals->part, seals->next);
		check(seal_write(seals->sealer, &seals->keys[seals->next % SEAL_KEYS], &at,
			      &options, BYTES_ARRAY(seals->part), out),
			NULL, "seal");
		ends[i] = out->size;
	}
}

static struct entries *seals_entries(struct seals *seals, struct buf *sealed)
{
	static size_t ends[COMMIT_ENTRIES];
	static struct bytes views[COMMIT_ENTRIES];
	struct entries *entries = NULL;

	buf_clear(sealed);
	seals_write(seals, COMMIT_ENTRIES, sealed, ends);
	for (size_t i = 0, at = 0; i < COMMIT_ENTRIES; at = ends[i++])
		views[i] = bytes_make(sealed->data + at, ends[i] - at);
	check(entries_make(views, COMMIT_ENTRIES, &entries), NULL, "make entries");
	return entries;
}

/* The sealing thread: makes blocks, AHEAD of them at most wait. */
struct sealing {
	struct seals *seals;
	size_t blocks;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct entries *ready[AHEAD];
	size_t made, taken;
};

static void *sealing_main(void *arg)
{
	struct sealing *s = arg;
	struct buf sealed;

	buf_init(&sealed, COMMIT_ENTRIES * 2048);
	for (size_t i = 0; i < s->blocks; i++) {
		struct entries *entries = seals_entries(s->seals, &sealed);

		pthread_mutex_lock(&s->mutex);
		while (s->made - s->taken == AHEAD)
			pthread_cond_wait(&s->changed, &s->mutex);
		s->ready[s->made++ % AHEAD] = entries;
		pthread_cond_signal(&s->changed);
		pthread_mutex_unlock(&s->mutex);
	}
	buf_release(&sealed);
	return NULL;
}

static struct entries *sealing_take(struct sealing *s)
{
	struct entries *entries;

	pthread_mutex_lock(&s->mutex);
	while (s->made == s->taken)
		pthread_cond_wait(&s->changed, &s->mutex);
	entries = s->ready[s->taken++ % AHEAD];
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->mutex);
	return entries;
}

static struct cost seal_round(struct rig_opts *opts, struct seals *seals, size_t count)
{
	struct sealing sealing = {.seals = seals, .blocks = count / COMMIT_ENTRIES};
	struct cost start, cost;
	struct rig rig;

	pthread_mutex_init(&sealing.mutex, NULL);
	pthread_cond_init(&sealing.changed, NULL);
	directory_remove(opts->store);
	directory_remove(opts->guard);
	rig_open(&rig, opts);
	start = cost_now();
	if (pthread_create(&sealing.thread, NULL, sealing_main, &sealing) != 0)
		die("no thread");
	for (size_t i = 0; i < sealing.blocks; i++) {
		struct entries *entries = sealing_take(&sealing);

		rig_wait(&rig, 1);
		rig_append(&rig, entries);
	}
	rig_wait(&rig, 0);
	cost = cost_since(start);
	pthread_join(sealing.thread, NULL);
	rig_close(&rig);
	directory_remove(opts->store);
	directory_remove(opts->guard);
	pthread_cond_destroy(&sealing.changed);
	pthread_mutex_destroy(&sealing.mutex);
	return cost;
}

/* Sealed entries in memory for the baseline; the time that sealing alone takes. */
static double sealed_pool(struct seals *seals, size_t count, struct pool *ret, struct buf *bytes)
{
	size_t *ends = calloc(count, sizeof(*ends));
	double start;

	ret->entry = calloc(count, sizeof(*ret->entry));
	if (ends == NULL || ret->entry == NULL)
		die("out of memory");
	ret->count = count;
	start = now_s();
	for (size_t at = 0; at < count; at += COMMIT_ENTRIES)
		seals_write(seals, COMMIT_ENTRIES, bytes, ends + at);
	start = now_s() - start;
	for (size_t i = 0, at = 0; i < count; at = ends[i++])
		ret->entry[i] = bytes_make(bytes->data + at, ends[i] - at);
	free(ends);
	return start;
}

/* The three comparisons. */

struct side {
	struct samples per_s, cpu_us; /* entries a second; processor time of one */
};

static void side_add(struct side *side, struct cost cost, size_t count)
{
	samples_add(&side->per_s, (double)count / cost.seconds);
	samples_add(&side->cpu_us, cost.cpu / (double)count * 1e6);
}

/* "NAME_per_s": [..], "NAME_cpu_us": [..] */
static void side_print(const char *name, struct side *side, bool first)
{
	char key[64];

	snprintf(key, sizeof(key), "%s_per_s", name);
	samples_print(key, &side->per_s, first);
	snprintf(key, sizeof(key), "%s_cpu_us", name);
	samples_print(key, &side->cpu_us, false);
	samples_release(&side->per_s);
	samples_release(&side->cpu_us);
}

static void compare_log(
	struct rig_opts *opts, const struct paths *paths, size_t rounds, const struct pool *pool)
{
	struct side bare = {0}, log = {0};

	for (size_t i = 0; i < rounds; i++) {
		side_add(&bare, bare_round(paths, pool, COMMIT_ENTRIES), pool->count);
		side_add(&log, log_round(opts, pool, COMMIT_ENTRIES, 1), pool->count);
	}
	side_print("lmdb", &bare, true);
	side_print("log", &log, false);
}

static void compare_seal(
	struct rig_opts *opts, const struct paths *paths, size_t rounds, size_t count)
{
	struct side bare = {0}, seal = {0};
	struct seals seals;
	struct pool pool = {0};
	struct buf bytes;
	double alone;

	seals_init(&seals, &(struct origin){0});
	buf_init(&bytes, count * 1024);
	alone = sealed_pool(&seals, count, &pool, &bytes);
	for (size_t i = 0; i < rounds; i++) {
		side_add(&bare, bare_round(paths, &pool, COMMIT_ENTRIES), count);
		side_add(&seal, seal_round(opts, &seals, count), count);
	}
	side_print("seal_lmdb", &bare, false);
	side_print("seal", &seal, false);
	printf(", \"seal_alone_per_s\": %.9g, \"sealed_entry_bytes\": %zu", (double)count / alone,
		pool.entry[0].size);
	pool_release(&pool);
	buf_release(&bytes);
	seals_release(&seals);
}

static void compare_one(
	struct rig_opts *opts, const struct paths *paths, size_t rounds, const struct pool *pool)
{
	struct side bare = {0}, one = {0};

	for (size_t i = 0; i < rounds; i++) {
		side_add(&bare, bare_round(paths, pool, 1), pool->count);
		side_add(&one, log_round(opts, pool, 1, 0), pool->count);
	}
	side_print("one_lmdb", &bare, false);
	side_print("one", &one, false);
}

int main(int argc, char **argv)
{
	struct rig_identity identity;
	struct rig_opts opts;
	struct paths paths;
	struct pool pool;
	size_t rounds, count, ones;
	char guard[4096];

	if (argc != 5)
		die("usage: bench_append DIR ROUNDS ENTRIES COMMITS-OF-ONE");
	rounds = (size_t)number_of(argv[2]);
	count = (size_t)number_of(argv[3]);
	ones = (size_t)number_of(argv[4]);
	if (count % COMMIT_ENTRIES != 0)
		die("ENTRIES is no multiple of %d", COMMIT_ENTRIES);
	check(crypto_init(), NULL, "start OpenSSL");
	snprintf(paths.bare, sizeof(paths.bare), "%s/bare", argv[1]);
	snprintf(paths.store, sizeof(paths.store), "%s/store", argv[1]);
	snprintf(guard, sizeof(guard), "%s/guard", argv[1]);
	rig_identity_init(&identity, &opts, paths.store);
	opts.guard = guard;

	printf("{");
	pool_init(&pool, count);
	pool_fill(&pool, 1, 0);
	compare_log(&opts, &paths, rounds, &pool);
	compare_seal(&opts, &paths, rounds, count);
	pool_release(&pool);
	pool_init(&pool, ones);
	pool_fill(&pool, 2, 0);
	compare_one(&opts, &paths, rounds, &pool);
	pool_release(&pool);
	printf("}\n");

	rig_identity_release(&identity);
	crypto_release();
	return 0;
}
