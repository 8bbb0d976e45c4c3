#include "cases_test.h"

#include "base/limits.h"
#include "cases/import/csv.h"

/* Rows as "line:cell|cell\n". */
static enum err collect(void *arg, const struct csv_row *row, struct errctx *ctx)
{
	struct buf *out = arg;

	buf_printf(out, "%u:", (unsigned)row->line);
	for (size_t i = 0; i < row->count; i++) {
		buf_put_str(out, i == 0 ? "" : "|");
		buf_put(out, row->cells[i]);
	}
	buf_put_str(out, "\n");
	return OK;
}

static enum err read_text(struct bytes text, char separator, char *ret, struct errctx *ctx)
{
	struct buf out;
	struct csv_reader reader = {separator, collect, &out};
	enum err err;

	buf_init(&out, 1 << 20);
	err = csv_read(&reader, text, ctx);
	if (err == OK)
		strcpy(ret, buf_cstr(&out));
	buf_release(&out);
	return err;
}

static const struct {
	const char *text, *rows;
} good[] = {
	{"", ""},
	{"a,b\n1,2\n", "1:a|b\n2:1|2\n"},
	{"a,b\r\n1,2", "1:a|b\n2:1|2\n"},
	{"a,b\r1,2\r", "1:a|b\n2:1|2\n"},
	{"\xef\xbb\xbf"
	 "a;b\r\n1,5;2\r\n",
		"1:a|b\n2:1,5|2\n"},
	{"a\tb\n1;2\t3\n", "1:a|b\n2:1;2|3\n"},
	{"sep=;\r\na;b\r\n1;2\r\n", "2:a|b\n3:1|2\n"},
	{"\"a;;;\",b\n1,2\n", "1:a;;;|b\n2:1|2\n"}, /* separators in quotes do not count */
	{"a,b\n\"x\ny\",2\n3,4\n", "1:a|b\n2:x\ny|2\n4:3|4\n"},
	{"a,b\n\"x\r\n\r\ny\",\"\n\"\n3,4\n", "1:a|b\n2:x\r\n\r\ny|\n\n6:3|4\n"},
	{"a,b\n\n\n1,2\n\n3,4\n", "1:a|b\n4:1|2\n6:3|4\n"},
	{"a,b\n\"say \"\"so\"\"\",\n", "1:a|b\n2:say \"so\"|\n"},
	{"a,b\n  x  ,\" y \"\n", "1:a|b\n2:  x  | y \n"}, /* blanks stay */
	{"a,b\n,\n", "1:a|b\n2:|\n"},
	{"a\n\"\"\n", "1:a\n2:\n"},
	{"a,b,c\n1\n1,2,3,4\n", "1:a|b|c\n2:1\n3:1|2|3|4\n"},
	{"nom;pr\xc3\xa9nom\n\xd9\x85;x\n", "1:nom|pr\xc3\xa9nom\n2:\xd9\x85|x\n"},
};

static void rows(void **state)
{
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		char out[200];
		struct errctx ctx = {""};

		if (read_text(bytes_str(good[i].text), 0, out, &ctx) != OK)
			fail_msg("%zu: %s", i, ctx.text);
		assert_string_equal(out, good[i].rows);
	}
}

static void separator_given(void **state)
{
	char out[100];

	assert_ok(read_text(bytes_str("a;b,c\n1;2,3\n"), ',', out, NULL));
	assert_string_equal(out, "1:a;b|c\n2:1;2|3\n");
	assert_ok(read_text(bytes_str("sep=;\na;b,c\n"), ',', out, NULL));
	assert_string_equal(out, "2:a;b|c\n");
}

#define TEXT(t) t, sizeof(t) - 1
static const struct {
	const char *text;
	size_t size;
	const char *says;
} bad[] = {
	{TEXT("a,b\n1,x\"y\n"), "line 2: a quotation mark inside"},
	{TEXT("a,b\n1,\"x\"y\n"), "line 2: a quotation mark"},
	{TEXT("a,b\n1,2\n3,\"x\n4,5\n"), "line 3: a quotation mark is never closed"},
	{TEXT("a,b\n1,\xe9\n"), "line 2: not UTF-8"},
	{TEXT("a,b\n1,\0\n"), "line 2: a NUL"},
	{TEXT("\xff\xfe"
	      "a\0,\0"),
		"line 1: UTF-16"},
	{TEXT("\xfe\xff\0a"), "line 1: UTF-16"},
};

static void refused(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct errctx ctx = {""};
		char out[100];

		assert_int_equal(read_text(bytes_make(bad[i].text, bad[i].size), 0, out, &ctx),
			ERR_MALFORMED);
		if (strstr(ctx.text, bad[i].says) == NULL)
			fail_msg("%zu: '%s'", i, ctx.text);
	}
}

/* `count` times a piece, and a last one. */
static char *repeat(const char *piece, size_t count, const char *last)
{
	char *text = malloc(strlen(piece) * count + strlen(last) + 1), *at = text;

	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, piece);
	strcpy(at, last);
	return text;
}

static enum err count_cells(void *arg, const struct csv_row *row, struct errctx *ctx)
{
	*(size_t *)arg = row->count;
	return OK;
}

static void check_cap(char *text, enum err expected, const char *says)
{
	size_t count = 0;
	struct csv_reader reader = {',', count_cells, &count};
	struct errctx ctx = {""};

	assert_int_equal(csv_read(&reader, bytes_str(text), &ctx), expected);
	if (expected != OK)
		assert_non_null(strstr(ctx.text, says));
	free(text);
}

static void caps(void **state)
{
	char *cell = repeat("x", LIMIT_CSV_CELL, ","), *four = repeat(cell, 4, "");

	check_cap(repeat(",", LIMIT_CSV_COLUMNS - 1, "\n"), OK, NULL);
	check_cap(repeat(",", LIMIT_CSV_COLUMNS, "\n"), ERR_LIMIT, "more than 512 columns");
	check_cap(repeat("x", LIMIT_CSV_CELL, "\n"), OK, NULL);
	check_cap(repeat("x", LIMIT_CSV_CELL + 1, "\n"), ERR_LIMIT, "a cell of more than 16 KiB");
	check_cap(strdup(four), OK, NULL); /* LIMIT_CSV_ROW, whole */
	check_cap(repeat(four, 1, "x"), ERR_LIMIT, "a row of more than 64 KiB");
	/* A quote that is never closed does not swallow megabytes first. */
	check_cap(repeat("\"line of a table, and another\n", 1, "x\n"), ERR_MALFORMED,
		"never closed");
	free(four);
	four = repeat("line of a table, and another\n", 100000, "");
	check_cap(
		repeat("\"", 1, four), ERR_LIMIT, "line 1: a cell of more than 16 KiB: is a quot");
	free(four);
	free(cell);
}

static enum err stop(void *arg, const struct csv_row *row, struct errctx *ctx)
{
	return ++*(int *)arg == 2 ? ERR_CANCELED : OK;
}

static void stopped(void **state)
{
	int count = 0;
	struct csv_reader reader = {0, stop, &count};

	assert_int_equal(csv_read(&reader, bytes_str("a\nb\nc\n"), NULL), ERR_CANCELED);
	assert_int_equal(count, 2);
}

static void code_page(void **state)
{
	struct errctx ctx = {""};
	struct buf out;

	assert_ok(csv_from_windows(bytes_str("pr\xe9nom \x80 \x93x\x94 \x9c\n"), &out, NULL));
	assert_string_equal(buf_cstr(&out), "prénom € “x” œ\n");
	buf_release(&out);
	assert_int_equal(csv_from_windows(bytes_str("a\nb\x81"), &out, &ctx), ERR_MALFORMED);
	assert_string_equal(ctx.text, "line 2: byte 0x81 is no character of Windows-1252");
}

static enum err read_once(void *arg)
{
	size_t count = 0;
	struct csv_reader reader = {0, count_cells, &count};
	char *text = repeat("\"some text in a cell\",", 60, "\n");
	enum err err = csv_read(&reader, bytes_str(text), NULL);

	free(text);
	return err;
}

/* libcsv asks again for less: so from the n-th on, nothing is given. */
static void *failing_from(void *arg, void *pointer, size_t size)
{
	long *left = arg;

	if (size == 0) {
		failing.live -= pointer != NULL;
		free(pointer);
		return NULL;
	}
	if (--*left < 0)
		return NULL;
	failing.live += pointer == NULL;
	return realloc(pointer, size);
}

static void no_memory(void **state)
{
	enum err err = ERR_NOMEM;

	for (long n = 0; err != OK; n++) {
		long left = n;

		assert_true(n < 1000);
		failing.live = 0;
		mem_set_allocator(&(struct allocator){failing_from, &left});
		err = read_once(NULL);
		mem_set_allocator(NULL);
		assert_int_equal(failing.live, 0);
		assert_true(err == OK || err == ERR_NOMEM);
		assert_true(err == OK || left < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(separator_given),
		cmocka_unit_test(refused),
		cmocka_unit_test(caps),
		cmocka_unit_test(stopped),
		cmocka_unit_test(code_page),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
