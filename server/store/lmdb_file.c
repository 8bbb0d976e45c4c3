/*
 * The happy path of a walk:
 *
 *	1. both heads are read; the newer one counts
 *	2. the tree of tables is walked, and in its leaves each table's own tree
 *	3. the tree of free pages is walked: no page in its lists is used by a tree
 *	4. the list of the newest transaction is there: the newer head is not an older one whose
 *	   number was changed, nor the older one one whose number was raised
 *
 * Pages that are neither used nor free are no damage: LMDB 0.9.24 can lose some when a transaction
 * spills. Bytes that nothing reads (free pages, the gap in a page, the key of a branch's first
 * node) are not looked at.
 */
#include "server/store/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

/* As in mdb.c: numbers in the machine's own order and width. */
typedef size_t page_number;

enum {
	HEADS = 2,
	HEAD_MAGIC_VERSION = 1,
	PAGE_BRANCH = 0x01,
	PAGE_LEAF = 0x02,
	PAGE_OVERFLOW = 0x04,
	PAGE_HEAD = 0x08,
	NODE_BIG = 0x01,
	NODE_TABLE = 0x02,
	TREE_INTEGER_KEYS = 0x08,
	TREE_NO_DIRECTORY = 0x4000, /* of how the file was made (env.c); it means nothing later */
	PAGE_SIZE_MIN = 512,
	PAGE_SIZE_MAX = 32768,
	DEPTH_MAX = 32,
	KEY_MAX = 511,
	PROGRESS_PAGES = 4096,
};
#define HEAD_MAGIC UINT32_C(0xBEEFC0DE)
#define PAGE_NONE  (~(page_number)0)

struct page_header {
	page_number number;
	uint16_t pad, flags;
	uint16_t lower, upper; /* overflow: their 32 bits are a count of pages */
};

struct tree {
	uint32_t pad; /* of the tree of free pages: the page size */
	uint16_t flags, depth;
	page_number branches, leaves, overflows;
	size_t entries;
	page_number root;
};

struct head {
	uint32_t magic, version;
	uintptr_t address;
	size_t map_size;
	struct tree free, tables;
	page_number last;
	size_t transaction;
};

struct node_header {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint16_t low, high; /* leaf: size of the value; branch: page below, flags on top */
#else
	uint16_t high, low;
#endif
	uint16_t flags, key_size;
};

struct node {
	struct node_header header;
	struct bytes key;
	const uint8_t *value; /* of a leaf: value_size bytes, or a page number when it is big */
	size_t value_size;
	page_number below; /* of a branch */
};

/* Heads. */

struct heads {
	struct head head[HEADS];
	unsigned newer;
	uint64_t file_size;
};

static enum err head_read(
	int fd, unsigned number, uint64_t at, struct head *ret, struct errctx *ctx)
{
	struct {
		struct page_header page;
		struct head head;
	} raw;
	ssize_t n = pread(fd, &raw, sizeof(raw), (off_t)at);

	if (n < 0)
		return err_set(ctx, ERR_IO, "%s cannot be read: %m", LMDB_FILE_NAME);
	if ((size_t)n < sizeof(raw))
		return err_set(ctx, ERR_CORRUPT,
			"%s is cut short: it ends within its heads, at %" PRIu64 " bytes",
			LMDB_FILE_NAME, at + (uint64_t)n);
	*ret = raw.head;
	if (raw.head.magic == HEAD_MAGIC && raw.head.version != HEAD_MAGIC_VERSION)
		return err_set(ctx, ERR_VERSION, "%s: head %u is of version %u of LMDB's format",
			LMDB_FILE_NAME, number, (unsigned)raw.head.version);
	if (raw.head.magic != HEAD_MAGIC || raw.page.flags != PAGE_HEAD ||
		raw.page.number != number)
		return err_set(
			ctx, ERR_CORRUPT, "head %u of %s is damaged", number, LMDB_FILE_NAME);
	return OK;
}

static bool page_size_ok(uint32_t size)
{
	return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

static enum err head_check(
	const struct heads *heads, unsigned number, uint64_t page_size, struct errctx *ctx)
{
	const struct head *head = &heads->head[number];
	const char *wrong = NULL;

	if (head->free.pad != page_size)
		wrong = "page size";
	else if ((head->free.flags & ~TREE_NO_DIRECTORY) != TREE_INTEGER_KEYS ||
		 head->tables.flags != 0 || head->tables.pad != 0)
		wrong = "flags";
	else if (head->last < HEADS - 1 || head->last >= UINT64_MAX / page_size - 1)
		wrong = "last page";
	else if (head->free.depth > DEPTH_MAX || head->tables.depth > DEPTH_MAX)
		wrong = "depth";
	if (wrong == NULL)
		return OK;
	return err_set(ctx, ERR_CORRUPT, "head %u of %s is damaged: its %s is not possible", number,
		LMDB_FILE_NAME, wrong);
}

/* Head n is written by transactions n, n + 2, n + 4 .. so the two follow each other. */
static enum err transactions_check(struct heads *heads, struct errctx *ctx)
{
	size_t even = heads->head[0].transaction, odd = heads->head[1].transaction;
	bool fresh = even == 0 && odd == 0;

	heads->newer = odd > even ? 1 : 0;
	if (fresh || (even % 2 == 0 && (odd == even + 1 || odd + 1 == even)))
		return OK;
	return err_set(ctx, ERR_CORRUPT,
		"the heads of %s do not follow each other: transactions %zu and %zu",
		LMDB_FILE_NAME, even, odd);
}

static enum err heads_read(int fd, struct heads *ret, struct errctx *ctx)
{
	struct errctx second = {""};
	enum err err, err2;
	uint32_t page_size;

	if (ret->file_size < sizeof(struct page_header) + sizeof(struct head))
		return err_set(ctx, ERR_CORRUPT,
			"%s is cut short: its %" PRIu64 " bytes are less than a head",
			LMDB_FILE_NAME, ret->file_size);
	err = head_read(fd, 0, 0, &ret->head[0], ctx);
	page_size = ret->head[0].free.pad;
	if (err == ERR_CORRUPT || !page_size_ok(page_size))
		page_size = (uint32_t)sysconf(_SC_PAGESIZE); /* where the other would be */
	err2 = head_read(fd, 1, page_size, &ret->head[1], &second);
	if (err == ERR_CORRUPT && err2 == ERR_CORRUPT && ret->head[0].magic != HEAD_MAGIC &&
		ret->head[1].magic != HEAD_MAGIC)
		return err_set(ctx, ERR_CORRUPT,
			"%s is not a file of LMDB, or both of its heads are damaged",
			LMDB_FILE_NAME);
	/* Another LMDB writes its version into both. */
	if ((err == ERR_VERSION) != (err2 == ERR_VERSION))
		return err_set(ctx, ERR_CORRUPT,
			"head %u of %s is damaged: its version is not possible",
			err == ERR_VERSION ? 0 : 1, LMDB_FILE_NAME);
	TRY(err);
	if (err2 != OK) {
		if (ctx != NULL)
			*ctx = second;
		return err2;
	}
	TRY(head_check(ret, 0, page_size, ctx));
	TRY(head_check(ret, 1, page_size, ctx));
	return transactions_check(ret, ctx);
}

/* fd -1 and file_size 0: there is none. */
static enum err file_open(int directory,
	enum err (*read_heads)(int fd, struct heads *ret, struct errctx *ctx), int *ret_fd,
	struct heads *ret, struct errctx *ctx)
{
	int fd = openat(directory, LMDB_FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	enum err err;

	*ret = (struct heads){.file_size = 0};
	*ret_fd = -1;
	if (fd < 0 && errno == ENOENT)
		return OK;
	if (fd < 0)
		return err_set(ctx, errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_IO,
			"open %s: %m", LMDB_FILE_NAME);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(ctx, ERR_CORRUPT, "%s is not a file", LMDB_FILE_NAME);
	}
	ret->file_size = (uint64_t)st.st_size;
	err = ret->file_size == 0 ? OK : read_heads(fd, ret, ctx);
	if (err != OK || ret->file_size == 0)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

/* The walk. */

struct counts {
	page_number branches, leaves, overflows;
	size_t entries;
};

struct walker {
	const uint8_t *map;
	size_t map_size;
	size_t page_size;
	page_number pages;    /* by the head */
	page_number whole;    /* of them in the file */
	uint8_t *used, *free; /* a bit a page */
	size_t free_newest;   /* the highest transaction in the tree of free pages */
	const char *table;    /* that is being walked */
	bool integer_keys;    /* of the tree that is being walked */
	struct counts counts; /* of the tree that is being walked */
	bool bad;
	bool missing; /* a page that is used is behind the end of the file */
	unsigned unreported_pages;
	const struct lmdb_walk *to;
};

/* Where a page hangs: levels below it (1: a leaf), and the keys it may hold. */
struct place {
	unsigned depth;
	struct bytes low, high;
};

static void found(struct walker *w, const struct place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void found(struct walker *w, const struct place *place, const char *format, ...)
{
	struct lmdb_finding finding = {.table = w->table};
	char text[200];
	va_list args;

	w->bad = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding.text = text;
	if (place != NULL) {
		finding.low = place->low;
		finding.high = place->high;
	}
	if (w->to->found != NULL)
		w->to->found(w->to->arg, &finding);
}

static bool bit_get(const uint8_t *bits, page_number n)
{
	return (bits[n / 8] >> n % 8 & 1) != 0;
}

static void bit_set(uint8_t *bits, page_number n)
{
	bits[n / 8] = (uint8_t)(bits[n / 8] | 1U << n % 8);
}

static void page_passed(struct walker *w)
{
	if (++w->unreported_pages < PROGRESS_PAGES)
		return;
	if (w->to->progress != NULL)
		w->to->progress(w->to->arg, w->unreported_pages);
	w->unreported_pages = 0;
}

/* Takes pages for the tree that is being walked; false when they cannot be its. */
static bool pages_take(
	struct walker *w, page_number first, page_number count, const struct place *place)
{
	if (first < HEADS || first >= w->pages || count > w->pages - first) {
		found(w, place, "page %zu, which is not there, is pointed at", first);
		return false;
	}
	if (first >= w->whole || count > w->whole - first) {
		w->missing = true;
		found(w, place, "page %zu is behind the end of the file", first);
		return false;
	}
	for (page_number n = first; n < first + count; n++) {
		if (bit_get(w->used, n) || bit_get(w->free, n)) {
			found(w, place, "page %zu is in use twice", n);
			return false;
		}
		bit_set(w->used, n);
		page_passed(w);
	}
	return true;
}

static const uint8_t *page_at(const struct walker *w, page_number number)
{
	return w->map + number * w->page_size;
}

static int key_compare(const struct walker *w, struct bytes a, struct bytes b)
{
	size_t left, right;

	if (!w->integer_keys)
		return bytes_compare(a, b);
	memcpy(&left, a.data, sizeof(left));
	memcpy(&right, b.data, sizeof(right));
	return (left > right) - (left < right);
}

static bool key_ok(const struct walker *w, struct bytes key)
{
	return w->integer_keys ? key.size == sizeof(size_t) : key.size > 0 && key.size <= KEY_MAX;
}

/* Reads node i; false when it does not lie whole within [upper, page_size). *ret_size is what it
 * takes of the page. */
static inline bool node_read(const struct walker *w, const uint8_t *page,
	const struct page_header *header, unsigned i, struct node *ret, size_t *ret_size)
{
	uint16_t at;
	size_t size, room;

	memcpy(&at, page + sizeof(*header) + (size_t)i * sizeof(at), sizeof(at));
	if (at < header->upper || at % 2 != 0 || at + sizeof(struct node_header) > w->page_size)
		return false;
	memcpy(&ret->header, page + at, sizeof(ret->header));
	room = w->page_size - at;
	size = sizeof(struct node_header) + ret->header.key_size;
	ret->key = bytes_make(page + at + sizeof(struct node_header), ret->header.key_size);
	if (header->flags == PAGE_BRANCH) {
		ret->below = (page_number)ret->header.low | (page_number)ret->header.high << 16;
		if (sizeof(page_number) > 4)
			ret->below |= (page_number)((uint64_t)ret->header.flags << 32);
	} else {
		ret->value = ret->key.data + ret->key.size;
		ret->value_size = (size_t)ret->header.low | (size_t)ret->header.high << 16;
		size += (ret->header.flags & NODE_BIG) ? sizeof(page_number) : ret->value_size;
	}
	*ret_size = size + size % 2;
	return *ret_size <= room;
}

static void tree_walk(
	struct walker *w, const struct tree *tree, const char *table, bool integer_keys);

/* A value on pages of its own; *ret is untouched when it is not whole. */
static void overflow_walk(
	struct walker *w, const struct node *node, const struct place *place, struct bytes *ret)
{
	struct page_header header;
	page_number first, needed;
	uint32_t count;

	memcpy(&first, node->value, sizeof(first));
	if (first < HEADS || first >= w->whole) {
		(void)pages_take(w, first, 1, place);
		return;
	}
	memcpy(&header, page_at(w, first), sizeof(header));
	memcpy(&count, &header.lower, sizeof(count));
	needed = (sizeof(header) + node->value_size - 1) / w->page_size + 1;
	if (header.number != first || header.flags != PAGE_OVERFLOW || count < needed) {
		found(w, place, "overflow page %zu is damaged", first);
		return;
	}
	if (!pages_take(w, first, count, place))
		return;
	w->counts.overflows += count;
	*ret = bytes_make(page_at(w, first) + sizeof(header), node->value_size);
}

/* What one transaction freed: a count, then page numbers, highest first. */
static void free_list_walk(struct walker *w, struct bytes value, const struct place *place)
{
	page_number count, number, before = w->pages;
	size_t room = value.size / sizeof(number);

	if (room > 0)
		memcpy(&count, value.data, sizeof(count));
	if (room == 0 || count > room - 1) {
		found(w, place, "a list of free pages is damaged");
		return;
	}
	for (size_t i = 1; i <= count; i++) {
		memcpy(&number, value.data + i * sizeof(number), sizeof(number));
		if (number < HEADS || number >= before) {
			found(w, place, "a list of free pages is not in order");
			return;
		}
		if (bit_get(w->used, number) || bit_get(w->free, number)) {
			found(w, place, "page %zu is in use and free", number);
			return;
		}
		bit_set(w->free, number);
		before = number;
	}
}

static void table_walk(struct walker *w, const struct node *node, const struct place *place)
{
	struct walker outer = *w;
	char name[64];
	struct tree tree;

	if (node->header.flags != NODE_TABLE || node->value_size != sizeof(tree) ||
		node->key.size >= sizeof(name)) {
		found(w, place, "the table of tables is damaged");
		return;
	}
	memcpy(&tree, node->value, sizeof(tree));
	memcpy(name, node->key.data, node->key.size);
	name[node->key.size] = '\0';
	if (tree.flags != 0 || tree.pad != 0) {
		found(w, place, "the table of tables is damaged");
		return;
	}
	tree_walk(w, &tree, name, false);
	w->table = outer.table;
	w->counts = outer.counts;
	w->integer_keys = outer.integer_keys;
}

static void leaf_node_walk(struct walker *w, const struct node *node, const struct place *place)
{
	struct bytes value = BYTES_NONE;

	w->counts.entries++;
	if (!w->integer_keys && w->table[0] == '\0') {
		table_walk(w, node, place);
		return;
	}
	if ((node->header.flags & ~NODE_BIG) != 0) {
		found(w, place, "a node has flags that it cannot have");
		return;
	}
	if (node->header.flags & NODE_BIG)
		overflow_walk(w, node, place, &value);
	else
		value = bytes_make(node->value, node->value_size);
	if (!w->integer_keys)
		return;
	memcpy(&w->free_newest, node->key.data, sizeof(w->free_newest));
	if (value.data != NULL)
		free_list_walk(w, value, place);
}

static void page_walk(struct walker *w, page_number number, const struct place *place);

/* The nodes fill [upper, page_size) without a gap; their keys are in order and within the place's,
 * but for the first of a branch, which is not read. *ret_plain: no node has flags. */
static bool nodes_check(const struct walker *w, const uint8_t *page,
	const struct page_header *header, unsigned count, const struct place *place,
	bool *ret_plain)
{
	bool branch = header->flags == PAGE_BRANCH, strictly = false;
	struct bytes before = place->low;
	size_t sum = 0, size;
	uint16_t flags = 0;
	struct node node = {.below = 0};

	for (unsigned i = 0; i < count; i++) {
		if (!node_read(w, page, header, i, &node, &size))
			return false;
		sum += size;
		flags |= node.header.flags;
		if (branch && i == 0)
			continue;
		if (!key_ok(w, node.key))
			return false;
		if (before.size > 0 && key_compare(w, before, node.key) >= (strictly ? 0 : 1))
			return false;
		before = node.key;
		strictly = true;
	}
	*ret_plain = flags == 0;
	return sum == w->page_size - header->upper &&
	       (!strictly || place->high.size == 0 || key_compare(w, before, place->high) < 0);
}

/* The pages of a tree do not lie behind each other: the next one is asked for in time. */
static void page_prefetch(const struct walker *w, page_number number)
{
	enum { LINE = 64 };

	for (size_t at = 0; number < w->whole && at < w->page_size; at += LINE)
		__builtin_prefetch(page_at(w, number) + at);
}

static void branch_walk(struct walker *w, const uint8_t *page, const struct page_header *header,
	unsigned count, const struct place *place)
{
	struct place below = {place->depth - 1, place->low, place->high};
	struct node node = {.below = 0}, next = {.below = 0};
	size_t size;

	w->counts.branches++;
	(void)node_read(w, page, header, 0, &node, &size);
	for (unsigned i = 0; i < count; i++, node = next) {
		below.high = place->high;
		if (i + 1 < count) {
			(void)node_read(w, page, header, i + 1, &next, &size);
			below.high = next.key;
		}
		page_prefetch(w, next.below);
		page_walk(w, node.below, &below);
		below.low = below.high;
	}
}

static void leaf_walk(struct walker *w, const uint8_t *page, const struct page_header *header,
	unsigned count, bool plain, const struct place *place)
{
	struct node node = {.below = 0};
	size_t size;

	w->counts.leaves++;
	if (plain && w->table[0] != '\0') {
		w->counts.entries += count; /* nothing hangs on them */
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		(void)node_read(w, page, header, i, &node, &size);
		leaf_node_walk(w, &node, place);
	}
}

static void page_walk(struct walker *w, page_number number, const struct place *place)
{
	uint16_t flags = place->depth > 1 ? PAGE_BRANCH : PAGE_LEAF;
	struct page_header header;
	const uint8_t *page;
	unsigned count;
	bool plain;

	if (!pages_take(w, number, 1, place))
		return;
	page = page_at(w, number);
	memcpy(&header, page, sizeof(header));
	if (header.number != number || header.flags != flags ||
		header.lower < sizeof(header) + sizeof(uint16_t) || header.lower % 2 != 0 ||
		header.upper < header.lower || header.upper > w->page_size) {
		found(w, place, "page %zu is damaged", number);
		return;
	}
	count = (unsigned)((header.lower - sizeof(header)) / sizeof(uint16_t));
	if (!nodes_check(w, page, &header, count, place, &plain))
		found(w, place, "page %zu is damaged", number);
	else if (flags == PAGE_BRANCH)
		branch_walk(w, page, &header, count, place);
	else
		leaf_walk(w, page, &header, count, plain, place);
}

static void tree_walk(
	struct walker *w, const struct tree *tree, const char *table, bool integer_keys)
{
	struct place place = {.depth = tree->depth};
	bool bad = w->bad;

	w->table = table;
	w->integer_keys = integer_keys;
	w->counts = (struct counts){0};
	if (tree->root == PAGE_NONE && tree->depth == 0) {
		/* empty */
	} else if (tree->depth == 0 || tree->depth > DEPTH_MAX) {
		found(w, &place, "its depth is not possible");
	} else {
		w->bad = false;
		page_walk(w, tree->root, &place);
	}
	if (!w->bad && (w->counts.branches != tree->branches || w->counts.leaves != tree->leaves ||
			       w->counts.overflows != tree->overflows ||
			       w->counts.entries != tree->entries))
		found(w, &place, "its counts are not what is there");
	w->bad |= bad;
}

/* The highest key of a tree of free pages, without a word about what is wrong. */
static bool free_newest_peek(const struct walker *w, const struct tree *tree, size_t *ret)
{
	page_number number = tree->root;
	struct page_header header;
	struct node node = {.below = 0};
	size_t size;

	if (tree->root == PAGE_NONE || tree->depth == 0)
		return false;
	for (unsigned depth = tree->depth;; depth--) {
		uint16_t flags = depth > 1 ? PAGE_BRANCH : PAGE_LEAF;
		const uint8_t *page;

		if (number < HEADS || number >= w->whole)
			return false;
		page = page_at(w, number);
		memcpy(&header, page, sizeof(header));
		if (header.number != number || header.flags != flags ||
			header.lower < sizeof(header) + sizeof(uint16_t) ||
			header.lower > w->page_size || header.upper > w->page_size)
			return false;
		if (!node_read(w, page, &header,
			    (unsigned)((header.lower - sizeof(header)) / sizeof(uint16_t)) - 1,
			    &node, &size))
			return false;
		if (depth == 1)
			break;
		number = node.below;
	}
	if (node.key.size != sizeof(*ret))
		return false;
	memcpy(ret, node.key.data, sizeof(*ret));
	return true;
}

/* A transaction that changes something frees something, but for the first. So the newest list shows
 * whether a head's number is its own: one changed bit could make the older head the newer one. */
static void newest_check(struct walker *w, const struct heads *heads)
{
	const struct head *newer = &heads->head[heads->newer];
	const struct head *older = &heads->head[1 - heads->newer];
	size_t newest;

	w->table = "";
	if (newer->transaction > 1 && w->free_newest != newer->transaction)
		found(w, NULL,
			"the head of transaction %zu does not fit the list of free pages, which "
			"ends with %zu: the file shows an older state",
			newer->transaction, w->free_newest);
	if (free_newest_peek(w, &older->free, &newest) && newest > older->transaction)
		found(w, NULL,
			"the head of transaction %zu is really of %zu: the file shows an older "
			"state",
			older->transaction, newest);
}

static void walk_all(struct walker *w, const struct heads *heads)
{
	const struct head *head = &heads->head[heads->newer];

	tree_walk(w, &head->tables, "", false);
	tree_walk(w, &head->free, "", true);
	if (!w->bad)
		newest_check(w, heads);
	if (w->to->progress != NULL)
		w->to->progress(w->to->arg, w->unreported_pages);
}

static enum err walker_run(int fd, const struct heads *heads, const struct lmdb_walk *to,
	bool *ret_missing, struct errctx *ctx)
{
	const struct head *head = &heads->head[heads->newer];
	struct walker w = {.page_size = head->free.pad, .table = "", .to = to};
	void *map;
	enum err err = OK;

	w.pages = head->last + 1;
	w.whole = (page_number)(heads->file_size / w.page_size);
	if (w.whole > w.pages)
		w.whole = w.pages;
	/* A last page far behind the file would ask for any amount of memory. */
	if (w.pages / 2 > w.whole + 1024)
		return err_set(ctx, ERR_CORRUPT,
			"%s is cut short: it has %" PRIu64 " bytes and needs %" PRIu64,
			LMDB_FILE_NAME, heads->file_size, (uint64_t)w.pages * w.page_size);
	w.map_size = w.whole * w.page_size;
	map = mmap(NULL, w.map_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_set(
			ctx, errno == ENOMEM ? ERR_NOMEM : ERR_IO, "map %s: %m", LMDB_FILE_NAME);
	w.map = map;
	w.used = mem_zalloc(w.pages / 8 + 1);
	w.free = mem_zalloc(w.pages / 8 + 1);
	if (w.used == NULL || w.free == NULL)
		err = ERR_NOMEM;
	else
		walk_all(&w, heads);
	mem_free(w.used);
	mem_free(w.free);
	munmap(map, w.map_size);
	*ret_missing = w.missing;
	if (err == OK && w.bad)
		err = err_set(ctx, ERR_CORRUPT, "the pages of %s are damaged", LMDB_FILE_NAME);
	return err;
}

/* Pages at the end that were allocated and freed in one transaction are never written. Whether the
 * missing ones are such only a walk can tell; it is rare. */
static enum err size_check(int fd, const struct heads *heads, struct errctx *ctx)
{
	const struct head *head = &heads->head[heads->newer];
	uint64_t needed = (uint64_t)(head->last + 1) * head->free.pad;
	struct lmdb_walk silent = {.found = NULL};
	bool missing = false;
	enum err err;

	if (heads->file_size >= needed)
		return OK;
	err = walker_run(fd, heads, &silent, &missing, ctx);
	if (err != ERR_CORRUPT)
		return err;
	if (missing)
		return err_set(ctx, ERR_CORRUPT,
			"%s is cut short: it has %" PRIu64 " bytes and needs %" PRIu64,
			LMDB_FILE_NAME, heads->file_size, needed);
	return err;
}

enum err lmdb_file_heads(int directory, struct lmdb_file *ret, struct errctx *ctx)
{
	const struct head *head;
	struct heads heads;
	int fd;

	TRY(file_open(directory, heads_read, &fd, &heads, ctx));
	*ret = (struct lmdb_file){.file_size = heads.file_size};
	if (fd < 0)
		return OK;
	head = &heads.head[heads.newer];
	ret->page_size = head->free.pad;
	ret->pages = (uint64_t)head->last + 1;
	ret->transaction = head->transaction;

	enum err err = size_check(fd, &heads, ctx);

	close(fd);
	return err;
}

enum err lmdb_file_walk(int directory, const struct lmdb_walk *walk, struct errctx *ctx)
{
	struct heads heads;
	bool missing;
	enum err err;
	int fd;

	TRY(file_open(directory, heads_read, &fd, &heads, ctx));
	if (fd < 0)
		return err_set(ctx, ERR_CORRUPT, "%s is missing or empty", LMDB_FILE_NAME);
	err = walker_run(fd, &heads, walk, &missing, ctx);
	close(fd);
	return err;
}

/* Salvage: the same trees, read leniently. Bounds are checked as everywhere; places are not. */

struct salvager {
	struct walker w; /* map, sizes; `used`: pages of this tree that were read; `free` */
	const struct lmdb_salvage *to;
	const char *table;
	enum err err;
};

/* Heads that can be begun at, the better first: the newest list of free pages tells more than the
 * number in a head that may be the damaged one. */
static enum err heads_try(int fd, struct heads *ret, struct errctx *ctx)
{
	struct errctx said[HEADS] = {{""}, {""}};
	uint64_t page_size = 0;
	bool good[HEADS];

	for (unsigned i = 0; i < HEADS; i++) {
		if (page_size == 0)
			page_size = (uint64_t)sysconf(_SC_PAGESIZE);
		good[i] = head_read(fd, i, i * page_size, &ret->head[i], &said[i]) == OK &&
			  page_size_ok(ret->head[i].free.pad) &&
			  head_check(ret, i, ret->head[i].free.pad, &said[i]) == OK;
		if (good[i])
			page_size = ret->head[i].free.pad;
	}
	if (!good[0] && !good[1])
		return err_set(ctx, ERR_CORRUPT, "%s has no head that can be read", LMDB_FILE_NAME);
	/* A bad one is taken for the good one: then there is no choice. */
	if (!good[0] || !good[1])
		ret->head[good[0] ? 1 : 0] = ret->head[good[0] ? 0 : 1];
	ret->newer = ret->head[1].transaction > ret->head[0].transaction ? 1 : 0;
	return OK;
}

static void salvage_page(struct salvager *s, page_number number, unsigned depth);

static void salvage_row(struct salvager *s, const struct node *node)
{
	struct walker *w = &s->w;
	struct bytes value = bytes_make(node->value, node->value_size);
	page_number first;

	if (!key_ok(w, node->key) || (node->header.flags & ~NODE_BIG) != 0)
		return;
	if (node->header.flags & NODE_BIG) {
		memcpy(&first, node->value, sizeof(first));
		if (first < HEADS || first >= w->whole ||
			node->value_size >
				(w->whole - first) * w->page_size - sizeof(struct page_header))
			return;
		value.data = page_at(w, first) + sizeof(struct page_header);
	}
	s->err = s->to->row(s->to->arg, s->table, node->key, value);
}

static void salvage_tree(struct salvager *s, const struct tree *tree, const char *table)
{
	struct salvager inner = *s;

	if (tree->root == PAGE_NONE || tree->depth == 0 || tree->depth > DEPTH_MAX)
		return;
	inner.table = table;
	inner.w.used = mem_zalloc(s->w.pages / 8 + 1);
	if (inner.w.used == NULL)
		inner.err = ERR_NOMEM;
	else
		salvage_page(&inner, tree->root, tree->depth);
	mem_free(inner.w.used);
	s->err = inner.err;
}

static void salvage_leaf(struct salvager *s, const struct node *node)
{
	struct tree tree;
	char name[64];

	if (s->table[0] != '\0') {
		salvage_row(s, node);
		return;
	}
	if (node->value_size != sizeof(tree) || node->key.size >= sizeof(name) ||
		(node->header.flags & NODE_BIG) != 0)
		return;
	memcpy(&tree, node->value, sizeof(tree));
	memcpy(name, node->key.data, node->key.size);
	name[node->key.size] = '\0';
	if (name[0] == '\0')
		return;
	s->to->table(s->to->arg, name, tree.entries);
	salvage_tree(s, &tree, name);
}

static void salvage_page(struct salvager *s, page_number number, unsigned depth)
{
	struct walker *w = &s->w;
	struct page_header header;
	const uint8_t *page;
	unsigned count;

	/* A page that is free holds rows of before. */
	if (number < HEADS || number >= w->whole || bit_get(w->used, number) ||
		bit_get(w->free, number))
		return;
	bit_set(w->used, number);
	if (s->to->progress != NULL)
		s->to->progress(s->to->arg, 1);
	page = page_at(w, number);
	memcpy(&header, page, sizeof(header));
	if (header.lower < sizeof(header) || header.lower > w->page_size)
		header.lower = (uint16_t)(w->page_size / 2);
	count = (unsigned)((header.lower - sizeof(header)) / sizeof(uint16_t));
	header.flags = depth > 1 ? PAGE_BRANCH : PAGE_LEAF;
	header.upper = sizeof(header);
	for (unsigned i = 0; i < count && s->err == OK; i++) {
		struct node node = {.below = 0};
		size_t size;

		if (!node_read(w, page, &header, i, &node, &size))
			continue;
		if (depth > 1)
			salvage_page(s, node.below, depth - 1);
		else
			salvage_leaf(s, &node);
	}
}

/* Which pages are free, as far as that can be read: marks them in `free`. */
static void free_mark(struct walker *w, const struct tree *tree)
{
	struct lmdb_walk silent = {.found = NULL};

	w->to = &silent;
	tree_walk(w, tree, "", true);
	memset(w->used, 0, w->pages / 8 + 1);
	w->integer_keys = false;
}

static void salvage_run(struct salvager *s, const struct heads *heads)
{
	struct walker *w = &s->w;
	const struct head *head = &heads->head[heads->newer],
			  *other = &heads->head[1 - heads->newer];
	size_t newest = 0, newest_other = 0;

	w->used = mem_zalloc(w->pages / 8 + 1);
	w->free = mem_zalloc(w->pages / 8 + 1);
	if (w->used == NULL || w->free == NULL) {
		s->err = ERR_NOMEM;
		return;
	}
	if (free_newest_peek(w, &head->free, &newest) &&
		free_newest_peek(w, &other->free, &newest_other) && newest_other > newest)
		head = other;
	free_mark(w, &head->free);
	salvage_tree(s, &head->tables, "");
}

enum err lmdb_file_salvage(int directory, const struct lmdb_salvage *salvage, struct errctx *ctx)
{
	struct salvager s = {.to = salvage, .table = ""};
	struct walker *w = &s.w;
	struct heads heads;
	void *map;
	int fd;

	TRY(file_open(directory, heads_try, &fd, &heads, ctx));
	if (fd < 0)
		return err_set(ctx, ERR_CORRUPT, "%s is missing or empty", LMDB_FILE_NAME);
	w->table = "";
	w->page_size = heads.head[heads.newer].free.pad;
	w->whole = (page_number)(heads.file_size / w->page_size);
	w->pages = w->whole; /* what is behind the file's end cannot be had */
	w->map_size = w->whole * w->page_size;
	if (w->whole == 0) {
		close(fd);
		return err_set(ctx, ERR_CORRUPT, "%s is cut short: nothing of it can be read",
			LMDB_FILE_NAME);
	}
	map = mmap(NULL, w->map_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return err_set(ctx, ERR_IO, "map %s: %m", LMDB_FILE_NAME);
	w->map = map;
	salvage_run(&s, &heads);
	mem_free(w->used);
	mem_free(w->free);
	munmap(map, w->map_size);
	return s.err;
}
