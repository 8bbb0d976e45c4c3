#include "node_test.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "node/control.h"
#include "proto/codec.h"
#include "proto/frame.h"

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	return address;
}

/* A daemon in a process of its own: reads one request, says `answer`, and closes. */
static pid_t serve(const char *path, struct bytes answer)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int client = accept(fd, NULL, NULL);
		uint8_t header[FRAME_HEADER_SIZE], byte;
		uint32_t left;

		if (recv(client, header, sizeof(header), MSG_WAITALL) != sizeof(header))
			_exit(1);
		for (left = get_u32be(header); left > 0; left--)
			if (read(client, &byte, 1) != 1)
				_exit(2);
		while (answer.size > 0) {
			ssize_t n = send(client, answer.data, answer.size, MSG_NOSIGNAL);

			if (n < 0)
				_exit(3);
			answer = bytes_make(answer.data + n, answer.size - (size_t)n);
		}
		_exit(0);
	}
	close(fd);
	return pid;
}

static void join_server(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
}

static void put_response(
	struct buf *out, enum err err, const char *message, const char *json, bool last)
{
	Sauti__ControlResponse response = SAUTI__CONTROL_RESPONSE__INIT;

	response.error = (uint32_t)err;
	response.message = (char *)message;
	response.json = codec_binary(bytes_str(json));
	response.last = last;
	response.line = err == OK ? 0 : 7;
	frame_write(out, &response);
	assert_ok(out->err);
}

static enum err collect(void *arg, struct bytes json, struct errctx *ctx)
{
	struct buf *all = arg;

	(void)ctx;
	buf_put(all, json);
	buf_put_str(all, ";");
	return all->err;
}

/* Calls a daemon that answers so; what it sent goes to `all`. */
static enum err call(struct bytes answer, struct buf *all, uint32_t *line, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__StatusRequest status = SAUTI__STATUS_REQUEST__INIT;
	const char *path = in_dir("control.sock");
	struct control *control;
	pid_t pid = serve(path, answer);
	enum err err;

	ctx->text[0] = '\0';
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_STATUS;
	request.status = &status;
	assert_ok(control_connect(path, &control, ctx));
	err = control_call(control, &request, collect, all, line, ctx);
	control_close(control);
	join_server(pid);
	unlink(path);
	return err;
}

static void test_answers(void **state)
{
	struct errctx ctx;
	struct buf answer, all;
	uint32_t line = 99;

	(void)state;
	buf_init(&answer, 3 * LIMIT_CONTROL_RESPONSE);
	buf_init(&all, 2 * LIMIT_CONTROL_RESPONSE);
	put_response(&answer, OK, "", "{\"a\":1}", false);
	put_response(&answer, OK, "", "[2]", false);
	put_response(&answer, OK, "", "", true);
	assert_ok(call(buf_bytes(&answer), &all, &line, &ctx));
	assert_string_equal(buf_cstr(&all), "{\"a\":1};[2];");
	/* the daemon's own error, with what came before it */
	buf_clear(&answer);
	buf_clear(&all);
	put_response(&answer, OK, "", "1", false);
	put_response(&answer, ERR_LOCKED, "unlock first", "", true);
	assert_int_equal(call(buf_bytes(&answer), &all, &line, &ctx), ERR_LOCKED);
	assert_string_equal(ctx.text, "unlock first");
	assert_int_equal(line, 7);
	assert_string_equal(buf_cstr(&all), "1;");
	/* an error without words; one that this version does not know */
	buf_clear(&answer);
	put_response(&answer, ERR_FULL, "", "", true);
	assert_int_equal(call(buf_bytes(&answer), &all, NULL, &ctx), ERR_FULL);
	assert_says(ctx, "no space left");
	buf_clear(&answer);
	put_response(&answer, (enum err)(ERR_AGAIN + 1), "new trouble", "", true);
	assert_int_equal(call(buf_bytes(&answer), &all, NULL, &ctx), ERR_UNSUPPORTED);
	assert_says(ctx, "new trouble");
	buf_release(&answer);
	buf_release(&all);
}

static void test_bad_answers(void **state)
{
	static const uint8_t zero[] = {0, 0, 0, 0}, huge[] = {0x00, 0x10, 0x00, 0x01, 8};
	static const uint8_t garbage[] = {0, 0, 0, 3, 0xff, 0xff, 0xff};
	struct errctx ctx;
	struct buf answer, all;

	(void)state;
	buf_init(&answer, 1000);
	buf_init(&all, 1000);
	assert_int_equal(call(BYTES_NONE, &all, NULL, &ctx), ERR_CLOSED);
	assert_says(ctx, "closed the connection");
	assert_int_equal(call(BYTES_ARRAY(zero), &all, NULL, &ctx), ERR_LIMIT);
	assert_int_equal(call(BYTES_ARRAY(huge), &all, NULL, &ctx), ERR_LIMIT);
	assert_int_equal(call(BYTES_ARRAY(garbage), &all, NULL, &ctx), ERR_MALFORMED);
	put_response(&answer, OK, "", "{}", false); /* and no last one */
	assert_int_equal(call(buf_bytes(&answer), &all, NULL, &ctx), ERR_CLOSED);
	answer.size--; /* cut in the middle */
	assert_int_equal(call(buf_bytes(&answer), &all, NULL, &ctx), ERR_CLOSED);
	buf_release(&answer);
	buf_release(&all);
}

static void test_nobody(void **state)
{
	char path[200];
	struct sockaddr_un address;
	struct control *control;
	struct errctx ctx;
	int fd;

	(void)state;
	assert_int_equal(control_connect(in_dir("none.sock"), &control, &ctx), ERR_UNREACHABLE);
	assert_says(ctx, "no daemon answers at ");
	assert_says(ctx, "none.sock: is sautid running?");
	/* a socket that nobody listens on any more; a file that is no socket */
	address = address_of(in_dir("dead.sock"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(control_connect(in_dir("dead.sock"), &control, &ctx), ERR_UNREACHABLE);
	put_file(in_dir("file"), "", 0600);
	assert_int_equal(control_connect(in_dir("file"), &control, &ctx), ERR_UNREACHABLE);
	memset(path, 'x', sizeof(path));
	path[108] = '\0';
	assert_int_equal(control_connect(path, &control, &ctx), ERR_LIMIT);
	path[107] = '\0';
	assert_int_equal(control_connect(path, &control, &ctx), ERR_UNREACHABLE);
}

/* A request of exactly the cap goes out; one byte more does not. */
static void test_request_cap(void **state)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseAppendRequest append = SAUTI__CASE_APPEND_REQUEST__INIT;
	const char *path = in_dir("control.sock");
	uint8_t *lines = calloc(1, LIMIT_CONTROL_REQUEST);
	struct control_response response;
	struct control *control;
	struct errctx ctx;
	struct buf answer;
	size_t size;
	pid_t pid;

	(void)state;
	buf_init(&answer, 100);
	put_response(&answer, OK, "", "", true);
	pid = serve(path, buf_bytes(&answer));
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND;
	request.case_append = &append;
	append.lines.data = lines;
	append.lines.len = LIMIT_CONTROL_REQUEST - 100;
	size = protobuf_c_message_get_packed_size(&request.base);
	append.lines.len += LIMIT_CONTROL_REQUEST + 1 - size;
	assert_int_equal(
		protobuf_c_message_get_packed_size(&request.base), LIMIT_CONTROL_REQUEST + 1);
	assert_ok(control_connect(path, &control, &ctx));
	assert_int_equal(control_send(control, &request, &ctx), ERR_LIMIT);
	append.lines.len--;
	assert_ok(control_send(control, &request, &ctx));
	assert_ok(control_next(control, &response, &ctx));
	assert_true(response.last);
	control_close(control);
	join_server(pid);
	free(lines);
	buf_release(&answer);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, test_dir_make, test_dir_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_answers),
		IN_DIR(test_bad_answers),
		IN_DIR(test_nobody),
		IN_DIR(test_request_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
