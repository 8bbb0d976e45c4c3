#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/crash.h"
#include "server/watch.h"

enum { LONG_MS = 60 * 1000, SHORT_MS = 300 };

static int exits(void *arg, struct watch *watch)
{
	watch_doing(watch, "something");
	return *(int *)arg;
}

static void test_exit_status(void **state)
{
	struct watch_end end;

	for (int status = 0; status < 6; status++) {
		assert_int_equal(watch_run(exits, &status, LONG_MS, &end, NULL), OK);
		assert_int_equal(end.how, WATCH_EXITED);
		assert_int_equal(end.status, status);
		assert_string_equal(end.doing, "something");
	}
}

static int dies(void *arg, struct watch *watch)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	watch_doing(watch, "'/somewhere/data.mdb' (pages)");
	signal(*(int *)arg, SIG_DFL);
	raise(*(int *)arg);
	return 0;
}

static void test_signals(void **state)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
	struct watch_end end;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int number = signals[i];

		assert_int_equal(watch_run(dies, &number, LONG_MS, &end, NULL), OK);
		assert_int_equal(end.how, WATCH_SIGNAL);
		assert_int_equal(end.status, number);
		assert_string_equal(end.doing, "'/somewhere/data.mdb' (pages)");
	}
}

static int circles(void *arg, struct watch *watch)
{
	watch_doing(watch, "circles");
	while (getppid() > 1)
		pause();
	return 0;
}

static void test_stuck(void **state)
{
	struct watch_end end;

	assert_int_equal(watch_run(circles, NULL, SHORT_MS, &end, NULL), OK);
	assert_int_equal(end.how, WATCH_STUCK);
	assert_string_equal(end.doing, "circles");
}

/* Slow, but alive all the time. */
static int slow(void *arg, struct watch *watch)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};

	for (int i = 0; i < 20; i++) {
		nanosleep(&pause, NULL);
		watch_alive(watch);
	}
	return 3;
}

static void test_slow_is_not_stuck(void **state)
{
	struct watch_end end;

	assert_int_equal(watch_run(slow, NULL, 2 * SHORT_MS, &end, NULL), OK);
	assert_int_equal(end.how, WATCH_EXITED);
	assert_int_equal(end.status, 3);
}

static int talks(void *arg, struct watch *watch)
{
	char text[2 * WATCH_TEXT];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	watch_doing(watch, text);
	return 0;
}

static void test_text_is_cut(void **state)
{
	struct watch_end end;

	assert_int_equal(watch_run(talks, NULL, LONG_MS, &end, NULL), OK);
	assert_int_equal(strlen(end.doing), WATCH_TEXT - 1);
}

/* Last words, on a stack of their own: the fault may be that there was none left. */

static volatile int depth;

static int overflow(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	depth++;
	return n < 0 ? 0 : overflow(n + 1) + frame[0];
}

static int crashes(void *arg, struct watch *watch)
{
	int *ends = arg;

	dup2(ends[1], STDERR_FILENO);
	crash_install("/var/lib/sauti/store", "/var/lib/sauti/sauti.conf");
	if (ends[0] == 0)
		abort();
	return overflow(0);
}

static void test_last_words(void **state)
{
	for (int how = 0; how < 2; how++) {
		struct watch_end end;
		int ends[2], arg[2];
		char text[1024];
		ssize_t n;

		assert_int_equal(pipe(ends), 0);
		arg[0] = how;
		arg[1] = ends[1];
		assert_int_equal(watch_run(crashes, arg, LONG_MS, &end, NULL), OK);
		assert_int_equal(end.how, WATCH_EXITED);
		assert_int_equal(end.status, 4);
		n = read(ends[0], text, sizeof(text) - 1);
		assert_true(n > 0);
		text[n] = '\0';
		assert_non_null(strstr(text, how == 0 ? "a failed assertion" : "SIGSEGV"));
		assert_non_null(strstr(text, "'/var/lib/sauti/store'"));
		assert_non_null(strstr(text, "sautid --fsck --config '/var/lib/sauti/sauti.conf'"));
		close(ends[0]);
		close(ends[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_slow_is_not_stuck),
		cmocka_unit_test(test_text_is_cut),
		cmocka_unit_test(test_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
