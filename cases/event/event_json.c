/*
 * Events from JSON and to JSON. Happy path: size, UTF-8 and depth are checked on the bytes, Jansson
 * parses, the common members are read by a table, the rest become fields.
 *
 * Jansson allocates outside base/alloc.h and does not wipe. Jansson 2.14 ignores a failed growth of
 * its token buffer and then writes behind it: a program gives it an allocator that stops the
 * program when memory runs out (json_set_alloc_funcs), and that wipes what is freed.
 */
#include "cases/event/event_json.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"

enum { PLAIN_DIGITS_MAX = 15 };

void event_json_release(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

/* Before Jansson recurses. Brackets inside strings do not count. */
static enum err check_depth(struct bytes text, struct errctx *ctx)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > EVENT_JSON_DEPTH)
				return err_set(ctx, ERR_LIMIT,
					"nested deeper than %d, allowed are %d levels",
					EVENT_JSON_DEPTH, EVENT_JSON_DEPTH);
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return OK;
}

/* Jansson's own text quotes the input: never shown. */
static const char *parse_error_text(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		return "a member is given twice";
	case json_error_end_of_input_expected:
		return "something stands behind the end";
	case json_error_premature_end_of_input:
		return "it ends too early";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL character";
	case json_error_numeric_overflow:
		return "a number is too large";
	default:
		return "not valid JSON";
	}
}

enum err event_json_parse(struct bytes text, bool any, json_t **ret, struct errctx *ctx)
{
	size_t flags = JSON_REJECT_DUPLICATES | (any ? JSON_DECODE_ANY : 0);
	json_error_t error = {0};
	enum json_error_code code;
	json_t *value;

	if (!utf8_valid(text))
		return err_set(ctx, ERR_MALFORMED, "not valid UTF-8");
	TRY(check_depth(text, ctx));
	value = json_loadb((const char *)text.data, text.size, flags, &error);
	if (value != NULL) {
		*ret = value;
		return OK;
	}
	code = json_error_code(&error);
	if (code == json_error_unknown || code == json_error_out_of_memory)
		return ERR_NOMEM;
	return err_set(
		ctx, ERR_MALFORMED, "%s (at byte %d)", parse_error_text(&error), error.position);
}

/* One string without escapes at *at, which is moved behind it. */
static bool plain_string(struct bytes json, size_t *at)
{
	size_t i = *at;

	if (i >= json.size || json.data[i] != '"')
		return false;
	for (i++; i < json.size && json.data[i] != '"'; i++)
		if (json.data[i] < ' ' || json.data[i] == '\\')
			return false;
	*at = i + 1;
	return i < json.size;
}

static bool plain_number(struct bytes json)
{
	if (json.size == 0 || json.size > PLAIN_DIGITS_MAX ||
		(json.size > 1 && json.data[0] == '0'))
		return false;
	for (size_t i = 0; i < json.size; i++)
		if (json.data[i] < '0' || json.data[i] > '9')
			return false;
	return true;
}

static bool plain_list(struct bytes json)
{
	size_t at = 1;

	while (plain_string(json, &at) && at < json.size && json.data[at] == ',')
		at++;
	return at + 1 == json.size && json.data[at] == ']' && json.data[at - 1] == '"';
}

bool event_json_is_plain(struct bytes json)
{
	size_t at = 0;

	if (json.size == 0)
		return false;
	if (json.data[0] == '[')
		return plain_list(json) && utf8_valid(json);
	if (json.data[0] != '"')
		return plain_number(json);
	return plain_string(json, &at) && at == json.size && utf8_valid(json);
}

static bool has_fraction(const json_t *value)
{
	const char *key;
	json_t *child;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach(
			(json_t *)value, key, child) if (has_fraction(child)) return true;
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, child) if (has_fraction(child)) return true;
	}
	return json_is_real(value);
}

static int append_to_buf(const char *text, size_t size, void *arg)
{
	struct buf *buf = arg;

	buf_put(buf, bytes_make(text, size));
	return buf->err == OK ? 0 : -1;
}

/* A string without what JSON escapes. */
static bool needs_no_escape(const json_t *value)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return false;
	for (size_t i = 0; i < json_string_length(value); i++)
		if ((unsigned char)text[i] < ' ' || text[i] == '"' || text[i] == '\\')
			return false;
	return true;
}

/* In quotes: what Jansson would write. */
static enum err dump_plain(const json_t *value, char **ret)
{
	size_t size = json_string_length(value);
	char *out = mem_resize(NULL, size + 3);

	if (out == NULL)
		return ERR_NOMEM;
	out[0] = out[size + 1] = '"';
	memcpy(out + 1, json_string_value(value), size);
	out[size + 2] = 0;
	*ret = out;
	return OK;
}

enum err event_json_dump(const json_t *value, char **ret)
{
	/* Compact text is never longer than what was parsed, but for escapes of controls. */
	struct buf buf;
	enum err err;
	char *text = NULL;

	if (needs_no_escape(value))
		return dump_plain(value, ret);
	if (has_fraction(value))
		return ERR_INVALID;
	buf_init(&buf, 8 * LIMIT_EVENT_JSON);
	if (json_dump_callback(value, append_to_buf, &buf, JSON_COMPACT | JSON_ENCODE_ANY) != 0 &&
		buf.err == OK)
		buf.err = ERR_NOMEM;
	buf_put_u8(&buf, 0);
	err = buf.err;
	if (err == OK) {
		text = mem_dup(buf.data, buf.size);
		err = text == NULL ? ERR_NOMEM : OK;
	}
	buf_wipe(&buf);
	if (err == OK)
		*ret = text;
	return err;
}

/* What was found, without its content. */
static const char *found(const json_t *value, char out[48])
{
	if (json_is_string(value))
		snprintf(out, 48, "text of %zu bytes", json_string_length(value));
	else if (json_is_array(value))
		snprintf(out, 48, "a list of %zu", json_array_size(value));
	else
		snprintf(out, 48, "%s",
			json_is_object(value)    ? "an object"
			: json_is_boolean(value) ? "true or false"
			: json_is_number(value)  ? "a number"
						 : "null");
	return out;
}

static enum err not_allowed(
	struct errctx *ctx, const char *name, const json_t *value, const char *allowed)
{
	char text[48];

	return err_set(
		ctx, ERR_INVALID, "%s: found %s, allowed is %s", name, found(value, text), allowed);
}

static struct bytes string_bytes(const json_t *value)
{
	if (!json_is_string(value))
		return BYTES_NONE;
	return bytes_make(json_string_value(value), json_string_length(value));
}

static enum err read_event_id(struct event *event, const json_t *value, struct errctx *ctx)
{
	struct event_id id;

	if (event_id_parse(string_bytes(value), &id) != OK)
		return not_allowed(ctx, "event_id", value, "a UUID of version 7, as 36 characters");
	event_set_id(event, &id);
	return OK;
}

static enum err read_type(struct event *event, const json_t *value, struct errctx *ctx)
{
	const struct event_type *type = event_type_find(string_bytes(value));
	char text[40];

	if (!json_is_string(value))
		return not_allowed(ctx, "type", value, "the name of an event type");
	if (type == NULL)
		return err_set(ctx, ERR_INVALID,
			"type: found '%s', allowed are the event types of docs/EVENTS.md, such as "
			"CASE_OPENED, CONTACT, REFERRAL_MADE",
			text_escape(string_bytes(value), text, sizeof text));
	event->type = type->number;
	return OK;
}

static enum err read_case_ref(struct event *event, const json_t *value, struct errctx *ctx)
{
	struct case_ref ref;

	if (case_ref_parse(string_bytes(value), &ref) != OK)
		return not_allowed(ctx, "case_ref", value, "32 hexadecimal digits");
	event_set_case(event, &ref);
	return OK;
}

static enum err read_occurred_on(struct event *event, const json_t *value, struct errctx *ctx)
{
	struct bytes date = string_bytes(value);

	for (unsigned p = 0; p <= PRECISION_DAY && json_is_string(value); p++) {
		if (!event_date_valid(date, (enum event_precision)p))
			continue;
		if (date.size > 0)
			memcpy(event->occurred_on, date.data, date.size);
		event->occurred_on[date.size] = 0;
		return OK;
	}
	return not_allowed(ctx, "occurred_on", value,
		"a date of the calendar since 1900 as YYYY-MM-DD, YYYY-MM or YYYY, or \"\"");
}

static enum err read_precision(struct event *event, const json_t *value, struct errctx *ctx)
{
	if (event_precision_parse(string_bytes(value), &event->precision) != OK)
		return not_allowed(ctx, "precision", value, "D, M, Y or UNKNOWN");
	return OK;
}

static enum err read_recorded_at(struct event *event, const json_t *value, struct errctx *ctx)
{
	uint64_t seconds;

	if (event_time_parse(string_bytes(value), &seconds) != OK)
		return not_allowed(ctx, "recorded_at", value, "a UTC time as YYYY-MM-DDTHH:MM:SSZ");
	event_set_recorded_at(event, seconds);
	return OK;
}

static enum err read_recorded_by(struct event *event, const json_t *value, struct errctx *ctx)
{
	if (event_set_recorded_by(event, string_bytes(value)) != OK)
		return not_allowed(ctx, "recorded_by", value,
			"1 to 64 bytes of text without control characters");
	return OK;
}

static enum err read_office(struct event *event, const json_t *value, struct errctx *ctx)
{
	if (event_set_office(event, string_bytes(value)) != OK)
		return not_allowed(ctx, "office", value, "a code of ISO 3166-1 alpha-3, as HTI");
	return OK;
}

static enum err read_language(struct event *event, const json_t *value, struct errctx *ctx)
{
	struct bytes language = string_bytes(value);

	if (!json_is_string(value) || !event_language_valid(language))
		return not_allowed(ctx, "language", value, "a tag of BCP 47, as fr or sw-CD");
	if (language.size > 0)
		memcpy(event->language, language.data, language.size);
	return OK;
}

static enum err read_refs(
	struct event_refs *refs, const char *name, const json_t *value, struct errctx *ctx)
{
	size_t count = json_array_size(value);

	if (!json_is_array(value) || count > EVENT_REFS_MAX)
		return not_allowed(ctx, name, value, "a list of at most 64 event ids");
	if (count == 0)
		return OK;
	refs->ids = mem_array(count, sizeof *refs->ids);
	if (refs->ids == NULL)
		return ERR_NOMEM;
	for (; refs->count < count; refs->count++) {
		const json_t *item = json_array_get(value, refs->count);

		if (event_id_parse(string_bytes(item), &refs->ids[refs->count]) != OK)
			return not_allowed(ctx, name, item, "an event id: a UUID of version 7");
	}
	return OK;
}

static enum err read_supersedes(struct event *event, const json_t *value, struct errctx *ctx)
{
	return read_refs(&event->supersedes, "supersedes", value, ctx);
}

static enum err read_parents(struct event *event, const json_t *value, struct errctx *ctx)
{
	return read_refs(&event->parents, "parents", value, ctx);
}

static enum err read_consent_refs(struct event *event, const json_t *value, struct errctx *ctx)
{
	return read_refs(&event->consent_refs, "consent_refs", value, ctx);
}

static enum err read_partial(struct event *event, const json_t *value, struct errctx *ctx)
{
	return err_set(ctx, ERR_INVALID,
		"partial: marks an event whose main part was missing when it was shown; it cannot "
		"be recorded");
}

static const struct common {
	const char *name;
	enum err (*read)(struct event *event, const json_t *value, struct errctx *ctx);
} commons[] = {
	{"event_id", read_event_id},
	{"type", read_type},
	{"case_ref", read_case_ref},
	{"occurred_on", read_occurred_on},
	{"precision", read_precision},
	{"recorded_at", read_recorded_at},
	{"recorded_by", read_recorded_by},
	{"office", read_office},
	{"language", read_language},
	{"supersedes", read_supersedes},
	{"parents", read_parents},
	{"consent_refs", read_consent_refs},
	{"partial", read_partial},
};

static const struct common *common_find(struct bytes name)
{
	for (size_t i = 0; i < sizeof commons / sizeof commons[0]; i++)
		if (bytes_equal_str(name, commons[i].name))
			return &commons[i];
	return NULL;
}

bool event_field_is_common(struct bytes name)
{
	return common_find(name) != NULL;
}

static enum err read_field(
	struct event *event, struct bytes name, const json_t *value, struct errctx *ctx)
{
	char escaped[72], *json = NULL;
	enum err err;

	if (!event_field_name_valid(name))
		return err_set(ctx, ERR_INVALID,
			"'%s': a field's name is 1 to %d of a-z, 0-9 and _, a letter first",
			text_escape(name, escaped, sizeof escaped), EVENT_FIELD_NAME_MAX);
	if (json_is_null(value))
		return err_set(ctx, ERR_INVALID,
			"%.*s: found null, allowed is a value, or no such field; what was not "
			"asked "
			"is 0, declined 98, unknown 99",
			BYTES_FMT(name));
	err = event_json_dump(value, &json);
	if (err == ERR_INVALID)
		return err_set(ctx, err,
			"%.*s: found a number with a fraction, allowed are whole numbers, and "
			"amounts as text, as \"12.50\"",
			BYTES_FMT(name));
	if (err != OK)
		return err;
	err = event_add_field(event, name, json);
	if (err == ERR_LIMIT)
		return err_set(ctx, err, "more than %d fields", LIMIT_EVENT_FIELDS);
	return err;
}

/* occurred_on and precision say the same; a date without a precision says it by its form. */
static enum err settle_date(struct event *event, bool has_precision, struct errctx *ctx)
{
	struct bytes date = bytes_str(event->occurred_on);

	if (!has_precision)
		event->precision = date.size == 10  ? PRECISION_DAY
				   : date.size == 7 ? PRECISION_MONTH
				   : date.size == 4 ? PRECISION_YEAR
						    : PRECISION_UNKNOWN;
	if (!event_date_valid(date, event->precision))
		return err_set(ctx, ERR_INVALID,
			"occurred_on: found a date of %zu characters with precision %s, allowed is "
			"D with YYYY-MM-DD, M with YYYY-MM, Y with YYYY, UNKNOWN with no date",
			date.size, event_precision_text(event->precision));
	return OK;
}

static enum err read_members(struct event *event, json_t *object, struct errctx *ctx)
{
	json_t *value;
	const char *key;

	json_object_foreach(object, key, value)
	{
		struct bytes name = bytes_str(key);
		const struct common *common = common_find(name);

		if (common != NULL)
			TRY(common->read(event, value, ctx));
		else
			TRY(read_field(event, name, value, ctx));
	}
	if (json_object_get(object, "type") == NULL)
		return err_set(ctx, ERR_INVALID,
			"type: missing, allowed are the event types of docs/EVENTS.md");
	return settle_date(event, json_object_get(object, "precision") != NULL, ctx);
}

static enum err check_place(const struct event *event, bool ledger, struct errctx *ctx)
{
	const struct event_type *type = event_type_get(event->type);

	if (ledger && type->rule != EVENT_RULE_LEDGER)
		return err_set(ctx, ERR_INVALID, "type: %s is no event of a ledger", type->name);
	if (!ledger && type->rule == EVENT_RULE_LEDGER)
		return err_set(ctx, ERR_INVALID,
			"type: %s is written by the node into its own ledger, never into a case; "
			"allowed are the other event types of docs/EVENTS.md",
			type->name);
	return OK;
}

static enum err parse(struct bytes line, bool ledger, struct event *ret, struct errctx *ctx)
{
	CLEANUP(event_json_release) json_t *object = NULL;
	struct event event = {0};
	enum err err;

	if (line.size > LIMIT_EVENT_JSON)
		return err_set(ctx, ERR_LIMIT, "event of %zu bytes, allowed are %d", line.size,
			LIMIT_EVENT_JSON);
	TRY(event_json_parse(line, true, &object, ctx));
	if (!json_is_object(object)) {
		char text[48];

		return err_set(ctx, ERR_MALFORMED, "found %s, allowed is one JSON object a line",
			found(object, text));
	}
	err = read_members(&event, object, ctx);
	if (err == OK)
		err = check_place(&event, ledger, ctx);
	if (err != OK) {
		event_release(&event);
		return err;
	}
	*ret = event;
	return OK;
}

enum err event_parse(struct bytes line, struct event *ret, struct errctx *ctx)
{
	return parse(line, false, ret, ctx);
}

enum err event_parse_ledger(struct bytes line, struct event *ret, struct errctx *ctx)
{
	return parse(line, true, ret, ctx);
}

/* A string as JSON, escaped as Jansson does. */
void event_put_string(struct buf *buf, const char *text)
{
	buf_put_u8(buf, '"');
	for (; *text != 0; text++) {
		uint8_t c = (uint8_t)*text;

		if (c == '"' || c == '\\')
			buf_put_u8(buf, '\\');
		if (c < 0x20)
			buf_printf(buf, "\\u%04X", c);
		else
			buf_put_u8(buf, c);
	}
	buf_put_u8(buf, '"');
}

static void put_member(struct buf *buf, const char *name, const char *text)
{
	buf_printf(buf, ",\"%s\":", name);
	event_put_string(buf, text);
}

static void put_refs(struct buf *buf, const char *name, const struct event_refs *refs)
{
	char text[EVENT_ID_TEXT + 1];

	if (refs->count == 0)
		return;
	buf_printf(buf, ",\"%s\":[", name);
	for (size_t i = 0; i < refs->count; i++) {
		event_id_text(&refs->ids[i], text);
		buf_printf(buf, "%s\"%s\"", i == 0 ? "" : ",", text);
	}
	buf_put_u8(buf, ']');
}

void event_write(const struct event *event, struct buf *buf)
{
	const struct event_type *type = event_type_get(event->type);
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1], time[21];

	event_id_text(&event->id, id);
	case_ref_text(&event->case_ref, ref);
	event_time_text(event->recorded_at, time);
	if (type != NULL)
		buf_printf(buf, "{\"type\":\"%s\"", type->name);
	else
		buf_printf(buf, "{\"type\":\"TYPE_%u\"", (unsigned)event->type);
	if (event->has.event_id)
		put_member(buf, "event_id", id);
	if (event->has.case_ref)
		put_member(buf, "case_ref", ref);
	put_member(buf, "occurred_on", event->occurred_on);
	put_member(buf, "precision", event_precision_text(event->precision));
	if (event->has.recorded_at)
		put_member(buf, "recorded_at", time);
	if (event->has.recorded_by)
		put_member(buf, "recorded_by", event->recorded_by);
	if (event->has.office)
		put_member(buf, "office", event->office);
	if (event->language[0] != 0)
		put_member(buf, "language", event->language);
	put_refs(buf, "supersedes", &event->supersedes);
	put_refs(buf, "parents", &event->parents);
	put_refs(buf, "consent_refs", &event->consent_refs);
	for (size_t i = 0; i < event->field_count; i++)
		buf_printf(buf, ",\"%s\":%s", event->fields[i].name, event->fields[i].json);
	if (event->partial)
		buf_put_str(buf, ",\"partial\":true");
	buf_put_u8(buf, '}');
}
