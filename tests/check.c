/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include "base/clock.h"

#define TESTS_MAX 512
#define TEST_SECONDS 300
#define EXIT_SKIPPED 77

struct test_case {
    const char *name;
    test_function *run;
};

static struct test_case cases[TESTS_MAX];
static size_t case_count;
static bool is_skipped; /* the one that runs */

void
check_register(const char *name, test_function *test)
{
    if (case_count == TESTS_MAX)
        abort();
    cases[case_count++] = (struct test_case){name, test};
}

/* _exit(), because a test may fail on a thread of its own while others still run. */
void
check_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    printf("%s:%d: check failed: ", file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void
check_skip(const char *format, ...)
{
    va_list args;

    printf("skipped: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    is_skipped = true;
}

void
check_equal_int(const char *file, int line, const char *what, long long got, long long want)
{
    if (got != want)
        check_fail(file, line, "%s is %lld, want %lld", what, got, want);
}

void
check_equal_text(const char *file, int line, const char *what, const char *got, const char *want)
{
    if (got == NULL || want == NULL ? got != want : strcmp(got, want) != 0)
        check_fail(file, line, "%s is\n    %s\nwant\n    %s", what, got == NULL ? "NULL" : got,
                   want == NULL ? "NULL" : want);
}

char *
check_shell(const char *command)
{
    FILE *pipe = popen(command, "r");
    struct strbuf out = {0};
    char buffer[4096];
    size_t got;

    if (pipe == NULL)
        check_fail(__FILE__, __LINE__, "cannot run '%s'", command);
    while ((got = fread(buffer, 1, sizeof(buffer), pipe)) > 0)
        strbuf_add(&out, (struct str){buffer, got});
    if (pclose(pipe) != 0)
        check_fail(__FILE__, __LINE__, "'%s' failed; it said\n    %s", command, strbuf_cstr(&out));
    return out.len > 0 ? strbuf_take(&out) : text_dup("");
}

static void
describe_end(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        (void)snprintf(out, size, "took longer than %d s", TEST_SECONDS);
    else if (WIFSIGNALED(status))
        (void)snprintf(out, size, "died of %s", strsignal(WTERMSIG(status)));
    else
        (void)snprintf(out, size, "exit status %d", WEXITSTATUS(status));
}

enum end { END_FAILED, END_PASSED, END_SKIPPED, ENDS };

static enum end
run_case(const struct test_case *c)
{
    int64_t start_ms = clock_monotonic_ms();
    int status = 0;
    char how[64];
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)alarm(TEST_SECONDS);
        c->run();
        exit(is_skipped ? EXIT_SKIPPED : 0); /* not _exit(): the leak check runs at exit */
    }
    (void)setpgid(pid, pid); /* both sides, whoever comes first */
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            abort();
    (void)kill(-pid, SIGKILL); /* what the test started and forgot */
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_SKIPPED)) {
        const bool is_ok = WEXITSTATUS(status) == 0;
        printf("%s %s (%lld ms)\n", is_ok ? "ok" : "skip", c->name, (long long)(clock_monotonic_ms() - start_ms));
        return is_ok ? END_PASSED : END_SKIPPED;
    }
    describe_end(status, how, sizeof(how));
    printf("FAIL %s: %s\n", c->name, how);
    return END_FAILED;
}

int
main(int argc, char **argv)
{
    unsigned ends[ENDS] = {0};

    for (size_t i = 0; i < case_count; i++) {
        if (argc > 1 && strstr(cases[i].name, argv[1]) == NULL)
            continue;
        ends[run_case(&cases[i])]++;
    }
    if (ends[END_PASSED] + ends[END_FAILED] + ends[END_SKIPPED] == 0)
        printf("no test matches\n");
    printf("%u passed, %u failed", ends[END_PASSED], ends[END_FAILED]);
    if (ends[END_SKIPPED] > 0)
        printf(", %u skipped", ends[END_SKIPPED]);
    printf("\n");
    return ends[END_FAILED] > 0 || ends[END_PASSED] + ends[END_SKIPPED] == 0 ? 1 : 0;
}
