#include "server/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum log_level threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"ALARM", "warning", "info", "debug"};
	char text[1024], when[32];
	struct tm tm;
	time_t now = time(NULL);
	va_list args;

	if (level > threshold)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(stderr, "%s sautid %s: %s\n", when, names[level], text);
}

bool log_gate(struct log_gate *gate, uint64_t now_ms)
{
	uint64_t minute = now_ms / 60000;

	if (minute != gate->minute) {
		if (gate->count > gate->max)
			log_line(LOG_WARNING, "%s: %u more in that minute", gate->what,
				gate->count - gate->max);
		gate->minute = minute;
		gate->count = 0;
	}
	return ++gate->count <= gate->max;
}
