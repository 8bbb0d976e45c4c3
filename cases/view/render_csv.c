/*
 * CSV. Which columns there are is known only at the end, so cells are kept until then: per row, for
 * each cell its column, its size and its text, rows ended by a column that does not exist.
 *
 * Fields past LIMIT_CSV_COLUMNS (only an author who invents fields gets there) stand together, as
 * JSON, in a last column `other`: nothing is left out.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cases/event/event_json.h"
#include "cases/view/render_internal.h"

static const char *const commons[] = {"case_code", "case_ref", "event_id", "type", "occurred_on",
	"precision", "recorded_at", "recorded_by", "office", "language", "supersedes", "parents",
	"consent_refs", "partial"};
enum { COMMON_COUNT = sizeof(commons) / sizeof(commons[0]) };

enum { COLUMN_NONE = 0xffff, COLUMN_OTHER = 0xfffe };

struct render_csv {
	char names[LIMIT_CSV_COLUMNS][EVENT_FIELD_NAME_MAX + 1];
	size_t count;
	bool chosen; /* no other columns than these */
	bool other;  /* the column of what found no room is needed */
	struct buf rows;
	struct buf rest; /* of one event, for `other` */
};

/* ---- cells ---- */

/* Spreadsheets take what begins so for a formula. The wide forms count in some locales. */
static bool starts_formula(struct bytes text)
{
	static const char *const wide[] = {
		"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

	if (text.size > 0 && memchr("=+-@\t\r", text.data[0], 6) != NULL)
		return true;
	for (size_t i = 0; i < 4; i++)
		if (text.size >= 3 && memcmp(text.data, wide[i], 3) == 0)
			return true;
	return false;
}

static bool is_blank(uint8_t c)
{
	return c == ' ';
}

/* Behind these another program may see a new cell. */
static bool is_separator(uint8_t c)
{
	return memchr(",;|\t\r\n\"", c, 7) != NULL;
}

static void put_harmless(struct bytes text, bool quoted, struct buf *out)
{
	bool fresh = true;

	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (fresh && starts_formula(bytes_make(text.data + i, text.size - i)))
			buf_put_u8(out, '\'');
		if (quoted && c == '"')
			buf_put_u8(out, '"');
		buf_put_u8(out, c);
		fresh = is_separator(c) || (fresh && is_blank(c));
	}
}

void render_csv_cell(struct bytes text, struct buf *out)
{
	bool quoted =
		text.size > 0 && (is_blank(text.data[0]) || is_blank(text.data[text.size - 1]));

	for (size_t i = 0; i < text.size && !quoted; i++)
		quoted = is_separator(text.data[i]);
	if (quoted)
		buf_put_u8(out, '"');
	put_harmless(text, quoted, out);
	if (quoted)
		buf_put_u8(out, '"');
}

/* ---- columns ---- */

static size_t column_find(const struct render_csv *csv, struct bytes name)
{
	for (size_t i = 0; i < csv->count; i++)
		if (bytes_equal_str(name, csv->names[i]))
			return i;
	return COLUMN_NONE;
}

static void column_add(struct render_csv *csv, struct bytes name)
{
	memcpy(csv->names[csv->count], name.data, name.size);
	csv->names[csv->count++][name.size] = '\0';
}

/* The column of a field; COLUMN_NONE when it is not wanted, COLUMN_OTHER when there is no room. */
static size_t column_of(struct render_csv *csv, struct bytes name)
{
	size_t column = column_find(csv, name);

	if (column != COLUMN_NONE || csv->chosen)
		return column;
	if (csv->count == LIMIT_CSV_COLUMNS)
		return COLUMN_OTHER;
	column_add(csv, name);
	return csv->count - 1;
}

static enum err take_columns(
	struct render_csv *csv, const struct render_options *options, struct errctx *ctx)
{
	if (options->column_count > LIMIT_CSV_COLUMNS)
		return err_set(ctx, ERR_LIMIT, "%zu columns, allowed are %d", options->column_count,
			LIMIT_CSV_COLUMNS);
	for (size_t i = 0; i < options->column_count; i++) {
		struct bytes name = bytes_str(options->columns[i]);

		if (!event_field_name_valid(name))
			return err_set(ctx, ERR_INVALID,
				"column %zu: allowed are names of members, as occurred_on", i + 1);
		if (column_find(csv, name) != COLUMN_NONE)
			return err_set(ctx, ERR_INVALID, "column %s: it is given twice",
				options->columns[i]);
		column_add(csv, name);
	}
	csv->chosen = options->column_count > 0;
	for (size_t i = 0; i < COMMON_COUNT && !csv->chosen; i++)
		column_add(csv, bytes_str(commons[i]));
	return OK;
}

enum err render_csv_new(
	const struct render_options *options, struct render_csv **ret, struct errctx *ctx)
{
	struct render_csv *csv = mem_zalloc(sizeof(*csv));
	enum err err;

	if (csv == NULL)
		return ERR_NOMEM;
	buf_init(&csv->rows, options->max);
	buf_init(&csv->rest, RENDER_EVENT_MAX);
	err = take_columns(csv, options, ctx);
	if (err != OK) {
		render_csv_free(csv);
		return err;
	}
	*ret = csv;
	return OK;
}

void render_csv_free(struct render_csv *csv)
{
	if (csv == NULL)
		return;
	buf_wipe(&csv->rows);
	buf_wipe(&csv->rest);
	mem_free(csv);
}

/* ---- rows ---- */

static void keep_cell(struct render_csv *csv, size_t column, struct bytes text)
{
	uint8_t head[6];

	if (column == COLUMN_NONE || text.size == 0)
		return;
	put_u16be(head, (uint16_t)column);
	put_u32be(head + 2, (uint32_t)text.size);
	buf_put_clean(&csv->rows, BYTES_ARRAY(head));
	buf_put_clean(&csv->rows, text);
}

static void keep_text(struct render_csv *csv, const char *name, const char *text)
{
	keep_cell(csv, column_find(csv, bytes_str(name)), bytes_str(text));
}

static void keep_refs(struct render *render, const char *name, const struct event_refs *refs)
{
	char id[EVENT_ID_TEXT + 1];

	buf_clear(&render->scratch);
	for (size_t i = 0; i < refs->count; i++) {
		event_id_text(&refs->ids[i], id);
		buf_printf(&render->scratch, "%s%s", i == 0 ? "" : "; ", id);
	}
	keep_cell(render->csv, column_find(render->csv, bytes_str(name)),
		buf_bytes(&render->scratch));
}

static void keep_commons(struct render *render, const char *code, const struct event *event)
{
	const struct event_type *type = event_type_get(event->type);
	char id[EVENT_ID_TEXT + 1], ref[2 * CASE_REF_SIZE + 1], time[21] = "", number[24];
	struct render_csv *csv = render->csv;

	event_id_text(&event->id, id);
	case_ref_text(&event->case_ref, ref);
	if (event->has.recorded_at)
		event_time_text(event->recorded_at, time);
	snprintf(number, sizeof(number), "TYPE_%u", (unsigned)event->type);
	/* A field `case_code` of CASE_OPENED says the same, but not of the other rows. */
	keep_text(csv, "case_code", code);
	keep_text(csv, "case_ref", ref);
	keep_text(csv, "event_id", id);
	keep_text(csv, "type", type != NULL ? type->name : number);
	keep_text(csv, "occurred_on", event->occurred_on);
	keep_text(csv, "precision", event_precision_text(event->precision));
	keep_text(csv, "recorded_at", time);
	keep_text(csv, "recorded_by", event->recorded_by);
	keep_text(csv, "office", event->office);
	keep_text(csv, "language", event->language);
	keep_refs(render, "supersedes", &event->supersedes);
	keep_refs(render, "parents", &event->parents);
	keep_refs(render, "consent_refs", &event->consent_refs);
	keep_text(csv, "partial", event->partial ? "yes" : "");
}

static void keep_field(struct render *render, const struct event_field *field)
{
	struct render_csv *csv = render->csv;
	size_t column = column_of(csv, bytes_str(field->name));

	if (column == COLUMN_NONE || strcmp(field->name, "case_code") == 0)
		return;
	if (column != COLUMN_OTHER) {
		buf_clear(&render->scratch);
		render_plain(field->json, &render->scratch);
		keep_cell(csv, column, buf_bytes(&render->scratch));
		return;
	}
	buf_put_clean(&csv->rest, bytes_str(csv->rest.size == 0 ? "{\"" : ",\""));
	buf_put_clean(&csv->rest, bytes_str(field->name));
	buf_put_clean(&csv->rest, bytes_str("\":"));
	buf_put_clean(&csv->rest, bytes_str(field->json));
}

static enum err keep_event(
	struct render *render, const char *code, const struct event *event, struct errctx *ctx)
{
	struct render_csv *csv = render->csv;
	uint8_t end[2];
	enum err err = OK;

	keep_commons(render, code, event);
	wipe(csv->rest.data, csv->rest.size);
	buf_clear(&csv->rest);
	for (size_t i = 0; i < event->field_count && err == OK; i++) {
		keep_field(render, &event->fields[i]);
		err = render->scratch.err != OK ? render->scratch.err : csv->rest.err;
	}
	if (err != OK)
		return err_set(ctx, err, "an event of more than %d bytes", RENDER_EVENT_MAX);
	if (csv->rest.size > 0) {
		buf_put_clean(&csv->rest, bytes_str("}"));
		keep_cell(csv, COLUMN_OTHER, buf_bytes(&csv->rest));
		csv->other = true;
	}
	put_u16be(end, COLUMN_NONE);
	buf_put_clean(&csv->rows, BYTES_ARRAY(end));
	return csv->rest.err;
}

enum err render_csv_case(struct render *render, const struct render_case *kase, struct errctx *ctx)
{
	for (size_t i = 0; i < timeline_count(kase->timeline); i++)
		TRY(keep_event(render, kase->code, timeline_event(kase->timeline, i), ctx));
	if (render->csv->rows.err != OK)
		render->out.err = render->csv->rows.err;
	return OK;
}

/* ---- the text ---- */

/* One cell, with what stands before it. */
static void write_cell(struct render *render, size_t column, struct bytes text)
{
	buf_clear(&render->scratch);
	if (column > 0)
		buf_put_u8(&render->scratch, ',');
	render_csv_cell(text, &render->scratch);
	if (render->scratch.err != OK)
		render->out.err = render->scratch.err;
	buf_put_clean(&render->out, buf_bytes(&render->scratch));
}

static void write_head(struct render *render)
{
	const struct render_csv *csv = render->csv;

	buf_put_clean(&render->out, bytes_str("\xef\xbb\xbf"));
	for (size_t i = 0; i < csv->count; i++)
		write_cell(render, i, bytes_str(csv->names[i]));
	if (csv->other)
		write_cell(render, csv->count, bytes_str("other"));
	buf_put_clean(&render->out, bytes_str("\r\n"));
}

/* Reads one row; what is left behind it. */
static struct bytes take_row(struct bytes rows, struct bytes cells[LIMIT_CSV_COLUMNS + 1])
{
	for (;;) {
		size_t column = get_u16be(rows.data), size;

		rows = bytes_make(rows.data + 2, rows.size - 2);
		if (column == COLUMN_NONE)
			return rows;
		size = get_u32be(rows.data);
		cells[column == COLUMN_OTHER ? LIMIT_CSV_COLUMNS : column] =
			bytes_make(rows.data + 4, size);
		rows = bytes_make(rows.data + 4 + size, rows.size - 4 - size);
	}
}

enum err render_csv_finish(struct render *render, struct errctx *ctx)
{
	const struct render_csv *csv = render->csv;
	struct bytes cells[LIMIT_CSV_COLUMNS + 1], rows = buf_bytes(&csv->rows);

	write_head(render);
	while (rows.size > 0 && render->out.err == OK) {
		memset(cells, 0, sizeof(cells));
		rows = take_row(rows, cells);
		for (size_t i = 0; i < csv->count; i++)
			write_cell(render, i, cells[i]);
		if (csv->other)
			write_cell(render, csv->count, cells[LIMIT_CSV_COLUMNS]);
		buf_put_clean(&render->out, bytes_str("\r\n"));
	}
	return OK;
}
