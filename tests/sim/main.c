/*
 * The command line; see usage().
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "tests/sim/hacked.h"
#include "tests/sim/signatures.h"
#include "tests/sim/world.h"

struct options {
	const char *program;
	uint64_t first, count;
	enum mode mode;
	const char *scenario;
	bool story;  /* one seed, told */
	bool real;   /* Ed25519 */
	bool quiet;  /* no story after all; of many, only what is red */
	bool hacked; /* hacked.h */
	enum hacked_skip skip;
};

static int usage(void)
{
	fputs("usage: sim --seed N          one seed, told in sentences\n"
	      "       sim --seeds FIRST N   N seeds; prints the line that replays each red one\n"
	      "       sim --fresh N         N seeds that the clock chooses\n"
	      "options: --mode M            safety: things break to the end; liveness: then all "
	      "must\n"
	      "                            arrive; mixed: the seed decides (the default)\n"
	      "         --scenario NAME     one of those below, in every seed\n"
	      "         --real-signatures   Ed25519, and no keyed hash in its place\n"
	      "         --quiet             no story\n"
	      "         --hacked-hq         headquarters against keys of cases (hacked.h)\n"
	      "         --skip GUARD        .. without it: trust words order answer tombstone "
	      "kid signer "
	      "twice\n",
		stderr);
	fputs("scenarios: ", stderr);
	shape_list();
	return 2;
}

static void replay_line(const struct options *options, uint64_t seed)
{
	static const char *const modes[] = {" --mode liveness", " --mode safety", ""};

	printf("  replay: %s --seed %llu%s%s%s%s\n", options->program, (unsigned long long)seed,
		modes[options->mode], options->scenario != NULL ? " --scenario " : "",
		options->scenario != NULL ? options->scenario : "",
		options->real ? " --real-signatures" : "");
}

static void add(struct world_counts *total, const struct world_counts *one)
{
	total->steps += one->steps;
	total->frames += one->frames;
	total->crashes += one->crashes;
	total->cuts += one->cuts;
	total->corrupted += one->corrupted;
	total->forged += one->forged;
	total->disk_errors += one->disk_errors;
	total->restores += one->restores;
	total->entries_sent += one->entries_sent;
	total->entries_needed += one->entries_needed;
	total->witnessed += one->witnessed;
	total->submitted += one->submitted;
}

static bool run(const struct options *options, uint64_t seed, struct world_counts *total)
{
	static struct world world;
	bool story = options->story && !options->quiet;
	bool good = world_run(&world, &(struct world_opts){.seed = seed,
					      .trace = story,
					      .mode = options->mode,
					      .scenario = options->scenario});

	if (!good) {
		printf("RED seed %llu: %s\n", (unsigned long long)seed, world.failure);
		replay_line(options, seed);
	} else if (story) {
		printf("seed %llu is green: %llu steps, %llu frames, %.0f s of simulated time\n",
			(unsigned long long)seed, (unsigned long long)world.counts.steps,
			(unsigned long long)world.counts.frames, (double)world.now_ms / 1000);
	}
	add(total, &world.counts);
	world_release(&world);
	fflush(stdout);
	return good;
}

static bool run_hacked(const struct options *options, uint64_t seed)
{
	char *failure;
	bool good = hacked_run(&(struct hacked_opts){.seed = seed,
				       .trace = options->story && !options->quiet,
				       .skip = options->skip},
		&failure);

	if (!good) {
		printf("RED seed %llu: %s\n", (unsigned long long)seed, failure);
		printf("  replay: %s --hacked-hq --seed %llu%s%s\n", options->program,
			(unsigned long long)seed, options->skip != SKIP_NONE ? " --skip " : "",
			options->skip != SKIP_NONE ? hacked_skip_name(options->skip) : "");
	}
	mem_free(failure);
	fflush(stdout);
	return good;
}

static int many_hacked(const struct options *options)
{
	uint64_t red = 0;

	for (uint64_t i = 0; i < options->count; i++)
		red += !run_hacked(options, options->first + i);
	printf("headquarters is hacked, seeds %llu to %llu: %llu seeds, %llu red; ",
		(unsigned long long)options->first,
		(unsigned long long)(options->first + options->count - 1),
		(unsigned long long)options->count, (unsigned long long)red);
	hacked_tell();
	return red == 0 ? 0 : 1;
}

static int many(const struct options *options)
{
	static struct world_counts total;
	uint64_t red = 0;

	for (uint64_t i = 0; i < options->count; i++)
		red += !run(options, options->first + i, &total);
	printf("seeds %llu to %llu: %llu seeds, %llu red; %llu steps, %llu frames, %llu crashes, "
	       "%llu cuts, %llu commits refused, %llu old disks, %llu frames changed on the way, "
	       "%llu by a hostile node; %llu entries sent for %llu written; %llu witnessed, %llu "
	       "of "
	       "them submitted\n",
		(unsigned long long)options->first,
		(unsigned long long)(options->first + options->count - 1),
		(unsigned long long)options->count, (unsigned long long)red,
		(unsigned long long)total.steps, (unsigned long long)total.frames,
		(unsigned long long)total.crashes, (unsigned long long)total.cuts,
		(unsigned long long)total.disk_errors, (unsigned long long)total.restores,
		(unsigned long long)total.corrupted, (unsigned long long)total.forged,
		(unsigned long long)total.entries_sent, (unsigned long long)total.entries_needed,
		(unsigned long long)total.witnessed, (unsigned long long)total.submitted);
	return red == 0 ? 0 : 1;
}

static bool number(const char *text, uint64_t *ret)
{
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	*ret = strtoull(text, &end, 10);
	return *end == '\0';
}

static bool mode(const char *name, enum mode *ret)
{
	static const char *const names[] = {"liveness", "safety", "mixed"};

	for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0) {
			*ret = (enum mode)i;
			return true;
		}
	return false;
}

static bool skip(const char *name, enum hacked_skip *ret)
{
	for (unsigned i = 1; name != NULL && i < SKIPS; i++)
		if (strcmp(hacked_skip_name((enum hacked_skip)i), name) == 0) {
			*ret = (enum hacked_skip)i;
			return true;
		}
	return false;
}

/* The arguments that the option takes from argv[at] on, itself included; 0: it is wrong. */
static int parse_one(struct options *options, char **argv)
{
	if (strcmp(argv[0], "--seed") == 0 && number(argv[1], &options->first)) {
		options->count = 1;
		options->story = true;
		return 2;
	}
	if (strcmp(argv[0], "--seeds") == 0 && number(argv[1], &options->first) &&
		number(argv[2], &options->count))
		return 3;
	if (strcmp(argv[0], "--fresh") == 0 && number(argv[1], &options->count)) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		options->first = (uint64_t)now.tv_sec % 1000000000 * 1000000 +
				 (uint64_t)now.tv_nsec / 1000000 * 1000;
		return 2;
	}
	if (strcmp(argv[0], "--real-signatures") == 0) {
		options->real = true;
		return 1;
	}
	if (strcmp(argv[0], "--hacked-hq") == 0) {
		options->hacked = true;
		return 1;
	}
	if (strcmp(argv[0], "--skip") == 0)
		return skip(argv[1], &options->skip) ? 2 : 0;
	if (strcmp(argv[0], "--mode") == 0)
		return mode(argv[1], &options->mode) ? 2 : 0;
	if (strcmp(argv[0], "--scenario") == 0 && argv[1] != NULL && shape_known(argv[1])) {
		options->scenario = argv[1];
		return 2;
	}
	if (strcmp(argv[0], "--quiet") == 0) {
		options->quiet = true;
		return 1;
	}
	return 0;
}

static bool parse(struct options *options, char **argv)
{
	options->program = *argv++;
	while (*argv != NULL) {
		int taken = parse_one(options, argv);

		if (taken == 0)
			return false;
		argv += taken;
	}
	return options->count > 0;
}

int main(int argc, char **argv)
{
	static struct world_counts total;
	struct options options = {.mode = MODE_MIXED};
	int status;

	if (argc < 1 || !parse(&options, argv))
		return usage();
	if (crypto_init() != OK)
		return 1;
	signatures_set_real(options.real);
	if (options.hacked)
		status = many_hacked(&options);
	else if (options.story)
		status = run(&options, options.first, &total) ? 0 : 1;
	else
		status = many(&options);
	crypto_release();
	return status;
}
