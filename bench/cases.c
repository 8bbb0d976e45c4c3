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

#include "base/alloc.h"
#include "base/crypto.h"
#include "cases/event/json_memory.h"
#include "fold.h"
#include "lib.h"
#include "node/files.h"
#include "vault.h"

#define PASSPHRASE "a passphrase that guards nothing"
enum { CHUNK_LINES = 2000, CHUNK_BYTES = 900 * 1024 };

static void no_memory(void)
{
	die("no memory for JSON");
}

static double record_file(struct bench_vault *bench, const char *path)
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
			bench_record(bench, &lines);
			buf_clear(&lines);
			count = 0;
		}
		buf_put(&lines, bytes_make(line, (size_t)n));
		count++;
	}
	bench_record(bench, &lines);
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
static void todays(struct bench_vault *bench, size_t rounds)
{
	struct samples today = {0};
	size_t items = 0, open = 0;

	for (size_t i = 0; i < rounds; i++) {
		struct vault_request *request = bench_request(VAULT_TODAY);
		double start = now_s();

		bench_ask(bench, request);
		samples_add(&today, (now_s() - start) * 1000);
		check(request->result, &request->ctx, "today");
		items = 0;
		for (const struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
			items++;
		vault_request_free(request);
	}
	struct vault_request *list = bench_request(VAULT_LIST);

	bench_ask(bench, list);
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

static void unlocks(struct bench_vault *bench, size_t rounds)
{
	struct samples unlocked = {0}, derived = {0}, memory = {0};

	for (size_t i = 0; i < rounds; i++) {
		size_t before;

		bench_lock(bench);
		samples_add(&derived, scrypt_s());
		before = memory_used();
		samples_add(&unlocked, bench_unlock(bench));
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
	struct bench_vault bench;
	char store[PATH_MAX];
	struct rig rig;
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
	check(files_join(argv[1], "store", store, NULL), NULL, "make a path");
	rig_identity_init(&identity, &opts, store);
	rig_open(&rig, &opts);
	bench_vault_begin(&bench, &rig, argv[1], opts.node, opts.origin);
	bench_unlock(&bench);
	seconds = record_file(&bench, argv[2]);
	printf("{");
	unlocks(&bench, rounds);
	todays(&bench, rounds);
	fold_measure(&folded, rounds);
	samples_print("timeline_ms", &folded, false);
	printf(", \"events\": %llu, \"entries\": %llu, \"record_s\": %.9g}\n",
		(unsigned long long)bench.added, (unsigned long long)rig.size, seconds);
	samples_release(&folded);
	bench_vault_end(&bench);
	rig_close(&rig);
	rig_identity_release(&identity);
	crypto_release();
	return 0;
}
