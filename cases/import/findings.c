#include "cases/import/findings.h"

#include <stdarg.h>
#include <stdio.h>

void table_findings_add(struct table_findings *errors, const char *format, ...)
{
	va_list args;

	if (errors->count < LIMIT_TABLE_FINDINGS) {
		va_start(args, format);
		vsnprintf(errors->text[errors->count], sizeof(errors->text[0]), format, args);
		va_end(args);
	}
	errors->count++;
}
