#include "node_test.h"

#include "node/ini.h"

/* A small table: [box] with two keys, [item NAME] with one. */
struct item {
	char name[32];
	char colour[32];
};
struct box {
	char label[32];
	char size[32];
	struct item items[3];
	size_t count;
	unsigned lines[3];
};

static enum err set_text(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	if (strlen(value) >= 32 || strcmp(value, "bad") == 0)
		return err_set(ctx, ERR_INVALID, "found \"%.10s\"; allowed: short", value);
	strcpy((char *)object + key->offset, value);
	return OK;
}

static enum err open_item(
	void *arg, const char *argument, unsigned line, void **ret, struct errctx *ctx)
{
	struct box *box = arg;

	if (box->count == 3)
		return err_set(ctx, ERR_LIMIT, "more than 3");
	box->lines[box->count] = line;
	snprintf(box->items[box->count].name, 32, "%s", argument);
	*ret = &box->items[box->count++];
	return OK;
}

static const struct ini_key box_keys[] = {
	{"label", set_text, offsetof(struct box, label), 0, 0},
	{"size", set_text, offsetof(struct box, size), 0, 0},
};
static const struct ini_key item_keys[] = {
	{"colour", set_text, offsetof(struct item, colour), 0, 0},
};
static const struct ini_section sections[] = {
	{"box", NULL, NULL, box_keys, 2},
	{"item", "NAME", open_item, item_keys, 1},
};

static enum err parse(const char *text, size_t size, struct box *box, struct errctx *ctx)
{
	memset(box, 0, sizeof(*box));
	ctx->text[0] = '\0';
	return ini_parse(bytes_make(text, size), "f.conf", sections, 2, box, ctx);
}

static void test_good(void **state)
{
	static const char text[] = "# comment = no key\n\n  [box]  \nlabel=a = b # c\n"
				   "\tsize \t=  7\t\r\n[item red]\ncolour = rouge\n"
				   "[item  blue]\n[ item green ]\ncolour = v\xc3\xa9rt";
	struct errctx ctx;
	struct box box;

	(void)state;
	assert_ok(parse(text, strlen(text), &box, &ctx));
	assert_string_equal(box.label, "a = b # c");
	assert_string_equal(box.size, "7");
	assert_int_equal(box.count, 3);
	assert_string_equal(box.items[1].name, "blue");
	assert_string_equal(box.items[1].colour, "");
	assert_string_equal(box.items[2].colour, "v\xc3\xa9rt");
	assert_int_equal(box.lines[0], 6);
	assert_ok(parse("", 0, &box, &ctx));
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"label = x\n", "f.conf:1: key 'label' stands before any section"},
		{"[box]\nlabel = x\nlabel = y\n", "f.conf:3: key 'label' is there twice in [box]"},
		{"[box]\n\n[box]\n", "f.conf:3: section [box] is there twice"},
		{"[item a]\n[item  a]\n", "f.conf:2: section [item a] is there twice"},
		{"[box]\nlable = x\n",
			"f.conf:2: unknown key 'lable' in [box]; allowed: label, size"},
		{"[boxes]\n", "f.conf:1: unknown section [boxes]; allowed: [box], [item NAME]"},
		{"[Box]\n", "unknown section"},
		{"[]\n", "unknown section []"},
		{"[\n", "a section's line ends with ']'"},
		{"[box\n", "f.conf:1: a section's line ends with ']'"},
		{"[box] x\n", "a section's line ends with ']'"},
		{"[box x]\n", "f.conf:1: section [box] takes nothing behind its name"},
		{"[item]\n", "f.conf:1: section [item] needs NAME"},
		{"[box]\nlabel\n", "f.conf:2: found \"label\"; allowed: [section], key = value"},
		{"[box]\nlabel =\n", "f.conf:2: key 'label' has no value"},
		{"[box]\n= x\n", "f.conf:2: unknown key ''"},
		{"[box]\nlabel = a\x01z\n", "f.conf:2: control character 0x01"},
		{"[box]\nlabel = a\x7f\n", "f.conf:2: control character 0x7f"},
		{"[box]\nlabel = \xff\n", "f.conf:2: the line is not UTF-8"},
		{"[box]\nlabel = bad\n", "f.conf:2: label: found \"bad\"; allowed: short"},
		{"; old comment\n", "f.conf:1: found"},
	};
	struct errctx ctx;
	struct box box;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			parse(cases[i].text, strlen(cases[i].text), &box, &ctx), ERR_INVALID);
		assert_says(ctx, cases[i].says);
	}
	assert_int_equal(parse("[box]\nlabel = a\0b\n", 18, &box, &ctx), ERR_INVALID);
	assert_says(ctx, "control character 0x00");
	assert_int_equal(
		parse("[item a]\n[item b]\n[item c]\n[item d]\n", 36, &box, &ctx), ERR_LIMIT);
	assert_says(ctx, "f.conf:4: [item d]: more than 3");
}

static void test_line_length(void **state)
{
	char text[4200];
	struct errctx ctx;
	struct box box;

	(void)state;
	memset(text, '#', sizeof(text));
	assert_ok(parse(text, 4095, &box, &ctx));
	assert_int_equal(parse(text, 4096, &box, &ctx), ERR_INVALID);
	assert_says(ctx, "f.conf:1: line longer than 4095 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_line_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
