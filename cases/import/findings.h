/*
 * findings: what is wrong with a table and its mapping, all of it in one run: LIMIT_TABLE_FINDINGS
 * are kept, the others counted. Each is one line, "FILE:LINE: what", and names columns, fields and
 * codes, never what a cell says.
 */
#ifndef CASES_IMPORT_FINDINGS_H
#define CASES_IMPORT_FINDINGS_H

#include "base/err.h"
#include "base/limits.h"

struct table_findings {
	size_t count; /* all of them */
	char text[LIMIT_TABLE_FINDINGS][512];
};

void table_findings_add(struct table_findings *errors, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
