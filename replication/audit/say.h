/* say: how findings are put together. */
#ifndef REPLICATION_AUDIT_SAY_H
#define REPLICATION_AUDIT_SAY_H

#include "replication/audit/finding.h"

/* Sets all of it: no index, no proofs. origin is cut where it is too long; NULL: of no log. */
void finding_say(struct finding *ret, enum finding_kind kind, const char *origin,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
void finding_index(struct finding *finding, uint64_t index);
/* Borrowed; name is static. Nothing is added of empty bytes, nor past FINDING_PROOFS. */
void finding_prove(struct finding *finding, const char *name, struct bytes data);

#endif
