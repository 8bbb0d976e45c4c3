#include "web_test.h"

#include "replication/log/checkpoint.h"
#include "replication/log/tlog_path.h"
#include "web/route.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct route parse(const char *path)
{
	struct route route;

	route_parse(bytes_str(path), &route);
	return route;
}

static void test_good(void **state)
{
	static const struct {
		const char *path;
		enum route_kind kind;
		const char *origin, *file;
		bool partial;
	} good[] = {
		{"/logs", ROUTE_LOGS, "", "", false},
		{"/evidence", ROUTE_EVIDENCE, "", "", false},
		{"/metrics", ROUTE_METRICS, "", "", false},
		{"/healthz", ROUTE_HEALTHZ, "", "", false},
		{"/readyz", ROUTE_READYZ, "", "", false},
		{"/add-checkpoint", ROUTE_ADD_CHECKPOINT, "", "", false},
		{"/" HASH "/checkpoint", ROUTE_WITNESS, HASH, "", false},
		{"/" ORIGIN "/checkpoint", ROUTE_CHECKPOINT, ORIGIN, "checkpoint", false},
		{"/" BRANCH "/checkpoint", ROUTE_CHECKPOINT, BRANCH, "checkpoint", false},
		{"/ovra.example/directory/0-0123456789abcdef/checkpoint", ROUTE_CHECKPOINT,
			"ovra.example/directory/0-0123456789abcdef", "checkpoint", false},
		{"/" ORIGIN "/tile/0/000", ROUTE_TILE, ORIGIN, "tile/0/000", false},
		{"/" ORIGIN "/tile/6/x001/x234/067.p/255", ROUTE_TILE, ORIGIN,
			"tile/6/x001/x234/067.p/255", true},
		{"/" ORIGIN "/tile/entries/x001/000.p/1", ROUTE_ENTRIES, ORIGIN,
			"tile/entries/x001/000.p/1", true},
		{"/" BRANCH "/tile/entries/000", ROUTE_ENTRIES, BRANCH, "tile/entries/000", false},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct route route = parse(good[i].path);

		assert_int_equal(route.kind, good[i].kind);
		assert_string_equal(route.origin, good[i].origin);
		assert_string_equal(route.path, good[i].file);
		assert_int_equal(route.partial, good[i].partial);
	}
}

/* Every one of these is none of ours: also those that a file server would make one of. */
static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"//",
		"*",
		"logs",
		"/logs/",
		"//logs",
		"/Logs",
		"/logs?",
		"/logs?x=1",
		"/logs#",
		"/./logs",
		"/../logs",
		"/x/../logs",
		"/%6cogs",
		"/logs%00",
		"/logs%2f",
		"/logs ",
		"/ logs",
		"/evidence/",
		"/evidence?x",
		"/Evidence",
		"/" ORIGIN "/evidence",
		"/index.html",
		"/.git/config",
		"/etc/passwd",
		"/../../etc/passwd",
		"/%2e%2e/%2e%2e/etc/passwd",
		"/" HASH,
		"/" HASH "/",
		"/" HASH "/checkpoint/",
		"/" HASH "0/checkpoint",
		"/00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff/checkpoint",
		"/" HASH "/tile/0/000",
		"/" ORIGIN,
		"/" ORIGIN "/",
		"/" ORIGIN "/checkpoint/",
		"/" ORIGIN "//checkpoint",
		"/" ORIGIN "/checkpoint?x",
		"/" ORIGIN "/Checkpoint",
		"/" ORIGIN "/checkpoint%00",
		"/" ORIGIN "/./checkpoint",
		"/" ORIGIN "/tile/../checkpoint",
		"/" ORIGIN "/tile",
		"/" ORIGIN "/tile/",
		"/" ORIGIN "/tile/0",
		"/" ORIGIN "/tile/0/",
		"/" ORIGIN "/tile/0/0",
		"/" ORIGIN "/tile/0/00",
		"/" ORIGIN "/tile/0/0000",
		"/" ORIGIN "/tile/00/000",
		"/" ORIGIN "/tile/7/000",
		"/" ORIGIN "/tile/-1/000",
		"/" ORIGIN "/tile/0/000.p",
		"/" ORIGIN "/tile/0/000.p/",
		"/" ORIGIN "/tile/0/000.p/0",
		"/" ORIGIN "/tile/0/000.p/01",
		"/" ORIGIN "/tile/0/000.p/256",
		"/" ORIGIN "/tile/0/000.p/1/",
		"/" ORIGIN "/tile/0/x000/001",
		"/" ORIGIN "/tile/0/x001",
		"/" ORIGIN "/tile/0/001/002",
		"/" ORIGIN "/tile/0/x001/x002/x003/x004/x005/006",
		"/" ORIGIN "/tile/0/x999/x999/x999/x999/999",
		"/" ORIGIN "/tile/0/+01",
		"/" ORIGIN "/tile/data/000",
		"/" ORIGIN "/tile/Entries/000",
		"/" ORIGIN "/tile/0/00a",
		"/ovra.example/haiti/1-0123456789abcde/checkpoint",
		"/ovra.example/haiti/1-0123456789abcdefa/checkpoint",
		"/ovra.example/haiti/1-0123456789ABCDEF/checkpoint",
		"/ovra.example/haiti/01-0123456789abcdef/checkpoint",
		"/ovra.example/haiti/4294967296-0123456789abcdef/checkpoint",
		"/ovra.example/Haiti/1-0123456789abcdef/checkpoint",
		"/ovra/haiti/1-0123456789abcdef/checkpoint",
		"/ovra.example//1-0123456789abcdef/checkpoint",
		"/ovra.example/../1-0123456789abcdef/checkpoint",
		"/" ORIGIN "~/checkpoint",
		"/" ORIGIN "~0123/checkpoint",
		"/" BRANCH "0/checkpoint",
		"/" ORIGIN "%7E0123456789abcdef0123456789abcdef/checkpoint",
	};
	struct route route;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		route = parse(bad[i]);
		if (route.kind != ROUTE_NONE)
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(route.origin, "");
		assert_string_equal(route.path, "");
	}
	/* Text with a NUL in it. */
	route_parse(bytes_make("/logs\0x", 7), &route);
	assert_int_equal(route.kind, ROUTE_NONE);
}

/* What the replication's own readers take of a file's name, with each byte changed, and nothing
 * else. */
static void compare(const char *path)
{
	struct bytes origin = bytes_str(path + 1), file;
	struct route route = parse(path);
	struct tlog_file found;
	bool good;

	for (size_t i = 0, slashes = 0; path[1 + i] != '\0' && slashes < 3; i++)
		if (path[1 + i] == '/') {
			origin.size = i;
			slashes++;
		}
	file = bytes_str(path + 1 + origin.size);
	if (file.size > 0)
		file = bytes_make(file.data + 1, file.size - 1);
	good = log_name_parse(origin, NULL, NULL, NULL) == OK &&
	       (bytes_equal_str(file, "checkpoint") || tlog_path_parse(file, &found) == OK);
	if (good != (route.kind != ROUTE_NONE))
		fail_msg("%s: %s here, %s there", path, route.kind != ROUTE_NONE ? "taken" : "not",
			good ? "taken" : "not");
}

static void test_as_replication(void **state)
{
	static const char *const paths[] = {"/" ORIGIN "/checkpoint",
		"/" BRANCH "/tile/entries/x001/x234/067.p/25", "/" ORIGIN "/tile/5/999",
		"/" ORIGIN "/tile/0/x001/x099/x511/x627/776",
		"/" ORIGIN "/tile/0/x001/x099/x511/x627/777"};
	char path[256];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		compare(paths[i]);
		for (size_t at = 1; at < strlen(paths[i]); at++) {
			for (int c = 1; c < 128; c++) {
				strcpy(path, paths[i]);
				path[at] = (char)c;
				compare(path);
			}
			strcpy(path, paths[i]);
			path[at] = '\0';
			compare(path);
		}
	}
}

static void test_names(void **state)
{
	assert_string_equal(route_name(ROUTE_NONE), "none");
	assert_string_equal(route_name(ROUTE_READYZ), "readyz");
	assert_int_equal(ROUTE_COUNT, ROUTE_READYZ + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_as_replication),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
