#include "cases/view/render.h"

#include "base/alloc.h"
#include "base/secret.h"
#include "cases/event/event_json.h"
#include "cases/view/render_internal.h"

static const char *const names[] = {
	[RENDER_JSONL] = "jsonl", [RENDER_CSV] = "csv", [RENDER_HANDOVER] = "handover"};

bool render_format_find(struct bytes name, enum render_format *ret)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_equal_str(name, names[i])) {
			*ret = (enum render_format)i;
			return true;
		}
	return false;
}

const char *render_format_name(enum render_format format)
{
	return names[format];
}

/* ---- values ---- */

static int put_json(const char *text, size_t size, void *arg)
{
	buf_put(arg, bytes_make(text, size));
	return 0;
}

static bool plain_list(const json_t *value)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value))
		return false;
	json_array_foreach(value, i, item)
	{
		if (!json_is_string(item) || strchr(json_string_value(item), ';') != NULL)
			return false;
	}
	return true;
}

void render_plain(const char *json, struct buf *out)
{
	CLEANUP(event_json_release) json_t *value = NULL;
	const json_t *item;
	size_t i;
	enum err err = event_json_parse(bytes_str(json), true, &value, NULL);

	if (err == ERR_NOMEM) {
		out->err = err;
	} else if (err != OK) {
		buf_put_str(out, json);
	} else if (json_is_string(value)) {
		buf_put_str(out, json_string_value(value));
	} else if (plain_list(value)) {
		json_array_foreach(value, i, item)
		{
			buf_put_str(out, i == 0 ? "" : "; ");
			buf_put_str(out, json_string_value(item));
		}
	} else if (json_dump_callback(value, put_json, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0) {
		out->err = ERR_NOMEM;
	}
}

/* ---- JSON lines ---- */

static enum err too_large(const struct event *event, enum err err, struct errctx *ctx)
{
	char id[EVENT_ID_TEXT + 1];

	event_id_text(&event->id, id);
	return err_set(ctx, err, "event %s: more than %d bytes", id, RENDER_EVENT_MAX);
}

static enum err jsonl_case(
	struct render *render, const struct timeline *timeline, struct errctx *ctx)
{
	uint32_t *order;

	TRY(render_order(timeline, &order));
	for (size_t i = 0; i < timeline_count(timeline); i++) {
		const struct event *event = timeline_event(timeline, order[i]);

		buf_clear(&render->scratch);
		event_write(event, &render->scratch);
		buf_put_u8(&render->scratch, '\n');
		if (render->scratch.err != OK) {
			mem_free(order);
			return too_large(event, render->scratch.err, ctx);
		}
		buf_put_clean(&render->out, buf_bytes(&render->scratch));
	}
	mem_free(order);
	return OK;
}

/* ---- the text ---- */

enum err render_new(const struct render_options *options, struct render **ret, struct errctx *ctx)
{
	struct render *render = mem_zalloc(sizeof(*render));
	enum err err = OK;

	if (render == NULL)
		return ERR_NOMEM;
	render->options = *options;
	buf_init(&render->out, options->max);
	buf_init(&render->scratch, RENDER_EVENT_MAX);
	if (buf_reserve(&render->scratch, RENDER_EVENT_MAX) == NULL)
		err = ERR_NOMEM;
	if (err == OK && options->format == RENDER_CSV)
		err = render_csv_new(options, &render->csv, ctx);
	if (err == OK && options->format == RENDER_HANDOVER)
		err = render_handover_new(render, ctx);
	if (err != OK) {
		render_free(render);
		return err;
	}
	*ret = render;
	return OK;
}

void render_free(struct render *render)
{
	if (render == NULL)
		return;
	buf_wipe(&render->out);
	buf_wipe(&render->scratch);
	buf_wipe(&render->plain);
	render_csv_free(render->csv);
	mem_free(render);
}

static enum err check_room(const struct render *render, struct errctx *ctx)
{
	if (render->out.err == ERR_LIMIT)
		return err_set(ctx, ERR_LIMIT,
			"more than %zu MiB of text: export fewer cases at a time",
			render->options.max >> 20);
	return render->out.err;
}

static void count_case(struct render *render, const struct timeline *timeline)
{
	render->counts.cases++;
	render->counts.events += timeline_count(timeline);
	for (size_t i = 0; i < timeline_count(timeline); i++) {
		const struct event *event = timeline_event(timeline, i);

		render->counts.not_again += event->partial || event_type_get(event->type) == NULL ||
					    (timeline_contested(timeline, i) &&
						    timeline_author(timeline, i)[0] != '\0');
	}
}

enum err render_case(struct render *render, const struct render_case *kase, struct errctx *ctx)
{
	if (render->options.format == RENDER_CSV)
		TRY(render_csv_case(render, kase, ctx));
	else if (render->options.format == RENDER_HANDOVER)
		TRY(render_handover_case(render, kase, ctx));
	else
		TRY(jsonl_case(render, kase->timeline, ctx));
	count_case(render, kase->timeline);
	return check_room(render, ctx);
}

enum err render_finish(struct render *render, struct buf *ret, struct errctx *ctx)
{
	if (render->options.format == RENDER_CSV)
		TRY(render_csv_finish(render, ctx));
	if (render->options.format == RENDER_HANDOVER)
		render_handover_finish(render);
	TRY(check_room(render, ctx));
	*ret = render->out;
	buf_init(&render->out, 0);
	return OK;
}

struct render_counts render_counts(const struct render *render)
{
	return render->counts;
}
