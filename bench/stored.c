/*
 * bench_stored: what a node's filled store costs to open and to verify.
 *
 *   bench_stored STORE NETWORK NODE ROUNDS
 *
 * Opening is store, heads into an engine, writer: what sautid does before it listens. Once with the
 * file in the page cache and once without. Verifying is store_verify of the largest log; its
 * baseline hashes the same entries, a batch at a time in memory, with a prefetched EVP_MD.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "lib.h"
#include "rig.h"

enum { BATCH_BYTES = 16 * 1024 * 1024, BATCH_ENTRIES = 16 * 1024 };

/* The store must be closed: closing the file here drops LMDB's locks. */
static void page_cache_drop(const char *store)
{
	char path[1024];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/data.mdb", store);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		die("open '%s': %s", path, strerror(errno));
	rc = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (rc != 0)
		die("fadvise '%s': %s", path, strerror(rc));
	close(fd);
}

static double reopen(const struct rig_opts *opts, bool cold)
{
	struct rig rig;
	double start;

	if (cold)
		page_cache_drop(opts->store);
	start = now_s();
	rig_open(&rig, opts);
	start = now_s() - start;
	rig_close(&rig);
	return start;
}

static uint64_t largest_log(struct store *store, struct origin *ret)
{
	struct log_head *heads = NULL;
	struct errctx ctx = {""};
	uint64_t size = 0;
	size_t count = 0;

	check(store_heads(store, &heads, &count, &ctx), &ctx, "read the heads");
	for (size_t i = 0; i < count; i++) {
		if (heads[i].size > size) {
			size = heads[i].size;
			*ret = heads[i].origin;
		}
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	if (size == 0)
		die("there is no log in the store");
	return size;
}

/* RFC 6962 leaf hashes by bare EVP. */
static double hash_batch(EVP_MD_CTX *ctx, const EVP_MD *md, const struct entries *entries)
{
	const uint8_t prefix = 0;
	double start = now_s();

	for (size_t i = 0; i < entries->count; i++) {
		uint8_t hash[EVP_MAX_MD_SIZE];

		if (EVP_DigestInit_ex2(ctx, md, NULL) != 1 ||
			EVP_DigestUpdate(ctx, &prefix, 1) != 1 ||
			EVP_DigestUpdate(ctx, entries->entry[i].data, entries->entry[i].size) !=
				1 ||
			EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
			die("SHA-256 failed");
	}
	return now_s() - start;
}

/* Seconds of hashing alone, over the whole log. */
static double hash_all(struct store *store, const struct origin *origin, uint64_t size)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct store_read read = {READ_BATCH, *origin, 0, size, BATCH_ENTRIES, BATCH_BYTES, 0};
	struct errctx said = {""};
	double seconds = 0;

	if (md == NULL || ctx == NULL)
		die("OpenSSL has no SHA-256");
	while (read.first < size) {
		struct store_batch batch = {0};

		check(store_read_batch(store, &read, &batch, &said), &said, "read entries");
		seconds += hash_batch(ctx, md, batch.entries);
		read.first += batch.entries->count;
		entries_unref(batch.entries);
	}
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return seconds;
}

static double verify(struct store *store, const struct origin *origin)
{
	struct store_verify result;
	struct errctx ctx = {""};
	double start = now_s();

	check(store_verify(store, origin, NULL, &result, &ctx), &ctx, "verify");
	buf_release(&result.checkpoint);
	return now_s() - start;
}

static void compare_verify(const struct rig_opts *opts, size_t rounds)
{
	struct samples hash = {0}, walk = {0};
	struct origin origin;
	struct rig rig;
	double size;

	rig_open(&rig, opts);
	size = (double)largest_log(rig.store, &origin);
	for (size_t i = 0; i < rounds; i++) {
		samples_add(&hash, size / hash_all(rig.store, &origin, (uint64_t)size));
		samples_add(&walk, size / verify(rig.store, &origin));
	}
	rig_close(&rig);
	samples_print("hash_per_s", &hash, false);
	samples_print("verify_per_s", &walk, false);
	printf(", \"entries\": %.0f", size);
	samples_release(&hash);
	samples_release(&walk);
}

int main(int argc, char **argv)
{
	struct samples warm = {0}, cold = {0};
	struct rig_identity identity;
	struct rig_opts opts;
	size_t rounds;

	if (argc != 5)
		die("usage: bench_stored STORE NETWORK NODE ROUNDS");
	rounds = (size_t)number_of(argv[4]);
	check(crypto_init(), NULL, "start OpenSSL");
	/* Nothing is written or signed: any directory key will do. */
	rig_identity_init(&identity, &opts, argv[1]);
	opts.network = argv[2];
	opts.node = argv[3];
	opts.origin = NULL;
	for (size_t i = 0; i < rounds; i++) {
		samples_add(&cold, reopen(&opts, true));
		samples_add(&warm, reopen(&opts, false));
	}
	printf("{");
	samples_print("reopen_cold_s", &cold, true);
	samples_print("reopen_warm_s", &warm, false);
	compare_verify(&opts, rounds);
	printf("}\n");
	samples_release(&cold);
	samples_release(&warm);
	rig_identity_release(&identity);
	crypto_release();
	return 0;
}
