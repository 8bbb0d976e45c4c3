/*
 * Values of an event's fields, read without a parser: event_parse and event_merge keep fields as
 * compact JSON text that one writer wrote, so a code, an id, a date or a list of them can be viewed
 * where it stands. Texts keep their escapes: two of them are the same when their bytes are.
 *
 * Days are numbers that sort as their text does: year << 9 | month << 5 | day, with 0 for a month
 * or a day that is not known, so that "2024" comes before "2024-02" before "2024-02-01". 0: none.
 *
 * Views point into the event. Pure; nothing fails.
 */
#ifndef CASES_FOLD_VALUE_H
#define CASES_FOLD_VALUE_H

#include "cases/event/event.h"

/* What stands between the quotes; empty when the field is absent or no text. */
struct bytes value_text(const struct event *event, const char *name);
bool value_is(const struct event *event, const char *name, const char *text);
/* The JSON text, empty when the field is absent. */
struct bytes value_json(const struct event *event, const char *name);

/* Walks over the texts of a JSON list, or the one text of a field that is no list: *at begins as
 * the JSON text, and is moved behind what was given. Other items are passed over. */
bool value_next(struct bytes *at, struct bytes *ret);
/* Is the text one of the list? */
bool value_lists(struct bytes json, struct bytes text);
/* Data groups named in a list; *ret_unknown: it names something else. ret_unknown may be NULL. */
group_set value_groups(struct bytes json, bool *ret_unknown);

typedef uint32_t fold_day;

fold_day day_read(struct bytes text);
fold_day value_day(const struct event *event, const char *name);
void day_text(fold_day day, char ret[11]); /* "" for 0 */
/* The day an event is sorted under: occurred_on, else the day it was recorded. */
fold_day day_of_event(const struct event *event);
fold_day day_of_seconds(uint64_t seconds);
/* The first and the last day that a less precise one may mean; of 0: 0. */
fold_day day_first(fold_day day);
fold_day day_last(fold_day day);
fold_day day_before(fold_day day); /* of a whole one */
/* Days from one to another, both taken at their first day. */
int64_t day_count(fold_day from, fold_day to);

#endif
