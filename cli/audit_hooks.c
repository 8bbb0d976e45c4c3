#include "cli/audit_log.h"
#include "cli/audit_visit.h"

const struct audit_hook *const audit_hooks[] = {
	&audit_source_hook,
	&audit_visit_hook,
	NULL,
};
