#include "web/prometheus.h"

#include <math.h>

#include "base/text.h"

/* Doubles hold every whole number up to here. */
#define WHOLE_MAX 9007199254740992.0

void prometheus_family(
	struct buf *out, const char *name, enum prometheus_type type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		type == PROMETHEUS_COUNTER ? "counter" : "gauge");
}

static void put_value(struct buf *out, const char *value)
{
	char safe[512];

	if (!utf8_valid(bytes_str(value)))
		value = text_escape(bytes_str(value), safe, sizeof(safe));
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			buf_put_str(out, "\\n");
		else if (*value == '"' || *value == '\\')
			buf_printf(out, "\\%c", *value);
		else
			buf_put_u8(out, (uint8_t)*value);
	}
}

void prometheus_sample(struct buf *out, const char *name, const struct prometheus_label *labels,
	size_t count, double value)
{
	buf_put_str(out, name);
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
		put_value(out, labels[i].value);
		buf_put_str(out, "\"");
	}
	if (count > 0)
		buf_put_u8(out, '}');
	if (isnan(value))
		buf_put_str(out, " NaN\n");
	else if (isinf(value))
		buf_put_str(out, value > 0 ? " +Inf\n" : " -Inf\n");
	else if (fabs(value) <= WHOLE_MAX && floor(value) == value)
		buf_printf(out, " %.0f\n", value);
	else
		buf_printf(out, " %.17g\n", value);
}
