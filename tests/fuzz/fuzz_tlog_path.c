/* Paths of the tlog-tiles layout: what is taken is written back as it was, and is a file that a log
 * can have. */
#include <assert.h>

#include "replication/log/tlog_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tlog_file file;
	char path[TLOG_PATH_SIZE];

	if (tlog_path_parse(bytes_make(data, size), &file) != OK)
		return 0;
	assert(file.width >= 1 && file.width <= TILE_WIDTH && file.id.level < TILE_LEVELS);
	tlog_path_format(&file, path);
	assert(bytes_equal_str(bytes_make(data, size), path));
	return 0;
}
