#include "web_test.h"

#include "web/request.h"

static const struct request_head plain = {
	.method = "GET", .version = "HTTP/1.1", .target = "/logs", .host = "localhost", .hosts = 1};
static const struct request_head post = {.method = "POST",
	.version = "HTTP/1.1",
	.target = "/add-checkpoint",
	.host = "localhost",
	.hosts = 1,
	.length = "10",
	.lengths = 1};

static struct request judge(struct request_head head)
{
	struct request request;
	struct hosts hosts;

	hosts_default(&hosts);
	request_judge(&head, &hosts, &request);
	return request;
}

/* change is a field with its value: judge(with(.method = "HEAD")) */
#define PLAIN(change)                                                                              \
	({                                                                                         \
		struct request_head head = plain;                                                  \
		head change;                                                                       \
		judge(head);                                                                       \
	})
#define POST(change)                                                                               \
	({                                                                                         \
		struct request_head head = post;                                                   \
		head change;                                                                       \
		judge(head);                                                                       \
	})

static void test_good(void **state)
{
	assert_int_equal(judge(plain).status, 0);
	assert_int_equal(judge(plain).route.kind, ROUTE_LOGS);
	assert_int_equal(PLAIN(.method = "HEAD").status, 0);
	assert_int_equal(PLAIN(.version = "HTTP/1.0").status, 0);
	assert_int_equal(PLAIN(.host = "[::1]:8480").status, 0);
	assert_int_equal(judge(post).status, 0);
	assert_int_equal(judge(post).body_size, 10);
	assert_int_equal(POST(.length = "0").status, 0);
	assert_int_equal(POST(.expect = "100-continue").status, 0);
}

static void test_caps(void **state)
{
	char target[LIMIT_HTTP_TARGET + 2];

	memset(target, 'a', sizeof(target));
	target[0] = '/';
	target[LIMIT_HTTP_TARGET + 1] = '\0';
	assert_int_equal(PLAIN(.target = target).status, 414);
	assert_true(PLAIN(.target = target).close);
	target[LIMIT_HTTP_TARGET] = '\0';
	assert_int_equal(PLAIN(.target = target).status, 404);
	assert_int_equal(PLAIN(.size = LIMIT_HTTP_HEADER).status, 0);
	assert_int_equal(PLAIN(.size = LIMIT_HTTP_HEADER + 1).status, 431);
	assert_int_equal(POST(.length = "65536").status, 0);
	assert_int_equal(POST(.length = "65537").status, 413);
	assert_true(POST(.length = "65537").close);
	assert_int_equal(POST(.length = "18446744073709551616").status, 400);
}

static void test_hosts(void **state)
{
	assert_int_equal(PLAIN(.hosts = 0).status, 400);
	assert_int_equal(PLAIN(.hosts = 2).status, 400);
	assert_int_equal(PLAIN(.host = "attacker.example").status, 421);
	assert_true(PLAIN(.host = "attacker.example").close);
	assert_int_equal(PLAIN(.target = "http://localhost/logs").status, 0);
	assert_int_equal(PLAIN(.target = "HTTP://localhost:8480/logs").route.kind, ROUTE_LOGS);
	assert_int_equal(PLAIN(.target = "http://attacker.example/logs").status, 421);
	assert_int_equal(PLAIN(.target = "http://localhost").status, 404);
	assert_int_equal(PLAIN(.target = "http:///logs").status, 421);
	assert_int_equal(PLAIN(.target = "http://user@localhost/logs").status, 421);
	assert_int_equal(PLAIN(.target = "https://localhost/logs").status, 404);
	assert_int_equal(PLAIN(.target = "*").status, 404);
}

/* Whatever two programs could read in two ways. */
static void test_framing(void **state)
{
	struct request_head both = post;

	both.transfer_encoding = true;
	assert_int_equal(judge(both).status, 400);
	assert_true(judge(both).close);
	both.lengths = 0;
	assert_int_equal(judge(both).status, 411);
	assert_true(judge(both).close);
	assert_int_equal(PLAIN(.transfer_encoding = true).status, 411);
	assert_true(PLAIN(.transfer_encoding = true).close);
	assert_int_equal(POST(.lengths = 2).status, 400);
	assert_int_equal(POST(.lengths = 0).status, 411);
	static const char *const lengths[] = {
		"", "-1", "+1", "0x10", "1 ", " 1", "1,1", "010", "1\t", "ten"};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_int_equal(POST(.length = lengths[i]).status, 400);
		assert_true(POST(.length = lengths[i]).close);
	}
	struct request_head body = plain;
	body.lengths = 1;
	body.length = "0";
	assert_int_equal(judge(body).status, 0);
	body.length = "5";
	assert_int_equal(judge(body).status, 400);
	assert_true(judge(body).close);
	body.target = "/nothing";
	assert_int_equal(judge(body).status, 404);
	assert_true(judge(body).close);
}

static void test_methods(void **state)
{
	static const char *const others[] = {
		"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PATCH", "GETX", ""};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(PLAIN(.method = others[i]).status, 405);
		assert_string_equal(PLAIN(.method = others[i]).allow, "GET, HEAD");
	}
	assert_int_equal(POST(.method = "GET").status, 405);
	assert_string_equal(POST(.method = "HEAD").allow, "POST");
	assert_int_equal(POST(.origin = true).status, 403);
	assert_int_equal(PLAIN(.origin = true).status, 0);
	assert_int_equal(POST(.expect = "200-ok").status, 417);
	static const char *const versions[] = {"", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1"};
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		assert_int_equal(PLAIN(.version = versions[i]).status, 505);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
