/*
 * Every single changed bit of a small store is found by fsck, or changes nothing that can be read.
 *
 *	flips [--bits all|one] [--every N] [--from BYTE] [--seed N] [--seconds N] [--repair]
 *[--through]
 *
 * For each byte of data.mdb (each N-th; all bits of it, or one by the seed) the file gets that bit
 * changed, and a child process runs fsck on it. If that says "whole", the child reads everything
 * that the store's functions give, with proofs and tiles, and compares it with what the unchanged
 * store gave.
 *
 * --repair   what was found is repaired: then each read gives the same as before, or says that it
 *            is damaged
 * --through  fsck goes on behind damaged pages, as sautid's does: LMDB may end its process then,
 *            which counts as found, since sautid's parent process says so
 *
 * Exit status 1 and a line for each flip that went unseen, or made a reader crash or hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/unit/store/whole.h"

enum { ENTRIES = 260, ITEMS_MAX = 4096, HANG_S = 20 };

/* What a child tells by its exit status. */
enum outcome { SAME, FOUND, MENDED, DIFFERENT, REPAIR_WRONG, NOT_CHECKED, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"read the same", "found by fsck",
	"found, and repaired", "NOT FOUND: reads differ", "REPAIRED WRONGLY", "NOT CHECKED"};

struct options {
	bool all_bits, repair, through;
	size_t every, from;
	unsigned seed;
	unsigned seconds;
};

/* Everything that can be read, in one order: a hash each; of what is refused, zeros. */
struct reading {
	size_t count;
	struct hash item[ITEMS_MAX];
	char what[ITEMS_MAX][48];
};

/* Shared with the child. */
struct shared {
	bool told; /* fsck has named damage */
	bool reading;
	char text[512];
};

static struct whole whole;
static struct place place;
static struct shared *shared;
static struct reading reference;

static void item_add(struct reading *reading, enum err err, struct bytes value, const char *what,
	uint64_t a, uint64_t b)
{
	size_t n = reading->count++;

	assert_true(n < ITEMS_MAX);
	snprintf(reading->what[n], sizeof(reading->what[n]), "%s %" PRIu64 " %" PRIu64, what, a, b);
	if (err == OK)
		sha256(value, &reading->item[n]);
	else
		memset(&reading->item[n], 0, sizeof(reading->item[n]));
}

static void put_compact(struct buf *out, const struct compact *compact)
{
	struct hash root;

	compact_root(compact, &root);
	buf_put_u64be(out, compact->size);
	buf_put(out, hash_bytes(&root));
}

static void read_heads(struct store *store, struct reading *reading, struct buf *out)
{
	for (size_t i = 0; i < WHOLE_LOGS; i++) {
		struct log_head head;
		enum err err = store_head(store, &whole.origin[i], &head, NULL);

		buf_clear(out);
		if (err == OK) {
			buf_put_str(out, head.origin.text);
			put_compact(out, &head.compact);
			buf_put(out, buf_bytes(&head.checkpoint));
			buf_put(out, buf_bytes(&head.first_entry));
			for (size_t c = 0; c < head.cosignature_count; c++) {
				buf_put_str(out, head.cosignatures[c].cosigner);
				buf_put_u64be(out, head.cosignatures[c].size);
				buf_put(out, buf_bytes(&head.cosignatures[c].line));
			}
			log_head_release(&head);
		}
		item_add(reading, err, buf_bytes(out), "head", i, 0);
	}
}

static void read_origins(struct store *store, struct reading *reading, struct buf *out)
{
	struct log_head *heads = NULL;
	size_t count = 0;
	enum err err = store_heads(store, &heads, &count, NULL);

	buf_clear(out);
	for (size_t i = 0; i < count; i++) {
		buf_put_str(out, heads[i].origin.text);
		buf_put_u64be(out, heads[i].size);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	item_add(reading, err, buf_bytes(out), "heads", 0, 0);
}

static void read_entries(struct store *store, struct reading *reading, struct buf *out)
{
	for (size_t log = 0; log < WHOLE_LOGS; log++) {
		for (uint64_t i = 0; i < whole.size[log]; i++) {
			enum err err;

			buf_clear(out);
			err = store_entry(store, &whole.origin[log], i, out, NULL);
			item_add(reading, err, buf_bytes(out), "entry", log, i);
		}
	}
}

static void read_batch(
	struct store *store, struct reading *reading, struct buf *out, size_t log, uint64_t first)
{
	struct store_read read = {.origin = whole.origin[log],
		.first = first,
		.target = whole.size[log],
		.count_max = 100,
		.size_max = SIZE_MAX};
	struct store_batch batch;
	enum err err = store_read_batch(store, &read, &batch, NULL);

	buf_clear(out);
	if (err == OK) {
		for (size_t i = 0; i < batch.entries->count; i++)
			buf_put_lv16(out, batch.entries->entry[i]);
		for (size_t i = 0; i < batch.proof.count; i++)
			buf_put(out, hash_bytes(&batch.proof.hashes[i]));
		entries_unref(batch.entries);
	}
	item_add(reading, err, buf_bytes(out), "batch", log, first);
}

static void read_batches(struct store *store, struct reading *reading, struct buf *out)
{
	for (size_t log = 0; log < WHOLE_LOGS; log++)
		for (uint64_t first = 0; first < whole.size[log]; first += first < 4 ? 1 : 37)
			read_batch(store, reading, out, log, first);
}

static void read_locators(struct store *store, struct reading *reading, struct buf *out)
{
	for (uint64_t i = 0; i < whole.size[WHOLE_OFFICE]; i++) {
		uint8_t locator[16];
		uint64_t found[4];
		size_t count = 0;
		enum err err;

		locator_make(locator, 1, i);
		err = store_locate(
			store, &whole.origin[WHOLE_OFFICE], locator, found, 4, &count, NULL);
		buf_clear(out);
		for (size_t n = 0; n < count; n++)
			buf_put_u64be(out, found[n]);
		item_add(reading, err, buf_bytes(out), "locate", i, 0);
	}
}

static void read_verify(struct store *store, struct reading *reading, struct buf *out)
{
	for (size_t log = 0; log < WHOLE_LOGS; log++) {
		struct store_verify verify = {.size = 0};
		enum err err = store_verify(store, &whole.origin[log], NULL, &verify, NULL);

		buf_clear(out);
		if (err == OK) {
			buf_put_u64be(out, verify.size);
			buf_put(out, hash_bytes(&verify.root));
			buf_put(out, hash_bytes(&verify.checkpoint_root));
			buf_put(out, buf_bytes(&verify.checkpoint));
			buf_release(&verify.checkpoint);
		}
		item_add(reading, err, buf_bytes(out), "verify", log, 0);
	}
}

/* As an export has them. */
static void read_tiles(struct store *store, struct reading *reading)
{
	for (uint32_t log = 0; log < WHOLE_LOGS; log++) {
		for (unsigned level = 0; level < TILE_LEVELS; level++) {
			struct tile_id id = {level, 0};
			unsigned width;

			for (; (width = tile_width(id, whole.size[log])) > 0; id.index++) {
				struct bytes view = BYTES_NONE;
				struct store_tiles tiles;
				struct txn txn;
				enum err err;

				txn_begin(&txn, store->env, TXN_READ);
				tiles = (struct store_tiles){&txn, log};
				err = store_tiles_read(&tiles, id, width, &view);
				item_add(reading, err, view, "tile", level, id.index);
				if (txn_finish(&txn, NULL) != OK)
					continue;
			}
		}
	}
}

static void read_rest(struct store *store, struct reading *reading, struct buf *out)
{
	struct store_damage *marks = NULL;
	struct store_usage usage;
	size_t count = 0;
	enum err err;

	buf_clear(out);
	err = store_invite_get(store, "kenya", out, NULL);
	item_add(reading, err, buf_bytes(out), "invite", 0, 0);
	buf_clear(out);
	err = store_invite_get(store, "chad", out, NULL);
	item_add(reading, err == ERR_NOTFOUND ? OK : err, buf_bytes(out), "no invite", 0, 0);
	buf_clear(out);
	err = store_damage_list(store, &marks, &count, NULL);
	buf_put_u64be(out, count);
	mem_free(marks);
	item_add(reading, err, buf_bytes(out), "marks", 0, 0);
	buf_clear(out);
	err = store_usage(store, &usage);
	if (err == OK) {
		buf_put_u64be(out, usage.commits);
		buf_put_u64be(out, usage.used_bytes);
		buf_put_u64be(out, usage.file_bytes);
	}
	item_add(reading, err, buf_bytes(out), "usage", 0, 0);
}

/* False when it does not open. */
static bool read_all(struct reading *reading)
{
	struct store_opts opts = {.path = place.store, .network = NETWORK, .node = NODE};
	struct errctx ctx = {""};
	struct store *store;
	struct buf out;

	reading->count = 0;
	if (store_open(&opts, &store, &ctx) != OK) {
		snprintf(shared->text, sizeof(shared->text), "%s", ctx.text);
		return false;
	}
	buf_init(&out, 1 << 20);
	read_heads(store, reading, &out);
	read_origins(store, reading, &out);
	read_entries(store, reading, &out);
	read_batches(store, reading, &out);
	read_locators(store, reading, &out);
	read_verify(store, reading, &out);
	read_tiles(store, reading);
	read_rest(store, reading, &out);
	buf_release(&out);
	store_close(store);
	return true;
}

static bool readings_equal(const struct reading *a, const struct reading *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		if (hash_equal(&a->item[i], &b->item[i]))
			continue;
		snprintf(shared->text, sizeof(shared->text), "%s", a->what[i]);
		return false;
	}
	return a->count == b->count;
}

/* After a repair: of entries, batches, proofs, tiles and locators, the same or nothing. Marks, a
 * head's first entry, verification and usage are not what they were. */
static bool repaired_right(const struct reading *before, const struct reading *after)
{
	static const struct hash refused;

	for (size_t i = 0; i < before->count; i++) {
		const char *what = before->what[i];

		if (hash_equal(&before->item[i], &after->item[i]) ||
			hash_equal(&after->item[i], &refused))
			continue;
		/* A batch may end before a marked entry; a marked entry has no locator. */
		if (strncmp(what, "entry", 5) != 0 && strncmp(what, "tile", 4) != 0 &&
			strncmp(what, "heads", 5) != 0 && strncmp(what, "invite", 6) != 0)
			continue;
		snprintf(shared->text, sizeof(shared->text), "%s", what);
		return false;
	}
	return true;
}

static const struct options *current;

static void on_line(void *arg, bool bad, const char *text)
{
	if (!bad)
		return;
	shared->told = true;
	if (!current->through && !current->repair)
		_exit(FOUND);
}

static int child(const struct options *options)
{
	struct fsck_opts opts = whole_fsck(&whole, place.store, false);
	static struct reading after;
	struct fsck_result result;
	struct errctx ctx = {""};

	current = options;
	opts.line = on_line;
	opts.repair = options->repair;
	if (fsck_store(&opts, &result, &ctx) != OK) {
		snprintf(shared->text, sizeof(shared->text), "%s", ctx.text);
		return NOT_CHECKED;
	}
	if (result.clean == shared->told && !result.repaired)
		return NOT_CHECKED; /* what it says and what it returns differ */
	if (!result.clean && (!options->repair || result.structure))
		return FOUND;
	shared->reading = true;
	if (options->repair && (result.repaired || !result.clean)) {
		if (!read_all(&after))
			return FOUND;
		return repaired_right(&reference, &after) ? (result.clean ? MENDED : FOUND)
							  : REPAIR_WRONG;
	}
	if (!read_all(&after))
		return DIFFERENT;
	return readings_equal(&reference, &after) ? SAME : DIFFERENT;
}

/* Runs the child; a crash or a hang in fsck is what sautid's parent process tells of. */
static enum outcome try(const struct options *options, bool *ret_crash)
{
	pid_t pid;
	int status;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		alarm(HANG_S);
		_exit(child(options));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*ret_crash = WIFSIGNALED(status);
	if (!*ret_crash)
		return (enum outcome)WEXITSTATUS(status);
	if (!shared->reading)
		return FOUND;
	snprintf(shared->text, sizeof(shared->text), "a reader ended with signal %d",
		WTERMSIG(status));
	return options->repair && shared->told ? REPAIR_WRONG : DIFFERENT;
}

/* From `at` on; all of it after a repair. */
static void image_write(const uint8_t *image, size_t at, size_t size)
{
	char path[320];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", place.store);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, image + at, size, (off_t)at), (ssize_t)size);
	if (size > 1)
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void reference_read(void)
{
	static const struct hash refused;

	assert_true(read_all(&reference));
	for (size_t i = 0; i < reference.count; i++)
		assert_false(hash_equal(&reference.item[i], &refused));
}

static uint8_t *image_read(size_t *ret_size)
{
	char path[320];
	struct stat st;
	uint8_t *image;
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", place.store);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	image = malloc((size_t)st.st_size);
	assert_non_null(image);
	assert_int_equal(read(fd, image, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return image;
}

static unsigned bit_of(unsigned seed, size_t byte)
{
	uint8_t in[12];
	struct hash hash;

	put_u32be(in, seed);
	put_u64be(in + 4, byte);
	sha256(BYTES_ARRAY(in), &hash);
	return hash.b[0] % 8;
}

static int campaign(const struct options *options, uint8_t *image, size_t size)
{
	size_t counts[OUTCOMES] = {0}, crashes = 0, flips = 0, bytes = 0, bad;
	time_t start = time(NULL);

	for (size_t byte = options->from; byte < size; byte += options->every, bytes++) {
		if (options->seconds > 0 && time(NULL) - start >= (time_t)options->seconds)
			break;
		for (unsigned b = 0; b < (options->all_bits ? 8 : 1); b++) {
			unsigned bit = options->all_bits ? b : bit_of(options->seed, byte);
			enum outcome outcome;
			bool crash;

			image[byte] ^= (uint8_t)(1U << bit);
			image_write(image, options->repair ? 0 : byte, options->repair ? size : 1);
			image[byte] ^= (uint8_t)(1U << bit);
			outcome = try(options, &crash);
			if (!options->repair)
				image_write(image, byte, 1);
			counts[outcome]++;
			crashes += crash;
			flips++;
			if (outcome >= DIFFERENT)
				printf("byte %zu bit %u: %s: %s\n", byte, bit,
					outcome_names[outcome], shared->text);
			fflush(stdout);
		}
	}
	printf("%zu bytes of %zu, %zu flips, seed %u, %ld s:\n", bytes, size, flips, options->seed,
		(long)(time(NULL) - start));
	for (size_t i = 0; i < OUTCOMES; i++)
		printf("  %8zu  %s\n", counts[i], outcome_names[i]);
	printf("  %8zu  of them ended by a signal in fsck's process\n", crashes);
	bad = counts[DIFFERENT] + counts[REPAIR_WRONG] + counts[NOT_CHECKED];
	return bad > 0 || flips == 0 ? 1 : 0;
}

static size_t number(const char *text)
{
	return text == NULL ? 0 : strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct options options = {.every = 1, .seed = 1};
	uint8_t *image;
	size_t size;
	int status;

	for (int i = 1; i < argc; i++) {
		const char *name = argv[i];

		if (strcmp(name, "--repair") == 0)
			options.repair = true;
		else if (strcmp(name, "--through") == 0)
			options.through = true;
		else if (strcmp(name, "--bits") == 0)
			options.all_bits = strcmp(argv[++i], "all") == 0;
		else if (strcmp(name, "--every") == 0)
			options.every = number(argv[++i]);
		else if (strcmp(name, "--from") == 0)
			options.from = number(argv[++i]);
		else if (strcmp(name, "--seed") == 0)
			options.seed = (unsigned)number(argv[++i]);
		else if (strcmp(name, "--seconds") == 0)
			options.seconds = (unsigned)number(argv[++i]);
		else
			return fprintf(stderr, "flips: what is '%s'?\n", name), 2;
	}
	if (options.every == 0)
		return 2;
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	assert_ok(crypto_init());
	/* In memory, where there is a place for that: each flip writes the file anew. */
	if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	place_make(&place);
	whole_make(&whole, place.store, ENTRIES, 0);
	reference_read();
	image = image_read(&size);
	status = campaign(&options, image, size);
	place_remove(&place);
	whole_release(&whole);
	free(image);
	crypto_release();
	return status;
}
