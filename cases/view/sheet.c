#include "cases/view/sheet.h"

#include "base/text.h"
#include "cases/event/case_code.h"
#include "cases/event/event_json.h"
#include "cases/view/html.h"

enum { RIGHTS = CATALOGUE_RIGHT_10 - CATALOGUE_RIGHT_1 + 1 };

/* ---- dates ---- */

static void put_digits(const struct catalogue_language *language, const char *text, struct buf *out)
{
	for (; *text >= '0' && *text <= '9'; text++)
		buf_put_str(out, language->digits[*text - '0']);
}

static void put_day(const struct catalogue_language *language, const char *day, struct buf *out)
{
	if (strcmp(day, "01") == 0)
		buf_put_str(out, language->texts[CATALOGUE_FIRST_DAY]);
	else
		put_digits(language, day[0] == '0' ? day + 1 : day, out);
}

static bool take(const char **pattern, const char *placeholder)
{
	size_t size = strlen(placeholder);

	if (strncmp(*pattern, placeholder, size) != 0)
		return false;
	*pattern += size;
	return true;
}

enum err sheet_date(const struct catalogue_language *language, const char *day, struct buf *out)
{
	const char *pattern = language->texts[CATALOGUE_DATE];

	if (!event_date_valid(bytes_str(day), PRECISION_DAY))
		return ERR_INVALID;
	while (*pattern != '\0') {
		if (take(&pattern, "{day}"))
			put_day(language, day + 8, out);
		else if (take(&pattern, "{month}"))
			buf_put_str(out, language->months[(day[5] - '0') * 10 + day[6] - '0' - 1]);
		else if (take(&pattern, "{year}"))
			put_digits(language, day, out);
		else
			buf_put_u8(out, (uint8_t)*pattern++);
	}
	return out->err;
}

static void put_next(const struct sheet_options *options, struct buf *out)
{
	const char *pattern = options->language->texts[CATALOGUE_NEXT];

	while (*pattern != '\0') {
		if (!take(&pattern, "{date}"))
			buf_put_u8(out, (uint8_t)*pattern++);
		else if (sheet_date(options->language, options->next_on, out) != OK)
			return; /* it was checked: out says why */
	}
}

/* ---- what is given ---- */

static bool is_code_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-';
}

static bool names_a_case(struct bytes text)
{
	for (size_t i = 0; i < text.size;) {
		size_t size = 0;

		while (i + size < text.size && is_code_char(text.data[i + size]))
			size++;
		if (case_code_check(bytes_make(text.data + i, size)) == CASE_CODE_GOOD)
			return true;
		i += size + 1;
	}
	return false;
}

static enum err check_contact(
	const struct catalogue_language *language, struct bytes text, struct errctx *ctx)
{
	const char *word;

	if (text.size == 0 || !utf8_valid(text))
		return err_set(ctx, ERR_INVALID,
			"contact: found nothing, or no UTF-8; allowed is a "
			"name or a number, on one line");
	if (text.size > SHEET_CONTACT_MAX)
		return err_set(ctx, ERR_LIMIT, "contact: found %zu bytes, allowed are %d",
			text.size, SHEET_CONTACT_MAX);
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return err_set(ctx, ERR_INVALID, "contact: found a control character");
	word = catalogue_forbidden(language, text);
	if (word != NULL)
		return err_set(ctx, ERR_INVALID,
			"contact: '%s' says what the sheet is about, to whoever finds it; allowed "
			"is "
			"a name or a number alone",
			word);
	if (names_a_case(text))
		return err_set(ctx, ERR_INVALID, "contact: a case code never stands on a sheet");
	return OK;
}

static enum err check(const struct sheet_options *options, struct errctx *ctx)
{
	if (options->next_on[0] != '\0' &&
		!event_date_valid(bytes_str(options->next_on), PRECISION_DAY))
		return err_set(ctx, ERR_INVALID,
			"next date: allowed is a day of the calendar as YYYY-MM-DD");
	if (options->contact_count > SHEET_CONTACTS_MAX)
		return err_set(ctx, ERR_LIMIT, "%zu contacts, allowed are %d",
			options->contact_count, SHEET_CONTACTS_MAX);
	for (size_t i = 0; i < options->contact_count; i++)
		TRY(check_contact(options->language, bytes_str(options->contacts[i]), ctx));
	return OK;
}

/* ---- text ---- */

static void put_number(const struct catalogue_language *language, unsigned n, struct buf *out)
{
	if (n >= 10)
		buf_put_str(out, language->digits[n / 10]);
	buf_put_str(out, language->digits[n % 10]);
}

static void write_text(const struct sheet_options *options, struct buf *out)
{
	const struct catalogue_language *language = options->language;

	buf_printf(out, "%s\n\n%s\n\n", language->texts[CATALOGUE_TITLE],
		language->texts[CATALOGUE_INTRO]);
	for (unsigned i = 0; i < RIGHTS; i++) {
		put_number(language, i + 1, out);
		buf_printf(out, ". %s\n", language->texts[CATALOGUE_RIGHT_1 + i]);
	}
	if (options->next_on[0] != '\0') {
		buf_put_u8(out, '\n');
		put_next(options, out);
		buf_put_u8(out, '\n');
	}
	if (options->contact_count > 0)
		buf_printf(out, "\n%s\n", language->texts[CATALOGUE_CONTACT]);
	for (size_t i = 0; i < options->contact_count; i++)
		buf_printf(out, "  %s\n", options->contacts[i]);
	buf_printf(out, "\n%s\n", language->texts[CATALOGUE_CLOSING]);
}

/* ---- HTML ---- */

/* Large type; no margin of the page, so that browsers print no address and no file name on it. */
static const char style[] =
	"@page{margin:0}"
	"body{margin:0 auto;padding:18mm;max-width:42em;font:20px/1.5 "
	"sans-serif;color:#000;background:#fff}"
	"h1{font-size:1.7em;margin:0 0 .5em}"
	"ol{padding-inline-start:1.8em}li{margin:.35em 0}"
	".next,.contact{font-size:1.15em;font-weight:bold}"
	"@media print{body{font-size:15pt;padding:16mm 18mm}li{break-inside:avoid}}";

static void put_element(struct buf *out, const char *tag, const char *text)
{
	buf_printf(out, "<%s>", tag);
	html_put_text(out, bytes_str(text));
	buf_printf(out, "</%s>\n", tag);
}

static void write_contacts(const struct sheet_options *options, struct buf *out)
{
	if (options->contact_count == 0)
		return;
	put_element(out, "p", options->language->texts[CATALOGUE_CONTACT]);
	for (size_t i = 0; i < options->contact_count; i++) {
		/* Numbers keep their direction, also in a page that is read from the right. */
		buf_put_str(out, "<p class=\"contact\"><bdi>");
		html_put_text(out, bytes_str(options->contacts[i]));
		buf_put_str(out, "</bdi></p>\n");
	}
}

static void write_html(const struct sheet_options *options, struct buf *out)
{
	const struct catalogue_language *language = options->language;

	buf_printf(out,
		"<!DOCTYPE html>\n<html lang=\"%s\" dir=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n",
		language->tag, language->right_to_left ? "rtl" : "ltr");
	put_element(out, "title", language->texts[CATALOGUE_TITLE]);
	buf_printf(out, "<style>%s</style>\n</head>\n<body>\n", style);
	put_element(out, "h1", language->texts[CATALOGUE_TITLE]);
	put_element(out, "p", language->texts[CATALOGUE_INTRO]);
	buf_put_str(out, "<ol>\n");
	for (unsigned i = 0; i < RIGHTS; i++)
		put_element(out, "li", language->texts[CATALOGUE_RIGHT_1 + i]);
	buf_put_str(out, "</ol>\n");
	if (options->next_on[0] != '\0') {
		buf_put_str(out, "<p class=\"next\">");
		put_next(options, out);
		buf_put_str(out, "</p>\n");
	}
	write_contacts(options, out);
	put_element(out, "p", language->texts[CATALOGUE_CLOSING]);
	buf_put_str(out, "</body>\n</html>\n");
}

enum err sheet_write(const struct sheet_options *options, struct buf *out, struct errctx *ctx)
{
	TRY(check(options, ctx));
	if (options->format == SHEET_HTML)
		write_html(options, out);
	else
		write_text(options, out);
	return out->err;
}
