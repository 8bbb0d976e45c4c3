#include <stdarg.h>
#include <stdio.h>

#include "replication/engine/internal.h"

static void effect_clear(struct effect *effect)
{
	buf_release(&effect->frame);
	buf_release(&effect->body);
	store_write_free(effect->write);
	mail_write_free(effect->mail);
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
