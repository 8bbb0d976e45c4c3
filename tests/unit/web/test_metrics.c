#include "web_test.h"

#include "web/metrics.h"

#define LOGS                                                                                       \
	"\"logs\":[{\"origin\":\"" ORIGIN "\",\"own\":true,\"entries\":12,\"checkpoint\":11,"      \
	"\"quorum_size\":9,\"behind\":0,\"holders\":2,\"quorum\":2,\"frozen\":false}]"
#define STATUS(rest)                                                                               \
	"{\"node\":\"haiti\",\"network\":\"ovra.example\",\"version\":\"0.1\",\"ready\":true,"     \
	"\"writable\":true,\"disk\":\"ok\",\"locked\":true" rest "}"

static struct counters counters;
static struct buf out;

static const char *text(const char *status)
{
	memset(&counters, 0, sizeof(counters));
	buf_clear(&out);
	assert_int_equal(metrics_write(&out, bytes_str(status), &counters), OK);
	return buf_cstr(&out);
}

static bool has(const char *haystack, const char *line)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	return strstr(haystack, whole) != NULL;
}

static void test_values(void **state)
{
	const char *t = text(STATUS(",\"uptime_s\":7,\"sums\":{\"entries\":281474976710656},"
				    "\"mail\":{\"queued\":3}," LOGS));

	assert_true(strncmp(t, "# HELP sauti_up ", 16) == 0);
	assert_true(has(t, "sauti_up 1"));
	assert_true(has(t, "sauti_locked 1"));
	assert_true(has(t, "sauti_uptime_seconds 7"));
	assert_true(has(t, "sauti_entries 281474976710656"));
	assert_true(has(t, "sauti_mail_queued 3"));
	assert_true(has(
		t, "sauti_node_info{network=\"ovra.example\",node=\"haiti\",version=\"0.1\"} 1"));
	assert_true(has(t, "sauti_disk_condition{condition=\"ok\"} 1"));
	assert_true(has(t, "sauti_log_entries{origin=\"" ORIGIN "\"} 12"));
	assert_true(has(t, "sauti_log_quorum_entries{origin=\"" ORIGIN "\"} 9"));
	assert_true(has(t, "sauti_log_frozen{origin=\"" ORIGIN "\"} 0"));
	/* What was not said is left out, not 0. */
	assert_null(strstr(t, "sauti_peers_connected"));
	assert_null(strstr(t, "sauti_evidence"));
}

/* A document is foreign. */
static void test_foreign(void **state)
{
	static const char *const bad[] = {
		"[]", "{", "null", "1", "{\"a\":1,\"a\":2}", "{}x", "\xff", "{\"a\":\"\xff\"}"};
	const char *t;

	buf_clear(&out);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(metrics_write(&out, bytes_str(bad[i]), &counters), ERR_MALFORMED);
	t = text("{\"node\":7,\"uptime_s\":\"x\",\"locked\":null,\"sums\":[],\"evidence\":-1,"
		 "\"logs\":{}}");
	assert_null(strstr(t, "sauti_uptime_seconds"));
	assert_null(strstr(t, "sauti_locked"));
	assert_null(strstr(t, "sauti_evidence"));
	t = text(
		"{\"node\":\"q\\\"}\\nevil 1\",\"logs\":[1,{\"origin\":\"x\\ny\",\"entries\":1}]}");
	assert_non_null(strstr(t, "node=\"q\\\"}\\nevil 1\""));
	assert_null(strstr(t, "\nevil"));
	assert_null(strstr(t, "sauti_log_entries{"));
}

static void test_without_node(void **state)
{
	const char *t;

	memset(&counters, 0, sizeof(counters));
	counters_request(&counters, ROUTE_TILE, 200);
	counters_request(&counters, ROUTE_TILE, 200);
	counters_request(&counters, ROUTE_NONE, 299);
	counters_reject(&counters, REJECTED_RATE);
	buf_clear(&out);
	assert_int_equal(metrics_write(&out, BYTES_NONE, &counters), OK);
	t = buf_cstr(&out);
	assert_true(has(t, "sauti_up 0"));
	assert_true(has(t, "sauti_web_requests_total{route=\"tile\",code=\"200\"} 2"));
	assert_true(has(t, "sauti_web_requests_total{route=\"none\",code=\"500\"} 1"));
	assert_true(has(t, "sauti_web_rejected_total{reason=\"rate\"} 1"));
	assert_true(has(t, "sauti_web_rejected_total{reason=\"timeout\"} 0"));
	assert_null(strstr(t, "sauti_locked"));
}

static const char *ready(const char *status)
{
	const char *word = "malformed";

	if (metrics_ready(bytes_str(status), &word) != OK)
		return "malformed";
	return word;
}

static void test_ready(void **state)
{
	assert_string_equal(ready(STATUS("")), "ready");
	assert_string_equal(ready("{\"ready\":false,\"writable\":false,\"disk\":\"ok\"}"), "guard");
	assert_string_equal(ready("{\"ready\":false,\"writable\":true,\"disk\":\"full\"}"), "disk");
	assert_string_equal(
		ready("{\"ready\":false,\"writable\":true,\"disk\":\"ok\"}"), "stopping");
	assert_string_equal(ready("{\"ready\":true}"), "malformed");
	assert_string_equal(ready("{\"ready\":\"yes\",\"writable\":true}"), "malformed");
	assert_string_equal(ready("nonsense"), "malformed");
}

static void test_origin(void **state)
{
	char origin[LIMIT_LOG_NAME + 1];

	assert_int_equal(metrics_origin(bytes_str("{\"origin\":\"" BRANCH "\"}"), origin), OK);
	assert_string_equal(origin, BRANCH);
	assert_int_equal(
		metrics_origin(bytes_str("{\"origin\":\"a\\nb\"}"), origin), ERR_MALFORMED);
	assert_int_equal(metrics_origin(bytes_str("{\"origin\":7}"), origin), ERR_MALFORMED);
	assert_int_equal(metrics_origin(bytes_str("{}"), origin), ERR_MALFORMED);
	assert_int_equal(metrics_origin(bytes_str("{\"origin\":\"" ORIGIN "/tile\"}"), origin),
		ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_without_node),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_origin),
	};
	int failed;

	buf_init(&out, LIMIT_WEB_METRICS);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_release(&out);
	return failed;
}
