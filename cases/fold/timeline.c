#include "cases/fold/timeline_parts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "cases/event/event_json.h"

enum err timeline_new(struct timeline **ret)
{
	struct timeline *timeline = mem_zalloc(sizeof *timeline);

	if (timeline == NULL)
		return ERR_NOMEM;
	timeline->author_count = 1; /* "": nobody takes this node's place */
	*ret = timeline;
	return OK;
}

void timeline_free(struct timeline *timeline)
{
	if (timeline == NULL)
		return;
	for (size_t i = 0; i < timeline->part_count; i++) {
		wipe(timeline->parts[i].data, timeline->parts[i].size);
		mem_free(timeline->parts[i].data);
	}
	for (size_t i = 0; i < timeline->event_count; i++)
		event_release(&timeline->events[i].event);
	marks_release(&timeline->marks);
	mem_free(timeline->recorded);
	mem_free(timeline->by_number);
	mem_free(timeline->parts);
	mem_free(timeline->events);
	mem_free(timeline);
}

static enum err parts_reserve(struct timeline *timeline)
{
	size_t capacity = timeline->part_capacity == 0 ? 32 : timeline->part_capacity * 2;
	struct kept_part *parts;

	if (timeline->part_count < timeline->part_capacity)
		return OK;
	parts = mem_resize(timeline->parts, capacity * sizeof *parts);
	if (parts == NULL)
		return ERR_NOMEM;
	timeline->parts = parts;
	timeline->part_capacity = capacity;
	return OK;
}

static enum err author_get(
	struct timeline *timeline, const char *name, const char **ret, struct errctx *ctx)
{
	char *room;

	for (size_t i = 0; i < timeline->author_count; i++)
		if (strcmp(timeline->authors[i], name) == 0) {
			*ret = timeline->authors[i];
			return OK;
		}
	if (timeline->author_count == TIMELINE_AUTHORS_MAX)
		return err_set(
			ctx, ERR_LIMIT, "more than %d authors of a case", TIMELINE_AUTHORS_MAX);
	if (strlen(name) > LIMIT_NODE_NAME)
		return ERR_INVALID;
	room = timeline->authors[timeline->author_count++];
	memcpy(room, name, strlen(name) + 1);
	*ret = room;
	return OK;
}

static enum err add_part(struct timeline *timeline, const char *author, struct bytes part,
	const struct part_info *info, struct errctx *ctx)
{
	uint8_t *copy;

	assert(!timeline->finished);
	if (timeline->part_count > 0 &&
		memcmp(timeline->case_ref.b, info->case_ref.b, CASE_REF_SIZE) != 0)
		return err_set(ctx, ERR_INVALID, "part of another case");
	if (timeline->part_count >= PARTS_MAX)
		return err_set(ctx, ERR_LIMIT, "more than %d parts in a case", PARTS_MAX);
	/* They are small where they are stored, and large when they are opened. */
	if (author != NULL && author[0] != '\0' &&
		timeline->foreign_bytes + part.size > LIMIT_CASE_FOREIGN_BYTES)
		return err_set(ctx, ERR_LIMIT, "more than %d bytes of other nodes in a case",
			LIMIT_CASE_FOREIGN_BYTES);
	TRY(author_get(timeline, author == NULL ? "" : author, &author, ctx));
	TRY(parts_reserve(timeline));
	copy = mem_dup(part.data, part.size);
	if (copy == NULL)
		return ERR_NOMEM;
	timeline->case_ref = info->case_ref;
	if (author[0] != '\0')
		timeline->foreign_bytes += part.size;
	timeline->parts[timeline->part_count++] = (struct kept_part){
		.event_id = info->event_id,
		.author = author,
		.group = (uint8_t)info->group,
		.main = info->main,
		.data = copy,
		.size = part.size,
	};
	return OK;
}

enum err timeline_add(struct timeline *timeline, struct bytes part, struct errctx *ctx)
{
	return timeline_add_of(timeline, NULL, part, ctx);
}

enum err timeline_add_known(struct timeline *timeline, struct bytes part,
	const struct part_info *info, struct errctx *ctx)
{
	return add_part(timeline, NULL, part, info, ctx);
}

enum err timeline_add_of(
	struct timeline *timeline, const char *author, struct bytes part, struct errctx *ctx)
{
	struct part_info info;

	TRY(part_info_read(part, &info, ctx));
	return add_part(timeline, author, part, &info, ctx);
}

static int part_compare(const void *a, const void *b)
{
	const struct kept_part *x = a, *y = b;
	int c = memcmp(x->event_id.b, y->event_id.b, EVENT_ID_SIZE);

	if (c == 0)
		c = strcmp(x->author, y->author);
	if (c == 0)
		c = x->group - y->group;
	if (c == 0)
		c = x->main - y->main;
	return c != 0 ? c
		      : bytes_compare(bytes_make(x->data, x->size), bytes_make(y->data, y->size));
}

static bool same_event(const struct kept_part *a, const struct kept_part *b)
{
	return memcmp(a->event_id.b, b->event_id.b, EVENT_ID_SIZE) == 0 && a->author == b->author;
}

/* The day an event is sorted under. */
static void day_of(const struct event *event, char ret[21])
{
	if (event->occurred_on[0] != 0) {
		memcpy(ret, event->occurred_on, sizeof event->occurred_on);
		return;
	}
	event_time_text(event->recorded_at, ret);
	ret[10] = 0;
}

static int event_compare(const void *a, const void *b)
{
	const struct folded *folded_x = a, *folded_y = b;
	const struct event *x = &folded_x->event, *y = &folded_y->event;
	char day_x[21], day_y[21];
	int c;

	day_of(x, day_x);
	day_of(y, day_y);
	c = strcmp(day_x, day_y);
	if (c == 0)
		c = (x->recorded_at > y->recorded_at) - (x->recorded_at < y->recorded_at);
	if (c == 0)
		c = memcmp(x->id.b, y->id.b, EVENT_ID_SIZE);
	return c != 0 ? c : strcmp(folded_x->author, folded_y->author);
}

/* Do both say the same? */
static bool same_content(const struct folded *a, const struct folded *b)
{
	if (a->view_count != b->view_count)
		return false;
	for (size_t i = 0; i < a->view_count; i++)
		if (!bytes_equal(a->views[i], b->views[i]))
			return false;
	return true;
}

/* The newest event, against those of the same id before it: of other authors. What only repeats one
 * of them goes. */
static void settle_newest(struct timeline *timeline)
{
	struct folded *newest = &timeline->events[timeline->event_count - 1], *other = newest;
	bool same = false;

	while (!same && other > timeline->events &&
		memcmp(other[-1].event.id.b, newest->event.id.b, EVENT_ID_SIZE) == 0) {
		other--;
		same = same_content(other, newest);
	}
	if (same) {
		event_release(&newest->event);
		timeline->event_count--;
	} else if (other != newest) {
		newest->second = true;
		for (; other <= newest; other++)
			other->contested = true;
	}
}

/* "NAME" -> "NAME@NODE", cut to what an officer's name may be; of one that says of which node it
 * is, "NAME@OTHER@NODE". */
static void qualify(const char *name, const char *author, char ret[EVENT_OFFICER_MAX + 1])
{
	size_t suffix = strlen(author) + 1, size = strlen(name);

	if (size > EVENT_OFFICER_MAX - suffix)
		size = EVENT_OFFICER_MAX - suffix;
	memmove(ret, name, size);
	ret[size] = '@';
	memcpy(ret + size + 1, author, suffix);
}

static enum err qualify_field(struct event *event, const char *name, const char *author)
{
	char qualified[EVENT_OFFICER_MAX + 1];
	char *text = NULL, *json;
	struct buf out;
	enum err err = event_field_string(event, name, &text);

	if (err != OK)
		return err == ERR_NOMEM ? err : OK;
	qualify(text, author, qualified);
	wipe(text, strlen(text));
	mem_free(text);
	buf_init(&out, 8 * EVENT_OFFICER_MAX);
	event_put_string(&out, qualified);
	json = out.err == OK ? mem_strdup(buf_cstr(&out)) : NULL;
	buf_release(&out);
	if (json == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < event->field_count; i++)
		if (strcmp(event->fields[i].name, name) == 0) {
			wipe(event->fields[i].json, strlen(event->fields[i].json));
			mem_free(event->fields[i].json);
			event->fields[i].json = json;
			return OK;
		}
	mem_free(json);
	return OK;
}

/* Whom another node's event names as officers of its own, by a correction, too. */
static enum err qualify_officers(struct event *event, const char *author)
{
	const char *field = event_field_json(event, "field");

	if (author[0] == '\0')
		return OK;
	qualify(event->recorded_by, author, event->recorded_by);
	if (event->type == EVENT_CORRECTION && field != NULL &&
		strcmp(field, "\"officer_key\"") == 0)
		return qualify_field(event, "new_value", author);
	return qualify_field(event, "officer_key", author);
}

/* The parts of one event, count of them from `first`, already in order. Of each group only the
 * smallest counts (event_merge would choose the same), so that whoever repeats a part a thousand
 * times, a little changed, costs nothing. */
static enum err fold_event(
	struct timeline *timeline, size_t first, size_t count, struct bytes *views)
{
	struct folded *folded;
	size_t distinct = 0;
	enum err err;

	for (size_t i = first; i < first + count; i++) {
		const struct kept_part *part = &timeline->parts[i];

		if (i == first || part->group != part[-1].group || part->main != part[-1].main)
			views[distinct++] = bytes_make(part->data, part->size);
	}
	folded = &timeline->events[timeline->event_count];
	*folded = (struct folded){
		.author = timeline->parts[first].author, .views = views, .view_count = distinct};
	err = event_merge(views, distinct, &folded->event, NULL);
	if (err == OK) {
		timeline->event_count++;
		TRY(qualify_officers(&folded->event, folded->author));
		settle_newest(timeline);
		return OK;
	}
	if (err != ERR_NOMEM)
		timeline->left_out++;
	return err == ERR_NOMEM ? err : OK;
}

static enum err fold(struct timeline *timeline, struct bytes *views)
{
	for (size_t first = 0, next; first < timeline->part_count; first = next) {
		next = first + 1;
		while (next < timeline->part_count &&
			same_event(&timeline->parts[first], &timeline->parts[next]))
			next++;
		TRY(fold_event(timeline, first, next - first, views + first));
	}
	return OK;
}

enum err timeline_finish(struct timeline *timeline)
{
	struct bytes *views;
	enum err err;

	assert(!timeline->finished);
	if (timeline->part_count == 0) {
		timeline->finished = true;
		return OK;
	}
	timeline->events = mem_array(timeline->part_count, sizeof *timeline->events);
	views = mem_array(timeline->part_count, sizeof *views);
	err = timeline->events == NULL || views == NULL ? ERR_NOMEM : OK;
	if (err == OK) {
		qsort(timeline->parts, timeline->part_count, sizeof *timeline->parts, part_compare);
		err = fold(timeline, views);
	}
	mem_free(views);
	if (err != OK)
		return err; /* only timeline_free is left */
	qsort(timeline->events, timeline->event_count, sizeof *timeline->events, event_compare);
	TRY(timeline_mark(timeline));
	timeline->finished = true;
	return OK;
}

size_t timeline_count(const struct timeline *timeline)
{
	return timeline->event_count;
}

const struct event *timeline_event(const struct timeline *timeline, size_t i)
{
	assert(timeline->finished && i < timeline->event_count);
	return &timeline->events[i].event;
}

const char *timeline_author(const struct timeline *timeline, size_t i)
{
	assert(timeline->finished && i < timeline->event_count);
	return timeline->events[i].author;
}

bool timeline_contested(const struct timeline *timeline, size_t i)
{
	assert(timeline->finished && i < timeline->event_count);
	return timeline->events[i].contested;
}

size_t timeline_left_out(const struct timeline *timeline)
{
	return timeline->left_out;
}

void timeline_json(const struct timeline *timeline, struct buf *buf)
{
	assert(timeline->finished);
	buf_put_u8(buf, '[');
	for (size_t i = 0; i < timeline->event_count; i++) {
		if (i > 0)
			buf_put_u8(buf, ',');
		event_write(&timeline->events[i].event, buf);
	}
	buf_put_u8(buf, ']');
}
