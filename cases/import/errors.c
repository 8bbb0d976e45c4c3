#include "cases/import/errors.h"

#include <stdarg.h>
#include <stdio.h>

void table_errors_add(struct table_errors *errors, const char *format, ...)
{
	va_list args;

	if (errors->count < LIMIT_TABLE_ERRORS) {
		va_start(args, format);
		vsnprintf(errors->text[errors->count], sizeof(errors->text[0]), format, args);
		va_end(args);
	}
	errors->count++;
}
