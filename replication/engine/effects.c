#include <stdarg.h>
#include <stdio.h>

#include "replication/engine/internal.h"

static void effect_clear(struct effect *effect)
{
	buf_release(&effect->frame);
	buf_release(&effect->body);
	store_write_free(effect->write);
	*effect = (struct effect){0};
}

void effects_clear(struct effects *effects)
{
	for (size_t i = 0; i < effects->count; i++)
		effect_clear(&effects->list[i]);
	effects->count = 0;
}

void effects_release(struct effects *effects)
{
	if (effects == NULL)
		return;
	effects_clear(effects);
	mem_free(effects->list);
	*effects = (struct effects){0};
}

struct effect *effect_add(struct engine *engine, enum effect_type type)
{
	struct effects *out = engine->out;

	if (out->count == out->capacity) {
		size_t capacity = out->capacity == 0 ? 16 : 2 * out->capacity;
		struct effect *list = mem_resize(out->list, capacity * sizeof(*list));

		if (list == NULL) {
			engine->nomem = true;
			return NULL;
		}
		out->list = list;
		out->capacity = capacity;
	}
	struct effect *effect = &out->list[out->count++];

	*effect = (struct effect){.type = type};
	buf_init(&effect->frame, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	buf_init(&effect->body, LIMIT_NOTE_SIZE);
	return effect;
}

void effect_notice(struct engine *engine, enum notice level, const char *format, ...)
{
	struct effect *effect = effect_add(engine, EFFECT_NOTICE);
	va_list args;

	if (effect == NULL)
		return;
	effect->notice = level;
	va_start(args, format);
	vsnprintf(effect->text, sizeof(effect->text), format, args);
	va_end(args);
}

void effect_send(struct engine *engine, struct session *session, Sauti__Frame *frame)
{
	struct effect *effect;

	if (session->state == SESSION_IMPORT)
		return;
	effect = effect_add(engine, EFFECT_SEND);
	if (effect == NULL)
		return;
	effect->session = session->id;
	frame_write(&effect->frame, frame);
	if (effect->frame.err != OK) {
		/* What the engine builds fits a frame; if ever not, no process ends for it. */
		bool nomem = effect->frame.err == ERR_NOMEM;

		engine->nomem |= nomem;
		effect_clear(effect);
		engine->out->count--;
		if (!nomem)
			effect_notice(engine, NOTICE_ALARM,
				"a message for '%s' does not fit a frame: not sent", session->peer);
		return;
	}
	session->queued += effect->frame.size;
	/* Batches stop long before: what goes on growing are answers to somebody who does not read.
	 * The session ends at the end of its frame or tick, not in the middle of a step. */
	session->flooded |= session->queued > LIMIT_SEND_QUEUE;
}
