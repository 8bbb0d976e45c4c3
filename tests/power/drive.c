/*
 * The driven program: store, writer and keyring under a load that a seed decides, and a mark for
 * each thing that is acknowledged. Runs under the recorder (tests/lib/record.h).
 *
 *	power_drive NODE_DIRECTORY SEED STEPS [--ack-early]
 *
 * With an odd seed it begins as if a start had been killed before. --ack-early is the planted fault
 * of a program that acknowledges what it has only submitted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/lib/record.h"
#include "tests/power/guard.h"
#include "tests/power/workload.h"

struct drive {
	struct bench bench;
	struct power_guard guard;
	char keyring_path[300];
	struct keyring *keyring;
	struct tlog logs[POWER_LOGS];
	uint64_t checkpoints[POWER_LOGS]; /* sizes, as submitted */
	uint64_t keys, invites;
	uint64_t random;
	bool ack_early;
};

static void mark(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void mark(const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (record_mark != NULL)
		record_mark(text);
}

/* xorshift64* */
static uint64_t below(struct drive *drive, uint64_t end)
{
	drive->random ^= drive->random >> 12;
	drive->random ^= drive->random << 25;
	drive->random ^= drive->random >> 27;
	return (drive->random * UINT64_C(2685821657736338717) >> 16) % end;
}

static void must(enum err err, const struct errctx *ctx)
{
	if (err == OK)
		return;
	fprintf(stderr, "power_drive: %s\n", err_message(ctx, err));
	exit(1);
}

static void start(struct drive *drive)
{
	struct errctx ctx = {""};

	bench_open(&drive->bench, 0);
	must(power_guard_begin(&drive->guard, &drive->bench, drive->bench.place.directory, &ctx),
		&ctx);
	must(keyring_open(drive->keyring_path, &drive->keyring, &ctx), &ctx);
	mark("opened %s", drive->guard.verdict);
}

static void stop(struct drive *drive)
{
	bench_close(&drive->bench);
	power_guard_end(&drive->guard);
	keyring_close(drive->keyring);
}

/* The ticket carries what the mark says: the log, and the checkpoint that is in force then. */
static void submit(struct drive *drive, unsigned number, size_t count)
{
	struct tlog *log = &drive->logs[number];
	struct store_write *write = power_write(log, count);

	if (number != 0 && below(drive, 4) != 0)
		buf_clear(&write->checkpoint);
	else
		drive->checkpoints[number] = log->compact.size;
	write->ticket = (drive->checkpoints[number] << 8) | number;
	mark("sent %u %" PRIu64, number, log->compact.size);
	if (drive->ack_early)
		mark("held %u %" PRIu64 " %" PRIu64, number, log->compact.size,
			drive->checkpoints[number]);
	writer_submit(drive->bench.writer, write);
}

static void collect(struct drive *drive, size_t count)
{
	struct store_write *write = bench_wait(&drive->bench, count);

	while (write != NULL) {
		struct store_write *next = write->next;

		must(write->result, &drive->bench.ctx);
		mark("held %u %" PRIu64 " %" PRIu64, (unsigned)(write->ticket & 0xff),
			write->first + write->entries->count, write->ticket >> 8);
		store_write_free(write);
		write = next;
	}
	mark("commits %" PRIu64, bench_commits(&drive->bench));
}

/* One write alone, or several that may share a commit. */
static void append(struct drive *drive)
{
	static const size_t counts[] = {1, 1, 1, 2, 5, 17, 60, 300};
	size_t writes = below(drive, 3) == 0 ? 1 + below(drive, 6) : 1;

	for (size_t i = 0; i < writes; i++)
		submit(drive, below(drive, 2) == 0 ? 0 : (unsigned)below(drive, POWER_LOGS),
			counts[below(drive, sizeof(counts) / sizeof(counts[0]))]);
	collect(drive, writes);
}

static void cosign(struct drive *drive)
{
	unsigned number = (unsigned)below(drive, POWER_LOGS);
	unsigned mirror = (unsigned)below(drive, POWER_MIRRORS);
	uint64_t size = drive->logs[number].compact.size;
	struct store_write *write;

	if (size == 0)
		return;
	write = store_write_new(&drive->logs[number].origin);
	assert_non_null(write);
	power_cosigner(write->cosigner, mirror);
	write->cosigned_size = size;
	power_cosignature(&write->cosignature, number, mirror, size);
	must(bench_write(&drive->bench, write), &drive->bench.ctx);
	mark("cosigned %u %u %" PRIu64, number, mirror, size);
}

static void keys_make(struct drive *drive)
{
	struct keyring_item items[4];
	struct buf values[4];
	struct errctx ctx = {""};
	size_t count = 1 + below(drive, 4);

	for (size_t i = 0; i < count; i++) {
		buf_init(&values[i], KEYRING_VALUE_MAX);
		power_key(&items[i], &values[i], drive->keys + i);
	}
	must(keyring_put(drive->keyring, items, count, &ctx), &ctx);
	drive->keys += count;
	mark("keys %" PRIu64, drive->keys);
	for (size_t i = 0; i < count; i++)
		buf_release(&values[i]);
}

static void invite(struct drive *drive)
{
	struct errctx ctx = {""};
	struct buf value;
	char name[16];

	if (drive->invites == POWER_INVITES)
		return;
	buf_init(&value, 64);
	power_invite(name, &value, drive->invites);
	must(store_invite_put(drive->bench.store, name, buf_bytes(&value), &ctx), &ctx);
	mark("invites %" PRIu64, ++drive->invites);
	buf_release(&value);
}

static void run(struct drive *drive, uint64_t steps)
{
	start(drive);
	while (steps-- > 0) {
		switch (below(drive, 16)) {
		case 0:
		case 1:
			keys_make(drive);
			break;
		case 2:
			cosign(drive);
			break;
		case 3:
			invite(drive);
			break;
		case 4:
			stop(drive);
			start(drive);
			break;
		default:
			append(drive);
			break;
		}
	}
	stop(drive);
}

/* What a start leaves that was killed right after making its directories. */
static void killed_start(struct drive *drive)
{
	char path[300];

	snprintf(path, sizeof(path), "%s.guard", drive->bench.place.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(drive->bench.place.store, 0700), 0);
	assert_int_equal(mkdir(drive->keyring_path, 0700), 0);
}

int main(int argc, char **argv)
{
	struct drive drive = {0};

	if (argc < 4) {
		fprintf(stderr, "usage: power_drive NODE_DIRECTORY SEED STEPS [--ack-early]\n");
		return 2;
	}
	drive.random = strtoull(argv[2], NULL, 10) * 2654435761u + 1;
	drive.ack_early = argc > 4 && strcmp(argv[4], "--ack-early") == 0;
	power_place(&drive.bench.place, drive.keyring_path, argv[1]);
	assert_ok(crypto_init());
	for (unsigned i = 0; i < POWER_LOGS; i++)
		power_log_init(&drive.logs[i], i);
	if (strtoull(argv[2], NULL, 10) % 2 == 1)
		killed_start(&drive);
	run(&drive, strtoull(argv[3], NULL, 10));
	for (unsigned i = 0; i < POWER_LOGS; i++)
		tlog_release(&drive.logs[i]);
	crypto_release();
	return 0;
}
