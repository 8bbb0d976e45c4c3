/* report: what is in a backup, as JSON and in words. */
#ifndef SERVER_BACKUP_REPORT_H
#define SERVER_BACKUP_REPORT_H

#include <jansson.h>

#include "server/backup/backup.h"

/* {"<key>": path, "node":, "network":, "created":, "commits":, "store_format":, "entries":,
 * "bytes":, "log_count":, "logs": [..]}; NULL when memory is short. More than REPORT_LOGS logs
 * would not fit into an answer over the control socket: then "logs" is null, and BACKUP lists them.
 */
enum { REPORT_LOGS = 2000 };
json_t *report_json(const char *key, const char *path, const struct manifest *manifest);
uint64_t report_entries(const struct manifest *manifest);
uint64_t report_bytes(const struct manifest *manifest); /* of all files */

#endif
