/*
 * prometheus: the text that Prometheus reads (exposition format 0.0.4). A family is announced once
 * and its samples follow at once. Label values are escaped; a value that is no UTF-8 is written as
 * text_escape would.
 *
 * Pure. Errors stick in the buf.
 */
#ifndef WEB_PROMETHEUS_H
#define WEB_PROMETHEUS_H

#include "base/buf.h"

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum prometheus_type { PROMETHEUS_COUNTER, PROMETHEUS_GAUGE };

/* # HELP and # TYPE. A counter's name ends in _total. */
void prometheus_family(
	struct buf *out, const char *name, enum prometheus_type type, const char *help);

struct prometheus_label {
	const char *name, *value;
};
/* labels: count of them. Numbers are written whole when they are. */
void prometheus_sample(struct buf *out, const char *name, const struct prometheus_label *labels,
	size_t count, double value);

#endif
