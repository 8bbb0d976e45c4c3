/*
 * sim --seed N [--quiet]       one seed, told in sentences
 * sim --seeds FIRST COUNT      many; prints the line that replays each red one
 */
#include <stdlib.h>

#include "tests/sim/world.h"

static int usage(void)
{
	fprintf(stderr, "usage: sim --seed N [--quiet] | sim --seeds FIRST COUNT\n");
	return 2;
}

static bool run(const char *program, uint64_t seed, bool trace, struct world *total)
{
	static struct world world;
	bool good = world_run(&world, seed, trace);

	if (!good)
		printf("RED seed %llu: %s\n  replay: %s --seed %llu\n", (unsigned long long)seed,
			world.failure, program, (unsigned long long)seed);
	else if (trace)
		printf("seed %llu is green: %llu steps, %llu frames, %.0f s of simulated time\n",
			(unsigned long long)seed, (unsigned long long)world.steps,
			(unsigned long long)world.frames, (double)world.now_ms / 1000);
	total->steps += world.steps;
	total->frames += world.frames;
	total->crashes += world.crashes;
	total->cuts += world.cuts;
	total->corrupted += world.corrupted;
	total->forged += world.forged;
	total->entries_sent += world.entries_sent;
	total->entries_needed += world.entries_needed;
	world_release(&world);
	return good;
}

static int many(const char *program, uint64_t first, uint64_t count)
{
	static struct world total;
	uint64_t red = 0;

	for (uint64_t i = 0; i < count; i++)
		red += !run(program, first + i, false, &total);
	printf("%llu seeds, %llu red; %llu steps, %llu frames, %llu crashes, %llu cuts, "
	       "%llu frames changed on the way, %llu by a hostile node; %llu entries sent for %llu "
	       "written\n",
		(unsigned long long)count, (unsigned long long)red, (unsigned long long)total.steps,
		(unsigned long long)total.frames, (unsigned long long)total.crashes,
		(unsigned long long)total.cuts, (unsigned long long)total.corrupted,
		(unsigned long long)total.forged, (unsigned long long)total.entries_sent,
		(unsigned long long)total.entries_needed);
	return red == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct world total;
	bool quiet = argc == 4 && strcmp(argv[3], "--quiet") == 0;
	int status = 2;

	if (crypto_init() != OK)
		return 1;
	if ((argc == 3 || quiet) && strcmp(argv[1], "--seed") == 0)
		status = run(argv[0], strtoull(argv[2], NULL, 10), !quiet, &total) ? 0 : 1;
	else if (argc == 4 && strcmp(argv[1], "--seeds") == 0)
		status = many(argv[0], strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	else
		status = usage();
	crypto_release();
	return status;
}
