#include "cli/case/types.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/ask.h"
#include "cli/case/case.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "node/files.h"

#define FROM "-from"

/* ---- themes ---- */

/* In the order of the work. The end of each theme is 0. */
static const struct {
	const char *theme;
	uint8_t types[8];
} themes[] = {
	{"Contact", {EVENT_CONTACT, EVENT_VICTIM_VIEW, EVENT_FEEDBACK}},
	{"Rights and consent",
		{EVENT_RIGHTS_EXPLAINED, EVENT_CONSENT_RECORDED, EVENT_CONSENT_REFUSED,
			EVENT_CONSENT_WITHDRAWN, EVENT_GUARDIAN_CHANGED}},
	{"People, needs and plan",
		{EVENT_PERSON_RECORDED, EVENT_NEEDS_ASSESSED, EVENT_ACTION_PLAN_AGREED}},
	{"Referrals and assistance",
		{EVENT_REFERRAL_MADE, EVENT_REFERRAL_ANSWERED, EVENT_REFERRAL_ENDED,
			EVENT_ASSISTANCE_PROVIDED, EVENT_ASSISTANCE_DECLINED, EVENT_NEED_UNMET,
			EVENT_EXTERNAL_PACKET}},
	{"Protection", {EVENT_PROTECTION_CONCERN, EVENT_PROTECTION_ACTION, EVENT_MANDATORY_REPORT}},
	{"Allegation and investigation",
		{EVENT_ALLEGATION_RECORDED, EVENT_INVESTIGATION_STAGE, EVENT_INVESTIGATION_OUTCOME,
			EVENT_ACTION_TAKEN, EVENT_ACCOMPANIED}},
	{"Paternity and remedy",
		{EVENT_PATERNITY_OPENED, EVENT_PATERNITY_STAGE, EVENT_CHILD_SUPPORT, EVENT_REMEDY}},
	{"Complaints", {EVENT_COMPLAINT_RECEIVED, EVENT_COMPLAINT_STAGE}},
	{"The case itself",
		{EVENT_OFFICER_ASSIGNED, EVENT_TRANSFER_OFFERED, EVENT_TRANSFER_ANSWERED,
			EVENT_CASE_CLOSED, EVENT_CASE_REOPENED}},
	{"Records and erasure", {EVENT_CORRECTION, EVENT_CONFLICT_RESOLVED, EVENT_LEGAL_HOLD,
					EVENT_ERASURE_REQUESTED, EVENT_ERASURE_DONE}},
};

const struct schema_type *case_types_at(size_t i, const char **ret_theme)
{
	for (size_t t = 0; t < sizeof(themes) / sizeof(themes[0]); t++) {
		size_t count = 0;

		while (count < sizeof(themes[t].types) && themes[t].types[count] != 0)
			count++;
		if (i < count) {
			*ret_theme = i == 0 ? themes[t].theme : NULL;
			return schema_type_get(themes[t].types[i]);
		}
		i -= count;
	}
	return NULL;
}

static void print_themes(FILE *file)
{
	const struct schema_type *type;
	const char *theme;

	for (size_t i = 0; (type = case_types_at(i, &theme)) != NULL; i++) {
		if (theme != NULL)
			fprintf(file, "%s%s\n", i == 0 ? "" : "\n", theme);
		fprintf(file, "  %-18s %s\n", type->alias, type->title);
	}
}

static void print_type(FILE *file, const struct schema_type *type)
{
	CLEANUP(buf_release) struct buf out;

	buf_init(&out, 256 * 1024);
	schema_write_help(type, &out);
	fwrite(out.data, 1, out.size, file);
}

void case_types_help(FILE *file, const struct cli_args *args)
{
	const struct schema_type *type = NULL;

	for (size_t i = 0; i < args->count && type == NULL; i++)
		type = schema_type_find(bytes_str(args_at(args, i)));
	if (type == NULL) {
		fputs("\nTypes of events (each has its own --help and options: "
		      "sauti case add contact --help):\n\n",
			file);
		print_themes(file);
	} else {
		fputs("\nOptions of this type (texts, names and contacts as --FIELD-from "
		      "FILE):\n\n",
			file);
		print_type(file, type);
	}
	fputs("\nDays may be said as today, yesterday, +14d.\n", file);
}

enum err case_types_find(
	struct cli *cli, const char *name, const struct schema_type **ret, struct errctx *ctx)
{
	const struct schema_type *type = schema_type_find(bytes_str(name));

	if (type == NULL)
		return cli_usage(cli, ctx,
			"there is no type of event '%.40s': 'sauti case types' lists them", name);
	*ret = type;
	return OK;
}

enum err case_types_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	const struct schema_type *type = NULL;

	if (args_flag(args, "json-schema") || cli->json) {
		CLEANUP(buf_release) struct buf out;

		buf_init(&out, 1024 * 1024);
		schema_write_json_schema(&out);
		TRY(out.err);
		fwrite(out.data, 1, out.size, stdout);
		putchar('\n');
		return OK;
	}
	if (args->count == 0) {
		print_themes(stdout);
		return OK;
	}
	TRY(case_types_find(cli, args_at(args, 0), &type, ctx));
	print_type(stdout, type);
	return OK;
}

/* ---- options ---- */

/* Names live as long as the program: arguments point to them. */
static struct cli_option pool[ARGS_MAX];
static char pool_names[ARGS_MAX][EVENT_FIELD_NAME_MAX + sizeof(FROM)];
static size_t pool_count;

static const struct schema_field *find_field(const char *name)
{
	for (uint32_t number = 1; number <= EVENT_TYPE_LAST; number++) {
		const struct schema_field *field =
			schema_field_find(schema_type_get(number), bytes_str(name));

		if (field != NULL && event_type_get(number)->rule != EVENT_RULE_LEDGER)
			return field;
	}
	return NULL;
}

/* "next-contact-due-on" -> "next_contact_due_on"; false when it is too long. */
static bool field_name(const char *name, size_t size, char ret[EVENT_FIELD_NAME_MAX + 1])
{
	if (size > EVENT_FIELD_NAME_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		ret[i] = name[i] == '-' ? '_' : name[i];
	ret[size] = '\0';
	return true;
}

static const struct cli_option *pool_option(const char *name, const char *behind)
{
	struct cli_option *option = &pool[pool_count];

	for (size_t i = 0; i < pool_count; i++) {
		size_t size = strlen(name);

		if (strncmp(pool[i].name, name, size) == 0 &&
			strcmp(pool[i].name + size, behind) == 0)
			return &pool[i];
	}
	if (pool_count == ARGS_MAX)
		return NULL;
	snprintf(pool_names[pool_count], sizeof(pool_names[0]), "%s%s", name, behind);
	*option = (struct cli_option){pool_names[pool_count], "VALUE", "", false};
	pool_count++;
	return option;
}

const struct cli_option *case_types_option(const char *name, size_t size)
{
	char field[EVENT_FIELD_NAME_MAX + 1];
	const size_t from = strlen(FROM);

	if (field_name(name, size, field) && find_field(field) != NULL)
		return pool_option(field, "");
	if (size > from && memcmp(name + size - from, FROM, from) == 0 &&
		field_name(name, size - from, field) && find_field(field) != NULL)
		return pool_option(field, FROM);
	return NULL;
}

static bool is_from(const char *option)
{
	size_t size = strlen(option), from = strlen(FROM);

	return size > from && strcmp(option + size - from, FROM) == 0;
}

bool case_types_given(const struct cli_args *args)
{
	for (size_t i = 0; i < args->option_count; i++)
		for (size_t p = 0; p < pool_count; p++)
			if (args->options[i].name == pool[p].name)
				return true;
	return false;
}

bool case_types_asks(const struct cli_args *args)
{
	return args_flag(args, "ask") ||
	       (!case_types_given(args) && args_option(args, "field") == NULL &&
		       ask_possible(args));
}

/* What ties things together is named by what it is. */
static size_t label_size(const char *name)
{
	static const char *const ends[] = {"_ref", "_id", "_code", "_key"};
	size_t size = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t end = strlen(ends[i]);

		if (size > end && strcmp(name + size - end, ends[i]) == 0)
			return size - end;
	}
	return size;
}

void case_types_label(const char *name, char ret[64])
{
	size_t size = label_size(name);

	size = size < 63 ? size : 63;
	for (size_t i = 0; i < size; i++)
		ret[i] = name[i] == '_' ? ' ' : name[i];
	ret[size] = '\0';
}

/* What stands behind the option is not repeated: it may be of a case. */
static enum err parse_value(struct cli *cli, const struct schema_field *field, const char *today,
	struct bytes text, json_t **ret, struct errctx *ctx)
{
	struct reply_choices choices;
	char *json = NULL;
	enum err err;

	reply_choices_of(field, &choices);
	choices.numbered = choices.count = 0; /* codes, not numbers of a list nobody has seen */
	err = reply_value(field, &choices, today, text, &json, ctx);
	if (err == ERR_INVALID)
		cli->usage = true;
	TRY(err);
	*ret = json_loads(json, JSON_DECODE_ANY, NULL);
	case_text_free(json);
	return *ret == NULL ? ERR_NOMEM : OK;
}

static enum err read_input(int fd, struct buf *out, struct errctx *ctx)
{
	for (;;) {
		ssize_t n;

		if (out->size == SCHEMA_NOTE_MAX + 1)
			return err_set(ctx, ERR_LIMIT, "standard input: more than %d bytes",
				SCHEMA_NOTE_MAX);
		n = read(fd, out->data + out->size, SCHEMA_NOTE_MAX + 1 - out->size);
		if (n < 0)
			return err_set(ctx, ERR_IO, "standard input cannot be read");
		if (n == 0)
			return OK;
		out->size += (size_t)n;
	}
}

enum err case_types_value(struct cli *cli, const struct schema_field *field, const char *today,
	const char *text, const char *path, json_t **ret, struct errctx *ctx)
{
	CLEANUP(buf_wipe) struct buf file;

	buf_init(&file, SCHEMA_NOTE_MAX + 2);
	if (text != NULL)
		return parse_value(cli, field, today, bytes_str(text), ret, ctx);
	if (buf_reserve(&file, SCHEMA_NOTE_MAX + 1) == NULL)
		return file.err;
	if (strcmp(path, "-") == 0)
		TRY(read_input(STDIN_FILENO, &file, ctx));
	else
		TRY(files_read(path, SCHEMA_NOTE_MAX, &file, ctx));
	while (file.size > 0 && file.data[file.size - 1] == '\n')
		file.size--;
	return parse_value(cli, field, today, buf_bytes(&file), ret, ctx);
}

static void kebab(const char *name, char ret[EVENT_FIELD_NAME_MAX + 1])
{
	size_t i = 0;

	for (; name[i] != '\0' && i < EVENT_FIELD_NAME_MAX; i++)
		ret[i] = name[i] == '_' ? '-' : name[i];
	ret[i] = '\0';
}

static enum err put_option(struct cli *cli, const struct schema_type *type, const char *option,
	const char *value, const char *today, json_t *event, struct errctx *ctx)
{
	char name[EVENT_FIELD_NAME_MAX + sizeof(FROM)], shown[EVENT_FIELD_NAME_MAX + 1];
	const struct schema_field *field;
	bool from = is_from(option);
	json_t *json = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)(strlen(option) - (from ? strlen(FROM) : 0)),
		option);
	field = schema_field_find(type, bytes_str(name));
	kebab(name, shown);
	if (field == NULL)
		return cli_usage(cli, ctx, "%s has no --%s: 'sauti case types %s' says what it has",
			type->alias, shown, type->alias);
	if (!from && reply_is_text(field))
		return cli_usage(cli, ctx,
			"others on this machine can see arguments: use --%s-from FILE ('-': stdin)",
			shown);
	if (json_object_get(event, field->name) != NULL)
		return cli_usage(cli, ctx, "--%s is given twice", shown);
	if (field->kind == FIELD_EVENT && !from && case_view_is_number(value))
		json = json_string(value); /* case_view_resolve */
	else
		TRY(case_types_value(cli, field, today, from ? NULL : value, value, &json, ctx));
	return json_object_set_new(event, field->name, json) == 0 ? OK : ERR_NOMEM;
}

/* --from is a file of events, but where the type has a field of that name. */
static bool is_field_option(const struct schema_type *type, const char *name)
{
	for (size_t p = 0; p < pool_count; p++)
		if (pool[p].name == name)
			return true;
	return strcmp(name, "from") == 0 && schema_field_find(type, bytes_str(name)) != NULL;
}

enum err case_types_fields(struct cli *cli, const struct cli_args *args,
	const struct schema_type *type, const char *today, json_t *event, struct errctx *ctx)
{
	for (size_t i = 0; i < args->option_count; i++) {
		if (is_field_option(type, args->options[i].name))
			TRY(put_option(cli, type, args->options[i].name, args->options[i].value,
				today, event, ctx));
	}
	return OK;
}
