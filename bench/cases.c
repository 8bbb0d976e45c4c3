/*
 * bench_cases: what a node with many cases costs, by its vault over a store of its own.
 *
 *   bench_cases DIR EVENTS-FILE ROUNDS
 *
 * The events (docs/EVENTS, JSON lines, cases in any order) are recorded as a daemon does it: sealed
 * by the vault, committed by engine and writer. Then the node is locked and unlocked, ROUNDS times,
 * with a passphrase that costs next to nothing to check; scrypt with the keystore's own cost is
 * measured beside it. Memory is what malloc has handed out for the unlocked node, all of it: keys,
 * cases, events, states.
 */
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/crypto.h"
#include "cases/event/json_memory.h"
#include "fold.h"
#include "lib.h"
#include "node/files.h"
#include "rig.h"
#include "server/vault/vault.h"

#define PASSPHRASE "a passphrase that guards nothing"
enum { CHUNK_LINES = 2000, CHUNK_BYTES = 900 * 1024 };

struct bench {
	char keystore[PATH_MAX], keyring[PATH_MAX], drafts[PATH_MAX], store[PATH_MAX];
	struct rig rig;
	struct vault *vault;
	int woken; /* eventfd */
	uint64_t added, cases, view_bytes;
};

static void on_wake(void *arg)
{
	const struct bench *bench = arg;
	uint64_t one = 1;

	if (write(bench->woken, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void no_memory(void)
{
	die("no memory for JSON");
}

/* Submits and waits; nothing else is asked meanwhile. */
static void ask(struct bench *bench, struct vault_request *request)
{
	uint64_t wakes;

	vault_submit(bench->vault, request);
	while (vault_done(bench->vault) != request)
		if (read(bench->woken, &wakes, sizeof(wakes)) != sizeof(wakes))
			die("wait for the vault");
}

static struct vault_request *request_new(enum vault_type type)
{
	struct vault_request *request = vault_request_new(type, NULL);

	check(request == NULL ? ERR_NOMEM : OK, NULL, "ask the vault");
	request->now_s = (uint64_t)time(NULL);
	request->now_ms = request->now_s * 1000;
	snprintf(request->officer, sizeof(request->officer), "bench");
	request->roles = ACCOUNT_SUPERVISOR;
	return request;
}

/* --- the node --- */

static void keystore_write(struct bench *bench, const struct rig_opts *opts)
{
	struct scrypt_cost cost = {16, 1, 1};
	struct errctx ctx = {""};
	struct node_keys keys;
	struct buf file;

	check(node_keys_make(opts->origin, &keys), NULL, "make keys");
	buf_init(&file, LIMIT_KEYSTORE_SIZE);
	check(keystore_seal(&keys, "bench", bytes_str(PASSPHRASE), cost, &file), NULL, "seal keys");
	check(files_write(bench->keystore, buf_bytes(&file), 0600, &ctx), &ctx, "write keys");
	buf_wipe(&file);
	node_keys_release(&keys);
}

static void vault_begin(struct bench *bench, const struct rig_opts *opts)
{
	struct errctx ctx = {""};
	struct vault_opts vault = {
		.store = bench->rig.store,
		.keystore = bench->keystore,
		.keyring = bench->keyring,
		.drafts = bench->drafts,
		.network = opts->network,
		.node = opts->node,
		.country = "ZZB",
		.compression = true,
		.wake = on_wake,
		.wake_arg = bench,
	};

	check(vault_start(&vault, &bench->vault, &ctx), &ctx, "start the vault");
}

/* Seconds. */
static double unlock(struct bench *bench)
{
	struct vault_request *request = request_new(VAULT_UNLOCK);
	double start = now_s(), seconds;

	check(secret_copy(&request->passphrase, bytes_str(PASSPHRASE)), NULL, "copy");
	ask(bench, request);
	seconds = now_s() - start;
	check(request->result, &request->ctx, "unlock");
	bench->cases = request->cases;
	bench->view_bytes = request->view_bytes;
	vault_request_free(request);
	return seconds;
}

static void lock(struct bench *bench)
{
	struct vault_request *request = request_new(VAULT_LOCK);

	ask(bench, request);
	vault_request_free(request);
}

static void commit(struct bench *bench, const struct vault_request *sealed)
{
	struct vault_request *end = request_new(VAULT_COMMITTED);

	end->batch = sealed->batch;
	end->index = bench->rig.size;
	rig_append(&bench->rig, entries_ref(sealed->entries));
	rig_wait(&bench->rig, 0);
	ask(bench, end);
	check(end->result, &end->ctx, "commit");
	vault_request_free(end);
}

static void record(struct bench *bench, const struct buf *lines)
{
	struct vault_request *request = request_new(VAULT_SEAL);

	buf_put(&request->lines, buf_bytes(lines));
	ask(bench, request);
	if (request->result != OK)
		die("line %u of a request: %s", request->line,
			err_message(&request->ctx, request->result));
	bench->added += request->added;
	if (request->entries != NULL)
		commit(bench, request);
	vault_request_free(request);
}

static double record_file(struct bench *bench, const char *path)
{
	FILE *file = fopen(path, "r");
	size_t size = 0, count = 0;
	char *line = NULL;
	double start = now_s();
	struct buf lines;

	if (file == NULL)
		die("open %s", path);
	buf_init(&lines, LIMIT_CONTROL_REQUEST);
	for (ssize_t n; (n = getline(&line, &size, file)) > 0;) {
		if (count == CHUNK_LINES || lines.size + (size_t)n > CHUNK_BYTES) {
			record(bench, &lines);
			buf_clear(&lines);
			count = 0;
		}
		buf_put(&lines, bytes_make(line, (size_t)n));
		count++;
	}
	record(bench, &lines);
	buf_release(&lines);
	free(line);
	fclose(file);
	return now_s() - start;
}

/* --- what is measured --- */

static double scrypt_s(void)
{
	uint8_t salt[16] = {1}, out[32];
	double start = now_s();

	check(scrypt(bytes_str(PASSPHRASE), BYTES_ARRAY(salt), keystore_cost, out, sizeof(out)),
		NULL, "scrypt");
	return now_s() - start;
}

/* Milliseconds that the vault takes for what wants doing, documents made; and how many open cases
 * it looked at. */
static void todays(struct bench *bench, size_t rounds)
{
	struct samples today = {0};
	size_t items = 0, open = 0;

	for (size_t i = 0; i < rounds; i++) {
		struct vault_request *request = request_new(VAULT_TODAY);
		double start = now_s();

		ask(bench, request);
		samples_add(&today, (now_s() - start) * 1000);
		check(request->result, &request->ctx, "today");
		items = 0;
		for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
			items++;
		vault_request_free(request);
	}
	struct vault_request *list = request_new(VAULT_LIST);

	ask(bench, list);
	check(list->result, &list->ctx, "list");
	for (struct vault_doc *doc = list->docs; doc != NULL; doc = doc->next)
		open += memmem(doc->json.data, doc->json.size, "\"stage\":\"closed\"", 16) == NULL;
	vault_request_free(list);
	samples_print("today_ms", &today, false);
	printf(", \"today_items\": %zu, \"open_cases\": %zu", items, open);
	samples_release(&today);
}

static size_t memory_used(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void unlocks(struct bench *bench, size_t rounds)
{
	struct samples unlocked = {0}, derived = {0}, memory = {0};

	for (size_t i = 0; i < rounds; i++) {
		size_t before;

		lock(bench);
		samples_add(&derived, scrypt_s());
		before = memory_used();
		samples_add(&unlocked, unlock(bench));
		samples_add(&memory, (double)(memory_used() - before));
	}
	samples_print("unlock_s", &unlocked, true);
	samples_print("scrypt_s", &derived, false);
	samples_print("unlocked_bytes", &memory, false);
	printf(", \"view_bytes\": [%llu], \"cases\": %llu", (unsigned long long)bench->view_bytes,
		(unsigned long long)bench->cases);
	samples_release(&unlocked);
	samples_release(&derived);
	samples_release(&memory);
}

int main(int argc, char **argv)
{
	struct bench bench = {.added = 0};
	struct samples folded = {0};
	struct rig_identity identity;
	struct rig_opts opts;
	size_t rounds;
	double seconds;

	if (argc != 4)
		die("usage: bench_cases DIR EVENTS-FILE ROUNDS");
	rounds = (size_t)number_of(argv[3]);
	check(crypto_init(), NULL, "start OpenSSL");
	json_memory_init(no_memory);
	check(files_join(argv[1], "store", bench.store, NULL), NULL, "make a path");
	check(files_join(argv[1], "keystore", bench.keystore, NULL), NULL, "make a path");
	check(files_join(argv[1], "drafts", bench.drafts, NULL), NULL, "make a path");
	check(files_join(argv[1], "keyring", bench.keyring, NULL), NULL, "make a path");
	rig_identity_init(&identity, &opts, bench.store);
	rig_open(&bench.rig, &opts);
	bench.woken = eventfd(0, EFD_CLOEXEC);
	keystore_write(&bench, &opts);
	vault_begin(&bench, &opts);
	unlock(&bench);
	seconds = record_file(&bench, argv[2]);
	printf("{");
	unlocks(&bench, rounds);
	todays(&bench, rounds);
	fold_measure(&folded, rounds);
	samples_print("timeline_ms", &folded, false);
	printf(", \"events\": %llu, \"entries\": %llu, \"record_s\": %.9g}\n",
		(unsigned long long)bench.added, (unsigned long long)bench.rig.size, seconds);
	samples_release(&folded);
	vault_stop(bench.vault);
	vault_free(bench.vault);
	rig_close(&bench.rig);
	rig_identity_release(&identity);
	close(bench.woken);
	crypto_release();
	return 0;
}
