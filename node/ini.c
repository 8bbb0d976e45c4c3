#include "node/ini.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"

enum { INI_LINE_MAX = 4096 };

struct parser {
	const char *file;
	unsigned line;
	const struct ini_section *sections, *section;
	size_t section_count;
	void *arg, *object;
	uint64_t keys_seen; /* of the open section, one bit each */
	char **heads;       /* "name" or "name argument" of every section so far */
	size_t head_count;
	struct errctx *ctx;
};

static enum err fail(struct parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum err fail(struct parser *parser, const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(parser->ctx, ERR_INVALID, "%s:%u: %s", parser->file, parser->line, text);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim(struct bytes text)
{
	while (text.size > 0 && is_space(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && is_space(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* "a, b, c": what would have been allowed. */
static const char *list_sections(const struct parser *parser, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < parser->section_count && at < size; i++) {
		const struct ini_section *section = &parser->sections[i];

		at += (size_t)snprintf(out + at, size - at, "%s[%s%s%s]", i == 0 ? "" : ", ",
			section->name, section->argument == NULL ? "" : " ",
			section->argument == NULL ? "" : section->argument);
	}
	return out;
}

static const char *list_keys(const struct ini_section *section, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < section->key_count && at < size; i++)
		at += (size_t)snprintf(
			out + at, size - at, "%s%s", i == 0 ? "" : ", ", section->keys[i].name);
	return out;
}

static enum err remember_head(struct parser *parser, struct bytes head)
{
	char **grown;
	char *copy;

	for (size_t i = 0; i < parser->head_count; i++) {
		if (bytes_equal_str(head, parser->heads[i]))
			return fail(parser, "section [%.*s] is there twice", BYTES_FMT(head));
	}
	grown = mem_resize(parser->heads, (parser->head_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	parser->heads = grown;
	copy = mem_zalloc(head.size + 1);
	if (copy == NULL)
		return ERR_NOMEM;
	memcpy(copy, head.data, head.size);
	parser->heads[parser->head_count++] = copy;
	return OK;
}

static const struct ini_section *find_section(const struct parser *parser, struct bytes name)
{
	for (size_t i = 0; i < parser->section_count; i++) {
		if (bytes_equal_str(name, parser->sections[i].name))
			return &parser->sections[i];
	}
	return NULL;
}

static enum err open_section(struct parser *parser, const char *argument)
{
	struct errctx why = {""};
	enum err err;

	parser->keys_seen = 0;
	parser->object = parser->arg;
	if (parser->section->open == NULL)
		return OK;
	err = parser->section->open(parser->arg, argument, parser->line, &parser->object, &why);
	if (err != OK)
		return err_set(parser->ctx, err, "%s:%u: [%s%s%s]: %s", parser->file, parser->line,
			parser->section->name, argument[0] == '\0' ? "" : " ", argument,
			err_message(&why, err));
	return OK;
}

static enum err parse_head(struct parser *parser, struct bytes line)
{
	char shown[128], list[256], head_text[INI_LINE_MAX];
	struct bytes head, name, argument = BYTES_NONE;
	size_t end;

	if (line.data[line.size - 1] != ']')
		return fail(parser, "a section's line ends with ']', found \"%s\"",
			text_escape(line, shown, sizeof(shown)));
	head = trim(bytes_make(line.data + 1, line.size - 2));
	for (end = 0; end < head.size && !is_space(head.data[end]); end++)
		;
	name = bytes_make(head.data, end);
	argument = trim(bytes_make(head.data + end, head.size - end));
	parser->section = find_section(parser, name);
	if (parser->section == NULL)
		return fail(parser, "unknown section [%s]; allowed: %s",
			text_escape(name, shown, sizeof(shown)),
			list_sections(parser, list, sizeof(list)));
	if (parser->section->argument != NULL && argument.size == 0)
		return fail(parser, "section [%s] needs %s: [%s %s]", parser->section->name,
			parser->section->argument, parser->section->name,
			parser->section->argument);
	if (parser->section->argument == NULL && argument.size != 0)
		return fail(parser, "section [%s] takes nothing behind its name, found \"%s\"",
			parser->section->name, text_escape(argument, shown, sizeof(shown)));
	/* One spelling for the comparison: a single space between the two. */
	snprintf(head_text, sizeof(head_text), "%s%s%.*s", parser->section->name,
		argument.size == 0 ? "" : " ", BYTES_FMT(argument));
	TRY(remember_head(parser, bytes_str(head_text)));
	return open_section(
		parser, head_text + strlen(parser->section->name) + (argument.size == 0 ? 0 : 1));
}

static enum err set_key(struct parser *parser, size_t position, struct bytes value)
{
	const struct ini_key *key = &parser->section->keys[position];
	struct errctx why = {""};
	char text[INI_LINE_MAX];
	enum err err;

	if ((parser->keys_seen & UINT64_C(1) << position) != 0)
		return fail(parser, "key '%s' is there twice in [%s]", key->name,
			parser->section->name);
	parser->keys_seen |= UINT64_C(1) << position;
	memcpy(text, value.data, value.size);
	text[value.size] = '\0';
	err = key->set(parser->object, key, text, &why);
	if (err != OK)
		return err_set(parser->ctx, err, "%s:%u: %s: %s", parser->file, parser->line,
			key->name, err_message(&why, err));
	return OK;
}

static enum err parse_key(struct parser *parser, struct bytes line)
{
	const uint8_t *equals = memchr(line.data, '=', line.size);
	char shown[128], list[256];
	struct bytes name, value;

	if (equals == NULL)
		return fail(parser, "found \"%s\"; allowed: [section], key = value, # comment",
			text_escape(line, shown, sizeof(shown)));
	name = trim(bytes_make(line.data, (size_t)(equals - line.data)));
	value = trim(bytes_make(equals + 1, line.size - (size_t)(equals + 1 - line.data)));
	if (parser->section == NULL)
		return fail(parser, "key '%s' stands before any section; allowed: %s",
			text_escape(name, shown, sizeof(shown)),
			list_sections(parser, list, sizeof(list)));
	for (size_t i = 0; i < parser->section->key_count; i++) {
		if (!bytes_equal_str(name, parser->section->keys[i].name))
			continue;
		if (value.size == 0)
			return fail(parser, "key '%s' has no value", parser->section->keys[i].name);
		return set_key(parser, i, value);
	}
	return fail(parser, "unknown key '%s' in [%s]; allowed: %s",
		text_escape(name, shown, sizeof(shown)), parser->section->name,
		list_keys(parser->section, list, sizeof(list)));
}

static enum err parse_line(struct parser *parser, struct bytes line)
{
	if (line.size >= INI_LINE_MAX)
		return fail(parser, "line longer than %d bytes", INI_LINE_MAX - 1);
	if (!utf8_valid(line))
		return fail(parser, "the line is not UTF-8");
	line = trim(line);
	for (size_t i = 0; i < line.size; i++) {
		if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] == 0x7f)
			return fail(parser, "control character 0x%02x", line.data[i]);
	}
	if (line.size == 0 || line.data[0] == '#')
		return OK;
	if (line.data[0] == '[')
		return parse_head(parser, line);
	return parse_key(parser, line);
}

enum err ini_parse(struct bytes text, const char *file, const struct ini_section *sections,
	size_t section_count, void *arg, struct errctx *ctx)
{
	struct parser parser = {
		.file = file,
		.sections = sections,
		.section_count = section_count,
		.arg = arg,
		.ctx = ctx,
	};
	enum err err = OK;

	while (text.size > 0 && err == OK) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data);

		parser.line++;
		err = parse_line(&parser, bytes_make(text.data, size));
		size += end != NULL;
		text = bytes_make(text.data + size, text.size - size);
	}
	for (size_t i = 0; i < parser.head_count; i++)
		mem_free(parser.heads[i]);
	mem_free(parser.heads);
	return err;
}
