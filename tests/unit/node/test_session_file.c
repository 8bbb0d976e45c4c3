#include "node_test.h"

#include "base/secret.h"
#include "node/session_file.h"

static const uint8_t token[SESSION_FILE_TOKEN] = {0xab, 1, 2, 3, [31] = 0x0f};

static enum err read_back(const char *path, struct errctx *ctx)
{
	uint8_t got[SESSION_FILE_TOKEN] = {0x77};
	enum err err = session_file_read(path, got, ctx);

	if (err == OK)
		assert_memory_equal(got, token, sizeof(got));
	else
		assert_int_equal(got[0], 0x77); /* untouched */
	return err;
}

static void test_where(void **state)
{
	char path[PATH_MAX], longest[PATH_MAX];

	unsetenv("SAUTI_SESSION");
	assert_int_equal(session_file_path("/var/lib/sauti/run/control.sock", path, NULL), OK);
	assert_string_equal(path, "/var/lib/sauti/run/session");
	assert_int_equal(session_file_path("control.sock", path, NULL), OK);
	assert_string_equal(path, "session");
	setenv("SAUTI_SESSION", "/home/amina/.session", 1);
	assert_int_equal(session_file_path("/run/control.sock", path, NULL), OK);
	assert_string_equal(path, "/home/amina/.session");
	memset(longest, 'a', sizeof(longest));
	longest[PATH_MAX - 1] = '\0';
	setenv("SAUTI_SESSION", longest, 1);
	assert_int_equal(session_file_path("/run/control.sock", path, NULL), OK);
	unsetenv("SAUTI_SESSION");
	memcpy(longest + PATH_MAX - 4, "/s", 3);
	assert_int_equal(session_file_path(longest, path, NULL), ERR_LIMIT);
}

static void test_round(void **state)
{
	const char *path = in_dir("session");
	struct stat st;

	assert_int_equal(read_back(path, NULL), ERR_NOTFOUND);
	assert_int_equal(session_file_write(path, token, NULL), OK);
	assert_int_equal(read_back(path, NULL), OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 65);
	assert_int_equal(session_file_write(path, token, NULL), OK); /* again */
	/* It is over: nothing of the token stays, and the file has its size. */
	assert_int_equal(session_file_clear(path, NULL), OK);
	assert_int_equal(read_back(path, NULL), ERR_NOTFOUND);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 65);
	/* What is none of ours goes. */
	put_file(path, "short", 0600);
	assert_int_equal(session_file_clear(path, NULL), OK);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(session_file_clear(path, NULL), OK);
}

static void test_no_token(void **state)
{
	static const char hex[] = "ab010203000000000000000000000000000000000000000000000000000000"
				  "0f";
	const char *path = in_dir("session");
	char text[80];
	const char *const wrong[] = {"", "\n", "ab\n", hex, "%s\n\n", "%sx\n", "g%s\n"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (strstr(wrong[i], "%s") != NULL)
			snprintf(text, sizeof(text), "%.1s%s%s", wrong[i][0] == 'g' ? "g" : "", hex,
				strstr(wrong[i], "%s") + 2);
		else
			snprintf(text, sizeof(text), "%s", wrong[i]);
		put_file(path, text, 0600);
		assert_int_equal(read_back(path, NULL), ERR_NOTFOUND);
	}
	snprintf(text, sizeof(text), "%s\n", hex);
	put_file(path, text, 0600);
	assert_int_equal(read_back(path, NULL), OK);
}

/* What others could have put there, or can read. */
static void test_denied(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0611};
	const char *path = in_dir("session"), *link = in_dir("link"), *fifo = in_dir("fifo");
	struct errctx ctx = {""};

	assert_int_equal(session_file_write(path, token, NULL), OK);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(read_back(path, &ctx), ERR_DENIED);
		assert_non_null(strstr(ctx.text, "lets others at it"));
		assert_null(strstr(ctx.text, "ab0102"));
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(read_back(link, NULL), ERR_DENIED);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(read_back(fifo, NULL), ERR_DENIED);
	assert_int_equal(read_back(test_dir, NULL), ERR_DENIED);
	/* Written over a link, the link is replaced, and not what it points to. */
	assert_int_equal(unlink(link), 0);
	put_file(path, "mine", 0600);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(session_file_write(link, token, NULL), OK);
	assert_int_equal(read_back(link, NULL), OK);
	assert_int_equal(read_back(path, NULL), ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where),
		cmocka_unit_test_setup_teardown(test_round, test_dir_make, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_no_token, test_dir_make, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_denied, test_dir_make, test_dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
