#include "replication/audit/say.h"

#include <stdarg.h>
#include <stdio.h>

void finding_say(
	struct finding *ret, enum finding_kind kind, const char *origin, const char *format, ...)
{
	va_list args;

	*ret = (struct finding){.kind = kind};
	snprintf(ret->origin, sizeof(ret->origin), "%s", origin == NULL ? "" : origin);
	va_start(args, format);
	vsnprintf(ret->text, sizeof(ret->text), format, args);
	va_end(args);
}

void finding_index(struct finding *finding, uint64_t index)
{
	finding->has_index = true;
	finding->index = index;
}

void finding_prove(struct finding *finding, const char *name, struct bytes data)
{
	if (data.size == 0 || finding->proof_count == FINDING_PROOFS)
		return;
	finding->proofs[finding->proof_count++] = (struct finding_proof){name, data, false};
}
