#include "fold.h"

#include <stdio.h>

#include "base/alloc.h"
#include "cases/fold/timeline.h"

enum { TIMELINE_EVENTS = 1000 };

static struct event_parts *parts_make(const struct case_ref *ref)
{
	struct event_parts *all = mem_array(TIMELINE_EVENTS, sizeof(*all));

	check(all == NULL ? ERR_NOMEM : OK, NULL, "make parts");
	for (size_t i = 0; i < TIMELINE_EVENTS; i++) {
		uint8_t random[10] = {(uint8_t)i, (uint8_t)(i >> 8)};
		struct event_id id = event_id_make(UINT64_C(1700000000000) + i * 60000, random);
		struct event event = {0};
		char line[400];

		snprintf(line, sizeof(line),
			"{\"type\":\"CONTACT\",\"occurred_on\":\"2024-%02zu-%02zu\",\"channel\":"
			"\"PHONE\",\"direction\":\"OUT\",\"result\":\"REACHED\",\"topics\":[\"CASE_"
			"STATUS\"],\"substantive_update\":\"Y\",\"note\":\"table window river\"}",
			i * 7 % 12 + 1, i * 11 % 28 + 1);
		check(event_parse(bytes_str(line), &event, NULL), NULL, "parse");
		event_set_id(&event, &id);
		event_set_case(&event, ref);
		event_set_recorded_at(&event, 1700000000 + i * 60);
		check(event_set_recorded_by(&event, bytes_str("bench")), NULL, "officer");
		check(event_set_office(&event, bytes_str("ZZB")), NULL, "office");
		check(event_split(&event, NULL, &all[i], NULL), NULL, "split");
		event_release(&event);
	}
	return all;
}

/* 1,000 events of two parts each, opened already, into a timeline in order. */
static double timeline_ms(const struct event_parts *all)
{
	struct timeline *timeline;
	double start = now_s(), ms;

	check(timeline_new(&timeline), NULL, "make a timeline");
	for (size_t i = 0; i < TIMELINE_EVENTS; i++)
		for (size_t k = 0; k < all[i].count; k++)
			check(timeline_add(timeline, buf_bytes(&all[i].part[k].packed), NULL), NULL,
				"add");
	check(timeline_finish(timeline), NULL, "fold");
	if (timeline_count(timeline) != TIMELINE_EVENTS)
		die("the timeline lost events");
	ms = (now_s() - start) * 1000;
	timeline_free(timeline);
	return ms;
}

void fold_measure(struct samples *samples, size_t rounds)
{
	struct case_ref ref = {{1}};
	struct event_parts *all = parts_make(&ref);

	for (size_t i = 0; i < rounds; i++)
		samples_add(samples, timeline_ms(all));
	for (size_t i = 0; i < TIMELINE_EVENTS; i++)
		event_parts_release(&all[i]);
	mem_free(all);
}
