#include "cli/audit_log.h"

const struct audit_hook *const audit_hooks[] = {
	&audit_source_hook,
	NULL,
};
