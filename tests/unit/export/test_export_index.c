/* The list of logs in a destination: what stands in it, and what is on the disk when it fails. */
#include "tests/unit/store/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/export/index.h"

struct fixture {
	struct place place;
	char out[300];
	struct destination *destination;
	struct errctx ctx;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_ok(crypto_init());
	alloc_fail_after(SIZE_MAX);
	place_make(&f->place);
	snprintf(f->out, sizeof(f->out), "%s/out", f->place.directory);
	assert_ok(destination_open(f->out, "/nonexistent", &f->destination, &f->ctx));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	destination_close(f->destination);
	place_remove(&f->place);
	free(f);
	crypto_release();
	return 0;
}

/* A file below the destination, with its directories. */
static void put(struct fixture *f, const char *name, const char *text)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->out, name);
	for (char *slash = strchr(path + strlen(f->out) + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void has(struct fixture *f, const char *text)
{
	char path[400], got[4096] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->out, INDEX_NAME);
	file = fopen(path, "r");
	assert_non_null(file);
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(got, text);
	snprintf(path, sizeof(path), "%s/.logs.new", f->out);
	assert_int_not_equal(access(path, F_OK), 0);
}

#define CAF   "ovra.example/caf/1-0000000000000001"
#define HAITI "ovra.example/haiti/2-0000000000000002"
#define HQ    "ovra.example/hq/1-0000000000000003"

static void test_what_is_there(void **state)
{
	struct fixture *f = *state;
	char path[400];
	struct stat st;

	umask(077);
	assert_ok(index_write(f->destination, &f->ctx));
	has(f, ""); /* no log, an empty list */
	put(f, HQ "/checkpoint", "x");
	put(f, CAF "/checkpoint", "x");
	put(f, HAITI "/checkpoint", "x");
	put(f, "ovra.example/sudan/1-0000000000000004/tile/0/000", "no checkpoint yet");
	put(f, "ovra.example/haiti/2/checkpoint", "no epoch");
	put(f, "OVRA/haiti/2-0000000000000002/checkpoint", "no network");
	put(f, ".trash/haiti/2-0000000000000002/checkpoint", "hidden");
	put(f, "ovra.example/file", "no directory");
	put(f, "ovra.example/haiti/2-00000000000000ff/checkpoint/x", "no file");
	assert_ok(index_write(f->destination, &f->ctx));
	has(f, CAF "\n" HAITI "\n" HQ "\n");
	snprintf(path, sizeof(path), "%s/%s", f->out, INDEX_NAME);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char to[400], from[400];

	put(f, HQ "/checkpoint", "x");
	snprintf(to, sizeof(to), "%s/ovra.example", f->out);
	snprintf(from, sizeof(from), "%s/other.example", f->out);
	assert_int_equal(symlink(to, from), 0);
	snprintf(from, sizeof(from), "%s/%s", f->out, INDEX_NAME);
	assert_int_equal(symlink("/nonexistent/logs", from), 0);
	assert_ok(index_write(f->destination, &f->ctx));
	has(f, HQ "\n");
}

/* Nothing new, nothing written; a leftover of a killed export does no harm. */
static void test_again(void **state)
{
	struct fixture *f = *state;
	char path[400];
	struct stat before, after;

	put(f, HQ "/checkpoint", "x");
	put(f, ".logs.new", "half a li");
	assert_ok(index_write(f->destination, &f->ctx));
	has(f, HQ "\n");
	snprintf(path, sizeof(path), "%s/%s", f->out, INDEX_NAME);
	assert_int_equal(stat(path, &before), 0);
	assert_ok(index_write(f->destination, &f->ctx));
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino == after.st_ino);
	put(f, INDEX_NAME, "what somebody wrote\n");
	assert_ok(index_write(f->destination, &f->ctx));
	has(f, HQ "\n");
	put(f, INDEX_NAME, HQ "\n" HQ "\n");
	assert_ok(index_write(f->destination, &f->ctx));
	has(f, HQ "\n");
}

static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	enum err err = ERR_NOMEM;

	put(f, HQ "/checkpoint", "x");
	put(f, INDEX_NAME, "earlier\n");
	for (size_t n = 0; err == ERR_NOMEM; n++) {
		alloc_fail_after(n);
		err = index_write(f->destination, &f->ctx);
		alloc_fail_after(SIZE_MAX);
		assert_true(n < 100);
		if (err == ERR_NOMEM)
			has(f, "earlier\n");
	}
	assert_int_equal(err, OK);
	has(f, HQ "\n");
}

static void test_the_way_is_blocked(void **state)
{
	struct fixture *f = *state;

	put(f, HQ "/checkpoint", "x");
	put(f, INDEX_NAME "/x", "a directory of that name");
	assert_int_not_equal(index_write(f->destination, &f->ctx), OK);
	assert_non_null(strstr(f->ctx.text, f->out));
	assert_non_null(strstr(f->ctx.text, INDEX_NAME));
}

static void test_cap(void **state)
{
	struct fixture *f = *state;
	char name[200];

	for (unsigned i = 0; i < LIMIT_LOGS; i++) {
		snprintf(name, sizeof(name), "ovra.example/haiti/%u-%016x/checkpoint", i + 1, i);
		put(f, name, "x");
	}
	assert_ok(index_write(f->destination, &f->ctx));
	put(f, HQ "/checkpoint", "x");
	assert_int_equal(index_write(f->destination, &f->ctx), ERR_LIMIT);
	assert_non_null(strstr(f->ctx.text, "more than 4096 logs"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_way_is_blocked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cap, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
