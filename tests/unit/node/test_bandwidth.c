#include "node_test.h"

#include "base/buf.h"
#include "node/bandwidth.h"
#include "node/config.h"
#include "node/proxy.h"

static void test_rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t rate; /* 0: refused */
	} rates[] = {{"1kbit/s", 125}, {"64kbit/s", 8000}, {"2Mbit/s", 250000},
		{"unlimited", RATE_UNLIMITED}, {"10000Mbit/s", RATE_MAX},
		{"10000000kbit/s", RATE_MAX}, {"10001Mbit/s", 0}, {"10000001kbit/s", 0},
		{"0kbit/s", 0}, {"64", 0}, {"64 kbit/s", 0}, {"64kbits/s", 0}, {"64KBit/s", 0},
		{"-1kbit/s", 0}, {"1.5Mbit/s", 0}, {"064kbit/s", 0}, {"kbit/s", 0}, {"urgent", 0},
		{"closed", 0}, {"Unlimited", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t rate = 0;
		struct errctx ctx = {""};
		enum err err = bandwidth_rate(rates[i].text, &rate, &ctx);

		assert_int_equal(err, rates[i].rate == 0 ? ERR_INVALID : OK);
		assert_int_equal(rate, rates[i].rate);
		assert_true(err == OK || strstr(ctx.text, "64kbit/s") != NULL);
	}
}

static void schedule_is(const char *text, const char *written)
{
	struct rate_hours hours = {.zone_min = 7}, again = {0};
	struct errctx ctx = {""};
	struct buf out;

	assert_ok(bandwidth_schedule(text, &hours, &ctx));
	assert_int_equal(hours.zone_min, 7);
	buf_init(&out, 4096);
	bandwidth_write_schedule(&out, &hours);
	buf_put(&out, bytes_make("", 1));
	assert_int_equal(out.err, OK);
	assert_string_equal((const char *)out.data, written);
	assert_ok(bandwidth_schedule((const char *)out.data, &again, &ctx));
	assert_int_equal(again.count, hours.count);
	assert_memory_equal(again.rule, hours.rule, sizeof(hours.rule));
	assert_int_equal(again.otherwise, hours.otherwise);
	buf_release(&out);
}

static void test_schedules(void **state)
{
	(void)state;
	schedule_is("mon-fri 07:00-18:00 32kbit/s, sat-sun 00:00-24:00 unlimited, else 128kbit/s",
		"mon-fri 07:00-18:00 32kbit/s, sat-sun 00:00-24:00 unlimited, else 128kbit/s");
	schedule_is("wed 12:00-13:00 closed ,fri-mon 22:00-06:00 urgent",
		"wed 12:00-13:00 closed, fri-mon 22:00-06:00 urgent");
	schedule_is("tue-mon 00:00-24:00 1Mbit/s,  else closed",
		"mon-sun 00:00-24:00 1000kbit/s, else closed");
}

static void test_bad_schedules(void **state)
{
	static const char *const bad[] = {"else closed", "64kbit/s", "mon 07:00-18:00",
		"mon  07:00-18:00 urgent", "mon-fri 7:00-18:00 urgent", "mon 07:00-24:01 urgent",
		"mon 24:00-24:00 urgent", "mon 07:60-18:00 urgent", "Mon 07:00-18:00 urgent",
		"mon- 07:00-18:00 urgent", "mon-tue-wed 07:00-18:00 urgent",
		"mon 07:00-18:00 urgent,", "mon 07:00-18:00 urgent, , else closed",
		"mon 07:00-18:00 urgent, else closed, sat 00:00-24:00 closed",
		"mon 07:00-18:00 urgent, else", "mon 07:00-18:00 5bit/s", "mon 07:00 18:00 urgent",
		"mon 07:00-18:00 urgent extra", "day 07:00-18:00 urgent"};
	struct errctx ctx;
	struct buf rules;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rate_hours hours = {.count = 99};

		ctx.text[0] = '\0';
		assert_int_equal(bandwidth_schedule(bad[i], &hours, &ctx), ERR_INVALID);
		assert_string_not_equal(ctx.text, "");
		assert_int_equal(hours.count, 99);
	}
	/* As many rules as there may be, and one more. */
	buf_init(&rules, 4096);
	for (size_t i = 0; i < LIMIT_SCHEDULE_RULES; i++)
		buf_printf(&rules, "%smon 07:00-18:00 urgent", i == 0 ? "" : ", ");
	buf_put(&rules, bytes_make("", 1));
	struct rate_hours hours = {0};

	assert_ok(bandwidth_schedule((const char *)rules.data, &hours, &ctx));
	assert_int_equal(hours.count, LIMIT_SCHEDULE_RULES);
	rules.size--;
	buf_put(&rules, bytes_make(", tue 07:00-18:00 urgent", 25));
	assert_int_equal(bandwidth_schedule((const char *)rules.data, &hours, &ctx), ERR_LIMIT);
	buf_release(&rules);
}

static void test_zones(void **state)
{
	static const struct {
		const char *text;
		int minutes; /* 9999: refused */
	} zones[] = {{"UTC", 0}, {"UTC+03:00", 180}, {"UTC-05:00", -300}, {"UTC+14:00", 840},
		{"UTC-12:00", -720}, {"UTC+14:01", 9999}, {"UTC-12:01", 9999}, {"UTC+3", 9999},
		{"UTC+03:60", 9999}, {"EAT", 9999}, {"UTC 03:00", 9999}, {"+03:00", 9999},
		{"UTC+", 9999}, {"Africa/Nairobi", 9999}};

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		int16_t minutes = 9999;
		struct errctx ctx = {""};
		struct buf out;

		assert_int_equal(bandwidth_zone(zones[i].text, &minutes, &ctx),
			zones[i].minutes == 9999 ? ERR_INVALID : OK);
		assert_int_equal(minutes, zones[i].minutes);
		if (minutes == 9999)
			continue;
		buf_init(&out, 64);
		bandwidth_write_zone(&out, minutes);
		assert_true(bytes_equal_str(buf_bytes(&out), zones[i].text));
		buf_release(&out);
	}
}

static const char file[] =
	"[node]\nname = haiti\n\n[listen]\naddress = none\n\n[network]\nproxy = 192.0.2.1:3128\n"
	"proxy_credentials = keys/proxy\ncongestion = system\n\n[bandwidth]\nup = 64kbit/s\n"
	"down = 256kbit/s\nschedule = mon-fri 07:00-18:00 32kbit/s, else closed\nmetered = yes\n"
	"timezone = UTC-05:00\n\n[peer hq]\naddress = 192.0.2.9:443\nproxy = none\nup = 16kbit/s\n"
	"metered = no\n\n[peer cod]\naddress = 192.0.2.10:443\nproxy = 192.0.2.2:8080\n\n"
	"[peer ssd]\naddress = 192.0.2.11:443\n";

static void test_whole_file(void **state)
{
	struct node_config config;
	struct errctx ctx = {""};
	struct rate_link link;
	struct buf out;

	(void)state;
	assert_ok(config_parse(bytes_str(file), "/srv/sauti/sauti.conf", &config, &ctx));
	assert_string_equal(config.proxy, "192.0.2.1:3128");
	assert_string_equal(config.proxy_credentials, "/srv/sauti/keys/proxy");
	assert_true(config.congestion_system);
	assert_string_equal(config_proxy(&config, &config.peers[0]), "");
	assert_string_equal(config_proxy(&config, &config.peers[1]), "192.0.2.2:8080");
	assert_string_equal(config_proxy(&config, &config.peers[2]), "192.0.2.1:3128");
	config_link(&config, NULL, &link);
	assert_int_equal(link.up, 8000);
	assert_int_equal(link.down, 32000);
	assert_int_equal(link.hours.count, 1);
	assert_int_equal(link.hours.zone_min, -300);
	assert_true(link.metered);
	config_link(&config, &config.peers[0], &link);
	assert_int_equal(link.up, 2000);
	assert_int_equal(link.down, 32000);
	assert_false(link.metered);
	assert_int_equal(link.hours.otherwise, RATE_CLOSED);
	assert_true(config_peer_has_link(&config.peers[0]));
	assert_false(config_peer_has_link(&config.peers[2]));
	/* Written and read again, it says the same. */
	buf_init(&out, 65536);
	config_write(&config, &out);
	config_release(&config);
	assert_ok(config_parse(buf_bytes(&out), "/srv/sauti/sauti.conf", &config, &ctx));
	config_link(&config, &config.peers[0], &link);
	assert_int_equal(link.up, 2000);
	assert_int_equal(link.hours.zone_min, -300);
	assert_int_equal(link.hours.rule[0].rate, 4000);
	assert_string_equal(config.proxy_credentials, "/srv/sauti/keys/proxy");
	assert_string_equal(config_proxy(&config, &config.peers[0]), "");
	config_release(&config);
	buf_release(&out);
	/* Nothing said: no limit. */
	assert_ok(config_parse(
		bytes_str("[node]\nname = a\n"), "/srv/sauti/sauti.conf", &config, &ctx));
	config_link(&config, NULL, &link);
	assert_int_equal(rate_link_up(&link, 0), RATE_UNLIMITED);
	assert_int_equal(rate_link_down(&link, 0), RATE_UNLIMITED);
	assert_false(link.metered);
	config_release(&config);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *lines, *says;
	} bad[] = {{"[bandwidth]\nup = 64\n", "4: up: found \"64\""},
		{"[bandwidth]\nmetered = on\n", "allowed: yes, no"},
		{"[bandwidth]\ntimezone = EAT\n", "UTC+03:00"},
		{"[peer hq]\nschedule = never\n", "4: schedule: found"},
		{"[peer hq]\ntimezone = UTC\n", "4: "},
		{"[network]\nproxy = proxy.example:3128\n", "no numeric address"},
		{"[network]\nproxy = http://192.0.2.1:3128\n", "no numeric address"},
		{"[network]\nproxy = none\n", "no numeric address"},
		{"[network]\ncongestion = cubic\n", "allowed: bbr, system"},
		{"[network]\nproxy_credentials = keys/proxy\n", "without a proxy"}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct node_config config;
		struct errctx ctx = {""};
		struct buf text;

		buf_init(&text, 4096);
		buf_printf(&text, "[node]\nname = haiti\n%s", bad[i].lines);
		assert_int_equal(
			config_parse(buf_bytes(&text), "/srv/sauti/sauti.conf", &config, &ctx),
			ERR_INVALID);
		if (strstr(ctx.text, bad[i].says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", ctx.text, bad[i].says);
		buf_release(&text);
	}
}

/* The proxy's words. */

static void test_proxy_request(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	proxy_request(&out, "192.0.2.9:443", BYTES_NONE);
	assert_true(bytes_equal_str(
		buf_bytes(&out), "CONNECT 192.0.2.9:443 HTTP/1.1\r\nHost: 192.0.2.9:443\r\n\r\n"));
	buf_clear(&out);
	/* RFC 7617 2 */
	proxy_request(&out, "[2001:db8::1]:443", bytes_str("Aladdin:open sesame"));
	assert_true(bytes_equal_str(buf_bytes(&out),
		"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
		"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"));
	buf_release(&out);
}

static void answer_is(const char *text, enum err expected, size_t used, const char *says)
{
	size_t got = 0, size = strlen(text);
	struct errctx ctx = {""};

	assert_int_equal(proxy_response(bytes_str(text), &got, &ctx), expected);
	assert_int_equal(got, used);
	if (says != NULL && strstr(ctx.text, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", ctx.text, says);
	/* Byte by byte it is never taken for more than it is. */
	for (size_t i = 0; expected == OK && i < size && i < used; i++)
		assert_int_equal(proxy_response(bytes_make(text, i), &got, &ctx), ERR_AGAIN);
}

static void test_proxy_answers(void **state)
{
	(void)state;
	answer_is("HTTP/1.1 200 Connection established\r\n\r\n", OK, 39, NULL);
	answer_is("HTTP/1.0 200 OK\r\nVia: x\r\n\r\n\x16\x03\x03", OK, 27, NULL);
	answer_is("HTTP/1.1 200\n\n", OK, 14, NULL);
	answer_is("HTTP/1.1 299 \r\nA: b\n\r\nrest", OK, 22, NULL);
	answer_is("HTTP/1.1 407 Proxy Authentication Required\r\nX: y\r\n\r\n<html>",
		ERR_UNREACHABLE, 0, "the proxy answers 407 Proxy Authentication Required");
	answer_is("HTTP/1.1 403 \x1b[2J\"\r\n\r\n", ERR_UNREACHABLE, 0, "403 \\x1b[2J");
	answer_is("HTTP/1.1 503\r\n\r\n", ERR_UNREACHABLE, 0, "503");
	answer_is("HTTP/1.1 100 Continue\r\n\r\n", ERR_UNREACHABLE, 0, "100");
	answer_is("HTTP/2 200 OK\r\n\r\n", ERR_MALFORMED, 0, NULL);
	answer_is("HTTP/1.1 2000 OK\r\n\r\n", ERR_MALFORMED, 0, NULL);
	answer_is("HTTP/1.1 2x0 OK\r\n\r\n", ERR_MALFORMED, 0, NULL);
	answer_is("SSH-2.0-OpenSSH\r\n", ERR_MALFORMED, 0, "does not answer in HTTP");
	answer_is("\n\n", ERR_MALFORMED, 0, NULL);
	answer_is("HTTP/1.1 200 OK\r\nX: y\r\n", ERR_AGAIN, 0, NULL);
	answer_is("", ERR_AGAIN, 0, NULL);
}

/* An answer of exactly the cap is read, a larger one ends. */
static void test_proxy_cap(void **state)
{
	static char text[LIMIT_HTTP_HEADER + 2];
	size_t used = 0;
	struct errctx ctx = {""};

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "HTTP/1.1 200 ", 13);
	memcpy(text + LIMIT_HTTP_HEADER - 4, "\r\n\r\n", 4);
	assert_ok(proxy_response(bytes_make(text, LIMIT_HTTP_HEADER), &used, &ctx));
	assert_int_equal(used, LIMIT_HTTP_HEADER);
	memcpy(text + LIMIT_HTTP_HEADER - 4, "aaa\r\n\r", 6);
	assert_int_equal(
		proxy_response(bytes_make(text, LIMIT_HTTP_HEADER - 1), &used, &ctx), ERR_AGAIN);
	assert_int_equal(proxy_response(bytes_make(text, sizeof(text)), &used, &ctx), ERR_LIMIT);
}

static void test_credentials(void **state)
{
	char text[LIMIT_PROXY_CREDENTIALS + 2];
	struct bytes found;
	struct errctx ctx = {""};

	(void)state;
	assert_ok(proxy_credentials(bytes_str("ana:s3cret\n"), &found, &ctx));
	assert_true(bytes_equal_str(found, "ana:s3cret"));
	assert_int_equal(proxy_credentials(bytes_str("ana"), &found, &ctx), ERR_INVALID);
	assert_int_equal(proxy_credentials(bytes_str(":x"), &found, &ctx), ERR_INVALID);
	assert_int_equal(proxy_credentials(bytes_str(""), &found, &ctx), ERR_INVALID);
	assert_int_equal(proxy_credentials(bytes_str("a:b\nc"), &found, &ctx), ERR_INVALID);
	assert_int_equal(proxy_credentials(bytes_str("a:b\r\n"), &found, &ctx), ERR_INVALID);
	memset(text, 'a', sizeof(text));
	text[1] = ':';
	assert_ok(proxy_credentials(bytes_make(text, LIMIT_PROXY_CREDENTIALS), &found, &ctx));
	assert_int_equal(
		proxy_credentials(bytes_make(text, LIMIT_PROXY_CREDENTIALS + 1), &found, &ctx),
		ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_schedules),
		cmocka_unit_test(test_bad_schedules),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_whole_file),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_proxy_request),
		cmocka_unit_test(test_proxy_answers),
		cmocka_unit_test(test_proxy_cap),
		cmocka_unit_test(test_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
