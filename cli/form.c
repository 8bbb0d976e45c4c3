#include "cli/form.h"

#include <string.h>

#include "base/crypto.h"
#include "cases/event/json_memory.h"
#include "cli/case/types.h"
#include "cli/output.h"

static const struct schema_field when = {
	.name = "occurred_on",
	.kind = FIELD_DATE,
	.required = true,
	.ask = "When was it? (a day, YYYY-MM or YYYY, today, yesterday, unknown)",
	.preset = "today",
};
static const struct schema_field language = {
	.name = "language",
	.kind = FIELD_LANGUAGE,
	.ask = "In which language?",
};

/* ---- the event ---- */

enum err form_begin(struct form *form, const struct cli *cli, struct ask *ask,
	const struct schema_type *type, const struct case_view *view)
{
	char id[EVENT_ID_TEXT + 1];

	*form = (struct form){.cli = cli, .ask = ask, .type = type, .view = view};
	form->kase = view == NULL ? "" : view->code;
	case_today(form->today);
	TRY(case_new_event_id(id));
	form->event =
		json_pack("{s:s,s:s}", "type", event_type_get(type->number)->name, "event_id", id);
	form->done = json_array();
	if (form->event == NULL || form->done == NULL)
		return ERR_NOMEM;
	if (view != NULL &&
		json_object_set_new(form->event, "case_ref", json_string(view->ref)) != 0)
		return ERR_NOMEM;
	return OK;
}

void form_release(struct form *form)
{
	json_decref(form->event);
	json_decref(form->done);
	*form = (struct form){0};
}

static size_t done_at(const struct form *form, const char *name)
{
	size_t i;
	json_t *item;

	json_array_foreach(form->done, i, item)
	{
		if (strcmp(json_string_value(item), name) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* ---- the draft ---- */

/* That it fails is told once; the questions go on, and so do the attempts: a node that was locked
 * may be unlocked again. */
static enum err form_save(struct form *form)
{
	struct errctx ctx = {""};
	json_t *body;
	enum err err;

	if (!form->keeping)
		return OK;
	body = json_pack("{s:i,s:O,s:O}", "form", 1, "event", form->event, "done", form->done);
	if (body == NULL)
		return ERR_NOMEM;
	form->draft.kase = form->kase;
	form->draft.type = form->type->title;
	err = draft_put(form->cli, &form->draft, body, &ctx);
	json_decref(body);
	if (err != OK && !form->not_kept) {
		ask_say(form->ask, TERM_ALARM, "Your answers are not being kept as a draft:");
		ask_say(form->ask, TERM_PLAIN, err_message(&ctx, err));
	}
	form->not_kept = err != OK;
	return OK;
}

static bool good_body(const json_t *body)
{
	const json_t *done = json_object_get(body, "done"), *item;
	size_t i;

	if (json_integer_value(json_object_get(body, "form")) != 1 ||
		!json_is_object(json_object_get(body, "event")) || !json_is_array(done))
		return false;
	json_array_foreach(done, i, item)
	{
		if (!json_is_string(item))
			return false;
	}
	return true;
}

/* They may be another's by now. */
static void drop_ids(struct form *form)
{
	const struct schema_field *field;

	for (size_t i = 0; (field = schema_field_at(form->type, i)) != NULL; i++)
		if (field->preset != NULL && strchr(field->preset, '#') != NULL)
			json_object_del(form->event, field->name);
}

enum err form_resume(struct form *form, uint32_t number, const json_t *body, struct errctx *ctx)
{
	if (!good_body(body))
		return err_set(ctx, ERR_MALFORMED,
			"draft %u is of another version of this program: discard it", number);
	json_decref(form->event);
	json_decref(form->done);
	form->event = json_deep_copy(json_object_get(body, "event"));
	form->done = json_deep_copy(json_object_get(body, "done"));
	if (form->event == NULL || form->done == NULL)
		return ERR_NOMEM;
	drop_ids(form);
	form->draft.number = number;
	return OK;
}

/* ---- one question ---- */

static const struct schema_field *question_at(const struct form *form, size_t i)
{
	if (i == 0)
		return &when;
	i--;
	if (form->type->number == EVENT_RIGHTS_EXPLAINED) {
		if (i == 0)
			return &language;
		i--;
	}
	return schema_field_at(form->type, i);
}

static bool is_listed(const struct form *form, const struct schema_field *field)
{
	for (size_t i = 0; form->only != NULL && form->only[i] != NULL; i++)
		if (strcmp(form->only[i], field->name) == 0)
			return true;
	return form->only == NULL;
}

/* Given as an option: it is not asked. */
static bool is_given(const struct form *form, const struct schema_field *field)
{
	return json_object_get(form->event, field->name) != NULL &&
	       done_at(form, field->name) == SIZE_MAX;
}

static bool wants(const struct form *form, const struct schema_field *field)
{
	return is_listed(form, field) && !is_given(form, field) &&
	       form_wants(form->type, field, form->event) &&
	       (form->view == NULL || case_view_takes(form->view, form->type, field, form->event));
}

struct question {
	const struct schema_field *field;
	struct reply_choices choices;
	char preset[REPLY_NAME_MAX]; /* as typed; "" none */
	char shown[REPLY_TEXT_MAX];  /* .. for people */
};

static void show_preset(const struct form *form, struct question *q)
{
	char day[11], words[32];

	snprintf(q->shown, sizeof(q->shown), "%s", q->preset);
	if (reply_is_date(q->field) && reply_day(bytes_str(q->preset), form->today, day)) {
		reply_day_words(day, form->today, words);
		snprintf(q->shown, sizeof(q->shown), "%s, %s", day, words);
	}
	for (size_t i = 0; i < q->choices.count; i++) {
		const struct reply_choice *choice = &q->choices.item[i];

		if (strcmp(choice->name, q->preset) == 0 && choice->text[0] != '\0')
			snprintf(q->shown, sizeof(q->shown), "%s", choice->text);
	}
}

static void question_make(
	const struct form *form, const struct schema_field *field, struct question *q)
{
	q->field = field;
	reply_choices_of(field, &q->choices);
	q->preset[0] = '\0';
	if (form->view != NULL)
		case_view_choices(form->view, form->type, field, &q->choices, q->preset);
	if (form->bare)
		q->preset[0] = '\0';
	else if (q->preset[0] == '\0' && field->preset != NULL)
		snprintf(q->preset, sizeof(q->preset), "%s", field->preset);
	show_preset(form, q);
}

static void show_help(const struct form *form, const struct question *q)
{
	CLEANUP(buf_release) struct buf out;

	buf_init(&out, 64 * 1024);
	if (form->type->help[0] != '\0')
		ask_say(form->ask, TERM_PLAIN, form->type->help);
	if (q->choices.numbered > 0) {
		buf_printf(&out,
			"Answer with a number, or the beginning of what stands behind it%s.",
			schema_kind_is_list(q->field->kind) ? "; several with commas between them"
							    : "");
	} else {
		buf_put_str(&out, "It takes ");
		schema_allowed(q->field, &out);
		buf_put_str(&out, reply_is_date(q->field)
					  ? ", or today, yesterday, tomorrow, +14d, -3d."
					  : ".");
	}
	ask_say(form->ask, TERM_PLAIN, buf_cstr(&out));
	ask_say(form->ask, TERM_PLAIN,
		"Enter: what stands in brackets.  <  back to the question before.  "
		".  enough: the rest as it is.  Ctrl-C: stop; your answers are kept.");
}

static void show_question(const struct form *form, const struct question *q)
{
	fputc('\n', form->ask->term.file);
	ask_say(form->ask, TERM_BOLD, q->field->ask);
	if (q->choices.count > 0)
		ask_show_choices(form->ask, &q->choices);
	if (q->field->kind == FIELD_NOTE)
		ask_say(form->ask, TERM_DIM, "(as many lines as you like; an empty one ends it)");
}

static void prompt_of(const struct question *q, char ret[REPLY_TEXT_MAX + 8])
{
	if (q->preset[0] != '\0')
		snprintf(ret, REPLY_TEXT_MAX + 8, "[%s] ", q->shown);
	else
		snprintf(ret, REPLY_TEXT_MAX + 8, "%s", q->field->required ? "" : "[skip] ");
}

/* No day at all, for occurred_on. */
static bool is_unknown_day(const struct question *q, struct bytes line)
{
	return q->field == &when && line.size == 7 &&
	       strncmp((const char *)line.data, "unknown", 7) == 0;
}

static enum err set_value(
	struct form *form, const struct question *q, struct bytes line, struct errctx *ctx)
{
	char *text = NULL;
	json_t *value;
	enum err err;

	if (is_unknown_day(q, line))
		return json_object_set_new(form->event, when.name, json_string("")) == 0
			       ? OK
			       : ERR_NOMEM;
	TRY(reply_value(q->field, &q->choices, form->today, line, &text, ctx));
	value = json_loads(text, JSON_DECODE_ANY, NULL);
	case_text_free(text);
	if (q->field == &when && case_day_to_come(json_string_value(value))) {
		json_decref(value);
		return err_set(ctx, ERR_INVALID, "that day is yet to come: when did it happen?");
	}
	err = json_object_set_new(form->event, q->field->name, value) == 0 ? OK : ERR_NOMEM;
	return err;
}

/* What an empty answer, or enough, does. ERR_INVALID: it is needed. */
static enum err set_preset(struct form *form, const struct question *q, struct errctx *ctx)
{
	if (q->preset[0] != '\0')
		return set_value(form, q, bytes_str(q->preset), ctx);
	if (q->field->required)
		return err_set(ctx, ERR_INVALID, "This one is needed.");
	json_object_del(form->event, q->field->name);
	return OK;
}

static enum err take_line(
	struct form *form, const struct question *q, enum reply_kind *ret, struct errctx *ctx)
{
	char prompt[REPLY_TEXT_MAX + 8];
	struct ask *ask = form->ask;

	prompt_of(q, prompt);
	if (q->field->kind == FIELD_NOTE)
		TRY(ask_lines(ask, prompt, ctx));
	else
		TRY(ask_line(ask, prompt, ctx));
	*ret = reply_kind(buf_bytes(&ask->line));
	switch (*ret) {
	case REPLY_HELP:
		show_help(form, q);
		return ERR_AGAIN;
	case REPLY_BACK:
		return OK;
	case REPLY_ENOUGH:
		form->enough = true;
		return set_preset(form, q, ctx);
	case REPLY_EMPTY:
		return set_preset(form, q, ctx);
	default:
		return set_value(form, q, buf_bytes(&ask->line), ctx);
	}
}

static enum err ask_question(struct form *form, const struct schema_field *field,
	enum reply_kind *ret, struct errctx *ctx)
{
	struct question q;

	question_make(form, field, &q);
	if (form->enough && (q.preset[0] != '\0' || !field->required)) {
		*ret = REPLY_ENOUGH;
		return set_preset(form, &q, ctx);
	}
	show_question(form, &q);
	for (int i = 0; i < ASK_TRIES_MAX; i++) {
		struct errctx why = {""};
		enum err err = take_line(form, &q, ret, &why);

		if (err == OK)
			return OK;
		if (err != ERR_INVALID && err != ERR_LIMIT && err != ERR_AGAIN) {
			*ctx = why;
			return err;
		}
		if (err != ERR_AGAIN)
			ask_say(form->ask, TERM_PLAIN, why.text);
	}
	return err_set(ctx, ERR_CANCELED, "stopped: nothing was recorded");
}

enum err form_ask_field(struct form *form, const struct schema_field *field, struct errctx *ctx)
{
	enum reply_kind kind;

	return ask_question(form, field, &kind, ctx);
}

/* ---- all of them ---- */

/* Forgets the answer before; where to ask on. */
static size_t go_back(struct form *form, size_t i)
{
	size_t count = json_array_size(form->done);
	const char *name;

	form->enough = false;
	if (count == 0)
		return i;
	name = json_string_value(json_array_get(form->done, count - 1));
	for (i = 0; question_at(form, i) != NULL && strcmp(question_at(form, i)->name, name) != 0;)
		i++;
	json_object_del(form->event, name);
	json_array_remove(form->done, count - 1);
	return i;
}

/* An answer whose question was taken back is not said either. */
static void drop_unwanted(struct form *form)
{
	const struct schema_field *field;

	for (size_t i = 0; (field = question_at(form, i)) != NULL; i++)
		if (done_at(form, field->name) != SIZE_MAX &&
			!form_wants(form->type, field, form->event)) {
			json_object_del(form->event, field->name);
			json_array_remove(form->done, done_at(form, field->name));
		}
}

/* Before ten more answers are typed. */
static void warn(struct form *form)
{
	struct errctx why = {""};

	if (form_trial(form, &why) == OK || strcmp(why.text, form->warned) == 0)
		return;
	snprintf(form->warned, sizeof(form->warned), "%s", why.text);
	ask_say(form->ask, TERM_ALARM, "As it stands this would be refused:");
	ask_say(form->ask, TERM_PLAIN, why.text);
}

static enum err ask_all(struct form *form, struct errctx *ctx)
{
	const struct schema_field *field;

	for (size_t i = 0; (field = question_at(form, i)) != NULL;) {
		enum reply_kind kind;

		if (done_at(form, field->name) != SIZE_MAX || !wants(form, field)) {
			i++;
			continue;
		}
		TRY(ask_question(form, field, &kind, ctx));
		if (kind == REPLY_BACK) {
			i = go_back(form, i);
			continue;
		}
		if (json_array_append_new(form->done, json_string(field->name)) != 0)
			return ERR_NOMEM;
		drop_unwanted(form);
		TRY(form_save(form));
		warn(form);
		i++;
	}
	return OK;
}

/* Ids that the case counts: the next of its letter, as of now. */
static enum err set_ids(struct form *form)
{
	const struct schema_field *field;
	char id[16];

	for (size_t i = 0; form->view != NULL && (field = schema_field_at(form->type, i)) != NULL;
		i++) {
		if (field->preset == NULL || strchr(field->preset, '#') == NULL ||
			is_given(form, field))
			continue;
		case_state_next_id(form->view->state, field->preset[0], id);
		if (json_object_set_new(form->event, field->name, json_string(id)) != 0)
			return ERR_NOMEM;
	}
	return OK;
}

static void show_line(const struct term *term, const char *label, const char *text)
{
	fprintf(term->file, "  %s: ", label);
	term_wrap(term, 4, term_columns(label) + 4, text);
}

/* What the schema shows, but for events of the case: nobody knows those by their id. */
static void show_value(const struct case_view *view, const struct schema_field *field,
	const json_t *value, struct buf *out)
{
	char *json;

	if (view != NULL && field->kind == FIELD_EVENT && json_is_string(value)) {
		case_view_event_text(view, json_string_value(value), out);
		return;
	}
	json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (json != NULL)
		schema_show(field, json, out);
	json_text_free(json);
}

void form_show(const struct term *term, const struct schema_type *type,
	const struct case_view *view, const json_t *event)
{
	const struct schema_field *field;
	struct output_buffer b;
	const char *on = output_member(event, "occurred_on", &b);

	term_put(term, TERM_BOLD, type->title);
	fprintf(term->file, ", %s\n", on[0] == '\0' ? "no date" : on);
	for (size_t i = 0; (field = schema_field_at(type, i)) != NULL; i++) {
		const json_t *value = json_object_get(event, field->name);
		CLEANUP(buf_wipe) struct buf text;
		char label[64];

		buf_init(&text, 64 * 1024);
		if (value == NULL)
			continue;
		show_value(view, field, value, &text);
		case_types_label(field->name, label);
		show_line(term, label, buf_cstr(&text));
	}
}

static enum err kept(const struct form *form, enum err err, struct errctx *ctx)
{
	if (form->draft.number == 0)
		return err;
	if (err == ERR_CANCELED)
		return err_set(ctx, err,
			"stopped: nothing was recorded; your answers are kept. Go on with: "
			"sauti case add --resume %u",
			form->draft.number);
	return err_set(ctx, err, "%s (your answers are kept: sauti case add --resume %u)",
		err_message(ctx, err), form->draft.number);
}

/* It is not recorded: back to the questions (or, when nothing is wrong with the answers, to the
 * summary), or the end with that error. Whoever cannot be asked any more gets the error too. */
static enum err once_more(struct form *form, const char *question, enum err error)
{
	struct errctx ignored = {""};
	bool again = false;
	enum err err = ask_yes(form->ask, question, true, &again, &ignored);

	if (err != OK || !again)
		return error;
	form->warned[0] = '\0';
	return OK;
}

static enum err refused(struct form *form, enum err error, struct errctx *ctx)
{
	bool answers = error == ERR_INVALID || error == ERR_CONSENT || error == ERR_LIMIT;

	if (error == ERR_NOMEM || error == ERR_CANCELED)
		return error;
	ask_say(form->ask, TERM_ALARM, answers ? "It was refused:" : "It could not be recorded:");
	ask_say(form->ask, TERM_PLAIN, err_message(ctx, error));
	TRY(once_more(form, answers ? "Change the last answer?" : "Try again?", error));
	if (answers)
		go_back(form, 0);
	return OK;
}

static enum err confirm(struct form *form, form_record *record, bool *ret_done, struct errctx *ctx)
{
	bool good = false;
	enum err err;

	fputc('\n', form->ask->term.file);
	form_show(&form->ask->term, form->type, form->view, form->event);
	TRY(ask_yes(form->ask, "Record this?", true, &good, ctx));
	if (!good) {
		err = err_set(ctx, ERR_CANCELED, "stopped: nothing was recorded");
		TRY(once_more(form, "Change the last answer?", err));
		go_back(form, 0);
		return OK;
	}
	err = record == NULL ? OK : record(form, ctx);
	*ret_done = err == OK;
	return err == OK ? OK : refused(form, err, ctx);
}

enum err form_ask(struct form *form, form_record *record, struct errctx *ctx)
{
	bool done = false;

	ask_say(form->ask, TERM_DIM, "Enter: what stands in brackets   ? help   < back   . enough");
	while (!done) {
		enum err err = ask_all(form, ctx);

		if (err == OK)
			err = set_ids(form);
		if (err == OK)
			err = confirm(form, record, &done, ctx);
		if (err != OK)
			return kept(form, err, ctx);
	}
	return OK;
}
