/* Would the node refuse this? Known from the case and the rules alone, before all is answered. */
#include <string.h>
#include <time.h>

#include "cases/event/json_memory.h"
#include "cases/rules/rules.h"
#include "cli/form.h"

/* What an empty answer would say, for what is needed and not answered yet. False: it says nothing.
 */
static bool add_presets(const struct form *form, json_t *event)
{
	const struct schema_field *field;

	for (size_t i = 0; (field = schema_field_at(form->type, i)) != NULL; i++) {
		struct reply_choices choices;
		struct errctx ctx;
		char *json = NULL;

		if (!field->required || json_object_get(event, field->name) != NULL)
			continue;
		if (field->preset == NULL)
			return false;
		if (strchr(field->preset, '#') != NULL)
			continue; /* rules_fill */
		reply_choices_of(field, &choices);
		if (reply_value(field, &choices, form->today, bytes_str(field->preset), &json,
			    &ctx) != OK)
			return false;
		json_object_set_new(event, field->name, json_loads(json, JSON_DECODE_ANY, NULL));
		case_text_free(json);
	}
	return true;
}

static enum err judge(const struct form *form, const char *text, struct errctx *ctx)
{
	const struct rules_context context = {
		.today = form->today, .node = "", .granted = form->view->granted};
	struct event event = {0};
	struct errctx own = {""};
	enum err err;

	if (event_parse(bytes_str(text), &event, &own) != OK)
		return OK; /* told when it is recorded */
	event_set_recorded_at(&event, (uint64_t)time(NULL));
	err = event.has.office ? OK : event_set_office(&event, bytes_str(form->view->office));
	if (err == OK)
		err = rules_fill(form->view->state, &event, &context, ctx);
	if (err == OK)
		err = rules_check(form->view->state, &event, &context, ctx);
	event_release(&event);
	return err == ERR_CONSENT || err == ERR_INVALID ? err : OK;
}

enum err form_trial(const struct form *form, struct errctx *ctx)
{
	json_t *event = form->view == NULL ? NULL : json_copy(form->event);
	char *text = NULL;
	enum err err;

	if (event == NULL)
		return OK;
	if (add_presets(form, event))
		text = json_dumps(event, JSON_COMPACT);
	json_decref(event);
	if (text == NULL)
		return OK;
	err = judge(form, text, ctx);
	json_text_free(text);
	return err;
}
