#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/output.h"

static unsigned width_of(int fd, bool tty)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");
	long width = columns == NULL ? 0 : strtol(columns, NULL, 10);

	if (tty && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	if (width <= 0)
		width = 80;
	return width < TERM_WIDTH_MIN   ? TERM_WIDTH_MIN
	       : width > TERM_WIDTH_MAX ? TERM_WIDTH_MAX
					: (unsigned)width;
}

struct term term_of(FILE *file)
{
	const char *plain = getenv("NO_COLOR"), *name = getenv("TERM");
	bool tty = isatty(fileno(file)) == 1;

	return (struct term){
		.file = file,
		.tty = tty,
		.styled = tty && (plain == NULL || plain[0] == '\0') && name != NULL &&
			  name[0] != '\0' && strcmp(name, "dumb") != 0,
		.width = width_of(fileno(file), tty),
	};
}

void term_style(const struct term *term, enum term_style style)
{
	static const char *const codes[] = {[TERM_PLAIN] = "\033[0m",
		[TERM_BOLD] = "\033[1m",
		[TERM_DIM] = "\033[2m",
		[TERM_STRIKE] = "\033[9m",
		[TERM_ALARM] = "\033[1;31m"};

	if (term->styled)
		fputs(codes[style], term->file);
}

void term_put(const struct term *term, enum term_style style, const char *text)
{
	if (style != TERM_PLAIN)
		term_style(term, style);
	output_text(term->file, text, false);
	if (style != TERM_PLAIN)
		term_style(term, TERM_PLAIN);
}

unsigned term_columns(const char *text)
{
	unsigned columns = 0;

	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

static bool is_mark(char c)
{
	return c == TERM_STRIKE_BEGIN[0] || c == TERM_STRIKE_END[0];
}

static unsigned char_columns(const struct term *term, char c)
{
	if (is_mark(c))
		return term->styled ? 0 : 2;
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* One word, at most what fits into a line; a longer one is broken between characters. */
static size_t word_size(
	const struct term *term, const char *text, unsigned room, unsigned *ret_columns)
{
	size_t size = 0;
	unsigned columns = 0;

	while (text[size] != '\0' && text[size] != ' ' && text[size] != '\n') {
		unsigned more = char_columns(term, text[size]);

		if (more > 0 && columns + more > room)
			break;
		columns += more;
		size++;
	}
	*ret_columns = columns;
	return size;
}

static void put_mark(const struct term *term, char c)
{
	if (term->styled)
		term_style(term, c == TERM_STRIKE_BEGIN[0] ? TERM_STRIKE : TERM_PLAIN);
	else
		fputs("~~", term->file);
}

static void put_part(const struct term *term, const char *text, size_t size)
{
	char word[4 * TERM_WIDTH_MAX + 8];
	size_t n = 0;

	for (size_t i = 0; i <= size; i++) {
		if (i < size && !is_mark(text[i]) && n + 1 < sizeof(word)) {
			word[n++] = text[i];
			continue;
		}
		word[n] = '\0';
		output_text(term->file, word, false);
		n = 0;
		if (i < size && is_mark(text[i]))
			put_mark(term, text[i]);
	}
}

void term_wrap(const struct term *term, unsigned indent, unsigned at, const char *text)
{
	unsigned room = term->width > indent + 20 ? term->width - indent : 20, left;
	bool begins = true; /* nothing stands in this line yet */

	left = at >= indent + room ? 0 : indent + room - at;
	while (*text != '\0') {
		unsigned columns;
		size_t size = word_size(term, text, room, &columns);

		if (columns + !begins > left) {
			fprintf(term->file, "\n%*s", (int)indent, "");
			left = room;
			begins = true;
		}
		if (!begins)
			fputc(' ', term->file);
		put_part(term, text, size);
		left -= columns + !begins < left ? columns + !begins : left;
		begins = false;
		text += size;
		if (*text == '\n') {
			fprintf(term->file, "\n%*s", (int)indent, "");
			left = room;
			begins = true;
		}
		if (*text == ' ' || *text == '\n')
			text++;
	}
	fputc('\n', term->file);
}
