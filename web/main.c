/* sauti-web: the public endpoints of a node. docs/man/sauti-web.8 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/files.h"
#include "web/http.h"
#include "web/listen.h"

static const char help[] =
	"usage: sauti-web --listen ADDRESS --socket PATH [--host NAME]..\n"
	"       sauti-web --config FILE [--check]\n"
	"\n"
	"Gives the logs of a node to whoever wants to check them, over plain HTTP on this machine\n"
	"alone; a web server with TLS stands in front of it for others. Holds no key and no data.\n"
	"\n"
	"  --config FILE     the settings, as INI; what else is said here comes on top\n"
	"  --listen ADDRESS  127.0.0.1:PORT, [::1]:PORT or unix:/PATH; port 0: any, which is told\n"
	"  --socket PATH     the public socket of sautid ([public] socket in sauti.conf)\n"
	"  --host NAME       a name that requests may be addressed to, without a port; again for\n"
	"                    more; default: localhost, 127.0.0.1, [::1]\n"
	"  --logs on|off     whether /logs lists the logs; default: on\n"
	"  --access-log on|off   a line a request, without addresses; default: off\n"
	"  --check           read the settings, say whether they are right, and end\n"
	"  --allow-root      run as root all the same\n"
	"  --version, --help\n"
	"\n"
	"Messages go to standard error. Ends at SIGTERM or SIGINT, once what was asked is "
	"answered.\n"
	"Exit status: 0 stopped as asked; 1 failed; 2 usage; 5 not permitted.\n";

enum { EXIT_USAGE = 2, EXIT_PERMISSION = 5, TICK_MS = 500, CONFIG_MAX = 64 * 1024 };
enum {
	OPTION_CONFIG = 256,
	OPTION_CHECK,
	OPTION_ROOT,
	OPTION_VERSION,
	OPTION_HELP,
	OPTION_SETTING
};

/* The ones above OPTION_SETTING are settings, by name. */
static const struct option options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"check", no_argument, NULL, OPTION_CHECK},
	{"allow-root", no_argument, NULL, OPTION_ROOT},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, OPTION_HELP},
	{"listen", required_argument, NULL, OPTION_SETTING},
	{"socket", required_argument, NULL, OPTION_SETTING},
	{"host", required_argument, NULL, OPTION_SETTING},
	{"logs", required_argument, NULL, OPTION_SETTING},
	{"access-log", required_argument, NULL, OPTION_SETTING},
	{0},
};

struct arguments {
	struct settings settings;
	bool check, root;
};

static const char *setting_of(const char *option)
{
	if (strcmp(option, "host") == 0)
		return "hosts";
	return strcmp(option, "access-log") == 0 ? "access_log" : option;
}

static int failed(const struct errctx *ctx, enum err err, int status)
{
	fprintf(stderr, "sauti-web: %s\n", err_message(ctx, err));
	return status;
}

static enum err read_config(struct settings *settings, const char *path, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf text;

	buf_init(&text, CONFIG_MAX + 1);
	TRY(files_read(path, CONFIG_MAX, &text, ctx));
	return settings_parse(settings, buf_bytes(&text), path, ctx);
}

/* Looks at the options twice: the file first, so that the command line has the last word. */
static int parse(int argc, char **argv, bool file, struct arguments *ret)
{
	struct errctx ctx = {""};
	enum err err = OK;
	int c, index;

	optind = 1;
	opterr = file;
	while ((c = getopt_long(argc, argv, "", options, &index)) != -1 && err == OK) {
		if (c == OPTION_HELP || c == OPTION_VERSION) {
			fputs(c == OPTION_HELP ? help : "sauti-web " SAUTI_VERSION "\n", stdout);
			exit(0);
		}
		if (c == '?')
			return EXIT_USAGE;
		ret->check = ret->check || c == OPTION_CHECK;
		ret->root = ret->root || c == OPTION_ROOT;
		if (c == OPTION_CONFIG && file)
			err = read_config(&ret->settings, optarg, &ctx);
		if (c == OPTION_SETTING && !file)
			err = settings_set(
				&ret->settings, setting_of(options[index].name), optarg, &ctx);
	}
	if (err == OK && optind < argc)
		err = err_set(&ctx, ERR_INVALID, "unexpected: %s", argv[optind]);
	if (err == OK && !file)
		err = settings_finish(&ret->settings, &ctx);
	return err == OK ? 0 : failed(&ctx, err, EXIT_USAGE);
}

static void be_nobody_special(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
}

/* Until SIGTERM or SIGINT, which are blocked. */
static void wait_for_end(struct http *http, const sigset_t *ends)
{
	const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};

	while (sigtimedwait(ends, NULL, &tick) < 0)
		http_tick(http);
}

static int serve(const struct settings *settings)
{
	struct errctx ctx = {""};
	struct http *http = NULL;
	char name[WEB_SOCKET_SIZE + 8];
	sigset_t ends;
	enum err err;
	int fd;

	/* Before any thread is started: they inherit it. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	err = listen_open(&settings->listen, &fd, &ctx);
	if (err != OK)
		return failed(&ctx, err, err == ERR_DENIED ? EXIT_PERMISSION : EXIT_FAILURE);
	listen_name(fd, name, sizeof(name));
	err = http_start(settings, fd, &http, &ctx);
	if (err == OK) {
		fprintf(stderr, "sauti-web: serving on %s, for the node at %s\n", name,
			settings->socket);
		wait_for_end(http, &ends);
		http_stop(http);
		fprintf(stderr, "sauti-web: stopped\n");
	}
	listen_remove(&settings->listen);
	return err == OK ? 0 : failed(&ctx, err, EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	int status;

	settings_init(&arguments.settings);
	status = parse(argc, argv, true, &arguments);
	if (status == 0)
		status = parse(argc, argv, false, &arguments);
	if (status != 0 || arguments.check)
		return status;
	if (geteuid() == 0 && !arguments.root) {
		fprintf(stderr,
			"sauti-web: reads what strangers send: it does not run as root, who may "
			"read every key of the node; start it as another user, or say "
			"--allow-root\n");
		return EXIT_PERMISSION;
	}
	be_nobody_special();
	return serve(&arguments.settings);
}
