#include "cli/audit_log.h"
#include "cli/audit_visit.h"
#include "cli/receipt.h"

const struct audit_hook *const audit_hooks[] = {
	&audit_source_hook,
	&audit_visit_hook,
	&receipt_hook,
	NULL,
};
