#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/log.h"
#include "server/net/hosts.h"

static struct host host(const char *text)
{
	struct sockaddr_storage sa = {0};
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&sa;
	struct host made;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		sa.ss_family = AF_INET;
		in->sin_port = 7; /* ports are not of the party */
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		sa.ss_family = AF_INET6;
	}
	host_of(&sa, &made);
	return made;
}

static bool same(const char *a, const char *b)
{
	struct host x = host(a), y = host(b);

	return host_equal(&x, &y);
}

static void test_parties(void **state)
{
	assert_true(same("192.0.2.1", "192.0.2.1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_true(same("::ffff:192.0.2.1", "192.0.2.1"));
	assert_false(same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
	/* Whoever has one address of a /64 has them all. */
	assert_true(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
	assert_false(same("2001:db8:1:2::1", "2001:db8:1:3::1"));
	/* But neighbours are not one party. */
	assert_false(same("fe80::1", "fe80::2"));
	assert_true(same("fe80::1", "fe80::1"));
}

static struct host numbered(uint32_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	return host(text);
}

/* At the cap everybody is known; one more, and who was used longest ago is not. */
static void test_known(void **state)
{
	static struct hosts hosts;
	struct host at;

	at = numbered(0);
	assert_false(hosts_known(&hosts, &at));
	for (uint32_t i = 0; i < LIMIT_KNOWN_HOSTS; i++) {
		at = numbered(i);
		hosts_add(&hosts, &at);
	}
	for (uint32_t i = 0; i < LIMIT_KNOWN_HOSTS; i++) {
		at = numbered(i);
		assert_true(hosts_known(&hosts, &at));
	}
	at = numbered(0);
	hosts_add(&hosts, &at); /* again: it is the newest now */
	at = numbered(LIMIT_KNOWN_HOSTS);
	hosts_add(&hosts, &at);
	assert_true(hosts_known(&hosts, &at));
	at = numbered(0);
	assert_true(hosts_known(&hosts, &at));
	at = numbered(1);
	assert_false(hosts_known(&hosts, &at));
	at = numbered(2);
	assert_true(hosts_known(&hosts, &at));
}

/* So many lines a minute, then none until the next. */
static void test_gate(void **state)
{
	struct log_gate gate = {.what = "refused", .max = 3};

	for (int minute = 5; minute < 8; minute++) {
		for (int i = 0; i < 3; i++)
			assert_true(log_gate(&gate, (uint64_t)minute * 60000 + 100));
		assert_false(log_gate(&gate, (uint64_t)minute * 60000 + 100));
		assert_false(log_gate(&gate, (uint64_t)minute * 60000 + 59999));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parties),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
