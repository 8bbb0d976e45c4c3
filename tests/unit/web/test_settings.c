#include "web_test.h"

#include <arpa/inet.h>

#include "web/settings.h"

static enum err set(const char *key, const char *value, struct settings *ret, struct errctx *ctx)
{
	settings_init(ret);
	ctx->text[0] = '\0';
	return settings_set(ret, key, value, ctx);
}

static void test_listen(void **state)
{
	static const char *const good[] = {"127.0.0.1:0", "127.0.0.1:8480", "127.255.255.254:65535",
		"[::1]:8480", "unix:/run/x.sock"};
	static const char *const bad[] = {"0.0.0.0:80", "192.0.2.1:80", "10.0.0.1:80",
		"128.0.0.1:80", "[::]:80", "[2001:db8::1]:80", "[::ffff:127.0.0.1]:80",
		"[::ffff:10.0.0.1]:80", "localhost:80", "127.0.0.1", "127.0.0.1:", ":80",
		"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "127.1:80", "[::1:80", "::1:80",
		"[]:80", "unix:", "unix:x.sock", "", "[::1%lo]:80", "0177.0.0.1:80"};
	struct settings settings;
	struct errctx ctx;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (set("listen", good[i], &settings, &ctx) != OK)
			fail_msg("%s: %s", good[i], ctx.text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (set("listen", bad[i], &settings, &ctx) == OK)
			fail_msg("taken: %s", bad[i]);
		assert_true(strncmp(ctx.text, "listen: ", 8) == 0);
		assert_int_equal(settings.listen.any.sa_family, 0);
	}
	assert_int_equal(set("listen", "[::1]:8480", &settings, &ctx), OK);
	assert_int_equal(settings.listen.any.sa_family, AF_INET6);
	assert_int_equal(ntohs(settings.listen.v6.sin6_port), 8480);
}

static void test_paths(void **state)
{
	char path[5 + WEB_SOCKET_SIZE + 1];
	struct settings settings;
	struct errctx ctx;

	memset(path, 'a', sizeof(path));
	memcpy(path, "unix:/", 6);
	path[5 + WEB_SOCKET_SIZE] = '\0';
	assert_int_equal(set("listen", path, &settings, &ctx), ERR_LIMIT);
	assert_int_equal(set("socket", path + 5, &settings, &ctx), ERR_LIMIT);
	path[5 + WEB_SOCKET_SIZE - 1] = '\0';
	assert_int_equal(set("listen", path, &settings, &ctx), OK);
	assert_int_equal(set("socket", path + 5, &settings, &ctx), OK);
}

static enum err parse(const char *text, struct settings *ret, struct errctx *ctx)
{
	settings_init(ret);
	ctx->text[0] = '\0';
	return settings_parse(ret, bytes_str(text), "web.conf", ctx);
}

static void test_file(void **state)
{
	struct settings settings;
	struct errctx ctx;

	assert_int_equal(parse("[web]\nlisten = 127.0.0.1:8480\nsocket = /run/s\n"
			       "hosts = logs.example  [::1]\nlogs = off\naccess_log = on\n"
			       "[limits]\nconnections = 1024\nworkers = 16\nheader_timeout = 1\n"
			       "checkpoints_per_minute = 7\n",
				 &settings, &ctx),
		OK);
	assert_int_equal(settings_finish(&settings, &ctx), OK);
	assert_int_equal(settings.hosts.count, 2);
	assert_string_equal(settings.hosts.names[1], "[::1]");
	assert_false(settings.logs);
	assert_true(settings.access_log);
	assert_int_equal(settings.connections, LIMIT_WEB_CONNECTIONS);
	assert_int_equal(settings.workers, LIMIT_WEB_WORKERS);
	assert_int_equal(settings.header_s, 1);
	assert_int_equal(settings.checkpoints, 7);
}

static void test_file_bad(void **state)
{
	static const char *const bad[][2] = {
		{"[web]\nlisten = 0.0.0.0:80\n", "web.conf:2: listen: 0.0.0.0:80 is not"},
		{"[web]\nport = 1\n", "web.conf:2: "},
		{"[tls]\n", "web.conf:1: "},
		{"[web]\nlogs = yes\n", "web.conf:2: logs: found 'yes'; allowed: on, off"},
		{"[web]\nhosts = a b:80\n", "web.conf:2: hosts: found 'b:80'"},
		{"[limits]\nconnections = 1025\n", "web.conf:2: connections: found '1025'"},
		{"[limits]\nconnections = 0\n", "web.conf:2: connections: "},
		{"[limits]\nworkers = 17\n", "web.conf:2: workers: "},
		{"[limits]\nidle_timeout = 601\n", "web.conf:2: idle_timeout: "},
	};
	struct settings settings;
	struct errctx ctx;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_not_equal(parse(bad[i][0], &settings, &ctx), OK);
		if (strncmp(ctx.text, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s", ctx.text);
	}
}

static void test_whole(void **state)
{
	struct settings settings;
	struct errctx ctx;

	assert_int_equal(set("socket", "/run/s", &settings, &ctx), OK);
	assert_int_equal(settings_finish(&settings, &ctx), ERR_INVALID);
	assert_int_equal(set("listen", "127.0.0.1:0", &settings, &ctx), OK);
	assert_int_equal(settings_finish(&settings, &ctx), ERR_INVALID);
	assert_int_equal(settings_set(&settings, "socket", "/run/s", &ctx), OK);
	assert_int_equal(settings_finish(&settings, &ctx), OK);
	assert_string_equal(settings.hosts.names[0], "localhost");
	assert_int_equal(set("colour", "red", &settings, &ctx), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_bad),
		cmocka_unit_test(test_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
