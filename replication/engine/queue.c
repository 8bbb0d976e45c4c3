/*
 * What is sent to a session. Frames wait here, a queue for each class, and not with the runtime or
 * the kernel, where nothing could overtake them: only HAND_MAX bytes are handed over before
 * EVENT_SENT says that the kernel took them, and batches only as fast as the link takes them
 * (pace.h). A higher class goes first, but what waits below has its turn each STARVED batches.
 *
 * Batches of one stream stay in order: one that is live waits behind its stream's bulk.
 */
#include "replication/engine/internal.h"

enum { STARVED = 8, AHEAD_SLOW = 2, AHEAD_FAST = 4 };

static void list_init(struct outgoing_list *list)
{
	*list = (struct outgoing_list){0};
	list->end = &list->first;
}

static void list_put(struct outgoing_list *list, struct outgoing *item)
{
	item->next = NULL;
	*list->end = item;
	list->end = &item->next;
	list->bytes += item->size;
}

/* Takes out what *at points to. */
static struct outgoing *list_take(struct outgoing_list *list, struct outgoing **at)
{
	struct outgoing *item = *at;

	*at = item->next;
	if (item->next == NULL)
		list->end = at;
	list->bytes -= item->size;
	return item;
}

static void item_free(struct outgoing *item)
{
	if (item == NULL)
		return;
	buf_release(&item->frame);
	mem_free(item);
}

static void list_release(struct outgoing_list *list)
{
	while (list->first != NULL)
		item_free(list_take(list, &list->first));
}

void queue_init(struct session *session)
{
	for (size_t c = 0; c < SEND_CLASSES; c++)
		list_init(&session->queue[c]);
	list_init(&session->flight);
}

void queue_release(struct session *session)
{
	for (size_t c = 0; c < SEND_CLASSES; c++)
		list_release(&session->queue[c]);
	list_release(&session->flight);
	session->queued = session->frames = 0;
}

static size_t queued_by_all(const struct engine *engine)
{
	size_t total = 0;

	for (const struct session *s = engine->sessions; s != NULL; s = s->next)
		total += s->queued;
	return total;
}

/* Many who do not read, each a little, are as bad as one: the worst of them goes. */
static void limit_total(struct engine *engine)
{
	struct session *worst = NULL;

	if (queued_by_all(engine) <= LIMIT_SEND_TOTAL)
		return;
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state != SESSION_CLOSING && (worst == NULL || s->queued > worst->queued))
			worst = s;
	if (worst != NULL)
		worst->flooded = true;
}

/* Packs a frame and queues it; NULL when it was not. */
static struct outgoing *queue_frame(
	struct engine *engine, struct session *session, Sauti__Frame *frame, enum send_class class)
{
	struct outgoing *item;

	if (session->state == SESSION_CLOSING || session->state == SESSION_IMPORT)
		return NULL;
	item = mem_zalloc(sizeof(*item));
	if (item == NULL) {
		engine->nomem = true;
		return NULL;
	}
	buf_init(&item->frame, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	frame_write(&item->frame, frame);
	if (item->frame.err != OK) {
		/* What the engine builds fits a frame; if ever not, no process ends for it. */
		if (item->frame.err == ERR_NOMEM)
			engine->nomem = true;
		else
			effect_notice(engine, NOTICE_ALARM,
				"a message for '%s' does not fit a frame: not sent", session->peer);
		item_free(item);
		return NULL;
	}
	item->size = item->frame.size;
	item->class = class;
	list_put(&session->queue[class], item);
	session->queued += item->size;
	session->frames++;
	/* Batches stop long before: what goes on growing are answers to somebody who does not read.
	 * The session ends at the end of its frame or tick, not in the middle of a step. */
	session->flooded |= session->queued + session->handed > LIMIT_SEND_QUEUE ||
			    session->frames > LIMIT_SEND_FRAMES;
	limit_total(engine);
	return item;
}

/* Live: the rest of a stream that was caught up before, and not much of it. */
static enum send_class batch_class(
	const struct elog *log, const struct peer_log *pl, uint64_t end, size_t size)
{
	enum { LIVE_BYTES = 64 * 1024 };

	if (log->directory)
		return SEND_DIRECTORY;
	return pl->caught_up && pl->waiting == 0 && end >= log->checkpoint.size &&
			       size <= LIVE_BYTES
		       ? SEND_LIVE
		       : SEND_BULK;
}

void queue_batch(struct engine *engine, struct session *session, const struct elog *log,
	Sauti__Frame *frame, uint64_t end, bool note)
{
	struct peer_log *pl = &session->logs[log->position];
	size_t size = 0;

	for (size_t i = 0; i < frame->batch->n_entries; i++)
		size += frame->batch->entries[i].len;
	struct outgoing *item =
		queue_frame(engine, session, frame, batch_class(log, pl, end, size));

	if (item == NULL)
		return;
	lag_entries(engine->logs[log->position], frame->batch->n_entries, size);
	if (item->class == SEND_LIVE)
		session->traffic.live += frame->batch->n_entries;
	else
		session->traffic.bulk += frame->batch->n_entries;
	item->batch = true;
	item->note = note;
	item->log = log->position;
	item->end = end;
	pl->sent++;
	pl->waiting += item->class == SEND_BULK;
	pl->caught_up |= end >= log->checkpoint.size;
}

size_t queue_batch_size(const struct engine *engine, const struct session *session)
{
	return pace_batch(&session->pace, bound_up(engine, session));
}

bool queue_wants_batch(const struct engine *engine, const struct session *session)
{
	size_t batch = queue_batch_size(engine, session);
	size_t waiting = session->queue[SEND_BULK].bytes + session->queue[SEND_DIRECTORY].bytes +
			 session->queue[SEND_LIVE].bytes;

	/* One at a time when there is much for everybody. */
	if (waiting > 0 && queued_by_all(engine) > LIMIT_SEND_TOTAL / 2)
		return false;
	return waiting + session->reads * batch <
	       (batch < LIMIT_BATCH_SIZE ? AHEAD_SLOW : AHEAD_FAST) * batch;
}

/* What is urgent may be on its way besides what fills the link. */
static size_t extra(
	const struct engine *engine, const struct session *session, enum send_class class)
{
	size_t batch = queue_batch_size(engine, session);

	if (class < SEND_LIVE)
		return 2 * batch;
	return class == SEND_LIVE ? batch : 0;
}

static bool may_hand(
	const struct engine *engine, const struct session *session, enum send_class class)
{
	if (session->queue[class].first == NULL)
		return false;
	if (class == SEND_CONTROL)
		return session->handed < HAND_MAX_CONTROL;
	return session->handed < HAND_MAX &&
	       bound_send_due(engine, session, class) <= engine->now_ms &&
	       pace_may(&session->pace, engine->now_ms, extra(engine, session, class));
}

/* SEND_CLASSES: nothing may go. */
static enum send_class choose(const struct engine *engine, const struct session *session)
{
	size_t starved = STARVED * queue_batch_size(engine, session);

	for (enum send_class c = SEND_CLASSES; c-- > 0;)
		if (session->passed[c] >= starved && may_hand(engine, session, c))
			return c;
	for (enum send_class c = 0; c < SEND_CLASSES; c++)
		if (may_hand(engine, session, c))
			return c;
	return SEND_CLASSES;
}

static void forget(struct session *session, struct outgoing *item)
{
	struct peer_log *pl = item->batch ? &session->logs[item->log] : NULL;

	session->queued -= item->size;
	session->frames--;
	if (pl != NULL)
		pl->waiting -= item->class == SEND_BULK;
}

static void hand_over(struct engine *engine, struct session *session, enum send_class class)
{
	struct effect *effect = effect_add(engine, EFFECT_SEND);
	struct outgoing *item;

	if (effect == NULL)
		return;
	item = list_take(&session->queue[class], &session->queue[class].first);
	effect->session = session->id;
	effect->class = class;
	buf_release(&effect->frame);
	effect->frame = item->frame;
	buf_init(&item->frame, 0);
	session->handed += item->size;
	bound_sent(engine, session, item->size);
	session->passed[class] = 0;
	for (enum send_class c = class + 1; c < SEND_CLASSES; c++)
		session->passed[c] += session->queue[c].first != NULL ? item->size : 0;
	forget(session, item);
	if (!item->batch || item->void_) {
		item_free(item);
		return;
	}
	pace_sent(&session->pace, engine->now_ms, item->size, &item->item);
	list_put(&session->flight, item);
}

void effect_send_class(
	struct engine *engine, struct session *session, Sauti__Frame *frame, enum send_class class)
{
	/* At once: what ends a stream goes before what begins it elsewhere. */
	if (queue_frame(engine, session, frame, class) != NULL && class == SEND_CONTROL)
		while (may_hand(engine, session, class) && !engine->nomem)
			hand_over(engine, session, class);
}

void effect_send(struct engine *engine, struct session *session, Sauti__Frame *frame)
{
	effect_send_class(engine, session, frame,
		frame->body_case == SAUTI__FRAME__BODY_HAVE ? SEND_HAVE : SEND_CONTROL);
}

static void flush(struct engine *engine, struct session *session)
{
	enum send_class class;
	bool any = false;

	while (session->queued > 0 && !engine->nomem &&
		(class = choose(engine, session)) != SEND_CLASSES) {
		hand_over(engine, session, class);
		any = true;
		if (class != SEND_CONTROL)
			engine->flushed = session->id;
		if (class == SEND_HAVE)
			have_more(engine, session);
	}
	if (any)
		serve_session(engine, session);
}

/* Whoever had a turn last comes last: a rate that is set for all is everybody's in turn. */
void queue_flush(struct engine *engine)
{
	uint64_t last = engine->flushed.value;

	for (unsigned round = 0; round < 2; round++)
		for (struct session *s = engine->sessions; s != NULL; s = s->next)
			if (s->state != SESSION_CLOSING && (s->id.value > last) == (round == 0))
				flush(engine, s);
}

void queue_acknowledged(
	struct engine *engine, struct session *session, const struct elog *log, uint64_t size)
{
	struct peer_log *pl = &session->logs[log->position];

	for (struct outgoing **at = &session->flight.first; *at != NULL;) {
		if ((*at)->log != log->position || (*at)->end > size) {
			at = &(*at)->next;
			continue;
		}
		struct outgoing *item = list_take(&session->flight, at);

		pace_acknowledged(&session->pace, engine->now_ms, &item->item);
		pl->sent--;
		item_free(item);
	}
	/* It has from elsewhere what waits for it here; an honest one would have ended the stream.
	 */
	for (size_t c = 0; pl->sent > 0 && c < SEND_CLASSES; c++)
		for (struct outgoing *o = session->queue[c].first; o != NULL; o = o->next)
			if (o->batch && o->log == log->position && o->end <= size && !o->void_) {
				o->void_ = true;
				pl->sent--;
			}
}

/* The peer was not told of this checkpoint after all. */
static void untold(struct engine *engine, struct session *session, struct peer_log *pl)
{
	pl->told_size = 0;
	have_due(engine, session);
}

void queue_void(struct engine *engine, struct session *session, const struct elog *log)
{
	struct peer_log *pl = &session->logs[log->position];

	for (struct outgoing **at = &session->flight.first; *at != NULL;) {
		if ((*at)->log != log->position) {
			at = &(*at)->next;
			continue;
		}
		/* Who ended the stream looks at nothing of it that is still to come. */
		if ((*at)->note)
			untold(engine, session, pl);
		pace_dropped(&session->pace, &(*at)->item);
		item_free(list_take(&session->flight, at));
	}
	for (size_t c = 0; c < SEND_CLASSES; c++)
		for (struct outgoing **at = &session->queue[c].first; *at != NULL;) {
			if (!(*at)->batch || (*at)->log != log->position) {
				at = &(*at)->next;
				continue;
			}
			struct outgoing *item = list_take(&session->queue[c], at);

			if (item->note)
				untold(engine, session, pl);
			forget(session, item);
			item_free(item);
		}
	pl->sent = 0;
}

uint64_t queue_deadline(const struct engine *engine, const struct session *session)
{
	uint64_t due = UINT64_MAX;

	for (enum send_class c = SEND_DIRECTORY; c < SEND_CLASSES; c++) {
		if (session->queue[c].first == NULL || session->handed >= HAND_MAX)
			continue;
		uint64_t at = pace_due(&session->pace, extra(engine, session, c));
		uint64_t allowed = bound_send_due(engine, session, c);

		at = allowed > at ? allowed : at;
		due = at < due ? at : due;
	}
	return due;
}
