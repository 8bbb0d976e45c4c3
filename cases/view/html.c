#include "cases/view/html.h"

#include "base/text.h"

static const char replacement[] = "\xef\xbf\xbd";

static const char *escaped(uint8_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\n':
		return NULL;
	default:
		return c < 0x20 || c == 0x7f ? replacement : NULL;
	}
}

/* Of one character: U+0080-009F, U+200E, U+200F, U+2028-202E, U+2066-2069, U+FEFF, U+061C. */
static bool harmful(struct bytes c)
{
	uint32_t point;

	if (c.size == 2) {
		point = (uint32_t)(c.data[0] & 0x1f) << 6 | (c.data[1] & 0x3f);
		return point < 0xa0 || point == 0x61c;
	}
	if (c.size != 3)
		return false;
	point = (uint32_t)(c.data[0] & 0x0f) << 12 | (uint32_t)(c.data[1] & 0x3f) << 6 |
		(c.data[2] & 0x3f);
	return point == 0x200e || point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

static size_t sequence_size(uint8_t first)
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

void html_put_text(struct buf *out, struct bytes text)
{
	if (!utf8_valid(text)) {
		buf_put_str(out, replacement);
		return;
	}
	for (size_t i = 0; i < text.size;) {
		struct bytes c = bytes_make(text.data + i, sequence_size(text.data[i]));
		const char *instead = c.size == 1 ? escaped(c.data[0]) : NULL;

		if (harmful(c))
			instead = replacement;
		buf_put(out, instead != NULL ? bytes_str(instead) : c);
		i += c.size;
	}
}
