/*
 * replay: gives every file named, and every file of every directory named, to the fuzz target this
 * is linked with, in the order of their names. For builds without libFuzzer. Fails when there is
 * nothing to run, or when something cannot be read; what the target finds ends the program.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t files;

static void die(const char *path)
{
	fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	exit(1);
}

static void run_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	/* Exactly as large as the file, so that a sanitizer sees a read past the end. */
	uint8_t *data = malloc(size > 0 ? size : 1);

	if (file == NULL || data == NULL || fread(data, 1, size, file) != size)
		die(path);
	fclose(file);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	files++;
}

static void run(const char *path);

static void run_directory(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	if (count < 0)
		die(path);
	for (int i = 0; i < count; i++) {
		char *inner;

		if (entries[i]->d_name[0] != '.') {
			if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0)
				die(path);
			run(inner);
			free(inner);
		}
		free(entries[i]);
	}
	free(entries);
}

static void run(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		die(path);
	if (S_ISDIR(st.st_mode))
		run_directory(path);
	else
		run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	if (files == 0) {
		fprintf(stderr, "replay: no file to run\n");
		return 1;
	}
	printf("%zu files\n", files);
	return 0;
}
