#include "web_test.h"

#include "web/hosts.h"

static bool match(const struct hosts *hosts, const char *header)
{
	return hosts_match(hosts, bytes_str(header));
}

static void test_default(void **state)
{
	static const char *const good[] = {"localhost", "LocalHost", "localhost:8480", "127.0.0.1",
		"127.0.0.1:1", "[::1]", "[::1]:65535"};
	static const char *const bad[] = {"", ":", ":80", "localhost:", "localhost:x",
		"localhost:65536", "localhost:080", "localhost:80:80", "localhost.", "localhost ",
		" localhost", "localhost.attacker.example", "attacker.example", "127.0.0.2",
		"127.1", "2130706433", "::1", "[::1", "::1]", "[::1]x", "[::1]:", "user@localhost",
		"localhost/", "localhost,attacker.example", "[0:0:0:0:0:0:0:1]"};
	struct hosts hosts;

	hosts_default(&hosts);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!match(&hosts, good[i]))
			fail_msg("not taken: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (match(&hosts, bad[i]))
			fail_msg("taken: %s", bad[i]);
	assert_false(hosts_match(&hosts, bytes_make("localhost\0", 10)));
	assert_false(hosts_match(&hosts, BYTES_NONE));
}

static void test_add(void **state)
{
	struct hosts hosts = {0};
	struct errctx ctx = {""};
	char name[LIMIT_WEB_HOST + 2];

	assert_int_equal(hosts_add(&hosts, "Logs.Office.Example", &ctx), OK);
	assert_true(match(&hosts, "logs.office.example:443"));
	assert_false(match(&hosts, "localhost"));
	assert_int_equal(hosts_add(&hosts, "a:80", &ctx), ERR_INVALID);
	assert_int_equal(hosts_add(&hosts, "", &ctx), ERR_INVALID);
	assert_int_equal(hosts_add(&hosts, "*", &ctx), ERR_INVALID);
	assert_int_equal(hosts_add(&hosts, "a b", &ctx), ERR_INVALID);
	assert_int_equal(hosts_add(&hosts, "[fe80::1]", &ctx), OK);
	memset(name, 'a', sizeof(name));
	name[LIMIT_WEB_HOST + 1] = '\0';
	assert_int_equal(hosts_add(&hosts, name, &ctx), ERR_LIMIT);
	name[LIMIT_WEB_HOST] = '\0';
	assert_int_equal(hosts_add(&hosts, name, &ctx), OK);
	assert_true(match(&hosts, name));
	while (hosts.count < LIMIT_WEB_HOSTS)
		assert_int_equal(hosts_add(&hosts, "a", &ctx), OK);
	assert_int_equal(hosts_add(&hosts, "b", &ctx), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
