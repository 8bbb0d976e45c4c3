/*
 * term: what the terminal can do, and text that fits it. Colours and strikes only on a terminal,
 * never with NO_COLOR or TERM=dumb; without a terminal lines are 80 wide and plain. All text from
 * elsewhere goes through output_text's rules (cli/output.h).
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stdio.h>

enum { TERM_WIDTH_MIN = 40, TERM_WIDTH_MAX = 110 };

struct term {
	FILE *file;
	bool tty;
	bool styled;
	unsigned width; /* columns */
};
struct term term_of(FILE *file);

enum term_style { TERM_PLAIN, TERM_BOLD, TERM_DIM, TERM_STRIKE, TERM_ALARM };
/* On: the style begins; TERM_PLAIN: it ends. Nothing where there are none. */
void term_style(const struct term *term, enum term_style style);
void term_put(const struct term *term, enum term_style style, const char *text);

/* Columns of a text, counting one for each character. */
unsigned term_columns(const char *text);
/* Inside a wrapped text: what stands between is struck: on a terminal by a line, else ~~so~~. */
#define TERM_STRIKE_BEGIN "\001"
#define TERM_STRIKE_END   "\002"

/* Words wrapped at the width, behind `indent` spaces; the first line continues at column `at`.
 * Line feeds stay. Ends with a line feed. */
void term_wrap(const struct term *term, unsigned indent, unsigned at, const char *text);

#endif
