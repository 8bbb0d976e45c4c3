/*
 * make_dictionary FILE BYTES < events.jsonl
 *
 * How the zstd dictionary of code 2 was made (docs/FORMAT): parts of synthetic events, as they are
 * sealed, given to zstd's trainer. The dictionary is frozen: this is here so that it can be checked
 * where it comes from, and to make the next one. On standard output: how many parts fall into which
 * padding step without compression, with zstd, and with the dictionary.
 *
 *	for o in COD CAF SSD HTI MLI LBN COL; do scripts/synth --seed 2 --office $o; done |
 *		build/tests/vectors/make_dictionary FILE 16384
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>

#include "cases/event/event.h"
#include "cases/seal/seal.h"

enum { PARTS_MAX = 400000, BYTES_MAX = 256 << 20, LEVEL = 3, STEPS = 24 };

static uint8_t *bytes;
static size_t *sizes, count, used;
static struct event_target targets[PARTS_MAX];
static struct event_id ids[PARTS_MAX];
static size_t events;

static const struct event_target *target_of(const struct event *event)
{
	struct event_id id;

	if (event_corrects(event, &id) != OK)
		return NULL;
	for (size_t i = events; i-- > 0;)
		if (memcmp(&ids[i], &id, sizeof id) == 0)
			return &targets[i];
	return NULL;
}

static void add_line(const char *line)
{
	struct event_parts parts;
	struct event event;

	if (event_parse(bytes_str(line), &event, NULL) != OK ||
		event_split(&event, target_of(&event), &parts, NULL) != OK) {
		fprintf(stderr, "not an event: %s", line);
		exit(1);
	}
	targets[events].type = event.type;
	ids[events] = event.id;
	for (size_t i = 0; i < parts.count; i++) {
		struct buf *packed = &parts.part[i].packed;

		if (parts.part[i].main)
			targets[events].main = parts.part[i].group;
		targets[events].groups |= GROUP_BIT(parts.part[i].group);
		if (count == PARTS_MAX || used + packed->size > BYTES_MAX)
			continue;
		memcpy(bytes + used, packed->data, packed->size);
		used += packed->size;
		sizes[count++] = packed->size;
	}
	events++;
	event_parts_release(&parts);
	event_release(&event);
}

struct row {
	const char *name;
	size_t steps[STEPS], total;
};

static void row_add(struct row *row, size_t stored)
{
	size_t padded = seal_padded_size(stored), step = 0;

	for (size_t s = 0; s < STEPS; s++) {
		size_t size = s % 2 == 0 ? (size_t)256 << (s / 2) : (size_t)384 << (s / 2);

		if (size == padded)
			step = s;
	}
	row->steps[step]++;
	row->total += padded;
}

static void row_print(const struct row *row)
{
	printf("%-12s", row->name);
	for (size_t s = 0; s < 7; s++)
		printf(" %7zu", row->steps[s]);
	printf(" %10zu\n", row->total);
}

static void measure(const void *dictionary, size_t size)
{
	static uint8_t out[128 * 1024];
	struct row plain = {.name = "plain"}, zstd = {.name = "zstd"},
		   with = {.name = "dictionary"};
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_CDict *cdict = ZSTD_createCDict(dictionary, size, LEVEL);
	size_t at = 0;

	for (size_t i = 0; i < count; at += sizes[i++]) {
		size_t alone =
			ZSTD_compressCCtx(context, out, sizeof out, bytes + at, sizes[i], LEVEL);
		size_t by = ZSTD_compress_usingCDict(
			context, out, sizeof out, bytes + at, sizes[i], cdict);

		row_add(&plain, sizes[i]);
		row_add(&zstd, alone < sizes[i] ? alone : sizes[i]);
		row_add(&with, by < sizes[i] ? by : sizes[i]);
	}
	printf("%-12s     256     384     512     768    1024    1536    2048      bytes\n", "");
	row_print(&plain);
	row_print(&zstd);
	row_print(&with);
	ZSTD_freeCDict(cdict);
	ZSTD_freeCCtx(context);
}

int main(int argc, char **argv)
{
	static char line[LIMIT_EVENT_JSON];
	size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	void *dictionary = malloc(size);
	FILE *file;

	bytes = malloc(BYTES_MAX);
	sizes = malloc(PARTS_MAX * sizeof *sizes);
	if (size == 0 || bytes == NULL || sizes == NULL || dictionary == NULL ||
		crypto_init() != OK)
		return 2;
	while (fgets(line, sizeof line, stdin) != NULL)
		add_line(line);
	size = ZDICT_trainFromBuffer(dictionary, size, bytes, sizes, (unsigned)count);
	if (ZDICT_isError(size)) {
		fprintf(stderr, "%s\n", ZDICT_getErrorName(size));
		return 1;
	}
	file = fopen(argv[1], "w");
	if (file == NULL || fwrite(dictionary, 1, size, file) != size || fclose(file) != 0)
		return 1;
	printf("%zu events, %zu parts, %zu bytes of dictionary\n", events, count, size);
	measure(dictionary, size);
	return 0;
}
