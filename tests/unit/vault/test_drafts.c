/* Drafts: kept sealed, seen by their officer alone, and never more than the caps allow. */
#include "tests/unit/store/support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/files.h"
#include "server/vault/drafts.h"

#define ANSWERS "{\"answers\":{\"note\":\"quillfeather\"}}"

struct fixture {
	struct place place;
	char directory[300];
	uint8_t key[AEAD_KEY_SIZE];
	struct drafts drafts;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_ok(crypto_init());
	place_make(&f->place);
	snprintf(f->directory, sizeof(f->directory), "%s/drafts", f->place.directory);
	f->key[0] = 7;
	f->drafts = (struct drafts){f->directory, BYTES_ARRAY(f->key)};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	place_remove(&f->place);
	free(f);
	crypto_release();
	return 0;
}

static struct vault_request *request_new(const char *officer, uint32_t number)
{
	struct vault_request *request = vault_request_new(VAULT_DRAFT_PUT, NULL);

	assert_non_null(request);
	snprintf(request->officer, sizeof(request->officer), "%s", officer);
	request->index = number;
	request->now_s = 1790000000 + number;
	return request;
}

/* The first document of the answer; its number. */
static uint32_t number_of(const struct vault_request *request)
{
	json_t *json;
	uint32_t number;

	assert_non_null(request->docs);
	json = json_loadb(
		(const char *)request->docs->json.data, request->docs->json.size, 0, NULL);
	assert_non_null(json);
	number = (uint32_t)json_integer_value(json_object_get(json, "draft"));
	json_decref(json);
	return number;
}

static enum err put_text(struct fixture *f, const char *officer, uint32_t number, struct bytes text,
	uint32_t *ret_number)
{
	struct vault_request *request = request_new(officer, number);
	enum err err;

	snprintf(request->name, sizeof(request->name), "ZZ-ONE");
	snprintf(request->draft_type, sizeof(request->draft_type), "CONTACT");
	buf_put(&request->lines, text);
	err = drafts_put(&f->drafts, request);
	if (err == OK && ret_number != NULL)
		*ret_number = number_of(request);
	vault_request_free(request);
	return err;
}

static enum err put(struct fixture *f, const char *officer, uint32_t number, uint32_t *ret_number)
{
	return put_text(f, officer, number, bytes_str(ANSWERS), ret_number);
}

/* Asks for one; what it says, or NULL. */
static enum err show(struct fixture *f, const char *officer, uint32_t number, const char *body)
{
	struct vault_request *request = request_new(officer, number);
	enum err err = drafts_show(&f->drafts, request);

	if (err == OK) {
		json_t *json = json_loadb(
			(const char *)request->docs->json.data, request->docs->json.size, 0, NULL);

		assert_string_equal(json_string_value(json_object_get(json, "body")), body);
		assert_string_equal(json_string_value(json_object_get(json, "case")), "ZZ-ONE");
		assert_string_equal(json_string_value(json_object_get(json, "type")), "CONTACT");
		assert_int_equal(json_integer_value(json_object_get(json, "since")), 1790000000);
		json_decref(json);
	}
	vault_request_free(request);
	return err;
}

static size_t list(struct fixture *f, const char *officer)
{
	struct vault_request *request = request_new(officer, 0);
	size_t count = 0;

	assert_ok(drafts_list(&f->drafts, request));
	for (struct vault_doc *doc = request->docs; doc != NULL; doc = doc->next)
		count++;
	vault_request_free(request);
	return count;
}

static enum err discard(struct fixture *f, const char *officer, uint32_t number)
{
	struct vault_request *request = request_new(officer, number);
	enum err err = drafts_remove(&f->drafts, request);

	vault_request_free(request);
	return err;
}

static void file_of(const struct fixture *f, uint32_t number, char ret[400])
{
	snprintf(ret, 400, "%s/%u", f->directory, number);
}

static void read_file(const char *path, struct buf *out)
{
	struct errctx ctx = {""};

	buf_init(out, 1024 * 1024);
	assert_ok(files_read(path, 512 * 1024, out, &ctx));
}

static void test_keep_and_discard(void **state)
{
	struct fixture *f = *state;
	uint32_t number = 0, second = 0;
	char path[400];
	struct stat st;

	assert_int_equal(list(f, "amara"), 0); /* no directory yet */
	assert_ok(put(f, "amara", 0, &number));
	assert_int_equal(number, 1);
	assert_ok(put(f, "amara", 0, &second));
	assert_int_equal(second, 2);
	assert_ok(show(f, "amara", 1, ANSWERS));
	/* Changed in place; it began when it began. */
	assert_ok(put_text(f, "amara", 1, bytes_str("{\"more\":1}"), &number));
	assert_int_equal(number, 1);
	assert_ok(show(f, "amara", 1, "{\"more\":1}"));
	assert_int_equal(list(f, "amara"), 2);
	file_of(f, 1, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(f->directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_ok(discard(f, "amara", 1));
	assert_int_equal(discard(f, "amara", 1), ERR_NOTFOUND);
	assert_int_equal(show(f, "amara", 1, ""), ERR_NOTFOUND);
	assert_int_equal(list(f, "amara"), 1);
	/* The number is free again. */
	assert_ok(put(f, "amara", 0, &number));
	assert_int_equal(number, 1);
	for (uint32_t bad = 0; bad < 300; bad += 201)
		assert_int_equal(show(f, "amara", bad, ""), ERR_NOTFOUND);
}

static void test_officers_apart(void **state)
{
	struct fixture *f = *state;
	uint32_t number = 0;

	assert_ok(put(f, "amara", 0, &number));
	assert_int_equal(list(f, "benoit"), 0);
	assert_int_equal(list(f, "amar"), 0);
	assert_int_equal(show(f, "benoit", number, ""), ERR_NOTFOUND);
	assert_int_equal(discard(f, "benoit", number), ERR_NOTFOUND);
	assert_int_equal(put(f, "benoit", number, NULL), ERR_NOTFOUND);
	assert_ok(show(f, "amara", number, ANSWERS));
}

static void test_sealed(void **state)
{
	struct fixture *f = *state;
	uint32_t number = 0;
	struct buf first, second;
	char path[400], other[400];

	assert_ok(put(f, "amara", 0, &number));
	file_of(f, number, path);
	read_file(path, &first);
	assert_null(memmem(first.data, first.size, "quillfeather", 12));
	assert_null(memmem(first.data, first.size, "ZZ-ONE", 6));
	assert_null(memmem(first.data, first.size, "CONTACT", 7));
	assert_null(memmem(first.data, first.size, "amara", 5));
	/* Its size says little, and no two are sealed alike. */
	assert_ok(put_text(f, "amara", number, bytes_str(""), NULL));
	read_file(path, &second);
	assert_int_equal(first.size, second.size);
	assert_true(memcmp(first.data + 12, second.data + 12, 16) != 0);
	/* Every flipped bit is noticed. */
	for (size_t i = 0; i < second.size; i += i < 64 ? 1 : 97) {
		struct errctx ctx;

		second.data[i] ^= 1;
		assert_ok(files_write(path, buf_bytes(&second), 0600, &ctx));
		assert_int_equal(show(f, "amara", number, ""), ERR_CORRUPT);
		second.data[i] ^= 1;
	}
	/* Cut anywhere; under another number; under another key. */
	for (size_t size = 0; size < 64; size++) {
		struct errctx ctx;

		assert_ok(files_write(path, bytes_make(second.data, size), 0600, &ctx));
		assert_int_equal(show(f, "amara", number, ""), ERR_CORRUPT);
	}
	assert_int_equal(list(f, "amara"), 0); /* left out, and in nobody's way */
	file_of(f, 9, other);
	struct errctx ctx;

	assert_ok(files_write(other, buf_bytes(&second), 0600, &ctx));
	assert_int_equal(show(f, "amara", 9, ""), ERR_CORRUPT);
	assert_ok(files_write(path, buf_bytes(&second), 0600, &ctx));
	assert_ok(show(f, "amara", number, ""));
	f->key[31] ^= 1;
	assert_int_equal(show(f, "amara", number, ""), ERR_CORRUPT);
	buf_release(&first);
	buf_release(&second);
}

static void test_size_cap(void **state)
{
	struct fixture *f = *state;
	uint8_t *text = malloc(LIMIT_DRAFT + 1);
	uint32_t number = 0;

	assert_non_null(text);
	memset(text, 'x', LIMIT_DRAFT + 1);
	assert_ok(put_text(f, "amara", 0, bytes_make(text, LIMIT_DRAFT), &number));
	assert_int_equal(
		put_text(f, "amara", 0, bytes_make(text, LIMIT_DRAFT + 1), NULL), ERR_LIMIT);
	text[5] = 0;
	assert_int_equal(put_text(f, "amara", 0, bytes_make(text, 10), NULL), ERR_INVALID);
	text[5] = 0xff;
	assert_int_equal(put_text(f, "amara", 0, bytes_make(text, 10), NULL), ERR_INVALID);
	assert_int_equal(list(f, "amara"), 1);
	free(text);
}

static void test_count_caps(void **state)
{
	struct fixture *f = *state;
	char officer[16] = "";

	for (uint32_t i = 0; i < LIMIT_DRAFTS; i++) {
		snprintf(officer, sizeof(officer), "o%u", i / LIMIT_DRAFTS_OFFICER);
		assert_ok(put(f, officer, 0, NULL));
	}
	assert_int_equal(list(f, "o0"), LIMIT_DRAFTS_OFFICER);
	assert_int_equal(put(f, "o0", 0, NULL), ERR_LIMIT);    /* of one officer */
	assert_int_equal(put(f, "fresh", 0, NULL), ERR_LIMIT); /* of all */
	assert_ok(put(f, "o0", 1, NULL)); /* what is there can still be changed */
	assert_ok(discard(f, "o0", 1));
	assert_ok(put(f, "fresh", 0, NULL));
	assert_int_equal(put(f, "o0", 0, NULL), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keep_and_discard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_officers_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_count_caps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
