#include "server/store/condition.h"

#include <stdio.h>

#define SAFE "what was acknowledged is safe and can be read, nothing new can be stored"

static const struct {
	const char *name, *text, *todo;
	bool probed;
} troubles[] = {
	[TROUBLE_NONE] = {"ok", "", "", false},
	[TROUBLE_REPLICAS_PAUSED] =
		{
			"replicas_paused",
			"replicas paused: disk nearly full; this node's own work goes on",
			"make room on the disk, or lower [store] reserve; replicas go on by "
			"themselves",
			true,
		},
	[TROUBLE_DISK_FULL] =
		{
			"disk_full",
			"the disk is full: " SAFE,
			"make room on the disk; the node goes on by itself",
			true,
		},
	[TROUBLE_MAP_FULL] =
		{
			"map_full",
			"the store has reached its largest size: " SAFE,
			"raise [store] map_size in sauti.conf and restart sautid",
			false,
		},
	[TROUBLE_IO] =
		{
			"io_error",
			"the disk reports errors: " SAFE,
			"look at the kernel's log, check the disk and its cable; the node tries "
			"again by itself",
			true,
		},
	[TROUBLE_READ_ONLY] =
		{
			"read_only",
			"the file system is read-only: " SAFE,
			"find out why (the kernel's log), check the file system, make it "
			"writable; the node goes on by itself, or start it again if it had to "
			"be stopped for that",
			true,
		},
	[TROUBLE_DENIED] =
		{
			"denied",
			"sautid may not write its own files: " SAFE,
			"give the user that runs sautid its directory back (owner, permissions, "
			"attributes); the node goes on by itself",
			true,
		},
	[TROUBLE_DAMAGED] =
		{
			"damaged",
			"the store's file is damaged: nothing new can be stored",
			"stop sautid, keep a copy of its directory as it is, run sautid --fsck",
			false,
		},
	[TROUBLE_RESTART] =
		{
			"restart_needed",
			"the disk failed in the middle of a commit: what was acknowledged is "
			"safe, but the store cannot be used before a restart",
			"check the disk, then restart sautid",
			false,
		},
};

const char *trouble_name(enum trouble trouble)
{
	return troubles[trouble].name;
}

const char *trouble_text(enum trouble trouble)
{
	return troubles[trouble].text;
}

const char *trouble_todo(enum trouble trouble)
{
	return troubles[trouble].todo;
}

bool trouble_probed(enum trouble trouble)
{
	return troubles[trouble].probed;
}

/* Nothing failed: is what was the matter over? A commit alone says nothing about a full disk or
 * map: LMDB writes over pages that it has freed. */
static enum trouble after_success(enum trouble before, const struct commit_report *report)
{
	bool writable = before == TROUBLE_NONE || before == TROUBLE_REPLICAS_PAUSED;

	if ((!writable && !report->committed) || before == TROUBLE_MAP_FULL ||
		(before == TROUBLE_DISK_FULL && !report->roomy))
		return before;
	if (report->room == ROOM_SHORT ||
		(before == TROUBLE_REPLICAS_PAUSED && report->room == ROOM_UNKNOWN))
		return TROUBLE_REPLICAS_PAUSED;
	return TROUBLE_NONE;
}

bool condition_report(
	struct condition *condition, const struct commit_report *report, uint64_t now_s)
{
	enum trouble before = condition->trouble, now = report->trouble;

	if (now == TROUBLE_NONE)
		now = after_success(before, report);
	if (now == before)
		return false;
	*condition = (struct condition){.trouble = now, .since_s = now_s};
	if (now != TROUBLE_NONE && report->cause != NULL && report->cause[0] != '\0')
		snprintf(condition->message, sizeof(condition->message), "%s (%.200s)",
			trouble_text(now), report->cause);
	else
		snprintf(condition->message, sizeof(condition->message), "%s", trouble_text(now));
	return true;
}
