#include "server/crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_INTEGRITY = 4, STACK_SIZE = 64 * 1024 };

/* Made beforehand: a handler may only write. */
static char message[8192];
static size_t message_size;
static char stack[STACK_SIZE];

static const char *signal_words(int number)
{
	switch (number) {
	case SIGSEGV:
		return "an address outside of memory (SIGSEGV)";
	case SIGBUS:
		return "a page that the disk did not give: a file cut short, or a failing disk "
		       "(SIGBUS)";
	case SIGABRT:
		return "a failed assertion (SIGABRT)";
	case SIGFPE:
		return "an impossible number (SIGFPE)";
	default:
		return "an impossible instruction";
	}
}

static void on_crash(int number)
{
	static const char before[] = "sautid: ALARM: stopped by ";
	const char *words = signal_words(number);

	/* Nothing can be done about a message that cannot be written. */
	(void)!write(STDERR_FILENO, before, sizeof(before) - 1);
	(void)!write(STDERR_FILENO, words, strlen(words));
	(void)!write(STDERR_FILENO, message, message_size);
	_exit(EXIT_INTEGRITY);
}

void crash_install(const char *store_directory, const char *config_file)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_crash};
	int n = snprintf(message, sizeof(message),
		".\nsautid: nothing acknowledged is lost. Probably the store '%s' is damaged; else "
		"it "
		"is a fault of sautid.\nsautid: what to do: run  sautid --fsck --config '%s'\n",
		store_directory, config_file);

	message_size = n < 0 ? 0 : (size_t)n < sizeof(message) ? (size_t)n : sizeof(message) - 1;
	sigaltstack(&alternate, NULL);
	action.sa_flags = (int)(SA_ONSTACK | SA_RESETHAND);
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}
