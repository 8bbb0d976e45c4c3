/*
 * Every changed byte of an exported archive is seen by 'sauti audit log', or says nothing.
 *
 *	audit_bytes DIR VKEY [--values all] [--every N] [--from N] [--jobs N] [--files END]
 *
 * DIR is an export (bench_archive), VKEY its directory's verifier key. Its files are read once;
 *then each byte of each file (each N-th; of those whose path ends with END) is changed, to one
 *other value or to all 255, and the whole audit runs over that: the command's own code, of which
 *only where files come from, what is printed and how arguments are given is replaced. Then whole
 *files: removed, cut, longer, swapped, doubled.
 *
 * A change is seen when the audit ends with a violation. What may go unseen, and why, is a row of
 * `reasons`, each with what the report must then say in its place; anything else is a failure, a
 * line of which names file, byte and value, and exit status 1.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/audit/log.h"
#include "replication/log/note.h"

enum { FILES_MAX = 64, PATH_SIZE = 256, JOBS_MAX = 16, FILE_SIZE_MAX = 1 << 20 };

struct file {
	char path[PATH_SIZE]; /* <origin>/<path> */
	uint8_t *data;
	size_t size;
	bool there;
};

struct options {
	const char *directory, *vkey, *end;
	bool all;
	size_t every, from;
	unsigned jobs;
};

/* What one audit said. */
struct said {
	enum err err;
	struct errctx ctx;
	uint64_t violations;
	size_t logs, walked, cosigners, unknown;
};

enum reason { SEEN, A_COSIGNER_FEWER, UNEXPLAINED, REASONS };
static const char *const reasons[REASONS] = {
	"seen: a violation is reported",
	"not wrong: a line of a cosigner beyond the quorum is now of a key that nobody knows; the "
	"report has one cosigner fewer, and one unknown signature",
	"UNSEEN",
};

static struct file files[FILES_MAX];
static size_t file_count;
static struct options options;
static struct said said, good;

/* --- in place of the command line --- */

const struct audit_hook *const audit_hooks[] = {NULL};

const char *args_at(const struct cli_args *args, size_t n)
{
	return n == 0 ? "memory" : NULL;
}

const char *args_option(const struct cli_args *args, const char *name)
{
	return strcmp(name, "directory") == 0 ? options.vkey
	       : strcmp(name, "now") == 0     ? "2030-01-01T00:00:00Z"
					      : NULL;
}

enum err cli_usage(struct cli *cli, struct errctx *ctx, const char *format, ...)
{
	return err_set(ctx, ERR_INVALID, "usage: %s", format);
}

enum err audit_report(const struct audit_run *run, struct errctx *ctx)
{
	said.violations = findings_of(run->findings, FINDING_VIOLATION);
	for (size_t i = 0; i < run->log_count; i++) {
		said.logs++;
		said.walked += run->logs[i].walked && run->logs[i].result.sound;
		said.cosigners += run->logs[i].cosigner_count;
		said.unknown += run->logs[i].unknown;
	}
	return OK;
}

static struct file *find(const char *path)
{
	for (size_t i = 0; i < file_count; i++)
		if (strcmp(files[i].path, path) == 0 && files[i].there)
			return &files[i];
	return NULL;
}

static enum err memory_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	char whole[PATH_SIZE];
	const struct file *file;

	snprintf(whole, sizeof(whole), "%s/%s", origin, path);
	file = find(whole);
	if (file == NULL)
		return ERR_NOTFOUND;
	if (file->size > max)
		return ERR_LIMIT;
	buf_put(out, bytes_make(file->data, file->size));
	return out->err;
}

/* What is there when nothing is: a log whose files are gone must not be forgotten. */
static enum err memory_logs(void *arg, enum err (*each)(void *each_arg, const char *origin),
	void *each_arg, struct errctx *ctx)
{
	for (size_t i = 0; i < file_count; i++) {
		char *end = strstr(files[i].path, "/checkpoint");
		char origin[PATH_SIZE];

		if (end == NULL)
			continue;
		snprintf(origin, sizeof(origin), "%.*s", (int)(end - files[i].path), files[i].path);
		TRY(each(each_arg, origin));
	}
	return OK;
}

enum err source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx)
{
	*ret = (struct source){
		{.read = memory_read, .logs = memory_logs, .tiles = true, .name = text}, NULL};
	return OK;
}

void source_close(struct source *source) {}

static void audit(void)
{
	struct cli cli = {.json = true};
	static const struct cli_args args;

	memset(&said, 0, sizeof(said));
	said.err = audit_log_run(&cli, &args, &said.ctx);
}

/* --- the files --- */

static void die(const char *what)
{
	fprintf(stderr, "audit_bytes: %s\n", what);
	exit(2);
}

static void load_file(const char *path, const char *below)
{
	struct file *file = &files[file_count++];
	FILE *from = fopen(path, "rb");

	if (file_count > FILES_MAX || from == NULL)
		die("too many files, or one cannot be read");
	snprintf(file->path, sizeof(file->path), "%s", below);
	file->data = malloc(FILE_SIZE_MAX);
	file->size = fread(file->data, 1, FILE_SIZE_MAX - 1, from);
	file->there = true;
	fclose(from);
}

static void load(const char *directory, const char *below)
{
	char path[4096], name[PATH_SIZE];
	DIR *dir = opendir(directory);
	struct dirent *item;
	struct stat st;

	if (dir == NULL)
		die("no such directory");
	while ((item = readdir(dir)) != NULL) {
		if (item->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, item->d_name);
		snprintf(name, sizeof(name), "%.200s%s%.50s", below, below[0] == '\0' ? "" : "/",
			item->d_name);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			load(path, name);
		else
			load_file(path, name);
	}
	closedir(dir);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* --- judging --- */

/* Where the signature lines of others than the log begin. */
static size_t others_begin(const struct file *file)
{
	struct note note;

	if (strstr(file->path, "/checkpoint") == NULL ||
		note_parse(bytes_make(file->data, file->size), &note, NULL) != OK)
		return SIZE_MAX;
	return (size_t)(note.lines[1].whole.data - file->data);
}

static enum reason judge(size_t at, size_t begin)
{
	if (said.err == ERR_PROOF && said.violations > 0)
		return SEEN;
	if (said.err == OK && at >= begin && said.walked == good.walked &&
		said.cosigners + 1 == good.cosigners && said.unknown == good.unknown + 1)
		return A_COSIGNER_FEWER;
	return UNEXPLAINED;
}

static bool tell(enum reason reason, const char *path, const char *how, size_t at, unsigned value)
{
	if (reason == UNEXPLAINED)
		fprintf(stderr,
			"UNSEEN: %s: %s at %zu (%u): error '%s' %s, %zu logs sound, %zu "
			"cosigners\n",
			path, how, at, value, err_name(said.err), said.ctx.text, said.walked,
			said.cosigners);
	return reason != UNEXPLAINED;
}

/* --- bytes --- */

static void change_byte(
	struct file *file, size_t at, size_t begin, unsigned rotation, uint64_t counts[REASONS])
{
	uint8_t was = file->data[at];
	unsigned first = options.all ? 1 : 1 + rotation % 255;
	unsigned last = options.all ? 255 : first;

	for (unsigned x = first; x <= last; x++) {
		enum reason reason;

		file->data[at] = (uint8_t)(was ^ x);
		audit();
		reason = judge(at, begin);
		counts[reason]++;
		tell(reason, file->path, "byte", at, file->data[at]);
	}
	file->data[at] = was;
}

static bool ends_with(const char *path, const char *end)
{
	size_t size = strlen(path), tail = strlen(end);

	return size >= tail && strcmp(path + size - tail, end) == 0;
}

/* Every jobs-th of them. */
static void change_bytes(unsigned job, uint64_t counts[REASONS])
{
	size_t number = 0;

	for (size_t i = 0; i < file_count; i++) {
		size_t begin = others_begin(&files[i]);
		bool meant = ends_with(files[i].path, options.end);

		for (size_t at = 0; at < files[i].size; at++, number++)
			if (meant && number >= options.from &&
				(number - options.from) % options.every == 0 &&
				number / options.every % options.jobs == job)
				change_byte(
					&files[i], at, begin, (unsigned)(37 * number + 11), counts);
	}
}

/* --- whole files --- */

static bool expect_seen(const char *path, const char *how, size_t at)
{
	audit();
	return tell(judge(0, SIZE_MAX), path, how, at, 0);
}

/* Cut anywhere (a large file near its ends), and by lines: whoever has a checkpoint can leave out
 * cosignatures, and as long as the quorum is there the report says who is. */
static bool cut(struct file *file)
{
	size_t was = file->size, begin = others_begin(file);
	bool ok = true;

	for (size_t size = 0; size < was; size++) {
		bool line = size > begin && file->data[size - 1] == '\n';

		if (was > 2000 && size > 40 && size < was - 40)
			continue;
		file->size = size;
		audit();
		if (!line)
			ok &= tell(judge(0, SIZE_MAX), file->path, "cut", size, 0);
		else if (said.err != OK || said.cosigners >= good.cosigners || said.unknown != 0)
			ok &= tell(UNEXPLAINED, file->path, "lines cut", size, 0);
	}
	file->size = was;
	return ok;
}

static bool longer(struct file *file)
{
	bool ok = true;

	for (unsigned byte = 0; byte < 256; byte += 5) {
		file->data[file->size++] = (uint8_t)byte;
		ok &= expect_seen(file->path, "a byte more", byte);
		file->size--;
	}
	return ok;
}

/* The same line twice counts once. */
static bool doubled_line(struct file *file)
{
	size_t was = file->size, begin = others_begin(file), line;

	if (begin == SIZE_MAX)
		return true;
	line = (size_t)((uint8_t *)memchr(file->data + begin, '\n', was - begin) - file->data) + 1 -
	       begin;
	memcpy(file->data + was, file->data + begin, line);
	file->size += line;
	audit();
	file->size = was;
	return said.err == OK && said.cosigners == good.cosigners
		       ? true
		       : tell(UNEXPLAINED, file->path, "a line doubled", begin, 0);
}

static bool with_another(size_t i, size_t n)
{
	struct file a = files[i], b = files[n];
	bool ok = true;

	if (a.size == b.size && memcmp(a.data, b.data, a.size) == 0)
		return true; /* nothing is changed */
	files[i].data = b.data;
	files[i].size = b.size;
	ok &= expect_seen(a.path, "replaced by file", n);
	files[n].data = a.data;
	files[n].size = a.size;
	ok &= expect_seen(a.path, "swapped with file", n);
	files[i] = a;
	files[n] = b;
	return ok;
}

static bool whole_files(void)
{
	bool ok = true;

	for (size_t i = 0; i < file_count; i++) {
		files[i].there = false;
		ok &= expect_seen(files[i].path, "removed", 0);
		files[i].there = true;
		ok &= cut(&files[i]) & longer(&files[i]) & doubled_line(&files[i]);
		for (size_t n = 0; n < file_count; n++)
			if (n != i)
				ok &= with_another(i, n);
	}
	return ok;
}

/* What is of no tree of this checkpoint is not read: under another name, a file says nothing. */
static bool beside(void)
{
	struct file *more = &files[file_count];
	bool ok = true;

	for (size_t i = 0, count = file_count; i < count; i++) {
		const char *tile = strstr(files[i].path, "/tile/");

		if (tile == NULL)
			continue;
		*more = files[i];
		snprintf(more->path, sizeof(more->path), "%.*s/tile/0/007",
			(int)(tile - files[i].path), files[i].path);
		file_count = count + 1;
		audit();
		file_count = count;
		ok &= said.err == OK && said.cosigners == good.cosigners
			      ? true
			      : tell(UNEXPLAINED, files[i].path, "copied beside", 0, 0);
	}
	return ok;
}

/* --- the run --- */

static void child(unsigned job, int fd)
{
	uint64_t counts[REASONS] = {0};

	change_bytes(job, counts);
	if (write(fd, counts, sizeof(counts)) != sizeof(counts))
		_exit(2);
	_exit(0);
}

static bool run(void)
{
	uint64_t counts[REASONS] = {0}, part[REASONS];
	int ends[2], status;
	bool ok = true;

	if (pipe(ends) != 0)
		die("no pipe");
	for (unsigned job = 0; job < options.jobs; job++)
		if (fork() == 0)
			child(job, ends[1]);
	close(ends[1]);
	while (read(ends[0], part, sizeof(part)) == sizeof(part))
		for (int i = 0; i < REASONS; i++)
			counts[i] += part[i];
	for (unsigned job = 0; job < options.jobs; job++)
		ok &= wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	for (int i = 0; i < REASONS; i++)
		printf("%8llu  %s\n", (unsigned long long)counts[i], reasons[i]);
	return ok && counts[UNEXPLAINED] == 0 && counts[SEEN] > 0;
}

static void read_options(int argc, char **argv)
{
	if (argc < 3 || argc % 2 == 0)
		die("usage: audit_bytes DIR VKEY [--values all] [--every N] [--from N] [--jobs N] "
		    "[--files END]");
	options = (struct options){argv[1], argv[2], "", false, 1, 0, 2};
	for (int i = 3; i < argc; i += 2) {
		size_t n = (size_t)strtoul(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--values") == 0)
			options.all = true;
		else if (strcmp(argv[i], "--files") == 0)
			options.end = argv[i + 1];
		else if (strcmp(argv[i], "--every") == 0 && n > 0)
			options.every = n;
		else if (strcmp(argv[i], "--from") == 0)
			options.from = n;
		else if (strcmp(argv[i], "--jobs") == 0 && n > 0 && n <= JOBS_MAX)
			options.jobs = (unsigned)n;
		else
			die("an option is not known");
	}
}

int main(int argc, char **argv)
{
	size_t bytes = 0;
	bool ok;

	read_options(argc, argv);
	if (crypto_init() != OK)
		die("no crypto");
	load(options.directory, "");
	qsort(files, file_count, sizeof(files[0]), by_path);
	for (size_t i = 0; i < file_count; i++)
		bytes += files[i].size;
	audit();
	good = said;
	if (good.err != OK || good.walked != 4 || good.logs != 4)
		die(good.ctx.text);
	printf("%zu files, %zu bytes, %zu cosigners\n", file_count, bytes, good.cosigners);
	ok = whole_files() & beside();
	printf("whole files: %s\n", ok ? "every change is seen, or says nothing" : "UNSEEN");
	ok &= run();
	return ok ? 0 : 1;
}
