/* Made-up trees of /proc and /sys: what is encrypted, what is not, what cannot be told. */
#include "node_test.h"

#include <stdarg.h>
#include <sys/sysmacros.h>

#include "node/swap.h"

static char tree[PATH_MAX];

/* Numbers of devices and of the filesystems of files, by path. */
static struct {
	const char *path;
	bool block;
	unsigned major, minor;
} places[8];

static int fake_stat(const char *path, struct stat *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < 8 && places[i].path != NULL; i++) {
		if (strcmp(places[i].path, path) != 0)
			continue;
		ret->st_mode = places[i].block ? S_IFBLK : S_IFREG;
		*(places[i].block ? &ret->st_rdev : &ret->st_dev) =
			makedev(places[i].major, places[i].minor);
		return 0;
	}
	return -1;
}

static void place(
	unsigned n, const char *path, bool block, unsigned major_number, unsigned minor_number)
{
	places[n].path = path;
	places[n].block = block;
	places[n].major = major_number;
	places[n].minor = minor_number;
}

static void make_dirs(const char *path)
{
	char part[PATH_MAX];

	for (const char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		(void)mkdir(part, 0700);
	}
}

/* A file below the tree, with the directories above it. */
static void put(const char *text, const char *format, ...)
{
	char name[PATH_MAX / 4], path[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%.200s/%.800s", tree, name);
	make_dirs(path);
	put_file(path, text, 0600);
}

/* A device: sys/class/block/NAME, which sys/dev/block/MAJOR:MINOR points to. */
static void device(const char *name, unsigned major_number, unsigned minor_number)
{
	char link[PATH_MAX], target[PATH_MAX];

	put("1\n", "sys/class/block/%s/size", name);
	snprintf(
		link, sizeof(link), "%.200s/sys/dev/block/%u:%u", tree, major_number, minor_number);
	snprintf(target, sizeof(target), "../../class/block/%s", name);
	make_dirs(link);
	assert_int_equal(symlink(target, link), 0);
}

static void slave(const char *of, const char *name)
{
	put("", "sys/class/block/%s/slaves/%s", of, name);
}

static int setup(void **state)
{
	(void)state;
	memset(places, 0, sizeof(places));
	strcpy(test_dir, "/tmp/sauti-test-XXXXXX");
	if (mkdtemp(test_dir) == NULL)
		return -1;
	snprintf(tree, sizeof(tree), "%s/t", test_dir);
	put("", "proc/self/x");
	return 0;
}

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static struct swap_report report;

static size_t check(const char *swaps)
{
	char proc[PATH_MAX], sys[PATH_MAX];
	struct swap_roots roots = {proc, sys, fake_stat};

	snprintf(proc, sizeof(proc), "%.200s/proc", tree);
	snprintf(sys, sizeof(sys), "%.200s/sys", tree);
	if (swaps != NULL)
		put(swaps, "proc/swaps");
	swap_check(&roots, &report);
	return report.count;
}

static void says(size_t finding, const char *text)
{
	assert_true(finding < report.count);
	assert_string_equal(report.findings[finding], text);
}

static void test_none(void **state)
{
	struct errctx ctx = {""};

	(void)state;
	assert_int_equal(check(NULL), 0); /* a kernel without swap */
	assert_int_equal(check(""), 0);
	assert_int_equal(check(HEAD), 0);
	assert_int_equal(swap_refuse(&report, &ctx), OK);
}

static void test_partition(void **state)
{
	struct errctx ctx = {""};

	(void)state;
	device("sda2", 8, 2);
	put("2\n", "sys/class/block/sda2/partition");
	place(0, "/dev/sda2", true, 8, 2);
	/* The device above a partition is where its directory lies: here that is none. */
	assert_int_equal(
		check(HEAD "/dev/sda2                               partition\t100\t0\t-2\n"), 1);
	says(0, "swap on '/dev/sda2' is not encrypted");
	assert_int_equal(swap_refuse(&report, &ctx), ERR_DENIED);
	assert_says(ctx, "swap on '/dev/sda2' is not encrypted: what is read here");
	assert_says(ctx, "[lock] unencrypted_swap = allow");
}

static void test_kinds_of_mappings(void **state)
{
	static const struct {
		const char *uuid;
		size_t findings;
	} kinds[] = {
		{"CRYPT-LUKS2-0123-name\n", 0},
		{"CRYPT-LUKS1-0123-name\n", 0},
		{"CRYPT-PLAIN-swap\n", 0},
		{"CRYPT-TCRYPT-0123-name\n", 0},
		{"CRYPT-BITLK-0123-name\n", 0},
		{"CRYPT-VERITY-0123-name\n", 1},    /* checks, does not encrypt */
		{"CRYPT-INTEGRITY-0123-name\n", 1}, /* likewise */
		{"CRYPT-\n", 1},
		{"LVM-0123\n", 1},
		{"crypt-luks2-x\n", 1},
		{"", 1},
	};

	(void)state;
	device("dm-0", 254, 0);
	place(0, "/dev/dm-0", true, 254, 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		put(kinds[i].uuid, "sys/class/block/dm-0/dm/uuid");
		if (check(HEAD "/dev/dm-0 partition\t100\t0\t-2\n") != kinds[i].findings)
			fail_msg("'%s': %zu findings", kinds[i].uuid, report.count);
	}
}

/* A volume on two devices: both must be encrypted. */
static void test_volume(void **state)
{
	(void)state;
	device("dm-0", 254, 0);
	device("dm-1", 254, 1);
	device("dm-2", 254, 2);
	device("sda1", 8, 1);
	put("LVM-1\n", "sys/class/block/dm-2/dm/uuid");
	slave("dm-2", "dm-0");
	slave("dm-2", "dm-1");
	slave("dm-0", "sda1");
	slave("dm-1", "sda1");
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-0/dm/uuid");
	put("CRYPT-LUKS2-2\n", "sys/class/block/dm-1/dm/uuid");
	place(0, "/dev/dm-2", true, 254, 2);
	assert_int_equal(check(HEAD "/dev/dm-2 partition\t100\t0\t-2\n"), 0);
	put("LVM-2\n", "sys/class/block/dm-1/dm/uuid");
	assert_int_equal(check(NULL), 1);
	says(0, "swap on '/dev/dm-2' is not encrypted");
	put("CRYPT-LUKS2-2\n", "sys/class/block/dm-1/dm/uuid");
	slave("dm-2", "gone"); /* a device that is not there */
	assert_int_equal(check(NULL), 1);
	says(0, "whether swap on '/dev/dm-2' is encrypted cannot be told");
}

static void test_file(void **state)
{
	(void)state;
	device("dm-0", 254, 0);
	device("sda1", 8, 1);
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-0/dm/uuid");
	place(0, "/swap file\\", false, 254, 0);
	place(1, "/swapfile", false, 8, 1);
	place(2, "/btrfs", false, 0, 42); /* no device of its own */
	assert_int_equal(check(HEAD "/swap\\040file\\134 file\t100\t0\t-2\n"), 0);
	assert_int_equal(check(HEAD "/swap\\040file\\134 file\t1\t0\t-2\n/swapfile file\t1\t0\t-3\n"
				    "/btrfs file\t1\t0\t-4\n/gone\\040(deleted) file\t1\t0\t-5\n"),
		3);
	says(0, "swap on '/swapfile' is not encrypted");
	says(1, "whether swap on '/btrfs' is encrypted cannot be told");
	says(2, "whether swap on '/gone (deleted)' is encrypted cannot be told");
}

static void test_partition_of_a_mapping(void **state)
{
	char link[PATH_MAX];

	(void)state;
	device("md0", 9, 0);
	device("dm-0", 254, 0);
	slave("md0", "dm-0");
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-0/dm/uuid");
	put("1\n", "sys/class/block/md0/md0p1/partition");
	snprintf(link, sizeof(link), "%.200s/sys/dev/block/259:1", tree);
	assert_int_equal(symlink("../../class/block/md0/md0p1", link), 0);
	place(0, "/dev/md0p1", true, 259, 1);
	assert_int_equal(check(HEAD "/dev/md0p1 partition\t1\t0\t-2\n"), 0);
	put("LVM-1\n", "sys/class/block/dm-0/dm/uuid");
	assert_int_equal(check(NULL), 1);
}

static void test_zram(void **state)
{
	(void)state;
	device("zram0", 252, 0);
	device("sda1", 8, 1);
	put("0 0\n", "sys/class/block/zram0/mm_stat");
	place(0, "/dev/zram0", true, 252, 0);
	place(1, "/dev/sda1", true, 8, 1);
	assert_int_equal(check(HEAD "/dev/zram0 partition\t1\t0\t5\n"), 0);
	put("none\n", "sys/class/block/zram0/backing_dev");
	assert_int_equal(check(NULL), 0);
	put("/dev/sda1\n", "sys/class/block/zram0/backing_dev");
	assert_int_equal(check(NULL), 1);
	says(0, "swap on '/dev/zram0' is not encrypted");
}

static void test_loop(void **state)
{
	(void)state;
	device("loop0", 7, 0);
	device("dm-0", 254, 0);
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-0/dm/uuid");
	put("/home/image\n", "sys/class/block/loop0/loop/backing_file");
	place(0, "/dev/loop0", true, 7, 0);
	place(1, "/home/image", false, 254, 0);
	assert_int_equal(check(HEAD "/dev/loop0 partition\t1\t0\t5\n"), 0);
	place(1, "/home/image", true, 7, 0); /* itself: no end */
	assert_int_equal(check(NULL), 1);
	says(0, "whether swap on '/dev/loop0' is encrypted cannot be told");
}

/* A chain of devices at the cap, and one longer. */
static void test_depth(void **state)
{
	char name[16], below[16];

	(void)state;
	for (unsigned i = 0; i <= LIMIT_SWAP_DEPTH; i++) {
		snprintf(name, sizeof(name), "dm-%u", i);
		snprintf(below, sizeof(below), "dm-%u", i + 1);
		device(name, 254, i);
		slave(name, below);
	}
	place(0, "/dev/dm-0", true, 254, 0);
	snprintf(name, sizeof(name), "dm-%d", LIMIT_SWAP_DEPTH - 1);
	put("CRYPT-LUKS2-1\n", "sys/class/block/%s/dm/uuid", name);
	assert_int_equal(check(HEAD "/dev/dm-0 partition\t1\t0\t5\n"), 0);
	put("LVM-1\n", "sys/class/block/%s/dm/uuid", name);
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-%d/dm/uuid", LIMIT_SWAP_DEPTH);
	assert_int_equal(check(NULL), 1);
	says(0, "whether swap on '/dev/dm-0' is encrypted cannot be told");
}

static void test_breadth(void **state)
{
	char name[16];

	(void)state;
	device("md0", 9, 0);
	place(0, "/dev/md0", true, 9, 0);
	for (unsigned i = 0; i < LIMIT_SWAP_DEVICES; i++) {
		snprintf(name, sizeof(name), "dm-%u", i);
		device(name, 254, i);
		put("CRYPT-LUKS2-1\n", "sys/class/block/%s/dm/uuid", name);
		slave("md0", name);
	}
	assert_int_equal(check(HEAD "/dev/md0 partition\t1\t0\t5\n"), 0);
	device("dm-64", 254, 64);
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-64/dm/uuid");
	slave("md0", "dm-64");
	assert_int_equal(check(NULL), 1);
}

static void test_many_areas(void **state)
{
	char text[16 * 1024] = HEAD;

	(void)state;
	device("sda1", 8, 1);
	place(0, "/s", false, 8, 1);
	for (int i = 0; i < LIMIT_SWAPS; i++)
		strcat(text, "/s file\t1\t0\t5\n");
	assert_int_equal(check(text), LIMIT_SWAPS);
	strcat(text, "/s file\t1\t0\t5\n");
	assert_int_equal(check(text), LIMIT_SWAPS + 1);
	says(LIMIT_SWAPS, "there are more than 32 areas of swap");
}

static void test_bad_lines(void **state)
{
	static const char *const lines[] = {"\\ file\n", "\\04 file\n", "\\048 file\n",
		"\\000 file\n", "\\777 file\n", " file\n", "\n", "/a\\1"};
	char text[200], longest[PATH_MAX + 200] = HEAD;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		snprintf(text, sizeof(text), HEAD "%s", lines[i]);
		if (check(text) != 1 || strstr(report.findings[0], "cannot be read") == NULL)
			fail_msg("'%s' passed", lines[i]);
	}
	memset(longest + strlen(longest), 'a', PATH_MAX - 1); /* it is all zeros behind */
	assert_int_equal(check(longest), 1);
	assert_non_null(strstr(report.findings[0], "cannot be told"));
	strcat(longest, "a");
	assert_int_equal(check(longest), 1);
	assert_non_null(strstr(report.findings[0], "cannot be read"));
	/* Names are shown escaped. */
	assert_int_equal(check(HEAD "/a\\012\\033[31m file\t1\t0\t1\n"), 1);
	assert_null(strchr(report.findings[0], '\n'));
	assert_null(strchr(report.findings[0], '\033'));
}

static void test_no_proc(void **state)
{
	struct swap_roots roots = {"/nowhere/proc", "/nowhere/sys", fake_stat};

	(void)state;
	swap_check(&roots, &report);
	assert_int_equal(report.count, 1);
	says(0, "/nowhere/proc/swaps cannot be read: whether there is swap cannot be told");
}

static void test_hibernation(void **state)
{
	(void)state;
	device("sda2", 8, 2);
	device("dm-0", 254, 0);
	put("CRYPT-LUKS2-1\n", "sys/class/block/dm-0/dm/uuid");
	put("freeze mem\n", "sys/power/state");
	put("8:2\n", "sys/power/resume");
	assert_int_equal(check(HEAD), 0); /* this kernel does not hibernate */
	put("freeze mem disk\n", "sys/power/state");
	assert_int_equal(check(HEAD), 1);
	says(0, "hibernation would write memory to device 8:2, which is not encrypted");
	put("254:0\n", "sys/power/resume");
	assert_int_equal(check(HEAD), 0);
	put("0:0\n", "sys/power/resume");
	assert_int_equal(check(HEAD), 0);
	put("8:3\n", "sys/power/resume");
	assert_int_equal(check(HEAD), 1);
	says(0, "hibernation would write memory to device 8:3, of which it cannot be told whether "
		"it is encrypted");
	put("nothing\n", "sys/power/resume");
	assert_int_equal(check(HEAD), 1);
}

/* Of this machine there is nothing to be known, but that it is looked at without harm. */
static void test_this_machine(void **state)
{
	(void)state;
	swap_check(&swap_roots_system, &report);
	assert_true(report.count <= LIMIT_SWAPS + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, test_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_none),
		TEST(test_partition),
		TEST(test_kinds_of_mappings),
		TEST(test_volume),
		TEST(test_file),
		TEST(test_partition_of_a_mapping),
		TEST(test_zram),
		TEST(test_loop),
		TEST(test_depth),
		TEST(test_breadth),
		TEST(test_many_areas),
		TEST(test_bad_lines),
		TEST(test_no_proc),
		TEST(test_hibernation),
		TEST(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
