#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_name(enum err code)
{
	switch (code) {
	case OK:
		return "ok";
#define X(code, name, text)                                                                        \
	case code:                                                                                 \
		return name;
		ERR_CODES(X)
#undef X
	}
	return "unknown";
}

const char *err_text(enum err code)
{
	switch (code) {
	case OK:
		return "no error";
#define X(code, name, text)                                                                        \
	case code:                                                                                 \
		return text;
		ERR_CODES(X)
#undef X
	}
	return "unknown error";
}

/* Both writers format into a copy first: an argument may be the old text of ctx. */

enum err err_set(struct errctx *ctx, enum err code, const char *format, ...)
{
	struct errctx fresh = {""};
	va_list args;

	if (ctx == NULL)
		return code;
	va_start(args, format);
	vsnprintf(fresh.text, sizeof(fresh.text), format, args);
	va_end(args);
	*ctx = fresh;
	return code;
}

/* Appends what fits. */
static void text_add(struct errctx *ctx, const char *more)
{
	size_t used = strlen(ctx->text);
	size_t size = strnlen(more, sizeof(ctx->text) - 1 - used);

	memcpy(ctx->text + used, more, size);
	ctx->text[used + size] = '\0';
}

enum err err_wrap(struct errctx *ctx, enum err code, const char *format, ...)
{
	struct errctx fresh = {""};
	va_list args;

	if (ctx == NULL)
		return code;
	va_start(args, format);
	vsnprintf(fresh.text, sizeof(fresh.text), format, args);
	va_end(args);
	text_add(&fresh, ": ");
	text_add(&fresh, err_message(ctx, code));
	*ctx = fresh;
	return code;
}

const char *err_message(const struct errctx *ctx, enum err code)
{
	return ctx == NULL || ctx->text[0] == '\0' ? err_text(code) : ctx->text;
}
