#include "cli/qr.h"

#include <errno.h>
#include <qrencode.h>

#include "base/secret.h"

enum { QUIET = 4 /* modules around, as the standard wants */ };

static enum err encode(const char *text, QRcode **ret)
{
	QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 0);

	if (code == NULL)
		return errno == ENOMEM ? ERR_NOMEM : ERR_INVALID;
	*ret = code;
	return OK;
}

static void release(QRcode *code)
{
	wipe(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
}

/* Dark or light; what is around is light. */
static bool dark(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return false;
	return (code->data[y * code->width + x] & 1) != 0;
}

/* Light modules are drawn, so that it is right on a dark terminal; most readers take either. */
enum err qr_print(FILE *file, const char *text)
{
	static const char *const blocks[] = {"\xe2\x96\x88", "\xe2\x96\x80", "\xe2\x96\x84", " "};
	QRcode *code;

	TRY(encode(text, &code));
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		for (int x = -QUIET; x < code->width + QUIET; x++)
			fputs(blocks[2 * dark(code, x, y) + dark(code, x, y + 1)], file);
		fputc('\n', file);
	}
	release(code);
	return OK;
}

enum err qr_svg(struct buf *out, const char *text)
{
	QRcode *code;
	int size;

	TRY(encode(text, &code));
	size = code->width + 2 * QUIET;
	buf_printf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"60mm\" "
		"height=\"60mm\" shape-rendering=\"crispEdges\"><path d=\"",
		size, size);
	for (int y = 0; y < code->width; y++)
		for (int x = 0; x < code->width; x++)
			if (dark(code, x, y))
				buf_printf(out, "M%d,%dh1v1h-1z", x + QUIET, y + QUIET);
	buf_put_str(out, "\"/></svg>");
	release(code);
	return out->err;
}
