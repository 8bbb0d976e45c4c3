#include "cli/audit/log.h"
#include "cli/audit/receipt.h"
#include "cli/audit/visit.h"

const struct audit_hook *const audit_hooks[] = {
	&audit_source_hook,
	&audit_visit_hook,
	&receipt_hook,
	NULL,
};
