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

/* One word, at most what fits into a line; a longer one is broken between characters. */
static size_t word_size(const char *text, unsigned room, unsigned *ret_columns)
{
	size_t size = 0;
	unsigned columns = 0;

	while (text[size] != '\0' && text[size] != ' ' && text[size] != '\n') {
		bool begins = ((unsigned char)text[size] & 0xc0) != 0x80;

		if (begins && columns == room)
			break;
		columns += begins;
		size++;
	}
	*ret_columns = columns;
	return size;
}

static void put_part(FILE *file, const char *text, size_t size)
{
	char word[4 * TERM_WIDTH_MAX + 8];

	if (size >= sizeof(word))
		size = sizeof(word) - 1;
	memcpy(word, text, size);
	word[size] = '\0';
	output_text(file, word, false);
}

void term_wrap(const struct term *term, unsigned indent, unsigned at, const char *text)
{
	unsigned room = term->width > indent + 20 ? term->width - indent : 20, left;
	bool begins = true; /* nothing stands in this line yet */

	left = at >= indent + room ? 0 : indent + room - at;
	while (*text != '\0') {
		unsigned columns;
		size_t size = word_size(text, room, &columns);

		if (columns + !begins > left) {
			fprintf(term->file, "\n%*s", (int)indent, "");
			left = room;
			begins = true;
		}
		if (!begins)
			fputc(' ', term->file);
		put_part(term->file, text, size);
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
