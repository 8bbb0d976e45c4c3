#include "web_test.h"

#include <math.h>

#include "web/prometheus.h"

static struct buf out;

static const char *sample(const char *value)
{
	const struct prometheus_label labels[] = {{"a", value}, {"b", "2"}};

	buf_clear(&out);
	prometheus_sample(&out, "x", labels, 2, 1);
	return buf_cstr(&out);
}

static const char *number(double value)
{
	buf_clear(&out);
	prometheus_sample(&out, "x", NULL, 0, value);
	return buf_cstr(&out);
}

static void test_text(void **state)
{
	buf_init(&out, 65536);
	prometheus_family(&out, "x_total", PROMETHEUS_COUNTER, "How many.");
	prometheus_sample(&out, "x_total", NULL, 0, 3);
	prometheus_family(&out, "y", PROMETHEUS_GAUGE, "How much.");
	assert_string_equal(buf_cstr(&out), "# HELP x_total How many.\n# TYPE x_total counter\n"
					    "x_total 3\n# HELP y How much.\n# TYPE y gauge\n");
	buf_release(&out);
}

static void test_labels(void **state)
{
	buf_init(&out, 65536);
	assert_string_equal(sample("plain"), "x{a=\"plain\",b=\"2\"} 1\n");
	assert_string_equal(sample("q\"q\\q\nq"), "x{a=\"q\\\"q\\\\q\\nq\",b=\"2\"} 1\n");
	assert_string_equal(sample("caf\xc3\xa9"), "x{a=\"caf\xc3\xa9\",b=\"2\"} 1\n");
	assert_string_equal(sample("\xff"), "x{a=\"\\\\xff\",b=\"2\"} 1\n");
	assert_string_equal(sample(""), "x{a=\"\",b=\"2\"} 1\n");
	buf_release(&out);
}

static void test_numbers(void **state)
{
	buf_init(&out, 65536);
	assert_string_equal(number(0), "x 0\n");
	assert_string_equal(number(281474976710656.0), "x 281474976710656\n");
	assert_string_equal(number(-1), "x -1\n");
	assert_string_equal(number(0.5), "x 0.5\n");
	assert_string_equal(number(1e300), "x 1.0000000000000001e+300\n");
	assert_string_equal(number(NAN), "x NaN\n");
	assert_string_equal(number(INFINITY), "x +Inf\n");
	assert_string_equal(number(-INFINITY), "x -Inf\n");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
